#include "broker/core/apply.h"

#include <assert.h>
#include <inttypes.h>

#include "broker/core/pop.h"
#include "broker/core/recall.h"
#include "checkback/checkback.h"

static enum status no_memory(struct errinfo *err)
{
	return errinfo_set(err, ST_NOMEM, "out of memory");
}

/* --- queues ------------------------------------------------------------------------------------------ */

/* The topic of a record's message; also one that was deleted: what was on its way to it still comes to its place. One that no
 * TOPIC record made was a topic that the broker makes at each start, under a name that it had then (its own, or the cluster's);
 * it is an ordinary one now. */
static enum status find_topic(struct core *core, struct span name, struct topic **out, struct errinfo *err)
{
	static const struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ | PERM_WRITE };

	*out = topics_find_any(core->topics, name);
	if (*out != NULL)
		return ST_OK;
	return topics_put(core->topics, name, &settings, false, out) == ST_OK ? ST_OK : no_memory(err);
}

static enum status make_queue(struct core *core, struct topic *topic, uint32_t id, struct queue **out,
			      struct errinfo *err)
{
	enum status status = topic_queue_make(core->topics, topic, id, out);

	if (status == ST_INVALID)
		return errinfo_set(err, ST_INVALID, "queue id %u is over %d", id, TOPIC_QUEUE_MAX - 1);
	if (status == ST_OK && !core->replay.active)
		status = visibility_reserve(&core->visibility, 1);
	if (status != ST_OK)
		return no_memory(err);
	return core->replay.active ? ST_OK : consume_queue_reserve(&(*out)->entries, (*out)->next_offset, err);
}

/* Gives a message its place. In replay everything found is committed. */
static enum status put_entry(struct core *core, const struct placed *at, struct queue *queue, uint64_t queue_offset,
			     const struct cq_entry *entry, struct errinfo *err)
{
	bool known = queue_offset < queue->next_offset && replay_is_fuzzy(core, at->offset);

	if (at->offset < queue->born)
		return ST_OK; /* Replay's fuzzy part: its topic was deleted since. */
	if (known && queue_offset < consume_queue_min(&queue->entries))
		return ST_OK; /* Trimmed since. */
	if (queue_offset != queue->next_offset && !known)
		return errinfo_set(err, ST_CORRUPT, "record at %" PRIu64 ": queue offset %" PRIu64 " of %.*s/%u, expected %" PRIu64,
				   at->offset, queue_offset, SPAN_ARGS(queue->topic->name), queue->id,
				   queue->next_offset);
	enum status status = consume_queue_put(&queue->entries, queue_offset, entry, err);
	if (status != ST_OK || known)
		return status;
	queue->next_offset = queue_offset + 1;
	if (core->replay.active) {
		queue->visible_offset = queue->next_offset;
		return ST_OK;
	}
	visibility_add(&core->visibility, at->offset + at->size, queue);
	statistics_put(core->statistics, queue->topic->id, entry->size, core->mono_ms);
	return ST_OK;
}

static void note_time(struct core *core, const struct placed *at, int64_t when_ms)
{
	if (when_ms > core->store_time_ms)
		core->store_time_ms = when_ms;
	retention_note_record(core, at->offset, core->store_time_ms);
}

/* --- messages ---------------------------------------------------------------------------------------- */

/* Limits bind what is new, not what the log already holds: they may have been lowered since. */
static enum status reserve_delay(struct core *core, const struct topic *topic, bool transactional, struct errinfo *err)
{
	if (!core->replay.active && core->delays.count >= core->config.delayed_max)
		return errinfo_set(err, ST_FULL, "%zu delayed messages wait, the limit (delayedMessageMax)", core->delays.count);
	return delays_reserve(&core->delays, topic, transactional) == ST_OK ? ST_OK : no_memory(err);
}

enum status apply_reserve_message(struct core *core, struct topic *topic, const struct record_message *r,
				  struct queue **queue_out, struct errinfo *err)
{
	enum status status = make_queue(core, topic, r->queue_id, queue_out, err);

