/* Half index: what became of half n?
 *
 * Position n of the half queue is what RocketMQ's clients quote as tranStateTableOffset; the entry answers "already
 * decided, how, and where is the decision" in O(1) for as long as the log lives. State values are the caller's
 * (lib/txn), except that 0 means "no entry". Format in docs/formats/index.md.
 * Threads: the loop's. */
#ifndef ESCROW_INDEX_HALF_INDEX_H
#define ESCROW_INDEX_HALF_INDEX_H

#include <stdint.h>

#include "lib/index/entry_array.h"

enum { HALF_ENTRY_SIZE = 32 };

struct half_entry {
	uint64_t half_offset;     /* Log offset of the HALF record. */
	uint64_t decision_offset; /* Log offset of the latest DECISION; 0 while there is none. */
	uint64_t queue_offset;    /* Where a commit put it, or the caller's. */
	uint8_t state;            /* Caller's; not 0. */
};

struct half_index {
	struct entry_array array;
};

/* Of HALF_ENTRY_SIZE bytes. ST_NOTFOUND for the zeros of a gap; ST_CORRUPT: the check fails. */
enum status half_entry_decode(const uint8_t *bytes, struct half_entry *out) MUST_USE;

/* Empty; no allocation. */
void half_index_init(struct half_index *index, struct pagefile *pf);
void half_index_deinit(struct half_index *index);

/* Puts or replaces entry n. entry->state 0 is ST_INVALID; other errors as entry_array_put. */
enum status half_index_put(struct half_index *index, uint64_t n, const struct half_entry *entry,
			   struct errinfo *err) MUST_USE;
/* As entry_array_reserve. */
static inline MUST_USE enum status half_index_reserve(struct half_index *index, uint64_t n, struct errinfo *err)
{
	return entry_array_reserve(&index->array, n, err);
}
/* ST_NOTFOUND: no such half. ST_AGAIN: run a read job (pagefile.h). ST_CORRUPT: the check fails. */
enum status half_index_get(const struct half_index *index, uint64_t n, struct half_entry *out,
			   struct errinfo *err) MUST_USE;

/* The position of the half at this log offset: halves lie in the log in the order of their positions. ST_NOTFOUND: there
 * is none. Else as half_index_get; after ST_AGAIN each call gets further. */
enum status half_index_find(const struct half_index *index, uint64_t half_offset, uint64_t *n_out,
			    struct half_entry *out, struct errinfo *err) MUST_USE;

/* Positions below `min` are not wanted any more. */
static inline void half_index_trim(struct half_index *index, uint64_t min) { entry_array_trim(&index->array, min); }
static inline uint64_t half_index_min(const struct half_index *index) { return index->array.min; }

/* A way to drop decided ones in the middle, which an old open one keeps from being trimmed. Positions of the page that `n` is
 * on end before half_index_page_end(n); half_index_drop_page makes all of them unknown. */
static inline uint64_t half_index_page_end(const struct half_index *index, uint64_t n)
{
	return (n / index->array.per_page + 1) * index->array.per_page;
}
static inline void half_index_drop_page(struct half_index *index, uint64_t n) { entry_array_drop_page(&index->array, n); }
/* The first position from `n` on that may be known. */
static inline uint64_t half_index_skip_gap(const struct half_index *index, uint64_t n)
{
	return entry_array_skip_gap(&index->array, n);
}

/* One past the highest position put: the next half's number. */
static inline uint64_t half_index_max(const struct half_index *index) { return index->array.max; }

#endif
