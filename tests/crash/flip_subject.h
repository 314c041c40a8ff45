/* A log with every record kind, in a state where everything in it is known: what is changed in it, and what a start then shows.
 *
 * A subject is recorded once; each fresh disk of it is whole again, and is changed with disk_states_poke and _shorten.
 * Threads: values. */
#ifndef ESCROW_TESTS_FLIP_SUBJECT_H
#define ESCROW_TESTS_FLIP_SUBJECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/record/record_transaction.h"
#include "tests/crash/ledger.h"
#include "tests/support/disk_states.h"
#include "tests/support/store_rig.h"

enum { SUBJECT_RECORDS_MAX = 1024, SUBJECT_WHY_SIZE = 700, SUBJECT_SEGMENTS_MAX = 8 };

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

struct subject {
	const char *name;
	struct disk_trace *trace;
	struct disk_states *states; /* At the end of the trace. */
	struct ledger *ledger;
	struct rig rig;
	struct placed_record records[SUBJECT_RECORDS_MAX];
	size_t record_count;
	uint8_t log_id[LOG_ID_SIZE];
	struct segment_file segments[SUBJECT_SEGMENTS_MAX];
	size_t segment_count;
	uint64_t mark, end;
	uint64_t gone;              /* What lies below may have been given up. */
	uint64_t snapshots[2];      /* Log offsets of the newest and the older one; 0: none. */
	uint64_t removed[4];        /* Of those whose removal may not be durable yet. */
	size_t removed_count;
};

/* `edge`: bytes between the first segment's last record and its end; SUBJECT_COMPACT: one segment, nothing but the script;
 * SUBJECT_LONG: a log whose oldest segment was given up, with snapshots; SUBJECT_CARRIED: the moment before that, when what
 * is open in it has just been carried. */
enum { SUBJECT_COMPACT = -1, SUBJECT_LONG = -2, SUBJECT_CARRIED = -3 };
void subject_open(struct subject *subject, const char *name, int64_t edge);
void subject_close(struct subject *subject);
/* The disk as it was left; the same one each time. */
struct memdisk *subject_disk(struct subject *subject);
/* The record that holds this byte, or NULL. */
const struct placed_record *subject_record(const struct subject *subject, uint64_t offset);

/* Starts on the disk as it is now. OPENED: it shows what the first *count_out records say, of which those before index
 * `from` are not read in the log, only through the core. */
enum subject_result { REFUSED, OPENED, WRONG };
enum subject_result subject_start(struct subject *subject, struct memdisk *disk, size_t from, size_t *count_out,
				  char why[SUBJECT_WHY_SIZE]);

/* Something is not as it must be: told (the first few) and counted. */
void subject_fail(const struct subject *subject, const char *what, uint64_t at, const char *why);
uint64_t subject_failures(void);
/* Starts so far: changes that were tried. */
uint64_t subject_starts(void);

/* Prints and exits unless `good`: the proof itself does not work. */
void subject_must(bool good, const char *what);

#endif
