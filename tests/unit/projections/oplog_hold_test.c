/* How much of the log the op log may hold back. */
#include <stdint.h>

#include "broker/projections/oplog_hold.h"
#include "tests/support/check.h"

static void test_without_a_limit_all_is_kept(void)
{
	struct oplog_hold hold = { 0 };

	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 0, UINT64_MAX), 0);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 4096, 1 << 30), 4096);
}

static void test_up_to_the_limit_the_cursor_holds(void)
{
	struct oplog_hold hold = { .max_bytes = 1000 };

	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 500, 500), 500);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_NEAR);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 500, 1001), 500);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_FAR);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 500, 1500), 500);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_FAR);
}

static void test_beyond_it_only_the_limit_is_kept(void)
{
	struct oplog_hold hold = { .max_bytes = 1000 };

	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 500, 1501), 501);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_OVER);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 500, 9000), 8000);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 8900, 9000), 8900);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_NEAR);
}

/* Before MySQL has said how far it is: the limit holds, but nothing is known that could be told. */
static void test_an_unknown_cursor_is_bounded_and_not_told(void)
{
	struct oplog_hold hold = { .max_bytes = 1000 };

	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 0, 900), 0);
	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 0, 9000), 8000);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_NEAR);
}

static void test_a_cursor_ahead_of_the_log_holds_itself(void)
{
	struct oplog_hold hold = { .max_bytes = 1000 };

	CU_ASSERT_EQUAL(oplog_hold_from(&hold, 700, 600), 700);
	CU_ASSERT_EQUAL(hold.level, OPLOG_HOLD_NEAR);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_without_a_limit_all_is_kept),
		CHECK_TEST(test_up_to_the_limit_the_cursor_holds),
		CHECK_TEST(test_beyond_it_only_the_limit_is_kept),
		CHECK_TEST(test_an_unknown_cursor_is_bounded_and_not_told),
		CHECK_TEST(test_a_cursor_ahead_of_the_log_holds_itself),
	};

	return check_main("oplog_hold", tests, sizeof(tests) / sizeof(tests[0]));
}
