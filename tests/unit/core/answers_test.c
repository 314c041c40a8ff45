/* When may an answer leave, and when may a message be seen? Every answer that rests on a record waits for the end of
 * that record, also one that only repeats what was decided before. */
#include "tests/unit/core/core_fixture.h"

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
	fixture_disk(f, true);
	fixture_advance(f, 1000); /* It is recorded like a one-way one. */
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_an_answer_waits_for_the_end_of_its_record),
		CHECK_TEST(test_a_repetition_waits_for_what_it_repeats),
		CHECK_TEST(test_a_refused_resend_waits_for_the_rollback),
		CHECK_TEST(test_what_is_not_durable_is_not_there_yet),
		CHECK_TEST(test_a_committed_message_bears_the_time_of_its_decision),
		CHECK_TEST(test_an_offset_without_room_is_refused_and_kept),
		CHECK_TEST(test_each_queue_keeps_its_own_offset),
	};
	return check_main("answers", tests, sizeof(tests) / sizeof(tests[0]));
}
