/* lib/audit over logs built by hand: sound ones pass, and each way of being wrong is found, once, and named rightly. */
#include "tests/unit/audit/audit_log.h"

enum { WHOLE = LOG_SEGMENT_HEADER_SIZE };

/* --- sound logs -------------------------------------------------------------------------------------------- */

static void test_a_sound_log_of_every_kind_passes(void)
{
	struct audit_log log;
	struct stored_half a, b, c, d;

	begin_log(&log, WHOLE);
	struct record_topic topic = { .read_queue_nums = 4, .write_queue_nums = 4, .perm = 6, .name = SPAN_LITERAL("orders") };
	PUT_ENCODED(&log, LOG_TOPIC, topic, &topic);
	struct record_group group = { .name = SPAN_LITERAL("readers"), .retry_queue_nums = 1 };
	PUT_ENCODED(&log, LOG_GROUP, group, &group);
	put_half(&log, &a);
	put_half(&log, &b);
	put_message(&log, 1, 0);
	uint64_t committed = put_decision(&log, &a, OUTCOME_COMMIT);
	struct record_conflict conflict = conflict_on(&log, &a, committed, OUTCOME_COMMIT);
	PUT_ENCODED(&log, LOG_CONFLICT, conflict, &conflict);
	put_check(&log, &b, CHECK_ASKED, 1, 0);
	put_check(&log, &b, CHECK_ANSWERED_UNKNOWN, 1, 1);
	for (int i = 0; i < 2; i++) {
		struct record_decision r = decision_on(&log, &b, i == 0 ? OUTCOME_PARK : OUTCOME_RESUME);
		r.answered_checks = 1;
		put_this_decision(&log, &r);
	}
	put_check(&log, &b, CHECK_ASKED, 1, 0);
	put_decision(&log, &b, OUTCOME_ROLLBACK);
	put_half_with_delay(&log, &c, 5000);
	carry_half(&log, &c);
	struct record_decision delayed = decision_on(&log, &c, OUTCOME_COMMIT);
	uint64_t source = put_this_decision(&log, &delayed);
	put_epoch(&log);
	struct record_deliver deliver = deliver_commit(&log, &delayed, source);
	put_this_deliver(&log, &deliver);
	struct record_message later = message_for(&log, 2, 1000);
	uint64_t later_at = put_this_message(&log, &later);
	deliver = deliver_message(&log, &later, later_at);
	put_this_deliver(&log, &deliver);
	struct record_timer_cancel cancel = { put_message(&log, 2, 1000), log.now_ms, SPAN_LITERAL("op"), SPAN_LITERAL("t"), SPAN_LITERAL("k") };
	PUT_ENCODED(&log, LOG_TIMER_CANCEL, timer_cancel, &cancel);
	struct record_snapshot_mark mark = { .snapshot_offset = WHOLE, .generation = 1 };
	PUT_ENCODED(&log, LOG_SNAPSHOT_MARK, snapshot_mark, &mark);
	put_half(&log, &d);
	EXPECT_CLEAN(&log);
	struct audit_facts facts = facts_of(&log);
	CU_ASSERT(facts.whole);
	CU_ASSERT_EQUAL(facts.half_count, 4);
	CU_ASSERT_EQUAL(facts.committed_count, 2);
	CU_ASSERT_EQUAL(facts.rolled_back_count, 1);
	CU_ASSERT_EQUAL(facts.open_count, 1);
	CU_ASSERT_EQUAL(facts.parked_count + facts.unknown_count + facts.earlier_count, 0);
	CU_ASSERT_EQUAL(facts.published_count, 2);
	CU_ASSERT_EQUAL(facts.plain_count, 2);
	CU_ASSERT_EQUAL(facts.delayed_count, 0);
	CU_ASSERT_EQUAL(facts.topic_queue_count, 2);
	CU_ASSERT_EQUAL(facts.first_epoch, 1);
	CU_ASSERT_EQUAL(facts.last_epoch, 2);
	CU_ASSERT_EQUAL(facts.kind_count[LOG_CARRY], 1);
	CU_ASSERT_EQUAL(facts.end, log.at);
	CU_ASSERT_EQUAL(facts.violation_count, 0);
	end_log(&log);
}

/* Everything that the log's beginning held is spoken of after it is gone. */
static void test_a_log_without_its_beginning_passes(void)
{
	struct audit_log log;
	struct stored_half old[5];
	const uint64_t start = 1 << 20;

	begin_log(&log, WHOLE);
	for (int i = 0; i < 5; i++)
		put_half_with_delay(&log, &old[i], i == 4 ? 5000 : 0);
	struct record_decision late = decision_on(&log, &old[4], OUTCOME_COMMIT);
	uint64_t late_at = put_this_decision(&log, &late);
	struct record_message waits = message_for(&log, 3, 1000);
	uint64_t waits_at = put_this_message(&log, &waits);
	uint64_t queue_offset = 900;
	struct audit_log before = log;
	end_log(&log);

	begin_log(&log, start);
	log.now_ms = before.now_ms;
	for (int i = 0; i < 4; i++)
		log.queue_offsets[i] = queue_offset;
	put_check(&log, &old[0], CHECK_ANSWERED_UNKNOWN, 7, 3);
	put_check(&log, &old[0], CHECK_ANSWERED_UNKNOWN, 7, 4);
	struct record_decision r = decision_on(&log, &old[0], OUTCOME_COMMIT);
	r.answered_checks = 4;
	put_this_decision(&log, &r);
	carry_half(&log, &old[1]);
	carry_half(&log, &old[1]);
	put_decision(&log, &old[1], OUTCOME_COMMIT);
	put_decision(&log, &old[2], OUTCOME_RESUME); /* It was parked. */
	put_decision(&log, &old[2], OUTCOME_ROLLBACK);
	struct record_conflict conflict = conflict_on(&log, &old[3], old[3].offset + 800, OUTCOME_ROLLBACK);
	PUT_ENCODED(&log, LOG_CONFLICT, conflict, &conflict);
	struct record_deliver deliver = deliver_commit(&log, &late, late_at);
	put_this_deliver(&log, &deliver);
	deliver = deliver_message(&log, &waits, waits_at);
	put_this_deliver(&log, &deliver);
	log.next_half = 57;
	struct stored_half fresh;
	put_half(&log, &fresh);
	put_half(&log, &fresh);
	EXPECT_CLEAN(&log);
	struct audit_facts facts = facts_of(&log);
	CU_ASSERT_FALSE(facts.whole);
	CU_ASSERT_EQUAL(facts.half_count, 2);
	CU_ASSERT_EQUAL(facts.earlier_count, 4);
	CU_ASSERT_EQUAL(facts.committed_count, 2);
	CU_ASSERT_EQUAL(facts.rolled_back_count, 2);
	CU_ASSERT_EQUAL(facts.open_count, 2);
	CU_ASSERT_EQUAL(facts.unknown_body_count, 3);
	CU_ASSERT_EQUAL(facts.unknown_carry_count, 1);
	CU_ASSERT_EQUAL(facts.published_count, 3);
	end_log(&log);
}

