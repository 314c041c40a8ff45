/* SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), CONSUMER_SEND_MSG_BACK (36), RECALL_MESSAGE (370). */
#include "broker/core/clients.h"
#include "broker/core/produce.h"
#include "broker/core/recall.h"
#include "broker/core/store_address.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/sending.h"
#include "lib/wire/headers.h"
#include "lib/wire/msgid.h"
#include "lib/wire/recall_handle.h"

/* The offset ids, comma-joined for a batch. */
static void put_msg_ids(struct handlers *handlers, struct encoder *encoder, const struct send_result *result)
{
	struct host host = core_store_host(handlers->core);
	char one[MSGID_TEXT_SIZE];
	struct buffer ids;

	if (result->count == 0) {
		command_put_text(encoder, "msgId", "0"); /* As RocketMQ says it of a reply that is not stored. */
		return;
	}
	if (result->count == 1) {
		offset_msg_id_encode(&host, (int64_t)result->log_offset, one);
		command_put_text(encoder, "msgId", one);
		return;
	}
	buffer_init(&ids, (size_t)result->count * MSGID_TEXT_SIZE);
	for (uint32_t i = 0; i < result->count; i++) {
		offset_msg_id_encode(&host, (int64_t)result->log_offsets[i], one);
		if (i > 0)
			buffer_append_text(&ids, ",");
		buffer_append_text(&ids, one);
	}
	command_put(encoder, "msgId", buffer_span(&ids));
	encoder->out->failed |= ids.failed;
	buffer_deinit(&ids);
}

void put_sent(struct handlers *handlers, struct encoder *encoder, const struct send_result *result)
{
	put_msg_ids(handlers, encoder, result);
	command_put_i64(encoder, "queueId", result->queue_id);
	command_put_i64(encoder, "queueOffset", (int64_t)result->queue_offset);
	command_put_text(encoder, "MSG_REGION", "DefaultRegion");
	command_put_text(encoder, "TRACE_ON", "true");
}

/* A timer message whose names are too long for a handle goes without one. */
static void put_recall_handle(struct handlers *handlers, struct span topic, struct encoder *encoder,
			      const struct send_result *result)
{
	struct recall_handle handle = { topic, span_of(handlers->broker_name), result->recall_at_ms, span_of(result->unique_key) };
	struct buffer text;

	buffer_init(&text, RECALL_HANDLE_TEXT_MAX);
	if (recall_handle_append(&text, &handle) == ST_OK)
		command_put(encoder, "recallHandle", buffer_span(&text));
	encoder->out->failed |= text.failed;
	buffer_deinit(&text);
}

static void answer_sent(struct handlers *handlers, const struct request *request, struct span topic,
			const struct send_result *result, uint64_t wait_offset)
{
	struct encoder encoder;

	if (answer_begin(handlers, request, RESP_SUCCESS, wait_offset, SPAN_NONE, &encoder) == NULL)
		return;
	put_sent(handlers, &encoder, result);
	command_put_text(&encoder, "transactionId", result->unique_key);
	if (result->recall_at_ms != 0)
		put_recall_handle(handlers, topic, &encoder, result);
	answer_end(handlers, &encoder);
}

struct send_request send_request_of(struct handlers *handlers, const struct request *request, const struct send_header *header)
{
	return (struct send_request){
		.producer_group = header->producer_group, .topic = header->topic, .default_topic = header->default_topic,
		.default_topic_queue_nums = header->default_topic_queue_nums, .queue_id = header->queue_id,
		.sys_flag = header->sys_flag, .born_timestamp = header->born_timestamp, .born_host = request->peer,
		.flag = header->flag, .properties = header->properties, .body = request->command->body,
		.reconsume_times = header->reconsume_times, .max_reconsume_times = header->max_reconsume_times,
		.batch = header->batch, .unit_mode = header->unit_mode, .conn_id = request->conn_id,
		.client_id = core_client_id(handlers->core, request->conn_id),
	};
}

enum status handle_send(struct handlers *handlers, const struct request *request)
{
	struct send_header header;
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	if (send_header_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	struct send_request send = send_request_of(handlers, request, &header);
	enum status status = core_send(handlers->core, &send, &result, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	answer_sent(handlers, request, header.topic, &result, outcome.wait_offset);
	return ST_OK;
}

enum status handle_send_back(struct handlers *handlers, const struct request *request)
{
	struct send_back_header header;
	struct outcome outcome = { 0 };

	if (send_back_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	struct send_back_request back = {
		.group = header.group, .log_offset = (uint64_t)header.offset, .delay_level = header.delay_level,
		.origin_msg_id = header.origin_msg_id, .max_reconsume_times = header.max_reconsume_times,
	};
	enum status status = core_send_back(handlers->core, &back, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_recall(struct handlers *handlers, const struct request *request)
{
	struct recall_request recall = {
		.topic = command_field(request->command, "topic"), .handle = command_field(request->command, "recallHandle"),
		.client_id = core_client_id(handlers->core, request->conn_id),
	};
	char unique_key[RECALL_KEY_MAX];
	struct outcome outcome = { 0 };
	struct encoder encoder;

	enum status status = core_recall(handlers->core, &recall, unique_key, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	if (answer_begin(handlers, request, RESP_SUCCESS, outcome.wait_offset, SPAN_NONE, &encoder) == NULL)
		return ST_OK;
	command_put_text(&encoder, "msgId", unique_key);
	command_put_text(&encoder, "MSG_REGION", "DefaultRegion");
	answer_end(handlers, &encoder);
	return ST_OK;
}
