/* What is inside of an escrow_message?
 *
 * Properties are kept as `name NUL value NUL ...`, so that the accessors can give C texts; the wire form has the bytes
 * 1 and 2 in place of the NULs.
 * Threads: as escrow_message. */
#ifndef ESCROW_SDK_MESSAGE_INTERNAL_H
#define ESCROW_SDK_MESSAGE_INTERNAL_H

#include "escrow/message.h"
#include "lib/base/bytes.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"

struct escrow_message {
	char *topic;
	uint8_t *body;
	size_t body_size;
	struct buffer properties;
	/* Of arrived messages only. */
	char offset_id[MSGID_TEXT_SIZE];
	int32_t queue_id;
	int64_t queue_offset;
	int64_t physical_offset;
	int32_t reconsume_times;
	int64_t born_ms;
	int64_t stored_ms;
};

enum { MESSAGE_BODY_INFLATED_MAX = 64 * 1024 * 1024 };

/* Copies a decoded record; a compressed body is inflated (ST_CORRUPT, ST_TOOBIG), a message of a retry topic gets its
 * real topic back. */
enum status message_from_record(const struct message *record, escrow_message **out, struct errinfo *err) MUST_USE;
/* Sets a property of ours, reserved or not. ST_INVALID on the bytes 1 and 2, ST_NOMEM. */
enum status message_put_property(escrow_message *message, const char *name, const char *value,
				 struct errinfo *err) MUST_USE;
/* Appends the properties in wire form. */
void message_append_properties(const escrow_message *message, struct buffer *out);
/* Inflates a body that sysFlag says is compressed, to at most size_max bytes. *out is malloc'ed. */
enum status body_inflate(struct span body, int32_t sys_flag, size_t size_max, uint8_t **out, size_t *out_size,
			 struct errinfo *err) MUST_USE;

#endif
