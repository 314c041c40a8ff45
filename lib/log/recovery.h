/* After a stop: where does the log end, and is what lies before that end sound?
 *
 * Every write opens with a BATCH record that says "durable up to M" and "at most W bytes are ever appended beyond what
 * is durable". The first bad byte at X is therefore
 *   - damage, if any valid record later in the log proves that X had been durable (a mark above X, or the EPOCH
 *     record of a later start): ST_CORRUPT, a human decides;
 *   - the torn tail otherwise, even if valid records follow (unsynced writes may land in any order): cut at X.
 * Proof and leftovers can only lie within [X, X + W], which is what gets searched. In a recycled segment the bytes of
 * its former life lie there too; only what bears its place's own offset counts as left over.
 *
 * Threads: any one thread; no shared state. */
#ifndef ESCROW_LOG_RECOVERY_H
#define ESCROW_LOG_RECOVERY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log/commitlog.h"

struct log_check_result {
	uint64_t start;          /* Offset of the oldest record. */
	uint64_t end;            /* Offset after the last valid record. */
	uint64_t durable_mark;   /* Highest proof of durability found; <= end unless damaged. */
	uint64_t leftover_end;   /* Offset after the last byte past `end` that this log wrote there; == end when none. */
	uint64_t window;         /* W: the reach of the search. */
	uint32_t epoch;          /* Of the last valid record. */
	uint64_t record_count;
	bool damaged;            /* What lies at `end` is bad although it was durable. */
	char reason[160];        /* Why the scan ended at `end`: "zeros", "CRC mismatch", ... */
	char file[64];           /* Name of the segment file that holds `end`. */
};

/* Reads the log under `root` without changing anything; fit for escrow-log. The result is filled for ST_OK and for
 * ST_CORRUPT with result->damaged. Other errors as commitlog_open, ST_NOTFOUND without a log. Blocks. */
enum status log_check(const struct vfs *vfs, const char *root, struct log_check_result *result,
		      struct errinfo *err) MUST_USE;

/* The same for a start: reads from known.from on, if something is known; else the last two segments in use only, if they
 * prove that everything before them is durable (what is bad there is damage then, which a replay finds), else the whole
 * log. A log that ends below known.durable has lost something: ST_CORRUPT. */
enum status log_check_tail(const struct vfs *vfs, const char *root, struct log_known known,
			   struct log_check_result *result, struct errinfo *err) MUST_USE;

#endif
