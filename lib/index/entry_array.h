/* A growing array of small fixed-size entries over a pagefile: where is entry n?
 *
 * Entry n lies at a fixed place of page n / entries_per_page; the page table costs 4 bytes a page. Putting is
 * idempotent: replay writes the same entry to the same place again. Gaps read as zeros. Old entries are trimmed from the
 * front, or dropped by whole pages, which leaves a gap. The page table is what a snapshot keeps of an array.
 * Threads: the loop's, like its pagefile. */
#ifndef ESCROW_INDEX_ENTRY_ARRAY_H
#define ESCROW_INDEX_ENTRY_ARRAY_H

#include <stdint.h>

#include "lib/index/pagefile.h"

enum { ENTRY_SIZE_MAX = 64 };

struct entry_array {
	struct pagefile *pf;
	uint32_t *pages;         /* Page of each group of entries; ENTRY_NO_PAGE in a gap. */
	uint32_t page_count;     /* Used slots of `pages`. */
	uint32_t page_capacity;
	uint16_t entry_size;
	uint16_t per_page;
	uint64_t first_group;    /* Index of the first entry of pages[0], divided by per_page. */
	uint64_t min;            /* Lowest index kept; 0 while empty. */
	uint64_t max;            /* One past the highest index put; 0 while empty. */
};

/* An empty array; no allocation. entry_size <= ENTRY_SIZE_MAX. The pagefile must outlive it. */
void entry_array_init(struct entry_array *array, struct pagefile *pf, size_t entry_size);
/* Frees the page table (pages of the file are not reused). */
void entry_array_deinit(struct entry_array *array);

/* Writes `entry` at `index`. ST_INVALID: below the first group ever put, or more than ENTRY_GAP_MAX above the end.
 * ST_NOMEM, ST_IO, ST_FULL. */
enum { ENTRY_GAP_MAX = 1 << 20 };
enum status entry_array_put(struct entry_array *array, uint64_t index, const void *entry, struct errinfo *err) MUST_USE;
/* Does all of entry_array_put that can fail: right after it, or after one more reservation in the same pagefile, putting at
 * `index` succeeds. Errors as entry_array_put. */
enum status entry_array_reserve(struct entry_array *array, uint64_t index, struct errinfo *err) MUST_USE;
/* Copies entry `index`. ST_NOTFOUND outside of [min, max). ST_AGAIN: run a read job (pagefile.h). */
enum status entry_array_get(const struct entry_array *array, uint64_t index, void *entry, struct errinfo *err) MUST_USE;
/* A look at the entries from `index` on that share its page: *count_out of them lie one after the other at
 * *entries_out, all below max. Valid until the pagefile is used again. Errors as entry_array_get. */
enum status entry_array_view(const struct entry_array *array, uint64_t index, const uint8_t **entries_out,
			     size_t *count_out, struct errinfo *err) MUST_USE;

/* Entries below `min` are not wanted any more; their pages go back. `min` may be max (nothing is left). */
void entry_array_trim(struct entry_array *array, uint64_t min);

/* The entries that share a page with `index` are not wanted any more and read as zeros from now on; the page goes back.
 * `index` lies in [min, max). */
void entry_array_drop_page(struct entry_array *array, uint64_t index);
/* `index`, or if it lies in a gap of whole pages the first entry behind that; at most max. `index` lies in [min, max]. */
uint64_t entry_array_skip_gap(const struct entry_array *array, uint64_t index);

/* Everything goes, as if nothing had ever been put; the pages go back. */
void entry_array_clear(struct entry_array *array);

/* Groups that have slots in the page table: [first, end). */
static inline uint64_t entry_array_first_group(const struct entry_array *array) { return array->first_group; }
static inline uint64_t entry_array_end_group(const struct entry_array *array)
{
	return array->first_group + array->page_count;
}
#define ENTRY_NO_PAGE UINT32_MAX
/* The page of a group within these; ENTRY_NO_PAGE for a gap. */
static inline uint32_t entry_array_page(const struct entry_array *array, uint64_t group)
{
	return array->pages[group - array->first_group];
}
/* Loading a snapshot: the page of a group, ascending, and then the range. ST_CORRUPT: groups do not ascend, or the range
 * has no pages. ST_NOMEM. */
enum status entry_array_load_page(struct entry_array *array, uint64_t group, uint32_t page, struct errinfo *err) MUST_USE;
enum status entry_array_load_range(struct entry_array *array, uint64_t min, uint64_t max, struct errinfo *err) MUST_USE;

/* Filling an array anew whose range is known: entries of [min, max) will be put in any order. Until then they are gaps, and
 * the array's lowest index is that of the lowest one put. Empty arrays only. ST_TOOBIG, ST_NOMEM. */
enum status entry_array_begin(struct entry_array *array, uint64_t min, uint64_t max, struct errinfo *err) MUST_USE;

#endif
