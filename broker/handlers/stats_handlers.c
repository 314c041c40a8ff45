/* How far queues and their readers are: GET_TOPIC_STATS_INFO (202), GET_CONSUME_STATS (208), GET_BROKER_CONSUME_STATS (317),
 * QUERY_CONSUME_TIME_SPAN (303), QUERY_CONSUME_QUEUE (321), VIEW_BROKER_STATS_DATA (315). */
#include <stdio.h>
#include <string.h>

#include "broker/core/inspect.h"
#include "broker/core/settings.h"
#include "broker/core/store_address.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/body_stats.h"
#include "lib/wire/headers.h"
#include "lib/wire/names.h"

enum { QUEUE_ENTRIES_MAX = 1000, ANSWER_BYTES_MAX = 12 * 1024 * 1024 };

/* An answer's body that is made before it is known that nothing must be read first. */
struct stats_body {
	struct handlers *handlers;
	struct buffer bytes;
	struct json_writer writer;
	enum status status; /* The first one that was not ST_OK. */
	struct errinfo err;
	const struct consumer_group *group;
	struct span only_topic; /* Empty: all. */
	double tps;
	int64_t diff;
	bool is_order;
};

static void body_begin(struct stats_body *body, struct handlers *handlers)
{
	*body = (struct stats_body){ .handlers = handlers };
	buffer_init(&body->bytes, ANSWER_BYTES_MAX);
	body->writer = json_writer_of(&body->bytes);
}

/* Sends the body, or what was in its way. */
static enum status body_end(struct stats_body *body, const struct request *request)
{
	struct encoder encoder;
	enum status status = body->status;

	if (status == ST_OK && body->bytes.failed)
		status = errinfo_set(&body->err, ST_TOOBIG, "the answer would be larger than %d bytes: ask for one topic or group",
				     ANSWER_BYTES_MAX);
	if (status == ST_OK) {
		struct buffer *out = answer_begin_body(body->handlers, request, &encoder);
		if (out != NULL) {
			buffer_append_span(out, buffer_span(&body->bytes));
			answer_end(body->handlers, &encoder);
		}
	} else if (status != ST_AGAIN) {
		handlers_refuse(body->handlers, request, RESP_SYSTEM_ERROR, body->err.text);
	}
	buffer_deinit(&body->bytes);
	return status == ST_AGAIN ? ST_AGAIN : ST_OK;
}

static struct message_queue queue_name(const struct handlers *handlers, const struct topic *topic, uint32_t queue_id)
{
	return (struct message_queue){ topic->name, span_of(handlers->broker_name), (int32_t)queue_id };
}

static const struct topic *find_topic(struct handlers *handlers, const struct request *request, struct span name)
{
	char remark[LONG_TOPIC_NAME_MAX + 64];
	const struct topic *topic = topics_find(core_topics(handlers->core), name);

	if (topic != NULL)
		return topic;
	snprintf(remark, sizeof(remark), "topic[%.*s] not exist", SPAN_ARGS(name));
	handlers_refuse(handlers, request, RESP_TOPIC_NOT_EXIST, remark);
	return NULL;
}

static struct statistics_view view(const struct handlers *handlers, uint32_t topic_id, uint32_t group_id)
{
	struct statistics_view out;

	(void)statistics_view(core_statistics(handlers->core), topic_id, group_id, STATISTICS_COUNT, core_now_ms(handlers->core), &out);
	return out;
}

/* --- 202 ---------------------------------------------------------------------------------------------------------- */

