/* Sliding figures: what went through of late. */
#include "broker/core/statistics.h"
#include "tests/support/check.h"

enum { MIDNIGHT = 1700006400 }; /* 2023-11-15 00:00:00 UTC */

static const int64_t start_ms = 1000;

/* A tick each second, as the broker has them each 10 ms. */
static void run(struct statistics *s, int64_t *now_ms, int seconds, uint64_t puts_each)
{
	for (int i = 0; i < seconds; i++) {
		for (uint64_t n = 0; n < puts_each; n++)
			statistics_put(s, 1, 100, *now_ms);
		*now_ms += 1000;
		statistics_committed(s, *now_ms - 1000 + 5);
		statistics_tick(s, (MIDNIGHT - 3600) * 1000LL + *now_ms, *now_ms);
	}
}

static void test_windows_slide(void)
{
	struct statistics *s = statistics_create(10, (MIDNIGHT - 3600) * 1000LL, start_ms);
	struct statistics_view view;
	int64_t now_ms = start_ms;

	CU_ASSERT_FALSE(statistics_view(s, 1, 0, STATISTICS_COUNT, now_ms, &view));
	run(s, &now_ms, 30, 4);
	CU_ASSERT_TRUE(statistics_view(s, 1, 0, STATISTICS_COUNT, now_ms, &view));
	CU_ASSERT_EQUAL(view.minute.sum, 120);
	CU_ASSERT_DOUBLE_EQUAL(view.minute.per_second, 4, 0.01);
	CU_ASSERT_EQUAL(view.day.sum, 120);
	CU_ASSERT_TRUE(statistics_view(s, 1, 0, STATISTICS_BYTES, now_ms, &view));
	CU_ASSERT_EQUAL(view.minute.sum, 12000);
	CU_ASSERT_DOUBLE_EQUAL(view.minute.per_call, 100, 0.01);
	run(s, &now_ms, 200, 0);
	CU_ASSERT_TRUE(statistics_view(s, 1, 0, STATISTICS_COUNT, now_ms, &view));
	CU_ASSERT_EQUAL(view.minute.sum, 0);
	CU_ASSERT_EQUAL(view.hour.sum, 120);
	run(s, &now_ms, 2 * 3600, 0);
	CU_ASSERT_TRUE(statistics_view(s, 1, 0, STATISTICS_COUNT, now_ms, &view));
	CU_ASSERT_EQUAL(view.hour.sum, 0);
	CU_ASSERT_EQUAL(view.day.sum, 120);
	statistics_forget_topic(s, 1);
	CU_ASSERT_FALSE(statistics_view(s, 1, 0, STATISTICS_COUNT, now_ms, &view));
	CU_ASSERT_EQUAL(statistics_totals(s).put_count, 120);
	statistics_destroy(s);
}

static void test_totals_of_seconds_before(void)
{
	struct statistics *s = statistics_create(10, (MIDNIGHT - 3600) * 1000LL, start_ms);
	int64_t now_ms = start_ms;
	double seconds;

	run(s, &now_ms, 5, 3);
	CU_ASSERT_EQUAL(statistics_totals(s).put_count - statistics_totals_before(s, 600, &seconds).put_count, 15);
	CU_ASSERT_DOUBLE_EQUAL(seconds, 5, 0.01);
	run(s, &now_ms, 20, 1);
	CU_ASSERT_EQUAL(statistics_totals(s).put_count - statistics_totals_before(s, 10, &seconds).put_count, 10);
	CU_ASSERT_DOUBLE_EQUAL(seconds, 10, 0.01);
	run(s, &now_ms, 700, 1);
	CU_ASSERT_EQUAL(statistics_totals(s).put_count - statistics_totals_before(s, 600, &seconds).put_count, 600);
	statistics_destroy(s);
}

static void test_midnight(void)
{
	struct statistics *s = statistics_create(10, (MIDNIGHT - 3600) * 1000LL, 0);
	int64_t now_ms = 0;

	run(s, &now_ms, 3600 + 10, 1);
	CU_ASSERT_EQUAL(statistics_totals_at_midnight(s, false).put_count, 3600);
	CU_ASSERT_EQUAL(statistics_totals_at_midnight(s, true).put_count, 0);
	statistics_destroy(s);
}

/* All of a commit count as the first of them, which waited longest. */
static void test_the_first_of_a_commit_counts(void)
{
	struct statistics *s = statistics_create(10, 0, 0);

	statistics_put(s, 1, 1, 100);
	statistics_put(s, 1, 1, 190);
	statistics_committed(s, 200);
	CU_ASSERT_EQUAL(statistics_longest_ms(s), 100);
	statistics_put(s, 1, 1, 300);
	statistics_committed(s, 310);
	CU_ASSERT_EQUAL(statistics_longest_ms(s), 100);
	statistics_destroy(s);
}

