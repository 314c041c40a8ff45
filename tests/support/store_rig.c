/* See store_rig.h. */
#include "tests/support/store_rig.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/pop.h"
#include "broker/core/pops.h"
#include "broker/core/produce.h"
#include "broker/core/recall.h"
#include "broker/core/progress.h"
#include "broker/core/pull.h"
#include "broker/core/settings.h"
#include "broker/core/store.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/wire/codes.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"

enum { STEPS_MAX = 10000, BODY_MAX = 32 * 1024 };

static uint64_t segment_size(const struct rig_options *options)
{
	return options->segment_size != 0 ? options->segment_size : LOG_SEGMENT_SIZE_MIN;
}

/* --- effects ------------------------------------------------------------------------------------------- */

static bool on_ask(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	struct rig *rig = context;

	if (rig->ask_count == RIG_ASKS_MAX)
		return false;
	rig->asks[rig->ask_count++] = (struct rig_ask){ conn_id, half_queue_offset, half_offset };
	return true;
}

static void on_notify(void *context, uint64_t conn_id, struct span group)
{
	(void)context;
	(void)conn_id;
	(void)group;
}

static void on_hold(void *context, const struct hold *hold, bool expired)
{
	(void)context;
	(void)hold;
	(void)expired;
}

/* --- disk work ------------------------------------------------------------------------------------------- */

static void die(struct rig *rig, enum rig_step step, const struct errinfo *err)
{
	if (rig->dead)
		return;
	rig->dead = true;
	rig->failure = *err;
	rig->died_of = step;
}

static bool flush_take(struct rig *rig, bool sync)
{
	if (rig->flush_taken)
		return false;
	rig->flush_taken = commitlog_take_flush(rig->log, sync, &rig->flush);
	rig->flush_ran = false;
	if (rig->flush_taken && rig->flush.end > rig->sealed_end) {
		if (rig->sealed != NULL)
			rig->sealed(rig->sealed_context, rig->sealed_end, rig->flush.end);
		rig->sealed_end = rig->flush.end;
	}
	return rig->flush_taken;
}

static bool flush_run(struct rig *rig)
{
	if (!rig->flush_taken || rig->flush_ran)
		return false;
	log_flush_run(&rig->flush);
	return rig->flush_ran = true;
}

static bool flush_done(struct rig *rig)
{
	struct errinfo err = { 0 };

	if (!rig->flush_ran)
		return false;
	rig->flush_taken = rig->flush_ran = false;
	if (commitlog_flush_done(rig->log, &rig->flush, &err) != ST_OK)
		die(rig, RIG_FLUSH_DONE, &err);
	else
		core_committed(rig->core);
	return true;
}

static bool prepare_take(struct rig *rig)
{
	if (rig->prepare_taken)
		return false;
	rig->prepare_ran = false;
	return rig->prepare_taken = commitlog_take_prepare(rig->log, &rig->prepare);
}

static bool prepare_run(struct rig *rig)
{
	if (!rig->prepare_taken || rig->prepare_ran)
		return false;
	log_prepare_run(&rig->prepare);
	return rig->prepare_ran = true;
}

/* A job that never ran is reported as failed: only a stop does that, and the file it would have made is not there. */
static bool prepare_done(struct rig *rig)
{
	struct errinfo err = { 0 };

	if (!rig->prepare_taken)
		return false;
	if (!rig->prepare_ran)
		rig->prepare.result = errinfo_set(&rig->prepare.err, ST_FULL, "never ran");
	rig->prepare_taken = rig->prepare_ran = false;
	enum status status = commitlog_prepare_done(rig->log, &rig->prepare, &err);
	if (status != ST_OK && status != ST_FULL)
		die(rig, RIG_PREPARE_DONE, &err);
	return true;
}

static bool index_step(struct rig *rig)
{
	struct pagefile_flush_job job;

	if (!pagefile_take_flush(rig->store.files, &job))
		return false;
	pagefile_flush_run(&job);
	(void)!pagefile_flush_done(rig->store.files, &job, NULL); /* It stays dirty and is tried again. */
	return true;
}

static bool snapshot_take(struct rig *rig)
{
	if (rig->snapshot != NULL)
		return false;
	snapshotter_step(rig->snapshotter);
	rig->snapshot = snapshotter_take(rig->snapshotter);
	rig->snapshot_ran = false;
	return rig->snapshot != NULL;
}

