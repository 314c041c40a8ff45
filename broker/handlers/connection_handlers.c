/* Who is connected and reads what: GET_CONSUMER_CONNECTION_LIST (203), GET_PRODUCER_CONNECTION_LIST (204),
 * GET_ALL_PRODUCER_INFO (328), QUERY_TOPIC_CONSUME_BY_WHO (300), QUERY_TOPICS_BY_CONSUMER (343),
 * QUERY_SUBSCRIPTION_BY_CONSUMER (345). */
#include <stdio.h>

#include "broker/core/clients.h"
#include "broker/core/inspect.h"
#include "broker/core/settings.h"
#include "broker/core/store_address.h"
#include "broker/handlers/handlers.h"
#include "broker/handlers/subscriptions.h"
#include "lib/wire/body_stats.h"
#include "lib/wire/headers.h"
#include "lib/wire/names.h"

enum { LISTED_MAX = 30000 }; /* More would not fit into a frame that clients take. */

struct connection_list {
	struct handlers *handlers;
	struct json_writer writer;
	void (*encode)(struct json_writer *writer, const struct connection_item *item);
	size_t count;
};

/* A member's connection; false when it is just going. */
static bool describe(const struct handlers *handlers, uint64_t conn_id, char address[HOST_TEXT_SIZE], struct connection_item *out)
{
	struct member_client client;

	if (!core_client(handlers->core, conn_id, &client))
		return false;
	*out = (struct connection_item){ host_text(&client.address, address), client.client_id, client.language, client.version,
					 core_wall_ms(handlers->core) };
	return true;
}

static void add_connection(void *context, uint64_t conn_id, struct span client_id)
{
	struct connection_list *list = context;
	struct connection_item item;
	char address[HOST_TEXT_SIZE];

	(void)client_id;
	if (describe(list->handlers, conn_id, address, &item))
		list->encode(&list->writer, &item);
}

static void put_connections(struct connection_list *list, uint32_t group_id, enum member_role role)
{
	list->encode = connection_encode;
	json_key(&list->writer, "connectionSet");
	json_open(&list->writer, '[');
	members_each(core_members(list->handlers->core), group_id, role, add_connection, list);
	json_close(&list->writer, ']');
}

/* True, and refused: the list would be too long. */
static bool too_many(struct handlers *handlers, const struct request *request, size_t count)
{
	char remark[96];

	if (count <= LISTED_MAX)
		return false;
	snprintf(remark, sizeof(remark), "there are %zu connections, more than the %d that an answer may list", count, LISTED_MAX);
	handlers_refuse(handlers, request, RESP_SYSTEM_ERROR, remark);
	return true;
}

/* --- consumers ----------------------------------------------------------------------------------------------------- */

void put_subscription(struct json_writer *writer, struct span topic, const struct subscription *subscription)
{
	struct subscription_item item = {
		.topic = topic, .sub_string = expression_text(subscription->expression), .sql = subscription->sql,
		.sub_version = subscription->sub_version, .tag_hashes = subscription->filter.hashes,
		.tag_count = subscription->filter.count,
	};

	subscription_encode(writer, &item);
}

static void put_subscriptions(struct connection_list *list, uint32_t group_id)
{
	struct core *core = list->handlers->core;
	size_t count;
	const struct subscription *set = members_subscriptions(core_members(core), group_id, &count);

	json_key(&list->writer, "subscriptionTable");
	json_open(&list->writer, '{');
	for (size_t i = 0; i < count; i++) {
		struct span topic = core_name(core, set[i].topic_id);

		json_key_span(&list->writer, topic);
		put_subscription(&list->writer, topic, &set[i]);
	}
	json_close(&list->writer, '}');
}

