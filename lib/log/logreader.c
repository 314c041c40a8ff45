/* See logreader.h. One buffer holds a run of the current segment, never bytes past the limit of the call that read
 * them: those may still be zeros that a flush is about to replace. */
#include "lib/log/logreader.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/format.h"

enum { READ_AHEAD = 1 << 20, SEEK_TRIES = 16 };

struct logreader {
	const struct vfs *vfs;
	char dir[LOG_PATH_SIZE];
	struct log_segment segment;  /* segment.file is NULL between two segments. */
	uint64_t base;               /* Of the segment that holds `position`, open or not. */
	bool newer;                  /* There were newer segments when it was chosen. */
	uint64_t position;
	uint32_t epoch;              /* Of the last record; 0 while unknown. */
	uint8_t log_id[LOG_ID_SIZE];
	char cluster[LOG_CLUSTER_SIZE];
	const char *bad_record;
	uint8_t *buffer;
	size_t buffer_capacity;
	uint64_t buffer_offset;      /* Log offset of buffer[0]. */
	size_t buffer_size;
};

/* Opens the segment at reader->base, which must belong to the same log as those before. */
static enum status open_segment(struct logreader *reader, bool first, struct errinfo *err)
{
	enum status status = log_open_segment(reader->vfs, reader->dir, reader->base, VFS_READ, &reader->segment, err);

	if (status != ST_OK)
		return status;
	if (first) {
		memcpy(reader->log_id, reader->segment.header.log_id, LOG_ID_SIZE);
		memcpy(reader->cluster, reader->segment.header.cluster, LOG_CLUSTER_SIZE);
	} else if (memcmp(reader->log_id, reader->segment.header.log_id, LOG_ID_SIZE) != 0) {
		status = errinfo_set(err, ST_CORRUPT, "%s: segment of another log (its log id differs)",
				     reader->segment.file->path);
		vfs_close(reader->segment.file);
		reader->segment.file = NULL;
	}
	reader->buffer_size = 0;
	return status;
}

/* Chooses the segment that holds `from` among the files that there are, and opens it. */
static enum status open_chosen(struct logreader *reader, uint64_t from, struct errinfo *err)
{
	uint64_t *bases = NULL;
	size_t count = 0, chosen = 0;
	enum status status = log_list_segments(reader->vfs, reader->dir, &bases, &count, err);

	if (status != ST_OK)
		return status;
	while (chosen + 1 < count && bases[chosen + 1] <= from)
		chosen++;
	reader->base = bases[chosen];
	reader->newer = chosen + 1 < count;
	free(bases);
	return open_segment(reader, true, err);
}

/* The file at reader->base has another name by now, or none. */
static bool is_overtaken(const struct logreader *reader)
{
	uint64_t *bases = NULL;
	size_t count = 0, at = 0;

	if (log_list_segments(reader->vfs, reader->dir, &bases, &count, NULL) != ST_OK)
		return false;
	while (at < count && bases[at] != reader->base)
		at++;
	free(bases);
	return at == count;
}

static enum status segment_missing(const struct logreader *reader, uint64_t base, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];

	log_segment_path(reader->dir, base, path, sizeof(path));
	return errinfo_set(err, ST_CORRUPT, "%s: segment is missing: restore the file", path);
}

static enum status seek(struct logreader *reader, uint64_t from, struct errinfo *err)
{
	enum status status = open_chosen(reader, from, err);

	/* A running broker may have begun to use the oldest one again after it was opened: what looks like a bad header is none. */
	for (int tries = 0; tries < SEEK_TRIES && (status == ST_CORRUPT || status == ST_NOTFOUND) && is_overtaken(reader); tries++)
		status = open_chosen(reader, from, err);
	if (status != ST_OK)
		return status;
	if (from == 0)
		from = reader->base + LOG_SEGMENT_HEADER_SIZE;
	if (from < reader->base)
		return errinfo_set(err, ST_NOTFOUND, "log offset %" PRIu64 " is older than the log's start %" PRIu64,
				   from, reader->base);
	if (from > log_segment_end(&reader->segment) + LOG_SEGMENT_HEADER_SIZE && reader->newer)
		return segment_missing(reader, log_segment_end(&reader->segment), err);
	if (from > log_segment_end(&reader->segment) + LOG_SEGMENT_HEADER_SIZE)
		return errinfo_set(err, ST_NOTFOUND, "log offset %" PRIu64 " is past the last segment (%s)", from,
				   reader->segment.file->path);
	reader->position = from;
	if (reader->position < reader->base + LOG_SEGMENT_HEADER_SIZE)
		reader->position = reader->base + LOG_SEGMENT_HEADER_SIZE;
	return ST_OK;
}

