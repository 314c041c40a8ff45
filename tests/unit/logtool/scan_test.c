/* tools/log/scan: of every log, sound or damaged in any way, it says what a start of the broker does with it, and it finds
 * what lies behind the first bad byte. */
#include <inttypes.h>

#include "tests/unit/log/log_fixture.h"
#include "tools/log/scan.h"

enum { WHAT_SIZE = 200 };
static const char *const SEGMENT_1 = "store/commitlog/00000000000000065536";
static const char *const SEGMENT_2 = "store/commitlog/00000000000000131072";

static struct log_scan scan_disk(struct memdisk *disk)
{
	struct log_scan scan;
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL_FATAL(log_scan(memdisk_vfs(disk), "store", (struct log_known){ 0 }, NULL, NULL, &scan, &err), ST_OK);
	return scan;
}

/* Opens a copy as the broker would and replays all of it. */
static enum status start_of_copy(const struct memdisk *disk, uint64_t *end_out, struct errinfo *err)
{
	struct memdisk *copy = memdisk_clone(disk);
	struct commitlog_config config = small_config();
	struct commitlog *log = NULL;
	struct history none = { 0 };
	struct replay_check check = { .history = &none };
	enum status status = commitlog_open(&config, memdisk_vfs(copy), &log, err);

	if (status == ST_OK) {
		/* The EPOCH record that the start has appended is no part of what was there. */
		*end_out = commitlog_appended(log) - LOG_EPOCH_SIZE;
		status = commitlog_replay(log, 0, check_replayed, &check, err);
		CU_ASSERT_EQUAL(commitlog_close(log, false, NULL), ST_OK);
	}
	memdisk_destroy(copy);
	return status;
}

/* The scan, lib/log's check and a real start agree. */
static void expect_agreement(struct memdisk *disk, const char *what)
{
	struct log_scan scan = scan_disk(disk);
	struct log_check_result check = { 0 };
	struct errinfo err = { 0 }, start_err = { 0 };
	uint64_t end = 0;
	enum status checked = log_check(memdisk_vfs(disk), "store", &check, &err);
	enum status started = start_of_copy(disk, &end, &start_err);
	/* A file that became shorter may leave a start no room to go on in, although what it holds is sound. */
	bool agrees = scan.damaged == (started != ST_OK && started != ST_FULL);

	/* Proof beyond the window is not always seen by lib/log's check; a replay may find the hole all the same. */
	bool unnoticed = scan.gap_count > 0 && scan.gaps[0].unnoticed;
	agrees = unnoticed ? scan.damaged : agrees && scan.damaged == (checked != ST_OK);
	if (checked == ST_OK && !unnoticed)
		agrees = agrees && scan.end == check.end && scan.epoch == check.epoch && scan.start == check.start &&
			 scan.record_count == check.record_count && scan.window == check.window &&
			 (scan.leftover_end > scan.end) == (check.leftover_end > check.end) &&
			 (started != ST_OK || end >= scan.end);
	if (checked == ST_CORRUPT && check.damaged)
		agrees = agrees && scan.gap_count > 0 && scan.gaps[0].from == check.end &&
			 strcmp(scan.gaps[0].reason, check.reason) == 0;
	if (!agrees) {
		fprintf(stderr,
			"%s: scan: damaged %d end %" PRIu64 " leftover %" PRIu64 " records %" PRIu64 " epoch %u reason %s; check: %s end %"
			PRIu64 " leftover %" PRIu64 " records %" PRIu64 " epoch %u reason %s; start: %s\n", what, scan.damaged, scan.end,
			scan.leftover_end, scan.record_count, scan.epoch, scan.gap_count > 0 ? scan.gaps[0].reason : "-",
			checked == ST_OK ? "ok" : err.text, check.end, check.leftover_end, check.record_count, check.epoch, check.reason,
			started == ST_OK ? "ok" : start_err.text);
		CU_FAIL("the scan and a start differ");
	}
	log_scan_free(&scan);
}

/* Records in synced and unsynced batches, over several segments and starts. */
static void make_log(struct memdisk *disk, struct history *h, uint64_t *random, unsigned starts)
{
	struct commitlog_config config = small_config();

	for (unsigned i = 0; i < starts; i++) {
		struct commitlog *log = must_open(disk, &config);
		unsigned records = 20 + (unsigned)(check_random(random) % 60);

		for (unsigned j = 0; j < records; j++) {
			append_hard(log, h, LOG_MESSAGE, check_random(random) % 3000, (uint32_t)j);
			if (check_random(random) % 4 == 0)
				flush(log, true);
		}
		if (check_random(random) % 2 == 0) {
			CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
		} else {
			flush(log, check_random(random) % 2 == 0);
			abandon(log);
		}
	}
}

