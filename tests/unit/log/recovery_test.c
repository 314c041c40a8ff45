/* What a stop of any kind leaves: torn tails are cut, damage is refused, nothing durable is lost, nothing wrong is
 * ever returned. */
#include "tests/unit/log/log_fixture.h"

#include <inttypes.h>

static const char *const SEGMENT_1 = "store/commitlog/00000000000000065536";
static const char *const SEGMENT_2 = "store/commitlog/00000000000000131072";

/* Tries to open; on success closes without a word. */
static enum status try_open(struct memdisk *disk, const struct commitlog_config *config, struct errinfo *err)
{
	struct commitlog *log = NULL;
	enum status status = commitlog_open(config, memdisk_vfs(disk), &log, err);

	if (status == ST_OK)
		CU_ASSERT_EQUAL(commitlog_close(log, false, NULL), ST_OK);
	return status;
}

/* A log of a few small records in several synced jobs, abandoned. */
static void make_small_log(struct memdisk *disk, struct history *h)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; i < 10; i++) {
		append_hard(log, h, LOG_MESSAGE, 3 + 5 * (i % 4), i);
		if (i % 2 == 1)
			flush_all(log);
	}
	flush_all(log);
	abandon(log);
}

static struct log_check_result check_log(struct memdisk *disk)
{
	struct log_check_result result;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(log_check(memdisk_vfs(disk), "store", &result, &err), ST_OK);
	return result;
}

/* Records of the history that end at or before `offset`. */
static size_t count_before(const struct history *h, uint64_t offset)
{
	size_t count = 0;

	while (count < h->count && h->records[count].end <= offset)
		count++;
	return count;
}

/* Opens a copy of the disk and replays. SIZE_MAX when a record is wrong. */
static size_t recovered_count(const struct memdisk *disk, const struct history *h)
{
	struct memdisk *copy = memdisk_clone(disk);
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(copy, &config);
	size_t count = replay_matches(log, h);
	struct history more = { 0 };

	/* The log goes on where it was cut, and the next start agrees. */
	append_hard(log, &more, LOG_GROUP, 9, 9);
	flush_all(log);
	abandon(log);
	CU_ASSERT_EQUAL(try_open(copy, &config, NULL), ST_OK);
	history_free(&more);
	memdisk_destroy(copy);
	return count;
}

