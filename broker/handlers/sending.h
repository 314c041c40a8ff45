/* What the handlers of sending share: ordinary sends and replies. Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_SENDING_H
#define ESCROW_HANDLERS_SENDING_H

#include "broker/core/produce.h"
#include "broker/handlers/handlers.h"
#include "lib/wire/headers.h"

/* What a send asks of the core; texts are the command's. */
struct send_request send_request_of(struct handlers *handlers, const struct request *request, const struct send_header *header);
/* The fields of the answer: where the message is. */
void put_sent(struct handlers *handlers, struct encoder *encoder, const struct send_result *result);

#endif
