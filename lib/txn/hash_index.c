#include "lib/txn/hash_index.h"

#include <assert.h>
#include <stddef.h>
#include <sys/mman.h>

/* A growth starts when 4/5 are used and makes 5/4 of the size, so the next one is due after 1/5 of the old size in
 * additions; moving 16 buckets with each, it is done after 1/16. */
enum { SIZE_MIN = 1024, MOVED_PER_PUT = 16, GIVE_BACK_BYTES = 512 * 1024, PAGE_BYTES = 4096 };

/* How far behind `from` is `at`, walking forward around the end? */
static uint32_t distance(uint32_t size, uint32_t from, uint32_t at)
{
	return at >= from ? at - from : at + size - from;
}

/* Straight from the system: zeroed when it is touched, not here, and given back in parts. */
static bool take(struct hash_table *table, uint32_t size)
{
	void *memory = mmap(NULL, size * sizeof(struct hash_bucket), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			    -1, 0);

	if (memory == MAP_FAILED)
		return false;
	*table = (struct hash_table){ memory, size };
	return true;
}

static void release(struct hash_table *table)
{
	if (table->size > 0)
		(void)munmap(table->buckets, table->size * sizeof(struct hash_bucket));
	*table = (struct hash_table){ 0 };
}

void hash_index_init(struct hash_index *index)
{
	*index = (struct hash_index){ 0 };
}

void hash_index_deinit(struct hash_index *index)
{
	release(&index->current);
	release(&index->old);
	hash_index_init(index);
}

static void place(struct hash_table *table, struct hash_bucket entry)
{
	uint32_t at = hash_index_home(table->size, entry.hash);

	while (table->buckets[at].mark != 0)
		at = hash_index_after(table->size, at);
	table->buckets[at] = entry;
}

/* False: it would lie behind the end. */
static bool place_unless_around(struct hash_table *table, struct hash_bucket entry)
{
	uint32_t at = hash_index_home(table->size, entry.hash);

	while (at < table->size && table->buckets[at].mark != 0)
		at++;
	if (at == table->size)
		return false;
	table->buckets[at] = entry;
	return true;
}

/* --- growth ------------------------------------------------------------------------------------------ */

/* The part of the old table that is done: freeing all of a large one at once would take milliseconds. It stays mapped
 * and reads as empty, for what probes around the end. */
static void give_back(struct hash_index *index)
{
	uint64_t done = (uint64_t)index->moved * sizeof(struct hash_bucket) & ~(uint64_t)(PAGE_BYTES - 1);

	if (done < index->given_back + GIVE_BACK_BYTES)
		return;
	/* If the system does not take it now, release does. */
	(void)madvise((uint8_t *)index->old.buckets + index->given_back, done - index->given_back, MADV_DONTNEED);
	index->given_back = done;
}

/* Moves at least `count` buckets, and always a run to its end: then nothing that stays behind has its home in front. */
static void move_some(struct hash_index *index, uint32_t count)
{
	struct hash_table *old = &index->old;

	while (index->moved < old->size && (count > 0 || old->buckets[index->moved].mark != 0)) {
		struct hash_bucket *bucket = &old->buckets[index->moved++];

		if (bucket->mark != 0)
			place(&index->current, *bucket);
		bucket->mark = 0;
		if (count > 0)
			count--;
	}
	if (index->moved < old->size) {
		give_back(index);
		return;
	}
	release(old);
	index->given_back = 0;
}

static enum status grow(struct hash_index *index, uint64_t size)
{
	if (size > UINT32_MAX)
		return ST_NOMEM;
	struct hash_table larger;
	if (!take(&larger, (uint32_t)size))
		return ST_NOMEM;
	if (index->old.size > 0)
		move_some(index, index->old.size);
	index->old = index->current;
	index->current = larger;
	index->moved = 0;
	return ST_OK;
}

enum status hash_index_reserve(struct hash_index *index)
{
	uint64_t size = index->current.size;

	if (((uint64_t)index->count + 1) * 5 <= size * 4)
		return ST_OK;
	return grow(index, size == 0 ? SIZE_MIN : size + size / 4);
}

enum status hash_index_reserve_total(struct hash_index *index, uint32_t count)
{
	uint64_t size = (uint64_t)count + count / 4 + 2;

	if (size <= index->current.size)
		return ST_OK;
	return grow(index, size < SIZE_MIN ? SIZE_MIN : size);
}

/* --- use --------------------------------------------------------------------------------------------- */

void hash_index_put(struct hash_index *index, uint32_t hash, uint32_t value)
{
	struct hash_bucket entry = { hash, value + 1 };

	assert(value < UINT32_MAX);
	assert(index->count < index->current.size);
	/* Not into untouched memory while there is touched. */
	if (!hash_index_in_old(index, hash) || !place_unless_around(&index->old, entry))
		place(&index->current, entry);
	index->count++;
	if (index->old.size > 0)
		move_some(index, MOVED_PER_PUT);
}

/* Closes the hole by moving back those that probed past it. */
void hash_index_remove(struct hash_index *index, const struct hash_cursor *cursor)
{
	struct hash_bucket *buckets = cursor->buckets;
	uint32_t size = cursor->size, hole = cursor->at;

	assert(cursor->index == index && cursor->found);
	for (uint32_t i = hash_index_after(size, hole); buckets[i].mark != 0; i = hash_index_after(size, i)) {
		uint32_t wants = hash_index_home(size, buckets[i].hash);

		if (distance(size, wants, i) >= distance(size, hole, i)) {
			buckets[hole] = buckets[i];
			hole = i;
		}
	}
	buckets[hole].mark = 0;
	index->count--;
}
