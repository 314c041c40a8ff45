/* Messages that name the time of their delivery: when do they come, what do they show, who may take them back? */
#include "core_fixture.h"

#include "broker/core/recall.h"
#include "broker/core/state.h"
#include "lib/wire/recall_handle.h"

#define SECONDS "TIMER_DELAY_SEC\001"
#define MILLIS "TIMER_DELAY_MS\001"
#define AT "TIMER_DELIVER_MS\001"
#define END "\002"

/* Of the only message in t/0; true if there is none. */
static bool is_empty(struct fixture *f)
{
	struct pulled p = { .count = 0 };
	size_t count = fixture_pull(f, "t", 0, 0, "*", &p);

	pulled_free(&p);
	return count == 0;
}

static int32_t code_of(struct fixture *f, struct sent sent)
{
	struct send_result result;
	struct outcome outcome;

	return fixture_send(f, sent, &result, &outcome) == ST_OK ? RESP_SUCCESS : outcome.code;
}

static void text_of_time(char *out, size_t size, int64_t at_ms)
{
	snprintf(out, size, AT "%lld" END, (long long)at_ms);
}

/* --- when ------------------------------------------------------------------------------------------------- */

static void test_they_come_when_due_and_not_before(void)
{
	static const struct { const char *more; int64_t after_ms; } cases[] = {
		{ SECONDS "3" END, 3000 },
		{ MILLIS "1230" END, 1230 },
		/* Seconds win over milliseconds, these over a point in time; a level wins over all. */
		{ MILLIS "500" END SECONDS "2" END, 2000 },
		{ AT "1" END MILLIS "700" END, 700 },
		{ "DELAY\0011" END SECONDS "9" END MILLIS "9" END AT "9" END, 1000 },
		{ "DELAY\0010" END MILLIS "50" END, 50 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct fixture *f = fixture_create(NULL);

		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .more = cases[i].more });
		fixture_advance(f, cases[i].after_ms - 10);
		CU_ASSERT_TRUE(is_empty(f));
		fixture_advance(f, 10);
		CU_ASSERT_FALSE(is_empty(f));
		fixture_destroy(f);
	}
}

static void test_a_point_in_time(void)
{
	struct fixture *f = fixture_create(NULL);
	char more[64];

	text_of_time(more, sizeof(more), FIXTURE_WALL_MS + 2500);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .more = more });
	fixture_advance(f, 1000);
	fixture_restart(f);
	fixture_advance(f, 1490);
	CU_ASSERT_TRUE(is_empty(f));
	fixture_advance(f, 10);
	CU_ASSERT_FALSE(is_empty(f));
	fixture_destroy(f);
}

static void test_what_is_due_comes_at_once(void)
{
	static const char *const due[] = {
		AT "1" END, SECONDS "-5" END, MILLIS "0" END,
		/* It was delivered by a timer once and is sent again. */
		SECONDS "100" END "TIMER_OUT_MS\0011" END,
	};

	for (size_t i = 0; i < sizeof(due) / sizeof(due[0]); i++) {
		struct fixture *f = fixture_create(NULL);

		(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .more = due[i] });
		fixture_disk(f, true);
		CU_ASSERT_FALSE(is_empty(f));
		fixture_destroy(f);
	}
}

static void test_refusals(void)
{
	static const char *const bad[] = {
		SECONDS "259201" END, MILLIS "259200001" END, SECONDS "soon" END, MILLIS "1.5" END, AT "" "x" END,
		SECONDS "9223372036854775807" END, AT "9223372036854775807" END, AT "99999999999999999999" END,
	};
	struct fixture *f = fixture_create(NULL);
	struct core_config config = fixture_config();

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "k", .more = bad[i] }), RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "k", .more = MILLIS "259200000" END }), RESP_SUCCESS);
	fixture_destroy(f);
	config.timers = false;
	f = fixture_create(&config);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "k", .more = SECONDS "1" END }), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "k", .more = "DELAY\0011" END SECONDS "1" END }), RESP_SUCCESS);
	fixture_destroy(f);
	config = fixture_config();
	config.delayed_max = 1;
	f = fixture_create(&config);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "k", .more = SECONDS "1" END }), RESP_SUCCESS);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "l", .more = SECONDS "1" END }), RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "m" }), RESP_SUCCESS);
	fixture_destroy(f);
}

