#include "broker/core/delays.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/topics.h"
#include "lib/base/array.h"

enum { CHUNK_SLOTS = 4096, DELTA_LOW_BITS = 8, SAME_RECALL_MAX = 16 };

/* Offsets leave a byte free, which holds half of the message's delta. */
struct delay_slot {
	uint64_t deliver_at_ms : 44;
	uint64_t queue_id : 10;
	uint64_t used : 1;
	uint64_t transactional : 1;
	uint64_t naming_offset : 56;
	uint64_t delta_low : 8;
	uint64_t body_offset : 56;
	uint64_t delta_high : 8;
	uint32_t topic_id;
	uint32_t message_size;
	int32_t tag_hash;
	uint32_t recall;
};
_Static_assert(sizeof(struct delay_slot) == 40, "what delays.h promises");
_Static_assert(TOPIC_QUEUE_MAX <= 1 << 10, "ids of queues fit");

struct delay_chunk {
	struct delay_slot slots[CHUNK_SLOTS];
	uint32_t heap[CHUNK_SLOTS];   /* Slots in use; behind `count` of all: those that are free. */
	uint32_t places[CHUNK_SLOTS]; /* Place of each slot in the heap. */
	uint64_t *origins;            /* Of half messages; NULL while the chunk has held none. */
};

void delays_init(struct delays *delays, size_t entry_max)
{
	*delays = (struct delays){ .entry_max = entry_max };
	hash_index_init(&delays->recalls);
}

void delays_deinit(struct delays *delays)
{
	for (size_t i = 0; i < delays->chunk_count; i++) {
		free(delays->chunks[i]->origins);
		free(delays->chunks[i]);
	}
	free(delays->chunks);
	free(delays->topics);
	hash_index_deinit(&delays->recalls);
	*delays = (struct delays){ 0 };
}

static size_t capacity(const struct delays *delays)
{
	return delays->chunk_count * CHUNK_SLOTS;
}

static struct delay_slot *slot_at(const struct delays *delays, uint32_t slot)
{
	return &delays->chunks[slot / CHUNK_SLOTS]->slots[slot % CHUNK_SLOTS];
}

static uint32_t *heap_at(const struct delays *delays, size_t at)
{
	return &delays->chunks[at / CHUNK_SLOTS]->heap[at % CHUNK_SLOTS];
}

static uint32_t *place_of(const struct delays *delays, uint32_t slot)
{
	return &delays->chunks[slot / CHUNK_SLOTS]->places[slot % CHUNK_SLOTS];
}

/* --- room ---------------------------------------------------------------------------------------------- */

static enum status add_chunk(struct delays *delays)
{
	size_t first = capacity(delays);

	if (first + CHUNK_SLOTS >= UINT32_MAX)
		return ST_FULL;
	struct delay_chunk **chunks = array_with_room(delays->chunks, delays->chunk_count, &delays->chunk_capacity,
						      sizeof(*chunks));
	if (chunks == NULL)
		return ST_NOMEM;
	delays->chunks = chunks;
	struct delay_chunk *chunk = calloc(1, sizeof(*chunk));
	if (chunk == NULL)
		return ST_NOMEM;
	for (size_t i = 0; i < CHUNK_SLOTS; i++)
		chunk->heap[i] = (uint32_t)(first + i);
	chunks[delays->chunk_count++] = chunk;
	return ST_OK;
}

static enum status reserve_topic(struct delays *delays, uint32_t id)
{
	while (id >= delays->topic_capacity) {
		struct topic **topics = array_with_room(delays->topics, delays->topic_capacity, &delays->topic_capacity,
							sizeof(struct topic *));
		if (topics == NULL)
			return ST_NOMEM;
		delays->topics = topics;
	}
	return ST_OK;
}

