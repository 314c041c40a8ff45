/* The file layer: which calls reach a disk, as a table, so that a test can own the disk.
 *
 * Production is vfs_posix(). tests/support/memdisk.h gives the same table over memory, knows which sectors
 * are durable, and fails on demand. Nothing in lib/log or lib/index calls open(2) and friends by itself.
 *
 * Contract of every implementation:
 * - vfs_write writes everything or fails; after a failure any part of the bytes may be on the disk.
 * - written bytes are durable only after vfs_sync; names (create, rename, unlink) only after vfs_sync_dir.
 * - a failed vfs_sync is final: the bytes may be lost although a second call would succeed. Never retry.
 * - errors: ST_FULL (no space, quota), ST_IO (anything else), with path and reason in *err (which may be NULL).
 *
 * Threads: a file may be read, written and synced by several threads at once (the caller keeps ranges apart);
 * open, close and the calls that take paths belong to one thread at a time per path. */
#ifndef ESCROW_LOG_VFS_H
#define ESCROW_LOG_VFS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct vfs;

/* An open file. Implementations embed it as their first member. */
struct vfs_file {
	const struct vfs *vfs;
	char *path; /* For error texts; owned by the file. */
};

struct vfs_piece { /* One gather element of a write. */
	const void *data;
	size_t size;
};

enum vfs_open_flags {
	VFS_READ = 0,      /* Read-only, must exist. */
	VFS_WRITE = 1,     /* Read and write, must exist unless VFS_CREATE. */
	VFS_CREATE = 2,    /* Created when absent (with VFS_WRITE). */
	VFS_TRUNCATE = 4,  /* Emptied when present (with VFS_WRITE). */
};

typedef enum status (*vfs_list_callback)(void *context, const char *name);

struct vfs {
	void *context;
	enum status (*open)(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err);
	void (*close)(struct vfs_file *file);
	enum status (*read)(struct vfs_file *file, uint64_t offset, void *data, size_t size, size_t *got_out,
			    struct errinfo *err);
	enum status (*read_nowait)(struct vfs_file *file, uint64_t offset, void *data, size_t size);
	void (*read_ahead)(struct vfs_file *file, uint64_t offset, uint64_t size);
	enum status (*write)(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces, size_t count,
			     struct errinfo *err);
	enum status (*sync)(struct vfs_file *file, struct errinfo *err);
	enum status (*size)(struct vfs_file *file, uint64_t *size_out, struct errinfo *err);
	enum status (*rename)(void *context, const char *from, const char *to, struct errinfo *err);
	enum status (*unlink)(void *context, const char *path, struct errinfo *err);
	enum status (*mkdir)(void *context, const char *path, struct errinfo *err);
	enum status (*list)(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
			    struct errinfo *err);
	enum status (*sync_dir)(void *context, const char *dir, struct errinfo *err);
	enum status (*lock)(void *context, const char *path, struct vfs_file **out, struct errinfo *err);
};

/* The operating system's files. Static lifetime; any thread. */
const struct vfs *vfs_posix(void);

/* Opens `path`; ST_NOTFOUND when it must exist and does not, ST_IO when something else than a file is there (a directory, a
 * FIFO: the text says what). Close with vfs_close. */
static inline MUST_USE enum status vfs_open(const struct vfs *vfs, const char *path, unsigned flags,
					    struct vfs_file **out, struct errinfo *err)
{
	return vfs->open(vfs->context, path, flags, out, err);
}

/* NULL is allowed. Does not sync. Releases a lock. */
static inline void vfs_close(struct vfs_file *file)
{
	if (file != NULL)
		file->vfs->close(file);
}

/* Reads `size` bytes at `offset`; *got_out is less only at the end of the file. May block on the disk. */
static inline MUST_USE enum status vfs_read(struct vfs_file *file, uint64_t offset, void *data, size_t size,
					    size_t *got_out, struct errinfo *err)
{
	return file->vfs->read(file, offset, data, size, got_out, err);
}

