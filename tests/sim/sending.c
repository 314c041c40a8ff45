/* The way of one message (producer.h). What is tried again, and where, is the SDK's decision (client-sdk/src/retry.h): a half
 * or an END whose answer is missing goes to the same broker again, a plain message anywhere. */
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "client-sdk/src/retry.h"
#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "lib/wire/msgid.h"
#include "lib/wire/properties.h"
#include "lib/wire/recall_handle.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/producer.h"
#include "tests/sim/report.h"

enum { ROUTE_WAIT_MS = 100, END_PATIENCE_US = 6000000 };

enum stage { STAGE_SEND, STAGE_LOCAL, STAGE_END };

struct sending {
	struct sending *prev, *next;
	struct producer *producer;
	enum stage stage;
	uint32_t items[BATCH_MAX];
	int item_count;
	int32_t queue_id;         /* Wanted; -1: any. */
	bool again;               /* The half only, once more. */
	bool lose_answer;         /* Act as if the next answer had not come. */
	bool from_check;
	bool no_retry;
	bool pinned;              /* A half whose outcome at `address` is unknown: nowhere else. */
	enum record_outcome outcome; /* STAGE_END */
	char address[BROKER_ADDRESS_SIZE]; /* "" = any broker. Of the attempt under way; kept where its outcome is unknown. */
	unsigned attempts;
	int64_t patience_until_us;
	bool asking;
	struct loop_timer timer;
};

static void step(void *context);

static struct item *item_of(const struct sending *sending)
{
	return model_item(sending->items[0]);
}

static struct sending *make(struct producer *producer, const struct item *item, enum stage stage, int64_t patience_us)
{
	struct sending *sending = calloc(1, sizeof(*sending));

	if (sending == NULL)
		abort();
	sending->producer = producer;
	sending->stage = stage;
	sending->items[0] = item->number;
	sending->item_count = 1;
	sending->queue_id = -1;
	sending->patience_until_us = engine_now_us() + patience_us;
	DL_APPEND(producer->sendings, sending);
	return sending;
}

static void finish(struct sending *sending)
{
	loop_timer_stop(&sending->timer);
	DL_DELETE(sending->producer->sendings, sending);
	free(sending);
}

void sendings_free(struct producer *producer)
{
	while (producer->sendings != NULL)
		finish(producer->sendings);
}

static void later(struct sending *sending, int64_t after_ms)
{
	if (loop_timer_start(sending->producer->node.loop, &sending->timer, after_ms, false, step, sending) != ST_OK)
		abort();
}

static bool impatient(const struct sending *sending)
{
	return engine_now_us() >= sending->patience_until_us;
}

static enum attempt_kind kind_of(const struct sending *sending)
{
	if (sending->stage == STAGE_END)
		return ATTEMPT_DECISION;
	return item_of(sending)->transactional ? ATTEMPT_HALF : ATTEMPT_PLAIN;
}

/* After an attempt that was not answered with success. False: it is over. */
static bool try_again(struct sending *sending, enum attempt_outcome outcome)
{
	enum attempt_kind kind = kind_of(sending);
	enum retry_verdict verdict = retry_verdict(kind, outcome, true);

	if (verdict == RETRY_NEVER)
		return false;
	sending->pinned |= kind == ATTEMPT_HALF && outcome == OUTCOME_UNKNOWN;
	if (verdict == RETRY_ANY_BROKER && !sending->again && !sending->pinned)
		sending->address[0] = '\0';
	if (impatient(sending) || sending->no_retry)
		return false;
	later(sending, retry_pause_ms(++sending->attempts));
	return true;
}

/* --- END -------------------------------------------------------------------------------------------------------------- */

