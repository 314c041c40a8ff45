/* See tests/support/diskshim.h. Linked into nothing: built as a library of its own. */
#include "tests/support/diskshim.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

static struct diskshim *shared;

static __attribute__((constructor)) void attach(void)
{
	const char *path = getenv(DISKSHIM_ENV);
	int fd = path == NULL ? -1 : open(path, O_RDWR | O_CLOEXEC);
	void *page = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (page == MAP_FAILED)
		abort();
	close(fd);
	shared = page;
}

/* True when this call is one of those that fail. */
static bool strikes(void)
{
	if (atomic_fetch_sub(&shared->countdown, 1) > 1)
		return false;
	shared->failures++;
	return true;
}

static bool may_pass(void)
{
	int left = shared->passes;

	return left > 0 && atomic_compare_exchange_strong(&shared->passes, &left, left - 1);
}

static int sync_call(int fd, const char *name)
{
	int (*real)(int);

	*(void **)&real = dlsym(RTLD_NEXT, name);
	shared->syncs++;
	shared->held++;
	while (shared->mode == DISKSHIM_HOLD && !may_pass())
		usleep(200);
	shared->held--;
	if (shared->mode == DISKSHIM_FAIL_SYNC && strikes()) {
		errno = EIO;
		return -1;
	}
	return real(fd);
}

int fdatasync(int fd)
{
	return sync_call(fd, "fdatasync");
}

int fsync(int fd)
{
	return sync_call(fd, "fsync");
}

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	ssize_t (*real)(int, const struct iovec *, int, off_t);
	int mode = shared->mode;

	*(void **)&real = dlsym(RTLD_NEXT, "pwritev");
	if ((mode == DISKSHIM_FAIL_WRITE || mode == DISKSHIM_FULL) && strikes()) {
		errno = mode == DISKSHIM_FULL ? ENOSPC : EIO;
		return -1;
	}
	return real(fd, pieces, count, offset);
}
