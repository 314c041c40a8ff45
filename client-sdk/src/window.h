/* Up to where is a queue consumed? The messages fetched from one queue, in order, and which of them are done.
 *
 * Messages are finished in any order; the position to store at the broker is the offset of the first that is not, or,
 * if all are, the offset to fetch next. Threads: the loop thread. */
#ifndef ESCROW_SDK_WINDOW_H
#define ESCROW_SDK_WINDOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Embedded in what is fetched. */
struct window_entry {
	struct window_entry *prev, *next;
	int64_t offset;
	size_t size;
	bool done;
};

struct window {
	struct window_entry *head; /* utlist: head->prev is the tail. */
	size_t count;              /* Not finished, or behind one that is not. */
	size_t bytes;
	int64_t next_offset;       /* To fetch. */
};

/* Offsets must ascend. */
void window_add(struct window *window, struct window_entry *entry);
/* Marks as done, and takes out what is done at the front: `taken` is called with each. */
void window_finish(struct window *window, struct window_entry *entry,
		   void (*taken)(void *context, struct window_entry *entry), void *context);
int64_t window_position(const struct window *window);

#endif
