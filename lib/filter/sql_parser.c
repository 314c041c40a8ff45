/* See sql_filter.h: from the expression to the program. One function for each rule of RocketMQ's grammar. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/filter/sql_lexer.h"
#include "lib/filter/sql_program.h"

/* What an operand is, as far as the grammar's rules care. */
struct operand {
	enum { OPERAND_CONSTANT, OPERAND_PROPERTY, OPERAND_CONDITION, OPERAND_SIGNED } kind;
	struct sql_value value; /* Of a constant. */
	size_t position;
};

struct parser {
	struct sql_lexer lexer;
	struct sql_token token;  /* The next one. */
	struct errinfo *err;
	enum status status;      /* The first failure; parsing then unwinds. */
	int depth;
	uint8_t *text;           /* The expression, ours: texts are decoded in place. */
	uint32_t step_count, constant_count, name_count;
	struct sql_step steps[SQL_STEPS_MAX];
	struct sql_value constants[SQL_STEPS_MAX];
	struct span names[SQL_NAMES_MAX];
};

static struct operand parse_or(struct parser *p);
static struct operand parse_unary(struct parser *p);

/* --- failures and tokens ------------------------------------------------------------------------------------ */

static bool ok(const struct parser *p)
{
	return p->status == ST_OK;
}

enum { QUOTE_MAX = 40 };

/* The next token is not what the grammar wants. */
static void expected(struct parser *p, const char *what)
{
	struct span found = p->token.text;

	if (!ok(p))
		return;
	if (p->token.kind == TOKEN_END)
		p->status = errinfo_set(p->err, ST_INVALID, "at position %zu, the end: expected %s", p->token.position, what);
	else
		p->status = errinfo_set(p->err, ST_INVALID, "at position %zu: expected %s, found \"%.*s\"%s", p->token.position, what,
					(int)(found.size < QUOTE_MAX ? found.size : QUOTE_MAX), (const char *)found.data,
					found.size > QUOTE_MAX ? "..." : "");
}

static void refuse(struct parser *p, size_t position, const char *why)
{
	if (ok(p))
		p->status = errinfo_set(p->err, ST_INVALID, "at position %zu: %s", position, why);
}

static void too_big(struct parser *p, const char *what, int max)
{
	if (ok(p))
		p->status = errinfo_set(p->err, ST_TOOBIG, "at position %zu: more than %d %s", p->token.position, max, what);
}

static void advance(struct parser *p)
{
	if (ok(p))
		p->status = sql_lexer_next(&p->lexer, &p->token, p->err);
}

static bool accept(struct parser *p, enum sql_token_kind kind)
{
	if (!ok(p) || p->token.kind != kind)
		return false;
	advance(p);
	return true;
}

static void require(struct parser *p, enum sql_token_kind kind, const char *what)
{
	if (!accept(p, kind))
		expected(p, what);
}

/* --- writing the program ------------------------------------------------------------------------------------ */

static uint32_t emit(struct parser *p, struct sql_step step)
{
	if (p->step_count == SQL_STEPS_MAX) {
		too_big(p, "steps; shorten the expression", SQL_STEPS_MAX);
		return 0;
	}
	p->steps[p->step_count] = step;
	return p->step_count++;
}

static uint32_t add_constant(struct parser *p, struct sql_value value)
{
	if (p->constant_count == SQL_STEPS_MAX) {
		too_big(p, "literals; shorten the expression", SQL_STEPS_MAX);
		return 0;
	}
	p->constants[p->constant_count] = value;
	return p->constant_count++;
}

static uint32_t find_name(struct parser *p, struct span name)
{
	for (uint32_t i = 0; i < p->name_count; i++) {
		if (span_equal(p->names[i], name))
			return i;
	}
	if (p->name_count == SQL_NAMES_MAX) {
		too_big(p, "different properties", SQL_NAMES_MAX);
		return 0;
	}
	p->names[p->name_count] = name;
	return p->name_count++;
}

/* --- literals ------------------------------------------------------------------------------------------------- */

static struct sql_value string_literal(struct parser *p)
{
	struct sql_value value = { .type = SQL_TEXT };

	if (!ok(p) || p->token.kind != TOKEN_STRING) {
		expected(p, "a text in single quotes");
		return value;
	}
	uint8_t *start = p->text + (p->token.text.data - p->text) + 1;
	size_t size = 0;
	for (size_t i = 0; i + 2 < p->token.text.size; i++) {
		start[size] = start[i];
		if (start[size++] == '\'')
			i++;
	}
	value.text = (struct span){ start, size };
	advance(p);
	return value;
}

static struct sql_value decimal_literal(struct parser *p)
{
	struct sql_value value = { .type = SQL_LONG };
	struct span text = p->token.text;

