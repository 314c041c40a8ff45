/* The op log in memory: the same rows and timelines as MySQL's, straight from the broker's own log.
 *
 * For `escrow-log oplog`, which needs no server, and for tests that compare the two. Holds what the filter lets through
 * (and every exceptional event, since an event names its transaction by offset only).
 *
 * Threads: one. */
#ifndef ESCROW_OPLOG_TABLE_H
#define ESCROW_OPLOG_TABLE_H

#include <stddef.h>

#include "broker/projections/oplog_facts.h"

struct oplog_table;

/* Empty filters let everything through. Borrowed; must outlive the table. NULL without memory. */
struct oplog_table *oplog_table_new(struct span transaction_id, struct span group);
void oplog_table_free(struct oplog_table *table);

/* Takes one record of the log. ST_NOMEM; ST_CORRUPT, ST_VERSION of oplog_facts. */
enum status oplog_table_add(struct oplog_table *table, const struct log_record *record, struct errinfo *err) MUST_USE;

/* One line of v_timeline. */
struct oplog_step {
	int64_t at_ms;
	uint64_t log_offset;
	uint32_t part;
	const char *event;
	const char *actor;
	struct span actor_name; /* Empty: not known. */
	uint32_t checks;
	const char *detail;     /* NULL: none. */
	uint32_t repeats;
	struct span reason;
};

/* Calls back with each transaction in the order of half offsets, with its timeline in the order of v_timeline. A
 * callback's failure ends the walk and is returned. ST_NOMEM. */
typedef enum status (*oplog_table_visit)(void *context, const struct oplog_txn *txn, const struct oplog_step *steps,
					 size_t step_count, struct errinfo *err);
enum status oplog_table_walk(struct oplog_table *table, oplog_table_visit visit, void *context, struct errinfo *err) MUST_USE;

#endif
