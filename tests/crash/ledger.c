/* See ledger.h. */
#include "tests/crash/ledger.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tests/crash/ledger_internal.h"

static void *must(void *p)
{
	if (p == NULL)
		abort();
	return p;
}

static void *one_more(void *array, size_t count, size_t *capacity, size_t element)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 16 : 2 * *capacity;
	return must(realloc(array, *capacity * element));
}

bool ledger_say(char why[LEDGER_WHY_SIZE], const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(why, LEDGER_WHY_SIZE, fmt, args);
	va_end(args);
	return false;
}

/* --- life ------------------------------------------------------------------------------------------------ */

struct ledger *ledger_create(void)
{
	return must(calloc(1, sizeof(struct ledger)));
}

void ledger_destroy(struct ledger *l)
{
	if (l == NULL)
		return;
	for (size_t i = 0; i < l->count; i++)
		free((void *)l->records[i].payload.data);
	for (size_t i = 0; i < l->queue_count; i++)
		free(l->queues[i].messages);
	for (size_t i = 0; i < l->half_count; i++)
		free(l->halves[i].steps);
	for (size_t i = 0; i < l->row_count; i++)
		free(l->rows[i].steps);
	ledger_pops_free(l);
	free(l->records);
	free(l->queues);
	free(l->halves);
	free(l->delayed);
	free(l->rows);
	free(l);
}

struct ledger *ledger_fork(const struct ledger *l, size_t count)
{
	struct ledger *fork = ledger_create();

	fork->log_start = l->log_start;
	for (size_t i = 0; i < count; i++) {
		const struct ledger_record *from = &l->records[i];
		struct log_record record = { .kind = from->kind, .epoch = from->epoch, .offset = from->offset,
					     .size = (uint32_t)(from->end - from->offset), .payload = from->payload };
		char why[LEDGER_WHY_SIZE];

		if (!ledger_add(fork, &record, why)) {
			fprintf(stderr, "ledger: fork: %s\n", why);
			abort(); /* They were taken in once. */
		}
	}
	return fork;
}

void ledger_note_start(struct ledger *l, uint64_t log_start)
{
	l->log_start = log_start;
}

size_t ledger_count(const struct ledger *l)
{
	return l->count;
}

