/* What the core wants to have read from the disk of its own accord (to carry it, to give it again, to ask about it), so that a
 * later try finds it in the page cache.
 *
 * Each kind of work has a few places of its own and they are served in turn: none keeps the others from the disk. A wish that
 * finds no place is made again by the next try.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_WISHES_H
#define ESCROW_CORE_WISHES_H

#include <stdbool.h>
#include <stdint.h>

enum wisher { WISH_REVIVE, WISH_EXHAUSTED, WISH_EFFECT, WISH_CARRY_HALF, WISH_CARRY_DELAYED, WISHERS };
enum { WISHES_EACH = 6 };

struct wish {
	uint64_t offset; /* Of the log. */
	uint32_t size;
};

struct wishes {
	struct wish of[WISHERS][WISHES_EACH];
	uint32_t counts[WISHERS];
	uint32_t turn; /* Who is served next. */
};

/* False: he has wished enough for now. What he has wished already he need not wish again. */
bool wishes_add(struct wishes *wishes, enum wisher wisher, const struct wish *wish);
/* The next one, which is taken out; false when there is none. */
bool wishes_take(struct wishes *wishes, struct wish *out);

#endif
