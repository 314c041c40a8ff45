/* LOCK_BATCH_MQ (41), UNLOCK_BATCH_MQ (42). */
#include "broker/core/locks.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_lock.h"

/* The lock may be meant for every broker of the group; each answers for its own queues, and so do we. */
enum status handle_lock_queues(struct handlers *handlers, const struct request *request)
{
	struct lock_body body;
	struct encoder encoder;
	struct json_writer writer;
	struct errinfo err;

	if (lock_body_decode(request->command->body, &body, &err) != ST_OK)
		return answer_bad_header(handlers, request, &err);
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out != NULL) {
		lock_answer_begin(&writer, out);
		for (size_t i = 0; i < body.queue_count; i++) {
			const struct message_queue *queue = &body.queues[i];
			if (core_lock_queue(handlers->core, body.consumer_group, body.client_id, queue->topic, queue->queue_id))
				lock_answer_add(&writer, queue);
		}
		lock_answer_end(&writer);
		answer_end(handlers, &encoder);
	}
	lock_body_free(&body);
	return ST_OK;
}

enum status handle_unlock_queues(struct handlers *handlers, const struct request *request)
{
	struct lock_body body;
	struct outcome outcome = { 0 };

	if (lock_body_decode(request->command->body, &body, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	for (size_t i = 0; i < body.queue_count; i++)
		core_unlock_queue(handlers->core, body.consumer_group, body.client_id, body.queues[i].topic, body.queues[i].queue_id);
	lock_body_free(&body);
	return answer_outcome(handlers, request, &outcome);
}
