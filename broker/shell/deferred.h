/* Requests that could not be served at once, parked whole: one whose record must first be read from disk, one that waits
 * for an index page, one that waits for room in the log. Each is run again when what it waits for may be there, and
 * refused with "system busy" when it has waited DEFER_MAX_MS. Bounded by count and bytes.
 * Threads: the loop thread. */
#ifndef ESCROW_SHELL_DEFERRED_H
#define ESCROW_SHELL_DEFERRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum { DEFER_MAX_MS = 2500, DEFER_COUNT_MAX = 20000, DEFER_BYTES_MAX = 64 * 1024 * 1024 };

struct deferred {
	struct deferred *prev, *next;
	uint64_t conn_id;
	int64_t since_ms;
	bool reading; /* Waits for its own cold read, and is not to be run before. */
	size_t frame_size;
	uint8_t frame[];
};

struct deferred_queue {
	struct deferred *head;
	size_t count;
	size_t bytes;
};

/* A copy of the frame at the queue's end; NULL when a limit is reached or memory is out. */
struct deferred *deferred_add(struct deferred_queue *queue, uint64_t conn_id, struct span frame, int64_t now_ms);
/* Unlinks; free it then. */
void deferred_take(struct deferred_queue *queue, struct deferred *deferred);
void deferred_clear(struct deferred_queue *queue);

#endif
