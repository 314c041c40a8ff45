/* What POP promises, in plain code: each message is given out once at a time, one that was acknowledged never again, one whose
 * time is over comes again. A place for each message of a queue stands for what the broker keeps in rows and entries. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "broker/core/state.h"
#include "lib/wire/message.h"
#include "lib/wire/names.h"
#include "lib/wire/properties.h"
#include "tests/crash/ledger_internal.h"

struct given { /* A message, by its offset. */
	bool live, orderly;
	int64_t pop_ms, invisible_ms;
	uint16_t deliveries;
	size_t record; /* That gave it out. */
};

struct given_queue {
	struct given *given;
	size_t size;
	uint64_t next;
};

static void *grown(void *array, size_t bytes)
{
	void *p = realloc(array, bytes);

	if (p == NULL)
		abort();
	return p;
}

/* --- events -------------------------------------------------------------------------------------------------- */

static void reach(struct given_queue *q, uint64_t end)
{
	if (end <= q->size)
		return;
	q->given = grown(q->given, end * sizeof(*q->given));
	memset(q->given + q->size, 0, (end - q->size) * sizeof(*q->given));
	q->size = end;
}

static void give(struct given *g, const struct record_pop *pop, size_t record)
{
	bool again = g->live && g->orderly && pop->event == POP_ORDERLY;

	*g = (struct given){ .live = true, .orderly = pop->event != POP_CHECK_OUT, .pop_ms = pop->pop_time_ms,
			     .invisible_ms = pop->invisible_ms, .record = record,
			     .deliveries = (uint16_t)(g->live ? g->deliveries + again : 0) };
}

static void take_step(struct given_queue *q, const struct ledger_pop_step *step)
{
	const struct record_pop *pop = &step->pop;
	uint64_t end = pop->queue_offset + pop->count;

	if (pop->event == POP_RESET) {
		memset(q->given, 0, q->size * sizeof(*q->given));
		q->next = pop->queue_offset;
		return;
	}
	reach(q, end);
	for (struct given *g = q->given + pop->queue_offset; g < q->given + end; g++) {
		if (pop->event == POP_ACK)
			g->live = false;
		else if (pop->event != POP_CHANGE_INVISIBLE)
			give(g, pop, step->record);
		else
			*g = (struct given){ true, g->orderly, pop->pop_time_ms, pop->invisible_ms, g->deliveries, g->record };
	}
	if (pop->event != POP_ACK && q->next < end)
		q->next = end;
}

/* The state after `count` records; given_free. */
static struct given_queue state_of(const struct ledger_pops *pops, size_t count)
{
	struct given_queue q = { 0 };

	reach(&q, 1);
	for (size_t i = 0; i < pops->count && pops->steps[i].record < count; i++)
		take_step(&q, &pops->steps[i]);
	return q;
}

static struct ledger_pops *find(const struct ledger *l, struct span group, struct span topic, uint32_t queue_id)
{
	for (size_t i = 0; i < l->pop_count; i++) {
		struct ledger_pops *p = &l->pops[i];
		if (p->queue_id == queue_id && span_equal(p->group, group) && span_equal(p->topic, topic))
			return p;
	}
	return NULL;
}

/* --- taking in ----------------------------------------------------------------------------------------------------- */

static struct span key_of(struct span stored)
{
	struct message message;

	return message_decode(stored, &message, NULL) == ST_OK ? property_get(message.properties, PROPERTY_UNIQ_KEY) : SPAN_NONE;
}

static const struct ledger_queue *queue_named(const struct ledger *l, struct span topic, uint32_t id)
{
	for (size_t i = 0; i < l->queue_count; i++) {
		if (l->queues[i].id == id && span_equal(l->queues[i].topic, topic))
			return &l->queues[i];
	}
	return NULL;
}

/* A copy for the group, or a dead letter, since it was given out. */
static bool came_again(const struct ledger *l, struct span stored, size_t since)
{
	struct span key = key_of(stored);

	for (size_t i = 0; i < l->queue_count; i++) {
		const struct ledger_queue *queue = &l->queues[i];
		if (!topic_is_retry(queue->topic) && !topic_is_dlq(queue->topic))
			continue;
		for (size_t m = queue->count; m > 0 && queue->messages[m - 1].record > since; m--) {
			if (span_equal(key_of(queue->messages[m - 1].message), key))
				return true;
		}
	}
	return false;
}

/* The log does not keep its body any more. */
static bool is_gone(const struct ledger *l, struct span stored)
{
	for (size_t i = 0; i < l->count; i++) {
		struct span payload = l->records[i].payload;
		if (stored.data >= payload.data && stored.data < payload.data + payload.size)
			return l->records[i].offset < l->log_start;
	}
	return false;
}

/* Settled by the broker: as it comes again, or never can. */
static bool may_be_settled(const struct ledger *l, const struct given *g, int64_t now_ms, struct span stored)
{
	return now_ms >= g->pop_ms + g->invisible_ms && (came_again(l, stored, g->record) || is_gone(l, stored));
}

