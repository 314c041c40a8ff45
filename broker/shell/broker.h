/* The broker process: puts core, handlers, disk, sockets, registrar and projector together and runs the loop.
 * Threads: all functions are the loop thread's; see docs/threading.md. */
#ifndef ESCROW_SHELL_BROKER_H
#define ESCROW_SHELL_BROKER_H

#include "broker/shell/broker_config.h"

struct broker;
struct core;

/* Opens store, port and everything around them, and says "ready"; it serves as long as its loop turns. `config` outlives
 * it. On failure nothing is held. */
enum status broker_open(const struct broker_config *config, struct broker **out, struct errinfo *err) MUST_USE;
/* Ends in order, or, after a failure of the log, without another write; that failure is returned. */
enum status broker_close(struct broker *broker, struct errinfo *err) MUST_USE;
/* Its state, for tests that look inside. */
struct core *broker_core(const struct broker *broker);

/* Opens the store, serves until SIGTERM or SIGINT, ends in order. ST_OK: an orderly end; otherwise *err says in one
 * line why it could not start or had to stop. */
enum status broker_run(const struct broker_config *config, struct errinfo *err) MUST_USE;

#endif
