/* Check-back as the core sees it: what is counted, what a restart knows of it, and who is asked when. checkback/ has the
 * tests of the schedule itself. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "lib/log/logreader.h"
#include "lib/record/record_transaction.h"

static void answer_unknown(struct fixture *f, const struct send_result *half, bool from_check)
{
	struct outcome outcome;

	CU_ASSERT_EQUAL(fixture_end(f, half, (enum record_outcome)0, from_check, &outcome), ST_OK);
}

/* Time passes under a live producer. */
static void advance_alive(struct fixture *f, int64_t by_ms)
{
	for (; by_ms > 0; by_ms -= 10000) {
		fixture_heartbeat(f, true);
		fixture_advance(f, by_ms < 10000 ? by_ms : 10000);
	}
}

/* Asks and UNKNOWN answers until `answers` have come; the fixture parks at the third. */
static void answer_times(struct fixture *f, const struct send_result *half, int answers)
{
	for (int i = 0; i < answers; i++) {
		size_t before = f->asked_count;

		for (int waited = 0; f->asked_count == before && waited < 1000; waited++)
			advance_alive(f, 100);
		CU_ASSERT_TRUE_FATAL(f->asked_count > before);
		answer_unknown(f, half, true);
		fixture_advance(f, 10);
	}
}

static uint64_t parked_count(const struct fixture *f)
{
	return core_stats(f->core).pending_now - core_stats(f->core).in_doubt_now;
}

/* `snapshot`: what is known comes from there, not from the records. */
static void check_counts_survive(bool snapshot)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	answer_times(f, &half, 2);
	if (snapshot)
		fixture_snapshot(f);
	fixture_restart(f);
	/* Two of three were answered before: one more is the last. */
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	advance_alive(f, 300000);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

static void test_counts_survive_a_restart(void)
{
	check_counts_survive(false);
	check_counts_survive(true);
}

/* While a check is under way: an UNKNOWN that is not its answer leaves it under way, and it times out as any other. */
static void test_an_unasked_unknown_is_no_answer(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	for (int waited = 0; f->asked_count == 0 && waited < 100; waited++)
		advance_alive(f, 100);
	answer_unknown(f, &half, false);
	advance_alive(f, 5200); /* The time for an answer, and a little for the next question. */
	CU_ASSERT_EQUAL(f->asked_count, 2);
	fixture_destroy(f);
}

/* An UNKNOWN that nobody asked for, and the same answer twice, are no further answers. */
static void test_only_answers_to_checks_are_counted(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_disk(f, true);
	for (int i = 0; i < 5; i++)
		answer_unknown(f, &half, false);
	answer_times(f, &half, 1);
	for (int i = 0; i < 5; i++) {
		answer_unknown(f, &half, true);
		answer_unknown(f, &half, false);
	}
	CU_ASSERT_EQUAL(parked_count(f), 0);
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	CU_ASSERT_EQUAL(f->asked_count, 3);
	fixture_destroy(f);
}

/* A producer whose connection is cut again and again, and that does not know yet, is asked no more often for that; so its
 * transaction is not given up within seconds. */
static void test_a_flapping_connection_does_not_use_the_checks_up(void)
{
	struct core_config config = fixture_config();

	config.checkback.check_max = 15;
	struct fixture *f = fixture_create(&config);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_advance(f, 6100);
	for (int cut = 0; cut < 20; cut++) {
		size_t before = f->asked_count;

		fixture_heartbeat(f, true);
		fixture_advance(f, 500);
		if (f->asked_count > before)
			answer_unknown(f, &half, true);
		fixture_advance(f, 10);
		core_connection_gone(f->core, PRODUCER);
	}
	CU_ASSERT_EQUAL(f->asked_count, 1);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	advance_alive(f, 30000 - 20 * 510 + 1000);
	CU_ASSERT_EQUAL(f->asked_count, 2);
	fixture_destroy(f);
}

