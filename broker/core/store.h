/* What does a start read, and in which order? The log, the index pages and the newest snapshot that is whole.
 *
 * A snapshot that is damaged is passed over with a warning for the older one, and set aside; that costs a longer replay. Without
 * any the whole log is replayed, as long as it begins at its beginning. An index file that is lost is built anew from the log.
 * A log is made only where there was never one; where anything else of a store is left without it, it is lost
 * (lib/index/lost_log.h). An unfinished copy (lib/index/unfinished.h) is no store. The log's lock guards all of it.
 * Threads: the loop thread. Blocks on the disk. */
#ifndef ESCROW_CORE_STORE_H
#define ESCROW_CORE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log/commitlog.h"

struct pagefile;
struct snapshot_reader;

struct store_config {
	struct commitlog_config log; /* `known` is filled in. */
	uint64_t index_cache_bytes;  /* See pagefile_config. */
	const char *broker_name;     /* Whose store it must be (store_owner.h); NULL: anybody's. */
};

struct store {
	const struct vfs *vfs;
	char root[512];
	struct commitlog *log;
	struct pagefile *files;
	struct snapshot_reader *snapshot; /* For core_open; store_loaded closes it. NULL: none. */
	bool rebuild_index;               /* The index file is lost: core_open fills it from the log. */
	uint64_t snapshot_from;           /* Of the one that was loaded; 0: none. */
	uint64_t snapshot_bytes;          /* Its file's size. */
	uint64_t snapshot_generation;
	uint64_t older_from;              /* Of the older one that is kept; 0: none. */
};

/* Opens everything. Errors as commitlog_open, and ST_CORRUPT when what is left cannot make up the state: the text says
 * what to restore. On failure nothing is held. */
enum status store_open(const struct store_config *config, const struct vfs *vfs, struct store *out,
		       struct errinfo *err) MUST_USE;
/* The core has its state: the snapshot is not needed any more. */
void store_loaded(struct store *store);
/* Closes what is open; `clean` as in commitlog_close, whose failure is returned. A store that was never opened (zeros) is
 * allowed. */
enum status store_close(struct store *store, bool clean, struct errinfo *err) MUST_USE;

#endif
