/* SubscriptionGroupConfig. See body_config.h. */
#include <cjson/cJSON.h>
#include <string.h>

#include "lib/wire/body_config.h"

struct group_config group_config_default(void)
{
	return (struct group_config){
		.consume_enable = true,
		.consume_from_min_enable = true,
		.consume_broadcast_enable = true,
		.retry_queue_nums = 1,
		.retry_max_times = 16,
		.which_broker_when_consume_slowly = 1,
		.notify_consumer_ids_changed_enable = true,
		.consume_timeout_minute = 15,
	};
}

void group_config_encode(struct json_writer *w, const struct group_config *config)
{
	json_open(w, '{');
	json_key(w, "attributes");
	json_put_raw(w, SPAN_LITERAL("{}"));
	json_member_put_i64(w, "brokerId", config->broker_id);
	json_member_put_bool(w, "consumeBroadcastEnable", config->consume_broadcast_enable);
	json_member_put_bool(w, "consumeEnable", config->consume_enable);
	json_member_put_bool(w, "consumeFromMinEnable", config->consume_from_min_enable);
	json_member_put_bool(w, "consumeMessageOrderly", config->consume_message_orderly);
	json_member_put_i64(w, "consumeTimeoutMinute", config->consume_timeout_minute);
	json_member_put_text(w, "groupName", config->group_name);
	json_key(w, "groupRetryPolicy");
	json_put_raw(w, config->retry_policy.size == 0 ? SPAN_LITERAL("{\"type\":\"CUSTOMIZED\"}") : config->retry_policy);
	json_member_put_i64(w, "groupSysFlag", config->group_sys_flag);
	json_member_put_bool(w, "notifyConsumerIdsChangedEnable", config->notify_consumer_ids_changed_enable);
	json_member_put_i64(w, "retryMaxTimes", config->retry_max_times);
	json_member_put_i64(w, "retryQueueNums", config->retry_queue_nums);
	json_member_put_i64(w, "whichBrokerWhenConsumeSlowly", config->which_broker_when_consume_slowly);
	json_close(w, '}');
}

/* --- GroupRetryPolicy ---------------------------------------------------------------------------------------------- */

enum { RETRY_STEPS_MAX = 64 };

static const char *const retry_types[] = { "CUSTOMIZED", "EXPONENTIAL", NULL };

/* {"next":[..]}; nothing without it. */
static enum status put_steps(struct json_writer *w, const struct cJSON *policy, struct errinfo *err)
{
	const struct cJSON *step, *steps = json_member(policy, "next");

	if (steps == NULL)
		return ST_OK;
	if (json_count(steps) < 1 || json_count(steps) > RETRY_STEPS_MAX)
		return errinfo_set(err, ST_INVALID, "groupRetryPolicy: next must be a list of 1 to %d times in ms", RETRY_STEPS_MAX);
	json_key(w, "customizedRetryPolicy");
	json_open(w, '{');
	json_key(w, "next");
	json_open(w, '[');
	cJSON_ArrayForEach(step, steps) {
		if (!cJSON_IsNumber(step) || step->valuedouble < 0 || step->valuedouble > INT32_MAX)
			return errinfo_set(err, ST_INVALID, "groupRetryPolicy: next must be times in ms, from 0 to %d", INT32_MAX);
		json_put_i64(w, (int64_t)step->valuedouble);
	}
	json_close(w, ']');
	json_close(w, '}');
	return ST_OK;
}

/* With RocketMQ's defaults for what is not there. */
static enum status put_exponential(struct json_writer *w, const struct cJSON *policy, struct errinfo *err)
{
	int64_t initial = json_member_i64(policy, "initial", 5000), max = json_member_i64(policy, "max", 7200000),
		multiplier = json_member_i64(policy, "multiplier", 2);

