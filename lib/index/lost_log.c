#include "lib/index/lost_log.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/index/key_run.h"
#include "lib/log/format.h"

static enum status check_no_file(const struct vfs *vfs, const char *path, struct errinfo *err)
{
	enum status status = vfs_look_for(vfs, path, err);

	return status == ST_OK ? ST_EXISTS : status == ST_NOTFOUND ? ST_OK : status;
}

/* Looks for what is made after the log has been durable once: ST_EXISTS, and `path` says what. */
static enum status find_trace(const struct vfs *vfs, const char *root, char path[KEY_RUN_PATH_SIZE], struct errinfo *err)
{
	static const char *const files[] = { "index.pages", "broker" };

	snprintf(path, KEY_RUN_PATH_SIZE, "%s/snapshots", root);
	enum status status = vfs_check_empty(vfs, path, err);
	if (status == ST_OK) {
		key_run_dir(root, path);
		status = vfs_check_empty(vfs, path, err);
	}
	for (size_t i = 0; status == ST_OK && i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, KEY_RUN_PATH_SIZE, "%s/%s", root, files[i]);
		status = check_no_file(vfs, path, err);
	}
	return status;
}

/* In this order: who is at its first start now makes the log before what is looked for first. */
enum status lost_log_check(const struct vfs *vfs, const char *root, struct errinfo *err)
{
	char path[KEY_RUN_PATH_SIZE], dir[LOG_PATH_SIZE];
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = find_trace(vfs, root, path, err);

	if (status != ST_EXISTS)
		return status;
	status = log_dir_path(root, dir, err);
	if (status == ST_OK)
		status = log_list_segments(vfs, dir, &bases, &count, err);
	free(bases);
	if (status != ST_NOTFOUND)
		return status;
	return errinfo_set(err, ST_CORRUPT, "%.120s has lost its log: no segment is in %.120s, but %.120s is there. If a file system is "
			   "not mounted, mount it; else restore the store from a backup. Only if all messages may be lost, remove all of "
			   "%.120s", root, dir, path, root);
}
