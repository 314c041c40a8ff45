/* The asking side: requests to any number of addresses, one connection each, answers matched by opaque.
 *
 * A request to an address without a connection starts one; requests wait until it stands, within their own time-outs.
 * Every request ends in exactly one call of its callback, never from inside client_request. Requests that the other
 * side begins (check-backs, notifications) are handed to on_request.
 * An address is "host:port" or "[IPv6]:port"; a name that is no literal is resolved when connecting, which may block:
 * give literals where that matters. If a name has several addresses, they are tried one after the other. After a failed
 * attempt, and for RETRY_PAUSE_MS, requests to that address fail at once.
 * A peer from which nothing at all came while a request ran into a time-out of silence_ms or more is taken for gone: its
 * connection is closed (its other requests end with ST_CLOSED), and the next request connects anew. So a dead path that
 * nobody closed (a pulled cable, a proxy that swallows bytes) does not hold a client until TCP gives up.
 * Limits: frame size, requests in flight per connection, output bytes.
 * Threads: the loop thread. */
#ifndef ESCROW_NET_CLIENT_H
#define ESCROW_NET_CLIENT_H

#include "lib/net/loop.h"
#include "lib/wire/command.h"

struct client;
struct client_conn;

struct client_config {
	const char *name;           /* Module name in log lines. */
	uint32_t frame_size_max;    /* 0 = 16 MiB. */
	uint32_t in_flight_max;     /* Per connection; 0 = 4096. */
	size_t output_bytes_max;    /* 0 = 64 MiB. */
	int64_t connect_timeout_ms; /* For each address of a name; 0 = 3 s. */
	int64_t silence_ms;         /* Time-outs at least that long tell that a silent peer is gone; 0 = 1 s. */
	int64_t partial_frame_ms;   /* For the rest of a frame; 0 = 30 s. */
};

struct client_callbacks {
	void *context;
	/* A request that the peer began. Valid during the call; answer with client_begin_on / client_send_on. NULL: ignored. */
	void (*on_request)(void *context, struct client_conn *conn, const struct command *request);
	/* A connection that stood is gone. May be NULL. */
	void (*on_disconnect)(void *context, const char *address);
};

/* ST_OK with the response (valid during the call), ST_TIMEOUT, ST_CLOSED (connection failed or closed), ST_BUSY. */
typedef void (*client_response)(void *context, enum status status, const struct command *response,
				const struct errinfo *err);

/* NULL when out of memory. Registers a turn-end hook. */
struct client *client_create(struct loop *loop, const struct client_config *config,
			     const struct client_callbacks *callbacks);
/* Ends every request with ST_CLOSED. */
void client_destroy(struct client *client);

/* Begins a request: returns the encoder to put fields and body with, or NULL with the failure in *err (address too long,
 * limit reached, no memory). Follow with client_send, without other calls of the client in between. */
struct encoder *client_begin(struct client *client, const char *address, int32_t code, bool oneway,
			     struct errinfo *err) MUST_USE;
/* Sends what client_begin began. For a one-way request `on_response` is NULL. */
void client_send(struct client *client, int64_t timeout_ms, client_response on_response, void *context);

/* The same on a connection that asked us something: a one-way request back to it. */
struct encoder *client_begin_on(struct client *client, struct client_conn *conn, int32_t code, bool oneway,
				struct errinfo *err) MUST_USE;
/* The address that the connection was made to. */
const char *client_conn_address(const struct client_conn *conn);
/* An answer to a request of the peer. */
struct encoder *client_begin_answer(struct client *client, struct client_conn *conn, const struct command *request,
				    int32_t code, struct span remark, struct errinfo *err) MUST_USE;
void client_send_answer(struct client *client);

/* Closes the connection to `address`; its requests end with ST_CLOSED. */
void client_drop(struct client *client, const char *address);
/* True if a connection to `address` stands. */
bool client_connected(const struct client *client, const char *address);
/* True while some request waits for its answer or some output for its peer. */
bool client_busy(const struct client *client);

#endif
