/* Consuming by POP in order: what is out holds its queue up, what lapses keeps its place and its count, and who repeats an
 * attempt gets the same; after restarts and from snapshots, too. */
#include "tests/unit/core/pop_fixture.h"

static void set_wall_clock(struct fixture *f, int64_t to_ms)
{
	f->clock.wall_now_ms = to_ms;
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
}

static void test_order_holds_the_queue_up(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped first = { 0 }, again = { 0 };

	header.max_msg_nums = 2;
	send_several(f, 4);
	CU_ASSERT_EQUAL(pop(f, &header, &first), 2);
	CU_ASSERT_STRING_EQUAL(first.order_info, "0 0 0");
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	struct pop_request request = prepared(f, &header);
	CU_ASSERT_FALSE(core_pop_has_message(f->core, &request));
	ack_first(f, &first, 1, true);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	lapse(f);
	CU_ASSERT_TRUE(core_pop_has_message(f->core, &request));
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &again), 2);
	CU_ASSERT_EQUAL(again.messages[0].queue_offset, 1);
	CU_ASSERT_EQUAL(again.messages[1].queue_offset, 2);
	CU_ASSERT_STRING_EQUAL(again.order_info, "0 qo0%1 1;0 0 0");
	struct pop_handle old = handle_of(&first, 1, true);
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	ack_first(f, &again, 2, true);
	CU_ASSERT_EQUAL(position(f, "t", 0), 3);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 1);
	/* Who does not ask in order holds nobody up. */
	header.queue_id = 1;
	send(f, "k", 1);
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &first), 1);
	send(f, "k", 1);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 1);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* In order the handle stays what it was, and the time runs from the change on all the same. Whatever is still out holds the
 * queue up, also when one in front of it has lapsed. */
static void test_in_order_the_invisible_time_is_changed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped first = { 0 }, again = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed = { 0 };

	send_and_pop(f, &header, 2, &first);
	fixture_advance(f, 5000);
	struct pop_handle second = handle_of(&first, 1, true);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &second, INVISIBLE_MS, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(changed.pop_ms, first.result.pop_ms);
	fixture_advance(f, INVISIBLE_MS - 200);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 0);
	fixture_advance(f, 400);
	CU_ASSERT_EQUAL(pop(f, &header, &again), 2);
	buffer_deinit(&first.bytes);
	buffer_deinit(&again.bytes);
	fixture_destroy(f);
}

