/* Segments before they are used and after: made or recycled ahead of the tail, given up behind it; see commitlog.h.
 *
 * What is given up leaves the table at once and waits in `dropped` until the reads under way in it have ended. Its file
 * then becomes the next segment, or is removed; always the oldest first, so that a stop in between leaves no gap. */
#include "lib/log/commitlog.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/log/commitlog_internal.h"
#include "lib/log/ring.h"

/* Files kept for the next segments; more than that goes back to the file system. */
enum { SPARES_MAX = 1, RING_STEP = 4 << 20 };

/* --- the table ------------------------------------------------------------------------------------------ */

enum status commitlog_add_segment(struct commitlog *log, const struct segment *segment, struct errinfo *err)
{
	struct segment *segments = array_with_room(log->segments, log->segment_count, &log->segment_capacity,
						   sizeof(*segments));

	if (segments == NULL)
		return errinfo_set(err, ST_NOMEM, "commit log: no memory for the segment table");
	log->segments = segments;
	log->segments[log->segment_count++] = *segment;
	return ST_OK;
}

size_t commitlog_segment_count(const struct commitlog *log)
{
	return log->tail + 1;
}

struct log_segment_range commitlog_segment(const struct commitlog *log, size_t index)
{
	assert(index <= log->tail);
	const struct segment *segment = &log->segments[index];

	return (struct log_segment_range){ segment->base, segment->base + segment->size };
}

enum status commitlog_drop_oldest(struct commitlog *log)
{
	assert(log->tail > 0);
	struct segment *grown = realloc(log->dropped, (log->dropped_count + 1) * sizeof(*grown));

	if (grown == NULL)
		return ST_NOMEM;
	log->dropped = grown;
	log->dropped[log->dropped_count++] = log->segments[0];
	log->segment_count--;
	log->tail--;
	memmove(log->segments, log->segments + 1, log->segment_count * sizeof(*log->segments));
	return ST_OK;
}

bool commitlog_dropped(const struct commitlog *log)
{
	return log->dropped_count > 0;
}

static void forget_oldest_dropped(struct commitlog *log)
{
	log->dropped_count--;
	memmove(log->dropped, log->dropped + 1, log->dropped_count * sizeof(*log->dropped));
}

/* --- jobs ----------------------------------------------------------------------------------------------- */

static void describe_new_segment(struct commitlog *log, struct log_prepare_job *job)
{
	struct log_segment_header header = {
		.base = 0,
		.segment_size = log->segment_size,
		.first_epoch = log->epoch == 0 ? 1 : log->epoch,
		.created_ms = clock_wall_ms(log->clock),
		.recycled = job->what == LOG_PREPARE_RECYCLE,
	};

	if (log->segment_count > 0)
		header.base = log->segments[log->segment_count - 1].base + log->segments[log->segment_count - 1].size;
	memcpy(header.log_id, log->log_id, LOG_ID_SIZE);
	memcpy(header.cluster, log->cluster, LOG_CLUSTER_SIZE);
	log_encode_header(&header, job->header);
	log_segment_path(log->dir, header.base, job->path, sizeof(job->path));
	job->base = header.base;
	job->file_offset = 0;
	if (job->what == LOG_PREPARE_RECYCLE)
		job->size = log->segment_size;
	else
		job->size = log->prepare_chunk < log->segment_size ? log->prepare_chunk : log->segment_size;
}

/* Of the tail or a segment behind it. */
static uint64_t ahead_in(const struct commitlog *log, size_t index)
{
	const struct segment *segment = &log->segments[index];

	return index == log->tail ? log_less(segment->base + segment->prepared, log->appended)
				  : log_less(segment->prepared, LOG_SEGMENT_HEADER_SIZE);
}

uint64_t commitlog_prepared_ahead(const struct commitlog *log)
{
	uint64_t ahead = 0;

	for (size_t i = log->tail; i < log->segment_count; i++)
		ahead += ahead_in(log, i);
	return ahead;
}

