/* Where consumer groups read on, by an operator's word: 222, 314, and what tools compare first (308).
 *
 * A reset is recorded like any other offset. Its consumers, though, hold positions of their own and would write them over
 * it; so until one of them has pulled and been told (PULL_OFFSET_MOVED), what they say of that queue is not believed. That
 * they still are to be told is soft state: after a restart a consumer that never left may overwrite the reset.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_RESETS_H
#define ESCROW_CORE_RESETS_H

#include "broker/core/core.h"
#include "broker/core/topics.h"

struct reset_request {
	struct span topic;
	struct span group;
	int64_t time_ms;   /* To the first message of that time or later; negative: behind the last one. */
	int32_t queue_id;  /* Negative: all. */
	int64_t offset;    /* With a queue: to this offset; negative: as the time says. */
	bool force;        /* client_side: also forward. */
};
struct reset_target {
	uint32_t queue_id;
	int64_t offset;
};

/* Sets and records the offsets; what they became is in `targets`. Refusals as RocketMQ's: 17, 26, 1. */
enum status core_reset_offsets(struct core *core, const struct reset_request *request,
			       struct reset_target targets[TOPIC_QUEUE_MAX], size_t *count_out, struct outcome *outcome) MUST_USE;
/* RocketMQ's older way: only says where the group's consumers are to be sent. Nothing changes here. */
enum status core_reset_targets(struct core *core, const struct reset_request *request,
			       struct reset_target targets[TOPIC_QUEUE_MAX], size_t *count_out, struct outcome *outcome) MUST_USE;

/* CLONE_GROUP_OFFSET: `to` has read what `from` has read, of one topic or (empty) of all. Topics that consumers of `from`
 * that are connected do not subscribe to are left out unless `offline`. */
struct clone_request {
	struct span from, to, topic;
	bool offline;
};
enum status core_clone_offsets(struct core *core, const struct clone_request *request, struct outcome *outcome) MUST_USE;

/* Every offset that consumers have said, those of a topic and group together. */
typedef void (*offset_visit)(void *context, struct span topic, struct span group, uint32_t queue_id, int64_t offset);
void core_each_offset(const struct core *core, offset_visit visit, void *context);

/* QUERY_CORRECTION_OFFSET: the least that any group but those in `filter` ("a,b") has read of each queue; INT64_MAX where
 * `compare` is behind that. Queues of which nobody read what is still there are left out. Returns how many there are. */
size_t core_correction_offsets(struct core *core, struct span topic, struct span filter, struct span compare,
			       struct reset_target out[TOPIC_QUEUE_MAX]);

#endif
