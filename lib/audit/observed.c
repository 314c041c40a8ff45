/* See observed.h. Notes are kept in tables by log offset; the log's records find them there. */
#include "lib/audit/observed.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/audit/pool.h"
#include "lib/base/hash.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"

enum { TEXT_SIZE = 400, ASKED_MAX = 8 };

struct half_note {
	uint64_t offset;          /* Of the HALF. */
	uint64_t n, name;         /* name: hash of (group, key). */
	int64_t acked_ms;
	bool acked, asked_commit;
	uint8_t told;             /* enum record_outcome, 0 while nothing was told. */
	/* From the log: */
	bool found;
	uint8_t state;            /* enum txn_state; 0: not decided, nor parked. */
	uint64_t decision_offset; /* Of the final one. */
	uint32_t published_count;
	uint64_t published_as;
	bool seen;
};

struct send_note {
	uint64_t offset;
	uint64_t place;           /* Hash of topic, queue, queue offset. */
	int64_t not_before_ms;
	bool found, published, seen;
};

struct message_note {
	uint64_t offset;          /* Its name. */
	uint64_t place, key_hash;
	uint64_t queue_offset;
	int64_t first_ms;
	bool transactional, found;
};

/* A hash and what it stands for. */
struct link {
	uint64_t hash;
	uint64_t offset;
};

struct offset_note {
	uint64_t hash;            /* Of group, topic, queue. */
	int64_t acked;            /* -1: none. */
	int64_t asked[ASKED_MAX]; /* Since the last acknowledged one. */
	uint32_t asked_count;
	int64_t logged;           /* -1: none. */
};

/* A half that the log holds undecided, or whose message waits (then under its DECISION's offset). */
struct waiting_half {
	uint64_t offset;
	uint64_t half_offset;
	uint64_t key_hash;
};

struct observed {
	audit_report report;
	void *context;
	struct hash_key key;
	uint64_t violation_count;
	bool failed;              /* Out of memory. */
	struct table halves, sends, messages, offsets;
	struct table names;       /* link: (group, key) -> acknowledged half. */
	struct table places;      /* link: place -> message seen there. */
	struct table keys;        /* link: key -> transactional message seen. */
	struct table waiting;
	uint64_t start;           /* Of the log. */
	bool begun, whole;
};

struct observed *observed_create(audit_report report, void *context)
{
	struct observed *o = calloc(1, sizeof(*o));

	if (o == NULL)
		return NULL;
	o->report = report;
	o->context = context;
	o->key = hash_key_random();
	table_init(&o->halves, sizeof(struct half_note));
	table_init(&o->sends, sizeof(struct send_note));
	table_init(&o->messages, sizeof(struct message_note));
	table_init(&o->offsets, sizeof(struct offset_note));
	table_init(&o->names, sizeof(struct link));
	table_init(&o->places, sizeof(struct link));
	table_init(&o->keys, sizeof(struct link));
	table_init(&o->waiting, sizeof(struct waiting_half));
	return o;
}

void observed_destroy(struct observed *o)
{
	if (o == NULL)
		return;
	table_deinit(&o->halves);
	table_deinit(&o->sends);
	table_deinit(&o->messages);
	table_deinit(&o->offsets);
	table_deinit(&o->names);
	table_deinit(&o->places);
	table_deinit(&o->keys);
	table_deinit(&o->waiting);
	free(o);
}

uint64_t observed_violations(const struct observed *o)
{
	return o->violation_count;
}

