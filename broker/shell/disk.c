#include "broker/shell/disk.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "lib/base/logging.h"
#include "lib/base/owner.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/log/commitlog.h"
#include "lib/net/worker.h"

/* Zero-filling competes with the flusher for the disk: so far ahead of what is set aside it goes at once, further only while the
 * log rests. */
enum { PREPARE_AHEAD = 128 * 1024 * 1024, REST_MS = 200 };
enum { SYNC_INTERVAL_MS = 500, SPACE_INTERVAL_MS = 1000, SMALL_DISK_PARTS = 16, LAST_BYTES = 128 * 1024, FULL_PAUSE_MS = 1000, WARM_MAX = 64, WARM_BYTES_MAX = 32 * 1024 * 1024 };

/* One job of each kind is under way at most, except reads. */
struct flush_work {
	struct work work;
	struct log_flush_job job;
	bool out;
};
struct prepare_work {
	struct work work;
	struct log_prepare_job job;
	bool out;
};
struct index_flush_work {
	struct work work;
	struct pagefile_flush_job job;
	bool out;
};
struct snapshot_work {
	struct work work;
	struct snapshot_job *job;
	bool out;
};
struct space_work {
	struct work work;
	char path[512];
	uint64_t free_bytes, total_bytes; /* 0: not known. */
	bool out;
};
struct index_read_work {
	struct work work;
	struct pagefile_read_job job;
	bool out;
};

struct disk {
	struct commitlog *log;
	struct pagefile *files;
	struct disk_callbacks callbacks;
	bool sync;
	struct worker *flusher, *housekeeper, *reader;
	struct flush_work flush;
	struct prepare_work prepare;
	struct index_flush_work index_flush;
	struct index_read_work index_read;
	struct disk_limits limits;
	struct snapshotter *snapshotter;
	struct snapshot_work snapshot;
	struct space_work space;
	int64_t next_space_ms;
	uint64_t free_bytes, total_bytes;
	uint64_t reserved_bytes; /* Of prepared log, not for new messages. */
	bool prepare_full;     /* The last try to prepare the log found no space. */
	int64_t index_after_ms;
	int64_t now_ms, last_sync_ms, last_flush_ms, prepare_after_ms;
	uint32_t warm_count;
	struct log_gate full_gate, index_gate;
};

/* --- the log's tail ------------------------------------------------------------------------------------- */

static void flush_run(struct work *work)
{
	log_flush_run(&OWNER(struct flush_work, work, work)->job);
}

static void flush_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct flush_work, work, work), flush);
	struct errinfo err;

	disk->flush.out = false;
	if (commitlog_flush_done(disk->log, &disk->flush.job, &err) != ST_OK)
		disk->callbacks.failed(disk->callbacks.context, &err);
	else
		disk->callbacks.flushed(disk->callbacks.context);
}

static void start_flush(struct disk *disk)
{
	bool sync = disk->sync || disk->now_ms - disk->last_sync_ms >= SYNC_INTERVAL_MS;

	if (disk->flush.out || !commitlog_take_flush(disk->log, sync, &disk->flush.job))
		return;
	disk->last_flush_ms = disk->now_ms;
	if (sync)
		disk->last_sync_ms = disk->now_ms;
	disk->flush.out = true;
	worker_submit(disk->flusher, &disk->flush.work);
}

/* --- ahead and behind ------------------------------------------------------------------------------------- */

static void prepare_run(struct work *work)
{
	log_prepare_run(&OWNER(struct prepare_work, work, work)->job);
}

