#include "broker/core/pull.h"

#include <assert.h>

#include "broker/core/apply.h"
#include "broker/core/selection.h"
#include "broker/core/state.h"
#include "lib/log/format.h"
#include "lib/wire/message.h"
#include "lib/wire/properties.h"

enum { ENTRIES_AT_ONCE = 64, READ_AHEAD_LEAD = 2 * READ_AHEAD_SIZE };

static void set_result(struct pull_result *result, int32_t code, const char *remark, uint64_t next_offset)
{
	result->code = code;
	result->remark = remark;
	result->next_offset = next_offset;
}

/* Where the wanted offset lies in relation to what there is. True: there are entries to look at. */
static bool check_range(const struct pull_request *request, struct pull_result *result)
{
	uint64_t offset = request->offset, max = result->max_offset;

	if (max == 0 && offset == 0 && !request->negative)
		set_result(result, RESP_PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE", 0);
	else if (max == 0)
		set_result(result, RESP_PULL_OFFSET_MOVED, "NO_MESSAGE_IN_QUEUE", 0);
	else if (request->negative || offset < result->min_offset)
		set_result(result, RESP_PULL_OFFSET_MOVED, "OFFSET_TOO_SMALL", result->min_offset);
	else if (offset == max)
		set_result(result, RESP_PULL_NOT_FOUND, "OFFSET_OVERFLOW_ONE", offset);
	else if (offset > max)
		set_result(result, RESP_PULL_OFFSET_MOVED, "OFFSET_OVERFLOW_BADLY", max);
	else
		return true;
	return false;
}

/* Where the half message lay first: the body's record says so if it is a CARRY. */
static uint64_t origin_of(const uint8_t *record, uint64_t body_offset)
{
	return record[LOG_KIND_AT] == LOG_CARRY ? get_u64(record + LOG_ENVELOPE_SIZE + CARRY_ORIGIN_AT) : body_offset;
}

/* The record of an entry's body, checked, if a window has it; NULL: it must be read by itself. What is damaged is, too: that read
 * tells where. */
static const uint8_t *in_window(struct core *core, uint64_t offset, size_t record_size)
{
	uint64_t bad;
	const uint8_t *record = windows_find(core->windows, offset, record_size);

	if (record == NULL || log_verify_run(commitlog_id(core->log), record, record_size, offset, record_size, &bad) != NULL)
		return NULL;
	return record;
}

/* Reads a record from the page cache into the scratch, checked. NULL with *status. */
static const uint8_t *read_alone(struct core *core, uint64_t offset, size_t record_size, enum status *status,
				 struct errinfo *err)
{
	uint8_t *room = buffer_reserve(&core->cold, record_size);

	if (room == NULL) {
		*status = errinfo_set(err, ST_NOMEM, "no memory for a cold message");
		return NULL;
	}
	*status = commitlog_try_read(core->log, offset, record_size, true, room, err);
	if (*status == ST_OK) {
		buffer_commit(&core->cold, record_size);
		return room;
	}
	if (*status == ST_AGAIN) {
		bool window = window_start(offset) == core->wish_window;
		core->wish_offset = window ? core->wish_window : offset;
		core->wish_size = window ? WINDOW_SIZE : (uint32_t)record_size;
	}
	return NULL;
}

/* Finds the message of an entry: in memory, else in a window, else from the page cache into the scratch. */
static enum status locate(struct core *core, const struct cq_entry *entry, struct pull_item *item, struct errinfo *err)
{
	uint32_t delta = entry->flags & ENTRY_DELTA_MASK;
	uint32_t record_size = (delta + entry->size + 7) & ~7u; /* The message is the record's last part. */
	struct span span;
	enum status status = commitlog_read(core->log, entry->body_offset, delta + entry->size, &span);
	const uint8_t *record = status == ST_OK ? span.data : NULL;

	if (status == ST_AGAIN) {
		record = in_window(core, entry->body_offset, record_size);
		status = record == NULL ? ST_AGAIN : ST_OK;
	}
	item->message = record == NULL ? NULL : record + delta;
	if (status == ST_AGAIN) {
		item->cold_at = buffer_size(&core->cold) + delta;
		record = read_alone(core, entry->body_offset, record_size, &status, err);
	}
	if (status == ST_OK)
		item->prepared_offset = (entry->flags & ENTRY_TRANSACTIONAL) != 0 ? origin_of(record, entry->body_offset) : 0;
	return status;
}

bool pull_peek(const struct core *core, const struct cq_entry *entry, struct message *out)
{
	uint32_t delta = entry->flags & ENTRY_DELTA_MASK;
	struct span span;

	return commitlog_read(core->log, entry->body_offset, delta + entry->size, &span) == ST_OK &&
	       message_decode((struct span){ span.data + delta, entry->size }, out, NULL) == ST_OK;
}

static const uint8_t *message_of(const struct core *core, const struct pull_item *item)
{
	return item->message != NULL ? item->message : core->cold.data + core->cold.start + item->cold_at;
}

/* The message with another tag as its TAGS, into the scratch; it stays as it is where the format has no room for that. */
static enum status retag(struct core *core, struct message *message, struct span tag, struct pull_item *item,
			 struct errinfo *err)
{
	static const char *const without[] = { PROPERTY_TAGS, NULL };

	buffer_reset(&core->properties);
	property_put(&core->properties, PROPERTY_TAGS, tag);
	properties_copy(&core->properties, message->properties, without);
	message->properties = buffer_span(&core->properties);
	if (core->properties.failed || message_check_limits(message, NULL) != ST_OK)
		return ST_OK;
	size_t size = message_size(message), at = buffer_size(&core->cold);
	uint8_t *room = buffer_reserve(&core->cold, size);
	if (room == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a message");
	/* The scratch may have moved, with the message in it. */
	enum status status = message_decode((struct span){ message_of(core, item), item->size }, message, err);
	if (status != ST_OK)
		return status;
	message->properties = buffer_span(&core->properties);
	buffer_commit(&core->cold, message_encode(message, room));
	*item = (struct pull_item){ .cold_at = at, .size = (uint32_t)size, .prepared_offset = item->prepared_offset };
	return ST_OK;
}

/* Looks into a located message. */
static enum status look(struct core *core, const struct pull_request *request, struct pull_item *item, size_t *looked,
			bool *fits, struct errinfo *err)
{
	struct message message;
	struct span tag;

	enum status status = message_decode((struct span){ message_of(core, item), item->size }, &message, err);
	if (status != ST_OK)
		return status;
	*looked += selection_cost(request, message.properties) + (item->message == NULL ? item->size : 0);
	*fits = selection_by_properties(request, message.properties, &tag);
	return !*fits || tag.size == 0 ? ST_OK : retag(core, &message, tag, item, err);
}

/* Takes one entry into the answer, unless a look at the message says no. ST_FULL: the answer is full; the entry stays for the
 * next one. */
static enum status take(struct core *core, const struct pull_request *request, const struct cq_entry *entry,
			uint64_t queue_offset, size_t *looked, struct pull_result *result, struct errinfo *err)
{
	struct pull_item *item = &core->pull_items[result->item_count];

	if (result->item_count == request->message_max ||
	    (result->item_count > 0 && result->body_size + entry->size > request->bytes_max))
		return ST_FULL;
	size_t cold_end = core->cold.end;
	bool fits = true;
	enum status status = locate(core, entry, item, err);
	item->size = entry->size;
	if (status == ST_OK && selection_by_hash(request, entry->tag_hash) == FIT_LOOK)
		status = look(core, request, item, looked, &fits, err);
	if (status != ST_OK || !fits) {
		core->cold.end = cold_end;
		return status;
	}
	item->log_offset = entry->log_offset;
	item->queue_offset = queue_offset;
	item->store_time_ms = entry->store_time_ms;
	result->item_count++;
	result->body_size += item->size;
	return ST_OK;
}

static bool is_wanted(const struct core *core, const struct pull_request *request, const struct cq_entry *entry)
{
	return selection_by_hash(request, entry->tag_hash) != FIT_NO && !trimming_is_given_up(core, entry);
}

/* Reads a window; each eighth one lets the disk fetch what comes READ_AHEAD_LEAD later. */
static void open_window(struct core *core, uint64_t start)
{
	enum status status = windows_read(core->windows, core->log, start);

	if (status == ST_AGAIN)
		core->wish_window = start;
	if (start % READ_AHEAD_SIZE == 0)
		core->read_ahead = start + READ_AHEAD_LEAD;
}

/* Sees to windows for entries that are not in memory; where one cannot be had, its messages are read alone. Returns how many of the
 * entries the answer may take: it ends before a window that is still to be read, unless it has little so far. So one who reads
 * ahead of others gets on more slowly than they do, and they come together where they use the same windows. */
static size_t see_to_windows(struct core *core, const struct pull_request *request, size_t item_count,
			     const struct cq_entry *entries, size_t count)
{
	for (size_t i = 0; i < count;) {
		uint64_t offset = entries[i].body_offset;
		size_t first = i, wanted = 0;

		for (; i < count && window_start(entries[i].body_offset) == window_start(offset); i++)
			wanted += !commitlog_in_memory(core->log, entries[i].body_offset) && is_wanted(core, request, &entries[i]);
		if (wanted > 0 && !windows_have(core->windows, offset) && windows_are_worth(core->windows, wanted)) {
			if (item_count >= WINDOW_FEW)
				return first;
			open_window(core, window_start(offset));
		}
		item_count += wanted;
	}
	return count;
}

/* Walks the queue from the wanted offset. *next is the first entry not looked at. */
static enum status choose(struct core *core, const struct pull_request *request, const struct queue *queue,
			  struct pull_result *result, uint64_t *next, struct errinfo *err)
{
	uint64_t scan_end = request->offset + (request->message_max > PULL_SCAN_MAX ? request->message_max : PULL_SCAN_MAX);
	struct cq_entry entries[ENTRIES_AT_ONCE];
	size_t looked = 0;

	if (scan_end > result->max_offset)
		scan_end = result->max_offset;
	for (*next = request->offset; *next < scan_end;) {
		size_t want = scan_end - *next < ENTRIES_AT_ONCE ? (size_t)(scan_end - *next) : ENTRIES_AT_ONCE, got;
		enum status status = consume_queue_get_run(&queue->entries, *next, want, entries, &got, err);

		if (status != ST_OK)
			return status;
		size_t count = see_to_windows(core, request, result->item_count, entries, got);
		for (size_t i = 0; i < count; i++) {
			if (is_wanted(core, request, &entries[i])) {
				status = take(core, request, &entries[i], *next, &looked, result, err);
				if (status != ST_OK)
					return status;
			}
			(*next)++;
			if (looked > PULL_LOOK_MAX)
				return ST_FULL;
		}
		if (count < got)
			return ST_FULL;
	}
	return ST_OK;
}

/* The group's offset was set by an operator: the consumer is sent there, unless that is where it is. */
static bool tell_reset(struct core *core, const struct pull_request *request, struct pull_result *result)
{
	int64_t target = offsets_reset_target(core->offsets, request->topic_id, request->group_id, request->queue_id);

	if (target < 0)
		return false;
	offsets_reset_told(core->offsets, request->topic_id, request->group_id, request->queue_id);
	if ((uint64_t)target == request->offset)
		return false;
	set_result(result, RESP_PULL_OFFSET_MOVED, "OFFSET_RESET", (uint64_t)target);
	return true;
}

static void account(struct core *core, const struct pull_request *request, const struct pull_result *result)
{
	core->stats.pulled_count += result->item_count;
	statistics_got(core->statistics, request->topic_id, request->group_id, result->item_count, result->body_size);
	offsets_note_pulled(core->offsets, request->topic_id, request->group_id, request->queue_id, (int64_t)result->next_offset);
}

enum status core_pull(struct core *core, const struct pull_request *request, struct pull_result *result,
		      struct outcome *outcome)
{
	struct topic *topic = topics_find(core->topics, names_text(core->names, request->topic_id));
	struct queue *queue = topic == NULL ? NULL : topic_queue(topic, request->queue_id);
	uint64_t next;

	*result = (struct pull_result){ 0 };
	*outcome = (struct outcome){ 0 };
	buffer_reset(&core->cold);
	windows_begin(core->windows);
	core->wish_window = NO_WINDOW;
	if (topic == NULL)
		return core_refuse(outcome, RESP_TOPIC_NOT_EXIST, "the topic is gone");
	result->max_offset = queue == NULL ? 0 : queue->visible_offset; /* Told also where the rest must be asked for anew. */
	if (queue != NULL && trimming_queue_min(core, queue, &result->min_offset, NULL) == ST_AGAIN)
		return ST_AGAIN; /* Not for damage: whoever reads that entry is told. */
	if (tell_reset(core, request, result))
		return ST_OK;
	if (!check_range(request, result)) {
		account(core, request, result);
		return ST_OK;
	}
	enum status status = choose(core, request, queue, result, &next, &outcome->err);
	/* Something in the way after the first message, or behind entries that are not wanted: answer with what there is. */
	bool enough = status == ST_OK || status == ST_FULL || next > request->offset;
	if (!enough && status == ST_AGAIN)
		return ST_AGAIN;
	core_note_damage(core, status, &outcome->err);
	if (!enough)
		return core_refuse(outcome, RESP_SYSTEM_ERROR, "read queue %u of %.*s at %llu: %s", request->queue_id,
				   SPAN_ARGS(topic->name), (unsigned long long)next, outcome->err.text);
	if (result->item_count > 0)
		set_result(result, RESP_SUCCESS, "FOUND", next);
	else
		set_result(result, RESP_PULL_RETRY_IMMEDIATELY, "NO_MATCHED_MESSAGE", next);
	account(core, request, result);
	return ST_OK;
}

void core_pull_copy(struct core *core, const struct pull_result *result, struct buffer *out)
{
	uint8_t *at = result->body_size == 0 ? NULL : buffer_reserve(out, result->body_size);

	if (at == NULL)
		return;
	for (uint32_t i = 0; i < result->item_count; i++) {
		const struct pull_item *item = &core->pull_items[i];
		memcpy(at, message_of(core, item), item->size);
		message_patch_queue_offset(at, (int64_t)item->queue_offset);
		message_patch_physical_offset(at, (int64_t)item->log_offset);
		message_patch_store_timestamp(at, item->store_time_ms);
		message_patch_prepared_offset(at, (int64_t)item->prepared_offset);
		at += item->size;
	}
	buffer_commit(out, result->body_size);
}
