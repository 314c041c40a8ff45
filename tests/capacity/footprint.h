/* How many bytes of memory does one more of something cost? Each figure is the growth of a process of its own, so it
 * holds all that hangs on the thing, and what malloc and the kernel add. */
#ifndef ESCROW_TESTS_FOOTPRINT_H
#define ESCROW_TESTS_FOOTPRINT_H

#include <stdint.h>

struct footprint_sizes {
	uint64_t pending;
	uint64_t messages;
	uint32_t topics;  /* Of 8 queues. */
	uint32_t offsets; /* Rows; a multiple of 1000. */
};

/* Bytes for one. */
struct footprint {
	double pending;       /* All in. */
	double pending_table; /* Of that: the pending table with its index. */
	double resends;       /* Of that: the table that finds resends. */
	double message;       /* Queued, not read: what the queues' page tables take. */
	double topic;         /* With its name and settings; no queue used. */
	double queue;         /* With a message in it. */
	double offset_row;    /* A (topic, group) pair with one queue; the group's own share included. */
	/* Not bytes, but processor time in the two tables together: */
	double young_ns;      /* of a transaction that comes and goes when they are full, */
	double longest_ms;    /* of the longest single addition while they fill, */
	double slice_ms;      /* of the longest slice of a snapshot of that many. */
};

/* Needs `dir` (empty) for stores, which are removed again. Aborts with a message on failure. */
struct footprint footprint_measure(const char *dir, const struct footprint_sizes *sizes);

#endif
