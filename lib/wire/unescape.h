/* JSON text: finding its end fast, taking the escapes out and putting them in. The inner loops of decoding and
 * encoding headers; internal to lib/wire, pure. */
#ifndef ESCROW_WIRE_UNESCAPE_H
#define ESCROW_WIRE_UNESCAPE_H

#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"

/* The first '"', '\\' or control byte at or after `at`, or `end`. */
const uint8_t *json_text_run(const uint8_t *at, const uint8_t *end);
enum { JSON_SLACK = 16 }; /* Whole vectors are stored, so outputs need this much room more. */

/* Unescapes a JSON text that starts after its opening quote into `out` (never longer than the input, and JSON_SLACK
 * bytes of room behind that). Returns the byte after the closing quote; NULL if the text is malformed or not closed. */
const uint8_t *json_unescape(const uint8_t *at, const uint8_t *end, uint8_t *out, size_t *size_out);

/* Room that json_escape_to needs for `text`, slack included. */
size_t json_escaped_size_max(struct span text);
/* Writes `text` with JSON's escapes, without quotes; returns the end of what it wrote. */
uint8_t *json_escape_to(uint8_t *out, struct span text);

#endif
