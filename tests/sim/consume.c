/* One queue of a consumer (consumer.h). */
#include <inttypes.h>
#include <stdlib.h>
#include <utlist.h>

#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/consumer.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"

enum { REQUEST_TIMEOUT_MS = 2000, PAUSE_MS = 300, SUSPEND_MIN_MS = 300, SUSPEND_MAX_MS = 4000, BATCH_MAX_MESSAGES = 32,
       COMMIT_EVERY_MS = 2000, BACK_PAUSE_MS = 400 };

/* A message that was fetched and is not finished. */
struct fetched {
	struct window_entry entry; /* First: casts. */
	struct held_queue *queue;
	uint32_t item;
	int32_t reconsume_times;
	int64_t physical_offset;
	struct loop_timer timer;
	bool asking;               /* It is being sent back. */
};

struct held_queue {
	struct held_queue *prev, *next;
	struct consumer *consumer;
	int broker, place, queue_id;
	bool kept, started, dropped;
	int requests;              /* Under way, of any kind: it is freed when there are none. */
	int64_t pull_sent_ms;
	uint64_t log_start;        /* When it was sent; */
	uint32_t life;             /* by which of its broker's processes it was to be answered. */
	int64_t committed_ms;
	struct window window;
	struct loop_timer timer;
};

static struct client_node *node_of(const struct held_queue *queue)
{
	return &queue->consumer->node;
}

static const char *address_of(const struct held_queue *queue)
{
	return broker_node_address(broker_node(queue->broker));
}

static struct span group_of(const struct held_queue *queue)
{
	return span_of(consumer_group_name(queue->consumer->group));
}

static void pull(void *context);
static void begin(void *context);

static void later(struct held_queue *queue, int64_t after_ms, loop_callback step)
{
	if (loop_timer_start(node_of(queue)->loop, &queue->timer, after_ms, false, step, queue) != ST_OK)
		abort();
}

/* --- life --------------------------------------------------------------------------------------------------------------- */

static void free_fetched(void *context, struct window_entry *entry)
{
	struct fetched *fetched = (struct fetched *)entry;

	(void)context;
	loop_timer_stop(&fetched->timer);
	free(fetched);
}

static void free_queue(struct held_queue *queue)
{
	while (queue->window.head != NULL) {
		struct window_entry *entry = queue->window.head;

		DL_DELETE(queue->window.head, entry);
		free_fetched(NULL, entry);
	}
	loop_timer_stop(&queue->timer);
	DL_DELETE(queue->consumer->queues, queue);
	free(queue);
}

/* True if it is gone. */
static bool release(struct held_queue *queue)
{
	if (!queue->dropped || queue->requests > 0)
		return false;
	free_queue(queue);
	return true;
}

/* An answer has come. False: there is nothing to be done with it any more. */
static bool answered(struct held_queue *queue)
{
	if (node_of(queue)->dying)
		return false;
	queue->requests--;
	return !release(queue) && !queue->dropped;
}

struct held_queue *held_queue_find(struct consumer *consumer, int broker, int place, int queue_id)
{
	struct held_queue *queue;

	DL_FOREACH(consumer->queues, queue) {
		if (queue->broker == broker && queue->place == place && queue->queue_id == queue_id && !queue->dropped)
			return queue;
	}
	return NULL;
}

void held_queue_take(struct consumer *consumer, int broker, int place, int queue_id)
{
	struct held_queue *queue = calloc(1, sizeof(*queue));

	if (queue == NULL)
		abort();
	queue->consumer = consumer;
	queue->broker = broker;
	queue->place = place;
	queue->queue_id = queue_id;
	DL_APPEND(consumer->queues, queue);
	begin(queue);
}

void held_queue_keep(struct held_queue *queue)
{
	queue->kept = true;
}

size_t held_queues_drop_others(struct consumer *consumer, int place)
{
	struct held_queue *queue, *next;
	size_t count = 0;

	DL_FOREACH_SAFE(consumer->queues, queue, next) {
		if (queue->place != place || queue->dropped)
			continue;
		if (!queue->kept) {
			held_queue_drop(queue);
			count++;
		} else {
			queue->kept = false;
		}
	}
	return count;
}

void held_queues_drop_all(struct consumer *consumer)
{
	struct held_queue *queue, *next;

	DL_FOREACH_SAFE(consumer->queues, queue, next) {
		if (!queue->dropped)
			held_queue_drop(queue);
	}
}

