/* The commit log: what happened, in which order, and up to where is it safe?
 *
 * One append-only sequence of enveloped records in segment files under <root>/commitlog/ (format: docs/formats/
 * commitlog.md). The payloads are opaque. The loop thread owns a `struct commitlog`: it encodes records straight
 * into a ring of memory that holds the log's tail, and never touches the disk after commitlog_open. Disk work is
 * handed out as jobs, which any one thread runs and the loop then reports back:
 *
 *     loop:     p = commitlog_begin(log, kind, size, &offset)   encode at p    end = commitlog_commit(log)
 *     loop:     commitlog_take_flush(log, true, &job)           -> true: there is work
 *     flusher:  log_flush_run(&job)                             pwritev + fdatasync
 *     loop:     commitlog_flush_done(log, &job, &err)           durable() has advanced; release the answers
 *
 * With one flush job in flight at a time, one sync acknowledges all that was appended during the last one.
 *
 * Watermarks, all "offset after the last such record":   durable <= written <= appended <= durable + ring size.
 * A failed write or sync is final (the page cache may lie afterwards): commitlog_begin gives NULL for ever,
 * commitlog_failed says why, and the process should stop acknowledging and exit.
 *
 * Jobs are plain structs of the caller. They point into the log (ring, open files), so every job taken must be
 * run and reported before commitlog_close.
 *
 * Threads: every commitlog_ function belongs to the thread that opened the log; log_*_run functions are for any
 * thread. */
#ifndef ESCROW_LOG_COMMITLOG_H
#define ESCROW_LOG_COMMITLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "lib/log/kinds.h"
#include "lib/log/vfs.h"

enum {
	LOG_ENVELOPE_SIZE = 32,  /* In front of every payload. */
	LOG_KIND_AT = 4,         /* Where its kind is. */
	LOG_SEGMENT_HEADER_SIZE = 4096,
	LOG_ID_SIZE = 16,
	LOG_CLUSTER_SIZE = 64,   /* Cluster name in a segment header, NUL-padded. */
	LOG_JOB_PARTS = 4,       /* Segments that one flush job may touch. */
	LOG_SEGMENT_SIZE_MIN = 64 * 1024,
	LOG_RING_SIZE_MIN = 64 * 1024,
};

/* One record, as readers see it. */
struct log_record {
	unsigned kind;       /* enum log_kind, or a kind that a newer version wrote */
	uint32_t epoch;
	uint64_t offset;     /* Of its envelope. */
	uint32_t size;       /* In the log: envelope, payload and padding; the next record starts at offset + size. */
	uint32_t crc;        /* Over all of that, the log's id, epoch and offset included. */
	struct span payload; /* Borrowed; see the function that gave it. */
};

/* Bytes that a record with this payload takes in the log. */
static inline uint64_t commitlog_record_size(uint64_t payload_size)
{
	return (LOG_ENVELOPE_SIZE + payload_size + 7) & ~(uint64_t)7;
}

/* What somebody has proved of the log before (a snapshot): everything below `durable` was durable, and `from` is the
 * offset of a record (or of the end) below it. Zeros: nothing is known. */
struct log_known {
	uint64_t from;
	uint64_t durable;
};

struct commitlog_config {
	const char *root;          /* Store directory (created; its parent must exist). The log is in <root>/commitlog. */
	const char *cluster;       /* Name; a log of another cluster is refused. NULL = "". */
	uint64_t segment_size;     /* Multiple of 4096, at least LOG_SEGMENT_SIZE_MIN; 0 = 1 GiB. New segments only. */
	uint64_t ring_size;        /* Power of two, at least LOG_RING_SIZE_MIN; 0 = 64 MiB. */
	uint64_t prepare_chunk;    /* Bytes zero-filled by one job, multiple of 4096; 0 = 16 MiB. */
	const struct clock *clock; /* Creation and epoch times are stored, nothing else. NULL = clock_system(). */
	uint8_t log_id[LOG_ID_SIZE]; /* Identity of a log that is created now; all zero = random. */
	struct log_known known;    /* From a snapshot: what need not be checked again. */
};

