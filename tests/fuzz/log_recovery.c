/* Recovery over hostile files: whatever the bytes of the segments are, opening gives a log or a clean error, and a log
 * that opens gives back valid records only, takes more, and opens again with all of them.
 *
 * The first byte chooses how much is right from the start: raw bytes as the file; a good header before raw bytes; or a
 * script of records with good checksums whose kinds, epochs, offsets and lengths the input chooses, in one or two
 * segments, which may be recycled ones.
 *
 * Fast because everything is small: files end soon behind what the input put there, as a file does whose zero-filling has
 * just begun, and the ring is mapped once for all runs (its bytes are undefined in any case). */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/log/commitlog.h"
#include "lib/log/format.h"
#include "lib/log/recovery.h"
#include "tests/fuzz/one_ring.h"
#include "tests/support/memdisk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { FILE_SIZE = LOG_SEGMENT_SIZE_MIN, FILES = 2, SLACK = 512 };

struct script_file {
	uint8_t bytes[FILE_SIZE];
	size_t used; /* Bytes that are on the disk. */
	size_t dirty;
};
static struct script_file files[FILES];
static const uint8_t log_id[LOG_ID_SIZE] = { 7 };

/* --- files from the input ---------------------------------------------------------------------------------------- */

static void put_header(unsigned number, bool recycled)
{
	struct log_segment_header header = { .base = (uint64_t)number * FILE_SIZE, .segment_size = FILE_SIZE, .first_epoch = 1,
					     .recycled = recycled, .cluster = "fuzz" };

	memcpy(header.log_id, log_id, LOG_ID_SIZE);
	log_encode_header(&header, files[number].bytes);
	files[number].used = files[number].dirty = LOG_SEGMENT_HEADER_SIZE;
}

static void note_used(struct script_file *file, size_t end)
{
	if (end > file->dirty)
		file->dirty = end;
	end += SLACK;
	if (end > file->used)
		file->used = end < FILE_SIZE ? end : FILE_SIZE;
}

/* The payload of a record that lib/log looks into. */
static void put_mark(uint8_t *p, const uint8_t *op, unsigned kind, uint64_t at)
{
	uint64_t mark = op[2] % 2 == 0 ? at : get_u16(op + 6);

	if (kind == LOG_EPOCH)
		put_u32(p, (uint32_t)(op[1] % 4) - (op[2] % 8 != 7));
	put_u64(p + (kind == LOG_EPOCH ? 8 : 0), mark);
	put_u64(p + (kind == LOG_EPOCH ? 16 : 8), op[2] % 4 == 0 ? 0 : (uint64_t)op[2] << 11);
}

/* Each record takes 8 bytes of script: kind, epoch, offset shift, where it goes, payload size (2), mark (2). */
static void put_script(const uint8_t *script, size_t size)
{
	unsigned number = 0;
	size_t at = LOG_SEGMENT_HEADER_SIZE;

	for (; size >= 8; script += 8, size -= 8) {
		struct script_file *file = &files[number];
		unsigned kind = script[0] % 20;
		size_t payload = kind == LOG_BATCH ? LOG_BATCH_PAYLOAD : kind == LOG_EPOCH ? LOG_EPOCH_PAYLOAD
											    : get_u16(script + 4) % 512u;

		at += (size_t)(script[3] % 4 == 3 ? script[3] & ~7u : 0);
		if (at + commitlog_record_size(payload) > FILE_SIZE)
			return;
		uint64_t offset = (uint64_t)number * FILE_SIZE + at;
		uint8_t *p = file->bytes + at;
		memset(p + LOG_ENVELOPE_SIZE, kind == LOG_BATCH || kind == LOG_EPOCH ? 0 : script[7], payload);
		if (kind == LOG_BATCH || kind == LOG_EPOCH)
			put_mark(p + LOG_ENVELOPE_SIZE, script, kind, offset);
		if (kind == LOG_PAD)
			payload = FILE_SIZE - at - LOG_ENVELOPE_SIZE;
		size_t taken = log_seal(log_id, p, kind, script[1] % 4, offset + (script[2] % 16 == 15 ? script[2] : 0), payload);
		note_used(file, kind == LOG_PAD ? at + LOG_ENVELOPE_SIZE : at + taken);
		at += taken;
		if (kind == LOG_PAD && number + 1 < FILES && files[number + 1].used > 0) {
			number++;
			at = LOG_SEGMENT_HEADER_SIZE;
		}
	}
}

