/* What will the next start of a broker do with this store? It refuses, or it cuts what follows the log's end, or neither.
 *
 * Decided from what is read once: the snapshots, every byte of the log, and what became behind the newest snapshot of what it
 * says is open (bodies.h). Nothing is changed, no lock is taken; tests compare it with real starts.
 * Threads: one. */
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
	uint64_t unreadable;   /* It refuses only because this record's payload cannot be read; 0: no. */
};

struct start_look {
	struct snapshot_items snapshots;
	struct log_scan scan;
	struct verdict verdict;
};

/* Reads all of the store; `visit` (NULL: nobody) sees each sound record, as in log_scan. Errors as snapshots_read and log_scan.
 * Free with start_look_free in any case. */
enum status start_look(const struct vfs *vfs, const char *root, scan_visit visit, void *context, struct start_look *out,
		       struct errinfo *err) MUST_USE;
void start_look_free(struct start_look *look);

/* What nobody but the caller has seen makes a start refuse. The first reason stands. */
void verdict_refuse(struct verdict *verdict, const char *why);

/* "starts", "starts and cuts a torn tail", ... */
const char *start_outcome_text(enum start_outcome outcome);

#endif
