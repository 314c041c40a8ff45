/* Topics in which RocketMQ keeps what is under way: half messages, decisions, what was given up, what waits for its time. Here
 * all of that is records of the log, and the queues of these topics stay empty; whoever looks for it there is told where it is,
 * instead of "no message".
 * Threads: pure. */
#ifndef ESCROW_CORE_KEPT_ELSEWHERE_H
#define ESCROW_CORE_KEPT_ELSEWHERE_H

#include "broker/core/core.h"

/* ST_OK, or for a queue that is read of such a topic a refusal (RESP_NO_PERMISSION) that says how to look. */
enum status check_kept_here(struct span topic, struct outcome *outcome) MUST_USE;

#endif
