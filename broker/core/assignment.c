#include "broker/core/assignment.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/state.h"
#include "lib/wire/body_route.h"
#include "lib/wire/codes.h"
#include "lib/wire/names.h"

/* --- the queues of a topic ------------------------------------------------------------------------------------------------ */

static int span_order(struct span a, struct span b)
{
	size_t shorter = a.size < b.size ? a.size : b.size;
	int order = shorter == 0 ? 0 : memcmp(a.data, b.data, shorter);

	return order != 0 ? order : (a.size > b.size) - (a.size < b.size);
}

static int by_name(const void *a, const void *b)
{
	return span_order(((const struct broker_queues *)a)->broker_name, ((const struct broker_queues *)b)->broker_name);
}

static bool may_be_read(const struct queue_data *queue)
{
	return (queue->perm & PERM_READ) != 0 && queue->read_queue_nums > 0;
}

/* Room for every queue data of the route and for the names. */
static struct topic_queues *room_for(const struct route *route)
{
	size_t size = sizeof(struct topic_queues) + route->queue_count * sizeof(struct broker_queues);

	for (size_t i = 0; i < route->queue_count; i++)
		size += route->queues[i].broker_name.size;
	return malloc(size);
}

/* A broker that is listed twice has the larger of both numbers: a set of queues, as RocketMQ has it. */
static void merge_twins(struct topic_queues *queues)
{
	size_t kept = 0;

	for (size_t i = 1; i < queues->broker_count; i++) {
		struct broker_queues *last = &queues->brokers[kept], *next = &queues->brokers[i];

		if (!span_equal(last->broker_name, next->broker_name))
			queues->brokers[++kept] = *next;
		else if (next->count > last->count)
			last->count = next->count;
	}
	queues->broker_count = queues->broker_count == 0 ? 0 : kept + 1;
}

enum status topic_queues_make(const struct route *route, struct topic_queues **out, struct errinfo *err)
{
	struct topic_queues *queues = room_for(route);
	uint64_t count = 0;