	if (status == ST_OK && r->deliver_at_ms != 0)
		status = reserve_delay(core, topic, false, err);
	return status;
}

static void add_delay(struct core *core, const struct delayed *entry)
{
	if (replay_knows_delayed(core, entry->naming_offset))
		return;
	delays_add(&core->delays, entry);
	retention_note_open(core, entry->body_offset);
	if (!core->replay.active)
		statistics_put_aside(core->statistics, core->schedule_topic_id, entry->message_size);
}

void apply_forget_delayed(struct core *core, const struct delayed *entry)
{
	retention_note_closed(core, entry->body_offset);
	delays_remove(&core->delays, entry->slot);
}

void apply_move_delayed(struct core *core, const struct delayed *entry, uint64_t carry_offset)
{
	bool in_place = entry->body_offset == entry->origin_offset;

	retention_note_closed(core, entry->body_offset);
	delays_move(&core->delays, entry->slot, carry_offset, (uint16_t)(entry->message_delta + (in_place ? CARRY_HEAD_SIZE : 0)));
	retention_note_open(core, carry_offset);
}

/* The message is the last part of its record's payload. */
uint16_t apply_message_delta(size_t payload_size, size_t message_size)
{
	return (uint16_t)(LOG_ENVELOPE_SIZE + payload_size - message_size);
}

enum status apply_message(struct core *core, const struct placed *at, const struct record_message *r,
			  struct errinfo *err)
{
	struct topic *topic;
	struct queue *queue;
	enum status status = find_topic(core, r->topic, &topic, err);

	if (status == ST_OK)
		status = apply_reserve_message(core, topic, r, &queue, err);
	if (status != ST_OK)
		return status;
	note_time(core, at, r->store_time_ms);
	if (r->deliver_at_ms != 0) {
		add_delay(core, &(struct delayed){
			.deliver_at_ms = r->deliver_at_ms, .naming_offset = at->offset, .origin_offset = at->offset,
			.body_offset = at->offset, .topic = topic, .message_size = (uint32_t)r->message.size, .tag_hash = r->tag_hash,
			.message_delta = apply_message_delta(record_message_size(r), r->message.size),
			.queue_id = (uint16_t)r->queue_id, .recall = recall_hash_of_message(core, r->topic, r->message) });
		return ST_OK;
	}
	core->stats.message_count++;
	struct cq_entry entry = entry_of_message(at, r);
	return put_entry(core, at, queue, r->queue_offset, &entry, err);
}

enum status apply_reserve_deliver(struct core *core, const struct delayed *entry, struct queue **queue_out,
				  struct errinfo *err)
{
	return make_queue(core, entry->topic, entry->queue_id, queue_out, err);
}

/* Takes the message out of those that wait. In replay's fuzzy part it may be out already: settled afterwards. */
static enum status take_delayed(struct core *core, const struct placed *at, const struct record_deliver *r,
				struct errinfo *err)
{
	struct delayed first;

	if (replay_is_fuzzy(core, at->offset))
		return replay_note_delivered(core, r->source_offset) == ST_OK ? ST_OK : no_memory(err);
	if (!delays_first(&core->delays, &first) || first.naming_offset != r->source_offset)
		return errinfo_set(err, ST_CORRUPT, "DELIVER record at %" PRIu64 " names %" PRIu64 ", which is not the next delayed message",
				   at->offset, r->source_offset);
	apply_forget_delayed(core, &first);
	return ST_OK;
}

enum status apply_deliver(struct core *core, const struct placed *at, const struct record_deliver *r,
			  struct errinfo *err)
{
	struct topic *topic;
	struct queue *queue;
	enum status status = find_topic(core, r->topic, &topic, err);

