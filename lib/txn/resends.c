#include "lib/txn/resends.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/txn/hash_index.h"

/* Twenty bytes, in halves of words so that there is no padding. */
struct resend {
	uint32_t name[3]; /* hash128's lo, and half of hi. */
	uint32_t half_queue_offset[2];
};

enum { SLAB_ENTRIES = 4096, DIRECTORY_MIN = 16, MOVES_PER_ADD = 2 };

/* Positions are counted from 0 and never come back; those in [head, tail) are in slabs. Slab n is at n modulo the size
 * of the directory. The index holds the low 31 bits of positions: enough to find the slab, as less than 2^31 are here
 * at once. */
#define POSITION_BITS 0x7fffffffu

struct resends {
	struct resend **slabs;    /* The directory. */
	uint32_t slab_max;        /* Its size: a power of two, or 0. */
	struct resend *spare;     /* A slab that the head has left, for the tail. */
	struct hash_index index;
	uint64_t head, tail;
	uint64_t slab_end;        /* Slabs in [head / SLAB_ENTRIES, slab_end) are there. */
	uint32_t window;
	resends_is_open is_open;
	void *context;
};

struct resends *resends_create(uint32_t window, resends_is_open is_open, void *context)
{
	struct resends *resends = calloc(1, sizeof(*resends));

	if (resends == NULL)
		return NULL;
	hash_index_init(&resends->index);
	resends->window = window;
	resends->is_open = is_open;
	resends->context = context;
	return resends;
}

void resends_destroy(struct resends *resends)
{
	if (resends == NULL)
		return;
	for (uint64_t i = resends->head / SLAB_ENTRIES; i < resends->slab_end; i++)
		free(resends->slabs[i & (resends->slab_max - 1)]);
	free(resends->slabs);
	free(resends->spare);
	hash_index_deinit(&resends->index);
	free(resends);
}

static struct resend *at(const struct resends *resends, uint64_t position)
{
	return &resends->slabs[position / SLAB_ENTRIES & (resends->slab_max - 1)][position % SLAB_ENTRIES];
}

static struct resend pack(struct hash128 name, uint64_t half_queue_offset)
{
	return (struct resend){ { (uint32_t)name.lo, (uint32_t)(name.lo >> 32), (uint32_t)name.hi },
				{ (uint32_t)half_queue_offset, (uint32_t)(half_queue_offset >> 32) } };
}

static uint64_t half_of(const struct resend *entry)
{
	return (uint64_t)entry->half_queue_offset[1] << 32 | entry->half_queue_offset[0];
}

static uint32_t hash_of(const struct resend *entry)
{
	return entry->name[1];
}

/* Where the index has this name. */
static bool look_up(const struct resends *resends, const struct resend *wanted, struct hash_cursor *cursor,
		    uint32_t *position_out)
{
	*cursor = hash_index_look(&resends->index, hash_of(wanted));
	while (hash_index_next(cursor, position_out)) {
		if (memcmp(at(resends, *position_out)->name, wanted->name, sizeof(wanted->name)) == 0)
			return true;
	}
	return false;
}

/* --- room -------------------------------------------------------------------------------------------- */

static enum status grow_directory(struct resends *resends)
{
	uint32_t slab_max = resends->slab_max == 0 ? DIRECTORY_MIN : 2 * resends->slab_max;
	struct resend **slabs;

	if ((uint64_t)slab_max * SLAB_ENTRIES > (uint64_t)POSITION_BITS + 1)
		return ST_NOMEM;
	slabs = calloc(slab_max, sizeof(struct resend *));
	if (slabs == NULL)
		return ST_NOMEM;
	for (uint64_t i = resends->head / SLAB_ENTRIES; i < resends->slab_end; i++)
		slabs[i & (slab_max - 1)] = resends->slabs[i & (resends->slab_max - 1)];
	free(resends->slabs);
	resends->slabs = slabs;
	resends->slab_max = slab_max;
	return ST_OK;
}

static enum status add_slab(struct resends *resends)
{
	struct resend *slab = resends->spare;

