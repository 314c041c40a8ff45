#include "broker/core/delays.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void delays_init(struct delays *delays, size_t entry_max)
{
	*delays = (struct delays){ .entry_max = entry_max };
}

void delays_deinit(struct delays *delays)
{
	free(delays->slots);
	free(delays->heap);
	free(delays->places);
	*delays = (struct delays){ 0 };
}

/* Each array keeps what it has when a later one cannot grow. */
static enum status grow(struct delays *delays)
{
	size_t capacity = delays->capacity == 0 ? CAPACITY_MIN : delays->capacity * 2;

	if (capacity > UINT32_MAX)
		return ST_FULL;
	struct delayed *slots = realloc(delays->slots, capacity * sizeof(*slots));
	if (slots == NULL)
		return ST_NOMEM;
	delays->slots = slots;
	uint32_t *heap = realloc(delays->heap, capacity * sizeof(*heap));
	if (heap == NULL)
		return ST_NOMEM;
	delays->heap = heap;
	uint32_t *places = realloc(delays->places, capacity * sizeof(*places));
	if (places == NULL)
		return ST_NOMEM;
	delays->places = places;
	for (size_t i = delays->capacity; i < capacity; i++) {
		slots[i] = (struct delayed){ .topic = NULL };
		heap[i] = (uint32_t)i;
	}
	delays->capacity = capacity;
	return ST_OK;
}

enum status delays_reserve(struct delays *delays)
{
	if (delays->count >= delays->entry_max)
		return ST_FULL;
	return delays->count < delays->capacity ? ST_OK : grow(delays);
}

static bool before(const struct delays *delays, uint32_t a, uint32_t b)
{
	const struct delayed *x = &delays->slots[a], *y = &delays->slots[b];

	if (x->deliver_at_ms != y->deliver_at_ms)
		return x->deliver_at_ms < y->deliver_at_ms;
	return x->naming_offset < y->naming_offset;
}

static void set_place(struct delays *delays, size_t at, uint32_t slot)
{
	delays->heap[at] = slot;
	delays->places[slot] = (uint32_t)at;
}

static void sift_up(struct delays *delays, size_t at, uint32_t slot)
{
	for (; at > 0 && before(delays, slot, delays->heap[(at - 1) / 2]); at = (at - 1) / 2)
		set_place(delays, at, delays->heap[(at - 1) / 2]);
	set_place(delays, at, slot);
}

static void sift_down(struct delays *delays, size_t at, uint32_t slot)
{
	for (size_t child; (child = 2 * at + 1) < delays->count; at = child) {
		if (child + 1 < delays->count && before(delays, delays->heap[child + 1], delays->heap[child]))
			child++;
		if (!before(delays, delays->heap[child], slot))
			break;
		set_place(delays, at, delays->heap[child]);
	}
	set_place(delays, at, slot);
}

void delays_add(struct delays *delays, const struct delayed *entry)
{
	assert(delays->count < delays->capacity);
	uint32_t slot = delays->heap[delays->count];

	delays->slots[slot] = *entry;
	sift_up(delays, delays->count++, slot);
}

const struct delayed *delays_first(const struct delays *delays)
{
	return delays->count == 0 ? NULL : &delays->slots[delays->heap[0]];
}

void delays_remove(struct delays *delays, struct delayed *entry)
{
	uint32_t slot = (uint32_t)(entry - delays->slots), last = delays->heap[delays->count - 1];
	size_t at = delays->places[slot];

	assert(delays->count > 0 && at < delays->count && delays->heap[at] == slot);
	entry->topic = NULL;
	delays->count--;
	delays->heap[delays->count] = slot;
	if (at == delays->count)
		return;
	if (at > 0 && before(delays, last, delays->heap[(at - 1) / 2]))
		sift_up(delays, at, last);
	else
		sift_down(delays, at, last);
}

void delays_remove_first(struct delays *delays)
{
	assert(delays->count > 0);
	delays_remove(delays, &delays->slots[delays->heap[0]]);
}

struct delayed *delays_next(struct delays *delays, size_t *cursor)
{
	while (*cursor < delays->capacity) {
		struct delayed *entry = &delays->slots[(*cursor)++];

		if (entry->topic != NULL)
			return entry;
	}
	return NULL;
}
