/* What the key index names is shown when consumers may see it, under the name and time by which they do; halves by their id. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/key_query.h"
#include "lib/base/logging.h"

/* ST_OK: the record at `offset` has become a message with this unique key. */
static enum status look_in(struct fixture *f, uint64_t offset, const char *key, int64_t begin_ms, int64_t end_ms,
			   struct stored_message *out)
{
	struct key_query query = { .topic = SPAN_LITERAL("t"), .key = span_of(key), .begin_ms = begin_ms, .end_ms = end_ms };
	struct errinfo err;

	return core_key_message(f->core, offset, &query, out, &err);
}

static enum status look(struct fixture *f, const struct send_result *sent, const char *key, struct stored_message *out)
{
	return look_in(f, sent->log_offset, key, 0, INT64_MAX, out);
}

static void test_a_message_is_found_by_what_it_bears(void)
{
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct errinfo err;
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "unique", .tag = "red",
							      .more = "KEYS\001one two\002" });

	CU_ASSERT_EQUAL(look(f, &sent, "unique", &stored), ST_NOTFOUND); /* Not durable. */
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(look(f, &sent, "unique", &stored), ST_OK);
	CU_ASSERT_EQUAL((uint64_t)stored.message.physical_offset, sent.log_offset);
	CU_ASSERT_EQUAL(look(f, &sent, "one", &stored), ST_OK);
	CU_ASSERT_EQUAL(look(f, &sent, "two", &stored), ST_OK);
	CU_ASSERT_EQUAL(look(f, &sent, "one two", &stored), ST_NOTFOUND);
	CU_ASSERT_EQUAL(look(f, &sent, "red", &stored), ST_NOTFOUND);
	CU_ASSERT_EQUAL(look(f, &sent, "another's hash", &stored), ST_NOTFOUND);
	struct key_query query = { .topic = SPAN_LITERAL("t"), .key = SPAN_LITERAL("red"), .tag = true, .end_ms = INT64_MAX };
	CU_ASSERT_EQUAL(core_key_message(f->core, sent.log_offset, &query, &stored, &err), ST_OK);
	query.key = SPAN_LITERAL("one");
	CU_ASSERT_EQUAL(core_key_message(f->core, sent.log_offset, &query, &stored, &err), ST_NOTFOUND);
	query = (struct key_query){ .topic = SPAN_LITERAL("u"), .key = SPAN_LITERAL("one"), .end_ms = INT64_MAX };
	CU_ASSERT_EQUAL(core_key_message(f->core, sent.log_offset, &query, &stored, &err), ST_NOTFOUND);
	int64_t at = f->clock.wall_now_ms;
	CU_ASSERT_EQUAL(look_in(f, sent.log_offset, "one", at, at, &stored), ST_OK);
	CU_ASSERT_EQUAL(look_in(f, sent.log_offset, "one", at + 1, INT64_MAX, &stored), ST_NOTFOUND);
	CU_ASSERT_EQUAL(look_in(f, sent.log_offset, "one", 0, at - 1, &stored), ST_NOTFOUND);
	fixture_destroy(f);
}

static void test_a_half_is_found_once_committed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .half = true });
	struct send_result other = must_send(f, (struct sent){ .topic = "t", .key = "other", .half = true });

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(look(f, &half, "half", &stored), ST_NOTFOUND);
	int64_t sent_ms = f->clock.wall_now_ms;
	fixture_advance(f, 500);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_end(f, &other, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(look(f, &half, "half", &stored), ST_NOTFOUND); /* The decision is not durable. */
	fixture_disk(f, true);
	for (int round = 0; round < 2; round++) {
		CU_ASSERT_EQUAL_FATAL(look(f, &half, "half", &stored), ST_OK);
		CU_ASSERT_TRUE((uint64_t)stored.message.physical_offset > half.log_offset);
		CU_ASSERT_EQUAL((uint64_t)stored.message.prepared_transaction_offset, half.log_offset);
		CU_ASSERT_TRUE(stored.message.store_timestamp >= sent_ms + 500);
		CU_ASSERT_EQUAL(look_in(f, half.log_offset, "half", 0, sent_ms, &stored), ST_NOTFOUND);
		CU_ASSERT_EQUAL(look(f, &other, "other", &stored), ST_NOTFOUND);
		fixture_restart(f);
	}
	fixture_destroy(f);
}

static void test_a_delayed_message_is_found_once_delivered(void)
{
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "late", .delay_level = 1 });

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(look(f, &sent, "late", &stored), ST_NOTFOUND);
	fixture_advance(f, 1500);
	CU_ASSERT_EQUAL_FATAL(look(f, &sent, "late", &stored), ST_OK);
	CU_ASSERT_TRUE((uint64_t)stored.message.physical_offset > sent.log_offset);
	fixture_destroy(f);
}

static void check_view(struct fixture *f, const struct send_result *half)
{
	struct stored_message stored;
	struct known_properties known;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(core_half_view(f->core, half->log_offset, &stored, &err), ST_OK);
	properties_scan(stored.message.properties, &known);
	CU_ASSERT_TRUE(span_is(stored.message.topic, TOPIC_HALF));
	CU_ASSERT_TRUE(span_is(known.real_topic, "t"));
	CU_ASSERT_TRUE(span_is(known.real_qid, "2"));
	CU_ASSERT_TRUE(span_is(known.uniq_key, "half"));
	CU_ASSERT_TRUE(span_is(stored.message.body, "half"));
	CU_ASSERT_EQUAL(stored.message.queue_id, 0);
	CU_ASSERT_EQUAL((uint64_t)stored.message.queue_offset, half->queue_offset);
	CU_ASSERT_EQUAL((uint64_t)stored.message.physical_offset, half->log_offset);
	CU_ASSERT_EQUAL(stored.message.sys_flag & SYSFLAG_TRANSACTION_MASK, SYSFLAG_TRANSACTION_NONE);
}

static void test_a_half_is_seen_by_its_own_name(void)
{
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct outcome outcome;
	struct errinfo err;
	struct send_result plain = must_send(f, (struct sent){ .topic = "t", .key = "plain" });
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .queue_id = 2, .half = true });

	CU_ASSERT_EQUAL(core_half_view(f->core, half.log_offset, &stored, &err), ST_NOTFOUND); /* Not durable. */
	fixture_disk(f, true);
	check_view(f, &half);
	fixture_restart(f);
	check_view(f, &half);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	fixture_disk(f, true);
	check_view(f, &half);
	CU_ASSERT_EQUAL(core_half_view(f->core, plain.log_offset, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(core_half_view(f->core, half.log_offset + 1, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(core_half_view(f->core, UINT64_MAX, &stored, &err), ST_NOTFOUND);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_message_is_found_by_what_it_bears),
		CHECK_TEST(test_a_half_is_found_once_committed),
		CHECK_TEST(test_a_delayed_message_is_found_once_delivered),
		CHECK_TEST(test_a_half_is_seen_by_its_own_name),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("key query", tests, sizeof(tests) / sizeof(tests[0]));
}