PRINTF_LIKE(5, 6)
static void violated(struct observed *o, enum audit_invariant invariant, uint64_t offset, uint64_t other, const char *fmt,
		     ...)
{
	char text[TEXT_SIZE];
	va_list args;

	o->violation_count++;
	if (o->report == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	o->report(o->context, &(struct audit_violation){ invariant, offset, other, text });
}

/* --- hashes ------------------------------------------------------------------------------------------------------ */

static uint64_t hash_two(const struct observed *o, struct span a, struct span b)
{
	struct hash128 outer = hash128_bytes(o->key, a.data, a.size);
	struct hash_key inner = { outer.lo ^ o->key.k0, outer.hi ^ o->key.k1 };

	return hash128_bytes(inner, b.data, b.size).lo;
}

static uint64_t hash_place(const struct observed *o, struct span group, struct span topic, uint32_t queue_id,
			   uint64_t queue_offset)
{
	uint64_t numbers[3] = { hash_two(o, group, topic), queue_id, queue_offset };

	return hash128_bytes(o->key, numbers, sizeof(numbers)).lo;
}

static uint64_t hash_key_text(const struct observed *o, struct span key)
{
	return key.size == 0 ? 0 : hash_two(o, key, SPAN_NONE) | 1;
}

/* The item with this key, made when it is new. NULL: out of memory, which is noted. */
static void *note(struct observed *o, struct table *table, uint64_t key)
{
	void *item = table_find(table, key);

	if (item == NULL)
		item = table_add(table, key);
	if (item == NULL)
		o->failed = true;
	return item;
}

/* Says where `hash` was seen first: there, or here. */
static uint64_t first_of(struct observed *o, struct table *table, uint64_t hash, uint64_t offset)
{
	struct link *link = note(o, table, hash);

	if (link == NULL)
		return offset;
	if (link->offset == 0)
		link->offset = offset;
	return link->offset;
}

/* --- what clients hear and see -------------------------------------------------------------------------------------- */

void observed_half(struct observed *o, const struct observed_half *half)
{
	struct half_note *noted = note(o, &o->halves, half->half_offset);
	uint64_t name = hash_two(o, half->group, half->key);
	uint64_t first = first_of(o, &o->names, name, half->half_offset);

	if (noted == NULL)
		return;
	if (first != half->half_offset)
		violated(o, AUDIT_READABLE, half->half_offset, first,
			 "a resend of half %.*s of group %.*s was acknowledged with log offset %" PRIu64 ", before with %" PRIu64,
			 SPAN_ARGS(half->key), SPAN_ARGS(half->group), half->half_offset, first);
	if (noted->acked && (noted->n != half->half_queue_offset || noted->name != name))
		violated(o, AUDIT_READABLE, half->half_offset, 0,
			 "half %.*s of group %.*s was acknowledged as %" PRIu64 " at %" PRIu64 ", which was another half's place",
			 SPAN_ARGS(half->key), SPAN_ARGS(half->group), half->half_queue_offset, half->half_offset);
	if (!noted->acked)
		noted->acked_ms = half->at_ms;
	noted->acked = true;
	noted->n = half->half_queue_offset;
	noted->name = name;
}

void observed_asked(struct observed *o, uint64_t half_offset, enum record_outcome outcome)
{
	struct half_note *half = note(o, &o->halves, half_offset);

	if (half != NULL && outcome == OUTCOME_COMMIT)
		half->asked_commit = true;
}

void observed_told(struct observed *o, uint64_t half_offset, enum record_outcome outcome)
{
	struct half_note *half = note(o, &o->halves, half_offset);

	if (half == NULL)
		return;
	if (half->told != 0 && half->told != outcome)
		violated(o, AUDIT_FIRST_DECISION, half_offset, 0, "one client was told that half %" PRIu64 " is %s, another: %s",
			 half->n, record_outcome_text((enum record_outcome)half->told), record_outcome_text(outcome));
	half->told = (uint8_t)outcome;
}

void observed_send(struct observed *o, const struct observed_send *send)
{
	struct send_note *noted = note(o, &o->sends, send->log_offset);

	if (noted == NULL)
		return;
	noted->not_before_ms = send->not_before_ms;
	noted->place = send->not_before_ms != 0 ? 0 : hash_place(o, SPAN_NONE, send->topic, send->queue_id, send->queue_offset);
}

void observed_offset(struct observed *o, const struct observed_offset *offset, bool acked)
{
	uint64_t hash = hash_place(o, offset->group, offset->topic, offset->queue_id, 0);
	bool is_new = table_find(&o->offsets, hash) == NULL;
	struct offset_note *noted = note(o, &o->offsets, hash);

	if (noted == NULL)
		return;
	if (is_new)
		noted->acked = noted->logged = -1;
	if (!acked) {
		if (noted->asked_count < ASKED_MAX)
			noted->asked[noted->asked_count] = offset->offset;
		noted->asked_count++;
		return;
	}
	noted->acked = offset->offset;
	noted->asked_count = 0;
}

void observed_message(struct observed *o, const struct observed_message *message)
{
	uint64_t place = hash_place(o, SPAN_NONE, message->topic, message->queue_id, message->queue_offset);
	uint64_t key = hash_key_text(o, message->key);
	uint64_t there = first_of(o, &o->places, place, message->log_offset);
	struct message_note *noted = note(o, &o->messages, message->log_offset);

	if (noted == NULL)
		return;
	if (there != message->log_offset)
		violated(o, AUDIT_FIRST_DECISION, message->log_offset, there,
			 "at queue offset %" PRIu64 " of %.*s/%" PRIu32 " stood the message %" PRIu64 ", now %" PRIu64 " does",
			 message->queue_offset, SPAN_ARGS(message->topic), message->queue_id, there, message->log_offset);
	if (noted->place != 0 && (noted->place != place || noted->key_hash != key))
		violated(o, AUDIT_FIRST_DECISION, message->log_offset, 0,
			 "message %" PRIu64 " was seen with another key or place than queue offset %" PRIu64 " of %.*s/%" PRIu32,
			 message->log_offset, message->queue_offset, SPAN_ARGS(message->topic), message->queue_id);
	if (message->transactional && key != 0) {
		uint64_t other = first_of(o, &o->keys, key, message->log_offset);

		if (other != message->log_offset)
			violated(o, AUDIT_ONCE, message->log_offset, other,
				 "transaction %.*s was seen as message %" PRIu64 " and as %" PRIu64, SPAN_ARGS(message->key), other,
				 message->log_offset);
	}
	if (noted->place == 0)
		noted->first_ms = message->at_ms;
	noted->place = place;
	noted->key_hash = key;
	noted->queue_offset = message->queue_offset;
	noted->transactional = message->transactional;
}

/* --- the log: halves and decisions ------------------------------------------------------------------------------------ */

static void take_half(struct observed *o, const struct log_record *record)
{
	struct record_half r;
	struct half_note *half = table_find(&o->halves, record->offset);

	if (record_half_decode(record->payload, &r, NULL) != ST_OK)
		return; /* The audit says so. */
	struct waiting_half *waiting = note(o, &o->waiting, record->offset);
	if (waiting != NULL) {
		waiting->half_offset = record->offset;
		waiting->key_hash = hash_key_text(o, r.unique_key);
	}
	if (half == NULL)
		return;
	half->found = true;
	if (half->acked && (half->n != r.half_queue_offset || half->name != hash_two(o, r.group, r.unique_key)))
		violated(o, AUDIT_KEPT, record->offset, 0,
			 "half %" PRIu64 " at %" PRIu64 " is not the one that was acknowledged (as %" PRIu64 ")", r.half_queue_offset,
			 record->offset, half->n);
}

/* A message got its place under the name `record->offset`. */
static void take_published(struct observed *o, const struct log_record *record, uint64_t place, uint64_t key_hash,
			   int64_t not_before_ms, bool *seen_out)
{
	struct message_note *message = table_find(&o->messages, record->offset);

	*seen_out = message != NULL;
	if (message == NULL)
		return;
	message->found = true;
	if (message->place != place)
		violated(o, AUDIT_ORDERED, record->offset, 0,
			 "message %" PRIu64 " was seen at queue offset %" PRIu64 ", the log puts it elsewhere", record->offset,
			 message->queue_offset);
	if (message->key_hash != 0 && key_hash != 0 && message->key_hash != key_hash)
		violated(o, AUDIT_READABLE, record->offset, 0, "message %" PRIu64 " was seen with another key than the log has",
			 record->offset);
	if (message->first_ms != 0 && message->first_ms < not_before_ms)
		violated(o, AUDIT_INVISIBLE, record->offset, 0, "message %" PRIu64 " was seen %" PRId64 " ms before its time",
			 record->offset, not_before_ms - message->first_ms);
}

static void publish_transaction(struct observed *o, const struct log_record *record, uint64_t half_offset, uint64_t place,
				uint64_t key_hash)
{
	struct half_note *half = table_find(&o->halves, half_offset);
	bool seen;

	take_published(o, record, place, key_hash, 0, &seen);
	if (half == NULL)
		return;
	half->seen |= seen;
	if (half->published_count++ > 0)
		violated(o, AUDIT_ONCE, record->offset, half->published_as, "half %" PRIu64 " is published as %" PRIu64
			 " and as %" PRIu64, half->n, half->published_as, record->offset);
	half->published_as = record->offset;
}

static void note_state(struct half_note *half, const struct log_record *record, enum record_outcome outcome)
{
	static const uint8_t states[] = { [OUTCOME_COMMIT] = TXN_COMMITTED, [OUTCOME_ROLLBACK] = TXN_ROLLED_BACK,
					  [OUTCOME_PARK] = TXN_PARKED, [OUTCOME_RESUME] = TXN_PREPARED };

	if (half == NULL)
		return;
	half->state = states[outcome];
	half->decision_offset = record->offset;
}

static void take_decision(struct observed *o, const struct log_record *record)
{
	struct record_decision r;

	if (record_decision_decode(record->payload, &r, NULL) != ST_OK)
		return;
	const struct waiting_half *waiting = table_find(&o->waiting, r.half_offset);
	uint64_t key_hash = waiting == NULL ? 0 : waiting->key_hash;
	note_state(table_find(&o->halves, r.half_offset), record, r.outcome);
	if (r.outcome == OUTCOME_PARK || r.outcome == OUTCOME_RESUME)
		return;
	table_remove(&o->waiting, r.half_offset);
	if (r.outcome == OUTCOME_ROLLBACK)
		return;
	if (r.deliver_at_ms == 0) {
		publish_transaction(o, record, r.half_offset, hash_place(o, SPAN_NONE, r.topic, r.queue_id, r.queue_offset),
				    key_hash);
		return;
	}
	struct waiting_half *delayed = note(o, &o->waiting, record->offset);
	if (delayed != NULL) {
		delayed->half_offset = r.half_offset;
		delayed->key_hash = key_hash;
	}
}

/* --- the log: messages and offsets --------------------------------------------------------------------------------------- */

static void publish_send(struct observed *o, const struct log_record *record, uint64_t source, uint64_t place)
{
	struct send_note *send = table_find(&o->sends, source);
	bool seen;

	take_published(o, record, place, 0, send == NULL ? 0 : send->not_before_ms, &seen);
	if (send == NULL)
		return;
	if (send->published)
		violated(o, AUDIT_ONCE, record->offset, source, "the message sent to %" PRIu64 " is published again", source);
	send->published = true;
	send->seen |= seen;
}

static void take_message(struct observed *o, const struct log_record *record)
{
	struct record_message r;
	struct send_note *send = table_find(&o->sends, record->offset);

	if (record_message_decode(record->payload, &r, NULL) != ST_OK)
		return;
	uint64_t place = hash_place(o, SPAN_NONE, r.topic, r.queue_id, r.queue_offset);
	if (send != NULL) {
		send->found = true;
		if ((send->not_before_ms != 0) != (r.deliver_at_ms != 0) || (r.deliver_at_ms == 0 && send->place != place))
			violated(o, AUDIT_READABLE, record->offset, 0,
				 "the message at %" PRIu64 " has another place than was acknowledged", record->offset);
	}
	if (r.deliver_at_ms == 0)
		publish_send(o, record, record->offset, place);
}

static void take_deliver(struct observed *o, const struct log_record *record)
{
	struct record_deliver r;

	if (record_deliver_decode(record->payload, &r, NULL) != ST_OK)
		return;
	uint64_t place = hash_place(o, SPAN_NONE, r.topic, r.queue_id, r.queue_offset);
	const struct waiting_half *waiting = table_find(&o->waiting, r.source_offset);
	if (waiting != NULL) {
		publish_transaction(o, record, waiting->half_offset, place, waiting->key_hash);
		table_remove(&o->waiting, r.source_offset);
	} else {
		publish_send(o, record, r.source_offset, place);
	}
}

static enum status visit_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	struct observed *o = context;
	struct offset_note *noted = table_find(&o->offsets, hash_place(o, r->group, r->topic, r->queue_id, 0));

	(void)err;
	if (noted != NULL)
		noted->logged = r->offset;
	return ST_OK;
}

