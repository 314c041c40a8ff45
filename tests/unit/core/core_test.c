/* broker/core: sending, transactions, pulls, delays, progress and restarts, as one broker sees them. */
#include "tests/unit/core/core_fixture.h"

static void test_sent_messages_are_pulled_once_durable(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct send_result first = must_send(f, (struct sent){ .topic = "t", .key = "k0", .tag = "A", .queue_id = 1 });
	struct send_result second = must_send(f, (struct sent){ .topic = "t", .key = "k1", .queue_id = 1 });

	CU_ASSERT_EQUAL(first.queue_offset, 0);
	CU_ASSERT_EQUAL(second.queue_offset, 1);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 1, 0, "*", &p), 0);
	CU_ASSERT_EQUAL(p.result.code, RESP_PULL_NOT_FOUND);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 1, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.result.code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(p.result.next_offset, 2);
	CU_ASSERT_EQUAL(p.result.max_offset, 2);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "k0"));
	CU_ASSERT_TRUE(span_is(p.messages[0].topic, "t"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_UNIQ_KEY), "k0"));
	CU_ASSERT_EQUAL(p.messages[0].physical_offset, (int64_t)first.log_offset);
	CU_ASSERT_EQUAL(p.messages[1].physical_offset, (int64_t)second.log_offset);
	CU_ASSERT_EQUAL(p.messages[1].queue_offset, 1);
	CU_ASSERT_EQUAL(p.messages[1].queue_id, 1);
	CU_ASSERT_EQUAL(p.messages[0].store_timestamp, FIXTURE_WALL_MS);
	CU_ASSERT_EQUAL(p.messages[0].born_timestamp, 42);
	CU_ASSERT_TRUE(message_crc_matches(&p.messages[0]));
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 1, 1, "*", &p), 1);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 1, 2, "*", &p), 0);
	CU_ASSERT_EQUAL(p.result.code, RESP_PULL_NOT_FOUND);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 1, 3, "*", &p), 0);
	CU_ASSERT_EQUAL(p.result.code, RESP_PULL_OFFSET_MOVED);
	CU_ASSERT_EQUAL(p.result.next_offset, 2);
	pulled_free(&p);
	fixture_destroy(f);
}

static void test_a_tag_filter_passes_over_the_others(void)
{
	static const char *const tags[] = { "A", "B", "A", NULL };
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };

	for (int i = 0; i < 4; i++)
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = tags[i] });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "A", &p), 2);
	CU_ASSERT_EQUAL(p.messages[0].queue_offset, 0);
	CU_ASSERT_EQUAL(p.messages[1].queue_offset, 2);
	CU_ASSERT_EQUAL(p.result.next_offset, 4);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "A || B", &p), 3);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "C", &p), 0);
	CU_ASSERT_EQUAL(p.result.code, RESP_PULL_RETRY_IMMEDIATELY);
	CU_ASSERT_EQUAL(p.result.next_offset, 4);
	pulled_free(&p);
	fixture_destroy(f);
}

/* --- transactions ------------------------------------------------------------------------------------------ */

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

/* --- delays, retries ------------------------------------------------------------------------------------------ */

