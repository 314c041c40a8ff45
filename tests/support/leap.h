/* Time that leaps, for this program: hours pass at once for all that goes by the monotonic clock, libevent's timers and ours.
 * What waits in the kernel meanwhile does not wake by it; a loop that a test turns itself sees it in its next turn.
 *
 * Takes the place of the C library's clock_gettime, so one file of a program may include it.
 * Threads: any. */
#ifndef ESCROW_TESTS_LEAP_H
#define ESCROW_TESTS_LEAP_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static atomic_int_least64_t leapt_ms;

int clock_gettime(clockid_t id, struct timespec *out)
{
	int result = (int)syscall(SYS_clock_gettime, id, out);

	if (result == 0 && (id == CLOCK_MONOTONIC || id == CLOCK_MONOTONIC_COARSE)) {
		int64_t leapt = atomic_load(&leapt_ms), ns = out->tv_nsec + leapt % 1000 * 1000000;

		out->tv_sec += leapt / 1000 + ns / 1000000000;
		out->tv_nsec = ns % 1000000000;
	}
	return result;
}

static inline void leap(int64_t ms)
{
	atomic_fetch_add(&leapt_ms, ms);
}

#endif
