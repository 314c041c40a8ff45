/* The schema of the op log: which tables must be there, and how do they come to be?
 *
 * The SQL lives in sql/migrations/NNN_name.sql and is embedded in the programs at build time (oplog_migrations.c), so
 * there is one source. Migrations go forward only. Each statement done is noted in `schema_migration`, so that one
 * that was interrupted continues where it was; MySQL commits each DDL statement by itself.
 *
 * Threads: as the connection's. */
#ifndef ESCROW_OPLOG_SCHEMA_H
#define ESCROW_OPLOG_SCHEMA_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/mysql/db_conn.h"

struct oplog_migration {
	const char *name; /* "001_tables.sql"; number i + 1 in front. */
	const char *text;
};

/* In order; static. */
const struct oplog_migration *oplog_migrations(size_t *count_out);

/* Takes the next statement off the front of *text, as the mysql client would: it ends at a line that ends with the
 * delimiter ("DELIMITER //" changes it; *delimiter holds it and begins as ";"). Comments stay in. False at the end.
 * Pure. */
enum { OPLOG_DELIMITER_SIZE = 8 };
bool oplog_next_statement(struct span *text, char delimiter[OPLOG_DELIMITER_SIZE], struct span *statement_out);

/* Creates the database if needed and selects it. `database` must have passed oplog_database_name_valid. */
enum status oplog_schema_use(struct db_conn *conn, const char *database, struct errinfo *err) MUST_USE;
/* Letters, digits and underscores, 1 to 64 of them: safe in a statement without quoting. */
bool oplog_database_name_valid(const char *database);

/* Brings the selected database to this program's version; *applied_out gets the number of migrations applied now.
 * Another migration at the same time: waits up to 30 s (ST_LOCKED). ST_VERSION when the schema is newer than this
 * program; else errors as db_conn_exec, with the file's name. */
enum status oplog_schema_migrate(struct db_conn *conn, unsigned *applied_out, struct errinfo *err) MUST_USE;

/* ST_VERSION with what to do unless the schema is exactly this program's. */
enum status oplog_schema_check(struct db_conn *conn, struct errinfo *err) MUST_USE;

#endif
