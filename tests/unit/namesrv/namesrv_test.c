/* The name server's answers, asked as peers ask: encoded requests in, encoded answers out, time by hand. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/body_route.h"
#include "namesrv/handlers.h"

enum { TIMEOUT_MS = 120000 };

struct bench {
	struct namesrv namesrv;
	int64_t now_ms;
	struct buffer request_bytes, out;
	struct command request, answer;
	struct command_scratch request_scratch, answer_scratch;
	struct encoder encoder;
	int gone;
	char gone_addr[64];
};

static struct bench *bench_open(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->namesrv.routes = route_table_create(TIMEOUT_MS);
	b->namesrv.kv = kv_create();
	b->namesrv.config_text = SPAN_LITERAL("listenPort=9876\n");
	buffer_init(&b->request_bytes, 0);
	buffer_init(&b->out, 0);
	b->now_ms = 1000;
	return b;
}

static void bench_close(struct bench *b)
{
	route_table_destroy(b->namesrv.routes);
	kv_destroy(b->namesrv.kv);
	buffer_deinit(&b->request_bytes);
	buffer_deinit(&b->out);
	free(b);
}

static void begin(struct bench *b, int32_t code, int32_t flag)
{
	buffer_reset(&b->request_bytes);
	command_begin(&b->encoder, &b->request_bytes, SERIALIZE_JSON, code, 42, flag, SPAN_NONE);
}

/* Serves what was begun; the answer is in b->answer, its code returned; -1: none. */
static int32_t serve(struct bench *b, uint64_t conn_id)
{
	struct errinfo err;

	CU_ASSERT_FATAL(command_end(&b->encoder));
	buffer_reset(&b->out);
	CU_ASSERT_EQUAL_FATAL(
		command_decode(buffer_span(&b->request_bytes), &b->request_scratch, &b->request, &err), ST_OK);
	namesrv_serve(&b->namesrv, &b->request, conn_id, "127.0.0.1:1", b->now_ms, &b->out);
	CU_ASSERT_FALSE(b->out.failed);
	if (buffer_size(&b->out) == 0)
		return -1;
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&b->out), &b->answer_scratch, &b->answer, &err), ST_OK);
	CU_ASSERT(command_is_response(&b->answer));
	CU_ASSERT_EQUAL(b->answer.opaque, 42);
	return b->answer.code;
}

struct registration {
	const char *name, *addr, *cluster;
	int64_t id, timeout_ms;
	struct data_version version;
	const char *topics[4];
	int32_t queues, perm;
	bool compressed, acting_master, bad_crc;
	uint64_t conn_id;
};

static struct registration plain(void)
{
	return (struct registration){ .name = "broker-a", .addr = "127.0.0.1:10911", .cluster = "DefaultCluster",
				      .timeout_ms = -1, .version = { 0, 5, 1 }, .topics = { "T1", "T2" }, .queues = 4,
				      .perm = PERM_READ | PERM_WRITE, .conn_id = 1 };
}

static int32_t put(struct bench *b, const struct registration *r)
{
	struct topic_config topics[4] = { 0 };
	struct buffer body;
	struct errinfo err;
	size_t count = 0;

	for (; count < 4 && r->topics[count] != NULL; count++)
		topics[count] = (struct topic_config){ .name = span_of(r->topics[count]), .read_queue_nums = r->queues,
						       .write_queue_nums = r->queues, .perm = r->perm };
	buffer_init(&body, 0);
	if (r->compressed) {
		CU_ASSERT_EQUAL_FATAL(register_body_encode_compressed(&body, &r->version, topics, count, &err), ST_OK);
	} else {
		register_body_encode(&body, &r->version, topics, count);
	}
	struct broker_header header = {
		.broker_name = span_of(r->name), .broker_addr = span_of(r->addr), .cluster_name = span_of(r->cluster),
		.broker_id = r->id, .ha_server_addr = SPAN_LITERAL("127.0.0.1:10912"), .heartbeat_timeout_ms = r->timeout_ms,
		.enable_acting_master = r->acting_master, .has_enable_acting_master = true, .compressed = r->compressed,
		.body_crc32 = register_body_crc(buffer_span(&body)) ^ (r->bad_crc ? 1 : 0),
	};
	begin(b, REQ_REGISTER_BROKER, 0);
	register_broker_encode(&b->encoder, &header);
	command_body(&b->encoder);
	buffer_append_span(&b->request_bytes, buffer_span(&body));
	buffer_deinit(&body);
	return serve(b, r->conn_id);
}

