/* lib/mysql/db_conn.h over tables in memory, and the troubles of the server (mysql_node.h). */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/projections/oplog_schema.h"
#include "lib/mysql/db_conn.h"
#include "tests/sim/engine.h"
#include "tests/sim/mysql_node.h"
#include "tests/sim/report.h"
#include "tests/sim/sql.h"

enum { NUMBER_LOST = 2013, NUMBER_REFUSED = 2002, NUMBER_SYNTAX = 1064, NUMBER_DUPLICATE = 1062, PACKET_SMALL = 6000 };

struct db_conn {
	struct db_conn *next;
	uint32_t age;             /* Of the server when it was made. */
	struct sql_undo *transaction;
	bool wrote;               /* In this transaction, more than the cursor. */
	unsigned error_number;
};

static struct {
	struct sql_base *base, *backup;
	struct db_conn *conns;
	struct chance chance;
	uint32_t age;             /* Raised by each restart: older connections are lost. */
	int64_t down_until_us, trouble_until_us;
	uint32_t lose_in;
	bool kill_in_commit, kill_keeps;
	int64_t kill_down_us;
} server;

/* --- the server ------------------------------------------------------------------------------------------------------- */

void mysql_begin(uint64_t seed)
{
	memset(&server, 0, sizeof(server));
	server.base = sql_base_create();
	server.chance = chance_of(seed, CHANCE_MYSQL, 0, 0);
}

void mysql_end(void)
{
	sql_base_destroy(server.base);
	sql_base_destroy(server.backup);
	memset(&server, 0, sizeof(server));
}

struct sql_base *mysql_base(void)
{
	return server.base;
}

static void lose_transaction(struct db_conn *conn)
{
	if (conn->transaction != NULL)
		sql_take_back(conn->transaction);
	conn->transaction = NULL;
}

void mysql_down(int64_t until_us)
{
	for (struct db_conn *conn = server.conns; conn != NULL; conn = conn->next)
		lose_transaction(conn);
	server.age++;
	if (until_us > server.down_until_us)
		server.down_until_us = until_us;
}

void mysql_kill_in_commit(bool kept, int64_t down_us)
{
	server.kill_in_commit = true;
	server.kill_keeps = kept;
	server.kill_down_us = down_us;
}

void mysql_lose_statement(uint32_t n)
{
	server.lose_in = n;
}

void mysql_trouble(int64_t until_us)
{
	server.trouble_until_us = until_us;
}

void mysql_backup(void)
{
	sql_base_destroy(server.backup);
	/* A backup is taken of what is committed. */
	for (struct db_conn *conn = server.conns; conn != NULL; conn = conn->next)
		assert(conn->transaction == NULL);
	server.backup = sql_base_copy(server.base);
}

bool mysql_restore(void)
{
	if (server.backup == NULL)
		return false;
	mysql_down(engine_now_us());
	sql_base_destroy(server.base);
	server.base = server.backup;
	server.backup = NULL;
	return true;
}

void mysql_heal(void)
{
	server.down_until_us = server.trouble_until_us = 0;
	server.lose_in = 0;
	server.kill_in_commit = false;
}

/* --- connections ------------------------------------------------------------------------------------------------------ */

enum status db_thread_begin(struct errinfo *err)
{
	(void)err;
	return ST_OK;
}

void db_thread_end(void)
{
}

static enum status fail(struct db_conn *conn, unsigned number, const char *text, struct errinfo *err)
{
	conn->error_number = number;
	return errinfo_set(err, db_error_class_status(db_error_class_of(number)), "MySQL: %s (%u)", text, number);
}

enum status db_conn_open(const struct db_target *target, struct db_conn **out, enum db_error_class *class_out,
			 struct errinfo *err)
{
	struct db_conn *conn = calloc(1, sizeof(*conn));

	(void)target;
	if (conn == NULL)
		abort();
	if (engine_now_us() < server.down_until_us) {
		enum status status = fail(conn, NUMBER_REFUSED, "cannot connect", err);

		if (class_out != NULL)
			*class_out = DB_ERROR_LOST;
		free(conn);
		return status;
	}
	conn->age = server.age;
	conn->next = server.conns;
	server.conns = conn;
	*out = conn;
	return ST_OK;
}

void db_conn_close(struct db_conn *conn)
{
	if (conn == NULL)
		return;
	lose_transaction(conn);
	for (struct db_conn **at = &server.conns; *at != NULL; at = &(*at)->next) {
		if (*at == conn) {
			*at = conn->next;
			break;
		}
	}
	free(conn);
}

enum db_error_class db_conn_error_class(const struct db_conn *conn)
{
	return conn->error_number == 0 ? DB_ERROR_NONE : db_error_class_of(conn->error_number);
}

unsigned db_conn_error_number(const struct db_conn *conn)
{
	return conn->error_number;
}

size_t db_conn_packet_max(struct db_conn *conn)
{
	(void)conn;
	return PACKET_SMALL; /* So that batches need several statements. */
}

void db_conn_append_quoted(struct db_conn *conn, struct buffer *out, struct span text)
{
	(void)conn;
	buffer_append(out, "'", 1);
	for (size_t i = 0; i < text.size; i++) {
		if (text.data[i] == '\'' || text.data[i] == '\\')
			buffer_append(out, "\\", 1);
		buffer_append(out, &text.data[i], 1);
	}
	buffer_append(out, "'", 1);
}

/* --- statements ------------------------------------------------------------------------------------------------------- */

static enum status lose(struct db_conn *conn, struct errinfo *err)
{
	lose_transaction(conn);
	conn->age = server.age - 1;
	return fail(conn, NUMBER_LOST, "lost connection during query", err);
}

