#include "broker/core/snapshotter.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/snapshot.h"
#include "broker/core/state.h"
#include "broker/core/store.h"
#include "lib/base/logging.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/record/record_settings.h"

enum { RETRY_MS = 10 * 1000, SIZE_FACTOR = 2, GROWTH_PARTS = 5, OPEN_BYTES = 69, DELAYED_BYTES = 55 };

enum phase { PHASE_IDLE, PHASE_SLICES, PHASE_SETTLE, PHASE_FINISHING, PHASE_DISCARD };

struct snapshotter {
	struct core *core;
	const struct store *store;
	enum phase phase;
	bool job_out, wanted;
	struct snapshot_job job;
	struct snapshot_cursor cursor;
	uint32_t swept_pages;   /* In use when the sweep began. */
	uint64_t durable_needed; /* Position of the log at the last slice. */
	uint64_t generation;
	uint64_t newest_from, older_from; /* Those on the disk; 0: none. */
	int64_t not_before_ms;
	uint64_t rest_bytes;   /* Of the last one, besides what was open. */
	uint64_t room;         /* Bytes that one may take. */
	bool put_off;          /* It was said that one would not fit. */
	bool mark_due;
	struct snapshotter_stats stats;
};

/* The items of what is open: most of a large snapshot, and what changes most. */
static uint64_t open_bytes(const struct core *core)
{
	return OPEN_BYTES * (uint64_t)pending_count(core->pending) + DELAYED_BYTES * (uint64_t)core->delays.count;
}

static uint64_t less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

struct snapshotter *snapshotter_create(struct core *core, const struct store *store)
{
	struct snapshotter *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->core = core;
	s->store = store;
	s->generation = store->snapshot_generation;
	s->newest_from = store->snapshot_from;
	s->older_from = store->older_from;
	s->rest_bytes = less(store->snapshot_bytes, open_bytes(core));
	s->room = UINT64_MAX;
	s->wanted = store->rebuild_index; /* Until there is one that knows the new pages, each start would build them again. */
	core->retention.snapshot_pin = s->older_from;
	return s;
}

void snapshotter_destroy(struct snapshotter *s)
{
	if (s == NULL)
		return;
	snapshot_job_deinit(&s->job);
	free(s);
}

bool snapshotter_busy(const struct snapshotter *s)
{
	return s->phase != PHASE_IDLE || s->job_out || s->mark_due;
}

void snapshotter_want(struct snapshotter *s)
{
	s->wanted = true;
}

void snapshotter_set_room(struct snapshotter *s, uint64_t bytes)
{
	s->room = bytes;
}

struct snapshotter_stats snapshotter_stats(const struct snapshotter *s)
{
	return s->stats;
}

/* --- steps --------------------------------------------------------------------------------------------------------------- */

static bool is_due(const struct snapshotter *s)
{
	uint64_t grown = commitlog_appended(s->core->log) - s->newest_from, after = s->core->config.snapshot_bytes;

	if (commitlog_failed(s->core->log, NULL) || s->core->mono_ms < s->not_before_ms || grown == 0)
		return false;
	if (after > 0 && after < SIZE_FACTOR * s->stats.last_bytes)
		after = SIZE_FACTOR * s->stats.last_bytes;
	return s->wanted || (after > 0 && grown >= after);
}

/* As large as the last one, with what is open now, and a fifth more. One that ends in the middle would only take from the log
 * what space is left. */
static bool fits(struct snapshotter *s)
{
	uint64_t expected = s->rest_bytes + open_bytes(s->core), wanted = expected + expected / GROWTH_PARTS;
	bool missing = wanted > s->room;

	if (missing && !s->put_off)
		log_error("store", "no space for a snapshot", "needed_bytes=%" PRIu64 " free_bytes=%" PRIu64
			  " note=\"until then the log is kept from the older one on\" hint=\"free space or add some\"", wanted, s->room);
	s->put_off = missing;
	return !missing;
}

static void begin(struct snapshotter *s)
{
	struct snapshot_header header = { .from = commitlog_appended(s->core->log), .generation = ++s->generation,
					  .wall_ms = s->core->wall_ms };

	memcpy(header.log_id, commitlog_id(s->core->log), LOG_ID_SIZE);
	s->wanted = false;
	s->cursor = (struct snapshot_cursor){ .begun_mono_ms = s->core->mono_ms };
	snapshot_job_deinit(&s->job);
	snapshot_job_init(&s->job, s->store->vfs, s->store->root, header.from, s->core->files);
	snapshot_put_header(&s->job.data, &header);
	pagefile_sweep(s->core->files);
	s->swept_pages = pagefile_page_count(s->core->files);
	s->phase = PHASE_SLICES;
}

