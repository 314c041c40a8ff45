#include "lib/log/vfs_replace.h"

#include <stdio.h>
#include <string.h>

enum { PATH_SIZE = 1024 };

static enum status write_durably(const struct vfs *vfs, const char *path, vfs_fill fill, const void *context, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	enum status status = vfs_open(vfs, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &file, err);

	if (status == ST_OK)
		status = fill(file, context, err);
	if (status == ST_OK)
		status = vfs_sync(file, err);
	vfs_close(file);
	return status;
}

enum status vfs_sync_parent(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	char parent[PATH_SIZE];
	size_t size = strlen(path);

	while (size > 1 && path[size - 1] == '/')
		size--;
	while (size > 0 && path[size - 1] != '/')
		size--;
	while (size > 1 && path[size - 1] == '/')
		size--;
	if (size >= sizeof(parent))
		return errinfo_set(err, ST_INVALID, "%.200s...: the path is too long", path);
	snprintf(parent, sizeof(parent), "%.*s", size == 0 ? 1 : (int)size, size == 0 ? "." : path);
	return vfs_sync_dir(vfs, parent, err);
}

enum status vfs_replace(const struct vfs *vfs, const char *path, vfs_fill fill, const void *context, struct errinfo *err)
{
	char temporary[PATH_SIZE];

	if (snprintf(temporary, sizeof(temporary), "%s.tmp", path) >= (int)sizeof(temporary))
		return errinfo_set(err, ST_INVALID, "%.200s...: the path is too long", path);
	enum status status = write_durably(vfs, temporary, fill, context, err);
	if (status == ST_OK)
		status = vfs_rename(vfs, temporary, path, err);
	if (status == ST_OK)
		return vfs_sync_parent(vfs, path, err);
	(void)!vfs_unlink(vfs, temporary, NULL); /* The failure has been told; what stays is overwritten next time. */
	return status;
}
