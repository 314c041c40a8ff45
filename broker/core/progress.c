#include "broker/core/progress.h"

#include <assert.h>

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/filter/sql_filter.h"

enum { HOLD_MAX_MS = 30 * 1000, HOLD_WITHOUT_LONG_POLLING_MS = 1000 };

/* --- offsets --------------------------------------------------------------------------------------------- */

enum status progress_record_offsets(struct core *core, const struct record_offset *offsets, size_t count,
				    struct outcome *outcome)
{
	size_t size = record_offsets_size(offsets, count);
	uint64_t offset;
	uint8_t *payload = room_begin(core, ROOM_PROGRESS, LOG_OFFSETS, size, &offset);

	if (payload == NULL)
		return core_no_room(core, size, outcome);
	record_offsets_encode(offsets, count, payload);
	uint64_t end = commitlog_commit(core->log);
	for (size_t i = 0; i < count; i++) {
		if (apply_offset(core, &offsets[i], &outcome->err) != ST_OK)
			core_state_broken(core, &outcome->err);
	}
	return core_accept(outcome, end);
}

enum status core_flush_offsets(struct core *core)
{
	enum { AT_ONCE = 256 };
	struct offsets_entry dirty[AT_ONCE];
	struct record_offset records[AT_ONCE];
	struct outcome outcome;
	size_t count;

	while ((count = offsets_dirty(core->offsets, dirty, AT_ONCE)) > 0) {
		for (size_t i = 0; i < count; i++)
			records[i] = (struct record_offset){ names_text(core->names, dirty[i].group_id),
							     names_text(core->names, dirty[i].topic_id),
							     dirty[i].queue_id, dirty[i].value };
		enum status status = progress_record_offsets(core, records, count, &outcome);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

enum status progress_reserve_offset(struct core *core, uint32_t topic_id, uint32_t group_id, uint32_t queue_id,
				    struct outcome *outcome)
{
	if (offsets_reserve(core->offsets, topic_id, group_id, queue_id) == ST_OK)
		return ST_OK;
	return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker keeps too many consumer offsets already");
}

enum status core_update_offset(struct core *core, struct span group_name, struct span topic_name, int32_t queue_id,
			       int64_t offset, bool lasting, struct outcome *outcome)
{
	const struct consumer_group *group = groups_find(core->groups, group_name);
	struct topic *topic = topics_find(core->topics, topic_name);

	if (group == NULL)
		return core_refuse(outcome, RESP_SUBSCRIPTION_GROUP_NOT_EXIST, "Group %.*s not exist!", SPAN_ARGS(group_name));
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "Topic %.*s not exist!", SPAN_ARGS(topic_name));
	if (queue_id < 0 || (uint32_t)queue_id >= topic_queue_nums(topic) || offset < 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "queueId %d or offset %lld is illegal", queue_id,
				   (long long)offset);
	enum status status = progress_reserve_offset(core, topic->id, group->id, (uint32_t)queue_id, outcome);
	if (status != ST_OK)
		return status;
	if (offsets_reset_target(core->offsets, topic->id, group->id, (uint32_t)queue_id) >= 0)
		return core_accept(outcome, 0); /* It does not know yet that it was sent elsewhere: see resets.h. */
	status = pop_reset_position(core, topic->id, group->id, (uint32_t)queue_id, (uint64_t)offset, true, outcome);
	if (status == ST_AGAIN)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]no room in the log to go back");
	if (status != ST_OK)
		return status;
	if (!lasting) {
		offsets_note(core->offsets, topic->id, group->id, (uint32_t)queue_id, offset);
		return core_accept(outcome, 0);
	}
	/* Consumers repeat themselves. */
	if (offsets_is_stored(core->offsets, topic->id, group->id, (uint32_t)queue_id, offset))
		return core_accept_as_known(core, outcome);
	struct record_offset record = { group->name, topic->name, (uint32_t)queue_id, offset };
	status = progress_record_offsets(core, &record, 1, outcome);
	if (status == ST_OK)
		return status;
	/* Run again later it could overtake a newer word: take it as a one-way update, and do not call it durable. */
	offsets_note(core->offsets, topic->id, group->id, (uint32_t)queue_id, offset);
	if (status != ST_AGAIN)
		return status;
	return core_refuse(outcome, RESP_SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]the log has no room at the moment");
}