static void test_latencies_have_classes(void)
{
	struct statistics *s = statistics_create(10, 0, 0);
	static const int64_t took_ms[] = { 0, 1, 10, 11, 51, 5000, 10001 };

	for (size_t i = 0; i < sizeof(took_ms) / sizeof(took_ms[0]); i++) {
		statistics_put(s, 1, 1, 100);
		statistics_committed(s, 100 + took_ms[i]);
	}
	statistics_committed(s, 100000); /* Nothing waits. */
	const uint64_t *classes = statistics_latencies(s);
	CU_ASSERT_EQUAL(classes[1], 0); /* The minute is not over. */
	statistics_tick(s, 0, 60 * 1000);
	CU_ASSERT_EQUAL(classes[0], 1);
	CU_ASSERT_EQUAL(classes[1], 2);
	CU_ASSERT_EQUAL(classes[2], 1);
	CU_ASSERT_EQUAL(classes[3], 1);
	CU_ASSERT_EQUAL(classes[10], 1);
	CU_ASSERT_EQUAL(classes[12], 1);
	CU_ASSERT_EQUAL(statistics_longest_ms(s), 10001);
	CU_ASSERT_EQUAL(statistics_latency_ms(s, 0.5), 50);
	statistics_put(s, 1, 1, 70 * 1000);
	statistics_committed(s, 70 * 1000 + 5);
	statistics_tick(s, 0, 121 * 1000);
	CU_ASSERT_EQUAL(classes[0], 0);
	CU_ASSERT_EQUAL(classes[1], 1);
	CU_ASSERT_EQUAL(statistics_longest_ms(s), 10001);
	statistics_destroy(s);
}

static void test_all_topics_together(void)
{
	struct statistics *s = statistics_create(2, 0, start_ms);
	struct statistics_flow flow;
	int64_t now_ms = start_ms;

	run(s, &now_ms, 20, 2);
	for (uint32_t topic = 1; topic <= 9; topic++)
		statistics_put(s, topic, 10, now_ms); /* Most find no flow of their own. */
	statistics_got(s, 1, 0, 5, 50);       /* Of nobody in particular. */
	statistics_got(s, 1, 3, 6, 60);
	statistics_sent_back(s, 1, 3);
	CU_ASSERT_EQUAL(statistics_view_all(s, false, now_ms).minute.sum, 49);
	CU_ASSERT_EQUAL(statistics_view_all(s, true, now_ms).hour.sum, 11);
	CU_ASSERT_DOUBLE_EQUAL(statistics_view_all(s, false, now_ms).minute.per_second, 49.0 / 20, 0.01);
	CU_ASSERT_TRUE(statistics_flow(s, 1, 0, &flow));
	CU_ASSERT_TRUE(flow.count == 41 && flow.bytes == 4010 && flow.back == 0);
	CU_ASSERT_FALSE(statistics_flow(s, 3, 0, &flow));
	CU_ASSERT_FALSE(statistics_flow(s, 1, 3, &flow));
	run(s, &now_ms, 100, 0);
	CU_ASSERT_EQUAL(statistics_view_all(s, false, now_ms).minute.sum, 0);
	CU_ASSERT_EQUAL(statistics_view_all(s, false, now_ms).day.sum, 49);
	statistics_destroy(s);
}

static void test_the_number_of_flows_is_bounded(void)
{
	struct statistics *s = statistics_create(2, 0, 0);
	struct statistics_view view;

	for (uint32_t topic = 1; topic <= 3; topic++)
		statistics_got(s, topic, 7, 2, 20);
	statistics_got(s, 1, 7, 0, 0);
	statistics_sent_back(s, 2, 7);
	CU_ASSERT_TRUE(statistics_view(s, 2, 7, STATISTICS_COUNT, 1000, &view));
	CU_ASSERT_EQUAL(view.minute.sum, 2);
	CU_ASSERT_TRUE(statistics_view(s, 2, 7, STATISTICS_BACK, 1000, &view));
	CU_ASSERT_FALSE(statistics_view(s, 3, 7, STATISTICS_COUNT, 1000, &view));
	CU_ASSERT_EQUAL(statistics_totals(s).got_count, 6);
	CU_ASSERT_EQUAL(statistics_totals(s).found, 3);
	CU_ASSERT_EQUAL(statistics_totals(s).missed, 1);
	statistics_destroy(s);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_windows_slide),
		CHECK_TEST(test_totals_of_seconds_before),
		CHECK_TEST(test_midnight),
		CHECK_TEST(test_the_first_of_a_commit_counts),
		CHECK_TEST(test_latencies_have_classes),
		CHECK_TEST(test_all_topics_together),
		CHECK_TEST(test_the_number_of_flows_is_bounded),
	};
	return check_main("statistics", tests, sizeof(tests) / sizeof(tests[0]));
}
