/* broker/core/resets: offsets by an operator's word, and that consumers who do not know of it cannot undo it. */
#include "broker/core/pop.h"
#include "broker/core/resets.h"
#include "broker/core/state.h"
#include "tests/unit/core/core_fixture.h"

static const struct span readers = SPAN_LITERAL("readers"), orders = SPAN_LITERAL("orders");

/* Ten messages, a second apart, in queue 0; "readers" are there and have read 7. */
static struct fixture *ten_messages(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	char key[16];

	fixture_heartbeat(f, false);
	for (int i = 0; i < 10; i++) {
		snprintf(key, sizeof(key), "m-%d", i);
		(void)must_send(f, (struct sent){ .topic = "orders", .key = key });
		fixture_advance(f, 1000);
	}
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 7, true, &outcome), ST_OK);
	fixture_disk(f, true);
	return f;
}

static int64_t offset_of(struct fixture *f, const char *group, int32_t queue_id)
{
	struct outcome outcome = { 0 };
	int64_t offset = -1;

	return core_query_offset(f->core, span_of(group), orders, queue_id, false, &offset, &outcome) == ST_OK ? offset : -1;
}

static struct reset_request all_to(int64_t time_ms)
{
	return (struct reset_request){ .topic = orders, .group = readers, .time_ms = time_ms, .queue_id = -1, .offset = -1 };
}

/* -1: refused. */
static int64_t reset_to(struct fixture *f, struct reset_request request, size_t *count, struct outcome *outcome)
{
	struct reset_target targets[TOPIC_QUEUE_MAX];

	*outcome = (struct outcome){ 0 };
	enum status status = core_reset_offsets(f->core, &request, targets, count, outcome);
	fixture_disk(f, true);
	return status == ST_OK ? targets[0].offset : -1;
}

static void test_to_a_time_or_an_offset(void)
{
	struct fixture *f = ten_messages();
	struct outcome outcome;
	size_t count;

	CU_ASSERT_EQUAL(reset_to(f, all_to(FIXTURE_WALL_MS + 3000), &count, &outcome), 3);
	CU_ASSERT_EQUAL(count, 4);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 3);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 3), 0);
	CU_ASSERT_EQUAL(reset_to(f, all_to(0), &count, &outcome), 0);
	CU_ASSERT_EQUAL(reset_to(f, all_to(FIXTURE_WALL_MS + 3600 * 1000), &count, &outcome), 10);
	CU_ASSERT_EQUAL(reset_to(f, all_to(-1), &count, &outcome), 10);
	struct reset_request one = all_to(-1);
	one.queue_id = 0;
	one.offset = 5;
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), 5);
	CU_ASSERT_EQUAL(count, 1);
	fixture_restart(f);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 5);
	one.offset = 10; /* Past all that is there. */
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), 10);
	one.offset = 11;
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), -1);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "[0-10]"));
	one.queue_id = 99;
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), -1);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	fixture_destroy(f);
}

/* The topic keeps its last five messages from now on. */
static void forget_the_older_half(struct fixture *f)
{
	struct queue_range range;
	struct outcome outcome = { 0 };

	topics_find_any(f->core->topics, orders)->reserve_ms = 5500;
	fixture_advance(f, 30);
	CU_ASSERT_EQUAL(core_queue_range(f->core, orders, 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(range.min_offset, 5);
}

static void test_not_to_what_is_gone(void)
{
	struct fixture *f = ten_messages();
	struct reset_request one = all_to(-1);
	struct outcome outcome;
	size_t count;

	forget_the_older_half(f);
	one.queue_id = 0;
	one.offset = 4;
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), -1);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "[5-10]"));
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 7);
	one.offset = 5;
	CU_ASSERT_EQUAL(reset_to(f, one, &count, &outcome), 5);
	fixture_destroy(f);
}

static void test_what_is_not_there(void)
{
	struct fixture *f = ten_messages();
	struct reset_request request = all_to(0);
	struct outcome outcome;
	size_t count;

	request.topic = SPAN_LITERAL("nobody-made-it");
	CU_ASSERT_EQUAL(reset_to(f, request, &count, &outcome), -1);
	CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
	request = all_to(0);
	request.group = SPAN_LITERAL("nobody");
	CU_ASSERT_EQUAL(reset_to(f, request, &count, &outcome), -1);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUBSCRIPTION_GROUP_NOT_EXIST);
	fixture_destroy(f);
}

