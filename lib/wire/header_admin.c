#include "lib/wire/header_admin.h"

#include "lib/wire/header_fields.h"

#define TOPIC(member, name, kind, bits) HEADER_FIELD(struct create_topic_header, member, name, kind, bits)

static const struct create_topic_header topic_defaults = { 0 };
static const struct header_field topic_fields[] = {
	TOPIC(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	TOPIC(read_queue_nums, "readQueueNums", HEADER_I32, HEADER_MANDATORY),
	TOPIC(write_queue_nums, "writeQueueNums", HEADER_I32, HEADER_MANDATORY),
	TOPIC(perm, "perm", HEADER_I32, HEADER_MANDATORY),
	TOPIC(topic_filter_type, "topicFilterType", HEADER_TEXT, 0),
	TOPIC(topic_sys_flag, "topicSysFlag", HEADER_I32, 0),
	TOPIC(order, "order", HEADER_BOOL, 0),
	TOPIC(attributes, "attributes", HEADER_TEXT, 0),
};
static const struct header_spec topic_spec = HEADER_SPEC(topic_fields, NULL, topic_defaults);

enum status create_topic_decode(const struct command *command, struct create_topic_header *out, struct errinfo *err)
{
	return header_decode(command, &topic_spec, out, err);
}

/* RocketMQ's brokers take defaultTopic and topicFilterType as mandatory. */
void create_topic_encode(struct encoder *encoder, const struct create_topic_header *header)
{
	header_encode(encoder, &topic_spec, header);
	command_put_text(encoder, "defaultTopic", TOPIC_AUTO_CREATE);
	if (header->topic_filter_type.size == 0)
		command_put_text(encoder, "topicFilterType", "SINGLE_TAG");
}

enum status topic_header_decode(const struct command *command, struct span *topic, struct errinfo *err)
{
	return command_field_text(command, "topic", topic, err);
}

void topic_header_encode(struct encoder *encoder, struct span topic)
{
	command_put(encoder, "topic", topic);
}

enum status group_header_decode(const struct command *command, struct span *group, struct errinfo *err)
{
	return command_field_text(command, "group", group, err);
}

void group_header_encode(struct encoder *encoder, struct span group)
{
	command_put(encoder, "group", group);
}

#define GROUP(member, name, kind, bits) HEADER_FIELD(struct delete_group_header, member, name, kind, bits)

static const struct delete_group_header group_defaults = { 0 };
static const struct header_field group_fields[] = {
	GROUP(group_name, "groupName", HEADER_TEXT, HEADER_MANDATORY),
	GROUP(clean_offset, "cleanOffset", HEADER_BOOL, 0),
};
static const struct header_spec group_spec = HEADER_SPEC(group_fields, NULL, group_defaults);

enum status delete_group_decode(const struct command *command, struct delete_group_header *out, struct errinfo *err)
{
	return header_decode(command, &group_spec, out, err);
}

void delete_group_encode(struct encoder *encoder, const struct delete_group_header *header)
{
	header_encode(encoder, &group_spec, header);
}

#define RESET(member, name, kind, bits) HEADER_FIELD(struct reset_offset_header, member, name, kind, bits)

static const struct reset_offset_header reset_defaults = { .queue_id = -1, .offset = -1 };
static const struct header_field reset_fields[] = {
	RESET(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	RESET(group, "group", HEADER_TEXT, HEADER_MANDATORY),
	RESET(timestamp, "timestamp", HEADER_I64, HEADER_MANDATORY),
	RESET(is_force, "isForce", HEADER_BOOL, 0),
	RESET(queue_id, "queueId", HEADER_I32, 0),
	RESET(offset, "offset", HEADER_I64, 0),
};
static const struct header_spec reset_spec = HEADER_SPEC(reset_fields, NULL, reset_defaults);

enum status reset_offset_decode(const struct command *command, struct reset_offset_header *out, struct errinfo *err)
{
	return header_decode(command, &reset_spec, out, err);
}

void reset_offset_encode(struct encoder *encoder, const struct reset_offset_header *header)
{
	header_encode(encoder, &reset_spec, header);
}