/* May this event be, of this message? */
static bool may_be(const struct ledger *l, const struct given_queue *q, const struct record_pop *pop, uint64_t offset, char *why)
{
	const struct ledger_queue *queue = queue_named(l, pop->topic, pop->queue_id);
	const struct given *g = offset < q->size ? &q->given[offset] : NULL;
	bool live = g != NULL && g->live;

	if (queue == NULL || offset >= queue->count)
		return ledger_say(why, "POP of message %" PRIu64 ", which is not there", offset);
	if (pop->event == POP_ACK || pop->event == POP_CHANGE_INVISIBLE) {
		if (!live)
			return ledger_say(why, "POP event about message %" PRIu64 ", which nobody has", offset);
		if (pop->event == POP_CHANGE_INVISIBLE || pop->pop_time_ms == g->pop_ms)
			return true;
		return may_be_settled(l, g, pop->pop_time_ms, queue->messages[offset].message) ||
		       ledger_say(why, "message %" PRIu64 " is settled, but nobody acknowledged it, nor does it come again", offset);
	}
	if (live)
		return (g->orderly && pop->pop_time_ms >= g->pop_ms + g->invisible_ms) ||
		       ledger_say(why, "message %" PRIu64 " is given out, but somebody has it", offset);
	return offset >= q->next || ledger_say(why, "message %" PRIu64 " is given out again, but it was done with", offset);
}

static struct ledger_pops *pops_of(struct ledger *l, const struct record_pop *pop)
{
	struct ledger_pops *known = find(l, pop->group, pop->topic, pop->queue_id);

	if (known != NULL)
		return known;
	l->pops = grown(l->pops, (l->pop_count + 1) * sizeof(*l->pops));
	l->pops[l->pop_count] = (struct ledger_pops){ .group = pop->group, .topic = pop->topic, .queue_id = pop->queue_id };
	return &l->pops[l->pop_count++];
}

bool ledger_pop_add(struct ledger *l, const struct record_pop *pop, char *why)
{
	struct ledger_pops *pops = pops_of(l, pop);
	struct given_queue q = state_of(pops, SIZE_MAX);
	bool good = true;

	for (uint64_t i = 0; i < pop->count && pop->event != POP_RESET && good; i++)
		good = may_be(l, &q, pop, pop->queue_offset + i, why);
	free(q.given);
	pops->steps = grown(pops->steps, (pops->count + 1) * sizeof(*pops->steps));
	pops->steps[pops->count++] = (struct ledger_pop_step){ l->count, *pop };
	return good;
}

void ledger_pops_free(struct ledger *l)
{
	for (size_t i = 0; i < l->pop_count; i++)
		free(l->pops[i].steps);
	free(l->pops);
}

/* --- comparing ------------------------------------------------------------------------------------------------------- */

static int64_t position_of(const struct given_queue *q)
{
	for (size_t i = 0; i < q->size; i++) {
		if (q->given[i].live)
			return (int64_t)i;
	}
	return (int64_t)q->next;
}

int64_t ledger_pop_position(const struct ledger *l, struct span group, struct span topic, uint32_t queue_id, size_t count)
{
	const struct ledger_pops *pops = find(l, group, topic, queue_id);

	if (pops == NULL)
		return -1;
	struct given_queue q = state_of(pops, count);
	int64_t position = position_of(&q);
	free(q.given);
	return position;
}

static bool same_entry(const struct given *g, const struct pop_entry *entry)
{
	if (entry == NULL || !g->live)
		return entry == NULL && !g->live;
	return entry->pop_ms == g->pop_ms && entry->invisible_ms == g->invisible_ms && entry->deliveries == g->deliveries &&
	       entry->orderly == g->orderly;
}

static bool check_queue(const struct ledger_pops *pops, const struct given_queue *q, struct core *core, size_t *live, char *why)
{
	struct pop_key key = { names_find(core->names, pops->topic), names_find(core->names, pops->group), pops->queue_id };
	const struct pop_row *row = pops_find(&core->pops, &key);
	int64_t offset = -1;

	if (row == NULL || row->next != q->next)
		return ledger_say(why, "%.*s/%u: %.*s was given %" PRIu64 " messages, not %" PRIu64, SPAN_ARGS(pops->topic),
				  pops->queue_id, SPAN_ARGS(pops->group), row == NULL ? 0 : row->next, q->next);
	for (size_t i = 0; i < q->size; i++) {
		*live += q->given[i].live;
		if (!same_entry(&q->given[i], pop_row_find(row, i)))
			return ledger_say(why, "%.*s/%u: message %zu is not checked out by %.*s as it was", SPAN_ARGS(pops->topic),
					  pops->queue_id, i, SPAN_ARGS(pops->group));
	}
	if (position_of(q) > 0 && (!offsets_get(core->offsets, key.topic_id, key.group_id, key.queue_id, &offset) ||
				   offset < position_of(q)))
		return ledger_say(why, "%.*s/%u: the consumer offset of %.*s, %" PRId64 ", does not follow what is done, up to %" PRId64,
				  SPAN_ARGS(pops->topic), pops->queue_id, SPAN_ARGS(pops->group), offset, position_of(q));
	return true;
}

bool ledger_pops_check(const struct ledger *l, size_t count, struct core *core, char *why)
{
	size_t live = 0;

	for (size_t i = 0; i < l->pop_count; i++) {
		if (l->pops[i].count == 0 || l->pops[i].steps[0].record >= count)
			continue;
		struct given_queue q = state_of(&l->pops[i], count);
		bool good = check_queue(&l->pops[i], &q, core, &live, why);
		free(q.given);
		if (!good)
			return false;
	}
	return core->pops.live == live || ledger_say(why, "%zu messages are checked out, not %zu", core->pops.live, live);
}

size_t ledger_pop_overdue(const struct ledger *l, int64_t now_ms)
{
	size_t overdue = 0;

	for (size_t i = 0; i < l->pop_count; i++) {
		struct given_queue q = state_of(&l->pops[i], SIZE_MAX);
		for (size_t n = 0; n < q.size; n++) {
			const struct given *g = &q.given[n];
			overdue += g->live && !g->orderly && g->pop_ms + g->invisible_ms <= now_ms;
		}
		free(q.given);
	}
	return overdue;
}
