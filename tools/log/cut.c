/* See cut.h. */
#include "tools/log/cut.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/base/bytes.h"
#include "tools/log/facts.h"
#include "tools/log/verdict.h"

enum { COPY_SIZE = 1 << 20, PAGE = 4096, NAMES_TRIED = 100 };

/* --- the plan ------------------------------------------------------------------------------------------------------ */

struct planning {
	struct cut_plan *plan;
	uint64_t before, after; /* Offsets of the nearest records; 0 = none. */
	unsigned before_kind, after_kind;
	uint64_t before_end;
	bool exact;
	/* Records behind the place that no mark seen so far calls durable: no more than the log has in flight at once. */
	uint64_t *offsets;
	size_t offset_count, offset_capacity;
};

static void note_time(struct cut_plan *plan, int64_t when_ms)
{
	if (when_ms == 0)
		return;
	if (plan->first_ms == 0)
		plan->first_ms = when_ms;
	plan->last_ms = when_ms;
}

static void note_decision(struct cut_plan *plan, const struct record_facts *facts)
{
	const struct record_decision *r = &facts->as.decision;
	struct span id = r->transaction_id;

	if (r->outcome == OUTCOME_COMMIT && r->deliver_at_ms == 0)
		plan->message_count++;
	if (r->half_offset >= plan->at || (r->outcome != OUTCOME_COMMIT && r->outcome != OUTCOME_ROLLBACK))
		return;
	if (plan->undecided_count < CUT_LISTED) {
		struct cut_decision *listed = &plan->undecided[plan->undecided_count];

		*listed = (struct cut_decision){ r->half_offset, facts->record->offset, r->outcome, r->when_ms, "" };
		snprintf(listed->transaction_id, sizeof(listed->transaction_id), "%.*s", id.size < CUT_ID_SIZE ? (int)id.size : CUT_ID_SIZE - 1,
			 (const char *)id.data);
	}
	plan->undecided_count++;
}

static enum status remember(struct planning *p, uint64_t offset, struct errinfo *err)
{
	uint64_t *offsets = array_with_room(p->offsets, p->offset_count, &p->offset_capacity, sizeof(*offsets));

	if (offsets == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	p->offsets = offsets;
	p->offsets[p->offset_count++] = offset;
	return ST_OK;
}

/* Everything below `durable` had been synced. */
static void settle(struct planning *p, uint64_t durable)
{
	size_t settled = 0;

	while (settled < p->offset_count && p->offsets[settled] < durable)
		settled++;
	p->plan->durable_count += settled;
	p->offset_count -= settled;
	if (settled > 0 && p->offset_count > 0)
		memmove(p->offsets, p->offsets + settled, p->offset_count * sizeof(*p->offsets));
}

static enum status see_record(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	struct planning *p = context;
	struct cut_plan *plan = p->plan;
	struct record_facts facts;
	struct log_mark mark;

	(void)beyond;
	if (record->offset < plan->at) {
		p->before = record->offset;
		p->before_kind = record->kind;
		p->before_end = record->offset + record->size;
		return ST_OK;
	}
	if (record->offset == plan->at)
		p->exact = true;
	else if (p->after == 0) {
		p->after = record->offset;
		p->after_kind = record->kind;
	}
	plan->record_count++;
	plan->kind_count[record->kind < LOG_KIND_END ? record->kind : 0]++;
	facts_of_record(record, &facts);
	if (facts.readable) {
		note_time(plan, facts.when_ms);
		plan->half_count += record->kind == LOG_HALF;
		plan->message_count += record->kind == LOG_DELIVER ||
				       (record->kind == LOG_MESSAGE && facts.as.message.deliver_at_ms == 0);
		if (record->kind == LOG_DECISION)
			note_decision(plan, &facts);
	}
	if (log_mark_of(record, &mark) && mark.durable <= record->offset)
		settle(p, mark.durable);
	return remember(p, record->offset, err);
}

static enum status refuse(struct errinfo *err, const char *fmt, ...) PRINTF_LIKE(2, 3);
static enum status refuse(struct errinfo *err, const char *fmt, ...)
{
	char text[ERRINFO_TEXT_SIZE];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return errinfo_set(err, ST_INVALID, "%s", text);
}

/* Only the sound part that a start reads may be cut, and only between records. */
static enum status check_place(const struct planning *p, const struct log_scan *scan, const struct verdict *verdict,
			       struct errinfo *err)
{
	uint64_t at = p->plan->at;
	const struct scan_gap *bad = NULL;

