/* What is asked of consumers through the broker: GET_CONSUMER_RUNNING_INFO (307), CONSUME_MESSAGE_DIRECTLY (309), and
 * INVOKE_BROKER_TO_GET_CONSUMER_STATUS (223), for which each consumer is asked GET_CONSUMER_STATUS_FROM_CLIENT (221). */
#include "broker/core/clients.h"
#include "broker/core/settings.h"
#include "broker/core/stored.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/msgid.h"

/* --- one consumer ---------------------------------------------------------------------------------------------- */

struct wanted_consumer {
	struct span client_id; /* Empty: any. */
	uint64_t conn_id;
	bool found;
};

static void match_consumer(void *context, uint64_t conn_id, struct span client_id)
{
	struct wanted_consumer *wanted = context;

	if (wanted->found || (wanted->client_id.size > 0 && !span_equal(wanted->client_id, client_id)))
		return;
	wanted->found = true;
	wanted->client_id = client_id;
	wanted->conn_id = conn_id;
}

/* The consumer that is to be asked; RocketMQ's refusals when there is none, or one that is too old to answer. */
static enum status find_consumer(struct handlers *handlers, struct span group, struct wanted_consumer *wanted,
				 struct outcome *outcome)
{
	struct member_client client;

	core_consumers(handlers->core, group, match_consumer, wanted);
	if (!wanted->found || !core_client(handlers->core, wanted->conn_id, &client))
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "The Consumer <%.*s> <%.*s> not online", SPAN_ARGS(group),
				   SPAN_ARGS(wanted->client_id));
	if (client.version < VERSION_3_1_8_SNAPSHOT)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "The Consumer <%.*s> Version <%d> too low to finish, please upgrade it to "
				   "V3_1_8_SNAPSHOT", SPAN_ARGS(wanted->client_id), client.version);
	return ST_OK;
}

static enum status cannot_ask(struct handlers *handlers, const struct request *request, struct relay_job *job)
{
	relay_job_drop(job);
	handlers_refuse(handlers, request, RESP_SYSTEM_BUSY,
			"the consumer cannot be asked now: it is just going away, or too many questions are under way");
	return ST_OK;
}

/* Hands the request on with what the asker put into its fields; `message` may be NULL. */
static enum status hand_on(struct handlers *handlers, const struct request *request, const struct wanted_consumer *wanted,
			   const struct stored_message *message)
{
	struct encoder encoder;
	struct relay_job *job = relay_job_begin(request, false);
	struct buffer *out = job == NULL ? NULL : relay_ask_begin(handlers, job, wanted->conn_id, wanted->client_id,
								  request->command->code, &encoder);

	if (out == NULL)
		return cannot_ask(handlers, request, job);
	relay_put_fields(&encoder, request->command);
	if (message != NULL)
		command_put_text(&encoder, "brokerName", handlers->broker_name);
	command_body(&encoder);
	uint8_t *at = message == NULL ? NULL : buffer_reserve(out, message_size(&message->message));
	if (at != NULL)
		buffer_commit(out, message_encode(&message->message, at));
	relay_ask_end(handlers, &encoder);
	relay_job_asked(handlers, job);
	return ST_OK;
}

enum status handle_running_info(struct handlers *handlers, const struct request *request)
{
	struct wanted_consumer wanted = { .client_id = command_field(request->command, "clientId") };
	struct outcome outcome = { 0 };
	struct span group;

	if (command_field_text(request->command, "consumerGroup", &group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (find_consumer(handlers, group, &wanted, &outcome) != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	return hand_on(handlers, request, &wanted, NULL);
}

enum status handle_consume_directly(struct handlers *handlers, const struct request *request)
{
	struct wanted_consumer wanted = { .client_id = command_field(request->command, "clientId") };
	struct outcome outcome = { 0 };
	struct stored_message stored;
	struct span group, id;
	struct host host;
	int64_t offset;

	if (command_field_text(request->command, "consumerGroup", &group, &outcome.err) != ST_OK ||
	    command_field_text(request->command, "msgId", &id, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (offset_msg_id_decode(id, &host, &offset) != ST_OK) {
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, "msgId is not the offset id of a message");
		return ST_OK;
	}
	if (find_consumer(handlers, group, &wanted, &outcome) != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	enum status status = core_stored_message(handlers->core, (uint64_t)offset, &stored, &outcome.err);
	if (status == ST_AGAIN)
		return status;
	if (status == ST_OK)
		return hand_on(handlers, request, &wanted, &stored);
	handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, outcome.err.text);
	return ST_OK;
}

/* --- all of a group ------------------------------------------------------------------------------------------------- */

struct status_question {
	struct handlers *handlers;
	struct relay_job *job;
	struct span topic, group, client_id;
};

static void ask_status(void *context, uint64_t conn_id, struct span client_id)
{
	const struct status_question *question = context;
	struct member_client client;
	struct encoder encoder;

	if (question->client_id.size > 0 && !span_equal(question->client_id, client_id))
		return;
	if (!core_client(question->handlers->core, conn_id, &client) || client.version < VERSION_3_0_7_SNAPSHOT)
		return;
	if (relay_ask_begin(question->handlers, question->job, conn_id, client_id, REQ_GET_CONSUMER_STATUS_FROM_CLIENT, &encoder) == NULL)
		return;
	command_put(&encoder, "topic", question->topic);
	command_put(&encoder, "group", question->group);
	relay_ask_end(question->handlers, &encoder);
}

enum status handle_consumer_status(struct handlers *handlers, const struct request *request)
{
	struct status_question question = { .handlers = handlers, .client_id = command_field(request->command, "clientAddr") };
	struct outcome outcome = { 0 };

	if (command_field_text(request->command, "topic", &question.topic, &outcome.err) != ST_OK ||
	    command_field_text(request->command, "group", &question.group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (core_consumers(handlers->core, question.group, NULL, NULL) == 0) {
		(void)!core_refuse(&outcome, RESP_SYSTEM_ERROR, "No Any Consumer online in the consumer group: [%.*s]",
				   SPAN_ARGS(question.group));
		return answer_outcome(handlers, request, &outcome);
	}
	question.job = relay_job_begin(request, true);
	if (question.job == NULL)
		return cannot_ask(handlers, request, NULL);
	core_consumers(handlers->core, question.group, ask_status, &question);
	relay_job_asked(handlers, question.job);
	return ST_OK;
}
