/* See memdisk.h. Files are reference-counted nodes, because a name may go while the node is open. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/disk_trace.h"
#include "tests/support/memdisk_internal.h"

struct mem_file {
	struct vfs_file base;
	struct node *node;
	struct memdisk *disk;
	bool holds_lock;
};

static void add_pending(struct memdisk *disk, enum pending_op_type type, const char *path, struct node *node,
			const char *path_too)
{
	disk->pending = mem_one_more(disk->pending, disk->pending_count, &disk->pending_capacity, sizeof(*disk->pending));
	if (node != NULL)
		node->references++;
	disk->pending[disk->pending_count++] = (struct pending_op){
		type, mem_text(path), node, path_too == NULL ? NULL : mem_text(path_too),
	};
}

static void apply_pending(struct memdisk *disk, const struct pending_op *op)
{
	if (op->type == OP_LINK)
		name_set(&disk->durable, op->path, op->node);
	else
		name_drop(&disk->durable, op->path);
	if (op->path_too != NULL)
		name_drop(&disk->durable, op->path_too);
}

void names_forget_pending(struct memdisk *disk)
{
	for (size_t i = 0; i < disk->pending_count; i++) {
		if (disk->pending[i].node != NULL)
			node_release(disk->pending[i].node);
		free(disk->pending[i].path);
		free(disk->pending[i].path_too);
	}
	disk->pending_count = 0;
}

/* --- faults ------------------------------------------------------------------------------------------ */

/* Counts one changing operation; true when it must fail. */
static bool strikes(struct memdisk *disk)
{
	if (disk->countdown == 0)
		return disk->struck && disk->sticky;
	if (--disk->countdown > 0)
		return false;
	disk->struck = true;
	return true;
}

/* Counts one operation that only looks; true when it must fail. */
static bool looks_away(struct memdisk *disk)
{
	if (disk->look_countdown == 0 || --disk->look_countdown > 0)
		return false;
	disk->struck = true;
	return true;
}

static enum status injected(const struct memdisk *disk, const char *what, const char *path, bool needs_space,
			    struct errinfo *err)
{
	if (disk->fault == MEMDISK_ENOSPC && needs_space)
		return errinfo_set(err, ST_FULL, "%s %s: no space left (injected)", what, path);
	return errinfo_set(err, ST_IO, "%s %s: I/O error (injected)", what, path);
}

/* --- the file layer ---------------------------------------------------------------------------------- */

static struct mem_file *mem(struct vfs_file *file)
{
	return (struct mem_file *)file;
}

static enum status mem_open(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct memdisk *disk = context;
	struct name *name = name_find(&disk->visible, path);
	struct mem_file *file;
	struct node *node;

	if (name == NULL && !(flags & VFS_CREATE))
		return errinfo_set(err, ST_NOTFOUND, "open %s: no such file", path);
	if (name != NULL && !(flags & VFS_TRUNCATE) && looks_away(disk))
		return injected(disk, "open", path, false, err);
	if (name == NULL && disk->full)
		return errinfo_set(err, ST_FULL, "open %s: no space left", path);
	if ((name == NULL || (flags & VFS_TRUNCATE)) && strikes(disk))
		return injected(disk, "open", path, true, err);
	if (name == NULL) {
		node = node_create(disk);
		name_set(&disk->visible, path, node);
		add_pending(disk, OP_LINK, path, node, NULL);
		trace_names(disk->trace, TRACE_CREATE, path, NULL, node);
	} else {
		node = name->node;
	}
	if (flags & VFS_TRUNCATE) {
		node_truncate(node);
		trace_node(disk->trace, TRACE_TRUNCATE, node);
	}
	node->references++;
	file = mem_alloc(sizeof(*file));
	*file = (struct mem_file){ { &disk->vfs, mem_text(path) }, node, disk, false };
	disk->open = mem_one_more(disk->open, disk->open_count, &disk->open_capacity, sizeof(*disk->open));
	disk->open[disk->open_count++] = &file->base;
	*out = &file->base;
	return ST_OK;
}

static void forget_open(struct memdisk *disk, const struct vfs_file *file)
{
	size_t i = 0;

	while (disk->open[i] != file)
		i++;
	disk->open[i] = disk->open[--disk->open_count];
}

static void mem_close(struct vfs_file *file)
{
	forget_open(mem(file)->disk, file);
	if (mem(file)->holds_lock)
		mem(file)->node->locked = false;
	node_release(mem(file)->node);
	free(file->path);
	free(file);
}

static enum status mem_read(struct vfs_file *file, uint64_t offset, void *data, size_t size, size_t *got_out,
			    struct errinfo *err)
{
	struct memdisk *disk = mem(file)->disk;
	struct node *node = mem(file)->node;

