/* Consumers' progress and the positions of queues: 14, 15, 29, 30, 31, 32, and the checks in front of a pull.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_PROGRESS_H
#define ESCROW_CORE_PROGRESS_H

#include "broker/core/core.h"
#include "broker/core/holds.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/header_pull.h"

/* UPDATE_CONSUMER_OFFSET. `lasting`: the answer waits for the record (a two-way request); otherwise the value is live
 * at once and recorded within config.offset_flush_interval_ms. */
enum status core_update_offset(struct core *core, struct span group, struct span topic, int32_t queue_id, int64_t offset,
			       bool lasting, struct outcome *outcome) MUST_USE;
/* QUERY_CONSUMER_OFFSET. What is told waits for a record that carries it, as consumers go on from there: no power cut unsays it.
 * Nothing known: 0 for a young queue (unless !zero_if_unknown), else the refusal 22. */
enum status core_query_offset(struct core *core, struct span group, struct span topic, int32_t queue_id,
			      bool zero_if_unknown, int64_t *offset_out, struct outcome *outcome) MUST_USE;

struct queue_range {
	uint64_t min_offset;
	uint64_t max_offset; /* One past the last committed. */
};
/* Also of a queue that the topic no longer has, if something was put there: it comes back as it was. */
enum status core_queue_range(struct core *core, struct span topic, int32_t queue_id, struct queue_range *out,
			     struct outcome *outcome) MUST_USE;
/* SEARCH_OFFSET_BY_TIMESTAMP. ST_AGAIN: an index page must be read first. */
enum status core_search_offset(struct core *core, struct span topic, int32_t queue_id, int64_t time_ms, bool upper,
			       uint64_t *offset_out, struct outcome *outcome) MUST_USE;
/* GET_EARLIEST_MSG_STORETIME: -1 for an empty queue. */
enum status core_earliest_time(struct core *core, struct span topic, int32_t queue_id, int64_t *time_out,
			       struct outcome *outcome) MUST_USE;

/* CHECK_CLIENT_CONFIG: would this subscription be served? The refusal names the position of what is wrong with it. */
enum status core_check_subscription(struct core *core, const struct subscription_data *said,
				    struct outcome *outcome) MUST_USE;
/* Checks a pull against group, topic and subscription (RocketMQ's order and codes), resolves it, and stores the offset
 * that rides on it. What *out borrows lasts until the next pull or heartbeat. */
enum status core_prepare_pull(struct core *core, const struct pull_header *header, struct pull_request *out,
			      struct outcome *outcome) MUST_USE;
/* The filter that a request brings along. What it says in full is borrowed until the next pull; NULL: everything. */
enum status progress_own_filter(struct core *core, struct span type, struct span text, struct tag_filter *filter,
				struct expression **expression, struct outcome *outcome) MUST_USE;
/* Young: its first message is near the log's end, or there is none yet. A group that never read it then starts at its
 * beginning, whatever the client says; RocketMQ's rule ("offset 0 is still in memory"). */
bool progress_is_young(const struct core *core, const struct queue *queue);
/* The place of an offset, so that a record of it can be applied. Refuses with SYSTEM_BUSY at the limit (offsets.h). */
enum status progress_reserve_offset(struct core *core, uint32_t topic_id, uint32_t group_id, uint32_t queue_id,
				    struct outcome *outcome) MUST_USE;
/* Appends one OFFSETS record, of at most RECORD_OFFSETS_MAX values with reserved places, and applies it. */
struct record_offset;
enum status progress_record_offsets(struct core *core, const struct record_offset *offsets, size_t count,
				    struct outcome *outcome) MUST_USE;
/* A pull that found nothing waits; effects.hold_ready answers it. False: no room for another one, answer now. */
bool core_hold_pull(struct core *core, const struct pull_request *request, uint64_t conn_id, int32_t opaque,
		    uint8_t serialize_type, int64_t timeout_ms);

#endif
