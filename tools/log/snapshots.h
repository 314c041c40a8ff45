/* The snapshot files of a store: which are there, and which are whole?
 * Threads: one. Reading a snapshot reads all of it. */
#ifndef ESCROW_TOOLS_LOG_SNAPSHOTS_H
#define ESCROW_TOOLS_LOG_SNAPSHOTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/log/vfs.h"

enum { SNAPSHOTS_MAX = 8 };

struct snapshot_item {
	uint64_t from;          /* A start replays from here on; also its name. */
	bool whole;
	bool other_version;     /* Of a format version that this program does not read. */
	char problem[256];      /* What is wrong, if it is not whole. */
	uint64_t durable;       /* Of a whole one: what it says was durable. */
	uint64_t generation;
	int64_t wall_ms;
	uint64_t swept_pages;   /* So many index pages must be there. */
	uint8_t log_id[LOG_ID_SIZE];
};

struct snapshot_items {
	struct snapshot_item items[SNAPSHOTS_MAX]; /* Newest first. */
	size_t count;
	bool index_lost;        /* The index file is not there, shorter than the newest whole snapshot needs, or built behind it. */
};

/* ST_OK without any, too. ST_IO, ST_NOMEM. */
enum status snapshots_read(const struct vfs *vfs, const char *root, struct snapshot_items *out, struct errinfo *err) MUST_USE;
/* The one that a start uses; NULL for none. */
const struct snapshot_item *snapshots_newest(const struct snapshot_items *list);
/* What it has proved of the log. */
struct log_known snapshots_known(const struct snapshot_items *list);

#endif
