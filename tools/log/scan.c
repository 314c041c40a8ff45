/* See scan.h. */
#include "tools/log/scan.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/bytes.h"

enum { READ_AHEAD = 1 << 20 };

struct scanner {
	const struct vfs *vfs;
	char dir[LOG_PATH_SIZE];
	scan_visit visit;
	void *context;
	struct log_scan *out;
	struct log_known known;
	size_t gap_capacity;

	struct scan_segment *segment; /* At hand, */
	struct vfs_file *file;        /* open. */
	uint8_t *buffer;              /* Bytes of it from log offset `buffer_offset`. */
	size_t buffer_capacity, buffer_size;
	uint64_t buffer_offset;

	uint32_t epoch;               /* Of the last sound record; 0: none yet. */
	uint64_t window;              /* Of the last mark. */
	bool in_gap;
	struct scan_gap gap;          /* Being measured. */
	bool going_back;              /* To the gap's beginning, which has been written since. */
};

/* --- segments ------------------------------------------------------------------------------------------------- */

/* Opens the file whatever its header says. */
static enum status open_file(struct scanner *s, uint64_t base, struct vfs_file **out, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];

	log_segment_path(s->dir, base, path, sizeof(path));
	return vfs_open(s->vfs, path, VFS_READ, out, err);
}

static void set_problem(struct scan_segment *segment, const char *text)
{
	/* Without the path in front: it is shown beside. */
	const char *behind = strstr(text, ": ");

	snprintf(segment->problem, sizeof(segment->problem), "%.*s", SCAN_PROBLEM_SIZE - 1,
		 text[0] == '/' && behind != NULL ? behind + 2 : text);
}

static enum status read_header(struct scanner *s, struct scan_segment *segment, struct errinfo *err)
{
	struct log_segment opened = { 0 };
	enum status status = log_open_segment(s->vfs, s->dir, segment->base, VFS_READ, &opened, err);

	if (status == ST_OK) {
		segment->sound = true;
		segment->header = opened.header;
		segment->file_size = opened.file_size;
		segment->end = segment->base + opened.header.segment_size;
		vfs_close(opened.file);
		return ST_OK;
	}
	if (status != ST_CORRUPT && status != ST_VERSION)
		return status;
	segment->other_version = status == ST_VERSION;
	memcpy(segment->header.log_id, opened.header.log_id, LOG_ID_SIZE);
	set_problem(segment, err->text);
	struct vfs_file *file = NULL;
	status = open_file(s, segment->base, &file, err);
	if (status == ST_OK)
		status = vfs_size(file, &segment->file_size, err);
	vfs_close(file);
	segment->end = segment->base + segment->file_size;
	return status;
}

/* All of one log? The id that most sound segments have is taken for it. Without any, what stands in the first header is worth a try:
 * records that are checked with another id are none. */
static void check_identity(struct log_scan *scan)
{
	const struct scan_segment *model = NULL;
	size_t best = 0;

	for (size_t i = 0; i < scan->segment_count; i++) {
		size_t same = 0;

		for (size_t j = 0; scan->segments[i].sound && j < scan->segment_count; j++)
			same += scan->segments[j].sound &&
				memcmp(scan->segments[j].header.log_id, scan->segments[i].header.log_id, LOG_ID_SIZE) == 0;
		if (same > best) {
			best = same;
			model = &scan->segments[i];
		}
		if (2 * best > scan->segment_count)
			break; /* Nobody can have more. */
	}
	memcpy(scan->log_id, (model != NULL ? model : &scan->segments[0])->header.log_id, LOG_ID_SIZE);
	if (model == NULL)
		return;
	memcpy(scan->cluster, model->header.cluster, LOG_CLUSTER_SIZE);
	for (size_t i = 0; i < scan->segment_count; i++) {
		struct scan_segment *segment = &scan->segments[i];

		if (segment->sound && memcmp(segment->header.log_id, scan->log_id, LOG_ID_SIZE) != 0) {
			segment->sound = false;
			set_problem(segment, "segment of another log (its log id differs)");
		}
	}
}

static enum status list_segments(struct scanner *s, struct errinfo *err)
{
	struct log_scan *scan = s->out;
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = log_list_segments(s->vfs, s->dir, &bases, &count, err);

