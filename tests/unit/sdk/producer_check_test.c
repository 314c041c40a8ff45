/* The producer is asked back: its handler answers, slowly or not at all, for its own group only. */
#include <pthread.h>

#include "tests/unit/sdk/producer_fixture.h"

struct gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool open;
	int running, calls;
	enum escrow_local_result say;
};

static enum escrow_local_result slow_check(const escrow_message *message, const char *transaction_id, void *context)
{
	struct gate *gate = context;

	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	CU_ASSERT_STRING_EQUAL(escrow_message_id(message), transaction_id);
	pthread_mutex_lock(&gate->lock);
	gate->running++;
	gate->calls++;
	pthread_cond_broadcast(&gate->changed);
	while (!gate->open)
		pthread_cond_wait(&gate->changed, &gate->lock);
	gate->running--;
	enum escrow_local_result say = gate->say;
	pthread_mutex_unlock(&gate->lock);
	return say;
}

static void open_gate(struct gate *gate, bool open)
{
	pthread_mutex_lock(&gate->lock);
	gate->open = open;
	pthread_cond_broadcast(&gate->changed);
	pthread_mutex_unlock(&gate->lock);
}

static escrow_producer *start_checking(struct stub *stub, struct gate *gate, int queue_max)
{
	struct escrow_producer_config config = usual(stub);

	config.check = slow_check;
	config.check_context = gate;
	config.check_queue_max = queue_max;
	return start_as(&config);
}

static escrow_producer *start_checked(struct stub *stub, struct gate *gate, int queue_max)
{
	return meet(stub, start_checking(stub, gate, queue_max));
}

static void test_check_backs_are_answered_from_the_callback(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_checked(stub, &gate, 0);
	static const enum escrow_local_result says[] = { ESCROW_LOCAL_COMMIT, ESCROW_LOCAL_ROLLBACK, ESCROW_LOCAL_UNKNOWN };
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	for (int i = 0; i < 3; i++) {
		int unknown, from_check;

		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
		gate.say = says[i];
		CU_ASSERT_TRUE_FATAL(stub_check(stub, (size_t)i));
		CU_ASSERT_TRUE(wait_requests(stub, STUB_END, i + 1));
		CU_ASSERT_EQUAL(stub_half_ends(stub, (size_t)i, &unknown, &from_check), 1);
		CU_ASSERT_EQUAL(from_check, 1);
		CU_ASSERT_EQUAL(unknown, i == 2);
	}
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_COMMITTED);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 1), STUB_ROLLED_BACK);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 2), STUB_OPEN);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.checks_received, 3);
	CU_ASSERT_EQUAL(stats.checks_committed, 1);
	CU_ASSERT_EQUAL(stats.checks_rolled_back, 1);
	CU_ASSERT_EQUAL(stats.checks_unknown, 1);
	stop_both(producer, stub);
}

/* The process that sent the halves is gone; another one of the group, which has sent nothing yet, answers. */
static void test_a_producer_that_has_sent_nothing_is_asked(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_checked(stub, &gate, 0);
	struct escrow_transaction_result result;
	struct escrow_error err;

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	escrow_producer_stop(producer, 1000);
	int beats = stub_counts(stub).requests[STUB_BEAT] + 1;
	producer = start_checking(stub, &gate, 0);
	CU_ASSERT_TRUE_FATAL(wait_requests(stub, STUB_BEAT, beats));
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	CU_ASSERT_TRUE(wait_requests(stub, STUB_END, 1));
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_COMMITTED);
	stop_both(producer, stub);
}

/* Statistics have no wake-up; the counters move within a moment of the check's arrival. */
static bool wait_stats(escrow_producer *producer, uint64_t received)
{
	struct escrow_producer_stats stats = { 0 };

	for (long i = 0; i < 200000000L && stats.checks_received < received; i++)
		escrow_producer_get_stats(producer, &stats);
	return stats.checks_received >= received;
}

static void test_a_slow_handler_neither_blocks_sends_nor_takes_more_than_the_pool_holds(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, false, 0, 0, ESCROW_LOCAL_COMMIT };
	escrow_producer *producer = start_checked(stub, &gate, 2);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	pthread_mutex_lock(&gate.lock);
	while (gate.running == 0)
		pthread_cond_wait(&gate.changed, &gate.lock);
	pthread_mutex_unlock(&gate.lock);
	/* One is running, two wait, two find no place; the one that is running is not taken again. */
	for (size_t i = 0; i < 5; i++)
		CU_ASSERT_TRUE_FATAL(stub_check(stub, i));
	CU_ASSERT_TRUE(wait_stats(producer, 6));
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.checks_dropped, 2);
	open_gate(&gate, true);
	CU_ASSERT_TRUE(wait_requests(stub, STUB_END, 4)); /* Three checks and the commit. */
	CU_ASSERT_EQUAL(gate.calls, 3);
	/* Asked again, the dropped ones are answered. */
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 3));
	CU_ASSERT_TRUE(wait_requests(stub, STUB_END, 5));
	CU_ASSERT_EQUAL(stub_half_decision(stub, 3), STUB_COMMITTED);
	stop_both(producer, stub);
}

/* What another group's database knows is nothing that this one could answer for. */
static void test_a_check_back_for_another_group_is_not_answered(void)
{
	struct stub *stub = stub_start(1, false);
	struct gate gate = { PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, true, 0, 0, ESCROW_LOCAL_ROLLBACK };
	escrow_producer *producer = start_checked(stub, &gate, 0);
	struct escrow_producer_config config = usual(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	config.group = "payment_service";
	config.check = slow_check;
	config.check_context = &gate;
	escrow_producer *stranger = start_as(&config);
	wait_known(stranger, 1);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check_by(stub, 0, "payment_service"));
	CU_ASSERT_TRUE(wait_stats(stranger, 1));
	escrow_producer_stop(producer, 1000);
	/* Its own message behind the check's: by then an answer would have left. */
	CU_ASSERT_EQUAL(send_one(stranger, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	escrow_producer_get_stats(stranger, &stats);
	CU_ASSERT_EQUAL(stats.checks_dropped, 1);
	escrow_producer_stop(stranger, 1000);
	CU_ASSERT_EQUAL(gate.calls, 0);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_OPEN);
	stub_stop(stub);
}

static void test_without_a_handler_check_backs_are_unknown(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	int unknown;

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE_FATAL(stub_check(stub, 0));
	CU_ASSERT_TRUE(wait_requests(stub, STUB_END, 1));
	(void)stub_half_ends(stub, 0, &unknown, NULL);
	CU_ASSERT_EQUAL(unknown, 1);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 0), STUB_OPEN);
	stop_both(producer, stub);
}

/* Who asks, an operator's tool through its broker, is told at once, and does not wait for its time-out. */
static void test_a_question_that_it_does_not_know_is_answered_so(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);

	CU_ASSERT_TRUE(stub_ask_unknown(stub));
	CU_ASSERT_EQUAL(stub_counts(stub).unknown_answered, 1);
	stop_both(producer, stub);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_check_backs_are_answered_from_the_callback),
		CHECK_TEST(test_a_producer_that_has_sent_nothing_is_asked),
		CHECK_TEST(test_a_slow_handler_neither_blocks_sends_nor_takes_more_than_the_pool_holds),
		CHECK_TEST(test_a_check_back_for_another_group_is_not_answered),
		CHECK_TEST(test_without_a_handler_check_backs_are_unknown),
		CHECK_TEST(test_a_question_that_it_does_not_know_is_answered_so),
	};
	return check_main("sdk/producer check-backs", tests, sizeof(tests) / sizeof(tests[0]));
}
