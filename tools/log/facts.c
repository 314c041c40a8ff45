/* See facts.h. */
#include "tools/log/facts.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/log/format.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"
#include "tools/log/lines.h"

/* --- decoding -------------------------------------------------------------------------------------------------- */

static void find_keys(struct span stored, struct record_facts *out)
{
	struct message message;
	struct known_properties known;

	out->message_size = stored.size;
	if (message_decode(stored, &message, NULL) != ST_OK)
		return;
	properties_scan(message.properties, &known);
	out->keys = known.keys;
	if (out->unique_key.size == 0)
		out->unique_key = known.uniq_key;
}

static enum status message_facts(struct span payload, uint64_t offset, struct record_facts *out)
{
	struct record_message *r = &out->as.message;
	enum status status = record_message_decode(payload, r, &out->why);

	(void)offset;
	if (status != ST_OK)
		return status;
	out->when_ms = r->store_time_ms;
	out->topic = r->topic;
	find_keys(r->message, out);
	return ST_OK;
}

static enum status half_facts(struct span payload, uint64_t offset, struct record_facts *out)
{
	struct record_half *r = &out->as.half;
	enum status status = record_half_decode(payload, r, &out->why);

	if (status != ST_OK)
		return status;
	out->when_ms = r->store_time_ms;
	out->topic = r->topic;
	out->group = r->group;
	out->transaction_id = r->transaction_id;
	out->unique_key = r->unique_key;
	out->half_offset = offset;
	find_keys(r->message, out);
	return ST_OK;
}

static enum status decision_facts(struct span payload, struct record_facts *out)
{
	struct record_decision *r = &out->as.decision;
	enum status status = record_decision_decode(payload, r, &out->why);

	if (status != ST_OK)
		return status;
	out->when_ms = r->when_ms;
	out->topic = r->topic;
	out->group = r->group;
	out->transaction_id = r->transaction_id;
	out->message_size = r->message_size;
	out->half_offset = r->half_offset;
	out->named[0] = r->body_offset;
	return ST_OK;
}

static enum status conflict_facts(struct span payload, struct record_facts *out)
{
	struct record_conflict *r = &out->as.conflict;
	enum status status = record_conflict_decode(payload, r, &out->why);

	if (status != ST_OK)
		return status;
	out->when_ms = r->when_ms;
	out->group = r->group;
	out->transaction_id = r->transaction_id;
	out->half_offset = r->half_offset;
	return ST_OK;
}

static enum status deliver_facts(struct span payload, struct record_facts *out)
{
	struct record_deliver *r = &out->as.deliver;
	enum status status = record_deliver_decode(payload, r, &out->why);

	if (status != ST_OK)
		return status;
	out->when_ms = r->deliver_time_ms;
	out->topic = r->topic;
	out->message_size = r->message_size;
	out->named[0] = r->source_offset;
	out->named[1] = r->body_offset;
	return ST_OK;
}

static enum status cancel_facts(struct span payload, struct record_facts *out)
{
	enum status status = record_timer_cancel_decode(payload, &out->as.cancel, &out->why);

	if (status != ST_OK)
		return status;
	out->when_ms = out->as.cancel.when_ms;
	out->named[0] = out->as.cancel.source_offset;
	return ST_OK;
}

static enum status carry_facts(struct span payload, struct record_facts *out)
{
	struct record_carry r;
	enum status status = record_carry_decode(payload, &r, &out->why);

	if (status != ST_OK)
		return status;
	out->kind = r.original_kind;
	out->carried = true;
	out->original_offset = r.original_offset;
	switch (r.original_kind) {
	case CARRY_MESSAGE: status = message_facts(r.payload, r.original_offset, out); break;
	case CARRY_HALF: status = half_facts(r.payload, r.original_offset, out); break;
	default: status = decision_facts(r.payload, out); break;
	}
	out->named[1] = r.original_offset;
	out->when_ms = 0; /* That of the original, long ago. */
	return status;
}

static enum status settings_facts(const struct log_record *record, struct record_facts *out)
{
	enum status status = ST_OK;

	if (record->kind == LOG_TOPIC) {
		status = record_topic_decode(record->payload, &out->as.topic_settings, &out->why);
		if (status == ST_OK) {
			out->topic = out->as.topic_settings.name;
			out->when_ms = out->as.topic_settings.when_ms;
		}
	} else if (record->kind == LOG_GROUP) {
		status = record_group_decode(record->payload, &out->as.group_settings, &out->why);
		if (status == ST_OK) {
			out->group = out->as.group_settings.name;
			out->when_ms = out->as.group_settings.when_ms;
		}
	} else {
		status = record_snapshot_mark_decode(record->payload, &out->as.mark, &out->why);
		if (status == ST_OK)
			out->when_ms = out->as.mark.when_ms;
	}
	return status;
}

