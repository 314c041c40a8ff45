#include "tests/capacity/scratch.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

uint64_t scratch_free(const char *dir)
{
	struct statvfs vfs;

	if (statvfs(dir, &vfs) != 0) {
		perror(dir);
		exit(2);
	}
	return (uint64_t)vfs.f_bavail * vfs.f_frsize;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	return ftw->level == 0 ? 0 : remove(path);
}

void scratch_empty(const char *dir)
{
	if (nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS) != 0) {
		perror(dir);
		exit(2);
	}
}
