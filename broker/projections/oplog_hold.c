#include "broker/projections/oplog_hold.h"

#include <inttypes.h>

#include "lib/base/logging.h"

static enum oplog_hold_level level_of(uint64_t behind, uint64_t max_bytes)
{
	if (behind > max_bytes)
		return OPLOG_HOLD_OVER;
	return behind > max_bytes / 2 ? OPLOG_HOLD_FAR : OPLOG_HOLD_NEAR;
}

static void report(enum oplog_hold_level level, uint64_t behind, uint64_t max_bytes)
{
	if (level == OPLOG_HOLD_OVER)
		log_error("oplog", "MySQL is too far behind: the log waits no longer, rows of what goes will be missing",
			  "behind_bytes=%" PRIu64 " opLogHoldLogMax=%" PRIu64, behind, max_bytes);
	else if (level == OPLOG_HOLD_FAR)
		log_warn("oplog", "MySQL is behind by more than half of what the log is kept for it",
			 "behind_bytes=%" PRIu64 " opLogHoldLogMax=%" PRIu64, behind, max_bytes);
	else
		log_info("oplog", "MySQL has come near again", "behind_bytes=%" PRIu64, behind);
}

uint64_t oplog_hold_from(struct oplog_hold *hold, uint64_t cursor, uint64_t durable)
{
	uint64_t behind = durable > cursor ? durable - cursor : 0;

	if (hold->max_bytes == 0)
		return cursor;
	enum oplog_hold_level level = level_of(behind, hold->max_bytes);
	if (level != hold->level && cursor != 0)
		report(level, behind, hold->max_bytes);
	hold->level = cursor == 0 ? hold->level : level;
	return level == OPLOG_HOLD_OVER ? durable - hold->max_bytes : cursor;
}
