/* checkback/: one test for each rule of checkback.h. */
#include "tests/unit/checkback/checkback_fixture.h"

enum { GROUP = 3, OTHER_GROUP = 70, CONN_A = 11, CONN_B = 12 };

/* Asked exactly `count` times in all; about this half and on this connection the last time. */
static void expect_asked(const struct world *w, size_t count, uint64_t half, uint64_t conn)
{
	CU_ASSERT_EQUAL_FATAL(w->asked_count, count);
	CU_ASSERT_EQUAL(w->asked[count - 1].half, half);
	CU_ASSERT_EQUAL(w->asked[count - 1].conn, conn);
}

static void test_first_check_comes_at_the_deadline_and_goes_to_the_sender(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	world_open(w, 0, GROUP, CONN_B);
	world_pass(w, 5990);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 0);
	world_pass(w, 10);
	expect_asked(w, 1, 0, CONN_B);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 1);
	CU_ASSERT_EQUAL(pending_find(w->table, 0)->attempts, 1);
	world_decide(w, 0);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 0);
	world_pass(w, 600000);
	CU_ASSERT_EQUAL(w->asked_count, 1);
	world_free(w);
}

static void test_what_is_decided_in_time_is_never_asked_about(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	for (uint64_t half = 0; half < 100; half++)
		world_open(w, half, GROUP, CONN_A);
	world_pass(w, 3000);
	for (uint64_t half = 0; half < 100; half++)
		world_decide(w, half);
	world_pass(w, 60000);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	world_free(w);
}

static void test_no_answer_means_another_producer_and_is_not_counted(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 6000);
	expect_asked(w, 1, 0, CONN_A);
	world_pass(w, 4990);
	CU_ASSERT_EQUAL(w->asked_count, 1);
	world_pass(w, 10);
	expect_asked(w, 2, 0, CONN_B);
	world_pass(w, 5000);
	expect_asked(w, 3, 0, CONN_A);
	world_pass(w, 600000);
	CU_ASSERT_EQUAL(pending_find(w->table, 0)->answered, 0);
	CU_ASSERT_EQUAL(w->exhausted_count, 0);
	CU_ASSERT_TRUE(pending_find(w->table, 0)->attempts > 100);
	world_free(w);
}

static void test_a_lone_producer_that_did_not_answer_is_asked_again(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 11000);
	expect_asked(w, 2, 0, CONN_A);
	world_free(w);
}

static void test_a_silent_producer_does_not_get_the_others_questions(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 100);
	world_open(w, 1, GROUP, CONN_A);
	world_pass(w, 5900);
	expect_asked(w, 1, 0, CONN_A);
	world_pass(w, 100); /* Half 1: A is not known to be silent yet. */
	expect_asked(w, 2, 1, CONN_A);
	world_pass(w, 5000);
	expect_asked(w, 4, 1, CONN_B);
	world_open_delayed(w, 2, GROUP, CONN_A, 0);
	world_pass(w, 10 + 32);
	expect_asked(w, 5, 2, CONN_B);
	world_free(w);
}

static void test_a_slow_answer_is_an_answer(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A);
	world_open(w, 1, GROUP, CONN_A);
	world_pass(w, 6000);
	CU_ASSERT_EQUAL(w->asked_count, 2);
	world_pass(w, 7000); /* Timed out, asked again. */
	CU_ASSERT_EQUAL(w->asked_count, 4);
	world_unknown(w, 0);
	world_decide(w, 1);
	world_pass(w, 29990);
	CU_ASSERT_EQUAL(w->asked_count, 4);
	world_pass(w, 20);
	expect_asked(w, 5, 0, CONN_A);
	world_free(w);
}

