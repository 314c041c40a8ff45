/* Consume queue: which record is message n of this queue?
 *
 * One 40-byte entry a message, put where its queue offset (which is in the record) says. An entry is self-sufficient
 * for filtering by tag and for locating the body; format in docs/formats/index.md. What a consumer may see of it
 * (below the committed mark) is the core's business.
 * Threads: the loop's. */
#ifndef ESCROW_INDEX_CONSUME_QUEUE_H
#define ESCROW_INDEX_CONSUME_QUEUE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/index/entry_array.h"

enum { CQ_ENTRY_SIZE = 40 };

struct cq_entry {
	uint64_t log_offset;    /* The record that names the message: MESSAGE, DECISION or DELIVER. */
	uint64_t body_offset;   /* The record that holds the body: MESSAGE, HALF or CARRY. */
	uint32_t size;          /* What the caller wants to read at body_offset, in bytes. */
	int32_t tag_hash;
	int64_t store_time_ms;  /* Never decreasing along a queue. */
	uint32_t flags;         /* Caller's. */
};

struct consume_queue {
	struct entry_array array;
};

/* Of CQ_ENTRY_SIZE bytes. ST_NOTFOUND for the zeros of a gap; ST_CORRUPT: the check fails. */
enum status cq_entry_decode(const uint8_t *bytes, struct cq_entry *out) MUST_USE;

/* Empty; no allocation. */
void consume_queue_init(struct consume_queue *q, struct pagefile *pf);
void consume_queue_deinit(struct consume_queue *q);

/* Puts the entry at `queue_offset`; putting it again is harmless. Errors as entry_array_put. */
enum status consume_queue_put(struct consume_queue *q, uint64_t queue_offset, const struct cq_entry *entry,
			      struct errinfo *err) MUST_USE;
/* As entry_array_reserve. */
static inline MUST_USE enum status consume_queue_reserve(struct consume_queue *q, uint64_t queue_offset, struct errinfo *err)
{
	return entry_array_reserve(&q->array, queue_offset, err);
}
/* ST_NOTFOUND: outside of [min, max) or in a gap. ST_AGAIN: run a read job (pagefile.h). ST_CORRUPT: check fails. */
enum status consume_queue_get(const struct consume_queue *q, uint64_t queue_offset, struct cq_entry *out,
			      struct errinfo *err) MUST_USE;
/* Up to `max_count` neighbouring entries from `from` on. Fewer when the next page is not in memory, at the end, or
 * in front of a gap; errors as consume_queue_get when not even the first is there. */
enum status consume_queue_get_run(const struct consume_queue *q, uint64_t from, size_t max_count,
				  struct cq_entry *out, size_t *count_out, struct errinfo *err) MUST_USE;

/* Entries below `min` are not wanted any more. */
static inline void consume_queue_trim(struct consume_queue *q, uint64_t min) { entry_array_trim(&q->array, min); }

/* As entry_array_clear. */
static inline void consume_queue_clear(struct consume_queue *q) { entry_array_clear(&q->array); }

/* Lowest offset that is kept; one past the highest. Both 0 while empty. */
static inline uint64_t consume_queue_min(const struct consume_queue *q) { return q->array.min; }
static inline uint64_t consume_queue_max(const struct consume_queue *q) { return q->array.max; }

enum cq_boundary { CQ_LOWER, CQ_UPPER };
/* Search by store time within [min, end), end <= max (the caller's visible end), as RocketMQ does:
 * CQ_LOWER: the first offset whose time is >= time_ms; `end` when all are older.
 * CQ_UPPER: the last offset whose time is <= time_ms; min when all are younger.
 * An empty range gives `min`. Gaps do not occur in a queue that is complete; one met here is ST_CORRUPT.
 * ST_AGAIN: run a read job and search again (each time gets further). */
enum status consume_queue_find_time(const struct consume_queue *q, uint64_t end, int64_t time_ms,
				    enum cq_boundary boundary, uint64_t *offset_out, struct errinfo *err) MUST_USE;

#endif
