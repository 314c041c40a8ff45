#include "broker/core/core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/core/apply.h"
#include "broker/core/clients.h"
#include "broker/core/inspect.h"
#include "broker/core/kept_elsewhere.h"
#include "broker/core/pop_revive.h"
#include "broker/core/progress.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "broker/core/store.h"
#include "broker/core/transactions.h"
#include "broker/core/wake.h"
#include "checkback/checkback.h"
#include "lib/index/pagefile.h"

enum { FULL_OFFSET_INTERVAL_MS = 60 * 1000, EXPIRE_INTERVAL_MS = 10 * 1000, WAIT_SWEEP_INTERVAL_MS = 50, DELIVERIES_PER_TICK = 1000,
       RECORD_SCRATCH_MAX = 32 * 1024 * 1024 };

/* --- small steps shared by the operations (state.h) ---------------------------------------------------- */

enum status core_refuse_as(struct outcome *outcome, int32_t code)
{
	outcome->code = code;
	outcome->err.code = ST_DENIED;
	return ST_DENIED;
}

enum status core_refuse(struct outcome *outcome, int32_t code, const char *fmt, ...)
{
	char text[ERRINFO_TEXT_SIZE]; /* What is told may hold the outcome's own text. */
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	memcpy(outcome->err.text, text, sizeof(text));
	return core_refuse_as(outcome, code);
}

enum status core_accept(struct outcome *outcome, uint64_t wait_offset)
{
	outcome->code = RESP_SUCCESS;
	outcome->wait_offset = wait_offset;
	return ST_OK;
}

enum status core_accept_as_known(const struct core *core, struct outcome *outcome)
{
	return core_accept(outcome, commitlog_appended(core->log));
}

int64_t core_store_time(struct core *core)
{
	return core->wall_ms > core->store_time_ms ? core->wall_ms : core->store_time_ms;
}

struct hash128 core_resend_name(const struct core *core, struct span group, struct span unique_key)
{
	struct hash128 outer = hash128_bytes(core->hash_key, group.data, group.size);
	struct hash_key inner = { outer.lo ^ core->hash_key.k0, outer.hi ^ core->hash_key.k1 };

	return hash128_bytes(inner, unique_key.data, unique_key.size);
}

enum status core_read_record(struct core *core, uint64_t offset, struct log_record *out, struct errinfo *err)
{
	for (;;) {
		uint32_t size = 0;
		enum status status = commitlog_record(core->log, offset, core->record.data, core->record.capacity, out,
						      &size, err);

		if (status == ST_AGAIN) {
			core->wish_offset = offset;
			core->wish_size = size;
		}
		if (status != ST_TOOBIG || size > RECORD_SCRATCH_MAX)
			return status;
		buffer_reset(&core->record);
		if (buffer_reserve(&core->record, size) == NULL)
			return errinfo_set(err, ST_NOMEM, "no memory for a record of %u bytes", size);
	}
}

enum status core_read_body(struct core *core, uint64_t body_offset, struct stored_body *out, struct errinfo *err)
{
	struct log_record record = { 0 };
	struct record_carry carry;
	enum status status = core_read_record(core, body_offset, &record, err);

	if (status != ST_OK)
		return status;
	*out = (struct stored_body){ record.kind, body_offset, record.payload, LOG_ENVELOPE_SIZE };
	if (record.kind == LOG_CARRY) {
		status = record_carry_decode(record.payload, &carry, err);
		if (status != ST_OK)
			return status;
		*out = (struct stored_body){ carry.original_kind, carry.original_offset, carry.payload,
					     LOG_ENVELOPE_SIZE + CARRY_HEAD_SIZE };
	}
	if (out->kind != LOG_MESSAGE && out->kind != LOG_HALF)
		return errinfo_set(err, ST_NOTFOUND, "no message at log offset %" PRIu64, body_offset);
	return ST_OK;
}

