#include "tests/sim/archive.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/format.h"
#include "tests/support/memdisk.h"

enum { NAME_DIGITS = 20 };

struct archive {
	struct memdisk *segments;
};

struct archive *archive_create(void)
{
	struct archive *archive = calloc(1, sizeof(*archive));
	char dir[LOG_PATH_SIZE];
	struct errinfo err;

	if (archive == NULL)
		abort();
	archive->segments = memdisk_create();
	if (log_dir_path(".", dir, &err) != ST_OK || vfs_mkdir(memdisk_vfs(archive->segments), dir, &err) != ST_OK)
		abort();
	return archive;
}

void archive_destroy(struct archive *archive)
{
	memdisk_destroy(archive->segments);
	free(archive);
}

/* Of its directory and twenty digits. */
static bool is_segment(const char *path)
{
	char dir[LOG_PATH_SIZE];
	struct errinfo err;

	if (log_dir_path(".", dir, &err) != ST_OK || strncmp(path, dir, strlen(dir)) != 0)
		return false;
	const char *name = path + strlen(dir);
	return *name == '/' && strlen(name + 1) == NAME_DIGITS && strspn(name + 1, "0123456789") == NAME_DIGITS;
}

void archive_file_goes(struct archive *archive, const char *path, struct memdisk *disk)
{
	size_t size;
	const uint8_t *data = is_segment(path) ? memdisk_data(disk, path, &size) : NULL;

	if (data != NULL)
		memdisk_put(archive->segments, path, data, size);
}

struct merging {
	const struct archive *archive;
	struct memdisk *whole;
	char dir[LOG_PATH_SIZE];
	char first[NAME_DIGITS + 1]; /* Name of the log's first segment. */
};

static enum status find_first(void *context, const char *name)
{
	struct merging *merging = context;

	if (strlen(name) == NAME_DIGITS && (merging->first[0] == '\0' || strcmp(name, merging->first) < 0))
		memcpy(merging->first, name, NAME_DIGITS + 1);
	return ST_OK;
}

static enum status add_earlier(void *context, const char *name)
{
	struct merging *merging = context;
	char path[LOG_PATH_SIZE + NAME_DIGITS + 2];
	size_t size;

	if (strlen(name) != NAME_DIGITS || strcmp(name, merging->first) >= 0)
		return ST_OK;
	snprintf(path, sizeof(path), "%s/%s", merging->dir, name);
	const uint8_t *data = memdisk_data(merging->archive->segments, path, &size);
	memdisk_put(merging->whole, path, data, size);
	return ST_OK;
}

struct memdisk *archive_whole(const struct archive *archive, const struct memdisk *disk)
{
	struct merging merging = { .archive = archive, .whole = memdisk_clone(disk) };
	struct errinfo err;

	if (log_dir_path(".", merging.dir, &err) != ST_OK ||
	    vfs_list(memdisk_vfs(merging.whole), merging.dir, find_first, &merging, &err) != ST_OK ||
	    vfs_list(memdisk_vfs(archive->segments), merging.dir, add_earlier, &merging, &err) != ST_OK)
		abort();
	return merging.whole;
}
