/* HALF, DECISION, CONFLICT, CHECK: is each transaction decided once, by the table, and about the half that there is? */
#include <inttypes.h>

#include "lib/audit/audit_internal.h"
#include "lib/base/crc32c.h"

/* --- what is remembered ------------------------------------------------------------------------------------ */

struct half *audit_find_half(const struct audit *audit, uint64_t n)
{
	uint32_t slot = lookup_find(&audit->halves_by_n, n);

	return slot == SLOT_NONE ? NULL : pool_at(&audit->halves, slot);
}

static uint32_t slot_of(const struct audit *audit, const struct half *half)
{
	return (uint32_t)(half - (const struct half *)audit->halves.items);
}

static uint64_t *counter_of(struct audit *audit, unsigned state)
{
	switch (state) {
	case TXN_PREPARED: return &audit->facts.open_count;
	case TXN_COMMITTED: return &audit->facts.committed_count;
	case TXN_ROLLED_BACK: return &audit->facts.rolled_back_count;
	case TXN_PARKED: return &audit->facts.parked_count;
	default: return &audit->facts.unknown_count;
	}
}

static void set_state(struct audit *audit, struct half *half, unsigned state)
{
	--*counter_of(audit, half_state(half));
	half->place = half_offset(half) | state;
	++*counter_of(audit, state);
}

/* NULL without memory. */
static struct half *add_half(struct audit *audit, uint64_t n, uint64_t offset, unsigned state)
{
	uint32_t slot;

	if (lookup_reserve(&audit->halves_by_n) != ST_OK)
		return NULL;
	struct half *half = pool_add(&audit->halves, &slot);
	if (half == NULL)
		return NULL;
	half->n = n;
	half->place = (offset & ~(uint64_t)7) | state;
	half->decision = SLOT_NONE;
	lookup_put(&audit->halves_by_n, slot);
	++*counter_of(audit, state);
	return half;
}

static struct open_half *open_of(const struct audit *audit, const struct half *half)
{
	if (half_is_final(half) || half->decision == SLOT_NONE)
		return NULL;
	return pool_at(&audit->opens, (uint32_t)half->decision);
}

/* The same, made when it is not there yet. NULL without memory. */
static struct open_half *make_open(struct audit *audit, struct half *half)
{
	struct open_half *open = open_of(audit, half);
	uint32_t slot;

	if (open != NULL)
		return open;
	open = pool_add(&audit->opens, &slot);
	if (open != NULL)
		half->decision = slot;
	return open;
}

static void close_half(struct audit *audit, struct half *half, uint64_t decision_offset)
{
	const struct open_half *open = open_of(audit, half);

	if (open != NULL) {
		table_remove(&audit->carried, open->body_offset);
		pool_free(&audit->opens, (uint32_t)half->decision);
	}
	half->decision = decision_offset;
}

/* The transaction that a record speaks of, or NULL: reported, or (ST_NOMEM) out of memory. One whose half is older than
 * the log is taken in by what is said about it first. */
static enum status find_named(struct audit *audit, const char *kind, uint64_t n, uint64_t offset, struct half **out)
{
	struct half *half = audit_find_half(audit, n);

	*out = NULL;
	if (half != NULL && half_offset(half) == offset) {
		*out = half;
		return ST_OK;
	}
	if (half != NULL) {
		audit_violated(audit, AUDIT_FIRST_DECISION, half_offset(half),
			       "%s names half %" PRIu64 " at %" PRIu64 ", but that half is at %" PRIu64, kind, n, offset,
			       half_offset(half));
		return ST_OK;
	}
	if (!audit_is_earlier(audit, offset) || offset % 8 != 0 || (audit->half_seen && n >= audit->next_half)) {
		audit_violated(audit, AUDIT_INVISIBLE, offset, "%s names half %" PRIu64 " at %" PRIu64 ", which is not in the log",
			       kind, n, offset);
		return ST_OK;
	}
	if (!audit->half_seen && n >= audit->earlier_end)
		audit->earlier_end = n + 1;
	audit->facts.earlier_count++;
	*out = add_half(audit, n, offset, 0);
	return *out == NULL ? ST_NOMEM : ST_OK;
}

/* --- HALF ---------------------------------------------------------------------------------------------------- */

