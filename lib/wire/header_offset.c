#include "lib/wire/header_offset.h"

#include <strings.h>

#include "lib/wire/header_fields.h"

#define CONSUMER(member, name, kind, bits) HEADER_FIELD(struct consumer_offset_header, member, name, kind, bits)

static const struct consumer_offset_header consumer_defaults = { .set_zero_if_not_found = true };
static const struct header_field query_fields[] = {
	CONSUMER(consumer_group, "consumerGroup", HEADER_TEXT, HEADER_MANDATORY),
	CONSUMER(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	CONSUMER(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	CONSUMER(set_zero_if_not_found, "setZeroIfNotFound", HEADER_BOOL, HEADER_OMIT_DEFAULT),
};
static const struct header_field update_fields[] = {
	CONSUMER(consumer_group, "consumerGroup", HEADER_TEXT, HEADER_MANDATORY),
	CONSUMER(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	CONSUMER(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	CONSUMER(commit_offset, "commitOffset", HEADER_I64, HEADER_MANDATORY),
};
static const struct header_spec query_spec = HEADER_SPEC(query_fields, NULL, consumer_defaults);
static const struct header_spec update_spec = HEADER_SPEC(update_fields, NULL, consumer_defaults);

enum status query_consumer_offset_decode(const struct command *command, struct consumer_offset_header *out,
					 struct errinfo *err)
{
	return header_decode(command, &query_spec, out, err);
}

void query_consumer_offset_encode(struct encoder *encoder, const struct consumer_offset_header *header)
{
	header_encode(encoder, &query_spec, header);
}

enum status update_consumer_offset_decode(const struct command *command, struct consumer_offset_header *out,
					  struct errinfo *err)
{
	return header_decode(command, &update_spec, out, err);
}

void update_consumer_offset_encode(struct encoder *encoder, const struct consumer_offset_header *header)
{
	header_encode(encoder, &update_spec, header);
}

#define QUEUE(member, name, kind, bits) HEADER_FIELD(struct queue_header, member, name, kind, bits)

static const struct queue_header queue_defaults = { .committed = true };
static const struct header_field search_fields[] = {
	QUEUE(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	QUEUE(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	QUEUE(timestamp, "timestamp", HEADER_I64, HEADER_MANDATORY),
};
static const struct header_field queue_fields[] = {
	QUEUE(topic, "topic", HEADER_TEXT, HEADER_MANDATORY),
	QUEUE(queue_id, "queueId", HEADER_I32, HEADER_MANDATORY),
	QUEUE(committed, "committed", HEADER_BOOL, HEADER_OMIT_DEFAULT),
};
static const struct header_spec search_spec = HEADER_SPEC(search_fields, NULL, queue_defaults);
static const struct header_spec queue_spec = HEADER_SPEC(queue_fields, NULL, queue_defaults);

enum status search_offset_decode(const struct command *command, struct queue_header *out, struct errinfo *err)
{
	enum status status = header_decode(command, &search_spec, out, err);
	struct span boundary = command_field(command, "boundaryType");

	out->boundary_upper = boundary.size == 5 && strncasecmp((const char *)boundary.data, "UPPER", 5) == 0;
	return status;
}

void search_offset_encode(struct encoder *encoder, const struct queue_header *header)
{
	header_encode(encoder, &search_spec, header);
	command_put_text(encoder, "boundaryType", header->boundary_upper ? "UPPER" : "LOWER");
}

enum status queue_header_decode(const struct command *command, struct queue_header *out, struct errinfo *err)
{
	return header_decode(command, &queue_spec, out, err);
}

void queue_header_encode(struct encoder *encoder, const struct queue_header *header)
{
	header_encode(encoder, &queue_spec, header);
}

enum status offset_reply_decode(const struct command *command, int64_t *offset, struct errinfo *err)
{
	return command_field_i64(command, "offset", offset, err);
}

void offset_reply_encode(struct encoder *encoder, int64_t offset)
{
	command_put_i64(encoder, "offset", offset);
}

enum status timestamp_reply_decode(const struct command *command, int64_t *timestamp, struct errinfo *err)
{
	return command_field_i64(command, "timestamp", timestamp, err);
}

void timestamp_reply_encode(struct encoder *encoder, int64_t timestamp)
{
	command_put_i64(encoder, "timestamp", timestamp);
}
