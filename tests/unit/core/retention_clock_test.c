/* What time it is for retention, whatever the wall clock says. */
#include "broker/core/retention_clock.h"
#include "tests/support/check.h"

#define START_MS 1700000000000ll
#define MINUTE_MS (60 * 1000ll)
#define HOUR_MS (60 * MINUTE_MS)

/* Both clocks as the test has them. */
struct clocks {
	struct retention_clock clock;
	int64_t wall_ms, mono_ms;
};

static struct clocks start(int64_t away_ms)
{
	struct clocks c = { .wall_ms = START_MS, .mono_ms = 5000 };

	retention_clock_start(&c.clock, c.wall_ms, c.mono_ms, c.wall_ms - away_ms);
	return c;
}

static int64_t pass(struct clocks *c, int64_t ms)
{
	c->wall_ms += ms;
	c->mono_ms += ms;
	return retention_clock_run(&c->clock, c->wall_ms, c->mono_ms);
}

static int64_t apart(const struct clocks *c)
{
	return c->wall_ms - c->clock.now_ms;
}

static void test_it_runs_with_the_time_that_passes(void)
{
	struct clocks c = start(0);

	for (int i = 0; i < 1000; i++)
		CU_ASSERT_EQUAL(pass(&c, 10), 0);
	CU_ASSERT_EQUAL(apart(&c), 0);
	CU_ASSERT_FALSE(retention_clock_grace(&c.clock));
}

/* A second more or less, as when the wall clock is corrected: in eight seconds, not at once. */
static void test_it_is_drawn_to_a_clock_that_is_near(void)
{
	for (int64_t by_ms = -1000; by_ms <= 1000; by_ms += 2000) {
		struct clocks c = start(0);

		c.wall_ms += by_ms;
		CU_ASSERT_EQUAL(pass(&c, 80), 0);
		CU_ASSERT_EQUAL(apart(&c), by_ms > 0 ? 990 : -990);
		for (int i = 0; i < 100; i++)
			(void)pass(&c, 80);
		CU_ASSERT_EQUAL(apart(&c), 0);
	}
}

static void test_a_clock_that_is_far_must_last(void)
{
	for (int64_t by_ms = -HOUR_MS; by_ms <= HOUR_MS; by_ms += 2 * HOUR_MS) {
		struct clocks c = start(0);

		for (int times = 0; times < 3; times++) { /* Wrong for nine minutes, right for one. */
			c.wall_ms += by_ms;
			for (int i = 0; i < 9; i++)
				CU_ASSERT_EQUAL(pass(&c, MINUTE_MS), 0);
			CU_ASSERT_EQUAL(apart(&c), by_ms);
			c.wall_ms -= by_ms;
			CU_ASSERT_EQUAL(pass(&c, MINUTE_MS), 0);
			CU_ASSERT_EQUAL(apart(&c), 0);
		}
		c.wall_ms += by_ms;
		for (int i = 0; i < 9; i++)
			CU_ASSERT_EQUAL(pass(&c, MINUTE_MS), 0);
		CU_ASSERT_EQUAL(pass(&c, MINUTE_MS), by_ms);
		CU_ASSERT_EQUAL(apart(&c), 0);
	}
}

static void check_grace(struct clocks *c, int64_t expected_ms)
{
	for (int64_t passed = 0; passed < expected_ms; passed += MINUTE_MS) {
		CU_ASSERT_TRUE(retention_clock_grace(&c->clock));
		(void)pass(c, MINUTE_MS);
	}
	CU_ASSERT_FALSE(retention_clock_grace(&c->clock));
}

/* As long as it was away, an hour at most; a last time in the future says nothing. */
static void test_there_is_a_grace_after_an_absence(void)
{
	struct clocks short_one = start(5 * MINUTE_MS), long_one = start(100 * HOUR_MS), back = start(-100 * HOUR_MS), none;

	check_grace(&short_one, 5 * MINUTE_MS);
	check_grace(&long_one, HOUR_MS);
	check_grace(&back, HOUR_MS);
	retention_clock_start(&none.clock, START_MS, 5000, 0); /* Nothing was stored before. */
	CU_ASSERT_FALSE(retention_clock_grace(&none.clock));
	(void)pass(&short_one, 7 * MINUTE_MS); /* It stood still. */
	check_grace(&short_one, 7 * MINUTE_MS);
}

static void test_a_short_stop_does_not_end_a_long_grace(void)
{
	struct clocks c = start(HOUR_MS);

	(void)pass(&c, 2 * MINUTE_MS); /* It stood still. */
	check_grace(&c, HOUR_MS - 2 * MINUTE_MS);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_it_runs_with_the_time_that_passes),
		CHECK_TEST(test_it_is_drawn_to_a_clock_that_is_near),
		CHECK_TEST(test_a_clock_that_is_far_must_last),
		CHECK_TEST(test_there_is_a_grace_after_an_absence),
		CHECK_TEST(test_a_short_stop_does_not_end_a_long_grace),
	};
	return check_main("retention clock", tests, sizeof(tests) / sizeof(tests[0]));
}
