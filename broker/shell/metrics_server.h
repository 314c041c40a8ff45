/* Where can Prometheus scrape this broker? An HTTP server that answers GET /metrics, on the broker's loop.
 *
 * An answer leaves in slices, each made when the one before has been taken by the peer, so that neither a long answer nor a slow
 * reader holds up the broker. SCRAPES_MAX at once, further ones get a 503; a peer that is silent for some seconds is left.
 * Threads: the loop thread. */
#ifndef ESCROW_METRICS_SERVER_H
#define ESCROW_METRICS_SERVER_H

#include "broker/handlers/handlers.h"
#include "lib/net/loop.h"

struct metrics_server;

/* Listens on host:port (0: a free one) and says in the log where. `handlers` outlives it. ST_IO (the address cannot be taken),
 * ST_NOMEM. */
enum status metrics_server_create(struct loop *loop, const char *host, uint16_t port, const struct handlers *handlers,
				  struct metrics_server **out, struct errinfo *err) MUST_USE;
uint16_t metrics_server_port(const struct metrics_server *server);
/* Drops what is under way. NULL is allowed. */
void metrics_server_destroy(struct metrics_server *server);

#endif