bool progress_is_young(const struct core *core, const struct queue *queue)
{
	struct cq_entry first;

	if (queue == NULL || queue->visible_offset == 0)
		return true;
	if (consume_queue_min(&queue->entries) > 0)
		return false;
	if (consume_queue_get(&queue->entries, 0, &first, NULL) != ST_OK)
		return false; /* Its index page has left the memory: not young. */
	return commitlog_appended(core->log) - first.log_offset < core->config.young_queue_bytes;
}

/* A value that no record carries yet gets one, and the answer waits for it. Without room for that it is told as it is. */
static enum status tell_offset(struct core *core, const struct record_offset *told, uint32_t topic_id, uint32_t group_id,
			       struct outcome *outcome)
{
	if (offsets_is_stored(core->offsets, topic_id, group_id, told->queue_id, told->offset))
		return core_accept_as_known(core, outcome);
	if (progress_record_offsets(core, told, 1, outcome) == ST_OK)
		return ST_OK;
	return core_accept(outcome, 0);
}

enum status core_query_offset(struct core *core, struct span group_name, struct span topic_name, int32_t queue_id,
			      bool zero_if_unknown, int64_t *offset_out, struct outcome *outcome)
{
	uint32_t group_id = names_find(core->names, group_name), topic_id = names_find(core->names, topic_name);
	const struct topic *topic = topics_find(core->topics, topic_name);

	if (group_id != 0 && topic_id != 0 && queue_id >= 0 &&
	    offsets_get(core->offsets, topic_id, group_id, (uint32_t)queue_id, offset_out)) {
		struct record_offset told = { group_name, topic_name, (uint32_t)queue_id, *offset_out };

		return tell_offset(core, &told, topic_id, group_id, outcome);
	}
	*offset_out = 0;
	if (zero_if_unknown && topic != NULL && queue_id >= 0 && (uint32_t)queue_id < topic_queue_nums(topic) &&
	    progress_is_young(core, topic_queue(topic, (uint32_t)queue_id)))
		return core_accept(outcome, 0);
	return core_refuse(outcome, RESP_QUERY_NOT_FOUND, "Not found, maybe this group consumer boot first");
}

/* --- positions --------------------------------------------------------------------------------------------- */

enum status core_queue_range(struct core *core, struct span topic_name, int32_t queue_id, struct queue_range *out,
			     struct outcome *outcome)
{
	struct topic *topic;
	enum status status = core_find_queue(core, topic_name, queue_id, &topic, outcome);
	struct queue *queue = topic != NULL && queue_id >= 0 ? topic_queue(topic, (uint32_t)queue_id) : NULL;

	*out = (struct queue_range){ 0 };
	if (status != ST_OK && queue == NULL)
		return status;
	if (queue != NULL) {
		if (trimming_queue_min(core, queue, &out->min_offset, NULL) == ST_AGAIN)
			return ST_AGAIN;
		out->max_offset = queue->visible_offset;
	}
	return core_accept(outcome, 0);
}

enum status core_search_offset(struct core *core, struct span topic_name, int32_t queue_id, int64_t time_ms, bool upper,
			       uint64_t *offset_out, struct outcome *outcome)
{
	struct topic *topic;
	enum status status = core_find_queue(core, topic_name, queue_id, &topic, outcome);

	*offset_out = 0;
	if (status != ST_OK)
		return status;
	struct queue *queue = topic_queue(topic, (uint32_t)queue_id);
	uint64_t min = 0;
	if (queue == NULL)
		return core_accept(outcome, 0);
	status = trimming_queue_min(core, queue, &min, &outcome->err);
	if (status == ST_OK)
		status = consume_queue_find_time(&queue->entries, queue->visible_offset, time_ms,
						 upper ? CQ_UPPER : CQ_LOWER, offset_out, &outcome->err);
	if (status == ST_OK)
		return core_accept(outcome, 0);
	return status == ST_AGAIN ? status : core_refuse(outcome, RESP_SYSTEM_ERROR, "%s", outcome->err.text);
}

