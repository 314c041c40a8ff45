#include "tests/sim/broker_node.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "broker/shell/broker.h"
#include "lib/log/commitlog.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"
#include "tests/sim/drive.h"
#include "tests/sim/engine.h"
#include "tests/sim/model.h"
#include "tests/sim/net.h"
#include "tests/sim/report.h"
#include "tests/sim/settings.h"
#include "tests/sim/virtual.h"
#include "tests/support/memdisk.h"

enum { START_AGAIN_US = 500000, START_TRIES_MAX = 200 };

struct broker_node {
	int index;
	char name[16];
	char address[NET_ADDRESS_SIZE];
	struct process *process;
	struct drive *drive;
	struct broker_config config;
	struct broker *broker;      /* NULL: it does not run. */
	struct chance chance;
	uint32_t life;
	bool stopping;              /* SIGTERM was sent. */
	bool may_fail;              /* This start is to be cut off. */
	int failed_starts;
	int64_t again_after_us;
	bool trap_power;            /* How it is to die in its next write, and for how long. */
	int64_t trap_again_after_us;
	int64_t disturbed_until_us;
	uint64_t durable, written, appended; /* As last seen. */
	uint64_t start, start_max, appended_max; /* Of the log; as last seen, and as far as it ever was. */
};

static struct broker_node *nodes[BROKERS_MAX];
static int node_count;

/* --- who is who ------------------------------------------------------------------------------------------------------ */

int broker_node_count(void)
{
	return node_count;
}

struct broker_node *broker_node(int index)
{
	return nodes[index];
}

int broker_index_of_address(const char *address)
{
	for (int i = 0; i < node_count; i++) {
		if (strcmp(nodes[i]->address, address) == 0)
			return i;
	}
	return -1;
}

int broker_index_of_name(struct span name)
{
	for (int i = 0; i < node_count; i++) {
		if (span_is(name, nodes[i]->name))
			return i;
	}
	return -1;
}

struct process *broker_node_process(struct broker_node *node)
{
	return node->process;
}

struct drive *broker_node_drive(struct broker_node *node)
{
	return node->drive;
}

const char *broker_node_address(const struct broker_node *node)
{
	return node->address;
}

struct core *broker_node_core(struct broker_node *node)
{
	return node->broker == NULL ? NULL : broker_core(node->broker);
}

bool broker_node_serves(const struct broker_node *node)
{
	return node->broker != NULL && !node->stopping && node->process->paused_until_us <= engine_now_us();
}

uint64_t broker_node_committed(const struct broker_node *node)
{
	return node->broker == NULL ? 0 : core_committed_offset(broker_core(node->broker));
}

uint32_t broker_node_life(const struct broker_node *node)
{
	return node->life;
}

void broker_node_disturb(struct broker_node *node, int64_t until_us)
{
	if (until_us > node->disturbed_until_us)
		node->disturbed_until_us = until_us;
}

int64_t broker_node_disturbed_until(const struct broker_node *node)
{
	return node->disturbed_until_us;
}

uint64_t broker_node_log_start(const struct broker_node *node)
{
	return node->start;
}

uint64_t broker_node_log_start_max(const struct broker_node *node)
{
	return node->start_max;
}

uint64_t broker_node_log_end_max(const struct broker_node *node)
{
	return node->appended_max;
}

bool broker_node_let_go(const struct broker_node *node, uint64_t log_offset)
{
	uint64_t limit = (uint64_t)settings()->retention_bytes;

	return limit > 0 && log_offset + limit <= node->appended_max;
}

/* --- configuration ---------------------------------------------------------------------------------------------------- */

static void delay_levels_text(char *out, size_t size)
{
	size_t used = 0;

	/* RocketMQ's levels are whole seconds at least. */
	for (int i = 0; i < DELAY_LEVELS; i++)
		used += (size_t)snprintf(out + used, size - used, "%s%" PRId64 "s", i == 0 ? "" : " ",
					 (settings()->delay_level_ms[i] + 999) / 1000);
}

