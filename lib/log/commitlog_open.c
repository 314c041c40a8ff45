/* Start and stop of the commit log: lock, check, repair, open an epoch; see commitlog.h and recovery.h.
 *
 * Order of the repair, each step durable before the next: the sound part past the last durable mark is written again
 * (the page cache may show bytes that the disk never got), what follows it is zeroed, in later segments too, and only
 * then does an EPOCH record say that everything before it is durable. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/base/logging.h"
#include "lib/log/commitlog.h"
#include "lib/log/commitlog_internal.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"
#include "lib/log/ring.h"
#include "lib/log/vfs_replace.h"

enum { COPY_SIZE = 64 * 1024 };
static const uint64_t GIB = (uint64_t)1 << 30, MIB = 1 << 20;

/* --- construction ------------------------------------------------------------------------------------ */

static enum status check_config(const struct commitlog_config *config, struct errinfo *err)
{
	uint64_t segment = config->segment_size, ring = config->ring_size, chunk = config->prepare_chunk;

	if (config->root == NULL || config->root[0] == '\0')
		return errinfo_set(err, ST_INVALID, "commit log: no store directory given");
	if (segment != 0 && (segment < LOG_SEGMENT_SIZE_MIN || segment % LOG_SEGMENT_HEADER_SIZE != 0 ||
			     segment > (uint64_t)1 << 40))
		return errinfo_set(err, ST_INVALID,
				   "commit log: segment size %" PRIu64 " must be a multiple of 4096 and at least %d", segment,
				   LOG_SEGMENT_SIZE_MIN);
	if (ring != 0 && (ring < LOG_RING_SIZE_MIN || (ring & (ring - 1)) != 0 || ring > (uint64_t)1 << 40))
		return errinfo_set(err, ST_INVALID, "commit log: ring size %" PRIu64 " must be a power of two and at least %d",
				   ring, LOG_RING_SIZE_MIN);
	if (chunk != 0 && (chunk % LOG_SEGMENT_HEADER_SIZE != 0 || chunk < 2 * LOG_SEGMENT_HEADER_SIZE))
		return errinfo_set(err, ST_INVALID,
				   "commit log: prepare chunk %" PRIu64 " must be a multiple of 4096 and at least 8192",
				   chunk);
	if (config->cluster != NULL && strlen(config->cluster) >= LOG_CLUSTER_SIZE)
		return errinfo_set(err, ST_INVALID, "commit log: cluster name is over %d bytes", LOG_CLUSTER_SIZE - 1);
	return ST_OK;
}

static enum status create(const struct commitlog_config *config, const struct vfs *vfs, struct commitlog **out,
			  struct errinfo *err)
{
	struct commitlog *log = calloc(1, sizeof(*log));

	if (log == NULL)
		return errinfo_set(err, ST_NOMEM, "commit log: out of memory");
	log->vfs = vfs;
	log->spares_wanted = true;
	log->clock = config->clock != NULL ? config->clock : clock_system();
	log->segment_size = config->segment_size != 0 ? config->segment_size : GIB;
	log->ring_size = config->ring_size != 0 ? config->ring_size : 64 * MIB;
	log->prepare_chunk = config->prepare_chunk != 0 ? config->prepare_chunk : 16 * MIB;
	if (config->cluster != NULL)
		snprintf(log->cluster, sizeof(log->cluster), "%s", config->cluster);
	log->ring = ring_map(log->ring_size);
	log->ring_populated = log->ring_size <= RING_POPULATED_AT_ONCE ? log->ring_size : 0;
	if (log->ring == NULL) {
		errinfo_set(err, ST_NOMEM, "commit log: cannot map a ring of %" PRIu64 " bytes", log->ring_size);
		free(log);
		return ST_NOMEM;
	}
	*out = log;
	return ST_OK;
}

