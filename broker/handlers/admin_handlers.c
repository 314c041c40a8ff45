/* Topics and groups by an operator's word: 17, 18, 351, 21, 200, 225, 352, 201. */
#include <stdlib.h>

#include "broker/core/settings.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/topic_table.h"
#include "lib/wire/body_config.h"
#include "lib/wire/headers.h"
#include "lib/wire/names.h"

/* RocketMQ's own topics; also those that it names after the cluster and the broker. */
static bool is_system(const struct handlers *handlers, struct span name)
{
	return topic_is_system(name) || span_is(name, core_configuration(handlers->core)->cluster_name) ||
	       span_is(name, handlers->broker_name);
}

/* What RocketMQ checks before anything changes. */
static enum status check_topic_config(const struct handlers *handlers, const struct topic_config *config, struct outcome *outcome)
{
	if (topic_name_check(config->name, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	if (is_system(handlers, config->name))
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "The topic[%.*s] is conflict with system topic.",
				   SPAN_ARGS(config->name));
	if (config->read_queue_nums <= 0 || config->write_queue_nums <= 0 || config->read_queue_nums > TOPIC_QUEUE_MAX ||
	    config->write_queue_nums > TOPIC_QUEUE_MAX)
		return core_refuse(outcome, RESP_INVALID_PARAMETER,
				   "topic %.*s: readQueueNums=%d, writeQueueNums=%d: must be from 1 to %d", SPAN_ARGS(config->name),
				   config->read_queue_nums, config->write_queue_nums, TOPIC_QUEUE_MAX);
	if ((config->perm & ~(PERM_READ | PERM_WRITE | PERM_INHERIT)) != 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "topic %.*s: perm=%d: must be a sum of 4 (read), 2 (write), 1 (inherit)",
				   SPAN_ARGS(config->name), config->perm);
	return ST_OK;
}

/* The topic with these settings; `changes_json` says how config->attributes are written. */
static enum status put_topic(struct handlers *handlers, const struct topic_config *config, bool changes_json,
			     struct outcome *outcome)
{
	const struct topic *known = topics_find(core_topics(handlers->core), config->name);
	struct attribute_changes changes = { known == NULL ? SPAN_NONE : known->settings.attributes, config->attributes, changes_json,
					     known == NULL };
	struct buffer attributes;
	enum status status = ST_OK;

	buffer_init(&attributes, RECORD_TEXT_LIMIT);
	if (topic_attributes_change(&changes, &attributes, &outcome->err) != ST_OK)
		status = core_refuse_as(outcome, RESP_SYSTEM_ERROR);
	struct topic_settings settings = {
		.read_queue_nums = (uint32_t)config->read_queue_nums, .write_queue_nums = (uint32_t)config->write_queue_nums,
		.perm = (uint32_t)config->perm, .sys_flag = (uint32_t)config->sys_flag, .order = config->order,
		.filter_type = (uint32_t)config->filter_type,
		.attributes = span_is(buffer_span(&attributes), "{}") ? SPAN_NONE : buffer_span(&attributes),
	};
	if (status == ST_OK)
		status = core_put_topic(handlers->core, config->name, &settings, outcome);
	buffer_deinit(&attributes);
	return status;
}

enum status handle_create_topic(struct handlers *handlers, const struct request *request)
{
	struct create_topic_header header;
	struct outcome outcome = { 0 };

	if (create_topic_decode(request->command, &header, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	struct topic_config config = {
		.name = header.topic, .read_queue_nums = header.read_queue_nums, .write_queue_nums = header.write_queue_nums,
		.perm = header.perm, .sys_flag = header.topic_sys_flag, .order = header.order, .attributes = header.attributes,
		.filter_type = span_is(header.topic_filter_type, "MULTI_TAG") ? FILTER_MULTI_TAG : FILTER_SINGLE_TAG,
	};
	enum status status = check_topic_config(handlers, &config, &outcome);
	if (status == ST_OK)
		status = put_topic(handlers, &config, false, &outcome);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

/* All are checked before the first is made. What finds no room half-way is begun anew with the request. */
enum status handle_create_topics(struct handlers *handlers, const struct request *request)
{
	struct topic_config_table table;
	struct outcome outcome = { 0 };
	enum status status = ST_OK;

	if (topic_config_list_decode(request->command->body, &table, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	(void)core_accept(&outcome, 0);
	for (size_t i = 0; i < table.topic_count && status == ST_OK; i++)
		status = check_topic_config(handlers, &table.topics[i], &outcome);
	for (size_t i = 0; i < table.topic_count && status == ST_OK; i++)
		status = put_topic(handlers, &table.topics[i], true, &outcome);
	topic_config_table_free(&table);
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

/* Makes or changes all groups of the table, which is freed. */
static enum status put_groups(struct handlers *handlers, const struct request *request, struct group_config_table *table)
{
	struct outcome outcome = { 0 };
	enum status status = core_accept(&outcome, 0);

	for (size_t i = 0; i < table->group_count && status == ST_OK; i++) {
		if (group_name_check(table->groups[i].group_name, &outcome.err) != ST_OK)
			status = core_refuse_as(&outcome, RESP_INVALID_PARAMETER);
	}
	for (size_t i = 0; i < table->group_count && status == ST_OK; i++) {
		struct group_config config = table->groups[i];

		clamp(&config);
		status = core_put_group(handlers->core, config.group_name, &config, &outcome);
	}
	group_config_table_free(table);
	return status == ST_AGAIN ? status : answer_outcome(handlers, request, &outcome);
}

enum status handle_create_group(struct handlers *handlers, const struct request *request)
{
	struct group_config_table table;
	struct errinfo err;

	if (group_config_decode(request->command->body, &table, &err) != ST_OK)
		return answer_bad_header(handlers, request, &err);
	return put_groups(handlers, request, &table);
}

enum status handle_create_groups(struct handlers *handlers, const struct request *request)
{
	struct group_config_table table;
	struct errinfo err;

	if (group_config_list_decode(request->command->body, &table, &err) != ST_OK)
		return answer_bad_header(handlers, request, &err);
	return put_groups(handlers, request, &table);
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