enum status logreader_open(const struct vfs *vfs, const char *root, uint64_t from, struct logreader **out,
			   struct errinfo *err)
{
	struct logreader *reader = calloc(1, sizeof(*reader));
	enum status status;

	if (reader == NULL)
		return errinfo_set(err, ST_NOMEM, "log reader: out of memory");
	reader->vfs = vfs;
	status = log_dir_path(root, reader->dir, err);
	if (status == ST_OK)
		status = seek(reader, from, err);
	if (status != ST_OK) {
		logreader_close(reader);
		return status;
	}
	*out = reader;
	return ST_OK;
}

void logreader_close(struct logreader *reader)
{
	if (reader == NULL)
		return;
	vfs_close(reader->segment.file);
	free(reader->buffer);
	free(reader);
}

uint64_t logreader_position(const struct logreader *reader)
{
	return reader->position;
}

const uint8_t *logreader_log_id(const struct logreader *reader)
{
	return reader->log_id;
}

const char *logreader_cluster(const struct logreader *reader)
{
	return reader->cluster;
}

const char *logreader_bad_record(const struct logreader *reader)
{
	return reader->bad_record;
}

static void leave_segment(struct logreader *reader)
{
	reader->base = log_segment_end(&reader->segment);
	reader->position = reader->base + LOG_SEGMENT_HEADER_SIZE;
	vfs_close(reader->segment.file);
	reader->segment.file = NULL;
}

/* The file at reader->base is absent: the end of the log if nothing newer exists, a gap otherwise. */
static enum status segment_absent(struct logreader *reader, bool limited, struct errinfo *err)
{
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_list_segments(reader->vfs, reader->dir, &bases, &count, err);

	if (status != ST_OK)
		return status;
	bool is_end = !limited && bases[count - 1] < reader->base;
	free(bases);
	if (is_end)
		return ST_AGAIN;
	return segment_missing(reader, reader->base, err);
}

/* Makes `need` bytes from the position available at *at_out, unless the file ends before. */
static enum status fill(struct logreader *reader, uint64_t need, uint64_t limit, const uint8_t **at_out,
			size_t *got_out, struct errinfo *err)
{
	uint64_t ahead = log_segment_end(&reader->segment) - reader->position;
	uint64_t held = reader->position - reader->buffer_offset;
	enum status status;

	if (reader->position >= reader->buffer_offset && held <= reader->buffer_size &&
	    reader->buffer_size - held >= need)
		goto found;
	if (ahead > limit - reader->position)
		ahead = limit - reader->position;
	if (ahead > READ_AHEAD)
		ahead = need > READ_AHEAD ? need : READ_AHEAD;
	if (ahead > reader->buffer_capacity) {
		uint8_t *grown = realloc(reader->buffer, ahead);
		if (grown == NULL)
			return errinfo_set(err, ST_NOMEM, "log reader: no memory for a record of %" PRIu64 " bytes", need);
		reader->buffer = grown;
		reader->buffer_capacity = ahead;
	}
	reader->buffer_size = 0;
	status = vfs_read(reader->segment.file, reader->position - reader->base, reader->buffer, ahead,
			  &reader->buffer_size, err);
	if (status != ST_OK) {
		reader->buffer_size = 0;
		return status;
	}
	reader->buffer_offset = reader->position;
	held = 0;
found:
	*at_out = reader->buffer + held;
	*got_out = reader->buffer_size - held;
	return ST_OK;
}