static void test_sound_logs(void)
{
	uint64_t random = check_seed(1);

	for (unsigned run = 0; run < 30; run++) {
		struct memdisk *disk = memdisk_create();
		struct history h = { 0 };

		make_log(disk, &h, &random, 1 + run % 4);
		expect_agreement(disk, "sound");
		struct log_scan scan = scan_disk(disk);
		CU_ASSERT_FALSE(scan.damaged);
		CU_ASSERT_EQUAL(scan.gap_count, 0);
		CU_ASSERT_EQUAL(scan.beyond_count, 0);
		CU_ASSERT_EQUAL(scan.leftover_end, scan.end);
		CU_ASSERT(scan.segment_count >= 1 && scan.segments[0].sound);
		log_scan_free(&scan);
		history_free(&h);
		memdisk_destroy(disk);
	}
}

/* One thing is done to a random place of a random file. */
static void meddle(struct memdisk *disk, uint64_t *random, char what[WHAT_SIZE])
{
	uint64_t *bases = NULL;
	size_t count = 0, size = 0;
	char path[128];

	CU_ASSERT_EQUAL_FATAL(log_list_segments(memdisk_vfs(disk), "store/commitlog", &bases, &count, NULL), ST_OK);
	log_segment_path("store/commitlog", bases[check_random(random) % count], path, sizeof(path));
	free(bases);
	uint8_t *data = memdisk_data(disk, path, &size), *changed = malloc(size);
	memcpy(changed, data, size);
	uint64_t kind = check_random(random) % 7, at = LOG_SEGMENT_HEADER_SIZE + check_random(random) % (size - LOG_SEGMENT_HEADER_SIZE);
	size_t run = 1 + check_random(random) % 600;
	if (run > size - at)
		run = size - at;
	switch (kind) {
	case 0: changed[at] ^= (uint8_t)(1 << check_random(random) % 8); break;
	case 1: memset(changed + at, 0, run); break;
	case 2: memset(changed + at, 0xa5, run); break;
	case 3: memset(changed + at, 0, size - at); break;
	case 4: size = at; break;
	case 5: memmove(changed + at, changed + LOG_SEGMENT_HEADER_SIZE, run < at ? run : 8); break;
	default: changed[check_random(random) % LOG_SEGMENT_HEADER_SIZE] ^= 1; break;
	}
	snprintf(what, WHAT_SIZE, "kind %d at %" PRIu64 " of %s", (int)kind, at, path + strlen("store/commitlog/"));
	memdisk_put(disk, path, changed, size);
	free(changed);
}

static void test_damage_of_every_sort(void)
{
	uint64_t random = check_seed(2);
	unsigned damaged = 0, cut = 0;

	for (unsigned run = 0; run < 1500; run++) {
		struct memdisk *disk = memdisk_create();
		struct history h = { 0 };
		char what[WHAT_SIZE], text[WHAT_SIZE + 32];

		make_log(disk, &h, &random, 1 + run % 3);
		meddle(disk, &random, what);
		snprintf(text, sizeof(text), "run %u: %s", run, what);
		expect_agreement(disk, text);
		struct log_scan scan = scan_disk(disk);
		damaged += scan.damaged;
		cut += !scan.damaged && scan.leftover_end > scan.end;
		log_scan_free(&scan);
		history_free(&h);
		memdisk_destroy(disk);
	}
	printf(" [%u damaged, %u torn]", damaged, cut);
	CU_ASSERT(damaged > 300 && cut > 20);
}

/* Power cuts: any subset of the unsynced sectors. */
static void test_power_cuts(void)
{
	uint64_t random = check_seed(3);
	unsigned torn = 0;

	for (unsigned run = 0; run < 300; run++) {
		struct memdisk *disk = memdisk_create();
		struct commitlog_config config = small_config();
		struct history h = { 0 };
		struct commitlog *log = must_open(disk, &config);

		for (unsigned i = 0; i < 60; i++) {
			append_hard(log, &h, LOG_HALF, check_random(&random) % 2000, i);
			if (check_random(&random) % 3 == 0)
				flush(log, check_random(&random) % 3 != 0);
		}
		flush(log, false);
		memdisk_crash(disk, check_random(&random));
		abandon(log);
		expect_agreement(disk, "power cut");
		struct log_scan scan = scan_disk(disk);
		CU_ASSERT_FALSE(scan.damaged);
		torn += scan.leftover_end > scan.end;
		log_scan_free(&scan);
		history_free(&h);
		memdisk_destroy(disk);
	}
	printf(" [%u torn]", torn);
	CU_ASSERT(torn > 50);
}

