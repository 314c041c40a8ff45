/* What a log is known by: the last record that was read, ever, and the start in front of it. */
#include "broker/projections/oplog_witness.h"

#include <sys/stat.h>
#include <unistd.h>

#include "tests/unit/log/log_fixture.h"

static void note(struct oplog_witness *witness, enum log_kind kind, uint64_t offset, uint32_t crc)
{
	struct log_record record = { .kind = kind, .offset = offset, .crc = crc };

	oplog_witness_note(witness, &record);
}

static void check(const struct oplog_witness *witness, uint64_t last, uint32_t last_crc, uint64_t start, uint32_t start_crc)
{
	CU_ASSERT_EQUAL(witness->last_offset, last);
	CU_ASSERT_EQUAL(witness->last_crc, last_crc);
	CU_ASSERT_EQUAL(witness->start_offset, start);
	CU_ASSERT_EQUAL(witness->start_crc, start_crc);
}

static void test_the_last_record_and_the_last_start_are_kept(void)
{
	struct oplog_witness witness = { 0 };

	note(&witness, LOG_HALF, 4096, 11);
	check(&witness, 4096, 11, 0, 0);
	note(&witness, LOG_EPOCH, 5000, 12);
	check(&witness, 5000, 12, 5000, 12);
	note(&witness, LOG_BATCH, 5064, 13);
	note(&witness, LOG_HALF, 5112, 14);
	check(&witness, 5112, 14, 5000, 12);
	note(&witness, LOG_EPOCH, 6000, 15);
	check(&witness, 6000, 15, 6000, 15);
}

/* Rows of what is read again are there, and of more. */
static void test_what_is_read_again_does_not_count(void)
{
	struct oplog_witness witness = { .last_offset = 6000, .last_crc = 20, .start_offset = 5000, .start_crc = 21 };

	note(&witness, LOG_EPOCH, 4096, 1);
	note(&witness, LOG_HALF, 5500, 2);
	note(&witness, LOG_HALF, 6000, 3);
	check(&witness, 6000, 20, 5000, 21);
	note(&witness, LOG_HALF, 6100, 4);
	check(&witness, 6100, 4, 5000, 21);
}

static void test_nothing_is_known_of_nothing(void)
{
	struct oplog_witness witness = { 0 };
	struct errinfo err;

	CU_ASSERT_EQUAL(oplog_witness_check(&witness, "/nonexistent", 0, &err), ST_OK);
}

static void test_what_is_ahead_of_the_end_is_another_log(void)
{
	struct oplog_witness witness = { .last_offset = 6000 };
	struct errinfo err;

	CU_ASSERT_EQUAL(oplog_witness_check(&witness, "/nonexistent", 6000, &err), ST_CONFLICT);
}

/* --- against a log ------------------------------------------------------------------------------------------------ */

struct story {
	char *root;
	uint64_t start, durable;
	struct log_record first, last; /* Of the first segment, and of all. */
	char segment[2][LOG_PATH_SIZE + LOG_NAME_SIZE];
};

/* Two segments. */
static void begin_story(struct story *story)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = NULL;
	struct logreader *reader;
	struct log_record record;
	char dir[LOG_PATH_SIZE];
	struct errinfo err;

	*story = (struct story){ .root = check_make_dir() };
	config.root = story->root;
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, NULL), ST_OK);
	while (commitlog_appended(log) < LOG_SEGMENT_SIZE_MIN + 20000)
		append_hard(log, NULL, LOG_GROUP, 1000, 1);
	flush_all(log);
	story->durable = commitlog_durable(log);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(logreader_open(vfs_posix(), story->root, 0, &reader, &err), ST_OK);
	story->start = logreader_position(reader);
	while (logreader_next(reader, story->durable, &record, &err) == ST_OK) {
		story->last = record;
		if (record.offset < story->start + 20000)
			story->first = record;
	}
	logreader_close(reader);
	CU_ASSERT_EQUAL_FATAL(log_dir_path(story->root, dir, &err), ST_OK);
	for (uint64_t i = 0; i < 2; i++)
		log_segment_path(dir, i * LOG_SEGMENT_SIZE_MIN, story->segment[i], sizeof(story->segment[i]));
}

static enum status check_story(const struct story *story, const struct oplog_witness *witness)
{
	struct errinfo err;

	return oplog_witness_check(witness, story->root, story->durable, &err);
}

static struct oplog_witness witness_of(const struct story *story)
{
	return (struct oplog_witness){ .last_offset = story->last.offset, .last_crc = story->last.crc,
				       .start_offset = story->first.offset, .start_crc = story->first.crc };
}

static void test_both_records_must_be_there(void)
{
	struct story story;

	begin_story(&story);
	struct oplog_witness good = witness_of(&story), witness = good;
	CU_ASSERT_EQUAL(check_story(&story, &good), ST_OK);
	witness.last_crc++;
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_CONFLICT);
	witness = good;
	witness.start_crc++;
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_CONFLICT);
	witness = good;
	witness.last_offset -= 8; /* Within the record before. */
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_CONFLICT);
	check_remove_dir(story.root);
}

static void test_what_the_log_no_longer_holds_proves_nothing(void)
{
	struct story story;

	begin_story(&story);
	struct oplog_witness witness = witness_of(&story);
	CU_ASSERT_FALSE(oplog_log_begins_behind(story.root, story.start));
	CU_ASSERT_TRUE(oplog_log_begins_behind(story.root, story.start - 8));
	CU_ASSERT_EQUAL_FATAL(unlink(story.segment[0]), 0);
	CU_ASSERT_TRUE(oplog_log_begins_behind(story.root, witness.start_offset));
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_OK);
	witness.last_crc++;
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_CONFLICT);
	check_remove_dir(story.root);
}

/* Not the log's fault: to be tried again. */
static void test_a_disk_that_fails_proves_nothing(void)
{
	struct story story;

	begin_story(&story);
	struct oplog_witness witness = witness_of(&story);
	CU_ASSERT_EQUAL_FATAL(unlink(story.segment[1]), 0);
	CU_ASSERT_EQUAL_FATAL(mkdir(story.segment[1], 0700), 0); /* What cannot be read. */
	CU_ASSERT_EQUAL(check_story(&story, &witness), ST_IO);
	check_remove_dir(story.root);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_the_last_record_and_the_last_start_are_kept),
		CHECK_TEST(test_what_is_read_again_does_not_count),
		CHECK_TEST(test_nothing_is_known_of_nothing),
		CHECK_TEST(test_what_is_ahead_of_the_end_is_another_log),
		CHECK_TEST(test_both_records_must_be_there),
		CHECK_TEST(test_what_the_log_no_longer_holds_proves_nothing),
		CHECK_TEST(test_a_disk_that_fails_proves_nothing),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("oplog-witness", tests, sizeof(tests) / sizeof(tests[0]));
}
