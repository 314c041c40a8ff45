#include "broker/shell/key_searches.h"

#include <stdlib.h>

#include "broker/core/key_query.h"
#include "lib/base/owner.h"

enum slot_state { SLOT_FREE, SLOT_SEARCHING, SLOT_ANSWERED };

struct slot {
	struct key_search search;
	struct key_found found;
	struct letter letter;
	struct key_searches *searches;
	enum slot_state state;
	uint64_t conn_id;
	int32_t opaque;
	int64_t since_ms;
};

struct key_searches {
	struct mailbox *mailbox;
	struct key_index *index;
	void (*answered)(void *context);
	void *context;
	int64_t now_ms;
	struct slot slots[KEY_SEARCHES_MAX];
};

/* In the loop. */
static void deliver(struct letter *letter)
{
	struct slot *slot = OWNER(struct slot, letter, letter);

	slot->state = SLOT_ANSWERED;
	slot->searches->answered(slot->searches->context);
}

/* On the index's thread. */
static void on_found(struct key_search *search)
{
	struct slot *slot = OWNER(struct slot, search, search);

	mailbox_post(slot->searches->mailbox, &slot->letter);
}

struct key_searches *key_searches_create(struct mailbox *mailbox, void (*answered)(void *context), void *context)
{
	struct key_searches *searches = calloc(1, sizeof(*searches));

	if (searches == NULL)
		return NULL;
	searches->mailbox = mailbox;
	searches->answered = answered;
	searches->context = context;
	for (size_t i = 0; i < KEY_SEARCHES_MAX; i++) {
		searches->slots[i].searches = searches;
		searches->slots[i].letter.deliver = deliver;
		searches->slots[i].search.found = on_found;
	}
	return searches;
}

void key_searches_destroy(struct key_searches *searches)
{
	free(searches);
}

static void begin_search(struct slot *slot, uint64_t below)
{
	slot->state = SLOT_SEARCHING;
	slot->since_ms = slot->searches->now_ms;
	slot->search.below = below;
	slot->found.looked_at = 0;
	key_index_search(slot->searches->index, &slot->search);
}

/* The request's own, or a free one; NULL: none is free. */
static struct slot *slot_of(struct key_searches *searches, const struct request *request)
{
	struct slot *free_one = NULL;

	for (size_t i = 0; i < KEY_SEARCHES_MAX; i++) {
		struct slot *slot = &searches->slots[i];

		if (slot->state == SLOT_FREE)
			free_one = slot;
		else if (slot->conn_id == request->conn_id && slot->opaque == request->command->opaque)
			return slot;
	}
	return free_one;
}

static enum status find(void *context, const struct request *request, const struct key_query *query,
			struct key_hits *out)
{
	struct key_searches *searches = context;
	struct slot *slot = slot_of(searches, request);

	if (slot == NULL || slot->state == SLOT_SEARCHING)
		return ST_AGAIN;
	/* An answer to an earlier request that bore the same number is none to this one. */
	if (slot->state == SLOT_ANSWERED && request->again) {
		const struct key_search *search = &slot->search;
		*out = (struct key_hits){ search->hits, search->hit_count, search->indexed_to, search->indexed_ms,
					  search->hit_count == KEY_INDEX_HITS_MAX, &slot->found };
		return ST_OK;
	}
	slot->conn_id = request->conn_id;
	slot->opaque = request->command->opaque;
	slot->search.hash = key_index_hash(query->topic, query->tag ? KEY_TAG : KEY_OF_MESSAGE, query->key);
	slot->search.end_ms = query->end_ms;
	slot->found = (struct key_found){ .count = 0 };
	begin_search(slot, UINT64_MAX);
	return ST_AGAIN;
}

static void find_more(void *context, const struct request *request)
{
	struct slot *slot = slot_of(context, request);

	if (slot == NULL || slot->state != SLOT_ANSWERED || slot->search.hit_count == 0)
		return;
	slot->found.rounds++;
	begin_search(slot, slot->search.hits[slot->search.hit_count - 1]);
}

static void done(void *context, const struct request *request)
{
	struct slot *slot = slot_of(context, request);

	if (slot != NULL && slot->state == SLOT_ANSWERED)
		slot->state = SLOT_FREE;
}

struct key_port key_searches_port(struct key_searches *searches, struct key_index *index)
{
	searches->index = index;
	return (struct key_port){ searches, find, find_more, done };
}

void key_searches_tick(struct key_searches *searches, int64_t now_ms)
{
	searches->now_ms = now_ms;
	for (size_t i = 0; i < KEY_SEARCHES_MAX; i++) {
		struct slot *slot = &searches->slots[i];

		if (slot->state == SLOT_ANSWERED && now_ms - slot->since_ms > KEY_ANSWER_KEPT_MS)
			slot->state = SLOT_FREE;
	}
}
