/* Bodies of consuming by POP: BATCH_ACK_MESSAGE (200151), QUERY_ASSIGNMENT (400), SET_MESSAGE_REQUEST_MODE (401) and
 * GET_ALL_MESSAGE_REQUEST_MODE (402).
 *
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_POP_H
#define ESCROW_WIRE_BODY_POP_H

#include "lib/wire/message_queue.h"

/* Several messages of one check-out. */
struct batch_ack {
	struct span consumer_group, topic, retry; /* retry: "0", or "1" and "2" for the group's retry topics. */
	int64_t start_offset;
	int32_t queue_id;
	int32_t revive_queue_id;
	int64_t pop_ms;
	int64_t invisible_ms;
	struct span bits;  /* Bit i % 8 of byte i / 8: offset start_offset + i. */
};

/* Spans live until batch_ack_body_free. */
struct batch_ack_body {
	struct json_doc doc;
	const struct batch_ack *acks;
	size_t ack_count;
};
/* ST_INVALID, ST_TOOBIG, ST_NOMEM. What is no ack in it is left out. */
enum status batch_ack_body_decode(struct span body, struct batch_ack_body *out, struct errinfo *err) MUST_USE;
void batch_ack_body_free(struct batch_ack_body *body);

enum message_request_mode { MESSAGE_REQUEST_PULL, MESSAGE_REQUEST_POP };

/* Spans live until assignment_body_free; shared by 400 and 401. */
struct assignment_body {
	struct json_doc doc;
	struct span topic, consumer_group, client_id, strategy;
	bool broadcasting;
	int32_t mode;
	int32_t shared_queues;
};
/* ST_INVALID: no JSON object, or topic or group are missing; ST_TOOBIG, ST_NOMEM. */
enum status assignment_body_decode(struct span body, struct assignment_body *out, struct errinfo *err) MUST_USE;
void assignment_body_free(struct assignment_body *body);

/* The answer to 400: begin, the queues that are the client's, end. `known` false: nothing is known, the client keeps what it has. */
void assignment_answer_begin(struct json_writer *writer, struct buffer *out, bool known);
void assignment_answer_add(struct json_writer *writer, const struct message_queue *queue, int32_t mode);
void assignment_answer_end(struct json_writer *writer, bool known);

/* One of 402's. */
void request_mode_encode(struct json_writer *writer, struct span topic, struct span group, int32_t mode, int32_t shared_queues);

#endif
