/* See walk.h. */
#include "tools/log/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/index/unfinished.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"

struct walk {
	const struct vfs *vfs;
	const char *root;
	walk_visit visit;
	void *context;
	struct logreader *reader;
	uint64_t mark_offset; /* Of the last BATCH or EPOCH record: from there on the end can be judged. */
};

/* Records until one does not come. */
static enum status read_on(struct walk *walk, struct errinfo *err)
{
	struct log_record record;
	enum status status;

	while ((status = logreader_next(walk->reader, LOG_NO_LIMIT, &record, err)) == ST_OK) {
		if (record.kind == LOG_BATCH || record.kind == LOG_EPOCH)
			walk->mark_offset = record.offset;
		status = walk->visit(walk->context, &record, err);
		if (status == ST_CLOSED)
			return status;
		if (status != ST_OK)
			return errinfo_wrap(err, status, "%s record at log offset %" PRIu64, log_kind_text(record.kind),
					    record.offset);
	}
	return status;
}

/* What is no record stands at the reader's position: the end (ST_OK; *torn_out: with something unfinished behind it), or
 * damage. ST_AGAIN: neither, a broker has written there meanwhile; or zeros, of which nobody can tell, because another segment
 * is damaged, and against which nothing speaks. Other failures: the check could not be made. */
static enum status judge(struct walk *walk, bool zeros, bool *torn_out, struct errinfo *err)
{
	struct log_check_result result = { 0 };
	struct log_known known = { .from = walk->mark_offset };
	uint64_t position = logreader_position(walk->reader);
	struct errinfo why = *err;
	enum status status = log_check_tail(walk->vfs, walk->root, known, &result, err);

	if (status == ST_OK && result.end == position) {
		*torn_out = result.leftover_end > result.end; /* Else stale bytes of a recycled file. */
		return ST_OK;
	}
	if (status == ST_NOTFOUND)
		return errinfo_set(err, ST_NOTFOUND, "retention has taken this part of the log while it was read: run this again");
	if (status != ST_OK && status != ST_CORRUPT)
		return status;
	if ((status == ST_OK || result.damaged) && result.end > position)
		return ST_AGAIN;
	if (result.damaged)
		return ST_CORRUPT;
	/* The check has failed elsewhere, or ends before the reader: it looked at something that changed. */
	*err = why;
	return status == ST_CORRUPT && zeros ? ST_AGAIN : ST_CORRUPT;
}

/* Beside a running broker the first look may have been too early, or at files that were about to be used again: damage is
 * damage at the second look at the same place. */
static enum status walk_to_end(struct walk *walk, struct walk_end *end, struct errinfo *err)
{
	for (uint64_t looked_at = 0;; looked_at = end->offset) {
		enum status status = read_on(walk, err);
		const char *reason = logreader_bad_record(walk->reader);
		bool zeros = status == ST_AGAIN;

		end->offset = logreader_position(walk->reader);
		if (status == ST_CLOSED || (zeros && reason == NULL))
			return ST_OK;
		if ((!zeros && status != ST_CORRUPT) || reason == NULL)
			return status;
		if (zeros)
			(void)errinfo_set(err, ST_CORRUPT, "zeros at log offset %" PRIu64, end->offset);
		status = judge(walk, zeros, &end->torn, err);
		if (!zeros || end->torn || status != ST_OK)
			snprintf(end->reason, sizeof(end->reason), "%s", reason);
		/* Where zeros were, the log did end a moment ago: a broker that writes on is not followed for ever. */
		if (status == ST_OK || (zeros && status == ST_AGAIN))
			return ST_OK;
		if (looked_at == end->offset) /* ST_AGAIN: all around it is sound, so it lies within a record. */
			return status == ST_AGAIN ? ST_CORRUPT : status;
	}
}

/* `from` is no record's place: between which ones does it lie? */
static enum status say_nearest(const struct vfs *vfs, const char *root, uint64_t from, struct errinfo *err)
{
	struct logreader *reader = NULL;
	struct log_record record;
	uint64_t *bases = NULL, base = 0, before = 0, after = 0;
	char dir[LOG_PATH_SIZE];
	size_t count = 0;
	enum status status = log_dir_path(root, dir, err);

	if (status == ST_OK)
		status = log_list_segments(vfs, dir, &bases, &count, err);
	for (size_t i = 0; i < count && bases[i] <= from; i++)
		base = bases[i];
	free(bases);
	if (status == ST_OK)
		status = logreader_open(vfs, root, base + LOG_SEGMENT_HEADER_SIZE, &reader, err);
	while (status == ST_OK && after == 0 && (status = logreader_next(reader, LOG_NO_LIMIT, &record, err)) == ST_OK) {
		if (record.offset > from)
			after = record.offset;
		else
			before = record.offset;
	}
	if (after == 0 && reader != NULL)
		after = logreader_position(reader);
	logreader_close(reader);
	if (before == from || before == 0 || after == from)
		return status == ST_OK ? ST_CORRUPT : status; /* There is one, or nothing to name, or the end is there. */
	return errinfo_set(err, ST_INVALID, "no record starts at log offset %" PRIu64 ": the nearest are %" PRIu64 " and %" PRIu64, from,
			   before, after);
}

enum status log_walk(const struct vfs *vfs, const char *root, uint64_t from, walk_visit visit, void *context,
		     struct walk_end *end_out, struct errinfo *err)
{
	struct walk walk = { .vfs = vfs, .root = root, .visit = visit, .context = context };
	struct walk_end end = { 0 };
	enum status status = logreader_open(vfs, root, from, &walk.reader, err);

	if (status != ST_OK)
		return status;
	walk.mark_offset = logreader_position(walk.reader);
	uint64_t first = logreader_position(walk.reader);
	status = walk_to_end(&walk, &end, err);
	logreader_close(walk.reader);
	/* Nothing was read, and the place was the caller's idea. */
	if (from != 0 && end.offset == first && (end.reason[0] != '\0' || status == ST_CORRUPT)) {
		struct errinfo nearest = *err;
		enum status named = say_nearest(vfs, root, from, &nearest);
		if (named == ST_INVALID) {
			*err = nearest;
			return named;
		}
	}
	if (end_out != NULL)
		*end_out = end;
	return status;
}

void walk_note_torn(const struct walk_end *end)
{
	if (end->torn)
		fprintf(stderr, "escrow-log: note: the log ends at %" PRIu64 " in a torn write (%s)\n", end->offset, end->reason);
}

void walk_note_unfinished(const struct vfs *vfs, const char *root)
{
	struct errinfo why;

	if (unfinished_check(vfs, root, &why) == ST_CORRUPT)
		fprintf(stderr, "escrow-log: note: %s\n", why.text);
}
