/* See escrow/producer.h: life and settings of a producer, and how calls get to the loop and back. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <utlist.h>

#include "client-sdk/src/sdk_producer.h"
#include "lib/base/clock.h"
#include "lib/wire/names.h"

/* --- calls -------------------------------------------------------------------------------------------------------- */

void operation_finish(struct operation *operation)
{
	if (operation->waiting)
		DL_DELETE(operation->producer->waiting, operation);
	operation->waiting = false;
	/* The caller frees the operation as soon as it sees `done`: nothing after the unlock. */
	pthread_mutex_lock(&operation->lock);
	operation->done = true;
	pthread_cond_signal(&operation->finished);
	pthread_mutex_unlock(&operation->lock);
}

void operation_wait(struct operation *operation, int64_t at_ms)
{
	operation->next_step_ms = at_ms;
	if (!operation->waiting)
		DL_APPEND(operation->producer->waiting, operation);
	operation->waiting = true;
}

int64_t operation_attempt_ms(const struct operation *operation)
{
	int64_t left = operation->deadline_ms - sdk_now_ms(&operation->producer->instance);

	if (left < 1)
		left = 1;
	return left < operation->producer->attempt_timeout_ms ? left : operation->producer->attempt_timeout_ms;
}

static void operation_arrives(struct letter *letter)
{
	struct operation *operation = (struct operation *)letter;

	operation->started_ms = sdk_now_ms(&operation->producer->instance);
	operation->deadline_ms += operation->started_ms;
	operation->step(operation);
}

enum escrow_code operation_run(struct escrow_producer *producer, struct operation *operation, int64_t deadline_ms,
			       struct escrow_error *err)
{
	/* Counted before `stopping` is looked at: the loop ends only when none is counted. */
	long calls = atomic_fetch_add(&producer->calls, 1);

	if (atomic_load(&producer->stopping) || calls >= producer->calls_max) {
		bool stopping = atomic_load(&producer->stopping);

		atomic_fetch_sub(&producer->calls, 1);
		return stopping ? sdk_fail(err, ESCROW_STOPPED, "the producer is being stopped")
				: sdk_fail(err, ESCROW_BUSY, "%ld calls are in progress, the limit (calls_max)", calls);
	}
	operation->producer = producer;
	operation->letter.deliver = operation_arrives;
	operation->deadline_ms = deadline_ms <= 0 ? producer->send_timeout_ms : deadline_ms;
	pthread_mutex_init(&operation->lock, NULL);
	pthread_cond_init(&operation->finished, NULL);
	mailbox_post(producer->instance.mailbox, &operation->letter);
	pthread_mutex_lock(&operation->lock);
	while (!operation->done)
		pthread_cond_wait(&operation->finished, &operation->lock);
	pthread_mutex_unlock(&operation->lock);
	pthread_cond_destroy(&operation->finished);
	pthread_mutex_destroy(&operation->lock);
	atomic_fetch_sub(&producer->calls, 1);
	if (operation->err.code != ESCROW_OK && err != NULL)
		*err = operation->err;
	return operation->err.code;
}

/* --- the loop's side ------------------------------------------------------------------------------------------------ */

static void write_heartbeat(void *context, struct heartbeat *out)
{
	struct escrow_producer *producer = context;

	out->producer_groups = &producer->group_span;
	out->producer_count = 1;
}

static void on_request(void *context, struct client_conn *conn, const struct command *request)
{
	if (request->code == REQ_CHECK_TRANSACTION_STATE)
		check_request(context, conn, request);
}

static void on_route(void *context, struct sdk_topic *topic)
{
	struct escrow_producer *producer = context;
	struct operation *operation;

	(void)topic; /* Those that wait for something else find that out. */
	DL_FOREACH(producer->waiting, operation)
		operation->next_step_ms = 0;
}

