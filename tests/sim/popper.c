#include "tests/sim/popper.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/wire/header_pop.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { TURN_MS = 300, TIMEOUT_MS = 2000, POLL_MAX_MS = 2000, INVISIBLE_MIN_MS = 800, INVISIBLE_MAX_MS = 3000, BATCH_MAX = 8,
       HANDLE_SIZE = 160, LAPSE_PERCENT = 8, DOOMED_PERCENT = 2, CHANGE_ONE_IN = 3, ACK_AGAIN_ONE_IN = 8 };

/* A message that it was given. */
struct given {
	struct given *prev, *next;
	struct popper *popper;
	int broker, place;        /* Its topic, or the group's retry topic for that. */
	uint32_t item;
	int32_t queue_id;
	uint64_t offset;
	int64_t asked_us;         /* It was given out later than that, */
	int64_t invisible_ms;     /* for so long. */
	char handle[HANDLE_SIZE];
	struct loop_timer timer;
};

/* A request for messages. */
struct pop {
	struct popper *popper;
	int broker, topic;
	int64_t asked_us, invisible_ms;
	int64_t pop_ms;           /* As answered. */
};

static void ignore_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	(void)context;
	(void)status;
	(void)answer;
	(void)err;
}

static struct encoder *begin_at(struct popper *popper, int broker, int32_t code)
{
	struct errinfo err;

	return client_begin(popper->node.client, broker_node_address(broker_node(broker)), code, false, &err);
}

/* --- a message --------------------------------------------------------------------------------------------------------- */

static void free_given(struct given *given)
{
	loop_timer_stop(&given->timer);
	DL_DELETE(given->popper->given, given);
	free(given);
}

static void put_handle(struct encoder *encoder, const struct given *given, int64_t invisible_ms)
{
	uint8_t text[256];

	pop_ack_encode(encoder, &(struct pop_ack_header){
		.consumer_group = span_of(pop_group_name()), .topic = model_place_name(given->place, text), .queue_id = given->queue_id,
		.extra_info = span_of(given->handle), .offset = (int64_t)given->offset, .invisible_ms = invisible_ms });
}

/* Settled for good if the broker's clock cannot have passed its time when it served the request. */
static void on_acked(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct given *given = context;

	(void)err;
	if (given->popper->node.dying)
		return;
	if (status == ST_OK && answer->code == RESP_SUCCESS)
		model_pop_acked(model_item(given->item), given->broker, given->asked_us, given->invisible_ms);
	free_given(given);
}

static void acknowledge(void *context)
{
	struct given *given = context;
	struct client_node *node = &given->popper->node;
	bool again = chance_one_in(&node->habits, ACK_AGAIN_ONE_IN);
	struct encoder *encoder = begin_at(given->popper, given->broker, REQ_ACK_MESSAGE);

	if (encoder == NULL) {
		free_given(given); /* It will come again. */
		return;
	}
	put_handle(encoder, given, 0);
	model_pop_done(model_item(given->item));
	client_send(node->client, TIMEOUT_MS, on_acked, given);
	encoder = again ? begin_at(given->popper, given->broker, REQ_ACK_MESSAGE) : NULL;
	if (encoder == NULL)
		return;
	put_handle(encoder, given, 0);
	client_send(node->client, TIMEOUT_MS, ignore_answer, NULL);
}

/* Is not acknowledged: the broker may be told when it is to come again. */
static void let_lapse(struct given *given)
{
	struct client_node *node = &given->popper->node;
	struct encoder *encoder = chance_one_in(&node->habits, CHANGE_ONE_IN) ?
		begin_at(given->popper, given->broker, REQ_CHANGE_MESSAGE_INVISIBLETIME) : NULL;

	if (encoder != NULL) {
		put_handle(encoder, given, chance_between(&node->habits, 100, INVISIBLE_MAX_MS));
		client_send(node->client, TIMEOUT_MS, ignore_answer, NULL);
	}
	free_given(given);
}

/* The same message fares the same, whoever has it. */
static bool goes_well(uint32_t item, int32_t reconsume_times)
{
	uint64_t name = (uint64_t)item << 16 | (uint64_t)CONSUMER_GROUPS << 8;
	struct chance doom = chance_of(engine_seed(), CHANCE_CONSUME, name, 0);
	struct chance luck = chance_of(engine_seed(), CHANCE_CONSUME, name | (uint64_t)(reconsume_times + 1), 0);

	return !chance_percent(&doom, DOOMED_PERCENT) && !chance_percent(&luck, LAPSE_PERCENT);
}

/* Came with the message when it is from a retry topic; else made as RocketMQ's clients do. */
static void make_handle(struct given *given, struct span came, int64_t pop_ms)
{
	if (came.size == 0)
		snprintf(given->handle, sizeof(given->handle), "%" PRIu64 " %" PRId64 " %" PRId64 " 0 0 broker %d %" PRIu64,
			 given->offset, pop_ms, given->invisible_ms, given->queue_id, given->offset);
	else if (span_to_cstr(came, given->handle, sizeof(given->handle)) != ST_OK)
		violation("I3", "a handle is too long: %.*s", SPAN_ARGS(came));
}