static enum status first_check(void *context, const struct record_check *check, struct errinfo *err)
{
	struct record_facts *out = context;

	(void)err;
	if (out->half_offset == 0) {
		out->half_offset = check->half_offset;
		out->when_ms = check->when_ms;
	}
	return ST_OK;
}

static enum status first_offset(void *context, const struct record_offset *offset, struct errinfo *err)
{
	struct record_facts *out = context;

	(void)err;
	if (out->topic.size == 0) {
		out->topic = offset->topic;
		out->group = offset->group;
	}
	return ST_OK;
}

static enum status first_pop(void *context, const struct record_pop *pop, struct errinfo *err)
{
	struct record_facts *out = context;

	(void)err;
	if (out->topic.size == 0) {
		out->topic = pop->topic;
		out->group = pop->group;
		out->when_ms = pop->pop_time_ms;
	}
	return ST_OK;
}

void facts_of_record(const struct log_record *record, struct record_facts *out)
{
	enum status status = ST_OK;

	memset(out, 0, sizeof(*out));
	out->record = record;
	out->kind = record->kind;
	switch (record->kind) {
	case LOG_PAD:
	case LOG_BATCH: break;
	case LOG_EPOCH:
		if (record->payload.size == LOG_EPOCH_PAYLOAD)
			out->when_ms = (int64_t)get_u64(record->payload.data + 24);
		break;
	case LOG_MESSAGE: status = message_facts(record->payload, record->offset, out); break;
	case LOG_HALF: status = half_facts(record->payload, record->offset, out); break;
	case LOG_DECISION: status = decision_facts(record->payload, out); break;
	case LOG_CONFLICT: status = conflict_facts(record->payload, out); break;
	case LOG_DELIVER: status = deliver_facts(record->payload, out); break;
	case LOG_TIMER_CANCEL: status = cancel_facts(record->payload, out); break;
	case LOG_CARRY: status = carry_facts(record->payload, out); break;
	case LOG_CHECK: status = record_checks_decode(record->payload, first_check, out, &out->why); break;
	case LOG_OFFSETS: status = record_offsets_decode(record->payload, first_offset, out, &out->why); break;
	case LOG_POP: status = record_pops_decode(record->payload, first_pop, out, &out->why); break;
	case LOG_TOPIC:
	case LOG_GROUP:
	case LOG_SNAPSHOT_MARK: status = settings_facts(record, out); break;
	default:
		status = errinfo_set(&out->why, ST_VERSION, "kind %u: written by a newer version of this program", record->kind);
		break;
	}
	out->readable = status == ST_OK;
}

/* --- printing -------------------------------------------------------------------------------------------------- */

static void print_place(struct lines *lines, struct span topic, uint32_t queue_id)
{
	line_text(lines, "topic", topic);
	line_u64(lines, "queue", queue_id);
}

static void print_global(struct lines *lines, const struct record_global *global)
{
	if (global->id.size == 0)
		return;
	line_text(lines, "global_id", global->id);
	line_u64(lines, "part", global->part);
	line_u64(lines, "part_count", global->part_count);
}

static void print_message(const struct record_facts *f, struct lines *lines)
{
	const struct record_message *r = &f->as.message;

	print_place(lines, r->topic, r->queue_id);
	if (r->deliver_at_ms == 0)
		line_u64(lines, "queue_offset", r->queue_offset);
	else
		line_time(lines, "deliver_at", r->deliver_at_ms);
	line_u64(lines, "message_size", r->message.size);
	line_text(lines, "unique_key", f->unique_key);
	line_text(lines, "keys", f->keys);
}

static void print_half(const struct record_facts *f, struct lines *lines)
{
	const struct record_half *r = &f->as.half;

	line_u64(lines, "half_queue_offset", r->half_queue_offset);
	line_text(lines, "group", r->group);
	print_place(lines, r->topic, r->queue_id);
	line_text(lines, "transaction", r->transaction_id);
	if (!span_equal(r->unique_key, r->transaction_id))
		line_text(lines, "unique_key", r->unique_key);
	line_text(lines, "keys", f->keys);
	line_u64(lines, "message_size", r->message.size);
	if (r->delay_ms > 0)
		line_i64(lines, "delay_ms", r->delay_ms);
	if (r->delay_ms < 0)
		line_i64(lines, "deliver_at", -r->delay_ms);
	if (r->immunity_ms >= 0)
		line_i64(lines, "immunity_ms", r->immunity_ms);
	line_text(lines, "client", r->client_id);
	print_global(lines, &r->global);
}

