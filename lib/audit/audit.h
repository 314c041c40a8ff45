/* Does a log keep what the broker promises? The invariants of the store, decided from its records alone.
 *
 *     struct audit *audit = audit_create(on_violation, context);
 *     for each record of the log, in order:  audit_record(audit, &record, &err)     every kind, lib/log's own too
 *     audit_facts(audit, &facts)                                                    facts.violation_count == 0?
 *     audit_destroy(audit)
 *
 * It may be fed with a log that begins anywhere, because retention has removed older segments: what refers to before the
 * first record is unknown then, not wrong. After a violation it goes on, and takes the record for what it says.
 *
 * What is held against the records:
 *   I1  what a DECISION, DELIVER or CARRY refers to is in the log, is of the right kind and is what they say (size,
 *       place of the message in it, identical bytes in a CARRY)
 *   I2  a transaction is published at most once, by one name (group, UNIQ_KEY); a delayed message is delivered once
 *   I3  nothing is published that was rolled back or never prepared; nothing delayed before its time
 *   I4  the first decision is final: lib/txn's table allows every step; a CONFLICT names the decision that stands
 *   I5  counts of checks are absolute: they do not fall before a RESUME starts them anew
 *   I6  halves are numbered without a gap; a recall names a message that waits
 *   I7  queue offsets are dense and ascend, from 0 again once the topic was deleted; store times do not go back along a
 *       queue; log offsets and epochs ascend
 *   F   every payload can be read, its numbers are possible ones
 * (I8, that MySQL holds the same, takes a look at MySQL. What clients were told is compared by observed.h.)
 *
 * Memory, whatever the length of the log: 32 bytes and 12 to 24 of lookups for each half, 72 more while it is undecided;
 * 48 and 6 to 12 for each queue; 72 and 6 to 12 for each delayed message that waits. Nothing for messages: ten million
 * decided transactions take some 0.5 GB, a hundred million plain messages a few kilobytes.
 * Threads: one. Nothing global. */
#ifndef ESCROW_AUDIT_AUDIT_H
#define ESCROW_AUDIT_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/log/commitlog.h"
#include "lib/txn/txn_state.h"

#define AUDIT_INVARIANT_MAP(X)                                                            \
	X(AUDIT_READABLE, "I1", "what is acknowledged can be read")                       \
	X(AUDIT_ONCE, "I2", "what is committed is published exactly once")                \
	X(AUDIT_INVISIBLE, "I3", "what is rolled back, undecided or not due is invisible") \
	X(AUDIT_FIRST_DECISION, "I4", "the first decision stands")                        \
	X(AUDIT_RESOLVED, "I5", "what is unknown is resolved in bounded time")            \
	X(AUDIT_KEPT, "I6", "nothing is dropped silently")                                \
	X(AUDIT_ORDERED, "I7", "offsets are dense, offsets and times ascend")             \
	X(AUDIT_FORMAT, "F", "records are as the formats say")

enum audit_invariant {
#define AUDIT_INVARIANT_ENUM(name, code, text) name,
	AUDIT_INVARIANT_MAP(AUDIT_INVARIANT_ENUM)
#undef AUDIT_INVARIANT_ENUM
	AUDIT_INVARIANT_COUNT
};

/* "I1", ...; "what is acknowledged can be read", ... */
const char *audit_invariant_code(enum audit_invariant invariant);
const char *audit_invariant_text(enum audit_invariant invariant);

struct audit_violation {
	enum audit_invariant invariant;
	uint64_t offset; /* Log offset of the record that shows it. */
	uint64_t other;  /* Of the record that it contradicts; 0 = none. */
	const char *text; /* One line, without the offset. Valid during the call. */
};
typedef void (*audit_report)(void *context, const struct audit_violation *violation);

struct audit;

/* `report` may be NULL: violations are counted only. NULL when out of memory. */
struct audit *audit_create(audit_report report, void *context);
/* NULL is allowed. */
void audit_destroy(struct audit *audit);
/* Takes the next record. Not OK is ST_NOMEM only: the audit cannot go on then. */
enum status audit_record(struct audit *audit, const struct log_record *record, struct errinfo *err) MUST_USE;

/* --- what is known after the records so far ----------------------------------------------------------------------- */

struct audit_facts {
	uint64_t start, end;              /* Offset of the first record; offset after the last one. */
	bool whole;                       /* It began with a log's first record: nothing is unknown. */
	uint32_t first_epoch, last_epoch;
	int64_t first_time_ms, last_time_ms; /* Of the store, as the records say; 0 without any. */
	uint64_t record_count;
	uint64_t kind_count[LOG_KIND_END]; /* Records of each kind; [0]: of unknown kinds. */

	uint64_t half_count;              /* HALF records. */
	uint64_t earlier_count;           /* Transactions whose half is older than `start`, but that records speak of. */
	uint64_t committed_count, rolled_back_count; /* Transactions (of both sorts) by their present state. */
	uint64_t parked_count, open_count;
	uint64_t unknown_count;           /* Neither: of before `start`, and not decided since. */
	uint64_t resent_count;            /* Halves with the name of one that is open or committed. */
	uint64_t published_count;         /* Transactions' messages that have a place in a queue. */
	uint64_t plain_count;             /* Other messages that have one. */
	uint64_t delayed_count;           /* Messages that wait for their time. */
	uint64_t topic_queue_count;

	uint64_t unknown_body_count;      /* Published messages whose body is older than `start`. */
	uint64_t unknown_carry_count;     /* CARRY records whose original was not there to compare. */
	uint64_t violation_count;
	uint64_t violations[AUDIT_INVARIANT_COUNT];
	size_t memory_bytes;              /* Of the audit itself. */
};
void audit_facts(const struct audit *audit, struct audit_facts *out);

struct audit_queue {
	struct span topic;
	uint32_t queue_id;
	uint64_t first_offset, next_offset; /* Queue offsets that records in this log gave. */
	uint64_t byte_count;                /* Of the messages, as delivered. */
	int64_t last_time_ms;
};
/* Calls back with each queue, in the order of their first messages. */
typedef void (*audit_queue_visit)(void *context, const struct audit_queue *queue);
void audit_walk_queues(const struct audit *audit, audit_queue_visit visit, void *context);

struct audit_transaction {
	uint64_t half_offset, half_queue_offset;
	uint64_t decision_offset;    /* Of the final decision; 0 while there is none. */
	enum txn_state state;        /* 0: not known, its half and decisions are older than the log. */
	int64_t store_time_ms;       /* Undecided ones only, like the rest; 0 = not known. */
	struct span group, topic;
	uint32_t queue_id;
	uint32_t attempts, answered; /* Checks. */
};
/* Calls back with each transaction in the order in which the log first speaks of them. */
typedef void (*audit_transaction_visit)(void *context, const struct audit_transaction *transaction);
void audit_walk_transactions(const struct audit *audit, audit_transaction_visit visit, void *context);

#endif
