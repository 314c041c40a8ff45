/* Reading a log to its valid end, for the commands that want records, not bytes.
 *
 * Works beside a running broker and offline. Where the log ends in something that is no record, it is judged as a start of
 * the broker would judge it: a torn tail (or a write under way) is the end; damage is ST_CORRUPT. Zeros are the end, too, where
 * a damaged file elsewhere lets nobody judge: what lies behind that damage can be read all the same.
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_WALK_H
#define ESCROW_TOOLS_LOG_WALK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/log/commitlog.h"
#include "lib/log/vfs.h"

/* Not OK ends the walk and is returned, with the record's name in front; ST_CLOSED ends it well. */
typedef enum status (*walk_visit)(void *context, const struct log_record *record, struct errinfo *err);

struct walk_end {
	uint64_t offset;   /* The end: where the next record goes. */
	bool torn;         /* Something unfinished follows. */
	char reason[160];  /* What. */
};

/* From `from` (a record's offset; 0 = the oldest record) on; every kind, lib/log's own too. ST_INVALID: no record starts
 * at `from`; the text names the nearest. ST_CORRUPT for damage: the visitor has had everything before it. ST_NOTFOUND, ST_IO,
 * ST_NOMEM, ST_VERSION. *end_out (may be NULL) is filled for ST_OK and for ST_CORRUPT. */
enum status log_walk(const struct vfs *vfs, const char *root, uint64_t from, walk_visit visit, void *context,
		     struct walk_end *end_out, struct errinfo *err) MUST_USE;

/* Tells people on standard error that the log ends in a torn write. Nothing for an end that is not torn. */
void walk_note_torn(const struct walk_end *end);
/* The same for a store that is an unfinished copy, which can be walked as far as it goes. */
void walk_note_unfinished(const struct vfs *vfs, const char *root);

#endif
