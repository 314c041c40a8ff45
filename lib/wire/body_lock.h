/* Bodies of 41 LOCK_BATCH_MQ and 42 UNLOCK_BATCH_MQ: which queues does a client of a group want to own, and which does it?
 *
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_LOCK_H
#define ESCROW_WIRE_BODY_LOCK_H

#include "lib/wire/message_queue.h"

/* Spans live until lock_body_free. */
struct lock_body {
	struct json_doc doc;
	struct span consumer_group, client_id;
	const struct message_queue *queues;
	size_t queue_count;
};

/* ST_INVALID: no JSON object, or group or client id are missing; ST_TOOBIG, ST_NOMEM. */
enum status lock_body_decode(struct span body, struct lock_body *out, struct errinfo *err) MUST_USE;
void lock_body_free(struct lock_body *body);

/* The answer to 41: begin, the queues that are the client's, end. */
void lock_answer_begin(struct json_writer *writer, struct buffer *out);
void lock_answer_add(struct json_writer *writer, const struct message_queue *queue);
void lock_answer_end(struct json_writer *writer);

#endif
