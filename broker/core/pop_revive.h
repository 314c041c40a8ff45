/* What becomes of messages that were given out by POP and whose time has passed?
 *
 * Each goes to the end of the group's retry topic for its topic, with a raised reconsumeTimes, from where it is given out
 * again; after the group's last retry, to the dead letters. Then its check-out is settled: a crash in between gives it out twice,
 * none loses it. What was given out in order stays at its place and only holds the queue up no longer.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_POP_REVIVE_H
#define ESCROW_CORE_POP_REVIVE_H

struct core;

/* A little each time; what is only on disk comes with a later tick, by the wish that it leaves. */
void pop_revive_tick(struct core *core);

#endif
