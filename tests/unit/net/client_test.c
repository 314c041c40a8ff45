/* lib/net's client against a server in the same loop: every request ends once, whatever the peer does. */
#include "tests/unit/net/net_fixture.h"

#include <dlfcn.h>
#include <event2/event.h>
#include <netdb.h>
#include <stdio.h>

#include "lib/net/client.h"
#include "tests/support/closed_door.h"
#include "tests/support/leap.h"

enum { CODE_ECHO = 1000, CODE_SILENT, CODE_HANG_UP, CODE_ASK_BACK, CODE_GARBAGE, CODE_TWICE, CODE_HALF };

/* The resolver as a test wants it: "many.homes" has dead addresses (::1 and 127.0.0.2, where nobody listens) before the good
 * one, "black.hole" one that does not answer. Takes the place of the C library's for this program. */
#define BLACK_HOLE "127.0.0.3"

static const struct {
	const char *name;
	const char *addresses[3];
} homes[] = {
	{ "many.homes", { "::1", "127.0.0.2", "127.0.0.1" } },
	{ "black.hole", { BLACK_HOLE, "127.0.0.1" } },
};

int getaddrinfo(const char *host, const char *port, const struct addrinfo *hints, struct addrinfo **out)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
	int error = 0;

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	for (size_t i = 0; i < sizeof(homes) / sizeof(homes[0]); i++) {
		if (strcmp(host, homes[i].name) != 0)
			continue;
		for (int j = 0; j < 3 && homes[i].addresses[j] != NULL && error == 0; j++) {
			error = real(homes[i].addresses[j], port, hints, out);
			if (error == 0)
				out = &(*out)->ai_next;
		}
		return error;
	}
	return real(host, port, hints, out);
}

struct peers {
	struct loop *loop;
	struct server *server;
	struct client *client;
	char address[64];
	struct command command;
	struct command_scratch scratch;
	int oneways, answers_back, asked, disconnects, closes;
	bool inside; /* A call of the client is under way: no callback may come. */
};

struct outcome {
	struct peers *peers;
	int calls;
	enum status status;
	int32_t code;
	char body[16];
	bool drop, ask_again;
	struct outcome *next;
};

static void serve(void *context, struct conn *conn, struct span frame)
{
	struct peers *p = context;
	struct encoder encoder;
	struct errinfo err;
	struct buffer *out = conn_output(conn);

	CU_ASSERT_EQUAL_FATAL(command_decode(frame, &p->scratch, &p->command, &err), ST_OK);
	if (command_is_response(&p->command)) {
		p->answers_back++;
		return;
	}
	if (command_is_oneway(&p->command)) {
		p->oneways++;
		return;
	}
	switch (p->command.code) {
	case CODE_SILENT:
		return;
	case CODE_HANG_UP:
		conn_close(conn, NULL);
		return;
	case CODE_GARBAGE:
		buffer_append(out, "\xff\xff\xff\xff\xff", 5);
		conn_written(conn);
		return;
	case CODE_ASK_BACK:
		command_begin(&encoder, out, SERIALIZE_JSON, REQ_CHECK_TRANSACTION_STATE, 77, 0, SPAN_NONE);
		CU_ASSERT(command_end(&encoder));
		break;
	case CODE_HALF:
		buffer_append(out, "\0\0\1\0\0\0\0\2{}", 10); /* 256 bytes are announced. */
		conn_written(conn);
		return;
	case CODE_TWICE:
		CU_ASSERT(command_answer(out, &p->command, RESP_SUCCESS, SPAN_NONE));
		break;
	default:
		break;
	}
	command_begin(&encoder, out, SERIALIZE_JSON, RESP_SUCCESS, p->command.opaque, COMMAND_RESPONSE, SPAN_NONE);
	command_body(&encoder);
	buffer_append_span(out, p->command.body);
	CU_ASSERT(command_end(&encoder));
	conn_written(conn);
}

static void served_end(void *context, struct conn *conn)
{
	struct peers *p = context;

	(void)conn;
	p->closes++;
}

static void asked(void *context, struct client_conn *conn, const struct command *request)
{
	struct peers *p = context;
	struct errinfo err;

	p->asked++;
	CU_ASSERT_EQUAL(request->code, REQ_CHECK_TRANSACTION_STATE);
	CU_ASSERT_STRING_EQUAL(client_conn_address(conn), p->address);
	CU_ASSERT_FATAL(client_begin_answer(p->client, conn, request, RESP_SUCCESS, SPAN_NONE, &err) != NULL);
	client_send_answer(p->client);
	CU_ASSERT_FATAL(client_begin_on(p->client, conn, REQ_END_TRANSACTION, true, &err) != NULL);
	client_send(p->client, 0, NULL, NULL);
}

