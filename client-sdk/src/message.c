#include <stdlib.h>

#include "client-sdk/src/fail.h"
#include "client-sdk/src/message_internal.h"
#include "lib/wire/codes.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"

/* What RocketMQ keeps for itself; a user property of such a name would change what happens to the message. */
static const char *const reserved_names[] = {
	"KEYS", "TAGS", "WAIT", "DELAY", "RETRY_TOPIC", "REAL_TOPIC", "REAL_QID", "TRAN_MSG", "PGROUP", "MIN_OFFSET",
	"MAX_OFFSET", "BUYER_ID", "ORIGIN_MESSAGE_ID", "TRANSFER_FLAG", "CORRECTION_FLAG", "MQ2_FLAG", "RECONSUME_TIME",
	"MSG_REGION", "TRACE_ON", "UNIQ_KEY", "EXTEND_UNIQ_INFO", "MAX_RECONSUME_TIMES", "CONSUME_START_TIME",
	"TRAN_PREPARED_QUEUE_OFFSET", "TRANSACTION_CHECK_TIMES", "CHECK_IMMUNITY_TIME_IN_SECONDS", "__transactionId__",
	"INSTANCE_ID", "CORRELATION_ID", "REPLY_TO_CLIENT", "TTL", "ARRIVE_TIME", "PUSH_REPLY_TIME", "CLUSTER", "MSG_TYPE",
	"POP_CK", "POP_CK_OFFSET", "1ST_POP_TIME", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS", "TIMER_OUT_MS",
	"TIMER_ENQUEUE_MS", "TIMER_DEQUEUE_MS", "TIMER_ROLL_TIMES", "TIMER_DEL_UNIQKEY", "TIMER_DELAY_LEVEL", "INNER_NUM",
	"INNER_BASE", "DUP_INFO", "DLQ_ORIGIN_TOPIC", "DLQ_ORIGIN_MESSAGE_ID", "__CRC32#", "__SHARDINGKEY",
};

enum { DELAY_LEVEL_MAX = 18, IMMUNITY_MAX_S = 7 * 24 * 3600 };

/* --- properties -------------------------------------------------------------------------------------------- */

/* The pair after `*at`; false at the end. The block is well formed by construction. */
static bool pair_next(const struct buffer *properties, size_t *at, const char **name, const char **value)
{
	if (*at >= properties->end)
		return false;
	*name = (const char *)properties->data + *at;
	*value = *name + strlen(*name) + 1;
	*at += strlen(*name) + strlen(*value) + 2;
	return true;
}

static void remove_property(escrow_message *message, const char *wanted)
{
	struct buffer *properties = &message->properties;
	const char *name, *value;

	for (size_t at = 0, start = 0; pair_next(properties, &at, &name, &value); start = at) {
		if (strcmp(name, wanted) != 0)
			continue;
		memmove(properties->data + start, properties->data + at, properties->end - at);
		properties->end -= at - start;
		return;
	}
}

static bool has_separator(const char *text)
{
	return strpbrk(text, "\001\002") != NULL;
}

enum status message_put_property(escrow_message *message, const char *name, const char *value, struct errinfo *err)
{
	struct buffer *properties = &message->properties;

	if (name[0] == '\0' || has_separator(name) || has_separator(value))
		return errinfo_set(err, ST_INVALID, "property \"%.60s\": empty name, or byte 1 or 2 in name or value", name);
	remove_property(message, name);
	if (value[0] == '\0')
		return ST_OK; /* An empty value is no property on the wire. */
	size_t start = properties->end;
	buffer_append(properties, name, strlen(name) + 1);
	buffer_append(properties, value, strlen(value) + 1);
	if (!properties->failed)
		return ST_OK;
	properties->end = start;
	properties->failed = false;
	return errinfo_set(err, ST_NOMEM, "property \"%.60s\": no memory, or more than %d bytes of properties", name,
			   PROPERTIES_SIZE_MAX);
}

void message_append_properties(const escrow_message *message, struct buffer *out)
{
	const char *name, *value;

	for (size_t at = 0; pair_next(&message->properties, &at, &name, &value);) {
		buffer_append_text(out, name);
		buffer_put_u8(out, PROPERTY_NAME_END);
		buffer_append_text(out, value);
		buffer_put_u8(out, PROPERTY_VALUE_END);
	}
}

