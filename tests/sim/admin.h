/* An operator's client: looks at messages, positions and members, makes topics, sets groups, resumes parked transactions,
 * decides by hand. What it is told is held against the model.
 * Threads: one. */
#ifndef ESCROW_SIM_ADMIN_H
#define ESCROW_SIM_ADMIN_H

#include "lib/record/record_transaction.h"
#include "lib/txn/txn_state.h"
#include "tests/sim/client_node.h"

void admin_begin(void);
void admin_end(void);

/* A message by its offset id. */
void admin_view(const struct item *item);
/* RECALL_MESSAGE of a timer. */
void admin_recall(struct item *item);
/* Ends and times of a queue. */
void admin_positions(int broker, int place, int queue, struct chance *chance);
void admin_members(int broker, int group);
void admin_make_topic(int broker, int topic);
void admin_set_group(int broker, int group);
/* RESUME_CHECK_HALF_MESSAGE. */
void admin_resume(struct item *item);
/* What its broker holds it for; 0: it does not run, or does not know it. */
enum txn_state admin_state(const struct item *item);
/* A decision by hand, straight to the broker's core: this version has no request for it. False: not possible now. */
bool admin_decide(struct item *item, enum record_outcome outcome);

#endif