static void disconnected(void *context, const char *address)
{
	struct peers *p = context;

	CU_ASSERT_STRING_EQUAL(address, p->address);
	p->disconnects++;
}

static void peers_open(struct peers *p, const struct client_config *config)
{
	struct server_config server_config = fixture_config();
	struct server_callbacks server_callbacks = { p, serve, served_end };
	struct client_callbacks client_callbacks = { p, asked, disconnected };
	struct errinfo err;

	memset(p, 0, sizeof(*p));
	p->loop = loop_create();
	CU_ASSERT_EQUAL_FATAL(server_create(p->loop, &server_config, &server_callbacks, &p->server, &err), ST_OK);
	p->client = client_create(p->loop, config, &client_callbacks);
	CU_ASSERT_PTR_NOT_NULL_FATAL(p->client);
	snprintf(p->address, sizeof(p->address), "127.0.0.1:%u", server_port(p->server));
}

static void peers_close(struct peers *p)
{
	client_destroy(p->client);
	server_destroy(p->server);
	loop_destroy(p->loop);
}

static void ask(struct peers *p, struct outcome *o, int32_t code, const char *body, int64_t timeout_ms);

static void on_response(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct outcome *o = context;

	CU_ASSERT_FALSE(o->peers->inside);
	o->calls++;
	o->status = status;
	CU_ASSERT((status == ST_OK) == (response != NULL));
	CU_ASSERT((status == ST_OK) == (err == NULL));
	if (response != NULL) {
		o->code = response->code;
		snprintf(o->body, sizeof(o->body), "%.*s", SPAN_ARGS(response->body));
	}
	if (o->drop)
		client_drop(o->peers->client, o->peers->address);
	if (o->ask_again) {
		bool inside = o->peers->inside;
		ask(o->peers, o->next, CODE_ECHO, "next", 5000);
		o->peers->inside = inside;
	}
}

static void ask(struct peers *p, struct outcome *o, int32_t code, const char *body, int64_t timeout_ms)
{
	struct errinfo err;

	o->peers = p;
	p->inside = true;
	struct encoder *encoder = client_begin(p->client, p->address, code, false, &err);
	CU_ASSERT_PTR_NOT_NULL_FATAL(encoder);
	command_body(encoder);
	buffer_append_text(encoder->out, body);
	client_send(p->client, timeout_ms, on_response, o);
	p->inside = false;
}

static const struct client_config plain = { .name = "client" };

static void test_answers_find_their_requests(void)
{
	enum { COUNT = 500 };
	static struct outcome o[COUNT];
	struct peers p;
	int done = 0;

	memset(o, 0, sizeof(o));
	peers_open(&p, &plain);
	CU_ASSERT_FALSE(client_connected(p.client, p.address));
	for (int i = 0; i < COUNT; i++) {
		char body[16];

		snprintf(body, sizeof(body), "%d", i);
		ask(&p, &o[i], CODE_ECHO, body, 5000);
	}
	CU_ASSERT(client_busy(p.client));
	CU_ASSERT(TURN_UNTIL(p.loop, ({
		done = 0;
		for (int i = 0; i < COUNT; i++)
			done += o[i].calls;
		done == COUNT;
	})));
	for (int i = 0; i < COUNT; i++) {
		CU_ASSERT_EQUAL(o[i].status, ST_OK);
		CU_ASSERT_EQUAL(atoi(o[i].body), i);
	}
	CU_ASSERT(client_connected(p.client, p.address));
	CU_ASSERT_FALSE(client_busy(p.client));
	CU_ASSERT_EQUAL(server_connection_count(p.server), 1);
	peers_close(&p);
	for (int i = 0; i < COUNT; i++)
		CU_ASSERT_EQUAL(o[i].calls, 1);
}

