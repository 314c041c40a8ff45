#include "broker/handlers/handlers.h"

#include <stdio.h>

struct buffer *answer_begin(struct handlers *handlers, const struct request *request, int32_t code, uint64_t wait_offset,
			    struct span remark, struct encoder *encoder)
{
	const struct command *command = request->command;

	if (command_is_oneway(command))
		return NULL;
	struct buffer *out = handlers->replies.begin(handlers->replies.context, request->conn_id, wait_offset);
	if (out != NULL)
		command_begin(encoder, out, command->serialize_type, code, command->opaque, COMMAND_RESPONSE, remark);
	return out;
}

struct buffer *answer_begin_body(struct handlers *handlers, const struct request *request, struct encoder *encoder)
{
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, encoder);

	if (out != NULL)
		command_body(encoder);
	return out;
}

void answer_end(struct handlers *handlers, struct encoder *encoder)
{
	/* On failure nothing was added, and the buffer's `failed` makes the shell close the connection. */
	if (!command_end(encoder))
		encoder->out->failed = true;
	handlers->replies.end(handlers->replies.context);
}

enum status answer_outcome(struct handlers *handlers, const struct request *request, const struct outcome *outcome)
{
	struct encoder encoder;
	struct span remark = outcome->code == RESP_SUCCESS ? SPAN_NONE : span_of(outcome->err.text);

	if (answer_begin(handlers, request, outcome->code, outcome->wait_offset, remark, &encoder) != NULL)
		answer_end(handlers, &encoder);
	return ST_OK;
}

void handlers_refuse(struct handlers *handlers, const struct request *request, int32_t code, const char *remark)
{
	struct outcome outcome = { .code = code };

	snprintf(outcome.err.text, sizeof(outcome.err.text), "%s", remark);
	(void)answer_outcome(handlers, request, &outcome);
}

enum status answer_bad_header(struct handlers *handlers, const struct request *request, const struct errinfo *err)
{
	handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, err->text);
	return ST_OK;
}

static enum status not_supported(struct handlers *handlers, const struct request *request)
{
	char remark[64];

	snprintf(remark, sizeof(remark), " request type %d not supported", request->command->code);
	handlers_refuse(handlers, request, RESP_REQUEST_CODE_NOT_SUPPORTED, remark);
	return ST_OK;
}

/* What clients send while they produce and consume. NULL: nothing of that. */
static handler client_handler(int32_t code)
{
	switch (code) {
	case REQ_SEND_MESSAGE:
	case REQ_SEND_MESSAGE_V2:
	case REQ_SEND_BATCH_MESSAGE: return handle_send;
	case REQ_SEND_REPLY_MESSAGE:
	case REQ_SEND_REPLY_MESSAGE_V2: return handle_send_reply;
	case REQ_RECALL_MESSAGE: return handle_recall;
	case REQ_END_TRANSACTION: return handle_end_transaction;
	case REQ_RESUME_CHECK_HALF_MESSAGE: return handle_resume_check;
	case REQ_PULL_MESSAGE:
	case REQ_LITE_PULL_MESSAGE: return handle_pull;
	case REQ_POP_MESSAGE: return handle_pop;
	case REQ_PEEK_MESSAGE: return handle_peek;
	case REQ_NOTIFICATION: return handle_notification;
	case REQ_POLLING_INFO: return handle_polling_info;
	case REQ_ACK_MESSAGE: return handle_pop_ack;
	case REQ_BATCH_ACK_MESSAGE: return handle_pop_ack_batch;
	case REQ_CHANGE_MESSAGE_INVISIBLETIME: return handle_pop_change;
	case REQ_QUERY_ASSIGNMENT: return handle_query_assignment;
	case REQ_SET_MESSAGE_REQUEST_MODE: return handle_set_request_mode;
	case REQ_GET_ALL_MESSAGE_REQUEST_MODE: return handle_all_request_modes;
	case REQ_QUERY_CONSUMER_OFFSET: return handle_query_offset;
	case REQ_UPDATE_CONSUMER_OFFSET: return handle_update_offset;
	case REQ_SEARCH_OFFSET_BY_TIMESTAMP: return handle_search_offset;
	case REQ_GET_MAX_OFFSET: return handle_max_offset;
	case REQ_GET_MIN_OFFSET: return handle_min_offset;
	case REQ_GET_EARLIEST_MSG_STORETIME: return handle_earliest_time;
	case REQ_QUERY_MESSAGE: return handle_query_message;
	case REQ_VIEW_MESSAGE_BY_ID: return handle_view_message;
	case REQ_HEART_BEAT: return handle_heartbeat;
	case REQ_CHECK_CLIENT_CONFIG: return handle_check_client;
	case REQ_UNREGISTER_CLIENT: return handle_unregister;
	case REQ_CONSUMER_SEND_MSG_BACK: return handle_send_back;
	case REQ_GET_CONSUMER_LIST_BY_GROUP: return handle_consumer_list;
	case REQ_LOCK_BATCH_MQ: return handle_lock_queues;
	case REQ_UNLOCK_BATCH_MQ: return handle_unlock_queues;
	default: return NULL;
	}
}