enum status core_earliest_time(struct core *core, struct span topic_name, int32_t queue_id, int64_t *time_out,
			       struct outcome *outcome)
{
	struct topic *topic;
	struct cq_entry first;
	enum status status = core_find_queue(core, topic_name, queue_id, &topic, outcome);

	*time_out = -1;
	if (status != ST_OK)
		return status;
	struct queue *queue = topic_queue(topic, (uint32_t)queue_id);
	uint64_t min = 0;
	if (queue == NULL || queue->visible_offset == 0)
		return core_accept(outcome, 0);
	status = trimming_queue_min(core, queue, &min, &outcome->err);
	if (status == ST_OK && min == queue->visible_offset)
		return core_accept(outcome, 0);
	if (status == ST_OK)
		status = consume_queue_get(&queue->entries, min, &first, &outcome->err);
	if (status == ST_AGAIN)
		return status;
	if (status == ST_OK)
		*time_out = first.store_time_ms;
	return core_accept(outcome, 0);
}

/* --- pulls --------------------------------------------------------------------------------------------------- */

static enum status check_group(struct core *core, const struct pull_header *header, struct consumer_group **group_out,
			       struct outcome *outcome)
{
	if ((core->config.forbidden & PERM_READ) != 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the broker[%s] pulling message is forbidden", core->config.broker_name);
	enum status status = settings_group_for_consumer(core, header->consumer_group, group_out, outcome);

	if (status != ST_OK)
		return status;
	if (!(*group_out)->settings.consume_enable)
		return core_refuse(outcome, RESP_NO_PERMISSION, "subscription group no permission, %.*s",
				   SPAN_ARGS(header->consumer_group));
	if (group_is_forbidden(*group_out, header->topic))
		return core_refuse(outcome, RESP_NO_PERMISSION, "the consumer group[%.*s] is forbidden for topic[%.*s]",
				   SPAN_ARGS(header->consumer_group), SPAN_ARGS(header->topic));
	return ST_OK;
}

static enum status refuse_class_filter(struct outcome *outcome)
{
	return core_refuse(outcome, RESP_SUBSCRIPTION_PARSE_FAILED,
			   "this broker runs no class filters: subscribe with tags or SQL92");
}

/* Whether pulls may be filtered by SQL92 here. */
static enum status check_sql_allowed(const struct core *core, struct outcome *outcome)
{
	if (core->config.property_filter)
		return ST_OK;
	return core_refuse(outcome, RESP_SYSTEM_ERROR,
			   "The broker does not support consumer to filter message by SQL92: set enablePropertyFilter=true");
}

/* The expression that a pull carries. The last ones are kept, compiled. Borrowed until the next pull. */
static struct expression *carried_expression(struct core *core, struct span text, bool sql)
{
	uint64_t hash = hash128_bytes(core->hash_key, text.data, text.size).lo;
	struct expression **slot = &core->pull_expressions[hash & (PULL_EXPRESSIONS - 1)];

	if (*slot != NULL && (*slot)->sql == sql && span_equal(expression_text(*slot), text))
		return *slot;
	expression_release(*slot);
	*slot = expression_create(text, sql);
	return *slot;
}

/* What compiling says, behind RocketMQ's words. */
static enum status refuse_expression(struct span text, int32_t code, const char *words, struct outcome *outcome)
{
	struct sql_filter *filter;
	struct errinfo err = { .text = "" };

	(void)!sql_filter_compile(text, &filter, &err);
	sql_filter_free(filter);
	return core_refuse(outcome, code, "%s: %s", words, err.text);
}

enum status core_check_subscription(struct core *core, const struct subscription_data *said, struct outcome *outcome)
{
	struct tag_filter filter;
	struct sql_filter *program;

