/* Arrays that grow: room for one element more.
 *
 * The caller keeps items, count and capacity where it likes. Threads: pure. */
#ifndef ESCROW_BASE_ARRAY_H
#define ESCROW_BASE_ARRAY_H

#include <stddef.h>
#include <stdlib.h>

enum { ARRAY_FIRST_CAPACITY = 16 };

/* The array with room for items[count]: `items` itself while there is some, else moved to twice the capacity. NULL without
 * memory; items and *capacity are as they were then. `items` may be NULL while *capacity is 0. */
static inline void *array_with_room(void *items, size_t count, size_t *capacity, size_t item_size)
{
	if (count < *capacity)
		return items;
	size_t wanted = *capacity == 0 ? ARRAY_FIRST_CAPACITY : 2 * *capacity;
	void *grown = realloc(items, wanted * item_size);

	if (grown != NULL)
		*capacity = wanted;
	return grown;
}

#endif
