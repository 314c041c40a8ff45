/* A disk in memory that forgets: the file layer (lib/log/vfs.h) for tests and the simulator.
 *
 * It keeps two states: what a running process sees, and what is durable. A file's sectors (512 bytes) become durable
 * with vfs_sync, names with vfs_sync_dir. memdisk_crash() is a power cut: each sector written since the last sync is
 * kept or lost by itself (so writes are dropped, torn and reordered), a file's size falls somewhere between the durable
 * and the last one, and of the names changed since the last directory sync a prefix survives.
 *
 * Faults: memdisk_fail() makes the n-th operation from now fail in a chosen way.
 *
 * After a crash open files are dead: close whatever holds them (commitlog_close(log, false)) before or after, but use
 * none of them. Threads: one. Its memory is what the files hold. */
#ifndef ESCROW_TESTS_MEMDISK_H
#define ESCROW_TESTS_MEMDISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log/vfs.h"

enum { MEMDISK_SECTOR = 512 };

struct memdisk;
struct disk_trace;

struct memdisk *memdisk_create(void);
/* Aborts when a file is still open, and names it: a server that loses one descriptor an hour ends one day. */
void memdisk_destroy(struct memdisk *disk);
/* The file layer over this disk; lives as long as the disk. */
const struct vfs *memdisk_vfs(struct memdisk *disk);

/* Power cut; the same seed loses the same bytes. Also ends fault injection. */
void memdisk_crash(struct memdisk *disk, uint64_t seed);
/* A process kill: nothing is lost but locks (what was written stays visible and volatile). */
void memdisk_kill(struct memdisk *disk);

enum memdisk_fault {
	MEMDISK_EIO,         /* The operation fails with ST_IO and does nothing. A failed sync loses the unsynced bytes. */
	MEMDISK_ENOSPC,      /* A write, create or rename fails with ST_FULL; other operations with ST_IO. */
	MEMDISK_SHORT_WRITE, /* A write stores a part and fails with ST_IO; other operations fail with ST_IO. */
};
/* Fails the `countdown`-th changing operation from now (1 = the next): write, sync, create, rename, unlink,
 * mkdir, directory sync. With `sticky` every later one fails too. countdown 0 = never. */
void memdisk_fail(struct memdisk *disk, uint64_t countdown, enum memdisk_fault fault, bool sticky);
/* True once the armed fault has struck. */
bool memdisk_fault_struck(const struct memdisk *disk);
/* As memdisk_fail for read operations (ST_IO). */
void memdisk_fail_reads(struct memdisk *disk, uint64_t countdown);
/* The same for operations that only look: open of a file that is there, size, list (ST_IO). */
void memdisk_fail_looks(struct memdisk *disk, uint64_t countdown);
/* The armed countdown (of whichever kind) as it is now: 0 when none is armed or it has struck. */
uint64_t memdisk_fault_left(const struct memdisk *disk);
/* True while the disk itself allocates: a test that makes allocations fail leaves those alone. */
extern _Thread_local volatile bool memdisk_allocates;
/* While set, what would make a new file or a longer one fails with ST_FULL; everything else goes on. */
void memdisk_set_full(struct memdisk *disk, bool full);
/* All vfs_read_nowait give ST_AGAIN while set (a cold page cache). */
void memdisk_set_cold(struct memdisk *disk, bool cold);

/* --- looking and meddling --- */

/* The visible content of a file; NULL when absent. Valid until the disk is next used. */
uint8_t *memdisk_data(struct memdisk *disk, const char *path, size_t *size_out);
/* Replaces a file's content, visible and durable at once. Aborts when out of memory. */
void memdisk_put(struct memdisk *disk, const char *path, const void *data, size_t size);
/* Removes a file, durable at once; false when absent. */
bool memdisk_remove(struct memdisk *disk, const char *path);
/* Removes every file whose path begins so. */
void memdisk_remove_all(struct memdisk *disk, const char *prefix);
/* An independent copy of the disk as it is (no locks, no faults, nothing open). */
struct memdisk *memdisk_clone(const struct memdisk *disk);

/* From now on every change is recorded in `trace` (disk_trace.h), which must outlive the disk; the disk must be fresh. */
void memdisk_trace(struct memdisk *disk, struct disk_trace *trace);

struct memdisk_stats {
	uint64_t write_count, sync_count, read_count, byte_count; /* byte_count: written */
};
struct memdisk_stats memdisk_stats(const struct memdisk *disk);

#endif