/* Errors that pass, of all classes. */
static enum status trouble(struct db_conn *conn, struct errinfo *err)
{
	static const unsigned numbers[] = { 1213, 1205, 1290, 1114, 1040, 1053 };
	unsigned number = numbers[chance_below(&server.chance, sizeof(numbers) / sizeof(numbers[0]))];

	/* A deadlock takes the transaction with it; after the others it is the client's to roll back. */
	if (number == 1213)
		lose_transaction(conn);
	return fail(conn, number, "trouble", err);
}

static bool begins(struct span statement, const char *word)
{
	return span_starts_with(statement, word);
}

static enum status commit(struct db_conn *conn, struct errinfo *err)
{
	bool dies = server.kill_in_commit && conn->transaction != NULL && conn->wrote;

	if (dies) {
		bool kept = server.kill_keeps;

		note("mysql: killed in COMMIT, which is %s", kept ? "kept" : "lost");
		fault_seen(kept ? FAULT_COMMIT_KEPT : FAULT_COMMIT_LOST);
		server.kill_in_commit = false;
		if (kept) {
			sql_keep(conn->transaction);
			conn->transaction = NULL;
		}
		mysql_down(engine_now_us() + server.kill_down_us);
		return lose(conn, err);
	}
	if (conn->transaction != NULL)
		sql_keep(conn->transaction);
	conn->transaction = NULL;
	return ST_OK;
}

/* What has nothing to do with rows. ST_NOTFOUND: it has. */
static enum status run_command(struct db_conn *conn, struct span statement, struct errinfo *err)
{
	if (begins(statement, "START TRANSACTION")) {
		assert(conn->transaction == NULL);
		conn->transaction = sql_begin();
		conn->wrote = false;
		return ST_OK;
	}
	if (begins(statement, "COMMIT"))
		return commit(conn, err);
	if (begins(statement, "ROLLBACK")) {
		lose_transaction(conn);
		return ST_OK;
	}
	if (begins(statement, "SET ") || begins(statement, "USE ") || begins(statement, "CALL "))
		return ST_OK;
	return ST_NOTFOUND;
}

static enum status before_statement(struct db_conn *conn, struct errinfo *err)
{
	conn->error_number = 0;
	if (conn->age != server.age || engine_now_us() < server.down_until_us)
		return lose(conn, err);
	if (server.lose_in > 0 && --server.lose_in == 0) {
		note("mysql: a connection is lost in the middle of a statement");
		return lose(conn, err);
	}
	if (engine_now_us() < server.trouble_until_us && chance_one_in(&server.chance, 4))
		return trouble(conn, err);
	return ST_OK;
}

enum status db_conn_exec(struct db_conn *conn, struct span statement, uint64_t *affected_out, struct errinfo *err)
{
	uint64_t affected = 0;
	enum status status = before_statement(conn, err);

	if (status != ST_OK)
		return status;
	status = run_command(conn, statement, err);
	if (status != ST_NOTFOUND)
		return status;
	if (begins(statement, "INSERT INTO txn"))
		conn->wrote = true;
	struct errinfo why;
	status = sql_run(server.base, statement, NULL, NULL, &affected, conn->transaction, &why);
	if (status == ST_EXISTS)
		return fail(conn, NUMBER_DUPLICATE, why.text, err);
	if (status != ST_OK) {
		violation("SQL", "%s", why.text);
		return fail(conn, NUMBER_SYNTAX, why.text, err);
	}
	if (affected_out != NULL)
		*affected_out = affected;
	return ST_OK;
}

enum status db_conn_exec_text(struct db_conn *conn, const char *statement, struct errinfo *err)
{
	return db_conn_exec(conn, span_of(statement), NULL, err);
}

struct numbers {
	uint64_t *cells;
	unsigned max;
	bool found;
};

static enum status take_numbers(void *context, const struct sql_value *cells, unsigned count)
{
	struct numbers *numbers = context;

	for (unsigned i = 0; !numbers->found && i < numbers->max; i++)
		numbers->cells[i] = i < count && !cells[i].null ? cells[i].number : 0;
	numbers->found = true;
	return ST_OK;
}

enum status db_conn_query_u64(struct db_conn *conn, struct span query, uint64_t *cells_out, unsigned cell_max,
			      struct errinfo *err)
{
	struct numbers numbers = { cells_out, cell_max, false };
	uint64_t affected;
	enum status status = before_statement(conn, err);

	if (status != ST_OK)
		return status;
	/* The schema is always as new as the program. */
	if (begins(query, "SELECT version")) {
		size_t count;

		(void)oplog_migrations(&count);
		cells_out[0] = count;
		cells_out[1] = 0;
		cells_out[2] = 1;
		return ST_OK;
	}
	struct errinfo why;
	if (sql_run(server.base, query, take_numbers, &numbers, &affected, NULL, &why) != ST_OK) {
		violation("SQL", "%s", why.text);
		return fail(conn, NUMBER_SYNTAX, why.text, err);
	}
	return numbers.found ? ST_OK : errinfo_set(err, ST_NOTFOUND, "MySQL: no such row");
}

enum status db_conn_query(struct db_conn *conn, struct span query, db_row_callback callback, void *context,
			  struct errinfo *err)
{
	(void)query;
	(void)callback;
	(void)context;
	return fail(conn, NUMBER_SYNTAX, "nobody needs this", err);
}

enum status db_conn_begin(struct db_conn *conn, struct errinfo *err)
{
	return db_conn_exec_text(conn, "START TRANSACTION", err);
}

enum status db_conn_commit(struct db_conn *conn, struct errinfo *err)
{
	return db_conn_exec_text(conn, "COMMIT", err);
}

void db_conn_rollback(struct db_conn *conn)
{
	unsigned number = conn->error_number;

	lose_transaction(conn);
	conn->error_number = number;
}
