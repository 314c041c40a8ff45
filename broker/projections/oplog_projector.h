/* The projector: how do decisions get from the broker's log into MySQL, exactly once, without the broker ever waiting?
 *
 * A thread of its own reads the log's files below the durable mark, turns records into rows (oplog_facts.h), and
 * writes each batch of rows and its own cursor in one MySQL transaction. MySQL away, restarting, full or read-only:
 * it waits, tries again, and catches up from the cursor; the broker does not notice. Three things end it, each with
 * one error line that says what to do: damage in the log, another projector that has taken over the cursor, and a
 * log that is not the one that was projected, though it has its id (oplog_witness.h). The broker goes on serving even then.
 *
 * Threads: start, advance and stop belong to the loop thread; oplog_projector_status may be called by any thread. */
#ifndef ESCROW_OPLOG_PROJECTOR_H
#define ESCROW_OPLOG_PROJECTOR_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/projections/oplog_config.h"
#include "lib/base/status.h"

struct oplog_projector;

enum oplog_state {
	OPLOG_CONNECTING, /* Also: waiting for the next try. */
	OPLOG_CATCHING_UP,
	OPLOG_CURRENT,
	OPLOG_STOPPED,    /* For good; last_error says why. */
};

struct oplog_status {
	enum oplog_state state;
	uint64_t cursor;          /* Everything below is in MySQL. Segments from here on must be kept. 0: not known yet. */
	uint64_t durable;         /* As last told by oplog_projector_advance. */
	uint64_t lag_bytes;       /* durable - position read; 0 when current. */
	uint64_t young_count;     /* Open transactions that have no row yet. */
	uint64_t row_count;       /* Rows sent since start, repeated ones included. */
	uint64_t batch_count;
	uint64_t failure_count;   /* Failed tries since start. */
	int64_t last_success_ms;  /* Wall time of the last batch; 0 = none yet. */
	char last_error[ERRINFO_TEXT_SIZE]; /* "" = the last try succeeded. */
};

/* Starts the thread. `store_root` is storePathRootDir (the log is in <store_root>/commitlog), `durable` the log's
 * durable end now, `broker_name` what the rows call this broker. Does not connect: that a server is down is no
 * reason not to start. *config is copied.
 * ST_INVALID (options contradict each other, a database name that cannot be one), ST_IO (password file), ST_NOMEM. */
enum status oplog_projector_start(const struct oplog_config *config, const char *store_root, const char *broker_name,
				  uint64_t durable, struct oplog_projector **out, struct errinfo *err) MUST_USE;

/* Tells that everything below `durable` is safe. Cheap (one atomic store, and one write(2) only when the thread
 * sleeps), so call it each time the watermark moves. NULL is allowed: the op log in MySQL is off. */
void oplog_projector_advance(struct oplog_projector *projector, uint64_t durable);

/* Lets the thread finish what is durable, for at most `grace_ms` and only while MySQL answers, joins it and frees.
 * What is left is written after the next start. A thread that still waits for a dumb server then is left behind, with
 * its memory, for the process is about to end: MySQL must not delay that. NULL is allowed. */
void oplog_projector_stop(struct oplog_projector *projector, int64_t grace_ms);

/* A consistent copy for metrics. NULL gives all zeros. */
void oplog_projector_status(struct oplog_projector *projector, struct oplog_status *out);

#endif
