/* What does the machine give at best for the same conversation? A server that answers SEND and END_TRANSACTION with
 * frames of RocketMQ's form and size and does nothing else: no state, no checks, no queues. With a log file it also
 * writes as many bytes per transaction as a broker has to, group-committed by a second thread, and answers after the
 * sync. Its throughput is the floor that a broker's is compared with.
 *
 * Threads: echo_serve() runs the loop in the caller's thread; with a log, a flusher thread beside it. */
#ifndef ESCROW_BENCH_ECHO_H
#define ESCROW_BENCH_ECHO_H

#include <stdint.h>

#include "lib/base/status.h"

enum {
	ECHO_HALF_OVERHEAD = 320,  /* Bytes that a half message's record holds beside the body: properties, envelope. */
	ECHO_DECISION_SIZE = 180,  /* Bytes of a decision. */
};

struct echo_options {
	uint16_t port;         /* On 127.0.0.1. */
	const char *log_path;  /* NULL = no log. */
	uint64_t log_size;     /* Bytes, zero-filled ahead. */
};

/* Serves until SIGTERM or SIGINT; prints one line that begins with "ready" when it accepts connections. */
enum status echo_serve(const struct echo_options *options, struct errinfo *err) MUST_USE;

#endif
