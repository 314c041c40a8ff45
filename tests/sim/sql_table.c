#include "tests/sim/sql_table.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

enum { KEY_COLUMNS_MAX = 4 };

struct shape {
	const char *name;
	const char *columns[SQL_COLUMNS_MAX];
	const char *primary[KEY_COLUMNS_MAX];
	const char *unique;         /* One column; NULL: none. */
	const char *auto_increment;
};

static const struct shape shapes[] = {
	{ "broker_log",
	  { "log_no", "log_id", "cluster", "broker_name", "first_seen", "cursor_position", "cursor_epoch", "skipped_bytes",
	    "writer", "writer_since", "projected_at", "last_record", "last_record_crc", "start_record", "start_record_crc" },
	  { "log_no" }, "log_id", "log_no" },
	{ "topic_name", { "id", "name" }, { "id" }, "name", "id" },
	{ "group_name", { "id", "name" }, { "id" }, "name", "id" },
	{ "client_name", { "id", "name" }, { "id" }, "name", "id" },
	{ "txn",
	  { "log_no", "half_offset", "created_at", "half_queue_offset", "transaction_id", "group_id", "topic_id", "queue_id",
	    "size", "state", "decided_by", "decider_id", "decided_at", "checks", "queue_offset", "deliver_at", "request_id",
	    "reason", "state_offset" },
	  { "log_no", "half_offset", "created_at" }, NULL, NULL },
	{ "txn_event",
	  { "log_no", "record_offset", "part", "at", "half_offset", "event", "actor", "actor_id", "checks", "detail", "repeats",
	    "reason" },
	  { "log_no", "record_offset", "part", "at" }, NULL, NULL },
};
enum { TABLES = sizeof(shapes) / sizeof(shapes[0]) };

struct sql_row {
	UT_hash_handle hh;        /* By primary key. */
	UT_hash_handle hh_unique;
	struct sql_value cells[SQL_COLUMNS_MAX];
	char *key, *unique_key;
};

struct sql_table {
	const struct shape *shape;
	int columns;
	struct span names[SQL_COLUMNS_MAX];
	int primary[KEY_COLUMNS_MAX], primary_count;
	int unique, auto_increment; /* -1: none. */
	struct sql_row *rows;   /* Both hashes hold the same rows. */
	struct sql_row *by_unique;
	uint64_t next_number;
};

struct sql_base {
	struct sql_table tables[TABLES];
};

struct change {
	struct change *next;
	struct sql_table *table;
	struct sql_row *row;
	int column;             /* -1: the row was inserted. */
	struct sql_value before;
};

struct sql_undo {
	struct change *changes; /* The last one first. */
};

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- values --------------------------------------------------------------------------------------------------------- */

struct sql_value sql_null(void)
{
	return (struct sql_value){ .null = true };
}

struct sql_value sql_number(uint64_t number)
{
	return (struct sql_value){ .number = number };
}

struct sql_value sql_text(struct span text)
{
	struct sql_value value = { .is_text = true, .text = must(malloc(text.size + 1)), .size = text.size };

	if (text.size > 0)
		memcpy(value.text, text.data, text.size);
	value.text[text.size] = '\0';
	return value;
}

struct sql_value sql_copy(const struct sql_value *value)
{
	return value->is_text ? sql_text((struct span){ value->text, value->size }) : *value;
}

void sql_free(struct sql_value *value)
{
	free(value->text);
	*value = sql_null();
}

static uint64_t as_number(const struct sql_value *value)
{
	return value->is_text ? strtoull((const char *)value->text, NULL, 10) : value->number;
}

int sql_compare(const struct sql_value *a, const struct sql_value *b)
{
	if (a->null || b->null)
		return (int)b->null - (int)a->null;
	if (!a->is_text || !b->is_text) {
		uint64_t x = as_number(a), y = as_number(b);

		return (x > y) - (x < y);
	}
	int order = memcmp(a->text, b->text, a->size < b->size ? a->size : b->size);
	return order != 0 ? order : (a->size > b->size) - (a->size < b->size);
}

/* --- the base ------------------------------------------------------------------------------------------------------- */

static void find_columns(struct sql_table *table)
{
	const struct shape *shape = table->shape;

	for (; table->columns < SQL_COLUMNS_MAX && shape->columns[table->columns] != NULL; table->columns++)
		table->names[table->columns] = span_of(shape->columns[table->columns]);
	for (; table->primary_count < KEY_COLUMNS_MAX && shape->primary[table->primary_count] != NULL; table->primary_count++)
		table->primary[table->primary_count] = sql_column(table, span_of(shape->primary[table->primary_count]));
	table->unique = shape->unique == NULL ? -1 : sql_column(table, span_of(shape->unique));
	table->auto_increment = shape->auto_increment == NULL ? -1 : sql_column(table, span_of(shape->auto_increment));
}

struct sql_base *sql_base_create(void)
{
	struct sql_base *base = must(calloc(1, sizeof(*base)));

	for (int i = 0; i < TABLES; i++) {
		struct sql_table *table = &base->tables[i];

		table->shape = &shapes[i];
		table->next_number = 1;
		find_columns(table);
	}
	return base;
}

static void free_row(struct sql_table *table, struct sql_row *row)
{
	HASH_DELETE(hh, table->rows, row);
	if (row->unique_key != NULL)
		HASH_DELETE(hh_unique, table->by_unique, row);
	for (int i = 0; i < table->columns; i++)
		sql_free(&row->cells[i]);
	free(row->key);
	free(row->unique_key);
	free(row);
}

