/* See disk_states.h.
 *
 * One memory disk holds the synced part of all files. Building a state writes the chosen sectors into it with an undo
 * list, under names made from the chosen changes of names; whatever recovery then does goes into the same undo list. */
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_states_internal.h"

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
		file->content -= disk_sector_hash(node->durable + at, first_sector + i);
		file->content += disk_sector_hash(sectors + i * MEMDISK_SECTOR, first_sector + i);
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
size_t disk_parent_size(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? 1 : (size_t)(slash - path);
}

static bool is_parent(const char *dir, const char *path)
{
	size_t size = disk_parent_size(path);

	return strlen(dir) == size && strncmp(dir, path, size) == 0;
}

void disk_apply_name(struct disk_states *s, const struct trace_op *op, struct name_table *names)
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
			disk_apply_name(s, op, &s->names);
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
			file->content = disk_content_hash(file->node->durable, file->node->capacity);
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
void disk_states_undo(struct disk_states *s)
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
	disk_states_undo(s);
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
	disk_states_undo(s);
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
