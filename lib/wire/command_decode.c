#include <stdlib.h>

#include "lib/wire/command.h"
#include "lib/wire/languages.h"
#include "lib/wire/unescape.h"

/* --- the flat JSON scanner --------------------------------------------------------------------------- */

struct scanner {
	const uint8_t *at;
	const uint8_t *end;
	uint8_t *scratch; /* Where the next unescaped text goes; bounded by the header's own size. */
};

enum token { TOKEN_TEXT, TOKEN_NUMBER, TOKEN_TRUE, TOKEN_FALSE, TOKEN_NULL, TOKEN_OPEN, TOKEN_BAD };

static void skip_blanks(struct scanner *s)
{
	while (s->at < s->end && (*s->at == ' ' || *s->at == '\n' || *s->at == '\t' || *s->at == '\r'))
		s->at++;
}

static bool take_char(struct scanner *s, uint8_t wanted)
{
	if (s->at < s->end && *s->at <= ' ')
		skip_blanks(s);
	if (s->at == s->end || *s->at != wanted)
		return false;
	s->at++;
	return true;
}

/* After the opening quote. */
static bool take_text(struct scanner *s, struct span *out)
{
	const uint8_t *start = s->at;
	const uint8_t *stop = json_text_run(s->at, s->end);

	if (stop == s->end)
		return false;
	if (*stop == '"') {
		*out = (struct span){ start, (size_t)(stop - start) };
		s->at = stop + 1;
		return true;
	}
	const uint8_t *after = json_unescape(start, s->end, s->scratch, &out->size);
	if (after == NULL)
		return false;
	out->data = s->scratch;
	s->scratch += out->size;
	s->at = after;
	return true;
}

static bool take_word(struct scanner *s, const char *word)
{
	size_t size = strlen(word);

	if ((size_t)(s->end - s->at) < size || memcmp(s->at, word, size) != 0)
		return false;
	s->at += size;
	return true;
}

static bool take_digits(struct scanner *s)
{
	const uint8_t *start = s->at;

	while (s->at < s->end && *s->at >= '0' && *s->at <= '9')
		s->at++;
	return s->at > start;
}

static bool take_number(struct scanner *s, struct span *out)
{
	const uint8_t *start = s->at;

	s->at += *s->at == '-' ? 1 : 0;
	if (!take_digits(s))
		return false;
	if (s->at < s->end && *s->at == '.') {
		s->at++;
		if (!take_digits(s))
			return false;
	}
	if (s->at < s->end && (*s->at == 'e' || *s->at == 'E')) {
		s->at++;
		if (s->at < s->end && (*s->at == '+' || *s->at == '-'))
			s->at++;
		if (!take_digits(s))
			return false;
	}
	*out = (struct span){ start, (size_t)(s->at - start) };
	return true;
}

/* One scalar value, or the opening bracket of a nested one. */
static enum token take_value(struct scanner *s, struct span *out)
{
	skip_blanks(s);
	*out = SPAN_NONE;
	if (s->at == s->end)
		return TOKEN_BAD;
	switch (*s->at) {
	case '"':
		s->at++;
		return take_text(s, out) ? TOKEN_TEXT : TOKEN_BAD;
	case 't':
		*out = SPAN_LITERAL("true");
		return take_word(s, "true") ? TOKEN_TRUE : TOKEN_BAD;
	case 'f':
		*out = SPAN_LITERAL("false");
		return take_word(s, "false") ? TOKEN_FALSE : TOKEN_BAD;
	case 'n': return take_word(s, "null") ? TOKEN_NULL : TOKEN_BAD;
	case '{':
	case '[': return TOKEN_OPEN;
	default: return take_number(s, out) ? TOKEN_NUMBER : TOKEN_BAD;
	}
}

/* Skips a nested value that nobody needs, by counting brackets outside of texts. */
static bool skip_nested(struct scanner *s)
{
	int depth = 0;

	while (s->at < s->end) {
		uint8_t c = *s->at++;

		if (c == '"') {
			struct span ignored;
			uint8_t *scratch = s->scratch;

			if (!take_text(s, &ignored))
				return false;
			s->scratch = scratch;
		} else if (c == '{' || c == '[') {
			if (++depth > COMMAND_DEPTH_MAX)
				return false;
		} else if (c == '}' || c == ']') {
			if (--depth == 0)
				return true;
		}
	}
	return false;
}

