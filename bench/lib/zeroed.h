/* A file for synced appends, as a commit log has it: zero-filled ahead, written from its beginning, used again from
 * there when its end is reached. Writing into blocks that exist costs a third of growing a file.
 *
 * Threads: one at a time. */
#ifndef ESCROW_BENCH_ZEROED_H
#define ESCROW_BENCH_ZEROED_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

struct zeroed {
	int fd;
	size_t size;
	size_t at;
};

/* Creates (or replaces) the file and fills it; takes seconds for a large one. */
enum status zeroed_open(struct zeroed *file, const char *path, size_t size, struct errinfo *err) MUST_USE;
/* Writes at the current place and syncs. `size` is at most the file's. */
enum status zeroed_append(struct zeroed *file, const void *data, size_t size, struct errinfo *err) MUST_USE;
void zeroed_close(struct zeroed *file);

#endif
