/* The producer's plain sends, and the routes by which they go. */
#include "tests/unit/sdk/producer_fixture.h"

static void test_plain_messages_are_stored_with_their_properties(void)
{
	struct stub *stub = stub_start(4, false);
	escrow_producer *producer = start_known(stub);
	struct escrow_send_result result;
	struct escrow_error err;
	escrow_message *message = make("orders");
	char id[64];

	CU_ASSERT_EQUAL(escrow_message_set_tag(message, "paid", &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_TRUE(result.durable);
	CU_ASSERT_EQUAL(stub_visible(stub, "orders", id), 1);
	CU_ASSERT_STRING_EQUAL(id, result.message_id);
	stub_fault(stub, STUB_SEND, STUB_ANSWER_CODE, 1, RESP_FLUSH_SLAVE_TIMEOUT);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	CU_ASSERT_FALSE(result.durable);
	/* With an ordering key all go to one queue. */
	CU_ASSERT_EQUAL(escrow_message_set_ordering_key(message, "customer 7", &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
	int queue = result.queue_id;
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
		CU_ASSERT_EQUAL(result.queue_id, queue);
	}
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

static void test_deadlines_and_missing_routes(void)
{
	struct stub *stub = stub_start(1, true);
	escrow_producer *producer = start(stub);
	escrow_message *message = make("absent"), *there = make("orders");
	struct escrow_error err;

	CU_ASSERT_EQUAL(escrow_send(producer, message, 300, NULL, &err), ESCROW_NO_ROUTE);
	CU_ASSERT_TRUE(err.retriable);
	CU_ASSERT_FALSE(err.outcome_unknown);
	stub_fault(stub, STUB_SEND, STUB_DROP_REQUEST, 1000, 0);
	CU_ASSERT_EQUAL(escrow_send(producer, there, 300, NULL, &err), ESCROW_TIMEOUT);
	CU_ASSERT_TRUE(err.outcome_unknown);
	escrow_producer_stop(producer, 1000);
	stub_crash(stub);
	producer = start(stub);
	CU_ASSERT_EQUAL(escrow_send(producer, there, 300, NULL, &err), ESCROW_UNREACHABLE);
	CU_ASSERT_FALSE(err.outcome_unknown);
	escrow_producer_stop(producer, 100);
	escrow_message_destroy(message);
	escrow_message_destroy(there);
	stub_stop(stub);
}

/* A topic whose brokers are gone from the name server has no fewer queues than before, and none of the template's. */
static void test_a_route_that_was_known_is_not_replaced_by_the_template(void)
{
	struct stub *stub = stub_start(8, false);
	escrow_producer *producer = start_known(stub);
	escrow_message *message = make("orders");
	struct escrow_send_result result;
	struct escrow_error err;
	bool seen[8] = { false };

	stub_forget_topic(stub, "orders");
	int routes = stub_counts(stub).requests[STUB_ROUTE] + 2; /* The topic, and the template. */
	stub_fault(stub, STUB_SEND, STUB_REFUSE, 1, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK); /* Has the route looked at again. */
	CU_ASSERT_TRUE(wait_requests(stub, STUB_ROUTE, routes));
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK);
	for (int i = 0; i < 8; i++) {
		CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, &result, &err), ESCROW_OK);
		seen[result.queue_id & 7] = true;
	}
	for (int i = 0; i < 8; i++)
		CU_ASSERT_TRUE(seen[i]);
	escrow_message_destroy(message);
	stop_both(producer, stub);
}

/* A broker that is back may have other queues: its routes are looked at again, long before their time. */
static void test_routes_are_looked_at_again_when_a_broker_is_back(void)
{
	struct stub *stub = stub_start(1, false);
	escrow_producer *producer = start_known(stub);

	stub_crash(stub);
	stub_return(stub);
	int routes = stub_counts(stub).requests[STUB_ROUTE] + 1;
	CU_ASSERT_TRUE(wait_requests(stub, STUB_ROUTE, routes));
	stop_both(producer, stub);
}

static void test_a_name_server_that_is_down_is_passed_over(void)
{
	struct stub *stub = stub_start(1, false), *dead = stub_start(1, false);
	struct escrow_producer_config config;
	escrow_producer *producer = NULL;
	escrow_message *message = make("orders");
	struct escrow_error err;
	char servers[128];

	snprintf(servers, sizeof(servers), "%s;%s", stub_address(dead), stub_address(stub));
	stub_crash(dead);
	escrow_producer_config_init(&config, sizeof(config));
	config.name_servers = servers;
	config.group = "g";
	CU_ASSERT_EQUAL_FATAL(escrow_producer_start(&config, &producer, &err), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_send(producer, message, LONG_MS, NULL, &err), ESCROW_OK);
	escrow_message_destroy(message);
	escrow_producer_stop(producer, 1000);
	stub_stop(dead);
	stub_stop(stub);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_plain_messages_are_stored_with_their_properties),
		CHECK_TEST(test_deadlines_and_missing_routes),
		CHECK_TEST(test_a_route_that_was_known_is_not_replaced_by_the_template),
		CHECK_TEST(test_routes_are_looked_at_again_when_a_broker_is_back),
		CHECK_TEST(test_a_name_server_that_is_down_is_passed_over),
	};
	return check_main("sdk/producer sends", tests, sizeof(tests) / sizeof(tests[0]));
}
