/* The producer's transactions at one broker: outcomes, answers that are lost or make no sense, refusals. */
#include "tests/unit/sdk/producer_fixture.h"

static void expect_property(struct stub *stub, const char *name, const char *expected)
{
	char value[64];

	stub_half_property(stub, 0, name, value, sizeof(value));
	CU_ASSERT_STRING_EQUAL(value, expected);
}

static void test_commit_rollback_and_unknown(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;
	char id[64];

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", id), 1);
	CU_ASSERT_STRING_EQUAL(id, result.transaction_id);
	CU_ASSERT_STRING_EQUAL(result.broker_name, "stub");
	expect_property(stub, "PGROUP", "order_service");
	expect_property(stub, "TRAN_MSG", "true");
	expect_property(stub, "WAIT", "true"); /* For the disk. */

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_ROLLBACK, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.local, ESCROW_LOCAL_ROLLBACK);
	CU_ASSERT_EQUAL(result.state, ESCROW_ROLLED_BACK);
	CU_ASSERT_EQUAL(stub_half_decision(stub, 1), STUB_ROLLED_BACK);

	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_UNKNOWN, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 2, NULL, NULL), 0);
	CU_ASSERT_EQUAL(send_one(producer, (enum escrow_local_result)77, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.decisions_pending, 2);
	escrow_producer_stop(producer, 1000);
	CU_ASSERT_EQUAL(stub_counts(stub).unregistered, 1);
	stub_stop(stub);
}

static void test_explicit_form_may_be_repeated_but_not_reversed(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;
	escrow_transaction *transaction;
	escrow_message *message = make("orders");

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(strlen(escrow_transaction_id(transaction)), 32);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(escrow_rollback(transaction, LONG_MS, &result, &err), ESCROW_INVALID);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

static void test_the_opposite_decided_before_is_told_with_its_reason(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;
	escrow_transaction *transaction;
	escrow_message *message = make("orders");

	CU_ASSERT_EQUAL_FATAL(escrow_prepare(producer, message, LONG_MS, &transaction, &err), ESCROW_OK);
	stub_decide(stub, 0, STUB_ROLLED_BACK);
	CU_ASSERT_EQUAL(escrow_commit(transaction, LONG_MS, &result, &err), ESCROW_CONFLICT);
	CU_ASSERT_EQUAL(result.state, ESCROW_CONFLICTING);
	CU_ASSERT_EQUAL(err.broker_code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "operator bob"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "operator bob"));
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.decisions_conflicting, 1);
	escrow_transaction_release(transaction);
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

/* --- lost answers --------------------------------------------------------------------------------------------------- */

static void test_a_lost_commit_answer_is_asked_for_again(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_END, STUB_DROP_ANSWER, 2, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 0, NULL, NULL), 3);
	stub_fault(stub, STUB_END, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_COMMITTED);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 2);
	stop_both(producer, stub);
}

static void test_a_decision_that_is_never_confirmed_is_pending_not_an_error(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	stub_fault(stub, STUB_END, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 600, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(result.local, ESCROW_LOCAL_COMMIT);
	CU_ASSERT_PTR_NOT_NULL(strstr(result.text, "check-back"));
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.decisions_pending, 1);
	stop_both(producer, stub);
}

static void test_a_lost_half_answer_leaves_one_half(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_producer_stats stats;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	stub_fault(stub, STUB_SEND, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	escrow_producer_get_stats(producer, &stats);
	CU_ASSERT_EQUAL(stats.attempts_repeated, 2);
	CU_ASSERT_EQUAL(stub_half_count(stub), 2);
	CU_ASSERT_EQUAL(stub_counts(stub).requests[STUB_SEND], 4);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 2);
	stop_both(producer, stub);
}

/* RocketMQ keeps every copy of a half and delivers on every commit. */
static void test_nothing_is_repeated_at_a_stock_broker_that_may_have_done_it(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_DROP_ANSWER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, 400, &result, &err), ESCROW_TIMEOUT);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(stub), 1);
	stub_fault(stub, STUB_END, STUB_CLOSE_AFTER, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(result.state, ESCROW_PENDING);
	CU_ASSERT_EQUAL(stub_half_ends(stub, 1, NULL, NULL), 1);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", NULL), 1);
	stop_both(producer, stub);
}

/* --- other answers -------------------------------------------------------------------------------------------------- */

static void test_a_half_refused_for_the_moment_is_tried_again_and_one_refused_for_good_is_not(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_REFUSE, 2, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_OK);
	stub_fault(stub, STUB_SEND, STUB_REFUSE, 1, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_REFUSED);
	CU_ASSERT_EQUAL(err.broker_code, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_FALSE(err.retriable);
	CU_ASSERT_FALSE(err.outcome_unknown);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "refused by the test"));
	stop_both(producer, stub);
}

static void test_a_half_that_is_stored_but_not_synced_is_rolled_back(void)
{
	static const int codes[] = { RESP_FLUSH_DISK_TIMEOUT, RESP_FLUSH_SLAVE_TIMEOUT, RESP_SLAVE_NOT_AVAILABLE };
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	for (size_t i = 0; i < 3; i++) {
		stub_fault(stub, STUB_SEND, STUB_ANSWER_CODE, 1, codes[i]);
		CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_REFUSED);
		CU_ASSERT_EQUAL(err.broker_code, codes[i]);
		CU_ASSERT_TRUE(err.retriable);
		CU_ASSERT_EQUAL(stub_half_decision(stub, i), STUB_ROLLED_BACK);
	}
	stop_both(producer, stub);
}

static void test_an_answer_that_makes_no_sense_leaves_the_outcome_unknown(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_transaction_result result;
	struct escrow_error err;

	stub_fault(stub, STUB_SEND, STUB_NONSENSE, 1, 0);
	CU_ASSERT_EQUAL(send_one(producer, ESCROW_LOCAL_COMMIT, LONG_MS, &result, &err), ESCROW_PROTOCOL);
	CU_ASSERT_TRUE(err.outcome_unknown);
	CU_ASSERT_EQUAL(stub_half_count(stub), 1);
	stop_both(producer, stub);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_commit_rollback_and_unknown),
		CHECK_TEST(test_explicit_form_may_be_repeated_but_not_reversed),
		CHECK_TEST(test_the_opposite_decided_before_is_told_with_its_reason),
		CHECK_TEST(test_a_lost_commit_answer_is_asked_for_again),
		CHECK_TEST(test_a_decision_that_is_never_confirmed_is_pending_not_an_error),
		CHECK_TEST(test_a_lost_half_answer_leaves_one_half),
		CHECK_TEST(test_nothing_is_repeated_at_a_stock_broker_that_may_have_done_it),
		CHECK_TEST(test_a_half_refused_for_the_moment_is_tried_again_and_one_refused_for_good_is_not),
		CHECK_TEST(test_a_half_that_is_stored_but_not_synced_is_rolled_back),
		CHECK_TEST(test_an_answer_that_makes_no_sense_leaves_the_outcome_unknown),
	};
	return check_main("sdk/producer", tests, sizeof(tests) / sizeof(tests[0]));
}
