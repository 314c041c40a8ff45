/* How do open bodies leave expired segments?
 *
 * An undecided half or an undelivered delayed message would keep its segment, and so the log from there on. Its body is
 * appended once more (CARRY, under the name that it has), some each tick; for the log's size no more than others append. What
 * cannot be carried is told, and keeps its segment.
 *
 * Which segments have expired is retention's to say (retention.h).
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_CARRYING_H
#define ESCROW_CORE_CARRYING_H

#include <stddef.h>
#include <stdint.h>

struct core;

/* Since when (monotonic) a walk waits for the disk to give a body. */
struct carry_wait {
	uint64_t body_offset;
	int64_t since_ms;
};

struct carrying {
	uint64_t carried_count;  /* CARRY records written since the start. */
	uint64_t left_count;     /* Times that a body could not be carried. */
	uint64_t seen_end;       /* Of the log, after the last tick: what comes behind, others have appended. */
	int64_t credit;          /* Bytes that may be carried because the log is past its size. */
	int64_t warn_after_ms;   /* Monotonic: when to say again that this is not enough; 0: not said yet. */
	uint32_t half_cursor;    /* Where the walk over open halves stands, ... */
	size_t delayed_cursor;   /* ... and over delayed messages. */
	struct carry_wait half_wait, delayed_wait;
};

/* The broker begins to serve. */
void carrying_start(struct core *core);
/* Carries some of what is open in expired segments. */
void carrying_tick(struct core *core);

#endif
