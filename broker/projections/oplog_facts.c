/* See oplog_facts.h. */
#include "broker/projections/oplog_facts.h"

#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"

#define TEXT_CASE(name, value, text) case name: return text;

const char *oplog_txn_state_text(enum oplog_txn_state state)
{
	switch (state) {
		OPLOG_TXN_STATE_MAP(TEXT_CASE)
	}
	return "";
}

const char *oplog_actor_text(enum oplog_actor actor)
{
	switch (actor) {
		OPLOG_ACTOR_MAP(TEXT_CASE)
	}
	return "";
}

const char *oplog_event_text(enum oplog_event_kind event)
{
	switch (event) {
		OPLOG_EVENT_MAP(TEXT_CASE)
	}
	return "";
}

const char *oplog_detail_text(enum oplog_detail detail)
{
	switch (detail) {
		OPLOG_DETAIL_MAP(TEXT_CASE)
	}
	return "";
}

/* The log's numbers are a format of their own, so they are translated, not cast. */
static enum oplog_actor actor_of(enum record_who who)
{
	switch (who) {
	case WHO_PRODUCER: return OPLOG_PRODUCER;
	case WHO_CHECKBACK: return OPLOG_CHECK_BACK;
	case WHO_OPERATOR: return OPLOG_OPERATOR;
	case WHO_SQL: return OPLOG_SQL_REQUEST;
	case WHO_POLICY: return OPLOG_POLICY;
	}
	return OPLOG_NOBODY;
}

static enum oplog_txn_state state_of(enum record_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_COMMIT: return OPLOG_COMMITTED;
	case OUTCOME_ROLLBACK: return OPLOG_ROLLED_BACK;
	case OUTCOME_PARK: return OPLOG_PARKED;
	case OUTCOME_RESUME: break;
	}
	return OPLOG_PREPARED;
}

static enum oplog_event_kind event_of(enum record_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_COMMIT: return OPLOG_DID_COMMIT;
	case OUTCOME_ROLLBACK: return OPLOG_DID_ROLL_BACK;
	case OUTCOME_PARK: return OPLOG_DID_PARK;
	case OUTCOME_RESUME: break;
	}
	return OPLOG_DID_RESUME;
}

static void see_time(int64_t *time_ms_io, int64_t time_ms)
{
	if (time_ms > *time_ms_io)
		*time_ms_io = time_ms;
}

static struct oplog_txn txn_of_half(const struct record_half *half, uint64_t offset)
{
	return (struct oplog_txn){
		.half_offset = offset,
		.half_queue_offset = half->half_queue_offset,
		.created_ms = half->store_time_ms,
		.transaction_id = half->transaction_id,
		.group = half->group,
		.topic = half->topic,
		.queue_id = half->queue_id,
		.size = (uint32_t)half->message.size,
		.state = OPLOG_PREPARED,
		.state_offset = offset,
	};
}

static enum status half_facts(const struct log_record *record, const struct oplog_sink *sink, int64_t *time_ms_io,
			      struct errinfo *err)
{
	struct record_half half;
	enum status st = record_half_decode(record->payload, &half, err);

	if (st != ST_OK)
		return st;
	struct oplog_txn txn = txn_of_half(&half, record->offset);
	see_time(time_ms_io, half.store_time_ms);
	return sink->half(sink->context, &txn, err);
}

/* Only pending halves are carried. The state is as old as the half, so that it never replaces a later one. */
static enum status carry_facts(const struct log_record *record, const struct oplog_sink *sink, struct errinfo *err)
{
	struct record_carry carry;
	struct record_half half;
	enum status st = record_carry_decode(record->payload, &carry, err);

	if (st != ST_OK || carry.original_kind != LOG_HALF)
		return st;
	st = record_half_decode(carry.payload, &half, err);
	if (st != ST_OK)
		return st;
	struct oplog_txn txn = txn_of_half(&half, carry.original_offset);
	return sink->txn(sink->context, &txn, err);
}

static enum status decision_facts(const struct log_record *record, const struct oplog_sink *sink, int64_t *time_ms_io,
				  struct errinfo *err)
{
	struct record_decision decision;
	enum status st = record_decision_decode(record->payload, &decision, err);

