/* A core over a memory disk, on virtual time: the tests say when the disk works and when the process ends. */
#ifndef ESCROW_TESTS_CORE_FIXTURE_H
#define ESCROW_TESTS_CORE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/holds.h"
#include "broker/core/produce.h"
#include "broker/core/progress.h"
#include "broker/core/pull.h"
#include "broker/core/settings.h"
#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "broker/core/stored.h"
#include "broker/core/transactions.h"
#include "lib/base/clock.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/log/commitlog.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

enum { SEEN_MAX = 256, ASKED_MAX = 4096, FIXTURE_START_MS = 1000, PRODUCER = 7, CONSUMER = 8 };
#define FIXTURE_WALL_MS 1700000000000 /* 2023-11-14T22:13:20Z */

struct fixture {
	struct memdisk *disk;
	struct store store;
	struct commitlog *log;          /* The store's. */
	struct pagefile *files;         /* The store's. */
	struct core *core;
	struct snapshotter *snapshotter;
	uint64_t segment_size;          /* 0: 1 MiB. */
	uint64_t ring_size;             /* 0: 512 KiB. */
	const char *root;               /* NULL: /store */
	bool full;                      /* The disk: what needs more of it fails, and is tried again. */
	struct clock_manual clock;
	struct core_config config;
	uint64_t asked[ASKED_MAX];      /* Half-queue offsets, in the order of asking. */
	size_t asked_count;
	int32_t woken[SEEN_MAX];        /* Opaques of holds. */
	bool expired[SEEN_MAX];
	size_t woken_count;
	size_t notified_count;          /* Consumers that were told to share their queues out anew. */
};

static bool on_ask(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	struct fixture *f = context;

	CU_ASSERT_EQUAL(conn_id, PRODUCER);
	CU_ASSERT_TRUE_FATAL(f->asked_count < ASKED_MAX);
	CU_ASSERT_TRUE(half_offset < core_committed_offset(f->core));
	f->asked[f->asked_count++] = half_queue_offset;
	return true;
}

static void on_notify(void *context, uint64_t conn_id, struct span group)
{
	(void)conn_id;
	(void)group;
	((struct fixture *)context)->notified_count++;
}

static void on_hold(void *context, const struct hold *hold, bool expired)
{
	struct fixture *f = context;

	CU_ASSERT_TRUE_FATAL(f->woken_count < SEEN_MAX);
	f->woken[f->woken_count] = hold->opaque;
	f->expired[f->woken_count++] = expired;
}

/* One step of a snapshot under way, or the beginning of one that is due. */
static inline void fixture_snapshot_step(struct fixture *f)
{
	struct pagefile_flush_job pages;
	struct errinfo err;

	while (pagefile_take_flush(f->files, &pages)) {
		pagefile_flush_run(&pages);
		enum status status = pagefile_flush_done(f->files, &pages, &err);
		CU_ASSERT_FATAL(status == ST_OK || (f->full && status == ST_FULL));
		if (status != ST_OK)
			break;
	}
	snapshotter_step(f->snapshotter);
	struct snapshot_job *job = snapshotter_take(f->snapshotter);
	if (job != NULL) {
		snapshot_job_run(job);
		enum status status = snapshotter_done(f->snapshotter, &err);
		CU_ASSERT_FATAL(status == ST_OK || (f->full && status == ST_FULL));
	}
}

/* Lets the disk work: with `flush` until all is durable, else only what makes room. */
static inline void fixture_disk(struct fixture *f, bool flush)
{
	struct log_flush_job flush_job;
	struct log_prepare_job prepare;
	struct errinfo err;

	while (commitlog_take_prepare(f->log, &prepare)) {
		log_prepare_run(&prepare);
		enum status status = commitlog_prepare_done(f->log, &prepare, &err);
		CU_ASSERT_FATAL(status == ST_OK || (f->full && status == ST_FULL));
		if (status != ST_OK)
			break;
	}
	while (flush && commitlog_take_flush(f->log, true, &flush_job)) {
		log_flush_run(&flush_job);
		CU_ASSERT_EQUAL_FATAL(commitlog_flush_done(f->log, &flush_job, &err), ST_OK);
	}
	core_committed(f->core);
}

/* A whole snapshot, while nothing else happens. */
static inline void fixture_snapshot(struct fixture *f)
{
	uint64_t taken = snapshotter_stats(f->snapshotter).taken;

	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 10000 && (snapshotter_stats(f->snapshotter).taken == taken || snapshotter_busy(f->snapshotter)); i++) {
		fixture_snapshot_step(f);
		fixture_disk(f, true);
	}
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, taken + 1);
}

