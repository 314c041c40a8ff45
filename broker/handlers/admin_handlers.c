/* Topics and groups by an operator's word: 17, 351, 21, 200, 352, 201. */
#include <stdlib.h>

#include "broker/core/settings.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/topic_table.h"
#include "lib/wire/body_config.h"
#include "lib/wire/headers.h"
#include "lib/wire/names.h"

enum status handle_create_topic(struct handlers *handlers, const struct request *request)
{
	struct create_topic_header header;
	struct outcome outcome = { 0 };
	struct buffer attributes;

	if (create_topic_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (topic_name_check(header.topic, &outcome.err) != ST_OK) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, outcome.err.text);
		return ST_OK;
	}
	if (topic_is_system(header.topic)) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, "the topic is conflict with system topic");
		return ST_OK;
	}
	if (header.read_queue_nums <= 0 || header.write_queue_nums <= 0 || (header.perm & ~7) != 0) {
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER,
				"readQueueNums and writeQueueNums must be above 0, perm is a sum of 4, 2 and 1");
		return ST_OK;
	}
	buffer_init(&attributes, RECORD_TEXT_LIMIT);
	if (header.attributes.size > 0 && topic_attributes_to_json(header.attributes, &attributes, &outcome.err) != ST_OK) {
		buffer_deinit(&attributes);
		handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, outcome.err.text);
		return ST_OK;
	}
	struct topic_settings settings = {
		.read_queue_nums = (uint32_t)header.read_queue_nums, .write_queue_nums = (uint32_t)header.write_queue_nums,
		.perm = (uint32_t)header.perm, .sys_flag = (uint32_t)header.topic_sys_flag, .order = header.order,
		.filter_type = span_is(header.topic_filter_type, "MULTI_TAG") ? FILTER_MULTI_TAG : FILTER_SINGLE_TAG,
		.attributes = buffer_span(&attributes),
	};
	enum status status = core_put_topic(handlers->core, header.topic, &settings, &outcome);
	buffer_deinit(&attributes);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_get_topic(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	struct encoder encoder;
	struct span name;

	if (topic_header_decode(request->command, &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = topics_find(core_topics(handlers->core), name);
	if (topic == NULL) {
		handlers_refuse(handlers, request, RESP_TOPIC_NOT_EXIST, "No topic in this broker. Please check it.");
		return ST_OK;
	}
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);
	if (out == NULL)
		return ST_OK;
	command_body(&encoder);
	struct json_writer writer = json_writer_of(out);
	struct topic_config config = core_topic_config(topic);
	topic_config_encode(&writer, &config);
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_all_topics(struct handlers *handlers, const struct request *request)
{
	struct encoder encoder;
	struct topic_table table;

	if (topic_table_make(core_topics(handlers->core), &table) != ST_OK) {
		handlers_refuse(handlers, request, RESP_SYSTEM_BUSY, "no memory for the list of topics");
		return ST_OK;
	}
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);
	if (out != NULL) {
		command_put_i64(&encoder, "totalTopicNum", (int64_t)table.count);
		command_body(&encoder);
		struct json_writer writer = json_writer_of(out);
		topic_config_table_encode(&writer, &table.version, table.topics, table.count);
		answer_end(handlers, &encoder);
	}
	topic_table_free(&table);
	return ST_OK;
}

static struct group_config group_config_of(const struct consumer_group *group)
{
	const struct group_settings *s = &group->settings;

	return (struct group_config){
		.group_name = group->name,
		.consume_enable = s->consume_enable,
		.consume_from_min_enable = s->consume_from_min_enable,
		.consume_broadcast_enable = s->consume_broadcast_enable,
		.consume_message_orderly = s->consume_message_orderly,
		.retry_queue_nums = (int32_t)s->retry_queue_nums,
		.retry_max_times = (int32_t)s->retry_max_times,
		.broker_id = s->broker_id,
		.which_broker_when_consume_slowly = s->which_broker_when_consume_slowly,
		.notify_consumer_ids_changed_enable = s->notify_consumer_ids_changed_enable,
		.group_sys_flag = (int32_t)s->group_sys_flag,
		.consume_timeout_minute = (int32_t)s->consume_timeout_minute,
	};
}

static struct group_settings group_settings_of(const struct group_config *c)
{
	return (struct group_settings){
		.consume_enable = c->consume_enable,
		.consume_from_min_enable = c->consume_from_min_enable,
		.consume_broadcast_enable = c->consume_broadcast_enable,
		.consume_message_orderly = c->consume_message_orderly,
		.notify_consumer_ids_changed_enable = c->notify_consumer_ids_changed_enable,
		.retry_queue_nums = c->retry_queue_nums > 0 ? (uint32_t)c->retry_queue_nums : 0,
		.retry_max_times = c->retry_max_times > 0 ? (uint32_t)c->retry_max_times : 0,
		.broker_id = c->broker_id,
		.which_broker_when_consume_slowly = c->which_broker_when_consume_slowly,
		.group_sys_flag = (uint32_t)c->group_sys_flag,
		.consume_timeout_minute = c->consume_timeout_minute > 0 ? (uint32_t)c->consume_timeout_minute : 15,
	};
}

enum status handle_create_group(struct handlers *handlers, const struct request *request)
{
	struct group_config_table table;
	struct outcome outcome = { 0 };

	if (group_config_decode(request->command->body, &table, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	if (group_name_check(table.groups[0].group_name, &outcome.err) != ST_OK) {
		group_config_table_free(&table);
		handlers_refuse(handlers, request, RESP_INVALID_PARAMETER, outcome.err.text);
		return ST_OK;
	}
	struct group_settings settings = group_settings_of(&table.groups[0]);
	enum status status = core_put_group(handlers->core, table.groups[0].group_name, &settings, &outcome);
	group_config_table_free(&table);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_get_group(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	struct encoder encoder;
	struct span name;

	if (group_header_decode(request->command, &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct consumer_group *group = groups_find(core_groups(handlers->core), name);
	if (group == NULL) {
		handlers_refuse(handlers, request, RESP_SUBSCRIPTION_GROUP_NOT_EXIST, "No group in this broker");
		return ST_OK;
	}
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);
	if (out == NULL)
		return ST_OK;
	command_body(&encoder);
	struct json_writer writer = json_writer_of(out);
	struct group_config config = group_config_of(group);
	group_config_encode(&writer, &config);
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_all_groups(struct handlers *handlers, const struct request *request)
{
	struct encoder encoder;
	struct data_version version = { 0 };
	size_t count = 0, made = 0;

	for (const struct consumer_group *g = groups_first(core_groups(handlers->core)); g != NULL; g = groups_next(g))
		count++;
	struct group_config *configs = calloc(count + 1, sizeof(*configs));
	if (configs == NULL) {
		handlers_refuse(handlers, request, RESP_SYSTEM_BUSY, "no memory for the list of groups");
		return ST_OK;
	}
	for (const struct consumer_group *g = groups_first(core_groups(handlers->core)); g != NULL; g = groups_next(g))
		configs[made++] = group_config_of(g);
	struct buffer *out = answer_begin(handlers, request, RESP_SUCCESS, 0, SPAN_NONE, &encoder);
	if (out != NULL) {
		command_put_i64(&encoder, "totalGroupNum", (int64_t)made);
		command_body(&encoder);
		struct json_writer writer = json_writer_of(out);
		group_config_table_encode(&writer, &version, configs, made);
		answer_end(handlers, &encoder);
	}
	free(configs);
	return ST_OK;
}
