#include "tests/sim/consumer.h"

#include <stdlib.h>

#include "client-sdk/src/allocate.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/leaving.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { BEAT_MS = 1500, FIRST_BEAT_MS = 200, BEAT_TIMEOUT_MS = 2000, REBALANCE_MS = 3000, REBALANCE_SOON_MS = 50,
       MEMBERS_TIMEOUT_MS = 1000, GREEDY_PULLS = 100, GREEDY_QUEUES = 6 };

static void start(struct loop *loop, struct loop_timer *timer, int64_t after_ms, loop_callback callback, void *context)
{
	if (loop_timer_start(loop, timer, after_ms, false, callback, context) != ST_OK)
		abort();
}

/* Its topics: all, and its own retries. */
static bool subscribes(const struct consumer *consumer, int place)
{
	return place < settings()->topics || place == place_retry(consumer->group);
}

/* --- heartbeats --------------------------------------------------------------------------------------------------------- */

/* What a heartbeat tells; `with` is called while it is there. */
static void with_beat(struct consumer *consumer, const char *address,
		      void (*with)(struct consumer *consumer, const char *address, const struct heartbeat *beat))
{
	struct subscription_data subscriptions[PLACES_MAX];
	uint8_t texts[PLACES_MAX][256];
	size_t count = 0;

	for (int place = 0; place < PLACES_MAX; place++) {
		if (!subscribes(consumer, place))
			continue;
		subscriptions[count++] = (struct subscription_data){
			.topic = model_place_name(place, texts[place]), .sub_version = consumer->sub_version,
			.sub_string = place < TOPICS_MAX ? span_of(consumer_group_expression(consumer->group)) : SPAN_LITERAL("*"),
		};
	}
	struct consumer_data data = { .group_name = span_of(consumer_group_name(consumer->group)),
				      .consume_type = CONSUME_PASSIVELY, .message_model = MODEL_CLUSTERING,
				      .subscriptions = subscriptions, .subscription_count = count };
	struct heartbeat beat = { .client_id = span_of(consumer->node.id), .consumers = &data, .consumer_count = 1 };
	with(consumer, address, &beat);
}

static void send_beat(struct consumer *consumer, const char *address, const struct heartbeat *beat)
{
	struct errinfo err;
	struct encoder *encoder = client_begin(consumer->node.client, address, REQ_HEART_BEAT, false, &err);

	if (encoder == NULL)
		return;
	command_body(encoder);
	heartbeat_encode(encoder->out, beat);
	client_send(consumer->node.client, BEAT_TIMEOUT_MS, client_beat_answered, &consumer->node);
}

static void beat_at(void *context, const char *address)
{
	with_beat(context, address, send_beat);
}

static void on_beat(void *context)
{
	struct consumer *consumer = context;

	for (int place = 0; place < PLACES_MAX; place++) {
		if (subscribes(consumer, place))
			(void)client_route(&consumer->node, place);
	}
	client_each_broker(&consumer->node, beat_at, consumer);
	start(consumer->node.loop, &consumer->beat, consumer->node.routes[0].view == NULL ? FIRST_BEAT_MS : BEAT_MS, on_beat,
	      consumer);
}

/* --- which queues are ours ---------------------------------------------------------------------------------------------- */

struct members_question {
	struct consumer *consumer;
	int place, broker;
	int64_t asked_us;
};

static void take_part(struct consumer *consumer, int place, const struct name_list *members)
{
	const struct route_view *view = consumer->node.routes[place].view;
	size_t first, mine, moved = 0;

	if (view == NULL)
		return;
	mine = allocate_averagely(view->subscribe_count, members->names, members->count, span_of(consumer->node.id), &first);
	for (size_t i = first; i < first + mine; i++) {
		int broker = broker_index_of_name(span_of(view->brokers[view->subscribe[i].broker].name));
		int queue_id = view->subscribe[i].queue_id;

		if (broker < 0 || queue_id >= QUEUES_MAX)
			continue;
		if (held_queue_find(consumer, broker, place, queue_id) == NULL) {
			held_queue_take(consumer, broker, place, queue_id);
			leaving_queue_taken(&consumer->node, consumer->group, broker, place, queue_id);
			moved++;
		}
		held_queue_keep(held_queue_find(consumer, broker, place, queue_id));
	}
	if (held_queues_drop_others(consumer, place) + moved > 0)
		event_seen(SEEN_REBALANCE);
}

static void on_members(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct members_question *question = context;
	struct consumer *consumer = question->consumer;
	int place = question->place, broker = question->broker;
	int64_t asked_us = question->asked_us;
	struct name_list members;
	bool present = false;

	(void)err;
	free(question);
	consumer->asking_members[place] = false;
	if (consumer->node.dying || status != ST_OK || answer->code != RESP_SUCCESS ||
	    consumer_list_decode(answer->body, &members, NULL) != ST_OK)
		return;
	for (size_t i = 0; i < members.count; i++)
		present = present || span_is(members.names[i], consumer->node.id);
	leaving_check_members(broker, asked_us, &members);
	if (present && !consumer->node.leaving)
		take_part(consumer, place, &members);
	name_list_free(&members);
}

