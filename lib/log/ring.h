/* A ring of memory that never wraps in the middle of something: the same bytes are mapped twice, one copy after the
 * other, so that whatever begins in the first copy may run on into the second.
 * Threads: pure; ring_populate may run beside readers and writers of the ring. */
#ifndef ESCROW_LOG_RING_H
#define ESCROW_LOG_RING_H

#include <stdint.h>

/* `size` is a multiple of the page size; the bytes are undefined. A ring over RING_POPULATED_AT_ONCE has no memory yet:
 * zeroing 64 MiB takes 45 ms, most of the start of an empty broker. NULL when out of memory. */
enum { RING_POPULATED_AT_ONCE = 1 << 20 };
uint8_t *ring_map(uint64_t size);
/* Gives the bytes [from, from + size) their memory, in both copies, without changing them; at most to the ring's end. What
 * nobody populates comes on first use, by a fault that costs ten appends. */
void ring_populate(uint8_t *ring, uint64_t ring_size, uint64_t from, uint64_t size);
void ring_unmap(uint8_t *ring, uint64_t size);

#endif
