/* lib/log/vfs_posix on the file systems of this machine: what memdisk cannot show. */
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log/vfs.h"
#include "tests/support/check.h"

/* What was read a moment ago is read without waiting, also where the file system knows no such reads: otherwise a
 * reader that was told to come again would do so for ever. */
static void check_read_nowait(const char *dir)
{
	static const char text[] = "what was read a moment ago";
	const struct vfs *vfs = vfs_posix();
	struct vfs_piece piece = { text, sizeof(text) };
	struct vfs_file *file;
	struct errinfo err;
	char path[600], got[sizeof(text)];
	size_t size;

	snprintf(path, sizeof(path), "%s/escrow-vfs-%ld", dir, (long)getpid());
	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &file, &err), ST_OK);
	CU_ASSERT_EQUAL(vfs_write(file, 0, &piece, 1, &err), ST_OK);
	CU_ASSERT_EQUAL(vfs_read(file, 0, got, sizeof(got), &size, &err), ST_OK);
	memset(got, 0, sizeof(got));
	CU_ASSERT_EQUAL(vfs_read_nowait(file, 0, got, sizeof(got)), ST_OK);
	CU_ASSERT_EQUAL(memcmp(got, text, sizeof(text)), 0);
	/* Past the end there is nothing, without or with waiting. */
	CU_ASSERT_EQUAL(vfs_read_nowait(file, 1, got, sizeof(got)), ST_AGAIN);
	vfs_close(file);
	CU_ASSERT_EQUAL(vfs_unlink(vfs, path, &err), ST_OK);
}

static void test_a_second_read_need_not_wait(void)
{
	char *dir = check_make_dir();
	struct stat info;

	check_read_nowait(dir);
	if (stat("/dev/shm", &info) == 0 && access("/dev/shm", W_OK) == 0)
		check_read_nowait("/dev/shm"); /* A tmpfs, which has no RWF_NOWAIT. */
	check_remove_dir(dir);
}

/* More pieces than one call of the system takes. */
static void test_a_write_of_many_pieces_is_whole(void)
{
	enum { PIECES = 200 };
	const struct vfs *vfs = vfs_posix();
	struct vfs_piece pieces[PIECES];
	struct vfs_file *file;
	uint8_t bytes[PIECES], got[PIECES + 1];
	char *dir = check_make_dir(), path[600];
	size_t size = 0;

	for (size_t i = 0; i < PIECES; i++) {
		bytes[i] = (uint8_t)i;
		pieces[i] = (struct vfs_piece){ &bytes[i], 1 };
	}
	snprintf(path, sizeof(path), "%s/pieces", dir);
	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &file, NULL), ST_OK);
	CU_ASSERT_EQUAL(vfs_write(file, 0, pieces, PIECES, NULL), ST_OK);
	CU_ASSERT_EQUAL(vfs_read(file, 0, got, sizeof(got), &size, NULL), ST_OK);
	CU_ASSERT_EQUAL(size, PIECES);
	CU_ASSERT_EQUAL(memcmp(got, bytes, PIECES), 0);
	vfs_close(file);
	check_remove_dir(dir);
}

/* Stands before the C library's: the next writes fail so. */
static int write_errno;
static unsigned write_failures;

ssize_t pwritev(int fd, const struct iovec *pieces, int count, off_t offset)
{
	if (write_failures == 0)
		return syscall(SYS_pwritev, fd, pieces, count, offset, 0);
	write_failures--;
	errno = write_errno;
	return -1;
}

static enum status write_that_fails(struct vfs_file *file, int code, unsigned failures)
{
	struct vfs_piece piece = { "x", 1 };

	write_errno = code;
	write_failures = failures;
	return vfs_write(file, 0, &piece, 1, NULL);
}

/* A disk without space and a quota that is used up are for waiting; all else is for stopping. An interruption is neither. */
static void test_no_space_is_told_from_a_bad_disk(void)
{
	const struct vfs *vfs = vfs_posix();
	struct vfs_file *file;
	char *dir = check_make_dir(), path[600];

	snprintf(path, sizeof(path), "%s/full", dir);
	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &file, NULL), ST_OK);
	CU_ASSERT_EQUAL(write_that_fails(file, ENOSPC, 1), ST_FULL);
	CU_ASSERT_EQUAL(write_that_fails(file, EDQUOT, 1), ST_FULL);
	CU_ASSERT_EQUAL(write_that_fails(file, EIO, 1), ST_IO);
	CU_ASSERT_EQUAL(write_that_fails(file, EINTR, 3), ST_OK);
	vfs_close(file);
	check_remove_dir(dir);
}

