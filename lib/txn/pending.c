#include "lib/txn/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

enum { SLAB_ENTRIES = 4096, INDEX_MIN = 1024 };

/* A slab's entries are followed by nothing: `slot` is slab number * SLAB_ENTRIES + position. */
struct pending_table {
	struct pending **slabs;
	uint32_t slab_count;
	uint32_t free_slot;     /* Head of the free list through `next`. */
	uint32_t *index;        /* Slots, or PENDING_NONE. */
	uint32_t index_size;    /* A power of two. */
	uint32_t count;
	uint32_t entry_max;
	uint32_t *group_counts;
	uint32_t group_end;
};

struct pending_table *pending_create(uint32_t entry_max)
{
	struct pending_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return NULL;
	table->entry_max = entry_max;
	table->free_slot = PENDING_NONE;
	table->index_size = INDEX_MIN;
	table->index = malloc(INDEX_MIN * sizeof(table->index[0]));
	if (table->index == NULL) {
		free(table);
		return NULL;
	}
	memset(table->index, 0xff, INDEX_MIN * sizeof(table->index[0]));
	return table;
}

void pending_destroy(struct pending_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->slab_count; i++)
		free(table->slabs[i]);
	free(table->slabs);
	free(table->index);
	free(table->group_counts);
	free(table);
}

struct pending *pending_at(const struct pending_table *table, uint32_t slot)
{
	assert(slot / SLAB_ENTRIES < table->slab_count);
	return &table->slabs[slot / SLAB_ENTRIES][slot % SLAB_ENTRIES];
}

/* Entries know their slot while they are in use: it is where their key's index entry points. */
static uint32_t home(const struct pending_table *table, uint64_t key)
{
	return (uint32_t)hash_u64(key + 0x9e3779b97f4a7c15ULL) & (table->index_size - 1);
}

/* Position in the index of `key`, or of the empty place where it would go. */
static uint32_t probe(const struct pending_table *table, uint64_t key)
{
	uint32_t at = home(table, key);

	while (table->index[at] != PENDING_NONE && pending_at(table, table->index[at])->half_queue_offset != key)
		at = (at + 1) & (table->index_size - 1);
	return at;
}

uint32_t pending_slot(const struct pending_table *table, const struct pending *entry)
{
	return table->index[probe(table, entry->half_queue_offset)];
}

static enum status grow_index(struct pending_table *table)
{
	uint32_t old_size = table->index_size, *old = table->index;
	uint32_t *index = malloc(2 * (size_t)old_size * sizeof(*index));

	if (index == NULL)
		return ST_NOMEM;
	memset(index, 0xff, 2 * (size_t)old_size * sizeof(*index));
	table->index = index;
	table->index_size = 2 * old_size;
	for (uint32_t i = 0; i < old_size; i++) {
		if (old[i] != PENDING_NONE)
			index[probe(table, pending_at(table, old[i])->half_queue_offset)] = old[i];
	}
	free(old);
	return ST_OK;
}

static enum status add_slab(struct pending_table *table)
{
	struct pending **slabs = realloc(table->slabs, (table->slab_count + 1) * sizeof(*slabs));

	if (slabs == NULL)
		return ST_NOMEM;
	table->slabs = slabs;
	struct pending *slab = calloc(SLAB_ENTRIES, sizeof(*slab));
	if (slab == NULL)
		return ST_NOMEM;
	uint32_t first = table->slab_count * SLAB_ENTRIES;
	for (uint32_t i = 0; i < SLAB_ENTRIES; i++)
		slab[i].next = i + 1 < SLAB_ENTRIES ? first + i + 1 : table->free_slot;
	table->slabs[table->slab_count++] = slab;
	table->free_slot = first;
	return ST_OK;
}

static enum status grow_groups(struct pending_table *table, uint32_t group_id)
{
	uint32_t end = table->group_end == 0 ? 64 : table->group_end;

	while (end <= group_id)
		end *= 2;
	uint32_t *counts = realloc(table->group_counts, end * sizeof(*counts));
	if (counts == NULL)
		return ST_NOMEM;
	memset(counts + table->group_end, 0, (end - table->group_end) * sizeof(*counts));
	table->group_counts = counts;
	table->group_end = end;
	return ST_OK;
}

enum status pending_reserve(struct pending_table *table, uint32_t group_id)
{
	enum status status = ST_OK;

	if (table->count >= table->entry_max)
		return ST_FULL;
	if (table->free_slot == PENDING_NONE)
		status = add_slab(table);
	if (status == ST_OK && (uint64_t)(table->count + 1) * 3 > (uint64_t)table->index_size * 2)
		status = grow_index(table);
	if (status == ST_OK && group_id >= table->group_end)
		status = grow_groups(table, group_id);
	return status;
}

struct pending *pending_insert(struct pending_table *table, uint64_t half_queue_offset, uint32_t group_id)
{
	uint32_t slot = table->free_slot;

	assert(slot != PENDING_NONE && group_id < table->group_end);
	uint32_t at = probe(table, half_queue_offset);
	assert(table->index[at] == PENDING_NONE);
	struct pending *entry = pending_at(table, slot);
	table->free_slot = entry->next;
	*entry = (struct pending){ .half_queue_offset = half_queue_offset, .group_id = group_id,
				   .prev = PENDING_NONE, .next = PENDING_NONE };
	table->index[at] = slot;
	table->count++;
	table->group_counts[group_id]++;
	return entry;
}

struct pending *pending_find(const struct pending_table *table, uint64_t half_queue_offset)
{
	uint32_t slot = table->index[probe(table, half_queue_offset)];

	return slot == PENDING_NONE ? NULL : pending_at(table, slot);
}

/* Closes the hole at `at` by moving back those that probed past it. */
static void close_hole(struct pending_table *table, uint32_t at)
{
	uint32_t mask = table->index_size - 1, hole = at;

	for (uint32_t i = (at + 1) & mask; table->index[i] != PENDING_NONE; i = (i + 1) & mask) {
		uint32_t wants = home(table, pending_at(table, table->index[i])->half_queue_offset);

		if (((i - wants) & mask) >= ((i - hole) & mask)) {
			table->index[hole] = table->index[i];
			hole = i;
		}
	}
	table->index[hole] = PENDING_NONE;
}

void pending_remove(struct pending_table *table, struct pending *entry)
{
	uint32_t at = probe(table, entry->half_queue_offset);
	uint32_t slot = table->index[at];

	assert(slot != PENDING_NONE);
	close_hole(table, at);
	table->count--;
	table->group_counts[entry->group_id]--;
	entry->next = table->free_slot;
	table->free_slot = slot;
}

uint32_t pending_count(const struct pending_table *table)
{
	return table->count;
}

uint32_t pending_group_count(const struct pending_table *table, uint32_t group_id)
{
	return group_id < table->group_end ? table->group_counts[group_id] : 0;
}
