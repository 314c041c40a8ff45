/* The writing half of snapshot.h. One function a section: it appends items until the slice is full and says whether its
 * section is done. */
#include "broker/core/settings.h"
#include "broker/core/snapshot.h"
#include "broker/core/state.h"
#include "checkback/checkback.h"
#include "lib/index/snapshot_file.h"

struct slice {
	struct core *core;
	struct snapshot_cursor *cursor;
	struct buffer *out;
	size_t begun;
	uint32_t items;
};

static bool is_full(const struct slice *slice)
{
	/* Also without memory: nothing more goes in, and whoever takes the slice gives up. */
	return slice->out->failed || buffer_size(slice->out) - slice->begun >= SNAPSHOT_SLICE_BYTES;
}

static bool save_state(struct slice *slice)
{
	struct core *core = slice->core;
	struct topics_version version = topics_version(core->topics);

	buffer_put_u64(slice->out, (uint64_t)core->store_time_ms);
	buffer_put_u64(slice->out, (uint64_t)core->wall_ms);
	buffer_put_u64(slice->out, core->hash_key.k0);
	buffer_put_u64(slice->out, core->hash_key.k1);
	buffer_put_u64(slice->out, (uint64_t)version.counter);
	buffer_put_u64(slice->out, (uint64_t)version.timestamp_ms);
	slice->items = 1;
	return true;
}

/* --- names and settings ---------------------------------------------------------------------------------------------- */

/* The next names, of those given out so far. True: all are out, so that what follows may refer to any. */
static bool save_names(struct core *core, struct snapshot_cursor *cursor, struct buffer *out)
{
	uint32_t end = names_end(core->names), items = 0, id = cursor->names_done > 0 ? cursor->names_done : 1;

	if (id == end)
		return true;
	size_t begun = snapshot_begin_chunk(out, SECTION_NAMES);
	for (; id < end && buffer_size(out) - begun < SNAPSHOT_SLICE_BYTES; id++, items++) {
		struct span text = names_text(core->names, id);
		buffer_put_u32(out, id);
		buffer_put_u16(out, (uint16_t)text.size);
		buffer_append_span(out, text);
	}
	snapshot_end_chunk(out, begun, items);
	cursor->names_done = id;
	return id == end;
}

static bool save_topics(struct slice *slice)
{
	struct snapshot_cursor *cursor = slice->cursor;
	const struct topic *topic = cursor->begun ? cursor->topic : topics_first_any(slice->core->topics);

	for (; topic != NULL && !is_full(slice); topic = topics_next_any(topic), slice->items++) {
		struct record_topic r = settings_topic_record(topic->name, &topic->settings);
		size_t size = record_topic_size(&r);

		r.deleted = topic->deleted;
		buffer_put_u8(slice->out, (uint8_t)((topic->system ? SNAPSHOT_TOPIC_SYSTEM : 0) |
						    (topic->deleted_at != 0 ? SNAPSHOT_TOPIC_DELETED : 0)));
		if (topic->deleted_at != 0)
			buffer_put_u64(slice->out, topic->deleted_at);
		buffer_put_u32(slice->out, (uint32_t)size);
		uint8_t *at = buffer_reserve(slice->out, size);
		if (at == NULL)
			return true;
		record_topic_encode(&r, at);
		buffer_commit(slice->out, size);
	}
	cursor->topic = topic;
	cursor->begun = true;
	return topic == NULL;
}

static bool save_groups(struct slice *slice)
{
	struct snapshot_cursor *cursor = slice->cursor;
	const struct consumer_group *group = cursor->begun ? cursor->group : groups_first_any(slice->core->groups);

	for (; group != NULL && !is_full(slice); group = groups_next_any(group), slice->items++) {
		struct record_group r = settings_group_record(group->name, &group->settings, group->forbidden);
		size_t size = record_group_size(&r);

		r.deleted = group->deleted;
		buffer_put_u32(slice->out, (uint32_t)size);
		uint8_t *at = buffer_reserve(slice->out, size);
		if (at == NULL)
			return true;
		record_group_encode(&r, at);
		buffer_commit(slice->out, size);
	}
	cursor->group = group;
	cursor->begun = true;
	return group == NULL;
}

/* --- index pages ------------------------------------------------------------------------------------------------------ */

/* Pages of one array from the cursor on: group u64, count u32, then the pages. True: the last one is out, and the array
 * has not changed since the call began. */
static bool save_pages(struct slice *slice, const struct entry_array *array)
{
	struct snapshot_cursor *cursor = slice->cursor;
	uint64_t end = entry_array_end_group(array);
	uint32_t most = SNAPSHOT_SLICE_BYTES / sizeof(uint32_t);

	if (cursor->index_group < entry_array_first_group(array))
		cursor->index_group = entry_array_first_group(array);
	uint32_t count = end - cursor->index_group < most ? (uint32_t)(end - cursor->index_group) : most;
	buffer_put_u64(slice->out, cursor->index_group);
	buffer_put_u32(slice->out, count);
	for (; count > 0; count--)
		buffer_put_u32(slice->out, entry_array_page(array, cursor->index_group++));
	return cursor->index_group == end;
}