uint64_t commitlog_ahead_after(const struct commitlog *log, uint64_t payload_size)
{
	uint64_t size = commitlog_record_size(payload_size) + (log->batch_open ? 0 : LOG_BATCH_SIZE);
	uint64_t ahead = commitlog_prepared_ahead(log);
	size_t taking = commitlog_segment_for(log, size);

	for (size_t i = log->tail; i < taking; i++)
		size += ahead_in(log, i);
	return log_less(ahead, size);
}

/* Memory for the ring, from the tail on; once there is log prepared, because that is what a start waits for. */
static bool take_ring(struct commitlog *log, struct log_prepare_job *out)
{
	if (log->ring_populated == log->ring_size || log->segment_count == 0 ||
	    commitlog_prepared_ahead(log) < log->prepare_chunk)
		return false;
	if (log->ring_populated == 0)
		log->ring_populate_from = log->appended & (log->ring_size - 1) & ~(uint64_t)(LOG_SEGMENT_HEADER_SIZE - 1);
	uint64_t from = (log->ring_populate_from + log->ring_populated) & (log->ring_size - 1);
	uint64_t left = log->ring_size - log->ring_populated, to_end = log->ring_size - from;
	out->what = LOG_PREPARE_RING;
	out->ring = log->ring;
	out->ring_size = log->ring_size;
	out->file_offset = from;
	out->size = left < RING_STEP ? left : RING_STEP;
	if (out->size > to_end)
		out->size = to_end;
	return true;
}

/* Zeros for the first segment that is not complete. */
static bool take_fill(const struct commitlog *log, struct log_prepare_job *out)
{
	for (size_t i = log->tail; i < log->segment_count; i++) {
		const struct segment *segment = &log->segments[i];
		uint64_t left = segment->size - segment->prepared;

		if (left == 0)
			continue;
		out->what = LOG_PREPARE_FILL;
		out->file = segment->file;
		out->base = segment->base;
		out->file_offset = segment->prepared;
		out->size = left < log->prepare_chunk ? left : log->prepare_chunk;
		return true;
	}
	return false;
}

static bool wants_next_segment(const struct commitlog *log)
{
	if (log->segment_count == 0)
		return true;
	const struct segment *last = &log->segments[log->segment_count - 1];
	/* With one of the same size: when a quarter of it is used. Behind smaller ones earlier. */
	return log_less(last->base + last->size, log->appended) < log->segment_size / 4 * 3;
}

/* The file that was given up first, if nobody reads in it any more. */
static struct segment *free_dropped(struct commitlog *log)
{
	return log->dropped_count > 0 && log->dropped[0].readers == 0 ? &log->dropped[0] : NULL;
}

static bool take_next_segment(struct commitlog *log, struct log_prepare_job *out)
{
	const struct segment *old = free_dropped(log);

	if (old != NULL && (old->size != log->segment_size || old->prepared != old->size))
		return false; /* Of another size: removed first. */
	out->what = old != NULL ? LOG_PREPARE_RECYCLE : LOG_PREPARE_CREATE;
	if (old != NULL) {
		log_segment_path(log->dir, old->base, out->old_path, sizeof(out->old_path));
		out->file = old->file;
	}
	describe_new_segment(log, out);
	return true;
}

static bool take_removal(struct commitlog *log, struct log_prepare_job *out)
{
	const struct segment *old = free_dropped(log);

	if (old == NULL)
		return false;
	if (log->dropped_count <= (log->spares_wanted ? SPARES_MAX : 0) && old->size == log->segment_size &&
	    old->prepared == old->size)
		return false;
	out->what = LOG_PREPARE_REMOVE;
	out->file = old->file;
	log_segment_path(log->dir, old->base, out->old_path, sizeof(out->old_path));
	return true;
}

