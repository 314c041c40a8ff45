#include "broker/core/offsets.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/base/table.h"

struct row;

struct cell {
	struct cell *dirty_prev;
	struct cell *dirty_next;
	struct row *row;
	uint32_t queue_id;
	bool known; /* A value was ever said. */
	bool dirty;
	bool stored_known; /* A record carries one. */
	bool reset;        /* The group's consumers are to be told. */
	int64_t live;
	int64_t stored;
	int64_t pulled;    /* Where the group's next pull will be. */
};

/* A row that was forgotten becomes the next one that is made. It keeps its place among all, because a walk may stand on it. */
struct row {
	UT_hash_handle hh;
	uint64_t key;
	uint32_t topic_id;
	uint32_t group_id;
	bool hashed, spare;
	uint32_t cell_count;
	struct cell **cells; /* Cells do not move: the dirty list links them. */
	struct row *prev_of_topic, *next_of_topic, *prev_of_group, *next_of_group;
	struct row *prev_of_spare, *next_of_spare, *next_of_all;
};

/* All rows of a topic, or of a group. */
struct side {
	UT_hash_handle hh;
	uint32_t id;
	struct row *first;
};

struct offsets {
	struct row *rows;
	struct row *first, *last; /* Of all, those that were forgotten among them. */
	struct row *spare;
	struct side *topics, *groups;
	struct cell *dirty;
	size_t dirty_count;
	size_t row_max;
	size_t place_count;
	size_t place_max;
};

enum { QUEUE_ID_MAX = 65535 };

static uint64_t row_key(uint32_t topic_id, uint32_t group_id)
{
	return (uint64_t)topic_id << 32 | group_id;
}

struct offsets *offsets_create(void)
{
	struct offsets *offsets = calloc(1, sizeof(*offsets));

	if (offsets != NULL)
		offsets_set_limits(offsets, SIZE_MAX, SIZE_MAX);
	return offsets;
}

void offsets_set_limits(struct offsets *offsets, size_t row_max, size_t place_max)
{
	offsets->row_max = row_max;
	offsets->place_max = place_max;
}

static struct side *find_side(struct side *sides, uint32_t id)
{
	struct side *side;

	HASH_FIND(hh, sides, &id, sizeof(id), side);
	return side;
}

/* NULL: no memory. */
static struct side *make_side(struct side **sides, uint32_t id)
{
	struct side *side = find_side(*sides, id);

	if (side != NULL)
		return side;
	side = calloc(1, sizeof(*side));
	if (side == NULL)
		return NULL;
	side->id = id;
	HASH_ADD(hh, *sides, id, sizeof(side->id), side);
	if (table_took(side))
		return side;
	free(side);
	return NULL;
}

static void free_sides(struct side **sides)
{
	struct side *side, *next;

	HASH_ITER(hh, *sides, side, next) {
		HASH_DEL(*sides, side);
		free(side);
	}
}

static void free_cells(struct offsets *offsets, struct row *row)
{
	for (uint32_t i = 0; i < row->cell_count; i++)
		free(row->cells[i]);
	free(row->cells);
	row->cells = NULL;
	offsets->place_count -= row->cell_count;
	row->cell_count = 0;
}

void offsets_destroy(struct offsets *offsets)
{
	struct row *row, *next;

	if (offsets == NULL)
		return;
	free_sides(&offsets->topics);
	free_sides(&offsets->groups);
	HASH_CLEAR(hh, offsets->rows);
	for (row = offsets->first; row != NULL; row = next) {
		next = row->next_of_all;
		free_cells(offsets, row);
		free(row);
	}
	free(offsets);
}

static struct cell *find_cell(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	uint64_t key = row_key(topic_id, group_id);
	struct row *row = NULL;

	HASH_FIND(hh, offsets->rows, &key, sizeof(key), row);
	if (row == NULL || queue_id >= row->cell_count)
		return NULL;
	return row->cells[queue_id];
}

bool offsets_get(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t *out)
{
	const struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	if (cell == NULL || !cell->known)
		return false;
	*out = cell->live;
	return true;
}

static enum status grow_row(struct offsets *offsets, struct row *row, uint32_t cell_count)
{
	if (offsets->place_count + (cell_count - row->cell_count) > offsets->place_max)
		return ST_FULL;
	struct cell **grown = realloc(row->cells, cell_count * sizeof(*grown));

	if (grown == NULL)
		return ST_NOMEM;
	memset(grown + row->cell_count, 0, (cell_count - row->cell_count) * sizeof(*grown));
	offsets->place_count += cell_count - row->cell_count;
	row->cells = grown;
	row->cell_count = cell_count;
	return ST_OK;
}

