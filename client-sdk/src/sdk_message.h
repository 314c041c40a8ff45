/* What is an escrow_message inside, and how does it go to and from the wire?
 *
 * Properties are pairs of C strings. A message of the application's owns each of them; one that arrived owns one
 * block that holds all. Threads: as escrow/message.h says. */
#ifndef ESCROW_SDK_MESSAGE_H
#define ESCROW_SDK_MESSAGE_H

#include "escrow/message.h"
#include "lib/wire/message.h"

enum { SDK_PROPERTIES_MAX = 512, SDK_OFFSET_ID_SIZE = 57 };

struct sdk_property {
	char *name;
	char *value;
};

struct escrow_message {
	char topic[MESSAGE_TOPIC_MAX + 1];
	uint8_t *body;
	size_t body_size;
	struct sdk_property *properties;
	size_t property_count;
	size_t property_capacity;
	char *block; /* Arrived: holds all property texts. NULL: each property text is its own allocation. */
	/* Arrived messages only. */
	char offset_id[SDK_OFFSET_ID_SIZE];
	int32_t queue_id;
	int64_t queue_offset;
	int64_t physical_offset;
	int32_t reconsume_times;
	int64_t born_ms;
	int64_t stored_ms;
};

/* Writes the application's properties in wire form. */
enum status sdk_message_write_properties(const struct escrow_message *message, struct buffer *out,
					 struct errinfo *err) MUST_USE;
/* A copy of a stored message, its body decompressed (zlib). The topic is the one that the application subscribed to:
 * of a retry its original one. ST_CORRUPT (checksum, compression), ST_INVALID (too many properties, a compression
 * that is not supported), ST_NOMEM. */
enum status sdk_message_from_wire(const struct message *wire, struct escrow_message **out,
				  struct errinfo *err) MUST_USE;

#endif