struct commitlog;

/* Locks the store, checks the end of the log (recovery.h; replay checks every record from where it begins), cuts a torn tail (and says so
 * in a warning), rewrites and syncs what a power cut may have left in the page cache only, zeroes what was cut, and
 * opens a new epoch. Creates an empty log when there is none. A full disk is no obstacle as long as the epoch's record (64 bytes)
 * fits into what is prepared. Blocks; call before serving.
 * ST_LOCKED: another process owns the store. ST_CORRUPT: damage below what was durable; the text names file and
 * offset. ST_VERSION: written by a newer version. ST_INVALID: configuration, or another cluster's log.
 * ST_FULL, ST_IO, ST_NOMEM. On failure nothing is held. */
enum status commitlog_open(const struct commitlog_config *config, const struct vfs *vfs, struct commitlog **out,
			   struct errinfo *err) MUST_USE;

/* Closes files, frees, unlocks. With `clean` everything appended is written and synced first, followed by a mark
 * that makes later damage to the last records detectable; a failure then is returned (everything is freed even so).
 * No job may be running. NULL is allowed. */
enum status commitlog_close(struct commitlog *log, bool clean, struct errinfo *err) MUST_USE;

/* Calls back with every record from `from` (a record's offset; 0 or commitlog_start() = the oldest) to the end, in
 * order, except lib/log's own kinds. The record's payload is valid during the call. A callback's failure ends the
 * replay and is returned. CRC-checked again: ST_CORRUPT. Blocks; call before the first append. */
typedef enum status (*commitlog_replay_callback)(void *context, const struct log_record *record, struct errinfo *err);
enum status commitlog_replay(struct commitlog *log, uint64_t from, commitlog_replay_callback callback, void *context,
			     struct errinfo *err) MUST_USE;

/* --- appending ------------------------------------------------------------------------------------------------ */

/* Room for a payload of exactly `payload_size` bytes, to be encoded in place, and the offset that the record will
 * have. One at a time: follow with commit or abort. NULL when the log cannot take it now: the ring is full of bytes
 * that are not durable yet, the next segment is not prepared, the record is over commitlog_payload_max, or the log
 * has failed. The caller answers "system busy". The bytes at the pointer are not zeroed. */
uint8_t *commitlog_begin(struct commitlog *log, enum log_kind kind, size_t payload_size,
			 uint64_t *offset_out) MUST_USE;
/* Seals the record and returns the offset after it: it is durable once commitlog_durable() >= that. */
uint64_t commitlog_commit(struct commitlog *log);
/* Forgets the record begun. */
void commitlog_abort(struct commitlog *log);

/* Bytes (commitlog_record_size of each) that can certainly be appended now, also when a segment ends in between. */
uint64_t commitlog_room(const struct commitlog *log);
/* The largest payload that this log's ring and segments can ever take. */
size_t commitlog_payload_max(const struct commitlog *log);

/* --- state ---------------------------------------------------------------------------------------------------- */

uint64_t commitlog_start(const struct commitlog *log);    /* Offset of the oldest record kept. */
uint64_t commitlog_appended(const struct commitlog *log);
uint64_t commitlog_written(const struct commitlog *log);
uint64_t commitlog_durable(const struct commitlog *log);
uint32_t commitlog_epoch(const struct commitlog *log);    /* Of this start; 1 for a new log. */
const uint8_t *commitlog_id(const struct commitlog *log); /* LOG_ID_SIZE bytes. */
/* Bytes of segment files on the disk. */
uint64_t commitlog_disk_bytes(const struct commitlog *log);
/* True after a final failure; *err (may be NULL) gets its text. */
bool commitlog_failed(const struct commitlog *log, struct errinfo *err);

/* --- flush jobs ----------------------------------------------------------------------------------------------- */

