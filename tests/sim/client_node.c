#include "tests/sim/client_node.h"

#include <stdio.h>
#include <string.h>

#include "lib/wire/body_config.h"
#include "lib/wire/body_route.h"
#include "lib/wire/headers.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/net.h"

enum { ROUTE_TIMEOUT_MS = 1000, ROUTE_FRESH_MS = 4000, ROUTE_PAUSE_MS = 200, TEMPLATE_QUEUES_MAX = 8 };

static const char *const *name_servers;

void client_node_use(const char *const addresses[NAME_SERVERS])
{
	name_servers = addresses;
}

/* --- life ------------------------------------------------------------------------------------------------------------- */

void client_node_init(struct client_node *node, const char *name)
{
	memset(node, 0, sizeof(*node));
	node->process = engine_add_process(name);
	for (int place = 0; place < PLACES_MAX; place++) {
		node->routes[place].node = node;
		node->routes[place].place = place;
	}
}

static void ignore_request(void *context, struct client_conn *conn, const struct command *request)
{
	(void)context;
	(void)conn;
	(void)request;
}

void client_node_start(struct client_node *node, const struct client_callbacks *callbacks)
{
	static const struct client_callbacks asks_only = { NULL, ignore_request, NULL };
	struct client_config config = { .name = "client" };

	process_begin(node->process);
	node->beat_lost = false;
	node->leaving = false;
	node->habits = chance_of(engine_seed(), CHANCE_CLIENT, (uint64_t)node->process->number, node->process->life);
	snprintf(node->id, sizeof(node->id), "10.0.0.%u@%u", node->process->ip & 255, node->process->life);
	struct process *before = process_switch(node->process);
	node->loop = loop_create();
	node->client = client_create(node->loop, &config, callbacks == NULL ? &asks_only : callbacks);
	process_switch(before);
}

void client_node_die(struct client_node *node)
{
	struct process *before = process_switch(node->process);

	node->dying = true;
	net_process_died(node->process, false);
	process_end(node->process);
	client_destroy(node->client);
	loop_destroy(node->loop);
	node->client = NULL;
	node->loop = NULL;
	for (int place = 0; place < PLACES_MAX; place++) {
		struct known_route *route = &node->routes[place];

		route_view_free(route->view);
		route->view = NULL;
		route->asking = false;
		route->asked_ms = 0;
	}
	node->dying = false;
	process_switch(before);
}

/* --- routes ----------------------------------------------------------------------------------------------------------- */

static void ask(struct known_route *known, bool template_route);

static void take_route(struct known_route *known, const struct command *answer, int32_t template_queues)
{
	struct route route;
	struct route_view *view;

	if (route_decode(answer->body, &route, NULL) != ST_OK)
		return;
	if (route_view_make(&route, template_queues, &view) == ST_OK) {
		route_view_free(known->view);
		known->view = view;
	}
	route_free(&route);
}

static void on_template(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct known_route *known = context;

	(void)err;
	known->asking = false;
	if (!known->node->dying && status == ST_OK && answer->code == RESP_SUCCESS)
		take_route(known, answer, settings()->queues);
}

static void on_route(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct known_route *known = context;

	(void)err;
	known->asking = false;
	if (known->node->dying || status != ST_OK)
		return;
	if (answer->code == RESP_SUCCESS)
		take_route(known, answer, 0);
	else if (answer->code == RESP_TOPIC_NOT_EXIST && known->place < TOPICS_MAX && known->view == NULL)
		ask(known, true);
}

static void ask(struct known_route *known, bool template_route)
{
	struct client_node *node = known->node;
	const char *address = name_servers[chance_below(&node->habits, NAME_SERVERS)];
	uint8_t text[256];
	struct route_header header = { .topic = template_route ? SPAN_LITERAL("TBW102") : model_place_name(known->place, text) };
	struct errinfo err;

	known->asked_ms = loop_now_ms(node->loop);
	struct encoder *encoder = client_begin(node->client, address, REQ_GET_ROUTEINFO_BY_TOPIC, false, &err);
	if (encoder == NULL)
		return;
	known->asking = true;
	route_header_encode(encoder, &header);
	client_send(node->client, ROUTE_TIMEOUT_MS, template_route ? on_template : on_route, known);
}

const struct route_view *client_route(struct client_node *node, int place)
{
	struct known_route *known = &node->routes[place];
	int64_t age = loop_now_ms(node->loop) - known->asked_ms;

	if (!known->asking && age >= (known->view == NULL ? ROUTE_PAUSE_MS : ROUTE_FRESH_MS))
		ask(known, false);
	return known->view;
}

void client_route_failed(struct client_node *node, int place)
{
	struct known_route *known = &node->routes[place];

	if (!known->asking && loop_now_ms(node->loop) - known->asked_ms >= ROUTE_PAUSE_MS)
		ask(known, false);
}

void client_put_group(struct encoder *encoder, const char *name)
{
	struct group_config config = group_config_default();
	struct json_writer writer;

	config.group_name = span_of(name);
	config.retry_max_times = settings()->retry_max_times;
	command_body(encoder);
	writer = json_writer_of(encoder->out);
	group_config_encode(&writer, &config);
}

void client_beat_answered(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct client_node *node = context;

	(void)answer;
	(void)err;
	node->beat_lost |= status != ST_OK;
}

void client_each_broker(struct client_node *node, void (*visit)(void *context, const char *address), void *context)
{
	bool done[BROKERS_MAX] = { false };

	for (int place = 0; place < PLACES_MAX; place++) {
		const struct route_view *view = node->routes[place].view;

		for (size_t i = 0; view != NULL && i < view->broker_count; i++) {
			const char *address = view_broker_address(&view->brokers[i], 0);
			int index = address == NULL ? -1 : broker_index_of_address(address);

			if (index < 0 || done[index])
				continue;
			done[index] = true;
			visit(context, address);
		}
	}
}