static void set_spare(struct offsets *offsets, struct row *row, bool spare)
{
	if (spare && !row->spare)
		DL_PREPEND2(offsets->spare, row, prev_of_spare, next_of_spare);
	else if (!spare && row->spare)
		DL_DELETE2(offsets->spare, row, prev_of_spare, next_of_spare);
	row->spare = spare;
}

/* It is nobody's. */
static void unlink_row(struct offsets *offsets, struct row *row)
{
	if (!row->hashed)
		return;
	HASH_DEL(offsets->rows, row);
	DL_DELETE2(find_side(offsets->topics, row->topic_id)->first, row, prev_of_topic, next_of_topic);
	DL_DELETE2(find_side(offsets->groups, row->group_id)->first, row, prev_of_group, next_of_group);
	row->hashed = false;
}

static enum status take_row(struct offsets *offsets, struct row **out)
{
	struct row *row = offsets->spare;

	if (row != NULL) {
		unlink_row(offsets, row);
		*out = row;
		return ST_OK;
	}
	if (HASH_COUNT(offsets->rows) >= offsets->row_max)
		return ST_FULL;
	*out = row = calloc(1, sizeof(*row));
	if (row == NULL)
		return ST_NOMEM;
	*(offsets->last == NULL ? &offsets->first : &offsets->last->next_of_all) = row;
	offsets->last = row;
	set_spare(offsets, row, true);
	return ST_OK;
}

static enum status make_row(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, struct row **out)
{
	struct side *topic = make_side(&offsets->topics, topic_id), *group = make_side(&offsets->groups, group_id);
	struct row *row = NULL;

	if (topic == NULL || group == NULL)
		return ST_NOMEM; /* A side without rows does no harm. */
	enum status status = take_row(offsets, &row);
	if (status != ST_OK)
		return status;
	row->key = row_key(topic_id, group_id);
	row->topic_id = topic_id;
	row->group_id = group_id;
	HASH_ADD(hh, offsets->rows, key, sizeof(row->key), row);
	row->hashed = table_took(row);
	if (!row->hashed)
		return ST_NOMEM;
	DL_PREPEND2(topic->first, row, prev_of_topic, next_of_topic);
	DL_PREPEND2(group->first, row, prev_of_group, next_of_group);
	*out = row;
	return ST_OK;
}

enum status offsets_reserve(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	uint64_t key = row_key(topic_id, group_id);
	struct row *row = NULL;

	assert(queue_id <= QUEUE_ID_MAX);
	HASH_FIND(hh, offsets->rows, &key, sizeof(key), row);
	enum status status = row == NULL ? make_row(offsets, topic_id, group_id, &row) : ST_OK;
	if (status != ST_OK)
		return status;
	set_spare(offsets, row, false);
	status = queue_id >= row->cell_count ? grow_row(offsets, row, queue_id + 1) : ST_OK;
	if (status != ST_OK)
		return status;
	if (row->cells[queue_id] != NULL)
		return ST_OK;
	struct cell *cell = calloc(1, sizeof(*cell));
	if (cell == NULL)
		return ST_NOMEM;
	cell->row = row;
	cell->queue_id = queue_id;
	row->cells[queue_id] = cell;
	return ST_OK;
}

static void set_clean(struct offsets *offsets, struct cell *cell)
{
	if (!cell->dirty)
		return;
	DL_DELETE2(offsets->dirty, cell, dirty_prev, dirty_next);
	offsets->dirty_count--;
	cell->dirty = false;
}

void offsets_note(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value)
{
	struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	assert(cell != NULL);
	if (cell->known && cell->live == value)
		return;
	cell->known = true;
	cell->live = value;
	if (cell->dirty)
		return;
	cell->dirty = true;
	DL_APPEND2(offsets->dirty, cell, dirty_prev, dirty_next);
	offsets->dirty_count++;
}

void offsets_apply(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value)
{
	struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	assert(cell != NULL);
	cell->known = cell->stored_known = true;
	cell->live = cell->stored = value;
	set_clean(offsets, cell);
}

bool offsets_is_stored(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t value)
{
	const struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	return cell != NULL && cell->stored_known && !cell->dirty && cell->stored == value;
}

static void forget_row(struct offsets *offsets, struct row *row)
{
	for (uint32_t i = 0; i < row->cell_count; i++) {
		if (row->cells[i] != NULL)
			set_clean(offsets, row->cells[i]);
	}
	free_cells(offsets, row);
	set_spare(offsets, row, true);
}

