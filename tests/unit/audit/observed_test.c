/* lib/audit/observed: what clients saw against hand-built logs. Agreeing ones pass, each way of disagreeing is found. */
#include "tests/unit/audit/audit_log.h"

#include "lib/audit/observed.h"

/* A log in memory, to be held against several observations. */
struct kept_record {
	struct log_record record;
	uint8_t payload[512];
};

struct run {
	struct audit_log log; /* Builds the records; its audit shows that the log by itself is sound. */
	struct observed *observed;
	struct kept_record records[64];
	size_t record_count;
	struct noted noted[NOTED_MAX];
	size_t noted_count;
};

static void note_difference(void *context, const struct audit_violation *violation)
{
	struct run *run = context;

	assert(run->noted_count < NOTED_MAX);
	struct noted *noted = &run->noted[run->noted_count++];
	noted->violation = *violation;
	snprintf(noted->text, sizeof(noted->text), "%s", violation->text);
}

static void begin_run(struct run *run)
{
	memset(run, 0, sizeof(*run));
	begin_log(&run->log, LOG_SEGMENT_HEADER_SIZE);
	run->observed = observed_create(note_difference, run);
	assert(run->observed != NULL);
}

static uint64_t keep(struct run *run, unsigned kind, const uint8_t *payload, size_t size)
{
	struct kept_record *kept = &run->records[run->record_count++];

	assert(run->record_count <= 64 && size <= sizeof(kept->payload));
	memcpy(kept->payload, payload, size);
	uint64_t offset = put_record(&run->log, kind, payload, size);
	kept->record = (struct log_record){ .kind = kind, .epoch = 1, .offset = offset,
					    .size = (uint32_t)commitlog_record_size(size), .payload = { kept->payload, size } };
	return offset;
}

