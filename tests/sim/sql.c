/* A parser that runs what it reads. Expressions have no effects, so a part of a statement that is needed for each row is
 * simply read again for each. */
#include "tests/sim/sql.h"

#include <ctype.h>
#include <string.h>

#include "lib/mysql/db_rows.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { NAMES_MAX = SQL_COLUMNS_MAX };

struct reader_of_sql {
	const char *at, *end;
	bool failed;
	struct errinfo *err;
	/* What names mean in expressions. */
	struct sql_table *table;
	const struct sql_value *row;    /* NULL: no row. */
	const struct sql_value *values; /* Of VALUES(name). */
};
typedef struct reader_of_sql sql;

/* --- words ---------------------------------------------------------------------------------------------------------- */

static void fail(sql *s, const char *what)
{
	int shown = s->end - s->at < 60 ? (int)(s->end - s->at) : 60;

	if (!s->failed)
		errinfo_set(s->err, ST_INVALID, "SQL: %s before \"%.*s\"", what, shown, s->at);
	s->failed = true;
}

static void skip_blanks(sql *s)
{
	while (s->at < s->end && isspace((unsigned char)*s->at))
		s->at++;
}

static struct span peek_word(sql *s)
{
	skip_blanks(s);
	const char *end = s->at;
	while (end < s->end && (isalnum((unsigned char)*end) || *end == '_'))
		end++;
	return (struct span){ (const uint8_t *)s->at, (size_t)(end - s->at) };
}

static struct span take_word(sql *s)
{
	struct span word = peek_word(s);

	if (word.size == 0)
		fail(s, "a name is missing");
	s->at += word.size;
	return word;
}

static bool try_word(sql *s, const char *word)
{
	if (!span_is(peek_word(s), word))
		return false;
	s->at += strlen(word);
	return true;
}

static void want_word(sql *s, const char *word)
{
	if (!try_word(s, word))
		fail(s, word);
}

static bool try_sign(sql *s, const char *sign)
{
	skip_blanks(s);
	if ((size_t)(s->end - s->at) < strlen(sign) || memcmp(s->at, sign, strlen(sign)) != 0)
		return false;
	s->at += strlen(sign);
	return true;
}

static void want_sign(sql *s, const char *sign)
{
	if (!try_sign(s, sign))
		fail(s, sign);
}

/* --- expressions ---------------------------------------------------------------------------------------------------- */

static struct sql_value expression(sql *s);

static struct sql_value quoted(sql *s)
{
	struct buffer text;

	buffer_init(&text, 0);
	for (;;) {
		if (s->at >= s->end) {
			fail(s, "a text has no end");
			break;
		}
		char c = *s->at++;
		if (c == '\'')
			break;
		if (c == '\\' && s->at < s->end)
			c = *s->at++;
		buffer_append(&text, &c, 1);
	}
	struct sql_value value = sql_text(buffer_span(&text));
	buffer_deinit(&text);
	return value;
}

static struct sql_value call(sql *s, struct span name)
{
	struct sql_value args[3] = { sql_null(), sql_null(), sql_null() }, result = sql_null();
	int count = 0;

	if (span_is(name, "VALUES")) {
		int column = sql_column(s->table, take_word(s));

		want_sign(s, ")");
		if (column < 0 || s->values == NULL)
			fail(s, "VALUES of an unknown column");
		return s->failed ? result : sql_copy(&s->values[column]);
	}
	while (!s->failed && count < 3 && !try_sign(s, ")")) {
		args[count++] = expression(s);
		if (!try_sign(s, ",")) {
			want_sign(s, ")");
			break;
		}
	}
	if (span_is(name, "IF") && count == 3) {
		result = sql_copy(&args[!args[0].null && args[0].number != 0 ? 1 : 2]);
	} else if (span_is(name, "GREATEST") && count == 2) {
		result = sql_copy(&args[sql_compare(&args[0], &args[1]) >= 0 ? 0 : 1]);
	} else if (span_is(name, "UTC_TIMESTAMP")) {
		char text[DB_TIME_TEXT_SIZE];

		db_time_text(engine_true_wall_ms(), text);
		result = sql_text(span_of(text));
	} else {
		fail(s, "an unknown function");
	}
	for (int i = 0; i < 3; i++)
		sql_free(&args[i]);
	return result;
}

static struct sql_value number(sql *s, struct span digits)
{
	uint64_t value = 0;

	for (size_t i = 0; i < digits.size; i++) {
		if (!isdigit(digits.data[i]))
			fail(s, "not a number");
		value = value * 10 + (uint64_t)(digits.data[i] - '0');
	}
	return sql_number(value);
}

