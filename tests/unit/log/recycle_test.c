/* Segments that are given up and used again: no gap, no stale byte that passes for a record, whatever is lost when. */
#include <inttypes.h>

#include "tests/unit/log/log_fixture.h"

/* Drops the history of what lies before the log's start. */
static void forget_dropped(struct commitlog *log, struct history *h)
{
	size_t kept = 0;

	for (size_t i = 0; i < h->count; i++) {
		if (h->records[i].offset >= commitlog_start(log))
			h->records[kept++] = h->records[i];
	}
	h->count = kept;
}

static void drop(struct commitlog *log, struct history *h)
{
	CU_ASSERT_EQUAL_FATAL(commitlog_drop_oldest(log), ST_OK);
	forget_dropped(log, h);
}

/* A log that has gone round: each segment but the first ones lies in a recycled file. */
static struct commitlog *make_recycled(struct memdisk *disk, struct history *h, size_t segments)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_appended(log) < segments * LOG_SEGMENT_SIZE_MIN; i++) {
		append_hard(log, h, LOG_MESSAGE, 300 + i % 700, i);
		if (commitlog_segment_count(log) > 2)
			drop(log, h);
	}
	flush_all(log);
	return log;
}

static size_t file_count(struct memdisk *disk)
{
	uint64_t *bases = NULL;
	size_t count = 0;

	CU_ASSERT_EQUAL(log_list_segments(memdisk_vfs(disk), "store/commitlog", &bases, &count, NULL), ST_OK);
	free(bases);
	return count;
}

static uint64_t file_bytes(struct memdisk *disk)
{
	uint64_t *bases = NULL, total = 0;
	size_t count = 0, size;
	char path[64];

	CU_ASSERT_EQUAL(log_list_segments(memdisk_vfs(disk), "store/commitlog", &bases, &count, NULL), ST_OK);
	for (size_t i = 0; i < count; i++) {
		log_segment_path("store/commitlog", bases[i], path, sizeof(path));
		CU_ASSERT_PTR_NOT_NULL_FATAL(memdisk_data(disk, path, &size));
		total += size;
	}
	free(bases);
	return total;
}

