/* lib/net/client.h over the memory network, with the manners of the real one: one connection an address, requests wait until
 * it stands, each ends in one call of its callback, a silent peer is given up after a request's time. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#include "lib/base/logging.h"
#include "lib/net/client.h"
#include "tests/sim/engine.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { RETRY_PAUSE_MS = 100, CONNECT_TIMEOUT_MS = 3000, SILENCE_MS = 1000 };

struct request {
	UT_hash_handle hh;
	struct request *next;
	struct client_conn *conn;
	int32_t opaque;
	int64_t sent_ms;
	struct loop_timer deadline;
	client_response on_response;
	void *context;
	enum status status;
};

struct client_conn {
	UT_hash_handle hh;
	struct client *client;
	char address[NET_ADDRESS_SIZE];
	struct net_end *end; /* NULL: not connecting. */
	bool stands, dirty;
	uint32_t generation;
	int64_t stands_since_ms, retry_after_ms, last_input_ms;
	struct loop_timer connecting;
	struct buffer input, output;
	struct request *requests;
};

struct client {
	struct loop *loop;
	struct process *process;
	struct client_config config;
	struct client_callbacks callbacks;
	struct client_conn *conns;
	struct request *failed;
	struct request **failed_tail;
	struct loop_timer wake; /* For a turn whose end tells what failed. */
	struct encoder encoder;
	struct client_conn *begun_conn;
	int32_t begun_opaque, next_opaque;
	bool begun_oneway, destroying;
	struct command command;
	struct command_scratch scratch;
};

static void must(bool holds)
{
	if (!holds) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
}

/* --- ends of requests ----------------------------------------------------------------------------------------------- */

static void on_wake(void *context)
{
	(void)context;
}