static void check_number(struct audit *audit, uint64_t n)
{
	uint64_t expected = audit->next_half;

	if (!audit->half_seen) {
		/* Where the log's beginning is gone, the numbers begin anywhere above those of older halves. */
		expected = audit->facts.whole ? 0 : n > audit->earlier_end ? n : audit->earlier_end;
		audit->half_seen = true;
	}
	if (n > expected)
		audit_violated(audit, AUDIT_KEPT, 0, "half %" PRIu64 " follows, expected %" PRIu64 ": halves are missing", n,
			       expected);
	if (n < expected)
		audit_violated(audit, AUDIT_ORDERED, 0, "half number %" PRIu64 ", expected %" PRIu64 ": was given before", n,
			       expected);
	audit->next_half = n >= expected ? n + 1 : expected;
}

/* What a HALF's payload, in place or carried, says. */
static enum status fill_open(struct audit *audit, const struct record_half *r, struct span payload,
			     struct open_half *open)
{
	enum status status = audit_name(audit, r->group, &open->group);

	if (status == ST_OK)
		status = audit_name(audit, r->topic, &open->topic);
	open->transaction_id = audit_hash(audit, r->transaction_id, SPAN_NONE);
	open->store_time_ms = r->store_time_ms;
	open->queue_id = r->queue_id;
	open->message_size = (uint32_t)r->message.size;
	open->tag_hash = r->tag_hash;
	open->delay_ms = r->delay_ms;
	open->payload_size = (uint32_t)payload.size;
	open->payload_crc = crc32c(0, payload.data, payload.size);
	open->message_delta = (uint16_t)(LOG_ENVELOPE_SIZE + payload.size - r->message.size);
	return status;
}

static enum status learn_name(struct audit *audit, struct half *half, const struct record_half *r)
{
	if (r->unique_key.size == 0)
		return ST_OK;
	if (lookup_reserve(&audit->halves_by_name) != ST_OK)
		return ST_NOMEM;
	half->name = audit_hash(audit, r->group, r->unique_key) | 1; /* Never 0. */
	if (lookup_find(&audit->halves_by_name, half->name) == SLOT_NONE)
		lookup_put(&audit->halves_by_name, slot_of(audit, half));
	else
		audit->facts.resent_count++;
	return ST_OK;
}

enum status audit_half(struct audit *audit, const struct log_record *record)
{
	struct record_half r;
	struct errinfo why;

