/* The MySQL server: its tables, and what happens to it. lib/mysql/db_conn.h is implemented over it (virtual_mysql.c), so the
 * op log's own writer runs its own statements.
 * Threads: one. */
#ifndef ESCROW_SIM_MYSQL_NODE_H
#define ESCROW_SIM_MYSQL_NODE_H

#include <stdbool.h>
#include <stdint.h>

struct sql_base;

void mysql_begin(uint64_t seed);
void mysql_end(void);
/* What it holds; committed and not. */
struct sql_base *mysql_base(void);

/* Not reachable until then; connections are lost, open transactions undone. */
void mysql_down(int64_t until_us);
/* The next COMMIT never gets its answer: the server dies in it, before or (`kept`) after it is done. */
void mysql_kill_in_commit(bool kept, int64_t down_us);
/* The connection that runs the `n`-th statement from now is lost before it is done. */
void mysql_lose_statement(uint32_t n);
/* Statements are refused with errors that pass (deadlock, lock wait, read-only, full, ...) until then. */
void mysql_trouble(int64_t until_us);
/* Keeps a copy; puts it back later. False: there is none. */
void mysql_backup(void);
bool mysql_restore(void);
/* No more of all that. */
void mysql_heal(void);

#endif
