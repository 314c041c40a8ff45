/* A process that is a client: its loop, its connections, and its picture of which brokers serve a topic.
 *
 * Routes are asked for at a name server, kept, and asked for again after a while or when something failed; a topic that does
 * not exist yet has the template's route. The SDK's route_view turns them into lists of queues.
 * Threads: one. */
#ifndef ESCROW_SIM_CLIENT_NODE_H
#define ESCROW_SIM_CLIENT_NODE_H

#include <stdbool.h>
#include <stdint.h>

#include "client-sdk/src/route_view.h"
#include "lib/net/client.h"
#include "tests/sim/chance.h"
#include "tests/sim/model.h"

struct process;

struct known_route {
	struct route_view *view; /* NULL: not known. */
	bool asking;
	int64_t asked_ms;
	struct client_node *node;
	int place;
};

struct client_node {
	struct process *process;
	struct loop *loop;       /* NULL: it does not run. */
	struct client *client;
	char id[48];             /* clientId; changes with each start. */
	struct chance habits;
	bool leaving;            /* It has begun to say goodbye (leaving.h), to come back */
	int64_t away_us;         /* after so long. */
	bool dying;              /* Callbacks that come now are only the end of what was under way. */
	bool beat_lost;          /* A heartbeat of this life was not answered: it may still arrive, and say that we are there. */
	struct known_route routes[PLACES_MAX];
	struct command_scratch scratch;
};

/* Addresses of name servers, for all clients. */
enum { NAME_SERVERS = 2 };
void client_node_use(const char *const name_servers[NAME_SERVERS]);

void client_node_init(struct client_node *node, const char *name);
/* Starts the process; the caller's timers and state come after. NULL: nothing that is asked of it is answered. */
void client_node_start(struct client_node *node, const struct client_callbacks *callbacks);
/* Ends it as kill -9 does: every request that is under way ends with ST_CLOSED while `dying` is set. */
void client_node_die(struct client_node *node);

/* The route of a place's topic, NULL while it is not known; asks for it if need be. */
const struct route_view *client_route(struct client_node *node, int place);
/* It did not serve: to be asked for again soon. */
void client_route_failed(struct client_node *node, int place);

/* The body of a request that makes a consumer group, or sets it anew, as this seed has them. */
void client_put_group(struct encoder *encoder, const char *name);

/* The callback of a heartbeat; `node` is its context. */
void client_beat_answered(void *node, enum status status, const struct command *answer, const struct errinfo *err);
/* Heartbeats to every broker whose address is known from routes. */
void client_each_broker(struct client_node *node, void (*visit)(void *context, const char *address), void *context);

#endif
