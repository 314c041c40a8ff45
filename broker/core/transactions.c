#include "broker/core/transactions.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "broker/core/timers.h"
#include "checkback/checkback.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"

/* Outcomes and who asks are handed to lib/txn as they stand in records. */
_Static_assert((int)OUTCOME_COMMIT == (int)TXN_COMMIT && (int)OUTCOME_ROLLBACK == (int)TXN_ROLLBACK &&
	       (int)OUTCOME_PARK == (int)TXN_PARK && (int)OUTCOME_RESUME == (int)TXN_RESUME, "numbers of the DECISION record");
_Static_assert((int)WHO_PRODUCER == (int)TXN_PRODUCER && (int)WHO_CHECKBACK == (int)TXN_CHECKBACK &&
	       (int)WHO_OPERATOR == (int)TXN_OPERATOR && (int)WHO_SQL == (int)TXN_SQL && (int)WHO_POLICY == (int)TXN_POLICY,
	       "numbers of the DECISION record");

/* Copies of what a DECISION takes from the half: the half's bytes may be overwritten when the record is begun. */
struct decision_texts {
	uint8_t bytes[4 * 1024];
	size_t used;
};

static struct span keep(struct decision_texts *texts, struct span s)
{
	size_t room = sizeof(texts->bytes) - texts->used;

	if (s.size > room)
		s.size = room;
	if (s.size > 0)
		memcpy(texts->bytes + texts->used, s.data, s.size);
	struct span kept = { texts->bytes + texts->used, s.size };
	texts->used += s.size;
	return kept;
}

enum status core_stored_half(struct core *core, uint64_t half_queue_offset, struct record_half *out, uint32_t *attempts_out,
			     struct errinfo *err)
{
	const struct pending *entry = pending_find(core->pending, half_queue_offset);
	struct stored_half stored = { 0 };

	if (entry == NULL)
		return errinfo_set(err, ST_NOTFOUND, "half message %" PRIu64 " is not open", half_queue_offset);
	enum status status = core_read_half(core, entry->body_offset, &stored, err);
	*out = stored.half;
	*attempts_out = entry->attempts;
	return status;
}

/* --- who fits ----------------------------------------------------------------------------------------- */

static enum status check_names(const struct end_request *request, struct span group, struct span transaction_id,
			       struct outcome *outcome)
{
	if (!span_equal(request->group, group))
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "producer group wrong: the half message belongs to %.*s",
				   SPAN_ARGS(group));
	if (request->transaction_id.size > 0 && transaction_id.size > 0 &&
	    !span_equal(request->transaction_id, transaction_id))
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "transaction id wrong: the half message has %.*s",
				   SPAN_ARGS(transaction_id));
	return ST_OK;
}

static enum status check_unique_key(const struct end_request *request, struct span unique_key, struct outcome *outcome)
{
	if (request->unique_key.size > 0 && unique_key.size > 0 && !span_equal(request->unique_key, unique_key) &&
	    request->transaction_id.size == 0)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "message id wrong: the half message has %.*s",
				   SPAN_ARGS(unique_key));
	return ST_OK;
}

static enum status read_failed(struct core *core, enum status status, const struct errinfo *err, struct outcome *outcome)
{
	if (status == ST_AGAIN)
		return status;
	core_note_damage(core, status, err);
	return core_refuse(outcome, RESP_SYSTEM_ERROR, "find prepared message failed: %s", err->text);
}

/* --- recording ---------------------------------------------------------------------------------------- */

static void append_decision(struct core *core, const struct record_decision *r, struct placed *at)
{
	struct errinfo err;

	record_decision_encode(r, commitlog_begin(core->log, LOG_DECISION, record_decision_size(r), &at->offset));
	commitlog_commit(core->log);
	at->size = (uint32_t)commitlog_record_size(record_decision_size(r));
	if (apply_decision(core, at, r, &err) != ST_OK)
		core_state_broken(core, &err);
}

