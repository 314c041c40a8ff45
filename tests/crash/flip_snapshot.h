/* Flipped bits in what a start does not read from end to end: snapshots, index pages, the log before the newest snapshot.
 * Threads: one. */
#ifndef ESCROW_TESTS_FLIP_SNAPSHOT_H
#define ESCROW_TESTS_FLIP_SNAPSHOT_H

#include <stdbool.h>

/* Tells what was done; returns how many of the proofs held. Failures are counted by subject_fail. */
unsigned flip_snapshots(bool full);

#endif
