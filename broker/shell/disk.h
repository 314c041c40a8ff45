/* The broker's disk work: takes jobs from log and page file, runs them on worker threads, reports them back.
 *
 * The flusher writes and syncs the log's tail whenever there is something and it is idle: no timer, one sync for all
 * that came during the last one. The housekeeper prepares the log ahead, removes or recycles what was given up behind,
 * writes index pages and snapshots, and looks how full the disk is. The reader
 * brings what is only on disk into the page cache.
 * Threads: all functions the loop thread's; docs/threading.md shows who hands what to whom. */
#ifndef ESCROW_SHELL_DISK_H
#define ESCROW_SHELL_DISK_H

#include "broker/core/core.h"
#include "lib/base/status.h"
#include "lib/net/mailbox.h"

struct disk;
struct snapshotter;
struct store;

struct disk_callbacks {
	void *context;
	void (*flushed)(void *context);                            /* Watermarks have moved. */
	void (*index_read)(void *context);                         /* An index page has come. */
	void (*failed)(void *context, const struct errinfo *err);  /* Final: stop. */
};

/* The log is prepared no further when less than `free_min` would be left to index pages and snapshots (a sixteenth of
 * a small file system). Then the disk is low, and full once the prepared log is down to what is reserved. */
struct disk_limits {
	uint64_t free_min;     /* Bytes. */
	uint64_t warn_percent; /* Used: low from there on. */
};
enum { DISK_PREPARE_CHUNK = 4 * 1024 * 1024 };

/* `store` and `snapshotter` outlive it. `sync`: sync every write; otherwise write at once and sync each SYNC_INTERVAL. */
enum status disk_create(struct mailbox *mailbox, const struct store *store, struct snapshotter *snapshotter,
			const struct disk_limits *limits, bool sync, const struct disk_callbacks *callbacks, struct disk **out,
			struct errinfo *err) MUST_USE;
/* Starts what can be started. Call at the end of each turn. */
void disk_turn_end(struct disk *disk, int64_t now_ms);
/* Reads [offset, offset + size) of the log into the page cache; `done` (may be NULL) follows in the loop.
 * ST_BUSY: too many are under way. */
enum status disk_warm(struct disk *disk, uint64_t offset, uint32_t size, void (*done)(void *context), void *context) MUST_USE;
/* Tells the system that [offset, offset + size) of the log will be read soon; nothing if that cannot be done now. */
void disk_read_ahead(struct disk *disk, uint64_t offset, uint32_t size);
/* So many bytes of prepared log are not for new messages (core_reserved_bytes). */
void disk_set_reserved(struct disk *disk, uint64_t bytes);
/* As of a second ago at most. */
enum disk_level disk_level(const struct disk *disk);
/* No more of the log can be prepared: there is too little space, or the last try found none. */
bool disk_log_stands(const struct disk *disk);
uint64_t disk_free_bytes(const struct disk *disk);
/* Of the file system, as far as it may be used: what is used and what is free. */
uint64_t disk_total_bytes(const struct disk *disk);
bool disk_idle(const struct disk *disk);
/* Ends the threads; their last reports come with the next turns of the loop. Then disk_destroy. */
void disk_stop(struct disk *disk);
void disk_destroy(struct disk *disk);

#endif
