/* The headers of consuming by POP: 200050-200055. See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_POP_H
#define ESCROW_WIRE_HEADER_POP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

/* POP_MESSAGE; PEEK_MESSAGE, NOTIFICATION and POLLING_INFO carry some of it. */
struct pop_header {
	struct span consumer_group;
	struct span topic;
	int32_t queue_id;            /* Default -1: all. */
	int32_t max_msg_nums;        /* Default 0. */
	int64_t invisible_ms;        /* Default 0. */
	int64_t poll_ms;             /* Default 0. */
	int64_t born_ms;             /* Default 0: now. */
	int32_t init_mode;           /* 0 from the first message, 1 from the last. */
	struct span expression_type; /* Optional: absent means TAG. */
	struct span expression;      /* Optional. */
	bool order;                  /* Default false. */
	struct span attempt_id;      /* Optional. */
};
enum status pop_header_decode(const struct command *command, struct pop_header *out, struct errinfo *err) MUST_USE;
void pop_header_encode(struct encoder *encoder, const struct pop_header *header);

struct pop_reply_header {
	int64_t pop_ms;
	int64_t invisible_ms;
	int32_t revive_queue_id;
	int64_t rest;
	struct span start_info, offset_info, order_info; /* Optional. */
};
void pop_reply_encode(struct encoder *encoder, const struct pop_reply_header *header);

/* ACK_MESSAGE, CHANGE_MESSAGE_INVISIBLETIME. */
struct pop_ack_header {
	struct span consumer_group;
	struct span topic;
	int32_t queue_id;
	struct span extra_info;
	int64_t offset;
	int64_t invisible_ms;        /* Default -1; of the latter. */
};
enum status pop_ack_decode(const struct command *command, struct pop_ack_header *out, struct errinfo *err) MUST_USE;
void pop_ack_encode(struct encoder *encoder, const struct pop_ack_header *header);

#endif
