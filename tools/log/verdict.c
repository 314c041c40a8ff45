/* See verdict.h. In the order in which a start looks: broker/core/store.c, lib/log/commitlog_open.c, recovery.c. */
#include "tools/log/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tools/log/bodies.h"
#include "tools/log/facts.h"

/* What of a store is looked at. */
struct view {
	const struct log_scan *scan;
	const struct snapshot_items *snapshots;
	struct bodies *bodies;
	uint64_t unreadable; /* The first record that a replay would refuse; 0: none. */
};

const char *start_outcome_text(enum start_outcome outcome)
{
	switch (outcome) {
	case START_CLEAN: return "starts";
	case START_CUTS: return "starts and cuts a torn tail";
	case START_REFUSES: return "refuses to start";
	case START_CUTS_DAMAGE: break;
	}
	return "may take damage for a torn tail and cut it";
}

void verdict_refuse(struct verdict *verdict, const char *why)
{
	if (verdict->outcome == START_REFUSES)
		return;
	verdict->outcome = START_REFUSES;
	snprintf(verdict->why, sizeof(verdict->why), "%s", why);
}

/* Every segment's header is read, whatever a snapshot has proved; none may be missing that the log reaches. */
static void check_headers(const struct log_scan *scan, struct verdict *out)
{
	for (size_t i = 0; i < scan->segment_count; i++) {
		const struct scan_segment *segment = &scan->segments[i];

		if (!segment->sound)
			verdict_refuse(out, segment->other_version ? "a segment is of another format version" : "a segment's header is bad");
		if (i > 0 && segment[-1].end < segment->base && segment[-1].end <= out->end)
			verdict_refuse(out, "a segment is missing");
	}
}

static void check_snapshots(const struct log_scan *scan, const struct snapshot_items *snapshots, struct verdict *out)
{
	const struct snapshot_item *newest = snapshots_newest(snapshots);
	char why[sizeof(out->why)];

	for (size_t i = 0; i < snapshots->count && !snapshots->items[i].whole; i++) {
		if (snapshots->items[i].other_version)
			verdict_refuse(out, "the newest snapshot is of another format version");
	}
	if (newest == NULL && scan->start > LOG_SEGMENT_HEADER_SIZE)
		verdict_refuse(out, "no snapshot is whole, and the log's beginning is gone");
	if (newest == NULL)
		return;
	if (memcmp(newest->log_id, scan->log_id, LOG_ID_SIZE) != 0)
		verdict_refuse(out, "the newest snapshot belongs to another log");
	if (newest->from < scan->segments[0].base) {
		snprintf(why, sizeof(why), "the newest whole snapshot needs the log from %" PRIu64 " on, it begins at %" PRIu64,
			 newest->from, scan->start);
		verdict_refuse(out, why);
	}
}

/* When all is replayed. */
static void check_bodies(const struct view *view, struct verdict *out)
{
	char why[sizeof(out->why)];
	uint64_t body;

	if (view->bodies->problem[0] != '\0')
		verdict_refuse(out, view->bodies->problem);
	if (!bodies_lost(view->bodies, out->end, &body))
		return;
	snprintf(why, sizeof(why), "the message of an undecided or delayed one is gone with its segment: it was at %" PRIu64
		 ", the log begins at %" PRIu64, body, view->scan->start);
	verdict_refuse(out, why);
}

/* The first place where no record is, of what a start reads. NULL: there is none. */
static const struct scan_gap *first_gap(const struct log_scan *scan, uint64_t replay_from)
{
	for (size_t i = 0; i < scan->gap_count; i++) {
		if (scan->gaps[i].to > replay_from)
			return &scan->gaps[i];
	}
	return NULL;
}

static void check_records(const struct log_scan *scan, const struct scan_gap *first, struct verdict *out)
{
	char why[sizeof(out->why)];

	if (first == NULL)
		return;
	if (first->damage && !first->unnoticed) {
		snprintf(why, sizeof(why), "%s at log offset %" PRIu64 ", below what was durable", first->reason, out->end);
		verdict_refuse(out, why);
	}
	if (out->outcome == START_REFUSES)
		return;
	out->cut_bytes = scan->leftover_end > first->from ? scan->leftover_end - first->from : 0;
	out->cut_records = scan->beyond_count - first->beyond_before;
	out->outcome = first->damage ? START_CUTS_DAMAGE : out->cut_bytes > 0 ? START_CUTS : START_CLEAN;
}

