#include "broker/core/retention.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/state.h"
#include "lib/base/array.h"
#include "lib/base/logging.h"

enum {
	DROPS_PER_TICK = 32,      /* Segments; and no more once so many bytes went: what they leave in the index is trimmed with them. */
	DROP_BYTES_PER_TICK = 512 * 1024 * 1024,
	SLOTS_PER_TICK = 20000,   /* Looked at for a body in an expired segment: less than a millisecond. */
	CARRIES_PER_TICK = 200,   /* Of each walk, ... */
	CARRY_BYTES_PER_TICK = 1024 * 1024, /* ... which are copied twice: a millisecond, or one body. */
	QUEUES_PER_TICK = 64,     /* Trimmed. */
	HALVES_PER_TICK = 4096,   /* Looked at for the oldest open one. */
	CARRY_AGAIN_MS = 10 * 60 * 1000,
	DISK_WAIT_MS = 30 * 1000,
	WARN_INTERVAL_MS = 3600 * 1000,
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
	core->retention.seen_end = commitlog_appended(core->log);
	core->retention.credit = (int64_t)core->config.segment_bytes;
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

/* NULL: in no segment that is kept. */
static struct retained_segment *segment_of(struct core *core, uint64_t offset)
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
	struct retained_segment *segment = segment_of(core, offset);

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
	struct retained_segment *segment = segment_of(core, body_offset);

	if (segment != NULL && by_offset >= segment->end && by_offset > segment->last_ref)
		segment->last_ref = by_offset;
}

void retention_note_open(struct core *core, uint64_t body_offset)
{
	struct retained_segment *segment = segment_of(core, body_offset);

	if (segment != NULL)
		segment->open_count++;
}

