/* A service that sends messages and transactions: one process of a producer group.
 *
 * producer.c is its life: start and death, heartbeats, answers to check-backs. sending.c is the way of one message: sent,
 * sent again, its local transaction, its END. Its database (business.h) outlives it.
 * Threads: one. */
#ifndef ESCROW_SIM_PRODUCER_H
#define ESCROW_SIM_PRODUCER_H

#include "tests/sim/business.h"
#include "tests/sim/client_node.h"

struct sending;
struct late_answer;

struct producer {
	struct client_node node;
	int group;
	struct loop_timer beat;
	struct sending *sendings;
	struct late_answer *late;
};

void producer_init(struct producer *producer, const char *name, int group);
void producer_start(struct producer *producer);
void producer_die(struct producer *producer);
/* Unregisters, and begins nothing new; to be ended after a while. */
void producer_leave(struct producer *producer);
static inline bool producer_runs(const struct producer *producer)
{
	return producer->node.loop != NULL;
}
/* True when nothing is under way any more. */
bool producer_is_idle(const struct producer *producer);

/* --- sending.c -------------------------------------------------------------------------------------------------------- */

/* Sends an item, and for a transaction does all that follows. */
void producer_send(struct producer *producer, struct item *item, int32_t queue_id);
/* Sends several plain items as one batch; all of one topic. */
enum { BATCH_MAX = 5 };
void producer_send_batch(struct producer *producer, struct item *const *items, int count, int32_t queue_id);
/* The half once more, to where it went. */
void producer_send_again(struct producer *producer, struct item *item);
/* An END of its own, asked for from outside of the usual way. */
void producer_end(struct producer *producer, struct item *item, enum record_outcome outcome, bool oneway);
/* Answers a check-back: as producer_end, but it says so. */
void producer_end_checked(struct producer *producer, struct item *item, const char *address, enum record_outcome outcome,
			  bool oneway);
/* Frees what is under way; after the client is gone. */
void sendings_free(struct producer *producer);

#endif