static void prepare_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct prepare_work, work, work), prepare);
	struct errinfo err;
	enum status status = commitlog_prepare_done(disk->log, &disk->prepare.job, &err);

	disk->prepare.out = false;
	bool took = disk->prepare.job.what == LOG_PREPARE_FILL || disk->prepare.job.what == LOG_PREPARE_CREATE;

	if (took && status == ST_OK) /* Until the next look. */
		disk->free_bytes -= disk->prepare.job.size < disk->free_bytes ? disk->prepare.job.size : disk->free_bytes;
	disk->prepare_full = status == ST_FULL || (disk->prepare_full && !took);
	if (status == ST_FULL) {
		uint32_t suppressed;
		if (log_gate_pass(&disk->full_gate, disk->now_ms, &suppressed))
			log_error("log", "no space to prepare the log", "reason=\"%s\" suppressed=%u", err.text, suppressed);
		disk->prepare_after_ms = disk->now_ms + FULL_PAUSE_MS;
	} else if (status != ST_OK) {
		disk->callbacks.failed(disk->callbacks.context, &err);
	}
}

static void index_flush_run(struct work *work)
{
	pagefile_flush_run(&OWNER(struct index_flush_work, work, work)->job);
}

static void index_failed(struct disk *disk, const struct errinfo *err)
{
	uint32_t suppressed;

	if (log_gate_pass(&disk->index_gate, disk->now_ms, &suppressed))
		log_error("index", "write behind failed, trying again", "reason=\"%s\" suppressed=%u", err->text, suppressed);
	disk->index_after_ms = disk->now_ms + FULL_PAUSE_MS;
}

static void index_flush_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct index_flush_work, work, work), index_flush);
	struct errinfo err;

	disk->index_flush.out = false;
	if (pagefile_flush_done(disk->files, &disk->index_flush.job, &err) != ST_OK)
		index_failed(disk, &err);
}

/* --- snapshots and space -------------------------------------------------------------------------------------- */

static void snapshot_run(struct work *work)
{
	snapshot_job_run(OWNER(struct snapshot_work, work, work)->job);
}

static void snapshot_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct snapshot_work, work, work), snapshot);
	bool fatal = disk->snapshot.job->sync_failed;
	struct errinfo err;

	disk->snapshot.out = false;
	if (snapshotter_done(disk->snapshotter, &err) != ST_OK && fatal)
		disk->callbacks.failed(disk->callbacks.context, &err);
}

/* What is set aside of the log and is not prepared yet comes first. */
static uint64_t snapshot_room(const struct disk *disk)
{
	uint64_t ahead = commitlog_prepared_ahead(disk->log);
	uint64_t missing = ahead < disk->reserved_bytes ? disk->reserved_bytes - ahead : 0;

	if (disk->total_bytes == 0)
		return UINT64_MAX; /* Not known. */
	return disk->free_bytes > missing ? disk->free_bytes - missing : 0;
}

static void start_snapshot(struct disk *disk)
{
	if (disk->snapshot.out)
		return;
	snapshotter_set_room(disk->snapshotter, snapshot_room(disk));
	snapshotter_step(disk->snapshotter);
	disk->snapshot.job = snapshotter_take(disk->snapshotter);
	if (disk->snapshot.job == NULL)
		return;
	disk->snapshot.out = true;
	worker_submit(disk->housekeeper, &disk->snapshot.work);
}

static void space_run(struct work *work)
{
	struct space_work *space = OWNER(struct space_work, work, work);
	struct statvfs found;

	if (statvfs(space->path, &found) != 0)
		return; /* What was known stays. */
	space->free_bytes = (uint64_t)found.f_bavail * found.f_frsize;
	/* Not what is set aside for root. */
	space->total_bytes = (uint64_t)(found.f_blocks - found.f_bfree + found.f_bavail) * found.f_frsize;
}

static void space_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct space_work, work, work), space);

	disk->space.out = false;
	disk->free_bytes = disk->space.free_bytes;
	disk->total_bytes = disk->space.total_bytes;
}

static void start_space(struct disk *disk)
{
	if (disk->space.out || disk->now_ms < disk->next_space_ms)
		return;
	disk->next_space_ms = disk->now_ms + SPACE_INTERVAL_MS;
	disk->space.out = true;
	worker_submit(disk->housekeeper, &disk->space.work);
}

uint64_t disk_free_bytes(const struct disk *disk)
{
	return disk->free_bytes;
}

uint64_t disk_total_bytes(const struct disk *disk)
{
	return disk->total_bytes;
}

