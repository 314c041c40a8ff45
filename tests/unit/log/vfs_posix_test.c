/* lib/log/vfs_posix on the file systems of this machine: what memdisk cannot show. */
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_a_second_read_need_not_wait) };

	return check_main("vfs_posix", tests, 1);
}
