#include <assert.h>

#include "lib/wire/command.h"
#include "lib/wire/unescape.h"

void json_escape(struct buffer *out, struct span text)
{
	const uint8_t *at = text.data, *end = text.data + text.size;

	while (at < end) {
		const uint8_t *stop = json_text_run(at, end);

		buffer_append(out, at, (size_t)(stop - at));
		if (stop == end)
			return;
		static const char hex[] = "0123456789abcdef";
		uint8_t c = *stop;
		char escaped[6] = { '\\', (char)c };
		size_t size = 2;

		if (c == '\n') {
			escaped[1] = 'n';
		} else if (c < 0x20) {
			memcpy(escaped, "\\u00", 4);
			escaped[4] = hex[c >> 4];
			escaped[5] = hex[c & 15];
			size = 6;
		}
		buffer_append(out, escaped, size);
		at = stop + 1;
	}
}

static size_t position(const struct encoder *e)
{
	return buffer_size(e->out);
}

static void append_number_member(struct buffer *out, const char *prefix, int64_t value)
{
	buffer_append_text(out, prefix);
	buffer_append_i64(out, value);
}

static void begin_json(struct encoder *e, int32_t code, int32_t opaque, int32_t flag, struct span remark)
{
	append_number_member(e->out, "{\"code\":", code);
	append_number_member(e->out, ",\"flag\":", flag);
	append_number_member(e->out, ",\"language\":\"CPP\",\"opaque\":", opaque);
	if (remark.size > 0) {
		buffer_append_text(e->out, ",\"remark\":\"");
		json_escape(e->out, remark);
		buffer_append_text(e->out, "\"");
	}
	append_number_member(e->out, ",\"serializeTypeCurrentRPC\":\"JSON\",\"version\":", VERSION_OURS);
	/* extFields is always there: Java dereferences it after a send without looking. */
	buffer_append_text(e->out, ",\"extFields\":{");
}

static void begin_binary(struct encoder *e, int32_t code, int32_t opaque, int32_t flag, struct span remark)
{
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
	*e = (struct encoder){ .out = out, .serialize_type = serialize_type };
	e->frame_at = position(e);
	if (buffer_reserve(out, 512) == NULL)
		return;
	buffer_put_u64(out, 0);
	if (serialize_type == SERIALIZE_JSON)
		begin_json(e, code, opaque, flag, remark);
	else
		begin_binary(e, code, opaque, flag, remark);
}

void command_put(struct encoder *e, const char *name, struct span value)
{
	assert(!e->in_body);
	if (e->serialize_type != SERIALIZE_JSON) {
		size_t name_size = strlen(name);

		buffer_put_u16(e->out, (uint16_t)name_size);
		buffer_append(e->out, name, name_size);
		buffer_put_u32(e->out, (uint32_t)value.size);
		buffer_append_span(e->out, value);
		return;
	}
	buffer_append_text(e->out, e->has_fields ? ",\"" : "\"");
	e->has_fields = true;
	buffer_append_text(e->out, name);
	buffer_append_text(e->out, "\":\"");
	json_escape(e->out, value);
	buffer_append_text(e->out, "\"");
}

void command_put_text(struct encoder *e, const char *name, const char *value)
{
	command_put(e, name, span_of(value));
}

void command_put_i64(struct encoder *e, const char *name, int64_t value)
{
	char text[24];

	command_put(e, name, (struct span){ (const uint8_t *)text, format_i64(text, value) });
}

void command_put_bool(struct encoder *e, const char *name, bool value)
{
	command_put_text(e, name, value ? "true" : "false");
}

void command_body(struct encoder *e)
{
	assert(!e->in_body);
	if (e->serialize_type == SERIALIZE_JSON)
		buffer_append_text(e->out, "}}");
	e->in_body = true;
	e->header_end = position(e);
}

bool command_end(struct encoder *e)
{
	if (!e->in_body)
		command_body(e);
	size_t header_size = e->header_end - e->frame_at - FRAME_PREFIX;
	size_t length = position(e) - e->frame_at - 4;

	if (e->out->failed || header_size > 0xFFFFFF || length > INT32_MAX) {
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
