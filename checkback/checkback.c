#include "checkback/checkback.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "checkback/schedule.h"

/* Where an entry is: the low bits of pending.place. From PLACE_LINES on: in that line of its group. */
enum place { PLACE_NONE, PLACE_YOUNG, PLACE_WHEEL, PLACE_ASKED, PLACE_LINES, PLACE_MASK = 0x0f };
/* Its high bits: the connection asked last did not answer; its first deadline has passed; the group's return (modulo 4)
 * after which it was put into its line. */
enum { MARK_AVOID = 0x80, MARK_IN_DOUBT = 0x40, MARK_RETURN_SHIFT = 4, MARK_RETURN = 3 << MARK_RETURN_SHIFT };

/* The lines of a group: everything in doubt that nobody is being asked about. All entries of a line wait equally
 * long, so each line is in the order of its deadlines, and what rests costs nothing until its line is looked at. */
enum { LINE_WAITING, LINE_RETRY, LINE_BACKOFF, BACKOFF_STEPS = 4, LINE_COUNT = LINE_BACKOFF + BACKOFF_STEPS };

enum {
	RETRY_MS = 100,               /* After a question that could not be sent. */
	EXHAUSTED_RETRY_MS = 1000,    /* After a policy decision that could not be recorded. */
	QUANTUM_BYTES = 64 * 1024,    /* A group's turn. */
	FAILURES_PER_TICK = 256,      /* Questions that could not be sent; bounds the work on a connection that is stuck. */
	BACKOFF_FIRST_COUNT = 3,      /* So many UNKNOWNs wait check_interval; each further one twice as long, up to 8 times. */
};

struct producer {
	uint64_t conn_id;
	uint32_t window;
	bool silent;       /* Let a question time out and has answered none since. */
	struct line asked; /* In order of asking, which is the order of their time-outs. */
};

struct group {
	struct group *busy_prev, *busy_next;   /* There are producers, and something is in doubt: looked at each tick. */
	struct group *ready_prev, *ready_next; /* Perhaps there is something to ask: looked at by dispatch. */
	bool busy, ready;
	struct producer *producers;
	uint32_t producer_count;
	uint32_t producer_next;     /* Round robin. */
	struct line lines[LINE_COUNT];
	uint32_t held_count;        /* In the lines and asked about. */
	int64_t returned_mono_ms;   /* When the first producer came back: what rested before rests no longer than it must. */
	uint8_t return_number;      /* Modulo 4, already shifted: tells apart what happens within one millisecond. */
	int64_t deficit;
};

struct checkback {
	struct checkback_config config;
	struct pending_table *table;
	struct checkback_effects effects;
	struct schedule schedule;
	struct group **groups; /* By group id. */
	uint32_t group_end;
	struct group *busy, *ready;
	uint64_t in_doubt;
	int64_t now_mono_ms;
	int64_t budget_bytes; /* May go below 0: the last question is sent whole. */
	int64_t budget_at_ms;
	uint32_t failures_left; /* Of this tick. */
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
	cb->failures_left = FAILURES_PER_TICK;
	schedule_init(&cb->schedule, table, now_mono_ms);
	return cb;
}