static enum status bad(struct errinfo *err, const char *what)
{
	return errinfo_set(err, ST_INVALID, "command header: %s", what);
}

static enum status add_field(struct command *out, struct span name, struct span value, struct errinfo *err)
{
	if (out->field_count == COMMAND_FIELDS_MAX)
		return bad(err, "more than 64 fields");
	out->fields[out->field_count++] = (struct command_field){ name, value };
	return ST_OK;
}

static enum status scan_fields(struct scanner *s, struct command *out, struct errinfo *err)
{
	s->at++; /* '{' */
	if (take_char(s, '}'))
		return ST_OK;
	do {
		struct span name, value;

		if (!take_char(s, '"') || !take_text(s, &name) || !take_char(s, ':'))
			return bad(err, "extFields: expected a quoted name and a colon");
		switch (take_value(s, &value)) {
		case TOKEN_BAD: return bad(err, "extFields: bad value");
		case TOKEN_NULL: break;
		case TOKEN_OPEN:
			if (!skip_nested(s))
				return bad(err, "extFields: bad nested value");
			break;
		default: {
			enum status status = add_field(out, name, value, err);

			if (status != ST_OK)
				return status;
		}
		}
	} while (take_char(s, ','));
	return take_char(s, '}') ? ST_OK : bad(err, "extFields: not closed");
}

static enum status number(enum token token, struct span value, const char *name, int32_t *out, struct errinfo *err)
{
	if (token == TOKEN_NULL)
		return ST_OK;
	if ((token != TOKEN_NUMBER && token != TOKEN_TEXT) || span_to_i32(value, out) != ST_OK)
		return errinfo_set(err, ST_INVALID, "command header: %s is not a 32-bit number", name);
	return ST_OK;
}

static enum status set_member(struct scanner *s, struct span name, struct command *out, struct errinfo *err)
{
	struct span value;

	skip_blanks(s);
	if (span_is(name, "extFields") && s->at < s->end && *s->at == '{')
		return scan_fields(s, out, err);
	enum token token = take_value(s, &value);
	if (token == TOKEN_BAD)
		return bad(err, "bad value");
	if (token == TOKEN_OPEN)
		return skip_nested(s) ? ST_OK : bad(err, "bad nested value");
	if (span_is(name, "code"))
		return number(token, value, "code", &out->code, err);
	if (span_is(name, "opaque"))
		return number(token, value, "opaque", &out->opaque, err);
	if (span_is(name, "flag"))
		return number(token, value, "flag", &out->flag, err);
	if (span_is(name, "version"))
		return number(token, value, "version", &out->version, err);
	if (span_is(name, "language"))
		out->language = token == TOKEN_NUMBER ? language_from_number(value) : language_from_name(value);
	else if (span_is(name, "remark") && token == TOKEN_TEXT)
		out->remark = value;
	return ST_OK;
}

static enum status decode_json(struct span header, struct command_scratch *scratch, struct command *out,
			       struct errinfo *err)
{
	struct scanner s = { header.data, header.data + header.size, scratch->bytes };

	out->code = -1;
	if (!take_char(&s, '{'))
		return bad(err, "not a JSON object");
	if (!take_char(&s, '}')) {
		do {
			struct span name;

			if (!take_char(&s, '"') || !take_text(&s, &name) || !take_char(&s, ':'))
				return bad(err, "expected a quoted name and a colon");
			enum status status = set_member(&s, name, out, err);
			if (status != ST_OK)
				return status;
		} while (take_char(&s, ','));
		if (!take_char(&s, '}'))
			return bad(err, "object not closed");
	}
	skip_blanks(&s);
	if (s.at != s.end)
		return bad(err, "bytes after the object");
	return out->code >= 0 ? ST_OK : bad(err, "no code");
}

/* --- binary ------------------------------------------------------------------------------------------ */

static enum status decode_binary_fields(struct span map, struct command *out, struct errinfo *err)
{
	struct reader r = reader_of(map);

