/* Which queues are mine: asks a broker of the topic for the group's members, and takes the part that is ours. Started
 * every 20 s, by a change of route, by a broker that has just learned of us, and by the broker's word that members
 * have changed. */
#include "client-sdk/src/allocate.h"
#include "client-sdk/src/consumer_internal.h"
#include "lib/base/logging.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"

enum { AGAIN_MS = 1000 };

static void soon(void *context)
{
	rebalance_all(context);
}

void rebalance_in(struct escrow_consumer *consumer, int64_t after_ms)
{
	/* One that is due already serves this need too. */
	if (consumer->stopping || consumer->rebalance_soon.event != NULL)
		return;
	if (loop_timer_start(consumer->instance.loop, &consumer->rebalance_soon, after_ms, false, soon, consumer) != ST_OK)
		log_warn("sdk", "no timer for a rebalance", "group=%s", consumer->group);
}

static struct queue_key key_of(const struct subscription *subscription, const struct view_queue *queue)
{
	const struct view_broker *broker = &subscription->route->view->brokers[queue->broker];
	struct queue_key key;

	memset(&key, 0, sizeof(key)); /* Hashed with its padding. */
	key.subscription = (uint32_t)(subscription - subscription->consumer->subscriptions);
	key.queue_id = queue->queue_id;
	memcpy(key.broker_name, broker->name, strlen(broker->name));
	return key;
}

static void take_part(struct subscription *subscription, size_t first, size_t count_mine)
{
	struct escrow_consumer *consumer = subscription->consumer;
	const struct route_view *view = subscription->route->view;
	struct queue *queue, *next;

	HASH_ITER(hh, consumer->queues, queue, next)
		queue->kept = queue->subscription != subscription;
	for (size_t i = first; i < first + count_mine; i++) {
		struct queue_key key = key_of(subscription, &view->subscribe[i]);

		queue_assign(subscription, &key);
		queue = queue_find(consumer, &key);
		if (queue != NULL)
			queue->kept = true;
	}
	HASH_ITER(hh, consumer->queues, queue, next) {
		if (!queue->kept)
			queue_drop(queue);
	}
	count(&consumer->counters.rebalances);
}

static void take_members(struct subscription *subscription, const struct name_list *members)
{
	struct escrow_consumer *consumer = subscription->consumer;
	const struct route_view *view = subscription->route->view;
	struct span self = span_of(consumer->instance.client_id);
	size_t first, mine;
	bool present = false;

	for (size_t i = 0; i < members->count; i++)
		present = present || span_equal(members->names[i], self);
	if (!present) {
		/* The broker has restarted, or has not seen our heartbeat yet: keep what we have. */
		for (struct broker *broker = brokers_first(consumer->instance.brokers); broker != NULL; broker = broker->hh.next)
			brokers_beat(broker);
		rebalance_in(consumer, AGAIN_MS);
		return;
	}
	mine = allocate_averagely(view->subscribe_count, members->names, members->count, self, &first);
	take_part(subscription, first, mine);
}

static void on_members(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct subscription *subscription = context;
	struct escrow_consumer *consumer = subscription->consumer;
	struct name_list members;
	struct errinfo cause;

	subscription->asking = false;
	if (consumer->stopping || subscription->route->view == NULL)
		return;
	if (status != ST_OK || response->code != RESP_SUCCESS) {
		log_info("sdk", "no list of the group's members", "group=%s topic=%s reason=\"%s\"", consumer->group,
			 subscription->topic, status != ST_OK ? err->text : response_code_name(response->code));
		rebalance_in(consumer, AGAIN_MS);
		return;
	}
	if (consumer_list_decode(response->body, &members, &cause) != ST_OK) {
		log_warn("sdk", "list of members rejected", "group=%s reason=\"%s\"", consumer->group, cause.text);
		rebalance_in(consumer, AGAIN_MS);
		return;
	}
	take_members(subscription, &members);
	name_list_free(&members);
}

/* A broker of the topic that knows us; NULL: its heartbeat's answer starts the rebalance again. */
static const char *broker_to_ask(const struct subscription *subscription)
{
	const struct route_view *view = subscription->route->view;

	for (size_t i = 0; i < view->broker_count; i++) {
		for (uint32_t j = 0; j < view->brokers[i].address_count; j++) {
			const char *address = view->brokers[i].addresses[j].address;
			const struct broker *broker = brokers_find(subscription->consumer->instance.brokers, address);

			if (broker != NULL && broker->acknowledged)
				return address;
		}
	}
	return NULL;
}

void rebalance_topic(struct subscription *subscription)
{
	struct escrow_consumer *consumer = subscription->consumer;
	struct errinfo err;

	if (consumer->stopping || subscription->asking || subscription->route == NULL || subscription->route->view == NULL)
		return;
	const char *address = broker_to_ask(subscription);
	if (address == NULL)
		return;
	struct encoder *encoder = client_begin(consumer->instance.client, address, REQ_GET_CONSUMER_LIST_BY_GROUP, false, &err);
	if (encoder == NULL) {
		rebalance_in(consumer, AGAIN_MS);
		return;
	}
	consumer_group_encode(encoder, consumer->group_span);
	subscription->asking = true;
	client_send(consumer->instance.client, REQUEST_TIMEOUT_MS, on_members, subscription);
}

void rebalance_all(struct escrow_consumer *consumer)
{
	for (size_t i = 0; i < consumer->subscription_count; i++)
		rebalance_topic(&consumer->subscriptions[i]);
}
