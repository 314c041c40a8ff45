/* What the log says must fit together: a start refuses records that cannot have been written by this program's rules, and
 * says which. And bytes of a message that look like a record are not one. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"
#include "lib/log/format.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

/* Room for one record, behind the core's back. */
static uint8_t *begin(struct fixture *f, enum log_kind kind, size_t size, uint64_t *offset_out)
{
	uint8_t *p = commitlog_begin(f->log, kind, size, offset_out);

	CU_ASSERT_PTR_NOT_NULL_FATAL(p);
	return p;
}

static void put_message(struct fixture *f, struct record_message r)
{
	uint64_t offset;

	record_message_encode(&r, begin(f, LOG_MESSAGE, record_message_size(&r), &offset));
	commitlog_commit(f->log);
}

static void put_decision(struct fixture *f, struct record_decision r)
{
	uint64_t offset;

	record_decision_encode(&r, begin(f, LOG_DECISION, record_decision_size(&r), &offset));
	commitlog_commit(f->log);
}

static void put_offset(struct fixture *f, struct record_offset r)
{
	uint64_t offset;

	record_offsets_encode(&r, 1, begin(f, LOG_OFFSETS, record_offsets_size(&r, 1), &offset));
	commitlog_commit(f->log);
}

static void put_deliver(struct fixture *f, struct record_deliver r)
{
	uint64_t offset;

	record_deliver_encode(&r, begin(f, LOG_DELIVER, record_deliver_size(&r), &offset));
	commitlog_commit(f->log);
}

/* The next start is refused, with these words, and a start without the last record would not be. */
static void check_refused(struct fixture *f, enum status expected, const char *words)
{
	struct errinfo err = { ST_OK, "" };

	fixture_disk(f, true);
	fixture_close(f);
	memdisk_kill(f->disk);
	CU_ASSERT_EQUAL(fixture_try_open(f, &err), expected);
	if (strstr(err.text, words) == NULL) {
		printf("expected \"%s\" in: %s\n", words, err.text);
		CU_FAIL("the error does not say what is wrong");
	}
	memdisk_destroy(f->disk);
	free(f);
}

static struct record_decision decision_of(const struct send_result *half)
{
	return (struct record_decision){
		.half_offset = half->log_offset, .half_queue_offset = half->queue_offset, .body_offset = half->log_offset,
		.message_size = 10, .message_delta = 100, .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER, .when_ms = FIXTURE_WALL_MS,
		.topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("producers"), .global = { SPAN_NONE, 0, 1 },
	};
}

static void test_records_that_do_not_fit_are_refused(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	put_message(f, (struct record_message){ .queue_offset = 2, .topic = SPAN_LITERAL("t"), .message = SPAN_LITERAL("xx") });
	check_refused(f, ST_CORRUPT, "queue offset 2 of t/0, expected 1");

	f = fixture_create(NULL);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	put_message(f, (struct record_message){ .queue_id = TOPIC_QUEUE_MAX, .topic = SPAN_LITERAL("t"), .message = SPAN_LITERAL("xx") });
	check_refused(f, ST_INVALID, "queue id 1024 is over 1023");

	f = fixture_create(NULL);
	put_offset(f, (struct record_offset){ SPAN_LITERAL("g"), SPAN_LITERAL("t"), TOPIC_QUEUE_MAX, 5 });
	check_refused(f, ST_CORRUPT, "queue id 1024");
}

static void test_a_half_with_another_number_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	uint64_t offset;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct record_half r = { .half_queue_offset = 5, .store_time_ms = FIXTURE_WALL_MS, .immunity_ms = -1,
				 .topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("g"), .global = { SPAN_NONE, 0, 1 },
				 .message = SPAN_LITERAL("xx") };
	record_half_encode(&r, begin(f, LOG_HALF, record_half_size(&r), &offset));
	commitlog_commit(f->log);
	check_refused(f, ST_CORRUPT, "number 5, expected 1");
}

static void test_a_decision_of_what_is_not_open_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	put_decision(f, decision_of(&half)); /* A commit after the rollback. */
	check_refused(f, ST_CORRUPT, "half 0 is not open");

	f = fixture_create(NULL);
	half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	half.log_offset += 8; /* The right number, another half. */
	put_decision(f, decision_of(&half));
	check_refused(f, ST_CORRUPT, "half 0 is not open");

	f = fixture_create(NULL);
	half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct record_decision gap = decision_of(&half);
	gap.queue_offset = 1;
	put_decision(f, gap);
	check_refused(f, ST_CORRUPT, "queue offset 1 of t/0, expected 0");
}

static void test_a_delivery_of_what_is_not_next_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "first", .delay_level = 1 });
	struct send_result second = must_send(f, (struct sent){ .topic = "t", .key = "second", .delay_level = 2 });
	put_deliver(f, (struct record_deliver){ .source_offset = second.log_offset, .body_offset = second.log_offset,
						.topic = SPAN_LITERAL("t") });
	check_refused(f, ST_CORRUPT, "is not the next delayed message");

	f = fixture_create(NULL);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "plain" });
	put_deliver(f, (struct record_deliver){ .source_offset = 4096, .body_offset = 4096, .topic = SPAN_LITERAL("t") });
	check_refused(f, ST_CORRUPT, "is not the next delayed message");
}

