/* How do a topic's attributes change? See body_config.h. */
#include <cjson/cJSON.h>

#include "lib/wire/body_config.h"

enum { CHANGES_MAX = 64, NAME_MAX_SIZE = 64 };

/* RocketMQ's TopicAttributes. */
static const struct known {
	const char *key;
	bool fixed;         /* Set when the topic is made, or never. */
	const char *values; /* "A|B"; NULL: a number. */
} known_attributes[] = {
	{ "queue.type", true, "BatchCQ|SimpleCQ" },
	{ "cleanup.policy", true, "DELETE|COMPACTION" },
	{ "message.type", false, "UNSPECIFIED|NORMAL|FIFO|DELAY|TRANSACTION|MIXED" },
	{ TOPIC_ATTRIBUTE_RESERVE_TIME, false, NULL },
};
enum { KNOWN_COUNT = sizeof(known_attributes) / sizeof(known_attributes[0]) };

/* What is asked of one attribute. */
struct change {
	bool add, remove;
	struct span value;
};

static bool is_one_of(const char *values, struct span value)
{
	while (*values != '\0') {
		size_t size = strcspn(values, "|");

		if (span_equal(value, (struct span){ (const uint8_t *)values, size }))
			return true;
		values += size + (values[size] != '\0');
	}
	return false;
}

static enum status check_value(const struct known *known, struct span value, struct errinfo *err)
{
	int64_t number;

	if (known->values != NULL && !is_one_of(known->values, value))
		return errinfo_set(err, ST_INVALID, "topic attribute %s=%.*s: must be one of %s", known->key, SPAN_ARGS(value), known->values);
	if (known->values == NULL && (span_to_i64(value, &number) != ST_OK || number < -1))
		return errinfo_set(err, ST_INVALID, "topic attribute %s=%.*s: must be a number from -1 on, ms", known->key,
				   SPAN_ARGS(value));
	return ST_OK;
}

static enum status note_change(struct change changes[KNOWN_COUNT], struct span signed_key, struct span value, struct errinfo *err)
{
	bool add = signed_key.size > 1 && signed_key.data[0] == '+', remove = signed_key.size > 1 && signed_key.data[0] == '-';

	if (!add && !remove)
		return errinfo_set(err, ST_INVALID, "topic attribute \"%.*s\" is not of the form +key=value or -key", SPAN_ARGS(signed_key));
	struct span key = { signed_key.data + 1, signed_key.size - 1 };
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		if (!span_is(key, known_attributes[i].key))
			continue;
		if (changes[i].add || changes[i].remove)
			return errinfo_set(err, ST_INVALID, "alter duplication key. key: %.*s", SPAN_ARGS(key));
		changes[i] = (struct change){ add, remove, value };
		return add ? check_value(&known_attributes[i], value, err) : ST_OK;
	}
	return errinfo_set(err, ST_INVALID, "unsupported key: %.*s", SPAN_ARGS(key));
}

static enum status read_text(struct span text, struct change changes[KNOWN_COUNT], struct errinfo *err)
{
	enum status status = ST_OK;

	for (int count = 0; text.size > 0 && status == ST_OK; count++) {
		struct span entry = span_take_until(&text, ','), value = entry, key = span_take_until(&value, '=');
		bool has_value = key.size < entry.size;

		if (count == CHANGES_MAX)
			return errinfo_set(err, ST_INVALID, "more than %d topic attributes", CHANGES_MAX);
		if (entry.size > 0 && (entry.data[0] == '-') == has_value)
			status = errinfo_set(err, ST_INVALID, "topic attribute \"%.*s\" is not of the form +key=value or -key", SPAN_ARGS(entry));
		else if (entry.size > 0)
			status = note_change(changes, key, value, err);
	}
	return status;
}

static enum status read_object(const cJSON *object, struct change changes[KNOWN_COUNT], struct errinfo *err)
{
	const cJSON *item;
	enum status status = ST_OK;

	cJSON_ArrayForEach(item, object) {
		status = note_change(changes, span_of(item->string == NULL ? "" : item->string), json_text(item), err);
		if (status != ST_OK)
			break;
	}
	return status;
}

/* RocketMQ's order: what is kept, with its new value; then what is new. */
static enum status write_result(const cJSON *current, const struct change changes[KNOWN_COUNT], bool creating, struct buffer *out,
				struct errinfo *err)
{
	struct json_writer w = json_writer_of(out);

	json_open(&w, '{');
	for (size_t i = 0; i < KNOWN_COUNT; i++) {
		const cJSON *old = cJSON_GetObjectItemCaseSensitive(current, known_attributes[i].key);

		if (creating && changes[i].remove)
			return errinfo_set(err, ST_INVALID, "only add attribute is supported while creating topic. key: %s", known_attributes[i].key);
		if (!creating && known_attributes[i].fixed && (changes[i].add || changes[i].remove))
			return errinfo_set(err, ST_INVALID, "attempt to update an unchangeable attribute. key: %s", known_attributes[i].key);
		if (!creating && changes[i].remove && old == NULL)
			return errinfo_set(err, ST_INVALID, "attempt to delete a nonexistent key: %s", known_attributes[i].key);
		if (changes[i].add || (old != NULL && !changes[i].remove))
			json_member_put_text(&w, known_attributes[i].key, changes[i].add ? changes[i].value : json_text(old));
	}
	json_close(&w, '}');
	return out->failed ? errinfo_set(err, ST_TOOBIG, "topic attributes are too long") : ST_OK;
}

static cJSON *parse(struct span text)
{
	return text.size == 0 ? NULL : cJSON_ParseWithLength((const char *)text.data, text.size);
}

enum status topic_attributes_change(const struct attribute_changes *wanted, struct buffer *out, struct errinfo *err)
{
	struct change changes[KNOWN_COUNT] = { 0 };
	cJSON *current = parse(wanted->current), *asked = wanted->changes_json ? parse(wanted->changes) : NULL;
	enum status status = wanted->changes_json ? read_object(asked, changes, err) : read_text(wanted->changes, changes, err);

	if (status == ST_OK)
		status = write_result(current, changes, wanted->creating, out, err);
	cJSON_Delete(current);
	cJSON_Delete(asked);
	return status;
}
