/* Questions about consumers that are put to the consumers themselves: 307, 309, 223, and the resets that they are told (220). */
#include "lib/wire/body_offsets.h"
#include "lib/wire/header_admin.h"
#include "tests/unit/handlers/handlers_fixture.h"

static const char *const about_one[] = { "consumerGroup", "readers", "clientId", "one", "jstackEnable", "true", NULL };

static bool remark_has(const struct bench *b, const char *text)
{
	const struct span remark = b->out[0].command.remark;

	return remark.size > 0 && memmem(remark.data, remark.size, text, strlen(text)) != NULL;
}

static void test_an_answer_is_passed_on(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	bench_consumer(b, 101, "two", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].conn_id, 100);
	CU_ASSERT_EQUAL(b->out[0].command.code, REQ_GET_CONSUMER_RUNNING_INFO);
	CU_ASSERT_EQUAL(b->out[0].command.flag, 0);
	CU_ASSERT_TRUE(span_is(command_field(&b->out[0].command, "jstackEnable"), "true"));
	CU_ASSERT_TRUE(bench_answer(b, 0, 0, "{\"mqTable\":{}}"));
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].conn_id, OPERATOR);
	CU_ASSERT_EQUAL(b->out[0].command.opaque, 42);
	CU_ASSERT_TRUE(command_is_response(&b->out[0].command));
	CU_ASSERT_EQUAL(b->out[0].command.code, 0);
	CU_ASSERT_TRUE(span_is(b->out[0].command.body, "{\"mqTable\":{}}"));
	CU_ASSERT_TRUE(span_is(b->out[0].command.remark, "said"));
	CU_ASSERT_TRUE(span_is(command_field(&b->out[0].command, "extra"), "1"));
	CU_ASSERT_EQUAL(b->handlers.relays.count, 0);
	/* Said twice. */
	CU_ASSERT_FALSE(bench_answer(b, 0, 0, ""));
	bench_close(b);
}

/* Only who was asked may answer. */
static void test_others_cannot_answer(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	b->out[0].conn_id = 101;
	CU_ASSERT_FALSE(bench_answer(b, 0, 0, "{}"));
	CU_ASSERT_EQUAL(b->handlers.relays.count, 1);
	bench_close(b);
}

static void test_who_cannot_be_asked(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_TRUE(remark_has(b, "The Consumer <readers> <one> not online"));
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_3_1_8_SNAPSHOT - 1);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_TRUE(remark_has(b, "too low to finish"));
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_3_1_8_SNAPSHOT); /* The first that can. */
	b->gone = 100;
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_BUSY);
	CU_ASSERT_EQUAL(b->handlers.relays.count, 0);
	bench_close(b);
}

static void test_nobody_waits_for_ever(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	b->count = 0;
	relays_tick(&b->handlers, core_now_ms(b->f->core) + RELAY_TIMEOUT_MS - 1);
	CU_ASSERT_EQUAL(b->count, 0);
	relays_tick(&b->handlers, core_now_ms(b->f->core) + RELAY_TIMEOUT_MS);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_CONSUME_MSG_TIMEOUT);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	b->count = 0;
	relays_connection_gone(&b->handlers, 100);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_TRUE(remark_has(b, "gone away"));
	CU_ASSERT_EQUAL(b->handlers.relays.count, 0);
	bench_close(b);
}

static void test_questions_are_bounded(void)
{
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	for (int i = 0; i < RELAYS_MAX; i++)
		CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].conn_id, 100);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_GET_CONSUMER_RUNNING_INFO, about_one, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].conn_id, OPERATOR);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_BUSY);
	bench_close(b);
}

static void test_a_message_is_consumed_directly(void)
{
	struct bench *b = bench_open();
	char id[MSGID_TEXT_SIZE];
	struct host host = host_ipv4(0x7F000001, 10911);
	struct message message;

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	struct send_result sent = must_send(b->f, (struct sent){ .topic = "orders", .key = "a" });
	fixture_disk(b->f, true);
	offset_msg_id_encode(&host, (int64_t)sent.log_offset, id);
	const char *fields[] = { "consumerGroup", "readers", "msgId", id, NULL };
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_CONSUME_MESSAGE_DIRECTLY, fields, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].conn_id, 100);
	CU_ASSERT_TRUE(span_is(command_field(&b->out[0].command, "brokerName"), "a"));
	CU_ASSERT_EQUAL_FATAL(message_decode(b->out[0].command.body, &message, NULL), ST_OK);
	CU_ASSERT_TRUE(span_is(message.body, "a"));
	CU_ASSERT_EQUAL(message.physical_offset, (int64_t)sent.log_offset);
	CU_ASSERT_TRUE(bench_answer(b, 0, 0, "{\"consumeResult\":\"CR_SUCCESS\"}"));
	CU_ASSERT_TRUE(span_is(b->out[0].command.body, "{\"consumeResult\":\"CR_SUCCESS\"}"));
	fields[3] = "nonsense";
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_CONSUME_MESSAGE_DIRECTLY, fields, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_ERROR);
	offset_msg_id_encode(&host, 999999, id);
	fields[3] = id;
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_CONSUME_MESSAGE_DIRECTLY, fields, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_SYSTEM_ERROR);
	bench_close(b);
}

