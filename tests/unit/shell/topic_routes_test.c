/* broker/shell/topic_routes: a name server in the same loop; the time that tick() is told is the test's. */
#include "tests/unit/net/net_fixture.h"

#include <stdio.h>

#include "broker/core/assignment.h"
#include "broker/shell/topic_routes.h"
#include "lib/wire/body_route.h"
#include "lib/wire/header_namesrv.h"
#include "lib/wire/names.h"

enum { REFRESH_MS = 30000, START_MS = 5000000 };

struct rig {
	struct loop *loop;
	struct server *server;
	struct client *client;
	struct topic_routes *routes;
	struct route_port port;
	int64_t now_ms;
	char address[64];
	/* What the name server does. */
	int32_t code;
	int32_t queues;        /* Of broker "b"; "a" has two. */
	const char *body;      /* Instead. */
	bool silent;
	int asks;
	char last_topic[LONG_TOPIC_NAME_MAX + 1];
	bool away;             /* No name server can be reached. */
	bool first_is_dead;    /* There are two, and nobody listens at one. */
	struct command command;
	struct command_scratch scratch;
};

static void put_route(struct buffer *out, int32_t queues)
{
	struct queue_data data[] = { { .broker_name = SPAN_LITERAL("b"), .perm = 6, .read_queue_nums = queues },
				     { .broker_name = SPAN_LITERAL("a"), .perm = 6, .read_queue_nums = 2 } };
	struct route route = { .queues = data, .queue_count = 2 };

	route_encode(out, &route, true);
}

static void serve(void *context, struct conn *conn, struct span frame)
{
	struct rig *r = context;
	struct route_header header;
	struct encoder encoder;
	struct errinfo err;
	struct buffer *out = conn_output(conn);

	CU_ASSERT_EQUAL_FATAL(command_decode(frame, &r->scratch, &r->command, &err), ST_OK);
	CU_ASSERT_EQUAL(r->command.code, REQ_GET_ROUTEINFO_BY_TOPIC);
	CU_ASSERT_EQUAL_FATAL(route_header_decode(&r->command, &header, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(span_to_cstr(header.topic, r->last_topic, sizeof(r->last_topic)), ST_OK);
	r->asks++;
	if (r->silent)
		return;
	command_begin(&encoder, out, SERIALIZE_JSON, r->code, r->command.opaque, COMMAND_RESPONSE, SPAN_NONE);
	command_body(&encoder);
	if (r->body != NULL)
		buffer_append_text(out, r->body);
	else if (r->code == RESP_SUCCESS)
		put_route(out, r->queues);
	CU_ASSERT(command_end(&encoder));
	conn_written(conn);
}

static void served_end(void *context, struct conn *conn)
{
	(void)context;
	(void)conn;
}

static const char *name_server(void *context, uint32_t turn)
{
	const struct rig *r = context;

	if (r->away)
		return NULL;
	return r->first_is_dead && turn % 2 == 0 ? "127.0.0.1:1" : r->address;
}

static void pass(struct rig *r, int64_t ms)
{
	r->now_ms += ms;
	topic_routes_tick(r->routes, r->now_ms);
}

static void rig_open(struct rig *r)
{
	struct server_config server_config = fixture_config();
	struct server_callbacks server_callbacks = { r, serve, served_end };
	struct client_config client_config = { .name = "routes" };
	struct client_callbacks client_callbacks = { 0 };
	struct topic_routes_config config = { REFRESH_MS, r, name_server };
	struct errinfo err;

	*r = (struct rig){ .now_ms = START_MS, .code = RESP_SUCCESS, .queues = 4 };
	r->loop = loop_create();
	CU_ASSERT_EQUAL_FATAL(server_create(r->loop, &server_config, &server_callbacks, &r->server, &err), ST_OK);
	snprintf(r->address, sizeof(r->address), "127.0.0.1:%u", server_port(r->server));
	r->client = client_create(r->loop, &client_config, &client_callbacks);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->client);
	r->routes = topic_routes_create(r->client, &config);
	CU_ASSERT_PTR_NOT_NULL_FATAL(r->routes);
	r->port = topic_routes_port(r->routes);
	pass(r, 0);
}

static void rig_close(struct rig *r)
{
	client_destroy(r->client);
	topic_routes_destroy(r->routes);
	server_destroy(r->server);
	loop_destroy(r->loop);
}

/* -1: to be run again; else how many queues are known of the topic. */
static int32_t look(struct rig *r, const char *topic)
{
	const struct topic_queues *queues = NULL;
	enum status status = r->port.find(r->port.context, span_of(topic), &queues);

	CU_ASSERT_TRUE(status == ST_OK || (status == ST_AGAIN && queues == NULL));
	return status == ST_AGAIN ? -1 : queues == NULL ? 0 : (int32_t)queues->queue_count;
}

/* What a request for the topic gets at last, without any passing of time. */
static int32_t known(struct rig *r, const char *topic)
{
	CU_ASSERT_TRUE(TURN_UNTIL(r->loop, look(r, topic) >= 0));
	return look(r, topic);
}

/* Lets all requests under way end. */
static void settle(struct rig *r)
{
	CU_ASSERT_TRUE(TURN_UNTIL(r->loop, !client_busy(r->client)));
}

static void test_a_route_is_fetched_and_refreshed(void)
{
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_STRING_EQUAL(r.last_topic, "t");
	CU_ASSERT_EQUAL(r.asks, 1);
	r.queues = 8;
	pass(&r, REFRESH_MS - 1);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 6);
	CU_ASSERT_EQUAL(r.asks, 1);
	pass(&r, 100);
	CU_ASSERT_EQUAL(look(&r, "t"), 6); /* Nobody waits for a refresh. */
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 10);
	CU_ASSERT_EQUAL(r.asks, 2);
	pass(&r, 100);
	settle(&r);
	CU_ASSERT_EQUAL(r.asks, 2);
	rig_close(&r);
}

