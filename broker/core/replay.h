/* What is special while records come out of the log instead of being made now?
 *
 * A snapshot is taken in slices while the broker serves, so what it says of different things is from different moments
 * between its beginning `from` and its end `fuzzy_until`. Records of that part are replayed over state that may know them
 * already: applying them again must change nothing. Most of it is so by itself, because records say what is, not what
 * changes; the delayed messages, which come and go, are put right once the fuzzy part is over. From then on replay is as
 * strict as serving: a record that does not fit the state is damage.
 *
 * Check-back starts when all is replayed: who is due when is a matter of the clock then, not of the log.
 * Threads: the loop thread, before it serves. */
#ifndef ESCROW_CORE_REPLAY_H
#define ESCROW_CORE_REPLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct core;
struct store;

struct offset_list {
	uint64_t *items;
	size_t count, capacity;
};

struct carried { /* A body that a CARRY record moved. */
	uint64_t origin_offset;
	uint64_t body_offset;
};

struct replay {
	bool active;
	uint64_t from;
	uint64_t fuzzy_until;           /* 0: nothing is fuzzy (or no longer). */
	struct offset_list known;       /* Delayed messages from the snapshot that the fuzzy part names too; ascending. */
	struct offset_list delivered;   /* Those that the fuzzy part delivers. */
	struct carried *carried;
	size_t carried_count, carried_capacity;
};

/* Everything that makes the state of an opened store: its snapshot if there is one, the index if that is lost, the records
 * behind the snapshot, check-back. */
enum status replay_all(struct core *core, const struct store *store, struct errinfo *err) MUST_USE;

/* --- for apply ---------------------------------------------------------------------------------------------------- */

/* May the state know already what the record at this offset says? */
bool replay_is_fuzzy(const struct core *core, uint64_t offset);
/* The delayed message that this record names is there already. */
bool replay_knows_delayed(const struct core *core, uint64_t naming_offset);
/* Delivered within the fuzzy part; taken out when that is over. ST_NOMEM. */
enum status replay_note_delivered(struct core *core, uint64_t naming_offset) MUST_USE;
/* A body has moved; delayed messages learn of it in the end. ST_NOMEM. */
enum status replay_note_carried(struct core *core, uint64_t origin_offset, uint64_t carry_offset) MUST_USE;

#endif
