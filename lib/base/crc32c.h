/* CRC32C (Castagnoli): the checksum of everything that we store ourselves.
 *
 * (RocketMQ's own body checksum is the IEEE CRC-32; that one is lib/wire's.)
 * Uses the SSE4.2 instruction where the CPU has it, a table otherwise; both give the same value.
 * Threads: any. */
#ifndef ESCROW_BASE_CRC32C_H
#define ESCROW_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues `crc` (0 to begin) over `size` bytes: crc32c(crc32c(0, a), b) == crc32c(0, ab). */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* The table version, exposed so that a test can compare the two. */
uint32_t crc32c_portable(uint32_t crc, const void *data, size_t size);

#endif