static void test_delayed_messages_come_when_due(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "five", .delay_level = 2 });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "one", .delay_level = 1 });
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .delay_level = 2, .half = true });
	fixture_advance(f, 990);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "one"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_DELAY), "1")); /* RocketMQ shows it, too. */
	CU_ASSERT_EQUAL(p.messages[0].store_timestamp, FIXTURE_WALL_MS + 1000);
	/* A half's delay counts from its commit; a restart in between changes nothing. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_restart(f);
	fixture_advance(f, 4000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	fixture_advance(f, 990);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	fixture_advance(f, 10);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 3);
	CU_ASSERT_TRUE(span_is(p.messages[1].body, "five"));
	CU_ASSERT_TRUE(span_is(p.messages[2].body, "half"));
	CU_ASSERT_EQUAL(p.messages[2].prepared_transaction_offset, (int64_t)half.log_offset);
	pulled_free(&p);
	fixture_destroy(f);
}

static enum status send_back(struct fixture *f, uint64_t log_offset, int32_t level, int32_t max_times, struct outcome *outcome)
{
	struct send_back_request request = { .group = SPAN_LITERAL("readers"), .log_offset = log_offset, .delay_level = level,
					     .max_reconsume_times = max_times };

	*outcome = (struct outcome){ 0 };
	enum status status = core_send_back(f->core, &request, outcome);
	fixture_disk(f, true);
	return status;
}

static void test_sent_back_messages_are_retried_and_die_in_the_end(void)
{
	struct core_config config = fixture_config();
	struct group_config settings = group_config_default();
	struct pulled p = { .count = 0 };
	struct outcome outcome;

	config.auto_create_group = false;
	struct fixture *f = fixture_create(&config);
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A" });
	struct host host = host_ipv4(0x7F000001, 10911);
	char id[MSGID_TEXT_SIZE];

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUBSCRIPTION_GROUP_NOT_EXIST);
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset + 8, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 0);
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].topic, "%RETRY%readers"));
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "k"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_DELAY), "1"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_REAL_TOPIC), "%RETRY%readers"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_WAIT), "false"));
	offset_msg_id_encode(&host, (int64_t)sent.log_offset, id);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	/* Sent back again from the retry topic: it keeps its origin, and level 0 means 3 + times. */
	CU_ASSERT_EQUAL(send_back(f, (uint64_t)p.messages[0].physical_offset, 0, -1, &outcome), ST_OK);
	fixture_advance(f, 19000);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[1].reconsume_times, 2);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[1].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[1].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	/* Too many times, or at once: the dead letters, without a delay. */
	CU_ASSERT_EQUAL(send_back(f, (uint64_t)p.messages[1].physical_offset, 1, 2, &outcome), ST_OK);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, -1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 3);
	CU_ASSERT_EQUAL(p.messages[1].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_DELAY), "0"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	pulled_free(&p);
	fixture_destroy(f);
}

/* --- progress --------------------------------------------------------------------------------------------------- */

static int64_t query(struct fixture *f, const char *topic, int32_t queue_id, bool zero_if_unknown)
{
	struct outcome outcome = { 0 };
	int64_t offset = -9;

	if (core_query_offset(f->core, SPAN_LITERAL("readers"), span_of(topic), queue_id, zero_if_unknown, &offset, &outcome) == ST_OK)
		return offset;
	CU_ASSERT_EQUAL(outcome.code, RESP_QUERY_NOT_FOUND);
	return -1;
}

static void update(struct fixture *f, int32_t queue_id, int64_t offset, bool lasting, struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), queue_id, offset, lasting, outcome),
			ST_OK);
}

static void test_lasting_offsets_wait_and_noted_ones_are_recorded_soon(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_heartbeat(f, false);
	fixture_advance(f, 600);
	update(f, 0, 5, true, &outcome);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(query(f, "t", 0, true), 5);
	fixture_disk(f, true);
	update(f, 1, 6, false, &outcome);
	CU_ASSERT_EQUAL(outcome.wait_offset, 0);
	CU_ASSERT_EQUAL(query(f, "t", 1, true), 6);
	fixture_restart(f);
	CU_ASSERT_EQUAL(query(f, "t", 0, false), 5);
	CU_ASSERT_EQUAL(query(f, "t", 1, false), -1);
	fixture_heartbeat(f, false);
	update(f, 1, 7, false, &outcome);
	update(f, 0, 2, false, &outcome); /* Backwards. */
	fixture_advance(f, 600);
	fixture_restart(f);
	CU_ASSERT_EQUAL(query(f, "t", 1, false), 7);
	CU_ASSERT_EQUAL(query(f, "t", 0, false), 2);
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
		update(f, 0, 5 + lasting, lasting == 1, &outcome);
		outcome = (struct outcome){ 0 };
		CU_ASSERT_EQUAL(core_query_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &offset, &outcome), ST_OK);
		CU_ASSERT_EQUAL(offset, 5 + lasting);
		CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
		fixture_disk(f, true);
		CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core));
		fixture_restart(f);
		CU_ASSERT_EQUAL(query(f, "t", 0, false), 5 + lasting);
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
	update(f, 0, 5, true, &first);
	update(f, 0, 5, true, &again);
	CU_ASSERT_EQUAL(again.wait_offset, first.wait_offset);
	CU_ASSERT_TRUE(again.wait_offset > core_committed_offset(f->core)); /* Not before the first one's answer. */
	/* Another value in between that no record has yet. */
	update(f, 0, 6, false, &again);
	update(f, 0, 5, true, &again);
	CU_ASSERT_TRUE(again.wait_offset > first.wait_offset);
	fixture_disk(f, true);
	fixture_restart(f);
	CU_ASSERT_EQUAL(query(f, "t", 0, false), 5);
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
	CU_ASSERT_EQUAL(query(f, "t", 0, false), -1);
	fixture_destroy(f);
}

