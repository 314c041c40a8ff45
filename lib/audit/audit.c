/* Records, facts and walks; see audit.h. */
#include "lib/audit/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/audit/audit_internal.h"

enum { TEXT_SIZE = 400 };

const char *audit_invariant_code(enum audit_invariant invariant)
{
	static const char *const codes[] = {
#define AUDIT_INVARIANT_CODE(name, code, text) code,
		AUDIT_INVARIANT_MAP(AUDIT_INVARIANT_CODE)
#undef AUDIT_INVARIANT_CODE
	};

	return (unsigned)invariant < AUDIT_INVARIANT_COUNT ? codes[invariant] : "?";
}

const char *audit_invariant_text(enum audit_invariant invariant)
{
	static const char *const texts[] = {
#define AUDIT_INVARIANT_TEXT(name, code, text) text,
		AUDIT_INVARIANT_MAP(AUDIT_INVARIANT_TEXT)
#undef AUDIT_INVARIANT_TEXT
	};

	return (unsigned)invariant < AUDIT_INVARIANT_COUNT ? texts[invariant] : "?";
}

/* --- life ----------------------------------------------------------------------------------------------- */

struct audit *audit_create(audit_report report, void *context)
{
	struct audit *audit = calloc(1, sizeof(*audit));

	if (audit == NULL)
		return NULL;
	audit->report = report;
	audit->context = context;
	/* Whoever makes a log's names does not know the key, so he cannot make two names look like one. */
	audit->key = hash_key_random();
	table_init(&audit->names, sizeof(struct name));
	table_init(&audit->queues, sizeof(struct queue));
	table_init(&audit->delays, sizeof(struct delayed));
	table_init(&audit->carried, sizeof(struct carried));
	pool_init(&audit->halves, sizeof(struct half));
	pool_init(&audit->opens, sizeof(struct open_half));
	lookup_init(&audit->halves_by_n, &audit->halves, offsetof(struct half, n));
	lookup_init(&audit->halves_by_name, &audit->halves, offsetof(struct half, name));
	return audit;
}

void audit_destroy(struct audit *audit)
{
	if (audit == NULL)
		return;
	for (uint32_t i = 0; i < audit->names.pool.end; i++)
		free(((struct name *)pool_at(&audit->names.pool, i))->text);
	table_deinit(&audit->names);
	table_deinit(&audit->queues);
	table_deinit(&audit->delays);
	table_deinit(&audit->carried);
	lookup_deinit(&audit->halves_by_n);
	lookup_deinit(&audit->halves_by_name);
	pool_deinit(&audit->halves);
	pool_deinit(&audit->opens);
	free(audit);
}

/* --- what the parts share --------------------------------------------------------------------------------- */

void audit_violated(struct audit *audit, enum audit_invariant invariant, uint64_t other, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	va_list args;

	audit->facts.violation_count++;
	audit->facts.violations[invariant]++;
	if (audit->report == NULL)
		return;
	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	for (char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?'; /* Names come from clients. */
	}
	audit->report(audit->context, &(struct audit_violation){ invariant, audit->record->offset, other, text });
}

enum status audit_unreadable(struct audit *audit, const struct errinfo *why)
{
	audit_violated(audit, AUDIT_FORMAT, 0, "%s", why->text);
	return ST_OK;
}

void audit_note_time(struct audit *audit, int64_t when_ms)
{
	if (audit->facts.first_time_ms == 0)
		audit->facts.first_time_ms = when_ms;
	if (when_ms > audit->facts.last_time_ms)
		audit->facts.last_time_ms = when_ms;
}

uint64_t audit_hash(const struct audit *audit, struct span a, struct span b)
{
	struct hash128 outer = hash128_bytes(audit->key, a.data, a.size);
	struct hash_key inner = { outer.lo ^ audit->key.k0, outer.hi ^ audit->key.k1 };

	return hash128_bytes(inner, b.data, b.size).lo;
}

enum status audit_name(struct audit *audit, struct span text, uint32_t *id_out)
{
	uint64_t hash = audit_hash(audit, text, SPAN_NONE);
	struct name *name = table_find(&audit->names, hash);

