/* A machine's disk: a memory disk (tests/support/memdisk.h), and what lies between it and a process.
 *
 * Between them are the page cache (what was dropped from it makes reads without waiting give ST_AGAIN until somebody
 * waits for the disk), faults (a sync that fails, no space for files to grow), and death: a process that is killed, or
 * whose machine loses power, may get a few more operations done, and after that none of its calls reaches the disk, however
 * long its code goes on cleaning up.
 * Threads: one. */
#ifndef ESCROW_SIM_DRIVE_H
#define ESCROW_SIM_DRIVE_H

#include <stdbool.h>
#include <stdint.h>

struct drive;
struct memdisk;
struct vfs;

struct drive *drive_create(void);
void drive_destroy(struct drive *drive);
/* For a process that starts; stays the same over restarts, but files that an earlier process opened are dead. */
const struct vfs *drive_vfs(struct drive *drive);
/* The disk as if its log had never been shortened, for a last look. The caller's, to be destroyed. */
struct memdisk *drive_whole(struct drive *drive);
/* The disk itself. */
struct memdisk *drive_memory(struct drive *drive);

/* The process gets `operations` more changing calls through, then all fail. */
void drive_let_die(struct drive *drive, uint32_t operations);
/* It is dead now. What it wrote stays as it is, or (`power`) what was not synced is lost, torn or kept as the seed says. */
void drive_cut(struct drive *drive, bool power, uint64_t seed);
/* A new process may use it. */
void drive_revive(struct drive *drive);

/* The `n`-th sync from now fails (1 = the next). */
void drive_fail_sync(struct drive *drive, uint32_t n);
bool drive_sync_failed(const struct drive *drive);
/* While full, files cannot be made, or grow. */
void drive_set_full(struct drive *drive, bool full);
bool drive_is_full(const struct drive *drive);
/* Nothing is in the page cache any more. */
void drive_drop_cache(struct drive *drive);

#endif
