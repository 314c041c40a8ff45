/* A log with every record kind, changed at every byte and every bit.
 *
 *   - every bit flipped: below the last durable mark the start is refused, with file and log offset named; above it the
 *     record is cut, and all before it is there; where nothing is stored it makes no difference. Nothing else may happen;
 *   - each record in turn as the last one of the log, cut, zeroed and overlaid with bytes of an older use of its place from
 *     every byte on: it is absent or whole, and what is before it is intact;
 *   - the same where a segment ends: a record right up to the end, padding, and too few bytes for padding; and for the
 *     headers of segments.
 *
 * What is there after a start is judged by the ledger, message for message. Each check is one start of the real store.
 *
 * Usage: flips [--full]   --full: every bit around every edge, every record as the last one. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"
#include "tests/crash/script.h"
#include "tests/crash/workload.h"
#include "tests/support/disk_states.h"
#include "tests/support/disk_trace.h"
#include "tests/support/memdisk.h"

enum { RECORDS_MAX = 512, WHY_SIZE = 700, STALE_SIZE = 16 * 1024, TOLD_MAX = 10 };

struct placed_record { /* Of any kind, lib/log's own included. */
	uint64_t offset, end;
	unsigned kind;
	uint32_t epoch;
	enum record_outcome outcome; /* Of a DECISION. */
	size_t before;  /* Records of the ledger in front of it. */
	size_t segment; /* Index of its file. */
};

struct segment_file {
	char path[64], name[32];
	uint64_t base, size;
};

/* A log, and everything that is known about it. */
struct subject {
	const char *name;
	struct disk_trace *trace;
	struct disk_states *states; /* At the end of the trace. */
	struct ledger *ledger;
	struct rig rig;
	struct placed_record records[RECORDS_MAX];
	size_t record_count;
	struct segment_file segments[8];
	size_t segment_count;
	uint64_t mark, end;
};

struct tally {
	uint64_t refused, cut, harmless, absent, whole, failed;
	uint64_t kinds_last[LOG_KIND_END];
};

static struct tally tally;

static void fail(const struct subject *s, const char *what, uint64_t offset, const char *why)
{
	if (tally.failed++ < TOLD_MAX)
		printf("flips: FAILED: %s log, %s at log offset %" PRIu64 ": %s\n", s->name, what, offset, why);
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

static void must(bool good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "flips: cannot make a log: %s\n", what);
	exit(1);
}

/* Plays the script, with one restart; `left`: bytes between the first segment's last record and its end, or negative. */
static void play(struct subject *s, int64_t left)
{
	struct memdisk *disk = memdisk_create();
	struct making making = { &s->rig, s->ledger };
	struct rig_options options = { 0 };
	struct script script = { .rig = &s->rig };
	struct errinfo err;

	memdisk_trace(disk, s->trace);
	rig_init(&s->rig, &options, memdisk_vfs(disk));
	s->rig.sealed = on_sealed;
	s->rig.sealed_context = &making;
	must(rig_start(&s->rig, &err) == ST_OK, "start");
	if (left >= 0)
		must(script_fill_segment(&script, (uint64_t)left), "fill");
	script_first_life(&script);
	must(rig_stop(&s->rig, false, &err) == ST_OK, "stop");
	must(rig_start(&s->rig, &err) == ST_OK, "second start");
	script_second_life(&script);
	must(script.refused == 1 && !s->rig.dead, "a request was refused"); /* The contradiction is. */
	must(rig_stop(&s->rig, false, &err) == ST_OK, "stop");
	rig_deinit(&s->rig);
	memdisk_destroy(disk);
}

