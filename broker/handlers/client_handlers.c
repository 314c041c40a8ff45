/* HEART_BEAT (34), UNREGISTER_CLIENT (35), CHECK_CLIENT_CONFIG (46), GET_CONSUMER_LIST_BY_GROUP (38), NOTIFY_CONSUMER_IDS_CHANGED (40). */
#include "broker/core/clients.h"
#include "broker/core/progress.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"

enum status handle_heartbeat(struct handlers *handlers, const struct request *request)
{
	const struct command *command = request->command;
	struct heartbeat heartbeat;
	struct outcome outcome = { 0 };

	if (heartbeat_decode(command->body, &heartbeat, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_heartbeat(handlers->core, request->conn_id, &request->peer, command->language,
					    command->version, &heartbeat, &outcome);
	heartbeat_free(&heartbeat);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_unregister(struct handlers *handlers, const struct request *request)
{
	struct unregister_client_header header;
	struct outcome outcome = { 0 };

	if (unregister_client_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	core_unregister(handlers->core, request->conn_id, header.producer_group, header.consumer_group);
	return answer_outcome(handlers, request, &outcome);
}

enum status handle_check_client(struct handlers *handlers, const struct request *request)
{
	struct subscription_data said;
	struct json_doc doc;
	struct outcome outcome = { 0 };

	if (check_client_decode(request->command->body, &said, &doc, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (said.topic.size > 0)
		(void)!core_check_subscription(handlers->core, &said, &outcome);
	json_doc_free(&doc);
	return answer_outcome(handlers, request, &outcome);
}

struct list_context {
	struct json_writer writer;
	size_t count;
};

static void add_consumer(void *context, uint64_t conn_id, struct span client_id)
{
	struct list_context *list = context;

	(void)conn_id;
	consumer_list_add(&list->writer, client_id);
	list->count++;
}

enum status handle_consumer_list(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	struct encoder encoder;
	struct list_context list = { 0 };
	struct span group;

	if (consumer_group_decode(request->command, &group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (core_consumers(handlers->core, group, NULL, NULL) == 0) {
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, "no consumer for this group");
		return ST_OK;
	}
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	consumer_list_begin(&list.writer, out);
	core_consumers(handlers->core, group, add_consumer, &list);
	consumer_list_end(&list.writer);
	answer_end(handlers, &encoder);
	return ST_OK;
}

void handlers_notify_consumer(struct handlers *handlers, uint64_t conn_id, struct span group)
{
	struct encoder encoder;
	struct buffer *out = handlers->replies.begin(handlers->replies.context, conn_id, 0);

	if (out == NULL)
		return;
	handlers->next_opaque = (handlers->next_opaque + 1) & INT32_MAX;
	command_begin(&encoder, out, SERIALIZE_JSON, REQ_NOTIFY_CONSUMER_IDS_CHANGED, handlers->next_opaque, COMMAND_ONEWAY,
		      SPAN_NONE);
	consumer_group_encode(&encoder, group);
	answer_end(handlers, &encoder);
}