	if (status == ST_OK)
		status = make_queue(core, topic, r->queue_id, &queue, err);
	if (status == ST_OK)
		status = take_delayed(core, at, r, err);
	if (status != ST_OK)
		return status;
	note_time(core, at, r->deliver_time_ms);
	retention_note_reference(core, r->body_offset, at->offset);
	struct cq_entry entry = entry_of_deliver(at, r);
	return put_entry(core, at, queue, r->queue_offset, &entry, err);
}

/* The next one (its topic is gone), or by its name; by a search of all when there are too many of that name. */
static bool find_delayed(const struct core *core, const struct record_timer_cancel *r, struct delayed *out)
{
	struct hash_cursor named = delays_look(&core->delays, recall_hash(core, r->topic, r->unique_key));
	size_t cursor = 0;

	if (delays_first(&core->delays, out) && out->naming_offset == r->source_offset)
		return true;
	while (delays_find(&core->delays, &named, out)) {
		if (out->naming_offset == r->source_offset)
			return true;
	}
	while (delays_next(&core->delays, &cursor, out)) {
		if (out->naming_offset == r->source_offset)
			return true;
	}
	return false;
}

enum status apply_timer_cancel(struct core *core, const struct placed *at, const struct record_timer_cancel *r,
			       struct errinfo *err)
{
	struct delayed entry;

	note_time(core, at, r->when_ms);
	if (replay_is_fuzzy(core, at->offset))
		return replay_note_delivered(core, r->source_offset) == ST_OK ? ST_OK : no_memory(err);
	if (!find_delayed(core, r, &entry))
		return errinfo_set(err, ST_CORRUPT, "TIMER_CANCEL record at %" PRIu64 " names %" PRIu64 ", which does not wait",
				   at->offset, r->source_offset);
	apply_forget_delayed(core, &entry);
	return ST_OK;
}

/* --- transactions ------------------------------------------------------------------------------------ */

enum status apply_reserve_half(struct core *core, uint32_t group_id, struct errinfo *err)
{
	if (!core->replay.active && pending_count(core->pending) >= core->config.pending_max)
		return errinfo_set(err, ST_FULL, "%u transactions are undecided, the limit (pendingTransactionMax)",
				   pending_count(core->pending));
	enum status status = pending_reserve(core->pending, group_id);
	if (status == ST_OK)
		status = checkback_reserve(core->checkback, group_id);
	if (status == ST_OK)
		status = resends_reserve(core->resends);
	if (status != ST_OK)
		return no_memory(err);
	return core->replay.active ? ST_OK : half_index_reserve(&core->halves, half_index_max(&core->halves), err);
}

/* The age at which it is checked first. */
static int64_t first_check_age_ms(const struct core *core, const struct record_half *r)
{
	return r->immunity_ms >= 0 ? r->immunity_ms : core->config.checkback.transaction_timeout_ms;
}

static void open_pending(struct core *core, const struct placed *at, const struct record_half *r, uint32_t group_id)
{
	struct pending *entry = pending_insert(core->pending, r->half_queue_offset, group_id);

	entry->half_offset = entry->body_offset = at->offset;
	entry->store_time_ms = r->store_time_ms;
	entry->record_size = at->size;
	entry->state = TXN_PREPARED;
	entry->name = core_resend_name(core, r->group, r->unique_key);
	resends_open(core->resends, entry);
	retention_note_open(core, at->offset);
	/* The stored time may be ahead of a wall clock that was set back: what was stored just now is 0 ms old. */
	if (core->replay.active)
		entry->due_mono_ms = r->store_time_ms + first_check_age_ms(core, r); /* Until replay ends: see replay.c. */
	else
		checkback_opened(core->checkback, entry, first_check_age_ms(core, r), core->mono_ms);
}

enum status apply_half(struct core *core, const struct placed *at, const struct record_half *r, struct errinfo *err)
{
	uint64_t next = half_index_max(&core->halves);
	struct half_entry half = half_entry_of_half(at);
	bool known = r->half_queue_offset < next && replay_is_fuzzy(core, at->offset);
	uint32_t group_id;

