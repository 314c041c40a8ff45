/* The recorded state in chunks, and back: what does a snapshot hold, and in which order is it taken?
 *
 * Taken in slices between which the broker serves, so it is fuzzy (replay.h says how that is put right). Each slice is
 * a chunk of at most SNAPSHOT_SLICE_BYTES or so, made in less than a millisecond. Names are written before the first
 * chunk that refers to them. Formats of the items: docs/formats/snapshots.md.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_SNAPSHOT_H
#define ESCROW_CORE_SNAPSHOT_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/offsets.h"
#include "lib/base/bytes.h"
#include "lib/index/snapshot_sections.h"

struct consumer_group;
struct core;
struct pop_row;
struct snapshot_reader;
struct topic;

enum { SNAPSHOT_SLICE_BYTES = 128 * 1024, SNAPSHOT_POPS_AT_ONCE = 1000, SNAPSHOT_SLOTS_AT_ONCE = 50 * 1000 };

/* Where a snapshot under way stands. Zeros at first. */
struct snapshot_cursor {
	int64_t begun_mono_ms;      /* When the header was written: waits are counted from there. */
	unsigned stage;
	uint32_t names_done;
	bool begun;                 /* Of the stages over topics and groups. */
	const struct topic *topic;
	const struct consumer_group *group;
	uint32_t queue_id;
	uint64_t queue_born;        /* Of the queue whose pages are half out. */
	uint64_t index_group;       /* Next page group of the queue or half index. */
	struct offsets_cursor offsets;
	uint32_t pending;
	uint64_t resends;
	size_t delays;
	const struct pop_row *pops;
	uint64_t pop_offset;        /* Of that row: its next check-out. */
};

/* Appends the next slice to `out` (a chunk, perhaps one of names before it). False: nothing was left. */
bool snapshot_slice(struct core *core, struct snapshot_cursor *cursor, struct buffer *out);

/* Makes the state that the snapshot holds, in a core that is empty. With `index_lost` the index pages it names are not
 * there: its arrays get their ranges and no entries. ST_CORRUPT names what does not fit. */
enum status snapshot_load(struct core *core, struct snapshot_reader *snapshot, bool index_lost,
			  struct errinfo *err) MUST_USE;

#endif
