/* See format.h. */
#include "lib/log/format.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/crc32c.h"

enum {
	AT_MAGIC = 0,
	AT_KIND = 4,
	AT_ZERO = 5,
	AT_LENGTH = 8,
	AT_EPOCH = 12,
	AT_OFFSET = 16,
	AT_CRC = 24,
	AT_ZERO_TOO = 28,
};
static const uint32_t ENVELOPE_MAGIC = 0x45514c01; /* "EQL", version 1 */

enum {
	HEADER_VERSION = 8,
	HEADER_CRC = 12,
	HEADER_ID = 16,
	HEADER_BASE = 32,
	HEADER_SIZE = 40,
	HEADER_EPOCH = 48,
	HEADER_RECYCLED = 52,
	HEADER_CREATED = 56,
	HEADER_CLUSTER = 64,
};
static const char HEADER_MAGIC[8] = { 'E', 'S', 'C', 'R', 'O', 'W', 'L', 'G' };

enum { NAME_DIGITS = 20, SEGMENTS_MAX = 1 << 20 };

const char *log_kind_text(unsigned kind)
{
	switch (kind) {
#define LOG_KIND_TEXT(name, value, text) \
	case name:                       \
		return text;
		LOG_KIND_MAP(LOG_KIND_TEXT)
#undef LOG_KIND_TEXT
	default:
		return "unknown";
	}
}

/* --- envelopes --------------------------------------------------------------------------------------- */

uint64_t log_seal(const uint8_t *log_id, uint8_t *p, unsigned kind, uint32_t epoch, uint64_t offset, uint64_t payload_size)
{
	uint64_t size = commitlog_record_size(payload_size);
	uint64_t covered = kind == LOG_PAD ? LOG_ENVELOPE_SIZE : size;

	put_u32(p + AT_MAGIC, ENVELOPE_MAGIC);
	put_u32(p + AT_KIND, kind << 24);
	put_u32(p + AT_LENGTH, (uint32_t)payload_size);
	put_u32(p + AT_EPOCH, epoch);
	put_u64(p + AT_OFFSET, offset);
	put_u64(p + AT_CRC, 0);
	if (kind != LOG_PAD)
		memset(p + LOG_ENVELOPE_SIZE + payload_size, 0, size - LOG_ENVELOPE_SIZE - payload_size);
	put_u32(p + AT_CRC, crc32c(crc32c(0, log_id, LOG_ID_SIZE), p, covered));
	return size;
}

const char *log_parse_envelope(const uint8_t *p, uint64_t offset, uint64_t room, struct log_record *out)
{
	uint32_t length = get_u32(p + AT_LENGTH);

	if (get_u32(p + AT_MAGIC) != ENVELOPE_MAGIC)
		return "not a record";
	if (p[AT_KIND] == 0 || p[AT_ZERO] != 0 || p[AT_ZERO + 1] != 0 || p[AT_ZERO + 2] != 0 ||
	    get_u32(p + AT_ZERO_TOO) != 0)
		return "malformed envelope";
	if (get_u64(p + AT_OFFSET) != offset)
		return "record of another offset";
	if (length > LOG_PAYLOAD_LIMIT || commitlog_record_size(length) > room)
		return "length exceeds the segment";
	*out = (struct log_record){
		.kind = p[AT_KIND],
		.epoch = get_u32(p + AT_EPOCH),
		.offset = offset,
		.size = (uint32_t)commitlog_record_size(length),
		.crc = get_u32(p + AT_CRC),
		.payload = { p + LOG_ENVELOPE_SIZE, length },
	};
	if (out->kind == LOG_PAD && out->size != room)
		return "padding that does not end with its segment";
	return NULL;
}

bool log_crc_matches(const uint8_t *log_id, const uint8_t *p, const struct log_record *record)
{
	static const uint8_t no_crc[8];
	uint32_t crc = crc32c(crc32c(0, log_id, LOG_ID_SIZE), p, AT_CRC);

	crc = crc32c(crc, no_crc, sizeof(no_crc));
	crc = crc32c(crc, p + LOG_ENVELOPE_SIZE, log_checked_size(record) - LOG_ENVELOPE_SIZE);
	return crc == get_u32(p + AT_CRC);
}

