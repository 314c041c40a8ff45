/* The name server's answers, asked as peers ask: encoded requests in, encoded answers out, time by hand. */
#include "tests/unit/namesrv/namesrv_fixture.h"

static void test_registered_topic_has_a_route_compact_and_quoted(void)
{
	for (int compressed = 0; compressed < 2; compressed++) {
		struct bench *b = bench_open();
		struct registration r = plain();

		r.compressed = compressed == 1;
		CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
		CU_ASSERT(b->answer.remark.size > 0);
		CU_ASSERT_EQUAL(b->answer.body.size, 0);
		CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
		CU_ASSERT_EQUAL(b->answer.body.size, 0);
		CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
		CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
		CU_ASSERT_EQUAL(ask_route(b, "T3"), RESP_TOPIC_NOT_EXIST);
		bench_close(b);
	}
}

static void test_wrong_checksum_and_garbage_are_refused(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	r.bad_crc = true;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	begin(b, REQ_REGISTER_BROKER, 0);
	CU_ASSERT_EQUAL(serve(b, 1), RESP_SYSTEM_ERROR); /* No field at all. */
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ROUTEINFO_BY_TOPIC, NULL, NULL, NULL, NULL), RESP_SYSTEM_ERROR);
	bench_close(b);
}

static void test_unchanged_version_touches_no_queue_but_brings_back_a_deleted_topic(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	r.queues = 8;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "T1", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	r.version.counter++;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(8, 6)));
	bench_close(b);
}

static void test_topic_left_out_later_is_kept_single_one_added(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	r.topics[1] = NULL;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SYSTEM_ERROR); /* One topic of an unknown broker. */
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	r = plain();
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	r.topics[0] = "T9";
	r.topics[1] = NULL;
	r.version.counter++;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T9"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
	bench_close(b);
}

static void test_silent_broker_expires_at_its_own_time(void)
{
	struct bench *b = bench_open();
	struct registration usual = plain(), hasty = plain();

	hasty.name = "broker-b";
	hasty.addr = "127.0.0.1:20911";
	hasty.timeout_ms = 10000;
	CU_ASSERT_EQUAL(put(b, &usual), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &hasty), RESP_SUCCESS);
	b->now_ms += 10000;
	route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 0);
	b->now_ms++;
	route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 1);
	CU_ASSERT_STRING_EQUAL(b->gone_addr, "127.0.0.1:20911");
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	/* A heartbeat keeps the other one. */
	b->now_ms = 1000 + TIMEOUT_MS;
	begin(b, REQ_BROKER_HEARTBEAT, 0);
	command_put_text(&b->encoder, "clusterName", "DefaultCluster");
	command_put_text(&b->encoder, "brokerName", "broker-a");
	command_put_text(&b->encoder, "brokerAddr", "127.0.0.1:10911");
	CU_ASSERT_EQUAL(serve(b, 1), RESP_SUCCESS);
	b->now_ms += TIMEOUT_MS;
	route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 1);
	b->now_ms++;
	route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 2);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[]}"));
	bench_close(b);
}

