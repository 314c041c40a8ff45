/* What peers may ask of the name server before it says no, and the rarer requests of tools. */
#include "tests/unit/namesrv/namesrv_fixture.h"

#include <unistd.h>

static void test_key_value_settings_are_bounded(void)
{
	struct kv *kv = kv_create();
	struct errinfo err;
	char *text = malloc(KV_TEXT_MAX);

	memset(text, 'x', KV_TEXT_MAX);
	CU_ASSERT_EQUAL(kv_put(kv, span_of("n"), span_of("k"), (struct span){ (uint8_t *)text, KV_TEXT_MAX }, &err), ST_TOOBIG);
	for (int i = 0; i < KV_COUNT_MAX; i++) {
		char key[16];

		snprintf(key, sizeof(key), "%d", i);
		if (kv_put(kv, span_of("n"), span_of(key), span_of("v"), &err) != ST_OK)
			CU_FAIL("a setting below the limit was refused");
	}
	CU_ASSERT_EQUAL(kv_put(kv, span_of("n"), span_of("one more"), span_of("v"), &err), ST_FULL);
	CU_ASSERT_EQUAL(kv_put(kv, span_of("n"), span_of("1"), span_of("w"), &err), ST_OK);
	CU_ASSERT(span_is(kv_get(kv, span_of("n"), span_of("1")), "w"));
	kv_destroy(kv);
	/* The sum is bounded too, counts replaced ones once, and gives room back. */
	int fit = 0;
	kv = kv_create();
	for (char key[16]; snprintf(key, sizeof(key), "%d", fit) > 0; fit++) {
		if (kv_put(kv, span_of("n"), span_of(key), (struct span){ (uint8_t *)text, KV_TEXT_MAX - 16 }, &err) != ST_OK)
			break;
		CU_ASSERT_FATAL(fit < KV_COUNT_MAX);
	}
	CU_ASSERT_EQUAL(err.code, ST_FULL);
	CU_ASSERT_EQUAL(fit, KV_BYTES_MAX / (KV_TEXT_MAX - 16));
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(kv_put(kv, span_of("n"), span_of("0"), (struct span){ (uint8_t *)text, KV_TEXT_MAX - 16 }, &err), ST_OK);
	kv_delete(kv, span_of("n"), span_of("0"));
	CU_ASSERT_EQUAL(kv_put(kv, span_of("n"), span_of("x"), (struct span){ (uint8_t *)text, KV_TEXT_MAX - 16 }, &err), ST_OK);
	free(text);
	kv_destroy(kv);
}

static void test_brokers_are_bounded(void)
{
	struct route_table *table = route_table_create(TIMEOUT_MS);
	struct topic_config_table none = { 0 };
	struct errinfo err;
	bool is_new;

	for (int i = 0; i <= BROKERS_MAX; i++) {
		char name[32], addr[32];

		snprintf(name, sizeof(name), "b%d", i);
		snprintf(addr, sizeof(addr), "10.0.0.1:%d", i);
		struct broker_header header = { .broker_name = span_of(name), .broker_addr = span_of(addr),
						.cluster_name = SPAN_LITERAL("c"), .heartbeat_timeout_ms = -1 };
		enum status status = route_table_register(table, &header, &none, 1, 0, &is_new, &err);
		if (status != (i < BROKERS_MAX ? ST_OK : ST_TOOBIG))
			CU_FAIL("the limit is elsewhere");
	}
	route_table_connection_gone(table, 1, NULL, NULL);
	route_table_destroy(table);
}

