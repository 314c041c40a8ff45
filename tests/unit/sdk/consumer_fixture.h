/* A push consumer against a broker in this process, and a callback that fails, blocks and remembers. */
#ifndef ESCROW_TESTS_CONSUMER_FIXTURE_H
#define ESCROW_TESTS_CONSUMER_FIXTURE_H

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "escrow/escrow.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/stub_broker.h"

enum { SEEN_MAX = 8192, WAIT_S = 20 };

/* What the callback saw; answers RETRY for ids that begin with "bad" the first `failures` times. */
struct seen {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	char ids[SEEN_MAX][64];
	char topics[SEEN_MAX][32];
	char bodies[SEEN_MAX][64];
	int times[SEEN_MAX];
	size_t count;
	int failures;
	const char *blocked; /* Messages whose ids begin with this wait in the callback. */
	int running;
};

static inline struct seen *seen_new(void)
{
	struct seen *seen = calloc(1, sizeof(*seen));

	pthread_mutex_init(&seen->lock, NULL);
	pthread_cond_init(&seen->changed, NULL);
	return seen;
}

static inline enum escrow_consume_result consume(const escrow_message *message, void *context)
{
	struct seen *seen = context;
	enum escrow_consume_result result = ESCROW_CONSUME_DONE;
	size_t size;
	const char *body = escrow_message_body(message, &size);

	pthread_mutex_lock(&seen->lock);
	if (seen->count == SEEN_MAX)
		abort();
	size_t at = seen->count++;
	snprintf(seen->ids[at], sizeof(seen->ids[at]), "%s", escrow_message_id(message));
	snprintf(seen->topics[at], sizeof(seen->topics[at]), "%s", escrow_message_topic(message));
	snprintf(seen->bodies[at], sizeof(seen->bodies[at]), "%.*s", (int)size, body);
	seen->times[at] = escrow_message_reconsume_times(message);
	if (strncmp(seen->ids[at], "bad", 3) == 0 && seen->failures > 0) {
		seen->failures--;
		result = ESCROW_CONSUME_RETRY;
	}
	seen->running++;
	pthread_cond_broadcast(&seen->changed);
	while (seen->blocked != NULL && strncmp(seen->ids[at], seen->blocked, strlen(seen->blocked)) == 0)
		pthread_cond_wait(&seen->changed, &seen->lock);
	seen->running--;
	pthread_mutex_unlock(&seen->lock);
	return result;
}

static inline bool wait_seen(struct seen *seen, size_t count)
{
	struct timespec until;
	int error = 0;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += WAIT_S;
	pthread_mutex_lock(&seen->lock);
	while (seen->count < count && error == 0)
		error = pthread_cond_timedwait(&seen->changed, &seen->lock, &until);
	bool reached = seen->count >= count;
	pthread_mutex_unlock(&seen->lock);
	return reached;
}

static inline void unblock(struct seen *seen)
{
	pthread_mutex_lock(&seen->lock);
	seen->blocked = NULL;
	pthread_cond_broadcast(&seen->changed);
	pthread_mutex_unlock(&seen->lock);
}

static inline struct escrow_consumer_config usual(const struct stub *stub, struct seen *seen)
{
	static const struct escrow_subscription all = { "payments", "*" };
	struct escrow_consumer_config config;

	escrow_consumer_config_init(&config, sizeof(config));
	config.name_servers = stub_address(stub);
	config.group = "payment_service";
	config.subscriptions = &all;
	config.subscription_count = 1;
	config.consume = consume;
	config.context = seen;
	config.start = ESCROW_START_FIRST;
	config.commit_interval_ms = 20;
	config.instance_name = "m";
	return config;
}

static inline escrow_consumer *start_as(const struct escrow_consumer_config *config)
{
	struct escrow_error err;
	escrow_consumer *consumer = NULL;

	if (escrow_consumer_start(config, &consumer, &err) != ESCROW_OK) {
		fprintf(stderr, "start: %s\n", err.text);
		CU_FAIL_FATAL("consumer does not start");
	}
	return consumer;
}

static inline escrow_consumer *start_with(struct stub *stub, struct seen *seen, const char *expression,
				   enum escrow_start_offset from, int messages_max)
{
	struct escrow_subscription subscription = { "payments", expression };
	struct escrow_consumer_config config = usual(stub, seen);

	config.subscriptions = &subscription;
	config.start = from;
	config.queue_messages_max = messages_max;
	config.pull_batch = messages_max;
	return start_as(&config);
}

static inline void put(struct stub *stub, int queue, const char *tag, const char *id)
{
	stub_put(stub, "payments", queue, tag, id, "body", 4, false);
}

static inline void put_many(struct stub *stub, int count, int queues, const char *prefix)
{
	for (int i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof(id), "%s%05d", prefix, i);
		put(stub, i % queues, NULL, id);
	}
}

static inline bool has_commits(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_COMMIT_OFFSET] >= *(int *)context;
}

/* Until the group's position in the queue is there. */
static inline bool wait_position(struct stub *stub, int queue, int64_t position)
{
	for (int commits = 0; commits < 100; commits = stub_counts(stub).requests[STUB_COMMIT_OFFSET] + 1) {
		if (stub_position(stub, "payment_service", "payments", queue) == position)
			return true;
		if (!stub_wait(stub, has_commits, &commits))
			return false;
	}
	return false;
}

static inline void expect_each_once(const struct seen *seen, int count, const char *prefix)
{
	for (int i = 0; i < count; i++) {
		char id[32];
		int times = 0;

		snprintf(id, sizeof(id), "%s%05d", prefix, i);
		for (size_t j = 0; j < seen->count; j++)
			times += strcmp(seen->ids[j], id) == 0;
		CU_ASSERT_EQUAL(times, 1);
	}
}

static inline void end(struct stub *stub, struct seen *seen)
{
	stub_stop(stub);
	pthread_mutex_destroy(&seen->lock);
	pthread_cond_destroy(&seen->changed);
	free(seen);
}

static inline bool has_queries(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_QUERY_OFFSET] >= *(int *)context;
}

static inline bool has_lists(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_MEMBERS] >= *(int *)context;
}

/* Until the consumer has carried out what it was told before, and what the broker told it in turn. */
static inline void settle(struct stub *stub)
{
	for (int round = 0; round < 2; round++)
		CU_ASSERT_TRUE_FATAL(stub_ask_unknown(stub));
}

static inline uint64_t received(escrow_consumer *consumer)
{
	struct escrow_consumer_stats stats;

	escrow_consumer_get_stats(consumer, &stats);
	return stats.messages_received;
}

static inline void wait_received(escrow_consumer *consumer, uint64_t messages)
{
	while (received(consumer) < messages)
		sched_yield();
}

static inline void wait_assigned(escrow_consumer *consumer, uint64_t queues)
{
	struct escrow_consumer_stats stats;

	do
		escrow_consumer_get_stats(consumer, &stats);
	while (stats.queues_assigned != queues);
}

#endif
