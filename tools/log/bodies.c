/* See bodies.h. */
#include "tools/log/bodies.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/array.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/snapshot_sections.h"
#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"

enum { DELAY_BITS = DELAY_ITEM_TRANSACTIONAL | DELAY_ITEM_RECALL };

/* --- lists ------------------------------------------------------------------------------------------------------------ */

static enum status no_memory(struct errinfo *err)
{
	return errinfo_set(err, ST_NOMEM, "out of memory");
}

static enum status add_gone(struct bodies *bodies, const struct gone_body *gone, struct errinfo *err)
{
	if (gone->body >= bodies->start)
		return ST_OK;
	struct gone_body *items = array_with_room(bodies->gone, bodies->gone_count, &bodies->gone_capacity, sizeof(*items));
	if (items == NULL)
		return no_memory(err);
	bodies->gone = items;
	bodies->gone[bodies->gone_count++] = *gone;
	return ST_OK;
}

static enum status add_settled(struct settled_list *list, uint64_t name, uint64_t by, struct errinfo *err)
{
	struct settled *items = array_with_room(list->items, list->count, &list->capacity, sizeof(*items));

	if (items == NULL)
		return no_memory(err);
	list->items = items;
	list->items[list->count++] = (struct settled){ name, by };
	return ST_OK;
}

static int by_name(const void *a, const void *b)
{
	const struct settled *x = a, *y = b;

	if (x->name != y->name)
		return x->name < y->name ? -1 : 1;
	return (x->by > y->by) - (x->by < y->by);
}

static void sort(struct settled_list *list)
{
	if (list->count > 0)
		qsort(list->items, list->count, sizeof(*list->items), by_name);
}

/* Of a sorted one: does a record before `end` name it? */
static bool is_settled(const struct settled_list *list, uint64_t name, uint64_t end)
{
	size_t low = 0, high = list->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (list->items[middle].name < name)
			low = middle + 1;
		else
			high = middle;
	}
	return low < list->count && list->items[low].name == name && list->items[low].by < end;
}

/* --- the snapshot ------------------------------------------------------------------------------------------------------- */

/* Half queue offset, half offset, body offset, and what is of no interest here. */
static struct gone_body read_pending(struct reader *in)
{
	struct gone_body gone = { 0 };

	(void)reader_u64(in);
	gone.name = gone.origin = reader_u64(in);
	gone.body = reader_u64(in);
	(void)reader_take(in, 45);
	return gone;
}

/* When it is due, naming offset, origin, body offset, ..., bits; they say whether a recall hash follows. */
static struct gone_body read_delayed(struct reader *in)
{
	struct gone_body gone = { 0 };

	(void)reader_u64(in);
	gone.name = reader_u64(in);
	gone.origin = reader_u64(in);
	gone.body = reader_u64(in);
	(void)reader_take(in, 16);
	unsigned bits = reader_u8(in);
	if (bits > DELAY_BITS)
		in->failed = true;
	if ((bits & DELAY_ITEM_RECALL) != 0)
		(void)reader_u32(in);
	return gone;
}

static enum status read_chunk(struct bodies *bodies, const struct snapshot_chunk *chunk, struct errinfo *err)
{
	struct reader in = reader_of(chunk->payload);
	enum status status = ST_OK;

	if (chunk->section > SECTION_LAST)
		snprintf(bodies->problem, sizeof(bodies->problem), "the newest snapshot has a section %u: written by a newer version",
			 chunk->section);
	if (chunk->section != SECTION_PENDING && chunk->section != SECTION_DELAYS)
		return ST_OK;
	for (uint32_t i = 0; i < chunk->item_count && !in.failed && status == ST_OK; i++) {
		struct gone_body gone = chunk->section == SECTION_PENDING ? read_pending(&in) : read_delayed(&in);
		if (!in.failed)
			status = add_gone(bodies, &gone, err);
	}
	if (status == ST_OK && (in.failed || in.left > 0))
		snprintf(bodies->problem, sizeof(bodies->problem), "the newest snapshot's items of section %u are not as they should be",
			 chunk->section);
	return status;
}

enum status bodies_read(const struct vfs *vfs, const char *root, uint64_t from, uint64_t start, struct bodies *out,
			struct errinfo *err)
{
	struct snapshot_reader *reader = NULL;
	struct snapshot_chunk chunk;

	*out = (struct bodies){ .from = from, .start = start };
	enum status status = snapshot_open(vfs, root, from, &reader, err);
	if (status != ST_OK)
		return status;
	while (status == ST_OK && (status = snapshot_next(reader, &chunk, err)) == ST_OK)
		status = read_chunk(out, &chunk, err);
	snapshot_close(reader);
	return status == ST_NOTFOUND ? ST_OK : status;
}

void bodies_free(struct bodies *bodies)
{
	free(bodies->gone);
	free(bodies->closed.items);
	free(bodies->carried.items);
	*bodies = (struct bodies){ 0 };
}

/* --- the records behind it ---------------------------------------------------------------------------------------------- */

static enum status see_decision(struct bodies *bodies, uint64_t at, const struct record_decision *r, struct errinfo *err)
{
	struct gone_body waits = { .name = at, .origin = r->half_offset, .body = r->body_offset, .since = at };
	bool final = r->outcome == OUTCOME_COMMIT || r->outcome == OUTCOME_ROLLBACK;

	if (!final || r->half_offset >= bodies->start)
		return ST_OK;
	enum status status = add_settled(&bodies->closed, r->half_offset, at, err);
	if (status == ST_OK && r->outcome == OUTCOME_COMMIT && r->deliver_at_ms != 0)
		status = add_gone(bodies, &waits, err);
	return status;
}

/* What cannot be decoded changes nothing: a start refuses it. */
enum status bodies_see(struct bodies *bodies, const struct log_record *record, struct errinfo *err)
{
	struct record_decision decision;
	struct record_deliver deliver;
	struct record_timer_cancel cancel;
	struct record_carry carry;

	if (record->offset < bodies->from)
		return ST_OK;
	if (record->kind == LOG_DECISION && record_decision_decode(record->payload, &decision, NULL) == ST_OK)
		return see_decision(bodies, record->offset, &decision, err);
	if (record->kind == LOG_DELIVER && record_deliver_decode(record->payload, &deliver, NULL) == ST_OK)
		return deliver.body_offset >= bodies->start ? ST_OK :
							      add_settled(&bodies->closed, deliver.source_offset, record->offset, err);
	if (record->kind == LOG_TIMER_CANCEL && record_timer_cancel_decode(record->payload, &cancel, NULL) == ST_OK)
		return add_settled(&bodies->closed, cancel.source_offset, record->offset, err);
	if (record->kind == LOG_CARRY && record_carry_decode(record->payload, &carry, NULL) == ST_OK)
		return carry.original_offset >= bodies->start ? ST_OK :
								add_settled(&bodies->carried, carry.original_offset, record->offset, err);
	return ST_OK;
}

bool bodies_lost(struct bodies *bodies, uint64_t end, uint64_t *body_out)
{
	sort(&bodies->closed);
	sort(&bodies->carried);
	for (size_t i = 0; i < bodies->gone_count; i++) {
		const struct gone_body *gone = &bodies->gone[i];

		if (gone->since >= end || is_settled(&bodies->closed, gone->name, end) || is_settled(&bodies->carried, gone->origin, end))
			continue;
		*body_out = gone->body;
		return true;
	}
	return false;
}