static void test_unknown_backs_off_and_exhausts_after_check_max_answers(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 6000);
	for (uint32_t answered = 1; answered < 15; answered++) {
		int64_t expected_ms = answered <= 3 ? 30000 : answered == 4 ? 60000 : answered == 5 ? 120000 : 240000;

		expect_asked(w, answered, 0, CONN_A);
		world_unknown(w, 0);
		CU_ASSERT_EQUAL(checkback_backoff_ms(&w->config, answered), expected_ms);
		world_pass(w, expected_ms - STEP_MS);
		CU_ASSERT_EQUAL(w->asked_count, answered);
		world_pass(w, 3 * STEP_MS);
	}
	expect_asked(w, 15, 0, CONN_A);
	CU_ASSERT_EQUAL(w->exhausted_count, 0);
	world_unknown(w, 0);
	CU_ASSERT_EQUAL(w->exhausted_count, 1);
	CU_ASSERT_EQUAL(w->exhausted_half, 0);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 0);
	world_pass(w, 3600000); /* Parked: kept, and left alone. */
	CU_ASSERT_EQUAL(w->asked_count, 15);
	CU_ASSERT_PTR_NOT_NULL(pending_find(w->table, 0));
	world_unknown(w, 0); /* A late one about a parked one. */
	world_pass(w, 3600000);
	CU_ASSERT_EQUAL(w->asked_count, 15);
	world_free(w);
}

static void test_a_policy_decision_that_fails_comes_again(void)
{
	struct world *w = world_new();

	w->park_fails = true;
	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A)->answered = 14;
	world_pass(w, 6000);
	world_unknown(w, 0);
	CU_ASSERT_EQUAL(w->exhausted_count, 1);
	world_pass(w, 3200);
	CU_ASSERT_TRUE(w->exhausted_count >= 3);
	w->park_fails = false;
	world_pass(w, 1100);
	size_t count = w->exhausted_count;
	world_pass(w, 10000);
	CU_ASSERT_EQUAL(w->exhausted_count, count);
	CU_ASSERT_EQUAL(w->asked_count, 1);
	world_free(w);
}

static void test_without_producers_nothing_is_counted_or_lost(void)
{
	struct world *w = world_new();

	for (uint64_t half = 0; half < 500; half++)
		world_open(w, half, GROUP, 0);
	world_pass(w, 3600000);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	CU_ASSERT_EQUAL(w->exhausted_count, 0);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 500);
	CU_ASSERT_EQUAL(pending_find(w->table, 7)->attempts, 0);
	world_free(w);
}

static void test_return_of_a_group_asks_all_in_doubt_in_half_order_within_a_second(void)
{
	struct world *w = world_new();
	size_t answered = 0;

	for (uint64_t half = 0; half < 1000; half++)
		world_open(w, half, GROUP, 0);
	world_pass(w, 60000);
	world_open(w, 1000, GROUP, 0); /* Young: its local transaction may be running. */
	world_open_delayed(w, 1001, GROUP, 0, 3600000);
	world_seen(w, GROUP, CONN_A);
	CU_ASSERT_EQUAL(w->asked_count, 128);
	/* A round trip per tick. */
	for (int step = 0; step < 100; step++) {
		size_t asked = w->asked_count;
		for (; answered < asked; answered++)
			world_decide(w, w->asked[answered].half);
		world_pass(w, STEP_MS);
	}
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 1000);
	for (uint64_t half = 0; half < 1000; half++)
		CU_ASSERT_EQUAL(w->asked[half].half, half);
	CU_ASSERT_EQUAL(pending_count(w->table), 2);
	world_free(w);
}