/* --- I2, I3, I4: decisions ----------------------------------------------------------------------------------- */

static void test_a_second_decision_is_found(void)
{
	static const struct {
		enum record_outcome first, second;
		enum audit_invariant invariant;
		const char *text;
	} cases[] = {
		{ OUTCOME_COMMIT, OUTCOME_COMMIT, AUDIT_ONCE, "committed already" },
		{ OUTCOME_COMMIT, OUTCOME_ROLLBACK, AUDIT_FIRST_DECISION, "which is committed" },
		{ OUTCOME_ROLLBACK, OUTCOME_COMMIT, AUDIT_INVISIBLE, "which is rolled back" },
		{ OUTCOME_ROLLBACK, OUTCOME_ROLLBACK, AUDIT_FIRST_DECISION, "rolled back already" },
		{ OUTCOME_COMMIT, OUTCOME_PARK, AUDIT_FIRST_DECISION, "which is committed" },
		{ OUTCOME_ROLLBACK, OUTCOME_RESUME, AUDIT_FIRST_DECISION, "which is rolled back" },
		{ OUTCOME_PARK, OUTCOME_PARK, AUDIT_FIRST_DECISION, "parked already" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct audit_log log;
		struct stored_half half;

		begin_log(&log, WHOLE);
		put_half(&log, &half);
		uint64_t first = put_decision(&log, &half, cases[i].first);
		EXPECT_CLEAN(&log);
		uint64_t second = put_decision(&log, &half, cases[i].second);
		CU_ASSERT(log.noted[0].violation.other == first || cases[i].first == OUTCOME_PARK);
		EXPECT(&log, cases[i].invariant, second, cases[i].text);
		end_log(&log);
	}
}

static void test_who_may_not_decide_is_found(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	struct record_decision r = decision_on(&log, &half, OUTCOME_PARK);
	r.who = WHO_PRODUCER;
	EXPECT(&log, AUDIT_FIRST_DECISION, put_this_decision(&log, &r), "not this one's to decide");
	r = decision_on(&log, &half, OUTCOME_RESUME);
	EXPECT(&log, AUDIT_FIRST_DECISION, put_this_decision(&log, &r), "prepared already");
	put_decision(&log, &half, OUTCOME_COMMIT);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

typedef void (*change_decision)(struct record_decision *r);
static void other_group(struct record_decision *r) { r->group = SPAN_LITERAL("payerz"); }
static void other_topic(struct record_decision *r) { r->topic = SPAN_LITERAL("orderz"); r->queue_offset = 0; }
static void other_queue(struct record_decision *r) { r->queue_id = 2; }
static void other_id(struct record_decision *r) { r->transaction_id = SPAN_LITERAL("K9"); }
static void other_time(struct record_decision *r) { r->half_store_time_ms++; }
static void other_tag(struct record_decision *r) { r->tag_hash++; }
static void other_size(struct record_decision *r) { r->message_size++; }
static void other_delta(struct record_decision *r) { r->message_delta -= 1; }
static void other_body(struct record_decision *r) { r->body_offset += 8; }
static void other_half(struct record_decision *r) { r->half_offset += 8; r->body_offset += 8; }
static void no_such_half(struct record_decision *r) { r->half_queue_offset = 77; }
static void a_delay(struct record_decision *r) { r->deliver_at_ms = r->when_ms + 5; r->queue_offset = 0; }

static void test_a_decision_that_does_not_fit_its_half_is_found(void)
{
	static const struct {
		change_decision change;
		enum audit_invariant invariant;
		const char *text;
	} cases[] = {
		{ other_group, AUDIT_FIRST_DECISION, "another group" },
		{ other_topic, AUDIT_FIRST_DECISION, "another topic" },
		{ other_queue, AUDIT_FIRST_DECISION, "another queue" },
		{ other_id, AUDIT_FIRST_DECISION, "another transaction id" },
		{ other_time, AUDIT_FIRST_DECISION, "another store time" },
		{ other_tag, AUDIT_FIRST_DECISION, "another tag" },
		{ other_size, AUDIT_READABLE, "the half has one of 60 bytes" },
		{ other_delta, AUDIT_READABLE, "finds a message" },
		{ other_body, AUDIT_READABLE, "no record holds it" },
		{ other_half, AUDIT_FIRST_DECISION, "but that half is at" },
		{ no_such_half, AUDIT_INVISIBLE, "not in the log" },
		{ a_delay, AUDIT_INVISIBLE, "has a delay of 0 ms" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct audit_log log;
		struct stored_half half, other;

		begin_log(&log, WHOLE);
		put_half(&log, &half);
		struct record_decision r = decision_on(&log, &half, OUTCOME_COMMIT);
		cases[i].change(&r);
		EXPECT(&log, cases[i].invariant, put_this_decision(&log, &r), cases[i].text);
		/* It goes on: what is right after it is not blamed. */
		log.queue_offsets[1] = r.queue_id == 1 && span_is(r.topic, "orders") && r.deliver_at_ms == 0;
		put_half(&log, &other);
		put_decision(&log, &other, OUTCOME_COMMIT);
		EXPECT_CLEAN(&log);
		end_log(&log);
	}
}

static void test_a_decision_on_an_older_half_is_final_too(void)
{
	struct audit_log log;
	struct stored_half half = { 0 }, newer;

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	put_half(&log, &newer);
	end_log(&log);
	begin_log(&log, 1 << 20);
	put_decision(&log, &half, OUTCOME_ROLLBACK);
	EXPECT_CLEAN(&log);
	EXPECT(&log, AUDIT_INVISIBLE, put_decision(&log, &half, OUTCOME_COMMIT), "which is rolled back");
	/* Nobody may resume what is open, nor park it as a producer, whatever it was before. */
	struct record_decision r = decision_on(&log, &newer, OUTCOME_PARK);
	r.who = WHO_PRODUCER;
	EXPECT(&log, AUDIT_FIRST_DECISION, put_this_decision(&log, &r), "open or parked");
	end_log(&log);
}

static void test_what_is_not_a_commit_has_no_place(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	struct record_decision r = decision_on(&log, &half, OUTCOME_ROLLBACK);
	r.queue_offset = 5;
	EXPECT(&log, AUDIT_INVISIBLE, put_this_decision(&log, &r), "has queue offset 5");
	end_log(&log);
}

static void test_the_same_name_published_twice_is_found(void)
{
	struct audit_log log;
	struct stored_half a, b, c;

	begin_log(&log, WHOLE);
	put_half(&log, &a);
	struct record_half again = next_half(&log, &b);
	again.unique_key = a.half.unique_key;
	put_this_half(&log, &again, &b);
	uint64_t first = put_decision(&log, &b, OUTCOME_COMMIT);
	EXPECT_CLEAN(&log);
	CU_ASSERT_EQUAL(facts_of(&log).resent_count, 1);
	uint64_t second = put_decision(&log, &a, OUTCOME_COMMIT);
	CU_ASSERT_EQUAL(log.noted[0].violation.other, first);
	EXPECT(&log, AUDIT_ONCE, second, "same group and UNIQ_KEY");
	/* In the other order, and when the first was published before the second came. */
	for (int late = 0; late < 2; late++) {
		put_half(&log, &a);
		if (late)
			put_decision(&log, &a, OUTCOME_COMMIT);
		again = next_half(&log, &b);
		again.unique_key = a.half.unique_key;
		put_this_half(&log, &again, &b);
		if (!late)
			put_decision(&log, &a, OUTCOME_COMMIT);
		EXPECT_CLEAN(&log);
		EXPECT(&log, AUDIT_ONCE, put_decision(&log, &b, OUTCOME_COMMIT), "same group and UNIQ_KEY");
	}
	CU_ASSERT_EQUAL(facts_of(&log).resent_count, 3);
	/* Another group's key is another name; so is one that was rolled back. */
	again = next_half(&log, &c);
	again.unique_key = a.half.unique_key;
	again.group = SPAN_LITERAL("others");
	put_this_half(&log, &again, &c);
	put_decision(&log, &c, OUTCOME_COMMIT);
	for (int i = 0; i < 2; i++) {
		again = next_half(&log, &c);
		again.unique_key = SPAN_LITERAL("R");
		put_this_half(&log, &again, &c);
		put_decision(&log, &c, i == 0 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT);
	}
	EXPECT_CLEAN(&log);
	CU_ASSERT_EQUAL(facts_of(&log).resent_count, 3);
	end_log(&log);
}

static void test_a_conflict_must_name_the_decision_that_stands(void)
{
	struct audit_log log;
	struct stored_half a, b;

	begin_log(&log, WHOLE);
	put_half(&log, &a);
	put_half(&log, &b);
	uint64_t decided = put_decision(&log, &a, OUTCOME_COMMIT);
	struct record_conflict r = conflict_on(&log, &a, decided + 8, OUTCOME_COMMIT);
	EXPECT(&log, AUDIT_FIRST_DECISION, PUT_ENCODED(&log, LOG_CONFLICT, conflict, &r), "not the one that stands");
	r = conflict_on(&log, &a, decided, OUTCOME_ROLLBACK);
	EXPECT(&log, AUDIT_FIRST_DECISION, PUT_ENCODED(&log, LOG_CONFLICT, conflict, &r), "it is committed");
	r = conflict_on(&log, &a, decided, OUTCOME_COMMIT);
	r.asked = OUTCOME_COMMIT;
	EXPECT(&log, AUDIT_FIRST_DECISION, PUT_ENCODED(&log, LOG_CONFLICT, conflict, &r), "no contradiction");
	r = conflict_on(&log, &b, decided, OUTCOME_COMMIT);
	EXPECT(&log, AUDIT_FIRST_DECISION, PUT_ENCODED(&log, LOG_CONFLICT, conflict, &r), "not the one that stands");
	r = conflict_on(&log, &b, decided, OUTCOME_COMMIT);
	r.half_queue_offset = 9;
	EXPECT(&log, AUDIT_INVISIBLE, PUT_ENCODED(&log, LOG_CONFLICT, conflict, &r), "not in the log");
	end_log(&log);
}

/* --- I5: checks --------------------------------------------------------------------------------------------- */

static void test_counts_of_checks_do_not_fall(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	put_check(&log, &half, CHECK_ASKED, 3, 2);
	EXPECT(&log, AUDIT_RESOLVED, put_check(&log, &half, CHECK_ASKED, 2, 2), "2 asked");
	put_check(&log, &half, CHECK_ASKED, 4, 2);
	EXPECT(&log, AUDIT_RESOLVED, put_check(&log, &half, CHECK_ANSWERED_UNKNOWN, 4, 1), "1 answered");
	EXPECT(&log, AUDIT_RESOLVED, put_check(&log, &half, CHECK_ANSWERED_UNKNOWN, 4, 5), "5 answers to 4 questions");
	struct record_decision r = decision_on(&log, &half, OUTCOME_PARK);
	r.answered_checks = 4;
	EXPECT(&log, AUDIT_RESOLVED, put_this_decision(&log, &r), "counts 4 answered");
	EXPECT(&log, AUDIT_RESOLVED, put_check(&log, &half, CHECK_ASKED, 4, 3), "3 answered"); /* A park takes nothing back. */
	r = decision_on(&log, &half, OUTCOME_RESUME);
	r.answered_checks = 5;
	put_this_decision(&log, &r);
	put_check(&log, &half, CHECK_ASKED, 1, 0);
	EXPECT_CLEAN(&log);
	struct stored_half missing = half;
	missing.half.half_queue_offset = 8;
	EXPECT(&log, AUDIT_INVISIBLE, put_check(&log, &missing, CHECK_ASKED, 1, 0), "not in the log");
	/* Those of a turn may be recorded after a decision of that turn. */
	put_decision(&log, &half, OUTCOME_COMMIT);
	put_check(&log, &half, CHECK_ASKED, 1, 0);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

/* --- I6, I7: numbers and times ------------------------------------------------------------------------------- */

static void test_numbers_of_halves_are_dense(void)
{
	struct audit_log log;
	struct stored_half a, b;

	begin_log(&log, WHOLE);
	log.next_half = 1;
	put_half(&log, &a);
	EXPECT(&log, AUDIT_KEPT, a.offset, "expected 0: halves are missing");
	log.next_half = 4;
	put_half(&log, &b);
	EXPECT(&log, AUDIT_KEPT, b.offset, "expected 2");
	log.next_half = 4;
	put_half(&log, &b);
	EXPECT(&log, AUDIT_ORDERED, b.offset, "was given before");
	log.next_half = 2;
	put_half(&log, &b);
	EXPECT(&log, AUDIT_ORDERED, b.offset, "was given before");
	log.next_half = 5; /* It goes on where it was. */
	put_half(&log, &b);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

static void test_an_older_half_has_a_lower_number(void)
{
	struct audit_log log;
	struct stored_half old = { 0 }, fresh;

	begin_log(&log, WHOLE);
	log.next_half = 30;
	put_half(&log, &old);
	end_log(&log);
	begin_log(&log, 1 << 20);
	put_decision(&log, &old, OUTCOME_COMMIT);
	log.next_half = 30;
	put_half(&log, &fresh);
	EXPECT(&log, AUDIT_ORDERED, fresh.offset, "expected 31");
	old.half.half_queue_offset = 40;
	EXPECT(&log, AUDIT_INVISIBLE, put_decision(&log, &old, OUTCOME_ROLLBACK), "not in the log");
	end_log(&log);
}

static void test_queue_offsets_are_dense_and_times_ascend(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	struct record_message r = message_for(&log, 0, 0);
	r.queue_offset = 1;
	EXPECT(&log, AUDIT_ORDERED, put_this_message(&log, &r), "queue offset 1 of orders/0, expected 0: a gap");
	put_message(&log, 0, 0);
	r = message_for(&log, 0, 0);
	r.queue_offset = 1;
	EXPECT(&log, AUDIT_ORDERED, put_this_message(&log, &r), "expected 3: was given before");
	log.queue_offsets[0] = 3;
	r = message_for(&log, 0, 0);
	r.store_time_ms = log.now_ms - 100;
	EXPECT(&log, AUDIT_ORDERED, put_this_message(&log, &r), "before its predecessor's");
	put_message(&log, 0, 0);
	/* The same for places that come by a commit and by a delivery. */
	put_half(&log, &half);
	struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
	d.queue_offset = 2;
	EXPECT(&log, AUDIT_ORDERED, put_this_decision(&log, &d), "a gap");
	struct record_message later = message_for(&log, 1, 10);
	uint64_t later_at = put_this_message(&log, &later);
	struct record_deliver deliver = deliver_message(&log, &later, later_at);
	deliver.queue_offset = 2;
	EXPECT(&log, AUDIT_ORDERED, put_this_deliver(&log, &deliver), "was given before");
	end_log(&log);
}

static void test_log_offsets_and_epochs_ascend(void)
{
	struct audit_log log;

	begin_log(&log, WHOLE);
	put_message(&log, 0, 0);
	log.at -= 8;
	EXPECT(&log, AUDIT_ORDERED, put_message(&log, 0, 0), "follows a record that ends at");
	put_epoch(&log);
	log.epoch = 1;
	EXPECT(&log, AUDIT_ORDERED, put_message(&log, 0, 0), "epoch 1 follows epoch 2");
	log.epoch = 5;
	EXPECT(&log, AUDIT_ORDERED, put_message(&log, 0, 0), "without an EPOCH record");
	log.epoch = 4;
	put_epoch(&log);
	EXPECT(&log, AUDIT_ORDERED, log.at - 64, "epoch 5 is opened again");
	put_epoch(&log);
	put_message(&log, 0, 0);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

/* --- I2, I3: delays ------------------------------------------------------------------------------------------- */

typedef void (*change_deliver)(struct record_deliver *r);
static void too_early(struct record_deliver *r) { r->deliver_time_ms -= 2000; }
static void to_another_topic(struct record_deliver *r) { r->topic = SPAN_LITERAL("parcels"); r->queue_offset = 0; }
static void to_another_queue(struct record_deliver *r) { r->queue_id = 3; }
static void with_another_tag(struct record_deliver *r) { r->tag_hash = 0; }
static void of_the_other_kind(struct record_deliver *r) { r->transactional = !r->transactional; }
static void with_another_size(struct record_deliver *r) { r->message_size--; }
static void with_another_delta(struct record_deliver *r) { r->message_delta++; }
static void of_another_body(struct record_deliver *r) { r->body_offset += 16; }
static void of_nothing(struct record_deliver *r) { r->source_offset += 8; }

static const struct {
	change_deliver change;
	enum audit_invariant invariant;
	const char *text;
} wrong_deliveries[] = {
	{ too_early, AUDIT_INVISIBLE, "ms before its time" },
	{ to_another_topic, AUDIT_READABLE, "another topic" },
	{ to_another_queue, AUDIT_READABLE, "another queue" },
	{ with_another_tag, AUDIT_READABLE, "another tag" },
	{ of_the_other_kind, AUDIT_READABLE, "another kind" },
	{ with_another_size, AUDIT_READABLE, "finds a message" },
	{ with_another_delta, AUDIT_READABLE, "finds a message" },
	{ of_another_body, AUDIT_READABLE, "no record holds it" },
	{ of_nothing, AUDIT_ONCE, "does not wait" },
};

static void test_a_wrong_delivery_is_found(void)
{
	for (size_t i = 0; i < sizeof(wrong_deliveries) / sizeof(wrong_deliveries[0]); i++) {
		struct audit_log log;
		struct stored_half half;

		begin_log(&log, WHOLE);
		struct record_message r = message_for(&log, 0, 5000);
		uint64_t at = put_this_message(&log, &r);
		struct record_deliver deliver = deliver_message(&log, &r, at);
		wrong_deliveries[i].change(&deliver);
		EXPECT(&log, wrong_deliveries[i].invariant, put_this_deliver(&log, &deliver), wrong_deliveries[i].text);
		end_log(&log);

		begin_log(&log, WHOLE);
		put_half_with_delay(&log, &half, 5000);
		struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
		at = put_this_decision(&log, &d);
		deliver = deliver_commit(&log, &d, at);
		wrong_deliveries[i].change(&deliver);
		EXPECT(&log, wrong_deliveries[i].invariant, put_this_deliver(&log, &deliver), wrong_deliveries[i].text);
		end_log(&log);
	}
}

static void test_a_delayed_message_is_delivered_once(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	struct record_message r = message_for(&log, 0, 50);
	uint64_t at = put_this_message(&log, &r);
	struct record_deliver deliver = deliver_message(&log, &r, at);
	put_this_deliver(&log, &deliver);
	EXPECT_CLEAN(&log);
	deliver.queue_offset++;
	EXPECT(&log, AUDIT_ONCE, put_this_deliver(&log, &deliver), "delivered or recalled before");
	put_half_with_delay(&log, &half, 50);
	struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
	d.deliver_at_ms += 1000;
	EXPECT(&log, AUDIT_INVISIBLE, put_this_decision(&log, &d), "has a delay of 50 ms");
	/* A point in time: at once only when it has passed. */
	for (int passed = 0; passed < 2; passed++) {
		put_half_with_delay(&log, &half, -(log.now_ms + (passed ? -1 : 5000)));
		d = decision_on(&log, &half, OUTCOME_COMMIT);
		d.queue_offset = log.queue_offsets[d.queue_id];
		uint64_t decided = put_this_decision(&log, &d);
		if (passed)
			EXPECT_CLEAN(&log);
		else
			EXPECT(&log, AUDIT_INVISIBLE, decided, "which has a delay of -");
	}
	/* Recalled: not to be delivered, nor recalled again. */
	struct record_timer_cancel cancel = { put_message(&log, 0, 50), log.now_ms, SPAN_LITERAL("op"), SPAN_LITERAL("t"), SPAN_LITERAL("k") };
	PUT_ENCODED(&log, LOG_TIMER_CANCEL, timer_cancel, &cancel);
	EXPECT_CLEAN(&log);
	EXPECT(&log, AUDIT_KEPT, PUT_ENCODED(&log, LOG_TIMER_CANCEL, timer_cancel, &cancel), "does not wait");
	deliver.source_offset = deliver.body_offset = cancel.source_offset;
	deliver.queue_offset++;
	EXPECT(&log, AUDIT_ONCE, put_this_deliver(&log, &deliver), "does not wait");
	end_log(&log);
}

static void test_a_delayed_message_from_before_the_log_is_delivered_once(void)
{
	struct audit_log log;

	begin_log(&log, WHOLE);
	struct record_message r = message_for(&log, 0, 50);
	uint64_t at = put_this_message(&log, &r);
	end_log(&log);
	begin_log(&log, 1 << 20);
	struct record_deliver deliver = deliver_message(&log, &r, at);
	put_this_deliver(&log, &deliver);
	EXPECT_CLEAN(&log);
	deliver.queue_offset++;
	EXPECT(&log, AUDIT_ONCE, put_this_deliver(&log, &deliver), "does not wait");
	struct record_timer_cancel cancel = { at, log.now_ms, SPAN_LITERAL("op"), SPAN_LITERAL("t"), SPAN_LITERAL("k") };
	EXPECT(&log, AUDIT_KEPT, PUT_ENCODED(&log, LOG_TIMER_CANCEL, timer_cancel, &cancel), "does not wait");
	end_log(&log);
}

/* --- I1: CARRY --------------------------------------------------------------------------------------------------- */

static void test_a_carried_half_is_the_half(void)
{
	struct audit_log log;
	struct stored_half half, carried;
	uint8_t payload[512];

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	size_t size = record_half_size(&half.half);
	CU_ASSERT_FATAL(size <= sizeof(payload));
	record_half_encode(&half.half, payload);
	payload[size - 1] ^= 1;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, half.offset, CARRY_HALF, payload, size), "differs from the half");
	payload[size - 1] ^= 1;
	EXPECT(&log, AUDIT_FIRST_DECISION, put_carry(&log, half.offset + 8, CARRY_HALF, payload, size), "but that half is at");
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, log.at, CARRY_HALF, payload, size), "not before it");
	EXPECT(&log, AUDIT_FORMAT, put_carry(&log, half.offset, CARRY_HALF, payload, size - 1), "half");
	/* The decision may find the body in both places, but nowhere else. */
	carried = half;
	carry_half(&log, &carried);
	struct record_decision r = decision_on(&log, &carried, OUTCOME_COMMIT);
	r.message_delta = half.delta;
	EXPECT(&log, AUDIT_READABLE, put_this_decision(&log, &r), "the half has one of 60 bytes at +");
	end_log(&log);
}

/* A commit with a delay: its DECISION and its body are carried while it waits. */
static void test_what_waits_is_carried_unchanged(void)
{
	struct audit_log log;
	struct stored_half half;
	uint8_t payload[512], decision[512], message[256];

	begin_log(&log, WHOLE);
	put_half_with_delay(&log, &half, 5000);
	struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
	uint64_t source = put_this_decision(&log, &d);
	struct record_message m = message_for(&log, 0, 5000);
	uint64_t message_at = put_this_message(&log, &m);
	size_t size = record_half_size(&half.half), decision_size = record_decision_size(&d),
	       message_size = record_message_size(&m);
	record_half_encode(&half.half, payload);
	record_decision_encode(&d, decision);
	record_message_encode(&m, message);
	put_carry(&log, source, CARRY_DECISION, decision, decision_size);
	uint64_t body = put_carry(&log, half.offset, CARRY_HALF, payload, size);
	uint64_t moved = put_carry(&log, message_at, CARRY_MESSAGE, message, message_size);
	EXPECT_CLEAN(&log);
	payload[size - 2] ^= 4;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, half.offset, CARRY_HALF, payload, size), "differs from the half");
	payload[size - 2] ^= 4;
	decision[20] ^= 4;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, source, CARRY_DECISION, decision, decision_size), "differs from it");
	decision[20] ^= 4;
	message[message_size - 1] ^= 4;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, message_at, CARRY_MESSAGE, message, message_size), "differs from it");
	message[message_size - 1] ^= 4;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, message_at - 8, CARRY_MESSAGE, message, message_size),
	       "no message that waits");
	moved = put_carry(&log, message_at, CARRY_MESSAGE, message, message_size);
	body = put_carry(&log, half.offset, CARRY_HALF, payload, size);
	struct record_deliver deliver = deliver_commit(&log, &d, source);
	deliver.body_offset = body;
	deliver.message_delta += 15;
	put_this_deliver(&log, &deliver);
	deliver = deliver_message(&log, &m, message_at);
	deliver.body_offset = moved;
	deliver.message_delta += 15;
	put_this_deliver(&log, &deliver);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

