/* broker/core: sending, pulls, delays and restarts, as one broker sees them. */
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

/* --- progress --------------------------------------------------------------------------------------------------- */

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
			buffer_printf(out, "progress %lld\n", (long long)fixture_query_offset(f, name, (int32_t)q, false));
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
			fixture_update_offset(f, (int32_t)(check_random(random) % 4), (int64_t)(check_random(random) % 50), check_random(random) % 2 == 0,
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

/* Without long polling a second: the client asks again. */
static void test_without_long_polling_a_pull_waits_a_second(void)
{
	struct core_config config = fixture_config();

	config.long_polling = false;
	struct fixture *f = fixture_create(&config);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	struct pull_request request = pull_of(f, "t", 0, 1, "*");
	CU_ASSERT_TRUE(core_hold_pull(f->core, &request, CONSUMER, 1, 0, 15000));
	fixture_advance(f, 900);
	CU_ASSERT_EQUAL(f->woken_count, 0);
	fixture_advance(f, 200);
	CU_ASSERT_EQUAL(f->woken_count, 1);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_sent_messages_are_pulled_once_durable),
		CHECK_TEST(test_a_tag_filter_passes_over_the_others),
		CHECK_TEST(test_delayed_messages_come_when_due),
		CHECK_TEST(test_waiting_pulls_wake_when_what_fits_is_durable),
		CHECK_TEST(test_waiting_pulls_end_with_their_time_or_connection),
		CHECK_TEST(test_stored_times_never_go_back),
		CHECK_TEST(test_a_restart_gives_the_same_state),
		CHECK_TEST(test_what_was_not_durable_was_never_there),
		CHECK_TEST(test_a_pull_waits_half_a_minute_at_most),
		CHECK_TEST(test_without_long_polling_a_pull_waits_a_second),
	};
	return check_main("core", tests, sizeof(tests) / sizeof(tests[0]));
}
