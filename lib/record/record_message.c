#include "lib/record/record_message.h"

#include "lib/record/codec.h"

size_t record_message_size(const struct record_message *r)
{
	return 2 + 8 + 8 + 8 + 4 + 4 + text_size(r->topic) + 4 + r->message.size;
}

static struct record_writer encode_message_head(const struct record_message *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->queue_offset);
	w_u64(&w, (uint64_t)r->store_time_ms);
	w_u64(&w, (uint64_t)r->deliver_at_ms);
	w_u32(&w, (uint32_t)r->tag_hash);
	w_u32(&w, r->queue_id);
	w_text(&w, r->topic);
	w_u32(&w, (uint32_t)r->message.size);
	return w;
}

void record_message_encode_head(const struct record_message *r, uint8_t *at)
{
	(void)encode_message_head(r, at);
}

void record_message_encode(const struct record_message *r, uint8_t *at)
{
	struct record_writer w = encode_message_head(r, at);

	w_bytes(&w, r->message);
}

enum status record_message_decode(struct span payload, struct record_message *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "message", &r, err);

	if (status != ST_OK)
		return status;
	out->queue_offset = reader_u64(&r);
	out->store_time_ms = (int64_t)reader_u64(&r);
	out->deliver_at_ms = (int64_t)reader_u64(&r);
	out->tag_hash = (int32_t)reader_u32(&r);
	out->queue_id = reader_u32(&r);
	out->topic = r_text(&r);
	out->message = reader_take(&r, reader_u32(&r));
	return record_end(&r, "message", err);
}

size_t record_deliver_size(const struct record_deliver *r)
{
	return 2 + 8 + 8 + 4 + 2 + 1 + 4 + 8 + 8 + 4 + text_size(r->topic);
}

void record_deliver_encode(const struct record_deliver *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->source_offset);
	w_u64(&w, r->body_offset);
	w_u32(&w, r->message_size);
	w_u16(&w, r->message_delta);
	w_u8(&w, r->transactional);
	w_u32(&w, r->queue_id);
	w_u64(&w, r->queue_offset);
	w_u64(&w, (uint64_t)r->deliver_time_ms);
	w_u32(&w, (uint32_t)r->tag_hash);
	w_text(&w, r->topic);
}

enum status record_deliver_decode(struct span payload, struct record_deliver *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "deliver", &r, err);

	if (status != ST_OK)
		return status;
	out->source_offset = reader_u64(&r);
	out->body_offset = reader_u64(&r);
	out->message_size = reader_u32(&r);
	out->message_delta = reader_u16(&r);
	out->transactional = r_bool(&r);
	out->queue_id = reader_u32(&r);
	out->queue_offset = reader_u64(&r);
	out->deliver_time_ms = (int64_t)reader_u64(&r);
	out->tag_hash = (int32_t)reader_u32(&r);
	out->topic = r_text(&r);
	return record_end(&r, "deliver", err);
}

size_t record_timer_cancel_size(const struct record_timer_cancel *r)
{
	return 2 + 8 + 8 + text_size(r->who) + text_size(r->topic) + text_size(r->unique_key);
}

void record_timer_cancel_encode(const struct record_timer_cancel *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->source_offset);
	w_u64(&w, (uint64_t)r->when_ms);
	w_text(&w, r->who);
	w_text(&w, r->topic);
	w_text(&w, r->unique_key);
}

enum status record_timer_cancel_decode(struct span payload, struct record_timer_cancel *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "timer cancel", &r, err);

	if (status != ST_OK)
		return status;
	out->source_offset = reader_u64(&r);
	out->when_ms = (int64_t)reader_u64(&r);
	out->who = r_text(&r);
	out->topic = r_text(&r);
	out->unique_key = r_text(&r);
	return record_end(&r, "timer cancel", err);
}

size_t record_carry_size(const struct record_carry *r)
{
	return 2 + 8 + 1 + 4 + r->payload.size;
}

void record_carry_encode(const struct record_carry *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->original_offset);
	w_u8(&w, r->original_kind);
	w_u32(&w, (uint32_t)r->payload.size);
	w_bytes(&w, r->payload);
}

enum status record_carry_decode(struct span payload, struct record_carry *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "carry", &r, err);

	if (status != ST_OK)
		return status;
	out->original_offset = reader_u64(&r);
	out->original_kind = r_range(&r, CARRY_MESSAGE, CARRY_DECISION);
	out->payload = reader_take(&r, reader_u32(&r));
	return record_end(&r, "carry", err);
}
