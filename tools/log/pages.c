/* See pages.h. */
#include "tools/log/pages.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/index/consume_queue.h"
#include "lib/index/half_index.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"
#include "lib/record/record_transaction.h"
#include "tools/log/page_owners.h"

enum { SNAPSHOTS_LOOKED_AT = 8 };

struct pages_look {
	const struct vfs *vfs;
	const char *root;
	uint64_t from;
	struct page_owners owners; /* The ends of arrays move down to what a replay does not put again. */
	uint64_t halves_present;   /* Of the half index none is missing from this one on. */
	struct page_damage damages[PAGES_DAMAGES_MAX];
	size_t damage_count;
};

enum status pages_open(const struct vfs *vfs, const char *root, uint64_t from, struct pages_look **out, struct errinfo *err)
{
	struct pages_look *look = calloc(1, sizeof(*look));

	if (look == NULL)
		return errinfo_set(err, ST_NOMEM, "out of memory");
	*look = (struct pages_look){ .vfs = vfs, .root = root, .from = from, .halves_present = UINT64_MAX };
	enum status status = page_owners_read(vfs, root, from, &look->owners, err);
	if (status != ST_OK) {
		pages_free(look);
		return status;
	}
	*out = look;
	return ST_OK;
}

void pages_free(struct pages_look *look)
{
	if (look != NULL)
		page_owners_free(&look->owners);
	free(look);
}

const char *pages_problem(const struct pages_look *look)
{
	return look->owners.problem;
}

/* --- the records behind it ------------------------------------------------------------------------------------------ */

/* Offsets are given one by one: all from this one on are put again, or lie behind the log's end. */
static void end_at(struct array_pages *array, uint64_t entry)
{
	if (entry < array->end)
		array->end = entry;
}

static void see_place(struct pages_look *look, struct span topic, uint32_t queue_id, uint64_t queue_offset)
{
	size_t at = page_owners_find(&look->owners, topic, queue_id);

	if (at < look->owners.queue_count && page_owners_compare(topic, queue_id, &look->owners.queues[at]) == 0)
		end_at(&look->owners.queues[at], queue_offset);
}

static void see_topic(struct pages_look *look, const struct record_topic *r)
{
	struct page_owners *owners = &look->owners;

	if (!r->deleted)
		return;
	for (size_t i = page_owners_find(owners, r->name, 0); i < owners->queue_count; i++) {
		if (!span_equal(owners->queues[i].topic, r->name))
			return;
		end_at(&owners->queues[i], 0);
	}
}

/* Those that the log has are in their index: it was filled as they were stored, or built anew from a log that held them, and only
 * what lies before the log's start is taken out. */
