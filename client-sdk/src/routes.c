#include "client-sdk/src/routes.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/logging.h"
#include "lib/wire/headers.h"

enum {
	REFRESH_MS = 30000,
	REFRESH_SOON_MS = 500,
	MISS_FIRST_MS = 250,
	MISS_MAX_MS = 5000,
	ASK_TIMEOUT_MS = 2000,
	TEMPLATE_QUEUES_MAX = 4, /* RocketMQ's defaultTopicQueueNums. */
};

struct routes {
	struct loop *loop;
	struct client *client;
	struct name_servers servers;
	size_t server; /* The one in use. */
	struct topic_route *topics;
	route_callback on_route;
	void *context;
	bool stopped;
	struct log_gate gate;
};

enum status name_servers_parse(const char *text, struct name_servers *out, struct errinfo *err)
{
	*out = (struct name_servers){ 0 };
	for (const char *at = text; at != NULL && *at != '\0';) {
		size_t length = strcspn(at, ";, ");
		const char *colon = memrchr(at, ':', length);
		int32_t port;

		if (length == 0) {
			at++;
			continue;
		}
		if (length >= BROKER_ADDRESS_SIZE || colon == NULL || colon == at ||
		    span_to_i32((struct span){ (const uint8_t *)colon + 1, (size_t)(at + length - colon - 1) }, &port) != ST_OK ||
		    port < 1 || port > 65535)
			return errinfo_set(err, ST_INVALID, "name_servers: \"%.*s\" is not host:port", (int)(length > 80 ? 80 : length),
					   at);
		if (out->count == NAME_SERVERS_MAX)
			return errinfo_set(err, ST_INVALID, "name_servers: more than %d", NAME_SERVERS_MAX);
		memcpy(out->addresses[out->count++], at, length);
		at += length;
	}
	return out->count > 0 ? ST_OK : errinfo_set(err, ST_INVALID, "name_servers: none given (\"host:port;host:port\")");
}

static void ask(struct topic_route *route, const char *topic);
static void look_up(void *context);

static void again_in(struct topic_route *route, int64_t after_ms)
{
	if (route->routes->stopped)
		return;
	route->due_ms = loop_now_ms(route->routes->loop) + after_ms;
	/* Without memory for a timer the topic is asked about again when somebody needs it (routes_refresh). */
	if (loop_timer_start(route->routes->loop, &route->timer, after_ms, false, look_up, route) != ST_OK)
		log_warn("sdk", "no timer for a route", "topic=%s", route->topic);
}

/* The look-up is over; `view` (owned) may be NULL. */
static void finish(struct topic_route *route, struct route_view *view, bool from_template)
{
	struct routes *routes = route->routes;
	bool lost = view == NULL || (route->view != NULL && view->broker_count < route->view->broker_count);
	int64_t pause = MISS_FIRST_MS;

	route->asking = false;
	route->misses = lost ? route->misses + 1 : 0;
	for (unsigned i = 1; i < route->misses && pause < MISS_MAX_MS; i++)
		pause *= 2;
	if (pause > MISS_MAX_MS)
		pause = MISS_MAX_MS;
	again_in(route, lost ? pause : REFRESH_MS);
	/* A template never replaces what the topic had: its broker is down for a moment, the topic is not gone. */
	if (view != NULL && (!from_template || route->view == NULL || route->from_template)) {
		route_view_free(route->view);
		route->view = view;
		route->from_template = from_template;
	} else {
		route_view_free(view);
	}
	routes->on_route(routes->context, route);
}

static void next_server(struct routes *routes)
{
	routes->server = (routes->server + 1) % routes->servers.count;
}

static struct route_view *view_of(const struct command *response, bool from_template)
{
	struct route decoded;
	struct route_view *view = NULL;
	struct errinfo err;

	if (route_decode(response->body, &decoded, &err) != ST_OK) {
		log_warn("sdk", "route rejected", "reason=\"%s\"", err.text);
		return NULL;
	}
	if (route_view_make(&decoded, from_template ? TEMPLATE_QUEUES_MAX : 0, &view) != ST_OK)
		view = NULL;
	route_free(&decoded);
	return view;
}