	if (policy == NULL)
		return ST_OK;
	if (initial < 0 || max < initial || multiplier < 1)
		return errinfo_set(err, ST_INVALID, "groupRetryPolicy: wants 0 <= initial <= max (ms) and multiplier >= 1");
	json_key(w, "exponentialRetryPolicy");
	json_open(w, '{');
	json_member_put_i64(w, "initial", initial);
	json_member_put_i64(w, "max", max);
	json_member_put_i64(w, "multiplier", multiplier);
	json_close(w, '}');
	return ST_OK;
}

static enum status keep_policy(struct json_doc *doc, const struct buffer *made, struct span *out, struct errinfo *err)
{
	uint8_t *copy = made->failed ? NULL : json_doc_alloc(doc, buffer_span(made).size, 1);

	if (copy == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	memcpy(copy, buffer_span(made).data, buffer_span(made).size);
	*out = (struct span){ copy, buffer_span(made).size };
	return ST_OK;
}

/* Written anew, so that nothing but the policy is kept. The default: nothing. */
static enum status retry_policy_of(struct json_doc *doc, const struct cJSON *policy, struct span *out,
				   struct errinfo *err)
{
	const struct cJSON *type = json_member(policy, "type");
	int32_t kind = json_member_enum(policy, "type", retry_types, -1);
	struct buffer made;
	enum status status;

	*out = SPAN_NONE;
	if (policy == NULL)
		return ST_OK;
	if (type != NULL && kind < 0)
		return errinfo_set(err, ST_INVALID, "groupRetryPolicy: type must be CUSTOMIZED or EXPONENTIAL");
	buffer_init(&made, 0);
	struct json_writer w = json_writer_of(&made);
	json_open(&w, '{');
	json_member_put_text(&w, "type", span_of(retry_types[kind > 0]));
	status = kind > 0 ? put_exponential(&w, json_member(policy, "exponentialRetryPolicy"), err) :
			    put_steps(&w, json_member(policy, "customizedRetryPolicy"), err);
	json_close(&w, '}');
	if (status == ST_OK && !span_is(buffer_span(&made), "{\"type\":\"CUSTOMIZED\"}"))
		status = keep_policy(doc, &made, out, err);
	buffer_deinit(&made);
	return status;
}

/* --- the group ------------------------------------------------------------------------------------------------------ */

static enum status group_config_of(struct json_doc *doc, const struct cJSON *object, struct group_config *out,
				   struct errinfo *err)
{
	struct group_config def = group_config_default();
	const struct cJSON *attributes = json_member(object, "attributes");

	*out = (struct group_config){
		.group_name = json_member_text(object, "groupName"),
		.consume_enable = json_member_bool(object, "consumeEnable", def.consume_enable),
		.consume_from_min_enable =
			json_member_bool(object, "consumeFromMinEnable", def.consume_from_min_enable),
		.consume_broadcast_enable =
			json_member_bool(object, "consumeBroadcastEnable", def.consume_broadcast_enable),
		.consume_message_orderly =
			json_member_bool(object, "consumeMessageOrderly", def.consume_message_orderly),
		.retry_queue_nums = json_member_i32(object, "retryQueueNums", def.retry_queue_nums),
		.retry_max_times = json_member_i32(object, "retryMaxTimes", def.retry_max_times),
		.broker_id = json_member_i64(object, "brokerId", def.broker_id),
		.which_broker_when_consume_slowly =
			json_member_i64(object, "whichBrokerWhenConsumeSlowly", def.which_broker_when_consume_slowly),
		.notify_consumer_ids_changed_enable =
			json_member_bool(object, "notifyConsumerIdsChangedEnable",
					 def.notify_consumer_ids_changed_enable),
		.group_sys_flag = json_member_i32(object, "groupSysFlag", def.group_sys_flag),
		.consume_timeout_minute = json_member_i32(object, "consumeTimeoutMinute", def.consume_timeout_minute),
	};
	if (cJSON_IsObject(attributes) && attributes->child != NULL)
		return errinfo_set(err, ST_INVALID, "group %.*s: attribute %.64s is unsupported, as all of groups are: leave it out",
				   SPAN_ARGS(out->group_name), attributes->child->string);
	return retry_policy_of(doc, json_member(object, "groupRetryPolicy"), &out->retry_policy, err);
}

void group_config_table_encode(struct json_writer *w, const struct data_version *version,
			       const struct group_config *groups, size_t group_count)
{
	json_open(w, '{');
	json_key(w, "dataVersion");
	data_version_encode(w, version);
	json_key(w, "forbiddenTable");
	json_put_raw(w, SPAN_LITERAL("{}"));
	json_key(w, "subscriptionGroupTable");
	json_open(w, '{');
	for (size_t i = 0; i < group_count; i++) {
		json_key_span(w, groups[i].group_name);
		group_config_encode(w, &groups[i]);
	}
	json_close(w, '}');
	json_close(w, '}');
}

static enum status decode_table(struct group_config_table *out, struct errinfo *err)
{
	const struct cJSON *item, *table = json_member(out->doc.root, "subscriptionGroupTable");
	struct group_config *groups = json_doc_alloc(&out->doc, json_count(table), sizeof(*groups));