/* --- to be sent ----------------------------------------------------------------------------------------------- */

static escrow_message *message_new(struct span topic, size_t body_size)
{
	escrow_message *message = calloc(1, sizeof(*message));

	if (message == NULL)
		return NULL;
	buffer_init(&message->properties, PROPERTIES_SIZE_MAX);
	message->topic = strndup(topic.size == 0 ? "" : (const char *)topic.data, topic.size);
	message->body = malloc(body_size == 0 ? 1 : body_size);
	message->body_size = body_size;
	if (message->topic != NULL && message->body != NULL)
		return message;
	escrow_message_destroy(message);
	return NULL;
}

enum escrow_code escrow_message_create(const char *topic, const void *body, size_t body_size, escrow_message **out,
				       struct escrow_error *err)
{
	struct errinfo cause;

	if (topic == NULL || out == NULL || (body == NULL && body_size > 0))
		return sdk_fail(err, ESCROW_INVALID, "create a message: topic, body and out must not be NULL");
	if (topic_name_check(span_of(topic), &cause) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "create a message: %s", cause.text);
	if (topic_is_unsendable(span_of(topic)))
		return sdk_fail(err, ESCROW_INVALID, "create a message: topic %s belongs to the system", topic);
	if (body_size > MESSAGE_SIZE_MAX)
		return sdk_fail(err, ESCROW_INVALID, "create a message: body of %zu bytes is over the limit of %d", body_size,
				MESSAGE_SIZE_MAX);
	escrow_message *message = message_new(span_of(topic), body_size);
	if (message == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "create a message: out of memory");
	if (body_size > 0)
		memcpy(message->body, body, body_size);
	*out = message;
	return ESCROW_OK;
}

void escrow_message_destroy(escrow_message *message)
{
	if (message == NULL)
		return;
	buffer_deinit(&message->properties);
	free(message->topic);
	free(message->body);
	free(message);
}

static enum escrow_code put(escrow_message *message, const char *name, const char *value, struct escrow_error *err)
{
	struct errinfo cause;

	if (message == NULL || value == NULL)
		return sdk_fail(err, ESCROW_INVALID, "set %s: message and value must not be NULL", name);
	enum status status = message_put_property(message, name, value, &cause);
	return status == ST_OK ? ESCROW_OK : sdk_fail_status(err, "set a property", status, &cause);
}

enum escrow_code escrow_message_set_tag(escrow_message *message, const char *tag, struct escrow_error *err)
{
	if (tag != NULL && (strstr(tag, "||") != NULL || strcmp(tag, "*") == 0))
		return sdk_fail(err, ESCROW_INVALID, "tag \"%.60s\": a message has one tag, without \"||\"", tag);
	return put(message, PROPERTY_TAGS, tag, err);
}

enum escrow_code escrow_message_set_keys(escrow_message *message, const char *keys, struct escrow_error *err)
{
	return put(message, PROPERTY_KEYS, keys, err);
}

enum escrow_code escrow_message_set_property(escrow_message *message, const char *name, const char *value,
					     struct escrow_error *err)
{
	if (name == NULL)
		return sdk_fail(err, ESCROW_INVALID, "set a property: name must not be NULL");
	for (size_t i = 0; i < sizeof(reserved_names) / sizeof(reserved_names[0]); i++) {
		if (strcmp(name, reserved_names[i]) == 0)
			return sdk_fail(err, ESCROW_INVALID, "property %s is reserved", name);
	}
	return put(message, name, value, err);
}

static enum escrow_code put_number(escrow_message *message, const char *name, int value, int max,
				   struct escrow_error *err)
{
	char text[24];

	if (value < 0 || value > max)
		return sdk_fail(err, ESCROW_INVALID, "%s=%d is outside of 0 to %d", name, value, max);
	text[value == 0 ? 0 : format_i64(text, value)] = '\0'; /* 0 removes it. */
	return put(message, name, text, err);
}

enum escrow_code escrow_message_set_delay_level(escrow_message *message, int level, struct escrow_error *err)
{
	return put_number(message, PROPERTY_DELAY, level, DELAY_LEVEL_MAX, err);
}

enum escrow_code escrow_message_set_ordering_key(escrow_message *message, const char *key, struct escrow_error *err)
{
	return put(message, PROPERTY_SHARDING_KEY, key, err);
}