/* A new group starts at the beginning of a young queue whatever it says, and asks for the end of an old one. */
static void test_a_new_groups_start(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(query(f, "t", 0, true), 0);
	CU_ASSERT_EQUAL(query(f, "t", 0, false), -1);
	CU_ASSERT_EQUAL(query(f, "t", 1, true), 0);   /* Empty. */
	CU_ASSERT_EQUAL(query(f, "x", 0, true), -1);
	CU_ASSERT_EQUAL(query(f, "t", -1, true), -1);
	for (int i = 0; i < 100; i++) /* More than young_queue_bytes. */
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .queue_id = 1 });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(query(f, "t", 0, true), -1);
	CU_ASSERT_EQUAL(query(f, "t", 1, true), -1);
	CU_ASSERT_EQUAL(query(f, "t", 2, true), 0);
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

/* --- long polling -------------------------------------------------------------------------------------------------- */

static void test_waiting_pulls_wake_when_what_fits_is_durable(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A" });
	fixture_disk(f, true);
	struct pull_request for_a = pull_of(f, "t", 0, 1, "A"), for_b = pull_of(f, "t", 0, 1, "B");
	CU_ASSERT_TRUE(core_hold_pull(f->core, &for_a, CONSUMER, 100, 0, 20000));
	CU_ASSERT_TRUE(core_hold_pull(f->core, &for_b, CONSUMER, 200, 0, 20000));
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .tag = "B", .half = true });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A" });
	core_committed(f->core);
	CU_ASSERT_EQUAL(f->woken_count, 0);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(f->woken_count, 1);
	CU_ASSERT_EQUAL(f->woken[0], 100);
	CU_ASSERT_FALSE(f->expired[0]);
	/* A commit wakes too, once it is durable. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	core_committed(f->core);
	CU_ASSERT_EQUAL(f->woken_count, 1);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(f->woken_count, 2);
	CU_ASSERT_EQUAL(f->woken[1], 200);
	CU_ASSERT_FALSE(f->expired[1]);
	fixture_destroy(f);
}

static void test_waiting_pulls_end_with_their_time_or_connection(void)
{
	struct core_config config = fixture_config();

	config.hold_max = 3;
	struct fixture *f = fixture_create(&config);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	struct pull_request request = pull_of(f, "t", 0, 1, "*");
	CU_ASSERT_TRUE(core_hold_pull(f->core, &request, CONSUMER, 1, 0, 5000));
	CU_ASSERT_TRUE(core_hold_pull(f->core, &request, CONSUMER + 1, 2, 0, 5000));
	CU_ASSERT_TRUE(core_hold_pull(f->core, &request, CONSUMER, 3, 0, 15000));
	CU_ASSERT_FALSE(core_hold_pull(f->core, &request, CONSUMER, 4, 0, 15000));
	core_connection_gone(f->core, CONSUMER + 1);
	fixture_advance(f, 4990);
	CU_ASSERT_EQUAL(f->woken_count, 0);
	fixture_advance(f, 60); /* They are looked at each 50 ms. */
	CU_ASSERT_EQUAL_FATAL(f->woken_count, 1);
	CU_ASSERT_TRUE(f->woken[0] == 1 && f->expired[0]);
	core_answer_holds(f->core);
	CU_ASSERT_EQUAL_FATAL(f->woken_count, 2);
	CU_ASSERT_TRUE(f->woken[1] == 3 && f->expired[1]);
	fixture_destroy(f);
}

