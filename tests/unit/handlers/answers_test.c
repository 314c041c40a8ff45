/* From the wire to the log: what a request says is what is done, and its answer leaves when that is durable, not before. */
#include "tests/unit/handlers/handlers_fixture.h"

#include "broker/core/pop_waits.h"
#include "broker/core/state.h"

/* Serves a request that records something; its answer rests on the last record of the log. */
static const struct command *must_wait(struct bench *b, int32_t code, const char *const *fields, const char *body)
{
	uint64_t before = commitlog_appended(b->f->log);

	CU_ASSERT_EQUAL_FATAL(bench_ask(b, CONSUMER, code, fields, body), ST_OK);
	CU_ASSERT_TRUE_FATAL(b->count > 0);
	const struct outgoing *answer = &b->out[b->count - 1];
	if (answer->command.code != RESP_SUCCESS)
		printf("request %d: %.*s\n", code, SPAN_ARGS(answer->command.remark));
	CU_ASSERT_EQUAL(answer->command.code, RESP_SUCCESS);
	CU_ASSERT_TRUE(commitlog_appended(b->f->log) > before);
	CU_ASSERT_EQUAL(answer->wait_offset, commitlog_appended(b->f->log));
	fixture_disk(b->f, true);
	return &answer->command;
}

#define SEND(topic, properties)                                                                                         \
	(const char *const[]){ "producerGroup", "producers", "topic", topic, "defaultTopic", "TBW102", "queueId", "0", \
			       "sysFlag", "0", "bornTimestamp", "1", "properties", properties, NULL }

static void test_what_is_sent_is_answered_when_it_is_durable(void)
{
	struct bench *b = bench_open();
	char offset[24], handle[256];

	const struct command *answer = must_wait(b, REQ_SEND_MESSAGE, SEND("t", "TIMER_DELAY_SEC\00160\002"), "b");
	snprintf(handle, sizeof(handle), "%.*s", SPAN_ARGS(command_field(answer, "recallHandle")));
	must_wait(b, REQ_RECALL_MESSAGE, (const char *const[]){ "topic", "t", "recallHandle", handle, NULL }, "");
	must_wait(b, REQ_SEND_MESSAGE, SEND("t", "KEYS\001k\002"), "b");
	struct send_result sent = must_send(b->f, (struct sent){ .topic = "t", .key = "k" });
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)sent.log_offset);
	fixture_disk(b->f, true);
	const char *const back[] = { "group", "readers", "offset", offset, "delayLevel", "1", NULL };
	must_wait(b, REQ_CONSUMER_SEND_MSG_BACK, back, "");
	must_wait(b, REQ_SEND_MESSAGE, SEND("t", "TRAN_MSG\001true\002UNIQ_KEY\001k\002"), "b");
	CU_ASSERT_EQUAL(core_stats(b->f->core).pending_now, 1);
	bench_close(b);
}

/* A reply is what it is, whatever its properties and its header say. */
static void test_a_stored_reply_is_answered_when_it_is_durable(void)
{
	static const char *const fields[] = { "producerGroup", "g", "topic", "c_REPLY_TOPIC", "queueId", "0", "sysFlag", "0",
					      "bornTimestamp", "1", "batch", "true", "properties",
					      "REPLY_TO_CLIENT\00110.0.0.1@1\002TRAN_MSG\001true\002", NULL };
	struct bench *b = bench_open();
	struct pulled p = { .count = 0 };

	b->f->core->config.store_replies = true;
	fixture_heartbeat(b->f, true);
	must_wait(b, REQ_SEND_REPLY_MESSAGE, fields, "yes");
	CU_ASSERT_EQUAL(b->count, 2); /* The one who asked has it, too. */
	CU_ASSERT_EQUAL(core_stats(b->f->core).pending_now, 0);
	CU_ASSERT_EQUAL(fixture_pull(b->f, "c_REPLY_TOPIC", 0, 0, "*", &p), 1);
	pulled_free(&p);
	bench_close(b);
}

