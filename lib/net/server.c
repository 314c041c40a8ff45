#include "lib/net/server.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <utlist.h>
#include <unistd.h>

#include "lib/base/logging.h"
#include "lib/base/table.h"
#include "lib/net/output.h"
#include "lib/wire/frame.h"

enum { READ_SIZE = 256 * 1024, KEEP_BUFFER = 64 * 1024, SWEEP_MS = 1000, ACCEPT_PAUSE_MS = 100, LISTEN_BACKLOG = 1024,
       LISTENERS_MAX = 2 };
/* After that long without traffic a connection keeps no buffers. */
enum { TRIM_AFTER_MS = 5000 };
/* Descriptors that are not connections: the log, the listener, other clients of the process. */
enum { OTHER_DESCRIPTORS = 512 };

struct address_count {
	UT_hash_handle hh;
	uint8_t ip[16];
	uint32_t count;
};

struct conn {
	UT_hash_handle hh;
	struct conn *dirty_next;
	struct conn *closing_next;
	struct server *server;
	uint64_t id;
	int fd;
	struct event *read_event;
	struct event *write_event; /* Made when a write is short. */
	struct buffer input;       /* A partial frame. */
	struct buffer output;
	size_t input_counted;      /* Their parts of the server's totals. */
	size_t output_counted;
	int64_t last_active_ms;
	int64_t partial_since_ms;  /* 0: no partial frame. */
	bool seen_bytes;
	bool dirty;
	bool closing;
	bool reading;
	bool held;                 /* `input` may hold whole frames, which wait for room in `output`. */
	bool writing;              /* write_event is armed. */
	struct peer_address peer;
	struct address_count *address;
	void *user;
};

/* A listening socket; fd -1: none. */
struct listener {
	int fd;
	uint16_t port;
	struct event *event;
};

struct server {
	struct loop *loop;
	struct server_config config;
	struct server_callbacks callbacks;
	struct listener listeners[LISTENERS_MAX];
	struct loop_timer accept_pause;
	struct loop_timer sweep;
	struct conn *conns;
	struct conn *dirty;
	struct conn *closing;
	struct address_count *addresses;
	uint64_t next_id;
	size_t input_total;
	size_t output_total;
	struct log_gate bad_frame_gate, refuse_gate, close_gate;
	uint8_t read_buffer[READ_SIZE];
};

/* --- small steps --------------------------------------------------------------------------------------- */

static void log_gated(struct server *server, struct log_gate *gate, enum log_level level, const char *event,
		      const char *peer, const char *reason)
{
	uint32_t suppressed;

	if (log_gate_pass(gate, loop_now_ms(server->loop), &suppressed))
		log_event(level, server->config.name, event, "peer=%s reason=\"%s\" suppressed=%u", peer, reason, suppressed);
}

static void set_reading(struct conn *conn, bool reading)
{
	if (conn->reading == reading)
		return;
	conn->reading = reading;
	/* Time during which we did not read is not the peer's. */
	if (reading && conn->partial_since_ms != 0)
		conn->partial_since_ms = loop_now_ms(conn->server->loop);
	/* event_add and event_del fail only for lack of memory; the connection then ends by its idle limit. */
	if (reading)
		(void)event_add(conn->read_event, NULL);
	else
		(void)event_del(conn->read_event);
}

/* Keeps the sum over all connections; call whenever a connection's output has changed. */
static void count_output(struct conn *conn)
{
	conn->server->output_total += buffer_size(&conn->output) - conn->output_counted;
	conn->output_counted = buffer_size(&conn->output);
}

static void count_input(struct conn *conn)
{
	conn->server->input_total += buffer_size(&conn->input) - conn->input_counted;
	conn->input_counted = buffer_size(&conn->input);
}

bool conn_output_full(const struct conn *conn)
{
	const struct server *server = conn->server;
	bool crowded = server->output_total > server->config.output_total_max;

	return buffer_size(&conn->output) > (crowded ? KEEP_BUFFER : server->config.output_bytes_max / 4);
}

static void update_reading(struct conn *conn)
{
	set_reading(conn, !conn->closing && !conn_output_full(conn));
	/* What waits in `input` is served in the next turn, as if it had just come. */
	if (conn->reading && conn->held)
		event_active(conn->read_event, EV_READ, 0);
}