	if (r->half_queue_offset != next && !known)
		return errinfo_set(err, ST_CORRUPT, "HALF record at %" PRIu64 ": number %" PRIu64 ", expected %" PRIu64, at->offset,
				   r->half_queue_offset, next);
	enum status status = names_intern(core->names, r->group, &group_id);
	if (status != ST_OK)
		return errinfo_set(err, status, "no room for another group name: %s", status_text(status));
	status = apply_reserve_half(core, group_id, err);
	if (status == ST_OK && !(known && r->half_queue_offset < half_index_min(&core->halves)))
		status = half_index_put(&core->halves, r->half_queue_offset, &half, err);
	if (status != ST_OK)
		return status;
	/* The snapshot's list of open ones may be younger than its index. */
	if (!replay_is_fuzzy(core, at->offset) || pending_find(core->pending, r->half_queue_offset) == NULL)
		open_pending(core, at, r, group_id);
	note_time(core, at, r->store_time_ms);
	core->stats.half_count++;
	if (!core->replay.active)
		statistics_put_aside(core->statistics, core->half_topic_id, r->message.size);
	return ST_OK;
}

enum status apply_reserve_decision(struct core *core, struct topic *topic, const struct record_decision *r,
				   struct queue **queue_out, struct errinfo *err)
{
	enum status status = core->replay.active ? ST_OK : half_index_reserve(&core->halves, r->half_queue_offset, err);

	*queue_out = NULL;
	if (status != ST_OK || r->outcome != OUTCOME_COMMIT)
		return status;
	status = make_queue(core, topic, r->queue_id, queue_out, err);
	if (status == ST_OK && r->deliver_at_ms != 0)
		status = reserve_delay(core, topic, true, err);
	return status;
}

static enum status place_committed(struct core *core, const struct placed *at, const struct record_decision *r,
				   struct topic *topic, struct queue *queue, struct errinfo *err)
{
	if (r->body_offset >= at->offset || r->half_offset > r->body_offset)
		return errinfo_set(err, ST_CORRUPT, "DECISION record at %" PRIu64 ": its message at %" PRIu64 " is not in front of it",
				   at->offset, r->body_offset);
	if (r->deliver_at_ms != 0) {
		add_delay(core, &(struct delayed){
			.deliver_at_ms = r->deliver_at_ms, .naming_offset = at->offset, .origin_offset = r->half_offset,
			.body_offset = r->body_offset, .topic = topic, .message_size = r->message_size, .tag_hash = r->tag_hash,
			.message_delta = r->message_delta, .queue_id = (uint16_t)r->queue_id,
			.transactional = true });
		return ST_OK;
	}
	retention_note_reference(core, r->body_offset, at->offset);
	struct cq_entry entry = entry_of_decision(at, r);
	return put_entry(core, at, queue, r->queue_offset, &entry, err);
}

static void close_check(struct core *core, struct pending *entry)
{
	if (!core->replay.active)
		checkback_closed(core->checkback, entry);
}

static void move_pending(struct core *core, struct pending *entry, enum txn_state state)
{
	switch (state) {
	case TXN_COMMITTED:
	case TXN_ROLLED_BACK:
		close_check(core, entry);
		resends_close(core->resends, entry);
		retention_note_closed(core, entry->body_offset);
		pending_remove(core->pending, entry);
		break;
	case TXN_PARKED:
		close_check(core, entry);
		entry->state = TXN_PARKED;
		break;
	case TXN_PREPARED:
		entry->state = TXN_PREPARED;
		entry->attempts = entry->answered = 0;
		entry->due_mono_ms = entry->store_time_ms; /* In replay (see open_pending): at once. */
		if (!core->replay.active)
			checkback_opened(core->checkback, entry, 0, core->mono_ms);
		break;
	}
}