/* But no sooner than one interval after the last answer. */
static void test_return_of_a_group_ends_its_back_offs(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	for (uint64_t half = 0; half < 6; half++)
		world_open(w, half, GROUP, CONN_A)->answered = (uint16_t)(5 - half);
	world_pass(w, 6000);
	CU_ASSERT_EQUAL(w->asked_count, 6);
	for (uint64_t half = 0; half < 6; half++)
		world_unknown(w, half); /* Into back-offs of different length, the oldest half into the longest. */
	world_pass(w, 1000);
	world_seen(w, GROUP, CONN_B); /* Another one joins: that is no return. */
	world_pass(w, 1000);
	CU_ASSERT_EQUAL(w->asked_count, 6);
	checkback_producer_gone(w->checkback, GROUP, CONN_A);
	checkback_producer_gone(w->checkback, GROUP, CONN_B);
	world_pass(w, 1000);
	CU_ASSERT_EQUAL(w->asked_count, 6);
	world_seen(w, GROUP, CONN_B);
	world_pass(w, 26990);
	CU_ASSERT_EQUAL(w->asked_count, 6);
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 12);
	for (uint64_t half = 0; half < 6; half++) {
		CU_ASSERT_EQUAL(w->asked[6 + half].half, half);
		CU_ASSERT_EQUAL(w->asked[6 + half].conn, CONN_B);
		world_unknown(w, half);
	}
	world_pass(w, 31000); /* Once only: now they back off again, the youngest two for one interval. */
	CU_ASSERT_EQUAL(w->asked_count, 14);
	world_seen(w, GROUP, CONN_A); /* No return either, however long they have rested. */
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL(w->asked_count, 14);
	checkback_producer_gone(w->checkback, GROUP, CONN_A);
	/* After an interval at once; and what was not answered, however often. */
	checkback_producer_gone(w->checkback, GROUP, CONN_B);
	world_seen(w, GROUP, CONN_A);
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 20);
	world_unknown(w, 5);
	checkback_producer_gone(w->checkback, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_A);
	CU_ASSERT_EQUAL(w->asked_count, 25);
	for (size_t i = 20; i < w->asked_count; i++)
		CU_ASSERT_NOT_EQUAL(w->asked[i].half, 5);
	world_free(w);
}

/* Producers that are gone again before anything was asked: however often, the next one is asked when it may be. */
static void test_short_returns_do_not_hide_a_long_one(void)
{
	for (int returns = 1; returns <= 9; returns++) {
		struct world *w = world_new();

		world_seen(w, GROUP, CONN_A);
		world_open(w, 0, GROUP, CONN_A)->answered = 6;
		world_pass(w, 6000);
		CU_ASSERT_EQUAL_FATAL(w->asked_count, 1);
		world_unknown(w, 0);
		world_pass(w, 10);
		for (int i = 0; i < returns; i++) {
			checkback_producer_gone(w->checkback, GROUP, CONN_A);
			CU_ASSERT_EQUAL(checkback_producer_seen(w->checkback, GROUP, CONN_A), ST_OK);
		}
		world_pass(w, 29980);
		CU_ASSERT_EQUAL(w->asked_count, 1);
		world_pass(w, 10);
		CU_ASSERT_EQUAL(w->asked_count, 2);
		world_free(w);
	}
}

static void test_a_connection_that_goes_frees_its_questions_at_once(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 6000);
	expect_asked(w, 1, 0, CONN_A);
	checkback_producer_gone(w->checkback, GROUP, CONN_A);
	checkback_dispatch(w->checkback, w->now_ms);
	expect_asked(w, 2, 0, CONN_B);
	checkback_producer_gone(w->checkback, GROUP, CONN_B);
	checkback_producer_gone(w->checkback, GROUP, CONN_B);
	checkback_producer_gone(w->checkback, OTHER_GROUP, CONN_B);
	world_pass(w, 60000);
	CU_ASSERT_EQUAL(w->asked_count, 2);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 1);
	world_free(w);
}

static void test_a_connection_that_ends_while_it_is_asked_loses_nothing(void)
{
	struct world *w = world_new();

	w->dying_conn = CONN_A;
	w->dying_group = GROUP;
	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 6000);
	CU_ASSERT_EQUAL(w->dying_conn, 0);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	world_seen(w, GROUP, CONN_B);
	world_pass(w, 150);
	expect_asked(w, 1, 0, CONN_B);
	world_free(w);
}

