#include "broker/core/settings.h"

#include <stdio.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "lib/wire/names.h"

enum { PERM_ALL = PERM_READ | PERM_WRITE | PERM_INHERIT, PERM_RW = PERM_READ | PERM_WRITE };

const struct topics *core_topics(const struct core *core)
{
	return core->topics;
}

const struct groups *core_groups(const struct core *core)
{
	return core->groups;
}

static enum status make_system_topic(struct core *core, const char *name, uint32_t queues, uint32_t perm,
				     struct errinfo *err)
{
	struct topic_settings settings = { .read_queue_nums = queues, .write_queue_nums = queues, .perm = perm };
	struct topic *topic;

	if (topics_put(core->topics, span_of(name), &settings, true, &topic) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "no memory for topic %s", name);
	return ST_OK;
}

enum status settings_make_template(struct core *core, struct errinfo *err)
{
	if (!core->config.auto_create_topic)
		return ST_OK;
	return make_system_topic(core, TOPIC_AUTO_CREATE, core->config.default_topic_queue_nums, PERM_ALL, err);
}

/* Where consumers send their replies to; they make the name from the property CLUSTER of what they reply to. */
static enum status make_reply_topic(struct core *core, struct errinfo *err)
{
	char name[LONG_TOPIC_NAME_MAX + 1];
	int size = snprintf(name, sizeof(name), "%s" REPLY_TOPIC_SUFFIX, core->config.cluster_name);

	return size > 0 && (size_t)size < sizeof(name) ? make_system_topic(core, name, 1, PERM_RW, err) : ST_OK;
}

enum status settings_make_system_topics(struct core *core, struct errinfo *err)
{
	static const struct {
		const char *name;
		uint32_t queues;
	} fixed[] = {
		{ TOPIC_SELF_TEST, 1 }, { TOPIC_HALF, 1 }, { TOPIC_OP_HALF, 1 }, { TOPIC_OFFSET_MOVED, 1 },
		{ TOPIC_SCHEDULE, 18 }, { TOPIC_CHECK_MAX_TIME, 1 },
	};
	enum status status = ST_OK;

	for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]) && status == ST_OK; i++)
		status = make_system_topic(core, fixed[i].name, fixed[i].queues, PERM_RW, err);
	core->half_topic_id = names_find(core->names, SPAN_LITERAL(TOPIC_HALF));
	core->schedule_topic_id = names_find(core->names, SPAN_LITERAL(TOPIC_SCHEDULE));
	if (status == ST_OK)
		status = settings_make_template(core, err);
	/* RocketMQ's brokers have a topic of their own name and one of their cluster's, for tools. */
	if (status == ST_OK)
		status = make_system_topic(core, core->config.cluster_name, 16, PERM_ALL, err);
	if (status == ST_OK)
		status = make_reply_topic(core, err);
	if (status == ST_OK && strcmp(core->config.cluster_name, core->config.broker_name) != 0)
		status = make_system_topic(core, core->config.broker_name, 1, PERM_ALL, err);
	return status;
}

static const char *const system_groups[] = {
	"TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",
	"CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", GROUP_TRANSACTION,
};

enum { SYSTEM_GROUPS = sizeof(system_groups) / sizeof(system_groups[0]) };

bool settings_is_system_group(struct span name)
{
	for (size_t i = 0; i < SYSTEM_GROUPS; i++) {
		if (span_is(name, system_groups[i]))
			return true;
	}
	return false;
}

enum status settings_make_system_groups(struct core *core, struct errinfo *err)
{
	struct group_config config = group_config_default();
	struct consumer_group *group;

	for (size_t i = 0; i < SYSTEM_GROUPS; i++) {
		if (groups_put(core->groups, span_of(system_groups[i]), &config, SPAN_NONE, &group) != ST_OK)
			return errinfo_set(err, ST_NOMEM, "no memory for group %s", system_groups[i]);
	}
	return ST_OK;
}

/* A name for what is about to be recorded, so that applying the record finds room. */
static enum status reserve_name(struct core *core, struct span name, struct outcome *outcome)
{
	uint32_t id;

	if (names_intern(core->names, name, &id) == ST_OK)
		return ST_OK;
	return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker knows too many names of topics and groups (%u), try later or "
			   "restart it", core->config.name_max);
}

static enum status reserve_topic(struct core *core, const struct record_topic *r, struct outcome *outcome)
{
	enum status status = reserve_name(core, r->name, outcome);

	if (status != ST_OK)
		return status;
	switch (topics_reserve(core->topics, r->name, r->attributes.size)) {
	case ST_OK: return ST_OK;
	case ST_FULL:
		(void)!topics_check_room(core->topics, &outcome->err);
		return core_refuse_as(outcome, RESP_SYSTEM_ERROR);
	default: return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for topic %.*s", SPAN_ARGS(r->name));
	}
}

static enum status reserve_group(struct core *core, const struct record_group *r, struct outcome *outcome)
{
	enum status status = reserve_name(core, r->name, outcome);