/* The wall clock may be set back; what is stored says otherwise, also after a restart. */
static void test_stored_times_never_go_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "delayed", .delay_level = 1 });
	fixture_advance(f, 1000);
	for (int i = 0; i < 3; i++) {
		f->clock.wall_now_ms = FIXTURE_WALL_MS - 3600 * 1000;
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = i == 0 ? "a" : i == 1 ? "b" : "c", .half = true });
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
		(void)must_send(f, (struct sent){ .topic = "t", .key = "plain" });
		fixture_disk(f, true);
		fixture_restart(f);
	}
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 7);
	for (size_t i = 0; i < p.count; i++)
		CU_ASSERT_EQUAL(p.messages[i].store_timestamp, FIXTURE_WALL_MS + 1000);
	pulled_free(&p);
	fixture_destroy(f);
}

/* --- restarts ------------------------------------------------------------------------------------------------------ */

/* Everything that can be seen from outside, as text. */
static void describe(struct fixture *f, struct buffer *out)
{
	struct pulled p = { .count = 0 };

	buffer_init(out, 0);
	for (const struct topic *t = topics_first(core_topics(f->core)); t != NULL; t = topics_next(t)) {
		buffer_printf(out, "topic %.*s %u %u perm %u\n", SPAN_ARGS(t->name), t->settings.read_queue_nums,
			      t->settings.write_queue_nums, t->settings.perm);
		for (uint32_t q = 0; q < t->settings.read_queue_nums; q++) {
			char name[256];
			uint64_t from = 0;

			CU_ASSERT_EQUAL(span_to_cstr(t->name, name, sizeof(name)), ST_OK);
			while (fixture_pull(f, name, q, from, "*", &p) > 0) {
				for (size_t i = 0; i < p.count; i++)
					buffer_printf(out, "%u/%lld at %lld prepared %lld stored %lld flag %x %.*s %.*s\n", q,
						      (long long)p.messages[i].queue_offset, (long long)p.messages[i].physical_offset,
						      (long long)p.messages[i].prepared_transaction_offset,
						      (long long)p.messages[i].store_timestamp, (unsigned)p.messages[i].sys_flag,
						      SPAN_ARGS(p.messages[i].body), SPAN_ARGS(p.messages[i].properties));
				from = p.result.next_offset;
			}
			buffer_printf(out, "progress %lld\n", (long long)query(f, name, (int32_t)q, false));
		}
	}
	for (const struct consumer_group *g = groups_first(core_groups(f->core)); g != NULL; g = groups_next(g))
		buffer_printf(out, "group %.*s %u\n", SPAN_ARGS(g->name), g->settings.retry_max_times);
	buffer_printf(out, "pending %llu\n", (unsigned long long)core_stats(f->core).pending_now);
	pulled_free(&p);
}

static void random_traffic(struct fixture *f, int round, uint64_t *random, struct send_result *halves, size_t *half_count)
{
	struct outcome outcome;
	char key[32];

	for (int i = 0; i < 150; i++) {
		snprintf(key, sizeof(key), "key-%d-%d", round, i);
		struct sent sent = { .topic = check_random(random) % 2 == 0 ? "t" : "u", .key = key, .tag = "A",
				     .queue_id = (int32_t)(check_random(random) % 4),
				     .delay_level = check_random(random) % 4 == 0 ? 1 : 0, .half = check_random(random) % 2 == 0 };
		struct send_result result = must_send(f, sent);

		if (sent.half && *half_count < SEEN_MAX)
			halves[(*half_count)++] = result;
		if (*half_count > 0 && check_random(random) % 3 == 0) {
			enum record_outcome asked = check_random(random) % 2 == 0 ? OUTCOME_COMMIT : OUTCOME_ROLLBACK;

			(void)fixture_end(f, &halves[check_random(random) % *half_count], asked, false, &outcome);
		}
		if (topics_find(core_topics(f->core), SPAN_LITERAL("t")) != NULL && check_random(random) % 8 == 0)
			update(f, (int32_t)(check_random(random) % 4), (int64_t)(check_random(random) % 50), check_random(random) % 2 == 0,
			       &outcome);
		if (check_random(random) % 4 == 0)
			fixture_advance(f, (int64_t)(check_random(random) % 300));
	}
	fixture_advance(f, 600); /* Noted offsets are recorded. */
}