static void test_immunity_replaces_the_first_deadline(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_open_delayed(w, 0, GROUP, CONN_A, 100000); /* Longer than one turn of the wheel. */
	world_open(w, 3, GROUP, CONN_A);
	world_open_delayed(w, 1, GROUP, CONN_A, 1000); /* Due before the one that came before it. */
	world_open(w, 2, GROUP, CONN_A);
	world_decide(w, 3);
	world_pass(w, 990);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	world_pass(w, 50);
	expect_asked(w, 1, 1, CONN_A);
	world_decide(w, 1);
	world_pass(w, 4960);
	expect_asked(w, 2, 2, CONN_A);
	world_decide(w, 2);
	world_pass(w, 93990);
	CU_ASSERT_EQUAL(w->asked_count, 2);
	world_pass(w, 50);
	expect_asked(w, 3, 0, CONN_A);
	world_free(w);
}

static void test_unknown_before_the_first_deadline_changes_nothing(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_open(w, 0, GROUP, CONN_A);
	world_open_delayed(w, 1, GROUP, CONN_A, 20000);
	world_unknown(w, 0);
	world_unknown(w, 1);
	world_pass(w, 6000);
	expect_asked(w, 1, 0, CONN_A);
	world_decide(w, 0);
	world_pass(w, 14040);
	expect_asked(w, 2, 1, CONN_A);
	world_free(w);
}

static void test_window_grows_by_answers_and_halves_on_time_outs(void)
{
	struct checkback_config config = checkback_config_default();

	config.bytes_per_second = 0;
	struct world *w = world_with(config);
	size_t answered = 0;

	world_seen(w, GROUP, CONN_A);
	for (uint64_t half = 0; half < 3000; half++)
		world_open_delayed(w, half, GROUP, CONN_A, 0);
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL(w->asked_count, 128);
	for (; answered < 1200; answered++)
		world_decide(w, w->asked[answered].half);
	/* 1,200 answers: the window is at its most. */
	CU_ASSERT_EQUAL(w->asked_count, 1200 + 1024);
	size_t before = w->asked_count;
	world_pass(w, 5000); /* All time out: half of that is asked again. */
	CU_ASSERT_EQUAL(w->asked_count, before + 512);
	before = w->asked_count;
	world_pass(w, 5000);
	CU_ASSERT_EQUAL(w->asked_count, before + 256);
	world_pass(w, 40000); /* Down to the least. */
	before = w->asked_count;
	world_pass(w, 5000);
	CU_ASSERT_EQUAL(w->asked_count, before + 16);
	world_free(w);
}

static void test_a_stuck_connection_costs_a_bounded_number_of_tries(void)
{
	struct world *w = world_new();

	w->stuck_conn = CONN_A;
	world_seen(w, GROUP, CONN_A);
	for (uint64_t half = 0; half < 5000; half++)
		world_open_delayed(w, half, GROUP, CONN_A, 0);
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL(w->refused_count, 256);
	for (int i = 0; i < 100; i++)
		checkback_dispatch(w->checkback, w->now_ms);
	CU_ASSERT_EQUAL(w->refused_count, 256);
	CU_ASSERT_EQUAL(pending_find(w->table, 0)->attempts, 0);
	w->stuck_conn = 0;
	world_pass(w, 400);
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 128);
	world_decide(w, w->asked[0].half);
	world_pass(w, 200);
	CU_ASSERT_EQUAL(w->asked_count, 130); /* One free place, and one more for the answer. */
	world_free(w);
}

