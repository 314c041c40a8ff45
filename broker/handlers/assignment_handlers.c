/* QUERY_ASSIGNMENT (400), SET_MESSAGE_REQUEST_MODE (401), GET_ALL_MESSAGE_REQUEST_MODE (402). */
#include "broker/core/assignment.h"
#include "broker/core/pop.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_pop.h"

static void answer_assignment(struct handlers *handlers, const struct request *request, struct span topic,
			      const struct assignment *assignment, bool known)
{
	struct encoder encoder;
	struct json_writer writer;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);

	if (out == NULL)
		return;
	assignment_answer_begin(&writer, out, known);
	for (size_t i = 0; i < assignment->count; i++) {
		struct message_queue queue = { topic, assignment->queues[i].broker_name, assignment->queues[i].queue_id };

		assignment_answer_add(&writer, &queue, assignment->mode);
	}
	assignment_answer_end(&writer, known);
	answer_end(handlers, &encoder);
}

enum status handle_query_assignment(struct handlers *handlers, const struct request *request)
{
	const struct topic_queues *queues = NULL;
	struct assignment_body body;
	struct assignment assignment;
	enum status status = ST_OK;
	struct errinfo err;

	if (assignment_body_decode(request->command->body, &body, &err) != ST_OK)
		return answer_bad_header(handlers, request, &err);
	if (handlers->routes.find != NULL)
		status = handlers->routes.find(handlers->routes.context, body.topic, &queues);
	if (status == ST_OK) {
		struct assignment_request asked = { body.topic, body.consumer_group, body.client_id, body.strategy, body.broadcasting,
						    queues, span_of(handlers->broker_name) };
		bool known = core_assign(handlers->core, &asked, &assignment);

		answer_assignment(handlers, request, body.topic, &assignment, known);
		assignment_free(&assignment);
	}
	assignment_body_free(&body);
	return status;
}

enum status handle_set_request_mode(struct handlers *handlers, const struct request *request)
{
	struct assignment_body body;
	struct outcome outcome = { 0 };

	if (assignment_body_decode(request->command->body, &body, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_set_request_mode(handlers->core, body.topic, body.consumer_group, (uint32_t)body.mode,
						   body.shared_queues > 0 ? (uint32_t)body.shared_queues : 0, &outcome);
	assignment_body_free(&body);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

struct modes {
	struct json_writer writer;
	struct span topic; /* Whose object is open. */
};

static void put_mode(void *context, struct span topic, struct span group, int32_t mode, int32_t shared_queues)
{
	struct modes *modes = context;

	if (modes->topic.data != topic.data) {
		if (modes->topic.data != NULL)
			json_close(&modes->writer, '}');
		json_key_span(&modes->writer, topic);
		json_open(&modes->writer, '{');
		modes->topic = topic;
	}
	json_key_span(&modes->writer, group);
	request_mode_encode(&modes->writer, topic, group, mode, shared_queues);
}

enum status handle_all_request_modes(struct handlers *handlers, const struct request *request)
{
	struct modes modes = { 0 };
	struct encoder encoder;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);

	if (out == NULL)
		return ST_OK;
	modes.writer = json_writer_of(out);
	json_open(&modes.writer, '{');
	json_key(&modes.writer, "messageRequestModeMap");
	json_open(&modes.writer, '{');
	core_each_request_mode(handlers->core, put_mode, &modes);
	if (modes.topic.data != NULL)
		json_close(&modes.writer, '}');
	json_close(&modes.writer, '}');
	json_close(&modes.writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}