static void test_closed_connection_takes_its_broker_but_not_one_that_moved_on(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	r.conn_id = 2;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	route_table_connection_gone(b->namesrv.routes, 1, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 0);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	route_table_connection_gone(b->namesrv.routes, 2, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 1);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

static int32_t unregister(struct bench *b, const char *name, const char *addr, int64_t id)
{
	struct broker_header header = { .broker_name = span_of(name), .broker_addr = span_of(addr),
					.cluster_name = SPAN_LITERAL("DefaultCluster"), .broker_id = id };

	begin(b, REQ_UNREGISTER_BROKER, 0);
	broker_header_encode(&b->encoder, &header);
	return serve(b, 1);
}

static void test_unregister_takes_exactly_the_named_one(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister(b, "broker-x", "127.0.0.1:10911", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister(b, "broker-a", "127.0.0.1:10911", 1), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister(b, "broker-a", "127.0.0.1:10999", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister(b, "broker-a", "127.0.0.1:10911", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

static void test_slave_learns_of_its_master_and_adds_no_queues(void)
{
	struct bench *b = bench_open();
	struct registration master = plain(), slave = plain();
	struct register_reply_header reply;
	struct errinfo err;

	slave.addr = "127.0.0.1:30911";
	slave.id = 1;
	slave.topics[0] = "OnlyOnSlave";
	slave.conn_id = 2;
	CU_ASSERT_EQUAL(put(b, &slave), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_reply_decode(&b->answer, &reply, &err), ST_OK);
	CU_ASSERT_EQUAL(reply.master_addr.size, 0);
	CU_ASSERT_EQUAL(ask_route(b, "OnlyOnSlave"), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(put(b, &master), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_reply_decode(&b->answer, &reply, &err), ST_OK);
	CU_ASSERT_EQUAL(reply.master_addr.size, 0);
	CU_ASSERT_EQUAL(put(b, &slave), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_reply_decode(&b->answer, &reply, &err), ST_OK);
	CU_ASSERT(span_is(reply.master_addr, "127.0.0.1:10911"));
	CU_ASSERT(span_is(reply.ha_server_addr, "127.0.0.1:10912"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_MEMBER_GROUP, "clusterName", "DefaultCluster", "brokerName", "broker-a"),
			RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"0\":\"127.0.0.1:10911\",\"1\":\"127.0.0.1:30911\"},"
			     "\"brokerName\":\"broker-a\",\"cluster\":\"DefaultCluster\"}}"));
	/* The master goes; the queues stay for those who read from the slave. */
	route_table_connection_gone(b->namesrv.routes, 1, on_gone, b);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
	bench_close(b);
}

static void test_lowest_slave_acts_as_master_when_it_may(void)
{
	struct bench *b = bench_open();
	struct registration slave = plain();

	slave.id = 1;
	slave.acting_master = true;
	CU_ASSERT_EQUAL(put(b, &slave), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	/* For readers only. */
	CU_ASSERT_PTR_NOT_NULL(memmem(b->answer.body.data, b->answer.body.size, "\"perm\":4", 8));
	bench_close(b);
}

static void test_address_under_a_new_id_moves(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	r.id = 2;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CLUSTER_INFO, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"brokerAddrTable\":{\"broker-a\":{\"brokerAddrs\":{\"2\":\"127.0.0.1:10911\"},\"brokerName\":"
			     "\"broker-a\",\"cluster\":\"DefaultCluster\",\"enableActingMaster\":false}},\"clusterAddrTable\":"
			     "{\"DefaultCluster\":[\"broker-a\"]}}"));
	bench_close(b);
}

static void test_replaced_master_does_not_come_back(void)
{
	struct bench *b = bench_open();
	struct registration old = plain(), new = plain();

	new.addr = "127.0.0.1:40911";
	new.version.state_version = 7;
	CU_ASSERT_EQUAL(put(b, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &new), RESP_SUCCESS);
	old.version.counter++;
	CU_ASSERT_EQUAL(put(b, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_MEMBER_GROUP, "clusterName", "c", "brokerName", "broker-a"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"brokerMemberGroup\":{\"brokerAddrs\":{\"0\":\"127.0.0.1:40911\"},\"brokerName\":\"broker-a\","
			     "\"cluster\":\"c\"}}"));
	bench_close(b);
}

static int32_t query_version(struct bench *b, const struct data_version *version, bool *changed)
{
	struct broker_header header = { .broker_name = SPAN_LITERAL("broker-a"), .broker_addr = SPAN_LITERAL("127.0.0.1:10911"),
					.cluster_name = SPAN_LITERAL("DefaultCluster") };
	struct errinfo err;

	begin(b, REQ_QUERY_DATA_VERSION, 0);
	broker_header_encode(&b->encoder, &header);
	command_body(&b->encoder);
	struct json_writer w = json_writer_of(&b->request_bytes);
	data_version_encode(&w, version);
	int32_t code = serve(b, 1);
	CU_ASSERT_EQUAL(data_version_reply_decode(&b->answer, changed, &err), ST_OK);
	return code;
}

static void test_data_version_is_compared_and_refreshes(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();
	struct data_version known;
	struct errinfo err;
	bool changed = false;

	CU_ASSERT_EQUAL(query_version(b, &r.version, &changed), RESP_SUCCESS);
	CU_ASSERT(changed);
	CU_ASSERT_EQUAL(b->answer.body.size, 0);
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	b->now_ms += TIMEOUT_MS;
	CU_ASSERT_EQUAL(query_version(b, &r.version, &changed), RESP_SUCCESS);
	CU_ASSERT_FALSE(changed);
	CU_ASSERT_EQUAL(data_version_decode(b->answer.body, &known, &err), ST_OK);
	CU_ASSERT(data_version_equal(&known, &r.version));
	b->now_ms += TIMEOUT_MS;
	route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 0);
	struct data_version other = { r.version.state_version, r.version.timestamp, r.version.counter + 1 };
	CU_ASSERT_EQUAL(query_version(b, &other, &changed), RESP_SUCCESS);
	CU_ASSERT(changed);
	bench_close(b);
}

/* Of the queues of broker-a and broker-b. */
static void expect_perms(struct bench *b, const char *topic, int32_t perm_a, int32_t perm_b)
{
	struct route route;
	struct errinfo err;

	CU_ASSERT_EQUAL(ask_route(b, topic), RESP_SUCCESS);
	CU_ASSERT_EQUAL_FATAL(route_decode(b->answer.body, &route, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(route.queue_count, 2);
	for (size_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(route.queues[i].perm, span_is(route.queues[i].broker_name, "broker-a") ? perm_a : perm_b);
	route_free(&route);
}

/* Of one broker; its neighbour, which has the same topics, is written to as before. */
static void test_write_permission_is_wiped_and_given_back(void)
{
	struct bench *b = bench_open();
	struct registration r = plain(), other = plain();

	other.name = "broker-b";
	other.addr = "127.0.0.1:20911";
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &other), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_WIPE_WRITE_PERM_OF_BROKER, "brokerName", "broker-a", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "wipeTopicCount"), "2"));
	expect_perms(b, "T1", 4, 6);
	CU_ASSERT_EQUAL(ask(b, REQ_ADD_WRITE_PERM_OF_BROKER, "brokerName", "broker-a", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "addTopicCount"), "2"));
	expect_perms(b, "T1", 6, 6);
	CU_ASSERT_EQUAL(ask(b, REQ_WIPE_WRITE_PERM_OF_BROKER, "brokerName", "nobody", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "wipeTopicCount"), "0"));
	bench_close(b);
}

