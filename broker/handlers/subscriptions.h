/* How a group's subscription stands in a body: for the handlers that list connections, and those that look into queues.
 * Threads: the loop thread. */
#ifndef ESCROW_HANDLERS_SUBSCRIPTIONS_H
#define ESCROW_HANDLERS_SUBSCRIPTIONS_H

#include "broker/core/members.h"
#include "lib/wire/json_body.h"

/* RocketMQ's SubscriptionData, as the next value. */
void put_subscription(struct json_writer *writer, struct span topic, const struct subscription *subscription);

#endif
