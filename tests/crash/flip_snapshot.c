/* See flip_snapshot.h.
 *
 *   - a bit of the newest snapshot: the older one serves, with the same result;
 *   - a bit of each of both: refused, as the log begins later than the state;
 *   - a bit of the index file: the same state, or whoever reads the entry is told what to do;
 *   - a bit of the log before the newest snapshot: the same state, or whoever reads the record is told.
 *
 * A wrong message, a message too many or too few, a wrong state: never. */
#include "tests/crash/flip_snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/crash/flip_subject.h"
#include "tests/support/memdisk.h"

static const char *const INDEX = "/store/index.pages";

static void snapshot_path_of(const struct subject *s, int which, char out[80])
{
	snprintf(out, 80, "/store/snapshots/%020" PRIu64, s->snapshots[which]);
}

static size_t size_of(struct subject *s, const char *path)
{
	size_t size = 0;

	subject_must(memdisk_data(subject_disk(s), path, &size) != NULL, path);
	return size;
}

static void flip(struct subject *s, struct memdisk *disk, const char *path, uint64_t bit)
{
	size_t size;
	uint8_t byte = memdisk_data(disk, path, &size)[bit / 8] ^ (uint8_t)(1u << bit % 8);

	disk_states_poke(s->states, path, bit / 8, &byte, 1);
}

/* The first record that a start from the newest snapshot reads in the log. */
static size_t first_read(const struct subject *s)
{
	size_t i = 0;

	while (i + 1 < s->record_count && s->records[i].offset < s->snapshots[0])
		i++;
	return s->records[i].before + 1; /* See ledger_match: it begins one before. */
}

static void flip_newest(struct subject *s, unsigned step)
{
	char path[80];

	snapshot_path_of(s, 0, path);
	uint64_t bits = size_of(s, path) * 8, count = 0;
	for (uint64_t bit = 0; bit < bits; bit += step, count++) {
		struct memdisk *disk = subject_disk(s);
		char why[SUBJECT_WHY_SIZE] = "";
		size_t found = 0;

		flip(s, disk, path, bit);
		if (subject_start(s, disk, 0, &found, why) != OPENED || found != ledger_count(s->ledger))
			subject_fail(s, "flipped bit of the newest snapshot", bit / 8, why);
	}
	printf("flips: newest snapshot: %" PRIu64 " bits, the older one serves\n", count);
}

static void flip_both(struct subject *s, unsigned step)
{
	char newest[80], older[80];

	snapshot_path_of(s, 0, newest);
	snapshot_path_of(s, 1, older);
	uint64_t bits = size_of(s, older) * 8, newest_bits = size_of(s, newest) * 8, count = 0;
	for (uint64_t bit = 0; bit < bits; bit += step, count++) {
		struct memdisk *disk = subject_disk(s);
		char why[SUBJECT_WHY_SIZE] = "";
		size_t found = 0;

		flip(s, disk, older, bit);
		flip(s, disk, newest, bit * 7919 % newest_bits);
		if (subject_start(s, disk, 0, &found, why) != REFUSED || strstr(why, "/snapshots") == NULL ||
		    strstr(why, "restore") == NULL)
			subject_fail(s, "flipped bits of both snapshots", bit / 8, why);
	}
	printf("flips: both snapshots: %" PRIu64 " pairs of bits, refused\n", count);
}

/* Opened with everything, or an error that says what to do. */
static void judge_read(const struct subject *s, const char *what, uint64_t at, enum subject_result result, size_t found,
		       const char *advice, const char *why, uint64_t *harmless, uint64_t *told)
{
	if (result == OPENED && found == ledger_count(s->ledger))
		++*harmless;
	else if (result != OPENED && strstr(why, advice) != NULL)
		++*told;
	else
		subject_fail(s, what, at, result == OPENED ? "it found fewer records" : why);
}

static void flip_index(struct subject *s, unsigned step)
{
	uint64_t bits = size_of(s, INDEX) * 8, harmless = 0, told = 0;
	size_t from = first_read(s);

	for (uint64_t bit = 0; bit < bits; bit += step) {
		struct memdisk *disk = subject_disk(s);
		char why[SUBJECT_WHY_SIZE] = "";
		size_t found = 0;

		flip(s, disk, INDEX, bit);
		enum subject_result result = subject_start(s, disk, from, &found, why);
		judge_read(s, "flipped bit of the index file", bit / 8, result, found, "remove index.pages", why, &harmless, &told);
	}
	if (told == 0)
		subject_fail(s, "index file", 0, "no flipped bit was ever noticed");
	printf("flips: index file: %" PRIu64 " bits told to who reads them, %" PRIu64 " replaced by replay or not in use\n", told,
	       harmless);
}

static void flip_old_log(struct subject *s, unsigned step)
{
	uint64_t harmless = 0, told = 0;
	size_t from = first_read(s);

	for (size_t i = 0; i < s->segment_count && s->segments[i].base < s->snapshots[0]; i++) {
		const struct segment_file *file = &s->segments[i];
		uint64_t end = s->snapshots[0] < file->base + file->size ? s->snapshots[0] - file->base : file->size;

		for (uint64_t bit = LOG_SEGMENT_HEADER_SIZE * 8; bit < end * 8; bit += step) {
			struct memdisk *disk = subject_disk(s);
			char why[SUBJECT_WHY_SIZE] = "";
			size_t found = 0;

			flip(s, disk, file->path, bit);
			enum subject_result result = subject_start(s, disk, from, &found, why);
			judge_read(s, "flipped bit before the snapshot, log offset", file->base + bit / 8, result, found,
				   "run escrow-log check", why, &harmless, &told);
		}
	}
	if (told == 0)
		subject_fail(s, "log before the snapshot", 0, "no flipped bit was ever noticed");
	printf("flips: log before the snapshot: %" PRIu64 " bits told to who reads them, %" PRIu64 " that nobody read\n", told,
	       harmless);
}

unsigned flip_snapshots(bool full)
{
	static void (*const proofs[])(struct subject *, unsigned) = { flip_newest, flip_both, flip_index, flip_old_log };
	static const unsigned steps[] = { 13, 211, 401, 1009 }, full_steps[] = { 1, 13, 23, 53 };
	struct subject s;
	unsigned passed = 0;

	subject_open(&s, "long", SUBJECT_LONG);
	subject_must(s.snapshots[1] != 0 && s.segments[0].base > 0, "no second snapshot, or a log that begins at its beginning");
	for (size_t i = 0; i < sizeof(proofs) / sizeof(proofs[0]); i++) {
		uint64_t before = subject_failures();
		proofs[i](&s, full ? full_steps[i] : steps[i]);
		passed += subject_failures() == before;
	}
	subject_close(&s);
	return passed;
}
