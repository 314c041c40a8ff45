/* The judgement at the end of a seed, when all has come to rest and all was read: logs, model, consumers and MySQL against
 * each other. All final checks are called from final_check; the invariants are those of model.h, and
 *
 *   I5  nothing is open but what is parked
 *   I6  every half has a fate that somebody asked for, and it is the one that the service's database has
 *   I8  MySQL's tables say what the logs say
 *
 * Threads: one. */
#ifndef ESCROW_SIM_FINAL_H
#define ESCROW_SIM_FINAL_H

/* Ends all brokers. Also counts record kinds and transitions for the report. */
void final_check(void);

#endif
