/* See sql_program.h: numbers. */
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/filter/sql_program.h"

enum { REAL_TEXT_MAX = 512 };

static bool read_integer(struct span text, int64_t min, int64_t max, int64_t *out)
{
	if (text.size > 0 && text.data[0] == '+') {
		text.data++;
		text.size--;
		if (text.size > 0 && text.data[0] == '-')
			return false;
	}
	return span_to_i64(text, out) == ST_OK && *out >= min && *out <= max;
}

static size_t digits(const char *text)
{
	size_t count = 0;

	while (isdigit((unsigned char)text[count]))
		count++;
	return count;
}

/* What Double.valueOf takes after the sign; *size: of what strtod shall read. */
static bool is_real(const char *text, size_t *size)
{
	if (strcmp(text, "NaN") == 0 || strcmp(text, "Infinity") == 0) {
		*size = strlen(text);
		return true;
	}
	size_t whole = digits(text), at = whole, fraction = 0;
	if (text[at] == '.') {
		fraction = digits(text + at + 1);
		at += 1 + fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (text[at] == 'e' || text[at] == 'E') {
		size_t sign = text[at + 1] == '+' || text[at + 1] == '-', count = digits(text + at + 1 + sign);

		if (count == 0)
			return false;
		at += 1 + sign + count;
	}
	*size = at;
	if (text[at] != '\0' && strchr("fFdD", text[at]) != NULL)
		at++;
	return text[at] == '\0';
}

static bool read_real(struct span text, double *out)
{
	char copy[REAL_TEXT_MAX];
	size_t size;

	while (text.size > 0 && text.data[0] <= ' ') {
		text.data++;
		text.size--;
	}
	while (text.size > 0 && text.data[text.size - 1] <= ' ')
		text.size--;
	if (span_to_cstr(text, copy, sizeof(copy)) != ST_OK)
		return false;
	char *start = copy + (copy[0] == '+' || copy[0] == '-');
	if (!is_real(start, &size))
		return false;
	start[size] = '\0';
	*out = strtod(copy, NULL);
	return true;
}

bool sql_number(struct span text, enum sql_type type, struct sql_value *out)
{
	out->type = type;
	switch (type) {
	case SQL_INT: return read_integer(text, INT32_MIN, INT32_MAX, &out->integer);
	case SQL_LONG: return read_integer(text, INT64_MIN, INT64_MAX, &out->integer);
	default: return read_real(text, &out->real);
	}
}

int sql_compare_doubles(double a, double b)
{
	if (isnan(a) || isnan(b))
		return !!isnan(a) - !!isnan(b);
	if (a == 0 && b == 0)
		return !!signbit(b) - !!signbit(a);
	return (a > b) - (a < b);
}

static bool is_number(enum sql_type type)
{
	return type == SQL_INT || type == SQL_LONG || type == SQL_DOUBLE;
}

static double real_of(struct sql_value value)
{
	return value.type == SQL_DOUBLE ? value.real : (double)value.integer;
}

static int compare_numbers(struct sql_value left, struct sql_value right)
{
	if (left.type == SQL_DOUBLE || right.type == SQL_DOUBLE)
		return sql_compare_doubles(real_of(left), real_of(right));
	return (left.integer > right.integer) - (left.integer < right.integer);
}

static int compare_texts(struct span a, struct span b)
{
	size_t common = a.size < b.size ? a.size : b.size;
	int order = common == 0 ? 0 : memcmp(a.data, b.data, common);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

bool sql_compare(struct sql_value left, struct sql_value right, int *order)
{
	if (is_number(left.type) && right.type == SQL_TEXT && !sql_number(right.text, left.type, &right))
		return false;
	if (is_number(right.type) && left.type == SQL_TEXT && !sql_number(left.text, right.type, &left))
		return false;
	if (left.type == SQL_BOOL && right.type == SQL_TEXT)
		return false; /* There a failed cast. */
	if (left.type == SQL_TEXT && right.type == SQL_BOOL) {
		bool is_true = left.text.size == 4 && strncasecmp((const char *)left.text.data, "true", 4) == 0;

		left = (struct sql_value){ .type = SQL_BOOL, .boolean = is_true };
	}
	if (is_number(left.type) && is_number(right.type))
		*order = compare_numbers(left, right);
	else if (left.type == SQL_TEXT && right.type == SQL_TEXT)
		*order = compare_texts(left.text, right.text);
	else if (left.type == SQL_BOOL && right.type == SQL_BOOL)
		*order = (int)left.boolean - (int)right.boolean;
	else
		*order = -1;
	return true;
}
