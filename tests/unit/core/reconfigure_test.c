/* What an operator changes while the broker serves: its options, permissions of topics, numbers of queues. */
#include "broker/core/removal.h"
#include "broker/core/state.h"
#include "tests/unit/core/core_fixture.h"

static int32_t send_code(struct fixture *f, const char *topic, int32_t queue_id, bool half)
{
	struct send_result result;
	struct outcome outcome;

	(void)!fixture_send(f, (struct sent){ .topic = topic, .key = "k", .queue_id = queue_id, .half = half }, &result, &outcome);
	fixture_disk(f, true);
	return outcome.code;
}

static int32_t pull_code(struct fixture *f, const char *topic, int32_t queue_id)
{
	struct pull_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = span_of(topic), .queue_id = queue_id,
				      .max_msg_nums = 32, .sys_flag = PULL_SUBSCRIPTION, .subscription = SPAN_LITERAL("*") };
	struct pull_request pull;
	struct pull_result result;
	struct outcome outcome = { 0 };

	if (core_prepare_pull(f->core, &header, &pull, &outcome) != ST_OK)
		return outcome.code;
	CU_ASSERT_EQUAL(core_pull(f->core, &pull, &result, &outcome), ST_OK);
	return result.code;
}

static void set_topic(struct fixture *f, const char *topic, uint32_t read, uint32_t write, uint32_t perm, bool order)
{
	struct topic_settings settings = { .read_queue_nums = read, .write_queue_nums = write, .perm = perm, .order = order };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, span_of(topic), &settings, &outcome), ST_OK);
	fixture_disk(f, true);
}

static void test_topics_are_made_on_the_way_or_not(void)
{
	struct fixture *f = fixture_create(NULL);
	struct core_config config = f->config;
	int64_t counter = topics_version(core_topics(f->core)).counter;

	config.auto_create_topic = false;
	core_reconfigure(f->core, &config);
	CU_ASSERT_TRUE(topics_version(core_topics(f->core)).counter > counter);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_TOPIC_NOT_EXIST);
	fixture_close(f);
	f->config.auto_create_topic = false;
	fixture_open(f);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_TOPIC_NOT_EXIST);
	config.auto_create_topic = true; /* The template has to be made now. */
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_SUCCESS);
	fixture_destroy(f);
}

static void count_change(void *context)
{
	((struct fixture *)context)->notified_count++;
}

/* Name servers and their clients go by the version, and are told of each change at once. */
static void test_each_change_of_a_topic_is_told(void)
{
	struct fixture *f = fixture_create(NULL);
	struct topic_settings too_many = { .read_queue_nums = 1, .write_queue_nums = TOPIC_QUEUE_MAX + 1, .perm = PERM_READ | PERM_WRITE };
	struct outcome outcome = { 0 };
	int64_t counter = topics_version(core_topics(f->core)).counter;

	f->core->effects.topics_changed = count_change;
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_SUCCESS); /* Makes it. */
	CU_ASSERT_EQUAL(f->notified_count, 1);
	CU_ASSERT_EQUAL(topics_version(core_topics(f->core)).counter, counter + 1);
	/* What the template passes on is not its own passing on. */
	CU_ASSERT_EQUAL(topics_find(core_topics(f->core), SPAN_LITERAL("orders"))->settings.perm, PERM_READ | PERM_WRITE);
	set_topic(f, "orders", 2, 2, PERM_READ, false);
	CU_ASSERT_EQUAL(f->notified_count, 2);
	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("orders"), &too_many, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("orders"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(f->notified_count, 3);
	CU_ASSERT_EQUAL(topics_version(core_topics(f->core)).counter, counter + 3);
	fixture_destroy(f);
}

/* A group with more retry queues has them in its retry topic as well; its answer waits for both. */
static void test_more_retry_queues(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config settings = group_config_default();
	struct outcome outcome = { 0 };

	fixture_heartbeat(f, false);
	settings.retry_queue_nums = 5;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(outcome.wait_offset, commitlog_appended(f->log));
	CU_ASSERT_EQUAL(topics_find(core_topics(f->core), SPAN_LITERAL("%RETRY%readers"))->settings.read_queue_nums, 5);
	fixture_destroy(f);
}

