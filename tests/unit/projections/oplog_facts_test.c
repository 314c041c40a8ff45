/* From records to facts, batches that keep them, and the table that escrow-log prints. */
#include "broker/projections/oplog_facts.h"

#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_batch.h"
#include "broker/projections/oplog_table.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "tests/support/check.h"

struct seen {
	struct oplog_txn half, txn;
	struct oplog_event events[4];
	unsigned half_count, txn_count, event_count;
};

static enum status see_half(void *context, const struct oplog_txn *half, struct errinfo *err)
{
	struct seen *seen = context;

	(void)err;
	seen->half = *half;
	seen->half_count++;
	return ST_OK;
}

static enum status see_txn(void *context, const struct oplog_txn *txn, struct errinfo *err)
{
	struct seen *seen = context;

	(void)err;
	seen->txn = *txn;
	seen->txn_count++;
	return ST_OK;
}

static enum status see_event(void *context, const struct oplog_event *event, struct errinfo *err)
{
	struct seen *seen = context;

	(void)err;
	CU_ASSERT_FATAL(seen->event_count < 4);
	seen->events[seen->event_count++] = *event;
	return ST_OK;
}

static uint8_t payload[1024];

static struct log_record record_of(enum log_kind kind, size_t size)
{
	return (struct log_record){ .kind = kind, .offset = 9000, .payload = { payload, size } };
}

static struct seen look(const struct log_record *record, int64_t *time_ms_io)
{
	struct seen seen = { .half_count = 0 };
	const struct oplog_sink sink = { see_half, see_txn, see_event, &seen };

	CU_ASSERT_EQUAL(oplog_facts(record, &sink, time_ms_io, NULL), ST_OK);
	return seen;
}

static struct log_record half_record(void)
{
	struct record_half half = {
		.half_queue_offset = 5, .store_time_ms = 1000, .immunity_ms = -1, .queue_id = 2, .topic = SPAN_LITERAL("t"),
		.group = SPAN_LITERAL("g"), .transaction_id = SPAN_LITERAL("id"), .global = { SPAN_NONE, 0, 1 },
		.message = SPAN_LITERAL("message"),
	};

	record_half_encode(&half, payload);
	return record_of(LOG_HALF, record_half_size(&half));
}

static struct log_record decision_record(enum record_outcome outcome, enum record_who who, int64_t deliver_at_ms)
{
	struct record_decision decision = {
		.half_offset = 4000, .half_queue_offset = 5, .half_store_time_ms = 1000, .body_offset = 4000,
		.message_size = 7, .outcome = outcome, .who = who, .when_ms = 1500, .answered_checks = 3,
		.request_id = 77, .queue_offset = 12, .deliver_at_ms = deliver_at_ms, .queue_id = 2,
		.topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("g"), .transaction_id = SPAN_LITERAL("id"),
		.who_text = SPAN_LITERAL("ann"), .reason = SPAN_LITERAL("why"), .global = { SPAN_NONE, 0, 1 },
	};

	record_decision_encode(&decision, payload);
	return record_of(LOG_DECISION, record_decision_size(&decision));
}

static void test_half(void)
{
	struct log_record record = half_record();
	int64_t time_ms = 0;
	struct seen seen = look(&record, &time_ms);

	CU_ASSERT_EQUAL(seen.half_count, 1);
	CU_ASSERT_EQUAL(seen.txn_count + seen.event_count, 0);
	CU_ASSERT_EQUAL(seen.half.half_offset, 9000);
	CU_ASSERT_EQUAL(seen.half.state_offset, 9000);
	CU_ASSERT_EQUAL(seen.half.half_queue_offset, 5);
	CU_ASSERT_EQUAL(seen.half.created_ms, 1000);
	CU_ASSERT_EQUAL(seen.half.state, OPLOG_PREPARED);
	CU_ASSERT_EQUAL(seen.half.decided_by, OPLOG_NOBODY);
	CU_ASSERT_EQUAL(seen.half.size, 7);
	CU_ASSERT(span_is(seen.half.transaction_id, "id"));
	CU_ASSERT_EQUAL(time_ms, 1000);
}

