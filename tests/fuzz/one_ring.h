/* One ring for all runs of a fuzz target: to map a log's ring takes longer than a run. Its bytes are undefined in any case.
 * Include it once in a target: the functions take the library's place at link time. */
#ifndef ESCROW_TESTS_ONE_RING_H
#define ESCROW_TESTS_ONE_RING_H

#include <assert.h>
#include <stdbool.h>

/* The library's own, under other names. */
#define ring_map ring_map_fresh
#define ring_unmap ring_unmap_fresh
#include "lib/log/ring.c"
#undef ring_map
#undef ring_unmap
uint8_t *ring_map(uint64_t size);
void ring_unmap(uint8_t *ring, uint64_t size);

static struct {
	uint8_t *bytes;
	uint64_t size;
	bool taken;
} one_ring;

uint8_t *ring_map(uint64_t size)
{
	assert(!one_ring.taken && (one_ring.bytes == NULL || size == one_ring.size));
	if (one_ring.bytes == NULL)
		one_ring.bytes = ring_map_fresh(size);
	one_ring.size = size;
	one_ring.taken = true;
	return one_ring.bytes;
}

void ring_unmap(uint8_t *ring, uint64_t size)
{
	(void)size;
	assert(ring == one_ring.bytes);
	one_ring.taken = false;
}

#endif
