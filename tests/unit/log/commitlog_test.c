/* The commit log in working order: appending, jobs, watermarks, segments, reading, following. */
#include "tests/support/disk_trace.h"
#include "tests/unit/log/log_fixture.h"

#include <inttypes.h>
#include <unistd.h>

static void test_new_log_opens_epoch_one_and_is_empty(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history none = { 0 };

	CU_ASSERT_EQUAL(commitlog_epoch(log), 1);
	CU_ASSERT_EQUAL(commitlog_start(log), LOG_SEGMENT_HEADER_SIZE);
	CU_ASSERT_EQUAL(commitlog_durable(log), commitlog_appended(log));
	CU_ASSERT_EQUAL(memcmp(commitlog_id(log), config.log_id, LOG_ID_SIZE), 0);
	CU_ASSERT_EQUAL(replay_matches(log, &none), 0);
	CU_ASSERT_FALSE(commitlog_failed(log, NULL));
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(commitlog_epoch(log), 2);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	memdisk_destroy(disk);
}

static void test_watermarks_advance_with_the_jobs(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct log_flush_job job, second;
	uint64_t start = commitlog_durable(log);

	CU_ASSERT_FALSE(commitlog_take_flush(log, true, &job));
	CU_ASSERT_TRUE(append(log, NULL, LOG_MESSAGE, 100, 1));
	uint64_t end = commitlog_appended(log);
	CU_ASSERT_EQUAL(end, start + LOG_BATCH_SIZE + commitlog_record_size(100));
	CU_ASSERT_EQUAL(commitlog_written(log), start);
	CU_ASSERT_TRUE(commitlog_take_flush(log, true, &job));
	CU_ASSERT_TRUE(append(log, NULL, LOG_MESSAGE, 100, 2));
	CU_ASSERT_FALSE(commitlog_take_flush(log, true, &second)); /* One at a time. */
	log_flush_run(&job);
	CU_ASSERT_EQUAL(commitlog_durable(log), start);
	CU_ASSERT_EQUAL(commitlog_flush_done(log, &job, NULL), ST_OK);
	CU_ASSERT_EQUAL(commitlog_durable(log), end);
	CU_ASSERT_EQUAL(commitlog_written(log), end);
	/* Written, not synced: only `written` moves; the sync job that follows writes nothing again. */
	CU_ASSERT_EQUAL(flush(log, false), ST_OK);
	CU_ASSERT_EQUAL(commitlog_written(log), commitlog_appended(log));
	CU_ASSERT_EQUAL(commitlog_durable(log), end);
	CU_ASSERT_EQUAL(flush(log, false), ST_NOTFOUND);
	uint64_t writes = memdisk_stats(disk).write_count;
	CU_ASSERT_EQUAL(flush(log, true), ST_OK);
	CU_ASSERT_EQUAL(memdisk_stats(disk).write_count, writes);
	CU_ASSERT_EQUAL(commitlog_durable(log), commitlog_appended(log));
	abandon(log);
	memdisk_destroy(disk);
}

