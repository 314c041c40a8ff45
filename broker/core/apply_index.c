/* The index entries that a record makes; and putting those alone, for an index file that is lost. See apply.h. */
#include "broker/core/apply.h"

struct cq_entry entry_of_message(const struct placed *at, const struct record_message *r)
{
	return (struct cq_entry){ .log_offset = at->offset, .body_offset = at->offset, .size = (uint32_t)r->message.size,
				  .tag_hash = r->tag_hash, .store_time_ms = r->store_time_ms,
				  .flags = apply_message_delta(record_message_size(r), r->message.size) };
}

struct cq_entry entry_of_decision(const struct placed *at, const struct record_decision *r)
{
	return (struct cq_entry){ .log_offset = at->offset, .body_offset = r->body_offset, .size = r->message_size,
				  .tag_hash = r->tag_hash, .store_time_ms = r->when_ms,
				  .flags = r->message_delta | ENTRY_TRANSACTIONAL };
}

struct cq_entry entry_of_deliver(const struct placed *at, const struct record_deliver *r)
{
	return (struct cq_entry){ .log_offset = at->offset, .body_offset = r->body_offset, .size = r->message_size,
				  .tag_hash = r->tag_hash, .store_time_ms = r->deliver_time_ms,
				  .flags = r->message_delta | (r->transactional ? ENTRY_TRANSACTIONAL : 0) };
}

struct half_entry half_entry_of_half(const struct placed *at)
{
	return (struct half_entry){ .half_offset = at->offset, .state = TXN_PREPARED };
}

struct half_entry half_entry_of_decision(const struct placed *at, const struct record_decision *r)
{
	return (struct half_entry){ .half_offset = r->half_offset, .decision_offset = at->offset, .queue_offset = r->queue_offset,
				    .state = (uint8_t)txn_state_after((enum txn_event)r->outcome) };
}

/* --- an index that is lost ---------------------------------------------------------------------------- */

/* Nothing is put for a queue that is gone, or for what was trimmed. */
static enum status put_known(struct core *core, struct span topic_name, uint32_t queue_id, uint64_t queue_offset,
			     const struct cq_entry *entry, struct errinfo *err)
{
	const struct topic *topic = topics_find_any(core->topics, topic_name);
	struct queue *queue = topic == NULL ? NULL : topic_queue(topic, queue_id);

	if (queue == NULL || queue_offset >= queue->next_offset || entry->log_offset < queue->born ||
	    queue_offset / queue->entries.array.per_page < entry_array_first_group(&queue->entries.array))
		return ST_OK;
	return consume_queue_put(&queue->entries, queue_offset, entry, err);
}

static enum status put_known_half(struct core *core, uint64_t n, const struct half_entry *half, struct errinfo *err)
{
	if (n / core->halves.array.per_page < entry_array_first_group(&core->halves.array) || n >= half_index_max(&core->halves))
		return ST_OK;
	return half_index_put(&core->halves, n, half, err);
}

static enum status index_message(struct core *core, const struct placed *at, const struct record_message *r,
				 struct errinfo *err)
{
	if (r->deliver_at_ms != 0)
		return ST_OK;
	struct cq_entry entry = entry_of_message(at, r);
	return put_known(core, r->topic, r->queue_id, r->queue_offset, &entry, err);
}

static enum status index_half(struct core *core, const struct placed *at, const struct record_half *r, struct errinfo *err)
{
	struct half_entry half = half_entry_of_half(at);

	return put_known_half(core, r->half_queue_offset, &half, err);
}

static enum status index_decision(struct core *core, const struct placed *at, const struct record_decision *r,
				  struct errinfo *err)
{
	struct half_entry half = half_entry_of_decision(at, r);
	enum status status = put_known_half(core, r->half_queue_offset, &half, err);

	if (status != ST_OK || r->outcome != OUTCOME_COMMIT || r->deliver_at_ms != 0)
		return status;
	struct cq_entry entry = entry_of_decision(at, r);
	return put_known(core, r->topic, r->queue_id, r->queue_offset, &entry, err);
}

static enum status index_deliver(struct core *core, const struct placed *at, const struct record_deliver *r,
				 struct errinfo *err)
{
	struct cq_entry entry = entry_of_deliver(at, r);

	return put_known(core, r->topic, r->queue_id, r->queue_offset, &entry, err);
}

#define INDEX(kind)                                                                    \
	do {                                                                           \
		struct record_##kind r;                                                \
		enum status status = record_##kind##_decode(record->payload, &r, err);  \
		return status != ST_OK ? status : index_##kind(core, &at, &r, err);     \
	} while (0)

enum status apply_index_only(struct core *core, const struct log_record *record, struct errinfo *err)
{
	struct placed at = { record->offset, record->size };

	switch (record->kind) {
	case LOG_MESSAGE: INDEX(message);
	case LOG_HALF: INDEX(half);
	case LOG_DECISION: INDEX(decision);
	case LOG_DELIVER: INDEX(deliver);
	default: return ST_OK;
	}
}
