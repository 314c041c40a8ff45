#include "lib/txn/pending.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "lib/txn/hash_index.h"

enum { SLAB_BYTES = 1 << 20, SLAB_ENTRIES = 11896, POSITION_BITS = 14, WORD_BITS = 64 };

/* Slot = slab number << POSITION_BITS | position. A slab begins at a multiple of its size, so an entry's address leads to
 * it. Memory that no entry used yet is not touched. */
struct slab {
	uint64_t number;
	uint64_t used[(SLAB_ENTRIES + WORD_BITS - 1) / WORD_BITS]; /* A bit for each position. */
	struct pending entries[SLAB_ENTRIES];
};
_Static_assert(sizeof(struct slab) <= SLAB_BYTES, "a slab has its own megabyte");
_Static_assert(SLAB_ENTRIES <= 1 << POSITION_BITS, "positions fit");

struct pending_table {
	struct slab **slabs;
	uint32_t slab_count;
	uint32_t slot_end;       /* Slots from here on were never used. */
	uint32_t free_slot;      /* Head of the list of those that were, through `next`. */
	struct hash_index index; /* Slots by key. */
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
	hash_index_init(&table->index);
	return table;
}

void pending_destroy(struct pending_table *table)
{
	if (table == NULL)
		return;
	for (uint32_t i = 0; i < table->slab_count; i++)
		(void)munmap(table->slabs[i], SLAB_BYTES);
	free(table->slabs);
	hash_index_deinit(&table->index);
	free(table->group_counts);
	free(table);
}

static uint32_t slab_of(uint32_t slot)
{
	return slot >> POSITION_BITS;
}

static uint32_t position_of(uint32_t slot)
{
	return slot & ((1 << POSITION_BITS) - 1);
}

struct pending *pending_at(const struct pending_table *table, uint32_t slot)
{
	assert(slot < table->slot_end);
	return &table->slabs[slab_of(slot)]->entries[position_of(slot)];
}

uint32_t pending_slot(const struct pending_table *table, const struct pending *entry)
{
	const struct slab *slab = (const struct slab *)((uintptr_t)entry & ~(uintptr_t)(SLAB_BYTES - 1));

	assert(slab->number < table->slab_count && table->slabs[slab->number] == slab);
	return (uint32_t)slab->number << POSITION_BITS | (uint32_t)(entry - slab->entries);
}

/* The word of the bits in use that has this slot's. */
static uint64_t *used_word(const struct pending_table *table, uint32_t slot)
{
	return &table->slabs[slab_of(slot)]->used[position_of(slot) / WORD_BITS];
}

static uint64_t used_bit(uint32_t slot)
{
	return (uint64_t)1 << (position_of(slot) % WORD_BITS);
}

static uint32_t hash_of(uint64_t key)
{
	return (uint32_t)(hash_u64(key + 0x9e3779b97f4a7c15ULL) >> 32);
}

/* Where the index has `key`. */
static bool look_up(const struct pending_table *table, uint64_t key, struct hash_cursor *cursor, uint32_t *slot_out)
{
	*cursor = hash_index_look(&table->index, hash_of(key));
	while (hash_index_next(cursor, slot_out)) {
		if (pending_at(table, *slot_out)->half_queue_offset == key)
			return true;
	}
	return false;
}

/* --- room -------------------------------------------------------------------------------------------- */

/* Zeroed by the system when it is touched. */
static struct slab *map_slab(void)
{
	uint8_t *memory = mmap(NULL, 2 * SLAB_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	/* Room for two holds one that begins where it should; the rest goes back. */
	size_t in_front = -(uintptr_t)memory & (SLAB_BYTES - 1);
	if (in_front > 0)
		(void)munmap(memory, in_front);
	(void)munmap(memory + in_front + SLAB_BYTES, SLAB_BYTES - in_front);
	return (struct slab *)(void *)(memory + in_front);
}

static enum status add_slab(struct pending_table *table)
{
	struct slab **slabs = realloc(table->slabs, (table->slab_count + 1) * sizeof(struct slab *));