static void test_tail_cut_at_every_byte(void)
{
	static const uint8_t fillers[] = { 0x00, 0xff, 0x45 };
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	size_t size = 0;

	make_small_log(disk, &h);
	uint8_t *intact = malloc(LOG_SEGMENT_SIZE_MIN), *file = memdisk_data(disk, SEGMENT_0, &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(intact);
	CU_ASSERT_FATAL(file != NULL && size <= LOG_SEGMENT_SIZE_MIN);
	memcpy(intact, file, size);
	uint64_t end = h.records[h.count - 1].end, mark = check_log(disk).durable_mark;
	for (size_t f = 0; f < sizeof(fillers); f++) {
		for (uint64_t at = h.records[4].offset; at <= end; at++) {
			memcpy(file, intact, size);
			memset(file + at, fillers[f], end - at + 40);
			/* No mark above the cut survives, so nothing says that this is more than a torn tail. */
			size_t expected = count_before(&h, at);
			if (fillers[f] == 0 && at % 8 != 0 && expected < h.count) {
				/* Zeros may happen to be what was there: padding. */
				const struct noted *torn = &h.records[expected];
				uint64_t bytes_end = torn->offset + LOG_ENVELOPE_SIZE + torn->payload_size;
				expected += at >= bytes_end && at > torn->offset;
			}
			size_t got = recovered_count(disk, &h);
			CU_ASSERT(got == expected || (got == expected + 1 && got <= h.count));
		}
	}
	/* The file ends there, as after a lost size change. */
	for (uint64_t at = mark; at <= end; at++) {
		memdisk_put(disk, SEGMENT_0, intact, at);
		CU_ASSERT_EQUAL(recovered_count(disk, &h), count_before(&h, at));
	}
	free(intact);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_every_flipped_bit_is_cut_or_refused(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct log_check_result result;
	struct errinfo err;
	size_t size;

	make_small_log(disk, &h);
	uint64_t mark = check_log(disk).durable_mark, end = h.records[h.count - 1].end;
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	CU_ASSERT(mark > LOG_SEGMENT_HEADER_SIZE + 200 && mark < end);
	for (uint64_t bit = 0; bit < end * 8; bit++) {
		uint64_t at = bit / 8;
		file[at] ^= (uint8_t)(1 << bit % 8);
		enum status status = log_check(memdisk_vfs(disk), "store", &result, &err);
		if (at < mark) {
			CU_ASSERT_EQUAL(status, ST_CORRUPT);
			CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_0));
			if (bit % 61 == 0)
				CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
		} else {
			CU_ASSERT_EQUAL(status, ST_OK);
			CU_ASSERT(result.end <= at);
			if (bit % 13 == 0)
				CU_ASSERT_EQUAL(recovered_count(disk, &h), count_before(&h, at));
		}
		file[at] ^= (uint8_t)(1 << bit % 8);
	}
	CU_ASSERT_EQUAL(recovered_count(disk, &h), h.count);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_clean_close_makes_damage_to_the_last_records_visible(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	struct errinfo err;
	size_t size;

	append_hard(log, &h, LOG_MESSAGE, 50, 1);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	file[h.records[0].offset + 40] ^= 1;
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "escrow-log check"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "CRC mismatch"));
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_hole_above_the_mark_cuts_valid_records_behind_it(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	size_t size;

	append_hard(log, &h, LOG_MESSAGE, 100, 0);
	flush_all(log);
	for (uint32_t i = 1; i < 4; i++) { /* Three writes, none synced. */
		append_hard(log, &h, LOG_MESSAGE, 100, i);
		CU_ASSERT_EQUAL(flush(log, false), ST_OK);
	}
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	memset(file + h.records[1].offset, 0, 64); /* The disk did not get this part. */
	CU_ASSERT_EQUAL(recovered_count(disk, &h), 1);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_hole_segments_before_the_end_is_still_a_tail(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	size_t size, sound = 20;

	config.ring_size = 16 * LOG_SEGMENT_SIZE_MIN;
	struct commitlog *log = must_open(disk, &config);
	append_hard(log, &h, LOG_MESSAGE, 100, 0);
	flush_all(log);
	while (commitlog_appended(log) < 3 * config.segment_size + 20000) { /* Written, none of it synced. */
		if (!append(log, &h, LOG_MESSAGE, 900, (uint32_t)h.count))
			prepare_all(log);
		CU_ASSERT_NOT_EQUAL(flush(log, false), ST_IO);
	}
	CU_ASSERT_EQUAL(commitlog_durable(log), h.records[0].end);
	abandon(log);
	memset(memdisk_data(disk, SEGMENT_0, &size) + h.records[sound].offset, 0, 512);
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), sound);
	h.count = sound;
	append_hard(log, &h, LOG_MESSAGE, 900, 5);
	flush_all(log);
	abandon(log);
	log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_stale_record_of_an_older_epoch_is_not_revived(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	uint8_t stale[64] = { 0 };
	size_t size;

	append_hard(log, &h, LOG_MESSAGE, 20, 0);
	flush_all(log);
	abandon(log);
	log = must_open(disk, &config);
	uint64_t end = commitlog_appended(log);
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	uint64_t stale_size = log_seal(config.log_id, stale, LOG_MESSAGE, 1, end, 20); /* Right place, right CRC, old epoch. */
	memcpy(file + end, stale, stale_size);
	CU_ASSERT_EQUAL(recovered_count(disk, &h), 1);
	struct log_check_result result = check_log(disk);
	CU_ASSERT_EQUAL(result.end, end);
	CU_ASSERT_STRING_EQUAL(result.reason, "record of another epoch");
	/* The right epoch at another place is not a record either. */
	stale_size = log_seal(config.log_id, stale, LOG_MESSAGE, 2, end + 8, 20);
	memcpy(file + end, stale, stale_size);
	CU_ASSERT_EQUAL(recovered_count(disk, &h), 1);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A client knows at which offset its message's body will lie, and can put records there: behind a torn record, or in a segment that
 * is used again, they are found. It does not know the log's id. */
static void test_records_in_a_body_prove_nothing(void)
{
	static const unsigned kinds[] = { LOG_BATCH, LOG_EPOCH };
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	size_t size;

	append_hard(log, &h, LOG_MESSAGE, 20, 0);
	flush_all(log);
	uint64_t end = commitlog_appended(log), at = end + 4096;
	abandon(log);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	for (int known = 0; known < 2; known++) {
		const uint8_t *id = known ? config.log_id : (const uint8_t[LOG_ID_SIZE]){ 0 };

		for (int i = 0; i < 2; i++) {
			uint8_t record[LOG_EPOCH_SIZE] = { 0 };

			put_u64(record + LOG_ENVELOPE_SIZE, kinds[i] == LOG_BATCH ? at : 1);
			put_u64(record + LOG_ENVELOPE_SIZE + 8, kinds[i] == LOG_BATCH ? config.ring_size : at);
			log_seal(id, record, kinds[i], UINT32_MAX, at, kinds[i] == LOG_BATCH ? LOG_BATCH_PAYLOAD : LOG_EPOCH_PAYLOAD);
			memcpy(file + at, record, sizeof(record));
			struct log_check_result result;
			CU_ASSERT_EQUAL(log_check(memdisk_vfs(disk), "store", &result, NULL), known ? ST_CORRUPT : ST_OK);
			CU_ASSERT_EQUAL(result.end, end);
		}
	}
	history_free(&h);
	memdisk_destroy(disk);
}

/* A leftover of an earlier start that says "durable up to here" speaks of a log that was cut since. */
static void test_stale_batch_of_an_older_epoch_proves_nothing(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct history h = { 0 };
	uint8_t batch[LOG_BATCH_SIZE] = { 0 };
	size_t size;

	append_hard(log, &h, LOG_MESSAGE, 20, 0);
	flush_all(log);
	abandon(log);
	log = must_open(disk, &config);
	uint64_t end = commitlog_appended(log), at = end + 4096;
	abandon(log);
	put_u64(batch + LOG_ENVELOPE_SIZE, at);
	put_u64(batch + LOG_ENVELOPE_SIZE + 8, config.ring_size);
	log_seal(config.log_id, batch, LOG_BATCH, 1, at, LOG_BATCH_PAYLOAD);
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	memcpy(file + at, batch, sizeof(batch));
	struct log_check_result result = check_log(disk);
	CU_ASSERT_EQUAL(result.end, end);
	CU_ASSERT_FALSE(result.damaged);
	/* The same from this start is proof that something before it is gone. */
	log_seal(config.log_id, batch, LOG_BATCH, 2, at, LOG_BATCH_PAYLOAD);
	memcpy(file + at, batch, sizeof(batch));
	CU_ASSERT_EQUAL(log_check(memdisk_vfs(disk), "store", &result, NULL), ST_CORRUPT);
	CU_ASSERT_TRUE(result.damaged);
	log_seal(config.log_id, batch, LOG_BATCH, 1, at, LOG_BATCH_PAYLOAD);
	memcpy(file + at, batch, sizeof(batch));
	CU_ASSERT_EQUAL(recovered_count(disk, &h), 1);
	history_free(&h);
	memdisk_destroy(disk);
}

/* Where the search reads block by block, no proof falls between two of them. */
static void test_proof_is_found_wherever_it_lies(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	uint8_t batch[LOG_BATCH_SIZE] = { 0 };
	size_t size;

	config.segment_size = 4 * LOG_SEGMENT_SIZE_MIN;
	config.ring_size = 4 * LOG_RING_SIZE_MIN;
	struct commitlog *log = must_open(disk, &config);
	uint64_t end = commitlog_appended(log);
	prepare_all(log);
	abandon(log);
	put_u64(batch + LOG_ENVELOPE_SIZE + 8, config.ring_size);
	for (uint64_t at = end + 64 * 1024 - 64; at <= end + 64 * 1024 + 8; at += 8) {
		struct memdisk *copy = memdisk_clone(disk);
		struct log_check_result result;

		put_u64(batch + LOG_ENVELOPE_SIZE, at);
		log_seal(config.log_id, batch, LOG_BATCH, 1, at, LOG_BATCH_PAYLOAD);
		uint8_t *file = memdisk_data(copy, SEGMENT_0, &size);
		CU_ASSERT_FATAL(size >= at + sizeof(batch));
		memcpy(file + at, batch, sizeof(batch));
		CU_ASSERT_EQUAL(log_check(memdisk_vfs(copy), "store", &result, NULL), ST_CORRUPT);
		CU_ASSERT_TRUE(result.damaged);
		memdisk_destroy(copy);
	}
	memdisk_destroy(disk);
}

/* A reader that begins with a segment knows from its header which records are of before its time. */
static void test_a_record_older_than_its_segment_is_stale(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct log_segment segment;
	struct logreader *reader = NULL;
	struct log_record record;
	size_t size;

	make_small_log(disk, &h);
	for (uint32_t first = 1; first <= 2; first++) {
		CU_ASSERT_EQUAL_FATAL(log_open_segment(memdisk_vfs(disk), "store/commitlog", 0, VFS_READ, &segment, NULL), ST_OK);
		vfs_close(segment.file);
		segment.header.first_epoch = first;
		log_encode_header(&segment.header, memdisk_data(disk, SEGMENT_0, &size));
		CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(disk), "store", h.records[0].offset, &reader, NULL), ST_OK);
		CU_ASSERT_EQUAL(logreader_next(reader, LOG_NO_LIMIT, &record, NULL), first == 1 ? ST_OK : ST_CORRUPT);
		logreader_close(reader);
	}
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_epoch_finds_room_wherever_the_segment_ends(void)
{
	for (uint64_t left = 0; left <= 160; left += 8) {
		struct memdisk *disk = memdisk_create();
		struct commitlog_config config = small_config();
		struct commitlog *log = must_open(disk, &config);
		struct history h = { 0 };

		uint64_t target = config.segment_size - left; /* The first segment's last record ends here. */
		while (target - commitlog_appended(log) > 8192)
			append_hard(log, &h, LOG_MESSAGE, 1000, 1);
		flush_all(log);
		uint64_t gap = target - commitlog_appended(log) - LOG_BATCH_SIZE - LOG_ENVELOPE_SIZE;
		CU_ASSERT_EQUAL(prepare(log) == ST_IO, false);
		append_hard(log, &h, LOG_MESSAGE, gap, 2);
		CU_ASSERT_EQUAL(commitlog_appended(log), target);
		flush_all(log);
		abandon(log);
		for (int i = 0; i < 3; i++) {
			log = must_open(disk, &config);
			CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
			append_hard(log, &h, LOG_MESSAGE, 10, 3);
			flush_all(log);
			abandon(log);
		}
		memdisk_crash(disk, left);
		CU_ASSERT_EQUAL(recovered_count(disk, &h), h.count);
		history_free(&h);
		memdisk_destroy(disk);
	}
}

