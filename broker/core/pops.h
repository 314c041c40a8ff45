/* Which messages have a group's clients checked out by POP, and until when are they theirs?
 *
 * A row for each queue that a group pops from: `next`, below which all was checked out once, and what of that is neither
 * acknowledged nor given out in another way. Rows change by POP records only (apply.h); every event says what is, and is
 * taken again without harm: a check-out that the row knows, or knows a later one of, changes nothing. Rows stay, as those of
 * offsets.h do. Here too, because it is recorded alike: how a group's clients are to fetch a topic.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_POPS_H
#define ESCROW_CORE_POPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/base/table.h"
#include "lib/record/record_settings.h"

struct pop_key {
	uint32_t topic_id, group_id, queue_id; /* Of the core's name table. */
};

/* One message that is checked out. */
struct pop_entry {
	uint64_t offset;       /* Of the queue. */
	int64_t pop_ms;        /* Wall time; with it the client names this check-out. */
	int64_t invisible_ms;
	uint16_t deliveries;   /* Before this one; in order only: others come again from their retry topic. */
	bool orderly;          /* Given out in order: when it lapses it is given out again, at its place. */
	bool done;
};

struct pop_row {
	UT_hash_handle hh;
	struct pop_key key;
	uint64_t next;
	struct pop_entry *entries; /* Ascending offsets, from `head` on. */
	size_t head, count, capacity;
	size_t live;               /* Of them: not done. */
	int64_t due_ms;            /* No live one lapses earlier. */
	int64_t newest_ms;         /* None of the live ones in order was given out later. */
	uint64_t scanned;          /* Soft: what lies between `next` and here did not fit. */
	uint64_t attempt;          /* Soft: hash of the request that was given the orderly ones; 0: none. */
};

enum { REQUEST_MODE_PULL, REQUEST_MODE_POP };

struct request_mode {
	UT_hash_handle hh;
	uint64_t key;
	uint32_t topic_id, group_id;
	uint32_t mode;
	uint32_t shared_queues;
	bool known;
};

struct pops {
	struct pop_row *rows;
	struct request_mode *modes;
	size_t live;
};

void pops_init(struct pops *pops);
void pops_deinit(struct pops *pops);

struct pop_row *pops_find(const struct pops *pops, const struct pop_key *key);
/* The row, made now if need be, with room for `more` check-outs, so that pops_apply cannot fail. ST_NOMEM. */
enum status pops_reserve(struct pops *pops, const struct pop_key *key, size_t more, struct pop_row **row_out) MUST_USE;
/* What an event of a POP record does to its row; it has room. Not for POP_REQUEST_MODE. */
void pops_apply(struct pops *pops, struct pop_row *row, const struct record_pop *r);
/* From a snapshot. */
void pops_load(struct pops *pops, struct pop_row *row, const struct pop_entry *entry);

/* The check-out of this message, or NULL. */
struct pop_entry *pop_row_find(const struct pop_row *row, uint64_t offset);
/* The first live entry at or behind `offset`, or NULL. */
struct pop_entry *pop_row_from(const struct pop_row *row, uint64_t offset);
/* How far the group is: all below is done with. */
uint64_t pop_row_position(const struct pop_row *row);
/* Sets due_ms anew; what lapsed in order by now has been seen. */
void pop_row_look(struct pop_row *row, int64_t now_ms);

static inline int64_t pop_entry_due(const struct pop_entry *entry)
{
	return entry->pop_ms + entry->invisible_ms;
}

/* The topic, or the group, is gone. */
void pops_forget_topic(struct pops *pops, uint32_t topic_id);
void pops_forget_group(struct pops *pops, uint32_t group_id);
/* The group is gone, but what it has read is kept: what it had checked out comes again if it is made anew. */
void pops_settle_group(struct pops *pops, uint32_t group_id);

struct request_mode *pops_mode(const struct pops *pops, uint32_t topic_id, uint32_t group_id);
/* Room for it; what is not set yet is not `known`. NULL without memory. */
struct request_mode *pops_mode_make(struct pops *pops, uint32_t topic_id, uint32_t group_id);

#endif
