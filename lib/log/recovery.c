/* See recovery.h. */
#include "lib/log/recovery.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/format.h"
#include "lib/log/logreader.h"

enum { SEARCH_BLOCK = 64 * 1024, ZEROS_AT_ONCE = 512 };

struct search {
	struct log_check_result *result;
	uint64_t reach;  /* No byte at or past this was written after the last proof of durability. */
	uint64_t proof;  /* Offset of the record that proves that the bad byte had been durable; 0 while none. */
	uint8_t *block;  /* SEARCH_BLOCK + LOG_EPOCH_SIZE + 8 bytes */
};

/* A record at `p` that proves that everything up to and including result->end had been durable? */
static bool proves_damage(const struct log_check_result *result, const struct log_segment *segment, const uint8_t *p, size_t left,
			  uint64_t offset)
{
	struct log_record record;
	struct log_mark mark;

	if (left < LOG_ENVELOPE_SIZE || log_parse_envelope(p, offset, log_segment_end(segment) - offset, &record) != NULL)
		return false;
	if ((record.kind != LOG_BATCH && record.kind != LOG_EPOCH) || record.size > left ||
	    record.epoch < result->epoch || !log_crc_matches(segment->header.log_id, p, &record) || !log_mark_of(&record, &mark))
		return false; /* An older epoch is stale: a leftover of what an earlier start cut off. */
	/* Where nothing was read, the epoch in force is not known: a check may begin within the tail. */
	return (result->record_count > 0 && record.epoch > result->epoch) || mark.durable > result->end;
}

/* Does something at `p` show that the log was written up to here? In a file of zeros any other byte does. */
static uint64_t leftover_end(const struct log_segment *segment, const uint8_t *p, size_t left, uint64_t offset)
{
	struct log_record record;

	if (!segment->header.recycled)
		return offset + 8;
	if (left < LOG_ENVELOPE_SIZE ||
	    log_parse_envelope(p, offset, log_segment_end(segment) - offset, &record) != NULL)
		return 0;
	return offset + log_checked_size(&record);
}

/* Is there a leftover, or proof, at this place? `left` bytes may be looked at. */
static void look_at(struct search *search, const struct log_segment *segment, const uint8_t *p, size_t left,
		    uint64_t offset)
{
	uint64_t word;

	memcpy(&word, p, sizeof(word));
	if (word == 0)
		return;
	uint64_t end = leftover_end(segment, p, left, offset);
	if (end > search->result->leftover_end)
		search->result->leftover_end = end;
	if (search->proof == 0 && proves_damage(search->result, segment, p, left, offset))
		search->proof = offset;
}

/* Looks at [from, to) of one open segment. */
static enum status search_segment(struct search *search, const struct log_segment *segment, uint64_t from, uint64_t to,
				  struct errinfo *err)
{
	uint64_t base = segment->header.base;

	for (uint64_t at = from; at < to; at += SEARCH_BLOCK) {
		size_t got = 0;
		enum status status = vfs_read(segment->file, at - base, search->block, SEARCH_BLOCK + LOG_EPOCH_SIZE,
					      &got, err);
		if (status != ST_OK)
			return status;
		memset(search->block + got, 0, 8); /* The last word may be cut off; what lies behind it completes no record. */
		for (size_t i = 0; i < SEARCH_BLOCK && i < got; i += 8) {
			/* Most of what lies here is zeros. */
			if (i % ZEROS_AT_ONCE == 0 && got - i >= ZEROS_AT_ONCE &&
			    bytes_are_zero(search->block + i, ZEROS_AT_ONCE))
				i += ZEROS_AT_ONCE - 8;
			else
				look_at(search, segment, search->block + i, got - i, at + i);
		}
	}
	return ST_OK;
}

/* Looks for proof and for leftovers in everything from the log's end on that may have been written. */
static enum status search_leftovers(const struct vfs *vfs, const char *dir, struct search *search, struct errinfo *err)
{
	uint64_t end = search->result->end;
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_list_segments(vfs, dir, &bases, &count, err);

