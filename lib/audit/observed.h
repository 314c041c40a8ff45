/* Do the log and what clients were told agree? The invariants seen from outside, for tests and the simulator.
 *
 *     struct observed *observed = observed_create(report, context);
 *     while the broker runs, whenever a client hears or sees something:
 *         observed_half(observed, &half)                   the acknowledgement of a half message
 *         observed_asked(observed, half_offset, outcome)   somebody asks to commit or roll back, answered or not
 *         observed_told(observed, half_offset, outcome)    an answer says how the transaction stands
 *         observed_send(observed, &send)                   the acknowledgement of any other message
 *         observed_offset(observed, &offset, acked)        a consumer offset is asked for, is acknowledged
 *         observed_message(observed, &message)             a consumer sees a message
 *     and in the end, over its log:
 *         for each record  observed_record(observed, &record, &err)
 *         observed_end(observed, &end, &err);  observed_violations(observed) == 0?
 *
 *   I1  what was acknowledged (send, commit, consumer offset) is in the log and, once everything was read, was seen; a
 *       resend of a half got the same offsets
 *   I2  a transaction has one name in the log, and consumers saw it under one name
 *   I3  what was seen is published by the log at that place; nothing that was rolled back, that nobody asked to commit,
 *       or before its time
 *   I4  no two answers about one transaction differ, the log holds the same; a message stays where it was seen
 *   I5  transactions are decided in the time given
 *   I6  every acknowledged half is in the log
 * An unanswered request is no observation: it may have been carried out or not. Violations of the log by itself are
 * audit.h's. What the log no longer holds (it began later) is passed over.
 *
 * Memory: 100 to 200 bytes an observation. Out of memory shows in observed_record or observed_end. Threads: one. */
#ifndef ESCROW_AUDIT_OBSERVED_H
#define ESCROW_AUDIT_OBSERVED_H

#include "lib/audit/audit.h"
#include "lib/record/record_transaction.h"

struct observed;

/* `report` may be NULL: violations are counted only. NULL when out of memory. */
struct observed *observed_create(audit_report report, void *context);
/* NULL is allowed. */
void observed_destroy(struct observed *observed);
uint64_t observed_violations(const struct observed *observed);

/* --- what clients hear and see. Spans are borrowed for the call; times are of one clock, in ms --------------------- */

struct observed_half {
	struct span group, key;  /* Producer group, UNIQ_KEY. */
	uint64_t half_offset, half_queue_offset;
	int64_t at_ms;
};
void observed_half(struct observed *observed, const struct observed_half *half);
void observed_asked(struct observed *observed, uint64_t half_offset, enum record_outcome outcome);
/* Also of a refusal: the outcome that stands. Commit or rollback. */
void observed_told(struct observed *observed, uint64_t half_offset, enum record_outcome outcome);

struct observed_send {
	struct span topic;
	uint32_t queue_id;
	uint64_t log_offset;
	uint64_t queue_offset;   /* Without a delay. */
	int64_t not_before_ms;   /* When it may be seen first; 0: it has no delay. */
};
void observed_send(struct observed *observed, const struct observed_send *send);

struct observed_offset {
	struct span group, topic;
	uint32_t queue_id;
	int64_t offset;
};
void observed_offset(struct observed *observed, const struct observed_offset *offset, bool acked);

struct observed_message {
	struct span topic;
	uint32_t queue_id;
	uint64_t queue_offset;
	uint64_t log_offset;     /* Its physical offset. */
	struct span key;         /* UNIQ_KEY; may be empty. */
	bool transactional;
	int64_t at_ms;           /* 0: not noted. */
};
void observed_message(struct observed *observed, const struct observed_message *message);

/* --- the log ---------------------------------------------------------------------------------------------------- */

/* In log order. Only records below what survived, that is, of the log as it is after the run. ST_NOMEM. */
enum status observed_record(struct observed *observed, const struct log_record *record, struct errinfo *err) MUST_USE;

struct observed_end {
	int64_t now_ms;
	int64_t resolve_within_ms; /* An undecided transaction acknowledged longer ago violates I5; 0: any age is fine. */
	bool at_rest;              /* Everybody had time: nothing may be undecided but what is parked, nothing due waits. */
	bool all_asks;             /* Every request to commit was noted, so what is published was asked for. */
	bool all_read;             /* Every queue was read to its end, so what is published was seen. */
};
/* Once, after the last record. ST_NOMEM. */
enum status observed_end(struct observed *observed, const struct observed_end *end, struct errinfo *err) MUST_USE;

#endif
