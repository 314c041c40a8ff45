/* One seed from beginning to end, in a process of its own.
 *
 * So a crash or a hang of the code under test is a result like any other, nothing of one seed is left for the next, and
 * several can run at once.
 * Threads: one. */
#ifndef ESCROW_SIM_SEED_H
#define ESCROW_SIM_SEED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "tests/sim/report.h"

struct seed_run {
	uint64_t seed;
	const uint8_t *left_out; /* By operation; NULL: none is. See plan.h. */
	bool told;               /* The history goes to standard output. */
	bool quiet;              /* What the code under test writes to standard error does not matter. */
};

/* Room for a report that another process fills. */
struct report *report_share(void);
/* Starts it; returns the process. */
pid_t seed_start(const struct seed_run *run, struct report *shared);
/* After the process has ended with this status: a crash becomes a violation. */
void seed_ended(struct report *shared, uint64_t seed, int wait_status);
/* Both. */
void seed_run(const struct seed_run *run, struct report *shared);

#endif