static void on_end_answer(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct sending *sending = context;
	struct item *item = item_of(sending);

	(void)err;
	if (sending->producer->node.dying)
		return;
	sending->asking = false;
	if (status == ST_OK && answer->code == RESP_SUCCESS) {
		note("%s: %s of %s is acknowledged", sending->producer->node.process->name,
		     sending->outcome == 0 ? "unknown" : record_outcome_text(sending->outcome), item->key);
		model_decision_acked(item, sending->outcome, sending->from_check);
		finish(sending);
		return;
	}
	enum attempt_outcome outcome = status != ST_OK ? OUTCOME_UNKNOWN : outcome_of_response(answer->code);
	if (status == ST_OK && outcome != OUTCOME_NOT_DONE) {
		char remark[256];

		snprintf(remark, sizeof(remark), "%.*s", SPAN_ARGS(answer->remark));
		note("%s: END of %s is refused: %s", sending->producer->node.process->name, item->key, remark);
		model_decision_refused(item, sending->outcome, answer->code, remark);
	} else if (try_again(sending, outcome)) {
		return;
	}
	finish(sending);
}

static int32_t wire_outcome(enum record_outcome outcome)
{
	return outcome == OUTCOME_COMMIT ? TRANSACTION_COMMIT : outcome == OUTCOME_ROLLBACK ? TRANSACTION_ROLLBACK : TRANSACTION_UNKNOWN;
}

static struct encoder *put_end(struct producer *producer, const struct item *item, const char *address,
			       enum record_outcome outcome, bool from_check, bool oneway)
{
	struct errinfo err;
	struct encoder *encoder = client_begin(producer->node.client, address, REQ_END_TRANSACTION, oneway, &err);
	struct end_transaction_header header = {
		.producer_group = span_of(producer_group_name(producer->group)),
		.tran_state_table_offset = (int64_t)item->half_queue_offset, .commit_log_offset = (int64_t)item->half_offset,
		.commit_or_rollback = wire_outcome(outcome), .from_transaction_check = from_check, .msg_id = span_of(item->key),
		.transaction_id = span_of(item->key), .topic = span_of(topic_name(item->topic)),
	};

	if (encoder != NULL)
		end_transaction_encode(encoder, &header);
	return encoder;
}

static void ask_end(struct sending *sending)
{
	struct item *item = item_of(sending);
	struct producer *producer = sending->producer;
	int64_t timeout_ms = chance_between(&producer->node.habits, 400, 2500);

	if (put_end(producer, item, sending->address, sending->outcome, sending->from_check, false) == NULL) {
		if (!try_again(sending, OUTCOME_NOT_DONE))
			finish(sending);
		return;
	}
	model_decision_asked(item, sending->outcome, sending->from_check);
	sending->asking = true;
	client_send(producer->node.client, timeout_ms, on_end_answer, sending);
}

static void end_at(struct producer *producer, struct item *item, const char *address, enum record_outcome outcome,
		   bool from_check, bool oneway)
{
	note("%s: END of %s: %s%s%s", producer->node.process->name, item->key,
	     outcome == 0 ? "unknown" : record_outcome_text(outcome), from_check ? ", asked by a check" : "",
	     oneway ? ", one-way" : "");
	if (oneway) {
		if (put_end(producer, item, address, outcome, from_check, true) == NULL)
			return;
		model_decision_asked(item, outcome, from_check);
		client_send(producer->node.client, 0, NULL, NULL);
		return;
	}
	struct sending *sending = make(producer, item, STAGE_END, END_PATIENCE_US);
	sending->outcome = outcome;
	sending->from_check = from_check;
	/* A check that is not acknowledged comes again; a repeated UNKNOWN would count twice. */
	sending->no_retry = outcome == 0;
	snprintf(sending->address, sizeof(sending->address), "%s", address);
	ask_end(sending);
}

void producer_end(struct producer *producer, struct item *item, enum record_outcome outcome, bool oneway)
{
	end_at(producer, item, broker_node_address(broker_node(item->broker)), outcome, false, oneway);
}