static void failed(struct topic_route *route, const char *topic, const char *reason)
{
	struct routes *routes = route->routes;
	uint32_t suppressed;

	next_server(routes);
	if (++route->tries < routes->servers.count) {
		ask(route, topic);
		return;
	}
	if (log_gate_pass(&routes->gate, loop_now_ms(routes->loop), &suppressed))
		log_warn("sdk", "no name server answers", "topic=%s servers=%zu reason=\"%s\" suppressed=%u", topic,
			 routes->servers.count, reason, suppressed);
	route->unreachable = true;
	finish(route, NULL, false);
}

static void answered(struct topic_route *route, bool template, enum status status, const struct command *response,
		     const struct errinfo *err)
{
	const char *topic = template ? TOPIC_AUTO_CREATE : route->topic;

	if (status != ST_OK) {
		failed(route, topic, err->text);
		return;
	}
	route->unreachable = false;
	if (response->code == RESP_SUCCESS) {
		finish(route, view_of(response, template), template);
	} else if (response->code == RESP_TOPIC_NOT_EXIST) {
		route->tries = 0;
		if (route->publish && !template)
			ask(route, TOPIC_AUTO_CREATE);
		else
			finish(route, NULL, false);
	} else {
		failed(route, topic, response_code_name(response->code));
	}
}

static void on_answer(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	answered(context, false, status, response, err);
}

static void on_template_answer(void *context, enum status status, const struct command *response,
			       const struct errinfo *err)
{
	answered(context, true, status, response, err);
}

static void ask(struct topic_route *route, const char *topic)
{
	struct routes *routes = route->routes;
	struct route_header header = { .topic = span_of(topic), .accept_standard_json_only = true };
	struct errinfo err;
	if (routes->stopped)
		return;
	struct encoder *encoder = client_begin(routes->client, routes->servers.addresses[routes->server],
					       REQ_GET_ROUTEINFO_BY_TOPIC, false, &err);

	if (encoder == NULL) {
		failed(route, topic, err.text);
		return;
	}
	route_header_encode(encoder, &header);
	client_send(routes->client, ASK_TIMEOUT_MS, topic == route->topic ? on_answer : on_template_answer, route);
}

static void look_up(void *context)
{
	struct topic_route *route = context;

	if (route->asking)
		return;
	route->asking = true;
	route->tries = 0;
	ask(route, route->topic);
}

struct routes *routes_create(struct loop *loop, struct client *client, const struct name_servers *servers,
			     route_callback on_route, void *context)
{
	struct routes *routes = calloc(1, sizeof(*routes));

	if (routes != NULL)
		*routes = (struct routes){ .loop = loop, .client = client, .servers = *servers, .on_route = on_route,
					   .context = context };
	return routes;
}

void routes_destroy(struct routes *routes)
{
	struct topic_route *route, *next;

	if (routes == NULL)
		return;
	HASH_ITER(hh, routes->topics, route, next) {
		HASH_DEL(routes->topics, route); /* NOLINT(clang-analyzer-unix.Malloc): cannot follow uthash. */
		loop_timer_stop(&route->timer);
		route_view_free(route->view);
		free(route);
	}
	free(routes);
}

void routes_stop(struct routes *routes)
{
	routes->stopped = true;
	for (struct topic_route *route = routes->topics; route != NULL; route = route->hh.next)
		loop_timer_stop(&route->timer);
}

struct topic_route *routes_watch(struct routes *routes, const char *topic, bool publish)
{
	struct topic_route *route = NULL;

	HASH_FIND_STR(routes->topics, topic, route);
	if (route != NULL)
		return route;
	if (strlen(topic) >= ROUTE_TOPIC_SIZE || HASH_COUNT(routes->topics) >= ROUTE_TOPICS_MAX)
		return NULL;
	route = calloc(1, sizeof(*route));
	if (route == NULL)
		return NULL;
	route->routes = routes;
	route->publish = publish;
	snprintf(route->topic, sizeof(route->topic), "%s", topic);
	HASH_ADD_STR(routes->topics, topic, route);
	if (!table_took(route)) {
		free(route);
		return NULL;
	}
	again_in(route, 0); /* Never from inside: the caller first finishes what it does. */
	return route;
}

struct topic_route *routes_first(struct routes *routes)
{
	return routes->topics;
}

void routes_refresh(struct topic_route *route)
{
	if (!route->asking && route->due_ms > loop_now_ms(route->routes->loop) + REFRESH_SOON_MS)
		again_in(route, REFRESH_SOON_MS);
}

void routes_refresh_all(struct routes *routes)
{
	for (struct topic_route *route = routes->topics; route != NULL; route = route->hh.next)
		routes_refresh(route);
}