static bool snapshot_run(struct rig *rig)
{
	if (rig->snapshot == NULL || rig->snapshot_ran)
		return false;
	snapshot_job_run(rig->snapshot);
	return rig->snapshot_ran = true;
}

/* As prepare_done. A snapshot that fails is tried again later, unless a sync has failed. */
static bool snapshot_done(struct rig *rig)
{
	struct errinfo err = { 0 };

	if (rig->snapshot == NULL)
		return false;
	if (!rig->snapshot_ran)
		rig->snapshot->result = errinfo_set(&rig->snapshot->err, ST_FULL, "never ran");
	bool fatal = rig->snapshot->sync_failed;
	rig->snapshot = NULL;
	if (snapshotter_done(rig->snapshotter, &err) != ST_OK && fatal)
		die(rig, RIG_SNAPSHOT_DONE, &err);
	return true;
}

void rig_want_snapshot(struct rig *rig)
{
	snapshotter_want(rig->snapshotter);
}

bool rig_disk_step(struct rig *rig, enum rig_step step, bool sync)
{
	switch (step) {
	case RIG_FLUSH_TAKE: return flush_take(rig, sync);
	case RIG_FLUSH_RUN: return flush_run(rig);
	case RIG_FLUSH_DONE: return flush_done(rig);
	case RIG_PREPARE_TAKE: return prepare_take(rig);
	case RIG_PREPARE_RUN: return prepare_run(rig);
	case RIG_PREPARE_DONE: return rig->prepare_ran && prepare_done(rig);
	case RIG_INDEX: return index_step(rig);
	case RIG_SNAPSHOT_TAKE: return snapshot_take(rig);
	case RIG_SNAPSHOT_RUN: return snapshot_run(rig);
	case RIG_SNAPSHOT_DONE: return rig->snapshot_ran && snapshot_done(rig);
	}
	return false;
}

static bool settle_log(struct rig *rig)
{
	bool moved = flush_take(rig, true);

	moved |= flush_run(rig);
	moved |= flush_done(rig);
	return moved;
}

/* A full disk is no progress. */
static bool settle_files(struct rig *rig)
{
	bool moved = prepare_take(rig);

	moved |= prepare_run(rig);
	if (rig->prepare_ran) {
		moved = rig->prepare.result == ST_OK;
		(void)prepare_done(rig);
	}
	return moved;
}

static bool settle_snapshot(struct rig *rig)
{
	if (rig->snapshot == NULL && !snapshotter_busy(rig->snapshotter)) {
		snapshotter_step(rig->snapshotter); /* One that is due. */
		return snapshotter_busy(rig->snapshotter);
	}
	(void)index_step(rig);
	(void)snapshot_take(rig);
	(void)snapshot_run(rig);
	(void)snapshot_done(rig);
	return true;
}

bool rig_settle(struct rig *rig)
{
	for (int i = 0; i < STEPS_MAX && !rig->dead; i++) {
		bool moved = settle_log(rig);

		moved |= settle_files(rig);
		moved |= !rig->dead && settle_snapshot(rig);
		if (!moved)
			return !rig->dead;
	}
	return false;
}

uint64_t rig_expired(const struct rig *rig)
{
	uint64_t appended = commitlog_appended(rig->log), kept = rig->options.retention_bytes;

	if (kept == 0 || appended < kept)
		return 0;
	return (appended - kept) / segment_size(&rig->options) * segment_size(&rig->options);
}

uint64_t rig_committed(const struct rig *rig)
{
	return core_committed_offset(rig->core);
}

void rig_advance(struct rig *rig, int64_t by_ms)
{
	clock_manual_advance(&rig->clock, by_ms);
	core_set_time(rig->core, rig->clock.wall_now_ms, rig->clock.mono_now_ms);
	core_tick(rig->core);
}

/* --- start and stop ------------------------------------------------------------------------------------ */

void rig_init(struct rig *rig, const struct rig_options *options, const struct vfs *vfs)
{
	memset(rig, 0, sizeof(*rig));
	rig->options = *options;
	rig->vfs = vfs;
	clock_manual_init(&rig->clock, RIG_START_WALL_MS, 1000);
	buffer_init(&rig->properties, 0);
	buffer_init(&rig->pulled, 0);
	if (buffer_reserve(&rig->properties, 4096) == NULL)
		abort();
}

void rig_deinit(struct rig *rig)
{
	if (rig_stop(rig, false, NULL) != ST_OK)
		abort();
	buffer_deinit(&rig->properties);
	buffer_deinit(&rig->pulled);
}

