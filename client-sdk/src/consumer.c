#include <stdio.h>
#include <stdlib.h>

#include "client-sdk/src/consumer_internal.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"
#include "lib/base/owner.h"
#include "lib/wire/filter.h"
#include "lib/wire/headers.h"

enum {
	THREADS = 4,
	THREADS_MAX = 1024,
	PULL_BATCH = 32,
	PULL_BATCH_MAX = 1024,
	QUEUE_MESSAGES_MAX = 1000,
	QUEUE_BYTES_MAX = 16 * 1024 * 1024,
	BYTES_FACTOR = 4, /* All queues together may hold this many times the bytes of one. */
	COMMIT_INTERVAL_MS = 1000,
	RECONSUME_MAX = 16,
	REBALANCE_MS = 20000,
	NOTIFIED_MS = 100, /* Members come and go in groups. */
	SUBSCRIPTIONS_MAX = 256,
	STOP_MS = 3000,
};

/* --- callbacks of the instance, in the loop ----------------------------------------------------------------------- */

static void fill_heartbeat(void *context, struct heartbeat *out)
{
	struct escrow_consumer *consumer = context;

	out->consumers = &consumer->heartbeat_data;
	out->consumer_count = 1;
}

static void on_route(void *context, struct topic_route *route)
{
	struct escrow_consumer *consumer = context;

	for (size_t i = 0; i < consumer->subscription_count; i++) {
		if (consumer->subscriptions[i].route == route)
			rebalance_topic(&consumer->subscriptions[i]);
	}
}

static void on_acknowledged(void *context, struct broker *broker)
{
	(void)broker;
	/* The retry topic comes to be with the group's first heartbeat. */
	for (struct topic_route *route = routes_first(((struct escrow_consumer *)context)->instance.routes); route != NULL;
	     route = route->hh.next) {
		if (route->view == NULL)
			routes_refresh(route);
	}
	rebalance_all(context);
}

static bool on_request(void *context, struct client_conn *conn, const struct command *request)
{
	struct escrow_consumer *consumer = context;
	struct span group;
	struct errinfo err;

	(void)conn;
	if (request->code != REQ_NOTIFY_CONSUMER_IDS_CHANGED)
		return false;
	if (consumer_group_decode(request, &group, &err) == ST_OK && span_equal(group, consumer->group_span))
		rebalance_in(consumer, NOTIFIED_MS);
	return true;
}

static void rebalance_tick(void *context)
{
	rebalance_all(context);
}

static void commit_tick(void *context)
{
	struct escrow_consumer *consumer = context;

	for (struct queue *queue = consumer->queues; queue != NULL; queue = queue->hh.next)
		queue_commit(queue, COMMIT_PROGRESS);
}

static void begin(struct letter *letter)
{
	struct escrow_consumer *consumer = OWNER(struct escrow_consumer, letter, start_letter);
	struct loop *loop = consumer->instance.loop;

	for (size_t i = 0; i < consumer->subscription_count; i++) {
		struct subscription *subscription = &consumer->subscriptions[i];

		subscription->route = routes_watch(consumer->instance.routes, subscription->topic, false);
		if (subscription->route == NULL)
			log_error("sdk", "no memory for a route", "group=%s topic=%s", consumer->group, subscription->topic);
	}
	if (loop_timer_start(loop, &consumer->rebalance_timer, REBALANCE_MS, true, rebalance_tick, consumer) != ST_OK ||
	    loop_timer_start(loop, &consumer->commit_timer, consumer->commit_interval_ms, true, commit_tick, consumer) != ST_OK)
		log_error("sdk", "no timers for the consumer", "group=%s", consumer->group);
}

/* --- settings ------------------------------------------------------------------------------------------------------ */

void escrow_consumer_config_init(struct escrow_consumer_config *config, size_t size)
{
	memset(config, 0, size);
	config->size = size;
}

static enum escrow_code check_subscription(const struct escrow_subscription *subscription, struct escrow_error *err)
{
	struct tag_filter filter;
	struct errinfo cause;

