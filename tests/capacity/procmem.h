/* What a process holds in memory, as the kernel counts it. Linux only. */
#ifndef ESCROW_TESTS_PROCMEM_H
#define ESCROW_TESTS_PROCMEM_H

#include <stdint.h>
#include <sys/types.h>

/* Bytes. */
struct procmem {
	uint64_t resident;  /* VmRSS. */
	uint64_t peak;      /* VmHWM. */
	uint64_t anonymous; /* Of the resident ones: heap, stacks, mmap without a file. */
	uint64_t shared;    /* Memory files: the log's tail ring, each page as often as it is mapped. */
};

/* pid 0: this process. Aborts with a message when the process is gone. */
struct procmem procmem_of(pid_t pid);

#endif