void offsets_mark_reset(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	if (cell == NULL)
		return;
	cell->reset = cell->known;
	cell->pulled = 0;
}

int64_t offsets_reset_target(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	const struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	return cell != NULL && cell->reset ? cell->live : -1;
}

void offsets_reset_told(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	if (cell != NULL)
		cell->reset = false;
}

void offsets_forget_topic(struct offsets *offsets, uint32_t topic_id)
{
	const struct side *side = find_side(offsets->topics, topic_id);

	for (struct row *row = side == NULL ? NULL : side->first; row != NULL; row = row->next_of_topic)
		forget_row(offsets, row);
}

void offsets_forget_group(struct offsets *offsets, uint32_t group_id)
{
	const struct side *side = find_side(offsets->groups, group_id);

	for (struct row *row = side == NULL ? NULL : side->first; row != NULL; row = row->next_of_group)
		forget_row(offsets, row);
}

static bool row_known(const struct row *row)
{
	for (uint32_t i = 0; i < row->cell_count; i++) {
		if (row->cells[i] != NULL && row->cells[i]->known)
			return true;
	}
	return false;
}

void offsets_each_topic_of(const struct offsets *offsets, uint32_t group_id, offsets_visit visit, void *context)
{
	const struct side *side = find_side(offsets->groups, group_id);

	for (const struct row *row = side == NULL ? NULL : side->first; row != NULL; row = row->next_of_group) {
		if (row_known(row))
			visit(context, row->topic_id);
	}
}

void offsets_each_group_of(const struct offsets *offsets, uint32_t topic_id, offsets_visit visit, void *context)
{
	const struct side *side = find_side(offsets->topics, topic_id);

	for (const struct row *row = side == NULL ? NULL : side->first; row != NULL; row = row->next_of_topic) {
		if (row_known(row))
			visit(context, row->group_id);
	}
}

void offsets_note_pulled(struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id, int64_t next)
{
	struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	if (cell != NULL)
		cell->pulled = next;
}

int64_t offsets_pulled(const struct offsets *offsets, uint32_t topic_id, uint32_t group_id, uint32_t queue_id)
{
	const struct cell *cell = find_cell(offsets, topic_id, group_id, queue_id);

	int64_t said = cell != NULL && cell->known && cell->live > 0 ? cell->live : 0;

	return cell != NULL && cell->known && cell->pulled > said ? cell->pulled : said;
}

size_t offsets_dirty(const struct offsets *offsets, struct offsets_entry *out, size_t max)
{
	size_t count = 0;
	const struct cell *cell;

	DL_FOREACH2(offsets->dirty, cell, dirty_next) {
		if (count == max)
			break;
		out[count++] = (struct offsets_entry){ cell->row->topic_id, cell->row->group_id, cell->queue_id,
						       cell->live };
	}
	return count;
}

size_t offsets_place_count(const struct offsets *offsets)
{
	return offsets->place_count;
}

size_t offsets_dirty_count(const struct offsets *offsets)
{
	return offsets->dirty_count;
}

static bool next(const struct offsets *offsets, struct offsets_cursor *cursor, bool live, struct offsets_entry *out)
{
	const struct row *row = cursor->begun ? cursor->row : offsets->first;

	cursor->begun = true;
	for (; row != NULL; row = row->next_of_all, cursor->queue_id = 0) {
		while (cursor->queue_id < row->cell_count) {
			const struct cell *cell = row->cells[cursor->queue_id++];

			if (cell == NULL || !(live ? cell->known : cell->stored_known))
				continue;
			*out = (struct offsets_entry){ row->topic_id, row->group_id, cell->queue_id, live ? cell->live : cell->stored };
			cursor->row = row;
			return true;
		}
	}
	cursor->row = NULL;
	return false;
}

bool offsets_next(const struct offsets *offsets, struct offsets_cursor *cursor, struct offsets_entry *out)
{
	return next(offsets, cursor, false, out);
}

bool offsets_next_row(const struct offsets *offsets, struct offsets_cursor *cursor, uint32_t *topic_id_out,
		      uint32_t *group_id_out)
{
	const struct row *row = cursor->begun ? cursor->row : offsets->first;

	cursor->begun = true;
	while (row != NULL && !row_known(row))
		row = row->next_of_all;
	cursor->row = row == NULL ? NULL : row->next_of_all;
	if (row == NULL)
		return false;
	*topic_id_out = row->topic_id;
	*group_id_out = row->group_id;
	return true;
}

bool offsets_next_live(const struct offsets *offsets, struct offsets_cursor *cursor, struct offsets_entry *out)
{
	return next(offsets, cursor, true, out);
}
