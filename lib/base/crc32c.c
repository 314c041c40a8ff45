/* See crc32c.h. The choice of version is made once, by the first caller; the race is harmless because
 * every thread computes the same answer. */
#include "lib/base/crc32c.h"

#include <stdbool.h>
#include <string.h>

static const uint32_t CASTAGNOLI_REFLECTED = 0x82f63b78;

static uint32_t byte_step(uint32_t crc)
{
	for (int bit = 0; bit < 8; bit++)
		crc = (crc >> 1) ^ ((crc & 1) ? CASTAGNOLI_REFLECTED : 0);
	return crc;
}

uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size)
{
	static uint32_t table[256];
	static bool ready;
	const uint8_t *p = data;

	if (!__atomic_load_n(&ready, __ATOMIC_ACQUIRE)) {
		for (uint32_t i = 0; i < 256; i++)
			__atomic_store_n(&table[i], byte_step(i), __ATOMIC_RELAXED);
		__atomic_store_n(&ready, true, __ATOMIC_RELEASE);
	}
	crc = ~crc;
	while (size-- > 0)
		crc = (crc >> 8) ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

#if defined(__x86_64__)
/* The instruction takes one word in three cycles but starts one every cycle, so three lanes of a block go at once.
 * A lane that starts from 0 is joined by moving what came before over LANE zero bytes, which is linear in its bits:
 * one table for each byte. */
enum { LANE = 128, BLOCK = 3 * LANE };
static uint32_t lane_shift[4][256]; /* Constant once the program has started. */

__attribute__((target("sse4.2"))) static uint64_t word_step(uint64_t state, const uint8_t *p)
{
	uint64_t word;

	memcpy(&word, p, 8);
	return __builtin_ia32_crc32di(state, word);
}

__attribute__((constructor, target("sse4.2"))) static void fill_lane_shift(void)
{
	static const uint8_t zeros[LANE];

	__builtin_cpu_init();
	if (!__builtin_cpu_supports("sse4.2"))
		return;
	for (unsigned byte = 0; byte < 4; byte++) {
		for (uint32_t value = 0; value < 256; value++) {
			uint64_t state = value << (8 * byte);
			for (size_t i = 0; i < LANE; i += 8)
				state = word_step(state, zeros + i);
			lane_shift[byte][value] = (uint32_t)state;
		}
	}
}

static uint64_t over_a_lane(uint64_t state)
{
	return lane_shift[0][state & 0xff] ^ lane_shift[1][state >> 8 & 0xff] ^ lane_shift[2][state >> 16 & 0xff] ^
	       lane_shift[3][state >> 24 & 0xff];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *data, size_t size)
{
	const uint8_t *p = data;
	uint64_t state = (uint32_t)~crc;

	for (; size >= BLOCK; size -= BLOCK, p += BLOCK) {
		uint64_t second = 0, third = 0;
		for (size_t i = 0; i < LANE; i += 8) {
			state = word_step(state, p + i);
			second = word_step(second, p + LANE + i);
			third = word_step(third, p + 2 * LANE + i);
		}
		state = over_a_lane(over_a_lane(state) ^ second) ^ third;
	}
	for (; size >= 8; size -= 8, p += 8)
		state = word_step(state, p);
	for (; size > 0; size--)
		state = __builtin_ia32_crc32qi((uint32_t)state, *p++);
	return ~(uint32_t)state;
}

uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, data, size);
	return crc32c_portable(crc, data, size);
}
#else
uint32_t crc32c(uint32_t crc, const void *data, size_t size)
{
	return crc32c_portable(crc, data, size);
}
#endif
