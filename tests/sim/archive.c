#include "tests/sim/archive.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/format.h"
#include "tests/support/memdisk.h"

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

static bool is_segment(const char *path)
{
	char dir[LOG_PATH_SIZE];
	uint64_t base;
	struct errinfo err;

	if (log_dir_path(".", dir, &err) != ST_OK || strncmp(path, dir, strlen(dir)) != 0)
		return false;
	const char *name = path + strlen(dir);
	return *name == '/' && log_parse_name(name + 1, &base);
}

void archive_file_goes(struct archive *archive, const char *path, struct memdisk *disk)
{
	size_t size;
	const uint8_t *data = is_segment(path) ? memdisk_data(disk, path, &size) : NULL;

	if (data != NULL)
		memdisk_put(archive->segments, path, data, size);
}

/* Ascending; the caller's. None is no failure. */
static uint64_t *bases_in(const struct vfs *vfs, const char *dir, size_t *count_out)
{
	uint64_t *bases = NULL;
	struct errinfo err;

	*count_out = 0;
	enum status status = log_list_segments(vfs, dir, &bases, count_out, &err);
	if (status != ST_OK && status != ST_NOTFOUND)
		abort();
	return bases;
}

struct memdisk *archive_whole(const struct archive *archive, const struct memdisk *disk)
{
	struct memdisk *whole = memdisk_clone(disk);
	char dir[LOG_PATH_SIZE], path[LOG_PATH_SIZE + LOG_NAME_SIZE];
	size_t count, kept_count, size;
	struct errinfo err;

	if (log_dir_path(".", dir, &err) != ST_OK)
		abort();
	uint64_t *bases = bases_in(memdisk_vfs(whole), dir, &count);
	uint64_t *kept = bases_in(memdisk_vfs(archive->segments), dir, &kept_count);
	for (size_t i = 0; i < kept_count && count > 0 && kept[i] < bases[0]; i++) {
		log_segment_path(dir, kept[i], path, sizeof(path));
		const uint8_t *data = memdisk_data(archive->segments, path, &size);
		memdisk_put(whole, path, data, size);
	}
	free(bases);
	free(kept);
	return whole;
}