/* --- files that are not as they should be --- */

/* Three segments, the last in use; closed. */
static struct memdisk *make_three_segments(struct history *h)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	for (uint32_t i = 0; commitlog_appended(log) < 2 * config.segment_size + 10000; i++)
		append_hard(log, h, LOG_MESSAGE, 1000, i);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	return disk;
}

static void test_missing_misnamed_and_foreign_segments_are_refused(void)
{
	struct history h = { 0 };
	struct memdisk *whole = make_three_segments(&h), *disk = memdisk_clone(whole);
	struct commitlog_config config = small_config();
	struct errinfo err = { 0 };
	size_t size = 0;

	CU_ASSERT_EQUAL(recovered_count(disk, &h), h.count);
	CU_ASSERT_TRUE(memdisk_remove(disk, SEGMENT_1));
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000065536: segment is missing"));
	/* Also for whoever wants to read from within it, as a start behind a snapshot. */
	config.known = (struct log_known){ 65536 + 10000, 65536 + 10000 };
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000065536: segment is missing"));
	config.known = (struct log_known){ 0 };

	/* The second one under the third's name. */
	uint8_t *data = memdisk_data(whole, SEGMENT_1, &size);
	memdisk_destroy(disk);
	disk = memdisk_clone(whole);
	memdisk_put(disk, SEGMENT_2, data, size);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_2));

	/* Of another log. */
	struct memdisk *other = memdisk_create();
	struct commitlog_config other_config = config;
	other_config.log_id[0] = 99;
	struct commitlog *log = must_open(other, &other_config);
	for (uint32_t i = 0; commitlog_appended(log) < config.segment_size + 10000; i++)
		append_hard(log, NULL, LOG_MESSAGE, 1000, i);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	memdisk_destroy(disk);
	disk = memdisk_clone(whole);
	data = memdisk_data(other, SEGMENT_1, &size);
	memdisk_put(disk, SEGMENT_1, data, size);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "another log"));

	memdisk_put(disk, SEGMENT_1, data, 100);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cut off"));
	/* Files that are not ours are left alone. */
	memdisk_destroy(disk);
	disk = memdisk_clone(whole);
	memdisk_put(disk, "store/commitlog/README", "x", 1);
	memdisk_put(disk, "store/commitlog/00000000000000196608.tmp", "x", 1);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_OK);
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(disk, "store/commitlog/README", &size));
	CU_ASSERT_PTR_NULL(memdisk_data(disk, "store/commitlog/00000000000000196608.tmp", &size));
	memdisk_destroy(other);
	memdisk_destroy(disk);
	memdisk_destroy(whole);
	history_free(&h);
}