	for (size_t i = scan->gap_count; i > 0; i--) {
		if (scan->gaps[i - 1].to > verdict->replay_from)
			bad = &scan->gaps[i - 1];
	}
	uint64_t sound_end = bad != NULL ? bad->from : verdict->end;
	if (at == scan->start)
		return refuse(err, "%" PRIu64 " is the log's first record: nothing would be left. Move the store away instead", at);
	if (at < scan->start)
		return refuse(err, "%" PRIu64 " is before the log's first record at %" PRIu64, at, scan->start);
	if (at > sound_end && bad != NULL)
		return refuse(err, "the log is bad at %" PRIu64 " already (%s): cut there, or at a record before it", sound_end, bad->reason);
	if (at > sound_end)
		return refuse(err, "%" PRIu64 " is behind the log's end at %" PRIu64, at, sound_end);
	if (bad == NULL && (at == sound_end || p->plan->record_count == 0))
		return refuse(err, "the log ends at %" PRIu64 ": there is nothing to cut", at);
	if (p->exact || at == sound_end || at == p->before_end)
		return ST_OK;
	bool record_after = p->after != 0 && p->after < sound_end;
	return refuse(err, "%" PRIu64 " is no record's offset: the nearest are %" PRIu64 " (%s) and %" PRIu64 " (%s)", at, p->before,
		      log_kind_text(p->before_kind), record_after ? p->after : sound_end,
		      record_after ? log_kind_text(p->after_kind) : bad != NULL ? "where it is bad" : "the end");
}

static enum status plan_segments(struct cut_plan *plan, const struct log_scan *scan, struct errinfo *err)
{
	plan->segment_base = UINT64_MAX;
	for (size_t i = scan->segment_count; i > 0; i--) {
		const struct scan_segment *segment = &scan->segments[i - 1];

		if (segment->base + LOG_SEGMENT_HEADER_SIZE < plan->at) {
			if (plan->at < segment->end)
				plan->segment_base = segment->base;
			return ST_OK;
		}
		if (plan->removed_count == CUT_SEGMENTS_MAX)
			return refuse(err, "more than %d segments lie behind %" PRIu64 ": move the newest ones away by hand first", CUT_SEGMENTS_MAX,
				      plan->at);
		plan->removed[plan->removed_count++] = segment->base;
	}
	return ST_OK;
}

static enum status plan_snapshots(struct cut_plan *plan, const struct log_scan *scan, const struct snapshot_items *snapshots,
				  struct errinfo *err)
{
	for (size_t i = 0; i < snapshots->count; i++) {
		const struct snapshot_item *item = &snapshots->items[i];

		if (item->whole && item->durable <= plan->at && item->from <= plan->at) {
			if (plan->kept_snapshot == 0)
				plan->kept_snapshot = item->from;
		} else {
			plan->snapshots[plan->snapshot_count++] = item->from;
		}
	}
	if (plan->kept_snapshot == 0 && scan->start > LOG_SEGMENT_HEADER_SIZE)
		return refuse(err, "the log begins at %" PRIu64 ", because older segments are gone, and no snapshot would be left that "
			      "stands for them: a broker could not start. Restore the store from a backup", scan->start);
	return ST_OK;
}

static void sum_up(struct planning *p, const struct log_scan *scan, const struct verdict *verdict)
{
	struct cut_plan *plan = p->plan;

	plan->durable = scan->durable_mark;
	plan->end = scan->leftover_end > scan->end ? scan->leftover_end : scan->end;
	settle(p, scan->durable_mark);
	for (size_t i = 0; i < scan->gap_count; i++) {
		const struct scan_gap *gap = &scan->gaps[i];

		if (gap->from >= plan->at)
			plan->bad_bytes += (gap->to < plan->end ? gap->to : plan->end) - gap->from;
		else if (plan->damage_below == 0 && gap->to <= verdict->replay_from)
			plan->damage_below = gap->from;
	}
}

enum status cut_make_plan(const struct vfs *vfs, const char *root, uint64_t at, struct cut_plan *out, struct errinfo *err)
{
	struct planning p = { .plan = out };
	struct start_look look;