static void destroy(struct commitlog *log)
{
	for (size_t i = 0; i < log->segment_count; i++)
		vfs_close(log->segments[i].file);
	for (size_t i = 0; i < log->dropped_count; i++)
		vfs_close(log->dropped[i].file);
	free(log->segments);
	free(log->dropped);
	ring_unmap(log->ring, log->ring_size);
	vfs_close(log->lock);
	free(log);
}

/* Makes the store directory durable in its parent. */
static enum status make_root(struct commitlog *log, const char *root, struct errinfo *err)
{
	enum status status = vfs_mkdir(log->vfs, root, err);

	return status == ST_OK ? vfs_sync_parent(log->vfs, root, err) : status;
}

static enum status lock_store(struct commitlog *log, const char *root, struct errinfo *err)
{
	char path[LOG_PATH_SIZE + LOG_NAME_SIZE];
	enum status status = log_dir_path(root, log->dir, err);

	if (status == ST_OK)
		status = make_root(log, root, err);
	if (status == ST_OK) {
		snprintf(path, sizeof(path), "%s/lock", root);
		status = vfs_lock(log->vfs, path, &log->lock, err);
	}
	if (status == ST_OK)
		status = vfs_mkdir(log->vfs, log->dir, err);
	if (status == ST_OK)
		status = vfs_sync_dir(log->vfs, root, err);
	return status;
}

/* --- repair ------------------------------------------------------------------------------------------ */

static void file_path(const struct commitlog *log, const char *name, char *out, size_t out_size)
{
	snprintf(out, out_size, "%s/%s", log->dir, name);
}

/* Writes [from, to) of one file once more, as it reads now. */
static enum status rewrite(struct vfs_file *file, uint64_t from, uint64_t to, uint8_t *buffer, struct errinfo *err)
{
	while (from < to) {
		size_t size = to - from < COPY_SIZE ? to - from : COPY_SIZE, got = 0;
		struct vfs_piece piece = { buffer, size };
		enum status status = vfs_read(file, from, buffer, size, &got, err);
		if (status == ST_OK && got < size)
			status = errinfo_set(err, ST_IO, "%s: became shorter while being checked", file->path);
		if (status == ST_OK)
			status = vfs_write(file, from, &piece, 1, err);
		if (status != ST_OK)
			return status;
		from += size;
	}
	return ST_OK;
}

static enum status zero(struct vfs_file *file, uint64_t from, uint64_t to, uint8_t *buffer, struct errinfo *err)
{
	memset(buffer, 0, to - from < COPY_SIZE ? to - from : COPY_SIZE);
	while (from < to) {
		size_t size = to - from < COPY_SIZE ? to - from : COPY_SIZE;
		struct vfs_piece piece = { buffer, size };
		enum status status = vfs_write(file, from, &piece, 1, err);
		if (status != ST_OK)
			return status;
		from += size;
	}
	return ST_OK;
}

/* The part of one segment that lies past the durable mark: its sound bytes again, zeros behind the log's end. */
static enum status repair_segment(struct vfs_file *file, const struct log_segment *segment,
				  const struct log_check_result *check, uint8_t *buffer, struct errinfo *err)
{
	uint64_t base = segment->header.base, first = base + LOG_SEGMENT_HEADER_SIZE;
	uint64_t data_end = base + segment->file_size;
	uint64_t from = check->durable_mark > first ? check->durable_mark : first;
	uint64_t sound_end = check->end < data_end ? check->end : data_end;
	uint64_t bad_end = check->leftover_end < data_end ? check->leftover_end : data_end;
	enum status status = ST_OK;

	if (from < sound_end)
		status = rewrite(file, from - base, sound_end - base, buffer, err);
	from = check->end > first ? check->end : first;
	if (status == ST_OK && from < bad_end)
		status = zero(file, from - base, bad_end - base, buffer, err);
	/* Also when nothing was written: the bytes read so far may be in the page cache only. */
	if (status == ST_OK && check->durable_mark < data_end)
		status = vfs_sync(file, err);
	return status;
}

