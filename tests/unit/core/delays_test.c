/* broker/core/delays: the order is total, the limit exact. */
#include "tests/support/check.h"

#include <string.h>

#include "broker/core/delays.h"

static void add(struct delays *delays, int64_t at, uint64_t name)
{
	struct delayed entry = { .deliver_at_ms = at, .naming_offset = name, .body_offset = name * 2 };

	CU_ASSERT_EQUAL_FATAL(delays_reserve(delays), ST_OK);
	delays_add(delays, &entry);
}

static void test_first_due_first_and_equal_times_in_log_order(void)
{
	static const uint64_t expected[] = { 40, 10, 30, 20, 50 };
	struct delays delays;

	delays_init(&delays, 10);
	CU_ASSERT_PTR_NULL(delays_first(&delays));
	add(&delays, 300, 20);
	add(&delays, 200, 30);
	add(&delays, 200, 10);
	add(&delays, 400, 50);
	add(&delays, 100, 40);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(delays_first(&delays)->naming_offset, expected[i]);
		CU_ASSERT_EQUAL(delays_first(&delays)->body_offset, expected[i] * 2);
		delays_remove_first(&delays);
	}
	CU_ASSERT_PTR_NULL(delays_first(&delays));
	delays_deinit(&delays);
}

static void test_limit_is_exact(void)
{
	struct delays delays;

	delays_init(&delays, 3);
	for (uint64_t i = 0; i < 3; i++)
		add(&delays, 5, i);
	CU_ASSERT_EQUAL(delays_reserve(&delays), ST_FULL);
	delays_remove_first(&delays);
	CU_ASSERT_EQUAL(delays_reserve(&delays), ST_OK);
	delays_deinit(&delays);
}

enum { MODEL_MAX = 500 };

static size_t model_first(const struct delayed *model, size_t count)
{
	size_t best = 0;

	for (size_t i = 1; i < count; i++) {
		if (model[i].deliver_at_ms < model[best].deliver_at_ms ||
		    (model[i].deliver_at_ms == model[best].deliver_at_ms && model[i].naming_offset < model[best].naming_offset))
			best = i;
	}
	return best;
}

static void test_random_use_against_a_search(void)
{
	static struct delayed model[MODEL_MAX];
	uint64_t random = check_seed(51), name = 0;
	struct delays delays;
	size_t count = 0;

	delays_init(&delays, MODEL_MAX);
	for (int step = 0; step < 20000; step++) {
		bool filling = (step / 2000) % 2 == 0;

		if (count < MODEL_MAX && check_random(&random) % 4 < (filling ? 3u : 1u)) {
			model[count] = (struct delayed){ .deliver_at_ms = (int64_t)(check_random(&random) % 50), .naming_offset = name };
			add(&delays, model[count].deliver_at_ms, name++);
			count++;
		} else if (count > 0) {
			size_t first = model_first(model, count);

			if (delays_first(&delays)->naming_offset != model[first].naming_offset)
				CU_FAIL("another entry is first");
			delays_remove_first(&delays);
			model[first] = model[--count];
		}
	}
	CU_ASSERT_EQUAL(delays.count, count);
	delays_deinit(&delays);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_first_due_first_and_equal_times_in_log_order),
		CHECK_TEST(test_limit_is_exact),
		CHECK_TEST(test_random_use_against_a_search),
	};
	return check_main("delays", tests, sizeof(tests) / sizeof(tests[0]));
}
