/* Records that hold or place messages: MESSAGE, DELIVER, TIMER_CANCEL, CARRY.
 *
 * A message is stored as a RocketMQ message record in the form in which it will be delivered, always as the last part
 * of the payload, so that (record offset, delta, size) finds it. Bytes: docs/formats/records.md.
 * encode() writes exactly size() bytes. Decoded spans borrow from the payload. Threads: pure. */
#ifndef ESCROW_RECORD_MESSAGE_H
#define ESCROW_RECORD_MESSAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

/* An ordinary message. Topic and queue are in the message itself. */
struct record_message {
	uint64_t queue_offset;   /* Its place in the queue; 0 while delayed. */
	int64_t store_time_ms;
	int64_t deliver_at_ms;   /* 0 = at once. Otherwise a DELIVER record will give it its place. */
	int32_t tag_hash;
	uint32_t queue_id;
	struct span topic;
	struct span message;
};
size_t record_message_size(const struct record_message *r);
void record_message_encode(const struct record_message *r, uint8_t *at);
/* All but the message, which the caller writes in place: its `size` counts, its `data` is not looked at. */
void record_message_encode_head(const struct record_message *r, uint8_t *at);
enum status record_message_decode(struct span payload, struct record_message *out, struct errinfo *err) MUST_USE;

/* A delayed message is due: it gets its place in its queue, under this record's offset as its name. */
struct record_deliver {
	uint64_t source_offset;  /* The MESSAGE or DECISION that carried the delay. */
	uint64_t body_offset;    /* The record that holds the message. */
	uint32_t message_size;
	uint16_t message_delta;  /* From body_offset to the message. */
	bool transactional;      /* The body is a half message. */
	uint32_t queue_id;
	uint64_t queue_offset;
	int64_t deliver_time_ms; /* When it was done; the message's store time. */
	int32_t tag_hash;
	struct span topic;
};
size_t record_deliver_size(const struct record_deliver *r);
void record_deliver_encode(const struct record_deliver *r, uint8_t *at);
enum status record_deliver_decode(struct span payload, struct record_deliver *out, struct errinfo *err) MUST_USE;

/* A delayed message was recalled before it was due. */
struct record_timer_cancel {
	uint64_t source_offset;  /* The MESSAGE that carried the delay. */
	int64_t when_ms;
	struct span who;
	struct span topic;       /* Of the message, like the next: the name under which those that wait are found. */
	struct span unique_key;
};
size_t record_timer_cancel_size(const struct record_timer_cancel *r);
void record_timer_cancel_encode(const struct record_timer_cancel *r, uint8_t *at);
enum status record_timer_cancel_decode(struct span payload, struct record_timer_cancel *out, struct errinfo *err) MUST_USE;

/* What can be carried; the numbers are those of the envelope's kinds. */
enum { CARRY_MESSAGE = 4, CARRY_HALF = 5, CARRY_DECISION = 6 };

/* An old record's payload, carried to the log's end so that its segment can go. Its original offset stays its name. */
struct record_carry {
	uint64_t original_offset;
	uint8_t original_kind;   /* CARRY_... */
	struct span payload;     /* The original payload; last. */
};
size_t record_carry_size(const struct record_carry *r);
void record_carry_encode(const struct record_carry *r, uint8_t *at);
enum status record_carry_decode(struct span payload, struct record_carry *out, struct errinfo *err) MUST_USE;

#endif
