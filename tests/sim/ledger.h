/* Consumer offsets to the letter: a client that keeps offsets of groups that nobody consumes in, one word after the other, so
 * that it knows exactly what the broker must remember.
 *
 * A word that was acknowledged (a two-way request) must be told again, for ever; a one-way word once somebody was told it.
 * Threads: one. */
#ifndef ESCROW_SIM_LEDGER_H
#define ESCROW_SIM_LEDGER_H

#include "tests/sim/chance.h"

void ledger_begin(void);
void ledger_end(void);
/* Says another word, or asks what the last one was. */
void ledger_step(struct chance *chance);
/* Asks for every word at the end of the run; then it is done when ledger_is_idle. */
void ledger_ask_all(void);
bool ledger_is_idle(void);

#endif