static void test_commit_of_a_producer_has_no_event(void)
{
	struct log_record record = decision_record(OUTCOME_COMMIT, WHO_PRODUCER, 0);
	int64_t time_ms = 2000;
	struct seen seen = look(&record, &time_ms);

	CU_ASSERT_EQUAL(seen.txn_count, 1);
	CU_ASSERT_EQUAL(seen.event_count, 0);
	CU_ASSERT_EQUAL(seen.txn.half_offset, 4000);
	CU_ASSERT_EQUAL(seen.txn.state_offset, 9000);
	CU_ASSERT_EQUAL(seen.txn.created_ms, 1000);
	CU_ASSERT_EQUAL(seen.txn.decided_ms, 1500);
	CU_ASSERT_EQUAL(seen.txn.state, OPLOG_COMMITTED);
	CU_ASSERT_EQUAL(seen.txn.decided_by, OPLOG_PRODUCER);
	CU_ASSERT_TRUE(seen.txn.has_queue_offset);
	CU_ASSERT_EQUAL(seen.txn.queue_offset, 12);
	CU_ASSERT_EQUAL(seen.txn.request_id, 77);
	CU_ASSERT_EQUAL(seen.txn.checks, 3);
	CU_ASSERT(span_is(seen.txn.reason, "why"));
	/* Time of the log never goes back. */
	CU_ASSERT_EQUAL(time_ms, 2000);
}

static void test_a_delayed_commit_has_a_time_instead_of_a_place(void)
{
	struct log_record record = decision_record(OUTCOME_COMMIT, WHO_PRODUCER, 5000);
	int64_t time_ms = 0;
	struct seen seen = look(&record, &time_ms);

	CU_ASSERT_FALSE(seen.txn.has_queue_offset);
	CU_ASSERT_EQUAL(seen.txn.deliver_at_ms, 5000);
}

static void test_decisions_of_others_and_parking_are_events(void)
{
	static const struct {
		enum record_outcome outcome;
		enum record_who who;
		enum oplog_txn_state state;
		enum oplog_event_kind event;
		enum oplog_actor actor;
	} cases[] = {
		{ OUTCOME_COMMIT, WHO_CHECKBACK, OPLOG_COMMITTED, OPLOG_DID_COMMIT, OPLOG_CHECK_BACK },
		{ OUTCOME_ROLLBACK, WHO_OPERATOR, OPLOG_ROLLED_BACK, OPLOG_DID_ROLL_BACK, OPLOG_OPERATOR },
		{ OUTCOME_COMMIT, WHO_SQL, OPLOG_COMMITTED, OPLOG_DID_COMMIT, OPLOG_SQL_REQUEST },
		{ OUTCOME_PARK, WHO_POLICY, OPLOG_PARKED, OPLOG_DID_PARK, OPLOG_POLICY },
		{ OUTCOME_RESUME, WHO_OPERATOR, OPLOG_PREPARED, OPLOG_DID_RESUME, OPLOG_OPERATOR },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct log_record record = decision_record(cases[i].outcome, cases[i].who, 0);
		int64_t time_ms = 0;
		struct seen seen = look(&record, &time_ms);
		CU_ASSERT_EQUAL(seen.txn_count, 1);
		CU_ASSERT_EQUAL_FATAL(seen.event_count, 1);
		CU_ASSERT_EQUAL(seen.txn.state, cases[i].state);
		CU_ASSERT_EQUAL(seen.txn.decided_by, cases[i].actor);
		CU_ASSERT_EQUAL(seen.txn.has_queue_offset, cases[i].outcome == OUTCOME_COMMIT);
		CU_ASSERT_EQUAL(seen.events[0].event, cases[i].event);
		CU_ASSERT_EQUAL(seen.events[0].actor, cases[i].actor);
		CU_ASSERT_EQUAL(seen.events[0].half_offset, 4000);
		CU_ASSERT_EQUAL(seen.events[0].record_offset, 9000);
		CU_ASSERT(span_is(seen.events[0].actor_name, "ann"));
	}
}

