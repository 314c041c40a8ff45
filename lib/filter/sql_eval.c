/* See sql_filter.h: evaluation. */
#include <string.h>

#include "lib/filter/sql_program.h"
#include "lib/wire/properties.h"

struct machine {
	const struct sql_filter *filter;
	struct span *values; /* Of the filter's names; data NULL: missing. */
	struct sql_value stack[SQL_STACK_MAX];
	size_t depth;
};

static struct sql_value truth(bool value)
{
	return (struct sql_value){ .type = SQL_BOOL, .boolean = value };
}

static const struct sql_value null_value = { .type = SQL_NULL };

static bool is_bool(struct sql_value value, bool wanted)
{
	return value.type == SQL_BOOL && value.boolean == wanted;
}

/* One pass over the properties; of entries with the same name the last one counts. */
static void find_values(const struct sql_filter *filter, struct span properties, struct span *values)
{
	struct property property;

	memset(values, 0, filter->name_count * sizeof(*values));
	while (property_next(&properties, &property)) {
		for (uint32_t i = 0; i < filter->name_count; i++) {
			if (span_equal(filter->names[i], property.name))
				values[i] = property.value;
		}
	}
}

static struct sql_value negate(struct sql_value value)
{
	switch (value.type) {
	case SQL_INT: value.integer = (int32_t)(0u - (uint32_t)value.integer); return value;
	case SQL_LONG: value.integer = (int64_t)(0ull - (uint64_t)value.integer); return value;
	case SQL_DOUBLE: value.real = -value.real; return value;
	default: return null_value;
	}
}

static bool equal(struct sql_value left, struct sql_value right, struct sql_value *out)
{
	int order;

	if (left.type == SQL_NULL || right.type == SQL_NULL) {
		if (left.type == right.type)
			*out = truth(true);
		else
			*out = left.type == SQL_NULL ? null_value : truth(false);
		return true;
	}
	if (!sql_compare(left, right, &order))
		return false;
	*out = truth(order == 0);
	return true;
}

/* An ordering step. Two texts are compared as doubles. */
static bool ordered(uint8_t op, struct sql_value left, struct sql_value right, struct sql_value *out)
{
	int order;

	*out = null_value;
	if (left.type == SQL_NULL || right.type == SQL_NULL)
		return true;
	if (left.type == SQL_TEXT && right.type == SQL_TEXT &&
	    (!sql_number(left.text, SQL_DOUBLE, &left) || !sql_number(right.text, SQL_DOUBLE, &right)))
		return false;
	if (!sql_compare(left, right, &order))
		return false;
	switch (op) {
	case OP_GREATER: *out = truth(order > 0); break;
	case OP_GREATER_EQUAL: *out = truth(order >= 0); break;
	case OP_LESS: *out = truth(order < 0); break;
	default: *out = truth(order <= 0); break;
	}
	return true;
}

/* AND (decisive: false) and OR (decisive: true) of two values. */
static struct sql_value join(struct sql_value left, struct sql_value right, bool decisive)
{
	if (is_bool(left, decisive) || is_bool(right, decisive))
		return truth(decisive);
	return left.type == SQL_NULL || right.type == SQL_NULL ? null_value : truth(!decisive);
}

static bool between(const struct sql_value *operands, bool negated, struct sql_value *out)
{
	struct sql_value first, second;

	if (!ordered(negated ? OP_LESS : OP_GREATER_EQUAL, operands[0], operands[1], &first))
		return false;
	*out = first;
	if (is_bool(first, negated))
		return true;
	if (!ordered(negated ? OP_GREATER : OP_LESS_EQUAL, operands[0], operands[2], &second))
		return false;
	*out = join(first, second, negated);
	return true;
}

static struct sql_value search(const struct sql_step *step, struct sql_value value, struct span wanted)
{
	bool found;

