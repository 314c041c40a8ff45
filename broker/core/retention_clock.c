#include "broker/core/retention_clock.h"

enum { NEAR_MS = 60 * 1000, LASTS_MS = 10 * 60 * 1000, GRACE_MAX_MS = 3600 * 1000, DRAWN_PARTS = 8 };

static int64_t within(int64_t value, int64_t most)
{
	if (value > most)
		return most;
	return value < -most ? -most : value;
}

static void begin_grace(struct retention_clock *clock, int64_t away_ms)
{
	int64_t grace = within(away_ms, GRACE_MAX_MS), until = clock->mono_ms + (grace < 0 ? -grace : grace);

	if (clock->grace_until_ms < until)
		clock->grace_until_ms = until;
}

void retention_clock_start(struct retention_clock *clock, int64_t wall_ms, int64_t mono_ms, int64_t last_ms)
{
	*clock = (struct retention_clock){ .now_ms = wall_ms, .mono_ms = mono_ms, .near_ms = mono_ms, .grace_until_ms = mono_ms };
	if (last_ms != 0) /* A clock that went back meanwhile says as little as one that went forward. */
		begin_grace(clock, wall_ms - last_ms);
}

int64_t retention_clock_run(struct retention_clock *clock, int64_t wall_ms, int64_t mono_ms)
{
	int64_t passed = mono_ms - clock->mono_ms, apart;

	clock->now_ms += passed;
	clock->mono_ms = mono_ms;
	if (passed > NEAR_MS) /* The process, or the machine, stood still. */
		begin_grace(clock, passed);
	apart = wall_ms - clock->now_ms;
	if (within(apart, NEAR_MS) == apart) {
		clock->near_ms = mono_ms;
		clock->now_ms += within(apart, passed / DRAWN_PARTS);
		return 0;
	}
	if (mono_ms - clock->near_ms < LASTS_MS)
		return 0;
	clock->near_ms = mono_ms;
	clock->now_ms = wall_ms;
	return apart;
}