enum status core_read_half(struct core *core, uint64_t body_offset, struct stored_half *out, struct errinfo *err)
{
	struct stored_body body = { 0 };
	enum status status = core_read_body(core, body_offset, &body, err);

	if (body.kind != 0 && body.kind != LOG_HALF) /* There is a record, of another kind. */
		return errinfo_set(err, ST_NOTFOUND, "no half message at log offset %" PRIu64, body_offset);
	if (status == ST_OK)
		status = record_half_decode(body.payload, &out->half, err);
	if (status == ST_OK)
		out->message_delta = (uint16_t)(body.payload_at + body.payload.size - out->half.message.size);
	return status;
}

enum status core_find_queue(struct core *core, struct span topic_name, int32_t queue_id, struct topic **topic_out,
			    struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, topic_name);

	*topic_out = topic;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "topic %.*s does not exist on this broker",
				   SPAN_ARGS(topic_name));
	if (queue_id < 0 || (uint32_t)queue_id >= topic_queue_nums(topic))
		return core_refuse(outcome, RESP_INVALID_PARAMETER, "queueId %d is illegal, topic %.*s has %u queues",
				   queue_id, SPAN_ARGS(topic_name), topic_queue_nums(topic));
	return check_kept_here(topic_name, outcome);
}

/* --- opening ------------------------------------------------------------------------------------------ */

static bool make_parts(struct core *core)
{
	const struct core_config *config = &core->config;
	struct checkback_effects effects = { core, transactions_ask, transactions_exhausted, transactions_full };

	holds_init(&core->holds, config->hold_max);
	delays_init(&core->delays, SIZE_MAX); /* The limits are apply's: what the log holds is taken in any case. */
	visibility_init(&core->visibility);
	pops_init(&core->pops);
	buffer_init(&core->pop.body, RECORD_SCRATCH_MAX);
	buffer_init(&core->pop.start_info, RECORD_SCRATCH_MAX);
	buffer_init(&core->pop.offset_info, RECORD_SCRATCH_MAX);
	buffer_init(&core->pop.order_info, RECORD_SCRATCH_MAX);
	half_index_init(&core->halves, core->files);
	buffer_init(&core->properties, 64 * 1024);
	buffer_init(&core->record, RECORD_SCRATCH_MAX);
	buffer_init(&core->kept, RECORD_SCRATCH_MAX);
	buffer_init(&core->cold, RECORD_SCRATCH_MAX);
	core->windows = windows_create();
	core->names = names_create();
	core->offsets = offsets_create();
	core->members = members_create(config->member_max);
	core->locks = locks_create(config->lock_max);
	core->statistics = statistics_create(config->flow_max, core->wall_ms, core->mono_ms);
	core->pending = pending_create(UINT32_MAX);
	core->resends = core->pending == NULL ? NULL :
						resends_create((uint32_t)config->resend_window_count, core->pending);
	if (core->windows == NULL || core->names == NULL || core->offsets == NULL || core->members == NULL || core->locks == NULL ||
	    core->statistics == NULL || core->resends == NULL ||
	    buffer_reserve(&core->record, 64 * 1024) == NULL)
		return false;
	core->topics = topics_create(core->names, core->files);
	core->groups = groups_create(core->names);
	core->checkback = checkback_create(&config->checkback, core->pending, &effects, core->mono_ms);
	return core->topics != NULL && core->groups != NULL && core->checkback != NULL;
}

/* Limits bind what is new: replay took whatever the log holds. */
static void set_limits(struct core *core)
{
	const struct core_config *config = &core->config;

	names_set_limits(core->names, config->name_max, config->name_max / 4);
	topics_set_limit(core->topics, config->topic_max);
	groups_set_limit(core->groups, config->group_max);
	offsets_set_limits(core->offsets, config->offset_row_max, 16 * (size_t)config->offset_row_max);
}

