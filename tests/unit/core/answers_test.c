/* When may an answer leave, and when may a message be seen? Every answer that rests on a record waits for the end of
 * that record, also one that only repeats what was decided before. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"

/* The answer rests on the last record of the log. */
static void check_waits_for_the_end(const struct fixture *f, const struct outcome *outcome)
{
	CU_ASSERT_EQUAL(outcome->wait_offset, commitlog_appended(f->log));
	CU_ASSERT_TRUE(outcome->wait_offset > core_committed_offset(f->core));
}

static void test_an_answer_waits_for_the_end_of_its_record(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half;
	struct outcome outcome = { 0 };
	struct consumer_group *group;

	CU_ASSERT_EQUAL(settings_group_for_consumer(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	for (int i = 0; i < 3; i++) { /* In one batch: the first record of it is no other than the last. */
		CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "plain" }, &half, &outcome), ST_OK);
		check_waits_for_the_end(f, &outcome);
		struct sent sent = { .topic = "t", .key = i == 0 ? "a" : i == 1 ? "b" : "c", .half = true };
		CU_ASSERT_EQUAL(fixture_send(f, sent, &half, &outcome), ST_OK);
		check_waits_for_the_end(f, &outcome);
		enum record_outcome asked = i == 1 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT;
		CU_ASSERT_EQUAL(fixture_end(f, &half, asked, false, &outcome), ST_OK);
		check_waits_for_the_end(f, &outcome);
		CU_ASSERT_EQUAL(core_update_offset(f->core, group->name, SPAN_LITERAL("t"), 0, i, true, &outcome), ST_OK);
		check_waits_for_the_end(f, &outcome);
	}
	fixture_destroy(f);
}

static void test_a_heartbeat_waits_for_what_it_makes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("10.0.0.1@1"), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, CONSUMER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	check_waits_for_the_end(f, &outcome); /* The group, and its retry topic. */
	fixture_destroy(f);
}

/* "The same again" tells nothing new, but it tells it of a record that may be lost yet. */
static void test_a_repetition_waits_for_what_it_repeats(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result half, again;
	struct outcome outcome, repeated;

	CU_ASSERT_EQUAL(fixture_send(f, sent, &half, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &repeated), ST_OK);
	CU_ASSERT_TRUE(repeated.wait_offset > core_committed_offset(f->core));
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, true, &repeated), ST_OK);
	CU_ASSERT_EQUAL(repeated.wait_offset, outcome.wait_offset);
	CU_ASSERT_TRUE(repeated.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &repeated), ST_DENIED);
	CU_ASSERT_TRUE(repeated.wait_offset >= outcome.wait_offset);
	fixture_destroy(f);
}

/* Also one of so many contradictions that there is no record of it. */
static void test_a_refusal_without_a_record_waits_for_the_decision(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct outcome decided, refused;

	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &decided), ST_OK);
	for (int i = 0; i < CONFLICTS_PER_SECOND + 1; i++)
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &refused), ST_DENIED);
	CU_ASSERT_EQUAL(refused.wait_offset, decided.wait_offset);
	fixture_destroy(f);
}

/* The resend of a half that is rolled back in the same moment. */
static void test_a_refused_resend_waits_for_the_rollback(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result half = must_send(f, sent), again;
	struct outcome outcome;

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	fixture_destroy(f);
}

/* Only the first of two batches is durable: what is in the second is not seen, counted or found. */
static void test_what_is_not_durable_is_not_there_yet(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct log_flush_job job;
	struct queue_range range;
	struct stored_message stored;
	struct outcome outcome = { 0 };
	struct errinfo err;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .half = true });

	fixture_disk(f, true);
	struct send_result first = must_send(f, (struct sent){ .topic = "t", .key = "first" });
	CU_ASSERT_TRUE_FATAL(commitlog_take_flush(f->log, true, &job));
	struct send_result second = must_send(f, (struct sent){ .topic = "t", .key = "second" });
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	log_flush_run(&job);
	CU_ASSERT_EQUAL(commitlog_flush_done(f->log, &job, &err), ST_OK);
	core_committed(f->core);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.max_offset, 1);
	CU_ASSERT_EQUAL(core_stored_message(f->core, first.log_offset, &stored, &err), ST_OK);
	CU_ASSERT_EQUAL(core_stored_message(f->core, second.log_offset, &stored, &err), ST_NOTFOUND);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 3);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.max_offset, 3);
	CU_ASSERT_EQUAL(core_stored_message(f->core, second.log_offset, &stored, &err), ST_OK);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A committed message is as old as its decision, not as its half: times ascend along a queue. */
static void test_a_committed_message_bears_the_time_of_its_decision(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_advance(f, 3000);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "between" });
	fixture_advance(f, 2000);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[0].store_timestamp, FIXTURE_WALL_MS + 3000);
	CU_ASSERT_EQUAL(p.messages[1].store_timestamp, FIXTURE_WALL_MS + 5000);
	pulled_free(&p);
	fixture_destroy(f);
}

