/* When does a message ask to be delivered? RocketMQ's two ways to say so, and what the delivered message shows of them.
 *
 * DELAY names one of the configured levels; TIMER_DELAY_SEC, TIMER_DELAY_MS and TIMER_DELIVER_MS name any time. A level wins
 * over all of them, then seconds, milliseconds, a point in time. A message that was delivered once (TIMER_OUT_MS is there)
 * is not delayed again when somebody sends it once more.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_TIMERS_H
#define ESCROW_CORE_TIMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "lib/wire/properties.h"

enum wanted_by { WANTED_AT_ONCE, WANTED_BY_LEVEL, WANTED_BY_TIMER };

struct wanted_time {
	enum wanted_by by;
	int64_t level;          /* With WANTED_BY_LEVEL: one that is configured. With WANTED_AT_ONCE: what DELAY is made to show
				 * although there is none; 0: nothing is done about it. */
	int64_t delay_ms;       /* From now on; 0 with WANTED_AT_ONCE, > 0 otherwise. */
	int64_t deliver_at_ms;  /* The same as a point in time; 0 with WANTED_AT_ONCE. */
	bool absolute;          /* The point in time was named itself: a later commit does not move it. */
	int64_t out_ms;         /* A timer's TIMER_OUT_MS: RocketMQ's wheel counts whole seconds, rounded down. */
};

/* What a level asks for; levels beyond the last one count as that. */
struct wanted_time timers_level(const struct core *core, int64_t level);
/* What the properties ask for. Refused: a time that is no number or too far ahead (MESSAGE_ILLEGAL), timers that are turned
 * off (SYSTEM_ERROR, as RocketMQ has it). */
enum status timers_wanted(const struct core *core, const struct known_properties *known, struct wanted_time *out,
			  struct outcome *outcome) MUST_USE;
/* Properties that are left out when the message is stored; NULL-terminated, static. `half`: the delay begins later. */
const char *const *timers_taken_off(const struct wanted_time *wanted, bool half);
/* What the delivered message shows of its delay. */
void timers_put_properties(const struct core *core, const struct wanted_time *wanted, bool half, struct span topic,
			   uint32_t queue_id, struct buffer *out);

/* A half message's delay in its record: from the commit on, or, negative, until a point in time. */
int64_t timers_half_delay(const struct wanted_time *wanted);
/* When a half that is committed now is to be delivered; 0: at once. */
int64_t timers_deliver_at(const struct core *core, int64_t half_delay_ms);

#endif