	/* Two names with one hash live next to each other. */
	while (name != NULL && (name->size != text.size || (text.size > 0 && memcmp(name->text, text.data, text.size) != 0)))
		name = table_find(&audit->names, ++hash);
	if (name == NULL) {
		uint8_t *copy = malloc(text.size + 1);
		name = copy == NULL ? NULL : table_add(&audit->names, hash);
		if (name == NULL) {
			free(copy);
			return ST_NOMEM;
		}
		if (text.size > 0)
			memcpy(copy, text.data, text.size);
		name->text = copy;
		name->size = (uint32_t)text.size;
	}
	*id_out = (uint32_t)(name - (struct name *)audit->names.pool.items) + 1;
	return ST_OK;
}

struct span audit_name_text(const struct audit *audit, uint32_t id)
{
	if (id == 0)
		return SPAN_NONE;
	const struct name *name = pool_at(&audit->names.pool, id - 1);
	return (struct span){ name->text, name->size };
}

/* --- queues ----------------------------------------------------------------------------------------------- */

static enum status find_queue(struct audit *audit, const struct placing *placing, struct queue **out)
{
	uint32_t topic;
	enum status status = audit_name(audit, placing->topic, &topic);

	if (status != ST_OK)
		return status;
	uint64_t key = (uint64_t)topic << 32 | placing->queue_id;
	uint64_t deleted_at = ((const struct name *)pool_at(&audit->names.pool, topic - 1))->deleted_at;
	*out = table_find(&audit->queues, key);
	if (*out != NULL && (*out)->born < deleted_at) /* The topic was made again. */
		**out = (struct queue){ .key = key, .last_record = deleted_at, .born = deleted_at };
	if (*out != NULL)
		return ST_OK;
	*out = table_add(&audit->queues, key);
	if (*out == NULL)
		return ST_NOMEM;
	(*out)->born = deleted_at;
	if (deleted_at != 0)
		return ST_OK;
	/* Where the log's beginning is gone, a queue begins anywhere. */
	(*out)->first_offset = (*out)->next_offset = audit->facts.whole ? 0 : placing->queue_offset;
	return ST_OK;
}

enum status audit_place(struct audit *audit, const struct placing *placing)
{
	struct queue *queue = NULL;
	enum status status = find_queue(audit, placing, &queue);

	if (status != ST_OK)
		return status;
	if (placing->queue_id > QUEUE_ID_MAX || placing->topic.size == 0)
		audit_violated(audit, AUDIT_FORMAT, 0, "a message in queue %" PRIu32 " of topic \"%.*s\"", placing->queue_id,
			       SPAN_ARGS(placing->topic));
	if (placing->queue_offset > queue->next_offset)
		audit_violated(audit, AUDIT_ORDERED, queue->last_record,
			       "queue offset %" PRIu64 " of %.*s/%" PRIu32 ", expected %" PRIu64 ": a gap", placing->queue_offset,
			       SPAN_ARGS(placing->topic), placing->queue_id, queue->next_offset);
	if (placing->queue_offset < queue->next_offset)
		audit_violated(audit, AUDIT_ORDERED, queue->last_record,
			       "queue offset %" PRIu64 " of %.*s/%" PRIu32 ", expected %" PRIu64 ": was given before",
			       placing->queue_offset, SPAN_ARGS(placing->topic), placing->queue_id, queue->next_offset);
	if (placing->store_time_ms < queue->last_time_ms)
		audit_violated(audit, AUDIT_ORDERED, queue->last_record,
			       "store time %" PRId64 " in %.*s/%" PRIu32 " is %" PRId64 " ms before its predecessor's",
			       placing->store_time_ms, SPAN_ARGS(placing->topic), placing->queue_id,
			       audit_difference(queue->last_time_ms, placing->store_time_ms));
	if (placing->queue_offset >= queue->next_offset)
		queue->next_offset = placing->queue_offset + 1;
	if (placing->store_time_ms > queue->last_time_ms)
		queue->last_time_ms = placing->store_time_ms;
	queue->byte_count += placing->message_size;
	queue->last_record = audit->record->offset;
	return ST_OK;
}

