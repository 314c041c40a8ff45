/* Files and names of the memory disk; see memdisk_internal.h. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/memdisk_internal.h"

/* volatile: the compiler knows that calloc looks at no variable of ours. Ours does. */
_Thread_local volatile bool memdisk_allocates;

/* --- memory ------------------------------------------------------------------------------------------- */

static void *must(void *p)
{
	memdisk_allocates = false;
	if (p == NULL) {
		fputs("memdisk: out of memory\n", stderr);
		abort();
	}
	return p;
}

void *mem_alloc(size_t size)
{
	memdisk_allocates = true;
	return must(calloc(1, size));
}

void *mem_grow(void *old, size_t size)
{
	memdisk_allocates = true;
	return must(realloc(old, size));
}

char *mem_text(const char *text)
{
	size_t size = strlen(text) + 1;

	return memcpy(mem_alloc(size), text, size);
}

void *mem_one_more(void *array, size_t count, size_t *capacity, size_t element)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 8 : 2 * *capacity;
	return mem_grow(array, *capacity * element);
}

uint64_t mem_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* --- files -------------------------------------------------------------------------------------------- */

struct node *node_create(struct memdisk *disk)
{
	struct node *node = mem_alloc(sizeof(*node));

	node->id = disk->next_node_id++;
	return node;
}

void node_release(struct node *node)
{
	assert(node->references > 0);
	if (--node->references > 0)
		return;
	free(node->data);
	free(node->durable);
	free(node->dirty);
	free(node->touched);
	free(node);
}

static void *grow_zeroed(uint8_t *old, size_t old_size, size_t size)
{
	uint8_t *grown = mem_grow(old, size);

	memset(grown + old_size, 0, size - old_size);
	return grown;
}

void node_ensure(struct node *node, size_t size)
{
	size_t old = node->capacity, capacity = old == 0 ? 64 * MEMDISK_SECTOR : old;

	if (size <= old)
		return;
	while (capacity < size)
		capacity *= 2;
	node->data = grow_zeroed(node->data, old, capacity);
	node->durable = grow_zeroed(node->durable, old, capacity);
	node->dirty = grow_zeroed(node->dirty, old / MEMDISK_SECTOR, capacity / MEMDISK_SECTOR);
	node->touched = grow_zeroed(node->touched, old / NODE_BLOCK, capacity / NODE_BLOCK);
	node->capacity = capacity;
}

void node_touch(struct node *node, size_t offset, size_t size)
{
	struct undo *undo = node->undo;

	if (undo == NULL || size == 0)
		return;
	for (size_t block = offset / NODE_BLOCK; block <= (offset + size - 1) / NODE_BLOCK; block++) {
		if (node->touched[block] != 0)
			continue;
		node->touched[block] = 1;
		undo->entries = mem_one_more(undo->entries, undo->count, &undo->capacity, sizeof(*undo->entries));
		struct undo_entry *entry = &undo->entries[undo->count++];
		entry->node = node;
		entry->block = block;
		memcpy(entry->bytes, node->data + block * NODE_BLOCK, NODE_BLOCK);
	}
}

void node_write(struct node *node, uint64_t offset, const void *data, size_t size)
{
	if (size == 0)
		return;
	node_ensure(node, offset + size);
	node_touch(node, offset, size);
	memcpy(node->data + offset, data, size);
	for (size_t sector = offset / MEMDISK_SECTOR; sector <= (offset + size - 1) / MEMDISK_SECTOR; sector++)
		node->dirty[sector] = 1;
	if (offset + size > node->size)
		node->size = offset + size;
}

void node_truncate(struct node *node)
{
	if (node->size > 0) {
		node_touch(node, 0, node->size);
		memset(node->data, 0, node->size);
		memset(node->dirty, 1, (node->size + MEMDISK_SECTOR - 1) / MEMDISK_SECTOR);
	}
	node->size = 0;
}

void node_sync(struct node *node)
{
	for (size_t sector = 0; sector < node->capacity / MEMDISK_SECTOR; sector++) {
		if (node->dirty[sector] != 0)
			memcpy(node->durable + sector * MEMDISK_SECTOR, node->data + sector * MEMDISK_SECTOR,
			       MEMDISK_SECTOR);
		node->dirty[sector] = 0;
	}
	node->durable_size = node->size;
}

void node_lose_sync(struct node *node)
{
	if (node->capacity > 0)
		memset(node->dirty, 0, node->capacity / MEMDISK_SECTOR);
}

void node_crash(struct node *node, uint64_t *random, unsigned keep)
{
	size_t size = node->durable_size;

	if (node->size != node->durable_size) {
		size_t low = node->size < node->durable_size ? node->size : node->durable_size;
		size_t high = node->size > node->durable_size ? node->size : node->durable_size;
		uint64_t choice = mem_random(random) % 3;
		size = choice == 0 ? low : choice == 1 ? high : low + mem_random(random) % (high - low + 1);
	}
	for (size_t sector = 0; sector < node->capacity / MEMDISK_SECTOR; sector++) {
		size_t at = sector * MEMDISK_SECTOR;
		if (node->dirty[sector] != 0 && mem_random(random) % 256 < keep)
			memcpy(node->durable + at, node->data + at, MEMDISK_SECTOR);
		node->dirty[sector] = 0;
	}
	if (node->capacity > 0) {
		memset(node->durable + size, 0, node->capacity - size);
		memcpy(node->data, node->durable, node->capacity);
	}
	node->size = node->durable_size = size;
	node->locked = false;
}

/* --- names -------------------------------------------------------------------------------------------- */

struct name *name_find(struct name_table *table, const char *path)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->names[i].path, path) == 0)
			return &table->names[i];
	}
	return NULL;
}

void name_drop(struct name_table *table, const char *path)
{
	struct name *name = name_find(table, path);

	if (name == NULL)
		return;
	node_release(name->node);
	free(name->path);
	*name = table->names[--table->count];
}

void name_set(struct name_table *table, const char *path, struct node *node)
{
	node->references++;
	name_drop(table, path);
	table->names = mem_one_more(table->names, table->count, &table->capacity, sizeof(*table->names));
	table->names[table->count++] = (struct name){ mem_text(path), node };
}

void name_clear(struct name_table *table)
{
	while (table->count > 0)
		name_drop(table, table->names[0].path);
	free(table->names);
	*table = (struct name_table){ 0 };
}

bool dir_exists(const struct memdisk *disk, const char *path)
{
	for (size_t i = 0; i < disk->dir_count; i++) {
		if (strcmp(disk->dirs[i], path) == 0)
			return true;
	}
	return false;
}

void dir_add(struct memdisk *disk, const char *path)
{
	disk->dirs = mem_one_more(disk->dirs, disk->dir_count, &disk->dir_capacity, sizeof(*disk->dirs));
	disk->dirs[disk->dir_count++] = mem_text(path);
}