void conn_close(struct conn *conn, const char *reason)
{
	struct server *server = conn->server;

	if (conn->closing)
		return;
	if (reason != NULL)
		log_gated(server, &server->close_gate, LOGLEVEL_INFO, "connection closed", conn->peer.text, reason);
	conn->closing = true;
	conn->closing_next = server->closing;
	server->closing = conn;
	set_reading(conn, false);
}

/* --- input ----------------------------------------------------------------------------------------------- */

static void send_output(struct conn *conn);

/* True if the output has room for one more answer; writes it out if that helps. */
static bool make_room(struct conn *conn)
{
	if (conn_output_full(conn) && !conn->writing)
		send_output(conn);
	return !conn_output_full(conn);
}

/* Hands over the complete frames of `bytes`, while there is room for answers; returns how many bytes that were. */
static size_t take_frames(struct conn *conn, struct span bytes)
{
	struct server *server = conn->server;
	size_t taken = 0;

	while (!conn->closing) {
		struct span rest = { bytes.data + taken, bytes.size - taken };
		const char *reason;
		size_t size;

		if (!make_room(conn)) {
			conn->held = !conn->closing;
			return taken;
		}
		switch (frame_scan(rest, server->config.frame_size_max, &size, &reason)) {
		case FRAME_COMPLETE:
			server->callbacks.on_frame(server->callbacks.context, conn, (struct span){ rest.data, size });
			taken += size;
			break;
		case FRAME_PARTIAL:
			return taken;
		case FRAME_BAD:
			log_gated(server, &server->bad_frame_gate, LOGLEVEL_WARN, "frame rejected", conn->peer.text, reason);
			conn_close(conn, NULL);
			break;
		}
	}
	return bytes.size;
}

/* After take_frames: is the rest a frame that the peer has still to finish? */
static void note_partial(struct conn *conn, bool progress)
{
	if (buffer_size(&conn->input) == 0 || conn->held)
		conn->partial_since_ms = 0;
	else if (progress || conn->partial_since_ms == 0)
		conn->partial_since_ms = loop_now_ms(conn->server->loop);
}

/* Begun frames of all peers take more than their share of memory: who holds most of it goes, until it is enough.
 * Outside of callbacks, so nobody looks at those bytes. */
static void shed_input(struct server *server)
{
	while (server->input_total > server->config.input_total_max) {
		struct conn *conn, *largest = server->conns;

		for (conn = server->conns; conn != NULL; conn = conn->hh.next) {
			if (conn->input_counted > largest->input_counted)
				largest = conn;
		}
		conn_close(largest, "begun frames take too much memory, its most");
		buffer_deinit(&largest->input);
		count_input(largest);
	}
}

static void serve_held(struct conn *conn)
{
	conn->held = false;
	size_t taken = take_frames(conn, buffer_span(&conn->input));
	if (conn->closing)
		return;
	buffer_consume(&conn->input, taken);
	buffer_trim(&conn->input, KEEP_BUFFER);
	count_input(conn);
	note_partial(conn, taken > 0);
}

static void got_bytes(struct conn *conn, struct span bytes)
{
	struct span all = bytes;

	if (!conn->seen_bytes && bytes.data[0] == 0x16) {
		conn_close(conn, "TLS is not supported");
		return;
	}
	conn->seen_bytes = true;
	conn->last_active_ms = loop_now_ms(conn->server->loop);
	if (buffer_size(&conn->input) > 0) {
		buffer_append_span(&conn->input, bytes);
		if (conn->input.failed) {
			conn_close(conn, "no memory for its frame");
			return;
		}
		all = buffer_span(&conn->input);
	}
	size_t taken = take_frames(conn, all);
	if (conn->closing)
		return;
	if (buffer_size(&conn->input) > 0) {
		buffer_consume(&conn->input, taken);
		buffer_trim(&conn->input, KEEP_BUFFER);
	} else if (taken < all.size) {
		buffer_append(&conn->input, all.data + taken, all.size - taken);
		if (conn->input.failed)
			conn_close(conn, "no memory for its frame");
	}
	note_partial(conn, taken > 0);
	count_input(conn);
	shed_input(conn->server);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct conn *conn = context;
	struct server *server = conn->server;

	(void)what;
	if (conn->held && conn->reading)
		serve_held(conn);
	if (conn->closing || conn->held || !conn->reading)
		return;
	ssize_t got = recv(fd, server->read_buffer, READ_SIZE, 0);
	loop_time_passes(server->loop); /* What was received must not be older than it is. */
	if (got > 0)
		got_bytes(conn, (struct span){ server->read_buffer, (size_t)got });
	else if (got == 0)
		conn_close(conn, NULL);
	else if (errno != EAGAIN && errno != EINTR)
		conn_close(conn, NULL);
}

