/* What is old goes, and nothing else: by a clock that whoever sets the wall clock cannot mislead. */
#include "tests/unit/core/retention_fixture.h"

#include "lib/base/logging.h"

enum { PINNED = 4 }; /* Segments that the older snapshot needs, or that were written after it. */
#define TEN_YEARS_MS (10 * 365 * 24 * HOUR_MS)

static void jump(struct fixture *f, int64_t by_ms)
{
	f->clock.wall_now_ms += by_ms;
}

static size_t kept(const struct fixture *f)
{
	return f->core->retention.count;
}

static void test_what_is_old_goes(void)
{
	struct fixture *f = create_aging();

	grow_slowly(f, 10, 1000);
	idle(f, 71 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) > 10);
	idle(f, 2 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) <= PINNED);
	fixture_destroy(f);
}

/* Much less is to be kept from one moment to the next: it goes in steps, between which the broker serves. */
static void test_much_goes_in_steps(void)
{
	struct fixture *f = create_aging();

	grow_slowly(f, 100, 1000);
	size_t before = kept(f);
	CU_ASSERT_TRUE_FATAL(before > 90);
	f->core->config.retention_bytes = SEGMENT;
	core_tick(f->core);
	CU_ASSERT_EQUAL(kept(f), before - 32);
	for (int i = 0; i < 5; i++)
		core_tick(f->core);
	CU_ASSERT_TRUE(kept(f) <= PINNED);
	fixture_destroy(f);
}

/* The clock was ten years ahead for one message, which is in every stored time since. */
static void check_ten_days_after(bool with_restarts)
{
	struct fixture *f = create_aging();

	jump(f, TEN_YEARS_MS);
	fixture_store_bulk(f, 10);
	jump(f, -TEN_YEARS_MS);
	for (int day = 0; day < 10; day++) {
		grow_slowly(f, 4, HOUR_MS / 4);
		idle(f, 8 * HOUR_MS);
		if (with_restarts)
			fixture_restart(f);
	}
	CU_ASSERT_TRUE(kept(f) >= 4 * 3);
	CU_ASSERT_TRUE(kept(f) <= 4 * 4 + PINNED);
	fixture_destroy(f);
}

static void test_one_wrong_time_does_not_end_retention(void)
{
	check_ten_days_after(false);
	check_ten_days_after(true);
}

static void test_a_tick_of_a_wrong_clock_drops_nothing(void)
{
	struct fixture *f = create_aging();
	size_t before;

	grow_slowly(f, 10, 1000);
	before = kept(f);
	jump(f, TEN_YEARS_MS);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	jump(f, -TEN_YEARS_MS);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(kept(f), before);
	fixture_destroy(f);
}

/* A wall clock that stays where it jumped to is believed, but nothing is older for that; nor does anything stay for good when
 * it jumps back. */
static void test_a_clock_that_was_set_makes_nothing_older(void)
{
	struct fixture *f = create_aging();
	size_t before;

	for (int back = 0; back < 2; back++) {
		grow_slowly(f, 10, 1000);
		before = kept(f);
		jump(f, back != 0 ? -TEN_YEARS_MS : TEN_YEARS_MS);
		idle(f, 70 * HOUR_MS);
		CU_ASSERT_EQUAL(kept(f), before);
		grow_slowly(f, 2, 1000);
		idle(f, 4 * HOUR_MS);
		CU_ASSERT_TRUE(kept(f) <= PINNED);
	}
	fixture_destroy(f);
}

/* Started with a clock that is far ahead; it is set right soon. */
static void test_a_start_with_a_wrong_clock_drops_nothing(void)
{
	struct fixture *f = create_aging();
	size_t before;

	grow_slowly(f, 10, 1000);
	fixture_close(f);
	jump(f, TEN_YEARS_MS);
	fixture_open(f);
	before = kept(f);
	idle(f, HOUR_MS / 2);
	jump(f, -TEN_YEARS_MS);
	idle(f, 70 * HOUR_MS);
	CU_ASSERT_EQUAL(kept(f), before);
	idle(f, 4 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) < before);
	fixture_destroy(f);
}

/* Down over a long weekend: consumers have an hour before what is too old goes. So it is when the machine stood still. */
static void test_there_is_a_grace_after_a_long_absence(void)
{
	for (int stood_still = 0; stood_still < 2; stood_still++) {
		struct fixture *f = create_aging();
		size_t before;

		grow_slowly(f, 10, 1000);
		clock_manual_advance(&f->clock, 100 * HOUR_MS);
		if (!stood_still)
			fixture_restart(f);
		before = kept(f);
		idle(f, HOUR_MS - 2 * 60 * 1000);
		CU_ASSERT_EQUAL(kept(f), before);
		idle(f, 4 * 60 * 1000);
		CU_ASSERT_TRUE(kept(f) <= PINNED);
		fixture_destroy(f);
	}
}

/* A topic with a shorter time of its own. */
static void test_a_topic_hides_nothing_for_a_wrong_clock(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	topics_find_any(f->core->topics, SPAN_LITERAL("t"))->reserve_ms = HOUR_MS;
	jump(f, TEN_YEARS_MS);
	idle(f, 5 * 60 * 1000);
	jump(f, -TEN_YEARS_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Set forward for good: what was stored by the old time is no older for that. */
static void test_a_topic_hides_nothing_for_a_clock_that_was_set(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	topics_find_any(f->core->topics, SPAN_LITERAL("t"))->reserve_ms = HOUR_MS;
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	for (int set = 0; set < 2; set++) {
		idle(f, HOUR_MS / 10);
		jump(f, TEN_YEARS_MS);
		idle(f, HOUR_MS / 4);
	}
	(void)must_send(f, (struct sent){ .topic = "t", .key = "later" });
	fixture_disk(f, true);
	idle(f, HOUR_MS / 5);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	idle(f, HOUR_MS / 5);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 1, "*", &p), 1);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 1, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Nor right after an absence: consumers have their hour there, too. */
static void test_a_topic_has_the_grace_of_the_log(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6,
					   .attributes = SPAN_LITERAL("{\"reserve.time\":\"3600000\"}") };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	clock_manual_advance(&f->clock, 10 * HOUR_MS);
	fixture_restart(f);
	idle(f, HOUR_MS - 2 * 60 * 1000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	idle(f, 4 * 60 * 1000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_old_goes),
		CHECK_TEST(test_much_goes_in_steps),
		CHECK_TEST(test_one_wrong_time_does_not_end_retention),
		CHECK_TEST(test_a_tick_of_a_wrong_clock_drops_nothing),
		CHECK_TEST(test_a_clock_that_was_set_makes_nothing_older),
		CHECK_TEST(test_a_start_with_a_wrong_clock_drops_nothing),
		CHECK_TEST(test_there_is_a_grace_after_a_long_absence),
		CHECK_TEST(test_a_topic_hides_nothing_for_a_wrong_clock),
		CHECK_TEST(test_a_topic_hides_nothing_for_a_clock_that_was_set),
		CHECK_TEST(test_a_topic_has_the_grace_of_the_log),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("retention by age", tests, sizeof(tests) / sizeof(tests[0]));
}
