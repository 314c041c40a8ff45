/* Giving out: which messages does a POP get? The half of pop.h that looks into queues. */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "broker/core/apply.h"
#include "broker/core/pop.h"
#include "broker/core/progress.h"
#include "broker/core/pull.h"
#include "broker/core/state.h"
#include "broker/core/trimming.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"

/* One request at work. */
struct taking {
	struct core *core;
	const struct pop_request *request;
	struct pop_result *result;
	struct outcome *outcome;
	struct span group;
	const struct topic *asked; /* The topic of the request. */
	/* Of the queue at hand. */
	struct topic *topic;
	struct queue *queue;
	struct pop_row *row;       /* NULL: a peek, and there is none. */
	bool retry;
	uint64_t taken[POP_MESSAGES_MAX];
	uint32_t taken_count;
};

/* --- positions ----------------------------------------------------------------------------------------------------------- */

/* A group that never read the queue. */
static uint64_t first_position(const struct taking *t, uint64_t min)
{
	uint64_t visible = t->queue->visible_offset;

	if (!t->request->from_end || t->retry || visible == 0 || progress_is_young(t->core, t->queue))
		return min;
	return visible - 1;
}

static uint64_t start_of(const struct taking *t, uint64_t min, bool *known_out)
{
	const struct pop_request *request = t->request;
	const struct pop_row *row = t->row;
	int64_t stored;
	uint64_t start;

	*known_out = offsets_get(t->core->offsets, t->topic->id, request->group_id, t->queue->id, &stored);
	if (!*known_out)
		start = row != NULL && (row->next > 0 || row->live > 0) ? row->next : first_position(t, min);
	else
		start = stored > 0 ? (uint64_t)stored : 0;
	if (row != NULL && row->next > start)
		start = row->next;
	if (row != NULL && row->scanned > start)
		start = row->scanned;
	if (start < min)
		start = min;
	return start < t->queue->visible_offset ? start : t->queue->visible_offset;
}

static bool is_same_attempt(const struct pop_request *request, const struct pop_row *row)
{
	return request->attempt != 0 && request->attempt == row->attempt;
}

static int64_t due_of(const struct taking *t, const struct pop_entry *entry)
{
	return is_same_attempt(t->request, t->row) ? INT64_MIN : pop_entry_due(entry);
}

/* In order: somebody has messages of this queue. */
static bool is_blocked(const struct taking *t)
{
	const struct pop_entry *entry;

	if (!t->request->order || t->row == NULL)
		return false;
	for (entry = pop_row_from(t->row, 0); entry != NULL; entry = pop_row_from(t->row, entry->offset + 1)) {
		if (entry->orderly && due_of(t, entry) > t->core->wall_ms)
			return true;
	}
	return false;
}

/* A check-out is later than the one before it of the same message, whatever the wall clock says: only so can it be told from
 * that one, and take its place. Of all queues that the request looks at, as they have one time. */
static int64_t time_after(const struct core *core, const struct topic *topic, const struct pop_request *request,
			  int32_t queue_id, int64_t pop_ms)
{
	uint32_t first = queue_id < 0 ? 0 : (uint32_t)queue_id;
	uint32_t end = queue_id < 0 ? topic->settings.read_queue_nums : first + 1;

	for (uint32_t i = first; i < end; i++) {
		struct pop_key key = { topic->id, request->group_id, i };
		const struct pop_row *row = pops_find(&core->pops, &key);

		if (row != NULL && row->newest_ms >= pop_ms)
			pop_ms = row->newest_ms + 1;
	}
	return pop_ms;
}

/* --- what was found -------------------------------------------------------------------------------------------------------- */

static bool is_full(const struct taking *t)
{
	return t->result->count >= t->request->message_max || buffer_size(&t->core->pop.body) >= PULL_BYTES_MAX;
}

/* A message of a retry topic shows the topic that it was asked for; where it comes from, its handle says. */
static bool show_as_asked(struct taking *t, const char *const *without, struct message *message)
{
	struct core *core = t->core;
	char handle[128 + 256];

	snprintf(handle, sizeof(handle), "%llu %lld %lld 0 1 %s %d %lld", (unsigned long long)t->taken[0],
		 (long long)t->result->pop_ms, (long long)t->request->invisible_ms, core->config.broker_name, message->queue_id,
		 (long long)message->queue_offset);
	buffer_reset(&core->properties);
	properties_copy(&core->properties, message->properties, without);
	if (property_get(message->properties, PROPERTY_POP_CK).size == 0)
		property_put(&core->properties, PROPERTY_POP_CK, span_of(handle));
	message->properties = buffer_span(&core->properties);
	message->topic = t->asked->name;
	return !core->properties.failed && message_check_limits(message, NULL) == ST_OK;
}

