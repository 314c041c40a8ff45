/* How far queues and their readers are: GET_TOPIC_STATS_INFO (202), GET_CONSUME_STATS (208), GET_BROKER_CONSUME_STATS (317),
 * QUERY_CONSUME_TIME_SPAN (303), QUERY_CONSUME_QUEUE (321), VIEW_BROKER_STATS_DATA (315). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/core/inspect.h"
#include "broker/core/kept_elsewhere.h"
#include "broker/core/settings.h"
#include "broker/core/store_address.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/subscriptions.h"
#include "lib/wire/body_stats.h"
#include "lib/wire/headers.h"
#include "lib/wire/names.h"

enum { QUEUE_ENTRIES_MAX = 1000, ANSWER_BYTES_MAX = 12 * 1024 * 1024, MISSES_MAX = 64 };

/* Of GET_BROKER_CONSUME_STATS: queues in a slice, answers under way. */
enum { REPORT_SLICE = 2000, REPORTS_MAX = 4, REPORT_SILENCE_MS = 2000 };

/* An answer's body that is made before it is known that nothing must be read first. */
struct stats_body {
	struct handlers *handlers;
	struct buffer bytes;
	struct json_writer writer;
	enum status status; /* The first one that was not ST_OK. */
	struct errinfo err;
	unsigned misses;    /* ST_AGAIN so often. */
	const struct consumer_group *group;
	double tps;
	int64_t diff, inflight;
	bool is_order;
	unsigned queues; /* Looked at in this slice. */
};

static void body_begin(struct stats_body *body, struct handlers *handlers)
{
	*body = (struct stats_body){ .handlers = handlers };
	buffer_init(&body->bytes, ANSWER_BYTES_MAX);
	body->writer = json_writer_of(&body->bytes);
}

/* How a part went. Parts go on to be made after an index page that is not at hand, so that the pages of several are read before
 * the request is run again; what is made then is thrown away. */
static void body_note(struct stats_body *body, enum status status)
{
	body->misses += status == ST_AGAIN;
	if (body->status == ST_OK || (body->status == ST_AGAIN && status != ST_OK))
		body->status = status;
}

static bool body_goes_on(const struct stats_body *body)
{
	return (body->status == ST_OK || (body->status == ST_AGAIN && body->misses < MISSES_MAX)) && !body->bytes.failed;
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
	for (uint32_t id = 0; id < topic_queue_nums(topic) && body_goes_on(&body); id++) {
		struct inspected_queue queue;
		body_note(&body, inspect_queue(handlers->core, topic, id, &queue, &body.err));
		struct topic_stats_item item = { queue_name(handlers, topic, id), queue.min_offset, queue.max_offset, queue.newest_ms };
		topic_stats_add(&body.writer, &item);
	}
	topic_stats_end(&body.writer, view(handlers, topic->id, 0).minute.per_second);
	return body_end(&body, request);
}

/* --- 208 ---------------------------------------------------------------------------------------------------------- */

/* The group's place in each queue of a topic. */
static void add_topic(struct stats_body *body, const struct topic *topic)
{
	for (uint32_t id = 0; id < topic->settings.read_queue_nums && body_goes_on(body); id++, body->queues++) {
		struct inspected_reader reader;
		body_note(body, inspect_reader(body->handlers->core, topic, id, body->group, &reader, &body->err));
		struct consume_stats_item item = { queue_name(body->handlers, topic, id), reader.broker_offset, reader.consumer_offset,
						   reader.pull_offset, reader.last_ms };
		consume_stats_add(&body->writer, &item);
		body->diff += (int64_t)reader.broker_offset - (int64_t)reader.consumer_offset;
		body->inflight += (int64_t)reader.pull_offset - (int64_t)reader.consumer_offset;
	}
	if (body->group != NULL)
		body->tps += view(body->handlers, topic->id, body->group->id).minute.per_second;
}

/* Is it where the group's POP consumers find again what they subscribe to? They never name it themselves. */
static bool is_pop_retry(const struct stats_body *body, const struct topic *topic)
{
	struct core *core = body->handlers->core;
	struct span rest = topic_is_retry(topic->name) ? topic_group(topic->name) : SPAN_NONE, group = body->group->name;

	if (rest.size <= group.size + 1 || memcmp(rest.data, group.data, group.size) != 0 || rest.data[group.size] != '_')
		return false;
	rest = (struct span){ rest.data + group.size + 1, rest.size - group.size - 1 };
	const struct topic *popped = topics_find(core_topics(core), rest);
	return popped != NULL && members_subscription(core_members(core), body->group->id, popped->id) != NULL;
}

