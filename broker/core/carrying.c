#include "broker/core/carrying.h"

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"

enum {
	SLOTS_PER_TICK = 20000,   /* Looked at for a body in an expired segment: less than a millisecond. */
	CARRIES_PER_TICK = 200,   /* Of each walk, ... */
	CARRY_BYTES_PER_TICK = 1024 * 1024, /* ... which are copied twice: a millisecond, or one body. */
	CARRY_AGAIN_MS = 10 * 60 * 1000,
	DISK_WAIT_MS = 30 * 1000,
	WARN_INTERVAL_MS = 3600 * 1000,
};

/* Bodies before `end` are to be carried; from `aged_end` on only while there is credit. */
struct carry_range {
	uint64_t aged_end, end;
};

/* Appends the record at `body_offset` once more, under the name that it has. ST_AGAIN: not now. Else: it cannot be carried as
 * things are. */
static enum status carry(struct core *core, uint64_t body_offset, struct placed *at, struct errinfo *err)
{
	struct stored_body body = { 0 };
	enum status status = core_read_body(core, body_offset, &body, err); /* From disk, with the wish that the shell serves. */

	if (status != ST_OK)
		return status == ST_NOMEM ? ST_AGAIN : status;
	/* The payload may lie in the tail's memory, which beginning a record may overwrite. */
	buffer_reset(&core->kept);
	buffer_append_span(&core->kept, body.payload);
	struct record_carry r = { body.origin_offset, (uint8_t)body.kind, buffer_span(&core->kept) };
	size_t size = record_carry_size(&r);
	if (size > commitlog_payload_max(core->log))
		return errinfo_set(err, ST_TOOBIG, "%zu bytes, the log takes %zu at once", size, commitlog_payload_max(core->log));
	uint8_t *payload = core->kept.failed ? NULL : room_begin(core, ROOM_CARRY, LOG_CARRY, size, &at->offset);
	if (payload == NULL)
		return ST_AGAIN;
	record_carry_encode(&r, payload);
	commitlog_commit(core->log);
	at->size = (uint32_t)commitlog_record_size(size);
	if (apply_carry(core, at, &r, err) != ST_OK)
		core_state_broken(core, err);
	core->carrying.carried_count++;
	return ST_OK;
}

/* What is carried because it is past its time is not counted. */
static void spend_credit(struct carrying *carrying, uint64_t body_offset, const struct carry_range *range, uint32_t size)
{
	if (body_offset >= range->aged_end)
		carrying->credit -= size;
}

/* A body that cannot be carried keeps its segment, and so the log from there on. What else is open in that segment need not
 * move meanwhile; what is open in the others does. */
static void leave_segment(struct core *core, const char *whose, uint64_t number, uint64_t body_offset, const struct errinfo *why)
{
	struct retained_segment *segment = retention_segment_of(core, body_offset);

	if (segment == NULL)
		return;
	segment->carry_after_ms = core->mono_ms + CARRY_AGAIN_MS;
	core->carrying.left_count++;
	log_error("log", "an open body cannot be carried: the log keeps all from its segment on",
		  "%s=%llu log_offset=%llu segment=%020llu reason=\"%s\" hint=\"stop the broker, %s and start it again\"",
		  whose, (unsigned long long)number, (unsigned long long)body_offset, (unsigned long long)segment->base, why->text,
		  why->code == ST_TOOBIG ? "give mappedFileSizeCommitLog and tailRingSize the values that they had"
					 : "restore the segment from a backup");
}

static bool is_left(const struct core *core, const struct retained_segment *segment)
{
	return segment == NULL || segment->carry_after_ms > core->mono_ms;
}

/* For the log's size no more is carried than others append, and a segment that was saved up: what is open may take more room
 * than the log should, and would chase itself round and round. So an idle broker rests, and the log grows to about twice of
 * what is open. */
static void earn_credit(struct carrying *carrying, uint64_t end, uint64_t most)
{
	carrying->credit += (int64_t)(end - carrying->seen_end);
	if (carrying->credit > (int64_t)most)
		carrying->credit = (int64_t)most;
	carrying->seen_end = end;
}

static void warn_of_size(struct core *core)
{
	struct carrying *carrying = &core->carrying;
	uint64_t kept = commitlog_appended(core->log) - commitlog_start(core->log), limit = core->config.retention_bytes;

	if (limit == 0 || kept < 2 * limit || carrying->credit > 0 || core->mono_ms < carrying->warn_after_ms)
		return;
	carrying->warn_after_ms = core->mono_ms + WARN_INTERVAL_MS;
	log_warn("log", "what is open takes more room than logRetentionBytes: the log is larger", "log_bytes=%llu limit=%llu halves=%u "
		 "delayed=%zu hint=\"raise logRetentionBytes, or see why so many halves are undecided\"",
		 (unsigned long long)kept, (unsigned long long)limit, pending_count(core->pending), core->delays.count);
}

/* The expired segments that have something open in them. Not the oldest alone: what it waits for (a decision's reference)
 * would keep the open ones of the next ones uncarried meanwhile, their decisions would then keep those, and so on. */
static struct carry_range find_range(const struct core *core)
{
	const struct retention *retention = &core->retention;
	struct carry_range range = { 0, 0 };

	for (size_t i = 0; i < retention->count && retention_is_expired(core, i); i++) {
		const struct retained_segment *segment = &retention->segments[i];
		if (segment->open_count == 0 || is_left(core, segment))
			continue;
		bool aged = retention_is_over_time(core, i);
		if (aged)
			range.aged_end = segment->end;
		if (aged || core->carrying.credit > 0)
			range.end = segment->end;
	}
	return range;
}

