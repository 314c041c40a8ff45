/* A pull, resolved: what a consumer wants from one queue, with every name already looked up and the filter compiled,
 * so that a long poll can keep it and run it again. A plain value; a hold keeps its expression alive. */
#ifndef ESCROW_CORE_PULL_REQUEST_H
#define ESCROW_CORE_PULL_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/filter.h"

struct expression;

struct pull_request {
	uint32_t topic_id;
	uint32_t group_id; /* 0: of nobody in particular. */
	uint32_t queue_id;
	uint64_t offset;           /* First wanted queue offset. */
	bool negative;             /* One below 0 was asked for: answered like one that was trimmed. */
	uint32_t message_max;      /* 1..PULL_MESSAGES_MAX */
	uint32_t bytes_max;        /* Bytes of message records; one message is always returned. */
	struct tag_filter filter;  /* Everything, if the expression is SQL92. */
	struct expression *expression; /* Borrowed; NULL: the filter is all there is. */
};

enum { PULL_MESSAGES_MAX = 1024, PULL_BYTES_MAX = 256 * 1024, PULL_SCAN_MAX = 800,
       PULL_LOOK_MAX = 1024 * 1024 /* Bytes of messages looked into by one pull, about. */ };

#endif
