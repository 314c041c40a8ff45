#include <stdlib.h>
#include <unistd.h>

#include "client-sdk/src/producer_internal.h"
#include "lib/base/hash.h"
#include "lib/base/owner.h"
#include "lib/wire/codes.h"

enum {
	SEND_TIMEOUT_MS = 3000,
	ATTEMPT_TIMEOUT_MS = 1000,
	BODY_MAX = 4 * 1024 * 1024,
	CALLS_MAX = 4096,
	CHECK_THREADS = 4,
	CHECK_THREADS_MAX = 256,
	CHECK_QUEUE_MAX = 2000,
	TOPICS_MAX = 1024,
};

/* --- callbacks of the instance, in the loop -------------------------------------------------------------------- */

static void fill_heartbeat(void *context, struct heartbeat *out)
{
	escrow_producer *producer = context;

	out->producer_groups = &producer->group_span;
	out->producer_count = 1;
}

static void on_route(void *context, struct topic_route *route)
{
	sends_on_route(context, route);
}

static void on_acknowledged(void *context, struct broker *broker)
{
	/* Nothing to do: the heartbeat itself is what the broker waited for. */
	(void)context;
	(void)broker;
}

static bool on_request(void *context, struct client_conn *conn, const struct command *request)
{
	return request->code == REQ_CHECK_TRANSACTION_STATE && checks_on_request(context, conn, request);
}

static void begin(struct letter *letter)
{
	escrow_producer *producer = OWNER(escrow_producer, letter, start_letter);

	for (size_t i = 0; i < producer->topic_count; i++)
		(void)routes_watch(producer->instance.routes, producer->topics[i], true);
}

/* Stopping, first step: whatever an application's thread waits for ends now. */
struct fail_call {
	struct call call;
	escrow_producer *producer;
};

static void fail_calls(struct letter *letter)
{
	struct fail_call *fail = (struct fail_call *)letter;
	escrow_producer *producer = fail->producer;

	producer->failing_calls = true;
	sends_fail_all(producer);
	ends_fail_all(producer);
	/* The requests under way end when their connections do. */
	for (struct broker *broker = brokers_first(producer->instance.brokers); producer->calls_in_loop > 0 && broker != NULL;
	     broker = broker->hh.next)
		client_drop(producer->instance.client, broker->address);
	call_done(&fail->call);
}

static void say_goodbye(void *context)
{
	escrow_producer *producer = context;

	instance_unregister(&producer->instance, producer->group_span, SPAN_NONE);
}

/* --- settings ------------------------------------------------------------------------------------------------------ */

void escrow_producer_config_init(struct escrow_producer_config *config, size_t size)
{
	memset(config, 0, size);
	config->size = size;
}

static enum escrow_code check_config(const struct escrow_producer_config *config, struct escrow_error *err)
{
	struct errinfo cause;

	if (config->size != sizeof(*config))
		return sdk_fail(err, ESCROW_INVALID, "producer: call escrow_producer_config_init first");
	if (config->group == NULL || group_name_check(span_of(config->group), &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "producer: group: %s", config->group == NULL ? "not given" : cause.text);
	if (config->topic_count > TOPICS_MAX || (config->topic_count > 0 && config->topics == NULL))
		return sdk_fail(err, ESCROW_INVALID, "producer: topics: NULL, or more than %d", TOPICS_MAX);
	for (size_t i = 0; i < config->topic_count; i++) {
		if (topic_name_check(span_of(config->topics[i]), &cause) != ST_OK)
			return sdk_fail(err, ESCROW_INVALID, "producer: topics: %s", cause.text);
	}
	if (config->check_threads < 0 || config->check_threads > CHECK_THREADS_MAX || config->check_queue_max < 0 ||
	    config->send_timeout_ms < 0 || config->attempt_timeout_ms < 0 || config->calls_max < 0)
		return sdk_fail(err, ESCROW_INVALID, "producer: a number is negative, or check_threads over %d",
				CHECK_THREADS_MAX);
	return ESCROW_OK;
}

static enum escrow_code copy_settings(escrow_producer *producer, const struct escrow_producer_config *config,
				      struct escrow_error *err)
{
	memcpy(producer->group, config->group, strlen(config->group) + 1);
	producer->group_span = span_of(producer->group);
	producer->check = config->check;
	producer->check_context = config->check_context;
	producer->send_timeout_ms = config->send_timeout_ms > 0 ? config->send_timeout_ms : SEND_TIMEOUT_MS;
	producer->attempt_timeout_ms = config->attempt_timeout_ms > 0 ? config->attempt_timeout_ms : ATTEMPT_TIMEOUT_MS;
	producer->body_max = config->body_max > 0 ? config->body_max : BODY_MAX;
	producer->calls_max = config->calls_max > 0 ? (uint32_t)config->calls_max : CALLS_MAX;
	producer->topics = calloc(config->topic_count + 1, sizeof(*producer->topics));
	if (producer->topics == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "producer: out of memory");
	for (size_t i = 0; i < config->topic_count; i++) {
		producer->topics[i] = strdup(config->topics[i]);
		if (producer->topics[i] == NULL)
			return sdk_fail(err, ESCROW_NO_MEMORY, "producer: out of memory");
		producer->topic_count++;
	}
	return config->barrier == NULL ? ESCROW_OK : check_target_create(config->barrier, &producer->barrier, err);
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void free_all(escrow_producer *producer)
{
	pool_destroy(producer->pool);
	instance_deinit(&producer->instance);
	checks_free(producer);
	check_target_destroy(producer->barrier);
	for (size_t i = 0; i < producer->topic_count; i++)
		free(producer->topics[i]);
	free(producer->topics);
	pthread_cond_destroy(&producer->calls_ended);
	pthread_mutex_destroy(&producer->lock);
	free(producer);
}

static enum escrow_code start_parts(escrow_producer *producer, const struct escrow_producer_config *config,
				    struct escrow_error *err)
{
	struct instance_callbacks callbacks = { producer, fill_heartbeat, on_route, on_acknowledged, on_request };
	struct errinfo cause;
	enum escrow_code code = copy_settings(producer, config, err);

