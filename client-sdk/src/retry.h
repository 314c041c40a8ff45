/* After a failed attempt: try the same broker, another one, or give up? Pure decisions, kept apart from the sending.
 *
 * What decides is what is known about the attempt. A request that never left, or that the broker refused without
 * storing, can go anywhere. One whose answer is missing can be repeated only where repeating is harmless: at a broker
 * that answers a second half of the same transaction with the first one's offsets, and a second decision with the first
 * one's outcome (EscrowMQ does, RocketMQ does neither).
 * Threads: pure. */
#ifndef ESCROW_SDK_RETRY_H
#define ESCROW_SDK_RETRY_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

enum attempt_kind {
	ATTEMPT_PLAIN,    /* A message; at least once, so any repetition is allowed. */
	ATTEMPT_HALF,
	ATTEMPT_DECISION, /* END_TRANSACTION: has one place to go. */
};

enum attempt_outcome {
	OUTCOME_NOT_DONE, /* Certain: it never left, or was refused before anything was stored. */
	OUTCOME_UNKNOWN,  /* The answer is missing, or does not tell. */
	OUTCOME_FINAL,    /* Refused for good: the same request will be refused again. */
};

enum retry_verdict { RETRY_NEVER, RETRY_SAME_BROKER, RETRY_ANY_BROKER };

/* What a response code other than success says about the request. */
enum attempt_outcome outcome_of_response(int response_code);
/* `idempotent`: the broker is known to take repetitions as such. */
enum retry_verdict retry_verdict(enum attempt_kind kind, enum attempt_outcome outcome, bool idempotent);
/* How long to wait for one answer. Where a repetition is not possible, all that is left. */
int64_t attempt_timeout_ms(enum attempt_kind kind, bool idempotent, int64_t left_ms, int64_t attempt_ms);
/* Pause before attempt n (from 1): 20, 40, ... 500 ms. */
int64_t retry_pause_ms(unsigned attempt);

#endif
