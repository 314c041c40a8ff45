/* See entry_array.h. */
#include "lib/index/entry_array.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

void entry_array_init(struct entry_array *array, struct pagefile *pf, size_t entry_size)
{
	assert(entry_size > 0 && entry_size <= ENTRY_SIZE_MAX);
	*array = (struct entry_array){
		.pf = pf,
		.entry_size = (uint16_t)entry_size,
		.per_page = (uint16_t)(PAGEFILE_PAGE_SIZE / entry_size),
	};
}

void entry_array_deinit(struct entry_array *array)
{
	free(array->pages);
	array->pages = NULL;
}

/* Makes slots up to `slot` exist, without pages. */
static enum status extend(struct entry_array *array, uint64_t slot, struct errinfo *err)
{
	if (slot >= array->page_capacity) {
		uint64_t capacity = array->page_capacity == 0 ? 4 : 2 * (uint64_t)array->page_capacity;
		uint32_t *grown;
		while (capacity <= slot)
			capacity *= 2;
		if (capacity > UINT32_MAX)
			return errinfo_set(err, ST_TOOBIG, "index array: more than %u pages", UINT32_MAX);
		grown = realloc(array->pages, capacity * sizeof(*grown));
		if (grown == NULL)
			return errinfo_set(err, ST_NOMEM, "index array: no memory for the page table");
		array->pages = grown;
		array->page_capacity = (uint32_t)capacity;
	}
	while (array->page_count <= slot)
		array->pages[array->page_count++] = ENTRY_NO_PAGE;
	return ST_OK;
}

/* Where entry `index` lies, in the cache and to be changed. */
static enum status locate(struct entry_array *array, uint64_t index, uint8_t **entry_out, struct errinfo *err)
{
	uint64_t group = index / array->per_page;
	uint8_t *data = NULL;
	bool empty = array->max == 0;
	enum status status = ST_OK;

	if (empty && array->page_count == 0)
		array->first_group = group;
	if (group < array->first_group || (!empty && index > array->max && index - array->max > ENTRY_GAP_MAX) ||
	    index >= INT64_MAX)
		return errinfo_set(err, ST_INVALID, "index array: entry %" PRIu64 " is out of place, it holds [%" PRIu64
				   ", %" PRIu64 ")", index, array->min, array->max);
	uint64_t slot = group - array->first_group;
	if (slot >= array->page_count)
		status = extend(array, slot, err);
	if (status != ST_OK)
		return status;
	if (array->pages[slot] == ENTRY_NO_PAGE)
		status = pagefile_allocate(array->pf, &array->pages[slot], &data, err);
	else
		status = pagefile_change(array->pf, array->pages[slot], &data, err);
	if (status != ST_OK)
		return status;
	*entry_out = data + (index - group * array->per_page) * array->entry_size;
	return ST_OK;
}

enum status entry_array_reserve(struct entry_array *array, uint64_t index, struct errinfo *err)
{
	uint8_t *place;

	return locate(array, index, &place, err);
}

enum status entry_array_put(struct entry_array *array, uint64_t index, const void *entry, struct errinfo *err)
{
	bool empty = array->max == 0;
	uint8_t *place = NULL;
	enum status status = locate(array, index, &place, err);

	if (status != ST_OK)
		return status;
	memcpy(place, entry, array->entry_size);
	if (empty || index < array->min)
		array->min = index;
	if (index >= array->max)
		array->max = index + 1;
	return ST_OK;
}

enum status entry_array_view(const struct entry_array *array, uint64_t index, const uint8_t **entries_out,
			     size_t *count_out, struct errinfo *err)
{
	static const uint8_t gap[PAGEFILE_PAGE_SIZE];
	uint64_t group = index / array->per_page, left = array->max - index;
	const uint8_t *data = gap;
	size_t place;

	if (index < array->min || index >= array->max)
		return errinfo_set(err, ST_NOTFOUND, "index array: no entry %" PRIu64 ", it holds [%" PRIu64 ", %" PRIu64 ")",
				   index, array->min, array->max);
	uint32_t page = array->pages[group - array->first_group];
	if (page != ENTRY_NO_PAGE) {
		enum status status = pagefile_get(array->pf, page, &data, err);
		if (status != ST_OK)
			return status;
	}
	place = (size_t)(index - group * array->per_page);
	*entries_out = data + place * array->entry_size;
	*count_out = array->per_page - place;
	if (*count_out > left)
		*count_out = (size_t)left;
	return ST_OK;
}

