/* What the tests of lib/audit share: a log built record by record in memory and fed to an audit, which notes what it
 * reports. Header only, because every test file is a program of its own. */
#ifndef ESCROW_TESTS_AUDIT_LOG_H
#define ESCROW_TESTS_AUDIT_LOG_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit/audit.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"
#include "tests/support/check.h"

enum { NOTED_MAX = 64, MESSAGE_SIZE = 60, NOON = 1764072000 };

struct noted {
	struct audit_violation violation;
	char text[512];
};

struct audit_log {
	struct audit *audit;
	uint64_t at;            /* Where the next record goes. */
	uint32_t epoch;
	int64_t now_ms;         /* Moves on by 1 with each record. */
	uint64_t next_half;
	uint64_t queue_offsets[4]; /* Next ones of topic "orders". */
	struct noted noted[NOTED_MAX];
	size_t noted_count;
};

/* A half that was put, and what a decision on it must say. */
struct stored_half {
	uint64_t offset;
	struct record_half half;
	uint16_t delta;         /* Of the HALF record. */
	uint64_t body_offset;   /* Of the latest CARRY, or the HALF. */
	uint16_t body_delta;
	char key[32];
};

static inline void note_violation(void *context, const struct audit_violation *violation)
{
	struct audit_log *log = context;

	assert(log->noted_count < NOTED_MAX);
	struct noted *noted = &log->noted[log->noted_count++];
	noted->violation = *violation;
	snprintf(noted->text, sizeof(noted->text), "%s", violation->text);
}

static inline uint64_t put_record(struct audit_log *log, unsigned kind, const uint8_t *payload, size_t size)
{
	struct log_record record = { .kind = kind, .epoch = log->epoch, .offset = log->at,
				     .size = (uint32_t)commitlog_record_size(size), .payload = { payload, size } };
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL_FATAL(audit_record(log->audit, &record, &err), ST_OK);
	log->at += record.size;
	log->now_ms++;
	return record.offset;
}

/* Encodes into memory of exactly the right size, feeds it, frees it. */
#define PUT_ENCODED(log, kind, type, record_pointer)                                    \
	__extension__({                                                                 \
		size_t size_ = record_##type##_size(record_pointer);                    \
		uint8_t *payload_ = malloc(size_);                                      \
		assert(payload_ != NULL);                                               \
		record_##type##_encode(record_pointer, payload_);                       \
		uint64_t offset_ = put_record(log, kind, payload_, size_);              \
		free(payload_);                                                         \
		offset_;                                                                \
	})

static inline void put_epoch(struct audit_log *log)
{
	uint8_t payload[32] = { 0 };

	log->epoch++;
	put_record(log, LOG_EPOCH, payload, sizeof(payload));
}

/* `start`: LOG_SEGMENT_HEADER_SIZE for a whole log. */
static inline void begin_log(struct audit_log *log, uint64_t start)
{
	*log = (struct audit_log){ .at = start, .now_ms = NOON * 1000LL };
	log->audit = audit_create(note_violation, log);
	assert(log->audit != NULL);
	put_epoch(log);
}

static inline void end_log(struct audit_log *log)
{
	audit_destroy(log->audit);
	log->audit = NULL;
}

static inline struct audit_facts facts_of(const struct audit_log *log)
{
	struct audit_facts facts;

	audit_facts(log->audit, &facts);
	return facts;
}

/* Nothing was reported since the last look. */
static inline void expect_clean(struct audit_log *log, int line)
{
	for (size_t i = 0; i < log->noted_count; i++)
		fprintf(stderr, "line %d: unexpected %s at %llu: %s\n", line,
			audit_invariant_code(log->noted[i].violation.invariant),
			(unsigned long long)log->noted[i].violation.offset, log->noted[i].text);
	CU_ASSERT_EQUAL(log->noted_count, 0);
	log->noted_count = 0;
}
#define EXPECT_CLEAN(log) expect_clean(log, __LINE__)

