/* JSON bodies: fastjson's dialect, heartbeats, routes, registration, settings. */
#include "tests/support/check.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

#include "lib/wire/body_config.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/body_offsets.h"
#include "lib/wire/body_register.h"
#include "lib/wire/body_route.h"
#include "lib/wire/codes.h"
#include "lib/wire/message.h"

/* --- the dialect -------------------------------------------------------------------------------------- */

static void check_normalised(const char *in, const char *expected)
{
	struct buffer out;
	struct errinfo err = { .text = "" };

	buffer_init(&out, 0);
	CU_ASSERT_EQUAL(json_normalise(span_of(in), &out, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), expected));
	if (!span_is(buffer_span(&out), expected))
		printf("%s -> %.*s (%s)\n", in, SPAN_ARGS(buffer_span(&out)), err.text);
	buffer_deinit(&out);
}

static void test_dialect_becomes_plain_json(void)
{
	check_normalised("{\"a\":1}", "{\"a\":1}");
	check_normalised(" [ 1 , -2.5e3 ,true,null ] ", "[1,-2.5e3,true,null]");
	check_normalised("{0:\"x\",-1:2,key_1:3}", "{\"0\":\"x\",\"-1\":2,\"key_1\":3}");
	check_normalised("{'a':'it\\'s \"q\"'}", "{\"a\":\"it's \\\"q\\\"\"}");
	check_normalised("{{\"brokerName\":\"b}\",\"queueId\":0}:123,{\"x\":{}}:1}",
			 "{\"{\\\"brokerName\\\":\\\"b}\\\",\\\"queueId\\\":0}\":123,\"{\\\"x\\\":{}}\":1}");
	check_normalised("[1700000000000000000,123456789012345,-1234567890123456]",
			 "[\"1700000000000000000\",123456789012345,\"-1234567890123456\"]");
	check_normalised("\"\\v\\0\\x41\\n\"", "\"\\u000b\\u0000\\u0041\\n\"");
	check_normalised("[]", "[]");
	check_normalised("{}", "{}");
	check_normalised("[[],{}]", "[[],{}]");
}

static void test_malformed_bodies_are_refused(void)
{
	static const char *const bodies[] = {
		"", " ", "{", "}", "[1", "[1}", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[,1]", "{,}", "1 2", "[1 2]",
		"{\"a\" 1}", "\"abc", "{{\"a\":1}", "{{\"a:1}:2}", "'abc", "\"\\", "[?]", "{\"a\":1}}", "[\"\\x4\"]",
	};
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		enum status status = json_normalise(span_of(bodies[i]), &out, &err);

		/* Some are left to cJSON. */
		struct json_doc doc;
		if (status == ST_OK)
			status = json_doc_parse(span_of(bodies[i]), &doc, &err);
		CU_ASSERT_EQUAL(status, ST_INVALID);
		if (status != ST_INVALID)
			printf("accepted: %s\n", bodies[i]);
	}
	buffer_deinit(&out);
}

static void test_body_limits(void)
{
	struct buffer body;
	struct json_doc doc;
	struct errinfo err;

	buffer_init(&body, 0);
	for (int i = 0; i < JSON_BODY_DEPTH_MAX; i++)
		buffer_append_text(&body, "[");
	for (int i = 0; i < JSON_BODY_DEPTH_MAX; i++)
		buffer_append_text(&body, "]");
	CU_ASSERT_EQUAL(json_doc_parse(buffer_span(&body), &doc, &err), ST_OK);
	json_doc_free(&doc);
	buffer_reset(&body);
	for (int i = 0; i < 100000; i++)
		buffer_append_text(&body, "{a:");
	CU_ASSERT_EQUAL(json_doc_parse(buffer_span(&body), &doc, &err), ST_INVALID);
	buffer_reset(&body);
	for (int i = 0; i < 100000; i++)
		buffer_append_text(&body, "{");
	CU_ASSERT_EQUAL(json_doc_parse(buffer_span(&body), &doc, &err), ST_INVALID);
	buffer_reset(&body);
	buffer_append_text(&body, "[0");
	for (int i = 0; i < JSON_BODY_VALUES_MAX; i++)
		buffer_append_text(&body, ",0");
	buffer_append_text(&body, "]");
	CU_ASSERT_EQUAL(json_doc_parse(buffer_span(&body), &doc, &err), ST_TOOBIG);
	buffer_deinit(&body);
}