	if (status != ST_OK)
		return status;
	scan->segments = calloc(count, sizeof(*scan->segments));
	if (scan->segments == NULL) {
		free(bases);
		return errinfo_set(err, ST_NOMEM, "log scan: out of memory");
	}
	for (size_t i = 0; status == ST_OK && i < count; i++) {
		scan->segments[i].base = bases[i];
		scan->segment_count++;
		status = read_header(s, &scan->segments[i], err);
	}
	free(bases);
	if (status != ST_OK)
		return status;
	check_identity(scan);
	for (size_t i = 0; i + 1 < count; i++) {
		struct scan_segment *segment = &scan->segments[i];

		if (segment->end <= segment[1].base)
			continue;
		if (segment->sound)
			set_problem(segment, "its size reaches into the next segment");
		segment->sound = false;
		segment->end = segment[1].base;
	}
	return ST_OK;
}

const struct scan_segment *log_scan_segment(const struct log_scan *scan, uint64_t offset)
{
	const struct scan_segment *found = NULL;

	for (size_t i = 0; i < scan->segment_count && scan->segments[i].base <= offset; i++)
		found = &scan->segments[i];
	return found;
}

/* --- bytes ------------------------------------------------------------------------------------------------------ */

/* `need` bytes of the segment from `offset`; *got_out is less where the file ends. */
static enum status bytes_at(struct scanner *s, uint64_t offset, uint64_t need, const uint8_t **out, size_t *got_out,
			    struct errinfo *err)
{
	uint64_t held = offset - s->buffer_offset;

	if (offset < s->buffer_offset || held > s->buffer_size || s->buffer_size - held < need) {
		size_t size = need > READ_AHEAD ? need : READ_AHEAD;

		if (size > s->buffer_capacity) {
			uint8_t *grown = realloc(s->buffer, size);
			if (grown == NULL)
				return errinfo_set(err, ST_NOMEM, "log scan: no memory for a record of %zu bytes", size);
			s->buffer = grown;
			s->buffer_capacity = size;
		}
		s->buffer_size = 0;
		s->buffer_offset = offset;
		enum status status = vfs_read(s->file, offset - s->segment->base, s->buffer, size, &s->buffer_size, err);
		if (status != ST_OK)
			return status;
		held = 0;
	}
	*out = s->buffer + held;
	*got_out = s->buffer_size - held;
	return ST_OK;
}

/* Does its epoch fit to what came before? As lib/log's reader has it; behind a gap nothing is known but "not older". */
static const char *epoch_reason(struct scanner *s, const struct log_record *record)
{
	struct log_mark mark;

	if (record->kind == LOG_EPOCH && (!log_mark_of(record, &mark) || mark.durable != record->offset))
		return "malformed EPOCH record";
	if (record->kind == LOG_EPOCH && record->epoch <= get_u32(record->payload.data))
		return "EPOCH record does not ascend";
	if (s->epoch == 0)
		return record->epoch < s->segment->header.first_epoch ? "record of an older epoch" : NULL;
	if (s->in_gap) {
		if (record->epoch >= s->epoch)
			return NULL;
		s->out->stale_count++;
		return "record of an older epoch";
	}
	if (record->kind == LOG_EPOCH && get_u32(record->payload.data) != s->epoch)
		return "EPOCH record follows another epoch than it names";
	if (record->kind != LOG_EPOCH && record->epoch != s->epoch)
		return "record of another epoch";
	return NULL;
}

/* Is there a sound record at `offset`? *reason_out says why not; NULL then means: there is. */
static enum status look_at(struct scanner *s, uint64_t offset, struct log_record *out, const char **reason_out,
			   struct errinfo *err)
{
	const uint8_t *p = NULL;
	size_t got = 0;
	enum status status = bytes_at(s, offset, LOG_ENVELOPE_SIZE, &p, &got, err);

