/* Copying a store, live or not, so that the copy opens: which files, in which order, up to where?
 *
 * The newest whole snapshot; the log from its oldest segment to the last valid record; the index pages. If what follows that
 * record is damaged there is no copy: it would be a sound store in which messages are missing. Copied while a broker writes:
 * below the log's valid end nothing changes any more, and what changes in the index pages meanwhile is put right by the replay
 * behind the snapshot, as long as the snapshot is still kept when the pages have been copied. A segment that retention takes
 * away during the copy, or a snapshot that is replaced twice, makes it begin again.
 *
 * A copy is complete when this returns: everything is synced and was read once more and checked. It holds what the broker
 * had acknowledged before the copy began, and perhaps some of what came after. Until then it has a mark (unfinished.h), with which
 * nobody takes it for a store, however the copying may have ended. A target that is not there is made as <target>.unfinished and
 * renamed when it has the mark; one that is there gets the mark first, and may be left empty.
 * Threads: any one thread; takes no lock of the source, and a store's lock of the target. Blocks. */
#ifndef ESCROW_INDEX_BACKUP_H
#define ESCROW_INDEX_BACKUP_H

#include <stdint.h>

#include "lib/log/vfs.h"

struct backup_result {
	uint64_t snapshot_from;  /* 0: without a snapshot. */
	uint64_t log_start;      /* Offset of the oldest record. */
	uint64_t log_end;        /* After the last one. */
	uint64_t bytes;          /* Copied. */
	unsigned attempts;       /* 1: the first one was good. */
};

/* Copies the store in `source` into `target`, a directory that is empty or not there (its parent must be). ST_INVALID:
 * the target holds something, or is no directory. ST_NOTFOUND: no store in the source, or too much of it changed during each
 * attempt. ST_CORRUPT: the source is damaged, or an unfinished copy itself; the text says which. ST_VERSION, ST_IO, ST_FULL,
 * ST_NOMEM. What was copied before a failure stays, with the mark. */
enum status backup_store(const struct vfs *vfs, const char *source, const char *target, struct backup_result *out,
			 struct errinfo *err) MUST_USE;

/* Would a broker start on the copy (or on any store that is not in use)? Checks every record and the snapshot. ST_CORRUPT also for
 * an unfinished one. */
enum status backup_verify(const struct vfs *vfs, const char *root, struct backup_result *out, struct errinfo *err) MUST_USE;

#endif
