#include "broker/core/pop.h"

#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/kept_elsewhere.h"
#include "broker/core/pop_waits.h"
#include "broker/core/progress.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "broker/core/trimming.h"
#include "lib/wire/properties.h"

#define INVISIBLE_MAX_MS ((int64_t)1 << 40)
enum { AGE_SLACK_MS = 500, BATCH_BITS_MAX = 8192 };

/* --- requests ---------------------------------------------------------------------------------------------------------- */

struct span pop_retry_name(struct span group, struct span topic, uint8_t out[LONG_TOPIC_NAME_MAX])
{
	struct span name = retry_topic_name(group, out);

	if (topic_is_retry(topic))
		return topic;
	if (name.size == 0 || name.size + 1 + topic.size > LONG_TOPIC_NAME_MAX)
		return SPAN_NONE;
	out[name.size] = '_';
	memcpy(out + name.size + 1, topic.data, topic.size);
	return (struct span){ out, name.size + 1 + topic.size };
}

static enum status check_header(struct core *core, const struct pop_header *header, int64_t *age_ms, struct outcome *outcome)
{
	*age_ms = header->born_ms > 0 ? core->wall_ms - header->born_ms : 0;
	if (header->poll_ms >= 0 && *age_ms - header->poll_ms > AGE_SLACK_MS)
		return core_refuse(outcome, RESP_POLLING_TIMEOUT, "the broker[%s] pop message is timeout too much",
				   core->config.broker_name);
	if ((core->config.forbidden & PERM_READ) != 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the broker[%s] pop message is forbidden", core->config.broker_name);
	if (header->max_msg_nums > POP_MESSAGES_MAX)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the broker[%s] pop message's num is greater than %d",
				   core->config.broker_name, POP_MESSAGES_MAX);
	if (header->invisible_ms < 0 || header->invisible_ms > INVISIBLE_MAX_MS)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "invisibleTime %lld is illegal", (long long)header->invisible_ms);
	return ST_OK;
}

static enum status check_topic(struct core *core, const struct pop_header *header, struct topic **topic_out,
			       struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, header->topic);

	*topic_out = topic;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please!", SPAN_ARGS(header->topic));
	if ((topic->settings.perm & PERM_READ) == 0)
		return core_refuse(outcome, RESP_NO_PERMISSION, "the topic[%.*s] peeking message is forbidden", SPAN_ARGS(header->topic));
	if (header->queue_id >= 0 && (uint32_t)header->queue_id >= topic->settings.read_queue_nums)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "queueId[%d] is illegal, topic:[%.*s] topicConfig.readQueueNums:[%u]",
				   header->queue_id, SPAN_ARGS(header->topic), topic->settings.read_queue_nums);
	return check_kept_here(header->topic, outcome);
}

static enum status check_group(struct core *core, const struct pop_header *header, struct consumer_group **group_out,
			       struct outcome *outcome)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	enum status status = settings_group_for_consumer(core, header->consumer_group, group_out, outcome);

	if (status != ST_OK)
		return status;
	if (!(*group_out)->settings.consume_enable)
		return core_refuse(outcome, RESP_NO_PERMISSION, "subscription group no permission, %.*s", SPAN_ARGS(header->consumer_group));
	if (group_is_forbidden(*group_out, header->topic))
		return core_refuse(outcome, RESP_NO_PERMISSION, "the consumer group[%.*s] is forbidden for topic[%.*s]",
				   SPAN_ARGS(header->consumer_group), SPAN_ARGS(header->topic));
	if (pop_retry_name(header->consumer_group, header->topic, text).size == 0)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "the names of group and topic are too long for a retry topic");
	return ST_OK;
}

/* How much longer it may wait. Clocks may differ: never more than it asks for. */
static int64_t wait_left(const struct pop_header *header, int64_t age_ms)
{
	if (header->poll_ms <= 0 || age_ms >= header->poll_ms)
		return 0;
	return age_ms > 0 ? header->poll_ms - age_ms : header->poll_ms;
}

static uint64_t attempt_hash(const struct core *core, struct span id)
{
	return id.size == 0 ? 0 : hash128_bytes(core->hash_key, id.data, id.size).lo | 1;
}

