#include "broker/core/inspect.h"

#include "broker/core/state.h"
#include "broker/core/stored.h"
#include "lib/wire/codes.h"

enum { AGES_PER_TICK = 256 };

/* --- queues -------------------------------------------------------------------------------------------------- */

enum status inspect_entry(struct core *core, const struct topic *topic, uint32_t queue_id, uint64_t offset,
			  struct cq_entry *out, struct errinfo *err)
{
	struct queue *queue = topic_queue(topic, queue_id);
	uint64_t min;

	if (queue == NULL || offset >= queue->visible_offset)
		return ST_NOTFOUND;
	enum status status = trimming_queue_min(core, queue, &min, err);
	if (status != ST_OK)
		return status;
	return offset < min ? ST_NOTFOUND : consume_queue_get(&queue->entries, offset, out, err);
}

/* 0 for a message that is not there. */
static enum status time_of(struct core *core, const struct topic *topic, uint32_t queue_id, uint64_t offset, int64_t *out,
			   struct errinfo *err)
{
	struct cq_entry entry = { 0 };
	enum status status = inspect_entry(core, topic, queue_id, offset, &entry, err);

	*out = status == ST_OK ? entry.store_time_ms : 0;
	return status == ST_NOTFOUND ? ST_OK : status;
}

/* One past the last half that is committed. What is not yet is under way to the disk: a moment's halves. */
static enum status halves_end(const struct core *core, struct half_entry *last, uint64_t *out, struct errinfo *err)
{
	uint64_t end = half_index_max(&core->halves);

	for (; end > half_index_min(&core->halves); end--) {
		enum status status = half_index_get(&core->halves, end - 1, last, err);

		if (status == ST_NOTFOUND) {
			*last = (struct half_entry){ 0 }; /* Of the past. */
			break;
		}
		if (status != ST_OK)
			return status;
		if (last->half_offset < core_committed_offset(core))
			break;
	}
	*out = end;
	return ST_OK;
}

/* The numbers of the halves, which clients quote as offsets of the half topic's queue. */
static enum status inspect_halves(struct core *core, struct inspected_queue *out, struct errinfo *err)
{
	struct half_entry last = { 0 };
	struct stored_message stored;
	uint64_t end = 0;

	enum status status = halves_end(core, &last, &end, err);
	if (status != ST_OK)
		return status;
	*out = (struct inspected_queue){ half_index_min(&core->halves), end, 0 };
	if (out->min_offset == out->max_offset)
		return ST_OK;
	status = core_half_view(core, last.half_offset, &stored, err);
	if (status == ST_OK)
		out->newest_ms = stored.message.store_timestamp;
	return status == ST_AGAIN ? status : ST_OK; /* Retention may have taken it. */
}

enum status inspect_queue(struct core *core, const struct topic *topic, uint32_t queue_id, struct inspected_queue *out,
			  struct errinfo *err)
{
	struct queue *queue = topic_queue(topic, queue_id);

	*out = (struct inspected_queue){ 0 };
	if (queue_id == 0 && span_is(topic->name, TOPIC_HALF))
		return inspect_halves(core, out, err);
	if (queue == NULL)
		return ST_OK;
	enum status status = trimming_queue_min(core, queue, &out->min_offset, err);
	out->max_offset = queue->visible_offset;
	if (status != ST_OK || out->max_offset == 0)
		return status;
	return time_of(core, topic, queue_id, out->max_offset - 1, &out->newest_ms, err);
}

enum status inspect_reader(struct core *core, const struct topic *topic, uint32_t queue_id, const struct consumer_group *group,
			   struct inspected_reader *out, struct errinfo *err)
{
	const struct queue *queue = topic_queue(topic, queue_id);
	int64_t offset;

	*out = (struct inspected_reader){ .broker_offset = queue == NULL ? 0 : queue->visible_offset };
	if (group == NULL)
		return ST_OK;
	if (offsets_get(core->offsets, topic->id, group->id, queue_id, &offset) && offset > 0)
		out->consumer_offset = (uint64_t)offset;
	out->pull_offset = (uint64_t)offsets_pulled(core->offsets, topic->id, group->id, queue_id);
	if (out->consumer_offset == 0)
		return ST_OK;
	return time_of(core, topic, queue_id, out->consumer_offset - 1, &out->last_ms, err);
}

/* --- who reads what -------------------------------------------------------------------------------------------- */

struct topic_search {
	const struct core *core;
	inspect_topic visit;
	void *context;
};

static void look_at_topic(void *context, uint32_t topic_id)
{
	const struct topic_search *search = context;
	const struct topic *topic = topics_find(search->core->topics, names_text(search->core->names, topic_id));

	if (topic != NULL)
		search->visit(search->context, topic);
}

