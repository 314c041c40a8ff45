/* A service that consumes: one member of a consumer group.
 *
 * consumer.c is its life and which queues are its own: heartbeats, the group's members, the SDK's allocation. consume.c is one
 * queue: where to begin, pulls, messages that go well or are sent back, positions (the SDK's window says up to where).
 * Threads: one. */
#ifndef ESCROW_SIM_CONSUMER_H
#define ESCROW_SIM_CONSUMER_H

#include "client-sdk/src/window.h"
#include "tests/sim/client_node.h"

struct held_queue;

struct consumer {
	struct client_node node;
	int group;
	int64_t sub_version;
	struct loop_timer beat, rebalance;
	bool asking_members[PLACES_MAX];
	struct held_queue *queues;
	bool greedy;          /* Asks for much, and does not read. */
	struct loop_timer greed;
};

void consumer_init(struct consumer *consumer, const char *name, int group);
void consumer_start(struct consumer *consumer);
void consumer_die(struct consumer *consumer);
/* Stores its positions, unregisters, and takes nothing new; to be ended after a while. */
void consumer_leave(struct consumer *consumer);
static inline bool consumer_runs(const struct consumer *consumer)
{
	return consumer->node.loop != NULL;
}
/* Stops reading for so long, with many pulls under way. */
void consumer_be_greedy(struct consumer *consumer, int64_t for_ms);

/* --- consume.c -------------------------------------------------------------------------------------------------------- */

struct held_queue *held_queue_find(struct consumer *consumer, int broker, int place, int queue_id);
void held_queue_take(struct consumer *consumer, int broker, int place, int queue_id);
/* Stores the position and lets it go. */
void held_queue_drop(struct held_queue *queue);
/* Those of a place that are not marked by held_queue_keep since the last call. */
void held_queue_keep(struct held_queue *queue);
size_t held_queues_drop_others(struct consumer *consumer, int place);
void held_queues_drop_all(struct consumer *consumer);
/* Where the first few of them are; returns how many. */
struct held_position {
	int broker, place, queue_id;
	int64_t next_offset;
};
size_t held_queues_positions(const struct consumer *consumer, struct held_position *positions, size_t max);
/* Frees all, after the client is gone. */
void held_queues_free(struct consumer *consumer);

#endif