static void test_lists_of_topics(void)
{
	struct bench *b = bench_open();
	struct registration a = plain(), other = plain();

	other.name = "broker-b";
	other.addr = "127.0.0.1:20911";
	other.cluster = "Other";
	other.topics[0] = "T3";
	CU_ASSERT_EQUAL(put(b, &a), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &other), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ALL_TOPIC_LIST_FROM_NAMESERVER, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[\"T1\",\"T2\",\"T3\"]}"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPICS_BY_CLUSTER, "cluster", "Other", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[\"T2\",\"T3\"]}"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_SYSTEM_TOPIC_LIST_FROM_NS, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"brokerAddr\":\"127.0.0.1:10911\",\"topicList\":[\"DefaultCluster\",\"Other\",\"broker-a\",\"broker-b\"]}"));
	/* Of one cluster only. */
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "T2", "clusterName", "Other"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	bench_close(b);
}

static void test_key_value_settings(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_KV_CONFIG, "namespace", "n", "key", "k"), RESP_QUERY_NOT_FOUND);
	CU_ASSERT_EQUAL(put_kv(b, "n", "k", "v \"1\""), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put_kv(b, "n", "k", "v2"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_KV_CONFIG, "namespace", "n", "key", "k"), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "value"), "v2"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_KVLIST_BY_NAMESPACE, "namespace", "n", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"table\":{\"k\":\"v2\"}}"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_KVLIST_BY_NAMESPACE, "namespace", "m", NULL, NULL), RESP_QUERY_NOT_FOUND);
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_KV_CONFIG, "namespace", "n", "key", "k"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_KV_CONFIG, "namespace", "n", "key", "k"), RESP_QUERY_NOT_FOUND);
	/* A broker gets the order settings with its registration. */
	CU_ASSERT_EQUAL(put_kv(b, NAMESPACE_ORDER_TOPIC_CONFIG, "T1", "broker-a:4"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"table\":{\"T1\":\"broker-a:4\"}}"));
	bench_close(b);
}

static int32_t ask_body(struct bench *b, int32_t code, const char *body)
{
	begin(b, code, 0);
	command_body(&b->encoder);
	buffer_append_text(&b->request_bytes, body);
	return serve(b, 1);
}