void inspect_topics_of(const struct core *core, const struct consumer_group *group, inspect_topic visit, void *context)
{
	struct topic_search search = { core, visit, context };

	offsets_each_topic_of(core->offsets, group->id, look_at_topic, &search);
}

struct subscriber_search {
	const struct core *core;
	const struct topic *topic;
	inspect_group visit;
	void *context;
};

static bool has_offset(const struct core *core, const struct topic *topic, uint32_t group_id)
{
	int64_t offset;

	for (uint32_t id = 0; id < topic_queue_nums(topic); id++) {
		if (offsets_get(core->offsets, topic->id, group_id, id, &offset))
			return true;
	}
	return false;
}

static void look_at_reader(void *context, uint32_t group_id)
{
	const struct subscriber_search *search = context;
	const struct consumer_group *group = groups_find(search->core->groups, names_text(search->core->names, group_id));

	if (group != NULL)
		search->visit(search->context, group);
}

static void look_at_subscriber(void *context, uint32_t group_id)
{
	const struct subscriber_search *search = context;
	const struct core *core = search->core;
	const struct consumer_group *group = groups_find(core->groups, names_text(core->names, group_id));

	if (group != NULL && members_subscription(core->members, group_id, search->topic->id) != NULL &&
	    !has_offset(core, search->topic, group_id))
		search->visit(search->context, group);
}

void inspect_groups_of(const struct core *core, const struct topic *topic, inspect_group visit, void *context)
{
	struct subscriber_search search = { core, topic, visit, context };

	offsets_each_group_of(core->offsets, topic->id, look_at_reader, &search);
	members_each_group(core->members, MEMBER_CONSUMER, look_at_subscriber, &search);
}

static void add_queue(const struct core *core, uint32_t queue_id, struct inspected_reading *reading)
{
	uint32_t topic_id = reading->topic->id, group_id = reading->group->id;
	const struct queue *queue = topic_queue(reading->topic, queue_id);
	uint64_t end = queue == NULL ? 0 : queue->visible_offset;
	uint64_t pulled = (uint64_t)offsets_pulled(core->offsets, topic_id, group_id, queue_id);
	int64_t said;
	uint64_t read = offsets_get(core->offsets, topic_id, group_id, queue_id, &said) && said > 0 ? (uint64_t)said : 0;

	reading->behind += end > read ? end - read : 0;
	reading->inflight += pulled > read ? pulled - read : 0;
}

bool inspect_next_reading(const struct core *core, struct offsets_cursor *cursor, struct inspected_reading *out)
{
	uint32_t topic_id, group_id;

	while (offsets_next_row(core->offsets, cursor, &topic_id, &group_id)) {
		*out = (struct inspected_reading){ topics_find(core->topics, names_text(core->names, topic_id)),
						   groups_find(core->groups, names_text(core->names, group_id)), 0, 0 };
		if (out->topic == NULL || out->group == NULL)
			continue;
		for (uint32_t id = 0; id < out->topic->settings.read_queue_nums; id++)
			add_queue(core, id, out);
		return true;
	}
	return false;
}

/* --- parts ------------------------------------------------------------------------------------------------------ */

const struct members *core_members(const struct core *core)
{
	return core->members;
}

uint32_t core_name_id(const struct core *core, struct span name)
{
	return names_find(core->names, name);
}

struct span core_name(const struct core *core, uint32_t id)
{
	return names_text(core->names, id);
}

const struct statistics *core_statistics(const struct core *core)
{
	return core->statistics;
}

struct inspected_store inspect_store(const struct core *core)
{
	const struct retained_segment *oldest = &core->retention.segments[0];
	int64_t earliest_ms = oldest->oldest_ms != 0 ? oldest->oldest_ms : oldest->newest_ms;

	return (struct inspected_store){
		.log_start = commitlog_start(core->log), .log_end = commitlog_appended(core->log),
		.log_durable = commitlog_durable(core->log), .earliest_ms = earliest_ms == 0 ? -1 : earliest_ms,
		.delayed_count = core->delays.count,
		.oldest_open_ms = pending_count(core->pending) == 0 ? 0 : core->ages.oldest_ms,
	};
}

void inspect_tick(struct core *core)
{
	for (int looked = 0; looked < AGES_PER_TICK; looked++) {
		const struct pending *entry = pending_next(core->pending, &core->ages.cursor);

		if (entry == NULL) {
			core->ages.oldest_ms = core->ages.round_ms;
			core->ages.round_ms = 0;
			core->ages.cursor = 0;
			return;
		}
		if (core->ages.round_ms == 0 || entry->store_time_ms < core->ages.round_ms)
			core->ages.round_ms = entry->store_time_ms;
	}
}
