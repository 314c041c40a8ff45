/* The projector's state, shared by its two halves: oplog_projector.c (what to do next: connect, fill, write; it neither
 * sleeps nor starts a thread) and oplog_projector_thread.c (the thread around that). The simulator has a thread of its
 * own kind around the same first half.
 *
 * Threads: as said at the fields; the functions belong to the projector's thread. */
#ifndef ESCROW_OPLOG_PROJECTOR_INTERNAL_H
#define ESCROW_OPLOG_PROJECTOR_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "broker/projections/oplog_batch.h"
#include "broker/projections/oplog_projector.h"
#include "broker/projections/oplog_writer.h"
#include "broker/projections/oplog_young.h"
#include "lib/log/logreader.h"

struct oplog_projector {
	struct oplog_config config;
	char *store_root;
	char *broker_name;
	pthread_t thread;
	int wake_fd;
	_Atomic uint64_t durable;
	_Atomic bool sleeping; /* The thread wants to be woken by the next advance. */
	_Atomic bool stopping;
	_Atomic int64_t stop_until_ms;

	pthread_mutex_t lock; /* Guards status, finished, left_behind. */
	pthread_cond_t finished_cond;
	bool finished;
	bool left_behind; /* Nobody joins: the thread frees. */
	struct oplog_status status;

	/* The thread's own. */
	struct oplog_writer *writer;
	struct logreader *reader;
	struct oplog_young *young;
	struct oplog_batch batch;
	bool batch_sealed;       /* A write of it was tried. */
	uint64_t batch_target;   /* Where the cursor goes with it, once sealed. */
	uint64_t cursor;         /* Where it is. */
	struct oplog_witness witness; /* Of all that was read, now or before. */
	int64_t log_time_ms;     /* Highest time read from the log. */
	uint64_t mark;           /* The position at `mark_ms`, monotonic. */
	int64_t mark_ms;
	uint64_t due_below;      /* What lies below was read opLogPreparedAfterMs ago. */
	bool caught_up;
	int64_t cursor_moved_ms; /* Monotonic. */
	int64_t maintain_at_ms;  /* Monotonic. */
	int64_t retry_delay_ms;
	bool failing;
	int64_t failure_logged_ms;
	char failure_text[ERRINFO_TEXT_SIZE];
};

/* Everything but the thread and its wake-up (wake_fd is -1). NULL without memory. */
struct oplog_projector *oplog_projector_create(const struct oplog_config *config, const char *store_root,
					       const char *broker_name, uint64_t durable);
void oplog_projector_destroy(struct oplog_projector *p);

/* One step of the work: connects if needed, fills the batch from the log, writes it. After ST_OK *sleep_ms is how long
 * nothing is to be done unless the log grows; 0: go on at once. Any other status: oplog_projector_after_failure. */
enum status oplog_projector_turn(struct oplog_projector *p, int64_t *sleep_ms, struct errinfo *err) MUST_USE;
/* False when there is nothing to try again; else *pause_ms is to pass before the next turn. */
bool oplog_projector_after_failure(struct oplog_projector *p, enum status st, const struct errinfo *err, int64_t *pause_ms);
/* Notes the last failure in the status and the log. */
void oplog_projector_stop_for_good(struct oplog_projector *p, const struct errinfo *err);
/* Asked to stop, and there is nothing left to do, or no time, or no server. */
bool oplog_projector_may_end(struct oplog_projector *p);

#endif