/* Records of one start carry one epoch; an EPOCH record opens the next and says where it does. */
static const char *check_epoch(const struct logreader *reader, const struct log_record *record)
{
	struct log_mark mark;

	if (record->kind == LOG_EPOCH) {
		if (!log_mark_of(record, &mark) || mark.durable != record->offset)
			return "malformed EPOCH record";
		if (reader->epoch != 0 && get_u32(record->payload.data) != reader->epoch)
			return "EPOCH record follows another epoch than it names";
		if (record->epoch <= get_u32(record->payload.data))
			return "EPOCH record does not ascend";
	} else if (reader->epoch != 0 && record->epoch != reader->epoch) {
		return "record of another epoch";
	}
	if (reader->epoch == 0 && record->epoch < reader->segment.header.first_epoch)
		return "record of an older epoch";
	return NULL;
}

/* What stands at the position is not a record, for `reason`. */
static enum status bad_record(struct logreader *reader, uint64_t limit, bool zeros, const char *reason,
			      struct errinfo *err)
{
	uint64_t position = reader->position;

	reader->bad_record = reason;
	reader->buffer_size = 0; /* Read again next time: a running broker may have written more. */
	if (limit == LOG_NO_LIMIT && zeros)
		return ST_AGAIN;
	return errinfo_set(err, ST_CORRUPT, "%s: %s at byte %" PRIu64 " (log offset %" PRIu64 ")",
			   reader->segment.file->path, reason, position - reader->base, position);
}

/* Reads and checks the record at the position of the open segment. */
static enum status read_record(struct logreader *reader, uint64_t limit, struct log_record *out, struct errinfo *err)
{
	uint64_t room = log_segment_end(&reader->segment) - reader->position;
	const uint8_t *at = NULL;
	const char *reason;
	size_t got = 0;
	enum status status = fill(reader, LOG_ENVELOPE_SIZE, limit, &at, &got, err);

	if (status != ST_OK)
		return status;
	if (got < LOG_ENVELOPE_SIZE)
		return bad_record(reader, limit, bytes_are_zero(at, got), "the file ends", err);
	reason = log_parse_envelope(at, reader->position, room, out);
	if (reason != NULL) {
		bool zeros = bytes_are_zero(at, LOG_ENVELOPE_SIZE);
		return bad_record(reader, limit, zeros, zeros ? "zeros" : reason, err);
	}
	if (log_checked_size(out) > limit - reader->position)
		return bad_record(reader, limit, false, "record is longer than what was written", err);
	status = fill(reader, log_checked_size(out), limit, &at, &got, err);
	if (status != ST_OK)
		return status;
	if (got < log_checked_size(out))
		return bad_record(reader, limit, false, "the file ends within a record", err);
	out->payload.data = at + LOG_ENVELOPE_SIZE;
	reason = log_crc_matches(reader->log_id, at, out) ? check_epoch(reader, out) : "CRC mismatch";
	if (reason != NULL)
		return bad_record(reader, limit, false, reason, err);
	if (out->kind == LOG_PAD)
		out->payload = SPAN_NONE;
	return ST_OK;
}

enum status logreader_next(struct logreader *reader, uint64_t limit, struct log_record *out, struct errinfo *err)
{
	enum status status;

	reader->bad_record = NULL;
	for (;;) {
		if (reader->segment.file != NULL &&
		    reader->position + LOG_ENVELOPE_SIZE > log_segment_end(&reader->segment))
			leave_segment(reader);
		if (reader->position >= limit)
			return ST_AGAIN;
		if (reader->segment.file != NULL)
			break;
		status = open_segment(reader, false, err);
		if (status == ST_NOTFOUND)
			return segment_absent(reader, limit != LOG_NO_LIMIT, err);
		if (status != ST_OK)
			return status;
	}
	if (limit - reader->position < LOG_ENVELOPE_SIZE)
		return ST_AGAIN;
	status = read_record(reader, limit, out, err);
	if (status != ST_OK)
		return status;
	reader->position += out->size;
	reader->epoch = out->epoch;
	return ST_OK;
}
