#include "lib/wire/unescape.h"

#include <string.h>

/* json_text_run that copies what it passes to *out, whole vectors at a time. */
static const uint8_t *copy_run(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
	uint8_t *o = *out;

#ifdef __SSE2__
	while (end - at >= 16) {
		__m128i chunk = _mm_loadu_si128((const __m128i *)(const void *)at);
		int mask = json_special_mask(chunk);

		_mm_storeu_si128((__m128i *)(void *)o, chunk);
		if (mask != 0) {
			*out = o + __builtin_ctz((unsigned)mask);
			return at + __builtin_ctz((unsigned)mask);
		}
		at += 16;
		o += 16;
	}
#endif
	while (at < end && json_is_plain(*at))
		*o++ = *at++;
	*out = o;
	return at;
}

size_t json_escaped_size_max(struct span text)
{
	size_t special = 0;

	if (text.size <= 256) /* Not worth a look. */
		return text.size * 6 + JSON_SLACK;
	for (size_t i = 0; i < text.size; i++)
		special += !json_is_plain(text.data[i]);
	return text.size + special * 5 + JSON_SLACK;
}

static uint8_t *escape_one(uint8_t *out, uint8_t c)
{
	static const char hex[] = "0123456789abcdef";

	*out++ = '\\';
	if (c == '"' || c == '\\') {
		*out++ = c;
	} else if (c == '\n') {
		*out++ = 'n';
	} else {
		memcpy(out, "u00", 3);
		out[3] = (uint8_t)hex[c >> 4];
		out[4] = (uint8_t)hex[c & 15];
		out += 5;
	}
	return out;
}

uint8_t *json_escape_to(uint8_t *out, struct span text)
{
	if (text.size == 0)
		return out;
	const uint8_t *at = text.data, *end = text.data + text.size;

	while (at < end) {
		at = copy_run(at, end, &out);
		if (at < end)
			out = escape_one(out, *at++);
	}
	return out;
}

static int hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

/* After "\u": the control bytes that separate properties, which is nearly all that is ever escaped. */
static bool unescape_control(const uint8_t *at, const uint8_t *end, uint8_t *out)
{
	if (end - at < 4 || at[0] != '0' || at[1] != '0' || at[2] != '0')
		return false;
	int digit = hex_digit(at[3]);

	*out = (uint8_t)digit;
	return digit >= 0;
}

/* Four hex digits at `at`, or -1. */
static int32_t hex4(const uint8_t *at, const uint8_t *end)
{
	int32_t value = 0;

	if (end - at < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex_digit(at[i]);

		if (digit < 0)
			return -1;
		value = value << 4 | digit;
	}
	return value;
}

static size_t put_utf8(uint8_t *out, uint32_t c)
{
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		out[0] = (uint8_t)(0xC0 | c >> 6);
		out[1] = (uint8_t)(0x80 | (c & 0x3F));
		return 2;
	}
	if (c < 0x10000) {
		out[0] = (uint8_t)(0xE0 | c >> 12);
		out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
		out[2] = (uint8_t)(0x80 | (c & 0x3F));
		return 3;
	}
	out[0] = (uint8_t)(0xF0 | c >> 18);
	out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3F));
	out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3F));
	out[3] = (uint8_t)(0x80 | (c & 0x3F));
	return 4;
}

/* After "\u": one code point, a surrogate pair included. A lone surrogate becomes '?', as Java writes it. */
static const uint8_t *unescape_unicode(const uint8_t *at, const uint8_t *end, uint8_t **out)
{
	int32_t unit = hex4(at, end);
	uint32_t c = (uint32_t)unit;

	if (unit < 0)
		return NULL;
	at += 4;
	if (unit >= 0xD800 && unit < 0xDC00 && end - at >= 6 && at[0] == '\\' && at[1] == 'u') {
		int32_t low = hex4(at + 2, end);

		if (low >= 0xDC00 && low < 0xE000) {
			c = 0x10000 + (((uint32_t)unit - 0xD800) << 10) + ((uint32_t)low - 0xDC00);
			at += 6;
		}
	}
	if (c >= 0xD800 && c < 0xE000)
		c = '?';
	*out += put_utf8(*out, c);
	return at;
}

static int simple_escape(uint8_t c)
{
	switch (c) {
	case '"': return '"';
	case '\\': return '\\';
	case '/': return '/';
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	default: return -1;
	}
}

const uint8_t *json_unescape(const uint8_t *at, const uint8_t *end, uint8_t *out, size_t *size_out)
{
	uint8_t *start = out;

	for (;;) {
		const uint8_t *stop = copy_run(at, end, &out);

		if (stop == end)
			return NULL;
		at = stop + 1;
		if (*stop == '"')
			break;
		if (*stop != '\\') {
			/* A raw control byte: not JSON, but the C++ and Node clients send 0x01 and 0x02 so. */
			*out++ = *stop;
			continue;
		}
		if (at == end)
			return NULL;
		uint8_t c = *at++;
		if (c == 'u' && unescape_control(at, end, out)) {
			at += 4;
			out++;
		} else if (c == 'u') {
			at = unescape_unicode(at, end, &out);
			if (at == NULL)
				return NULL;
		} else {
			int plain = simple_escape(c);

			if (plain < 0)
				return NULL;
			*out++ = (uint8_t)plain;
		}
	}
	*size_out = (size_t)(out - start);
	return at;
}
