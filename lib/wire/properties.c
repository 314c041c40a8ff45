#include "lib/wire/properties.h"

#include <strings.h>

/* Both ends of the span as found by memchr, which is much faster than a loop. */
static struct span cut(struct span *rest, int end_mark)
{
	const uint8_t *mark = rest->size == 0 ? NULL : memchr(rest->data, end_mark, rest->size);
	size_t size = mark == NULL ? rest->size : (size_t)(mark - rest->data);
	struct span taken = { rest->data, size };

	size += mark == NULL ? 0 : 1;
	*rest = (struct span){ rest->size == 0 ? NULL : rest->data + size, rest->size - size };
	return taken;
}

bool property_next(struct span *rest, struct property *out)
{
	while (rest->size > 0) {
		struct span entry = cut(rest, PROPERTY_VALUE_END);

		out->name = cut(&entry, PROPERTY_NAME_END);
		out->value = entry;
		if (out->name.size > 0 && out->value.size > 0)
			return true;
	}
	return false;
}

struct span property_get(struct span properties, const char *name)
{
	struct span value = SPAN_NONE, wanted = span_of(name);
	struct property property;

	while (property_next(&properties, &property)) {
		if (span_equal(property.name, wanted))
			value = property.value;
	}
	return value;
}

bool property_value_is_true(struct span value)
{
	return value.size == 4 && strncasecmp((const char *)value.data, "true", 4) == 0;
}

bool property_is_true(struct span properties, const char *name)
{
	return property_value_is_true(property_get(properties, name));
}

int64_t property_get_i64(struct span properties, const char *name, int64_t def)
{
	struct span value = property_get(properties, name);
	int64_t number;

	return value.size > 0 && span_to_i64(value, &number) == ST_OK ? number : def;
}

/* --- the known ones in one pass ----------------------------------------------------------------------- */

struct known {
	const char *name;
	uint8_t size;
	uint8_t offset_spans; /* Of the member, in spans. */
};
#define KNOWN(text, member) \
	{ text, sizeof(text) - 1, (uint8_t)(offsetof(struct known_properties, member) / sizeof(struct span)) }

static const struct known known_names[] = {
	KNOWN(PROPERTY_KEYS, keys),
	KNOWN(PROPERTY_TAGS, tags),
	KNOWN(PROPERTY_ESCROW_TAGS, escrow_tags),
	KNOWN(PROPERTY_WAIT, wait),
	KNOWN(PROPERTY_DELAY, delay),
	KNOWN(PROPERTY_PGROUP, pgroup),
	KNOWN(PROPERTY_UNIQ_KEY, uniq_key),
	KNOWN(PROPERTY_TRAN_MSG, tran_msg),
	KNOWN(PROPERTY_RETRY_TOPIC, retry_topic),
	KNOWN(PROPERTY_REAL_TOPIC, real_topic),
	KNOWN(PROPERTY_REAL_QID, real_qid),
	KNOWN(PROPERTY_ORIGIN_MESSAGE_ID, origin_message_id),
	KNOWN(PROPERTY_CHECK_IMMUNITY, check_immunity),
	KNOWN(PROPERTY_TRANSACTION_ID, transaction_id),
	KNOWN(PROPERTY_TRANSACTION_CHECK_TIMES, check_times),
	KNOWN(PROPERTY_TIMER_DELAY_SEC, timer_delay_sec),
	KNOWN(PROPERTY_TIMER_DELAY_MS, timer_delay_ms),
	KNOWN(PROPERTY_TIMER_DELIVER_MS, timer_deliver_ms),
	KNOWN(PROPERTY_TIMER_OUT_MS, timer_out_ms),
	KNOWN(PROPERTY_TIMER_DEL_UNIQKEY, timer_del_uniqkey),
	KNOWN(PROPERTY_POP_CK, pop_ck),
	KNOWN(PROPERTY_MAX_RECONSUME_TIMES, max_reconsume_times),
	KNOWN(PROPERTY_CLUSTER, cluster),
	KNOWN(PROPERTY_MSG_REGION, msg_region),
	KNOWN(PROPERTY_TRACE_ON, trace_on),
};
enum { KNOWN_COUNT = sizeof(known_names) / sizeof(known_names[0]) };
_Static_assert(sizeof(struct known_properties) == KNOWN_COUNT * sizeof(struct span), "every member has its name");

void properties_scan(struct span properties, struct known_properties *out)
{
	struct span *members = (struct span *)(void *)out;
	struct property property;

	*out = (struct known_properties){ 0 };
	while (property_next(&properties, &property)) {
		for (size_t i = 0; i < KNOWN_COUNT; i++) {
			const struct known *known = &known_names[i];

			if (known->size == property.name.size &&
			    memcmp(known->name, property.name.data, known->size) == 0) {
				members[known->offset_spans] = property.value;
				break;
			}
		}
	}
}

