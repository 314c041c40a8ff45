/* broker/core/transactions.h: a half is seen once it is committed, the first decision stands, and a resend is the same half. */
#include "tests/unit/core/core_fixture.h"

static void test_a_half_is_seen_after_its_commit_only(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A", .half = true, .queue_id = 2 });

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 2, 0, "*", &p), 0);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 2, 0, "*", &p), 0);
	fixture_disk(f, true);
	CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core));
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 2, 0, "A", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].topic, "t"));
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "k"));
	CU_ASSERT_EQUAL(p.messages[0].queue_id, 2);
	CU_ASSERT_EQUAL(p.messages[0].queue_offset, 0);
	CU_ASSERT_EQUAL(p.messages[0].sys_flag & SYSFLAG_TRANSACTION_MASK, SYSFLAG_TRANSACTION_COMMIT);
	CU_ASSERT_EQUAL(p.messages[0].prepared_transaction_offset, (int64_t)half.log_offset);
	CU_ASSERT_NOT_EQUAL(p.messages[0].physical_offset, (int64_t)half.log_offset);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	pulled_free(&p);
	fixture_destroy(f);
}

static void test_the_first_decision_stands(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;
	struct send_result committed = must_send(f, (struct sent){ .topic = "t", .key = "a", .half = true });
	struct send_result rolled_back = must_send(f, (struct sent){ .topic = "t", .key = "b", .half = true });

	CU_ASSERT_EQUAL(fixture_end(f, &committed, OUTCOME_COMMIT, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_end(f, &rolled_back, OUTCOME_ROLLBACK, true, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_advance(f, 60000);
	/* The same again is done already: nothing to wait for. */
	CU_ASSERT_EQUAL(fixture_end(f, &committed, OUTCOME_COMMIT, true, &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core));
	CU_ASSERT_EQUAL(fixture_end(f, &rolled_back, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	/* The opposite is refused and says what was decided, when and by whom; the refusal itself is recorded. */
	CU_ASSERT_EQUAL(fixture_end(f, &committed, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_STRING_EQUAL(outcome.err.text, "the transaction is already committed, at 2023-11-14T22:13:20Z by producer "
						 "10.0.0.1@1; rollback is refused");
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(fixture_end(f, &rolled_back, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_STRING_EQUAL(outcome.err.text, "the transaction is already rolled back, at 2023-11-14T22:13:20Z by check-back "
						 "10.0.0.1@1; commit is refused");
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(core_stats(f->core).refused_count, 2);
	/* And so it is after a restart. */
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_end(f, &rolled_back, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(fixture_end(f, &committed, OUTCOME_COMMIT, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

static void test_a_resend_gets_the_first_ones_offsets(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct sent other = { .topic = "t", .key = "k", .half = true, .group = "others" };
	struct send_result first = must_send(f, sent), again;
	struct outcome outcome;

	for (int round = 0; round < 4; round++) {
		again = must_send(f, sent);
		CU_ASSERT_EQUAL(again.log_offset, first.log_offset);
		CU_ASSERT_EQUAL(again.queue_offset, first.queue_offset);
		if (round == 0)
			fixture_disk(f, true);
		if (round == 1)
			fixture_restart(f);
		if (round == 2)
			CU_ASSERT_EQUAL(fixture_end(f, &first, OUTCOME_COMMIT, false, &outcome), ST_OK);
	}
	/* The same key of another group is another message. */
	again = must_send(f, other);
	CU_ASSERT_NOT_EQUAL(again.log_offset, first.log_offset);
	CU_ASSERT_EQUAL(again.queue_offset, first.queue_offset + 1);
	fixture_destroy(f);
}

static void test_a_resend_after_rollback_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result half = must_send(f, sent), again;
	struct outcome outcome;

	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	/* The refusal must not leave before the rollback is durable. */
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	fixture_disk(f, true);
	CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core));
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	fixture_destroy(f);
}

static void test_an_end_that_does_not_fit_changes_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct end_request good = { .group = SPAN_LITERAL("producers"), .half_queue_offset = half.queue_offset,
				    .half_offset = half.log_offset, .outcome = OUTCOME_COMMIT, .transaction_id = SPAN_LITERAL("k") };

	for (int round = 0; round < 2; round++) {
		/* A decision's record has no key any more: that of a decided one is not looked at. */
		for (int wrong = 0; wrong < (round == 0 ? 6 : 5); wrong++) {
			struct end_request request = good;
			struct outcome outcome = { 0 };

			if (wrong == 0)
				request.group = SPAN_LITERAL("others");
			else if (wrong == 1)
				request.half_offset += 8;
			else if (wrong == 2)
				request.half_queue_offset += 1;
			else if (wrong == 3)
				request.half_offset -= 8;
			else if (wrong == 4)
				request.transaction_id = SPAN_LITERAL("x");
			else
				request.transaction_id = SPAN_NONE, request.unique_key = SPAN_LITERAL("x");
			CU_ASSERT_EQUAL(core_end_transaction(f->core, &request, &outcome), ST_DENIED);
			CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
		}
		CU_ASSERT_EQUAL(core_stats(f->core).pending_now, round == 0 ? 1 : 0);
		struct outcome outcome = { 0 };
		CU_ASSERT_EQUAL(core_end_transaction(f->core, &good, &outcome), ST_OK);
	}
	fixture_destroy(f);
}

/* The message id that comes along is another one with some clients, the offset's. */
static void test_a_transaction_id_that_fits_is_enough(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct end_request request = { .group = SPAN_LITERAL("producers"), .half_queue_offset = half.queue_offset,
				       .half_offset = half.log_offset, .outcome = OUTCOME_COMMIT, .transaction_id = SPAN_LITERAL("k"),
				       .unique_key = SPAN_LITERAL("0A00000100002A9F0000000000000000") };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_end_transaction(f->core, &request, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_stats(f->core).commit_count, 1);
	fixture_destroy(f);
}

static void test_limits_of_transactions(void)
{
	struct core_config config = fixture_config();
	struct send_result half, result;
	struct outcome outcome;

	config.pending_max = 3;
	config.pending_group_max = 2;
	struct fixture *f = fixture_create(&config);
	half = must_send(f, (struct sent){ .topic = "t", .key = "a", .half = true });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "b", .half = true });
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "c", .half = true }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "a", .half = true, .group = "others" });
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "a", .half = true, .group = "third" }, &result, &outcome),
			ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "c", .half = true });
	fixture_destroy(f);

	config.reject_transactions = true;
	f = fixture_create(&config);
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "a", .half = true }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_PERMISSION);
	fixture_destroy(f);
}

