/* Consuming by POP: the broker gives messages out, each is its client's for a while and is then acknowledged, kept for longer,
 * or given out again (200050-200055, 200151, 401).
 *
 * A check-out is recorded (LOG_POP) before its answer leaves, and so is what becomes of it; the group's consumer offset
 * follows behind the oldest message that is checked out, so that consumers may change between POP and pull. What lapses goes
 * to the group's retry topic for this topic (pop_revive.h); in order, it stays at its place and holds the queue up until it
 * lapses. Handles name the check-out by its time; those that do not fit change nothing.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_POP_H
#define ESCROW_CORE_POP_H

#include "broker/core/core.h"
#include "lib/wire/filter.h"
#include "lib/wire/header_pop.h"
#include "lib/wire/names.h"

struct consumer_group;
struct expression;
struct pop_row;
struct record_pop;

enum { POP_MESSAGES_MAX = 32, POP_REVIVE_IN_ORDER = 999 };

/* A request, resolved, so that it can wait and be run again. A plain value; who waits keeps its
 * expression alive. */
struct pop_request {
	uint32_t topic_id, group_id;
	int32_t queue_id;        /* Negative: all. */
	uint32_t message_max;
	int64_t invisible_ms;
	bool order;
	bool from_end;           /* A group that never read the queue begins at its last message. */
	bool peek;               /* Nothing is checked out. */
	uint64_t attempt;        /* Hash of the attempt's id; 0: none. */
	int64_t wait_ms;         /* How much longer it may wait. */
	struct tag_filter filter;
	struct expression *expression; /* With it; borrowed, but of one that waits. NULL: everything. */
};

/* What was found. The texts and the body lie in the core until the next request. */
struct pop_result {
	uint32_t count;
	int64_t pop_ms;
	uint64_t rest;           /* Messages that are left, about. */
	bool unseen;             /* Nothing fitted so far, but not all was looked at: ask again at once. */
	struct span start_info, offset_info, order_info, body;
};

/* Checks a request as RocketMQ does, in its order, with its codes. */
enum status core_prepare_pop(struct core *core, const struct pop_header *header, struct pop_request *out,
			     struct outcome *outcome) MUST_USE;
/* PEEK_MESSAGE's and NOTIFICATION's requests are prepared from the same header. ST_AGAIN: something must be read first.
 * ST_OK with count 0: nothing is there now. */
enum status core_pop(struct core *core, const struct pop_request *request, struct pop_result *result,
		     struct outcome *outcome) MUST_USE;
/* NOTIFICATION: would a pop find something? */
bool core_pop_has_message(struct core *core, const struct pop_request *request);

/* A message as its client names it. */
struct pop_handle {
	struct span group, topic; /* The topic that it was taken from: perhaps a retry topic. */
	int32_t queue_id;
	int64_t offset;
	int64_t pop_ms;
	int64_t invisible_ms;
	bool order;
};
/* "offset popTime invisibleTime reviveQid retryFlag broker queueId offset" of an ack. ST_INVALID. */
enum status pop_handle_parse(struct span extra_info, struct pop_handle *out, struct errinfo *err) MUST_USE;
/* ACK_MESSAGE. One that is done with already is a success, as in RocketMQ. */
enum status core_pop_ack(struct core *core, const struct pop_handle *handle, struct outcome *outcome) MUST_USE;
/* One of BATCH_ACK_MESSAGE: those with a bit set, counted from handle->offset. What does not fit is passed over. */
enum status core_pop_ack_batch(struct core *core, const struct pop_handle *handle, struct span bits,
			       struct outcome *outcome) MUST_USE;

struct pop_changed {
	int64_t pop_ms, invisible_ms;
};
/* CHANGE_MESSAGE_INVISIBLETIME: from now on `invisible_ms`. */
enum status core_pop_change(struct core *core, const struct pop_handle *handle, int64_t invisible_ms,
			    struct pop_changed *out, struct outcome *outcome) MUST_USE;

/* SET_MESSAGE_REQUEST_MODE. */
enum status core_set_request_mode(struct core *core, struct span topic, struct span group, uint32_t mode,
				  uint32_t shared_queues, struct outcome *outcome) MUST_USE;

/* The group's position in this queue was set by somebody: what is checked out is forgotten. To be called before the OFFSETS
 * record. `lower_only`: only when the position lies below. ST_AGAIN, or a refusal. */
enum status pop_reset_position(struct core *core, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, uint64_t position,
			       bool lower_only, struct outcome *outcome) MUST_USE;

/* --- for the core's own files ----------------------------------------------------------------------------------------- */

/* Appends one POP record and applies it; rows have room. ST_AGAIN without room in the log. */
enum status pop_record(struct core *core, const struct record_pop *events, size_t count, struct outcome *outcome) MUST_USE;
/* The group's consumer offset follows the row; where somebody has set it further on, it stays. */
void pop_note_position(struct core *core, const struct pop_row *row);
/* After replay: consumer offsets follow the rows. ST_NOMEM, ST_FULL. */
enum status pop_replayed(struct core *core, struct errinfo *err) MUST_USE;
/* "%RETRY%group_topic"; SPAN_NONE when that is too long. A retry topic is its own. */
struct span pop_retry_name(struct span group, struct span topic, uint8_t out[LONG_TOPIC_NAME_MAX]);

#endif