	if (text.data[text.size - 1] == 'l' || text.data[text.size - 1] == 'L')
		text.size--;
	if (!sql_number(text, SQL_LONG, &value))
		refuse(p, p->token.position, "the number does not fit 64 bits");
	else if (value.integer <= INT32_MAX)
		value.type = SQL_INT;
	advance(p);
	return value;
}

static bool has_nonzero_digit(struct span text)
{
	for (size_t i = 0; i < text.size && text.data[i] != 'e' && text.data[i] != 'E'; i++) {
		if (text.data[i] >= '1' && text.data[i] <= '9')
			return true;
	}
	return false;
}

static struct sql_value float_literal(struct parser *p)
{
	struct sql_value value = { .type = SQL_DOUBLE };
	bool read = sql_number(p->token.text, SQL_DOUBLE, &value);

	if (!read || isinf(value.real) || (value.real == 0 && has_nonzero_digit(p->token.text)))
		refuse(p, p->token.position, "the number does not fit a double");
	advance(p);
	return value;
}

static bool literal_value(struct parser *p, struct sql_value *out)
{
	*out = (struct sql_value){ .type = SQL_NULL };
	switch (p->token.kind) {
	case TOKEN_STRING: *out = string_literal(p); return true;
	case TOKEN_DECIMAL: *out = decimal_literal(p); return true;
	case TOKEN_FLOAT: *out = float_literal(p); return true;
	case TOKEN_TRUE:
	case TOKEN_FALSE:
		*out = (struct sql_value){ .type = SQL_BOOL, .boolean = p->token.kind == TOKEN_TRUE };
		advance(p);
		return true;
	case TOKEN_NULL: advance(p); return true;
	default: return false;
	}
}

/* --- what may stand where --------------------------------------------------------------------------------------- */

static bool is_truth_literal(const struct operand *operand)
{
	return operand->kind == OPERAND_CONSTANT && (operand->value.type == SQL_BOOL || operand->value.type == SQL_NULL);
}

/* A truth value is due. */
static void as_condition(struct parser *p, const struct operand *operand)
{
	if (operand->kind == OPERAND_PROPERTY)
		emit(p, (struct sql_step){ .op = OP_CAST });
	else if (operand->kind != OPERAND_CONDITION && !is_truth_literal(operand))
		refuse(p, operand->position, "expected a condition, found a value");
}

static void check_ordered(struct parser *p, const struct operand *operand)
{
	bool is_number = operand->value.type == SQL_INT || operand->value.type == SQL_LONG || operand->value.type == SQL_DOUBLE;

	if (operand->kind == OPERAND_CONDITION || (operand->kind == OPERAND_CONSTANT && !is_number))
		refuse(p, operand->position, "expected a number or a property: nothing else can be ordered");
}

static void check_equal(struct parser *p, const struct operand *left, const struct operand *right)
{
	const struct operand *sides[] = { left, right };

	for (size_t i = 0; i < 2; i++) {
		if (sides[i]->kind == OPERAND_CONSTANT && sides[i]->value.type == SQL_NULL)
			refuse(p, sides[i]->position, "nothing is equal to NULL; use IS NULL or IS NOT NULL");
	}
	if (is_truth_literal(left) && right->kind == OPERAND_CONSTANT && !is_truth_literal(right))
		refuse(p, right->position, "expected TRUE or FALSE beside TRUE or FALSE");
}

static struct operand condition_at(size_t position)
{
	return (struct operand){ .kind = OPERAND_CONDITION, .position = position };
}

/* --- the grammar -------------------------------------------------------------------------------------------------- */

static struct operand parse_primary(struct parser *p)
{
	struct operand operand = { .position = p->token.position };

	if (p->token.kind == TOKEN_NAME) {
		operand.kind = OPERAND_PROPERTY;
		emit(p, (struct sql_step){ .op = OP_PROPERTY, .arg = find_name(p, p->token.text) });
		advance(p);
	} else if (accept(p, TOKEN_OPEN)) {
		operand = parse_or(p);
		require(p, TOKEN_CLOSE, "an operator or )");
	} else if (ok(p) && literal_value(p, &operand.value)) {
		operand.kind = OPERAND_CONSTANT;
		emit(p, (struct sql_step){ .op = OP_CONSTANT, .arg = add_constant(p, operand.value) });
	} else {
		expected(p, "a property, a literal, NOT or (");
	}
	return operand;
}

static struct operand parse_unary(struct parser *p)
{
	size_t position = p->token.position;
	struct operand operand = { .position = position };