/* What tools send. */
static handler admin_handler(int32_t code)
{
	switch (code) {
	case REQ_UPDATE_AND_CREATE_TOPIC: return handle_create_topic;
	case REQ_GET_TOPIC_CONFIG: return handle_get_topic;
	case REQ_GET_ALL_TOPIC_CONFIG: return handle_all_topics;
	case REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP: return handle_create_group;
	case REQ_GET_SUBSCRIPTIONGROUP_CONFIG: return handle_get_group;
	case REQ_GET_ALL_SUBSCRIPTIONGROUP_CONFIG: return handle_all_groups;
	case REQ_UPDATE_AND_CREATE_TOPIC_LIST: return handle_create_topics;
	case REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST: return handle_create_groups;
	case REQ_GET_CONSUMER_RUNNING_INFO: return handle_running_info;
	case REQ_CONSUME_MESSAGE_DIRECTLY: return handle_consume_directly;
	case REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS: return handle_consumer_status;
	case REQ_INVOKE_BROKER_TO_RESET_OFFSET: return handle_reset_offset;
	case REQ_CLONE_GROUP_OFFSET: return handle_clone_offset;
	case REQ_QUERY_CORRECTION_OFFSET: return handle_correction_offset;
	case REQ_GET_ALL_CONSUMER_OFFSET: return handle_all_offsets;
	case REQ_GET_ALL_DELAY_OFFSET: return handle_all_delay_offsets;
	case REQ_UPDATE_BROKER_CONFIG: return handle_update_config;
	case REQ_GET_BROKER_CONFIG: return handle_get_config;
	case REQ_DELETE_TOPIC_IN_BROKER: return handle_delete_topic;
	case REQ_DELETE_SUBSCRIPTIONGROUP: return handle_delete_group;
	case REQ_UPDATE_AND_GET_GROUP_FORBIDDEN: return handle_group_forbidden;
	case REQ_CLEAN_EXPIRED_CONSUMEQUEUE:
	case REQ_CLEAN_UNUSED_TOPIC:
	case REQ_DELETE_EXPIRED_COMMITLOG: return handle_clean;
	case REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER: return handle_system_topics;
	case REQ_GET_TOPIC_STATS_INFO: return handle_topic_stats;
	case REQ_GET_CONSUME_STATS: return handle_consume_stats;
	case REQ_GET_BROKER_CONSUME_STATS: return handle_broker_consume_stats;
	case REQ_QUERY_CONSUME_TIME_SPAN: return handle_time_span;
	case REQ_QUERY_CONSUME_QUEUE: return handle_query_queue;
	case REQ_VIEW_BROKER_STATS_DATA: return handle_stats_data;
	case REQ_GET_CONSUMER_CONNECTION_LIST: return handle_consumer_connections;
	case REQ_GET_PRODUCER_CONNECTION_LIST: return handle_producer_connections;
	case REQ_GET_ALL_PRODUCER_INFO: return handle_all_producers;
	case REQ_QUERY_TOPIC_CONSUME_BY_WHO: return handle_consume_by_who;
	case REQ_QUERY_TOPICS_BY_CONSUMER: return handle_topics_by_consumer;
	case REQ_QUERY_SUBSCRIPTION_BY_CONSUMER: return handle_subscription_by_consumer;
	case REQ_GET_BROKER_RUNTIME_INFO: return handle_runtime_info;
	case REQ_GET_BROKER_HA_STATUS: return handle_ha_status;
	default: return not_supported;
	}
}

enum status handlers_serve(struct handlers *handlers, const struct request *request)
{
	handler serve = client_handler(request->command->code);

	if (serve == NULL)
		serve = admin_handler(request->command->code);
	core_begin_request(handlers->core);
	return serve(handlers, request);
}