	if (code == ESCROW_OK)
		code = instance_init(&producer->instance, config->name_servers, config->instance_name, false, &callbacks, err);
	if (code != ESCROW_OK)
		return code;
	unique_id_init(&producer->ids, producer->instance.ipv4, (uint32_t)getpid(), (uint32_t)hash_key_random().k0);
	enum status status = checks_start(producer, config->check_threads > 0 ? config->check_threads : CHECK_THREADS,
					  config->check_queue_max > 0 ? (size_t)config->check_queue_max : CHECK_QUEUE_MAX,
					  &cause);
	if (status != ST_OK)
		return sdk_fail_status(err, "start the check pool", status, &cause);
	code = instance_start(&producer->instance, "escrow-producer", err);
	if (code != ESCROW_OK)
		return code;
	producer->start_letter.deliver = begin;
	instance_post(&producer->instance, &producer->start_letter);
	return ESCROW_OK;
}

enum escrow_code escrow_producer_start(const struct escrow_producer_config *config, escrow_producer **out,
				       struct escrow_error *err)
{
	if (config == NULL || out == NULL)
		return sdk_fail(err, ESCROW_INVALID, "producer: config and out must not be NULL");
	enum escrow_code code = check_config(config, err);
	if (code != ESCROW_OK)
		return code;
	escrow_producer *producer = calloc(1, sizeof(*producer));
	if (producer == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "producer: out of memory");
	pthread_mutex_init(&producer->lock, NULL);
	pthread_cond_init(&producer->calls_ended, NULL);
	code = start_parts(producer, config, err);
	if (code != ESCROW_OK) {
		free_all(producer);
		return code;
	}
	*out = producer;
	return ESCROW_OK;
}

void escrow_producer_stop(escrow_producer *producer, int64_t deadline_ms)
{
	if (producer == NULL)
		return;
	pthread_mutex_lock(&producer->lock);
	producer->stopping = true;
	pthread_mutex_unlock(&producer->lock);
	struct fail_call fail = { .producer = producer };
	call_init(&fail.call, fail_calls);
	call_wait(&producer->instance, &fail.call);
	pthread_mutex_lock(&producer->lock);
	while (producer->calls > 0)
		pthread_cond_wait(&producer->calls_ended, &producer->lock);
	pthread_mutex_unlock(&producer->lock);
	pool_stop(producer->pool); /* Its last answers are letters, before the goodbye. */
	instance_stop(&producer->instance, say_goodbye, producer_deadline(producer, deadline_ms));
	free_all(producer);
}

enum escrow_code producer_enter(escrow_producer *producer, struct escrow_error *err)
{
	enum escrow_code code = ESCROW_OK;

	pthread_mutex_lock(&producer->lock);
	if (producer->stopping)
		code = sdk_fail(err, ESCROW_STOPPED, "the producer is being stopped");
	else if (producer->calls >= producer->calls_max)
		code = sdk_fail(err, ESCROW_BUSY, "%u calls are in progress, the limit (calls_max)", producer->calls_max);
	else
		producer->calls++;
	pthread_mutex_unlock(&producer->lock);
	return code;
}

void producer_leave(escrow_producer *producer)
{
	pthread_mutex_lock(&producer->lock);
	if (--producer->calls == 0)
		pthread_cond_broadcast(&producer->calls_ended);
	pthread_mutex_unlock(&producer->lock);
}

void escrow_producer_get_stats(const escrow_producer *producer, struct escrow_producer_stats *out)
{
	/* Loads of atomics; const is the caller's view. */
	struct producer_counters *from = (struct producer_counters *)&producer->counters;

	*out = (struct escrow_producer_stats){
		.checks_received = atomic_load(&from->checks_received),
		.checks_dropped = atomic_load(&from->checks_dropped),
		.checks_committed = atomic_load(&from->checks_committed),
		.checks_rolled_back = atomic_load(&from->checks_rolled_back),
		.checks_unknown = atomic_load(&from->checks_unknown),
		.decisions_pending = atomic_load(&from->decisions_pending),
		.decisions_conflicting = atomic_load(&from->decisions_conflicting),
		.attempts_repeated = atomic_load(&from->attempts_repeated),
		.heartbeats_acknowledged = brokers_acknowledged_count(producer->instance.brokers),
	};
}
