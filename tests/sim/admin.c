#include "tests/sim/admin.h"

#include <inttypes.h>
#include <stdlib.h>

#include "broker/core/state.h"
#include "broker/core/transactions.h"
#include "lib/wire/headers.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"
#include "lib/wire/recall_handle.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { TIMEOUT_MS = 3000 };

/* What is asked, until the answer is there. */
struct question {
	enum { ABOUT_MESSAGE, ABOUT_RECALL, ABOUT_MAX, ABOUT_TIME, ABOUT_ELSE } about;
	uint32_t item;
	int broker, place, queue;
	uint64_t dense_end;   /* When it was asked. */
	uint64_t offset;      /* Of a message with that time. */
	int64_t time_ms;
};

static struct client_node node;

void admin_begin(void)
{
	client_node_init(&node, "admin");
	client_node_start(&node, NULL);
}

void admin_end(void)
{
	if (node.loop != NULL)
		client_node_die(&node);
}

/* --- answers ------------------------------------------------------------------------------------------------------------ */

static void check_message(const struct question *question, const struct command *answer)
{
	const struct item *item = model_item(question->item);
	struct message message;

	event_seen(SEEN_VIEW);
	if (answer->code != RESP_SUCCESS && broker_node_let_go(broker_node(item->acked_broker), item->acked_offset))
		return;
	if (answer->code != RESP_SUCCESS || message_decode(answer->body, &message, NULL) != ST_OK ||
	    !span_is(property_get(message.properties, PROPERTY_UNIQ_KEY), item->key))
		violation("I1", "%s was acknowledged at %" PRIu64 ", looking there gives code %d: %.*s", item->key, item->acked_offset,
			  answer->code, SPAN_ARGS(answer->remark));
}

/* Taken back, or refused because its time has come. */
static void check_recall(const struct question *question, const struct command *answer)
{
	struct item *item = model_item(question->item);

	if (answer->code == RESP_SUCCESS)
		model_recalled(item);
	else if (answer->code != RESP_ILLEGAL_OPERATION)
		violation("I4", "a recall of %s is refused with %d: %.*s", item->key, answer->code, SPAN_ARGS(answer->remark));
}

static void check_max(const struct question *question, int64_t offset)
{
	if (offset < (int64_t)question->dense_end)
		violation("I1", "queue %d of place %d ends at %" PRId64 ", %" PRIu64 " messages of it were seen", question->queue,
			  question->place, offset, question->dense_end);
}

/* The first message at or after a time is not behind one that has just this time. */
static void check_time(const struct question *question, int64_t offset)
{
	uint64_t log_offset = model_seen_log_offset(question->broker, question->place, question->queue, question->offset);
	int64_t found_ms;

	if (broker_node_let_go(broker_node(question->broker), log_offset))
		return;
	if (offset > (int64_t)question->offset)
		violation("I7", "looking for time %" PRId64 " gives offset %" PRId64 ", but it is that of offset %" PRIu64,
			  question->time_ms, offset, question->offset);
	if (model_seen_time(question->broker, question->place, question->queue, (uint64_t)offset, &found_ms) &&
	    found_ms < question->time_ms)
		violation("I7", "looking for time %" PRId64 " gives offset %" PRId64 ", which has time %" PRId64, question->time_ms,
			  offset, found_ms);
}

static void on_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct question *question = context;
	int64_t offset;

	(void)err;
	bool heard = !node.dying && status == ST_OK && answer->code != RESP_SYSTEM_BUSY &&
		     answer->code != RESP_SERVICE_NOT_AVAILABLE;
	if (heard && question->about == ABOUT_MESSAGE)
		check_message(question, answer);
	else if (heard && question->about == ABOUT_RECALL)
		check_recall(question, answer);
	else if (heard && question->about != ABOUT_ELSE && answer->code == RESP_SUCCESS &&
		 offset_reply_decode(answer, &offset, NULL) == ST_OK)
		question->about == ABOUT_MAX ? check_max(question, offset) : check_time(question, offset);
	free(question);
}

/* --- questions ---------------------------------------------------------------------------------------------------------- */

static struct encoder *ask(int broker, int32_t code)
{
	struct errinfo err;

	return client_begin(node.client, broker_node_address(broker_node(broker)), code, false, &err);
}

static void send(struct question question)
{
	struct question *copy = malloc(sizeof(*copy));

	if (copy == NULL)
		abort();
	*copy = question;
	client_send(node.client, TIMEOUT_MS, on_answer, copy);
	virtual_loop_end_turn(node.loop);
}

void admin_view(const struct item *item)
{
	struct encoder *encoder = item->acks > 0 ? ask(item->acked_broker, REQ_VIEW_MESSAGE_BY_ID) : NULL;

	if (encoder == NULL)
		return;
	view_message_encode(encoder, &(struct view_message_header){ .offset = (int64_t)item->acked_offset });
	send((struct question){ .about = ABOUT_MESSAGE, .item = item->number });
}

