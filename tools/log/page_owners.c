/* See page_owners.h. */
#include "tools/log/page_owners.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/array.h"
#include "lib/index/consume_queue.h"
#include "lib/index/entry_array.h"
#include "lib/index/half_index.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/snapshot_sections.h"

enum { PER_QUEUE_PAGE = PAGEFILE_PAGE_SIZE / CQ_ENTRY_SIZE, PER_HALF_PAGE = PAGEFILE_PAGE_SIZE / HALF_ENTRY_SIZE };

static enum status no_memory(struct errinfo *err)
{
	return errinfo_set(err, ST_NOMEM, "out of memory");
}

/* The first problem is told; what a start says of it: broker/core/snapshot_load.c. */
static void is_bad(struct page_owners *owners, const char *problem)
{
	if (owners->problem == NULL)
		owners->problem = problem;
}

static enum status read_name(struct page_owners *owners, struct reader *in, struct errinfo *err)
{
	uint32_t id = reader_u32(in);
	struct span text = reader_take(in, reader_u16(in));
	struct owner_name *names = array_with_room(owners->names, owners->name_count, &owners->name_capacity, sizeof(*names));

	if (names == NULL)
		return no_memory(err);
	owners->names = names;
	if (in->failed)
		return ST_OK;
	if (id != owners->name_count)
		is_bad(owners, "names are out of order");
	names[owners->name_count++] = (struct owner_name){ buffer_size(&owners->texts), text.size };
	buffer_append_span(&owners->texts, text);
	return owners->texts.failed ? no_memory(err) : ST_OK;
}

/* --- pages --------------------------------------------------------------------------------------------------------- */

static void use_page(struct page_owners *owners, uint32_t page)
{
	if (page >= owners->page_count) {
		is_bad(owners, "an index page lies beyond the index file");
		return;
	}
	if ((owners->used[page / 8] >> (page % 8) & 1) != 0)
		is_bad(owners, "an index page belongs to two arrays");
	owners->used[page / 8] |= (uint8_t)(1 << (page % 8));
}

/* Those that the array had before its topic's deletion. */
static void forget_pages(struct page_owners *owners, struct array_pages *array)
{
	for (size_t i = 0; i < array->count; i++) {
		uint32_t page = array->pages[i].page;

		if (page < owners->page_count)
			owners->used[page / 8] &= (uint8_t)~(1 << (page % 8));
	}
	array->count = 0;
	array->min = array->end = array->end_group = 0;
}

static enum status add_page(struct page_owners *owners, struct array_pages *array, uint64_t group, uint32_t page,
			    struct errinfo *err)
{
	struct owned_page *pages = array_with_room(array->pages, array->count, &array->capacity, sizeof(*pages));

	if (pages == NULL)
		return no_memory(err);
	array->pages = pages;
	pages[array->count++] = (struct owned_page){ .group = group, .page = page };
	use_page(owners, page);
	return ST_OK;
}

static enum status read_pages(struct page_owners *owners, struct array_pages *array, struct reader *in, struct errinfo *err)
{
	uint64_t group = reader_u64(in);
	uint32_t count = reader_u32(in);
	enum status status = ST_OK;

	if (count > 0 && (group < array->end_group || group >= INT64_MAX / array->per_page ||
			  (array->end_group > 0 && group - array->end_group > ENTRY_GAP_MAX)))
		is_bad(owners, "an index page is out of place");
	if (count > 0 && array->end_group == 0)
		array->first_group = group;
	for (; count > 0 && !in->failed && owners->problem == NULL && status == ST_OK; count--, group++) {
		uint32_t page = reader_u32(in);

		if (!in->failed && page != ENTRY_NO_PAGE)
			status = add_page(owners, array, group, page, err);
		array->end_group = group + 1;
	}
	return status;
}

static void read_range(struct page_owners *owners, struct array_pages *array, struct reader *in)
{
	array->min = reader_u64(in);
	array->end = reader_u64(in);
	if (in->failed || owners->problem != NULL)
		return;
	bool fits = array->min <= array->end && array->end <= INT64_MAX;

	if (fits && array->min < array->end)
		fits = array->min / array->per_page >= array->first_group &&
		       (array->end - 1) / array->per_page < array->end_group;
	if (!fits)
		is_bad(owners, "a range of index entries is without its pages");
}

/* --- queues, halves ------------------------------------------------------------------------------------------------- */

/* A long one has several items, one behind the other. NULL without memory. */
static struct array_pages *queue_of_item(struct page_owners *owners, uint32_t topic_id, uint32_t queue_id)
{
	struct array_pages *last = owners->queue_count > 0 ? &owners->queues[owners->queue_count - 1] : NULL;

	if (last != NULL && last->topic_id == topic_id && last->queue_id == queue_id)
		return last;
	struct array_pages *queues = array_with_room(owners->queues, owners->queue_count, &owners->queue_capacity, sizeof(*queues));
	if (queues == NULL)
		return NULL;
	owners->queues = queues;
	last = &queues[owners->queue_count++];
	*last = (struct array_pages){ .topic_id = topic_id, .queue_id = queue_id, .per_page = PER_QUEUE_PAGE };
	return last;
}

