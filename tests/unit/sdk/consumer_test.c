/* The push consumer against a broker in this process: queues, positions, tags, retries, members that come and go. */
#include <zlib.h>

#include "tests/unit/sdk/consumer_fixture.h"

static void test_messages_before_and_after_the_start_arrive_once(void)
{
	struct stub *stub = stub_start(4, false);
	struct seen *seen = seen_new();

	put_many(stub, 100, 4, "early");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 100));
	put_many(stub, 100, 4, "late");
	CU_ASSERT_TRUE(wait_seen(seen, 200));
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(wait_position(stub, i, 50));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 200);
	expect_each_once(seen, 100, "early");
	expect_each_once(seen, 100, "late");
	CU_ASSERT_STRING_EQUAL(seen->topics[0], "payments");
	CU_ASSERT_STRING_EQUAL(seen->bodies[0], "body");
	CU_ASSERT_EQUAL(stub_counts(stub).unregistered, 1);
	end(stub, seen);
}

static void test_a_group_goes_on_where_it_stopped(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put_many(stub, 10, 1, "a");
	stub_set_position(stub, "payment_service", "payments", 0, 4);
	escrow_consumer *consumer = start_with(stub, seen, NULL, ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 6));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 6);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "payments", 0), 10);
	put_many(stub, 3, 1, "b");
	consumer = start_with(stub, seen, NULL, ESCROW_START_LAST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 9));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 9);
	end(stub, seen);
}

static void test_a_new_group_starts_with_what_arrives(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	int commits = 1;

	put_many(stub, 10, 1, "a");
	escrow_consumer *consumer = start_with(stub, seen, NULL, ESCROW_START_LAST, 0);
	/* The position (the end) is stored, so the place is known. */
	CU_ASSERT_TRUE(stub_wait(stub, has_commits, &commits));
	CU_ASSERT_TRUE(wait_position(stub, 0, 10));
	put_many(stub, 1, 1, "b");
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 1);
	CU_ASSERT_STRING_EQUAL(seen->ids[0], "b00000");
	end(stub, seen);
}

/* "Somewhere, I cannot say now" is not "never here": nothing is passed over. */
static void test_a_position_that_cannot_be_told_is_asked_for_again(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put_many(stub, 10, 1, "a");
	stub_set_position(stub, "payment_service", "payments", 0, 4);
	stub_fault(stub, STUB_QUERY_OFFSET, STUB_REFUSE, 2, RESP_SYSTEM_ERROR);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_LAST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 6));
	CU_ASSERT_TRUE(wait_position(stub, 0, 10));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 6);
	end(stub, seen);
}

static void test_a_queue_whose_place_is_not_known_yet_stores_none(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	int queries = 2; /* The topic, and the retry topic. */

	put_many(stub, 10, 1, "a");
	stub_set_position(stub, "payment_service", "payments", 0, 4);
	stub_fault(stub, STUB_QUERY_OFFSET, STUB_DROP_REQUEST, 1000, 0);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_queries, &queries));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "payments", 0), 4);
	end(stub, seen);
}

/* What failed before this group's positions were lost is not passed over, whatever the group's policy. */
static void test_the_retry_topic_is_read_from_its_beginning(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	stub_put(stub, "%RETRY%payment_service", 0, NULL, "failed", "body", 4, false);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_LAST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_STRING_EQUAL(seen->ids[0], "failed");
	end(stub, seen);
}

static void test_a_message_that_comes_with_the_next_ones_again_is_left(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	stub_repeat_messages(stub);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	for (int i = 0; i < 4; i++) {
		char id[16];

		snprintf(id, sizeof(id), "m%05d", i);
		put(stub, 0, NULL, id);
		CU_ASSERT_TRUE(wait_position(stub, 0, i + 1));
	}
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 4);
	expect_each_once(seen, 4, "m");
	end(stub, seen);
}

/* A stock broker under load sends pulls to its slave; this one cannot even be connected to. */
static void test_a_slave_that_is_dead_is_left_for_the_master(void)
{
	static const char *const addresses[] = { "127.0.0.1:1", "255.255.255.255:1" /* Fails at once. */ };

	for (size_t i = 0; i < 2; i++) {
		struct stub *stub = stub_start(1, false);
		struct seen *seen = seen_new();

		stub_add_slave(stub, addresses[i]);
		escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
		put(stub, 0, NULL, "1");
		CU_ASSERT_TRUE(wait_seen(seen, 1));
		CU_ASSERT_TRUE(wait_position(stub, 0, 1));
		put(stub, 0, NULL, "2");
		CU_ASSERT_TRUE(wait_seen(seen, 2));
		escrow_consumer_stop(consumer, 1000);
		end(stub, seen);
	}
}

