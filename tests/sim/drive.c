#include "tests/sim/drive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/vfs.h"
#include "tests/sim/archive.h"
#include "tests/sim/report.h"
#include "tests/support/memdisk.h"

enum { PAGE = 4096, OPERATIONS_UNLIMITED = UINT32_MAX };

/* Which pages of a file the page cache holds. By name: that is enough for what it is for. */
struct cached {
	struct cached *next;
	char *path;
	uint8_t *warm; /* A byte a page. */
	size_t page_count;
};

struct drive {
	struct vfs vfs;
	struct memdisk *memory;
	const struct vfs *inner;
	struct archive *archive;
	struct cached *cache;
	uint32_t generation;      /* Of the process that uses it. */
	uint32_t operations_left; /* Of one that dies. */
	uint32_t fail_sync_in;
	bool sync_failed;
	bool full;
};

struct open_file {
	struct vfs_file base;
	struct vfs_file *inner;
	struct drive *drive;
	struct cached *cached;
	uint32_t generation;
};

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

static struct open_file *of(struct vfs_file *file)
{
	return (struct open_file *)file;
}

/* --- the page cache ------------------------------------------------------------------------------------------------- */

static struct cached *find_cached(struct drive *drive, const char *path)
{
	struct cached *cached = drive->cache;

	while (cached != NULL && strcmp(cached->path, path) != 0)
		cached = cached->next;
	if (cached != NULL)
		return cached;
	cached = must(calloc(1, sizeof(*cached)));
	cached->path = must(strdup(path));
	cached->next = drive->cache;
	drive->cache = cached;
	return cached;
}

static void warm(struct cached *cached, uint64_t offset, size_t size)
{
	size_t end = (size_t)((offset + size + PAGE - 1) / PAGE);

	if (end > cached->page_count) {
		cached->warm = must(realloc(cached->warm, end));
		memset(cached->warm + cached->page_count, 0, end - cached->page_count);
		cached->page_count = end;
	}
	if (size > 0)
		memset(cached->warm + offset / PAGE, 1, end - (size_t)(offset / PAGE));
}

static bool is_warm(const struct cached *cached, uint64_t offset, size_t size)
{
	for (uint64_t page = offset / PAGE; page <= (offset + size - 1) / PAGE; page++) {
		if (page >= cached->page_count || cached->warm[page] == 0)
			return false;
	}
	return true;
}

void drive_drop_cache(struct drive *drive)
{
	for (struct cached *cached = drive->cache; cached != NULL; cached = cached->next)
		cached->page_count = 0;
}

/* --- life and death ------------------------------------------------------------------------------------------------- */

/* True if a changing operation gets through. */
static bool passes(struct drive *drive, uint32_t generation)
{
	if (generation != drive->generation || drive->operations_left == 0)
		return false;
	if (drive->operations_left != OPERATIONS_UNLIMITED)
		drive->operations_left--;
	return true;
}

static enum status dead(const char *what, const char *path, struct errinfo *err)
{
	return errinfo_set(err, ST_IO, "%s %s: the process is dead (simulated)", what, path);
}

static enum status no_space(const char *what, const char *path, struct errinfo *err)
{
	return errinfo_set(err, ST_FULL, "%s %s: no space left (simulated)", what, path);
}

void drive_let_die(struct drive *drive, uint32_t operations)
{
	drive->operations_left = operations;
}

void drive_cut(struct drive *drive, bool power, uint64_t seed)
{
	drive->operations_left = 0;
	drive->generation++;
	drive->fail_sync_in = 0;
	if (power)
		memdisk_crash(drive->memory, seed);
	else
		memdisk_kill(drive->memory);
	if (power)
		drive_drop_cache(drive);
}

void drive_revive(struct drive *drive)
{
	drive->generation++;
	drive->operations_left = OPERATIONS_UNLIMITED;
	drive->sync_failed = false;
}

/* --- the file layer ------------------------------------------------------------------------------------------------- */

static struct vfs_file *wrap(struct drive *drive, struct vfs_file *inner, const char *path)
{
	struct open_file *file = must(calloc(1, sizeof(*file)));

	*file = (struct open_file){ { &drive->vfs, must(strdup(path)) }, inner, drive, find_cached(drive, path),
				     drive->generation };
	return &file->base;
}

static bool exists(struct drive *drive, const char *path)
{
	size_t size;

	return memdisk_data(drive->memory, path, &size) != NULL;
}

static enum status do_open(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct drive *drive = context;
	bool creates = (flags & VFS_CREATE) != 0 && !exists(drive, path), changes = creates || (flags & VFS_TRUNCATE) != 0;
	struct vfs_file *inner;

	if (drive->operations_left == 0 || (changes && !passes(drive, drive->generation)))
		return dead("open", path, err);
	if (creates && drive->full)
		return no_space("create", path, err);
	enum status status = vfs_open(drive->inner, path, flags, &inner, err);
	if (status == ST_OK)
		*out = wrap(drive, inner, path);
	return status;
}

static void do_close(struct vfs_file *file)
{
	vfs_close(of(file)->inner);
	free(file->path);
	free(file);
}

static enum status do_read(struct vfs_file *file, uint64_t offset, void *data, size_t size, size_t *got_out,
			      struct errinfo *err)
{
	warm(of(file)->cached, offset, size);
	return vfs_read(of(file)->inner, offset, data, size, got_out, err);
}