static int32_t batch_code(struct fixture *f, const char *header, const char *member)
{
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct buffer body;

	buffer_init(&body, 4096);
	batch_append(&body, &(struct batch_message){ .body = SPAN_LITERAL("one") });
	batch_append(&body, &(struct batch_message){ .body = SPAN_LITERAL("two"), .properties = span_of(member) });
	struct send_request request = { .topic = SPAN_LITERAL("t"), .default_topic = SPAN_LITERAL("TBW102"),
					.default_topic_queue_nums = 4, .properties = span_of(header), .body = buffer_span(&body), .batch = true,
					.max_reconsume_times = -1, .born_host = host_ipv4(0x0A000001, 1) };
	enum status status = core_send(f->core, &request, &result, &outcome);
	buffer_deinit(&body);
	return status == ST_OK ? RESP_SUCCESS : outcome.code;
}

/* All of a batch or nothing of it, now: nothing in it waits. */
static void test_batches_do_not_wait(void)
{
	static const char *const delayed[] = { "DELAY\0011" END, SECONDS "1" END, "TIMER_DEL_UNIQKEY\001k" END };
	struct fixture *f = fixture_create(NULL);

	for (size_t i = 0; i < sizeof(delayed) / sizeof(delayed[0]); i++) {
		CU_ASSERT_EQUAL(batch_code(f, delayed[i], ""), RESP_MESSAGE_ILLEGAL);
		CU_ASSERT_EQUAL(batch_code(f, "", delayed[i]), RESP_MESSAGE_ILLEGAL);
	}
	fixture_advance(f, 2000);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), commitlog_durable(f->log));
	CU_ASSERT_EQUAL(core_stats(f->core).message_count, 0);
	CU_ASSERT_EQUAL(batch_code(f, "DELAY\0010" END, AT "1" END), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_stats(f->core).message_count, 2);
	fixture_destroy(f);
}

/* --- what they show ------------------------------------------------------------------------------------------ */

static void expect_property(const struct message *message, const char *name, const char *value)
{
	struct span found = property_get(message->properties, name);

	if (!span_is(found, value))
		printf("%s is \"%.*s\", not \"%s\"\n", name, SPAN_ARGS(found), value);
	CU_ASSERT_TRUE(span_is(found, value));
}

static void test_properties_of_a_timer(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	char out[32], now[32];

	snprintf(out, sizeof(out), "%lld", (long long)((FIXTURE_WALL_MS + 2300 - 1) / 1000 * 1000));
	snprintf(now, sizeof(now), "%lld", (long long)FIXTURE_WALL_MS);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .more = MILLIS "2300" END });
	fixture_advance(f, 2300);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	expect_property(&p.messages[0], "TIMER_DELAY_MS", "2300");
	expect_property(&p.messages[0], "TIMER_OUT_MS", out);
	expect_property(&p.messages[0], "TIMER_ENQUEUE_MS", now);
	expect_property(&p.messages[0], "REAL_TOPIC", "t");
	expect_property(&p.messages[0], "REAL_QID", "0");
	CU_ASSERT_TRUE(span_is(p.messages[0].topic, "t"));
	pulled_free(&p);
	fixture_destroy(f);
}

static void test_properties_of_a_level(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .delay_level = 1, .queue_id = 2, .more = MILLIS "2300" END });
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 2, 0, "*", &p), 1);
	expect_property(&p.messages[0], "DELAY", "1");
	expect_property(&p.messages[0], "TIMER_DELAY_MS", "");
	expect_property(&p.messages[0], "TIMER_OUT_MS", "");
	expect_property(&p.messages[0], "REAL_TOPIC", "t");
	expect_property(&p.messages[0], "REAL_QID", "2");
	pulled_free(&p);
	fixture_destroy(f);
}

/* --- transactions --------------------------------------------------------------------------------------------- */

static void commit_after(struct fixture *f, const char *more, int64_t wait_ms)
{
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true, .more = more });

	fixture_advance(f, wait_ms);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
}

static void test_a_half_with_a_delay_waits_from_its_commit(void)
{
	struct fixture *f = fixture_create(NULL);

	commit_after(f, SECONDS "2" END, 1500);
	fixture_restart(f);
	fixture_advance(f, 1990);
	CU_ASSERT_TRUE(is_empty(f));
	fixture_advance(f, 10);
	CU_ASSERT_FALSE(is_empty(f));
	fixture_destroy(f);
}