void audit_unknown_body(struct audit *audit, uint64_t body_offset, bool published)
{
	if (audit_is_earlier(audit, body_offset))
		audit->facts.unknown_body_count += published;
	else
		audit_violated(audit, AUDIT_READABLE, body_offset,
			       "refers to a body at %" PRIu64 ", where no record holds it", body_offset);
}

/* --- settings and progress ---------------------------------------------------------------------------------- */

static enum status visit_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	struct audit *audit = context;

	(void)err;
	if (r->group.size == 0 || r->topic.size == 0)
		audit_violated(audit, AUDIT_FORMAT, 0, "a consumer offset without a name of its group or topic");
	else if (r->offset < 0 || r->queue_id > QUEUE_ID_MAX)
		audit_violated(audit, AUDIT_FORMAT, 0, "consumer offset %" PRId64 " of group %.*s in %.*s/%" PRIu32, r->offset,
			       SPAN_ARGS(r->group), SPAN_ARGS(r->topic), r->queue_id);
	return ST_OK;
}

static enum status visit_pop(void *context, const struct record_pop *r, struct errinfo *err)
{
	struct audit *audit = context;

	(void)err;
	if (r->group.size == 0 || r->topic.size == 0 || r->count == 0 || r->queue_id > QUEUE_ID_MAX)
		audit_violated(audit, AUDIT_FORMAT, 0, "a POP of %" PRIu32 " messages by group %.*s in %.*s/%" PRIu32, r->count,
			       SPAN_ARGS(r->group), SPAN_ARGS(r->topic), r->queue_id);
	return ST_OK;
}

static enum status check_snapshot_mark(struct audit *audit, const struct log_record *record)
{
	struct record_snapshot_mark r;
	struct errinfo why;

	if (record_snapshot_mark_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	if (r.snapshot_offset > record->offset)
		audit_violated(audit, AUDIT_FORMAT, 0, "SNAPSHOT_MARK of a snapshot of %" PRIu64 ", a later offset",
			       r.snapshot_offset);
	return ST_OK;
}

static enum status check_topic(struct audit *audit, const struct log_record *record, struct errinfo *why)
{
	struct record_topic r;
	uint32_t id;
	enum status status = record_topic_decode(record->payload, &r, why);

	if (status != ST_OK)
		return audit_unreadable(audit, why);
	if (!r.deleted)
		return ST_OK;
	status = audit_name(audit, r.name, &id);
	if (status == ST_OK)
		((struct name *)pool_at(&audit->names.pool, id - 1))->deleted_at = record->offset;
	return status;
}

static enum status check_settings(struct audit *audit, const struct log_record *record)
{
	struct record_group group;
	struct errinfo why = { 0 };
	enum status status;