	if (resends->slab_end - resends->head / SLAB_ENTRIES == resends->slab_max && grow_directory(resends) != ST_OK)
		return ST_NOMEM;
	if (slab == NULL)
		slab = malloc(SLAB_ENTRIES * sizeof(*slab));
	if (slab == NULL)
		return ST_NOMEM;
	resends->spare = NULL;
	resends->slabs[resends->slab_end++ & (resends->slab_max - 1)] = slab;
	return ST_OK;
}

enum status resends_reserve(struct resends *resends)
{
	enum status status = ST_OK;

	if (resends->window == 0)
		return ST_OK;
	/* The new one, and the open ones that it sends back to the end. */
	while (status == ST_OK && resends->tail + 1 + MOVES_PER_ADD > resends->slab_end * SLAB_ENTRIES)
		status = add_slab(resends);
	return status == ST_OK ? hash_index_reserve(&resends->index) : status;
}

enum status resends_reserve_total(struct resends *resends, uint32_t count)
{
	return resends->window == 0 ? ST_OK : hash_index_reserve_total(&resends->index, count);
}

/* --- use --------------------------------------------------------------------------------------------- */

static uint32_t append(struct resends *resends, const struct resend *entry)
{
	uint64_t position = resends->tail++;

	assert(position < resends->slab_end * SLAB_ENTRIES);
	*at(resends, position) = *entry;
	return (uint32_t)position & POSITION_BITS;
}

static void drop_head(struct resends *resends)
{
	uint64_t slab = resends->head++ / SLAB_ENTRIES;

	if (resends->head / SLAB_ENTRIES == slab)
		return;
	free(resends->spare);
	resends->spare = resends->slabs[slab & (resends->slab_max - 1)];
}

/* Looks at the oldest: a decided one goes if there are too many, an open one moves to the end. Two a call keep pace
 * with one addition a call. */
static void evict(struct resends *resends)
{
	for (int i = 0; i < MOVES_PER_ADD && resends->tail - resends->head > resends->window; i++) {
		struct resend oldest = *at(resends, resends->head);
		struct hash_cursor cursor;
		uint32_t position;
		bool found = look_up(resends, &oldest, &cursor, &position);

		assert(found);
		(void)found;
		if (resends->is_open(resends->context, half_of(&oldest)))
			hash_index_set(&resends->index, &cursor, append(resends, &oldest));
		else
			hash_index_remove(&resends->index, &cursor);
		drop_head(resends);
	}
}

void resends_add(struct resends *resends, struct hash128 name, uint64_t half_queue_offset)
{
	struct resend entry = pack(name, half_queue_offset);
	struct hash_cursor cursor;
	uint32_t known;

	if (resends->window == 0 || look_up(resends, &entry, &cursor, &known))
		return; /* Known: a resend that was stored before the first copy was in the log; the first one counts. */
	hash_index_put(&resends->index, hash_of(&entry), append(resends, &entry));
	evict(resends);
}

bool resends_find(const struct resends *resends, struct hash128 name, uint64_t *half_queue_offset_out)
{
	struct resend wanted = pack(name, 0);
	struct hash_cursor cursor;
	uint32_t position;

	if (!look_up(resends, &wanted, &cursor, &position))
		return false;
	*half_queue_offset_out = half_of(at(resends, position));
	return true;
}

uint64_t resends_count(const struct resends *resends)
{
	return resends->tail - resends->head;
}

bool resends_next(const struct resends *resends, uint64_t *cursor, struct hash128 *name_out,
		  uint64_t *half_queue_offset_out)
{
	uint64_t position = *cursor > resends->head ? *cursor : resends->head;

	*cursor = position;
	if (position >= resends->tail)
		return false;
	const struct resend *entry = at(resends, position);
	*name_out = (struct hash128){ (uint64_t)entry->name[1] << 32 | entry->name[0], entry->name[2] };
	*half_queue_offset_out = half_of(entry);
	*cursor = position + 1;
	return true;
}