	*out = (struct cut_plan){ .at = at };
	enum status status = start_look(vfs, root, see_record, &p, &look, err);
	if (status == ST_OK)
		status = check_place(&p, &look.scan, &look.verdict, err);
	if (status == ST_OK)
		status = plan_segments(out, &look.scan, err);
	if (status == ST_OK)
		status = plan_snapshots(out, &look.scan, &look.snapshots, err);
	if (status == ST_OK)
		sum_up(&p, &look.scan, &look.verdict);
	free(p.offsets);
	start_look_free(&look);
	return status;
}

/* --- doing it -------------------------------------------------------------------------------------------------------- */

struct cutting {
	const struct vfs *vfs;
	const char *root;
	const struct cut_plan *plan;
	char dir[LOG_PATH_SIZE];
	uint8_t *buffer; /* COPY_SIZE */
};

static enum status open_segment(const struct cutting *c, uint64_t base, unsigned flags, struct vfs_file **out,
				struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];

	log_segment_path(c->dir, base, path, sizeof(path));
	return vfs_open(c->vfs, path, flags, out, err);
}

/* A name that is not taken. */
static enum status make_saved(const struct cutting *c, char name[CUT_NAME_SIZE], struct vfs_file **out, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + CUT_NAME_SIZE];

	for (unsigned i = 1; i <= NAMES_TRIED; i++) {
		struct vfs_file *there = NULL;

		snprintf(name, CUT_NAME_SIZE, "cut-at-%" PRIu64 "%s%.0u.saved", c->plan->at, i == 1 ? "" : "-", i == 1 ? 0 : i);
		snprintf(path, sizeof(path), "%s/%s", c->root, name);
		enum status status = vfs_open(c->vfs, path, VFS_READ, &there, NULL);
		vfs_close(there);
		if (status == ST_NOTFOUND)
			return vfs_open(c->vfs, path, VFS_WRITE | VFS_CREATE, out, err);
	}
	return refuse(err, "%s holds %d files of cuts at %" PRIu64 " already: move them away", c->root, NAMES_TRIED, c->plan->at);
}

/* Copies what is not zero from `offset` on; the rest are holes. */
static enum status save_segment(const struct cutting *c, uint64_t base, uint64_t offset, struct vfs_file *saved,
				struct errinfo *err)
{
	struct vfs_file *file = NULL;
	enum status status = open_segment(c, base, VFS_READ, &file, err);
	size_t got = COPY_SIZE;

	for (; status == ST_OK && got == COPY_SIZE; offset += got) {
		got = 0;
		status = vfs_read(file, offset - base, c->buffer, COPY_SIZE, &got, err);
		for (size_t i = 0; status == ST_OK && i < got; i += PAGE) {
			struct vfs_piece piece = { c->buffer + i, got - i < PAGE ? got - i : PAGE };

			if (!bytes_are_zero(piece.data, piece.size))
				status = vfs_write(saved, offset + i - c->plan->at, &piece, 1, err);
		}
	}
	vfs_close(file);
	return status;
}

static enum status save(const struct cutting *c, char name[CUT_NAME_SIZE], struct errinfo *err)
{
	struct vfs_file *saved = NULL;
	enum status status = make_saved(c, name, &saved, err);

