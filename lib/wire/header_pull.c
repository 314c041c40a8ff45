#include "lib/wire/header_pull.h"

#include "lib/wire/header_fields.h"

#define PULL(member, name, kind, bits) HEADER_FIELD(struct pull_header, member, name, kind, bits)

enum {
	AT_GROUP,
	AT_TOPIC,
	AT_QUEUE_ID,
	AT_QUEUE_OFFSET,
	AT_MAX_NUMS,
	AT_SYS_FLAG,
	AT_COMMIT_OFFSET,
	AT_SUSPEND,
	AT_SUBSCRIPTION,
	AT_SUB_VERSION,
	AT_EXPRESSION,
	AT_MAX_BYTES,
};

static const struct pull_header defaults = { .max_msg_bytes = -1 };
static const struct header_field fields[] = {
	[AT_GROUP] = PULL(consumer_group, "consumerGroup", HEADER_TEXT, HEADER_MANDATORY),
	[AT_TOPIC] = PULL(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	[AT_QUEUE_ID] = PULL(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	[AT_QUEUE_OFFSET] = PULL(queue_offset, "queueOffset", HEADER_I64, HEADER_MANDATORY),
	[AT_MAX_NUMS] = PULL(max_msg_nums, "maxMsgNums", HEADER_I32, HEADER_MANDATORY),
	[AT_SYS_FLAG] = PULL(sys_flag, "sysFlag", HEADER_I32, HEADER_MANDATORY),
	[AT_COMMIT_OFFSET] = PULL(commit_offset, "commitOffset", HEADER_I64, 0),
	[AT_SUSPEND] = PULL(suspend_timeout_ms, "suspendTimeoutMillis", HEADER_I64, 0),
	[AT_SUBSCRIPTION] = PULL(subscription, "subscription", HEADER_TEXT, 0),
	[AT_SUB_VERSION] = PULL(sub_version, "subVersion", HEADER_I64, 0),
	[AT_EXPRESSION] = PULL(expression_type, "expressionType", HEADER_TEXT, 0),
	[AT_MAX_BYTES] = PULL(max_msg_bytes, "maxMsgBytes", HEADER_I32, HEADER_OMIT_DEFAULT),
};

static int candidate(struct span name)
{
	switch (name.size) {
	case 5: return AT_TOPIC;
	case 7: return name.data[0] == 'q' ? AT_QUEUE_ID : AT_SYS_FLAG;
	case 10: return name.data[0] == 'm' ? AT_MAX_NUMS : AT_SUB_VERSION;
	case 11: return name.data[0] == 'q' ? AT_QUEUE_OFFSET : AT_MAX_BYTES;
	case 12: return name.data[0] == 'c' ? AT_COMMIT_OFFSET : AT_SUBSCRIPTION;
	case 13: return AT_GROUP;
	case 14: return AT_EXPRESSION;
	case 20: return AT_SUSPEND;
	default: return -1;
	}
}

static const struct header_spec spec = HEADER_SPEC(fields, candidate, defaults);

enum status pull_header_decode(const struct command *command, struct pull_header *out, struct errinfo *err)
{
	return header_decode(command, &spec, out, err);
}

void pull_header_encode(struct encoder *encoder, const struct pull_header *header)
{
	header_encode(encoder, &spec, header);
}

#define REPLY(member, name, bits) HEADER_FIELD(struct pull_reply_header, member, name, HEADER_I64, bits)

static const struct pull_reply_header reply_defaults = { .forbidden_type = -1 };
static const struct header_field reply_fields[] = {
	REPLY(suggest_which_broker_id, "suggestWhichBrokerId", HEADER_MANDATORY),
	REPLY(next_begin_offset, "nextBeginOffset", HEADER_MANDATORY),
	REPLY(min_offset, "minOffset", HEADER_MANDATORY),
	REPLY(max_offset, "maxOffset", HEADER_MANDATORY),
	HEADER_FIELD(struct pull_reply_header, forbidden_type, "forbiddenType", HEADER_I32, HEADER_OMIT_DEFAULT),
};
static const struct header_spec reply_spec = HEADER_SPEC(reply_fields, NULL, reply_defaults);

enum status pull_reply_decode(const struct command *command, struct pull_reply_header *out, struct errinfo *err)
{
	return header_decode(command, &reply_spec, out, err);
}

void pull_reply_encode(struct encoder *encoder, const struct pull_reply_header *header)
{
	header_encode(encoder, &reply_spec, header);
}