/* What the log leaves to index pages and snapshots; less on a small file system. */
static uint64_t free_min(const struct disk *disk)
{
	uint64_t most = disk->total_bytes / SMALL_DISK_PARTS;

	return disk->limits.free_min < most ? disk->limits.free_min : most;
}

/* The log may not be prepared any further. */
static bool is_short(const struct disk *disk)
{
	return disk->total_bytes > 0 && disk->free_bytes < free_min(disk) + DISK_PREPARE_CHUNK;
}

/* Or it cannot be: the last try found no space, and the next one is due in a second. */
bool disk_log_stands(const struct disk *disk)
{
	return disk->prepare_full || is_short(disk);
}

void disk_set_reserved(struct disk *disk, uint64_t bytes)
{
	disk->reserved_bytes = bytes;
}

enum disk_level disk_level(const struct disk *disk)
{
	uint64_t used = disk->total_bytes - disk->free_bytes;

	if (disk_log_stands(disk) && commitlog_prepared_ahead(disk->log) < disk->reserved_bytes + LAST_BYTES)
		return DISK_FULL;
	if (disk_log_stands(disk) || used / 100 * 100 > disk->total_bytes / 100 * disk->limits.warn_percent)
		return DISK_LOW;
	return DISK_OK;
}

static void start_housekeeping(struct disk *disk)
{
	bool wanted = commitlog_prepared_ahead(disk->log) < PREPARE_AHEAD + disk->reserved_bytes || disk->now_ms - disk->last_flush_ms >= REST_MS;

	commitlog_keep_spares(disk->log, !disk_log_stands(disk));
	/* Without space for more, what was given up may still be used again or removed. */
	wanted = wanted && (!is_short(disk) || commitlog_dropped(disk->log));
	if (wanted && !disk->prepare.out && disk->now_ms >= disk->prepare_after_ms &&
	    commitlog_take_prepare(disk->log, &disk->prepare.job)) {
		disk->prepare.out = true;
		worker_submit(disk->housekeeper, &disk->prepare.work);
	}
	if (!disk->index_flush.out && disk->now_ms >= disk->index_after_ms && pagefile_take_flush(disk->files, &disk->index_flush.job)) {
		disk->index_flush.out = true;
		worker_submit(disk->housekeeper, &disk->index_flush.work);
	}
}

/* --- reads -------------------------------------------------------------------------------------------------- */

static void index_read_run(struct work *work)
{
	pagefile_read_run(&OWNER(struct index_read_work, work, work)->job);
}

static void index_read_done(struct work *work)
{
	struct disk *disk = OWNER(struct disk, OWNER(struct index_read_work, work, work), index_read);
	struct errinfo err;

	disk->index_read.out = false;
	if (pagefile_read_done(disk->files, &disk->index_read.job, &err) != ST_OK)
		log_error("index", "read failed", "reason=\"%s\"", err.text);
	disk->callbacks.index_read(disk->callbacks.context);
}

static void start_index_read(struct disk *disk)
{
	if (disk->index_read.out || !pagefile_take_read(disk->files, &disk->index_read.job))
		return;
	disk->index_read.out = true;
	worker_submit(disk->reader, &disk->index_read.work);
}

struct warm_work {
	struct work work;
	struct disk *disk;
	struct log_read_job job;
	void (*done)(void *context);
	void *context;
	uint8_t data[];
};

static void warm_run(struct work *work)
{
	log_read_run(&OWNER(struct warm_work, work, work)->job);
}

static void warm_done(struct work *work)
{
	struct warm_work *warm = OWNER(struct warm_work, work, work);

	warm->disk->warm_count--;
	commitlog_read_done(warm->disk->log, &warm->job);
	if (warm->job.result != ST_OK)
		log_error("log", "cold read failed", "reason=\"%s\"", warm->job.err.text);
	if (warm->done != NULL)
		warm->done(warm->context);
	free(warm);
}