size_t held_queues_positions(const struct consumer *consumer, struct held_position *positions, size_t max)
{
	const struct held_queue *queue;
	size_t count = 0;

	DL_FOREACH(consumer->queues, queue) {
		if (count < max && queue->started && !queue->dropped)
			positions[count++] = (struct held_position){ queue->broker, queue->place, queue->queue_id,
								     queue->window.next_offset };
	}
	return count;
}

void held_queues_free(struct consumer *consumer)
{
	while (consumer->queues != NULL)
		free_queue(consumer->queues);
}

/* --- positions ---------------------------------------------------------------------------------------------------------- */

static void on_committed(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct held_queue *queue = context;

	(void)status;
	(void)answer;
	(void)err;
	(void)answered(queue);
}

static void commit(struct held_queue *queue)
{
	struct client_node *node = node_of(queue);
	bool oneway = chance_one_in(&node->habits, 2);
	struct errinfo err;
	struct encoder *encoder;
	uint8_t text[256];

	queue->committed_ms = loop_now_ms(node->loop);
	encoder = queue->started ? client_begin(node->client, address_of(queue), REQ_UPDATE_CONSUMER_OFFSET, oneway, &err) : NULL;
	if (encoder == NULL)
		return;
	struct consumer_offset_header header = {
		.consumer_group = group_of(queue), .topic = model_place_name(queue->place, text), .queue_id = queue->queue_id,
		.commit_offset = window_position(&queue->window),
	};
	update_consumer_offset_encode(encoder, &header);
	model_offset_asked(queue->consumer->group, queue->broker, queue->place, queue->queue_id, header.commit_offset);
	if (!oneway)
		queue->requests++;
	client_send(node->client, oneway ? 0 : REQUEST_TIMEOUT_MS, oneway ? NULL : on_committed, oneway ? NULL : queue);
}

void held_queue_drop(struct held_queue *queue)
{
	commit(queue);
	queue->dropped = true;
	loop_timer_stop(&queue->timer);
	(void)release(queue);
}

static void on_offset(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct held_queue *queue = context;
	int64_t offset = 0;

	(void)err;
	if (!answered(queue))
		return;
	bool found = status == ST_OK && answer->code == RESP_SUCCESS && offset_reply_decode(answer, &offset, NULL) == ST_OK;
	if (status != ST_OK || (!found && answer->code != RESP_QUERY_NOT_FOUND)) {
		later(queue, PAUSE_MS, begin);
		return;
	}
	model_offset_told(queue->consumer->group, queue->broker, queue->place, queue->queue_id, offset);
	queue->started = true;
	queue->window.next_offset = offset;
	pull(queue);
}

/* Where did the group get to? */
static void begin(void *context)
{
	struct held_queue *queue = context;
	struct client_node *node = node_of(queue);
	struct errinfo err;
	uint8_t text[256];
	struct encoder *encoder = client_begin(node->client, address_of(queue), REQ_QUERY_CONSUMER_OFFSET, false, &err);

	if (encoder == NULL) {
		later(queue, PAUSE_MS, begin);
		return;
	}
	query_consumer_offset_encode(encoder, &(struct consumer_offset_header){
		.consumer_group = group_of(queue), .topic = model_place_name(queue->place, text), .queue_id = queue->queue_id,
		.set_zero_if_not_found = true });
	queue->requests++;
	client_send(node->client, REQUEST_TIMEOUT_MS, on_offset, queue);
}

/* --- consuming ---------------------------------------------------------------------------------------------------------- */

static void consume(void *context);

/* The message is done with. Goes on pulling when it was the last one. */
static void finished(struct fetched *fetched)
{
	struct held_queue *queue = fetched->queue;

	model_consumed(queue->consumer->group, queue->broker, queue->place, queue->queue_id, (uint64_t)fetched->entry.offset);
	window_finish(&queue->window, &fetched->entry, free_fetched, NULL);
	if (queue->window.count > 0)
		return;
	if (loop_now_ms(node_of(queue)->loop) - queue->committed_ms > COMMIT_EVERY_MS)
		commit(queue);
	pull(queue);
}