	if (status != ST_OK)
		return status;
	switch (groups_reserve(core->groups, r->name, r->forbidden.size + r->retry_policy.size)) {
	case ST_OK: return ST_OK;
	case ST_FULL:
		(void)!groups_check_room(core->groups, &outcome->err);
		return core_refuse_as(outcome, RESP_SYSTEM_ERROR);
	default: return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for group %.*s", SPAN_ARGS(r->name));
	}
}

/* --- records ------------------------------------------------------------------------------------------- */

struct record_topic settings_topic_record(struct span name, const struct topic_settings *settings)
{
	return (struct record_topic){
		.order = settings->order, .read_queue_nums = settings->read_queue_nums,
		.write_queue_nums = settings->write_queue_nums, .perm = settings->perm,
		.filter_type = settings->filter_type, .sys_flag = settings->sys_flag,
		.name = name, .attributes = settings->attributes,
	};
}

struct record_group settings_group_record(struct span name, const struct group_config *settings, struct span forbidden)
{
	return (struct record_group){
		.consume_enable = settings->consume_enable,
		.consume_from_min_enable = settings->consume_from_min_enable,
		.consume_broadcast_enable = settings->consume_broadcast_enable,
		.consume_message_orderly = settings->consume_message_orderly,
		.notify_consumer_ids_changed_enable = settings->notify_consumer_ids_changed_enable,
		.retry_queue_nums = (uint32_t)settings->retry_queue_nums,
		.retry_max_times = (uint32_t)settings->retry_max_times,
		.broker_id = settings->broker_id,
		.which_broker_when_consume_slowly = settings->which_broker_when_consume_slowly,
		.group_sys_flag = (uint32_t)settings->group_sys_flag,
		.consume_timeout_minute = (uint32_t)settings->consume_timeout_minute,
		.name = name,
		.forbidden = forbidden,
		.retry_policy = settings->retry_policy,
	};
}

enum status core_put_topic(struct core *core, struct span name, const struct topic_settings *settings,
			   struct outcome *outcome)
{
	struct record_topic r = settings_topic_record(name, settings);

	r.when_ms = core_store_time(core);
	if (r.read_queue_nums > TOPIC_QUEUE_MAX || r.write_queue_nums > TOPIC_QUEUE_MAX)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "a topic has at most %d queues", TOPIC_QUEUE_MAX);
	enum status reserved = reserve_topic(core, &r, outcome);
	return reserved != ST_OK ? reserved : settings_record_topic(core, &r, outcome);
}

void settings_make_trace_topic(struct core *core)
{
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_RW };
	struct outcome outcome = { 0 };

	if (core->trace_topic_made || core->config.trace_topic == NULL)
		return;
	struct span name = span_of(core->config.trace_topic);
	enum status status = topics_find(core->topics, name) != NULL ? ST_OK : core_put_topic(core, name, &settings, &outcome);
	core->trace_topic_made = status != ST_AGAIN;
	if (status != ST_OK && status != ST_AGAIN)
		log_warn("core", "the trace topic cannot be made", "topic=%s reason=\"%s\"", core->config.trace_topic,
			 outcome.err.text);
}

enum status settings_record_topic(struct core *core, const struct record_topic *r, struct outcome *outcome)
{
	size_t size = record_topic_size(r);
	struct placed at = { .size = (uint32_t)commitlog_record_size(size) };
	uint8_t *payload = room_begin(core, ROOM_PROGRESS, LOG_TOPIC, size, &at.offset);

	if (payload == NULL)
		return core_no_room(core, size, outcome);
	record_topic_encode(r, payload);
	uint64_t end = commitlog_commit(core->log);
	if (apply_topic(core, &at, r, &outcome->err) != ST_OK)
		core_state_broken(core, &outcome->err);
	if (core->effects.topics_changed != NULL)
		core->effects.topics_changed(core->effects.context);
	return core_accept(outcome, end);
}

/* A group that now has more retry queues than its retry topic: the topic follows. Messages are put only where both
 * allow, so a failure here does no harm. */
static enum status widen_retry_topic(struct core *core, struct span group, uint32_t queues, struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	const struct topic *topic = topics_find(core->topics, retry_topic_name(group, text));

	if (topic == NULL || topic->settings.read_queue_nums >= queues)
		return ST_OK;
	struct topic_settings settings = topic->settings;
	struct outcome widened = { 0 };
	settings.read_queue_nums = settings.write_queue_nums = queues;
	if (core_put_topic(core, topic->name, &settings, &widened) == ST_OK)
		outcome->wait_offset = widened.wait_offset;
	return ST_OK;
}

enum status core_put_group(struct core *core, struct span name, const struct group_config *s, struct outcome *outcome)
{
	const struct consumer_group *known = groups_find(core->groups, name);
	struct record_group r = settings_group_record(name, s, known == NULL ? SPAN_NONE : known->forbidden);

