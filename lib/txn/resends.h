/* Was this half message stored before? Resends of a half, found by a keyed 128-bit hash of (group, UNIQ_KEY).
 *
 * Holds every open half and the most recently decided ones, up to `window` of those; the oldest decided go first. A
 * client resends within seconds, so a window of some hundred thousand covers it at any rate this broker reaches.
 * The hash key is random per process and the hash is 128 bits wide, so a hit is taken for equality.
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
void resends_add(struct resends *resends, struct hash128 name, uint64_t half_queue_offset);
bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out);
uint64_t resends_count(const struct resends *resends);

#endif
