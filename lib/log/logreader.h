/* Reading the log from outside of the loop: what does the log say, from here on, up to there?
 *
 * An independent, read-only follower that opens the segment files itself: for the projector thread (below the
 * durable mark that the loop tells it) and for escrow-log (offline, or beside a running broker). Every record's
 * envelope, own offset, epoch order and CRC are checked.
 *
 * Threads: a reader belongs to one thread at a time; it shares nothing with a struct commitlog. */
#ifndef ESCROW_LOG_LOGREADER_H
#define ESCROW_LOG_LOGREADER_H

#include <stdint.h>

#include "lib/log/commitlog.h"

#define LOG_NO_LIMIT UINT64_MAX

struct logreader;

/* Opens the log under `root` at `from`: a record's offset, or 0 for the oldest record. The log's end is allowed (it
 * waits there). ST_NOTFOUND: no log, or `from` is older than what is kept, or past the last segment. ST_CORRUPT,
 * ST_VERSION, ST_IO, ST_NOMEM. Blocks. */
enum status logreader_open(const struct vfs *vfs, const char *root, uint64_t from, struct logreader **out,
			   struct errinfo *err) MUST_USE;
/* NULL is allowed. */
void logreader_close(struct logreader *reader);

/* The next record, of every kind, lib/log's own included; its payload is valid until the next call.
 * `limit` is a watermark of the log, hence a record's boundary: ST_AGAIN when there is nothing below it; call again
 * with a higher one. ST_CORRUPT below it is damage.
 * With LOG_NO_LIMIT the log is read to its valid end: ST_AGAIN where zeros follow, ST_CORRUPT (with the reason) where
 * something else does, which is a torn tail or damage: log_check (recovery.h) tells which.
 * After a failure the reader stays where it was, and a later call tries again. Blocks on the disk. */
enum status logreader_next(struct logreader *reader, uint64_t limit, struct log_record *out,
			   struct errinfo *err) MUST_USE;

/* Offset of the record that logreader_next gives next (possibly in the next segment). */
uint64_t logreader_position(const struct logreader *reader);
/* The log's identity: LOG_ID_SIZE bytes. */
const uint8_t *logreader_log_id(const struct logreader *reader);
/* Cluster name of the log, NUL-terminated. */
const char *logreader_cluster(const struct logreader *reader);
/* Why the last logreader_next did not give a record, when the bytes at the position are not one ("CRC mismatch");
 * NULL when it was something else: the limit, a file that cannot be read, a bad segment header. Static text. */
const char *logreader_bad_record(const struct logreader *reader);

#endif
