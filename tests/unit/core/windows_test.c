/* Consumers that are behind read the log in windows: what one queue's consumer read serves the next one's, what is damaged is told as
 * ever, and what the page cache lacks is asked for as a whole. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/windows.h"

enum { QUEUES = 4, SMALL = 200, LARGE = 8 * 1024 };

/* `count` messages over all queues of "t", each beginning with its number; then as many others as push them out of memory. */
static void fill(struct fixture *f, int count, size_t size)
{
	static char body[LARGE];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = QUEUES,
					.body = { (const uint8_t *)body, size }, .max_reconsume_times = -1 };
	struct send_result result;
	struct outcome outcome = { 0 };

	for (int i = 0; i < count + 100; i++) {
		snprintf(body, sizeof(body), "%d", i);
		request.queue_id = i % QUEUES;
		if (i == count) {
			request.topic = SPAN_LITERAL("other");
			request.body.size = LARGE;
		}
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
		fixture_disk(f, true);
	}
}

/* Reads messages [from, to) of a queue, and checks each. */
static void check_queue(struct fixture *f, uint32_t queue, uint64_t from, uint64_t to)
{
	struct pulled p = { .count = 0 };

	while (from < to) {
		size_t got = fixture_pull(f, "t", queue, from, "*", &p);

		CU_ASSERT_TRUE_FATAL(got > 0);
		for (size_t i = 0; i < got; i++)
			CU_ASSERT_EQUAL(atoi((const char *)p.messages[i].body.data), (int)((from + i) * QUEUES + queue));
		from += got;
	}
	pulled_free(&p);
}

/* The first message of queue 0 that lies in the second window (before the first one is the segment's header). */
static uint64_t first_in_window(struct fixture *f)
{
	struct pulled p = { .count = 0 };

	for (uint64_t offset = 0;; offset++) {
		CU_ASSERT_TRUE_FATAL(fixture_pull(f, "t", 0, offset, "*", &p) > 0);
		if (window_start((uint64_t)p.messages[0].physical_offset) == WINDOW_SIZE)
			break;
		CU_ASSERT_TRUE_FATAL(offset < 2000);
	}
	uint64_t offset = p.result.next_offset - p.count;
	pulled_free(&p);
	return offset;
}

static void test_what_one_queue_read_serves_the_others(void)
{
	struct fixture *f = fixture_create(NULL);

	fill(f, 2000, SMALL);
	uint64_t first = first_in_window(f);
	check_queue(f, 0, 0, 500);
	memdisk_set_cold(f->disk, true);
	for (uint32_t queue = 1; queue < QUEUES; queue++)
		check_queue(f, queue, first, first + 100);
	memdisk_set_cold(f->disk, false);
	for (uint32_t queue = 1; queue < QUEUES; queue++)
		check_queue(f, queue, 0, 500);
	fixture_destroy(f);
}

static void test_a_window_that_the_cache_lacks_is_asked_for(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_result result;
	struct outcome outcome;
	uint64_t offset = 0;
	uint32_t size = 0;

	fill(f, 2000, SMALL);
	struct pull_request request = pull_of(f, "t", 0, first_in_window(f), "*");
	fixture_restart(f); /* Without the windows that the search has read. */
	memdisk_set_cold(f->disk, true);
	core_begin_request(f->core);
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_AGAIN);
	CU_ASSERT_TRUE(core_take_cold_read(f->core, &offset, &size));
	CU_ASSERT_EQUAL(offset, WINDOW_SIZE);
	CU_ASSERT_EQUAL(size, WINDOW_SIZE);
	/* For few messages only those. */
	request.offset = 2000 / QUEUES - 1;
	core_begin_request(f->core);
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_AGAIN);
	CU_ASSERT_TRUE(core_take_cold_read(f->core, &offset, &size));
	CU_ASSERT_TRUE(size < WINDOW_SIZE / WINDOW_WORTH);
	fixture_destroy(f);
}