/* Do the group's consumers, if there are any, subscribe to the topic? */
static bool subscribes(const struct stats_body *body, const struct topic *topic)
{
	const struct members *members = core_members(body->handlers->core);
	size_t subscribed = 0;

	if (body->group == NULL)
		return true;
	(void)members_subscriptions(members, body->group->id, &subscribed);
	return subscribed == 0 || members_subscription(members, body->group->id, topic->id) != NULL ||
	       is_pop_retry(body, topic);
}

static void add_subscribed_topic(void *context, const struct topic *topic)
{
	struct stats_body *body = context;

	if (body_goes_on(body) && subscribes(body, topic))
		add_topic(body, topic);
}

/* "a;b;c": these, whoever subscribes to them. */
static void add_listed_topics(struct stats_body *body, struct span list)
{
	while (list.size > 0 && body_goes_on(body)) {
		const struct topic *topic = topics_find(core_topics(body->handlers->core), span_take_until(&list, ';'));

		if (topic != NULL)
			add_topic(body, topic);
	}
}

enum status handle_consume_stats(struct handlers *handlers, const struct request *request)
{
	struct stats_body body;
	struct outcome outcome;
	struct span name, topic_name = command_field(request->command, "topic"), list = command_field(request->command, "topicList");

	if (command_field_text(request->command, "consumerGroup", &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	body_begin(&body, handlers);
	/* Also one that was deleted without cleanOffset: it goes on from there if it comes back. */
	body.group = groups_find_any(core_groups(handlers->core), name);
	consume_stats_begin(&body.writer);
	const struct topic *topic = topics_find(core_topics(handlers->core), topic_name);
	if (list.size > 0)
		add_listed_topics(&body, list);
	else if (topic != NULL)
		add_subscribed_topic(&body, topic);
	else if (body.group != NULL && topic_name.size == 0)
		inspect_topics_of(handlers->core, body.group, add_subscribed_topic, &body);
	consume_stats_end(&body.writer, body.tps);
	return body_end(&body, request);
}

/* --- 317 ---------------------------------------------------------------------------------------------------------- */

/* An answer about all groups, made in slices: the request is parked and run again in between. */
struct consume_report {
	struct consume_report *prev, *next;
	uint64_t conn_id;
	int32_t opaque;
	int64_t looked_at_ms;
	struct stats_body body;
	const struct consumer_group *group; /* The next one. Groups stay where they are, even when they are deleted. */
};

/* [{"offsetTable":..}] of one topic. */
static void add_topic_apart(void *context, const struct topic *topic)
{
	struct stats_body *body = context;

	if (!body_goes_on(body) || (body->is_order && !topic->settings.order) || !subscribes(body, topic))
		return;
	body->tps = 0;
	consume_stats_begin(&body->writer);
	add_topic(body, topic);
	consume_stats_end(&body->writer, body->tps);
}

static void add_group(struct stats_body *body, const struct consumer_group *group)
{
	body->group = group;
	json_open(&body->writer, '{');
	json_key_span(&body->writer, body->group->name);
	json_open(&body->writer, '[');
	inspect_topics_of(body->handlers->core, body->group, add_topic_apart, body);
	json_close(&body->writer, ']');
	json_close(&body->writer, '}');
}

/* A slice of the report. False: it is to go on later. */
static bool go_on(struct consume_report *report)
{
	struct stats_body *body = &report->body;

	for (body->queues = 0; report->group != NULL && body_goes_on(body); report->group = groups_next(report->group)) {
		struct stats_body before = *body;
		size_t size = buffer_size(&body->bytes);

		if (body->queues >= REPORT_SLICE)
			return false;
		add_group(body, report->group);
		if (body->status != ST_AGAIN)
			continue;
		/* This group anew when the pages are there. What the buffer has grown by stays. */
		before.bytes = body->bytes;
		before.bytes.end = before.bytes.start + size;
		*body = before;
		return false;
	}
	return true;
}

static void drop_report(struct handlers *handlers, struct consume_report *report)
{
	DL_DELETE(handlers->reports, report);
	buffer_deinit(&report->body.bytes);
	free(report);
}

void reports_connection_gone(struct handlers *handlers, uint64_t conn_id)
{
	struct consume_report *report, *next;

	DL_FOREACH_SAFE(handlers->reports, report, next) {
		if (report->conn_id == conn_id)
			drop_report(handlers, report);
	}
}

void reports_clear(struct handlers *handlers)
{
	while (handlers->reports != NULL)
		drop_report(handlers, handlers->reports);
}

/* NULL: no memory, or others are being made. */
static struct consume_report *begin_report(struct handlers *handlers, const struct request *request)
{
	struct host host = core_store_host(handlers->core);
	struct consume_report *other, *next, *report;
	char address[HOST_TEXT_SIZE];
	int count = 0;

	DL_FOREACH_SAFE(handlers->reports, other, next) {
		count++;
		if (core_now_ms(handlers->core) - other->looked_at_ms > REPORT_SILENCE_MS) {
			drop_report(handlers, other); /* Its request was given up. */
			count--;
		}
	}
	report = count < REPORTS_MAX ? calloc(1, sizeof(*report)) : NULL;
	if (report == NULL)
		return NULL;
	report->conn_id = request->conn_id;
	report->opaque = request->command->opaque;
	report->group = groups_first(core_groups(handlers->core));
	body_begin(&report->body, handlers);
	report->body.is_order = span_is(command_field(request->command, "isOrder"), "true");
	json_open(&report->body.writer, '{');
	json_member_put_text(&report->body.writer, "brokerAddr", host_text(&host, address));
	json_key(&report->body.writer, "consumeStatsList");
	json_open(&report->body.writer, '[');
	DL_APPEND(handlers->reports, report);
	return report;
}

/* The one that was begun for this request when it was run before. */
static struct consume_report *find_report(struct handlers *handlers, const struct request *request)
{
	struct consume_report *report;

	DL_FOREACH(handlers->reports, report) {
		if (request->again && report->conn_id == request->conn_id && report->opaque == request->command->opaque)
			break;
	}
	return report;
}

enum status handle_broker_consume_stats(struct handlers *handlers, const struct request *request)
{
	struct consume_report *report = find_report(handlers, request);

	if (report == NULL)
		report = begin_report(handlers, request);
	if (report == NULL) {
		handlers_refuse(handlers, request, RESP_SYSTEM_BUSY, "other such answers are being made: try again later");
		return ST_OK;
	}
	struct stats_body *body = &report->body;
	report->looked_at_ms = core_now_ms(handlers->core);
	if (!go_on(report))
		return ST_AGAIN;
	json_close(&body->writer, ']');
	json_member_put_i64(&body->writer, "totalDiff", body->diff);
	json_member_put_i64(&body->writer, "totalInflightDiff", body->inflight);
	json_close(&body->writer, '}');
	enum status status = body_end(body, request);
	drop_report(handlers, report);
	return status;
}

/* --- 303 ---------------------------------------------------------------------------------------------------------- */

/* Of the message at the offset; -1 as in RocketMQ: there is none. */
static int64_t store_time_at(struct stats_body *body, const struct topic *topic, uint32_t id, uint64_t offset)
{
	struct cq_entry entry;
	enum status status = inspect_entry(body->handlers->core, topic, id, offset, &entry, &body->err);

	body_note(body, status == ST_NOTFOUND ? ST_OK : status);
	return status == ST_OK ? entry.store_time_ms : -1;
}

/* Store times of the first and the last message of a queue, and of the one that the group read last; how long the next one that it
 * will read has waited. */
static void add_time_span(struct stats_body *body, const struct topic *topic, uint32_t id)
{
	struct message_queue name = queue_name(body->handlers, topic, id);
	struct core *core = body->handlers->core;
	struct inspected_queue queue;
	struct inspected_reader reader;

	body_note(body, inspect_queue(core, topic, id, &queue, &body->err));
	body_note(body, inspect_reader(core, topic, id, body->group, &reader, &body->err));
	int64_t first_ms = store_time_at(body, topic, id, queue.min_offset);
	int64_t next_ms = store_time_at(body, topic, id, reader.consumer_offset > queue.min_offset ? reader.consumer_offset
												  : queue.min_offset);
	json_open(&body->writer, '{');
	json_member_put_i64(&body->writer, "consumeTimeStamp", reader.last_ms > 0 ? reader.last_ms : first_ms);
	json_member_put_i64(&body->writer, "delayTime", next_ms > 0 ? core_wall_ms(core) - next_ms : 0);
	json_member_put_i64(&body->writer, "maxTimeStamp", queue.newest_ms > 0 ? queue.newest_ms : -1);
	json_key(&body->writer, "messageQueue");
	message_queue_encode(&body->writer, &name);
	json_member_put_i64(&body->writer, "minTimeStamp", first_ms);
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
	for (uint32_t id = 0; id < topic->settings.read_queue_nums && body_goes_on(&body); id++)
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
	json_member_put_bool(&body->writer, "eval", false); /* By a bit map of filters, which there is none of. */
	json_member_put_i64(&body->writer, "physicOffset", (int64_t)entry->log_offset);
	json_member_put_i64(&body->writer, "physicSize", entry->size);
	json_member_put_i64(&body->writer, "tagsCode", entry->tag_hash);
	json_close(&body->writer, '}');
}

/* JSON within JSON, of SQL92 only: RocketMQ's ConsumerFilterData. */
static void put_filter(struct json_writer *w, const struct topic *topic, struct span group,
		       const struct subscription *s)
{
	struct buffer text;
	struct json_writer filter;

	buffer_init(&text, 0);
	filter = json_writer_of(&text);
	json_open(&filter, '{');
	json_member_put_text(&filter, "consumerGroup", group);
	json_member_put_text(&filter, "expression", expression_text(s->expression));
	json_member_put_text(&filter, "expressionType", SPAN_LITERAL("SQL92"));
	json_member_put_text(&filter, "topic", topic->name);
	json_close(&filter, '}');
	json_member_put_text(w, "filterData", buffer_span(&text));
	w->out->failed |= text.failed;
	buffer_deinit(&text);
}

/* The subscription that a group's consumers have of the topic; nothing when no group is named. */
static void add_subscription(struct stats_body *body, const struct topic *topic, struct span group_name)
{
	uint32_t group_id = core_name_id(body->handlers->core, group_name);
	const struct subscription *s = members_subscription(core_members(body->handlers->core), group_id, topic->id);
	char offline[2 * LONG_TOPIC_NAME_MAX + 32];

	if (group_name.size == 0)
		return;
	snprintf(offline, sizeof(offline), "%.*s@%.*s is not online!", SPAN_ARGS(group_name), SPAN_ARGS(topic->name));
	if (s != NULL && s->sql)
		put_filter(&body->writer, topic, group_name, s);
	else
		json_member_put_text(&body->writer, "filterData", span_of(s == NULL ? offline : "null"));
	if (s == NULL)
		return;
	json_key(&body->writer, "subscriptionData");
	put_subscription(&body->writer, topic->name, s);
}

enum status handle_query_queue(struct handlers *handlers, const struct request *request)
{
	struct entries_header header;
	struct inspected_queue queue;
	struct stats_body body;
	struct outcome outcome = { 0 };

	if (decode_entries_header(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = find_topic(handlers, request, header.topic);
	if (topic == NULL)
		return ST_OK;
	if (header.queue_id < 0 || header.queue_id >= TOPIC_QUEUE_MAX || header.index < 0) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, "queueId and index must not be negative");
		return ST_OK;
	}
	if (check_kept_here(header.topic, &outcome) != ST_OK)
		return answer_outcome(handlers, request, &outcome);
	body_begin(&body, handlers);
	body.status = inspect_queue(handlers->core, topic, (uint32_t)header.queue_id, &queue, &body.err);
	uint64_t from = (uint64_t)header.index > queue.min_offset ? (uint64_t)header.index : queue.min_offset;
	uint64_t count = header.count < 1 ? 0 : header.count > QUEUE_ENTRIES_MAX ? QUEUE_ENTRIES_MAX : (uint64_t)header.count;
	json_open(&body.writer, '{');
	json_member_put_i64(&body.writer, "maxQueueIndex", (int64_t)queue.max_offset);
	json_member_put_i64(&body.writer, "minQueueIndex", (int64_t)queue.min_offset);
	json_key(&body.writer, "queueData");
	json_open(&body.writer, '[');
	for (uint64_t i = 0; i < count && from + i < queue.max_offset && body_goes_on(&body); i++) {
		struct cq_entry entry = { 0 };
		body_note(&body, inspect_entry(handlers->core, topic, (uint32_t)header.queue_id, from + i, &entry, &body.err));
		add_entry(&body, &entry);
	}
	json_close(&body.writer, ']');
	add_subscription(&body, topic, command_field(request->command, "consumerGroup"));
	json_close(&body.writer, '}');
	return body_end(&body, request);
}

/* --- 315 ---------------------------------------------------------------------------------------------------------- */

/* Of the whole broker, under the cluster's name. */
static bool find_broker_flow(struct handlers *handlers, struct span name, struct span key, struct statistics_view *out)
{
	bool got = span_is(name, "BROKER_GET_NUMS");

	if ((!got && !span_is(name, "BROKER_PUT_NUMS")) || !span_is(key, core_configuration(handlers->core)->cluster_name))
		return false;
	*out = statistics_view_all(core_statistics(handlers->core), got, core_now_ms(handlers->core));
	return true;
}

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
	if (!find_broker_flow(handlers, name, key, &found) && !find_flow(handlers, name, key, &found)) {
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
