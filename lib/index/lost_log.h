/* Is there no log because there has never been one, or because it is lost?
 *
 * commitlog_open makes a log where there is none. But everything else in a store is made after its log has been durable once:
 * snapshots, key runs, index.pages, the broker's name. Where one of these is there without any segment, the log's file system is
 * not mounted, or somebody has removed it; a new log would hide that, and what is left would not fit it.
 * Threads: any one thread. Looks only; blocks on the disk. */
#ifndef ESCROW_INDEX_LOST_LOG_H
#define ESCROW_INDEX_LOST_LOG_H

#include "lib/log/vfs.h"

/* ST_CORRUPT for a store that has lost its log; the text says by what that is seen and what to do. ST_OK with a log, and where
 * there is nothing at all. ST_IO, ST_TOOBIG. */
enum status lost_log_check(const struct vfs *vfs, const char *root, struct errinfo *err) MUST_USE;

#endif