static void test_members_are_read_with_tolerance(void)
{
	static const char *const names[] = { "ZERO", "ONE", NULL };
	struct json_doc doc;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(json_doc_parse(SPAN_LITERAL("{\"n\":12,\"t\":\"-34\",\"big\":1764041234567890123,\"x\":\"y\","
							  "\"huge\":1e300,\"yes\":\"TRUE\",\"no\":false,\"e0\":\"ONE\",\"e1\":1,"
							  "\"e2\":7,\"e3\":\"?\",\"null\":null,\"l\":4294967296}"),
					     &doc, &err),
			      ST_OK);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "n", 0), 12);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "t", 0), -34);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "big", 0), 1764041234567890123);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "x", 5), 5);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "huge", 5), 5);
	CU_ASSERT_EQUAL(json_member_i64(doc.root, "null", 5), 5);
	CU_ASSERT_EQUAL(json_member_i32(doc.root, "l", 5), 5);
	CU_ASSERT_TRUE(json_member_bool(doc.root, "yes", false));
	CU_ASSERT_FALSE(json_member_bool(doc.root, "no", true));
	CU_ASSERT_TRUE(json_member_bool(doc.root, "n", true));
	CU_ASSERT_EQUAL(json_member_enum(doc.root, "e0", names, 9), 1);
	CU_ASSERT_EQUAL(json_member_enum(doc.root, "e1", names, 9), 1);
	CU_ASSERT_EQUAL(json_member_enum(doc.root, "e2", names, 9), 9);
	CU_ASSERT_EQUAL(json_member_enum(doc.root, "e3", names, 9), 9);
	CU_ASSERT_EQUAL(json_member_text(doc.root, "n").size, 0);
	json_doc_free(&doc);
}

/* --- heartbeats --------------------------------------------------------------------------------------- */

