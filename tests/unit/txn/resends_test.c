/* lib/txn/resends: every open half is found, and the last decided ones up to the window; against a naive array, with
 * names that collide. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "lib/txn/resends.h"

enum { HALVES = 20000 };

struct fixture {
	struct pending_table *table;
	struct resends *resends;
};

static struct fixture make(uint32_t window)
{
	struct fixture f = { .table = pending_create(UINT32_MAX) };

	CU_ASSERT_PTR_NOT_NULL_FATAL(f.table);
	f.resends = resends_create(window, f.table);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f.resends);
	return f;
}

static void unmake(struct fixture *f)
{
	resends_destroy(f->resends);
	pending_destroy(f->table);
}

/* Names of one of 64 places in the index, so that they collide. */
static struct hash128 name_of(uint64_t n)
{
	return (struct hash128){ (n % 64) << 58, n };
}

static void open_as(struct fixture *f, uint64_t n, struct hash128 name)
{
	CU_ASSERT_EQUAL_FATAL(pending_reserve(f->table, 0), ST_OK);
	CU_ASSERT_EQUAL_FATAL(resends_reserve(f->resends), ST_OK);
	struct pending *entry = pending_insert(f->table, n, 0);

	entry->name = name;
	resends_open(f->resends, entry);
}

static void open_one(struct fixture *f, uint64_t n)
{
	open_as(f, n, name_of(n));
}