	if (slabs == NULL)
		return ST_NOMEM;
	table->slabs = slabs;
	struct slab *slab = map_slab();
	if (slab == NULL)
		return ST_NOMEM;
	slab->number = table->slab_count;
	table->slabs[table->slab_count++] = slab;
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
	if (table->free_slot == PENDING_NONE && slab_of(table->slot_end) == table->slab_count)
		status = add_slab(table);
	if (status == ST_OK)
		status = hash_index_reserve(&table->index);
	if (status == ST_OK && group_id >= table->group_end)
		status = grow_groups(table, group_id);
	return status;
}

enum status pending_reserve_total(struct pending_table *table, uint32_t count)
{
	return count > table->entry_max ? ST_FULL : hash_index_reserve_total(&table->index, count);
}

/* --- use --------------------------------------------------------------------------------------------- */

static uint32_t take_slot(struct pending_table *table)
{
	uint32_t slot = table->free_slot;

	if (slot == PENDING_NONE) {
		assert(slab_of(table->slot_end) < table->slab_count);
		slot = table->slot_end++;
		if (position_of(table->slot_end) == SLAB_ENTRIES)
			table->slot_end = (slab_of(slot) + 1) << POSITION_BITS;
	} else {
		table->free_slot = pending_at(table, slot)->next;
	}
	*used_word(table, slot) |= used_bit(slot);
	return slot;
}

struct pending *pending_find(const struct pending_table *table, uint64_t half_queue_offset)
{
	struct hash_cursor cursor;
	uint32_t slot;

	return look_up(table, half_queue_offset, &cursor, &slot) ? pending_at(table, slot) : NULL;
}

struct pending *pending_insert(struct pending_table *table, uint64_t half_queue_offset, uint32_t group_id)
{
	assert(group_id < table->group_end);
	assert(pending_find(table, half_queue_offset) == NULL);
	uint32_t slot = take_slot(table);
	struct pending *entry = pending_at(table, slot);

	*entry = (struct pending){ .half_queue_offset = half_queue_offset, .group_id = group_id,
				   .prev = PENDING_NONE, .next = PENDING_NONE };
	hash_index_put(&table->index, hash_of(half_queue_offset), slot);
	table->count++;
	table->group_counts[group_id]++;
	return entry;
}

void pending_remove(struct pending_table *table, struct pending *entry)
{
	struct hash_cursor cursor;
	uint32_t slot = PENDING_NONE;
	bool found = look_up(table, entry->half_queue_offset, &cursor, &slot);

	assert(found && pending_at(table, slot) == entry);
	(void)found;
	hash_index_remove(&table->index, &cursor);
	*used_word(table, slot) &= ~used_bit(slot);
	table->count--;
	table->group_counts[entry->group_id]--;
	entry->next = table->free_slot;
	table->free_slot = slot;
}

struct pending *pending_next(const struct pending_table *table, uint32_t *cursor)
{
	uint32_t slot = *cursor;

	while (slot < table->slot_end) {
		uint32_t position = position_of(slot);
		if (position >= SLAB_ENTRIES) {
			slot = (slab_of(slot) + 1) << POSITION_BITS;
			continue;
		}
		uint64_t left = *used_word(table, slot) >> (position % WORD_BITS);
		if (left != 0) {
			slot += (uint32_t)__builtin_ctzll(left);
			*cursor = slot + 1;
			return pending_at(table, slot);
		}
		slot += WORD_BITS - position % WORD_BITS;
	}
	*cursor = table->slot_end;
	return NULL;
}

void pending_prefetch(const struct pending_table *table, uint64_t half_queue_offset)
{
	hash_index_prefetch(&table->index, hash_of(half_queue_offset));
}

uint32_t pending_count(const struct pending_table *table)
{
	return table->count;
}

uint32_t pending_group_count(const struct pending_table *table, uint32_t group_id)
{
	return group_id < table->group_end ? table->group_counts[group_id] : 0;
}