static void test_tags_select_and_other_messages_are_passed(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put(stub, 0, "TagA", "1");
	put(stub, 0, "TagB", "2");
	put(stub, 0, NULL, "3");
	put(stub, 0, "TagC", "4");
	/* "Aa" and "BB" have the same hash: the broker hands over both, the text decides. */
	put(stub, 0, "Aa", "5");
	put(stub, 0, "BB", "6");
	escrow_consumer *consumer = start_with(stub, seen, "TagA || TagC||BB", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 3));
	CU_ASSERT_TRUE(wait_position(stub, 0, 6));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 3);
	for (size_t i = 0; i < seen->count; i++)
		CU_ASSERT_TRUE(strchr("146", seen->ids[i][0]) != NULL);
	end(stub, seen);
}

/* The broker itself passes them, and says how far; the one behind them is not passed with them. */
static void test_messages_that_the_broker_leaves_out_are_passed_and_no_others(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put(stub, 0, "TagB", "1");
	put(stub, 0, "TagB", "2");
	escrow_consumer *consumer = start_with(stub, seen, "TagA", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_position(stub, 0, 2));
	put(stub, 0, "TagA", "3");
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	CU_ASSERT_TRUE(wait_position(stub, 0, 3));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_STRING_EQUAL(seen->ids[0], "3");
	end(stub, seen);
}

static void test_what_fails_comes_again_from_the_retry_topic_under_its_own_name(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_stats stats;

	seen->failures = 2;
	put(stub, 0, NULL, "good");
	put(stub, 0, NULL, "bad");
	put(stub, 0, NULL, "good2");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 5));
	CU_ASSERT_TRUE(wait_position(stub, 0, 3));
	escrow_consumer_get_stats(consumer, &stats);
	CU_ASSERT_EQUAL(stats.messages_retried, 2);
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 5);
	int bad = 0;
	for (size_t i = 0; i < seen->count; i++) {
		CU_ASSERT_STRING_EQUAL(seen->topics[i], "payments");
		if (strcmp(seen->ids[i], "bad") == 0)
			CU_ASSERT_EQUAL(seen->times[i], bad++);
	}
	CU_ASSERT_EQUAL(bad, 3);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "%RETRY%payment_service", 0), 2);
	end(stub, seen);
}

static void test_a_message_that_is_not_taken_back_holds_the_position(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	int commits = 1;

	seen->failures = 1;
	stub_fault(stub, STUB_SEND_BACK, STUB_REFUSE, 1000, RESP_SYSTEM_ERROR);
	put(stub, 0, NULL, "good");
	put(stub, 0, NULL, "bad");
	put(stub, 0, NULL, "good2");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 3));
	CU_ASSERT_TRUE(stub_wait(stub, has_commits, &commits));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "payments", 0), 1);
	/* The next run gets it, and what came after it, again. */
	consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 5));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "payments", 0), 3);
	end(stub, seen);
}

static void test_bodies_are_inflated_and_what_cannot_be_goes_to_the_dead_letters(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	uint8_t packed[128];
	uLongf size = sizeof(packed);

	CU_ASSERT_EQUAL_FATAL(compress(packed, &size, (const Bytef *)"inflated text", 13), Z_OK);
	stub_put(stub, "payments", 0, NULL, "broken", packed, size - 6, true);
	stub_put(stub, "payments", 0, NULL, "whole", packed, size, true);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	CU_ASSERT_TRUE(wait_position(stub, 0, 2));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 1);
	CU_ASSERT_STRING_EQUAL(seen->bodies[0], "inflated text");
	CU_ASSERT_EQUAL(stub_visible(stub, "%DLQ%payment_service", NULL), 1);
	end(stub, seen);
}