/* An offset for which the log has no room is kept like a one-way one, and not called durable. */
static void test_an_offset_without_room_is_refused_and_kept(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct consumer_group *group;
	enum status status = ST_OK;
	int64_t value = 0, known = 0;

	CU_ASSERT_EQUAL(settings_group_for_consumer(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	while (status == ST_OK && value < 100000)
		status = core_update_offset(f->core, group->name, SPAN_LITERAL("t"), 2, ++value, true, &outcome);
	CU_ASSERT_EQUAL(status, ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	/* It is recorded like a one-way one; and if there is no room at that time either, as soon as there is. */
	clock_manual_advance(&f->clock, f->config.offset_flush_interval_ms);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	CU_ASSERT_EQUAL(offsets_dirty_count(f->core->offsets), 1);
	fixture_disk(f, true);
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL(offsets_dirty_count(f->core->offsets), 0);
	fixture_restart(f);
	CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 2, false, &known, &outcome), ST_OK);
	CU_ASSERT_EQUAL(known, value);
	CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &known, &outcome),
			ST_DENIED);
	fixture_destroy(f);
}

/* Each queue has its own offset, said lastingly or one-way, before and after a restart. */
static void test_each_queue_keeps_its_own_offset(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct consumer_group *group;
	int64_t known;

	CU_ASSERT_EQUAL(settings_group_for_consumer(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	for (int queue = 0; queue < 4; queue++) {
		CU_ASSERT_EQUAL(core_update_offset(f->core, group->name, SPAN_LITERAL("t"), queue, 100 + queue, queue % 2 == 0,
						   &outcome), ST_OK);
	}
	for (int starts = 0; starts < 2; starts++) {
		for (int queue = 0; queue < 4; queue++) {
			CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), queue, false, &known,
							  &outcome), ST_OK);
			CU_ASSERT_EQUAL(known, 100 + queue);
		}
		fixture_advance(f, 1000);
		fixture_restart(f);
	}
	fixture_destroy(f);
}

/* --- what must be read from the disk first, and what finds no room -------------------------------------------------- */

/* Enough messages that what was before has left the ring. */
static void push_out(struct fixture *f)
{
	static char body[8 * 1024];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("other"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { (const uint8_t *)body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result;
	struct outcome outcome = { 0 };

	for (int i = 0; i < 100; i++) {
		CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
		fixture_disk(f, true);
	}
}

/* ST_AGAIN, with a wish for the record at `offset`, as long as the disk is cold; nothing has changed. */
#define CHECK_COMES_AGAIN(f, offset, call)                                               \
	do {                                                                             \
		uint64_t wish_offset = 0;                                                \
		uint32_t wish_size = 0;                                                  \
		memdisk_set_cold((f)->disk, true);                                       \
		core_begin_request((f)->core);                                           \
		CU_ASSERT_EQUAL(call, ST_AGAIN);                                         \
		CU_ASSERT_TRUE(core_take_cold_read((f)->core, &wish_offset, &wish_size)); \
		CU_ASSERT_EQUAL(wish_offset, offset);                                    \
		CU_ASSERT_TRUE(wish_size > 0);                                           \
		memdisk_set_cold((f)->disk, false);                                      \
	} while (0)

static void test_what_is_only_on_disk_is_asked_for_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct stored_message stored;
	struct send_result decided = must_send(f, (struct sent){ .topic = "t", .key = "a", .half = true });
	struct send_result open = must_send(f, (struct sent){ .topic = "t", .key = "b", .half = true });
	struct send_result plain = must_send(f, (struct sent){ .topic = "t", .key = "c" });
	struct pulled p = { .count = 0 };

	uint64_t decision = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(fixture_end(f, &decided, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	push_out(f);
	uint64_t appended = commitlog_appended(f->log);
	CHECK_COMES_AGAIN(f, open.log_offset, fixture_end(f, &open, OUTCOME_COMMIT, false, &outcome));
	CHECK_COMES_AGAIN(f, decision, fixture_end(f, &decided, OUTCOME_ROLLBACK, false, &outcome));
	CHECK_COMES_AGAIN(f, open.log_offset,
			  core_operator_decide(f->core, open.log_offset, OUTCOME_PARK, SPAN_LITERAL("dba"), &outcome));
	CHECK_COMES_AGAIN(f, plain.log_offset, core_stored_message(f->core, plain.log_offset, &stored, &outcome.err));
	struct pull_request request = pull_of(f, "t", 0, 0, "*");
	CHECK_COMES_AGAIN(f, plain.log_offset, core_pull(f->core, &request, &p.result, &outcome));
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	CU_ASSERT_EQUAL(fixture_end(f, &open, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 3);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A decision that finds no room in the log comes again, and is taken whole then. */
static void test_a_decision_without_room_comes_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .half = true });
	struct send_result result;
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };
	int sent = 0;

	fixture_disk(f, true);
	while (fixture_send(f, (struct sent){ .topic = "t", .key = "fill" }, &result, &outcome) == ST_OK && sent < 100000)
		sent++;
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_AGAIN);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, (uint64_t)sent, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "half"));
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_an_answer_waits_for_the_end_of_its_record),
		CHECK_TEST(test_a_heartbeat_waits_for_what_it_makes),
		CHECK_TEST(test_a_repetition_waits_for_what_it_repeats),
		CHECK_TEST(test_a_refusal_without_a_record_waits_for_the_decision),
		CHECK_TEST(test_a_refused_resend_waits_for_the_rollback),
		CHECK_TEST(test_what_is_not_durable_is_not_there_yet),
		CHECK_TEST(test_a_committed_message_bears_the_time_of_its_decision),
		CHECK_TEST(test_an_offset_without_room_is_refused_and_kept),
		CHECK_TEST(test_what_is_only_on_disk_is_asked_for_again),
		CHECK_TEST(test_a_decision_without_room_comes_again),
		CHECK_TEST(test_each_queue_keeps_its_own_offset),
	};
	return check_main("answers", tests, sizeof(tests) / sizeof(tests[0]));
}
