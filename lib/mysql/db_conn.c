/* See db_conn.h. */
#include "lib/mysql/db_conn.h"

#include <assert.h>
#include <mysql.h>
#include <stdlib.h>
#include <string.h>

enum {
	DB_PACKET_MIN = 1024 * 1024,
	DB_PACKET_OVERHEAD = 16, /* The server counts the command's byte with the statement, and refuses the limit itself. */
};

struct db_conn {
	MYSQL *handle;
	bool owned;
	unsigned error_number;
	enum db_error_class error_class;
	size_t packet_max; /* 0 = not asked yet. */
};

enum status db_thread_begin(struct errinfo *err)
{
	if (mysql_library_init(0, NULL, NULL) != 0 || mysql_thread_init() != 0)
		return errinfo_set(err, ST_NOMEM, "MySQL client library cannot be initialised");
	return ST_OK;
}

void db_thread_end(void)
{
	mysql_thread_end();
}

/* Takes over the error of the last call and describes it. */
static enum status fail(struct db_conn *conn, struct errinfo *err)
{
	conn->error_number = mysql_errno(conn->handle);
	conn->error_class = db_error_class_of(conn->error_number);
	return errinfo_set(err, db_error_class_status(conn->error_class), "MySQL: %s (%u, %s)",
			   mysql_error(conn->handle), conn->error_number,
			   db_error_class_text(conn->error_class));
}

static enum status succeed(struct db_conn *conn)
{
	conn->error_number = 0;
	conn->error_class = DB_ERROR_NONE;
	return ST_OK;
}

/* --- opening and closing -------------------------------------------------------------------------------------- */

static void set_options(MYSQL *handle, const struct db_target *target)
{
	unsigned seconds = target->timeout_ms / 1000 + (target->timeout_ms % 1000 != 0);
	unsigned no_local_files = 0;
	my_bool no_reconnect = 0;

	/* The only failure of mysql_options is an option that this library does not know; these are basic. */
	mysql_options(handle, MYSQL_OPT_CONNECT_TIMEOUT, &seconds);
	mysql_options(handle, MYSQL_OPT_READ_TIMEOUT, &seconds);
	mysql_options(handle, MYSQL_OPT_WRITE_TIMEOUT, &seconds);
	/* A server that asks for a file of ours gets none. */
	mysql_options(handle, MYSQL_OPT_LOCAL_INFILE, &no_local_files);
	/* A silent reconnect would lose the transaction without telling. */
	mysql_options(handle, MYSQL_OPT_RECONNECT, &no_reconnect);
	mysql_options(handle, MYSQL_SET_CHARSET_NAME, "utf8mb4");
}

/* All that we rely on is said here, for the server may have had its own way with the session meanwhile: its global settings, and
 * init_connect, which it runs after the handshake and so after the character set that we asked for there. */
static enum status settle_session(struct db_conn *conn, struct errinfo *err)
{
	/* The library's own notion of the character set, which escaping goes by, is set with the server's. */
	if (mysql_set_character_set(conn->handle, "utf8mb4") != 0)
		return fail(conn, err);
	enum status st = db_conn_exec_text(conn,
					   "SET SESSION sql_mode='STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION',"
					   " time_zone='+00:00', autocommit=1, collation_connection=utf8mb4_bin,"
					   " completion_type=0, sql_safe_updates=0, sql_select_limit=18446744073709551615,"
					   " unique_checks=1",
					   err);
	if (st != ST_OK)
		return st;
	/* The variable has another name on each kind of server. */
	return db_conn_exec_text(conn, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE", err);
}

static enum status connect_handle(struct db_conn *conn, const struct db_target *target, struct errinfo *err)
{
	bool local = target->socket != NULL && target->socket[0] != '\0';
	const char *password = target->password != NULL && target->password[0] != '\0' ? target->password : NULL;
	const char *database = target->database != NULL && target->database[0] != '\0' ? target->database : NULL;

