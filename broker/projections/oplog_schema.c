/* See oplog_schema.h. */
#include "broker/projections/oplog_schema.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/base/logging.h"

enum { OPLOG_NAME_MAX = 64, OPLOG_QUERY_SIZE = 512 };

bool oplog_database_name_valid(const char *database)
{
	size_t size = strlen(database);

	for (size_t i = 0; i < size; i++) {
		if (!isalnum((unsigned char)database[i]) && database[i] != '_')
			return false;
	}
	return size >= 1 && size <= OPLOG_NAME_MAX;
}

/* --- statements of a file ------------------------------------------------------------------------------------- */

static struct span trim_line(struct span line)
{
	while (line.size > 0 && isspace(line.data[line.size - 1]))
		line.size--;
	while (line.size > 0 && isspace(line.data[0])) {
		line.data++;
		line.size--;
	}
	return line;
}

static struct span take_line(struct span *text)
{
	const uint8_t *end = memchr(text->data, '\n', text->size);
	size_t size = end == NULL ? text->size : (size_t)(end - text->data) + 1;
	struct span line = { text->data, size };

	text->data += size;
	text->size -= size;
	return line;
}

static bool ends_with(struct span line, const char *ending)
{
	size_t size = strlen(ending);

	return line.size >= size && memcmp(line.data + line.size - size, ending, size) == 0;
}

bool oplog_next_statement(struct span *text, char delimiter[OPLOG_DELIMITER_SIZE], struct span *statement_out)
{
	static const char keyword[] = "DELIMITER ";
	const uint8_t *begin = NULL;

	while (text->size > 0) {
		struct span line = trim_line(take_line(text));
		if (begin == NULL && (line.size == 0 || span_starts_with(line, "--")))
			continue;
		if (begin == NULL && span_starts_with(line, keyword)) {
			snprintf(delimiter, OPLOG_DELIMITER_SIZE, "%.*s", (int)(line.size - strlen(keyword)),
				 (const char *)line.data + strlen(keyword));
			continue;
		}
		if (begin == NULL)
			begin = line.data;
		if (ends_with(line, delimiter)) {
			const uint8_t *end = line.data + line.size - strlen(delimiter);
			*statement_out = (struct span){ begin, (size_t)(end - begin) };
			return true;
		}
	}
	return false;
}

/* --- migrating ------------------------------------------------------------------------------------------------ */

enum status oplog_schema_use(struct db_conn *conn, const char *database, struct errinfo *err)
{
	char query[OPLOG_QUERY_SIZE];

	/* Asked first, because an account may use a database without the right to create it. */
	snprintf(query, sizeof(query), "USE %s", database);
	enum status st = db_conn_exec_text(conn, query, err);
	if (st == ST_OK || db_conn_error_class(conn) != DB_ERROR_SCHEMA)
		return st;
	snprintf(query, sizeof(query), "CREATE DATABASE IF NOT EXISTS %s CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
		 database);
	st = db_conn_exec_text(conn, query, err);
	if (st != ST_OK)
		return errinfo_wrap(err, st, "create database %s", database);
	snprintf(query, sizeof(query), "USE %s", database);
	return db_conn_exec_text(conn, query, err);
}

struct progress {
	unsigned version;         /* Highest number noted. */
	uint64_t statements_done; /* Of it. */
	bool finished;            /* It is complete. */
};

static enum status read_progress(struct db_conn *conn, struct progress *out, struct errinfo *err)
{
	uint64_t cells[3];
	enum status st = db_conn_query_u64(conn,
					   SPAN_LITERAL("SELECT version, statements_done, finished_at IS NOT NULL"
							" FROM schema_migration ORDER BY version DESC LIMIT 1"),
					   cells, 3, err);

	*out = (struct progress){ .finished = true };
	if (st == ST_NOTFOUND && db_conn_error_class(conn) == DB_ERROR_NONE)
		return ST_OK;
	if (st != ST_OK)
		return st;
	*out = (struct progress){ (unsigned)cells[0], cells[1], cells[2] != 0 };
	return ST_OK;
}

static enum status note_statement(struct db_conn *conn, unsigned version, const char *name, uint64_t done,
				  struct errinfo *err)
{
	char query[OPLOG_QUERY_SIZE];

	snprintf(query, sizeof(query),
		 "INSERT INTO schema_migration (version, name, statements_done, applied_by) VALUES (%u, '%s', %" PRIu64
		 ", CURRENT_USER()) ON DUPLICATE KEY UPDATE statements_done = VALUES(statements_done)",
		 version, name, done);
	return db_conn_exec_text(conn, query, err);
}

enum { PROCEDURE_EXISTS = 1304, COLUMN_EXISTS = 1060 };

/* The first statement that is not noted as done may be done all the same, when the note was lost. All kinds of statements
 * that the files have can be repeated, but two. */
static bool was_done(const struct db_conn *conn)
{
	unsigned number = db_conn_error_number(conn);

	return number == PROCEDURE_EXISTS || number == COLUMN_EXISTS;
}

