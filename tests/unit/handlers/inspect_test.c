/* What operators ask: how far queues and groups are, what went through, who is connected. */
#include "tests/unit/core/retention_fixture.h"
#include "tests/unit/handlers/busy_bench.h"

static bool body_has(const struct bench *b, const char *text)
{
	const struct span body = b->out[0].command.body;

	return body.size > 0 && memmem(body.data, body.size, text, strlen(text)) != NULL;
}

static size_t times_in_body(const struct bench *b, const char *text)
{
	struct span rest = b->out[0].command.body;
	size_t count = 0;

	for (const uint8_t *at; (at = memmem(rest.data, rest.size, text, strlen(text))) != NULL; count++)
		rest = (struct span){ at + 1, rest.size - (size_t)(at + 1 - rest.data) };
	return count;
}

/* Asks; the answer's code. */
static int32_t ask(struct bench *b, int32_t code, const char *const *fields)
{
	CU_ASSERT_EQUAL_FATAL(bench_ask(b, OPERATOR, code, fields, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	return b->out[0].command.code;
}

static void say_offset(struct bench *b, const char *topic, int32_t queue_id, int64_t offset)
{
	struct outcome outcome;

	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), span_of(topic), queue_id, offset, true, &outcome),
			ST_OK);
	fixture_disk(b->f, true);
}

static void pull(struct bench *b, const char *topic, uint32_t queue_id, uint64_t offset)
{
	struct pull_request request = pull_of(b->f, topic, queue_id, offset, "*");
	struct pull_result result;
	struct outcome outcome;

	request.group_id = core_name_id(b->f->core, SPAN_LITERAL("readers"));
	CU_ASSERT_NOT_EQUAL(request.group_id, 0);
	CU_ASSERT_EQUAL(core_pull(b->f->core, &request, &result, &outcome), ST_OK);
}

/* Ten messages in queue 1 of "orders", a second apart; "readers" has read the first four and holds the other six. */
static struct bench *open_with_traffic(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	for (int i = 0; i < 10; i++) {
		must_send(b->f, (struct sent){ .topic = "orders", .key = "k", .tag = "a", .queue_id = 1 });
		fixture_advance(b->f, 1000);
	}
	pull(b, "orders", 1, 0);
	say_offset(b, "orders", 1, 4);
	pull(b, "orders", 1, 4);
	return b;
}

static void test_lag_of_a_group(void)
{
	static const char *const all[] = { "consumerGroup", "readers", NULL };
	static const char *const one[] = { "consumerGroup", "readers", "topic", "orders", NULL };
	static const char *const listed[] = { "consumerGroup", "nobody", "topicList", "no-such;orders;", NULL };
	static const char *const other[] = { "consumerGroup", "readers", "topic", "others", NULL };
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, all), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"brokerOffset\":10,\"consumerOffset\":4,\"lastTimestamp\":1700000003000,\"pullOffset\":10"));
	CU_ASSERT_TRUE(body_has(b, "\"queueId\":0"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, one), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"pullOffset\":10"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, listed), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"brokerOffset\":10,\"consumerOffset\":0,"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, other), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"offsetTable\":{}"));
	CU_ASSERT_NOT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, NULL), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CONSUME_STATS, (const char *const[]){ "isOrder", "false", NULL }), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "{\"readers\":[{"));
	CU_ASSERT_TRUE(body_has(b, "\"totalDiff\":6,\"totalInflightDiff\":6"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CONSUME_STATS, (const char *const[]){ "isOrder", "true", NULL }), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"totalDiff\":0"));
	/* Deleted, it keeps its place unless that is to go, too. */
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_SUBSCRIPTIONGROUP, (const char *const[]){ "groupName", "readers", NULL }), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, one), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"consumerOffset\":4,"));
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_SUBSCRIPTIONGROUP, (const char *const[]){ "groupName", "readers", "cleanOffset", "true", NULL }),
			RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, one), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"consumerOffset\":0,"));
	bench_close(b);
}

/* What a group reads in all, of each of its topics. */
static void test_the_rate_of_a_group(void)
{
	static const char *const all[] = { "consumerGroup", "readers", NULL };
	struct bench *b = open_with_traffic();

	must_send(b->f, (struct sent){ .topic = "others", .key = "k", .queue_id = 1 });
	fixture_disk(b->f, true);
	say_offset(b, "others", 1, 0);
	for (int i = 0; i < 4; i++)
		pull(b, "others", 1, 0);
	/* In 10 s: 16 messages of the one, 4 of the other. */
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUME_STATS, all), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"consumeTps\":2.0"));
	bench_close(b);
}

