/* What route_table.c (coming and going) and route_answers.c (what is told of it) share: the tables themselves.
 * Only those two include this. */
#ifndef ESCROW_NAMESRV_ROUTE_STATE_H
#define ESCROW_NAMESRV_ROUTE_STATE_H

#include <utlist.h>

#include "lib/base/hash.h"
#include "lib/base/table.h"
#include "namesrv/route_table.h"

struct broker;

/* One process: an address. */
struct live {
	UT_hash_handle hh;
	struct live *prev, *next; /* In its broker's list, by id. */
	struct broker *broker;
	int64_t broker_id;
	int64_t seen_ms;
	int64_t timeout_ms;
	uint64_t conn_id;
	struct data_version version;
	struct span addr, ha_addr; /* Owned. */
};

/* One broker name: a master and its slaves. */
struct broker {
	UT_hash_handle hh;
	struct live *lives;
	bool enable_acting_master;
	struct span name, cluster, zone; /* Owned. */
};

struct queue_row {
	struct queue_row *prev, *next;
	struct broker *broker;
	int32_t read_queue_nums, write_queue_nums, perm, sys_flag;
};

struct route_topic {
	UT_hash_handle hh;
	struct queue_row *rows;
	struct span name; /* Owned. */
};

struct route_table {
	struct live *lives;
	struct broker *brokers;
	struct route_topic *topics;
	int64_t broker_timeout_ms;
	struct hash_key key; /* Of the three hashes, so that no peer can choose names that collide. */
};

struct broker *route_find_broker(const struct route_table *table, struct span name);
struct route_topic *route_find_topic(const struct route_table *table, struct span name);

#endif
