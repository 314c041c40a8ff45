/* Resends: open halves are always known, decided ones as long as the window reaches. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "lib/txn/resends.h"

enum { HALVES = 100000, WINDOW = 1000 };

static bool is_open(void *context, uint64_t half_queue_offset)
{
	return ((const bool *)context)[half_queue_offset];
}

/* Four names each share their place in the index. */
static struct hash128 name_of(uint64_t half)
{
	return (struct hash128){ hash_u64(half / 4), half };
}

static void add(struct resends *resends, uint64_t half)
{
	CU_ASSERT_EQUAL_FATAL(resends_reserve(resends), ST_OK);
	resends_add(resends, name_of(half), half);
}

static bool knows(const struct resends *resends, uint64_t half)
{
	uint64_t found = UINT64_MAX;

	if (!resends_find(resends, name_of(half), &found))
		return false;
	CU_ASSERT_EQUAL_FATAL(found, half);
	return true;
}

static void test_the_first_of_a_name_counts(void)
{
	bool open[2] = { true, true };
	struct resends *resends = resends_create(10, is_open, open);
	uint64_t found = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(resends);
	CU_ASSERT_FALSE(resends_find(resends, name_of(0), &found));
	add(resends, 0);
	CU_ASSERT_EQUAL(resends_reserve(resends), ST_OK);
	resends_add(resends, name_of(0), 1);
	CU_ASSERT_TRUE(resends_find(resends, name_of(0), &found));
	CU_ASSERT_EQUAL(found, 0);
	CU_ASSERT_EQUAL(resends_count(resends), 1);
	CU_ASSERT_FALSE(resends_find(resends, (struct hash128){ 0, 99 }, &found));
	resends_destroy(resends);
	resends_destroy(NULL);
}

static void test_without_a_window_nothing_is_kept(void)
{
	struct resends *resends = resends_create(0, is_open, NULL);

	add(resends, 5);
	CU_ASSERT_FALSE(knows(resends, 5));
	CU_ASSERT_EQUAL(resends_count(resends), 0);
	resends_destroy(resends);
}

static void test_decided_ones_leave_in_order_when_the_window_is_full(void)
{
	bool *open = calloc(HALVES, sizeof(*open));
	struct resends *resends = resends_create(WINDOW, is_open, open);

	for (uint64_t half = 0; half < 5 * WINDOW; half++) {
		add(resends, half);
		CU_ASSERT_TRUE_FATAL(knows(resends, half));
		if (half >= WINDOW)
			CU_ASSERT_FALSE_FATAL(knows(resends, half - WINDOW));
	}
	CU_ASSERT_EQUAL(resends_count(resends), WINDOW);
	resends_destroy(resends);
	free(open);
}

/* Random lives: all open ones are known, and the table does not grow with what was decided long ago. */
static void test_open_ones_outlive_the_window(void)
{
	bool *open = calloc(HALVES, sizeof(*open));
	struct resends *resends = resends_create(WINDOW, is_open, open);
	uint64_t random = check_seed(9), open_count = 0;

	for (uint64_t half = 0; half < HALVES; half++) {
		open[half] = true;
		open_count++;
		add(resends, half);
		for (int i = 0; i < 2; i++) {
			uint64_t decided = check_random(&random) % (half + 1);
			if (half - decided < 20000 && open[decided] && check_random(&random) % 100 != 0) {
				open[decided] = false;
				open_count--;
			}
		}
		if (half % 5000 == 0) {
			for (uint64_t i = 0; i <= half; i++)
				CU_ASSERT_TRUE_FATAL(!open[i] || knows(resends, i));
		}
	}
	CU_ASSERT_TRUE(open_count > 0);
	for (uint64_t i = 0; i < HALVES; i++)
		open[i] = false;
	resends_destroy(resends);
	free(open);
}

static void test_a_burst_of_open_ones_shrinks_back_to_the_window(void)
{
	bool *open = calloc(HALVES, sizeof(*open));
	struct resends *resends = resends_create(WINDOW, is_open, open);

	for (uint64_t half = 0; half < 20 * WINDOW; half++) {
		open[half] = true;
		add(resends, half);
	}
	CU_ASSERT_EQUAL(resends_count(resends), 20 * WINDOW);
	CU_ASSERT_TRUE(knows(resends, 0));
	for (uint64_t half = 0; half < 20 * WINDOW; half++)
		open[half] = false;
	for (uint64_t half = 20 * WINDOW; half < 60 * WINDOW; half++)
		add(resends, half);
	CU_ASSERT_EQUAL(resends_count(resends), WINDOW);
	CU_ASSERT_FALSE(knows(resends, 0));
	CU_ASSERT_TRUE(knows(resends, 60 * WINDOW - 1));
	resends_destroy(resends);
	free(open);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_the_first_of_a_name_counts),
		CHECK_TEST(test_without_a_window_nothing_is_kept),
		CHECK_TEST(test_decided_ones_leave_in_order_when_the_window_is_full),
		CHECK_TEST(test_open_ones_outlive_the_window),
		CHECK_TEST(test_a_burst_of_open_ones_shrinks_back_to_the_window),
	};
	return check_main("resends", tests, sizeof(tests) / sizeof(tests[0]));
}
