#include "broker/core/trimming.h"

#include "broker/core/state.h"

enum {
	QUEUES_PER_TICK = 64,
	HALVES_PER_TICK = 4096,   /* Looked at for the oldest open one. */
	GIVEN_UP_AT_ONCE = 4096,  /* Entries of a queue; the next look goes on. */
};

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

bool trimming_is_given_up(const struct core *core, const struct cq_entry *entry)
{
	return entry->body_offset < commitlog_start(core->log);
}

/* Moves *min behind what was given up there. ST_FULL: that may go on. */
static enum status skip_given_up(const struct core *core, const struct queue *queue, uint64_t *min, struct errinfo *err)
{
	struct cq_entry entry;

	for (int i = 0; i < GIVEN_UP_AT_ONCE; i++, (*min)++) {
		enum status status = *min < queue->visible_offset ? consume_queue_get(&queue->entries, *min, &entry, err) : ST_NOTFOUND;

		if (status != ST_OK)
			return status == ST_NOTFOUND ? ST_OK : status;
		if (!trimming_is_given_up(core, &entry))
			return ST_OK;
	}
	return ST_FULL;
}

enum status trimming_queue_min(struct core *core, struct queue *queue, uint64_t *min_out, struct errinfo *err)
{
	uint64_t start = commitlog_start(core->log), min = 0;
	enum status status;

	*min_out = consume_queue_min(&queue->entries);
	if (queue->trimmed_to >= start || consume_queue_max(&queue->entries) == 0)
		return ST_OK;
	status = find_log_offset(queue, start, &min, err);
	if (status == ST_OK)
		status = skip_given_up(core, queue, &min, err);
	/* What is not visible yet is behind the log's start for certain. */
	consume_queue_trim(&queue->entries, min);
	*min_out = consume_queue_min(&queue->entries);
	if (status == ST_OK)
		queue->trimmed_to = start;
	return status == ST_FULL ? ST_OK : status;
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
	struct trimming *trimming = &core->trimming;
	uint64_t min;

	for (int i = 0; i < QUEUES_PER_TICK; i++, trimming->queue++) {
		if (trimming->topic != NULL && trimming->queue >= trimming->topic->queue_count) {
			trimming->topic = topics_next_any(trimming->topic);
			trimming->queue = 0;
		}
		if (trimming->topic == NULL) {
			trimming->topic = topics_first_any(core->topics);
			trimming->queue = 0;
			return; /* Round: enough for this tick. */
		}
		struct queue *queue = topic_queue(trimming->topic, trimming->queue);
		if (queue != NULL && trimming_queue_min(core, queue, &min, NULL) == ST_OK)
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
	struct trimming *trimming = &core->trimming;
	struct half_index *halves = &core->halves;
	bool past = true;

	if (trimming->oldest_open < half_index_min(halves))
		trimming->oldest_open = half_index_min(halves);
	for (int i = 0; i < HALVES_PER_TICK && past; i++) {
		trimming->oldest_open = half_index_skip_gap(halves, trimming->oldest_open);
		if (trimming->oldest_open == half_index_max(halves) || half_is_past(core, trimming->oldest_open, &past) != ST_OK)
			break;
		trimming->oldest_open += past;
	}
	half_index_trim(halves, trimming->oldest_open);
}

/* Behind an old open half, pages on which there are only such go one by one: a single one that is parked would keep the
 * entries of all that come after it. Halves lie in the log in their order; the first page that the log still reaches is
 * where this stops. What is open on a page that was passed keeps that page until it is trimmed. */
static void drop_halves(struct core *core)
{
	struct trimming *trimming = &core->trimming;
	struct half_index *halves = &core->halves;
	uint64_t first = trimming->halves_looked > trimming->oldest_open ? trimming->halves_looked : trimming->oldest_open, n;

	for (int looked = 0; looked < HALVES_PER_TICK; first = n) {
		bool past = true, kept = false;

		trimming->halves_looked = first = half_index_skip_gap(halves, first);
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
	trimming->halves_looked = first;
}

void trimming_tick(struct core *core)
{
	trim_queues(core);
	if (commitlog_start(core->log) > LOG_SEGMENT_HEADER_SIZE) {
		trim_halves(core);
		drop_halves(core);
	}
}
