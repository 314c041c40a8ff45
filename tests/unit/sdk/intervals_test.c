/* What the library does from time to time, and for how long it remembers: heartbeats, routes, brokers that nobody names any
 * more. Its loop is turned by the test, and time leaps. */
#include <string.h>

#include "client-sdk/src/brokers.h"
#include "client-sdk/src/routes.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"
#include "tests/support/leap.h"
#include "tests/support/stub_broker.h"
#include "tests/support/turns.h"

/* Around the 30 s of heartbeats and routes. */
enum { SECOND_MS = 1000, TOO_SOON_MS = 20 * SECOND_MS, IN_TIME_MS = 40 * SECOND_MS };

struct bench {
	struct stub *stub;
	struct loop *loop;
	struct client *client;
	struct brokers *brokers;
	struct routes *routes;
	struct topic_route *route; /* Of "orders". */
};

static void fill_heartbeat(void *context, struct heartbeat *out)
{
	(void)context;
	out->client_id = SPAN_LITERAL("me");
}

static void on_acknowledged(void *context, struct broker *broker)
{
	(void)context;
	(void)broker;
}

static void on_route(void *context, struct topic_route *route)
{
	struct bench *b = context;

	(void)route;
	brokers_sync(b->brokers, routes_first(b->routes));
}

static void on_disconnect(void *context, const char *address)
{
	struct bench *b = context;

	brokers_disconnected(b->brokers, address);
}

static struct broker *broker(const struct bench *b)
{
	return brokers_find(b->brokers, stub_address(b->stub));
}

static int requests(const struct bench *b, enum stub_kind kind)
{
	return stub_counts(b->stub).requests[kind];
}

/* Knows the route, and is known to its broker. */
static void open_bench(struct bench *b)
{
	struct client_config client_config = { .name = "test" };
	struct client_callbacks callbacks = { b, NULL, on_disconnect };
	struct name_servers servers;

	memset(b, 0, sizeof(*b));
	b->stub = stub_start(1, false);
	CU_ASSERT_EQUAL_FATAL(name_servers_parse(stub_address(b->stub), &servers, NULL), ST_OK);
	b->loop = loop_create();
	b->client = client_create(b->loop, &client_config, &callbacks);
	struct brokers_config brokers_config = { .loop = b->loop, .client = b->client, .fill_heartbeat = fill_heartbeat,
						 .on_acknowledged = on_acknowledged };
	b->brokers = brokers_create(&brokers_config);
	b->routes = routes_create(b->loop, b->client, &servers, on_route, b);
	b->route = routes_watch(b->routes, "orders", false);
	CU_ASSERT_TRUE_FATAL(TURN_UNTIL(b->loop, broker(b) != NULL && broker(b)->acknowledged));
}

static void close_bench(struct bench *b)
{
	routes_stop(b->routes);
	brokers_stop(b->brokers);
	client_destroy(b->client);
	routes_destroy(b->routes);
	brokers_destroy(b->brokers);
	loop_destroy(b->loop);
	stub_stop(b->stub);
}

static void pass(struct bench *b, int64_t ms)
{
	leap(ms);
	for (int i = 0; i < 10; i++)
		loop_turn(b->loop, 1);
}

/* So often that no broker forgets its clients, and no more. */
static void test_heartbeats_go_on(void)
{
	struct bench b;

	open_bench(&b);
	for (int beats = 1; beats <= 3; beats++) {
		pass(&b, TOO_SOON_MS);
		CU_ASSERT_EQUAL(requests(&b, STUB_BEAT), beats);
		leap(IN_TIME_MS - TOO_SOON_MS);
		CU_ASSERT_TRUE(TURN_UNTIL(b.loop, brokers_acknowledged_count(b.brokers) == (uint64_t)beats + 1));
	}
	close_bench(&b);
}

/* New queues, and new brokers, of a topic are seen without anybody's word. */
static void test_routes_are_looked_up_again(void)
{
	struct bench b;

	open_bench(&b);
	for (int lookups = 1; lookups <= 3; lookups++) {
		pass(&b, TOO_SOON_MS);
		CU_ASSERT_EQUAL(requests(&b, STUB_ROUTE), lookups);
		leap(IN_TIME_MS - TOO_SOON_MS);
		CU_ASSERT_TRUE(TURN_UNTIL(b.loop, requests(&b, STUB_ROUTE) == lookups + 1 && !b.route->asking));
	}
	close_bench(&b);
}

/* By its failures a producer passes it over. */
static void test_a_broker_that_is_back_has_not_failed(void)
{
	struct bench b;

	open_bench(&b);
	stub_crash(b.stub);
	CU_ASSERT_TRUE(TURN_UNTIL(b.loop, broker(&b)->failures > 0));
	CU_ASSERT_FALSE(broker(&b)->acknowledged);
	stub_return(b.stub);
	CU_ASSERT_TRUE(TURN_UNTIL(b.loop, broker(&b)->acknowledged));
	CU_ASSERT_EQUAL(broker(&b)->failures, 0);
	close_bench(&b);
}

/* Name servers forget a broker the moment it dies, so it is looked for a while; but not for ever, or there would be no place
 * for others in the end. */
static void test_a_broker_that_is_gone_is_forgotten_after_a_while(void)
{
	struct bench b;

	open_bench(&b);
	routes_stop(b.routes);
	stub_crash(b.stub);
	brokers_sync(b.brokers, NULL);
	CU_ASSERT_TRUE(TURN_UNTIL(b.loop, broker(&b)->failures > 0));
	unsigned failures = broker(&b)->failures;
	leap(300 * SECOND_MS);
	CU_ASSERT_TRUE_FATAL(TURN_UNTIL(b.loop, broker(&b) == NULL || broker(&b)->failures > failures));
	CU_ASSERT_PTR_NOT_NULL(broker(&b));
	leap(600 * SECOND_MS);
	CU_ASSERT_TRUE(TURN_UNTIL(b.loop, broker(&b) == NULL));
	close_bench(&b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_heartbeats_go_on),
		CHECK_TEST(test_routes_are_looked_up_again),
		CHECK_TEST(test_a_broker_that_is_back_has_not_failed),
		CHECK_TEST(test_a_broker_that_is_gone_is_forgotten_after_a_while),
	};
	return check_main("sdk/intervals", tests, sizeof(tests) / sizeof(tests[0]));
}
