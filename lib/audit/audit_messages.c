/* MESSAGE, DELIVER, TIMER_CANCEL, CARRY: does each delayed message get one place, in time, and are its bytes there? */
#include <inttypes.h>

#include "lib/audit/audit_internal.h"
#include "lib/base/crc32c.h"

/* --- waiting -------------------------------------------------------------------------------------------- */

static enum status add_delayed(struct audit *audit, const struct delayed *content)
{
	if (table_find(&audit->delays, content->source) != NULL)
		return ST_OK;
	struct delayed *delayed = table_add(&audit->delays, content->source);
	if (delayed == NULL)
		return ST_NOMEM;
	*delayed = *content;
	audit->facts.delayed_count++;
	return ST_OK;
}

static enum status delay_message(struct audit *audit, uint64_t offset, const struct record_message *r, struct span payload)
{
	struct delayed delayed = {
		.source = offset, .original = offset, .body_offset = offset, .deliver_at_ms = r->deliver_at_ms,
		.queue_id = r->queue_id, .message_size = (uint32_t)r->message.size, .tag_hash = r->tag_hash,
		.payload_size = (uint32_t)payload.size, .payload_crc = crc32c(0, payload.data, payload.size),
		.message_delta = (uint16_t)(LOG_ENVELOPE_SIZE + payload.size - r->message.size),
	};
	enum status status = audit_name(audit, r->topic, &delayed.topic);

	delayed.body_size = delayed.payload_size;
	delayed.body_crc = delayed.payload_crc;
	return status == ST_OK ? add_delayed(audit, &delayed) : status;
}

/* `offset` and `payload` are the DECISION's own, also when it is carried. */
static enum status delay_decision(struct audit *audit, uint64_t offset, const struct record_decision *r,
				  struct span payload, const struct open_half *open)
{
	bool in_place = r->body_offset == r->half_offset;
	struct delayed delayed = {
		.source = offset, .original = r->half_offset, .body_offset = r->body_offset,
		.deliver_at_ms = r->deliver_at_ms, .queue_id = r->queue_id, .message_size = r->message_size,
		.tag_hash = r->tag_hash, .payload_size = (uint32_t)payload.size,
		.payload_crc = crc32c(0, payload.data, payload.size), .transactional = true,
		.message_delta = (uint16_t)(r->message_delta - (in_place ? 0 : CARRY_HEAD_SIZE)),
	};
	enum status status = audit_name(audit, r->topic, &delayed.topic);

	if (open != NULL && open->group != 0) {
		delayed.body_size = open->payload_size;
		delayed.body_crc = open->payload_crc;
	}
	return status == ST_OK ? add_delayed(audit, &delayed) : status;
}

enum status audit_delay_commit(struct audit *audit, const struct log_record *record, const struct record_decision *r,
			       const struct open_half *open)
{
	return delay_decision(audit, record->offset, r, record->payload, open);
}

/* Delivered or recalled. One of before the log leaves a mark, so that a second time is seen. */
static enum status end_wait(struct audit *audit, uint64_t source)
{
	struct delayed *delayed = table_find(&audit->delays, source);

	if (delayed != NULL) {
		audit->facts.delayed_count--;
		if (!audit_is_earlier(audit, source)) {
			table_remove(&audit->delays, source);
			return ST_OK;
		}
	} else {
		delayed = table_add(&audit->delays, source);
		if (delayed == NULL)
			return ST_NOMEM;
	}
	delayed->gone = true;
	return ST_OK;
}

/* --- MESSAGE ---------------------------------------------------------------------------------------------- */

enum status audit_message(struct audit *audit, const struct log_record *record)
{
	struct record_message r;
	struct errinfo why;

