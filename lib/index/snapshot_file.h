/* Snapshot files: how does state that was written once come back, whole or not at all?
 *
 * <store>/snapshots/<log offset, 20 digits>: a header, chunks, an end chunk; format in docs/formats/snapshots.md. What
 * the chunks hold is the core's; each has a section number, the count of its items and a checksum. A file gets its name
 * (by rename from *.tmp) when all of it is durable, and the index pages it refers to are too; the two newest are kept. One
 * that was damaged when it was to be read is called *.damaged from then on and does not count.
 *
 * Writing goes through jobs: the loop fills a buffer with chunks, a worker writes it. Reading blocks, at start only; a
 * file is verified from end to end before anything in it is believed.
 * Threads: encode and decode are pure; jobs' runs are for any one thread. */
#ifndef ESCROW_INDEX_SNAPSHOT_FILE_H
#define ESCROW_INDEX_SNAPSHOT_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/log/commitlog.h"
#include "lib/log/vfs.h"

struct pagefile;

enum {
	SNAPSHOT_FORMAT_VERSION = 1,
	SNAPSHOT_KEPT = 2,
	SNAPSHOTS_TRIED = 8,           /* At a start, until one is whole. */
	SNAPSHOT_CHUNK_MAX = 16 << 20, /* Payload of a chunk. */
	SNAPSHOT_PATH_SIZE = 600,
	SNAPSHOT_SECTIONS_MAX = 16,    /* Section numbers are below. */
	SNAPSHOT_SECTION_END = 0,      /* The end chunk's; sections of the core are above. */
};

struct snapshot_header {
	uint8_t log_id[LOG_ID_SIZE];
	uint64_t from;       /* Replay begins here; also the file's name. */
	uint64_t generation; /* Ascending over the life of a log. */
	int64_t wall_ms;     /* When it was begun. */
};

struct snapshot_end {
	uint64_t durable;    /* Everything that the chunks speak of lies below, and was durable before the file got its name. */
	uint32_t page_count; /* Of the index file. */
	uint32_t swept_pages; /* So many had been written when the file got its name: a shorter index file has lost some. */
};

/* --- writing ---------------------------------------------------------------------------------------------------- */

/* Appends to `out`. Between begin and end the caller appends the items; buffer failures show in out->failed. */
void snapshot_put_header(struct buffer *out, const struct snapshot_header *header);
size_t snapshot_begin_chunk(struct buffer *out, unsigned section);
void snapshot_end_chunk(struct buffer *out, size_t begun, uint32_t item_count);
void snapshot_put_end(struct buffer *out, const struct snapshot_end *end);

struct snapshot_job {
	const struct vfs *vfs;
	char root[SNAPSHOT_PATH_SIZE];
	char dir[SNAPSHOT_PATH_SIZE]; /* <root>/snapshots */
	uint64_t from;
	struct vfs_file *file;      /* Set by the first run; closed by the last one, or by snapshot_job_abandon. */
	uint64_t file_offset;       /* Moved on by each run. */
	struct buffer data;         /* Written and emptied by each run. */
	struct pagefile *pages;     /* Synced before the file gets its name. */
	bool finish;                /* The data ends with the end chunk. */
	bool discard;               /* The file is to go: nothing will come of it. */
	uint64_t unsynced;
	bool sync_failed;           /* A sync failed: what the files hold is in doubt, the process should stop. */
	enum status result;
	struct errinfo err;
};

/* Prepares *job; no disk is touched. */
void snapshot_job_init(struct snapshot_job *job, const struct vfs *vfs, const char *root, uint64_t from,
		       struct pagefile *pages);
/* Any one thread. Writes job->data; with `finish` makes everything durable, gives the file its name and removes all but
 * the SNAPSHOT_KEPT newest. ST_IO, ST_FULL in job->result: the snapshot is lost and its *.tmp file gone, the broker is not,
 * unless a sync failed. With `discard` removes the *.tmp file and nothing else. Blocks. */
void snapshot_job_run(struct snapshot_job *job);
/* Closes and forgets. A *.tmp file that was not discarded stays for the next snapshot or start to remove. */
void snapshot_job_deinit(struct snapshot_job *job);

/* --- reading ---------------------------------------------------------------------------------------------------- */

/* Offsets of the snapshots under `root`, newest first, at most `max`; 0 without any. */
enum status snapshot_list(const struct vfs *vfs, const char *root, uint64_t *offsets, size_t max, size_t *count_out,
			  struct errinfo *err) MUST_USE;

struct snapshot_reader;

/* Opens and verifies all of the file. ST_CORRUPT names file and offset; ST_VERSION: it is of another version. */
enum status snapshot_open(const struct vfs *vfs, const char *root, uint64_t from, struct snapshot_reader **out,
			  struct errinfo *err) MUST_USE;
/* The newest that is whole, and what was met on the way to it. */
struct snapshot_choice {
	struct snapshot_reader *reader; /* NULL: none is whole. */
	uint64_t older;                 /* The offset of the one before it, unread; 0: none. */
	uint64_t damaged[SNAPSHOTS_TRIED];
	size_t damaged_count;           /* Newer ones that were passed over; `passed_over` (NULL: nobody) hears why of each. */
};
/* Errors as snapshot_open, but for damage. */
enum status snapshot_open_newest(const struct vfs *vfs, const char *root, void (*passed_over)(const char *why),
				 struct snapshot_choice *out, struct errinfo *err) MUST_USE;
/* Whoever has the store's lock, at a start, when what was chosen serves: removes what interrupted snapshots left and calls the
 * damaged ones *.damaged, so that they do not count as kept; the next snapshot removes them. What cannot be done now is done
 * another time. */
void snapshot_tidy(const struct vfs *vfs, const char *root, const struct snapshot_choice *choice);
/* NULL is allowed. */
void snapshot_close(struct snapshot_reader *reader);
const struct snapshot_header *snapshot_header(const struct snapshot_reader *reader);
const struct snapshot_end *snapshot_end(const struct snapshot_reader *reader);
const char *snapshot_path(const struct snapshot_reader *reader);
uint64_t snapshot_file_size(const struct snapshot_reader *reader);
/* Payload that the file has in all chunks of this section. */
uint64_t snapshot_section_bytes(const struct snapshot_reader *reader, unsigned section);

struct snapshot_chunk {
	unsigned section;
	uint32_t item_count;
	struct span payload; /* Valid until the next call. */
};
/* The next chunk; ST_NOTFOUND after the last one. ST_IO, ST_CORRUPT (the file has changed since), ST_NOMEM. */
enum status snapshot_next(struct snapshot_reader *reader, struct snapshot_chunk *out, struct errinfo *err) MUST_USE;

#endif