	if (!ok(p))
		return operand;
	if (p->depth == SQL_DEPTH_MAX) {
		too_big(p, "parentheses, NOTs and signs inside each other", SQL_DEPTH_MAX);
		return operand;
	}
	p->depth++;
	if (accept(p, TOKEN_PLUS)) {
		operand = parse_unary(p);
	} else if (accept(p, TOKEN_MINUS)) {
		parse_unary(p);
		emit(p, (struct sql_step){ .op = OP_NEGATE });
		operand.kind = OPERAND_SIGNED;
	} else if (accept(p, TOKEN_NOT)) {
		operand = parse_unary(p);
		as_condition(p, &operand);
		emit(p, (struct sql_step){ .op = OP_NOT });
		operand = condition_at(position);
	} else {
		operand = parse_primary(p);
	}
	p->depth--;
	return operand;
}

static struct operand parse_order(struct parser *p, enum sql_op op, const struct operand *left)
{
	advance(p);
	struct operand right = parse_unary(p);
	check_ordered(p, left);
	check_ordered(p, &right);
	emit(p, (struct sql_step){ .op = (uint8_t)op });
	return condition_at(left->position);
}

static struct operand parse_search(struct parser *p, enum sql_op op, bool negated, const struct operand *left)
{
	advance(p);
	uint32_t constant = add_constant(p, string_literal(p));
	emit(p, (struct sql_step){ .op = (uint8_t)op, .negated = negated, .arg = constant });
	return condition_at(left->position);
}

static struct operand parse_between(struct parser *p, bool negated, const struct operand *value)
{
	int order = 0;

	advance(p);
	struct operand low = parse_unary(p);
	require(p, TOKEN_AND, "AND and the upper end");
	struct operand high = parse_unary(p);
	check_ordered(p, value);
	check_ordered(p, &low);
	check_ordered(p, &high);
	if (ok(p) && !negated && low.kind == OPERAND_CONSTANT && high.kind == OPERAND_CONSTANT &&
	    sql_compare(high.value, low.value, &order) && order < 0)
		refuse(p, high.position, "expected an upper end that is not below the lower one");
	emit(p, (struct sql_step){ .op = negated ? OP_NOT_BETWEEN : OP_BETWEEN });
	return condition_at(value->position);
}

static struct operand parse_in(struct parser *p, bool negated, const struct operand *left)
{
	struct sql_step step = { .op = OP_IN, .negated = negated, .arg = p->constant_count };

	if (left->kind != OPERAND_PROPERTY)
		refuse(p, left->position, "expected a property in front of IN");
	advance(p);
	require(p, TOKEN_OPEN, "(");
	do {
		add_constant(p, string_literal(p));
		step.count++;
	} while (accept(p, TOKEN_COMMA));
	require(p, TOKEN_CLOSE, ", or )");
	emit(p, step);
	return condition_at(left->position);
}

/* The forms that may have a NOT in front. */
static bool parse_wordy(struct parser *p, bool negated, struct operand *left)
{
	switch (p->token.kind) {
	case TOKEN_CONTAINS: *left = parse_search(p, OP_CONTAINS, negated, left); return true;
	case TOKEN_STARTSWITH: *left = parse_search(p, OP_STARTS_WITH, negated, left); return true;
	case TOKEN_ENDSWITH: *left = parse_search(p, OP_ENDS_WITH, negated, left); return true;
	case TOKEN_BETWEEN: *left = parse_between(p, negated, left); return true;
	case TOKEN_IN: *left = parse_in(p, negated, left); return true;
	default: return false;
	}
}

static struct operand parse_comparison(struct parser *p)
{
	struct operand left = parse_unary(p);

	while (ok(p)) {
		switch (p->token.kind) {
		case TOKEN_GREATER: left = parse_order(p, OP_GREATER, &left); break;
		case TOKEN_GREATER_EQUAL: left = parse_order(p, OP_GREATER_EQUAL, &left); break;
		case TOKEN_LESS: left = parse_order(p, OP_LESS, &left); break;
		case TOKEN_LESS_EQUAL: left = parse_order(p, OP_LESS_EQUAL, &left); break;
		case TOKEN_NOT:
			advance(p);
			if (!parse_wordy(p, true, &left))
				expected(p, "BETWEEN, IN, CONTAINS, STARTSWITH or ENDSWITH after NOT");
			break;
		default:
			if (!parse_wordy(p, false, &left))
				return left;
		}
	}
	return left;
}

static void parse_equal(struct parser *p, const struct operand *left, bool negated)
{
	advance(p);
	struct operand right = parse_comparison(p);
	check_equal(p, left, &right);
	emit(p, (struct sql_step){ .op = OP_EQUAL });
	if (negated)
		emit(p, (struct sql_step){ .op = OP_NOT });
}

