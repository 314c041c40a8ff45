/* What a subscription says of the messages it wants, as its consumer wrote it, and compiled if it is SQL92. Shared by those who need it, from the heartbeat
 * to the pull that waits, with a count of them; never changed.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_EXPRESSION_H
#define ESCROW_CORE_EXPRESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct sql_filter;

struct expression {
	uint32_t holders;
	bool sql;        /* SQL92; else tags. */
	struct sql_filter *program; /* Of SQL92; NULL: it does not compile. */
	size_t size;
	uint8_t text[];
};

/* For one holder. NULL without memory. */
struct expression *expression_create(struct span text, bool sql);
/* One more holder of it. NULL is allowed, here and below. */
struct expression *expression_hold(struct expression *expression);
/* One less; it goes with the last. */
void expression_release(struct expression *expression);

static inline struct span expression_text(const struct expression *expression)
{
	return expression == NULL ? SPAN_NONE : (struct span){ expression->text, expression->size };
}

#endif
