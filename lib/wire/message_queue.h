/* A queue by its full name, as bodies hold it: {"brokerName":"b","queueId":0,"topic":"t"}, and the same as the key of a map,
 * which RocketMQ's peers write as an object literal.
 * Threads: a value. */
#ifndef ESCROW_WIRE_MESSAGE_QUEUE_H
#define ESCROW_WIRE_MESSAGE_QUEUE_H

#include "lib/wire/json_body.h"

struct message_queue {
	struct span topic, broker_name;
	int32_t queue_id; /* -1: absent. */
};

void message_queue_encode(struct json_writer *writer, const struct message_queue *queue);
void message_queue_key(struct json_writer *writer, const struct message_queue *queue);
/* Spans borrow from the document. */
struct message_queue message_queue_decode(const struct cJSON *object);

#endif
