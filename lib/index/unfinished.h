/* Is this directory a store, or a copy of one that was never finished?
 *
 * A copy that a kill, a full disk or a power cut has ended early looks like a store that had just been like that: a log may end
 * anywhere. So a mark, <root>/unfinished, is durable before anything is copied and goes when everything is there. What has the
 * mark is not a store for anybody: neither for a broker, nor as the source of a copy.
 * Threads: any one thread for each root. Every function blocks on the disk. */
#ifndef ESCROW_INDEX_UNFINISHED_H
#define ESCROW_INDEX_UNFINISHED_H

#include "lib/log/vfs.h"

/* `root` is there and holds nothing yet. Durable on ST_OK; after a failure the mark may be there. */
enum status unfinished_mark(const struct vfs *vfs, const char *root, struct errinfo *err) MUST_USE;
/* All of it is there and durable. */
enum status unfinished_clear(const struct vfs *vfs, const char *root, struct errinfo *err) MUST_USE;
/* ST_CORRUPT with the mark; the text says what to do. ST_OK without, also without the directory. */
enum status unfinished_check(const struct vfs *vfs, const char *root, struct errinfo *err) MUST_USE;

#endif
