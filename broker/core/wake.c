#include "broker/core/wake.h"

#include <utlist.h>

#include "broker/core/selection.h"
#include "broker/core/state.h"
#include "lib/wire/message.h"

/* A new entry, and its message as far as somebody wanted to see it. */
struct arrival {
	struct cq_entry entry;
	bool looked;
	bool readable;          /* After a look: its properties are at hand. */
	struct span properties;
};

static void finish(struct core *core, struct hold *hold)
{
	holds_finish(&core->holds, hold, core->effects.hold_ready, core->effects.context, false);
}

static bool look(struct core *core, struct arrival *arrival)
{
	struct message message;

	if (!arrival->looked) {
		arrival->looked = true;
		arrival->readable = pull_peek(core, &arrival->entry, &message);
		if (arrival->readable)
			arrival->properties = message.properties;
	}
	return arrival->readable;
}

static bool fits(struct core *core, struct arrival *arrival, const struct pull_request *pull)
{
	struct span tag;
	enum fit fit = selection_by_hash(pull, arrival->entry.tag_hash);

	if (fit == FIT_LOOK && look(core, arrival))
		return selection_by_properties(pull, arrival->properties, &tag);
	return fit != FIT_NO;
}

static void wake_tag(struct core *core, struct queue *queue, struct arrival *arrival, int32_t tag_hash)
{
	struct hold_link *link, *next;

	/* The bucket goes with its last hold; each hold is in it once. */
	DL_FOREACH_SAFE(holds_for_tag(&core->holds, queue, tag_hash), link, next) {
		if (fits(core, arrival, &link->hold->pull))
			finish(core, link->hold);
	}
}

static void wake_all(struct core *core, struct queue *queue)
{
	while (queue->holds != NULL)
		finish(core, queue->holds);
}

static void wake_for(struct core *core, struct queue *queue, struct arrival *arrival)
{
	struct hold *hold, *next;
	struct span tag;

	if (arrival->entry.tag_hash != TAG_HASH_MANY) {
		wake_tag(core, queue, arrival, arrival->entry.tag_hash);
	} else if (look(core, arrival)) {
		struct message_tags tags = message_tags_of(arrival->properties);

		while (message_tags_next(&tags, &tag))
			wake_tag(core, queue, arrival, tag_hash(tag));
	} else {
		wake_all(core, queue);
	}
	DL_FOREACH_SAFE2(queue->asked_holds, hold, next, asked_next) {
		if (fits(core, arrival, &hold->pull))
			finish(core, hold);
	}
}

void wake_holds(struct core *core, struct queue *queue)
{
	for (; queue->woken_offset < queue->visible_offset && queue->holds != NULL; queue->woken_offset++) {
		struct arrival arrival = { .looked = false };

		if (consume_queue_get(&queue->entries, queue->woken_offset, &arrival.entry, NULL) == ST_OK)
			wake_for(core, queue, &arrival);
		else
			wake_all(core, queue);
	}
}