/* `room`: bytes behind the job for what is read; 0: read ahead only. */
static enum status submit_warm(struct disk *disk, uint64_t offset, uint32_t size, size_t room, void (*done)(void *context),
			       void *context)
{
	if (disk->warm_count >= WARM_MAX || size == 0 || disk->reader == NULL)
		return ST_BUSY;
	struct warm_work *warm = malloc(sizeof(*warm) + room);
	if (warm == NULL)
		return ST_BUSY;
	warm->work = (struct work){ .run = warm_run, .done = warm_done };
	warm->disk = disk;
	warm->done = done;
	warm->context = context;
	if (commitlog_prepare_read(disk->log, offset, size, false, room > 0 ? warm->data : NULL, &warm->job, NULL) != ST_OK) {
		free(warm);
		return ST_BUSY;
	}
	disk->warm_count++;
	worker_submit(disk->reader, &warm->work);
	return ST_OK;
}

/* As much of that as one read can have. */
static uint32_t readable(const struct disk *disk, uint64_t offset, uint32_t size)
{
	uint64_t limit = commitlog_read_limit(disk->log, offset);

	return size > limit ? (uint32_t)limit : size;
}

enum status disk_warm(struct disk *disk, uint64_t offset, uint32_t size, void (*done)(void *context), void *context)
{
	size = readable(disk, offset, size > WARM_BYTES_MAX ? WARM_BYTES_MAX : size);
	return submit_warm(disk, offset, size, size, done, context);
}

void disk_read_ahead(struct disk *disk, uint64_t offset, uint32_t size)
{
	(void)(submit_warm(disk, offset, readable(disk, offset, size), 0, NULL, NULL) == ST_OK);
}

/* --- life ----------------------------------------------------------------------------------------------------- */

enum status disk_create(struct mailbox *mailbox, const struct store *store, struct snapshotter *snapshotter,
			const struct disk_limits *limits, bool sync, const struct disk_callbacks *callbacks, struct disk **out,
			struct errinfo *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (disk == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for the disk workers");
	disk->log = store->log;
	disk->files = store->files;
	disk->snapshotter = snapshotter;
	disk->limits = *limits;
	disk->sync = sync;
	disk->callbacks = *callbacks;
	disk->flush.work = (struct work){ .run = flush_run, .done = flush_done };
	disk->prepare.work = (struct work){ .run = prepare_run, .done = prepare_done };
	disk->index_flush.work = (struct work){ .run = index_flush_run, .done = index_flush_done };
	disk->snapshot.work = (struct work){ .run = snapshot_run, .done = snapshot_done };
	disk->space.work = (struct work){ .run = space_run, .done = space_done };
	snprintf(disk->space.path, sizeof(disk->space.path), "%s", store->root);
	disk->index_read.work = (struct work){ .run = index_read_run, .done = index_read_done };
	enum status status = worker_create("flusher", mailbox, &disk->flusher, err);
	if (status == ST_OK)
		status = worker_create("housekeeper", mailbox, &disk->housekeeper, err);
	if (status == ST_OK)
		status = worker_create("reader", mailbox, &disk->reader, err);
	if (status != ST_OK) {
		disk_stop(disk);
		disk_destroy(disk);
		return status;
	}
	*out = disk;
	return ST_OK;
}

void disk_turn_end(struct disk *disk, int64_t now_ms)
{
	disk->now_ms = now_ms;
	if (disk->flusher == NULL)
		return; /* Stopped: only the last reports are still coming in. */
	start_flush(disk);
	start_housekeeping(disk);
	start_index_read(disk);
	start_snapshot(disk);
	start_space(disk);
}

bool disk_idle(const struct disk *disk)
{
	return !disk->flush.out && !disk->prepare.out && !disk->index_flush.out && !disk->index_read.out && !disk->snapshot.out && !disk->space.out &&
	       disk->warm_count == 0;
}

void disk_stop(struct disk *disk)
{
	if (disk == NULL)
		return;
	worker_stop(disk->flusher);
	worker_stop(disk->housekeeper);
	worker_stop(disk->reader);
	disk->flusher = disk->housekeeper = disk->reader = NULL;
}

void disk_destroy(struct disk *disk)
{
	free(disk);
}