static struct sql_value primary(sql *s)
{
	skip_blanks(s);
	if (try_sign(s, "(")) {
		struct sql_value value = expression(s);

		want_sign(s, ")");
		return value;
	}
	if (try_sign(s, "x'") || try_sign(s, "'"))
		return quoted(s);
	struct span word = take_word(s);
	if (s->failed || span_is(word, "NULL"))
		return sql_null();
	if (isdigit(word.data[0]))
		return number(s, word);
	if (try_sign(s, "("))
		return call(s, word);
	int column = s->table == NULL ? -1 : sql_column(s->table, word);
	if (column < 0 || s->row == NULL) {
		fail(s, "an unknown column");
		return sql_null();
	}
	return sql_copy(&s->row[column]);
}

static struct sql_value sum(sql *s)
{
	struct sql_value value = primary(s);

	while (!s->failed) {
		bool times = try_sign(s, "*");

		if (!times && !try_sign(s, "+"))
			break;
		struct sql_value other = primary(s);
		value = sql_number(times ? value.number * other.number : value.number + other.number);
		sql_free(&other);
	}
	return value;
}

static struct sql_value comparison(sql *s)
{
	static const char *const signs[] = { "<>", ">=", "<=", "=", ">", "<" };
	struct sql_value left = sum(s);

	for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
		if (s->failed || !try_sign(s, signs[i]))
			continue;
		struct sql_value right = sum(s);
		bool null = left.null || right.null;
		int order = sql_compare(&left, &right);
		bool holds = i == 0 ? order != 0 : i == 1 ? order >= 0 : i == 2 ? order <= 0 : i == 3 ? order == 0
				: i == 4 ? order > 0 : order < 0;
		sql_free(&left);
		sql_free(&right);
		return null ? sql_null() : sql_number(holds);
	}
	return left;
}

static struct sql_value conjunction(sql *s)
{
	struct sql_value value = comparison(s);

	while (!s->failed && try_word(s, "AND")) {
		struct sql_value other = comparison(s);

		value = sql_number(!value.null && value.number != 0 && !other.null && other.number != 0);
	}
	return value;
}

static struct sql_value expression(sql *s)
{
	struct sql_value value = conjunction(s);

	while (!s->failed && try_word(s, "OR")) {
		struct sql_value other = conjunction(s);

		value = sql_number((!value.null && value.number != 0) || (!other.null && other.number != 0));
	}
	return value;
}

/* --- statements ----------------------------------------------------------------------------------------------------- */

static int take_column(sql *s)
{
	int column = sql_column(s->table, take_word(s));

	if (column < 0)
		fail(s, "an unknown column");
	return column;
}

static void take_table(sql *s, struct sql_base *base)
{
	s->table = sql_table_find(base, take_word(s));
	if (s->table == NULL)
		fail(s, "an unknown table");
}

/* `name = expression, ...` for one row, from left to right; each sees what the ones before it have set. */
static void assign(sql *s, struct sql_row *row, struct sql_undo *undo)
{
	do {
		s->row = sql_cell(row, 0);
		int column = take_column(s);
		want_sign(s, "=");
		struct sql_value value = expression(s);
		if (!s->failed)
			sql_set(s->table, row, column, &value, undo);
		sql_free(&value);
	} while (!s->failed && try_sign(s, ","));
}

static bool where_holds(sql *s, const struct sql_row *row)
{
	s->row = sql_cell(row, 0);
	struct sql_value value = expression(s);
	bool holds = !value.null && value.number != 0;
	sql_free(&value);
	return holds && !s->failed;
}

static void run_update(sql *s, struct sql_base *base, uint64_t *affected, struct sql_undo *undo)
{
	take_table(s, base);
	want_word(s, "SET");
	const char *assignments = s->at;
	const char *where = s->at;
	while (where + 7 < s->end && memcmp(where, " WHERE ", 7) != 0)
		where++;
	if (where + 7 >= s->end)
		fail(s, "an UPDATE without WHERE");
	for (struct sql_row *row = s->failed ? NULL : sql_first_row(s->table); row != NULL && !s->failed; row = sql_next_row(row)) {
		s->at = where + 7;
		if (!where_holds(s, row))
			continue;
		s->at = assignments;
		assign(s, row, undo);
		(*affected)++;
	}
	s->at = s->end;
}

/* The transactions of one connection are over before another one reads: a lock has nothing to wait for. */
static void drop_for_update(sql *s)
{
	static const char lock[] = " FOR UPDATE";
	size_t size = sizeof(lock) - 1;

	if ((size_t)(s->end - s->at) > size && memcmp(s->end - size, lock, size) == 0)
		s->end -= size;
}

/* The list of a SELECT for one row. */
static unsigned take_cells(sql *s, struct sql_value *cells)
{
	unsigned count = 0;

	do
		cells[count++] = expression(s);
	while (!s->failed && count < NAMES_MAX && try_sign(s, ","));
	return count;
}