static void test_no_route_is_found_again(void)
{
	struct rig r;

	rig_open(&r);
	r.code = RESP_TOPIC_NOT_EXIST;
	CU_ASSERT_EQUAL(known(&r, "t"), 0);
	CU_ASSERT_EQUAL(look(&r, "t"), 0);
	pass(&r, ROUTE_RETRY_MS - 1);
	CU_ASSERT_EQUAL(look(&r, "t"), 0);
	CU_ASSERT_EQUAL(r.asks, 1);
	r.code = RESP_SUCCESS;
	pass(&r, 1000);
	settle(&r);
	CU_ASSERT_EQUAL(r.asks, 1); /* Not of its own accord. */
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_EQUAL(r.asks, 2);
	rig_close(&r);
}

static void test_a_deleted_topic_is_forgotten(void)
{
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_EQUAL(known(&r, "%RETRY%g"), 6);
	r.code = RESP_TOPIC_NOT_EXIST;
	pass(&r, REFRESH_MS);
	settle(&r);
	CU_ASSERT_EQUAL(r.asks, 4);
	CU_ASSERT_EQUAL(look(&r, "t"), 0);
	CU_ASSERT_EQUAL(look(&r, "%RETRY%g"), 6);
	/* And the retry topic is not asked for every second. */
	pass(&r, 2 * ROUTE_RETRY_MS);
	settle(&r);
	CU_ASSERT_EQUAL(r.asks, 4);
	rig_close(&r);
}

static void test_no_name_server(void)
{
	struct rig r;

	rig_open(&r);
	r.away = true;
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	pass(&r, ROUTE_WAIT_MS - 1);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	pass(&r, 1);
	CU_ASSERT_EQUAL(look(&r, "t"), 0);
	pass(&r, 10000);
	CU_ASSERT_EQUAL(look(&r, "t"), 0); /* Nobody waits a second time. */
	CU_ASSERT_EQUAL(r.asks, 0);
	r.away = false;
	pass(&r, 100);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 6);
	/* What was known stays. */
	r.away = true;
	pass(&r, 4 * REFRESH_MS);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 6);
	CU_ASSERT_EQUAL(r.asks, 1);
	r.away = false;
	r.queues = 1;
	pass(&r, 100);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 3);
	rig_close(&r);
}

static void test_another_name_server(void)
{
	struct rig r;

	rig_open(&r);
	r.first_is_dead = true;
	/* Two at once: one step away from the dead one, not back to it. */
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(look(&r, "u"), -1);
	settle(&r);
	CU_ASSERT_EQUAL(r.asks, 0);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	pass(&r, ROUTE_RETRY_MS);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_EQUAL(known(&r, "u"), 6);
	CU_ASSERT_EQUAL(r.asks, 2);
	rig_close(&r);
}