/* One whose properties are full goes without what the broker added to it. If that is not enough it shows the retry topic:
 * clients make the handle from that and from the answer's places, and show the topic that they asked for by themselves. */
static void append_retried(struct taking *t, struct span record)
{
	static const char *const ours[] = { PROPERTY_MSG_REGION, PROPERTY_TRACE_ON, PROPERTY_CLUSTER, PROPERTY_FIRST_POP_TIME, NULL };
	struct core *core = t->core;
	struct message stored, message;

	if (message_decode(record, &stored, NULL) != ST_OK)
		return;
	message = stored;
	if (!show_as_asked(t, NULL, &message)) {
		message = stored;
		if (!show_as_asked(t, ours, &message))
			message = stored;
	}
	uint8_t *at = buffer_reserve(&core->pop.body, message_size(&message));
	if (at != NULL)
		buffer_commit(&core->pop.body, message_encode(&message, at));
}

static void copy_bodies(struct taking *t, const struct pull_result *pulled)
{
	struct core *core = t->core;
	struct message message;

	if (!t->retry) {
		core_pull_copy(core, pulled, &core->pop.body);
		return;
	}
	buffer_reset(&core->kept);
	core_pull_copy(core, pulled, &core->kept);
	struct span rest = buffer_span(&core->kept), record = rest;
	while (message_next(&rest, &message, NULL) == ST_OK) {
		append_retried(t, (struct span){ record.data, message.size });
		record = rest;
	}
}

static struct record_pop *add_event(struct taking *t, enum pop_event event, uint64_t offset)
{
	struct pop_scratch *scratch = &t->core->pop;
	int64_t ahead_ms = t->result->pop_ms - t->core->wall_ms;
	struct record_pop *last = scratch->event_count == 0 ? NULL : &scratch->events[scratch->event_count - 1];

	if (last != NULL && last->event == event && last->queue_offset + last->count == offset && last->queue_id == t->queue->id &&
	    last->topic.data == t->topic->name.data) {
		last->count++;
		return last;
	}
	assert(scratch->event_count < POP_EVENTS_MAX);
	last = &scratch->events[scratch->event_count++];
	*last = (struct record_pop){
		.event = event, .group = t->group, .topic = t->topic->name, .queue_id = t->queue->id, .queue_offset = offset, .count = 1,
		.pop_time_ms = t->result->pop_ms,
		.invisible_ms = t->request->invisible_ms > ahead_ms ? t->request->invisible_ms - ahead_ms : 0,
	};
	return last;
}

static void add_items(struct taking *t, const struct pull_result *pulled, enum pop_event event)
{
	for (uint32_t i = 0; i < pulled->item_count; i++) {
		uint64_t offset = t->core->pull_items[i].queue_offset;

		t->taken[t->taken_count++] = offset;
		if (!t->request->peek)
			(void)add_event(t, event, offset);
	}
	copy_bodies(t, pulled);
	t->result->count += pulled->item_count;
}

/* A peek is nobody's: the group's consumers neither have what it shows nor know what they are still to be told. */
static enum status pull(struct taking *t, uint64_t start, uint32_t most, bool filtered, struct pull_result *pulled)
{
	struct pull_request request = {
		.topic_id = t->topic->id, .group_id = t->request->peek ? 0 : t->request->group_id,
		.queue_id = t->queue->id, .offset = start, .message_max = most, .bytes_max = PULL_BYTES_MAX,
	};

	if (filtered) {
		request.filter = t->request->filter;
		request.expression = t->request->expression;
	}
	return core_pull(t->core, &request, pulled, t->outcome);
}

/* --- a queue ----------------------------------------------------------------------------------------------------------------- */

/* How many entries from this one on lie side by side, lapsed and in order. */
static uint32_t lapsed_run(const struct taking *t, const struct pop_entry *entry, uint32_t most)
{
	uint64_t offset = entry->offset;
	uint32_t count = 0;

	while (count < most && entry != NULL && entry->offset == offset && entry->orderly && entry->pop_ms < t->result->pop_ms &&
	       due_of(t, entry) <= t->core->wall_ms) {
		offset++;
		count++;
		entry = pop_row_from(t->row, offset);
	}
	return count;
}

