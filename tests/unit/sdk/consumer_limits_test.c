/* The push consumer's limits and settings: what it holds, with how many threads, how often it tries, and where it begins. */
#include "tests/unit/sdk/consumer_fixture.h"

static void test_no_more_is_fetched_than_the_limit_and_fetching_goes_on(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();

	seen->blocked = "";
	put_many(stub, 60, 1, "m");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 8);
	CU_ASSERT_TRUE(wait_seen(seen, 4)); /* One each of the four threads. */
	wait_received(consumer, 8);
	put(stub, 0, NULL, "m00060"); /* Would be handed to a pull that waits. */
	settle(stub);
	CU_ASSERT_EQUAL(received(consumer), 8);
	unblock(seen);
	CU_ASSERT_TRUE(wait_seen(seen, 61));
	CU_ASSERT_TRUE(wait_position(stub, 0, 61));
	escrow_consumer_stop(consumer, 1000);
	expect_each_once(seen, 61, "m");
	end(stub, seen);
}

/* The last pull asks for what is missing, not for a whole batch. */
static void test_no_batch_goes_over_the_limit(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	config.queue_messages_max = 8;
	config.pull_batch = 6;
	seen->blocked = "";
	put_many(stub, 60, 1, "m");
	escrow_consumer *consumer = start_as(&config);
	wait_received(consumer, 8);
	settle(stub);
	CU_ASSERT_EQUAL(received(consumer), 8);
	unblock(seen);
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

/* One message over the limit at most: how large the next one is nobody knows before it is there. */
static void test_a_queue_holds_no_more_bytes_than_the_limit(void)
{
	static const char body[500];
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	config.queue_bytes_max = 3 * sizeof(body);
	config.pull_batch = 1;
	seen->blocked = "";
	for (int i = 0; i < 20; i++)
		stub_put(stub, "payments", 0, NULL, "m", body, sizeof(body), false);
	escrow_consumer *consumer = start_as(&config);
	wait_received(consumer, 3);
	settle(stub);
	CU_ASSERT_EQUAL(received(consumer), 3);
	unblock(seen);
	CU_ASSERT_TRUE(wait_seen(seen, 20));
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

/* All that the consumer may hold is under way, of other queues: one that it gets now waits, and is not forgotten. */
static void test_a_queue_that_came_while_there_was_no_room_is_read_when_there_is(void)
{
	struct stub *stub = stub_start(4, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	static const char body[500];
	static const char *const ids[] = { "m00000", "m00001", "m00002", "m00003" };

	for (int i = 0; i < 4; i++)
		stub_put(stub, "payments", i, NULL, ids[i], body, sizeof(body), false);
	stub_other_member(stub, "z"); /* Sorts behind us: we have the first two. */
	seen->blocked = "m";
	config.queue_bytes_max = 100;
	escrow_consumer *consumer = start_as(&config);
	CU_ASSERT_TRUE(wait_seen(seen, 2));
	stub_other_member(stub, NULL);
	wait_assigned(consumer, 5);
	int queries = 5;
	CU_ASSERT_TRUE(stub_wait(stub, has_queries, &queries));
	/* Who answers a notification has read the positions, which came before it, and found no room. */
	int lists = stub_counts(stub).requests[STUB_MEMBERS] + 1;
	stub_other_member(stub, NULL);
	CU_ASSERT_TRUE(stub_wait(stub, has_lists, &lists));
	unblock(seen);
	CU_ASSERT_TRUE(wait_seen(seen, 4));
	escrow_consumer_stop(consumer, 1000);
	expect_each_once(seen, 4, "m");
	end(stub, seen);
}

/* What went to another member with its queue is not held any more. */
static void test_a_queue_that_was_given_up_leaves_its_room(void)
{
	static const char body[500];
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	config.queue_bytes_max = 100;
	seen->blocked = "m";
	stub_put(stub, "payments", 0, NULL, "m", body, sizeof(body), false);
	escrow_consumer *consumer = start_as(&config);
	CU_ASSERT_TRUE(wait_seen(seen, 1));
	stub_other_member(stub, "0"); /* Sorts before us: all is its. */
	wait_assigned(consumer, 0);
	unblock(seen);
	stub_other_member(stub, NULL);
	CU_ASSERT_TRUE(wait_seen(seen, 2));
	CU_ASSERT_TRUE(wait_position(stub, 0, 1));
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

static void test_as_many_messages_are_consumed_at_once_as_there_are_threads(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	config.threads = 6; /* The default is four. */
	seen->blocked = "";
	put_many(stub, 6, 1, "m");
	escrow_consumer *consumer = start_as(&config);
	CU_ASSERT_TRUE(wait_seen(seen, 6));
	unblock(seen);
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

static bool has_send_backs(const struct stub *stub, void *context)
{
	return stub_counts_now(stub)->requests[STUB_SEND_BACK] >= *(int *)context;
}

static void test_a_message_is_tried_again_as_often_as_the_group_says(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);
	int tries = 2;

	config.max_reconsume_times = 1;
	seen->failures = 1000;
	put(stub, 0, NULL, "bad");
	escrow_consumer *consumer = start_as(&config);
	CU_ASSERT_TRUE(stub_wait(stub, has_send_backs, &tries));
	CU_ASSERT_EQUAL(stub_visible(stub, "%RETRY%payment_service", NULL), 1);
	CU_ASSERT_EQUAL(stub_visible(stub, "%DLQ%payment_service", NULL), 1);
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 2);
	end(stub, seen);
}

static void test_a_send_back_that_fails_is_counted(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_stats stats;
	int tries = 1;

	seen->failures = 1;
	stub_fault(stub, STUB_SEND_BACK, STUB_REFUSE, 1000, RESP_SYSTEM_ERROR);
	put(stub, 0, NULL, "bad");
	escrow_consumer *consumer = start_with(stub, seen, "*", ESCROW_START_FIRST, 0);
	CU_ASSERT_TRUE(stub_wait(stub, has_send_backs, &tries));
	settle(stub);
	escrow_consumer_get_stats(consumer, &stats);
	CU_ASSERT_EQUAL(stats.send_backs_failed, 1);
	escrow_consumer_stop(consumer, 1000);
	end(stub, seen);
}

static void test_a_new_group_starts_at_the_time_it_says(void)
{
	struct stub *stub = stub_start(1, false);
	struct seen *seen = seen_new();
	struct escrow_consumer_config config = usual(stub, seen);

	config.start = ESCROW_START_TIMESTAMP;
	config.start_timestamp_ms = 4;
	put_many(stub, 10, 1, "a");
	escrow_consumer *consumer = start_as(&config);
	CU_ASSERT_TRUE(wait_position(stub, 0, 10));
	escrow_consumer_stop(consumer, 1000);
	CU_ASSERT_EQUAL(seen->count, 6);
	for (size_t i = 0; i < seen->count; i++)
		CU_ASSERT_TRUE(strcmp(seen->ids[i], "a00004") >= 0);
	end(stub, seen);
}

static void expect_invalid(const struct escrow_consumer_config *config, const char *named)
{
	escrow_consumer *consumer = NULL;
	struct escrow_error err = { .code = ESCROW_OK };

	CU_ASSERT_EQUAL(escrow_consumer_start(config, &consumer, &err), ESCROW_INVALID);
	CU_ASSERT_PTR_NULL(consumer);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, named));
}

static void test_settings_are_checked_by_name(void)
{
	struct escrow_subscription subscription = { "t", "||" };
	struct escrow_consumer_config config;

	escrow_consumer_config_init(&config, sizeof(config));
	expect_invalid(&config, "group");
	config.group = "g";
	expect_invalid(&config, "consume");
	config.consume = consume;
	expect_invalid(&config, "subscriptions");
	config.subscriptions = &subscription;
	config.subscription_count = 1;
	expect_invalid(&config, "subscription of t");
	subscription.expression = NULL;
	expect_invalid(&config, "name_servers");
	subscription.topic = "a topic";
	expect_invalid(&config, "subscription");
	struct escrow_subscription twice[] = { { "t", "a" }, { "u", NULL }, { "t", "b" } };
	config.subscriptions = twice;
	config.subscription_count = 3;
	expect_invalid(&config, "topic t is subscribed twice");
	config.subscriptions = NULL;
	expect_invalid(&config, "subscriptions");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_no_more_is_fetched_than_the_limit_and_fetching_goes_on),
		CHECK_TEST(test_no_batch_goes_over_the_limit),
		CHECK_TEST(test_a_queue_holds_no_more_bytes_than_the_limit),
		CHECK_TEST(test_a_queue_that_came_while_there_was_no_room_is_read_when_there_is),
		CHECK_TEST(test_a_queue_that_was_given_up_leaves_its_room),
		CHECK_TEST(test_as_many_messages_are_consumed_at_once_as_there_are_threads),
		CHECK_TEST(test_a_message_is_tried_again_as_often_as_the_group_says),
		CHECK_TEST(test_a_send_back_that_fails_is_counted),
		CHECK_TEST(test_a_new_group_starts_at_the_time_it_says),
		CHECK_TEST(test_settings_are_checked_by_name),
	};
	return check_main("sdk/consumer limits", tests, sizeof(tests) / sizeof(tests[0]));
}
