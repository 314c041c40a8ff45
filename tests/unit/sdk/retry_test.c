/* What may be repeated, where: the decisions of retry.h. */
#include "client-sdk/src/retry.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"

static void test_plain_messages_go_anywhere_unless_refused_for_good(void)
{
	for (int idempotent = 0; idempotent < 2; idempotent++) {
		CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_PLAIN, OUTCOME_NOT_DONE, idempotent), RETRY_ANY_BROKER);
		CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_PLAIN, OUTCOME_UNKNOWN, idempotent), RETRY_ANY_BROKER);
		CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_PLAIN, OUTCOME_FINAL, idempotent), RETRY_NEVER);
	}
}

static void test_a_half_leaves_a_broker_only_when_it_is_certain_that_nothing_is_stored(void)
{
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_HALF, OUTCOME_NOT_DONE, true), RETRY_ANY_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_HALF, OUTCOME_NOT_DONE, false), RETRY_ANY_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_HALF, OUTCOME_UNKNOWN, true), RETRY_SAME_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_HALF, OUTCOME_UNKNOWN, false), RETRY_NEVER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_HALF, OUTCOME_FINAL, true), RETRY_NEVER);
}

static void test_a_decision_has_one_place_and_is_not_repeated_where_it_would_deliver_twice(void)
{
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_DECISION, OUTCOME_NOT_DONE, true), RETRY_SAME_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_DECISION, OUTCOME_NOT_DONE, false), RETRY_SAME_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_DECISION, OUTCOME_UNKNOWN, true), RETRY_SAME_BROKER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_DECISION, OUTCOME_UNKNOWN, false), RETRY_NEVER);
	CU_ASSERT_EQUAL(retry_verdict(ATTEMPT_DECISION, OUTCOME_FINAL, true), RETRY_NEVER);
}

static void test_response_codes_say_whether_something_was_stored(void)
{
	CU_ASSERT_EQUAL(outcome_of_response(RESP_SYSTEM_BUSY), OUTCOME_NOT_DONE);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_SERVICE_NOT_AVAILABLE), OUTCOME_NOT_DONE);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_TOPIC_NOT_EXIST), OUTCOME_NOT_DONE);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_SYSTEM_ERROR), OUTCOME_UNKNOWN);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_MESSAGE_ILLEGAL), OUTCOME_FINAL);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_ILLEGAL_OPERATION), OUTCOME_FINAL);
	CU_ASSERT_EQUAL(outcome_of_response(31999), OUTCOME_FINAL);
	/* Stored, but not as safely as asked for. */
	CU_ASSERT_EQUAL(outcome_of_response(RESP_FLUSH_DISK_TIMEOUT), OUTCOME_FINAL);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_FLUSH_SLAVE_TIMEOUT), OUTCOME_FINAL);
	CU_ASSERT_EQUAL(outcome_of_response(RESP_SLAVE_NOT_AVAILABLE), OUTCOME_FINAL);
}

static void test_an_attempt_waits_as_long_as_it_can_only_where_it_is_the_only_one(void)
{
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_HALF, true, 3000, 1000), 1000);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_HALF, true, 700, 1000), 700);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_HALF, false, 3000, 1000), 3000);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_DECISION, false, 9000, 1000), 9000);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_PLAIN, true, 9000, 1000), 1000);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_PLAIN, false, 9000, 1000), 4500);
	CU_ASSERT_EQUAL(attempt_timeout_ms(ATTEMPT_PLAIN, false, 1500, 1000), 1000);
}

static void test_pauses_double_up_to_a_limit(void)
{
	CU_ASSERT_EQUAL(retry_pause_ms(0), 20);
	CU_ASSERT_EQUAL(retry_pause_ms(1), 20);
	CU_ASSERT_EQUAL(retry_pause_ms(2), 40);
	CU_ASSERT_EQUAL(retry_pause_ms(5), 320);
	CU_ASSERT_EQUAL(retry_pause_ms(6), 500);
	CU_ASSERT_EQUAL(retry_pause_ms(4000000000u), 500);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_plain_messages_go_anywhere_unless_refused_for_good),
		CHECK_TEST(test_a_half_leaves_a_broker_only_when_it_is_certain_that_nothing_is_stored),
		CHECK_TEST(test_a_decision_has_one_place_and_is_not_repeated_where_it_would_deliver_twice),
		CHECK_TEST(test_response_codes_say_whether_something_was_stored),
		CHECK_TEST(test_an_attempt_waits_as_long_as_it_can_only_where_it_is_the_only_one),
		CHECK_TEST(test_pauses_double_up_to_a_limit),
	};
	return check_main("sdk/retry", tests, sizeof(tests) / sizeof(tests[0]));
}