enum status observed_record(struct observed *o, const struct log_record *record, struct errinfo *err)
{
	if (!o->begun) {
		o->begun = true;
		o->start = record->offset;
		o->whole = record->offset == LOG_SEGMENT_HEADER_SIZE;
	}
	switch (record->kind) {
	case LOG_HALF: take_half(o, record); break;
	case LOG_DECISION: take_decision(o, record); break;
	case LOG_MESSAGE: take_message(o, record); break;
	case LOG_DELIVER: take_deliver(o, record); break;
	case LOG_OFFSETS:
		if (record_offsets_decode(record->payload, visit_offset, o, err) != ST_OK)
			return ST_OK; /* The audit says so. */
		break;
	default: break;
	}
	return o->failed ? errinfo_set(err, ST_NOMEM, "comparison with observations: out of memory") : ST_OK;
}

/* --- the end ---------------------------------------------------------------------------------------------------------------- */

static bool is_earlier(const struct observed *o, uint64_t offset)
{
	return !o->whole && offset < o->start;
}

static void end_decided(struct observed *o, const struct half_note *half, const struct observed_end *end)
{
	uint8_t told_state = half->told == OUTCOME_COMMIT ? TXN_COMMITTED : TXN_ROLLED_BACK;
	bool is_final = half->state == TXN_COMMITTED || half->state == TXN_ROLLED_BACK;

	if (half->told != 0 && !is_final)
		violated(o, AUDIT_READABLE, half->offset, 0, "a client was told that half %" PRIu64 " is %s; the log has no decision",
			 half->n, record_outcome_text((enum record_outcome)half->told));
	else if (half->told != 0 && half->state != told_state)
		violated(o, AUDIT_FIRST_DECISION, half->offset, half->decision_offset,
			 "a client was told that half %" PRIu64 " is %s; in the log it is %s", half->n,
			 record_outcome_text((enum record_outcome)half->told), txn_state_text((enum txn_state)half->state));
	if (half->published_count > 0 && end->all_asks && !half->asked_commit)
		violated(o, AUDIT_INVISIBLE, half->published_as, half->offset, "half %" PRIu64 " is published, nobody asked for it",
			 half->n);
	if (half->published_count > 0 && half->state == TXN_ROLLED_BACK)
		violated(o, AUDIT_INVISIBLE, half->published_as, half->offset, "half %" PRIu64 " is published and rolled back",
			 half->n);
	if (half->published_count > 0 && end->all_read && !half->seen)
		violated(o, AUDIT_READABLE, half->published_as, half->offset, "half %" PRIu64 " is committed, but nobody saw it",
			 half->n);
	if (half->state == TXN_COMMITTED && half->published_count == 0 && end->at_rest)
		violated(o, AUDIT_READABLE, half->decision_offset, half->offset, "half %" PRIu64 " is committed and was not delivered",
			 half->n);
}

