#include "broker/core/resets.h"

#include <utlist.h>

#include "broker/core/pop.h"
#include "broker/core/progress.h"
#include "broker/core/state.h"
#include "lib/record/record_settings.h"
#include "lib/wire/names.h"

/* --- where to ------------------------------------------------------------------------------------------------ */

static enum status offset_by_time(struct core *core, const struct reset_request *request, uint32_t queue_id, int64_t *out,
				  struct outcome *outcome)
{
	struct queue_range range;
	uint64_t found = 0;
	enum status status;

	if (request->time_ms >= 0) {
		status = core_search_offset(core, request->topic, (int32_t)queue_id, request->time_ms, false, &found, outcome);
	} else {
		status = core_queue_range(core, request->topic, (int32_t)queue_id, &range, outcome);
		found = range.max_offset;
	}
	*out = (int64_t)found;
	return status;
}

static enum status check_offset(struct core *core, const struct reset_request *request, struct outcome *outcome)
{
	struct queue_range range;
	enum status status = core_queue_range(core, request->topic, request->queue_id, &range, outcome);

	if (status != ST_OK)
		return status;
	if ((uint64_t)request->offset < range.min_offset || (uint64_t)request->offset > range.max_offset)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "Target offset %lld not in consume queue range [%llu-%llu]",
				   (long long)request->offset, (unsigned long long)range.min_offset, (unsigned long long)range.max_offset);
	return ST_OK;
}

static enum status find_targets(struct core *core, const struct reset_request *request, const struct topic *topic,
				struct reset_target targets[TOPIC_QUEUE_MAX], size_t *count_out, struct outcome *outcome)
{
	uint32_t first = request->queue_id >= 0 ? (uint32_t)request->queue_id : 0;
	uint32_t end = request->queue_id >= 0 ? first + 1 : topic->settings.read_queue_nums;
	enum status status = ST_OK;

	*count_out = 0;
	if (request->queue_id >= 0 && request->offset >= 0) {
		status = check_offset(core, request, outcome);
		targets[(*count_out)++] = (struct reset_target){ first, request->offset };
		return status;
	}
	for (uint32_t id = first; id < end && status == ST_OK; id++) {
		targets[*count_out].queue_id = id;
		status = offset_by_time(core, request, id, &targets[(*count_out)++].offset, outcome);
	}
	return status;
}

/* --- resets -------------------------------------------------------------------------------------------------- */

/* Waiting pulls of the group are run again, and told. */
static void wake_group(struct core *core, const struct queue *queue, uint32_t group_id)
{
	struct hold *hold, *next;

	DL_FOREACH_SAFE2(queue->holds, hold, next, queue_next) {
		if (hold->pull.group_id == group_id)
			holds_finish(&core->holds, hold, core->effects.hold_ready, core->effects.context, false);
	}
}

static enum status record_targets(struct core *core, const struct topic *topic, const struct consumer_group *group,
				  const struct reset_target *targets, size_t count, struct outcome *outcome)
{
	struct record_offset records[TOPIC_QUEUE_MAX];

	_Static_assert((int)TOPIC_QUEUE_MAX <= (int)RECORD_OFFSETS_MAX, "all queues of a topic in one record");
	for (size_t i = 0; i < count; i++) {
		enum status status = progress_reserve_offset(core, topic->id, group->id, targets[i].queue_id, outcome);
		if (status != ST_OK)
			return status;
		records[i] = (struct record_offset){ group->name, topic->name, targets[i].queue_id, targets[i].offset };
	}
	for (size_t i = 0; i < count; i++) {
		enum status status = pop_reset_position(core, topic->id, group->id, targets[i].queue_id, (uint64_t)targets[i].offset,
							false, outcome);
		if (status != ST_OK)
			return status;
	}
	return progress_record_offsets(core, records, count, outcome);
}

enum status core_reset_offsets(struct core *core, const struct reset_request *request,
			       struct reset_target targets[TOPIC_QUEUE_MAX], size_t *count_out, struct outcome *outcome)
{
	const struct topic *topic = topics_find(core->topics, request->topic);
	const struct consumer_group *group = groups_find(core->groups, request->group);

	*count_out = 0;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "Topic %.*s does not exist", SPAN_ARGS(request->topic));
	if (group == NULL)
		return core_refuse(outcome, RESP_SUBSCRIPTION_GROUP_NOT_EXIST, "Group %.*s does not exist", SPAN_ARGS(request->group));
	enum status status = find_targets(core, request, topic, targets, count_out, outcome);
	if (status == ST_OK && *count_out == 0)
		status = core_refuse(outcome, RESP_SYSTEM_ERROR, "No queues to reset.");
	if (status == ST_OK)
		status = record_targets(core, topic, group, targets, *count_out, outcome);
	for (size_t i = 0; i < *count_out && status == ST_OK; i++) {
		offsets_mark_reset(core->offsets, topic->id, group->id, targets[i].queue_id);
		const struct queue *queue = topic_queue(topic, targets[i].queue_id);
		if (queue != NULL)
			wake_group(core, queue, group->id);
	}
	return status;
}