/* The counts of a CHECK record are for the half that it names by both offsets. */
static void test_checks_of_another_half_change_nothing(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct record_check check = { half.log_offset + 8, half.queue_offset, 9, 9, CHECK_ANSWERED_UNKNOWN, FIXTURE_WALL_MS, SPAN_NONE };
	uint64_t offset;

	record_checks_encode(&check, 1, begin(f, LOG_CHECK, record_checks_size(&check, 1), &offset));
	commitlog_commit(f->log);
	fixture_disk(f, true);
	fixture_close(f);
	memdisk_kill(f->disk);
	fixture_open(f);
	CU_ASSERT_EQUAL(pending_find(f->core->pending, half.queue_offset)->answered, 0);
	CU_ASSERT_EQUAL(pending_find(f->core->pending, half.queue_offset)->attempts, 0);
	fixture_destroy(f);
}

/* A producer puts a whole record, right offset and checksum included, into a message's body, and names its place. */
static void test_bytes_of_a_message_are_no_half(void)
{
	struct fixture *f = fixture_create(NULL);
	static uint8_t body[512];
	struct outcome outcome = { 0 };
	struct send_result sent = { 0 }, real = must_send(f, (struct sent){ .topic = "t", .key = "real", .half = true });
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"), .default_topic = SPAN_LITERAL("TBW102"),
					.default_topic_queue_nums = 4, .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct record_half forged = { .half_queue_offset = real.queue_offset, .immunity_ms = -1, .topic = SPAN_LITERAL("t"),
				      .group = SPAN_LITERAL("producers"), .global = { SPAN_NONE, 0, 1 }, .message = SPAN_LITERAL("x") };
	struct span found;
	uint64_t at = 0;

	/* Where will the body lie? As in a message of the same size before it, one record further. */
	memset(body, 0xEE, sizeof(body));
	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &sent, &outcome), ST_OK);
	uint64_t first = sent.log_offset, size = commitlog_appended(f->log) - first;
	CU_ASSERT_EQUAL_FATAL(commitlog_read(f->log, first, size, &found), ST_OK);
	const uint8_t *place = memmem(found.data, found.size, body, 64);
	CU_ASSERT_PTR_NOT_NULL_FATAL(place);
	at = ((uint64_t)(place - found.data) + first + size + 7) & ~7u;
	uint8_t *forge = body + (at - first - size - (uint64_t)(place - found.data));
	record_half_encode(&forged, forge + LOG_ENVELOPE_SIZE);
	log_seal(commitlog_id(f->log), forge, LOG_HALF, commitlog_epoch(f->log), at, record_half_size(&forged));
	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &sent, &outcome), ST_OK);
	CU_ASSERT_EQUAL(sent.log_offset, first + size);
	fixture_disk(f, true);
	struct stored_half decoded;
	CU_ASSERT_EQUAL(core_read_half(f->core, at, &decoded, &outcome.err), ST_OK); /* It does look like one. */
	CU_ASSERT_EQUAL(core_operator_decide(f->core, at, OUTCOME_COMMIT, SPAN_LITERAL("dba"), &outcome), ST_DENIED);
	struct send_result claimed = { .log_offset = at, .queue_offset = real.queue_offset };
	CU_ASSERT_EQUAL(fixture_end(f, &claimed, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	CU_ASSERT_EQUAL(core_stats(f->core).commit_count, 0);
	fixture_destroy(f);
}

/* Times come from every record that has one: a start knows the latest, whichever kind told it. */
static void test_the_latest_time_survives_whoever_told_it(void)
{
	for (int kind = 0; kind < 4; kind++) {
		struct fixture *f = fixture_create(NULL);
		struct outcome outcome;
		struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true }), plain;
		struct pulled p = { .count = 0 };

		(void)must_send(f, (struct sent){ .topic = "t", .key = "delayed", .delay_level = kind == 3 ? 4 : 0 });
		fixture_advance(f, 20 * 1000 - 10);
		if (kind == 0)
			(void)must_send(f, (struct sent){ .topic = "t", .key = "other", .half = true });
		if (kind == 1)
			CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
		if (kind == 2)
			(void)must_send(f, (struct sent){ .topic = "t", .key = "plain" });
		if (kind == 3)
			fixture_advance(f, 10);
		fixture_disk(f, true);
		f->clock.wall_now_ms = FIXTURE_WALL_MS - 5000;
		fixture_restart(f);
		plain = must_send(f, (struct sent){ .topic = "after", .key = "after" });
		fixture_disk(f, true);
		CU_ASSERT_EQUAL(plain.queue_offset, 0);
		CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "after", 0, 0, "*", &p), 1);
		CU_ASSERT_EQUAL(p.messages[0].store_timestamp, FIXTURE_WALL_MS + 20 * 1000 - (kind == 3 ? 0 : 10));
		pulled_free(&p);
		fixture_destroy(f);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_records_that_do_not_fit_are_refused),
		CHECK_TEST(test_a_half_with_another_number_is_refused),
		CHECK_TEST(test_a_decision_of_what_is_not_open_is_refused),
		CHECK_TEST(test_a_delivery_of_what_is_not_next_is_refused),
		CHECK_TEST(test_checks_of_another_half_change_nothing),
		CHECK_TEST(test_bytes_of_a_message_are_no_half),
		CHECK_TEST(test_the_latest_time_survives_whoever_told_it),
	};
	return check_main("replay", tests, sizeof(tests) / sizeof(tests[0]));
}
