#include "lib/index/snapshot_file.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/crc32c.h"
#include "lib/index/pagefile.h"
#include "lib/log/format.h"

static const char HEADER_MAGIC[8] = { 'E', 'S', 'C', 'R', 'O', 'W', 'S', 'N' };
static const uint32_t CHUNK_MAGIC = 0x4553434b; /* "ESCK" */

enum {
	HEADER_SIZE = 64, AT_VERSION = 8, AT_CRC = 12, AT_LOG_ID = 16, AT_FROM = 32, AT_GENERATION = 40, AT_WALL = 48,
	CHUNK_HEAD = 32, CHUNK_SECTION = 4, CHUNK_SIZE = 8, CHUNK_ITEMS = 12, CHUNK_CRC = 24,
	END_PAYLOAD = 16,
	SYNC_EACH = 16 << 20, /* Smooths the disk's work: not all of a large file at the end. */
	NAME_DIGITS = 20,
};
static const char TEMPORARY[] = ".tmp", DAMAGED[] = ".damaged";

/* --- encoding --------------------------------------------------------------------------------------------------- */

void snapshot_put_header(struct buffer *out, const struct snapshot_header *header)
{
	uint8_t *p = buffer_reserve(out, HEADER_SIZE);

	if (p == NULL)
		return;
	memset(p, 0, HEADER_SIZE);
	memcpy(p, HEADER_MAGIC, sizeof(HEADER_MAGIC));
	put_u32(p + AT_VERSION, SNAPSHOT_FORMAT_VERSION);
	memcpy(p + AT_LOG_ID, header->log_id, LOG_ID_SIZE);
	put_u64(p + AT_FROM, header->from);
	put_u64(p + AT_GENERATION, header->generation);
	put_u64(p + AT_WALL, (uint64_t)header->wall_ms);
	put_u32(p + AT_CRC, crc32c(0, p, HEADER_SIZE));
	buffer_commit(out, HEADER_SIZE);
}

size_t snapshot_begin_chunk(struct buffer *out, unsigned section)
{
	size_t begun = buffer_size(out);
	uint8_t *p = buffer_reserve(out, CHUNK_HEAD);

	if (p == NULL)
		return begun;
	memset(p, 0, CHUNK_HEAD);
	put_u32(p, CHUNK_MAGIC);
	put_u32(p + CHUNK_SECTION, section);
	buffer_commit(out, CHUNK_HEAD);
	return begun;
}

void snapshot_end_chunk(struct buffer *out, size_t begun, uint32_t item_count)
{
	if (out->failed)
		return;
	uint8_t *p = out->data + out->start + begun;
	size_t size = buffer_size(out) - begun - CHUNK_HEAD;

	assert(size <= SNAPSHOT_CHUNK_MAX);
	put_u32(p + CHUNK_SIZE, (uint32_t)size);
	put_u32(p + CHUNK_ITEMS, item_count);
	put_u32(p + CHUNK_CRC, crc32c(0, p, CHUNK_HEAD + size));
}

void snapshot_put_end(struct buffer *out, const struct snapshot_end *end)
{
	size_t begun = snapshot_begin_chunk(out, SNAPSHOT_SECTION_END);

	buffer_put_u64(out, end->durable);
	buffer_put_u32(out, end->page_count);
	buffer_put_u32(out, end->swept_pages);
	snapshot_end_chunk(out, begun, 1);
}

/* --- names ------------------------------------------------------------------------------------------------------ */

static void dir_path(const char *root, char out[SNAPSHOT_PATH_SIZE])
{
	snprintf(out, SNAPSHOT_PATH_SIZE, "%.540s/snapshots", root);
}

static void file_path(const char *dir, uint64_t from, const char *suffix, char out[SNAPSHOT_PATH_SIZE])
{
	snprintf(out, SNAPSHOT_PATH_SIZE, "%.560s/%020" PRIu64 "%s", dir, from, suffix);
}

struct found {
	uint64_t *offsets; /* The newest ones, newest first. */
	size_t max, count;
};

static enum status collect(void *context, const char *name)
{
	struct found *found = context;
	uint64_t offset;

