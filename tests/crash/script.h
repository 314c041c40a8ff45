/* A short life of a broker that writes every record kind, step by step, and bears that any step fails: for the proofs that
 * change or break something at every place of it.
 *
 * What was acknowledged is kept as claims for a ledger; a request that is refused makes none, and what builds on it is
 * left out.
 * Threads: one. */
#ifndef ESCROW_TESTS_SCRIPT_H
#define ESCROW_TESTS_SCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "tests/crash/ledger.h"
#include "tests/support/store_rig.h"

enum { SCRIPT_CLAIMS_MAX = 512, SCRIPT_HALVES = 7, SCRIPT_EDGE_NONE = -1 };

struct script_half {
	bool acked;
	uint64_t log_offset, queue_offset;
};

struct script {
	struct rig *rig;       /* Started. */
	uint64_t told;         /* Answers that wait for no more than this have left: what had become durable. */
	struct ledger_claim claims[SCRIPT_CLAIMS_MAX];
	size_t claim_count;
	struct script_half halves[SCRIPT_HALVES];
	unsigned refused;      /* Requests that failed, with ST_NOMEM, a refusal, or for want of room. */
};

/* The steps of the first and of the second life; each runs until the end, or until the rig is dead. */
void script_first_life(struct script *script);
void script_second_life(struct script *script);
/* More queues than the index cache has pages, so that pages are written out and read back; and a consumer that reads old
 * messages. */
void script_wide_life(struct script *script);
/* Segments are rolled with snapshots in between, until what is open in the oldest one has been carried; script_long_life
 * goes on until that segment is given up. The rig has a retention of one segment. */
void script_carrying_life(struct script *script);
void script_long_life(struct script *script);
/* Sends messages until a record ends exactly `left` bytes before the end of the segment; 0 when it did not work out. */
bool script_fill_segment(struct script *script, uint64_t left);
/* The process is gone: what nobody was told is forgotten. */
void script_process_ended(struct script *script);

#endif
