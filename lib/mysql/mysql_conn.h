/* A connection to MySQL: how do we talk to it so that every failure is bounded, classified and told without secrets?
 *
 * lib/mysql is the only code that includes mysql.h. The op log uses a connection of its own (mysql_conn_open); the
 * SDK's barrier wraps the MYSQL handle of the business (mysql_conn_wrap), which stays the business's in every
 * respect: its transaction, its character set, its sql_mode, its closing.
 *
 * A failed call gives an enum status and an errinfo; what a caller must *do* is the class of the error
 * (mysql_conn_error_class), because a server's refusal, a lost connection and a lock conflict differ in what is known
 * about the statement:
 *
 *     class                 was the statement done?      what to do
 *     MYSQL_ERROR_NONE      yes
 *     MYSQL_ERROR_LOST      nobody knows                 reconnect and look
 *     MYSQL_ERROR_DEADLOCK  no, transaction rolled back  repeat the transaction
 *     MYSQL_ERROR_LOCK_WAIT no, transaction still open   roll back, repeat later
 *     MYSQL_ERROR_DUPLICATE no                           the row exists already
 *     MYSQL_ERROR_READ_ONLY no                           repeat later (failover, or an operator)
 *     MYSQL_ERROR_FULL      no                           repeat later (disk or table space full)
 *     MYSQL_ERROR_RETRY     no                           repeat later (too many connections, shutting down ...)
 *     MYSQL_ERROR_SCHEMA    no                           a table, column or procedure is missing: migrate
 *     MYSQL_ERROR_DENIED    no                           account or rights: an operator must act
 *     MYSQL_ERROR_OTHER     no                           our statement or its data is wrong
 *
 * Threads: a connection belongs to one thread at a time. A thread other than the main one must call
 * mysql_thread_begin() first and mysql_thread_end() last. */
#ifndef ESCROW_MYSQL_CONN_H
#define ESCROW_MYSQL_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum mysql_error_class {
	MYSQL_ERROR_NONE,
	MYSQL_ERROR_LOST,
	MYSQL_ERROR_DEADLOCK,
	MYSQL_ERROR_LOCK_WAIT,
	MYSQL_ERROR_DUPLICATE,
	MYSQL_ERROR_READ_ONLY,
	MYSQL_ERROR_FULL,
	MYSQL_ERROR_RETRY,
	MYSQL_ERROR_SCHEMA,
	MYSQL_ERROR_DENIED,
	MYSQL_ERROR_OTHER,
};

struct mysql_target {
	const char *host;     /* Not used when `socket` is set. */
	unsigned port;
	const char *socket;   /* NULL or "" = TCP. */
	const char *user;
	const char *password; /* NULL or "" = none. Never shown. */
	const char *database; /* NULL or "" = none selected. */
	unsigned timeout_ms;  /* For connecting and for each read and write; rounded up to whole seconds. */
};

struct mysql_conn;

/* For threads other than the main one: the client library keeps state per thread. mysql_thread_begin also makes the
 * library ready; calling it on the main thread is allowed. ST_NOMEM. */
enum status mysql_thread_begin(struct errinfo *err) MUST_USE;
void mysql_thread_end(void);

/* Connects, with a session of known properties: utf8mb4, UTC, strict sql_mode, autocommit, affected rows counted as
 * found rows (an UPDATE that matches and changes nothing counts). Blocks up to a few times timeout_ms.
 * ST_IO (unreachable, lost), ST_DENIED (account), ST_NOTFOUND (database), ST_NOMEM. *class_out (may be NULL) gets the
 * class of a failure. */
enum status mysql_conn_open(const struct mysql_target *target, struct mysql_conn **out,
			    enum mysql_error_class *class_out, struct errinfo *err) MUST_USE;

/* Borrows `foreign`, a connected MYSQL * that the caller made; nothing of its session is changed. mysql_conn_close
 * then frees only the wrapper. ST_NOMEM. */
enum status mysql_conn_wrap(void *foreign, struct mysql_conn **out, struct errinfo *err) MUST_USE;

/* Closes (owned) or lets go (borrowed), frees. Sends nothing but the goodbye. NULL is allowed. */
void mysql_conn_close(struct mysql_conn *conn);

/* Runs one statement that gives no rows. *affected_out (may be NULL) gets the number of affected rows.
 * ST_EXISTS (duplicate key), ST_TIMEOUT (lock wait), ST_BUSY (deadlock, server says later), ST_FULL, ST_DENIED,
 * ST_NOTFOUND (no such table ...), ST_IO (lost), ST_INVALID (anything else). The text holds MySQL's own, and never
 * the statement. */
enum status mysql_conn_exec(struct mysql_conn *conn, struct span statement, uint64_t *affected_out,
			    struct errinfo *err) MUST_USE;
/* The same for a constant statement. */
enum status mysql_conn_exec_text(struct mysql_conn *conn, const char *statement, struct errinfo *err) MUST_USE;

/* Runs a query and calls back with each row; `cells[i].data` is NULL for SQL NULL. Cells are valid during the call.
 * The result is buffered in the client: for bounded results only. A callback's failure is returned, after the result
 * has been freed. Results of a CALL are given too. Errors as mysql_conn_exec. */
typedef enum status (*mysql_row_callback)(void *context, const struct span *cells, unsigned cell_count,
					  struct errinfo *err);
enum status mysql_conn_query(struct mysql_conn *conn, struct span query, mysql_row_callback callback, void *context,
			     struct errinfo *err) MUST_USE;

/* One row with up to `cell_max` numbers; SQL NULL reads as 0. ST_NOTFOUND when there is no row. */
enum status mysql_conn_query_u64(struct mysql_conn *conn, struct span query, uint64_t *cells_out, unsigned cell_max,
				 struct errinfo *err) MUST_USE;

/* START TRANSACTION / COMMIT / ROLLBACK. After a COMMIT that failed with MYSQL_ERROR_LOST the outcome is unknown. */
enum status mysql_conn_begin(struct mysql_conn *conn, struct errinfo *err) MUST_USE;
enum status mysql_conn_commit(struct mysql_conn *conn, struct errinfo *err) MUST_USE;
/* Failures do not matter: the server rolls back what is not committed. */
void mysql_conn_rollback(struct mysql_conn *conn);

/* Class and number of the last call's error on this connection; MYSQL_ERROR_NONE and 0 after success. */
enum mysql_error_class mysql_conn_error_class(const struct mysql_conn *conn);
unsigned mysql_conn_error_number(const struct mysql_conn *conn);
/* "lost connection", "deadlock" ...; never NULL. */
const char *mysql_error_class_text(enum mysql_error_class class);
/* The class of an error number of server or client library. Pure. */
enum mysql_error_class mysql_error_class_of(unsigned number);

/* The server's max_allowed_packet, asked for once; at least 1 MiB is assumed when it cannot be asked. */
size_t mysql_conn_packet_max(struct mysql_conn *conn);

/* Appends `text` as a quoted and escaped string literal, as this connection's session reads it. */
void mysql_conn_append_quoted(struct mysql_conn *conn, struct buffer *out, struct span text);

#endif
