/* Waiting for something by turning a loop that belongs to the test's own thread. */
#ifndef ESCROW_TESTS_TURNS_H
#define ESCROW_TESTS_TURNS_H

#include "lib/base/clock.h"
#include "lib/net/loop.h"

enum { PATIENCE_MS = 10000 };

/* Turns until `condition` or until patience ends; gives the condition. */
#define TURN_UNTIL(loop, condition)                                                               \
	({                                                                                        \
		int64_t until_ms_ = clock_mono_ms(clock_system()) + PATIENCE_MS;                  \
		while (!(condition) && clock_mono_ms(clock_system()) < until_ms_)                 \
			loop_turn(loop, 5);                                                       \
		(condition);                                                                      \
	})

#endif
