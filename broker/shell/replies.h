/* Answers, and when they may leave: the shell's side of `struct replies`.
 *
 * An answer is encoded at once. If what it rests on is committed it goes straight into the connection's output;
 * otherwise it is parked, in the order of arrival, until the committed watermark has passed its `wait_offset`. (One that
 * waits for less than the one in front of it leaves with that one: at most one sync later.)
 * A connection that goes takes nothing along: its parked answers are dropped when their time comes.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_REPLIES_H
#define ESCROW_SHELL_REPLIES_H

#include "broker/handlers/handlers.h"
#include "lib/net/server.h"

struct parked_replies {
	struct server *server;
	struct buffer parked;     /* Entries: connection u64, wait offset u64, size u32, bytes. */
	uint64_t committed;
	struct conn *current;     /* Between begin and end. */
	size_t current_at;        /* Of a parked one: its entry, from the buffer's start. */
	bool current_parked;
};

void replies_init(struct parked_replies *replies, struct server *server);
void replies_deinit(struct parked_replies *replies);
/* The functions of `struct replies`. */
struct replies replies_sink(struct parked_replies *replies);
/* Everything below `committed` is safe: sends off what waited for it. */
void replies_release(struct parked_replies *replies, uint64_t committed);
size_t replies_parked_bytes(const struct parked_replies *replies);
/* Answers of one connection that are parked. */
uint32_t replies_in_flight(const struct conn *conn);

#endif
