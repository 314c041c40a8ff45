/* See segments.h. */
#include "tools/log/segments.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/log/format.h"

enum status segments_list(const struct vfs *vfs, const char *root, struct segment_list *out, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_dir_path(root, dir, err);

	*out = (struct segment_list){ 0 };
	if (status == ST_OK)
		status = log_list_segments(vfs, dir, &bases, &count, err);
	if (status != ST_OK)
		return status;
	out->items = calloc(count, sizeof(*out->items));
	if (out->items == NULL) {
		free(bases);
		return errinfo_set(err, ST_NOMEM, "out of memory");
	}
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		struct log_segment opened;

		status = log_open_segment(vfs, dir, bases[i], VFS_READ, &opened, err);
		if (status == ST_NOTFOUND) {
			status = ST_OK; /* Retention has taken it meanwhile. */
			continue;
		}
		if (status != ST_OK)
			break;
		out->items[out->count++] = (struct segment_item){ bases[i], opened.header.segment_size, opened.file_size,
								  opened.header.created_ms, opened.header.recycled };
		vfs_close(opened.file);
	}
	free(bases);
	return status;
}

void segments_free(struct segment_list *list)
{
	free(list->items);
	*list = (struct segment_list){ 0 };
}

/* "1: FLOCK  ADVISORY  WRITE 4711 08:01:131 0 EOF" */
static bool is_lock_of(const char *line, const struct stat *file)
{
	unsigned device_major, device_minor;
	unsigned long inode;
	char type[16];

	return sscanf(line, "%*d: %15s %*s %*s %*d %x:%x:%lu", type, &device_major, &device_minor, &inode) == 4 &&
	       strcmp(type, "FLOCK") == 0 && inode == file->st_ino &&
	       ((device_major == major(file->st_dev) && device_minor == minor(file->st_dev)) ||
		major(file->st_dev) == 0); /* Layered file systems have numbers of their own. */
}

bool store_is_in_use(const char *root, long *pid_out)
{
	char path[LOG_PATH_SIZE + 8], line[256];
	struct stat file;
	bool held = false;

	*pid_out = 0;
	snprintf(path, sizeof(path), "%s/lock", root);
	if (stat(path, &file) != 0)
		return false;
	FILE *locks = fopen("/proc/locks", "re");
	while (locks != NULL && !held && fgets(line, sizeof(line), locks) != NULL)
		held = is_lock_of(line, &file);
	if (locks != NULL)
		(void)fclose(locks);
	FILE *lock = held ? fopen(path, "re") : NULL;
	if (lock != NULL) {
		if (fscanf(lock, "%ld", pid_out) != 1)
			*pid_out = 0;
		(void)fclose(lock);
	}
	return held;
}
