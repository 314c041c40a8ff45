/* What of the unsynced part is there: choosing, and building the disk; see disk_states.h.
 *
 * Each unsynced write, file size and change of names is a factor with its options. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_states_internal.h"

/* --- choosing -------------------------------------------------------------------------------------------------- */

static struct factor *add_factor(struct disk_states *s, enum factor_type type, size_t index, uint64_t options)
{
	s->factors = mem_one_more(s->factors, s->factor_count, &s->factor_capacity, sizeof(*s->factors));
	struct factor *f = &s->factors[s->factor_count++];

	*f = (struct factor){ .type = type, .index = index, .options = options };
	return f;
}

/* Few sectors: every subset. More: each prefix and each suffix. */
static uint64_t write_options(const struct pending_write *w)
{
	if (w->op->type == TRACE_TRUNCATE)
		return 2;
	return w->live_count <= 3 ? (uint64_t)1 << w->live_count : 2 * (uint64_t)w->live_count;
}

static bool write_keeps(const struct pending_write *w, const struct factor *f, size_t live_index)
{
	uint64_t n = w->live_count, v = f->choice;

	if (v == DROP || v == KEEP)
		return v == KEEP;
	if (v >= f->options) {
		uint64_t state = v + live_index;
		return (mem_random(&state) & 1) != 0;
	}
	if (n <= 3)
		return ((v - 1) >> live_index & 1) != 0;
	return v <= n ? live_index < v - 1 : live_index >= 2 * n - v;
}

/* The file's sizes since its last sync, and one between the last two. */
static void add_size_factor(struct disk_states *s, size_t index)
{
	struct factor f = { .type = FACTOR_SIZE, .index = index, .options = 1 };
	size_t last = s->files[index].size;

	f.sizes[0] = last;
	for (size_t i = 0; i < s->write_count; i++) {
		const struct trace_op *op = s->writes[i].op;
		if (op->node != index || s->writes[i].size_settled || op->size_after == last)
			continue;
		if (f.options < SIZES_MAX - 1)
			f.sizes[f.options++] = op->size_after;
		else
			f.sizes[f.options - 1] = op->size_after;
		last = op->size_after;
	}
	if (f.options == 1)
		return;
	/* Option 1 is the newest. */
	f.sizes[f.options - 1] = f.sizes[1];
	f.sizes[1] = last;
	f.sizes[f.options++] = (f.sizes[0] + last) / 2 / MEMDISK_SECTOR * MEMDISK_SECTOR;
	*add_factor(s, FACTOR_SIZE, index, f.options) = f;
}

static uint64_t combinations(const struct disk_states *s)
{
	uint64_t total = 1;

	for (size_t i = 0; i < s->factor_count; i++) {
		if (total > UINT64_MAX / s->factors[i].options)
			return UINT64_MAX;
		total *= s->factors[i].options;
	}
	return total;
}

void disk_states_begin(struct disk_states *s, uint64_t limit, uint64_t seed)
{
	s->factor_count = 0;
	for (size_t i = 0; i < s->write_count; i++) {
		if (s->writes[i].live_count > 0 || s->writes[i].op->type == TRACE_TRUNCATE)
			add_factor(s, FACTOR_WRITE, i, write_options(&s->writes[i]));
	}
	for (size_t i = 0; i < s->file_count; i++)
		add_size_factor(s, i);
	for (size_t i = 0; i < s->name_op_count; i++)
		add_factor(s, FACTOR_NAME, i, 2);
	uint64_t total = combinations(s);
	s->exhaustive = total <= limit;
	s->left = s->exhaustive ? total : limit;
	s->made = 0;
	s->random = seed ^ s->position * 0x9e3779b97f4a7c15ULL;
}

