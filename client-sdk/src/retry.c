#include "client-sdk/src/retry.h"

#include "lib/wire/codes.h"

enum { PAUSE_FIRST_MS = 20, PAUSE_MAX_MS = 500 };

enum attempt_outcome outcome_of_response(int response_code)
{
	switch (response_code) {
	case RESP_SYSTEM_BUSY: /* Refused at the door. */
	case RESP_SERVICE_NOT_AVAILABLE:
	case RESP_NO_PERMISSION:
	case RESP_TOPIC_NOT_EXIST:
	case RESP_NO_BUYER_ID:
	case RESP_NOT_IN_CURRENT_UNIT:
	case RESP_FLOW_CONTROL:
	case RESP_GO_AWAY:
		return OUTCOME_NOT_DONE;
	case RESP_SYSTEM_ERROR: /* Also what a broker says that failed after storing. */
		return OUTCOME_UNKNOWN;
	default:
		return OUTCOME_FINAL;
	}
}

enum retry_verdict retry_verdict(enum attempt_kind kind, enum attempt_outcome outcome, bool idempotent)
{
	if (outcome == OUTCOME_FINAL)
		return RETRY_NEVER;
	if (kind == ATTEMPT_PLAIN)
		return RETRY_ANY_BROKER;
	if (outcome == OUTCOME_NOT_DONE)
		return kind == ATTEMPT_HALF ? RETRY_ANY_BROKER : RETRY_SAME_BROKER;
	return idempotent ? RETRY_SAME_BROKER : RETRY_NEVER;
}

int64_t attempt_timeout_ms(enum attempt_kind kind, bool idempotent, int64_t left_ms, int64_t attempt_ms)
{
	int64_t wanted = attempt_ms;

	if (!idempotent && kind != ATTEMPT_PLAIN)
		return left_ms;
	if (!idempotent && wanted < left_ms / 2)
		wanted = left_ms / 2; /* Each repetition may be another copy: be patient. */
	return left_ms < wanted ? left_ms : wanted;
}

int64_t retry_pause_ms(unsigned attempt)
{
	int64_t pause = PAUSE_FIRST_MS;

	while (attempt-- > 1 && pause < PAUSE_MAX_MS)
		pause *= 2;
	return pause > PAUSE_MAX_MS ? PAUSE_MAX_MS : pause;
}
