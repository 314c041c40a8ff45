/* POP over the wire: headers, handles, bodies; waiting; how queues are shared out. */
#include "tests/unit/handlers/handlers_fixture.h"

#include "broker/core/assignment.h"
#include "broker/core/pop_waits.h"
#include "broker/core/state.h"
#include "lib/wire/body_route.h"

static struct bench *bench_of_messages(int count)
{
	struct bench *b = bench_open();

	for (int i = 0; i < count; i++)
		must_send(b->f, (struct sent){ .topic = "t", .key = "k", .queue_id = 0 });
	if (count == 0)
		must_send(b->f, (struct sent){ .topic = "t", .key = "k", .queue_id = 3 });
	fixture_disk(b->f, true);
	return b;
}

static const struct command *answer(struct bench *b, int32_t code, const char *const *fields, const char *body)
{
	size_t before = b->count = 0;

	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, code, fields, body == NULL ? "" : body), ST_OK);
	fixture_disk(b->f, true);
	return b->count == before ? NULL : &b->out[before].command;
}

static bool field_is(const struct command *command, const char *name, const char *text)
{
	return span_is(command_field(command, name), text);
}

static const char *const none[] = { NULL };
static const char *const pop_one[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "1", "invisibleTime",
				       "10000", "pollTime", "0", "initMode", "0", NULL };

static void test_pop_and_ack(void)
{
	struct bench *b = bench_of_messages(2);
	const struct command *got = answer(b, REQ_POP_MESSAGE, pop_one, NULL);
	char info[128];

	CU_ASSERT_EQUAL_FATAL(got->code, RESP_SUCCESS);
	CU_ASSERT_TRUE(field_is(got, "startOffsetInfo", "0 0 0"));
	CU_ASSERT_TRUE(field_is(got, "msgOffsetInfo", "0 0 0"));
	CU_ASSERT_TRUE(field_is(got, "restNum", "1"));
	CU_ASSERT_TRUE(field_is(got, "reviveQid", "0"));
	CU_ASSERT_TRUE(field_is(got, "invisibleTime", "10000"));
	CU_ASSERT_TRUE(got->body.size > 0);
	snprintf(info, sizeof(info), "0 %.*s 10000 0 0 a 0 0", SPAN_ARGS(command_field(got, "popTime")));
	const char *const ack[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "offset", "0", "extraInfo", info, NULL };
	const char *const forged[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "offset", "0", "extraInfo",
				       "0 1 10000 0 0 a 0 0", NULL };
	const char *const garbage[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "offset", "0", "extraInfo", "x", NULL };
	CU_ASSERT_EQUAL(answer(b, REQ_ACK_MESSAGE, garbage, NULL)->code, RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(answer(b, REQ_ACK_MESSAGE, forged, NULL)->code, RESP_NO_MESSAGE);
	CU_ASSERT_EQUAL(answer(b, REQ_ACK_MESSAGE, ack, NULL)->code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(answer(b, REQ_PEEK_MESSAGE, pop_one, NULL)->code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, pop_one, NULL)->code, RESP_SUCCESS);
	got = answer(b, REQ_POP_MESSAGE, pop_one, NULL);
	CU_ASSERT_EQUAL(got->code, RESP_POLLING_TIMEOUT);
	CU_ASSERT_TRUE(field_is(got, "restNum", "0"));
	CU_ASSERT_EQUAL(answer(b, REQ_PEEK_MESSAGE, pop_one, NULL)->code, RESP_PULL_NOT_FOUND);
	bench_close(b);
}

static bool body_says(const struct command *command, const char *text)
{
	return command->body.size > 0 && memmem(command->body.data, command->body.size, text, strlen(text)) != NULL;
}

static void subscribe_readers(struct bench *b, const char *topic)
{
	struct subscription_data subscription = { .topic = span_of(topic), .sub_string = SPAN_LITERAL("*") };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING, .subscriptions = &subscription, .subscription_count = 1 };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("one"), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(b->f->core, CONSUMER, &(struct host){ 0 }, LANGUAGE_JAVA, VERSION_OURS, &heartbeat, &outcome),
			ST_OK);
	fixture_disk(b->f, true);
}

/* What "readers" are given of "orders" when its one message has lapsed: that message, from their retry topic. */
static const struct command *popped_again(struct bench *b)
{
	static const char *const pop[] = { "consumerGroup", "readers", "topic", "orders", "queueId", "-1", "maxMsgNums", "8",
					   "invisibleTime", "10000", "pollTime", "0", "initMode", "0", NULL };

	must_send(b->f, (struct sent){ .topic = "orders", .key = "k" });
	fixture_disk(b->f, true);
	subscribe_readers(b, "orders");
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, pop, NULL)->code, RESP_SUCCESS);
	fixture_advance(b->f, 11 * 1000);
	const struct command *again = answer(b, REQ_POP_MESSAGE, pop, NULL);
	CU_ASSERT_EQUAL_FATAL(again->code, RESP_SUCCESS);
	return again;
}

