/* A store is opened by its own broker only, and not without its log. */
#include "broker/core/store.h"
#include "lib/base/logging.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

#include <stdio.h>
#include <string.h>

static enum status open_as(struct memdisk *disk, const char *broker_name, struct errinfo *err)
{
	struct store_config config = {
		.log = { .root = "/store", .cluster = "c", .segment_size = LOG_SEGMENT_SIZE_MIN, .ring_size = LOG_RING_SIZE_MIN,
			 .prepare_chunk = 16 * 1024 },
		.index_cache_bytes = 512 * 1024, .broker_name = broker_name,
	};
	struct store store;
	enum status status = store_open(&config, memdisk_vfs(disk), &store, err);

	memdisk_fail(disk, 0, MEMDISK_EIO, false);
	if (status == ST_OK)
		CU_ASSERT_EQUAL(store_close(&store, true, NULL), ST_OK);
	memdisk_kill(disk);
	return status;
}

static void test_store_of_another_broker_is_refused(void)
{
	struct memdisk *disk = memdisk_create();
	struct errinfo err = { .text = "" };

	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
	memdisk_crash(disk, 1);
	uint64_t writes = memdisk_stats(disk).write_count;
	CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_INVALID);
	CU_ASSERT_EQUAL(memdisk_stats(disk).write_count, writes); /* Nothing in it was touched. */
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/store is the store of broker \"a\", not \"b\""));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "remove /store/broker"));
	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
	/* A name that begins alike is another one. */
	CU_ASSERT_EQUAL(open_as(disk, "ab", &err), ST_INVALID);
	CU_ASSERT_EQUAL(open_as(disk, "", &err), ST_INVALID);
	/* As the text says. */
	CU_ASSERT_TRUE(memdisk_remove(disk, "/store/broker"));
	CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_OK);
	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_INVALID);
	memdisk_destroy(disk);
}

/* Of a version that did not record it. */
static void test_store_that_names_nobody_is_accepted(void)
{
	struct memdisk *disk = memdisk_create();
	struct errinfo err = { .text = "" };

	CU_ASSERT_EQUAL(open_as(disk, NULL, &err), ST_OK);
	memdisk_set_full(disk, true); /* Nor can it be recorded now. */
	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
	memdisk_set_full(disk, false);
	CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_OK);
	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_INVALID);
	memdisk_put(disk, "/store/broker", "?", 1);
	CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "remove the file"));
	memdisk_destroy(disk);
}

/* Whatever fails while the name is recorded: the store is nobody's or this broker's. */
static void test_recording_the_name_fails_at_every_operation(void)
{
	enum status status = ST_IO;

	for (uint64_t n = 1; status != ST_OK; n++) {
		struct memdisk *disk = memdisk_create();
		struct errinfo err;

		CU_ASSERT_EQUAL(open_as(disk, NULL, &err), ST_OK);
		memdisk_fail(disk, n, MEMDISK_EIO, false);
		status = open_as(disk, "a", &err);
		memdisk_crash(disk, n);
		CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
		CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_INVALID);
		memdisk_destroy(disk);
	}
}

/* --- a log that is not there ------------------------------------------------------------------------------------------- */

static bool is_there(struct memdisk *disk, const char *path)
{
	return memdisk_data(disk, path, &(size_t){ 0 }) != NULL;
}

/* Refused again and again, with nothing written that would make the next start find a log. */
static void check_lost(struct memdisk *disk, const char *trace)
{
	for (int i = 0; i < 2; i++) {
		struct errinfo err = { .text = "" };
		uint64_t written = memdisk_stats(disk).write_count, synced = memdisk_stats(disk).sync_count;

		CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_CORRUPT);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/store has lost its log"));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, trace));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "mount"));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "all of /store"));
		CU_ASSERT_EQUAL(memdisk_stats(disk).write_count, written);
		CU_ASSERT_EQUAL(memdisk_stats(disk).sync_count, synced);
		CU_ASSERT_FALSE(is_there(disk, "/store/commitlog/00000000000000000000"));
	}
}

/* Each thing that only a broker with a log leaves is enough. */
static void test_store_that_lost_its_log_is_refused(void)
{
	static const char *const traces[] = { "/store/snapshots/00000000000000004160", "/store/snapshots/00000000000000004160.damaged",
					      "/store/keys/00000000000000004160", "/store/index.pages", "/store/broker" };
	struct memdisk *disk = memdisk_create();
	struct errinfo err = { .text = "" };

	CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
	struct memdisk *empty_log = memdisk_clone(disk);
	memdisk_remove_all(empty_log, "/store/commitlog/");
	check_lost(empty_log, "/store/index.pages");
	memdisk_destroy(empty_log);
	memdisk_destroy(disk);
	for (size_t i = 0; i < sizeof(traces) / sizeof(traces[0]); i++) {
		char dir[64];

		disk = memdisk_create();
		CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), "/store", NULL), ST_OK);
		snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(traces[i], '/') - traces[i]), traces[i]);
		CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), dir, NULL), ST_OK);
		memdisk_put(disk, traces[i], "x", 1);
		check_lost(disk, dir);
		/* As the text says. */
		memdisk_remove_all(disk, "/store/");
		CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
		memdisk_destroy(disk);
	}
}

/* Whatever the first start leaves when it is cut short is not taken for a store that has lost something. */
static void test_first_start_is_cut_short_at_every_operation(void)
{
	enum status status = ST_IO;

	for (uint64_t n = 1; status != ST_OK; n++) {
		struct memdisk *disk = memdisk_create();
		struct errinfo err = { .text = "" };

		memdisk_fail(disk, n, MEMDISK_EIO, true);
		status = open_as(disk, "a", NULL);
		struct memdisk *killed = memdisk_clone(disk);
		memdisk_crash(disk, n);
		CU_ASSERT_EQUAL(open_as(disk, "a", &err), ST_OK);
		CU_ASSERT_EQUAL(open_as(killed, "a", &err), ST_OK);
		memdisk_destroy(killed);
		memdisk_destroy(disk);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_store_of_another_broker_is_refused),
		CHECK_TEST(test_store_that_names_nobody_is_accepted),
		CHECK_TEST(test_recording_the_name_fails_at_every_operation),
		CHECK_TEST(test_store_that_lost_its_log_is_refused),
		CHECK_TEST(test_first_start_is_cut_short_at_every_operation),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core store", tests, sizeof(tests) / sizeof(tests[0]));
}