/* Room for the decision; and where a commit puts the message. */
static enum status place(struct core *core, const struct record_half *half, struct record_decision *r,
			 struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, half->topic);
	bool commits = r->outcome == OUTCOME_COMMIT;
	struct queue *queue;
	enum status status;

	if (commits)
		r->deliver_at_ms = timers_deliver_at(core, half->delay_ms);
	status = apply_reserve_decision(core, topic, r, &queue, &outcome->err);
	if (status != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "[PCBUSY_CLEAN_QUEUE]%s", outcome->err.text);
	r->queue_offset = commits && r->deliver_at_ms == 0 ? queue->next_offset : 0;
	return ST_OK;
}

/* What only parks or resumes ends nothing: the transaction will need the room of its decision later. */
static bool has_room(const struct core *core, const struct record_decision *r)
{
	size_t size = record_decision_size(r);
	bool ends = r->outcome == OUTCOME_COMMIT || r->outcome == OUTCOME_ROLLBACK;

	return room_has(core, ends ? ROOM_DECISION : ROOM_PROGRESS, size) && commitlog_room(core->log) >= commitlog_record_size(size);
}

/* Is there something of this turn about it that no record says yet? */
static bool was_checked_now(const struct core *core, const struct pending *entry)
{
	size_t i = 0;

	while (i < core->check_count && core->checks[i].half_queue_offset != entry->half_queue_offset)
		i++;
	return i < core->check_count;
}

static enum status record_decided(struct core *core, const struct pending *entry, const struct stored_half *stored,
			  enum record_outcome outcome_asked, enum record_who who, struct span who_text,
			  struct outcome *outcome)
{
	struct decision_texts texts;
	const struct record_half *half = &stored->half;
	struct record_decision r = {
		.half_offset = entry->half_offset,
		.half_queue_offset = entry->half_queue_offset,
		.half_store_time_ms = half->store_time_ms,
		.body_offset = entry->body_offset,
		.message_size = (uint32_t)half->message.size,
		.message_delta = stored->message_delta,
		.outcome = outcome_asked,
		.who = who,
		.when_ms = core_store_time(core),
		.answered_checks = entry->answered,
		.queue_id = half->queue_id,
		.tag_hash = half->tag_hash,
		.global = { SPAN_NONE, half->global.part, half->global.part_count },
	};
	struct placed at;

	texts.used = 0;
	r.topic = keep(&texts, half->topic);
	r.group = keep(&texts, half->group);
	r.transaction_id = keep(&texts, half->transaction_id);
	r.global.id = keep(&texts, half->global.id);
	r.who_text = keep(&texts, who_text);
	enum status status = place(core, half, &r, outcome);
	if (status != ST_OK)
		return status;
	/* What was asked and answered before it stands before it in the log, if there is room. It must where one starts to count
	 * anew. */
	if (outcome_asked == OUTCOME_RESUME || was_checked_now(core, entry))
		transactions_record_checks(core);
	if ((outcome_asked == OUTCOME_RESUME && core->check_count > 0) || !has_room(core, &r))
		return core_no_room(core, record_decision_size(&r), outcome);
	append_decision(core, &r, &at);
	return core_accept(outcome, at.offset + at.size);
}

/* Decides an open transaction whose half is at hand. A commit into a topic that was deleted after the half was sent has no
 * place to put the message, and asking again would not help: the transaction is rolled back and whoever asked is told. */
static enum status decide(struct core *core, const struct pending *entry, const struct stored_half *stored,
			  enum record_outcome outcome_asked, enum record_who who, struct span who_text,
			  struct outcome *outcome)
{
	const struct topic *topic = topics_find_any(core->topics, stored->half.topic);
	char name[LONG_TOPIC_NAME_MAX];
	int name_size = (int)(stored->half.topic.size < sizeof(name) ? stored->half.topic.size : sizeof(name));

	if (outcome_asked != OUTCOME_COMMIT || (topic != NULL && !topic_outlived(topic, entry->half_offset)))
		return record_decided(core, entry, stored, outcome_asked, who, who_text, outcome);
	memcpy(name, stored->half.topic.data, (size_t)name_size);
	enum status status = record_decided(core, entry, stored, OUTCOME_ROLLBACK, WHO_POLICY, SPAN_LITERAL("topic deleted"), outcome);
	if (status != ST_OK)
		return status;
	return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic %.*s was deleted after the half message was sent: the transaction is "
			   "rolled back", name_size, name);
}

