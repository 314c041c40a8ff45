/* The parts of a group's members, and the window of a queue's messages. */
#include "client-sdk/src/allocate.h"
#include "client-sdk/src/window.h"
#include "tests/support/check.h"

#include <stdio.h>

static void expect_part(size_t queues, size_t members, size_t self, size_t first, size_t count)
{
	static const char *const names[] = { "10.0.0.1@1#a", "10.0.0.1@1#b", "10.0.0.1@2", "10.0.0.10@1", "9.0.0.1@1" };
	struct span ids[5];
	size_t got_first;

	/* Handed over in another order than they sort in. */
	for (size_t i = 0; i < members; i++)
		ids[i] = span_of(names[members - 1 - i]);
	CU_ASSERT_EQUAL(allocate_averagely(queues, ids, members, span_of(names[self]), &got_first), count);
	if (count > 0)
		CU_ASSERT_EQUAL(got_first, first);
}

/* The figures of RocketMQ's AllocateMessageQueueAveragely. */
static void test_parts_are_those_of_the_java_client(void)
{
	expect_part(4, 1, 0, 0, 4);
	expect_part(8, 3, 0, 0, 3);
	expect_part(8, 3, 1, 3, 3);
	expect_part(8, 3, 2, 6, 2);
	expect_part(2, 3, 0, 0, 1);
	expect_part(2, 3, 1, 1, 1);
	expect_part(2, 3, 2, 0, 0);
	expect_part(0, 2, 1, 0, 0);
}

static void test_who_is_not_a_member_gets_nothing(void)
{
	struct span ids[] = { SPAN_LITERAL("a"), SPAN_LITERAL("c") };
	size_t first;

	CU_ASSERT_EQUAL(allocate_averagely(8, ids, 2, span_of("b"), &first), 0);
	CU_ASSERT_EQUAL(allocate_averagely(8, NULL, 0, span_of("b"), &first), 0);
}

static void test_parts_cover_all_queues_once(void)
{
	uint64_t seed = check_seed(1);
	char names[40][16];
	struct span ids[40];

	for (int round = 0; round < 500; round++) {
		size_t queues = check_random(&seed) % 100, members = 1 + check_random(&seed) % 40;
		int taken[100] = { 0 };

		for (size_t i = 0; i < members; i++) {
			snprintf(names[i], sizeof(names[i]), "c%03zu", (i * 7 + (size_t)round) % 1000);
			ids[i] = span_of(names[i]);
		}
		for (size_t i = 0; i < members; i++) {
			size_t first, count = allocate_averagely(queues, ids, members, ids[i], &first);

			for (size_t j = first; j < first + count; j++)
				taken[j]++;
		}
		for (size_t j = 0; j < queues; j++)
			CU_ASSERT_EQUAL(taken[j], 1);
	}
}

/* --- the window -------------------------------------------------------------------------------------------------- */

static int taken_count;
static void count_taken(void *context, struct window_entry *entry)
{
	(void)context;
	CU_ASSERT_TRUE(entry->done);
	taken_count++;
}

static void test_the_position_is_the_first_message_that_is_not_done(void)
{
	struct window window = { .next_offset = 10 };
	struct window_entry entries[3] = { { .offset = 10, .size = 5 }, { .offset = 12, .size = 6 }, { .offset = 13, .size = 7 } };

	CU_ASSERT_EQUAL(window_position(&window), 10);
	for (int i = 0; i < 3; i++)
		window_add(&window, &entries[i]);
	window.next_offset = 20;
	taken_count = 0;
	window_finish(&window, &entries[1], count_taken, NULL);
	CU_ASSERT_EQUAL(window_position(&window), 10);
	CU_ASSERT_EQUAL(taken_count, 0);
	window_finish(&window, &entries[0], count_taken, NULL);
	CU_ASSERT_EQUAL(window_position(&window), 13);
	CU_ASSERT_EQUAL(taken_count, 2);
	CU_ASSERT_EQUAL(window.bytes, 7);
	window_finish(&window, &entries[2], count_taken, NULL);
	CU_ASSERT_EQUAL(window_position(&window), 20);
	CU_ASSERT_EQUAL(window.count, 0);
	CU_ASSERT_EQUAL(window.bytes, 0);
}

enum { ENTRIES = 200 };

static void test_no_order_of_finishing_moves_the_position_past_an_open_message(void)
{
	uint64_t seed = check_seed(2);

	for (int round = 0; round < 50; round++) {
		struct window window = { 0 };
		struct window_entry entries[ENTRIES];
		size_t order[ENTRIES];

		for (size_t i = 0; i < ENTRIES; i++) {
			entries[i] = (struct window_entry){ .offset = (int64_t)i, .size = 1 };
			window_add(&window, &entries[i]);
			order[i] = i;
		}
		window.next_offset = ENTRIES;
		bool done[ENTRIES] = { false };
		for (size_t i = ENTRIES; i-- > 0;) {
			size_t other = check_random(&seed) % (i + 1), pick = order[other];

			order[other] = order[i];
			done[pick] = true;
			window_finish(&window, &entries[pick], count_taken, NULL);
			int64_t expected = 0;
			while (expected < ENTRIES && done[expected])
				expected++;
			CU_ASSERT_EQUAL(window_position(&window), expected);
		}
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_parts_are_those_of_the_java_client),
		CHECK_TEST(test_who_is_not_a_member_gets_nothing),
		CHECK_TEST(test_parts_cover_all_queues_once),
		CHECK_TEST(test_the_position_is_the_first_message_that_is_not_done),
		CHECK_TEST(test_no_order_of_finishing_moves_the_position_past_an_open_message),
	};
	return check_main("sdk/allocate", tests, sizeof(tests) / sizeof(tests[0]));
}
