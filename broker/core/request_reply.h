/* Request and reply: a consumer's answer finds its way back to the client that asked.
 *
 * A request is an ordinary message that names its sender (REPLY_TO_CLIENT); the consumer sends its reply with the same
 * name, and the broker hands it on to that client's connection. The reply is stored as well (storeReplyMessageEnable),
 * which nobody needs, but people look there. Threads: the loop thread. */
#ifndef ESCROW_CORE_REQUEST_REPLY_H
#define ESCROW_CORE_REQUEST_REPLY_H

#include "broker/core/produce.h"

struct reply_route {
	uint64_t conn_id;        /* Of the client that asked; 0: see `missing`. */
	struct span client_id;   /* As the reply names it; empty: it names none. */
	struct span properties;  /* What to hand on; valid until the next call. */
};

/* SEND_REPLY_MESSAGE. Refusals are about the reply itself; one that cannot be stored at the moment is handed on all the
 * same, with count 0 in *result. ST_AGAIN: nothing was done. */
enum status core_reply(struct core *core, const struct send_request *request, struct reply_route *route,
		       struct send_result *result, struct outcome *outcome) MUST_USE;

#endif