static void fill_config(struct broker_node *node, const char *name_servers)
{
	struct broker_config *config = &node->config;
	const struct settings *s = settings();

	config_init(broker_config_spec(), config);
	snprintf(config->broker_cluster_name, sizeof(config->broker_cluster_name), "sim");
	snprintf(config->broker_name, sizeof(config->broker_name), "%s", node->name);
	snprintf(config->broker_ip1, sizeof(config->broker_ip1), "%.*s", (int)strcspn(node->address, ":"), node->address);
	snprintf(config->namesrv_addr, sizeof(config->namesrv_addr), "%s", name_servers);
	snprintf(config->store_path_root_dir, sizeof(config->store_path_root_dir), ".");
	config->listen_port = BROKER_PORT;
	config->flush_disk_type = s->sync_flush ? FLUSH_SYNC : FLUSH_ASYNC;
	config->mapped_file_size_commit_log = s->segment_size;
	config->snapshot_interval_bytes = s->snapshot_bytes;
	config->file_reserved_time_h = 0; /* In hours: no seed lasts as long. */
	config->log_retention_bytes = s->retention_bytes;
	config->disk_free_min = 0;        /* The real disk below is no part of this. */
	config->disk_warning_ratio = 100;
	config->tail_ring_size = s->ring_size;
	config->index_cache_size = s->index_cache_size;
	config->max_message_size = 8 * 1024;
	config->default_topic_queue_nums = QUEUES_MAX;
	delay_levels_text(config->message_delay_level, sizeof(config->message_delay_level));
	config->transaction_timeout_ms = s->transaction_timeout_ms;
	config->transaction_check_interval_ms = s->check_interval_ms;
	config->transaction_check_answer_timeout_ms = s->answer_timeout_ms;
	config->transaction_check_max = s->check_max;
	config->transaction_undecided_policy = s->undecided_policy;
	config->resend_window_count = 20000;
	config->output_bytes_max = s->output_bytes_max;
	config->in_flight_max = 200;
	config->offset_flush_interval_ms = s->offset_flush_ms;
	config->register_interval_ms = 5000;
	config->oplog.enable = true;
	config->oplog.batch_max = s->oplog_batch_max;
	config->oplog.prepared_after_ms = s->prepared_after_ms;
	config->oplog.open_max = 1000;
	config->oplog.retry_max_ms = 3000;
}

/* --- life ------------------------------------------------------------------------------------------------------------ */

static void on_start(void *context)
{
	broker_node_start(context);
}

static void start_later(struct broker_node *node, int64_t after_us)
{
	if (after_us >= 0)
		engine_after(NULL, after_us, on_start, node);
}

/* The process is gone, its code has still to clean up behind itself: whatever it does reaches nothing any more. */
static void bury(struct broker_node *node)
{
	struct process *before;
	struct errinfo err;

	process_end(node->process);
	if (node->broker == NULL)
		return;
	before = process_switch(node->process);
	virtual_log_mute(true);
	(void)(broker_close(node->broker, &err) == ST_OK);
	virtual_log_mute(false);
	process_switch(before);
	node->broker = NULL;
}

static void die(struct broker_node *node, bool power)
{
	if (node->process->alive)
		virtual_workers_die(node->process);
	net_process_died(node->process, power);
	drive_cut(node->drive, power, chance_next(&node->chance));
	bury(node);
	node->process->off = power;
	node->stopping = false;
	report_current()->crash_count++;
}

void broker_node_kill(struct broker_node *node, bool power, int64_t again_after_us)
{
	bool cut = power && settings()->sync_flush;

	if (node->broker == NULL)
		return;
	note("%s: %s", node->name, cut ? "power cut" : "kill -9");
	fault_seen(cut ? FAULT_POWER_CUT : FAULT_KILL);
	/* How far jobs on their way get: mostly what they write is written, and not synced. */
	static const uint32_t steps[] = { 0, 1, 1, 1, 1, 1, 2, 3 };
	drive_let_die(node->drive, steps[chance_below(&node->chance, 8)]);
	die(node, cut);
	start_later(node, again_after_us);
}

static void on_write(void *context)
{
	struct broker_node *node = context;

	broker_node_kill(node, node->trap_power, node->trap_again_after_us);
}

void broker_node_kill_in_write(struct broker_node *node, bool power, int64_t again_after_us)
{
	if (node->broker == NULL)
		return;
	node->trap_power = power;
	node->trap_again_after_us = again_after_us;
	virtual_workers_trap(node->process, on_write, node);
}

