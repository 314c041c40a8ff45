/* Where consumers read on, by an operator's word: INVOKE_BROKER_TO_RESET_OFFSET (222) with RESET_CONSUMER_CLIENT_OFFSET (220),
 * CLONE_GROUP_OFFSET (314), QUERY_CORRECTION_OFFSET (308), GET_ALL_CONSUMER_OFFSET (43), GET_ALL_DELAY_OFFSET (45). */
#include <inttypes.h>

#include "broker/core/clients.h"
#include "broker/core/progress.h"
#include "broker/core/resets.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_config.h"
#include "lib/wire/body_offsets.h"
#include "lib/wire/headers.h"

/* What is set, for the operator and for consumers. */
struct reset {
	struct handlers *handlers;
	struct reset_offset_header header;
	struct reset_target targets[TOPIC_QUEUE_MAX];
	struct queue_offset offsets[TOPIC_QUEUE_MAX];
	size_t count;
	int32_t too_old; /* Version of a consumer that cannot be told; -1: all can. */
};

static void fill_offsets(struct reset *reset)
{
	for (size_t i = 0; i < reset->count; i++)
		reset->offsets[i] = (struct queue_offset){ .topic = reset->header.topic,
							   .broker_name = span_of(reset->handlers->broker_name),
							   .queue_id = (int32_t)reset->targets[i].queue_id,
							   .offset = reset->targets[i].offset };
}

static void find_too_old(void *context, uint64_t conn_id, struct span client_id)
{
	struct reset *reset = context;
	struct member_client client;

	(void)client_id;
	if (core_client(reset->handlers->core, conn_id, &client) && client.version < VERSION_3_0_7_SNAPSHOT)
		reset->too_old = client.version;
}

static void tell_consumer(void *context, uint64_t conn_id, struct span client_id)
{
	const struct reset *reset = context;
	struct handlers *handlers = reset->handlers;
	struct member_client client;
	struct encoder encoder;
	struct buffer *out = core_client(handlers->core, conn_id, &client) ?
				     handlers->replies.begin(handlers->replies.context, conn_id, 0) : NULL;

	(void)client_id;
	if (out == NULL)
		return;
	handlers->next_opaque = (handlers->next_opaque + 1) & INT32_MAX;
	command_begin(&encoder, out, SERIALIZE_JSON, REQ_RESET_CONSUMER_CLIENT_OFFSET, handlers->next_opaque, COMMAND_ONEWAY, SPAN_NONE);
	reset_offset_encode(&encoder, &reset->header);
	command_body(&encoder);
	offset_table_encode(out, reset->offsets, reset->count, client.language == LANGUAGE_CPP);
	answer_end(handlers, &encoder);
}

/* The older way: its consumers do it, and there must be some. */
static enum status reset_by_clients(struct reset *reset, const struct reset_request *wanted, struct outcome *outcome)
{
	struct handlers *handlers = reset->handlers;
	enum status status = core_reset_targets(handlers->core, wanted, reset->targets, &reset->count, outcome);

	if (status != ST_OK)
		return status;
	if (core_consumers(handlers->core, wanted->group, find_too_old, reset) == 0)
		return core_refuse(outcome, RESP_CONSUMER_NOT_ONLINE, "Consumer not online, so can not reset offset, Group: %.*s Topic: %.*s "
				   "Timestamp: %" PRId64, SPAN_ARGS(wanted->group), SPAN_ARGS(wanted->topic), wanted->time_ms);
	if (reset->too_old >= 0)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "the client does not support this feature. version=%d", reset->too_old);
	fill_offsets(reset);
	core_consumers(handlers->core, wanted->group, tell_consumer, reset);
	return core_accept(outcome, 0);
}

enum status handle_reset_offset(struct handlers *handlers, const struct request *request)
{
	struct reset reset = { .handlers = handlers, .too_old = -1 };
	const struct reset_offset_header *header = &reset.header;
	struct outcome outcome = { 0 };
	struct encoder encoder;
	enum status status;

