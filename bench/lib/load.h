/* How is load made? Workers, each one thread with an epoll set and its share of the connections. Every connection has
 * `window` slots; a slot is one transaction at a time: half sent -> answered -> END sent -> answered.
 *
 * Closed loop: a slot starts its next transaction when the last one ends. Open loop (`rate`): transactions start at
 * instants fixed beforehand, and the latency of one counts from the instant at which it was due, so that a broker that
 * stalls is charged for everything that had to wait (no coordinated omission).
 * Every answer must match the one outstanding request of its slot; what does not is counted, never ignored.
 * Threads: the owner calls init, start, phase, join, deinit from one thread; it reads the totals after join and
 * `completed` at any time. */
#ifndef ESCROW_BENCH_LOAD_H
#define ESCROW_BENCH_LOAD_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "bench/lib/dial.h"
#include "bench/lib/frames.h"
#include "bench/lib/histogram.h"

enum { LOAD_WINDOW_MAX = 65535, LOAD_CONNECTIONS_MAX = 10000, LOAD_THREADS_MAX = 64, LOAD_ERRORS_MAX = 32 };

enum load_mode {
	LOAD_TX,   /* Half message and END, both answered. */
	LOAD_HALF, /* Half messages that are left undecided. */
	LOAD_SEND, /* Plain messages. */
};

enum load_phase { LOAD_WARMUP, LOAD_MEASURE, LOAD_DRAIN, LOAD_STOP };

struct load_options {
	enum load_mode mode;
	struct route route;
	const char *group;
	const char *topic;
	uint32_t connection_count;
	uint32_t window;
	uint32_t thread_count;
	size_t body_size;
	uint32_t commit_percent;
	bool end_oneway;  /* As RocketMQ's clients do; the transaction then ends with the half's answer. */
	double rate;      /* Transactions per second over all workers; 0 = closed loop. */
};

/* Answers other than success, by the request they belong to. */
struct load_error {
	const char *stage; /* "half", "end", "send", "heartbeat" */
	int32_t code;
	uint64_t count;
	char remark[160];  /* Of the first one. */
};

struct load_totals {
	struct histogram half, end, transaction; /* ns; completed in the measuring phase. Plain sends: `transaction` only. */
	uint64_t commits, rollbacks;
	uint64_t failed;           /* Transactions that ended with an error answer, in any phase, as everything below. */
	uint64_t unmatched;        /* Answers that belong to no outstanding request. */
	uint64_t wrong_identity;   /* Answers to halves whose transaction id is not the one sent. */
	uint64_t check_requests;
	uint64_t other_requests;   /* Further requests from the broker. */
	uint64_t unanswered;       /* Requests without an answer when the run ended. */
	uint64_t backlog;          /* Open loop: transactions that were due and could not start, at the end. */
	uint32_t error_count;
	struct load_error errors[LOAD_ERRORS_MAX];
};

struct load;

/* Connects and registers every connection as a producer of the group; sends nothing else yet. */
enum status load_create(const struct load_options *options, struct load **out, struct errinfo *err) MUST_USE;
enum status load_start(struct load *load, struct errinfo *err) MUST_USE;
void load_set_phase(struct load *load, enum load_phase phase);
/* Transactions that succeeded since the start, all workers. */
uint64_t load_completed(const struct load *load);
/* True when a worker has given up (connection lost) or all have finished draining. */
bool load_finished(const struct load *load);
/* Ends the workers and adds up. ST_CLOSED if a connection was lost; the totals are valid even then. */
enum status load_join(struct load *load, struct load_totals *totals, struct errinfo *err) MUST_USE;
void load_destroy(struct load *load);

#endif