	if (!log_parse_name(name, &offset))
		return ST_OK;
	size_t at = 0;
	while (at < found->count && found->offsets[at] > offset)
		at++;
	if (at == found->max)
		return ST_OK;
	if (found->count < found->max)
		found->count++;
	memmove(found->offsets + at + 1, found->offsets + at, (found->count - at - 1) * sizeof(*found->offsets));
	found->offsets[at] = offset;
	return ST_OK;
}

enum status snapshot_list(const struct vfs *vfs, const char *root, uint64_t *offsets, size_t max, size_t *count_out,
			  struct errinfo *err)
{
	struct found found = { offsets, max, 0 };
	char dir[SNAPSHOT_PATH_SIZE];

	dir_path(root, dir);
	enum status status = vfs_list(vfs, dir, collect, &found, err);
	*count_out = found.count;
	return status == ST_NOTFOUND ? ST_OK : status;
}

/* --- writing ---------------------------------------------------------------------------------------------------- */

void snapshot_job_init(struct snapshot_job *job, const struct vfs *vfs, const char *root, uint64_t from,
		       struct pagefile *pages)
{
	*job = (struct snapshot_job){ .vfs = vfs, .from = from, .pages = pages };
	dir_path(root, job->dir);
	snprintf(job->root, sizeof(job->root), "%s", root);
	buffer_init(&job->data, 0);
}

void snapshot_job_deinit(struct snapshot_job *job)
{
	vfs_close(job->file);
	job->file = NULL;
	buffer_deinit(&job->data);
}

/* A failed sync is never tried again: what the disk holds is in doubt, of names as well as of bytes. */
static enum status sync_dir(struct snapshot_job *job, const char *dir, struct errinfo *err)
{
	enum status status = vfs_sync_dir(job->vfs, dir, err);

	job->sync_failed = job->sync_failed || status == ST_IO;
	return status;
}

static enum status open_file(struct snapshot_job *job, struct errinfo *err)
{
	char path[SNAPSHOT_PATH_SIZE];
	enum status status = vfs_mkdir(job->vfs, job->dir, err);

	file_path(job->dir, job->from, TEMPORARY, path);
	if (status == ST_OK)
		status = sync_dir(job, job->root, err);
	if (status == ST_OK)
		status = vfs_open(job->vfs, path, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &job->file, err);
	return status;
}

/* A failed sync is never tried again: the page cache may lie afterwards. */
static enum status sync_file(struct snapshot_job *job, struct errinfo *err)
{
	enum status status = vfs_sync(job->file, err);

	job->sync_failed = job->sync_failed || status == ST_IO;
	job->unsynced = 0;
	return status;
}

static enum status write_data(struct snapshot_job *job, struct errinfo *err)
{
	struct span data = buffer_span(&job->data);
	struct vfs_piece piece = { data.data, data.size };
	enum status status = job->file == NULL ? open_file(job, err) : ST_OK;

	if (status == ST_OK && data.size > 0)
		status = vfs_write(job->file, job->file_offset, &piece, 1, err);
	job->file_offset += data.size;
	job->unsynced += data.size;
	buffer_reset(&job->data);
	if (status == ST_OK && job->unsynced >= SYNC_EACH)
		status = sync_file(job, err);
	return status;
}

/* Files of this directory that are neither among the newest nor anybody else's. */
struct sweep {
	const struct snapshot_job *job;
	uint64_t kept[SNAPSHOT_KEPT];
	size_t kept_count;
};

static enum status remove_old(void *context, const char *name)
{
	const struct sweep *sweep = context;
	char path[SNAPSHOT_PATH_SIZE];
	size_t digits = strspn(name, "0123456789");

