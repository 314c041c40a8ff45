/* See disk_states.h.
 *
 * One memory disk holds the synced part of all files. Building a state writes the chosen sectors into it with an undo
 * list, under names made from the chosen changes of names; whatever recovery then does goes into the same undo list. */
#include "tests/support/disk_states.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/memdisk_internal.h"

enum { MADE_LATER = 1 << 20 }; /* Ids of nodes that are not the trace's. */

/* A file of the trace, by its node id. */
struct file {
	struct node *node;
	size_t size;       /* Synced. */
	uint64_t content;  /* Sum of the hashes of its synced sectors. */
	uint64_t delta, durable_delta; /* Scratch of a hash. */
};

struct pending_write { /* TRACE_WRITE or TRACE_TRUNCATE that no sync has covered. */
	const struct trace_op *op;
	bool lost;          /* A failed sync was to cover it. */
	bool size_settled;  /* A later sync has settled the file's size. */
	uint8_t *live;      /* By sector of the write: 1 if keeping or dropping it makes a difference. */
	size_t live_count;
};

enum factor_type { FACTOR_WRITE, FACTOR_SIZE, FACTOR_NAME };
enum { DROP = 0, KEEP = 1, SIZES_MAX = 16 };

/* One thing to choose. Option 0 drops it, 1 keeps it, the others are in between. */
struct factor {
	enum factor_type type;
	size_t index;       /* Of the pending write, file, or change of names. */
	uint64_t options;
	uint64_t choice;    /* Of a write, beyond `options`: sectors by chance, this is the seed. */
	size_t sizes[SIZES_MAX];
};

struct disk_states {
	const struct disk_trace *trace;
	size_t position;
	struct trace_note note;
	struct memdisk *disk;
	struct undo undo;
	struct file *files;
	size_t file_count, file_capacity;
	struct name_table names;              /* Durable. */
	char **dirs;                          /* Durable. */
	size_t dir_count, dir_capacity;
	struct pending_write *writes;
	size_t write_count, write_capacity;
	const struct trace_op **name_ops;     /* Not durable. */
	size_t name_op_count, name_op_capacity;

	struct factor *factors;
	size_t factor_count, factor_capacity;
	uint64_t left, made, random;
	bool exhaustive;
};

/* --- hashes -------------------------------------------------------------------------------------------- */

static uint64_t mix(uint64_t x)
{
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	x ^= x >> 32;
	x *= 0xd6e8feb86659fd93ULL;
	return x ^ (x >> 32);
}

/* 0 for zeros, so that what was never written costs nothing. */
static uint64_t sector_hash(const uint8_t *p, size_t index)
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
		sum += sector_hash(p + i * MEMDISK_SECTOR, block * NODE_BLOCK_SECTORS + i);
	return sum;
}

static uint64_t text_hash(const char *text)
{
	uint64_t h = 0xcbf29ce484222325ULL;

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * 0x100000001b3ULL;
	return mix(h);
}

static uint64_t whole_hash(const uint8_t *data, size_t capacity)
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
			content = whole_hash(durable ? node->durable : node->data, node->capacity);
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

/* --- the synced part ------------------------------------------------------------------------------------ */

static struct file *file_of(struct disk_states *s, uint32_t id)
{
	while (s->file_count <= id) {
		s->files = mem_one_more(s->files, s->file_count, &s->file_capacity, sizeof(*s->files));
		s->files[s->file_count++] = (struct file){ 0 };
	}
	struct file *file = &s->files[id];
	if (file->node == NULL) {
		file->node = node_create(s->disk);
		file->node->id = id;
		file->node->undo = &s->undo;
		file->node->references = 1; /* Ours. */
	}
	return file;
}

