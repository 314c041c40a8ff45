#include "broker/core/pop_revive.h"

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/pop_waits.h"
#include "broker/core/produce.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "broker/core/stored.h"
#include "lib/base/logging.h"

enum { SWEEP_INTERVAL_MS = 100, REVIVES_PER_TICK = 200, RECORD_SLACK = 1024, LEFT_MS = 60 * 1000 };

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

/* Room for both records, or none is made: it must not come twice. ST_TOOBIG: there never is any. */
static enum status check_room(const struct revival *v, const struct stored_message *stored, struct errinfo *err)
{
	size_t most = commitlog_payload_max(v->core->log), names = v->topic->name.size + v->group->name.size;

	if (stored->record.size + RECORD_SLACK > most)
		return errinfo_set(err, ST_TOOBIG, "%zu bytes, the log takes %zu at once: give mappedFileSizeCommitLog and tailRingSize "
				   "the values that they had", stored->record.size, most);
	return commitlog_room(v->core->log) < stored->record.size + 4 * RECORD_SLACK + names ? ST_AGAIN : ST_OK;
}

/* The stored message; ST_NOTFOUND when it is not kept any more, ST_CORRUPT when the log cannot give it, ST_IO: the index. */
static enum status read_lapsed(struct revival *v, uint64_t offset, struct stored_message *stored, uint64_t *log_offset,
			       struct errinfo *err)
{
	const struct queue *queue = topic_queue(v->topic, v->row->key.queue_id);
	struct cq_entry place;

	if (queue == NULL || offset < consume_queue_min(&queue->entries) || offset >= queue->visible_offset)
		return ST_NOTFOUND;
	enum status status = consume_queue_get(&queue->entries, offset, &place, err);
	if (status != ST_OK)
		return status == ST_CORRUPT ? ST_IO : status;
	if (place.body_offset < commitlog_start(v->core->log))
		return ST_NOTFOUND;
	*log_offset = place.log_offset;
	status = core_stored_message(v->core, place.log_offset, stored, err);
	return status == ST_NOTFOUND ? ST_CORRUPT : status;
}

/* The message once more. */
static enum status give_again(struct revival *v, const struct pop_entry *entry, struct outcome *outcome)
{
	struct stored_message stored = { 0 };
	uint64_t log_offset = 0;
	enum status status = read_lapsed(v, entry->offset, &stored, &log_offset, &outcome->err);

	if (status == ST_OK)
		status = check_room(v, &stored, &outcome->err);
	if (status != ST_OK)
		return status;
	if (stored.message.reconsume_times >= v->group->settings.retry_max_times)
		return to_dead_letters(v, log_offset, outcome);
	struct redelivery again = { .group = v->group, .topic = v->topic, .first_pop_ms = entry->pop_ms };
	return produce_again(v->core, &again, &stored, outcome);
}

static void tell(const struct revival *v, uint64_t offset, const char *event, const struct errinfo *why)
{
	log_error("pop", event, "group=%.*s topic=%.*s queue=%u offset=%llu reason=\"%s\"", SPAN_ARGS(v->group->name),
		  SPAN_ARGS(v->topic->name), v->row->key.queue_id, (unsigned long long)offset, why->text);
}

/* ST_AGAIN: not now. ST_TOOBIG: this one cannot be given as things are; others can. What the log cannot give any more is
 * passed over: kept checked out, it would hold the group's position for good. */
static enum status revive(struct revival *v, const struct pop_entry *entry)
{
	struct outcome outcome = { 0 };
	uint64_t offset = entry->offset;
	enum status status = give_again(v, entry, &outcome);

	if (status == ST_DENIED && outcome.code == RESP_MESSAGE_ILLEGAL)
		status = ST_TOOBIG; /* The name of the retry topic is longer, and the format has no room for that. */
	switch (status) {
	case ST_OK:
	case ST_NOTFOUND:
		return settle(v, offset);
	case ST_CORRUPT:
		tell(v, offset, "a damaged message is passed over", &outcome.err);
		return settle(v, offset);
	case ST_TOOBIG:
	case ST_IO:
		tell(v, offset, "a message cannot be given again, it stays checked out", &outcome.err);
		return ST_TOOBIG;
	default:
		return ST_AGAIN;
	}
}

static bool has_lapsed(const struct revival *v, const struct pop_entry *entry)
{
	return pop_entry_due(entry) <= v->core->wall_ms;
}

static void sweep_row(struct revival *v)
{
	const struct pop_entry *entry = pop_row_from(v->row, 0);
	int64_t now = v->core->wall_ms;
	bool left = false, waits = false;

	while (entry != NULL) {
		uint64_t offset = entry->offset;

		if (entry->orderly && has_lapsed(v, entry))
			pop_waits_arrived(v->core, v->topic);
		if (!entry->orderly && has_lapsed(v, entry)) {
			enum status status = v->budget-- <= 0 ? ST_AGAIN : revive(v, entry);
			if (status == ST_AGAIN && !core_keep_wish(v->core, WISH_REVIVE))
				return; /* The row stays due. */
			waits |= status == ST_AGAIN;
			left |= status == ST_TOOBIG;
		}
		entry = pop_row_from(v->row, offset + 1);
	}
	if (waits) /* For the disk. */
		return;
	pop_row_look(v->row, now);
	if (left && v->row->due_ms < now + LEFT_MS)
		v->row->due_ms = now + LEFT_MS; /* What is left is tried now and then. */
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
