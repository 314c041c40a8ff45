/* Which queues does a client of a group get, when the broker shares them out (400), and by which way does it fetch (401, 402)?
 *
 * Only this broker's queues are known here. Threads: the loop thread. */
#ifndef ESCROW_CORE_ASSIGNMENT_H
#define ESCROW_CORE_ASSIGNMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

struct core;

struct assignment_request {
	struct span topic, group, client_id, strategy;
	bool broadcasting;
};

struct assignment {
	int32_t mode;          /* REQUEST_MODE_... */
	uint32_t count;
	int32_t queues[1024];  /* -1: any. */
};

/* False: nothing is known (no such topic, client or strategy), the client is to keep what it has. */
bool core_assign(struct core *core, const struct assignment_request *request, struct assignment *out);

typedef void (*request_mode_visit)(void *context, struct span topic, struct span group, int32_t mode, int32_t shared_queues);
/* Every mode that was set; those of a topic one after another. */
void core_each_request_mode(const struct core *core, request_mode_visit visit, void *context);

#endif