static enum status read_queue(struct page_owners *owners, struct reader *in, struct errinfo *err)
{
	uint32_t topic_id = reader_u32(in), queue_id = reader_u32(in);
	unsigned bits = reader_u8(in);
	uint64_t born = bits & SNAPSHOT_QUEUE_DELETED ? reader_u64(in) : 0;

	if (in->failed)
		return ST_OK;
	if (topic_id == 0 || topic_id >= owners->name_count)
		is_bad(owners, "a queue names a topic that is not there");
	if (born >= owners->durable)
		is_bad(owners, "a queue's topic is deleted behind the snapshot");
	if (owners->problem != NULL)
		return ST_OK;
	struct array_pages *queue = queue_of_item(owners, topic_id, queue_id);
	if (queue == NULL)
		return no_memory(err);
	if (queue->born != born)
		forget_pages(owners, queue);
	queue->born = born;
	enum status status = read_pages(owners, queue, in, err);
	if (status == ST_OK && (bits & SNAPSHOT_QUEUE_LAST)) {
		(void)reader_u64(in); /* The next offset. */
		read_range(owners, queue, in);
	}
	return status;
}

static enum status read_halves(struct page_owners *owners, struct reader *in, struct errinfo *err)
{
	bool last = reader_u8(in) != 0;
	enum status status = read_pages(owners, &owners->halves, in, err);

	if (status == ST_OK && last)
		read_range(owners, &owners->halves, in);
	return status;
}

static enum status read_chunk(struct page_owners *owners, const struct snapshot_chunk *chunk, struct errinfo *err)
{
	struct reader in = reader_of(chunk->payload);
	enum status status = ST_OK;

	for (uint32_t i = 0; i < chunk->item_count && status == ST_OK && !in.failed && owners->problem == NULL; i++) {
		switch (chunk->section) {
		case SECTION_NAMES: status = read_name(owners, &in, err); break;
		case SECTION_QUEUES: status = read_queue(owners, &in, err); break;
		case SECTION_HALVES: status = read_halves(owners, &in, err); break;
		default: return ST_OK;
		}
	}
	if (in.failed)
		is_bad(owners, "an item is cut off");
	if (in.left > 0)
		is_bad(owners, "a chunk is longer than its items");
	return status;
}

/* --- finding -------------------------------------------------------------------------------------------------------- */

int page_owners_compare(struct span topic, uint32_t queue_id, const struct array_pages *queue)
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

	return page_owners_compare(queue->topic, queue->queue_id, b);
}

static void sort_queues(struct page_owners *owners)
{
	for (size_t i = 0; i < owners->queue_count; i++) {
		const struct owner_name *name = &owners->names[owners->queues[i].topic_id];

		owners->queues[i].topic = (struct span){ buffer_span(&owners->texts).data + name->at, name->size };
	}
	if (owners->queue_count > 0)
		qsort(owners->queues, owners->queue_count, sizeof(*owners->queues), by_topic);
}

size_t page_owners_find(const struct page_owners *owners, struct span topic, uint32_t queue_id)
{
	size_t low = 0, high = owners->queue_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (page_owners_compare(topic, queue_id, &owners->queues[middle]) > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

enum status page_owners_read(const struct vfs *vfs, const char *root, uint64_t from, struct page_owners *out, struct errinfo *err)
{
	struct snapshot_reader *reader = NULL;
	struct snapshot_chunk chunk;

	*out = (struct page_owners){ .name_count = 1, .halves.per_page = PER_HALF_PAGE };
	buffer_init(&out->texts, 0);
	enum status status = snapshot_open(vfs, root, from, &reader, err);
	if (status != ST_OK)
		return status;
	out->page_count = snapshot_end(reader)->page_count;
	out->durable = snapshot_end(reader)->durable;
	out->used = calloc(1, (size_t)out->page_count / 8 + 1);
	out->names = array_with_room(NULL, 0, &out->name_capacity, sizeof(*out->names));
	if (out->used == NULL || out->names == NULL)
		status = no_memory(err);
	while (status == ST_OK && out->problem == NULL && (status = snapshot_next(reader, &chunk, err)) == ST_OK)
		status = read_chunk(out, &chunk, err);
	snapshot_close(reader);
	if (status == ST_NOTFOUND)
		status = ST_OK;
	if (status == ST_OK && out->problem == NULL)
		sort_queues(out);
	return status;
}

void page_owners_free(struct page_owners *owners)
{
	for (size_t i = 0; i < owners->queue_count; i++)
		free(owners->queues[i].pages);
	free(owners->queues);
	free(owners->halves.pages);
	free(owners->names);
	free(owners->used);
	buffer_deinit(&owners->texts);
}
