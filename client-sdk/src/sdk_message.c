/* See escrow/message.h and sdk_message.h. */
#include "client-sdk/src/sdk_message.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "client-sdk/src/sdk_error.h"
#include "lib/wire/codes.h"
#include "lib/wire/msgid.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"

static const char *const reserved_names[] = {
	PROPERTY_KEYS, PROPERTY_TAGS, PROPERTY_WAIT, PROPERTY_DELAY, PROPERTY_RETRY_TOPIC, PROPERTY_REAL_TOPIC,
	PROPERTY_REAL_QID, PROPERTY_TRAN_MSG, PROPERTY_PGROUP, PROPERTY_MIN_OFFSET, PROPERTY_MAX_OFFSET,
	PROPERTY_ORIGIN_MESSAGE_ID, PROPERTY_RECONSUME_TIME, PROPERTY_MAX_RECONSUME_TIMES, PROPERTY_MSG_REGION,
	PROPERTY_TRACE_ON, PROPERTY_UNIQ_KEY, PROPERTY_CHECK_IMMUNITY, PROPERTY_TRAN_PREPARED_QUEUE_OFFSET,
	PROPERTY_TRANSACTION_ID, PROPERTY_TRANSACTION_CHECK_TIMES, PROPERTY_CLUSTER, PROPERTY_POP_CK,
	PROPERTY_SHARDING_KEY, PROPERTY_INSTANCE_ID, PROPERTY_TIMER_DELAY_SEC, PROPERTY_TIMER_DELAY_MS,
	PROPERTY_TIMER_DELIVER_MS,
};

static struct sdk_property *find(const struct escrow_message *message, const char *name)
{
	for (size_t i = message->property_count; i > 0; i--) {
		if (strcmp(message->properties[i - 1].name, name) == 0)
			return &message->properties[i - 1];
	}
	return NULL;
}

static const char *text_of(const struct escrow_message *message, const char *name)
{
	const struct sdk_property *property = find(message, name);

	return property == NULL ? "" : property->value;
}

static bool grow(struct escrow_message *message)
{
	if (message->property_count < message->property_capacity)
		return true;
	size_t capacity = message->property_capacity == 0 ? 8 : 2 * message->property_capacity;
	struct sdk_property *grown = realloc(message->properties, capacity * sizeof(*grown));

	if (grown == NULL)
		return false;
	message->properties = grown;
	message->property_capacity = capacity;
	return true;
}

static bool has_separator(const char *text)
{
	return strpbrk(text, "\x01\x02") != NULL;
}

static enum escrow_code set(struct escrow_message *message, const char *name, const char *value,
			    struct escrow_error *err)
{
	if (name == NULL || value == NULL || name[0] == '\0' || value[0] == '\0')
		return sdk_fail(err, ESCROW_INVALID, "a property needs a name and a value that are not empty");
	if (has_separator(name) || has_separator(value))
		return sdk_fail(err, ESCROW_INVALID, "property %.100s: the bytes 1 and 2 separate properties on the wire", name);
	char *copy = strdup(value);
	struct sdk_property *property = find(message, name);

	if (copy == NULL)
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a property");
	if (property != NULL) {
		free(property->value);
		property->value = copy;
		return ESCROW_OK;
	}
	if (message->property_count >= SDK_PROPERTIES_MAX) {
		free(copy);
		return sdk_fail(err, ESCROW_INVALID, "more than %d properties", SDK_PROPERTIES_MAX);
	}
	char *name_copy = strdup(name);
	if (name_copy == NULL || !grow(message)) {
		free(copy);
		free(name_copy);
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a property");
	}
	message->properties[message->property_count++] = (struct sdk_property){ name_copy, copy };
	return ESCROW_OK;
}

/* --- to be sent --------------------------------------------------------------------------------------------------- */

enum escrow_code escrow_message_create(const char *topic, const void *body, size_t body_size, escrow_message **out,
				       struct escrow_error *err)
{
	struct errinfo why;

