/* Was everything reached? Over a whole run every record kind that this version writes, every transition of the table, every
 * fault and every event of report.h must have happened; otherwise the simulator does not test what it says.
 * Threads: one. */
#ifndef ESCROW_SIM_COVERAGE_H
#define ESCROW_SIM_COVERAGE_H

#include "tests/sim/report.h"

/* Adds what one seed reached. */
void coverage_add(struct report *total, const struct report *one);
/* Prints what is missing; returns how much that is. */
int coverage_missing(const struct report *total);
/* Prints all counts. */
void coverage_print(const struct report *total);

#endif
