/* The headers of pulling: PULL_MESSAGE (11), LITE_PULL_MESSAGE (361) and their answer.
 * See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_PULL_H
#define ESCROW_WIRE_HEADER_PULL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

struct pull_header {
	struct span consumer_group;
	struct span topic;
	int32_t queue_id;
	int64_t queue_offset;
	int32_t max_msg_nums;
	int32_t sys_flag;              /* PULL_* bits. */
	int64_t commit_offset;         /* Default 0; valid with PULL_COMMIT_OFFSET. */
	int64_t suspend_timeout_ms;    /* Default 0. */
	struct span subscription;      /* Optional; counts with PULL_SUBSCRIPTION only. */
	int64_t sub_version;           /* Default 0. */
	struct span expression_type;   /* Optional: absent means TAG. */
	int32_t max_msg_bytes;         /* Default -1: no limit. */
};
enum status pull_header_decode(const struct command *command, struct pull_header *out, struct errinfo *err) MUST_USE;
void pull_header_encode(struct encoder *encoder, const struct pull_header *header);

struct pull_reply_header {
	int64_t suggest_which_broker_id;
	int64_t next_begin_offset;
	int64_t min_offset;
	int64_t max_offset;
	int32_t forbidden_type; /* -1: absent. */
};
enum status pull_reply_decode(const struct command *command, struct pull_reply_header *out,
			      struct errinfo *err) MUST_USE;
void pull_reply_encode(struct encoder *encoder, const struct pull_reply_header *header);

#endif