	if (reset_offset_decode(request->command, &reset.header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	struct reset_request wanted = { header->topic, header->group, header->timestamp, header->queue_id, header->offset,
					header->is_force };
	if (core_configuration(handlers->core)->server_side_reset)
		status = core_reset_offsets(handlers->core, &wanted, reset.targets, &reset.count, &outcome);
	else
		status = reset_by_clients(&reset, &wanted, &outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	fill_offsets(&reset);
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, outcome.wait_offset, SPAN_NONE, &encoder);
	if (out == NULL)
		return ST_OK;
	command_body(&encoder);
	offset_table_encode(out, reset.offsets, reset.count, false);
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_clone_offset(struct handlers *handlers, const struct request *request)
{
	struct clone_request wanted = { .topic = command_field(request->command, "topic"),
					.offline = command_field_bool(request->command, "offline", false) };
	struct outcome outcome = { 0 };

	if (command_field_text(request->command, "srcGroup", &wanted.from, &outcome.err) != ST_OK ||
	    command_field_text(request->command, "destGroup", &wanted.to, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	enum status status = core_clone_offsets(handlers->core, &wanted, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_correction_offset(struct handlers *handlers, const struct request *request)
{
	struct reset_target offsets[TOPIC_QUEUE_MAX];
	struct encoder encoder;
	struct errinfo err;
	struct span topic;

	if (command_field_text(request->command, "topic", &topic, &err) != ST_OK)
		return answer_bad_header(handlers, request, &err);
	size_t count = core_correction_offsets(handlers->core, topic, command_field(request->command, "filterGroups"),
					       command_field(request->command, "compareGroup"), offsets);
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct json_writer w = json_writer_of(out);
	json_open(&w, '{');
	json_key(&w, "correctionOffsets");
	json_open(&w, '{');
	for (size_t i = 0; i < count; i++) {
		json_key_i64(&w, offsets[i].queue_id, true);
		json_put_i64(&w, offsets[i].offset);
	}
	json_close(&w, '}');
	json_close(&w, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* --- all of them ------------------------------------------------------------------------------------------------ */

struct offset_list {
	struct json_writer w;
	struct span topic, group;
	bool open;
};

/* "topic@group":{"0":12,...} */
static void put_offset(void *context, struct span topic, struct span group, uint32_t queue_id, int64_t offset)
{
	struct offset_list *list = context;
	uint8_t key[1024];

	if (!list->open || !span_equal(list->topic, topic) || !span_equal(list->group, group)) {
		size_t size = topic.size + 1 + group.size;

		if (size > sizeof(key))
			return;
		if (list->open)
			json_close(&list->w, '}');
		memcpy(key, topic.data, topic.size);
		key[topic.size] = '@';
		memcpy(key + topic.size + 1, group.data, group.size);
		json_key_span(&list->w, (struct span){ key, size });
		json_open(&list->w, '{');
		*list = (struct offset_list){ list->w, topic, group, true };
	}
	json_key_i64(&list->w, queue_id, true);
	json_put_i64(&list->w, offset);
}

static enum status answer_offsets(struct handlers *handlers, const struct request *request, bool consumers)
{
	struct offset_list list = { .open = false };
	struct data_version version = { 0 };
	struct encoder encoder;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);

	if (out == NULL)
		return ST_OK;
	list.w = json_writer_of(out);
	json_open(&list.w, '{');
	json_key(&list.w, "dataVersion");
	data_version_encode(&list.w, &version);
	json_key(&list.w, "offsetTable");
	json_open(&list.w, '{');
	if (consumers)
		core_each_offset(handlers->core, put_offset, &list);
	if (list.open)
		json_close(&list.w, '}');
	json_close(&list.w, '}');
	json_close(&list.w, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_all_offsets(struct handlers *handlers, const struct request *request)
{
	return answer_offsets(handlers, request, true);
}

/* Delayed messages do not lie in queues by level here, so there is no progress to tell of. */
enum status handle_all_delay_offsets(struct handlers *handlers, const struct request *request)
{
	return answer_offsets(handlers, request, false);
}