/* Sixty groups that are one message behind in each of ten topics. */
static void say_much(struct bench *b)
{
	struct outcome outcome;
	char group[32], topic[32];

	for (int i = 0; i < 600; i++) {
		snprintf(group, sizeof(group), "group-%d", i / 10);
		snprintf(topic, sizeof(topic), "topic-%d", i % 10);
		struct consumer_data consumer = { .group_name = span_of(group) };
		struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("x"), .consumers = &consumer, .consumer_count = 1 };
		if (i < 10)
			must_send(b->f, (struct sent){ .topic = topic, .key = "k", .queue_id = 1 });
		CU_ASSERT_EQUAL(core_heartbeat(b->f->core, 100, &(struct host){ 0 }, 0, 400, &heartbeat, &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_update_offset(b->f->core, span_of(group), span_of(topic), 1, 0, true, &outcome), ST_OK);
		fixture_disk(b->f, true);
	}
}

static void test_a_long_answer_is_made_in_slices(void)
{
	struct bench *b = bench_open();
	static const char *const fields[] = { "isOrder", "false", NULL };

	say_much(b);
	CU_ASSERT_EQUAL_FATAL(bench_ask(b, OPERATOR, REQ_GET_BROKER_CONSUME_STATS, fields, ""), ST_AGAIN);
	CU_ASSERT_EQUAL(b->count, 0);
	CU_ASSERT_EQUAL_FATAL(bench_ask_again(b, OPERATOR), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_TRUE(body_has(b, "{\"group-0\":[{"));
	CU_ASSERT_TRUE(body_has(b, "{\"group-59\":[{"));
	CU_ASSERT_TRUE(body_has(b, "\"totalDiff\":600,"));
	CU_ASSERT_PTR_NULL(b->handlers.reports);
	/* Who asks and goes away leaves nothing behind; there is an end to what is begun at once. */
	for (int i = 0; i < 4; i++)
		CU_ASSERT_EQUAL(bench_ask(b, OPERATOR + i, REQ_GET_BROKER_CONSUME_STATS, fields, ""), ST_AGAIN);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CONSUME_STATS, fields), RESP_SYSTEM_BUSY);
	reports_connection_gone(&b->handlers, OPERATOR);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_BROKER_CONSUME_STATS, fields, ""), ST_AGAIN);
	fixture_advance(b->f, 3000); /* Nobody comes back to them. */
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_BROKER_CONSUME_STATS, fields, ""), ST_AGAIN);
	bench_close(b);
}

/* "readers" subscribe to "orders". */
static void subscribe(struct bench *b, const char *expression, const char *type)
{
	struct subscription_data subscription = { .topic = SPAN_LITERAL("orders"), .sub_string = span_of(expression),
						  .expression_type = span_of(type), .sub_version = 1 };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING, .subscriptions = &subscription, .subscription_count = 1 };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("one"), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(b->f->core, 100, &(struct host){ 0 }, LANGUAGE_JAVA, VERSION_OURS, &heartbeat, &outcome), ST_OK);
}

/* Before it confirms anything a group is known by what its consumers subscribe to; and it is named once. */
static void test_who_subscribes_reads_a_topic(void)
{
	static const char *const orders[] = { "topic", "orders", NULL };
	struct bench *b = bench_open();

	must_send(b->f, (struct sent){ .topic = "orders", .key = "k" });
	subscribe(b, "*", "TAG");
	fixture_disk(b->f, true);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(ask(b, REQ_QUERY_TOPIC_CONSUME_BY_WHO, orders), RESP_SUCCESS);
		CU_ASSERT_TRUE(body_has(b, "{\"groupList\":[\"readers\"]}"));
		say_offset(b, "orders", 0, 1);
	}
	bench_close(b);
}

static void test_how_far_a_topic_is(void)
{
	static const char *const orders[] = { "topic", "orders", NULL };
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_STATS_INFO, orders), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"lastUpdateTimestamp\":1700000009000,\"maxOffset\":10,\"minOffset\":0"));
	CU_ASSERT_TRUE(body_has(b, "\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0"));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_STATS_INFO, (const char *const[]){ "topic", "no", NULL }), RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_TOPIC_CONSUME_BY_WHO, orders), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "{\"groupList\":[\"readers\"]}"));
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_TOPICS_BY_CONSUMER, (const char *const[]){ "group", "readers", NULL }), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"topicList\":[\"orders\"]"));
	bench_close(b);
}

