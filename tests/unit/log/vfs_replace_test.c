/* A file's content replaced at once: every call fails once, and the power goes after each. */
#include "lib/log/vfs_replace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"
#include "tests/support/memdisk.h"

enum { OLD_SIZE = 700, NEW_SIZE = 3000, SEEDS = 50 };
static const char PATH[] = "store/file", TEMPORARY[] = "store/file.tmp";

/* In two writes, so that one of them can fail. */
static enum status fill(struct vfs_file *file, const void *context, struct errinfo *err)
{
	char bytes[NEW_SIZE / 2];
	struct vfs_piece piece = { bytes, sizeof(bytes) };

	memset(bytes, *(const char *)context, sizeof(bytes));
	enum status status = vfs_write(file, 0, &piece, 1, err);
	return status == ST_OK ? vfs_write(file, sizeof(bytes), &piece, 1, err) : status;
}

static struct memdisk *disk_with_old(void)
{
	struct memdisk *disk = memdisk_create();
	char old[OLD_SIZE];

	CU_ASSERT_EQUAL_FATAL(vfs_mkdir(memdisk_vfs(disk), "store", NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(vfs_sync_dir(memdisk_vfs(disk), ".", NULL), ST_OK);
	memset(old, 'o', sizeof(old));
	memdisk_put(disk, PATH, old, sizeof(old));
	return disk;
}

/* 'o' or 'n' when the file is one content and whole, else 0. */
static char content(struct memdisk *disk)
{
	size_t size = 0;
	const uint8_t *bytes = memdisk_data(disk, PATH, &size);

	if (bytes == NULL || size != (bytes[0] == 'o' ? OLD_SIZE : NEW_SIZE))
		return 0;
	for (size_t i = 1; i < size; i++) {
		if (bytes[i] != bytes[0])
			return 0;
	}
	return (char)bytes[0];
}

static bool there(struct memdisk *disk, const char *path)
{
	size_t size;

	return memdisk_data(disk, path, &size) != NULL;
}

static void test_done_is_durable(void)
{
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		struct memdisk *disk = disk_with_old();

		CU_ASSERT_EQUAL(vfs_replace(memdisk_vfs(disk), PATH, fill, "n", NULL), ST_OK);
		memdisk_crash(disk, seed);
		CU_ASSERT_EQUAL(content(disk), 'n');
		CU_ASSERT_FALSE(there(disk, TEMPORARY));
		memdisk_destroy(disk);
	}
}

/* Whichever call fails: the error is told, and the file is the old one unless only its name was not yet sure. */
static void test_each_call_fails_once(void)
{
	uint64_t failures = 0;

	for (uint64_t k = 1;; k++) {
		struct memdisk *disk = disk_with_old();
		struct errinfo err = { 0 };
		memdisk_fail(disk, k, MEMDISK_EIO, false);
		enum status status = vfs_replace(memdisk_vfs(disk), PATH, fill, "n", &err);
		bool struck = memdisk_fault_struck(disk);

		CU_ASSERT_EQUAL(status, struck ? ST_IO : ST_OK);
		CU_ASSERT_EQUAL(err.text[0] != '\0', struck);
		CU_ASSERT(content(disk) == 'o' || content(disk) == 'n');
		CU_ASSERT_FALSE(there(disk, TEMPORARY));
		memdisk_destroy(disk);
		if (!struck)
			break;
		failures++;
	}
	CU_ASSERT_EQUAL(failures, 6); /* Create, two writes, sync, rename, directory. */
}

/* The power goes after each call: what has the name is whole. */
static void test_power_cuts(void)
{
	for (uint64_t k = 1; k <= 6; k++) {
		for (uint64_t seed = 1; seed <= SEEDS; seed++) {
			struct memdisk *disk = disk_with_old();

			memdisk_fail(disk, k, MEMDISK_EIO, true);
			CU_ASSERT_EQUAL(vfs_replace(memdisk_vfs(disk), PATH, fill, "n", NULL), ST_IO);
			memdisk_crash(disk, seed);
			CU_ASSERT(content(disk) == 'o' || content(disk) == 'n');
			memdisk_destroy(disk);
		}
	}
}

static void test_a_path_that_is_too_long(void)
{
	struct memdisk *disk = disk_with_old();
	char path[1100];
	struct errinfo err;

	memset(path, 'p', sizeof(path));
	path[sizeof(path) - 1] = '\0';
	CU_ASSERT_EQUAL(vfs_replace(memdisk_vfs(disk), path, fill, "n", &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "the path is too long"));
	memdisk_destroy(disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_done_is_durable),
		CHECK_TEST(test_each_call_fails_once),
		CHECK_TEST(test_power_cuts),
		CHECK_TEST(test_a_path_that_is_too_long),
	};

	return check_main("replaced files", tests, sizeof(tests) / sizeof(tests[0]));
}
