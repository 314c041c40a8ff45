/* Long polling: pulls that found nothing and wait for their queue.
 *
 * A hold remembers the whole pull, so that it can be run again when a new entry of the queue fits it, or when its time is up.
 * Each hold is in its queue's list, found by its connection, and in one list of all, which the core's tick sweeps. Those that want a few tags are found by
 * (queue, tag) as well, so that a new message wakes whom it concerns without a look at the others; those that want everything,
 * SQL92 or very many tags are in the queue's list of holds to be asked one by one. wake.h has the wake-up.
 * Bounded in number, and for each queue in what those cost that are asked: an arrival may not keep the loop for long. A closed
 * connection takes its holds along. Threads: the loop thread. */
#ifndef ESCROW_CORE_HOLDS_H
#define ESCROW_CORE_HOLDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/conn_index.h"
#include "broker/core/pull_request.h"
#include "lib/base/status.h"

struct hold_bucket;
struct queue;

/* A hold beside others that wait for the same tag of the same queue. */
struct hold_link {
	struct hold_link *prev, *next;
	struct hold_bucket *bucket;
	struct hold *hold;
};

struct hold {
	struct conn_link by_conn; /* First: casts. */
	struct hold *queue_prev, *queue_next;
	struct hold *asked_prev, *asked_next; /* While link_count is 0. */
	struct hold *all_prev, *all_next;
	struct queue *queue;
	struct pull_request pull; /* Its expression is held. */
	uint64_t conn_id;
	int32_t opaque;
	uint8_t serialize_type;
	int64_t deadline_mono_ms;
	uint32_t link_count;
	struct hold_link *links;
};

struct holds {
	struct hold *all;
	struct hold_bucket *buckets;
	struct conn_index by_conn;
	size_t count;
	size_t hold_max;
};

typedef void (*hold_ready)(void *context, const struct hold *hold, bool expired);

void holds_init(struct holds *holds, size_t hold_max);
/* Frees every hold without a word to its client. */
void holds_deinit(struct holds *holds);
/* At most this may asking the holds of one queue cost, in steps of SQL92 programs, a walk over a message's properties counting as
 * HOLD_WALK_COST: 900 expressions of a few steps, or 60 of the longest. About a millisecond. */
enum { HOLD_COST_MAX = 64 * 1024, HOLD_WALK_COST = 64 };

/* Takes over a copy of *hold (queue, pull, connection, deadline set). ST_FULL at a limit, ST_NOMEM. */
enum status holds_add(struct holds *holds, const struct hold *hold) MUST_USE;
/* The first of those that wait for messages of the queue with this hash, or NULL. */
struct hold_link *holds_for_tag(const struct holds *holds, const struct queue *queue, int32_t tag_hash);
/* Unlinks, reports, frees. */
void holds_finish(struct holds *holds, struct hold *hold, hold_ready ready, void *context, bool expired);
/* Unlinks and frees. */
void holds_remove(struct holds *holds, struct hold *hold);
void holds_remove_connection(struct holds *holds, uint64_t conn_id);

#endif