static void test_heartbeat_as_java_sends_it(void)
{
	static const char body[] =
		"{\"clientID\":\"192.168.0.9@1234#5678\",\"consumerDataSet\":[{\"consumeFromWhere\":\"CONSUME_FROM_FIRST_OFFSET\","
		"\"consumeType\":\"CONSUME_PASSIVELY\",\"groupName\":\"pay\",\"messageModel\":\"CLUSTERING\","
		"\"subscriptionDataSet\":[{\"classFilterMode\":false,\"codeSet\":[2598919],\"expressionType\":\"TAG\","
		"\"subString\":\"TagA\",\"subVersion\":1700000000000,\"tagsSet\":[\"TagA\"],\"topic\":\"Order\"},"
		"{\"classFilterMode\":false,\"codeSet\":[],\"expressionType\":\"TAG\",\"subString\":\"*\",\"subVersion\":1,"
		"\"tagsSet\":[],\"topic\":\"%RETRY%pay\"}],\"unitMode\":false}],\"heartbeatFingerprint\":0,"
		"\"producerDataSet\":[{\"groupName\":\"CLIENT_INNER_PRODUCER\"},{\"groupName\":\"order\"}],\"withoutSub\":false}";
	struct heartbeat heartbeat;
	struct errinfo err;
	struct buffer again;

	CU_ASSERT_EQUAL_FATAL(heartbeat_decode(span_of(body), &heartbeat, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(heartbeat.client_id, "192.168.0.9@1234#5678"));
	CU_ASSERT_EQUAL(heartbeat.producer_count, 2);
	CU_ASSERT_TRUE(span_is(heartbeat.producer_groups[1], "order"));
	CU_ASSERT_EQUAL_FATAL(heartbeat.consumer_count, 1);
	CU_ASSERT_EQUAL(heartbeat.consumers[0].consume_from_where, CONSUME_FROM_FIRST_OFFSET);
	CU_ASSERT_EQUAL(heartbeat.consumers[0].consume_type, CONSUME_PASSIVELY);
	CU_ASSERT_EQUAL(heartbeat.consumers[0].message_model, MODEL_CLUSTERING);
	CU_ASSERT_EQUAL_FATAL(heartbeat.consumers[0].subscription_count, 2);
	CU_ASSERT_TRUE(span_is(heartbeat.consumers[0].subscriptions[0].sub_string, "TagA"));
	CU_ASSERT_EQUAL(heartbeat.consumers[0].subscriptions[0].sub_version, 1700000000000);
	buffer_init(&again, 0);
	heartbeat_encode(&again, &heartbeat);
	CU_ASSERT_TRUE(span_is(buffer_span(&again), body));
	buffer_deinit(&again);
	heartbeat_free(&heartbeat);
}

static void test_heartbeat_as_cpp_and_go_send_it(void)
{
	struct heartbeat heartbeat;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(
		heartbeat_decode(SPAN_LITERAL("{\"clientID\":\"c\",\"consumerDataSet\":[{\"consumeFromWhere\":0,\"consumeType\":1,"
					      "\"groupName\":\"g\",\"messageModel\":0,\"subscriptionDataSet\":[{\"subString\":\"*\","
					      "\"subVersion\":\"1764041234567890123\",\"topic\":\"T\"},{\"topic\":\"\"},7]},{},"
					      "{\"groupName\":\"h\",\"consumeFromWhere\":\"\"}]}"),
				 &heartbeat, &err),
		ST_OK);
	CU_ASSERT_EQUAL(heartbeat.producer_count, 0);
	CU_ASSERT_EQUAL_FATAL(heartbeat.consumer_count, 2);
	CU_ASSERT_EQUAL(heartbeat.consumers[0].message_model, MODEL_BROADCASTING);
	CU_ASSERT_EQUAL_FATAL(heartbeat.consumers[0].subscription_count, 1);
	CU_ASSERT_EQUAL(heartbeat.consumers[0].subscriptions[0].sub_version, 1764041234567890123);
	CU_ASSERT_EQUAL(heartbeat.consumers[1].subscription_count, 0);
	CU_ASSERT_EQUAL(heartbeat.consumers[1].consume_from_where, CONSUME_FROM_LAST_OFFSET);
	heartbeat_free(&heartbeat);
	CU_ASSERT_EQUAL(heartbeat_decode(SPAN_LITERAL("{\"producerDataSet\":[]}"), &heartbeat, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "heartbeat: clientID is missing");
	CU_ASSERT_EQUAL(heartbeat_decode(SPAN_LITERAL("[1,2]"), &heartbeat, &err), ST_INVALID);
	CU_ASSERT_EQUAL(heartbeat_decode(SPAN_NONE, &heartbeat, &err), ST_INVALID);
}

static void test_consumer_list(void)
{
	struct buffer out;
	struct json_writer w;
	struct name_list list;
	struct errinfo err;

	buffer_init(&out, 0);
	consumer_list_begin(&w, &out);
	consumer_list_add(&w, SPAN_LITERAL("id1"));
	consumer_list_add(&w, SPAN_LITERAL("id\"2"));
	consumer_list_end(&w);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{\"consumerIdList\":[\"id1\",\"id\\\"2\"]}"));
	CU_ASSERT_EQUAL_FATAL(consumer_list_decode(buffer_span(&out), &list, &err), ST_OK);
	CU_ASSERT_EQUAL(list.count, 2);
	CU_ASSERT_TRUE(span_is(list.names[1], "id\"2"));
	name_list_free(&list);
	buffer_deinit(&out);
}

/* --- routes ------------------------------------------------------------------------------------------- */

static const char route_bytes[] =
	"{\"brokerDatas\":[{\"brokerAddrs\":{0:\"192.168.0.1:10911\"},\"brokerName\":\"broker-a\",\"cluster\":\"DefaultCluster\","
	"\"enableActingMaster\":false}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":\"broker-a\",\"perm\":6,"
	"\"readQueueNums\":4,\"topicSysFlag\":0,\"writeQueueNums\":4}]}";

static void test_route_has_rocketmqs_bytes_and_decodes(void)
{
	struct broker_addr addr = { MASTER_ID, SPAN_LITERAL("192.168.0.1:10911") };
	struct broker_data broker = { SPAN_LITERAL("broker-a"), SPAN_LITERAL("DefaultCluster"), &addr, 1, false, SPAN_NONE };
	struct queue_data queue = { SPAN_LITERAL("broker-a"), 4, 4, 6, 0 };
	struct route route = { &broker, 1, &queue, 1, SPAN_NONE, { NULL, NULL } }, back;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	route_encode(&out, &route, false);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), route_bytes));
	for (int quoted = 0; quoted <= 1; quoted++) {
		buffer_reset(&out);
		route.order_topic_conf = SPAN_LITERAL("broker-a:4");
		route_encode(&out, &route, quoted == 1);
		CU_ASSERT_EQUAL_FATAL(route_decode(buffer_span(&out), &back, &err), ST_OK);
		CU_ASSERT_EQUAL_FATAL(back.broker_count, 1);
		CU_ASSERT_TRUE(span_is(broker_data_addr(&back.brokers[0], MASTER_ID), "192.168.0.1:10911"));
		CU_ASSERT_PTR_NULL(broker_data_addr(&back.brokers[0], 1).data);
		CU_ASSERT_TRUE(span_is(back.brokers[0].cluster, "DefaultCluster"));
		CU_ASSERT_EQUAL_FATAL(back.queue_count, 1);
		CU_ASSERT_TRUE(back.queues[0].perm == 6 && back.queues[0].read_queue_nums == 4);
		CU_ASSERT_TRUE(span_is(back.order_topic_conf, "broker-a:4"));
		route_free(&back);
	}
	buffer_deinit(&out);
}

