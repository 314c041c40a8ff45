/* Does a message pass a consumer's SQL92 expression? Compiles the expression once, runs it on a message's properties.
 *
 * RocketMQ's semantics to the letter, odd ones too, because consumers were written against them:
 * - three values; a message passes on TRUE only. A missing property is NULL; `a = b` with only b missing is FALSE, with both
 *   missing TRUE;
 * - properties are texts. A text beside a number is read as that number's type, and one that cannot be read so ends the whole
 *   evaluation: the message does not pass, even under NOT. So `'3.75' < 4` never passes and `'3.75' < 4.0` does;
 * - two texts are ordered as doubles; IN takes text literals, of a property; BETWEEN with constants in the wrong order,
 *   `= NULL`, and ordering a text, TRUE or NULL literal are errors;
 * - AND and OR look at their right side only when the left one does not decide.
 * Differences: what follows a complete expression is an error here and was ignored there; 0.0 is a number; `--` runs to the end
 * of the line or of the expression.
 *
 * Expressions are foreign: length, nesting and size of the program are limited, and evaluation takes time linear in the program
 * and in the properties, on a fixed stack. Threads: a compiled filter is read-only. */
#ifndef ESCROW_FILTER_SQL_FILTER_H
#define ESCROW_FILTER_SQL_FILTER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum {
	SQL_EXPRESSION_MAX = 16 * 1024, /* Bytes of text. */
	SQL_DEPTH_MAX = 64,             /* Parentheses, NOT and signs inside each other. */
	SQL_STEPS_MAX = 1024,           /* Steps of the program. */
	SQL_NAMES_MAX = 128,            /* Different properties. */
};

struct sql_filter;

/* Compiles. ST_INVALID with "at position N ...: expected ..." (positions count bytes from 1), ST_TOOBIG, ST_NOMEM. */
enum status sql_filter_compile(struct span expression, struct sql_filter **out, struct errinfo *err) MUST_USE;
void sql_filter_free(struct sql_filter *filter);
/* True if the expression is TRUE for these properties (properties.h). */
bool sql_filter_match(const struct sql_filter *filter, struct span properties);
/* Steps of the program: what an evaluation costs, besides one walk over the properties. */
size_t sql_filter_steps(const struct sql_filter *filter);

#endif