static void do_read_ahead(struct vfs_file *file, uint64_t offset, uint64_t size)
{
	vfs_read_ahead(of(file)->inner, offset, size);
}

static enum status do_read_nowait(struct vfs_file *file, uint64_t offset, void *data, size_t size)
{
	if (size > 0 && !is_warm(of(file)->cached, offset, size)) {
		event_seen(SEEN_COLD);
		return ST_AGAIN;
	}
	return vfs_read_nowait(of(file)->inner, offset, data, size);
}

static enum status do_write(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces, size_t count,
			       struct errinfo *err)
{
	struct drive *drive = of(file)->drive;
	uint64_t file_size, size = 0;

	for (size_t i = 0; i < count; i++)
		size += pieces[i].size;
	if (!passes(drive, of(file)->generation))
		return dead("write", file->path, err);
	if (drive->full && vfs_size(of(file)->inner, &file_size, NULL) == ST_OK && offset + size > file_size)
		return no_space("write", file->path, err);
	warm(of(file)->cached, offset, size);
	return vfs_write(of(file)->inner, offset, pieces, count, err);
}

static enum status do_sync(struct vfs_file *file, struct errinfo *err)
{
	struct drive *drive = of(file)->drive;

	if (!passes(drive, of(file)->generation))
		return dead("sync", file->path, err);
	if (drive->fail_sync_in > 0 && --drive->fail_sync_in == 0) {
		/* As memdisk has it: what was written since the last sync is lost, but still seen. */
		memdisk_fail(drive->memory, 1, MEMDISK_EIO, false);
		drive->sync_failed = true;
		fault_seen(FAULT_SYNC_FAILED);
		note("disk: a sync of %s fails", file->path);
	}
	return vfs_sync(of(file)->inner, err);
}

static enum status do_size(struct vfs_file *file, uint64_t *size_out, struct errinfo *err)
{
	return vfs_size(of(file)->inner, size_out, err);
}

static enum status do_rename(void *context, const char *from, const char *to, struct errinfo *err)
{
	struct drive *drive = context;

	if (!passes(drive, drive->generation))
		return dead("rename", from, err);
	archive_file_goes(drive->archive, from, drive->memory);
	return vfs_rename(drive->inner, from, to, err);
}

static enum status do_unlink(void *context, const char *path, struct errinfo *err)
{
	struct drive *drive = context;

	if (!passes(drive, drive->generation))
		return dead("unlink", path, err);
	archive_file_goes(drive->archive, path, drive->memory);
	return vfs_unlink(drive->inner, path, err);
}

static enum status do_mkdir(void *context, const char *path, struct errinfo *err)
{
	struct drive *drive = context;

	if (!passes(drive, drive->generation))
		return dead("mkdir", path, err);
	return vfs_mkdir(drive->inner, path, err);
}

static enum status do_list(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
			      struct errinfo *err)
{
	struct drive *drive = context;

	return vfs_list(drive->inner, dir, callback, callback_context, err);
}

static enum status do_sync_dir(void *context, const char *dir, struct errinfo *err)
{
	struct drive *drive = context;

	if (!passes(drive, drive->generation))
		return dead("sync directory", dir, err);
	return vfs_sync_dir(drive->inner, dir, err);
}

static enum status do_lock(void *context, const char *path, struct vfs_file **out, struct errinfo *err)
{
	struct drive *drive = context;
	struct vfs_file *inner;

	if (!passes(drive, drive->generation))
		return dead("lock", path, err);
	enum status status = vfs_lock(drive->inner, path, &inner, err);
	if (status == ST_OK)
		*out = wrap(drive, inner, path);
	return status;
}

/* --- the drive ------------------------------------------------------------------------------------------------------ */

struct drive *drive_create(void)
{
	struct drive *drive = must(calloc(1, sizeof(*drive)));

	drive->memory = memdisk_create();
	drive->archive = archive_create();
	drive->inner = memdisk_vfs(drive->memory);
	drive->operations_left = OPERATIONS_UNLIMITED;
	drive->vfs = (struct vfs){
		.context = drive, .open = do_open, .close = do_close, .read = do_read,
		.read_nowait = do_read_nowait, .read_ahead = do_read_ahead, .write = do_write, .sync = do_sync, .size = do_size,
		.rename = do_rename, .unlink = do_unlink, .mkdir = do_mkdir, .list = do_list,
		.sync_dir = do_sync_dir, .lock = do_lock,
	};
	return drive;
}

void drive_destroy(struct drive *drive)
{
	if (drive == NULL)
		return;
	while (drive->cache != NULL) {
		struct cached *next = drive->cache->next;

		free(drive->cache->path);
		free(drive->cache->warm);
		free(drive->cache);
		drive->cache = next;
	}
	archive_destroy(drive->archive);
	memdisk_destroy(drive->memory);
	free(drive);
}

const struct vfs *drive_vfs(struct drive *drive)
{
	return &drive->vfs;
}

struct memdisk *drive_memory(struct drive *drive)
{
	return drive->memory;
}

struct memdisk *drive_whole(struct drive *drive)
{
	return archive_whole(drive->archive, drive->memory);
}

void drive_fail_sync(struct drive *drive, uint32_t n)
{
	drive->fail_sync_in = n;
}

bool drive_sync_failed(const struct drive *drive)
{
	return drive->sync_failed;
}

void drive_set_full(struct drive *drive, bool full)
{
	drive->full = full;
}

bool drive_is_full(const struct drive *drive)
{
	return drive->full;
}