/* Without aborting: for stores that should be refused. */
static inline enum status fixture_try_open(struct fixture *f, struct errinfo *err)
{
	struct store_config config = {
		.log = { .root = f->root != NULL ? f->root : "/store", .cluster = "c", .segment_size = f->segment_size != 0 ? f->segment_size : 1024 * 1024,
			 .ring_size = f->ring_size != 0 ? f->ring_size : 512 * 1024, .prepare_chunk = 64 * 1024, .clock = &f->clock.clock },
		.index_cache_bytes = 512 * 1024,
	};
	struct core_effects effects = { f, on_ask, on_notify, on_hold, NULL, NULL, NULL };
	enum status status = store_open(&config, memdisk_vfs(f->disk), &f->store, err);

	f->log = f->store.log;
	f->files = f->store.files;
	if (status != ST_OK)
		return status;
	status = core_open(&f->config, &f->store, f->clock.wall_now_ms, f->clock.mono_now_ms, &effects, &f->core, err);
	if (status != ST_OK) {
		CU_ASSERT_EQUAL(store_close(&f->store, false, NULL), ST_OK);
		return status;
	}
	store_loaded(&f->store);
	f->snapshotter = snapshotter_create(f->core, &f->store);
	CU_ASSERT_PTR_NOT_NULL_FATAL(f->snapshotter);
	pagefile_set_read_inline(f->files, true);
	fixture_disk(f, true);
	return ST_OK;
}

static inline void fixture_open(struct fixture *f)
{
	struct errinfo err = { ST_OK, "" };

	if (fixture_try_open(f, &err) != ST_OK) {
		fprintf(stderr, "open: %s\n", err.text);
		abort();
	}
}

static inline void fixture_close(struct fixture *f)
{
	snapshotter_destroy(f->snapshotter);
	core_close(f->core);
	CU_ASSERT_EQUAL(store_close(&f->store, false, NULL), ST_OK);
}

static inline struct core_config fixture_config(void)
{
	struct core_config config = {
		.cluster_name = "c", .broker_name = "a", .store_ipv4 = 0x7F000001, .store_port = 10911, .sync_flush = true,
		.auto_create_topic = true, .auto_create_group = true, .long_polling = true, .property_filter = true, .default_topic_queue_nums = 4,
		.max_message_size = 16 * 1024, .young_queue_bytes = 8 * 1024, .offset_flush_interval_ms = 500,
		.pending_max = 1000, .pending_group_max = 1000, .resend_window_count = 1000, .delayed_max = 1000,
		.timers = true, .timer_max_delay_ms = 259200000, .recall = true,
		.topic_max = 100, .group_max = 100, .name_max = 1000, .offset_row_max = 1000, .member_max = 100, .hold_max = 100, .pop_max = 1000, .lock_max = 100, .flow_max = 100,
		.checkback = checkback_config_default(),
	};

	config.checkback.check_max = 3;
	CU_ASSERT_EQUAL(core_config_set_delay_levels(&config, "1s 5s 10s 20s", NULL), ST_OK);
	return config;
}

static inline struct fixture *fixture_create(const struct core_config *config)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->disk = memdisk_create();
	f->config = config != NULL ? *config : fixture_config();
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

static inline void fixture_destroy(struct fixture *f)
{
	fixture_close(f);
	memdisk_destroy(f->disk);
	free(f);
}

/* The power goes: what is not durable may be gone, all of it is with this disk's help. */
static inline void fixture_restart(struct fixture *f)
{
	memdisk_crash(f->disk, 1);
	fixture_close(f);
	f->asked_count = f->woken_count = 0;
	fixture_open(f);
}

static inline void fixture_advance(struct fixture *f, int64_t by_ms)
{
	for (; by_ms > 0; by_ms -= 10) {
		clock_manual_advance(&f->clock, 10);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		core_tick(f->core);
		fixture_disk(f, true);
	}
}

/* --- requests ---------------------------------------------------------------------------------------------- */

struct sent {
	const char *topic, *key, *tag;
	int32_t queue_id;
	int64_t delay_level;
	bool half;
	const char *group;      /* NULL: "producers". */
	int64_t immunity_s;     /* 0: none asked for. */
	const char *more;       /* Further properties, as they stand in a message. */
};

static inline enum status fixture_send(struct fixture *f, struct sent sent, struct send_result *result, struct outcome *outcome)
{
	struct buffer properties;

	buffer_init(&properties, 0);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(sent.key));
	if (sent.tag != NULL)
		property_put(&properties, PROPERTY_TAGS, span_of(sent.tag));
	if (sent.half)
		property_put(&properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
	if (sent.delay_level > 0)
		property_put_i64(&properties, PROPERTY_DELAY, sent.delay_level);
	if (sent.immunity_s > 0)
		property_put_i64(&properties, PROPERTY_CHECK_IMMUNITY, sent.immunity_s);
	if (sent.more != NULL)
		buffer_append_text(&properties, sent.more);
	struct send_request request = {
		.producer_group = span_of(sent.group == NULL ? "producers" : sent.group), .topic = span_of(sent.topic),
		.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4, .queue_id = sent.queue_id,
		.born_timestamp = 42, .born_host = host_ipv4(0x0A000001, 4711), .properties = buffer_span(&properties),
		.body = span_of(sent.key), .max_reconsume_times = -1, .conn_id = PRODUCER, .client_id = SPAN_LITERAL("10.0.0.1@1"),
	};
	*result = (struct send_result){ 0 };
	*outcome = (struct outcome){ 0 };
	enum status status = core_send(f->core, &request, result, outcome);
	buffer_deinit(&properties);
	return status;
}

