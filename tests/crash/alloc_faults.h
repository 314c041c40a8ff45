/* Memory that runs out on demand: the k-th allocation from now fails. Counts what is not freed, too.
 *
 * Every allocation of the program passes here (the linker's --wrap): malloc, calloc, realloc, strdup, mmap and memfd_create.
 * The memory disk's own are let through, and so are those between pause(true) and pause(false).
 * Threads: one. */
#ifndef ESCROW_TESTS_ALLOC_FAULTS_H
#define ESCROW_TESTS_ALLOC_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

/* Fails the `countdown`-th (1 = the next), with `sticky` all after it, too. 0: none. */
void alloc_faults_arm(uint64_t countdown, bool sticky);
bool alloc_faults_struck(void);
/* The countdown as it is now. */
uint64_t alloc_faults_left(void);
void alloc_faults_pause(bool paused);
/* Allocations that were not freed so far. */
int64_t alloc_faults_live(void);

#endif