bool commitlog_take_prepare(struct commitlog *log, struct log_prepare_job *out)
{
	if (log->failed || log->prepare_out)
		return false;
	out->vfs = log->vfs;
	out->file = NULL;
	out->moved = false;
	out->result = ST_OK;
	snprintf(out->dir, sizeof(out->dir), "%s", log->dir);
	log->prepare_out = take_ring(log, out) || (!log->spares_wanted && take_removal(log, out)) || take_fill(log, out) ||
			   (wants_next_segment(log) && take_next_segment(log, out)) || take_removal(log, out);
	return log->prepare_out;
}

void commitlog_keep_spares(struct commitlog *log, bool wanted)
{
	log->spares_wanted = wanted;
}

/* A new segment's first chunk, or a recycled one, has its name. */
static enum status next_segment_done(struct commitlog *log, struct log_prepare_job *job, struct errinfo *err)
{
	struct segment segment = { .file = job->file, .base = job->base, .size = log->segment_size, .prepared = job->size };
	enum status status = job->result;

	if (status == ST_OK)
		status = commitlog_add_segment(log, &segment, err);
	if (status != ST_OK)
		vfs_close(job->file);
	return status;
}

/* The oldest file that was given up has gone. If it is not certain whether it has, a gap may be left at the next start
 * by removing younger ones: stop. */
static enum status dropped_done(struct commitlog *log, struct log_prepare_job *job, struct errinfo *err)
{
	if (job->result == ST_FULL && !job->moved)
		return job->result; /* Still there under its name: to be tried again. */
	if (job->result != ST_OK && job->result != ST_FULL)
		commitlog_poison(log, &job->err);
	forget_oldest_dropped(log);
	if (job->what == LOG_PREPARE_RECYCLE)
		return next_segment_done(log, job, err);
	vfs_close(job->file);
	return job->result;
}

static enum status fill_done(struct commitlog *log, struct log_prepare_job *job)
{
	if (job->result == ST_OK) {
		for (size_t i = log->tail; i < log->segment_count; i++) {
			if (log->segments[i].base == job->base)
				log->segments[i].prepared = job->file_offset + job->size;
		}
	} else if (job->result != ST_FULL) {
		commitlog_poison(log, &job->err); /* A failed sync of a file that holds records may have lost some of them. */
	}
	return job->result;
}

enum status commitlog_prepare_done(struct commitlog *log, struct log_prepare_job *job, struct errinfo *err)
{
	assert(log->prepare_out);
	log->prepare_out = false;
	if (job->result != ST_OK && err != NULL)
		*err = job->err;
	switch (job->what) {
	case LOG_PREPARE_RING:
		log->ring_populated += job->size;
		return ST_OK;
	case LOG_PREPARE_FILL:
		return fill_done(log, job);
	case LOG_PREPARE_CREATE:
		return next_segment_done(log, job, err);
	case LOG_PREPARE_RECYCLE:
	case LOG_PREPARE_REMOVE:
		return dropped_done(log, job, err);
	}
	return ST_INVALID;
}

/* The tail's own segment first: its file may be shorter than it was, although the next one is there. */
enum status commitlog_prepare_inline(struct commitlog *log, uint64_t ahead, struct errinfo *err)
{
	struct log_prepare_job job;

	for (;;) {
		if (log->segment_count > 0) {
			const struct segment *tail = &log->segments[log->tail];
			uint64_t used = log_less(log->appended, tail->base);
			if (tail->prepared == tail->size || log_less(tail->prepared, used) >= ahead)
				return ST_OK;
		}
		if (!commitlog_take_prepare(log, &job))
			return ST_OK;
		log_prepare_run(&job);
		enum status status = commitlog_prepare_done(log, &job, err);
		if (status != ST_OK)
			return status;
	}
}

/* --- the part that runs elsewhere ------------------------------------------------------------------------- */

static enum status write_zeros(struct vfs_file *file, uint64_t offset, uint64_t size, struct errinfo *err)
{
	enum { ZEROS_SIZE = 64 * 1024, ZEROS_GATHERED = 16 };
	static const uint8_t zeros[ZEROS_SIZE];
	struct vfs_piece pieces[ZEROS_GATHERED];
	enum status status = ST_OK;

