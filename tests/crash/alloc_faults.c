/* See alloc_faults.h. */
#include "tests/crash/alloc_faults.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "tests/support/memdisk.h"

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void __real_free(void *p);
void *__real_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __real_memfd_create(const char *name, unsigned flags);

void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);
void __wrap_free(void *p);
char *__wrap_strdup(const char *text);
void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset);
int __wrap_memfd_create(const char *name, unsigned flags);

static uint64_t countdown;
static bool sticky, struck, paused;
static int64_t live;

void alloc_faults_arm(uint64_t count, bool stays)
{
	countdown = count;
	sticky = stays;
	struck = false;
}

bool alloc_faults_struck(void)
{
	return struck;
}

uint64_t alloc_faults_left(void)
{
	return countdown;
}

void alloc_faults_pause(bool pause)
{
	paused = pause;
}

int64_t alloc_faults_live(void)
{
	return live;
}

static bool fails(void)
{
	if (paused || memdisk_allocates)
		return false;
	if (countdown == 0)
		return struck && sticky;
	if (--countdown > 0)
		return false;
	struck = true;
	return true;
}

static void *counted(void *p)
{
	live += p != NULL;
	return p;
}

void *__wrap_malloc(size_t size)
{
	return fails() ? NULL : counted(__real_malloc(size));
}

void *__wrap_calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__real_calloc(count, size));
}

void *__wrap_realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	void *p = __real_realloc(old, size);
	live += old == NULL && p != NULL;
	return p;
}

void __wrap_free(void *p)
{
	live -= p != NULL;
	__real_free(p);
}

char *__wrap_strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = __wrap_malloc(size);

	return copy == NULL ? NULL : memcpy(copy, text, size);
}

void *__wrap_mmap(void *at, size_t size, int protection, int flags, int fd, off_t offset)
{
	if (fails()) {
		errno = ENOMEM;
		return MAP_FAILED;
	}
	return __real_mmap(at, size, protection, flags, fd, offset);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
	if (fails()) {
		errno = EMFILE;
		return -1;
	}
	return __real_memfd_create(name, flags);
}
