/* The producer's limits and its end: calls that it takes at once, bodies, settings, many threads, stopping in the middle. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/unit/sdk/producer_fixture.h"

struct sender {
	escrow_producer *producer;
	enum escrow_code code;
	struct escrow_error err;
	atomic_bool begun;
};

static void *send_without_answer(void *argument)
{
	struct sender *sender = argument;
	escrow_message *message = make("orders");

	atomic_store(&sender->begun, true);
	sender->code = escrow_send(sender->producer, message, 60000, NULL, &sender->err);
	escrow_message_destroy(message);
	return NULL;
}

static void test_stopping_ends_calls_in_progress(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start_known(stub);
	struct sender sender = { .producer = producer };
	pthread_t thread;

	stub_fault(stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, send_without_answer, &sender), 0);
	CU_ASSERT_TRUE(wait_requests(stub, STUB_SEND, 1));
	escrow_producer_stop(producer, 1000);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(sender.code, ESCROW_STOPPED);
	CU_ASSERT_TRUE(sender.err.outcome_unknown);
	stub_stop(stub);
}

struct decider {
	escrow_transaction *transaction;
	enum escrow_code code;
	struct escrow_transaction_result result;
};

static void *commit_without_answer(void *argument)
{
	struct decider *decider = argument;
	struct escrow_error err;

	decider->code = escrow_commit(decider->transaction, LONG_MS, &decider->result, &err);
	return NULL;
}

/* It is pending; check-back finishes it. Nothing is sent again while the producer stops. */
static void test_stopping_ends_a_decision_in_progress(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct decider decider = { .code = ESCROW_PROTOCOL };
	escrow_message *message = make("orders");
	struct escrow_error err;
	pthread_t thread;

	config.attempt_timeout_ms = LONG_MS;
	escrow_producer *producer = start_as(&config);
	wait_known(producer, 1);
	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &decider.transaction, &err), ESCROW_OK);
	stub_fault(stub, STUB_END, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, commit_without_answer, &decider), 0);
	CU_ASSERT_TRUE(wait_requests(stub, STUB_END, 1));
	escrow_producer_stop(producer, 1000);
	pthread_join(thread, NULL);
	CU_ASSERT_EQUAL(decider.code, ESCROW_OK);
	CU_ASSERT_EQUAL(decider.result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 0, NULL, NULL), 1);
	escrow_transaction_release(decider.transaction);
	escrow_message_destroy(message);
	stub_stop(stub);
}

struct crowd {
	struct stub *stub;
	struct sender sender;
	pthread_t thread;
};

/* Takes the only place, and keeps it. */
static enum escrow_local_result take_place(escrow_transaction *transaction, const escrow_message *message, void *context)
{
	struct crowd *crowd = context;

	(void)transaction;
	(void)message;
	stub_fault(crowd->stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&crowd->thread, NULL, send_without_answer, &crowd->sender), 0);
	CU_ASSERT_TRUE(wait_requests(crowd->stub, STUB_SEND, 2));
	return ESCROW_LOCAL_COMMIT;
}

/* The half is there: that there is no place for its decision is no failure of the transaction. */
static void test_calls_have_a_limit_and_a_decision_that_finds_no_place_is_pending(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");

	config.calls_max = 1;
	escrow_producer *producer = start_as(&config);
	struct crowd crowd = { .stub = stub, .sender = { .producer = producer } };
	wait_known(producer, 1);
	CU_ASSERT_EQUAL(escrow_producer_send_in_transaction(producer, message, take_place, &crowd, LONG_MS, &result, &err),
			ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(result.local, ESCROW_LOCAL_COMMIT);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_BUSY);
	CU_ASSERT_TRUE(err.retriable);
	escrow_producer_stop(producer, 1000);
	pthread_join(crowd.thread, NULL);
	escrow_message_destroy(message);
	stub_stop(stub);
}

enum { THREADS = 8, EACH = 40 };

