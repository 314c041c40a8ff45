/* broker/core/visibility: in log order, never before the watermark, through growth and wrap-around. */
#include "tests/support/check.h"

#include "broker/core/topics.h"
#include "broker/core/visibility.h"

static void test_nothing_before_it_is_committed(void)
{
	struct visibility visibility;
	struct queue queues[2];

	visibility_init(&visibility);
	CU_ASSERT_PTR_NULL(visibility_next(&visibility, UINT64_MAX));
	CU_ASSERT_EQUAL(visibility_reserve(&visibility, 3), ST_OK);
	visibility_add(&visibility, 100, &queues[0]);
	visibility_add(&visibility, 200, &queues[1]);
	visibility_add(&visibility, 200, &queues[0]);
	CU_ASSERT_PTR_NULL(visibility_next(&visibility, 99));
	CU_ASSERT_PTR_EQUAL(visibility_next(&visibility, 100), &queues[0]);
	CU_ASSERT_PTR_NULL(visibility_next(&visibility, 199));
	CU_ASSERT_PTR_EQUAL(visibility_next(&visibility, 1000), &queues[1]);
	CU_ASSERT_PTR_EQUAL(visibility_next(&visibility, 1000), &queues[0]);
	CU_ASSERT_PTR_NULL(visibility_next(&visibility, 1000));
	visibility_deinit(&visibility);
}

static void test_order_survives_growth_and_wrap_around(void)
{
	static struct queue queues[97];
	uint64_t random = check_seed(61), added = 0, taken = 0;
	struct visibility visibility;

	visibility_init(&visibility);
	for (int step = 0; step < 3000; step++) {
		uint64_t count = check_random(&random) % 40;

		CU_ASSERT_EQUAL_FATAL(visibility_reserve(&visibility, count), ST_OK);
		for (; count > 0; count--, added++)
			visibility_add(&visibility, added * 8, &queues[added % 97]);
		/* Behind for a while, so that it grows; then it catches up. */
		uint64_t until = step % 500 < 400 ? taken + check_random(&random) % 12 : added;
		for (struct queue *queue; taken < until && (queue = visibility_next(&visibility, until * 8)) != NULL; taken++) {
			if (queue != &queues[taken % 97])
				CU_FAIL("out of order");
		}
	}
	CU_ASSERT_EQUAL(visibility.count, added - taken);
	CU_ASSERT_EQUAL(visibility.capacity & (visibility.capacity - 1), 0);
	visibility_deinit(&visibility);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_nothing_before_it_is_committed),
		CHECK_TEST(test_order_survives_growth_and_wrap_around),
	};
	return check_main("visibility", tests, sizeof(tests) / sizeof(tests[0]));
}