/* As vfs_read of exactly `size` bytes, but only if it need not wait for the disk. ST_AGAIN: use vfs_read on a
 * thread that may wait (also when the bytes are not there or could not be read: vfs_read says why). */
static inline MUST_USE enum status vfs_read_nowait(struct vfs_file *file, uint64_t offset, void *data, size_t size)
{
	return file->vfs->read_nowait(file, offset, data, size);
}

/* That these bytes will be read soon. A hint: nothing is reported, and it may wait for the disk's queue, not for the bytes. */
static inline void vfs_read_ahead(struct vfs_file *file, uint64_t offset, uint64_t size)
{
	file->vfs->read_ahead(file, offset, size);
}

/* Writes all pieces one after the other from `offset`. Short writes and EINTR are handled inside. */
static inline MUST_USE enum status vfs_write(struct vfs_file *file, uint64_t offset, const struct vfs_piece *pieces,
					     size_t count, struct errinfo *err)
{
	return file->vfs->write(file, offset, pieces, count, err);
}

/* fdatasync: content and size durable on return. */
static inline MUST_USE enum status vfs_sync(struct vfs_file *file, struct errinfo *err)
{
	return file->vfs->sync(file, err);
}

static inline MUST_USE enum status vfs_size(struct vfs_file *file, uint64_t *size_out, struct errinfo *err)
{
	return file->vfs->size(file, size_out, err);
}

/* Replaces `to` atomically. Durable after vfs_sync_dir. A directory can be renamed, too, to a name that is nobody's. */
static inline MUST_USE enum status vfs_rename(const struct vfs *vfs, const char *from, const char *to,
					      struct errinfo *err)
{
	return vfs->rename(vfs->context, from, to, err);
}

/* ST_NOTFOUND when absent. */
static inline MUST_USE enum status vfs_unlink(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	return vfs->unlink(vfs->context, path, err);
}

/* Creates one directory; ST_OK when it exists already. */
static inline MUST_USE enum status vfs_mkdir(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	return vfs->mkdir(vfs->context, path, err);
}

/* Calls back with each name in `dir` (not "." and ".."), in no particular order, until one gives a failure.
 * ST_NOTFOUND when the directory is absent. */
static inline MUST_USE enum status vfs_list(const struct vfs *vfs, const char *dir, vfs_list_callback callback,
					    void *callback_context, struct errinfo *err)
{
	return vfs->list(vfs->context, dir, callback, callback_context, err);
}

/* Is there such a file? ST_OK, ST_NOTFOUND; another failure: nobody knows. */
static inline MUST_USE enum status vfs_look_for(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	enum status status = vfs_open(vfs, path, VFS_READ, &file, err);

	vfs_close(file);
	return status;
}

static inline enum status vfs_stop_at_any(void *context, const char *name)
{
	(void)context;
	(void)name;
	return ST_EXISTS;
}

/* ST_OK for an empty directory, and for one that is absent; ST_EXISTS: there is something in it. */
static inline MUST_USE enum status vfs_check_empty(const struct vfs *vfs, const char *dir, struct errinfo *err)
{
	enum status status = vfs_list(vfs, dir, vfs_stop_at_any, NULL, err);

	return status == ST_NOTFOUND ? ST_OK : status;
}

static inline MUST_USE enum status vfs_sync_dir(const struct vfs *vfs, const char *dir, struct errinfo *err)
{
	return vfs->sync_dir(vfs->context, dir, err);
}

/* Takes an exclusive lock on `path` (created when absent) and writes our pid into it. ST_LOCKED names the holder's
 * pid and the path. The lock ends with vfs_close or with the process. */
static inline MUST_USE enum status vfs_lock(const struct vfs *vfs, const char *path, struct vfs_file **out,
					    struct errinfo *err)
{
	return vfs->lock(vfs->context, path, out, err);
}

#endif
