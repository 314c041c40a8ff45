#include "lib/net/client.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/base/logging.h"
#include "lib/base/table.h"
#include "lib/net/address.h"
#include "lib/net/output.h"

enum { READ_SIZE = 128 * 1024, SWEEP_MS = 10, RETRY_PAUSE_MS = 100, KEEP_BUFFER = 64 * 1024 };

struct request {
	UT_hash_handle hh;
	struct request *next; /* In the list of failed ones. */
	int32_t opaque;
	int64_t sent_ms;
	int64_t deadline_ms;
	client_response on_response;
	void *context;
	enum status status;
};

enum conn_state { CONN_IDLE, CONN_CONNECTING, CONN_STANDS };

struct client_conn {
	UT_hash_handle hh;
	struct client *client;
	char address[ADDRESS_SIZE];
	enum conn_state state;
	struct socket_address candidates[ADDRESS_CANDIDATES_MAX]; /* What `address` means; [0, next_candidate) were tried. */
	int candidate_count, next_candidate;
	int fd;
	uint32_t generation; /* Of the connection: raised when one ends. */
	struct event *read_event;
	struct event *write_event;
	bool writing;
	bool dirty;
	int64_t state_since_ms;
	int64_t retry_after_ms;
	int64_t last_input_ms;
	int64_t partial_since_ms; /* 0: no partial frame. */
	struct buffer input;
	struct buffer output;
	struct request *requests; /* By opaque. */
};

struct client {
	struct loop *loop;
	struct client_config config;
	struct client_callbacks callbacks;
	struct client_conn *conns;
	struct request *failed; /* To be told at the turn's end. */
	struct request **failed_tail;
	struct loop_timer sweep; /* Runs while there is something to wait for. */
	struct encoder encoder;
	struct client_conn *begun_conn;
	int32_t begun_opaque;
	bool begun_oneway;
	int32_t next_opaque;
	bool destroying;
	struct log_gate gate;
	struct command command;
	struct command_scratch scratch;
	uint8_t read_buffer[READ_SIZE];
};

static void sweep(void *context);

/* Time-outs are looked for while something waits; an idle client lets its process sleep. */
static enum status ensure_sweep(struct client *client)
{
	if (client->sweep.event != NULL)
		return ST_OK;
	return loop_timer_start(client->loop, &client->sweep, SWEEP_MS, true, sweep, client);
}

/* --- ends of requests -------------------------------------------------------------------------------------- */

static void fail_request(struct client_conn *conn, struct request *request, enum status status)
{
	if (table_took(request))
		HASH_DEL(conn->requests, request);
	request->status = status;
	request->next = NULL;
	*conn->client->failed_tail = request;
	conn->client->failed_tail = &request->next;
	/* For a turn whose end tells it. Without memory for the timer, the next turn of any other cause does. */
	if (!conn->client->destroying)
		(void)ensure_sweep(conn->client);
}

static void tell_failed(struct client *client)
{
	struct request *request;

	while ((request = client->failed) != NULL) {
		struct errinfo err;

		client->failed = request->next;
		if (client->failed == NULL)
			client->failed_tail = &client->failed;
		errinfo_set(&err, request->status, "%s", status_text(request->status));
		request->on_response(request->context, request->status, NULL, &err);
		free(request);
	}
}

static void close_socket(struct client_conn *conn)
{
	if (conn->read_event != NULL)
		event_free(conn->read_event);
	if (conn->write_event != NULL)
		event_free(conn->write_event);
	conn->read_event = conn->write_event = NULL;
	conn->writing = false;
	if (conn->fd >= 0)
		close(conn->fd);
	conn->fd = -1;
}

static void drop_conn(struct client_conn *conn, enum status status)
{
	struct client *client = conn->client;
	struct request *request, *next;
	bool stood = conn->state == CONN_STANDS;

	close_socket(conn);
	conn->generation++;
	conn->state = CONN_IDLE;
	conn->partial_since_ms = 0;
	buffer_reset(&conn->input);
	buffer_reset(&conn->output);
	HASH_ITER(hh, conn->requests, request, next)
		fail_request(conn, request, status);
	if (stood && !client->destroying && client->callbacks.on_disconnect != NULL)
		client->callbacks.on_disconnect(client->callbacks.context, conn->address);
}