	if (groups == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	out->groups = groups;
	out->version = data_version_of(json_member(out->doc.root, "dataVersion"));
	cJSON_ArrayForEach(item, table) {
		struct group_config *group = &groups[out->group_count];

		enum status status = group_config_of(&out->doc, item, group, err);
		if (status != ST_OK)
			return status;
		if (group->group_name.size == 0 && item->string != NULL)
			group->group_name = span_of(item->string);
		if (group->group_name.size > 0)
			out->group_count++;
	}
	return ST_OK;
}

enum status group_config_table_decode(struct span body, struct group_config_table *out, struct errinfo *err)
{
	*out = (struct group_config_table){ .group_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = decode_table(out, err);
	if (status == ST_OK)
		return ST_OK;
	group_config_table_free(out);
	return errinfo_wrap(err, status, "group table");
}

static enum status decode_list(struct group_config_table *out, struct errinfo *err)
{
	const struct cJSON *item, *list = json_member(out->doc.root, "groupConfigList");
	struct group_config *groups = json_doc_alloc(&out->doc, json_count(list), sizeof(*groups));

	if (groups == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	out->groups = groups;
	cJSON_ArrayForEach(item, list) {
		enum status status = group_config_of(&out->doc, item, &groups[out->group_count++], err);
		if (status != ST_OK)
			return status;
		if (groups[out->group_count - 1].group_name.size == 0)
			return errinfo_set(err, ST_INVALID, "groupConfigList[%zu] has no groupName", out->group_count - 1);
	}
	return ST_OK;
}

enum status group_config_list_decode(struct span body, struct group_config_table *out, struct errinfo *err)
{
	*out = (struct group_config_table){ .group_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = decode_list(out, err);
	if (status == ST_OK)
		return ST_OK;
	group_config_table_free(out);
	return errinfo_wrap(err, status, "group list");
}

static enum status decode_one(struct group_config_table *out, struct errinfo *err)
{
	struct group_config *group = json_doc_alloc(&out->doc, 1, sizeof(*group));

	if (group == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	enum status status = group_config_of(&out->doc, out->doc.root, group, err);
	if (status != ST_OK)
		return status;
	if (group->group_name.size == 0)
		return errinfo_set(err, ST_INVALID, "groupName is missing");
	out->groups = group;
	out->group_count = 1;
	return ST_OK;
}

enum status group_config_decode(struct span body, struct group_config_table *out, struct errinfo *err)
{
	*out = (struct group_config_table){ .group_count = 0 };
	enum status status = json_doc_parse(body, &out->doc, err);

	if (status == ST_OK)
		status = decode_one(out, err);
	if (status == ST_OK)
		return ST_OK;
	group_config_table_free(out);
	return errinfo_wrap(err, status, "SubscriptionGroupConfig");
}

void group_config_table_free(struct group_config_table *table)
{
	json_doc_free(&table->doc);
	*table = (struct group_config_table){ .group_count = 0 };
}