	while (size > 0 && status == ST_OK) {
		uint64_t batch = 0;
		size_t count = 0;
		for (; count < ZEROS_GATHERED && batch < size; count++) {
			pieces[count].data = zeros;
			pieces[count].size = size - batch < ZEROS_SIZE ? size - batch : ZEROS_SIZE;
			batch += pieces[count].size;
		}
		status = vfs_write(file, offset, pieces, count, err);
		offset += batch;
		size -= batch;
	}
	return status;
}

static enum status write_header(struct vfs_file *file, const uint8_t *used, struct errinfo *err)
{
	uint8_t page[LOG_SEGMENT_HEADER_SIZE] = { 0 };
	struct vfs_piece piece = { page, sizeof(page) };

	memcpy(page, used, LOG_HEADER_USED);
	return vfs_write(file, 0, &piece, 1, err);
}

/* A segment gets its name only when its header and first bytes are durable: a file with a segment's name and a bad
 * header is damage, never a crash. */
static enum status give_name(struct log_prepare_job *job, const char *temporary, struct errinfo *err)
{
	enum status status = vfs_sync(job->file, err);

	if (status == ST_OK)
		status = vfs_rename(job->vfs, temporary, job->path, err);
	if (status == ST_OK)
		status = vfs_sync_dir(job->vfs, job->dir, err);
	/* Errors later on name the file as it is called now. */
	char *path = status == ST_OK ? strdup(job->path) : NULL;
	if (path != NULL) {
		free(job->file->path);
		job->file->path = path;
	}
	return status;
}

static enum status make_segment(struct log_prepare_job *job, struct errinfo *err)
{
	char temporary[sizeof(job->path) + 8];
	enum status status;

	snprintf(temporary, sizeof(temporary), "%s.tmp", job->path);
	if (job->what == LOG_PREPARE_RECYCLE) {
		/* The old name is durably gone before the header says something else. */
		status = vfs_rename(job->vfs, job->old_path, temporary, err);
		job->moved = status == ST_OK;
		if (status == ST_OK)
			status = vfs_sync_dir(job->vfs, job->dir, err);
	} else {
		status = vfs_open(job->vfs, temporary, VFS_WRITE | VFS_CREATE | VFS_TRUNCATE, &job->file, err);
	}
	if (status == ST_OK)
		status = write_header(job->file, job->header, err);
	if (status == ST_OK && job->what == LOG_PREPARE_CREATE)
		status = write_zeros(job->file, LOG_SEGMENT_HEADER_SIZE, job->size - LOG_SEGMENT_HEADER_SIZE, err);
	if (status == ST_OK)
		status = give_name(job, temporary, err);
	bool made = job->what == LOG_PREPARE_CREATE || job->moved;
	if (status != ST_OK && made && vfs_unlink(job->vfs, temporary, NULL) != ST_OK)
		return status; /* The first failure is the one to tell; the next start removes the file. */
	return status;
}

void log_prepare_run(struct log_prepare_job *job)
{
	switch (job->what) {
	case LOG_PREPARE_RING:
		ring_populate(job->ring, job->ring_size, job->file_offset, job->size);
		break;
	case LOG_PREPARE_FILL:
		job->result = write_zeros(job->file, job->file_offset, job->size, &job->err);
		if (job->result == ST_OK)
			job->result = vfs_sync(job->file, &job->err);
		break;
	case LOG_PREPARE_CREATE:
	case LOG_PREPARE_RECYCLE:
		job->result = make_segment(job, &job->err);
		break;
	case LOG_PREPARE_REMOVE:
		job->result = vfs_unlink(job->vfs, job->old_path, &job->err);
		if (job->result == ST_OK)
			job->result = vfs_sync_dir(job->vfs, job->dir, &job->err);
		break;
	}
}