static bool must_move(struct core *core, uint64_t body_offset, const struct carry_range *range)
{
	return body_offset < range->end && !is_left(core, retention_segment_of(core, body_offset));
}

/* The walk stops there and goes on from there, or it would always be the same few that are carried. */
static bool lacks_credit(const struct carrying *carrying, uint64_t body_offset, const struct carry_range *range)
{
	return body_offset >= range->aged_end && carrying->credit <= 0;
}

/* A walk over what is open, within one tick; round and round over many. */
struct carry_walk {
	const struct carry_range *range;
	const char *whose;
	enum wisher wisher;
	struct carry_wait *wait;  /* Of this walk's first body that the disk has not given. */
	size_t slots_left;
	unsigned carries_left;
	uint64_t bytes_left;
	bool waits;               /* There is such a body in this tick's walk. */
};

static struct carry_walk begin_walk(const struct carry_range *range, const char *whose, enum wisher wisher,
				    struct carry_wait *wait)
{
	return (struct carry_walk){ .range = range, .whose = whose, .wisher = wisher, .wait = wait, .slots_left = SLOTS_PER_TICK,
				    .carries_left = CARRIES_PER_TICK, .bytes_left = CARRY_BYTES_PER_TICK };
}

/* How long the walk waits for the disk to give it the first body that it lacks. False: too long, this one is let be. */
static bool may_wait(struct core *core, struct carry_walk *walk, uint64_t body_offset)
{
	if (walk->waits)
		return true;
	if (walk->wait->body_offset != body_offset)
		*walk->wait = (struct carry_wait){ body_offset, core->mono_ms };
	walk->waits = core->mono_ms - walk->wait->since_ms <= DISK_WAIT_MS;
	return walk->waits;
}

/* ST_OK: carried, or let be. ST_AGAIN: not now; the walk goes on and comes back to it. ST_BUSY: it ends before it. */
static enum status carry_body(struct core *core, struct carry_walk *walk, uint64_t number, uint64_t body_offset,
			      struct placed *at)
{
	struct errinfo err;

	at->size = 0;
	if (!must_move(core, body_offset, walk->range))
		return ST_OK;
	if (walk->carries_left == 0 || walk->bytes_left == 0 || lacks_credit(&core->carrying, body_offset, walk->range))
		return ST_BUSY;
	enum status status = carry(core, body_offset, at, &err);
	if (status == ST_AGAIN) {
		if (!core_keep_wish(core, walk->wisher))
			return ST_BUSY;
		if (may_wait(core, walk, body_offset))
			return ST_AGAIN;
		status = errinfo_set(&err, ST_IO, "the disk has not given it for %d s", DISK_WAIT_MS / 1000);
	}
	if (status != ST_OK) {
		leave_segment(core, walk->whose, number, body_offset, &err);
		return ST_OK;
	}
	spend_credit(&core->carrying, body_offset, walk->range, at->size);
	walk->carries_left--;
	walk->bytes_left -= at->size < walk->bytes_left ? at->size : walk->bytes_left;
	return ST_OK;
}

static void carry_halves(struct core *core, const struct carry_range *range)
{
	struct carrying *carrying = &core->carrying;
	struct carry_walk walk = begin_walk(range, "half_message", WISH_CARRY_HALF, &carrying->half_wait);
	uint32_t back = UINT32_MAX;
	struct placed at;

	for (; walk.slots_left > 0; walk.slots_left--) {
		uint32_t before = carrying->half_cursor;
		const struct pending *entry = pending_next(core->pending, &carrying->half_cursor);
		if (entry == NULL) {
			carrying->half_cursor = 0;
			break;
		}
		enum status status = carry_body(core, &walk, entry->half_queue_offset, entry->body_offset, &at);
		if (status != ST_OK && back > before)
			back = before;
		if (status == ST_BUSY)
			break;
	}
	if (back != UINT32_MAX)
		carrying->half_cursor = back;
}

static void carry_delayed(struct core *core, const struct carry_range *range)
{
	struct carrying *carrying = &core->carrying;
	struct carry_walk walk = begin_walk(range, "delayed_message", WISH_CARRY_DELAYED, &carrying->delayed_wait);
	size_t back = SIZE_MAX;
	struct delayed entry;
	struct placed at;

	while (walk.slots_left > 0) {
		size_t before = carrying->delayed_cursor;
		if (!delays_next_within(&core->delays, &carrying->delayed_cursor, &walk.slots_left, &entry)) {
			if (walk.slots_left > 0)
				carrying->delayed_cursor = 0;
			break;
		}
		enum status status = carry_body(core, &walk, entry.naming_offset, entry.body_offset, &at);
		if (at.size > 0)
			apply_move_delayed(core, &entry, at.offset);
		if (status != ST_OK && back > before)
			back = before;
		if (status == ST_BUSY)
			break;
	}
	if (back != SIZE_MAX)
		carrying->delayed_cursor = back;
}

void carrying_start(struct core *core)
{
	core->carrying.seen_end = commitlog_appended(core->log);
	core->carrying.credit = (int64_t)core->config.segment_bytes;
}

void carrying_tick(struct core *core)
{
	struct carrying *carrying = &core->carrying;

	earn_credit(carrying, commitlog_appended(core->log), core->config.segment_bytes);
	struct carry_range range = find_range(core);
	if (range.end > 0) {
		carry_halves(core, &range);
		carry_delayed(core, &range);
	}
	carrying->seen_end = commitlog_appended(core->log);
	warn_of_size(core);
}
