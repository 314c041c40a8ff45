#include "tests/sim/leaving.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/wire/headers.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { TIMEOUT_MS = 2000, GONE_MAX = 2000, PROCESSES_MAX = 32, ID_SIZE = sizeof(((struct client_node *)0)->id) };

/* A client that a broker has let go. */
struct gone {
	char id[ID_SIZE];
	int broker;
	int64_t since_us;
};

struct farewell {
	struct client_node *node;
	int broker;
	const char *producer_group, *consumer_group;
};

static struct gone gone[GONE_MAX];
static size_t gone_count;
static bool process_gone[PROCESSES_MAX]; /* Its last life ended in this way, or is about to. */
static char holders[CONSUMER_GROUPS][BROKERS_MAX][PLACES_MAX][QUEUES_MAX][ID_SIZE]; /* The last consumer of each queue. */

void leaving_begin(void)
{
	gone_count = 0;
	memset(process_gone, 0, sizeof(process_gone));
	memset(holders, 0, sizeof(holders));
}

/* NULL: the broker was not told, or has not said that it heard. */
static const struct gone *find_gone(int broker, struct span id)
{
	for (size_t i = 0; i < gone_count; i++) {
		if (gone[i].broker == broker && span_is(id, gone[i].id))
			return &gone[i];
	}
	return NULL;
}

/* --- goodbye ------------------------------------------------------------------------------------------------------------ */

static void on_unregistered(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct farewell *farewell = context;
	const struct client_node *node = farewell->node;

	(void)err;
	bool heard = !node->dying && status == ST_OK && answer->code == RESP_SUCCESS;
	if (heard && !node->beat_lost && gone_count < GONE_MAX) {
		struct gone *entry = &gone[gone_count++];

		memcpy(entry->id, node->id, ID_SIZE);
		entry->broker = farewell->broker;
		entry->since_us = engine_now_us();
		process_gone[node->process->number % PROCESSES_MAX] = true;
		note("%s is unregistered at broker %d", node->process->name, farewell->broker);
		event_seen(farewell->consumer_group != NULL ? SEEN_CONSUMER_LEFT : SEEN_PRODUCER_LEFT);
	}
	free(farewell);
}

static void on_last_beat(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct farewell *farewell = context;
	struct client_node *node = farewell->node;
	struct errinfo own;

	(void)err;
	struct encoder *encoder = node->dying || status != ST_OK || answer->code != RESP_SUCCESS ? NULL :
		client_begin(node->client, broker_node_address(broker_node(farewell->broker)), REQ_UNREGISTER_CLIENT, false, &own);
	if (encoder == NULL) {
		free(farewell);
		return;
	}
	unregister_client_encode(encoder, &(struct unregister_client_header){
		.client_id = span_of(node->id),
		.producer_group = farewell->producer_group == NULL ? SPAN_NONE : span_of(farewell->producer_group),
		.consumer_group = farewell->consumer_group == NULL ? SPAN_NONE : span_of(farewell->consumer_group) });
	client_send(node->client, TIMEOUT_MS, on_unregistered, farewell);
}

void leaving_say_goodbye(struct client_node *node, const char *address, const struct heartbeat *beat,
			 const char *producer_group, const char *consumer_group)
{
	struct errinfo err;
	struct encoder *encoder = client_begin(node->client, address, REQ_HEART_BEAT, false, &err);
	struct farewell *farewell = encoder == NULL ? NULL : malloc(sizeof(*farewell));

	if (farewell == NULL)
		return;
	*farewell = (struct farewell){ node, broker_index_of_address(address), producer_group, consumer_group };
	command_body(encoder);
	heartbeat_encode(encoder->out, beat);
	client_send(node->client, TIMEOUT_MS, on_last_beat, farewell);
}

/* --- what follows from it ----------------------------------------------------------------------------------------------- */

void leaving_check_asked(const struct client_node *node, int broker, int sender)
{
	if (find_gone(broker, span_of(node->id)) != NULL)
		violation("MEMBER", "broker %d asks %s about a transaction, it has unregistered there", broker,
			  node->process->name);
	if (sender != node->process->number && process_gone[sender % PROCESSES_MAX])
		event_seen(SEEN_CHECK_LEFT);
}

void leaving_check_members(int broker, int64_t asked_us, const struct name_list *members)
{
	for (size_t i = 0; i < members->count; i++) {
		const struct gone *entry = find_gone(broker, members->names[i]);

		if (entry != NULL && entry->since_us < asked_us)
			violation("MEMBER", "broker %d tells of member %.*s, which has unregistered there", broker,
				  SPAN_ARGS(members->names[i]));
	}
}

void leaving_queue_taken(const struct client_node *node, int group, int broker, int place, int queue_id)
{
	char *holder = holders[group][broker][place][queue_id];

	if (holder[0] != '\0' && strcmp(holder, node->id) != 0 && find_gone(broker, span_of(holder)) != NULL)
		event_seen(SEEN_QUEUE_LEFT);
	memcpy(holder, node->id, ID_SIZE);
}
