/* The broker process: puts core, handlers, disk, sockets, registrar and projector together and runs the loop.
 * Threads: broker_run is the loop thread; see docs/threading.md. */
#ifndef ESCROW_SHELL_BROKER_H
#define ESCROW_SHELL_BROKER_H

#include "broker/shell/broker_config.h"

/* Opens the store, serves until SIGTERM or SIGINT, ends in order. ST_OK: an orderly end; otherwise *err says in one
 * line why it could not start or had to stop. */
enum status broker_run(const struct broker_config *config, struct errinfo *err) MUST_USE;

#endif