/* Where the next segment must begin; the first one begins where it does. */
static uint64_t next_base(const struct commitlog *log, uint64_t first)
{
	const struct segment *last = log->segment_count == 0 ? NULL : &log->segments[log->segment_count - 1];

	return last == NULL ? first : last->base + last->size;
}

/* The log holds the file from now on, or it is closed. */
static enum status hold_segment(struct commitlog *log, const struct log_segment *found, uint64_t base, struct errinfo *err)
{
	struct segment segment = { .file = found->file, .base = base, .size = found->header.segment_size,
				   .prepared = found->file_size, .data_end = found->file_size };
	enum status status = commitlog_add_segment(log, &segment, err);

	if (status != ST_OK)
		vfs_close(found->file);
	else if (log->segment_count == 1)
		memcpy(log->log_id, found->header.log_id, LOG_ID_SIZE);
	return status;
}

/* One was prepared, and the one before it was not: it has no place in the log. */
static enum status remove_stray(struct commitlog *log, const struct log_segment *found, struct errinfo *err)
{
	enum status status = vfs_unlink(log->vfs, found->file->path, err);

	vfs_close(found->file);
	return status;
}

static enum status adopt_segment(struct commitlog *log, uint64_t base, uint64_t expected, const struct log_check_result *check,
				 uint8_t *buffer, bool *removed, struct errinfo *err)
{
	struct log_segment found;
	enum status status = log_open_segment(log->vfs, log->dir, base, VFS_WRITE, &found, err);

	if (status != ST_OK)
		return status;
	if (base > check->end && base != expected) {
		*removed = true;
		return remove_stray(log, &found, err);
	}
	if (base != expected) {
		vfs_close(found.file);
		return errinfo_set(err, ST_CORRUPT, "%s/%020" PRIu64 ": segment is missing (log offset %" PRIu64
				   "): restore the file", log->dir, expected, expected);
	}
	status = hold_segment(log, &found, base, err);
	if (status != ST_OK)
		return status;
	if (base <= check->end)
		log->tail = log->segment_count - 1;
	return repair_segment(found.file, &found, check, buffer, err);
}

/* Opens every segment and repairs what lies past the durable mark. Later segments stay as prepared ones, unless one
 * in between is missing. */
static enum status adopt_segments(struct commitlog *log, const struct log_check_result *check, uint8_t *buffer,
				  struct errinfo *err)
{
	uint64_t *bases = NULL;
	size_t count = 0;
	bool removed = false;
	enum status status = log_list_segments(log->vfs, log->dir, &bases, &count, err);

	for (size_t i = 0; status == ST_OK && i < count; i++)
		status = adopt_segment(log, bases[i], next_base(log, bases[0]), check, buffer, &removed, err);
	free(bases);
	if (status == ST_OK && removed)
		status = vfs_sync_dir(log->vfs, log->dir, err);
	return status;
}

static enum status check_cluster(const struct commitlog *log, const struct commitlog_config *config, const char *found,
				 struct errinfo *err)
{
	if (config->cluster == NULL || strcmp(found, config->cluster) == 0)
		return ST_OK;
	return errinfo_set(err, ST_INVALID, "%s belongs to cluster \"%s\", not \"%s\": choose another store directory",
			   log->dir, found, config->cluster);
}

static enum status read_identity(struct commitlog *log, const struct commitlog_config *config, struct errinfo *err)
{
	struct logreader *reader;
	enum status status = logreader_open(log->vfs, config->root, 0, &reader, err);

	if (status != ST_OK)
		return status;
	status = check_cluster(log, config, logreader_cluster(reader), err);
	snprintf(log->cluster, sizeof(log->cluster), "%s", logreader_cluster(reader));
	logreader_close(reader);
	return status;
}

static void tell_cut(const struct commitlog *log, const struct log_check_result *check)
{
	if (check->leftover_end > check->end)
		log_warn("log", "torn tail cut", "file=%s/%s log_offset=%" PRIu64 " bytes=%" PRIu64
			 " reason=\"%s\" note=\"written but never acknowledged as durable\"",
			 log->dir, check->file, check->end, check->leftover_end - check->end, check->reason);
}