static void test_a_restart_gives_the_same_state(void)
{
	uint64_t random = check_seed(71);
	struct fixture *f = fixture_create(NULL);
	struct send_result halves[SEEN_MAX];
	size_t half_count = 0;

	fixture_heartbeat(f, false);
	for (int round = 0; round < 5; round++) {
		struct buffer before, after;

		random_traffic(f, round, &random, halves, &half_count);
		describe(f, &before);
		fixture_restart(f);
		describe(f, &after);
		bool equal = span_equal(buffer_span(&before), buffer_span(&after));
		if (!equal)
			printf("--- before\n%.*s--- after\n%.*s", SPAN_ARGS(buffer_span(&before)), SPAN_ARGS(buffer_span(&after)));
		CU_ASSERT_TRUE(equal);
		CU_ASSERT_TRUE(buffer_size(&before) > 5000);
		buffer_deinit(&before);
		buffer_deinit(&after);
	}
	fixture_destroy(f);
}

/* What was appended but not durable was acknowledged to nobody: after a power cut it is as if it had never been. */
static void test_what_was_not_durable_was_never_there(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .half = true });

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_restart(f);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	/* The decision is open again, so that the opposite is not a contradiction. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	pulled_free(&p);
	fixture_destroy(f);
}

/* No client keeps a connection's pull for longer than half a minute. */
static void test_a_pull_waits_half_a_minute_at_most(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	struct pull_request request = pull_of(f, "t", 0, 1, "*");
	CU_ASSERT_TRUE(core_hold_pull(f->core, &request, CONSUMER, 1, 0, 600 * 1000));
	fixture_advance(f, 29 * 1000);
	CU_ASSERT_EQUAL(f->woken_count, 0);
	fixture_advance(f, 1010);
	CU_ASSERT_EQUAL(f->woken_count, 1);
	fixture_destroy(f);
}

/* A consumer sends to its retry topic itself: as often as its group may try, then to the dead letters. */
static void test_a_retry_that_is_one_too_many_is_dead(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("%RETRY%readers"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = SPAN_LITERAL("b"), .max_reconsume_times = 2 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	for (request.reconsume_times = 2; request.reconsume_times <= 3; request.reconsume_times++)
		CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 3);
	/* At once, whatever delay it was sent with. */
	request.reconsume_times = 3;
	request.properties = SPAN_LITERAL("DELAY\0014\002");
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 1, "*", &p), 1);
	CU_ASSERT_PTR_NULL(memmem(p.messages[0].properties.data, p.messages[0].properties.size, "DELAY\0014", 7));
	/* There is one queue of dead letters, and the answer says so. */
	struct group_config two_queues = group_config_default();
	two_queues.retry_queue_nums = 2;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &two_queues, &outcome), ST_OK);
	request.queue_id = 1;
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.queue_id, 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A consumer whose broker does not take a message back sends it itself, and with it the properties that once made it a half:
 * nobody would decide it. */
