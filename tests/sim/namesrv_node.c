#include "tests/sim/namesrv_node.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/net/server.h"
#include "namesrv/handlers.h"
#include "tests/sim/engine.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"

enum { SCAN_MS = 1000, BROKER_TIMEOUT_MS = 20000 };

struct namesrv_node {
	struct process *process;
	char address[NET_ADDRESS_SIZE];
	struct namesrv namesrv;
	struct loop *loop;
	struct server *server;
	struct loop_timer scan;
	struct command command;
	struct command_scratch scratch;
};

static void on_frame(void *context, struct conn *conn, struct span frame)
{
	struct namesrv_node *node = context;
	struct errinfo err;

	if (command_decode(frame, &node->scratch, &node->command, &err) != ST_OK) {
		conn_close(conn, err.text);
		return;
	}
	if (command_is_response(&node->command))
		return;
	namesrv_serve(&node->namesrv, &node->command, conn_id(conn), conn_peer(conn)->text, loop_now_ms(node->loop),
		      conn_output(conn));
	conn_written(conn);
}

static void on_close(void *context, struct conn *conn)
{
	struct namesrv_node *node = context;

	route_table_connection_gone(node->namesrv.routes, conn_id(conn), namesrv_broker_gone, NULL);
}

static void on_scan(void *context)
{
	struct namesrv_node *node = context;

	route_table_expire(node->namesrv.routes, loop_now_ms(node->loop), namesrv_broker_gone, NULL);
}

void namesrv_node_start(struct namesrv_node *node)
{
	struct server_config config = { .name = "net", .bind_address = "0.0.0.0", .port = NAMESRV_PORT,
					.frame_size_max = 16 * 1024 * 1024, .connections_max = 1000,
					.connections_per_address_max = 1000, .output_bytes_max = 64 * 1024 * 1024 };
	struct server_callbacks callbacks = { node, on_frame, on_close };
	struct errinfo err;

	if (node->process->alive)
		return;
	process_begin(node->process);
	struct process *before = process_switch(node->process);
	node->namesrv = (struct namesrv){ .routes = route_table_create(BROKER_TIMEOUT_MS), .kv = kv_create() };
	node->loop = loop_create();
	node->scan = (struct loop_timer){ 0 };
	if (server_create(node->loop, &config, &callbacks, &node->server, &err) != ST_OK ||
	    loop_timer_start(node->loop, &node->scan, SCAN_MS, true, on_scan, node) != ST_OK)
		abort();
	process_switch(before);
}

/* After its process has ended. */
static void bury(struct namesrv_node *node)
{
	struct process *before = process_switch(node->process);

	loop_timer_stop(&node->scan);
	server_destroy(node->server);
	loop_destroy(node->loop);
	route_table_destroy(node->namesrv.routes);
	kv_destroy(node->namesrv.kv);
	process_switch(before);
}

static void on_start(void *context)
{
	namesrv_node_start(context);
}

void namesrv_node_restart(struct namesrv_node *node, int64_t again_after_us)
{
	if (!node->process->alive)
		return;
	note("%s: restarts", node->process->name);
	fault_seen(FAULT_NAMESRV);
	net_process_died(node->process, false);
	process_end(node->process);
	bury(node);
	engine_after(NULL, again_after_us, on_start, node);
}

struct namesrv_node *namesrv_node_create(const char *name)
{
	struct namesrv_node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		abort();
	node->process = engine_add_process(name);
	net_address(node->process, NAMESRV_PORT, node->address);
	return node;
}

void namesrv_node_destroy(struct namesrv_node *node)
{
	if (node == NULL)
		return;
	if (node->process->alive) {
		net_process_died(node->process, false);
		process_end(node->process);
		bury(node);
	}
	free(node);
}

struct process *namesrv_node_process(struct namesrv_node *node)
{
	return node->process;
}

const char *namesrv_node_address(const struct namesrv_node *node)
{
	return node->address;
}
