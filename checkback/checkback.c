#include "checkback/checkback.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkback/schedule.h"

/* Where an entry is: the low bits of pending.place. */
enum place { PLACE_NONE, PLACE_YOUNG, PLACE_WHEEL, PLACE_WAITING, PLACE_ASKED, PLACE_MASK = 0x0f };
/* Its high bits: the connection asked last did not answer; its first deadline has passed. */
enum { MARK_AVOID = 0x80, MARK_IN_DOUBT = 0x40 };

enum { RETRY_MS = 100, QUANTUM_BYTES = 64 * 1024 };

struct producer {
	uint64_t conn_id;
	uint32_t window;
	struct line asked; /* In order of asking, which is the order of their time-outs. */
};

struct group {
	struct group *busy_prev, *busy_next;
	bool busy; /* Somebody waits or was asked. */
	struct producer *producers;
	uint32_t producer_count;
	uint32_t producer_next; /* Round robin. */
	struct line waiting;
	int64_t deficit;
};

struct checkback {
	struct checkback_config config;
	struct pending_table *table;
	struct checkback_effects effects;
	struct schedule schedule;
	struct group **groups; /* By group id. */
	uint32_t group_end;
	struct group *busy;
	uint64_t in_doubt;
	int64_t now_mono_ms;
	int64_t budget_bytes; /* May go below 0: the last question is sent whole. */
	int64_t budget_at_ms;
};

struct checkback_config checkback_config_default(void)
{
	return (struct checkback_config){
		.transaction_timeout_ms = 6000,
		.check_interval_ms = 30000,
		.answer_timeout_ms = 5000,
		.check_max = 15,
		.policy = POLICY_PARK,
		.window_min = 16,
		.window_start = 128,
		.window_max = 1024,
		.bytes_per_second = 64 * 1024 * 1024,
	};
}

struct checkback *checkback_create(const struct checkback_config *config, struct pending_table *table,
				   const struct checkback_effects *effects, int64_t now_mono_ms)
{
	struct checkback *cb = calloc(1, sizeof(*cb));

	if (cb == NULL)
		return NULL;
	cb->config = *config;
	cb->table = table;
	cb->effects = *effects;
	cb->now_mono_ms = cb->budget_at_ms = now_mono_ms;
	cb->budget_bytes = (int64_t)config->bytes_per_second;
	schedule_init(&cb->schedule, table, now_mono_ms);
	return cb;
}

void checkback_destroy(struct checkback *cb)
{
	if (cb == NULL)
		return;
	for (uint32_t i = 0; i < cb->group_end; i++) {
		if (cb->groups[i] != NULL)
			free(cb->groups[i]->producers);
		free(cb->groups[i]);
	}
	free(cb->groups);
	free(cb);
}

/* --- groups and their producers ---------------------------------------------------------------------- */

enum status checkback_reserve(struct checkback *cb, uint32_t group_id)
{
	if (group_id >= cb->group_end) {
		uint32_t end = cb->group_end == 0 ? 64 : cb->group_end;

		while (end <= group_id)
			end *= 2;
		struct group **groups = realloc(cb->groups, end * sizeof(*groups));
		if (groups == NULL)
			return ST_NOMEM;
		memset(groups + cb->group_end, 0, (end - cb->group_end) * sizeof(*groups));
		cb->groups = groups;
		cb->group_end = end;
	}
	if (cb->groups[group_id] != NULL)
		return ST_OK;
	struct group *group = calloc(1, sizeof(*group));
	if (group == NULL)
		return ST_NOMEM;
	line_init(&group->waiting);
	cb->groups[group_id] = group;
	return ST_OK;
}

static struct group *group_of(const struct checkback *cb, const struct pending *entry)
{
	assert(entry->group_id < cb->group_end && cb->groups[entry->group_id] != NULL);
	return cb->groups[entry->group_id];
}

static struct producer *find_producer(const struct group *group, uint64_t conn_id)
{
	for (uint32_t i = 0; i < group->producer_count; i++) {
		if (group->producers[i].conn_id == conn_id)
			return &group->producers[i];
	}
	return NULL;
}

static void set_busy(struct checkback *cb, struct group *group)
{
	if (group->busy)
		return;
	group->busy = true;
	DL_APPEND2(cb->busy, group, busy_prev, busy_next);
}

/* --- places ------------------------------------------------------------------------------------------ */

static enum place place_of(const struct pending *entry)
{
	return (enum place)(entry->place & PLACE_MASK);
}

static void set_place(struct pending *entry, enum place place)
{
	entry->place = (uint8_t)((entry->place & MARK_IN_DOUBT) | place);
}