static enum status recover(struct commitlog *log, const struct commitlog_config *config, struct errinfo *err)
{
	struct log_check_result check;
	uint8_t *buffer;
	enum status status = read_identity(log, config, err);

	if (status == ST_OK)
		status = log_check_tail(log->vfs, config->root, config->known, &check, err);
	if (status != ST_OK)
		return status;
	tell_cut(log, &check);
	buffer = malloc(COPY_SIZE);
	if (buffer == NULL)
		return errinfo_set(err, ST_NOMEM, "commit log: out of memory");
	status = adopt_segments(log, &check, buffer, err);
	free(buffer);
	log->epoch = check.epoch;
	log->appended = log->written = log->durable = log->ring_floor = check.end;
	return status;
}

/* --- start ------------------------------------------------------------------------------------------- */

static enum status name_log(struct commitlog *log, const struct commitlog_config *config, struct errinfo *err)
{
	static const uint8_t none[LOG_ID_SIZE];

	memcpy(log->log_id, config->log_id, LOG_ID_SIZE);
	if (memcmp(log->log_id, none, LOG_ID_SIZE) != 0)
		return ST_OK;
	if (getrandom(log->log_id, LOG_ID_SIZE, 0) != LOG_ID_SIZE)
		return errinfo_set(err, ST_IO, "commit log: no random bytes for a log id");
	return ST_OK;
}

/* A segment whose making was cut short has a temporary name; so has the first one of a log that never was. */
static enum status remove_temporary(void *context, const char *name)
{
	struct commitlog *log = context;
	char path[LOG_PATH_SIZE + 256 + 2];
	size_t size = strlen(name);

	if (size < 4 || size > 255 || strcmp(name + size - 4, ".tmp") != 0)
		return ST_OK;
	file_path(log, name, path, sizeof(path));
	return vfs_unlink(log->vfs, path, NULL);
}

/* Runs prepare jobs here until there is a segment after the tail. */
static enum status make_next(struct commitlog *log, struct errinfo *err)
{
	struct log_prepare_job job;

	while (log->tail + 1 >= log->segment_count) {
		if (!commitlog_take_prepare(log, &job))
			return errinfo_set(err, ST_CORRUPT, "commit log: cannot go on after segment %s",
					   log->segments[log->tail].file->path);
		log_prepare_run(&job);
		enum status status = commitlog_prepare_done(log, &job, err);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}

/* On a full disk what is prepared must do: with room for the EPOCH record a start has all it needs. */
static enum status prepare_tail(struct commitlog *log, struct errinfo *err)
{
	enum status status = commitlog_prepare_inline(log, log->prepare_chunk, err);
	const struct segment *tail = status == ST_FULL && log->segment_count > 0 ? &log->segments[log->tail] : NULL;

	if (tail == NULL || log->appended + LOG_EPOCH_SIZE > tail->base + tail->prepared)
		return status;
	log_warn("log", "no space to prepare the log", "prepared_bytes=%" PRIu64 " note=\"what is prepared serves\"",
		 tail->base + tail->prepared - log->appended);
	return ST_OK;
}

/* The tail is where the check says; makes sure that this is in a segment that exists, with room prepared. */
static enum status place_tail(struct commitlog *log, struct errinfo *err)
{
	enum status status = ST_OK;

	if (log->segment_count > 0) {
		const struct segment *last = &log->segments[log->segment_count - 1];
		uint64_t end = last->base + last->size;
		if (log->appended > end) { /* The last segment is full, and the next one was not made yet. */
			log->appended = end;
			status = make_next(log, err);
			log->tail = log->segment_count - 1;
			log->appended = log->durable;
		}
	}
	if (status == ST_OK)
		status = prepare_tail(log, err);
	if (status == ST_OK && log->appended == 0)
		log->appended = log->written = log->durable = log->ring_floor = LOG_SEGMENT_HEADER_SIZE;
	return status;
}

/* The record that opens this start. If it must go to the next segment, the padding before it is made durable
 * first, because an EPOCH record is proof that everything before it is. */
static enum status open_epoch(struct commitlog *log, struct errinfo *err)
{
	const struct segment *tail = &log->segments[log->tail];
	uint32_t epoch = log->epoch + 1;
	enum status status;

