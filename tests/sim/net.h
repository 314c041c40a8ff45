/* The memory network: how do bytes get from one process to another, late, in pieces, or not at all?
 *
 * Connections are streams, as TCP gives them: bytes arrive in order and whole, or the connection is cut. What is random:
 * the latency of every piece, how sends are cut into pieces, and so the order between connections. Nothing is lost but by
 * a cut. Between two processes a direction may be blocked (a partition): what was sent waits there, and connecting gets
 * no answer. A process that is killed resets its connections; one whose machine lost power just falls silent until it is
 * back, and then resets those that it does not know any more.
 *
 * An end has a receive buffer of limited size; a sender whose peer does not read finds its sends taken in part, later not
 * at all, and is told when there is room again.
 *
 * Addresses are "10.0.0.3:10911": a process's ip and a port.
 * Threads: one. */
#ifndef ESCROW_SIM_NET_H
#define ESCROW_SIM_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct process;
struct net_end;      /* One process's end of a connection. */
struct net_listener;

enum { NET_ADDRESS_SIZE = 32 };

/* Calls run as events of the end's process. None comes after `gone`, or after net_close. */
struct net_calls {
	void *context;
	void (*connected)(void *context); /* The connecting side only. */
	void (*readable)(void *context);  /* net_received has something new. */
	void (*writable)(void *context);  /* After a net_send that did not take all. */
	void (*gone)(void *context);      /* Refused, cut, reset, or closed by the peer; the end is freed after it. */
};

void net_begin(void);
void net_end_all(void);

/* A new connection comes as a call of `accept` in the listening process; it sets the end's calls with net_attach. NULL when
 * the port is taken. */
struct net_listener *net_listen(struct process *process, uint16_t port, void (*accept)(void *context, struct net_end *end),
				void *context);
void net_unlisten(struct net_listener *listener);
void net_attach(struct net_end *end, const struct net_calls *calls);
/* Begins to connect. NULL if the address is not one, or the process was killed. */
struct net_end *net_connect(struct process *process, const char *address, const struct net_calls *calls);
/* Sends what the peer's buffer and the way to it take now; returns how much that was. */
size_t net_send(struct net_end *end, const void *data, size_t size);
/* What has arrived and was not taken. Valid until the next net_take or event. */
struct span net_received(const struct net_end *end);
void net_take(struct net_end *end, size_t size);
/* While false `readable` does not come. */
void net_set_reading(struct net_end *end, bool reading);
/* Our end is gone; the peer learns it behind what was sent. */
void net_close(struct net_end *end);
void net_peer_address(const struct net_end *end, uint32_t *ip_out, uint16_t *port_out);
void net_address(const struct process *process, uint16_t port, char out[NET_ADDRESS_SIZE]);

/* --- what happens to it ----------------------------------------------------------------------------------------------- */

/* All its ends and listeners are gone. `silent`: the machine is off, nobody is told. */
void net_process_died(struct process *process, bool silent);
/* Whether what `from` sends reaches `to`. */
void net_block(const struct process *from, const struct process *to, bool blocked);
void net_unblock_all(void);
/* Cuts the `number`-th (modulo their count) standing connection of the process; false if it has none. What is under way may
 * still arrive or not; each side learns it at its own time. */
bool net_cut(struct process *process, uint64_t number);
/* All latencies are so many times as long until then. */
void net_slow_down(int64_t factor, int64_t until_us);

#endif
