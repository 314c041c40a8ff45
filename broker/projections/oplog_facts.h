/* The facts of the op log: what does a record of the broker's log say about a transaction?
 *
 * One mapping for both readers: the projector writes these facts to MySQL, `escrow-log oplog` prints them. Numbers and
 * words are those of the tables (sql/migrations); the views there repeat the words, and a test compares them.
 *
 * Threads: values. Spans point into the record. */
#ifndef ESCROW_OPLOG_FACTS_H
#define ESCROW_OPLOG_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"
#include "lib/log/commitlog.h"

#define OPLOG_TXN_STATE_MAP(X)               \
	X(OPLOG_PREPARED, 1, "prepared")     \
	X(OPLOG_COMMITTED, 2, "committed")   \
	X(OPLOG_ROLLED_BACK, 3, "rolled back") \
	X(OPLOG_PARKED, 4, "parked")

#define OPLOG_ACTOR_MAP(X)                     \
	X(OPLOG_NOBODY, 0, "")                 \
	X(OPLOG_PRODUCER, 1, "producer")       \
	X(OPLOG_CHECK_BACK, 2, "check-back")   \
	X(OPLOG_OPERATOR, 3, "operator")       \
	X(OPLOG_SQL_REQUEST, 4, "SQL request") \
	X(OPLOG_POLICY, 5, "policy")

#define OPLOG_EVENT_MAP(X)                           \
	X(OPLOG_CHECK_ASKED, 1, "check asked")       \
	X(OPLOG_CHECK_ANSWERED, 2, "check answered") \
	X(OPLOG_DID_COMMIT, 3, "committed")          \
	X(OPLOG_DID_ROLL_BACK, 4, "rolled back")     \
	X(OPLOG_DID_PARK, 5, "parked")               \
	X(OPLOG_DID_RESUME, 6, "resumed")            \
	X(OPLOG_REFUSED, 7, "refused")

#define OPLOG_DETAIL_MAP(X)              \
	X(OPLOG_UNKNOWN, 0, "unknown")   \
	X(OPLOG_COMMIT, 1, "commit")     \
	X(OPLOG_ROLLBACK, 2, "rollback")

#define OPLOG_ENUM(name, value, text) name = value,
enum oplog_txn_state { OPLOG_TXN_STATE_MAP(OPLOG_ENUM) };
enum oplog_actor { OPLOG_ACTOR_MAP(OPLOG_ENUM) };
enum oplog_event_kind { OPLOG_EVENT_MAP(OPLOG_ENUM) };
enum oplog_detail { OPLOG_DETAIL_MAP(OPLOG_ENUM) };
#undef OPLOG_ENUM

/* The words of the views; "" for a value that has none. */
const char *oplog_txn_state_text(enum oplog_txn_state state);
const char *oplog_actor_text(enum oplog_actor actor);
const char *oplog_event_text(enum oplog_event_kind event);
const char *oplog_detail_text(enum oplog_detail detail);

/* One row of `txn`: the state that a record gives to a transaction. */
struct oplog_txn {
	uint64_t half_offset;
	uint64_t half_queue_offset;
	int64_t created_ms;
	struct span transaction_id;
	struct span group;
	struct span topic;
	uint32_t queue_id;
	uint32_t size;
	enum oplog_txn_state state;
	enum oplog_actor decided_by;
	struct span decider;      /* Empty: not known. */
	int64_t decided_ms;       /* 0 while prepared. */
	uint32_t checks;
	bool has_queue_offset;
	uint64_t queue_offset;
	int64_t deliver_at_ms;    /* 0: at once. */
	uint64_t request_id;      /* 0: none. */
	struct span reason;       /* Empty: none was given. */
	uint64_t state_offset;    /* Of the record. */
};

/* One row of `txn_event`. */
struct oplog_event {
	uint64_t record_offset;
	uint32_t part;
	int64_t at_ms;
	uint64_t half_offset;
	enum oplog_event_kind event;
	enum oplog_actor actor;
	struct span actor_name;   /* Empty: not known. */
	uint32_t checks;
	enum oplog_detail detail; /* The outcome asked for (OPLOG_REFUSED), or the answer (OPLOG_CHECK_ANSWERED). */
	uint32_t repeats;         /* OPLOG_REFUSED: refusals before this one that were counted only. */
	struct span reason;       /* Empty: none was given. */
};

/* Who takes the facts. A failure ends the record and is returned. */
struct oplog_sink {
	/* A half message was stored: a transaction that is open, and probably decided soon. */
	enum status (*half)(void *context, const struct oplog_txn *half, struct errinfo *err);
	/* A transaction came into a state (also: an old half was carried to the log's end). */
	enum status (*txn)(void *context, const struct oplog_txn *txn, struct errinfo *err);
	enum status (*event)(void *context, const struct oplog_event *event, struct errinfo *err);
	void *context;
};

/* Gives the facts of one record to the sink; most kinds have none. *time_ms_io is raised to the record's time, where
 * it says one. ST_CORRUPT, ST_VERSION for a payload that cannot be read; failures of the sink. */
enum status oplog_facts(const struct log_record *record, const struct oplog_sink *sink, int64_t *time_ms_io,
			struct errinfo *err) MUST_USE;


#endif
