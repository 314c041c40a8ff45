#include "tests/sim/producer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/leaving.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { BEAT_MS = 2000, FIRST_BEAT_MS = 50, BEAT_TIMEOUT_MS = 2000, PLACES_ASKED = 3 };

/* An answer to a check-back that takes its time. */
struct late_answer {
	struct late_answer *prev, *next;
	struct producer *producer;
	uint32_t item;
	enum record_outcome outcome;
	bool oneway;
	char address[BROKER_ADDRESS_SIZE];
	struct loop_timer timer;
};

/* --- heartbeats --------------------------------------------------------------------------------------------------------- */

static void beat_at(void *context, const char *address)
{
	struct producer *producer = context;
	struct span groups[] = { span_of(producer_group_name(producer->group)) };
	struct heartbeat beat = { .client_id = span_of(producer->node.id), .producer_groups = groups, .producer_count = 1 };
	struct errinfo err;
	struct encoder *encoder = client_begin(producer->node.client, address, REQ_HEART_BEAT, false, &err);

	if (encoder == NULL)
		return;
	command_body(encoder);
	heartbeat_encode(encoder->out, &beat);
	client_send(producer->node.client, BEAT_TIMEOUT_MS, client_beat_answered, &producer->node);
}

/* As RocketMQ's clients: the routes of all that it ever sent to are asked for again and again. One that has begun anew sends to
 * each in the end: a broker that it knows by no route asks it nothing. */
static bool wants_route(const struct producer *producer, int place)
{
	int from_the_start = business_is_truthful() ? TOPICS_MAX : PLACES_ASKED;

	return (place < from_the_start && place < settings()->topics) || producer->node.routes[place].asked_ms != 0;
}

static void on_beat(void *context)
{
	struct producer *producer = context;

	for (int place = 0; place < PLACES_MAX; place++) {
		if (wants_route(producer, place))
			(void)client_route(&producer->node, place);
	}
	client_each_broker(&producer->node, beat_at, producer);
}

static void on_first_beat(void *context)
{
	struct producer *producer = context;
	int64_t every_ms = BEAT_MS;

	on_beat(producer);
	/* Soon again, until there are brokers to beat at. */
	if (producer->node.routes[0].view == NULL)
		every_ms = FIRST_BEAT_MS * 4;
	if (loop_timer_start(producer->node.loop, &producer->beat, every_ms, false, on_first_beat, producer) != ST_OK)
		abort();
}

/* --- check-backs -------------------------------------------------------------------------------------------------------- */

static void on_late(void *context)
{
	struct late_answer *late = context;
	struct producer *producer = late->producer;
	struct item *item = model_item(late->item);

	DL_DELETE(producer->late, late);
	producer_end_checked(producer, item, late->address, late->outcome, late->oneway);
	free(late);
}

static void answer_later(struct producer *producer, const struct item *item, const char *address, enum record_outcome outcome,
			 bool oneway, int64_t after_ms)
{
	struct late_answer *late = calloc(1, sizeof(*late));

	if (late == NULL)
		abort();
	late->producer = producer;
	late->item = item->number;
	late->outcome = outcome;
	late->oneway = oneway;
	memcpy(late->address, address, strlen(address) + 1);
	DL_APPEND(producer->late, late);
	if (loop_timer_start(producer->node.loop, &late->timer, after_ms, false, on_late, late) != ST_OK)
		abort();
}

static void answer_check(struct producer *producer, struct item *item, const char *address)
{
	struct chance *habits = &producer->node.habits;
	bool silent;
	enum record_outcome outcome = business_check(item, &silent);

	note("%s is asked about %s: %s", producer->node.process->name, item->key,
	     silent ? "no answer" : outcome == 0 ? "unknown" : record_outcome_text(outcome));
	if (silent)
		return;
	bool oneway = chance_one_in(habits, 2);
	if (chance_one_in(habits, 10) && !business_is_truthful())
		answer_later(producer, item, address, outcome, oneway, chance_between(habits, 100, 5000));
	else
		producer_end_checked(producer, item, address, outcome, oneway);
}

static void on_request(void *context, struct client_conn *conn, const struct command *request)
{
	struct producer *producer = context;
	struct check_transaction_header header;
	struct message message;
	struct errinfo err;

	if (request->code != REQ_CHECK_TRANSACTION_STATE)
		return;
	if (check_transaction_decode(request, &header, &err) != ST_OK || message_decode(request->body, &message, &err) != ST_OK) {
		violation("I3", "a check-back that cannot be read: %s", err.text);
		return;
	}
	int broker = broker_index_of_address(client_conn_address(conn));
	struct item *item = model_checked(property_get(message.properties, PROPERTY_UNIQ_KEY), broker,
					  (uint64_t)header.commit_log_offset, (uint64_t)header.tran_state_table_offset);
	if (item == NULL)
		return;
	if (item->group != producer->group)
		violation("I3", "%s of group %s is asked about %s of another group", producer->node.process->name,
			  producer_group_name(producer->group), item->key);
	if (business_of(item)->sender != producer->node.process->number)
		event_seen(SEEN_CHECK_OTHER);
	leaving_check_asked(&producer->node, broker, business_of(item)->sender);
	/* The answer to the half may have been lost: the check tells where it is. */
	item->half_offset = (uint64_t)header.commit_log_offset;
	item->half_queue_offset = (uint64_t)header.tran_state_table_offset;
	answer_check(producer, item, client_conn_address(conn));
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

void producer_init(struct producer *producer, const char *name, int group)
{
	client_node_init(&producer->node, name);
	producer->group = group;
}

void producer_start(struct producer *producer)
{
	struct client_callbacks callbacks = { producer, on_request, NULL };

	if (producer_runs(producer))
		return;
	client_node_start(&producer->node, &callbacks);
	producer->beat = (struct loop_timer){ 0 };
	if (loop_timer_start(producer->node.loop, &producer->beat, 1, false, on_first_beat, producer) != ST_OK)
		abort();
	note("%s starts", producer->node.process->name);
}

void producer_die(struct producer *producer)
{
	struct late_answer *late, *next;

	if (!producer_runs(producer))
		return;
	loop_timer_stop(&producer->beat);
	DL_FOREACH_SAFE(producer->late, late, next) {
		loop_timer_stop(&late->timer);
		DL_DELETE(producer->late, late);
		free(late);
	}
	client_node_die(&producer->node);
	sendings_free(producer);
}

static void say_goodbye(void *context, const char *address)
{
	struct producer *producer = context;
	const char *group = producer_group_name(producer->group);
	struct span groups[] = { span_of(group) };
	struct heartbeat beat = { .client_id = span_of(producer->node.id), .producer_groups = groups, .producer_count = 1 };

	leaving_say_goodbye(&producer->node, address, &beat, group, NULL);
}

void producer_leave(struct producer *producer)
{
	note("%s leaves", producer->node.process->name);
	producer->node.leaving = true;
	loop_timer_stop(&producer->beat);
	client_each_broker(&producer->node, say_goodbye, producer);
	virtual_loop_end_turn(producer->node.loop);
}

bool producer_is_idle(const struct producer *producer)
{
	return producer->sendings == NULL && producer->late == NULL;
}
