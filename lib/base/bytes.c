/* See bytes.h. */
#include "lib/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { BUFFER_FIRST_SIZE = 256 };

enum status span_to_i64(struct span text, int64_t *out)
{
	bool negative = text.size > 0 && text.data[0] == '-';
	size_t i = negative ? 1 : 0;
	int64_t value = 0; /* Built as a negative number: its range is one larger. */

	if (i == text.size)
		return ST_INVALID;
	for (; i < text.size; i++) {
		int digit = text.data[i] - '0';
		if (digit < 0 || digit > 9)
			return ST_INVALID;
		if (__builtin_mul_overflow(value, 10, &value) || __builtin_sub_overflow(value, digit, &value))
			return ST_INVALID;
	}
	if (!negative && value == INT64_MIN)
		return ST_INVALID;
	*out = negative ? value : -value;
	return ST_OK;
}

enum status span_to_i32(struct span text, int32_t *out)
{
	int64_t wide;

	if (span_to_i64(text, &wide) != ST_OK || wide < INT32_MIN || wide > INT32_MAX)
		return ST_INVALID;
	*out = (int32_t)wide;
	return ST_OK;
}

enum status span_to_cstr(struct span text, char *out, size_t out_size)
{
	if (text.size >= out_size)
		return ST_TOOBIG;
	if (text.size > 0 && memchr(text.data, 0, text.size) != NULL)
		return ST_INVALID;
	if (text.size > 0)
		memcpy(out, text.data, text.size);
	out[text.size] = '\0';
	return ST_OK;
}

size_t format_i64(char *p, int64_t value)
{
	char digits[20];
	size_t count = 0, size = 0;
	uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		digits[count++] = (char)('0' + rest % 10);
		rest /= 10;
	} while (rest > 0);
	if (value < 0)
		p[size++] = '-';
	while (count > 0)
		p[size++] = digits[--count];
	return size;
}

void buffer_init(struct buffer *b, size_t size_max)
{
	*b = (struct buffer){ .size_max = size_max == 0 ? SIZE_MAX / 2 : size_max };
}

void buffer_deinit(struct buffer *b)
{
	free(b->data);
	*b = (struct buffer){ .size_max = b->size_max };
}

void buffer_reset(struct buffer *b)
{
	b->start = b->end = 0;
	b->failed = false;
}

void buffer_trim(struct buffer *b, size_t keep_max)
{
	if (b->start != b->end || b->capacity <= keep_max)
		return;
	free(b->data);
	b->data = NULL;
	b->start = b->end = b->capacity = 0;
}

static bool buffer_grow(struct buffer *b, size_t need)
{
	size_t capacity = b->capacity == 0 ? BUFFER_FIRST_SIZE : b->capacity;

	while (capacity < need)
		capacity *= 2;
	uint8_t *data = realloc(b->data, capacity);
	if (data == NULL)
		return false;
	b->data = data;
	b->capacity = capacity;
	return true;
}

uint8_t *buffer_reserve(struct buffer *b, size_t size)
{
	size_t used = buffer_size(b);

	if (b->failed || size > b->size_max || used > b->size_max - size) {
		b->failed = true;
		return NULL;
	}
	if (b->capacity - b->end >= size && b->data != NULL)
		return b->data + b->end;
	if (b->start > 0) {
		memmove(b->data, b->data + b->start, used);
		b->start = 0;
		b->end = used;
	}
	if (b->capacity - b->end < size && !buffer_grow(b, used + size)) {
		b->failed = true;
		return NULL;
	}
	if (b->data == NULL && !buffer_grow(b, BUFFER_FIRST_SIZE)) {
		b->failed = true;
		return NULL;
	}
	return b->data + b->end;
}

void buffer_append(struct buffer *b, const void *data, size_t size)
{
	if (size == 0)
		return;
	uint8_t *room = buffer_reserve(b, size);
	if (room == NULL)
		return;
	memcpy(room, data, size);
	b->end += size;
}

void buffer_append_span(struct buffer *b, struct span s)
{
	buffer_append(b, s.data, s.size);
}

void buffer_append_text(struct buffer *b, const char *text)
{
	buffer_append(b, text, strlen(text));
}

void buffer_append_i64(struct buffer *b, int64_t value)
{
	char digits[20];

	buffer_append(b, digits, format_i64(digits, value));
}

void buffer_printf(struct buffer *b, const char *fmt, ...)
{
	va_list args, again;

	va_start(args, fmt);
	va_copy(again, args);
	int size = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	uint8_t *room = size < 0 ? NULL : buffer_reserve(b, (size_t)size + 1);
	if (room == NULL) {
		b->failed = true;
	} else {
		vsnprintf((char *)room, (size_t)size + 1, fmt, again);
		b->end += (size_t)size;
	}
	va_end(again);
}

void buffer_put_u8(struct buffer *b, uint8_t v)
{
	buffer_append(b, &v, 1);
}

void buffer_put_u16(struct buffer *b, uint16_t v)
{
	uint8_t bytes[2];

	put_u16(bytes, v);
	buffer_append(b, bytes, sizeof(bytes));
}

void buffer_put_u32(struct buffer *b, uint32_t v)
{
	uint8_t bytes[4];

	put_u32(bytes, v);
	buffer_append(b, bytes, sizeof(bytes));
}

void buffer_put_u64(struct buffer *b, uint64_t v)
{
	uint8_t bytes[8];

	put_u64(bytes, v);
	buffer_append(b, bytes, sizeof(bytes));
}