	if (status == ST_OK && c->plan->segment_base != UINT64_MAX)
		status = save_segment(c, c->plan->segment_base, c->plan->at, saved, err);
	for (size_t i = c->plan->removed_count; status == ST_OK && i > 0; i--) {
		uint64_t base = c->plan->removed[i - 1];

		status = save_segment(c, base, base > c->plan->at ? base : c->plan->at, saved, err);
	}
	if (status == ST_OK)
		status = vfs_sync(saved, err);
	vfs_close(saved);
	if (status == ST_OK)
		status = vfs_sync_dir(c->vfs, c->root, err);
	return status == ST_OK ? ST_OK : errinfo_wrap(err, status, "save what is cut (nothing is changed yet)");
}

static enum status remove_snapshots(const struct cutting *c, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE + 16];
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < c->plan->snapshot_count; i++) {
		snprintf(path, sizeof(path), "%s/snapshots/%020" PRIu64, c->root, c->plan->snapshots[i]);
		status = vfs_unlink(c->vfs, path, err);
	}
	if (status != ST_OK || c->plan->snapshot_count == 0)
		return status;
	snprintf(path, sizeof(path), "%s/snapshots", c->root);
	return vfs_sync_dir(c->vfs, path, err);
}

/* The newest first, each durably: a stop leaves no gap. */
static enum status remove_segments(const struct cutting *c, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];
	enum status status = ST_OK;

	for (size_t i = 0; status == ST_OK && i < c->plan->removed_count; i++) {
		log_segment_path(c->dir, c->plan->removed[i], path, sizeof(path));
		status = vfs_unlink(c->vfs, path, err);
		if (status == ST_OK)
			status = vfs_sync_dir(c->vfs, c->dir, err);
	}
	return status;
}

/* From the place on, in order: what is not zeroed yet after a stop does not follow sound records. */
static enum status zero_rest(const struct cutting *c, struct errinfo *err)
{
	static const uint8_t zeros[PAGE];
	struct vfs_file *file = NULL;
	uint64_t at = c->plan->at - c->plan->segment_base;
	size_t got = COPY_SIZE;

	if (c->plan->segment_base == UINT64_MAX)
		return ST_OK;
	enum status status = open_segment(c, c->plan->segment_base, VFS_WRITE, &file, err);
	for (; status == ST_OK && got == COPY_SIZE; at += got) {
		got = 0;
		status = vfs_read(file, at, c->buffer, COPY_SIZE, &got, err);
		for (size_t i = 0; status == ST_OK && i < got; i += PAGE) {
			struct vfs_piece piece = { zeros, got - i < PAGE ? got - i : PAGE };

			if (!bytes_are_zero(c->buffer + i, piece.size))
				status = vfs_write(file, at + i, &piece, 1, err);
		}
	}
	if (status == ST_OK)
		status = vfs_sync(file, err);
	vfs_close(file);
	return status;
}

/* Looks at the result as a start would. What a sound record says is not of the cut's making. */
static enum status verify(const struct cutting *c, struct errinfo *err)
{
	struct start_look look;
	enum status status = start_look(c->vfs, c->root, NULL, NULL, &look, err);

	start_look_free(&look);
	if (status != ST_OK || look.verdict.outcome == START_CLEAN || look.verdict.unreadable != 0)
		return status;
	return errinfo_set(err, ST_CORRUPT, "the log was cut, and a broker still %s%s%s: run escrow-log check",
			   start_outcome_text(look.verdict.outcome), look.verdict.why[0] != '\0' ? ": " : "", look.verdict.why);
}

enum status cut_execute(const struct vfs *vfs, const char *root, const struct cut_plan *plan, char saved_name[CUT_NAME_SIZE],
			struct errinfo *err)
{
	struct cutting c = { .vfs = vfs, .root = root, .plan = plan, .buffer = malloc(COPY_SIZE) };

	if (c.buffer == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	enum status status = log_dir_path(root, c.dir, err);
	if (status == ST_OK)
		status = save(&c, saved_name, err);
	if (status == ST_OK)
		status = remove_snapshots(&c, err);
	if (status == ST_OK)
		status = remove_segments(&c, err);
	if (status == ST_OK)
		status = zero_rest(&c, err);
	free(c.buffer);
	return status == ST_OK ? verify(&c, err) : status;
}
