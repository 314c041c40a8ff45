/* A queue's life: assigned, asks where the group stands, is pulled, is given up; and its position at the broker. */
#include <stdlib.h>
#include <utlist.h>

#include "client-sdk/src/consumer_internal.h"
#include "lib/base/logging.h"
#include "lib/base/owner.h"
#include "lib/wire/headers.h"

enum {
	QUEUES_MAX = 65536,
	/* A stored position is repeated after so many intervals, with the default each 5 s as RocketMQ's clients do it: a stock
	 * broker loses the last ones in a crash, and can lose one of two that a new group stores at the same time
	 * (ConsumerOffsetManager.commitOffset). */
	REPEAT_INTERVALS = 5,
};

static void ask_position(void *context);

struct queue *queue_find(struct escrow_consumer *consumer, const struct queue_key *key)
{
	struct queue *queue = NULL;

	HASH_FIND(hh, consumer->queues, key, sizeof(*key), queue);
	return queue;
}

void queue_assign(struct subscription *subscription, const struct queue_key *key)
{
	struct escrow_consumer *consumer = subscription->consumer;
	struct queue *queue = queue_find(consumer, key);

	if (queue != NULL || HASH_COUNT(consumer->queues) >= QUEUES_MAX)
		return;
	queue = calloc(1, sizeof(*queue));
	if (queue == NULL)
		return; /* The next rebalance tries again. */
	queue->key = *key;
	queue->consumer = consumer;
	queue->subscription = subscription;
	atomic_init(&queue->dropped, false);
	HASH_ADD(hh, consumer->queues, key, sizeof(queue->key), queue);
	if (!table_took(queue)) {
		free(queue);
		return;
	}
	atomic_fetch_add(&consumer->counters.assigned, 1);
	log_info("sdk", "queue assigned", "group=%s topic=%s broker=%s queue=%d", consumer->group, subscription->topic,
		 key->broker_name, key->queue_id);
	ask_position(queue);
}

void queue_drop(struct queue *queue)
{
	queue_commit(queue, COMMIT_GIVEN_UP);
	queue_let_go(queue);
}

void queue_let_go(struct queue *queue)
{
	struct escrow_consumer *consumer = queue->consumer;

	log_info("sdk", "queue given up", "group=%s topic=%s broker=%s queue=%d", consumer->group,
		 queue->subscription->topic, queue->key.broker_name, queue->key.queue_id);
	atomic_store(&queue->dropped, true);
	loop_timer_stop(&queue->timer);
	HASH_DEL(consumer->queues, queue);
	DL_APPEND(consumer->dropped, queue);
	atomic_fetch_sub(&consumer->counters.assigned, 1);
	queue_release(queue);
}

void queue_destroy(struct queue *queue)
{
	struct window_entry *entry, *next;

	loop_timer_stop(&queue->timer);
	queue->consumer->bytes -= queue->window.bytes;
	DL_FOREACH_SAFE(queue->window.head, entry, next) {
		DL_DELETE(queue->window.head, entry);
		consume_free_job(OWNER(struct consume_job, entry, entry));
	}
	free(queue);
}

void queue_release(struct queue *queue)
{
	if (!atomic_load(&queue->dropped) || queue->requests > 0 || queue->jobs > 0)
		return;
	struct escrow_consumer *consumer = queue->consumer;
	DL_DELETE(consumer->dropped, queue);
	queue_destroy(queue);
	consume_pull_starved(consumer);
}

void queue_later(struct queue *queue, int64_t after_ms, loop_callback step)
{
	if (atomic_load(&queue->dropped) || queue->consumer->stopping)
		return;
	if (loop_timer_start(queue->consumer->instance.loop, &queue->timer, after_ms, false, step, queue) != ST_OK)
		log_warn("sdk", "no timer for a queue", "topic=%s queue=%d", queue->subscription->topic, queue->key.queue_id);
}

const char *queue_address(const struct queue *queue, bool any)
{
	const struct route_view *view = queue->subscription->route->view;
	const struct broker *master;

	for (size_t i = 0; view != NULL && i < view->broker_count; i++) {
		const struct view_broker *broker = &view->brokers[i];
		const char *address = NULL;

		if (strcmp(broker->name, queue->key.broker_name) != 0)
			continue;
		if (any)
			address = view_broker_address(broker, queue->suggested_broker_id);
		if (address == NULL)
			address = view_broker_address(broker, MASTER_ID);
		if (address == NULL && any && broker->address_count > 0)
			address = broker->addresses[0].address;
		if (address != NULL)
			return address;
	}
	master = brokers_master(queue->consumer->instance.brokers, queue->key.broker_name);
	return master == NULL ? NULL : master->address;
}

/* --- where to start -------------------------------------------------------------------------------------------- */

static void start_at(struct queue *queue, int64_t offset, bool is_committed)
{
	queue->started = true;
	queue->window.next_offset = offset;
	queue->committed = is_committed ? offset : -1;
	queue_pull(queue);
}

/* Common to the answers below: false if the queue is not to go on. */
static bool take_offset(struct queue *queue, enum status status, const struct command *response, int64_t *offset)
{
	queue->requests--;
	if (atomic_load(&queue->dropped)) {
		queue_release(queue);
		return false;
	}
	if (queue->consumer->stopping)
		return false;
	if (status != ST_OK || (response->code != RESP_SUCCESS && response->code != RESP_QUERY_NOT_FOUND) ||
	    (response->code == RESP_SUCCESS && offset_reply_decode(response, offset, NULL) != ST_OK)) {
		queue_later(queue, status == ST_OK ? PAUSE_MS : PAUSE_BROKEN_MS, ask_position);
		return false;
	}
	return true;
}