static void test_aborted_record_leaves_no_trace(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	uint64_t offset = 0, again = 0;

	CU_ASSERT_TRUE(append(log, &h, LOG_HALF, 10, 1));
	CU_ASSERT_PTR_NOT_NULL_FATAL(commitlog_begin(log, LOG_HALF, 50, &offset));
	commitlog_abort(log);
	CU_ASSERT_PTR_NOT_NULL_FATAL(commitlog_begin(log, LOG_HALF, 5, &again));
	CU_ASSERT_EQUAL(offset, again);
	commitlog_abort(log);
	CU_ASSERT_TRUE(append(log, &h, LOG_HALF, 0, 2));
	flush_all(log);
	CU_ASSERT_EQUAL(replay_matches(log, &h), 2);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* `sizes`: segments of one size, or of a few. */
static void check_room(unsigned sizes, uint64_t ring_size)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	uint64_t random = check_seed(7);

	config.ring_size = ring_size;
	for (int round = 0; round < 200; round++) {
		config.segment_size = LOG_SEGMENT_SIZE_MIN << check_random(&random) % sizes;
		struct commitlog *log = must_open(disk, &config);
		for (int i = 0; i < 60; i++) {
			if (check_random(&random) % 3 == 0)
				CU_ASSERT_NOT_EQUAL(flush(log, true), ST_IO);
			if (check_random(&random) % 3 == 0)
				CU_ASSERT_NOT_EQUAL(prepare(log), ST_IO);
			for (uint64_t room = commitlog_room(log); room >= commitlog_record_size(0);) {
				size_t size = check_random(&random) % (room - LOG_ENVELOPE_SIZE - 7 + 1);
				if (size > commitlog_payload_max(log) || check_random(&random) % 2 == 0)
					size %= 200;
				if (commitlog_record_size(size) > room)
					break;
				uint64_t left = commitlog_ahead_after(log, size);
				CU_ASSERT_TRUE_FATAL(append(log, NULL, LOG_MESSAGE, size, 1));
				CU_ASSERT_EQUAL(commitlog_prepared_ahead(log), left);
				room -= commitlog_record_size(size);
				if (check_random(&random) % 8 == 0)
					break;
			}
		}
		while (append(log, NULL, LOG_MESSAGE, 1000, 1))
			;
		CU_ASSERT(commitlog_appended(log) - commitlog_durable(log) <= config.ring_size);
		CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	}
	struct commitlog *log = must_open(disk, &config);
	uint64_t offset;
	CU_ASSERT_PTR_NULL(commitlog_begin(log, LOG_MESSAGE, commitlog_payload_max(log) + 1, &offset));
	append_hard(log, NULL, LOG_MESSAGE, commitlog_payload_max(log), 1);
	abandon(log);
	memdisk_destroy(disk);
}

static void test_room_is_a_promise_and_full_ring_pushes_back(void)
{
	check_room(1, LOG_RING_SIZE_MIN);
	check_room(3, LOG_RING_SIZE_MIN);
	check_room(3, 8 * LOG_RING_SIZE_MIN);
}

/* One in use and one prepared are of the old size, which is less than the record takes. */
static void test_small_segments_are_passed_over(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct commitlog *log = must_open(disk, &config);

	append_hard(log, &h, LOG_MESSAGE, LOG_SEGMENT_SIZE_MIN / 3, 1);
	flush_all(log);
	prepare_all(log);
	abandon(log);
	config.segment_size = 8 * LOG_SEGMENT_SIZE_MIN;
	config.ring_size = 8 * LOG_RING_SIZE_MIN;
	log = must_open(disk, &config);
	append_hard(log, &h, LOG_MESSAGE, 2 * LOG_SEGMENT_SIZE_MIN, 2);
	CU_ASSERT_TRUE(h.records[1].offset > 2 * LOG_SEGMENT_SIZE_MIN);
	append_hard(log, &h, LOG_MESSAGE, 100, 3);
	flush_all(log);
	CU_ASSERT_EQUAL(commitlog_segment_count(log), 3);
	for (int start = 0; start < 2; start++) {
		CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
		memdisk_crash(disk, 5);
		abandon(log);
		log = must_open(disk, &config);
	}
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_records_cross_ring_and_segments_unharmed(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	uint64_t random = check_seed(11), previous = 0;
	struct commitlog *log = must_open(disk, &config);

	config.ring_size = 4 * LOG_RING_SIZE_MIN;
	for (uint32_t i = 0; i < 3000; i++) {
		append_hard(log, &h, LOG_MESSAGE + check_random(&random) % 12, check_random(&random) % 1500, i);
		CU_ASSERT(h.records[h.count - 1].offset >= previous);
		previous = h.records[h.count - 1].end;
		if (check_random(&random) % 10 == 0)
			CU_ASSERT_NOT_EQUAL(flush(log, check_random(&random) % 2 == 0), ST_IO);
	}
	flush_all(log);
	CU_ASSERT(commitlog_appended(log) > 20 * config.segment_size);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log); /* Everything is durable: a kill loses nothing. */
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	append_hard(log, &h, LOG_MESSAGE, 77, 78);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	CU_ASSERT_EQUAL(commitlog_epoch(log), 3);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_one_job_covers_a_few_segments_only(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };

	config.ring_size = 16 * LOG_SEGMENT_SIZE_MIN;
	struct commitlog *log = must_open(disk, &config);
	for (uint32_t i = 0; commitlog_appended(log) < 8 * config.segment_size; i++) {
		if (!append(log, &h, LOG_MESSAGE, 9000, i))
			prepare_all(log);
	}
	struct log_flush_job job;
	CU_ASSERT_TRUE(commitlog_take_flush(log, true, &job));
	CU_ASSERT_EQUAL(job.part_count, LOG_JOB_PARTS);
	log_flush_run(&job);
	CU_ASSERT_EQUAL(commitlog_flush_done(log, &job, NULL), ST_OK);
	CU_ASSERT(commitlog_durable(log) < commitlog_appended(log));
	flush_all(log);
	CU_ASSERT_EQUAL(commitlog_durable(log), commitlog_appended(log));
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_async_mode_syncs_by_itself_before_the_ring_is_full(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; i < 2000; i++) {
		while (!append(log, NULL, LOG_MESSAGE, 500, i)) {
			CU_ASSERT_NOT_EQUAL(flush(log, false), ST_IO);
			prepare_all(log);
			CU_ASSERT_FATAL(commitlog_appended(log) - commitlog_durable(log) <= config.ring_size);
		}
	}
	abandon(log);
	memdisk_destroy(disk);
}