static void test_damage_in_an_old_segment_is_found_by_replay(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_three_segments(&h);
	struct commitlog_config config = small_config();
	struct log_check_result result;
	struct replay_check check = { .history = &h };
	struct errinfo err = { 0 };
	size_t size;

	memdisk_data(disk, SEGMENT_0, &size)[h.records[3].offset + 50] ^= 1;
	CU_ASSERT_EQUAL(log_check(memdisk_vfs(disk), "store", &result, &err), ST_CORRUPT);
	CU_ASSERT_TRUE(result.damaged);
	CU_ASSERT_EQUAL(result.end, h.records[3].offset);
	struct commitlog *log = must_open(disk, &config);
	CU_ASSERT_EQUAL(commitlog_replay(log, 0, check_replayed, &check, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, SEGMENT_0));
	CU_ASSERT_EQUAL(check.next, 3);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A whole header of that version. */
static void set_version(uint8_t *header, uint32_t version)
{
	put_u32(header + 8, version);
	put_u32(header + 12, 0);
	put_u32(header + 12, crc32c(0, header, LOG_SEGMENT_HEADER_SIZE));
}

static void test_other_versions_and_clusters_are_refused(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_three_segments(&h);
	struct commitlog_config config = small_config();
	struct errinfo err = { 0 };
	size_t size;

	config.cluster = "other";
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "cluster \"test\""));
	config.cluster = "test";
	uint8_t *file = memdisk_data(disk, SEGMENT_0, &size);
	put_u32(file + 8, LOG_FORMAT_VERSION + 1);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_CORRUPT);
	set_version(file, LOG_FORMAT_VERSION + 1);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_VERSION);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "version 3, this program reads 2: use a newer program"));
	set_version(file, LOG_FORMAT_VERSION - 1);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_VERSION);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "version 1, this program reads 2: use the program that wrote it"));
	set_version(file, 0);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_VERSION);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "unknown format version 0, this program reads 2"));
	config.ring_size = 100000;
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_INVALID);
	memdisk_destroy(disk);
	history_free(&h);
}