static void test_cluster_info(void)
{
	struct broker_addr addrs[] = { { 0, SPAN_LITERAL("a:1") }, { 1, SPAN_LITERAL("b:1") } };
	struct broker_data brokers[] = {
		{ SPAN_LITERAL("x"), SPAN_LITERAL("C1"), addrs, 2, true, SPAN_NONE },
		{ SPAN_LITERAL("y"), SPAN_LITERAL("C2"), addrs, 1, false, SPAN_LITERAL("zone") },
		{ SPAN_LITERAL("z"), SPAN_LITERAL("C1"), addrs + 1, 1, false, SPAN_NONE },
	};
	struct cluster_info info;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	cluster_info_encode(&out, brokers, 3, true);
	CU_ASSERT_TRUE(memmem(out.data, out.end, "\"clusterAddrTable\":{\"C1\":[\"x\",\"z\"],\"C2\":[\"y\"]}}", 47) != NULL);
	CU_ASSERT_EQUAL_FATAL(cluster_info_decode(buffer_span(&out), &info, &err), ST_OK);
	CU_ASSERT_EQUAL(info.broker_count, 3);
	CU_ASSERT_EQUAL(info.brokers[0].addr_count, 2);
	CU_ASSERT_TRUE(span_is(info.brokers[1].zone_name, "zone"));
	cluster_info_free(&info);
	buffer_deinit(&out);
}

static void test_topic_list_and_kv_table(void)
{
	struct span topics[] = { SPAN_LITERAL("a"), SPAN_LITERAL("%RETRY%g") };
	struct name_list list;
	struct kv_table table;
	struct json_writer w;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	topic_list_encode(&out, topics, 2);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{\"topicList\":[\"a\",\"%RETRY%g\"]}"));
	CU_ASSERT_EQUAL_FATAL(topic_list_decode(buffer_span(&out), &list, &err), ST_OK);
	CU_ASSERT_EQUAL(list.count, 2);
	name_list_free(&list);
	buffer_reset(&out);
	kv_table_begin(&w, &out);
	kv_table_put(&w, SPAN_LITERAL("k"), SPAN_LITERAL("v"));
	kv_table_put(&w, SPAN_LITERAL("k2"), SPAN_LITERAL("v2"));
	kv_table_end(&w);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{\"table\":{\"k\":\"v\",\"k2\":\"v2\"}}"));
	CU_ASSERT_EQUAL_FATAL(kv_table_decode(buffer_span(&out), &table, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(table.count, 2);
	CU_ASSERT_TRUE(span_is(table.pairs[1].value, "v2"));
	kv_table_free(&table);
	buffer_deinit(&out);
}

/* --- settings and registration ------------------------------------------------------------------------ */

static const struct data_version version = { 1, 1700000000000, 3 };
static const struct topic_config topics[] = {
	{ SPAN_LITERAL("T1"), 4, 5, 6, FILTER_SINGLE_TAG, 0, false, SPAN_NONE },
	{ SPAN_LITERAL("%RETRY%g"), 1, 1, 6, FILTER_MULTI_TAG, 0, false, SPAN_LITERAL("{\"message.type\":\"NORMAL\"}") },
};

static void check_topics(const struct topic_config_table *table)
{
	CU_ASSERT_TRUE(data_version_equal(&table->version, &version));
	CU_ASSERT_EQUAL_FATAL(table->topic_count, 2);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_TRUE(span_equal(table->topics[i].name, topics[i].name));
		CU_ASSERT_EQUAL(table->topics[i].read_queue_nums, topics[i].read_queue_nums);
		CU_ASSERT_EQUAL(table->topics[i].write_queue_nums, topics[i].write_queue_nums);
		CU_ASSERT_EQUAL(table->topics[i].perm, topics[i].perm);
		CU_ASSERT_EQUAL(table->topics[i].filter_type, topics[i].filter_type);
		CU_ASSERT_TRUE(span_equal(table->topics[i].attributes, topics[i].attributes));
	}
}

static void test_registration_in_both_forms(void)
{
	struct topic_config_table table;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	register_body_encode(&out, &version, topics, 2);
	struct span body = buffer_span(&out);
	CU_ASSERT_EQUAL_FATAL(register_body_decode(body, false, register_body_crc(body), 479, &table, &err), ST_OK);
	check_topics(&table);
	topic_config_table_free(&table);
	CU_ASSERT_EQUAL(register_body_decode(body, false, register_body_crc(body) ^ 1, 479, &table, &err), ST_INVALID);
	CU_ASSERT_EQUAL(register_body_decode(body, false, 0, 36, &table, &err), ST_INVALID);

	buffer_reset(&out);
	CU_ASSERT_EQUAL_FATAL(register_body_encode_compressed(&out, &version, topics, 2, &err), ST_OK);
	body = buffer_span(&out);
	CU_ASSERT_EQUAL_FATAL(register_body_decode(body, true, register_body_crc(body), 479, &table, &err), ST_OK);
	check_topics(&table);
	topic_config_table_free(&table);
	/* As 5.3 brokers do: compressed, and compressed=false in the header. */
	CU_ASSERT_EQUAL_FATAL(register_body_decode(body, false, 0, 479, &table, &err), ST_OK);
	check_topics(&table);
	topic_config_table_free(&table);
	for (size_t cut = 1; cut < body.size; cut += 3) {
		struct span part = { body.data, cut };

		CU_ASSERT_EQUAL(register_body_decode(part, true, 0, 479, &table, &err), ST_INVALID);
	}
	CU_ASSERT_EQUAL(register_body_decode(SPAN_NONE, false, 0, 479, &table, &err), ST_OK);
	CU_ASSERT_EQUAL(table.topic_count, 0);
	buffer_deinit(&out);
}

