/* JSON text: finding its end fast, taking the escapes out and putting them in. The inner loops of decoding and
 * encoding headers; internal to lib/wire, pure. */
#ifndef ESCROW_WIRE_UNESCAPE_H
#define ESCROW_WIRE_UNESCAPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "lib/base/bytes.h"

static inline bool json_is_plain(uint8_t c)
{
	return c != '"' && c != '\\' && c >= 0x20;
}

#ifdef __SSE2__
/* Bit i: byte i of the chunk is a quote, a backslash or a control byte. */
static inline int json_special_mask(__m128i chunk)
{
	__m128i hit = _mm_or_si128(_mm_cmpeq_epi8(chunk, _mm_set1_epi8('"')),
				   _mm_cmpeq_epi8(chunk, _mm_set1_epi8('\\')));

	hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(chunk, _mm_set1_epi8(0x1f)), chunk));
	return _mm_movemask_epi8(hit);
}
#endif

/* The first '"', '\\' or control byte at or after `at`, or `end`. */
static inline const uint8_t *json_text_run(const uint8_t *at, const uint8_t *end)
{
#ifdef __SSE2__
	while (end - at >= 16) {
		int mask = json_special_mask(_mm_loadu_si128((const __m128i *)(const void *)at));

		if (mask != 0)
			return at + __builtin_ctz((unsigned)mask);
		at += 16;
	}
#endif
	while (at < end && json_is_plain(*at))
		at++;
	return at;
}
enum { JSON_SLACK = 16 }; /* Whole vectors are stored, so outputs need this much room more. */

/* Unescapes a JSON text that starts after its opening quote into `out` (never longer than the input, and JSON_SLACK
 * bytes of room behind that). Returns the byte after the closing quote; NULL if the text is malformed or not closed. */
const uint8_t *json_unescape(const uint8_t *at, const uint8_t *end, uint8_t *out, size_t *size_out);

/* Room that json_escape_to needs for `text`, slack included. */
size_t json_escaped_size_max(struct span text);
/* Writes `text` with JSON's escapes, without quotes; returns the end of what it wrote. */
uint8_t *json_escape_to(uint8_t *out, struct span text);

#endif