static void set_waiting(struct checkback *cb, struct pending *entry, bool avoid_last)
{
	struct group *group = group_of(cb, entry);

	set_place(entry, PLACE_WAITING);
	if (avoid_last)
		entry->place |= MARK_AVOID;
	line_append(&group->waiting, cb->table, entry);
	set_busy(cb, group);
}

static void set_wheel(struct checkback *cb, struct pending *entry, int64_t due_mono_ms)
{
	set_place(entry, PLACE_WHEEL);
	entry->due_mono_ms = due_mono_ms;
	schedule_later(&cb->schedule, entry);
}

/* Takes an entry out of the list it is in. */
static void unplace(struct checkback *cb, struct pending *entry)
{
	struct group *group = group_of(cb, entry);

	switch (place_of(entry)) {
	case PLACE_YOUNG: schedule_remove(&cb->schedule, entry, true); break;
	case PLACE_WHEEL: schedule_remove(&cb->schedule, entry, false); break;
	case PLACE_WAITING: line_remove(&group->waiting, cb->table, entry); break;
	case PLACE_ASKED: line_remove(&find_producer(group, entry->conn_id)->asked, cb->table, entry); break;
	default: break;
	}
	set_place(entry, PLACE_NONE);
}

uint64_t checkback_in_doubt(const struct checkback *cb)
{
	return cb->in_doubt;
}

/* --- events ------------------------------------------------------------------------------------------ */

void checkback_opened(struct checkback *cb, struct pending *entry, int64_t delay_ms, int64_t now_mono_ms)
{
	assert(entry->place == PLACE_NONE);
	entry->due_mono_ms = now_mono_ms + (delay_ms > 0 ? delay_ms : 0);
	entry->place = schedule_first(&cb->schedule, entry) ? PLACE_YOUNG : PLACE_WHEEL;
}

void checkback_closed(struct checkback *cb, struct pending *entry)
{
	if ((entry->place & MARK_IN_DOUBT) != 0)
		cb->in_doubt--;
	if (place_of(entry) == PLACE_ASKED) {
		struct producer *producer = find_producer(group_of(cb, entry), entry->conn_id);

		if (producer->window < cb->config.window_max)
			producer->window++;
	}
	unplace(cb, entry);
	entry->place = PLACE_NONE;
}

int64_t checkback_backoff_ms(const struct checkback_config *config, uint32_t answered)
{
	uint32_t doublings = answered <= 3 ? 0 : answered - 3;

	return config->check_interval_ms << (doublings < 3 ? doublings : 3);
}

void checkback_answered_unknown(struct checkback *cb, struct pending *entry, int64_t now_mono_ms)
{
	if (place_of(entry) == PLACE_NONE)
		return; /* Parked. */
	if (place_of(entry) == PLACE_ASKED) {
		struct producer *producer = find_producer(group_of(cb, entry), entry->conn_id);

		if (producer->window < cb->config.window_max)
			producer->window++;
	}
	unplace(cb, entry);
	set_wheel(cb, entry, now_mono_ms + checkback_backoff_ms(&cb->config, entry->answered));
	if (entry->answered >= cb->config.check_max)
		cb->effects.exhausted(cb->effects.context, entry);
}

enum status checkback_producer_seen(struct checkback *cb, uint32_t group_id, uint64_t conn_id)
{
	if (checkback_reserve(cb, group_id) != ST_OK)
		return ST_NOMEM;
	struct group *group = cb->groups[group_id];
	if (find_producer(group, conn_id) != NULL)
		return ST_OK;
	struct producer *producers = realloc(group->producers, (group->producer_count + 1) * sizeof(*producers));
	if (producers == NULL)
		return ST_NOMEM;
	group->producers = producers;
	struct producer *producer = &producers[group->producer_count++];
	producer->conn_id = conn_id;
	producer->window = cb->config.window_start;
	line_init(&producer->asked);
	return ST_OK;
}

void checkback_producer_gone(struct checkback *cb, uint32_t group_id, uint64_t conn_id)
{
	struct group *group = group_id < cb->group_end ? cb->groups[group_id] : NULL;
	struct producer *producer = group == NULL ? NULL : find_producer(group, conn_id);
	struct pending *entry;

	if (producer == NULL)
		return;
	while ((entry = line_first(&producer->asked, cb->table)) != NULL) {
		unplace(cb, entry);
		set_waiting(cb, entry, false);
	}
	*producer = group->producers[--group->producer_count];
}

static void on_due(void *context, struct pending *entry)
{
	struct checkback *cb = context;

	set_place(entry, PLACE_NONE);
	if ((entry->place & MARK_IN_DOUBT) == 0) {
		entry->place |= MARK_IN_DOUBT;
		cb->in_doubt++;
	}
	if (entry->answered >= cb->config.check_max) {
		set_wheel(cb, entry, cb->now_mono_ms + 1000);
		cb->effects.exhausted(cb->effects.context, entry);
		return;
	}
	set_waiting(cb, entry, false);
}

