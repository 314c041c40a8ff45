/* A reader that opens the log beside a broker: the oldest segment may be used again between any two of its steps. */
#include "tests/unit/log/log_fixture.h"

/* A memory disk on which the first file that is opened becomes another segment's at once. */
struct racing_disk {
	struct vfs vfs; /* Of the memory disk, but for the opening. */
	const struct vfs *inner;
	int overtakes;  /* So many are still to come. */
};

static void use_again(struct racing_disk *disk, const char *path, struct vfs_file *file)
{
	uint8_t page[LOG_SEGMENT_HEADER_SIZE];
	char temporary[LOG_PATH_SIZE];
	struct log_segment_header header;
	struct vfs_file *writable;
	size_t got;

	CU_ASSERT_EQUAL_FATAL(vfs_read(file, 0, page, sizeof(page), &got, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(log_decode_header(page, &header, NULL), ST_OK);
	header.base += 100 * header.segment_size;
	log_encode_header(&header, page);
	CU_ASSERT_EQUAL_FATAL(vfs_open(disk->inner, path, VFS_WRITE, &writable, NULL), ST_OK);
	snprintf(temporary, sizeof(temporary), "%s.tmp", path);
	CU_ASSERT_EQUAL_FATAL(vfs_rename(disk->inner, path, temporary, NULL), ST_OK);
	struct vfs_piece piece = { page, sizeof(page) };
	CU_ASSERT_EQUAL_FATAL(vfs_write(writable, 0, &piece, 1, NULL), ST_OK);
	vfs_close(writable);
}

static enum status open_and_lose(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct racing_disk *disk = context;
	enum status status = vfs_open(disk->inner, path, flags, out, err);

	if (status == ST_OK && disk->overtakes > 0) {
		disk->overtakes--;
		use_again(disk, path, *out);
	}
	return status;
}

static enum status list(void *context, const char *dir, vfs_list_callback callback, void *callback_context, struct errinfo *err)
{
	return vfs_list(((struct racing_disk *)context)->inner, dir, callback, callback_context, err);
}

static struct racing_disk racing(struct memdisk *disk, int overtakes)
{
	struct racing_disk racing = { *memdisk_vfs(disk), memdisk_vfs(disk), overtakes };

	racing.vfs.open = open_and_lose;
	racing.vfs.list = list;
	return racing;
}

static struct commitlog *make_log(struct memdisk *disk, struct history *h)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_segment_count(log) < 5; i++)
		append_hard(log, h, LOG_MESSAGE, 500, i);
	flush_all(log);
	return log;
}

static void test_what_is_used_again_while_it_is_opened_is_no_damage(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct commitlog *log = make_log(disk, &h);
	struct racing_disk race = racing(disk, 2);
	struct logreader *reader = NULL;
	struct log_record record;
	struct errinfo err;

	race.vfs.context = &race;
	CU_ASSERT_EQUAL_FATAL(logreader_open(&race.vfs, "store", 0, &reader, &err), ST_OK);
	CU_ASSERT_EQUAL(logreader_position(reader), 2 * LOG_SEGMENT_SIZE_MIN + LOG_SEGMENT_HEADER_SIZE);
	CU_ASSERT_EQUAL(logreader_next(reader, commitlog_durable(log), &record, &err), ST_OK);
	logreader_close(reader);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* What was to be read is gone, as if it had been gone before. */
static void test_a_place_that_is_used_again_is_not_found(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct commitlog *log = make_log(disk, &h);
	struct racing_disk race = racing(disk, 1);
	struct logreader *reader = NULL;
	struct errinfo err;

	race.vfs.context = &race;
	CU_ASSERT_EQUAL(logreader_open(&race.vfs, "store", h.records[2].offset, &reader, &err), ST_NOTFOUND);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A bad header of a file that stays is damage, as ever. */
static void test_a_bad_header_is_damage(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct commitlog *log = make_log(disk, &h);
	struct logreader *reader = NULL;
	struct errinfo err;
	size_t size;

	memdisk_data(disk, SEGMENT_0, &size)[20] ^= 1;
	CU_ASSERT_EQUAL(logreader_open(memdisk_vfs(disk), "store", 0, &reader, &err), ST_CORRUPT);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_used_again_while_it_is_opened_is_no_damage),
		CHECK_TEST(test_a_place_that_is_used_again_is_not_found),
		CHECK_TEST(test_a_bad_header_is_damage),
	};
	return check_main("overtaken", tests, sizeof(tests) / sizeof(tests[0]));
}