static void list_segments(struct subject *s, const struct vfs *vfs)
{
	uint64_t *bases = NULL;
	struct errinfo err;

	must(log_list_segments(vfs, "/store/commitlog", &bases, &s->segment_count, &err) == ST_OK, "list");
	must(s->segment_count <= sizeof(s->segments) / sizeof(s->segments[0]), "too many segments");
	for (size_t i = 0; i < s->segment_count; i++) {
		struct segment_file *file = &s->segments[i];
		struct log_segment segment;

		must(log_open_segment(vfs, "/store/commitlog", bases[i], VFS_READ, &segment, &err) == ST_OK, "segment");
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

	must(logreader_open(vfs, "/store", 0, &reader, &err) == ST_OK, "reader");
	while (logreader_next(reader, LOG_NO_LIMIT, &record, &err) == ST_OK) {
		struct placed_record *r = &s->records[s->record_count++];
		uint64_t size = log_checked_size(&record);

		must(s->record_count < RECORDS_MAX, "too many records");
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
	must(before == ledger_count(s->ledger), "the log holds other records than were captured");
}

static struct memdisk *fresh_disk(struct subject *s)
{
	uint64_t hash;

	disk_states_begin(s->states, 1, 0);
	return disk_states_next(s->states, &hash);
}

static void subject_open(struct subject *s, const char *name, int64_t left)
{
	struct rig_options options = { 0 };

	memset(s, 0, sizeof(*s));
	s->name = name;
	s->trace = disk_trace_create();
	s->ledger = ledger_create();
	play(s, left);
	s->states = disk_states_create(s->trace);
	while (disk_states_advance(s->states))
		;
	struct memdisk *disk = fresh_disk(s);
	list_segments(s, memdisk_vfs(disk));
	list_records(s, memdisk_vfs(disk));
	rig_init(&s->rig, &options, memdisk_vfs(disk));
	must(s->mark > LOG_SEGMENT_HEADER_SIZE && s->mark < s->end, "no mark");
}

static void subject_close(struct subject *s)
{
	rig_deinit(&s->rig);
	disk_states_destroy(s->states);
	disk_trace_destroy(s->trace);
	ledger_destroy(s->ledger);
}

/* --- judging ------------------------------------------------------------------------------------------------ */

enum result { REFUSED, OPENED, WRONG };

/* Starts on the disk as it is now. OPENED: it shows what the first *count_out records say. */
static enum result try_start(struct subject *s, struct memdisk *disk, size_t *count_out, char why[WHY_SIZE])
{
	char judged[LEDGER_WHY_SIZE];
	struct errinfo err = { ST_OK, "" };

	s->rig.vfs = memdisk_vfs(disk);
	clock_manual_init(&s->rig.clock, RIG_START_WALL_MS + 3600 * 1000, 1000);
	enum status status = rig_start(&s->rig, &err);
	if (status != ST_OK) {
		snprintf(why, WHY_SIZE, "%s: %s", status_text(status), err.text);
		return status == ST_CORRUPT || status == ST_VERSION ? REFUSED : WRONG;
	}
	enum result result = OPENED;
	if (!ledger_match(s->ledger, s->rig.log, 0, count_out, judged) ||
	    !ledger_check(s->ledger, *count_out, 0, s->rig.core, judged)) {
		snprintf(why, WHY_SIZE, "%s", judged);
		result = WRONG;
	}
	if (rig_stop(&s->rig, false, &err) != ST_OK)
		result = WRONG;
	return result;
}

/* --- every bit ----------------------------------------------------------------------------------------------- */

static const struct placed_record *record_at(const struct subject *s, uint64_t offset)
{
	for (size_t i = 0; i < s->record_count; i++) {
		if (offset >= s->records[i].offset && offset < s->records[i].end)
			return &s->records[i];
	}
	return NULL;
}

/* The refusal must name the file, and where in it. */
static bool names_the_place(const struct segment_file *file, const struct placed_record *r, const char *why)
{
	char place[64];

	snprintf(place, sizeof(place), "log offset %" PRIu64, r == NULL ? 0 : r->offset);
	return strstr(why, file->name) != NULL && (r == NULL || strstr(why, place) != NULL);
}

static void judge_flip(struct subject *s, const struct segment_file *file, uint64_t offset, enum result result, size_t count,
		       const char *why)
{
	bool in_header = offset - file->base < LOG_SEGMENT_HEADER_SIZE;
	const struct placed_record *r = in_header ? NULL : record_at(s, offset);

	if (result == WRONG) {
		fail(s, "flipped bit", offset, why);
	} else if (in_header || (r != NULL && r->offset < s->mark)) {
		if (result != REFUSED)
			fail(s, "flipped bit", offset, "below the durable mark, but it opens");
		else if (!names_the_place(file, r, why))
			fail(s, "flipped bit", offset, why);
		else
			tally.refused++;
	} else if (result == REFUSED) {
		fail(s, "flipped bit", offset, why);
	} else if (count != (r == NULL ? ledger_count(s->ledger) : r->before)) {
		fail(s, "flipped bit", offset, "not cut right in front of the record");
	} else if (r == NULL) {
		tally.harmless++;
	} else {
		tally.cut++;
	}
}

static void flip_bits(struct subject *s, size_t segment, uint64_t from, uint64_t to, unsigned step)
{
	const struct segment_file *file = &s->segments[segment];

	for (uint64_t bit = (from - file->base) * 8; bit < (to - file->base) * 8; bit += step) {
		struct memdisk *disk = fresh_disk(s);
		char why[WHY_SIZE] = "";
		size_t size, count = 0;
		uint8_t byte = memdisk_data(disk, file->path, &size)[bit / 8] ^ (uint8_t)(1u << bit % 8);

		disk_states_poke(s->states, file->path, bit / 8, &byte, 1);
		enum result result = try_start(s, disk, &count, why);
		judge_flip(s, file, file->base + bit / 8, result, count, why);
	}
}

/* --- the last record ------------------------------------------------------------------------------------------ */

/* Bytes that lay here in an older use: records with good checksums, of an older epoch, or (`shift`) of the file's former
 * place in the log; among them marks that would prove anything if they were believed. */
static void make_stale(uint8_t *out, size_t out_size, uint64_t offset, uint32_t epoch, uint64_t shift)
{
	static const unsigned kinds[] = { LOG_MESSAGE, LOG_BATCH, LOG_EPOCH, LOG_DECISION };
	size_t at = 0;

	for (int i = 0; at + 128 <= out_size; i++) {
		uint8_t *payload = out + at + LOG_ENVELOPE_SIZE;
		unsigned kind = kinds[i % 4];
		size_t size = kind == LOG_BATCH ? LOG_BATCH_PAYLOAD : kind == LOG_EPOCH ? LOG_EPOCH_PAYLOAD : 24;

		memset(payload, 0x5a, size);
		if (kind == LOG_BATCH)
			put_u64(payload, offset + 100000);
		if (kind == LOG_EPOCH) {
			put_u32(payload, epoch - 1);
			put_u64(payload + 8, offset + at - shift);
		}
		at += log_seal(out + at, kind, epoch, offset + at - shift, size);
	}
}

enum damage { CUT_OFF, ZEROED, STALE_EPOCH, STALE_PLACE, GARBAGE, DAMAGE_COUNT };
static const char *const damage_names[] = { "cut", "zeros", "bytes of an older epoch", "bytes of a former place", "garbage" };

/* Older than what is in front of the record: what a start cut off is zeroed before its EPOCH record is written. */
static uint32_t older_epoch(const struct placed_record *r)
{
	return r->kind == LOG_EPOCH ? r->epoch - 2 : r->epoch - 1;
}

/* Nothing follows the record: neither in its segment nor in later ones. */
static void make_last(struct subject *s, const struct placed_record *r)
{
	static const uint8_t zeros[1 << 20];

	for (size_t i = r->segment; i < s->segment_count; i++) {
		const struct segment_file *file = &s->segments[i];
		uint64_t first = file->base + LOG_SEGMENT_HEADER_SIZE, from = r->end > first ? r->end : first;
		if (from < file->base + file->size && from < s->end)
			disk_states_poke(s->states, file->path, from - file->base, zeros,
					 (s->end < file->base + file->size ? s->end : file->base + file->size) - from);
	}
}

/* The record's bytes from `at` on are what `damage` leaves. */
static void damage_record(struct subject *s, const struct placed_record *r, uint64_t at, enum damage damage)
{
	const struct segment_file *file = &s->segments[r->segment];
	uint64_t limit = file->base + file->size, end = r->end + 512 < limit ? r->end + 512 : limit, start = at & ~(uint64_t)7;
	static uint8_t bytes[STALE_SIZE];
	size_t size = end - start;

	must(size <= sizeof(bytes), "a record is too large");
	memset(bytes, damage == GARBAGE ? 0xa7 : 0, size);
	if (damage == STALE_EPOCH)
		make_stale(bytes, size, start, older_epoch(r), 0);
	if (damage == STALE_PLACE)
		make_stale(bytes, size, start, r->epoch, 4 * LOG_SEGMENT_SIZE_MIN);
	if (damage == CUT_OFF)
		disk_states_shorten(s->states, file->path, at - file->base);
	else
		disk_states_poke(s->states, file->path, at - file->base, bytes + (at - start),
				 (damage == ZEROED ? r->end : end) - at);
}

static void judge_last(const struct subject *s, const struct placed_record *r, uint64_t at, enum damage damage, bool same,
		       enum result result, size_t count, const char *why)
{
	size_t whole = r->before + !log_kind_is_internal(r->kind);

	if (result != OPENED)
		fail(s, damage_names[damage], at, why);
	else if (count != r->before && (count != whole || !same))
		fail(s, damage_names[damage], at, "the record is neither absent nor whole, or one before it is gone");
	else if (same && count != whole)
		fail(s, damage_names[damage], at, "a whole record is cut");
	else if (same)
		tally.whole++;
	else
		tally.absent++;
}

static void damage_last(struct subject *s, const struct placed_record *r, unsigned step)
{
	const struct segment_file *file = &s->segments[r->segment];
	size_t in_file = r->offset - file->base, length = r->end - r->offset, size;
	uint8_t *intact = malloc(length);

	if (intact == NULL)
		abort();
	memcpy(intact, memdisk_data(fresh_disk(s), file->path, &size) + in_file, length);
	tally.kinds_last[r->kind]++;
	for (int damage = 0; damage < DAMAGE_COUNT; damage++) {
		if (damage == STALE_EPOCH && (r->epoch == 1 || older_epoch(r) == 0))
			continue; /* There was no older one. */
		for (uint64_t at = r->offset; at < r->end; at += step) {
			struct memdisk *disk = fresh_disk(s);
			char why[WHY_SIZE] = "";
			size_t count = 0;

			make_last(s, r);
			damage_record(s, r, at, (enum damage)damage);
			const uint8_t *now = memdisk_data(disk, file->path, &size);
			bool same = in_file + length <= size && memcmp(now + in_file, intact, length) == 0;
			enum result result = try_start(s, disk, &count, why);
			judge_last(s, r, at, (enum damage)damage, same, result, count, why);
		}
	}
	free(intact);
}

/* --- all of it --------------------------------------------------------------------------------------------------- */

static bool kind_was_last(const struct subject *s, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (s->records[i].kind == s->records[index].kind && s->records[i].outcome == s->records[index].outcome)
			return true;
	}
	return false;
}

static void check_compact_log(bool full)
{
	struct subject s;

	subject_open(&s, "compact", -1);
	flip_bits(&s, 0, 0, LOG_SEGMENT_HEADER_SIZE, full ? 1 : 7);
	flip_bits(&s, 0, LOG_SEGMENT_HEADER_SIZE, s.end + 64, 1);
	for (size_t i = 0; i < s.record_count; i++) {
		if (full || i + 1 == s.record_count || !kind_was_last(&s, i))
			damage_last(&s, &s.records[i], 1);
	}
	subject_close(&s);
}

static void check_edge(int64_t left, bool full)
{
	struct subject s;
	char name[64];

	snprintf(name, sizeof(name), "edge of %" PRId64 " bytes", left);
	subject_open(&s, name, left);
	must(s.segment_count >= 2 && record_at(&s, s.segments[1].base - (uint64_t)left - 1) != NULL, "no edge");
	uint64_t edge = s.segments[1].base;
	/* Around the edge; the records are large, so not all of them. */
	flip_bits(&s, 0, edge - 160, edge, full ? 1 : 3);
	flip_bits(&s, 1, edge, edge + LOG_SEGMENT_HEADER_SIZE, full ? 5 : 97);
	flip_bits(&s, 1, edge + LOG_SEGMENT_HEADER_SIZE, edge + LOG_SEGMENT_HEADER_SIZE + 160, full ? 1 : 3);
	for (size_t i = 0; i < s.record_count; i++) {
		const struct placed_record *r = &s.records[i];
		if (r->end + 64 > edge && r->offset < edge + LOG_SEGMENT_HEADER_SIZE + 64)
			damage_last(&s, r, r->end - r->offset > 512 ? (full ? 7 : 101) : (full ? 1 : 3));
	}
	subject_close(&s);
}

int main(int argc, char **argv)
{
	static const int64_t edges[] = { 0, 8, 16, 24, 32, 40, 48, 72, 112 };
	bool full = argc > 1 && strcmp(argv[1], "--full") == 0;
	unsigned missing = 0;

	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	log_set_level(LOGLEVEL_ERROR);
	check_compact_log(full);
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++)
		check_edge(edges[i], full);
	for (unsigned kind = LOG_PAD; kind <= LOG_GROUP; kind++) {
		bool written = kind != LOG_TIMER_CANCEL && kind != LOG_CARRY && kind != LOG_POP;
		if (written && tally.kinds_last[kind] == 0) {
			printf("flips: no %s record was ever the last one\n", log_kind_text(kind));
			missing++;
		}
	}
	printf("flips: bits: %" PRIu64 " refused, %" PRIu64 " cut, %" PRIu64 " where nothing is stored; last records: %" PRIu64
	       " absent, %" PRIu64 " whole\n", tally.refused, tally.cut, tally.harmless, tally.absent, tally.whole);
	uint64_t passed = tally.refused + tally.cut + tally.harmless + tally.absent + tally.whole;
	printf("%" PRIu64 " passed, %" PRIu64 " failed\n", passed, tally.failed + missing);
	return tally.failed + missing == 0 ? 0 : 1;
}
