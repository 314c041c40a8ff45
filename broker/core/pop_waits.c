#include "broker/core/pop_waits.h"

#include <stdlib.h>
#include <utlist.h>

#include "broker/core/expression.h"
#include "broker/core/state.h"

enum { WAIT_MAX_MS = 60 * 1000 };

bool pop_waits_add(struct core *core, const struct pop_wait *wanted)
{
	struct pop_waits *waits = &core->pop_waits;
	struct topic *topic = topics_find(core->topics, names_text(core->names, wanted->request.topic_id));
	struct pop_wait *wait = topic == NULL || waits->count >= core->config.hold_max ? NULL : malloc(sizeof(*wait));
	int64_t wait_ms = wanted->request.wait_ms < WAIT_MAX_MS ? wanted->request.wait_ms : WAIT_MAX_MS;

	if (wait == NULL)
		return false;
	*wait = *wanted;
	if (conn_index_add(&waits->by_conn, wait->conn_id, &wait->by_conn) != ST_OK) {
		free(wait);
		return false;
	}
	(void)expression_hold(wait->request.expression);
	wait->topic = topic;
	wait->deadline_mono_ms = core->mono_ms + wait_ms;
	DL_APPEND2(topic->pop_waits, wait, topic_prev, topic_next);
	DL_APPEND2(waits->all, wait, all_prev, all_next);
	waits->count++;
	return true;
}

size_t pop_waits_count(const struct core *core, uint32_t topic_id, uint32_t group_id, int32_t queue_id)
{
	const struct topic *topic = topics_find(core->topics, names_text(core->names, topic_id));
	const struct pop_wait *wait;
	size_t count = 0;

	if (topic == NULL)
		return 0;
	DL_FOREACH2(topic->pop_waits, wait, topic_next)
		count += wait->request.group_id == group_id && wait->request.queue_id == queue_id;
	return count;
}

static void remove_wait(struct pop_waits *waits, struct pop_wait *wait)
{
	DL_DELETE2(wait->topic->pop_waits, wait, topic_prev, topic_next);
	DL_DELETE2(waits->all, wait, all_prev, all_next);
	conn_index_remove(&waits->by_conn, &wait->by_conn);
	waits->count--;
	expression_release(wait->request.expression);
	free(wait);
}

void pop_waits_remove_connection(struct core *core, uint64_t conn_id)
{
	struct conn_link *link;

	while ((link = conn_index_first(&core->pop_waits.by_conn, conn_id)) != NULL)
		remove_wait(&core->pop_waits, (struct pop_wait *)link);
}

void pop_waits_remove_member(struct core *core, uint64_t conn_id, uint32_t group_id)
{
	struct conn_link *link = conn_index_first(&core->pop_waits.by_conn, conn_id), *next;

	for (; link != NULL; link = next) {
		struct pop_wait *wait = (struct pop_wait *)link;

		next = link->next;
		if (wait->request.group_id == group_id)
			remove_wait(&core->pop_waits, wait);
	}
}

/* True when it is answered, and gone. */
static bool run(struct core *core, struct pop_wait *wait, bool expired)
{
	bool answered = core->effects.pop_ready == NULL || core->effects.pop_ready(core->effects.context, wait, expired);

	if (answered)
		remove_wait(&core->pop_waits, wait);
	return answered;
}

void pop_waits_arrived(struct core *core, struct topic *topic)
{
	if (topic->pop_of != NULL)
		topic = topic->pop_of;
	if (topic->pop_waits == NULL || topic->pop_arrived)
		return;
	topic->pop_arrived = true;
	topic->pop_arrived_next = core->pop_waits.arrived;
	core->pop_waits.arrived = topic;
}

/* Would it find as little as the one before, which found nothing? */
static bool is_alike(const struct pop_request *a, const struct pop_request *b)
{
	return a->group_id == b->group_id && a->queue_id == b->queue_id && a->order == b->order && a->attempt == b->attempt &&
	       span_equal(expression_text(a->expression), expression_text(b->expression));
}

static void wake_topic(struct core *core, struct topic *topic)
{
	struct pop_wait *wait, *next, *in_vain = NULL;

	DL_FOREACH_SAFE2(topic->pop_waits, wait, next, topic_next) {
		if (in_vain != NULL && is_alike(&in_vain->request, &wait->request))
			continue;
		if (!run(core, wait, false))
			in_vain = wait;
	}
}

void pop_waits_wake(struct core *core)
{
	struct topic *topic = core->pop_waits.arrived, *next;

	core->pop_waits.arrived = NULL;
	for (; topic != NULL; topic = next) {
		next = topic->pop_arrived_next;
		topic->pop_arrived = false;
		wake_topic(core, topic);
	}
}

void pop_waits_sweep(struct core *core, bool all)
{
	struct pop_wait *wait, *next;

	DL_FOREACH_SAFE2(core->pop_waits.all, wait, next, all_next) {
		if ((all || wait->deadline_mono_ms <= core->mono_ms) && !run(core, wait, true))
			remove_wait(&core->pop_waits, wait);
	}
}

void pop_waits_topic_gone(struct core *core, const struct topic *topic)
{
	struct pop_wait *wait, *next;

	DL_FOREACH_SAFE2(topic->pop_waits, wait, next, topic_next)
		(void)run(core, wait, true);
}

void pop_waits_deinit(struct pop_waits *waits)
{
	while (waits->all != NULL)
		remove_wait(waits, waits->all);
}