/* --- reading --- */

static void test_reads_come_from_ring_then_page_cache_then_job(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	static uint8_t data[8192];
	struct log_read_job job;
	struct span span;

	append_hard(log, &h, LOG_MESSAGE, 1200, 0);
	const struct noted *first = &h.records[0];
	size_t size = first->end - first->offset;
	CU_ASSERT_EQUAL(commitlog_read(log, first->offset, size, &span), ST_OK);
	CU_ASSERT_TRUE(has_pattern(span.data + LOG_ENVELOPE_SIZE, 1200, 0));
	CU_ASSERT_EQUAL(commitlog_read(log, first->offset, size + 1, &span), ST_INVALID);
	CU_ASSERT_EQUAL(commitlog_read_limit(log, first->offset), size);
	CU_ASSERT_EQUAL(commitlog_read_limit(log, first->end), 0);
	CU_ASSERT_EQUAL(commitlog_try_read(log, first->offset, size, true, data, NULL), ST_INVALID); /* Not written. */

	for (uint32_t i = 1; i < 300; i++)
		append_hard(log, &h, LOG_MESSAGE, 1200, i);
	flush_all(log);
	first = &h.records[0];
	CU_ASSERT_EQUAL(commitlog_read(log, first->offset, size, &span), ST_AGAIN);
	CU_ASSERT_EQUAL(commitlog_try_read(log, first->offset, size, true, data, NULL), ST_OK);
	CU_ASSERT_TRUE(has_pattern(data + LOG_ENVELOPE_SIZE, 1200, 0));
	memdisk_set_cold(disk, true);
	CU_ASSERT_EQUAL(commitlog_try_read(log, first->offset, size, true, data, NULL), ST_AGAIN);
	for (size_t i = 0; i < h.count; i++) { /* Everything is readable one way or the other. */
		const struct noted *noted = &h.records[i];
		enum status status = commitlog_read(log, noted->offset, noted->end - noted->offset, &span);
		if (status == ST_AGAIN) {
			status = commitlog_prepare_read(log, noted->offset, noted->end - noted->offset, true, data, &job,
							NULL);
			CU_ASSERT_EQUAL_FATAL(status, ST_OK);
			log_read_run(&job);
			commitlog_read_done(log, &job);
			status = job.result;
			span = (struct span){ data, job.size };
		}
		CU_ASSERT_EQUAL(status, ST_OK);
		CU_ASSERT_TRUE(has_pattern(span.data + LOG_ENVELOPE_SIZE, noted->payload_size, noted->seed));
	}
	/* A run of neighbours in one read; and no read across the end of a segment. */
	CU_ASSERT_EQUAL(commitlog_prepare_read(log, h.records[2].offset, h.records[5].end - h.records[2].offset, true, data,
					       &job, NULL), ST_OK);
	log_read_run(&job);
	commitlog_read_done(log, &job);
	CU_ASSERT_EQUAL(job.result, ST_OK);
	uint64_t limit = commitlog_read_limit(log, h.records[2].offset);
	CU_ASSERT_EQUAL(h.records[2].offset + limit, config.segment_size);
	CU_ASSERT_EQUAL(commitlog_prepare_read(log, h.records[2].offset, limit + 1, false, data, &job, NULL), ST_INVALID);
	CU_ASSERT_EQUAL(commitlog_prepare_read(log, 100, 8, false, data, &job, NULL), ST_INVALID);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_damage_is_found_by_a_verifying_read(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	static uint8_t data[8192];
	struct errinfo err = { 0 };
	size_t file_size;

	for (uint32_t i = 0; i < 300; i++)
		append_hard(log, &h, LOG_MESSAGE, 1200, i);
	flush_all(log);
	const struct noted *noted = &h.records[3];
	size_t size = noted->end - noted->offset;
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &file_size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(file);
	for (uint64_t at = noted->offset; at < noted->end; at++) {
		file[at] ^= 0x40;
		CU_ASSERT_EQUAL(commitlog_try_read(log, noted->offset, size, true, data, &err), ST_CORRUPT);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_0));
		CU_ASSERT_EQUAL(commitlog_try_read(log, noted->offset, size, false, data, &err), ST_OK);
		file[at] ^= 0x40;
	}
	CU_ASSERT_EQUAL(commitlog_try_read(log, noted->offset, size, true, data, &err), ST_OK);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_record_by_an_offset_that_a_client_quotes(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	static uint8_t scratch[8192];
	struct log_record record;
	uint32_t size = 0;
	size_t next = 0;

	for (uint32_t i = 0; i < 200; i++)
		append_hard(log, &h, LOG_HALF, i * 6, i);
	flush_all(log);
	/* Every offset there is: only the places where records start give one, in memory or not. */
	for (uint64_t offset = 0; offset < commitlog_appended(log) + 100; offset++) {
		enum status status = commitlog_record(log, offset, scratch, sizeof(scratch), &record, &size, NULL);
		while (next < h.count && h.records[next].offset < offset)
			next++;
		if (next < h.count && h.records[next].offset == offset) {
			CU_ASSERT_EQUAL(status, ST_OK);
			CU_ASSERT_EQUAL(record.size, h.records[next].end - offset);
			CU_ASSERT_TRUE(has_pattern(record.payload.data, record.payload.size, h.records[next].seed));
		} else {
			CU_ASSERT(status == ST_NOTFOUND || (status == ST_OK && log_kind_is_internal(record.kind)));
		}
	}
	CU_ASSERT_EQUAL(commitlog_record(log, UINT64_MAX - 7, scratch, sizeof(scratch), &record, &size, NULL), ST_NOTFOUND);
	CU_ASSERT_EQUAL(commitlog_record(log, h.records[199].offset, scratch, 64, &record, &size, NULL), ST_TOOBIG);
	abandon(log);
	/* Out of memory, and the page cache is cold: what to fetch is told. */
	log = must_open(disk, &config);
	memdisk_set_cold(disk, true);
	CU_ASSERT_EQUAL(commitlog_record(log, h.records[9].offset, scratch, sizeof(scratch), &record, &size, NULL), ST_AGAIN);
	CU_ASSERT_EQUAL(size, LOG_ENVELOPE_SIZE);
	memdisk_set_cold(disk, false);
	memdisk_data(disk, SEGMENT_0, &(size_t){ 0 })[h.records[9].offset + LOG_ENVELOPE_SIZE] ^= 1;
	CU_ASSERT_EQUAL(commitlog_record(log, h.records[9].offset, scratch, sizeof(scratch), &record, &size, NULL),
			ST_CORRUPT);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* --- following --- */

static void test_logreader_follows_below_the_limit(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	struct logreader *reader = NULL;
	struct log_record record;
	struct errinfo err = { 0 };
	uint64_t random = check_seed(3);
	size_t seen = 0;

	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(disk), "store", 0, &reader, &err), ST_OK);
	CU_ASSERT_STRING_EQUAL(logreader_cluster(reader), "test");
	CU_ASSERT_EQUAL(memcmp(logreader_log_id(reader), config.log_id, LOG_ID_SIZE), 0);
	for (uint32_t i = 0; i < 1500; i++) {
		append_hard(log, &h, LOG_DECISION, check_random(&random) % 700, i);
		if (check_random(&random) % 16 != 0)
			continue;
		CU_ASSERT_NOT_EQUAL(flush(log, true), ST_IO);
		enum status status;
		while ((status = logreader_next(reader, commitlog_durable(log), &record, &err)) == ST_OK) {
			if (log_kind_is_internal(record.kind))
				continue;
			CU_ASSERT_FATAL(seen < h.count);
			CU_ASSERT_EQUAL(record.offset, h.records[seen].offset);
			CU_ASSERT_TRUE(has_pattern(record.payload.data, record.payload.size, h.records[seen].seed));
			CU_ASSERT(record.offset + record.size <= commitlog_durable(log));
			seen++;
		}
		CU_ASSERT_EQUAL_FATAL(status, ST_AGAIN);
		if (check_random(&random) % 4 == 0) { /* A cursor survives a restart of the reader. */
			uint64_t cursor = logreader_position(reader);
			logreader_close(reader);
			CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(disk), "store", cursor, &reader, &err), ST_OK);
		}
	}
	flush_all(log);
	/* Without a limit: to the valid end, which is clean. */
	while (logreader_next(reader, LOG_NO_LIMIT, &record, &err) == ST_OK)
		seen += !log_kind_is_internal(record.kind);
	CU_ASSERT_EQUAL(seen, h.count);
	CU_ASSERT_EQUAL(logreader_next(reader, LOG_NO_LIMIT, &record, &err), ST_AGAIN);
	CU_ASSERT_EQUAL(logreader_position(reader), commitlog_appended(log));
	/* It goes on when more comes, across the next start too. */
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	log = must_open(disk, &config);
	append_hard(log, &h, LOG_DECISION, 5, 5);
	flush_all(log);
	bool epoch_seen = false;
	while (logreader_next(reader, commitlog_durable(log), &record, &err) == ST_OK)
		epoch_seen |= record.kind == LOG_EPOCH && record.epoch == 2;
	CU_ASSERT_TRUE(epoch_seen);
	CU_ASSERT_EQUAL(logreader_position(reader), commitlog_appended(log));
	logreader_close(reader);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* Where the file ends before an envelope could: zeros are the log's end, anything else is something to look into. */