enum status core_open(const struct core_config *config, const struct store *store, int64_t wall_ms, int64_t mono_ms,
		      const struct core_effects *effects, struct core **core_out, struct errinfo *err)
{
	struct core *core = calloc(1, sizeof(*core));

	if (core == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the broker's state");
	core->config = *config;
	core->effects = *effects;
	core->log = store->log;
	core->files = store->files;
	core->hash_key = hash_key_random();
	core->wall_ms = wall_ms;
	core->mono_ms = mono_ms;
	enum status status = make_parts(core) ? ST_OK : errinfo_set(err, ST_NOMEM, "no memory for the broker's state");
	if (status == ST_OK)
		status = settings_make_system_topics(core, err);
	if (status == ST_OK)
		status = settings_make_system_groups(core, err);
	if (status == ST_OK && retention_open(core) != ST_OK)
		status = errinfo_set(err, ST_NOMEM, "no memory for the broker's state");
	if (status == ST_OK)
		status = replay_all(core, store, err);
	if (status != ST_OK) {
		core_close(core);
		return status;
	}
	set_limits(core);
	topics_touch(core->topics, wall_ms);
	retention_start(core);
	carrying_start(core);
	core->stats = (struct core_stats){ 0 };
	*core_out = core;
	return ST_OK;
}

void core_close(struct core *core)
{
	if (core == NULL)
		return;
	holds_deinit(&core->holds);
	for (size_t i = 0; i < PULL_EXPRESSIONS; i++)
		expression_release(core->pull_expressions[i]);
	pop_waits_deinit(&core->pop_waits);
	pops_deinit(&core->pops);
	checkback_destroy(core->checkback);
	resends_destroy(core->resends);
	pending_destroy(core->pending);
	members_destroy(core->members);
	locks_destroy(core->locks);
	statistics_destroy(core->statistics);
	offsets_destroy(core->offsets);
	groups_destroy(core->groups);
	topics_destroy(core->topics);
	names_destroy(core->names);
	half_index_deinit(&core->halves);
	visibility_deinit(&core->visibility);
	delays_deinit(&core->delays);
	retention_deinit(&core->retention);
	buffer_deinit(&core->properties);
	buffer_deinit(&core->record);
	buffer_deinit(&core->kept);
	buffer_deinit(&core->cold);
	windows_destroy(core->windows);
	buffer_deinit(&core->pop.body);
	buffer_deinit(&core->pop.start_info);
	buffer_deinit(&core->pop.offset_info);
	buffer_deinit(&core->pop.order_info);
	free(core);
}

/* --- time --------------------------------------------------------------------------------------------- */

const struct core_config *core_configuration(const struct core *core)
{
	return &core->config;
}

void core_reconfigure(struct core *core, const struct core_config *config)
{
	struct errinfo err;

	core_config_take_changes(&core->config, config);
	checkback_reconfigure(core->checkback, &config->checkback);
	/* Without memory for the template no topic is made on the way; the next change tries again. */
	(void)!settings_make_template(core, &err);
	/* What routes say may have changed; name servers look at the version. */
	struct topics_version version = topics_version(core->topics);
	topics_set_version(core->topics, (struct topics_version){ version.counter + 1, core->wall_ms });
	if (core->effects.topics_changed != NULL)
		core->effects.topics_changed(core->effects.context);
}

void core_set_time(struct core *core, int64_t wall_ms, int64_t mono_ms)
{
	core->wall_ms = wall_ms;
	core->mono_ms = mono_ms;
}

int64_t core_now_ms(const struct core *core)
{
	return core->mono_ms;
}

/* A delayed message whose topic was deleted meanwhile is recalled when it is due. False: no room in the log now. */
static bool recall_outlived(struct core *core, const struct delayed *entry)
{
	struct record_timer_cancel r = { .source_offset = entry->naming_offset, .when_ms = core_store_time(core),
					 .who = SPAN_LITERAL("topic deleted") };
	size_t size = record_timer_cancel_size(&r);
	struct placed at = { .size = (uint32_t)commitlog_record_size(size) };
	struct errinfo err;

	uint8_t *payload = room_begin(core, ROOM_DELIVERY, LOG_TIMER_CANCEL, size, &at.offset);
	if (payload == NULL)
		return false;
	record_timer_cancel_encode(&r, payload);
	commitlog_commit(core->log);
	if (apply_timer_cancel(core, &at, &r, &err) != ST_OK)
		core_state_broken(core, &err);
	return true;
}

int64_t core_wall_ms(const struct core *core)
{
	return core->wall_ms;
}

/* Gives due delayed messages their places. What finds no room in the log comes with the next tick. */
static void deliver_due(struct core *core)
{
	for (int i = 0; i < DELIVERIES_PER_TICK; i++) {
		struct delayed first;

		if (!delays_first(&core->delays, &first) || first.deliver_at_ms > core->wall_ms)
			return;
		struct queue *queue;
		if (topic_outlived(first.topic, first.naming_offset)) {
			if (!recall_outlived(core, &first))
				return;
			continue;
		}
		if (apply_reserve_deliver(core, &first, &queue, NULL) != ST_OK)
			return;
		struct record_deliver r = {
			.source_offset = first.naming_offset, .body_offset = first.body_offset,
			.message_size = first.message_size, .message_delta = first.message_delta,
			.transactional = first.transactional, .queue_id = first.queue_id,
			.queue_offset = queue->next_offset, .deliver_time_ms = core_store_time(core),
			.tag_hash = first.tag_hash, .topic = first.topic->name,
		};
		size_t size = record_deliver_size(&r);
		struct placed at = { .size = (uint32_t)commitlog_record_size(size) };
		struct errinfo err;

		uint8_t *payload = room_begin(core, ROOM_DELIVERY, LOG_DELIVER, size, &at.offset);
		if (payload == NULL)
			return;
		record_deliver_encode(&r, payload);
		commitlog_commit(core->log);
		if (apply_deliver(core, &at, &r, &err) != ST_OK)
			core_state_broken(core, &err);
	}
}

/* What waits and whose time is up. Not with each tick: there may be a hundred thousand. */
static void sweep_waiting(struct core *core)
{
	struct hold *hold, *next;

	if (core->mono_ms < core->next_wait_sweep_ms)
		return;
	core->next_wait_sweep_ms = core->mono_ms + WAIT_SWEEP_INTERVAL_MS;
	DL_FOREACH_SAFE2(core->holds.all, hold, next, all_next) {
		if (hold->deadline_mono_ms <= core->mono_ms)
			holds_finish(&core->holds, hold, core->effects.hold_ready, core->effects.context, true);
	}
	pop_waits_sweep(core, false);
}

void core_answer_holds(struct core *core)
{
	while (core->holds.all != NULL)
		holds_finish(&core->holds, core->holds.all, core->effects.hold_ready, core->effects.context, true);
	pop_waits_sweep(core, true);
}

/* On a full disk what is set aside must last: the last word of many, seldom. */
static int64_t offset_interval(const struct core *core)
{
	int64_t interval_ms = core->config.offset_flush_interval_ms;

	return core->disk_level == DISK_FULL && interval_ms < FULL_OFFSET_INTERVAL_MS ? FULL_OFFSET_INTERVAL_MS : interval_ms;
}

void core_tick(struct core *core)
{
	deliver_due(core);
	sweep_waiting(core);
	pop_revive_tick(core);
	checkback_tick(core->checkback, core->mono_ms);
	if (core->mono_ms >= core->next_offset_flush_ms) {
		core->next_offset_flush_ms = core->mono_ms + offset_interval(core);
		if (core_flush_offsets(core) == ST_AGAIN)
			core->next_offset_flush_ms = core->mono_ms;
	}
	if (core->mono_ms >= core->next_expire_ms) {
		core->next_expire_ms = core->mono_ms + EXPIRE_INTERVAL_MS;
		clients_expire(core);
		locks_expire(core->locks, core->mono_ms);
	}
	settings_make_trace_topic(core);
	statistics_tick(core->statistics, core->wall_ms, core->mono_ms);
	retention_tick(core);
	carrying_tick(core);
	trimming_tick(core);
	inspect_tick(core);
	core_turn_end(core);
}

void core_turn_end(struct core *core)
{
	pop_waits_wake(core);
	checkback_dispatch(core->checkback, core->mono_ms);
	transactions_record_checks(core);
}

/* --- what is committed -------------------------------------------------------------------------------- */

uint64_t core_committed_offset(const struct core *core)
{
	return core->config.sync_flush ? commitlog_durable(core->log) : commitlog_written(core->log);
}

void core_committed(struct core *core)
{
	uint64_t committed = core_committed_offset(core);
	const struct visibility *visibility = &core->visibility;
	size_t head = visibility->head, before = visibility->count;
	struct queue *queue;

	/* First all entries, then the waiting pulls, so that one pull gets all that came at once. */
	while ((queue = visibility_next(&core->visibility, committed)) != NULL)
		queue->visible_offset++;
	if (before > visibility->count)
		statistics_committed(core->statistics, core->mono_ms);
	for (size_t i = 0; i < before - visibility->count; i++) {
		queue = visibility->ring[(head + i) & (visibility->capacity - 1)].queue;
		if (queue != NULL)
			wake_holds(core, queue);
		if (queue != NULL)
			pop_waits_arrived(core, queue->topic);
	}
}

void core_set_log_pin(struct core *core, uint64_t offset)
{
	core->retention.outer_pin = offset;
}

void core_begin_request(struct core *core)
{
	core->wish_size = 0;
}

bool core_take_read_ahead(struct core *core, uint64_t *offset_out)
{
	*offset_out = core->read_ahead;
	core->read_ahead = 0;
	return *offset_out != 0;
}

bool core_take_cold_read(struct core *core, uint64_t *offset_out, uint32_t *size_out)
{
	if (core->wish_size == 0)
		return false;
	*offset_out = core->wish_offset;
	*size_out = core->wish_size;
	core->wish_size = 0;
	return true;
}

bool core_keep_wish(struct core *core, enum wisher wisher)
{
	struct wish wish = { 0, 0 };

	return core_take_cold_read(core, &wish.offset, &wish.size) && wishes_add(&core->wishes, wisher, &wish);
}

void core_keep_cold_read(struct core *core)
{
	(void)core_keep_wish(core, WISH_EFFECT);
}

bool core_take_own_read(struct core *core, uint64_t *offset_out, uint32_t *size_out)
{
	struct wish wish;

	if (!wishes_take(&core->wishes, &wish))
		return false;
	*offset_out = wish.offset;
	*size_out = wish.size;
	return true;
}

void core_correct_half(const struct core *core, uint64_t half_queue_offset, struct half_entry *half)
{
	const struct pending *entry = pending_find(core->pending, half_queue_offset);

	if (entry == NULL || (entry->state == half->state && half->decision_offset < commitlog_appended(core->log)))
		return;
	half->state = entry->state;
	half->decision_offset = 0; /* It is open: whatever parked or resumed it is durable. */
}

void core_note_damage(struct core *core, enum status status, const struct errinfo *err)
{
	uint32_t suppressed;

	if (status == ST_CORRUPT && log_gate_pass(&core->damage_gate, core->mono_ms, &suppressed))
		log_error("store", "damage met", "reason=\"%s\" suppressed=%u", err->text, suppressed);
}

void core_state_broken(struct core *core, const struct errinfo *err)
{
	(void)core;
	/* A record that we have just made does not fit our own state: a bug. What is in the log is what happened, and
	 * recovery would refuse it too: going on could only make it worse. */
	fprintf(stderr, "escrow-broker: internal error: %s\n", err->text);
	abort();
}

struct core_stats core_stats(const struct core *core)
{
	struct core_stats stats = core->stats;

	stats.pending_now = pending_count(core->pending);
	stats.in_doubt_now = checkback_in_doubt(core->checkback);
	return stats;
}