enum status entry_array_get(const struct entry_array *array, uint64_t index, void *entry, struct errinfo *err)
{
	const uint8_t *found = NULL;
	size_t count = 0;
	enum status status = entry_array_view(array, index, &found, &count, err);

	if (status == ST_OK)
		memcpy(entry, found, array->entry_size);
	return status;
}

void entry_array_trim(struct entry_array *array, uint64_t min)
{
	uint64_t keep_from = min / array->per_page;
	uint32_t gone = 0;

	if (min <= array->min || min > array->max)
		return;
	array->min = min;
	while (gone < array->page_count && array->first_group + gone < keep_from) {
		if (array->pages[gone] != ENTRY_NO_PAGE)
			pagefile_release(array->pf, array->pages[gone]);
		gone++;
	}
	array->first_group = keep_from;
	array->page_count -= gone;
	memmove(array->pages, array->pages + gone, array->page_count * sizeof(*array->pages));
}

void entry_array_drop_page(struct entry_array *array, uint64_t index)
{
	assert(index >= array->min && index < array->max);
	uint32_t *page = &array->pages[index / array->per_page - array->first_group];

	if (*page != ENTRY_NO_PAGE)
		pagefile_release(array->pf, *page);
	*page = ENTRY_NO_PAGE;
}

uint64_t entry_array_skip_gap(const struct entry_array *array, uint64_t index)
{
	uint64_t group = index / array->per_page, begun = group;

	while (group < entry_array_end_group(array) && entry_array_page(array, group) == ENTRY_NO_PAGE)
		group++;
	if (group > begun)
		index = group * array->per_page;
	return index < array->max ? index : array->max;
}

void entry_array_clear(struct entry_array *array)
{
	for (uint32_t i = 0; i < array->page_count; i++) {
		if (array->pages[i] != ENTRY_NO_PAGE)
			pagefile_release(array->pf, array->pages[i]);
	}
	array->page_count = 0;
	array->first_group = array->min = array->max = 0;
}

enum status entry_array_load_page(struct entry_array *array, uint64_t group, uint32_t page, struct errinfo *err)
{
	if (array->page_count == 0)
		array->first_group = group;
	if (group < array->first_group + array->page_count || group - array->first_group >= UINT32_MAX / 2 ||
	    group - array->first_group - array->page_count > ENTRY_GAP_MAX)
		return errinfo_set(err, ST_CORRUPT, "index array: page of group %" PRIu64 " is out of place", group);
	uint64_t slot = group - array->first_group;
	enum status status = extend(array, slot, err);
	if (status == ST_OK)
		array->pages[slot] = page;
	return status;
}

enum status entry_array_load_range(struct entry_array *array, uint64_t min, uint64_t max, struct errinfo *err)
{
	bool fits = min <= max && max <= INT64_MAX;

	if (array->page_count == 0)
		array->first_group = min / array->per_page;
	if (fits && min < max)
		fits = min / array->per_page >= array->first_group &&
		       (max - 1) / array->per_page < entry_array_end_group(array);
	if (!fits)
		return errinfo_set(err, ST_CORRUPT, "index array: range [%" PRIu64 ", %" PRIu64 ") without its pages", min, max);
	array->min = min;
	array->max = max;
	return ST_OK;
}

enum status entry_array_begin(struct entry_array *array, uint64_t min, uint64_t max, struct errinfo *err)
{
	if (max == 0)
		return ST_OK;
	array->first_group = min / array->per_page;
	if ((max - 1) / array->per_page - array->first_group >= UINT32_MAX / 2)
		return errinfo_set(err, ST_TOOBIG, "index array: range [%" PRIu64 ", %" PRIu64 ") is too long", min, max);
	array->min = array->max = max;
	return min < max ? extend(array, (max - 1) / array->per_page - array->first_group, err) : ST_OK;
}