	if (digits != NAME_DIGITS || (name[digits] != '\0' && strcmp(name + digits, TEMPORARY) != 0 && strcmp(name + digits, DAMAGED) != 0))
		return ST_OK;
	for (size_t i = 0; i < sweep->kept_count && name[digits] == '\0'; i++) {
		char kept[NAME_DIGITS + 1];
		snprintf(kept, sizeof(kept), "%020" PRIu64, sweep->kept[i]);
		if (strcmp(kept, name) == 0)
			return ST_OK;
	}
	snprintf(path, sizeof(path), "%.540s/%.40s", sweep->job->dir, name);
	if (vfs_unlink(sweep->job->vfs, path, NULL) != ST_OK)
		return ST_OK; /* What cannot be removed now is removed next time. */
	return ST_OK;
}

static void remove_all_old(const struct snapshot_job *job)
{
	struct sweep sweep = { .job = job };
	struct found found = { sweep.kept, SNAPSHOT_KEPT, 0 };

	if (vfs_list(job->vfs, job->dir, collect, &found, NULL) != ST_OK)
		return;
	sweep.kept_count = found.count;
	if (vfs_list(job->vfs, job->dir, remove_old, &sweep, NULL) != ST_OK)
		return;
}

static enum status finish(struct snapshot_job *job, struct errinfo *err)
{
	char temporary[SNAPSHOT_PATH_SIZE], path[SNAPSHOT_PATH_SIZE];
	enum status status = pagefile_sync(job->pages, err);

	job->sync_failed = status == ST_IO;
	file_path(job->dir, job->from, TEMPORARY, temporary);
	file_path(job->dir, job->from, "", path);
	if (status == ST_OK)
		status = sync_file(job, err);
	if (status == ST_OK)
		status = vfs_rename(job->vfs, temporary, path, err);
	if (status == ST_OK)
		status = sync_dir(job, job->dir, err);
	if (status == ST_OK)
		remove_all_old(job);
	return status;
}

/* Nothing will come of the file: its space may be what others miss. */
static void discard(struct snapshot_job *job)
{
	char path[SNAPSHOT_PATH_SIZE];

	file_path(job->dir, job->from, TEMPORARY, path);
	(void)!vfs_unlink(job->vfs, path, NULL); /* Else the next start does it. */
}