/* Limits that were lowered between two starts do not keep the broker from starting. */
static void test_lowered_limits_bind_only_what_is_new(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result result, half = { 0 };
	struct outcome outcome;

	for (int i = 0; i < 5; i++) {
		char key[16];

		snprintf(key, sizeof(key), "k%d", i);
		half = must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		snprintf(key, sizeof(key), "d%d", i);
		(void)must_send(f, (struct sent){ .topic = "t", .key = key, .delay_level = 4 });
	}
	fixture_advance(f, 50); /* Everything is durable. */
	f->config.pending_max = f->config.delayed_max = 2;
	fixture_restart(f);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 5);
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "new", .half = true }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = "new", .delay_level = 4 }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_destroy(f);
}

/* A group at its limit still gets the answer to a resend: the half is there already. */
static void test_a_resend_needs_no_room(void)
{
	struct core_config config = fixture_config();

	config.pending_max = config.pending_group_max = 1;
	struct fixture *f = fixture_create(&config);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result first = must_send(f, sent), again;
	struct outcome outcome;

	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_OK);
	CU_ASSERT_EQUAL(again.log_offset, first.log_offset);
	fixture_destroy(f);
}

/* Nor a disk. What was stored before it was full is what its sender, whose answer was lost, goes on with. */
static void test_a_resend_needs_no_disk(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result first = must_send(f, sent), again;
	struct outcome outcome;

	core_set_disk_level(f->core, DISK_FULL);
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_OK);
	CU_ASSERT_EQUAL(again.log_offset, first.log_offset);
	CU_ASSERT_EQUAL(again.queue_offset, first.queue_offset);
	sent.key = "other";
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SERVICE_NOT_AVAILABLE);
	core_set_disk_level(f->core, DISK_OK);
	/* So it is while the log has no room for the moment. */
	sent = (struct sent){ .topic = "t", .key = "bulk" };
	while (fixture_send(f, sent, &again, &outcome) == ST_OK)
		;
	sent = (struct sent){ .topic = "t", .key = "k", .half = true };
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_OK);
	CU_ASSERT_EQUAL(again.log_offset, first.log_offset);
	sent.key = "other";
	CU_ASSERT_EQUAL(fixture_send(f, sent, &again, &outcome), ST_AGAIN);
	fixture_destroy(f);
}

