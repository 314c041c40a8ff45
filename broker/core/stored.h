/* One stored message by the log offset that names it, as VIEW_MESSAGE_BY_ID and sending back need it.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_STORED_H
#define ESCROW_CORE_STORED_H

#include "broker/core/core.h"
#include "lib/wire/message.h"

struct stored_message {
	struct message message; /* With its place and name filled in. */
	int32_t tag_hash;
	struct span record;     /* The message as stored; valid until the next record is begun or read. */
};

/* ST_NOTFOUND: no committed message has this name. ST_AGAIN: its bytes must be read from disk first. */
enum status core_stored_message(struct core *core, uint64_t log_offset, struct stored_message *out,
				struct errinfo *err) MUST_USE;
/* The half message at this log offset as RocketMQ keeps halves: in TOPIC_HALF, with REAL_TOPIC and REAL_QID; for tools that
 * look at one by its id, whatever became of it. Errors as above, and ST_TOOBIG: its properties have no room for those.
 * Its properties are valid until the next message is stored or pulled. */
enum status core_half_view(struct core *core, uint64_t half_offset, struct stored_message *out, struct errinfo *err) MUST_USE;
/* Makes it outlive the next record; one at a time. ST_NOMEM. */
enum status stored_message_keep(struct core *core, struct stored_message *stored) MUST_USE;

#endif