static void expire_asked(struct checkback *cb, struct group *group)
{
	for (uint32_t i = 0; i < group->producer_count; i++) {
		struct producer *producer = &group->producers[i];
		struct pending *entry;
		bool timed_out = false;

		while ((entry = line_first(&producer->asked, cb->table)) != NULL && entry->due_mono_ms <= cb->now_mono_ms) {
			unplace(cb, entry);
			set_waiting(cb, entry, true);
			timed_out = true;
		}
		if (timed_out && producer->window / 2 >= cb->config.window_min)
			producer->window /= 2;
	}
}

static void refill_budget(struct checkback *cb)
{
	int64_t limit = (int64_t)cb->config.bytes_per_second;

	cb->budget_bytes += limit * (cb->now_mono_ms - cb->budget_at_ms) / 1000;
	if (cb->budget_bytes > limit)
		cb->budget_bytes = limit;
	cb->budget_at_ms = cb->now_mono_ms;
}

void checkback_tick(struct checkback *cb, int64_t now_mono_ms)
{
	struct group *group;

	cb->now_mono_ms = now_mono_ms;
	refill_budget(cb);
	schedule_advance(&cb->schedule, now_mono_ms, on_due, cb);
	DL_FOREACH2(cb->busy, group, busy_next)
		expire_asked(cb, group);
}

/* --- dispatch ---------------------------------------------------------------------------------------- */

static bool has_room(const struct producer *producer)
{
	return producer->asked.count < producer->window;
}

/* Who is asked: the sender (or the one asked last, unless it did not answer), else the next with room. */
static struct producer *choose(struct group *group, const struct pending *entry)
{
	bool avoid = (entry->place & MARK_AVOID) != 0;
	struct producer *last = find_producer(group, entry->conn_id);

	if (last != NULL && has_room(last) && (!avoid || group->producer_count == 1))
		return last;
	for (uint32_t i = 0; i < group->producer_count; i++) {
		struct producer *producer = &group->producers[group->producer_next++ % group->producer_count];

		if (has_room(producer) && !(avoid && producer == last))
			return producer;
	}
	return NULL;
}

/* Asks about the group's first waiting entry. False: no producer has room. */
static bool ask_first(struct checkback *cb, struct group *group)
{
	struct pending *entry = line_first(&group->waiting, cb->table);
	struct producer *producer = choose(group, entry);

	if (producer == NULL)
		return false;
	unplace(cb, entry);
	if (!cb->effects.ask(cb->effects.context, entry, producer->conn_id)) {
		set_wheel(cb, entry, cb->now_mono_ms + RETRY_MS);
		return true;
	}
	if (entry->attempts < UINT16_MAX)
		entry->attempts++;
	entry->conn_id = producer->conn_id;
	set_place(entry, PLACE_ASKED);
	entry->due_mono_ms = cb->now_mono_ms + cb->config.answer_timeout_ms;
	line_append(&producer->asked, cb->table, entry);
	group->deficit -= entry->record_size;
	cb->budget_bytes -= entry->record_size;
	return true;
}

static bool has_budget(const struct checkback *cb)
{
	return cb->config.bytes_per_second == 0 || cb->budget_bytes > 0;
}

/* One turn of a group. True if it may have more to ask. */
static bool serve_group(struct checkback *cb, struct group *group)
{
	group->deficit += QUANTUM_BYTES;
	while (group->waiting.count > 0 && group->deficit > 0 && has_budget(cb)) {
		if (!ask_first(cb, group)) {
			group->deficit = 0;
			return false;
		}
	}
	if (group->waiting.count == 0)
		group->deficit = 0;
	return group->waiting.count > 0 && has_budget(cb);
}

static bool has_asked(const struct group *group)
{
	for (uint32_t i = 0; i < group->producer_count; i++) {
		if (group->producers[i].asked.count > 0)
			return true;
	}
	return false;
}

void checkback_dispatch(struct checkback *cb, int64_t now_mono_ms)
{
	bool more = cb->busy != NULL;

	cb->now_mono_ms = now_mono_ms;
	while (more) {
		struct group *group, *next;

		more = false;
		DL_FOREACH_SAFE2(cb->busy, group, next, busy_next) {
			if (group->producer_count > 0 && group->waiting.count > 0)
				more = serve_group(cb, group) || more;
			if (group->waiting.count == 0 && !has_asked(group)) {
				group->busy = false;
				DL_DELETE2(cb->busy, group, busy_prev, busy_next);
			}
		}
	}
}
