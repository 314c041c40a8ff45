#include <assert.h>

#include "lib/wire/command.h"
#include "lib/wire/unescape.h"

/* Encoding is part of the cost of every answer, so each piece reserves its room once and writes through a pointer. */

enum { NUMBER_SIZE_MAX = 20, HEADER_START_MAX = 256 };

#define PUT_LITERAL(p, text) (memcpy((p), ("" text), sizeof(text) - 1), (p) + sizeof(text) - 1)

void json_escape(struct buffer *out, struct span text)
{
	uint8_t *room = buffer_reserve(out, json_escaped_size_max(text));

	if (room != NULL)
		buffer_commit(out, (size_t)(json_escape_to(room, text) - room));
}

static size_t position(const struct encoder *e)
{
	return buffer_size(e->out);
}

static uint8_t *put_number(uint8_t *p, int64_t value)
{
	static const char pairs[] = "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
				    "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
				    "8081828384858687888990919293949596979899";
	uint8_t digits[NUMBER_SIZE_MAX];
	size_t at = sizeof(digits);
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	while (rest >= 100) {
		at -= 2;
		memcpy(digits + at, pairs + rest % 100 * 2, 2);
		rest /= 100;
	}
	if (rest >= 10) {
		at -= 2;
		memcpy(digits + at, pairs + rest * 2, 2);
	} else {
		digits[--at] = (uint8_t)('0' + rest);
	}
	if (value < 0)
		*p++ = '-';
	memcpy(p, digits + at, sizeof(digits) - at);
	return p + sizeof(digits) - at;
}

static void begin_json(struct encoder *e, int32_t code, int32_t opaque, int32_t flag, struct span remark)
{
	uint8_t *room = buffer_reserve(e->out, HEADER_START_MAX + json_escaped_size_max(remark));
	uint8_t *p = room;

	if (room == NULL)
		return;
	p = PUT_LITERAL(p, "\0\0\0\0\0\0\0\0{\"code\":");
	p = put_number(p, code);
	p = PUT_LITERAL(p, ",\"flag\":");
	p = put_number(p, flag);
	p = PUT_LITERAL(p, ",\"language\":\"CPP\",\"opaque\":");
	p = put_number(p, opaque);
	if (remark.size > 0) {
		p = PUT_LITERAL(p, ",\"remark\":\"");
		p = json_escape_to(p, remark);
		*p++ = '"';
	}
	p = PUT_LITERAL(p, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":");
	p = put_number(p, VERSION_OURS);
	/* extFields is always there: Java dereferences it after a send without looking. */
	p = PUT_LITERAL(p, ",\"extFields\":{");
	buffer_commit(e->out, (size_t)(p - room));
}

static void begin_binary(struct encoder *e, int32_t code, int32_t opaque, int32_t flag, struct span remark)
{
	buffer_put_u64(e->out, 0);
	buffer_put_u16(e->out, (uint16_t)code);
	buffer_put_u8(e->out, LANGUAGE_CPP);
	buffer_put_u16(e->out, VERSION_OURS);
	buffer_put_u32(e->out, (uint32_t)opaque);
	buffer_put_u32(e->out, (uint32_t)flag);
	buffer_put_u32(e->out, (uint32_t)remark.size);
	buffer_append_span(e->out, remark);
	e->fields_at = position(e);
	buffer_put_u32(e->out, 0);
}

void command_begin(struct encoder *e, struct buffer *out, uint8_t serialize_type, int32_t code, int32_t opaque,
		   int32_t flag, struct span remark)
{
	*e = (struct encoder){ .out = out, .serialize_type = serialize_type, .frame_at = buffer_size(out) };
	if (serialize_type == SERIALIZE_JSON)
		begin_json(e, code, opaque, flag, remark);
	else
		begin_binary(e, code, opaque, flag, remark);
}

