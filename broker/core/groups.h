/* The settings of consumer groups (RocketMQ's SubscriptionGroupConfig).
 *
 * They change by GROUP records only. A group exists once somebody created it: an operator, or its first heartbeat
 * when groups are created automatically. Iteration is in the order of creation.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_GROUPS_H
#define ESCROW_CORE_GROUPS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/base/table.h"
#include "lib/wire/body_config.h"

struct names;

struct consumer_group {
	UT_hash_handle hh;
	uint32_t id; /* In the core's name table. */
	bool deleted;
	struct group_config settings; /* Its group_name is empty: see `name`; its retry_policy is in `texts`. */
	struct span name;             /* Owned by the name table. */
	struct span forbidden;        /* Topics that it may not read, each followed by a newline; in `texts`. */
	uint8_t *texts;               /* Owned. NULL: there are none. */
	uint8_t *spare;               /* Room for those of the next groups_put. */
	size_t spare_size;
};

struct groups;

/* Without a limit, until it is given one. NULL when out of memory. */
struct groups *groups_create(struct names *names);
void groups_destroy(struct groups *groups);
/* Live ones; binds what is new from now on. */
void groups_set_limit(struct groups *groups, uint32_t group_max);

/* Live ones. */
uint32_t groups_count(const struct groups *groups);
/* A live group, or NULL. */
struct consumer_group *groups_find(const struct groups *groups, struct span name);
enum status groups_check_room(const struct groups *groups, struct errinfo *err) MUST_USE;
/* Does all of groups_put that can fail; `texts_size` is that of `forbidden` and of the retry policy. A group that is not
 * there yet stays invisible until it is put. ST_NOMEM, ST_FULL. */
enum status groups_reserve(struct groups *groups, struct span name, size_t texts_size) MUST_USE;
/* Creates or changes a group (the effect of a GROUP record). */
enum status groups_put(struct groups *groups, struct span name, const struct group_config *settings, struct span forbidden,
		       struct consumer_group **group_out) MUST_USE;
/* Deletes one (the effect of a GROUP record, too). */
void groups_delete(struct groups *groups, struct consumer_group *group);
/* Is the topic among those that the group may not read? */
bool group_is_forbidden(const struct consumer_group *group, struct span topic);
struct consumer_group *groups_find_any(const struct groups *groups, struct span name);
/* The same with the deleted ones. */
struct consumer_group *groups_first_any(const struct groups *groups);
struct consumer_group *groups_next_any(const struct consumer_group *group);
struct consumer_group *groups_first(const struct groups *groups);
struct consumer_group *groups_next(const struct consumer_group *group);

#endif