/* What waits in a group's retry topic is part of its lag (consumerProgress), though nobody subscribes to that topic by name. */
static void test_what_comes_again_is_part_of_the_lag(void)
{
	static const char *const lag[] = { "consumerGroup", "readers", NULL };
	static const char *const others[] = { "consumerGroup", "readers", "topic", "%RETRY%readers_t", NULL };
	static const char *const before = "{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"%RETRY%readers_orders\"}:{\"brokerOffset\":1,"
					  "\"consumerOffset\":0,";
	static const char *const after = "{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"%RETRY%readers_orders\"}:{\"brokerOffset\":1,"
					 "\"consumerOffset\":1,";
	struct bench *b = bench_of_messages(1);
	char info[128];

	const struct command *again = popped_again(b);
	snprintf(info, sizeof(info), "0 %.*s 10000 0 1 a 0 0", SPAN_ARGS(command_field(again, "popTime")));
	CU_ASSERT_TRUE(body_says(answer(b, REQ_GET_CONSUME_STATS, lag, NULL), before));
	const char *const ack[] = { "consumerGroup", "readers", "topic", "%RETRY%readers_orders", "queueId", "0", "offset", "0",
				    "extraInfo", info, NULL };
	CU_ASSERT_EQUAL(answer(b, REQ_ACK_MESSAGE, ack, NULL)->code, RESP_SUCCESS);
	CU_ASSERT_TRUE(body_says(answer(b, REQ_GET_CONSUME_STATS, lag, NULL), after));
	CU_ASSERT_FALSE(body_says(answer(b, REQ_GET_CONSUME_STATS, others, NULL), "readers_t"));
	bench_close(b);
}

static void test_bad_pops_are_refused(void)
{
	struct bench *b = bench_of_messages(1);
	const char *const many[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "33", NULL };
	const char *const queue[] = { "consumerGroup", "g", "topic", "t", "queueId", "9", "maxMsgNums", "1", NULL };
	const char *const topic[] = { "consumerGroup", "g", "topic", "nowhere", "queueId", "0", "maxMsgNums", "1", NULL };
	const char *const old[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "1", "bornTime", "1",
				    "pollTime", "1000", NULL };

	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, many, NULL)->code, RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, queue, NULL)->code, RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, topic, NULL)->code, RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, old, NULL)->code, RESP_POLLING_TIMEOUT);
	bench_close(b);
}

/* What a client keeps of an answer, to settle by it what it was given. */
struct handle {
	char pop_time[24], revive[8];
};

static struct handle handle_of(const struct command *popped)
{
	struct handle handle;

	snprintf(handle.pop_time, sizeof(handle.pop_time), "%.*s", SPAN_ARGS(command_field(popped, "popTime")));
	snprintf(handle.revive, sizeof(handle.revive), "%.*s", SPAN_ARGS(command_field(popped, "reviveQid")));
	return handle;
}

/* Acknowledges in a batch, of queue 0; `whose` are the group, the topic and whether it was in the retry topic, as the body has
 * them, `bits` (base64) which messages. The answer's code. */
static int32_t ack_batch(struct bench *b, struct handle handle, const char *whose, const char *bits)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "{\"brokerName\":\"a\",\"acks\":[{\"b\":\"%s\",%s,\"it\":10000,\"pt\":%s,\"q\":0,\"rq\":%s,\"so\":0}]}", bits, whose,
		 handle.pop_time, handle.revive);
	return answer(b, REQ_BATCH_ACK_MESSAGE, none, body)->code;
}

static void test_batch_acks(void)
{
	struct bench *b = bench_of_messages(3);
	static const char *const pop_all[] = { "consumerGroup", "g", "topic", "t", "queueId", "-1", "maxMsgNums", "32",
					       "invisibleTime", "10000", NULL };
	const struct command *got = answer(b, REQ_POP_MESSAGE, pop_all, NULL);

	CU_ASSERT_TRUE(field_is(got, "msgOffsetInfo", "0 0 0,1,2"));
	/* "BQ==" is 5: the first and the third. */
	CU_ASSERT_EQUAL(ack_batch(b, handle_of(got), "\"c\":\"g\",\"t\":\"t\",\"r\":\"0\"", "BQ=="), RESP_SUCCESS);
	CU_ASSERT_EQUAL(b->f->core->pops.live, 1);
	CU_ASSERT_EQUAL(answer(b, REQ_BATCH_ACK_MESSAGE, none, "{\"acks\":[]}")->code, RESP_NO_MESSAGE);
	bench_close(b);
}

