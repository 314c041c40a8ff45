/* See oplog_young.h. A ring of entries in offset order; a removed entry stays as a hole until it is the oldest. */
#include "broker/projections/oplog_young.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct entry {
	uint64_t half_offset;
	struct oplog_txn *half; /* With the bytes of its spans behind it; NULL = removed. */
};

struct oplog_young {
	struct entry *entries;
	uint32_t capacity;
	uint32_t head;
	uint32_t used;  /* Entries from head, holes included. */
	uint32_t count; /* Without holes. */
};

struct oplog_young *oplog_young_new(uint32_t capacity)
{
	struct oplog_young *young = calloc(1, sizeof(*young));

	assert(capacity > 0);
	if (young == NULL)
		return NULL;
	young->capacity = capacity;
	young->entries = calloc(capacity, sizeof(*young->entries));
	if (young->entries == NULL) {
		free(young);
		return NULL;
	}
	return young;
}

void oplog_young_free(struct oplog_young *young)
{
	if (young == NULL)
		return;
	oplog_young_clear(young);
	free(young->entries);
	free(young);
}

static struct entry *entry_at(struct oplog_young *young, uint32_t index)
{
	return &young->entries[((uint64_t)young->head + index) % young->capacity];
}

void oplog_young_clear(struct oplog_young *young)
{
	for (uint32_t i = 0; i < young->used; i++)
		free(entry_at(young, i)->half);
	young->head = 0;
	young->used = 0;
	young->count = 0;
}

static void drop_leading_holes(struct oplog_young *young)
{
	while (young->used > 0 && entry_at(young, 0)->half == NULL) {
		young->head = (young->head + 1) % young->capacity;
		young->used--;
	}
}

/* Moves the live entries together, when holes take the room. */
static void close_holes(struct oplog_young *young)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < young->used; i++) {
		struct entry entry = *entry_at(young, i);
		if (entry.half != NULL)
			*entry_at(young, kept++) = entry;
	}
	young->used = kept;
}

static void copy_span(struct span *field, uint8_t **room)
{
	if (field->size > 0)
		memcpy(*room, field->data, field->size);
	field->data = *room;
	*room += field->size;
}

static struct oplog_txn *copy_half(const struct oplog_txn *half)
{
	size_t size = half->transaction_id.size + half->group.size + half->topic.size + half->decider.size +
		      half->reason.size;
	struct oplog_txn *copy = malloc(sizeof(*copy) + size);

	if (copy == NULL)
		return NULL;
	uint8_t *room = (uint8_t *)(copy + 1);
	*copy = *half;
	copy_span(&copy->transaction_id, &room);
	copy_span(&copy->group, &room);
	copy_span(&copy->topic, &room);
	copy_span(&copy->decider, &room);
	copy_span(&copy->reason, &room);
	return copy;
}

enum status oplog_young_add(struct oplog_young *young, const struct oplog_txn *half)
{
	if (oplog_young_full(young))
		return ST_FULL;
	if (young->used == young->capacity)
		close_holes(young);
	assert(young->used == 0 || entry_at(young, young->used - 1)->half_offset < half->half_offset);
	struct oplog_txn *copy = copy_half(half);
	if (copy == NULL)
		return ST_NOMEM;
	*entry_at(young, young->used) = (struct entry){ half->half_offset, copy };
	young->used++;
	young->count++;
	return ST_OK;
}

bool oplog_young_remove(struct oplog_young *young, uint64_t half_offset)
{
	uint32_t low = 0, high = young->used;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		if (entry_at(young, middle)->half_offset < half_offset)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == young->used || entry_at(young, low)->half_offset != half_offset || entry_at(young, low)->half == NULL)
		return false;
	free(entry_at(young, low)->half);
	entry_at(young, low)->half = NULL;
	young->count--;
	drop_leading_holes(young);
	return true;
}

bool oplog_young_oldest(struct oplog_young *young, int64_t created_until_ms, bool force, struct oplog_txn *out)
{
	if (young->count == 0)
		return false;
	/* Holes never lead, so the first entry is live. */
	*out = *entry_at(young, 0)->half;
	return force || out->created_ms <= created_until_ms;
}

uint32_t oplog_young_count(const struct oplog_young *young)
{
	return young->count;
}

bool oplog_young_full(const struct oplog_young *young)
{
	/* Closing holes moves everything, so it must gain at least a quarter of the room each time. */
	return young->used == young->capacity && young->count > young->capacity / 4 * 3;
}
