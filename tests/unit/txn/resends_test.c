/* lib/txn/resends: the window, open halves outlast it, and hash neighbours survive evictions. */
#include "tests/support/check.h"

#include <stdlib.h>
#include <string.h>

#include "lib/txn/resends.h"

enum { HALVES = 20000 };

struct halves {
	bool open[HALVES];
};

static bool is_open(void *context, uint64_t n)
{
	const struct halves *halves = context;

	return n < HALVES && halves->open[n];
}

/* Names of one of 64 places in the table, so that they collide. */
static struct hash128 name_of(uint64_t n)
{
	return (struct hash128){ (n % 64) << 58, n };
}

static void add(struct resends *resends, uint64_t n)
{
	CU_ASSERT_EQUAL_FATAL(resends_reserve(resends), ST_OK);
	resends_add(resends, name_of(n), n);
}

static bool finds(const struct resends *resends, uint64_t n)
{
	uint64_t found = UINT64_MAX;

	if (!resends_find(resends, name_of(n), &found))
		return false;
	if (found != n)
		CU_FAIL("another half was found");
	return true;
}

static void test_decided_ones_leave_oldest_first(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(10, is_open, halves);

	for (uint64_t n = 0; n < 100; n++) {
		add(resends, n);
		CU_ASSERT_EQUAL(resends_count(resends), n < 10 ? n + 1 : 10);
	}
	for (uint64_t n = 0; n < 100; n++)
		CU_ASSERT_EQUAL(finds(resends, n), n >= 90);
	resends_destroy(resends);
	free(halves);
}

static void test_open_ones_outlast_the_window(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(10, is_open, halves);

	for (uint64_t n = 0; n < 3000; n++) {
		halves->open[n] = n % 100 == 7;
		add(resends, n);
	}
	for (uint64_t n = 0; n < 3000; n++) {
		if (n % 100 == 7 && !finds(resends, n))
			CU_FAIL("an open half was forgotten");
	}
	CU_ASSERT_FALSE(finds(resends, 8));
	/* Decided at last, they go like the others. */
	memset(halves->open, 0, sizeof(halves->open));
	for (uint64_t n = 3000; n < 3100; n++)
		add(resends, n);
	CU_ASSERT_FALSE(finds(resends, 7));
	CU_ASSERT_FALSE(finds(resends, 2907));
	CU_ASSERT_EQUAL(resends_count(resends), 10);
	CU_ASSERT_TRUE(finds(resends, 3099));
	resends_destroy(resends);
	free(halves);
}

/* With nothing but open ones it grows, whatever the window. */
static void test_all_open_all_kept(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(1, is_open, halves);

	memset(halves->open, 1, sizeof(halves->open));
	for (uint64_t n = 0; n < 5000; n++)
		add(resends, n);
	CU_ASSERT_EQUAL(resends_count(resends), 5000);
	for (uint64_t n = 0; n < 5000; n++) {
		if (!finds(resends, n))
			CU_FAIL("an open half was forgotten");
	}
	resends_destroy(resends);
	free(halves);
}

static void test_first_copy_counts(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(10, is_open, halves);
	struct hash128 name = { 1, 2 };
	uint64_t found;

	CU_ASSERT_FALSE(resends_find(resends, name, &found));
	CU_ASSERT_EQUAL(resends_reserve(resends), ST_OK);
	resends_add(resends, name, 5);
	CU_ASSERT_EQUAL(resends_reserve(resends), ST_OK);
	resends_add(resends, name, 6);
	CU_ASSERT_TRUE(resends_find(resends, name, &found));
	CU_ASSERT_EQUAL(found, 5);
	CU_ASSERT_EQUAL(resends_count(resends), 1);
	/* Both halves of the hash count. */
	CU_ASSERT_FALSE(resends_find(resends, (struct hash128){ 1, 3 }, &found));
	CU_ASSERT_FALSE(resends_find(resends, (struct hash128){ 2, 2 }, &found));
	resends_destroy(resends);
	free(halves);
}

static void test_window_of_zero_remembers_nothing(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(0, is_open, halves);

	halves->open[1] = true;
	add(resends, 1);
	CU_ASSERT_FALSE(finds(resends, 1));
	CU_ASSERT_EQUAL(resends_count(resends), 0);
	resends_destroy(resends);
	resends_destroy(NULL);
	free(halves);
}

/* What must be there: all open ones. What may be there: what was added, under its own number. How many: no more than
 * the open ones and the window need. */