/* What waits for a sender that reads nothing is asked of somebody who does; and does not keep what is younger from being asked. */
static void test_a_sender_that_reads_nothing_keeps_no_question_from_others(void)
{
	struct world *w = world_new();

	w->full_conn = CONN_A;
	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	for (uint64_t half = 0; half < 300; half++)
		world_open_delayed(w, half, GROUP, half < 250 ? CONN_A : CONN_B, 0);
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 128);
	for (size_t i = 0; i < 172; i++)
		world_decide(w, w->asked[i].half);
	CU_ASSERT_EQUAL(w->asked_count, 300);
	for (size_t i = 0; i < w->asked_count; i++) {
		CU_ASSERT_EQUAL(w->asked[i].half, i);
		CU_ASSERT_EQUAL(w->asked[i].conn, CONN_B);
	}
	world_free(w);
}

/* With nobody else, it is asked when it reads again. */
static void test_a_sender_that_reads_again_is_asked(void)
{
	struct world *w = world_new();

	w->full_conn = CONN_A;
	world_seen(w, GROUP, CONN_A);
	world_open_delayed(w, 0, GROUP, CONN_A, 0);
	world_pass(w, 1000);
	CU_ASSERT_EQUAL(w->asked_count, 0);
	w->full_conn = 0;
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL(w->asked_count, 1);
	world_free(w);
}

static void test_groups_share_the_byte_budget(void)
{
	struct checkback_config config = checkback_config_default();

	config.bytes_per_second = 1000 * HALF_BYTES;
	config.window_start = config.window_max = 100000;
	struct world *w = world_with(config);

	world_seen(w, GROUP, CONN_A);
	world_seen(w, OTHER_GROUP, CONN_B);
	for (uint64_t half = 0; half < 5000; half++)
		world_open_delayed(w, half, half < 2700 ? GROUP : OTHER_GROUP, half < 2700 ? CONN_A : CONN_B, 0);
	for (int step = 0; step < 300; step++) {
		world_pass(w, STEP_MS);
		/* Turns of the loop without a tick must not add to anybody's share. */
		for (int turn = 0; turn < 20; turn++)
			checkback_dispatch(w->checkback, w->now_ms);
	}
	size_t first_group = 0;
	for (size_t i = 0; i < w->asked_count; i++)
		first_group += w->asked[i].conn == CONN_A;
	/* One second's worth at once, then three seconds'. */
	CU_ASSERT_TRUE(w->asked_count >= 3900 && w->asked_count <= 4100);
	CU_ASSERT_TRUE(first_group >= w->asked_count * 4 / 10 && first_group <= w->asked_count * 6 / 10);
	world_free(w);
}

static void test_a_resumed_one_is_asked_about_at_once(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	struct pending *entry = world_open(w, 0, GROUP, CONN_A);
	entry->answered = 14;
	world_pass(w, 6000);
	world_unknown(w, 0);
	CU_ASSERT_EQUAL(entry->state, TXN_PARKED);
	entry->state = TXN_PREPARED;
	entry->attempts = entry->answered = 0;
	checkback_opened(w->checkback, entry, 0, w->now_ms);
	world_pass(w, 2 * STEP_MS);
	expect_asked(w, 2, 0, CONN_A);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 1);
	world_free(w);
}

static void test_millions_due_at_once_are_taken_in_slices(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	for (uint64_t half = 0; half < 12000; half++)
		world_open_delayed(w, half, GROUP, 0, 0);
	world_pass(w, STEP_MS);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 5000);
	CU_ASSERT_EQUAL(w->asked_count, 128);
	world_pass(w, 2 * STEP_MS);
	CU_ASSERT_EQUAL(checkback_in_doubt(w->checkback), 12000);
	world_free(w);
}

/* Whose sender is not there is asked about anybody: each in his turn. */
static void test_questions_without_a_sender_go_round(void)
{
	struct world *w = world_new();
	size_t of_a = 0;

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	for (uint64_t half = 0; half < 10; half++)
		world_open(w, half, GROUP, 0);
	world_pass(w, 6000);
	CU_ASSERT_EQUAL_FATAL(w->asked_count, 10);
	for (size_t i = 0; i < 10; i++)
		of_a += w->asked[i].conn == CONN_A;
	CU_ASSERT_EQUAL(of_a, 5);
	world_free(w);
}

