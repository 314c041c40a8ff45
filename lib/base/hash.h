/* Keyed 128-bit hashing (SipHash-2-4-128): names of transactions in tables that peers can fill.
 *
 * The key is random per process, so a peer cannot choose colliding names. 128 bits make an accidental
 * collision irrelevant; whoever acts on a hit still compares the names themselves.
 * Threads: values. */
#ifndef ESCROW_BASE_HASH_H
#define ESCROW_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

struct hash_key {
	uint64_t k0;
	uint64_t k1;
};

struct hash128 {
	uint64_t lo;
	uint64_t hi;
};

/* A key from the system's random source. Aborts if there is none (early boot only). */
struct hash_key hash_key_random(void);
struct hash128 hash128_bytes(struct hash_key key, const void *data, size_t size);

/* Spreads the bits of an integer key over a table index (splitmix64's finaliser). Not keyed. */
static inline uint64_t hash_u64(uint64_t x)
{
	x ^= x >> 30;
	x *= 0xbf58476d1ce4e5b9ULL;
	x ^= x >> 27;
	x *= 0x94d049bb133111ebULL;
	return x ^ (x >> 31);
}

#endif
