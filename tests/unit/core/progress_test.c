/* broker/core/progress.h: where a group stands in its queues, and what of that lasts. */
#include "tests/unit/core/core_fixture.h"

static void test_lasting_offsets_wait_and_noted_ones_are_recorded_soon(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_heartbeat(f, false);
	fixture_advance(f, 600);
	fixture_update_offset(f, 0, 5, true, &outcome);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, true), 5);
	fixture_disk(f, true);
	fixture_update_offset(f, 1, 6, false, &outcome);
	CU_ASSERT_EQUAL(outcome.wait_offset, 0);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 1, true), 6);
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), 5);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 1, false), -1);
	fixture_heartbeat(f, false);
	fixture_update_offset(f, 1, 7, false, &outcome);
	fixture_update_offset(f, 0, 2, false, &outcome); /* Backwards. */
	fixture_advance(f, 600);
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 1, false), 7);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), 2);
	fixture_destroy(f);
}

/* Whoever asks goes on from there: a power cut must not unsay it. */
static void test_an_offset_that_was_told_stays(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	int64_t offset = -1;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_heartbeat(f, false);
	fixture_disk(f, true);
	for (int lasting = 0; lasting < 2; lasting++) {
		fixture_update_offset(f, 0, 5 + lasting, lasting == 1, &outcome);
		outcome = (struct outcome){ 0 };
		CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &offset, &outcome), ST_OK);
		CU_ASSERT_EQUAL(offset, 5 + lasting);
		CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
		fixture_disk(f, true);
		CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core));
		fixture_restart(f);
		CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), 5 + lasting);
		fixture_heartbeat(f, false);
	}
	fixture_destroy(f);
}

/* It is told all the same when there is no room to record it. */
static void test_an_offset_is_told_without_room(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct send_result sent;
	int64_t offset = -1;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_heartbeat(f, false);
	fixture_disk(f, true);
	while (fixture_send(f, (struct sent){ .topic = "t", .key = "more" }, &sent, &outcome) == ST_OK)
		; /* Until the ring is full: the disk stands still. */
	while (core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, ++offset, true, &outcome) == ST_OK)
		;
	int64_t last = offset;
	outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, last);
	CU_ASSERT_EQUAL(outcome.wait_offset, 0);
	fixture_destroy(f);
}

static void test_a_stored_offset_that_is_said_again_costs_no_record(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome first, again;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_heartbeat(f, false);
	fixture_disk(f, true);
	fixture_update_offset(f, 0, 5, true, &first);
	fixture_update_offset(f, 0, 5, true, &again);
	CU_ASSERT_EQUAL(again.wait_offset, first.wait_offset);
	CU_ASSERT_TRUE(again.wait_offset > core_committed_offset(f->core)); /* Not before the first one's answer. */
	/* Another value in between that no record has yet. */
	fixture_update_offset(f, 0, 6, false, &again);
	fixture_update_offset(f, 0, 5, true, &again);
	CU_ASSERT_TRUE(again.wait_offset > first.wait_offset);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), 5);
	fixture_destroy(f);
}

static void test_updates_of_the_unknown_are_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, 1, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUBSCRIPTION_GROUP_NOT_EXIST);
	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("x"), 0, 1, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), -1, 1, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, -1, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), -1);
	fixture_destroy(f);
}

/* A new group starts at the beginning of a young queue whatever it says, and asks for the end of an old one. */
static void test_a_new_groups_start(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, true), 0);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, false), -1);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 1, true), 0);   /* Empty. */
	CU_ASSERT_EQUAL(fixture_query_offset(f, "x", 0, true), -1);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", -1, true), -1);
	for (int i = 0; i < 100; i++) /* More than young_queue_bytes. */
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .queue_id = 1 });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 0, true), -1);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 1, true), -1);
	CU_ASSERT_EQUAL(fixture_query_offset(f, "t", 2, true), 0);
	fixture_destroy(f);
}

static void test_positions_and_times_of_a_queue(void)
{
	struct fixture *f = fixture_create(NULL);
	struct queue_range range;
	struct outcome outcome = { 0 };
	uint64_t offset;
	int64_t time;

	for (int i = 0; i < 5; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_advance(f, 100);
	}
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_TRUE(range.min_offset == 0 && range.max_offset == 5);
	CU_ASSERT_EQUAL(core_search_offset(f->core, SPAN_LITERAL("t"), 0, FIXTURE_WALL_MS + 200, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 2);
	CU_ASSERT_EQUAL(core_search_offset(f->core, SPAN_LITERAL("t"), 0, FIXTURE_WALL_MS + 201, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 3);
	CU_ASSERT_EQUAL(core_earliest_time(f->core, SPAN_LITERAL("t"), 0, &time, &outcome), ST_OK);
	CU_ASSERT_EQUAL(time, FIXTURE_WALL_MS);
	CU_ASSERT_EQUAL(core_earliest_time(f->core, SPAN_LITERAL("t"), 1, &time, &outcome), ST_OK);
	CU_ASSERT_EQUAL(time, -1);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 4, &range, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("x"), 0, &range, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
	fixture_destroy(f);
}

/* Of several messages of one time the first, or the last where that is asked for. */
static void test_searches_for_a_time_that_several_have(void)
{
	static const struct { int64_t time_ms; bool upper; uint64_t offset; } searches[] = {
		{ 100, false, 2 }, { 100, true, 3 }, { 150, false, 4 }, { 150, true, 3 },
	};
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	uint64_t offset = 0;

	for (int i = 0; i < 6; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		if (i % 2 == 1)
			fixture_advance(f, 100);
	}
	for (size_t i = 0; i < sizeof(searches) / sizeof(searches[0]); i++) {
		CU_ASSERT_EQUAL(core_search_offset(f->core, SPAN_LITERAL("t"), 0, FIXTURE_WALL_MS + searches[i].time_ms,
						   searches[i].upper, &offset, &outcome), ST_OK);
		CU_ASSERT_EQUAL(offset, searches[i].offset);
	}
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_lasting_offsets_wait_and_noted_ones_are_recorded_soon),
		CHECK_TEST(test_an_offset_that_was_told_stays),
		CHECK_TEST(test_an_offset_is_told_without_room),
		CHECK_TEST(test_a_stored_offset_that_is_said_again_costs_no_record),
		CHECK_TEST(test_updates_of_the_unknown_are_refused),
		CHECK_TEST(test_a_new_groups_start),
		CHECK_TEST(test_positions_and_times_of_a_queue),
		CHECK_TEST(test_searches_for_a_time_that_several_have),
	};
	return check_main("progress", tests, sizeof(tests) / sizeof(tests[0]));
}