	r.when_ms = core_store_time(core);
	if (r.retry_queue_nums > TOPIC_QUEUE_MAX)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "a retry topic has at most %d queues", TOPIC_QUEUE_MAX);
	enum status status = settings_record_group(core, &r, outcome);
	return status != ST_OK ? status : widen_retry_topic(core, name, r.retry_queue_nums, outcome);
}

enum status settings_record_group(struct core *core, const struct record_group *r, struct outcome *outcome)
{
	enum status reserved = reserve_group(core, r, outcome);
	uint64_t offset;

	if (reserved != ST_OK)
		return reserved;
	size_t size = record_group_size(r);
	uint8_t *payload = room_begin(core, ROOM_PROGRESS, LOG_GROUP, size, &offset);
	if (payload == NULL)
		return core_no_room(core, size, outcome);
	record_group_encode(r, payload);
	uint64_t end = commitlog_commit(core->log);
	if (apply_group(core, r, &outcome->err) != ST_OK)
		core_state_broken(core, &outcome->err);
	return core_accept(outcome, end);
}

/* --- made on the way ------------------------------------------------------------------------------------- */

static enum status make_topic(struct core *core, struct span name, const struct topic_settings *settings,
			      struct topic **topic_out, struct outcome *outcome)
{
	*topic_out = topics_find(core->topics, name);
	if (*topic_out != NULL)
		return ST_OK;
	enum status status = core_put_topic(core, name, settings, outcome);
	if (status == ST_OK)
		*topic_out = topics_find(core->topics, name);
	return status;
}

/* As many queues to read as to write. */
static struct topic_settings plain_settings(uint32_t queues, uint32_t perm)
{
	return (struct topic_settings){ .read_queue_nums = queues, .write_queue_nums = queues, .perm = perm };
}

static enum status make_plain_topic(struct core *core, struct span name, uint32_t queues, struct topic **topic_out,
				    struct outcome *outcome)
{
	struct topic_settings settings = plain_settings(queues, PERM_RW);

	return make_topic(core, name, &settings, topic_out, outcome);
}

enum status settings_topic_for_send(struct core *core, struct span name, struct span template_name, int32_t queue_nums,
				    bool unit_mode, struct topic **topic_out, struct outcome *outcome)
{
	bool may_make = core->config.auto_create_topic || !span_is(template_name, TOPIC_AUTO_CREATE);
	const struct topic *template_topic = may_make ? topics_find(core->topics, template_name) : NULL;

	*topic_out = topics_find(core->topics, name);
	if (*topic_out != NULL)
		return ST_OK;
	if (template_topic != NULL && (template_topic->settings.perm & PERM_INHERIT) != 0) {
		uint32_t queues = queue_nums > 0 ? (uint32_t)queue_nums : 1;

		if (queues > template_topic->settings.write_queue_nums)
			queues = template_topic->settings.write_queue_nums;
		struct topic_settings settings = plain_settings(queues, template_topic->settings.perm & ~(uint32_t)PERM_INHERIT);
		settings.sys_flag = unit_mode ? TOPIC_FLAG_UNIT : 0;
		return make_topic(core, name, &settings, topic_out, outcome);
	}
	if (topic_is_retry(name) && groups_find(core->groups, topic_group(name)) != NULL)
		return settings_retry_topic(core, topic_group(name), topic_out, outcome);
	return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please!", SPAN_ARGS(name));
}

enum status settings_retry_topic(struct core *core, struct span group, struct topic **topic_out, struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	struct span name = retry_topic_name(group, text);
	const struct consumer_group *known = groups_find(core->groups, group);

	if (name.size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the group's name is too long for a retry topic");
	return make_plain_topic(core, name, known == NULL ? 1 : (uint32_t)known->settings.retry_queue_nums, topic_out, outcome);
}

enum status settings_pop_retry_topic(struct core *core, struct span group, struct span topic, struct topic **topic_out,
				     struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	struct span name = pop_retry_name(group, topic, text);

	if (name.size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the names of group and topic are too long for a retry topic");
	return make_plain_topic(core, name, 1, topic_out, outcome);
}

enum status settings_dead_letter_topic(struct core *core, struct span group, struct topic **topic_out,
				       struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	struct span name = dlq_topic_name(group, text);

	if (name.size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the group's name is too long for a dead-letter topic");
	return make_plain_topic(core, name, 1, topic_out, outcome);
}

enum status settings_group_for_consumer(struct core *core, struct span name, struct consumer_group **group_out,
					struct outcome *outcome)
{
	struct group_config defaults = group_config_default();

	*group_out = groups_find(core->groups, name);
	if (*group_out != NULL)
		return ST_OK;
	if (!core->config.auto_create_group)
		return core_refuse(outcome, RESP_SUBSCRIPTION_GROUP_NOT_EXIST, "subscription group [%.*s] does not exist",
				   SPAN_ARGS(name));
	if (group_name_check(name, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	enum status status = core_put_group(core, name, &defaults, outcome);
	if (status == ST_OK)
		*group_out = groups_find(core->groups, name);
	return status;
}
