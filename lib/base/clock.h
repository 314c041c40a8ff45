/* Time, as a parameter: nothing in the core reads a clock by itself, so that tests and the simulator own time.
 *
 * `wall_ms` is data (what is stored and shown); `mono_ms` decides (deadlines, ages, idle limits).
 * Threads: clock_system() may be used by any thread; other clocks say for themselves. */
#ifndef ESCROW_BASE_CLOCK_H
#define ESCROW_BASE_CLOCK_H

#include <stdint.h>

struct clock {
	int64_t (*wall_ms)(void *context); /* Milliseconds since 1970, UTC. May jump. */
	int64_t (*mono_ms)(void *context); /* Milliseconds, never decreasing. */
	void *context;
};

/* The operating system's clocks. Static lifetime. */
const struct clock *clock_system(void);

/* A clock that a test moves by hand: both readings are what it holds. */
struct clock_manual {
	struct clock clock;
	int64_t wall_now_ms;
	int64_t mono_now_ms;
};
void clock_manual_init(struct clock_manual *manual, int64_t wall_ms, int64_t mono_ms);
void clock_manual_advance(struct clock_manual *manual, int64_t by_ms);

static inline int64_t clock_wall_ms(const struct clock *clock)
{
	return clock->wall_ms(clock->context);
}

static inline int64_t clock_mono_ms(const struct clock *clock)
{
	return clock->mono_ms(clock->context);
}

#endif
