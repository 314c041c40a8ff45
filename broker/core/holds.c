#include "broker/core/holds.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "broker/core/expression.h"
#include "broker/core/topics.h"
#include "lib/base/table.h"
#include "lib/filter/sql_filter.h"

/* With more tags than that a hold is asked one by one: a bound on the memory of one hold. */
enum { INDEXED_TAGS_MAX = 16 };

/* Without padding: it is hashed as bytes. */
struct bucket_key {
	const struct queue *queue;
	int64_t tag_hash;
};

struct hold_bucket {
	UT_hash_handle hh;
	struct bucket_key key;
	struct hold_link *links;
};

void holds_init(struct holds *holds, size_t hold_max)
{
	*holds = (struct holds){ .hold_max = hold_max };
}

void holds_deinit(struct holds *holds)
{
	while (holds->all != NULL)
		holds_remove(holds, holds->all);
}

/* --- by tag ------------------------------------------------------------------------------------------------- */

static struct hold_bucket *find_bucket(const struct holds *holds, const struct queue *queue, int32_t tag_hash)
{
	struct bucket_key key = { queue, tag_hash };
	struct hold_bucket *bucket;

	HASH_FIND(hh, holds->buckets, &key, sizeof(key), bucket);
	return bucket;
}

struct hold_link *holds_for_tag(const struct holds *holds, const struct queue *queue, int32_t tag_hash)
{
	struct hold_bucket *bucket = find_bucket(holds, queue, tag_hash);

	return bucket == NULL ? NULL : bucket->links;
}

static struct hold_bucket *make_bucket(struct holds *holds, const struct queue *queue, int32_t tag_hash)
{
	struct hold_bucket *bucket = find_bucket(holds, queue, tag_hash);

	if (bucket != NULL)
		return bucket;
	bucket = calloc(1, sizeof(*bucket));
	if (bucket == NULL)
		return NULL;
	bucket->key = (struct bucket_key){ queue, tag_hash };
	HASH_ADD(hh, holds->buckets, key, sizeof(bucket->key), bucket);
	if (!table_took(bucket)) {
		free(bucket);
		return NULL;
	}
	return bucket;
}

static void drop_links(struct holds *holds, struct hold *hold)
{
	for (uint32_t i = 0; i < hold->link_count; i++) {
		struct hold_bucket *bucket = hold->links[i].bucket;

		DL_DELETE(bucket->links, &hold->links[i]);
		if (bucket->links == NULL) {
			HASH_DEL(holds->buckets, bucket);
			free(bucket);
		}
	}
	free(hold->links);
	hold->links = NULL;
	hold->link_count = 0;
}

static bool add_links(struct holds *holds, struct hold *hold)
{
	const struct tag_filter *filter = &hold->pull.filter;

	hold->links = calloc(filter->count, sizeof(*hold->links));
	if (hold->links == NULL)
		return false;
	for (uint32_t i = 0; i < filter->count; i++) {
		struct hold_link *link = &hold->links[i];

		link->hold = hold;
		link->bucket = make_bucket(holds, hold->queue, filter->hashes[i]);
		if (link->bucket == NULL) {
			drop_links(holds, hold);
			return false;
		}
		DL_APPEND(link->bucket->links, link);
		hold->link_count++;
	}
	return true;
}

static bool is_indexed(const struct pull_request *pull)
{
	bool sql = pull->expression != NULL && pull->expression->sql;

	return !sql && pull->filter.count > 0 && pull->filter.count <= INDEXED_TAGS_MAX;
}

/* What an arrival in the queue costs for this hold. */
static uint32_t cost_of(const struct pull_request *pull)
{
	bool program = pull->expression != NULL && pull->expression->sql && pull->expression->program != NULL;

	return program ? HOLD_WALK_COST + (uint32_t)sql_filter_steps(pull->expression->program) : 0;
}

/* --- all ------------------------------------------------------------------------------------------------------ */

enum status holds_add(struct holds *holds, const struct hold *wanted)
{
	uint32_t cost = cost_of(&wanted->pull);

	if (holds->count >= holds->hold_max || wanted->queue->asked_cost + cost > HOLD_COST_MAX)
		return ST_FULL;
	struct hold *hold = malloc(sizeof(*hold));
	if (hold == NULL)
		return ST_NOMEM;
	*hold = *wanted;
	hold->links = NULL;
	hold->link_count = 0;
	struct queue *queue = hold->queue;
	if (is_indexed(&hold->pull) && !add_links(holds, hold)) {
		free(hold);
		return ST_NOMEM;
	}
	if (conn_index_add(&holds->by_conn, hold->conn_id, &hold->by_conn) != ST_OK) {
		drop_links(holds, hold);
		free(hold);
		return ST_NOMEM;
	}
	if (hold->link_count == 0)
		DL_APPEND2(queue->asked_holds, hold, asked_prev, asked_next);
	if (queue->holds == NULL)
		queue->woken_offset = queue->visible_offset; /* Nobody kept it up meanwhile. */
	queue->asked_cost += cost;
	DL_APPEND2(queue->holds, hold, queue_prev, queue_next);
	DL_APPEND2(holds->all, hold, all_prev, all_next);
	holds->count++;
	(void)expression_hold(hold->pull.expression);
	return ST_OK;
}

static void unlink_hold(struct holds *holds, struct hold *hold)
{
	assert(holds->count > 0);
	if (hold->link_count == 0)
		DL_DELETE2(hold->queue->asked_holds, hold, asked_prev, asked_next);
	else
		drop_links(holds, hold);
	hold->queue->asked_cost -= cost_of(&hold->pull);
	DL_DELETE2(hold->queue->holds, hold, queue_prev, queue_next);
	DL_DELETE2(holds->all, hold, all_prev, all_next);
	conn_index_remove(&holds->by_conn, &hold->by_conn);
	holds->count--;
}

static void free_hold(struct hold *hold)
{
	expression_release(hold->pull.expression);
	free(hold);
}

void holds_remove(struct holds *holds, struct hold *hold)
{
	unlink_hold(holds, hold);
	free_hold(hold);
}

void holds_finish(struct holds *holds, struct hold *hold, hold_ready ready, void *context, bool expired)
{
	unlink_hold(holds, hold);
	ready(context, hold, expired);
	free_hold(hold);
}

void holds_remove_connection(struct holds *holds, uint64_t conn_id)
{
	struct conn_link *link;

	while ((link = conn_index_first(&holds->by_conn, conn_id)) != NULL)
		holds_remove(holds, (struct hold *)link);
}
