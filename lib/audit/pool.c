/* See pool.h. */
#include "lib/audit/pool.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/hash.h"

enum { POOL_MIN = 64, LOOKUP_MIN = 128 };

/* --- pool --------------------------------------------------------------------------------------------- */

void pool_init(struct pool *pool, size_t item_size)
{
	assert(item_size >= sizeof(uint32_t));
	*pool = (struct pool){ .item_size = item_size, .free_slot = SLOT_NONE };
}

void pool_deinit(struct pool *pool)
{
	free(pool->items);
	*pool = (struct pool){ 0 };
}

static bool grow(struct pool *pool)
{
	uint64_t capacity = pool->capacity == 0 ? POOL_MIN : (uint64_t)pool->capacity * 2;

	if (capacity > SLOT_NONE)
		capacity = SLOT_NONE;
	if (capacity == pool->capacity)
		return false; /* 4 G items. */
	uint8_t *items = realloc(pool->items, capacity * pool->item_size);
	if (items == NULL)
		return false;
	pool->items = items;
	pool->capacity = (uint32_t)capacity;
	return true;
}

void *pool_add(struct pool *pool, uint32_t *slot_out)
{
	uint32_t slot = pool->free_slot;

	if (slot != SLOT_NONE) {
		memcpy(&pool->free_slot, pool_at(pool, slot), sizeof(pool->free_slot));
	} else {
		if (pool->end == pool->capacity && !grow(pool))
			return NULL;
		slot = pool->end++;
	}
	*slot_out = slot;
	return memset(pool_at(pool, slot), 0, pool->item_size);
}

void pool_free(struct pool *pool, uint32_t slot)
{
	assert(slot < pool->end);
	memcpy(pool_at(pool, slot), &pool->free_slot, sizeof(pool->free_slot));
	pool->free_slot = slot;
}

/* What has been touched: the kernel gives the rest of a large array no memory. */
size_t pool_bytes(const struct pool *pool)
{
	return (size_t)pool->end * pool->item_size;
}

/* --- lookup ------------------------------------------------------------------------------------------- */

void lookup_init(struct lookup *lookup, const struct pool *pool, size_t key_at)
{
	*lookup = (struct lookup){ .pool = pool, .key_at = key_at };
}

void lookup_deinit(struct lookup *lookup)
{
	free(lookup->slots);
	*lookup = (struct lookup){ 0 };
}

static uint64_t key_of(const struct lookup *lookup, uint32_t slot)
{
	uint64_t key;

	memcpy(&key, (const uint8_t *)pool_at(lookup->pool, slot) + lookup->key_at, sizeof(key));
	return key;
}

/* Sixteen neighbours share a cache line: numbers of halves come in order. */
static size_t home(const struct lookup *lookup, uint64_t key)
{
	return (hash_u64((key >> 4) + 0x9e3779b97f4a7c15ULL) << 4 | (key & 15)) & (lookup->size - 1);
}

/* Position of `key`, or of the empty place where it would go. */
static size_t probe(const struct lookup *lookup, uint64_t key)
{
	size_t at = home(lookup, key);

	while (lookup->slots[at] != SLOT_NONE && key_of(lookup, lookup->slots[at]) != key)
		at = (at + 1) & (lookup->size - 1);
	return at;
}

enum status lookup_reserve(struct lookup *lookup)
{
	struct lookup old = *lookup;

	if ((lookup->count + 1) * 3 <= lookup->size * 2)
		return ST_OK;
	size_t size = old.size == 0 ? LOOKUP_MIN : 2 * old.size;
	uint32_t *slots = malloc(size * sizeof(*slots));
	if (slots == NULL)
		return ST_NOMEM;
	memset(slots, 0xff, size * sizeof(*slots));
	lookup->slots = slots;
	lookup->size = size;
	for (size_t i = 0; i < old.size; i++) {
		if (old.slots[i] != SLOT_NONE)
			slots[probe(lookup, key_of(lookup, old.slots[i]))] = old.slots[i];
	}
	free(old.slots);
	return ST_OK;
}

uint32_t lookup_find(const struct lookup *lookup, uint64_t key)
{
	return lookup->size == 0 ? SLOT_NONE : lookup->slots[probe(lookup, key)];
}

void lookup_put(struct lookup *lookup, uint32_t slot)
{
	size_t at = probe(lookup, key_of(lookup, slot));

	if (lookup->slots[at] == SLOT_NONE)
		lookup->count++;
	lookup->slots[at] = slot;
}

void lookup_remove(struct lookup *lookup, uint32_t slot)
{
	if (lookup->size == 0)
		return;
	size_t mask = lookup->size - 1, hole = probe(lookup, key_of(lookup, slot));

	if (lookup->slots[hole] != slot)
		return;
	/* Those that probed past it move back. */
	for (size_t i = (hole + 1) & mask; lookup->slots[i] != SLOT_NONE; i = (i + 1) & mask) {
		size_t wants = home(lookup, key_of(lookup, lookup->slots[i]));

		if (((i - wants) & mask) >= ((i - hole) & mask)) {
			lookup->slots[hole] = lookup->slots[i];
			hole = i;
		}
	}
	lookup->slots[hole] = SLOT_NONE;
	lookup->count--;
}

size_t lookup_bytes(const struct lookup *lookup)
{
	return lookup->size * sizeof(*lookup->slots);
}

/* --- table -------------------------------------------------------------------------------------------- */

void table_init(struct table *table, size_t item_size)
{
	pool_init(&table->pool, item_size);
	lookup_init(&table->lookup, &table->pool, 0);
}

void table_deinit(struct table *table)
{
	lookup_deinit(&table->lookup);
	pool_deinit(&table->pool);
}

void *table_find(const struct table *table, uint64_t key)
{
	uint32_t slot = lookup_find(&table->lookup, key);

	return slot == SLOT_NONE ? NULL : pool_at(&table->pool, slot);
}

void *table_add(struct table *table, uint64_t key)
{
	uint32_t slot;
	void *item = lookup_reserve(&table->lookup) == ST_OK ? pool_add(&table->pool, &slot) : NULL;

	if (item == NULL)
		return NULL;
	memcpy(item, &key, sizeof(key));
	lookup_put(&table->lookup, slot);
	return item;
}

void table_remove(struct table *table, uint64_t key)
{
	uint32_t slot = lookup_find(&table->lookup, key);

	if (slot == SLOT_NONE)
		return;
	lookup_remove(&table->lookup, slot);
	pool_free(&table->pool, slot);
}

size_t table_bytes(const struct table *table)
{
	return pool_bytes(&table->pool) + lookup_bytes(&table->lookup);
}
