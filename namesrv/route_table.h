/* Which brokers are there, and which topics do they serve? The name server's whole state.
 *
 * Pure: times and connection ids are parameters. Soft state, rebuilt by the brokers' registrations; nothing is stored.
 * Rules are RocketMQ's (RouteInfoManager): only masters contribute queues (or the lowest slave of a broker with acting
 * master), a topic that a later registration leaves out is kept, an unchanged DataVersion changes no queue but brings
 * back a topic that was deleted here. Bounded by BROKERS_MAX and ROUTE_TOPICS_MAX. Threads: the loop thread. */
#ifndef ESCROW_NAMESRV_ROUTE_TABLE_H
#define ESCROW_NAMESRV_ROUTE_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/body_register.h"
#include "lib/wire/body_route.h"
#include "lib/wire/header_namesrv.h"

enum { BROKERS_MAX = 4096, ROUTE_TOPICS_MAX = 1000 * 1000 };

struct route_table;

struct route_table *route_table_create(int64_t broker_timeout_ms);
void route_table_destroy(struct route_table *table);

/* REGISTER_BROKER with its decoded body. *is_new: the address was not known. ST_DENIED (a single topic for an unknown
 * broker), ST_TOOBIG, ST_NOMEM, each with a remark. ST_OK without effect if another address has the same name and id
 * and a newer stateVersion, or if the broker has just registered over a later connection (ids ascend): then this one was
 * under way for long, and its connection's end must not take the broker out. */
enum status route_table_register(struct route_table *table, const struct broker_header *header,
				 const struct topic_config_table *topics, uint64_t conn_id, int64_t now_ms, bool *is_new,
				 struct errinfo *err) MUST_USE;
/* UNREGISTER_BROKER. False: not known. */
bool route_table_unregister(struct route_table *table, struct span broker_name, struct span addr, int64_t broker_id);
/* The address has just registered over a later connection: what is said over this one is outdated. */
bool route_table_late(const struct route_table *table, struct span addr, uint64_t conn_id, int64_t now_ms);
/* BROKER_HEARTBEAT, QUERY_DATA_VERSION: the broker lives. */
void route_table_touch(struct route_table *table, struct span addr, int64_t now_ms);
/* The DataVersion of the last registration; false if the address is not known. */
bool route_table_version(const struct route_table *table, struct span addr, struct data_version *out);

/* What a slave is told of its master; empty texts if there is none. Borrowed until the next change. */
void route_table_master(const struct route_table *table, struct span broker_name, struct register_reply_header *out);

/* Called with the address of each broker that goes. */
typedef void (*route_table_gone)(void *context, struct span broker_name, struct span addr);
void route_table_connection_gone(struct route_table *table, uint64_t conn_id, route_table_gone gone, void *context);
void route_table_expire(struct route_table *table, int64_t now_ms, route_table_gone gone, void *context);

/* Appends the body of the answer. False: no such topic (or no such broker). `order_topic_conf` may be empty. */
bool route_table_route(const struct route_table *table, struct span topic, struct span order_topic_conf, bool quoted_ids,
		       struct buffer *out);
void route_table_cluster_info(const struct route_table *table, bool quoted_ids, struct buffer *out);
void route_table_topics(const struct route_table *table, struct buffer *out);
/* Topics with a queue on a broker of the cluster. */
void route_table_topics_by_cluster(const struct route_table *table, struct span cluster, struct buffer *out);
/* Topics whose topicSysFlag has the bits of `flags` and none of `flags_missing`. */
void route_table_unit_topics(const struct route_table *table, int32_t flags, int32_t flags_missing, struct buffer *out);
/* Names of clusters and brokers, as GET_SYSTEM_TOPIC_LIST_FROM_NS gives them. */
void route_table_system_topics(const struct route_table *table, struct buffer *out);
bool route_table_members(const struct route_table *table, struct span cluster, struct span broker_name, struct buffer *out);

/* DELETE_TOPIC_IN_NAMESRV; an empty cluster means everywhere. */
void route_table_delete_topic(struct route_table *table, struct span topic, struct span cluster);
/* REGISTER_TOPIC_IN_NAMESRV: queues on brokers that are not known are passed over. ST_TOOBIG. */
enum status route_table_add_topic(struct route_table *table, struct span topic, const struct queue_data *queues,
				  size_t count, struct errinfo *err) MUST_USE;
/* WIPE_WRITE_PERM_OF_BROKER, ADD_WRITE_PERM_OF_BROKER: number of topics changed. */
uint32_t route_table_set_write_perm(struct route_table *table, struct span broker_name, bool writable);

#endif