static void test_logreader_looks_at_the_last_bytes_of_a_file(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct logreader *reader = NULL;
	struct log_record record;
	struct errinfo err;
	size_t whole;

	append_hard(log, NULL, LOG_GROUP, 100, 1);
	flush_all(log);
	uint64_t end = commitlog_durable(log);
	abandon(log);
	uint8_t *data = malloc(end + 5);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	memcpy(data, memdisk_data(disk, SEGMENT_0, &whole), end + 5);
	for (uint8_t last = 0; last < 2; last++) {
		data[end + 4] = last;
		memdisk_put(disk, SEGMENT_0, data, end + 5);
		CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(disk), "store", end, &reader, &err), ST_OK);
		CU_ASSERT_EQUAL(logreader_next(reader, LOG_NO_LIMIT, &record, &err), last == 0 ? ST_AGAIN : ST_CORRUPT);
		CU_ASSERT_STRING_EQUAL(logreader_bad_record(reader), "the file ends");
		logreader_close(reader);
	}
	free(data);
	memdisk_destroy(disk);
}

static void test_logreader_refuses_what_is_not_there(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct logreader *reader = NULL;
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL(logreader_open(memdisk_vfs(disk), "store", 0, &reader, &err), ST_NOTFOUND);
	struct commitlog *log = must_open(disk, &config);
	CU_ASSERT_EQUAL(logreader_open(memdisk_vfs(disk), "store", 1 << 30, &reader, &err), ST_NOTFOUND);
	for (uint32_t i = 0; i < 200; i++)
		append_hard(log, NULL, LOG_MESSAGE, 1000, i);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	/* Below a limit, what cannot be read is damage. */
	CU_ASSERT_TRUE(memdisk_remove(disk, "store/commitlog/00000000000000065536"));
	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(disk), "store", 0, &reader, &err), ST_OK);
	struct log_record record;
	enum status status;
	while ((status = logreader_next(reader, 200000, &record, &err)) == ST_OK)
		;
	CU_ASSERT_EQUAL(status, ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000065536"));
	logreader_close(reader);
	memdisk_remove(disk, SEGMENT_0);
	CU_ASSERT_EQUAL(logreader_open(memdisk_vfs(disk), "store", 5000, &reader, &err), ST_NOTFOUND);
	memdisk_destroy(disk);
}

