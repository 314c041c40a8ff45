/* Messages that name the time of their delivery: when do they come, what do they show, who may take them back? */
#include "core_fixture.h"

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
	expect_property(&p.messages[0], "REAL_TOPIC", "");
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
	expect_property(&p.messages[0], "DELAY", "");
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_they_come_when_due_and_not_before),
		CHECK_TEST(test_a_point_in_time),
		CHECK_TEST(test_what_is_due_comes_at_once),
		CHECK_TEST(test_refusals),
		CHECK_TEST(test_properties_of_a_timer),
		CHECK_TEST(test_properties_of_a_level),
		CHECK_TEST(test_a_half_with_a_delay_waits_from_its_commit),
		CHECK_TEST(test_a_half_with_a_time_keeps_it),
	};
	return check_main("timers", tests, sizeof(tests) / sizeof(tests[0]));
}
