/* What do producers and consumers share? One loop thread, one transport, the routes of their topics, the brokers that
 * are known, heartbeats to them.
 *
 * The instance asks name servers for routes (at once, then every 30 s; topics that do not exist yet take the route of
 * TBW102) and beats to every broker that it ever learned of: at once, every 30 s, and again as soon as a connection
 * comes back. Brokers are never forgotten, because an open transaction belongs to its broker; SDK_BROKERS_MAX bounds them.
 * Threads: the loop thread, unless said otherwise. */
#ifndef ESCROW_SDK_INSTANCE_H
#define ESCROW_SDK_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <uthash.h>

#include "client-sdk/src/sdk_error.h"
#include "lib/net/client.h"
#include "lib/net/mailbox.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/message.h"

enum {
	SDK_NAME_SERVERS_MAX = 16,
	SDK_BROKERS_MAX = 256,
	SDK_TOPICS_MAX = 4096,
	SDK_ADDRESS_SIZE = 128,
	SDK_BROKER_NAME_SIZE = 128,
	SDK_CLIENT_ID_SIZE = 192,
	SDK_TICK_MS = 20,
	SDK_HEARTBEAT_MS = 30000,
	SDK_ROUTE_MS = 30000,
	SDK_REQUEST_MS = 3000,
};

struct sdk_broker {
	UT_hash_handle hh;
	char name[SDK_BROKER_NAME_SIZE];
	char address[SDK_ADDRESS_SIZE]; /* Of the master. */
	uint64_t disconnects;           /* Connections that stood and are gone. */
	int64_t avoid_until_ms;         /* It failed: others first. */
	int64_t beat_due_ms;
	int64_t failing_since_ms;       /* 0: the last heartbeat was acknowledged. */
	bool beating;
};

struct sdk_queue {
	struct sdk_broker *broker;
	int32_t id;
};

struct sdk_topic {
	UT_hash_handle hh;
	char name[MESSAGE_TOPIC_MAX + 1];
	struct sdk_queue *write_queues;
	size_t write_count;
	struct sdk_queue *read_queues;
	size_t read_count;
	size_t turn;            /* Round robin of sends. */
	bool known;
	bool fallback;          /* The route is TBW102's: ask again soon. */
	bool asking;
	bool asking_fallback;
	int asked_servers;      /* Of this question. */
	int64_t due_ms;         /* When to ask again. */
	int64_t asked_ms;
	uint64_t failures;      /* Questions that ended without a route; senders count on it. */
	bool not_found;         /* The last question's end: a name server says that there is none. */
	struct sdk_instance *instance;
};

struct sdk_instance_callbacks {
	void *context;
	/* Fill in groups; client_id is there already. */
	void (*heartbeat)(void *context, struct heartbeat *out);
	void (*on_request)(void *context, struct client_conn *conn, const struct command *request);
	/* The route of a topic is known, or has changed. May be NULL. */
	void (*on_route)(void *context, struct sdk_topic *topic);
	/* Every SDK_TICK_MS. */
	void (*on_tick)(void *context, int64_t now_ms);
	/* What to unregister at the end; either may be empty. */
	struct span producer_group;
	struct span consumer_group;
};

struct sdk_instance {
	struct loop *loop;
	struct mailbox *mailbox;
	struct client *client;
	pthread_t thread;
	bool started;
	char client_id[SDK_CLIENT_ID_SIZE];
	char name_servers[SDK_NAME_SERVERS_MAX][SDK_ADDRESS_SIZE];
	int name_server_count;
	int name_server_turn;
	bool fallback_allowed; /* Producers: a topic that does not exist takes TBW102's route. */
	struct sdk_topic *topics;
	struct sdk_broker *brokers;
	struct loop_timer tick;
	struct sdk_instance_callbacks callbacks;
	struct buffer beat;
	int unregistering;
	atomic_uint_fast64_t beats_acknowledged;
};

/* Everything but the thread. `instance_name` may be NULL. ESCROW_INVALID names the bad setting. Any thread. */
enum escrow_code sdk_instance_init(struct sdk_instance *instance, const char *name_servers, const char *instance_name,
				   const struct sdk_instance_callbacks *callbacks, struct escrow_error *err);
/* Starts the loop thread. Any thread. */
enum escrow_code sdk_instance_start(struct sdk_instance *instance, struct escrow_error *err);
/* Waits for the loop thread, which must have been told to end with sdk_instance_end. Any thread but the loop's. */
void sdk_instance_join(struct sdk_instance *instance);
/* Frees; also after a failed init. No thread runs any more. */
void sdk_instance_deinit(struct sdk_instance *instance);

/* The topic's entry, whose route is asked for if it is new; NULL over SDK_TOPICS_MAX or without memory. */
struct sdk_topic *sdk_instance_topic(struct sdk_instance *instance, const char *name);
/* Asks for the route again soon: something did not work. */
void sdk_instance_refresh(struct sdk_instance *instance, struct sdk_topic *topic);
struct sdk_broker *sdk_instance_broker(struct sdk_instance *instance, const char *name);
/* A beat to every broker now: what we tell has changed. */
void sdk_instance_beat_now(struct sdk_instance *instance);
/* UNREGISTER_CLIENT to every broker that is connected. Wait while instance->unregistering > 0. */
void sdk_instance_unregister(struct sdk_instance *instance, int64_t deadline_ms);
/* The loop ends after this turn. */
void sdk_instance_end(struct sdk_instance *instance);

static inline int64_t sdk_now_ms(const struct sdk_instance *instance)
{
	return loop_now_ms(instance->loop);
}

#endif
