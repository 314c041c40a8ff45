#include "broker/shell/topic_routes.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/assignment.h"
#include "lib/base/logging.h"
#include "lib/base/table.h"
#include "lib/wire/body_route.h"
#include "lib/wire/header_namesrv.h"
#include "lib/wire/names.h"

/* Two name servers can be asked one after the other while a request waits. */
enum { FETCH_TIMEOUT_MS = 900, FETCHES_MAX = 64, LOOK_MS = 100 };

struct topic_route {
	UT_hash_handle hh;
	struct topic_routes *routes;
	struct topic_queues *queues; /* NULL: no route is known. */
	bool fetching;
	bool answered;     /* By a name server, since wanted_ms: no route is then known because there is none. */
	int64_t wanted_ms; /* Without a route: since when requests wait for one. */
	int64_t needed_ms; /* By the last request. */
	int64_t fetch_ms;  /* When to ask (again). */
	uint32_t turn;     /* The table's, when it was asked for. */
	size_t topic_size;
	char topic[];
};

struct topic_routes {
	struct client *client;
	struct topic_routes_config config;
	struct topic_route *table;
	uint32_t fetch_count;
	uint32_t turn;     /* Which of several name servers. */
	int64_t now_ms;
	int64_t look_ms;
	struct log_gate gate;
};

static struct span topic_of(const struct topic_route *route)
{
	return (struct span){ (const uint8_t *)route->topic, route->topic_size };
}

/* --- asking --------------------------------------------------------------------------------------------------------------- */

static void say_refused(struct topic_route *route, const char *reason)
{
	uint32_t suppressed;

	if (log_gate_pass(&route->routes->gate, route->routes->now_ms, &suppressed))
		log_warn("routes", "route refused", "topic=%.*s reason=\"%s\" suppressed=%u", SPAN_ARGS(topic_of(route)), reason,
			 suppressed);
}

static void take_route(struct topic_route *route, struct span body)
{
	struct topic_queues *queues = NULL;
	struct errinfo err;
	struct route decoded;
	enum status status = route_decode(body, &decoded, &err);

	if (status == ST_OK) {
		status = topic_queues_make(&decoded, &queues, &err);
		route_free(&decoded);
	}
	if (status != ST_OK) {
		say_refused(route, err.text);
		return;
	}
	free(route->queues);
	route->queues = queues;
	route->fetch_ms = route->routes->now_ms + route->routes->config.refresh_ms;
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct topic_route *route = context;
	struct topic_routes *routes = route->routes;

	(void)err; /* The registrar says which name server cannot be reached. */
	route->fetching = false;
	routes->fetch_count--;
	if (status != ST_OK || (response->code != RESP_SUCCESS && response->code != RESP_TOPIC_NOT_EXIST)) {
		/* Once, however many requests that name server did not answer. */
		routes->turn += route->turn == routes->turn;
		return;
	}
	route->answered = true;
	if (response->code == RESP_SUCCESS) {
		take_route(route, response->body);
	} else if (topic_is_retry(topic_of(route)) && route->queues != NULL) {
		route->fetch_ms = routes->now_ms + routes->config.refresh_ms;
	} else {
		free(route->queues);
		route->queues = NULL;
	}
}

static void fetch(struct topic_route *route)
{
	struct topic_routes *routes = route->routes;
	struct route_header header = { topic_of(route), true };
	struct errinfo err;
	const char *address = routes->fetch_count < FETCHES_MAX ? routes->config.name_server(routes->config.context, routes->turn) : NULL;
	struct encoder *encoder = address == NULL ? NULL : client_begin(routes->client, address, REQ_GET_ROUTEINFO_BY_TOPIC, false, &err);

	if (encoder == NULL)
		return; /* It stays due. */
	route->fetching = true;
	route->turn = routes->turn;
	route->fetch_ms = routes->now_ms + ROUTE_RETRY_MS;
	routes->fetch_count++;
	route_header_encode(encoder, &header);
	client_send(routes->client, FETCH_TIMEOUT_MS, on_answer, route);
}

