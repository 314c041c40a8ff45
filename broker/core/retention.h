/* Which of the oldest segments may go?
 *
 * Knows of each segment when its youngest record was stored (by its own clock, retention_clock.h), what is open in it
 * (undecided halves, undelivered delayed messages) and the last record that refers to a body in it. The oldest segment goes
 * when it is past its time or the log is past its size, nothing open lies in it, the last record that refers into it is past
 * that too, and no snapshot, projection needs it. What is open in expired segments is carried out of them (carrying.h), what
 * lay in dropped ones goes from the indexes (trimming.h).
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_RETENTION_H
#define ESCROW_CORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/retention_clock.h"
#include "lib/base/status.h"

struct core;

struct retained_segment {
	uint64_t base, end;
	int64_t oldest_ms;    /* About the store time of its first record; 0: not known. */
	int64_t newest_ms;    /* Of its youngest record, by the clock of retention; 0: none yet. */
	uint64_t last_ref;    /* Log offset of the last record that refers to a body in here from a later segment; 0: none. */
	uint64_t open_count;  /* Undecided halves and undelivered delayed messages whose body is here. */
	int64_t carry_after_ms; /* Monotonic: until then a body in here that cannot be carried is let be, and those beside it. */
	uint64_t closed_at;   /* Log offset behind the record that closed the last one: until it is durable, it may be lost. */
};

struct retention {
	struct retained_segment *segments; /* As the log's, oldest first. */
	size_t count, capacity;
	struct retention_clock clock;
	uint64_t set_end;        /* What the log holds before here was stored by a clock that was set by set_ms since. */
	int64_t set_ms;          /* Negative: back. */
	uint64_t snapshot_pin;   /* From here on the older snapshot needs the log; 0: there are not two of them yet. */
	uint64_t outer_pin;      /* From here on a projection does; UINT64_MAX: none. */
};

void retention_deinit(struct retention *retention);
/* Takes over the log's segments; before anything is applied. ST_NOMEM. */
enum status retention_open(struct core *core) MUST_USE;
/* A snapshot was loaded, which does not say when the first records of segments were stored. The log's first was at `first_ms`
 * (0: not known); others before the replay's begin follow the youngest of the segment before. */
void retention_loaded(struct core *core, int64_t first_ms);
/* All is applied that the log holds: the broker begins to serve. */
void retention_start(struct core *core);

/* --- for apply: what the records say ------------------------------------------------------------------------------- */
void retention_note_record(struct core *core, uint64_t offset, int64_t when_ms);
void retention_note_reference(struct core *core, uint64_t body_offset, uint64_t by_offset);
void retention_note_open(struct core *core, uint64_t body_offset);
void retention_note_closed(struct core *core, uint64_t body_offset);

/* --- while serving -------------------------------------------------------------------------------------------------- */
/* Lets go what may go; a little each time. */
void retention_tick(struct core *core);
/* NULL: `offset` is in no segment that is kept. Valid until the next call or tick. */
struct retained_segment *retention_segment_of(struct core *core, uint64_t offset);
/* Is the segment (its place in the table) past its time, or that or past the log's size? The tail never is. */
bool retention_is_over_time(const struct core *core, size_t index);
bool retention_is_expired(const struct core *core, size_t index);

#endif
