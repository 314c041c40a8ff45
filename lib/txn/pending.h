/* The pending table: every transaction that is not decided yet, in memory.
 *
 * Entries live in slabs and do not move; an index by half-queue offset (hash_index.h) finds
 * them. 98 to 101 bytes each all in. The core owns the table and the fields of an entry; the fields under "check-back"
 * belong to checkback/, which keeps each entry in exactly one of its lists.
 * Room is reserved before a record is appended, so that taking the entry in cannot fail. No call takes long, however
 * many entries there are, but pending_reserve_total.
 * Bounded by `entry_max` and, per group, by what the core checks against pending_group_count.
 * Threads: the loop thread. */
#ifndef ESCROW_TXN_PENDING_H
#define ESCROW_TXN_PENDING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/txn/txn_state.h"

#define PENDING_NONE UINT32_MAX

struct pending {
	uint64_t half_queue_offset; /* n: the key. */
	uint64_t half_offset;       /* Log offset of the HALF record: the transaction's name for life. */
	uint64_t body_offset;       /* Log offset of the record that holds the message now: the HALF, later a CARRY. */
	struct hash128 name;        /* Under which a resend of it is found, see resends.h. */
	uint64_t conn_id;           /* Connection that sent it; 0 after a restart. */
	int64_t store_time_ms;      /* Wall clock of the broker. */
	uint32_t record_size;       /* Of the HALF record in the log. */
	uint32_t group_id;          /* Dense, the core's. */
	uint16_t attempts;          /* Times a producer was asked; saturates. */
	uint16_t answered;          /* Times one answered UNKNOWN; saturates. */
	uint8_t state;              /* TXN_PREPARED or TXN_PARKED. */

	/* check-back */
	uint8_t place;              /* Which list, see checkback.c. */
	uint16_t wheel_slot;
	uint32_t prev, next;        /* Neighbours in that list: slots, or PENDING_NONE. */
	int64_t due_mono_ms;        /* Deadline: first check, next check, or answer. */
};

struct pending_table;

/* NULL when out of memory. */
struct pending_table *pending_create(uint32_t entry_max);
void pending_destroy(struct pending_table *table);

/* Room for one more of this group. ST_FULL at the limit, ST_NOMEM. */
enum status pending_reserve(struct pending_table *table, uint32_t group_id) MUST_USE;
/* Sizes the index for `count` in all at once: for a start that knows how many will come. What follows is pending_reserve
 * and pending_insert for each, as ever. ST_FULL over the limit, ST_NOMEM. */
enum status pending_reserve_total(struct pending_table *table, uint32_t count) MUST_USE;
/* Takes in a new entry with this key, zeroed but for key and group. Room must be reserved, the key must be new. */
struct pending *pending_insert(struct pending_table *table, uint64_t half_queue_offset, uint32_t group_id);
struct pending *pending_find(const struct pending_table *table, uint64_t half_queue_offset);
void pending_remove(struct pending_table *table, struct pending *entry);

/* A walk over all entries in the order of their slots: the one at *cursor or behind, NULL at the end; moves the cursor
 * on. It starts at 0. Entries may come and go between the calls: one that is there during the whole walk is seen
 * exactly once, one that comes meanwhile perhaps. */
struct pending *pending_next(const struct pending_table *table, uint32_t *cursor);

/* pending_insert or pending_find with this key follows soon: a start that fills the table calls this some entries ahead,
 * and waits less for cold memory. */
void pending_prefetch(const struct pending_table *table, uint64_t half_queue_offset);

/* An entry's slot, and back: four bytes instead of a pointer. No search. */
uint32_t pending_slot(const struct pending_table *table, const struct pending *entry);
struct pending *pending_at(const struct pending_table *table, uint32_t slot);

uint32_t pending_count(const struct pending_table *table);
uint32_t pending_group_count(const struct pending_table *table, uint32_t group_id);

#endif
