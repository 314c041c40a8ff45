/* Offsets by message queue, as they stand in bodies: {"offsetTable":{{"brokerName":"b","queueId":0,"topic":"t"}:123}} of 220,
 * 222 and 221/223, with RocketMQ's object literals for keys, or the list that C++ clients read.
 * Threads: pure. */
#ifndef ESCROW_WIRE_BODY_OFFSETS_H
#define ESCROW_WIRE_BODY_OFFSETS_H

#include "lib/wire/json_body.h"

struct queue_offset {
	struct span topic;
	struct span broker_name;
	int32_t queue_id;
	int64_t offset;
};

/* {"offsetTable":...}: with object keys, compact (the Go client splits it by hand), or, for `as_list`, as C++ clients want it. */
void offset_table_encode(struct buffer *out, const struct queue_offset *offsets, size_t count, bool as_list);
/* Reads what it writes, in both forms. Arrays live in `doc`. */
struct offset_table {
	const struct queue_offset *offsets;
	size_t count;
	struct json_doc doc;
};
enum status offset_table_decode(struct span body, struct offset_table *out, struct errinfo *err) MUST_USE;
void offset_table_free(struct offset_table *table);

/* The value of "messageQueueTable" in a client's answer to 221, object keys and all; an empty object if there is none.
 * ST_INVALID for a body that is not JSON. */
enum status message_queue_table_copy(struct json_writer *w, struct span body, struct errinfo *err) MUST_USE;

#endif
