/* Whom does a new message concern? Runs the waiting pulls of a queue that its new entries fit.
 *
 * By (queue, tag) first: holds for other tags are not touched. Holds that must be asked one by one are; SQL92 is evaluated
 * here, on the message in the log's tail, so that a consumer is not woken for nothing. What cannot be looked at without the
 * disk wakes: the pull looks for itself. Threads: the loop thread. */
#ifndef ESCROW_CORE_WAKE_H
#define ESCROW_CORE_WAKE_H

struct core;
struct queue;

/* The queue's visible end may have moved. */
void wake_holds(struct core *core, struct queue *queue);

#endif