/* Who asked gets the reply's body, its properties, and when it came here. */
static void test_a_reply_is_handed_on(void)
{
	static const char *const fields[] = { "producerGroup", "g", "topic", "c_REPLY_TOPIC", "queueId", "0", "sysFlag", "0",
					      "bornTimestamp", "1", "properties",
					      "REPLY_TO_CLIENT\00110.0.0.1@1\002CORRELATION_ID\001c-1\002", NULL };
	struct bench *b = bench_open();

	fixture_heartbeat(b->f, true);
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_SEND_REPLY_MESSAGE, fields, "yes"), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 2);
	const struct command *pushed = &b->out[0].command;
	struct span properties = command_field(pushed, "properties");
	CU_ASSERT_EQUAL(b->out[0].conn_id, PRODUCER);
	CU_ASSERT_EQUAL(pushed->code, REQ_PUSH_REPLY_MESSAGE_TO_CLIENT);
	CU_ASSERT_TRUE(span_is(pushed->body, "yes"));
	CU_ASSERT_TRUE(span_is(property_get(properties, "CORRELATION_ID"), "c-1"));
	CU_ASSERT_EQUAL(property_get_i64(properties, "PUSH_REPLY_TIME", 0), FIXTURE_WALL_MS);
	CU_ASSERT_TRUE(span_is(command_field(pushed, "storeTimestamp"), "1700000000000"));
	CU_ASSERT_EQUAL(b->out[1].conn_id, CONSUMER);
	CU_ASSERT_EQUAL(b->out[1].command.code, RESP_SUCCESS);
	bench_close(b);
}

static void test_what_an_operator_changes_is_answered_when_it_is_durable(void)
{
	static const char *const topic[] = { "topic", "t", "defaultTopic", "TBW102", "readQueueNums", "4", "writeQueueNums", "4", "perm",
					     "6", "topicFilterType", "SINGLE_TAG", "order", "false", NULL };
	static const char *const offset[] = { "consumerGroup", "readers", "topic", "t", "queueId", "0", "commitOffset", "0", NULL };
	static const char *const reset[] = { "topic", "t", "group", "readers", "timestamp", "-1", "isForce", "true", NULL };
	static const char *const kept_away[] = { "group", "readers", "topic", "t", "readable", "false", NULL };
	static const char *const clone[] = { "srcGroup", "readers", "destGroup", "others", "topic", "t", "offline", "true", NULL };
	static const char *const group_gone[] = { "groupName", "readers", "cleanOffset", "true", NULL };
	static const char *const topic_gone[] = { "topic", "t", NULL };
	struct bench *b = bench_open();

	b->f->core->config.server_side_reset = true;
	must_wait(b, REQ_UPDATE_AND_CREATE_TOPIC, topic, "");
	must_wait(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, "{\"groupName\":\"readers\"}");
	must_wait(b, REQ_UPDATE_CONSUMER_OFFSET, offset, "");
	must_wait(b, REQ_INVOKE_BROKER_TO_RESET_OFFSET, reset, "");
	must_wait(b, REQ_CLONE_GROUP_OFFSET, clone, "");
	must_wait(b, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, kept_away, "");
	must_wait(b, REQ_SET_MESSAGE_REQUEST_MODE, NULL, "{\"topic\":\"t\",\"consumerGroup\":\"readers\",\"mode\":\"POP\"}");
	must_wait(b, REQ_DELETE_SUBSCRIPTIONGROUP, group_gone, "");
	must_wait(b, REQ_DELETE_TOPIC_IN_BROKER, topic_gone, "");
	bench_close(b);
}

static bool run_wait(void *context, const struct pop_wait *wait, bool expired)
{
	struct bench *b = context;

	return handlers_pop_ready(&b->handlers, wait, expired);
}