/* Puts sectors into the synced part. */
static void set_synced(struct file *file, size_t first_sector, const uint8_t *sectors, size_t count)
{
	struct node *node = file->node;

	node_ensure(node, (first_sector + count) * MEMDISK_SECTOR);
	for (size_t i = 0; i < count; i++) {
		size_t at = (first_sector + i) * MEMDISK_SECTOR;
		file->content -= sector_hash(node->durable + at, first_sector + i);
		file->content += sector_hash(sectors + i * MEMDISK_SECTOR, first_sector + i);
		memcpy(node->durable + at, sectors + i * MEMDISK_SECTOR, MEMDISK_SECTOR);
		memcpy(node->data + at, sectors + i * MEMDISK_SECTOR, MEMDISK_SECTOR);
	}
}

static void set_synced_size(struct file *file, size_t size)
{
	file->size = size;
	file->node->size = file->node->durable_size = size;
}

static void empty_synced(struct file *file)
{
	if (file->node->capacity > 0) {
		memset(file->node->data, 0, file->node->capacity);
		memset(file->node->durable, 0, file->node->capacity);
	}
	file->content = 0;
	set_synced_size(file, 0);
}

/* --- what is not synced ----------------------------------------------------------------------------------- */

static bool has_pending(const struct disk_states *s, uint32_t node)
{
	for (size_t i = 0; i < s->write_count; i++) {
		if (s->writes[i].op->node == node)
			return true;
	}
	return false;
}

static bool sector_pending(const struct disk_states *s, uint32_t node, size_t sector)
{
	for (size_t i = 0; i < s->write_count; i++) {
		const struct pending_write *w = &s->writes[i];
		if (w->op->node != node)
			continue;
		if (w->op->type == TRACE_TRUNCATE)
			return true;
		if (sector >= w->op->first_sector && sector < w->op->first_sector + w->op->sector_count &&
		    w->live[sector - w->op->first_sector] != 0)
			return true;
	}
	return false;
}

/* A sector that is written as it was makes no difference. */
static void add_write(struct disk_states *s, const struct trace_op *op)
{
	const struct file *file = file_of(s, op->node);
	const struct node *node = file->node;
	struct pending_write w = { .op = op };

	if (op->type == TRACE_TRUNCATE && file->size == 0 && !has_pending(s, op->node))
		return;
	w.live = mem_alloc(op->sector_count + 1);
	for (size_t i = 0; i < op->sector_count; i++) {
		size_t at = (op->first_sector + i) * MEMDISK_SECTOR;
		static const uint8_t zeros[MEMDISK_SECTOR];
		const uint8_t *before = at < node->capacity ? node->durable + at : zeros;
		w.live[i] = memcmp(before, op->sectors + i * MEMDISK_SECTOR, MEMDISK_SECTOR) != 0 ||
			    sector_pending(s, op->node, op->first_sector + i);
		w.live_count += w.live[i];
	}
	s->writes = mem_one_more(s->writes, s->write_count, &s->write_capacity, sizeof(*s->writes));
	s->writes[s->write_count++] = w;
}

static void remove_write(struct disk_states *s, size_t index)
{
	free(s->writes[index].live);
	s->write_count--;
	memmove(&s->writes[index], &s->writes[index + 1], (s->write_count - index) * sizeof(*s->writes));
}

/* What a later write has taken along to the disk is no longer in doubt. */
static void settle_lost(struct disk_states *s, const struct trace_op *synced)
{
	for (size_t i = 0; i < s->write_count; i++) {
		struct pending_write *w = &s->writes[i];

		if (!w->lost || w->op->node != synced->node || w->op == synced || w->op->type != TRACE_WRITE)
			continue;
		for (size_t k = 0; k < w->op->sector_count; k++) {
			size_t sector = w->op->first_sector + k;
			if (w->live[k] != 0 && (synced->type == TRACE_TRUNCATE ||
						(sector >= synced->first_sector &&
						 sector < synced->first_sector + synced->sector_count))) {
				w->live[k] = 0;
				w->live_count--;
			}
		}
	}
}