static void test_a_half_with_a_time_keeps_it(void)
{
	struct fixture *f = fixture_create(NULL);
	char more[64];

	text_of_time(more, sizeof(more), FIXTURE_WALL_MS + 2000);
	commit_after(f, more, 1500);
	fixture_advance(f, 490);
	CU_ASSERT_TRUE(is_empty(f));
	fixture_restart(f);
	fixture_advance(f, 10);
	CU_ASSERT_FALSE(is_empty(f));
	fixture_destroy(f);
	/* Committed after its time: at once. */
	f = fixture_create(NULL);
	commit_after(f, more, 2500);
	CU_ASSERT_FALSE(is_empty(f));
	fixture_destroy(f);
}

/* --- recall --------------------------------------------------------------------------------------------------- */

static int32_t recall_as(struct fixture *f, const char *topic, const char *broker, int64_t at_ms, const char *key)
{
	struct recall_handle handle = { span_of(topic), span_of(broker), at_ms, span_of(key) };
	struct outcome outcome = { 0 };
	char found[RECALL_KEY_MAX];
	struct buffer text;

	buffer_init(&text, RECALL_HANDLE_TEXT_MAX);
	CU_ASSERT_EQUAL_FATAL(recall_handle_append(&text, &handle), ST_OK);
	struct recall_request request = { SPAN_LITERAL("t"), buffer_span(&text), SPAN_LITERAL("10.0.0.1@1") };
	enum status status = core_recall(f->core, &request, found, &outcome);
	if (status == ST_OK)
		CU_ASSERT_STRING_EQUAL(found, key);
	buffer_deinit(&text);
	return status == ST_OK ? RESP_SUCCESS : outcome.code;
}

static int32_t recall_it(struct fixture *f, const struct send_result *sent, const char *key)
{
	return recall_as(f, "t", "a", sent->recall_at_ms, key);
}