	disk->stats.read_count++;
	if (disk->read_countdown > 0 && --disk->read_countdown == 0) {
		disk->struck = true;
		return errinfo_set(err, ST_IO, "read %s: I/O error (injected)", file->path);
	}
	*got_out = 0;
	if (offset >= node->size)
		return ST_OK;
	*got_out = size < node->size - offset ? size : node->size - offset;
	if (*got_out > 0)
		memcpy(data, node->data + offset, *got_out);
	return ST_OK;
}

static enum status mem_read_nowait(struct vfs_file *file, uint64_t offset, void *data, size_t size)
{
	size_t got = 0;

	if (mem(file)->disk->cold)
		return ST_AGAIN;
	if (mem_read(file, offset, data, size, &got, NULL) != ST_OK || got < size)
		return ST_AGAIN;
	return ST_OK;
}

static void mem_read_ahead(struct vfs_file *file, uint64_t offset, uint64_t size)
{
	(void)file;
	(void)offset;
	(void)size;
}

static enum status mem_write(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces, size_t count,
			     struct errinfo *err)
{
	struct memdisk *disk = mem(file)->disk;
	bool fails = strikes(disk);

	disk->stats.write_count++;
	if (fails && disk->fault != MEMDISK_SHORT_WRITE)
		return injected(disk, "write", file->path, true, err);
	for (size_t i = 0; i < count; i++) {
		if (disk->full && offset + pieces[i].size > mem(file)->node->size)
			return errinfo_set(err, ST_FULL, "write %s: no space left", file->path);
		size_t size = fails ? pieces[i].size / 2 : pieces[i].size;
		node_write(mem(file)->node, offset, pieces[i].data, size);
		trace_write(disk->trace, mem(file)->node, offset, size);
		if (fails)
			return injected(disk, "write", file->path, true, err);
		offset += size;
		disk->stats.byte_count += size;
	}
	return ST_OK;
}

static enum status mem_sync(struct vfs_file *file, struct errinfo *err)
{
	struct memdisk *disk = mem(file)->disk;

	disk->stats.sync_count++;
	if (strikes(disk)) {
		node_lose_sync(mem(file)->node);
		trace_node(disk->trace, TRACE_SYNC_LOST, mem(file)->node);
		return injected(disk, "sync", file->path, false, err);
	}
	node_sync(mem(file)->node);
	trace_node(disk->trace, TRACE_SYNC, mem(file)->node);
	return ST_OK;
}

static enum status mem_size(struct vfs_file *file, uint64_t *size_out, struct errinfo *err)
{
	if (looks_away(mem(file)->disk))
		return injected(mem(file)->disk, "size of", file->path, false, err);
	*size_out = mem(file)->node->size;
	return ST_OK;
}

/* What lies below `from` lies below `to` now. */
static void move_path(char **path, const char *from, const char *to)
{
	size_t size = strlen(from);

	if (*path == NULL || strncmp(*path, from, size) != 0 || ((*path)[size] != '/' && (*path)[size] != '\0'))
		return;
	char *moved = mem_alloc(strlen(to) + strlen(*path + size) + 1);
	strcat(strcpy(moved, to), *path + size);
	free(*path);
	*path = moved;
}

/* Durable at once, like a directory that is made; traces know no such step. */
static enum status rename_dir(struct memdisk *disk, const char *from, const char *to, struct errinfo *err)
{
	assert(disk->trace == NULL);
	if (dir_exists(disk, to))
		return errinfo_set(err, ST_IO, "rename %s: there is a directory %s", from, to);
	if (strikes(disk))
		return injected(disk, "rename", from, true, err);
	for (size_t i = 0; i < disk->visible.count; i++)
		move_path(&disk->visible.names[i].path, from, to);
	for (size_t i = 0; i < disk->durable.count; i++)
		move_path(&disk->durable.names[i].path, from, to);
	for (size_t i = 0; i < disk->pending_count; i++) {
		move_path(&disk->pending[i].path, from, to);
		move_path(&disk->pending[i].path_too, from, to);
	}
	for (size_t i = 0; i < disk->dir_count; i++)
		move_path(&disk->dirs[i], from, to);
	return ST_OK;
}

static enum status mem_rename(void *context, const char *from, const char *to, struct errinfo *err)
{
	struct memdisk *disk = context;
	struct name *name = name_find(&disk->visible, from);
	struct node *node;