#define KEEP_ENCODED(run, kind, type, record_pointer)                                    \
	__extension__({                                                                  \
		uint8_t payload_[512];                                                   \
		assert(record_##type##_size(record_pointer) <= sizeof(payload_));        \
		record_##type##_encode(record_pointer, payload_);                        \
		keep(run, kind, payload_, record_##type##_size(record_pointer));         \
	})

static void keep_half(struct run *run, struct stored_half *stored, int64_t delay_ms)
{
	struct record_half half = next_half(&run->log, stored);

	half.delay_ms = delay_ms;
	stored->half = half;
	stored->delta = stored->body_delta = (uint16_t)(LOG_ENVELOPE_SIZE + record_half_size(&half) - half.message.size);
	stored->offset = stored->body_offset = KEEP_ENCODED(run, LOG_HALF, half, &half);
}

static uint64_t keep_decision(struct run *run, const struct stored_half *stored, enum record_outcome outcome)
{
	struct record_decision r = decision_on(&run->log, stored, outcome);

	if (outcome == OUTCOME_COMMIT && r.deliver_at_ms == 0)
		run->log.queue_offsets[r.queue_id]++;
	return KEEP_ENCODED(run, LOG_DECISION, decision, &r);
}

/* Gives the log's first `count` records to the observations. */
static void compare(struct run *run, size_t count, struct observed_end end)
{
	struct errinfo err;
	uint8_t epoch[32] = { 0 };
	struct log_record first = { .kind = LOG_EPOCH, .epoch = 1, .offset = LOG_SEGMENT_HEADER_SIZE, .size = 64,
				    .payload = { epoch, sizeof(epoch) } };

	CU_ASSERT_EQUAL(observed_record(run->observed, &first, &err), ST_OK);
	for (size_t i = 0; i < count; i++)
		CU_ASSERT_EQUAL(observed_record(run->observed, &run->records[i].record, &err), ST_OK);
	CU_ASSERT_EQUAL(observed_end(run->observed, &end, &err), ST_OK);
	CU_ASSERT_EQUAL(observed_violations(run->observed), run->noted_count);
	EXPECT_CLEAN(&run->log);
}

static const struct observed_end everything = { .at_rest = true, .all_asks = true, .all_read = true };

/* Exactly this, or with text NULL nothing, was found. */
static void end_run(struct run *run, enum audit_invariant invariant, const char *text, int line)
{
	bool right = text == NULL ? run->noted_count == 0
				  : run->noted_count == 1 && run->noted[0].violation.invariant == invariant &&
					    strstr(run->noted[0].text, text) != NULL;

	if (!right)
		fprintf(stderr, "line %d: expected %s \"%s\", got %zu:\n", line, audit_invariant_code(invariant),
			text == NULL ? "nothing" : text, run->noted_count);
	for (size_t i = 0; !right && i < run->noted_count; i++)
		fprintf(stderr, "    %s: %s\n", audit_invariant_code(run->noted[i].violation.invariant), run->noted[i].text);
	CU_ASSERT(right);
	observed_destroy(run->observed);
	end_log(&run->log);
}
#define END_CLEAN(run) end_run(run, AUDIT_FORMAT, NULL, __LINE__)
#define END_WITH(run, invariant, text) end_run(run, invariant, text, __LINE__)

static struct observed_half as_acked(const struct stored_half *half)
{
	return (struct observed_half){ half->half.group, half->half.unique_key, half->offset, half->half.half_queue_offset, 1000 };
}

static void ack_half(struct run *run, const struct stored_half *half)
{
	struct observed_half acked = as_acked(half);

	observed_half(run->observed, &acked);
}

static struct observed_message as_seen(const struct stored_half *half, uint64_t log_offset, uint64_t queue_offset)
{
	return (struct observed_message){ half->half.topic, half->half.queue_id, queue_offset, log_offset, half->half.unique_key,
					  true, 2000 };
}

static void see(struct run *run, struct observed_message message)
{
	observed_message(run->observed, &message);
}

static void commit_and_see(struct run *run, struct stored_half *half)
{
	uint64_t queue_offset = run->log.queue_offsets[1];

	keep_half(run, half, 0);
	ack_half(run, half);
	observed_asked(run->observed, half->offset, OUTCOME_COMMIT);
	uint64_t name = keep_decision(run, half, OUTCOME_COMMIT);
	observed_told(run->observed, half->offset, OUTCOME_COMMIT);
	see(run, as_seen(half, name, queue_offset));
}

/* --- agreement ------------------------------------------------------------------------------------------------- */

static void test_clients_and_log_that_agree(void)
{
	struct run run;
	struct stored_half a, b, c, d;
	struct span group = SPAN_LITERAL("readers"), topic = SPAN_LITERAL("orders");

	begin_run(&run);
	commit_and_see(&run, &a);
	ack_half(&run, &a); /* A resend. */
	keep_half(&run, &b, 0);
	ack_half(&run, &b);
	keep_decision(&run, &b, OUTCOME_ROLLBACK);
	observed_told(run.observed, b.offset, OUTCOME_ROLLBACK);
	keep_half(&run, &c, 0);
	ack_half(&run, &c);
	keep_decision(&run, &c, OUTCOME_PARK);
	keep_half(&run, &d, 5000);
	ack_half(&run, &d);
	observed_asked(run.observed, d.offset, OUTCOME_COMMIT);
	struct record_decision late = decision_on(&run.log, &d, OUTCOME_COMMIT);
	uint64_t source = KEEP_ENCODED(&run, LOG_DECISION, decision, &late);
	struct record_deliver deliver = deliver_commit(&run.log, &late, source);
	uint64_t name = KEEP_ENCODED(&run, LOG_DELIVER, deliver, &deliver);
	see(&run, as_seen(&d, name, deliver.queue_offset));
	struct record_message m = message_for(&run.log, 0, 0);
	uint64_t sent = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	observed_send(run.observed, &(struct observed_send){ topic, 0, sent, 0, 0 });
	see(&run, (struct observed_message){ topic, 0, 0, sent, SPAN_LITERAL("M1"), false, 2000 });
	struct record_offset offsets[] = { { group, topic, 0, 4 }, { group, topic, 0, 3 } };
	uint8_t payload[128];
	observed_offset(run.observed, &(struct observed_offset){ group, topic, 0, 4 }, true);
	observed_offset(run.observed, &(struct observed_offset){ group, topic, 0, 3 }, false);
	record_offsets_encode(offsets, 2, payload);
	keep(&run, LOG_OFFSETS, payload, record_offsets_size(offsets, 2));
	compare(&run, run.record_count, everything);
	END_CLEAN(&run);
}

/* What an observer did not hear of is no violation: the answers were lost. */
static void test_a_log_may_hold_more_than_was_heard(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	keep_half(&run, &half, 0);
	keep_decision(&run, &half, OUTCOME_COMMIT);
	keep_half(&run, &half, 0);
	struct record_message m = message_for(&run.log, 0, 0);
	KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	compare(&run, run.record_count, everything);
	END_CLEAN(&run);
}

static void test_what_the_log_no_longer_holds_is_passed_over(void)
{
	struct run run;
	struct stored_half half;
	struct errinfo err;

	begin_run(&run);
	commit_and_see(&run, &half);
	struct observed_send send = { SPAN_LITERAL("orders"), 0, half.offset + 8, 0, 0 };
	observed_send(run.observed, &send);
	struct log_record later = { .kind = LOG_BATCH, .epoch = 1, .offset = 1 << 20, .size = 48 };
	CU_ASSERT_EQUAL(observed_record(run.observed, &later, &err), ST_OK);
	struct observed_end end = everything;
	CU_ASSERT_EQUAL(observed_end(run.observed, &end, &err), ST_OK);
	END_CLEAN(&run);
}

/* --- halves and decisions ------------------------------------------------------------------------------------------ */

static void test_a_half_that_is_lost_or_another(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	compare(&run, 0, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_KEPT, "is not in the log");

	begin_run(&run);
	keep_half(&run, &half, 0);
	struct observed_half acked = as_acked(&half);
	acked.key = SPAN_LITERAL("other");
	observed_half(run.observed, &acked);
	compare(&run, 1, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_KEPT, "is not the one that was acknowledged");

	begin_run(&run);
	keep_half(&run, &half, 0);
	acked = as_acked(&half);
	observed_half(run.observed, &acked);
	acked.half_queue_offset = 9;
	observed_half(run.observed, &acked);
	CU_ASSERT_EQUAL(run.noted_count, 1);
	END_WITH(&run, AUDIT_READABLE, "another half's place");

	begin_run(&run);
	keep_half(&run, &half, 0);
	acked = as_acked(&half);
	observed_half(run.observed, &acked);
	acked.half_offset += 8;
	observed_half(run.observed, &acked);
	END_WITH(&run, AUDIT_READABLE, "a resend of half K0");
}

static void test_a_decision_that_is_lost_or_another(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	observed_told(run.observed, half.offset, OUTCOME_COMMIT);
	compare(&run, 1, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_READABLE, "the log has no decision");

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	keep_decision(&run, &half, OUTCOME_ROLLBACK);
	observed_told(run.observed, half.offset, OUTCOME_COMMIT);
	compare(&run, 2, everything);
	END_WITH(&run, AUDIT_FIRST_DECISION, "in the log it is rolled back");

	begin_run(&run);
	keep_half(&run, &half, 0);
	observed_told(run.observed, half.offset, OUTCOME_COMMIT);
	observed_told(run.observed, half.offset, OUTCOME_ROLLBACK);
	END_WITH(&run, AUDIT_FIRST_DECISION, "another: rolled back");

	begin_run(&run);
	keep_half(&run, &half, 0);
	keep_decision(&run, &half, OUTCOME_COMMIT);
	ack_half(&run, &half);
	compare(&run, 2, (struct observed_end){ .all_asks = true });
	END_WITH(&run, AUDIT_INVISIBLE, "nobody asked for it");
}

static void test_what_stays_undecided(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	compare(&run, 1, (struct observed_end){ .now_ms = 6000, .resolve_within_ms = 4000 });
	END_WITH(&run, AUDIT_RESOLVED, "undecided after 5000 ms");

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	compare(&run, 1, (struct observed_end){ .now_ms = 5000, .resolve_within_ms = 4000 });
	END_CLEAN(&run);

	begin_run(&run);
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	compare(&run, 1, (struct observed_end){ .at_rest = true });
	END_WITH(&run, AUDIT_RESOLVED, "still undecided");
}

/* --- what consumers see ----------------------------------------------------------------------------------------------- */

static void test_what_is_seen_is_what_the_log_publishes(void)
{
	struct run run;
	struct stored_half half;
	struct span topic = SPAN_LITERAL("orders");

	begin_run(&run); /* A message that the log does not have. */
	see(&run, (struct observed_message){ topic, 1, 0, 8000, SPAN_LITERAL("X"), true, 1 });
	compare(&run, 0, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_INVISIBLE, "where the log publishes none");

	begin_run(&run); /* An undecided half. */
	keep_half(&run, &half, 0);
	see(&run, as_seen(&half, half.offset, 0));
	compare(&run, 1, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_INVISIBLE, "where the log publishes none");

	begin_run(&run); /* One that nobody saw. */
	keep_half(&run, &half, 0);
	ack_half(&run, &half);
	keep_decision(&run, &half, OUTCOME_COMMIT);
	compare(&run, 2, (struct observed_end){ .all_read = true });
	END_WITH(&run, AUDIT_READABLE, "nobody saw it");

	begin_run(&run); /* At another place. */
	keep_half(&run, &half, 0);
	see(&run, as_seen(&half, keep_decision(&run, &half, OUTCOME_COMMIT), 1));
	compare(&run, 2, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_ORDERED, "puts it elsewhere");

	begin_run(&run); /* With another body. */
	keep_half(&run, &half, 0);
	struct observed_message message = as_seen(&half, keep_decision(&run, &half, OUTCOME_COMMIT), 0);
	message.key = SPAN_LITERAL("K7");
	see(&run, message);
	compare(&run, 2, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_READABLE, "another key");
}

static void test_messages_keep_their_names_and_places(void)
{
	struct run run;
	struct stored_half half;
	struct observed_message message;

	begin_run(&run); /* Another message at its place. */
	commit_and_see(&run, &half);
	message = as_seen(&half, run.log.at, 0);
	message.key = SPAN_LITERAL("K8");
	see(&run, message);
	END_WITH(&run, AUDIT_FIRST_DECISION, "stood the message");

	begin_run(&run); /* The same transaction twice. */
	commit_and_see(&run, &half);
	see(&run, as_seen(&half, run.log.at, 1));
	END_WITH(&run, AUDIT_ONCE, "was seen as message");

	begin_run(&run); /* The same message with another key: another body under its name. */
	commit_and_see(&run, &half);
	message = as_seen(&half, run.records[1].record.offset, 0);
	message.key = SPAN_LITERAL("K8");
	see(&run, message);
	END_WITH(&run, AUDIT_FIRST_DECISION, "with another key or place");
}

static void test_a_transaction_is_published_once(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	commit_and_see(&run, &half);
	keep_decision(&run, &half, OUTCOME_COMMIT);
	CU_ASSERT_EQUAL(run.log.noted_count, 1); /* The audit finds it too. */
	run.log.noted_count = 0;
	compare(&run, run.record_count, everything);
	END_WITH(&run, AUDIT_ONCE, "is published as");
}

/* A commit with a delay, delivered and rolled back: the two stand in records of different kinds. */
static void test_a_transaction_is_not_published_and_rolled_back(void)
{
	struct run run;
	struct stored_half half;

	begin_run(&run);
	keep_half(&run, &half, 5000);
	ack_half(&run, &half);
	struct record_decision late = decision_on(&run.log, &half, OUTCOME_COMMIT);
	uint64_t source = KEEP_ENCODED(&run, LOG_DECISION, decision, &late);
	struct record_deliver deliver = deliver_commit(&run.log, &late, source);
	KEEP_ENCODED(&run, LOG_DELIVER, deliver, &deliver);
	keep_decision(&run, &half, OUTCOME_ROLLBACK);
	CU_ASSERT_EQUAL(run.log.noted_count, 1);
	run.log.noted_count = 0;
	compare(&run, run.record_count, (struct observed_end){ .at_rest = true });
	END_WITH(&run, AUDIT_INVISIBLE, "is published and rolled back");
}

/* --- sends and offsets ---------------------------------------------------------------------------------------------------- */

static void test_sends_that_are_lost_moved_or_early(void)
{
	struct run run;
	struct span topic = SPAN_LITERAL("orders");

	begin_run(&run);
	observed_send(run.observed, &(struct observed_send){ topic, 0, run.log.at, 0, 0 });
	compare(&run, 0, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_READABLE, "is not in the log");

	begin_run(&run);
	struct record_message m = message_for(&run.log, 0, 0);
	uint64_t at = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	observed_send(run.observed, &(struct observed_send){ topic, 0, at, 1, 0 });
	compare(&run, 1, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_READABLE, "another place than was acknowledged");

	begin_run(&run);
	m = message_for(&run.log, 0, 0);
	at = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	observed_send(run.observed, &(struct observed_send){ topic, 0, at, 0, 0 });
	compare(&run, 1, (struct observed_end){ .all_read = true });
	END_WITH(&run, AUDIT_READABLE, "nobody saw it");

	for (int early = 0; early < 2; early++) {
		begin_run(&run);
		m = message_for(&run.log, 0, 5000);
		at = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
		observed_send(run.observed, &(struct observed_send){ topic, 0, at, 0, 7000 });
		struct record_deliver deliver = deliver_message(&run.log, &m, at);
		uint64_t name = KEEP_ENCODED(&run, LOG_DELIVER, deliver, &deliver);
		see(&run, (struct observed_message){ topic, 0, 0, name, SPAN_NONE, false, 7000 - early });
		compare(&run, 2, everything);
		if (early)
			END_WITH(&run, AUDIT_INVISIBLE, "1 ms before its time");
		else
			END_CLEAN(&run);
	}

	begin_run(&run);
	m = message_for(&run.log, 0, 5000);
	at = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	observed_send(run.observed, &(struct observed_send){ topic, 0, at, 0, 7000 });
	compare(&run, 1, (struct observed_end){ .now_ms = 8000, .at_rest = true });
	END_WITH(&run, AUDIT_READABLE, "is due and was not delivered");
}

static void test_a_delayed_send_is_delivered_once(void)
{
	struct run run;

	begin_run(&run);
	struct record_message m = message_for(&run.log, 0, 5000);
	uint64_t at = KEEP_ENCODED(&run, LOG_MESSAGE, message, &m);
	observed_send(run.observed, &(struct observed_send){ m.topic, 0, at, 0, 7000 });
	struct record_deliver deliver = deliver_message(&run.log, &m, at);
	KEEP_ENCODED(&run, LOG_DELIVER, deliver, &deliver);
	deliver.queue_offset++;
	KEEP_ENCODED(&run, LOG_DELIVER, deliver, &deliver);
	CU_ASSERT_EQUAL(run.log.noted_count, 1);
	run.log.noted_count = 0;
	compare(&run, run.record_count, (struct observed_end){ .at_rest = true });
	END_WITH(&run, AUDIT_ONCE, "is published again");
}

static void test_a_consumer_offset_that_is_forgotten(void)
{
	struct run run;
	struct observed_offset offset = { SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 0, 12 };
	struct record_offset logged = { offset.group, offset.topic, 0, 11 };
	uint8_t payload[128];

	for (int asked_later = 0; asked_later < 2; asked_later++) {
		begin_run(&run);
		observed_offset(run.observed, &offset, false);
		observed_offset(run.observed, &offset, true);
		if (asked_later)
			observed_offset(run.observed, &(struct observed_offset){ offset.group, offset.topic, 0, 11 }, false);
		record_offsets_encode(&logged, 1, payload);
		keep(&run, LOG_OFFSETS, payload, record_offsets_size(&logged, 1));
		compare(&run, 1, (struct observed_end){ 0 });
		if (asked_later)
			END_CLEAN(&run);
		else
			END_WITH(&run, AUDIT_READABLE, "consumer offset 12 was acknowledged; the log has 11");
	}
	begin_run(&run);
	observed_offset(run.observed, &offset, true);
	compare(&run, 0, (struct observed_end){ 0 });
	END_WITH(&run, AUDIT_READABLE, "consumer offset 12 was acknowledged; the log has -1");
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_clients_and_log_that_agree),
		CHECK_TEST(test_a_log_may_hold_more_than_was_heard),
		CHECK_TEST(test_what_the_log_no_longer_holds_is_passed_over),
		CHECK_TEST(test_a_half_that_is_lost_or_another),
		CHECK_TEST(test_a_decision_that_is_lost_or_another),
		CHECK_TEST(test_what_stays_undecided),
		CHECK_TEST(test_what_is_seen_is_what_the_log_publishes),
		CHECK_TEST(test_messages_keep_their_names_and_places),
		CHECK_TEST(test_a_transaction_is_published_once),
		CHECK_TEST(test_a_transaction_is_not_published_and_rolled_back),
		CHECK_TEST(test_sends_that_are_lost_moved_or_early),
		CHECK_TEST(test_a_delayed_send_is_delivered_once),
		CHECK_TEST(test_a_consumer_offset_that_is_forgotten),
	};

	return check_main("observed", tests, sizeof(tests) / sizeof(tests[0]));
}