/* Segments whose files had a life before: old bytes are told from torn ones. */
static void test_recycled_segments(void)
{
	uint64_t random = check_seed(4);
	unsigned stale = 0;

	for (unsigned run = 0; run < 200; run++) {
		struct memdisk *disk = memdisk_create();
		struct commitlog_config config = small_config();
		struct commitlog *log = must_open(disk, &config);
		struct history h = { 0 };
		char what[WHAT_SIZE] = "recycled";

		for (uint32_t i = 0; commitlog_appended(log) < 5 * LOG_SEGMENT_SIZE_MIN + check_random(&random) % 30000; i++) {
			append_hard(log, &h, LOG_MESSAGE, 300 + check_random(&random) % 700, i);
			if (commitlog_segment_count(log) > 2)
				CU_ASSERT_EQUAL(commitlog_drop_oldest(log), ST_OK);
		}
		if (run % 2 == 0)
			flush_all(log);
		abandon(log);
		if (run % 3 == 0)
			meddle(disk, &random, what);
		expect_agreement(disk, what);
		struct log_scan scan = scan_disk(disk);
		stale += scan.recycled_tail;
		CU_ASSERT(run % 3 == 0 || !scan.damaged);
		CU_ASSERT(scan.start > LOG_SEGMENT_SIZE_MIN);
		log_scan_free(&scan);
		history_free(&h);
		memdisk_destroy(disk);
	}
	printf(" [%u with stale bytes]", stale);
	CU_ASSERT(stale > 50);
}

/* --- what lies behind the first bad byte ---------------------------------------------------------------------------- */

struct found {
	uint64_t before, beyond;
	const struct history *history;
	size_t next;
	bool wrong;
};

static enum status see(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	struct found *found = context;

	(void)err;
	if (record->kind != LOG_MESSAGE)
		return ST_OK;
	*(beyond ? &found->beyond : &found->before) += 1;
	while (found->next < found->history->count && found->history->records[found->next].offset < record->offset)
		found->next++;
	const struct noted *noted = &found->history->records[found->next];
	if (found->next == found->history->count || noted->offset != record->offset ||
	    !has_pattern(record->payload.data, record->payload.size, noted->seed))
		found->wrong = true;
	return ST_OK;
}

static void flip(struct memdisk *disk, const char *path, uint64_t at)
{
	size_t size = 0;
	uint8_t *data = memdisk_data(disk, path, &size), *changed = malloc(size);

	assert(at < size);
	memcpy(changed, data, size);
	changed[at] ^= 0x10;
	memdisk_put(disk, path, changed, size);
	free(changed);
}

/* Several synced segments with one record each 500 bytes. */
static void make_long_log(struct memdisk *disk, struct history *h)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_appended(log) < 3 * LOG_SEGMENT_SIZE_MIN - 20000; i++) {
		append_hard(log, h, LOG_MESSAGE, 500, i);
		if (i % 3 == 0)
			flush_all(log);
	}
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
}

