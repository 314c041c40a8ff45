#include "lib/record/record_settings.h"

#include "lib/record/codec.h"

size_t record_topic_size(const struct record_topic *r)
{
	return 2 + 1 + 1 + 5 * 4 + 8 + text_size(r->name) + text_size(r->attributes);
}

void record_topic_encode(const struct record_topic *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u8(&w, r->deleted);
	w_u8(&w, r->order);
	w_u32(&w, r->read_queue_nums);
	w_u32(&w, r->write_queue_nums);
	w_u32(&w, r->perm);
	w_u32(&w, r->filter_type);
	w_u32(&w, r->sys_flag);
	w_u64(&w, (uint64_t)r->when_ms);
	w_text(&w, r->name);
	w_text(&w, r->attributes);
}

enum status record_topic_decode(struct span payload, struct record_topic *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "topic", &r, err);

	if (status != ST_OK)
		return status;
	out->deleted = r_bool(&r);
	out->order = r_bool(&r);
	out->read_queue_nums = reader_u32(&r);
	out->write_queue_nums = reader_u32(&r);
	out->perm = reader_u32(&r);
	out->filter_type = reader_u32(&r);
	out->sys_flag = reader_u32(&r);
	out->when_ms = (int64_t)reader_u64(&r);
	out->name = r_text(&r);
	out->attributes = r_text(&r);
	return record_end(&r, "topic", err);
}

enum { GROUP_VERSION_2 = 2, GROUP_VERSION_3 = 3 };

static bool group_says_more(const struct record_group *r)
{
	return r->clean_offsets || r->forbidden.size > 0;
}

/* The oldest that holds all it says. */
static uint8_t group_version(const struct record_group *r)
{
	if (r->retry_policy.size > 0)
		return GROUP_VERSION_3;
	return group_says_more(r) ? GROUP_VERSION_2 : RECORD_VERSION;
}

size_t record_group_size(const struct record_group *r)
{
	uint8_t version = group_version(r);

	return 2 + 6 + 4 + 4 + 8 + 8 + 4 + 4 + 4 + 4 + 1 + 8 + text_size(r->name) +
	       (version >= GROUP_VERSION_2 ? 1 + text_size(r->forbidden) : 0) +
	       (version >= GROUP_VERSION_3 ? text_size(r->retry_policy) : 0);
}

void record_group_encode(const struct record_group *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head_version(&w, group_version(r));
	w_u8(&w, r->deleted);
	w_u8(&w, r->consume_enable);
	w_u8(&w, r->consume_from_min_enable);
	w_u8(&w, r->consume_broadcast_enable);
	w_u8(&w, r->consume_message_orderly);
	w_u8(&w, r->notify_consumer_ids_changed_enable);
	w_u32(&w, r->retry_queue_nums);
	w_u32(&w, r->retry_max_times);
	w_u64(&w, (uint64_t)r->broker_id);
	w_u64(&w, (uint64_t)r->which_broker_when_consume_slowly);
	w_u32(&w, r->group_sys_flag);
	w_u32(&w, r->consume_timeout_minute);
	w_u32(&w, r->check_interval_ms);
	w_u32(&w, r->check_max);
	w_u8(&w, r->undecided_policy);
	w_u64(&w, (uint64_t)r->when_ms);
	w_text(&w, r->name);
	if (group_version(r) >= GROUP_VERSION_2) {
		w_u8(&w, r->clean_offsets);
		w_text(&w, r->forbidden);
	}
	if (group_version(r) >= GROUP_VERSION_3)
		w_text(&w, r->retry_policy);
}

enum status record_group_decode(struct span payload, struct record_group *out, struct errinfo *err)
{
	struct reader r;
	uint8_t version;
	enum status status = record_begin_version(payload, "group", GROUP_VERSION_3, &r, &version, err);

	if (status != ST_OK)
		return status;
	out->deleted = r_bool(&r);
	out->consume_enable = r_bool(&r);
	out->consume_from_min_enable = r_bool(&r);
	out->consume_broadcast_enable = r_bool(&r);
	out->consume_message_orderly = r_bool(&r);
	out->notify_consumer_ids_changed_enable = r_bool(&r);
	out->retry_queue_nums = reader_u32(&r);
	out->retry_max_times = reader_u32(&r);
	out->broker_id = (int64_t)reader_u64(&r);
	out->which_broker_when_consume_slowly = (int64_t)reader_u64(&r);
	out->group_sys_flag = reader_u32(&r);
	out->consume_timeout_minute = reader_u32(&r);
	out->check_interval_ms = reader_u32(&r);
	out->check_max = reader_u32(&r);
	out->undecided_policy = r_range(&r, 0, GROUP_POLICY_COMMIT);
	out->when_ms = (int64_t)reader_u64(&r);
	out->name = r_text(&r);
	out->clean_offsets = version >= GROUP_VERSION_2 && r_bool(&r);
	out->forbidden = version >= GROUP_VERSION_2 ? r_text(&r) : SPAN_NONE;
	out->retry_policy = version >= GROUP_VERSION_3 ? r_text(&r) : SPAN_NONE;
	if (version != group_version(out))
		r.failed = true;
	return record_end(&r, "group", err);
}