static void test_segment_size_may_change_between_starts(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };

	for (uint32_t life = 0; life < 6; life++) {
		config.segment_size = LOG_SEGMENT_SIZE_MIN << life % 3;
		struct commitlog *log = must_open(disk, &config);
		CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
		uint64_t goal = commitlog_appended(log) + 2 * config.segment_size;
		while (commitlog_appended(log) < goal)
			append_hard(log, &h, LOG_MESSAGE, 3000 + h.count % 7, (uint32_t)h.count);
		flush_all(log);
		abandon(log);
		memdisk_crash(disk, life);
	}
	struct commitlog *log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	abandon(log);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_lock_keeps_a_second_owner_out(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_LOCKED);
	abandon(log);
	CU_ASSERT_EQUAL(try_open(disk, &config, &err), ST_OK);
	memdisk_destroy(disk);
}

/* --- power cuts and failing disks --- */

struct run {
	struct memdisk *disk;
	struct commitlog_config config;
	struct commitlog *log;
	struct history h;
	uint64_t random;
	uint64_t promised; /* Highest durable mark ever told. */
	uint32_t next_seed;
};

static void append_something(struct run *run)
{
	unsigned kind = LOG_MESSAGE + check_random(&run->random) % 12;
	size_t size_max = check_random(&run->random) % 4 == 0 ? 6000 : 300;
	size_t size = check_random(&run->random) % size_max;

	(void)append(run->log, &run->h, kind, size, run->next_seed++); /* It may be full; that is part of the game. */
}

