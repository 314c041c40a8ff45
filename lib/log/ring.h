/* A ring of memory that never wraps in the middle of something: the same bytes are mapped twice, one copy after the
 * other, so that whatever begins in the first copy may run on into the second.
 * Threads: pure. */
#ifndef ESCROW_LOG_RING_H
#define ESCROW_LOG_RING_H

#include <stdint.h>

/* `size` is a multiple of the page size; the bytes are undefined. NULL when out of memory. */
uint8_t *ring_map(uint64_t size);
void ring_unmap(uint8_t *ring, uint64_t size);

#endif
