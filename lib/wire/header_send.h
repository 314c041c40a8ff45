/* The headers of sending: SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), SEND_REPLY_MESSAGE (324),
 * SEND_REPLY_MESSAGE_V2 (325), and their answer; PUSH_REPLY_MESSAGE_TO_CLIENT (326).
 * See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_SEND_H
#define ESCROW_WIRE_HEADER_SEND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

struct send_header {
	struct span producer_group;
	struct span topic;
	struct span default_topic; /* Optional. */
	int32_t default_topic_queue_nums; /* Default 4. */
	int32_t queue_id;          /* Negative: the broker picks one. */
	int32_t sys_flag;
	int64_t born_timestamp;
	int32_t flag;              /* Default 0. */
	struct span properties;
	int32_t reconsume_times;   /* Default 0. */
	bool unit_mode;
	int32_t max_reconsume_times; /* -1: absent. */
	bool batch;                /* The body is a batch; also true for code 320. */
};

/* Long names for code 10 (and 324), one-letter names otherwise. */
enum status send_header_decode(const struct command *command, struct send_header *out, struct errinfo *err) MUST_USE;
/* `code` selects the names, as in decoding. */
void send_header_encode(struct encoder *encoder, int32_t code, const struct send_header *header);

struct send_reply_header {
	struct span msg_id;         /* Offset id; of a half message: of the half. */
	int32_t queue_id;
	int64_t queue_offset;       /* Of a half message: in the half queue. */
	struct span transaction_id; /* UNIQ_KEY. Optional. */
	struct span msg_region;     /* Optional in decoding. */
	bool trace_on;              /* Default false. */
	struct span recall_handle;  /* Of a timer message. Optional. */
};
enum status send_reply_decode(const struct command *command, struct send_reply_header *out,
			      struct errinfo *err) MUST_USE;
void send_reply_encode(struct encoder *encoder, const struct send_reply_header *header);

/* PUSH_REPLY_MESSAGE_TO_CLIENT (326): a reply on its way to the client that asked. All names are long ones. */
struct push_reply_header {
	struct send_header send;    /* max_reconsume_times and batch are not part of it. */
	struct span born_host;      /* address:port */
	struct span store_host;
	int64_t store_timestamp;
};
enum status push_reply_decode(const struct command *command, struct push_reply_header *out,
			      struct errinfo *err) MUST_USE;
void push_reply_encode(struct encoder *encoder, const struct push_reply_header *header);

#endif