static void test_checks_are_numbered_within_their_record(void)
{
	struct record_check checks[2] = {
		{ 4000, 5, 1, 0, CHECK_ASKED, 3000, SPAN_LITERAL("c1") },
		{ 5000, 6, 4, 2, CHECK_ANSWERED_UNKNOWN, 3005, SPAN_LITERAL("c2") },
	};
	int64_t time_ms = 0;

	record_checks_encode(checks, 2, payload);
	struct log_record record = record_of(LOG_CHECK, record_checks_size(checks, 2));
	struct seen seen = look(&record, &time_ms);
	CU_ASSERT_EQUAL_FATAL(seen.event_count, 2);
	CU_ASSERT_EQUAL(seen.events[0].part, 0);
	CU_ASSERT_EQUAL(seen.events[0].event, OPLOG_CHECK_ASKED);
	CU_ASSERT_EQUAL(seen.events[0].half_offset, 4000);
	CU_ASSERT_EQUAL(seen.events[1].part, 1);
	CU_ASSERT_EQUAL(seen.events[1].event, OPLOG_CHECK_ANSWERED);
	CU_ASSERT_EQUAL(seen.events[1].checks, 2); /* Answers count, not questions. */
	CU_ASSERT(span_is(seen.events[1].actor_name, "c2"));
	CU_ASSERT_EQUAL(time_ms, 3005);
}

static void test_a_carried_half_keeps_its_place(void)
{
	struct log_record half = half_record();
	uint8_t inner[512];
	int64_t time_ms = 0;

	memcpy(inner, half.payload.data, half.payload.size);
	struct record_carry carry = { 123, LOG_HALF, { inner, half.payload.size } };
	record_carry_encode(&carry, payload);
	struct log_record record = record_of(LOG_CARRY, record_carry_size(&carry));
	struct seen seen = look(&record, &time_ms);
	CU_ASSERT_EQUAL_FATAL(seen.txn_count, 1);
	CU_ASSERT_EQUAL(seen.txn.half_offset, 123);
	CU_ASSERT_EQUAL(seen.txn.state_offset, 123);
}

static void test_a_payload_cut_short_is_corrupt_and_other_kinds_are_passed_over(void)
{
	struct seen seen = { .half_count = 0 };
	const struct oplog_sink sink = { see_half, see_txn, see_event, &seen };
	struct log_record record = decision_record(OUTCOME_COMMIT, WHO_CHECKBACK, 0);
	int64_t time_ms = 0;

	for (size_t size = 0; size < record.payload.size; size++) {
		struct log_record cut = record;
		cut.payload.size = size;
		CU_ASSERT_EQUAL(oplog_facts(&cut, &sink, &time_ms, NULL), ST_CORRUPT);
	}
	record.kind = LOG_OFFSETS;
	CU_ASSERT_EQUAL(oplog_facts(&record, &sink, &time_ms, NULL), ST_OK);
	CU_ASSERT_EQUAL(seen.half_count + seen.txn_count + seen.event_count, 0);
}