static int32_t ask_route(struct bench *b, const char *topic)
{
	begin(b, REQ_GET_ROUTEINFO_BY_TOPIC, 0);
	route_header_encode(&b->encoder, &(struct route_header){ .topic = span_of(topic) });
	return serve(b, 99);
}

/* Asks with one or two text fields. */
static int32_t ask(struct bench *b, int32_t code, const char *key, const char *value, const char *key2, const char *value2)
{
	begin(b, code, 0);
	if (key != NULL)
		command_put_text(&b->encoder, key, value);
	if (key2 != NULL)
		command_put_text(&b->encoder, key2, value2);
	return serve(b, 99);
}

static bool body_is(const struct bench *b, const char *text)
{
	bool same = span_is(b->answer.body, text);

	if (!same)
		fprintf(stderr, "got  %.*s\nwant %s\n", SPAN_ARGS(b->answer.body), text);
	return same;
}

static void on_gone(void *context, struct span broker_name, struct span addr)
{
	struct bench *b = context;

	(void)broker_name;
	b->gone++;
	snprintf(b->gone_addr, sizeof(b->gone_addr), "%.*s", SPAN_ARGS(addr));
}

#define ROUTE_A(queues, perm)                                                                                              \
	"{\"brokerDatas\":[{\"brokerAddrs\":{\"0\":\"127.0.0.1:10911\"},\"brokerName\":\"broker-a\",\"cluster\":"              \
	"\"DefaultCluster\",\"enableActingMaster\":false}],\"filterServerTable\":{},\"queueDatas\":[{\"brokerName\":"          \
	"\"broker-a\",\"perm\":" #perm ",\"readQueueNums\":" #queues ",\"topicSysFlag\":0,\"writeQueueNums\":" #queues "}]}"

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

static void test_write_permission_is_wiped_and_given_back(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_WIPE_WRITE_PERM_OF_BROKER, "brokerName", "broker-a", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "wipeTopicCount"), "2"));
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 4)));
	CU_ASSERT_EQUAL(ask(b, REQ_ADD_WRITE_PERM_OF_BROKER, "brokerName", "broker-a", NULL, NULL), RESP_SUCCESS);
	CU_ASSERT(span_is(command_field(&b->answer, "addTopicCount"), "2"));
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
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
	CU_ASSERT(body_is(b, "{\"topicList\":[\"DefaultCluster\",\"broker-a\",\"Other\",\"broker-b\"]}"));
	/* Of one cluster only. */
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_NAMESRV, "topic", "T2", "clusterName", "Other"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T2"), RESP_SUCCESS);
	CU_ASSERT(body_is(b, ROUTE_A(4, 6)));
	bench_close(b);
}

static int32_t put_kv(struct bench *b, const char *name_space, const char *key, const char *value)
{
	begin(b, REQ_PUT_KV_CONFIG, 0);
	kv_header_encode(&b->encoder, &(struct kv_header){ span_of(name_space), span_of(key), span_of(value) });
	return serve(b, 1);
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

static void test_other_requests(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_NAMESRV_CONFIG, NULL, NULL, NULL, NULL), RESP_NO_PERMISSION);
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
		CHECK_TEST(test_key_value_settings_are_bounded),
		CHECK_TEST(test_brokers_are_bounded),
		CHECK_TEST(test_other_requests),
		CHECK_TEST(test_oneway_requests_are_never_answered),
	};
	return check_main("namesrv", tests, sizeof(tests) / sizeof(tests[0]));
}
