/* The judgement at the end of a seed, when all has come to rest and all was read: logs, model, consumers and MySQL against each
 * other. Of a log that was shortened all is judged that it ever held (archive.h). All final checks are called from final_check;
 * the invariants are those of model.h, and
 *
 *   I1  what the logs publish was read, as far as they still hold it (final_places.h); an END was answered as if nobody knew
 *       its half only when its decision was past
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
