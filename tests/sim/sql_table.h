/* The tables of a very small SQL server: rows with keys, and transactions that can be undone. sql.h runs statements on them.
 *
 * As much of InnoDB as the op log relies on: primary and unique keys, auto-increment, a transaction's changes kept or undone
 * as a whole. (Two projectors never touch the same rows, so there are no locks.)
 * Threads: one. */
#ifndef ESCROW_SIM_SQL_TABLE_H
#define ESCROW_SIM_SQL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

enum { SQL_COLUMNS_MAX = 20 };

struct sql_value {
	bool null;
	bool is_text;
	uint64_t number;
	uint8_t *text; /* Owned. */
	size_t size;
};

struct sql_row;
struct sql_table;
struct sql_base; /* The database. */

/* The op log's tables, empty; keys and columns as in sql/migrations. */
struct sql_base *sql_base_create(void);
void sql_base_destroy(struct sql_base *base);
/* An independent copy of what is committed. */
struct sql_base *sql_base_copy(const struct sql_base *base);

struct sql_table *sql_table_find(struct sql_base *base, struct span name);
size_t sql_table_rows(const struct sql_table *table);
/* Index of a column, -1 if there is none. */
int sql_column(const struct sql_table *table, struct span name);
int sql_column_count(const struct sql_table *table);
/* Rows in the order in which they were inserted; NULL behind the last. */
struct sql_row *sql_first_row(const struct sql_table *table);
struct sql_row *sql_next_row(const struct sql_row *row);
const struct sql_value *sql_cell(const struct sql_row *row, int column);

/* Changes of a transaction. */
struct sql_undo;
/* Begins one; end it with one of the two below. */
struct sql_undo *sql_begin(void);
void sql_keep(struct sql_undo *undo);
void sql_take_back(struct sql_undo *undo);

/* The row with the same primary or unique key; NULL: none. */
struct sql_row *sql_find_duplicate(struct sql_table *table, const struct sql_value *values);
/* Takes a copy; an auto-increment column that is NULL gets its number. There must be no duplicate. `undo` may be NULL. */
void sql_insert(struct sql_table *table, const struct sql_value *values, struct sql_undo *undo);
/* Sets one cell, which must not be part of a key. */
void sql_set(struct sql_table *table, struct sql_row *row, int column, const struct sql_value *value, struct sql_undo *undo);

struct sql_value sql_null(void);
struct sql_value sql_number(uint64_t number);
struct sql_value sql_text(struct span text);
struct sql_value sql_copy(const struct sql_value *value);
void sql_free(struct sql_value *value);
/* -1, 0, 1; NULL is below all. Text that is a number compares as such with numbers. */
int sql_compare(const struct sql_value *a, const struct sql_value *b);

#endif
