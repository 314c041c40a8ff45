/* See flip_subject.h. */
#include "tests/crash/flip_subject.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/index/snapshot_file.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "tests/crash/script.h"
#include "tests/crash/workload.h"
#include "tests/support/disk_trace.h"
#include "tests/support/memdisk.h"

enum { TOLD_MAX = 10 };

static uint64_t failures, starts;

void subject_fail(const struct subject *s, const char *what, uint64_t at, const char *why)
{
	if (failures++ < TOLD_MAX)
		printf("flips: FAILED: %s log, %s at %" PRIu64 ": %s\n", s->name, what, at, why);
}

uint64_t subject_failures(void)
{
	return failures;
}

uint64_t subject_starts(void)
{
	return starts;
}

/* --- making a log ---------------------------------------------------------------------------------------- */

struct making {
	struct rig *rig;
	struct ledger *ledger;
};

static void on_sealed(void *context, uint64_t from, uint64_t to)
{
	struct making *m = context;

	workload_capture(m->rig->log, m->ledger, from, to);
}

void subject_must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "flips: cannot make a log: %s\n", what);
	exit(1);
}

static struct rig_options options_of(int64_t edge)
{
	return (struct rig_options){ .retention_bytes = edge == SUBJECT_LONG || edge == SUBJECT_CARRIED ? LOG_SEGMENT_SIZE_MIN : 0 };
}

/* Plays the script, with one restart. */
static void play(struct subject *s, int64_t edge)
{
	struct memdisk *disk = memdisk_create();
	struct making making = { &s->rig, s->ledger };
	struct rig_options options = options_of(edge);
	struct script script = { .rig = &s->rig };
	struct errinfo err;

	memdisk_trace(disk, s->trace);
	rig_init(&s->rig, &options, memdisk_vfs(disk));
	s->rig.sealed = on_sealed;
	s->rig.sealed_context = &making;
	subject_must(rig_start(&s->rig, &err) == ST_OK, "start");
	if (edge >= 0)
		subject_must(script_fill_segment(&script, (uint64_t)edge), "fill");
	script_first_life(&script);
	if (edge == SUBJECT_LONG)
		script_long_life(&script);
	if (edge == SUBJECT_CARRIED) {
		script_carrying_life(&script);
	} else {
		subject_must(rig_stop(&s->rig, false, &err) == ST_OK, "stop");
		subject_must(rig_start(&s->rig, &err) == ST_OK, "second start");
		script_second_life(&script);
	}
	subject_must(script.refused == 1 && !s->rig.dead, "a request was refused"); /* The contradiction is. */
	s->gone = rig_expired(&s->rig);
	subject_must(rig_stop(&s->rig, false, &err) == ST_OK, "stop");
	rig_deinit(&s->rig);
	memdisk_destroy(disk);
}

static void list_segments(struct subject *s, const struct vfs *vfs)
{
	uint64_t *bases = NULL;
	struct errinfo err;

	subject_must(log_list_segments(vfs, "/store/commitlog", &bases, &s->segment_count, &err) == ST_OK, "list");
	subject_must(s->segment_count <= sizeof(s->segments) / sizeof(s->segments[0]), "too many segments");
	for (size_t i = 0; i < s->segment_count; i++) {
		struct segment_file *file = &s->segments[i];
		struct log_segment segment;

		subject_must(log_open_segment(vfs, "/store/commitlog", bases[i], VFS_READ, &segment, &err) == ST_OK, "segment");
		memcpy(s->log_id, segment.header.log_id, LOG_ID_SIZE);
		file->base = bases[i];
		file->size = segment.file_size;
		log_segment_name(bases[i], file->name);
		log_segment_path("/store/commitlog", bases[i], file->path, sizeof(file->path));
		vfs_close(segment.file);
	}
	free(bases);
}

