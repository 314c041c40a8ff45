#include "broker/core/pop_revive.h"

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/pop_waits.h"
#include "broker/core/produce.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "broker/core/stored.h"

enum { SWEEP_INTERVAL_MS = 100, REVIVES_PER_TICK = 200, RECORD_SLACK = 1024 };

struct revival {
	struct core *core;
	struct pop_row *row;
	struct consumer_group *group;
	struct topic *topic;
	int budget;
};

static enum status settle(struct revival *v, uint64_t offset)
{
	struct record_pop event = {
		.event = POP_ACK, .group = v->group->name, .topic = v->topic->name, .queue_id = v->row->key.queue_id,
		.queue_offset = offset, .count = 1, .pop_time_ms = v->core->wall_ms,
	};
	struct outcome outcome = { 0 };

	return pop_record(v->core, &event, 1, &outcome);
}

static enum status to_dead_letters(struct revival *v, uint64_t log_offset, struct outcome *outcome)
{
	struct send_back_request request = { .group = v->group->name, .log_offset = log_offset, .delay_level = -1,
					     .max_reconsume_times = -1 };

	return core_send_back(v->core, &request, outcome);
}

/* The message once more; ST_NOTFOUND when it is not kept any more. */
static enum status give_again(struct revival *v, const struct pop_entry *entry, struct outcome *outcome)
{
	const struct queue *queue = topic_queue(v->topic, v->row->key.queue_id);
	struct stored_message stored = { 0 };
	struct cq_entry place;

	if (queue == NULL || entry->offset < consume_queue_min(&queue->entries) || entry->offset >= queue->visible_offset)
		return ST_NOTFOUND;
	enum status status = consume_queue_get(&queue->entries, entry->offset, &place, &outcome->err);
	if (status == ST_OK && place.body_offset < commitlog_start(v->core->log))
		return ST_NOTFOUND;
	if (status == ST_OK)
		status = core_stored_message(v->core, place.log_offset, &stored, &outcome->err);
	if (status != ST_OK)
		return status;
	/* Both records, or none: it must not come twice for want of room. */
	if (commitlog_room(v->core->log) < stored.record.size + 4 * RECORD_SLACK + v->topic->name.size + v->group->name.size)
		return ST_AGAIN;
	if (stored.message.reconsume_times >= v->group->settings.retry_max_times)
		return to_dead_letters(v, place.log_offset, outcome);
	struct redelivery again = { .group = v->group, .topic = v->topic, .first_pop_ms = entry->pop_ms };
	return produce_again(v->core, &again, &stored, outcome);
}

/* False: not now. */
static bool revive(struct revival *v, const struct pop_entry *entry)
{
	struct outcome outcome = { 0 };
	uint64_t offset = entry->offset;
	enum status status = give_again(v, entry, &outcome);

	if (status != ST_OK && status != ST_NOTFOUND)
		return false;
	return settle(v, offset) == ST_OK;
}

static void sweep_row(struct revival *v)
{
	const struct pop_entry *entry = pop_row_from(v->row, 0);
	int64_t now = v->core->wall_ms;

	while (entry != NULL) {
		uint64_t offset = entry->offset;

		if (entry->orderly && pop_entry_due(entry) <= now)
			pop_waits_arrived(v->core, v->topic);
		if (!entry->orderly && pop_entry_due(entry) <= now && (v->budget-- <= 0 || !revive(v, entry)))
			return; /* The row stays due. */
		entry = pop_row_from(v->row, offset + 1);
	}
	pop_row_look(v->row, now);
}

void pop_revive_tick(struct core *core)
{
	struct revival v = { .core = core, .budget = REVIVES_PER_TICK };

	if (core->mono_ms < core->pop.next_sweep_ms)
		return;
	core->pop.next_sweep_ms = core->mono_ms + SWEEP_INTERVAL_MS;
	for (v.row = core->pops.rows; v.row != NULL && v.budget > 0; v.row = v.row->hh.next) {
		if (v.row->due_ms > core->wall_ms)
			continue;
		v.group = groups_find(core->groups, names_text(core->names, v.row->key.group_id));
		v.topic = topics_find(core->topics, names_text(core->names, v.row->key.topic_id));
		if (v.group != NULL && v.topic != NULL)
			sweep_row(&v);
	}
	if (v.budget <= 0)
		core->pop.next_sweep_ms = core->mono_ms;
}
