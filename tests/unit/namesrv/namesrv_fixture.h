/* The name server's tables and handlers without a process: encoded requests in, encoded answers out, time by hand. */
#ifndef ESCROW_TESTS_NAMESRV_FIXTURE_H
#define ESCROW_TESTS_NAMESRV_FIXTURE_H

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
	int32_t asker_version; /* 0: as new as we are. */
};

static inline void print_config(void *context, struct buffer *out)
{
	(void)context;
	buffer_append_text(out, "listenPort=9876\n");
}

static inline enum status update_config(void *context, struct span text, struct errinfo *err)
{
	(void)context;
	if (span_is(text, "good"))
		return ST_OK;
	return errinfo_set(err, span_is(text, "bad") ? ST_INVALID : ST_DENIED, "not this one");
}

static inline struct bench *bench_open(void)
{
	struct bench *b = calloc(1, sizeof(*b));

	CU_ASSERT_PTR_NOT_NULL_FATAL(b);
	b->namesrv.routes = route_table_create(TIMEOUT_MS);
	b->namesrv.kv = kv_create();
	b->namesrv.print_config = print_config;
	b->namesrv.update_config = update_config;
	buffer_init(&b->request_bytes, 0);
	buffer_init(&b->out, 0);
	b->now_ms = 1000;
	return b;
}

static inline void bench_close(struct bench *b)
{
	route_table_destroy(b->namesrv.routes);
	kv_destroy(b->namesrv.kv);
	buffer_deinit(&b->request_bytes);
	buffer_deinit(&b->out);
	free(b);
}

static inline void begin(struct bench *b, int32_t code, int32_t flag)
{
	buffer_reset(&b->request_bytes);
	command_begin(&b->encoder, &b->request_bytes, SERIALIZE_JSON, code, 42, flag, SPAN_NONE);
}

/* Serves what was begun; the answer is in b->answer, its code returned; -1: none. */
static inline int32_t serve(struct bench *b, uint64_t conn_id)
{
	struct errinfo err;

	CU_ASSERT_FATAL(command_end(&b->encoder));
	buffer_reset(&b->out);
	CU_ASSERT_EQUAL_FATAL(
		command_decode(buffer_span(&b->request_bytes), &b->request_scratch, &b->request, &err), ST_OK);
	if (b->asker_version != 0)
		b->request.version = b->asker_version;
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

static inline struct registration plain(void)
{
	return (struct registration){ .name = "broker-a", .addr = "127.0.0.1:10911", .cluster = "DefaultCluster",
				      .timeout_ms = -1, .version = { 0, 5, 1 }, .topics = { "T1", "T2" }, .queues = 4,
				      .perm = PERM_READ | PERM_WRITE, .conn_id = 1 };
}

static inline int32_t put(struct bench *b, const struct registration *r)
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

static inline int32_t ask_route(struct bench *b, const char *topic)
{
	begin(b, REQ_GET_ROUTEINFO_BY_TOPIC, 0);
	route_header_encode(&b->encoder, &(struct route_header){ .topic = span_of(topic) });
	return serve(b, 99);
}

/* Asks with one or two text fields. */
static inline int32_t ask(struct bench *b, int32_t code, const char *key, const char *value, const char *key2, const char *value2)
{
	begin(b, code, 0);
	if (key != NULL)
		command_put_text(&b->encoder, key, value);
	if (key2 != NULL)
		command_put_text(&b->encoder, key2, value2);
	return serve(b, 99);
}

static inline bool body_is(const struct bench *b, const char *text)
{
	bool same = span_is(b->answer.body, text);

	if (!same)
		fprintf(stderr, "got  %.*s\nwant %s\n", SPAN_ARGS(b->answer.body), text);
	return same;
}

static inline void on_gone(void *context, struct span broker_name, struct span addr)
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

static inline int32_t put_kv(struct bench *b, const char *name_space, const char *key, const char *value)
{
	begin(b, REQ_PUT_KV_CONFIG, 0);
	kv_header_encode(&b->encoder, &(struct kv_header){ span_of(name_space), span_of(key), span_of(value) });
	return serve(b, 1);
}

#endif
