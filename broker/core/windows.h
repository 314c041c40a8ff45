/* How do consumers that are behind get their messages without a system call for each?
 *
 * A window is a stretch of the log, read from the page cache in one call when enough of the wanted messages lie in it, and kept
 * a while: what lies between them belongs to the topic's other queues, and their consumers are most often about as far.
 * Its bytes are as the file has them: who takes a record from it checks the record. The log's bytes never change.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_WINDOWS_H
#define ESCROW_CORE_WINDOWS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/commitlog.h"

enum {
	WINDOW_SIZE = 256 * 1024, /* Bytes; a window begins at a multiple of it. */
	WINDOWS_MAX = 16,         /* Kept at once; their memory is taken when first used. */
	WINDOW_WORTH = 8,         /* Messages from which on one large read costs less than theirs. */
};

#define NO_WINDOW UINT64_MAX /* As a beginning. */

struct windows;

/* NULL when out of memory. */
struct windows *windows_create(void);
void windows_destroy(struct windows *windows);

/* Another answer is put together: what windows_find gave for the last one may go. */
void windows_begin(struct windows *windows);
/* Where the window that holds `offset` begins. */
static inline uint64_t window_start(uint64_t offset)
{
	return offset - offset % WINDOW_SIZE;
}
/* Reads the window of `offset` unless it is there. ST_AGAIN: the page cache lacks a part of it. ST_FULL: all are in use for this
 * answer. ST_INVALID: it would reach out of its segment, or beyond what is written. ST_NOMEM. */
enum status windows_read(struct windows *windows, const struct commitlog *log, uint64_t offset) MUST_USE;
/* The bytes, until windows_begin; NULL: not in one window. */
const uint8_t *windows_find(struct windows *windows, uint64_t offset, size_t size);

#endif
