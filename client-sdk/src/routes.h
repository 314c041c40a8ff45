/* Where are the topics? The routes of the topics in use, kept fresh from the name servers.
 *
 * A watched topic is looked up at once and then every 30 s, or soon again while it has no route or a part of it is
 * gone. One name server is asked until it fails, then the next. A route that disappears (its broker is down: name
 * servers forget it at once) stays in use as stale, so that the broker is found again when it returns.
 * Threads: the loop thread. */
#ifndef ESCROW_SDK_ROUTES_H
#define ESCROW_SDK_ROUTES_H

#include "client-sdk/src/route_view.h"
#include "lib/base/table.h"
#include "lib/net/client.h"

enum { ROUTE_TOPIC_SIZE = 256, NAME_SERVERS_MAX = 16, ROUTE_TOPICS_MAX = 4096 };

struct routes;

struct topic_route {
	UT_hash_handle hh;
	struct routes *routes;
	char topic[ROUTE_TOPIC_SIZE];
	bool publish;            /* May be created from TBW102. */
	bool from_template;
	bool unreachable;        /* The last look-up reached no name server. */
	struct route_view *view; /* NULL: none found yet. */
	unsigned misses;         /* Look-ups in a row without a result. */
	unsigned tries;          /* Name servers asked in this look-up. */
	bool asking;
	int64_t due_ms;          /* Of the timer. */
	struct loop_timer timer;
};

struct name_servers {
	char addresses[NAME_SERVERS_MAX][BROKER_ADDRESS_SIZE];
	size_t count;
};

/* "host:port;host:port", also with commas. ST_INVALID, naming the bad part. */
enum status name_servers_parse(const char *text, struct name_servers *out, struct errinfo *err) MUST_USE;

/* A look-up has ended: the route is new, changed, or (view NULL) missing. */
typedef void (*route_callback)(void *context, struct topic_route *route);

struct routes *routes_create(struct loop *loop, struct client *client, const struct name_servers *servers,
			     route_callback on_route, void *context);
/* Asks no more. */
void routes_stop(struct routes *routes);
void routes_destroy(struct routes *routes);
/* Starts watching, or returns the topic as it is watched. NULL: no memory or too many topics. */
struct topic_route *routes_watch(struct routes *routes, const char *topic, bool publish);
/* All watched topics, for HASH_ITER. */
struct topic_route *routes_first(struct routes *routes);
/* Asks again soon (not more than twice a second). */
void routes_refresh(struct topic_route *route);
void routes_refresh_all(struct routes *routes);

#endif
