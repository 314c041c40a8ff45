#include "lib/wire/header_pop.h"

#include "lib/wire/header_fields.h"

#define POP(member, name, kind, bits) HEADER_FIELD(struct pop_header, member, name, kind, bits)

static const struct pop_header pop_defaults = { .queue_id = -1 };
static const struct header_field pop_fields[] = {
	POP(consumer_group, "consumerGroup", HEADER_TEXT, HEADER_MANDATORY),
	POP(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	POP(queue_id, "queueId", HEADER_I32, 0),
	POP(max_msg_nums, "maxMsgNums", HEADER_I32, 0),
	POP(invisible_ms, "invisibleTime", HEADER_I64, 0),
	POP(poll_ms, "pollTime", HEADER_I64, 0),
	POP(born_ms, "bornTime", HEADER_I64, 0),
	POP(init_mode, "initMode", HEADER_I32, 0),
	POP(expression_type, "expType", HEADER_TEXT, 0),
	POP(expression, "exp", HEADER_TEXT, 0),
	POP(order, "order", HEADER_BOOL, 0),
	POP(attempt_id, "attemptId", HEADER_TEXT, 0),
};
static const struct header_spec pop_spec = HEADER_SPEC(pop_fields, NULL, pop_defaults);

enum status pop_header_decode(const struct command *command, struct pop_header *out, struct errinfo *err)
{
	return header_decode(command, &pop_spec, out, err);
}

void pop_header_encode(struct encoder *encoder, const struct pop_header *header)
{
	header_encode(encoder, &pop_spec, header);
}

#define REPLY(member, name, kind, bits) HEADER_FIELD(struct pop_reply_header, member, name, kind, bits)

static const struct pop_reply_header reply_defaults = { 0 };
static const struct header_field reply_fields[] = {
	REPLY(pop_ms, "popTime", HEADER_I64, 0),
	REPLY(invisible_ms, "invisibleTime", HEADER_I64, 0),
	REPLY(revive_queue_id, "reviveQid", HEADER_I32, 0),
	REPLY(rest, "restNum", HEADER_I64, 0),
	REPLY(start_info, "startOffsetInfo", HEADER_TEXT, 0),
	REPLY(offset_info, "msgOffsetInfo", HEADER_TEXT, 0),
	REPLY(order_info, "orderCountInfo", HEADER_TEXT, 0),
};
static const struct header_spec reply_spec = HEADER_SPEC(reply_fields, NULL, reply_defaults);

void pop_reply_encode(struct encoder *encoder, const struct pop_reply_header *header)
{
	header_encode(encoder, &reply_spec, header);
}

#define ACK(member, name, kind, bits) HEADER_FIELD(struct pop_ack_header, member, name, kind, bits)

static const struct pop_ack_header ack_defaults = { .invisible_ms = -1 };
static const struct header_field ack_fields[] = {
	ACK(consumer_group, "consumerGroup", HEADER_TEXT, HEADER_MANDATORY),
	ACK(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	ACK(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	ACK(extra_info, "extraInfo", HEADER_TEXT, HEADER_MANDATORY),
	ACK(offset, "offset", HEADER_I64, HEADER_MANDATORY),
	ACK(invisible_ms, "invisibleTime", HEADER_I64, HEADER_OMIT_DEFAULT),
};
static const struct header_spec ack_spec = HEADER_SPEC(ack_fields, NULL, ack_defaults);

enum status pop_ack_decode(const struct command *command, struct pop_ack_header *out, struct errinfo *err)
{
	return header_decode(command, &ack_spec, out, err);
}

void pop_ack_encode(struct encoder *encoder, const struct pop_ack_header *header)
{
	header_encode(encoder, &ack_spec, header);
}