/* The log does not keep it any more. */
static void settle_gone(struct taking *t, uint64_t offset)
{
	if (t->core->pop.event_count < POP_EVENTS_MAX - POP_MESSAGES_MAX)
		add_event(t, POP_ACK, offset)->invisible_ms = 0;
}

/* Of what was pulled for a run of lapsed ones, those that are of it: a pull passes over bodies that went with an older segment,
 * and goes on to messages that are acknowledged, or not given out yet. Returns how many of the run were looked at. */
static uint32_t take_run(struct taking *t, struct pull_result *pulled, uint64_t offset, uint32_t run, enum pop_event event)
{
	const struct pull_item *items = t->core->pull_items;
	uint64_t end = pulled->next_offset < offset + run ? pulled->next_offset : offset + run;
	uint32_t count = pulled->item_count, item = 0;

	while (count > 0 && items[count - 1].queue_offset >= end)
		pulled->body_size -= items[--count].size;
	pulled->item_count = count;
	for (uint64_t at = offset; at < end; at++) {
		if (item < count && items[item].queue_offset == at)
			item++;
		else
			settle_gone(t, at);
	}
	add_items(t, pulled, event);
	return (uint32_t)(end - offset);
}

/* What was given out in order and lapsed comes first, at its place. */
static enum status take_lapsed(struct taking *t, uint64_t min)
{
	enum pop_event event = !t->request->order			? POP_CHECK_OUT :
			       is_same_attempt(t->request, t->row)	? POP_ORDERLY_AGAIN :
									  POP_ORDERLY;
	const struct pop_entry *entry = pop_row_from(t->row, 0);
	struct pull_result pulled;

	while (entry != NULL && !is_full(t)) {
		uint64_t offset = entry->offset;
		uint32_t run = lapsed_run(t, entry, t->request->message_max - t->result->count);
		enum status status = ST_OK;

		if (run > 0 && offset >= min) {
			status = pull(t, offset, run, false, &pulled);
			if (status != ST_OK)
				return status;
			run = take_run(t, &pulled, offset, run, event);
		} else if (run > 0) {
			run = 1;
			settle_gone(t, offset);
		}
		entry = pop_row_from(t->row, offset + (run > 0 ? run : 1));
	}
	return ST_OK;
}

static enum status take_new(struct taking *t, uint64_t min)
{
	struct core *core = t->core;
	struct pull_result pulled = { 0 };
	bool known;
	uint64_t start = start_of(t, min, &known);

	if (!known && !t->request->peek)
		offsets_note(core->offsets, t->topic->id, t->request->group_id, t->queue->id, (int64_t)start);
	if (is_full(t) || start == t->queue->visible_offset) {
		t->result->rest += t->queue->visible_offset - start;
		return ST_OK;
	}
	if (!t->request->peek)
		offsets_reset_told(core->offsets, t->topic->id, t->request->group_id, t->queue->id);
	enum status status = pull(t, start, t->request->message_max - t->result->count, !t->retry, &pulled);
	if (status != ST_OK)
		return status;
	add_items(t, &pulled, t->request->order ? POP_ORDERLY : POP_CHECK_OUT);
	/* Past what does not fit, not past what is being given out: that may fail yet. */
	uint64_t scanned = pulled.item_count > 0 ? core->pull_items[0].queue_offset : pulled.next_offset;
	if (!t->request->peek && scanned > t->row->scanned)
		t->row->scanned = scanned;
	if (!t->request->peek && pulled.item_count == 0)
		pop_note_position(core, t->row);
	t->result->unseen |= pulled.item_count == 0 && pulled.next_offset < t->queue->visible_offset;
	if (pulled.next_offset < t->queue->visible_offset)
		t->result->rest += t->queue->visible_offset - pulled.next_offset;
	return ST_OK;
}

/* "retryFlag queueId ..." */
static void begin_info(const struct taking *t, struct buffer *out)
{
	buffer_printf(out, "%s%d %u ", buffer_size(out) > 0 ? ";" : "", t->retry ? 1 : 0, t->queue->id);
}