	audit->facts.half_count++;
	if (record_half_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	check_number(audit, r.half_queue_offset);
	audit_note_time(audit, r.store_time_ms);
	if (r.queue_id > QUEUE_ID_MAX || r.group.size == 0 || r.topic.size == 0 || r.delay_ms == INT64_MIN)
		audit_violated(audit, AUDIT_FORMAT, 0, "a half of group \"%.*s\" for \"%.*s\"/%" PRIu32 ", delay %" PRId64 " ms",
			       SPAN_ARGS(r.group), SPAN_ARGS(r.topic), r.queue_id, r.delay_ms);
	if (audit_find_half(audit, r.half_queue_offset) != NULL)
		return ST_OK; /* A second one with this number was reported above. */
	struct half *half = add_half(audit, r.half_queue_offset, record->offset, TXN_PREPARED);
	struct open_half *open = half == NULL ? NULL : make_open(audit, half);
	if (open == NULL)
		return ST_NOMEM;
	open->body_offset = record->offset;
	enum status status = learn_name(audit, half, &r);
	return status == ST_OK ? fill_open(audit, &r, record->payload, open) : status;
}

/* --- DECISION ------------------------------------------------------------------------------------------------- */

/* Does it say of the half what the half says? */
static void check_facts(struct audit *audit, const struct record_decision *r, const struct half *half,
			const struct open_half *open)
{
	const char *differs = NULL;

	if (!span_equal(r->group, audit_name_text(audit, open->group)))
		differs = "group";
	else if (!span_equal(r->topic, audit_name_text(audit, open->topic)))
		differs = "topic";
	else if (r->queue_id != open->queue_id)
		differs = "queue";
	else if (audit_hash(audit, r->transaction_id, SPAN_NONE) != open->transaction_id)
		differs = "transaction id";
	else if (r->half_store_time_ms != open->store_time_ms)
		differs = "store time of the half";
	else if (r->tag_hash != open->tag_hash)
		differs = "tag";
	if (differs != NULL)
		audit_violated(audit, AUDIT_FIRST_DECISION, half_offset(half),
			       "DECISION on half %" PRIu64 " has another %s than the half", r->half_queue_offset, differs);
}

/* The body is where the half was stored, or where it was carried to last; the message lies in it at its place. */
static void check_body(struct audit *audit, const struct record_decision *r, const struct half *half,
		       const struct open_half *open)
{
	bool in_place = r->body_offset == half_offset(half);
	uint16_t delta = (uint16_t)(open->message_delta + (in_place ? 0 : CARRY_HEAD_SIZE));

	if (!in_place && r->body_offset != open->body_offset)
		audit_unknown_body(audit, r->body_offset, r->outcome == OUTCOME_COMMIT);
	else if (r->message_size != open->message_size || r->message_delta != delta)
		audit_violated(audit, AUDIT_READABLE, r->body_offset,
			       "DECISION finds a message of %" PRIu32 " bytes at %" PRIu64 "+%u, the half has one of %" PRIu32
			       " bytes at +%u", r->message_size, r->body_offset, r->message_delta, open->message_size, delta);
	else if (in_place && audit_is_earlier(audit, r->body_offset))
		audit_unknown_body(audit, r->body_offset, r->outcome == OUTCOME_COMMIT);
}

/* Does a commit name a time that its half's delay allows? */
static bool is_timely(const struct record_decision *r, int64_t delay_ms)
{
	int64_t latest;

	if (delay_ms < 0) /* A point in time, unless it has passed. */
		return r->deliver_at_ms == -delay_ms || (r->deliver_at_ms == 0 && -delay_ms <= r->when_ms);
	if (__builtin_add_overflow(r->when_ms, delay_ms, &latest))
		latest = INT64_MAX;
	return (delay_ms > 0) == (r->deliver_at_ms != 0) && r->deliver_at_ms <= latest;
}

/* A commit has a place now or a time when it gets one; nothing else has either. */
static void check_delivery(struct audit *audit, const struct record_decision *r, const struct open_half *open)
{
	bool commit = r->outcome == OUTCOME_COMMIT;

	if ((!commit && r->deliver_at_ms != 0) || ((!commit || r->deliver_at_ms != 0) && r->queue_offset != 0))
		audit_violated(audit, AUDIT_INVISIBLE, r->half_offset,
			       "DECISION (%s) of half %" PRIu64 " has queue offset %" PRIu64 " and delivery time %" PRId64,
			       record_outcome_text(r->outcome), r->half_queue_offset, r->queue_offset, r->deliver_at_ms);
	if (!commit || open == NULL || open->group == 0)
		return;
	if (!is_timely(r, open->delay_ms))
		audit_violated(audit, AUDIT_INVISIBLE, r->half_offset,
			       "DECISION at %" PRId64 " delivers half %" PRIu64 ", which has a delay of %" PRId64 " ms, at %" PRId64,
			       r->when_ms, r->half_queue_offset, open->delay_ms, r->deliver_at_ms);
}

/* What the table says; a half that is older than the log was open or parked. */
static enum txn_verdict ask_table(const struct half *half, const struct record_decision *r, enum txn_state *next)
{
	enum txn_event event = (enum txn_event)r->outcome;
	enum txn_who who = (enum txn_who)r->who;

	if (half_state(half) != 0)
		return txn_decide((enum txn_state)half_state(half), event, who, next);
	enum txn_verdict verdict = txn_decide(TXN_PREPARED, event, who, next);
	return verdict == TXN_APPLY ? verdict : txn_decide(TXN_PARKED, event, who, next);
}

static void report_step(struct audit *audit, const struct record_decision *r, const struct half *half,
			enum txn_verdict verdict)
{
	enum audit_invariant invariant = AUDIT_FIRST_DECISION;
	unsigned state = half_state(half);