enum status handle_topic_stats(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome;
	struct stats_body body;
	struct span name;

	if (topic_header_decode(request->command, &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = find_topic(handlers, request, name);
	if (topic == NULL)
		return ST_OK;
	body_begin(&body, handlers);
	topic_stats_begin(&body.writer, &body.bytes);
	for (uint32_t id = 0; id < topic_queue_nums(topic) && body.status == ST_OK; id++) {
		struct inspected_queue queue;
		body.status = inspect_queue(handlers->core, topic, id, &queue, &body.err);
		struct topic_stats_item item = { queue_name(handlers, topic, id), queue.min_offset, queue.max_offset, queue.newest_ms };
		topic_stats_add(&body.writer, &item);
	}
	topic_stats_end(&body.writer, view(handlers, topic->id, 0).minute.per_second);
	return body_end(&body, request);
}

/* --- 208 ---------------------------------------------------------------------------------------------------------- */

/* The group's place in each queue of a topic. A topic that its consumers do not subscribe to any more is left out. */
static void add_topic(void *context, const struct topic *topic)
{
	struct stats_body *body = context;
	const struct members *members = core_members(body->handlers->core);
	size_t subscribed;

	if (body->only_topic.size > 0 && !span_equal(topic->name, body->only_topic))
		return;
	(void)members_subscriptions(members, body->group->id, &subscribed);
	if (subscribed > 0 && members_subscription(members, body->group->id, topic->id) == NULL)
		return;
	for (uint32_t id = 0; id < topic->settings.read_queue_nums && body->status == ST_OK; id++) {
		struct inspected_reader reader;
		body->status = inspect_reader(body->handlers->core, topic, id, body->group, &reader, &body->err);
		struct consume_stats_item item = { queue_name(body->handlers, topic, id), reader.broker_offset, reader.consumer_offset,
						   reader.consumer_offset, reader.last_ms };
		consume_stats_add(&body->writer, &item);
		body->diff += (int64_t)reader.broker_offset - (int64_t)reader.consumer_offset;
	}
	body->tps += view(body->handlers, topic->id, body->group->id).minute.per_second;
}

enum status handle_consume_stats(struct handlers *handlers, const struct request *request)
{
	struct stats_body body;
	struct outcome outcome;
	struct span name, topic_name = command_field(request->command, "topic");

	if (command_field_text(request->command, "consumerGroup", &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	body_begin(&body, handlers);
	body.group = groups_find(core_groups(handlers->core), name);
	body.only_topic = topic_name;
	consume_stats_begin(&body.writer);
	const struct topic *topic = topics_find(core_topics(handlers->core), topic_name);
	if (body.group != NULL && topic != NULL)
		add_topic(&body, topic);
	else if (body.group != NULL && topic_name.size == 0)
		inspect_topics_of(handlers->core, body.group, add_topic, &body);
	consume_stats_end(&body.writer, body.tps);
	return body_end(&body, request);
}

/* --- 317 ---------------------------------------------------------------------------------------------------------- */

/* [{"offsetTable":..}] of one topic. */
static void add_topic_apart(void *context, const struct topic *topic)
{
	struct stats_body *body = context;

	if (body->is_order && !topic->settings.order)
		return;
	body->tps = 0;
	consume_stats_begin(&body->writer);
	add_topic(body, topic);
	consume_stats_end(&body->writer, body->tps);
}

enum status handle_broker_consume_stats(struct handlers *handlers, const struct request *request)
{
	struct host host = core_store_host(handlers->core);
	struct stats_body body;
	char address[HOST_TEXT_SIZE];

	body_begin(&body, handlers);
	body.is_order = span_is(command_field(request->command, "isOrder"), "true");
	json_open(&body.writer, '{');
	json_member_put_text(&body.writer, "brokerAddr", host_text(&host, address));
	json_key(&body.writer, "consumeStatsList");
	json_open(&body.writer, '[');
	for (const struct consumer_group *group = groups_first(core_groups(handlers->core)); group != NULL && body.status == ST_OK;
	     group = groups_next(group)) {
		body.group = group;
		json_open(&body.writer, '{');
		json_key_span(&body.writer, group->name);
		json_open(&body.writer, '[');
		inspect_topics_of(handlers->core, group, add_topic_apart, &body);
		json_close(&body.writer, ']');
		json_close(&body.writer, '}');
	}
	json_close(&body.writer, ']');
	json_member_put_i64(&body.writer, "totalDiff", body.diff);
	json_member_put_i64(&body.writer, "totalInflightDiff", 0);
	json_close(&body.writer, '}');
	return body_end(&body, request);
}

/* --- 303 ---------------------------------------------------------------------------------------------------------- */

/* Store times of the first and the last message of a queue, and of the one that the group read last. */
static void add_time_span(struct stats_body *body, const struct topic *topic, uint32_t id)
{
	struct message_queue name = queue_name(body->handlers, topic, id);
	struct core *core = body->handlers->core;
	struct inspected_queue queue;
	struct inspected_reader reader = { 0 };
	struct cq_entry first = { 0 };

	body->status = inspect_queue(core, topic, id, &queue, &body->err);
	if (body->status == ST_OK)
		body->status = inspect_reader(core, topic, id, body->group, &reader, &body->err);
	enum status status = body->status == ST_OK ? inspect_entry(core, topic, id, queue.min_offset, &first, &body->err) : ST_OK;
	if (status != ST_OK && status != ST_NOTFOUND)
		body->status = status;
	int64_t read_ms = reader.last_ms > 0 ? reader.last_ms : first.store_time_ms;
	json_open(&body->writer, '{');
	json_member_put_i64(&body->writer, "consumeTimeStamp", read_ms);
	json_member_put_i64(&body->writer, "delayTime",
			    reader.consumer_offset < reader.broker_offset ? core_wall_ms(core) - read_ms : 0);
	json_member_put_i64(&body->writer, "maxTimeStamp", queue.newest_ms);
	json_key(&body->writer, "messageQueue");
	message_queue_encode(&body->writer, &name);
	json_member_put_i64(&body->writer, "minTimeStamp", first.store_time_ms);
	json_close(&body->writer, '}');
}

enum status handle_time_span(struct handlers *handlers, const struct request *request)
{
	struct stats_body body;
	struct outcome outcome;
	struct span topic_name, group_name;

	if (topic_header_decode(request->command, &topic_name, &outcome.err) != ST_OK ||
	    group_header_decode(request->command, &group_name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = find_topic(handlers, request, topic_name);
	if (topic == NULL)
		return ST_OK;
	body_begin(&body, handlers);
	body.group = groups_find(core_groups(handlers->core), group_name);
	json_open(&body.writer, '{');
	json_key(&body.writer, "consumeTimeSpanSet");
	json_open(&body.writer, '[');
	for (uint32_t id = 0; body.group != NULL && id < topic->settings.read_queue_nums && body.status == ST_OK; id++)
		add_time_span(&body, topic, id);
	json_close(&body.writer, ']');
	json_close(&body.writer, '}');
	return body_end(&body, request);
}

/* --- 321 ---------------------------------------------------------------------------------------------------------- */

struct entries_header {
	struct span topic;
	int64_t queue_id, index, count;
};

static enum status decode_entries_header(const struct command *command, struct entries_header *out, struct errinfo *err)
{
	enum status status = topic_header_decode(command, &out->topic, err);

	if (status == ST_OK && (span_to_i64(command_field(command, "queueId"), &out->queue_id) != ST_OK ||
				span_to_i64(command_field(command, "index"), &out->index) != ST_OK ||
				span_to_i64(command_field(command, "count"), &out->count) != ST_OK))
		status = errinfo_set(err, ST_INVALID, "queueId, index and count must be numbers");
	return status;
}

static void add_entry(struct stats_body *body, const struct cq_entry *entry)
{
	json_open(&body->writer, '{');
	json_member_put_bool(&body->writer, "eval", true);
	json_member_put_i64(&body->writer, "physicOffset", (int64_t)entry->log_offset);
	json_member_put_i64(&body->writer, "physicSize", entry->size);
	json_member_put_i64(&body->writer, "tagsCode", entry->tag_hash);
	json_close(&body->writer, '}');
}

/* The subscription that a group's consumers have of the topic; nothing when there is none. */
static void add_subscription(struct stats_body *body, const struct topic *topic, struct span group_name)
{
	uint32_t group_id = core_name_id(body->handlers->core, group_name);
	const struct subscription *s = members_subscription(core_members(body->handlers->core), group_id, topic->id);

	if (group_name.size == 0 || s == NULL)
		return;
	struct subscription_item item = { topic->name, expression_text(s->expression), s->sql, s->sub_version, s->filter.hashes,
					  s->filter.count };
	json_key(&body->writer, "subscriptionData");
	subscription_encode(&body->writer, &item);
}

enum status handle_query_queue(struct handlers *handlers, const struct request *request)
{
	struct entries_header header;
	struct inspected_queue queue;
	struct stats_body body;
	struct outcome outcome;

	if (decode_entries_header(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = find_topic(handlers, request, header.topic);
	if (topic == NULL)
		return ST_OK;
	if (header.queue_id < 0 || header.queue_id >= TOPIC_QUEUE_MAX || header.index < 0) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, "queueId and index must not be negative");
		return ST_OK;
	}
	body_begin(&body, handlers);
	body.status = inspect_queue(handlers->core, topic, (uint32_t)header.queue_id, &queue, &body.err);
	uint64_t from = (uint64_t)header.index > queue.min_offset ? (uint64_t)header.index : queue.min_offset;
	uint64_t count = header.count < 1 ? 0 : header.count > QUEUE_ENTRIES_MAX ? QUEUE_ENTRIES_MAX : (uint64_t)header.count;
	json_open(&body.writer, '{');
	json_member_put_i64(&body.writer, "maxQueueIndex", (int64_t)queue.max_offset);
	json_member_put_i64(&body.writer, "minQueueIndex", (int64_t)queue.min_offset);
	json_key(&body.writer, "queueData");
	json_open(&body.writer, '[');
	for (uint64_t i = 0; i < count && from + i < queue.max_offset && body.status == ST_OK; i++) {
		struct cq_entry entry;
		body.status = inspect_entry(handlers->core, topic, (uint32_t)header.queue_id, from + i, &entry, &body.err);
		if (body.status == ST_OK)
			add_entry(&body, &entry);
	}
	json_close(&body.writer, ']');
	add_subscription(&body, topic, command_field(request->command, "consumerGroup"));
	json_close(&body.writer, '}');
	return body_end(&body, request);
}

/* --- 315 ---------------------------------------------------------------------------------------------------------- */

/* "topic", or "topic@group". */
static bool find_flow(struct handlers *handlers, struct span name, struct span key, struct statistics_view *out)
{
	static const struct {
		const char *name;
		bool of_group;
		enum statistics_kind kind;
	} known[] = {
		{ "TOPIC_PUT_NUMS", false, STATISTICS_COUNT }, { "TOPIC_PUT_SIZE", false, STATISTICS_BYTES },
		{ "GROUP_GET_NUMS", true, STATISTICS_COUNT },  { "GROUP_GET_SIZE", true, STATISTICS_BYTES },
		{ "SNDBCK_PUT_NUMS", true, STATISTICS_BACK },
	};
	const uint8_t *at = key.size == 0 ? NULL : memchr(key.data, '@', key.size);
	size_t topic_size = at == NULL ? key.size : (size_t)(at - key.data);
	struct span group = at == NULL ? SPAN_NONE : (struct span){ at + 1, key.size - topic_size - 1 };
	uint32_t topic_id = core_name_id(handlers->core, (struct span){ key.data, topic_size });
	uint32_t group_id = core_name_id(handlers->core, group);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (span_is(name, known[i].name))
			return topic_id != 0 && (group_id != 0) == known[i].of_group &&
			       statistics_view(core_statistics(handlers->core), topic_id, group_id, known[i].kind,
					       core_now_ms(handlers->core), out);
	}
	return false;
}

static struct stats_window window_of(const struct statistics_window *window)
{
	return (struct stats_window){ window->sum, window->per_second, window->per_call };
}

enum status handle_stats_data(struct handlers *handlers, const struct request *request)
{
	struct span name, key;
	struct statistics_view found;
	struct outcome outcome;
	struct encoder encoder;
	char remark[256];

	if (command_field_text(request->command, "statsName", &name, &outcome.err) != ST_OK ||
	    command_field_text(request->command, "statsKey", &key, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (!find_flow(handlers, name, key, &found)) {
		snprintf(remark, sizeof(remark), "The stats <%.*s> <%.*s> not exist", (int)(name.size < 64 ? name.size : 64), name.data,
			 (int)(key.size < 127 ? key.size : 127), key.data);
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, remark);
		return ST_OK;
	}
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct stats_window minute = window_of(&found.minute), hour = window_of(&found.hour), day = window_of(&found.day);
	stats_data_encode(out, &minute, &hour, &day);
	answer_end(handlers, &encoder);
	return ST_OK;
}