	if (topic == NULL || out == NULL || (body == NULL && body_size > 0))
		return sdk_fail(err, ESCROW_INVALID, "a message needs a topic and a body");
	if (topic_name_check(span_of(topic), &why) != ST_OK)
		return sdk_fail(err, ESCROW_INVALID, "topic: %s", why.text);
	if (topic_is_unsendable(span_of(topic)))
		return sdk_fail(err, ESCROW_INVALID, "topic %s is the broker's own", topic);
	struct escrow_message *message = calloc(1, sizeof(*message));
	if (message != NULL)
		message->body = malloc(body_size == 0 ? 1 : body_size);
	if (message == NULL || message->body == NULL) {
		free(message);
		return sdk_fail(err, ESCROW_NO_MEMORY, "no memory for a message of %zu bytes", body_size);
	}
	strcpy(message->topic, topic); /* topic_name_check bounded it. */
	if (body_size > 0)
		memcpy(message->body, body, body_size);
	message->body_size = body_size;
	*out = message;
	return ESCROW_OK;
}

void escrow_message_destroy(escrow_message *message)
{
	if (message == NULL)
		return;
	for (size_t i = 0; message->block == NULL && i < message->property_count; i++) {
		free(message->properties[i].name);
		free(message->properties[i].value);
	}
	free(message->block);
	free(message->properties);
	free(message->body);
	free(message);
}

enum escrow_code escrow_message_set_tag(escrow_message *message, const char *tag, struct escrow_error *err)
{
	return set(message, PROPERTY_TAGS, tag, err);
}

enum escrow_code escrow_message_set_keys(escrow_message *message, const char *keys, struct escrow_error *err)
{
	return set(message, PROPERTY_KEYS, keys, err);
}

enum escrow_code escrow_message_set_property(escrow_message *message, const char *name, const char *value,
					     struct escrow_error *err)
{
	for (size_t i = 0; name != NULL && i < sizeof(reserved_names) / sizeof(reserved_names[0]); i++) {
		if (strcmp(name, reserved_names[i]) == 0)
			return sdk_fail(err, ESCROW_INVALID, "property %s is reserved", name);
	}
	return set(message, name, value, err);
}

static enum escrow_code set_number(escrow_message *message, const char *name, int value, struct escrow_error *err)
{
	char text[24];

	text[format_i64(text, value)] = '\0';
	return set(message, name, text, err);
}

enum escrow_code escrow_message_set_delay_level(escrow_message *message, int level, struct escrow_error *err)
{
	if (level < 0 || level > 18)
		return sdk_fail(err, ESCROW_INVALID, "delay level %d is not within 0 to 18", level);
	return set_number(message, PROPERTY_DELAY, level, err);
}

enum escrow_code escrow_message_set_ordering_key(escrow_message *message, const char *key, struct escrow_error *err)
{
	return set(message, PROPERTY_SHARDING_KEY, key, err);
}

enum escrow_code escrow_message_set_check_immunity(escrow_message *message, int seconds, struct escrow_error *err)
{
	if (seconds < 0)
		return sdk_fail(err, ESCROW_INVALID, "check immunity of %d seconds", seconds);
	return set_number(message, PROPERTY_CHECK_IMMUNITY, seconds, err);
}

enum status sdk_message_write_properties(const struct escrow_message *message, struct buffer *out, struct errinfo *err)
{
	for (size_t i = 0; i < message->property_count; i++) {
		enum status status = property_append(out, span_of(message->properties[i].name),
						     span_of(message->properties[i].value), err);
		if (status != ST_OK)
			return status;
	}
	return out->failed ? errinfo_set(err, ST_TOOBIG, "properties exceed %d bytes", PROPERTIES_SIZE_MAX) : ST_OK;
}

/* --- arrived ------------------------------------------------------------------------------------------------------ */

/* zlib, whose end is known only when reached: bounded doubling. */
static enum status inflate_body(struct span packed, struct escrow_message *message, struct errinfo *err)
{
	size_t room = packed.size * 4 + 1024;

	for (; room <= MESSAGE_SIZE_MAX * 2UL; room *= 4) {
		uLongf size = room;
		uint8_t *body = malloc(room);

		if (body == NULL)
			return errinfo_set(err, ST_NOMEM, "no memory for a body of %zu bytes", room);
		int result = uncompress(body, &size, packed.data, packed.size);
		if (result == Z_OK) {
			message->body = body;
			message->body_size = size;
			return ST_OK;
		}
		free(body);
		if (result != Z_BUF_ERROR)
			break;
	}
	return errinfo_set(err, ST_CORRUPT, "a compressed body cannot be unpacked");
}