static void put_raw(struct script_file *file, size_t at, const uint8_t *data, size_t size)
{
	if (size > FILE_SIZE - at)
		size = FILE_SIZE - at;
	memcpy(file->bytes + at, data, size);
	file->dirty = at + size;
	if (file->used < at + size)
		file->used = at + size;
}

static void build_files(const uint8_t *data, size_t size)
{
	bool recycled = (data[0] & 8) != 0, two = (data[0] & 16) != 0, whole = (data[0] & 224) == 224;

	for (unsigned i = 0; i < FILES; i++) {
		memset(files[i].bytes, 0, files[i].dirty);
		files[i].used = files[i].dirty = 0;
	}
	if (data[0] % 8 == 0) {
		put_raw(&files[0], 0, data + 1, size - 1);
		return;
	}
	put_header(0, recycled);
	if (two)
		put_header(1, recycled);
	if (data[0] % 8 == 1)
		put_raw(&files[0], LOG_SEGMENT_HEADER_SIZE, data + 1, size - 1);
	else
		put_script(data + 1, size - 1);
	if (whole)
		files[0].used = FILE_SIZE;
}

static struct memdisk *make_disk(void)
{
	struct memdisk *disk = memdisk_create();
	char path[64];
	enum status status = vfs_mkdir(memdisk_vfs(disk), "store", NULL);

	if (status == ST_OK)
		status = vfs_mkdir(memdisk_vfs(disk), "store/commitlog", NULL);
	assert(status == ST_OK);
	for (unsigned i = 0; i < FILES; i++) {
		log_segment_path("store/commitlog", (uint64_t)i * FILE_SIZE, path, sizeof(path));
		if (files[i].used > 0)
			memdisk_put(disk, path, files[i].bytes, files[i].used);
	}
	return disk;
}

/* --- what must hold ------------------------------------------------------------------------------------------------ */

static enum status count_record(void *context, const struct log_record *record, struct errinfo *err)
{
	(void)err;
	assert(record->payload.size + LOG_ENVELOPE_SIZE <= record->size);
	assert(record->offset % 8 == 0 && !log_kind_is_internal(record->kind));
	*(size_t *)context += 1;
	return ST_OK;
}

static size_t count_records(struct commitlog *log)
{
	size_t count = 0;
	enum status status = commitlog_replay(log, 0, count_record, &count, NULL);

	assert(status == ST_OK);
	(void)status;
	return count;
}

/* Opens, appends, closes and opens again. A log whose `window` lies, saying that less was under way than was, may find
 * at the second start what the first one did not look for; no writer says so. */
static void check_opens(struct memdisk *disk, bool window_lies)
{
	const struct commitlog_config config = {
		.root = "store",
		.segment_size = FILE_SIZE,
		.ring_size = LOG_RING_SIZE_MIN,
		.prepare_chunk = 8192,
	};
	struct commitlog *log = NULL;
	struct errinfo err;
	size_t count;
	uint64_t offset;

	enum status status = commitlog_open(&config, memdisk_vfs(disk), &log, &err);
	assert(status == ST_OK || status == ST_CORRUPT || status == ST_VERSION);
	if (status != ST_OK)
		return;
	count = count_records(log);
	uint8_t *p = commitlog_begin(log, LOG_MESSAGE, 5, &offset);
	if (p != NULL) {
		memcpy(p, "fives", 5);
		(void)commitlog_commit(log);
		count++;
	}
	status = commitlog_close(log, true, &err);
	assert(status == ST_OK);
	status = commitlog_open(&config, memdisk_vfs(disk), &log, &err);
	if (status == ST_CORRUPT && window_lies)
		return;
	if (status != ST_OK)
		fprintf(stderr, "the second start: %s\n", err.text);
	assert(status == ST_OK);
	assert(count_records(log) == count);
	status = commitlog_close(log, false, &err);
	assert(status == ST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct log_check_result result = { 0 };

	if (size < 2 || size > FILE_SIZE)
		return 0;
	log_set_level(LOGLEVEL_ERROR);
	build_files(data, size);
	struct memdisk *disk = make_disk();
	enum status status = log_check(memdisk_vfs(disk), "store", &result, NULL);
	assert(status == ST_OK || status == ST_CORRUPT || status == ST_VERSION);
	(void)status;
	check_opens(disk, result.window != 0 && result.window < FILES * FILE_SIZE);
	memdisk_destroy(disk);
	return 0;
}