/* Message bodies are for the broker's own user and group. */
static void test_files_are_not_for_everybody(void)
{
	const struct vfs *vfs = vfs_posix();
	struct vfs_file *file;
	struct stat info;
	char *dir = check_make_dir(), path[600];
	mode_t before = umask(0);

	snprintf(path, sizeof(path), "%s/store", dir);
	CU_ASSERT_EQUAL(vfs_mkdir(vfs, path, NULL), ST_OK);
	CU_ASSERT_TRUE(stat(path, &info) == 0 && (info.st_mode & 0777) == 0750);
	snprintf(path, sizeof(path), "%s/store/segment", dir);
	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &file, NULL), ST_OK);
	CU_ASSERT_TRUE(stat(path, &info) == 0 && (info.st_mode & 0777) == 0640);
	vfs_close(file);
	umask(before);
	check_remove_dir(dir);
}

/* Refused, and it says what lies there; without waiting for whoever is at the other end. */
static void expect_no_file(const char *path, const char *what)
{
	static const unsigned ways[] = { VFS_READ, VFS_WRITE, VFS_WRITE | VFS_CREATE, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE };

	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct vfs_file *file = NULL;
		struct errinfo err = { 0 };

		CU_ASSERT_EQUAL(vfs_open(vfs_posix(), path, ways[i], &file, &err), ST_IO);
		CU_ASSERT_PTR_NULL(file);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, what));
	}
}

static void test_what_is_no_file_is_not_opened(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char *dir = check_make_dir(), path[600];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)alarm(10); /* The end of whoever waits for it. */
	snprintf(path, sizeof(path), "%s/fifo", dir);
	CU_ASSERT_EQUAL(mkfifo(path, 0640), 0);
	expect_no_file(path, "is a FIFO");
	snprintf(path, sizeof(path), "%s/link", dir);
	CU_ASSERT_EQUAL(symlink("/dev/null", path), 0);
	expect_no_file(path, "is a symbolic link");
	CU_ASSERT_FATAL(snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", dir) < (int)sizeof(address.sun_path));
	CU_ASSERT_EQUAL_FATAL(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	expect_no_file(address.sun_path, "is a socket");
	expect_no_file(dir, "is a directory");
	expect_no_file("/dev/null", "is a device");
	(void)alarm(0);
	close(fd);
	check_remove_dir(dir);
}

/* What the system cannot sync, it says: so it was asked. */
static void test_a_sync_asks_the_system(void)
{
	const struct vfs *vfs = vfs_posix();
	struct vfs_file *file;
	char *dir = check_make_dir();

	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, "/proc/self/comm", VFS_WRITE, &file, NULL), ST_OK);
	CU_ASSERT_EQUAL(vfs_sync(file, NULL), ST_IO);
	vfs_close(file);
	CU_ASSERT_EQUAL(vfs_sync_dir(vfs, "/proc", NULL), ST_IO);
	CU_ASSERT_EQUAL(vfs_sync_dir(vfs, dir, NULL), ST_OK);
	check_remove_dir(dir);
}

