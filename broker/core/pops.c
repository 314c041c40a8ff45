#include "broker/core/pops.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { COMPACT_MIN = 64 };

void pops_init(struct pops *pops)
{
	*pops = (struct pops){ 0 };
}

void pops_deinit(struct pops *pops)
{
	struct pop_row *row, *next_row;
	struct request_mode *mode, *next_mode;

	HASH_ITER(hh, pops->rows, row, next_row) {
		HASH_DEL(pops->rows, row);
		free(row->entries);
		free(row);
	}
	HASH_ITER(hh, pops->modes, mode, next_mode) {
		HASH_DEL(pops->modes, mode);
		free(mode);
	}
}

/* --- rows ------------------------------------------------------------------------------------------------------------ */

struct pop_row *pops_find(const struct pops *pops, const struct pop_key *key)
{
	struct pop_row *row = NULL;

	HASH_FIND(hh, pops->rows, key, sizeof(*key), row);
	return row;
}

static enum status reserve_entries(struct pop_row *row, size_t more)
{
	size_t wanted = row->count + more;

	if (wanted <= row->capacity)
		return ST_OK;
	if (wanted < 2 * row->capacity)
		wanted = 2 * row->capacity;
	struct pop_entry *grown = realloc(row->entries, wanted * sizeof(*grown));
	if (grown == NULL)
		return ST_NOMEM;
	row->entries = grown;
	row->capacity = wanted;
	return ST_OK;
}

enum status pops_reserve(struct pops *pops, const struct pop_key *key, size_t more, struct pop_row **row_out)
{
	struct pop_row *row = pops_find(pops, key);

	if (row == NULL) {
		row = calloc(1, sizeof(*row));
		if (row == NULL)
			return ST_NOMEM;
		row->key = *key;
		row->due_ms = INT64_MAX;
		row->newest_ms = INT64_MIN;
		HASH_ADD(hh, pops->rows, key, sizeof(row->key), row);
		if (!table_took(row)) {
			free(row);
			return ST_NOMEM;
		}
	}
	*row_out = row;
	return reserve_entries(row, more);
}