/* The originals are gone: the first CARRY is believed, what follows is held against it. */
static void test_carried_from_before_the_log(void)
{
	struct audit_log log;
	struct stored_half half, parked;
	uint8_t payload[512], decision[512], park[512];

	begin_log(&log, WHOLE);
	put_half_with_delay(&log, &half, 5000);
	struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
	uint64_t source = put_this_decision(&log, &d);
	put_half(&log, &parked);
	struct record_decision p = decision_on(&log, &parked, OUTCOME_PARK);
	uint64_t park_at = put_this_decision(&log, &p);
	end_log(&log);
	size_t size = record_half_size(&half.half), decision_size = record_decision_size(&d);
	record_half_encode(&half.half, payload);
	record_decision_encode(&d, decision);
	record_decision_encode(&p, park);

	begin_log(&log, 1 << 20);
	put_carry(&log, source, CARRY_DECISION, decision, decision_size);
	uint64_t body = put_carry(&log, half.offset, CARRY_HALF, payload, size);
	put_carry(&log, park_at, CARRY_DECISION, park, record_decision_size(&p));
	EXPECT_CLEAN(&log);
	CU_ASSERT_EQUAL(facts_of(&log).delayed_count, 1);
	CU_ASSERT_EQUAL(facts_of(&log).committed_count, 1);
	CU_ASSERT_EQUAL(facts_of(&log).parked_count, 1);
	payload[size - 2] ^= 4;
	EXPECT(&log, AUDIT_READABLE, put_carry(&log, half.offset, CARRY_HALF, payload, size), "differs from the half");
	EXPECT(&log, AUDIT_FIRST_DECISION, put_decision(&log, &half, OUTCOME_ROLLBACK), "which is committed");
	struct record_deliver deliver = deliver_commit(&log, &d, source);
	deliver.body_offset = log.at - 800;
	EXPECT(&log, AUDIT_READABLE, put_this_deliver(&log, &deliver), "no record holds it");
	deliver.queue_offset++;
	deliver.body_offset = body;
	EXPECT(&log, AUDIT_ONCE, put_this_deliver(&log, &deliver), "does not wait");
	p = decision_on(&log, &half, OUTCOME_PARK);
	record_decision_encode(&p, park);
	EXPECT(&log, AUDIT_FIRST_DECISION, put_carry(&log, source, CARRY_DECISION, park, record_decision_size(&p)),
	       "not the one that stands");
	end_log(&log);
}

