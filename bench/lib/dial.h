/* Where is the broker, and how is it reached? Blocking connects and single request-answer exchanges, for what happens
 * before and after a measurement.
 *
 * Threads: pure. */
#ifndef ESCROW_BENCH_DIAL_H
#define ESCROW_BENCH_DIAL_H

#include <stdint.h>

#include "bench/lib/frames.h"
#include "lib/base/status.h"

enum { DIAL_ADDRESS_SIZE = 64, DIAL_BROKERS_MAX = 32 };

/* Where to send: the masters of a topic, or the one address given by hand. */
struct route {
	uint32_t broker_count;
	char brokers[DIAL_BROKERS_MAX][DIAL_ADDRESS_SIZE]; /* "host:port" */
	uint32_t queue_count;                               /* Write queues that every master has. */
};

int64_t dial_now_ns(void); /* Monotonic. */

/* A connected, blocking TCP socket without Nagle's delay; `address` is "host:port". The caller closes it. */
enum status dial_connect(const char *address, int *fd_out, struct errinfo *err) MUST_USE;
/* Sends what is in `request` and reads one frame into `answer`, within 5 s; what came right behind it stays there, too. */
enum status dial_call(int fd, struct buffer *request, struct buffer *answer, struct header *header,
		      struct errinfo *err) MUST_USE;
/* Asks a name server for the topic, or for the template topic if nobody has it yet. */
enum status dial_route(const char *name_server, const char *topic, struct route *out, struct errinfo *err) MUST_USE;

#endif