static void test_registration_as_a_stock_broker_compresses_it(void)
{
	struct topic_config_table table;
	struct buffer plain, out;
	struct errinfo err;
	static const char version_text[] = "{\"counter\":7,\"timestamp\":9}";
	static const char line[] = "BenchmarkTest 1024 1024 6 SINGLE_TAG";
	uLongf size = 4096;

	buffer_init(&plain, 0);
	buffer_put_u32(&plain, sizeof(version_text) - 1);
	buffer_append_text(&plain, version_text);
	buffer_put_u32(&plain, 1);
	buffer_put_u32(&plain, sizeof(line) - 1);
	buffer_append_text(&plain, line);
	buffer_put_u32(&plain, 2);
	buffer_append_text(&plain, "[]");
	buffer_init(&out, 0);
	CU_ASSERT_EQUAL_FATAL(compress2(buffer_reserve(&out, size), &size, plain.data, plain.end, 9), Z_OK);
	buffer_commit(&out, size);
	CU_ASSERT_EQUAL_FATAL(register_body_decode(buffer_span(&out), true, 0, 409, &table, &err), ST_OK);
	CU_ASSERT_EQUAL(table.version.counter, 7);
	CU_ASSERT_EQUAL_FATAL(table.topic_count, 1);
	CU_ASSERT_TRUE(span_is(table.topics[0].name, "BenchmarkTest") && table.topics[0].perm == 6);
	topic_config_table_free(&table);
	put_u32(plain.data + 4 + sizeof(version_text) - 1, 1000000); /* A count that lies. */
	size = 4096;
	buffer_reset(&out);
	CU_ASSERT_EQUAL_FATAL(compress2(buffer_reserve(&out, size), &size, plain.data, plain.end, 9), Z_OK);
	buffer_commit(&out, size);
	CU_ASSERT_EQUAL(register_body_decode(buffer_span(&out), true, 0, 409, &table, &err), ST_INVALID);
	buffer_deinit(&plain);
	buffer_deinit(&out);
}

static void test_a_decompression_bomb_is_refused(void)
{
	enum { BOMB_SIZE = 64 * 1024 * 1024 };
	uint8_t *zeros = calloc(1, BOMB_SIZE);
	uLongf size = compressBound(BOMB_SIZE);
	uint8_t *bomb = malloc(size);
	struct topic_config_table table;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(compress2(bomb, &size, zeros, BOMB_SIZE, 1), Z_OK);
	CU_ASSERT_EQUAL(register_body_decode((struct span){ bomb, size }, true, 0, 479, &table, &err), ST_TOOBIG);
	free(zeros);
	free(bomb);
}

static void test_topic_settings(void)
{
	struct topic_config_table table;
	struct json_writer w;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	w = json_writer_of(&out);
	topic_config_encode(&w, &topics[0]);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{\"attributes\":{},\"order\":false,\"perm\":6,\"readQueueNums\":4,"
						  "\"topicFilterType\":\"SINGLE_TAG\",\"topicName\":\"T1\",\"topicSysFlag\":0,"
						  "\"writeQueueNums\":5}"));
	CU_ASSERT_EQUAL_FATAL(topic_config_decode(buffer_span(&out), &table, &err), ST_OK);
	CU_ASSERT_EQUAL(table.topics[0].write_queue_nums, 5);
	topic_config_table_free(&table);
	buffer_reset(&out);
	w = json_writer_of(&out);
	topic_config_table_encode(&w, &version, topics, 2);
	CU_ASSERT_EQUAL_FATAL(topic_config_table_decode(buffer_span(&out), &table, &err), ST_OK);
	check_topics(&table);
	topic_config_table_free(&table);
	CU_ASSERT_EQUAL(topic_config_decode(SPAN_LITERAL("{}"), &table, &err), ST_INVALID);

	buffer_deinit(&out);
}