/* Last: what only a replay finds. */
static void check_payloads(const struct view *view, struct verdict *out)
{
	char why[sizeof(out->why)];

	if (view->unreadable == 0 || view->unreadable >= out->end || out->outcome == START_REFUSES)
		return;
	out->unreadable = view->unreadable;
	snprintf(why, sizeof(why), "the record at log offset %" PRIu64 " cannot be read", view->unreadable);
	verdict_refuse(out, why);
}

/* A file is shorter than it was when the next one was begun. */
static bool is_cut_short(const struct log_scan *scan)
{
	for (size_t i = 0; i + 1 < scan->segment_count; i++) {
		if (scan->segments[i].sound && scan->segments[i].file_size < scan->segments[i].header.segment_size)
			return true;
	}
	return false;
}

/* Where a start begins to read, and where the log ends for it. */
static const struct scan_gap *measure(const struct view *view, struct verdict *out)
{
	const struct log_scan *scan = view->scan;
	const struct snapshot_item *newest = snapshots_newest(view->snapshots);

	*out = (struct verdict){ .end = scan->end };
	if (newest != NULL && !view->snapshots->index_lost && !is_cut_short(scan))
		out->replay_from = newest->from;
	const struct scan_gap *first = first_gap(scan, out->replay_from);
	if (first != NULL)
		out->end = first->from > out->replay_from ? first->from : out->replay_from;
	else if (scan->gap_count > 0) /* Behind a place that it does not look at, the log goes on. */
		out->end = scan->leftover_end;
	return first;
}

static void decide(const struct view *view, struct verdict *out)
{
	const struct scan_gap *first = measure(view, out);

	check_headers(view->scan, out);
	check_snapshots(view->scan, view->snapshots, out);
	check_records(view->scan, first, out);
	check_bodies(view, out);
	check_payloads(view, out);
}

/* --- looking ----------------------------------------------------------------------------------------------------------- */

struct looking {
	struct bodies bodies;
	uint64_t payloads_from; /* A start reads payloads from here on; 0: all. */
	uint64_t unreadable;
	scan_visit visit;
	void *context;
};

static void see_payload(struct looking *looking, const struct log_record *record)
{
	struct record_facts facts;

	if (record->offset < looking->payloads_from || looking->unreadable != 0)
		return;
	facts_of_record(record, &facts);
	if (!facts.readable)
		looking->unreadable = record->offset;
}

static enum status see_record(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	struct looking *looking = context;
	enum status status = bodies_see(&looking->bodies, record, err);

	see_payload(looking, record);
	return status != ST_OK || looking->visit == NULL ? status : looking->visit(looking->context, record, beyond, err);
}

/* What the newest snapshot says is open and whose body lies before the first segment. */
static enum status read_bodies(const struct vfs *vfs, const char *root, const struct snapshot_items *snapshots, struct bodies *out,
			       struct errinfo *err)
{
	const struct snapshot_item *newest = snapshots_newest(snapshots);
	uint64_t *bases = NULL;
	char dir[LOG_PATH_SIZE];
	size_t count = 0;

	if (newest == NULL)
		return ST_OK;
	enum status status = log_dir_path(root, dir, err);
	if (status == ST_OK)
		status = log_list_segments(vfs, dir, &bases, &count, err);
	if (status == ST_OK)
		status = bodies_read(vfs, root, newest->from, bases[0], out, err);
	free(bases);
	return status;
}

enum status start_look(const struct vfs *vfs, const char *root, scan_visit visit, void *context, struct start_look *out,
		       struct errinfo *err)
{
	struct looking looking = { .visit = visit, .context = context };

	*out = (struct start_look){ 0 };
	enum status status = snapshots_read(vfs, root, &out->snapshots, err);
	if (status == ST_OK)
		status = read_bodies(vfs, root, &out->snapshots, &looking.bodies, err);
	if (status == ST_OK && !out->snapshots.index_lost)
		looking.payloads_from = looking.bodies.from;
	if (status == ST_OK)
		status = log_scan(vfs, root, snapshots_known(&out->snapshots), see_record, &looking, &out->scan, err);
	if (status == ST_OK)
		decide(&(struct view){ &out->scan, &out->snapshots, &looking.bodies, looking.unreadable }, &out->verdict);
	bodies_free(&looking.bodies);
	return status;
}

void start_look_free(struct start_look *look)
{
	log_scan_free(&look->scan);
}
