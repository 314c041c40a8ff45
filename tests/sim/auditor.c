#include "tests/sim/auditor.h"

#include <inttypes.h>
#include <stdlib.h>

#include "lib/wire/headers.h"
#include "lib/wire/message.h"
#include "tests/sim/broker_node.h"
#include "tests/sim/client_node.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { TIMEOUT_MS = 5000, PAUSE_MS = 100 };

struct reading {
	int broker, place, queue;
	int64_t begin, next;
	bool done;
	struct loop_timer timer;
};

static struct client_node node;
static struct reading readings[BROKERS_MAX * PLACES_MAX * QUEUES_MAX];
static int reading_count, left;

void auditor_begin(void)
{
	reading_count = left = 0;
	client_node_init(&node, "auditor");
	client_node_start(&node, NULL);
}

void auditor_end(void)
{
	for (int i = 0; i < reading_count; i++)
		loop_timer_stop(&readings[i].timer);
	if (node.loop != NULL)
		client_node_die(&node);
}

static void pull(void *context);

static void later(struct reading *reading)
{
	if (loop_timer_start(node.loop, &reading->timer, PAUSE_MS, false, pull, reading) != ST_OK)
		abort();
}

static void finish(struct reading *reading)
{
	reading->done = true;
	left--;
}

/* What retention let go, or whose body went before it. */
static void pass_over(struct reading *reading, int64_t to)
{
	if (settings()->retention_bytes == 0 || to <= reading->next)
		return;
	model_passed_over(reading->broker, reading->place, reading->queue, reading->next, to);
	reading->next = to;
}

static void take_messages(struct reading *reading, const struct command *answer, const struct pull_reply_header *reply)
{
	struct span body = answer->body;
	struct message message;

	while (message_next(&body, &message, NULL) == ST_OK) {
		pass_over(reading, message.queue_offset);
		if (message.queue_offset != reading->next)
			violation("I7", "queue %d of place %d has offset %" PRId64 " after %" PRId64, reading->queue, reading->place,
				  message.queue_offset, reading->next - 1);
		(void)model_saw(reading->broker, reading->place, reading->queue, &message);
		reading->next = message.queue_offset + 1;
	}
	pass_over(reading, reply->next_begin_offset);
	if (reading->next != reply->next_begin_offset)
		violation("I7", "a pull of queue %d of place %d ends at %" PRId64 ", but says %" PRId64, reading->queue,
			  reading->place, reading->next, reply->next_begin_offset);
}

static void on_pulled(void *context, enum status status, const struct command *answer, const struct errinfo *err)
{
	struct reading *reading = context;
	struct pull_reply_header reply;

	(void)err;
	if (node.dying)
		return;
	if (status != ST_OK || answer->code == RESP_SYSTEM_BUSY || answer->code == RESP_SERVICE_NOT_AVAILABLE) {
		later(reading);
		return;
	}
	bool told = pull_reply_decode(answer, &reply, NULL) == ST_OK;
	if (told && answer->code == RESP_SUCCESS) {
		take_messages(reading, answer, &reply);
		pull(reading);
	} else if (told && answer->code == RESP_PULL_RETRY_IMMEDIATELY) {
		pass_over(reading, reply.next_begin_offset);
		later(reading);
	} else if (told && answer->code == RESP_PULL_OFFSET_MOVED && reply.next_begin_offset > reading->next) {
		pass_over(reading, reply.next_begin_offset);
		reading->begin = reading->next;
		pull(reading);
	} else if (told || answer->code == RESP_TOPIC_NOT_EXIST || answer->code == RESP_INVALID_PARAMETER) {
		if (told)
			pass_over(reading, reply.max_offset);
		if (told && reply.max_offset != reading->next)
			violation("I7", "queue %d of place %d ends at %" PRId64 ", read were %" PRId64, reading->queue, reading->place,
				  reply.max_offset, reading->next);
		finish(reading);
	} else {
		violation("I1", "queue %d of place %d cannot be read: %d %.*s", reading->queue, reading->place, answer->code,
			  SPAN_ARGS(answer->remark));
	}
}

static void pull(void *context)
{
	struct reading *reading = context;
	uint8_t text[256];
	struct errinfo err;
	struct encoder *encoder = client_begin(node.client, broker_node_address(broker_node(reading->broker)), REQ_PULL_MESSAGE,
					       false, &err);

	if (encoder == NULL) {
		later(reading);
		return;
	}
	pull_header_encode(encoder, &(struct pull_header){
		.consumer_group = SPAN_LITERAL("auditor"), .topic = model_place_name(reading->place, text),
		.queue_id = reading->queue, .queue_offset = reading->next, .max_msg_nums = 64, .sys_flag = PULL_SUBSCRIPTION,
		.subscription = SPAN_LITERAL("*"), .max_msg_bytes = -1 });
	client_send(node.client, TIMEOUT_MS, on_pulled, reading);
}

void auditor_read_all(void)
{
	reading_count = 0;
	for (int broker = 0; broker < settings()->brokers; broker++) {
		for (int place = 0; place < PLACES_MAX; place++) {
			int queues = place < TOPICS_MAX ? settings()->queues : 1;

			if (place >= settings()->topics && place < TOPICS_MAX)
				continue;
			for (int queue = 0; queue < queues; queue++)
				readings[reading_count++] = (struct reading){ .broker = broker, .place = place, .queue = queue };
		}
	}
	left = reading_count;
	for (int i = 0; i < reading_count; i++)
		pull(&readings[i]);
	virtual_loop_end_turn(node.loop);
}

bool auditor_is_done(void)
{
	return left == 0;
}

/* NULL: it is not read. */
static const struct reading *reading_of(int broker, int place, int queue)
{
	for (int i = 0; i < reading_count; i++) {
		if (readings[i].broker == broker && readings[i].place == place && readings[i].queue == queue)
			return &readings[i];
	}
	return NULL;
}

uint64_t auditor_queue_begin(int broker, int place, int queue)
{
	const struct reading *reading = reading_of(broker, place, queue);

	return reading == NULL ? 0 : (uint64_t)reading->begin;
}

uint64_t auditor_queue_end(int broker, int place, int queue)
{
	const struct reading *reading = reading_of(broker, place, queue);

	return reading == NULL ? 0 : (uint64_t)reading->next;
}