/* Exactly this was reported since the last look, about the record at `offset`. */
static inline void expect_violation(struct audit_log *log, enum audit_invariant invariant, uint64_t offset,
				    const char *text, int line)
{
	const struct noted *noted = &log->noted[0];
	bool right = log->noted_count == 1 && noted->violation.invariant == invariant &&
		     noted->violation.offset == offset && strstr(noted->text, text) != NULL;

	if (!right)
		fprintf(stderr, "line %d: expected %s at %llu with \"%s\", got %zu:\n", line, audit_invariant_code(invariant),
			(unsigned long long)offset, text, log->noted_count);
	for (size_t i = 0; !right && i < log->noted_count; i++)
		fprintf(stderr, "    %s at %llu: %s\n", audit_invariant_code(log->noted[i].violation.invariant),
			(unsigned long long)log->noted[i].violation.offset, log->noted[i].text);
	CU_ASSERT(right);
	log->noted_count = 0;
}
#define EXPECT(log, invariant, offset, text) expect_violation(log, invariant, offset, text, __LINE__)

/* --- records, right unless a test changes them ----------------------------------------------------------------- */

static inline struct span some_message(void)
{
	static const uint8_t bytes[MESSAGE_SIZE] = { 1, 2, 3 };

	return (struct span){ bytes, sizeof(bytes) };
}

static inline struct record_half next_half(struct audit_log *log, struct stored_half *stored)
{
	snprintf(stored->key, sizeof(stored->key), "K%llu", (unsigned long long)log->next_half);
	return (struct record_half){
		.half_queue_offset = log->next_half++, .store_time_ms = log->now_ms, .immunity_ms = -1, .tag_hash = 7,
		.queue_id = 1, .topic = SPAN_LITERAL("orders"), .group = SPAN_LITERAL("payers"),
		.transaction_id = span_of(stored->key), .unique_key = span_of(stored->key), .global = { .part_count = 1 },
		.message = some_message(),
	};
}

static inline void put_this_half(struct audit_log *log, const struct record_half *half, struct stored_half *stored)
{
	stored->half = *half;
	stored->delta = (uint16_t)(LOG_ENVELOPE_SIZE + record_half_size(half) - half->message.size);
	stored->offset = stored->body_offset = PUT_ENCODED(log, LOG_HALF, half, half);
	stored->body_delta = stored->delta;
}

static inline void put_half(struct audit_log *log, struct stored_half *stored)
{
	struct record_half half = next_half(log, stored);

	put_this_half(log, &half, stored);
}

static inline void put_half_with_delay(struct audit_log *log, struct stored_half *stored, int64_t delay_ms)
{
	struct record_half half = next_half(log, stored);

	half.delay_ms = delay_ms;
	put_this_half(log, &half, stored);
}

/* By the producer; park and resume by an operator. */
static inline struct record_decision decision_on(const struct audit_log *log, const struct stored_half *stored,
						 enum record_outcome outcome)
{
	const struct record_half *half = &stored->half;
	bool commit = outcome == OUTCOME_COMMIT;

	return (struct record_decision){
		.half_offset = stored->offset, .half_queue_offset = half->half_queue_offset,
		.half_store_time_ms = half->store_time_ms, .body_offset = stored->body_offset,
		.message_size = (uint32_t)half->message.size, .message_delta = stored->body_delta, .outcome = outcome,
		.who = commit || outcome == OUTCOME_ROLLBACK ? WHO_PRODUCER : WHO_OPERATOR, .when_ms = log->now_ms,
		.queue_offset = commit && half->delay_ms == 0 ? log->queue_offsets[half->queue_id] : 0,
		.deliver_at_ms = commit && half->delay_ms > 0 ? log->now_ms + half->delay_ms : 0,
		.queue_id = half->queue_id, .tag_hash = half->tag_hash, .topic = half->topic, .group = half->group,
		.transaction_id = half->transaction_id, .who_text = SPAN_LITERAL("client@1"), .global = { .part_count = 1 },
	};
}

static inline uint64_t put_this_decision(struct audit_log *log, const struct record_decision *r)
{
	if (r->outcome == OUTCOME_COMMIT && r->deliver_at_ms == 0)
		log->queue_offsets[r->queue_id % 4] = r->queue_offset + 1;
	return PUT_ENCODED(log, LOG_DECISION, decision, r);
}

static inline uint64_t put_decision(struct audit_log *log, const struct stored_half *stored, enum record_outcome outcome)
{
	struct record_decision r = decision_on(log, stored, outcome);

	return put_this_decision(log, &r);
}

static inline struct record_message message_for(const struct audit_log *log, uint32_t queue_id, int64_t delay_ms)
{
	return (struct record_message){
		.queue_offset = delay_ms > 0 ? 0 : log->queue_offsets[queue_id], .store_time_ms = log->now_ms,
		.deliver_at_ms = delay_ms > 0 ? log->now_ms + delay_ms : 0, .tag_hash = 3, .queue_id = queue_id,
		.topic = SPAN_LITERAL("orders"), .message = some_message(),
	};
}

