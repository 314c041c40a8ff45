/* See clock.h. */
#include "lib/base/clock.h"

#include <stddef.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int64_t system_wall_ms(void *context)
{
	(void)context;
	return read_ms(CLOCK_REALTIME);
}

static int64_t system_mono_ms(void *context)
{
	(void)context;
	return read_ms(CLOCK_MONOTONIC);
}

const struct clock *clock_system(void)
{
	static const struct clock system_clock = { system_wall_ms, system_mono_ms, NULL };

	return &system_clock;
}

static int64_t manual_wall_ms(void *context)
{
	return ((struct clock_manual *)context)->wall_now_ms;
}

static int64_t manual_mono_ms(void *context)
{
	return ((struct clock_manual *)context)->mono_now_ms;
}

void clock_manual_init(struct clock_manual *manual, int64_t wall_ms, int64_t mono_ms)
{
	manual->clock = (struct clock){ manual_wall_ms, manual_mono_ms, manual };
	manual->wall_now_ms = wall_ms;
	manual->mono_now_ms = mono_ms;
}

void clock_manual_advance(struct clock_manual *manual, int64_t by_ms)
{
	manual->wall_now_ms += by_ms;
	manual->mono_now_ms += by_ms;
}