static void test_a_retry_of_a_transaction_is_no_half(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("%RETRY%readers"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.properties = SPAN_LITERAL("TRAN_MSG\001true\002PGROUP\001producers\002DELAY\0012\002"),
					.body = SPAN_LITERAL("b"), .reconsume_times = 1, .max_reconsume_times = 16 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	fixture_advance(f, 5000);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
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

/* Nor does what is sent back, where the record of its retry topic goes over it first. */
static void test_what_is_sent_back_may_be_overwritten(void)
{
	enum { MESSAGES = 200, GROUPS = 40 };
	static uint8_t body[4000];
	struct fixture *f = fixture_create(NULL);
	struct send_request filler = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
				       .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				       .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result sent[MESSAGES], result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };
	size_t next = 0;
	char text[32];

	for (size_t i = 0; i < MESSAGES; i++) {
		snprintf(text, sizeof(text), "message-%zu", i);
		sent[i] = must_send(f, (struct sent){ .topic = "a-topic", .key = text });
	}
	while (commitlog_in_memory(f->log, sent[0].log_offset)) {
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
		fixture_disk(f, true);
	}
	for (size_t i = 0; i < GROUPS; i++) {
		while (!commitlog_in_memory(f->log, sent[next].log_offset))
			next++;
		snprintf(text, sizeof(text), "group-%zu", i);
		struct send_back_request back = { .group = span_of(text), .log_offset = sent[next].log_offset, .delay_level = -1,
						  .max_reconsume_times = -1 };
		CU_ASSERT_EQUAL_FATAL(core_send_back(f->core, &back, &outcome), ST_OK);
		fixture_disk(f, true);
		snprintf(text, sizeof(text), "%%DLQ%%group-%zu", i);
		CU_ASSERT_EQUAL_FATAL(fixture_pull(f, text, 0, 0, "*", &p), 1);
		snprintf(text, sizeof(text), "message-%zu", next);
		CU_ASSERT_TRUE(span_is(p.messages[0].body, text));
		CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_UNIQ_KEY), text));
	}
	pulled_free(&p);
	fixture_destroy(f);
}

/* A group may want no retries, and its retry topic may be closed: neither gets what is sent back. */
static void test_what_is_sent_back_where_no_retries_are_wanted(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config settings = group_config_default();
	struct topic_settings closed = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ };
	struct outcome outcome = { 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k" });

	settings.retry_queue_nums = 0;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	fixture_disk(f, true);
	uint64_t appended = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	settings.retry_queue_nums = 1;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("%RETRY%readers"), &closed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_PERMISSION);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_sent_messages_are_pulled_once_durable),
		CHECK_TEST(test_a_tag_filter_passes_over_the_others),
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
		CHECK_TEST(test_delayed_messages_come_when_due),
		CHECK_TEST(test_sent_back_messages_are_retried_and_die_in_the_end),
		CHECK_TEST(test_lasting_offsets_wait_and_noted_ones_are_recorded_soon),
		CHECK_TEST(test_an_offset_that_was_told_stays),
		CHECK_TEST(test_an_offset_is_told_without_room),
		CHECK_TEST(test_a_stored_offset_that_is_said_again_costs_no_record),
		CHECK_TEST(test_updates_of_the_unknown_are_refused),
		CHECK_TEST(test_a_new_groups_start),
		CHECK_TEST(test_positions_and_times_of_a_queue),
		CHECK_TEST(test_waiting_pulls_wake_when_what_fits_is_durable),
		CHECK_TEST(test_waiting_pulls_end_with_their_time_or_connection),
		CHECK_TEST(test_stored_times_never_go_back),
		CHECK_TEST(test_a_restart_gives_the_same_state),
		CHECK_TEST(test_what_was_not_durable_was_never_there),
		CHECK_TEST(test_a_pull_waits_half_a_minute_at_most),
		CHECK_TEST(test_a_retry_that_is_one_too_many_is_dead),
		CHECK_TEST(test_a_retry_of_a_transaction_is_no_half),
		CHECK_TEST(test_a_decision_may_overwrite_its_half),
		CHECK_TEST(test_what_is_sent_back_may_be_overwritten),
		CHECK_TEST(test_what_is_sent_back_where_no_retries_are_wanted),
	};
	return check_main("core", tests, sizeof(tests) / sizeof(tests[0]));
}