void producer_end_checked(struct producer *producer, struct item *item, const char *address, enum record_outcome outcome,
			  bool oneway)
{
	end_at(producer, item, address, outcome, true, oneway);
}

/* --- between half and END --------------------------------------------------------------------------------------------- */

static void local_is_over(struct sending *sending)
{
	struct producer *producer = sending->producer;
	struct item *item = item_of(sending);
	struct business *business = business_of(item);

	business_decide(item);
	enum record_outcome truth = business_truth(item);
	note("%s: the local transaction of %s is %s", producer->node.process->name, item->key,
	     truth == 0 ? "left open" : record_outcome_text(truth));
	finish(sending);
	if (truth == 0 || business->end == END_NEVER)
		return;
	if (business->contradicts && !business_is_truthful()) {
		fault_seen(FAULT_CONTRADICTION);
		producer_end(producer, item, truth == OUTCOME_COMMIT ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, false);
	}
	producer_end(producer, item, business->end == END_UNKNOWN ? 0 : truth, business->end == END_ONEWAY);
	if (business->end == END_TWICE)
		producer_end(producer, item, truth, false);
}

static void half_is_stored(struct sending *sending)
{
	sending->stage = STAGE_LOCAL;
	later(sending, business_of(item_of(sending))->local_us / 1000);
}

/* --- sending ---------------------------------------------------------------------------------------------------------- */

static void half_acked(struct sending *sending, struct item *item, int broker, const struct send_reply_header *reply,
		       uint64_t log_offset)
{
	bool again = sending->again;

	note("%s: half %s is stored at %llu/%lld of %s", sending->producer->node.process->name, item->key,
	     (unsigned long long)log_offset, (long long)reply->queue_offset, broker_node_process(broker_node(broker))->name);
	model_half_acked(item, broker, log_offset, (uint64_t)reply->queue_offset);
	if (again)
		finish(sending);
	else
		half_is_stored(sending);
}

/* Offset ids, one a message. */
/* The time in a timer's handle; 0: no timer. */
static int64_t recall_time(struct span text)
{
	uint8_t raw[RECALL_HANDLE_RAW_MAX];
	struct recall_handle handle;

	return text.size > 0 && recall_handle_parse(text, raw, &handle, NULL) == ST_OK ? handle.timestamp_ms : 0;
}

static void plain_acked(struct sending *sending, int broker, struct span ids, int64_t recall_at_ms)
{
	for (int i = 0; i < sending->item_count; i++) {
		const uint8_t *comma = memchr(ids.data, ',', ids.size);
		size_t size = comma == NULL ? ids.size : (size_t)(comma - ids.data);
		struct host host;
		int64_t offset;

		if (offset_msg_id_decode((struct span){ ids.data, size }, &host, &offset) != ST_OK) {
			violation("I1", "a send is acknowledged with a bad id %.*s", SPAN_ARGS(ids));
			break;
		}
		note("%s: %s is stored at %lld of %s", sending->producer->node.process->name, model_item(sending->items[i])->key,
		     (long long)offset, broker_node_process(broker_node(broker))->name);
		model_send_acked(model_item(sending->items[i]), broker, (uint64_t)offset);
		model_item(sending->items[i])->recall_at_ms = recall_at_ms;
		ids.data += size + (comma != NULL);
		ids.size -= size + (comma != NULL);
	}
	if (sending->item_count > 1)
		event_seen(SEEN_BATCH);
	finish(sending);
}

static void sent(struct sending *sending, const struct command *answer)
{
	struct item *item = item_of(sending);
	struct send_reply_header reply;
	struct errinfo err;
	struct host host;
	int64_t offset = 0;
	int broker = broker_index_of_address(sending->address);

	if (send_reply_decode(answer, &reply, &err) != ST_OK) {
		violation("I1", "the answer to a send cannot be read: %s", err.text);
		finish(sending);
	} else if (!item->transactional) {
		plain_acked(sending, broker, reply.msg_id, recall_time(reply.recall_handle));
	} else if (offset_msg_id_decode(reply.msg_id, &host, &offset) != ST_OK) {
		violation("I1", "a half is acknowledged with a bad id %.*s", SPAN_ARGS(reply.msg_id));
		finish(sending);
	} else {
		half_acked(sending, item, broker, &reply, (uint64_t)offset);
	}
}