/* What is given out before that is durable is given out twice after a crash. */
static void test_pops_are_answered_when_they_are_durable(void)
{
	static const char *const pop[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "maxMsgNums", "1", "invisibleTime",
					   "10000", "pollTime", "1000", NULL };
	struct bench *b = bench_open();
	char info[128], body[256];

	for (int i = 0; i < 2; i++)
		(void)must_send(b->f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(b->f, true);
	(void)bench_ask(b, CONSUMER, REQ_PEEK_MESSAGE, pop, ""); /* Makes the group. */
	fixture_disk(b->f, true);
	struct span time = command_field(must_wait(b, REQ_POP_MESSAGE, pop, ""), "popTime");
	snprintf(info, sizeof(info), "0 %.*s 10000 0 0 a 0 0", SPAN_ARGS(time));
	const char *const change[] = { "consumerGroup", "g", "topic", "t", "queueId", "0", "offset", "0", "extraInfo", info,
				       "invisibleTime", "20000", NULL };
	time = command_field(must_wait(b, REQ_CHANGE_MESSAGE_INVISIBLETIME, change, ""), "popTime");
	snprintf(info, sizeof(info), "0 %.*s 20000 0 0 a 0 0", SPAN_ARGS(time));
	must_wait(b, REQ_ACK_MESSAGE, change, "");
	time = command_field(must_wait(b, REQ_POP_MESSAGE, pop, ""), "popTime");
	/* The second of them acknowledges nothing, and has nothing to wait for: that one was never given out. */
	snprintf(body, sizeof(body),
		 "{\"acks\":[{\"b\":\"AQ==\",\"c\":\"g\",\"it\":10000,\"pt\":%.*s,\"q\":0,\"r\":\"0\",\"rq\":0,\"so\":1,\"t\":\"t\"},"
		 "{\"b\":\"AQ==\",\"c\":\"g\",\"it\":10000,\"pt\":1,\"q\":0,\"r\":\"0\",\"rq\":0,\"so\":9,\"t\":\"t\"}]}", SPAN_ARGS(time));
	must_wait(b, REQ_BATCH_ACK_MESSAGE, NULL, body);
	/* So is one that had to wait for a message. */
	b->f->core->effects.pop_ready = run_wait;
	b->f->core->effects.context = b;
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_POP_MESSAGE, pop, ""), ST_OK);
	CU_ASSERT_EQUAL(b->count, 0);
	(void)must_send(b->f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(b->f, true);
	core_turn_end(b->f->core);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(b->out[0].wait_offset, commitlog_appended(b->f->log));
	bench_close(b);
}

