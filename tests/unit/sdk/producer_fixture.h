/* A producer against a broker in this process that loses answers, dies, refuses and asks back. What it does with transactions at one
 * broker, when brokers fail, when it is asked back, with plain sends, and at its limits are questions with a file each; how it is
 * started, gets known and sends one transaction is here. */
#ifndef ESCROW_TESTS_PRODUCER_FIXTURE_H
#define ESCROW_TESTS_PRODUCER_FIXTURE_H

#include <stdio.h>
#include <string.h>

#include "escrow/escrow.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/stub_broker.h"

enum { LONG_MS = 15000 };

static const char *const topics[] = { "orders" };

static inline struct escrow_producer_config usual(const struct stub *stub)
{
	struct escrow_producer_config config;

	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = stub_address(stub);
	config.group = "order_service";
	config.topics = topics;
	config.topic_count = 1;
	config.check_threads = 1;
	config.attempt_timeout_ms = 200;
	return config;
}

static inline escrow_producer *start_as(const struct escrow_producer_config *config)
{
	struct escrow_error err;
	escrow_producer *producer = NULL;

	if (escrow_producer_start(config, &producer, &err) != ESCROW_OK) {
		fprintf(stderr, "start: %s\n", err.text);
		CU_FAIL_FATAL("producer does not start");
	}
	return producer;
}

static inline escrow_producer *start(const struct stub *stub)
{
	struct escrow_producer_config config = usual(stub);

	return start_as(&config);
}

struct awaited {
	enum stub_kind kind;
	int count;
};

static inline bool have_come(const struct stub *stub, void *context)
{
	const struct awaited *awaited = context;

	return stub_counts_now(stub)->requests[awaited->kind] >= awaited->count;
}

/* Until the stub has had so many requests of a kind, since it began; false: they do not come. */
static inline bool wait_requests(struct stub *stub, enum stub_kind kind, int count)
{
	struct awaited awaited = { kind, count };

	return stub_wait(stub, have_come, &awaited);
}

/* Until so many brokers know it, and it knows what kind of brokers they are. */
static inline void wait_known(escrow_producer *producer, uint64_t brokers)
{
	struct escrow_producer_stats stats;

	do
		escrow_producer_get_stats(producer, &stats);
	while (stats.heartbeats_acknowledged < brokers);
}

/* Until the only broker and the producer know each other. */
static inline escrow_producer *meet(struct stub *stub, escrow_producer *producer)
{
	CU_ASSERT_TRUE_FATAL(wait_requests(stub, STUB_BEAT, 1));
	wait_known(producer, 1);
	return producer;
}

static inline escrow_producer *start_known(struct stub *stub)
{
	return meet(stub, start(stub));
}

static inline void stop_both(escrow_producer *producer, struct stub *stub)
{
	escrow_producer_stop(producer, 1000);
	stub_stop(stub);
}

static inline escrow_message *make(const char *topic)
{
	escrow_message *message = NULL;

	CU_ASSERT_EQUAL_FATAL(escrow_message_create(topic, "hello", 5, &message, NULL), ESCROW_OK);
	return message;
}

struct local {
	enum escrow_local_result say;
	int calls;
	char id[ESCROW_ID_SIZE];
};

static inline enum escrow_local_result run_local(escrow_transaction *transaction, const escrow_message *message, void *context)
{
	struct local *local = context;

	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	snprintf(local->id, sizeof(local->id), "%s", escrow_transaction_id(transaction));
	local->calls++;
	return local->say;
}

/* One transaction on "orders", whose local part says so; that part runs where the half is there, and only there. */
static inline enum escrow_code send_one(escrow_producer *producer, enum escrow_local_result say, int64_t deadline_ms,
					struct escrow_transaction_result *result, struct escrow_error *err)
{
	struct local local = { .say = say };
	escrow_message *message = make("orders");

	*result = (struct escrow_transaction_result){ .state = ESCROW_PENDING };
	enum escrow_code code = escrow_producer_send_in_transaction(producer, message, run_local, &local, deadline_ms, result, err);
	CU_ASSERT_EQUAL(local.calls, code == ESCROW_OK || code == ESCROW_CONFLICT);
	if (local.calls > 0)
		CU_ASSERT_STRING_EQUAL(local.id, result->transaction_id);
	escrow_message_destroy(message);
	return code;
}

#endif