static void send_refused(struct sending *sending, const struct command *answer)
{
	struct item *item = item_of(sending);

	note("%s: %s is refused with %d: %.*s", sending->producer->node.process->name, item->key, answer->code,
	     SPAN_ARGS(answer->remark));
	if (answer->code == RESP_MESSAGE_ILLEGAL && item->transactional) {
		char remark[256];

		snprintf(remark, sizeof(remark), "%.*s", SPAN_ARGS(answer->remark));
		model_half_refused(item, remark);
	}
	finish(sending);
}

static void on_sent(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct sending *sending = context;

	(void)err;
	if (sending->producer->node.dying)
		return;
	sending->asking = false;
	if (status == ST_OK && sending->lose_answer) {
		sending->lose_answer = false;
		fault_seen(FAULT_ANSWER_LOST);
		note("%s: the answer to %s is lost", sending->producer->node.process->name, item_of(sending)->key);
		status = ST_TIMEOUT;
	}
	if (status == ST_OK && answer->code == RESP_SUCCESS) {
		sent(sending, answer);
		return;
	}
	enum attempt_outcome outcome = status != ST_OK ? OUTCOME_UNKNOWN : outcome_of_response(answer->code);
	if (try_again(sending, outcome))
		return;
	if (status == ST_OK && outcome == OUTCOME_FINAL)
		send_refused(sending, answer);
	else
		finish(sending);
}

static void put_properties(struct buffer *out, const struct item *item)
{
	char keys[KEY_SIZE];

	model_keys(item, keys);
	property_put(out, PROPERTY_KEYS, span_of(keys));
	property_put(out, PROPERTY_UNIQ_KEY, span_of(item->key));
	property_put(out, PROPERTY_TAGS, span_of(tag_name(item->tag)));
	if (item->transactional) {
		property_put(out, PROPERTY_TRAN_MSG, SPAN_LITERAL("true"));
		property_put(out, PROPERTY_PGROUP, span_of(producer_group_name(item->group)));
	}
	/* A level, or a timer of the same length. */
	if (item->delay_level > 0 && item->body_size % 2 == 0)
		property_put_i64(out, PROPERTY_DELAY, item->delay_level);
	else if (item->delay_level > 0)
		property_put_i64(out, PROPERTY_TIMER_DELAY_SEC, (settings()->delay_level_ms[item->delay_level - 1] + 999) / 1000);
	if (item->transactional && item->immunity_ms != settings()->transaction_timeout_ms)
		property_put_i64(out, PROPERTY_CHECK_IMMUNITY, item->immunity_ms / 1000);
}

static void put_batch(struct buffer *out, const struct sending *sending)
{
	for (int i = 0; i < sending->item_count; i++) {
		struct buffer properties, body;

		buffer_init(&properties, 0);
		buffer_init(&body, 0);
		put_properties(&properties, model_item(sending->items[i]));
		model_body(model_item(sending->items[i]), &body);
		batch_append(out, &(struct batch_message){ 0, buffer_span(&body), buffer_span(&properties) });
		buffer_deinit(&properties);
		buffer_deinit(&body);
	}
}

