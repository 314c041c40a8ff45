#include "lib/txn/resends.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/txn/hash_index.h"

/* What the index holds: a slot of the pending table, or a place in the ring of decided ones with this bit set. */
#define DECIDED 0x80000000u

struct resends {
	const struct pending_table *table;
	struct hash_index index;
	struct resend *ring;   /* Memory that was not used yet is not touched. */
	uint32_t window;
	uint64_t head, tail;   /* Counted from 0 and never back; number i is at i % window. */
};

struct resends *resends_create(uint32_t window, const struct pending_table *table)
{
	struct resends *resends = calloc(1, sizeof(*resends));

	if (resends == NULL)
		return NULL;
	assert(window < DECIDED);
	resends->table = table;
	resends->window = window;
	hash_index_init(&resends->index);
	if (window > 0)
		resends->ring = malloc(window * sizeof(*resends->ring));
	if (window > 0 && resends->ring == NULL) {
		free(resends);
		return NULL;
	}
	return resends;
}

void resends_destroy(struct resends *resends)
{
	if (resends == NULL)
		return;
	hash_index_deinit(&resends->index);
	free(resends->ring);
	free(resends);
}

enum status resends_reserve(struct resends *resends)
{
	return hash_index_reserve(&resends->index);
}

enum status resends_reserve_total(struct resends *resends, uint32_t count)
{
	return hash_index_reserve_total(&resends->index, count < DECIDED - resends->window ? count + resends->window : count);
}

/* --- the index ----------------------------------------------------------------------------------------- */

static uint32_t hash_of(struct hash128 name)
{
	return (uint32_t)(name.lo >> 32);
}

static bool equal(struct hash128 a, struct hash128 b)
{
	return a.lo == b.lo && a.hi == b.hi;
}

static bool look_up(const struct resends *resends, struct hash128 name, struct hash_cursor *cursor, uint32_t *value_out)
{
	*cursor = hash_index_look(&resends->index, hash_of(name));
	while (hash_index_next(cursor, value_out)) {
		uint32_t at = *value_out & ~DECIDED;

		if (equal((*value_out & DECIDED) != 0 ? resends->ring[at].name : pending_at(resends->table, at)->name, name))
			return true;
	}
	return false;
}

/* The name of the decided one at this place in the ring is still its own; *cursor is then at it. */
static bool has_its_name(const struct resends *resends, uint32_t at, struct hash_cursor *cursor)
{
	uint32_t value;

	return look_up(resends, resends->ring[at].name, cursor, &value) && value == (at | DECIDED);
}

static void forget_oldest(struct resends *resends)
{
	uint32_t at = (uint32_t)(resends->head % resends->window);
	struct hash_cursor cursor;

	if (has_its_name(resends, at, &cursor))
		hash_index_remove(&resends->index, &cursor);
	resends->head++;
}

/* Puts it into the ring, which is not full; gives the value for the index. */
static uint32_t remember(struct resends *resends, const struct resend *decided)
{
	uint32_t at = (uint32_t)(resends->tail++ % resends->window);

	resends->ring[at] = *decided;
	return at | DECIDED;
}

static void make_place(struct resends *resends)
{
	if (resends->tail - resends->head == resends->window)
		forget_oldest(resends);
}

/* Whether half `n` may have this name. An open one keeps its name, a decided one gives it away: who opened the other had
 * forgotten it. Leaves the name without owner if so. */
static bool take_name(struct resends *resends, struct hash128 name, uint64_t n)
{
	struct hash_cursor cursor;
	uint32_t known;

	if (!look_up(resends, name, &cursor, &known))
		return true;
	if ((known & DECIDED) == 0 || resends->ring[known & ~DECIDED].half_queue_offset == n)
		return false;
	hash_index_remove(&resends->index, &cursor);
	return true;
}

/* --- use ----------------------------------------------------------------------------------------------- */

void resends_open(struct resends *resends, const struct pending *entry)
{
	uint32_t slot = pending_slot(resends->table, entry);

	assert(slot < DECIDED);
	if (take_name(resends, entry->name, entry->half_queue_offset))
		hash_index_put(&resends->index, hash_of(entry->name), slot);
}

void resends_close(struct resends *resends, const struct pending *entry)
{
	struct resend decided = { entry->name, entry->half_queue_offset };
	uint32_t slot = pending_slot(resends->table, entry), known;
	struct hash_cursor cursor;

	if (!look_up(resends, entry->name, &cursor, &known) || known != slot)
		return; /* Another one has the name. */
	hash_index_remove(&resends->index, &cursor);
	if (resends->window == 0)
		return;
	make_place(resends);
	hash_index_put(&resends->index, hash_of(decided.name), remember(resends, &decided)); /* Room: the removed one's. */
}

void resends_load(struct resends *resends, const struct resend *decided)
{
	if (resends->window == 0 || !take_name(resends, decided->name, decided->half_queue_offset))
		return;
	make_place(resends);
	hash_index_put(&resends->index, hash_of(decided->name), remember(resends, decided));
}

void resends_prefetch(const struct resends *resends, struct hash128 name)
{
	hash_index_prefetch(&resends->index, hash_of(name));
}

bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out)
{
	struct hash_cursor cursor;
	uint32_t value;

	if (!look_up(resends, name, &cursor, &value))
		return false;
	*half_queue_offset_out = (value & DECIDED) != 0 ? resends->ring[value & ~DECIDED].half_queue_offset :
							  pending_at(resends->table, value)->half_queue_offset;
	return true;
}

bool resends_next(const struct resends *resends, uint64_t *cursor, struct resend *out)
{
	uint64_t number = *cursor > resends->head ? *cursor : resends->head;
	struct hash_cursor place;

	while (number < resends->tail && !has_its_name(resends, (uint32_t)(number % resends->window), &place))
		number++;
	*cursor = number;
	if (number >= resends->tail)
		return false;
	*out = resends->ring[number % resends->window];
	*cursor = number + 1;
	return true;
}

uint32_t resends_count(const struct resends *resends)
{
	return resends->index.count;
}
