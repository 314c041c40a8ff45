/* What a test and the disk shim in a broker share: one page of a file that both map.
 *
 * The shim (tests/shim/diskshim.c) is a library that the broker is started with (LD_PRELOAD); it stands between the broker
 * and the C library's file calls. The test says in `mode` what the disk does from now on. */
#ifndef ESCROW_TESTS_DISKSHIM_H
#define ESCROW_TESTS_DISKSHIM_H

#include <stdatomic.h>

#define DISKSHIM_ENV "ESCROW_DISKSHIM" /* Path of the shared file. */

enum diskshim_mode {
	DISKSHIM_PASS,
	DISKSHIM_HOLD,       /* Syncs do not return until the mode changes; then they happen. */
	DISKSHIM_FAIL_SYNC,  /* Each sync from the `countdown`-th on fails with EIO. */
	DISKSHIM_FAIL_WRITE, /* Each write from the `countdown`-th on fails with EIO. */
	DISKSHIM_FULL,       /* Each write from the `countdown`-th on fails with ENOSPC. */
};

struct diskshim {
	atomic_int mode;
	atomic_int countdown;
	atomic_int held;          /* Syncs that do not return at the moment. */
	atomic_int failures;      /* Calls that were made to fail. */
	atomic_int syncs;         /* Syncs that were asked for. */
};

#endif