/* Given back at once under a clock that was set back: until the time that its handle bears, and not until before that. */
static void test_what_is_given_back_is_not_invisible_for_less_than_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };
	struct pop_changed changed = { 0 };

	send_and_pop(f, &in_order, 1, &popped);
	struct pop_handle handle = handle_of(&popped, 0, true);
	set_wall_clock(f, f->clock.wall_now_ms - 1000);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, 0, &changed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(changed.pop_ms, popped.result.pop_ms);
	CU_ASSERT_EQUAL(changed.invisible_ms, 0);
	CU_ASSERT_EQUAL(pop(f, &in_order, &popped), 0);
	set_wall_clock(f, changed.pop_ms);
	CU_ASSERT_EQUAL(pop(f, &in_order, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* What lapses within the millisecond it was given out in keeps its place, too. After a start as well. */
static void test_order_within_a_millisecond(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = whole_topic;
	struct popped popped = { 0 };

	header.order = true;
	header.max_msg_nums = 1;
	header.invisible_ms = 0;
	send(f, "k0", 0);
	send(f, "k1", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
	for (int i = 0; i < 2; i++) {
		int64_t before = popped.result.pop_ms;

		fixture_snapshot(f);
		fixture_restart(f);
		set_wall_clock(f, before);
		CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
		CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
		CU_ASSERT_EQUAL(popped.result.pop_ms, before + 1);
	}
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* Also of a retry topic that somebody pops itself, and in order: what lapsed there comes at once to whoever pops the topic. */
static void test_a_retry_topic_popped_in_order(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header retries = in_order;
	struct popped popped = { 0 };

	send_and_pop(f, &whole_topic, 1, &popped);
	lapse(f);
	retries.topic = SPAN_LITERAL("%RETRY%readers_t");
	retries.invisible_ms = 0;
	CU_ASSERT_EQUAL(pop(f, &retries, &popped), 1);
	int64_t before = popped.result.pop_ms;
	CU_ASSERT_EQUAL(pop(f, &whole_topic, &popped), 1);
	CU_ASSERT_EQUAL(popped.result.pop_ms, before + 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* How often each was given out in order is in a snapshot, too. */
static void test_a_snapshot_knows_how_often_each_was_given_out(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };

	send(f, "k", 0);
	for (int times = 0; times < 3; times++) {
		CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 1);
		lapse(f);
		fixture_snapshot(f);
		fixture_restart(f);
	}
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 3;0 0 3");
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* Given out while a snapshot was under way: replay finds it done, and counts it once. */
static void test_a_replay_over_a_snapshot_counts_once(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_order;
	struct popped popped = { 0 };
	struct pop_changed changed;
	struct outcome outcome = { 0 };

	send_and_pop(f, &header, 1, &popped);
	lapse(f);
	snapshotter_want(f->snapshotter);
	fixture_snapshot_step(f);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	struct pop_handle handle = handle_of(&popped, 0, true);
	CU_ASSERT_EQUAL(core_pop_change(f->core, &handle, INVISIBLE_MS, &changed, &outcome), ST_OK);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	for (int i = 0; i < 1000 && snapshotter_busy(f->snapshotter); i++) {
		fixture_snapshot_step(f);
		fixture_disk(f, true);
	}
	fixture_restart(f);
	CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 3;0 0 3");
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* --- attempts ------------------------------------------------------------------------------------------------------------- */

static struct pop_header in_attempt(const char *id)
{
	struct pop_header header = whole_topic;

	header.order = true;
	header.attempt_id = span_of(id);
	return header;
}

static void test_the_same_attempt_gets_the_same(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_attempt("attempt-1");
	struct popped popped = { 0 };

	send_and_pop(f, &header, 1, &popped);
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 0 0");
	header.attempt_id = SPAN_LITERAL("attempt-2");
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_STRING_EQUAL(popped.order_info, "0 qo0%0 1;0 0 1"); /* The first attempt was one, however often it came. */
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* A request that is repeated after the wall clock was set back gets the same messages, not those behind them. */
static void test_the_same_attempt_after_the_clock_was_set_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_attempt("attempt-1");
	struct popped popped = { 0 };

	send(f, "k0", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	struct pop_handle old = handle_of(&popped, 0, true);
	send(f, "k1", 0);
	set_wall_clock(f, f->clock.wall_now_ms - 1000);
	CU_ASSERT_EQUAL_FATAL(pop(f, &header, &popped), 2);
	CU_ASSERT_TRUE(span_is(popped.messages[0].body, "k0"));
	CU_ASSERT_STRING_EQUAL(popped.offset_info, "0 0 0,1");
	CU_ASSERT_EQUAL(ack(f, &old), RESP_NO_MESSAGE);
	ack_first(f, &popped, 2, true);
	/* Nothing is left that it would have to come after. */
	send(f, "k2", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_EQUAL(popped.result.pop_ms, f->clock.wall_now_ms);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

/* The time that a check-out bears is ahead of the clock then; the wait is no longer for that. */
static void test_a_clock_that_was_set_back_makes_no_wait_longer(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pop_header header = in_attempt("attempt-1");
	struct popped popped = { 0 };

	send(f, "k0", 0);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	set_wall_clock(f, f->clock.wall_now_ms - INVISIBLE_MS / 2);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	CU_ASSERT_TRUE(popped.result.pop_ms > f->clock.wall_now_ms);
	header.attempt_id = SPAN_LITERAL("attempt-2");
	fixture_advance(f, INVISIBLE_MS - 100);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 0);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(pop(f, &header, &popped), 1);
	buffer_deinit(&popped.bytes);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_order_holds_the_queue_up),
		CHECK_TEST(test_in_order_the_invisible_time_is_changed),
		CHECK_TEST(test_what_is_given_back_is_not_invisible_for_less_than_nothing),
		CHECK_TEST(test_order_within_a_millisecond),
		CHECK_TEST(test_a_retry_topic_popped_in_order),
		CHECK_TEST(test_a_snapshot_knows_how_often_each_was_given_out),
		CHECK_TEST(test_a_replay_over_a_snapshot_counts_once),
		CHECK_TEST(test_the_same_attempt_gets_the_same),
		CHECK_TEST(test_the_same_attempt_after_the_clock_was_set_back),
		CHECK_TEST(test_a_clock_that_was_set_back_makes_no_wait_longer),
	};
	return check_main("pop in order", tests, sizeof(tests) / sizeof(tests[0]));
}
