/* See pages.h. */
#include "tools/log/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/index/consume_queue.h"
#include "lib/index/half_index.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"

/* docs/formats/snapshots.md */
enum { SECTION_NAMES = 2, SECTION_QUEUES = 5, SECTION_HALVES = 6, QUEUE_LAST = 1, QUEUE_DELETED = 2, SNAPSHOTS_LOOKED_AT = 8 };
static const uint32_t NO_PAGE = UINT32_MAX;

struct name { /* A span of `texts`, which moves while it grows. */
	size_t at, size;
};

struct owned_page {
	uint64_t group; /* Of entries. */
	uint32_t page;
};

struct array_pages { /* Of a queue, or of the half index. */
	uint32_t topic_id, queue_id;
	struct span topic;         /* Set when all is read. */
	uint64_t born;             /* Log offset of the topic's deletion; 0: none. */
	uint64_t min, end;         /* Entries that a start believes: [min, end). */
	uint64_t present_from;     /* None is missing from this one on. */
	struct owned_page *pages;
	size_t count, capacity;
};

struct pages_look {
	const struct vfs *vfs;
	const char *root;
	uint64_t from;
	struct buffer texts;
	struct name *names;        /* By id; 0 is no name's. */
	size_t name_count, name_capacity;
	struct array_pages *queues; /* By topic and number, when all is read. */
	size_t queue_count, queue_capacity;
	struct array_pages halves;
	bool bad;                  /* The snapshot contradicts itself. */
	struct page_damage damages[PAGES_DAMAGES_MAX];
	size_t damage_count;
};

/* --- the snapshot --------------------------------------------------------------------------------------------------- */

static enum status no_memory(struct errinfo *err)
{
	return errinfo_set(err, ST_NOMEM, "out of memory");
}

static enum status read_name(struct pages_look *look, struct reader *in, struct errinfo *err)
{
	uint32_t id = reader_u32(in);
	struct span text = reader_take(in, reader_u16(in));
	struct name *names = array_with_room(look->names, look->name_count, &look->name_capacity, sizeof(*names));

	if (names == NULL)
		return no_memory(err);
	look->names = names;
	if (in->failed || id != look->name_count) {
		in->failed = true;
		return ST_OK;
	}
	names[look->name_count++] = (struct name){ buffer_size(&look->texts), text.size };
	buffer_append_span(&look->texts, text);
	return look->texts.failed ? no_memory(err) : ST_OK;
}

static enum status read_pages(struct array_pages *array, struct reader *in, struct errinfo *err)
{
	uint64_t group = reader_u64(in);
	uint32_t count = reader_u32(in);

	for (; count > 0 && !in->failed; count--, group++) {
		uint32_t page = reader_u32(in);

		if (in->failed || page == NO_PAGE)
			continue;
		struct owned_page *pages = array_with_room(array->pages, array->count, &array->capacity, sizeof(*pages));
		if (pages == NULL)
			return no_memory(err);
		array->pages = pages;
		pages[array->count++] = (struct owned_page){ group, page };
	}
	return ST_OK;
}

/* A long one has several items, one behind the other. NULL without memory. */
static struct array_pages *queue_of_item(struct pages_look *look, uint32_t topic_id, uint32_t queue_id)
{
	struct array_pages *last = look->queue_count > 0 ? &look->queues[look->queue_count - 1] : NULL;

	if (last != NULL && last->topic_id == topic_id && last->queue_id == queue_id)
		return last;
	struct array_pages *queues = array_with_room(look->queues, look->queue_count, &look->queue_capacity, sizeof(*queues));
	if (queues == NULL)
		return NULL;
	look->queues = queues;
	last = &queues[look->queue_count++];
	*last = (struct array_pages){ .topic_id = topic_id, .queue_id = queue_id };
	return last;
}

static void read_range(struct array_pages *array, struct reader *in)
{
	array->min = reader_u64(in);
	array->end = reader_u64(in);
}

static enum status read_queue(struct pages_look *look, struct reader *in, struct errinfo *err)
{
	uint32_t topic_id = reader_u32(in), queue_id = reader_u32(in);
	unsigned bits = reader_u8(in);
	uint64_t born = bits & QUEUE_DELETED ? reader_u64(in) : 0;

