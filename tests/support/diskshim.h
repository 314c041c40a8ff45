/* What a test and the disk shim in a broker share: one page of a file that both map.
 *
 * The shim (tests/shim/diskshim.c) is a library that the broker is started with (LD_PRELOAD); it stands between the broker
 * and the C library's file calls. The test says in `mode` what the disk does from now on. Threads: a test's one. */
#ifndef ESCROW_TESTS_DISKSHIM_H
#define ESCROW_TESTS_DISKSHIM_H

#include <stdatomic.h>
#include <stdbool.h>

#define DISKSHIM_ENV "ESCROW_DISKSHIM" /* Path of the shared file. */

enum diskshim_mode {
	DISKSHIM_PASS,
	DISKSHIM_HOLD,       /* Syncs happen and return when the mode changes, or one for each of `passes`. */
	DISKSHIM_FAIL_SYNC,  /* Each sync from the `countdown`-th on fails with EIO. */
	DISKSHIM_FAIL_WRITE, /* Each write from the `countdown`-th on fails with EIO. */
	DISKSHIM_FULL,       /* Each write from the `countdown`-th on fails with ENOSPC. */
};

struct diskshim {
	atomic_int mode;
	atomic_int countdown;
	atomic_int passes;        /* So many held syncs may go, one after the other. */
	atomic_int held;          /* Syncs that do not return at the moment. */
	atomic_int failures;      /* Calls that were made to fail. */
	atomic_int syncs;         /* Syncs that were asked for. */
};

/* The page in file `path`, which is made; ends the test when that fails. Unmap with diskshim_close. */
struct diskshim *diskshim_open(const char *path);
void diskshim_close(struct diskshim *shim);
/* From here until diskshim_leave, programs that are started have the shim over `path` in front of their C library. */
void diskshim_enter(const char *path);
void diskshim_leave(void);
/* Waits until a counter is there; false after ten seconds. */
bool diskshim_wait(const atomic_int *value, int at_least);

#endif
