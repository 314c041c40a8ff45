/* Who is connected, as what? The producers and consumers of each group, known from heartbeats.
 *
 * Soft state: nothing here is recorded. A member is (connection, group, role); it goes when its connection closes,
 * when it unregisters, or when it was silent for MEMBER_SILENCE_MS. A consumer group also has what its members
 * agree on: model, start position, subscriptions with their compiled filters.
 * The core turns the changes reported here into check-back events and consumer notifications.
 * Bounded by `member_max`. Threads: the loop thread. */
#ifndef ESCROW_CORE_MEMBERS_H
#define ESCROW_CORE_MEMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/expression.h"
#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/wire/filter.h"
#include "lib/wire/message.h"

/* RocketMQ's client ids (address@instance) have some 60 bytes. */
enum { MEMBER_SILENCE_MS = 120 * 1000, CLIENT_ID_MAX = 255 };

enum member_role { MEMBER_PRODUCER, MEMBER_CONSUMER };

/* A client as its heartbeat shows it. */
struct member_client {
	uint64_t conn_id;
	struct host address;
	struct span client_id;
	int32_t language; /* RocketMQ's language code. */
	int32_t version;
	int64_t now_mono_ms;
};

/* What a consumer group's members agree on; the last heartbeat wins. */
struct consumer_profile {
	int32_t consume_type;      /* RocketMQ's ordinals: 0 actively, 1 passively, 2 pop. */
	bool broadcasting;
	int32_t consume_from_where;
};

struct subscription {
	uint32_t topic_id;
	int64_t sub_version;
	bool sql;                  /* expressionType SQL92; `filter` is then everything. */
	bool outdated;             /* The expression does not compile, one before it did. */
	bool class_filter;         /* Refused at the pull. */
	struct expression *expression; /* As said; whoever has the subscription holds it. */
	struct tag_filter filter;
};

struct members;

struct members *members_create(size_t member_max);
void members_destroy(struct members *members);

/* A heartbeat says that `client` produces for the group. *joined: it did not before. ST_FULL, ST_NOMEM. */
enum status members_see_producer(struct members *members, const struct member_client *client, uint32_t group_id,
				 bool *joined) MUST_USE;
/* A heartbeat says that `client` consumes in the group, with the group's whole subscription set.
 * *changed: the member is new, or the set of topics or a filter changed, so the group should rebalance. */
enum status members_see_consumer(struct members *members, const struct member_client *client, uint32_t group_id,
				 const struct consumer_profile *profile, const struct subscription *subscriptions,
				 size_t subscription_count, bool *changed) MUST_USE;

/* Called for each membership that ends. */
typedef void (*members_gone)(void *context, uint64_t conn_id, uint32_t group_id, enum member_role role);
/* One that consumes takes those connections of the same client along that came before: dead ones, of which nobody has heard yet
 * that they are. Producers' connections speak for themselves: proxies have one client id in common. */
void members_unregister(struct members *members, uint64_t conn_id, uint32_t group_id, enum member_role role,
			members_gone gone, void *context);
void members_connection_gone(struct members *members, uint64_t conn_id, members_gone gone, void *context);
void members_expire(struct members *members, int64_t now_mono_ms, members_gone gone, void *context);

/* What a connection's heartbeats said; its texts are borrowed until it goes. False: none came. now_mono_ms is not set. */
bool members_client(const struct members *members, uint64_t conn_id, struct member_client *out);
/* The client id of a connection that ever sent a heartbeat, else empty. Borrowed until that connection goes. */
struct span members_client_id(const struct members *members, uint64_t conn_id);
/* The connection of the client with this id that produces, the latest one; 0: there is none. */
uint64_t members_find_producer(const struct members *members, struct span client_id);
/* Visits the members of a group in the order in which they joined. */
typedef void (*members_visit)(void *context, uint64_t conn_id, struct span client_id);
size_t members_each(const struct members *members, uint32_t group_id, enum member_role role, members_visit visit,
		    void *context);
/* The same, but each client once, however many connections it has in the group: by the one that came last. A connection may
 * be dead without a word, and its client back under another, long before its silence ends it. */
size_t members_each_client(const struct members *members, uint32_t group_id, enum member_role role, members_visit visit,
			   void *context);
/* members_each for all groups that have members of the role, in no order. */
typedef void (*members_visit_group)(void *context, uint32_t group_id);
void members_each_group(const struct members *members, enum member_role role, members_visit_group visit, void *context);
/* NULL if no consumer of the group is connected. */
const struct consumer_profile *members_profile(const struct members *members, uint32_t group_id);
/* The group's subscription of a topic, or NULL. */
const struct subscription *members_subscription(const struct members *members, uint32_t group_id, uint32_t topic_id);
/* All of them; valid until the next heartbeat of the group. */
const struct subscription *members_subscriptions(const struct members *members, uint32_t group_id, size_t *count_out);

#endif