static void see_half(struct pages_look *look, uint64_t log_offset, const struct record_half *r)
{
	if (r->half_queue_offset < look->halves_present)
		look->halves_present = r->half_queue_offset;
	if (log_offset >= look->from)
		end_at(&look->owners.halves, r->half_queue_offset);
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

	if (look->owners.problem != NULL)
		return;
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

/* Entries name records that lie in the log in the same order. *last_record: the one that the entry before this one names. */
static const char *order_problem(uint64_t log_offset, uint64_t *last_record)
{
	bool ascends = log_offset > *last_record;

	*last_record = log_offset;
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

/* An array while its pages are read, from the first to the last. */
struct walk {
	const struct array_pages *array;
	const struct array_kind *kind;
	uint64_t present_from; /* No entry is missing from this one on. */
	uint64_t last_record;  /* That an entry has named; 0: none yet. */
};

/* What is wrong with entry n; NULL: nothing. */
static const char *entry_problem(struct walk *walk, uint64_t n, const uint8_t *bytes)
{
	uint64_t log_offset = 0;
	enum status status = walk->kind->decode(bytes, &log_offset);

	if (status == ST_NOTFOUND)
		return n >= walk->present_from ? "it is missing" : NULL;
	return status == ST_OK ? order_problem(log_offset, &walk->last_record) : "its checksum is wrong";
}

/* damage->count is 0 when nothing is. */
static void look_at_page(struct walk *walk, const struct owned_page *at, const uint8_t *page, struct page_damage *damage)
{
	const struct array_pages *array = walk->array;
	uint64_t first = at->group * array->per_page;

	*damage = (struct page_damage){ .topic = array->topic, .queue_id = array->queue_id };
	for (uint64_t i = 0; i < array->per_page; i++) {
		if (first + i < array->min || first + i >= array->end)
			continue;
		const char *problem = entry_problem(walk, first + i, page + i * walk->kind->entry_size);
		if (problem == NULL)
			continue;
		if (damage->count == 0) {
			damage->byte = (uint64_t)at->page * PAGEFILE_PAGE_SIZE + i * walk->kind->entry_size;
			damage->entry = first + i;
			damage->reason = problem;
		}
		damage->count++;
	}
}

/* What the file does not have has not been written: zeros. */
static enum status read_page(struct walk *walk, const struct owned_page *at, struct vfs_file *file, struct page_damage *damage,
			     struct errinfo *err)
{
	uint8_t page[PAGEFILE_PAGE_SIZE] = { 0 };
	size_t got = 0;
	enum status status = vfs_read(file, (uint64_t)at->page * PAGEFILE_PAGE_SIZE, page, sizeof(page), &got, err);

	if (status == ST_OK)
		look_at_page(walk, at, page, damage);
	return status;
}

static void tell(struct pages_look *look, const struct page_damage *damage)
{
	if (look->damage_count < PAGES_DAMAGES_MAX)
		look->damages[look->damage_count] = *damage;
	look->damage_count++;
}

/* Entries of a queue that have no page, from this group up to before the other one. The half index may have dropped pages whose
 * halves are still in a segment that was given up, but not removed yet. */
static void look_at_hole(struct pages_look *look, const struct array_pages *queue, uint64_t group, uint64_t end_group)
{
	uint64_t first = group * queue->per_page, end = end_group * queue->per_page;
	struct page_damage damage = { .topic = queue->topic, .queue_id = queue->queue_id };

	damage.entry = first > queue->min ? first : queue->min;
	if (end > queue->end)
		end = queue->end;
	if (damage.entry >= end)
		return;
	damage.no_page = true;
	damage.count = end - damage.entry;
	damage.reason = "it is missing: it has no page";
	tell(look, &damage);
}

static void look_at_holes(struct pages_look *look, const struct array_pages *queue)
{
	uint64_t group = queue->first_group;

	for (size_t i = 0; i < queue->count; i++) {
		look_at_hole(look, queue, group, queue->pages[i].group);
		group = queue->pages[i].group + 1;
	}
	look_at_hole(look, queue, group, queue->end_group);
}

static bool has_suspects(const struct array_pages *array)
{
	for (size_t i = 0; i < array->count; i++) {
		if (array->pages[i].suspect)
			return true;
	}
	return false;
}

/* The first look makes suspects of what is damaged; the second one tells those that still are. */
static enum status check_array(struct pages_look *look, struct array_pages *array, const struct array_kind *kind, bool again,
			       struct vfs_file *file, struct errinfo *err)
{
	struct walk walk = { .array = array, .kind = kind, .present_from = kind == &QUEUE ? 0 : look->halves_present };
	enum status status = ST_OK;

	if (again && !has_suspects(array))
		return ST_OK;
	for (size_t i = 0; i < array->count && status == ST_OK; i++) {
		struct owned_page *at = &array->pages[i];
		struct page_damage damage = { 0 };

		status = read_page(&walk, at, file, &damage, err);
		if (again && at->suspect && damage.count > 0)
			tell(look, &damage);
		if (!again)
			at->suspect = damage.count > 0;
	}
	return status;
}

static enum status check_arrays(struct pages_look *look, bool again, struct errinfo *err)
{
	struct vfs_file *file = NULL;
	char path[SNAPSHOT_PATH_SIZE];

	snprintf(path, sizeof(path), "%.560s/index.pages", look->root);
	enum status status = vfs_open(look->vfs, path, VFS_READ, &file, err);
	if (status == ST_OK)
		status = check_array(look, &look->owners.halves, &HALVES, again, file, err);
	for (size_t i = 0; i < look->owners.queue_count && status == ST_OK; i++)
		status = check_array(look, &look->owners.queues[i], &QUEUE, again, file, err);
	vfs_close(file);
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

enum status pages_check(struct pages_look *look, bool *suspects_out, struct errinfo *err)
{
	const struct page_owners *owners = &look->owners;
	enum status status = ST_OK;

	*suspects_out = false;
	if (owners->problem != NULL)
		return ST_OK;
	for (size_t i = 0; i < owners->queue_count; i++)
		look_at_holes(look, &owners->queues[i]);
	status = check_arrays(look, false, err);
	*suspects_out = has_suspects(&owners->halves);
	for (size_t i = 0; i < owners->queue_count; i++)
		*suspects_out |= has_suspects(&owners->queues[i]);
	return status;
}

enum status pages_check_again(struct pages_look *look, const struct page_damage **damages_out, size_t *count_out,
			      struct errinfo *err)
{
	enum status status = look->owners.problem == NULL ? check_arrays(look, true, err) : ST_OK;

	if (status == ST_OK && look->damage_count > 0)
		status = forget_if_replaced(look, err);
	*damages_out = look->damages;
	*count_out = look->damage_count;
	return status;
}