static void on_sent_back(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct fetched *fetched = context;
	struct held_queue *queue = fetched->queue;
	struct item *item = model_item(fetched->item);

	(void)err;
	if (!node_of(queue)->dying && status == ST_OK && answer->code == RESP_SUCCESS)
		model_back_acked(item, queue->consumer->group);
	if (!answered(queue))
		return;
	fetched->asking = false;
	if (status == ST_OK && answer->code == RESP_SUCCESS) {
		note("%s: %s is sent back", node_of(queue)->process->name, item->key);
		finished(fetched);
		return;
	}
	bool gone = broker_node_let_go(broker_node(queue->broker), (uint64_t)fetched->physical_offset);
	if (status == ST_OK && answer->code == RESP_SYSTEM_ERROR && gone) {
		finished(fetched); /* It was kept too long. */
		return;
	}
	if (status == ST_OK && answer->code == RESP_SYSTEM_ERROR)
		violation("I1", "%s cannot be sent back: %.*s", item->key, SPAN_ARGS(answer->remark));
	if (loop_timer_start(node_of(queue)->loop, &fetched->timer, BACK_PAUSE_MS, false, consume, fetched) != ST_OK)
		abort();
}

static void send_back(struct fetched *fetched)
{
	struct held_queue *queue = fetched->queue;
	struct client_node *node = node_of(queue);
	struct item *item = model_item(fetched->item);
	struct errinfo err;
	struct encoder *encoder = client_begin(node->client, address_of(queue), REQ_CONSUMER_SEND_MSG_BACK, false, &err);

	if (encoder == NULL) {
		if (loop_timer_start(node->loop, &fetched->timer, BACK_PAUSE_MS, false, consume, fetched) != ST_OK)
			abort();
		return;
	}
	send_back_encode(encoder, &(struct send_back_header){
		.offset = fetched->physical_offset, .group = group_of(queue), .delay_level = 0,
		.origin_msg_id = span_of(item->key), .origin_topic = span_of(topic_name(item->topic)),
		.max_reconsume_times = settings()->retry_max_times });
	model_back_asked(item, queue->consumer->group);
	queue->requests++;
	fetched->asking = true;
	client_send(node->client, REQUEST_TIMEOUT_MS, on_sent_back, fetched);
}

/* Goes well, or is sent back: the same message fares the same, whoever consumes it. */
static void consume(void *context)
{
	struct fetched *fetched = context;
	struct held_queue *queue = fetched->queue;
	uint64_t name = (uint64_t)fetched->item << 16 | (uint64_t)queue->consumer->group << 8 | (uint64_t)fetched->reconsume_times;
	struct chance chance = chance_of(engine_seed(), CHANCE_CONSUME, name, 0);

	if (queue->dropped)
		return;
	if (chance_percent(&chance, 6))
		send_back(fetched);
	else
		finished(fetched);
}

static void take_message(struct held_queue *queue, const struct message *message)
{
	struct item *item = model_saw(queue->broker, queue->place, queue->queue_id, message);
	struct fetched *fetched = item == NULL ? NULL : calloc(1, sizeof(*fetched));

	if (fetched == NULL)
		return;
	if (queue->place < TOPICS_MAX && !consumer_group_wants(queue->consumer->group, item->tag))
		violation("I3", "%s gets %s, whose tag it does not want", consumer_group_name(queue->consumer->group), item->key);
	fetched->queue = queue;
	fetched->item = item->number;
	fetched->reconsume_times = message->reconsume_times;
	fetched->physical_offset = message->physical_offset;
	fetched->entry.offset = message->queue_offset;
	fetched->entry.size = message->size;
	window_add(&queue->window, &fetched->entry);
	int64_t takes_ms = chance_skewed(&node_of(queue)->habits, 0, 300);
	if (loop_timer_start(node_of(queue)->loop, &fetched->timer, takes_ms, false, consume, fetched) != ST_OK)
		abort();
}

/* --- pulling ------------------------------------------------------------------------------------------------------------ */

static bool wants_all(const struct held_queue *queue)
{
	return queue->consumer->group == 0 || queue->place >= TOPICS_MAX;
}

static void take_messages(struct held_queue *queue, struct span body, const struct pull_reply_header *reply)
{
	bool all = wants_all(queue);
	int64_t expected = queue->window.next_offset;
	struct message message;
	enum status status;
	struct errinfo err;

	while ((status = message_next(&body, &message, &err)) == ST_OK) {
		if (all && message.queue_offset > expected && settings()->retention_bytes > 0) {
			model_passed_over(queue->broker, queue->place, queue->queue_id, expected, message.queue_offset);
			expected = message.queue_offset;
		}
		if (message.queue_offset < expected || (all && message.queue_offset != expected) ||
		    message.queue_offset >= reply->next_begin_offset)
			violation("I7", "a pull from %" PRId64 " to %" PRId64 " gives offset %" PRId64 ", expected was %" PRId64,
				  queue->window.next_offset, reply->next_begin_offset, message.queue_offset, expected);
		take_message(queue, &message);
		expected = message.queue_offset + 1;
	}
	if (status != ST_NOTFOUND)
		violation("I3", "a pull's body cannot be read: %s", err.text);
	queue->window.next_offset = reply->next_begin_offset;
}

