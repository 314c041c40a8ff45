#include "broker/core/kept_elsewhere.h"

#include "lib/wire/codes.h"

static const struct {
	const char *topic;
	const char *how; /* STORE is the broker's storePathRootDir. */
} elsewhere[] = {
	{ TOPIC_HALF,
	  "half messages are records of the log here and cannot be pulled. One of them: by its id (mqadmin queryMsgById); all: escrow-log "
	  "dump STORE --kind half; what waits for a decision: escrow-log oplog STORE, or v_in_doubt of the op log in MySQL" },
	{ TOPIC_OP_HALF,
	  "decisions are records of the log here and cannot be pulled: escrow-log dump STORE --kind decision; what became of each "
	  "transaction: escrow-log oplog STORE, or v_transactions of the op log in MySQL" },
	{ TOPIC_CHECK_MAX_TIME,
	  "a transaction whose checks are exhausted is decided or parked by transactionUndecidedPolicy and cannot be pulled: escrow-log "
	  "oplog STORE, or v_in_doubt of the op log in MySQL" },
	{ TOPIC_SCHEDULE,
	  "messages that wait for their time are records of the log here and cannot be pulled. One of them: by its id (mqadmin "
	  "queryMsgById); all of a topic: escrow-log dump STORE --topic TOPIC" },
};

enum status check_kept_here(struct span topic, struct outcome *outcome)
{
	for (size_t i = 0; i < sizeof(elsewhere) / sizeof(elsewhere[0]); i++) {
		if (span_is(topic, elsewhere[i].topic))
			return core_refuse(outcome, RESP_NO_PERMISSION, "%s: %s", elsewhere[i].topic, elsewhere[i].how);
	}
	return ST_OK;
}