static void test_a_batch_keeps_copies_and_its_bound(void)
{
	struct log_record record = decision_record(OUTCOME_COMMIT, WHO_CHECKBACK, 0);
	int64_t time_ms = 0;
	struct seen seen = look(&record, &time_ms);
	struct oplog_batch batch;

	CU_ASSERT_EQUAL_FATAL(oplog_batch_init(&batch, 2), ST_OK);
	CU_ASSERT_EQUAL(oplog_batch_add_txn(&batch, &seen.txn), ST_OK);
	CU_ASSERT_EQUAL(oplog_batch_add_event(&batch, &seen.events[0]), ST_OK);
	memset(payload, 0, sizeof(payload));
	CU_ASSERT(span_is(batch.txns[0].transaction_id, "id"));
	CU_ASSERT(span_is(batch.txns[0].reason, "why"));
	CU_ASSERT(span_is(batch.events[0].actor_name, "ann"));
	CU_ASSERT_EQUAL(oplog_batch_rows(&batch), 2);
	struct oplog_txn again = batch.txns[0];
	CU_ASSERT_EQUAL(oplog_batch_add_txn(&batch, &again), ST_OK);
	CU_ASSERT_EQUAL(oplog_batch_add_txn(&batch, &again), ST_FULL);
	oplog_batch_reset(&batch);
	CU_ASSERT_EQUAL(oplog_batch_rows(&batch), 0);
	oplog_batch_deinit(&batch);
}

struct walked {
	unsigned txn_count;
	enum oplog_txn_state state;
	size_t step_count;
	const char *last_event;
};

static enum status walk_txn(void *context, const struct oplog_txn *txn, const struct oplog_step *steps,
			    size_t step_count, struct errinfo *err)
{
	struct walked *walked = context;

	(void)err;
	walked->txn_count++;
	walked->state = txn->state;
	walked->step_count = step_count;
	walked->last_event = steps[step_count - 1].event;
	return ST_OK;
}

static struct walked walk(const char *id, const char *group)
{
	struct oplog_table *table = oplog_table_new(span_of(id), span_of(group));
	struct walked walked = { 0, OPLOG_PREPARED, 0, "" };

	struct log_record half = half_record();
	half.offset = 4000;
	CU_ASSERT_EQUAL(oplog_table_add(table, &half, NULL), ST_OK);
	struct log_record park = decision_record(OUTCOME_PARK, WHO_POLICY, 0);
	CU_ASSERT_EQUAL(oplog_table_add(table, &park, NULL), ST_OK);
	struct log_record commit = decision_record(OUTCOME_COMMIT, WHO_PRODUCER, 0);
	commit.offset = 9500;
	CU_ASSERT_EQUAL(oplog_table_add(table, &commit, NULL), ST_OK);
	CU_ASSERT_EQUAL(oplog_table_walk(table, walk_txn, &walked, NULL), ST_OK);
	oplog_table_free(table);
	return walked;
}

static void test_the_table_has_the_latest_state_and_the_whole_story(void)
{
	struct walked walked = walk("", "");

	CU_ASSERT_EQUAL(walked.txn_count, 1);
	CU_ASSERT_EQUAL(walked.state, OPLOG_COMMITTED);
	CU_ASSERT_EQUAL(walked.step_count, 3);
	CU_ASSERT_STRING_EQUAL(walked.last_event, "committed");
	CU_ASSERT_EQUAL(walk("id", "g").txn_count, 1);
	CU_ASSERT_EQUAL(walk("other", "").txn_count, 0);
	CU_ASSERT_EQUAL(walk("", "other").txn_count, 0);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_half),
		CHECK_TEST(test_commit_of_a_producer_has_no_event),
		CHECK_TEST(test_a_delayed_commit_has_a_time_instead_of_a_place),
		CHECK_TEST(test_decisions_of_others_and_parking_are_events),
		CHECK_TEST(test_checks_are_numbered_within_their_record),
		CHECK_TEST(test_a_carried_half_keeps_its_place),
		CHECK_TEST(test_a_payload_cut_short_is_corrupt_and_other_kinds_are_passed_over),
		CHECK_TEST(test_a_batch_keeps_copies_and_its_bound),
		CHECK_TEST(test_the_table_has_the_latest_state_and_the_whole_story),
	};

	return check_main("oplog_facts", tests, sizeof(tests) / sizeof(tests[0]));
}
