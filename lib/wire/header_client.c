#include "lib/wire/header_client.h"

#include "lib/wire/header_fields.h"

#define VIEW(member, name, kind, bits) HEADER_FIELD(struct view_message_header, member, name, kind, bits)

static const struct view_message_header view_defaults = { 0 };
static const struct header_field view_fields[] = {
	VIEW(topic, "topic", HEADER_TEXT, 0),
	VIEW(offset, "offset", HEADER_I64, HEADER_MANDATORY),
};
static const struct header_spec view_spec = HEADER_SPEC(view_fields, NULL, view_defaults);

enum status view_message_decode(const struct command *command, struct view_message_header *out, struct errinfo *err)
{
	return header_decode(command, &view_spec, out, err);
}

void view_message_encode(struct encoder *encoder, const struct view_message_header *header)
{
	header_encode(encoder, &view_spec, header);
}

#define QUERY(member, name, kind, bits) HEADER_FIELD(struct query_message_header, member, name, kind, bits)

static const struct query_message_header query_defaults = { 0 };
static const struct header_field query_fields[] = {
	QUERY(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	QUERY(key, "key", HEADER_TEXT, HEADER_MANDATORY),
	QUERY(max_num, "maxNum", HEADER_I32, HEADER_MANDATORY),
	QUERY(begin_timestamp, "beginTimestamp", HEADER_I64, HEADER_MANDATORY),
	QUERY(end_timestamp, "endTimestamp", HEADER_I64, HEADER_MANDATORY),
	QUERY(unique_key_query, "_UNIQUE_KEY_QUERY", HEADER_BOOL, HEADER_OMIT_DEFAULT),
	QUERY(index_type, "indexType", HEADER_TEXT, 0),
};
static const struct header_spec query_spec = HEADER_SPEC(query_fields, NULL, query_defaults);

enum status query_message_decode(const struct command *command, struct query_message_header *out, struct errinfo *err)
{
	return header_decode(command, &query_spec, out, err);
}

void query_message_encode(struct encoder *encoder, const struct query_message_header *header)
{
	header_encode(encoder, &query_spec, header);
}

#define UNREGISTER(member, name, bits) \
	HEADER_FIELD(struct unregister_client_header, member, name, HEADER_TEXT, bits)

static const struct unregister_client_header unregister_defaults = { 0 };
static const struct header_field unregister_fields[] = {
	UNREGISTER(client_id, "clientID", HEADER_MANDATORY),
	UNREGISTER(producer_group, "producerGroup", 0),
	UNREGISTER(consumer_group, "consumerGroup", 0),
};
static const struct header_spec unregister_spec = HEADER_SPEC(unregister_fields, NULL, unregister_defaults);

enum status unregister_client_decode(const struct command *command, struct unregister_client_header *out,
				     struct errinfo *err)
{
	return header_decode(command, &unregister_spec, out, err);
}

void unregister_client_encode(struct encoder *encoder, const struct unregister_client_header *header)
{
	header_encode(encoder, &unregister_spec, header);
}

#define BACK(member, name, kind, bits) HEADER_FIELD(struct send_back_header, member, name, kind, bits)

static const struct send_back_header back_defaults = { .max_reconsume_times = -1 };
static const struct header_field back_fields[] = {
	BACK(offset, "offset", HEADER_I64, HEADER_MANDATORY),
	BACK(group, "group", HEADER_TEXT, HEADER_MANDATORY),
	BACK(delay_level, "delayLevel", HEADER_I32, HEADER_MANDATORY),
	BACK(origin_msg_id, "originMsgId", HEADER_TEXT, 0),
	BACK(origin_topic, "originTopic", HEADER_TEXT, 0),
	BACK(unit_mode, "unitMode", HEADER_BOOL, 0),
	BACK(max_reconsume_times, "maxReconsumeTimes", HEADER_I32, HEADER_OMIT_DEFAULT),
};
static const struct header_spec back_spec = HEADER_SPEC(back_fields, NULL, back_defaults);

enum status send_back_decode(const struct command *command, struct send_back_header *out, struct errinfo *err)
{
	return header_decode(command, &back_spec, out, err);
}

void send_back_encode(struct encoder *encoder, const struct send_back_header *header)
{
	header_encode(encoder, &back_spec, header);
}

enum status consumer_group_decode(const struct command *command, struct span *group, struct errinfo *err)
{
	return command_field_text(command, "consumerGroup", group, err);
}

void consumer_group_encode(struct encoder *encoder, struct span group)
{
	command_put(encoder, "consumerGroup", group);
}
