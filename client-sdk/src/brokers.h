/* Which brokers do we know, and do they know us? Heartbeats to every broker of the topics in use.
 *
 * A broker is beaten as soon as a route names it, every 30 s, and after a lost connection again and again (100 ms to
 * 500 ms apart) until it answers: that re-connects, and a broker that comes back learns within a moment whom it can ask
 * about its open transactions. A broker that no route names any more is kept for ten minutes, because name servers
 * forget a broker the moment it dies.
 * Threads: the loop thread. */
#ifndef ESCROW_SDK_BROKERS_H
#define ESCROW_SDK_BROKERS_H

#include "client-sdk/src/route_view.h"
#include "client-sdk/src/routes.h"
#include "lib/base/table.h"
#include "lib/net/client.h"
#include "lib/wire/body_heartbeat.h"

enum { BROKERS_MAX = 1024 };

struct brokers;

struct broker {
	UT_hash_handle hh; /* By address. */
	struct brokers *brokers;
	char address[BROKER_ADDRESS_SIZE];
	char name[BROKER_NAME_SIZE];
	int64_t broker_id;
	bool routed;
	int64_t unrouted_since_ms;
	bool beating;         /* A heartbeat is under way. */
	bool acknowledged;    /* Answered a heartbeat since the connection was made. */
	bool idempotent;      /* An EscrowMQ broker: repetitions of halves and decisions are harmless. */
	uint32_t disconnects; /* Connections that stood and are gone. */
	unsigned failures;    /* Heartbeats in a row without an answer. */
	struct loop_timer timer;
};

struct brokers_config {
	struct loop *loop;
	struct client *client;
	bool slaves; /* Consumers beat all addresses, producers only masters. */
	void *context;
	/* Fills groups and subscriptions; what it points at stays valid until the next call. */
	void (*fill_heartbeat)(void *context, struct heartbeat *out);
	/* The first heartbeat answered on a connection. */
	void (*on_acknowledged)(void *context, struct broker *broker);
};

struct brokers *brokers_create(const struct brokers_config *config);
void brokers_destroy(struct brokers *brokers);
/* After a change of routes. */
void brokers_sync(struct brokers *brokers, struct topic_route *routes);
/* For client_callbacks.on_disconnect. */
void brokers_disconnected(struct brokers *brokers, const char *address);
struct broker *brokers_find(struct brokers *brokers, const char *address);
/* The master of that name as far as known, preferring one that a route names; NULL. */
struct broker *brokers_master(struct brokers *brokers, const char *name);
struct broker *brokers_first(struct brokers *brokers);
/* Beats now (a subscription changed, or the broker says it does not know us). */
void brokers_beat(struct broker *broker);
/* No more heartbeats. */
void brokers_stop(struct brokers *brokers);
/* Heartbeats answered so far; any thread. */
uint64_t brokers_acknowledged_count(struct brokers *brokers);

#endif