static void decide(struct fixture *f, uint64_t n)
{
	struct pending *entry = pending_find(f->table, n);

	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	resends_close(f->resends, entry);
	pending_remove(f->table, entry);
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

static void test_decided_ones_leave_oldest_decision_first(void)
{
	struct fixture f = make(10);

	for (uint64_t n = 0; n < 100; n++)
		open_one(&f, n);
	for (uint64_t n = 0; n < 100; n++) {
		decide(&f, 99 - n);
		CU_ASSERT_EQUAL(resends_count(f.resends), 99 - n + (n < 10 ? n + 1 : 10));
	}
	for (uint64_t n = 0; n < 100; n++)
		CU_ASSERT_EQUAL(finds(f.resends, n), n < 10);
	unmake(&f);
}

static void test_open_ones_outlast_the_window(void)
{
	struct fixture f = make(10);

	for (uint64_t n = 0; n < 3000; n++) {
		open_one(&f, n);
		if (n % 100 != 7)
			decide(&f, n);
	}
	for (uint64_t n = 0; n < 3000; n++)
		CU_ASSERT_EQUAL(finds(f.resends, n), n % 100 == 7 || n >= 2990);
	decide(&f, 7);
	CU_ASSERT_TRUE(finds(f.resends, 7));
	CU_ASSERT_FALSE(finds(f.resends, 2990));
	unmake(&f);
}

static void test_first_open_copy_counts(void)
{
	struct fixture f = make(10);
	struct hash128 name = { 1, 2 };
	uint64_t found;

	CU_ASSERT_FALSE(resends_find(f.resends, name, &found));
	open_as(&f, 5, name);
	open_as(&f, 6, name);
	CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(found, 5);
	CU_ASSERT_EQUAL(resends_count(f.resends), 1);
	/* Also when the second one is decided. */
	decide(&f, 6);
	CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(found, 5);
	decide(&f, 5);
	CU_ASSERT_EQUAL(resends_count(f.resends), 1);
	unmake(&f);
}

/* What is open, and then what was decided last, has the name; the ring forgets the one that lost it all the same. */
static void test_decided_one_gives_its_name_away(void)
{
	struct fixture f = make(3);
	struct hash128 name = { 1, 2 };
	struct resend decided;
	uint64_t found, cursor = 0;

	open_as(&f, 5, name);
	decide(&f, 5);
	open_as(&f, 6, name);
	CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(found, 6);
	CU_ASSERT_FALSE(resends_next(f.resends, &cursor, &decided));
	decide(&f, 6);
	CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(found, 6);
	CU_ASSERT_EQUAL(resends_count(f.resends), 1);
	cursor = 0;
	CU_ASSERT_TRUE(resends_next(f.resends, &cursor, &decided));
	CU_ASSERT_EQUAL(decided.half_queue_offset, 6);
	CU_ASSERT_FALSE(resends_next(f.resends, &cursor, &decided));
	/* A replay from a snapshot that had it as decided opens it once more. */
	open_as(&f, 6, name);
	decide(&f, 6);
	CU_ASSERT_EQUAL_FATAL(resends_reserve(f.resends), ST_OK);
	resends_load(f.resends, &(struct resend){ name, 7 });
	CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(found, 7);
	for (uint64_t n = 100; n < 103; n++) {
		CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
		open_one(&f, n);
		decide(&f, n);
	}
	CU_ASSERT_FALSE(resends_find(f.resends, name, &found));
	CU_ASSERT_EQUAL(resends_count(f.resends), 3);
	unmake(&f);
}

/* Half-queue offsets and names are used to their last bit. */
static void test_names_that_differ_in_one_bit(void)
{
	struct fixture f = make(50);
	uint64_t found;

	for (unsigned bit = 0; bit < 128; bit++) {
		struct hash128 name = { bit < 64 ? (uint64_t)1 << bit : 0, bit < 64 ? 0 : (uint64_t)1 << (bit - 64) };

		CU_ASSERT_FALSE(resends_find(f.resends, name, &found));
		open_as(&f, UINT64_MAX - bit, name);
		if (bit % 2 == 0)
			decide(&f, UINT64_MAX - bit);
		CU_ASSERT_TRUE(resends_find(f.resends, name, &found));
		CU_ASSERT_EQUAL(found, UINT64_MAX - bit);
	}
	CU_ASSERT_EQUAL(resends_count(f.resends), 64 + 50);
	unmake(&f);
}

static void test_window_of_zero_knows_open_ones_only(void)
{
	struct fixture f = make(0);
	uint64_t cursor = 0;
	struct resend decided = { name_of(3), 3 };

	open_one(&f, 1);
	CU_ASSERT_TRUE(finds(f.resends, 1));
	decide(&f, 1);
	CU_ASSERT_FALSE(finds(f.resends, 1));
	CU_ASSERT_EQUAL(resends_count(f.resends), 0);
	CU_ASSERT_FALSE(resends_next(f.resends, &cursor, &decided));
	resends_load(f.resends, &decided);
	CU_ASSERT_FALSE(finds(f.resends, 3));
	unmake(&f);
	resends_destroy(NULL);
}

/* The naive twin: states by number, and the order of decisions. */
struct model {
	bool open[HALVES], opened[HALVES];
	uint64_t decided_at[HALVES]; /* Number of the decision, from 1. */
	uint64_t decisions;
};

static void compare(const struct model *m, const struct fixture *f, uint32_t window, uint64_t n)
{
	bool expected = m->open[n] || (m->decided_at[n] > 0 && m->decided_at[n] + window > m->decisions);

	if (finds(f->resends, n) != expected)
		CU_FAIL("it disagrees with the array");
}

static void test_random_openings_and_decisions(void)
{
	enum { WINDOW = 200 };
	uint64_t random = check_seed(31);
	struct model *m = calloc(1, sizeof(*m));
	struct fixture f = make(WINDOW);

	for (uint64_t n = 0; n < HALVES; n++) {
		open_one(&f, n);
		m->open[n] = m->opened[n] = true;
		/* Mostly young ones are decided, now and then an old one. */
		for (uint64_t i = check_random(&random) % 3; i > 0; i--) {
			uint64_t back = check_random(&random) % (check_random(&random) % 50 == 0 ? n + 1 : n % 100 + 1);

			if (m->open[n - back]) {
				decide(&f, n - back);
				m->open[n - back] = false;
				m->decided_at[n - back] = ++m->decisions;
			}
		}
		compare(m, &f, WINDOW, check_random(&random) % (n + 1));
		compare(m, &f, WINDOW, n - check_random(&random) % (n % 300 + 1));
	}
	for (uint64_t n = 0; n < HALVES; n++)
		compare(m, &f, WINDOW, n);
	free(m);
	unmake(&f);
}

/* A walk in pieces while halves come and go; a copy filled from it answers as the original does. */
static void test_walk_sees_what_stays_exactly_once_and_fills_a_copy(void)
{
	struct fixture f = make(500), copy = make(500);
	uint64_t cursor = 0, before = 0, next = 0, random = check_seed(32);
	struct resend decided;
	uint8_t *seen = calloc(HALVES, 1);

	CU_ASSERT_FALSE(resends_next(f.resends, &cursor, &decided));
	for (; next < 15000; next++) {
		open_one(&f, next);
		if (next % 4 != 0)
			decide(&f, next);
	}
	CU_ASSERT_EQUAL(resends_reserve_total(copy.resends, 1000), ST_OK);
	while (resends_next(f.resends, &cursor, &decided)) {
		if (cursor <= before || seen[decided.half_queue_offset]++ != 0)
			CU_FAIL("the walk goes back");
		before = cursor;
		CU_ASSERT_EQUAL_FATAL(resends_reserve(copy.resends), ST_OK);
		resends_load(copy.resends, &decided);
		resends_load(copy.resends, &decided);
		if (next < HALVES && check_random(&random) % 3 == 0) {
			open_one(&f, next);
			decide(&f, next++);
		}
	}
	for (uint64_t n = 0; n < next; n++)
		CU_ASSERT_EQUAL(finds(copy.resends, n), n % 4 != 0 || n >= 15000 ? finds(f.resends, n) : false);
	free(seen);
	unmake(&copy);
	unmake(&f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_decided_ones_leave_oldest_decision_first),
		CHECK_TEST(test_open_ones_outlast_the_window),
		CHECK_TEST(test_first_open_copy_counts),
		CHECK_TEST(test_decided_one_gives_its_name_away),
		CHECK_TEST(test_names_that_differ_in_one_bit),
		CHECK_TEST(test_window_of_zero_knows_open_ones_only),
		CHECK_TEST(test_random_openings_and_decisions),
		CHECK_TEST(test_walk_sees_what_stays_exactly_once_and_fills_a_copy),
	};
	return check_main("resends", tests, sizeof(tests) / sizeof(tests[0]));
}
