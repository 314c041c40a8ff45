/* Routes of the topics whose queues this broker shares out (400): asked of a name server when a topic is first needed, kept,
 * and asked again from time to time as long as somebody needs them.
 *
 * A request for a topic that is not known yet is parked (deferred.h) until the name server has answered, for at most
 * ROUTE_WAIT_MS. What was known stays while no name server answers. A name server that does not know the topic ends what was known
 * of it, but not of a retry topic, which may only be late in coming. Bounded: beyond ROUTES_MAX topics the one that was needed the
 * longest ago is forgotten, those without a route first.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_TOPIC_ROUTES_H
#define ESCROW_SHELL_TOPIC_ROUTES_H

#include "broker/handlers/handlers.h"
#include "lib/net/client.h"

enum { ROUTES_MAX = 4096, ROUTE_WAIT_MS = 2000, ROUTE_RETRY_MS = 1000, ROUTE_IDLE_MS = 5 * 60 * 1000 };

struct topic_routes;

struct topic_routes_config {
	int64_t refresh_ms; /* How old a route may become. */
	void *context;
	/* Whom to ask: the address of a name server that can be reached, another one for another `turn` if there are several.
	 * NULL: none. */
	const char *(*name_server)(void *context, uint32_t turn);
};

/* NULL without memory. */
struct topic_routes *topic_routes_create(struct client *client, const struct topic_routes_config *config);
/* After the client. NULL is allowed. */
void topic_routes_destroy(struct topic_routes *routes);
/* For the handlers. */
struct route_port topic_routes_port(struct topic_routes *routes);
/* Asks for what is due and drops what nobody needs; from time to time, never from inside a callback of the client. */
void topic_routes_tick(struct topic_routes *routes, int64_t now_ms);
/* Topics that it holds, with a route or without. */
size_t topic_routes_count(const struct topic_routes *routes);

#endif