/* A broker with as many topics as one registration may name, in the form in which they fit a frame. */
static void test_hundred_thousand_topics_in_one_registration(void)
{
	struct topic_config *topics = calloc(REGISTER_TOPICS_MAX, sizeof(*topics));
	char(*names)[24] = calloc(REGISTER_TOPICS_MAX, sizeof(*names));
	struct data_version version = { 0, 5, 1 };
	struct bench *b = bench_open();
	struct buffer body;
	struct errinfo err;

	for (int i = 0; i < REGISTER_TOPICS_MAX; i++) {
		snprintf(names[i], sizeof(names[i]), "topic-%d", i);
		topics[i] = (struct topic_config){ .name = span_of(names[i]), .read_queue_nums = 4, .write_queue_nums = 4,
						   .perm = PERM_READ | PERM_WRITE };
	}
	buffer_init(&body, 0);
	CU_ASSERT_EQUAL_FATAL(register_body_encode_compressed(&body, &version, topics, REGISTER_TOPICS_MAX, &err), ST_OK);
	begin(b, REQ_REGISTER_BROKER, 0);
	register_broker_encode(&b->encoder, &(struct broker_header){
		.broker_name = SPAN_LITERAL("broker-a"), .broker_addr = SPAN_LITERAL("127.0.0.1:10911"),
		.cluster_name = SPAN_LITERAL("DefaultCluster"), .ha_server_addr = SPAN_LITERAL("127.0.0.1:10912"),
		.heartbeat_timeout_ms = -1, .compressed = true, .body_crc32 = register_body_crc(buffer_span(&body)) });
	command_body(&b->encoder);
	buffer_append_span(&b->request_bytes, buffer_span(&body));
	CU_ASSERT_EQUAL(serve(b, 1), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "topic-0"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	CU_ASSERT_EQUAL(ask_route(b, "topic-99999"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	route_table_connection_gone(b->namesrv.routes, 1, NULL, NULL);
	CU_ASSERT_EQUAL(ask_route(b, "topic-99999"), RESP_TOPIC_NOT_EXIST);
	buffer_deinit(&body);
	free(names);
	free(topics);
	bench_close(b);
}

/* Whoever repeats a bad registration gets its answers, but does not fill the operator's log. */
static void test_refused_registrations_are_logged_a_few_times(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();
	char line[512];
	int lines = 0;

	check_stderr_begin();
	r.bad_crc = true;
	for (int i = 0; i < 200; i++)
		CU_ASSERT_EQUAL(put(b, &r), RESP_SYSTEM_ERROR);
	b->now_ms += 2000;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SYSTEM_ERROR);
	FILE *log = check_stderr_end();
	while (fgets(line, sizeof(line), log) != NULL)
		lines++;
	CU_ASSERT_EQUAL(lines, LOG_GATE_BURST + 1);
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "registration refused"));
	CU_ASSERT_PTR_NOT_NULL(strstr(line, "suppressed=195"));
	fclose(log);
	bench_close(b);
}

/* Requests with nothing where a name belongs are answered, and change nothing. */
static void test_names_left_empty(void)
{
	static const int32_t codes[] = { REQ_UNREGISTER_BROKER, REQ_GET_ROUTEINFO_BY_TOPIC, REQ_GET_TOPICS_BY_CLUSTER,
					 REQ_WIPE_WRITE_PERM_OF_BROKER, REQ_ADD_WRITE_PERM_OF_BROKER,
					 REQ_DELETE_TOPIC_IN_NAMESRV, REQ_GET_BROKER_MEMBER_GROUP, REQ_BROKER_HEARTBEAT,
					 REQ_GET_KV_CONFIG, REQ_DELETE_KV_CONFIG, REQ_QUERY_DATA_VERSION };
	static const char *const fields[] = { "brokerName", "brokerAddr", "clusterName", "cluster", "topic", "namespace", "key" };

	for (int serialize = 0; serialize < 2; serialize++) {
		struct bench *b = bench_open();
		struct registration r = plain();

		CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
		for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
			buffer_reset(&b->request_bytes);
			command_begin(&b->encoder, &b->request_bytes, (uint8_t)serialize, codes[i], 42, 0, SPAN_NONE);
			for (size_t k = 0; k < sizeof(fields) / sizeof(fields[0]); k++)
				command_put_text(&b->encoder, fields[k], "");
			command_put_text(&b->encoder, "brokerId", "0");
			CU_ASSERT_NOT_EQUAL(serve(b, 9), -1);
		}
		r.addr = "";
		(void)put(b, &r);
		r.addr = "127.0.0.1:10911";
		r.name = "";
		(void)put(b, &r);
		CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
		CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
		bench_close(b);
	}
}