struct log_flush_part {
	struct vfs_file *file;
	uint64_t file_offset;
	const uint8_t *data; /* In the ring; stays unchanged until flush_done. */
	size_t size;         /* 0: only to be synced. */
};

struct log_flush_job {
	struct log_flush_part parts[LOG_JOB_PARTS];
	unsigned part_count;
	bool sync;            /* Sync after writing. */
	uint64_t end;         /* Offset up to which this job writes (and syncs). */
	enum status result;   /* Set by log_flush_run. */
	struct errinfo err;
};

/* sync: write and sync what is not durable. !sync: only write what is not written (for ASYNC_FLUSH, with a sync job
 * at an interval of the caller's; when half the ring waits for a sync, the job syncs all the same).
 * False when there is nothing to do, one is in flight, or the log has failed. */
bool commitlog_take_flush(struct commitlog *log, bool sync, struct log_flush_job *out) MUST_USE;
/* Any one thread. Blocks on the disk. The result is in the job. */
void log_flush_run(struct log_flush_job *job);
/* Advances the watermarks. A job that failed poisons the log; the failure is returned. */
enum status commitlog_flush_done(struct commitlog *log, const struct log_flush_job *job, struct errinfo *err) MUST_USE;

/* --- prepare jobs ---------------------------------------------------------------------------------------------- */

/* Disk work ahead of the tail and behind the start. Zero-filled or recycled files ahead, because a synced write into
 * written blocks changes no metadata and is three times faster. Jobs are offered until the current segment is complete
 * and, once less than three quarters of a new segment are left in what there is, the next one too: a segment that was given up
 * becomes the next one without any filling (its old bytes cannot pass for records: own offset, epoch). What is given up beyond
 * that is removed. */
enum log_prepare_what {
	LOG_PREPARE_RING,    /* Memory for a part of the ring. */
	LOG_PREPARE_FILL,    /* Zeros in `file`, [file_offset, + size). */
	LOG_PREPARE_CREATE,  /* A new file `path`; the run sets `file`. */
	LOG_PREPARE_RECYCLE, /* The file of `old_path` becomes `path`. */
	LOG_PREPARE_REMOVE,  /* The file of `old_path` goes. */
};

struct log_prepare_job {
	const struct vfs *vfs;
	enum log_prepare_what what;
	struct vfs_file *file;
	char dir[512];
	char path[560];
	char old_path[560];
	uint64_t file_offset;
	uint64_t size;
	uint64_t base;
	uint8_t header[256];        /* The used part of the header page. */
	uint8_t *ring;              /* LOG_PREPARE_RING: [file_offset, + size) of ring_size bytes. */
	uint64_t ring_size;
	bool moved;                 /* The file has left its old name. */
	enum status result;         /* Set by log_prepare_run. */
	struct errinfo err;
};

/* False when nothing needs preparing, one is in flight, or the log has failed. */
bool commitlog_take_prepare(struct commitlog *log, struct log_prepare_job *out) MUST_USE;
/* Bytes that are prepared ahead of the tail: a caller that has enough may put jobs off while the disk is busy. */
uint64_t commitlog_prepared_ahead(const struct commitlog *log);
/* So many of them would be left behind a record with this payload, with what is lost when it goes to the next segment. */
uint64_t commitlog_ahead_after(const struct commitlog *log, uint64_t payload_size);
/* Any one thread, at low priority. Blocks on the disk. */
void log_prepare_run(struct log_prepare_job *job);
/* ST_FULL: no space; the job is offered again at the next take (wait a while), appends go on while there is room.
 * ST_IO on a file with records, or whose name is in doubt afterwards, is final, as in flush_done. */
enum status commitlog_prepare_done(struct commitlog *log, struct log_prepare_job *job, struct errinfo *err) MUST_USE;

/* --- giving up the oldest ------------------------------------------------------------------------------------------ */

