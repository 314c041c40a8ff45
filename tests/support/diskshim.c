#include "tests/support/diskshim.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tests/support/check.h"
#include "tests/support/rawclient.h"

enum { PATIENCE_MS = 10000 };

struct diskshim *diskshim_open(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	CU_ASSERT_FATAL(fd >= 0 && ftruncate(fd, sizeof(struct diskshim)) == 0);
	void *page = mmap(NULL, sizeof(struct diskshim), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CU_ASSERT_FATAL(page != MAP_FAILED);
	close(fd);
	return page;
}

void diskshim_close(struct diskshim *shim)
{
	munmap(shim, sizeof(*shim));
}

void diskshim_enter(const char *path)
{
	const char *build = getenv("ESCROW_BUILD");
	char library[512];

	snprintf(library, sizeof(library), "%s/tests/shim/diskshim.so", build == NULL ? "build" : build);
	setenv(DISKSHIM_ENV, path, 1);
	setenv("LD_PRELOAD", library, 1);
	/* The sanitizer would like to be the first library. */
	setenv("ASAN_OPTIONS", "verify_asan_link_order=0", 1);
}

void diskshim_leave(void)
{
	unsetenv("LD_PRELOAD");
	unsetenv("ASAN_OPTIONS");
}

bool diskshim_wait(const atomic_int *value, int at_least)
{
	for (int64_t until = raw_now_ms() + PATIENCE_MS; *value < at_least && raw_now_ms() < until;)
		usleep(500);
	return *value >= at_least;
}
