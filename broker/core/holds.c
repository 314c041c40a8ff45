#include "broker/core/holds.h"

#include <assert.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/core/topics.h"

void holds_init(struct holds *holds, size_t hold_max)
{
	*holds = (struct holds){ .hold_max = hold_max };
}

void holds_deinit(struct holds *holds)
{
	while (holds->all != NULL)
		holds_remove(holds, holds->all);
}

enum status holds_add(struct holds *holds, const struct hold *wanted)
{
	if (holds->count >= holds->hold_max)
		return ST_FULL;
	struct hold *hold = malloc(sizeof(*hold));
	if (hold == NULL)
		return ST_NOMEM;
	*hold = *wanted;
	DL_APPEND2(hold->queue->holds, hold, queue_prev, queue_next);
	DL_APPEND2(holds->all, hold, all_prev, all_next);
	holds->count++;
	return ST_OK;
}

static void unlink_hold(struct holds *holds, struct hold *hold)
{
	assert(holds->count > 0);
	DL_DELETE2(hold->queue->holds, hold, queue_prev, queue_next);
	DL_DELETE2(holds->all, hold, all_prev, all_next);
	holds->count--;
}

void holds_remove(struct holds *holds, struct hold *hold)
{
	unlink_hold(holds, hold);
	free(hold);
}

void holds_finish(struct holds *holds, struct hold *hold, void (*ready)(void *, const struct hold *, bool), void *context,
		  bool expired)
{
	unlink_hold(holds, hold);
	ready(context, hold, expired);
	free(hold);
}

void holds_remove_connection(struct holds *holds, uint64_t conn_id)
{
	struct hold *hold, *next;

	DL_FOREACH_SAFE2(holds->all, hold, next, all_next) {
		if (hold->conn_id == conn_id)
			holds_remove(holds, hold);
	}
}
