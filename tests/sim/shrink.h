/* Which of its operations does a failing seed need to fail? Leaves out as many as it can (delta debugging), and tells the
 * history that is left.
 * Threads: one. */
#ifndef ESCROW_SIM_SHRINK_H
#define ESCROW_SIM_SHRINK_H

#include <stdint.h>

#include "tests/sim/report.h"

enum { SHRINK_RUNS_MAX = 400 };

/* `failed` is the report of the whole seed. At most `runs_max` further runs. Prints to standard output. */
void shrink(const struct report *failed, int runs_max);

#endif