	for (size_t i = 0; status == ST_OK && i < count; i++) {
		struct log_segment segment;
		uint64_t from, to;

		if (i + 1 < count && bases[i + 1] <= end)
			continue;
		if (bases[i] >= search->reach)
			break;
		status = log_open_segment(vfs, dir, bases[i], VFS_READ, &segment, err);
		if (status != ST_OK)
			break;
		from = bases[i] + LOG_SEGMENT_HEADER_SIZE;
		if (from < end)
			from = end;
		to = bases[i] + segment.file_size;
		if (to > search->reach)
			to = search->reach;
		status = search_segment(search, &segment, from, to, err);
		vfs_close(segment.file);
	}
	free(bases);
	return status;
}

static void note_record(struct log_check_result *result, const struct log_record *record)
{
	struct log_mark mark;

	if (result->record_count++ == 0)
		result->start = record->offset;
	result->epoch = record->epoch;
	if (log_mark_of(record, &mark)) {
		/* A mark beyond its own place is nonsense that a valid CRC cannot excuse; it proves nothing. */
		if (mark.durable > result->durable_mark && mark.durable <= record->offset)
			result->durable_mark = mark.durable;
		result->window = mark.window;
	}
}

/* Reads records to the first byte that is not one. */
static enum status scan(struct logreader *reader, struct log_check_result *result, struct errinfo *err)
{
	struct log_record record;
	enum status status;

	result->start = logreader_position(reader);
	while ((status = logreader_next(reader, LOG_NO_LIMIT, &record, err)) == ST_OK)
		note_record(result, &record);
	if (status != ST_AGAIN && logreader_bad_record(reader) == NULL)
		return status;
	result->end = logreader_position(reader);
	snprintf(result->reason, sizeof(result->reason), "%s",
		 logreader_bad_record(reader) != NULL ? logreader_bad_record(reader) : "the last segment is full");
	return ST_OK;
}

/* The file that holds result->end: the last one whose base is not above it. */
static enum status name_file(const struct vfs *vfs, const char *dir, struct log_check_result *result,
			     uint64_t *base_out, struct errinfo *err)
{
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_list_segments(vfs, dir, &bases, &count, err);

	if (status != ST_OK)
		return status;
	*base_out = bases[0];
	for (size_t i = 0; i < count && bases[i] <= result->end; i++)
		*base_out = bases[i];
	free(bases);
	log_segment_name(*base_out, result->file);
	return ST_OK;
}

/* What lies at result->end is bad, and `proof` says that it had been durable. */
static enum status say_damaged(const char *dir, struct log_check_result *result, uint64_t base, const char *proof,
			       uint64_t proof_offset, struct errinfo *err)
{
	result->damaged = true;
	return errinfo_set(err, ST_CORRUPT,
			   "%s/%s: %s at byte %" PRIu64 " (log offset %" PRIu64 "), in a part that had been made "
			   "durable (%s %" PRIu64 " says so): this is damage, not a torn "
			   "tail; run escrow-log check, and restore the file from a copy",
			   dir, result->file, result->reason, result->end - base, result->end, proof, proof_offset);
}

/* Reads from `from` on, known.from or before it; 0 = from the oldest record. */
static enum status check_from(const struct vfs *vfs, const char *root, uint64_t from, struct log_known known,
			      struct log_check_result *result, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	struct logreader *reader = NULL;
	struct search search = { .result = result };
	uint64_t base = 0;
	enum status status = log_dir_path(root, dir, err);

	*result = (struct log_check_result){ 0 };
	if (status == ST_OK)
		status = logreader_open(vfs, root, from, &reader, err);
	if (status != ST_OK)
		return status;
	result->durable_mark = known.durable;
	status = scan(reader, result, err);
	logreader_close(reader);
	if (status == ST_OK)
		status = name_file(vfs, dir, result, &base, err);
	if (status != ST_OK)
		return status;
	result->leftover_end = result->end;
	/* Without any mark nothing bounds what was in flight. */
	search.reach = UINT64_MAX;
	if (result->window != 0 && result->window < UINT64_MAX - result->end)
		search.reach = result->end + result->window;
	search.block = malloc(SEARCH_BLOCK + LOG_EPOCH_SIZE + 8);
	if (search.block == NULL)
		return errinfo_set(err, ST_NOMEM, "log check: out of memory");
	status = search_leftovers(vfs, dir, &search, err);
	free(search.block);
	if (status != ST_OK)
		return status;
	if (search.proof != 0)
		return say_damaged(dir, result, base, "the record at log offset", search.proof, err);
	if (result->end < known.durable)
		return say_damaged(dir, result, base, "the snapshot of log offset", known.from, err);
	return ST_OK;
}