static void test_damage_in_a_window_is_told(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct pull_result result;
	struct outcome outcome;
	size_t size;

	fill(f, 2000, SMALL);
	uint64_t first = first_in_window(f);
	CU_ASSERT_TRUE_FATAL(fixture_pull(f, "t", 0, first, "*", &p) > 10);
	uint64_t at = (uint64_t)p.messages[10].physical_offset;
	fixture_restart(f);
	memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size)[at + 100] ^= 1;
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, first, "*", &p), 10);
	struct pull_request request = pull_of(f, "t", 0, first + 10, "*");
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "00000000000000000000"));
	check_queue(f, 0, first + 11, first + 30);
	pulled_free(&p);
	fixture_destroy(f);
}

static void test_more_windows_than_are_kept(void)
{
	struct fixture *f = fixture_create(NULL);

	enum { COUNT = (WINDOWS_MAX * 2) * WINDOW_SIZE / LARGE };
	fill(f, COUNT, LARGE);
	for (int round = 0; round < 2; round++) {
		for (uint32_t queue = 0; queue < QUEUES; queue++)
			check_queue(f, queue, 0, COUNT / QUEUES);
	}
	fixture_destroy(f);
}

/* Where the last message of an answer lies. */
static uint64_t end_of_answer(struct fixture *f, const struct pull_result *result)
{
	struct message message = { .physical_offset = -1 };
	struct buffer bytes;

	buffer_init(&bytes, 0);
	core_pull_copy(f->core, result, &bytes);
	struct span rest = buffer_span(&bytes);
	while (message_next(&rest, &message, NULL) == ST_OK)
		;
	buffer_deinit(&bytes);
	return (uint64_t)message.physical_offset;
}

/* Who reads ahead of others gets less at once, so that they come together. */
static void test_an_answer_ends_before_a_window_to_be_read(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_result result;
	struct outcome outcome;

	fill(f, 3000, SMALL);
	struct pull_request request = pull_of(f, "t", 1, first_in_window(f), "*");
	request.message_max = PULL_MESSAGES_MAX;
	fixture_restart(f);
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(result.item_count >= WINDOW_FEW);
	CU_ASSERT_EQUAL(window_start(end_of_answer(f, &result)), WINDOW_SIZE);
	uint64_t end = result.next_offset;
	/* When the next one has been read for somebody else it goes on. */
	request.offset = end;
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	request.offset = end - 20;
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(result.next_offset > end);
	fixture_destroy(f);
}

static void test_windows_that_serve_few_are_given_up(void)
{
	enum { COUNT = (WINDOWS_MAX * 2) * WINDOW_SIZE / LARGE, TRIES = 320 };
	struct fixture *f = fixture_create(NULL);
	struct windows *windows = windows_create();
	int worth = 0;

	fill(f, COUNT, LARGE);
	CU_ASSERT_FALSE(windows_are_worth(windows, WINDOW_FEW - 1));
	CU_ASSERT_TRUE(windows_are_worth(windows, WINDOW_FEW)); /* Until the contrary has shown. */
	for (uint64_t start = 0; start < commitlog_durable(f->log) - 2 * WINDOW_SIZE; start += WINDOW_SIZE) {
		windows_begin(windows);
		(void)(windows_read(windows, f->log, start) == ST_OK);
	}
	for (int i = 0; i < TRIES; i++)
		worth += windows_are_worth(windows, WINDOW_FEW);
	CU_ASSERT_EQUAL(worth, 10);
	CU_ASSERT_TRUE(windows_are_worth(windows, WINDOW_WORTH));
	windows_destroy(windows);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_one_queue_read_serves_the_others),
		CHECK_TEST(test_a_window_that_the_cache_lacks_is_asked_for),
		CHECK_TEST(test_damage_in_a_window_is_told),
		CHECK_TEST(test_more_windows_than_are_kept),
		CHECK_TEST(test_an_answer_ends_before_a_window_to_be_read),
		CHECK_TEST(test_windows_that_serve_few_are_given_up),
	};
	return check_main("windows", tests, sizeof(tests) / sizeof(tests[0]));
}
