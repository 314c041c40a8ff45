/* What does a record say? Its time, its names, what it refers to: for `dump` and its filters.
 *
 * Message bodies are looked at only to find the properties KEYS and UNIQ_KEY; they are never shown.
 * Threads: values. Spans point into the record. */
#ifndef ESCROW_TOOLS_LOG_FACTS_H
#define ESCROW_TOOLS_LOG_FACTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

struct record_facts {
	const struct log_record *record;
	unsigned kind;               /* Of what is in it: of a CARRY, the original's kind. */
	bool carried;
	bool readable;
	struct errinfo why;          /* If not. */
	int64_t when_ms;             /* 0: it says none. */
	struct span topic, group, transaction_id, unique_key;
	struct span keys;            /* KEYS, words with blanks between. */
	size_t message_size;
	uint64_t half_offset;        /* The transaction that it is about; 0: none. */
	uint64_t named[2];           /* Other records that it names: source, body, original. 0: none. */
	union {
		struct record_message message;
		struct record_half half;
		struct record_decision decision;
		struct record_conflict conflict;
		struct record_deliver deliver;
		struct record_timer_cancel cancel;
		struct record_topic topic_settings;
		struct record_group group_settings;
		struct record_snapshot_mark mark;
	} as;
	uint64_t original_offset;    /* Of a CARRY. */
};

/* Of any record; batches (CHECK, OFFSETS, POP) give the facts of their first entry, and are to be visited for the rest. */
void facts_of_record(const struct log_record *record, struct record_facts *out);

struct lines;
/* The record as one line: offset, kind, and what it says. */
void facts_print(const struct record_facts *facts, struct lines *lines);

#endif