static void test_older_clients_get_the_older_dialect(void)
{
	struct bench *b = bench_open();
	struct registration a = plain();

	CU_ASSERT_EQUAL(put(b, &a), RESP_SUCCESS);
	b->asker_version = VERSION_4_9_4 - 1;
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(memmem(b->answer.body.data, b->answer.body.size, "{0:\"127.0.0.1:10911\"}", 21));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ROUTEINFO_BY_TOPIC, "topic", "T1", "acceptStandardJsonOnly", "true"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	b->asker_version = VERSION_4_9_4;
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	bench_close(b);
}

static void test_other_requests(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask_body(b, REQ_UPDATE_NAMESRV_CONFIG, "good"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_body(b, REQ_UPDATE_NAMESRV_CONFIG, "bad"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_body(b, REQ_UPDATE_NAMESRV_CONFIG, "another"), RESP_NO_PERMISSION);
	CU_ASSERT_TRUE(span_is(b->answer.remark, "not this one"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_NAMESRV_CONFIG, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "listenPort=9876\n"));
	CU_ASSERT_EQUAL(ask(b, 31337, NULL, NULL, NULL, NULL), RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_MEMBER_GROUP, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CLUSTER_INFO, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"brokerAddrTable\":{},\"clusterAddrTable\":{}}"));
	bench_close(b);
}

static void test_oneway_requests_are_never_answered(void)
{
	struct bench *b = bench_open();

	for (int32_t code = 1; code < 1000; code++) {
		begin(b, code, COMMAND_ONEWAY);
		command_put_text(&b->encoder, "topic", "T1");
		command_put_text(&b->encoder, "namespace", "n");
		if (serve(b, 1) != -1)
			CU_FAIL("a one-way request was answered");
	}
	bench_close(b);
}

static bool remark_has(const struct bench *b, const char *part)
{
	return memmem(b->answer.remark.data, b->answer.remark.size, part, strlen(part)) != NULL;
}

/* An operator who gave the wrong address, or wants what there is not, reads what to do. */
static void test_what_is_not_for_a_name_server_says_where_to_go(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_RUNTIME_INFO, NULL, NULL, NULL, NULL), RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT_TRUE(remark_has(b, "request type 28 not supported"));
	CU_ASSERT_TRUE(remark_has(b, "ask a broker"));
	CU_ASSERT_EQUAL(ask(b, REQ_CONTROLLER_GET_METADATA_INFO, NULL, NULL, NULL, NULL), RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT_TRUE(remark_has(b, "no controller"));
	CU_ASSERT_EQUAL(ask(b, 31337, NULL, NULL, NULL, NULL), RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT_TRUE(span_is(b->answer.remark, " request type 31337 not supported"));
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_registered_topic_has_a_route_compact_and_quoted),
		CHECK_TEST(test_wrong_checksum_and_garbage_are_refused),
		CHECK_TEST(test_unchanged_version_touches_no_queue_but_brings_back_a_deleted_topic),
		CHECK_TEST(test_topic_left_out_later_is_kept_single_one_added),
		CHECK_TEST(test_silent_broker_expires_at_its_own_time),
		CHECK_TEST(test_closed_connection_takes_its_broker_but_not_one_that_moved_on),
		CHECK_TEST(test_unregister_takes_exactly_the_named_one),
		CHECK_TEST(test_slave_learns_of_its_master_and_adds_no_queues),
		CHECK_TEST(test_lowest_slave_acts_as_master_when_it_may),
		CHECK_TEST(test_address_under_a_new_id_moves),
		CHECK_TEST(test_replaced_master_does_not_come_back),
		CHECK_TEST(test_data_version_is_compared_and_refreshes),
		CHECK_TEST(test_write_permission_is_wiped_and_given_back),
		CHECK_TEST(test_lists_of_topics),
		CHECK_TEST(test_key_value_settings),
		CHECK_TEST(test_older_clients_get_the_older_dialect),
		CHECK_TEST(test_other_requests),
		CHECK_TEST(test_what_is_not_for_a_name_server_says_where_to_go),
		CHECK_TEST(test_oneway_requests_are_never_answered),
	};
	return check_main("namesrv", tests, sizeof(tests) / sizeof(tests[0]));
}
