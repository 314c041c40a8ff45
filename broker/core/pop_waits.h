/* Long polls of POP: requests that found nothing and wait for their topic, for all of its queues or one.
 *
 * What arrives for a topic, or for the retry topic of one of its groups, only marks it; the waiting requests run again at the
 * turn's end, because they append records. The first come is the first served.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_POP_WAITS_H
#define ESCROW_CORE_POP_WAITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/conn_index.h"
#include "broker/core/pop.h"

struct core;
struct topic;

struct pop_wait {
	struct conn_link by_conn; /* First: casts. */
	struct pop_wait *topic_prev, *topic_next;
	struct pop_wait *all_prev, *all_next;
	struct topic *topic;
	struct pop_request request;
	bool notification;   /* It wants to know only whether there is something. */
	uint64_t conn_id;
	int32_t opaque;
	uint8_t serialize_type;
	int64_t deadline_mono_ms;
};

struct pop_waits {
	struct pop_wait *all;
	struct conn_index by_conn;
	size_t count;
	struct topic *arrived; /* Linked by pop_arrived_next. */
};

/* Takes over a copy of *wait (request, connection set). False at the limit: answer now. */
bool pop_waits_add(struct core *core, const struct pop_wait *wait);
/* How many requests of the group wait for this queue of the topic, as they name it. */
size_t pop_waits_count(const struct core *core, uint32_t topic_id, uint32_t group_id, int32_t queue_id);
void pop_waits_remove_connection(struct core *core, uint64_t conn_id);
/* Of a connection that has left the group. */
void pop_waits_remove_member(struct core *core, uint64_t conn_id, uint32_t group_id);

/* There is something new in the topic. */
void pop_waits_arrived(struct core *core, struct topic *topic);
/* Runs those again that wait for what has arrived. */
void pop_waits_wake(struct core *core);
/* Answers those whose time is up; `all`: everyone. */
void pop_waits_sweep(struct core *core, bool all);
/* The topic is deleted. */
void pop_waits_topic_gone(struct core *core, const struct topic *topic);
void pop_waits_deinit(struct pop_waits *waits);

#endif