	if (status != ST_OK)
		return status;
	*reason_out = "the file ends";
	if (got < LOG_ENVELOPE_SIZE)
		return ST_OK;
	*reason_out = log_parse_envelope(p, offset, s->segment->end - offset, out);
	if (*reason_out != NULL) {
		if (bytes_are_zero(p, LOG_ENVELOPE_SIZE))
			*reason_out = "zeros";
		return ST_OK;
	}
	status = bytes_at(s, offset, log_checked_size(out), &p, &got, err);
	if (status != ST_OK)
		return status;
	*reason_out = "the file ends within a record";
	if (got < log_checked_size(out))
		return ST_OK;
	out->payload.data = p + LOG_ENVELOPE_SIZE;
	*reason_out = log_crc_matches(s->out->log_id, p, out) ? epoch_reason(s, out) : "CRC mismatch";
	return ST_OK;
}

/* --- gaps ------------------------------------------------------------------------------------------------------- */

static void open_gap(struct scanner *s, uint64_t offset, const char *reason, bool header)
{
	if (s->in_gap)
		return;
	s->in_gap = true;
	s->gap = (struct scan_gap){ .from = offset, .to = offset, .leftover_end = offset, .reason = reason, .epoch = s->epoch,
				    .header = header, .window = s->window };
}

static enum status add_gap(struct scanner *s, struct errinfo *err)
{
	struct log_scan *scan = s->out;

	if (scan->gap_count == SCAN_GAPS_MAX) {
		scan->gaps_left_out++;
		return ST_OK;
	}
	struct scan_gap *gaps = array_with_room(scan->gaps, scan->gap_count, &s->gap_capacity, sizeof(*gaps));
	if (gaps == NULL)
		return errinfo_set(err, ST_NOMEM, "log scan: out of memory");
	scan->gaps = gaps;
	scan->gaps[scan->gap_count++] = s->gap;
	return ST_OK;
}

/* The gap ends before a sound record, or with the log's files. */
static enum status close_gap(struct scanner *s, uint64_t offset, struct errinfo *err)
{
	s->in_gap = false;
	s->gap.to = offset;
	s->gap.beyond_before = s->out->beyond_count;
	return add_gap(s, err);
}

/* What the first word of a place in a gap shows: was the log written up to here? In a file of zeros any other byte
 * does; in a recycled one only what bears its own offset. */
static void measure(struct scanner *s, const uint8_t *p, size_t left, uint64_t offset)
{
	struct log_record record;

	if (!s->segment->sound || !s->segment->header.recycled)
		s->gap.leftover_end = offset + 8;
	else if (left >= LOG_ENVELOPE_SIZE && log_parse_envelope(p, offset, s->segment->end - offset, &record) == NULL)
		s->gap.leftover_end = offset + log_checked_size(&record);
	else
		s->out->recycled_tail = true;
}

/* Looks for a place that may be a record among `size` bytes at `offset`, measuring the gap on the way. Returns how far it
 * came; *found_out: there. */
static size_t look_through(struct scanner *s, const uint8_t *p, size_t size, uint64_t offset, bool skip_first,
			   bool *found_out)
{
	size_t step_end = size < LOG_ENVELOPE_SIZE ? size : size - LOG_ENVELOPE_SIZE + 1, i = 0;

	*found_out = false;
	for (; i < step_end; i += 8) {
		struct log_record record;

		if (bytes_are_zero(p + i, size - i < 8 ? size - i : 8))
			continue;
		if (!(skip_first && i == 0) && size - i >= LOG_ENVELOPE_SIZE &&
		    log_parse_envelope(p + i, offset + i, s->segment->end - offset - i, &record) == NULL) {
			*found_out = true;
			return i;
		}
		measure(s, p + i, size - i, offset + i);
	}
	return i;
}

/* Goes on in a gap, to the next place that may be a record or to the segment's end. */
static enum status skip(struct scanner *s, uint64_t *offset_io, struct errinfo *err)
{
	uint64_t first = *offset_io;
	bool found = false;

	while (*offset_io < s->segment->end && !found) {
		const uint8_t *p = NULL;
		size_t got = 0;
		enum status status = bytes_at(s, *offset_io, LOG_ENVELOPE_SIZE, &p, &got, err);

		if (status != ST_OK)
			return status;
		if (got > s->segment->end - *offset_io)
			got = s->segment->end - *offset_io;
		*offset_io += got == 0 ? s->segment->end - *offset_io /* The file ends here. */
				       : look_through(s, p, got, *offset_io, *offset_io == first, &found);
	}
	return ST_OK;
}

/* --- records ------------------------------------------------------------------------------------------------------ */

