#include "broker/core/timers.h"

#include <inttypes.h>

#include "broker/core/state.h"

enum { PRECISION_MS = 1000 }; /* RocketMQ's timerPrecisionMs. */

struct wanted_time timers_level(const struct core *core, int64_t level)
{
	struct wanted_time wanted = { .by = WANTED_AT_ONCE };

	if (level <= 0 || core->config.delay_level_count == 0)
		return wanted;
	if (level > core->config.delay_level_count)
		level = core->config.delay_level_count;
	if (core->config.delay_levels_ms[level - 1] <= 0)
		return wanted;
	wanted.by = WANTED_BY_LEVEL;
	wanted.level = level;
	wanted.delay_ms = core->config.delay_levels_ms[level - 1];
	wanted.deliver_at_ms = core->wall_ms + wanted.delay_ms;
	return wanted;
}

/* ms from now on that the timer properties ask for; what does not fit a number of ms is as good as never. */
static enum status timer_delay(const struct core *core, const struct known_properties *known, int64_t *delay_ms,
			       bool *absolute)
{
	struct span text = known->timer_delay_sec.size > 0 ? known->timer_delay_sec
			   : known->timer_delay_ms.size > 0 ? known->timer_delay_ms
							     : known->timer_deliver_ms;

	*absolute = known->timer_delay_sec.size == 0 && known->timer_delay_ms.size == 0;
	if (span_to_i64(text, delay_ms) != ST_OK)
		return ST_INVALID;
	if (known->timer_delay_sec.size > 0 && __builtin_mul_overflow(*delay_ms, 1000, delay_ms))
		return ST_INVALID;
	return *absolute && __builtin_sub_overflow(*delay_ms, core->wall_ms, delay_ms) ? ST_INVALID : ST_OK;
}

static enum status timer_wanted(const struct core *core, const struct known_properties *known, struct wanted_time *out,
				struct outcome *outcome)
{
	int64_t most = core->config.timer_max_delay_ms;

	if (!core->config.timers)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "accurate timer message is not enabled, timerWheelEnable is false");
	if (timer_delay(core, known, &out->delay_ms, &out->absolute) != ST_OK)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL,
				   "timer message illegal, the delay time is not a number that fits: give TIMER_DELAY_SEC, TIMER_DELAY_MS or "
				   "TIMER_DELIVER_MS in decimal");
	if (out->delay_ms > most)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL,
				   "timer message illegal, the delay time should not be bigger than the max delay %" PRId64
				   "ms (timerMaxDelaySec); or if set del msg, the delay time should be bigger than the current time",
				   most);
	if (out->delay_ms <= 0) {
		*out = (struct wanted_time){ .by = WANTED_AT_ONCE };
		return ST_OK;
	}
	out->by = WANTED_BY_TIMER;
	out->deliver_at_ms = core->wall_ms + out->delay_ms;
	out->out_ms = (out->deliver_at_ms - 1) / PRECISION_MS * PRECISION_MS;
	return ST_OK;
}

enum status timers_wanted(const struct core *core, const struct known_properties *known, struct wanted_time *out,
			  struct outcome *outcome)
{
	int64_t level;

	*out = (struct wanted_time){ .by = WANTED_AT_ONCE };
	if (known->delay.size > 0 && span_to_i64(known->delay, &level) == ST_OK && level > 0) {
		*out = timers_level(core, level);
		return ST_OK;
	}
	if (known->timer_out_ms.size > 0 ||
	    (known->timer_delay_sec.size == 0 && known->timer_delay_ms.size == 0 && known->timer_deliver_ms.size == 0))
		return ST_OK;
	return timer_wanted(core, known, out, outcome);
}

/* --- properties ---------------------------------------------------------------------------------------- */

/* What the broker sets itself, and what only asked it for something. */
#define BROKER_SETS PROPERTY_POP_CK, PROPERTY_MSG_REGION, PROPERTY_TRACE_ON, PROPERTY_CLUSTER, PROPERTY_TRANSACTION_ID

const char *const *timers_taken_off(const struct wanted_time *wanted, bool half)
{
	static const char *const plain[] = { BROKER_SETS, NULL };
	static const char *const undelayed[] = { BROKER_SETS, PROPERTY_DELAY, NULL };
	static const char *const level[] = { BROKER_SETS, PROPERTY_DELAY, PROPERTY_TIMER_DELAY_SEC, PROPERTY_TIMER_DELAY_MS,
					     PROPERTY_TIMER_DELIVER_MS, PROPERTY_REAL_TOPIC, PROPERTY_REAL_QID, NULL };
	static const char *const timer[] = { BROKER_SETS, PROPERTY_REAL_TOPIC, PROPERTY_REAL_QID, PROPERTY_TIMER_ENQUEUE_MS, NULL };
	/* Its time is known at the commit only; without TIMER_OUT_MS these would delay it again when it is sent once more. */
	static const char *const timed_half[] = { BROKER_SETS, PROPERTY_TIMER_DELAY_SEC, PROPERTY_TIMER_DELAY_MS,
						  PROPERTY_TIMER_DELIVER_MS, NULL };

	switch (wanted->by) {
	case WANTED_BY_LEVEL: return level;
	case WANTED_BY_TIMER: return half && !wanted->absolute ? timed_half : timer;
	case WANTED_AT_ONCE: break;
	}
	return wanted->level != 0 ? undelayed : plain;
}

void timers_put_properties(const struct core *core, const struct wanted_time *wanted, bool half, struct span topic,
			   uint32_t queue_id, struct buffer *out)
{
	if (wanted->by == WANTED_AT_ONCE && wanted->level != 0)
		property_put_i64(out, PROPERTY_DELAY, wanted->level);
	if (wanted->by == WANTED_AT_ONCE || (wanted->by == WANTED_BY_TIMER && half && !wanted->absolute))
		return;
	/* RocketMQ's scheduled messages and timers show where they come from, and the level. */
	property_put(out, PROPERTY_REAL_TOPIC, topic);
	property_put_i64(out, PROPERTY_REAL_QID, queue_id);
	if (wanted->by == WANTED_BY_LEVEL) {
		property_put_i64(out, PROPERTY_DELAY, wanted->level);
	} else {
		property_put_i64(out, PROPERTY_TIMER_OUT_MS, wanted->out_ms);
		property_put_i64(out, PROPERTY_TIMER_ENQUEUE_MS, core->wall_ms);
	}
}

/* --- half messages --------------------------------------------------------------------------------------- */

int64_t timers_half_delay(const struct wanted_time *wanted)
{
	return wanted->absolute ? -wanted->deliver_at_ms : wanted->delay_ms;
}

int64_t timers_deliver_at(const struct core *core, int64_t half_delay_ms)
{
	if (half_delay_ms < 0)
		return -half_delay_ms > core->wall_ms ? -half_delay_ms : 0;
	return half_delay_ms > 0 ? core->wall_ms + half_delay_ms : 0;
}
