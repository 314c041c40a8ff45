/* What ledger.c (taking records in) and ledger_check.c (comparing with a core) share. Everything carries the index of the
 * record that brought it: the state after n records is what has an index below n. */
#ifndef ESCROW_TESTS_LEDGER_INTERNAL_H
#define ESCROW_TESTS_LEDGER_INTERNAL_H

#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/txn/txn_state.h"
#include "tests/crash/ledger.h"

struct ledger_record {
	uint64_t offset, end;
	unsigned kind;
	uint32_t epoch;
	struct span payload; /* Owned. */
};

struct ledger_message { /* In its queue. */
	size_t record;
	uint64_t name_offset, prepared_offset;
	int64_t store_time_ms;
	struct span message; /* As stored; in the payload of the body's record. */
};

struct ledger_queue {
	struct span topic; /* Borrowed from a payload, as all texts are. */
	uint32_t id;
	struct ledger_message *messages;
	size_t count, capacity;
};

/* Where a record says that a body lies: must be that body. */
struct ledger_body {
	uint64_t offset;
	uint16_t delta;
	uint32_t size;
};

struct half_step {
	size_t record;
	enum txn_state state;
	uint64_t decision_offset;
	uint32_t attempts, answered; /* Of its checks so far. */
};

struct ledger_half {
	uint64_t offset;
	struct record_half half;
	struct half_step *steps;
	size_t count, capacity;
};

struct ledger_delayed {
	size_t record;
	size_t gone;           /* Index of the DELIVER or TIMER_CANCEL record; SIZE_MAX while it waits. */
	uint64_t naming_offset;
	int64_t deliver_at_ms;
	bool transactional;
	uint64_t half_offset;
	struct span message, topic;
	uint32_t queue_id;
};

struct ledger_step { /* Of a setting: the record has the values. Of a consumer offset. */
	size_t record;
	int64_t value;
};

struct ledger_row { /* A topic, a group, a consumer offset, or how a group is to fetch a topic. */
	unsigned kind;      /* LOG_TOPIC, LOG_GROUP, LOG_OFFSETS, LOG_POP */
	struct span name, topic;
	uint32_t queue_id;
	struct ledger_step *steps;
	size_t count, capacity;
};

struct ledger_pop_step {
	size_t record;
	struct record_pop pop;
};

struct ledger_pops { /* What a group was given of a queue; in ledger_pop.c. */
	struct span group, topic;
	uint32_t queue_id;
	struct ledger_pop_step *steps;
	size_t count;
};

struct ledger {
	struct ledger_record *records;
	size_t count, capacity;
	struct ledger_queue *queues;
	size_t queue_count, queue_capacity;
	struct ledger_half *halves;
	size_t half_count, half_capacity;
	struct ledger_delayed *delayed;
	size_t delayed_count, delayed_capacity;
	struct ledger_row *rows;
	size_t row_count, row_capacity;
	struct ledger_pops *pops;
	size_t pop_count;
	int64_t last_time_ms;
	uint64_t log_start; /* What lies below is gone from the log. */
};

/* snprintf into `why`; false. */
bool ledger_say(char why[LEDGER_WHY_SIZE], const char *fmt, ...) PRINTF_LIKE(2, 3);

/* Of any event but POP_REQUEST_MODE. */
bool ledger_pop_add(struct ledger *ledger, const struct record_pop *pop, char *why);
void ledger_pops_free(struct ledger *ledger);
/* The consumer offset that follows from it; -1: nothing does. */
int64_t ledger_pop_position(const struct ledger *ledger, struct span group, struct span topic, uint32_t queue_id, size_t count);
bool ledger_pops_check(const struct ledger *ledger, size_t count, struct core *core, char *why);

#endif