static void parse_is_null(struct parser *p)
{
	advance(p);
	bool negated = accept(p, TOKEN_NOT);
	require(p, TOKEN_NULL, negated ? "NULL" : "NULL or NOT NULL");
	emit(p, (struct sql_step){ .op = OP_IS_NULL });
	if (negated)
		emit(p, (struct sql_step){ .op = OP_NOT });
}

static struct operand parse_equality(struct parser *p)
{
	struct operand left = parse_comparison(p);

	while (ok(p)) {
		if (p->token.kind == TOKEN_EQUAL || p->token.kind == TOKEN_NOT_EQUAL)
			parse_equal(p, &left, p->token.kind == TOKEN_NOT_EQUAL);
		else if (p->token.kind == TOKEN_IS)
			parse_is_null(p);
		else
			break;
		left = condition_at(left.position);
	}
	return left;
}

/* A row of operands between ANDs, or between ORs. */
static struct operand parse_row(struct parser *p, enum sql_token_kind word, struct operand (*part)(struct parser *))
{
	bool is_and = word == TOKEN_AND;
	struct operand left = part(p);

	while (accept(p, word)) {
		as_condition(p, &left);
		uint32_t decision = emit(p, (struct sql_step){ .op = is_and ? OP_AND_ELSE : OP_OR_ELSE });
		struct operand right = part(p);
		as_condition(p, &right);
		emit(p, (struct sql_step){ .op = is_and ? OP_AND : OP_OR });
		p->steps[decision].arg = p->step_count;
		left = condition_at(left.position);
	}
	return left;
}

static struct operand parse_and(struct parser *p)
{
	return parse_row(p, TOKEN_AND, parse_equality);
}

static struct operand parse_or(struct parser *p)
{
	return parse_row(p, TOKEN_OR, parse_and);
}

/* --- the whole ------------------------------------------------------------------------------------------------------ */

/* Moves a borrowed text from the parser's copy into the filter's. */
static struct span move(const struct parser *p, struct span text, const uint8_t *to)
{
	return (struct span){ to + (text.data - p->text), text.size };
}

static struct sql_filter *freeze(const struct parser *p)
{
	size_t constants = p->constant_count * sizeof(struct sql_value), names = p->name_count * sizeof(struct span);
	size_t steps = p->step_count * sizeof(struct sql_step), text = p->lexer.all.size;
	uint8_t *at = malloc(sizeof(struct sql_filter) + constants + names + steps + text);

	if (at == NULL)
		return NULL;
	struct sql_filter *filter = (struct sql_filter *)(void *)at;
	at += sizeof(*filter);
	struct sql_value *to_constants = (struct sql_value *)(void *)at;
	struct span *to_names = (struct span *)(void *)(at + constants);
	struct sql_step *to_steps = (struct sql_step *)(void *)(at + constants + names);
	uint8_t *to_text = at + constants + names + steps;
	memcpy(to_text, p->text, text);
	memcpy(to_steps, p->steps, steps);
	for (uint32_t i = 0; i < p->constant_count; i++) {
		to_constants[i] = p->constants[i];
		if (p->constants[i].type == SQL_TEXT)
			to_constants[i].text = move(p, p->constants[i].text, to_text);
	}
	for (uint32_t i = 0; i < p->name_count; i++)
		to_names[i] = move(p, p->names[i], to_text);
	*filter = (struct sql_filter){ to_constants, to_names, to_steps, p->constant_count, p->name_count, p->step_count };
	return filter;
}

enum status sql_filter_compile(struct span expression, struct sql_filter **out, struct errinfo *err)
{
	*out = NULL;
	if (expression.size > SQL_EXPRESSION_MAX)
		return errinfo_set(err, ST_TOOBIG, "the expression has %zu bytes, at most %d are taken", expression.size,
				   SQL_EXPRESSION_MAX);
	struct parser *p = malloc(sizeof(*p) + expression.size);
	if (p == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory to compile an expression");
	memset(p, 0, offsetof(struct parser, steps));
	p->text = (uint8_t *)(p + 1);
	if (expression.size > 0)
		memcpy(p->text, expression.data, expression.size);
	p->lexer.all = (struct span){ p->text, expression.size };
	p->err = err;
	advance(p);
	struct operand whole = parse_or(p);
	as_condition(p, &whole);
	if (ok(p) && p->token.kind != TOKEN_END)
		expected(p, "an operator or the end");
	if (ok(p) && (*out = freeze(p)) == NULL)
		p->status = errinfo_set(err, ST_NOMEM, "no memory to compile an expression");
	enum status status = p->status;
	free(p);
	return status;
}

void sql_filter_free(struct sql_filter *filter)
{
	free(filter);
}