static void list_records(struct subject *s, const struct vfs *vfs)
{
	struct logreader *reader;
	struct log_record record;
	struct record_decision decision;
	struct log_mark mark;
	struct errinfo err;
	size_t before = 0;

	subject_must(logreader_open(vfs, "/store", 0, &reader, &err) == ST_OK, "reader");
	while (logreader_next(reader, LOG_NO_LIMIT, &record, &err) == ST_OK) {
		struct placed_record *r = &s->records[s->record_count++];
		uint64_t size = log_checked_size(&record);

		subject_must(s->record_count < SUBJECT_RECORDS_MAX, "too many records");
		if (s->record_count == 1) /* The oldest ones may have been given up. */
			before = ledger_count_until(s->ledger, record.offset);
		*r = (struct placed_record){ .offset = record.offset, .end = record.offset + size, .kind = record.kind,
					     .epoch = record.epoch, .before = before };
		while (r->segment + 1 < s->segment_count && s->segments[r->segment + 1].base <= record.offset)
			r->segment++;
		if (record.kind == LOG_DECISION && record_decision_decode(record.payload, &decision, &err) == ST_OK)
			r->outcome = decision.outcome;
		if (log_mark_of(&record, &mark) && mark.durable > s->mark)
			s->mark = mark.durable;
		before += !log_kind_is_internal(record.kind);
		s->end = r->end;
	}
	logreader_close(reader);
	subject_must(before == ledger_count(s->ledger), "the log holds other records than were captured");
}

struct memdisk *subject_disk(struct subject *s)
{
	uint64_t hash;

	disk_states_begin(s->states, 1, 0);
	struct memdisk *disk = disk_states_next(s->states, &hash);
	for (size_t i = 0; i < s->removed_count; i++) {
		char path[80];
		snprintf(path, sizeof(path), "/store/snapshots/%020" PRIu64, s->removed[i]);
		(void)memdisk_remove(disk, path);
	}
	return disk;
}

static void list_snapshots(struct subject *s, const struct vfs *vfs)
{
	uint64_t all[6] = { 0 };
	struct errinfo err;
	size_t count = 0;

	subject_must(snapshot_list(vfs, "/store", all, 6, &count, &err) == ST_OK, "snapshots");
	memcpy(s->snapshots, all, sizeof(s->snapshots));
	s->removed_count = count > 2 ? count - 2 : 0;
	memcpy(s->removed, all + 2, sizeof(s->removed));
}

void subject_open(struct subject *s, const char *name, int64_t edge)
{
	struct rig_options options = options_of(edge);

	memset(s, 0, sizeof(*s));
	s->name = name;
	s->trace = disk_trace_create();
	s->ledger = ledger_create();
	play(s, edge);
	s->states = disk_states_create(s->trace);
	while (disk_states_advance(s->states))
		;
	struct memdisk *disk = subject_disk(s);
	list_segments(s, memdisk_vfs(disk));
	list_records(s, memdisk_vfs(disk));
	list_snapshots(s, memdisk_vfs(disk));
	rig_init(&s->rig, &options, memdisk_vfs(disk));
	subject_must(s->mark > LOG_SEGMENT_HEADER_SIZE && s->mark < s->end, "no mark");
}

void subject_close(struct subject *s)
{
	rig_deinit(&s->rig);
	disk_states_destroy(s->states);
	disk_trace_destroy(s->trace);
	ledger_destroy(s->ledger);
}

/* --- judging ------------------------------------------------------------------------------------------------ */

enum subject_result subject_start(struct subject *s, struct memdisk *disk, size_t from, size_t *count_out,
				  char why[SUBJECT_WHY_SIZE])
{
	char judged[LEDGER_WHY_SIZE];
	struct errinfo err = { ST_OK, "" };

	starts++;
	s->rig.vfs = memdisk_vfs(disk);
	clock_manual_init(&s->rig.clock, RIG_START_WALL_MS + 3600 * 1000, 1000);
	enum status status = rig_start(&s->rig, &err);
	if (status != ST_OK) {
		snprintf(why, SUBJECT_WHY_SIZE, "%s: %s", status_text(status), err.text);
		return status == ST_CORRUPT || status == ST_VERSION ? REFUSED : WRONG;
	}
	enum subject_result result = OPENED;
	if (!ledger_match(s->ledger, s->rig.log, from, count_out, judged) ||
	    !ledger_check(s->ledger, *count_out, s->gone, s->rig.core, judged)) {
		snprintf(why, SUBJECT_WHY_SIZE, "%s", judged);
		result = WRONG;
	}
	if (rig_stop(&s->rig, false, &err) != ST_OK)
		result = WRONG;
	return result;
}

const struct placed_record *subject_record(const struct subject *s, uint64_t offset)
{
	for (size_t i = 0; i < s->record_count; i++) {
		if (offset >= s->records[i].offset && offset < s->records[i].end)
			return &s->records[i];
	}
	return NULL;
}