void broker_node_cut_in_start(struct broker_node *node, uint32_t operations, int64_t again_after_us)
{
	if (node->broker == NULL)
		return;
	broker_node_kill(node, true, again_after_us);
	node->may_fail = true;
	drive_let_die(node->drive, operations);
}

/* An orderly end, or one after a failed disk: the loop was stopped from inside. */
static void on_loop_stopped(void *owner)
{
	struct broker_node *node = owner;
	bool ordered = node->stopping;
	struct process *before = process_switch(node->process);
	struct errinfo err;
	enum status status = broker_close(node->broker, &err);

	process_switch(before);
	node->broker = NULL;
	node->stopping = false;
	if (status != ST_OK && !drive_sync_failed(node->drive))
		violation("STOP", "%s ended with: %s", node->name, err.text);
	note("%s: ended%s%s", node->name, status == ST_OK ? "" : ": ", status == ST_OK ? "" : err.text);
	net_process_died(node->process, false);
	/* After a failed sync the machine may be taken down too, which shows what the disk really has. */
	bool power = !ordered && settings()->sync_flush && chance_one_in(&node->chance, 2);
	drive_cut(node->drive, power, chance_next(&node->chance));
	process_end(node->process);
	node->process->off = power;
	start_later(node, ordered ? node->again_after_us : START_AGAIN_US);
}

static void on_signal(void *context)
{
	struct broker_node *node = context;

	if (node->process->loop != NULL)
		virtual_loop_signal(node->process->loop);
}

void broker_node_stop(struct broker_node *node, int64_t again_after_us)
{
	if (node->broker == NULL || node->stopping)
		return;
	note("%s: SIGTERM", node->name);
	fault_seen(FAULT_STOP);
	node->stopping = true;
	node->again_after_us = again_after_us;
	engine_at(node->process, engine_now_us(), on_signal, node);
}

/* A start that did not succeed. There must be a reason for it. */
static void start_failed(struct broker_node *node, const struct errinfo *err)
{
	bool cut = node->may_fail;

	note("%s: start failed: %s", node->name, err->text);
	if (!cut && !drive_is_full(node->drive) && !drive_sync_failed(node->drive))
		violation("START", "%s does not start: %s", node->name, err->text);
	if (++node->failed_starts > START_TRIES_MAX)
		violation("START", "%s does not start after %d tries: %s", node->name, START_TRIES_MAX, err->text);
	if (cut) {
		fault_seen(FAULT_START_CUT);
		report_current()->crash_count++;
	}
	node->may_fail = false;
	net_process_died(node->process, cut);
	drive_cut(node->drive, cut && settings()->sync_flush, chance_next(&node->chance));
	process_end(node->process);
	start_later(node, START_AGAIN_US);
}

static void boot(struct process *process, struct chance *chance)
{
	if (process->off || process->life == 0)
		process->mono_ahead_ms = chance_between(chance, 1000, 100000) - engine_now_ms();
}

void broker_node_start(struct broker_node *node)
{
	struct errinfo err;

	if (node->broker != NULL || violated())
		return;
	boot(node->process, &node->chance);
	if (!node->may_fail)
		drive_revive(node->drive);
	process_begin(node->process);
	node->life++;
	model_broker_started(node->index);
	struct process *before = process_switch(node->process);
	enum status status = broker_open(&node->config, &node->broker, &err);
	process_switch(before);
	if (status != ST_OK) {
		node->broker = NULL;
		start_failed(node, &err);
		return;
	}
	/* It got through before the cut: the cut comes now. */
	if (node->may_fail) {
		node->may_fail = false;
		fault_seen(FAULT_START_CUT);
		die(node, settings()->sync_flush);
		start_later(node, START_AGAIN_US);
		return;
	}
	node->failed_starts = 0;
	node->durable = node->written = node->appended = 0;
	node->start = commitlog_start(broker_core(node->broker)->log);
	if (node->start > node->start_max)
		node->start_max = node->start;
	note("%s: serves", node->name);
}

