/* broker/core/offsets: live, dirty, stored; backwards too; the limit. */
#include "tests/support/check.h"

#include "broker/core/offsets.h"

static int64_t get(const struct offsets *offsets, uint32_t topic, uint32_t group, uint32_t queue)
{
	int64_t value = -77;

	return offsets_get(offsets, topic, group, queue, &value) ? value : -1;
}

static void note(struct offsets *offsets, uint32_t topic, uint32_t group, uint32_t queue, int64_t value)
{
	CU_ASSERT_EQUAL_FATAL(offsets_reserve(offsets, topic, group, queue), ST_OK);
	offsets_note(offsets, topic, group, queue, value);
}

static void test_unknown_until_said(void)
{
	struct offsets *offsets = offsets_create();

	offsets_set_limits(offsets, 10, 1000000);

	CU_ASSERT_EQUAL(get(offsets, 1, 1, 0), -1);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 1, 1, 3), ST_OK);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 3), -1);
	note(offsets, 1, 1, 3, 0);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 3), 0);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 2), -1);
	CU_ASSERT_EQUAL(get(offsets, 1, 2, 3), -1);
	CU_ASSERT_EQUAL(get(offsets, 2, 1, 3), -1);
	offsets_destroy(offsets);
	offsets_destroy(NULL);
}

static void test_notes_are_dirty_until_a_record_says_them(void)
{
	struct offsets *offsets = offsets_create();

	offsets_set_limits(offsets, 10, 1000000);
	struct offsets_entry dirty[4];

	note(offsets, 1, 1, 0, 5);
	note(offsets, 1, 1, 1, 6);
	note(offsets, 2, 1, 0, 7);
	note(offsets, 1, 1, 0, 8); /* Again: its place in line stays, its value is the last. */
	CU_ASSERT_EQUAL(offsets_dirty_count(offsets), 3);
	CU_ASSERT_EQUAL(offsets_dirty(offsets, dirty, 2), 2);
	CU_ASSERT_EQUAL(offsets_dirty(offsets, dirty, 4), 3);
	CU_ASSERT_TRUE(dirty[0].topic_id == 1 && dirty[0].queue_id == 0 && dirty[0].value == 8);
	CU_ASSERT_TRUE(dirty[1].topic_id == 1 && dirty[1].queue_id == 1 && dirty[1].value == 6);
	CU_ASSERT_TRUE(dirty[2].topic_id == 2 && dirty[2].group_id == 1 && dirty[2].value == 7);
	offsets_apply(offsets, 1, 1, 0, 8);
	CU_ASSERT_EQUAL(offsets_dirty_count(offsets), 2);
	/* What is stored already is no change. */
	offsets_note(offsets, 1, 1, 0, 8);
	CU_ASSERT_EQUAL(offsets_dirty_count(offsets), 2);
	CU_ASSERT_EQUAL(offsets_dirty(offsets, dirty, 4), 2);
	CU_ASSERT_EQUAL(dirty[0].queue_id, 1);
	offsets_destroy(offsets);
}

static void test_backwards_is_allowed(void)
{
	struct offsets *offsets = offsets_create();

	offsets_set_limits(offsets, 10, 1000000);

	note(offsets, 1, 1, 0, 100);
	note(offsets, 1, 1, 0, 3);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 0), 3);
	offsets_apply(offsets, 1, 1, 0, 1);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 0), 1);
	CU_ASSERT_EQUAL(offsets_dirty_count(offsets), 0);
	offsets_destroy(offsets);
}

/* A row that was forgotten becomes another one's at its place: a walk that stands on it still meets all others once. */
static void test_a_walk_survives_rows_that_change_hands(void)
{
	struct offsets *offsets = offsets_create();
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry entry;
	unsigned met[8] = { 0 };

	offsets_set_limits(offsets, 4, 1000);
	for (uint32_t topic = 1; topic <= 4; topic++) {
		note(offsets, topic, 1, 2, topic);
		offsets_apply(offsets, topic, 1, 2, topic);
	}
	CU_ASSERT_EQUAL(offsets_place_count(offsets), 12);
	CU_ASSERT_TRUE_FATAL(offsets_next(offsets, &cursor, &entry));
	met[entry.topic_id]++;
	offsets_forget_topic(offsets, entry.topic_id);
	CU_ASSERT_EQUAL(offsets_place_count(offsets), 9);
	note(offsets, 6, 1, 0, 6);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 7, 1, 0), ST_FULL);
	CU_ASSERT_EQUAL(get(offsets, entry.topic_id, 1, 2), -1);
	while (offsets_next_live(offsets, &cursor, &entry))
		met[entry.topic_id]++;
	for (uint32_t topic = 1; topic <= 4; topic++)
		CU_ASSERT_EQUAL(met[topic], 1);
	/* What comes back meanwhile is its own again. */
	offsets_forget_group(offsets, 1);
	CU_ASSERT_EQUAL(offsets_place_count(offsets), 0);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 2, 1, 0), ST_OK);
	for (uint32_t group = 2; group <= 4; group++)
		note(offsets, 5, group, 0, group);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 5, 5, 0), ST_FULL);
	offsets_apply(offsets, 2, 1, 0, 9);
	CU_ASSERT_EQUAL(get(offsets, 2, 1, 0), 9);
	offsets_destroy(offsets);
}

