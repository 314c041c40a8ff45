/* What clients tell of themselves: heartbeats, leaving, closed connections; and who is in a group.
 *
 * A heartbeat makes missing groups and retry topics, updates the members, tells check-back of producers and tells a
 * consumer group's members when the group changed. Threads: the loop thread. */
#ifndef ESCROW_CORE_CLIENTS_H
#define ESCROW_CORE_CLIENTS_H

#include "broker/core/core.h"
#include "broker/core/members.h"
#include "lib/wire/body_heartbeat.h"

/* HEART_BEAT. Groups that may not be made are left out, as in RocketMQ. Refused with a client id over CLIENT_ID_MAX. */
enum status core_heartbeat(struct core *core, uint64_t conn_id, const struct host *address, int32_t language,
			   int32_t version, const struct heartbeat *heartbeat, struct outcome *outcome) MUST_USE;
/* UNREGISTER_CLIENT. Empty groups are left out. */
void core_unregister(struct core *core, uint64_t conn_id, struct span producer_group, struct span consumer_group);
/* The connection is closed: its memberships and waiting pulls go. */
void core_connection_gone(struct core *core, uint64_t conn_id);
/* What a connection's heartbeats said (members.h); false if none came. */
bool core_client(const struct core *core, uint64_t conn_id, struct member_client *out);
/* The client id of a connection's heartbeats, or empty. */
struct span core_client_id(const struct core *core, uint64_t conn_id);
/* GET_CONSUMER_LIST_BY_GROUP: visits each client; returns how many there are. */
size_t core_consumers(const struct core *core, struct span group, members_visit visit, void *context);

/* --- for core.c: ends the memberships of the silent. */
void clients_expire(struct core *core);

#endif
