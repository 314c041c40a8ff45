/* What does a run say? One table for people, one line of flat JSON for scripts; the same numbers in both.
 *
 * Threads: pure. */
#ifndef ESCROW_BENCH_REPORT_H
#define ESCROW_BENCH_REPORT_H

#include "bench/lib/load.h"
#include "bench/lib/procstat.h"

struct report {
	const struct load_options *options;
	const char *label;             /* Copied into the JSON line; "" = none. */
	const struct load_totals *totals;
	double seconds;                /* Of the measuring phase. */
	uint64_t completed;            /* In it. */
	double slowest_second;         /* Transactions per second in the worst whole second; 0 if none was whole. */
	int64_t generator_cpu_ns;      /* This process, in the measuring phase. */
	bool has_broker;
	struct procstat broker_before, broker_after;
	bool has_device;
	uint64_t device_before, device_after; /* Bytes written. */
};

void report_print(const struct report *report);
void report_print_json(const struct report *report);
/* True if every answer was the expected one. */
bool report_is_clean(const struct report *report);

#endif