static void test_silence_ends_in_a_timeout(void)
{
	struct outcome silent = { 0 }, after = { 0 };
	struct peers p;

	peers_open(&p, &plain);
	ask(&p, &silent, CODE_SILENT, "", 30);
	CU_ASSERT(TURN_UNTIL(p.loop, silent.calls == 1));
	CU_ASSERT_EQUAL(silent.status, ST_TIMEOUT);
	ask(&p, &after, CODE_ECHO, "x", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, after.calls == 1));
	CU_ASSERT_EQUAL(after.status, ST_OK);
	CU_ASSERT_EQUAL(silent.calls, 1);
	peers_close(&p);
}

static void test_second_answer_is_ignored(void)
{
	struct outcome o = { 0 }, after = { 0 };
	struct peers p;

	peers_open(&p, &plain);
	ask(&p, &o, CODE_TWICE, "", 5000);
	ask(&p, &after, CODE_ECHO, "x", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, after.calls == 1));
	CU_ASSERT_EQUAL(o.calls, 1);
	peers_close(&p);
}

static void test_lost_connection_ends_its_requests_and_the_next_reconnects(void)
{
	static const int32_t ends[] = { CODE_HANG_UP, CODE_GARBAGE };

	for (size_t i = 0; i < 2; i++) {
		struct outcome waiting = { 0 }, end = { 0 }, after = { 0 };
		struct peers p;

		peers_open(&p, &plain);
		ask(&p, &waiting, CODE_SILENT, "", 60000);
		ask(&p, &end, ends[i], "", 60000);
		CU_ASSERT(TURN_UNTIL(p.loop, waiting.calls == 1 && end.calls == 1));
		CU_ASSERT_EQUAL(waiting.status, ST_CLOSED);
		CU_ASSERT_EQUAL(end.status, ST_CLOSED);
		CU_ASSERT_EQUAL(p.disconnects, 1);
		CU_ASSERT_FALSE(client_connected(p.client, p.address));
		ask(&p, &after, CODE_ECHO, "x", 5000);
		CU_ASSERT(TURN_UNTIL(p.loop, after.calls == 1));
		CU_ASSERT_EQUAL(after.status, ST_OK);
		peers_close(&p);
		CU_ASSERT_EQUAL(waiting.calls + end.calls + after.calls, 3);
	}
}

static void test_refused_connection_fails_requests_then_at_once(void)
{
	struct outcome o = { 0 };
	struct peers p;
	struct errinfo err;

	peers_open(&p, &plain);
	server_stop_accepting(p.server);
	o.peers = &p;
	struct encoder *encoder = client_begin(p.client, p.address, CODE_ECHO, false, &err);
	if (encoder != NULL) {
		client_send(p.client, 5000, on_response, &o);
		CU_ASSERT_EQUAL(o.calls, 0);
		CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
		CU_ASSERT_EQUAL(o.status, ST_CLOSED);
		CU_ASSERT_PTR_NULL(client_begin(p.client, p.address, CODE_ECHO, false, &err));
	}
	CU_ASSERT_EQUAL(err.code, ST_CLOSED);
	CU_ASSERT_EQUAL(p.disconnects, 0); /* It never stood. */
	peers_close(&p);
	CU_ASSERT(o.calls <= 1);
}

static void test_bad_addresses_are_named(void)
{
	static const char *const bad[] = { "nonsense", ":1", "127.0.0.1:notaport", "127.0.0.1:99999" };
	struct peers p;
	struct errinfo err;
	char long_one[400];

	peers_open(&p, &plain);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct encoder *encoder = client_begin(p.client, bad[i], CODE_ECHO, true, &err);

		if (i == 3 && encoder != NULL) {
			client_send(p.client, 0, NULL, NULL); /* Some resolvers take the port modulo 65536. */
			continue;
		}
		CU_ASSERT_PTR_NULL(encoder);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, bad[i]));
	}
	memset(long_one, 'a', sizeof(long_one));
	memcpy(long_one + sizeof(long_one) - 3, ":1", 3);
	CU_ASSERT_PTR_NULL(client_begin(p.client, long_one, CODE_ECHO, true, &err));
	peers_close(&p);
}

static void test_requests_of_the_peer_are_answered_on_their_connection(void)
{
	struct outcome o = { 0 };
	struct peers p;

	peers_open(&p, &plain);
	ask(&p, &o, CODE_ASK_BACK, "x", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1 && p.answers_back == 1 && p.oneways == 1));
	CU_ASSERT_EQUAL(p.asked, 1);
	CU_ASSERT_EQUAL(server_connection_count(p.server), 1);
	peers_close(&p);
}

