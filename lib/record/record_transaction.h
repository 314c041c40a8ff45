/* Records of a transaction's life: HALF, DECISION, CONFLICT, CHECK.
 *
 * A DECISION is self-sufficient: a commit needs no look at the half message, and neither do queues, the op log or
 * MySQL. HALF, DECISION and CONFLICT have room for an id that spans several messages (part i of n).
 * encode() writes exactly size() bytes. Decoded spans borrow from the payload. Threads: pure. */
#ifndef ESCROW_RECORD_TRANSACTION_H
#define ESCROW_RECORD_TRANSACTION_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

/* An id over several messages, perhaps on several brokers. Alone: empty id, part 0 of 1. */
struct record_global {
	struct span id;
	uint16_t part;
	uint16_t part_count;
};

struct record_half {
	uint64_t half_queue_offset; /* n: what clients quote as tranStateTableOffset. */
	int64_t store_time_ms;
	int64_t immunity_ms;        /* No check-back before this age; -1: the broker's default. */
	int64_t delay_ms;           /* Delivery this long after the commit; 0 = at once; < 0: at the time -delay_ms. */
	int32_t tag_hash;
	uint32_t queue_id;          /* Of the real topic. */
	struct span topic;          /* The real topic. */
	struct span group;          /* Producer group. */
	struct span transaction_id;
	struct span unique_key;
	struct span client_id;      /* Of the connection that sent it; may be empty. */
	struct record_global global;
	struct span message;        /* As it will be delivered; the last part of the payload. */
};
size_t record_half_size(const struct record_half *r);
void record_half_encode(const struct record_half *r, uint8_t *at);
/* All but the message, which the caller writes in place: its `size` counts, its `data` is not looked at. */
void record_half_encode_head(const struct record_half *r, uint8_t *at);
enum status record_half_decode(struct span payload, struct record_half *out, struct errinfo *err) MUST_USE;

enum record_outcome { OUTCOME_COMMIT = 1, OUTCOME_ROLLBACK = 2, OUTCOME_PARK = 3, OUTCOME_RESUME = 4 };
enum record_who { WHO_PRODUCER = 1, WHO_CHECKBACK = 2, WHO_OPERATOR = 3, WHO_SQL = 4, WHO_POLICY = 5 };
/* "committed", "rolled back", ...; "producer", "check-back", ... */
const char *record_outcome_text(enum record_outcome outcome);
const char *record_who_text(enum record_who who);

struct record_decision {
	uint64_t half_offset;       /* Log offset of the HALF record: the transaction's identity. */
	uint64_t half_queue_offset;
	int64_t half_store_time_ms;
	uint64_t body_offset;       /* The record that holds the message: HALF or CARRY. */
	uint32_t message_size;
	uint16_t message_delta;     /* From body_offset to the message. */
	enum record_outcome outcome;
	enum record_who who;
	int64_t when_ms;            /* Also the committed message's store time. */
	uint32_t answered_checks;   /* Checks answered UNKNOWN before. */
	uint64_t request_id;        /* Of an SQL verdict; 0 = none. */
	uint64_t queue_offset;      /* Commit without delay: the message's place in its queue. */
	int64_t deliver_at_ms;      /* Commit with delay: when; else 0. */
	uint32_t queue_id;
	int32_t tag_hash;
	struct span topic;
	struct span group;
	struct span transaction_id;
	struct span who_text;       /* Client id, operator, ... */
	struct span reason;
	struct record_global global;
};
size_t record_decision_size(const struct record_decision *r);
void record_decision_encode(const struct record_decision *r, uint8_t *at);
enum status record_decision_decode(struct span payload, struct record_decision *out, struct errinfo *err) MUST_USE;

/* Somebody asked for the opposite of what was decided, and was refused. Rate-limited: `suppressed` counts the
 * refusals since the last CONFLICT record that got none of their own. */
struct record_conflict {
	uint64_t half_offset;
	uint64_t half_queue_offset;
	uint64_t decision_offset;
	enum record_outcome asked;
	enum record_who who;
	enum record_outcome decided;
	int64_t when_ms;
	uint32_t suppressed;
	struct span group;
	struct span transaction_id;
	struct span who_text;
	struct record_global global;
};
size_t record_conflict_size(const struct record_conflict *r);
void record_conflict_encode(const struct record_conflict *r, uint8_t *at);
enum status record_conflict_decode(struct span payload, struct record_conflict *out, struct errinfo *err) MUST_USE;

/* Check-backs, batched. Counts are absolute, so that replay is idempotent. */
enum check_event { CHECK_ASKED = 1, CHECK_ANSWERED_UNKNOWN = 2 };
struct record_check {
	uint64_t half_offset;
	uint64_t half_queue_offset;
	uint32_t attempts;       /* Times asked so far. */
	uint32_t answered;       /* Times answered UNKNOWN so far. */
	enum check_event event;
	int64_t when_ms;
	struct span who_text;    /* Client asked, or that answered. */
};
enum { RECORD_CHECKS_MAX = 1024 };
size_t record_checks_size(const struct record_check *checks, size_t count);
void record_checks_encode(const struct record_check *checks, size_t count, uint8_t *at);
/* Calls back per check. A callback's failure ends the decoding and is returned. */
typedef enum status (*record_check_visit)(void *context, const struct record_check *check, struct errinfo *err);
enum status record_checks_decode(struct span payload, record_check_visit visit, void *context,
				 struct errinfo *err) MUST_USE;

#endif