/* --- input --------------------------------------------------------------------------------------------------- */

/* What a peer does wrong is logged, within limits, and ends its connection. */
static void drop_bad(struct client_conn *conn, const char *event, const char *reason)
{
	struct client *client = conn->client;
	uint32_t suppressed;

	if (log_gate_pass(&client->gate, loop_now_ms(client->loop), &suppressed))
		log_warn(client->config.name, event, "peer=%s reason=\"%s\" suppressed=%u", conn->address, reason, suppressed);
	drop_conn(conn, ST_CLOSED);
}

static void got_response(struct client_conn *conn, const struct command *command)
{
	struct request *request = NULL;

	HASH_FIND(hh, conn->requests, &command->opaque, sizeof(command->opaque), request);
	if (request == NULL)
		return; /* Timed out before. */
	HASH_DEL(conn->requests, request);
	request->on_response(request->context, ST_OK, command, NULL);
	free(request);
}

/* False: the connection is gone. */
static bool got_frame(struct client_conn *conn, struct span frame)
{
	struct client *client = conn->client;
	uint32_t generation = conn->generation;
	struct errinfo err;

	if (command_decode(frame, &client->scratch, &client->command, &err) != ST_OK) {
		drop_bad(conn, "frame rejected", err.text);
		return false;
	}
	if (command_is_response(&client->command))
		got_response(conn, &client->command);
	else if (client->callbacks.on_request != NULL)
		client->callbacks.on_request(client->callbacks.context, conn, &client->command);
	return conn->generation == generation;
}

static void take_frames(struct client_conn *conn)
{
	struct client *client = conn->client;
	bool progress = false;

	for (;;) {
		const char *reason;
		size_t size;
		enum frame_verdict verdict = frame_scan(buffer_span(&conn->input), client->config.frame_size_max, &size, &reason);

		if (verdict == FRAME_PARTIAL)
			break;
		if (verdict == FRAME_BAD) {
			drop_bad(conn, "frame rejected", reason);
			return;
		}
		struct span frame = { conn->input.data + conn->input.start, size };
		if (!got_frame(conn, frame))
			return;
		buffer_consume(&conn->input, size);
		progress = true;
	}
	if (buffer_size(&conn->input) == 0)
		conn->partial_since_ms = 0;
	else if (progress || conn->partial_since_ms == 0)
		conn->partial_since_ms = loop_now_ms(client->loop);
	/* Without memory for the timer its rest has no deadline, no more. */
	if (conn->partial_since_ms != 0)
		(void)ensure_sweep(client);
	buffer_trim(&conn->input, KEEP_BUFFER);
}

static void on_readable(evutil_socket_t fd, short what, void *context)
{
	struct client_conn *conn = context;
	ssize_t got = recv(fd, conn->client->read_buffer, READ_SIZE, 0);

	(void)what;
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		drop_conn(conn, ST_CLOSED);
		return;
	}
	conn->last_input_ms = loop_now_ms(conn->client->loop);
	buffer_append(&conn->input, conn->client->read_buffer, (size_t)got);
	if (conn->input.failed)
		drop_conn(conn, ST_CLOSED);
	else
		take_frames(conn);
}

/* --- output and connecting -------------------------------------------------------------------------------------- */

static void write_output(struct client_conn *conn)
{
	enum status status = output_send(conn->fd, &conn->output, NULL);

	if (status == ST_CLOSED) {
		drop_conn(conn, ST_CLOSED);
		return;
	}
	bool left = status == ST_AGAIN;
	if (left && !conn->writing)
		conn->writing = event_add(conn->write_event, NULL) == 0;
	if (!left && conn->writing) {
		(void)event_del(conn->write_event);
		conn->writing = false;
	}
	if (!left)
		buffer_trim(&conn->output, KEEP_BUFFER);
}

static void connect_failed(struct client_conn *conn)
{
	conn->retry_after_ms = loop_now_ms(conn->client->loop) + RETRY_PAUSE_MS;
	drop_conn(conn, ST_CLOSED);
}