/* --- writing ------------------------------------------------------------------------------------------ */

static bool holds_mark(struct span text)
{
	return memchr(text.data, PROPERTY_NAME_END, text.size) != NULL ||
	       memchr(text.data, PROPERTY_VALUE_END, text.size) != NULL;
}

static void append_entry(struct buffer *out, struct span name, struct span value)
{
	uint8_t *room = buffer_reserve(out, name.size + value.size + 2);

	if (room == NULL)
		return;
	memcpy(room, name.data, name.size);
	room[name.size] = PROPERTY_NAME_END;
	memcpy(room + name.size + 1, value.data, value.size);
	room[name.size + 1 + value.size] = PROPERTY_VALUE_END;
	buffer_commit(out, name.size + value.size + 2);
}

enum status property_append(struct buffer *out, struct span name, struct span value, struct errinfo *err)
{
	if (name.size == 0 || value.size == 0)
		return errinfo_set(err, ST_INVALID, "property \"%.*s\": name and value must not be empty",
				   SPAN_ARGS(name));
	if (holds_mark(name))
		return errinfo_set(err, ST_INVALID, "a property's name holds byte 0x01 or 0x02");
	if (holds_mark(value))
		return errinfo_set(err, ST_INVALID, "property \"%.*s\": the value holds byte 0x01 or 0x02",
				   SPAN_ARGS(name));
	append_entry(out, name, value);
	return ST_OK;
}

void property_put(struct buffer *out, const char *name, struct span value)
{
	size_t size_before = buffer_size(out);

	if (value.size == 0)
		return;
	append_entry(out, span_of(name), value);
	if (out->failed || !holds_mark(value))
		return;
	uint8_t *written = out->data + out->start + size_before + strlen(name) + 1;
	for (size_t i = 0; i < value.size; i++) {
		if (written[i] == PROPERTY_NAME_END || written[i] == PROPERTY_VALUE_END)
			written[i] = '?';
	}
}

void property_put_i64(struct buffer *out, const char *name, int64_t value)
{
	char text[24];

	property_put(out, name, (struct span){ (const uint8_t *)text, format_i64(text, value) });
}

static bool is_listed(struct span name, const char *const *list)
{
	for (; list != NULL && *list != NULL; list++) {
		if (span_is(name, *list))
			return true;
	}
	return false;
}

void properties_copy(struct buffer *out, struct span properties, const char *const *without)
{
	struct property property;

	while (property_next(&properties, &property)) {
		if (!is_listed(property.name, without))
			append_entry(out, property.name, property.value);
	}
}

/* --- Java's hash -------------------------------------------------------------------------------------- */

/* The code point at p and its length in bytes; U+FFFD and 1 for malformed input (overlong forms and surrogates too). */
static uint32_t utf8_next(const uint8_t *p, size_t left, size_t *size)
{
	static const uint32_t lowest[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t want = p[0] < 0x80 ? 1 : (p[0] & 0xE0) == 0xC0 ? 2 : (p[0] & 0xF0) == 0xE0 ? 3
		    : (p[0] & 0xF8) == 0xF0 ? 4 : 0;

	*size = 1;
	if (want == 1)
		return p[0];
	if (want == 0 || want > left)
		return 0xFFFD;
	uint32_t c = p[0] & (0xFFu >> (want + 1));
	for (size_t i = 1; i < want; i++) {
		if ((p[i] & 0xC0) != 0x80)
			return 0xFFFD;
		c = c << 6 | (p[i] & 0x3F);
	}
	if (c < lowest[want] || c > 0x10FFFF || (c >= 0xD800 && c < 0xE000))
		return 0xFFFD;
	*size = want;
	return c;
}

int32_t java_string_hash(struct span text)
{
	uint32_t hash = 0;
	size_t size;

	for (size_t i = 0; i < text.size; i += size) {
		uint32_t c = utf8_next(text.data + i, text.size - i, &size);

		if (c >= 0x10000) {
			hash = hash * 31 + (0xD800 + ((c - 0x10000) >> 10));
			c = 0xDC00 + ((c - 0x10000) & 0x3FF);
		}
		hash = hash * 31 + c;
	}
	return (int32_t)hash;
}

bool word_next(struct span *rest, struct span *word_out)
{
	do
		*word_out = span_take_until(rest, ' ');
	while (word_out->size == 0 && rest->size > 0);
	return word_out->size > 0;
}