static void test_a_recalled_message_never_comes(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct send_result kept = must_send(f, (struct sent){ .topic = "t", .key = "kept", .more = SECONDS "5" END });
	struct send_result gone = must_send(f, (struct sent){ .topic = "t", .key = "gone", .more = SECONDS "5" END });

	CU_ASSERT_EQUAL(gone.recall_at_ms, (FIXTURE_WALL_MS + 5000 - 1) / 1000 * 1000 + 1);
	CU_ASSERT_EQUAL(kept.recall_at_ms, gone.recall_at_ms);
	CU_ASSERT_EQUAL(recall_it(f, &gone, "gone"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(recall_it(f, &gone, "gone"), RESP_SUCCESS); /* As often as one likes. */
	fixture_advance(f, 1000);
	fixture_restart(f);
	CU_ASSERT_EQUAL(recall_it(f, &gone, "gone"), RESP_SUCCESS);
	fixture_advance(f, 5000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "kept"));
	CU_ASSERT_EQUAL(recall_it(f, &kept, "kept"), RESP_ILLEGAL_OPERATION);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A producer that got no answer sends again; a recall means both. */
static void test_a_recall_means_resends_too(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	struct sent twice = { .topic = "t", .key = "twice", .more = SECONDS "5" END };
	struct send_result first = must_send(f, twice);

	CU_ASSERT_EQUAL(must_send(f, twice).recall_at_ms, first.recall_at_ms);
	CU_ASSERT_EQUAL(recall_it(f, &first, "twice"), RESP_SUCCESS);
	fixture_advance(f, 6000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* The log says it twice: from a snapshot that is older than the recall, from one that is younger, and without one. */
static void test_recalls_outlive_snapshots_and_restarts(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result sent[6];
	struct pulled p = { .count = 0 };
	char key[2] = "0";

	for (int i = 0; i < 6; i++, key[0]++)
		sent[i] = must_send(f, (struct sent){ .topic = "t", .key = key, .more = SECONDS "60" END });
	CU_ASSERT_EQUAL(recall_it(f, &sent[0], "0"), RESP_SUCCESS);
	fixture_snapshot(f);
	CU_ASSERT_EQUAL(recall_it(f, &sent[1], "1"), RESP_SUCCESS);
	fixture_advance(f, 50);
	fixture_restart(f);
	CU_ASSERT_EQUAL(recall_it(f, &sent[2], "2"), RESP_SUCCESS); /* Found by the hash of the snapshot's key. */
	fixture_advance(f, 50);
	fixture_restart(f);
	CU_ASSERT_EQUAL(recall_it(f, &sent[3], "3"), RESP_SUCCESS);
	fixture_snapshot(f);
	fixture_advance(f, 50);
	fixture_restart(f);
	fixture_advance(f, 60000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "4"));
	CU_ASSERT_TRUE(span_is(p.messages[1].body, "5"));
	pulled_free(&p);
	fixture_destroy(f);
}

/* A recall while a snapshot is under way, at every step of it. */
static void test_recalls_beside_a_snapshot(void)
{
	for (int step = 0; step < 12; step++) {
		struct fixture *f = fixture_create(NULL);
		struct send_result first = must_send(f, (struct sent){ .topic = "t", .key = "a", .more = SECONDS "2" END });

		(void)must_send(f, (struct sent){ .topic = "t", .key = "b", .more = SECONDS "2" END });
		fixture_disk(f, true);
		snapshotter_want(f->snapshotter);
		for (int i = 0; i < 100; i++) {
			if (i == step)
				CU_ASSERT_EQUAL(recall_it(f, &first, "a"), RESP_SUCCESS);
			fixture_snapshot_step(f);
			fixture_disk(f, true);
		}
		CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, 1);
		fixture_restart(f);
		fixture_advance(f, 2000);
		struct pulled p = { .count = 0 };
		CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
		pulled_free(&p);
		fixture_destroy(f);
	}
}

/* Sixteen of a name are found by it. While a snapshot is under way, at every step of it, one of them is delivered and another
 * one sent, which is the seventeenth to a start that knows of the delivery only later: it is recalled all the same. */
static void test_recalls_of_a_common_name_beside_a_snapshot(void)
{
	for (int step = 0; step < 12; step++) {
		struct fixture *f = fixture_create(NULL);
		struct send_result last = { 0 };
		struct pulled p = { .count = 0 };

		for (int i = 0; i < 16; i++)
			(void)must_send(f, (struct sent){ .topic = "t", .key = "a", .more = i == 0 ? SECONDS "1" END : SECONDS "60" END });
		fixture_advance(f, 990);
		snapshotter_want(f->snapshotter);
		for (int i = 0; i < 100; i++) {
			if (i == step) {
				fixture_advance(f, 10);
				last = must_send(f, (struct sent){ .topic = "t", .key = "a", .more = SECONDS "90" END });
			}
			fixture_snapshot_step(f);
			fixture_disk(f, true);
		}
		CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, 1);
		CU_ASSERT_EQUAL(recall_it(f, &last, "a"), RESP_SUCCESS);
		CU_ASSERT_EQUAL(f->core->delays.count, 15);
		fixture_disk(f, true);
		fixture_restart(f);
		CU_ASSERT_EQUAL(f->core->delays.count, 15);
		fixture_advance(f, 100000);
		CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 16);
		pulled_free(&p);
		fixture_destroy(f);
	}
}