/* Marks prove that what lies before them had been durable: also of gaps, if the epoch is not an older one. */
static void note_mark(struct scanner *s, const struct log_record *record)
{
	struct log_scan *scan = s->out;
	struct log_mark mark;

	if (!log_mark_of(record, &mark) || mark.durable > record->offset)
		return;
	if (mark.durable > scan->durable_mark)
		scan->durable_mark = mark.durable;
	s->window = mark.window;
	if (scan->gap_count == 0)
		scan->window = mark.window;
	for (size_t i = scan->gap_count; i > 0 && scan->gaps[i - 1].proof == 0; i--) {
		struct scan_gap *gap = &scan->gaps[i - 1];

		/* Where nothing was read before, the epoch in force is not known. */
		if ((gap->epoch != 0 && record->epoch > gap->epoch) || mark.durable > gap->from)
			gap->proof = record->offset;
	}
}

static enum status take_record(struct scanner *s, const struct log_record *record, struct errinfo *err)
{
	struct log_scan *scan = s->out;
	bool beyond = scan->gap_count > 0;

	if (scan->record_count == 0 && !beyond) {
		scan->start = record->offset;
		scan->first_epoch = record->epoch;
	}
	if (beyond)
		scan->beyond_count++;
	else
		scan->record_count++;
	s->epoch = record->epoch;
	if (!beyond) {
		scan->epoch = record->epoch;
		scan->end = record->offset + record->size;
	}
	if (s->segment->record_count++ == 0)
		s->segment->first_record = record->offset;
	s->segment->records_end = record->offset + record->size;
	note_mark(s, record);
	return s->visit == NULL ? ST_OK : s->visit(s->context, record, beyond, err);
}

/* A broker may have written at the gap's beginning since it was looked at. */
static enum status look_again(struct scanner *s, struct errinfo *err)
{
	struct scan_segment *here = s->segment;
	struct vfs_file *file = s->file;
	struct log_record record;
	const char *reason = "";

	if (s->gap.header)
		return ST_OK;
	s->segment = (struct scan_segment *)log_scan_segment(s->out, s->gap.from);
	s->file = NULL;
	s->buffer_size = 0;
	s->in_gap = false; /* It must continue what came before. */
	enum status status = open_file(s, s->segment->base, &s->file, err);
	if (status == ST_OK)
		status = look_at(s, s->gap.from, &record, &reason, err);
	vfs_close(s->file);
	s->going_back = status == ST_OK && reason == NULL;
	s->in_gap = !s->going_back;
	s->segment = here;
	s->file = file;
	s->buffer_size = 0;
	return status;
}

/* One step from `*offset_io`: a record, or the way through a gap to the next candidate. */
static enum status step(struct scanner *s, uint64_t *offset_io, struct errinfo *err)
{
	struct log_record record;
	const char *reason = NULL;
	enum status status = look_at(s, *offset_io, &record, &reason, err);

	if (status == ST_OK && reason == NULL && s->in_gap) {
		status = look_again(s, err);
		if (status != ST_OK || s->going_back)
			return status;
		status = look_at(s, *offset_io, &record, &reason, err); /* Its bytes left the buffer. */
	}
	if (status != ST_OK)
		return status;
	if (reason != NULL) {
		open_gap(s, *offset_io, reason, false);
		return skip(s, offset_io, err);
	}
	if (s->in_gap)
		status = close_gap(s, *offset_io, err);
	*offset_io += record.size;
	return status == ST_OK ? take_record(s, &record, err) : status;
}

/* From `offset` in the segment at hand. */
static enum status scan_segment(struct scanner *s, uint64_t offset, struct errinfo *err)
{
	enum status status = open_file(s, s->segment->base, &s->file, err);

	s->buffer_size = 0;
	if (!s->segment->sound)
		open_gap(s, s->segment->base, "bad segment header", true);
	while (status == ST_OK && !s->going_back && offset + LOG_ENVELOPE_SIZE <= s->segment->end)
		status = step(s, &offset, err);
	vfs_close(s->file);
	s->file = NULL;
	return status;
}

/* --- judgement ------------------------------------------------------------------------------------------------------ */

/* A gap of zeros at the very end is what has not been written yet. */
static bool is_unwritten(const struct scanner *s)
{
	return !s->gap.header && s->gap.leftover_end == s->gap.from;
}

