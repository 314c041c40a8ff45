#include "broker/core/replay.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/snapshot.h"
#include "broker/core/state.h"
#include "broker/core/store.h"
#include "checkback/checkback.h"
#include "lib/base/array.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"

enum { FIRST_TIME_WITHIN = 1024 * 1024 }; /* Bytes of the log. */

/* --- lists of offsets ---------------------------------------------------------------------------------------------- */

static enum status list_add(struct offset_list *list, uint64_t offset)
{
	uint64_t *items = array_with_room(list->items, list->count, &list->capacity, sizeof(*items));

	if (items == NULL)
		return ST_NOMEM;
	list->items = items;
	list->items[list->count++] = offset;
	return ST_OK;
}

static int by_value(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void list_sort(struct offset_list *list)
{
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(*list->items), by_value);
}

static bool list_has(const struct offset_list *list, uint64_t offset)
{
	return list->count > 0 && bsearch(&offset, list->items, list->count, sizeof(offset), by_value) != NULL;
}

static void list_free(struct offset_list *list)
{
	free(list->items);
	*list = (struct offset_list){ 0 };
}

/* --- for apply ------------------------------------------------------------------------------------------------------ */

bool replay_is_fuzzy(const struct core *core, uint64_t offset)
{
	return core->replay.active && offset < core->replay.fuzzy_until;
}

bool replay_knows_delayed(const struct core *core, uint64_t naming_offset)
{
	return replay_is_fuzzy(core, naming_offset) && list_has(&core->replay.known, naming_offset);
}

enum status replay_note_delivered(struct core *core, uint64_t naming_offset)
{
	return list_add(&core->replay.delivered, naming_offset);
}

enum status replay_note_carried(struct core *core, uint64_t origin_offset, uint64_t carry_offset)
{
	struct replay *replay = &core->replay;
	struct carried *carried = array_with_room(replay->carried, replay->carried_count, &replay->carried_capacity,
						  sizeof(*carried));

	if (carried == NULL)
		return ST_NOMEM;
	replay->carried = carried;
	replay->carried[replay->carried_count++] = (struct carried){ origin_offset, carry_offset };
	return ST_OK;
}

/* --- delayed messages ----------------------------------------------------------------------------------------------- */

static enum status note_known_delays(struct core *core)
{
	struct delayed entry;
	size_t cursor = 0;

	while (delays_next(&core->delays, &cursor, &entry)) {
		if (entry.naming_offset >= core->replay.from && list_add(&core->replay.known, entry.naming_offset) != ST_OK)
			return ST_NOMEM;
	}
	list_sort(&core->replay.known);
	return ST_OK;
}

/* From here on every record is new. */
static void end_fuzzy(struct core *core)
{
	struct delayed entry;
	size_t cursor = 0;

	core->replay.fuzzy_until = 0;
	if (core->replay.delivered.count == 0)
		return;
	list_sort(&core->replay.delivered);
	while (delays_next(&core->delays, &cursor, &entry)) {
		if (list_has(&core->replay.delivered, entry.naming_offset))
			apply_forget_delayed(core, &entry);
	}
}

/* By origin, and the last move of a body behind the ones before. */
static int by_move(const void *a, const void *b)
{
	const struct carried *x = a, *y = b;

	if (x->origin_offset != y->origin_offset)
		return x->origin_offset < y->origin_offset ? -1 : 1;
	return (x->body_offset > y->body_offset) - (x->body_offset < y->body_offset);
}