static void stop_when_quiet(struct escrow_producer *producer, int64_t now_ms)
{
	struct sdk_instance *instance = &producer->instance;

	if (producer->stop_at_ms == 0 || atomic_load(&producer->calls) > 0 || atomic_load(&producer->checks_out) > 0)
		return;
	if (instance->unregistering == 0 || now_ms >= producer->stop_at_ms)
		sdk_instance_end(instance);
}

static void on_tick(void *context, int64_t now_ms)
{
	struct escrow_producer *producer = context;
	struct operation *operation, *next;

	DL_FOREACH_SAFE(producer->waiting, operation, next) {
		if (now_ms < operation->next_step_ms && now_ms < operation->deadline_ms &&
		    !atomic_load(&producer->stopping))
			continue;
		DL_DELETE(producer->waiting, operation);
		operation->waiting = false;
		operation->step(operation);
	}
	stop_when_quiet(producer, now_ms);
}

static void stop_arrives(struct letter *letter)
{
	struct escrow_producer *producer =
		(struct escrow_producer *)(void *)((char *)letter - offsetof(struct escrow_producer, stop_letter));

	producer->stop_at_ms = sdk_now_ms(&producer->instance) + producer->stop_deadline_ms + 1;
	sdk_instance_unregister(&producer->instance, producer->stop_deadline_ms);
}

/* --- settings --------------------------------------------------------------------------------------------------------- */

void escrow_producer_config_init(struct escrow_producer_config *config, size_t size)
{
	memset(config, 0, size);
	config->size = size;
}

static bool copy_text(const char *text, const char **out)
{
	*out = text == NULL ? NULL : strdup(text);
	return text == NULL || *out != NULL;
}

static enum escrow_code copy_barrier(struct escrow_producer *producer, const struct escrow_mysql_target *from,
				     struct escrow_error *err)
{
	struct escrow_mysql_target *to = &producer->barrier;

	if (from == NULL)
		return ESCROW_OK;
	if (from->database == NULL || from->user == NULL)
		return sdk_fail(err, ESCROW_INVALID, "barrier: user and database are needed");
	producer->has_barrier = true;
	to->port = from->port;
	to->timeout_ms = from->timeout_ms == 0 ? 3000 : from->timeout_ms;
	if (!copy_text(from->host, &to->host) || !copy_text(from->socket, &to->socket) ||
	    !copy_text(from->user, &to->user) || !copy_text(from->password, &to->password) ||
	    !copy_text(from->database, &to->database))
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for the barrier's settings");
	return ESCROW_OK;
}

static enum escrow_code take_settings(struct escrow_producer *producer, const struct escrow_producer_config *config,
				      struct escrow_error *err)
{
	struct errinfo why;

	if (group_name_check(span_of(config->group), &why) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "group: %s", why.text);
	if (config->topic_count > SDK_TOPICS_MAX || (config->topic_count > 0 && config->topics == NULL))
		return sdk_fail(err, ESCROW_INVALID, "topics: at most %d", SDK_TOPICS_MAX);
	for (size_t i = 0; i < config->topic_count; i++) {
		if (topic_name_check(span_of(config->topics[i]), &why) != ST_OK)
			return sdk_fail(err, ESCROW_INVALID, "topics: %s", why.text);
	}
	producer->group = strdup(config->group);
	if (producer->group == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a producer");
	producer->group_span = span_of(producer->group);
	producer->check = config->check;
	producer->check_context = config->check_context;
	producer->send_timeout_ms = config->send_timeout_ms > 0 ? config->send_timeout_ms : 3000;
	producer->attempt_timeout_ms = config->attempt_timeout_ms > 0 ? config->attempt_timeout_ms : 1000;
	producer->body_max = config->body_max > 0 ? config->body_max : 4 * 1024 * 1024;
	producer->calls_max = config->calls_max > 0 ? config->calls_max : 4096;
	return copy_barrier(producer, config->barrier, err);
}

static void producer_free(struct escrow_producer *producer)
{
	sdk_pool_destroy(producer->pool);
	sdk_instance_deinit(&producer->instance);
	pthread_mutex_destroy(&producer->ids_lock);
	free((char *)producer->barrier.host);
	free((char *)producer->barrier.socket);
	free((char *)producer->barrier.user);
	free((char *)producer->barrier.password);
	free((char *)producer->barrier.database);
	free(producer->group);
	free(producer);
}

static enum escrow_code begin(struct escrow_producer *producer, const struct escrow_producer_config *config,
			      struct escrow_error *err)
{
	struct sdk_instance_callbacks callbacks = { producer, write_heartbeat, on_request, on_route, on_tick, SPAN_NONE,
						    SPAN_NONE };
	struct errinfo why;
	enum escrow_code code = take_settings(producer, config, err);