enum status core_reset_targets(struct core *core, const struct reset_request *request,
			       struct reset_target targets[TOPIC_QUEUE_MAX], size_t *count_out, struct outcome *outcome)
{
	const struct topic *topic = topics_find(core->topics, request->topic);
	uint32_t group_id = names_find(core->names, request->group);

	*count_out = 0;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "[reset-offset] reset offset failed, no topic in this broker. topic=%.*s",
				   SPAN_ARGS(request->topic));
	enum status status = find_targets(core, request, topic, targets, count_out, outcome);
	for (size_t i = 0; i < *count_out && status == ST_OK; i++) {
		int64_t now;

		if (group_id == 0 || !offsets_get(core->offsets, topic->id, group_id, targets[i].queue_id, &now))
			return core_refuse(outcome, RESP_SYSTEM_ERROR, "THe consumer group <%.*s> not exist", SPAN_ARGS(request->group));
		if (!request->force && targets[i].offset >= now)
			targets[i].offset = now;
	}
	return status;
}

/* --- clones -------------------------------------------------------------------------------------------------- */

/* Does this value belong to what is cloned? */
static bool is_cloned(const struct core *core, const struct clone_request *request, const struct offsets_entry *entry)
{
	struct span topic = names_text(core->names, entry->topic_id);

	if (!span_equal(names_text(core->names, entry->group_id), request->from))
		return false;
	if (topics_find(core->topics, topic) == NULL || (request->topic.size > 0 && !span_equal(topic, request->topic)))
		return false;
	return request->offline || members_profile(core->members, entry->group_id) == NULL ||
	       members_subscription(core->members, entry->group_id, entry->topic_id) != NULL;
}

/* Room for the value; and if the group pops, it goes there too. */
static enum status make_way(struct core *core, const struct offsets_entry *entry, uint32_t to_id, struct outcome *outcome)
{
	enum status status = progress_reserve_offset(core, entry->topic_id, to_id, entry->queue_id, outcome);

	if (status != ST_OK)
		return status;
	return pop_reset_position(core, entry->topic_id, to_id, entry->queue_id, entry->value > 0 ? (uint64_t)entry->value : 0, false,
				  outcome);
}

enum status core_clone_offsets(struct core *core, const struct clone_request *request, struct outcome *outcome)
{
	enum { AT_ONCE = 256 };
	struct record_offset records[AT_ONCE];
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry entry;
	uint32_t to_id = 0;
	size_t count = 0;
	enum status status = core_accept(outcome, 0);
	bool more = true;

	if (group_name_check(request->to, &outcome->err) != ST_OK)
		return core_refuse_as(outcome, RESP_INVALID_PARAMETER);
	if (names_intern(core->names, request->to, &to_id) != ST_OK)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker knows too many groups already");
	while (more && status == ST_OK) {
		more = offsets_next_live(core->offsets, &cursor, &entry);
		bool wanted = more && entry.group_id != to_id && is_cloned(core, request, &entry);
		if (wanted && (status = make_way(core, &entry, to_id, outcome)) != ST_OK)
			return status;
		if (wanted)
			records[count++] = (struct record_offset){ names_text(core->names, to_id), names_text(core->names, entry.topic_id),
								   entry.queue_id, entry.value };
		if (count == AT_ONCE || (count > 0 && !more)) {
			status = progress_record_offsets(core, records, count, outcome);
			count = 0;
		}
	}
	return status;
}

void core_each_offset(const struct core *core, offset_visit visit, void *context)
{
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry entry;

	while (offsets_next_live(core->offsets, &cursor, &entry))
		visit(context, names_text(core->names, entry.topic_id), names_text(core->names, entry.group_id), entry.queue_id, entry.value);
}

/* --- corrections --------------------------------------------------------------------------------------------- */

static bool is_listed(struct span list, struct span name)
{
	while (list.size > 0) {
		if (span_equal(span_take_until(&list, ','), name))
			return true;
	}
	return false;
}

size_t core_correction_offsets(struct core *core, struct span topic_name, struct span filter, struct span compare,
			       struct reset_target out[TOPIC_QUEUE_MAX])
{
	const struct topic *topic = topics_find(core->topics, topic_name);
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry entry;
	uint32_t compare_id = names_find(core->names, compare);
	size_t count = 0;

	for (uint32_t i = 0; i < TOPIC_QUEUE_MAX; i++)
		out[i] = (struct reset_target){ i, -1 };
	while (topic != NULL && offsets_next_live(core->offsets, &cursor, &entry)) {
		const struct queue *queue = entry.topic_id == topic->id ? topic_queue(topic, entry.queue_id) : NULL;

		if (queue == NULL || is_listed(filter, names_text(core->names, entry.group_id)) ||
		    entry.value < (int64_t)consume_queue_min(&queue->entries))
			continue;
		if (out[entry.queue_id].offset < 0 || entry.value < out[entry.queue_id].offset)
			out[entry.queue_id].offset = entry.value;
	}
	for (uint32_t i = 0; i < TOPIC_QUEUE_MAX; i++) {
		int64_t compared;

		if (out[i].offset < 0)
			continue;
		if (compare_id != 0 && offsets_get(core->offsets, topic->id, compare_id, i, &compared) && out[i].offset > compared)
			out[i].offset = INT64_MAX;
		out[count++] = out[i];
	}
	return count;
}
