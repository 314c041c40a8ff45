/* See lines.h. */
#include "tools/log/lines.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <time.h>

/* --- texts --------------------------------------------------------------------------------------------------- */

void time_text(int64_t wall_ms, char out[TIME_TEXT_SIZE])
{
	time_t seconds = (time_t)(wall_ms / 1000);
	struct tm tm;
	bool known = gmtime_r(&seconds, &tm) != NULL && tm.tm_year <= 9999 - 1900;
	size_t size = known ? strftime(out, TIME_TEXT_SIZE, "%Y-%m-%dT%H:%M:%S", &tm) : 0;

	if (size == 0 || wall_ms < 0) /* A time that no calendar knows. */
		snprintf(out, TIME_TEXT_SIZE, "%" PRId64, wall_ms);
	else
		snprintf(out + size, TIME_TEXT_SIZE - size, ".%03dZ", (int)(wall_ms % 1000));
}

/* Size of the well-formed UTF-8 character at the front that may be shown, 0 when there is none. */
static size_t printable_size(const uint8_t *p, size_t left)
{
	size_t size = p[0] < 0x80 ? 1 : p[0] < 0xc2 ? 0 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : p[0] < 0xf5 ? 4 : 0;

	if (size == 0 || size > left || p[0] < ' ' || p[0] == 0x7f)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xed && p[1] > 0x9f) ||
	    (p[0] == 0xf4 && p[1] > 0x8f))
		return 0; /* Overlong, a surrogate, or beyond Unicode. */
	return p[0] == 0xc2 && p[1] < 0xa0 ? 0 : size; /* C1 controls. */
}

void text_for_people(struct span text, struct buffer *out)
{
	for (size_t i = 0; i < text.size;) {
		size_t size = printable_size(text.data + i, text.size - i);

		if (size == 0)
			buffer_printf(out, "\\x%02x", text.data[i]);
		else
			buffer_append(out, text.data + i, size);
		i += size == 0 ? 1 : size;
	}
}

/* What is not UTF-8 becomes '?'; the JSON writer escapes the rest. */
static void text_for_json(struct span text, struct buffer *out)
{
	for (size_t i = 0; i < text.size;) {
		size_t size = printable_size(text.data + i, text.size - i);

		if (size > 0)
			buffer_append(out, text.data + i, size);
		else
			buffer_put_u8(out, text.data[i] < 0x80 ? text.data[i] : '?');
		i += size == 0 ? 1 : size;
	}
}

void number_text(uint64_t value, char out[32])
{
	char plain[24];
	int size = snprintf(plain, sizeof(plain), "%" PRIu64, value), at = 0;

	for (int i = 0; i < size; i++) {
		if (i > 0 && (size - i) % 3 == 0)
			out[at++] = ',';
		out[at++] = plain[i];
	}
	out[at] = '\0';
}

void size_text(uint64_t bytes, char out[32])
{
	static const char *const units[] = { "bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
	double value = (double)bytes;
	size_t unit = 0;

	for (; value >= 1024 && unit < 6; unit++)
		value /= 1024;
	if (unit == 0)
		snprintf(out, 32, "%" PRIu64 " bytes", bytes);
	else
		snprintf(out, 32, "%.1f %s", value, units[unit]);
}

/* --- lines ---------------------------------------------------------------------------------------------------- */

void lines_init(struct lines *lines, FILE *out, bool json)
{
	*lines = (struct lines){ .json = json, .out = out };
	buffer_init(&lines->text, 0);
	lines->writer = json_writer_of(&lines->text);
}

void lines_deinit(struct lines *lines)
{
	buffer_deinit(&lines->text);
}

enum status lines_status(const struct lines *lines, struct errinfo *err)
{
	if (lines->failed || ferror(lines->out))
		return errinfo_set(err, ST_IO, "write the output: %s", strerror(errno));
	return ST_OK;
}

void line_begin(struct lines *lines, const char *what)
{
	buffer_reset(&lines->text);
	lines->writer = json_writer_of(&lines->text);
	if (lines->json) {
		json_open(&lines->writer, '{');
		json_member_put_text(&lines->writer, "kind", span_of(what));
	} else {
		buffer_append_text(&lines->text, what);
	}
}

static void begin_word(struct lines *lines, const char *key)
{
	if (lines->json) {
		json_key(&lines->writer, key);
		return;
	}
	/* Not behind the bracket that opens an item. */
	if (buffer_size(&lines->text) > 0 && lines->text.data[lines->text.end - 1] != '[')
		buffer_put_u8(&lines->text, ' ');
	buffer_append_text(&lines->text, key);
	buffer_put_u8(&lines->text, '=');
}

static void put_raw(struct lines *lines, const char *text)
{
	if (lines->json)
		json_put_raw(&lines->writer, span_of(text));
	else
		buffer_append_text(&lines->text, text);
}

void line_u64(struct lines *lines, const char *key, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	begin_word(lines, key);
	put_raw(lines, digits);
}

void line_i64(struct lines *lines, const char *key, int64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRId64, value);
	begin_word(lines, key);
	put_raw(lines, digits);
}

void line_text(struct lines *lines, const char *key, struct span text)
{
	if (text.size == 0) {
		if (lines->json) {
			json_key(&lines->writer, key);
			put_raw(lines, "null");
		}
		return;
	}
	begin_word(lines, key);
	if (!lines->json) {
		bool quoted = memchr(text.data, ' ', text.size) != NULL;

		buffer_append_text(&lines->text, quoted ? "\"" : "");
		text_for_people(text, &lines->text);
		buffer_append_text(&lines->text, quoted ? "\"" : "");
		return;
	}
	struct buffer clean;
	buffer_init(&clean, 0);
	text_for_json(text, &clean);
	json_put_text(&lines->writer, buffer_span(&clean));
	lines->failed |= clean.failed;
	buffer_deinit(&clean);
}

void line_word(struct lines *lines, const char *key, const char *word)
{
	line_text(lines, key, span_of(word));
}

void line_bool(struct lines *lines, const char *key, bool value)
{
	begin_word(lines, key);
	put_raw(lines, value ? "true" : "false");
}

void line_time(struct lines *lines, const char *key, int64_t wall_ms)
{
	char text[TIME_TEXT_SIZE] = "";

	if (wall_ms != 0)
		time_text(wall_ms, text);
	line_word(lines, key, text);
}

void line_list_begin(struct lines *lines, const char *key)
{
	if (lines->json) {
		json_key(&lines->writer, key);
		json_open(&lines->writer, '[');
	}
}

void line_item_begin(struct lines *lines)
{
	if (lines->json)
		json_open(&lines->writer, '{');
	else
		buffer_append_text(&lines->text, " [");
}

void line_item_end(struct lines *lines)
{
	if (lines->json)
		json_close(&lines->writer, '}');
	else
		buffer_append_text(&lines->text, "]");
}

void line_list_end(struct lines *lines)
{
	if (lines->json)
		json_close(&lines->writer, ']');
}

void line_end(struct lines *lines)
{
	if (lines->json)
		json_close(&lines->writer, '}');
	buffer_put_u8(&lines->text, '\n');
	if (lines->text.failed)
		lines->failed = true;
	else if (fwrite(lines->text.data, 1, buffer_size(&lines->text), lines->out) != buffer_size(&lines->text))
		lines->failed = true;
}
