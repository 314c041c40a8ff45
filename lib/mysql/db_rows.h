/* Multi-row statements: how do many rows become few INSERTs that each fit the server's packet?
 *
 *     db_rows_init(&rows, conn, "INSERT INTO t (a,b) VALUES ", " ON DUPLICATE KEY UPDATE ...", packet_max);
 *     for each row:
 *         db_rows_begin(&rows);  db_rows_u64(&rows, 1);  db_rows_text(&rows, span);  db_rows_end(&rows, &err)
 *     db_rows_flush(&rows, &err);
 *
 * A row that would take the statement over the limit is moved to the next statement; one that is over it by itself
 * is ST_TOOBIG. After a failure only db_rows_deinit is left to do. Threads: as the connection's. */
#ifndef ESCROW_MYSQL_DB_ROWS_H
#define ESCROW_MYSQL_DB_ROWS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/mysql/db_conn.h"

typedef enum status (*db_rows_send)(struct db_conn *conn, struct span statement, uint64_t *affected_out,
				    struct errinfo *err);

struct db_rows {
	struct db_conn *conn;
	db_rows_send send; /* db_conn_exec; a test puts its own here after init. */
	const char *head;  /* Borrowed, static. */
	const char *tail;
	struct buffer text;
	size_t size_max;
	size_t row_start;
	bool row_has_cells;
	uint64_t pending_rows;
	uint64_t row_count;       /* Rows sent in all. */
	uint64_t statement_count;
};

/* size_max bounds one statement in bytes (db_conn_packet_max or less). */
void db_rows_init(struct db_rows *rows, struct db_conn *conn, const char *head, const char *tail,
		     size_t size_max);
void db_rows_deinit(struct db_rows *rows);

void db_rows_begin(struct db_rows *rows);
/* Sends what came before if this row does not fit any more. ST_TOOBIG, ST_NOMEM, errors of db_conn_exec. */
enum status db_rows_end(struct db_rows *rows, struct errinfo *err) MUST_USE;
/* Sends what is left. */
enum status db_rows_flush(struct db_rows *rows, struct errinfo *err) MUST_USE;

void db_rows_u64(struct db_rows *rows, uint64_t value);
void db_rows_i64(struct db_rows *rows, int64_t value);
void db_rows_null(struct db_rows *rows);
/* At most `char_max` characters of valid UTF-8: bytes that are not become '?', what is too long ends with an ellipsis. */
void db_rows_text(struct db_rows *rows, struct span text, size_t char_max);
/* Any bytes, as x'..'. */
void db_rows_binary(struct db_rows *rows, struct span bytes);
/* Milliseconds since 1970 as a DATETIME(3) literal in UTC; outside of the years 1970 to 9999: the nearest of them. */
void db_rows_time(struct db_rows *rows, int64_t wall_ms);

/* The pure parts, also for other printers of the same facts. */
enum { DB_TIME_TEXT_SIZE = 24 };
/* "2026-11-25 11:20:39.123" in UTC. */
void db_time_text(int64_t wall_ms, char out[DB_TIME_TEXT_SIZE]);
/* Appends `text` cleaned as described at db_rows_text (no quotes). */
void db_text_clean(struct span text, size_t char_max, struct buffer *out);

#endif