/* How often each was given out before, where it was, and the least of it. */
static void put_order_info(struct taking *t)
{
	struct buffer *out = &t->core->pop.order_info;
	uint32_t least = UINT32_MAX;

	for (uint32_t i = 0; i < t->taken_count; i++) {
		const struct pop_entry *entry = pop_row_find(t->row, t->taken[i]);
		uint32_t deliveries = entry == NULL || !entry->orderly ? 0 : entry->deliveries + (is_same_attempt(t->request, t->row) ? 0u : 1u);

		if (deliveries > 0)
			buffer_printf(out, "%s0 qo%u%%%llu %u", buffer_size(out) > 0 ? ";" : "", t->queue->id,
				      (unsigned long long)t->taken[i], deliveries);
		if (deliveries < least)
			least = deliveries;
	}
	begin_info(t, out);
	buffer_printf(out, "%u", least);
}

static void put_infos(struct taking *t)
{
	struct pop_scratch *scratch = &t->core->pop;

	begin_info(t, &scratch->start_info);
	buffer_printf(&scratch->start_info, "%llu", (unsigned long long)t->taken[0]);
	begin_info(t, &scratch->offset_info);
	for (uint32_t i = 0; i < t->taken_count; i++)
		buffer_printf(&scratch->offset_info, "%s%llu", i > 0 ? "," : "", (unsigned long long)t->taken[i]);
	if (!t->request->order)
		return;
	put_order_info(t);
	t->row->attempt = t->request->attempt;
}

static enum status reserve(struct taking *t, const struct pop_key *key)
{
	struct core *core = t->core;

	if (core->pops.live + POP_MESSAGES_MAX > core->config.pop_max)
		return core_refuse(t->outcome, RESP_POLLING_FULL, "%zu messages are checked out, the limit", core->pops.live);
	bool full = t->row == NULL && HASH_COUNT(core->pops.rows) >= 16 * (size_t)core->config.offset_row_max;
	/* Not progress_reserve_offset, whose SYSTEM_BUSY is an exception to a client that pops; this code is a result. */
	if (full || offsets_reserve(core->offsets, key->topic_id, key->group_id, key->queue_id) != ST_OK ||
	    pops_reserve(&core->pops, key, POP_MESSAGES_MAX, &t->row) != ST_OK)
		return core_refuse(t->outcome, RESP_POLLING_FULL, "this broker keeps too many consumer offsets already");
	return ST_OK;
}

static enum status take_queue(struct taking *t, uint32_t queue_id)
{
	struct pop_key key = { t->topic->id, t->request->group_id, queue_id };
	uint64_t min = 0;

	t->queue = topic_queue(t->topic, queue_id);
	t->taken_count = 0;
	if (t->queue == NULL)
		return ST_OK;
	t->row = pops_find(&t->core->pops, &key);
	enum status status = trimming_queue_min(t->core, t->queue, &min, NULL) == ST_AGAIN ? ST_AGAIN : ST_OK;
	if (status == ST_OK && !t->request->peek)
		status = reserve(t, &key);
	if (status != ST_OK || is_blocked(t))
		return status;
	if (t->row != NULL && !t->request->peek)
		status = take_lapsed(t, min);
	if (status == ST_OK)
		status = take_new(t, min);
	if (t->taken_count > 0 && !t->request->peek)
		put_infos(t);
	return status;
}

/* --- topics ---------------------------------------------------------------------------------------------------------------- */

/* What one queue refuses must not hide what others have: the first trouble is told if nothing was found. */
static void note_status(enum status *first, struct outcome *first_outcome, const struct taking *t, enum status status)
{
	if (*first != ST_OK || status == ST_OK)
		return;
	*first = status;
	*first_outcome = *t->outcome;
}

static void take_topic(struct taking *t, struct topic *topic, int32_t queue_id, enum status *status, struct outcome *trouble)
{
	uint32_t queues = topic->settings.read_queue_nums;

	t->topic = topic;
	t->retry = topic != t->asked;
	if (queue_id >= 0) {
		note_status(status, trouble, t, take_queue(t, (uint32_t)queue_id));
		return;
	}
	for (uint32_t i = 0; i < queues; i++)
		note_status(status, trouble, t, take_queue(t, (t->core->pop.turn + i) % queues));
}

static struct topic *retry_topic_of(struct core *core, struct span group, struct topic *topic)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	struct topic *retry = topics_find(core->topics, pop_retry_name(group, topic->name, text));

	if (retry == NULL || retry == topic)
		return NULL;
	retry->pop_of = topic;
	return retry;
}

