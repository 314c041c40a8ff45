/* fastjson's dialect to plain JSON: one pass, a stack of brackets, no recursion. See json_body.h. */
#include "lib/wire/json_body.h"
#include "lib/wire/unescape.h"

enum expect { EXPECT_VALUE, EXPECT_VALUE_OR_END, EXPECT_KEY, EXPECT_KEY_OR_END, EXPECT_COLON, EXPECT_AFTER_VALUE };

struct normaliser {
	const uint8_t *at;
	const uint8_t *end;
	struct buffer *out;
	enum expect expect;
	uint8_t brackets[JSON_BODY_DEPTH_MAX];
	uint32_t depth;
	uint32_t value_count;
	size_t body_size;
};

static enum status bad(const struct normaliser *n, struct errinfo *err, const char *what)
{
	return errinfo_set(err, ST_INVALID, "JSON body: %s at byte %zu", what,
			   n->body_size - (size_t)(n->end - n->at));
}

static bool is_word_byte(uint8_t c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$' ||
	       c == '-' || c == '+' || c == '.' || c == '%' || c == '@' || c >= 0x80;
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

/* After a backslash. fastjson knows escapes that JSON does not. */
static bool copy_escape(struct normaliser *n)
{
	if (n->at == n->end)
		return false;
	uint8_t c = *n->at++;
	if (c == '\'') {
		buffer_put_u8(n->out, '\'');
	} else if (c == 'v') {
		buffer_append_text(n->out, "\\u000b");
	} else if (c >= '0' && c <= '7') {
		buffer_append_text(n->out, "\\u000");
		buffer_put_u8(n->out, c);
	} else if (c == 'x') {
		if (n->end - n->at < 2)
			return false;
		buffer_append_text(n->out, "\\u00");
		buffer_append(n->out, n->at, 2);
		n->at += 2;
	} else {
		/* cJSON judges the rest. */
		buffer_put_u8(n->out, '\\');
		buffer_put_u8(n->out, c);
	}
	return true;
}

/* A quoted text, with either quote. */
static bool copy_text(struct normaliser *n)
{
	uint8_t quote = *n->at++;

	buffer_put_u8(n->out, '"');
	while (n->at < n->end) {
		const uint8_t *stop = n->at;

		if (quote == '"') {
			stop = json_text_run(n->at, n->end);
		} else {
			while (stop < n->end && *stop != '\'' && *stop != '\\' && *stop != '"')
				stop++;
		}
		buffer_append(n->out, n->at, (size_t)(stop - n->at));
		n->at = stop;
		if (stop == n->end)
			return false;
		uint8_t c = *n->at++;
		if (c == quote) {
			buffer_put_u8(n->out, '"');
			return true;
		}
		if (c == '\\') {
			if (!copy_escape(n))
				return false;
		} else {
			if (c == '"')
				buffer_put_u8(n->out, '\\');
			buffer_put_u8(n->out, c);
		}
	}
	return false;
}

/* An object or array in key position becomes the quoted text of itself. */
static bool copy_bracket_key(struct normaliser *n)
{
	const uint8_t *start = n->at;
	uint32_t depth = 0;

	while (n->at < n->end) {
		uint8_t c = *n->at++;

		if (c == '"' || c == '\'') {
			while (n->at < n->end && *n->at != c)
				n->at += *n->at == '\\' && n->end - n->at > 1 ? 2 : 1;
			if (n->at == n->end)
				return false;
			n->at++;
		} else if (c == '{' || c == '[') {
			if (++depth > JSON_BODY_DEPTH_MAX)
				return false;
		} else if ((c == '}' || c == ']') && --depth == 0) {
			break;
		}
	}
	if (depth > 0)
		return false;
	buffer_put_u8(n->out, '"');
	for (const uint8_t *p = start; p < n->at; p++) {
		if (*p == '"' || *p == '\\')
			buffer_put_u8(n->out, '\\');
		buffer_put_u8(n->out, *p);
	}
	buffer_put_u8(n->out, '"');
	return true;
}

static struct span take_word(struct normaliser *n)
{
	const uint8_t *start = n->at;

	while (n->at < n->end && is_word_byte(*n->at))
		n->at++;
	return (struct span){ start, (size_t)(n->at - start) };
}

static bool is_integer(struct span word)
{
	for (size_t i = word.data[0] == '-' ? 1 : 0; i < word.size; i++) {
		if (word.data[i] < '0' || word.data[i] > '9')
			return false;
	}
	return true;
}

static enum status copy_bare_value(struct normaliser *n, struct errinfo *err)
{
	struct span word = take_word(n);

	if (word.size == 0)
		return bad(n, err, "expected a value");
	/* A double holds 15 digits for sure; longer ones keep their text. */
	bool quote = word.size > 15 && is_integer(word);
	if (quote)
		buffer_put_u8(n->out, '"');
	buffer_append_span(n->out, word);
	if (quote)
		buffer_put_u8(n->out, '"');
	n->expect = EXPECT_AFTER_VALUE;
	return ST_OK;
}

static enum status copy_value(struct normaliser *n, struct errinfo *err)
{
	uint8_t c = *n->at;

	if (++n->value_count > JSON_BODY_VALUES_MAX)
		return errinfo_set(err, ST_TOOBIG, "JSON body: more than %d values", JSON_BODY_VALUES_MAX);
	if (c == '{' || c == '[') {
		if (n->depth == JSON_BODY_DEPTH_MAX)
			return bad(n, err, "nested too deeply");
		n->brackets[n->depth++] = c;
		buffer_put_u8(n->out, c);
		n->at++;
		n->expect = c == '{' ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
		return ST_OK;
	}
	if (c == '"' || c == '\'') {
		n->expect = EXPECT_AFTER_VALUE;
		return copy_text(n) ? ST_OK : bad(n, err, "text not closed");
	}
	return copy_bare_value(n, err);
}

static enum status copy_key(struct normaliser *n, struct errinfo *err)
{
	uint8_t c = *n->at;

	n->expect = EXPECT_COLON;
	if (++n->value_count > JSON_BODY_VALUES_MAX)
		return errinfo_set(err, ST_TOOBIG, "JSON body: more than %d values", JSON_BODY_VALUES_MAX);
	if (c == '"' || c == '\'')
		return copy_text(n) ? ST_OK : bad(n, err, "text not closed");
	if (c == '{' || c == '[')
		return copy_bracket_key(n) ? ST_OK : bad(n, err, "object key not closed");
	struct span word = take_word(n);
	if (word.size == 0)
		return bad(n, err, "expected a key");
	buffer_put_u8(n->out, '"');
	buffer_append_span(n->out, word);
	buffer_put_u8(n->out, '"');
	return ST_OK;
}

static enum status close_bracket(struct normaliser *n, struct errinfo *err)
{
	uint8_t c = *n->at;

	if (n->depth == 0 || n->brackets[n->depth - 1] != (c == '}' ? '{' : '['))
		return bad(n, err, "bracket does not match");
	n->depth--;
	n->at++;
	buffer_put_u8(n->out, c);
	n->expect = EXPECT_AFTER_VALUE;
	return ST_OK;
}

static enum status after_value(struct normaliser *n, struct errinfo *err)
{
	if (*n->at == '}' || *n->at == ']')
		return close_bracket(n, err);
	if (*n->at != ',' || n->depth == 0)
		return bad(n, err, "expected a comma or a closing bracket");
	n->at++;
	buffer_put_u8(n->out, ',');
	n->expect = n->brackets[n->depth - 1] == '{' ? EXPECT_KEY : EXPECT_VALUE;
	return ST_OK;
}

static enum status step(struct normaliser *n, struct errinfo *err)
{
	switch (n->expect) {
	case EXPECT_VALUE: return copy_value(n, err);
	case EXPECT_VALUE_OR_END: return *n->at == ']' ? close_bracket(n, err) : copy_value(n, err);
	case EXPECT_KEY: return copy_key(n, err);
	case EXPECT_KEY_OR_END: return *n->at == '}' ? close_bracket(n, err) : copy_key(n, err);
	case EXPECT_COLON:
		if (*n->at != ':')
			return bad(n, err, "expected a colon");
		n->at++;
		buffer_put_u8(n->out, ':');
		n->expect = EXPECT_VALUE;
		return ST_OK;
	case EXPECT_AFTER_VALUE: return after_value(n, err);
	}
	return bad(n, err, "broken state");
}

enum status json_normalise(struct span body, struct buffer *out, struct errinfo *err)
{
	struct normaliser n = {
		.at = body.data,
		.end = body.data + body.size,
		.out = out,
		.expect = EXPECT_VALUE,
		.body_size = body.size,
	};

	if (body.size > JSON_BODY_SIZE_MAX)
		return errinfo_set(err, ST_TOOBIG, "JSON body: %zu bytes, the most is %d", body.size,
				   JSON_BODY_SIZE_MAX);
	for (;;) {
		while (n.at < n.end && is_blank(*n.at))
			n.at++;
		if (n.at == n.end)
			break;
		enum status status = step(&n, err);
		if (status != ST_OK)
			return status;
	}
	if (n.depth > 0 || n.expect != EXPECT_AFTER_VALUE)
		return bad(&n, err, "it ends too early");
	if (out->failed)
		return errinfo_set(err, ST_NOMEM, "JSON body: out of memory");
	return ST_OK;
}
