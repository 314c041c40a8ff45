/* tools/log/walk: where does a log end, and is what follows a torn write, damage, or nothing at all? */
#include <inttypes.h>
#include <unistd.h>

#include "tests/unit/log/log_fixture.h"
#include "tools/log/walk.h"

/* A few records that are synced, and no more. *end_out: where the log goes on. */
static struct memdisk *make_log(struct history *h, uint64_t *end_out)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; i < 5; i++) {
		append_hard(log, h, LOG_GROUP, 200, i);
		flush_all(log);
	}
	*end_out = commitlog_appended(log);
	abandon(log);
	return disk;
}

/* The file ends `size` bytes behind the log, and these are there. */
static struct memdisk *with_tail(const struct memdisk *disk, uint64_t end, const uint8_t *tail, size_t size)
{
	struct memdisk *copy = memdisk_clone(disk);
	uint8_t *data = malloc(end + size);
	size_t whole;

	assert(data != NULL);
	memcpy(data, memdisk_data(copy, SEGMENT_0, &whole), end);
	if (size > 0)
		memcpy(data + end, tail, size);
	memdisk_put(copy, SEGMENT_0, data, end + size);
	free(data);
	return copy;
}

static enum status count(void *context, const struct log_record *record, struct errinfo *err)
{
	(void)err;
	*(size_t *)context += record->kind == LOG_GROUP;
	return ST_OK;
}

/* It ends at `at`, and that is no damage. */
static struct walk_end walk(struct memdisk *disk, const struct history *h, uint64_t at)
{
	struct walk_end end = { .offset = 0 };
	struct errinfo err;
	size_t groups = 0;

	CU_ASSERT_EQUAL(log_walk(memdisk_vfs(disk), "store", 0, count, &groups, &end, &err), ST_OK);
	CU_ASSERT_EQUAL(groups, h->count);
	CU_ASSERT_EQUAL(end.offset, at);
	return end;
}

static void test_zeros_are_no_torn_write(void)
{
	static const uint8_t zeros[100] = { 0 };
	static const size_t sizes[] = { 0, 1, 8, LOG_ENVELOPE_SIZE - 1, LOG_ENVELOPE_SIZE, 100 };
	struct history h = { 0 };
	uint64_t end_of_log = 0;
	struct memdisk *disk = make_log(&h, &end_of_log);

	CU_ASSERT_FALSE(walk(disk, &h, end_of_log).torn);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct memdisk *copy = with_tail(disk, end_of_log, zeros, sizes[i]);

		CU_ASSERT_FALSE(walk(copy, &h, end_of_log).torn);
		memdisk_destroy(copy);
	}
	memdisk_destroy(disk);
	history_free(&h);
}

/* However little of it is there: where the file ends before a record's envelope would, and behind zeros. */
static void test_any_other_byte_is_a_torn_write(void)
{
	struct history h = { 0 };
	uint64_t end_of_log = 0;
	struct memdisk *disk = make_log(&h, &end_of_log);
	uint8_t tail[100] = { 0 };

	for (size_t size = 1; size <= sizeof(tail); size++) {
		tail[size - 1] = 1;
		struct memdisk *copy = with_tail(disk, end_of_log, tail, size);
		struct walk_end end = walk(copy, &h, end_of_log);

		CU_ASSERT_TRUE(end.torn);
		const char *behind = size == LOG_ENVELOPE_SIZE ? "not a record" : "zeros";
		CU_ASSERT_STRING_EQUAL(end.reason, size < LOG_ENVELOPE_SIZE ? "the file ends" : behind);
		/* Also for who has seen all records, and asks whether there are more. */
		end = (struct walk_end){ .offset = 0 };
		struct errinfo err;
		size_t groups = 0;
		CU_ASSERT_EQUAL(log_walk(memdisk_vfs(copy), "store", end_of_log, count, &groups, &end, &err), ST_OK);
		CU_ASSERT_TRUE(end.torn && groups == 0);
		tail[size - 1] = 0;
		memdisk_destroy(copy);
	}
	memdisk_destroy(disk);
	history_free(&h);
}

/* A sector that reads as zeros looks like a log's end. What lies behind it tells that it is none. */
static void test_a_hole_in_what_was_durable_is_damage(void)
{
	struct history h = { 0 };
	uint64_t end_of_log = 0;
	struct memdisk *disk = make_log(&h, &end_of_log);

	for (size_t i = 0; i + 1 < h.count; i++) {
		struct memdisk *copy = memdisk_clone(disk);
		struct walk_end end = { .offset = 0 };
		struct errinfo err;
		size_t size, groups = 0;

		memset(memdisk_data(copy, SEGMENT_0, &size) + h.records[i].offset, 0, h.records[i].end - h.records[i].offset);
		CU_ASSERT_EQUAL(log_walk(memdisk_vfs(copy), "store", 0, count, &groups, &end, &err), ST_CORRUPT);
		CU_ASSERT_EQUAL(groups, i);
		CU_ASSERT_EQUAL(end.offset, h.records[i].offset);
		CU_ASSERT_FALSE(end.torn);
		memdisk_destroy(copy);
	}
	memdisk_destroy(disk);
	history_free(&h);
}

/* Within a record, of which the log's other records prove nothing perhaps. */
static void test_a_place_that_is_none_is_refused(void)
{
	struct history h = { 0 };
	uint64_t end_of_log = 0;
	struct memdisk *disk = make_log(&h, &end_of_log);

	alarm(20); /* For one that looks for ever. */
	for (uint64_t at = h.records[0].offset + 1; at < end_of_log; at++) {
		struct walk_end end = { .offset = 0 };
		struct errinfo err;
		size_t groups = 0;
		enum status status = log_walk(memdisk_vfs(disk), "store", at, count, &groups, &end, &err);

		bool is_place = false;
		for (size_t i = 0; i < h.count; i++)
			is_place = is_place || h.records[i].offset == at || h.records[i].end == at;
		CU_ASSERT_EQUAL(status, is_place ? ST_OK : ST_INVALID);
	}
	alarm(0);
	memdisk_destroy(disk);
	history_free(&h);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_zeros_are_no_torn_write),
		CHECK_TEST(test_any_other_byte_is_a_torn_write),
		CHECK_TEST(test_a_hole_in_what_was_durable_is_damage),
		CHECK_TEST(test_a_place_that_is_none_is_refused),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("walk", tests, sizeof(tests) / sizeof(tests[0]));
}