/* --- output ---------------------------------------------------------------------------------------------- */

static void on_writable(evutil_socket_t fd, short what, void *context)
{
	(void)fd;
	(void)what;
	send_output(context);
}

static void arm_write(struct conn *conn)
{
	if (conn->write_event == NULL)
		conn->write_event = event_new(loop_base(conn->server->loop), conn->fd, EV_WRITE | EV_PERSIST, on_writable, conn);
	if (conn->write_event == NULL || event_add(conn->write_event, NULL) != 0)
		conn_close(conn, "no memory to write to it");
	else
		conn->writing = true;
}

static void send_output(struct conn *conn)
{
	bool progress;

	if (conn->closing)
		return;
	enum status status = output_send(conn->fd, &conn->output, &progress);
	if (progress)
		conn->last_active_ms = loop_now_ms(conn->server->loop);
	if (status == ST_CLOSED) {
		conn_close(conn, NULL);
		return;
	}
	count_output(conn);
	bool left = status == ST_AGAIN;
	if (left && !conn->writing)
		arm_write(conn);
	if (!left && conn->writing) {
		(void)event_del(conn->write_event);
		conn->writing = false;
	}
	if (!left)
		buffer_trim(&conn->output, KEEP_BUFFER);
	update_reading(conn);
}

struct buffer *conn_output(struct conn *conn)
{
	return &conn->output;
}

void conn_written(struct conn *conn)
{
	struct server *server = conn->server;

	count_output(conn);
	if (conn->output.failed || buffer_size(&conn->output) > server->config.output_bytes_max) {
		conn_close(conn, "it does not read its answers");
		return;
	}
	if (conn->dirty || conn->closing)
		return;
	conn->dirty = true;
	conn->dirty_next = server->dirty;
	server->dirty = conn;
}

/* --- life ------------------------------------------------------------------------------------------------- */

static void free_conn(struct conn *conn)
{
	struct server *server = conn->server;

	HASH_DEL(server->conns, conn);
	if (server->callbacks.on_close != NULL)
		server->callbacks.on_close(server->callbacks.context, conn);
	event_free(conn->read_event);
	if (conn->write_event != NULL)
		event_free(conn->write_event);
	close(conn->fd);
	server->input_total -= conn->input_counted;
	buffer_deinit(&conn->input);
	server->output_total -= conn->output_counted;
	buffer_deinit(&conn->output);
	if (--conn->address->count == 0) {
		HASH_DEL(server->addresses, conn->address);
		free(conn->address);
	}
	free(conn);
}

