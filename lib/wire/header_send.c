#include "lib/wire/header_send.h"

#include "lib/wire/header_fields.h"

#define FIELD(member, name, kind, bits) HEADER_FIELD(struct send_header, member, name, kind, bits)

static const struct send_header defaults = { .default_topic_queue_nums = 4, .max_reconsume_times = -1 };

static const struct header_field long_fields[] = {
	FIELD(producer_group, "producerGroup", HEADER_TEXT, HEADER_MANDATORY),
	FIELD(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	FIELD(default_topic, "defaultTopic", HEADER_TEXT, 0),
	FIELD(default_topic_queue_nums, "defaultTopicQueueNums", HEADER_I32, 0),
	FIELD(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	FIELD(sys_flag, "sysFlag", HEADER_I32, HEADER_MANDATORY),
	FIELD(born_timestamp, "bornTimestamp", HEADER_I64, HEADER_MANDATORY),
	FIELD(flag, "flag", HEADER_I32, 0),
	FIELD(properties, "properties", HEADER_TEXT, 0),
	FIELD(reconsume_times, "reconsumeTimes", HEADER_I32, 0),
	FIELD(unit_mode, "unitMode", HEADER_BOOL, 0),
	FIELD(max_reconsume_times, "maxReconsumeTimes", HEADER_I32, HEADER_OMIT_DEFAULT),
	FIELD(batch, "batch", HEADER_BOOL, 0),
};

/* 'a' + index. */
static const struct header_field short_fields[] = {
	FIELD(producer_group, "a", HEADER_TEXT, HEADER_MANDATORY),
	FIELD(topic, "b", HEADER_TEXT, HEADER_MANDATORY),
	FIELD(default_topic, "c", HEADER_TEXT, 0),
	FIELD(default_topic_queue_nums, "d", HEADER_I32, 0),
	FIELD(queue_id, "e", HEADER_I32, HEADER_MANDATORY),
	FIELD(sys_flag, "f", HEADER_I32, HEADER_MANDATORY),
	FIELD(born_timestamp, "g", HEADER_I64, HEADER_MANDATORY),
	FIELD(flag, "h", HEADER_I32, 0),
	FIELD(properties, "i", HEADER_TEXT, 0),
	FIELD(reconsume_times, "j", HEADER_I32, 0),
	FIELD(unit_mode, "k", HEADER_BOOL, 0),
	FIELD(max_reconsume_times, "l", HEADER_I32, HEADER_OMIT_DEFAULT),
	FIELD(batch, "m", HEADER_BOOL, 0),
};

static int short_candidate(struct span name)
{
	return name.size == 1 && name.data[0] >= 'a' && name.data[0] <= 'm' ? name.data[0] - 'a' : -1;
}

static const struct header_spec long_spec = HEADER_SPEC(long_fields, NULL, defaults);
static const struct header_spec short_spec = HEADER_SPEC(short_fields, short_candidate, defaults);

static const struct header_spec *spec_of(int32_t code)
{
	return code == REQ_SEND_MESSAGE || code == REQ_SEND_REPLY_MESSAGE ? &long_spec : &short_spec;
}

enum status send_header_decode(const struct command *command, struct send_header *out, struct errinfo *err)
{
	enum status status = header_decode(command, spec_of(command->code), out, err);

	if (command->code == REQ_SEND_BATCH_MESSAGE)
		out->batch = true;
	return status;
}

void send_header_encode(struct encoder *encoder, int32_t code, const struct send_header *header)
{
	header_encode(encoder, spec_of(code), header);
}

#define REPLY(member, name, kind, bits) HEADER_FIELD(struct send_reply_header, member, name, kind, bits)

static const struct send_reply_header reply_defaults = { 0 };
static const struct header_field reply_fields[] = {
	REPLY(msg_id, "msgId", HEADER_TEXT, HEADER_MANDATORY),
	REPLY(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	REPLY(queue_offset, "queueOffset", HEADER_I64, HEADER_MANDATORY),
	REPLY(transaction_id, "transactionId", HEADER_TEXT, 0),
	REPLY(msg_region, "MSG_REGION", HEADER_TEXT, 0),
	REPLY(trace_on, "TRACE_ON", HEADER_BOOL, 0),
	REPLY(recall_handle, "recallHandle", HEADER_TEXT, 0),
};
static const struct header_spec reply_spec = HEADER_SPEC(reply_fields, NULL, reply_defaults);

enum status send_reply_decode(const struct command *command, struct send_reply_header *out, struct errinfo *err)
{
	return header_decode(command, &reply_spec, out, err);
}

void send_reply_encode(struct encoder *encoder, const struct send_reply_header *header)
{
	header_encode(encoder, &reply_spec, header);
}

#define PUSH(member, name, kind, bits) HEADER_FIELD(struct push_reply_header, member, name, kind, bits)

static const struct push_reply_header push_defaults = { .send = { .default_topic_queue_nums = 4, .max_reconsume_times = -1 } };
static const struct header_field push_fields[] = {
	PUSH(send.producer_group, "producerGroup", HEADER_TEXT, HEADER_MANDATORY),
	PUSH(send.topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	PUSH(send.default_topic, "defaultTopic", HEADER_TEXT, 0),
	PUSH(send.default_topic_queue_nums, "defaultTopicQueueNums", HEADER_I32, 0),
	PUSH(send.queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	PUSH(send.sys_flag, "sysFlag", HEADER_I32, HEADER_MANDATORY),
	PUSH(send.born_timestamp, "bornTimestamp", HEADER_I64, HEADER_MANDATORY),
	PUSH(send.flag, "flag", HEADER_I32, 0),
	PUSH(send.properties, "properties", HEADER_TEXT, 0),
	PUSH(send.reconsume_times, "reconsumeTimes", HEADER_I32, 0),
	PUSH(send.unit_mode, "unitMode", HEADER_BOOL, 0),
	PUSH(born_host, "bornHost", HEADER_TEXT, HEADER_MANDATORY),
	PUSH(store_host, "storeHost", HEADER_TEXT, HEADER_MANDATORY),
	PUSH(store_timestamp, "storeTimestamp", HEADER_I64, HEADER_MANDATORY),
};
static const struct header_spec push_spec = HEADER_SPEC(push_fields, NULL, push_defaults);

enum status push_reply_decode(const struct command *command, struct push_reply_header *out, struct errinfo *err)
{
	return header_decode(command, &push_spec, out, err);
}

void push_reply_encode(struct encoder *encoder, const struct push_reply_header *header)
{
	header_encode(encoder, &push_spec, header);
}