	in->failed = in->failed || topic_id == 0 || topic_id >= look->name_count;
	if (in->failed)
		return ST_OK;
	struct array_pages *queue = queue_of_item(look, topic_id, queue_id);
	if (queue == NULL)
		return no_memory(err);
	if (queue->born != born)
		queue->count = 0; /* Those of before the deletion. */
	queue->born = born;
	enum status status = read_pages(queue, in, err);
	if (status == ST_OK && (bits & QUEUE_LAST)) {
		(void)reader_u64(in); /* The next offset. */
		read_range(queue, in);
	}
	return status;
}

static enum status read_halves(struct pages_look *look, struct reader *in, struct errinfo *err)
{
	bool last = reader_u8(in) != 0;
	enum status status = read_pages(&look->halves, in, err);

	if (status == ST_OK && last)
		read_range(&look->halves, in);
	return status;
}

static enum status read_chunk(struct pages_look *look, const struct snapshot_chunk *chunk, struct errinfo *err)
{
	struct reader in = reader_of(chunk->payload);
	enum status status = ST_OK;

	for (uint32_t i = 0; i < chunk->item_count && status == ST_OK && !in.failed; i++) {
		switch (chunk->section) {
		case SECTION_NAMES: status = read_name(look, &in, err); break;
		case SECTION_QUEUES: status = read_queue(look, &in, err); break;
		case SECTION_HALVES: status = read_halves(look, &in, err); break;
		default: return ST_OK;
		}
	}
	look->bad = look->bad || in.failed;
	return status;
}

static int compare(struct span topic, uint32_t queue_id, const struct array_pages *queue)
{
	size_t size = topic.size < queue->topic.size ? topic.size : queue->topic.size;
	int order = size == 0 ? 0 : memcmp(topic.data, queue->topic.data, size);

	if (order != 0)
		return order;
	if (topic.size != queue->topic.size)
		return topic.size < queue->topic.size ? -1 : 1;
	return (queue_id > queue->queue_id) - (queue_id < queue->queue_id);
}

static int by_topic(const void *a, const void *b)
{
	const struct array_pages *queue = a;

	return compare(queue->topic, queue->queue_id, b);
}

static void sort_queues(struct pages_look *look)
{
	for (size_t i = 0; i < look->queue_count; i++) {
		const struct name *name = &look->names[look->queues[i].topic_id];

		look->queues[i].topic = (struct span){ buffer_span(&look->texts).data + name->at, name->size };
	}
	if (look->queue_count > 0)
		qsort(look->queues, look->queue_count, sizeof(*look->queues), by_topic);
}

static enum status read_snapshot(struct pages_look *look, struct errinfo *err)
{
	struct snapshot_reader *reader = NULL;
	struct snapshot_chunk chunk;
	enum status status = snapshot_open(look->vfs, look->root, look->from, &reader, err);

	if (status != ST_OK)
		return status;
	while (status == ST_OK && (status = snapshot_next(reader, &chunk, err)) == ST_OK)
		status = read_chunk(look, &chunk, err);
	if (status == ST_NOTFOUND)
		status = !look->bad ? ST_OK : errinfo_set(err, ST_CORRUPT, "%s: which index page is whose is not said as it should be",
							  snapshot_path(reader));
	snapshot_close(reader);
	return status;
}

enum status pages_open(const struct vfs *vfs, const char *root, uint64_t from, struct pages_look **out, struct errinfo *err)
{
	struct pages_look *look = calloc(1, sizeof(*look));

	if (look == NULL)
		return no_memory(err);
	*look = (struct pages_look){ .vfs = vfs, .root = root, .from = from, .name_count = 1,
				      .halves.present_from = UINT64_MAX };
	look->names = array_with_room(NULL, 0, &look->name_capacity, sizeof(*look->names));
	buffer_init(&look->texts, 0);
	enum status status = look->names != NULL ? read_snapshot(look, err) : no_memory(err);
	if (status != ST_OK) {
		pages_free(look);
		return status;
	}
	sort_queues(look);
	*out = look;
	return ST_OK;
}

void pages_free(struct pages_look *look)
{
	if (look == NULL)
		return;
	for (size_t i = 0; i < look->queue_count; i++)
		free(look->queues[i].pages);
	free(look->queues);
	free(look->halves.pages);
	free(look->names);
	buffer_deinit(&look->texts);
	free(look);
}