static void print_decision(const struct record_facts *f, struct lines *lines)
{
	const struct record_decision *r = &f->as.decision;

	line_word(lines, "outcome", record_outcome_text(r->outcome));
	line_word(lines, "by", record_who_text(r->who));
	line_text(lines, "who", r->who_text);
	line_u64(lines, "half", r->half_offset);
	line_u64(lines, "half_queue_offset", r->half_queue_offset);
	line_text(lines, "group", r->group);
	print_place(lines, r->topic, r->queue_id);
	line_text(lines, "transaction", r->transaction_id);
	if (r->outcome == OUTCOME_COMMIT && r->deliver_at_ms == 0)
		line_u64(lines, "queue_offset", r->queue_offset);
	if (r->deliver_at_ms != 0)
		line_time(lines, "deliver_at", r->deliver_at_ms);
	if (r->body_offset != r->half_offset)
		line_u64(lines, "body", r->body_offset);
	line_u64(lines, "message_size", r->message_size);
	if (r->answered_checks > 0)
		line_u64(lines, "answered_checks", r->answered_checks);
	if (r->request_id != 0)
		line_u64(lines, "request", r->request_id);
	line_text(lines, "reason", r->reason);
	print_global(lines, &r->global);
}

static void print_conflict(const struct record_facts *f, struct lines *lines)
{
	const struct record_conflict *r = &f->as.conflict;

	line_word(lines, "asked", record_outcome_text(r->asked));
	line_word(lines, "by", record_who_text(r->who));
	line_text(lines, "who", r->who_text);
	line_word(lines, "decided", record_outcome_text(r->decided));
	line_u64(lines, "half", r->half_offset);
	line_u64(lines, "half_queue_offset", r->half_queue_offset);
	line_u64(lines, "decision", r->decision_offset);
	line_text(lines, "group", r->group);
	line_text(lines, "transaction", r->transaction_id);
	if (r->suppressed > 0)
		line_u64(lines, "suppressed", r->suppressed);
	print_global(lines, &r->global);
}

static void print_deliver(const struct record_facts *f, struct lines *lines)
{
	const struct record_deliver *r = &f->as.deliver;

	line_u64(lines, "source", r->source_offset);
	line_u64(lines, "body", r->body_offset);
	print_place(lines, r->topic, r->queue_id);
	line_u64(lines, "queue_offset", r->queue_offset);
	line_u64(lines, "message_size", r->message_size);
	line_bool(lines, "transactional", r->transactional);
}

static void print_topic(const struct record_facts *f, struct lines *lines)
{
	const struct record_topic *r = &f->as.topic_settings;

	line_text(lines, "topic", r->name);
	if (r->deleted)
		line_bool(lines, "deleted", true);
	line_u64(lines, "read_queues", r->read_queue_nums);
	line_u64(lines, "write_queues", r->write_queue_nums);
	line_u64(lines, "perm", r->perm);
	line_bool(lines, "order", r->order);
	line_text(lines, "attributes", r->attributes);
}

static void print_group(const struct record_facts *f, struct lines *lines)
{
	const struct record_group *r = &f->as.group_settings;

	line_text(lines, "group", r->name);
	if (r->deleted)
		line_bool(lines, "deleted", true);
	if (r->clean_offsets)
		line_bool(lines, "clean_offsets", true);
	line_bool(lines, "consume", r->consume_enable);
	line_u64(lines, "retry_queues", r->retry_queue_nums);
	line_u64(lines, "retry_max", r->retry_max_times);
	line_bool(lines, "orderly", r->consume_message_orderly);
	if (r->forbidden.size > 0)
		line_text(lines, "forbidden", r->forbidden);
	if (r->retry_policy.size > 0)
		line_text(lines, "retry_policy", r->retry_policy);
}

static enum status print_check(void *context, const struct record_check *r, struct errinfo *err)
{
	struct lines *lines = context;

