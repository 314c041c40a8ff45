#include "broker/core/assignment.h"

#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/state.h"
#include "lib/wire/names.h"

_Static_assert(sizeof(((struct assignment *)0)->queues) / sizeof(int32_t) >= TOPIC_QUEUE_MAX, "all queues of a topic");

/* Where the client stands among those of its group, in the order of their ids. */
struct ranking {
	struct span client_id;
	uint32_t index, count;
	bool found;
};

static void rank(void *context, uint64_t conn_id, struct span client_id)
{
	struct ranking *ranking = context;
	size_t shorter = client_id.size < ranking->client_id.size ? client_id.size : ranking->client_id.size;
	int order = shorter == 0 ? 0 : memcmp(client_id.data, ranking->client_id.data, shorter);

	(void)conn_id;
	if (order == 0)
		order = (client_id.size > ranking->client_id.size) - (client_id.size < ranking->client_id.size);
	ranking->count++;
	ranking->index += order < 0;
	ranking->found |= order == 0;
}

static void add(struct assignment *out, int32_t queue_id)
{
	if (out->count < TOPIC_QUEUE_MAX)
		out->queues[out->count++] = queue_id;
}

/* RocketMQ's AVG: neighbours side by side. */
static void average(struct assignment *out, uint32_t queues, uint32_t index, uint32_t clients)
{
	uint32_t share = queues / clients, more = queues % clients;
	uint32_t first = index * share + (index < more ? index : more);
	uint32_t end = first + share + (index < more);

	for (; first < end && first < queues; first++)
		add(out, (int32_t)first);
}

/* RocketMQ's AVG_BY_CIRCLE: one after another. */
static void in_turn(struct assignment *out, uint32_t queues, uint32_t index, uint32_t clients)
{
	for (; index < queues; index += clients)
		add(out, (int32_t)index);
}

typedef void (*strategy)(struct assignment *out, uint32_t queues, uint32_t index, uint32_t clients);

/* POP: everybody takes from everywhere, or each from its own queues and those of the next few clients. */
static void share_pops(struct assignment *out, strategy allocate, uint32_t queues, const struct ranking *ranking, uint32_t shared)
{
	if (shared == 0 || shared + 1 >= ranking->count) {
		add(out, -1);
		return;
	}
	if (ranking->count > queues) {
		add(out, (int32_t)(ranking->index % queues));
		return;
	}
	for (uint32_t i = 0; i <= shared; i++)
		allocate(out, queues, (ranking->index + i) % ranking->count, ranking->count);
}

static void set_mode(const struct core *core, const struct topic *topic, struct span group, struct assignment *out,
		     uint32_t *shared_out)
{
	const struct request_mode *mode = pops_mode(&core->pops, topic->id, names_find(core->names, group));

	*shared_out = 0;
	if (mode == NULL || !mode->known)
		return;
	out->mode = (int32_t)mode->mode;
	*shared_out = mode->shared_queues;
}

bool core_assign(struct core *core, const struct assignment_request *request, struct assignment *out)
{
	const struct topic *topic = topics_find(core->topics, request->topic);
	struct ranking ranking = { .client_id = request->client_id };
	strategy allocate = span_is(request->strategy, "AVG_BY_CIRCLE") ? in_turn : average;
	uint32_t shared, queues = topic == NULL ? 0 : topic->settings.read_queue_nums;

	*out = (struct assignment){ .mode = REQUEST_MODE_PULL };
	if (queues == 0)
		return false;
	set_mode(core, topic, request->group, out, &shared);
	if (request->broadcasting) {
		in_turn(out, queues, 0, 1);
		return true;
	}
	if (allocate == average && !span_is(request->strategy, "AVG"))
		return false;
	core_consumers(core, request->group, rank, &ranking);
	if (ranking.count == 0)
		return false;
	if (out->mode == REQUEST_MODE_POP)
		share_pops(out, allocate, queues, &ranking, shared);
	else if (ranking.found)
		allocate(out, queues, ranking.index, ranking.count);
	return true;
}

void core_each_request_mode(const struct core *core, request_mode_visit visit, void *context)
{
	for (const struct topic *topic = topics_first(core->topics); topic != NULL; topic = topics_next(topic)) {
		for (const struct request_mode *mode = core->pops.modes; mode != NULL; mode = mode->hh.next) {
			if (mode->known && mode->topic_id == topic->id)
				visit(context, topic->name, names_text(core->names, mode->group_id), (int32_t)mode->mode,
				      (int32_t)mode->shared_queues);
		}
	}
}