/* The next queue that was ever made, from the cursor's on. */
static const struct queue *next_queue(struct slice *slice)
{
	struct snapshot_cursor *cursor = slice->cursor;

	if (!cursor->begun)
		cursor->topic = topics_first_any(slice->core->topics);
	cursor->begun = true;
	for (; cursor->topic != NULL; cursor->topic = topics_next_any(cursor->topic), cursor->queue_id = 0) {
		for (; cursor->queue_id < cursor->topic->queue_count; cursor->queue_id++) {
			if (cursor->topic->queues[cursor->queue_id] != NULL)
				return cursor->topic->queues[cursor->queue_id];
		}
	}
	return NULL;
}

/* A queue's range goes into the same item as its last pages, so that they fit each other. One whose topic is deleted while
 * its pages are half out begins anew, which the reader sees from the offset of the deletion. */
static bool save_queues(struct slice *slice)
{
	const struct queue *queue;

	while (!is_full(slice) && (queue = next_queue(slice)) != NULL) {
		uint8_t bits = queue->born != 0 ? SNAPSHOT_QUEUE_DELETED : 0;

		if (slice->cursor->queue_born != queue->born)
			slice->cursor->index_group = 0;
		slice->cursor->queue_born = queue->born;
		buffer_put_u32(slice->out, queue->topic->id);
		buffer_put_u32(slice->out, queue->id);
		size_t bits_at = buffer_size(slice->out);
		buffer_put_u8(slice->out, bits);
		if (queue->born != 0)
			buffer_put_u64(slice->out, queue->born);
		bool last = save_pages(slice, &queue->entries.array);
		slice->items++;
		if (!last || slice->out->failed)
			continue;
		slice->out->data[slice->out->start + bits_at] = bits | SNAPSHOT_QUEUE_LAST;
		buffer_put_u64(slice->out, queue->next_offset);
		buffer_put_u64(slice->out, consume_queue_min(&queue->entries));
		buffer_put_u64(slice->out, consume_queue_max(&queue->entries));
		slice->cursor->queue_id++;
		slice->cursor->index_group = 0;
	}
	return slice->cursor->topic == NULL;
}

static bool save_halves(struct slice *slice)
{
	const struct half_index *halves = &slice->core->halves;
	size_t last_at = buffer_size(slice->out);

	buffer_put_u8(slice->out, 0);
	bool last = save_pages(slice, &halves->array);
	slice->items++;
	if (!last || slice->out->failed)
		return false;
	slice->out->data[slice->out->start + last_at] = 1;
	buffer_put_u64(slice->out, half_index_min(halves));
	buffer_put_u64(slice->out, half_index_max(halves));
	return true;
}

/* --- progress, transactions, delays --------------------------------------------------------------------------------- */

static bool save_offsets(struct slice *slice)
{
	struct offsets_entry entry;

	while (!is_full(slice)) {
		if (!offsets_next(slice->core->offsets, &slice->cursor->offsets, &entry))
			return true;
		buffer_put_u32(slice->out, entry.topic_id);
		buffer_put_u32(slice->out, entry.group_id);
		buffer_put_u32(slice->out, entry.queue_id);
		buffer_put_u64(slice->out, (uint64_t)entry.value);
		slice->items++;
	}
	return false;
}

static bool save_pending(struct slice *slice)
{
	struct core *core = slice->core;
	const struct pending *entry;

	while (!is_full(slice)) {
		entry = pending_next(core->pending, &slice->cursor->pending);
		if (entry == NULL)
			return true;
		buffer_put_u64(slice->out, entry->half_queue_offset);
		buffer_put_u64(slice->out, entry->half_offset);
		buffer_put_u64(slice->out, entry->body_offset);
		buffer_put_u64(slice->out, entry->name.lo);
		buffer_put_u64(slice->out, entry->name.hi);
		buffer_put_u64(slice->out, (uint64_t)entry->store_time_ms);
		buffer_put_u64(slice->out, (uint64_t)checkback_wait_ms(entry, slice->cursor->begun_mono_ms));
		buffer_put_u32(slice->out, entry->record_size);
		buffer_put_u32(slice->out, entry->group_id);
		buffer_put_u16(slice->out, entry->attempts);
		buffer_put_u16(slice->out, entry->answered);
		buffer_put_u8(slice->out, entry->state);
		slice->items++;
	}
	return false;
}

static bool save_resends(struct slice *slice)
{
	struct resend decided;

	while (!is_full(slice)) {
		if (!resends_next(slice->core->resends, &slice->cursor->resends, &decided))
			return true;
		buffer_put_u64(slice->out, decided.name.lo);
		buffer_put_u64(slice->out, decided.name.hi);
		buffer_put_u64(slice->out, decided.half_queue_offset);
		slice->items++;
	}
	return false;
}

