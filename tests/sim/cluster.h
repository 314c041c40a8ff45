/* The whole cluster of one seed: who is there, how it is set up, brought to rest and taken down.
 * Threads: one. */
#ifndef ESCROW_SIM_CLUSTER_H
#define ESCROW_SIM_CLUSTER_H

#include "tests/sim/consumer.h"
#include "tests/sim/namesrv_node.h"
#include "tests/sim/popper.h"
#include "tests/sim/producer.h"

/* Room for so many items. Everybody starts. */
void cluster_begin(uint32_t item_max);
void cluster_end(void);

int cluster_producers(void);
struct producer *cluster_producer(int index);
int cluster_consumers(void);
struct consumer *cluster_consumer(int index);
struct popper *cluster_popper(int index); /* Below POPPERS_MAX. */
struct namesrv_node *cluster_namesrv(int index);

/* Every fault ends, everybody is there and tells the truth, and time runs until nothing is open any more. That it does not
 * come to rest in bounded time is a violation. */
void cluster_come_to_rest(void);
/* A last power cut of all brokers; then all is read. */
void cluster_read_all(void);

#endif
