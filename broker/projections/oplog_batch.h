/* A batch: the facts that go to MySQL in one transaction.
 *
 * Copies what it is given, because records are gone after the next read. Bounded by the number of rows.
 * Threads: one. */
#ifndef ESCROW_OPLOG_BATCH_H
#define ESCROW_OPLOG_BATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "broker/projections/oplog_facts.h"

struct oplog_batch_chunk;

struct oplog_batch {
	struct oplog_txn *txns;
	size_t txn_count;
	struct oplog_event *events;
	size_t event_count;
	size_t row_max;
	struct oplog_batch_chunk *chunks; /* Bytes of the spans. */
};

/* Room for `row_max` transactions and as many events. ST_NOMEM. */
enum status oplog_batch_init(struct oplog_batch *batch, size_t row_max) MUST_USE;
void oplog_batch_deinit(struct oplog_batch *batch);
/* Empties it. */
void oplog_batch_reset(struct oplog_batch *batch);

/* ST_FULL when there are row_max of the kind; ST_NOMEM. */
enum status oplog_batch_add_txn(struct oplog_batch *batch, const struct oplog_txn *txn) MUST_USE;
enum status oplog_batch_add_event(struct oplog_batch *batch, const struct oplog_event *event) MUST_USE;

static inline size_t oplog_batch_rows(const struct oplog_batch *batch)
{
	return batch->txn_count + batch->event_count;
}

#endif