	switch (record->kind) {
	case LOG_TOPIC: return check_topic(audit, record, &why);
	case LOG_GROUP: status = record_group_decode(record->payload, &group, &why); break;
	case LOG_OFFSETS: status = record_offsets_decode(record->payload, visit_offset, audit, &why); break;
	default: status = record_pops_decode(record->payload, visit_pop, audit, &why); break;
	}
	return status == ST_OK ? ST_OK : audit_unreadable(audit, &why);
}

/* --- records ------------------------------------------------------------------------------------------------ */

/* Where a record stands, and in which epoch. */
static void check_frame(struct audit *audit, const struct log_record *record)
{
	struct audit_facts *facts = &audit->facts;

	if (facts->record_count++ == 0) {
		facts->start = record->offset;
		facts->whole = record->offset == LOG_SEGMENT_HEADER_SIZE;
		facts->first_epoch = record->epoch;
	} else if (record->offset < facts->end) {
		audit_violated(audit, AUDIT_ORDERED, 0, "log offset %" PRIu64 " follows a record that ends at %" PRIu64,
			       record->offset, facts->end);
	}
	if (record->epoch < facts->last_epoch)
		audit_violated(audit, AUDIT_ORDERED, 0, "epoch %" PRIu32 " follows epoch %" PRIu32, record->epoch,
			       facts->last_epoch);
	else if (facts->record_count > 1 && record->kind == LOG_EPOCH && record->epoch == facts->last_epoch)
		audit_violated(audit, AUDIT_ORDERED, 0, "epoch %" PRIu32 " is opened again", record->epoch);
	else if (facts->record_count > 1 && record->kind != LOG_EPOCH && record->epoch > facts->last_epoch)
		audit_violated(audit, AUDIT_ORDERED, 0, "epoch %" PRIu32 " follows epoch %" PRIu32 " without an EPOCH record",
			       record->epoch, facts->last_epoch);
	facts->last_epoch = record->epoch;
	facts->end = record->offset + record->size;
	facts->kind_count[record->kind < LOG_KIND_END ? record->kind : 0]++;
}

static enum status take(struct audit *audit, const struct log_record *record, struct errinfo *err)
{
	switch (record->kind) {
	case LOG_PAD:
	case LOG_BATCH:
	case LOG_EPOCH: return ST_OK;
	case LOG_MESSAGE: return audit_message(audit, record);
	case LOG_HALF: return audit_half(audit, record);
	case LOG_DECISION: return audit_decision(audit, record);
	case LOG_CONFLICT: return audit_conflict(audit, record);
	case LOG_DELIVER: return audit_deliver(audit, record);
	case LOG_TIMER_CANCEL: return audit_timer_cancel(audit, record);
	case LOG_CARRY: return audit_carry(audit, record);
	case LOG_CHECK: return audit_checks(audit, record, err);
	case LOG_OFFSETS:
	case LOG_POP:
	case LOG_TOPIC:
	case LOG_GROUP: return check_settings(audit, record);
	case LOG_SNAPSHOT_MARK: return check_snapshot_mark(audit, record);
	default:
		audit_violated(audit, AUDIT_FORMAT, 0, "a record of kind %u, which this program does not know", record->kind);
		return ST_OK;
	}
}

enum status audit_record(struct audit *audit, const struct log_record *record, struct errinfo *err)
{
	audit->record = record;
	check_frame(audit, record);
	enum status status = take(audit, record, err);
	audit->record = NULL;
	return status == ST_OK ? ST_OK
			       : errinfo_set(err, status, "audit of the record at log offset %" PRIu64 ": %s", record->offset,
					     status_text(status));
}

/* --- facts ---------------------------------------------------------------------------------------------------- */

void audit_facts(const struct audit *audit, struct audit_facts *out)
{
	*out = audit->facts;
	out->topic_queue_count = table_count(&audit->queues);
	out->memory_bytes = sizeof(*audit) + table_bytes(&audit->names) + table_bytes(&audit->queues) +
			    table_bytes(&audit->delays) + table_bytes(&audit->carried) + pool_bytes(&audit->halves) + pool_bytes(&audit->opens) +
			    lookup_bytes(&audit->halves_by_n) + lookup_bytes(&audit->halves_by_name);
	for (uint32_t i = 0; i < audit->names.pool.end; i++)
		out->memory_bytes += ((const struct name *)pool_at(&audit->names.pool, i))->size;
}

void audit_walk_queues(const struct audit *audit, audit_queue_visit visit, void *context)
{
	for (uint32_t i = 0; i < audit->queues.pool.end; i++) {
		const struct queue *queue = pool_at(&audit->queues.pool, i);

		visit(context, &(struct audit_queue){ audit_name_text(audit, (uint32_t)(queue->key >> 32)),
						      (uint32_t)queue->key, queue->first_offset, queue->next_offset,
						      queue->byte_count, queue->last_time_ms });
	}
}

void audit_walk_transactions(const struct audit *audit, audit_transaction_visit visit, void *context)
{
	for (uint32_t i = 0; i < audit->halves.end; i++) {
		const struct half *half = pool_at(&audit->halves, i);
		struct audit_transaction out = { .half_offset = half_offset(half), .half_queue_offset = half->n,
						 .state = (enum txn_state)half_state(half) };

		if (half_is_final(half)) {
			out.decision_offset = half->decision;
		} else if (half->decision != SLOT_NONE) {
			const struct open_half *open = pool_at(&audit->opens, (uint32_t)half->decision);

			out.store_time_ms = open->store_time_ms;
			out.group = audit_name_text(audit, open->group);
			out.topic = audit_name_text(audit, open->topic);
			out.queue_id = open->queue_id;
			out.attempts = open->attempts;
			out.answered = open->answered;
		}
		visit(context, &out);
	}
}
