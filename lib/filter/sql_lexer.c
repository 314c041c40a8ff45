#include "lib/filter/sql_lexer.h"

#include <ctype.h>
#include <string.h>

static const struct {
	const char *word;
	enum sql_token_kind kind;
} keywords[] = {
	{ "NOT", TOKEN_NOT }, { "AND", TOKEN_AND }, { "OR", TOKEN_OR }, { "BETWEEN", TOKEN_BETWEEN }, { "IN", TOKEN_IN },
	{ "TRUE", TOKEN_TRUE }, { "FALSE", TOKEN_FALSE }, { "NULL", TOKEN_NULL }, { "IS", TOKEN_IS },
	{ "CONTAINS", TOKEN_CONTAINS }, { "STARTSWITH", TOKEN_STARTSWITH }, { "ENDSWITH", TOKEN_ENDSWITH },
};

static const struct {
	const char *text;
	enum sql_token_kind kind;
} symbols[] = { /* The longer ones first. */
	{ "<>", TOKEN_NOT_EQUAL }, { ">=", TOKEN_GREATER_EQUAL }, { "<=", TOKEN_LESS_EQUAL }, { "=", TOKEN_EQUAL },
	{ ">", TOKEN_GREATER }, { "<", TOKEN_LESS }, { "(", TOKEN_OPEN }, { ")", TOKEN_CLOSE }, { ",", TOKEN_COMMA },
	{ "+", TOKEN_PLUS }, { "-", TOKEN_MINUS },
};

static struct span rest_of(const struct sql_lexer *lexer)
{
	return (struct span){ lexer->all.data + lexer->at, lexer->all.size - lexer->at };
}

static bool is_blank(uint8_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool is_name_start(uint8_t c)
{
	return isalpha(c) || c == '_' || c == '$';
}

/* Length of the comment at the start; 0: none. *open: it does not end. */
static size_t comment_size(struct span rest, bool *open)
{
	*open = false;
	if (span_starts_with(rest, "--")) {
		const uint8_t *end = memchr(rest.data, '\n', rest.size), *other = memchr(rest.data, '\r', rest.size);

		if (other != NULL && (end == NULL || other < end))
			end = other;
		return end == NULL ? rest.size : (size_t)(end - rest.data) + 1;
	}
	if (!span_starts_with(rest, "/*"))
		return 0;
	const uint8_t *end = memmem(rest.data + 2, rest.size - 2, "*/", 2);
	*open = end == NULL;
	return end == NULL ? rest.size : (size_t)(end - rest.data) + 2;
}

static enum status skip(struct sql_lexer *lexer, struct errinfo *err)
{
	for (;;) {
		bool open;
		size_t size;

		while (lexer->at < lexer->all.size && is_blank(lexer->all.data[lexer->at]))
			lexer->at++;
		size = lexer->at == lexer->all.size ? 0 : comment_size(rest_of(lexer), &open);
		if (size == 0)
			return ST_OK;
		if (open)
			return errinfo_set(err, ST_INVALID, "at position %zu: expected */ after /*", lexer->at + 1);
		lexer->at += size;
	}
}

static size_t digits(struct span text, size_t from)
{
	size_t at = from;

	while (at < text.size && isdigit(text.data[at]))
		at++;
	return at - from;
}

/* Bytes of an exponent at `from`, or 0. */
static size_t exponent(struct span text, size_t from)
{
	if (from == text.size || (text.data[from] != 'e' && text.data[from] != 'E'))
		return 0;
	size_t sign = from + 1 < text.size && (text.data[from + 1] == '+' || text.data[from + 1] == '-');
	size_t count = digits(text, from + 1 + sign);
	return count == 0 ? 0 : 1 + sign + count;
}

static void take_number(struct span rest, struct sql_token *out)
{
	size_t whole = digits(rest, 0), size = whole;

	out->kind = TOKEN_FLOAT;
	if (size < rest.size && rest.data[size] == '.')
		size += 1 + digits(rest, size + 1);
	size_t tail = exponent(rest, size);
	if (size == whole && tail == 0) {
		out->kind = TOKEN_DECIMAL;
		if (rest.data[0] == '0')
			size = 1; /* No leading zeroes. */
		else if (size < rest.size && (rest.data[size] == 'l' || rest.data[size] == 'L'))
			size++;
	}
	out->text = (struct span){ rest.data, size + tail };
}

static enum status take_string(struct span rest, struct sql_token *out, struct errinfo *err)
{
	size_t at = 1;

	for (; at < rest.size; at++) {
		if (rest.data[at] != '\'')
			continue;
		if (at + 1 == rest.size || rest.data[at + 1] != '\'')
			break;
		at++;
	}
	if (at >= rest.size)
		return errinfo_set(err, ST_INVALID, "at position %zu: expected a closing '", out->position);
	out->kind = TOKEN_STRING;
	out->text = (struct span){ rest.data, at + 1 };
	return ST_OK;
}

static void take_word(struct span rest, struct sql_token *out)
{
	size_t size = 1;

	while (size < rest.size && (is_name_start(rest.data[size]) || isdigit(rest.data[size])))
		size++;
	out->kind = TOKEN_NAME;
	out->text = (struct span){ rest.data, size };
	for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
		if (strlen(keywords[i].word) == size && strncasecmp((const char *)rest.data, keywords[i].word, size) == 0)
			out->kind = keywords[i].kind;
	}
}

enum status sql_lexer_next(struct sql_lexer *lexer, struct sql_token *out, struct errinfo *err)
{
	enum status status = skip(lexer, err);

	if (status != ST_OK)
		return status;
	struct span rest = rest_of(lexer);
	*out = (struct sql_token){ .kind = TOKEN_END, .position = lexer->at + 1 };
	if (rest.size == 0)
		return ST_OK;
	if (isdigit(rest.data[0]) || (rest.data[0] == '.' && rest.size > 1 && isdigit(rest.data[1]))) {
		take_number(rest, out);
	} else if (is_name_start(rest.data[0])) {
		take_word(rest, out);
	} else if (rest.data[0] == '\'') {
		status = take_string(rest, out, err);
	} else {
		for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]) && out->text.size == 0; i++) {
			if (span_starts_with(rest, symbols[i].text)) {
				out->kind = symbols[i].kind;
				out->text = (struct span){ rest.data, strlen(symbols[i].text) };
			}
		}
		if (out->text.size == 0)
			return errinfo_set(err, ST_INVALID, isprint(rest.data[0]) ? "at position %zu: unexpected character '%c'"
										   : "at position %zu: unexpected byte %u",
					   out->position, rest.data[0]);
	}
	lexer->at += out->text.size;
	return status;
}