/* Nor do starts of the broker, whether it knows of the answer by the record or by a snapshot. */
static void check_starts(bool snapshot)
{
	struct core_config config = fixture_config();
	size_t answers = 0;

	config.checkback.check_max = 15;
	struct fixture *f = fixture_create(&config);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_advance(f, 6100);
	for (int start = 0; start < 20; start++) {
		fixture_restart(f);
		fixture_heartbeat(f, true);
		fixture_advance(f, 500);
		if (f->asked_count > 0) {
			answer_unknown(f, &half, true);
			answers++;
		}
		fixture_advance(f, 10);
		if (snapshot && start == 5)
			fixture_snapshot(f);
		CU_ASSERT_EQUAL(core_stats(f->core).in_doubt_now, 1);
	}
	CU_ASSERT_EQUAL(answers, 1);
	advance_alive(f, 30000 - 20 * 510 + 1000);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

static void test_starts_do_not_use_the_checks_up(void)
{
	check_starts(false);
	check_starts(true);
}

/* After a start the wait goes on from the last answer. What was set on the wall clock meanwhile makes it no longer than it is. */
static void test_back_offs_survive_a_restart(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	answer_times(f, &half, 1);
	advance_alive(f, 20000);
	fixture_restart(f);
	advance_alive(f, 9900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 300);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	answer_unknown(f, &half, true);
	fixture_advance(f, 10);
	f->clock.wall_now_ms -= 24 * 3600 * 1000;
	fixture_restart(f);
	advance_alive(f, 29900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 300);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* Nobody will answer what the stopped broker asked: it is asked again as soon as somebody is there. */
static void test_a_start_waits_for_no_answer_of_before(void)
{
	for (int snapshot = 0; snapshot < 2; snapshot++) {
		struct fixture *f = fixture_create(NULL);

		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
		for (int waited = 0; f->asked_count == 0 && waited < 1000; waited++)
			advance_alive(f, 100);
		CU_ASSERT_EQUAL_FATAL(f->asked_count, 1);
		if (snapshot)
			fixture_snapshot(f);
		fixture_restart(f);
		advance_alive(f, 200);
		CU_ASSERT_EQUAL(f->asked_count, 1);
		fixture_destroy(f);
	}
}

/* Asked over several connections, of which all but the last were cut: the answers that come then are one. */
static void test_answers_that_come_at_once_are_one(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_advance(f, 6100);
	for (int cut = 0; cut < 5; cut++) {
		core_connection_gone(f->core, PRODUCER);
		fixture_heartbeat(f, true);
		fixture_advance(f, 500);
	}
	CU_ASSERT_EQUAL(f->asked_count, 5);
	for (int i = 0; i < 5; i++)
		answer_unknown(f, &half, true);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	fixture_advance(f, 10);
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	fixture_restart(f);
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	fixture_destroy(f);
}

static void test_a_resumed_one_has_all_its_checks_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	answer_times(f, &half, 3);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_RESUME, SPAN_LITERAL("dba"), &outcome), ST_OK);
	answer_times(f, &half, 2);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	fixture_restart(f); /* The record says so, too. */
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	fixture_destroy(f);
}

/* What was counted in the turn of a resume belongs to what was before it, also in the log. */
static void test_a_resume_forgets_the_answers_of_its_own_turn(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	answer_times(f, &half, 1);
	while (f->asked_count < 2)
		advance_alive(f, 100);
	answer_unknown(f, &half, true);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("dba"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_RESUME, SPAN_LITERAL("dba"), &outcome), ST_OK);
	core_turn_end(f->core);
	fixture_disk(f, true);
	fixture_restart(f);
	answer_times(f, &half, 2);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	answer_times(f, &half, 1);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	fixture_destroy(f);
}

/* More events in one turn than fit into one record: none is lost. */
static void test_many_answers_of_one_turn_are_all_recorded(void)
{
	enum { MANY = 900 };
	static struct send_result halves[MANY];
	struct core_config config = fixture_config();
	char key[16];

	config.checkback.window_start = MANY;
	struct fixture *f = fixture_create(&config);
	for (int i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		halves[i] = must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		fixture_disk(f, true);
	}
	for (int answers = 1; answers <= 3; answers++) {
		size_t wanted = f->asked_count + MANY;

		for (int waited = 0; f->asked_count < wanted && waited < 1000; waited++)
			advance_alive(f, 100);
		CU_ASSERT_EQUAL_FATAL(f->asked_count, wanted);
		for (int i = 0; i < MANY; i++)
			answer_unknown(f, &halves[i], true);
		core_turn_end(f->core);
		fixture_disk(f, true);
		fixture_restart(f);
		CU_ASSERT_EQUAL(core_stats(f->core).pending_now, MANY);
	}
	advance_alive(f, 60000);
	CU_ASSERT_EQUAL(f->asked_count, 0); /* All are parked. */
	fixture_destroy(f);
}

struct check_seen {
	size_t count;
	char last_client[64];
};