/* Random work until `steps` are done or the log fails. Leaves jobs taken, run or reported, as it comes. */
static void work(struct run *run, int steps)
{
	struct log_flush_job flush_job;
	struct log_prepare_job prepare_job;
	bool flush_taken = false, flush_ran = false, prepare_taken = false;

	for (int i = 0; i < steps && !commitlog_failed(run->log, NULL); i++) {
		switch (check_random(&run->random) % 8) {
		case 0:
			if (!flush_taken)
				flush_taken = commitlog_take_flush(run->log, check_random(&run->random) % 4 != 0, &flush_job);
			break;
		case 1:
			if (flush_taken && !flush_ran)
				log_flush_run(&flush_job);
			flush_ran = flush_taken;
			break;
		case 2:
			if (!flush_ran)
				break;
			(void)!commitlog_flush_done(run->log, &flush_job, NULL);
			flush_taken = flush_ran = false;
			run->promised = commitlog_durable(run->log);
			break;
		case 3:
			if (prepare_taken || !commitlog_take_prepare(run->log, &prepare_job))
				break;
			log_prepare_run(&prepare_job);
			prepare_taken = check_random(&run->random) % 8 == 0; /* Reported later. */
			if (!prepare_taken)
				(void)!commitlog_prepare_done(run->log, &prepare_job, NULL);
			break;
		case 4:
			if (prepare_taken)
				(void)!commitlog_prepare_done(run->log, &prepare_job, NULL);
			prepare_taken = false;
			break;
		default:
			append_something(run);
		}
	}
	if (prepare_taken)
		(void)!commitlog_prepare_done(run->log, &prepare_job, NULL);
}

/* Past the log's end there is nothing that could ever look like a record. */
static bool only_zeros_follow(struct run *run)
{
	uint64_t end = commitlog_appended(run->log);

	for (uint64_t base = end - end % run->config.segment_size;; base += run->config.segment_size) {
		char path[64];
		size_t size = 0;
		snprintf(path, sizeof(path), "store/commitlog/%020" PRIu64, base);
		const uint8_t *data = memdisk_data(run->disk, path, &size);
		if (data == NULL)
			return true;
		size_t at = end > base ? end - base : LOG_SEGMENT_HEADER_SIZE;
		for (; at < size; at++) {
			if (data[at] != 0)
				return false;
		}
	}
}

/* What came back is a prefix of what was appended and holds everything promised. */
static void verify_recovered(struct run *run)
{
	size_t count = replay_matches(run->log, &run->h);

	CU_ASSERT_NOT_EQUAL_FATAL(count, SIZE_MAX);
	CU_ASSERT_FATAL(count >= count_before(&run->h, run->promised));
	CU_ASSERT_TRUE(only_zeros_follow(run));
	run->h.count = count;
	run->promised = commitlog_durable(run->log);
}

static void test_power_cuts_lose_nothing_durable(void)
{
	uint64_t seed = check_seed(1000);

	for (int round = 0; round < 150; round++, seed++) {
		struct run run = { .disk = memdisk_create(), .config = small_config(), .random = seed };
		for (int life = 0; life < 6; life++) {
			run.config.ring_size = LOG_RING_SIZE_MIN << check_random(&run.random) % 3;
			run.log = must_open(run.disk, &run.config);
			verify_recovered(&run);
			work(&run, 20 + (int)(check_random(&run.random) % 400));
			abandon(run.log);
			if (life % 3 == 2)
				memdisk_kill(run.disk);
			else
				memdisk_crash(run.disk, check_random(&run.random));
			/* A power cut in the middle of recovery, too. */
			memdisk_fail(run.disk, 1 + check_random(&run.random) % 30, MEMDISK_EIO, true);
			if (check_random(&run.random) % 2 == 0 && try_open(run.disk, &run.config, NULL) != ST_OK)
				memdisk_crash(run.disk, check_random(&run.random));
			memdisk_fail(run.disk, 0, MEMDISK_EIO, false);
		}
		run.log = must_open(run.disk, &run.config);
		verify_recovered(&run);
		abandon(run.log);
		history_free(&run.h);
		memdisk_destroy(run.disk);
	}
}