static void end_half(struct observed *o, const struct half_note *half, const struct observed_end *end)
{
	bool undecided = half->state == 0 || half->state == TXN_PREPARED;

	if (!half->found) {
		if ((half->acked || half->told != 0) && !is_earlier(o, half->offset))
			violated(o, AUDIT_KEPT, half->offset, 0, "half %" PRIu64 " at %" PRIu64 " was acknowledged and is not in the log",
				 half->n, half->offset);
		return;
	}
	end_decided(o, half, end);
	if (undecided && end->at_rest)
		violated(o, AUDIT_RESOLVED, half->offset, 0, "half %" PRIu64 " is still undecided", half->n);
	else if (undecided && half->acked && end->resolve_within_ms > 0 &&
		 end->now_ms - half->acked_ms > end->resolve_within_ms)
		violated(o, AUDIT_RESOLVED, half->offset, 0, "half %" PRIu64 " is undecided after %" PRId64 " ms", half->n,
			 end->now_ms - half->acked_ms);
}

static void end_send(struct observed *o, const struct send_note *send, const struct observed_end *end)
{
	if (is_earlier(o, send->offset))
		return;
	if (!send->found)
		violated(o, AUDIT_READABLE, send->offset, 0, "the message at %" PRIu64 " was acknowledged and is not in the log",
			 send->offset);
	else if (!send->published && end->at_rest && send->not_before_ms <= end->now_ms)
		violated(o, AUDIT_READABLE, send->offset, 0, "the message at %" PRIu64 " is due and was not delivered", send->offset);
	else if (send->published && end->all_read && !send->seen)
		violated(o, AUDIT_READABLE, send->offset, 0, "the message at %" PRIu64 " was acknowledged, but nobody saw it",
			 send->offset);
}