/* Where the last CARRY put this body; 0 for one that was not moved. */
static uint64_t last_move(const struct replay *replay, uint64_t origin_offset)
{
	size_t low = 0, high = replay->carried_count;

	while (low < high) { /* The first one beyond this origin. */
		size_t middle = low + (high - low) / 2;
		if (replay->carried[middle].origin_offset <= origin_offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low > 0 && replay->carried[low - 1].origin_offset == origin_offset ? replay->carried[low - 1].body_offset : 0;
}

static void move_bodies(struct core *core)
{
	struct replay *replay = &core->replay;
	struct delayed entry;
	size_t cursor = 0;

	if (replay->carried_count == 0)
		return;
	qsort(replay->carried, replay->carried_count, sizeof(*replay->carried), by_move);
	while (delays_next(&core->delays, &cursor, &entry)) {
		uint64_t body_offset = last_move(replay, entry.origin_offset);
		if (body_offset > entry.body_offset)
			apply_move_delayed(core, &entry, body_offset);
	}
}

/* --- bodies ------------------------------------------------------------------------------------------------------------- */

/* A snapshot may say of something open that its body lies in a segment that is gone: it was decided, delivered or carried
 * after that slice. If no record has said so by now, the body is lost. */
static enum status check_bodies(struct core *core, struct errinfo *err)
{
	uint64_t start = commitlog_start(core->log);
	const struct pending *entry;
	struct delayed waiting;
	uint32_t cursor = 0;
	size_t slot = 0;

	while ((entry = pending_next(core->pending, &cursor)) != NULL) {
		if (entry->body_offset < start)
			return errinfo_set(err, ST_CORRUPT, "the body of open half message %" PRIu64 " (log offset %" PRIu64
					   ") is gone: the log begins at %" PRIu64 ": restore the store from a backup",
					   entry->half_queue_offset, entry->body_offset, start);
	}
	while (delays_next(&core->delays, &slot, &waiting)) {
		if (waiting.body_offset < start)
			return errinfo_set(err, ST_CORRUPT, "the body of a delayed message (log offset %" PRIu64
					   ") is gone: the log begins at %" PRIu64 ": restore the store from a backup",
					   waiting.body_offset, start);
	}
	return ST_OK;
}

/* --- check-back ----------------------------------------------------------------------------------------------------- */

static void open_check(struct core *core, struct pending *entry)
{
	/* While records were replayed, due_mono_ms held the wall time of the check. */
	int64_t left = entry->due_mono_ms - core->wall_ms;
	int64_t most = entry->answered > 0 ? checkback_backoff_ms(&core->config.checkback, entry->answered)
					   : entry->due_mono_ms - entry->store_time_ms;

	if (entry->state != TXN_PREPARED)
		return;
	/* Not longer than it was to wait when it was stored or answered; a clock that was set back gives no more than that. */
	if (left > most)
		left = most;
	checkback_opened(core->checkback, entry, left > 0 ? left : 0, core->mono_ms);
}

static int by_half_order(const void *a, const void *b)
{
	const struct pending *x = *(struct pending *const *)a, *y = *(struct pending *const *)b;

	return (x->half_queue_offset > y->half_queue_offset) - (x->half_queue_offset < y->half_queue_offset);
}

/* What is open, in the order in which it was sent, which is the order in which check-back asks. Slots know no order; a
 * snapshot's are nearly in it. */
static enum status open_checks(struct core *core)
{
	size_t count = 0, total = pending_count(core->pending);
	struct pending **all = total == 0 ? NULL : malloc(total * sizeof(struct pending *)), *entry;
	uint32_t cursor = 0;
	bool sorted = true;

	if (all == NULL)
		return total == 0 ? ST_OK : ST_NOMEM;
	while ((entry = pending_next(core->pending, &cursor)) != NULL) {
		sorted = sorted && (count == 0 || all[count - 1]->half_queue_offset < entry->half_queue_offset);
		all[count++] = entry;
	}
	if (!sorted)
		qsort(all, count, sizeof(struct pending *), by_half_order);
	for (size_t i = 0; i < count; i++)
		open_check(core, all[i]);
	free(all);
	return ST_OK;
}

/* --- all of it ------------------------------------------------------------------------------------------------------ */

static enum status replay_record(void *context, const struct log_record *record, struct errinfo *err)
{
	struct core *core = context;

	if (core->replay.fuzzy_until != 0 && record->offset >= core->replay.fuzzy_until)
		end_fuzzy(core);
	return core_apply(core, record, err);
}

static enum status rebuild_record(void *context, const struct log_record *record, struct errinfo *err)
{
	struct core *core = context;

	return record->offset < core->replay.fuzzy_until ? apply_index_only(core, record, err) : ST_NOTFOUND;
}

/* The index file is lost: its entries once more, from the records that are still kept. Those of the fuzzy part too: replay
 * takes an entry that the snapshot knows, but the index does not have, for one that was trimmed. */
static enum status rebuild_index(struct core *core, struct errinfo *err)
{
	const struct pending *entry;
	uint32_t cursor = 0;
	enum status status = ST_OK;

	/* Halves whose own record is gone, because their body was carried. */
	while (status == ST_OK && (entry = pending_next(core->pending, &cursor)) != NULL) {
		struct half_entry half = { .half_offset = entry->half_offset, .state = entry->state };
		status = half_index_put(&core->halves, entry->half_queue_offset, &half, err);
	}
	if (status == ST_OK)
		status = commitlog_replay(core->log, 0, rebuild_record, core, err);
	return status == ST_NOTFOUND ? ST_OK : status;
}

/* When it was stored; 0: it does not say. */
static int64_t time_of(const struct log_record *record)
{
	union {
		struct record_message message;
		struct record_half half;
		struct record_decision decision;
		struct record_deliver deliver;
		struct record_topic topic;
	} r;
	struct span in = record->payload;

	switch (record->kind) {
	case LOG_MESSAGE: return record_message_decode(in, &r.message, NULL) == ST_OK ? r.message.store_time_ms : 0;
	case LOG_HALF: return record_half_decode(in, &r.half, NULL) == ST_OK ? r.half.store_time_ms : 0;
	case LOG_DECISION: return record_decision_decode(in, &r.decision, NULL) == ST_OK ? r.decision.when_ms : 0;
	case LOG_DELIVER: return record_deliver_decode(in, &r.deliver, NULL) == ST_OK ? r.deliver.deliver_time_ms : 0;
	case LOG_TOPIC: return record_topic_decode(in, &r.topic, NULL) == ST_OK ? r.topic.when_ms : 0;
	default: return 0;
	}
}

struct time_search {
	uint64_t until;  /* Log offset: far enough. */
	int64_t first_ms;
};

static enum status look_at_time(void *context, const struct log_record *record, struct errinfo *err)
{
	struct time_search *search = context;

	(void)err;
	search->first_ms = time_of(record);
	return search->first_ms != 0 || record->offset >= search->until ? ST_NOTFOUND : ST_OK;
}

/* What the snapshot spares us to replay is as old as it is. Trouble with the log shows when somebody needs it. */
static void look_for_first_time(struct core *core)
{
	struct time_search search = { .until = commitlog_start(core->log) + FIRST_TIME_WITHIN };
	struct errinfo err;

	(void)!commitlog_replay(core->log, 0, look_at_time, &search, &err);
	retention_loaded(core, search.first_ms);
}

static enum status load_snapshot(struct core *core, const struct store *store, struct errinfo *err)
{
	struct snapshot_reader *snapshot = store->snapshot;
	enum status status = snapshot_load(core, snapshot, store->rebuild_index, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "load %s", snapshot_path(snapshot));
	core->replay.from = snapshot_header(snapshot)->from;
	core->replay.fuzzy_until = snapshot_end(snapshot)->durable;
	if (note_known_delays(core) != ST_OK)
		return errinfo_set(err, ST_NOMEM, "replay: out of memory");
	look_for_first_time(core);
	return store->rebuild_index ? rebuild_index(core, err) : ST_OK;
}

enum status replay_all(struct core *core, const struct store *store, struct errinfo *err)
{
	struct replay *replay = &core->replay;
	enum status status;

	replay->active = true;
	pagefile_set_read_inline(core->files, true);
	status = store->snapshot == NULL ? ST_OK : load_snapshot(core, store, err);
	if (status == ST_OK)
		status = commitlog_replay(core->log, replay->from, replay_record, core, err);
	if (status == ST_OK) {
		end_fuzzy(core);
		move_bodies(core);
		status = check_bodies(core, err);
	}
	if (status == ST_OK)
		status = pop_replayed(core, err);
	if (status == ST_OK) {
		status = open_checks(core);
		if (status != ST_OK)
			errinfo_set(err, status, "replay: out of memory");
	}
	pagefile_set_read_inline(core->files, false);
	list_free(&replay->known);
	list_free(&replay->delivered);
	free(replay->carried);
	replay->carried = NULL;
	replay->carried_count = replay->carried_capacity = 0;
	replay->active = false;
	return status;
}
