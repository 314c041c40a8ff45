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

/* --- what the judgement of the end must not say ---------------------------------------------------------------------- */

/* Two segments' worth of records, of which the last one holds zeros; *from_out: the first record of the second one. */
static struct memdisk *make_two_segments(struct history *h, uint64_t *from_out)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_segment_count(log) < 2 || i % 10 != 0; i++) {
		append_hard(log, h, LOG_GROUP, 500, i);
		flush_all(log);
	}
	uint64_t offset, end;
	uint8_t *zeros = commitlog_begin(log, LOG_GROUP, 500, &offset);
	CU_ASSERT_PTR_NOT_NULL_FATAL(zeros);
	memset(zeros, 0, 500);
	end = commitlog_commit(log);
	history_add(h, (struct noted){ .offset = offset, .end = end });
	flush_all(log);
	*from_out = commitlog_segment(log, 1).base + LOG_SEGMENT_HEADER_SIZE;
	abandon(log);
	return disk;
}

/* Whoever asks for the log behind a bad header gets it. */
static void test_a_bad_header_elsewhere_is_not_this_places(void)
{
	struct history h = { 0 };
	struct errinfo err;
	uint64_t from;
	size_t groups = 0, size;
	struct memdisk *disk = make_two_segments(&h, &from);
	struct walk_end end = { .offset = 0 };

	memdisk_data(disk, SEGMENT_0, &size)[20] ^= 1;
	CU_ASSERT_EQUAL(log_walk(memdisk_vfs(disk), "store", from, count, &groups, &end, &err), ST_OK);
	CU_ASSERT(groups > 0);
	CU_ASSERT_EQUAL(end.offset, h.records[h.count - 1].end);
	CU_ASSERT_FALSE(end.torn);
	/* But what is no place is none. */
	size_t last = h.count - 1;
	CU_ASSERT_EQUAL(log_walk(memdisk_vfs(disk), "store", h.records[last].offset + 200, count, &groups, &end, &err), ST_INVALID);
	/* And what is bad at the place itself is told as it is. */
	memdisk_data(disk, "store/commitlog/00000000000000065536", &size)[h.records[last].offset - 65536 + LOG_ENVELOPE_SIZE] ^= 1;
	CU_ASSERT_EQUAL(log_walk(memdisk_vfs(disk), "store", from, count, &groups, &end, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000065536: CRC mismatch"));
	memdisk_destroy(disk);
	history_free(&h);
}

static struct {
	struct memdisk *disk;
	struct commitlog *log; /* Written to at each of many openings, unless NULL. */
	struct history *h;
	enum status status;    /* Of all openings but the first. */
	int openings;
} meanwhile;

/* That a file cannot be opened, or is of another version, says nothing about the log. */
static enum status open_and_fail(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	if (meanwhile.openings++ > 0)
		return errinfo_set(err, meanwhile.status, "open %s: not now", path);
	return memdisk_vfs(meanwhile.disk)->open(context, path, flags, out, err);
}

static void test_what_could_not_be_done_is_no_damage(void)
{
	static const enum status statuses[] = { ST_IO, ST_NOMEM, ST_VERSION };
	struct history h = { 0 };
	uint64_t end_of_log = 0;
	struct memdisk *disk = make_log(&h, &end_of_log);
	struct vfs failing = *memdisk_vfs(disk);

	failing.open = open_and_fail;
	for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		struct walk_end end = { .offset = 0 };
		struct errinfo err;
		size_t groups = 0;

		meanwhile.disk = disk;
		meanwhile.status = statuses[i];
		meanwhile.openings = 0;
		CU_ASSERT_EQUAL(log_walk(&failing, "store", 0, count, &groups, &end, &err), statuses[i]);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "not now"));
	}
	memdisk_destroy(disk);
	history_free(&h);
}

static enum status open_and_write(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct commitlog *log = meanwhile.log;
	enum status status = memdisk_vfs(meanwhile.disk)->open(context, path, flags, out, err);

	meanwhile.log = NULL; /* The log opens files, too. */
	for (uint32_t i = 0; i < 3 && log != NULL && flags == VFS_READ && meanwhile.openings < 50; i++) {
		append_hard(log, meanwhile.h, LOG_GROUP, 200, i);
		flush_all(log);
	}
	meanwhile.log = log;
	meanwhile.openings++;
	return status;
}

/* Where zeros were, the log did end a moment ago: what was written there while they were judged proves no damage, and is not
 * followed. */
static void test_what_a_running_broker_writes_is_no_damage(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct vfs changing = *memdisk_vfs(disk);
	struct walk_end end = { .offset = 0 };
	struct history h = { 0 };
	struct errinfo err;
	size_t groups = 0;

	append_hard(log, &h, LOG_GROUP, 200, 7);
	flush_all(log);
	meanwhile.disk = disk;
	meanwhile.log = log;
	meanwhile.h = &h;
	meanwhile.openings = 0;
	changing.open = open_and_write;
	CU_ASSERT_EQUAL(log_walk(&changing, "store", 0, count, &groups, &end, &err), ST_OK);
	CU_ASSERT(groups > 0 && groups < h.count);
	CU_ASSERT_EQUAL(end.offset, h.records[groups - 1].end);
	CU_ASSERT_FALSE(end.torn);
	meanwhile.log = NULL;
	abandon(log);
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
		CHECK_TEST(test_a_bad_header_elsewhere_is_not_this_places),
		CHECK_TEST(test_what_could_not_be_done_is_no_damage),
		CHECK_TEST(test_what_a_running_broker_writes_is_no_damage),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("walk", tests, sizeof(tests) / sizeof(tests[0]));
}
