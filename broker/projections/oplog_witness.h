/* By what is a log known again? Its id is not enough: a store that was restored from an older backup, or cut, has the same one,
 * and grows past the cursor with other records.
 *
 * The cursor's row keeps two records of the log that was projected, where they lie and their CRCs, in which id, epoch and
 * offset are counted. The last one that was read: its rows, or those of records before it, are in MySQL even where an open half
 * holds the cursor back. And the EPOCH record in front of it, which names its start's time: two stories may come to use the same
 * words.
 * A log that has both is the one that was projected; a record that the log no longer holds proves nothing.
 *
 * Threads: values. Functions block on the disk. */
#ifndef ESCROW_OPLOG_WITNESS_H
#define ESCROW_OPLOG_WITNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/commitlog.h"

/* What to say of a log that ends before what MySQL knows of it. */
#define OPLOG_OLDER_COPY \
	"this store is an older copy of the one that was projected; give it a database of its own (opLogMysqlDatabase)"

/* An offset of 0: not known. */
struct oplog_witness {
	uint64_t last_offset;
	uint64_t start_offset;
	uint32_t last_crc;
	uint32_t start_crc;
};

/* A record was read. After a restart those that were read before come again, and do not count. */
void oplog_witness_note(struct oplog_witness *witness, const struct log_record *record);

/* Is the log under `root`, durable up to `durable`, the one that this witness is of? ST_CONFLICT with what to do if not; failures
 * of the disk. */
enum status oplog_witness_check(const struct oplog_witness *witness, const char *root, uint64_t durable,
				struct errinfo *err) MUST_USE;

/* Whether the log's oldest record is above `offset`. */
bool oplog_log_begins_behind(const char *root, uint64_t offset);

#endif
