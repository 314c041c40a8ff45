/* One record by its offset, from wherever it is; see commitlog.h. */
#include <inttypes.h>

#include "lib/log/commitlog.h"
#include "lib/log/format.h"

/* `size` bytes from memory, else from the page cache into scratch. */
static enum status bytes_at(const struct commitlog *log, uint64_t offset, size_t size, uint8_t *scratch,
			    const uint8_t **out, struct errinfo *err)
{
	struct span span;
	enum status status = commitlog_read(log, offset, size, &span);

	*out = scratch;
	if (status == ST_OK)
		*out = span.data;
	else if (status == ST_AGAIN)
		status = commitlog_try_read(log, offset, size, false, scratch, err);
	return status;
}

enum status commitlog_record(const struct commitlog *log, uint64_t offset, uint8_t *scratch, size_t scratch_size,
			     struct log_record *out, uint32_t *size_out, struct errinfo *err)
{
	uint64_t room = commitlog_read_limit(log, offset);
	const uint8_t *bytes;

	*size_out = LOG_ENVELOPE_SIZE;
	if ((offset & 7) != 0 || room < LOG_ENVELOPE_SIZE || scratch_size < LOG_ENVELOPE_SIZE)
		return errinfo_set(err, ST_NOTFOUND, "no record at log offset %" PRIu64, offset);
	enum status status = bytes_at(log, offset, LOG_ENVELOPE_SIZE, scratch, &bytes, err);
	if (status != ST_OK)
		return status;
	if (log_parse_envelope(bytes, offset, room, out) != NULL || out->size > room)
		return errinfo_set(err, ST_NOTFOUND, "no record at log offset %" PRIu64, offset);
	*size_out = out->size;
	if (out->size > scratch_size)
		return errinfo_set(err, ST_TOOBIG, "record at log offset %" PRIu64 ": %u bytes", offset, out->size);
	status = bytes_at(log, offset, out->size, scratch, &bytes, err);
	if (status != ST_OK)
		return status;
	if (log_parse_envelope(bytes, offset, room, out) != NULL || !log_crc_matches(commitlog_id(log), bytes, out))
		return errinfo_set(err, ST_CORRUPT, "record at log offset %" PRIu64 ": its checksum fails", offset);
	return ST_OK;
}