/* A job that failed has removed its file; without one, a last job does. */
static void give_up(struct snapshotter *s, const char *reason)
{
	log_warn("store", "snapshot failed", "from=%" PRIu64 " reason=\"%s\" note=\"tried again later\"", s->job.from, reason);
	if (s->job.result == ST_FULL && less(s->job.file_offset, open_bytes(s->core)) > s->rest_bytes)
		s->rest_bytes = less(s->job.file_offset, open_bytes(s->core));
	s->job.discard = s->job.file != NULL;
	s->phase = s->job.discard ? PHASE_DISCARD : PHASE_IDLE;
	if (!s->job.discard)
		snapshot_job_deinit(&s->job);
	s->not_before_ms = s->core->mono_ms + RETRY_MS;
	s->stats.failed++;
}

/* Check-backs that found no room in the log yet: it must say what a snapshot says. Not on a full disk, where that may take long,
 * and the counts are right all the same. */
static bool checks_wait(const struct core *core)
{
	return core->check_count > 0 && core->disk_level != DISK_FULL;
}

static void next_slice(struct snapshotter *s)
{
	if (!snapshot_slice(s->core, &s->cursor, &s->job.data)) {
		s->durable_needed = commitlog_appended(s->core->log);
		s->phase = PHASE_SETTLE;
	}
	if (s->job.data.failed)
		give_up(s, "out of memory");
}

static void settle(struct snapshotter *s)
{
	enum pagefile_sweep_state swept = pagefile_sweep_state(s->core->files);

	if (swept == PAGEFILE_SWEEP_FAILED) {
		give_up(s, "index pages could not be written");
		return;
	}
	if (swept == PAGEFILE_SWEEPING || commitlog_durable(s->core->log) < s->durable_needed)
		return;
	snapshot_put_end(&s->job.data, &(struct snapshot_end){ s->durable_needed, pagefile_page_count(s->core->files), s->swept_pages });
	s->job.finish = true;
	s->phase = PHASE_FINISHING;
	if (s->job.data.failed)
		give_up(s, "out of memory");
}

/* Tells readers of the log that the snapshot is there. Without room now, at a later step. */
static void put_mark(struct snapshotter *s)
{
	struct record_snapshot_mark mark = { .snapshot_offset = s->newest_from, .generation = s->generation,
					     .file_size = s->stats.last_bytes, .when_ms = core_store_time(s->core) };
	uint64_t offset;
	uint8_t *payload = room_begin(s->core, ROOM_PROGRESS, LOG_SNAPSHOT_MARK, record_snapshot_mark_size(&mark), &offset);

	if (payload == NULL)
		return;
	record_snapshot_mark_encode(&mark, payload);
	commitlog_commit(s->core->log);
	s->mark_due = false;
}

void snapshotter_step(struct snapshotter *s)
{
	if (s->job_out)
		return;
	if (s->mark_due)
		put_mark(s);
	switch (s->phase) {
	case PHASE_IDLE:
		if (is_due(s) && fits(s))
			begin(s);
		break;
	case PHASE_SLICES:
		if (buffer_size(&s->job.data) < SNAPSHOT_SLICE_BYTES && !checks_wait(s->core))
			next_slice(s);
		break;
	case PHASE_SETTLE:
		settle(s);
		break;
	case PHASE_FINISHING:
	case PHASE_DISCARD:
		break;
	}
}

/* --- jobs ---------------------------------------------------------------------------------------------------------------- */

struct snapshot_job *snapshotter_take(struct snapshotter *s)
{
	bool full = buffer_size(&s->job.data) >= SNAPSHOT_SLICE_BYTES;

	if (s->phase == PHASE_DISCARD && !s->job_out) {
		s->job_out = true;
		return &s->job;
	}
	if (s->job_out || s->phase == PHASE_IDLE || (s->phase == PHASE_SLICES && !full) || buffer_size(&s->job.data) == 0)
		return NULL;
	if (s->phase == PHASE_SETTLE && !full)
		return NULL; /* Goes with the end chunk. */
	s->job_out = true;
	return &s->job;
}

static void succeeded(struct snapshotter *s)
{
	s->older_from = s->newest_from;
	s->newest_from = s->job.from;
	s->core->retention.snapshot_pin = s->older_from;
	pagefile_snapshot_done(s->core->files);
	snapshot_job_deinit(&s->job);
	s->phase = PHASE_IDLE;
	s->rest_bytes = less(s->job.file_offset, open_bytes(s->core));
	s->mark_due = true;
	s->stats.taken++;
	s->stats.last_from = s->newest_from;
	s->stats.last_bytes = s->job.file_offset;
	log_info("store", "snapshot taken", "from=%" PRIu64 " bytes=%" PRIu64 " generation=%" PRIu64, s->newest_from,
		 s->stats.last_bytes, s->generation);
}

enum status snapshotter_done(struct snapshotter *s, struct errinfo *err)
{
	enum status status = s->job.result;

	assert(s->job_out);
	s->job_out = false;
	if (status != ST_OK) {
		*err = s->job.err;
		give_up(s, s->job.err.text);
	} else if (s->phase == PHASE_FINISHING) {
		succeeded(s);
	} else if (s->phase == PHASE_DISCARD) {
		snapshot_job_deinit(&s->job);
		s->phase = PHASE_IDLE;
	}
	return status;
}