/* The commit itself is older than the log; only the body was carried, as the broker does it. */
static void test_a_delivery_out_of_a_carry_of_before(void)
{
	struct audit_log log;
	struct stored_half half, other;

	for (int wrong = 0; wrong < 3; wrong++) {
		begin_log(&log, LOG_SEGMENT_HEADER_SIZE);
		put_half_with_delay(&log, &half, 5000);
		put_half_with_delay(&log, &other, 5000);
		struct record_decision d = decision_on(&log, &half, OUTCOME_COMMIT);
		uint64_t source = put_this_decision(&log, &d);
		end_log(&log);

		begin_log(&log, 1 << 20);
		carry_half(&log, &half);
		carry_half(&log, &half);
		struct record_deliver deliver = deliver_commit(&log, &d, source);
		deliver.body_offset = half.body_offset - (wrong == 1 ? 8 : 0);
		deliver.message_delta = (uint16_t)(half.body_delta - (wrong == 2));
		uint64_t at = put_this_deliver(&log, &deliver);
		if (wrong == 1)
			EXPECT(&log, AUDIT_READABLE, at, "no record holds it");
		else if (wrong == 2)
			EXPECT(&log, AUDIT_READABLE, at, "DELIVER finds a message");
		else
			EXPECT(&log, AUDIT_FIRST_DECISION, put_decision(&log, &half, OUTCOME_ROLLBACK), "which is committed");
		CU_ASSERT_EQUAL(facts_of(&log).committed_count, wrong != 1);
		end_log(&log);
	}
}