static void test_goes_round(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = make_recycled(disk, &h, 12);

	CU_ASSERT(file_count(disk) <= 5);
	CU_ASSERT(commitlog_start(log) > 8 * LOG_SEGMENT_SIZE_MIN);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	log = must_open(disk, &config);
	/* What was given up may have come back with its file; what was not is all there. */
	forget_dropped(log, &h);
	CU_ASSERT(replay_matches(log, &h) == h.count || commitlog_start(log) < h.records[0].offset);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_dropped_offsets_cannot_be_read(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct commitlog *log = make_recycled(disk, &h, 4);
	struct span span;

	CU_ASSERT_EQUAL(commitlog_read_limit(log, LOG_SEGMENT_HEADER_SIZE), 0);
	CU_ASSERT_EQUAL(commitlog_read(log, LOG_SEGMENT_HEADER_SIZE, 64, &span), ST_INVALID);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_waits_for_readers(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct log_read_job job;
	uint8_t data[1024];

	for (uint32_t i = 0; commitlog_segment_count(log) < 3; i++)
		append_hard(log, &h, LOG_MESSAGE, 500, i);
	flush_all(log);
	uint64_t size = h.records[3].end - h.records[3].offset;
	CU_ASSERT_EQUAL_FATAL(commitlog_prepare_read(log, h.records[3].offset, size, true, data, &job, NULL), ST_OK);
	CU_ASSERT_EQUAL(commitlog_drop_oldest(log), ST_OK);
	commitlog_keep_spares(log, false);
	prepare_all(log);
	size_t size_now;
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(disk, SEGMENT_0, &size_now));
	log_read_run(&job);
	CU_ASSERT_EQUAL(job.result, ST_OK);
	commitlog_read_done(log, &job);
	prepare_all(log);
	CU_ASSERT_PTR_NULL(memdisk_data(disk, SEGMENT_0, &size_now));
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_spares_go_when_space_is_wanted(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_segment_count(log) < 6; i++)
		append_hard(log, &h, LOG_MESSAGE, 500, i);
	prepare_all(log);
	size_t files = file_count(disk);
	for (int i = 0; i < 4; i++)
		drop(log, &h);
	prepare_all(log);
	CU_ASSERT_EQUAL(file_count(disk), files - 3); /* One waits to be used again. */
	commitlog_keep_spares(log, false);
	prepare_all(log);
	CU_ASSERT_EQUAL(file_count(disk), files - 4);
	flush_all(log);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* Power cuts at random moments while the log goes round and round. */
static void test_power_cuts(void)
{
	uint64_t random = check_seed(77);

	for (int round = 0; round < 60; round++) {
		struct memdisk *disk = memdisk_create();
		struct commitlog_config config = small_config();
		struct history h = { 0 };
		struct commitlog *log = make_recycled(disk, &h, 5 + check_random(&random) % 4);

		for (int cut = 0; cut < 4; cut++) {
			for (uint64_t i = check_random(&random) % 300; i > 0; i--) {
				append_hard(log, &h, LOG_HALF, check_random(&random) % 2000, (uint32_t)(round * 1000 + i));
				if (check_random(&random) % 5 == 0)
					(void)flush(log, check_random(&random) % 3 != 0);
				if (commitlog_segment_count(log) > 2)
					drop(log, &h);
				if (check_random(&random) % 3 == 0)
					(void)prepare(log);
			}
			uint64_t durable = commitlog_durable(log), start = commitlog_start(log);
			memdisk_crash(disk, check_random(&random));
			abandon(log);
			log = must_open(disk, &config);
			/* All that was durable, in order, and nothing that nobody wrote. */
			size_t whole = 0;
			while (whole < h.count && h.records[whole].end < commitlog_durable(log))
				whole++;
			CU_ASSERT(commitlog_start(log) <= start && commitlog_durable(log) >= durable);
			h.count = whole;
			struct replay_check check = { .history = &h };
			if (whole > 0) {
				CU_ASSERT_EQUAL(commitlog_replay(log, h.records[0].offset, check_replayed, &check, NULL), ST_OK);
				CU_ASSERT_FALSE(check.wrong);
				CU_ASSERT_EQUAL(check.next, whole);
			}
			while (commitlog_start(log) < start)
				drop(log, &h);
		}
		abandon(log);
		history_free(&h);
		memdisk_destroy(disk);
	}
}

static const char *const SEGMENT_1 = "store/commitlog/00000000000000065536";

static void test_known_part_is_not_read(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };

	for (uint32_t i = 0; i < 100; i++)
		append_hard(log, &h, LOG_MESSAGE, 400, i);
	flush_all(log);
	abandon(log);
	size_t size;
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	file[h.records[10].offset + 40] ^= 1; /* Before what is known: not looked at. */
	config.known = (struct log_known){ h.records[50].offset, h.records[90].offset };
	log = must_open(disk, &config);
	struct history tail = { .records = h.records + 50, .count = 50 };
	struct replay_check check = { .history = &tail };
	CU_ASSERT_EQUAL(commitlog_replay(log, config.known.from, check_replayed, &check, NULL), ST_OK);
	CU_ASSERT(!check.wrong && check.next == 50);
	abandon(log);
	/* The log has lost what a snapshot saw: refused. */
	file = memdisk_data(disk, SEGMENT_0, &size);
	memset(file + h.records[80].offset, 0, size - h.records[80].offset);
	CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "snapshot"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_0));
	history_free(&h);
	memdisk_destroy(disk);
}

/* Killed when the snapshot has its name and nothing is behind it: the records before it say which epoch was in force, and one of
 * them that is bad is no torn tail. */