	if (r->outcome == OUTCOME_COMMIT && state == TXN_COMMITTED)
		invariant = AUDIT_ONCE;
	if (r->outcome == OUTCOME_COMMIT && state == TXN_ROLLED_BACK)
		invariant = AUDIT_INVISIBLE;
	audit_violated(audit, invariant, half_is_final(half) ? half->decision : half_offset(half),
		       "DECISION (%s by %s) on half %" PRIu64 " at %" PRIu64 ", which is %s%s", txn_event_text((enum txn_event)r->outcome),
		       record_who_text(r->who), r->half_queue_offset, half_offset(half),
		       state == 0 ? "open or parked" : txn_state_text((enum txn_state)state),
		       verdict == TXN_DENIED ? ": not this one's to decide" : verdict == TXN_SAME ? " already" : "");
}

/* Of the halves with this name, is it the first that is published? */
static enum status check_name(struct audit *audit, const struct half *half)
{
	uint32_t slot = lookup_find(&audit->halves_by_name, half->name), own = slot_of(audit, half);

	if (half->name == 0)
		return ST_OK;
	if (lookup_reserve(&audit->halves_by_name) != ST_OK)
		return ST_NOMEM;
	const struct half *other = slot == SLOT_NONE || slot == own ? NULL : pool_at(&audit->halves, slot);
	if (other != NULL && half_state(other) == TXN_COMMITTED)
		audit_violated(audit, AUDIT_ONCE, other->decision,
			       "half %" PRIu64 " at %" PRIu64 " is published, but half %" PRIu64 " at %" PRIu64
			       " of the same group and UNIQ_KEY was, too: a resend was stored as a new transaction", half->n,
			       half_offset(half), other->n, half_offset(other));
	else if (slot != own)
		lookup_put(&audit->halves_by_name, own);
	return ST_OK;
}

static enum status take_step(struct audit *audit, const struct record_decision *r, struct half *half, enum txn_state next)
{
	struct open_half *open = open_of(audit, half);

	if (r->outcome == OUTCOME_RESUME && open != NULL)
		open->attempts = open->answered = 0;
	if (next == TXN_COMMITTED || next == TXN_ROLLED_BACK)
		close_half(audit, half, audit->record->offset);
	set_state(audit, half, next);
	if (next == TXN_ROLLED_BACK && half->name != 0)
		lookup_remove(&audit->halves_by_name, slot_of(audit, half));
	return next == TXN_COMMITTED ? check_name(audit, half) : ST_OK;
}

/* The message of a commit: in its queue, or waiting. Also when something is wrong with the decision, because the broker's
 * queues have it too. */
static enum status publish(struct audit *audit, const struct log_record *record, const struct record_decision *r,
			   const struct open_half *open)
{
	if (r->deliver_at_ms != 0)
		return audit_delay_commit(audit, record, r, open);
	audit->facts.published_count++;
	return audit_place(audit, &(struct placing){ r->topic, r->queue_id, r->queue_offset, r->when_ms, r->message_size });
}

enum status audit_decision(struct audit *audit, const struct log_record *record)
{
	struct record_decision r;
	struct errinfo why;
	struct half *half;
	enum txn_state next = TXN_PREPARED;

	if (record_decision_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	audit_note_time(audit, r.when_ms);
	enum status status = find_named(audit, "DECISION", r.half_queue_offset, r.half_offset, &half);
	if (status != ST_OK)
		return status;
	const struct open_half *open = half == NULL ? NULL : open_of(audit, half);
	check_delivery(audit, &r, open);
	if (open != NULL && open->group != 0) {
		check_facts(audit, &r, half, open);
		check_body(audit, &r, half, open);
	} else if (half != NULL && !half_is_final(half)) {
		audit_unknown_body(audit, r.body_offset, r.outcome == OUTCOME_COMMIT);
	}
	if (open != NULL && r.answered_checks < open->answered)
		audit_violated(audit, AUDIT_RESOLVED, r.half_offset,
			       "DECISION on half %" PRIu64 " counts %" PRIu32 " answered checks, before there were %" PRIu32,
			       r.half_queue_offset, r.answered_checks, open->answered);
	if (r.outcome == OUTCOME_COMMIT)
		status = publish(audit, record, &r, open);
	if (status != ST_OK || half == NULL)
		return status;
	enum txn_verdict verdict = ask_table(half, &r, &next);
	if (verdict == TXN_APPLY)
		return take_step(audit, &r, half, next);
	report_step(audit, &r, half, verdict);
	return ST_OK;
}

/* --- CONFLICT ------------------------------------------------------------------------------------------------- */

/* Of a half that was decided before the log begins: this is how. */
static void learn_decision(struct audit *audit, struct half *half, const struct record_conflict *r)
{
	unsigned state = r->decided == OUTCOME_COMMIT ? TXN_COMMITTED : r->decided == OUTCOME_ROLLBACK ? TXN_ROLLED_BACK : 0;

	if (state == 0 || !audit_is_earlier(audit, r->decision_offset))
		return;
	close_half(audit, half, r->decision_offset);
	set_state(audit, half, state);
}

enum status audit_conflict(struct audit *audit, const struct log_record *record)
{
	struct record_conflict r;
	struct errinfo why;
	struct half *half;
	enum txn_state next;