	if (name == NULL && dir_exists(disk, from))
		return rename_dir(disk, from, to, err);
	if (name == NULL)
		return errinfo_set(err, ST_NOTFOUND, "rename %s: no such file", from);
	if (strikes(disk))
		return injected(disk, "rename", from, true, err);
	node = name->node;
	name_set(&disk->visible, to, node);
	name_drop(&disk->visible, from);
	add_pending(disk, OP_LINK, to, node, from);
	trace_names(disk->trace, TRACE_RENAME, to, from, node);
	return ST_OK;
}

static enum status mem_unlink(void *context, const char *path, struct errinfo *err)
{
	struct memdisk *disk = context;

	if (name_find(&disk->visible, path) == NULL)
		return errinfo_set(err, ST_NOTFOUND, "unlink %s: no such file", path);
	if (strikes(disk))
		return injected(disk, "unlink", path, false, err);
	add_pending(disk, OP_UNLINK, path, NULL, NULL);
	name_drop(&disk->visible, path);
	trace_names(disk->trace, TRACE_UNLINK, path, NULL, NULL);
	return ST_OK;
}

/* Directories are durable at once here; disk_states.h is stricter. */
static enum status mem_mkdir(void *context, const char *path, struct errinfo *err)
{
	struct memdisk *disk = context;

	if (dir_exists(disk, path))
		return ST_OK;
	if (strikes(disk))
		return injected(disk, "mkdir", path, true, err);
	dir_add(disk, path);
	trace_names(disk->trace, TRACE_MKDIR, path, NULL, NULL);
	return ST_OK;
}

/* Calls back from a copy of the names, because the callback may change them. */
static enum status mem_list(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
			    struct errinfo *err)
{
	struct memdisk *disk = context;
	size_t prefix = strlen(dir), count = disk->visible.count;
	enum status status = ST_OK;
	char **paths;

	if (!dir_exists(disk, dir))
		return errinfo_set(err, ST_NOTFOUND, "list %s: no such directory", dir);
	if (looks_away(disk))
		return injected(disk, "list", dir, false, err);
	paths = mem_alloc((count + 1) * sizeof(*paths));
	for (size_t i = 0; i < count; i++)
		paths[i] = mem_text(disk->visible.names[i].path);
	for (size_t i = 0; i < count; i++) {
		if (status == ST_OK && strncmp(paths[i], dir, prefix) == 0 && paths[i][prefix] == '/' &&
		    strchr(paths[i] + prefix + 1, '/') == NULL)
			status = callback(callback_context, paths[i] + prefix + 1);
		free(paths[i]);
	}
	free(paths);
	if (status != ST_OK)
		errinfo_set(err, status, "list %s: %s", dir, status_text(status));
	return status;
}

/* Makes all pending names durable, not only those of `dir`; disk_states.h is stricter. */
static enum status mem_sync_dir(void *context, const char *dir, struct errinfo *err)
{
	struct memdisk *disk = context;

	disk->stats.sync_count++;
	if (strikes(disk))
		return injected(disk, "sync directory", dir, false, err);
	for (size_t i = 0; i < disk->pending_count; i++)
		apply_pending(disk, &disk->pending[i]);
	names_forget_pending(disk);
	trace_names(disk->trace, TRACE_SYNC_DIR, dir, NULL, NULL);
	return ST_OK;
}

static enum status mem_lock(void *context, const char *path, struct vfs_file **out, struct errinfo *err)
{
	struct vfs_file *file;
	enum status status = mem_open(context, path, VFS_WRITE | VFS_CREATE, &file, err);

	if (status != ST_OK)
		return status;
	if (mem(file)->node->locked) {
		mem_close(file);
		return errinfo_set(err, ST_LOCKED, "%s is locked by process 1", path);
	}
	mem(file)->node->locked = true;
	mem(file)->holds_lock = true;
	*out = file;
	return ST_OK;
}

/* --- the disk ---------------------------------------------------------------------------------------- */

struct memdisk *memdisk_create(void)
{
	struct memdisk *disk = mem_alloc(sizeof(*disk));

	disk->vfs = (struct vfs){
		disk,	    mem_open,	  mem_close,  mem_read,	  mem_read_nowait, mem_read_ahead, mem_write, mem_sync, mem_size,
		mem_rename, mem_unlink,	  mem_mkdir,  mem_list, mem_sync_dir,	   mem_lock,
	};
	return disk;
}

static void check_all_closed(const struct memdisk *disk)
{
	for (size_t i = 0; i < disk->open_count; i++)
		fprintf(stderr, "FAILED: %s was never closed\n", disk->open[i]->path);
	if (disk->open_count > 0)
		abort();
}

