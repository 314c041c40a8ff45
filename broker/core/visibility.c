#include "broker/core/visibility.h"

#include <assert.h>
#include <stdlib.h>

void visibility_init(struct visibility *visibility)
{
	*visibility = (struct visibility){ 0 };
}

void visibility_deinit(struct visibility *visibility)
{
	free(visibility->ring);
	*visibility = (struct visibility){ 0 };
}

static struct visibility_entry *at(const struct visibility *visibility, size_t index)
{
	return &visibility->ring[(visibility->head + index) & (visibility->capacity - 1)];
}

enum status visibility_reserve(struct visibility *visibility, size_t count)
{
	size_t capacity = visibility->capacity == 0 ? 1024 : visibility->capacity;

	while (capacity < visibility->count + count)
		capacity *= 2;
	if (capacity == visibility->capacity)
		return ST_OK;
	struct visibility_entry *ring = malloc(capacity * sizeof(*ring));
	if (ring == NULL)
		return ST_NOMEM;
	for (size_t i = 0; i < visibility->count; i++)
		ring[i] = *at(visibility, i);
	free(visibility->ring);
	visibility->ring = ring;
	visibility->head = 0;
	visibility->capacity = capacity;
	return ST_OK;
}

void visibility_add(struct visibility *visibility, uint64_t record_end, struct queue *queue)
{
	assert(visibility->count < visibility->capacity);
	assert(visibility->count == 0 || at(visibility, visibility->count - 1)->record_end <= record_end);
	*at(visibility, visibility->count++) = (struct visibility_entry){ record_end, queue };
}

void visibility_forget(struct visibility *visibility, const struct queue *queue)
{
	for (size_t i = 0; i < visibility->count; i++) {
		if (at(visibility, i)->queue == queue)
			at(visibility, i)->queue = NULL;
	}
}

struct queue *visibility_next(struct visibility *visibility, uint64_t committed)
{
	struct queue *queue = NULL;

	while (queue == NULL && visibility->count > 0 && at(visibility, 0)->record_end <= committed) {
		queue = at(visibility, 0)->queue;
		visibility->head = (visibility->head + 1) & (visibility->capacity - 1);
		visibility->count--;
	}
	return queue;
}