/* Who has answered since is asked again about what it sent itself. */
static void test_an_answer_ends_a_silence(void)
{
	struct world *w = world_new();

	world_seen(w, GROUP, CONN_A);
	world_seen(w, GROUP, CONN_B);
	world_open(w, 0, GROUP, CONN_A);
	world_pass(w, 11000);
	expect_asked(w, 2, 0, CONN_B); /* A has not answered. */
	world_decide(w, 0);
	checkback_producer_gone(w->checkback, GROUP, CONN_B);
	world_open_delayed(w, 1, GROUP, CONN_A, 0);
	world_pass(w, 50);
	expect_asked(w, 3, 1, CONN_A);
	world_decide(w, 1);
	world_seen(w, GROUP, CONN_B);
	world_open_delayed(w, 2, GROUP, CONN_A, 0);
	world_pass(w, 50);
	expect_asked(w, 4, 2, CONN_A);
	world_free(w);
}

/* A quiet hour does not make up for a limit: no more than a second's bytes come at once. */
static void test_the_byte_budget_is_not_saved_up(void)
{
	struct checkback_config config = checkback_config_default();

	config.bytes_per_second = 100 * HALF_BYTES;
	config.window_start = config.window_max = 100000;
	struct world *w = world_with(config);

	world_seen(w, GROUP, CONN_A);
	world_pass(w, 60000);
	for (uint64_t half = 0; half < 1000; half++)
		world_open_delayed(w, half, GROUP, CONN_A, 0);
	world_pass(w, 2 * STEP_MS);
	CU_ASSERT_TRUE(w->asked_count >= 100 && w->asked_count <= 103);
	world_free(w);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_first_check_comes_at_the_deadline_and_goes_to_the_sender),
		CHECK_TEST(test_what_is_decided_in_time_is_never_asked_about),
		CHECK_TEST(test_no_answer_means_another_producer_and_is_not_counted),
		CHECK_TEST(test_a_lone_producer_that_did_not_answer_is_asked_again),
		CHECK_TEST(test_a_silent_producer_does_not_get_the_others_questions),
		CHECK_TEST(test_a_slow_answer_is_an_answer),
		CHECK_TEST(test_unknown_backs_off_and_exhausts_after_check_max_answers),
		CHECK_TEST(test_a_policy_decision_that_fails_comes_again),
		CHECK_TEST(test_without_producers_nothing_is_counted_or_lost),
		CHECK_TEST(test_return_of_a_group_asks_all_in_doubt_in_half_order_within_a_second),
		CHECK_TEST(test_return_of_a_group_ends_its_back_offs),
		CHECK_TEST(test_short_returns_do_not_hide_a_long_one),
		CHECK_TEST(test_a_connection_that_goes_frees_its_questions_at_once),
		CHECK_TEST(test_a_connection_that_ends_while_it_is_asked_loses_nothing),
		CHECK_TEST(test_immunity_replaces_the_first_deadline),
		CHECK_TEST(test_unknown_before_the_first_deadline_changes_nothing),
		CHECK_TEST(test_window_grows_by_answers_and_halves_on_time_outs),
		CHECK_TEST(test_a_stuck_connection_costs_a_bounded_number_of_tries),
		CHECK_TEST(test_a_sender_that_reads_nothing_keeps_no_question_from_others),
		CHECK_TEST(test_a_sender_that_reads_again_is_asked),
		CHECK_TEST(test_groups_share_the_byte_budget),
		CHECK_TEST(test_a_resumed_one_is_asked_about_at_once),
		CHECK_TEST(test_millions_due_at_once_are_taken_in_slices),
		CHECK_TEST(test_questions_without_a_sender_go_round),
		CHECK_TEST(test_an_answer_ends_a_silence),
		CHECK_TEST(test_the_byte_budget_is_not_saved_up),
	};
	return check_main("checkback", tests, sizeof(tests) / sizeof(tests[0]));
}