const char *log_verify_run(const uint8_t *log_id, const uint8_t *data, size_t size, uint64_t offset, uint64_t room,
			   uint64_t *bad_out)
{
	for (size_t at = 0; at < size;) {
		struct log_record record;
		const char *reason;

		*bad_out = offset + at;
		if (size - at < LOG_ENVELOPE_SIZE)
			return "not a whole record";
		reason = log_parse_envelope(data + at, offset + at, room - at, &record);
		if (reason != NULL)
			return reason;
		if (log_checked_size(&record) > size - at)
			return "not a whole record";
		if (!log_crc_matches(log_id, data + at, &record))
			return "CRC mismatch";
		at += record.size;
	}
	return NULL;
}

bool log_mark_of(const struct log_record *record, struct log_mark *out)
{
	if (record->kind == LOG_BATCH && record->payload.size == LOG_BATCH_PAYLOAD) {
		*out = (struct log_mark){ get_u64(record->payload.data), get_u64(record->payload.data + 8) };
		return true;
	}
	if (record->kind == LOG_EPOCH && record->payload.size == LOG_EPOCH_PAYLOAD) {
		*out = (struct log_mark){ get_u64(record->payload.data + 8), get_u64(record->payload.data + 16) };
		return true;
	}
	return false;
}

/* --- segments ---------------------------------------------------------------------------------------- */

/* Of a page whose bytes beyond LOG_HEADER_USED are `rest`. */
static uint32_t header_crc(const uint8_t *used, const uint8_t *rest)
{
	uint8_t copy[LOG_HEADER_USED];

	memcpy(copy, used, sizeof(copy));
	put_u32(copy + HEADER_CRC, 0);
	return crc32c(crc32c(0, copy, sizeof(copy)), rest, LOG_SEGMENT_HEADER_SIZE - LOG_HEADER_USED);
}

void log_encode_header(const struct log_segment_header *header, uint8_t *used)
{
	static const uint8_t zeros[LOG_SEGMENT_HEADER_SIZE];

	memset(used, 0, LOG_HEADER_USED);
	memcpy(used, HEADER_MAGIC, sizeof(HEADER_MAGIC));
	put_u32(used + HEADER_VERSION, LOG_FORMAT_VERSION);
	memcpy(used + HEADER_ID, header->log_id, LOG_ID_SIZE);
	put_u64(used + HEADER_BASE, header->base);
	put_u64(used + HEADER_SIZE, header->segment_size);
	put_u32(used + HEADER_EPOCH, header->first_epoch);
	put_u32(used + HEADER_RECYCLED, header->recycled);
	put_u64(used + HEADER_CREATED, (uint64_t)header->created_ms);
	memcpy(used + HEADER_CLUSTER, header->cluster, strnlen(header->cluster, LOG_CLUSTER_SIZE - 1));
	put_u32(used + HEADER_CRC, header_crc(used, zeros));
}

enum status log_refuse_version(uint32_t found, uint32_t known, struct errinfo *err)
{
	if (found == 0)
		return errinfo_set(err, ST_VERSION, "unknown format version 0, this program reads %u: no version of it has written this",
				   known);
	return errinfo_set(err, ST_VERSION, "format version %u, this program reads %u: use %s", found, known,
			   found > known ? "a newer program" : "the program that wrote it");
}

