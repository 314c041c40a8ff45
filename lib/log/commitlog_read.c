/* Flush jobs' part that runs elsewhere, and reads; see commitlog.h. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/commitlog.h"
#include "lib/log/commitlog_internal.h"

/* --- jobs -------------------------------------------------------------------------------------------- */

void log_flush_run(struct log_flush_job *job)
{
	job->result = ST_OK;
	for (unsigned i = 0; i < job->part_count && job->result == ST_OK; i++) {
		const struct log_flush_part *part = &job->parts[i];
		struct vfs_piece piece = { part->data, part->size };
		if (part->size > 0)
			job->result = vfs_write(part->file, part->file_offset, &piece, 1, &job->err);
	}
	for (unsigned i = 0; i < job->part_count && job->result == ST_OK && job->sync; i++)
		job->result = vfs_sync(job->parts[i].file, &job->err);
}

/* --- reads ------------------------------------------------------------------------------------------- */

/* The segment that holds `offset`, NULL for none. */
static struct segment *find_segment(const struct commitlog *log, uint64_t offset)
{
	size_t low = 0, high = log->tail + 1;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (log->segments[middle].base <= offset)
			low = middle;
		else
			high = middle;
	}
	struct segment *segment = &log->segments[low];
	if (offset < segment->base + LOG_SEGMENT_HEADER_SIZE || offset >= segment->base + segment->size)
		return NULL;
	return segment;
}

uint64_t commitlog_read_limit(const struct commitlog *log, uint64_t offset)
{
	const struct segment *segment = find_segment(log, offset);
	uint64_t end = offset >= log->ring_floor ? log->appended : log->written;

	if (segment == NULL || offset >= end)
		return 0;
	if (end > segment->base + segment->size)
		end = segment->base + segment->size;
	return end - offset;
}

bool commitlog_in_memory(const struct commitlog *log, uint64_t offset)
{
	return offset >= log->ring_floor;
}

enum status commitlog_read(const struct commitlog *log, uint64_t offset, size_t size, struct span *out)
{
	uint64_t limit = commitlog_read_limit(log, offset);

	if (offset < log->ring_floor)
		return limit == 0 ? ST_INVALID : ST_AGAIN;
	if (size > limit)
		return ST_INVALID;
	*out = (struct span){ ring_at(log, offset), size };
	return ST_OK;
}

static enum status verify(const struct log_read_job *job, struct errinfo *err)
{
	uint64_t bad = 0;
	/* Whether a length reaches beyond the segment shows when it reaches beyond `size`. */
	const char *reason = log_verify_run(job->log_id, job->data, job->size, job->offset, job->size, &bad);

	if (reason == NULL)
		return ST_OK;
	return errinfo_set(err, ST_CORRUPT,
			   "%s: %s at byte %" PRIu64 " (log offset %" PRIu64 "): damage; run escrow-log check", job->file->path,
			   reason, job->file_offset + (bad - job->offset), bad);
}

/* Fills *job; *segment_out is where the bytes lie. */
static enum status describe_read(const struct commitlog *log, uint64_t offset, size_t size, bool do_verify,
				 uint8_t *data, struct log_read_job *job, struct segment **segment_out,
				 struct errinfo *err)
{
	struct segment *segment = find_segment(log, offset);

	if (segment == NULL || offset >= log->written || size > log->written - offset ||
	    size > segment->base + segment->size - offset)
		return errinfo_set(err, ST_INVALID, "commit log: no %zu bytes to read at log offset %" PRIu64, size, offset);
	*job = (struct log_read_job){
		.offset = offset,
		.data = data,
		.size = size,
		.verify = do_verify,
		.log_id = log->log_id,
		.file = segment->file,
		.base = segment->base,
		.file_offset = offset - segment->base,
	};
	*segment_out = segment;
	return ST_OK;
}

enum status commitlog_try_read(const struct commitlog *log, uint64_t offset, size_t size, bool do_verify, uint8_t *data,
			       struct errinfo *err)
{
	struct log_read_job job = { 0 };
	struct segment *segment = NULL;
	enum status status = describe_read(log, offset, size, do_verify, data, &job, &segment, err);

	if (status == ST_OK)
		status = vfs_read_nowait(job.file, job.file_offset, data, size);
	if (status == ST_OK && do_verify)
		status = verify(&job, err);
	return status;
}

enum status commitlog_prepare_read(struct commitlog *log, uint64_t offset, size_t size, bool do_verify, uint8_t *data,
				   struct log_read_job *job, struct errinfo *err)
{
	struct segment *segment = NULL;
	enum status status = describe_read(log, offset, size, do_verify, data, job, &segment, err);

	if (segment != NULL && status == ST_OK)
		segment->readers++;
	return status;
}

void commitlog_read_done(struct commitlog *log, const struct log_read_job *job)
{
	for (size_t i = 0; i < log->dropped_count; i++) {
		if (log->dropped[i].base == job->base) {
			log->dropped[i].readers--;
			return;
		}
	}
	struct segment *segment = find_segment(log, job->base + LOG_SEGMENT_HEADER_SIZE);
	assert(segment != NULL && segment->readers > 0);
	segment->readers--;
}

void log_read_run(struct log_read_job *job)
{
	size_t got = 0;

	if (job->data == NULL) {
		vfs_read_ahead(job->file, job->file_offset, job->size);
		job->result = ST_OK;
		return;
	}
	job->result = vfs_read(job->file, job->file_offset, job->data, job->size, &got, &job->err);
	if (job->result == ST_OK && got < job->size)
		job->result = errinfo_set(&job->err, ST_CORRUPT, "%s: file ends at byte %" PRIu64 " within a record",
					  job->file->path, job->file_offset + got);
	if (job->result == ST_OK && job->verify)
		job->result = verify(job, &job->err);
}
