#include "broker/core/retention.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "lib/base/array.h"
#include "lib/base/logging.h"

enum {
	DROPS_PER_TICK = 32,      /* Segments; and no more once so many bytes went: what they leave in the index is trimmed with them. */
	DROP_BYTES_PER_TICK = 512 * 1024 * 1024,
};

void retention_deinit(struct retention *retention)
{
	free(retention->segments);
	*retention = (struct retention){ 0 };
}

/* --- the table -------------------------------------------------------------------------------------------------------- */

static enum status add_segment(struct retention *retention, struct log_segment_range range)
{
	struct retained_segment *segments = array_with_room(retention->segments, retention->count, &retention->capacity,
							    sizeof(*segments));

	if (segments == NULL)
		return ST_NOMEM;
	retention->segments = segments;
	retention->segments[retention->count++] = (struct retained_segment){ .base = range.base, .end = range.end };
	return ST_OK;
}

/* Learns of segments that the log has begun; what it dropped, this module dropped. */
static enum status learn_segments(struct core *core)
{
	struct retention *retention = &core->retention;
	size_t in_log = commitlog_segment_count(core->log);

	while (retention->count < in_log) {
		if (add_segment(retention, commitlog_segment(core->log, retention->count)) != ST_OK)
			return ST_NOMEM;
	}
	return ST_OK;
}

enum status retention_open(struct core *core)
{
	core->retention.outer_pin = UINT64_MAX;
	return learn_segments(core);
}

void retention_loaded(struct core *core, int64_t first_ms)
{
	struct retained_segment *segments = core->retention.segments;

	segments[0].oldest_ms = first_ms;
	for (size_t i = 1; i < core->retention.count && segments[i].base <= core->replay.from; i++)
		segments[i].oldest_ms = segments[i - 1].newest_ms;
}

/* No stored time is after now, whatever the wall clock said when it was stored. */
static void clamp_times(struct retention *retention)
{
	for (size_t i = 0; i < retention->count; i++) {
		if (retention->segments[i].newest_ms > retention->clock.now_ms)
			retention->segments[i].newest_ms = retention->clock.now_ms;
	}
}

void retention_start(struct core *core)
{
	retention_clock_start(&core->retention.clock, core->wall_ms, core->mono_ms, core->store_time_ms);
	clamp_times(&core->retention);
	if (retention_clock_grace(&core->retention.clock))
		log_info("log", "nothing goes for its age yet, consumers come first", "for_ms=%lld",
			 (long long)(core->retention.clock.grace_until_ms - core->mono_ms));
}

static void run_clock(struct core *core)
{
	struct retention *retention = &core->retention;
	int64_t set_by = retention_clock_run(&retention->clock, core->wall_ms, core->mono_ms);

	if (set_by == 0)
		return;
	log_warn("log", "the wall clock was set: retention goes by it from now on, nothing is older for that", "by_ms=%lld",
		 (long long)set_by);
	retention->set_ms = (retention->set_end > commitlog_start(core->log) ? retention->set_ms : 0) + set_by;
	retention->set_end = commitlog_appended(core->log);
	for (size_t i = 0; i < retention->count && set_by > 0; i++) {
		if (retention->segments[i].newest_ms != 0)
			retention->segments[i].newest_ms += set_by;
	}
	clamp_times(retention);
}

struct retained_segment *retention_segment_of(struct core *core, uint64_t offset)
{
	struct retention *retention = &core->retention;
	size_t low = 0, high = retention->count;
	struct errinfo err;