static void ask_members(struct consumer *consumer, int place)
{
	const struct route_view *view = client_route(&consumer->node, place);
	struct errinfo err;

	if (view == NULL || view->broker_count == 0 || consumer->asking_members[place])
		return;
	size_t which = (size_t)chance_below(&consumer->node.habits, view->broker_count);
	const char *address = view_broker_address(&view->brokers[which], MASTER_ID);
	struct encoder *encoder = address == NULL ? NULL : client_begin(consumer->node.client, address,
									REQ_GET_CONSUMER_LIST_BY_GROUP, false, &err);
	struct members_question *question = encoder == NULL ? NULL : malloc(sizeof(*question));
	if (question == NULL)
		return;
	*question = (struct members_question){ consumer, place, broker_index_of_address(address), engine_now_us() };
	consumer_group_encode(encoder, span_of(consumer_group_name(consumer->group)));
	consumer->asking_members[place] = true;
	client_send(consumer->node.client, MEMBERS_TIMEOUT_MS, on_members, question);
}

static void on_rebalance(void *context)
{
	struct consumer *consumer = context;

	for (int place = 0; place < PLACES_MAX; place++) {
		if (subscribes(consumer, place))
			ask_members(consumer, place);
	}
	start(consumer->node.loop, &consumer->rebalance, consumer->queues == NULL ? REBALANCE_SOON_MS * 6 : REBALANCE_MS,
	      on_rebalance, consumer);
}

static void on_request(void *context, struct client_conn *conn, const struct command *request)
{
	struct consumer *consumer = context;

	(void)conn;
	if (request->code == REQ_NOTIFY_CONSUMER_IDS_CHANGED && !consumer->node.leaving)
		start(consumer->node.loop, &consumer->rebalance, REBALANCE_SOON_MS, on_rebalance, consumer);
}

/* --- greed -------------------------------------------------------------------------------------------------------------- */

static void on_greedy_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	(void)context;
	(void)status;
	(void)answer;
	(void)err;
}

static void on_satisfied(void *context)
{
	struct consumer *consumer = context;

	virtual_client_read(consumer->node.client, true);
	consumer->greedy = false;
}

/* Many long polls at the end of a queue: each of them gets what comes next. */
static void pull_greedily(struct consumer *consumer, const struct held_position *at)
{
	struct errinfo err;
	uint8_t text[256];

	for (int i = 0; i < GREEDY_PULLS; i++) {
		struct encoder *encoder = client_begin(consumer->node.client, broker_node_address(broker_node(at->broker)),
						       REQ_PULL_MESSAGE, false, &err);
		struct pull_header header = {
			.consumer_group = span_of(consumer_group_name(consumer->group)), .topic = model_place_name(at->place, text),
			.queue_id = at->queue_id, .queue_offset = at->next_offset, .max_msg_nums = 1024,
			.sys_flag = PULL_SUBSCRIPTION | PULL_SUSPEND, .subscription = SPAN_LITERAL("*"), .suspend_timeout_ms = 10000,
			.max_msg_bytes = -1,
		};

		if (encoder == NULL)
			return;
		pull_header_encode(encoder, &header);
		client_send(consumer->node.client, 20000, on_greedy_answer, NULL);
	}
}

void consumer_be_greedy(struct consumer *consumer, int64_t for_ms)
{
	struct process *before = process_switch(consumer->node.process);

	note("%s pulls and does not read", consumer->node.process->name);
	fault_seen(FAULT_SLOW_READER);
	consumer->greedy = true;
	struct held_position positions[GREEDY_QUEUES];
	size_t count = held_queues_positions(consumer, positions, GREEDY_QUEUES);
	for (size_t i = 0; i < count; i++)
		pull_greedily(consumer, &positions[i]);
	virtual_client_read(consumer->node.client, false);
	start(consumer->node.loop, &consumer->greed, for_ms, on_satisfied, consumer);
	virtual_loop_end_turn(consumer->node.loop);
	process_switch(before);
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

void consumer_init(struct consumer *consumer, const char *name, int group)
{
	client_node_init(&consumer->node, name);
	consumer->group = group;
}

void consumer_start(struct consumer *consumer)
{
	struct client_callbacks callbacks = { consumer, on_request, NULL };

	if (consumer_runs(consumer))
		return;
	client_node_start(&consumer->node, &callbacks);
	consumer->beat = consumer->rebalance = consumer->greed = (struct loop_timer){ 0 };
	consumer->sub_version = engine_now_ms() + 1;
	consumer->greedy = false;
	memset(consumer->asking_members, 0, sizeof(consumer->asking_members));
	start(consumer->node.loop, &consumer->beat, 1, on_beat, consumer);
	start(consumer->node.loop, &consumer->rebalance, FIRST_BEAT_MS, on_rebalance, consumer);
	note("%s starts", consumer->node.process->name);
}

void consumer_die(struct consumer *consumer)
{
	if (!consumer_runs(consumer))
		return;
	loop_timer_stop(&consumer->beat);
	loop_timer_stop(&consumer->rebalance);
	loop_timer_stop(&consumer->greed);
	client_node_die(&consumer->node);
	held_queues_free(consumer);
}

static void say_goodbye_with(struct consumer *consumer, const char *address, const struct heartbeat *beat)
{
	leaving_say_goodbye(&consumer->node, address, beat, NULL, consumer_group_name(consumer->group));
}

static void say_goodbye(void *context, const char *address)
{
	with_beat(context, address, say_goodbye_with);
}

void consumer_leave(struct consumer *consumer)
{
	note("%s leaves", consumer->node.process->name);
	consumer->node.leaving = true;
	loop_timer_stop(&consumer->beat);
	loop_timer_stop(&consumer->rebalance);
	held_queues_drop_all(consumer);
	client_each_broker(&consumer->node, say_goodbye, consumer);
	virtual_loop_end_turn(consumer->node.loop);
}
