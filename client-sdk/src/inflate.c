/* Bodies that a producer compressed: zlib (every client), LZ4 frames and zstd (Java 5). The result is bounded whatever
 * the input claims. */
#include <lz4frame.h>
#include <stdlib.h>
#include <zlib.h>
#include <zstd.h>

#include "client-sdk/src/message_internal.h"
#include "lib/wire/codes.h"

enum { FIRST_ROOM = 16 * 1024 };

/* Doubles the output; false at the limit or without memory (*out stays valid). */
static bool grow(uint8_t **out, size_t *room, size_t size_max)
{
	size_t wanted = *room * 2 > size_max ? size_max : *room * 2;
	uint8_t *grown = wanted > *room ? realloc(*out, wanted) : NULL;

	if (grown == NULL)
		return false;
	*out = grown;
	*room = wanted;
	return true;
}

static enum status inflate_zlib(struct span body, size_t size_max, uint8_t **out, size_t *room, size_t *size)
{
	z_stream stream = { .next_in = (Bytef *)body.data, .avail_in = (uInt)body.size };
	enum status status = ST_OK;
	int result = Z_OK;

	if (inflateInit(&stream) != Z_OK)
		return ST_NOMEM;
	while (status == ST_OK && result != Z_STREAM_END) {
		if (*size == *room && !grow(out, room, size_max)) {
			status = ST_TOOBIG;
			break;
		}
		stream.next_out = *out + *size;
		stream.avail_out = (uInt)(*room - *size);
		result = inflate(&stream, Z_NO_FLUSH);
		*size = *room - stream.avail_out;
		/* Output left, input exhausted and no end: cut off. */
		if (result != Z_STREAM_END && (result != Z_OK || (stream.avail_in == 0 && stream.avail_out > 0)))
			status = ST_CORRUPT;
	}
	inflateEnd(&stream);
	return status;
}

static enum status inflate_lz4(struct span body, size_t size_max, uint8_t **out, size_t *room, size_t *size)
{
	LZ4F_dctx *context;
	enum status status = ST_OK;
	size_t at = 0, hint = 1;

	if (LZ4F_isError(LZ4F_createDecompressionContext(&context, LZ4F_VERSION)))
		return ST_NOMEM;
	while (hint != 0 && status == ST_OK) {
		size_t taken = body.size - at, given = *room - *size;

		if (given == 0 && !grow(out, room, size_max)) {
			status = ST_TOOBIG;
			break;
		}
		given = *room - *size;
		hint = LZ4F_decompress(context, *out + *size, &given, body.data + at, &taken, NULL);
		at += taken;
		*size += given;
		if (LZ4F_isError(hint) || (hint != 0 && at == body.size && given == 0))
			status = ST_CORRUPT;
	}
	LZ4F_freeDecompressionContext(context);
	return status;
}

static enum status inflate_zstd(struct span body, size_t size_max, uint8_t **out, size_t *room, size_t *size)
{
	ZSTD_DStream *stream = ZSTD_createDStream();
	ZSTD_inBuffer in = { body.data, body.size, 0 };
	enum status status = ST_OK;
	size_t hint = 1;

	if (stream == NULL)
		return ST_NOMEM;
	while (hint != 0 && status == ST_OK) {
		if (*size == *room && !grow(out, room, size_max)) {
			status = ST_TOOBIG;
			break;
		}
		ZSTD_outBuffer to = { *out, *room, *size };
		size_t before = *size;
		hint = ZSTD_decompressStream(stream, &to, &in);
		*size = to.pos;
		if (ZSTD_isError(hint) || (hint != 0 && in.pos == in.size && *size == before))
			status = ST_CORRUPT;
	}
	ZSTD_freeDStream(stream);
	return status;
}

enum status body_inflate(struct span body, int32_t sys_flag, size_t size_max, uint8_t **out, size_t *out_size,
			 struct errinfo *err)
{
	size_t room = FIRST_ROOM < size_max ? FIRST_ROOM : size_max, size = 0;
	uint8_t *data = malloc(room);
	enum status status;

	if (data == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory to inflate a body");
	switch (sys_flag & SYSFLAG_COMPRESSION_MASK) {
	case 0:
	case SYSFLAG_COMPRESSION_ZLIB: status = inflate_zlib(body, size_max, &data, &room, &size); break;
	case SYSFLAG_COMPRESSION_LZ4: status = inflate_lz4(body, size_max, &data, &room, &size); break;
	case SYSFLAG_COMPRESSION_ZSTD: status = inflate_zstd(body, size_max, &data, &room, &size); break;
	default: status = ST_VERSION; break;
	}
	if (status != ST_OK) {
		free(data);
		return errinfo_set(err, status, "inflate a body of %zu bytes (sysFlag 0x%x): %s", body.size, (unsigned)sys_flag,
				   status_text(status));
	}
	*out = data;
	*out_size = size;
	return ST_OK;
}
