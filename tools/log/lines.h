/* How the tool prints: one line a thing, `key=value` words for people or one JSON object for programs, from one code.
 *
 *     line_begin(&lines, "half");            half / {"kind":"half"
 *     line_u64(&lines, "offset", 4711);       offset=4711 / ,"offset":4711
 *     line_end(&lines);
 *
 * Texts may come from strangers: for people, what is not printable is shown as \xNN, so that no escape sequence reaches a
 * terminal; in JSON it is escaped, and what is not UTF-8 becomes '?'.
 * Threads: one. */
#ifndef ESCROW_TOOLS_LOG_LINES_H
#define ESCROW_TOOLS_LOG_LINES_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/base/bytes.h"
#include "lib/wire/json_body.h"

struct lines {
	bool json;
	FILE *out;
	struct buffer text;
	struct json_writer writer;
	bool failed; /* A write did, or memory. */
};

void lines_init(struct lines *lines, FILE *out, bool json);
void lines_deinit(struct lines *lines);
/* ST_IO when something could not be written. */
enum status lines_status(const struct lines *lines, struct errinfo *err) MUST_USE;

/* `what` is the line's first word; in JSON the value of "kind". */
void line_begin(struct lines *lines, const char *what);
void line_u64(struct lines *lines, const char *key, uint64_t value);
void line_i64(struct lines *lines, const char *key, int64_t value);
/* Nothing for people when the text is empty; null in JSON. */
void line_text(struct lines *lines, const char *key, struct span text);
/* A word of ours. */
void line_word(struct lines *lines, const char *key, const char *word);
void line_bool(struct lines *lines, const char *key, bool value);
/* UTC, "2026-11-25T11:20:39.123Z"; nothing / null for 0. */
void line_time(struct lines *lines, const char *key, int64_t wall_ms);
/* A list of objects: begin, for each (item_begin, members, item_end), end. */
void line_list_begin(struct lines *lines, const char *key);
void line_item_begin(struct lines *lines);
void line_item_end(struct lines *lines);
void line_list_end(struct lines *lines);
/* Writes it. */
void line_end(struct lines *lines);

enum { TIME_TEXT_SIZE = 32 };
void time_text(int64_t wall_ms, char out[TIME_TEXT_SIZE]);
/* Appends `text` with everything that is not printable as \xNN. */
void text_for_people(struct span text, struct buffer *out);
/* "1,234,567" */
void number_text(uint64_t value, char out[32]);
/* "1.2 GiB" */
void size_text(uint64_t bytes, char out[32]);

#endif
