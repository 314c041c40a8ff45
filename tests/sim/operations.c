#include "tests/sim/operations.h"

#include <stddef.h>

#include "tests/sim/admin.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/cluster.h"
#include "tests/sim/engine.h"
#include "tests/sim/fairs.h"
#include "tests/sim/keys.h"
#include "tests/sim/ledger.h"
#include "tests/sim/plan.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

/* --- who and what ------------------------------------------------------------------------------------------------------- */

static bool acts(const struct producer *producer)
{
	return producer_runs(producer) && !producer->node.leaving && producer->node.process->paused_until_us <= engine_now_us();
}

/* One that runs; NULL: the one chosen does not. */
static struct producer *some_producer(struct chance *chance)
{
	struct producer *producer = cluster_producer((int)chance_below(chance, (uint64_t)cluster_producers()));

	return acts(producer) ? producer : NULL;
}

/* One of the item's group. */
static struct producer *producer_of(const struct item *item, struct chance *chance)
{
	uint64_t from = chance_below(chance, (uint64_t)cluster_producers());

	for (int i = 0; i < cluster_producers(); i++) {
		struct producer *producer = cluster_producer((int)((from + (uint64_t)i) % (uint64_t)cluster_producers()));

		if (producer->group == item->group && acts(producer))
			return producer;
	}
	return NULL;
}

/* What was produced in this turn leaves at its end. */
static void end_turn(struct producer *producer)
{
	virtual_loop_end_turn(producer->node.loop);
}

/* Mostly one of the last, now and then an old one. NULL: the one that was drawn does not fit. */
static struct item *some_item(uint32_t number, struct chance *chance, bool transactional)
{
	uint32_t reach = chance_one_in(chance, 4) ? number : 60;
	uint32_t back = 1 + (uint32_t)chance_below(chance, reach < number ? reach : number + 1);

	/* Look a little further back for one that fits. */
	for (uint32_t i = 0; i < 20 && back + i <= number; i++) {
		struct item *item = model_item((number + 1 - back - i) * ITEMS_PER_OPERATION);

		if (item != NULL && item->transactional == transactional && item->sends > 0)
			return item;
	}
	return NULL;
}

/* Half of the time one that is parked, if there is one. */
static struct item *some_open_item(uint32_t number, struct chance *chance)
{
	bool parked = chance_one_in(chance, 2);

	for (uint32_t i = 0; parked && i < 400 && i <= number; i++) {
		struct item *item = model_item((number + 1 - i) * ITEMS_PER_OPERATION);

		if (item != NULL && item->half_acked && admin_state(item) == TXN_PARKED)
			return item;
	}
	return some_item(number, chance, true);
}

static struct item *new_item(uint32_t number, uint32_t part, const struct producer *producer, struct chance *chance)
{
	struct item *item = model_add((number + 1) * ITEMS_PER_OPERATION + part);

	item->group = producer->group;
	item->topic = (int)chance_below(chance, (uint64_t)settings()->topics);
	item->tag = (int)chance_below(chance, TAGS);
	item->body_size = 1 + (uint32_t)chance_below(chance, settings()->body_max);
	item->delay_level = chance_percent(chance, 12) ? (int)chance_between(chance, 1, DELAY_LEVELS) : 0;
	return item;
}

/* --- messages and transactions ---------------------------------------------------------------------------------------------- */

void operation_transaction(uint32_t number, struct chance *chance)
{
	struct producer *producer = some_producer(chance);

	if (producer == NULL)
		return;
	struct item *item = new_item(number, 0, producer, chance);
	item->transactional = true;
	item->immunity_ms = chance_percent(chance, 10) ? 1000 * chance_between(chance, 0, 12) : settings()->transaction_timeout_ms;
	business_draw(item, chance);
	note("%s begins transaction %s (%s%s, database will say %s)", producer->node.process->name, item->key,
	     topic_name(item->topic), item->delay_level > 0 ? ", delayed" : "",
	     business_of(item)->wish == LOCAL_COMMITTED ? "commit" : business_of(item)->wish == LOCAL_OPEN ? "nothing" : "rollback");
	producer_send(producer, item, chance_one_in(chance, 4) ? -1 : 0);
	end_turn(producer);
}

void operation_message(uint32_t number, struct chance *chance)
{
	struct producer *producer = some_producer(chance);

	if (producer == NULL)
		return;
	struct item *item = new_item(number, 0, producer, chance);
	business_draw(item, chance);
	note("%s sends %s (%s%s)", producer->node.process->name, item->key, topic_name(item->topic),
	     item->delay_level > 0 ? ", delayed" : "");
	producer_send(producer, item, chance_one_in(chance, 4) ? -1 : 0);
	end_turn(producer);
}