static void sync_file(struct disk_states *s, const struct trace_op *op)
{
	struct file *file = file_of(s, op->node);

	for (size_t i = 0; i < s->write_count;) {
		const struct pending_write *w = &s->writes[i];
		if (w->op->node != op->node || w->lost) {
			s->writes[i].size_settled = s->writes[i].size_settled || w->op->node == op->node;
			i++;
			continue;
		}
		if (w->op->type == TRACE_TRUNCATE)
			empty_synced(file);
		else
			set_synced(file, w->op->first_sector, w->op->sectors, w->op->sector_count);
		settle_lost(s, w->op);
		remove_write(s, i);
	}
	set_synced_size(file, op->size_after);
}

static void lose_sync(struct disk_states *s, uint32_t node)
{
	for (size_t i = 0; i < s->write_count; i++)
		s->writes[i].lost = s->writes[i].lost || s->writes[i].op->node == node;
}

/* --- names --------------------------------------------------------------------------------------------------- */

/* "/" for what has no other parent. */
static size_t parent_size(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? 1 : (size_t)(slash - path);
}

static bool is_parent(const char *dir, const char *path)
{
	size_t size = parent_size(path);

	return strlen(dir) == size && strncmp(dir, path, size) == 0;
}

static void apply_name(struct disk_states *s, const struct trace_op *op, struct name_table *names)
{
	switch (op->type) {
	case TRACE_CREATE:
		name_set(names, op->path, file_of(s, op->node)->node);
		break;
	case TRACE_RENAME:
		name_set(names, op->path, file_of(s, op->node)->node);
		name_drop(names, op->path_too);
		break;
	case TRACE_UNLINK:
		name_drop(names, op->path);
		break;
	default:
		break;
	}
}

static void add_durable_dir(struct disk_states *s, const char *path)
{
	for (size_t i = 0; i < s->dir_count; i++) {
		if (strcmp(s->dirs[i], path) == 0)
			return;
	}
	s->dirs = mem_one_more(s->dirs, s->dir_count, &s->dir_capacity, sizeof(*s->dirs));
	s->dirs[s->dir_count++] = mem_text(path);
}

static void sync_names(struct disk_states *s, const char *dir)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->name_op_count; i++) {
		const struct trace_op *op = s->name_ops[i];
		if (!is_parent(dir, op->path))
			s->name_ops[kept++] = op;
		else if (op->type == TRACE_MKDIR)
			add_durable_dir(s, op->path);
		else
			apply_name(s, op, &s->names);
	}
	s->name_op_count = kept;
}

/* --- moving on ------------------------------------------------------------------------------------------------ */

/* The power went while the trace was recorded: what was left then is all there is. */
static void become_survivors(struct disk_states *s, const struct trace_op *op)
{
	while (s->write_count > 0)
		remove_write(s, s->write_count - 1);
	for (size_t i = 0; i < s->name_op_count; i++) {
		if (s->name_ops[i]->type == TRACE_MKDIR)
			add_durable_dir(s, s->name_ops[i]->path);
	}
	s->name_op_count = 0;
	name_clear(&s->names);
	for (size_t i = 0; i < op->survivor_count; i++) {
		const struct trace_survivor *survivor = &op->survivors[i];
		struct file *file = file_of(s, survivor->node);

		empty_synced(file);
		if (survivor->size > 0) {
			node_ensure(file->node, survivor->size);
			memcpy(file->node->data, survivor->data, survivor->size);
			memcpy(file->node->durable, survivor->data, survivor->size);
			file->content = whole_hash(file->node->durable, file->node->capacity);
		}
		set_synced_size(file, survivor->size);
		name_set(&s->names, survivor->path, file->node);
	}
}