static void *send_many(void *argument)
{
	struct escrow_transaction_result result;
	struct escrow_error err;

	for (int i = 0; i < EACH; i++) {
		enum escrow_local_result say = i % 4 == 3 ? ESCROW_LOCAL_ROLLBACK : ESCROW_LOCAL_COMMIT;

		CU_ASSERT_EQUAL(send_one(argument, say, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.state, say == ESCROW_LOCAL_COMMIT ? ESCROW_COMMITTED : ESCROW_ROLLED_BACK);
	}
	return NULL;
}

static void test_many_threads_share_a_producer(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub);
	pthread_t threads[THREADS];

	stub_fault(stub, STUB_END, STUB_DROP_ANSWER, 5, 0);
	for (int i = 0; i < THREADS; i++)
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, send_many, producer), 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	CU_ASSERT_EQUAL(stub_half_count(stub), THREADS * EACH);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), THREADS * EACH * 3 / 4);
	stop_both(producer, stub);
}

static _Thread_local bool without_memory;

/* In place of the C library's: only what comes after the half needs it. */
char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = without_memory ? NULL : malloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

/* The caller learns that a half may be there, which nobody will decide. */
static void test_no_memory_after_the_half_leaves_the_outcome_unknown(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	escrow_message *message = make("orders");
	escrow_transaction *transaction = NULL;
	struct escrow_error err = { .outcome_unknown = false };

	without_memory = true;
	CU_ASSERT_EQUAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_NO_MEMORY);
	CU_ASSERT_EQUAL(escrow_prepare(producer, message, LONG_MS, &transaction, NULL), ESCROW_NO_MEMORY);
	without_memory = false;
	CU_ASSERT_PTR_NULL(transaction);
	CU_ASSERT_EQUAL(err.code, ESCROW_NO_MEMORY);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(stub), 2);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_OPEN);
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

static void test_a_body_over_the_limit_is_not_sent(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_error err;
	escrow_message *message = make("orders"); /* Of five bytes. */

	for (size_t limit = 4; limit <= 5; limit++) {
		config.body_max = limit;
		escrow_producer *producer = start_as(&config);
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), limit == 4 ? ESCROW_INVALID : ESCROW_OK);
		escrow_producer_stop(producer, 1000);
	}
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_message_destroy(message);
	stub_stop(stub);
}

static void test_a_call_without_a_deadline_has_that_of_the_settings(void)
{
	struct stub *stub = stub_start(1, false);
	struct escrow_producer_config config = usual(stub);
	struct escrow_error err;
	escrow_message *message = make("orders");

	config.send_timeout_ms = 321;
	escrow_producer *producer = meet(stub, start_as(&config));
	stub_fault(stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL(escrow_send(producer, message, 0, NULL, &err), ESCROW_TIMEOUT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "deadline of 321 ms"));
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

static void expect_invalid(struct escrow_producer_config *config, const char *named)
{
	escrow_producer *producer = NULL;
	struct escrow_error err = { .code = ESCROW_OK };

	CU_ASSERT_EQUAL(escrow_producer_start(config, &producer, &err), ESCROW_INVALID);
	CU_ASSERT_PTR_NULL(producer);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, named));
}

static void test_settings_are_checked_by_name(void)
{
	struct escrow_producer_config config;

	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = "127.0.0.1:1";
	expect_invalid(&config, "group");
	config.group = "bad group";
	expect_invalid(&config, "group");
	config.group = "g";
	config.name_servers = NULL;
	expect_invalid(&config, "name_servers");
	config.name_servers = "localhost";
	expect_invalid(&config, "localhost");
	config.name_servers = "h:1;h:99999";
	expect_invalid(&config, "h:99999");
	config.name_servers = "h:1";
	config.topic_count = 1;
	expect_invalid(&config, "topics");
	config.topic_count = 0;
	config.check_threads = -1;
	expect_invalid(&config, "check_threads");
	config.size = 1;
	expect_invalid(&config, "config_init");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_stopping_ends_calls_in_progress),
		CHECK_TEST(test_stopping_ends_a_decision_in_progress),
		CHECK_TEST(test_calls_have_a_limit_and_a_decision_that_finds_no_place_is_pending),
		CHECK_TEST(test_many_threads_share_a_producer),
		CHECK_TEST(test_no_memory_after_the_half_leaves_the_outcome_unknown),
		CHECK_TEST(test_a_body_over_the_limit_is_not_sent),
		CHECK_TEST(test_a_call_without_a_deadline_has_that_of_the_settings),
		CHECK_TEST(test_settings_are_checked_by_name),
	};
	return check_main("sdk/producer limits", tests, sizeof(tests) / sizeof(tests[0]));
}