	if (queues == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a route's queues");
	uint8_t *text = (uint8_t *)&queues->brokers[route->queue_count];
	queues->broker_count = 0;
	for (size_t i = 0; i < route->queue_count; i++) {
		const struct queue_data *queue = &route->queues[i];

		if (!may_be_read(queue))
			continue;
		memcpy(text, queue->broker_name.data, queue->broker_name.size);
		queues->brokers[queues->broker_count++] =
			(struct broker_queues){ { text, queue->broker_name.size }, (uint32_t)queue->read_queue_nums };
		text += queue->broker_name.size;
	}
	qsort(queues->brokers, queues->broker_count, sizeof(queues->brokers[0]), by_name);
	merge_twins(queues);
	for (size_t i = 0; i < queues->broker_count; i++)
		count += queues->brokers[i].count;
	if (count > TOPIC_QUEUES_MAX) {
		free(queues);
		return errinfo_set(err, ST_TOOBIG, "the topic has more than %d queues", TOPIC_QUEUES_MAX);
	}
	queues->queue_count = (uint32_t)count;
	*out = queues;
	return ST_OK;
}

/* --- sharing them out ----------------------------------------------------------------------------------------------------- */

/* Where the client stands among those of its group, in the order of their ids. */
struct ranking {
	struct span client_id;
	uint32_t index, count;
	bool found;
};

static void rank(void *context, uint64_t conn_id, struct span client_id)
{
	struct ranking *ranking = context;
	int order = span_order(client_id, ranking->client_id);

	(void)conn_id;
	ranking->count++;
	ranking->index += order < 0;
	ranking->found |= order == 0;
}

/* What is shared out, and to whom: queues by their place in the order of all. */
struct share {
	const struct broker_queues *brokers;
	size_t broker_count;
	uint32_t queue_count;
	size_t at;      /* The broker of the last queue that was added; its first queue's place. */
	uint32_t first;
	struct assignment *out;
};

static void add(struct share *share, uint32_t place)
{
	if (place < share->first) {
		share->at = 0;
		share->first = 0;
	}
	while (place - share->first >= share->brokers[share->at].count)
		share->first += share->brokers[share->at++].count;
	share->out->queues[share->out->count++] =
		(struct assigned_queue){ share->brokers[share->at].broker_name, (int32_t)(place - share->first) };
}

/* RocketMQ's AVG: neighbours side by side. */
static void average(struct share *share, uint32_t index, uint32_t clients)
{
	uint32_t part = share->queue_count / clients, more = share->queue_count % clients;
	uint32_t first = index * part + (index < more ? index : more);
	uint32_t end = first + part + (index < more);

	for (; first < end; first++)
		add(share, first);
}

/* RocketMQ's AVG_BY_CIRCLE: one after another. */
static void in_turn(struct share *share, uint32_t index, uint32_t clients)
{
	for (; index < share->queue_count; index += clients)
		add(share, index);
}

typedef void (*strategy)(struct share *share, uint32_t index, uint32_t clients);

/* POP: everybody takes from everywhere, or each from its own queues and those of the next few clients. */
static void share_pops(struct share *share, strategy allocate, const struct ranking *ranking, uint32_t shared)
{
	if (shared == 0 || shared + 1 >= ranking->count) {
		for (size_t i = 0; i < share->broker_count; i++)
			share->out->queues[share->out->count++] = (struct assigned_queue){ share->brokers[i].broker_name, -1 };
	} else if (ranking->found && ranking->count > share->queue_count) {
		add(share, ranking->index % share->queue_count);
	} else if (ranking->found) {
		for (uint32_t i = 0; i <= shared; i++)
			allocate(share, (ranking->index + i) % ranking->count, ranking->count);
	}
}

static void set_mode(const struct core *core, const struct topic *topic, struct span group, struct assignment *out,
		     uint32_t *shared_out)
{
	const struct request_mode *mode = topic == NULL ? NULL : pops_mode(&core->pops, topic->id, names_find(core->names, group));

	*shared_out = 0;
	if (mode == NULL || !mode->known)
		return;
	out->mode = (int32_t)mode->mode;
	*shared_out = mode->shared_queues;
}

static void share_out(const struct core *core, const struct assignment_request *request, struct share *share)
{
	strategy allocate = span_is(request->strategy, "AVG_BY_CIRCLE") ? in_turn : average;
	struct ranking ranking = { .client_id = request->client_id };
	uint32_t shared;

	set_mode(core, topics_find(core->topics, request->topic), request->group, share->out, &shared);
	core_consumers(core, request->group, rank, &ranking);
	if (request->broadcasting)
		in_turn(share, 0, 1);
	else if (share->out->mode == REQUEST_MODE_POP)
		share_pops(share, allocate, &ranking, shared);
	else if (ranking.found)
		allocate(share, ranking.index, ranking.count);
}

static bool may_share(const struct core *core, const struct assignment_request *request)
{
	if (request->broadcasting)
		return true;
	return (span_is(request->strategy, "AVG") || span_is(request->strategy, "AVG_BY_CIRCLE")) &&
	       core_consumers(core, request->group, NULL, NULL) > 0;
}

bool core_assign(const struct core *core, const struct assignment_request *request, struct assignment *out)
{
	const struct topic *topic = topics_find(core->topics, request->topic);
	struct broker_queues own = { request->own_name, topic == NULL ? 0 : topic->settings.read_queue_nums };
	struct share share = { .brokers = &own, .broker_count = 1, .queue_count = own.count, .out = out };

	*out = (struct assignment){ .mode = REQUEST_MODE_PULL };
	if (request->queues != NULL) {
		share.brokers = request->queues->brokers;
		share.broker_count = request->queues->broker_count;
		share.queue_count = request->queues->queue_count;
	}
	if (share.queue_count == 0 || !may_share(core, request))
		return false;
	/* Nobody gets a queue twice. */
	out->queues = malloc(share.queue_count * sizeof(*out->queues));
	if (out->queues == NULL)
		return false;
	share_out(core, request, &share);
	return true;
}

void assignment_free(struct assignment *assignment)
{
	free(assignment->queues);
	*assignment = (struct assignment){ .mode = REQUEST_MODE_PULL };
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