/* Turn end: writes what the turn produced, then frees what it closed. */
static void end_turn(void *context)
{
	struct server *server = context;
	struct conn *conn;

	/* The end of one connection may write to another and may close it: nothing is freed while it is in the dirty list. */
	for (;;) {
		while ((conn = server->dirty) != NULL) {
			server->dirty = conn->dirty_next;
			conn->dirty = false;
			if (!conn->writing)
				send_output(conn);
			else
				update_reading(conn);
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
		if (conn->reading && conn->partial_since_ms != 0 &&
		    now - conn->partial_since_ms > server->config.partial_frame_ms)
			conn_close(conn, "the rest of its frame did not come");
		else if (now - conn->last_active_ms > server->config.idle_ms)
			conn_close(conn, "idle");
		if (now - conn->last_active_ms > TRIM_AFTER_MS) {
			buffer_trim(&conn->input, 0);
			buffer_trim(&conn->output, 0);
		}
	}
}

static struct address_count *count_address(struct server *server, const struct peer_address *peer)
{
	struct address_count *address = NULL;

	HASH_FIND(hh, server->addresses, peer->ip, sizeof(peer->ip), address);
	if (address == NULL) {
		address = calloc(1, sizeof(*address));
		if (address == NULL)
			return NULL;
		memcpy(address->ip, peer->ip, sizeof(address->ip));
		HASH_ADD(hh, server->addresses, ip, sizeof(address->ip), address);
		if (!table_took(address)) {
			free(address);
			return NULL;
		}
	}
	address->count++;
	return address;
}

static void refuse(struct server *server, int fd, const struct peer_address *peer, const char *reason)
{
	log_gated(server, &server->refuse_gate, LOGLEVEL_WARN, "connection refused", peer->text, reason);
	close(fd);
}

static void add_conn(struct server *server, int fd, const struct sockaddr_storage *from)
{
	struct conn *conn = calloc(1, sizeof(*conn));
	struct peer_address peer = { 0 };
	int on = 1;

	address_describe(from, &peer);
	struct address_count *address = conn == NULL ? NULL : count_address(server, &peer);
	if (address == NULL) {
		free(conn);
		refuse(server, fd, &peer, "out of memory");
		return;
	}
	conn->server = server;
	conn->fd = fd;
	conn->peer = peer;
	conn->address = address;
	conn->id = ++server->next_id;
	conn->last_active_ms = loop_now_ms(server->loop);
	buffer_init(&conn->input, (size_t)server->config.frame_size_max + READ_SIZE);
	buffer_init(&conn->output, server->config.output_bytes_max + server->config.frame_size_max);
	HASH_ADD(hh, server->conns, id, sizeof(conn->id), conn);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (table_took(conn))
		conn->read_event = event_new(loop_base(server->loop), fd, EV_READ | EV_PERSIST, on_readable, conn);
	if (conn->read_event == NULL) {
		if (table_took(conn))
			HASH_DEL(server->conns, conn);
		if (--address->count == 0) {
			HASH_DEL(server->addresses, address);
			free(address);
		}
		free(conn);
		refuse(server, fd, &peer, "out of memory");
		return;
	}
	update_reading(conn);
	if (HASH_COUNT(server->conns) > server->config.connections_max)
		conn_close(conn, "too many connections");
	else if (address->count > server->config.connections_per_address_max)
		conn_close(conn, "too many connections from its address");
}

static void resume_accepting(void *context)
{
	struct server *server = context;

	for (int i = 0; i < LISTENERS_MAX; i++) {
		if (server->listeners[i].event != NULL)
			(void)event_add(server->listeners[i].event, NULL);
	}
}

static void pause_accepting(struct server *server)
{
	for (int i = 0; i < LISTENERS_MAX; i++) {
		if (server->listeners[i].event != NULL)
			(void)event_del(server->listeners[i].event);
	}
	if (loop_timer_start(server->loop, &server->accept_pause, ACCEPT_PAUSE_MS, false, resume_accepting, server) != ST_OK)
		resume_accepting(server);
}

static void on_acceptable(evutil_socket_t listener, short what, void *context)
{
	struct server *server = context;

	(void)what;
	for (int i = 0; i < 64; i++) {
		struct sockaddr_storage from;
		socklen_t size = sizeof(from);
		int fd = accept4(listener, (struct sockaddr *)&from, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd >= 0) {
			add_conn(server, fd, &from);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
			log_gated(server, &server->refuse_gate, LOGLEVEL_ERROR, "cannot accept", "-", strerror(errno));
			pause_accepting(server);
		}
		return;
	}
}

/* --- the listening sockets ---------------------------------------------------------------------------------- */

static enum status bind_listener(struct server *server, uint16_t port, struct listener *listener, struct errinfo *err)
{
	const struct server_config *config = &server->config;
	struct socket_address address;
	struct peer_address bound;
	int on = 1;
	enum status status = address_of_literal(config->bind_address, port, &address, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "bindAddress");
	listener->fd = socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener->fd < 0)
		return errinfo_set(err, ST_IO, "open a socket: %s", strerror(errno));
	setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (bind(listener->fd, (struct sockaddr *)&address.storage, address.size) != 0 ||
	    listen(listener->fd, LISTEN_BACKLOG) != 0)
		return errinfo_set(err, ST_IO, "listen on %s:%u: %s%s", config->bind_address, port, strerror(errno),
				   errno == EADDRINUSE ? "; stop the other process or set another listenPort" : "");
	if (getsockname(listener->fd, (struct sockaddr *)&address.storage, &address.size) != 0)
		return errinfo_set(err, ST_IO, "getsockname: %s", strerror(errno));
	address_describe(&address.storage, &bound);
	listener->port = bound.port;
	return ST_OK;
}