static void end_offset(struct observed *o, const struct offset_note *offset)
{
	if (offset->acked < 0 || offset->logged == offset->acked || offset->asked_count > ASKED_MAX)
		return;
	if (offset->logged < 0 && !o->whole)
		return; /* Its record may have gone with the log's beginning. */
	for (uint32_t i = 0; i < offset->asked_count; i++) {
		if (offset->logged == offset->asked[i])
			return; /* Asked for later; it may have come through. */
	}
	violated(o, AUDIT_READABLE, 0, 0, "consumer offset %" PRId64 " was acknowledged; the log has %" PRId64, offset->acked,
		 offset->logged);
}

static void end_message(struct observed *o, const struct message_note *message)
{
	if (!message->found && !is_earlier(o, message->offset))
		violated(o, AUDIT_INVISIBLE, message->offset, 0,
			 "a message was seen under the name %" PRIu64 ", where the log publishes none", message->offset);
}

enum status observed_end(struct observed *o, const struct observed_end *end, struct errinfo *err)
{
	/* Only `waiting` gives places back: every slot of the others is in use. */
	for (uint32_t i = 0; i < o->halves.pool.end; i++)
		end_half(o, pool_at(&o->halves.pool, i), end);
	for (uint32_t i = 0; i < o->sends.pool.end; i++)
		end_send(o, pool_at(&o->sends.pool, i), end);
	for (uint32_t i = 0; i < o->messages.pool.end; i++)
		end_message(o, pool_at(&o->messages.pool, i));
	for (uint32_t i = 0; i < o->offsets.pool.end; i++)
		end_offset(o, pool_at(&o->offsets.pool, i));
	return o->failed ? errinfo_set(err, ST_NOMEM, "comparison with observations: out of memory") : ST_OK;
}