/* What attributes become; NULL: refused. */
static void check_attributes(const char *current, const char *changes, bool json, bool creating, const char *expected)
{
	struct attribute_changes wanted = { span_of(current), span_of(changes), json, creating };
	struct buffer out;
	struct errinfo err = { ST_OK, "" };

	buffer_init(&out, 4096);
	enum status status = topic_attributes_change(&wanted, &out, &err);
	CU_ASSERT_EQUAL(status, expected != NULL ? ST_OK : ST_INVALID);
	CU_ASSERT_TRUE(status != ST_OK || span_is(buffer_span(&out), expected));
	CU_ASSERT_TRUE(status == ST_OK || err.text[0] != '\0');
	buffer_deinit(&out);
}

static void test_attributes_of_topics_change(void)
{
	check_attributes("", "", false, true, "{}");
	check_attributes("", "+message.type=FIFO", false, true, "{\"message.type\":\"FIFO\"}");
	check_attributes("", "+queue.type=SimpleCQ,+reserve.time=5000,", false, true, "{\"queue.type\":\"SimpleCQ\",\"reserve.time\":\"5000\"}");
	check_attributes("", "{\"+message.type\":\"DELAY\"}", true, true, "{\"message.type\":\"DELAY\"}");
	/* What is not named stays. */
	check_attributes("{\"message.type\":\"FIFO\"}", "", false, false, "{\"message.type\":\"FIFO\"}");
	check_attributes("{\"message.type\":\"FIFO\"}", "+reserve.time=-1", false, false, "{\"message.type\":\"FIFO\",\"reserve.time\":\"-1\"}");
	check_attributes("{\"message.type\":\"FIFO\"}", "+message.type=NORMAL", false, false, "{\"message.type\":\"NORMAL\"}");
	check_attributes("{\"message.type\":\"FIFO\"}", "-message.type", false, false, "{}");

	check_attributes("", "+a=b", false, true, NULL);
	check_attributes("", "message.type=FIFO", false, true, NULL);
	check_attributes("", "+message.type", false, true, NULL);
	check_attributes("", "+=FIFO", false, true, NULL);
	check_attributes("", "+", false, true, NULL);
	check_attributes("", "-message.type", false, true, NULL);
	check_attributes("", "-message.type=FIFO", false, false, NULL);
	check_attributes("", "-message.type", false, false, NULL);
	check_attributes("", "+message.type=FIFO,+message.type=NORMAL", false, true, NULL);
	check_attributes("", "+message.type=fifo", false, true, NULL);
	check_attributes("", "+message.type=", false, true, NULL);
	check_attributes("", "+reserve.time=soon", false, true, NULL);
	check_attributes("", "+reserve.time=-2", false, true, NULL);
	check_attributes("{\"queue.type\":\"SimpleCQ\"}", "+queue.type=BatchCQ", false, false, NULL);
	check_attributes("", "{\"message.type\":\"DELAY\"}", true, true, NULL);
}

static void test_offsets_by_queue(void)
{
	struct queue_offset offsets[] = { { SPAN_LITERAL("t}:"), SPAN_LITERAL("b,{"), 0, 123 },
					  { SPAN_LITERAL("t"), SPAN_LITERAL("b"), 7, INT64_MAX } };
	struct buffer out;
	struct offset_table table;

	buffer_init(&out, 4096);
	for (int as_list = 0; as_list < 2; as_list++) {
		buffer_reset(&out);
		offset_table_encode(&out, offsets, 2, as_list == 1);
		CU_ASSERT_EQUAL_FATAL(offset_table_decode(buffer_span(&out), &table, NULL), ST_OK);
		CU_ASSERT_EQUAL_FATAL(table.count, 2);
		for (size_t i = 0; i < 2; i++) {
			CU_ASSERT_TRUE(span_equal(table.offsets[i].topic, offsets[i].topic));
			CU_ASSERT_TRUE(span_equal(table.offsets[i].broker_name, offsets[i].broker_name));
			CU_ASSERT_EQUAL(table.offsets[i].queue_id, offsets[i].queue_id);
			CU_ASSERT_EQUAL(table.offsets[i].offset, offsets[i].offset);
		}
		offset_table_free(&table);
	}
	buffer_reset(&out);
	offset_table_encode(&out, offsets + 1, 1, false);
	CU_ASSERT_TRUE(span_is(buffer_span(&out),
			       "{\"offsetTable\":{{\"brokerName\":\"b\",\"queueId\":7,\"topic\":\"t\"}:9223372036854775807}}"));
	buffer_reset(&out);
	offset_table_encode(&out, offsets + 1, 1, true);
	CU_ASSERT_TRUE(span_is(buffer_span(&out),
			       "{\"offsetTable\":[{\"brokerName\":\"b\",\"offset\":9223372036854775807,\"queueId\":7,\"topic\":\"t\"}]}"));
	buffer_reset(&out);
	struct json_writer w = json_writer_of(&out);
	CU_ASSERT_EQUAL(message_queue_table_copy(&w, SPAN_LITERAL("{\"messageQueueTable\":{{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"t\"}:5,"
								  "\"bad\":6}}"), NULL), ST_OK);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{{\"brokerName\":\"b\",\"queueId\":1,\"topic\":\"t\"}:5}"));
	CU_ASSERT_EQUAL(message_queue_table_copy(&w, SPAN_LITERAL("nonsense"), NULL), ST_INVALID);
	CU_ASSERT_EQUAL(offset_table_decode(SPAN_LITERAL("{\"offsetTable\":{\"x\":1}}"), &table, NULL), ST_INVALID);
	/* Without a number it is no queue, least of all the first one. */
	CU_ASSERT_EQUAL_FATAL(offset_table_decode(SPAN_LITERAL("{\"offsetTable\":[{\"topic\":\"t\",\"offset\":5}]}"), &table, NULL), ST_OK);
	CU_ASSERT_EQUAL(table.offsets[0].queue_id, -1);
	offset_table_free(&table);
	buffer_deinit(&out);
}