/* Sends REGISTER_TOPIC_IN_NAMESRV with queues on two brokers. */
static int32_t register_topic(struct bench *b, const char *topic, const char *broker, const char *other, int32_t flag)
{
	struct queue_data queues[] = { { span_of(broker), 2, 3, 6, flag }, { span_of(other), 9, 9, 6, flag } };
	struct broker_data brokers[] = { { .broker_name = span_of(broker) } };
	struct route route = { .brokers = brokers, .broker_count = 1, .queues = queues, .queue_count = 2 };

	begin(b, REQ_REGISTER_TOPIC_IN_NAMESRV, 0);
	command_put_text(&b->encoder, "topic", topic);
	command_body(&b->encoder);
	route_encode(&b->request_bytes, &route, true);
	return serve(b, 9);
}

static void test_topic_set_by_hand_on_known_brokers(void)
{
	static const char queues[] = "\"readQueueNums\":2,\"topicSysFlag\":0,\"writeQueueNums\":3}]";
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(register_topic(b, "byhand", "broker-a", "nobody", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "byhand"), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_topic(b, "byhand", "broker-a", "nobody", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "byhand"), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(memmem(b->answer.body.data, b->answer.body.size, queues, strlen(queues)));
	CU_ASSERT_PTR_NULL(memmem(b->answer.body.data, b->answer.body.size, "nobody", 6));
	/* It also replaces what a broker registered. */
	CU_ASSERT_EQUAL(register_topic(b, "T1", "broker-a", "nobody", 0), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(memmem(b->answer.body.data, b->answer.body.size, queues, strlen(queues)));
	/* A body that is no route. */
	begin(b, REQ_REGISTER_TOPIC_IN_NAMESRV, 0);
	command_put_text(&b->encoder, "topic", "T9");
	command_body(&b->encoder);
	buffer_append_text(&b->request_bytes, "{\"queueDatas\":[[[");
	CU_ASSERT_EQUAL(serve(b, 9), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_route(b, "T9"), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

static void test_lists_of_unit_topics(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_topic(b, "unit", "broker-a", "nobody", TOPIC_FLAG_UNIT), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_topic(b, "sub", "broker-a", "nobody", TOPIC_FLAG_UNIT_SUB), RESP_SUCCESS);
	CU_ASSERT_EQUAL(register_topic(b, "both", "broker-a", "nobody", TOPIC_FLAG_UNIT | TOPIC_FLAG_UNIT_SUB), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_UNIT_TOPIC_LIST, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[\"unit\",\"both\"]}"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_HAS_UNIT_SUB_TOPIC_LIST, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[\"sub\",\"both\"]}"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST, NULL, NULL, NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(body_is(b, "{\"topicList\":[\"sub\"]}"));
	bench_close(b);
}

static void test_order_of_a_topic_is_in_its_route_when_enabled(void)
{
	static const char conf[] = "\"orderTopicConf\":\"broker-a:4\"";

	for (int enabled = 0; enabled < 2; enabled++) {
		struct bench *b = bench_open();
		struct registration r = plain();

		b->namesrv.order_message_enable = enabled == 1;
		CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
		CU_ASSERT_EQUAL(put_kv(b, "ORDER_TOPIC_CONFIG", "T1", "broker-a:4"), RESP_SUCCESS);
		CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
		CU_ASSERT_EQUAL(memmem(b->answer.body.data, b->answer.body.size, conf, strlen(conf)) != NULL, enabled == 1);
		CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
		CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
		bench_close(b);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_key_value_settings_are_bounded),
		CHECK_TEST(test_brokers_are_bounded),
		CHECK_TEST(test_hundred_thousand_topics_in_one_registration),
		CHECK_TEST(test_refused_registrations_are_logged_a_few_times),
		CHECK_TEST(test_names_left_empty),
		CHECK_TEST(test_topic_set_by_hand_on_known_brokers),
		CHECK_TEST(test_lists_of_unit_topics),
		CHECK_TEST(test_order_of_a_topic_is_in_its_route_when_enabled),
	};
	return check_main("namesrv limits and tools", tests, sizeof(tests) / sizeof(tests[0]));
}
