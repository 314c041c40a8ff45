/* How long does the real broker take from exec to its "ready" line, and what does it hold in memory then? */
#ifndef ESCROW_TESTS_STARTUP_H
#define ESCROW_TESTS_STARTUP_H

#include "tests/capacity/procmem.h"

enum { STARTUP_ROUNDS = 3 };

struct startup {
	double first_ms;      /* The first start on the store; it replays the whole log. */
	double median_ms;     /* Of STARTUP_ROUNDS starts after it, each after a kill -9. */
	struct procmem first; /* At the ready line of the first start. */
	struct procmem memory; /* At the ready line of the last one. */
};

/* Starts $ESCROW_BUILD/escrow-broker on the store in `dir`, kills it with SIGKILL, and starts it again. What the broker
 * says goes to `log_path`. Aborts with a message on failure. */
struct startup startup_measure(const char *dir, const char *log_path);
/* The same with an empty directory each time; first_ms is one of the rounds. */
struct startup startup_measure_empty(const char *dir, const char *log_path);

#endif