static void test_everything_but_the_bad_record_is_found(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };

	make_long_log(disk, &h);
	const size_t bad[] = { 5, 6, 40, h.count - 20 };
	for (size_t i = 0; i < 4; i++) {
		const struct noted *noted = &h.records[bad[i]];
		char path[128];

		log_segment_path("store/commitlog", noted->offset / LOG_SEGMENT_SIZE_MIN * LOG_SEGMENT_SIZE_MIN, path, sizeof(path));
		flip(disk, path, noted->offset % LOG_SEGMENT_SIZE_MIN + 40);
	}
	struct found found = { .history = &h };
	struct log_scan scan;
	struct errinfo err;
	CU_ASSERT_EQUAL_FATAL(log_scan(memdisk_vfs(disk), "store", (struct log_known){ 0 }, see, &found, &scan, &err), ST_OK);
	CU_ASSERT(scan.damaged);
	CU_ASSERT_FALSE(scan.gaps[0].unnoticed);
	CU_ASSERT_EQUAL(found.before, 5);
	CU_ASSERT_EQUAL(found.before + found.beyond, h.count - 4);
	CU_ASSERT_FALSE(found.wrong);
	CU_ASSERT_EQUAL(scan.end, h.records[5].offset);
	/* Neighbours are one gap. */
	CU_ASSERT_EQUAL_FATAL(scan.gap_count, 3);
	CU_ASSERT_EQUAL(scan.gaps[0].to, h.records[6].end);
	CU_ASSERT_EQUAL(scan.gaps[2].from, h.records[h.count - 20].offset);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT(scan.gaps[i].damage);
		CU_ASSERT(scan.gaps[i].proof >= scan.gaps[i].to);
		CU_ASSERT_STRING_EQUAL(scan.gaps[i].reason, "CRC mismatch");
	}
	log_scan_free(&scan);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_bad_headers_and_missing_files(void)
{
	struct memdisk *disk = memdisk_create(), *copy;
	struct history h = { 0 };
	struct found found = { .history = &h };
	struct log_scan scan;
	struct errinfo err;

	make_long_log(disk, &h);
	copy = memdisk_clone(disk);
	flip(copy, SEGMENT_1, 20);
	expect_agreement(copy, "header");
	CU_ASSERT_EQUAL_FATAL(log_scan(memdisk_vfs(copy), "store", (struct log_known){ 0 }, see, &found, &scan, &err), ST_OK);
	CU_ASSERT_FALSE(scan.segments[1].sound);
	CU_ASSERT_PTR_NOT_NULL(strstr(scan.segments[1].problem, "CRC mismatch"));
	CU_ASSERT_EQUAL(found.before + found.beyond, h.count); /* The records in it are all there. */
	CU_ASSERT(scan.gaps[0].header);
	CU_ASSERT_EQUAL(scan.gaps[0].from, LOG_SEGMENT_SIZE_MIN);
	log_scan_free(&scan);
	memdisk_destroy(copy);

	copy = memdisk_clone(disk);
	CU_ASSERT(memdisk_remove(copy, SEGMENT_1));
	expect_agreement(copy, "missing");
	scan = scan_disk(copy);
	CU_ASSERT(scan.damaged);
	CU_ASSERT_STRING_EQUAL(scan.gaps[0].reason, "segment is missing");
	CU_ASSERT_EQUAL(scan.gaps[0].from, LOG_SEGMENT_SIZE_MIN);
	CU_ASSERT(scan.beyond_count > 10);
	log_scan_free(&scan);
	memdisk_destroy(copy);

	/* A file of another log. */
	copy = memdisk_create();
	struct commitlog_config config = small_config();
	config.log_id[0] = 99;
	struct commitlog *log = must_open(copy, &config);
	struct history other = { 0 };
	while (commitlog_appended(log) < 3 * LOG_SEGMENT_SIZE_MIN - 20000)
		append_hard(log, &other, LOG_MESSAGE, 500, 1);
	flush_all(log);
	abandon(log);
	size_t size;
	uint8_t *data = memdisk_data(copy, SEGMENT_2, &size);
	memdisk_put(disk, SEGMENT_2, data, size);
	expect_agreement(disk, "foreign");
	scan = scan_disk(disk);
	CU_ASSERT_PTR_NOT_NULL(strstr(scan.segments[2].problem, "another log"));
	log_scan_free(&scan);
	history_free(&other);
	memdisk_destroy(copy);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A hole that is wider than what a start searches. */
static void test_a_hole_wider_than_the_window_is_damage(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };

	config.segment_size = 16 * LOG_SEGMENT_SIZE_MIN;
	struct commitlog *log = must_open(disk, &config);
	for (uint32_t i = 0; commitlog_appended(log) < 14 * LOG_SEGMENT_SIZE_MIN; i++)
		append_hard(log, &h, LOG_MESSAGE, 500, i);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	size_t size;
	uint8_t *data = memdisk_data(disk, SEGMENT_0, &size), *changed = malloc(size);
	memcpy(changed, data, size);
	memset(changed + 3 * LOG_SEGMENT_SIZE_MIN, 0, 8 * LOG_SEGMENT_SIZE_MIN);
	memdisk_put(disk, SEGMENT_0, changed, size);
	free(changed);
	struct log_scan scan = scan_disk(disk);
	CU_ASSERT(scan.damaged);
	CU_ASSERT(scan.gap_count > 0 && scan.gaps[0].unnoticed);
	CU_ASSERT(scan.beyond_count > 100);
	log_scan_free(&scan);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_no_log_is_said_so(void)
{
	struct memdisk *disk = memdisk_create();
	struct log_scan scan;
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL(log_scan(memdisk_vfs(disk), "store", (struct log_known){ 0 }, NULL, NULL, &scan, &err), ST_NOTFOUND);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "store/commitlog"));
	log_scan_free(&scan);
	memdisk_destroy(disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_sound_logs),
		CHECK_TEST(test_damage_of_every_sort),
		CHECK_TEST(test_power_cuts),
		CHECK_TEST(test_recycled_segments),
		CHECK_TEST(test_everything_but_the_bad_record_is_found),
		CHECK_TEST(test_bad_headers_and_missing_files),
		CHECK_TEST(test_a_hole_wider_than_the_window_is_damage),
		CHECK_TEST(test_no_log_is_said_so),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("scan", tests, sizeof(tests) / sizeof(tests[0]));
}
