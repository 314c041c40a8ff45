/* Messages by key: a client that asks QUERY_MESSAGE, by unique keys, words of KEYS and tags, in all times and in parts of
 * them, and knows what must be in the answer.
 *
 *   I1  what was seen before it was asked is found, if so much may be
 *   I3  what is found was sent, is visible (model_saw), and has the key; in the end nothing is found that no queue holds
 *
 * Threads: one. */
#ifndef ESCROW_SIM_KEYS_H
#define ESCROW_SIM_KEYS_H

#include <stdbool.h>

#include "tests/sim/chance.h"
#include "tests/sim/model.h"

void keys_begin(void);
void keys_end(void);
/* Something about this item. */
void keys_look(const struct item *item, struct chance *chance);
/* At the end of the run, when all was read: asks on for each item and each word. True: all is answered. */
bool keys_ask_on(void);

#endif