enum status core_prepare_pop(struct core *core, const struct pop_header *header, struct pop_request *out,
			     struct outcome *outcome)
{
	struct consumer_group *group;
	struct topic *topic;
	int64_t age_ms;
	enum status status = check_header(core, header, &age_ms, outcome);

	*out = (struct pop_request){ 0 };
	if (status == ST_OK)
		status = check_topic(core, header, &topic, outcome);
	if (status == ST_OK)
		status = check_group(core, header, &group, outcome);
	if (status == ST_OK)
		status = progress_own_filter(core, header->expression_type, header->expression, &out->filter, &out->expression,
					     outcome);
	if (status != ST_OK)
		return status;
	out->topic_id = topic->id;
	out->group_id = group->id;
	out->queue_id = header->queue_id;
	out->message_max = header->max_msg_nums > 0 ? (uint32_t)header->max_msg_nums : 1;
	out->invisible_ms = header->invisible_ms;
	out->order = header->order;
	out->from_end = header->init_mode != 0;
	out->attempt = attempt_hash(core, header->attempt_id);
	out->wait_ms = wait_left(header, age_ms);
	return core_accept(outcome, 0);
}

/* --- records ------------------------------------------------------------------------------------------------------------- */

void pop_note_position(struct core *core, const struct pop_row *row)
{
	const struct pop_key *key = &row->key;
	int64_t position = (int64_t)pop_row_position(row), known;

	if (offsets_get(core->offsets, key->topic_id, key->group_id, key->queue_id, &known) && known >= position)
		return;
	if (offsets_reserve(core->offsets, key->topic_id, key->group_id, key->queue_id) == ST_OK)
		offsets_note(core->offsets, key->topic_id, key->group_id, key->queue_id, position);
}

static void follow(struct core *core, const struct record_pop *r)
{
	struct pop_key key = { names_find(core->names, r->topic), names_find(core->names, r->group), r->queue_id };
	const struct pop_row *row = pops_find(&core->pops, &key);

	if (row != NULL && r->event != POP_RESET && r->event != POP_REQUEST_MODE)
		pop_note_position(core, row);
}

enum status pop_record(struct core *core, const struct record_pop *events, size_t count, struct outcome *outcome)
{
	size_t size = record_pops_size(events, count);
	uint64_t offset;
	uint8_t *payload = room_begin(core, ROOM_PROGRESS, LOG_POP, size, &offset);

	if (payload == NULL)
		return core_no_room(core, size, outcome);
	record_pops_encode(events, count, payload);
	uint64_t end = commitlog_commit(core->log);
	for (size_t i = 0; i < count; i++) {
		if (apply_pop(core, &events[i], &outcome->err) != ST_OK)
			core_state_broken(core, &outcome->err);
	}
	for (size_t i = 0; i < count; i++)
		follow(core, &events[i]);
	return core_accept(outcome, end);
}

enum status pop_replayed(struct core *core, struct errinfo *err)
{
	for (struct pop_row *row = core->pops.rows; row != NULL; row = row->hh.next) {
		const struct pop_key *key = &row->key;

		if (row->next == 0 && row->live == 0)
			continue;
		if (offsets_reserve(core->offsets, key->topic_id, key->group_id, key->queue_id) != ST_OK)
			return errinfo_set(err, ST_NOMEM, "no memory for consumer offsets");
		pop_note_position(core, row);
	}
	return ST_OK;
}

enum status pop_reset_position(struct core *core, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, uint64_t position,
			       bool lower_only, struct outcome *outcome)
{
	struct pop_key key = { topic_id, group_id, queue_id };
	const struct pop_row *row = pops_find(&core->pops, &key);

	if (row == NULL || (row->next == 0 && row->live == 0) || (lower_only && position >= pop_row_position(row)))
		return core_accept(outcome, 0);
	struct record_pop event = {
		.event = POP_RESET, .group = names_text(core->names, group_id), .topic = names_text(core->names, topic_id),
		.queue_id = queue_id, .queue_offset = position, .count = 1, .pop_time_ms = core->wall_ms,
	};
	return pop_record(core, &event, 1, outcome);
}

/* --- handles ------------------------------------------------------------------------------------------------------------- */

/* The next number of a list with blanks between; -1 for anything else. */
static int64_t next_number(struct span *rest)
{
	struct span word;
	int64_t value;

	return word_next(rest, &word) && span_to_i64(word, &value) == ST_OK ? value : -1;
}