/* Index of the first entry at or behind `offset`, done or not; `count` when there is none. */
static size_t place_of(const struct pop_row *row, uint64_t offset)
{
	size_t low = row->head, high = row->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (row->entries[middle].offset < offset)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct pop_entry *pop_row_find(const struct pop_row *row, uint64_t offset)
{
	size_t at = place_of(row, offset);

	return at < row->count && row->entries[at].offset == offset && !row->entries[at].done ? &row->entries[at] : NULL;
}

struct pop_entry *pop_row_from(const struct pop_row *row, uint64_t offset)
{
	for (size_t at = place_of(row, offset); at < row->count; at++) {
		if (!row->entries[at].done)
			return &row->entries[at];
	}
	return NULL;
}

uint64_t pop_row_position(const struct pop_row *row)
{
	if (row->live > 0)
		return row->entries[row->head].offset;
	return row->scanned > row->next ? row->scanned : row->next;
}

static void note_times(struct pop_row *row, const struct pop_entry *entry)
{
	if (pop_entry_due(entry) < row->due_ms)
		row->due_ms = pop_entry_due(entry);
	if (entry->orderly && entry->pop_ms > row->newest_ms)
		row->newest_ms = entry->pop_ms;
}

void pop_row_look(struct pop_row *row, int64_t now_ms)
{
	row->due_ms = INT64_MAX;
	for (size_t i = row->head; i < row->count; i++) {
		const struct pop_entry *entry = &row->entries[i];
		bool seen = entry->done || (entry->orderly && pop_entry_due(entry) <= now_ms);
		if (!seen)
			note_times(row, entry);
	}
}

/* --- events ---------------------------------------------------------------------------------------------------------- */

/* Done ones go from the front at once, from between when they are most. */
static void compact(struct pop_row *row)
{
	while (row->head < row->count && row->entries[row->head].done)
		row->head++;
	if (row->head == row->count) {
		row->head = row->count = 0;
		return;
	}
	if (row->count < COMPACT_MIN || row->live * 2 >= row->count)
		return;
	size_t kept = 0;
	for (size_t i = row->head; i < row->count; i++) {
		if (!row->entries[i].done)
			row->entries[kept++] = row->entries[i];
	}
	row->head = 0;
	row->count = kept;
}

/* The entry of this offset, made now if it is not there. */
static struct pop_entry *make_entry(struct pops *pops, struct pop_row *row, uint64_t offset)
{
	size_t at = place_of(row, offset);
	struct pop_entry *entry = &row->entries[at];

	if (at < row->count && entry->offset == offset && !entry->done)
		return entry;
	pops->live++;
	row->live++;
	if (at == row->count || entry->offset != offset) {
		assert(row->count < row->capacity);
		memmove(entry + 1, entry, (row->count - at) * sizeof(*entry));
		row->count++;
	}
	*entry = (struct pop_entry){ .offset = offset, .pop_ms = INT64_MIN };
	return entry;
}

static void check_out(struct pops *pops, struct pop_row *row, const struct record_pop *r)
{
	for (uint64_t offset = r->queue_offset; offset < r->queue_offset + r->count; offset++) {
		struct pop_entry *entry = make_entry(pops, row, offset);

		if (entry->pop_ms >= r->pop_time_ms)
			continue; /* Known, or a later one is: replay over a snapshot. */
		bool again = entry->pop_ms != INT64_MIN && entry->orderly && r->event == POP_ORDERLY;
		if (again && entry->deliveries < UINT16_MAX)
			entry->deliveries++;
		entry->pop_ms = r->pop_time_ms;
		entry->invisible_ms = r->invisible_ms;
		entry->orderly = r->event != POP_CHECK_OUT;
		note_times(row, entry);
	}
	if (row->next < r->queue_offset + r->count)
		row->next = r->queue_offset + r->count;
}

static void settle(struct pops *pops, struct pop_row *row, const struct record_pop *r)
{
	struct pop_entry *entry;
	uint64_t end = r->queue_offset + r->count;

	while ((entry = pop_row_from(row, r->queue_offset)) != NULL && entry->offset < end) {
		entry->done = true;
		row->live--;
		pops->live--;
		if (row->live == 0)
			break;
	}
	if (row->live == 0)
		row->newest_ms = INT64_MIN;
	compact(row);
}

static void forget(struct pops *pops, struct pop_row *row, uint64_t next)
{
	pops->live -= row->live;
	row->head = row->count = row->live = 0;
	row->next = row->scanned = next;
	row->attempt = 0;
	row->due_ms = INT64_MAX;
	row->newest_ms = INT64_MIN;
}

void pops_apply(struct pops *pops, struct pop_row *row, const struct record_pop *r)
{
	struct pop_entry *entry;

	switch (r->event) {
	case POP_CHECK_OUT:
	case POP_ORDERLY:
	case POP_ORDERLY_AGAIN:
		check_out(pops, row, r);
		break;
	case POP_ACK:
		settle(pops, row, r);
		break;
	case POP_CHANGE_INVISIBLE:
		entry = pop_row_find(row, r->queue_offset);
		if (entry == NULL || entry->pop_ms > r->pop_time_ms)
			break;
		entry->pop_ms = r->pop_time_ms;
		entry->invisible_ms = r->invisible_ms;
		note_times(row, entry);
		break;
	case POP_RESET:
		forget(pops, row, r->queue_offset);
		break;
	case POP_REQUEST_MODE:
		break;
	}
}

void pops_load(struct pops *pops, struct pop_row *row, const struct pop_entry *loaded)
{
	struct pop_entry *entry = make_entry(pops, row, loaded->offset);

	*entry = *loaded;
	note_times(row, entry);
}

void pops_forget_topic(struct pops *pops, uint32_t topic_id)
{
	for (struct pop_row *row = pops->rows; row != NULL; row = row->hh.next) {
		if (row->key.topic_id == topic_id)
			forget(pops, row, 0);
	}
	for (struct request_mode *mode = pops->modes; mode != NULL; mode = mode->hh.next)
		mode->known = mode->known && mode->topic_id != topic_id;
}

void pops_forget_group(struct pops *pops, uint32_t group_id)
{
	for (struct pop_row *row = pops->rows; row != NULL; row = row->hh.next) {
		if (row->key.group_id == group_id)
			forget(pops, row, 0);
	}
	for (struct request_mode *mode = pops->modes; mode != NULL; mode = mode->hh.next)
		mode->known = mode->known && mode->group_id != group_id;
}

void pops_settle_group(struct pops *pops, uint32_t group_id)
{
	for (struct pop_row *row = pops->rows; row != NULL; row = row->hh.next) {
		if (row->key.group_id == group_id && row->live > 0)
			forget(pops, row, pop_row_position(row));
	}
}

/* --- request modes --------------------------------------------------------------------------------------------------- */

static uint64_t mode_key(uint32_t topic_id, uint32_t group_id)
{
	return (uint64_t)topic_id << 32 | group_id;
}

struct request_mode *pops_mode(const struct pops *pops, uint32_t topic_id, uint32_t group_id)
{
	uint64_t key = mode_key(topic_id, group_id);
	struct request_mode *mode = NULL;

	HASH_FIND(hh, pops->modes, &key, sizeof(key), mode);
	return mode;
}

struct request_mode *pops_mode_make(struct pops *pops, uint32_t topic_id, uint32_t group_id)
{
	struct request_mode *mode = pops_mode(pops, topic_id, group_id);

	if (mode != NULL)
		return mode;
	mode = calloc(1, sizeof(*mode));
	if (mode == NULL)
		return NULL;
	*mode = (struct request_mode){ .key = mode_key(topic_id, group_id), .topic_id = topic_id, .group_id = group_id };
	HASH_ADD(hh, pops->modes, key, sizeof(mode->key), mode);
	if (table_took(mode))
		return mode;
	free(mode);
	return NULL;
}