/* --- F ------------------------------------------------------------------------------------------------------------ */

static void test_a_deleted_topic_begins_at_0_again(void)
{
	struct record_topic gone = { .deleted = true, .name = SPAN_LITERAL("orders") };
	struct audit_log log;

	begin_log(&log, WHOLE);
	put_message(&log, 0, 0);
	put_message(&log, 0, 0);
	put_message(&log, 1, 0);
	PUT_ENCODED(&log, LOG_TOPIC, topic, &gone);
	log.queue_offsets[0] = log.queue_offsets[1] = log.queue_offsets[2] = 0;
	put_message(&log, 0, 0);
	put_message(&log, 0, 0);
	put_message(&log, 2, 0);
	EXPECT_CLEAN(&log);
	log.queue_offsets[1] = 1; /* As if it had not been deleted. */
	EXPECT(&log, AUDIT_ORDERED, put_message(&log, 1, 0), "queue offset 1 of orders/1, expected 0: a gap");
	end_log(&log);
}

static void test_unreadable_records_are_found(void)
{
	static const unsigned kinds[] = { LOG_MESSAGE, LOG_HALF, LOG_DECISION, LOG_CONFLICT, LOG_DELIVER, LOG_TIMER_CANCEL,
					  LOG_CARRY, LOG_CHECK, LOG_OFFSETS, LOG_POP, LOG_TOPIC, LOG_GROUP, LOG_SNAPSHOT_MARK };
	static const uint8_t newer[] = { 4, 0, 1, 2, 3 }, cut[] = { 1, 0, 1 };
	struct audit_log log;

	begin_log(&log, WHOLE);
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EXPECT(&log, AUDIT_FORMAT, put_record(&log, kinds[i], newer, sizeof(newer)), "format version 4");
		EXPECT(&log, AUDIT_FORMAT, put_record(&log, kinds[i], cut, sizeof(cut)), "cut off");
	}
	EXPECT(&log, AUDIT_FORMAT, put_record(&log, LOG_KIND_END, newer, sizeof(newer)), "does not know");
	CU_ASSERT_EQUAL(facts_of(&log).kind_count[0], 1);
	end_log(&log);
}