enum status log_decode_header(const uint8_t *page, struct log_segment_header *out, struct errinfo *err)
{
	memcpy(out->log_id, page + HEADER_ID, LOG_ID_SIZE);
	/* Magic, version and CRC keep their places in every version, so that a newer one can be told from damage. */
	if (memcmp(page, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0)
		return errinfo_set(err, ST_CORRUPT, "not a log segment (wrong magic)");
	if (get_u32(page + HEADER_CRC) != header_crc(page, page + LOG_HEADER_USED))
		return errinfo_set(err, ST_CORRUPT, "segment header at offset 0: CRC mismatch");
	if (get_u32(page + HEADER_VERSION) != LOG_FORMAT_VERSION)
		return log_refuse_version(get_u32(page + HEADER_VERSION), LOG_FORMAT_VERSION, err);
	out->base = get_u64(page + HEADER_BASE);
	out->segment_size = get_u64(page + HEADER_SIZE);
	out->first_epoch = get_u32(page + HEADER_EPOCH);
	out->recycled = get_u32(page + HEADER_RECYCLED) != 0;
	out->created_ms = (int64_t)get_u64(page + HEADER_CREATED);
	memcpy(out->cluster, page + HEADER_CLUSTER, LOG_CLUSTER_SIZE);
	out->cluster[LOG_CLUSTER_SIZE - 1] = '\0';
	if (out->segment_size < LOG_SEGMENT_SIZE_MIN || out->segment_size % LOG_SEGMENT_HEADER_SIZE != 0 ||
	    out->segment_size > (uint64_t)1 << 40 || out->base % 8 != 0 || out->base > (uint64_t)1 << 62)
		return errinfo_set(err, ST_CORRUPT, "segment header at offset 0: impossible sizes");
	return ST_OK;
}

void log_segment_name(uint64_t base, char out[LOG_NAME_SIZE])
{
	snprintf(out, LOG_NAME_SIZE, "%020" PRIu64, base);
}

bool log_parse_name(const char *name, uint64_t *offset_out)
{
	uint64_t offset = 0;

	for (int i = 0; i < NAME_DIGITS; i++) {
		if (name[i] < '0' || name[i] > '9')
			return false;
		if (__builtin_mul_overflow(offset, 10, &offset) ||
		    __builtin_add_overflow(offset, (uint64_t)(name[i] - '0'), &offset))
			return false;
	}
	*offset_out = offset;
	return name[NAME_DIGITS] == '\0';
}

void log_segment_path(const char *dir, uint64_t base, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s/%020" PRIu64, dir, base);
}

enum status log_dir_path(const char *root, char out[LOG_PATH_SIZE], struct errinfo *err)
{
	int size = snprintf(out, LOG_PATH_SIZE, "%s/commitlog", root);

	if (size < 0 || size >= LOG_PATH_SIZE)
		return errinfo_set(err, ST_TOOBIG, "store directory's path is over %d bytes", LOG_PATH_SIZE - 11);
	return ST_OK;
}

struct base_list {
	uint64_t *bases;
	size_t count, capacity;
};

static enum status collect_base(void *context, const char *name)
{
	struct base_list *list = context;
	uint64_t base;

	if (!log_parse_name(name, &base))
		return ST_OK; /* Somebody else's file. */
	if (list->count == SEGMENTS_MAX)
		return ST_TOOBIG;
	uint64_t *bases = array_with_room(list->bases, list->count, &list->capacity, sizeof(*bases));
	if (bases == NULL)
		return ST_NOMEM;
	list->bases = bases;
	list->bases[list->count++] = base;
	return ST_OK;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

enum status log_list_segments(const struct vfs *vfs, const char *dir, uint64_t **bases_out, size_t *count_out,
			      struct errinfo *err)
{
	struct base_list list = { 0 };
	enum status status = vfs_list(vfs, dir, collect_base, &list, err);

	if (status == ST_OK && list.count == 0)
		status = errinfo_set(err, ST_NOTFOUND, "no log segment in %s", dir);
	if (status != ST_OK) {
		free(list.bases);
		return status;
	}
	qsort(list.bases, list.count, sizeof(*list.bases), by_value);
	*bases_out = list.bases;
	*count_out = list.count;
	return ST_OK;
}

enum status log_open_segment(const struct vfs *vfs, const char *dir, uint64_t base, unsigned flags,
			     struct log_segment *out, struct errinfo *err)
{
	uint8_t page[LOG_SEGMENT_HEADER_SIZE];
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];
	size_t got = 0;
	enum status status;

	log_segment_path(dir, base, path, sizeof(path));
	status = vfs_open(vfs, path, flags, &out->file, err);
	if (status != ST_OK)
		return status;
	status = vfs_read(out->file, 0, page, sizeof(page), &got, err);
	if (status == ST_OK && got < sizeof(page))
		status = errinfo_set(err, ST_CORRUPT, "%s: segment header is cut off at byte %zu", path, got);
	if (status != ST_OK)
		goto err_after_open;
	status = log_decode_header(page, &out->header, err);
	if (status == ST_OK)
		status = vfs_size(out->file, &out->file_size, err);
	if (status == ST_OK && out->header.base != base)
		status = errinfo_set(err, ST_CORRUPT, "segment header names base offset %" PRIu64 ", not its file's",
				     out->header.base);
	if (status == ST_OK && out->file_size > out->header.segment_size)
		status = errinfo_set(err, ST_CORRUPT, "file is longer than its segment size of %" PRIu64 " bytes",
				     out->header.segment_size);
	if (status != ST_OK) {
		status = errinfo_wrap(err, status, "%s", path);
		goto err_after_open;
	}
	return ST_OK;

err_after_open:
	vfs_close(out->file);
	out->file = NULL;
	return status;
}
