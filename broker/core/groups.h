/* The settings of consumer groups (RocketMQ's SubscriptionGroupConfig).
 *
 * They change by GROUP records only. A group exists once somebody created it: an operator, or its first heartbeat
 * when groups are created automatically. Iteration is in the order of creation.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_GROUPS_H
#define ESCROW_CORE_GROUPS_H

#include <stdbool.h>
#include <stdint.h>
#include <uthash.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct names;

struct group_settings {
	bool consume_enable;
	bool consume_from_min_enable;
	bool consume_broadcast_enable;
	bool consume_message_orderly;
	bool notify_consumer_ids_changed_enable;
	uint32_t retry_queue_nums;
	uint32_t retry_max_times;
	int64_t broker_id;
	int64_t which_broker_when_consume_slowly;
	uint32_t group_sys_flag;
	uint32_t consume_timeout_minute;
};

struct consumer_group {
	UT_hash_handle hh;
	uint32_t id; /* In the core's name table. */
	bool deleted;
	struct group_settings settings;
	struct span name; /* Owned by the name table. */
};

struct groups;

struct groups *groups_create(struct names *names, uint32_t group_max);
void groups_destroy(struct groups *groups);

/* RocketMQ's defaults: everything enabled, 1 retry queue, 16 retries, 15 minutes. */
struct group_settings group_settings_default(void);
/* A live group, or NULL. */
struct consumer_group *groups_find(const struct groups *groups, struct span name);
enum status groups_check_room(const struct groups *groups, struct errinfo *err) MUST_USE;
/* Creates or changes a group (the effect of a GROUP record). */
enum status groups_put(struct groups *groups, struct span name, const struct group_settings *settings,
		       struct consumer_group **group_out) MUST_USE;
struct consumer_group *groups_first(const struct groups *groups);
struct consumer_group *groups_next(const struct consumer_group *group);

#endif
