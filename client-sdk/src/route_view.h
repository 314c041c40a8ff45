/* Which queues does a topic have, for sending and for receiving? A route as the name server gives it, turned into
 * lists. Threads: pure; a view belongs to one thread. */
#ifndef ESCROW_SDK_ROUTE_VIEW_H
#define ESCROW_SDK_ROUTE_VIEW_H

#include "lib/wire/body_route.h"

enum {
	BROKER_NAME_SIZE = 128,
	BROKER_ADDRESS_SIZE = 128,
	VIEW_BROKERS_MAX = 1024,
	VIEW_ADDRESSES_MAX = 16, /* Of one broker; the rest is left out. */
	VIEW_QUEUES_MAX = 65536, /* In each list; the rest is left out. */
};

struct view_address {
	int64_t broker_id;
	char address[BROKER_ADDRESS_SIZE];
};

struct view_broker {
	char name[BROKER_NAME_SIZE];
	struct view_address addresses[VIEW_ADDRESSES_MAX];
	uint32_t address_count;
};

struct view_queue {
	uint32_t broker; /* Index. */
	int32_t queue_id;
};

struct route_view {
	struct view_broker *brokers; /* By name. */
	size_t broker_count;
	struct view_queue *publish;  /* Writable, of brokers with a master; by broker, then queue. */
	size_t publish_count;
	struct view_queue *subscribe; /* Readable. */
	size_t subscribe_count;
};

/* template_queues_max > 0: the route is that of TBW102, standing for a topic to be created with at most so many queues.
 * Names and addresses that are too long are left out. ST_NOMEM. */
enum status route_view_make(const struct route *route, int32_t template_queues_max, struct route_view **out) MUST_USE;
/* NULL is allowed. */
void route_view_free(struct route_view *view);
/* The address of a broker by id, or NULL. */
const char *view_broker_address(const struct view_broker *broker, int64_t broker_id);

#endif