static void test_answers_of_a_group_are_gathered(void)
{
	static const char *const fields[] = { "topic", "orders", "group", "readers", NULL };
	static const char *const one_only[] = { "topic", "orders", "group", "readers", "clientAddr", "two", NULL };
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, fields, ""), ST_OK);
	CU_ASSERT_TRUE(remark_has(b, "No Any Consumer online in the consumer group: [readers]"));
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	bench_consumer(b, 101, "two", LANGUAGE_GO, VERSION_OURS);
	bench_consumer(b, 102, "silent", LANGUAGE_JAVA, VERSION_OURS);
	bench_consumer(b, 103, "broken", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, fields, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 4);
	CU_ASSERT_EQUAL(b->out[3].command.code, REQ_GET_CONSUMER_STATUS_FROM_CLIENT);
	CU_ASSERT_TRUE(span_is(command_field(&b->out[3].command, "topic"), "orders"));
	CU_ASSERT_TRUE(bench_answer(b, 1, 0, "{\"messageQueueTable\":{{\"brokerName\":\"a\",\"queueId\":1,\"topic\":\"orders\"}:6}}"));
	CU_ASSERT_TRUE(bench_answer(b, 3, 0, "{{{"));
	CU_ASSERT_TRUE(bench_answer(b, 0, 0, "{\"messageQueueTable\":{{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"orders\"}:5}}"));
	CU_ASSERT_EQUAL(b->count, 0);
	relays_tick(&b->handlers, core_now_ms(b->f->core) + RELAY_GATHER_TIMEOUT_MS);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_TRUE(span_is(b->out[0].command.body,
			       "{\"consumerTable\":{\"two\":{{\"brokerName\":\"a\",\"queueId\":1,\"topic\":\"orders\"}:6},"
			       "\"one\":{{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"orders\"}:5}},\"messageQueueTable\":{}}"));
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_GET_CONSUMER_STATUS, one_only, ""), ST_OK);
	CU_ASSERT_EQUAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].conn_id, 101);
	b->gone = OPERATOR; /* Nobody to tell: nothing is left behind. */
	CU_ASSERT_TRUE(bench_answer(b, 0, 1, ""));
	CU_ASSERT_EQUAL(b->handlers.relays.count, 0);
	bench_close(b);
}

static void test_resets_that_consumers_do(void)
{
	static const char *const fields[] = { "topic", "orders", "group", "readers", "timestamp", "0", "isForce", "true", "queueId", "0",
					      NULL };
	struct bench *b = bench_open();
	struct offset_table table;
	struct outcome outcome = { 0 };

	(void)must_send(b->f, (struct sent){ .topic = "orders", .key = "a" });
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 0, 1, true, &outcome), ST_OK);
	fixture_disk(b->f, true);
	core_connection_gone(b->f->core, 100);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_RESET_OFFSET, fields, ""), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_CONSUMER_NOT_ONLINE);
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	bench_consumer(b, 101, "two", LANGUAGE_CPP, VERSION_OURS);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_RESET_OFFSET, fields, ""), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 3);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL_FATAL(offset_table_decode(b->out[i].command.body, &table, NULL), ST_OK);
		CU_ASSERT_EQUAL_FATAL(table.count, 1);
		CU_ASSERT_EQUAL(table.offsets[0].offset, 0);
		offset_table_free(&table);
		CU_ASSERT_EQUAL(command_is_oneway(&b->out[i].command), i < 2);
	}
	CU_ASSERT_PTR_NULL(memchr(b->out[0].command.body.data, '[', b->out[0].command.body.size));
	CU_ASSERT_PTR_NOT_NULL(memchr(b->out[1].command.body.data, '[', b->out[1].command.body.size));
	CU_ASSERT_EQUAL(b->out[2].conn_id, OPERATOR);
	bench_consumer(b, 101, "two", LANGUAGE_CPP, VERSION_3_0_7_SNAPSHOT - 1);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_INVOKE_BROKER_TO_RESET_OFFSET, fields, ""), ST_OK);
	CU_ASSERT_EQUAL(b->count, 1);
	CU_ASSERT_TRUE(remark_has(b, "does not support this feature"));
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_an_answer_is_passed_on),
		CHECK_TEST(test_others_cannot_answer),
		CHECK_TEST(test_who_cannot_be_asked),
		CHECK_TEST(test_nobody_waits_for_ever),
		CHECK_TEST(test_questions_are_bounded),
		CHECK_TEST(test_a_message_is_consumed_directly),
		CHECK_TEST(test_answers_of_a_group_are_gathered),
		CHECK_TEST(test_resets_that_consumers_do),
	};
	return check_main("relays", tests, sizeof(tests) / sizeof(tests[0]));
}