static enum status see_check(void *context, const struct record_check *check, struct errinfo *err)
{
	struct check_seen *seen = context;

	(void)err;
	seen->count++;
	snprintf(seen->last_client, sizeof(seen->last_client), "%.*s", SPAN_ARGS(check->who_text));
	return ST_OK;
}

/* The records say whom the broker asked and who answered, even if that one is gone by then; whom it asked, not who sent the half,
 * which nobody knows any more after a restart. */
static void check_who_was_asked(bool restarted)
{
	struct fixture *f = fixture_create(NULL);
	struct check_seen seen = { 0 };
	struct logreader *reader;
	struct log_record record;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_disk(f, true);
	if (restarted)
		fixture_restart(f);
	while (f->asked_count == 0)
		advance_alive(f, 100);
	answer_unknown(f, &half, true);
	core_connection_gone(f->core, PRODUCER);
	core_turn_end(f->core);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_stats(f->core).check_count, 1);
	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "/store", 0, &reader, NULL), ST_OK);
	while (logreader_next(reader, commitlog_durable(f->log), &record, NULL) == ST_OK) {
		if (record.kind != LOG_CHECK)
			continue;
		CU_ASSERT_EQUAL(record_checks_decode(record.payload, see_check, &seen, NULL), ST_OK);
		CU_ASSERT_STRING_EQUAL(seen.last_client, "10.0.0.1@1");
	}
	logreader_close(reader);
	CU_ASSERT_EQUAL(seen.count, 2);
	fixture_destroy(f);
}

static void test_the_log_says_who_was_asked(void)
{
	check_who_was_asked(false);
	check_who_was_asked(true);
}

static void test_immunity_puts_off_the_first_check(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "later", .half = true, .immunity_s = 40 });
	advance_alive(f, 39000);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	fixture_restart(f);
	advance_alive(f, 900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 2000);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	/* For a year at most. */
	(void)must_send(f, (struct sent){ .topic = "t", .key = "a year", .half = true, .immunity_s = 366 * 24 * 3600 });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "more", .half = true, .immunity_s = 366 * 24 * 3600 + 1 });
	f->asked_count = 0;
	advance_alive(f, 8000);
	CU_ASSERT_EQUAL(f->asked_count, 2); /* The first one again, and the one that asks for too much. */
	fixture_destroy(f);
}

/* The wall clock is set while the broker is down: no first check is later than its whole time, or than now. */
static void test_a_clock_that_was_set_does_not_put_off_checks(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "back", .half = true });
	fixture_disk(f, true);
	f->clock.wall_now_ms -= 24 * 3600 * 1000;
	fixture_restart(f);
	advance_alive(f, 5900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 200);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	f->clock.wall_now_ms += 48LL * 3600 * 1000;
	fixture_restart(f);
	advance_alive(f, 100);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* Who sent it is asked, not who came first of the group. */
static void test_the_sender_is_asked(void)
{
	static const struct span group = SPAN_LITERAL("producers");
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("first"), .producer_groups = &group, .producer_count = 1 };
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, PRODUCER + 10, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	fixture_heartbeat(f, true);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	fixture_advance(f, 6100);
	CU_ASSERT_EQUAL(f->asked_count, 1); /* on_ask looks at the connection. */
	fixture_destroy(f);
}

/* Past its deadline with nobody there to ask: what comes then as an answer answers nothing. */
static void test_an_answer_before_the_first_question_is_not_counted(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_advance(f, 6100);
	answer_unknown(f, &half, true);
	CU_ASSERT_EQUAL(pending_find(f->core->pending, half.queue_offset)->answered, 0);
	fixture_destroy(f);
}

/* The policy's turn comes when the half is only on the disk: it is asked for, and decided when it is there. */
static void test_the_policy_waits_for_the_disk(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	uint64_t offset = 0;
	uint32_t size = 0;

	answer_times(f, &half, 2);
	for (int i = 0; commitlog_in_memory(f->log, half.log_offset); i++) {
		CU_ASSERT_TRUE_FATAL(i < 100000);
		(void)must_send(f, (struct sent){ .topic = "other", .key = "k" });
		fixture_disk(f, true);
	}
	while (f->asked_count < 3)
		advance_alive(f, 100);
	memdisk_set_cold(f->disk, true);
	answer_unknown(f, &half, true);
	CU_ASSERT_EQUAL(parked_count(f), 0);
	CU_ASSERT_TRUE_FATAL(core_take_own_read(f->core, &offset, &size));
	CU_ASSERT_EQUAL(offset, half.log_offset);
	CU_ASSERT_TRUE(size > 0);
	memdisk_set_cold(f->disk, false);
	fixture_advance(f, 1100);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	fixture_destroy(f);
}

