/* What the audit remembers: items of one size in one growing array, and lookups by a 64-bit key that they hold.
 *
 *     pool    items in slots; a slot that is freed is used again. Pointers are good until the next pool_add.
 *     lookup  key -> slot, open addressing; several lookups may point into one pool by different keys of its items.
 *
 * An item costs its own size, and 6 to 12 bytes for each lookup that holds it. Internal to lib/audit. Threads: one. */
#ifndef ESCROW_AUDIT_POOL_H
#define ESCROW_AUDIT_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

#define SLOT_NONE UINT32_MAX

struct pool {
	uint8_t *items;
	size_t item_size;   /* At least 4 bytes: a free item holds the next free slot. */
	uint32_t end;       /* Slots ever used. */
	uint32_t capacity;
	uint32_t free_slot;
};

void pool_init(struct pool *pool, size_t item_size);
void pool_deinit(struct pool *pool);
/* A zeroed item; NULL without memory. */
void *pool_add(struct pool *pool, uint32_t *slot_out);
void pool_free(struct pool *pool, uint32_t slot);
size_t pool_bytes(const struct pool *pool);

static inline void *pool_at(const struct pool *pool, uint32_t slot)
{
	return pool->items + (size_t)slot * pool->item_size;
}

struct lookup {
	const struct pool *pool;
	size_t key_at;      /* Where in an item its uint64_t key lies. */
	uint32_t *slots;
	size_t size;        /* A power of two, or 0. */
	size_t count;
};

void lookup_init(struct lookup *lookup, const struct pool *pool, size_t key_at);
void lookup_deinit(struct lookup *lookup);
/* Room for one more. ST_NOMEM. */
enum status lookup_reserve(struct lookup *lookup) MUST_USE;
/* SLOT_NONE when absent. */
uint32_t lookup_find(const struct lookup *lookup, uint64_t key);
/* Room must be reserved, and the item's key be set. The slot takes the place of one with the same key. */
void lookup_put(struct lookup *lookup, uint32_t slot);
/* Before the item's key changes or its slot is freed. Nothing happens when the key leads to another slot. */
void lookup_remove(struct lookup *lookup, uint32_t slot);
size_t lookup_bytes(const struct lookup *lookup);

/* Most items have one lookup, by a key at their beginning. */
struct table {
	struct pool pool;
	struct lookup lookup;
};

void table_init(struct table *table, size_t item_size);
void table_deinit(struct table *table);
/* NULL when absent. */
void *table_find(const struct table *table, uint64_t key);
/* A zeroed item but for its key, which must be new; NULL without memory. */
void *table_add(struct table *table, uint64_t key);
void table_remove(struct table *table, uint64_t key);
size_t table_bytes(const struct table *table);

static inline size_t table_count(const struct table *table)
{
	return table->lookup.count;
}

#endif