static void choose_by_chance(struct disk_states *s)
{
	static const unsigned keep_of_8[] = { 1, 4, 7 };
	unsigned keep = keep_of_8[mem_random(&s->random) % 3];

	for (size_t i = 0; i < s->factor_count; i++) {
		struct factor *f = &s->factors[i];
		f->choice = mem_random(&s->random) % 8 < keep ? KEEP : DROP;
		if (mem_random(&s->random) % 3 == 0)
			f->choice = mem_random(&s->random) % f->options;
		if (f->type == FACTOR_WRITE && mem_random(&s->random) % 8 == 0)
			f->choice = mem_random(&s->random) | (uint64_t)1 << 40;
	}
}

/* The n-th of a sample: nothing, everything, all but one (the newest first), one only, then by chance. */
static void choose_sample(struct disk_states *s, uint64_t n)
{
	uint64_t corners = 2 + 2 * (uint64_t)s->factor_count;
	bool all = n == 1 || (n >= 2 && n % 2 == 0);

	if (n >= corners) {
		choose_by_chance(s);
		return;
	}
	for (size_t i = 0; i < s->factor_count; i++)
		s->factors[i].choice = all ? KEEP : DROP;
	if (n >= 2) {
		size_t one = s->factor_count - 1 - (size_t)((n - 2) / 2);
		s->factors[one].choice = all ? DROP : KEEP;
	}
}

static void choose(struct disk_states *s)
{
	uint64_t n = s->made++;

	if (!s->exhaustive) {
		choose_sample(s, n);
		return;
	}
	for (size_t i = 0; i < s->factor_count; i++) {
		s->factors[i].choice = n % s->factors[i].options;
		n /= s->factors[i].options;
	}
}

/* --- building ----------------------------------------------------------------------------------------------------- */

static void put_sector(struct node *node, size_t sector, const uint8_t *bytes)
{
	size_t at = sector * MEMDISK_SECTOR;

	node_ensure(node, at + MEMDISK_SECTOR);
	node_touch(node, at, MEMDISK_SECTOR);
	memcpy(node->data + at, bytes, MEMDISK_SECTOR);
	memcpy(node->durable + at, bytes, MEMDISK_SECTOR);
}

static void zero_range(struct node *node, size_t from, size_t to)
{
	if (from >= to)
		return;
	node_touch(node, from, to - from);
	memset(node->data + from, 0, to - from);
	memset(node->durable + from, 0, to - from);
}

/* Bytes of the file that may hold anything but zeros. */
static size_t extent(const struct disk_states *s, size_t index)
{
	size_t high = s->files[index].size;

	for (size_t i = 0; i < s->write_count; i++) {
		const struct trace_op *op = s->writes[i].op;
		size_t end = (op->first_sector + op->sector_count) * MEMDISK_SECTOR;
		if (op->node == index && op->type == TRACE_WRITE && end > high)
			high = end;
	}
	return high < s->files[index].node->capacity ? high : s->files[index].node->capacity;
}

static void build_write(struct disk_states *s, const struct factor *f)
{
	const struct pending_write *w = &s->writes[f->index];
	struct node *node = s->files[w->op->node].node;
	size_t live_index = 0;

	if (w->op->type == TRACE_TRUNCATE) {
		if (f->choice == KEEP)
			zero_range(node, 0, extent(s, w->op->node));
		return;
	}
	for (size_t i = 0; i < w->op->sector_count; i++) {
		if (w->live[i] != 0 && write_keeps(w, f, live_index++))
			put_sector(node, w->op->first_sector + i, w->op->sectors + i * MEMDISK_SECTOR);
	}
}

static void build_names(struct disk_states *s)
{
	struct memdisk *disk = s->disk;

	for (size_t i = 0; i < s->dir_count; i++)
		dir_add(disk, s->dirs[i]);
	for (size_t i = 0; i < s->names.count; i++)
		name_set(&disk->durable, s->names.names[i].path, s->names.names[i].node);
	for (size_t i = 0; i < s->factor_count; i++) {
		const struct factor *f = &s->factors[i];
		if (f->type != FACTOR_NAME || f->choice != KEEP)
			continue;
		if (s->name_ops[f->index]->type == TRACE_MKDIR)
			dir_add(disk, s->name_ops[f->index]->path);
		else
			disk_apply_name(s, s->name_ops[f->index], &disk->durable);
	}
}