void snapshot_job_run(struct snapshot_job *job)
{
	job->result = job->discard ? ST_OK : write_data(job, &job->err);
	if (job->result == ST_OK && job->finish && !job->discard)
		job->result = finish(job, &job->err);
	if (job->result == ST_OK && !job->finish && !job->discard)
		return;
	vfs_close(job->file);
	job->file = NULL;
	if (job->result != ST_OK || job->discard)
		discard(job);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

struct snapshot_reader {
	struct vfs_file *file;
	char path[SNAPSHOT_PATH_SIZE];
	struct snapshot_header header;
	struct snapshot_end end;
	uint64_t position;
	uint64_t file_size;
	uint64_t section_bytes[SNAPSHOT_SECTIONS_MAX];
	uint8_t *chunk; /* Head and payload. */
	size_t chunk_capacity;
};

static enum status corrupt(const struct snapshot_reader *reader, const char *what, struct errinfo *err)
{
	return errinfo_set(err, ST_CORRUPT, "%s: %s at byte %" PRIu64, reader->path, what, reader->position);
}

static enum status read_exactly(struct snapshot_reader *reader, void *data, size_t size, struct errinfo *err)
{
	size_t got = 0;
	enum status status = vfs_read(reader->file, reader->position, data, size, &got, err);

	if (status == ST_OK && got < size)
		status = corrupt(reader, "the file ends", err);
	if (status == ST_OK)
		reader->position += size;
	return status;
}

static enum status read_header(struct snapshot_reader *reader, uint64_t from, struct errinfo *err)
{
	uint8_t page[HEADER_SIZE];
	enum status status = read_exactly(reader, page, sizeof(page), err);

	if (status != ST_OK)
		return status;
	uint32_t crc = get_u32(page + AT_CRC);
	put_u32(page + AT_CRC, 0);
	if (memcmp(page, HEADER_MAGIC, sizeof(HEADER_MAGIC)) != 0 || crc32c(0, page, sizeof(page)) != crc)
		return corrupt(reader, "the header fails its check", err);
	if (get_u32(page + AT_VERSION) != SNAPSHOT_FORMAT_VERSION) {
		status = log_refuse_version(get_u32(page + AT_VERSION), SNAPSHOT_FORMAT_VERSION, err);
		return errinfo_wrap(err, status, "%s", reader->path);
	}
	memcpy(reader->header.log_id, page + AT_LOG_ID, LOG_ID_SIZE);
	reader->header.from = get_u64(page + AT_FROM);
	reader->header.generation = get_u64(page + AT_GENERATION);
	reader->header.wall_ms = (int64_t)get_u64(page + AT_WALL);
	if (reader->header.from != from)
		return corrupt(reader, "the header names another log offset than the file's name", err);
	return ST_OK;
}

static enum status grow_chunk(struct snapshot_reader *reader, size_t size, struct errinfo *err)
{
	if (size <= reader->chunk_capacity)
		return ST_OK;
	uint8_t *grown = realloc(reader->chunk, size);
	if (grown == NULL)
		return errinfo_set(err, ST_NOMEM, "%s: no memory for a chunk of %zu bytes", reader->path, size);
	reader->chunk = grown;
	reader->chunk_capacity = size;
	return ST_OK;
}

static enum status read_chunk(struct snapshot_reader *reader, struct snapshot_chunk *out, struct errinfo *err)
{
	uint64_t at = reader->position;
	enum status status = grow_chunk(reader, CHUNK_HEAD, err);

	if (status == ST_OK)
		status = read_exactly(reader, reader->chunk, CHUNK_HEAD, err);
	if (status != ST_OK)
		return status;
	uint32_t size = get_u32(reader->chunk + CHUNK_SIZE), crc = get_u32(reader->chunk + CHUNK_CRC);
	if (get_u32(reader->chunk) != CHUNK_MAGIC || size > SNAPSHOT_CHUNK_MAX || size > reader->file_size - reader->position) {
		reader->position = at;
		return corrupt(reader, "not a chunk", err);
	}
	status = grow_chunk(reader, CHUNK_HEAD + (size_t)size, err);
	if (status == ST_OK)
		status = read_exactly(reader, reader->chunk + CHUNK_HEAD, size, err);
	if (status != ST_OK)
		return status;
	put_u32(reader->chunk + CHUNK_CRC, 0);
	if (crc32c(0, reader->chunk, CHUNK_HEAD + (size_t)size) != crc) {
		reader->position = at;
		return corrupt(reader, "a chunk fails its check", err);
	}
	*out = (struct snapshot_chunk){
		.section = get_u32(reader->chunk + CHUNK_SECTION),
		.item_count = get_u32(reader->chunk + CHUNK_ITEMS),
		.payload = { reader->chunk + CHUNK_HEAD, size },
	};
	return ST_OK;
}

/* Reads to the end chunk, which must be the file's last. */
static enum status verify(struct snapshot_reader *reader, struct errinfo *err)
{
	struct snapshot_chunk chunk = { .section = SNAPSHOT_SECTION_END + 1 };
	enum status status = ST_OK;

	while (status == ST_OK && chunk.section != SNAPSHOT_SECTION_END) {
		status = read_chunk(reader, &chunk, err);
		if (status == ST_OK && chunk.section < SNAPSHOT_SECTIONS_MAX)
			reader->section_bytes[chunk.section] += chunk.payload.size;
	}
	if (status != ST_OK)
		return status;
	if (chunk.payload.size != END_PAYLOAD || reader->position != reader->file_size)
		return corrupt(reader, "the end chunk is not where the file ends", err);
	reader->end.durable = get_u64(chunk.payload.data);
	reader->end.page_count = get_u32(chunk.payload.data + 8);
	reader->end.swept_pages = get_u32(chunk.payload.data + 12);
	if (reader->end.durable < reader->header.from)
		return corrupt(reader, "the end chunk lies before the beginning", err);
	reader->position = HEADER_SIZE;
	return ST_OK;
}

enum status snapshot_open(const struct vfs *vfs, const char *root, uint64_t from, struct snapshot_reader **out,
			  struct errinfo *err)
{
	struct snapshot_reader *reader = calloc(1, sizeof(*reader));
	char dir[SNAPSHOT_PATH_SIZE];

	if (reader == NULL)
		return errinfo_set(err, ST_NOMEM, "snapshot: out of memory");
	dir_path(root, dir);
	file_path(dir, from, "", reader->path);
	enum status status = vfs_open(vfs, reader->path, VFS_READ, &reader->file, err);
	if (status == ST_OK)
		status = vfs_size(reader->file, &reader->file_size, err);
	if (status == ST_OK)
		status = read_header(reader, from, err);
	if (status == ST_OK)
		status = verify(reader, err);
	if (status != ST_OK) {
		snapshot_close(reader);
		return status;
	}
	*out = reader;
	return ST_OK;
}

enum status snapshot_open_newest(const struct vfs *vfs, const char *root, void (*passed_over)(const char *why),
				 struct snapshot_choice *out, struct errinfo *err)
{
	uint64_t offsets[SNAPSHOTS_TRIED];
	size_t count = 0;
	enum status status = snapshot_list(vfs, root, offsets, SNAPSHOTS_TRIED, &count, err);

	*out = (struct snapshot_choice){ 0 };
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		struct errinfo why;
		enum status opened = snapshot_open(vfs, root, offsets[i], &out->reader, &why);
		if (opened == ST_OK) {
			out->older = i + 1 < count ? offsets[i + 1] : 0;
			return ST_OK;
		}
		if (opened != ST_CORRUPT && opened != ST_NOTFOUND) {
			if (err != NULL)
				*err = why;
			return opened;
		}
		out->damaged[out->damaged_count++] = offsets[i];
		if (passed_over != NULL)
			passed_over(why.text);
	}
	return status;
}

