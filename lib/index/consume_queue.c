/* See consume_queue.h. */
#include "lib/index/consume_queue.h"

#include <inttypes.h>

#include "lib/base/bytes.h"
#include "lib/base/crc32c.h"

enum { AT_LOG = 0, AT_BODY = 8, AT_SIZE = 16, AT_TAG = 20, AT_TIME = 24, AT_FLAGS = 32, AT_CHECK = 36 };

void consume_queue_init(struct consume_queue *q, struct pagefile *pf)
{
	entry_array_init(&q->array, pf, CQ_ENTRY_SIZE);
}

void consume_queue_deinit(struct consume_queue *q)
{
	entry_array_deinit(&q->array);
}

enum status consume_queue_put(struct consume_queue *q, uint64_t queue_offset, const struct cq_entry *entry,
			      struct errinfo *err)
{
	uint8_t bytes[CQ_ENTRY_SIZE];
	enum status status;

	put_u64(bytes + AT_LOG, entry->log_offset);
	put_u64(bytes + AT_BODY, entry->body_offset);
	put_u32(bytes + AT_SIZE, entry->size);
	put_u32(bytes + AT_TAG, (uint32_t)entry->tag_hash);
	put_u64(bytes + AT_TIME, (uint64_t)entry->store_time_ms);
	put_u32(bytes + AT_FLAGS, entry->flags);
	put_u32(bytes + AT_CHECK, crc32c(0, bytes, AT_CHECK));
	status = entry_array_put(&q->array, queue_offset, bytes, err);
	return status == ST_OK ? ST_OK : errinfo_wrap(err, status, "consume queue");
}

enum status cq_entry_decode(const uint8_t *bytes, struct cq_entry *out)
{
	uint32_t check = get_u32(bytes + AT_CHECK);

	*out = (struct cq_entry){
		.log_offset = get_u64(bytes + AT_LOG),
		.body_offset = get_u64(bytes + AT_BODY),
		.size = get_u32(bytes + AT_SIZE),
		.tag_hash = (int32_t)get_u32(bytes + AT_TAG),
		.store_time_ms = (int64_t)get_u64(bytes + AT_TIME),
		.flags = get_u32(bytes + AT_FLAGS),
	};
	if (check == crc32c(0, bytes, AT_CHECK))
		return ST_OK;
	return check == 0 && out->log_offset == 0 && out->size == 0 ? ST_NOTFOUND : ST_CORRUPT;
}

static enum status decode(const uint8_t *bytes, uint64_t queue_offset, struct cq_entry *out, struct errinfo *err)
{
	enum status status = cq_entry_decode(bytes, out);

	if (status == ST_OK)
		return ST_OK;
	if (status == ST_NOTFOUND)
		return errinfo_set(err, ST_NOTFOUND, "consume queue: nothing at offset %" PRIu64, queue_offset);
	return errinfo_set(err, ST_CORRUPT, "consume queue: entry %" PRIu64 " fails its check: stop the broker, remove index.pages and start: it is built anew",
			   queue_offset);
}

enum status consume_queue_get(const struct consume_queue *q, uint64_t queue_offset, struct cq_entry *out,
			      struct errinfo *err)
{
	size_t count = 0;

	return consume_queue_get_run(q, queue_offset, 1, out, &count, err);
}

enum status consume_queue_get_run(const struct consume_queue *q, uint64_t from, size_t max_count, struct cq_entry *out,
				  size_t *count_out, struct errinfo *err)
{
	size_t done = 0;

	*count_out = 0;
	while (done < max_count) {
		const uint8_t *bytes = NULL;
		size_t count = 0;
		enum status status;

		if (done > 0 && from + done >= consume_queue_max(q))
			break;
		status = entry_array_view(&q->array, from + done, &bytes, &count, done == 0 ? err : NULL);
		for (size_t i = 0; status == ST_OK && i < count && done < max_count; i++) {
			status = decode(bytes + i * CQ_ENTRY_SIZE, from + done, &out[done], done == 0 ? err : NULL);
			done += status == ST_OK;
		}
		if (status != ST_OK && done == 0)
			return status;
		if (status != ST_OK)
			break;
	}
	*count_out = done;
	return ST_OK;
}

enum status consume_queue_find_time(const struct consume_queue *q, uint64_t end, int64_t time_ms,
				    enum cq_boundary boundary, uint64_t *offset_out, struct errinfo *err)
{
	uint64_t min = consume_queue_min(q), low = min, high = end < consume_queue_max(q) ? end : consume_queue_max(q);

	/* Entries below `low` are on the left of the boundary, those from `high` on to its right. */
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		struct cq_entry entry;
		enum status status = consume_queue_get(q, middle, &entry, err);
		if (status == ST_NOTFOUND)
			status = ST_CORRUPT;
		if (status != ST_OK)
			return status;
		if (boundary == CQ_LOWER ? entry.store_time_ms < time_ms : entry.store_time_ms <= time_ms)
			low = middle + 1;
		else
			high = middle;
	}
	*offset_out = boundary == CQ_UPPER && low > min ? low - 1 : low;
	return ST_OK;
}
