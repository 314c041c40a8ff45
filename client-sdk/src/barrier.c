/* See escrow/mysql.h. The tables are the same as client-sdk/sql/barrier.sql's. */
#include <stdio.h>

#include "client-sdk/src/barrier.h"
#include "client-sdk/src/fail.h"
#include "escrow/mysql.h"

static const char *const table_statements[] = {
	"CREATE TABLE IF NOT EXISTS escrow_barrier ("
	" transaction_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
	" state TINYINT UNSIGNED NOT NULL,"
	" created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),"
	" PRIMARY KEY (transaction_id), KEY escrow_barrier_created (created_at)) ENGINE = InnoDB",
	"CREATE TABLE IF NOT EXISTS escrow_consumed ("
	" consumer_group VARCHAR(255) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
	" message_id VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL,"
	" created_at TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),"
	" PRIMARY KEY (consumer_group, message_id), KEY escrow_consumed_created (created_at)) ENGINE = InnoDB",
};

static enum escrow_code database_failed(const struct db_conn *conn, const char *what, const struct errinfo *why,
					struct escrow_error *err)
{
	enum escrow_code code = sdk_fail(err, ESCROW_DATABASE, "%s: %s", what, why->text);

	if (err != NULL && conn != NULL)
		err->outcome_unknown = db_conn_error_class(conn) == DB_ERROR_LOST;
	return code;
}

static enum escrow_code wrap(struct st_mysql *mysql, struct db_conn **out, struct escrow_error *err)
{
	struct errinfo why;

	if (mysql == NULL)
		return sdk_fail(err, ESCROW_INVALID, "no MySQL connection");
	if (db_conn_wrap(mysql, out, &why) != ST_OK)
		return sdk_fail(err, ESCROW_NO_MEMORY, "%s", why.text);
	return ESCROW_OK;
}

bool barrier_id_is_good(const char *id, size_t size_max)
{
	size_t size = id == NULL ? 0 : strlen(id);

	if (size == 0 || size > size_max)
		return false;
	for (size_t i = 0; i < size; i++) {
		if (id[i] < 0x21 || id[i] > 0x7e)
			return false;
	}
	return true;
}

enum escrow_code escrow_mysql_create_tables(struct st_mysql *mysql, struct escrow_error *err)
{
	struct db_conn *conn = NULL;
	struct errinfo why;
	enum escrow_code code = wrap(mysql, &conn, err);

	for (size_t i = 0; code == ESCROW_OK && i < sizeof(table_statements) / sizeof(table_statements[0]); i++) {
		if (db_conn_exec_text(conn, table_statements[i], &why) != ST_OK)
			code = database_failed(conn, "create the tables escrow_barrier and escrow_consumed", &why, err);
	}
	db_conn_close(conn);
	return code;
}

enum status barrier_insert_mark(struct db_conn *conn, const char *transaction_id, int state, struct errinfo *err)
{
	struct buffer statement;

	buffer_init(&statement, BARRIER_STATEMENT_MAX);
	buffer_append_text(&statement, "INSERT INTO escrow_barrier (transaction_id, state) VALUES (");
	db_conn_append_quoted(conn, &statement, span_of(transaction_id));
	buffer_printf(&statement, ", %d)", state);
	enum status status = statement.failed ? errinfo_set(err, ST_NOMEM, "no memory for a statement")
					      : db_conn_exec(conn, buffer_span(&statement), NULL, err);
	buffer_deinit(&statement);
	return status;
}

enum escrow_code escrow_barrier_insert(struct st_mysql *mysql, const char *transaction_id, struct escrow_error *err)
{
	struct db_conn *conn = NULL;
	struct errinfo why;

	if (!barrier_id_is_good(transaction_id, BARRIER_ID_MAX))
		return sdk_fail(err, ESCROW_INVALID, "no transaction id of 1 to 64 printable characters");
	enum escrow_code code = wrap(mysql, &conn, err);
	if (code != ESCROW_OK)
		return code;
	enum status status = barrier_insert_mark(conn, transaction_id, BARRIER_COMMITTED, &why);
	if (status == ST_EXISTS)
		code = sdk_fail(err, ESCROW_CONFLICT, "transaction %s: a check-back was answered \"rollback\" meanwhile",
				transaction_id);
	else if (status != ST_OK)
		code = database_failed(conn, "insert into escrow_barrier", &why, err);
	db_conn_close(conn);
	return code;
}

enum escrow_code escrow_once(struct st_mysql *mysql, const char *group, const char *message_id, bool *first_out,
			     struct escrow_error *err)
{
	struct db_conn *conn = NULL;
	struct buffer statement;
	struct errinfo why;

	if (!barrier_id_is_good(group, 255) || !barrier_id_is_good(message_id, BARRIER_ID_MAX) || first_out == NULL)
		return sdk_fail(err, ESCROW_INVALID, "escrow_once needs a group and a message id");
	enum escrow_code code = wrap(mysql, &conn, err);
	if (code != ESCROW_OK)
		return code;
	buffer_init(&statement, BARRIER_STATEMENT_MAX);
	buffer_append_text(&statement, "INSERT INTO escrow_consumed (consumer_group, message_id) VALUES (");
	db_conn_append_quoted(conn, &statement, span_of(group));
	buffer_append_text(&statement, ", ");
	db_conn_append_quoted(conn, &statement, span_of(message_id));
	buffer_append_text(&statement, ")");
	enum status status = statement.failed ? errinfo_set(&why, ST_NOMEM, "no memory for a statement")
					      : db_conn_exec(conn, buffer_span(&statement), NULL, &why);
	*first_out = status == ST_OK;
	if (status != ST_OK && status != ST_EXISTS)
		code = database_failed(conn, "insert into escrow_consumed", &why, err);
	buffer_deinit(&statement);
	db_conn_close(conn);
	return code;
}

static enum status purge_table(struct db_conn *conn, const char *table, uint64_t age_s, unsigned limit,
			       uint64_t *deleted, struct errinfo *err)
{
	char statement[256];

	snprintf(statement, sizeof(statement), "DELETE FROM %s WHERE created_at < CURRENT_TIMESTAMP(3) - INTERVAL %llu SECOND"
		 " ORDER BY created_at LIMIT %u", table, (unsigned long long)age_s, limit);
	return db_conn_exec(conn, span_of(statement), deleted, err);
}

enum escrow_code escrow_mysql_purge(struct st_mysql *mysql, uint64_t age_s, unsigned limit, uint64_t *deleted_out,
				    struct escrow_error *err)
{
	uint64_t barriers = 0, consumed = 0;
	struct db_conn *conn = NULL;
	struct errinfo why;
	enum escrow_code code = wrap(mysql, &conn, err);

	if (code != ESCROW_OK)
		return code;
	if (purge_table(conn, "escrow_barrier", age_s, limit, &barriers, &why) != ST_OK ||
	    purge_table(conn, "escrow_consumed", age_s, limit, &consumed, &why) != ST_OK)
		code = database_failed(conn, "purge", &why, err);
	if (deleted_out != NULL)
		*deleted_out = barriers + consumed;
	db_conn_close(conn);
	return code;
}