enum status pop_handle_parse(struct span extra_info, struct pop_handle *out, struct errinfo *err)
{
	int64_t start = next_number(&extra_info);

	out->pop_ms = next_number(&extra_info);
	out->invisible_ms = next_number(&extra_info);
	int64_t revive_queue = next_number(&extra_info);
	out->order = revive_queue == POP_REVIVE_IN_ORDER;
	if (start < 0 || out->pop_ms < 0 || out->invisible_ms < 0 || revive_queue < 0)
		return errinfo_set(err, ST_INVALID, "extraInfo is no handle of a message: send back the POP_CK that came with it");
	return ST_OK;
}

/* Topic and queue of a handle, and is there such a message? */
static enum status check_place(struct core *core, const struct pop_handle *handle, struct topic **topic_out,
			       struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, handle->topic);
	uint64_t min = 0, max = 0;

	*topic_out = topic;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic[%.*s] not exist, apply first please!", SPAN_ARGS(handle->topic));
	if (handle->queue_id < 0 || (uint32_t)handle->queue_id >= topic->settings.read_queue_nums)
		return core_refuse(outcome, RESP_MESSAGE_ILLEGAL, "queueId[%d] is illegal, topic:[%.*s] topicConfig.readQueueNums:[%u]",
				   handle->queue_id, SPAN_ARGS(handle->topic), topic->settings.read_queue_nums);
	struct queue *queue = topic_queue(topic, (uint32_t)handle->queue_id);
	if (queue != NULL && trimming_queue_min(core, queue, &min, NULL) == ST_AGAIN)
		return ST_AGAIN;
	max = queue == NULL ? 0 : queue->visible_offset;
	if (handle->offset < 0 || (uint64_t)handle->offset < min || (uint64_t)handle->offset >= max)
		return core_refuse(outcome, RESP_NO_MESSAGE, "offset is illegal, key:%.*s@%d, commit:%lld, store:%llu~%llu",
				   SPAN_ARGS(handle->topic), handle->queue_id, (long long)handle->offset, (unsigned long long)min,
				   (unsigned long long)max);
	return ST_OK;
}

static struct pop_row *row_of(const struct core *core, const struct topic *topic, const struct pop_handle *handle)
{
	struct pop_key key = { topic->id, names_find(core->names, handle->group), (uint32_t)handle->queue_id };

	return pops_find(&core->pops, &key);
}

static enum status refuse_handle(const struct pop_handle *handle, struct outcome *outcome)
{
	return core_refuse(outcome, RESP_NO_MESSAGE, "message %lld of %.*s@%d is not checked out with this handle",
			   (long long)handle->offset, SPAN_ARGS(handle->topic), handle->queue_id);
}

static struct record_pop event_of(const struct pop_handle *handle, enum pop_event event)
{
	return (struct record_pop){
		.event = event, .group = handle->group, .topic = handle->topic, .queue_id = (uint32_t)handle->queue_id,
		.queue_offset = (uint64_t)handle->offset, .count = 1, .pop_time_ms = handle->pop_ms, .invisible_ms = handle->invisible_ms,
	};
}

/* In order, what was acknowledged may have held others up. */
static void acknowledged(struct core *core, struct topic *topic, const struct pop_handle *handle)
{
	if (handle->order)
		pop_waits_arrived(core, topic);
}

enum status core_pop_ack(struct core *core, const struct pop_handle *handle, struct outcome *outcome)
{
	struct topic *topic;
	enum status status = check_place(core, handle, &topic, outcome);

	if (status != ST_OK)
		return status;
	const struct pop_row *row = row_of(core, topic, handle);
	const struct pop_entry *entry = row == NULL ? NULL : pop_row_find(row, (uint64_t)handle->offset);
	if (entry == NULL && row != NULL && (uint64_t)handle->offset < row->next)
		return core_accept_as_known(core, outcome); /* Done with already. */
	if (entry == NULL || entry->pop_ms != handle->pop_ms)
		return refuse_handle(handle, outcome);
	struct record_pop event = event_of(handle, POP_ACK);
	status = pop_record(core, &event, 1, outcome);
	if (status == ST_OK)
		acknowledged(core, topic, handle);
	return status;
}