static void pass(struct disk_states *s, const struct trace_op *op)
{
	switch (op->type) {
	case TRACE_CREATE:
	case TRACE_RENAME:
	case TRACE_UNLINK:
	case TRACE_MKDIR:
		s->name_ops = mem_one_more(s->name_ops, s->name_op_count, &s->name_op_capacity, sizeof(*s->name_ops));
		s->name_ops[s->name_op_count++] = op;
		break;
	case TRACE_TRUNCATE:
	case TRACE_WRITE:
		add_write(s, op);
		break;
	case TRACE_SYNC:
		sync_file(s, op);
		break;
	case TRACE_SYNC_LOST:
		lose_sync(s, op->node);
		break;
	case TRACE_SYNC_DIR:
		sync_names(s, op->path);
		break;
	case TRACE_CRASH:
		become_survivors(s, op);
		break;
	case TRACE_NOTE:
		s->note = op->note;
		break;
	}
}

/* Takes back everything since the last position. */
static void undo_all(struct disk_states *s)
{
	struct memdisk *disk = s->disk;

	for (size_t i = 0; i < s->undo.count; i++) {
		const struct undo_entry *entry = &s->undo.entries[i];
		struct node *node = entry->node;

		memcpy(node->data + entry->block * NODE_BLOCK, entry->bytes, NODE_BLOCK);
		memcpy(node->durable + entry->block * NODE_BLOCK, entry->bytes, NODE_BLOCK);
		memset(node->dirty + entry->block * NODE_BLOCK_SECTORS, 0, NODE_BLOCK_SECTORS);
		node->touched[entry->block] = 0;
	}
	s->undo.count = 0;
	for (size_t i = 0; i < s->file_count; i++) {
		if (s->files[i].node == NULL)
			continue;
		s->files[i].node->size = s->files[i].node->durable_size = s->files[i].size;
		s->files[i].node->locked = false;
	}
	names_forget_pending(disk);
	name_clear(&disk->visible);
	name_clear(&disk->durable);
	while (disk->dir_count > 0)
		free(disk->dirs[--disk->dir_count]);
	memdisk_fail(disk, 0, MEMDISK_EIO, false);
}

bool disk_states_advance(struct disk_states *s)
{
	undo_all(s);
	while (s->position < s->trace->count) {
		const struct trace_op *op = &s->trace->ops[s->position++];
		pass(s, op);
		if (op->type == TRACE_NOTE || s->position == s->trace->count)
			continue;
		/* A note right behind an operation is part of the moment after it. */
		while (s->position < s->trace->count && s->trace->ops[s->position].type == TRACE_NOTE)
			pass(s, &s->trace->ops[s->position++]);
		return true;
	}
	return false;
}

size_t disk_states_position(const struct disk_states *s)
{
	return s->position;
}

struct trace_note disk_states_note(const struct disk_states *s)
{
	return s->note;
}

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
			apply_name(s, s->name_ops[f->index], &disk->durable);
	}
}

/* What lies in a directory that is not there is not there. */
static void drop_orphans(struct memdisk *disk)
{
	for (size_t i = 0; i < disk->dir_count;) {
		char parent[256];
		size_t size = parent_size(disk->dirs[i]);
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
		size_t size = parent_size(disk->durable.names[i].path);
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
	undo_all(s);
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

/* --- life --------------------------------------------------------------------------------------------------------- */

struct disk_states *disk_states_create(const struct disk_trace *trace)
{
	struct disk_states *s = mem_alloc(sizeof(*s));

	s->trace = trace;
	s->disk = memdisk_create();
	s->disk->next_node_id = MADE_LATER;
	return s;
}

void disk_states_destroy(struct disk_states *s)
{
	undo_all(s);
	while (s->write_count > 0)
		remove_write(s, s->write_count - 1);
	name_clear(&s->names);
	for (size_t i = 0; i < s->file_count; i++) {
		if (s->files[i].node != NULL)
			node_release(s->files[i].node);
	}
	for (size_t i = 0; i < s->dir_count; i++)
		free(s->dirs[i]);
	memdisk_destroy(s->disk);
	free(s->undo.entries);
	free(s->files);
	free(s->dirs);
	free(s->writes);
	free(s->name_ops);
	free(s->factors);
	free(s);
}
