/* Messages that wait for their time: which one is due first?
 *
 * Entries lie in slots that do not move, with a heap of slot numbers over them, ordered by time and then by the log
 * offset of the record that names the message: the same order in replay.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_DELAYS_H
#define ESCROW_CORE_DELAYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct topic;

struct delayed {
	int64_t deliver_at_ms;   /* Wall time. */
	uint64_t naming_offset;  /* Of the MESSAGE or DECISION record. */
	uint64_t origin_offset;  /* Of the record that held the message first: MESSAGE or HALF. */
	uint64_t body_offset;    /* Of the record that holds it now: that one, later a CARRY. */
	struct topic *topic;     /* NULL: the slot is free. */
	uint32_t message_size;
	int32_t tag_hash;
	uint16_t message_delta;  /* Where the message starts in the body record, from that record's offset. */
	uint16_t queue_id;
	bool transactional;      /* The body is a half message. */
};

struct delays {
	struct delayed *slots;
	uint32_t *heap;       /* Slots in use; then those that are free. */
	uint32_t *places;     /* Place of each slot in the heap. */
	size_t count;
	size_t capacity;
	size_t entry_max;
};

void delays_init(struct delays *delays, size_t entry_max);
void delays_deinit(struct delays *delays);
/* Room for one more, so that delays_add cannot fail. ST_FULL at the limit, ST_NOMEM. */
enum status delays_reserve(struct delays *delays) MUST_USE;
void delays_add(struct delays *delays, const struct delayed *entry);
/* The one that is due first, NULL when empty. Valid until the next change. */
const struct delayed *delays_first(const struct delays *delays);
void delays_remove_first(struct delays *delays);
/* Takes out one that may be anywhere. */
void delays_remove(struct delays *delays, struct delayed *entry);
/* The next entry from slot *cursor on (0 at first), in no order; NULL at the end. What stays in through the whole walk is
 * met exactly once, whatever is added and removed meanwhile. The caller may change where the body is. */
struct delayed *delays_next(struct delays *delays, size_t *cursor);

#endif