static struct core_config core_settings(const struct rig *rig)
{
	struct core_config config = {
		.cluster_name = "rig", .broker_name = "rig-a", .store_ipv4 = 0x7F000001, .store_port = 10911,
		.sync_flush = !rig->options.async_flush, .auto_create_topic = true, .auto_create_group = true,
		.long_polling = true, .property_filter = true, .default_topic_queue_nums = 2, .max_message_size = BODY_MAX,
		.young_queue_bytes = 1 << 20, .offset_flush_interval_ms = 500, .pending_max = 1000,
		.pending_group_max = 1000, .resend_window_count = 256, .delayed_max = 1000,
		.timers = true, .timer_max_delay_ms = 259200000, .recall = true, .topic_max = 100,
		.group_max = 100, .name_max = 1000, .offset_row_max = 1000, .member_max = 100, .hold_max = 100, .pop_max = 1000, .lock_max = 100, .flow_max = 100,
		.delay_levels_ms = { 1000, 5000, 10000 }, .delay_level_count = 3,
		.segment_bytes = segment_size(&rig->options), .snapshot_bytes = rig->options.snapshot_bytes,
		.retention_bytes = rig->options.retention_bytes, .checkback = checkback_config_default(),
	};

	config.checkback.check_max = 2;
	return config;
}

/* What a broker's start opens, in its order. */
static enum status open_store(struct rig *rig, struct errinfo *err)
{
	const struct rig_options *o = &rig->options;
	struct store_config config = {
		.log = { .root = "/store", .cluster = "rig", .clock = &rig->clock.clock, .log_id = { 7, 7, 7 },
			 .segment_size = segment_size(o), .ring_size = o->ring_size != 0 ? o->ring_size : LOG_RING_SIZE_MIN,
			 .prepare_chunk = o->prepare_chunk != 0 ? o->prepare_chunk : 16 * 1024 },
		.index_cache_bytes = PAGEFILE_CACHE_MIN,
	};
	struct core_effects effects = { rig, on_ask, on_notify, on_hold, NULL, NULL, NULL };
	struct core_config settings = core_settings(rig);
	enum status status = store_open(&config, rig->vfs, &rig->store, err);

	if (status != ST_OK)
		return status;
	rig->log = rig->store.log;
	status = core_open(&settings, &rig->store, rig->clock.wall_now_ms, rig->clock.mono_now_ms, &effects, &rig->core, err);
	if (status != ST_OK)
		return status;
	store_loaded(&rig->store);
	pagefile_set_read_inline(rig->store.files, true);
	rig->snapshotter = snapshotter_create(rig->core, &rig->store);
	return rig->snapshotter != NULL ? ST_OK : errinfo_set(err, ST_NOMEM, "out of memory");
}

static enum status close_store(struct rig *rig, bool clean, struct errinfo *err)
{
	snapshotter_destroy(rig->snapshotter);
	core_close(rig->core);
	rig->snapshotter = NULL;
	rig->core = NULL;
	rig->log = NULL;
	return store_close(&rig->store, clean, err);
}

enum status rig_start(struct rig *rig, struct errinfo *err)
{
	enum status status;

	rig->flush_taken = rig->flush_ran = rig->prepare_taken = rig->prepare_ran = rig->dead = false;
	rig->ask_count = 0;
	status = open_store(rig, err);
	if (status != ST_OK && close_store(rig, false, NULL) != ST_OK)
		abort(); /* Nothing to fail: it writes nothing. */
	if (status == ST_OK)
		rig->sealed_end = commitlog_appended(rig->log);
	return status;
}

enum status rig_stop(struct rig *rig, bool clean, struct errinfo *err)
{
	if (rig->log == NULL)
		return ST_OK;
	(void)prepare_done(rig); /* Takes back what the jobs hold. */
	(void)snapshot_done(rig);
	if (clean && !rig->dead) {
		(void)!core_flush_offsets(rig->core);
		(void)rig_settle(rig);
	}
	return close_store(rig, clean && !rig->dead, err);
}

/* --- requests ----------------------------------------------------------------------------------------------- */

static struct rig_answer answer_of(enum status status, const struct outcome *outcome)
{
	struct rig_answer answer = { .status = status, .code = outcome->code, .wait_offset = outcome->wait_offset };

	snprintf(answer.text, sizeof(answer.text), "%.*s", RIG_TEXT_SIZE - 1, outcome->err.text);
	return answer;
}

