/* Which disks can a power cut leave? Walks a recorded trace and, at each position, builds the disks that may be found if the
 * power goes right there.
 *
 * What was synced is there. Of the rest, anything may be:
 *   - a write that no sync has covered is there, or not, or torn at a sector boundary, each by itself (so writes are
 *     dropped, torn and reordered); a sector is there whole or not at all, with everything written to it until then;
 *   - after a sync that failed, what it was to cover stays in doubt, whatever is synced later;
 *   - a file that grew or was emptied has its old size, the new one, or one in between;
 *   - a created, renamed or removed name, and a new directory, counts only after a sync of its own directory; until then each
 *     change has happened or not by itself.
 *
 * At each position every combination is built if there are few, else a sample chosen by a seed: nothing, everything, all
 * but one, one only, then by chance. Building costs what is different from the synced part, not the size of the disk.
 *
 *     while (disk_states_advance(states)) {
 *             disk_states_begin(states, limit, seed);
 *             while ((disk = disk_states_next(states, &hash)) != NULL)
 *                     ...recover on it, and close everything again...
 *     }
 * Threads: values. */
#ifndef ESCROW_TESTS_DISK_STATES_H
#define ESCROW_TESTS_DISK_STATES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/support/disk_trace.h"
#include "tests/support/memdisk.h"

struct disk_states;

/* In front of the first operation. The trace must outlive it. */
struct disk_states *disk_states_create(const struct disk_trace *trace);
void disk_states_destroy(struct disk_states *states);

/* Past the next operation that changes what a power cut may leave, notes on the way included; false at the end. */
bool disk_states_advance(struct disk_states *states);
/* Operations passed. */
size_t disk_states_position(const struct disk_states *states);
/* The last note passed. */
struct trace_note disk_states_note(const struct disk_states *states);

/* Starts over with the disks of this position: all of them, or `limit`. */
void disk_states_begin(struct disk_states *states, uint64_t limit, uint64_t seed);
/* The next disk, NULL after the last. It is the same one each time: close what was open on the one before. *hash_out is its
 * content's identity: names, sizes, bytes. */
struct memdisk *disk_states_next(struct disk_states *states, uint64_t *hash_out);
/* Changes the disk built last, durably: the bytes from `offset` on, or the file's size (not above the old one). The file must
 * be there. The next disk does not have it. */
void disk_states_poke(struct disk_states *states, const char *path, size_t offset, const void *data, size_t size);
void disk_states_shorten(struct disk_states *states, const char *path, size_t size);
/* Identity of what the disk holds by now, what is visible and what is durable. */
uint64_t disk_states_hash(struct disk_states *states);
/* What was chosen for the disk built last, for people. */
void disk_states_describe(const struct disk_states *states, char *out, size_t out_size);

#endif
