/* A compiled SQL92 expression: steps for a stack machine, shared by the parser that writes it and the evaluator.
 *
 * Each step takes its operands from the stack and leaves one value. OP_AND_ELSE and OP_OR_ELSE are the decisions of AND and
 * OR: when the value on top decides already, they jump over the right side and the joining step behind it.
 * Threads: read-only once compiled. */
#ifndef ESCROW_FILTER_SQL_PROGRAM_H
#define ESCROW_FILTER_SQL_PROGRAM_H

#include <stdint.h>

#include "lib/filter/sql_filter.h"

enum sql_type { SQL_NULL, SQL_BOOL, SQL_INT, SQL_LONG, SQL_DOUBLE, SQL_TEXT };

struct sql_value {
	enum sql_type type;
	union {
		bool boolean;
		int64_t integer; /* SQL_INT: within 32 bits. */
		double real;
		struct span text;
	};
};

enum sql_op {
	OP_CONSTANT,    /* Pushes constants[arg]. */
	OP_PROPERTY,    /* Pushes the value of names[arg]. */
	OP_NEGATE,
	OP_CAST,        /* A property where a truth value is due. */
	OP_NOT,
	OP_AND_ELSE,    /* FALSE on top: goes to arg. */
	OP_OR_ELSE,     /* TRUE on top: goes to arg. */
	OP_AND,
	OP_OR,
	OP_EQUAL,
	OP_GREATER,
	OP_GREATER_EQUAL,
	OP_LESS,
	OP_LESS_EQUAL,
	OP_IS_NULL,
	OP_BETWEEN,     /* value, low, high */
	OP_NOT_BETWEEN,
	OP_CONTAINS,    /* The text is constants[arg]; the next three as well. */
	OP_STARTS_WITH,
	OP_ENDS_WITH,
	OP_IN,          /* One of constants[arg, arg + count). */
};

struct sql_step {
	uint8_t op;
	bool negated;   /* NOT CONTAINS, NOT IN, ... */
	uint16_t count;
	uint32_t arg;
};

/* Operands and the joining steps of one level of nesting hold at most so many values. */
enum { SQL_STACK_PER_LEVEL = 5, SQL_STACK_MAX = SQL_STACK_PER_LEVEL * (SQL_DEPTH_MAX + 1) + 1 };

/* One block of memory: the arrays and the text, which the spans borrow, lie behind the struct. */
struct sql_filter {
	const struct sql_value *constants;
	const struct span *names;
	const struct sql_step *steps;
	uint32_t constant_count;
	uint32_t name_count;
	uint32_t step_count;
};

/* --- numbers, as java.lang reads and compares them ---------------------------------------------------------- */

/* Integer.valueOf, Long.valueOf, Double.valueOf (without hexadecimal). False: NumberFormatException. */
bool sql_number(struct span text, enum sql_type type, struct sql_value *out);
/* Double.compareTo: NaN is the largest, -0.0 below 0.0. */
int sql_compare_doubles(double a, double b);
/* How ComparisonExpression compares two values that are not NULL: <0, 0, >0 in *order. False: the evaluation ends. */
bool sql_compare(struct sql_value left, struct sql_value right, int *order);

#endif
