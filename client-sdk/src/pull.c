/* Fetching: one long poll per queue, as long as the limits allow. */
#include "client-sdk/src/consumer_internal.h"
#include "lib/base/logging.h"
#include "lib/wire/filter.h"
#include "lib/wire/headers.h"
#include "lib/wire/properties.h"

enum {
	HOLD_MS = 15000,         /* The broker waits so long for a message. */
	PULL_TIMEOUT_MS = 30000,
	EMPTY_PAUSE_MS = 20,     /* A broker that answers "nothing" at once is not asked in a circle. */
	FLOW_CONTROL_PAUSE_MS = 20,
};

/* Queues store hashes of tags; texts decide. */
static bool tag_fits(const struct subscription *subscription, struct span properties)
{
	struct span rest = span_of(subscription->expression);
	struct span tag = property_get(properties, PROPERTY_TAGS);

	if (rest.size == 0 || span_is(rest, "*"))
		return true;
	while (rest.size > 0) {
		struct span wanted = tag_expression_next(&rest);

		if (wanted.size > 0 && span_equal(wanted, tag))
			return true;
	}
	return false;
}

/* One record of the answer. An undecodable body becomes a job without a message, for the dead letters. */
static enum status take_record(struct queue *queue, const struct message *record)
{
	escrow_message *message = NULL;
	struct errinfo err;

	if (record->queue_offset < queue->window.next_offset)
		return ST_OK; /* We have it. */
	if (tag_fits(queue->subscription, record->properties)) {
		enum status status = message_from_record(record, &message, &err);

		if (status == ST_NOMEM)
			return status;
		if (status != ST_OK)
			log_error("sdk", "message undecodable", "topic=%s queue=%d offset=%lld reason=\"%s\"", queue->subscription->topic,
				  queue->key.queue_id, (long long)record->queue_offset, err.text);
		if (consume_submit(queue, message, record->queue_offset, record->physical_offset, record->size) != ST_OK) {
			escrow_message_destroy(message);
			return ST_NOMEM;
		}
	}
	queue->window.next_offset = record->queue_offset + 1;
	return ST_OK;
}

static void take_messages(struct queue *queue, struct span body, int64_t next_begin_offset)
{
	struct message record;
	struct errinfo err;
	enum status status;

	while ((status = message_next(&body, &record, &err)) == ST_OK) {
		status = take_record(queue, &record);
		if (status != ST_OK)
			break;
	}
	if (status == ST_NOTFOUND) {
		if (next_begin_offset > queue->window.next_offset)
			queue->window.next_offset = next_begin_offset;
		queue_pull(queue);
		return;
	}
	log_error("sdk", "pull answer not usable", "topic=%s queue=%d offset=%lld reason=\"%s\"", queue->subscription->topic,
		  queue->key.queue_id, (long long)queue->window.next_offset, status == ST_NOMEM ? "out of memory" : err.text);
	queue_later(queue, PAUSE_MS, queue_pull);
}

/* The offset is outside of the queue: go on where the broker says, as RocketMQ's clients do, by a fresh start. */
static void take_moved(struct queue *queue, int64_t next_begin_offset)
{
	struct escrow_consumer *consumer = queue->consumer;

	log_warn("sdk", "offset outside of the queue", "topic=%s queue=%d offset=%lld next=%lld", queue->subscription->topic,
		 queue->key.queue_id, (long long)queue->window.next_offset, (long long)next_begin_offset);
	if (queue->window.head == NULL) {
		queue->window.next_offset = next_begin_offset;
		queue_commit(queue, COMMIT_PROGRESS);
		queue_later(queue, PAUSE_MS, queue_pull);
		return;
	}
	queue_let_go(queue);
	rebalance_in(consumer, PAUSE_MS);
}

static void take_refusal(struct queue *queue, const struct command *response)
{
	struct escrow_consumer *consumer = queue->consumer;
	const char *address = queue_address(queue, true);
	struct broker *broker = address == NULL ? NULL : brokers_find(consumer->instance.brokers, address);

	if (response->code == RESP_FLOW_CONTROL) {
		queue_later(queue, FLOW_CONTROL_PAUSE_MS, queue_pull);
		return;
	}
	log_info("sdk", "pull refused", "topic=%s queue=%d code=%s remark=\"%.*s\"", queue->subscription->topic,
		 queue->key.queue_id, response_code_name(response->code), SPAN_ARGS(response->remark));
	/* A broker that has restarted does not know the group before its next heartbeat. */
	if (broker != NULL && (response->code == RESP_SUBSCRIPTION_NOT_EXIST || response->code == RESP_SUBSCRIPTION_NOT_LATEST ||
			       response->code == RESP_SUBSCRIPTION_GROUP_NOT_EXIST))
		brokers_beat(broker);
	queue_later(queue, PAUSE_MS, queue_pull);
}

