/* Names to small numbers: every group name the broker has met gets a dense id, so that tables and the pending
 * transactions hold four bytes instead of text.
 *
 * Ids start at 1 (0 = no name) and are never reused while the process lives; they are not stored anywhere.
 * Bounded: a peer can invent names, so the table refuses beyond its limit.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_NAMES_H
#define ESCROW_CORE_NAMES_H

#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct names;

/* Without limits, until it is given some. NULL when out of memory. */
struct names *names_create(void);
void names_destroy(struct names *names);
/* Binds what is new from now on: there are more than `name_max` names already, perhaps. `soft_max` of them may be given to what
 * nobody records (names_intern_soft). */
void names_set_limits(struct names *names, uint32_t name_max, uint32_t soft_max);

/* The id of `name`, given out now if it is new. ST_FULL beyond the limit, ST_NOMEM; *id_out is 0 then. */
enum status names_intern(struct names *names, struct span name, uint32_t *id_out) MUST_USE;
/* The same for names that a peer only mentions in passing (heartbeats): refused when they would take the room of what is
 * recorded. */
enum status names_intern_soft(struct names *names, struct span name, uint32_t *id_out) MUST_USE;
/* The id of a known name, else 0. */
uint32_t names_find(const struct names *names, struct span name);
/* One past the highest id given. */
uint32_t names_end(const struct names *names);
/* The text of an id that names_intern gave out; stable for the life of the table. */
struct span names_text(const struct names *names, uint32_t id);

#endif
