#include "lib/index/unfinished.h"

#include <stdio.h>

enum { PATH_SIZE = 640 };
/* For whoever looks into the directory; the programs go by the name. */
static const char TEXT[] =
	"This directory is an unfinished copy of a store: escrow-log backup or restore writes to it, or was stopped before its end.\n"
	"It is neither a backup nor a store, because messages are missing, and no broker starts on it.\n"
	"When no escrow-log is at work here any more, remove the directory and run the command again.\n";

static void mark_path(const char *root, char out[PATH_SIZE])
{
	snprintf(out, PATH_SIZE, "%.600s/unfinished", root);
}

/* Not by way of another name (vfs_replace.h): the name counts, from its first moment on, whatever it holds. */
enum status unfinished_mark(const struct vfs *vfs, const char *root, struct errinfo *err)
{
	struct vfs_piece piece = { TEXT, sizeof(TEXT) - 1 };
	struct vfs_file *file = NULL;
	char path[PATH_SIZE];

	mark_path(root, path);
	enum status status = vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &file, err);
	if (status == ST_OK)
		status = vfs_write(file, 0, &piece, 1, err);
	if (status == ST_OK)
		status = vfs_sync(file, err);
	vfs_close(file);
	return status == ST_OK ? vfs_sync_dir(vfs, root, err) : status;
}

enum status unfinished_clear(const struct vfs *vfs, const char *root, struct errinfo *err)
{
	char path[PATH_SIZE];

	mark_path(root, path);
	enum status status = vfs_unlink(vfs, path, err);
	return status == ST_OK ? vfs_sync_dir(vfs, root, err) : status;
}

enum status unfinished_check(const struct vfs *vfs, const char *root, struct errinfo *err)
{
	char path[PATH_SIZE];

	mark_path(root, path);
	enum status status = vfs_look_for(vfs, path, err);
	if (status != ST_OK)
		return status == ST_NOTFOUND ? ST_OK : status;
	return errinfo_set(err, ST_CORRUPT, "%.160s is an unfinished copy (it has the file \"unfinished\"): escrow-log backup or restore "
			   "is at work there, or was stopped before its end, and messages are missing: when it is not at work any more, "
			   "remove the directory and run it again", root);
}