enum status apply_decision(struct core *core, const struct placed *at, const struct record_decision *r,
			   struct errinfo *err)
{
	struct pending *entry = pending_find(core->pending, r->half_queue_offset);
	bool fuzzy = replay_is_fuzzy(core, at->offset);
	enum txn_state state = txn_state_after((enum txn_event)r->outcome);
	struct half_entry half = half_entry_of_decision(at, r);
	struct topic *topic = NULL;
	struct queue *queue = NULL;
	enum status status = ST_OK;

	/* Fuzzy: the snapshot may be from after this decision. */
	if (entry == NULL ? !fuzzy : entry->half_offset != r->half_offset)
		return errinfo_set(err, ST_CORRUPT, "DECISION record at %" PRIu64 ": half %" PRIu64 " is not open", at->offset,
				   r->half_queue_offset);
	if (r->outcome == OUTCOME_COMMIT)
		status = find_topic(core, r->topic, &topic, err);
	if (status == ST_OK)
		status = apply_reserve_decision(core, topic, r, &queue, err);
	if (status == ST_OK && !(fuzzy && r->half_queue_offset < half_index_min(&core->halves)))
		status = half_index_put(&core->halves, r->half_queue_offset, &half, err);
	if (status == ST_OK && r->outcome == OUTCOME_COMMIT)
		status = place_committed(core, at, r, topic, queue, err);
	if (status != ST_OK)
		return status;
	note_time(core, at, r->when_ms);
	if (entry != NULL)
		move_pending(core, entry, state);
	if (r->outcome == OUTCOME_COMMIT)
		core->stats.commit_count++;
	if (r->outcome == OUTCOME_ROLLBACK)
		core->stats.rollback_count++;
	return ST_OK;
}

enum status apply_check(struct core *core, const struct record_check *r, struct errinfo *err)
{
	struct pending *entry = pending_find(core->pending, r->half_queue_offset);

	(void)err;
	/* The checks of a turn are recorded together, after a decision of the same turn perhaps: not open is fine. */
	if (entry == NULL || entry->half_offset != r->half_offset)
		return ST_OK;
	/* An answer that is news: as in checkback_answered_unknown. */
	if (core->replay.active && r->event == CHECK_ANSWERED_UNKNOWN && r->answered > entry->answered)
		entry->due_mono_ms = r->when_ms + checkback_backoff_ms(&core->config.checkback, r->answered);
	entry->attempts = (uint16_t)(r->attempts < UINT16_MAX ? r->attempts : UINT16_MAX);
	entry->answered = (uint16_t)(r->answered < UINT16_MAX ? r->answered : UINT16_MAX);
	return ST_OK;
}

/* --- carried bodies ----------------------------------------------------------------------------------- */

static void move_pending_body(struct core *core, struct pending *entry, uint64_t carry_offset)
{
	if (carry_offset <= entry->body_offset)
		return; /* Fuzzy: known already. */
	retention_note_closed(core, entry->body_offset);
	entry->body_offset = carry_offset;
	retention_note_open(core, carry_offset);
}

enum status apply_carry(struct core *core, const struct placed *at, const struct record_carry *r, struct errinfo *err)
{
	struct record_half half;
	struct pending *entry = NULL;

	if (r->original_kind == LOG_HALF) {
		enum status status = record_half_decode(r->payload, &half, err);
		if (status != ST_OK)
			return errinfo_wrap(err, status, "CARRY record at %" PRIu64, at->offset);
		entry = pending_find(core->pending, half.half_queue_offset);
	}
	retention_note_record(core, at->offset, core->store_time_ms);
	if (entry != NULL && entry->half_offset == r->original_offset)
		move_pending_body(core, entry, at->offset);
	else if (core->replay.active && replay_note_carried(core, r->original_offset, at->offset) != ST_OK)
		return no_memory(err);
	return ST_OK;
}

/* --- settings and progress ---------------------------------------------------------------------------- */