void retention_note_closed(struct core *core, uint64_t body_offset)
{
	struct retained_segment *segment = segment_of(core, body_offset);

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

/* Past its time. */
static bool is_over_time(const struct core *core, size_t index)
{
	const struct retention *retention = &core->retention;

	return index + 1 < retention->count && core->config.retention_ms > 0 &&
	       retention->clock.now_ms - retention->segments[index].newest_ms > core->config.retention_ms;
}

static bool is_expired(const struct core *core, size_t index)
{
	return is_over_size(core, index) || is_over_time(core, index);
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
	return is_over_size(core, last) || (is_over_time(core, last) && !retention_clock_grace(&core->retention.clock));
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

/* --- carrying ----------------------------------------------------------------------------------------------------------- */

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
	core->retention.carried_count++;
	return ST_OK;
}

/* What is carried because it is past its time is not counted. */
static void spend_credit(struct retention *retention, uint64_t body_offset, const struct carry_range *range, uint32_t size)
{
	if (body_offset >= range->aged_end)
		retention->credit -= size;
}

/* A body that cannot be carried keeps its segment, and so the log from there on. What else is open in that segment need not
 * move meanwhile; what is open in the others does. */
static void leave_segment(struct core *core, const char *whose, uint64_t number, uint64_t body_offset, const struct errinfo *why)
{
	struct retained_segment *segment = segment_of(core, body_offset);

	if (segment == NULL)
		return;
	segment->carry_after_ms = core->mono_ms + CARRY_AGAIN_MS;
	core->retention.left_count++;
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
static void earn_credit(struct retention *retention, uint64_t end, uint64_t most)
{
	retention->credit += (int64_t)(end - retention->seen_end);
	if (retention->credit > (int64_t)most)
		retention->credit = (int64_t)most;
	retention->seen_end = end;
}

static void warn_of_size(struct core *core)
{
	struct retention *retention = &core->retention;
	uint64_t kept = commitlog_appended(core->log) - commitlog_start(core->log), limit = core->config.retention_bytes;

	if (limit == 0 || kept < 2 * limit || retention->credit > 0 || core->mono_ms < retention->warn_after_ms)
		return;
	retention->warn_after_ms = core->mono_ms + WARN_INTERVAL_MS;
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

	for (size_t i = 0; i < retention->count && is_expired(core, i); i++) {
		const struct retained_segment *segment = &retention->segments[i];
		if (segment->open_count == 0 || is_left(core, segment))
			continue;
		bool aged = is_over_time(core, i);
		if (aged)
			range.aged_end = segment->end;
		if (aged || retention->credit > 0)
			range.end = segment->end;
	}
	return range;
}

static bool must_move(struct core *core, uint64_t body_offset, const struct carry_range *range)
{
	return body_offset < range->end && !is_left(core, segment_of(core, body_offset));
}

/* The walk stops there and goes on from there, or it would always be the same few that are carried. */
static bool lacks_credit(const struct retention *retention, uint64_t body_offset, const struct carry_range *range)
{
	return body_offset >= range->aged_end && retention->credit <= 0;
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
	if (walk->carries_left == 0 || walk->bytes_left == 0 || lacks_credit(&core->retention, body_offset, walk->range))
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
	spend_credit(&core->retention, body_offset, walk->range, at->size);
	walk->carries_left--;
	walk->bytes_left -= at->size < walk->bytes_left ? at->size : walk->bytes_left;
	return ST_OK;
}

static void carry_halves(struct core *core, const struct carry_range *range)
{
	struct retention *retention = &core->retention;
	struct carry_walk walk = begin_walk(range, "half_message", WISH_CARRY_HALF, &retention->half_wait);
	uint32_t back = UINT32_MAX;
	struct placed at;

	for (; walk.slots_left > 0; walk.slots_left--) {
		uint32_t before = retention->carry_cursor;
		const struct pending *entry = pending_next(core->pending, &retention->carry_cursor);
		if (entry == NULL) {
			retention->carry_cursor = 0;
			break;
		}
		enum status status = carry_body(core, &walk, entry->half_queue_offset, entry->body_offset, &at);
		if (status != ST_OK && back > before)
			back = before;
		if (status == ST_BUSY)
			break;
	}
	if (back != UINT32_MAX)
		retention->carry_cursor = back;
}

static void carry_delayed(struct core *core, const struct carry_range *range)
{
	struct retention *retention = &core->retention;
	struct carry_walk walk = begin_walk(range, "delayed_message", WISH_CARRY_DELAYED, &retention->delayed_wait);
	size_t back = SIZE_MAX;
	struct delayed entry;
	struct placed at;

	while (walk.slots_left > 0) {
		size_t before = retention->carry_delay_cursor;
		if (!delays_next_within(&core->delays, &retention->carry_delay_cursor, &walk.slots_left, &entry)) {
			if (walk.slots_left > 0)
				retention->carry_delay_cursor = 0;
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
		retention->carry_delay_cursor = back;
}

static void carry_open(struct core *core)
{
	struct retention *retention = &core->retention;

	earn_credit(retention, commitlog_appended(core->log), core->config.segment_bytes);
	struct carry_range range = find_range(core);
	if (range.end > 0) {
		carry_halves(core, &range);
		carry_delayed(core, &range);
	}
	retention->seen_end = commitlog_appended(core->log);
	warn_of_size(core);
}

/* --- trimming ----------------------------------------------------------------------------------------------------------- */

/* The first offset of the queue whose naming record lies at or behind `log_offset`. */
static enum status find_log_offset(const struct queue *queue, uint64_t log_offset, uint64_t *out, struct errinfo *err)
{
	uint64_t low = consume_queue_min(&queue->entries), high = consume_queue_max(&queue->entries);

	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct cq_entry entry;
		enum status status = consume_queue_get(&queue->entries, middle, &entry, err);

		if (status != ST_OK)
			return status;
		if (entry.log_offset < log_offset)
			low = middle + 1;
		else
			high = middle;
	}
	*out = low;
	return ST_OK;
}

enum status retention_queue_min(struct core *core, struct queue *queue, uint64_t *min_out, struct errinfo *err)
{
	uint64_t start = commitlog_start(core->log), min = 0;
	enum status status;

	*min_out = consume_queue_min(&queue->entries);
	if (queue->trimmed_to >= start || consume_queue_max(&queue->entries) == 0)
		return ST_OK;
	status = find_log_offset(queue, start, &min, err);
	if (status != ST_OK)
		return status;
	/* What is not visible yet is behind the log's start for certain. */
	consume_queue_trim(&queue->entries, min);
	queue->trimmed_to = start;
	*min_out = consume_queue_min(&queue->entries);
	return ST_OK;
}

/* The first offset that was stored since then, by the clock of retention. What was stored before the wall clock was set forward
 * bears a time that is older than it is. */
static enum status find_since(const struct core *core, const struct queue *queue, int64_t since_ms, uint64_t *out)
{
	const struct retention *retention = &core->retention;
	uint64_t visible = queue->visible_offset, before_end = 0;

	if (retention->set_ms > 0) {
		enum status status = find_log_offset(queue, retention->set_end, &before_end, NULL);
		if (status == ST_OK)
			status = consume_queue_find_time(&queue->entries, visible, since_ms - retention->set_ms, CQ_LOWER, out, NULL);
		if (status != ST_OK || *out < before_end)
			return status;
	}
	return consume_queue_find_time(&queue->entries, visible, since_ms, CQ_LOWER, out, NULL);
}

/* A topic of its own, shorter retention hides what is older. */
static void trim_by_time(struct core *core, struct queue *queue)
{
	int64_t keep_ms = queue->topic->reserve_ms;
	uint64_t min = 0;

	if (keep_ms <= 0 || retention_clock_grace(&core->retention.clock) || queue->visible_offset == consume_queue_min(&queue->entries))
		return;
	if (find_since(core, queue, core->retention.clock.now_ms - keep_ms, &min) == ST_OK)
		consume_queue_trim(&queue->entries, min);
}

static void trim_queues(struct core *core)
{
	struct retention *retention = &core->retention;
	uint64_t min;

	for (int i = 0; i < QUEUES_PER_TICK; i++, retention->trim_queue++) {
		if (retention->trim_topic != NULL && retention->trim_queue >= retention->trim_topic->queue_count) {
			retention->trim_topic = topics_next_any(retention->trim_topic);
			retention->trim_queue = 0;
		}
		if (retention->trim_topic == NULL) {
			retention->trim_topic = topics_first_any(core->topics);
			retention->trim_queue = 0;
			return; /* Round: enough for this tick. */
		}
		struct queue *queue = topic_queue(retention->trim_topic, retention->trim_queue);
		if (queue != NULL && retention_queue_min(core, queue, &min, NULL) == ST_OK)
			trim_by_time(core, queue);
	}
}

/* Decided, and neither its record nor its decision is in the log any more: nobody may ask for it. ST_AGAIN, ST_CORRUPT:
 * nobody knows. */
static enum status half_is_past(const struct core *core, uint64_t n, bool *past_out)
{
	struct half_entry entry;
	uint64_t start = commitlog_start(core->log);

	*past_out = false;
	if (pending_find(core->pending, n) != NULL)
		return ST_OK;
	enum status status = half_index_get(&core->halves, n, &entry, NULL);
	*past_out = status == ST_NOTFOUND || (status == ST_OK && entry.half_offset < start && entry.decision_offset < start);
	return status == ST_NOTFOUND ? ST_OK : status;
}

/* The index forgets halves of the past, up to the oldest that is not. */
static void trim_halves(struct core *core)
{
	struct retention *retention = &core->retention;
	struct half_index *halves = &core->halves;
	bool past = true;

	if (retention->oldest_open < half_index_min(halves))
		retention->oldest_open = half_index_min(halves);
	for (int i = 0; i < HALVES_PER_TICK && past; i++) {
		retention->oldest_open = half_index_skip_gap(halves, retention->oldest_open);
		if (retention->oldest_open == half_index_max(halves) || half_is_past(core, retention->oldest_open, &past) != ST_OK)
			break;
		retention->oldest_open += past;
	}
	half_index_trim(halves, retention->oldest_open);
}

/* Behind an old open half, pages on which there are only such go one by one: a single one that is parked would keep the
 * entries of all that come after it. Halves lie in the log in their order; the first page that the log still reaches is
 * where this stops. What is open on a page that was passed keeps that page until it is trimmed. */
static void drop_halves(struct core *core)
{
	struct retention *retention = &core->retention;
	struct half_index *halves = &core->halves;
	uint64_t first = retention->halves_looked > retention->oldest_open ? retention->halves_looked : retention->oldest_open, n;

	for (int looked = 0; looked < HALVES_PER_TICK; first = n) {
		bool past = true, kept = false;

		retention->halves_looked = first = half_index_skip_gap(halves, first);
		n = half_index_page_end(halves, first);
		if (n > half_index_max(halves))
			return; /* The last one is still being filled. */
		for (uint64_t i = first; i < n; i++, looked++) {
			if (half_is_past(core, i, &past) != ST_OK)
				return;
			if (!past && pending_find(core->pending, i) == NULL)
				return;
			kept |= !past;
		}
		if (!kept)
			half_index_drop_page(halves, first);
	}
	retention->halves_looked = first;
}

void retention_tick(struct core *core)
{
	run_clock(core);
	if (learn_segments(core) != ST_OK)
		return;
	drop_expired(core);
	carry_open(core);
	trim_queues(core);
	if (commitlog_start(core->log) > LOG_SEGMENT_HEADER_SIZE) {
		trim_halves(core);
		drop_halves(core);
	}
}