static void test_limit_counts_pairs_not_queues(void)
{
	struct offsets *offsets = offsets_create();

	offsets_set_limits(offsets, 2, 1000000);

	note(offsets, 1, 1, 0, 1);
	note(offsets, 1, 2, 0, 1);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 2, 1, 0), ST_FULL);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 1, 2, 1023), ST_OK);
	CU_ASSERT_EQUAL(get(offsets, 1, 1, 0), 1);
	/* But places for queues have a limit of their own: there are 1 and 1024. */
	offsets_set_limits(offsets, 2, 1100);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 1, 1, 75), ST_OK);
	CU_ASSERT_EQUAL(offsets_place_count(offsets), 1100);
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 1, 1, 76), ST_FULL);
	offsets_destroy(offsets);
}

static void add_id(void *context, uint32_t id)
{
	*(uint64_t *)context |= (uint64_t)1 << id;
}

/* The ids visited, one bit each. */
typedef void (*each_of)(const struct offsets *offsets, uint32_t id, offsets_visit visit, void *context);
static uint64_t visited(const struct offsets *offsets, each_of each, uint32_t id)
{
	uint64_t ids = 0;

	each(offsets, id, add_id, &ids);
	return ids;
}

static void test_who_reads_what(void)
{
	struct offsets *offsets = offsets_create();

	for (uint32_t topic = 1; topic <= 5; topic++) {
		for (uint32_t group = topic; group <= 6; group++)
			note(offsets, topic, group, topic, 10);
	}
	CU_ASSERT_EQUAL(offsets_reserve(offsets, 9, 6, 0), ST_OK); /* A place without a value. */
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_topic_of, 3), 1 << 1 | 1 << 2 | 1 << 3);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_topic_of, 6), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_group_of, 5), 1 << 5 | 1 << 6);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_group_of, 9), 0);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_group_of, 77), 0);
	offsets_forget_topic(offsets, 5);
	offsets_forget_group(offsets, 1);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_group_of, 5), 0);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_topic_of, 1), 0);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_topic_of, 6), 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4);
	note(offsets, 5, 1, 0, 1);
	CU_ASSERT_EQUAL(visited(offsets, offsets_each_group_of, 5), 1 << 1);
	offsets_destroy(offsets);
}

static void test_what_is_with_consumers(void)
{
	struct offsets *offsets = offsets_create();

	offsets_note_pulled(offsets, 1, 1, 0, 8); /* Of a group that has not said an offset yet. */
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 0);
	note(offsets, 1, 1, 0, 3);
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 3);
	offsets_note_pulled(offsets, 1, 1, 0, 8);
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 8);
	CU_ASSERT_EQUAL(offsets_dirty_count(offsets), 1);
	offsets_note(offsets, 1, 1, 0, 9);
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 9);
	offsets_note_pulled(offsets, 1, 1, 0, 12);
	offsets_note(offsets, 1, 1, 0, 2);
	offsets_mark_reset(offsets, 1, 1, 0);
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 2); /* They start anew. */
	offsets_note_pulled(offsets, 1, 1, 0, 12);
	offsets_forget_topic(offsets, 1);
	note(offsets, 1, 1, 0, 1); /* Of a topic that was made again: nobody was sent anywhere, nothing is with anybody. */
	CU_ASSERT_EQUAL(offsets_reset_target(offsets, 1, 1, 0), -1);
	CU_ASSERT_EQUAL(offsets_pulled(offsets, 1, 1, 0), 1);
	offsets_destroy(offsets);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_unknown_until_said),
		CHECK_TEST(test_notes_are_dirty_until_a_record_says_them),
		CHECK_TEST(test_backwards_is_allowed),
		CHECK_TEST(test_a_walk_survives_rows_that_change_hands),
		CHECK_TEST(test_limit_counts_pairs_not_queues),
		CHECK_TEST(test_who_reads_what),
		CHECK_TEST(test_what_is_with_consumers),
	};
	return check_main("offsets", tests, sizeof(tests) / sizeof(tests[0]));
}
