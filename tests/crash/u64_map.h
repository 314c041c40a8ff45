/* A growing map from 64-bit hashes to small numbers. Threads: values. */
#ifndef ESCROW_TESTS_U64_MAP_H
#define ESCROW_TESTS_U64_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

struct u64_map {
	struct u64_entry {
		uint64_t key;   /* 0: free. */
		uint64_t value;
	} *entries;
	size_t count, capacity; /* A power of two. */
};

static inline struct u64_entry *u64_map_at(const struct u64_map *map, uint64_t key)
{
	size_t i = (size_t)key & (map->capacity - 1);

	while (map->entries[i].key != 0 && map->entries[i].key != key)
		i = (i + 1) & (map->capacity - 1);
	return &map->entries[i];
}

static inline void u64_map_grow(struct u64_map *map)
{
	struct u64_map grown = { .capacity = map->capacity == 0 ? 1024 : 2 * map->capacity, .count = map->count };

	grown.entries = calloc(grown.capacity, sizeof(*grown.entries));
	if (grown.entries == NULL)
		abort();
	for (size_t i = 0; i < map->capacity; i++) {
		if (map->entries[i].key != 0)
			*u64_map_at(&grown, map->entries[i].key) = map->entries[i];
	}
	free(map->entries);
	*map = grown;
}

/* The place of `key`; *fresh: it was not there, and its value is 0. Valid until the next call. */
static inline uint64_t *u64_map_put(struct u64_map *map, uint64_t key, bool *fresh)
{
	key += key == 0;
	if (map->count >= map->capacity / 2)
		u64_map_grow(map);
	struct u64_entry *entry = u64_map_at(map, key);
	*fresh = entry->key == 0;
	if (*fresh) {
		entry->key = key;
		map->count++;
	}
	return &entry->value;
}

static inline void u64_map_free(struct u64_map *map)
{
	free(map->entries);
	*map = (struct u64_map){ 0 };
}

#endif