static void delete_topic(struct core *core, const struct placed *at, struct topic *topic)
{
	for (uint32_t i = 0; i < topic->queue_count && !core->replay.active; i++) {
		if (topic->queues[i] != NULL)
			visibility_forget(&core->visibility, topic->queues[i]);
	}
	topics_delete(core->topics, topic, at->offset);
	offsets_forget_topic(core->offsets, topic->id);
	pops_forget_topic(&core->pops, topic->id);
}

enum status apply_topic(struct core *core, const struct placed *at, const struct record_topic *r, struct errinfo *err)
{
	struct topic_settings settings = {
		.read_queue_nums = r->read_queue_nums, .write_queue_nums = r->write_queue_nums, .perm = r->perm,
		.filter_type = r->filter_type, .sys_flag = r->sys_flag, .order = r->order,
		.attributes = r->attributes,
	};
	struct topic *topic = topics_find_any(core->topics, r->name);
	enum status status = r->deleted && topic != NULL ? ST_OK : topics_put(core->topics, r->name, &settings, false, &topic);

	if (status == ST_FULL)
		return topics_check_room(core->topics, err);
	if (status != ST_OK)
		return no_memory(err);
	if (r->deleted)
		delete_topic(core, at, topic);
	topics_touch(core->topics, r->when_ms);
	return ST_OK;
}

enum status apply_group(struct core *core, const struct record_group *r, struct errinfo *err)
{
	struct group_config settings = {
		.consume_enable = r->consume_enable,
		.consume_from_min_enable = r->consume_from_min_enable,
		.consume_broadcast_enable = r->consume_broadcast_enable,
		.consume_message_orderly = r->consume_message_orderly,
		.notify_consumer_ids_changed_enable = r->notify_consumer_ids_changed_enable,
		.retry_queue_nums = (int32_t)r->retry_queue_nums,
		.retry_max_times = (int32_t)r->retry_max_times,
		.broker_id = r->broker_id,
		.which_broker_when_consume_slowly = r->which_broker_when_consume_slowly,
		.group_sys_flag = (int32_t)r->group_sys_flag,
		.consume_timeout_minute = (int32_t)r->consume_timeout_minute,
		.retry_policy = r->retry_policy,
	};
	struct consumer_group *group;
	enum status status = groups_put(core->groups, r->name, &settings, r->forbidden, &group);

	if (status == ST_FULL)
		return groups_check_room(core->groups, err);
	if (status != ST_OK)
		return no_memory(err);
	if (r->deleted)
		groups_delete(core->groups, group);
	if (r->deleted && r->clean_offsets)
		offsets_forget_group(core->offsets, group->id);
	if (r->deleted && r->clean_offsets)
		pops_forget_group(&core->pops, group->id);
	else if (r->deleted)
		pops_settle_group(&core->pops, group->id);
	return ST_OK;
}

enum status apply_offset(struct core *core, const struct record_offset *r, struct errinfo *err)
{
	uint32_t topic_id, group_id;

	enum status status = names_intern(core->names, r->topic, &topic_id);
	if (status == ST_OK)
		status = names_intern(core->names, r->group, &group_id);
	if (status == ST_OK)
		status = offsets_reserve(core->offsets, topic_id, group_id, r->queue_id);
	if (status != ST_OK)
		return errinfo_set(err, status, "no room for another consumer offset: %s", status_text(status));
	offsets_apply(core->offsets, topic_id, group_id, r->queue_id, r->offset);
	return ST_OK;
}

static enum status apply_request_mode(struct core *core, const struct record_pop *r, uint32_t topic_id, uint32_t group_id,
				      struct errinfo *err)
{
	if (r->count - 1 > REQUEST_MODE_POP)
		return errinfo_set(err, ST_CORRUPT, "POP record: request mode %u", r->count - 1);
	struct request_mode *mode = pops_mode_make(&core->pops, topic_id, group_id);

	if (mode == NULL)
		return no_memory(err);
	mode->mode = r->count - 1;
	mode->shared_queues = (uint32_t)r->queue_offset;
	mode->known = true;
	return ST_OK;
}