	set_options(conn->handle, target);
	if (mysql_real_connect(conn->handle, local ? NULL : target->host, target->user, password, database,
			       target->port, local ? target->socket : NULL,
			       CLIENT_FOUND_ROWS | CLIENT_MULTI_RESULTS) == NULL)
		return fail(conn, err);
	return settle_session(conn, err);
}

enum status db_conn_open(const struct db_target *target, struct db_conn **out, enum db_error_class *class_out,
			 struct errinfo *err)
{
	struct db_conn *conn = calloc(1, sizeof(*conn));

	if (class_out != NULL)
		*class_out = DB_ERROR_RETRY;
	if (conn == NULL)
		return errinfo_set(err, ST_NOMEM, "connect to MySQL: out of memory");
	conn->owned = true;
	conn->handle = mysql_init(NULL);
	if (conn->handle == NULL) {
		free(conn);
		return errinfo_set(err, ST_NOMEM, "connect to MySQL: out of memory");
	}
	enum status st = connect_handle(conn, target, err);
	if (class_out != NULL)
		*class_out = conn->error_class;
	if (st != ST_OK) {
		db_conn_close(conn);
		return st;
	}
	*out = conn;
	return ST_OK;
}

enum status db_conn_wrap(void *foreign, struct db_conn **out, struct errinfo *err)
{
	struct db_conn *conn = calloc(1, sizeof(*conn));

	assert(foreign != NULL);
	if (conn == NULL)
		return errinfo_set(err, ST_NOMEM, "wrap a MySQL connection: out of memory");
	conn->handle = foreign;
	*out = conn;
	return ST_OK;
}

void db_conn_close(struct db_conn *conn)
{
	if (conn == NULL)
		return;
	if (conn->owned)
		mysql_close(conn->handle);
	free(conn);
}

/* --- statements ----------------------------------------------------------------------------------------------- */

/* Frees what else a CALL has sent, so that the connection is free for the next statement. */
static enum status drain(struct db_conn *conn, struct errinfo *err)
{
	int more;

	while ((more = mysql_next_result(conn->handle)) == 0) {
		MYSQL_RES *result = mysql_store_result(conn->handle);
		if (result == NULL && mysql_field_count(conn->handle) != 0)
			return fail(conn, err);
		mysql_free_result(result);
	}
	return more > 0 ? fail(conn, err) : ST_OK;
}

enum status db_conn_exec(struct db_conn *conn, struct span statement, uint64_t *affected_out, struct errinfo *err)
{
	if (mysql_real_query(conn->handle, (const char *)statement.data, statement.size) != 0)
		return fail(conn, err);
	uint64_t affected = mysql_affected_rows(conn->handle);
	MYSQL_RES *result = mysql_store_result(conn->handle);
	if (result == NULL && mysql_field_count(conn->handle) != 0)
		return fail(conn, err);
	mysql_free_result(result);
	enum status st = drain(conn, err);
	if (st != ST_OK)
		return st;
	if (affected_out != NULL)
		*affected_out = affected;
	return succeed(conn);
}

enum status db_conn_exec_text(struct db_conn *conn, const char *statement, struct errinfo *err)
{
	return db_conn_exec(conn, span_of(statement), NULL, err);
}

enum { DB_CELLS_MAX = 64 };

static enum status give_rows(MYSQL_RES *result, db_row_callback callback, void *context, struct errinfo *err)
{
	struct span cells[DB_CELLS_MAX];
	unsigned count = mysql_num_fields(result);
	enum status st = ST_OK;
	MYSQL_ROW row;

	if (count > DB_CELLS_MAX)
		return errinfo_set(err, ST_TOOBIG, "MySQL: result of more than %d columns", DB_CELLS_MAX);
	while (st == ST_OK && (row = mysql_fetch_row(result)) != NULL) {
		unsigned long *sizes = mysql_fetch_lengths(result);
		for (unsigned i = 0; i < count; i++)
			cells[i] = (struct span){ (const uint8_t *)row[i], row[i] == NULL ? 0 : sizes[i] };
		st = callback(context, cells, count, err);
	}
	return st;
}

enum status db_conn_query(struct db_conn *conn, struct span query, db_row_callback callback, void *context,
			  struct errinfo *err)
{
	struct errinfo drain_err;

