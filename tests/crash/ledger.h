/* What must a broker show whose log holds exactly these records? A model in plain code, beside the real core.
 *
 * A ledger takes records in log order, says when one contradicts those before it (a second final decision, a gap in a
 * queue, a time that goes back, a message that nobody holds), and knows the state after each of them: so one ledger serves
 * every place at which a log may have been cut.
 * Threads: values. */
#ifndef ESCROW_TESTS_LEDGER_H
#define ESCROW_TESTS_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

struct core;
struct ledger;

enum { LEDGER_WHY_SIZE = 512 };

struct ledger *ledger_create(void);
/* NULL is allowed. */
void ledger_destroy(struct ledger *ledger);
/* A new one with the first `count` records of this one. */
struct ledger *ledger_fork(const struct ledger *ledger, size_t count);

/* Takes in one more (lib/log's own kinds are passed over). False: it contradicts; `why` says how. */
bool ledger_add(struct ledger *ledger, const struct log_record *record, char why[LEDGER_WHY_SIZE]);
/* The log begins here by now. */
void ledger_note_start(struct ledger *ledger, uint64_t log_start);
size_t ledger_count(const struct ledger *ledger);
/* How many end at or before this log offset. */
size_t ledger_count_until(const struct ledger *ledger, uint64_t offset);
/* Records of each kind, added to counts[LOG_KIND_END]; of decisions, by outcome, to outcomes[5]. */
void ledger_count_kinds(const struct ledger *ledger, uint64_t *counts, uint64_t *outcomes);

/* Compares the records of an opened log from the one with index `from` on (or from its start, when that is later).
 * *count_out: how many records of the ledger end with the log; the oldest of them may have been given up. False: it
 * holds another record, or stops at a bad one. */
bool ledger_match(const struct ledger *ledger, struct commitlog *log, size_t from, size_t *count_out,
		  char why[LEDGER_WHY_SIZE]);
/* Compares everything that the core shows with the state after `count` records: queues (each message byte for byte),
 * halves, pending ones with their check counts, consumer offsets, topics, groups, delayed messages, what POP has given out.
 * What lies below log offset `gone` may have been given up: it may be gone from the log, from queues and from the index of
 * decided halves, and from nothing else. */
bool ledger_check(const struct ledger *ledger, size_t count, uint64_t gone, struct core *core,
		  char why[LEDGER_WHY_SIZE]);

/* An undecided half after `count` records: the newest one; false when there is none. */
struct ledger_open {
	uint64_t half_offset, half_queue_offset;
};
bool ledger_find_open(const struct ledger *ledger, size_t count, struct ledger_open *out);
/* Messages that POP gave out, not in order, whose time is over by now, but that did not come again yet. */
size_t ledger_pop_overdue(const struct ledger *ledger, int64_t now_ms);

/* Something that was acknowledged: is it in the records that end at or before wait_offset? */
enum ledger_claim_kind { CLAIM_MESSAGE, CLAIM_HALF, CLAIM_DECISION, CLAIM_OFFSET, CLAIM_TOPIC, CLAIM_GROUP, CLAIM_RECALL,
			 CLAIM_POP };
struct ledger_claim {
	enum ledger_claim_kind kind;
	uint64_t wait_offset;
	uint64_t log_offset;           /* MESSAGE, HALF: its name. DECISION: the half's. RECALL: the message's. */
	char key[40];                  /* MESSAGE, HALF, RECALL: unique key. OFFSET, POP: group. TOPIC, GROUP: name. */
	char topic[40];                /* OFFSET, POP */
	uint32_t queue_id;             /* OFFSET, POP */
	int64_t value;                 /* OFFSET. POP: the message's offset; of a mode: the shared queues. */
	enum pop_event event;          /* POP */
	enum record_outcome outcome;   /* DECISION */
};
bool ledger_holds(const struct ledger *ledger, const struct ledger_claim *claim);

#endif