/* Such an ack names the topic that was asked for, and says that the message was in the group's retry topic for it. */
static void test_batch_acks_of_what_came_again(void)
{
	struct bench *b = bench_of_messages(1);
	const struct command *again = popped_again(b);

	CU_ASSERT_EQUAL(b->f->core->pops.live, 1);
	CU_ASSERT_EQUAL(ack_batch(b, handle_of(again), "\"c\":\"readers\",\"t\":\"orders\",\"r\":\"1\"", "AQ=="), RESP_SUCCESS);
	CU_ASSERT_EQUAL(b->f->core->pops.live, 0);
	bench_close(b);
}

static bool run_wait(void *context, const struct pop_wait *wait, bool expired)
{
	struct bench *b = context;

	return handlers_pop_ready(&b->handlers, wait, expired);
}

static void test_waiting(void)
{
	static const char *const poll[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "1", "invisibleTime",
					    "10000", "pollTime", "1000", NULL };
	struct bench *b = bench_of_messages(0);

	b->f->core->effects.pop_ready = run_wait;
	b->f->core->effects.context = b;
	CU_ASSERT_PTR_NULL(answer(b, REQ_POP_MESSAGE, poll, NULL));
	CU_ASSERT_TRUE(field_is(answer(b, REQ_POLLING_INFO, poll, NULL), "pollingNum", "1"));
	CU_ASSERT_PTR_NULL(answer(b, REQ_NOTIFICATION, poll, NULL));
	must_send(b->f, (struct sent){ .topic = "t", .key = "k", .queue_id = 0 });
	must_send(b->f, (struct sent){ .topic = "t", .key = "k", .queue_id = 0 });
	fixture_disk(b->f, true);
	b->count = 0;
	core_turn_end(b->f->core);
	CU_ASSERT_EQUAL_FATAL(b->count, 2);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SUCCESS);
	CU_ASSERT_TRUE(field_is(&b->out[0].command, "msgOffsetInfo", "0 0 0"));
	CU_ASSERT_TRUE(field_is(&b->out[1].command, "hasMsg", "true"));
	CU_ASSERT_EQUAL(answer(b, REQ_POP_MESSAGE, poll, NULL)->code, RESP_SUCCESS);
	CU_ASSERT_PTR_NULL(answer(b, REQ_POP_MESSAGE, poll, NULL));
	b->count = 0;
	fixture_advance(b->f, 1010);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_POLLING_TIMEOUT);
	bench_close(b);
}

static const char *const pop_in_order[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "1", "invisibleTime",
					    "10000", "pollTime", "1000", "order", "true", NULL };

/* Two messages, of which the first is out, in order. */
static struct bench *bench_of_one_in_order(struct handle *handle_out)
{
	struct bench *b = bench_of_messages(2);
	const struct command *got = answer(b, REQ_POP_MESSAGE, pop_in_order, NULL);

	CU_ASSERT_EQUAL_FATAL(got->code, RESP_SUCCESS);
	CU_ASSERT_TRUE(field_is(got, "reviveQid", "999"));
	*handle_out = handle_of(got);
	b->f->core->effects.pop_ready = run_wait;
	b->f->core->effects.context = b;
	return b;
}

/* Who waits for his turn has it as soon as what was before him is acknowledged. */
static void test_a_batch_of_acks_lets_the_next_in_order_go_on(void)
{
	struct handle first;
	struct bench *b = bench_of_one_in_order(&first);

	CU_ASSERT_PTR_NULL(answer(b, REQ_POP_MESSAGE, pop_in_order, NULL));
	CU_ASSERT_EQUAL(ack_batch(b, first, "\"c\":\"g\",\"t\":\"t\",\"r\":\"0\"", "AQ=="), RESP_SUCCESS);
	b->count = 0;
	core_turn_end(b->f->core);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_TRUE(field_is(&b->out[0].command, "msgOffsetInfo", "0 0 1"));
	bench_close(b);
}

/* The handle that a client goes on with says still that the message was given out in order. */
static void test_a_changed_handle_is_in_order_as_before(void)
{
	struct handle first;
	struct bench *b = bench_of_one_in_order(&first);
	char info[128];

	snprintf(info, sizeof(info), "0 %s 10000 %s 0 a 0 0", first.pop_time, first.revive);
	const char *const change[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "offset", "0", "extraInfo", info,
				       "invisibleTime", "20000", NULL };
	CU_ASSERT_TRUE(field_is(answer(b, REQ_CHANGE_MESSAGE_INVISIBLETIME, change, NULL), "reviveQid", first.revive));
	bench_close(b);
}