/* A batch: version, flags, u16 count, items. */
static enum status begin_batch(struct span payload, const char *kind, size_t max, struct reader *r, size_t *count_out,
			       struct errinfo *err)
{
	enum status status = record_begin(payload, kind, r, err);

	if (status != ST_OK)
		return status;
	*count_out = reader_u16(r);
	if (*count_out > max)
		return errinfo_set(err, ST_CORRUPT, "%s record: %zu items", kind, *count_out);
	return ST_OK;
}

size_t record_offsets_size(const struct record_offset *offsets, size_t count)
{
	size_t size = 2 + 2;

	for (size_t i = 0; i < count; i++)
		size += text_size(offsets[i].group) + text_size(offsets[i].topic) + 4 + 8;
	return size;
}

void record_offsets_encode(const struct record_offset *offsets, size_t count, uint8_t *at)
{
	struct record_writer w = { at };

	assert(count <= RECORD_OFFSETS_MAX);
	w_head(&w);
	w_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		w_text(&w, offsets[i].group);
		w_text(&w, offsets[i].topic);
		w_u32(&w, offsets[i].queue_id);
		w_u64(&w, (uint64_t)offsets[i].offset);
	}
}

enum status record_offsets_decode(struct span payload, record_offset_visit visit, void *context, struct errinfo *err)
{
	struct reader r;
	size_t count;
	enum status status = begin_batch(payload, "offsets", RECORD_OFFSETS_MAX, &r, &count, err);

	for (size_t i = 0; status == ST_OK && i < count && !r.failed; i++) {
		struct record_offset offset;

		offset.group = r_text(&r);
		offset.topic = r_text(&r);
		offset.queue_id = reader_u32(&r);
		offset.offset = (int64_t)reader_u64(&r);
		if (!r.failed)
			status = visit(context, &offset, err);
	}
	return status != ST_OK ? status : record_end(&r, "offsets", err);
}

size_t record_pops_size(const struct record_pop *pops, size_t count)
{
	size_t size = 2 + 2;

	for (size_t i = 0; i < count; i++)
		size += 1 + text_size(pops[i].group) + text_size(pops[i].topic) + 4 + 8 + 4 + 8 + 8;
	return size;
}

void record_pops_encode(const struct record_pop *pops, size_t count, uint8_t *at)
{
	struct record_writer w = { at };

	assert(count <= RECORD_POPS_MAX);
	w_head(&w);
	w_u16(&w, (uint16_t)count);
	for (size_t i = 0; i < count; i++) {
		w_u8(&w, (uint8_t)pops[i].event);
		w_text(&w, pops[i].group);
		w_text(&w, pops[i].topic);
		w_u32(&w, pops[i].queue_id);
		w_u64(&w, pops[i].queue_offset);
		w_u32(&w, pops[i].count);
		w_u64(&w, (uint64_t)pops[i].pop_time_ms);
		w_u64(&w, (uint64_t)pops[i].invisible_ms);
	}
}

enum status record_pops_decode(struct span payload, record_pop_visit visit, void *context, struct errinfo *err)
{
	struct reader r;
	size_t count;
	enum status status = begin_batch(payload, "pop", RECORD_POPS_MAX, &r, &count, err);

	for (size_t i = 0; status == ST_OK && i < count && !r.failed; i++) {
		struct record_pop pop;
		uint8_t event = reader_u8(&r);

		pop.group = r_text(&r);
		pop.topic = r_text(&r);
		pop.queue_id = reader_u32(&r);
		pop.queue_offset = reader_u64(&r);
		pop.count = reader_u32(&r);
		pop.pop_time_ms = (int64_t)reader_u64(&r);
		pop.invisible_ms = (int64_t)reader_u64(&r);
		if (r.failed)
			break;
		if (event < POP_CHECK_OUT || event > POP_REQUEST_MODE)
			return errinfo_set(err, ST_CORRUPT, "pop record: event %u", event);
		pop.event = (enum pop_event)event;
		status = visit(context, &pop, err);
	}
	return status != ST_OK ? status : record_end(&r, "pop", err);
}

size_t record_snapshot_mark_size(const struct record_snapshot_mark *r)
{
	(void)r;
	return 2 + 8 + 8 + 8 + 4 + 8;
}

void record_snapshot_mark_encode(const struct record_snapshot_mark *r, uint8_t *at)
{
	struct record_writer w = { at };

	w_head(&w);
	w_u64(&w, r->snapshot_offset);
	w_u64(&w, r->generation);
	w_u64(&w, r->file_size);
	w_u32(&w, r->file_crc);
	w_u64(&w, (uint64_t)r->when_ms);
}

enum status record_snapshot_mark_decode(struct span payload, struct record_snapshot_mark *out, struct errinfo *err)
{
	struct reader r;
	enum status status = record_begin(payload, "snapshot mark", &r, err);

	if (status != ST_OK)
		return status;
	out->snapshot_offset = reader_u64(&r);
	out->generation = reader_u64(&r);
	out->file_size = reader_u64(&r);
	out->file_crc = reader_u32(&r);
	out->when_ms = (int64_t)reader_u64(&r);
	return record_end(&r, "snapshot mark", err);
}
