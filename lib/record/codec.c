#include "lib/record/codec.h"

enum status record_begin(struct span payload, const char *kind, struct reader *r, struct errinfo *err)
{
	uint8_t version;

	return record_begin_version(payload, kind, RECORD_VERSION, r, &version, err);
}

enum status record_begin_version(struct span payload, const char *kind, uint8_t newest, struct reader *r, uint8_t *version_out,
				 struct errinfo *err)
{
	*r = reader_of(payload);
	uint8_t version = *version_out = reader_u8(r);
	uint8_t flags = reader_u8(r);
	if (r->failed)
		return errinfo_set(err, ST_CORRUPT, "%s record: %zu bytes are too few", kind, payload.size);
	if (version < RECORD_VERSION || version > newest)
		return errinfo_set(err, ST_VERSION, "%s record: format version %u, this program knows %u", kind, version, newest);
	if (flags != 0)
		return errinfo_set(err, ST_VERSION, "%s record: flags %02x, which this program does not know", kind, flags);
	return ST_OK;
}

enum status record_end(const struct reader *r, const char *kind, struct errinfo *err)
{
	if (r->failed)
		return errinfo_set(err, ST_CORRUPT, "%s record: a field is cut off or out of its range", kind);
	if (r->left != 0)
		return errinfo_set(err, ST_CORRUPT, "%s record: %zu bytes left over", kind, r->left);
	return ST_OK;
}
