/* From a hash to what may have it: the index below the pending table and the resends, which hold millions.
 *
 * Open addressing with linear probing; a bucket is 8 bytes: 32 bits of the hash and a 32-bit value (a slot of its
 * owner). The hash in the bucket saves most looks into the owner's cold memory, and all of them when entries move.
 * Between 64 and 80 percent full: 10 to 12.5 bytes an entry.
 *
 * Growth never stops the loop nor takes the memory of two tables: the larger one comes from the system untouched, and
 * each later addition moves a few buckets over. A hash's home is its proportional place in the table, so both tables
 * are walked in the same order; the old one empties from its front and its memory goes back piece by piece. While that
 * goes on, what has its old home in front of `moved` is in the new table, everything else in the old one, or, where
 * that would have had to probe around its end, in the new one too.
 *
 * Use: for (c = hash_index_look(ix, hash); hash_index_next(&c, &value);) compare what `value` stands for. A cursor
 * lives until the index is changed.
 * Threads: the loop thread. */
#ifndef ESCROW_TXN_HASH_INDEX_H
#define ESCROW_TXN_HASH_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct hash_bucket {
	uint32_t hash;
	uint32_t mark; /* The value + 1; 0 = empty, so that fresh zeroed memory is an empty table. */
};

struct hash_table {
	struct hash_bucket *buckets;
	uint32_t size;
};

struct hash_index {
	struct hash_table current;
	struct hash_table old; /* Being emptied; size 0 when no growth is under way. */
	uint32_t moved;        /* Buckets of `old` that are done; the last of them is empty for good. */
	uint64_t given_back;   /* Bytes of `old` that went back to the system: whole pages. */
	uint32_t count;        /* Entries in both. */
};

struct hash_cursor {
	const struct hash_index *index;
	struct hash_bucket *buckets;
	uint32_t size, at, hash;
	bool found; /* `at` is a bucket that hash_index_next gave. */
};

/* Empty; no allocation. */
void hash_index_init(struct hash_index *index);
void hash_index_deinit(struct hash_index *index);

/* Room for one more, so that hash_index_put cannot fail. ST_NOMEM. */
enum status hash_index_reserve(struct hash_index *index) MUST_USE;
/* Room for `count` in all, at once: for a start, when it is known how many will come. ST_NOMEM. */
enum status hash_index_reserve_total(struct hash_index *index, uint32_t count) MUST_USE;
/* Adds; several with the same hash are fine. value < UINT32_MAX. Room must be reserved. */
void hash_index_put(struct hash_index *index, uint32_t hash, uint32_t value);

/* Where a hash would like to be: the same part of the way through a table of any size. */
static inline uint32_t hash_index_home(uint32_t size, uint32_t hash)
{
	return (uint32_t)((uint64_t)hash * size >> 32);
}

static inline uint32_t hash_index_after(uint32_t size, uint32_t at)
{
	return at + 1 < size ? at + 1 : 0;
}

static inline bool hash_index_in_old(const struct hash_index *index, uint32_t hash)
{
	return index->old.size > 0 && hash_index_home(index->old.size, hash) >= index->moved;
}

static inline void hash_index_enter(struct hash_cursor *cursor, const struct hash_table *table)
{
	cursor->buckets = table->buckets;
	cursor->size = table->size;
	cursor->at = hash_index_home(table->size, cursor->hash);
	cursor->found = false;
}

/* In front of the first entry with this hash. Inline, like the next: the cursor stays in registers, which halves the
 * time of a search. */
static inline struct hash_cursor hash_index_look(const struct hash_index *index, uint32_t hash)
{
	struct hash_cursor cursor = { .index = index, .hash = hash };

	hash_index_enter(&cursor, hash_index_in_old(index, hash) ? &index->old : &index->current);
	return cursor;
}

/* This hash will be looked for or added soon: its memory may as well be on its way. */
static inline void hash_index_prefetch(const struct hash_index *index, uint32_t hash)
{
	if (index->current.size > 0)
		__builtin_prefetch(&index->current.buckets[hash_index_home(index->current.size, hash)], 1);
}

/* The next entry with the cursor's hash, in no particular order. False: no more. */
static inline bool hash_index_next(struct hash_cursor *cursor, uint32_t *value_out)
{
	if (cursor->size == 0)
		return false;
	if (cursor->found)
		cursor->at = hash_index_after(cursor->size, cursor->at);
	for (;;) {
		struct hash_bucket bucket = cursor->buckets[cursor->at];

		if (bucket.mark != 0 && bucket.hash == cursor->hash) {
			cursor->found = true;
			*value_out = bucket.mark - 1;
			return true;
		}
		if (bucket.mark != 0)
			cursor->at = hash_index_after(cursor->size, cursor->at);
		else if (cursor->buckets == cursor->index->current.buckets)
			return false;
		else
			hash_index_enter(cursor, &cursor->index->current);
	}
}

/* Removes the entry that hash_index_next just found. The cursor is used up. */
void hash_index_remove(struct hash_index *index, const struct hash_cursor *cursor);

#endif