static void test_random_openings_and_decisions(void)
{
	uint64_t random = check_seed(31);
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(200, is_open, halves);
	uint64_t open_count = 0;

	for (uint64_t n = 0; n < HALVES; n++) {
		halves->open[n] = true;
		open_count++;
		add(resends, n);
		/* Mostly young ones are decided, now and then an old one. */
		for (uint64_t i = check_random(&random) % 3; i > 0; i--) {
			uint64_t back = check_random(&random) % (check_random(&random) % 50 == 0 ? n + 1 : n % 100 + 1);

			if (halves->open[n - back]) {
				halves->open[n - back] = false;
				open_count--;
			}
		}
		uint64_t probe = check_random(&random) % (n + 1);
		if (halves->open[probe] && !finds(resends, probe))
			CU_FAIL("an open half was forgotten");
		(void)finds(resends, probe);
	}
	for (uint64_t n = 0; n < HALVES; n++) {
		if (halves->open[n] && !finds(resends, n))
			CU_FAIL("an open half was forgotten");
	}
	CU_ASSERT_TRUE(resends_count(resends) >= open_count);
	resends_destroy(resends);
	free(halves);
}

/* Half-queue offsets are 64 bits wide, and the whole of what is kept of a name counts. */
static void test_wide_numbers_and_names_that_differ_in_one_bit(void)
{
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(1000, is_open, halves);
	uint64_t found;

	for (unsigned bit = 0; bit < 96; bit++) {
		struct hash128 name = { bit < 64 ? (uint64_t)1 << bit : 0, bit < 64 ? 0 : (uint64_t)1 << (bit - 64) };

		CU_ASSERT_FALSE(resends_find(resends, name, &found));
		CU_ASSERT_EQUAL(resends_reserve(resends), ST_OK);
		resends_add(resends, name, UINT64_MAX - bit);
		CU_ASSERT_TRUE(resends_find(resends, name, &found));
		CU_ASSERT_EQUAL(found, UINT64_MAX - bit);
	}
	CU_ASSERT_EQUAL(resends_count(resends), 96);
	resends_destroy(resends);
	free(halves);
}

/* A walk in pieces while others are added: what stays is seen, in order, and a copy that is filled from it answers as
 * the original does. */
static void test_walk_sees_what_stays_and_fills_a_copy(void)
{
	uint64_t random = check_seed(32);
	struct halves *halves = calloc(1, sizeof(*halves));
	struct resends *resends = resends_create(500, is_open, halves);
	struct resends *copy = resends_create(500, is_open, halves);
	struct hash128 name;
	uint64_t cursor = 0, before = 0, half, next = 0;

	CU_ASSERT_FALSE(resends_next(resends, &cursor, &name, &half));
	for (; next < 15000; next++) {
		halves->open[next] = check_random(&random) % 4 == 0;
		add(resends, next);
	}
	CU_ASSERT_EQUAL(resends_reserve_total(copy, (uint32_t)resends_count(resends)), ST_OK);
	while (resends_next(resends, &cursor, &name, &half)) {
		if (cursor <= before)
			CU_FAIL("the walk goes back");
		before = cursor;
		CU_ASSERT_EQUAL_FATAL(resends_reserve(copy), ST_OK);
		resends_add(copy, name, half);
		if (next < HALVES && check_random(&random) % 3 == 0) {
			halves->open[next] = check_random(&random) % 4 == 0;
			add(resends, next++);
		}
	}
	for (uint64_t n = 0; n < next; n++) {
		if (halves->open[n] && !finds(copy, n))
			CU_FAIL("the copy does not know an open half");
	}
	for (uint64_t n = next - 100; n < next; n++)
		CU_ASSERT_TRUE(finds(copy, n));
	resends_destroy(copy);
	resends_destroy(resends);
	free(halves);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_decided_ones_leave_oldest_first),
		CHECK_TEST(test_open_ones_outlast_the_window),
		CHECK_TEST(test_all_open_all_kept),
		CHECK_TEST(test_first_copy_counts),
		CHECK_TEST(test_window_of_zero_remembers_nothing),
		CHECK_TEST(test_random_openings_and_decisions),
		CHECK_TEST(test_wide_numbers_and_names_that_differ_in_one_bit),
		CHECK_TEST(test_walk_sees_what_stays_and_fills_a_copy),
	};
	return check_main("resends", tests, sizeof(tests) / sizeof(tests[0]));
}