/* --- what is decided already ---------------------------------------------------------------------------- */

static void format_time(int64_t wall_ms, char out[32])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t size = gmtime_r(&seconds, &tm) == NULL ? 0 : strftime(out, 32, "%Y-%m-%dT%H:%M:%SZ", &tm);

	out[size] = '\0';
}

/* As much of a text as records hold that is a peer's own: a client's id, an id that nothing was compared with. */
static struct span cut(struct span text)
{
	return (struct span){ text.data, text.size < CLIENT_ID_MAX ? text.size : CLIENT_ID_MAX };
}

/* At most CONFLICTS_PER_SECOND records; the others are counted in the next one. */
static uint64_t record_conflict(struct core *core, const struct end_request *request,
				const struct record_decision *decided, uint64_t decision_offset)
{
	if (core->mono_ms - core->conflict_window_ms >= 1000) {
		core->conflict_window_ms = core->mono_ms;
		core->conflict_count = 0;
	}
	struct record_conflict r = {
		.half_offset = decided->half_offset,
		.half_queue_offset = decided->half_queue_offset,
		.decision_offset = decision_offset,
		.asked = request->outcome,
		.who = request->from_check ? WHO_CHECKBACK : WHO_PRODUCER,
		.decided = decided->outcome,
		.when_ms = core_store_time(core),
		.suppressed = core->conflict_suppressed,
		.group = request->group,
		.transaction_id = cut(request->transaction_id),
		.who_text = cut(request->client_id),
		.global = { .part_count = 1 },
	};
	uint64_t offset;
	uint8_t *payload = NULL;

	if (core->conflict_count < CONFLICTS_PER_SECOND)
		payload = room_begin(core, ROOM_CHECK, LOG_CONFLICT, record_conflict_size(&r), &offset);
	if (payload == NULL) {
		core->conflict_suppressed++;
		return 0;
	}
	core->conflict_count++;
	core->conflict_suppressed = 0;
	record_conflict_encode(&r, payload);
	return commitlog_commit(core->log);
}

static enum status refuse_opposite(struct core *core, const struct end_request *request,
				   const struct record_decision *decided, uint64_t decision_offset, uint64_t wait_offset,
				   struct outcome *outcome)
{
	char when[32];

	format_time(decided->when_ms, when);
	/* The text first: recording the conflict may overwrite what `decided` points at. */
	enum status status = core_refuse(outcome, RESP_ILLEGAL_OPERATION,
					 "the transaction is already %s, at %s by %s %.*s; %s is refused",
					 record_outcome_text(decided->outcome), when, record_who_text(decided->who),
					 SPAN_ARGS(decided->who_text), request->outcome == OUTCOME_COMMIT ? "commit" : "rollback");
	uint64_t conflict_end = record_conflict(core, request, decided, decision_offset);
	outcome->wait_offset = conflict_end > wait_offset ? conflict_end : wait_offset;
	core->stats.refused_count++;
	return status;
}

/* The decision's record is past its retention; the half index still knows how it ended. */
static enum status end_decided_long_ago(struct core *core, const struct end_request *request,
					const struct half_entry *half, struct outcome *outcome)
{
	enum txn_who who = request->from_check ? TXN_CHECKBACK : TXN_PRODUCER;
	enum txn_state next;

	if (txn_decide((enum txn_state)half->state, (enum txn_event)request->outcome, who, &next) == TXN_SAME)
		return core_accept(outcome, 0);
	core->stats.refused_count++;
	return core_refuse(outcome, RESP_ILLEGAL_OPERATION, "the transaction is already %s, longer ago than this broker keeps "
			   "its log; %s is refused", txn_state_text((enum txn_state)half->state),
			   request->outcome == OUTCOME_COMMIT ? "commit" : "rollback");
}

/* END for a transaction that is not open: the half index knows how it ended. */
static enum status end_decided(struct core *core, const struct end_request *request, struct outcome *outcome)
{
	struct half_entry half;
	struct log_record record = { 0 };
	struct record_decision decided = { 0 };
	enum txn_state next;