void admin_recall(struct item *item)
{
	struct recall_handle handle = { span_of(topic_name(item->topic)),
					span_of(broker_node_process(broker_node(item->acked_broker))->name), item->recall_at_ms,
					span_of(item->key) };
	struct buffer text;
	struct encoder *encoder = ask(item->acked_broker, REQ_RECALL_MESSAGE);

	if (encoder == NULL)
		return;
	buffer_init(&text, 0);
	if (recall_handle_append(&text, &handle) != ST_OK)
		abort();
	command_put(encoder, "topic", handle.topic);
	command_put(encoder, "recallHandle", buffer_span(&text));
	buffer_deinit(&text);
	item->recall_asked = true;
	send((struct question){ .about = ABOUT_RECALL, .item = item->number });
}

void admin_positions(int broker, int place, int queue, struct chance *chance)
{
	uint8_t text[256];
	struct queue_header header = { .topic = model_place_name(place, text), .queue_id = queue, .committed = true };
	struct question question = { .about = ABOUT_MAX, .broker = broker, .place = place, .queue = queue,
				     .dense_end = model_dense_end(broker, place, queue) };
	struct encoder *encoder = ask(broker, REQ_GET_MAX_OFFSET);

	if (encoder == NULL)
		return;
	queue_header_encode(encoder, &header);
	send(question);
	if (question.dense_end == 0)
		return;
	question.offset = chance_below(chance, question.dense_end);
	if (!model_seen_time(broker, place, queue, question.offset, &question.time_ms))
		return;
	encoder = ask(broker, REQ_SEARCH_OFFSET_BY_TIMESTAMP);
	if (encoder == NULL)
		return;
	header.timestamp = question.time_ms;
	search_offset_encode(encoder, &header);
	question.about = ABOUT_TIME;
	send(question);
}

void admin_members(int broker, int group)
{
	struct encoder *encoder = ask(broker, REQ_GET_CONSUMER_LIST_BY_GROUP);

	if (encoder == NULL)
		return;
	consumer_group_encode(encoder, span_of(consumer_group_name(group)));
	send((struct question){ .about = ABOUT_ELSE });
}

void admin_make_topic(int broker, int topic)
{
	struct encoder *encoder = ask(broker, REQ_UPDATE_AND_CREATE_TOPIC);

	if (encoder == NULL)
		return;
	create_topic_encode(encoder, &(struct create_topic_header){
		.topic = span_of(topic_name(topic)), .read_queue_nums = settings()->queues, .write_queue_nums = settings()->queues,
		.perm = PERM_READ | PERM_WRITE });
	send((struct question){ .about = ABOUT_ELSE });
}

void admin_set_group(int broker, int group)
{
	struct encoder *encoder = ask(broker, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP);

	if (encoder == NULL)
		return;
	client_put_group(encoder, consumer_group_name(group));
	send((struct question){ .about = ABOUT_ELSE });
}

void admin_resume(struct item *item)
{
	struct process *broker = broker_node_process(broker_node(item->broker));
	struct encoder *encoder = ask(item->broker, REQ_RESUME_CHECK_HALF_MESSAGE);
	struct host host = host_ipv4(broker->ip, BROKER_PORT);
	char id[MSGID_TEXT_SIZE];

	if (encoder == NULL)
		return;
	offset_msg_id_encode(&host, (int64_t)item->half_offset, id);
	command_put_text(encoder, "msgId", id);
	model_operator_asked(item, OUTCOME_RESUME);
	send((struct question){ .about = ABOUT_ELSE });
}

enum txn_state admin_state(const struct item *item)
{
	struct core *core = item->broker < 0 ? NULL : broker_node_core(broker_node(item->broker));
	struct half_entry half;

	if (core == NULL || !item->half_acked || half_index_get(&core->halves, item->half_queue_offset, &half, NULL) != ST_OK)
		return 0;
	return (enum txn_state)half.state;
}

bool admin_decide(struct item *item, enum record_outcome outcome)
{
	struct broker_node *broker = broker_node(item->broker);
	struct outcome result = { 0 };

	if (broker_node_core(broker) == NULL || !broker_node_serves(broker))
		return false;
	struct process *before = process_switch(broker_node_process(broker));
	enum status status = core_operator_decide(broker_node_core(broker), item->half_offset, outcome, SPAN_LITERAL("operator"),
						  &result);
	virtual_loop_end_turn(broker_node_process(broker)->loop);
	process_switch(before);
	if (status != ST_OK)
		return false;
	note("an operator has %s %s", record_outcome_text(outcome), item->key);
	model_operator_asked(item, outcome);
	return true;
}