	(void)err;
	line_item_begin(lines);
	line_word(lines, "event", r->event == CHECK_ASKED ? "asked" : "answered unknown");
	line_u64(lines, "half", r->half_offset);
	line_u64(lines, "half_queue_offset", r->half_queue_offset);
	line_u64(lines, "attempts", r->attempts);
	line_u64(lines, "answered", r->answered);
	line_text(lines, "who", r->who_text);
	line_item_end(lines);
	return ST_OK;
}

static enum status print_offset(void *context, const struct record_offset *r, struct errinfo *err)
{
	struct lines *lines = context;

	(void)err;
	line_item_begin(lines);
	line_text(lines, "group", r->group);
	print_place(lines, r->topic, r->queue_id);
	line_i64(lines, "consumer_offset", r->offset);
	line_item_end(lines);
	return ST_OK;
}

static enum status print_pop(void *context, const struct record_pop *r, struct errinfo *err)
{
	static const char *const events[] = { "?", "check-out", "ack", "invisible time changed", "reset", "check-out in order",
					       "check-out in order, again", "request mode" };
	struct lines *lines = context;

	(void)err;
	line_item_begin(lines);
	line_word(lines, "event", events[r->event <= POP_REQUEST_MODE ? r->event : 0]);
	line_text(lines, "group", r->group);
	print_place(lines, r->topic, r->queue_id);
	line_u64(lines, "queue_offset", r->queue_offset);
	line_u64(lines, "count", r->count);
	line_i64(lines, "invisible_ms", r->invisible_ms);
	line_item_end(lines);
	return ST_OK;
}

/* It was decoded before, so it decodes. */
static void print_batch(const struct record_facts *f, struct lines *lines)
{
	struct span payload = f->record->payload;
	enum status status = ST_OK;

	line_list_begin(lines, "entries");
	if (f->kind == LOG_CHECK)
		status = record_checks_decode(payload, print_check, lines, NULL);
	else if (f->kind == LOG_OFFSETS)
		status = record_offsets_decode(payload, print_offset, lines, NULL);
	else
		status = record_pops_decode(payload, print_pop, lines, NULL);
	(void)status;
	line_list_end(lines);
}

static void print_internal(const struct log_record *record, struct lines *lines)
{
	struct log_mark mark;

	if (!log_mark_of(record, &mark))
		return;
	if (record->kind == LOG_EPOCH)
		line_u64(lines, "previous_epoch", get_u32(record->payload.data));
	line_u64(lines, "durable", mark.durable);
	line_u64(lines, "window", mark.window);
}

static void print_content(const struct record_facts *f, struct lines *lines)
{
	switch (f->kind) {
	case LOG_MESSAGE: print_message(f, lines); break;
	case LOG_HALF: print_half(f, lines); break;
	case LOG_DECISION: print_decision(f, lines); break;
	case LOG_CONFLICT: print_conflict(f, lines); break;
	case LOG_DELIVER: print_deliver(f, lines); break;
	case LOG_TIMER_CANCEL:
		line_u64(lines, "source", f->as.cancel.source_offset);
		line_text(lines, "who", f->as.cancel.who);
		line_text(lines, "topic", f->as.cancel.topic);
		line_text(lines, "unique_key", f->as.cancel.unique_key);
		break;
	case LOG_TOPIC: print_topic(f, lines); break;
	case LOG_GROUP: print_group(f, lines); break;
	case LOG_SNAPSHOT_MARK:
		line_u64(lines, "snapshot", f->as.mark.snapshot_offset);
		line_u64(lines, "generation", f->as.mark.generation);
		line_u64(lines, "file_size", f->as.mark.file_size);
		break;
	case LOG_CHECK:
	case LOG_OFFSETS:
	case LOG_POP: print_batch(f, lines); break;
	default: print_internal(f->record, lines); break;
	}
}

void facts_print(const struct record_facts *f, struct lines *lines)
{
	const struct log_record *record = f->record;

	char head[48];

	snprintf(head, sizeof(head), "%" PRIu64 " %s", record->offset, log_kind_text(record->kind));
	line_begin(lines, lines->json ? log_kind_text(record->kind) : head);
	if (lines->json)
		line_u64(lines, "offset", record->offset);
	line_u64(lines, "size", record->size);
	line_u64(lines, "epoch", record->epoch);
	line_time(lines, "time", f->when_ms);
	if (f->carried) {
		line_word(lines, "original_kind", log_kind_text(f->kind));
		line_u64(lines, "original", f->original_offset);
	}
	if (f->readable)
		print_content(f, lines);
	else
		line_word(lines, "unreadable", f->why.text);
	line_end(lines);
}