static void test_undecided_ones_are_asked_about_and_parked_in_the_end(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_heartbeat(f, true);
	fixture_advance(f, 5900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	for (size_t check = 1; check <= 3; check++) {
		fixture_advance(f, check == 1 ? 200 : 30100);
		fixture_heartbeat(f, true);
		CU_ASSERT_EQUAL_FATAL(f->asked_count, check);
		CU_ASSERT_EQUAL(f->asked[check - 1], half.queue_offset);
		CU_ASSERT_EQUAL(fixture_end(f, &half, (enum record_outcome)0, true, &outcome), ST_OK);
	}
	fixture_advance(f, 100000);
	CU_ASSERT_EQUAL(f->asked_count, 3);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	/* Parked: not asked about after a restart either, but decided by whoever comes. */
	fixture_restart(f);
	fixture_heartbeat(f, true);
	fixture_advance(f, 100000);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

/* The half lies where the ring is to be written next: its decision's record goes over what it is made from. */
static void test_a_decision_may_overwrite_its_half(void)
{
	enum { HALVES = 60 };
	static uint8_t body[4000];
	struct fixture *f = fixture_create(NULL);
	struct send_request filler = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
				       .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				       .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result halves[HALVES], result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };
	size_t next = 0;
	char key[16];

	for (size_t i = 0; i < HALVES; i++) {
		snprintf(key, sizeof(key), "half-%zu", i);
		halves[i] = must_send(f, (struct sent){ .topic = "a-topic", .key = key, .half = true });
	}
	while (commitlog_in_memory(f->log, halves[0].log_offset)) {
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
		fixture_disk(f, true);
	}
	for (size_t committed = 0; committed < HALVES / 3; committed++) {
		while (!commitlog_in_memory(f->log, halves[next].log_offset))
			next++;
		CU_ASSERT_EQUAL_FATAL(fixture_end(f, &halves[next++], OUTCOME_COMMIT, false, &outcome), ST_OK);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(fixture_pull(f, "a-topic", 0, committed, "*", &p), 1);
	}
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_half_is_seen_after_its_commit_only),
		CHECK_TEST(test_the_first_decision_stands),
		CHECK_TEST(test_a_resend_gets_the_first_ones_offsets),
		CHECK_TEST(test_a_resend_after_rollback_is_refused),
		CHECK_TEST(test_an_end_that_does_not_fit_changes_nothing),
		CHECK_TEST(test_a_transaction_id_that_fits_is_enough),
		CHECK_TEST(test_limits_of_transactions),
		CHECK_TEST(test_lowered_limits_bind_only_what_is_new),
		CHECK_TEST(test_a_resend_needs_no_room),
		CHECK_TEST(test_a_resend_needs_no_disk),
		CHECK_TEST(test_undecided_ones_are_asked_about_and_parked_in_the_end),
		CHECK_TEST(test_a_decision_may_overwrite_its_half),
	};
	return check_main("transactions", tests, sizeof(tests) / sizeof(tests[0]));
}