static void test_oneway_goes_out_alone(void)
{
	struct peers p;
	struct errinfo err;

	peers_open(&p, &plain);
	CU_ASSERT_FATAL(client_begin(p.client, p.address, CODE_ECHO, true, &err) != NULL);
	client_send(p.client, 0, NULL, NULL);
	CU_ASSERT(TURN_UNTIL(p.loop, p.oneways == 1));
	CU_ASSERT_FALSE(client_busy(p.client));
	peers_close(&p);
}

static void test_requests_in_flight_are_limited(void)
{
	struct client_config config = { .name = "client", .in_flight_max = 2 };
	struct outcome a = { 0 }, b = { 0 };
	struct peers p;
	struct errinfo err;

	peers_open(&p, &config);
	ask(&p, &a, CODE_SILENT, "", 60000);
	ask(&p, &b, CODE_SILENT, "", 60000);
	CU_ASSERT_PTR_NULL(client_begin(p.client, p.address, CODE_ECHO, false, &err));
	CU_ASSERT_EQUAL(err.code, ST_BUSY);
	/* One-way requests are not in flight. */
	CU_ASSERT_FATAL(client_begin(p.client, p.address, CODE_ECHO, true, &err) != NULL);
	client_send(p.client, 0, NULL, NULL);
	CU_ASSERT(TURN_UNTIL(p.loop, p.oneways == 1));
	peers_close(&p);
	CU_ASSERT(a.calls == 1 && a.status == ST_CLOSED);
	CU_ASSERT(b.calls == 1 && b.status == ST_CLOSED);
}

static void test_output_limit_fails_the_request_not_the_connection(void)
{
	struct client_config config = { .name = "client", .output_bytes_max = 4096 };
	struct outcome big = { 0 }, small = { 0 };
	char *body = malloc(8192);
	struct peers p;

	memset(body, 'x', 8191);
	body[8191] = '\0';
	peers_open(&p, &config);
	ask(&p, &small, CODE_ECHO, "ok", 5000);
	ask(&p, &big, CODE_ECHO, body, 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, big.calls == 1 && small.calls == 1));
	CU_ASSERT_EQUAL(big.status, ST_BUSY);
	CU_ASSERT_EQUAL(small.status, ST_OK);
	peers_close(&p);
	free(body);
}

static void test_callbacks_may_drop_and_ask(void)
{
	struct outcome first = { .drop = true, .ask_again = true }, second = { 0 }, other = { 0 };
	struct peers p;

	first.next = &second;
	peers_open(&p, &plain);
	ask(&p, &first, CODE_ECHO, "a", 5000);
	ask(&p, &other, CODE_SILENT, "", 60000);
	CU_ASSERT(TURN_UNTIL(p.loop, second.calls == 1 && other.calls == 1));
	CU_ASSERT_EQUAL(first.calls, 1);
	CU_ASSERT_EQUAL(second.status, ST_OK);
	CU_ASSERT_STRING_EQUAL(second.body, "next");
	CU_ASSERT_EQUAL(other.status, ST_CLOSED);
	CU_ASSERT(TURN_UNTIL(p.loop, server_connection_count(p.server) == 1));
	peers_close(&p);
}

static void test_every_address_of_a_name_is_tried(void)
{
	struct outcome o = { 0 }, again = { 0 };
	struct peers p;

	peers_open(&p, &plain);
	snprintf(p.address, sizeof(p.address), "many.homes:%u", server_port(p.server));
	ask(&p, &o, CODE_ECHO, "x", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
	CU_ASSERT_EQUAL(o.status, ST_OK);
	CU_ASSERT_EQUAL(p.disconnects, 0);
	CU_ASSERT_STRING_EQUAL(o.body, "x");
	client_drop(p.client, p.address);
	ask(&p, &again, CODE_ECHO, "y", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, again.calls == 1));
	CU_ASSERT_EQUAL(again.status, ST_OK);
	/* With all of them dead the request ends, once. */
	server_stop_accepting(p.server);
	client_drop(p.client, p.address);
	struct outcome none = { 0 };
	struct errinfo err;
	none.peers = &p;
	struct encoder *encoder = client_begin(p.client, p.address, CODE_ECHO, false, &err);
	if (encoder != NULL) {
		client_send(p.client, 5000, on_response, &none);
		CU_ASSERT(TURN_UNTIL(p.loop, none.calls == 1));
		CU_ASSERT_EQUAL(none.status, ST_CLOSED);
	}
	CU_ASSERT_FALSE(client_connected(p.client, p.address));
	peers_close(&p);
	CU_ASSERT_EQUAL(o.calls + again.calls, 2);
}