/* A half that a crash may still undo is not talked about. */
static void test_nobody_is_asked_about_what_is_not_durable(void)
{
	struct fixture *f = fixture_create(NULL);

	fixture_heartbeat(f, true);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	for (int i = 0; i < 800; i++) { /* Eight seconds without the disk. */
		clock_manual_advance(&f->clock, 10);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		core_tick(f->core);
	}
	CU_ASSERT_EQUAL(f->asked_count, 0);
	fixture_disk(f, true);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* Each policy decides what it says, once. */
static void test_the_policy_decides_in_the_end(void)
{
	static const enum checkback_policy policies[] = { POLICY_PARK, POLICY_ROLLBACK, POLICY_COMMIT };

	for (size_t i = 0; i < 3; i++) {
		struct core_config config = fixture_config();
		struct pulled p = { .count = 0 };
		struct outcome outcome;

		config.checkback.policy = policies[i];
		struct fixture *f = fixture_create(&config);
		struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
		answer_times(f, &half, 3);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(core_stats(f->core).pending_now, policies[i] == POLICY_PARK);
		CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), policies[i] == POLICY_COMMIT);
		uint64_t appended = commitlog_appended(f->log);
		advance_alive(f, 100000);
		CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
		/* A producer that comes back is heard if the broker only parked. */
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome),
				policies[i] == POLICY_ROLLBACK ? ST_DENIED : ST_OK);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), policies[i] != POLICY_ROLLBACK);
		pulled_free(&p);
		fixture_destroy(f);
	}
}

/* Nobody is asked about what is parked, nor is it parked again, after a start either: by an operator, who did not wait for
 * answers, or by the policy. */
static void check_parked_rests(bool by_policy, bool snapshot)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct outcome outcome = { 0 };

	fixture_disk(f, true);
	if (by_policy)
		answer_times(f, &half, 3);
	else
		CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("op"), &outcome), ST_OK);
	fixture_disk(f, true);
	if (snapshot)
		fixture_snapshot(f);
	fixture_restart(f);
	uint64_t appended = commitlog_appended(f->log);
	advance_alive(f, 100000);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	CU_ASSERT_EQUAL(parked_count(f), 1);
	fixture_destroy(f);
}

static void test_what_is_parked_rests_after_a_start(void)
{
	for (int i = 0; i < 4; i++)
		check_parked_rests((i & 1) != 0, (i & 2) != 0);
}

/* After a start from a snapshot what is left of the wait is what was left then, less the time of the stop. */
static void test_the_time_of_a_stop_counts(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	fixture_snapshot(f);
	f->clock.wall_now_ms += 5000;
	fixture_restart(f);
	advance_alive(f, 900);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 300);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* What is left to wait is noted slice by slice, and counted from when the snapshot began. */
static void test_the_time_of_a_snapshot_counts_once(void)
{
	struct fixture *f = fixture_create(NULL);
	int64_t took_ms = 0;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	snapshotter_want(f->snapshotter);
	while (snapshotter_stats(f->snapshotter).taken == 0 && took_ms < 4000) {
		fixture_snapshot_step(f);
		fixture_disk(f, true);
		advance_alive(f, 100);
		took_ms += 100;
	}
	CU_ASSERT(took_ms >= 200 && took_ms < 4000);
	fixture_restart(f);
	advance_alive(f, 5900 - took_ms);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	advance_alive(f, 200);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* Resumed long before its first deadline: asked about at once, also when a restart comes in between. */
static void test_a_resumed_one_does_not_wait_for_its_first_deadline(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true, .immunity_s = 400 });

	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("dba"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_RESUME, SPAN_LITERAL("dba"), &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_restart(f);
	advance_alive(f, 200);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	fixture_destroy(f);
}

