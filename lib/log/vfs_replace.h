/* How does a small file get new content at once? Written under another name, made durable, then renamed: whoever opens the
 * name finds the old content or all of the new, also after a crash between any two writes.
 *
 * Segments and snapshots do the same in steps of their own (commitlog_prepare.c, snapshot_file.c): they are written piece by
 * piece while the broker works. */
#ifndef ESCROW_LOG_VFS_REPLACE_H
#define ESCROW_LOG_VFS_REPLACE_H

#include "lib/log/vfs.h"

/* Writes the content from offset 0 on. Neither syncs nor closes. */
typedef enum status (*vfs_fill)(struct vfs_file *file, const void *context, struct errinfo *err);

/* Gives `path` the content that `fill` writes; durable on ST_OK. After a failure the name holds what it held or, when only
 * the directory could not be synced, perhaps the new content; the other name (`path`.tmp) is removed if that is possible, so
 * that a full disk is not fuller. Errors are those of the file layer and of `fill`. Waits for the disk; one thread at a time
 * for each path. */
enum status vfs_replace(const struct vfs *vfs, const char *path, vfs_fill fill, const void *context, struct errinfo *err) MUST_USE;

/* Makes the name of a file or directory durable in the directory that it is in. Slashes at its end do not count. */
enum status vfs_sync_parent(const struct vfs *vfs, const char *path, struct errinfo *err) MUST_USE;

#endif
