/* Recovery over hostile files: whatever the bytes of a segment are, opening gives a log or a clean error, and a log
 * that opens gives back valid records only, takes more, and opens again with all of them.
 *
 * The first byte chooses how much is right from the start: raw bytes as the file; a good header before raw bytes; or a
 * script of records with good checksums whose kinds, epochs, offsets and lengths the input chooses. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/log/commitlog.h"
#include "lib/log/format.h"
#include "lib/log/recovery.h"
#include "tests/support/memdisk.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const PATH = "store/commitlog/00000000000000000000";
enum { FILE_SIZE = LOG_SEGMENT_SIZE_MIN };

static void put_header(uint8_t *file)
{
	struct log_segment_header header = { .segment_size = FILE_SIZE, .first_epoch = 1, .cluster = "fuzz" };

	header.log_id[0] = 7;
	log_encode_header(&header, file);
}

/* Each record takes 8 bytes of script: kind, epoch, offset shift, where it goes, payload size (2), mark (2). */
static void put_script(uint8_t *file, const uint8_t *script, size_t size)
{
	size_t at = LOG_SEGMENT_HEADER_SIZE;

	for (; size >= 8; script += 8, size -= 8) {
		size_t payload = get_u16(script + 4) % 512;
		unsigned kind = script[0] % 20;
		if (kind == LOG_BATCH)
			payload = LOG_BATCH_PAYLOAD;
		if (kind == LOG_EPOCH)
			payload = LOG_EPOCH_PAYLOAD;
		at += (size_t)(script[3] % 4 == 3 ? script[3] & ~7u : 0);
		if (at + commitlog_record_size(payload) > FILE_SIZE)
			return;
		memset(file + at + LOG_ENVELOPE_SIZE, script[7], payload);
		if (kind == LOG_BATCH || kind == LOG_EPOCH) {
			uint8_t *p = file + at + LOG_ENVELOPE_SIZE;
			uint64_t mark = script[2] % 2 == 0 ? at : get_u16(script + 6);
			memset(p, 0, payload);
			if (kind == LOG_EPOCH)
				put_u32(p, (uint32_t)(script[1] % 4) - (script[2] % 8 != 7));
			put_u64(p + (kind == LOG_EPOCH ? 8 : 0), mark);
			put_u64(p + (kind == LOG_EPOCH ? 16 : 8), script[2] % 4 == 0 ? 0 : (uint64_t)script[2] << 9);
		}
		size_t own = at + (script[2] % 16 == 15 ? script[2] : 0);
		if (kind == LOG_PAD)
			payload = FILE_SIZE - at - LOG_ENVELOPE_SIZE;
		at += log_seal(file + at, kind, script[1] % 4, own, payload);
	}
}

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

static void check_opens(struct memdisk *disk)
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
	assert(status == ST_OK);
	assert(count_records(log) == count);
	status = commitlog_close(log, false, &err);
	assert(status == ST_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t file[FILE_SIZE];
	struct log_check_result result;
	struct memdisk *disk;
	size_t used = FILE_SIZE;

	if (size < 2 || size > FILE_SIZE)
		return 0;
	log_set_level(LOGLEVEL_ERROR);
	memset(file, 0, sizeof(file));
	if (data[0] % 8 == 0) {
		used = size - 1;
		memcpy(file, data + 1, used);
	} else {
		put_header(file);
		if (data[0] % 8 == 1)
			memcpy(file + LOG_SEGMENT_HEADER_SIZE, data + 1,
			       size - 1 < FILE_SIZE - LOG_SEGMENT_HEADER_SIZE ? size - 1 : FILE_SIZE - LOG_SEGMENT_HEADER_SIZE);
		else
			put_script(file, data + 1, size - 1);
	}
	disk = memdisk_create();
	enum status status = vfs_mkdir(memdisk_vfs(disk), "store", NULL);
	if (status == ST_OK)
		status = vfs_mkdir(memdisk_vfs(disk), "store/commitlog", NULL);
	assert(status == ST_OK);
	memdisk_put(disk, PATH, file, used);
	status = log_check(memdisk_vfs(disk), "store", &result, NULL);
	assert(status == ST_OK || status == ST_CORRUPT || status == ST_VERSION);
	check_opens(disk);
	memdisk_destroy(disk);
	return 0;
}