static enum status take_body(const struct message *wire, struct escrow_message *message, struct errinfo *err)
{
	int compression = wire->sys_flag & SYSFLAG_COMPRESSION_MASK;

	if (!message_crc_matches(wire))
		return errinfo_set(err, ST_CORRUPT, "the body fails its checksum");
	if ((wire->sys_flag & SYSFLAG_COMPRESSED) != 0) {
		if (compression != 0 && compression != SYSFLAG_COMPRESSION_ZLIB)
			return errinfo_set(err, ST_INVALID, "compression 0x%x is not supported, only zlib is", compression);
		return inflate_body(wire->body, message, err);
	}
	message->body = malloc(wire->body.size == 0 ? 1 : wire->body.size);
	if (message->body == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a body of %zu bytes", wire->body.size);
	if (wire->body.size > 0)
		memcpy(message->body, wire->body.data, wire->body.size);
	message->body_size = wire->body.size;
	return ST_OK;
}

static char *put_text(char **cursor, struct span text)
{
	char *start = *cursor;

	memcpy(start, text.data, text.size);
	start[text.size] = '\0';
	*cursor += text.size + 1;
	return start;
}

static enum status take_properties(struct span properties, struct escrow_message *message, struct errinfo *err)
{
	struct span rest = properties;
	struct property property;
	char *cursor;

	/* Each entry has two separators, but for the last value: room for all NULs. */
	cursor = message->block = malloc(properties.size + 2);
	if (cursor == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for properties");
	while (property_next(&rest, &property)) {
		if (message->property_count >= SDK_PROPERTIES_MAX)
			return errinfo_set(err, ST_INVALID, "more than %d properties", SDK_PROPERTIES_MAX);
		if (!grow(message))
			return errinfo_set(err, ST_NOMEM, "no memory for properties");
		struct sdk_property *into = &message->properties[message->property_count++];
		into->name = put_text(&cursor, property.name);
		into->value = put_text(&cursor, property.value);
	}
	return ST_OK;
}

enum status sdk_message_from_wire(const struct message *wire, struct escrow_message **out, struct errinfo *err)
{
	struct escrow_message *message = calloc(1, sizeof(*message));
	enum status status;

	if (message == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a message");
	status = take_body(wire, message, err);
	if (status == ST_OK)
		status = take_properties(wire->properties, message, err);
	if (status == ST_OK) {
		struct span topic = wire->topic;
		struct span original = span_of(text_of(message, PROPERTY_RETRY_TOPIC));

		if (topic_is_retry(topic) && original.size > 0)
			topic = original;
		status = span_to_cstr(topic, message->topic, sizeof(message->topic));
		if (status != ST_OK)
			errinfo_set(err, status, "bad topic in a message");
	}
	if (status != ST_OK) {
		escrow_message_destroy(message);
		return status;
	}
	(void)offset_msg_id_encode(&wire->store_host, wire->physical_offset, message->offset_id);
	message->queue_id = wire->queue_id;
	message->queue_offset = wire->queue_offset;
	message->physical_offset = wire->physical_offset;
	message->reconsume_times = wire->reconsume_times;
	message->born_ms = wire->born_timestamp;
	message->stored_ms = wire->store_timestamp;
	*out = message;
	return ST_OK;
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

const char *escrow_message_topic(const escrow_message *message) { return message->topic; }
const char *escrow_message_tag(const escrow_message *message) { return text_of(message, PROPERTY_TAGS); }
const char *escrow_message_keys(const escrow_message *message) { return text_of(message, PROPERTY_KEYS); }
const char *escrow_message_id(const escrow_message *message) { return text_of(message, PROPERTY_UNIQ_KEY); }
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

const char *escrow_message_property(const escrow_message *message, const char *name)
{
	const struct sdk_property *property = find(message, name);

	return property == NULL ? NULL : property->value;
}
