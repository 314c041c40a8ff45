/* Where are the queues of a topic? The route table of an instance: questions to the name servers, in turn, and their
 * answers. Internal to the instance; see sdk_instance.h. Threads: the loop thread. */
#ifndef ESCROW_SDK_ROUTES_H
#define ESCROW_SDK_ROUTES_H

#include "client-sdk/src/sdk_instance.h"

/* Asks for what is due. */
void sdk_routes_tick(struct sdk_instance *instance, int64_t now_ms);
void sdk_routes_free(struct sdk_instance *instance);

#endif
