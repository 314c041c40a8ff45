#include "lib/index/key_run.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"
#include "lib/log/format.h"
#include "lib/log/vfs_replace.h"

enum {
	HEAD_SIZE = 96, ENTRY_SIZE = 16, NAME_DIGITS = 20, RUN_VERSION = 1, WRITE_ENTRIES = 4096,
	AT_MAGIC = 0, AT_VERSION = 8, AT_CRC = 12, AT_LOG_ID = 16, AT_FROM = 32, AT_TO = 40, AT_COUNT = 48, AT_OLDEST = 56,
	AT_NEWEST = 64,
};

static const char magic[8] = "ESCKEYS\n";

void key_run_dir(const char *root, char out[KEY_RUN_PATH_SIZE])
{
	snprintf(out, KEY_RUN_PATH_SIZE, "%.500s/keys", root);
}

static void file_path(const char *dir, uint64_t to, char out[KEY_RUN_PATH_SIZE])
{
	snprintf(out, KEY_RUN_PATH_SIZE, "%.540s/%0*" PRIu64, dir, NAME_DIGITS, to);
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

static int by_hash(const void *a, const void *b)
{
	const struct key_entry *x = a, *y = b;

	if (x->hash != y->hash)
		return x->hash < y->hash ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void encode_head(const struct key_run_head *head, uint8_t p[HEAD_SIZE])
{
	memset(p, 0, HEAD_SIZE);
	memcpy(p + AT_MAGIC, magic, sizeof(magic));
	put_u32(p + AT_VERSION, RUN_VERSION);
	memcpy(p + AT_LOG_ID, head->log_id, KEY_RUN_LOG_ID_SIZE);
	put_u64(p + AT_FROM, head->from);
	put_u64(p + AT_TO, head->to);
	put_u64(p + AT_COUNT, head->count);
	put_u64(p + AT_OLDEST, (uint64_t)head->oldest_ms);
	put_u64(p + AT_NEWEST, (uint64_t)head->newest_ms);
	put_u32(p + AT_CRC, crc32c(0, p, HEAD_SIZE));
}

static enum status write_entries(struct vfs_file *file, const struct key_entry *entries, uint64_t count, struct errinfo *err)
{
	uint8_t *bytes = malloc((size_t)WRITE_ENTRIES * ENTRY_SIZE);
	enum status status = ST_OK;

	if (bytes == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory to write the key index");
	for (uint64_t at = 0; at < count && status == ST_OK; at += WRITE_ENTRIES) {
		size_t n = count - at < WRITE_ENTRIES ? (size_t)(count - at) : WRITE_ENTRIES;
		struct vfs_piece piece = { bytes, n * ENTRY_SIZE };

		for (size_t i = 0; i < n; i++) {
			put_u64(bytes + i * ENTRY_SIZE, entries[at + i].hash);
			put_u64(bytes + i * ENTRY_SIZE + 8, entries[at + i].offset);
		}
		status = vfs_write(file, HEAD_SIZE + at * ENTRY_SIZE, &piece, 1, err);
	}
	free(bytes);
	return status;
}

struct content {
	const struct key_run_head *head;
	const struct key_entry *entries;
};

static enum status write_content(struct vfs_file *file, const void *context, struct errinfo *err)
{
	const struct content *content = context;
	uint8_t bytes[HEAD_SIZE];
	struct vfs_piece piece = { bytes, sizeof(bytes) };

	encode_head(content->head, bytes);
	enum status status = vfs_write(file, 0, &piece, 1, err);
	return status == ST_OK ? write_entries(file, content->entries, content->head->count, err) : status;
}

enum status key_run_write(const struct vfs *vfs, const char *dir, const struct key_run_head *head, struct key_entry *entries,
			  struct errinfo *err)
{
	char path[KEY_RUN_PATH_SIZE];
	struct content content = { head, entries };
	enum status status = vfs_mkdir(vfs, dir, err);

	file_path(dir, head->to, path);
	qsort(entries, (size_t)head->count, sizeof(*entries), by_hash);
	return status == ST_OK ? vfs_replace(vfs, path, write_content, &content, err) : status;
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

static enum status decode_head(uint8_t p[HEAD_SIZE], const char *path, struct key_run_head *out, struct errinfo *err)
{
	uint32_t crc = get_u32(p + AT_CRC);

	put_u32(p + AT_CRC, 0);
	if (memcmp(p + AT_MAGIC, magic, sizeof(magic)) != 0 || crc32c(0, p, HEAD_SIZE) != crc)
		return errinfo_set(err, ST_CORRUPT, "%s: not a run of the key index", path);
	if (get_u32(p + AT_VERSION) != RUN_VERSION)
		return errinfo_set(err, ST_VERSION, "%s: version %u, known is %d", path, get_u32(p + AT_VERSION), RUN_VERSION);
	memcpy(out->log_id, p + AT_LOG_ID, KEY_RUN_LOG_ID_SIZE);
	out->from = get_u64(p + AT_FROM);
	out->to = get_u64(p + AT_TO);
	out->count = get_u64(p + AT_COUNT);
	out->oldest_ms = (int64_t)get_u64(p + AT_OLDEST);
	out->newest_ms = (int64_t)get_u64(p + AT_NEWEST);
	return ST_OK;
}

enum status key_run_open(const struct vfs *vfs, const char *dir, uint64_t to, struct key_run *out, struct errinfo *err)
{
	char path[KEY_RUN_PATH_SIZE];
	uint8_t head[HEAD_SIZE];
	uint64_t size = 0;
	size_t got = 0;

	*out = (struct key_run){ .file = NULL };
	file_path(dir, to, path);
	enum status status = vfs_open(vfs, path, VFS_READ, &out->file, err);
	if (status == ST_OK)
		status = vfs_size(out->file, &size, err);
	if (status == ST_OK)
		status = vfs_read(out->file, 0, head, sizeof(head), &got, err);
	if (status == ST_OK && got < sizeof(head))
		status = errinfo_set(err, ST_CORRUPT, "%s: shorter than its head", path);
	if (status == ST_OK)
		status = decode_head(head, path, &out->head, err);
	if (status == ST_OK && (out->head.to != to || out->head.from > to || out->head.count > size / ENTRY_SIZE ||
				size != HEAD_SIZE + out->head.count * ENTRY_SIZE))
		status = errinfo_set(err, ST_CORRUPT, "%s: %" PRIu64 " bytes do not hold what its head says", path, size);
	if (status != ST_OK)
		key_run_close(out);
	return status;
}

void key_run_close(struct key_run *run)
{
	vfs_close(run->file);
	run->file = NULL;
}

enum status key_run_remove(const struct vfs *vfs, const char *dir, uint64_t to, struct errinfo *err)
{
	char path[KEY_RUN_PATH_SIZE];

	file_path(dir, to, path);
	enum status status = vfs_unlink(vfs, path, err);
	return status == ST_NOTFOUND ? ST_OK : status;
}

struct listing {
	uint64_t *out;
	size_t max, count;
};

/* Kept ascending; the lowest goes when there are too many. */
static enum status add_name(void *context, const char *name)
{
	struct listing *l = context;
	uint64_t to = 0;
	size_t at;

	if (!log_parse_name(name, &to))
		return ST_OK;
	if (l->count == l->max) {
		if (l->max == 0 || to < l->out[0])
			return ST_OK;
		memmove(l->out, l->out + 1, --l->count * sizeof(*l->out));
	}
	for (at = l->count; at > 0 && l->out[at - 1] > to; at--)
		l->out[at] = l->out[at - 1];
	l->out[at] = to;
	l->count++;
	return ST_OK;
}

enum status key_run_list(const struct vfs *vfs, const char *dir, uint64_t *out, size_t max, size_t *count_out,
			 struct errinfo *err)
{
	struct listing listing = { out, max, 0 };
	enum status status = vfs_list(vfs, dir, add_name, &listing, err);

	*count_out = listing.count;
	return status == ST_NOTFOUND ? ST_OK : status;
}

static enum status read_entry(struct key_run *run, uint64_t index, struct key_entry *out, struct errinfo *err)
{
	uint8_t bytes[ENTRY_SIZE];
	size_t got;
	enum status status = vfs_read(run->file, HEAD_SIZE + index * ENTRY_SIZE, bytes, sizeof(bytes), &got, err);

	if (status == ST_OK && got < sizeof(bytes))
		status = errinfo_set(err, ST_CORRUPT, "%s: entry %" PRIu64 " is gone", run->file->path, index);
	if (status == ST_OK)
		*out = (struct key_entry){ get_u64(bytes), get_u64(bytes + 8) };
	return status;
}

/* The number of entries whose hash is below `hash`, or not above it. */
static enum status count_below(struct key_run *run, uint64_t hash, bool or_equal, uint64_t *out, struct errinfo *err)
{
	uint64_t low = 0, high = run->head.count;
	struct key_entry entry;

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		enum status status = read_entry(run, middle, &entry, err);

		if (status != ST_OK)
			return status;
		if (entry.hash < hash || (or_equal && entry.hash == hash))
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return ST_OK;
}

enum status key_run_find(struct key_run *run, uint64_t hash, uint64_t *first, uint64_t *count, struct errinfo *err)
{
	uint64_t end = 0;
	enum status status = count_below(run, hash, false, first, err);

	if (status == ST_OK)
		status = count_below(run, hash, true, &end, err);
	/* Where damage has left no order there may be neither. */
	*count = status == ST_OK && end > *first ? end - *first : 0;
	return status;
}

enum status key_run_offset(struct key_run *run, uint64_t hash, uint64_t number, uint64_t *offset, struct errinfo *err)
{
	struct key_entry entry;
	enum status status = read_entry(run, number, &entry, err);

	if (status == ST_OK && entry.hash != hash)
		return errinfo_set(err, ST_CORRUPT, "%s: entry %" PRIu64 " is out of order", run->file->path, number);
	if (status == ST_OK)
		*offset = entry.offset;
	return status;
}
