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
 * Snapshots, index pages and the log before a snapshot: flip_snapshot.h.
 *
 * Usage: flips [--full]   --full: every bit around every edge, every record as the last one. */
#include <inttypes.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/logging.h"
#include "lib/log/format.h"
#include "tests/crash/flip_snapshot.h"
#include "tests/crash/flip_subject.h"
#include "tests/support/memdisk.h"

enum { STALE_SIZE = 32 * 1024 };

struct tally {
	uint64_t refused, cut, harmless, absent, whole;
	uint64_t kinds_last[LOG_KIND_END];
};

static struct tally tally;

/* --- every bit ----------------------------------------------------------------------------------------------- */

/* The refusal must name the file, and where in it. */
static bool names_the_place(const struct segment_file *file, const struct placed_record *r, const char *why)
{
	char place[64];

	snprintf(place, sizeof(place), "log offset %" PRIu64, r == NULL ? 0 : r->offset);
	return strstr(why, file->name) != NULL && (r == NULL || strstr(why, place) != NULL);
}

static void judge_flip(struct subject *s, const struct segment_file *file, uint64_t offset, enum subject_result result,
		       size_t count, const char *why)
{
	bool in_header = offset - file->base < LOG_SEGMENT_HEADER_SIZE;
	const struct placed_record *r = in_header ? NULL : subject_record(s, offset);

	if (result == WRONG) {
		subject_fail(s, "flipped bit", offset, why);
	} else if (in_header || (r != NULL && r->offset < s->mark)) {
		if (result != REFUSED)
			subject_fail(s, "flipped bit", offset, "below the durable mark, but it opens");
		else if (!names_the_place(file, r, why))
			subject_fail(s, "flipped bit", offset, why);
		else
			tally.refused++;
	} else if (result == REFUSED) {
		subject_fail(s, "flipped bit", offset, why);
	} else if (count != (r == NULL ? ledger_count(s->ledger) : r->before)) {
		subject_fail(s, "flipped bit", offset, "not cut right in front of the record");
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
		struct memdisk *disk = subject_disk(s);
		char why[SUBJECT_WHY_SIZE] = "";
		size_t size, count = 0;
		uint8_t byte = memdisk_data(disk, file->path, &size)[bit / 8] ^ (uint8_t)(1u << bit % 8);

		disk_states_poke(s->states, file->path, bit / 8, &byte, 1);
		enum subject_result result = subject_start(s, disk, 0, &count, why);
		judge_flip(s, file, file->base + bit / 8, result, count, why);
	}
}

/* --- the last record ------------------------------------------------------------------------------------------ */

/* Bytes that lay here in an older use: records with good checksums, of an older epoch, or (`shift`) of the file's former
 * place in the log; among them marks that would prove anything if they were believed. */
static void make_stale(const uint8_t *log_id, uint8_t *out, size_t out_size, uint64_t offset, uint32_t epoch, uint64_t shift)
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
		at += log_seal(log_id, out + at, kind, epoch, offset + at - shift, size);
	}
}

enum damage { CUT_OFF, ZEROED, STALE_EPOCH, STALE_PLACE, FORGED, GARBAGE, DAMAGE_COUNT };
static const char *const damage_names[] = { "cut", "zeros", "bytes of an older epoch", "bytes of a former place",
					   "records in a message's body", "garbage" };

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
	static const uint8_t unknown_id[LOG_ID_SIZE]; /* To those who send messages. */
	static uint8_t bytes[STALE_SIZE];
	size_t size = end - start;

	subject_must(size <= sizeof(bytes), "a record is too large");
	memset(bytes, damage == GARBAGE ? 0xa7 : 0, size);
	if (damage == STALE_EPOCH)
		make_stale(s->log_id, bytes, size, start, older_epoch(r), 0);
	if (damage == STALE_PLACE)
		make_stale(s->log_id, bytes, size, start, r->epoch, 4 * LOG_SEGMENT_SIZE_MIN);
	if (damage == FORGED)
		make_stale(unknown_id, bytes, size, start, r->epoch + 1, 0);
	if (damage == CUT_OFF)
		disk_states_shorten(s->states, file->path, at - file->base);
	else
		disk_states_poke(s->states, file->path, at - file->base, bytes + (at - start),
				 (damage == ZEROED ? r->end : end) - at);
}

static void judge_last(const struct subject *s, const struct placed_record *r, uint64_t at, enum damage damage, bool same,
		       enum subject_result result, size_t count, const char *why)
{
	size_t whole = r->before + !log_kind_is_internal(r->kind);