	enum status status = half_index_get(&core->halves, request->half_queue_offset, &half, &outcome->err);

	if (status == ST_NOTFOUND)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "find prepared message failed: no half message %" PRIu64,
				   request->half_queue_offset);
	if (status != ST_OK)
		return read_failed(core, status, &outcome->err, outcome);
	if (half.half_offset != request->half_offset)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "commit log offset wrong: half message %" PRIu64 " is at %" PRIu64,
				   request->half_queue_offset, half.half_offset);
	if (half.decision_offset < commitlog_start(core->log))
		return end_decided_long_ago(core, request, &half, outcome);
	status = core_read_record(core, half.decision_offset, &record, &outcome->err);
	if (status == ST_OK)
		status = record_decision_decode(record.payload, &decided, &outcome->err);
	if (status != ST_OK)
		return read_failed(core, status, &outcome->err, outcome);
	status = check_names(request, decided.group, decided.transaction_id, outcome);
	if (status != ST_OK)
		return status;
	uint64_t wait_offset = record.offset + record.size;
	enum txn_who who = request->from_check ? TXN_CHECKBACK : TXN_PRODUCER;
	switch (txn_decide((enum txn_state)half.state, (enum txn_event)request->outcome, who, &next)) {
	case TXN_SAME: return core_accept(outcome, wait_offset);
	default: return refuse_opposite(core, request, &decided, half.decision_offset, wait_offset, outcome);
	}
}

/* --- END_TRANSACTION ---------------------------------------------------------------------------------- */

static void note_check(struct core *core, const struct pending *entry, enum check_event event, struct span client_id)
{
	if (core->check_count == CHECK_BATCH_MAX)
		transactions_record_checks(core);
	if (core->check_count == CHECK_BATCH_MAX)
		return; /* No room in the log: the counts come with the next event of this transaction. */
	/* A copy: the client may be gone when the record is written. */
	char *text = core->check_clients[core->check_count];
	struct span who = { (const uint8_t *)text, cut(client_id).size };
	if (who.size > 0)
		memcpy(text, client_id.data, who.size);
	core->checks[core->check_count++] = (struct record_check){
		.half_offset = entry->half_offset, .half_queue_offset = entry->half_queue_offset,
		.attempts = entry->attempts, .answered = entry->answered, .event = event, .when_ms = core_store_time(core),
		.who_text = who,
	};
}

static enum status answered_unknown(struct core *core, const struct end_request *request, struct pending *entry,
				    struct outcome *outcome)
{
	/* Right after the send it means "I don't know yet": the first deadline stands. */
	if (request->from_check && entry->state == TXN_PREPARED) {
		/* An answer that is repeated is one answer. */
		if (entry->answered < entry->attempts && checkback_awaits_answer(entry))
			entry->answered++;
		note_check(core, entry, CHECK_ANSWERED_UNKNOWN, request->client_id);
		checkback_answered_unknown(core->checkback, entry, core->mono_ms);
	}
	return core_accept(outcome, 0);
}

enum status core_end_transaction(struct core *core, const struct end_request *request, struct outcome *outcome)
{
	struct pending *entry = pending_find(core->pending, request->half_queue_offset);
	struct stored_half stored = { 0 };
	enum status status;

	if (entry == NULL && request->outcome == 0)
		return core_accept(outcome, 0); /* Unknown, of what was decided meanwhile. */
	if (entry == NULL)
		return end_decided(core, request, outcome);
	if (entry->half_offset != request->half_offset)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "commit log offset wrong: half message %" PRIu64 " is at %" PRIu64,
				   request->half_queue_offset, entry->half_offset);
	if (request->outcome == 0 && span_equal(request->group, names_text(core->names, entry->group_id)))
		return answered_unknown(core, request, entry, outcome);
	status = core_read_half(core, entry->body_offset, &stored, &outcome->err);
	if (status != ST_OK)
		return read_failed(core, status, &outcome->err, outcome);
	status = check_names(request, stored.half.group, stored.half.transaction_id, outcome);
	if (status == ST_OK)
		status = check_unique_key(request, stored.half.unique_key, outcome);
	if (status != ST_OK)
		return status;
	enum txn_who who = request->from_check ? TXN_CHECKBACK : TXN_PRODUCER;
	enum txn_state next;
	enum txn_verdict verdict = txn_decide((enum txn_state)entry->state, (enum txn_event)request->outcome, who, &next);
	assert(verdict == TXN_APPLY); /* Open, and commit or rollback: the table lets anyone. */
	(void)verdict;
	return decide(core, entry, &stored, request->outcome, (enum record_who)who, request->client_id, outcome);
}