static void on_boundary(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct queue *queue = context;
	int64_t offset;

	(void)err;
	if (!take_offset(queue, status, response, &offset))
		return;
	if (response->code == RESP_SUCCESS)
		start_at(queue, offset, false);
	else
		queue_later(queue, PAUSE_MS, ask_position);
}

/* The group was never here: its policy decides. */
static void ask_boundary(struct queue *queue)
{
	static const int32_t codes[] = { [ESCROW_START_LAST] = REQ_GET_MAX_OFFSET, [ESCROW_START_FIRST] = REQ_GET_MIN_OFFSET,
					 [ESCROW_START_TIMESTAMP] = REQ_SEARCH_OFFSET_BY_TIMESTAMP };
	struct escrow_consumer *consumer = queue->consumer;
	struct queue_header header = { .topic = span_of(queue->subscription->topic), .queue_id = queue->key.queue_id,
				       .timestamp = consumer->start_timestamp_ms, .committed = true };
	const char *address = queue_address(queue, false);
	int32_t code = codes[consumer->start];
	struct encoder *encoder = NULL;

	if (address != NULL)
		encoder = client_begin(consumer->instance.client, address, code, false, NULL);
	if (encoder == NULL) {
		queue_later(queue, PAUSE_MS, ask_position);
		return;
	}
	if (code == REQ_SEARCH_OFFSET_BY_TIMESTAMP)
		search_offset_encode(encoder, &header);
	else
		queue_header_encode(encoder, &header);
	queue->requests++;
	client_send(consumer->instance.client, REQUEST_TIMEOUT_MS, on_boundary, queue);
}

static void on_position(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	struct queue *queue = context;
	int64_t offset;

	(void)err;
	if (!take_offset(queue, status, response, &offset))
		return;
	if (response->code == RESP_SUCCESS)
		start_at(queue, offset, true);
	else if (queue->subscription->retry)
		start_at(queue, 0, false); /* What failed is never skipped. */
	else
		ask_boundary(queue);
}

static void ask_position(void *context)
{
	struct queue *queue = context;
	struct escrow_consumer *consumer = queue->consumer;
	struct consumer_offset_header header = { .consumer_group = consumer->group_span,
						 .topic = span_of(queue->subscription->topic),
						 .queue_id = queue->key.queue_id, .set_zero_if_not_found = true };
	const char *address = queue_address(queue, false);
	struct encoder *encoder = NULL;

	if (address != NULL)
		encoder = client_begin(consumer->instance.client, address, REQ_QUERY_CONSUMER_OFFSET, false, NULL);
	if (encoder == NULL) {
		queue_later(queue, PAUSE_MS, ask_position);
		return;
	}
	query_consumer_offset_encode(encoder, &header);
	queue->requests++;
	client_send(consumer->instance.client, REQUEST_TIMEOUT_MS, on_position, queue);
}

/* --- the position at the broker ---------------------------------------------------------------------------------- */

static bool commit_is_due(const struct queue *queue, int64_t position, enum commit_reason reason)
{
	const struct escrow_consumer *consumer = queue->consumer;
	int64_t since_ms = instance_now_ms(&consumer->instance) - queue->committed_at_ms;

	if (!queue->started)
		return false;
	if (reason == COMMIT_GOODBYE)
		return true;
	/* One at a time: a broker may carry out two in any order. */
	return !queue->committing && (reason == COMMIT_GIVEN_UP || position != queue->committed ||
				      since_ms >= REPEAT_INTERVALS * consumer->commit_interval_ms);
}

static void committed(struct queue *queue, enum status status, const struct command *response)
{
	queue->requests--;
	queue->committing = false;
	if (status == ST_OK && response->code == RESP_SUCCESS) {
		queue->committed = queue->committing_to;
		count(&queue->consumer->counters.committed);
	}
	if (queue->last_word && window_position(&queue->window) != queue->committed)
		queue_commit(queue, COMMIT_GIVEN_UP);
	queue_release(queue);
}

static void on_committed(void *context, enum status status, const struct command *response, const struct errinfo *err)
{
	(void)err;
	committed(context, status, response);
}

static void on_committed_goodbye(void *context, enum status status, const struct command *response,
				 const struct errinfo *err)
{
	struct queue *queue = context;

	(void)err;
	queue->consumer->instance.goodbyes--;
	committed(queue, status, response);
}

void queue_commit(struct queue *queue, enum commit_reason reason)
{
	struct escrow_consumer *consumer = queue->consumer;
	int64_t position = window_position(&queue->window);
	struct consumer_offset_header header = { .consumer_group = consumer->group_span,
						 .topic = span_of(queue->subscription->topic),
						 .queue_id = queue->key.queue_id, .commit_offset = position };
	bool goodbye = reason == COMMIT_GOODBYE;
	const char *address = queue_address(queue, false);
	struct encoder *encoder = NULL;

	queue->last_word = reason == COMMIT_GIVEN_UP && queue->committing;
	if (!commit_is_due(queue, position, reason) || address == NULL)
		return;
	encoder = client_begin(consumer->instance.client, address, REQ_UPDATE_CONSUMER_OFFSET, false, NULL);
	if (encoder == NULL)
		return; /* The timer tries again. */
	update_consumer_offset_encode(encoder, &header);
	queue->committing = true;
	queue->committing_to = position;
	queue->committed_at_ms = instance_now_ms(&consumer->instance);
	queue->requests++;
	if (goodbye)
		consumer->instance.goodbyes++;
	client_send(consumer->instance.client, REQUEST_TIMEOUT_MS, goodbye ? on_committed_goodbye : on_committed, queue);
}
