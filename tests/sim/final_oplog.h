/* I8: does MySQL say what the logs say? Rows of transactions and events against the same facts, drawn straight from each log.
 * Threads: one. */
#ifndef ESCROW_SIM_FINAL_OPLOG_H
#define ESCROW_SIM_FINAL_OPLOG_H

struct broker_node;

/* MySQL was set back to a backup: what the logs hold by then and let go of later it need not have any more. */
void final_oplog_forgive(void);
/* The broker must not run. */
void final_check_oplog(struct broker_node *node);

#endif