/* Nobody refuses: only the time tells that there is somebody else to ask. */
static void test_an_address_that_swallows_the_attempt_is_left_for_the_next(void)
{
	struct client_config config = { .name = "client", .connect_timeout_ms = 50 };
	struct outcome o = { 0 };
	struct closed_door door;
	struct peers p;

	peers_open(&p, &config);
	shut_door(&door, BLACK_HOLE, server_port(p.server));
	snprintf(p.address, sizeof(p.address), "black.hole:%u", server_port(p.server));
	ask(&p, &o, CODE_ECHO, "x", 3000);
	CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
	CU_ASSERT_EQUAL(o.status, ST_OK);
	leave_door(&door);
	peers_close(&p);
}

static void test_ipv6_literals_with_and_without_brackets(void)
{
	static const char *const hosts[] = { "[::1]", "::1" };
	struct server_config server_config = fixture_config();
	struct server_callbacks server_callbacks;
	struct client_callbacks client_callbacks;
	struct peers p = { 0 };
	struct errinfo err;

	server_callbacks = (struct server_callbacks){ &p, serve, served_end };
	client_callbacks = (struct client_callbacks){ &p, asked, disconnected };
	server_config.bind_address = "::1";
	p.loop = loop_create();
	if (server_create(p.loop, &server_config, &server_callbacks, &p.server, &err) != ST_OK) {
		printf("\nno IPv6 here: %s\n", err.text);
		loop_destroy(p.loop);
		return;
	}
	p.client = client_create(p.loop, &plain, &client_callbacks);
	for (int i = 0; i < 2; i++) {
		struct outcome o = { 0 };

		snprintf(p.address, sizeof(p.address), "%s:%u", hosts[i], server_port(p.server));
		ask(&p, &o, CODE_ECHO, "six", 5000);
		CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
		CU_ASSERT_EQUAL(o.status, ST_OK);
	}
	peers_close(&p);
}

/* Nothing at all during a whole time-out: the connection is replaced. Anything else that comes keeps it. */
static void test_silent_peer_is_taken_for_gone(void)
{
	for (int talks = 0; talks < 2; talks++) {
		struct client_config config = { .name = "client", .silence_ms = 100 };
		struct outcome silent = { 0 }, waiting = { 0 }, after = { 0 };
		struct peers p;
		int echoes = 0;

		peers_open(&p, &config);
		ask(&p, &waiting, CODE_SILENT, "", 60000);
		ask(&p, &silent, CODE_SILENT, "", 300);
		CU_ASSERT(TURN_UNTIL(p.loop, ({
			if (talks == 1 && (echoes == 0 || after.calls == 1) && silent.calls == 0) {
				after = (struct outcome){ 0 };
				ask(&p, &after, CODE_ECHO, "x", 5000);
				echoes++;
			}
			silent.calls == 1;
		})));
		CU_ASSERT_EQUAL(silent.status, ST_TIMEOUT);
		CU_ASSERT_EQUAL(p.disconnects, talks == 0);
		CU_ASSERT_EQUAL(waiting.calls, talks == 0);
		CU_ASSERT_EQUAL(client_connected(p.client, p.address), talks == 1);
		if (talks == 0) {
			CU_ASSERT_EQUAL(waiting.status, ST_CLOSED);
			ask(&p, &after, CODE_ECHO, "x", 5000);
		}
		CU_ASSERT(TURN_UNTIL(p.loop, after.calls == 1));
		CU_ASSERT_EQUAL(after.status, ST_OK);
		peers_close(&p);
		CU_ASSERT_EQUAL(waiting.calls, 1);
	}
}

/* Who does not wait long learns nothing about the peer: others go on waiting for it. */
static void test_a_short_time_out_does_not_tell_that_the_peer_is_gone(void)
{
	struct client_config config = { .name = "client", .silence_ms = 30 * 1000 };
	struct outcome first = { 0 }, waiting = { 0 }, hasty = { 0 };
	struct peers p;

	peers_open(&p, &config);
	ask(&p, &first, CODE_ECHO, "x", 5000);
	CU_ASSERT(TURN_UNTIL(p.loop, first.calls == 1));
	leap(60 * 1000); /* The connection stands longer than that. */
	loop_turn(p.loop, 1);
	ask(&p, &waiting, CODE_SILENT, "", 60000);
	ask(&p, &hasty, CODE_SILENT, "", 20);
	CU_ASSERT(TURN_UNTIL(p.loop, hasty.calls == 1));
	CU_ASSERT_EQUAL(hasty.status, ST_TIMEOUT);
	CU_ASSERT_EQUAL(waiting.calls, 0);
	CU_ASSERT_EQUAL(p.disconnects, 0);
	peers_close(&p);
}