/* --- the table ------------------------------------------------------------------------------------------------------------ */

static void drop(struct topic_routes *routes, struct topic_route *route)
{
	if (table_took(route))
		HASH_DEL(routes->table, route);
	free(route->queues);
	free(route);
}

/* Whose turn it is to be forgotten. NULL: all are being asked for, which FETCHES_MAX rules out. */
static struct topic_route *least_needed(struct topic_routes *routes)
{
	struct topic_route *route, *next, *least = NULL;

	HASH_ITER(hh, routes->table, route, next) {
		if (route->fetching)
			continue;
		bool less = least == NULL || (route->queues == NULL && least->queues != NULL) ||
			    ((route->queues == NULL) == (least->queues == NULL) && route->needed_ms < least->needed_ms);
		if (less)
			least = route;
	}
	return least;
}

static struct topic_route *make(struct topic_routes *routes, struct span topic)
{
	struct topic_route *least = HASH_COUNT(routes->table) < ROUTES_MAX ? NULL : least_needed(routes);
	struct topic_route *route = calloc(1, sizeof(*route) + topic.size);

	if (route == NULL)
		return NULL;
	if (least != NULL)
		drop(routes, least);
	route->routes = routes;
	route->wanted_ms = route->fetch_ms = routes->now_ms;
	route->topic_size = topic.size;
	memcpy(route->topic, topic.data, topic.size);
	HASH_ADD_KEYPTR(hh, routes->table, route->topic, route->topic_size, route);
	if (table_took(route))
		return route;
	free(route);
	return NULL;
}

static enum status find(void *context, struct span topic, const struct topic_queues **out)
{
	struct topic_routes *routes = context;
	struct topic_route *route = NULL;

	*out = NULL;
	if (topic_name_check(topic, NULL) != ST_OK)
		return ST_OK;
	HASH_FIND(hh, routes->table, topic.data, topic.size, route);
	if (route == NULL)
		route = make(routes, topic);
	if (route == NULL)
		return ST_OK;
	route->needed_ms = routes->now_ms;
	*out = route->queues;
	if (route->queues != NULL)
		return ST_OK;
	if (!route->fetching && routes->now_ms >= route->fetch_ms) {
		if (route->answered) { /* It was not known then; it may be now. */
			route->answered = false;
			route->wanted_ms = routes->now_ms;
		}
		fetch(route);
	}
	return !route->answered && routes->now_ms - route->wanted_ms < ROUTE_WAIT_MS ? ST_AGAIN : ST_OK;
}

/* --- for the broker ------------------------------------------------------------------------------------------------------- */

struct topic_routes *topic_routes_create(struct client *client, const struct topic_routes_config *config)
{
	struct topic_routes *routes = calloc(1, sizeof(*routes));

	if (routes == NULL)
		return NULL;
	routes->client = client;
	routes->config = *config;
	return routes;
}

void topic_routes_destroy(struct topic_routes *routes)
{
	struct topic_route *route, *next;

	if (routes == NULL)
		return;
	HASH_ITER(hh, routes->table, route, next)
		drop(routes, route);
	free(routes);
}

struct route_port topic_routes_port(struct topic_routes *routes)
{
	return (struct route_port){ routes, find };
}

void topic_routes_tick(struct topic_routes *routes, int64_t now_ms)
{
	struct topic_route *route, *next;

	routes->now_ms = now_ms;
	if (now_ms < routes->look_ms)
		return;
	routes->look_ms = now_ms + LOOK_MS;
	HASH_ITER(hh, routes->table, route, next) {
		if (route->fetching)
			continue;
		/* Where there is no route, the next request has it looked for again. */
		if (now_ms - route->needed_ms >= ROUTE_IDLE_MS)
			drop(routes, route);
		else if (now_ms >= route->fetch_ms && (route->queues != NULL || !route->answered))
			fetch(route);
	}
}

size_t topic_routes_count(const struct topic_routes *routes)
{
	return HASH_COUNT(routes->table);
}
