/* Which queues are mine? RocketMQ's AVG allocation: every member of a group sorts the same queues and the same client
 * ids and takes its part, without talking to the others. Threads: pure. */
#ifndef ESCROW_SDK_ALLOCATE_H
#define ESCROW_SDK_ALLOCATE_H

#include <stddef.h>

#include "lib/base/bytes.h"

/* The part [*first, *first + count) of `queue_count` sorted queues that belongs to `self`; returns the count. Members
 * need not be sorted; `self` must be among them, otherwise the part is empty. With q queues and n members each gets
 * q / n queues in a row, the first q % n members one more. */
size_t allocate_averagely(size_t queue_count, const struct span *members, size_t member_count, struct span self,
			  size_t *first);

#endif
