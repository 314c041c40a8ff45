#include "tests/sim/world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/store.h"
#include "lib/base/clock.h"
#include "lib/index/pagefile.h"
#include "lib/log/logreader.h"
#include "tests/support/check.h"

enum { WAITS_MAX = 100000, ASKS_MAX = 100000, TICK_MS = 10 };

struct wait {
	uint64_t wait_offset;
	world_acked acked;
	void *context;
	uint64_t tag;
};

struct world {
	struct memdisk *disk;
	struct commitlog *log;
	struct pagefile *files;
	struct core *core;
	struct clock_manual clock;
	uint64_t *random;
	bool sync_flush;
	bool flush_out, prepare_out;
	struct log_flush_job flush;
	struct log_prepare_job prepare;
	struct wait waits[WAITS_MAX];
	size_t wait_count;
	struct world_ask asks[ASKS_MAX];
	size_t ask_head, ask_count;
	uint32_t crash_count;
};

static void die(const char *what, const struct errinfo *err)
{
	fprintf(stderr, "sim: %s: %s\n", what, err->text);
	abort();
}

/* --- effects ---------------------------------------------------------------------------------------------- */

static bool on_ask(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset)
{
	struct world *w = context;

	if (w->ask_count == ASKS_MAX)
		return false;
	w->asks[w->ask_count++] = (struct world_ask){ conn_id, half_queue_offset, half_offset };
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

bool world_take_ask(struct world *w, struct world_ask *out)
{
	if (w->ask_head == w->ask_count) {
		w->ask_head = w->ask_count = 0;
		return false;
	}
	*out = w->asks[w->ask_head++];
	return true;
}

/* --- life --------------------------------------------------------------------------------------------------- */

static void open_broker(struct world *w)
{
	struct commitlog_config log_config = { .root = "/store", .cluster = "sim", .segment_size = 256 * 1024,
					       .ring_size = 128 * 1024, .prepare_chunk = 64 * 1024, .clock = &w->clock.clock };
	struct pagefile_config files_config = { .path = "/store/index.pages", .cache_bytes = 512 * 1024, .read_inline = true };
	struct core_effects effects = { w, on_ask, on_notify, on_hold, NULL };
	struct core_config config = {
		.cluster_name = "sim", .broker_name = "sim-a", .store_ipv4 = 0x7F000001, .store_port = 10911,
		.sync_flush = w->sync_flush, .auto_create_topic = true, .auto_create_group = true, .long_polling = true,
		.default_topic_queue_nums = 4, .max_message_size = 16 * 1024, .young_queue_bytes = 1 << 20,
		.offset_flush_interval_ms = 500, .pending_max = 100000, .pending_group_max = 100000,
		.resend_window_count = 100000, .delayed_max = 10000, .topic_max = 1000, .group_max = 1000, .name_max = 10000,
		.offset_row_max = 10000,
		.member_max = 10000, .hold_max = 1000, .checkback = checkback_config_default(),
	};
	struct errinfo err;

	config.checkback.check_max = 4;
	if (core_config_set_delay_levels(&config, "1s 5s 10s", &err) != ST_OK ||
	    commitlog_open(&log_config, memdisk_vfs(w->disk), &w->log, &err) != ST_OK ||
	    pagefile_open(&files_config, memdisk_vfs(w->disk), &w->files, &err) != ST_OK ||
	    core_open(&config, &(struct store){ .log = w->log, .files = w->files }, w->clock.wall_now_ms, w->clock.mono_now_ms, &effects, &w->core, &err) != ST_OK)
		die("open", &err);
	pagefile_set_read_inline(w->files, true);
	w->flush_out = w->prepare_out = false;
	w->wait_count = 0;
	w->ask_head = w->ask_count = 0;
}

static void close_broker(struct world *w)
{
	struct errinfo err;

	core_close(w->core);
	pagefile_close(w->files);
	if (commitlog_close(w->log, false, &err) != ST_OK)
		die("close", &err);
}

struct world *world_create(uint64_t *random_state, bool sync_flush)
{
	struct world *w = calloc(1, sizeof(*w));

	if (w == NULL)
		abort();
	w->random = random_state;
	w->sync_flush = sync_flush;
	w->disk = memdisk_create();
	clock_manual_init(&w->clock, 1700000000000, 1000);
	open_broker(w);
	return w;
}

void world_destroy(struct world *w)
{
	close_broker(w);
	memdisk_destroy(w->disk);
	free(w);
}

void world_crash(struct world *w, bool kill)
{
	uint64_t seed = check_random(w->random);

	/* A job on its way may have reached the disk in part: run it, or not, before the lights go out. */
	if (w->flush_out && seed % 3 == 0)
		log_flush_run(&w->flush);
	if (w->prepare_out && seed % 5 == 0)
		log_prepare_run(&w->prepare);
	if (kill)
		memdisk_kill(w->disk);
	else
		memdisk_crash(w->disk, seed);
	close_broker(w);
	w->crash_count++;
	clock_manual_advance(&w->clock, (int64_t)(check_random(w->random) % 20000));
	open_broker(w);
}

uint32_t world_crash_count(const struct world *w)
{
	return w->crash_count;
}

struct core *world_core(struct world *w)
{
	return w->core;
}

int64_t world_now_ms(const struct world *w)
{
	return w->clock.mono_now_ms;
}

const struct vfs *world_vfs(struct world *w)
{
	return memdisk_vfs(w->disk);
}

/* --- disk work and answers ------------------------------------------------------------------------------------- */

static void release(struct world *w)
{
	uint64_t committed = core_committed_offset(w->core);
	size_t kept = 0;

	core_committed(w->core);
	for (size_t i = 0; i < w->wait_count; i++) {
		if (w->waits[i].wait_offset <= committed)
			w->waits[i].acked(w->waits[i].context, w->waits[i].tag);
		else
			w->waits[kept++] = w->waits[i];
	}
	w->wait_count = kept;
}

void world_wait(struct world *w, uint64_t wait_offset, world_acked acked, void *context, uint64_t tag)
{
	if (wait_offset <= core_committed_offset(w->core)) {
		acked(context, tag);
		return;
	}
	if (w->wait_count == WAITS_MAX)
		abort();
	w->waits[w->wait_count++] = (struct wait){ wait_offset, acked, context, tag };
}

/* One step of disk work. False: nothing to do. */
static bool disk_step(struct world *w)
{
	struct errinfo err;

	if (w->flush_out) {
		log_flush_run(&w->flush);
		w->flush_out = false;
		if (commitlog_flush_done(w->log, &w->flush, &err) != ST_OK)
			die("flush", &err);
		release(w);
		return true;
	}
	if (w->prepare_out) {
		log_prepare_run(&w->prepare);
		w->prepare_out = false;
		if (commitlog_prepare_done(w->log, &w->prepare, &err) != ST_OK)
			die("prepare", &err);
		return true;
	}
	w->flush_out = commitlog_take_flush(w->log, w->sync_flush || check_random(w->random) % 4 == 0, &w->flush);
	if (!w->flush_out)
		w->prepare_out = commitlog_take_prepare(w->log, &w->prepare);
	return w->flush_out || w->prepare_out;
}

static void index_step(struct world *w)
{
	struct pagefile_flush_job job;
	struct errinfo err;

	if (!pagefile_take_flush(w->files, &job))
		return;
	pagefile_flush_run(&job);
	if (pagefile_flush_done(w->files, &job, &err) != ST_OK)
		die("index", &err);
}

void world_advance(struct world *w, int64_t by_ms)
{
	for (int64_t passed = 0; passed < by_ms; passed += TICK_MS) {
		clock_manual_advance(&w->clock, TICK_MS);
		core_set_time(w->core, w->clock.wall_now_ms, w->clock.mono_now_ms);
		core_tick(w->core);
		for (uint64_t steps = check_random(w->random) % 4; steps > 0 && disk_step(w); steps--)
			;
		index_step(w);
	}
}

void world_settle(struct world *w)
{
	while (commitlog_durable(w->log) < commitlog_appended(w->log) || w->flush_out)
		disk_step(w);
}

void world_count_kinds(struct world *w, uint64_t *counts)
{
	struct logreader *reader;
	struct log_record record;
	struct errinfo err;

	world_settle(w);
	if (logreader_open(memdisk_vfs(w->disk), "/store", 0, &reader, &err) != ST_OK)
		die("read the log", &err);
	while (logreader_next(reader, commitlog_durable(w->log), &record, &err) == ST_OK) {
		if (record.kind < LOG_KIND_END)
			counts[record.kind]++;
	}
	logreader_close(reader);
}
