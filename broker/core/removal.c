#include "broker/core/removal.h"

#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/wire/names.h"

enum { FORBIDDEN_TEXT_MAX = 60000 };

/* --- topics ------------------------------------------------------------------------------------------------- */

/* Pulls that wait for it learn that it is gone. */
static void answer_waiting(struct core *core, const struct topic *topic)
{
	for (uint32_t i = 0; i < topic->queue_count; i++) {
		while (topic->queues[i] != NULL && topic->queues[i]->holds != NULL)
			holds_finish(&core->holds, topic->queues[i]->holds, core->effects.hold_ready, core->effects.context, true);
	}
}

static enum status delete_one(struct core *core, const struct topic *topic, struct outcome *outcome)
{
	struct record_topic r = settings_topic_record(topic->name, &topic->settings);

	r.deleted = true;
	r.when_ms = core_store_time(core);
	enum status status = settings_record_topic(core, &r, outcome);
	if (status != ST_OK)
		return status;
	answer_waiting(core, topic);
	pop_waits_topic_gone(core, topic);
	statistics_forget_topic(core->statistics, topic->id);
	return ST_OK;
}

/* The topics into which consumption by POP puts what it gives out again: %RETRY%group_topic and %RETRY%group+topic. */
static enum status delete_pop_retries(struct core *core, struct span name, const struct consumer_group *group,
				      struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	struct span retry = retry_topic_name(group->name, text);
	enum status status = ST_OK;

	if (retry.size == 0 || retry.size + 1 + name.size > sizeof(text))
		return ST_OK;
	memcpy(text + retry.size + 1, name.data, name.size);
	retry.size += 1 + name.size;
	for (size_t i = 0; i < 2 && status == ST_OK; i++) {
		text[retry.size - name.size - 1] = (uint8_t)"_+"[i];
		const struct topic *topic = topics_find(core->topics, retry);
		if (topic != NULL)
			status = delete_one(core, topic, outcome);
	}
	return status;
}

enum status core_delete_topic(struct core *core, struct span name, struct outcome *outcome)
{
	const struct topic *topic = topics_find(core->topics, name);
	enum status status = ST_OK;

	if (name.size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "The specified topic is blank.");
	if (topic_is_system(name) || (topic != NULL && topic->system))
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "The topic[%.*s] is conflict with system topic.", SPAN_ARGS(name));
	if (topic == NULL)
		return core_accept_as_known(core, outcome);
	/* The topic last: a request that must be run again finds it. */
	for (const struct consumer_group *g = groups_first(core->groups); g != NULL && status == ST_OK; g = groups_next(g))
		status = delete_pop_retries(core, name, g, outcome);
	return status == ST_OK ? delete_one(core, topic, outcome) : status;
}

/* --- groups --------------------------------------------------------------------------------------------------- */

enum status core_delete_group(struct core *core, struct span name, bool clean_offsets, struct outcome *outcome)
{
	const struct consumer_group *group = clean_offsets ? groups_find_any(core->groups, name) : groups_find(core->groups, name);

	if (name.size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the group's name is blank: set groupName");
	if (group == NULL)
		return core_accept_as_known(core, outcome);
	struct record_group r = settings_group_record(group->name, &group->settings, SPAN_NONE);
	r.deleted = true;
	r.clean_offsets = clean_offsets;
	r.retry_policy = SPAN_NONE;
	r.when_ms = core_store_time(core);
	return settings_record_group(core, &r, outcome);
}

/* The list without the topic, and with it at the end unless it may be read. */
static enum status list_forbidden(struct core *core, struct span before, struct span topic, bool readable,
				  struct span *out, struct outcome *outcome)
{
	struct buffer *list = &core->properties;

	buffer_reset(list);
	while (before.size > 0) {
		const uint8_t *end = memchr(before.data, '\n', before.size);
		size_t size = end == NULL ? before.size : (size_t)(end - before.data) + 1;

		if (!span_equal((struct span){ before.data, size - (end != NULL) }, topic))
			buffer_append(list, before.data, size);
		before = (struct span){ before.data + size, before.size - size };
	}
	if (!readable) {
		buffer_append_span(list, topic);
		buffer_put_u8(list, '\n');
	}
	*out = buffer_span(list);
	if (list->failed || out->size > FORBIDDEN_TEXT_MAX)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "the group is forbidden to read too many topics: allow some of them, or delete "
				   "the group's consumeEnable instead");
	return ST_OK;
}

enum status core_set_group_readable(struct core *core, struct span name, struct span topic, bool readable,
				    struct outcome *outcome)
{
	const struct consumer_group *group = groups_find(core->groups, name);
	struct group_config defaults = group_config_default();
	struct span forbidden;

	if (group_name_check(name, &outcome->err) != ST_OK || topic_name_check(topic, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	if (group == NULL ? readable : group_is_forbidden(group, topic) != readable)
		return core_accept_as_known(core, outcome);
	enum status status = list_forbidden(core, group == NULL ? SPAN_NONE : group->forbidden, topic, readable, &forbidden, outcome);
	if (status != ST_OK)
		return status;
	struct record_group r = settings_group_record(name, group == NULL ? &defaults : &group->settings, forbidden);
	r.when_ms = core_store_time(core);
	return settings_record_group(core, &r, outcome);
}
