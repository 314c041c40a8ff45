/* See db_rows.h. */
#include "lib/mysql/db_rows.h"

#include <assert.h>
#include <string.h>

void db_rows_init(struct db_rows *rows, struct db_conn *conn, const char *head, const char *tail, size_t size_max)
{
	*rows = (struct db_rows){
		.conn = conn, .send = db_conn_exec, .head = head, .tail = tail, .size_max = size_max,
	};
	/* One row more than fits may be under construction when the limit is noticed. */
	buffer_init(&rows->text, 2 * size_max);
}

void db_rows_deinit(struct db_rows *rows)
{
	buffer_deinit(&rows->text);
}

void db_rows_begin(struct db_rows *rows)
{
	if (rows->pending_rows == 0) {
		buffer_reset(&rows->text);
		buffer_append_text(&rows->text, rows->head);
	}
	rows->row_start = buffer_size(&rows->text);
	buffer_append_text(&rows->text, rows->pending_rows == 0 ? "(" : ",(");
	rows->row_has_cells = false;
}

static enum status send_statement(struct db_rows *rows, struct errinfo *err)
{
	buffer_append_text(&rows->text, rows->tail);
	if (rows->text.failed)
		return errinfo_set(err, ST_NOMEM, "MySQL statement of %zu bytes: out of memory", rows->size_max);
	enum status st = rows->send(rows->conn, buffer_span(&rows->text), NULL, err);
	if (st != ST_OK)
		return st;
	rows->row_count += rows->pending_rows;
	rows->statement_count++;
	rows->pending_rows = 0;
	return ST_OK;
}

/* The row that does not fit goes to the front of a statement of its own. */
static enum status split_before_row(struct db_rows *rows, struct errinfo *err)
{
	size_t row_size = buffer_size(&rows->text) - rows->row_start;
	struct buffer row;

	buffer_init(&row, 0);
	/* Without the comma. */
	buffer_append(&row, rows->text.data + rows->text.start + rows->row_start + 1, row_size - 1);
	rows->text.end -= row_size;
	enum status st = row.failed ? errinfo_set(err, ST_NOMEM, "MySQL row: out of memory")
				    : send_statement(rows, err);
	if (st == ST_OK) {
		buffer_reset(&rows->text);
		buffer_append_text(&rows->text, rows->head);
		buffer_append_span(&rows->text, buffer_span(&row));
		rows->pending_rows = 1;
	}
	buffer_deinit(&row);
	return st;
}

enum status db_rows_end(struct db_rows *rows, struct errinfo *err)
{
	buffer_append_text(&rows->text, ")");
	size_t row_size = buffer_size(&rows->text) - rows->row_start;
	if (rows->text.failed || strlen(rows->head) + row_size + strlen(rows->tail) > rows->size_max)
		return errinfo_set(err, ST_TOOBIG, "MySQL row is larger than a statement may be (%zu bytes)",
				   rows->size_max);
	if (buffer_size(&rows->text) + strlen(rows->tail) > rows->size_max)
		return split_before_row(rows, err);
	rows->pending_rows++;
	return ST_OK;
}

enum status db_rows_flush(struct db_rows *rows, struct errinfo *err)
{
	return rows->pending_rows == 0 ? ST_OK : send_statement(rows, err);
}

/* --- cells ---------------------------------------------------------------------------------------------------- */

static void begin_cell(struct db_rows *rows)
{
	if (rows->row_has_cells)
		buffer_append(&rows->text, ",", 1);
	rows->row_has_cells = true;
}

/* Digits by hand: numbers are most of the text, and printf is most of the time otherwise. */
static void append_u64(struct buffer *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (char)('0' + value % 10);
		value /= 10;
	} while (value != 0);
	buffer_append(out, digits + at, sizeof(digits) - at);
}

void db_rows_u64(struct db_rows *rows, uint64_t value)
{
	begin_cell(rows);
	append_u64(&rows->text, value);
}

void db_rows_i64(struct db_rows *rows, int64_t value)
{
	begin_cell(rows);
	if (value < 0)
		buffer_append(&rows->text, "-", 1);
	append_u64(&rows->text, value < 0 ? -(uint64_t)value : (uint64_t)value);
}

void db_rows_null(struct db_rows *rows)
{
	begin_cell(rows);
	buffer_append_text(&rows->text, "NULL");
}

static bool is_plain(struct span text)
{
	for (size_t i = 0; i < text.size; i++) {
		uint8_t c = text.data[i];
		if (c < 0x20 || c > 0x7e || c == '\'' || c == '\\')
			return false;
	}
	return true;
}

void db_rows_text(struct db_rows *rows, struct span text, size_t char_max)
{
	begin_cell(rows);
	if (text.size <= char_max && is_plain(text)) {
		buffer_append(&rows->text, "'", 1);
		buffer_append_span(&rows->text, text);
		buffer_append(&rows->text, "'", 1);
		return;
	}
	struct buffer clean;
	buffer_init(&clean, 0);
	db_text_clean(text, char_max, &clean);
	db_conn_append_quoted(rows->conn, &rows->text, buffer_span(&clean));
	rows->text.failed |= clean.failed;
	buffer_deinit(&clean);
}