	/* Never NULL, and an empty text is in nothing: not even NOT CONTAINS passes. */
	if (value.type != SQL_TEXT || wanted.size == 0)
		return truth(false);
	struct span text = value.text;
	if (step->op == OP_CONTAINS)
		found = text.size >= wanted.size && memmem(text.data, text.size, wanted.data, wanted.size) != NULL;
	else if (step->op == OP_STARTS_WITH)
		found = text.size >= wanted.size && memcmp(text.data, wanted.data, wanted.size) == 0;
	else
		found = text.size >= wanted.size &&
			memcmp(text.data + text.size - wanted.size, wanted.data, wanted.size) == 0;
	return truth(found != step->negated);
}

static struct sql_value is_in(const struct sql_filter *filter, const struct sql_step *step, struct sql_value value)
{
	bool found = false;

	if (value.type != SQL_TEXT)
		return null_value;
	for (uint32_t i = 0; i < step->count && !found; i++)
		found = span_equal(filter->constants[step->arg + i].text, value.text);
	return truth(found != step->negated);
}

static struct sql_value property_value(const struct machine *machine, uint32_t name)
{
	struct span value = machine->values[name];

	return value.data == NULL ? null_value : (struct sql_value){ .type = SQL_TEXT, .text = value };
}

/* A step with one operand, which its result replaces. */
static void run_unary(const struct machine *machine, const struct sql_step *step, struct sql_value *top)
{
	switch (step->op) {
	case OP_NEGATE: *top = negate(*top); break;
	case OP_CAST: *top = top->type == SQL_NULL ? null_value : truth(is_bool(*top, true)); break;
	case OP_NOT: *top = top->type == SQL_NULL ? null_value : truth(!top->boolean); break;
	case OP_IS_NULL: *top = truth(top->type == SQL_NULL); break;
	case OP_IN: *top = is_in(machine->filter, step, *top); break;
	default: *top = search(step, *top, machine->filter->constants[step->arg].text); break;
	}
}

static bool run_binary(const struct sql_step *step, struct sql_value right, struct sql_value *left)
{
	switch (step->op) {
	case OP_AND: *left = join(*left, right, false); return true;
	case OP_OR: *left = join(*left, right, true); return true;
	case OP_EQUAL: return equal(*left, right, left);
	default: return ordered(step->op, *left, right, left);
	}
}

/* One step; *next is where to go on. False: the evaluation ends without a result. */
static bool run_step(struct machine *machine, const struct sql_step *step, uint32_t *next)
{
	struct sql_value *top = machine->depth == 0 ? NULL : &machine->stack[machine->depth - 1];
	struct sql_value result;

	switch (step->op) {
	case OP_CONSTANT:
		machine->stack[machine->depth++] = machine->filter->constants[step->arg];
		return true;
	case OP_PROPERTY:
		machine->stack[machine->depth++] = property_value(machine, step->arg);
		return true;
	case OP_AND_ELSE:
	case OP_OR_ELSE:
		if (is_bool(*top, step->op == OP_OR_ELSE))
			*next = step->arg;
		return true;
	case OP_BETWEEN:
	case OP_NOT_BETWEEN:
		machine->depth -= 2;
		if (!between(top - 2, step->op == OP_NOT_BETWEEN, &result))
			return false;
		top[-2] = result;
		return true;
	case OP_AND:
	case OP_OR:
	case OP_EQUAL:
	case OP_GREATER:
	case OP_GREATER_EQUAL:
	case OP_LESS:
	case OP_LESS_EQUAL:
		machine->depth--;
		return run_binary(step, *top, top - 1);
	default:
		run_unary(machine, step, top);
		return true;
	}
}

bool sql_filter_match(const struct sql_filter *filter, struct span properties)
{
	struct span values[SQL_NAMES_MAX];
	struct machine machine;

	machine.filter = filter;
	machine.values = values;
	machine.depth = 0;
	find_values(filter, properties, values);
	for (uint32_t at = 0; at < filter->step_count;) {
		const struct sql_step *step = &filter->steps[at++];

		if (!run_step(&machine, step, &at))
			return false;
	}
	return is_bool(machine.stack[0], true);
}

size_t sql_filter_steps(const struct sql_filter *filter)
{
	return filter->step_count;
}
