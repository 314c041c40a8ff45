/* See verdict.h. In the order in which a start looks: broker/core/store.c, lib/log/commitlog_open.c, recovery.c. */
#include "tools/log/verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static void refuse(struct verdict *out, const char *why)
{
	if (out->outcome == START_REFUSES)
		return;
	out->outcome = START_REFUSES;
	snprintf(out->why, sizeof(out->why), "%s", why);
}

/* Every segment's header is read, whatever a snapshot has proved. */
static void check_headers(const struct log_scan *scan, struct verdict *out)
{
	for (size_t i = 0; i < scan->segment_count; i++) {
		if (!scan->segments[i].sound)
			refuse(out, scan->segments[i].newer ? "a segment was written by a newer version" : "a segment's header is bad");
	}
	for (size_t i = 0; i < scan->gap_count; i++) {
		if (scan->gaps[i].header)
			refuse(out, "a segment is missing, or its header is bad");
	}
}

static void check_snapshots(const struct log_scan *scan, const struct snapshot_items *snapshots, struct verdict *out)
{
	const struct snapshot_item *newest = snapshots_newest(snapshots);
	char why[sizeof(out->why)];

	for (size_t i = 0; i < snapshots->count && !snapshots->items[i].whole; i++) {
		if (snapshots->items[i].newer)
			refuse(out, "the newest snapshot was written by a newer version");
	}
	if (newest == NULL && scan->start > LOG_SEGMENT_HEADER_SIZE)
		refuse(out, "no snapshot is whole, and the log's beginning is gone");
	if (newest == NULL)
		return;
	if (memcmp(newest->log_id, scan->log_id, LOG_ID_SIZE) != 0)
		refuse(out, "the newest snapshot belongs to another log");
	if (newest->from < scan->segments[0].base) {
		snprintf(why, sizeof(why), "the newest whole snapshot needs the log from %" PRIu64 " on, it begins at %" PRIu64,
			 newest->from, scan->start);
		refuse(out, why);
	}
	if (newest->needs_from < scan->start) {
		snprintf(why, sizeof(why), "undecided or delayed messages of the newest snapshot lie at %" PRIu64 ", the log begins at %" PRIu64
			 ": its oldest segments are missing", newest->needs_from, scan->start);
		refuse(out, why);
	}
}

/* Of what a start reads: the first place where no record is. */
static void check_records(const struct log_scan *scan, struct verdict *out)
{
	const struct scan_gap *first = NULL;
	char why[sizeof(out->why)];

	for (size_t i = scan->gap_count; i > 0; i--) {
		if (scan->gaps[i - 1].to > out->replay_from)
			first = &scan->gaps[i - 1];
	}
	if (first == NULL)
		return;
	out->end = first->from > out->replay_from ? first->from : out->replay_from;
	if (first->damage && !scan->unnoticed) {
		snprintf(why, sizeof(why), "%s at log offset %" PRIu64 ", below what was durable", first->reason, out->end);
		refuse(out, why);
	}
	if (out->outcome == START_REFUSES)
		return;
	out->cut_bytes = scan->leftover_end > first->from ? scan->leftover_end - first->from : 0;
	out->cut_records = scan->beyond_count - first->beyond_before;
	out->outcome = first->damage ? START_CUTS_DAMAGE : out->cut_bytes > 0 ? START_CUTS : START_CLEAN;
}

void start_verdict(const struct log_scan *scan, const struct snapshot_items *snapshots, struct verdict *out)
{
	*out = (struct verdict){ .end = scan->end };
	if (snapshots_newest(snapshots) != NULL && !snapshots->index_lost)
		out->replay_from = snapshots_newest(snapshots)->from;
	/* Behind a place that a start does not look at, the log goes on. */
	if (scan->gap_count > 0 && scan->end < out->replay_from)
		out->end = scan->leftover_end;
	check_headers(scan, out);
	check_snapshots(scan, snapshots, out);
	check_records(scan, out);
}