enum status core_operator_decide(struct core *core, uint64_t half_offset, enum record_outcome asked, struct span operator_name,
				 struct outcome *outcome)
{
	struct stored_half stored = { 0 };
	struct half_entry known;
	uint64_t n = 0;
	enum txn_state next;
	/* The half index knows which halves are real: bytes of a message could look like one. */
	enum status status = half_index_find(&core->halves, half_offset, &n, &known, &outcome->err);

	if (status != ST_OK)
		return read_failed(core, status, &outcome->err, outcome);
	core_correct_half(core, n, &known);
	switch (txn_decide((enum txn_state)known.state, (enum txn_event)asked, TXN_OPERATOR, &next)) {
	case TXN_SAME: return core_accept(outcome, known.decision_offset + 1);
	case TXN_APPLY: break;
	default:
		return core_refuse(outcome, RESP_ILLEGAL_OPERATION, "the transaction is already %s",
				   txn_state_text((enum txn_state)known.state));
	}
	struct pending *entry = pending_find(core->pending, n);
	assert(entry != NULL);
	status = core_read_half(core, entry->body_offset, &stored, &outcome->err);
	if (status != ST_OK)
		return read_failed(core, status, &outcome->err, outcome);
	return decide(core, entry, &stored, asked, WHO_OPERATOR, operator_name, outcome);
}

/* --- effects of check-back ------------------------------------------------------------------------------ */

bool transactions_ask(void *context, struct pending *entry, uint64_t conn_id)
{
	struct core *core = context;

	/* A half that is not durable yet may be gone after a crash: do not talk about it. */
	if (entry->half_offset + entry->record_size > core_committed_offset(core))
		return false;
	if (!core->effects.ask(core->effects.context, conn_id, entry->half_queue_offset, entry->half_offset))
		return false;
	struct pending asked = *entry;
	if (asked.attempts < UINT16_MAX)
		asked.attempts++; /* As check-back will count it on our return. */
	note_check(core, &asked, CHECK_ASKED, members_client_id(core->members, conn_id));
	core->stats.check_count++;
	return true;
}

bool transactions_full(void *context, uint64_t conn_id)
{
	const struct core *core = context;

	return core->effects.full != NULL && core->effects.full(core->effects.context, conn_id);
}

void transactions_exhausted(void *context, struct pending *entry)
{
	static const enum record_outcome outcomes[] = {
		[POLICY_PARK] = OUTCOME_PARK, [POLICY_ROLLBACK] = OUTCOME_ROLLBACK, [POLICY_COMMIT] = OUTCOME_COMMIT,
	};
	struct core *core = context;
	struct stored_half stored = { 0 };
	struct outcome outcome = { 0 };

	/* On any failure check-back calls again. */
	enum status status = core_read_half(core, entry->body_offset, &stored, &outcome.err);
	if (status == ST_AGAIN)
		(void)core_keep_wish(core, WISH_EXHAUSTED);
	if (status == ST_OK)
		(void)!decide(core, entry, &stored, outcomes[core->config.checkback.policy], WHO_POLICY, SPAN_NONE, &outcome);
}

void transactions_record_checks(struct core *core)
{
	uint64_t offset;

	if (core->check_count == 0)
		return;
	size_t size = record_checks_size(core->checks, core->check_count);
	uint8_t *payload = room_begin(core, ROOM_CHECK, LOG_CHECK, size, &offset);
	if (payload == NULL)
		return;
	record_checks_encode(core->checks, core->check_count, payload);
	commitlog_commit(core->log);
	core->check_count = 0;
}
