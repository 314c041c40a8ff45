/* JSON text: finding its end fast, and taking the escapes out. Shared by the header scanner; pure. */
#ifndef ESCROW_WIRE_UNESCAPE_H
#define ESCROW_WIRE_UNESCAPE_H

#include <stddef.h>
#include <stdint.h>

/* The first '"', '\\' or control byte at or after `at`, or `end`. */
const uint8_t *json_text_run(const uint8_t *at, const uint8_t *end);
/* Unescapes a JSON text that starts after its opening quote into `out` (never longer than the input). Returns the
 * byte after the closing quote; NULL if the text is malformed or not closed. */
const uint8_t *json_unescape(const uint8_t *at, const uint8_t *end, uint8_t *out, size_t *size_out);

#endif
