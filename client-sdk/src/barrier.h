/* The rows of the barrier table, for those who write them (barrier.c) and who read them (barrier_check.c).
 * Threads: as the connection. */
#ifndef ESCROW_SDK_BARRIER_H
#define ESCROW_SDK_BARRIER_H

#include "lib/mysql/db_conn.h"

enum { BARRIER_COMMITTED = 1, BARRIER_ROLLED_BACK = 2, BARRIER_ID_MAX = 64, BARRIER_STATEMENT_MAX = 2048 };

/* 1 to size_max printable ASCII characters without blanks. */
bool barrier_id_is_good(const char *id, size_t size_max);
/* INSERT of a row; ST_EXISTS and the errors of db_conn_exec. */
enum status barrier_insert_mark(struct db_conn *conn, const char *transaction_id, int state,
				struct errinfo *err) MUST_USE;

#endif
