/* The serving side: a listening socket and its connections, cut into frames.
 *
 * All complete frames of one read are handed over in one turn; answers are appended to the connection's output buffer
 * and leave with one write per connection at the end of the turn. Input is read into one buffer that all connections
 * share, and only a partial frame is kept, so idle connections cost little.
 * Limits: frame size, connections in all and per address, begun frames of all, unread output (above a quarter of the
 * limit the peer's requests wait, above it the connection is closed), 10 s for the rest of a begun frame, idle time.
 * Connections are named by ids that are never used again; a closed connection's id finds nothing.
 * Threads: the loop thread. */
#ifndef ESCROW_NET_SERVER_H
#define ESCROW_NET_SERVER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/net/address.h"
#include "lib/net/loop.h"

struct server;
struct conn;

struct server_config {
	const char *name;          /* Module name in log lines. */
	const char *bind_address;  /* IPv4 or IPv6 literal. */
	uint16_t port;             /* 0: any free one. */
	uint16_t second_port;      /* Leads to the same server; 0: none. That it is taken is only a warning. */
	uint32_t frame_size_max;
	uint32_t connections_max;
	uint32_t connections_per_address_max;
	size_t output_bytes_max;
	size_t output_total_max;   /* Of all connections: beyond it each may hold 64 KiB only; 0 = 256 MiB. */
	size_t input_total_max;    /* Begun frames of all connections: beyond it the largest is closed; 0 = 256 MiB. */
	int64_t partial_frame_ms;  /* 0 = 10 s. */
	int64_t idle_ms;           /* 0 = 120 s. */
};

struct server_callbacks {
	void *context;
	/* One whole frame; borrowed, valid during the call. The connection may be closed inside. */
	void (*on_frame)(void *context, struct conn *conn, struct span frame);
	/* Exactly once per connection, after its last on_frame. May be NULL. */
	void (*on_close)(void *context, struct conn *conn);
};

/* Listens. ST_IO: port taken and the like; the text names address and port. Registers a turn-end hook that writes the
 * output: add hooks that produce output before. Raises the process's soft limit of descriptors to the hard
 * one; if that is too low for connections_max it warns, and takes fewer connections. */
enum status server_create(struct loop *loop, const struct server_config *config,
			  const struct server_callbacks *callbacks, struct server **out, struct errinfo *err) MUST_USE;
/* Closes everything without waiting. */
void server_destroy(struct server *server);
uint16_t server_port(const struct server *server);
void server_stop_accepting(struct server *server);
/* True while some connection has output that its peer has not taken. */
bool server_has_output(const struct server *server);
uint32_t server_connection_count(const struct server *server);
struct conn *server_find(struct server *server, uint64_t conn_id);
uint64_t conn_id(const struct conn *conn);
const struct peer_address *conn_peer(const struct conn *conn);
/* Where answers go: append whole frames, then conn_written. */
struct buffer *conn_output(struct conn *conn);
void conn_written(struct conn *conn);
/* More than a quarter of the limit is unread (see above). */
bool conn_output_full(const struct conn *conn);
/* Closes at the end of the turn; `reason` is logged when not NULL. Nothing more is read or handed over. */
void conn_close(struct conn *conn, const char *reason);
bool conn_is_closing(const struct conn *conn);
/* A pointer of the user's. */
void conn_set_user(struct conn *conn, void *user);
void *conn_user(const struct conn *conn);

#endif