/* Each of a group's settings is there after a start as it was put. */
static void test_settings_of_a_group_are_kept(void)
{
	static const struct group_config put = {
		.consume_enable = false, .consume_from_min_enable = false, .consume_broadcast_enable = false,
		.consume_message_orderly = true, .retry_queue_nums = 2, .retry_max_times = 3, .broker_id = 4,
		.which_broker_when_consume_slowly = 5, .notify_consumer_ids_changed_enable = false, .group_sys_flag = 6,
		.consume_timeout_minute = 7, .retry_policy = SPAN_LITERAL("{\"type\":\"EXPONENTIAL\"}"),
	};
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &put, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_restart(f);
	const struct group_config *got = &groups_find(core_groups(f->core), SPAN_LITERAL("readers"))->settings;
	CU_ASSERT_FALSE(got->consume_enable || got->consume_from_min_enable || got->consume_broadcast_enable);
	CU_ASSERT_TRUE(got->consume_message_orderly);
	CU_ASSERT_EQUAL(got->retry_queue_nums, put.retry_queue_nums);
	CU_ASSERT_EQUAL(got->retry_max_times, put.retry_max_times);
	CU_ASSERT_EQUAL(got->broker_id, put.broker_id);
	CU_ASSERT_EQUAL(got->which_broker_when_consume_slowly, put.which_broker_when_consume_slowly);
	CU_ASSERT_FALSE(got->notify_consumer_ids_changed_enable);
	CU_ASSERT_EQUAL(got->group_sys_flag, put.group_sys_flag);
	CU_ASSERT_EQUAL(got->consume_timeout_minute, put.consume_timeout_minute);
	CU_ASSERT_TRUE(span_equal(got->retry_policy, put.retry_policy));
	fixture_destroy(f);
}

static void test_limits_and_levels_change(void)
{
	struct fixture *f = fixture_create(NULL);
	struct core_config config = f->config;

	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_SUCCESS);
	config.max_message_size = 0;
	config.topic_max = 0; /* Not among what can change. */
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_MESSAGE_ILLEGAL);
	config.max_message_size = 1000;
	config.reject_transactions = true;
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(send_code(f, "payments", 0, false), RESP_SUCCESS);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, true), RESP_NO_PERMISSION);
	fixture_destroy(f);
}

static void test_permission_of_the_broker(void)
{
	struct fixture *f = fixture_create(NULL);
	struct core_config config = f->config;

	set_topic(f, "ordered", 2, 2, PERM_READ | PERM_WRITE, true);
	CU_ASSERT_EQUAL(send_code(f, "ordered", 0, false), RESP_SUCCESS);
	CU_ASSERT_EQUAL(pull_code(f, "ordered", 0), RESP_SUCCESS);
	config.forbidden = PERM_READ | PERM_WRITE;
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(send_code(f, "ordered", 0, false), RESP_NO_PERMISSION);
	CU_ASSERT_EQUAL(pull_code(f, "ordered", 0), RESP_NO_PERMISSION);
	config.forbidden = 0;
	core_reconfigure(f->core, &config);
	CU_ASSERT_EQUAL(pull_code(f, "ordered", 0), RESP_SUCCESS);
	fixture_destroy(f);
}

static void test_permission_of_a_topic(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;

	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "half", .half = true });
	set_topic(f, "orders", 4, 4, PERM_READ, false);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_NO_PERMISSION);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, true), RESP_NO_PERMISSION);
	/* What was taken in before is delivered. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 0), RESP_SUCCESS);
	set_topic(f, "orders", 4, 4, PERM_WRITE, false);
	CU_ASSERT_EQUAL(send_code(f, "orders", 0, false), RESP_SUCCESS);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 0), RESP_NO_PERMISSION);
	fixture_destroy(f);
}

/* Writing moves to fewer queues first; the others are read until the number of read queues follows, and again when it grows. */
static void test_queues_grow_and_shrink(void)
{
	struct fixture *f = fixture_create(NULL);
	struct queue_range range;
	struct outcome outcome = { 0 };

	set_topic(f, "orders", 4, 4, PERM_READ | PERM_WRITE, false);
	CU_ASSERT_EQUAL(send_code(f, "orders", 3, false), RESP_SUCCESS);
	CU_ASSERT_EQUAL(send_code(f, "orders", 4, false), RESP_INVALID_PARAMETER);
	set_topic(f, "orders", 4, 2, PERM_READ | PERM_WRITE, false);
	for (int i = 0; i < 8; i++)
		CU_ASSERT_TRUE(must_send(f, (struct sent){ .topic = "orders", .key = "k", .queue_id = -1 }).queue_id < 2);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 3), RESP_SUCCESS);
	set_topic(f, "orders", 2, 2, PERM_READ | PERM_WRITE, false);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 3), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 1), RESP_SUCCESS);
	/* What it holds is still known. */
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("orders"), 3, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.max_offset, 1);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("orders"), 9, &range, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("orders"), -1, &range, &outcome), ST_DENIED);
	fixture_restart(f);
	set_topic(f, "orders", 8, 8, PERM_READ | PERM_WRITE, false);
	CU_ASSERT_EQUAL(pull_code(f, "orders", 3), RESP_SUCCESS);
	CU_ASSERT_EQUAL(send_code(f, "orders", 7, false), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("orders"), 3, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.max_offset, 1);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_topics_are_made_on_the_way_or_not),
		CHECK_TEST(test_each_change_of_a_topic_is_told),
		CHECK_TEST(test_more_retry_queues),
		CHECK_TEST(test_settings_of_a_group_are_kept),
		CHECK_TEST(test_limits_and_levels_change),
		CHECK_TEST(test_permission_of_the_broker),
		CHECK_TEST(test_permission_of_a_topic),
		CHECK_TEST(test_queues_grow_and_shrink),
	};
	return check_main("reconfigure", tests, sizeof(tests) / sizeof(tests[0]));
}
