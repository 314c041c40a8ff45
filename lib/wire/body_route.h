/* Where is a topic, which brokers are there? TopicRouteData (105), ClusterInfo (106), TopicList (206), KVTable.
 *
 * Encoding takes plain arrays and writes compact JSON: the Go client cuts `brokerAddrs` by hand and stumbles
 * over blanks.
 * Threads: a decoded body belongs to one thread. */
#ifndef ESCROW_WIRE_BODY_ROUTE_H
#define ESCROW_WIRE_BODY_ROUTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/json_body.h"

struct broker_addr {
	int64_t broker_id; /* MASTER_ID or a slave's. */
	struct span addr;  /* "ip:port" */
};

struct broker_data {
	struct span broker_name;
	struct span cluster;
	const struct broker_addr *addrs;
	size_t addr_count;
	bool enable_acting_master;
	struct span zone_name; /* Optional. */
};

struct queue_data {
	struct span broker_name;
	int32_t read_queue_nums;
	int32_t write_queue_nums;
	int32_t perm;
	int32_t topic_sys_flag;
};

struct route {
	const struct broker_data *brokers;
	size_t broker_count;
	const struct queue_data *queues;
	size_t queue_count;
	struct span order_topic_conf; /* Optional. */
	struct json_doc doc;          /* Of a decoded route; unused in encoding. */
};

/* Appends TopicRouteData. `quoted_ids`: {"0":"ip"} instead of {0:"ip"}; every known client reads both. */
void route_encode(struct buffer *out, const struct route *route, bool quoted_ids);
enum status route_decode(struct span body, struct route *out, struct errinfo *err) MUST_USE;
void route_free(struct route *route);
/* The address of a broker by id; {NULL, 0} if it has none. */
struct span broker_data_addr(const struct broker_data *broker, int64_t broker_id);

/* ClusterInfo: each broker names its cluster in `cluster`; clusterAddrTable is built from that. */
struct cluster_info {
	const struct broker_data *brokers;
	size_t broker_count;
	struct json_doc doc;
};
void cluster_info_encode(struct buffer *out, const struct broker_data *brokers, size_t broker_count, bool quoted_ids);
enum status cluster_info_decode(struct span body, struct cluster_info *out, struct errinfo *err) MUST_USE;
void cluster_info_free(struct cluster_info *info);

/* TopicList: {"topicList":["a","b"]}. */
void topic_list_encode(struct buffer *out, const struct span *topics, size_t topic_count);
/* The same with the address of a broker that knows more (304); empty: none. */
void topic_list_encode_at(struct buffer *out, const struct span *topics, size_t topic_count, struct span broker_addr);
enum status topic_list_decode(struct span body, struct name_list *out, struct errinfo *err) MUST_USE;

/* KVTable: {"table":{"k":"v"}}: begin, put each, end. */
void kv_table_begin(struct json_writer *w, struct buffer *out);
void kv_table_put(struct json_writer *w, struct span key, struct span value);
void kv_table_end(struct json_writer *w);

struct kv_pair {
	struct span key;
	struct span value;
};
struct kv_table {
	const struct kv_pair *pairs;
	size_t count;
	struct json_doc doc;
};
enum status kv_table_decode(struct span body, struct kv_table *out, struct errinfo *err) MUST_USE;
void kv_table_free(struct kv_table *table);

#endif
