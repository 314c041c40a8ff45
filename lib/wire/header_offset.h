/* The headers of positions in queues: 14 QUERY_CONSUMER_OFFSET, 15 UPDATE_CONSUMER_OFFSET,
 * 29 SEARCH_OFFSET_BY_TIMESTAMP, 30 GET_MAX_OFFSET, 31 GET_MIN_OFFSET, 32 GET_EARLIEST_MSG_STORETIME. Their
 * answers hold one number, see offset_reply. See headers.h for the rules common to all headers. */
#ifndef ESCROW_WIRE_HEADER_OFFSET_H
#define ESCROW_WIRE_HEADER_OFFSET_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/wire/command.h"

/* 14 and 15. */
struct consumer_offset_header {
	struct span consumer_group;
	struct span topic;
	int32_t queue_id;
	int64_t commit_offset;      /* 15 only. */
	bool set_zero_if_not_found; /* 14 only; default true. */
};
enum status query_consumer_offset_decode(const struct command *command, struct consumer_offset_header *out,
					 struct errinfo *err) MUST_USE;
void query_consumer_offset_encode(struct encoder *encoder, const struct consumer_offset_header *header);
enum status update_consumer_offset_decode(const struct command *command, struct consumer_offset_header *out,
					  struct errinfo *err) MUST_USE;
void update_consumer_offset_encode(struct encoder *encoder, const struct consumer_offset_header *header);

/* 29, 30, 31, 32: a queue, and what is asked about it. */
struct queue_header {
	struct span topic;
	int32_t queue_id;
	int64_t timestamp;  /* 29 only. */
	bool boundary_upper; /* 29 only: the last message at the time instead of the first; default false. */
	bool committed;     /* 30 only; default true. */
};
enum status search_offset_decode(const struct command *command, struct queue_header *out,
				 struct errinfo *err) MUST_USE;
void search_offset_encode(struct encoder *encoder, const struct queue_header *header);
/* 30, 31 and 32. */
enum status queue_header_decode(const struct command *command, struct queue_header *out, struct errinfo *err) MUST_USE;
void queue_header_encode(struct encoder *encoder, const struct queue_header *header);

/* `offset` of the answers to 14, 29, 30, 31. */
enum status offset_reply_decode(const struct command *command, int64_t *offset, struct errinfo *err) MUST_USE;
void offset_reply_encode(struct encoder *encoder, int64_t offset);
/* `timestamp` of the answer to 32. */
enum status timestamp_reply_decode(const struct command *command, int64_t *timestamp, struct errinfo *err) MUST_USE;
void timestamp_reply_encode(struct encoder *encoder, int64_t timestamp);

#endif