static void judge(struct log_scan *scan, struct log_known known)
{
	assert(scan->gap_count == 0 || scan->gaps != NULL);
	scan->leftover_end = scan->end;
	if (known.durable > scan->durable_mark)
		scan->durable_mark = known.durable;
	for (size_t i = 0; i < scan->gap_count; i++) {
		struct scan_gap *gap = &scan->gaps[i];

		if (gap->proof == 0 && gap->from < known.durable) {
			gap->proof = known.from;
			gap->proved_by_snapshot = true;
		}
		gap->damage = gap->proof != 0 || gap->header;
		scan->damaged |= gap->damage;
		if (gap->leftover_end > scan->leftover_end && gap->leftover_end > gap->from)
			scan->leftover_end = gap->leftover_end;
		gap->unnoticed = gap->proof > gap->from && !gap->header && gap->from >= known.durable && gap->window != 0 &&
				 gap->proof - gap->from >= gap->window;
	}
	for (size_t i = 0; i < scan->segment_count; i++) {
		if (scan->gap_count > 0 && scan->segments[i].records_end > scan->leftover_end)
			scan->leftover_end = scan->segments[i].records_end;
		scan->damaged |= !scan->segments[i].sound;
	}
}

static enum status scan_segments(struct scanner *s, struct errinfo *err)
{
	struct log_scan *scan = s->out;
	uint64_t from = 0;

	for (size_t i = 0; i < scan->segment_count; i++) {
		uint64_t first = scan->segments[i].base + LOG_SEGMENT_HEADER_SIZE;

		s->segment = &scan->segments[i];
		if (i > 0 && scan->segments[i - 1].end < s->segment->base)
			open_gap(s, scan->segments[i - 1].end, "segment is missing", true);
		enum status status = scan_segment(s, from > first ? from : first, err);
		if (status == ST_NOTFOUND && scan->record_count == 0)
			continue; /* Retention has taken it meanwhile. */
		if (status != ST_OK)
			return status;
		from = 0;
		if (s->going_back) {
			s->going_back = false;
			from = s->gap.from;
			i = (size_t)(log_scan_segment(scan, from) - scan->segments) - 1;
		}
	}
	return ST_OK;
}

static enum status scan_all(struct scanner *s, struct errinfo *err)
{
	struct log_scan *scan = s->out;
	enum status status = list_segments(s, err);

	if (status != ST_OK)
		return status;
	scan->start = scan->end = scan->segments[0].base + LOG_SEGMENT_HEADER_SIZE;
	status = scan_segments(s, err);
	/* The next record's place may be in a segment after that of the last one. */
	const struct scan_gap *first = scan->gap_count > 0 ? &scan->gaps[0] : s->in_gap ? &s->gap : NULL;
	const struct scan_segment *last = &scan->segments[scan->segment_count - 1];
	if (first != NULL && !first->header)
		scan->end = first->from;
	else if (first == NULL && scan->end + LOG_ENVELOPE_SIZE > last->end)
		scan->end = last->end + LOG_SEGMENT_HEADER_SIZE;
	/* The snapshot may have seen more of the log than there are files. */
	uint64_t files_end = last->end > s->known.durable ? last->end : s->known.durable;
	if (files_end > last->end)
		open_gap(s, last->end, "segment is missing", true);
	if (status == ST_OK && s->in_gap && (!is_unwritten(s) || s->gap.from < s->known.durable))
		status = close_gap(s, files_end, err);
	if (status == ST_OK)
		judge(scan, s->known);
	return status;
}

enum status log_scan(const struct vfs *vfs, const char *root, struct log_known known, scan_visit visit, void *context,
		     struct log_scan *out, struct errinfo *err)
{
	struct scanner s = { .vfs = vfs, .visit = visit, .context = context, .out = out, .known = known };

	*out = (struct log_scan){ 0 };
	enum status status = log_dir_path(root, s.dir, err);
	if (status == ST_OK)
		status = scan_all(&s, err);
	free(s.buffer);
	return status;
}

void log_scan_free(struct log_scan *scan)
{
	free(scan->segments);
	free(scan->gaps);
	*scan = (struct log_scan){ 0 };
}
