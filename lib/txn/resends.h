/* Was this half message stored before? Resends of a half, found by a keyed hash of (group, UNIQ_KEY).
 *
 * Holds every open half and the most recently decided ones, up to `window` of those; the oldest decided go first. A
 * client resends within seconds, so a window of some hundred thousand covers it at any rate this broker reaches.
 * Of the 128-bit hash 96 bits are kept, keyed at random, so a hit is taken for equality: among ten million names
 * a chance hit is rarer than one in 10^21. 30 to 33 bytes an entry all in; no call takes long but
 * resends_reserve_total.
 * Threads: the loop thread. */
#ifndef ESCROW_TXN_RESENDS_H
#define ESCROW_TXN_RESENDS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/hash.h"
#include "lib/base/status.h"

struct resends;

/* True while the half at this position of the half queue is open. */
typedef bool (*resends_is_open)(void *context, uint64_t half_queue_offset);

/* window 0: remembers nothing. NULL when out of memory. */
struct resends *resends_create(uint32_t window, resends_is_open is_open, void *context);
void resends_destroy(struct resends *resends);
/* Room for one more, so that resends_add cannot fail. ST_NOMEM. */
enum status resends_reserve(struct resends *resends) MUST_USE;
/* Sizes the index for `count` in all at once: for a start that knows how many will come. What follows is
 * resends_reserve and resends_add for each, as ever. ST_NOMEM. */
enum status resends_reserve_total(struct resends *resends, uint32_t count) MUST_USE;
/* A name that is known already stays as it is. Asks is_open about up to two of the oldest. */
void resends_add(struct resends *resends, struct hash128 name, uint64_t half_queue_offset);
bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out);
uint64_t resends_count(const struct resends *resends);

/* A walk in the order in which they stand (of arrival, but open ones that outlast the window go back to the end):
 * the one at *cursor or behind; false at the end; moves the cursor on. It starts at 0. resends_add may be called
 * between the calls: one that is there during the whole walk is seen at least once; one that went back to the end
 * meanwhile is seen there again, which resends_add ignores when the copy is loaded. The name comes with the 96 bits
 * that are kept; they are enough for resends_add and resends_find. */
bool resends_next(const struct resends *resends, uint64_t *cursor, struct hash128 *name_out,
		  uint64_t *half_queue_offset_out);

#endif
