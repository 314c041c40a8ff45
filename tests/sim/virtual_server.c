/* lib/net/server.h over the memory network, with the manners of the real one: all complete frames of what arrived are
 * handed over, answers leave at the end of the turn, a peer that does not read is not read from above a quarter of the
 * limit, and closed above it; begun frames and idle connections have their limits. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/logging.h"
#include "lib/net/server.h"
#include "lib/wire/frame.h"
#include "tests/sim/engine.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"

enum { SWEEP_MS = 1000, PARTIAL_FRAME_MS = 10 * 1000, IDLE_MS = 120 * 1000 };

struct conn {
	UT_hash_handle hh;
	struct conn *dirty_next, *closing_next;
	struct server *server;
	struct net_end *end;
	uint64_t id;
	struct buffer output;
	struct buffer input;      /* Frames that wait for room in `output`, and a partial one. */
	int64_t last_active_ms, partial_since_ms;
	bool dirty, closing, held, peer_gone;
	struct peer_address peer;
	void *user;
};

struct server {
	struct loop *loop;
	struct process *process;
	struct server_config config;
	struct server_callbacks callbacks;
	struct net_listener *listener;
	struct loop_timer sweep;
	struct conn *conns, *dirty, *closing;
	uint64_t next_id;
};

static void must(bool holds)
{
	if (!holds) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
}

/* Is there still a way to the peer? Not after it has gone, and not for a process that was killed. */
static bool has_way(const struct conn *conn)
{
	return !conn->peer_gone && conn->server->process->alive;
}

bool conn_output_full(const struct conn *conn)
{
	return buffer_size(&conn->output) > conn->server->config.output_bytes_max / 4;
}

void conn_close(struct conn *conn, const char *reason)
{
	if (conn->closing)
		return;
	if (reason != NULL)
		log_info(conn->server->config.name, "connection closed", "peer=%s reason=\"%s\"", conn->peer.text, reason);
	conn->closing = true;
	conn->closing_next = conn->server->closing;
	conn->server->closing = conn;
}

/* --- output --------------------------------------------------------------------------------------------------------- */

static void send_output(struct conn *conn)
{
	struct span rest = buffer_span(&conn->output);

	if (conn->closing || !has_way(conn) || rest.size == 0)
		return;
	size_t sent = net_send(conn->end, rest.data, rest.size);
	if (sent > 0)
		conn->last_active_ms = loop_now_ms(conn->server->loop);
	buffer_consume(&conn->output, sent);
}

struct buffer *conn_output(struct conn *conn)
{
	return &conn->output;
}

void conn_written(struct conn *conn)
{
	struct server *server = conn->server;

	if (conn->output.failed || buffer_size(&conn->output) > server->config.output_bytes_max) {
		event_seen(SEEN_OUTPUT_CAP);
		conn_close(conn, "it does not read its answers");
		return;
	}
	if (conn->dirty || conn->closing)
		return;
	conn->dirty = true;
	conn->dirty_next = server->dirty;
	server->dirty = conn;
}

/* --- input ---------------------------------------------------------------------------------------------------------- */

static void take_frames(struct conn *conn)
{
	struct server *server = conn->server;
	bool progress = false;

	conn->held = false;
	while (!conn->closing) {
		const char *reason;
		size_t size;

		if (conn_output_full(conn))
			send_output(conn);
		if (conn_output_full(conn)) {
			conn->held = true;
			break;
		}
		enum frame_verdict verdict = frame_scan(buffer_span(&conn->input), server->config.frame_size_max, &size, &reason);
		if (verdict == FRAME_PARTIAL)
			break;
		if (verdict == FRAME_BAD) {
			conn_close(conn, reason);
			break;
		}
		server->callbacks.on_frame(server->callbacks.context, conn,
					   (struct span){ conn->input.data + conn->input.start, size });
		buffer_consume(&conn->input, size);
		progress = true;
	}
	if (buffer_size(&conn->input) == 0 || conn->held)
		conn->partial_since_ms = 0;
	else if (progress || conn->partial_since_ms == 0)
		conn->partial_since_ms = loop_now_ms(server->loop);
	if (conn->partial_since_ms != 0)
		event_seen(SEEN_PARTIAL_FRAME);
	if (!conn->closing)
		net_set_reading(conn->end, !conn->held);
}

static void on_readable(void *context)
{
	struct conn *conn = context;
	struct span bytes = net_received(conn->end);

	if (conn->closing)
		return;
	conn->last_active_ms = loop_now_ms(conn->server->loop);
	buffer_append_span(&conn->input, bytes);
	net_take(conn->end, bytes.size);
	take_frames(conn);
}

static void on_writable(void *context)
{
	struct conn *conn = context;

	send_output(conn);
	if (conn->held && !conn->closing)
		take_frames(conn);
}

static void on_gone(void *context)
{
	struct conn *conn = context;

	conn->peer_gone = true;
	conn_close(conn, NULL);
}

/* --- life ----------------------------------------------------------------------------------------------------------- */