	if (record_conflict_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	audit_note_time(audit, r.when_ms);
	enum status status = find_named(audit, "CONFLICT", r.half_queue_offset, r.half_offset, &half);
	if (status != ST_OK || half == NULL)
		return status;
	if (half_state(half) == 0)
		learn_decision(audit, half, &r);
	unsigned state = half_state(half);
	if (!half_is_final(half) || half->decision != r.decision_offset) {
		audit_violated(audit, AUDIT_FIRST_DECISION, r.decision_offset,
			       "CONFLICT on half %" PRIu64 " names a decision at %" PRIu64 ", which is not the one that stands",
			       r.half_queue_offset, r.decision_offset);
	} else if ((state == TXN_COMMITTED) != (r.decided == OUTCOME_COMMIT) ||
		   (state == TXN_ROLLED_BACK) != (r.decided == OUTCOME_ROLLBACK)) {
		audit_violated(audit, AUDIT_FIRST_DECISION, r.decision_offset, "CONFLICT says that half %" PRIu64 " is %s; it is %s",
			       r.half_queue_offset, record_outcome_text(r.decided), txn_state_text((enum txn_state)state));
	} else if (txn_decide((enum txn_state)state, (enum txn_event)r.asked, (enum txn_who)r.who, &next) != TXN_REFUSE) {
		audit_violated(audit, AUDIT_FIRST_DECISION, r.decision_offset,
			       "CONFLICT refuses %s of half %" PRIu64 ", which is %s: no contradiction",
			       txn_event_text((enum txn_event)r.asked), r.half_queue_offset, txn_state_text((enum txn_state)state));
	}
	return ST_OK;
}

/* --- CHECK ------------------------------------------------------------------------------------------------------ */

static enum status visit_check(void *context, const struct record_check *r, struct errinfo *err)
{
	struct audit *audit = context;
	struct half *half;
	enum status status = find_named(audit, "CHECK", r->half_queue_offset, r->half_offset, &half);

	audit_note_time(audit, r->when_ms);
	if (status == ST_OK && r->answered > r->attempts)
		audit_violated(audit, AUDIT_RESOLVED, r->half_offset,
			       "CHECK of half %" PRIu64 " counts %" PRIu32 " answers to %" PRIu32 " questions", r->half_queue_offset,
			       r->answered, r->attempts);
	/* The checks of a turn are recorded together, after a decision of that turn perhaps: of a decided one is fine. */
	if (status != ST_OK || half == NULL || half_is_final(half))
		return status != ST_OK ? errinfo_set(err, status, "out of memory") : ST_OK;
	struct open_half *open = make_open(audit, half);
	if (open == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	if (r->attempts < open->attempts || r->answered < open->answered)
		audit_violated(audit, AUDIT_RESOLVED, r->half_offset,
			       "CHECK of half %" PRIu64 " counts %" PRIu32 " asked, %" PRIu32 " answered; before it were %" PRIu32
			       " and %" PRIu32, r->half_queue_offset, r->attempts, r->answered, open->attempts, open->answered);
	open->attempts = r->attempts;
	open->answered = r->answered;
	return ST_OK;
}

enum status audit_checks(struct audit *audit, const struct log_record *record, struct errinfo *err)
{
	struct errinfo why;
	enum status status = record_checks_decode(record->payload, visit_check, audit, &why);

	(void)err;
	if (status == ST_NOMEM)
		return status;
	return status == ST_OK ? ST_OK : audit_unreadable(audit, &why);
}

/* --- CARRY ------------------------------------------------------------------------------------------------------- */

enum status audit_carried_decision(struct audit *audit, const struct record_carry *carry, const struct record_decision *r)
{
	struct half *half;
	enum status status = find_named(audit, "CARRY", r->half_queue_offset, r->half_offset, &half);

