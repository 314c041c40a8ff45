#include "broker/core/clients.h"

#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "checkback/checkback.h"

enum { SUBSCRIPTIONS_MAX = 256 };

struct notify_context {
	struct core *core;
	struct span group;
};

static void notify_one(void *context, uint64_t conn_id, struct span client_id)
{
	const struct notify_context *notify = context;

	(void)client_id;
	notify->core->effects.notify_consumer(notify->core->effects.context, conn_id, notify->group);
}

/* Members of a clustering group share queues anew. */
static void notify_group(struct core *core, uint32_t group_id)
{
	struct notify_context notify = { core, names_text(core->names, group_id) };
	const struct consumer_profile *profile = members_profile(core->members, group_id);
	const struct consumer_group *group = groups_find(core->groups, notify.group);

	if (profile == NULL || profile->broadcasting)
		return;
	if (group != NULL && !group->settings.notify_consumer_ids_changed_enable)
		return;
	members_each(core->members, group_id, MEMBER_CONSUMER, notify_one, &notify);
}

static void member_gone(void *context, uint64_t conn_id, uint32_t group_id, enum member_role role)
{
	struct core *core = context;

	if (role == MEMBER_PRODUCER) {
		checkback_producer_gone(core->checkback, group_id, conn_id);
		return;
	}
	pop_waits_remove_member(core, conn_id, group_id);
	notify_group(core, group_id);
}

/* --- heartbeats ------------------------------------------------------------------------------------------ */

static enum status see_producer(struct core *core, const struct member_client *client, struct span name)
{
	uint32_t group_id;
	bool joined;

	/* Each Java client lists it, whatever it is for: never somebody to ask. */
	if (span_is(name, GROUP_CLIENT_INNER_PRODUCER) || name.size > 255)
		return ST_OK;
	enum status status = names_intern_soft(core->names, name, &group_id);
	if (status == ST_OK)
		status = members_see_producer(core->members, client, group_id, &joined);
	if (status == ST_OK)
		status = checkback_producer_seen(core->checkback, group_id, client->conn_id);
	return status;
}

/* Compiled once, however often heartbeats say it. */
static bool set_expression(const struct subscription *before, struct span text, struct subscription *out)
{
	if (before != NULL && before->sql == out->sql && span_equal(expression_text(before->expression), text))
		out->expression = expression_hold(before->expression);
	else
		out->expression = expression_create(text, out->sql);
	if (out->expression == NULL)
		return false;
	out->outdated = out->sql && out->expression->program == NULL && before != NULL && before->sql &&
			(before->outdated || before->expression->program != NULL);
	return true;
}

static enum status read_subscriptions(struct core *core, uint32_t group_id, const struct consumer_data *data,
				      struct subscription *out, size_t *count_out)
{
	*count_out = 0;
	for (size_t i = 0; i < data->subscription_count && *count_out < SUBSCRIPTIONS_MAX; i++) {
		const struct subscription_data *said = &data->subscriptions[i];
		struct subscription *subscription = &out[*count_out];

		*subscription = (struct subscription){ .sub_version = said->sub_version,
						       .sql = span_is(said->expression_type, "SQL92"),
						       .class_filter = said->class_filter_mode };
		if (said->topic.size > 255)
			continue;
		if (names_intern_soft(core->names, said->topic, &subscription->topic_id) != ST_OK)
			return ST_FULL;
		if (!subscription->sql && tag_filter_parse(said->sub_string, &subscription->filter, NULL) != ST_OK)
			continue; /* The pull will say so. */
		if (!set_expression(members_subscription(core->members, group_id, subscription->topic_id), said->sub_string,
				    subscription))
			return ST_NOMEM;
		(*count_out)++;
	}
	return ST_OK;
}

static enum status see_consumer(struct core *core, const struct member_client *client, const struct consumer_data *data,
				bool without_sub, struct outcome *outcome)
{
	struct subscription subscriptions[SUBSCRIPTIONS_MAX];
	struct consumer_profile profile = { data->consume_type, data->message_model == MODEL_BROADCASTING,
					    data->consume_from_where };
	struct consumer_group *group;
	struct topic *retry;
	size_t count;
	bool changed;

	enum status status = settings_group_for_consumer(core, data->group_name, &group, outcome);
	if (status == ST_OK)
		status = settings_retry_topic(core, data->group_name, &retry, outcome);
	if (status != ST_OK)
		return status == ST_AGAIN ? ST_AGAIN : ST_OK;
	if (without_sub)
		return ST_OK;
	status = read_subscriptions(core, group->id, data, subscriptions, &count);
	if (status == ST_OK)
		status = members_see_consumer(core->members, client, group->id, &profile, subscriptions, count, &changed);
	for (size_t i = 0; i < count; i++)
		expression_release(subscriptions[i].expression);
	if (status == ST_OK && changed)
		notify_group(core, group->id);
	return status;
}

enum status core_heartbeat(struct core *core, uint64_t conn_id, const struct host *address, int32_t language,
			   int32_t version, const struct heartbeat *heartbeat, struct outcome *outcome)
{
	struct member_client client = { conn_id, *address, heartbeat->client_id, language, version, core->mono_ms };
	enum status status = ST_OK;

	if (client.client_id.size > CLIENT_ID_MAX)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "clientID of %zu bytes: at most %d are allowed", client.client_id.size,
				   CLIENT_ID_MAX);
	for (size_t i = 0; i < heartbeat->producer_count && status == ST_OK; i++)
		status = see_producer(core, &client, heartbeat->producer_groups[i]);
	for (size_t i = 0; i < heartbeat->consumer_count && status == ST_OK; i++)
		status = see_consumer(core, &client, &heartbeat->consumers[i], heartbeat->without_sub, outcome);
	if (status == ST_AGAIN)
		return status;
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker has no room for another group member: %s",
				   status_text(status));
	/* Groups and topics that it made are recorded by then. */
	return core_accept(outcome, outcome->wait_offset);
}

void core_unregister(struct core *core, uint64_t conn_id, struct span producer_group, struct span consumer_group)
{
	uint32_t id = names_find(core->names, producer_group);

	if (producer_group.size > 0 && id != 0)
		members_unregister(core->members, conn_id, id, MEMBER_PRODUCER, member_gone, core);
	id = names_find(core->names, consumer_group);
	if (consumer_group.size > 0 && id != 0)
		members_unregister(core->members, conn_id, id, MEMBER_CONSUMER, member_gone, core);
}

void core_connection_gone(struct core *core, uint64_t conn_id)
{
	holds_remove_connection(&core->holds, conn_id);
	pop_waits_remove_connection(core, conn_id);
	members_connection_gone(core->members, conn_id, member_gone, core);
}

void clients_expire(struct core *core)
{
	members_expire(core->members, core->mono_ms, member_gone, core);
}

bool core_client(const struct core *core, uint64_t conn_id, struct member_client *out)
{
	return members_client(core->members, conn_id, out);
}

struct span core_client_id(const struct core *core, uint64_t conn_id)
{
	return members_client_id(core->members, conn_id);
}

size_t core_consumers(const struct core *core, struct span group, members_visit visit, void *context)
{
	uint32_t id = names_find(core->names, group);

	return id == 0 ? 0 : members_each_client(core->members, id, MEMBER_CONSUMER, visit, context);
}
