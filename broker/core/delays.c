#include "broker/core/delays.h"

#include <assert.h>
#include <stdlib.h>

void delays_init(struct delays *delays, size_t entry_max)
{
	*delays = (struct delays){ .entry_max = entry_max };
}

void delays_deinit(struct delays *delays)
{
	free(delays->heap);
	*delays = (struct delays){ 0 };
}

enum status delays_reserve(struct delays *delays)
{
	if (delays->count >= delays->entry_max)
		return ST_FULL;
	if (delays->count < delays->capacity)
		return ST_OK;
	size_t capacity = delays->capacity == 0 ? 64 : delays->capacity * 2;
	struct delayed *grown = realloc(delays->heap, capacity * sizeof(*grown));

	if (grown == NULL)
		return ST_NOMEM;
	delays->heap = grown;
	delays->capacity = capacity;
	return ST_OK;
}

static bool before(const struct delayed *a, const struct delayed *b)
{
	if (a->deliver_at_ms != b->deliver_at_ms)
		return a->deliver_at_ms < b->deliver_at_ms;
	return a->naming_offset < b->naming_offset;
}

void delays_add(struct delays *delays, const struct delayed *entry)
{
	assert(delays->count < delays->capacity);
	size_t at = delays->count++;

	while (at > 0) {
		size_t parent = (at - 1) / 2;

		if (!before(entry, &delays->heap[parent]))
			break;
		delays->heap[at] = delays->heap[parent];
		at = parent;
	}
	delays->heap[at] = *entry;
}

const struct delayed *delays_first(const struct delays *delays)
{
	return delays->count == 0 ? NULL : &delays->heap[0];
}

void delays_remove_first(struct delays *delays)
{
	assert(delays->count > 0);
	struct delayed last = delays->heap[--delays->count];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= delays->count)
			break;
		if (child + 1 < delays->count && before(&delays->heap[child + 1], &delays->heap[child]))
			child++;
		if (!before(&delays->heap[child], &last))
			break;
		delays->heap[at] = delays->heap[child];
		at = child;
	}
	if (delays->count > 0)
		delays->heap[at] = last;
}