static void on_writable(evutil_socket_t fd, short what, void *context);

/* Starts connecting to one address. */
static enum status open_socket(struct client_conn *conn, const struct socket_address *to, struct errinfo *err)
{
	struct client *client = conn->client;
	int on = 1;

	conn->fd = socket(to->storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (conn->fd < 0)
		return errinfo_set(err, ST_CLOSED, "connect to %s: open a socket: %s", conn->address, strerror(errno));
	setsockopt(conn->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	setsockopt(conn->fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (connect(conn->fd, (const struct sockaddr *)&to->storage, to->size) != 0 && errno != EINPROGRESS)
		return errinfo_set(err, ST_CLOSED, "connect to %s: %s", conn->address, strerror(errno));
	conn->read_event = event_new(loop_base(client->loop), conn->fd, EV_READ | EV_PERSIST, on_readable, conn);
	conn->write_event = event_new(loop_base(client->loop), conn->fd, EV_WRITE | EV_PERSIST, on_writable, conn);
	if (conn->read_event == NULL || conn->write_event == NULL || event_add(conn->write_event, NULL) != 0)
		return errinfo_set(err, ST_CLOSED, "connect to %s: out of memory", conn->address);
	conn->writing = true;
	return ST_OK;
}

/* The first of the addresses not tried yet with which connecting can at least begin. Requests stay with `conn`. */
static enum status try_next(struct client_conn *conn, struct errinfo *err)
{
	enum status status = errinfo_set(err, ST_CLOSED, "connect to %s: no address left to try", conn->address);

	while (conn->next_candidate < conn->candidate_count) {
		status = open_socket(conn, &conn->candidates[conn->next_candidate++], err);
		if (status == ST_OK) {
			conn->state = CONN_CONNECTING;
			conn->state_since_ms = loop_now_ms(conn->client->loop);
			return ST_OK;
		}
		close_socket(conn);
	}
	return status;
}

/* One address did not answer: a name such as localhost may have others. */
static void candidate_failed(struct client_conn *conn)
{
	struct errinfo err;

	close_socket(conn);
	if (try_next(conn, &err) != ST_OK)
		connect_failed(conn);
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
	struct client_conn *conn = context;
	int error = 0;
	socklen_t size = sizeof(error);

	(void)what;
	if (conn->state == CONN_CONNECTING) {
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0 ||
		    event_add(conn->read_event, NULL) != 0) {
			candidate_failed(conn);
			return;
		}
		conn->state = CONN_STANDS;
		conn->state_since_ms = loop_now_ms(conn->client->loop);
		(void)event_del(conn->write_event);
		conn->writing = false;
	}
	write_output(conn);
}

static enum status start_connecting(struct client_conn *conn, struct errinfo *err)
{
	if (loop_now_ms(conn->client->loop) < conn->retry_after_ms)
		return errinfo_set(err, ST_CLOSED, "connect to %s: failed a moment ago", conn->address);
	if (ensure_sweep(conn->client) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "connect to %s: out of memory", conn->address);
	conn->next_candidate = 0;
	enum status status = address_resolve(conn->address, conn->candidates, &conn->candidate_count, err);
	if (status == ST_OK)
		status = try_next(conn, err);
	if (status != ST_OK)
		connect_failed(conn); /* A resolver that cannot answer must not hold the loop at every request. */
	return status;
}

static enum status get_conn(struct client *client, const char *address, struct client_conn **out, struct errinfo *err)
{
	struct client_conn *conn = NULL;

	HASH_FIND_STR(client->conns, address, conn);
	if (conn == NULL) {
		if (strlen(address) >= ADDRESS_SIZE)
			return errinfo_set(err, ST_INVALID, "address \"%.100s...\" is too long", address);
		conn = calloc(1, sizeof(*conn));
		if (conn == NULL)
			return errinfo_set(err, ST_NOMEM, "no memory for a connection");
		conn->client = client;
		conn->fd = -1;
		snprintf(conn->address, sizeof(conn->address), "%s", address);
		buffer_init(&conn->input, (size_t)client->config.frame_size_max + READ_SIZE);
		buffer_init(&conn->output, client->config.output_bytes_max);
		HASH_ADD_STR(client->conns, address, conn);
		if (!table_took(conn)) {
			free(conn);
			return errinfo_set(err, ST_NOMEM, "no memory for a connection");
		}
	}
	*out = conn;
	return conn->state == CONN_IDLE ? start_connecting(conn, err) : ST_OK;
}

/* --- time ---------------------------------------------------------------------------------------------------------- */

/* Ends requests whose time is over; true if the peer was silent for all of it. */
static bool sweep_requests(struct client_conn *conn, int64_t now)
{
	int64_t silence_ms = conn->client->config.silence_ms;
	struct request *request, *next;
	bool silent = false;

	HASH_ITER(hh, conn->requests, request, next) {
		if (request->deadline_ms > now)
			continue;
		if (now - request->sent_ms >= silence_ms && conn->last_input_ms < request->sent_ms)
			silent = true;
		fail_request(conn, request, ST_TIMEOUT);
	}
	return silent && conn->state == CONN_STANDS && now - conn->state_since_ms >= silence_ms;
}

static void sweep(void *context)
{
	struct client *client = context;
	int64_t now = loop_now_ms(client->loop);
	struct client_conn *conn, *next;
	bool needed = false;

	HASH_ITER(hh, client->conns, conn, next) {
		if (conn->state == CONN_CONNECTING && now - conn->state_since_ms > client->config.connect_timeout_ms)
			candidate_failed(conn);
		/* The path may be dead although nobody closed it: the next request shall find out by connecting anew. */
		if (sweep_requests(conn, now))
			drop_bad(conn, "connection given up", "no answer, nor anything else, within a request's time");
		else if (conn->partial_since_ms != 0 && now - conn->partial_since_ms > client->config.partial_frame_ms)
			drop_bad(conn, "connection given up", "the rest of a frame did not come");
		needed |= conn->requests != NULL || conn->state == CONN_CONNECTING || conn->partial_since_ms != 0;
	}
	if (!needed && client->failed == NULL)
		loop_timer_stop(&client->sweep);
}

static void end_turn(void *context)
{
	struct client *client = context;
	struct client_conn *conn, *next;

	tell_failed(client);
	HASH_ITER(hh, client->conns, conn, next) {
		if (conn->dirty && conn->state == CONN_STANDS && !conn->writing)
			write_output(conn);
		conn->dirty = false;
	}
}

struct client *client_create(struct loop *loop, const struct client_config *config, const struct client_callbacks *callbacks)
{
	struct client *client = calloc(1, sizeof(*client));

	if (client == NULL)
		return NULL;
	client->loop = loop;
	client->failed_tail = &client->failed;
	client->config = *config;
	client->callbacks = *callbacks;
	if (client->config.frame_size_max == 0)
		client->config.frame_size_max = 16 * 1024 * 1024;
	if (client->config.in_flight_max == 0)
		client->config.in_flight_max = 4096;
	if (client->config.output_bytes_max == 0)
		client->config.output_bytes_max = 64 * 1024 * 1024;
	if (client->config.connect_timeout_ms == 0)
		client->config.connect_timeout_ms = 3000;
	if (client->config.silence_ms == 0)
		client->config.silence_ms = 1000;
	if (client->config.partial_frame_ms == 0)
		client->config.partial_frame_ms = 30 * 1000;
	loop_add_turn_end(loop, end_turn, client);
	return client;
}

void client_destroy(struct client *client)
{
	struct client_conn *conn, *next;

	if (client == NULL)
		return;
	client->destroying = true;
	loop_timer_stop(&client->sweep);
	HASH_ITER(hh, client->conns, conn, next)
		drop_conn(conn, ST_CLOSED);
	tell_failed(client);
	HASH_ITER(hh, client->conns, conn, next) {
		HASH_DEL(client->conns, conn);
		buffer_deinit(&conn->input);
		buffer_deinit(&conn->output);
		free(conn);
	}
	free(client);
}

/* --- asking ------------------------------------------------------------------------------------------------------- */

static struct encoder *begin(struct client *client, struct client_conn *conn, int32_t code, bool oneway)
{
	client->begun_conn = conn;
	client->begun_oneway = oneway;
	client->begun_opaque = client->next_opaque = (client->next_opaque + 1) & INT32_MAX;
	command_begin(&client->encoder, &conn->output, SERIALIZE_JSON, code, client->begun_opaque, oneway ? COMMAND_ONEWAY : 0,
		      SPAN_NONE);
	return &client->encoder;
}

struct encoder *client_begin_on(struct client *client, struct client_conn *conn, int32_t code, bool oneway,
				struct errinfo *err)
{
	if (conn->state == CONN_IDLE) {
		errinfo_set(err, ST_CLOSED, "the connection to %s is gone", conn->address);
		return NULL;
	}
	if (!oneway && HASH_COUNT(conn->requests) >= client->config.in_flight_max) {
		errinfo_set(err, ST_BUSY, "%u requests to %s are under way, the limit", client->config.in_flight_max, conn->address);
		return NULL;
	}
	return begin(client, conn, code, oneway);
}

struct encoder *client_begin(struct client *client, const char *address, int32_t code, bool oneway, struct errinfo *err)
{
	struct client_conn *conn = NULL;

	if (get_conn(client, address, &conn, err) != ST_OK)
		return NULL;
	return client_begin_on(client, conn, code, oneway, err);
}

/* A request whose connection is gone, or that could not be written, is told like any other failure. */
void client_send(struct client *client, int64_t timeout_ms, client_response on_response, void *context)
{
	struct client_conn *conn = client->begun_conn;
	bool written = command_end(&client->encoder);

	assert(conn != NULL && client->begun_oneway == (on_response == NULL));
	conn->dirty = true;
	client->begun_conn = NULL;
	conn->output.failed = false;
	if (client->begun_oneway)
		return;
	struct request *request = calloc(1, sizeof(*request));
	if (request == NULL) {
		/* Nothing to hold the callback with: tell now, the one exception to "never from inside". */
		struct errinfo err;

		errinfo_set(&err, ST_NOMEM, "no memory for a request");
		on_response(context, ST_NOMEM, NULL, &err);
		return;
	}
	request->opaque = client->begun_opaque;
	request->sent_ms = loop_now_ms(client->loop);
	request->deadline_ms = request->sent_ms + timeout_ms;
	request->on_response = on_response;
	request->context = context;
	HASH_ADD(hh, conn->requests, opaque, sizeof(request->opaque), request);
	if (!written)
		fail_request(conn, request, ST_BUSY);
	else if (!table_took(request) || ensure_sweep(client) != ST_OK)
		fail_request(conn, request, ST_NOMEM);
}

struct encoder *client_begin_answer(struct client *client, struct client_conn *conn, const struct command *request,
				    int32_t code, struct span remark, struct errinfo *err)
{
	if (conn->state != CONN_STANDS) {
		errinfo_set(err, ST_CLOSED, "the connection to %s is gone", conn->address);
		return NULL;
	}
	client->begun_conn = conn;
	client->begun_oneway = true;
	command_begin(&client->encoder, &conn->output, request->serialize_type, code, request->opaque, COMMAND_RESPONSE, remark);
	return &client->encoder;
}

void client_send_answer(struct client *client)
{
	client_send(client, 0, NULL, NULL);
}

const char *client_conn_address(const struct client_conn *conn)
{
	return conn->address;
}

void client_drop(struct client *client, const char *address)
{
	struct client_conn *conn = NULL;

	HASH_FIND_STR(client->conns, address, conn);
	if (conn != NULL && conn->state != CONN_IDLE)
		drop_conn(conn, ST_CLOSED);
}

bool client_connected(const struct client *client, const char *address)
{
	struct client_conn *conn = NULL;

	HASH_FIND_STR(client->conns, address, conn);
	return conn != NULL && conn->state == CONN_STANDS;
}

bool client_busy(const struct client *client)
{
	for (const struct client_conn *conn = client->conns; conn != NULL; conn = conn->hh.next) {
		if (conn->requests != NULL || (conn->state != CONN_IDLE && buffer_size(&conn->output) > 0))
			return true;
	}
	return client->failed != NULL;
}
