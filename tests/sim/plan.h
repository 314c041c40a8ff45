/* The plan of a seed: which operation comes when, and carrying it out.
 *
 * An operation's kind and time come from the seed and its number, what it does from a stream of chance of its own. So any of
 * them can be left out without changing what the others draw; that is how a failing history is shortened.
 * Threads: one. */
#ifndef ESCROW_SIM_PLAN_H
#define ESCROW_SIM_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum { OPERATIONS = 2200, ITEMS_PER_OPERATION = 8, ITEM_NUMBERS = (OPERATIONS + 2) * ITEMS_PER_OPERATION };

/* Draws the plan. `left_out` has a byte for each operation, not 0: it is left out. NULL: none is. Borrowed. */
void plan_begin(const uint8_t *left_out);
/* Runs all of it; ends early at a violation. */
void plan_run(void);

#endif
