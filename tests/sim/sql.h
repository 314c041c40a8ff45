/* Runs the statements that the op log's writer sends, as a server would: SELECT, INSERT ... ON DUPLICATE KEY UPDATE, UPDATE.
 * What it does not understand is an error, so that a changed statement is noticed.
 * Threads: one. */
#ifndef ESCROW_SIM_SQL_H
#define ESCROW_SIM_SQL_H

#include "lib/base/status.h"
#include "tests/sim/sql_table.h"

/* `select` is called with the cells of each row of a SELECT. *affected: rows inserted or matched. `undo` may be NULL (each
 * statement is kept). ST_OK, ST_EXISTS (duplicate key), ST_INVALID with what was not understood. */
typedef enum status (*sql_select)(void *context, const struct sql_value *cells, unsigned count);
enum status sql_run(struct sql_base *base, struct span statement, sql_select select, void *context, uint64_t *affected,
		    struct sql_undo *undo, struct errinfo *err) MUST_USE;

#endif