void checkback_reconfigure(struct checkback *cb, const struct checkback_config *config)
{
	cb->config = *config;
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
	for (int i = 0; i < LINE_COUNT; i++)
		line_init(&group->lines[i]);
	group->returned_mono_ms = INT64_MIN;
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

/* After its producers or what it holds changed: is it to be looked at? */
static void look_at(struct checkback *cb, struct group *group, bool now)
{
	bool busy = group->producer_count > 0 && group->held_count > 0;

	if (busy != group->busy) {
		group->busy = busy;
		if (busy)
			DL_APPEND2(cb->busy, group, busy_prev, busy_next);
		else
			DL_DELETE2(cb->busy, group, busy_prev, busy_next);
	}
	bool ready = busy && (now || group->ready);
	if (ready != group->ready) {
		group->ready = ready;
		if (ready)
			DL_APPEND2(cb->ready, group, ready_prev, ready_next);
		else
			DL_DELETE2(cb->ready, group, ready_prev, ready_next);
	}
}

/* --- places ------------------------------------------------------------------------------------------ */

static unsigned place_of(const struct pending *entry)
{
	return entry->place & PLACE_MASK;
}

static void set_place(struct pending *entry, unsigned place)
{
	entry->place = (uint8_t)((entry->place & MARK_IN_DOUBT) | place);
}

/* How many times the wait has doubled after so many UNKNOWNs. */
static int backoff_step(uint32_t answered)
{
	uint32_t step = answered <= BACKOFF_FIRST_COUNT ? 0 : answered - BACKOFF_FIRST_COUNT;

	return (int)(step < BACKOFF_STEPS ? step : BACKOFF_STEPS - 1);
}

int64_t checkback_backoff_ms(const struct checkback_config *config, uint32_t answered)
{
	return config->check_interval_ms << backoff_step(answered);
}

/* How long an entry stays in a line before it is asked about. */
static int64_t line_delay_ms(const struct checkback *cb, int line)
{
	switch (line) {
	case LINE_WAITING: return 0;
	case LINE_RETRY: return RETRY_MS;
	default: return cb->config.check_interval_ms << (line - LINE_BACKOFF);
	}
}

static void set_line(struct checkback *cb, struct pending *entry, int line, bool avoid_last)
{
	struct group *group = group_of(cb, entry);

	set_place(entry, PLACE_LINES + (unsigned)line);
	entry->place |= group->return_number;
	if (avoid_last)
		entry->place |= MARK_AVOID;
	entry->due_mono_ms = cb->now_mono_ms + line_delay_ms(cb, line);
	line_append(&group->lines[line], cb->table, entry);
	group->held_count++;
	look_at(cb, group, line == LINE_WAITING);
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
	unsigned place = place_of(entry);

	if (place == PLACE_YOUNG || place == PLACE_WHEEL) {
		schedule_remove(&cb->schedule, entry, place == PLACE_YOUNG);
	} else if (place != PLACE_NONE) {
		if (place == PLACE_ASKED)
			line_remove(&find_producer(group, entry->conn_id)->asked, cb->table, entry);
		else
			line_remove(&group->lines[place - PLACE_LINES], cb->table, entry);
		group->held_count--;
		look_at(cb, group, place == PLACE_ASKED); /* There is room for another question. */
	}
	set_place(entry, PLACE_NONE);
}

int64_t checkback_wait_ms(const struct pending *entry, int64_t now_mono_ms)
{
	unsigned place = place_of(entry);
	int64_t left = entry->due_mono_ms - now_mono_ms;

	if (place == PLACE_NONE || place == PLACE_ASKED || place == PLACE_LINES + LINE_WAITING)
		return 0;
	return left > 0 ? left : 0;
}

uint64_t checkback_in_doubt(const struct checkback *cb)
{
	return cb->in_doubt;
}

/* --- events ------------------------------------------------------------------------------------------ */

static void note_in_doubt(struct checkback *cb, struct pending *entry)
{
	if ((entry->place & MARK_IN_DOUBT) != 0)
		return;
	entry->place |= MARK_IN_DOUBT;
	cb->in_doubt++;
}

void checkback_opened(struct checkback *cb, struct pending *entry, int64_t delay_ms, int64_t now_mono_ms)
{
	bool asked_before = entry->attempts > 0;

	assert(entry->place == PLACE_NONE);
	cb->now_mono_ms = now_mono_ms;
	entry->due_mono_ms = now_mono_ms + (delay_ms > 0 ? delay_ms : 0);
	if (asked_before)
		note_in_doubt(cb, entry);
	/* A long immunity, or a rest, at the end of the young line would send all that follow to the wheel. */
	if (delay_ms > (asked_before ? 0 : cb->config.transaction_timeout_ms))
		set_wheel(cb, entry, entry->due_mono_ms);
	else
		set_place(entry, schedule_first(&cb->schedule, entry) ? PLACE_YOUNG : PLACE_WHEEL);
}

/* The connection that was asked has answered. */
static void note_answer(struct checkback *cb, const struct pending *entry)
{
	if (place_of(entry) != PLACE_ASKED)
		return;
	struct producer *producer = find_producer(group_of(cb, entry), entry->conn_id);

	producer->silent = false;
	if (producer->window < cb->config.window_max)
		producer->window++;
}

void checkback_closed(struct checkback *cb, struct pending *entry)
{
	if ((entry->place & MARK_IN_DOUBT) != 0)
		cb->in_doubt--;
	note_answer(cb, entry);
	unplace(cb, entry);
	entry->place = PLACE_NONE;
}

bool checkback_awaits_answer(const struct pending *entry)
{
	unsigned place = place_of(entry);

	return place == PLACE_ASKED || place == PLACE_LINES + LINE_WAITING || place == PLACE_LINES + LINE_RETRY;
}

void checkback_answered_unknown(struct checkback *cb, struct pending *entry, int64_t now_mono_ms)
{
	/* Parked; or nobody is waiting for an answer: the deadline that it has stands. */
	if (!checkback_awaits_answer(entry))
		return;
	cb->now_mono_ms = now_mono_ms;
	note_answer(cb, entry);
	unplace(cb, entry);
	if (entry->answered < cb->config.check_max) {
		set_line(cb, entry, LINE_BACKOFF + backoff_step(entry->answered), false);
		return;
	}
	set_wheel(cb, entry, now_mono_ms + EXHAUSTED_RETRY_MS);
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
	*producer = (struct producer){ .conn_id = conn_id, .window = cb->config.window_start };
	line_init(&producer->asked);
	if (group->producer_count == 1) {
		group->returned_mono_ms = cb->now_mono_ms;
		group->return_number = (uint8_t)((group->return_number + (1 << MARK_RETURN_SHIFT)) & MARK_RETURN);
	}
	look_at(cb, group, true);
	return ST_OK;
}

void checkback_producer_gone(struct checkback *cb, uint32_t group_id, uint64_t conn_id)
{
	struct group *group = group_id < cb->group_end ? cb->groups[group_id] : NULL;
	struct producer *producer = group == NULL ? NULL : find_producer(group, conn_id);
	struct pending *entry;

	if (producer == NULL)
		return;
	/* To the end of the line: if one of these questions is what kills its producer, the others come first. */
	while ((entry = line_first(&producer->asked, cb->table)) != NULL) {
		unplace(cb, entry);
		set_line(cb, entry, LINE_WAITING, false);
	}
	*producer = group->producers[--group->producer_count];
	look_at(cb, group, true);
}

static void on_due(void *context, struct pending *entry)
{
	struct checkback *cb = context;

	set_place(entry, PLACE_NONE);
	note_in_doubt(cb, entry);
	if (entry->answered >= cb->config.check_max) {
		set_wheel(cb, entry, cb->now_mono_ms + EXHAUSTED_RETRY_MS);
		cb->effects.exhausted(cb->effects.context, entry);
		return;
	}
	set_line(cb, entry, LINE_WAITING, false);
}

static void expire_asked(struct checkback *cb, struct group *group)
{
	for (uint32_t i = 0; i < group->producer_count; i++) {
		struct producer *producer = &group->producers[i];
		struct pending *entry;
		bool timed_out = false;

		while ((entry = line_first(&producer->asked, cb->table)) != NULL && entry->due_mono_ms <= cb->now_mono_ms) {
			unplace(cb, entry);
			set_line(cb, entry, LINE_WAITING, true);
			timed_out = true;
		}
		if (!timed_out)
			continue;
		producer->silent = true;
		producer->window /= 2;
		if (producer->window < cb->config.window_min)
			producer->window = cb->config.window_min;
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

/* --- dispatch ---------------------------------------------------------------------------------------- */

/* Is this entry of a line to be asked about now? */
static bool is_eligible(const struct checkback *cb, const struct group *group, int line, const struct pending *entry)
{
	int64_t since_ms = entry->due_mono_ms - line_delay_ms(cb, line);

	if (entry->due_mono_ms <= cb->now_mono_ms)
		return true;
	if ((entry->place & MARK_RETURN) == group->return_number && since_ms >= group->returned_mono_ms)
		return false;
	/* It rested when the group came back, and another process may know more. But a connection that is cut again and again
	 * must not use its checks up: one interval after an answer is the least. */
	return line < LINE_BACKOFF || since_ms + cb->config.check_interval_ms <= cb->now_mono_ms;
}

/* The oldest, in half order, of those that stand first in the group's lines and may be asked about. NULL: none. */
static struct pending *next_to_ask(const struct checkback *cb, const struct group *group)
{
	struct pending *oldest = NULL;

	for (int i = 0; i < LINE_COUNT; i++) {
		struct pending *entry = line_first(&group->lines[i], cb->table);

		if (entry == NULL || !is_eligible(cb, group, i, entry))
			continue;
		if (oldest == NULL || entry->half_queue_offset < oldest->half_queue_offset)
			oldest = entry;
	}
	return oldest;
}

void checkback_tick(struct checkback *cb, int64_t now_mono_ms)
{
	struct group *group, *next;

	cb->now_mono_ms = now_mono_ms;
	cb->failures_left = FAILURES_PER_TICK;
	refill_budget(cb);
	schedule_advance(&cb->schedule, now_mono_ms, on_due, cb);
	DL_FOREACH_SAFE2(cb->busy, group, next, busy_next) {
		expire_asked(cb, group);
		if (!group->ready && next_to_ask(cb, group) != NULL)
			look_at(cb, group, true);
	}
}

static bool has_room(const struct producer *producer)
{
	return producer->asked.count < producer->window;
}

static bool reads_nothing(const struct checkback *cb, const struct producer *producer)
{
	return cb->effects.full(cb->effects.context, producer->conn_id);
}

/* Who is asked: the sender, or the one asked last; somebody else if that one let this question or others time out, as
 * long as there is somebody with room, or if it reads nothing. NULL: nobody has room. */
static struct producer *choose(const struct checkback *cb, struct group *group, const struct pending *entry)
{
	struct producer *last = find_producer(group, entry->conn_id), *best = NULL;
	bool avoid = (entry->place & MARK_AVOID) != 0 || (last != NULL && reads_nothing(cb, last));
	int best_rank = -1;

	if (last != NULL && !avoid && !last->silent && has_room(last))
		return last;
	for (uint32_t i = 0; i < group->producer_count; i++) {
		struct producer *producer = &group->producers[(group->producer_next + i) % group->producer_count];
		int rank = (producer->silent ? 0 : 2) + (avoid && producer == last ? 0 : 1);

		if (rank > best_rank && has_room(producer) && !reads_nothing(cb, producer)) {
			best = producer;
			best_rank = rank;
		}
	}
	if (best != NULL)
		group->producer_next = (uint32_t)(best - group->producers) + 1;
	return best;
}

static void ask(struct checkback *cb, struct group *group, struct producer *producer, struct pending *entry)
{
	uint64_t conn_id = producer->conn_id;

	unplace(cb, entry);
	group->deficit -= entry->record_size;
	bool sent = cb->effects.ask(cb->effects.context, entry, conn_id);
	producer = find_producer(group, conn_id); /* Sending may have ended the connection. */
	if (!sent || producer == NULL) {
		cb->failures_left--;
		set_line(cb, entry, LINE_RETRY, false);
		return;
	}
	if (entry->attempts < UINT16_MAX)
		entry->attempts++;
	entry->conn_id = conn_id;
	set_place(entry, PLACE_ASKED);
	entry->due_mono_ms = cb->now_mono_ms + cb->config.answer_timeout_ms;
	line_append(&producer->asked, cb->table, entry);
	group->held_count++;
	look_at(cb, group, true);
	cb->budget_bytes -= entry->record_size;
}

static bool may_ask(const struct checkback *cb)
{
	return (cb->config.bytes_per_second == 0 || cb->budget_bytes > 0) && cb->failures_left > 0;
}

/* One turn of a group. False: it has no more to ask, or nobody to ask. */
static bool serve_group(struct checkback *cb, struct group *group)
{
	if (group->deficit <= 0)
		group->deficit += QUANTUM_BYTES;
	while (group->deficit > 0 && may_ask(cb)) {
		struct pending *entry = next_to_ask(cb, group);
		struct producer *producer = entry == NULL ? NULL : choose(cb, group, entry);

		if (producer == NULL) {
			group->deficit = 0;
			return false;
		}
		ask(cb, group, producer, entry);
	}
	return true;
}

void checkback_dispatch(struct checkback *cb, int64_t now_mono_ms)
{
	struct group *group;

	cb->now_mono_ms = now_mono_ms;
	while ((group = cb->ready) != NULL && may_ask(cb)) {
		bool more = serve_group(cb, group);

		/* To the end: others have their turn, also if the budget ran out just now. */
		if (group->ready) {
			group->ready = false;
			DL_DELETE2(cb->ready, group, ready_prev, ready_next);
		}
		look_at(cb, group, more);
	}
}
