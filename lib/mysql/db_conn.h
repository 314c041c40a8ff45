/* A connection to MySQL: how do we talk to it so that every failure is bounded, classified and told without secrets?
 *
 * lib/mysql is the only code that includes mysql.h. The op log uses a connection of its own (db_conn_open); the
 * SDK's barrier wraps the MYSQL handle of the business (db_conn_wrap), which stays the business's in every
 * respect: its transaction, its character set, its sql_mode, its closing. Names start with db_, because mysql_ is the
 * client library's.
 *
 * A failed call gives an enum status and an errinfo; what a caller must *do* is the class of the error
 * (db_conn_error_class), because a server's refusal, a lost connection and a lock conflict differ in what is known
 * about the statement:
 *
 *     class              was the statement done?      what to do
 *     DB_ERROR_NONE      yes
 *     DB_ERROR_LOST      nobody knows                 reconnect and look
 *     DB_ERROR_DEADLOCK  no, transaction rolled back  repeat the transaction
 *     DB_ERROR_LOCK_WAIT no, transaction still open   roll back, repeat later
 *     DB_ERROR_DUPLICATE no                           the row exists already
 *     DB_ERROR_READ_ONLY no                           repeat later (failover, or an operator)
 *     DB_ERROR_FULL      no                           repeat later (disk or table space full)
 *     DB_ERROR_RETRY     no                           repeat later (too many connections, shutting down ...)
 *     DB_ERROR_SCHEMA    no                           a table, column or procedure is missing: migrate
 *     DB_ERROR_DENIED    no                           account or rights: an operator must act
 *     DB_ERROR_OTHER     no                           our statement or its data is wrong
 *
 * Threads: a connection belongs to one thread at a time. A thread other than the main one must call
 * db_thread_begin() first and db_thread_end() last. */
#ifndef ESCROW_MYSQL_DB_CONN_H
#define ESCROW_MYSQL_DB_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum db_error_class {
	DB_ERROR_NONE,
	DB_ERROR_LOST,
	DB_ERROR_DEADLOCK,
	DB_ERROR_LOCK_WAIT,
	DB_ERROR_DUPLICATE,
	DB_ERROR_READ_ONLY,
	DB_ERROR_FULL,
	DB_ERROR_RETRY,
	DB_ERROR_SCHEMA,
	DB_ERROR_DENIED,
	DB_ERROR_OTHER,
};

struct db_target {
	const char *host;     /* Not used when `socket` is set. */
	unsigned port;
	const char *socket;   /* NULL or "" = TCP. */
	const char *user;
	const char *password; /* NULL or "" = none. Never shown. */
	const char *database; /* NULL or "" = none selected. */
	unsigned timeout_ms;  /* For connecting and for each read and write; rounded up to whole seconds. */
};

struct db_conn;

/* For threads other than the main one: the client library keeps state per thread. db_thread_begin also makes the
 * library ready; calling it on the main thread is allowed. ST_NOMEM. */
enum status db_thread_begin(struct errinfo *err) MUST_USE;
void db_thread_end(void);

/* Connects, with a session of known properties, whatever the server's settings are and its init_connect does: utf8mb4, UTC,
 * strict sql_mode, autocommit, REPEATABLE READ, affected rows counted as found rows (an UPDATE that matches and changes nothing
 * counts). Blocks up to a few times timeout_ms.
 * ST_IO (unreachable, lost), ST_DENIED (account), ST_NOTFOUND (database), ST_NOMEM. *class_out (may be NULL) gets the
 * class of a failure. */
enum status db_conn_open(const struct db_target *target, struct db_conn **out,
			    enum db_error_class *class_out, struct errinfo *err) MUST_USE;

/* Borrows `foreign`, a connected MYSQL * that the caller made; nothing of its session is changed. db_conn_close
 * then frees only the wrapper. ST_NOMEM. */
enum status db_conn_wrap(void *foreign, struct db_conn **out, struct errinfo *err) MUST_USE;

/* Closes (owned) or lets go (borrowed), frees. Sends nothing but the goodbye. NULL is allowed. */
void db_conn_close(struct db_conn *conn);

/* Runs one statement that gives no rows. *affected_out (may be NULL) gets the number of affected rows.
 * ST_EXISTS (duplicate key), ST_TIMEOUT (lock wait), ST_BUSY (deadlock, server says later), ST_FULL, ST_DENIED,
 * ST_NOTFOUND (no such table ...), ST_IO (lost), ST_INVALID (anything else). The text holds MySQL's own, and never
 * the statement. */
enum status db_conn_exec(struct db_conn *conn, struct span statement, uint64_t *affected_out,
			    struct errinfo *err) MUST_USE;
/* The same for a constant statement. */
enum status db_conn_exec_text(struct db_conn *conn, const char *statement, struct errinfo *err) MUST_USE;

/* Runs a query and calls back with each row; `cells[i].data` is NULL for SQL NULL. Cells are valid during the call.
 * The result is buffered in the client: for bounded results only. A callback's failure is returned, after the result
 * has been freed. Results of a CALL are given too. Errors as db_conn_exec. */
typedef enum status (*db_row_callback)(void *context, const struct span *cells, unsigned cell_count,
					  struct errinfo *err);
enum status db_conn_query(struct db_conn *conn, struct span query, db_row_callback callback, void *context,
			     struct errinfo *err) MUST_USE;

/* One row with up to `cell_max` numbers; SQL NULL reads as 0. ST_NOTFOUND when there is no row. */
enum status db_conn_query_u64(struct db_conn *conn, struct span query, uint64_t *cells_out, unsigned cell_max,
				 struct errinfo *err) MUST_USE;

/* START TRANSACTION / COMMIT / ROLLBACK. After a COMMIT that failed with DB_ERROR_LOST the outcome is unknown. */
enum status db_conn_begin(struct db_conn *conn, struct errinfo *err) MUST_USE;
enum status db_conn_commit(struct db_conn *conn, struct errinfo *err) MUST_USE;
/* Failures do not matter: the server rolls back what is not committed. */
void db_conn_rollback(struct db_conn *conn);

/* Class and number of the last call's error on this connection; DB_ERROR_NONE and 0 after success. */
enum db_error_class db_conn_error_class(const struct db_conn *conn);
unsigned db_conn_error_number(const struct db_conn *conn);
/* "lost connection", "deadlock" ...; never NULL. */
const char *db_error_class_text(enum db_error_class class);
/* The class of an error number of server or client library. Pure. */
enum db_error_class db_error_class_of(unsigned number);
/* The status that calls return for an error of this class. Pure. */
enum status db_error_class_status(enum db_error_class class);

/* The largest statement that the server takes (by max_allowed_packet), asked for once; 1 MiB is assumed when it cannot be
 * asked. */
size_t db_conn_packet_max(struct db_conn *conn);

/* Appends `text` as a quoted and escaped string literal, as this connection's session reads it. */
void db_conn_append_quoted(struct db_conn *conn, struct buffer *out, struct span text);

#endif