	if (record_message_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	audit_note_time(audit, r.store_time_ms);
	if (r.deliver_at_ms == 0) {
		audit->facts.plain_count++;
		return audit_place(audit, &(struct placing){ r.topic, r.queue_id, r.queue_offset, r.store_time_ms,
							     (uint32_t)r.message.size });
	}
	if (r.queue_offset != 0 || r.queue_id > QUEUE_ID_MAX || r.deliver_at_ms < 0)
		audit_violated(audit, AUDIT_FORMAT, 0,
			       "a delayed message for %.*s/%" PRIu32 " with queue offset %" PRIu64 " and delivery time %" PRId64,
			       SPAN_ARGS(r.topic), r.queue_id, r.queue_offset, r.deliver_at_ms);
	return delay_message(audit, record->offset, &r, record->payload);
}

/* --- DELIVER ------------------------------------------------------------------------------------------------ */

static void check_delivered(struct audit *audit, const struct record_deliver *r, const struct delayed *delayed)
{
	const char *differs = NULL;
	bool in_place = r->body_offset == delayed->original;
	uint16_t delta = (uint16_t)(delayed->message_delta + (in_place ? 0 : CARRY_HEAD_SIZE));

	if (!span_equal(r->topic, audit_name_text(audit, delayed->topic)))
		differs = "topic";
	else if (r->queue_id != delayed->queue_id)
		differs = "queue";
	else if (r->tag_hash != delayed->tag_hash)
		differs = "tag";
	else if (r->transactional != delayed->transactional)
		differs = "kind (transactional or not)";
	if (differs != NULL)
		audit_violated(audit, AUDIT_READABLE, delayed->source, "DELIVER of the message at %" PRIu64 " has another %s than it",
			       delayed->source, differs);
	if (!in_place && r->body_offset != delayed->body_offset)
		audit_unknown_body(audit, r->body_offset, true);
	else if (r->message_size != delayed->message_size || r->message_delta != delta)
		audit_violated(audit, AUDIT_READABLE, r->body_offset,
			       "DELIVER finds a message of %" PRIu32 " bytes at %" PRIu64 "+%u, there is one of %" PRIu32 " bytes at +%u",
			       r->message_size, r->body_offset, r->message_delta, delayed->message_size, delta);
	else if (audit_is_earlier(audit, r->body_offset))
		audit_unknown_body(audit, r->body_offset, true);
	if (r->deliver_time_ms < delayed->deliver_at_ms)
		audit_violated(audit, AUDIT_INVISIBLE, delayed->source,
			       "DELIVER at %" PRId64 " of the message at %" PRIu64 " is %" PRId64 " ms before its time", r->deliver_time_ms,
			       delayed->source, audit_difference(delayed->deliver_at_ms, r->deliver_time_ms));
}

enum status audit_deliver(struct audit *audit, const struct log_record *record)
{
	struct record_deliver r;
	struct errinfo why;

	if (record_deliver_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	audit_note_time(audit, r.deliver_time_ms);
	const struct delayed *delayed = table_find(&audit->delays, r.source_offset);
	enum status status = ST_OK;
	if ((delayed == NULL && !audit_is_earlier(audit, r.source_offset)) || (delayed != NULL && delayed->gone)) {
		audit_violated(audit, AUDIT_ONCE, r.source_offset,
			       "DELIVER of the message at %" PRIu64 ", which does not wait: delivered or recalled before, or never stored",
			       r.source_offset);
	} else {
		if (delayed != NULL)
			check_delivered(audit, &r, delayed);
		else if (!audit_delivered_carry(audit, &r))
			audit_unknown_body(audit, r.body_offset, true);
		status = end_wait(audit, r.source_offset);
	}
	if (status != ST_OK)
		return status;
	if (r.transactional)
		audit->facts.published_count++;
	else
		audit->facts.plain_count++;
	return audit_place(audit, &(struct placing){ r.topic, r.queue_id, r.queue_offset, r.deliver_time_ms, r.message_size });
}

/* --- TIMER_CANCEL --------------------------------------------------------------------------------------------- */

enum status audit_timer_cancel(struct audit *audit, const struct log_record *record)
{
	struct record_timer_cancel r;
	struct errinfo why;