enum status log_check(const struct vfs *vfs, const char *root, struct log_check_result *result, struct errinfo *err)
{
	return check_from(vfs, root, 0, (struct log_known){ 0 }, result, err);
}

/* Does the segment begin with what looks like a record? */
static enum status is_used(const struct vfs *vfs, const char *dir, uint64_t base, bool *used_out, struct errinfo *err)
{
	struct log_segment segment;
	struct log_record record;
	uint8_t envelope[LOG_ENVELOPE_SIZE];
	size_t got = 0;
	enum status status = log_open_segment(vfs, dir, base, VFS_READ, &segment, err);

	if (status != ST_OK)
		return status;
	status = vfs_read(segment.file, LOG_SEGMENT_HEADER_SIZE, envelope, sizeof(envelope), &got, err);
	*used_out = status == ST_OK && got == sizeof(envelope) &&
		    log_parse_envelope(envelope, base + LOG_SEGMENT_HEADER_SIZE,
				       segment.header.segment_size - LOG_SEGMENT_HEADER_SIZE, &record) == NULL;
	vfs_close(segment.file);
	return status;
}

/* All headers are sound and of one log. *cut_out: a file is shorter than it was when the next one was begun. */
static enum status check_headers(const struct vfs *vfs, const char *dir, const uint64_t *bases, size_t count, bool *cut_out,
				 struct errinfo *err)
{
	uint8_t log_id[LOG_ID_SIZE] = { 0 };

	for (size_t i = 0; i < count; i++) {
		struct log_segment segment;
		enum status status = log_open_segment(vfs, dir, bases[i], VFS_READ, &segment, err);
		if (status != ST_OK)
			return status;
		if (i == 0)
			memcpy(log_id, segment.header.log_id, LOG_ID_SIZE);
		else if (memcmp(log_id, segment.header.log_id, LOG_ID_SIZE) != 0)
			status = errinfo_set(err, ST_CORRUPT, "%s: segment of another log (its log id differs)",
					     segment.file->path);
		*cut_out = *cut_out || (i + 1 < count && segment.file_size < segment.header.segment_size);
		vfs_close(segment.file);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

/* From the last but one segment in use, if that proves that everything before it is durable; else all of it. */
static enum status check_last_segments(const struct vfs *vfs, const char *root, const char *dir, const uint64_t *bases,
				       size_t count, struct log_known known, struct log_check_result *result, struct errinfo *err)
{
	uint64_t tail;
	bool used = false;
	enum status status = ST_OK;

	while (status == ST_OK && count > 0 && !used)
		status = is_used(vfs, dir, bases[--count], &used, err);
	if (status != ST_OK)
		return status;
	if (used && count > 1) { /* `count` is now the index of the last segment in use: begin one before it. */
		tail = bases[count - 1] + LOG_SEGMENT_HEADER_SIZE;
		status = check_from(vfs, root, tail, known, result, err);
		if (result->damaged || (status == ST_OK && result->durable_mark > tail))
			return status;
	}
	return check_from(vfs, root, 0, known, result, err);
}

enum status log_check_tail(const struct vfs *vfs, const char *root, struct log_known known,
			   struct log_check_result *result, struct errinfo *err)
{
	char dir[LOG_PATH_SIZE];
	uint64_t *bases = NULL;
	size_t count = 0;
	bool cut = false;
	enum status status = log_dir_path(root, dir, err);

	if (status == ST_OK)
		status = log_list_segments(vfs, dir, &bases, &count, err);
	if (status != ST_OK)
		return status;
	*result = (struct log_check_result){ 0 };
	status = check_headers(vfs, dir, bases, count, &cut, err);
	/* The log before a snapshot need not be sound any more: all of it is read. What the snapshot has seen durable was that. */
	if (status == ST_OK && (cut || known.from != 0))
		status = check_from(vfs, root, cut ? 0 : known.from, known, result, err);
	/* Nothing behind the snapshot: which epoch was in force, the records before it say. */
	if (status == ST_OK && result->record_count == 0)
		status = check_last_segments(vfs, root, dir, bases, count, known, result, err);
	free(bases);
	return status;
}
