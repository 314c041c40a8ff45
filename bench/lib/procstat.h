/* What does the process under test cost? CPU time, context switches and memory of another process, and the bytes
 * its disk wrote, read from outside, so that the same figures exist for any broker in any language.
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
	uint64_t rss_kib;             /* Resident now, file pages included. */
	uint64_t rss_anon_kib;        /* Of these, memory of its own. */
	uint64_t rss_peak_kib;
};

/* ST_NOTFOUND if there is no such process. */
enum status procstat_read(pid_t pid, struct procstat *out, struct errinfo *err) MUST_USE;

/* Bytes that the block device below `path` has written since the machine started, for everybody. (The write_bytes of
 * /proc/PID/io are no substitute: they count a large folio in full when one block of it is made dirty.)
 * ST_NOTFOUND if there is no such path or no block device below it. */
enum status procstat_device_written(const char *path, uint64_t *bytes, struct errinfo *err) MUST_USE;

#endif
