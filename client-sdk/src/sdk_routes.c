/* See sdk_routes.h. */
#include "client-sdk/src/sdk_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/wire/body_route.h"
#include "lib/wire/headers.h"

enum { ROUTE_RETRY_MS = 200, ROUTE_FALLBACK_MS = 1000, QUEUES_MAX = 65536, FALLBACK_QUEUES = 4 };

struct sdk_broker *sdk_instance_broker(struct sdk_instance *instance, const char *name)
{
	struct sdk_broker *broker = NULL;

	HASH_FIND_STR(instance->brokers, name, broker);
	return broker;
}

/* The entry of a broker in a route, with its present address. NULL: it has no master, or there are too many. */
static struct sdk_broker *learn_broker(struct sdk_instance *instance, const struct broker_data *data)
{
	struct span address = broker_data_addr(data, MASTER_ID);
	char name[SDK_BROKER_NAME_SIZE], text[SDK_ADDRESS_SIZE];

	if (address.size == 0 || span_to_cstr(data->broker_name, name, sizeof(name)) != ST_OK ||
	    span_to_cstr(address, text, sizeof(text)) != ST_OK)
		return NULL;
	struct sdk_broker *broker = sdk_instance_broker(instance, name);
	if (broker == NULL) {
		if (HASH_COUNT(instance->brokers) >= SDK_BROKERS_MAX || (broker = calloc(1, sizeof(*broker))) == NULL)
			return NULL;
		strcpy(broker->name, name);
		HASH_ADD_STR(instance->brokers, name, broker);
	}
	if (strcmp(broker->address, text) != 0) {
		strcpy(broker->address, text);
		broker->beat_due_ms = 0;
		broker->avoid_until_ms = 0;
	}
	return broker;
}

static const struct broker_data *data_of(const struct route *route, struct span name)
{
	for (size_t i = 0; i < route->broker_count; i++) {
		if (span_equal(route->brokers[i].broker_name, name))
			return &route->brokers[i];
	}
	return NULL;
}

static int by_broker_and_id(const void *a, const void *b)
{
	const struct sdk_queue *left = a, *right = b;
	int order = strcmp(left->broker->name, right->broker->name);

	return order != 0 ? order : (left->id > right->id) - (left->id < right->id);
}

/* The queues of one direction, sorted by broker and number, as all members of a group must see them. */
static struct sdk_queue *list_queues(struct sdk_instance *instance, const struct route *route, bool write,
				     bool fallback, size_t *count_out)
{
	struct sdk_queue *queues = NULL;
	size_t count = 0;

	for (size_t i = 0; i < route->queue_count; i++) {
		const struct queue_data *from = &route->queues[i];
		const struct broker_data *data = data_of(route, from->broker_name);
		struct sdk_broker *broker = data == NULL ? NULL : learn_broker(instance, data);
		int32_t number = write ? from->write_queue_nums : from->read_queue_nums;

		if (fallback && number > FALLBACK_QUEUES)
			number = FALLBACK_QUEUES;
		if (broker == NULL || number <= 0 || (from->perm & (write ? PERM_WRITE : PERM_READ)) == 0)
			continue;
		if ((size_t)number > QUEUES_MAX - count)
			break;
		struct sdk_queue *grown = realloc(queues, (count + (size_t)number) * sizeof(*queues));
		if (grown == NULL)
			break;
		queues = grown;
		for (int32_t id = 0; id < number; id++)
			queues[count++] = (struct sdk_queue){ broker, id };
	}
	if (count > 0)
		qsort(queues, count, sizeof(*queues), by_broker_and_id);
	*count_out = count;
	return queues;
}

static void take_route(struct sdk_topic *topic, const struct route *route)
{
	struct sdk_instance *instance = topic->instance;
	bool fallback = topic->asking_fallback;

	free(topic->write_queues);
	free(topic->read_queues);
	topic->write_queues = list_queues(instance, route, true, fallback, &topic->write_count);
	topic->read_queues = fallback ? NULL : list_queues(instance, route, false, false, &topic->read_count);
	if (fallback)
		topic->read_count = 0;
	topic->known = true;
	topic->fallback = fallback;
	topic->not_found = false;
	topic->due_ms = sdk_now_ms(instance) + (fallback ? ROUTE_FALLBACK_MS : SDK_ROUTE_MS);
	if (instance->callbacks.on_route != NULL)
		instance->callbacks.on_route(instance->callbacks.context, topic);
}