void operation_batch(uint32_t number, struct chance *chance)
{
	struct producer *producer = some_producer(chance);
	struct item *items[BATCH_MAX];
	int count = (int)chance_between(chance, 2, BATCH_MAX);

	if (producer == NULL)
		return;
	for (int i = 0; i < count; i++) {
		items[i] = new_item(number, (uint32_t)i, producer, chance);
		items[i]->topic = items[0]->topic;
		items[i]->delay_level = 0;
		items[i]->body_size = 1 + items[i]->body_size % 300;
		business_draw(items[i], chance);
	}
	note("%s sends a batch of %d from %s on", producer->node.process->name, count, items[0]->key);
	producer_send_batch(producer, items, count, -1);
	end_turn(producer);
}

void operation_send_again(uint32_t number, struct chance *chance)
{
	struct item *item = some_item(number, chance, true);
	struct producer *producer = item == NULL || !item->half_acked ? NULL : producer_of(item, chance);

	/* What was decided longer ago than the log reaches begins anew, as nobody knows its name. */
	if (producer == NULL || broker_node_let_go(broker_node(item->broker), item->half_offset))
		return;
	producer_send_again(producer, item);
	end_turn(producer);
}

/* Late, repeated and, by those who contradict themselves, opposite. */
void operation_end_again(uint32_t number, struct chance *chance)
{
	struct item *item = some_open_item(number, chance);
	struct producer *producer = item == NULL || !item->half_acked ? NULL : producer_of(item, chance);

	if (producer == NULL)
		return;
	enum record_outcome outcome = business_truth(item);
	if (outcome == 0)
		return;
	if (!producer_group_is_honest(item->group) && chance_one_in(chance, 3)) {
		fault_seen(FAULT_CONTRADICTION);
		outcome = outcome == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT;
	}
	producer_end(producer, item, outcome, chance_one_in(chance, 4));
	end_turn(producer);
}

/* --- operators ---------------------------------------------------------------------------------------------------------------- */

void operation_decide(uint32_t number, struct chance *chance)
{
	static const enum record_outcome words[] = { OUTCOME_PARK, OUTCOME_RESUME, OUTCOME_COMMIT, OUTCOME_ROLLBACK };
	struct item *item = some_open_item(number, chance);
	enum record_outcome word = words[chance_below(chance, 4)];

	if (item != NULL && item->half_acked)
		(void)admin_decide(item, word);
}

void operation_resume(uint32_t number, struct chance *chance)
{
	struct item *item = some_open_item(number, chance);

	if (item == NULL || !item->half_acked)
		return;
	note("an operator asks to resume %s", item->key);
	admin_resume(item);
}

/* The last timer that was acknowledged, due or not. */
void operation_recall(uint32_t number, struct chance *chance)
{
	for (uint32_t i = 0; i < 200 && i <= number; i++) {
		struct item *item = model_item((number + 1 - i) * ITEMS_PER_OPERATION);

		if (item == NULL || item->recall_at_ms == 0 || (item->recall_asked && !chance_one_in(chance, 4)))
			continue;
		note("somebody recalls %s", item->key);
		admin_recall(item);
		return;
	}
}

void operation_look(uint32_t number, struct chance *chance)
{
	int broker = (int)chance_below(chance, (uint64_t)settings()->brokers);
	struct item *item = some_item(number, chance, false);

	switch (chance_below(chance, 6)) {
	case 0:
	case 1:
		admin_positions(broker, (int)chance_below(chance, (uint64_t)settings()->topics),
				(int)chance_below(chance, (uint64_t)settings()->queues), chance);
		break;
	case 2:
		if (item != NULL && item->acks > 0)
			admin_view(item);
		break;
	case 3:
	case 4:
		item = some_item(number, chance, chance_one_in(chance, 2));
		if (item != NULL)
			keys_look(item, chance);
		break;
	default: admin_members(broker, (int)chance_below(chance, CONSUMER_GROUPS)); break;
	}
}

void operation_ledger(uint32_t number, struct chance *chance)
{
	(void)number;
	ledger_step(chance);
}

void operation_fairs(uint32_t number, struct chance *chance)
{
	(void)number;
	fairs_step(chance);
}

void operation_settings(uint32_t number, struct chance *chance)
{
	int broker = (int)chance_below(chance, (uint64_t)settings()->brokers);

	(void)number;
	if (chance_one_in(chance, 2))
		admin_make_topic(broker, (int)chance_below(chance, (uint64_t)settings()->topics));
	else
		admin_set_group(broker, (int)chance_below(chance, CONSUMER_GROUPS));
}