size_t ledger_count_until(const struct ledger *l, uint64_t offset)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (l->records[middle].end <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* --- queues and times --------------------------------------------------------------------------------------- */

static bool note_time(struct ledger *l, int64_t when_ms, char *why)
{
	if (when_ms < l->last_time_ms)
		return ledger_say(why, "time goes back from %" PRId64 " to %" PRId64, l->last_time_ms, when_ms);
	l->last_time_ms = when_ms;
	return true;
}

static struct ledger_queue *queue_of(struct ledger *l, struct span topic, uint32_t id)
{
	for (size_t i = 0; i < l->queue_count; i++) {
		if (l->queues[i].id == id && span_equal(l->queues[i].topic, topic))
			return &l->queues[i];
	}
	l->queues = one_more(l->queues, l->queue_count, &l->queue_capacity, sizeof(*l->queues));
	struct ledger_queue *queue = &l->queues[l->queue_count++];
	*queue = (struct ledger_queue){ .topic = topic, .id = id };
	return queue;
}

/* Puts a message into its queue. */
static bool place(struct ledger *l, struct span topic, uint32_t id, uint64_t queue_offset, struct ledger_message message,
		  char *why)
{
	struct ledger_queue *queue = queue_of(l, topic, id);

	if (queue_offset != queue->count)
		return ledger_say(why, "queue offset %" PRIu64 " of %.*s/%u follows %zu messages", queue_offset,
				  SPAN_ARGS(topic), id, queue->count);
	message.record = l->count;
	queue->messages = one_more(queue->messages, queue->count, &queue->capacity, sizeof(*queue->messages));
	queue->messages[queue->count++] = message;
	return true;
}

static void delay(struct ledger *l, struct ledger_delayed entry)
{
	entry.record = l->count;
	entry.gone = SIZE_MAX;
	l->delayed = one_more(l->delayed, l->delayed_count, &l->delayed_capacity, sizeof(*l->delayed));
	l->delayed[l->delayed_count++] = entry;
}

/* --- bodies -------------------------------------------------------------------------------------------------- */

static const struct ledger_record *record_at(const struct ledger *l, uint64_t offset)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (l->records[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low < l->count && l->records[low].offset == offset ? &l->records[low] : NULL;
}

/* The place that a record names holds this message. */
static bool is_body(const struct ledger *l, struct ledger_body body, struct span message, char *why)
{
	const struct ledger_record *at = record_at(l, body.offset);
	size_t begin = body.delta - (size_t)LOG_ENVELOPE_SIZE;

	if (at == NULL || (at->kind != LOG_MESSAGE && at->kind != LOG_HALF && at->kind != LOG_CARRY))
		return ledger_say(why, "a body at %" PRIu64 ", where no record holds one", body.offset);
	if (body.delta < LOG_ENVELOPE_SIZE || body.size != message.size || begin + body.size > at->payload.size ||
	    memcmp(at->payload.data + begin, message.data, message.size) != 0)
		return ledger_say(why, "the %u bytes at %" PRIu64 " + %u are not the message", body.size, body.offset, body.delta);
	return true;
}

/* An old record once more, bit for bit. */
static bool add_carry(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_carry r;
	struct errinfo err;

	if (record_carry_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "CARRY: %s", err.text);
	const struct ledger_record *original = record_at(l, r.original_offset);
	if (original == NULL || original->kind != r.original_kind || !span_equal(original->payload, r.payload))
		return ledger_say(why, "CARRY of %" PRIu64 ", which was another record", r.original_offset);
	for (size_t i = 0; i < l->half_count; i++) {
		enum txn_state state = l->halves[i].steps[l->halves[i].count - 1].state;
		if (l->halves[i].offset == r.original_offset && (state == TXN_PREPARED || state == TXN_PARKED))
			return true;
	}
	for (size_t i = 0; i < l->delayed_count; i++) {
		const struct ledger_delayed *d = &l->delayed[i];
		if (d->gone == SIZE_MAX && (d->transactional ? d->half_offset : d->naming_offset) == r.original_offset)
			return true;
	}
	return ledger_say(why, "CARRY of %" PRIu64 ", which nothing waits for", r.original_offset);
}

static bool add_mark(const struct ledger_record *at, char *why)
{
	struct record_snapshot_mark r;
	struct errinfo err;

	if (record_snapshot_mark_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "SNAPSHOT_MARK: %s", err.text);
	return r.snapshot_offset <= at->offset || ledger_say(why, "SNAPSHOT_MARK of what lies behind it");
}

/* --- messages ------------------------------------------------------------------------------------------------ */

static bool add_message(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_message r;
	struct errinfo err;

	if (record_message_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "MESSAGE: %s", err.text);
	if (!note_time(l, r.store_time_ms, why))
		return false;
	if (r.deliver_at_ms != 0) {
		delay(l, (struct ledger_delayed){ .naming_offset = at->offset, .deliver_at_ms = r.deliver_at_ms,
						  .message = r.message, .topic = r.topic, .queue_id = r.queue_id });
		return true;
	}
	return place(l, r.topic, r.queue_id, r.queue_offset,
		     (struct ledger_message){ .name_offset = at->offset, .store_time_ms = r.store_time_ms,
					      .message = r.message }, why);
}

static struct ledger_delayed *find_waiting(struct ledger *l, uint64_t naming_offset)
{
	for (size_t i = 0; i < l->delayed_count; i++) {
		if (l->delayed[i].naming_offset == naming_offset && l->delayed[i].gone == SIZE_MAX)
			return &l->delayed[i];
	}
	return NULL;
}

static bool add_deliver(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_deliver r;
	struct errinfo err;

	if (record_deliver_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "DELIVER: %s", err.text);
	struct ledger_delayed *entry = find_waiting(l, r.source_offset);
	if (entry == NULL)
		return ledger_say(why, "DELIVER of %" PRIu64 ", which does not wait", r.source_offset);
	if (r.deliver_time_ms < entry->deliver_at_ms)
		return ledger_say(why, "DELIVER of %" PRIu64 " before its time", r.source_offset);
	if (!span_equal(r.topic, entry->topic) || r.queue_id != entry->queue_id || r.transactional != entry->transactional)
		return ledger_say(why, "DELIVER of %" PRIu64 " to another queue", r.source_offset);
	if (!is_body(l, (struct ledger_body){ r.body_offset, r.message_delta, r.message_size }, entry->message, why) ||
	    !note_time(l, r.deliver_time_ms, why))
		return false;
	entry->gone = l->count;
	return place(l, r.topic, r.queue_id, r.queue_offset,
		     (struct ledger_message){ .name_offset = at->offset, .store_time_ms = r.deliver_time_ms,
					      .prepared_offset = entry->half_offset, .message = entry->message }, why);
}

static bool add_cancel(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_timer_cancel r;
	struct errinfo err;

	if (record_timer_cancel_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "TIMER_CANCEL: %s", err.text);
	struct ledger_delayed *entry = find_waiting(l, r.source_offset);
	if (entry == NULL || entry->transactional)
		return ledger_say(why, "TIMER_CANCEL of %" PRIu64 ", which does not wait", r.source_offset);
	if (!span_equal(r.topic, entry->topic) || !note_time(l, r.when_ms, why))
		return ledger_say(why, "TIMER_CANCEL of %" PRIu64 " names another topic or a time before", r.source_offset);
	entry->gone = l->count;
	return true;
}

/* --- transactions ------------------------------------------------------------------------------------------- */

static void step_half(struct ledger *l, struct ledger_half *half, struct half_step step)
{
	step.record = l->count;
	half->steps = one_more(half->steps, half->count, &half->capacity, sizeof(*half->steps));
	half->steps[half->count++] = step;
}

static bool add_half(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_half r;
	struct errinfo err;

	if (record_half_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "HALF: %s", err.text);
	if (r.half_queue_offset != l->half_count)
		return ledger_say(why, "HALF %" PRIu64 " follows %zu halves", r.half_queue_offset, l->half_count);
	if (!note_time(l, r.store_time_ms, why))
		return false;
	for (size_t i = 0; i < l->half_count; i++) {
		if (span_equal(l->halves[i].half.unique_key, r.unique_key) && span_equal(l->halves[i].half.group, r.group))
			return ledger_say(why, "a second HALF of key %.*s", SPAN_ARGS(r.unique_key));
	}
	l->halves = one_more(l->halves, l->half_count, &l->half_capacity, sizeof(*l->halves));
	struct ledger_half *half = &l->halves[l->half_count++];
	*half = (struct ledger_half){ .offset = at->offset, .half = r };
	step_half(l, half, (struct half_step){ .state = TXN_PREPARED });
	return true;
}

static bool allowed(enum txn_state state, enum record_outcome outcome)
{
	if (outcome == OUTCOME_PARK)
		return state == TXN_PREPARED;
	if (outcome == OUTCOME_RESUME)
		return state == TXN_PARKED;
	return state == TXN_PREPARED || state == TXN_PARKED;
}

static bool add_decision(struct ledger *l, const struct ledger_record *at, char *why)
{
	static const enum txn_state after[] = { [OUTCOME_COMMIT] = TXN_COMMITTED, [OUTCOME_ROLLBACK] = TXN_ROLLED_BACK,
						[OUTCOME_PARK] = TXN_PARKED, [OUTCOME_RESUME] = TXN_PREPARED };
	struct record_decision r;
	struct errinfo err;

	if (record_decision_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "DECISION: %s", err.text);
	if (r.half_queue_offset >= l->half_count || l->halves[r.half_queue_offset].offset != r.half_offset)
		return ledger_say(why, "DECISION about half %" PRIu64 " at %" PRIu64 ", which is not there",
				  r.half_queue_offset, r.half_offset);
	struct ledger_half *half = &l->halves[r.half_queue_offset];
	struct half_step last = half->steps[half->count - 1];
	if (!allowed(last.state, r.outcome))
		return ledger_say(why, "DECISION %s about half %" PRIu64 ", which is %s", record_outcome_text(r.outcome),
				  r.half_queue_offset, txn_state_text(last.state));
	if (!span_equal(r.topic, half->half.topic) || r.queue_id != half->half.queue_id)
		return ledger_say(why, "DECISION about half %" PRIu64 " names another queue", r.half_queue_offset);
	if (!is_body(l, (struct ledger_body){ r.body_offset, r.message_delta, r.message_size }, half->half.message, why) ||
	    !note_time(l, r.when_ms, why))
		return false;
	bool resumed = r.outcome == OUTCOME_RESUME;
	step_half(l, half, (struct half_step){ .state = after[r.outcome], .decision_offset = at->offset,
					       .attempts = resumed ? 0 : last.attempts,
					       .answered = resumed ? 0 : last.answered });
	if (r.outcome != OUTCOME_COMMIT)
		return true;
	if (r.deliver_at_ms != 0) {
		delay(l, (struct ledger_delayed){ .naming_offset = at->offset, .deliver_at_ms = r.deliver_at_ms,
						  .transactional = true, .half_offset = half->offset,
						  .message = half->half.message, .topic = r.topic, .queue_id = r.queue_id });
		return true;
	}
	return place(l, r.topic, r.queue_id, r.queue_offset,
		     (struct ledger_message){ .name_offset = at->offset, .prepared_offset = half->offset,
					      .store_time_ms = r.when_ms, .message = half->half.message }, why);
}

static bool add_conflict(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_conflict r;
	struct errinfo err;

	if (record_conflict_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "CONFLICT: %s", err.text);
	if (r.half_queue_offset >= l->half_count || l->halves[r.half_queue_offset].offset != r.half_offset)
		return ledger_say(why, "CONFLICT about a half that is not there");
	const struct ledger_half *half = &l->halves[r.half_queue_offset];
	const struct half_step *last = &half->steps[half->count - 1];
	bool committed = last->state == TXN_COMMITTED;
	if ((!committed && last->state != TXN_ROLLED_BACK) || last->decision_offset != r.decision_offset ||
	    (r.decided == OUTCOME_COMMIT) != committed || r.asked == r.decided)
		return ledger_say(why, "CONFLICT about half %" PRIu64 " that is none", r.half_queue_offset);
	return true;
}

struct add_context {
	struct ledger *ledger;
	char *why;
};

static enum status add_check(void *context, const struct record_check *r, struct errinfo *err)
{
	struct ledger *l = ((struct add_context *)context)->ledger;

	if (r->half_queue_offset >= l->half_count || l->halves[r->half_queue_offset].offset != r->half_offset)
		return errinfo_set(err, ST_CORRUPT, "about a half that is not there");
	struct ledger_half *half = &l->halves[r->half_queue_offset];
	struct half_step step = half->steps[half->count - 1];
	/* Those of the turn in which it was decided come after the decision. */
	if (step.state == TXN_COMMITTED || step.state == TXN_ROLLED_BACK)
		return ST_OK;
	step.attempts = r->attempts;
	step.answered = r->answered;
	step_half(l, half, step);
	return ST_OK;
}

/* --- settings and consumers ------------------------------------------------------------------------------------ */

static void step_row(struct ledger *l, unsigned kind, struct span name, struct span topic, uint32_t queue_id, int64_t value)
{
	struct ledger_row *row = NULL;

	for (size_t i = 0; i < l->row_count && row == NULL; i++) {
		struct ledger_row *r = &l->rows[i];
		if (r->kind == kind && r->queue_id == queue_id && span_equal(r->name, name) && span_equal(r->topic, topic))
			row = r;
	}
	if (row == NULL) {
		l->rows = one_more(l->rows, l->row_count, &l->row_capacity, sizeof(*l->rows));
		row = &l->rows[l->row_count++];
		*row = (struct ledger_row){ .kind = kind, .name = name, .topic = topic, .queue_id = queue_id };
	}
	row->steps = one_more(row->steps, row->count, &row->capacity, sizeof(*row->steps));
	row->steps[row->count++] = (struct ledger_step){ l->count, value };
}

static enum status add_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	(void)err;
	step_row(((struct add_context *)context)->ledger, LOG_OFFSETS, r->group, r->topic, r->queue_id, r->offset);
	return ST_OK;
}

static enum status add_pop(void *context, const struct record_pop *r, struct errinfo *err)
{
	const struct add_context *to = context;

	if (r->event == POP_REQUEST_MODE)
		step_row(to->ledger, LOG_POP, r->group, r->topic, 0, (int64_t)((uint64_t)(r->count - 1) << 32 | r->queue_offset));
	else if (!ledger_pop_add(to->ledger, r, to->why))
		return errinfo_set(err, ST_CORRUPT, "%.300s", to->why);
	return ST_OK;
}

static bool add_topic(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_topic r;
	struct errinfo err;

	if (record_topic_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "TOPIC: %s", err.text);
	step_row(l, LOG_TOPIC, r.name, SPAN_NONE, 0, 0);
	return true;
}

static bool add_group(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct record_group r;
	struct errinfo err;

	if (record_group_decode(at->payload, &r, &err) != ST_OK)
		return ledger_say(why, "GROUP: %s", err.text);
	step_row(l, LOG_GROUP, r.name, SPAN_NONE, 0, 0);
	return true;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

static bool take_effect(struct ledger *l, const struct ledger_record *at, char *why)
{
	struct add_context context = { l, why };
	struct errinfo err;

	switch (at->kind) {
	case LOG_MESSAGE: return add_message(l, at, why);
	case LOG_DELIVER: return add_deliver(l, at, why);
	case LOG_TIMER_CANCEL: return add_cancel(l, at, why);
	case LOG_HALF: return add_half(l, at, why);
	case LOG_DECISION: return add_decision(l, at, why);
	case LOG_CONFLICT: return add_conflict(l, at, why);
	case LOG_CARRY: return add_carry(l, at, why);
	case LOG_SNAPSHOT_MARK: return add_mark(at, why);
	case LOG_TOPIC: return add_topic(l, at, why);
	case LOG_GROUP: return add_group(l, at, why);
	case LOG_CHECK:
		return record_checks_decode(at->payload, add_check, &context, &err) == ST_OK ||
		       ledger_say(why, "CHECK: %s", err.text);
	case LOG_OFFSETS:
		return record_offsets_decode(at->payload, add_offset, &context, &err) == ST_OK ||
		       ledger_say(why, "OFFSETS: %s", err.text);
	case LOG_POP:
		return record_pops_decode(at->payload, add_pop, &context, &err) == ST_OK || ledger_say(why, "POP: %s", err.text);
	default: return ledger_say(why, "a record of kind %u (%s)", at->kind, log_kind_text(at->kind));
	}
}

bool ledger_add(struct ledger *l, const struct log_record *record, char why[LEDGER_WHY_SIZE])
{
	char reason[LEDGER_WHY_SIZE];

	if (log_kind_is_internal(record->kind))
		return true;
	if (l->count > 0 && (record->offset < l->records[l->count - 1].end || record->epoch < l->records[l->count - 1].epoch))
		return ledger_say(why, "record at %" PRIu64 " of epoch %u follows one that ends at %" PRIu64, record->offset,
				  record->epoch, l->records[l->count - 1].end);
	uint8_t *copy = must(malloc(record->payload.size + 1));
	if (record->payload.size > 0)
		memcpy(copy, record->payload.data, record->payload.size);
	struct ledger_record at = { .offset = record->offset, .end = record->offset + record->size, .kind = record->kind,
				    .epoch = record->epoch, .payload = { copy, record->payload.size } };
	if (!take_effect(l, &at, reason)) {
		free(copy);
		return ledger_say(why, "record at log offset %" PRIu64 ": %.400s", record->offset, reason);
	}
	l->records = one_more(l->records, l->count, &l->capacity, sizeof(*l->records));
	l->records[l->count++] = at;
	return true;
}

void ledger_count_kinds(const struct ledger *l, uint64_t *counts, uint64_t *outcomes)
{
	for (size_t i = 0; i < l->count; i++) {
		struct record_decision r;

		counts[l->records[i].kind]++;
		if (l->records[i].kind == LOG_DECISION && record_decision_decode(l->records[i].payload, &r, NULL) == ST_OK)
			outcomes[r.outcome]++;
	}
}

/* --- claims --------------------------------------------------------------------------------------------------------- */

static bool message_has_key(struct span stored, const char *key)
{
	struct message message;

	return message_decode(stored, &message, NULL) == ST_OK &&
	       span_is(property_get(message.properties, PROPERTY_UNIQ_KEY), key);
}

struct offset_claim {
	const struct ledger_claim *claim;
	bool found;
};

static enum status find_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	struct offset_claim *wanted = context;
	const struct ledger_claim *claim = wanted->claim;

	(void)err;
	wanted->found |= span_is(r->group, claim->key) && span_is(r->topic, claim->topic) &&
			 r->queue_id == claim->queue_id && r->offset == claim->value;
	return ST_OK;
}

struct pop_claim {
	const struct ledger_claim *claim;
	bool found;
};

static enum status find_pop(void *context, const struct record_pop *r, struct errinfo *err)
{
	struct pop_claim *wanted = context;
	const struct ledger_claim *claim = wanted->claim;
	uint64_t value = (uint64_t)claim->value, count = r->event == POP_REQUEST_MODE ? 1 : r->count;

	(void)err;
	wanted->found |= r->event == claim->event && span_is(r->group, claim->key) && span_is(r->topic, claim->topic) &&
			 r->queue_id == claim->queue_id && value >= r->queue_offset && value < r->queue_offset + count;
	return ST_OK;
}

/* Does this record say what was claimed? */
static bool record_says(const struct ledger_record *at, const struct ledger_claim *claim)
{
	struct offset_claim offset = { claim, false };
	struct pop_claim pop = { claim, false };
	struct record_message message;
	struct record_half half;
	struct record_decision decision;
	struct record_timer_cancel cancel;
	struct record_topic topic;
	struct record_group group;

	switch (claim->kind) {
	case CLAIM_MESSAGE:
		return at->kind == LOG_MESSAGE && at->offset == claim->log_offset &&
		       record_message_decode(at->payload, &message, NULL) == ST_OK &&
		       message_has_key(message.message, claim->key);
	case CLAIM_HALF:
		return at->kind == LOG_HALF && at->offset == claim->log_offset &&
		       record_half_decode(at->payload, &half, NULL) == ST_OK && span_is(half.unique_key, claim->key);
	case CLAIM_DECISION:
		return at->kind == LOG_DECISION && record_decision_decode(at->payload, &decision, NULL) == ST_OK &&
		       decision.half_offset == claim->log_offset && decision.outcome == claim->outcome;
	case CLAIM_OFFSET:
		return at->kind == LOG_OFFSETS && record_offsets_decode(at->payload, find_offset, &offset, NULL) == ST_OK &&
		       offset.found;
	case CLAIM_POP:
		return at->kind == LOG_POP && record_pops_decode(at->payload, find_pop, &pop, NULL) == ST_OK && pop.found;
	case CLAIM_RECALL:
		return at->kind == LOG_TIMER_CANCEL && record_timer_cancel_decode(at->payload, &cancel, NULL) == ST_OK &&
		       cancel.source_offset == claim->log_offset && span_is(cancel.unique_key, claim->key);
	case CLAIM_TOPIC:
		return at->kind == LOG_TOPIC && record_topic_decode(at->payload, &topic, NULL) == ST_OK &&
		       span_is(topic.name, claim->key);
	case CLAIM_GROUP:
		return at->kind == LOG_GROUP && record_group_decode(at->payload, &group, NULL) == ST_OK &&
		       span_is(group.name, claim->key);
	}
	return false;
}

bool ledger_holds(const struct ledger *l, const struct ledger_claim *claim)
{
	/* From the newest: an answer may also wait for "offset + 1" of the record that it rests on. */
	for (size_t i = l->count; i > 0; i--) {
		if (l->records[i - 1].offset < claim->wait_offset && record_says(&l->records[i - 1], claim))
			return true;
	}
	return false;
}
