/* Long polling: pulls that found nothing and wait for their queue.
 *
 * A hold remembers the whole pull, so that it can be run again when the queue's visible end moves past what the hold
 * has seen and the new entry's tag fits, or when its time is up. Each hold is in its queue's list and in one list of
 * all, which the core's tick sweeps. Bounded in number; a closed connection takes its holds along.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_HOLDS_H
#define ESCROW_CORE_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/pull_request.h"
#include "lib/base/status.h"

struct queue;

struct hold {
	struct hold *queue_prev, *queue_next;
	struct hold *all_prev, *all_next;
	struct queue *queue;
	struct pull_request pull;
	uint64_t seen_offset; /* Entries below did not fit. */
	uint64_t conn_id;
	int32_t opaque;
	uint8_t serialize_type;
	int64_t deadline_mono_ms;
};

struct holds {
	struct hold *all;
	size_t count;
	size_t hold_max;
};

void holds_init(struct holds *holds, size_t hold_max);
/* Frees every hold without a word to its client. */
void holds_deinit(struct holds *holds);
/* Takes over a copy of *hold (queue, pull, connection, deadline set). ST_FULL at the limit, ST_NOMEM. */
enum status holds_add(struct holds *holds, const struct hold *hold) MUST_USE;
/* Unlinks, reports, frees. */
void holds_finish(struct holds *holds, struct hold *hold, void (*ready)(void *, const struct hold *, bool), void *context,
		  bool expired);
/* Unlinks and frees. */
void holds_remove(struct holds *holds, struct hold *hold);
void holds_remove_connection(struct holds *holds, uint64_t conn_id);

#endif