/* Fails the k-th operation for k = 1, 2, ... until the whole run passes without reaching it. */
static void fail_at_every_operation(enum memdisk_fault fault, bool sticky)
{
	bool struck = true;

	for (uint64_t k = 1; struck; k++) {
		struct run run = { .disk = memdisk_create(), .config = small_config(), .random = 42 };
		memdisk_fail(run.disk, k, fault, sticky);
		if (commitlog_open(&run.config, memdisk_vfs(run.disk), &run.log, NULL) == ST_OK) {
			work(&run, 1200);
			struct errinfo err = { 0 };
			if (commitlog_failed(run.log, &err)) {
				uint64_t offset;
				struct log_flush_job job;
				CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "injected"));
				CU_ASSERT_PTR_NULL(commitlog_begin(run.log, LOG_MESSAGE, 1, &offset));
				CU_ASSERT_FALSE(commitlog_take_flush(run.log, true, &job));
				CU_ASSERT_EQUAL(commitlog_room(run.log), 0);
			}
			abandon(run.log);
		}
		struck = memdisk_fault_struck(run.disk);
		memdisk_fail(run.disk, 0, fault, false);
		if (k % 2 == 0) { /* A restart first: the page cache shows bytes that a failed sync has lost. */
			run.log = must_open(run.disk, &run.config);
			verify_recovered(&run);
			abandon(run.log);
		}
		memdisk_crash(run.disk, k);
		run.log = must_open(run.disk, &run.config);
		verify_recovered(&run);
		abandon(run.log);
		history_free(&run.h);
		memdisk_destroy(run.disk);
	}
}

static void test_failing_disk_loses_nothing_durable(void)
{
	fail_at_every_operation(MEMDISK_EIO, false);
	fail_at_every_operation(MEMDISK_EIO, true);
	fail_at_every_operation(MEMDISK_SHORT_WRITE, false);
	fail_at_every_operation(MEMDISK_ENOSPC, false);
}

static void test_full_disk_stops_preparing_but_not_the_log(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);

	memdisk_fail(disk, 1, MEMDISK_ENOSPC, true);
	CU_ASSERT_EQUAL(prepare(log), ST_FULL);
	CU_ASSERT_FALSE(commitlog_failed(log, NULL));
	CU_ASSERT(commitlog_room(log) > 0);
	memdisk_fail(disk, 0, MEMDISK_ENOSPC, false);
	while (append(log, NULL, LOG_MESSAGE, 100, 1))
		;
	flush_all(log);
	CU_ASSERT_EQUAL(prepare(log), ST_OK);
	CU_ASSERT_TRUE(append(log, NULL, LOG_MESSAGE, 100, 1));
	abandon(log);
	memdisk_destroy(disk);
}

/* What is prepared is used up to so many bytes, then the process ends; at the next start the disk is full. */
static enum status start_on_full_disk(struct memdisk *disk, uint64_t left, struct history *h, struct errinfo *err)
{
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	uint64_t ahead;

	while ((ahead = commitlog_prepared_ahead(log)) > left) {
		uint64_t most = ahead - left - LOG_ENVELOPE_SIZE - LOG_BATCH_SIZE;
		CU_ASSERT_TRUE_FATAL(append(log, h, LOG_MESSAGE, ahead - left > 2000 ? 1000 : most, 1));
		flush_all(log);
	}
	CU_ASSERT_EQUAL(ahead, left);
	abandon(log);
	memdisk_kill(disk);
	memdisk_set_full(disk, true);
	return try_open(disk, &config, err);
}

static void test_full_disk_does_not_prevent_a_start(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(start_on_full_disk(disk, 1000, &h, &err), ST_OK);
	struct commitlog *log = must_open(disk, &config);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	CU_ASSERT_TRUE(append(log, &h, LOG_DECISION, 200, 1));
	flush_all(log);
	CU_ASSERT_EQUAL(prepare(log), ST_FULL);
	abandon(log);
	memdisk_kill(disk);
	memdisk_set_full(disk, false);
	CU_ASSERT_EQUAL(recovered_count(disk, &h), h.count);
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_start_without_room_for_an_epoch_says_that_the_disk_is_full(void)
{
	struct memdisk *disk = memdisk_create();
	struct history h = { 0 };
	struct errinfo err = { .text = "" };

	CU_ASSERT_EQUAL(start_on_full_disk(disk, 56, &h, &err), ST_FULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "no space left"));
	history_free(&h);
	memdisk_destroy(disk);
}