static void take_message(struct pop *pop, const struct message *message)
{
	struct popper *popper = pop->popper;
	struct span handle = property_get(message->properties, PROPERTY_POP_CK);
	int place = handle.size > 0 ? place_pop_retry(pop->topic) : pop->topic;
	struct item *item = model_popped(pop->broker, place, message);
	struct given *given = item == NULL ? NULL : calloc(1, sizeof(*given));

	if (given == NULL)
		return;
	*given = (struct given){ .popper = popper, .broker = pop->broker, .place = place, .item = item->number,
				 .queue_id = message->queue_id, .offset = (uint64_t)message->queue_offset, .asked_us = pop->asked_us,
				 .invisible_ms = pop->invisible_ms };
	DL_APPEND(popper->given, given);
	note("%s is given %s, attempt %d, offset %" PRIu64 " of queue %d%s", popper->node.process->name, item->key,
	     message->reconsume_times + 1, given->offset, given->queue_id, handle.size > 0 ? " of the retry topic" : "");
	make_handle(given, handle, pop->pop_ms);
	if (!goes_well(item->number, message->reconsume_times)) {
		let_lapse(given);
		return;
	}
	int64_t takes_ms = chance_skewed(&popper->node.habits, 0, 2 * INVISIBLE_MIN_MS);
	if (loop_timer_start(popper->node.loop, &given->timer, takes_ms, false, acknowledge, given) != ST_OK)
		abort();
}

/* --- asking ------------------------------------------------------------------------------------------------------------ */

static void ask(struct popper *popper, int broker, int topic);

static void on_popped(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct pop *pop = context;
	struct popper *popper = pop->popper;
	struct message message;

	(void)err;
	popper->asking[pop->broker][pop->topic] = false;
	if (!popper->node.dying && status == ST_OK && answer->code == RESP_SUCCESS) {
		struct span body = answer->body;

		if (command_field_i64(answer, "popTime", &pop->pop_ms, NULL) != ST_OK)
			violation("I3", "the answer to a POP has no popTime");
		while (!violated() && (status = message_next(&body, &message, NULL)) == ST_OK)
			take_message(pop, &message);
		if (!violated() && status != ST_NOTFOUND)
			violation("I3", "the body of a POP's answer cannot be read");
		ask(popper, pop->broker, pop->topic);
	}
	free(pop);
}

static void ask(struct popper *popper, int broker, int topic)
{
	struct client_node *node = &popper->node;
	int64_t poll_ms = chance_between(&node->habits, 0, POLL_MAX_MS);
	struct encoder *encoder = begin_at(popper, broker, REQ_POP_MESSAGE);
	struct pop *pop = encoder == NULL ? NULL : malloc(sizeof(*pop));

	if (pop == NULL)
		return;
	*pop = (struct pop){ popper, broker, topic, engine_now_us(),
			     chance_between(&node->habits, INVISIBLE_MIN_MS, INVISIBLE_MAX_MS), 0 };
	pop_header_encode(encoder, &(struct pop_header){
		.consumer_group = span_of(pop_group_name()), .topic = span_of(topic_name(topic)), .queue_id = -1,
		.max_msg_nums = BATCH_MAX, .invisible_ms = pop->invisible_ms, .poll_ms = poll_ms, .expression = SPAN_LITERAL("*") });
	popper->asking[broker][topic] = true;
	client_send(node->client, poll_ms + TIMEOUT_MS, on_popped, pop);
}

/* --- the group --------------------------------------------------------------------------------------------------------- */

struct making {
	struct popper *popper;
	int broker;
};

static void on_group_made(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct making *making = context;

	(void)err;
	making->popper->making_group[making->broker] = false;
	if (!making->popper->node.dying && status == ST_OK && answer->code == RESP_SUCCESS)
		making->popper->group_made[making->broker] = true;
	free(making);
}

static void make_group(struct popper *popper, int broker)
{
	struct encoder *encoder = begin_at(popper, broker, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);
	struct making *making = encoder == NULL ? NULL : malloc(sizeof(*making));

	if (making == NULL)
		return;
	*making = (struct making){ popper, broker };
	client_put_group(encoder, pop_group_name());
	popper->making_group[broker] = true;
	client_send(popper->node.client, TIMEOUT_MS, on_group_made, making);
}

/* --- life -------------------------------------------------------------------------------------------------------------- */

static void visit_topic(struct popper *popper, int topic)
{
	const struct route_view *view = client_route(&popper->node, topic);

	for (size_t i = 0; view != NULL && i < view->broker_count; i++) {
		int broker = broker_index_of_name(span_of(view->brokers[i].name));

		if (broker < 0)
			continue;
		if (!popper->group_made[broker] && !popper->making_group[broker])
			make_group(popper, broker);
		else if (popper->group_made[broker] && !popper->asking[broker][topic])
			ask(popper, broker, topic);
	}
}

static void on_turn(void *context)
{
	struct popper *popper = context;

	for (int topic = 0; topic < settings()->topics; topic++)
		visit_topic(popper, topic);
	if (loop_timer_start(popper->node.loop, &popper->turn, TURN_MS, false, on_turn, popper) != ST_OK)
		abort();
}

void popper_init(struct popper *popper, const char *name)
{
	*popper = (struct popper){ 0 };
	client_node_init(&popper->node, name);
}

void popper_start(struct popper *popper)
{
	if (popper_runs(popper))
		return;
	client_node_start(&popper->node, NULL);
	popper->turn = (struct loop_timer){ 0 };
	memset(popper->group_made, 0, sizeof(popper->group_made));
	if (loop_timer_start(popper->node.loop, &popper->turn, 1, false, on_turn, popper) != ST_OK)
		abort();
	note("%s starts", popper->node.process->name);
}

void popper_die(struct popper *popper)
{
	if (!popper_runs(popper))
		return;
	loop_timer_stop(&popper->turn);
	client_node_die(&popper->node);
	while (popper->given != NULL)
		free_given(popper->given);
}
