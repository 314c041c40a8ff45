/* Ending a log at a chosen place: what would be lost, and doing it.
 *
 * The last resort for a damaged log of which there is no copy. The place must be the offset of a record in the sound part
 * (or that part's end); what follows is saved to a file, later segments are removed, the rest of the segment is zeroed, and
 * snapshots that speak of what was cut go. In this order, each step durable before the next, so that after a stop in
 * between the same cut can be made again; a store that is half cut does not open.
 * Threads: one. The caller holds the store's lock while it executes. */
#ifndef ESCROW_TOOLS_LOG_CUT_H
#define ESCROW_TOOLS_LOG_CUT_H

#include "tools/log/scan.h"
#include "tools/log/snapshots.h"

enum { CUT_LISTED = 20, CUT_NAME_SIZE = 64, CUT_ID_SIZE = 64, CUT_SEGMENTS_MAX = 4096 };

/* A decision that is cut off, of a half that stays: the transaction is open (or as it was before) again. */
struct cut_decision {
	uint64_t half_offset, decision_offset;
	unsigned outcome; /* enum record_outcome */
	int64_t when_ms;
	char transaction_id[CUT_ID_SIZE]; /* Shortened; as it came from a client. */
};

struct cut_plan {
	uint64_t at;
	uint64_t end;            /* After the last byte that the log wrote behind it. */
	uint64_t durable;        /* Below it everything had been synced, hence perhaps acknowledged. */
	uint64_t record_count;   /* Sound ones that go, */
	uint64_t durable_count;  /* of them such as had been durable. */
	uint64_t kind_count[LOG_KIND_END];
	uint64_t bad_bytes;      /* Behind it and no records. */
	uint64_t message_count;  /* Places in queues that go: messages that consumers may have seen. */
	uint64_t half_count;     /* Transactions that go with their half. */
	uint64_t undecided_count;/* That lose their final decision and are open again; the first CUT_LISTED: */
	struct cut_decision undecided[CUT_LISTED];
	int64_t first_ms, last_ms; /* Times of what goes; 0: none says one. */

	uint64_t segment_base;   /* The segment that is cut; UINT64_MAX when it goes whole. */
	uint64_t removed[CUT_SEGMENTS_MAX]; /* Segments that go whole, by base, newest first. */
	size_t removed_count;
	uint64_t snapshots[SNAPSHOTS_MAX]; /* That go. */
	size_t snapshot_count;
	uint64_t kept_snapshot;  /* The newest that stays; 0: none. */
	uint64_t damage_below;   /* First damage that stays below the place, which a start does not look at; 0: none. */
};

/* ST_INVALID: the place is none; the text names the nearest ones, or what is in the way. ST_NOTFOUND, ST_IO, ST_NOMEM. */
enum status cut_make_plan(const struct vfs *vfs, const char *root, uint64_t at, struct cut_plan *out,
			  struct errinfo *err) MUST_USE;

/* Does it. saved_name gets the name of the file below `root` with what was cut: its byte i is the log's byte at + i. */
enum status cut_execute(const struct vfs *vfs, const char *root, const struct cut_plan *plan,
			char saved_name[CUT_NAME_SIZE], struct errinfo *err) MUST_USE;

#endif