static void test_time_spans(void)
{
	static const char *const fields[] = { "topic", "orders", "group", "readers", NULL };
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_TIME_SPAN, fields), RESP_SUCCESS);
	/* The fifth message waits since 6 s. */
	CU_ASSERT_TRUE(body_has(b, "\"consumeTimeStamp\":1700000003000,\"delayTime\":6000,\"maxTimeStamp\":1700000009000"));
	CU_ASSERT_TRUE(body_has(b, "\"minTimeStamp\":1700000000000"));
	CU_ASSERT_TRUE(body_has(b, "\"consumeTimeStamp\":-1,\"delayTime\":0,\"maxTimeStamp\":-1"));
	say_offset(b, "orders", 1, 10);
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_TIME_SPAN, fields), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"consumeTimeStamp\":1700000009000,\"delayTime\":0,\"maxTimeStamp\":1700000009000"));
	bench_close(b);
}

static void test_entries_of_a_queue(void)
{
	static const char *const fields[] = { "topic", "orders", "queueId", "1", "index", "8", "count", "5", "consumerGroup", "no",
					      NULL };
	static const char *const words[] = { "topic", "orders", "queueId", "one", "index", "8", "count", "5", NULL };
	static const char *const far[] = { "topic", "orders", "queueId", "-1", "index", "8", "count", "5", NULL };
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, fields), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"maxQueueIndex\":10,\"minQueueIndex\":0,\"queueData\":[{\"eval\":false,\"physicOffset\":"));
	CU_ASSERT_TRUE(body_has(b, "\"tagsCode\":97},{"));
	CU_ASSERT_TRUE(body_has(b, "\"filterData\":\"no@orders is not online!\""));
	CU_ASSERT_NOT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, words), RESP_SUCCESS);
	CU_ASSERT_NOT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, far), RESP_SUCCESS);
	bench_close(b);
}

/* A log whose oldest messages of "bulk" are gone, and readers that are nowhere. The first offset that is there. */
static struct bench *open_with_retention(uint64_t *first_out)
{
	struct bench *b = bench_over(create());
	struct inspected_queue queue = { 0 };

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	grow(b->f, 6);
	CU_ASSERT_EQUAL(inspect_queue(b->f->core, topics_find(core_topics(b->f->core), SPAN_LITERAL("bulk")), 0, &queue, NULL), ST_OK);
	CU_ASSERT_TRUE(queue.min_offset > 1);
	*first_out = queue.min_offset;
	return b;
}

/* A question for what is gone is answered from the first one on that is there. */
static void test_entries_from_before_the_first(void)
{
	static const char *const fields[] = { "topic", "bulk", "queueId", "0", "index", "0", "count", "2", NULL };
	uint64_t first;
	struct bench *b = open_with_retention(&first);
	char line[64];

	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, fields), RESP_SUCCESS);
	snprintf(line, sizeof(line), "\"minQueueIndex\":%llu,", (unsigned long long)first);
	CU_ASSERT_TRUE(body_has(b, line));
	CU_ASSERT_EQUAL(times_in_body(b, "\"physicOffset\":"), 2);
	bench_close(b);
}

/* For who has fallen behind that the next message is the first that is there, which waits since it was stored. */
static void test_the_delay_of_who_was_left_behind(void)
{
	static const char *const fields[] = { "topic", "bulk", "group", "readers", NULL };
	uint64_t first;
	struct bench *b = open_with_retention(&first);

	say_offset(b, "bulk", 0, 1);
	fixture_advance(b->f, 5000);
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_TIME_SPAN, fields), RESP_SUCCESS);
	CU_ASSERT_EQUAL(times_in_body(b, "\"delayTime\":0,"), 3); /* The other queues are empty. */
	bench_close(b);
}

static void test_the_number_of_entries_is_bounded(void)
{
	static const char *const fields[] = { "topic", "orders", "queueId", "1", "index", "0", "count", "5000", NULL };
	struct bench *b = bench_open();

	for (int i = 0; i < 1001; i++)
		must_send(b->f, (struct sent){ .topic = "orders", .key = "k", .queue_id = 1 });
	fixture_disk(b->f, true);
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, fields), RESP_SUCCESS);
	CU_ASSERT_EQUAL(times_in_body(b, "\"physicOffset\":"), 1000);
	bench_close(b);
}

static void test_what_a_group_subscribes_to(void)
{
	static const char *const orders[] = { "group", "readers", "topic", "orders", NULL };
	static const char *const others[] = { "group", "readers", "topic", "others", NULL };
	struct bench *b = open_with_traffic();

	subscribe(b, "a || b", "TAG");
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, orders), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "{\"group\":\"readers\",\"subscriptionData\":{"));
	CU_ASSERT_TRUE(body_has(b, "\"subString\":\"a || b\""));
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_SUBSCRIPTION_BY_CONSUMER, others), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "{\"group\":\"readers\",\"topic\":\"others\"}"));
	bench_close(b);
}