enum status delays_reserve(struct delays *delays, const struct topic *topic, bool transactional)
{
	if (delays->count >= delays->entry_max)
		return ST_FULL;
	enum status status = delays->count < capacity(delays) ? ST_OK : add_chunk(delays);
	if (status == ST_OK)
		status = reserve_topic(delays, topic->id);
	if (status == ST_OK)
		status = hash_index_reserve(&delays->recalls);
	if (status != ST_OK || !transactional)
		return status;
	struct delay_chunk *chunk = delays->chunks[*heap_at(delays, delays->count) / CHUNK_SLOTS];
	if (chunk->origins == NULL)
		chunk->origins = malloc(CHUNK_SLOTS * sizeof(uint64_t));
	return chunk->origins != NULL ? ST_OK : ST_NOMEM;
}

/* --- packed and not -------------------------------------------------------------------------------------- */

static void pack(struct delays *delays, uint32_t slot, const struct delayed *entry)
{
	int64_t at_ms = entry->deliver_at_ms < 0 ? 0 : entry->deliver_at_ms;

	*slot_at(delays, slot) = (struct delay_slot){
		.deliver_at_ms = (uint64_t)(at_ms < DELAYS_TIME_MAX_MS ? at_ms : DELAYS_TIME_MAX_MS),
		.queue_id = entry->queue_id, .used = 1, .transactional = entry->transactional,
		.naming_offset = entry->naming_offset, .delta_low = (uint8_t)entry->message_delta,
		.body_offset = entry->body_offset, .delta_high = (uint8_t)(entry->message_delta >> DELTA_LOW_BITS),
		.topic_id = entry->topic->id, .message_size = entry->message_size, .tag_hash = entry->tag_hash,
		.recall = entry->recall,
	};
	delays->topics[entry->topic->id] = entry->topic;
	if (entry->transactional)
		delays->chunks[slot / CHUNK_SLOTS]->origins[slot % CHUNK_SLOTS] = entry->origin_offset;
}

static void unpack(const struct delays *delays, uint32_t slot, struct delayed *out)
{
	const struct delay_slot *s = slot_at(delays, slot);

	*out = (struct delayed){
		.deliver_at_ms = (int64_t)s->deliver_at_ms, .naming_offset = s->naming_offset, .body_offset = s->body_offset,
		.origin_offset = s->transactional ? delays->chunks[slot / CHUNK_SLOTS]->origins[slot % CHUNK_SLOTS]
						  : (uint64_t)s->naming_offset,
		.topic = delays->topics[s->topic_id], .message_size = s->message_size, .tag_hash = s->tag_hash,
		.message_delta = (uint16_t)(s->delta_low | s->delta_high << DELTA_LOW_BITS),
		.queue_id = (uint16_t)s->queue_id, .transactional = s->transactional, .recall = s->recall, .slot = slot,
	};
}

/* --- the heap -------------------------------------------------------------------------------------------- */

static bool before(const struct delays *delays, uint32_t a, uint32_t b)
{
	const struct delay_slot *x = slot_at(delays, a), *y = slot_at(delays, b);

	if (x->deliver_at_ms != y->deliver_at_ms)
		return x->deliver_at_ms < y->deliver_at_ms;
	return x->naming_offset < y->naming_offset;
}

static void set_place(struct delays *delays, size_t at, uint32_t slot)
{
	*heap_at(delays, at) = slot;
	*place_of(delays, slot) = (uint32_t)at;
}

static void sift_up(struct delays *delays, size_t at, uint32_t slot)
{
	for (; at > 0 && before(delays, slot, *heap_at(delays, (at - 1) / 2)); at = (at - 1) / 2)
		set_place(delays, at, *heap_at(delays, (at - 1) / 2));
	set_place(delays, at, slot);
}

static void sift_down(struct delays *delays, size_t at, uint32_t slot)
{
	for (size_t child; (child = 2 * at + 1) < delays->count; at = child) {
		if (child + 1 < delays->count && before(delays, *heap_at(delays, child + 1), *heap_at(delays, child)))
			child++;
		if (!before(delays, *heap_at(delays, child), slot))
			break;
		set_place(delays, at, *heap_at(delays, child));
	}
	set_place(delays, at, slot);
}

/* However often a client sends the same name, a search passes few of them. */
static bool is_common(const struct delays *delays, uint32_t recall)
{
	struct hash_cursor cursor = hash_index_look(&delays->recalls, recall);
	uint32_t slot;
	int same = 0;

	while (same < SAME_RECALL_MAX && hash_index_next(&cursor, &slot))
		same++;
	return same == SAME_RECALL_MAX;
}

