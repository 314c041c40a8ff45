/* See memdisk.h. Files are reference-counted nodes, because a name may go while the node is open. */
#include "tests/support/memdisk.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct node {
	uint8_t *data;     /* Visible content; capacity bytes, zero beyond size. */
	uint8_t *durable;  /* Same capacity. */
	uint8_t *dirty;    /* One byte a sector: written since the last sync. */
	size_t size, durable_size, capacity;
	unsigned references; /* Names, durable names, pending operations, open files. */
	bool locked;
};

struct name {
	char *path;
	struct node *node;
};

struct name_table {
	struct name *names;
	size_t count, capacity;
};

enum op_type { OP_LINK, OP_UNLINK };

struct pending_op { /* A change of names that no directory sync has made durable. */
	enum op_type type;
	char *path;
	struct node *node; /* OP_LINK */
	char *path_too;    /* OP_LINK of a rename: the name that goes in the same step. */
};

struct memdisk {
	struct vfs vfs;
	struct name_table visible, durable;
	struct pending_op *pending;
	size_t pending_count, pending_capacity;
	char **dirs;
	size_t dir_count;
	uint64_t countdown, read_countdown;
	enum memdisk_fault fault;
	bool sticky, struck, cold;
	struct memdisk_stats stats;
};

struct mem_file {
	struct vfs_file base;
	struct node *node;
	struct memdisk *disk;
	bool holds_lock;
};

