/* Pages: how do thousands of small growing arrays share one file and a bounded cache?
 *
 * One file of 4 KiB pages, handed out in order. A page is changed in the cache and written behind by jobs, unsynced:
 * what lies in pages is a projection of the log. A snapshot makes it last: it sweeps (writes what is dirty), syncs, and
 * says which pages belong to whom; replay from there puts everything newer at its place again. A page that is given back
 * is handed out again only when no snapshot that is kept can name it.
 * The cache is allocated once; a clock picks the page to drop. Dropping needs a clean page: when more than half of the
 * cache is dirty, flush jobs are offered, and only when all of it is dirty does the loop write some out by itself.
 *
 * Misses: a page about to be changed is read inline (page cache first). For reading, `read_inline` chooses between
 * the same and ST_AGAIN, after which the caller runs a read job and asks again.
 *
 * Threads: the loop owns it; pagefile_*_run functions are for any thread. */
#ifndef ESCROW_INDEX_PAGEFILE_H
#define ESCROW_INDEX_PAGEFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/vfs.h"

enum {
	PAGEFILE_PAGE_SIZE = 4096,
	PAGEFILE_JOB_PAGES = 32,
	PAGEFILE_READS_MAX = 64, /* Read jobs under way at once. */
	PAGEFILE_CACHE_MIN = 256 * 1024,
};

struct pagefile;

struct pagefile_config {
	const char *path;     /* File; its directory must exist. */
	uint64_t cache_bytes; /* At least PAGEFILE_CACHE_MIN; 0 = 32 MiB. */
	bool read_inline;     /* Read misses block for the disk instead of ST_AGAIN. */
	uint32_t page_count;  /* Pages that a snapshot knows; 0: the file is emptied. */
	uint32_t page_min;    /* So many of them must be in the file. ST_NOTFOUND without it or when it is shorter. */
	uint64_t known_at;    /* The log offset of that snapshot. ST_NOTFOUND if the file was built anew behind it. */
	uint64_t built_at;    /* Without page_count: it is built anew at this log offset, because it was lost: its pages are not those
			       * that the snapshots of before name. 0: there are none of before. */
};

enum status pagefile_open(const struct pagefile_config *config, const struct vfs *vfs, struct pagefile **out,
			  struct errinfo *err) MUST_USE;
/* The log offset at which the file at `path` was built anew; 0: never, or there is no file. */
enum status pagefile_built_at(const struct vfs *vfs, const char *path, uint64_t *log_offset_out, struct errinfo *err) MUST_USE;
/* NULL is allowed. Writes nothing. No job may be out. */
void pagefile_close(struct pagefile *pf);
/* Changes read_inline: true while replaying, false while serving. */
void pagefile_set_read_inline(struct pagefile *pf, bool read_inline);

/* A new page, zeroed and dirty. *data_out is valid until the next pagefile_ call. ST_IO, ST_FULL (inline write-out),
 * ST_TOOBIG (2^32 pages), ST_NOMEM. */
enum status pagefile_allocate(struct pagefile *pf, uint32_t *page_out, uint8_t **data_out,
			      struct errinfo *err) MUST_USE;
/* An existing page, to be changed (marked dirty). Blocks on a miss that the operating system's cache does not have. The two
 * pages changed last (or allocated) stay in the cache: changing them again cannot fail. */
enum status pagefile_change(struct pagefile *pf, uint32_t page, uint8_t **data_out, struct errinfo *err) MUST_USE;
/* An existing page, to be read. *data_out is valid until the next pagefile_ call. ST_AGAIN: run a read job. */
enum status pagefile_get(struct pagefile *pf, uint32_t page, const uint8_t **data_out, struct errinfo *err) MUST_USE;

/* Nobody uses this page any more. */
void pagefile_release(struct pagefile *pf, uint32_t page);
/* Says that the pages [0, page_count) which `used` does not mark (one bit each) are nobody's. Once, after loading. */
enum status pagefile_release_unused(struct pagefile *pf, const uint8_t *used) MUST_USE;
uint32_t pagefile_page_count(const struct pagefile *pf);

struct pagefile_stats {
	uint64_t free_pages;  /* Ready to be handed out, or waiting for older snapshots to go. */
	uint64_t page_count, cached_pages, dirty_pages;
	uint64_t miss_count, write_count, inline_write_count;
};
struct pagefile_stats pagefile_stats(const struct pagefile *pf);

/* --- write-behind --- */
struct pagefile_flush_job {
	struct vfs_file *file;
	uint32_t page_count;
	uint32_t pages[PAGEFILE_JOB_PAGES]; /* Ascending. */
	uint32_t frames[PAGEFILE_JOB_PAGES];
	uint8_t *data; /* Copies; owned by the pagefile. */
	enum status result;
	struct errinfo err;
};
/* False when fewer than half of the cached pages are dirty or a job is in flight. */
bool pagefile_take_flush(struct pagefile *pf, struct pagefile_flush_job *out) MUST_USE;
/* Any one thread. Blocks on the disk. */
void pagefile_flush_run(struct pagefile_flush_job *job);
/* A failed job leaves its pages dirty, so that they are tried again; the failure is returned. */
enum status pagefile_flush_done(struct pagefile *pf, const struct pagefile_flush_job *job,
				struct errinfo *err) MUST_USE;

/* --- snapshots --- */
/* From now on flush jobs are offered until every page that is dirty now has been written. */
void pagefile_sweep(struct pagefile *pf);
enum pagefile_sweep_state { PAGEFILE_SWEEPING, PAGEFILE_SWEPT, PAGEFILE_SWEEP_FAILED };
enum pagefile_sweep_state pagefile_sweep_state(const struct pagefile *pf);
/* Makes what has been written durable. Any one thread, while no other function but jobs' runs needs the file closed. */
enum status pagefile_sync(struct pagefile *pf, struct errinfo *err) MUST_USE;
/* The snapshot of the last sweep is durable, and the one before is the oldest kept: what was given back earlier than
 * that one's sweep is free. */
void pagefile_snapshot_done(struct pagefile *pf);

/* --- read misses --- */
struct pagefile_read_job {
	struct vfs_file *file;
	uint32_t page;
	enum status result;
	struct errinfo err;
	uint8_t data[PAGEFILE_PAGE_SIZE];
};
/* Fills *job for the page of the last ST_AGAIN. False when there was none since the last take, when a job for that page
 * is under way already, or when PAGEFILE_READS_MAX are: ask again when a read has been reported. */
bool pagefile_take_read(struct pagefile *pf, struct pagefile_read_job *out) MUST_USE;
/* Any thread, several at once. Blocks on the disk. */
void pagefile_read_run(struct pagefile_read_job *job);
/* Puts the page into the cache, unless it is there by now. The failure of a failed job is returned. */
enum status pagefile_read_done(struct pagefile *pf, const struct pagefile_read_job *job, struct errinfo *err) MUST_USE;

#endif