/* There may be many more slots than messages. */
static bool save_delays(struct slice *slice)
{
	size_t slots_left = SNAPSHOT_SLOTS_AT_ONCE;
	struct delayed entry;

	while (!is_full(slice) && slots_left > 0) {
		if (!delays_next_within(&slice->core->delays, &slice->cursor->delays, &slots_left, &entry))
			return slots_left > 0;
		buffer_put_u64(slice->out, (uint64_t)entry.deliver_at_ms);
		buffer_put_u64(slice->out, entry.naming_offset);
		buffer_put_u64(slice->out, entry.origin_offset);
		buffer_put_u64(slice->out, entry.body_offset);
		buffer_put_u32(slice->out, entry.topic->id);
		buffer_put_u32(slice->out, entry.message_size);
		buffer_put_u32(slice->out, (uint32_t)entry.tag_hash);
		buffer_put_u16(slice->out, entry.message_delta);
		buffer_put_u16(slice->out, entry.queue_id);
		buffer_put_u8(slice->out, (entry.transactional ? DELAY_ITEM_TRANSACTIONAL : 0) | (entry.recall != 0 ? DELAY_ITEM_RECALL : 0));
		if (entry.recall != 0)
			buffer_put_u32(slice->out, entry.recall);
		slice->items++;
	}
	return false;
}

/* A row, and of its check-outs as many as fit: a long one takes several items. */
static bool save_row(struct slice *slice, const struct pop_row *row)
{
	struct buffer *out = slice->out;
	const struct pop_entry *entry = pop_row_from(row, slice->cursor->pop_offset);
	uint16_t count = 0;

	buffer_put_u32(out, row->key.topic_id);
	buffer_put_u32(out, row->key.group_id);
	buffer_put_u32(out, row->key.queue_id);
	buffer_put_u64(out, row->next);
	size_t count_at = buffer_size(out);
	buffer_put_u16(out, 0);
	for (; entry != NULL && count < SNAPSHOT_POPS_AT_ONCE; entry = pop_row_from(row, entry->offset + 1), count++) {
		buffer_put_u64(out, entry->offset);
		buffer_put_u64(out, (uint64_t)entry->pop_ms);
		buffer_put_u64(out, (uint64_t)entry->invisible_ms);
		buffer_put_u16(out, entry->deliveries);
		buffer_put_u8(out, entry->orderly);
		slice->cursor->pop_offset = entry->offset + 1;
	}
	slice->items++;
	if (!out->failed)
		put_u16(out->data + out->start + count_at, count);
	return entry == NULL;
}

static bool save_pops(struct slice *slice)
{
	struct snapshot_cursor *cursor = slice->cursor;

	if (!cursor->begun)
		cursor->pops = slice->core->pops.rows;
	cursor->begun = true;
	while (cursor->pops != NULL && !is_full(slice) && !slice->out->failed) {
		if (!save_row(slice, cursor->pops))
			continue;
		cursor->pops = cursor->pops->hh.next;
		cursor->pop_offset = 0;
	}
	return cursor->pops == NULL;
}

/* Few: operators set them. */
static bool save_modes(struct slice *slice)
{
	for (const struct request_mode *mode = slice->core->pops.modes; mode != NULL; mode = mode->hh.next) {
		if (!mode->known)
			continue;
		buffer_put_u32(slice->out, mode->topic_id);
		buffer_put_u32(slice->out, mode->group_id);
		buffer_put_u32(slice->out, mode->mode);
		buffer_put_u32(slice->out, mode->shared_queues);
		slice->items++;
	}
	return true;
}

/* Few: one of them stands for a gigabyte or so. */
static bool save_segments(struct slice *slice)
{
	const struct retention *retention = &slice->core->retention;

	for (size_t i = 0; i < retention->count; i++, slice->items++) {
		buffer_put_u64(slice->out, retention->segments[i].base);
		buffer_put_u64(slice->out, (uint64_t)retention->segments[i].newest_ms);
		buffer_put_u64(slice->out, retention->segments[i].last_ref);
	}
	return true;
}

/* --- slices ------------------------------------------------------------------------------------------------------------ */

static const struct {
	enum snapshot_section section;
	bool (*save)(struct slice *slice);
} stages[] = {
	{ SECTION_STATE, save_state },     { SECTION_TOPICS, save_topics },   { SECTION_GROUPS, save_groups },
	{ SECTION_QUEUES, save_queues },   { SECTION_HALVES, save_halves },   { SECTION_OFFSETS, save_offsets },
	{ SECTION_PENDING, save_pending }, { SECTION_RESENDS, save_resends }, { SECTION_DELAYS, save_delays },
	{ SECTION_SEGMENTS, save_segments }, { SECTION_POPS, save_pops },     { SECTION_MODES, save_modes },
};

bool snapshot_slice(struct core *core, struct snapshot_cursor *cursor, struct buffer *out)
{
	if (cursor->stage == sizeof(stages) / sizeof(stages[0]))
		return false;
	if (!save_names(core, cursor, out))
		return true;
	struct slice slice = { core, cursor, out, snapshot_begin_chunk(out, stages[cursor->stage].section), 0 };
	if (stages[cursor->stage].save(&slice)) {
		cursor->stage++;
		cursor->begun = false;
		cursor->index_group = 0;
	}
	snapshot_end_chunk(out, slice.begun, slice.items);
	return true;
}