/* --- the real disk --- */

static void test_real_files_keep_the_log_and_the_lock(void)
{
	char *dir = check_make_dir();
	char root[512];
	struct commitlog_config config = small_config();
	struct commitlog *log = NULL, *other = NULL;
	struct history h = { 0 };
	struct errinfo err = { 0 };

	snprintf(root, sizeof(root), "%s/store", dir);
	config.root = root;
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	CU_ASSERT_EQUAL(commitlog_open(&config, vfs_posix(), &other, &err), ST_LOCKED);
	char pid[64];
	snprintf(pid, sizeof(pid), "process %ld", (long)getpid());
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, pid));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "store/lock"));
	for (uint32_t i = 0; i < 300; i++)
		append_hard(log, &h, LOG_MESSAGE, i * 5, i);
	flush_all(log);
	static uint8_t data[8192];
	struct log_read_job job;
	CU_ASSERT_EQUAL(commitlog_prepare_read(log, h.records[9].offset, h.records[9].end - h.records[9].offset, true, data,
					       &job, &err), ST_OK);
	log_read_run(&job);
	commitlog_read_done(log, &job);
	CU_ASSERT_EQUAL(job.result, ST_OK);
	enum status status = commitlog_try_read(log, job.offset, job.size, true, data, &err);
	CU_ASSERT(status == ST_OK || status == ST_AGAIN);
	CU_ASSERT_EQUAL(commitlog_close(log, true, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	CU_ASSERT(commitlog_disk_bytes(log) >= commitlog_appended(log) / 2);
	CU_ASSERT_EQUAL(commitlog_close(log, false, &err), ST_OK);
	history_free(&h);
	check_remove_dir(dir);
}

/* The next segment is made when a quarter of this one is used: until then the largest record must fit into what is left. */
static void test_the_largest_record_finds_room(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();

	config.ring_size = 4 * LOG_SEGMENT_SIZE_MIN; /* Not what limits it. */
	struct commitlog *log = must_open(disk, &config);
	while (commitlog_appended(log) < LOG_SEGMENT_SIZE_MIN / 5)
		append_hard(log, NULL, LOG_MESSAGE, 100, 1);
	flush_all(log);
	prepare_all(log);
	CU_ASSERT_TRUE(append(log, NULL, LOG_MESSAGE, commitlog_payload_max(log), 1));
	abandon(log);
	memdisk_destroy(disk);
}

static size_t index_of(const struct disk_trace *trace, enum trace_type type, const char *path)
{
	size_t i = 0;

	while (i < trace->count && (trace->ops[i].type != type || strcmp(trace->ops[i].path, path) != 0))
		i++;
	return i;
}

/* What is in a directory that a power cut takes away is gone with it. */
static void test_new_directories_are_durable_before_the_first_segment(void)
{
	struct memdisk *disk = memdisk_create();
	struct disk_trace *trace = disk_trace_create();
	struct commitlog_config config = small_config();

	memdisk_trace(disk, trace);
	abandon(must_open(disk, &config));
	size_t first = index_of(trace, TRACE_CREATE, SEGMENT_0 ".tmp"), synced;
	CU_ASSERT_FATAL(first < trace->count);
	synced = index_of(trace, TRACE_SYNC_DIR, ".");
	CU_ASSERT(synced < first && synced > index_of(trace, TRACE_MKDIR, "store"));
	synced = index_of(trace, TRACE_SYNC_DIR, "store");
	CU_ASSERT(synced < first && synced > index_of(trace, TRACE_MKDIR, "store/commitlog"));
	memdisk_destroy(disk);
	disk_trace_destroy(trace);
}

/* Nothing is made with settings that the log could not keep. */
static void test_impossible_settings_are_refused(void)
{
	static const char longest[] = "0123456789012345678901234567890123456789012345678901234567890123";
	const struct { uint64_t segment_size, ring_size, prepare_chunk; const char *cluster; bool good; } cases[] = {
		{ LOG_SEGMENT_SIZE_MIN, LOG_RING_SIZE_MIN, 8192, longest + 1, true },
		{ LOG_SEGMENT_SIZE_MIN - 4096, 0, 0, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN + 512, 0, 0, NULL, false },
		{ ((uint64_t)1 << 40) + 4096, 0, 0, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, LOG_RING_SIZE_MIN / 2, 0, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, 3 * LOG_RING_SIZE_MIN, 0, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, (uint64_t)1 << 41, 0, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, LOG_RING_SIZE_MIN, 4096, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, LOG_RING_SIZE_MIN, 8192 + 512, NULL, false },
		{ LOG_SEGMENT_SIZE_MIN, LOG_RING_SIZE_MIN, 8192, longest, false },
	};

	CU_ASSERT_EQUAL_FATAL(strlen(longest), LOG_CLUSTER_SIZE);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memdisk *disk = memdisk_create();
		struct commitlog_config config = small_config();
		struct commitlog *log = NULL;
		struct errinfo err;
		size_t size;

		config.segment_size = cases[i].segment_size;
		config.ring_size = cases[i].ring_size;
		config.prepare_chunk = cases[i].prepare_chunk;
		config.cluster = cases[i].cluster;
		CU_ASSERT_EQUAL(commitlog_open(&config, memdisk_vfs(disk), &log, &err), cases[i].good ? ST_OK : ST_INVALID);
		CU_ASSERT_EQUAL(memdisk_data(disk, SEGMENT_0, &size) != NULL, cases[i].good);
		CU_ASSERT_EQUAL(commitlog_close(log, false, NULL), ST_OK);
		memdisk_destroy(disk);
	}
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_new_log_opens_epoch_one_and_is_empty),
		CHECK_TEST(test_watermarks_advance_with_the_jobs),
		CHECK_TEST(test_aborted_record_leaves_no_trace),
		CHECK_TEST(test_room_is_a_promise_and_full_ring_pushes_back),
		CHECK_TEST(test_small_segments_are_passed_over),
		CHECK_TEST(test_records_cross_ring_and_segments_unharmed),
		CHECK_TEST(test_one_job_covers_a_few_segments_only),
		CHECK_TEST(test_async_mode_syncs_by_itself_before_the_ring_is_full),
		CHECK_TEST(test_reads_come_from_ring_then_page_cache_then_job),
		CHECK_TEST(test_damage_is_found_by_a_verifying_read),
		CHECK_TEST(test_record_by_an_offset_that_a_client_quotes),
		CHECK_TEST(test_logreader_follows_below_the_limit),
		CHECK_TEST(test_impossible_settings_are_refused),
		CHECK_TEST(test_logreader_looks_at_the_last_bytes_of_a_file),
		CHECK_TEST(test_logreader_refuses_what_is_not_there),
		CHECK_TEST(test_real_files_keep_the_log_and_the_lock),
		CHECK_TEST(test_the_largest_record_finds_room),
		CHECK_TEST(test_new_directories_are_durable_before_the_first_segment),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("commitlog", tests, sizeof(tests) / sizeof(tests[0]));
}