/* `,"name":"` of a JSON field. */
static uint8_t *open_field(struct encoder *e, uint8_t *p, struct span name)
{
	*p = ',';
	p += e->has_fields ? 1 : 0;
	e->has_fields = true;
	*p++ = '"';
	memcpy(p, name.data, name.size);
	return PUT_LITERAL(p + name.size, "\":\"");
}

static void put_binary(struct encoder *e, struct span name, struct span value)
{
	size_t size = 6 + name.size + value.size;
	uint8_t *p = buffer_reserve(e->out, size);

	if (p == NULL)
		return;
	put_u16(p, (uint16_t)name.size);
	memcpy(p + 2, name.data, name.size);
	put_u32(p + 2 + name.size, (uint32_t)value.size);
	if (value.size > 0)
		memcpy(p + 6 + name.size, value.data, value.size);
	buffer_commit(e->out, size);
}

void command_put_named(struct encoder *e, struct span name, struct span value)
{
	assert(!e->in_body);
	if (e->serialize_type != SERIALIZE_JSON) {
		put_binary(e, name, value);
		return;
	}
	uint8_t *room = buffer_reserve(e->out, name.size + 8 + json_escaped_size_max(value));
	if (room == NULL)
		return;
	uint8_t *p = json_escape_to(open_field(e, room, name), value);
	*p++ = '"';
	buffer_commit(e->out, (size_t)(p - room));
}

void command_put_named_i64(struct encoder *e, struct span name, int64_t value)
{
	uint8_t text[NUMBER_SIZE_MAX];

	assert(!e->in_body);
	if (e->serialize_type != SERIALIZE_JSON) {
		put_binary(e, name, (struct span){ text, (size_t)(put_number(text, value) - text) });
		return;
	}
	uint8_t *room = buffer_reserve(e->out, name.size + 8 + NUMBER_SIZE_MAX);
	if (room == NULL)
		return;
	uint8_t *p = put_number(open_field(e, room, name), value);
	*p++ = '"';
	buffer_commit(e->out, (size_t)(p - room));
}

void command_put(struct encoder *e, const char *name, struct span value)
{
	command_put_named(e, span_of(name), value);
}

void command_put_text(struct encoder *e, const char *name, const char *value)
{
	command_put(e, name, span_of(value));
}

void command_put_i64(struct encoder *e, const char *name, int64_t value)
{
	command_put_named_i64(e, span_of(name), value);
}

void command_put_bool(struct encoder *e, const char *name, bool value)
{
	command_put(e, name, value ? SPAN_LITERAL("true") : SPAN_LITERAL("false"));
}

void command_body(struct encoder *e)
{
	assert(!e->in_body);
	if (e->serialize_type == SERIALIZE_JSON)
		buffer_append(e->out, "}}", 2);
	e->in_body = true;
	e->header_end = position(e);
}

bool command_end(struct encoder *e)
{
	if (!e->in_body)
		command_body(e);
	size_t header_size = e->header_end - e->frame_at - FRAME_PREFIX;
	size_t length = position(e) - e->frame_at - 4;

	if (e->out->failed || header_size > FRAME_HEADER_MAX || length > INT32_MAX) {
		if (position(e) > e->frame_at)
			e->out->end = e->out->start + e->frame_at;
		return false;
	}
	uint8_t *frame = e->out->data + e->out->start + e->frame_at;

	put_u32(frame, (uint32_t)length);
	put_u32(frame + 4, (uint32_t)e->serialize_type << 24 | (uint32_t)header_size);
	if (e->serialize_type != SERIALIZE_JSON)
		put_u32(e->out->data + e->out->start + e->fields_at, (uint32_t)(e->header_end - e->fields_at - 4));
	return true;
}

bool command_answer(struct buffer *out, const struct command *request, int32_t code, struct span remark)
{
	struct encoder e;

	command_begin(&e, out, request->serialize_type, code, request->opaque, COMMAND_RESPONSE, remark);
	return command_end(&e);
}