struct broker_node *broker_node_create(int index, const char *name_servers)
{
	static const char *const names[BROKERS_MAX] = { "broker-a", "broker-b" };
	struct broker_node *node = calloc(1, sizeof(*node));

	if (node == NULL)
		abort();
	node->index = index;
	snprintf(node->name, sizeof(node->name), "%s", names[index]);
	node->process = engine_add_process(names[index]);
	node->process->owner = node;
	node->process->loop_stopped = on_loop_stopped;
	node->drive = drive_create();
	node->process->vfs = drive_vfs(node->drive);
	node->chance = chance_of(engine_seed(), CHANCE_DISK, (uint64_t)index, 0);
	net_address(node->process, BROKER_PORT, node->address);
	fill_config(node, name_servers);
	nodes[index] = node;
	node_count = index + 1;
	return node;
}

void broker_node_destroy(struct broker_node *node)
{
	if (node == NULL)
		return;
	if (node->broker != NULL) {
		net_process_died(node->process, false);
		drive_cut(node->drive, false, 0);
		bury(node);
	}
	drive_destroy(node->drive);
	nodes[node->index] = NULL;
	free(node);
}

/* --- looking --------------------------------------------------------------------------------------------------------- */

/* Behind its end a segment that was recycled holds what it held before. */
static enum status check_end(struct memdisk *disk, uint64_t end, struct errinfo *err)
{
	struct log_check_result check;
	enum status status = log_check(memdisk_vfs(disk), ".", &check, err);

	if (status == ST_OK && check.end != end)
		status = errinfo_set(err, ST_CORRUPT, "it ends at %" PRIu64 ", it can be read to %" PRIu64, check.end, end);
	return status;
}

static enum status read_all(struct memdisk *disk, broker_record_visit visit, void *context, struct errinfo *err)
{
	struct logreader *reader;
	struct log_record record;
	enum status status = logreader_open(memdisk_vfs(disk), ".", 0, &reader, err);

	if (status != ST_OK)
		return status;
	while ((status = logreader_next(reader, LOG_NO_LIMIT, &record, err)) == ST_OK)
		visit(context, &record);
	if (status == ST_CORRUPT && logreader_bad_record(reader) != NULL)
		status = check_end(disk, logreader_position(reader), err);
	logreader_close(reader);
	return status == ST_AGAIN ? ST_OK : status;
}

enum status broker_node_read_log(struct broker_node *node, broker_record_visit visit, void *context, struct errinfo *err)
{
	struct memdisk *whole = drive_whole(node->drive);
	enum status status = read_all(whole, visit, context, err);

	memdisk_destroy(whole);
	return status;
}

/* Only a log that is past its size is shortened, and not by more. */
static void check_start(struct broker_node *node, const struct commitlog *log)
{
	uint64_t start = commitlog_start(log), kept = commitlog_appended(log) - start;

	if (start == node->start)
		return;
	note("%s: the log begins at %" PRIu64, node->name, start);
	event_seen(SEEN_LOG_SHORTENED);
	if (start < node->start)
		violation("I6", "%s: the log began at %" PRIu64 ", now it begins at %" PRIu64, node->name, node->start, start);
	if (settings()->retention_bytes == 0 || kept + LOG_SEGMENT_HEADER_SIZE < (uint64_t)settings()->retention_bytes)
		violation("I6", "%s: the log begins at %" PRIu64 " now, %" PRIu64 " bytes are left", node->name, start, kept);
	node->start = start;
	if (start > node->start_max)
		node->start_max = start;
}

void broker_node_check(struct broker_node *node)
{
	if (node->broker == NULL)
		return;
	const struct commitlog *log = broker_core(node->broker)->log;
	uint64_t durable = commitlog_durable(log), written = commitlog_written(log), appended = commitlog_appended(log);

	if (durable > written || written > appended)
		violation("I1", "%s: durable %" PRIu64 ", written %" PRIu64 ", appended %" PRIu64, node->name, durable, written,
			  appended);
	if (durable < node->durable || written < node->written || appended < node->appended)
		violation("I1", "%s: a watermark of the log went back", node->name);
	if (appended > node->appended_max)
		node->appended_max = appended;
	check_start(node, log);
	node->durable = durable;
	node->written = written;
	node->appended = appended;
}