static void test_a_silent_name_server(void)
{
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(known(&r, "known"), 6);
	r.silent = true;
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	settle(&r); /* Its time-out. */
	pass(&r, ROUTE_WAIT_MS);
	CU_ASSERT_EQUAL(look(&r, "t"), 0);
	CU_ASSERT_EQUAL(look(&r, "known"), 6);
	CU_ASSERT_EQUAL(look(&r, "u"), -1);
	rig_close(&r); /* While requests are under way. */
}

static void test_bad_answers(void)
{
	static const char too_many[] = "{\"queueDatas\":[{\"brokerName\":\"a\",\"perm\":6,\"readQueueNums\":70000}]}";
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	r.body = "no JSON";
	pass(&r, REFRESH_MS);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "t"), 6);
	CU_ASSERT_EQUAL(known(&r, "u"), 0);
	r.body = too_many;
	CU_ASSERT_EQUAL(known(&r, "v"), 0);
	CU_ASSERT_EQUAL(look(&r, "a topic with blanks"), 0);
	CU_ASSERT_EQUAL(look(&r, ""), 0);
	CU_ASSERT_EQUAL(r.asks, 4);
	r.body = NULL;
	r.code = RESP_SYSTEM_ERROR;
	CU_ASSERT_EQUAL(look(&r, "w"), -1);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "w"), -1);
	pass(&r, ROUTE_WAIT_MS);
	CU_ASSERT_EQUAL(look(&r, "w"), 0);
	rig_close(&r);
}

static void test_unused_ones_are_dropped(void)
{
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_EQUAL(known(&r, "u"), 6);
	pass(&r, ROUTE_IDLE_MS - 1);
	settle(&r);
	CU_ASSERT_EQUAL(look(&r, "u"), 6);
	pass(&r, 100);
	CU_ASSERT_EQUAL(topic_routes_count(r.routes), 1);
	int asks = r.asks;
	CU_ASSERT_EQUAL(look(&r, "u"), 6);
	CU_ASSERT_EQUAL(look(&r, "t"), -1);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	CU_ASSERT_EQUAL(r.asks, asks + 1);
	rig_close(&r);
}

static void test_their_number_is_bounded(void)
{
	char topic[32];
	struct rig r;

	rig_open(&r);
	CU_ASSERT_EQUAL(known(&r, "t"), 6);
	for (int i = 0; i < ROUTES_MAX + 100; i++) {
		snprintf(topic, sizeof(topic), "bogus%d", i);
		CU_ASSERT_EQUAL(look(&r, topic), -1);
	}
	CU_ASSERT_EQUAL(topic_routes_count(r.routes), ROUTES_MAX);
	settle(&r);
	CU_ASSERT_TRUE(r.asks < 100);
	CU_ASSERT_EQUAL(look(&r, "t"), 6); /* Its route outlives them, though it was needed before them. */
	rig_close(&r);
}

/* Of those that are known the one goes that was needed the longest ago. */
static void test_the_least_needed_goes_first(void)
{
	char topic[32];
	struct rig r;

	rig_open(&r);
	for (int i = 0; i < ROUTES_MAX; i++) {
		snprintf(topic, sizeof(topic), "t%d", i);
		CU_ASSERT_EQUAL(look(&r, topic), -1);
		if (i % 32 == 31)
			settle(&r);
	}
	pass(&r, 10);
	for (int i = 1; i < ROUTES_MAX; i++) {
		snprintf(topic, sizeof(topic), "t%d", i);
		CU_ASSERT_EQUAL(look(&r, topic), 6);
	}
	CU_ASSERT_EQUAL(known(&r, "new"), 6);
	CU_ASSERT_EQUAL(look(&r, "t1"), 6);
	CU_ASSERT_EQUAL(look(&r, "t0"), -1);
	settle(&r);
	rig_close(&r);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_route_is_fetched_and_refreshed),
		CHECK_TEST(test_no_route_is_found_again),
		CHECK_TEST(test_a_deleted_topic_is_forgotten),
		CHECK_TEST(test_no_name_server),
		CHECK_TEST(test_another_name_server),
		CHECK_TEST(test_a_silent_name_server),
		CHECK_TEST(test_bad_answers),
		CHECK_TEST(test_unused_ones_are_dropped),
		CHECK_TEST(test_their_number_is_bounded),
		CHECK_TEST(test_the_least_needed_goes_first),
	};
	return check_main("shell/topic_routes", tests, sizeof(tests) / sizeof(tests[0]));
}