enum escrow_code escrow_message_set_check_immunity(escrow_message *message, int seconds, struct escrow_error *err)
{
	return put_number(message, PROPERTY_CHECK_IMMUNITY, seconds, IMMUNITY_MAX_S, err);
}

/* --- to be read --------------------------------------------------------------------------------------------------- */

const char *escrow_message_property(const escrow_message *message, const char *wanted)
{
	const char *name, *value;

	for (size_t at = 0; pair_next(&message->properties, &at, &name, &value);) {
		if (strcmp(name, wanted) == 0)
			return value;
	}
	return NULL;
}

static const char *property_or_empty(const escrow_message *message, const char *name)
{
	const char *value = escrow_message_property(message, name);

	return value == NULL ? "" : value;
}

const char *escrow_message_topic(const escrow_message *message) { return message->topic; }
const char *escrow_message_tag(const escrow_message *message) { return property_or_empty(message, PROPERTY_TAGS); }
const char *escrow_message_keys(const escrow_message *message) { return property_or_empty(message, PROPERTY_KEYS); }
const char *escrow_message_id(const escrow_message *message) { return property_or_empty(message, PROPERTY_UNIQ_KEY); }
const char *escrow_message_offset_id(const escrow_message *message) { return message->offset_id; }
int escrow_message_queue_id(const escrow_message *message) { return message->queue_id; }
int64_t escrow_message_queue_offset(const escrow_message *message) { return message->queue_offset; }
int escrow_message_reconsume_times(const escrow_message *message) { return message->reconsume_times; }
int64_t escrow_message_born_ms(const escrow_message *message) { return message->born_ms; }
int64_t escrow_message_stored_ms(const escrow_message *message) { return message->stored_ms; }

const void *escrow_message_body(const escrow_message *message, size_t *size_out)
{
	if (size_out != NULL)
		*size_out = message->body_size;
	return message->body;
}

/* --- arrived -------------------------------------------------------------------------------------------------------- */

/* Foreign text as a C text: a NUL inside becomes '?', so that the block stays well formed. */
static void append_text(struct buffer *out, struct span text)
{
	for (size_t i = 0; i < text.size; i++)
		buffer_put_u8(out, text.data[i] == '\0' ? '?' : text.data[i]);
	buffer_put_u8(out, 0);
}

static enum status copy_properties(escrow_message *message, struct span properties, struct errinfo *err)
{
	struct property property;

	while (property_next(&properties, &property)) {
		append_text(&message->properties, property.name);
		append_text(&message->properties, property.value);
	}
	if (!message->properties.failed)
		return ST_OK;
	return errinfo_set(err, ST_NOMEM, "no memory for a message's properties");
}

static enum status fill_from_record(escrow_message *message, const struct message *record, struct errinfo *err)
{
	if (record->body.size > 0 && !(record->sys_flag & SYSFLAG_COMPRESSED))
		memcpy(message->body, record->body.data, record->body.size);
	if (record->sys_flag & SYSFLAG_COMPRESSED) {
		free(message->body);
		message->body = NULL;
		enum status status = body_inflate(record->body, record->sys_flag, MESSAGE_BODY_INFLATED_MAX, &message->body,
						  &message->body_size, err);
		if (status != ST_OK)
			return status;
	}
	offset_msg_id_encode(&record->store_host, record->physical_offset, message->offset_id);
	message->queue_id = record->queue_id;
	message->queue_offset = record->queue_offset;
	message->physical_offset = record->physical_offset;
	message->reconsume_times = record->reconsume_times;
	message->born_ms = record->born_timestamp;
	message->stored_ms = record->store_timestamp;
	return copy_properties(message, record->properties, err);
}

enum status message_from_record(const struct message *record, escrow_message **out, struct errinfo *err)
{
	struct span topic = record->topic;
	struct span real = property_get(record->properties, PROPERTY_RETRY_TOPIC);

	if (topic_is_retry(topic) && real.size > 0)
		topic = real;
	escrow_message *message = message_new(topic, record->body.size);
	if (message == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a message of %zu bytes", record->body.size);
	enum status status = fill_from_record(message, record, err);
	if (status != ST_OK) {
		escrow_message_destroy(message);
		return status;
	}
	*out = message;
	return ST_OK;
}
