/* The words of an SQL92 expression: keywords (any case), names, numbers, 'texts', symbols; comments and blanks go.
 * Threads: a lexer belongs to one. */
#ifndef ESCROW_FILTER_SQL_LEXER_H
#define ESCROW_FILTER_SQL_LEXER_H

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum sql_token_kind {
	TOKEN_END, TOKEN_NAME, TOKEN_DECIMAL, TOKEN_FLOAT, TOKEN_STRING,
	TOKEN_NOT, TOKEN_AND, TOKEN_OR, TOKEN_BETWEEN, TOKEN_IN, TOKEN_TRUE, TOKEN_FALSE, TOKEN_NULL, TOKEN_IS,
	TOKEN_CONTAINS, TOKEN_STARTSWITH, TOKEN_ENDSWITH,
	TOKEN_EQUAL, TOKEN_NOT_EQUAL, TOKEN_GREATER, TOKEN_GREATER_EQUAL, TOKEN_LESS, TOKEN_LESS_EQUAL,
	TOKEN_OPEN, TOKEN_CLOSE, TOKEN_COMMA, TOKEN_PLUS, TOKEN_MINUS,
};

struct sql_token {
	enum sql_token_kind kind;
	struct span text;   /* As written. */
	size_t position;    /* From 1. */
};

struct sql_lexer {
	struct span all;
	size_t at;
};

/* The next word. ST_INVALID where none begins, or a text or comment does not end. */
enum status sql_lexer_next(struct sql_lexer *lexer, struct sql_token *out, struct errinfo *err) MUST_USE;

#endif