static struct pull_request pull_at(struct fixture *f, uint64_t offset)
{
	struct pull_request pull = pull_of(f, "orders", 0, offset, "*");

	pull.group_id = groups_find(core_groups(f->core), readers)->id;
	return pull;
}

static int32_t pull_code(struct fixture *f, uint64_t offset, uint64_t *next)
{
	struct pull_request pull = pull_at(f, offset);
	struct pull_result result;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_pull(f->core, &pull, &result, &outcome), ST_OK);
	*next = result.next_offset;
	return result.code;
}

/* The consumer still holds 7 and says so, until its next pull sends it to 2. */
static void test_consumers_cannot_undo_it(void)
{
	struct fixture *f = ten_messages();
	struct outcome outcome;
	size_t count;
	uint64_t next;

	CU_ASSERT_EQUAL(reset_to(f, all_to(FIXTURE_WALL_MS + 2000), &count, &outcome), 2);
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 8, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 8, true, &outcome), ST_OK);
	struct pull_header header = { .consumer_group = readers, .topic = orders, .queue_offset = 8, .commit_offset = 8,
				      .sys_flag = PULL_SUBSCRIPTION | PULL_COMMIT_OFFSET, .subscription = SPAN_LITERAL("*") };
	struct pull_request request;
	CU_ASSERT_EQUAL(core_prepare_pull(f->core, &header, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 2);
	CU_ASSERT_EQUAL(pull_code(f, 8, &next), RESP_PULL_OFFSET_MOVED);
	CU_ASSERT_EQUAL(next, 2);
	CU_ASSERT_EQUAL(pull_code(f, 2, &next), RESP_SUCCESS);
	CU_ASSERT_EQUAL(next, 10);
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 10, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 10);
	/* One that is where it should be is not disturbed. */
	CU_ASSERT_EQUAL(reset_to(f, all_to(FIXTURE_WALL_MS + 4000), &count, &outcome), 4);
	CU_ASSERT_EQUAL(pull_code(f, 4, &next), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 10, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 10);
	fixture_destroy(f);
}

/* A tool that peeks on behalf of the group is not its consumer, who is still to be told. */
static void test_a_peek_is_told_nothing(void)
{
	struct fixture *f = ten_messages();
	struct pop_header header = { .consumer_group = readers, .topic = orders, .queue_id = 0, .max_msg_nums = 1 };
	struct pop_request request;
	struct pop_result result;
	struct outcome outcome;
	size_t count;
	uint64_t next;

	CU_ASSERT_EQUAL(reset_to(f, all_to(FIXTURE_WALL_MS + 2000), &count, &outcome), 2);
	CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_OK);
	request.peek = true;
	CU_ASSERT_EQUAL_FATAL(core_pop(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.count, 1);
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 8, true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 2);
	CU_ASSERT_EQUAL(pull_code(f, 8, &next), RESP_PULL_OFFSET_MOVED);
	fixture_destroy(f);
}

static void test_waiting_pulls_of_the_group_are_told_at_once(void)
{
	struct fixture *f = ten_messages();
	struct pull_request mine = pull_at(f, 10), others = pull_of(f, "orders", 0, 10, "*");
	struct outcome outcome;
	size_t count;

	CU_ASSERT_TRUE(core_hold_pull(f->core, &mine, CONSUMER, 1, 0, 15000));
	CU_ASSERT_TRUE(core_hold_pull(f->core, &others, CONSUMER, 2, 0, 15000));
	CU_ASSERT_EQUAL(reset_to(f, all_to(0), &count, &outcome), 0);
	CU_ASSERT_EQUAL(f->woken_count, 1);
	CU_ASSERT_EQUAL(f->woken[0], 1);
	CU_ASSERT_FALSE(f->expired[0]);
	fixture_destroy(f);
}