/* All descriptors are in use, by connections perhaps: a new file must wait, as on a full disk, but names can be synced. */
static void test_without_descriptors(void)
{
	const struct vfs *vfs = vfs_posix();
	struct vfs_file *files[64], *file;
	struct rlimit before, few = { 0 };
	char *dir = check_make_dir(), path[600], old[600];
	struct errinfo err;
	int count = 0;

	snprintf(path, sizeof(path), "%s/new", dir);
	snprintf(old, sizeof(old), "%s/old", dir);
	CU_ASSERT_EQUAL_FATAL(vfs_open(vfs, old, VFS_WRITE | VFS_CREATE, &file, NULL), ST_OK);
	vfs_close(file);
	CU_ASSERT_EQUAL(vfs_sync_dir(vfs, dir, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(getrlimit(RLIMIT_NOFILE, &before), 0);
	few = (struct rlimit){ 32, before.rlim_max };
	CU_ASSERT_EQUAL_FATAL(setrlimit(RLIMIT_NOFILE, &few), 0);
	while (count < 64 && vfs_open(vfs, old, VFS_READ, &files[count], NULL) == ST_OK)
		count++;
	CU_ASSERT(count < 64);
	for (int i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(vfs_sync_dir(vfs, dir, NULL), ST_OK);
	CU_ASSERT_EQUAL(vfs_open(vfs, path, VFS_WRITE | VFS_CREATE, &file, &err), ST_FULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "Too many open files"));
	CU_ASSERT_EQUAL(vfs_open(vfs, old, VFS_READ, &file, NULL), ST_IO);
	while (count > 0)
		vfs_close(files[--count]);
	CU_ASSERT_EQUAL(setrlimit(RLIMIT_NOFILE, &before), 0);
	check_remove_dir(dir);
}

/* Stands before the C library's, like pwritev: the next one fails so. */
static int open_errno;

int open(const char *path, int flags, ...)
{
	va_list more;

	va_start(more, flags);
	unsigned mode = flags & O_CREAT ? va_arg(more, unsigned) : 0;
	va_end(more);
	if (open_errno == 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	errno = open_errno;
	open_errno = 0;
	return -1;
}

static enum status open_that_fails(const char *path, unsigned flags, int code)
{
	struct vfs_file *file;

	open_errno = code;
	return vfs_open(vfs_posix(), path, flags, &file, NULL);
}

/* That the whole machine has none left is no fault of this disk either. */
static void test_without_descriptors_on_the_machine(void)
{
	char *dir = check_make_dir(), path[600];

	snprintf(path, sizeof(path), "%s/new", dir);
	CU_ASSERT_EQUAL(open_that_fails(path, VFS_WRITE | VFS_CREATE, ENFILE), ST_FULL);
	CU_ASSERT_EQUAL(open_that_fails(path, VFS_WRITE | VFS_CREATE, EIO), ST_IO);
	CU_ASSERT_EQUAL(open_that_fails(path, VFS_READ, ENFILE), ST_IO);
	check_remove_dir(dir);
}

/* Stands before the C library's: directories end in an error while this is set. */
static bool directories_break;

struct dirent *readdir(DIR *stream)
{
	struct dirent *(*real)(DIR *);

	*(void **)&real = dlsym(RTLD_NEXT, "readdir");
	struct dirent *entry = real(stream);
	if (entry == NULL && directories_break)
		errno = EIO;
	return entry;
}

static enum status count_name(void *context, const char *name)
{
	(void)name;
	++*(int *)context;
	return ST_OK;
}

/* Else segments and snapshots that are there would count as gone. */
static void test_half_a_directory_is_no_directory(void)
{
	const struct vfs *vfs = vfs_posix();
	char *dir = check_make_dir(), path[600];
	struct errinfo err = { 0 };
	int names = 0;

	snprintf(path, sizeof(path), "%s/one", dir);
	CU_ASSERT_EQUAL(vfs_mkdir(vfs, path, NULL), ST_OK);
	CU_ASSERT_EQUAL(vfs_list(vfs, dir, count_name, &names, NULL), ST_OK);
	CU_ASSERT_EQUAL(names, 1);
	directories_break = true;
	CU_ASSERT_EQUAL(vfs_list(vfs, dir, count_name, &names, &err), ST_IO);
	directories_break = false;
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, dir));
	check_remove_dir(dir);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_second_read_need_not_wait),
		CHECK_TEST(test_a_write_of_many_pieces_is_whole),
		CHECK_TEST(test_no_space_is_told_from_a_bad_disk),
		CHECK_TEST(test_files_are_not_for_everybody),
		CHECK_TEST(test_what_is_no_file_is_not_opened),
		CHECK_TEST(test_a_sync_asks_the_system),
		CHECK_TEST(test_without_descriptors),
		CHECK_TEST(test_without_descriptors_on_the_machine),
		CHECK_TEST(test_half_a_directory_is_no_directory),
	};

	return check_main("vfs_posix", tests, sizeof(tests) / sizeof(tests[0]));
}