static void run_select(sql *s, struct sql_base *base, sql_select select, void *context)
{
	const char *list = s->at;

	drop_for_update(s);
	while (s->at + 6 < s->end && memcmp(s->at, " FROM ", 6) != 0)
		s->at++;
	want_word(s, "FROM");
	take_table(s, base);
	want_word(s, "WHERE");
	const char *where = s->at;
	for (struct sql_row *row = s->failed ? NULL : sql_first_row(s->table); row != NULL && !s->failed; row = sql_next_row(row)) {
		struct sql_value cells[NAMES_MAX];

		s->at = where;
		if (!where_holds(s, row))
			continue;
		s->at = list;
		unsigned count = take_cells(s, cells);
		bool more = !s->failed && (select == NULL || select(context, cells, count) == ST_OK);
		for (unsigned i = 0; i < count; i++)
			sql_free(&cells[i]);
		if (!more)
			break;
	}
	s->at = s->end;
}

/* One (…) of VALUES. */
static void take_values(sql *s, const int *columns, unsigned count, struct sql_value *values)
{
	for (int i = 0; i < sql_column_count(s->table); i++)
		values[i] = sql_null();
	want_sign(s, "(");
	s->row = NULL;
	for (unsigned i = 0; i < count && !s->failed; i++) {
		if (i > 0)
			want_sign(s, ",");
		values[columns[i]] = expression(s);
	}
	want_sign(s, ")");
}

/* Behind the last row: "" or ON DUPLICATE KEY UPDATE assignments. NULL: none. */
static const char *find_duplicate_clause(const sql *s)
{
	static const char clause[] = " ON DUPLICATE KEY UPDATE ";
	size_t size = sizeof(clause) - 1;

	/* Texts could hold it too, so the last one counts. */
	if ((size_t)(s->end - s->at) < size)
		return NULL;
	for (const char *at = s->end - size; at > s->at; at--) {
		if (memcmp(at, clause, size) == 0)
			return at;
	}
	return NULL;
}

static enum status insert_row(sql *s, const struct sql_value *values, const char *assignments, struct sql_undo *undo)
{
	struct sql_row *duplicate = sql_find_duplicate(s->table, values);

	if (duplicate == NULL) {
		sql_insert(s->table, values, undo);
		return ST_OK;
	}
	if (assignments == NULL)
		return errinfo_set(s->err, ST_EXISTS, "SQL: duplicate entry");
	event_seen(SEEN_ROW_AGAIN);
	sql assignment = *s;
	assignment.at = assignments;
	assignment.values = values;
	assign(&assignment, duplicate, undo);
	s->failed |= assignment.failed;
	return ST_OK;
}

static enum status run_insert(sql *s, struct sql_base *base, uint64_t *affected, struct sql_undo *undo)
{
	int columns[SQL_COLUMNS_MAX];
	unsigned count = 0;
	enum status status = ST_OK;

	want_word(s, "INTO");
	take_table(s, base);
	want_sign(s, "(");
	while (!s->failed && count < SQL_COLUMNS_MAX) {
		columns[count++] = take_column(s);
		if (!try_sign(s, ","))
			break;
	}
	want_sign(s, ")");
	want_word(s, "VALUES");
	if (s->failed)
		return ST_INVALID;
	const char *clause = find_duplicate_clause(s);
	const char *assignments = clause == NULL ? NULL : clause + strlen(" ON DUPLICATE KEY UPDATE ");
	do {
		struct sql_value values[SQL_COLUMNS_MAX];

		take_values(s, columns, count, values);
		if (!s->failed)
			status = insert_row(s, values, assignments, undo);
		for (int i = 0; i < sql_column_count(s->table); i++)
			sql_free(&values[i]);
		(*affected)++;
	} while (!s->failed && status == ST_OK && try_sign(s, ","));
	s->at = s->end;
	return status;
}

enum status sql_run(struct sql_base *base, struct span statement, sql_select select, void *context, uint64_t *affected,
		    struct sql_undo *undo, struct errinfo *err)
{
	struct errinfo ignored;
	sql s = { (const char *)statement.data, (const char *)statement.data + statement.size, false,
		  err == NULL ? &ignored : err, NULL, NULL, NULL };
	enum status status = ST_OK;

	*affected = 0;
	if (try_word(&s, "SELECT"))
		run_select(&s, base, select, context);
	else if (try_word(&s, "UPDATE"))
		run_update(&s, base, affected, undo);
	else if (try_word(&s, "INSERT"))
		status = run_insert(&s, base, affected, undo);
	else
		fail(&s, "an unknown statement");
	return s.failed ? ST_INVALID : status;
}