static void test_nothing_behind_the_snapshot_does_not_unsay_it(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };
	size_t size = 0;

	for (uint32_t i = 0; i < 20; i++)
		append_hard(log, &h, LOG_MESSAGE, 400, i);
	flush_all(log);
	config.known = (struct log_known){ commitlog_durable(log), commitlog_durable(log) };
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	file[h.records[19].offset + 40] ^= 1;
	CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "snapshot"));
	file[h.records[19].offset + 40] ^= 1;
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A file that is shorter than it was when the next one was begun: the log before the snapshot is read again, but what the
 * snapshot has seen durable is not taken for a torn tail. */
static void test_a_shortened_file_does_not_unsay_the_snapshot(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };
	size_t size = 0;

	for (uint32_t i = 0; i < 100; i++)
		append_hard(log, &h, LOG_MESSAGE, 400, i);
	flush_all(log);
	while (prepare(log) == ST_OK && memdisk_data(disk, SEGMENT_1, &size) == NULL)
		;
	CU_ASSERT_PTR_NOT_NULL_FATAL(memdisk_data(disk, SEGMENT_1, &size));
	CU_ASSERT_TRUE(commitlog_appended(log) < config.segment_size);
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size), *cut = malloc(size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
	memcpy(cut, file, size);
	memdisk_put(disk, SEGMENT_0, cut, h.records[80].offset);
	config.known = (struct log_known){ h.records[50].offset, h.records[90].offset };
	CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "snapshot"));
	config.known.durable = h.records[80].offset; /* Nobody has seen more. */
	log = must_open(disk, &config);
	abandon(log);
	free(cut);
	history_free(&h);
	memdisk_destroy(disk);
}

/* What a snapshot says of the log before it is not believed when a file there is shorter than it was. */
static void test_a_file_cut_short_is_noticed_behind_a_snapshot(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };
	size_t size;

	for (uint32_t i = 0; commitlog_segment_count(log) < 3 || i % 10 != 0; i++)
		append_hard(log, &h, LOG_MESSAGE, 400, i);
	flush_all(log);
	config.known = (struct log_known){ h.records[h.count - 2].offset, h.records[h.count - 1].end };
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size), half[LOG_SEGMENT_SIZE_MIN / 2];
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	memcpy(half, file, sizeof(half));
	memdisk_put(disk, SEGMENT_0, half, sizeof(half));
	CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_0));
	history_free(&h);
	memdisk_destroy(disk);
}

/* A gap that the snapshot hides from the check is no leftover of a cut: nothing behind it is removed. */
static void test_a_segment_missing_before_a_snapshot_costs_no_other(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };

	for (uint32_t i = 0; commitlog_segment_count(log) < 3; i++)
		append_hard(log, &h, LOG_MESSAGE, 400, i);
	flush_all(log);
	config.known = (struct log_known){ h.records[h.count - 1].offset, h.records[h.count - 1].end };
	abandon(log);
	size_t files = file_count(disk);
	CU_ASSERT_TRUE(memdisk_remove(disk, SEGMENT_1));
	CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000065536: segment is missing"));
	CU_ASSERT_EQUAL(file_count(disk), files - 1);
	history_free(&h);
	memdisk_destroy(disk);
}

