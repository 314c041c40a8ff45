/* Young transactions: which halves are open but too young for a row of their own?
 *
 * Most transactions are decided within milliseconds, and their only row is then written with the decision. This
 * structure holds the halves read from the log until they are decided (forgotten) or have been open for
 * opLogPreparedAfterMs (their PREPARED row is due). Halves come in log order, which is also the order of their
 * offsets and of their times, so it is a queue with binary search: nothing else is needed.
 *
 * The oldest young half holds the cursor back: after a restart the log is read again from there, and the structure
 * is as it was. Bounded by `capacity`; when it is full the oldest ones become due at once.
 *
 * Threads: one. */
#ifndef ESCROW_OPLOG_YOUNG_H
#define ESCROW_OPLOG_YOUNG_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/projections/oplog_facts.h"

struct oplog_young;

/* Holds up to `capacity` halves, three quarters of that at least. NULL without memory. */
struct oplog_young *oplog_young_new(uint32_t capacity);
void oplog_young_free(struct oplog_young *young);
void oplog_young_clear(struct oplog_young *young);

/* Takes a copy of a half's facts. Its offset must be above those of all before it. ST_NOMEM; ST_FULL: write
 * and remove the oldest one (oplog_young_oldest with `force`) first. */
enum status oplog_young_add(struct oplog_young *young, const struct oplog_txn *half) MUST_USE;

/* The half has been decided (or parked); true if it was here. */
bool oplog_young_remove(struct oplog_young *young, uint64_t half_offset);

/* The oldest half, if it was created at or before `created_until_ms` or if `force`. *out points into the structure
 * and is valid until oplog_young_remove of that half. */
bool oplog_young_oldest(struct oplog_young *young, int64_t created_until_ms, bool force, struct oplog_txn *out);

/* Halves held. */
uint32_t oplog_young_count(const struct oplog_young *young);
/* True when oplog_young_add would give ST_FULL. */
bool oplog_young_full(const struct oplog_young *young);

#endif
