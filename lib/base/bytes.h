/* Byte strings: spans (borrowed), a growing buffer (owned), and big-endian reading and writing.
 *
 * Everything on the wire and in the log is big-endian. Input is hostile, so a `struct reader` remembers
 * failure: decode everything, then look at `failed` once. Output sizes are ours, so the put_ functions
 * write where the caller has made room.
 * Threads: values; none is shared. */
#ifndef ESCROW_BASE_BYTES_H
#define ESCROW_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "lib/base/status.h"

/* Borrowed bytes. `data` may be NULL when size is 0. Not NUL-terminated. */
struct span {
	const uint8_t *data;
	size_t size;
};

#define SPAN_NONE ((struct span){ NULL, 0 })
#define SPAN_LITERAL(text) ((struct span){ (const uint8_t *)("" text), sizeof(text) - 1 })

static inline struct span span_of(const char *text)
{
	return (struct span){ (const uint8_t *)text, text == NULL ? 0 : strlen(text) };
}

static inline bool span_equal(struct span a, struct span b)
{
	return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}

static inline bool span_is(struct span a, const char *text)
{
	return span_equal(a, span_of(text));
}

static inline bool span_starts_with(struct span a, const char *prefix)
{
	size_t size = strlen(prefix);

	return a.size >= size && memcmp(a.data, prefix, size) == 0;
}

/* Takes the next part of a list off *rest: what is in front of the next separator, which is passed over, or all that is left.
 * Empty between two separators, and when nothing is left. */
static inline struct span span_take_until(struct span *rest, char separator)
{
	const uint8_t *at = rest->size == 0 ? NULL : memchr(rest->data, separator, rest->size);
	struct span part = { rest->data, at == NULL ? rest->size : (size_t)(at - rest->data) };
	size_t used = part.size + (at != NULL);

	*rest = used == 0 ? *rest : (struct span){ rest->data + used, rest->size - used };
	return part;
}

/* For printf("%.*s", SPAN_ARGS(s)). */
#define SPAN_ARGS(s) (int)(s).size, (const char *)((s).data == NULL ? (const uint8_t *)"" : (s).data)

/* Decimal text to a number: optional '-', digits only, no overflow. ST_INVALID otherwise. */
enum status span_to_i64(struct span text, int64_t *out) MUST_USE;
enum status span_to_i32(struct span text, int32_t *out) MUST_USE;
/* Copies into `out` (room for out_size bytes) with a NUL; ST_TOOBIG if it does not fit, ST_INVALID on an embedded NUL. */
enum status span_to_cstr(struct span text, char *out, size_t out_size) MUST_USE;

/* --- big-endian ------------------------------------------------------------------------------------- */

static inline void put_u16(uint8_t *p, uint16_t v) { v = __builtin_bswap16(v); memcpy(p, &v, 2); }
static inline void put_u32(uint8_t *p, uint32_t v) { v = __builtin_bswap32(v); memcpy(p, &v, 4); }
static inline void put_u64(uint8_t *p, uint64_t v) { v = __builtin_bswap64(v); memcpy(p, &v, 8); }
static inline uint16_t get_u16(const uint8_t *p) { uint16_t v; memcpy(&v, p, 2); return __builtin_bswap16(v); }
static inline uint32_t get_u32(const uint8_t *p) { uint32_t v; memcpy(&v, p, 4); return __builtin_bswap32(v); }
static inline uint64_t get_u64(const uint8_t *p) { uint64_t v; memcpy(&v, p, 8); return __builtin_bswap64(v); }

/* Each byte compared with the one before it: as fast as memory is read. */
static inline bool bytes_are_zero(const uint8_t *p, size_t size)
{
	return size == 0 || (p[0] == 0 && memcmp(p, p + 1, size - 1) == 0);
}

/* A cursor over hostile bytes. After the first failure every read gives 0 / empty and `failed` stays true. */
struct reader {
	const uint8_t *cursor;
	size_t left;
	bool failed;
};

static inline struct reader reader_of(struct span bytes)
{
	return (struct reader){ bytes.data, bytes.size, false };
}

/* `size` bytes, borrowed from the input. */
static inline struct span reader_take(struct reader *r, size_t size)
{
	if (r->failed || r->left < size) {
		r->failed = true;
		return SPAN_NONE;
	}
	struct span taken = { r->cursor, size };
	r->cursor += size;
	r->left -= size;
	return taken;
}

static inline uint8_t reader_u8(struct reader *r)
{
	struct span s = reader_take(r, 1);
	return s.size == 0 ? 0 : s.data[0];
}

static inline uint16_t reader_u16(struct reader *r)
{
	struct span s = reader_take(r, 2);
	return s.size == 0 ? 0 : get_u16(s.data);
}

static inline uint32_t reader_u32(struct reader *r)
{
	struct span s = reader_take(r, 4);
	return s.size == 0 ? 0 : get_u32(s.data);
}

static inline uint64_t reader_u64(struct reader *r)
{
	struct span s = reader_take(r, 8);
	return s.size == 0 ? 0 : get_u64(s.data);
}

/* --- owned buffer ----------------------------------------------------------------------------------- */

/* A contiguous buffer that grows by doubling up to `size_max`. Appends that fail (memory, limit) set
 * `failed` and change nothing, so an encoder checks once at its end. data[start, end) is the content. */
struct buffer {
	uint8_t *data;
	size_t start;
	size_t end;
	size_t capacity;
	size_t size_max;
	bool failed;
};

/* No allocation yet. size_max 0 = no limit but memory. */
void buffer_init(struct buffer *b, size_t size_max);
void buffer_deinit(struct buffer *b);
/* Empties it and clears `failed`; keeps the memory. */
void buffer_reset(struct buffer *b);
/* Frees the memory if capacity is above keep_max and the buffer is empty. */
void buffer_trim(struct buffer *b, size_t keep_max);
/* Room for `size` more bytes at the end, contiguous; NULL (and failed) if impossible. Follow with buffer_commit. */
uint8_t *buffer_reserve(struct buffer *b, size_t size);
void buffer_append(struct buffer *b, const void *data, size_t size);
void buffer_append_span(struct buffer *b, struct span s);
void buffer_append_text(struct buffer *b, const char *text);
void buffer_append_i64(struct buffer *b, int64_t value); /* Decimal text. */
void buffer_printf(struct buffer *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buffer_put_u8(struct buffer *b, uint8_t v);
void buffer_put_u16(struct buffer *b, uint16_t v);
void buffer_put_u32(struct buffer *b, uint32_t v);
void buffer_put_u64(struct buffer *b, uint64_t v);

static inline size_t buffer_size(const struct buffer *b)
{
	return b->end - b->start;
}

static inline struct span buffer_span(const struct buffer *b)
{
	return b->data == NULL ? SPAN_NONE : (struct span){ b->data + b->start, b->end - b->start };
}

/* Makes `size` reserved bytes part of the content. */
static inline void buffer_commit(struct buffer *b, size_t size)
{
	b->end += size;
}

/* Drops `size` bytes from the front. */
static inline void buffer_consume(struct buffer *b, size_t size)
{
	b->start += size;
	if (b->start == b->end)
		b->start = b->end = 0;
}

/* Decimal text of `value` at p (room for 20 bytes); returns its length. No NUL. */
size_t format_i64(char *p, int64_t value);

#endif
