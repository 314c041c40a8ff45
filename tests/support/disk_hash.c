/* Which content does a disk hold? See disk_states.h. */
#include <string.h>

#include "tests/support/disk_states_internal.h"

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

uint64_t disk_sector_hash(const uint8_t *p, size_t index)
{
	uint64_t lanes[4] = { 1, 2, 3, 4 }, any = 0;

	for (size_t i = 0; i < MEMDISK_SECTOR; i += 32) {
		uint64_t w[4];
		memcpy(w, p + i, sizeof(w));
		for (int k = 0; k < 4; k++) {
			any |= w[k];
			lanes[k] = (lanes[k] ^ w[k]) * 0x9e3779b97f4a7c15ULL;
			lanes[k] ^= lanes[k] >> 29;
		}
	}
	if (any == 0)
		return 0;
	return mix(mix(mix(mix(lanes[0]) + lanes[1]) + lanes[2]) + lanes[3] + index * 0x632be59bd9b4e019ULL);
}

static uint64_t block_hash(const uint8_t *p, size_t block)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < NODE_BLOCK_SECTORS; i++)
		sum += disk_sector_hash(p + i * MEMDISK_SECTOR, block * NODE_BLOCK_SECTORS + i);
	return sum;
}

static uint64_t text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
	return mix(h);
}

uint64_t disk_content_hash(const uint8_t *data, size_t capacity)
{
	uint64_t sum = 0;

	for (size_t block = 0; block < capacity / NODE_BLOCK; block++)
		sum += block_hash(data + block * NODE_BLOCK, block);
	return sum;
}

static uint64_t names_hash(const struct disk_states *s, const struct name_table *names, bool durable)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < names->count; i++) {
		const struct node *node = names->names[i].node;
		size_t size = durable ? node->durable_size : node->size;
		uint64_t content;

		if (node->id < MADE_LATER)
			content = s->files[node->id].content +
				  (durable ? s->files[node->id].durable_delta : s->files[node->id].delta);
		else
			content = disk_content_hash(durable ? node->durable : node->data, node->capacity);
		sum += mix(text_hash(names->names[i].path) ^ mix(content + size * 0x9e3779b97f4a7c15ULL));
	}
	return sum;
}

uint64_t disk_states_hash(struct disk_states *s)
{
	uint64_t dirs = 0;

	for (size_t i = 0; i < s->file_count; i++)
		s->files[i].delta = s->files[i].durable_delta = 0;
	for (size_t i = 0; i < s->undo.count; i++) {
		const struct undo_entry *entry = &s->undo.entries[i];
		const struct node *node = entry->node;
		struct file *file = &s->files[node->id];
		const uint8_t *data = node->data + entry->block * NODE_BLOCK;
		const uint8_t *durable = node->durable + entry->block * NODE_BLOCK;
		uint64_t before = block_hash(entry->bytes, entry->block);
		uint64_t visible = block_hash(data, entry->block);
		bool same = memcmp(data, durable, NODE_BLOCK) == 0;

		file->delta += visible - before;
		file->durable_delta += (same ? visible : block_hash(durable, entry->block)) - before;
	}
	for (size_t i = 0; i < s->disk->dir_count; i++)
		dirs += text_hash(s->disk->dirs[i]);
	return mix(names_hash(s, &s->disk->visible, false) + 3 * names_hash(s, &s->disk->durable, true) + dirs);
}