static void put_send(struct encoder *encoder, const struct sending *sending, int32_t code)
{
	const struct item *item = item_of(sending);
	struct buffer properties;

	buffer_init(&properties, 0);
	if (code != REQ_SEND_BATCH_MESSAGE)
		put_properties(&properties, item);
	struct send_header header = {
		.producer_group = span_of(producer_group_name(item->group)), .topic = span_of(topic_name(item->topic)),
		.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = settings()->queues,
		.queue_id = sending->queue_id, .sys_flag = item->transactional ? SYSFLAG_TRANSACTION_PREPARED : 0,
		.born_timestamp = engine_true_wall_ms(), .properties = buffer_span(&properties), .max_reconsume_times = -1,
		.batch = code == REQ_SEND_BATCH_MESSAGE,
	};
	send_header_encode(encoder, code, &header);
	command_body(encoder);
	if (code == REQ_SEND_BATCH_MESSAGE)
		put_batch(encoder->out, sending);
	else
		model_body(item, encoder->out);
	buffer_deinit(&properties);
}

/* A broker and a queue for this attempt; false: nobody is known. */
static bool choose(struct sending *sending)
{
	struct client_node *node = &sending->producer->node;
	const struct route_view *view = client_route(node, item_of(sending)->topic);

	if (sending->address[0] != '\0')
		return true;
	if (view == NULL || view->publish_count == 0)
		return false;
	const struct view_queue *queue = &view->publish[chance_below(&node->habits, view->publish_count)];
	const char *address = view_broker_address(&view->brokers[queue->broker], MASTER_ID);
	if (address == NULL)
		return false;
	snprintf(sending->address, sizeof(sending->address), "%s", address);
	if (sending->queue_id >= 0)
		sending->queue_id = queue->queue_id;
	return true;
}

static void ask_send(struct sending *sending)
{
	struct producer *producer = sending->producer;
	struct client_node *node = &producer->node;
	struct errinfo err;
	int32_t code = sending->item_count > 1 ? REQ_SEND_BATCH_MESSAGE
		       : chance_one_in(&node->habits, 5) ? REQ_SEND_MESSAGE : REQ_SEND_MESSAGE_V2;

	if (!choose(sending)) {
		if (impatient(sending))
			finish(sending);
		else
			later(sending, ROUTE_WAIT_MS);
		return;
	}
	struct encoder *encoder = client_begin(node->client, sending->address, code, false, &err);
	if (encoder == NULL) {
		client_route_failed(node, item_of(sending)->topic);
		if (!try_again(sending, OUTCOME_NOT_DONE))
			finish(sending);
		return;
	}
	put_send(encoder, sending, code);
	for (int i = 0; i < sending->item_count; i++)
		model_sent(model_item(sending->items[i]), broker_index_of_address(sending->address));
	sending->asking = true;
	client_send(node->client, chance_between(&node->habits, 400, 3000), on_sent, sending);
}

static void step(void *context)
{
	struct sending *sending = context;

	switch (sending->stage) {
	case STAGE_SEND: ask_send(sending); break;
	case STAGE_LOCAL: local_is_over(sending); break;
	case STAGE_END: ask_end(sending); break;
	}
}

void producer_send(struct producer *producer, struct item *item, int32_t queue_id)
{
	struct sending *sending = make(producer, item, STAGE_SEND, business_of(item)->patience_us);

	sending->queue_id = queue_id;
	sending->lose_answer = business_of(item)->answer_lost;
	business_of(item)->sender = producer->node.process->number;
	ask_send(sending);
}

void producer_send_batch(struct producer *producer, struct item *const *items, int count, int32_t queue_id)
{
	struct sending *sending = make(producer, items[0], STAGE_SEND, business_of(items[0])->patience_us);

	for (int i = 0; i < count; i++)
		sending->items[i] = items[i]->number;
	sending->item_count = count;
	sending->queue_id = queue_id;
	ask_send(sending);
}

void producer_send_again(struct producer *producer, struct item *item)
{
	struct sending *sending = make(producer, item, STAGE_SEND, business_of(item)->patience_us);

	note("%s: half %s is sent again", producer->node.process->name, item->key);
	sending->again = true;
	snprintf(sending->address, sizeof(sending->address), "%s", broker_node_address(broker_node(item->broker)));
	ask_send(sending);
}