	if (st != ST_OK)
		return st;
	see_time(time_ms_io, decision.when_ms);
	struct oplog_txn txn = {
		.half_offset = decision.half_offset,
		.half_queue_offset = decision.half_queue_offset,
		.created_ms = decision.half_store_time_ms,
		.transaction_id = decision.transaction_id,
		.group = decision.group,
		.topic = decision.topic,
		.queue_id = decision.queue_id,
		.size = decision.message_size,
		.state = state_of(decision.outcome),
		.decided_by = actor_of(decision.who),
		.decider = decision.who_text,
		.decided_ms = decision.when_ms,
		.checks = decision.answered_checks,
		.has_queue_offset = decision.outcome == OUTCOME_COMMIT && decision.deliver_at_ms == 0,
		.queue_offset = decision.queue_offset,
		.deliver_at_ms = decision.outcome == OUTCOME_COMMIT ? decision.deliver_at_ms : 0,
		.request_id = decision.request_id,
		.reason = decision.reason,
		.state_offset = record->offset,
	};
	st = sink->txn(sink->context, &txn, err);
	/* What the producer itself decided is in the transaction's row, and too common for the history. */
	if (st != ST_OK || (decision.who == WHO_PRODUCER &&
			    (decision.outcome == OUTCOME_COMMIT || decision.outcome == OUTCOME_ROLLBACK)))
		return st;
	struct oplog_event event = {
		.record_offset = record->offset,
		.at_ms = decision.when_ms,
		.half_offset = decision.half_offset,
		.event = event_of(decision.outcome),
		.actor = actor_of(decision.who),
		.actor_name = decision.who_text,
		.checks = decision.answered_checks,
		.reason = decision.reason,
	};
	return sink->event(sink->context, &event, err);
}

static enum status conflict_facts(const struct log_record *record, const struct oplog_sink *sink, int64_t *time_ms_io,
				  struct errinfo *err)
{
	struct record_conflict conflict;
	enum status st = record_conflict_decode(record->payload, &conflict, err);

	if (st != ST_OK)
		return st;
	see_time(time_ms_io, conflict.when_ms);
	struct oplog_event event = {
		.record_offset = record->offset,
		.at_ms = conflict.when_ms,
		.half_offset = conflict.half_offset,
		.event = OPLOG_REFUSED,
		.actor = actor_of(conflict.who),
		.actor_name = conflict.who_text,
		.detail = conflict.asked == OUTCOME_COMMIT ? OPLOG_COMMIT
			  : conflict.asked == OUTCOME_ROLLBACK ? OPLOG_ROLLBACK
							       : OPLOG_UNKNOWN,
		.repeats = conflict.suppressed,
	};
	return sink->event(sink->context, &event, err);
}

struct check_visit {
	const struct log_record *record;
	const struct oplog_sink *sink;
	int64_t *time_ms_io;
	uint32_t part;
};

static enum status visit_check(void *context, const struct record_check *check, struct errinfo *err)
{
	struct check_visit *visit = context;
	struct oplog_event event = {
		.record_offset = visit->record->offset,
		.part = visit->part++,
		.at_ms = check->when_ms,
		.half_offset = check->half_offset,
		.event = check->event == CHECK_ASKED ? OPLOG_CHECK_ASKED : OPLOG_CHECK_ANSWERED,
		/* The broker asks, the producer answers; in both cases the name is the producer's. */
		.actor = check->event == CHECK_ASKED ? OPLOG_CHECK_BACK : OPLOG_PRODUCER,
		.actor_name = check->who_text,
		.checks = check->answered,
	};

	see_time(visit->time_ms_io, check->when_ms);
	return visit->sink->event(visit->sink->context, &event, err);
}

enum status oplog_facts(const struct log_record *record, const struct oplog_sink *sink, int64_t *time_ms_io,
			struct errinfo *err)
{
	struct check_visit visit = { record, sink, time_ms_io, 0 };

	switch (record->kind) {
	case LOG_HALF: return half_facts(record, sink, time_ms_io, err);
	case LOG_DECISION: return decision_facts(record, sink, time_ms_io, err);
	case LOG_CONFLICT: return conflict_facts(record, sink, time_ms_io, err);
	case LOG_CHECK: return record_checks_decode(record->payload, visit_check, &visit, err);
	case LOG_CARRY: return carry_facts(record, sink, err);
	default: return ST_OK;
	}
}
