#include "lib/record/record_transaction.h"

#include "lib/record/codec.h"

const char *record_outcome_text(enum record_outcome outcome)
{
	switch (outcome) {
	case OUTCOME_COMMIT: return "committed";
	case OUTCOME_ROLLBACK: return "rolled back";
	case OUTCOME_PARK: return "parked";
	case OUTCOME_RESUME: return "resumed";
	}
	return "?";
}

const char *record_who_text(enum record_who who)
{
	switch (who) {
	case WHO_PRODUCER: return "producer";
	case WHO_CHECKBACK: return "check-back";
	case WHO_OPERATOR: return "operator";
	case WHO_SQL: return "SQL request";
	case WHO_POLICY: return "policy";
	}
	return "?";
}

static size_t global_size(const struct record_global *g)
{
	return text_size(g->id) + 4;
}

static void w_global(struct record_writer *w, const struct record_global *g)
{
	w_text(w, g->id);
	w_u16(w, g->part);
	w_u16(w, g->part_count);
}

static struct record_global r_global(struct reader *r)
{
	struct record_global g;

	g.id = r_text(r);
	g.part = reader_u16(r);
	g.part_count = reader_u16(r);
	return g;
}

static bool outcome_known(uint8_t value)
{
	return value >= OUTCOME_COMMIT && value <= OUTCOME_RESUME;
}

static bool who_known(uint8_t value)
{
	return value >= WHO_PRODUCER && value <= WHO_POLICY;
}

/* --- HALF -------------------------------------------------------------------------------------------- */

size_t record_half_size(const struct record_half *r)
{
	return 2 + 8 + 8 + 8 + 8 + 4 + 4 + text_size(r->topic) + text_size(r->group) + text_size(r->transaction_id) +
	       text_size(r->unique_key) + text_size(r->client_id) + global_size(&r->global) + 4 + r->message.size;
}

static struct record_writer encode_half_head(const struct record_half *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->half_queue_offset);
	w_u64(&w, (uint64_t)r->store_time_ms);
	w_u64(&w, (uint64_t)r->immunity_ms);
	w_u64(&w, (uint64_t)r->delay_ms);
	w_u32(&w, (uint32_t)r->tag_hash);
	w_u32(&w, r->queue_id);
	w_text(&w, r->topic);
	w_text(&w, r->group);
	w_text(&w, r->transaction_id);
	w_text(&w, r->unique_key);
	w_text(&w, r->client_id);
	w_global(&w, &r->global);
	w_u32(&w, (uint32_t)r->message.size);
	return w;
}

void record_half_encode_head(const struct record_half *r, uint8_t *at)
{
	(void)encode_half_head(r, at);
}

void record_half_encode(const struct record_half *r, uint8_t *at)
{
	struct record_writer w = encode_half_head(r, at);

	w_bytes(&w, r->message);
}

enum status record_half_decode(struct span payload, struct record_half *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "half", &r, err);

	if (status != ST_OK)
		return status;
	out->half_queue_offset = reader_u64(&r);
	out->store_time_ms = (int64_t)reader_u64(&r);
	out->immunity_ms = (int64_t)reader_u64(&r);
	out->delay_ms = (int64_t)reader_u64(&r);
	out->tag_hash = (int32_t)reader_u32(&r);
	out->queue_id = reader_u32(&r);
	out->topic = r_text(&r);
	out->group = r_text(&r);
	out->transaction_id = r_text(&r);
	out->unique_key = r_text(&r);
	out->client_id = r_text(&r);
	out->global = r_global(&r);
	out->message = reader_take(&r, reader_u32(&r));
	return record_end(&r, "half", err);
}

/* --- DECISION ---------------------------------------------------------------------------------------- */

size_t record_decision_size(const struct record_decision *r)
{
	return 2 + 1 + 1 + 8 + 8 + 8 + 8 + 4 + 2 + 8 + 4 + 8 + 8 + 8 + 4 + 4 + text_size(r->topic) +
	       text_size(r->group) + text_size(r->transaction_id) + text_size(r->who_text) + text_size(r->reason) +
	       global_size(&r->global);
}

void record_decision_encode(const struct record_decision *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u8(&w, (uint8_t)r->outcome);
	w_u8(&w, (uint8_t)r->who);
	w_u64(&w, r->half_offset);
	w_u64(&w, r->half_queue_offset);
	w_u64(&w, (uint64_t)r->half_store_time_ms);
	w_u64(&w, r->body_offset);
	w_u32(&w, r->message_size);
	w_u16(&w, r->message_delta);
	w_u64(&w, (uint64_t)r->when_ms);
	w_u32(&w, r->answered_checks);
	w_u64(&w, r->request_id);
	w_u64(&w, r->queue_offset);
	w_u64(&w, (uint64_t)r->deliver_at_ms);
	w_u32(&w, r->queue_id);
	w_u32(&w, (uint32_t)r->tag_hash);
	w_text(&w, r->topic);
	w_text(&w, r->group);
	w_text(&w, r->transaction_id);
	w_text(&w, r->who_text);
	w_text(&w, r->reason);
	w_global(&w, &r->global);
}