/* Places in the table are used again; who was sent first is asked about first all the same. */
static void test_a_start_asks_in_half_order(void)
{
	static const char *const keys[] = { "a", "b", "c", "d" };
	struct fixture *f = fixture_create(NULL);
	struct send_result halves[4];
	struct outcome outcome;

	for (size_t i = 0; i < 4; i++) {
		halves[i] = must_send(f, (struct sent){ .topic = "t", .key = keys[i], .half = true });
		if (i == 2)
			CU_ASSERT_EQUAL(fixture_end(f, &halves[0], OUTCOME_COMMIT, false, &outcome), ST_OK);
	}
	fixture_disk(f, true);
	f->clock.wall_now_ms += 60 * 1000;
	fixture_restart(f);
	advance_alive(f, 100);
	CU_ASSERT_EQUAL_FATAL(f->asked_count, 3);
	for (size_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(f->asked[i], halves[i + 1].queue_offset);
	fixture_destroy(f);
}

/* Nobody but the half's own group answers for it, not even that nothing is known. */
static void test_unknown_of_another_group_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct end_request request = { .group = SPAN_LITERAL("others"), .half_queue_offset = half.queue_offset,
				       .half_offset = half.log_offset, .from_check = true, .conn_id = PRODUCER };
	struct outcome outcome = { 0 };

	while (f->asked_count == 0)
		advance_alive(f, 100);
	CU_ASSERT_EQUAL(core_end_transaction(f->core, &request, &outcome), ST_DENIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "producer group wrong"));
	CU_ASSERT_EQUAL(pending_find(f->core->pending, half.queue_offset)->answered, 0);
	fixture_destroy(f);
}

struct told {
	struct record_half half;
	struct record_decision decision;
	uint64_t decision_offset;
	struct record_conflict conflict;
	char sender[64], contradictor[64];
};

/* The last half, decision and contradiction in the log; their texts are gone, but for two. */
static struct told told_by_log(struct fixture *f)
{
	struct told told = { .decision = { .who = 0 } };
	struct logreader *reader;
	struct log_record record;

	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "/store", 0, &reader, NULL), ST_OK);
	while (logreader_next(reader, commitlog_durable(f->log), &record, NULL) == ST_OK) {
		if (record.kind == LOG_HALF) {
			CU_ASSERT_EQUAL(record_half_decode(record.payload, &told.half, NULL), ST_OK);
			snprintf(told.sender, sizeof(told.sender), "%.*s", SPAN_ARGS(told.half.client_id));
		}
		if (record.kind == LOG_DECISION) {
			CU_ASSERT_EQUAL(record_decision_decode(record.payload, &told.decision, NULL), ST_OK);
			told.decision_offset = record.offset;
		}
		if (record.kind == LOG_CONFLICT) {
			CU_ASSERT_EQUAL(record_conflict_decode(record.payload, &told.conflict, NULL), ST_OK);
			snprintf(told.contradictor, sizeof(told.contradictor), "%.*s", SPAN_ARGS(told.conflict.who_text));
		}
	}
	logreader_close(reader);
	return told;
}

/* A decision tells how many answers came before it, not questions; and a contradiction whether it was one. */
static void test_the_log_says_who_decided_after_how_many_answers(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	answer_times(f, &half, 1);
	while (f->asked_count < 3)
		advance_alive(f, 100);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, true, &outcome), ST_OK);
	struct end_request opposite = { .group = SPAN_LITERAL("producers"), .half_queue_offset = half.queue_offset,
					.half_offset = half.log_offset, .outcome = OUTCOME_ROLLBACK, .from_check = true,
					.client_id = SPAN_LITERAL("10.0.0.9@9") };
	CU_ASSERT_EQUAL(core_end_transaction(f->core, &opposite, &outcome), ST_DENIED);
	fixture_disk(f, true);
	struct told told = told_by_log(f);
	CU_ASSERT_EQUAL(told.decision.answered_checks, 1);
	CU_ASSERT_EQUAL(told.decision.who, WHO_CHECKBACK);
	CU_ASSERT_EQUAL(told.conflict.who, WHO_CHECKBACK);
	/* Time and offset of the half are the key under which MySQL has the transaction. */
	CU_ASSERT_EQUAL(told.decision.half_store_time_ms, told.half.store_time_ms);
	CU_ASSERT_TRUE(told.decision.when_ms > told.half.store_time_ms);
	CU_ASSERT_EQUAL(told.conflict.decision_offset, told.decision_offset);
	CU_ASSERT_STRING_EQUAL(told.sender, "10.0.0.1@1");
	CU_ASSERT_STRING_EQUAL(told.contradictor, "10.0.0.9@9");
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(told_by_log(f).conflict.who, WHO_PRODUCER);
	fixture_destroy(f);
}

/* Neither an answer nor a question stands behind the decision that came after it, of a producer or, here, of the policy: who reads
 * the log in its order would see a decided transaction asked about. */