	if (offset >= retention->segments[high - 1].end && learn_segments(core) != ST_OK) {
		(void)errinfo_set(&err, ST_NOMEM, "no memory for the table of log segments");
		core_state_broken(core, &err); /* A few bytes each gigabyte. */
	}
	if (offset >= retention->segments[retention->count - 1].base)
		return &retention->segments[retention->count - 1];
	while (low < high) { /* The first one that begins behind it. */
		size_t middle = low + (high - low) / 2;
		if (retention->segments[middle].base <= offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? NULL : &retention->segments[low - 1];
}

void retention_note_record(struct core *core, uint64_t offset, int64_t when_ms)
{
	struct retained_segment *segment = retention_segment_of(core, offset);

	if (segment == NULL)
		return;
	/* In replay what was stored is all that is known. */
	int64_t now_ms = core->replay.active ? when_ms : core->retention.clock.now_ms;
	if (segment->newest_ms < now_ms)
		segment->newest_ms = now_ms;
	if (segment->oldest_ms == 0)
		segment->oldest_ms = when_ms;
}

void retention_note_reference(struct core *core, uint64_t body_offset, uint64_t by_offset)
{
	struct retained_segment *segment = retention_segment_of(core, body_offset);

	if (segment != NULL && by_offset >= segment->end && by_offset > segment->last_ref)
		segment->last_ref = by_offset;
}

void retention_note_open(struct core *core, uint64_t body_offset)
{
	struct retained_segment *segment = retention_segment_of(core, body_offset);

	if (segment != NULL)
		segment->open_count++;
}

void retention_note_closed(struct core *core, uint64_t body_offset)
{
	struct retained_segment *segment = retention_segment_of(core, body_offset);

	if (segment == NULL)
		return;
	if (segment->open_count > 0)
		segment->open_count--;
	segment->closed_at = commitlog_appended(core->log);
}

/* --- what may go -------------------------------------------------------------------------------------------------------- */

/* Bytes of the log from this segment's end on. */
static uint64_t bytes_behind(const struct core *core, size_t index)
{
	return commitlog_appended(core->log) - core->retention.segments[index].end;
}

/* Past the log's size. The tail never is. */
static bool is_over_size(const struct core *core, size_t index)
{
	return index + 1 < core->retention.count && core->config.retention_bytes > 0 &&
	       bytes_behind(core, index) >= core->config.retention_bytes;
}

bool retention_is_over_time(const struct core *core, size_t index)
{
	const struct retention *retention = &core->retention;

	return index + 1 < retention->count && core->config.retention_ms > 0 &&
	       retention->clock.now_ms - retention->segments[index].newest_ms > core->config.retention_ms;
}

bool retention_is_expired(const struct core *core, size_t index)
{
	return is_over_size(core, index) || retention_is_over_time(core, index);
}

/* The segment with the last record that refers into the oldest one; that one when there is none. */
static size_t last_referrer(const struct retention *retention)
{
	size_t index = 0;

	while (index + 1 < retention->count && retention->segments[index + 1].base <= retention->segments[0].last_ref)
		index++;
	return index;
}

/* The oldest segments up to `last`; for their age not right after the broker was away. */
static bool may_expire(const struct core *core, size_t last)
{
	return is_over_size(core, last) || (retention_is_over_time(core, last) && !retention_clock_grace(&core->retention.clock));
}

static bool may_drop_oldest(const struct core *core)
{
	const struct retention *retention = &core->retention;
	const struct retained_segment *oldest = &retention->segments[0];

	return retention->count > 1 && oldest->open_count == 0 &&
	       oldest->closed_at <= commitlog_durable(core->log) &&
	       oldest->end <= retention->snapshot_pin &&
	       oldest->end <= retention->outer_pin &&
	       may_expire(core, last_referrer(retention));
}

/* False without memory for it: the next tick tries again. */
static bool drop_oldest(struct core *core)
{
	struct retention *retention = &core->retention;
	struct retained_segment gone = retention->segments[0];

	if (commitlog_drop_oldest(core->log) != ST_OK)
		return false;
	retention->count--;
	memmove(retention->segments, retention->segments + 1, retention->count * sizeof(*retention->segments));
	log_info("log", "segment dropped", "base=%llu log_start=%llu", (unsigned long long)gone.base,
		 (unsigned long long)commitlog_start(core->log));
	return true;
}

/* After a long absence, or when less is to be kept from now on, there may be thousands. */
static void drop_expired(struct core *core)
{
	uint64_t from = commitlog_start(core->log);

	for (int i = 0; i < DROPS_PER_TICK && may_drop_oldest(core) && drop_oldest(core); i++) {
		if (commitlog_start(core->log) - from >= DROP_BYTES_PER_TICK)
			break;
	}
}

void retention_tick(struct core *core)
{
	run_clock(core);
	if (learn_segments(core) == ST_OK)
		drop_expired(core);
}