/* Nothing was found up to there. Tags that the group does not want are passed over, too. */
static void jump(const struct held_queue *queue, int32_t code, int64_t to)
{
	if (code == RESP_PULL_OFFSET_MOVED)
		event_seen(SEEN_OFFSET_MOVED);
	else if (!wants_all(queue))
		return;
	model_passed_over(queue->broker, queue->place, queue->queue_id, queue->window.next_offset, to);
}

static void take_pull(struct held_queue *queue, const struct command *answer)
{
	struct pull_reply_header reply;
	struct errinfo err;

	if (pull_reply_decode(answer, &reply, &err) != ST_OK) {
		violation("I3", "the answer to a pull cannot be read: %s", err.text);
		return;
	}
	/* What was fetched before was committed, so it is there. */
	if (reply.max_offset < queue->window.next_offset)
		violation("I1", "queue %d of %s ends at %" PRId64 ", %s was told %" PRId64 " before", queue->queue_id,
			  broker_node_process(broker_node(queue->broker))->name, reply.max_offset,
			  node_of(queue)->process->name, queue->window.next_offset);
	bool same_life = queue->life == broker_node_life(broker_node(queue->broker));
	model_min_told(queue->broker, queue->place, queue->queue_id, reply.min_offset, same_life ? queue->log_start : 0);
	if (answer->code == RESP_SUCCESS) {
		if (loop_now_ms(node_of(queue)->loop) - queue->pull_sent_ms > SUSPEND_MIN_MS / 2)
			event_seen(SEEN_LONG_POLL);
		take_messages(queue, answer->body, &reply);
	} else {
		if (reply.next_begin_offset > queue->window.next_offset)
			jump(queue, answer->code, reply.next_begin_offset);
		queue->window.next_offset = reply.next_begin_offset;
	}
	if (queue->window.count == 0)
		later(queue, answer->code == RESP_SUCCESS ? 0 : 5, pull);
}

static void on_pulled(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct held_queue *queue = context;

	(void)err;
	if (!answered(queue))
		return;
	bool good = status == ST_OK && (answer->code == RESP_SUCCESS || answer->code == RESP_PULL_NOT_FOUND ||
					answer->code == RESP_PULL_RETRY_IMMEDIATELY || answer->code == RESP_PULL_OFFSET_MOVED);
	if (good)
		take_pull(queue, answer);
	else
		later(queue, PAUSE_MS, pull); /* Unreachable, busy, or it does not know the group's heartbeat yet. */
}

static void pull(void *context)
{
	struct held_queue *queue = context;
	struct client_node *node = node_of(queue);
	int64_t suspend_ms = chance_between(&node->habits, SUSPEND_MIN_MS, SUSPEND_MAX_MS);
	struct errinfo err;
	uint8_t text[256];
	struct encoder *encoder;

	encoder = client_begin(node->client, address_of(queue), REQ_PULL_MESSAGE, false, &err);
	if (encoder == NULL) {
		later(queue, PAUSE_MS, pull);
		return;
	}
	struct pull_header header = {
		.consumer_group = group_of(queue), .topic = model_place_name(queue->place, text), .queue_id = queue->queue_id,
		.queue_offset = queue->window.next_offset, .max_msg_nums = BATCH_MAX_MESSAGES,
		.sys_flag = PULL_SUSPEND, .suspend_timeout_ms = suspend_ms, .sub_version = queue->consumer->sub_version,
		.max_msg_bytes = -1,
	};
	if (chance_one_in(&node->habits, 3) && queue->window.next_offset > 0) {
		header.sys_flag |= PULL_COMMIT_OFFSET;
		header.commit_offset = window_position(&queue->window);
		model_offset_asked(queue->consumer->group, queue->broker, queue->place, queue->queue_id, header.commit_offset);
	}
	pull_header_encode(encoder, &header);
	queue->requests++;
	queue->pull_sent_ms = loop_now_ms(node->loop);
	queue->log_start = broker_node_log_start(broker_node(queue->broker));
	queue->life = broker_node_life(broker_node(queue->broker));
	client_send(node->client, suspend_ms + REQUEST_TIMEOUT_MS, on_pulled, queue);
}
