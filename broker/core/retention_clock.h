/* What time is it for retention, which destroys what it judges?
 *
 * Not what the wall clock says at once: one wrong reading, or a broker that was away for days, would let go all that is kept
 * before anyone can consume it. This clock runs with the monotonic one and is only drawn to the wall clock, by an eighth of
 * the time that passes. Is the wall clock more than a minute apart for ten minutes, it is believed: the clock is set, and
 * whoever keeps times of it moves them, so that nothing is older than before.
 *
 * After time that the broker was away there is a grace: as long as it was away, an hour at most.
 * Threads: one. */
#ifndef ESCROW_CORE_RETENTION_CLOCK_H
#define ESCROW_CORE_RETENTION_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

struct retention_clock {
	int64_t now_ms;         /* As a wall time. */
	int64_t mono_ms;        /* When it was that. */
	int64_t near_ms;        /* Monotonic: when the wall clock was last near. */
	int64_t grace_until_ms; /* Monotonic. */
};

/* A start. `last_ms`: the last wall time that is known of before it; 0: there was nothing before. */
void retention_clock_start(struct retention_clock *clock, int64_t wall_ms, int64_t mono_ms, int64_t last_ms);
/* Some time has passed. Returns by how much the clock was set, forward or (negative) back; 0: it just ran. */
int64_t retention_clock_run(struct retention_clock *clock, int64_t wall_ms, int64_t mono_ms);

/* Nothing may go for its age now. */
static inline bool retention_clock_grace(const struct retention_clock *clock)
{
	return clock->mono_ms < clock->grace_until_ms;
}

#endif
