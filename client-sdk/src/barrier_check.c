/* A check-back answered from the barrier table: which rows mean what, and what must never be guessed.
 *
 * Found: the row says it. Absent: a rollback mark takes the place, so that the local transaction, should it still come,
 * fails by the duplicate key. While the local transaction holds its row locked, the mark waits, for less than
 * timeout_ms. Whatever else happens is UNKNOWN, and the broker asks again. */
#include <stdio.h>
#include <stdlib.h>

#include "client-sdk/src/barrier.h"
#include "client-sdk/src/producer_internal.h"

enum { TIMEOUT_MS = 3000 };

struct check_target {
	struct db_target target; /* Texts owned. */
};

struct check_session {
	const struct check_target *target;
	struct db_conn *conn;
	bool thread_begun;
};

/* --- settings and sessions ------------------------------------------------------------------------------------ */

static bool copy_text(const char *text, const char **out)
{
	*out = strdup(text == NULL ? "" : text);
	return *out != NULL;
}

void check_target_destroy(struct check_target *target)
{
	if (target == NULL)
		return;
	free((char *)target->target.host);
	free((char *)target->target.socket);
	free((char *)target->target.user);
	free((char *)target->target.password);
	free((char *)target->target.database);
	free(target);
}

enum escrow_code check_target_create(const struct escrow_mysql_target *from, struct check_target **out,
				     struct escrow_error *err)
{
	if (from->database == NULL || from->user == NULL || (from->host == NULL && from->socket == NULL))
		return sdk_fail(err, ESCROW_INVALID, "barrier: user, database and one of host and socket are needed");
	struct check_target *target = calloc(1, sizeof(*target));
	if (target == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "barrier: out of memory");
	struct db_target *to = &target->target;
	to->port = from->port;
	to->timeout_ms = from->timeout_ms > 0 ? from->timeout_ms : TIMEOUT_MS;
	if (!copy_text(from->host, &to->host) || !copy_text(from->socket, &to->socket) ||
	    !copy_text(from->user, &to->user) || !copy_text(from->password, &to->password) ||
	    !copy_text(from->database, &to->database)) {
		check_target_destroy(target);
		return sdk_fail(err, ESCROW_NO_MEMORY, "barrier: out of memory");
	}
	*out = target;
	return ESCROW_OK;
}

struct check_session *check_session_create(const struct check_target *target)
{
	struct check_session *session = calloc(1, sizeof(*session));
	struct errinfo err;

	if (session == NULL)
		return NULL;
	session->target = target;
	session->thread_begun = db_thread_begin(&err) == ST_OK;
	if (!session->thread_begun)
		log_error("sdk", "check thread cannot use MySQL", "reason=\"%s\"", err.text);
	return session;
}

void check_session_destroy(struct check_session *session)
{
	if (session == NULL)
		return;
	db_conn_close(session->conn);
	if (session->thread_begun)
		db_thread_end();
	free(session);
}

static void drop_conn(struct check_session *session)
{
	db_conn_close(session->conn);
	session->conn = NULL;
}

static enum status open_conn(struct check_session *session, struct errinfo *err)
{
	unsigned timeout_ms = session->target->target.timeout_ms;
	/* Shorter than the connection's own time-out, so that a wait ends with a lock error, not with a lost connection. */
	unsigned lock_wait_s = timeout_ms / 1000 < 2 ? 1 : timeout_ms / 1000 - 1;
	char statement[80];

	if (!session->thread_begun)
		return errinfo_set(err, ST_NOMEM, "this thread cannot use MySQL");
	if (session->conn != NULL)
		return ST_OK;
	enum status status = db_conn_open(&session->target->target, &session->conn, NULL, err);
	if (status != ST_OK)
		return status;
	snprintf(statement, sizeof(statement), "SET SESSION innodb_lock_wait_timeout = %u", lock_wait_s);
	status = db_conn_exec_text(session->conn, statement, err);
	if (status != ST_OK)
		drop_conn(session);
	return status;
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static enum status look_up(struct db_conn *conn, const char *transaction_id, uint64_t *state, struct errinfo *err)
{
	struct buffer query;

	buffer_init(&query, BARRIER_STATEMENT_MAX);
	buffer_append_text(&query, "SELECT state FROM escrow_barrier WHERE transaction_id = ");
	db_conn_append_quoted(conn, &query, span_of(transaction_id));
	enum status status = query.failed ? errinfo_set(err, ST_NOMEM, "no memory for a query")
					  : db_conn_query_u64(conn, buffer_span(&query), state, 1, err);
	buffer_deinit(&query);
	return status;
}

/* ST_OK: *state is decided. */
static enum status find_or_mark(struct db_conn *conn, const char *transaction_id, uint64_t *state,
				struct errinfo *err)
{
	enum status status = look_up(conn, transaction_id, state, err);

	/* A missing row and a missing table are both "not found"; only the former leaves no error. */
	if (status != ST_NOTFOUND || db_conn_error_class(conn) != DB_ERROR_NONE)
		return status;
	status = barrier_insert_mark(conn, transaction_id, BARRIER_ROLLED_BACK, err);
	if (status == ST_OK)
		*state = BARRIER_ROLLED_BACK;
	if (status != ST_EXISTS)
		return status;
	/* Somebody was faster, and has committed: what he wrote is the answer. */
	return look_up(conn, transaction_id, state, err);
}

enum escrow_local_result check_session_ask(struct check_session *session, const char *transaction_id)
{
	uint64_t state = 0;
	struct errinfo err;
	enum status status = barrier_id_is_good(transaction_id, BARRIER_ID_MAX)
				     ? open_conn(session, &err)
				     : errinfo_set(&err, ST_INVALID, "the id is not one of ours");

	if (status == ST_OK) {
		status = find_or_mark(session->conn, transaction_id, &state, &err);
		if (status != ST_OK && db_conn_error_class(session->conn) == DB_ERROR_LOST)
			drop_conn(session);
	}
	if (status == ST_OK && state == BARRIER_COMMITTED)
		return ESCROW_LOCAL_COMMIT;
	if (status == ST_OK && state == BARRIER_ROLLED_BACK)
		return ESCROW_LOCAL_ROLLBACK;
	log_warn("sdk", "check-back answered unknown", "transaction=%.64s reason=\"%s\"", transaction_id,
		 status == ST_OK ? "unexpected state in escrow_barrier" : err.text);
	return ESCROW_LOCAL_UNKNOWN;
}