void sql_base_destroy(struct sql_base *base)
{
	if (base == NULL)
		return;
	for (int i = 0; i < TABLES; i++) {
		while (base->tables[i].rows != NULL)
			free_row(&base->tables[i], base->tables[i].rows);
	}
	free(base);
}

struct sql_base *sql_base_copy(const struct sql_base *base)
{
	struct sql_base *copy = sql_base_create();

	for (int i = 0; i < TABLES; i++) {
		for (const struct sql_row *row = base->tables[i].rows; row != NULL; row = row->hh.next)
			sql_insert(&copy->tables[i], row->cells, NULL);
		copy->tables[i].next_number = base->tables[i].next_number;
	}
	return copy;
}

struct sql_table *sql_table_find(struct sql_base *base, struct span name)
{
	for (int i = 0; i < TABLES; i++) {
		if (span_is(name, shapes[i].name))
			return &base->tables[i];
	}
	return NULL;
}

size_t sql_table_rows(const struct sql_table *table)
{
	return HASH_COUNT(table->rows);
}

int sql_column(const struct sql_table *table, struct span name)
{
	for (int i = 0; i < table->columns; i++) {
		if (span_equal(name, table->names[i]))
			return i;
	}
	return -1;
}

int sql_column_count(const struct sql_table *table)
{
	return table->columns;
}

struct sql_row *sql_first_row(const struct sql_table *table)
{
	return table->rows;
}

struct sql_row *sql_next_row(const struct sql_row *row)
{
	return row->hh.next;
}

const struct sql_value *sql_cell(const struct sql_row *row, int column)
{
	return &row->cells[column];
}

/* --- keys ----------------------------------------------------------------------------------------------------------- */

static void add_key_part(struct buffer *key, const struct sql_value *value)
{
	if (value->is_text)
		buffer_append(key, value->text, value->size);
	else
		buffer_append_i64(key, (int64_t)value->number);
	buffer_append(key, "|", 1);
}

static char *key_of(const struct sql_table *table, const struct sql_value *cells, bool unique)
{
	struct buffer key;

	if (unique && table->unique < 0)
		return NULL;
	buffer_init(&key, 0);
	for (int i = 0; !unique && i < table->primary_count; i++)
		add_key_part(&key, &cells[table->primary[i]]);
	if (unique)
		add_key_part(&key, &cells[table->unique]);
	buffer_append(&key, "", 1);
	assert(!key.failed && key.start == 0);
	return (char *)key.data;
}

struct sql_row *sql_find_duplicate(struct sql_table *table, const struct sql_value *values)
{
	char *key = key_of(table, values, false), *unique_key = key_of(table, values, true);
	struct sql_row *row = NULL;

	HASH_FIND(hh, table->rows, key, strlen(key), row);
	if (row == NULL && unique_key != NULL)
		HASH_FIND(hh_unique, table->by_unique, unique_key, strlen(unique_key), row);
	free(key);
	free(unique_key);
	return row;
}

/* --- changes -------------------------------------------------------------------------------------------------------- */

static void note_change(struct sql_undo *undo, struct sql_table *table, struct sql_row *row, int column)
{
	struct change *change;

	if (undo == NULL)
		return;
	change = must(calloc(1, sizeof(*change)));
	*change = (struct change){ undo->changes, table, row, column, sql_null() };
	if (column >= 0)
		change->before = sql_copy(&row->cells[column]);
	undo->changes = change;
}

void sql_insert(struct sql_table *table, const struct sql_value *values, struct sql_undo *undo)
{
	struct sql_row *row = must(calloc(1, sizeof(*row)));

	for (int i = 0; i < table->columns; i++)
		row->cells[i] = sql_copy(&values[i]);
	if (table->auto_increment >= 0 && row->cells[table->auto_increment].null)
		row->cells[table->auto_increment] = sql_number(table->next_number++);
	row->key = key_of(table, row->cells, false);
	row->unique_key = key_of(table, row->cells, true);
	HASH_ADD_KEYPTR(hh, table->rows, row->key, strlen(row->key), row);
	if (row->unique_key != NULL)
		HASH_ADD_KEYPTR(hh_unique, table->by_unique, row->unique_key, strlen(row->unique_key), row);
	note_change(undo, table, row, -1);
}

void sql_set(struct sql_table *table, struct sql_row *row, int column, const struct sql_value *value, struct sql_undo *undo)
{
	struct sql_value copy = sql_copy(value);

	note_change(undo, table, row, column);
	sql_free(&row->cells[column]);
	row->cells[column] = copy;
}

struct sql_undo *sql_begin(void)
{
	return must(calloc(1, sizeof(struct sql_undo)));
}

static void end(struct sql_undo *undo, bool keep)
{
	while (undo->changes != NULL) {
		struct change *change = undo->changes;

		undo->changes = change->next;
		if (!keep && change->column < 0)
			free_row(change->table, change->row);
		else if (!keep)
			sql_set(change->table, change->row, change->column, &change->before, NULL);
		sql_free(&change->before);
		free(change);
	}
	free(undo);
}

void sql_keep(struct sql_undo *undo)
{
	end(undo, true);
}

void sql_take_back(struct sql_undo *undo)
{
	end(undo, false);
}