	if (record_timer_cancel_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	audit_note_time(audit, r.when_ms);
	const struct delayed *delayed = table_find(&audit->delays, r.source_offset);
	if ((delayed == NULL && audit_is_earlier(audit, r.source_offset)) || (delayed != NULL && !delayed->gone))
		return end_wait(audit, r.source_offset);
	audit_violated(audit, AUDIT_KEPT, r.source_offset,
		       "TIMER_CANCEL of the message at %" PRIu64 ", which does not wait: delivered or recalled before, or never stored",
		       r.source_offset);
	return ST_OK;
}

/* --- CARRY ------------------------------------------------------------------------------------------------------ */

/* A CARRY of a source that waits: identical? False: it is not known. */
static bool same_as_waiting(struct audit *audit, const struct record_carry *carry, struct delayed **delayed_out)
{
	struct delayed *delayed = table_find(&audit->delays, carry->original_offset);

	*delayed_out = delayed;
	if (delayed == NULL || delayed->gone)
		return false;
	if (carry->payload.size != delayed->payload_size ||
	    crc32c(0, carry->payload.data, carry->payload.size) != delayed->payload_crc)
		audit_violated(audit, AUDIT_READABLE, carry->original_offset, "CARRY of the record at %" PRIu64 " differs from it",
			       carry->original_offset);
	return true;
}

/* Of one that does not wait. True: it may have waited before the log, so this is the first word about it. */
static bool carry_is_news(struct audit *audit, const struct record_carry *carry, const struct delayed *delayed,
			  int64_t deliver_at_ms)
{
	if (delayed == NULL && deliver_at_ms != 0 && audit_is_earlier(audit, carry->original_offset)) {
		audit->facts.unknown_carry_count++;
		return true;
	}
	audit_violated(audit, AUDIT_READABLE, carry->original_offset,
		       "CARRY of the record at %" PRIu64 ", which is no message that waits", carry->original_offset);
	return false;
}

static enum status carry_message(struct audit *audit, const struct record_carry *carry)
{
	struct record_message r;
	struct errinfo why;
	struct delayed *delayed;

	if (record_message_decode(carry->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	if (!same_as_waiting(audit, carry, &delayed)) {
		if (!carry_is_news(audit, carry, delayed, r.deliver_at_ms))
			return ST_OK;
		enum status status = delay_message(audit, carry->original_offset, &r, carry->payload);
		delayed = table_find(&audit->delays, carry->original_offset);
		if (status != ST_OK || delayed == NULL)
			return ST_NOMEM;
	}
	delayed->body_offset = audit->record->offset;
	return ST_OK;
}

static enum status carry_decision(struct audit *audit, const struct record_carry *carry)
{
	struct record_decision r;
	struct errinfo why;
	struct delayed *delayed;

	if (record_decision_decode(carry->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	if (same_as_waiting(audit, carry, &delayed))
		return ST_OK;
	if (r.outcome != OUTCOME_PARK && !carry_is_news(audit, carry, delayed, r.deliver_at_ms))
		return ST_OK;
	enum status status = audit_carried_decision(audit, carry, &r);
	if (status != ST_OK || r.outcome == OUTCOME_PARK)
		return status;
	return delay_decision(audit, carry->original_offset, &r, carry->payload, NULL);
}

enum status audit_carry(struct audit *audit, const struct log_record *record)
{
	struct record_carry r;
	struct errinfo why;

	if (record_carry_decode(record->payload, &r, &why) != ST_OK)
		return audit_unreadable(audit, &why);
	if (r.original_offset >= record->offset || r.original_offset % 8 != 0) {
		audit_violated(audit, AUDIT_READABLE, r.original_offset, "CARRY of a record at %" PRIu64 ", which is not before it",
			       r.original_offset);
		return ST_OK;
	}
	switch (r.original_kind) {
	case CARRY_HALF: return audit_carried_half(audit, &r);
	case CARRY_MESSAGE: return carry_message(audit, &r);
	default: return carry_decision(audit, &r);
	}
}