static void take_answer(struct queue *queue, const struct command *response)
{
	int64_t took_ms = instance_now_ms(&queue->consumer->instance) - queue->pulled_at_ms;
	struct pull_reply_header reply;
	struct errinfo err;

	switch (response->code) {
	case RESP_SUCCESS:
	case RESP_PULL_NOT_FOUND:
	case RESP_PULL_RETRY_IMMEDIATELY:
	case RESP_PULL_OFFSET_MOVED:
		break;
	default:
		take_refusal(queue, response);
		return;
	}
	if (pull_reply_decode(response, &reply, &err) != ST_OK) {
		log_warn("sdk", "pull answer rejected", "topic=%s reason=\"%s\"", queue->subscription->topic, err.text);
		queue_later(queue, PAUSE_MS, queue_pull);
		return;
	}
	queue->suggested_broker_id = reply.suggest_which_broker_id;
	if (response->code == RESP_SUCCESS) {
		take_messages(queue, response->body, reply.next_begin_offset);
	} else if (response->code == RESP_PULL_OFFSET_MOVED) {
		take_moved(queue, reply.next_begin_offset);
	} else {
		bool moved = reply.next_begin_offset > queue->window.next_offset;

		if (moved)
			queue->window.next_offset = reply.next_begin_offset;
		if (moved || took_ms >= EMPTY_PAUSE_MS)
			queue_pull(queue);
		else
			queue_later(queue, EMPTY_PAUSE_MS, queue_pull);
	}
}

static void on_pulled(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct queue *queue = context;

	queue->requests--;
	queue->pulling = false;
	if (atomic_load(&queue->dropped)) {
		queue_release(queue);
	} else if (queue->consumer->stopping) {
		return;
	} else if (status == ST_OK) {
		take_answer(queue, response);
	} else {
		log_debug("sdk", "pull failed", "topic=%s queue=%d reason=\"%s\"", queue->subscription->topic, queue->key.queue_id,
			  err->text);
		queue->suggested_broker_id = MASTER_ID;
		queue_later(queue, PAUSE_BROKEN_MS, queue_pull);
	}
}

static bool is_over_limits(struct queue *queue)
{
	struct escrow_consumer *consumer = queue->consumer;

	if (consumer->bytes >= consumer->bytes_max)
		consumer->starved = true;
	return consumer->bytes >= consumer->bytes_max || queue->window.count >= consumer->queue_messages_max ||
	       queue->window.bytes >= consumer->queue_bytes_max;
}

void queue_pull(void *context)
{
	struct queue *queue = context;
	struct escrow_consumer *consumer = queue->consumer;
	struct pull_header header = {
		.consumer_group = consumer->group_span, .topic = span_of(queue->subscription->topic),
		.queue_id = queue->key.queue_id, .queue_offset = queue->window.next_offset, .max_msg_nums = consumer->pull_batch,
		.sys_flag = PULL_SUSPEND, .suspend_timeout_ms = HOLD_MS, .sub_version = queue->subscription->version,
		.expression_type = SPAN_LITERAL("TAG"), .max_msg_bytes = -1,
	};
	struct encoder *encoder = NULL;

	/* A queue over its limits is pulled again when a message is finished. */
	if (!queue->started || queue->pulling || atomic_load(&queue->dropped) || consumer->stopping || is_over_limits(queue))
		return;
	if ((size_t)header.max_msg_nums > consumer->queue_messages_max - queue->window.count)
		header.max_msg_nums = (int32_t)(consumer->queue_messages_max - queue->window.count);
	loop_timer_stop(&queue->timer);
	const char *address = queue_address(queue, true);
	if (address != NULL)
		encoder = client_begin(consumer->instance.client, address, REQ_PULL_MESSAGE, false, NULL);
	if (encoder == NULL) {
		queue->suggested_broker_id = MASTER_ID;
		queue_later(queue, PAUSE_BROKEN_MS, queue_pull);
		return;
	}
	pull_header_encode(encoder, &header);
	queue->pulling = true;
	queue->pulled_at_ms = instance_now_ms(&consumer->instance);
	queue->requests++;
	client_send(consumer->instance.client, PULL_TIMEOUT_MS, on_pulled, queue);
}