enum status handle_consumer_connections(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	struct encoder encoder;
	struct span group;

	if (consumer_group_decode(request->command, &group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	uint32_t id = core_name_id(handlers->core, group);
	const struct consumer_profile *profile = members_profile(core_members(handlers->core), id);
	if (id == 0 || profile == NULL) {
		(void)core_refuse(&outcome, RESP_CONSUMER_NOT_ONLINE, "the consumer group[%.*s] not online", SPAN_ARGS(group));
		return answer_outcome(handlers, request, &outcome);
	}
	if (too_many(handlers, request, members_each(core_members(handlers->core), id, MEMBER_CONSUMER, NULL, NULL)))
		return ST_OK;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct connection_list list = { .handlers = handlers, .writer = json_writer_of(out) };
	json_open(&list.writer, '{');
	put_connections(&list, id, MEMBER_CONSUMER);
	json_member_put_text(&list.writer, "consumeFromWhere", consume_from_where_name(profile->consume_from_where));
	json_member_put_text(&list.writer, "consumeType", consume_type_name(profile->consume_type));
	json_member_put_text(&list.writer, "messageModel", span_of(profile->broadcasting ? "BROADCASTING" : "CLUSTERING"));
	put_subscriptions(&list, id);
	json_close(&list.writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* --- producers ----------------------------------------------------------------------------------------------------- */

enum status handle_producer_connections(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome = { 0 };
	struct encoder encoder;
	struct span group;

	if (command_field_text(request->command, "producerGroup", &group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	uint32_t id = core_name_id(handlers->core, group);
	size_t count = id == 0 ? 0 : members_each(core_members(handlers->core), id, MEMBER_PRODUCER, NULL, NULL);
	if (count == 0) {
		(void)core_refuse(&outcome, RESP_SYSTEM_ERROR, "the producer group[%.*s] not exist", SPAN_ARGS(group));
		return answer_outcome(handlers, request, &outcome);
	}
	if (too_many(handlers, request, count))
		return ST_OK;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct connection_list list = { .handlers = handlers, .writer = json_writer_of(out) };
	json_open(&list.writer, '{');
	put_connections(&list, id, MEMBER_PRODUCER);
	json_close(&list.writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

static void add_producer_group(void *context, uint32_t group_id)
{
	struct connection_list *list = context;
	struct core *core = list->handlers->core;

	list->encode = producer_encode;
	json_key_span(&list->writer, core_name(core, group_id));
	json_open(&list->writer, '[');
	members_each(core_members(core), group_id, MEMBER_PRODUCER, add_connection, list);
	json_close(&list->writer, ']');
}

static void count_producer_group(void *context, uint32_t group_id)
{
	struct connection_list *list = context;

	list->count += members_each(core_members(list->handlers->core), group_id, MEMBER_PRODUCER, NULL, NULL);
}

enum status handle_all_producers(struct handlers *handlers, const struct request *request)
{
	struct connection_list list = { .handlers = handlers };
	struct encoder encoder;

	members_each_group(core_members(handlers->core), MEMBER_PRODUCER, count_producer_group, &list);
	if (too_many(handlers, request, list.count))
		return ST_OK;
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	list.writer = json_writer_of(out);
	json_open(&list.writer, '{');
	json_key(&list.writer, "data");
	json_open(&list.writer, '{');
	members_each_group(core_members(handlers->core), MEMBER_PRODUCER, add_producer_group, &list);
	json_close(&list.writer, '}');
	json_close(&list.writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

/* --- who reads what ------------------------------------------------------------------------------------------------ */

static void add_group(void *context, const struct consumer_group *group)
{
	json_put_text(context, group->name);
}

enum status handle_consume_by_who(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome;
	struct encoder encoder;
	struct span name;

	if (topic_header_decode(request->command, &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct topic *topic = topics_find(core_topics(handlers->core), name);
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct json_writer writer = json_writer_of(out);
	json_open(&writer, '{');
	json_key(&writer, "groupList");
	json_open(&writer, '[');
	if (topic != NULL)
		inspect_groups_of(handlers->core, topic, add_group, &writer);
	json_close(&writer, ']');
	json_close(&writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

static void add_topic_name(void *context, const struct topic *topic)
{
	json_put_text(context, topic->name);
}

enum status handle_topics_by_consumer(struct handlers *handlers, const struct request *request)
{
	struct host host = core_store_host(handlers->core);
	struct outcome outcome;
	struct encoder encoder;
	struct span name;
	char address[HOST_TEXT_SIZE];

	if (group_header_decode(request->command, &name, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct consumer_group *group = groups_find(core_groups(handlers->core), name);
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct json_writer writer = json_writer_of(out);
	json_open(&writer, '{');
	json_member_put_text(&writer, "brokerAddr", host_text(&host, address));
	json_key(&writer, "topicList");
	json_open(&writer, '[');
	if (group != NULL)
		inspect_topics_of(handlers->core, group, add_topic_name, &writer);
	json_close(&writer, ']');
	json_close(&writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}

enum status handle_subscription_by_consumer(struct handlers *handlers, const struct request *request)
{
	struct outcome outcome;
	struct encoder encoder;
	struct span group, topic = command_field(request->command, "topic");

	if (group_header_decode(request->command, &group, &outcome.err) != ST_OK)
		return answer_bad_header(handlers, request, &outcome.err);
	const struct subscription *s = members_subscription(core_members(handlers->core), core_name_id(handlers->core, group),
							    core_name_id(handlers->core, topic));
	struct buffer *out = answer_begin_body(handlers, request, &encoder);
	if (out == NULL)
		return ST_OK;
	struct json_writer writer = json_writer_of(out);
	json_open(&writer, '{');
	json_member_put_text(&writer, "group", group);
	if (s != NULL) {
		json_key(&writer, "subscriptionData");
		put_subscription(&writer, topic, s);
	}
	json_member_put_text(&writer, "topic", topic);
	json_close(&writer, '}');
	answer_end(handlers, &encoder);
	return ST_OK;
}