	if (result != OPENED)
		subject_fail(s, damage_names[damage], at, why);
	else if (count != r->before && (count != whole || !same))
		subject_fail(s, damage_names[damage], at, "the record is neither absent nor whole, or one before it is gone");
	else if (same && count != whole)
		subject_fail(s, damage_names[damage], at, "a whole record is cut");
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
	memcpy(intact, memdisk_data(subject_disk(s), file->path, &size) + in_file, length);
	tally.kinds_last[r->kind]++;
	for (int damage = 0; damage < DAMAGE_COUNT; damage++) {
		if (damage == STALE_EPOCH && (r->epoch == 1 || older_epoch(r) == 0))
			continue; /* There was no older one. */
		for (uint64_t at = r->offset; at < r->end; at += step) {
			struct memdisk *disk = subject_disk(s);
			char why[SUBJECT_WHY_SIZE] = "";
			size_t count = 0;

			make_last(s, r);
			damage_record(s, r, at, (enum damage)damage);
			const uint8_t *now = memdisk_data(disk, file->path, &size);
			bool same = in_file + length <= size && memcmp(now + in_file, intact, length) == 0;
			enum subject_result result = subject_start(s, disk, 0, &count, why);
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

	subject_open(&s, "compact", SUBJECT_COMPACT);
	flip_bits(&s, 0, 0, LOG_SEGMENT_HEADER_SIZE, full ? 1 : 7);
	flip_bits(&s, 0, LOG_SEGMENT_HEADER_SIZE, s.end + 64, 1);
	for (size_t i = 0; i < s.record_count; i++) {
		if (full || i + 1 == s.record_count || !kind_was_last(&s, i))
			damage_last(&s, &s.records[i], 1);
	}
	subject_close(&s);
}

static void check_edge(const char *name, int64_t left, bool full)
{
	struct subject s;

	subject_open(&s, name, left);
	subject_must(s.segment_count >= 2 && subject_record(&s, s.segments[1].base - (uint64_t)left - 1) != NULL, "no edge");
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

/* CARRY and SNAPSHOT_MARK records. A start reads such a log from the newest snapshot on; flip_snapshot.c looks at what lies
 * before. */
static void check_carried_log(bool full)
{
	struct subject s;

	subject_open(&s, "carried", SUBJECT_CARRIED);
	for (size_t i = 0; i < s.record_count; i++) {
		const struct placed_record *r = &s.records[i];
		bool rare = r->kind == LOG_CARRY || r->kind == LOG_SNAPSHOT_MARK;
		if (r->offset >= s.snapshots[0] && (full || i + 1 == s.record_count || (rare && tally.kinds_last[r->kind] == 0)))
			damage_last(&s, r, 1);
	}
	subject_close(&s);
}

/* A total per log, not per bit: those are told in the text. */
static void tell(const char *name, uint64_t failures_before, unsigned *passed)
{
	printf("flips: %s: bits: %" PRIu64 " refused, %" PRIu64 " cut, %" PRIu64 " where nothing is stored; last records: %" PRIu64
	       " absent, %" PRIu64 " whole\n", name, tally.refused, tally.cut, tally.harmless, tally.absent, tally.whole);
	tally.refused = tally.cut = tally.harmless = tally.absent = tally.whole = 0;
	*passed += subject_failures() == failures_before;
}

static unsigned missing_kinds(void)
{
	unsigned missing = 0;

	for (unsigned kind = LOG_PAD; kind < LOG_KIND_END; kind++) {
		if (tally.kinds_last[kind] == 0) {
			printf("flips: no %s record was ever the last one\n", log_kind_text(kind));
			missing++;
		}
	}
	return missing;
}

int main(int argc, char **argv)
{
	static const int64_t edges[] = { 0, 8, 16, 24, 32, 40, 48, 72, 112 };
	bool full = argc > 1 && strcmp(argv[1], "--full") == 0;
	unsigned passed = 0;
	char name[40];

	(void)mallopt(M_MMAP_THRESHOLD, 64 << 20);
	(void)mallopt(M_TRIM_THRESHOLD, 256 << 20);
	log_set_level(LOGLEVEL_ERROR);
	check_compact_log(full);
	tell("every record kind", 0, &passed);
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		uint64_t before = subject_failures();
		snprintf(name, sizeof(name), "edge of %" PRId64 " bytes", edges[i]);
		check_edge(name, edges[i], full);
		tell(name, before, &passed);
	}
	uint64_t before = subject_failures();
	check_carried_log(full);
	tell("carried bodies, snapshots", before, &passed);
	passed += flip_snapshots(full);
	unsigned missing = missing_kinds();
	printf("flips: %" PRIu64 " changes in all, each with a start\n", subject_starts());
	printf("%u passed, %" PRIu64 " failed\n", passed, subject_failures() + missing);
	return subject_failures() + missing == 0 ? 0 : 1;
}