/* queryCq -g: by what a group of SQL92 filters. */
static void test_the_filter_of_a_group(void)
{
	static const char *const fields[] = { "topic", "orders", "queueId", "1", "index", "0", "count", "1", "consumerGroup", "readers",
					      NULL };
	struct bench *b = open_with_traffic();

	subscribe(b, "a = 'b'", "SQL92");
	CU_ASSERT_EQUAL(ask(b, REQ_QUERY_CONSUME_QUEUE, fields), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"filterData\":\"{\\\"consumerGroup\\\":\\\"readers\\\",\\\"expression\\\":\\\"a = 'b'\\\","
				   "\\\"expressionType\\\":\\\"SQL92\\\",\\\"topic\\\":\\\"orders\\\"}\""));
	bench_close(b);
}

static int32_t ask_stats(struct bench *b, const char *name, const char *key)
{
	const char *const fields[] = { "statsName", name, "statsKey", key, NULL };

	return ask(b, REQ_VIEW_BROKER_STATS_DATA, fields);
}

static void test_flows(void)
{
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", "orders"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"statsDay\":{\"avgpt\":1.0000,\"sum\":10,\"tps\":1.0000}"));
	CU_ASSERT_EQUAL(ask_stats(b, "GROUP_GET_NUMS", "orders@readers"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"statsMinute\":{\"avgpt\":8.0000,\"sum\":16,\"tps\":1.6000}"));
	CU_ASSERT_EQUAL(ask_stats(b, "GROUP_GET_SIZE", "orders@readers"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_stats(b, "BROKER_PUT_NUMS", "c"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"sum\":10"));
	CU_ASSERT_EQUAL(ask_stats(b, "BROKER_GET_NUMS", "c"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"sum\":16"));
	CU_ASSERT_EQUAL(ask_stats(b, "BROKER_PUT_NUMS", "other"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_stats(b, "SNDBCK_PUT_NUMS", "orders@readers"), RESP_SYSTEM_ERROR); /* Nothing was. */
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", "orders@readers"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", "no"), RESP_SYSTEM_ERROR);
	CU_ASSERT_TRUE(span_is(b->out[0].command.remark, "The stats <TOPIC_PUT_NUMS> <no> not exist"));
	bench_close(b);
}

static void test_what_was_sent_back(void)
{
	struct bench *b = busy_bench();

	CU_ASSERT_EQUAL(ask_stats(b, "SNDBCK_PUT_NUMS", "orders@readers"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"statsMinute\":{\"avgpt\":3.0000,\"sum\":3,"));
	bench_close(b);
}

/* exportMetrics counts transactions by what is put to the half topic, and delayed messages likewise. */
static void test_what_is_put_aside(void)
{
	struct bench *b = open_with_traffic();

	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", TOPIC_HALF), RESP_SYSTEM_ERROR);
	must_send(b->f, (struct sent){ .topic = "orders", .key = "h1", .half = true });
	must_send(b->f, (struct sent){ .topic = "orders", .key = "h2", .half = true });
	must_send(b->f, (struct sent){ .topic = "orders", .key = "d", .delay_level = 3 });
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", TOPIC_HALF), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"statsDay\":{\"avgpt\":1.0000,\"sum\":2,"));
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", TOPIC_SCHEDULE), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"statsDay\":{\"avgpt\":1.0000,\"sum\":1,"));
	CU_ASSERT_EQUAL(ask_stats(b, "BROKER_PUT_NUMS", "c"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"sum\":10"));
	/* What was there before a restart does not count again. */
	bench_restart(b);
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", TOPIC_HALF), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask_stats(b, "TOPIC_PUT_NUMS", TOPIC_SCHEDULE), RESP_SYSTEM_ERROR);
	bench_close(b);
}

static void test_who_is_connected(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	fixture_heartbeat(b->f, true);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUMER_CONNECTION_LIST, (const char *const[]){ "consumerGroup", "readers", NULL }),
			RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"clientId\":\"one\",\"language\":\"JAVA\""));
	CU_ASSERT_TRUE(body_has(b, "\"consumeType\":\"CONSUME_PASSIVELY\",\"messageModel\":\"CLUSTERING\""));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_CONSUMER_CONNECTION_LIST, (const char *const[]){ "consumerGroup", "no", NULL }),
			RESP_CONSUMER_NOT_ONLINE);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_PRODUCER_CONNECTION_LIST, (const char *const[]){ "producerGroup", "producers", NULL }),
			RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"clientId\":\"10.0.0.1@1\""));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_PRODUCER_CONNECTION_LIST, (const char *const[]){ "producerGroup", "no", NULL }),
			RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ALL_PRODUCER_INFO, NULL), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "{\"data\":{\"producers\":[{"));
	bench_close(b);
}

