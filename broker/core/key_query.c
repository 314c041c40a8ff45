#include "broker/core/key_query.h"

#include <inttypes.h>

#include "broker/core/state.h"
#include "lib/record/record_message.h"
#include "lib/wire/properties.h"

enum { DELIVERIES_LOOKED_AT = 1000 }; /* Of a queue, behind the time at which a message was due. */

/* Where the record's message is, or was, to go. */
struct found {
	struct span topic;
	uint32_t queue_id;
	int64_t deliver_at_ms;   /* Not before that; 0: not delayed. */
	int64_t set_back_ms;     /* If the clock was set back, not before that; 0: deliver_at_ms is what was recorded. */
	uint64_t naming_offset;  /* Of the record that names it when it is not delayed. */
};

static enum status look_from(const struct queue *queue, int64_t from_ms, uint64_t body_offset, uint64_t *naming_out,
			     struct errinfo *err)
{
	struct cq_entry entry;
	uint64_t at;
	enum status status = consume_queue_find_time(&queue->entries, queue->visible_offset, from_ms, CQ_LOWER, &at, err);

	for (int i = 0; status == ST_OK && i < DELIVERIES_LOOKED_AT && at < queue->visible_offset; i++, at++) {
		status = consume_queue_get(&queue->entries, at, &entry, err);
		if (status != ST_OK || entry.body_offset != body_offset)
			continue;
		*naming_out = entry.log_offset;
		return ST_OK;
	}
	return status == ST_OK ? ST_NOTFOUND : status;
}

/* The entry that a DELIVER record made of the message in this body. */
static enum status find_delivery(struct core *core, const struct found *found, uint64_t body_offset, uint64_t *naming_out,
				 struct errinfo *err)
{
	const struct topic *topic = topics_find(core->topics, found->topic);
	struct queue *queue = topic == NULL ? NULL : topic_queue(topic, found->queue_id);
	uint64_t min;

	if (queue == NULL)
		return ST_NOTFOUND;
	enum status status = trimming_queue_min(core, queue, &min, err);
	if (status == ST_OK)
		status = look_from(queue, found->deliver_at_ms, body_offset, naming_out, err);
	if (status == ST_NOTFOUND && found->set_back_ms != 0)
		status = look_from(queue, found->set_back_ms, body_offset, naming_out, err);
	return status;
}

/* The log holds nothing of the decision any more; the body is there for a commit that waited for its time. A delay began after
 * the half was stored; by a clock that was set back, it may have ended sooner. */
static enum status look_at_past_half(const struct record_half *half, struct found *out)
{
	int64_t stored_ms = half->store_time_ms;

	if (half->delay_ms == 0)
		return ST_NOTFOUND;
	int64_t due_ms = half->delay_ms > 0 ? stored_ms + half->delay_ms : -half->delay_ms;
	*out = (struct found){ half->topic, half->queue_id, due_ms > stored_ms ? due_ms : stored_ms, stored_ms, 0 };
	return ST_OK;
}

/* A half: what its decision made of it. */
static enum status look_at_half(struct core *core, struct span payload, struct found *out, struct errinfo *err)
{
	struct record_decision decision;
	struct log_record record;
	struct half_entry entry;
	struct record_half half;
	enum status status = record_half_decode(payload, &half, err);

	if (status != ST_OK)
		return status;
	status = half_index_get(&core->halves, half.half_queue_offset, &entry, err);
	if (status == ST_NOTFOUND)
		return look_at_past_half(&half, out);
	if (status != ST_OK)
		return status;
	core_correct_half(core, half.half_queue_offset, &entry);
	if (entry.state != TXN_COMMITTED || entry.decision_offset >= core_committed_offset(core))
		return ST_NOTFOUND;
	if (entry.decision_offset < commitlog_start(core->log))
		return look_at_past_half(&half, out);
	status = core_read_record(core, entry.decision_offset, &record, err);
	if (status != ST_OK)
		return status;
	if (record.kind != LOG_DECISION || record_decision_decode(record.payload, &decision, err) != ST_OK)
		return ST_NOTFOUND;
	*out = (struct found){ decision.topic, decision.queue_id, decision.deliver_at_ms, 0, entry.decision_offset };
	return ST_OK;
}

static enum status look_at(struct core *core, uint64_t record_offset, struct found *out, struct errinfo *err)
{
	struct stored_body body = { 0 };
	struct record_message message;
	enum status status = core_read_body(core, record_offset, &body, err);

	if (status != ST_OK)
		return status;
	if (body.kind == LOG_HALF)
		return look_at_half(core, body.payload, out, err);
	status = record_message_decode(body.payload, &message, err);
	if (status == ST_OK)
		*out = (struct found){ message.topic, message.queue_id, message.deliver_at_ms, 0, body.origin_offset };
	return status;
}

static bool has_key(struct span properties, const struct key_query *query)
{
	struct known_properties known;

	properties_scan(properties, &known);
	if (query->tag)
		return span_equal(known.tags, query->key);
	if (span_equal(known.uniq_key, query->key))
		return true;
	for (struct span rest = known.keys, word; word_next(&rest, &word);) {
		if (span_equal(word, query->key))
			return true;
	}
	return false;
}

enum status core_key_message(struct core *core, uint64_t record_offset, const struct key_query *query,
			     struct stored_message *out, struct errinfo *err)
{
	const struct topic *topic = topics_find_any(core->topics, query->topic);
	struct found found = { 0 };
	uint64_t naming;

	if (record_offset < commitlog_start(core->log) || record_offset >= core_committed_offset(core))
		return ST_NOTFOUND;
	enum status status = look_at(core, record_offset, &found, err);
	naming = found.naming_offset;
	if (status == ST_OK && found.deliver_at_ms != 0)
		status = find_delivery(core, &found, record_offset, &naming, err);
	if (status == ST_OK && topic != NULL && topic_outlived(topic, naming))
		return ST_NOTFOUND; /* Of a topic of that name that was deleted. */
	if (status == ST_OK)
		status = core_stored_message(core, naming, out, err);
	if (status != ST_OK)
		return status;
	const struct message *message = &out->message;
	bool fits = span_equal(message->topic, query->topic) && message->store_timestamp >= query->begin_ms &&
		    message->store_timestamp <= query->end_ms && has_key(message->properties, query);
	return fits ? ST_OK : ST_NOTFOUND;
}
