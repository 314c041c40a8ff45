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
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
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

/* As the tools are to read it: the core keeps the name apart. */
static struct group_config named_config(const struct consumer_group *group)
{
	struct group_config config = group->settings;

	config.group_name = group->name;
	return config;
}

/* Numbers that mean nothing become the next best that do. */
static void clamp(struct group_config *config)
{
	if (config->retry_queue_nums < 0)
		config->retry_queue_nums = 0;
	if (config->retry_max_times < 0)
		config->retry_max_times = 0;
	if (config->consume_timeout_minute <= 0)
		config->consume_timeout_minute = 15;
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
	struct group_config config = table.groups[0];
	clamp(&config);
	enum status status = core_put_group(handlers->core, config.group_name, &config, &outcome);
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
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct json_writer writer = json_writer_of(out);
	struct group_config config = named_config(group);
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
		configs[made++] = named_config(g);
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