static void test_queues_move_when_members_come_and_go(void)
{
	struct stub *stub = stub_start(4, false);
	struct seen *seen = seen_new();

	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	put_many(stub, 8, 4, "all");
	CU_ASSERT_TRUE(wait_seen(seen, 8));
	/* Another one, who sorts behind us: two queues of four stay, and the retry queue. */
	stub_other_member(stub, "z");
	wait_assigned(consumer, 3);
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(wait_position(stub, i, 2));
	put_many(stub, 8, 4, "half");
	CU_ASSERT_TRUE(wait_seen(seen, 12));
	stub_other_member(stub, NULL);
	CU_ASSERT_TRUE(wait_seen(seen, 16));
	for (int i = 0; i < 4; i++)
		CU_ASSERT_TRUE(wait_position(stub, i, 4));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 16);
	expect_each_once(seen, 8, "half");
	end(stub, seen);
}

/* What waits for a thread when its queue goes to another member is that one's. */
static void test_what_was_not_begun_when_the_queue_went_is_not_begun(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	seen->blocked = "m";
	put_many(stub, 10, 1, "m");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 4)); /* One each of the four threads. */
	wait_received(consumer, 10);
	stub_other_member(stub, "0"); /* Sorts before us: all is its. */
	wait_assigned(consumer, 0);
	/* Ours again, from where it was stored: the ones under way, too. */
	unblock(seen);
	stub_other_member(stub, NULL);
	CU_ASSERT_TRUE(wait_seen(seen, 14));
	CU_ASSERT_TRUE(wait_position(stub, 0, 10));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 14);
	end(stub, seen);
}

static bool has_beats(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_BEAT] >= *(int *)context;
}

/* A broker that has just started has no list of members yet: that is no reason to let go of anything. */
static void test_a_list_without_us_takes_no_queue_away(void)
{
	struct stub *stub = stub_start(2, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_stats stats;

	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	put_many(stub, 2, 2, "m");
	CU_ASSERT_TRUE(wait_seen(seen, 2));
	int beats = stub_counts(stub).requests[STUB_BEAT] + 1; /* Says again that we are there. */
	stub_forget_members(stub);
	CU_ASSERT_TRUE(stub_wait(stub, has_beats, &beats));
	escrow_consumer_get_stats(consumer, &stats);
	CU_ASSERT_EQUAL(stats.queues_assigned, 3);
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

static void test_a_position_that_is_refused_does_not_count_as_stored(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_stats stats;
	int commits = 4;

	stub_fault(stub, STUB_COMMIT_OFFSET, STUB_REFUSE, 1000, RESP_SYSTEM_ERROR);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_commits, &commits));
	escrow_consumer_get_stats(consumer, &stats);
	CU_ASSERT_EQUAL(stats.positions_committed, 0);
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

/* A stock broker loses the last seconds of positions in a crash, and now and then one of two that a new group stores at the
 * same time. */
static void test_a_position_that_the_broker_lost_is_stored_again(void)
{
	struct stub *stub = stub_start(1, true);
	struct seen *seen = seen_new();

	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	put_many(stub, 3, 1, "m");
	CU_ASSERT_TRUE(wait_seen(seen, 3));
	CU_ASSERT_TRUE(wait_position(stub, 0, 3));
	stub_set_position(stub, "payment_service", "payments", 0, -1);
	CU_ASSERT_TRUE(wait_position(stub, 0, 3));
	stub_set_position(stub, "payment_service", "payments", 0, -1);
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(stub_position(stub, "payment_service", "payments", 0), 3);
	end(stub, seen);
}

static void test_a_queue_given_up_while_it_is_stored_says_its_last_word(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	int commits = 2;

	/* Its place in the queue and in the retry queue, before there is anything; neither is answered. */
	stub_fault(stub, STUB_COMMIT_OFFSET, STUB_DROP_ANSWER, commits, 0);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_commits, &commits));
	put_many(stub, 3, 1, "m");
	CU_ASSERT_TRUE(wait_seen(seen, 3));
	stub_other_member(stub, "0"); /* Sorts before us: the only queue is its. */
	CU_ASSERT_TRUE(wait_position(stub, 0, 3));
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