static inline uint64_t put_this_message(struct audit_log *log, const struct record_message *r)
{
	if (r->deliver_at_ms == 0)
		log->queue_offsets[r->queue_id % 4] = r->queue_offset + 1;
	return PUT_ENCODED(log, LOG_MESSAGE, message, r);
}

static inline uint64_t put_message(struct audit_log *log, uint32_t queue_id, int64_t delay_ms)
{
	struct record_message r = message_for(log, queue_id, delay_ms);

	return put_this_message(log, &r);
}

static inline uint16_t message_delta(const struct record_message *r)
{
	return (uint16_t)(LOG_ENVELOPE_SIZE + record_message_size(r) - r->message.size);
}

/* Of a delayed MESSAGE at `source`. */
static inline struct record_deliver deliver_message(const struct audit_log *log, const struct record_message *r,
						    uint64_t source)
{
	return (struct record_deliver){
		.source_offset = source, .body_offset = source, .message_size = (uint32_t)r->message.size,
		.message_delta = message_delta(r), .queue_id = r->queue_id, .queue_offset = log->queue_offsets[r->queue_id],
		.deliver_time_ms = log->now_ms > r->deliver_at_ms ? log->now_ms : r->deliver_at_ms, .tag_hash = r->tag_hash,
		.topic = r->topic,
	};
}

/* Of a commit with a delay at `source`. */
static inline struct record_deliver deliver_commit(const struct audit_log *log, const struct record_decision *r,
						   uint64_t source)
{
	return (struct record_deliver){
		.source_offset = source, .body_offset = r->body_offset, .message_size = r->message_size,
		.message_delta = r->message_delta, .transactional = true, .queue_id = r->queue_id,
		.queue_offset = log->queue_offsets[r->queue_id],
		.deliver_time_ms = log->now_ms > r->deliver_at_ms ? log->now_ms : r->deliver_at_ms, .tag_hash = r->tag_hash,
		.topic = r->topic,
	};
}

static inline uint64_t put_this_deliver(struct audit_log *log, const struct record_deliver *r)
{
	log->queue_offsets[r->queue_id % 4] = r->queue_offset + 1;
	if (r->deliver_time_ms > log->now_ms)
		log->now_ms = r->deliver_time_ms;
	return PUT_ENCODED(log, LOG_DELIVER, deliver, r);
}

/* A CARRY with the original's payload, of which one byte may be changed. */
static inline uint64_t put_carry(struct audit_log *log, uint64_t original, uint8_t kind, const uint8_t *payload,
				 size_t size)
{
	struct record_carry r = { original, kind, { payload, size } };

	return PUT_ENCODED(log, LOG_CARRY, carry, &r);
}

static inline void carry_half(struct audit_log *log, struct stored_half *stored)
{
	size_t size = record_half_size(&stored->half);
	uint8_t *payload = malloc(size);

	assert(payload != NULL);
	record_half_encode(&stored->half, payload);
	stored->body_offset = put_carry(log, stored->offset, CARRY_HALF, payload, size);
	stored->body_delta = (uint16_t)(stored->delta + 15);
	free(payload);
}

static inline uint64_t put_check(struct audit_log *log, const struct stored_half *stored, enum check_event event,
				 uint32_t attempts, uint32_t answered)
{
	struct record_check r = { stored->offset, stored->half.half_queue_offset, attempts, answered, event, log->now_ms,
				  SPAN_LITERAL("client@1") };
	size_t size = record_checks_size(&r, 1);
	uint8_t payload[256];

	assert(size <= sizeof(payload));
	record_checks_encode(&r, 1, payload);
	return put_record(log, LOG_CHECK, payload, size);
}

static inline struct record_conflict conflict_on(const struct audit_log *log, const struct stored_half *stored,
						 uint64_t decision, enum record_outcome decided)
{
	return (struct record_conflict){
		.half_offset = stored->offset, .half_queue_offset = stored->half.half_queue_offset, .decision_offset = decision,
		.asked = decided == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, .who = WHO_PRODUCER, .decided = decided,
		.when_ms = log->now_ms, .group = stored->half.group, .transaction_id = stored->half.transaction_id,
		.who_text = SPAN_LITERAL("client@1"), .global = { .part_count = 1 },
	};
}

#endif