	while (r.left > 0) {
		struct span name = reader_take(&r, reader_u16(&r));
		struct span value = reader_take(&r, reader_u32(&r));

		if (r.failed)
			return bad(err, "field map: a length runs past its end");
		if (name.size == 0 || value.size == 0)
			continue; /* A zero length is null. */
		enum status status = add_field(out, name, value, err);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

static enum status decode_binary(struct span header, struct command *out, struct errinfo *err)
{
	struct reader r = reader_of(header);

	out->code = (int16_t)reader_u16(&r);
	uint8_t language = reader_u8(&r);
	out->version = (int16_t)reader_u16(&r);
	out->opaque = (int32_t)reader_u32(&r);
	out->flag = (int32_t)reader_u32(&r);
	out->remark = reader_take(&r, reader_u32(&r));
	struct span map = reader_take(&r, reader_u32(&r));
	if (r.failed)
		return bad(err, "binary header shorter than it says");
	if (r.left > 0)
		return bad(err, "bytes after the field map");
	out->language = language < LANGUAGE_COUNT ? language : LANGUAGE_OTHER;
	return decode_binary_fields(map, out, err);
}

enum status command_decode(struct span frame, struct command_scratch *scratch, struct command *out,
			   struct errinfo *err)
{
	size_t frame_size;
	const char *reason;

	if (frame_scan(frame, UINT32_MAX, &frame_size, &reason) != FRAME_COMPLETE || frame_size != frame.size)
		return bad(err, "not one whole frame");
	size_t header_size = get_u32(frame.data + 4) & 0xFFFFFF;
	struct span header = { frame.data + FRAME_PREFIX, header_size };
	out->serialize_type = frame.data[4];
	out->language = LANGUAGE_OTHER;
	out->version = out->opaque = out->flag = 0;
	out->remark = SPAN_NONE;
	out->field_count = 0;
	out->body = (struct span){ header.data + header_size, frame.size - FRAME_PREFIX - header_size };
	if (out->serialize_type == SERIALIZE_JSON)
		return decode_json(header, scratch, out, err);
	return decode_binary(header, out, err);
}

/* --- reading fields ---------------------------------------------------------------------------------- */

struct span command_field(const struct command *command, const char *name)
{
	size_t size = strlen(name);

	for (uint32_t i = command->field_count; i-- > 0;) {
		const struct command_field *field = &command->fields[i];

		if (field->name.size == size && memcmp(field->name.data, name, size) == 0)
			return field->value;
	}
	return SPAN_NONE;
}

enum status command_field_text(const struct command *command, const char *name, struct span *out, struct errinfo *err)
{
	*out = command_field(command, name);
	if (out->size == 0)
		return errinfo_set(err, ST_INVALID, "%s: field %s is missing", command_name(command), name);
	return ST_OK;
}

enum status command_field_i64_or(const struct command *command, const char *name, int64_t def, int64_t *out,
				 struct errinfo *err)
{
	struct span value = command_field(command, name);

	*out = def;
	if (value.data == NULL)
		return ST_OK;
	if (span_to_i64(value, out) == ST_OK)
		return ST_OK;
	return errinfo_set(err, ST_INVALID, "%s: field %s is not a number: \"%.*s\"", command_name(command),
			   name, (int)(value.size < 40 ? value.size : 40), (const char *)value.data);
}

enum status command_field_i64(const struct command *command, const char *name, int64_t *out, struct errinfo *err)
{
	struct span value;
	enum status status = command_field_text(command, name, &value, err);

	return status != ST_OK ? status : command_field_i64_or(command, name, 0, out, err);
}

enum status command_field_i32_or(const struct command *command, const char *name, int32_t def, int32_t *out,
				 struct errinfo *err)
{
	int64_t wide;
	enum status status = command_field_i64_or(command, name, def, &wide, err);

	if (status != ST_OK)
		return status;
	if (wide < INT32_MIN || wide > INT32_MAX)
		return errinfo_set(err, ST_INVALID, "%s: field %s is over 32 bits", command_name(command),
				   name);
	*out = (int32_t)wide;
	return ST_OK;
}

enum status command_field_i32(const struct command *command, const char *name, int32_t *out, struct errinfo *err)
{
	struct span value;
	enum status status = command_field_text(command, name, &value, err);

	return status != ST_OK ? status : command_field_i32_or(command, name, 0, out, err);
}

bool command_field_bool(const struct command *command, const char *name, bool def)
{
	struct span value = command_field(command, name);

	return value.data == NULL ? def : span_is(value, "true") || span_is(value, "TRUE");
}