static void ask(struct sdk_topic *topic);

static void ask_next(struct sdk_topic *topic)
{
	struct sdk_instance *instance = topic->instance;

	if (topic->asked_servers < instance->name_server_count) {
		ask(topic);
		return;
	}
	topic->asking = false;
	topic->failures++;
	/* What was known stays: an old route that works is better than none. */
	topic->due_ms = sdk_now_ms(instance) + (topic->known ? ROUTE_FALLBACK_MS : ROUTE_RETRY_MS);
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct sdk_topic *topic = context;
	struct sdk_instance *instance = topic->instance;
	struct route route;
	struct errinfo why;

	if (status != ST_OK) {
		log_debug("sdk", "name server does not answer", "topic=%s reason=\"%s\"", topic->name, err->text);
		instance->name_server_turn++;
		ask_next(topic);
		return;
	}
	if (response->code == RESP_TOPIC_NOT_EXIST) {
		topic->not_found = true;
		if (topic->known && !topic->fallback)
			topic->asked_servers = instance->name_server_count; /* Its broker may be restarting. */
		else if (!topic->asking_fallback && instance->fallback_allowed) {
			topic->asking_fallback = true;
			topic->asked_servers = 0;
		} else
			instance->name_server_turn++;
		ask_next(topic);
		return;
	}
	if (response->code != RESP_SUCCESS || route_decode(response->body, &route, &why) != ST_OK) {
		log_warn("sdk", "bad route answer", "topic=%s code=%d", topic->name, response->code);
		instance->name_server_turn++;
		ask_next(topic);
		return;
	}
	topic->asking = false;
	take_route(topic, &route);
	route_free(&route);
}

static void ask(struct sdk_topic *topic)
{
	struct sdk_instance *instance = topic->instance;
	struct errinfo err;

	while (topic->asked_servers < instance->name_server_count) {
		const char *server =
			instance->name_servers[instance->name_server_turn % instance->name_server_count];
		struct encoder *encoder = client_begin(instance->client, server, REQ_GET_ROUTEINFO_BY_TOPIC, false, &err);
		struct route_header header = {
			.topic = span_of(topic->asking_fallback ? TOPIC_AUTO_CREATE : topic->name),
			.accept_standard_json_only = true,
		};

		topic->asked_servers++;
		if (encoder == NULL) {
			instance->name_server_turn++;
			continue;
		}
		route_header_encode(encoder, &header);
		topic->asking = true;
		client_send(instance->client, SDK_REQUEST_MS, on_answer, topic);
		return;
	}
	ask_next(topic);
}

void sdk_routes_tick(struct sdk_instance *instance, int64_t now_ms)
{
	for (struct sdk_topic *topic = instance->topics; topic != NULL; topic = topic->hh.next) {
		if (topic->asking || now_ms < topic->due_ms)
			continue;
		topic->asked_servers = 0;
		topic->asking_fallback = false;
		topic->asked_ms = now_ms;
		ask(topic);
	}
}

struct sdk_topic *sdk_instance_topic(struct sdk_instance *instance, const char *name)
{
	struct sdk_topic *topic = NULL;

	HASH_FIND_STR(instance->topics, name, topic);
	if (topic != NULL)
		return topic;
	if (HASH_COUNT(instance->topics) >= SDK_TOPICS_MAX || strlen(name) >= sizeof(topic->name) ||
	    (topic = calloc(1, sizeof(*topic))) == NULL)
		return NULL;
	strcpy(topic->name, name);
	topic->instance = instance;
	HASH_ADD_STR(instance->topics, name, topic);
	return topic;
}

void sdk_instance_refresh(struct sdk_instance *instance, struct sdk_topic *topic)
{
	int64_t earliest = topic->asked_ms + ROUTE_RETRY_MS;

	(void)instance;
	if (topic->due_ms > earliest)
		topic->due_ms = earliest;
}

void sdk_routes_free(struct sdk_instance *instance)
{
	struct sdk_topic *topic, *next;

	HASH_ITER(hh, instance->topics, topic, next) {
		HASH_DEL(instance->topics, topic);
		free(topic->write_queues);
		free(topic->read_queues);
		free(topic);
	}
}