/* A send that must succeed. */
static inline struct send_result must_send(struct fixture *f, struct sent sent)
{
	struct send_result result;
	struct outcome outcome;
	enum status status = fixture_send(f, sent, &result, &outcome);

	if (status != ST_OK)
		printf("send %s: %s\n", sent.key, outcome.err.text);
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	return result;
}

static inline enum status fixture_end(struct fixture *f, const struct send_result *half, enum record_outcome asked,
				      bool from_check, struct outcome *outcome)
{
	struct end_request request = {
		.group = SPAN_LITERAL("producers"), .half_queue_offset = half->queue_offset, .half_offset = half->log_offset,
		.outcome = asked, .from_check = from_check, .conn_id = PRODUCER, .client_id = SPAN_LITERAL("10.0.0.1@1"),
	};

	*outcome = (struct outcome){ 0 };
	return core_end_transaction(f->core, &request, outcome);
}

struct pulled {
	struct pull_result result;
	struct message messages[SEEN_MAX];
	size_t count;
	struct buffer bytes;
};

static inline struct pull_request pull_of(const struct fixture *f, const char *topic, uint32_t queue_id, uint64_t offset,
				   const char *tags)
{
	const struct topic *known = topics_find(core_topics(f->core), span_of(topic));
	struct pull_request request = { .queue_id = queue_id, .offset = offset, .message_max = 32, .bytes_max = PULL_BYTES_MAX };

	CU_ASSERT_PTR_NOT_NULL_FATAL(known);
	request.topic_id = known->id;
	CU_ASSERT_EQUAL(tag_filter_parse(span_of(tags), &request.filter, NULL), ST_OK);
	return request;
}

/* Pulls into `out`, which must be zeroed or used before; the last one is freed with pulled_free. */
static inline size_t fixture_pull(struct fixture *f, const char *topic, uint32_t queue_id, uint64_t offset, const char *tags,
			   struct pulled *out)
{
	struct pull_request request = pull_of(f, topic, queue_id, offset, tags);
	struct outcome outcome;

	buffer_deinit(&out->bytes);
	buffer_init(&out->bytes, 0);
	out->count = 0;
	CU_ASSERT_EQUAL_FATAL(core_pull(f->core, &request, &out->result, &outcome), ST_OK);
	core_pull_copy(f->core, &out->result, &out->bytes);
	struct span rest = buffer_span(&out->bytes);
	while (out->count < SEEN_MAX && message_next(&rest, &out->messages[out->count], NULL) == ST_OK)
		out->count++;
	CU_ASSERT_EQUAL(out->count, out->result.item_count);
	return out->count;
}

static inline void pulled_free(struct pulled *pulled)
{
	buffer_deinit(&pulled->bytes);
}

/* A heartbeat of a producer of "producers" or a consumer of "readers". */
static inline void fixture_heartbeat(struct fixture *f, bool producer)
{
	static const struct span group = SPAN_LITERAL("producers");
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("10.0.0.1@1") };
	struct outcome outcome = { 0 };

	if (producer) {
		heartbeat.producer_groups = &group;
		heartbeat.producer_count = 1;
	} else {
		heartbeat.consumers = &consumer;
		heartbeat.consumer_count = 1;
	}
	CU_ASSERT_EQUAL(core_heartbeat(f->core, producer ? PRODUCER : CONSUMER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	fixture_disk(f, true);
}

/* One message of 4,000 bytes in "bulk", and what follows from it: a step of the snapshot, a tick. */
static inline void fixture_store_bulk(struct fixture *f, int64_t advance_ms)
{
	static char body[4000];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { (const uint8_t *)body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_snapshot_step(f);
	clock_manual_advance(&f->clock, advance_ms);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	fixture_disk(f, true);
}

/* Where "readers" stand. -1: not known. */
static inline int64_t fixture_query_offset(struct fixture *f, const char *topic, int32_t queue_id, bool zero_if_unknown)
{
	struct outcome outcome = { 0 };
	int64_t offset = -9;

	if (core_query_offset(f->core, SPAN_LITERAL("readers"), span_of(topic), queue_id, zero_if_unknown, &offset, &outcome) == ST_OK)
		return offset;
	CU_ASSERT_EQUAL(outcome.code, RESP_QUERY_NOT_FOUND);
	return -1;
}

/* "readers" say where they stand in "t". */
static inline void fixture_update_offset(struct fixture *f, int32_t queue_id, int64_t offset, bool lasting,
					 struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), queue_id, offset, lasting, outcome),
			ST_OK);
}

#endif