static void test_queues_are_shared_out(void)
{
	static const char ask[] = "{\"topic\":\"t\",\"consumerGroup\":\"readers\",\"clientId\":\"10.0.0.1@1\",\"strategyName\":\"AVG\","
				  "\"messageModel\":\"CLUSTERING\"}";
	static const char mode[] = "{\"topic\":\"t\",\"consumerGroup\":\"readers\",\"mode\":\"POP\",\"popShareQueueNum\":8}";
	struct bench *b = bench_of_messages(1);

	CU_ASSERT_FALSE(body_says(answer(b, REQ_QUERY_ASSIGNMENT, none, ask), "messageQueueAssignments"));
	fixture_heartbeat(b->f, false);
	const struct command *got = answer(b, REQ_QUERY_ASSIGNMENT, none, ask);
	CU_ASSERT_TRUE(body_says(got, "\"queueId\":0") && body_says(got, "\"queueId\":3") && body_says(got, "\"mode\":\"PULL\""));
	CU_ASSERT_EQUAL(answer(b, REQ_SET_MESSAGE_REQUEST_MODE, none, mode)->code, RESP_SUCCESS);
	for (int restart = 0; restart < 3; restart++) {
		got = answer(b, REQ_QUERY_ASSIGNMENT, none, ask);
		CU_ASSERT_TRUE(body_says(got, "\"queueId\":-1") && body_says(got, "\"mode\":\"POP\""));
		CU_ASSERT_TRUE(body_says(answer(b, REQ_GET_ALL_MESSAGE_REQUEST_MODE, none, NULL), "{\"t\":{\"readers\":{"));
		if (restart == 1)
			fixture_snapshot(b->f);
		fixture_restart(b->f);
		b->handlers.core = b->f->core;
		fixture_heartbeat(b->f, false);
	}
	bench_close(b);
}

struct routes {
	enum status status;
	struct topic_queues *queues;
	int asks;
};

static enum status find_route(void *context, struct span topic, const struct topic_queues **out)
{
	struct routes *routes = context;

	CU_ASSERT_TRUE(span_is(topic, "t"));
	routes->asks++;
	*out = routes->status == ST_OK ? routes->queues : NULL;
	return routes->status;
}

/* The queues of all brokers, once the name servers have answered; the own ones while they know no route. */
static void test_queues_of_other_brokers(void)
{
	static const char ask[] = "{\"topic\":\"t\",\"consumerGroup\":\"readers\",\"clientId\":\"10.0.0.1@1\",\"strategyName\":\"AVG\","
				  "\"messageModel\":\"CLUSTERING\"}";
	static const struct queue_data data[] = {
		{ .broker_name = SPAN_LITERAL("z"), .perm = 6, .read_queue_nums = 2 },
		{ .broker_name = SPAN_LITERAL("a"), .perm = 6, .read_queue_nums = 1 },
	};
	struct route route = { .queues = data, .queue_count = 2 };
	struct bench *b = bench_of_messages(1);
	struct routes routes = { .status = ST_AGAIN };

	CU_ASSERT_EQUAL_FATAL(topic_queues_make(&route, &routes.queues, NULL), ST_OK);
	fixture_heartbeat(b->f, false);
	b->handlers.routes = (struct route_port){ &routes, find_route };
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_QUERY_ASSIGNMENT, NULL, ask), ST_AGAIN);
	CU_ASSERT_EQUAL(b->count, 0);
	routes.status = ST_OK;
	CU_ASSERT_EQUAL(bench_ask_again(b, CONSUMER), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_TRUE(body_says(&b->out[0].command, "\"brokerName\":\"a\",\"queueId\":0"));
	CU_ASSERT_FALSE(body_says(&b->out[0].command, "\"brokerName\":\"a\",\"queueId\":1"));
	CU_ASSERT_TRUE(body_says(&b->out[0].command, "\"brokerName\":\"z\",\"queueId\":1"));
	CU_ASSERT_EQUAL(routes.asks, 2);
	free(routes.queues);
	routes.queues = NULL;
	const struct command *got = answer(b, REQ_QUERY_ASSIGNMENT, NULL, ask);
	CU_ASSERT_TRUE(body_says(got, "\"brokerName\":\"a\",\"queueId\":3"));
	CU_ASSERT_FALSE(body_says(got, "\"brokerName\":\"z\""));
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_pop_and_ack),
		CHECK_TEST(test_what_comes_again_is_part_of_the_lag),
		CHECK_TEST(test_bad_pops_are_refused),
		CHECK_TEST(test_batch_acks),
		CHECK_TEST(test_batch_acks_of_what_came_again),
		CHECK_TEST(test_waiting),
		CHECK_TEST(test_a_batch_of_acks_lets_the_next_in_order_go_on),
		CHECK_TEST(test_a_changed_handle_is_in_order_as_before),
		CHECK_TEST(test_queues_are_shared_out),
		CHECK_TEST(test_queues_of_other_brokers),
	};
	return check_main("handlers/pop", tests, sizeof(tests) / sizeof(tests[0]));
}
