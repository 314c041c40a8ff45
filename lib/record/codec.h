/* How record payloads are put together: fixed-width big-endian numbers, and texts with a 16-bit length.
 *
 * Every payload begins with a format version (1; GROUP also 2) and a flags byte (0 so far). A reader refuses another version or an
 * unknown flag with ST_VERSION; bytes left over and values out of range with ST_CORRUPT: additions raise the version. So
 * what decodes encodes to the same bytes again. Shared by the codecs of lib/record, which are pure. */
#ifndef ESCROW_RECORD_CODEC_H
#define ESCROW_RECORD_CODEC_H

#include <assert.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

enum { RECORD_VERSION = 1, RECORD_TEXT_MAX = UINT16_MAX };

struct record_writer {
	uint8_t *at;
};

static inline void w_u8(struct record_writer *w, uint8_t v) { *w->at++ = v; }
static inline void w_u16(struct record_writer *w, uint16_t v) { put_u16(w->at, v); w->at += 2; }
static inline void w_u32(struct record_writer *w, uint32_t v) { put_u32(w->at, v); w->at += 4; }
static inline void w_u64(struct record_writer *w, uint64_t v) { put_u64(w->at, v); w->at += 8; }

static inline void w_bytes(struct record_writer *w, struct span s)
{
	if (s.size > 0)
		memcpy(w->at, s.data, s.size);
	w->at += s.size;
}

static inline void w_text(struct record_writer *w, struct span s)
{
	assert(s.size <= RECORD_TEXT_MAX);
	w_u16(w, (uint16_t)s.size);
	w_bytes(w, s);
}

static inline void w_head_version(struct record_writer *w, uint8_t version)
{
	w_u8(w, version);
	w_u8(w, 0);
}

static inline void w_head(struct record_writer *w) { w_head_version(w, RECORD_VERSION); }

static inline size_t text_size(struct span s) { return 2 + s.size; }

static inline struct span r_text(struct reader *r) { return reader_take(r, reader_u16(r)); }

/* A number that must lie in [least, most]; anything else fails the reader. */
static inline uint8_t r_range(struct reader *r, uint8_t least, uint8_t most)
{
	uint8_t v = reader_u8(r);

	if (v < least || v > most)
		r->failed = true;
	return v;
}

static inline bool r_bool(struct reader *r) { return r_range(r, 0, 1) == 1; }

/* Begins reading a payload: checks the version, which may be any up to `newest`. */
enum status record_begin_version(struct span payload, const char *kind, uint8_t newest, struct reader *r, uint8_t *version_out,
				 struct errinfo *err) MUST_USE;
/* The same for those that have only one. */
enum status record_begin(struct span payload, const char *kind, struct reader *r, struct errinfo *err) MUST_USE;
/* Ends it: everything was there, and nothing else. */
enum status record_end(const struct reader *r, const char *kind, struct errinfo *err) MUST_USE;

#endif
