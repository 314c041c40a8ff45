/* Writing JSON text. See json_body.h. */
#include <assert.h>
#include <math.h>

#include "lib/wire/command.h"
#include "lib/wire/json_body.h"

static void separate(struct json_writer *w)
{
	if (w->comma)
		buffer_put_u8(w->out, ',');
	w->comma = true;
}

static void put_quoted(struct json_writer *w, struct span text)
{
	buffer_put_u8(w->out, '"');
	json_escape(w->out, text);
	buffer_put_u8(w->out, '"');
}

void json_open(struct json_writer *w, char bracket)
{
	assert(bracket == '{' || bracket == '[');
	separate(w);
	buffer_put_u8(w->out, (uint8_t)bracket);
	w->comma = false;
}

void json_close(struct json_writer *w, char bracket)
{
	assert(bracket == '}' || bracket == ']');
	buffer_put_u8(w->out, (uint8_t)bracket);
	w->comma = true;
}

static void end_key(struct json_writer *w)
{
	buffer_put_u8(w->out, ':');
	w->comma = false;
}

void json_key(struct json_writer *w, const char *key)
{
	json_key_span(w, span_of(key));
}

void json_key_span(struct json_writer *w, struct span key)
{
	separate(w);
	put_quoted(w, key);
	end_key(w);
}

void json_key_i64(struct json_writer *w, int64_t key, bool quoted)
{
	separate(w);
	if (quoted)
		buffer_put_u8(w->out, '"');
	buffer_append_i64(w->out, key);
	if (quoted)
		buffer_put_u8(w->out, '"');
	end_key(w);
}

void json_end_object_key(struct json_writer *w)
{
	end_key(w);
}

void json_put_text(struct json_writer *w, struct span value)
{
	separate(w);
	put_quoted(w, value);
}

void json_put_i64(struct json_writer *w, int64_t value)
{
	separate(w);
	buffer_append_i64(w->out, value);
}

void json_put_bool(struct json_writer *w, bool value)
{
	separate(w);
	buffer_append_text(w->out, value ? "true" : "false");
}

void json_put_double(struct json_writer *w, double value)
{
	separate(w);
	buffer_printf(w->out, "%.4f", isfinite(value) ? value : 0.0);
}

void json_put_raw(struct json_writer *w, struct span value)
{
	separate(w);
	buffer_append_span(w->out, value);
}

void json_member_put_text(struct json_writer *w, const char *key, struct span value)
{
	json_key(w, key);
	json_put_text(w, value);
}

void json_member_put_i64(struct json_writer *w, const char *key, int64_t value)
{
	json_key(w, key);
	json_put_i64(w, value);
}

void json_member_put_double(struct json_writer *w, const char *key, double value)
{
	json_key(w, key);
	json_put_double(w, value);
}

void json_member_put_bool(struct json_writer *w, const char *key, bool value)
{
	json_key(w, key);
	json_put_bool(w, value);
}