static uint64_t put_offset(struct audit_log *log, struct record_offset r)
{
	uint8_t payload[256];

	record_offsets_encode(&r, 1, payload);
	return put_record(log, LOG_OFFSETS, payload, record_offsets_size(&r, 1));
}

static uint64_t put_pop(struct audit_log *log, uint32_t queue_id, uint32_t count)
{
	struct record_pop r = { .event = POP_CHECK_OUT, .group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("orders"),
				.queue_id = queue_id, .count = count };
	uint8_t payload[256];

	record_pops_encode(&r, 1, payload);
	return put_record(log, LOG_POP, payload, record_pops_size(&r, 1));
}

static void test_impossible_pops_are_found(void)
{
	struct audit_log log;

	begin_log(&log, WHOLE);
	put_pop(&log, 1023, 1);
	EXPECT_CLEAN(&log);
	EXPECT(&log, AUDIT_FORMAT, put_pop(&log, 3, 0), "a POP of 0 messages by group readers in orders/3");
	EXPECT(&log, AUDIT_FORMAT, put_pop(&log, 1024, 1), "in orders/1024");
	end_log(&log);
}

static void test_impossible_numbers_are_found(void)
{
	struct audit_log log;
	struct stored_half half;
	struct span group = SPAN_LITERAL("readers"), topic = SPAN_LITERAL("orders\x1b[2J");

	begin_log(&log, WHOLE);
	put_offset(&log, (struct record_offset){ group, topic, 3, 0 });
	EXPECT_CLEAN(&log);
	EXPECT(&log, AUDIT_FORMAT, put_offset(&log, (struct record_offset){ group, topic, 3, -1 }), "consumer offset -1");
	EXPECT(&log, AUDIT_FORMAT, put_offset(&log, (struct record_offset){ group, topic, 1024, 1 }), "orders?[2J/1024");
	EXPECT(&log, AUDIT_FORMAT, put_offset(&log, (struct record_offset){ SPAN_NONE, topic, 1, 1 }), "without a name");
	struct record_message r = message_for(&log, 0, 0);
	r.queue_id = 1024;
	EXPECT(&log, AUDIT_FORMAT, put_this_message(&log, &r), "queue 1024");
	r = message_for(&log, 0, 5);
	r.queue_offset = 2;
	EXPECT(&log, AUDIT_FORMAT, put_this_message(&log, &r), "with queue offset 2");
	struct record_half h = next_half(&log, &half);
	h.group = SPAN_NONE;
	put_this_half(&log, &h, &half);
	EXPECT(&log, AUDIT_FORMAT, half.offset, "a half of group \"\"");
	struct record_snapshot_mark mark = { .snapshot_offset = log.at + 8 };
	EXPECT(&log, AUDIT_FORMAT, PUT_ENCODED(&log, LOG_SNAPSHOT_MARK, snapshot_mark, &mark), "a later offset");
	end_log(&log);
}

