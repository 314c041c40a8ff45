/* A service that consumes by POP: one member of a group of its own, which takes from all topics and all brokers.
 *
 * It asks for messages, and waits; what it gets it acknowledges after a while, or lets lapse, so that it comes again from the
 * group's retry topic; a few never go well and become dead letters.
 * Threads: one. */
#ifndef ESCROW_SIM_POPPER_H
#define ESCROW_SIM_POPPER_H

#include "tests/sim/client_node.h"

struct given;

struct popper {
	struct client_node node;
	struct loop_timer turn;
	bool group_made[BROKERS_MAX], making_group[BROKERS_MAX];
	bool asking[BROKERS_MAX][TOPICS_MAX];
	struct given *given;      /* Messages that it has. */
};

void popper_init(struct popper *popper, const char *name);
void popper_start(struct popper *popper);
void popper_die(struct popper *popper);
static inline bool popper_runs(const struct popper *popper)
{
	return popper->node.loop != NULL;
}

#endif