static void take_all(struct taking *t, struct topic *topic, enum status *status, struct outcome *trouble)
{
	struct topic *retry = t->request->order ? NULL : retry_topic_of(t->core, t->group, topic);
	/* Now and then what comes again goes first, so that a busy topic cannot hold it up for ever. */
	bool retry_first = t->core->pop.turn++ % 5 == 0;

	t->result->pop_ms = time_after(t->core, topic, t->request, t->request->queue_id, t->result->pop_ms);
	if (retry != NULL)
		t->result->pop_ms = time_after(t->core, retry, t->request, -1, t->result->pop_ms);
	if (retry != NULL && retry_first)
		take_topic(t, retry, -1, status, trouble);
	take_topic(t, topic, t->request->queue_id, status, trouble);
	if (retry != NULL && !retry_first)
		take_topic(t, retry, -1, status, trouble);
}

static void begin(struct core *core, struct pop_result *result)
{
	struct pop_scratch *scratch = &core->pop;

	buffer_reset(&scratch->body);
	buffer_reset(&scratch->start_info);
	buffer_reset(&scratch->offset_info);
	buffer_reset(&scratch->order_info);
	scratch->event_count = 0;
	*result = (struct pop_result){ .pop_ms = core->wall_ms };
}

static enum status finish(struct core *core, struct pop_result *result, struct outcome *outcome)
{
	struct pop_scratch *scratch = &core->pop;

	if (scratch->body.failed || scratch->start_info.failed || scratch->offset_info.failed || scratch->order_info.failed)
		return core_refuse(outcome, RESP_SYSTEM_BUSY, "no memory for the answer");
	result->body = buffer_span(&scratch->body);
	result->start_info = buffer_span(&scratch->start_info);
	result->offset_info = buffer_span(&scratch->offset_info);
	result->order_info = buffer_span(&scratch->order_info);
	return scratch->event_count == 0 ? core_accept(outcome, 0) : pop_record(core, scratch->events, scratch->event_count, outcome);
}

enum status core_pop(struct core *core, const struct pop_request *request, struct pop_result *result, struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, names_text(core->names, request->topic_id));
	struct taking t = { .core = core, .request = request, .result = result, .outcome = outcome, .asked = topic,
			    .group = names_text(core->names, request->group_id) };
	enum status status = ST_OK;
	struct outcome trouble = { 0 };

	begin(core, result);
	*outcome = (struct outcome){ 0 };
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "the topic is gone");
	take_all(&t, topic, &status, &trouble);
	if (result->count > 0 || status == ST_OK)
		return finish(core, result, outcome);
	*outcome = trouble;
	return status;
}

/* --- notifications ---------------------------------------------------------------------------------------------------------- */

static bool queue_has_message(struct taking *t, uint32_t queue_id)
{
	struct pop_key key = { t->topic->id, t->request->group_id, queue_id };
	uint64_t min = 0;
	bool known;

	t->queue = topic_queue(t->topic, queue_id);
	if (t->queue == NULL)
		return false;
	t->row = pops_find(&t->core->pops, &key);
	if (is_blocked(t))
		return false;
	if (t->row != NULL && t->request->order && t->row->live > 0)
		return true; /* Lapsed. */
	(void)!trimming_queue_min(t->core, t->queue, &min, NULL);
	return start_of(t, min, &known) < t->queue->visible_offset;
}

static bool topic_has_message(struct taking *t, struct topic *topic, int32_t queue_id)
{
	t->topic = topic;
	t->retry = topic != t->asked;
	if (queue_id >= 0)
		return queue_has_message(t, (uint32_t)queue_id);
	for (uint32_t i = 0; i < topic->settings.read_queue_nums; i++) {
		if (queue_has_message(t, i))
			return true;
	}
	return false;
}

bool core_pop_has_message(struct core *core, const struct pop_request *request)
{
	struct topic *topic = topics_find(core->topics, names_text(core->names, request->topic_id));
	struct taking t = { .core = core, .request = request, .asked = topic, .group = names_text(core->names, request->group_id) };

	if (topic == NULL)
		return false;
	struct topic *retry = retry_topic_of(core, t.group, topic);
	return topic_has_message(&t, topic, request->queue_id) || (retry != NULL && topic_has_message(&t, retry, -1));
}
