/* Takes snapshots while the broker serves: when, and what is its next step?
 *
 *     begin     the log has grown enough: the position is `from`; index pages are swept
 *     slices    one at a time, each as soon as the last one's write has been reported
 *     settle    until everything that the slices speak of is durable and the sweep is through
 *     finish    the end chunk; index pages and file synced, renamed; a SNAPSHOT_MARK record
 *
 * The log that a start replays is bounded by `snapshot_bytes`, or by a multiple of the last snapshot's own size when that
 * is more (writing 700 MB for each 256 MB of log would be half of all writing). A snapshot that fails (full disk) is removed and
 * tried again later, and one that would not fit is not begun; the broker does not depend on it, but the log is kept from the
 * older one on until there are two newer ones.
 * Threads: the loop thread; jobs run on any one thread. */
#ifndef ESCROW_CORE_SNAPSHOTTER_H
#define ESCROW_CORE_SNAPSHOTTER_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct core;
struct snapshot_job;
struct snapshotter;
struct store;

/* `store` and `core` outlive it. NULL when out of memory. */
struct snapshotter *snapshotter_create(struct core *core, const struct store *store);
/* NULL is allowed. No job may be running; one that has run need not be reported. */
void snapshotter_destroy(struct snapshotter *snapshotter);

/* Moves on. Each turn; cheap when there is nothing to do. */
void snapshotter_step(struct snapshotter *snapshotter);
/* A job to be run with snapshot_job_run and reported; NULL when there is none now. */
struct snapshot_job *snapshotter_take(struct snapshotter *snapshotter);
/* A failure is told in the log and ends this snapshot; `err` gets its text. */
enum status snapshotter_done(struct snapshotter *snapshotter, struct errinfo *err) MUST_USE;
/* A snapshot is under way. */
bool snapshotter_busy(const struct snapshotter *snapshotter);
/* Begin one at the next step, however little the log has grown (an operator's or a test's wish). */
void snapshotter_want(struct snapshotter *snapshotter);

/* Bytes that a snapshot may take now, on a disk that is known to have them. Before the first call: any number. */
void snapshotter_set_room(struct snapshotter *snapshotter, uint64_t bytes);

struct snapshotter_stats {
	uint64_t taken, failed;
	uint64_t last_from, last_bytes;
};
struct snapshotter_stats snapshotter_stats(const struct snapshotter *snapshotter);

#endif
