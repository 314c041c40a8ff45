/* How much of the log may MySQL hold back?
 *
 * Segments that the op log has not read yet are kept past their time, so that a dead MySQL loses no rows. opLogHoldLogMax
 * bounds that: what lies further behind the log's end goes when its time is over, and its rows will be missing. An operator
 * is warned at half of it, and told when it is reached. Without the limit the disk is the limit: new messages are refused
 * when it is full, until MySQL is back.
 * Threads: belongs to one, the loop's. */
#ifndef ESCROW_OPLOG_HOLD_H
#define ESCROW_OPLOG_HOLD_H

#include <stdint.h>

enum oplog_hold_level { OPLOG_HOLD_NEAR, OPLOG_HOLD_FAR /* Over half of the limit. */, OPLOG_HOLD_OVER };

struct oplog_hold {
	uint64_t max_bytes; /* 0: no limit. */
	enum oplog_hold_level level;
};

/* The log offset from which on segments must be kept for a projector whose rows are written up to `cursor`; 0: nobody knows
 * yet. Logs a change of the level, once it is known. */
uint64_t oplog_hold_from(struct oplog_hold *hold, uint64_t cursor, uint64_t durable);

#endif