/* Half messages are no messages of a queue, but somebody who looks for them must not read "none". */
static void test_where_half_messages_are(void)
{
	static const char *const of_halves[] = { "topic", TOPIC_HALF, NULL };
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_STATS_INFO, of_halves), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"lastUpdateTimestamp\":0,\"maxOffset\":0,\"minOffset\":0}"));
	for (int i = 0; i < 3; i++)
		must_send(b->f, (struct sent){ .topic = "orders", .key = i == 0 ? "a" : i == 1 ? "b" : "c", .half = true });
	/* Not before they are safe. */
	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_STATS_INFO, of_halves), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"maxOffset\":0"));
	fixture_disk(b->f, true);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_STATS_INFO, of_halves), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_has(b, "\"lastUpdateTimestamp\":1700000000000,\"maxOffset\":3,\"minOffset\":0}"));
	bench_close(b);
}

static bool remark_has(const struct bench *b, const char *text)
{
	const struct span remark = b->out[0].command.remark;

	return remark.size > 0 && memmem(remark.data, remark.size, text, strlen(text)) != NULL;
}

static void test_what_is_kept_elsewhere(void)
{
	static const struct {
		const char *topic, *told;
	} topics[] = { { TOPIC_HALF, "queryMsgById" }, { TOPIC_OP_HALF, "--kind decision" }, { TOPIC_CHECK_MAX_TIME, "v_in_doubt" },
		       { TOPIC_SCHEDULE, "escrow-log dump" } };
	static const int32_t codes[] = { REQ_PULL_MESSAGE, REQ_LITE_PULL_MESSAGE, REQ_GET_MAX_OFFSET, REQ_GET_MIN_OFFSET,
					 REQ_SEARCH_OFFSET_BY_TIMESTAMP, REQ_GET_EARLIEST_MSG_STORETIME, REQ_QUERY_CONSUME_QUEUE,
					 REQ_POP_MESSAGE, REQ_PEEK_MESSAGE };
	struct bench *b = bench_open();

	for (size_t t = 0; t < sizeof(topics) / sizeof(topics[0]); t++) {
		const char *const fields[] = { "consumerGroup", "readers", "topic", topics[t].topic, "queueId", "0", "queueOffset", "0",
					       "maxMsgNums", "32", "sysFlag", "4", "commitOffset", "0", "suspendTimeoutMillis", "0",
					       "subscription", "*", "subVersion", "1", "timestamp", "0", "index", "0", "count", "10",
					       "invisibleTime", "10000", "pollTime", "0", "initMode", "0", NULL };

		for (size_t c = 0; c < sizeof(codes) / sizeof(codes[0]); c++) {
			CU_ASSERT_EQUAL(ask(b, codes[c], fields), RESP_NO_PERMISSION);
			CU_ASSERT_TRUE(remark_has(b, topics[t].topic) && remark_has(b, topics[t].told) && !remark_has(b, "..."));
		}
	}
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_lag_of_a_group),
		CHECK_TEST(test_the_rate_of_a_group),
		CHECK_TEST(test_a_long_answer_is_made_in_slices),
		CHECK_TEST(test_who_subscribes_reads_a_topic),
		CHECK_TEST(test_how_far_a_topic_is),
		CHECK_TEST(test_time_spans),
		CHECK_TEST(test_entries_of_a_queue),
		CHECK_TEST(test_entries_from_before_the_first),
		CHECK_TEST(test_the_delay_of_who_was_left_behind),
		CHECK_TEST(test_the_number_of_entries_is_bounded),
		CHECK_TEST(test_what_a_group_subscribes_to),
		CHECK_TEST(test_the_filter_of_a_group),
		CHECK_TEST(test_flows),
		CHECK_TEST(test_what_was_sent_back),
		CHECK_TEST(test_what_is_put_aside),
		CHECK_TEST(test_who_is_connected),
		CHECK_TEST(test_where_half_messages_are),
		CHECK_TEST(test_what_is_kept_elsewhere),
	};
	return check_main("inspect", tests, sizeof(tests) / sizeof(tests[0]));
}
