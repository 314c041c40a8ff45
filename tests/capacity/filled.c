#include "tests/capacity/filled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker/core/core.h"
#include "broker/core/store.h"
#include "broker/core/produce.h"
#include "broker/core/progress.h"
#include "broker/core/settings.h"
#include "broker/core/snapshot.h"
#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "lib/base/clock.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/log/commitlog.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"

/* About what a busy broker takes in meanwhile. */
enum { COMMITTED_EVERY = 1000, SNAPSHOT_STEP_EVERY = 100, PERM_READ_WRITE = 6, ROOM_FOR_OFFSET = 4096,
       PREPARE_AHEAD = 64 * 1024 * 1024 };

struct filled {
	struct store store;
	struct core *core;
	struct snapshotter *snapshotter;
	uint64_t message_count, half_count;
	uint8_t body[FILLED_BODY_BYTES];
};

static void die(const char *what, const struct errinfo *err)
{
	fprintf(stderr, "capacity: %s: %s\n", what, err->text);
	exit(2);
}

/* --- life ---------------------------------------------------------------------------------------------- */

static bool on_ask(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	(void)context;
	(void)conn_id;
	(void)half_queue_offset;
	(void)half_offset;
	return false;
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

struct filled_options filled_as_broker(void)
{
	return (struct filled_options){ .index_cache_bytes = 32 << 20, .snapshot_bytes = 256 << 20 };
}

struct filled_options filled_alone(void)
{
	return (struct filled_options){ .index_cache_bytes = PAGEFILE_CACHE_MIN };
}

static void open_parts(struct filled *f, const char *dir, struct filled_options options)
{
	struct store_config store_config = { .log = { .root = dir, .cluster = FILLED_CLUSTER },
					     .index_cache_bytes = options.index_cache_bytes };
	struct core_effects effects = { f, on_ask, on_notify, on_hold, NULL, NULL, NULL };
	struct core_config config = {
		.cluster_name = FILLED_CLUSTER, .broker_name = "capacity", .store_ipv4 = 0x7F000001, .store_port = 10911,
		.auto_create_topic = true, .auto_create_group = true, .default_topic_queue_nums = FILLED_QUEUES,
		.max_message_size = 4 * 1024 * 1024, .young_queue_bytes = 1 << 30, .offset_flush_interval_ms = 500,
		.snapshot_bytes = options.snapshot_bytes, .segment_bytes = 1 << 30,
		.pending_max = UINT32_MAX, .pending_group_max = UINT32_MAX, .resend_window_count = 400000,
		.delayed_max = 1000,
		.timers = true, .timer_max_delay_ms = 259200000, .recall = true, .topic_max = 1000000, .group_max = 1000000, .name_max = 4000000,
		.offset_row_max = 1000000, .member_max = 1000, .hold_max = 1000, .pop_max = 1000, .lock_max = 1000, .flow_max = 100, .checkback = checkback_config_default(),
	};
	struct errinfo err;

	if (core_config_set_delay_levels(&config, "1s", &err) != ST_OK ||
	    store_open(&store_config, vfs_posix(), &f->store, &err) != ST_OK ||
	    core_open(&config, &f->store, clock_wall_ms(clock_system()), clock_mono_ms(clock_system()), &effects, &f->core,
		      &err) != ST_OK)
		die(dir, &err);
	store_loaded(&f->store);
	pagefile_set_read_inline(f->store.files, true);
	f->snapshotter = snapshotter_create(f->core, &f->store);
	if (f->snapshotter == NULL)
		abort();
}

/* --- disk ---------------------------------------------------------------------------------------------- */

static void flush(struct filled *f, bool sync)
{
	struct log_flush_job job;
	struct errinfo err;

	while (commitlog_take_flush(f->store.log, sync, &job)) {
		log_flush_run(&job);
		if (commitlog_flush_done(f->store.log, &job, &err) != ST_OK)
			die("write the log", &err);
	}
	core_committed(f->core);
}

/* One step of a snapshot, if one is due or under way, and the index pages that it waits for. */
static void work_on_snapshot(struct filled *f)
{
	struct pagefile_flush_job pages;
	struct errinfo err;

	snapshotter_step(f->snapshotter);
	struct snapshot_job *job = snapshotter_take(f->snapshotter);
	if (job != NULL) {
		snapshot_job_run(job);
		if (snapshotter_done(f->snapshotter, &err) != ST_OK)
			die("take a snapshot", &err);
	}
	if (!pagefile_take_flush(f->store.files, &pages))
		return;
	pagefile_flush_run(&pages);
	if (pagefile_flush_done(f->store.files, &pages, &err) != ST_OK)
		die("write the index", &err);
}

/* The log had no room: writes what there is, and prepares what comes. */
static void make_room(struct filled *f)
{
	struct log_prepare_job job;
	struct errinfo err;

	flush(f, true);
	uint64_t wanted = PREPARE_AHEAD + core_reserved_bytes(f->core);
	while (commitlog_prepared_ahead(f->store.log) < wanted && commitlog_take_prepare(f->store.log, &job)) {
		log_prepare_run(&job);
		if (commitlog_prepare_done(f->store.log, &job, &err) != ST_OK)
			die("prepare the log", &err);
	}
}

static void retry_or_die(struct filled *f, enum status status, const struct outcome *outcome, const char *what)
{
	if (status != ST_AGAIN)
		die(what, &outcome->err);
	make_room(f);
}

static void put_topic(struct filled *f, struct span name, uint32_t queues)
{
	struct topic_settings settings = { .read_queue_nums = queues, .write_queue_nums = queues, .perm = PERM_READ_WRITE };
	struct outcome outcome = { 0 };
	enum status status;

	while ((status = core_put_topic(f->core, name, &settings, &outcome)) != ST_OK)
		retry_or_die(f, status, &outcome, "make a topic");
}

struct filled *filled_open(const char *dir, struct filled_options options)
{
	struct filled *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	memset(f->body, 'b', sizeof(f->body));
	open_parts(f, dir, options);
	put_topic(f, SPAN_LITERAL("capacity"), FILLED_QUEUES);
	flush(f, true);
	return f;
}

void filled_close(struct filled *f)
{
	struct errinfo err;

	flush(f, true);
	snapshotter_destroy(f->snapshotter);
	core_close(f->core);
	if (store_close(&f->store, false, &err) != ST_OK)
		die("close the log", &err);
	free(f);
}

/* --- content -------------------------------------------------------------------------------------------- */

static void send_one(struct filled *f, struct span topic, int32_t queue_id, char kind, uint64_t number)
{
	char key[33];
	struct buffer properties;
	struct send_result result;
	struct outcome outcome = { 0 };
	enum status status;

	snprintf(key, sizeof(key), "%c%031llu", kind, (unsigned long long)number);
	buffer_init(&properties, 1024);
	property_put(&properties, PROPERTY_UNIQ_KEY, span_of(key));
	if (kind == 'h')
		property_put(&properties, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
	struct send_request request = {
		.producer_group = SPAN_LITERAL("capacity-producers"), .topic = topic, .default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = FILLED_QUEUES, .queue_id = queue_id, .born_timestamp = 1700000000000,
		.born_host = host_ipv4(0x7F000001, 4711), .properties = buffer_span(&properties),
		.body = { f->body, sizeof(f->body) }, .max_reconsume_times = -1, .client_id = SPAN_LITERAL("127.0.0.1@1"),
	};
	while ((status = core_send(f->core, &request, &result, &outcome)) != ST_OK)
		retry_or_die(f, status, &outcome, "send");
	buffer_deinit(&properties);
}

static void add(struct filled *f, char kind, uint64_t *number, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++, ++*number) {
		if (i % COMMITTED_EVERY == 0) {
			core_set_time(f->core, clock_wall_ms(clock_system()), clock_mono_ms(clock_system()));
			flush(f, false);
		}
		if (i % SNAPSHOT_STEP_EVERY == 0)
			work_on_snapshot(f);
		send_one(f, SPAN_LITERAL("capacity"), (int32_t)(*number % FILLED_QUEUES), kind, *number);
	}
	flush(f, true);
}

void filled_add_messages(struct filled *f, uint64_t count)
{
	add(f, 'm', &f->message_count, count);
}

void filled_add_halves(struct filled *f, uint64_t count)
{
	add(f, 'h', &f->half_count, count);
}

static struct span topic_name(char name[32], uint32_t number)
{
	snprintf(name, 32, "capacity-topic-%06u", number);
	return span_of(name);
}

void filled_add_topics(struct filled *f, uint32_t first, uint32_t count, uint32_t queues)
{
	char name[32];

	for (uint32_t i = first; i < first + count; i++)
		put_topic(f, topic_name(name, i), queues);
	flush(f, true);
}

void filled_use_queues(struct filled *f, uint32_t first, uint32_t count, uint32_t queues)
{
	char name[32];

	for (uint32_t i = first; i < first + count; i++) {
		struct span topic = topic_name(name, i);

		for (uint32_t queue = 0; queue < queues; queue++)
			send_one(f, topic, (int32_t)queue, 'm', f->message_count++);
		flush(f, false);
	}
	flush(f, true);
}

static struct span make_group(struct filled *f, char name[32], uint32_t number)
{
	struct group_config settings = group_config_default();
	struct outcome outcome = { 0 };
	enum status status;

	snprintf(name, 32, "capacity-group-%06u", number);
	while ((status = core_put_group(f->core, span_of(name), &settings, &outcome)) != ST_OK)
		retry_or_die(f, status, &outcome, "make a group");
	return span_of(name);
}

void filled_add_offsets(struct filled *f, uint32_t groups, uint32_t first_topic, uint32_t topics)
{
	char topic[32], name[32];

	for (uint32_t g = 0; g < groups; g++) {
		struct span group = make_group(f, name, g);

		for (uint32_t t = first_topic; t < first_topic + topics; t++) {
			struct outcome outcome = { 0 };

			if (commitlog_room(f->store.log) < ROOM_FOR_OFFSET)
				make_room(f);
			if (core_update_offset(f->core, group, topic_name(topic, t), 0, 1, true, &outcome) != ST_OK)
				die("store an offset", &outcome.err);
		}
	}
	flush(f, true);
}

uint64_t filled_log_bytes(const struct filled *f)
{
	return commitlog_appended(f->store.log) - commitlog_start(f->store.log);
}

uint64_t filled_tail_bytes(const struct filled *f)
{
	uint64_t from = snapshotter_stats(f->snapshotter).last_from;

	return from == 0 ? filled_log_bytes(f) : commitlog_appended(f->store.log) - from;
}

double filled_cpu_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

double filled_longest_slice_ns(const struct filled *f)
{
	struct snapshot_cursor cursor = { 0 };
	struct buffer out;
	double longest = 0;
	bool more = true;

	buffer_init(&out, 0);
	while (more) {
		double begun = filled_cpu_ns();
		buffer_reset(&out);
		more = snapshot_slice(f->core, &cursor, &out);
		double took = filled_cpu_ns() - begun;
		if (took > longest)
			longest = took;
	}
	buffer_deinit(&out);
	return longest;
}
