/* How long does the real broker take from exec to its "ready" line, and what does it hold in memory then? And
 * is it held up by its own snapshots? */
#ifndef ESCROW_TESTS_STARTUP_H
#define ESCROW_TESTS_STARTUP_H

#include "tests/capacity/procmem.h"

enum { STARTUP_ROUNDS = 3 };

struct startup {
	double median_ms;      /* Of STARTUP_ROUNDS starts, each after a kill -9. */
	double replay_ms;      /* Of one more without the snapshots: the whole log is replayed. 0: not measured. */
	struct procmem memory; /* At the ready line of the last of the rounds. */
	struct procmem replay_memory;
};

/* Starts $ESCROW_BUILD/escrow-broker on the store in `dir`, kills it with SIGKILL, and starts it again. What the broker
 * says goes to `log_path`. Aborts with a message on failure. At the end the snapshots are gone. */
struct startup startup_measure(const char *dir, const char *log_path);
/* The same with an empty directory each time. */
struct startup startup_measure_empty(const char *dir, const char *log_path);

/* What a client sees of a snapshot: it asks one small thing after the other until the broker has taken one. */
struct snapshot_pause {
	double took_ms;    /* From the first question to the snapshot's name in the directory. */
	double longest_ms; /* The longest answer meanwhile. */
	uint64_t answers;
};
struct snapshot_pause startup_measure_pause(const char *dir, const char *log_path);

#endif