/* More than the sockets hold while nobody reads. */
static void test_what_a_socket_does_not_take_at_once_is_sent_later(void)
{
	enum { COUNT = 400, SIZE = 50 * 1000 };
	char *body = calloc(1, SIZE + 1);
	struct peers p;
	struct errinfo err;

	memset(body, 'x', SIZE);
	peers_open(&p, &plain);
	for (int i = 0; i < COUNT; i++) {
		struct encoder *encoder = client_begin(p.client, p.address, CODE_ECHO, true, &err);

		CU_ASSERT_PTR_NOT_NULL_FATAL(encoder);
		command_body(encoder);
		buffer_append_text(encoder->out, body);
		client_send(p.client, 0, NULL, NULL);
	}
	CU_ASSERT(TURN_UNTIL(p.loop, p.oneways == COUNT));
	free(body);
	peers_close(&p);
}

static void test_rest_of_a_frame_has_a_deadline(void)
{
	struct client_config config = { .name = "client", .partial_frame_ms = 50 };
	struct outcome o = { 0 };
	struct peers p;

	peers_open(&p, &config);
	ask(&p, &o, CODE_HALF, "", 60000);
	CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
	CU_ASSERT_EQUAL(o.status, ST_CLOSED);
	CU_ASSERT_EQUAL(p.disconnects, 1);
	peers_close(&p);
}

/* An idle client lets its process sleep: no timer runs when nothing is under way. */
static void test_idle_client_has_no_timer(void)
{
	struct peers p;

	peers_open(&p, &plain);
	int before = event_base_get_num_events(loop_base(p.loop), EVENT_BASE_COUNT_ADDED), during = 0;
	for (int round = 0; round < 3; round++) {
		struct outcome o = { 0 };

		ask(&p, &o, CODE_ECHO, "x", 5000);
		during = event_base_get_num_events(loop_base(p.loop), EVENT_BASE_COUNT_ADDED);
		CU_ASSERT(TURN_UNTIL(p.loop, o.calls == 1));
		CU_ASSERT_EQUAL(o.status, ST_OK);
		client_drop(p.client, p.address);
	}
	CU_ASSERT(during > before);
	CU_ASSERT(TURN_UNTIL(p.loop, server_connection_count(p.server) == 0));
	CU_ASSERT(TURN_UNTIL(p.loop, event_base_get_num_events(loop_base(p.loop), EVENT_BASE_COUNT_ADDED) == before));
	peers_close(&p);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_answers_find_their_requests),
		CHECK_TEST(test_silence_ends_in_a_timeout),
		CHECK_TEST(test_second_answer_is_ignored),
		CHECK_TEST(test_lost_connection_ends_its_requests_and_the_next_reconnects),
		CHECK_TEST(test_refused_connection_fails_requests_then_at_once),
		CHECK_TEST(test_bad_addresses_are_named),
		CHECK_TEST(test_requests_of_the_peer_are_answered_on_their_connection),
		CHECK_TEST(test_oneway_goes_out_alone),
		CHECK_TEST(test_requests_in_flight_are_limited),
		CHECK_TEST(test_output_limit_fails_the_request_not_the_connection),
		CHECK_TEST(test_callbacks_may_drop_and_ask),
		CHECK_TEST(test_every_address_of_a_name_is_tried),
		CHECK_TEST(test_an_address_that_swallows_the_attempt_is_left_for_the_next),
		CHECK_TEST(test_ipv6_literals_with_and_without_brackets),
		CHECK_TEST(test_silent_peer_is_taken_for_gone),
		CHECK_TEST(test_a_short_time_out_does_not_tell_that_the_peer_is_gone),
		CHECK_TEST(test_what_a_socket_does_not_take_at_once_is_sent_later),
		CHECK_TEST(test_rest_of_a_frame_has_a_deadline),
		CHECK_TEST(test_idle_client_has_no_timer),
	};
	return check_main("client", tests, sizeof(tests) / sizeof(tests[0]));
}
