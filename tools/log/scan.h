/* Every byte of a log's files: what is it?
 *
 * lib/log's reader stops at the first byte that is no record; this one goes on behind it, because whoever looks at a
 * damaged log wants to know all of it, and whether what lies behind is still there. It reads each segment file in 8-byte
 * steps from one sound record to the next. What lies between is a gap. Sound means: envelope, own offset, CRC, an epoch
 * that fits; after a gap any epoch that is not older than the last one (what an earlier start cut off is stale).
 *
 * The judgement is the one of lib/log/recovery.h: a gap is damage when a later record proves that this place had been
 * durable; else the log ends there, and what follows is the torn tail that the next start cuts. Nothing is changed, no
 * lock is taken. Beside a running broker a gap is looked at again before it is believed.
 *
 * Memory: a buffer of 1 MiB (or of the largest record), 100 bytes a gap, 100 a segment. Threads: one. */
#ifndef ESCROW_TOOLS_LOG_SCAN_H
#define ESCROW_TOOLS_LOG_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/log/format.h"
#include "lib/log/vfs.h"

enum { SCAN_GAPS_MAX = 1000, SCAN_PROBLEM_SIZE = 200 };

struct scan_segment {
	uint64_t base;
	uint64_t end;                      /* base + its size; by its neighbour or its file's length if the header is bad. */
	uint64_t file_size;
	struct log_segment_header header;  /* If that is sound; otherwise log_id only, as it stands there: */
	bool sound;
	bool other_version;                /* Of a format version that this program does not read. */
	char problem[SCAN_PROBLEM_SIZE];   /* Else: what is wrong. */
	uint64_t record_count;
	uint64_t first_record, records_end; /* Offsets of the first sound record and after the last one; 0 = none. */
};

/* Bytes that are no records. */
struct scan_gap {
	uint64_t from, to;       /* Log offsets. */
	uint64_t leftover_end;   /* After the last byte in here that this log wrote; == from when there is none. */
	const char *reason;      /* What was wrong at its first byte. Static text. */
	uint32_t epoch;          /* Of the last sound record before it. */
	uint64_t proof;          /* Offset of the first record, or of the snapshot, that proves it durable; 0 = none. */
	bool proved_by_snapshot;
	bool damage;             /* It had been durable. */
	uint64_t beyond_before;  /* Sound records behind `end`, but before this gap. */
	bool header;             /* Its first byte is a segment's header, or a missing segment's. */
	uint64_t window;         /* A start searches this far behind `from` for proof; 0 = everywhere. */
	bool unnoticed;          /* Damage whose proof lies beyond that: a start would take it for a torn tail. */
};

struct log_scan {
	struct scan_segment *segments; /* Oldest first. */
	size_t segment_count;
	struct scan_gap *gaps;         /* In log order, at most SCAN_GAPS_MAX; not the zeros behind the log's end. */
	size_t gap_count;
	uint64_t gaps_left_out;
	uint8_t log_id[LOG_ID_SIZE];
	char cluster[LOG_CLUSTER_SIZE];

	uint64_t start;          /* Offset of the oldest record. */
	uint64_t end;            /* Where the log ends: the next record's place, or that of the first gap. */
	uint32_t first_epoch, epoch; /* epoch: of the record before `end`. */
	uint64_t record_count;   /* Before `end`. */
	uint64_t beyond_count;   /* Sound records behind it. */
	uint64_t durable_mark;   /* Everything below had been synced, the log says. */
	uint64_t leftover_end;   /* After the last byte behind `end` that this log wrote; == end when there is none. */
	uint64_t window;         /* Of the last mark before `end`. */
	uint64_t stale_count;    /* Records of an older epoch behind `end`. */
	bool recycled_tail;      /* Bytes of a file's former life lie behind the end. */
	bool damaged;            /* Some gap is damage, or a segment's header is bad, or one is missing. */
};

/* Each sound record, in log order. `beyond`: behind the log's end. A failure ends the scan. The payload is valid during
 * the call. May be NULL. */
typedef enum status (*scan_visit)(void *context, const struct log_record *record, bool beyond, struct errinfo *err);

/* `known`: what the newest snapshot has proved (lib/log/commitlog.h), zeros without one. ST_OK also for a damaged log.
 * ST_NOTFOUND without a log, ST_IO, ST_NOMEM. Free with log_scan_free in any case. */
enum status log_scan(const struct vfs *vfs, const char *root, struct log_known known, scan_visit visit, void *context,
		     struct log_scan *out, struct errinfo *err) MUST_USE;
void log_scan_free(struct log_scan *scan);

/* The last segment that begins at or below `offset`, NULL for none. */
const struct scan_segment *log_scan_segment(const struct log_scan *scan, uint64_t offset);

#endif
