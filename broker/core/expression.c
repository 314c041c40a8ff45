#include "broker/core/expression.h"

#include <stdlib.h>
#include <string.h>

#include "lib/filter/sql_filter.h"

struct expression *expression_create(struct span text, bool sql)
{
	struct expression *expression = malloc(sizeof(*expression) + text.size);

	if (expression == NULL)
		return NULL;
	expression->holders = 1;
	expression->sql = sql;
	expression->program = NULL;
	expression->size = text.size;
	if (text.size > 0)
		memcpy(expression->text, text.data, text.size);
	if (sql && sql_filter_compile(text, &expression->program, NULL) == ST_NOMEM) {
		free(expression);
		return NULL;
	}
	return expression;
}

struct expression *expression_hold(struct expression *expression)
{
	if (expression != NULL)
		expression->holders++;
	return expression;
}

void expression_release(struct expression *expression)
{
	if (expression == NULL || --expression->holders > 0)
		return;
	sql_filter_free(expression->program);
	free(expression);
}
