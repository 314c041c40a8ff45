/* Options while the broker runs: which can be changed from remote, and what do they say now? (25, 26)
 *
 * A change is taken in whole or not at all. Only options on a list can be changed: those that every use looks up anew. What
 * is changed holds until the broker ends; what is to stay goes into its file, too.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_LIVE_CONFIG_H
#define ESCROW_SHELL_LIVE_CONFIG_H

#include "broker/handlers/handlers.h"
#include "broker/shell/broker_config.h"

struct live_config {
	struct broker_config *config;
	uint16_t port;             /* That it listens on. */
	int64_t counter;           /* Of changes. */
	int64_t changed_ms;        /* Wall time of the last one. */
	void *context;
	/* The config has changed: everybody who keeps a copy is told. */
	void (*changed)(void *context);
};

/* For the handlers. `live` outlives it. */
struct config_port live_config_port(struct live_config *live);

#endif
