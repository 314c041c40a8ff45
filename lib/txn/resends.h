/* Was this half message stored before? Resends of a half, found by a keyed 128-bit hash of (group, UNIQ_KEY).
 *
 * Knows every open half and the `window` halves that were decided last. A client resends within seconds, so some hundred
 * thousand cover it at any rate this broker reaches. An open half's name is in its pending entry; what is here of it is
 * 10 to 12.5 bytes of index. A decided one's name is kept in a ring of 24 bytes each.
 * The hash key is random, so a hit is taken for equality. No call takes long, however many there are, but
 * resends_reserve_total.
 * Threads: the loop thread. */
#ifndef ESCROW_TXN_RESENDS_H
#define ESCROW_TXN_RESENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/base/status.h"
#include "lib/txn/pending.h"

struct resends;

/* `table` holds the open halves and outlives this. window 0: open ones only. NULL when out of memory. */
struct resends *resends_create(uint32_t window, const struct pending_table *table);
void resends_destroy(struct resends *resends);

/* Room for one more, so that resends_open and resends_load cannot fail. ST_NOMEM. */
enum status resends_reserve(struct resends *resends) MUST_USE;
/* Room for `count` open ones at once: for a start that knows how many will come. What follows is resends_reserve for
 * each, as ever. ST_NOMEM. */
enum status resends_reserve_total(struct resends *resends, uint32_t count) MUST_USE;

/* A half was opened: entry->name is set. Of open ones with the same name the first counts; a decided one gives way: whoever
 * opened this one had forgotten it. */
void resends_open(struct resends *resends, const struct pending *entry);
/* It is being decided: to be called before pending_remove. The oldest decided one is forgotten if the window is full. */
void resends_close(struct resends *resends, const struct pending *entry);
/* resends_open with this name follows soon; see pending_prefetch. */
void resends_prefetch(const struct resends *resends, struct hash128 name);
bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out);

/* A decided half. */
struct resend {
	struct hash128 name;
	uint64_t half_queue_offset;
};
/* A walk over the decided ones, oldest first: the one at *cursor or behind; false at the end; moves the cursor on. It
 * starts at 0. Halves may be opened and closed between the calls: one that is there during the whole walk is seen
 * exactly once, one that comes meanwhile is seen at the end. */
bool resends_next(const struct resends *resends, uint64_t *cursor, struct resend *out);
/* Takes in what a walk gave: an open one with that name stays, a decided one gives way. Room must be reserved. */
void resends_load(struct resends *resends, const struct resend *decided);

/* Open and decided ones that it knows. */
uint32_t resends_count(const struct resends *resends);

#endif
