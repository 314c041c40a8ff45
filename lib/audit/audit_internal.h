/* What the parts of the audit share: audit.c (records, facts), audit_transactions.c, audit_messages.c. */
#ifndef ESCROW_AUDIT_INTERNAL_H
#define ESCROW_AUDIT_INTERNAL_H

#include "lib/audit/audit.h"
#include "lib/audit/pool.h"
#include "lib/base/hash.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

enum { QUEUE_ID_MAX = 1023 }; /* The formats allow more, no broker makes more. */

/* A topic's or a group's name. Names get dense ids from 1 (slot + 1). */
struct name {
	uint64_t hash;
	uint8_t *text;
	uint32_t size;
	uint64_t deleted_at; /* Of a topic: log offset of its last deletion; 0: none. */
};

struct queue {
	uint64_t key;        /* Topic's id << 32 | queue id. */
	uint64_t first_offset, next_offset;
	uint64_t byte_count;
	int64_t last_time_ms;
	uint64_t last_record; /* That gave the last place. */
	uint64_t born;        /* The topic's deleted_at when it was begun. */
};

/* Every transaction that the log speaks of. */
struct half {
	uint64_t n;        /* Half queue offset. */
	uint64_t name;     /* Hash of (group, UNIQ_KEY); 0 = not known. */
	uint64_t place;    /* Log offset of the HALF, which is a multiple of 8, | state (0: not known, from before the log). */
	uint64_t decision; /* Final: log offset of the DECISION. Undecided: slot in `opens`. */
};

/* More about it, until it is decided. */
struct open_half {
	uint64_t transaction_id; /* Hash. */
	uint64_t body_offset;    /* Of the HALF, or of the latest CARRY of it. */
	int64_t store_time_ms;
	int64_t delay_ms;        /* As in the record: negative ones are points in time. */
	uint32_t group, topic;   /* Ids of names. 0: nothing is known but what follows below. */
	uint32_t queue_id;
	uint32_t message_size;
	int32_t tag_hash;
	uint32_t payload_size, payload_crc;
	uint16_t message_delta;  /* From the HALF to the message. */
	uint32_t attempts, answered;
};

/* A message with a delay, until it is delivered or recalled. */
struct delayed {
	uint64_t source;         /* Log offset of the MESSAGE or DECISION. */
	uint64_t original;       /* Of the MESSAGE or HALF that holds the body. */
	uint64_t body_offset;    /* The same, or the latest CARRY of it. */
	int64_t deliver_at_ms;
	uint32_t topic, queue_id;
	uint32_t message_size;
	int32_t tag_hash;
	uint32_t payload_size, payload_crc; /* Of the source. */
	uint32_t body_size, body_crc;       /* Of the payload that holds the body; size 0 = not known. */
	uint16_t message_delta;             /* From `original` to the message. */
	bool transactional;
	bool gone;               /* Of before the log: delivered or recalled since. */
};

/* The body of a half that is older than the log and perhaps decided with a delay before it began. */
struct carried {
	uint64_t offset;         /* Of the CARRY. */
	uint64_t n;
};

struct audit {
	audit_report report;
	void *context;
	struct hash_key key;
	const struct log_record *record; /* The one at hand. */
	struct audit_facts facts;

	struct table names, queues;
	struct pool halves, opens;
	struct lookup halves_by_n, halves_by_name; /* By name: open and committed ones. */
	struct table delays;
	struct table carried;
	uint64_t next_half;     /* Number that the next HALF must have, */
	bool half_seen;         /* once there was one; */
	uint64_t earlier_end;   /* until then: above the highest number of an older half. */
};

/* Counts and reports; the violating record is audit->record. */
void audit_violated(struct audit *audit, enum audit_invariant invariant, uint64_t other, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* Decoding failed with this: reported as AUDIT_FORMAT. Always ST_OK, because the audit goes on. */
enum status audit_unreadable(struct audit *audit, const struct errinfo *why);
void audit_note_time(struct audit *audit, int64_t when_ms);

/* The id of a name. ST_NOMEM. */
enum status audit_name(struct audit *audit, struct span text, uint32_t *id_out) MUST_USE;
struct span audit_name_text(const struct audit *audit, uint32_t id);
uint64_t audit_hash(const struct audit *audit, struct span a, struct span b);

/* A message gets a place in a queue. ST_NOMEM. */
struct placing {
	struct span topic;
	uint32_t queue_id;
	uint64_t queue_offset;
	int64_t store_time_ms;
	uint32_t message_size;
};
enum status audit_place(struct audit *audit, const struct placing *placing) MUST_USE;

/* Nothing can be known about what lies there: retention has taken it. */
static inline bool audit_is_earlier(const struct audit *audit, uint64_t offset)
{
	return !audit->facts.whole && offset < audit->facts.start;
}

/* A message's body lies where nothing was seen: before the log, which is counted if the message is published, or
 * nowhere, which is reported. */
void audit_unknown_body(struct audit *audit, uint64_t body_offset, bool published);

/* a - b, for numbers that may come from anywhere. */
static inline int64_t audit_difference(int64_t a, int64_t b)
{
	return (int64_t)((uint64_t)a - (uint64_t)b);
}

/* A CARRY's payload begins this far behind its envelope's end. */
enum { CARRY_HEAD_SIZE = 2 + 8 + 1 + 4 };

/* audit_transactions.c. Each takes one record of its kind; ST_NOMEM. */
enum status audit_half(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_decision(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_conflict(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_checks(struct audit *audit, const struct log_record *record, struct errinfo *err) MUST_USE;
enum status audit_carried_half(struct audit *audit, const struct record_carry *carry) MUST_USE;
/* A carried DECISION tells how a transaction stands whose records may be older than the log. */
enum status audit_carried_decision(struct audit *audit, const struct record_carry *carry,
				   const struct record_decision *r) MUST_USE;
/* A message from before the log is delivered out of a CARRY: the transaction was committed, then. False: not a body of
 * one that is known. */
bool audit_delivered_carry(struct audit *audit, const struct record_deliver *r);
/* The transaction with this number, NULL if none is known. Until the next is added. */
struct half *audit_find_half(const struct audit *audit, uint64_t n);

static inline uint64_t half_offset(const struct half *half) { return half->place & ~(uint64_t)7; }
static inline unsigned half_state(const struct half *half) { return half->place & 7; }
static inline bool half_is_final(const struct half *half)
{
	return half_state(half) == TXN_COMMITTED || half_state(half) == TXN_ROLLED_BACK;
}

/* audit_messages.c */
enum status audit_message(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_deliver(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_timer_cancel(struct audit *audit, const struct log_record *record) MUST_USE;
enum status audit_carry(struct audit *audit, const struct log_record *record) MUST_USE;
/* The commit of a transaction with a delay begins to wait; `open` is NULL when its half is not known. */
enum status audit_delay_commit(struct audit *audit, const struct log_record *record, const struct record_decision *r,
			       const struct open_half *open) MUST_USE;

#endif