/* The queue is given up with a message under way; what it would say now is older than the operator's word. */
static void test_a_reset_while_messages_are_under_way_is_kept(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	seen->blocked = "hold";
	put_many(stub, 4, 1, "a");
	put(stub, 0, NULL, "hold");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 5));
	CU_ASSERT_TRUE(wait_position(stub, 0, 4));
	stub_reset(stub, "payment_service", "payments", 0, 2);
	CU_ASSERT_TRUE(wait_seen(seen, 8));
	unblock(seen);
	CU_ASSERT_TRUE(wait_position(stub, 0, 5));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 8);
	/* From there on, on several threads. */
	bool again = strcmp(seen->ids[5], "a00002") == 0 || strcmp(seen->ids[6], "a00002") == 0 || strcmp(seen->ids[7], "a00002") == 0;
	CU_ASSERT_TRUE(again);
	end(stub, seen);
}

static void test_a_broker_that_restarts_is_consumed_again(void)
{
	struct stub *stub = stub_start(2, false);
	struct seen *seen = seen_new();

	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	put_many(stub, 10, 2, "before");
	CU_ASSERT_TRUE(wait_seen(seen, 10));
	CU_ASSERT_TRUE(wait_position(stub, 0, 5) && wait_position(stub, 1, 5));
	stub_crash(stub);
	stub_return(stub);
	put_many(stub, 10, 2, "after");
	CU_ASSERT_TRUE(wait_seen(seen, 20));
	escrow_consumer_stop(consumer, 1000);
	expect_each_once(seen, 10, "before");
	expect_each_once(seen, 10, "after");
	end(stub, seen);
}

static void test_a_position_outside_of_the_queue_is_left(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put_many(stub, 5, 1, "a");
	stub_set_position(stub, "payment_service", "payments", 0, 1000);
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_position(stub, 0, 5));
	put_many(stub, 1, 1, "b");
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_STRING_EQUAL(seen->ids[0], "b00000");
	end(stub, seen);
}

static void test_stopping_waits_for_running_callbacks_and_keeps_their_work(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	put_many(stub, 50, 1, "m");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	escrow_consumer_stop(consumer, 1000);
	/* Each was handed out, or is still to come; none is both, as they were consumed in order by the pool. */
	int64_t position = stub_position(stub, "payment_service", "payments", 0);
	CU_ASSERT_EQUAL(position, (int64_t)seen->count);
	CU_ASSERT_EQUAL(seen->running, 0);
	end(stub, seen);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_messages_before_and_after_the_start_arrive_once),
		CHECK_TEST(test_a_group_goes_on_where_it_stopped),
		CHECK_TEST(test_a_new_group_starts_with_what_arrives),
		CHECK_TEST(test_a_position_that_cannot_be_told_is_asked_for_again),
		CHECK_TEST(test_a_queue_whose_place_is_not_known_yet_stores_none),
		CHECK_TEST(test_the_retry_topic_is_read_from_its_beginning),
		CHECK_TEST(test_a_message_that_comes_with_the_next_ones_again_is_left),
		CHECK_TEST(test_a_slave_that_is_dead_is_left_for_the_master),
		CHECK_TEST(test_tags_select_and_other_messages_are_passed),
		CHECK_TEST(test_messages_that_the_broker_leaves_out_are_passed_and_no_others),
		CHECK_TEST(test_what_fails_comes_again_from_the_retry_topic_under_its_own_name),
		CHECK_TEST(test_a_message_that_is_not_taken_back_holds_the_position),
		CHECK_TEST(test_bodies_are_inflated_and_what_cannot_be_goes_to_the_dead_letters),
		CHECK_TEST(test_queues_move_when_members_come_and_go),
		CHECK_TEST(test_what_was_not_begun_when_the_queue_went_is_not_begun),
		CHECK_TEST(test_a_list_without_us_takes_no_queue_away),
		CHECK_TEST(test_a_position_that_is_refused_does_not_count_as_stored),
		CHECK_TEST(test_a_position_that_the_broker_lost_is_stored_again),
		CHECK_TEST(test_a_queue_given_up_while_it_is_stored_says_its_last_word),
		CHECK_TEST(test_a_reset_while_messages_are_under_way_is_kept),
		CHECK_TEST(test_a_broker_that_restarts_is_consumed_again),
		CHECK_TEST(test_a_position_outside_of_the_queue_is_left),
		CHECK_TEST(test_stopping_waits_for_running_callbacks_and_keeps_their_work),
	};
	return check_main("sdk/consumer", tests, sizeof(tests) / sizeof(tests[0]));
}
