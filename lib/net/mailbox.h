/* From any thread to the loop: a list of letters, delivered in order in the loop's next turn.
 *
 * A letter is embedded in what it carries; posting allocates nothing and cannot fail, so the number of letters is
 * bounded by the number of things that exist. One wake-up serves all letters posted before the loop looks.
 * Threads: mailbox_post any; the rest the loop's. */
#ifndef ESCROW_NET_MAILBOX_H
#define ESCROW_NET_MAILBOX_H

#include "lib/net/loop.h"

struct mailbox;

struct letter {
	struct letter *next;
	void (*deliver)(struct letter *letter); /* In the loop; the letter is the receiver's again. */
};

struct mailbox *mailbox_create(struct loop *loop);
/* Letters not delivered yet are forgotten. */
void mailbox_destroy(struct mailbox *mailbox);
void mailbox_post(struct mailbox *mailbox, struct letter *letter);

#endif