static int32_t end(struct bench *b, const struct send_result *half, const char *outcome, const char *from_check, const char *msg_id)
{
	char queue_offset[24], log_offset[24];

	snprintf(queue_offset, sizeof(queue_offset), "%llu", (unsigned long long)half->queue_offset);
	snprintf(log_offset, sizeof(log_offset), "%llu", (unsigned long long)half->log_offset);
	const char *const fields[] = { "producerGroup", "producers", "tranStateTableOffset", queue_offset, "commitLogOffset", log_offset,
				       "commitOrRollback", outcome, "fromTransactionCheck", from_check, "msgId", msg_id, NULL };
	CU_ASSERT_EQUAL(bench_ask(b, PRODUCER, REQ_END_TRANSACTION, fields, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	return b->out[0].command.code;
}

static void test_an_end_as_it_is_said(void)
{
	struct bench *b = bench_open();
	struct send_result half = must_send(b->f, (struct sent){ .topic = "t", .key = "k", .half = true });
	const struct pending *entry = pending_find(b->f->core->pending, half.queue_offset);

	fixture_heartbeat(b->f, true);
	fixture_advance(b->f, 6100);
	CU_ASSERT_EQUAL(b->f->asked_count, 1);
	CU_ASSERT_EQUAL(end(b, &half, "0", "false", "k"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(entry->answered, 0);
	CU_ASSERT_EQUAL(end(b, &half, "0", "true", "k"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(entry->answered, 1);
	CU_ASSERT_EQUAL(end(b, &half, "8", "true", "x"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(end(b, &half, "7", "true", "k"), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(core_stats(b->f->core).pending_now, 1);
	CU_ASSERT_EQUAL(end(b, &half, "8", "true", "k"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(b->out[0].wait_offset, commitlog_appended(b->f->log));
	CU_ASSERT_EQUAL(end(b, &half, "12", "true", "k"), RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(b->out[0].wait_offset, commitlog_appended(b->f->log));
	bench_close(b);
}

/* A pull that waited for the disk is run again, and a newer word may have come since. */
static void test_a_pull_that_is_run_again_says_no_offset(void)
{
	static const char *const pull[] = { "consumerGroup", "readers", "topic", "t", "queueId", "0", "queueOffset", "0", "maxMsgNums",
					    "1", "sysFlag", "5", "commitOffset", "5", "subscription", "*", NULL };
	struct bench *b = bench_open();
	struct outcome outcome = { 0 };
	int64_t offset = 0;

	(void)must_send(b->f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(b->f, true);
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_PULL_MESSAGE, pull, ""), ST_OK);
	CU_ASSERT_EQUAL(core_query_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 5);
	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, 7, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(bench_ask_again(b, CONSUMER), ST_OK);
	CU_ASSERT_EQUAL(core_query_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("t"), 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 7);
	bench_close(b);
}

/* A client says how often its message may come again. */
static void test_a_clients_own_number_of_retries(void)
{
	const char *fields[] = { "producerGroup", "p", "topic", "%RETRY%readers", "defaultTopic", "TBW102", "queueId", "0", "sysFlag", "0",
				 "bornTimestamp", "1", "maxReconsumeTimes", "2", "reconsumeTimes", "2", NULL };
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_SEND_MESSAGE, fields, "b"), ST_OK);
	CU_ASSERT_PTR_NULL(topics_find(core_topics(b->f->core), SPAN_LITERAL("%DLQ%readers")));
	fields[15] = "3";
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_SEND_MESSAGE, fields, "b"), ST_OK);
	CU_ASSERT_PTR_NOT_NULL(topics_find(core_topics(b->f->core), SPAN_LITERAL("%DLQ%readers")));
	bench_close(b);
}

/* --- what is only on the disk -------------------------------------------------------------------------------------- */

/* Sent, and pushed out of the log's tail by what came after it. */
static struct send_result send_to_the_disk(struct bench *b, struct sent sent)
{
	struct send_result result = must_send(b->f, sent);

	for (int i = 0; commitlog_in_memory(b->f->log, result.log_offset); i++) {
		CU_ASSERT_TRUE_FATAL(i < 100000);
		(void)must_send(b->f, (struct sent){ .topic = "other", .key = "k" });
		fixture_disk(b->f, true);
	}
	return result;
}

static void test_what_is_only_on_the_disk_comes_again(void)
{
	static const char *const pull[] = { "consumerGroup", "readers", "topic", "t", "queueId", "0", "queueOffset", "0", "maxMsgNums",
					    "1", "sysFlag", "4", "subscription", "*", NULL };
	struct bench *b = bench_open();
	struct send_result sent = send_to_the_disk(b, (struct sent){ .topic = "t", .key = "k" });
	struct host host = host_ipv4(0x7F000001, 10911);
	char id[MSGID_TEXT_SIZE], offset[24];
	uint64_t wish_offset;
	uint32_t wish_size;

	bench_consumer(b, CONSUMER, "one", LANGUAGE_JAVA, VERSION_OURS);
	offset_msg_id_encode(&host, (int64_t)sent.log_offset, id);
	snprintf(offset, sizeof(offset), "%llu", (unsigned long long)sent.log_offset);
	const char *const view[] = { "offset", offset, NULL };
	const char *const directly[] = { "consumerGroup", "readers", "msgId", id, NULL };
	const char *const back[] = { "group", "readers", "offset", offset, "delayLevel", "1", NULL };
	const struct {
		int32_t code;
		const char *const *fields;
	} requests[] = { { REQ_VIEW_MESSAGE_BY_ID, view }, { REQ_CONSUME_MESSAGE_DIRECTLY, directly },
			 { REQ_CONSUMER_SEND_MSG_BACK, back }, { REQ_PULL_MESSAGE, pull } };
	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		memdisk_set_cold(b->f->disk, true);
		CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, requests[i].code, requests[i].fields, ""), ST_AGAIN);
		CU_ASSERT_EQUAL(b->count, 0);
		/* What is wished for goes with the request that wished it. */
		CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_GET_MAX_OFFSET, pull + 2, ""), ST_OK);
		CU_ASSERT_FALSE(core_take_cold_read(b->f->core, &wish_offset, &wish_size));
		memdisk_set_cold(b->f->disk, false);
		CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, requests[i].code, requests[i].fields, ""), ST_OK);
		CU_ASSERT_EQUAL(b->count, 1);
	}
	bench_close(b);
}

