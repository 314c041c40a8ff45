#include "checkback/schedule.h"

#include <assert.h>
#include <stddef.h>

void line_init(struct line *line)
{
	*line = (struct line){ PENDING_NONE, PENDING_NONE, 0 };
}

void line_append(struct line *line, struct pending_table *table, struct pending *entry)
{
	uint32_t slot = pending_slot(table, entry);

	entry->prev = line->tail;
	entry->next = PENDING_NONE;
	if (line->tail == PENDING_NONE)
		line->head = slot;
	else
		pending_at(table, line->tail)->next = slot;
	line->tail = slot;
	line->count++;
}

void line_remove(struct line *line, struct pending_table *table, struct pending *entry)
{
	assert(line->count > 0);
	if (entry->prev == PENDING_NONE)
		line->head = entry->next;
	else
		pending_at(table, entry->prev)->next = entry->next;
	if (entry->next == PENDING_NONE)
		line->tail = entry->prev;
	else
		pending_at(table, entry->next)->prev = entry->prev;
	entry->prev = entry->next = PENDING_NONE;
	line->count--;
}

struct pending *line_first(const struct line *line, const struct pending_table *table)
{
	return line->head == PENDING_NONE ? NULL : pending_at(table, line->head);
}

void schedule_init(struct schedule *schedule, struct pending_table *table, int64_t now_mono_ms)
{
	schedule->table = table;
	schedule->wheel_at = now_mono_ms / WHEEL_TICK_MS;
	line_init(&schedule->young);
	for (int i = 0; i < WHEEL_SLOTS; i++)
		line_init(&schedule->wheel[i]);
}

bool schedule_first(struct schedule *schedule, struct pending *entry)
{
	const struct line *young = &schedule->young;

	if (young->count > 0 && pending_at(schedule->table, young->tail)->due_mono_ms > entry->due_mono_ms) {
		schedule_later(schedule, entry);
		return false;
	}
	line_append(&schedule->young, schedule->table, entry);
	return true;
}

void schedule_later(struct schedule *schedule, struct pending *entry)
{
	int64_t tick = entry->due_mono_ms / WHEEL_TICK_MS + 1; /* Not before it is due. */

	if (tick <= schedule->wheel_at)
		tick = schedule->wheel_at + 1;
	entry->wheel_slot = (uint16_t)((uint64_t)tick % WHEEL_SLOTS);
	line_append(&schedule->wheel[entry->wheel_slot], schedule->table, entry);
}

void schedule_remove(struct schedule *schedule, struct pending *entry, bool young)
{
	line_remove(young ? &schedule->young : &schedule->wheel[entry->wheel_slot], schedule->table, entry);
}

static void advance_slot(struct schedule *schedule, struct line *line, int64_t now_mono_ms, schedule_due due,
			 void *context)
{
	/* What is put back while we look goes to the end: look at each entry once. */
	for (uint32_t left = line->count; left > 0; left--) {
		struct pending *entry = line_first(line, schedule->table);

		line_remove(line, schedule->table, entry);
		if (entry->due_mono_ms <= now_mono_ms)
			due(context, entry);
		else
			line_append(line, schedule->table, entry);
	}
}

void schedule_advance(struct schedule *schedule, int64_t now_mono_ms, schedule_due due, void *context)
{
	struct pending *entry;

	for (int left = YOUNG_PER_ADVANCE; left > 0; left--) {
		entry = line_first(&schedule->young, schedule->table);
		if (entry == NULL || entry->due_mono_ms > now_mono_ms)
			break;
		line_remove(&schedule->young, schedule->table, entry);
		due(context, entry);
	}
	int64_t until = now_mono_ms / WHEEL_TICK_MS;
	/* After a long pause one turn visits every slot. */
	if (until - schedule->wheel_at > WHEEL_SLOTS)
		schedule->wheel_at = until - WHEEL_SLOTS;
	while (schedule->wheel_at < until) {
		schedule->wheel_at++;
		advance_slot(schedule, &schedule->wheel[(uint64_t)schedule->wheel_at % WHEEL_SLOTS], now_mono_ms, due,
			     context);
	}
}