static void close_listener(struct listener *listener)
{
	if (listener->event != NULL)
		event_free(listener->event);
	if (listener->fd >= 0)
		close(listener->fd);
	listener->event = NULL;
	listener->fd = -1;
}

static enum status listen_on(struct server *server, uint16_t port, struct listener *listener, struct errinfo *err)
{
	enum status status = bind_listener(server, port, listener, err);

	if (status == ST_OK) {
		listener->event = event_new(loop_base(server->loop), listener->fd, EV_READ | EV_PERSIST, on_acceptable, server);
		if (listener->event == NULL || event_add(listener->event, NULL) != 0)
			status = errinfo_set(err, ST_NOMEM, "no memory for the server");
	}
	if (status != ST_OK)
		close_listener(listener);
	return status;
}

static enum status start_listening(struct server *server, struct errinfo *err)
{
	enum status status = listen_on(server, server->config.port, &server->listeners[0], err);
	struct errinfo why;

	if (status == ST_OK && server->config.second_port != 0 &&
	    listen_on(server, server->config.second_port, &server->listeners[1], &why) != ST_OK)
		log_warn(server->config.name, "the second port is left out", "reason=\"%s\"", why.text);
	return status;
}

/* Shells start programs with 1024 descriptors, whatever the machine allows. As many as that: a broker has one for each segment of
 * its log, too, and nobody knows how many there will be. With too few connections are refused, so that the log gets its own. */
static void raise_descriptor_limit(struct server_config *config)
{
	rlim_t wanted = (rlim_t)config->connections_max + OTHER_DESCRIPTORS;
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || (limit.rlim_cur == limit.rlim_max && limit.rlim_cur >= wanted))
		return;
	struct rlimit raised = { limit.rlim_max, limit.rlim_max };
	if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
		limit = raised;
	if (limit.rlim_cur >= wanted)
		return;
	rlim_t others = limit.rlim_cur > 2 * OTHER_DESCRIPTORS ? OTHER_DESCRIPTORS : limit.rlim_cur / 2;
	config->connections_max = (uint32_t)(limit.rlim_cur - others);
	log_warn(config->name, "fewer descriptors than connections",
		 "descriptors=%llu connections=%u hint=\"raise the hard limit (ulimit -Hn)\"",
		 (unsigned long long)limit.rlim_cur, config->connections_max);
}

enum status server_create(struct loop *loop, const struct server_config *config,
			  const struct server_callbacks *callbacks, struct server **out, struct errinfo *err)
{
	struct server *server = calloc(1, sizeof(*server));

	if (server == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the server");
	server->loop = loop;
	server->config = *config;
	server->callbacks = *callbacks;
	for (int i = 0; i < LISTENERS_MAX; i++)
		server->listeners[i].fd = -1;
	if (server->config.partial_frame_ms == 0)
		server->config.partial_frame_ms = 10 * 1000;
	if (server->config.output_total_max == 0)
		server->config.output_total_max = 256 * 1024 * 1024;
	if (server->config.input_total_max == 0)
		server->config.input_total_max = 256 * 1024 * 1024;
	if (server->config.idle_ms == 0)
		server->config.idle_ms = 120 * 1000;
	enum status status = start_listening(server, err);
	if (status == ST_OK && loop_timer_start(loop, &server->sweep, SWEEP_MS, true, sweep, server) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "no memory for the server");
	if (status != ST_OK) {
		server_destroy(server);
		return status;
	}
	raise_descriptor_limit(&server->config);
	loop_add_turn_end(loop, end_turn, server);
	*out = server;
	return ST_OK;
}

void server_stop_accepting(struct server *server)
{
	loop_timer_stop(&server->accept_pause);
	for (int i = 0; i < LISTENERS_MAX; i++)
		close_listener(&server->listeners[i]);
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
	return server->listeners[0].port;
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