enum status core_pop_ack_batch(struct core *core, const struct pop_handle *handle, struct span bits, struct outcome *outcome)
{
	struct record_pop *events = core->pop.events;
	struct pop_handle one = *handle;
	struct topic *topic = topics_find(core->topics, handle->topic);
	size_t count = 0, bit_count = bits.size * 8 < BATCH_BITS_MAX ? bits.size * 8 : BATCH_BITS_MAX;
	const struct pop_row *row = topic == NULL || handle->queue_id < 0 ? NULL : row_of(core, topic, handle);
	enum status status = core_accept(outcome, 0);
	bool done_before = false;

	if (row == NULL || handle->offset < 0 || handle->offset > INT64_MAX - BATCH_BITS_MAX)
		return status;
	for (size_t i = 0; i < bit_count && status == ST_OK; i++) {
		if ((bits.data[i / 8] & 1u << i % 8) == 0)
			continue;
		one.offset = handle->offset + (int64_t)i;
		const struct pop_entry *entry = pop_row_find(row, (uint64_t)one.offset);
		done_before |= entry == NULL && (uint64_t)one.offset < row->next;
		if (entry == NULL || entry->pop_ms != handle->pop_ms)
			continue;
		if (count > 0 && events[count - 1].queue_offset + events[count - 1].count == entry->offset)
			events[count - 1].count++;
		else
			events[count++] = event_of(&one, POP_ACK);
		if (count < POP_EVENTS_MAX)
			continue;
		status = pop_record(core, events, count, outcome);
		count = 0;
	}
	if (count > 0)
		status = pop_record(core, events, count, outcome);
	if (status != ST_OK)
		return status;
	acknowledged(core, topic, handle);
	return done_before ? core_accept_as_known(core, outcome) : status;
}

enum status core_pop_change(struct core *core, const struct pop_handle *handle, int64_t invisible_ms,
			    struct pop_changed *out, struct outcome *outcome)
{
	struct topic *topic;
	enum status status = check_place(core, handle, &topic, outcome);

	if (status != ST_OK)
		return status;
	if (invisible_ms < 0 || invisible_ms > INVISIBLE_MAX_MS)
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "invisibleTime %lld is illegal", (long long)invisible_ms);
	const struct pop_row *row = row_of(core, topic, handle);
	const struct pop_entry *entry = row == NULL ? NULL : pop_row_find(row, (uint64_t)handle->offset);
	if (entry == NULL || entry->pop_ms != handle->pop_ms)
		return refuse_handle(handle, outcome);
	struct record_pop event = event_of(handle, POP_CHANGE_INVISIBLE);
	/* In order all of a batch keep the time that names it. */
	if (!entry->orderly && core->wall_ms > event.pop_time_ms)
		event.pop_time_ms = core->wall_ms;
	event.invisible_ms = core->wall_ms - event.pop_time_ms + invisible_ms;
	if (event.invisible_ms < 0)
		event.invisible_ms = 0;
	*out = (struct pop_changed){ event.pop_time_ms, event.invisible_ms };
	return pop_record(core, &event, 1, outcome);
}

/* --- request modes ------------------------------------------------------------------------------------------------------- */

enum status core_set_request_mode(struct core *core, struct span topic_name, struct span group_name, uint32_t mode,
				  uint32_t shared_queues, struct outcome *outcome)
{
	const struct topic *topic = topics_find(core->topics, topic_name);
	struct consumer_group *group;

	if (topic_is_retry(topic_name))
		return core_refuse(outcome, RESP_NO_PERMISSION, "retry topic is not allowed to set mode");
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic[%.*s] not exist", SPAN_ARGS(topic_name));
	/* It is set before the group's first consumer comes. */
	enum status status = settings_group_for_consumer(core, group_name, &group, outcome);
	if (status != ST_OK)
		return status;
	if (HASH_COUNT(core->pops.modes) >= core->config.offset_row_max && pops_mode(&core->pops, topic->id, group->id) == NULL)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "this broker keeps too many request modes already");
	if (pops_mode_make(&core->pops, topic->id, group->id) == NULL)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for another request mode");
	struct record_pop event = {
		.event = POP_REQUEST_MODE, .group = group->name, .topic = topic->name, .queue_offset = shared_queues,
		.count = mode + 1, .pop_time_ms = core->wall_ms,
	};
	return pop_record(core, &event, 1, outcome);
}