static void test_recalls_that_do_not_fit(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k", .more = SECONDS "5" END });
	struct outcome outcome = { 0 };
	char key[RECALL_KEY_MAX];

	CU_ASSERT_EQUAL(recall_as(f, "u", "a", sent.recall_at_ms, "k"), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(recall_as(f, "t", "b", sent.recall_at_ms, "k"), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(recall_as(f, "t", "a", FIXTURE_WALL_MS, "k"), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(recall_as(f, "t", "a", FIXTURE_WALL_MS + 259200000, "k"), RESP_ILLEGAL_OPERATION);
	/* Another name or time: nothing waits under it, which is what was asked for. */
	CU_ASSERT_EQUAL(recall_as(f, "t", "a", sent.recall_at_ms, "l"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(recall_as(f, "t", "a", sent.recall_at_ms + 1000, "k"), RESP_SUCCESS);
	static const char *const bad[] = { "", "v1", "djE=", "djEgdCBhIDE=", "!!!!", "djI", "djIgdCBhIDEgaw==", "A" };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct recall_request request = { SPAN_LITERAL("t"), span_of(bad[i]), SPAN_NONE };
		CU_ASSERT_EQUAL(core_recall(f->core, &request, key, &outcome), ST_DENIED);
		CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	}
	struct recall_request unknown = { SPAN_LITERAL("nowhere"), SPAN_LITERAL("x"), SPAN_NONE };
	CU_ASSERT_EQUAL(core_recall(f->core, &unknown, key, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
	fixture_advance(f, 5000);
	CU_ASSERT_FALSE(is_empty(f));
	fixture_destroy(f);
}

/* Clients before 5.4 send a message that says which one is to go. */
static void test_a_message_recalls_another(void)
{
	static const char *const keys[] = { "TIMER_DEL_UNIQKEY\001t+a" END, "TIMER_DEL_UNIQKEY\001b" END };
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { .count = 0 };
	char more[128];

	(void)must_send(f, (struct sent){ .topic = "t", .key = "a", .more = SECONDS "5" END });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "b", .more = SECONDS "5" END });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "c", .more = SECONDS "5" END });
	for (int i = 0; i < 2; i++) {
		snprintf(more, sizeof(more), "%s" SECONDS "5" END, keys[i]);
		(void)must_send(f, (struct sent){ .topic = "t", .key = "x", .more = more });
	}
	CU_ASSERT_EQUAL(code_of(f, (struct sent){ .topic = "t", .key = "x", .more = keys[0] }), RESP_MESSAGE_ILLEGAL);
	fixture_advance(f, 20);
	fixture_restart(f);
	fixture_advance(f, 5000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "c"));
	pulled_free(&p);
	fixture_destroy(f);
}

/* The answer waits for the record, also the one that finds nothing left. */
static void test_a_recall_is_answered_when_it_is_durable(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k", .more = SECONDS "5" END });
	struct outcome outcome = { 0 };
	uint32_t count;

	fixture_disk(f, true);
	for (uint32_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(recall_named(f->core, SPAN_LITERAL("t"), SPAN_LITERAL("k"), sent.recall_at_ms - 1, SPAN_NONE, &count, &outcome),
				ST_OK);
		CU_ASSERT_EQUAL(count, 1 - i);
		CU_ASSERT_EQUAL(outcome.wait_offset, commitlog_appended(f->log));
		CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	}
	fixture_destroy(f);
}

static void test_what_nobody_may_recall(void)
{
	struct core_config config = fixture_config();
	struct fixture *f = fixture_create(&config);
	struct outcome outcome;

	CU_ASSERT_EQUAL(must_send(f, (struct sent){ .topic = "t", .key = "k" }).recall_at_ms, 0);
	CU_ASSERT_EQUAL(must_send(f, (struct sent){ .topic = "t", .key = "l", .delay_level = 1 }).recall_at_ms, 0);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .half = true, .more = SECONDS "2" END });
	CU_ASSERT_EQUAL(half.recall_at_ms, 0);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_destroy(f);
	config.recall = false;
	f = fixture_create(&config);
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k", .more = SECONDS "2" END });
	CU_ASSERT_EQUAL(recall_it(f, &sent, "k"), RESP_NO_PERMISSION);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_they_come_when_due_and_not_before),
		CHECK_TEST(test_a_point_in_time),
		CHECK_TEST(test_what_is_due_comes_at_once),
		CHECK_TEST(test_refusals),
		CHECK_TEST(test_batches_do_not_wait),
		CHECK_TEST(test_properties_of_a_timer),
		CHECK_TEST(test_properties_of_a_level),
		CHECK_TEST(test_a_half_with_a_delay_waits_from_its_commit),
		CHECK_TEST(test_a_half_with_a_time_keeps_it),
		CHECK_TEST(test_a_recalled_message_never_comes),
		CHECK_TEST(test_a_recall_means_resends_too),
		CHECK_TEST(test_recalls_outlive_snapshots_and_restarts),
		CHECK_TEST(test_recalls_beside_a_snapshot),
		CHECK_TEST(test_recalls_of_a_common_name_beside_a_snapshot),
		CHECK_TEST(test_recalls_that_do_not_fit),
		CHECK_TEST(test_a_message_recalls_another),
		CHECK_TEST(test_a_recall_is_answered_when_it_is_durable),
		CHECK_TEST(test_what_nobody_may_recall),
	};
	return check_main("timers", tests, sizeof(tests) / sizeof(tests[0]));
}
