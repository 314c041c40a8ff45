/* Topics that come and go: an operator's client makes a topic, sends into it, reads it, deletes it, and makes it again.
 *
 * Of each such fair it knows exactly what must be there, whatever happened to its broker in between:
 *
 *   I1  what was acknowledged since the topic was made is read, each message once, from offset 0 on without a gap; an
 *       acknowledged consumer offset is told
 *   I3  nothing that was acknowledged before a deletion is there after it: neither a message, nor one that was still delayed
 *       then, nor a consumer offset
 *
 * One request at a time for each, so that there is no doubt about their order. Where the fate of a deletion is unknown, the
 * fair begins anew under another name.
 * Threads: one. */
#ifndef ESCROW_SIM_FAIRS_H
#define ESCROW_SIM_FAIRS_H

#include <stdbool.h>

#include "tests/sim/chance.h"

void fairs_begin(void);
void fairs_end(void);
/* The next request of one of them. */
void fairs_step(struct chance *chance);
/* At the end of the run, nothing is delayed any more: reads on. True: all of them were read to their ends. */
bool fairs_read_on(void);

#endif
