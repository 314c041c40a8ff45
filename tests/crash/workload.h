/* Scripted lives of a store, recorded: what a broker and its disk did, what was in the log, what had been acknowledged.
 *
 * A workload is a mix of requests, disk steps and restarts, drawn from a seed; together they reach every record kind, roll
 * segments, and stop in every way a broker can stop (killed, cut off, failed, cleanly). The same workload and seed give the
 * same recording. While recording, each answer that was due is held against the ledger, and each restart is checked.
 * Threads: one. */
#ifndef ESCROW_TESTS_WORKLOAD_H
#define ESCROW_TESTS_WORKLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "tests/crash/ledger.h"
#include "tests/support/disk_trace.h"
#include "tests/support/store_rig.h"

struct recording {
	const char *name;
	uint64_t seed;
	struct rig_options options;
	struct disk_trace *trace;
	struct ledger **ledgers; /* By life, the notes' `life`: what could be in the log then. [0] is empty. */
	size_t life_count;
};

size_t workload_count(void);
const char *workload_name(size_t index);
/* Plays the workload. Prints and exits when the store breaks a promise already now. */
struct recording *workload_record(size_t index, uint64_t seed);
void recording_destroy(struct recording *recording);

/* Takes the sealed records in [from, to) of an opened log into a ledger. Prints and exits when they contradict it. */
void workload_capture(const struct commitlog *log, struct ledger *ledger, uint64_t from, uint64_t to);

#endif
