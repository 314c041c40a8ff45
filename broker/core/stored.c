#include "broker/core/stored.h"

#include <inttypes.h>

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "broker/core/transactions.h"
#include "lib/wire/properties.h"

/* What the naming record knows about the message. */
struct naming {
	uint64_t body_offset;
	uint64_t queue_offset;
	uint64_t prepared_offset;
	int64_t store_time_ms;
	int32_t tag_hash;
	bool transactional;       /* prepared_offset is the body's origin. */
};

static enum status not_found(uint64_t log_offset, struct errinfo *err)
{
	return errinfo_set(err, ST_NOTFOUND, "no message at log offset %" PRIu64, log_offset);
}

static enum status read_naming(const struct log_record *record, struct naming *out, struct errinfo *err)
{
	struct record_message message;
	struct record_decision decision;
	struct record_deliver deliver;
	enum status status;

	switch (record->kind) {
	case LOG_MESSAGE:
		status = record_message_decode(record->payload, &message, err);
		if (status == ST_OK)
			*out = (struct naming){ record->offset, message.queue_offset, 0, message.store_time_ms, message.tag_hash, false };
		return status;
	case LOG_DECISION:
		status = record_decision_decode(record->payload, &decision, err);
		if (status == ST_OK && decision.outcome != OUTCOME_COMMIT)
			return not_found(record->offset, err);
		if (status == ST_OK)
			*out = (struct naming){ decision.body_offset, decision.queue_offset, decision.half_offset,
						decision.when_ms, decision.tag_hash, false };
		return status;
	case LOG_DELIVER:
		status = record_deliver_decode(record->payload, &deliver, err);
		if (status == ST_OK)
			*out = (struct naming){ deliver.body_offset, deliver.queue_offset, 0, deliver.deliver_time_ms,
						deliver.tag_hash, deliver.transactional };
		return status;
	default:
		return not_found(record->offset, err);
	}
}

/* The message in a body. */
static enum status message_in(const struct stored_body *body, struct span *message, struct errinfo *err)
{
	struct record_message ordinary;
	struct record_half half;
	enum status status;

	if (body->kind == LOG_MESSAGE) {
		status = record_message_decode(body->payload, &ordinary, err);
		*message = ordinary.message;
	} else {
		status = record_half_decode(body->payload, &half, err);
		*message = half.message;
	}
	return status;
}

enum status core_stored_message(struct core *core, uint64_t log_offset, struct stored_message *out, struct errinfo *err)
{
	struct log_record record;
	struct naming naming = { 0 };
	struct stored_body body = { 0 };
	enum status status = ST_NOTFOUND;

	if (log_offset >= core_committed_offset(core))
		return not_found(log_offset, err);
	status = core_read_record(core, log_offset, &record, err);
	if (status == ST_OK)
		status = read_naming(&record, &naming, err);
	if (status == ST_OK)
		status = core_read_body(core, naming.body_offset, &body, err);
	if (status == ST_OK)
		status = message_in(&body, &out->record, err);
	if (status == ST_OK)
		status = message_decode(out->record, &out->message, err);
	if (status != ST_OK)
		return status;
	out->tag_hash = naming.tag_hash;
	out->message.queue_offset = (int64_t)naming.queue_offset;
	out->message.physical_offset = (int64_t)log_offset;
	out->message.prepared_transaction_offset = (int64_t)(naming.transactional ? body.origin_offset : naming.prepared_offset);
	out->message.store_timestamp = naming.store_time_ms;
	return ST_OK;
}

enum status core_half_view(struct core *core, uint64_t half_offset, struct stored_message *out, struct errinfo *err)
{
	struct message *message = &out->message;
	struct stored_half stored = { 0 };
	struct half_entry entry;
	uint64_t number;

	if (half_offset >= core_committed_offset(core))
		return not_found(half_offset, err);
	enum status status = half_index_find(&core->halves, half_offset, &number, &entry, err);
	if (status == ST_NOTFOUND)
		return not_found(half_offset, err);
	if (status != ST_OK)
		return status;
	/* An open one may have been carried since. */
	const struct pending *open = pending_find(core->pending, number);
	status = core_read_half(core, open != NULL ? open->body_offset : half_offset, &stored, err);
	if (status == ST_OK)
		status = message_decode(stored.half.message, message, err);
	if (status != ST_OK)
		return status;
	out->record = stored.half.message;
	out->tag_hash = stored.half.tag_hash;
	buffer_reset(&core->properties);
	properties_copy(&core->properties, message->properties, NULL);
	property_put(&core->properties, PROPERTY_REAL_TOPIC, stored.half.topic);
	property_put_i64(&core->properties, PROPERTY_REAL_QID, stored.half.queue_id);
	if (core->properties.failed)
		return ST_NOMEM;
	message->properties = buffer_span(&core->properties);
	message->topic = SPAN_LITERAL(TOPIC_HALF);
	message->queue_id = 0;
	message->queue_offset = (int64_t)stored.half.half_queue_offset;
	message->physical_offset = (int64_t)half_offset;
	message->prepared_transaction_offset = 0;
	message->store_timestamp = stored.half.store_time_ms;
	message->sys_flag &= ~SYSFLAG_TRANSACTION_MASK;
	return message_check_limits(message, err);
}

enum status stored_message_keep(struct core *core, struct stored_message *stored)
{
	struct message before = stored->message;

	buffer_reset(&core->kept);
	buffer_append_span(&core->kept, stored->record);
	if (core->kept.failed)
		return ST_NOMEM;
	stored->record = buffer_span(&core->kept);
	enum status status = message_decode(stored->record, &stored->message, NULL);
	stored->message.queue_offset = before.queue_offset;
	stored->message.physical_offset = before.physical_offset;
	stored->message.prepared_transaction_offset = before.prepared_transaction_offset;
	stored->message.store_timestamp = before.store_timestamp;
	return status;
}