void memdisk_destroy(struct memdisk *disk)
{
	if (disk == NULL)
		return;
	check_all_closed(disk);
	free(disk->open);
	names_forget_pending(disk);
	free(disk->pending);
	name_clear(&disk->visible);
	name_clear(&disk->durable);
	for (size_t i = 0; i < disk->dir_count; i++)
		free(disk->dirs[i]);
	free(disk->dirs);
	free(disk);
}

const struct vfs *memdisk_vfs(struct memdisk *disk)
{
	return &disk->vfs;
}

void memdisk_crash(struct memdisk *disk, uint64_t seed)
{
	static const unsigned keep_chances[] = { 0, 8, 128, 248, 256 };
	uint64_t random = seed;
	unsigned keep = keep_chances[mem_random(&random) % 5];
	size_t survivors = disk->pending_count == 0 ? 0 : mem_random(&random) % (disk->pending_count + 1);

	for (size_t i = 0; i < survivors; i++)
		apply_pending(disk, &disk->pending[i]);
	names_forget_pending(disk);
	name_clear(&disk->visible);
	for (size_t i = 0; i < disk->durable.count; i++) {
		name_set(&disk->visible, disk->durable.names[i].path, disk->durable.names[i].node);
		node_crash(disk->durable.names[i].node, &random, keep);
	}
	memdisk_fail(disk, 0, MEMDISK_EIO, false);
	memdisk_fail_reads(disk, 0);
	memdisk_fail_looks(disk, 0);
	trace_crash(disk->trace, disk);
}

void memdisk_kill(struct memdisk *disk)
{
	for (size_t i = 0; i < disk->visible.count; i++)
		disk->visible.names[i].node->locked = false;
}

void memdisk_fail(struct memdisk *disk, uint64_t countdown, enum memdisk_fault fault, bool sticky)
{
	disk->countdown = countdown;
	disk->fault = fault;
	disk->sticky = sticky;
	disk->struck = false;
}

bool memdisk_fault_struck(const struct memdisk *disk)
{
	return disk->struck;
}

uint64_t memdisk_fault_left(const struct memdisk *disk)
{
	return disk->countdown + disk->read_countdown + disk->look_countdown;
}

void memdisk_fail_reads(struct memdisk *disk, uint64_t countdown)
{
	disk->read_countdown = countdown;
	disk->struck = false;
}

void memdisk_fail_looks(struct memdisk *disk, uint64_t countdown)
{
	disk->look_countdown = countdown;
	disk->struck = false;
}

void memdisk_trace(struct memdisk *disk, struct disk_trace *trace)
{
	assert(trace == NULL || (disk->visible.count == 0 && disk->dir_count == 0));
	disk->trace = trace;
}

void memdisk_set_full(struct memdisk *disk, bool full)
{
	disk->full = full;
}

void memdisk_set_cold(struct memdisk *disk, bool cold)
{
	disk->cold = cold;
}

uint8_t *memdisk_data(struct memdisk *disk, const char *path, size_t *size_out)
{
	struct name *name = name_find(&disk->visible, path);

	if (name == NULL)
		return NULL;
	*size_out = name->node->size;
	return name->node->data;
}

void memdisk_put(struct memdisk *disk, const char *path, const void *data, size_t size)
{
	struct node *node = node_create(disk);

	assert(disk->trace == NULL);
	node_write(node, 0, data, size);
	node_sync(node);
	name_set(&disk->visible, path, node);
	name_set(&disk->durable, path, node);
}

bool memdisk_remove(struct memdisk *disk, const char *path)
{
	bool present = name_find(&disk->visible, path) != NULL;

	name_drop(&disk->visible, path);
	name_drop(&disk->durable, path);
	return present;
}

void memdisk_remove_all(struct memdisk *disk, const char *prefix)
{
	size_t size = strlen(prefix);

	for (size_t i = 0; i < disk->visible.count;) {
		if (strncmp(disk->visible.names[i].path, prefix, size) != 0) {
			i++;
			continue;
		}
		char *path = strdup(disk->visible.names[i].path);
		if (path == NULL)
			abort();
		(void)memdisk_remove(disk, path);
		free(path);
	}
}

struct memdisk *memdisk_clone(const struct memdisk *disk)
{
	struct memdisk *copy = memdisk_create();

	for (size_t i = 0; i < disk->visible.count; i++) {
		const struct node *node = disk->visible.names[i].node;
		memdisk_put(copy, disk->visible.names[i].path, node->data, node->size);
	}
	for (size_t i = 0; i < disk->dir_count; i++) {
		enum status status = mem_mkdir(copy, disk->dirs[i], NULL);
		assert(status == ST_OK);
		(void)status;
	}
	return copy;
}

struct memdisk_stats memdisk_stats(const struct memdisk *disk)
{
	return disk->stats;
}