static void test_lists_of_settings(void)
{
	struct topic_config_table made;
	struct group_config_table groups;

	CU_ASSERT_EQUAL_FATAL(topic_config_list_decode(SPAN_LITERAL("{\"topicConfigList\":[{\"topicName\":\"a\",\"readQueueNums\":3},"
		"{\"topicName\":\"b\",\"attributes\":{\"+message.type\":\"FIFO\"}}]}"), &made, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(made.topic_count, 2);
	CU_ASSERT_EQUAL(made.topics[0].read_queue_nums, 3);
	CU_ASSERT_TRUE(span_is(made.topics[1].attributes, "{\"+message.type\":\"FIFO\"}"));
	topic_config_table_free(&made);
	CU_ASSERT_EQUAL(topic_config_list_decode(SPAN_LITERAL("{\"topicConfigList\":[{}]}"), &made, NULL), ST_INVALID);
	CU_ASSERT_EQUAL_FATAL(group_config_list_decode(SPAN_LITERAL("{\"groupConfigList\":[{\"groupName\":\"g\",\"retryMaxTimes\":2}]}"),
						       &groups, NULL), ST_OK);
	CU_ASSERT_EQUAL(groups.groups[0].retry_max_times, 2);
	group_config_table_free(&groups);
	CU_ASSERT_EQUAL(group_config_list_decode(SPAN_LITERAL("{\"groupConfigList\":[{}]}"), &groups, NULL), ST_INVALID);
}

static void test_group_settings(void)
{
	struct group_config config = group_config_default();
	struct group_config_table table;
	struct json_writer w;
	struct buffer out;
	struct errinfo err;

	config.group_name = SPAN_LITERAL("g");
	config.retry_max_times = 3;
	config.consume_enable = false;
	buffer_init(&out, 0);
	w = json_writer_of(&out);
	group_config_encode(&w, &config);
	CU_ASSERT_EQUAL_FATAL(group_config_decode(buffer_span(&out), &table, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(table.groups[0].group_name, "g") && table.groups[0].retry_max_times == 3);
	CU_ASSERT_FALSE(table.groups[0].consume_enable);
	group_config_table_free(&table);
	buffer_reset(&out);
	w = json_writer_of(&out);
	group_config_table_encode(&w, &version, &config, 1);
	CU_ASSERT_TRUE(memmem(out.data, out.end, "\"forbiddenTable\":{}", 19) != NULL);
	CU_ASSERT_EQUAL_FATAL(group_config_table_decode(buffer_span(&out), &table, &err), ST_OK);
	CU_ASSERT_TRUE(data_version_equal(&table.version, &version));
	CU_ASSERT_EQUAL(table.group_count, 1);
	group_config_table_free(&table);
	CU_ASSERT_EQUAL_FATAL(group_config_decode(SPAN_LITERAL("{\"groupName\":\"x\"}"), &table, &err), ST_OK);
	CU_ASSERT_TRUE(table.groups[0].consume_enable && table.groups[0].retry_max_times == 16);
	group_config_table_free(&table);
	CU_ASSERT_EQUAL(group_config_decode(SPAN_LITERAL("{\"retryMaxTimes\":1}"), &table, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "SubscriptionGroupConfig: groupName is missing");
	buffer_deinit(&out);
}

/* What comes as the group's retry policy, and what is kept of it and shown: NULL is a refusal. */
static void test_the_retry_policy_of_a_group(void)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{ "null", "{\"type\":\"CUSTOMIZED\"}" },
		{ "{}", "{\"type\":\"CUSTOMIZED\"}" },
		{ "{\"type\":\"CUSTOMIZED\"}", "{\"type\":\"CUSTOMIZED\"}" },
		{ "{\"customizedRetryPolicy\":{\"next\":[1000,5000]},\"type\":\"CUSTOMIZED\"}",
		  "{\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{\"next\":[1000,5000]}}" },
		{ "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":5000,\"max\":7200000,\"multiplier\":3}}",
		  "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":5000,\"max\":7200000,\"multiplier\":3}}" },
		{ "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{}}",
		  "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":5000,\"max\":7200000,\"multiplier\":2}}" },
		{ "{\"type\":\"EXPONENTIAL\"}", "{\"type\":\"EXPONENTIAL\"}" },
		{ "{\"type\":\"LINEAR\"}", NULL },
		{ "{\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{\"next\":[]}}", NULL },
		{ "{\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{\"next\":[1,-1]}}", NULL },
		{ "{\"type\":\"CUSTOMIZED\",\"customizedRetryPolicy\":{}}", "{\"type\":\"CUSTOMIZED\"}" },
		{ "{\"type\":\"EXPONENTIAL\",\"exponentialRetryPolicy\":{\"initial\":-5}}", NULL },
	};
	char body[300];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct group_config_table table;
		struct errinfo err;
		struct buffer out;

		snprintf(body, sizeof(body), "{\"groupName\":\"g\",\"groupRetryPolicy\":%s}", cases[i].in);
		enum status status = group_config_decode(span_of(body), &table, &err);
		CU_ASSERT_EQUAL(status, cases[i].out == NULL ? ST_INVALID : ST_OK);
		if (status != ST_OK)
			continue;
		buffer_init(&out, 0);
		struct json_writer w = json_writer_of(&out);
		group_config_encode(&w, &table.groups[0]);
		buffer_put_u8(&out, 0);
		CU_ASSERT_TRUE(cases[i].out != NULL && strstr((const char *)out.data, cases[i].out) != NULL);
		group_config_table_free(&table);
		buffer_deinit(&out);
	}
}

/* No attribute of a group means anything here: who sets one is told so. */
static void test_attributes_of_a_group_are_refused(void)
{
	struct group_config_table table;
	struct errinfo err;

	CU_ASSERT_EQUAL(group_config_decode(SPAN_LITERAL("{\"groupName\":\"g\",\"attributes\":{\"+priority.factor\":\"1\"}}"), &table,
					    &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "priority.factor"));
	CU_ASSERT_EQUAL(group_config_list_decode(SPAN_LITERAL("{\"groupConfigList\":[{\"groupName\":\"g\",\"attributes\":{\"+a\":\"1\"}}]}"),
						 &table, &err), ST_INVALID);
	CU_ASSERT_EQUAL(group_config_decode(SPAN_LITERAL("{\"groupName\":\"g\",\"attributes\":{}}"), &table, &err), ST_OK);
	group_config_table_free(&table);
}

static void test_data_version(void)
{
	struct data_version back;
	struct json_writer w;
	struct buffer out;
	struct errinfo err;

	buffer_init(&out, 0);
	w = json_writer_of(&out);
	data_version_encode(&w, &version);
	CU_ASSERT_TRUE(span_is(buffer_span(&out), "{\"counter\":3,\"stateVersion\":1,\"timestamp\":1700000000000}"));
	CU_ASSERT_EQUAL(data_version_decode(buffer_span(&out), &back, &err), ST_OK);
	CU_ASSERT_TRUE(data_version_equal(&version, &back));
	CU_ASSERT_EQUAL(data_version_decode(SPAN_LITERAL("x"), &back, &err), ST_INVALID);
	buffer_deinit(&out);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_dialect_becomes_plain_json),
		CHECK_TEST(test_malformed_bodies_are_refused),
		CHECK_TEST(test_body_limits),
		CHECK_TEST(test_members_are_read_with_tolerance),
		CHECK_TEST(test_heartbeat_as_java_sends_it),
		CHECK_TEST(test_heartbeat_as_cpp_and_go_send_it),
		CHECK_TEST(test_consumer_list),
		CHECK_TEST(test_route_has_rocketmqs_bytes_and_decodes),
		CHECK_TEST(test_cluster_info),
		CHECK_TEST(test_topic_list_and_kv_table),
		CHECK_TEST(test_registration_in_both_forms),
		CHECK_TEST(test_registration_as_a_stock_broker_compresses_it),
		CHECK_TEST(test_a_decompression_bomb_is_refused),
		CHECK_TEST(test_topic_settings),
		CHECK_TEST(test_group_settings),
		CHECK_TEST(test_the_retry_policy_of_a_group),
		CHECK_TEST(test_attributes_of_a_group_are_refused),
		CHECK_TEST(test_attributes_of_topics_change),
		CHECK_TEST(test_offsets_by_queue),
		CHECK_TEST(test_lists_of_settings),
		CHECK_TEST(test_data_version),
	};

	return check_main("bodies", tests, sizeof(tests) / sizeof(tests[0]));
}
