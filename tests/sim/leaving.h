/* An orderly end: a client says to every broker that it goes (UNREGISTER_CLIENT), stays connected for a moment, and ends.
 *
 *   MEMBER  who has unregistered at a broker is not among its group's members there, nor asked about transactions
 *
 * A last heartbeat comes before: then the broker knows it by the connection on which it says goodbye. Of a client with a
 * heartbeat that was not answered nothing is asked: it may arrive behind the goodbye, from a connection that is gone.
 * Threads: one. */
#ifndef ESCROW_SIM_LEAVING_H
#define ESCROW_SIM_LEAVING_H

#include "lib/wire/body_heartbeat.h"
#include "tests/sim/client_node.h"

void leaving_begin(void);

/* Sends `beat` to the broker, and once that is answered, UNREGISTER_CLIENT. One of the groups is NULL. */
void leaving_say_goodbye(struct client_node *node, const char *address, const struct heartbeat *beat,
			 const char *producer_group, const char *consumer_group);
/* It is asked about a transaction by this broker. `sender`: number of the process that sent the half. */
void leaving_check_asked(const struct client_node *node, int broker, int sender);
/* Members of a consumer group, as the broker tells who asked at `asked_us`. */
void leaving_check_members(int broker, int64_t asked_us, const struct name_list *members);
/* A consumer takes a queue. */
void leaving_queue_taken(const struct client_node *node, int group, int broker, int place, int queue_id);

#endif