static void free_conn(struct conn *conn)
{
	struct server *server = conn->server;

	HASH_DEL(server->conns, conn);
	if (server->callbacks.on_close != NULL)
		server->callbacks.on_close(server->callbacks.context, conn);
	if (has_way(conn))
		net_close(conn->end);
	buffer_deinit(&conn->input);
	buffer_deinit(&conn->output);
	free(conn);
}

static void end_turn(void *context)
{
	struct server *server = context;
	struct conn *conn;

	/* The end of one connection may write to another. */
	for (;;) {
		while ((conn = server->dirty) != NULL) {
			server->dirty = conn->dirty_next;
			conn->dirty = false;
			send_output(conn);
		}
		if ((conn = server->closing) == NULL)
			break;
		server->closing = conn->closing_next;
		free_conn(conn);
	}
}

static void sweep(void *context)
{
	struct server *server = context;
	int64_t now = loop_now_ms(server->loop);
	struct conn *conn, *next;

	HASH_ITER(hh, server->conns, conn, next) {
		if (conn->partial_since_ms != 0 && now - conn->partial_since_ms > server->config.partial_frame_ms)
			conn_close(conn, "the rest of its frame did not come");
		else if (now - conn->last_active_ms > server->config.idle_ms)
			conn_close(conn, "idle");
	}
}

static void describe_peer(struct conn *conn)
{
	struct peer_address *peer = &conn->peer;
	uint32_t ip;

	net_peer_address(conn->end, &ip, &peer->port);
	peer->ip_size = 4;
	put_u32(peer->ip, ip);
	snprintf(peer->text, sizeof(peer->text), "%u.%u.%u.%u:%u", ip >> 24, ip >> 16 & 255, ip >> 8 & 255, ip & 255, peer->port);
}

static void on_accept(void *context, struct net_end *end)
{
	struct server *server = context;
	struct conn *conn = calloc(1, sizeof(*conn));
	struct net_calls calls = { conn, NULL, on_readable, on_writable, on_gone };

	must(conn != NULL);
	conn->server = server;
	conn->end = end;
	conn->id = ++server->next_id;
	conn->last_active_ms = loop_now_ms(server->loop);
	buffer_init(&conn->input, 0);
	buffer_init(&conn->output, server->config.output_bytes_max + server->config.frame_size_max);
	describe_peer(conn);
	net_attach(end, &calls);
	HASH_ADD(hh, server->conns, id, sizeof(conn->id), conn);
	if (HASH_COUNT(server->conns) > server->config.connections_max)
		conn_close(conn, "too many connections");
}

enum status server_create(struct loop *loop, const struct server_config *config, const struct server_callbacks *callbacks,
			  struct server **out, struct errinfo *err)
{
	struct server *server = calloc(1, sizeof(*server));

	must(server != NULL);
	server->loop = loop;
	server->process = process_current();
	server->config = *config;
	server->callbacks = *callbacks;
	if (server->config.partial_frame_ms == 0)
		server->config.partial_frame_ms = PARTIAL_FRAME_MS;
	if (server->config.idle_ms == 0)
		server->config.idle_ms = IDLE_MS;
	server->listener = net_listen(server->process, config->port, on_accept, server);
	if (server->listener == NULL) {
		free(server);
		return errinfo_set(err, ST_IO, "listen on port %u: in use", config->port);
	}
	must(loop_timer_start(loop, &server->sweep, SWEEP_MS, true, sweep, server) == ST_OK);
	loop_add_turn_end(loop, end_turn, server);
	*out = server;
	return ST_OK;
}

void server_stop_accepting(struct server *server)
{
	if (server->listener != NULL && server->process->alive)
		net_unlisten(server->listener);
	server->listener = NULL;
}

void server_destroy(struct server *server)
{
	struct conn *conn, *next;

	if (server == NULL)
		return;
	server_stop_accepting(server);
	loop_timer_stop(&server->sweep);
	HASH_ITER(hh, server->conns, conn, next)
		free_conn(conn);
	free(server);
}

uint16_t server_port(const struct server *server)
{
	return server->config.port;
}

bool server_has_output(const struct server *server)
{
	for (const struct conn *conn = server->conns; conn != NULL; conn = conn->hh.next) {
		if (buffer_size(&conn->output) > 0 && !conn->closing)
			return true;
	}
	return false;
}

uint32_t server_connection_count(const struct server *server)
{
	return HASH_COUNT(server->conns);
}

struct conn *server_find(struct server *server, uint64_t id)
{
	struct conn *conn = NULL;

	HASH_FIND(hh, server->conns, &id, sizeof(id), conn);
	return conn == NULL || conn->closing ? NULL : conn;
}

uint64_t conn_id(const struct conn *conn)
{
	return conn->id;
}

const struct peer_address *conn_peer(const struct conn *conn)
{
	return &conn->peer;
}

bool conn_is_closing(const struct conn *conn)
{
	return conn->closing;
}

void conn_set_user(struct conn *conn, void *user)
{
	conn->user = user;
}

void *conn_user(const struct conn *conn)
{
	return conn->user;
}
