/* When may consumers see a queue's new entry? Once the record that names it is committed.
 *
 * A queue's entry is written when its record is appended; a line here remembers (end of the record, queue), in log
 * order, and is taken off when the committed watermark passes it. The queue's `visible_offset` then moves by one.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_VISIBILITY_H
#define ESCROW_CORE_VISIBILITY_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct queue;

struct visibility_entry {
	uint64_t record_end;
	struct queue *queue; /* NULL: forgotten. */
};

struct visibility {
	struct visibility_entry *ring;
	size_t head;
	size_t count;
	size_t capacity; /* A power of two, or 0. */
};

void visibility_init(struct visibility *visibility);
void visibility_deinit(struct visibility *visibility);
/* Room for `count` more. Bounded by what the log's tail ring can hold uncommitted. ST_NOMEM. */
enum status visibility_reserve(struct visibility *visibility, size_t count) MUST_USE;
/* `record_end` must not be below the last one. Needs reserved room. */
void visibility_add(struct visibility *visibility, uint64_t record_end, struct queue *queue);
/* The queue has been emptied: its lines stand for nothing. */
void visibility_forget(struct visibility *visibility, const struct queue *queue);
/* The next queue that has one more entry below `committed`, or NULL; takes it off. */
struct queue *visibility_next(struct visibility *visibility, uint64_t committed);

#endif
