/* Messages that wait for their time: which one is due first, and which one has this name?
 *
 * Entries lie packed in chunks of slots that do not move: 40 bytes, and 8 for their place in a heap of slot numbers, which
 * is ordered by time and then by the log offset of the record that names the message: the same order in replay. Chunks
 * come one by one, so growth neither copies nor doubles anything. What may be recalled is found by a hash as well
 * (lib/txn/hash_index.h, 10 to 12.5 bytes each); a chunk with half messages takes another 8 bytes a slot.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_DELAYS_H
#define ESCROW_CORE_DELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/txn/hash_index.h"

struct topic;

struct delayed {
	int64_t deliver_at_ms;   /* Wall time. Kept within [0, DELAYS_TIME_MAX_MS]. */
	uint64_t naming_offset;  /* Of the MESSAGE or DECISION record. */
	uint64_t origin_offset;  /* Of the record that held the message first: the MESSAGE, or the HALF. */
	uint64_t body_offset;    /* Of the record that holds it now: that one, later a CARRY. */
	struct topic *topic;
	uint32_t message_size;
	int32_t tag_hash;
	uint16_t message_delta;  /* Where the message starts in the body record, from that record's offset. */
	uint16_t queue_id;
	bool transactional;      /* The body is a half message. */
	uint32_t recall;         /* Hash of its name for those who recall it; 0: nobody may. */
	uint32_t slot;           /* Given out; see delays_remove. */
};

#define DELAYS_TIME_MAX_MS ((int64_t)1 << 43)  /* The year 2248. */
#define DELAYS_OFFSET_MAX ((uint64_t)1 << 56)  /* Of a log: 64 PiB. */

struct delay_chunk;

struct delays {
	struct delay_chunk **chunks;
	size_t chunk_count, chunk_capacity;
	struct topic **topics;   /* By their ids. */
	size_t topic_capacity;
	struct hash_index recalls;
	size_t count;
	size_t entry_max;
};

void delays_init(struct delays *delays, size_t entry_max);
void delays_deinit(struct delays *delays);
/* Room for one more of this topic, so that delays_add cannot fail. ST_FULL at the limit, ST_NOMEM. */
enum status delays_reserve(struct delays *delays, const struct topic *topic, bool transactional) MUST_USE;
void delays_add(struct delays *delays, const struct delayed *entry);
/* The one that is due first; false when none waits. */
bool delays_first(const struct delays *delays, struct delayed *out);
/* Takes out the one in a slot that delays_first, _next or _find has given out and that is still in. */
void delays_remove(struct delays *delays, uint32_t slot);
/* Its body has moved. */
void delays_move(struct delays *delays, uint32_t slot, uint64_t body_offset, uint16_t message_delta);
/* The next entry from slot *cursor on (0 at first), in no order; false at the end. What stays in through the whole walk is
 * met exactly once, whatever is added and removed meanwhile. */
bool delays_next(const struct delays *delays, size_t *cursor, struct delayed *out);
/* The same over *slots_left slots at most, in use or not, which are taken off: false with none left, too; the walk may go on
 * then. */
bool delays_next_within(const struct delays *delays, size_t *cursor, size_t *slots_left, struct delayed *out);
/* Those with this recall hash, the first 16 of them, one by one: *cursor is begun with delays_look and lives until something is added or removed. */
struct hash_cursor delays_look(const struct delays *delays, uint32_t recall);
bool delays_find(const struct delays *delays, struct hash_cursor *cursor, struct delayed *out);
/* Bytes of memory taken. */
size_t delays_bytes(const struct delays *delays);

#endif