	if (subscription->topic == NULL || topic_name_check(span_of(subscription->topic), &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "consumer: subscription: %s",
				subscription->topic == NULL ? "no topic" : cause.text);
	if (tag_filter_parse(span_of(subscription->expression), &filter, &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "consumer: subscription of %s: %s", subscription->topic, cause.text);
	return ESCROW_OK;
}

static enum escrow_code check_config(const struct escrow_consumer_config *config, struct escrow_error *err)
{
	struct errinfo cause;
	enum escrow_code code = ESCROW_OK;

	if (config->size != sizeof(*config))
		return sdk_fail(err, ESCROW_INVALID, "consumer: call escrow_consumer_config_init first");
	if (config->group == NULL || group_name_check(span_of(config->group), &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "consumer: group: %s", config->group == NULL ? "not given" : cause.text);
	if (config->consume == NULL)
		return sdk_fail(err, ESCROW_INVALID, "consumer: consume is not given");
	if (config->subscriptions == NULL || config->subscription_count == 0 || config->subscription_count > SUBSCRIPTIONS_MAX)
		return sdk_fail(err, ESCROW_INVALID, "consumer: 1 to %d subscriptions are needed", SUBSCRIPTIONS_MAX);
	if (config->threads < 0 || config->threads > THREADS_MAX || config->pull_batch < 0 ||
	    config->pull_batch > PULL_BATCH_MAX || config->queue_messages_max < 0 || config->max_reconsume_times < 0 ||
	    config->commit_interval_ms < 0 || config->start < ESCROW_START_LAST || config->start > ESCROW_START_TIMESTAMP)
		return sdk_fail(err, ESCROW_INVALID, "consumer: a setting is out of range (threads up to %d, pull_batch up to %d)",
				THREADS_MAX, PULL_BATCH_MAX);
	for (size_t i = 0; i < config->subscription_count && code == ESCROW_OK; i++) {
		code = check_subscription(&config->subscriptions[i], err);
		for (size_t j = 0; j < i && code == ESCROW_OK; j++) {
			if (strcmp(config->subscriptions[i].topic, config->subscriptions[j].topic) == 0)
				code = sdk_fail(err, ESCROW_INVALID, "consumer: topic %s is subscribed twice", config->subscriptions[i].topic);
		}
	}
	return code;
}

static void fill_subscription(struct escrow_consumer *consumer, size_t at, const char *topic, const char *expression)
{
	struct subscription *subscription = &consumer->subscriptions[at];

	subscription->consumer = consumer;
	snprintf(subscription->topic, sizeof(subscription->topic), "%s", topic);
	subscription->expression = strdup(expression == NULL || expression[0] == '\0' ? "*" : expression);
	subscription->version = clock_wall_ms(clock_system());
	consumer->heartbeat_subscriptions[at] = (struct subscription_data){
		.topic = span_of(subscription->topic), .sub_string = span_of(subscription->expression),
		.expression_type = SPAN_LITERAL("TAG"), .sub_version = subscription->version,
	};
	consumer->subscription_count++;
}

static enum escrow_code copy_subscriptions(struct escrow_consumer *consumer, const struct escrow_consumer_config *config,
					   struct escrow_error *err)
{
	size_t count_all = config->subscription_count + 1;
	uint8_t name[LONG_TOPIC_NAME_MAX];
	char retry_topic[ROUTE_TOPIC_SIZE];

	struct span retry = retry_topic_name(consumer->group_span, name);
	if (retry.size == 0 || span_to_cstr(retry, retry_topic, sizeof(retry_topic)) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "consumer: group: too long for its retry topic");
	consumer->subscriptions = calloc(count_all, sizeof(*consumer->subscriptions));
	consumer->heartbeat_subscriptions = calloc(count_all, sizeof(*consumer->heartbeat_subscriptions));
	if (consumer->subscriptions == NULL || consumer->heartbeat_subscriptions == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "consumer: out of memory");
	for (size_t i = 0; i < config->subscription_count; i++)
		fill_subscription(consumer, i, config->subscriptions[i].topic, config->subscriptions[i].expression);
	fill_subscription(consumer, count_all - 1, retry_topic, "*");
	consumer->subscriptions[count_all - 1].retry = true;
	for (size_t i = 0; i < count_all; i++) {
		if (consumer->subscriptions[i].expression == NULL)
			return sdk_fail(err, ESCROW_NO_MEMORY, "consumer: out of memory");
	}
	return ESCROW_OK;
}

static enum escrow_code copy_settings(struct escrow_consumer *consumer, const struct escrow_consumer_config *config,
				      struct escrow_error *err)
{
	static const int32_t from_where[] = { [ESCROW_START_LAST] = CONSUME_FROM_LAST_OFFSET,
					      [ESCROW_START_FIRST] = CONSUME_FROM_FIRST_OFFSET,
					      [ESCROW_START_TIMESTAMP] = CONSUME_FROM_TIMESTAMP };

	memcpy(consumer->group, config->group, strlen(config->group) + 1);
	consumer->group_span = span_of(consumer->group);
	consumer->consume = config->consume;
	consumer->context = config->context;
	consumer->start = config->start;
	consumer->start_timestamp_ms = config->start_timestamp_ms;
	consumer->max_reconsume_times = config->max_reconsume_times > 0 ? config->max_reconsume_times : RECONSUME_MAX;
	consumer->retry_delay_level = config->retry_delay_level;
	consumer->pull_batch = config->pull_batch > 0 ? config->pull_batch : PULL_BATCH;
	consumer->queue_messages_max = config->queue_messages_max > 0 ? (size_t)config->queue_messages_max : QUEUE_MESSAGES_MAX;
	consumer->queue_bytes_max = config->queue_bytes_max > 0 ? config->queue_bytes_max : QUEUE_BYTES_MAX;
	consumer->bytes_max = consumer->queue_bytes_max * BYTES_FACTOR;
	consumer->commit_interval_ms = config->commit_interval_ms > 0 ? config->commit_interval_ms : COMMIT_INTERVAL_MS;
	enum escrow_code code = copy_subscriptions(consumer, config, err);
	consumer->heartbeat_data = (struct consumer_data){
		.group_name = consumer->group_span, .consume_type = CONSUME_PASSIVELY, .message_model = MODEL_CLUSTERING,
		.consume_from_where = from_where[config->start], .subscriptions = consumer->heartbeat_subscriptions,
		.subscription_count = consumer->subscription_count,
	};
	return code;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void free_queues(struct escrow_consumer *consumer)
{
	struct queue *queue, *next;

	HASH_ITER(hh, consumer->queues, queue, next) {
		HASH_DEL(consumer->queues, queue);
		queue_destroy(queue);
	}
	for (queue = consumer->dropped; queue != NULL; queue = next) {
		next = queue->next;
		queue_destroy(queue);
	}
}

static void free_all(struct escrow_consumer *consumer)
{
	pool_destroy(consumer->pool);
	consumer->stopping = true; /* The loop has ended: nothing that ends now begins anything. */
	instance_close(&consumer->instance);
	free_queues(consumer);
	loop_timer_stop(&consumer->rebalance_timer);
	loop_timer_stop(&consumer->rebalance_soon);
	loop_timer_stop(&consumer->commit_timer);
	instance_deinit(&consumer->instance);
	for (size_t i = 0; i < consumer->subscription_count; i++)
		free(consumer->subscriptions[i].expression);
	free(consumer->subscriptions);
	free(consumer->heartbeat_subscriptions);
	free(consumer);
}

static enum escrow_code start_parts(struct escrow_consumer *consumer, const struct escrow_consumer_config *config,
				    struct escrow_error *err)
{
	struct instance_callbacks callbacks = { consumer, fill_heartbeat, on_route, on_acknowledged, on_request };
	struct errinfo cause;
	enum escrow_code code = copy_settings(consumer, config, err);

	if (code == ESCROW_OK)
		code = instance_init(&consumer->instance, config->name_servers, config->instance_name, true, &callbacks, err);
	if (code != ESCROW_OK)
		return code;
	enum status status = consume_start(consumer, config->threads > 0 ? config->threads : THREADS, &cause);
	if (status != ST_OK)
		return sdk_fail_status(err, "start the consumer's pool", status, &cause);
	code = instance_start(&consumer->instance, "escrow-consumer", err);
	if (code != ESCROW_OK)
		return code;
	consumer->start_letter.deliver = begin;
	instance_post(&consumer->instance, &consumer->start_letter);
	return ESCROW_OK;
}

enum escrow_code escrow_consumer_start(const struct escrow_consumer_config *config, escrow_consumer **out,
				       struct escrow_error *err)
{
	if (config == NULL || out == NULL)
		return sdk_fail(err, ESCROW_INVALID, "consumer: config and out must not be NULL");
	enum escrow_code code = check_config(config, err);
	if (code != ESCROW_OK)
		return code;
	struct escrow_consumer *consumer = calloc(1, sizeof(*consumer));
	if (consumer == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "consumer: out of memory");
	code = start_parts(consumer, config, err);
	if (code != ESCROW_OK) {
		free_all(consumer);
		return code;
	}
	*out = consumer;
	return ESCROW_OK;
}

struct stop_call {
	struct call call;
	struct escrow_consumer *consumer;
};

static void stop_fetching(struct letter *letter)
{
	struct stop_call *stop = (struct stop_call *)letter;
	struct escrow_consumer *consumer = stop->consumer;

	consumer->stopping = true;
	loop_timer_stop(&consumer->rebalance_timer);
	loop_timer_stop(&consumer->rebalance_soon);
	call_done(&stop->call);
}

static void say_goodbye(void *context)
{
	struct escrow_consumer *consumer = context;

	loop_timer_stop(&consumer->commit_timer);
	for (struct queue *queue = consumer->queues; queue != NULL; queue = queue->hh.next)
		queue_commit(queue, COMMIT_GOODBYE);
	instance_unregister(&consumer->instance, SPAN_NONE, consumer->group_span);
}

void escrow_consumer_stop(escrow_consumer *consumer, int64_t deadline_ms)
{
	if (consumer == NULL)
		return;
	struct stop_call stop = { .consumer = consumer };
	call_init(&stop.call, stop_fetching);
	call_wait(&consumer->instance, &stop.call);
	pool_stop(consumer->pool); /* What was being consumed comes back to the loop before the goodbye. */
	instance_stop(&consumer->instance, say_goodbye, deadline_ms > 0 ? deadline_ms : STOP_MS);
	free_all(consumer);
}

void escrow_consumer_get_stats(const escrow_consumer *consumer, struct escrow_consumer_stats *out)
{
	struct consumer_counters *from = (struct consumer_counters *)&consumer->counters;
	int64_t assigned = atomic_load(&from->assigned);

	*out = (struct escrow_consumer_stats){
		.messages_received = atomic_load(&from->received), .messages_done = atomic_load(&from->done),
		.messages_retried = atomic_load(&from->retried), .send_backs_failed = atomic_load(&from->send_backs_failed),
		.positions_committed = atomic_load(&from->committed), .queues_assigned = assigned < 0 ? 0 : (uint64_t)assigned,
		.rebalances = atomic_load(&from->rebalances),
	};
}