	if (status != ST_OK || half == NULL)
		return status;
	if (half_state(half) == 0 && audit_is_earlier(audit, carry->original_offset) && r->outcome == OUTCOME_COMMIT) {
		close_half(audit, half, carry->original_offset);
		set_state(audit, half, TXN_COMMITTED);
	} else if (half_state(half) == 0 && audit_is_earlier(audit, carry->original_offset) && r->outcome == OUTCOME_PARK) {
		set_state(audit, half, TXN_PARKED);
	}
	bool stands = r->outcome == OUTCOME_PARK ? half_state(half) == TXN_PARKED
						 : half_is_final(half) && half->decision == carry->original_offset;
	if (!stands)
		audit_violated(audit, AUDIT_FIRST_DECISION, carry->original_offset,
			       "CARRY of a decision on half %" PRIu64 " at %" PRIu64 ", which is not the one that stands", half->n,
			       carry->original_offset);
	return ST_OK;
}

/* It is committed with a delay, and its message still waits: its body moves. */
static enum status carry_delayed_body(struct audit *audit, const struct record_carry *carry, const struct half *half)
{
	struct delayed *delayed = half_is_final(half) ? table_find(&audit->delays, half->decision) : NULL;

	uint32_t crc = crc32c(0, carry->payload.data, carry->payload.size);

	if (delayed == NULL || delayed->body_size == 0)
		audit->facts.unknown_carry_count++;
	if (delayed == NULL)
		return ST_OK;
	if (delayed->body_size == 0) { /* The first word about it: taken as it is. */
		delayed->body_size = (uint32_t)carry->payload.size;
		delayed->body_crc = crc;
	}
	if (carry->payload.size != delayed->body_size || crc != delayed->body_crc)
		audit_violated(audit, AUDIT_READABLE, carry->original_offset, "CARRY of half %" PRIu64 " differs from the half",
			       half->n);
	delayed->body_offset = audit->record->offset;
	return ST_OK;
}

enum status audit_carried_half(struct audit *audit, const struct record_carry *carry)
{
	struct record_half r;
	struct errinfo why;
	struct half *half;

	if (record_half_decode(carry->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	enum status status = find_named(audit, "CARRY", r.half_queue_offset, carry->original_offset, &half);
	if (status != ST_OK || half == NULL)
		return status;
	if (half_is_final(half))
		return carry_delayed_body(audit, carry, half);
	struct open_half *open = make_open(audit, half);
	if (open == NULL)
		return ST_NOMEM;
	table_remove(&audit->carried, open->body_offset);
	open->body_offset = audit->record->offset;
	if (half_state(half) == 0) {
		struct carried *carried = table_add(&audit->carried, open->body_offset);
		if (carried == NULL)
			return ST_NOMEM;
		carried->n = half->n;
	}
	if (open->group == 0) { /* The first word about it: taken as it is. */
		audit->facts.unknown_carry_count++;
		status = learn_name(audit, half, &r);
		return status == ST_OK ? fill_open(audit, &r, carry->payload, open) : status;
	}
	if (carry->payload.size != open->payload_size ||
	    crc32c(0, carry->payload.data, carry->payload.size) != open->payload_crc)
		audit_violated(audit, AUDIT_READABLE, carry->original_offset, "CARRY of half %" PRIu64 " differs from the half",
			       half->n);
	return ST_OK;
}

bool audit_delivered_carry(struct audit *audit, const struct record_deliver *r)
{
	const struct carried *carried = table_find(&audit->carried, r->body_offset);
	struct half *half = carried == NULL ? NULL : audit_find_half(audit, carried->n);

	if (half == NULL || !r->transactional)
		return false;
	const struct open_half *open = open_of(audit, half);
	if (r->message_size != open->message_size || r->message_delta != (uint16_t)(open->message_delta + CARRY_HEAD_SIZE))
		audit_violated(audit, AUDIT_READABLE, r->body_offset,
			       "DELIVER finds a message of %" PRIu32 " bytes at %" PRIu64 "+%u, there is one of %" PRIu32 " bytes",
			       r->message_size, r->body_offset, r->message_delta, open->message_size);
	close_half(audit, half, r->source_offset);
	set_state(audit, half, TXN_COMMITTED);
	return true;
}