struct log_segment_range { /* In log offsets; the first record lies at base + LOG_SEGMENT_HEADER_SIZE. */
	uint64_t base;
	uint64_t end;
};
/* Segments in use, oldest first; the last one is the tail. */
size_t commitlog_segment_count(const struct commitlog *log);
struct log_segment_range commitlog_segment(const struct commitlog *log, size_t index);
/* The oldest segment is not part of the log any more: commitlog_start moves up, its offsets cannot be read. The file
 * goes, or is used again, by prepare jobs. Never the tail. A crash may bring it back at the next start. ST_NOMEM. */
enum status commitlog_drop_oldest(struct commitlog *log) MUST_USE;
/* Files that were given up are still there. */
bool commitlog_dropped(const struct commitlog *log);
/* Whether a file may wait to become the next segment (true at first), or the space is wanted elsewhere. */
void commitlog_keep_spares(struct commitlog *log, bool wanted);

/* --- reading -------------------------------------------------------------------------------------------------- */

/* `size` bytes of the log from `offset`, from memory. *out is valid until the next commitlog_begin.
 * ST_AGAIN: no longer in memory; use commitlog_try_read, then a read job. ST_INVALID: outside of [start, appended). */
enum status commitlog_read(const struct commitlog *log, uint64_t offset, size_t size, struct span *out) MUST_USE;

/* Whether what lies there is in memory, as commitlog_read gives it. `offset`: of something appended. */
bool commitlog_in_memory(const struct commitlog *log, uint64_t offset);

/* Reads into `data` if the page cache has it. ST_AGAIN: a read job must. ST_CORRUPT when `verify` fails (see below);
 * ST_INVALID as in commitlog_read, or across a segment's end. */
enum status commitlog_try_read(const struct commitlog *log, uint64_t offset, size_t size, bool verify, uint8_t *data,
			       struct errinfo *err) MUST_USE;

/* The whole record that starts at `offset`, which may come from a client: memory first, then the page cache into
 * `scratch`. Envelope and CRC are checked. out->payload is valid until the next commitlog_begin or use of `scratch`.
 * ST_NOTFOUND: no record starts there. ST_AGAIN: a read job must fetch *size_out bytes from `offset` first (32 while
 * the size is not known). ST_TOOBIG: over scratch_size. ST_CORRUPT: a record, but damaged. */
enum status commitlog_record(const struct commitlog *log, uint64_t offset, uint8_t *scratch, size_t scratch_size,
			     struct log_record *out, uint32_t *size_out, struct errinfo *err) MUST_USE;

/* The limit of one read from `offset`: bytes to the end of its segment, or of what can be read (memory: appended,
 * file: written); 0 when outside of the log. */
uint64_t commitlog_read_limit(const struct commitlog *log, uint64_t offset);

struct log_read_job {
	uint64_t offset;
	uint8_t *data;       /* Caller's buffer, `size` bytes. */
	size_t size;
	bool verify;
	const uint8_t *log_id; /* The log's. */
	struct vfs_file *file;
	uint64_t base;       /* Of its segment. */
	uint64_t file_offset;
	enum status result;  /* Set by log_read_run. */
	struct errinfo err;
};

/* Fills *job to read `size` bytes from `offset` into `data`. With `verify`, `offset` is a record's and the bytes are
 * whole records, each of which is checked (envelope, own offset, CRC). ST_INVALID as in commitlog_try_read. Report
 * the job with commitlog_read_done: until then its segment's file is neither removed nor used again.
 * `data` NULL: only the page cache is asked to have the bytes soon. */
enum status commitlog_prepare_read(struct commitlog *log, uint64_t offset, size_t size, bool verify, uint8_t *data,
				   struct log_read_job *job, struct errinfo *err) MUST_USE;
/* Any thread, several jobs at once. Blocks on the disk. ST_CORRUPT, ST_IO in job->result. */
void log_read_run(struct log_read_job *job);
void commitlog_read_done(struct commitlog *log, const struct log_read_job *job);

#endif
