#include "lib/log/ring.h"

#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

uint8_t *ring_map(uint64_t size)
{
	int fd = memfd_create("escrow-log-ring", MFD_CLOEXEC);
	uint8_t *ring;

	if (fd < 0)
		return NULL;
	ring = ftruncate(fd, (off_t)size) != 0 ? MAP_FAILED :
						  mmap(NULL, 2 * size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (ring != MAP_FAILED) {
		for (int i = 0; i < 2 && ring != MAP_FAILED; i++) {
			int populate = size <= RING_POPULATED_AT_ONCE ? MAP_POPULATE : 0;
			void *half = mmap(ring + (uint64_t)i * size, size, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_FIXED | populate, fd, 0);
			if (half == MAP_FAILED) {
				(void)munmap(ring, 2 * size);
				ring = MAP_FAILED;
			}
		}
	}
	(void)close(fd);
	return ring == MAP_FAILED ? NULL : ring;
}

void ring_populate(uint8_t *ring, uint64_t ring_size, uint64_t from, uint64_t size)
{
	if (size > ring_size - from)
		size = ring_size - from;
	for (int i = 0; i < 2; i++) {
		/* An older kernel does not know it: then the faults come one by one. */
		if (madvise(ring + (uint64_t)i * ring_size + from, size, MADV_POPULATE_WRITE) != 0)
			return;
	}
}

void ring_unmap(uint8_t *ring, uint64_t size)
{
	if (ring != NULL)
		(void)munmap(ring, 2 * size);
}