struct tidying {
	const struct vfs *vfs;
	char dir[SNAPSHOT_PATH_SIZE];
};

static enum status remove_temporary(void *context, const char *name)
{
	const struct tidying *tidying = context;
	char path[SNAPSHOT_PATH_SIZE];

	if (strspn(name, "0123456789") != NAME_DIGITS || strcmp(name + NAME_DIGITS, TEMPORARY) != 0)
		return ST_OK;
	snprintf(path, sizeof(path), "%.540s/%.40s", tidying->dir, name);
	(void)!vfs_unlink(tidying->vfs, path, NULL);
	return ST_OK;
}

void snapshot_tidy(const struct vfs *vfs, const char *root, const struct snapshot_choice *choice)
{
	struct tidying tidying = { .vfs = vfs };
	char path[SNAPSHOT_PATH_SIZE], aside[SNAPSHOT_PATH_SIZE];

	dir_path(root, tidying.dir);
	(void)!vfs_list(vfs, tidying.dir, remove_temporary, &tidying, NULL);
	for (size_t i = 0; i < choice->damaged_count; i++) {
		file_path(tidying.dir, choice->damaged[i], "", path);
		file_path(tidying.dir, choice->damaged[i], DAMAGED, aside);
		(void)!vfs_rename(vfs, path, aside, NULL);
	}
}

void snapshot_close(struct snapshot_reader *reader)
{
	if (reader == NULL)
		return;
	vfs_close(reader->file);
	free(reader->chunk);
	free(reader);
}

const struct snapshot_header *snapshot_header(const struct snapshot_reader *reader)
{
	return &reader->header;
}

const struct snapshot_end *snapshot_end(const struct snapshot_reader *reader)
{
	return &reader->end;
}

uint64_t snapshot_file_size(const struct snapshot_reader *reader)
{
	return reader->file_size;
}

const char *snapshot_path(const struct snapshot_reader *reader)
{
	return reader->path;
}

uint64_t snapshot_section_bytes(const struct snapshot_reader *reader, unsigned section)
{
	return section < SNAPSHOT_SECTIONS_MAX ? reader->section_bytes[section] : 0;
}

enum status snapshot_next(struct snapshot_reader *reader, struct snapshot_chunk *out, struct errinfo *err)
{
	enum status status = read_chunk(reader, out, err);

	return status == ST_OK && out->section == SNAPSHOT_SECTION_END ? ST_NOTFOUND : status;
}
