#include "lib/txn/resends.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct resend {
	struct hash128 name;
	uint64_t half_queue_offset;
};

/* A ring in order of arrival; the index holds positions in it. */
struct resends {
	struct resend *ring;
	uint32_t *index;   /* Ring slots, or EMPTY. Twice the ring's size. */
	uint32_t capacity; /* Of the ring: a power of two, or 0. */
	uint64_t head, tail;
	uint32_t window;
	resends_is_open is_open;
	void *context;
};

enum { EMPTY = -1, CAPACITY_MIN = 1024 };

struct resends *resends_create(uint32_t window, resends_is_open is_open, void *context)
{
	struct resends *resends = calloc(1, sizeof(*resends));

	if (resends == NULL)
		return NULL;
	resends->window = window;
	resends->is_open = is_open;
	resends->context = context;
	return resends;
}

void resends_destroy(struct resends *resends)
{
	if (resends == NULL)
		return;
	free(resends->ring);
	free(resends->index);
	free(resends);
}

static struct resend *at(const struct resends *resends, uint64_t position)
{
	return &resends->ring[position & (resends->capacity - 1)];
}

static uint32_t index_mask(const struct resends *resends)
{
	return 2 * resends->capacity - 1;
}

static uint32_t home(const struct resends *resends, struct hash128 name)
{
	return (uint32_t)name.lo & index_mask(resends);
}

static uint32_t probe(const struct resends *resends, struct hash128 name)
{
	uint32_t i = home(resends, name);

	while (resends->index[i] != (uint32_t)EMPTY) {
		const struct resend *found = &resends->ring[resends->index[i]];

		if (found->name.lo == name.lo && found->name.hi == name.hi)
			break;
		i = (i + 1) & index_mask(resends);
	}
	return i;
}

static void unindex(struct resends *resends, struct hash128 name)
{
	uint32_t mask = index_mask(resends), hole = probe(resends, name);

	for (uint32_t i = (hole + 1) & mask; resends->index[i] != (uint32_t)EMPTY; i = (i + 1) & mask) {
		uint32_t wants = home(resends, resends->ring[resends->index[i]].name);

		if (((i - wants) & mask) >= ((i - hole) & mask)) {
			resends->index[hole] = resends->index[i];
			hole = i;
		}
	}
	resends->index[hole] = (uint32_t)EMPTY;
}

static void put(struct resends *resends, struct resend entry)
{
	uint64_t position = resends->tail++;

	*at(resends, position) = entry;
	resends->index[probe(resends, entry.name)] = (uint32_t)(position & (resends->capacity - 1));
}

enum status resends_reserve(struct resends *resends)
{
	if (resends->window == 0 || resends->tail - resends->head < resends->capacity)
		return ST_OK;
	uint32_t capacity = resends->capacity == 0 ? CAPACITY_MIN : 2 * resends->capacity;
	struct resend *ring = malloc(capacity * sizeof(*ring));
	uint32_t *index = malloc(2 * (size_t)capacity * sizeof(*index));
	if (ring == NULL || index == NULL) {
		free(ring);
		free(index);
		return ST_NOMEM;
	}
	struct resends old = *resends;

	memset(index, 0xff, 2 * (size_t)capacity * sizeof(*index));
	resends->ring = ring;
	resends->index = index;
	resends->capacity = capacity;
	resends->head = resends->tail = 0;
	for (uint64_t i = old.head; i < old.tail; i++)
		put(resends, *at(&old, i));
	free(old.ring);
	free(old.index);
	return ST_OK;
}

/* Looks at the oldest: a decided one goes if there are too many, an open one moves to the end. Two a call keep pace
 * with one addition a call. */
static void evict(struct resends *resends)
{
	for (int i = 0; i < 2 && resends->tail - resends->head > resends->window; i++) {
		struct resend oldest = *at(resends, resends->head);

		unindex(resends, oldest.name);
		resends->head++;
		if (resends->is_open(resends->context, oldest.half_queue_offset))
			put(resends, oldest);
	}
}

void resends_add(struct resends *resends, struct hash128 name, uint64_t half_queue_offset)
{
	uint64_t known;

	if (resends->window == 0)
		return;
	assert(resends->tail - resends->head < resends->capacity);
	if (resends_find(resends, name, &known))
		return; /* A resend that was stored before the first copy was in the log: the first one counts. */
	put(resends, (struct resend){ name, half_queue_offset });
	evict(resends);
}

bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out)
{
	if (resends->capacity == 0)
		return false;
	uint32_t slot = resends->index[probe(resends, name)];
	if (slot == (uint32_t)EMPTY)
		return false;
	*half_queue_offset_out = resends->ring[slot].half_queue_offset;
	return true;
}

uint64_t resends_count(const struct resends *resends)
{
	return resends->tail - resends->head;
}
