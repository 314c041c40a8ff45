#include "lib/wire/unescape.h"

#include <string.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

const uint8_t *json_text_run(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
	const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'), control = _mm_set1_epi8(0x1f);

	while (end - at >= 16) {
		__m128i chunk = _mm_loadu_si128((const __m128i *)(const void *)at);
		__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(chunk, quote), _mm_cmpeq_epi8(chunk, slash));

		hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(chunk, control), chunk));
		int mask = _mm_movemask_epi8(hit);
		if (mask != 0)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	while (at < end && *at != '"' && *at != '\\' && *at >= 0x20)
		at++;
	return at;
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
		const uint8_t *stop = json_text_run(at, end);

		memcpy(out, at, (size_t)(stop - at));
		out += stop - at;
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
		if (c == 'u') {
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
