/* A store is opened by its own broker only. */
#include "broker/core/store.h"
#include "lib/base/logging.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

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
	CU_ASSERT_EQUAL(open_as(disk, "b", &err), ST_INVALID);
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_store_of_another_broker_is_refused),
		CHECK_TEST(test_store_that_names_nobody_is_accepted),
		CHECK_TEST(test_recording_the_name_fails_at_every_operation),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core store", tests, sizeof(tests) / sizeof(tests[0]));
}