static void test_failed_reads_are_errors_not_ends(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_three_segments(&h);
	struct commitlog_config config = small_config();
	enum status status = ST_IO;

	for (uint64_t k = 1; status == ST_IO; k++) {
		memdisk_fail_reads(disk, k);
		status = try_open(disk, &config, NULL);
		CU_ASSERT(status == ST_OK || status == ST_IO);
	}
	memdisk_fail_reads(disk, 0);
	CU_ASSERT_EQUAL(recovered_count(disk, &h), h.count);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A whole ring was on its way, a larger one than at the start before, and the disk got its end alone: all of that is zeros
 * behind the new end, however far it reaches. */
static void test_all_that_was_on_its_way_is_cut(void)
{
	struct run run = { .disk = memdisk_create(), .config = small_config() };
	struct log_flush_job job;
	size_t size;

	run.config.segment_size = 16 * LOG_SEGMENT_SIZE_MIN;
	run.log = must_open(run.disk, &run.config);
	append_hard(run.log, &run.h, LOG_MESSAGE, 100, 0);
	CU_ASSERT_EQUAL(commitlog_close(run.log, true, NULL), ST_OK);
	run.config.ring_size = 8 * LOG_RING_SIZE_MIN;
	run.log = must_open(run.disk, &run.config);
	prepare_all(run.log);
	while (append(run.log, &run.h, LOG_MESSAGE, 900, (uint32_t)run.h.count))
		;
	CU_ASSERT_TRUE_FATAL(commitlog_take_flush(run.log, true, &job));
	job.sync = false; /* It came to the writes, not to the sync. */
	log_flush_run(&job);
	abandon(run.log);
	uint8_t *file = memdisk_data(run.disk, SEGMENT_0, &size);
	uint64_t from = run.h.records[1].offset, lost = 7 * LOG_RING_SIZE_MIN;
	CU_ASSERT_FATAL(run.h.records[run.h.count - 1].end > from + lost && size > from + lost);
	memset(file + from, 0, lost);
	run.log = must_open(run.disk, &run.config);
	CU_ASSERT_EQUAL(replay_matches(run.log, &run.h), 1);
	CU_ASSERT_TRUE(only_zeros_follow(&run));
	abandon(run.log);
	history_free(&run.h);
	memdisk_destroy(run.disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_tail_cut_at_every_byte),
		CHECK_TEST(test_every_flipped_bit_is_cut_or_refused),
		CHECK_TEST(test_clean_close_makes_damage_to_the_last_records_visible),
		CHECK_TEST(test_hole_above_the_mark_cuts_valid_records_behind_it),
		CHECK_TEST(test_hole_segments_before_the_end_is_still_a_tail),
		CHECK_TEST(test_stale_record_of_an_older_epoch_is_not_revived),
		CHECK_TEST(test_records_in_a_body_prove_nothing),
		CHECK_TEST(test_stale_batch_of_an_older_epoch_proves_nothing),
		CHECK_TEST(test_proof_is_found_wherever_it_lies),
		CHECK_TEST(test_a_record_older_than_its_segment_is_stale),
		CHECK_TEST(test_epoch_finds_room_wherever_the_segment_ends),
		CHECK_TEST(test_missing_misnamed_and_foreign_segments_are_refused),
		CHECK_TEST(test_damage_in_an_old_segment_is_found_by_replay),
		CHECK_TEST(test_other_versions_and_clusters_are_refused),
		CHECK_TEST(test_segment_size_may_change_between_starts),
		CHECK_TEST(test_lock_keeps_a_second_owner_out),
		CHECK_TEST(test_power_cuts_lose_nothing_durable),
		CHECK_TEST(test_failing_disk_loses_nothing_durable),
		CHECK_TEST(test_full_disk_stops_preparing_but_not_the_log),
		CHECK_TEST(test_full_disk_does_not_prevent_a_start),
		CHECK_TEST(test_start_without_room_for_an_epoch_says_that_the_disk_is_full),
		CHECK_TEST(test_failed_reads_are_errors_not_ends),
		CHECK_TEST(test_all_that_was_on_its_way_is_cut),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("log recovery", tests, sizeof(tests) / sizeof(tests[0]));
}
