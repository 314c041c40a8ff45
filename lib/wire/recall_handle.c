#include "lib/wire/recall_handle.h"

#include <stdio.h>
#include <string.h>

/* --- base64 with '-' and '_' ---------------------------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void append_base64(struct buffer *out, const uint8_t *raw, size_t size)
{
	for (size_t i = 0; i < size; i += 3) {
		uint32_t three = (uint32_t)raw[i] << 16;
		char four[4];

		if (i + 1 < size)
			three |= (uint32_t)raw[i + 1] << 8;
		if (i + 2 < size)
			three |= raw[i + 2];
		for (int at = 0; at < 4; at++)
			four[at] = digits[three >> (18 - 6 * at) & 63];
		if (i + 1 >= size)
			four[2] = '=';
		if (i + 2 >= size)
			four[3] = '=';
		buffer_append(out, four, sizeof(four));
	}
}

/* The bytes, with padding or without it, as Java's decoder takes them. */
static enum status decode_base64(struct span text, uint8_t *raw, size_t *size_out)
{
	uint32_t bits = 0;
	unsigned held = 0;
	size_t size = 0;

	if (text.size > RECALL_HANDLE_TEXT_MAX)
		return ST_TOOBIG;
	if (text.size % 4 == 0) {
		for (int i = 0; i < 2 && text.size > 0 && text.data[text.size - 1] == '='; i++)
			text.size--;
	}
	if (text.size % 4 == 1)
		return ST_INVALID;
	for (size_t i = 0; i < text.size; i++) {
		const char *digit = text.data[i] == '\0' ? NULL : strchr(digits, text.data[i]);

		if (digit == NULL)
			return ST_INVALID;
		bits = bits << 6 | (uint32_t)(digit - digits);
		held += 6;
		if (held >= 8 && size < RECALL_HANDLE_RAW_MAX) {
			held -= 8;
			raw[size++] = (uint8_t)(bits >> held);
		}
	}
	*size_out = size;
	return ST_OK;
}

/* --- the handle ------------------------------------------------------------------------------------------ */

enum status recall_handle_append(struct buffer *out, const struct recall_handle *handle)
{
	char raw[RECALL_HANDLE_RAW_MAX];
	int size = snprintf(raw, sizeof(raw), "v1 %.*s %.*s %lld %.*s", SPAN_ARGS(handle->topic), SPAN_ARGS(handle->broker_name),
			    (long long)handle->timestamp_ms, SPAN_ARGS(handle->unique_key));

	if (size < 0 || (size_t)size >= sizeof(raw))
		return ST_TOOBIG;
	append_base64(out, (const uint8_t *)raw, (size_t)size);
	return ST_OK;
}

enum status recall_handle_parse(struct span text, uint8_t raw[RECALL_HANDLE_RAW_MAX], struct recall_handle *out,
				struct errinfo *err)
{
	size_t size = 0;

	if (text.size == 0 || decode_base64(text, raw, &size) != ST_OK)
		return errinfo_set(err, ST_INVALID, "recall handle is invalid");
	struct span rest = { raw, size }, version = span_take_until(&rest, ' ');
	out->topic = span_take_until(&rest, ' ');
	out->broker_name = span_take_until(&rest, ' ');
	struct span timestamp = span_take_until(&rest, ' ');
	out->unique_key = span_take_until(&rest, ' ');
	if (!span_is(version, "v1") || out->topic.size == 0 || out->broker_name.size == 0 || out->unique_key.size == 0)
		return errinfo_set(err, ST_INVALID, "recall handle is invalid");
	if (span_to_i64(timestamp, &out->timestamp_ms) != ST_OK)
		out->timestamp_ms = -1;
	return ST_OK;
}
