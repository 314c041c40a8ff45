/* Which delayed messages are due? A heap of (deliver-at, naming offset), filled by MESSAGE and DECISION records
 * that carry a delivery time and emptied by DELIVER records.
 *
 * The order is total, so at any position of the log the heap holds the same entries in the same order, live or in
 * replay: a DELIVER record always names the first one. Bounded by `entry_max`.
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
	uint64_t body_offset;    /* Of the record that holds the message. */
	struct topic *topic;
	uint32_t message_size;
	int32_t tag_hash;
	uint16_t message_delta;  /* Where the message starts in the body record, from that record's offset. */
	uint16_t queue_id;
	bool transactional;      /* body_offset is a half message. */
};

struct delays {
	struct delayed *heap;
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

#endif