/* --- the records behind it ------------------------------------------------------------------------------------------ */

/* The first queue that is not before this place. */
static size_t find_queue(const struct pages_look *look, struct span topic, uint32_t queue_id)
{
	size_t low = 0, high = look->queue_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (compare(topic, queue_id, &look->queues[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Offsets are given one by one: all from this one on are put again, or lie behind the log's end. */
static void end_at(struct array_pages *array, uint64_t entry)
{
	if (entry < array->end)
		array->end = entry;
}

static void see_place(struct pages_look *look, struct span topic, uint32_t queue_id, uint64_t queue_offset)
{
	size_t at = find_queue(look, topic, queue_id);

	if (at < look->queue_count && compare(topic, queue_id, &look->queues[at]) == 0)
		end_at(&look->queues[at], queue_offset);
}

static void see_topic(struct pages_look *look, const struct record_topic *r)
{
	if (!r->deleted)
		return;
	for (size_t i = find_queue(look, r->name, 0); i < look->queue_count && span_equal(look->queues[i].topic, r->name); i++)
		end_at(&look->queues[i], 0);
}

/* Those that the log has are in their index: it was filled as they were stored, or built anew from a log that held them, and only
 * what lies before the log's start is taken out. */
static void see_half(struct pages_look *look, uint64_t log_offset, const struct record_half *r)
{
	if (r->half_queue_offset < look->halves.present_from)
		look->halves.present_from = r->half_queue_offset;
	if (log_offset >= look->from)
		end_at(&look->halves, r->half_queue_offset);
}

void pages_see(struct pages_look *look, const struct log_record *record)
{
	union {
		struct record_message message;
		struct record_half half;
		struct record_decision decision;
		struct record_deliver deliver;
		struct record_topic topic;
	} r;

	if (record->kind == LOG_HALF && record_half_decode(record->payload, &r.half, NULL) == ST_OK)
		see_half(look, record->offset, &r.half);
	if (record->offset < look->from)
		return;
	if (record->kind == LOG_MESSAGE && record_message_decode(record->payload, &r.message, NULL) == ST_OK &&
	    r.message.deliver_at_ms == 0)
		see_place(look, r.message.topic, r.message.queue_id, r.message.queue_offset);
	else if (record->kind == LOG_DECISION && record_decision_decode(record->payload, &r.decision, NULL) == ST_OK &&
		 r.decision.outcome == OUTCOME_COMMIT && r.decision.deliver_at_ms == 0)
		see_place(look, r.decision.topic, r.decision.queue_id, r.decision.queue_offset);
	else if (record->kind == LOG_DELIVER && record_deliver_decode(record->payload, &r.deliver, NULL) == ST_OK)
		see_place(look, r.deliver.topic, r.deliver.queue_id, r.deliver.queue_offset);
	else if (record->kind == LOG_TOPIC && record_topic_decode(record->payload, &r.topic, NULL) == ST_OK)
		see_topic(look, &r.topic);
}

/* --- the pages ------------------------------------------------------------------------------------------------------ */

/* Entries name records that lie in the log in the same order. *last_io: the one that the entry before this one names. */
static const char *order_problem(uint64_t log_offset, uint64_t *last_io)
{
	bool ascends = log_offset > *last_io;

	*last_io = log_offset;
	return ascends ? NULL : "it names an earlier record than the entry before it";
}

static enum status decode_queue(const uint8_t *bytes, uint64_t *log_offset_out)
{
	struct cq_entry entry = { 0 };
	enum status status = cq_entry_decode(bytes, &entry);

	*log_offset_out = entry.log_offset;
	return status;
}

static enum status decode_half(const uint8_t *bytes, uint64_t *log_offset_out)
{
	struct half_entry entry = { 0 };
	enum status status = half_entry_decode(bytes, &entry);

	*log_offset_out = entry.half_offset;
	return status;
}

struct array_kind {
	size_t entry_size;
	enum status (*decode)(const uint8_t *bytes, uint64_t *log_offset_out);
};
static const struct array_kind QUEUE = { CQ_ENTRY_SIZE, decode_queue }, HALVES = { HALF_ENTRY_SIZE, decode_half };

/* What is wrong with entry n; NULL: nothing. */
static const char *entry_problem(const struct array_pages *array, const struct array_kind *kind, uint64_t n, const uint8_t *bytes,
				 uint64_t *last_io)
{
	uint64_t log_offset = 0;
	enum status status = kind->decode(bytes, &log_offset);

	if (status == ST_NOTFOUND)
		return n >= array->present_from ? "it is missing" : NULL;
	return status == ST_OK ? order_problem(log_offset, last_io) : "its checksum is wrong";
}

/* damage->count is 0 when nothing is. */
static void look_at_page(const struct array_pages *array, const struct array_kind *kind, const struct owned_page *at,
			 const uint8_t *page, uint64_t *last_io, struct page_damage *damage)
{
	uint64_t per_page = PAGEFILE_PAGE_SIZE / kind->entry_size, first = at->group * per_page;

	*damage = (struct page_damage){ .topic = array->topic, .queue_id = array->queue_id };
	for (uint64_t i = 0; i < per_page; i++) {
		if (first + i < array->min || first + i >= array->end)
			continue;
		const char *problem = entry_problem(array, kind, first + i, page + i * kind->entry_size, last_io);
		if (problem == NULL || damage->count++ > 0)
			continue;
		damage->byte = (uint64_t)at->page * PAGEFILE_PAGE_SIZE + i * kind->entry_size;
		damage->entry = first + i;
		damage->reason = problem;
	}
}

/* What the file does not have has not been written: zeros. */
static enum status check_page(const struct array_pages *array, const struct array_kind *kind, const struct owned_page *at,
			      struct vfs_file *file, uint64_t *last_io, struct page_damage *damage, struct errinfo *err)
{
	enum status status = ST_OK;
	uint64_t before = *last_io;

	for (int look = 0; look < 2; look++) { /* The first one may have met a write. */
		uint8_t page[PAGEFILE_PAGE_SIZE] = { 0 };
		size_t got = 0;

		*last_io = before;
		status = vfs_read(file, (uint64_t)at->page * PAGEFILE_PAGE_SIZE, page, sizeof(page), &got, err);
		if (status != ST_OK)
			return status;
		look_at_page(array, kind, at, page, last_io, damage);
		if (damage->count == 0)
			break;
	}
	return status;
}

static enum status check_array(struct pages_look *look, const struct array_pages *array, const struct array_kind *kind,
			       struct vfs_file *file, struct errinfo *err)
{
	enum status status = ST_OK;
	uint64_t last = 0;

	for (size_t i = 0; i < array->count && status == ST_OK; i++) {
		struct page_damage damage = { 0 };

		status = check_page(array, kind, &array->pages[i], file, &last, &damage, err);
		if (damage.count == 0)
			continue;
		if (look->damage_count < PAGES_DAMAGES_MAX)
			look->damages[look->damage_count] = damage;
		look->damage_count++;
	}
	return status;
}

/* As long as it is, its pages are nobody else's. */
static enum status forget_if_replaced(struct pages_look *look, struct errinfo *err)
{
	uint64_t offsets[SNAPSHOTS_LOOKED_AT];
	size_t count = 0;
	enum status status = snapshot_list(look->vfs, look->root, offsets, SNAPSHOTS_LOOKED_AT, &count, err);

	for (size_t i = 0; i < count; i++) {
		if (offsets[i] == look->from)
			return status;
	}
	look->damage_count = 0;
	return status;
}

enum status pages_check(struct pages_look *look, const struct page_damage **damages_out, size_t *count_out, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	char path[SNAPSHOT_PATH_SIZE];

	snprintf(path, sizeof(path), "%.560s/index.pages", look->root);
	enum status status = vfs_open(look->vfs, path, VFS_READ, &file, err);
	if (status == ST_OK)
		status = check_array(look, &look->halves, &HALVES, file, err);
	for (size_t i = 0; i < look->queue_count && status == ST_OK; i++)
		status = check_array(look, &look->queues[i], &QUEUE, file, err);
	vfs_close(file);
	if (status == ST_OK && look->damage_count > 0)
		status = forget_if_replaced(look, err);
	*damages_out = look->damages;
	*count_out = look->damage_count;
	return status;
}
