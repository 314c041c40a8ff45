/* What does the process under test cost? CPU time, context switches, bytes written and memory of another
 * process, read from outside, so that the same figures exist for any broker in any language.
 *
 * Threads: pure. */
#ifndef ESCROW_BENCH_PROCSTAT_H
#define ESCROW_BENCH_PROCSTAT_H

#include <stdint.h>
#include <sys/types.h>

#include "lib/base/status.h"

struct procstat {
	int64_t cpu_ns;               /* All threads, user and system, since the process started. */
	uint64_t voluntary_switches;  /* Of the threads alive now. */
	uint64_t involuntary_switches;
	uint64_t write_bytes;         /* Sent to the block layer; 0 if /proc/PID/io may not be read. */
	uint64_t rss_kib;             /* Resident now, file pages included. */
	uint64_t rss_anon_kib;        /* Of these, memory of its own. */
	uint64_t rss_peak_kib;
};

/* ST_NOTFOUND if there is no such process. */
enum status procstat_read(pid_t pid, struct procstat *out, struct errinfo *err) MUST_USE;

#endif
