/* The segment files of a store, as their headers say; and is a broker there?
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_SEGMENTS_H
#define ESCROW_TOOLS_LOG_SEGMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/vfs.h"

struct segment_item {
	uint64_t base, size, file_size;
	int64_t created_ms;
	bool recycled;
};

struct segment_list {
	struct segment_item *items; /* Oldest first. */
	size_t count;
};

/* ST_CORRUPT for a bad header (check says more), ST_NOTFOUND without a log. Free with segments_free in any case. */
enum status segments_list(const struct vfs *vfs, const char *root, struct segment_list *out, struct errinfo *err) MUST_USE;
void segments_free(struct segment_list *list);

/* True while a process holds the store's lock: *pid_out is its number as the lock file says. Looks only (at /proc/locks),
 * so that no broker that starts at this moment finds the store locked by us. On a machine without /proc/locks: false. */
bool store_is_in_use(const char *root, long *pid_out);

#endif
