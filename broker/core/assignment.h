/* Which queues does a client of a group get, when the broker shares them out (400), and by which way does it fetch (401, 402)?
 *
 * Each broker of a topic is asked by clients at random, so all of them share out the same list: the queues of the topic's route,
 * of all brokers. While no route is known it is this broker's own queues. Threads: the loop thread; topic_queues_make: pure. */
#ifndef ESCROW_CORE_ASSIGNMENT_H
#define ESCROW_CORE_ASSIGNMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct core;
struct route;

/* All queues of a topic that may be read, in RocketMQ's order: by the names of their brokers, then by number. */
enum { TOPIC_QUEUES_MAX = 65536 };
struct broker_queues {
	struct span broker_name;
	uint32_t count;          /* Queues 0 to count - 1; never 0. */
};
struct topic_queues {
	size_t broker_count;
	uint32_t queue_count;    /* Of all brokers. */
	struct broker_queues brokers[]; /* Each broker once. */
};
/* Those of a route, which may have gone afterwards; free(*out) then. ST_TOOBIG: more than TOPIC_QUEUES_MAX; ST_NOMEM. */
enum status topic_queues_make(const struct route *route, struct topic_queues **out, struct errinfo *err) MUST_USE;

struct assignment_request {
	struct span topic, group, client_id, strategy;
	bool broadcasting;
	const struct topic_queues *queues; /* NULL: only this broker's own are known. */
	struct span own_name;              /* This broker's. */
};

struct assigned_queue {
	struct span broker_name; /* Borrowed from the request. */
	int32_t queue_id;        /* -1: any. */
};
struct assignment {
	int32_t mode;            /* REQUEST_MODE_... */
	size_t count;
	struct assigned_queue *queues;
};

/* False: nothing is known (no such topic, client or strategy; no memory), the client is to keep what it has. */
bool core_assign(const struct core *core, const struct assignment_request *request, struct assignment *out);
/* Also allowed after false. */
void assignment_free(struct assignment *assignment);

typedef void (*request_mode_visit)(void *context, struct span topic, struct span group, int32_t mode, int32_t shared_queues);
/* Every mode that was set; those of a topic one after another. */
void core_each_request_mode(const struct core *core, request_mode_visit visit, void *context);

#endif