static void fail_request(struct request *request, enum status status)
{
	struct client *client = request->conn->client;

	HASH_DEL(request->conn->requests, request);
	loop_timer_stop(&request->deadline);
	request->status = status;
	request->next = NULL;
	*client->failed_tail = request;
	client->failed_tail = &request->next;
	if (client->wake.event == NULL && !client->destroying)
		must(loop_timer_start(client->loop, &client->wake, 0, false, on_wake, NULL) == ST_OK);
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

static void drop_conn(struct client_conn *conn, bool peer_gone, enum status status)
{
	struct client *client = conn->client;
	struct request *request, *next;
	bool stood = conn->stands;

	if (conn->end != NULL && !peer_gone && client->process->alive)
		net_close(conn->end);
	conn->end = NULL;
	conn->stands = false;
	conn->generation++;
	loop_timer_stop(&conn->connecting);
	buffer_reset(&conn->input);
	buffer_reset(&conn->output);
	HASH_ITER(hh, conn->requests, request, next)
		fail_request(request, status);
	if (stood && !client->destroying && client->callbacks.on_disconnect != NULL)
		client->callbacks.on_disconnect(client->callbacks.context, conn->address);
}

/* Nothing at all came while the request waited: the path may be dead although nobody closed it. */
static void on_deadline(void *context)
{
	struct request *request = context;
	struct client_conn *conn = request->conn;
	int64_t now = loop_now_ms(conn->client->loop), silence = conn->client->config.silence_ms;
	bool silent = now - request->sent_ms >= silence && conn->last_input_ms < request->sent_ms && conn->stands &&
		      now - conn->stands_since_ms >= silence;

	fail_request(request, ST_TIMEOUT);
	if (silent)
		drop_conn(conn, false, ST_CLOSED);
}

/* --- input ---------------------------------------------------------------------------------------------------------- */

/* False: the connection is gone. */
static bool got_frame(struct client_conn *conn, struct span frame)
{
	struct client *client = conn->client;
	uint32_t generation = conn->generation;
	struct request *request = NULL;
	struct errinfo err;

	if (command_decode(frame, &client->scratch, &client->command, &err) != ST_OK) {
		log_error(client->config.name, "frame rejected", "peer=%s reason=\"%s\"", conn->address, err.text);
		drop_conn(conn, false, ST_CLOSED);
		return false;
	}
	if (!command_is_response(&client->command)) {
		if (client->callbacks.on_request != NULL)
			client->callbacks.on_request(client->callbacks.context, conn, &client->command);
		return conn->generation == generation;
	}
	HASH_FIND(hh, conn->requests, &client->command.opaque, sizeof(client->command.opaque), request);
	if (client->command.code == RESP_SYSTEM_BUSY)
		event_seen(SEEN_BUSY);
	if (request != NULL) {
		HASH_DEL(conn->requests, request);
		loop_timer_stop(&request->deadline);
		request->on_response(request->context, ST_OK, &client->command, NULL);
		free(request);
	}
	return conn->generation == generation;
}

static void on_readable(void *context)
{
	struct client_conn *conn = context;
	struct span bytes = net_received(conn->end);
	const char *reason;
	size_t size;

	conn->last_input_ms = loop_now_ms(conn->client->loop);
	buffer_append_span(&conn->input, bytes);
	net_take(conn->end, bytes.size);
	while (frame_scan(buffer_span(&conn->input), conn->client->config.frame_size_max, &size, &reason) == FRAME_COMPLETE) {
		if (!got_frame(conn, (struct span){ conn->input.data + conn->input.start, size }))
			return;
		buffer_consume(&conn->input, size);
	}
}

/* --- output and connecting ------------------------------------------------------------------------------------------ */

static void write_output(void *context)
{
	struct client_conn *conn = context;
	struct span rest = buffer_span(&conn->output);

	if (conn->stands && conn->client->process->alive && rest.size > 0)
		buffer_consume(&conn->output, net_send(conn->end, rest.data, rest.size));
}

static void on_connected(void *context)
{
	struct client_conn *conn = context;

	conn->stands = true;
	conn->stands_since_ms = loop_now_ms(conn->client->loop);
	loop_timer_stop(&conn->connecting);
	write_output(conn);
}

static void on_gone(void *context)
{
	struct client_conn *conn = context;

	if (!conn->stands)
		conn->retry_after_ms = loop_now_ms(conn->client->loop) + RETRY_PAUSE_MS;
	drop_conn(conn, true, ST_CLOSED);
}

static void on_connect_timeout(void *context)
{
	struct client_conn *conn = context;

	conn->retry_after_ms = loop_now_ms(conn->client->loop) + RETRY_PAUSE_MS;
	drop_conn(conn, false, ST_CLOSED);
}

static struct client_conn *make_conn(struct client *client, const char *address)
{
	struct client_conn *conn = calloc(1, sizeof(*conn));

	must(conn != NULL && strlen(address) < sizeof(conn->address));
	conn->client = client;
	snprintf(conn->address, sizeof(conn->address), "%s", address);
	buffer_init(&conn->input, 0);
	buffer_init(&conn->output, client->config.output_bytes_max);
	HASH_ADD_STR(client->conns, address, conn);
	return conn;
}

static struct client_conn *find_conn(const struct client *client, const char *address)
{
	struct client_conn *conn = NULL;

	HASH_FIND_STR(client->conns, address, conn);
	return conn;
}

static enum status connect_to(struct client_conn *conn, struct errinfo *err)
{
	struct client *client = conn->client;
	struct net_calls calls = { conn, on_connected, on_readable, write_output, on_gone };

	if (loop_now_ms(client->loop) < conn->retry_after_ms)
		return errinfo_set(err, ST_CLOSED, "connect to %s: failed a moment ago", conn->address);
	conn->end = net_connect(client->process, conn->address, &calls);
	if (conn->end == NULL)
		return errinfo_set(err, ST_CLOSED, "connect to %s: no such address", conn->address);
	must(loop_timer_start(client->loop, &conn->connecting, client->config.connect_timeout_ms, false, on_connect_timeout,
			      conn) == ST_OK);
	return ST_OK;
}

/* --- the client ----------------------------------------------------------------------------------------------------- */

static void end_turn(void *context)
{
	struct client *client = context;
	struct client_conn *conn, *next;

	tell_failed(client);
	HASH_ITER(hh, client->conns, conn, next) {
		if (conn->dirty)
			write_output(conn);
		conn->dirty = false;
	}
}

struct client *client_create(struct loop *loop, const struct client_config *config, const struct client_callbacks *callbacks)
{
	struct client *client = calloc(1, sizeof(*client));

	must(client != NULL);
	client->loop = loop;
	client->process = process_current();
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
		client->config.connect_timeout_ms = CONNECT_TIMEOUT_MS;
	if (client->config.silence_ms == 0)
		client->config.silence_ms = SILENCE_MS;
	loop_add_turn_end(loop, end_turn, client);
	return client;
}

void client_destroy(struct client *client)
{
	struct client_conn *conn, *next;

	if (client == NULL)
		return;
	client->destroying = true;
	HASH_ITER(hh, client->conns, conn, next)
		drop_conn(conn, false, ST_CLOSED);
	tell_failed(client);
	HASH_ITER(hh, client->conns, conn, next) {
		HASH_DEL(client->conns, conn);
		buffer_deinit(&conn->input);
		buffer_deinit(&conn->output);
		free(conn);
	}
	loop_timer_stop(&client->wake);
	free(client);
}

static struct encoder *begin(struct client *client, struct client_conn *conn, int32_t code, bool oneway)
{
	client->begun_conn = conn;
	client->begun_oneway = oneway;
	client->begun_opaque = client->next_opaque = (client->next_opaque + 1) & INT32_MAX;
	command_begin(&client->encoder, &conn->output, SERIALIZE_JSON, code, client->begun_opaque, oneway ? COMMAND_ONEWAY : 0,
		      SPAN_NONE);
	return &client->encoder;
}

struct encoder *client_begin_on(struct client *client, struct client_conn *conn, int32_t code, bool oneway, struct errinfo *err)
{
	if (conn->end == NULL) {
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
	struct client_conn *conn = find_conn(client, address);

	if (conn == NULL)
		conn = make_conn(client, address);
	if (conn->end == NULL && connect_to(conn, err) != ST_OK)
		return NULL;
	return client_begin_on(client, conn, code, oneway, err);
}

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
	must(request != NULL);
	request->conn = conn;
	request->opaque = client->begun_opaque;
	request->sent_ms = loop_now_ms(client->loop);
	request->on_response = on_response;
	request->context = context;
	HASH_ADD(hh, conn->requests, opaque, sizeof(request->opaque), request);
	must(loop_timer_start(client->loop, &request->deadline, timeout_ms, false, on_deadline, request) == ST_OK);
	if (!written)
		fail_request(request, ST_BUSY);
}

struct encoder *client_begin_answer(struct client *client, struct client_conn *conn, const struct command *request, int32_t code,
				    struct span remark, struct errinfo *err)
{
	if (!conn->stands) {
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
	struct client_conn *conn = find_conn(client, address);

	if (conn != NULL && conn->end != NULL)
		drop_conn(conn, false, ST_CLOSED);
}

bool client_connected(const struct client *client, const char *address)
{
	struct client_conn *conn = find_conn(client, address);

	return conn != NULL && conn->stands;
}

bool client_busy(const struct client *client)
{
	for (const struct client_conn *conn = client->conns; conn != NULL; conn = conn->hh.next) {
		if (conn->requests != NULL || (conn->end != NULL && buffer_size(&conn->output) > 0))
			return true;
	}
	return client->failed != NULL;
}

void virtual_client_read(struct client *client, bool reads)
{
	for (struct client_conn *conn = client->conns; conn != NULL; conn = conn->hh.next) {
		if (conn->stands)
			net_set_reading(conn->end, reads);
	}
}