void db_rows_binary(struct db_rows *rows, struct span bytes)
{
	static const char hex[] = "0123456789abcdef";

	begin_cell(rows);
	buffer_append_text(&rows->text, "x'");
	uint8_t *room = buffer_reserve(&rows->text, 2 * bytes.size + 1);
	if (room == NULL)
		return;
	for (size_t i = 0; i < bytes.size; i++) {
		room[2 * i] = (uint8_t)hex[bytes.data[i] >> 4];
		room[2 * i + 1] = (uint8_t)hex[bytes.data[i] & 15];
	}
	room[2 * bytes.size] = '\'';
	buffer_commit(&rows->text, 2 * bytes.size + 1);
}

void db_rows_time(struct db_rows *rows, int64_t wall_ms)
{
	char text[DB_TIME_TEXT_SIZE];

	begin_cell(rows);
	db_time_text(wall_ms, text);
	buffer_append(&rows->text, "'", 1);
	buffer_append_text(&rows->text, text);
	buffer_append(&rows->text, "'", 1);
}

/* --- pure parts ----------------------------------------------------------------------------------------------- */

static void put_digits(char *out, unsigned value, unsigned count)
{
	while (count > 0) {
		out[--count] = (char)('0' + value % 10);
		value /= 10;
	}
}

/* Days since 1970 to a date of the Gregorian calendar: shift to years that begin in March, so that the leap day is
 * the last one, and count in cycles of 400 years (146,097 days). */
static void civil_date(int64_t days, unsigned *year, unsigned *month, unsigned *day)
{
	int64_t shifted = days + 719468; /* Since 0000-03-01. */
	int64_t cycle = shifted / 146097;
	int64_t of_cycle = shifted % 146097;
	int64_t year_of_cycle = (of_cycle - of_cycle / 1460 + of_cycle / 36524 - of_cycle / 146096) / 365;
	int64_t of_year = of_cycle - (365 * year_of_cycle + year_of_cycle / 4 - year_of_cycle / 100);
	int64_t march_month = (5 * of_year + 2) / 153;

	*day = (unsigned)(of_year - (153 * march_month + 2) / 5 + 1);
	*month = (unsigned)(march_month < 10 ? march_month + 3 : march_month - 9);
	*year = (unsigned)(year_of_cycle + cycle * 400 + (*month <= 2));
}

void db_time_text(int64_t wall_ms, char out[DB_TIME_TEXT_SIZE])
{
	static const int64_t last_ms = 253402300799999; /* 9999-12-31 23:59:59.999 */
	int64_t ms = wall_ms < 0 ? 0 : wall_ms > last_ms ? last_ms : wall_ms;
	int64_t of_day = ms % 86400000;
	unsigned year, month, day;

	civil_date(ms / 86400000, &year, &month, &day);
	memcpy(out, "0000-00-00 00:00:00.000", DB_TIME_TEXT_SIZE);
	put_digits(out, year, 4);
	put_digits(out + 5, month, 2);
	put_digits(out + 8, day, 2);
	put_digits(out + 11, (unsigned)(of_day / 3600000), 2);
	put_digits(out + 14, (unsigned)(of_day / 60000 % 60), 2);
	put_digits(out + 17, (unsigned)(of_day / 1000 % 60), 2);
	put_digits(out + 20, (unsigned)(of_day % 1000), 3);
}

/* Size of the well-formed UTF-8 character at the front, 0 when there is none: no overlong forms, no surrogates,
 * nothing above U+10FFFF. */
static size_t utf8_size(const uint8_t *p, size_t left)
{
	uint8_t low = 0x80, high = 0xbf;
	size_t size;

	if (p[0] < 0x80)
		return 1;
	if (p[0] < 0xc2 || p[0] > 0xf4)
		return 0;
	size = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
	if (p[0] == 0xe0)
		low = 0xa0;
	else if (p[0] == 0xed)
		high = 0x9f;
	else if (p[0] == 0xf0)
		low = 0x90;
	else if (p[0] == 0xf4)
		high = 0x8f;
	if (left < size || p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < size; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return size;
}

void db_text_clean(struct span text, size_t char_max, struct buffer *out)
{
	size_t at = 0, chars = 0;
	size_t before_last = buffer_size(out); /* Where the ellipsis goes if more than char_max characters come. */

	assert(char_max >= 1);
	while (at < text.size) {
		if (chars == char_max) {
			out->end = out->start + before_last;
			buffer_append_text(out, "\xe2\x80\xa6");
			return;
		}
		if (++chars == char_max)
			before_last = buffer_size(out);
		size_t size = utf8_size(text.data + at, text.size - at);
		if (size == 0)
			buffer_append(out, "?", 1);
		else
			buffer_append(out, text.data + at, size);
		at += size == 0 ? 1 : size;
	}
}