/* What is called prepared is on the disk, or a full disk would end the log instead of stopping what is new. */
static void test_a_file_that_was_never_complete_is_not_used_again(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct log_segment_range first;
	uint8_t part[40 * 1024];
	size_t size = 0;

	while (commitlog_appended(log) < 36 * 1024)
		append_hard(log, &h, LOG_MESSAGE, 1000, 1);
	flush_all(log);
	prepare_all(log);
	abandon(log);
	memcpy(part, memdisk_data(disk, SEGMENT_0, &size), sizeof(part));
	memdisk_put(disk, SEGMENT_0, part, sizeof(part));
	log = must_open(disk, &config);
	CU_ASSERT_TRUE_FATAL(append(log, &h, LOG_MESSAGE, commitlog_payload_max(log), 2));
	CU_ASSERT_EQUAL_FATAL(commitlog_segment_count(log), 2); /* The first one has been left before it was complete. */
	flush_all(log);
	first = commitlog_segment(log, 0);
	(void)memdisk_data(disk, SEGMENT_0, &size);
	CU_ASSERT_TRUE(size < first.end - first.base);
	drop(log, &h);
	prepare_all(log);
	CU_ASSERT_EQUAL(commitlog_disk_bytes(log), file_bytes(disk));
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* Whether the oldest file is gone is not certain: removing younger ones could leave a gap. */
static void test_a_removal_that_fails_ends_the_log(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_segment_count(log) < 4; i++)
		append_hard(log, NULL, LOG_MESSAGE, 500, i);
	flush_all(log);
	prepare_all(log);
	CU_ASSERT_EQUAL(commitlog_drop_oldest(log), ST_OK);
	CU_ASSERT_EQUAL(commitlog_drop_oldest(log), ST_OK);
	commitlog_keep_spares(log, false);
	size_t files = file_count(disk);
	memdisk_fail(disk, 1, MEMDISK_EIO, false);
	CU_ASSERT_EQUAL(prepare(log), ST_IO);
	prepare_all(log);
	CU_ASSERT_TRUE(commitlog_failed(log, NULL));
	CU_ASSERT_EQUAL(file_count(disk), files);
	abandon(log);
	memdisk_destroy(disk);
}

/* A file that has left its old name and finds no space for its new header is gone; the log goes on without it. */
static void test_a_file_that_finds_no_space_under_way_is_given_up(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);
	struct log_prepare_job job;

	for (uint32_t i = 0; commitlog_segment_count(log) < 3; i++)
		append_hard(log, &h, LOG_MESSAGE, 500, i);
	flush_all(log);
	prepare_all(log);
	drop(log, &h);
	while (!commitlog_take_prepare(log, &job)) {
		CU_ASSERT_TRUE_FATAL(append(log, &h, LOG_MESSAGE, 500, 1));
		flush_all(log);
	}
	CU_ASSERT_EQUAL_FATAL(job.what, LOG_PREPARE_RECYCLE);
	memdisk_fail(disk, 3, MEMDISK_ENOSPC, false); /* Renamed, directory synced, and then. */
	log_prepare_run(&job);
	CU_ASSERT_TRUE(job.moved);
	CU_ASSERT_EQUAL(commitlog_prepare_done(log, &job, NULL), ST_FULL);
	CU_ASSERT_FALSE_FATAL(commitlog_dropped(log));
	for (uint32_t i = 0; i < 200; i++)
		append_hard(log, &h, LOG_MESSAGE, 500, i);
	flush_all(log);
	CU_ASSERT_FALSE(commitlog_failed(log, NULL));
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_goes_round),
		CHECK_TEST(test_dropped_offsets_cannot_be_read),
		CHECK_TEST(test_waits_for_readers),
		CHECK_TEST(test_spares_go_when_space_is_wanted),
		CHECK_TEST(test_power_cuts),
		CHECK_TEST(test_known_part_is_not_read),
		CHECK_TEST(test_nothing_behind_the_snapshot_does_not_unsay_it),
		CHECK_TEST(test_a_shortened_file_does_not_unsay_the_snapshot),
		CHECK_TEST(test_a_file_cut_short_is_noticed_behind_a_snapshot),
		CHECK_TEST(test_a_segment_missing_before_a_snapshot_costs_no_other),
		CHECK_TEST(test_a_file_that_was_never_complete_is_not_used_again),
		CHECK_TEST(test_a_removal_that_fails_ends_the_log),
		CHECK_TEST(test_a_file_that_finds_no_space_under_way_is_given_up),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("log recycling", tests, sizeof(tests) / sizeof(tests[0]));
}