enum status record_decision_decode(struct span payload, struct record_decision *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "decision", &r, err);

	if (status != ST_OK)
		return status;
	uint8_t outcome = reader_u8(&r);
	uint8_t who = reader_u8(&r);
	out->half_offset = reader_u64(&r);
	out->half_queue_offset = reader_u64(&r);
	out->half_store_time_ms = (int64_t)reader_u64(&r);
	out->body_offset = reader_u64(&r);
	out->message_size = reader_u32(&r);
	out->message_delta = reader_u16(&r);
	out->when_ms = (int64_t)reader_u64(&r);
	out->answered_checks = reader_u32(&r);
	out->request_id = reader_u64(&r);
	out->queue_offset = reader_u64(&r);
	out->deliver_at_ms = (int64_t)reader_u64(&r);
	out->queue_id = reader_u32(&r);
	out->tag_hash = (int32_t)reader_u32(&r);
	out->topic = r_text(&r);
	out->group = r_text(&r);
	out->transaction_id = r_text(&r);
	out->who_text = r_text(&r);
	out->reason = r_text(&r);
	out->global = r_global(&r);
	if (!r.failed && (!outcome_known(outcome) || !who_known(who)))
		return errinfo_set(err, ST_CORRUPT, "decision record: outcome %u, who %u", outcome, who);
	out->outcome = (enum record_outcome)outcome;
	out->who = (enum record_who)who;
	return record_end(&r, "decision", err);
}

/* --- CONFLICT ---------------------------------------------------------------------------------------- */

size_t record_conflict_size(const struct record_conflict *r)
{
	return 2 + 3 + 8 + 8 + 8 + 8 + 4 + text_size(r->group) + text_size(r->transaction_id) + text_size(r->who_text) +
	       global_size(&r->global);
}

void record_conflict_encode(const struct record_conflict *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u8(&w, (uint8_t)r->asked);
	w_u8(&w, (uint8_t)r->who);
	w_u8(&w, (uint8_t)r->decided);
	w_u64(&w, r->half_offset);
	w_u64(&w, r->half_queue_offset);
	w_u64(&w, r->decision_offset);
	w_u64(&w, (uint64_t)r->when_ms);
	w_u32(&w, r->suppressed);
	w_text(&w, r->group);
	w_text(&w, r->transaction_id);
	w_text(&w, r->who_text);
	w_global(&w, &r->global);
}

enum status record_conflict_decode(struct span payload, struct record_conflict *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "conflict", &r, err);

	if (status != ST_OK)
		return status;
	uint8_t asked = reader_u8(&r);
	uint8_t who = reader_u8(&r);
	uint8_t decided = reader_u8(&r);
	out->half_offset = reader_u64(&r);
	out->half_queue_offset = reader_u64(&r);
	out->decision_offset = reader_u64(&r);
	out->when_ms = (int64_t)reader_u64(&r);
	out->suppressed = reader_u32(&r);
	out->group = r_text(&r);
	out->transaction_id = r_text(&r);
	out->who_text = r_text(&r);
	out->global = r_global(&r);
	if (!r.failed && (!outcome_known(asked) || !outcome_known(decided) || !who_known(who)))
		return errinfo_set(err, ST_CORRUPT, "conflict record: asked %u, who %u, decided %u", asked, who, decided);
	out->asked = (enum record_outcome)asked;
	out->who = (enum record_who)who;
	out->decided = (enum record_outcome)decided;
	return record_end(&r, "conflict", err);
}

/* --- CHECK ------------------------------------------------------------------------------------------- */

static size_t check_size(const struct record_check *check)
{
	return 1 + 8 + 8 + 4 + 4 + 8 + text_size(check->who_text);
}

size_t record_checks_size(const struct record_check *checks, size_t count)
{
	size_t size = 2 + 2;

	for (size_t i = 0; i < count; i++)
		size += check_size(&checks[i]);
	return size;
}

void record_checks_encode(const struct record_check *checks, size_t count, uint8_t *at)
{
	struct record_writer w = { at };

	assert(count <= RECORD_CHECKS_MAX);
	w_head(&w);
	w_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		const struct record_check *check = &checks[i];

		w_u8(&w, (uint8_t)check->event);
		w_u64(&w, check->half_offset);
		w_u64(&w, check->half_queue_offset);
		w_u32(&w, check->attempts);
		w_u32(&w, check->answered);
		w_u64(&w, (uint64_t)check->when_ms);
		w_text(&w, check->who_text);
	}
}

enum status record_checks_decode(struct span payload, record_check_visit visit, void *context, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "check", &r, err);

	if (status != ST_OK)
		return status;
	size_t count = reader_u16(&r);
	if (count > RECORD_CHECKS_MAX)
		return errinfo_set(err, ST_CORRUPT, "check record: %zu checks", count);
	for (size_t i = 0; i < count; i++) {
		struct record_check check;
		uint8_t event = reader_u8(&r);

		check.half_offset = reader_u64(&r);
		check.half_queue_offset = reader_u64(&r);
		check.attempts = reader_u32(&r);
		check.answered = reader_u32(&r);
		check.when_ms = (int64_t)reader_u64(&r);
		check.who_text = r_text(&r);
		if (r.failed)
			break;
		if (event != CHECK_ASKED && event != CHECK_ANSWERED_UNKNOWN)
			return errinfo_set(err, ST_CORRUPT, "check record: event %u", event);
		check.event = (enum check_event)event;
		status = visit(context, &check, err);
		if (status != ST_OK)
			return status;
	}
	return record_end(&r, "check", err);
}