static void check_order(uint32_t check_max)
{
	struct core_config config = fixture_config();
	struct outcome outcome = { 0 };
	struct logreader *reader;
	struct log_record record;
	struct check_seen seen = { 0 };
	bool decided = false;

	config.checkback.check_max = check_max;
	struct fixture *f = fixture_create(&config);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	while (f->asked_count == 0)
		advance_alive(f, 100);
	answer_unknown(f, &half, true);
	if (check_max > 1)
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	core_turn_end(f->core);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "/store", 0, &reader, NULL), ST_OK);
	while (logreader_next(reader, commitlog_durable(f->log), &record, NULL) == ST_OK) {
		CU_ASSERT_FALSE(decided && record.kind == LOG_CHECK);
		decided |= record.kind == LOG_DECISION;
		if (record.kind == LOG_CHECK)
			CU_ASSERT_EQUAL(record_checks_decode(record.payload, see_check, &seen, NULL), ST_OK);
	}
	logreader_close(reader);
	CU_ASSERT_TRUE(decided);
	CU_ASSERT_EQUAL(seen.count, 2);
	CU_ASSERT_EQUAL(told_by_log(f).decision.who, check_max > 1 ? WHO_PRODUCER : WHO_POLICY);
	fixture_destroy(f);
}

static void test_checks_stand_before_the_decision(void)
{
	check_order(3);
	check_order(1);
}

/* A half belongs to the group that it names; who sent it is another matter. */
static void test_a_half_belongs_to_the_group_that_it_names(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true, .more = "PGROUP\001others\002" });
	struct end_request request = { .group = SPAN_LITERAL("others"), .half_queue_offset = half.queue_offset,
				       .half_offset = half.log_offset, .outcome = OUTCOME_COMMIT, .conn_id = PRODUCER };

	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(core_end_transaction(f->core, &request, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_destroy(f);
}

static void test_changed_limits_count_at_once(void)
{
	struct fixture *f = fixture_create(NULL);
	struct core_config config = f->config;

	config.checkback.answer_timeout_ms = 1000;
	core_reconfigure(f->core, &config);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	advance_alive(f, 6100);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	advance_alive(f, 1200);
	CU_ASSERT_EQUAL(f->asked_count, 2);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_counts_survive_a_restart),
		CHECK_TEST(test_an_unasked_unknown_is_no_answer),
		CHECK_TEST(test_only_answers_to_checks_are_counted),
		CHECK_TEST(test_a_flapping_connection_does_not_use_the_checks_up),
		CHECK_TEST(test_starts_do_not_use_the_checks_up),
		CHECK_TEST(test_back_offs_survive_a_restart),
		CHECK_TEST(test_a_start_waits_for_no_answer_of_before),
		CHECK_TEST(test_answers_that_come_at_once_are_one),
		CHECK_TEST(test_a_resumed_one_has_all_its_checks_again),
		CHECK_TEST(test_a_resume_forgets_the_answers_of_its_own_turn),
		CHECK_TEST(test_many_answers_of_one_turn_are_all_recorded),
		CHECK_TEST(test_the_log_says_who_was_asked),
		CHECK_TEST(test_immunity_puts_off_the_first_check),
		CHECK_TEST(test_a_clock_that_was_set_does_not_put_off_checks),
		CHECK_TEST(test_the_sender_is_asked),
		CHECK_TEST(test_an_answer_before_the_first_question_is_not_counted),
		CHECK_TEST(test_the_policy_waits_for_the_disk),
		CHECK_TEST(test_nobody_is_asked_about_what_is_not_durable),
		CHECK_TEST(test_the_policy_decides_in_the_end),
		CHECK_TEST(test_what_is_parked_rests_after_a_start),
		CHECK_TEST(test_the_time_of_a_stop_counts),
		CHECK_TEST(test_the_time_of_a_snapshot_counts_once),
		CHECK_TEST(test_a_resumed_one_does_not_wait_for_its_first_deadline),
		CHECK_TEST(test_a_start_asks_in_half_order),
		CHECK_TEST(test_unknown_of_another_group_is_refused),
		CHECK_TEST(test_the_log_says_who_decided_after_how_many_answers),
		CHECK_TEST(test_checks_stand_before_the_decision),
		CHECK_TEST(test_a_half_belongs_to_the_group_that_it_names),
		CHECK_TEST(test_changed_limits_count_at_once),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("checks", tests, sizeof(tests) / sizeof(tests[0]));
}