/* --- facts and memory ---------------------------------------------------------------------------------------------- */

struct seen_queues {
	int count;
	struct audit_queue last;
};

static void see_queue(void *context, const struct audit_queue *queue)
{
	struct seen_queues *seen = context;

	seen->count++;
	seen->last = *queue;
}

static void see_transaction(void *context, const struct audit_transaction *transaction)
{
	struct audit_transaction *seen = context;

	seen[transaction->half_queue_offset] = *transaction;
}

static void test_walks_show_what_is_there(void)
{
	struct audit_log log;
	struct stored_half a, b;
	struct seen_queues queues = { 0 };
	struct audit_transaction transactions[2] = { 0 };

	begin_log(&log, WHOLE);
	put_half(&log, &a);
	put_half(&log, &b);
	uint64_t decided = put_decision(&log, &a, OUTCOME_COMMIT);
	put_check(&log, &b, CHECK_ANSWERED_UNKNOWN, 4, 2);
	put_message(&log, 1, 0);
	audit_walk_queues(log.audit, see_queue, &queues);
	CU_ASSERT_EQUAL(queues.count, 1);
	CU_ASSERT(span_is(queues.last.topic, "orders"));
	CU_ASSERT_EQUAL(queues.last.queue_id, 1);
	CU_ASSERT_EQUAL(queues.last.next_offset - queues.last.first_offset, 2);
	CU_ASSERT_EQUAL(queues.last.byte_count, 2 * MESSAGE_SIZE);
	audit_walk_transactions(log.audit, see_transaction, transactions);
	CU_ASSERT_EQUAL(transactions[0].state, TXN_COMMITTED);
	CU_ASSERT_EQUAL(transactions[0].decision_offset, decided);
	CU_ASSERT_EQUAL(transactions[1].state, TXN_PREPARED);
	CU_ASSERT_EQUAL(transactions[1].half_offset, b.offset);
	CU_ASSERT_EQUAL(transactions[1].answered, 2);
	CU_ASSERT_EQUAL(transactions[1].store_time_ms, b.half.store_time_ms);
	CU_ASSERT(span_is(transactions[1].group, "payers"));
	end_log(&log);
}

