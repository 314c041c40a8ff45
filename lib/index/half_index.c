/* See half_index.h. */
#include "lib/index/half_index.h"

#include <inttypes.h>
#include <string.h>

#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"

enum { AT_HALF = 0, AT_DECISION = 8, AT_QUEUE = 16, AT_STATE = 24, AT_CHECK = 28 };

void half_index_init(struct half_index *index, struct pagefile *pf)
{
	entry_array_init(&index->array, pf, HALF_ENTRY_SIZE);
}

void half_index_deinit(struct half_index *index)
{
	entry_array_deinit(&index->array);
}

enum status half_index_put(struct half_index *index, uint64_t n, const struct half_entry *entry, struct errinfo *err)
{
	uint8_t bytes[HALF_ENTRY_SIZE] = { 0 };
	enum status status;

	if (entry->state == 0)
		return errinfo_set(err, ST_INVALID, "half index: entry %" PRIu64 " without a state", n);
	put_u64(bytes + AT_HALF, entry->half_offset);
	put_u64(bytes + AT_DECISION, entry->decision_offset);
	put_u64(bytes + AT_QUEUE, entry->queue_offset);
	bytes[AT_STATE] = entry->state;
	put_u32(bytes + AT_CHECK, crc32c(0, bytes, AT_CHECK));
	status = entry_array_put(&index->array, n, bytes, err);
	return status == ST_OK ? ST_OK : errinfo_wrap(err, status, "half index");
}

enum status half_entry_decode(const uint8_t *bytes, struct half_entry *out)
{
	static const uint8_t gap[HALF_ENTRY_SIZE];

	if (memcmp(bytes, gap, sizeof(gap)) == 0)
		return ST_NOTFOUND;
	if (get_u32(bytes + AT_CHECK) != crc32c(0, bytes, AT_CHECK))
		return ST_CORRUPT;
	*out = (struct half_entry){
		.half_offset = get_u64(bytes + AT_HALF),
		.decision_offset = get_u64(bytes + AT_DECISION),
		.queue_offset = get_u64(bytes + AT_QUEUE),
		.state = bytes[AT_STATE],
	};
	return ST_OK;
}

enum status half_index_get(const struct half_index *index, uint64_t n, struct half_entry *out, struct errinfo *err)
{
	const uint8_t *bytes = NULL;
	size_t count = 0;
	enum status status = entry_array_view(&index->array, n, &bytes, &count, err);

	if (status != ST_OK)
		return status;
	status = half_entry_decode(bytes, out);
	if (status == ST_NOTFOUND)
		return errinfo_set(err, ST_NOTFOUND, "half index: nothing at position %" PRIu64, n);
	if (status != ST_OK)
		return errinfo_set(err, ST_CORRUPT, "half index: entry %" PRIu64 " fails its check: stop the broker, remove index.pages and "
				   "start: it is built anew", n);
	return ST_OK;
}

enum status half_index_find(const struct half_index *index, uint64_t half_offset, uint64_t *n_out,
			    struct half_entry *out, struct errinfo *err)
{
	uint64_t low = half_index_min(index), high = half_index_max(index);

	while (low < high) {
		uint64_t begun = low + (high - low) / 2, middle = begun;
		enum status status = half_index_get(index, middle, out, err);

		/* A gap: the next one that is known. */
		while (status == ST_NOTFOUND && (middle = half_index_skip_gap(index, middle + 1)) < high)
			status = half_index_get(index, middle, out, err);
		if (status == ST_NOTFOUND) {
			high = begun;
			continue;
		}
		if (status != ST_OK)
			return status;
		if (out->half_offset == half_offset) {
			*n_out = middle;
			return ST_OK;
		}
		if (out->half_offset < half_offset)
			low = middle + 1;
		else
			high = begun;
	}
	return errinfo_set(err, ST_NOTFOUND, "no half message at log offset %" PRIu64, half_offset);
}
