/* A thread for work that may block (disk, MySQL): jobs go in from the loop, come back as letters.
 *
 * A job is embedded in what it works on; `run` is called on the worker's thread, `done` in the loop afterwards. Jobs of
 * one worker run one after the other.
 * Threads: create, submit and stop belong to the loop's thread. */
#ifndef ESCROW_NET_WORKER_H
#define ESCROW_NET_WORKER_H

#include "lib/net/mailbox.h"

struct worker;

struct work {
	struct letter letter; /* The worker's while the job is out. */
	void (*run)(struct work *work);
	void (*done)(struct work *work);
};

/* `name` (up to 15 characters) is the thread's. `mailbox` outlives the worker. */
enum status worker_create(const char *name, struct mailbox *mailbox, struct worker **out, struct errinfo *err) MUST_USE;
void worker_submit(struct worker *worker, struct work *work);
/* Runs what is queued, joins the thread. The `done` of the last jobs comes through the mailbox afterwards. */
void worker_stop(struct worker *worker);

#endif