	if (epoch == 0)
		return errinfo_set(err, ST_VERSION, "commit log: all epochs are used up");
	if (tail->base + tail->size - log->appended < LOG_EPOCH_SIZE) {
		status = make_next(log, err);
		if (status == ST_OK && !commitlog_roll(log))
			status = errinfo_set(err, ST_FULL, "commit log: no segment to open epoch %u in", epoch);
		if (status == ST_OK)
			status = commitlog_flush_inline(log, err);
		if (status != ST_OK)
			return status;
	}
	if (!commitlog_append_epoch(log, epoch))
		return errinfo_set(err, ST_FULL, "commit log: no room to open epoch %u", epoch);
	return commitlog_flush_inline(log, err);
}

static enum status start(struct commitlog *log, const struct commitlog_config *config, struct errinfo *err)
{
	uint64_t *bases = NULL;
	size_t count = 0;
	enum status status = lock_store(log, config->root, err);

	if (status == ST_OK)
		status = vfs_list(log->vfs, log->dir, remove_temporary, log, err);
	if (status != ST_OK)
		return status;
	status = log_list_segments(log->vfs, log->dir, &bases, &count, err);
	free(bases);
	if (status == ST_OK)
		status = recover(log, config, err);
	else if (status == ST_NOTFOUND)
		status = name_log(log, config, err);
	if (status == ST_OK)
		status = place_tail(log, err);
	if (status == ST_OK)
		status = open_epoch(log, err);
	return status;
}

enum status commitlog_open(const struct commitlog_config *config, const struct vfs *vfs, struct commitlog **out,
			   struct errinfo *err)
{
	struct commitlog *log = NULL;
	enum status status = check_config(config, err);

	if (status == ST_OK)
		status = create(config, vfs, &log, err);
	if (status != ST_OK)
		return status;
	status = start(log, config, err);
	if (status != ST_OK) {
		destroy(log);
		return errinfo_wrap(err, status, "open commit log in %s", config->root);
	}
	*out = log;
	return ST_OK;
}

/* --- stop and replay --------------------------------------------------------------------------------- */

enum status commitlog_close(struct commitlog *log, bool clean, struct errinfo *err)
{
	enum status status = ST_OK;

	if (log == NULL)
		return ST_OK;
	if (clean) {
		assert(!log->flush_out && !log->begun);
		if (commitlog_failed(log, err))
			status = log->failure.code;
		else
			status = commitlog_flush_inline(log, err);
		if (status == ST_OK && commitlog_append_mark(log))
			status = commitlog_flush_inline(log, err);
	}
	destroy(log);
	return status;
}

enum status commitlog_replay(struct commitlog *log, uint64_t from, commitlog_replay_callback callback, void *context,
			     struct errinfo *err)
{
	struct logreader *reader;
	struct log_record record;
	char root[LOG_PATH_SIZE];
	enum status status;

	assert(!log->begun && log->durable == log->appended);
	snprintf(root, sizeof(root), "%.*s", (int)(strlen(log->dir) - strlen("/commitlog")), log->dir);
	status = logreader_open(log->vfs, root, from != 0 ? from : commitlog_start(log), &reader, err);
	if (status != ST_OK)
		return status;
	while ((status = logreader_next(reader, log->durable, &record, err)) == ST_OK) {
		if (log_kind_is_internal(record.kind))
			continue;
		status = callback(context, &record, err);
		if (status != ST_OK)
			break;
	}
	logreader_close(reader);
	return status == ST_AGAIN ? ST_OK : status;
}