struct rig_answer rig_send(struct rig *rig, const struct rig_message *m)
{
	static uint8_t body[BODY_MAX];
	size_t key_size = strlen(m->key), body_size = m->body_size < BODY_MAX ? m->body_size : BODY_MAX;
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct buffer *properties = &rig->properties;

	for (size_t i = 0; i < body_size; i++)
		body[i] = (uint8_t)(m->key[i % key_size] + i / key_size);
	buffer_reset(properties);
	property_put(properties, PROPERTY_UNIQ_KEY, span_of(m->key));
	property_put(properties, PROPERTY_TAGS, SPAN_LITERAL("T"));
	if (m->half)
		property_put(properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
	if (m->delay_level > 0)
		property_put_i64(properties, PROPERTY_DELAY, m->delay_level);
	if (m->timer_ms > 0)
		property_put_i64(properties, PROPERTY_TIMER_DELAY_MS, m->timer_ms);
	struct send_request request = {
		.producer_group = span_of(m->group), .topic = span_of(m->topic), .default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = 2, .queue_id = m->queue_id, .born_timestamp = 42,
		.born_host = host_ipv4(0x0A000001, 4711), .properties = buffer_span(properties),
		.body = { body, body_size }, .max_reconsume_times = -1, .conn_id = m->conn_id, .client_id = SPAN_LITERAL("c@1"),
	};
	enum status status = core_send(rig->core, &request, &result, &outcome);
	struct rig_answer answer = answer_of(status, &outcome);
	answer.log_offset = result.log_offset;
	answer.queue_offset = result.queue_offset;
	answer.recall_at_ms = result.recall_at_ms;
	return answer;
}

struct rig_answer rig_recall(struct rig *rig, const char *topic, const char *key, int64_t recall_at_ms)
{
	struct outcome outcome = { 0 };
	uint32_t count = 0;
	enum status status = recall_named(rig->core, span_of(topic), span_of(key), recall_at_ms - 1, SPAN_LITERAL("c@1"), &count, &outcome);
	struct rig_answer answer = answer_of(status, &outcome);