/* What lies in a directory that is not there is not there. */
static void drop_orphans(struct memdisk *disk)
{
	for (size_t i = 0; i < disk->dir_count;) {
		char parent[256];
		size_t size = disk_parent_size(disk->dirs[i]);
		snprintf(parent, sizeof(parent), "%.*s", (int)size, disk->dirs[i]);
		if (strcmp(parent, "/") == 0 || dir_exists(disk, parent)) {
			i++;
			continue;
		}
		free(disk->dirs[i]);
		disk->dirs[i] = disk->dirs[--disk->dir_count];
		i = 0;
	}
	for (size_t i = 0; i < disk->durable.count;) {
		char parent[256];
		size_t size = disk_parent_size(disk->durable.names[i].path);
		snprintf(parent, sizeof(parent), "%.*s", (int)size, disk->durable.names[i].path);
		if (dir_exists(disk, parent))
			i++;
		else
			name_drop(&disk->durable, disk->durable.names[i].path);
	}
}

static void build(struct disk_states *s)
{
	struct memdisk *disk = s->disk;

	for (size_t i = 0; i < s->factor_count; i++) {
		if (s->factors[i].type == FACTOR_WRITE)
			build_write(s, &s->factors[i]);
	}
	for (size_t i = 0; i < s->factor_count; i++) {
		const struct factor *f = &s->factors[i];
		if (f->type == FACTOR_SIZE)
			s->files[f->index].node->size = f->sizes[f->choice];
	}
	for (size_t i = 0; i < s->file_count; i++) {
		struct node *node = s->files[i].node;
		if (node == NULL)
			continue;
		node_ensure(node, node->size);
		node->durable_size = node->size;
	}
	/* Nothing lies beyond a file's end. */
	for (size_t i = 0; i < s->factor_count; i++) {
		const struct factor *f = &s->factors[i];
		if (f->type == FACTOR_SIZE)
			zero_range(s->files[f->index].node, s->files[f->index].node->size, extent(s, f->index));
	}
	build_names(s);
	drop_orphans(disk);
	for (size_t i = 0; i < disk->durable.count; i++)
		name_set(&disk->visible, disk->durable.names[i].path, disk->durable.names[i].node);
}

struct memdisk *disk_states_next(struct disk_states *s, uint64_t *hash_out)
{
	disk_states_undo(s);
	if (s->left == 0)
		return NULL;
	s->left--;
	choose(s);
	build(s);
	*hash_out = disk_states_hash(s);
	return s->disk;
}

void disk_states_poke(struct disk_states *s, const char *path, size_t offset, const void *data, size_t size)
{
	struct node *node = name_find(&s->disk->visible, path)->node;

	assert(offset + size <= node->size);
	node_touch(node, offset, size);
	memcpy(node->data + offset, data, size);
	memcpy(node->durable + offset, data, size);
}

void disk_states_shorten(struct disk_states *s, const char *path, size_t size)
{
	struct node *node = name_find(&s->disk->visible, path)->node;

	assert(size <= node->size);
	zero_range(node, size, node->size);
	node->size = node->durable_size = size;
}

void disk_states_describe(const struct disk_states *s, char *out, size_t out_size)
{
	size_t used = 0;

	out[0] = '\0';
	for (size_t i = 0; i < s->factor_count && used + 1 < out_size; i++) {
		static const char *const types[] = { "write", "size", "name" };
		const struct factor *f = &s->factors[i];
		used += (size_t)snprintf(out + used, out_size - used, "%s%s %zu: %s%llu/%llu", i == 0 ? "" : ", ",
					 types[f->type], f->index, f->choice == DROP ? "dropped " : f->choice == KEEP ? "kept " : "",
					 (unsigned long long)f->choice, (unsigned long long)f->options);
	}
}
