/* Room on the disk for stores that are made and thrown away. Every function aborts with a message on failure. */
#ifndef ESCROW_TESTS_SCRATCH_H
#define ESCROW_TESTS_SCRATCH_H

#include <stdint.h>

/* Bytes free for this user where `dir` is. */
uint64_t scratch_free(const char *dir);
/* Removes all that is in `dir`, not `dir` itself. */
void scratch_empty(const char *dir);

#endif
