/* What both daemons do at their start and end: signals, the "ready" line, the one error line.
 * Threads: the main thread. */
#ifndef ESCROW_NET_SERVICE_H
#define ESCROW_NET_SERVICE_H

#include "lib/net/loop.h"

/* Ignores SIGPIPE; SIGTERM and SIGINT call `stop` in the loop. */
enum status service_signals(struct loop *loop, loop_callback stop, void *context, struct errinfo *err) MUST_USE;
/* Options that both have. Sets the level of log lines; ST_INVALID names what is allowed. */
enum status service_log_level(const char *text, struct errinfo *err) MUST_USE;
/* bindAddress against allowInsecure: without authentication only loopback is served, unless told otherwise. ST_DENIED. */
enum status service_check_exposure(const char *bind_address, bool allow_insecure, struct errinfo *err) MUST_USE;
/* Exactly one line on standard output, for whoever started us: "ready NAME host:port". */
void service_ready(const char *name, const char *host, unsigned port);
/* One line on standard error; returns the exit code 1. */
int service_fail(const char *name, const struct errinfo *err);

#endif