	if (mysql_real_query(conn->handle, (const char *)query.data, query.size) != 0)
		return fail(conn, err);
	MYSQL_RES *result = mysql_store_result(conn->handle);
	if (result == NULL && mysql_field_count(conn->handle) != 0)
		return fail(conn, err);
	enum status st = result == NULL ? ST_OK : give_rows(result, callback, context, err);
	mysql_free_result(result);
	enum status drained = drain(conn, &drain_err);
	if (st != ST_OK)
		return st;
	return drained == ST_OK ? succeed(conn) : errinfo_set(err, drained, "%s", drain_err.text);
}

struct u64_row {
	uint64_t *cells_out;
	unsigned cell_max;
	bool found;
};

static enum status take_u64_row(void *context, const struct span *cells, unsigned cell_count, struct errinfo *err)
{
	struct u64_row *row = context;

	if (row->found)
		return ST_OK;
	row->found = true;
	for (unsigned i = 0; i < row->cell_max; i++) {
		uint64_t value = 0;
		for (size_t c = 0; i < cell_count && c < cells[i].size; c++) {
			unsigned digit = (unsigned)cells[i].data[c] - '0';
			if (digit > 9 || value > (UINT64_MAX - digit) / 10)
				return errinfo_set(err, ST_INVALID, "MySQL: column %u is not an unsigned number", i + 1);
			value = value * 10 + digit;
		}
		row->cells_out[i] = value;
	}
	return ST_OK;
}

enum status db_conn_query_u64(struct db_conn *conn, struct span query, uint64_t *cells_out, unsigned cell_max,
			      struct errinfo *err)
{
	struct u64_row row = { cells_out, cell_max, false };
	enum status st = db_conn_query(conn, query, take_u64_row, &row, err);

	if (st == ST_OK && !row.found)
		return errinfo_set(err, ST_NOTFOUND, "MySQL: no such row");
	return st;
}

enum status db_conn_begin(struct db_conn *conn, struct errinfo *err)
{
	return db_conn_exec(conn, SPAN_LITERAL("START TRANSACTION"), NULL, err);
}

enum status db_conn_commit(struct db_conn *conn, struct errinfo *err)
{
	return db_conn_exec(conn, SPAN_LITERAL("COMMIT"), NULL, err);
}

void db_conn_rollback(struct db_conn *conn)
{
	/* The class of the error that made the caller give up stays readable. */
	unsigned number = conn->error_number;
	enum db_error_class class = conn->error_class;
	enum status st = db_conn_exec(conn, SPAN_LITERAL("ROLLBACK"), NULL, NULL);

	if (st != ST_OK && number == 0)
		return;
	conn->error_number = number;
	conn->error_class = class;
}

enum db_error_class db_conn_error_class(const struct db_conn *conn)
{
	return conn->error_class;
}

unsigned db_conn_error_number(const struct db_conn *conn)
{
	return conn->error_number;
}

size_t db_conn_packet_max(struct db_conn *conn)
{
	uint64_t packet_max;

	if (conn->packet_max != 0)
		return conn->packet_max;
	if (db_conn_query_u64(conn, SPAN_LITERAL("SELECT @@max_allowed_packet"), &packet_max, 1, NULL) != ST_OK)
		return DB_PACKET_MIN;
	conn->packet_max = packet_max - DB_PACKET_OVERHEAD;
	return conn->packet_max;
}

void db_conn_append_quoted(struct db_conn *conn, struct buffer *out, struct span text)
{
	char *room = (char *)buffer_reserve(out, 2 * text.size + 3);

	if (room == NULL)
		return;
	room[0] = '\'';
	unsigned long size = mysql_real_escape_string(conn->handle, room + 1, (const char *)text.data, text.size);
	room[1 + size] = '\'';
	buffer_commit(out, size + 2);
}