	if (said->class_filter_mode)
		return refuse_class_filter(outcome);
	if (said->expression_type.size == 0 || span_is(said->expression_type, "TAG")) {
		if (tag_filter_parse(said->sub_string, &filter, &outcome->err) != ST_OK)
			return core_refuse_as(outcome, RESP_SUBSCRIPTION_PARSE_FAILED);
		return core_accept(outcome, 0);
	}
	if (!span_is(said->expression_type, "SQL92"))
		return core_refuse(outcome, RESP_SUBSCRIPTION_PARSE_FAILED, "expressionType %.*s is neither TAG nor SQL92",
				   SPAN_ARGS(said->expression_type));
	enum status status = check_sql_allowed(core, outcome);
	if (status != ST_OK)
		return status;
	status = sql_filter_compile(said->sub_string, &program, &outcome->err);
	sql_filter_free(program);
	return status == ST_OK ? core_accept(outcome, 0) : core_refuse_as(outcome, RESP_SUBSCRIPTION_PARSE_FAILED);
}

enum status progress_own_filter(struct core *core, struct span type, struct span text, struct tag_filter *filter,
				struct expression **expression, struct outcome *outcome)
{
	bool sql = span_is(type, "SQL92");

	*expression = NULL;
	if (!sql && type.size > 0 && !span_is(type, "TAG"))
		return core_refuse(outcome, RESP_SUBSCRIPTION_PARSE_FAILED, "expressionType %.*s is neither TAG nor SQL92",
				   SPAN_ARGS(type));
	if (!sql && tag_filter_parse(text, filter, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_SUBSCRIPTION_PARSE_FAILED);
	if (!sql && filter->count == 0)
		return ST_OK;
	*expression = carried_expression(core, text, sql);
	if (*expression == NULL)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for a subscription");
	if (sql && (*expression)->program == NULL)
		return refuse_expression(text, RESP_SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed", outcome);
	return sql ? check_sql_allowed(core, outcome) : ST_OK;
}

static enum status own_filter(struct core *core, const struct pull_header *header, struct pull_request *out,
			      struct outcome *outcome)
{
	if ((header->sys_flag & PULL_CLASS_FILTER) != 0)
		return refuse_class_filter(outcome);
	return progress_own_filter(core, header->expression_type, header->subscription, &out->filter, &out->expression, outcome);
}

/* RocketMQ keeps an older expression that did compile, and does not use it. */
static enum status refuse_uncompiled(const struct subscription *subscription, struct outcome *outcome)
{
	struct span text = expression_text(subscription->expression);

	if (subscription->outdated)
		return refuse_expression(text, RESP_FILTER_DATA_NOT_LATEST, "the consumer's consumer filter data not latest", outcome);
	return refuse_expression(text, RESP_FILTER_DATA_NOT_EXIST,
				 "The broker's consumer filter data is not exist!Your expression may be wrong!", outcome);
}

/* The filter that the group's heartbeats declare. */
static enum status group_filter(struct core *core, const struct pull_header *header, const struct consumer_group *group,
				const struct topic *topic, struct pull_request *out, struct outcome *outcome)
{
	const struct consumer_profile *profile = members_profile(core->members, group->id);
	const struct subscription *subscription = members_subscription(core->members, group->id, topic->id);

	if (profile == NULL)
		return core_refuse(outcome, RESP_SUBSCRIPTION_NOT_EXIST, "the consumer's group info not exist");
	if (profile->broadcasting && !group->settings.consume_broadcast_enable)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the consumer group[%.*s] can not consume by broadcast way",
				   SPAN_ARGS(group->name));
	if (subscription == NULL)
		return core_refuse(outcome, RESP_SUBSCRIPTION_NOT_EXIST, "the consumer's subscription not exist");
	if (subscription->class_filter)
		return refuse_class_filter(outcome);
	/* A newer subscription is on its way by heartbeat, up to 30 s away when the client's first one was skipped. A filter
	 * that lets everything through cannot hide what the newer one wants, and clients look at the tags again. */
	if (subscription->sub_version < header->sub_version && (subscription->filter.count > 0 || subscription->sql))
		return core_refuse(outcome, RESP_SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
	if (subscription->sql && subscription->expression->program == NULL)
		return refuse_uncompiled(subscription, outcome);
	out->filter = subscription->filter;
	out->expression = subscription->expression;
	return subscription->sql ? check_sql_allowed(core, outcome) : ST_OK;
}

enum status core_prepare_pull(struct core *core, const struct pull_header *header, struct pull_request *out,
			      struct outcome *outcome)
{
	struct consumer_group *group;
	struct topic *topic;

	*out = (struct pull_request){ 0 };
	enum status status = check_group(core, header, &group, outcome);
	if (status != ST_OK)
		return status;
	topic = topics_find(core->topics, header->topic);
	if (topic != NULL && (topic->settings.perm & PERM_READ) == 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the topic[%.*s] pulling message is forbidden",
				   SPAN_ARGS(header->topic));
	status = core_find_queue(core, header->topic, header->queue_id, &topic, outcome);
	if (status == ST_OK && (uint32_t)header->queue_id >= topic->settings.read_queue_nums)
		status = core_refuse(outcome, RESP_INVALID_PARAMETER, "queueId[%d] is illegal, topic:[%.*s] topicConfig.readQueueNums:[%u]",
				     header->queue_id, SPAN_ARGS(header->topic), topic->settings.read_queue_nums);
	if (status != ST_OK)
		return status;
	if ((header->sys_flag & PULL_SUBSCRIPTION) != 0)
		status = own_filter(core, header, out, outcome);
	else
		status = group_filter(core, header, group, topic, out, outcome);
	if (status != ST_OK)
		return status;
	int32_t wanted = header->max_msg_nums > 0 ? header->max_msg_nums : 1;
	out->topic_id = topic->id;
	out->group_id = group->id;
	out->queue_id = (uint32_t)header->queue_id;
	out->negative = header->queue_offset < 0;
	out->offset = out->negative ? 0 : (uint64_t)header->queue_offset;
	out->message_max = wanted < PULL_MESSAGES_MAX ? (uint32_t)wanted : PULL_MESSAGES_MAX;
	out->bytes_max = header->max_msg_bytes > 0 && header->max_msg_bytes < PULL_BYTES_MAX ? (uint32_t)header->max_msg_bytes
											     : PULL_BYTES_MAX;
	if ((header->sys_flag & PULL_COMMIT_OFFSET) != 0 && header->commit_offset >= 0 &&
	    offsets_reset_target(core->offsets, topic->id, group->id, out->queue_id) < 0 &&
	    progress_reserve_offset(core, topic->id, group->id, out->queue_id, outcome) == ST_OK)
		offsets_note(core->offsets, topic->id, group->id, out->queue_id, header->commit_offset);
	return core_accept(outcome, 0);
}

bool core_hold_pull(struct core *core, const struct pull_request *request, uint64_t conn_id, int32_t opaque,
		    uint8_t serialize_type, int64_t timeout_ms)
{
	struct topic *topic = topics_find(core->topics, names_text(core->names, request->topic_id));
	struct hold hold = { .pull = *request, .conn_id = conn_id, .opaque = opaque, .serialize_type = serialize_type };

	if (topic == NULL || topic_queue_make(core->topics, topic, request->queue_id, &hold.queue) != ST_OK)
		return false;
	if (!core->config.long_polling && timeout_ms > HOLD_WITHOUT_LONG_POLLING_MS)
		timeout_ms = HOLD_WITHOUT_LONG_POLLING_MS;
	if (timeout_ms > HOLD_MAX_MS)
		timeout_ms = HOLD_MAX_MS;
	hold.deadline_mono_ms = core->mono_ms + timeout_ms;
	return holds_add(&core->holds, &hold) == ST_OK;
}