enum status apply_pop(struct core *core, const struct record_pop *r, struct errinfo *err)
{
	bool checks_out = r->event == POP_CHECK_OUT || r->event == POP_ORDERLY || r->event == POP_ORDERLY_AGAIN;
	struct pop_key key = { .queue_id = r->queue_id };
	struct pop_row *row;

	if (r->queue_id >= TOPIC_QUEUE_MAX || r->count == 0 || (checks_out && r->count > POP_MESSAGES_MAX) ||
	    r->queue_offset > INT64_MAX || r->invisible_ms < 0)
		return errinfo_set(err, ST_CORRUPT, "POP record: %u messages of queue %u", r->count, r->queue_id);
	enum status status = names_intern(core->names, r->topic, &key.topic_id);
	if (status == ST_OK)
		status = names_intern(core->names, r->group, &key.group_id);
	if (status != ST_OK)
		return errinfo_set(err, status, "no room for another name: %s", status_text(status));
	if (r->event == POP_REQUEST_MODE)
		return apply_request_mode(core, r, key.topic_id, key.group_id, err);
	if (pops_reserve(&core->pops, &key, checks_out ? r->count : 0, &row) != ST_OK)
		return no_memory(err);
	pops_apply(&core->pops, row, r);
	return ST_OK;
}

/* --- replay ------------------------------------------------------------------------------------------ */

static enum status visit_check(void *context, const struct record_check *check, struct errinfo *err)
{
	return apply_check(context, check, err);
}

static enum status visit_offset(void *context, const struct record_offset *offset, struct errinfo *err)
{
	if (offset->queue_id >= TOPIC_QUEUE_MAX)
		return errinfo_set(err, ST_CORRUPT, "OFFSETS record: queue id %u", offset->queue_id);
	return apply_offset(context, offset, err);
}

static enum status visit_pop(void *context, const struct record_pop *pop, struct errinfo *err)
{
	return apply_pop(context, pop, err);
}

/* Decode, then apply, for the kinds whose payload is one struct. */
#define REPLAY(kind, ...)                                                             \
	do {                                                                          \
		struct record_##kind r;                                               \
		enum status status = record_##kind##_decode(record->payload, &r, err); \
		return status != ST_OK ? status : apply_##kind(core, __VA_ARGS__);    \
	} while (0)

static enum status replay_one(struct core *core, const struct log_record *record, struct errinfo *err)
{
	struct placed at = { record->offset, record->size };

	switch (record->kind) {
	case LOG_MESSAGE: REPLAY(message, &at, &r, err);
	case LOG_HALF: REPLAY(half, &at, &r, err);
	case LOG_DECISION: REPLAY(decision, &at, &r, err);
	case LOG_DELIVER: REPLAY(deliver, &at, &r, err);
	case LOG_TIMER_CANCEL: REPLAY(timer_cancel, &at, &r, err);
	case LOG_TOPIC: REPLAY(topic, &at, &r, err);
	case LOG_GROUP: REPLAY(group, &r, err);
	case LOG_CHECK: return record_checks_decode(record->payload, visit_check, core, err);
	case LOG_OFFSETS: return record_offsets_decode(record->payload, visit_offset, core, err);
	case LOG_POP: return record_pops_decode(record->payload, visit_pop, core, err);
	case LOG_CARRY: REPLAY(carry, &at, &r, err);
	case LOG_CONFLICT:
	case LOG_SNAPSHOT_MARK: return ST_OK; /* Tell the op log and people; change nothing. */
	default:
		return errinfo_set(err, ST_VERSION, "a record of kind %u (%s): written by a newer version of this program",
				   record->kind, log_kind_text(record->kind));
	}
}

enum status core_apply(struct core *core, const struct log_record *record, struct errinfo *err)
{
	enum status status = replay_one(core, record, err);

	if (status != ST_OK)
		return errinfo_wrap(err, status, "replay of the record at log offset %" PRIu64, record->offset);
	return ST_OK;
}