	answer.recalled = count;
	return answer;
}

struct rig_answer rig_end(struct rig *rig, const struct rig_end *end)
{
	struct end_request request = {
		.group = span_of(end->group), .half_queue_offset = end->half_queue_offset, .half_offset = end->half_offset,
		.outcome = end->outcome, .from_check = end->from_check, .conn_id = end->conn_id, .client_id = SPAN_LITERAL("c@1"),
	};
	struct outcome outcome = { 0 };
	enum status status = core_end_transaction(rig->core, &request, &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_operator(struct rig *rig, uint64_t half_offset, enum record_outcome asked)
{
	struct outcome outcome = { 0 };
	enum status status = core_operator_decide(rig->core, half_offset, asked, SPAN_LITERAL("op"), &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_offset(struct rig *rig, const char *group, const char *topic, int32_t queue_id, int64_t offset,
			     bool lasting)
{
	struct outcome outcome = { 0 };
	enum status status = core_update_offset(rig->core, span_of(group), span_of(topic), queue_id, offset, lasting, &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_put_topic(struct rig *rig, const char *name, uint32_t queues)
{
	struct topic_settings settings = { .read_queue_nums = queues, .write_queue_nums = queues, .perm = PERM_READ | PERM_WRITE,
					   .attributes = SPAN_LITERAL("{}") };
	struct outcome outcome = { 0 };
	enum status status = core_put_topic(rig->core, span_of(name), &settings, &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_put_group(struct rig *rig, const char *name, int32_t retries)
{
	struct group_config settings = group_config_default();
	struct outcome outcome = { 0 };

	settings.retry_max_times = retries;
	if (retries % 2 == 1)
		settings.retry_policy = SPAN_LITERAL("{\"type\":\"EXPONENTIAL\"}");
	enum status status = core_put_group(rig->core, span_of(name), &settings, &outcome);
	return answer_of(status, &outcome);
}

struct rig_answer rig_pull(struct rig *rig, const char *topic, uint32_t queue_id, uint64_t offset)
{
	const struct topic *known = topics_find(core_topics(rig->core), span_of(topic));
	struct pull_request request = { .topic_id = known == NULL ? 0 : known->id, .queue_id = queue_id, .offset = offset,
					.message_max = 32, .bytes_max = PULL_BYTES_MAX };
	struct pull_result result = { 0 };
	struct outcome outcome = { 0 };

	if (known == NULL)
		return (struct rig_answer){ .status = ST_NOTFOUND };
	enum status status = core_pull(rig->core, &request, &result, &outcome);
	if (status == ST_OK) {
		buffer_reset(&rig->pulled);
		core_pull_copy(rig->core, &result, &rig->pulled);
		if (rig->pulled.failed)
			status = ST_NOMEM;
	}
	struct rig_answer answer = answer_of(status, &outcome);
	answer.queue_offset = result.next_offset;
	return answer;
}

static void take_handle(struct rig_handle *out, const struct rig_pop *pop, const struct message *message,
			const struct pop_result *result, uint64_t wait_offset)
{
	uint8_t text[LONG_TOPIC_NAME_MAX];
	bool retried = property_get(message->properties, PROPERTY_POP_CK).size > 0;
	struct span topic = retried ? pop_retry_name(span_of(pop->group), span_of(pop->topic), text) : span_of(pop->topic);

	*out = (struct rig_handle){ .group = pop->group, .queue_id = message->queue_id, .offset = message->queue_offset,
				    .pop_ms = result->pop_ms, .order = pop->order, .wait_offset = wait_offset };
	snprintf(out->topic, sizeof(out->topic), "%.*s", SPAN_ARGS(topic));
}

struct rig_answer rig_pop(struct rig *rig, const struct rig_pop *pop, struct rig_handle out[RIG_POPPED_MAX], size_t *count_out)
{
	struct pop_header header = { .consumer_group = span_of(pop->group), .topic = span_of(pop->topic), .queue_id = -1,
				     .max_msg_nums = (int32_t)(pop->max < RIG_POPPED_MAX ? pop->max : RIG_POPPED_MAX),
				     .invisible_ms = pop->invisible_ms, .order = pop->order };
	struct pop_request request;
	struct pop_result result = { 0 };
	struct outcome outcome = { 0 };
	struct message message;
	enum status status = core_prepare_pop(rig->core, &header, &request, &outcome);

	*count_out = 0;
	if (status == ST_OK)
		status = core_pop(rig->core, &request, &result, &outcome);
	struct span rest = status == ST_OK ? result.body : SPAN_NONE;
	while (*count_out < RIG_POPPED_MAX && message_next(&rest, &message, NULL) == ST_OK)
		take_handle(&out[(*count_out)++], pop, &message, &result, outcome.wait_offset);
	return answer_of(status, &outcome);
}

static struct pop_handle handle_of(const struct rig_handle *handle)
{
	return (struct pop_handle){ .group = span_of(handle->group), .topic = span_of(handle->topic), .queue_id = handle->queue_id,
				    .offset = handle->offset, .pop_ms = handle->pop_ms, .order = handle->order };
}

struct rig_answer rig_ack(struct rig *rig, const struct rig_handle *handle)
{
	struct pop_handle named = handle_of(handle);
	struct outcome outcome = { 0 };
	enum status status = core_pop_ack(rig->core, &named, &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_change_invisible(struct rig *rig, struct rig_handle *handle, int64_t invisible_ms)
{
	struct pop_handle named = handle_of(handle);
	struct pop_changed changed;
	struct outcome outcome = { 0 };
	enum status status = core_pop_change(rig->core, &named, invisible_ms, &changed, &outcome);

	if (status == ST_OK) {
		handle->pop_ms = changed.pop_ms;
		handle->wait_offset = outcome.wait_offset;
	}
	return answer_of(status, &outcome);
}

struct rig_answer rig_pop_mode(struct rig *rig, const char *group, const char *topic, uint32_t shared_queues)
{
	struct outcome outcome = { 0 };
	enum status status = core_set_request_mode(rig->core, span_of(topic), span_of(group), REQUEST_MODE_POP, shared_queues, &outcome);

	return answer_of(status, &outcome);
}

struct rig_answer rig_producer(struct rig *rig, const char *group, uint64_t conn_id)
{
	struct span groups[] = { span_of(group) };
	struct heartbeat beat = { .client_id = SPAN_LITERAL("c@1"), .producer_groups = groups, .producer_count = 1 };
	struct outcome outcome = { 0 };
	enum status status = core_heartbeat(rig->core, conn_id, &(struct host){ 0 }, LANGUAGE_CPP, VERSION_OURS, &beat, &outcome);

	return answer_of(status, &outcome);
}