void delays_add(struct delays *delays, const struct delayed *entry)
{
	assert(delays->count < capacity(delays) && entry->naming_offset < DELAYS_OFFSET_MAX &&
	       entry->body_offset < DELAYS_OFFSET_MAX && entry->queue_id < TOPIC_QUEUE_MAX);
	uint32_t slot = *heap_at(delays, delays->count);

	pack(delays, slot, entry);
	sift_up(delays, delays->count++, slot);
	if (entry->recall == 0)
		return;
	if (is_common(delays, entry->recall))
		slot_at(delays, slot)->recall = 0;
	else
		hash_index_put(&delays->recalls, entry->recall, slot);
}

bool delays_first(const struct delays *delays, struct delayed *out)
{
	if (delays->count == 0)
		return false;
	unpack(delays, *heap_at(delays, 0), out);
	return true;
}

static void forget_recall(struct delays *delays, uint32_t slot)
{
	struct hash_cursor cursor = hash_index_look(&delays->recalls, slot_at(delays, slot)->recall);
	uint32_t found;

	while (hash_index_next(&cursor, &found)) {
		if (found == slot) {
			hash_index_remove(&delays->recalls, &cursor);
			return;
		}
	}
}

void delays_remove(struct delays *delays, uint32_t slot)
{
	size_t at = *place_of(delays, slot);

	assert(delays->count > 0 && at < delays->count && *heap_at(delays, at) == slot && slot_at(delays, slot)->used);
	uint32_t last = *heap_at(delays, delays->count - 1);
	if (slot_at(delays, slot)->recall != 0)
		forget_recall(delays, slot);
	slot_at(delays, slot)->used = 0;
	delays->count--;
	*heap_at(delays, delays->count) = slot;
	if (at == delays->count)
		return;
	if (at > 0 && before(delays, last, *heap_at(delays, (at - 1) / 2)))
		sift_up(delays, at, last);
	else
		sift_down(delays, at, last);
}

void delays_move(struct delays *delays, uint32_t slot, uint64_t body_offset, uint16_t message_delta)
{
	struct delayed entry;

	assert(slot_at(delays, slot)->used && body_offset < DELAYS_OFFSET_MAX);
	unpack(delays, slot, &entry);
	entry.body_offset = body_offset;
	entry.message_delta = message_delta;
	pack(delays, slot, &entry);
}

/* --- looking ----------------------------------------------------------------------------------------------- */

bool delays_next_within(const struct delays *delays, size_t *cursor, size_t *slots_left, struct delayed *out)
{
	for (; *cursor < capacity(delays) && *slots_left > 0; (*slots_left)--) {
		uint32_t slot = (uint32_t)(*cursor)++;

		if (slot_at(delays, slot)->used) {
			(*slots_left)--;
			unpack(delays, slot, out);
			return true;
		}
	}
	return false;
}

bool delays_next(const struct delays *delays, size_t *cursor, struct delayed *out)
{
	size_t slots_left = SIZE_MAX;

	return delays_next_within(delays, cursor, &slots_left, out);
}

struct hash_cursor delays_look(const struct delays *delays, uint32_t recall)
{
	return hash_index_look(&delays->recalls, recall);
}

bool delays_find(const struct delays *delays, struct hash_cursor *cursor, struct delayed *out)
{
	uint32_t slot;

	if (!hash_index_next(cursor, &slot))
		return false;
	unpack(delays, slot, out);
	return true;
}

size_t delays_bytes(const struct delays *delays)
{
	size_t bytes = delays->chunk_capacity * sizeof(*delays->chunks) + delays->topic_capacity * sizeof(*delays->topics) +
		       ((size_t)delays->recalls.current.size + delays->recalls.old.size) * sizeof(struct hash_bucket);

	for (size_t i = 0; i < delays->chunk_count; i++)
		bytes += sizeof(struct delay_chunk) + (delays->chunks[i]->origins != NULL ? CHUNK_SLOTS * sizeof(uint64_t) : 0);
	return bytes;
}