static void test_times_are_those_of_the_first_and_the_last_record(void)
{
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	put_half(&log, &half);
	log.now_ms += 5000;
	put_decision(&log, &half, OUTCOME_COMMIT);
	CU_ASSERT_EQUAL(facts_of(&log).first_time_ms, half.half.store_time_ms);
	CU_ASSERT_EQUAL(facts_of(&log).last_time_ms, log.now_ms - 1);
	end_log(&log);
}

static void test_memory_is_what_the_header_says(void)
{
	enum { COUNT = 200000 };
	struct audit_log log;
	struct stored_half half;

	begin_log(&log, WHOLE);
	for (int i = 0; i < COUNT; i++) {
		put_half(&log, &half);
		put_decision(&log, &half, OUTCOME_COMMIT);
		put_message(&log, 2, 0);
	}
	EXPECT_CLEAN(&log);
	CU_ASSERT(facts_of(&log).memory_bytes <= (size_t)COUNT * (32 + 24) + 4096);
	size_t before = facts_of(&log).memory_bytes;
	for (int i = 0; i < COUNT; i++)
		put_message(&log, 2, 0);
	CU_ASSERT_EQUAL(facts_of(&log).memory_bytes, before);
	end_log(&log);
	begin_log(&log, WHOLE);
	for (int i = 0; i < COUNT; i++)
		put_half(&log, &half);
	CU_ASSERT(facts_of(&log).memory_bytes <= (size_t)COUNT * (32 + 24 + 72) + 4096);
	EXPECT_CLEAN(&log);
	end_log(&log);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_sound_log_of_every_kind_passes),
		CHECK_TEST(test_a_log_without_its_beginning_passes),
		CHECK_TEST(test_a_second_decision_is_found),
		CHECK_TEST(test_who_may_not_decide_is_found),
		CHECK_TEST(test_a_decision_that_does_not_fit_its_half_is_found),
		CHECK_TEST(test_a_decision_on_an_older_half_is_final_too),
		CHECK_TEST(test_what_is_not_a_commit_has_no_place),
		CHECK_TEST(test_the_same_name_published_twice_is_found),
		CHECK_TEST(test_a_conflict_must_name_the_decision_that_stands),
		CHECK_TEST(test_counts_of_checks_do_not_fall),
		CHECK_TEST(test_numbers_of_halves_are_dense),
		CHECK_TEST(test_an_older_half_has_a_lower_number),
		CHECK_TEST(test_queue_offsets_are_dense_and_times_ascend),
		CHECK_TEST(test_log_offsets_and_epochs_ascend),
		CHECK_TEST(test_a_wrong_delivery_is_found),
		CHECK_TEST(test_a_delayed_message_is_delivered_once),
		CHECK_TEST(test_a_delayed_message_from_before_the_log_is_delivered_once),
		CHECK_TEST(test_a_carried_half_is_the_half),
		CHECK_TEST(test_what_waits_is_carried_unchanged),
		CHECK_TEST(test_carried_from_before_the_log),
		CHECK_TEST(test_a_delivery_out_of_a_carry_of_before),
		CHECK_TEST(test_a_deleted_topic_begins_at_0_again),
		CHECK_TEST(test_unreadable_records_are_found),
		CHECK_TEST(test_impossible_numbers_are_found),
		CHECK_TEST(test_impossible_pops_are_found),
		CHECK_TEST(test_walks_show_what_is_there),
		CHECK_TEST(test_times_are_those_of_the_first_and_the_last_record),
		CHECK_TEST(test_memory_is_what_the_header_says),
	};

	return check_main("audit", tests, sizeof(tests) / sizeof(tests[0]));
}
