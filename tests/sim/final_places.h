/* Is everything that the logs publish where it belongs? Each place of a queue that a record gives, against what was read.
 *
 *   I1  what the log still holds was read, but for what consumers sent back while it was being read
 *
 * What retention let go may have been read or not: it counts all the same.
 * Threads: one. */
#ifndef ESCROW_SIM_FINAL_PLACES_H
#define ESCROW_SIM_FINAL_PLACES_H

#include "lib/log/commitlog.h"
#include "tests/sim/settings.h"

/* Places of an item that were let go before anybody read them, and whether one that POP would give out was let go at all. */
struct gone_places {
	uint32_t published, back[CONSUMER_GROUPS];
	bool popped;
};

void final_places_begin(void);
void final_places_end(void);
/* The next record of a broker's log, of all that it ever held. `start`: where the log began at last. */
void final_places_see(int broker, uint64_t start, const struct log_record *record);
const struct gone_places *final_places_gone(uint32_t item);

#endif
