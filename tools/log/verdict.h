/* What will the next start of a broker do with this store? It refuses, or it cuts what follows the log's end, or neither.
 * Pure: decided from what the scan and the snapshots say; tests compare it with real starts. */
#ifndef ESCROW_TOOLS_LOG_VERDICT_H
#define ESCROW_TOOLS_LOG_VERDICT_H

#include "tools/log/scan.h"
#include "tools/log/snapshots.h"

enum start_outcome {
	START_CLEAN,       /* It starts, and loses nothing. */
	START_CUTS,        /* It starts, and cuts a torn tail. */
	START_REFUSES,     /* It does not start. */
	START_CUTS_DAMAGE, /* It may start, and cut what had been durable: its search for proof does not reach far enough. */
};

struct verdict {
	enum start_outcome outcome;
	uint64_t replay_from;  /* It reads the log from here on. */
	uint64_t end;          /* It starts: the log goes on here. */
	uint64_t cut_bytes;
	uint64_t cut_records;  /* Sound ones among them. */
	char why[256];         /* It refuses: the first reason. */
};

void start_verdict(const struct log_scan *scan, const struct snapshot_items *snapshots, struct verdict *out);
/* "starts", "starts and cuts a torn tail", ... */
const char *start_outcome_text(enum start_outcome outcome);

#endif