/* `begun`: somebody was at it before, and noted `skip` statements. */
static enum status apply_migration(struct db_conn *conn, unsigned version, const struct oplog_migration *migration,
				   bool begun, uint64_t skip, struct errinfo *err)
{
	char delimiter[OPLOG_DELIMITER_SIZE] = ";", query[OPLOG_QUERY_SIZE];
	struct span text = span_of(migration->text), statement;
	enum status st = note_statement(conn, version, migration->name, skip, err);

	for (uint64_t number = 1; st == ST_OK && oplog_next_statement(&text, delimiter, &statement); number++) {
		if (number <= skip)
			continue;
		st = db_conn_exec(conn, statement, NULL, err);
		if (st != ST_OK && begun && number == skip + 1 && was_done(conn))
			st = ST_OK;
		if (st == ST_OK)
			st = note_statement(conn, version, migration->name, number, err);
		if (st != ST_OK)
			return errinfo_wrap(err, st, "migration %s, statement %" PRIu64, migration->name, number);
	}
	if (st != ST_OK)
		return errinfo_wrap(err, st, "migration %s", migration->name);
	snprintf(query, sizeof(query), "UPDATE schema_migration SET finished_at = UTC_TIMESTAMP(3) WHERE version = %u",
		 version);
	return db_conn_exec_text(conn, query, err);
}

static enum status too_new(unsigned version, size_t known, struct errinfo *err)
{
	return errinfo_set(err, ST_VERSION,
			   "the op log's schema has version %u, newer than this program's %zu: use a newer program", version,
			   known);
}

static enum status migrate_locked(struct db_conn *conn, unsigned *applied_out, struct errinfo *err)
{
	size_t count;
	const struct oplog_migration *migrations = oplog_migrations(&count);
	struct progress progress;
	enum status st = db_conn_exec_text(
		conn,
		"CREATE TABLE IF NOT EXISTS schema_migration ("
		" version INT UNSIGNED NOT NULL COMMENT 'Number of the migration file',"
		" name VARCHAR(255) NOT NULL COMMENT 'Name of the migration file',"
		" statements_done INT UNSIGNED NOT NULL COMMENT 'Statements of it that are done',"
		" started_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),"
		" finished_at DATETIME(3) NULL COMMENT 'When it was complete, UTC',"
		" applied_by VARCHAR(255) NOT NULL COMMENT 'Account',"
		" PRIMARY KEY (version)) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin"
		" COMMENT='Which migrations of the op log were applied, when, by whom'",
		err);

	if (st == ST_OK)
		st = read_progress(conn, &progress, err);
	if (st != ST_OK)
		return st;
	if (progress.version > count)
		return too_new(progress.version, count, err);
	/* An unfinished one goes on where it stopped. */
	unsigned next = progress.finished ? progress.version + 1 : progress.version;
	uint64_t skip = progress.finished ? 0 : progress.statements_done;
	for (; st == ST_OK && next <= count; next++, skip = 0) {
		bool begun = next == progress.version;
		st = apply_migration(conn, next, &migrations[next - 1], begun, skip, err);
		*applied_out += st == ST_OK;
	}
	return st;
}

enum status oplog_schema_migrate(struct db_conn *conn, unsigned *applied_out, struct errinfo *err)
{
	uint64_t locked = 0;
	enum status st = db_conn_query_u64(conn,
					   SPAN_LITERAL("SELECT GET_LOCK(CONCAT('escrow migrate ', LEFT(DATABASE(), 40)), 30)"),
					   &locked, 1, err);

	*applied_out = 0;
	if (st != ST_OK)
		return st;
	if (locked != 1)
		return errinfo_set(err, ST_LOCKED, "another migration of this database is running");
	st = migrate_locked(conn, applied_out, err);
	/* The lock ends with the connection too, so a failure here changes nothing. */
	enum status released = db_conn_exec_text(
		conn, "DO RELEASE_LOCK(CONCAT('escrow migrate ', LEFT(DATABASE(), 40)))", NULL);
	if (released != ST_OK)
		log_debug("oplog", "migration lock not released", "status=%s", status_text(released));
	return st;
}

enum status oplog_schema_check(struct db_conn *conn, struct errinfo *err)
{
	struct progress progress;
	size_t count;
	enum status st = read_progress(conn, &progress, err);

	(void)oplog_migrations(&count);
	if (st == ST_NOTFOUND)
		return errinfo_set(err, ST_VERSION,
				   "the op log's tables are not there: run `escrow-log migrate`, or set opLogMysqlMigrate=true");
	if (st != ST_OK)
		return st;
	if (progress.version > count)
		return too_new(progress.version, count, err);
	if (progress.version < count || !progress.finished)
		return errinfo_set(err, ST_VERSION,
				   "the op log's schema has version %u%s, this program needs %zu: run `escrow-log migrate`, or "
				   "set opLogMysqlMigrate=true",
				   progress.version, progress.finished ? "" : " (unfinished)", count);
	return ST_OK;
}