	callbacks.producer_group = producer->group_span;
	if (code == ESCROW_OK)
		code = sdk_instance_init(&producer->instance, config->name_servers, config->instance_name, &callbacks, err);
	if (code != ESCROW_OK)
		return code;
	producer->instance.fallback_allowed = true;
	for (size_t i = 0; i < config->topic_count; i++) {
		if (sdk_instance_topic(&producer->instance, config->topics[i]) == NULL)
			return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a topic");
	}
	enum status status = check_pool_create(producer, config->check_threads > 0 ? config->check_threads : 2,
					       config->check_queue_max > 0 ? (size_t)config->check_queue_max : 2000, &why);
	if (status != ST_OK)
		return sdk_fail(err, sdk_code_of(status), "%s", why.text);
	return sdk_instance_start(&producer->instance, err);
}

enum escrow_code escrow_producer_start(const struct escrow_producer_config *config, escrow_producer **out,
				       struct escrow_error *err)
{
	static atomic_uint salt;

	if (config == NULL || out == NULL || config->size < sizeof(*config))
		return sdk_fail(err, ESCROW_INVALID, "no settings, or escrow_producer_config_init was not called");
	struct escrow_producer *producer = calloc(1, sizeof(*producer));
	if (producer == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a producer");
	pthread_mutex_init(&producer->ids_lock, NULL);
	/* No own address is needed: process id, start time and counter differ within a machine, the salt's upper bits
	 * (start time) between machines. */
	unique_id_init(&producer->ids, 0x7F000001, (uint32_t)getpid(),
		       (uint32_t)clock_wall_ms(clock_system()) * 2654435761u + atomic_fetch_add(&salt, 1));
	enum escrow_code code = begin(producer, config, err);
	if (code != ESCROW_OK) {
		producer_free(producer);
		return code;
	}
	*out = producer;
	return ESCROW_OK;
}

void escrow_producer_stop(escrow_producer *producer, int64_t deadline_ms)
{
	if (producer == NULL)
		return;
	producer->stop_deadline_ms = deadline_ms < 0 ? 0 : deadline_ms;
	producer->stop_letter.deliver = stop_arrives;
	atomic_store(&producer->stopping, true);
	mailbox_post(producer->instance.mailbox, &producer->stop_letter);
	sdk_instance_join(&producer->instance);
	producer_free(producer);
}

void escrow_producer_get_stats(const escrow_producer *producer, struct escrow_producer_stats *out)
{
	const struct producer_counters *counters = &producer->counters;

	*out = (struct escrow_producer_stats){
		.checks_received = atomic_load(&counters->received),
		.checks_dropped = atomic_load(&counters->dropped),
		.checks_committed = atomic_load(&counters->committed),
		.checks_rolled_back = atomic_load(&counters->rolled_back),
		.checks_unknown = atomic_load(&counters->unknown),
		.decisions_pending = atomic_load(&counters->pending),
		.decisions_conflicting = atomic_load(&counters->conflicting),
		.attempts_repeated = atomic_load(&counters->repeated),
		.heartbeats_acknowledged = atomic_load(&producer->instance.beats_acknowledged),
	};
}
