/* How do consumers that are behind get their messages without a system call for each?
 *
 * A window is a stretch of the log, read from the page cache in one call when enough of the wanted messages lie in it, and kept
 * a while: what lies between them belongs to the topic's other queues, and their consumers are most often about as far.
 * Its bytes are as the file has them: who takes a record from it checks the record. The log's bytes never change.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_WINDOWS_H
#define ESCROW_CORE_WINDOWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"
#include "lib/log/commitlog.h"

enum {
	WINDOW_SIZE = 256 * 1024, /* Bytes; a window begins at a multiple of it. */
	WINDOWS_MAX = 32,         /* Kept at once; their memory is taken when first used. */
	WINDOW_FEW = 8,           /* So few messages are read one by one in any case. */
	WINDOW_WORTH = 64,        /* Messages from which on a window costs less than they would (copying it: 100 us). */
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
/* Whether the window of `offset` is there. */
bool windows_have(struct windows *windows, uint64_t offset);
/* Will the window of some place be worth its read, when `count` of its messages are wanted now? If so many are not themselves
 * enough, it depends on what the last windows served in all; every now and then one is tried nevertheless. */
bool windows_are_worth(struct windows *windows, size_t count);
/* Reads the window of `offset`, which is not there yet. ST_AGAIN: the page cache lacks a part of it. ST_FULL: all are in use for
 * this answer. ST_INVALID: it would reach out of its segment, or beyond what is written. ST_NOMEM. */
enum status windows_read(struct windows *windows, const struct commitlog *log, uint64_t offset) MUST_USE;
/* The bytes, until windows_begin; NULL: not in one window. */
const uint8_t *windows_find(struct windows *windows, uint64_t offset, size_t size);

#endif