/* A pull that waited, and is woken for what is on the disk, is to ask anew from where it was. */
static void test_a_waiting_pull_does_not_wait_for_the_disk(void)
{
	struct bench *b = bench_open();

	(void)send_to_the_disk(b, (struct sent){ .topic = "t", .key = "k" });
	struct hold hold = { .pull = pull_of(b->f, "t", 0, 0, "*"), .conn_id = CONSUMER, .opaque = 5, .serialize_type = SERIALIZE_JSON };
	memdisk_set_cold(b->f->disk, true);
	b->count = 0;
	handlers_hold_ready(&b->handlers, &hold, false);
	memdisk_set_cold(b->f->disk, false);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_PULL_RETRY_IMMEDIATELY);
	CU_ASSERT_EQUAL(b->out[0].command.opaque, 5);
	CU_ASSERT_TRUE(span_is(command_field(&b->out[0].command, "nextBeginOffset"), "0"));
	bench_close(b);
}

/* --- several queues, and none -------------------------------------------------------------------------------------- */

static size_t queues_locked(struct bench *b, const char *client)
{
	char body[400];
	size_t count = 0;

	snprintf(body, sizeof(body), "{\"consumerGroup\":\"readers\",\"clientId\":\"%s\",\"mqSet\":[{\"topic\":\"t\",\"brokerName\":\"a\","
		 "\"queueId\":0},{\"topic\":\"t\",\"brokerName\":\"a\",\"queueId\":1},{\"topic\":\"t\",\"brokerName\":\"a\",\"queueId\":2}]}",
		 client);
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_LOCK_BATCH_MQ, NULL, body), ST_OK);
	struct span rest = b->out[0].command.body;
	for (const uint8_t *at; (at = memmem(rest.data, rest.size, "queueId", 7)) != NULL; count++)
		rest = (struct span){ at + 7, rest.size - (size_t)(at + 7 - rest.data) };
	return count;
}

static void test_queues_are_locked_and_given_back(void)
{
	struct bench *b = bench_open();

	(void)must_send(b->f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_EQUAL(queues_locked(b, "one"), 3);
	CU_ASSERT_EQUAL(queues_locked(b, "two"), 0);
	CU_ASSERT_EQUAL(bench_ask(b, CONSUMER, REQ_UNLOCK_BATCH_MQ, NULL, "{\"consumerGroup\":\"readers\",\"clientId\":\"one\","
				  "\"mqSet\":[{\"topic\":\"t\",\"brokerName\":\"a\",\"queueId\":0},{\"topic\":\"t\",\"brokerName\":\"a\","
				  "\"queueId\":1}]}"), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(queues_locked(b, "two"), 2);
	bench_close(b);
}

/* As RocketMQ, whose tools add up what they are told of all brokers. */
static void test_positions_of_what_is_not_there(void)
{
	static const char *const nothing[] = { "topic", "nowhere", "queueId", "0", "timestamp", "5", NULL };
	static const struct {
		int32_t code;
		const char *name, *value;
	} requests[] = { { REQ_GET_MAX_OFFSET, "offset", "0" }, { REQ_GET_MIN_OFFSET, "offset", "0" },
			 { REQ_SEARCH_OFFSET_BY_TIMESTAMP, "offset", "0" }, { REQ_GET_EARLIEST_MSG_STORETIME, "timestamp", "-1" } };
	struct bench *b = bench_open();

	for (size_t i = 0; i < sizeof(requests) / sizeof(requests[0]); i++) {
		CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, requests[i].code, nothing, ""), ST_OK);
		CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SUCCESS);
		CU_ASSERT_TRUE(span_is(command_field(&b->out[0].command, requests[i].name), requests[i].value));
	}
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_sent_is_answered_when_it_is_durable),
		CHECK_TEST(test_a_stored_reply_is_answered_when_it_is_durable),
		CHECK_TEST(test_a_reply_is_handed_on),
		CHECK_TEST(test_what_an_operator_changes_is_answered_when_it_is_durable),
		CHECK_TEST(test_pops_are_answered_when_they_are_durable),
		CHECK_TEST(test_an_end_as_it_is_said),
		CHECK_TEST(test_a_pull_that_is_run_again_says_no_offset),
		CHECK_TEST(test_a_clients_own_number_of_retries),
		CHECK_TEST(test_what_is_only_on_the_disk_comes_again),
		CHECK_TEST(test_a_waiting_pull_does_not_wait_for_the_disk),
		CHECK_TEST(test_queues_are_locked_and_given_back),
		CHECK_TEST(test_positions_of_what_is_not_there),
	};
	return check_main("handlers/answers", tests, sizeof(tests) / sizeof(tests[0]));
}