static void *must(void *p)
{
	if (p == NULL) {
		fputs("memdisk: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* Grows an array by one element. */
static void *one_more(void *array, size_t count, size_t *capacity, size_t element)
{
	if (count < *capacity)
		return array;
	*capacity = *capacity == 0 ? 8 : 2 * *capacity;
	return must(realloc(array, *capacity * element));
}

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

/* --- nodes and names --------------------------------------------------------------------------------- */

static struct node *node_create(void)
{
	return must(calloc(1, sizeof(struct node)));
}

static void node_release(struct node *node)
{
	assert(node->references > 0);
	if (--node->references > 0)
		return;
	free(node->data);
	free(node->durable);
	free(node->dirty);
	free(node);
}

static void node_ensure(struct node *node, size_t size)
{
	size_t capacity = node->capacity == 0 ? 8 * MEMDISK_SECTOR : node->capacity;

	if (size <= node->capacity)
		return;
	while (capacity < size)
		capacity *= 2;
	node->data = must(realloc(node->data, capacity));
	node->durable = must(realloc(node->durable, capacity));
	node->dirty = must(realloc(node->dirty, capacity / MEMDISK_SECTOR));
	memset(node->data + node->capacity, 0, capacity - node->capacity);
	memset(node->durable + node->capacity, 0, capacity - node->capacity);
	memset(node->dirty + node->capacity / MEMDISK_SECTOR, 0, (capacity - node->capacity) / MEMDISK_SECTOR);
	node->capacity = capacity;
}

static void node_write(struct node *node, uint64_t offset, const void *data, size_t size)
{
	if (size == 0)
		return;
	node_ensure(node, offset + size);
	memcpy(node->data + offset, data, size);
	for (size_t sector = offset / MEMDISK_SECTOR; sector <= (offset + size - 1) / MEMDISK_SECTOR; sector++)
		node->dirty[sector] = 1;
	if (offset + size > node->size)
		node->size = offset + size;
}

static void node_sync(struct node *node)
{
	for (size_t sector = 0; sector < node->capacity / MEMDISK_SECTOR; sector++) {
		if (node->dirty[sector] != 0)
			memcpy(node->durable + sector * MEMDISK_SECTOR, node->data + sector * MEMDISK_SECTOR,
			       MEMDISK_SECTOR);
		node->dirty[sector] = 0;
	}
	node->durable_size = node->size;
}

/* What Linux does after a failed writeback: the pages count as clean, the disk does not have them. */
static void node_lose_sync(struct node *node)
{
	if (node->capacity > 0)
		memset(node->dirty, 0, node->capacity / MEMDISK_SECTOR);
}

/* keep: chance in 256 that an unsynced sector reached the disk. */
static void node_crash(struct node *node, uint64_t *random, unsigned keep)
{
	size_t size = node->durable_size;

	if (node->size != node->durable_size) {
		size_t low = node->size < node->durable_size ? node->size : node->durable_size;
		size_t high = node->size > node->durable_size ? node->size : node->durable_size;
		uint64_t choice = next_random(random) % 3;
		size = choice == 0 ? low : choice == 1 ? high : low + next_random(random) % (high - low + 1);
	}
	for (size_t sector = 0; sector < node->capacity / MEMDISK_SECTOR; sector++) {
		size_t at = sector * MEMDISK_SECTOR;
		if (node->dirty[sector] != 0 && next_random(random) % 256 < keep)
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

static struct name *find_name(struct name_table *table, const char *path)
{
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->names[i].path, path) == 0)
			return &table->names[i];
	}
	return NULL;
}

static void drop_name(struct name_table *table, const char *path)
{
	struct name *name = find_name(table, path);

	if (name == NULL)
		return;
	node_release(name->node);
	free(name->path);
	*name = table->names[--table->count];
}

static void set_name(struct name_table *table, const char *path, struct node *node)
{
	node->references++;
	drop_name(table, path);
	table->names = one_more(table->names, table->count, &table->capacity, sizeof(*table->names));
	table->names[table->count++] = (struct name){ must(strdup(path)), node };
}

static void clear_names(struct name_table *table)
{
	while (table->count > 0)
		drop_name(table, table->names[0].path);
	free(table->names);
	*table = (struct name_table){ 0 };
}

static void add_pending(struct memdisk *disk, enum op_type type, const char *path, struct node *node,
			const char *path_too)
{
	disk->pending = one_more(disk->pending, disk->pending_count, &disk->pending_capacity, sizeof(*disk->pending));
	if (node != NULL)
		node->references++;
	disk->pending[disk->pending_count++] = (struct pending_op){
		type, must(strdup(path)), node, path_too == NULL ? NULL : must(strdup(path_too)),
	};
}

static void apply_pending(struct memdisk *disk, const struct pending_op *op)
{
	if (op->type == OP_LINK)
		set_name(&disk->durable, op->path, op->node);
	else
		drop_name(&disk->durable, op->path);
	if (op->path_too != NULL)
		drop_name(&disk->durable, op->path_too);
}

static void clear_pending(struct memdisk *disk)
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

static bool is_dir(const struct memdisk *disk, const char *path)
{
	for (size_t i = 0; i < disk->dir_count; i++) {
		if (strcmp(disk->dirs[i], path) == 0)
			return true;
	}
	return false;
}

static enum status mem_open(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct memdisk *disk = context;
	struct name *name = find_name(&disk->visible, path);
	struct mem_file *file;
	struct node *node;

	if (name == NULL && !(flags & VFS_CREATE))
		return errinfo_set(err, ST_NOTFOUND, "open %s: no such file", path);
	if ((name == NULL || (flags & VFS_TRUNCATE)) && strikes(disk))
		return injected(disk, "open", path, true, err);
	if (name == NULL) {
		node = node_create();
		set_name(&disk->visible, path, node);
		add_pending(disk, OP_LINK, path, node, NULL);
	} else {
		node = name->node;
	}
	if (flags & VFS_TRUNCATE) {
		if (node->capacity > 0) {
			memset(node->data, 0, node->capacity);
			memset(node->dirty, 1, node->capacity / MEMDISK_SECTOR);
		}
		node->size = 0;
	}
	node->references++;
	file = must(calloc(1, sizeof(*file)));
	*file = (struct mem_file){ { &disk->vfs, must(strdup(path)) }, node, disk, false };
	*out = &file->base;
	return ST_OK;
}

static void mem_close(struct vfs_file *file)
{
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
	if (disk->read_countdown > 0 && --disk->read_countdown == 0)
		return errinfo_set(err, ST_IO, "read %s: I/O error (injected)", file->path);
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

static enum status mem_write(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces, size_t count,
			     struct errinfo *err)
{
	struct memdisk *disk = mem(file)->disk;
	bool fails = strikes(disk);

	disk->stats.write_count++;
	if (fails && disk->fault != MEMDISK_SHORT_WRITE)
		return injected(disk, "write", file->path, true, err);
	for (size_t i = 0; i < count; i++) {
		size_t size = fails ? pieces[i].size / 2 : pieces[i].size;
		node_write(mem(file)->node, offset, pieces[i].data, size);
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
		return injected(disk, "sync", file->path, false, err);
	}
	node_sync(mem(file)->node);
	return ST_OK;
}

static enum status mem_size(struct vfs_file *file, uint64_t *size_out, struct errinfo *err)
{
	(void)err;
	*size_out = mem(file)->node->size;
	return ST_OK;
}

static enum status mem_rename(void *context, const char *from, const char *to, struct errinfo *err)
{
	struct memdisk *disk = context;
	struct name *name = find_name(&disk->visible, from);
	struct node *node;

	if (name == NULL)
		return errinfo_set(err, ST_NOTFOUND, "rename %s: no such file", from);
	if (strikes(disk))
		return injected(disk, "rename", from, true, err);
	node = name->node;
	set_name(&disk->visible, to, node);
	drop_name(&disk->visible, from);
	add_pending(disk, OP_LINK, to, node, from);
	return ST_OK;
}

static enum status mem_unlink(void *context, const char *path, struct errinfo *err)
{
	struct memdisk *disk = context;

	if (find_name(&disk->visible, path) == NULL)
		return errinfo_set(err, ST_NOTFOUND, "unlink %s: no such file", path);
	if (strikes(disk))
		return injected(disk, "unlink", path, false, err);
	add_pending(disk, OP_UNLINK, path, NULL, NULL);
	drop_name(&disk->visible, path);
	return ST_OK;
}

/* Directories are durable at once: no failure that matters to us hides there. */
static enum status mem_mkdir(void *context, const char *path, struct errinfo *err)
{
	struct memdisk *disk = context;

	if (is_dir(disk, path))
		return ST_OK;
	if (strikes(disk))
		return injected(disk, "mkdir", path, true, err);
	disk->dirs = must(realloc(disk->dirs, (disk->dir_count + 1) * sizeof(*disk->dirs)));
	disk->dirs[disk->dir_count++] = must(strdup(path));
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

	if (!is_dir(disk, dir))
		return errinfo_set(err, ST_NOTFOUND, "list %s: no such directory", dir);
	paths = must(calloc(count + 1, sizeof(*paths)));
	for (size_t i = 0; i < count; i++)
		paths[i] = must(strdup(disk->visible.names[i].path));
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

/* Makes all pending names durable, not only those of `dir`: stricter tests would need several directories. */
static enum status mem_sync_dir(void *context, const char *dir, struct errinfo *err)
{
	struct memdisk *disk = context;

	disk->stats.sync_count++;
	if (strikes(disk))
		return injected(disk, "sync directory", dir, false, err);
	for (size_t i = 0; i < disk->pending_count; i++)
		apply_pending(disk, &disk->pending[i]);
	clear_pending(disk);
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
	struct memdisk *disk = must(calloc(1, sizeof(*disk)));

	disk->vfs = (struct vfs){
		disk,	    mem_open,	  mem_close,  mem_read,	  mem_read_nowait, mem_write, mem_sync, mem_size,
		mem_rename, mem_unlink,	  mem_mkdir,  mem_list, mem_sync_dir,	   mem_lock,
	};
	return disk;
}

void memdisk_destroy(struct memdisk *disk)
{
	if (disk == NULL)
		return;
	clear_pending(disk);
	free(disk->pending);
	clear_names(&disk->visible);
	clear_names(&disk->durable);
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
	unsigned keep = keep_chances[next_random(&random) % 5];
	size_t survivors = disk->pending_count == 0 ? 0 : next_random(&random) % (disk->pending_count + 1);

	for (size_t i = 0; i < survivors; i++)
		apply_pending(disk, &disk->pending[i]);
	clear_pending(disk);
	clear_names(&disk->visible);
	for (size_t i = 0; i < disk->durable.count; i++) {
		set_name(&disk->visible, disk->durable.names[i].path, disk->durable.names[i].node);
		node_crash(disk->durable.names[i].node, &random, keep);
	}
	memdisk_fail(disk, 0, MEMDISK_EIO, false);
	memdisk_fail_reads(disk, 0);
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

void memdisk_fail_reads(struct memdisk *disk, uint64_t countdown)
{
	disk->read_countdown = countdown;
}

void memdisk_set_cold(struct memdisk *disk, bool cold)
{
	disk->cold = cold;
}

uint8_t *memdisk_data(struct memdisk *disk, const char *path, size_t *size_out)
{
	struct name *name = find_name(&disk->visible, path);

	if (name == NULL)
		return NULL;
	*size_out = name->node->size;
	return name->node->data;
}

void memdisk_put(struct memdisk *disk, const char *path, const void *data, size_t size)
{
	struct node *node = node_create();

	node_write(node, 0, data, size);
	node_sync(node);
	set_name(&disk->visible, path, node);
	set_name(&disk->durable, path, node);
}

bool memdisk_remove(struct memdisk *disk, const char *path)
{
	bool present = find_name(&disk->visible, path) != NULL;

	drop_name(&disk->visible, path);
	drop_name(&disk->durable, path);
	return present;
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