/* RocketMQ's older way only computes, and moves forward only when it is told to. */
static void test_targets_for_clients(void)
{
	struct fixture *f = ten_messages();
	struct reset_target targets[TOPIC_QUEUE_MAX];
	struct reset_request request = all_to(-1);
	struct outcome outcome = { 0 };
	size_t count;

	request.queue_id = 0;
	CU_ASSERT_EQUAL(core_reset_targets(f->core, &request, targets, &count, &outcome), ST_OK);
	CU_ASSERT_EQUAL(targets[0].offset, 7);
	request.force = true;
	CU_ASSERT_EQUAL(core_reset_targets(f->core, &request, targets, &count, &outcome), ST_OK);
	CU_ASSERT_EQUAL(targets[0].offset, 10);
	CU_ASSERT_EQUAL(offset_of(f, "readers", 0), 7);
	request.queue_id = 1; /* Never read. */
	CU_ASSERT_EQUAL(core_reset_targets(f->core, &request, targets, &count, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	fixture_destroy(f);
}

static void test_clones(void)
{
	struct fixture *f = ten_messages();
	struct clone_request request = { readers, SPAN_LITERAL("copies"), orders, true };
	struct outcome outcome = { 0 };

	(void)must_send(f, (struct sent){ .topic = "parcels", .key = "a" });
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, SPAN_LITERAL("parcels"), 0, 1, true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "copies", 0), 7);
	int64_t offset;
	CU_ASSERT_NOT_EQUAL(core_query_offset(f->core, request.to, SPAN_LITERAL("parcels"), 0, false, &offset, &outcome), ST_OK);
	request.topic = SPAN_NONE;
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &request, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(offset_of(f, "copies", 0), 7);
	CU_ASSERT_EQUAL(core_query_offset(f->core, request.to, SPAN_LITERAL("parcels"), 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 1);
	/* Also what was said a moment ago, and no record carries yet. */
	CU_ASSERT_EQUAL(core_update_offset(f->core, readers, orders, 0, 8, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "copies", 0), 8);
	/* Its connected consumers do not subscribe to anything. */
	fixture_heartbeat(f, false);
	request = (struct clone_request){ readers, SPAN_LITERAL("others"), orders, false };
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset_of(f, "others", 0), -1);
	request.to = SPAN_LITERAL("bad name!");
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	fixture_destroy(f);
}

/* Another group, which has read 3. */
static void slow_has_read_three(struct fixture *f)
{
	struct clone_request clone = { readers, SPAN_LITERAL("slow"), orders, true };
	struct outcome outcome = { 0 };
	struct group_config settings = group_config_default();

	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("slow"), &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_clone_offsets(f->core, &clone, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("slow"), orders, 0, 3, true, &outcome), ST_OK);
}

/* Who stands before what the queue still has says nothing of it. */
static void test_corrections_go_by_what_is_there(void)
{
	struct fixture *f = ten_messages();
	struct reset_target out[TOPIC_QUEUE_MAX];

	slow_has_read_three(f);
	forget_the_older_half(f);
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, orders, SPAN_NONE, SPAN_NONE, out), 1);
	CU_ASSERT_EQUAL(out[0].offset, 7);
	fixture_destroy(f);
}

static void test_corrections(void)
{
	struct fixture *f = ten_messages();
	struct reset_target out[TOPIC_QUEUE_MAX];
	struct outcome outcome = { 0 };

	slow_has_read_three(f);
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, orders, SPAN_NONE, SPAN_NONE, out), 1);
	CU_ASSERT_EQUAL(out[0].offset, 3);
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, orders, SPAN_LITERAL("x,slow"), SPAN_NONE, out), 1);
	CU_ASSERT_EQUAL(out[0].offset, 7);
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, orders, SPAN_LITERAL("slow"), SPAN_LITERAL("slow"), out), 1);
	CU_ASSERT_EQUAL(out[0].offset, INT64_MAX);
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("slow"), orders, 0, 0, true, &outcome), ST_OK); /* Has read nothing. */
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, orders, SPAN_NONE, SPAN_NONE, out), 1);
	CU_ASSERT_EQUAL(out[0].offset, 0);
	CU_ASSERT_EQUAL(core_correction_offsets(f->core, SPAN_LITERAL("nobody-made-it"), SPAN_NONE, SPAN_NONE, out), 0);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_to_a_time_or_an_offset),
		CHECK_TEST(test_not_to_what_is_gone),
		CHECK_TEST(test_what_is_not_there),
		CHECK_TEST(test_consumers_cannot_undo_it),
		CHECK_TEST(test_a_peek_is_told_nothing),
		CHECK_TEST(test_waiting_pulls_of_the_group_are_told_at_once),
		CHECK_TEST(test_targets_for_clients),
		CHECK_TEST(test_clones),
		CHECK_TEST(test_corrections_go_by_what_is_there),
		CHECK_TEST(test_corrections),
	};
	return check_main("resets", tests, sizeof(tests) / sizeof(tests[0]));
}
