/* Typed headers: what peers send, round trips in both serializations, and errors that name the field. */
#include "tests/support/check.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/wire/headers.h"

static struct command_scratch scratch;
static struct buffer frame; /* What the last decoded command borrows from. */

/* Ends the command being encoded into `frame` and decodes it again. */
static struct command reread(struct encoder *encoder)
{
	struct command command;
	struct errinfo err;

	CU_ASSERT_TRUE_FATAL(command_end(encoder));
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_OK);
	return command;
}

static void begin(struct encoder *encoder, uint8_t serialize_type, int32_t code)
{
	buffer_reset(&frame);
	command_begin(encoder, &frame, serialize_type, code, 1, 0, SPAN_NONE);
}

static struct command of_json(int32_t code, const char *fields)
{
	struct command command;
	struct errinfo err;
	size_t size;

	buffer_reset(&frame);
	buffer_put_u64(&frame, 0);
	buffer_printf(&frame, "{\"code\":%d,\"extFields\":%s,\"version\":333}", code, fields);
	size = buffer_size(&frame);
	put_u32(frame.data, (uint32_t)size - 4);
	put_u32(frame.data + 4, (uint32_t)size - FRAME_PREFIX);
	CU_ASSERT_EQUAL_FATAL(command_decode(buffer_span(&frame), &scratch, &command, &err), ST_OK);
	return command;
}

#define FOR_BOTH(type) for (uint8_t type = SERIALIZE_JSON; type <= SERIALIZE_ROCKETMQ; type++)

static void test_send_round_trip_with_long_and_short_names(void)
{
	static const int32_t codes[] = { REQ_SEND_MESSAGE, REQ_SEND_MESSAGE_V2 };
	struct send_header header = {
		.producer_group = SPAN_LITERAL("g"),
		.topic = SPAN_LITERAL("T"),
		.default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = 8,
		.queue_id = -1,
		.sys_flag = 4,
		.born_timestamp = 1700000000000,
		.flag = 17,
		.properties = SPAN_LITERAL("TRAN_MSG\001true\002"),
		.reconsume_times = 2,
		.unit_mode = true,
		.max_reconsume_times = 16,
		.batch = true,
	};
	struct send_header back;
	struct encoder encoder;
	struct errinfo err;

	FOR_BOTH(type) {
		for (size_t i = 0; i < 2; i++) {
			begin(&encoder, type, codes[i]);
			send_header_encode(&encoder, codes[i], &header);
			struct command command = reread(&encoder);

			CU_ASSERT_EQUAL(command_field(&command, "producerGroup").size, i == 0 ? 1 : 0);
			CU_ASSERT_EQUAL_FATAL(send_header_decode(&command, &back, &err), ST_OK);
			CU_ASSERT_TRUE(span_is(back.producer_group, "g"));
			CU_ASSERT_TRUE(span_is(back.topic, "T"));
			CU_ASSERT_TRUE(span_is(back.default_topic, "TBW102"));
			CU_ASSERT_TRUE(span_equal(back.properties, header.properties));
			CU_ASSERT_EQUAL(back.default_topic_queue_nums, 8);
			CU_ASSERT_EQUAL(back.queue_id, -1);
			CU_ASSERT_EQUAL(back.sys_flag, 4);
			CU_ASSERT_EQUAL(back.born_timestamp, 1700000000000);
			CU_ASSERT_EQUAL(back.flag, 17);
			CU_ASSERT_EQUAL(back.reconsume_times, 2);
			CU_ASSERT_TRUE(back.unit_mode && back.batch);
			CU_ASSERT_EQUAL(back.max_reconsume_times, 16);
		}
	}
}

static void test_send_as_node_sends_it(void)
{
	struct command command = of_json(310, "{\"a\":\"g\",\"b\":\"T\",\"c\":\"TBW102\",\"d\":4,\"e\":0,\"f\":0,"
					      "\"g\":1700000000000,\"h\":0,\"i\":\"TAGS\\u0001null\",\"j\":0,\"k\":false}");
	struct send_header header;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(send_header_decode(&command, &header, &err), ST_OK);
	CU_ASSERT_EQUAL(header.max_reconsume_times, -1);
	CU_ASSERT_FALSE(header.batch);
	CU_ASSERT_EQUAL(header.born_timestamp, 1700000000000);
}

static void test_batch_by_flag_or_by_code(void)
{
	static const char fields[] = "{\"a\":\"g\",\"b\":\"T\",\"e\":\"0\",\"f\":\"0\",\"g\":\"1\",\"m\":\"TRUE\"}";
	struct send_header header;
	struct errinfo err;
	struct command command = of_json(310, fields);

	CU_ASSERT_EQUAL(send_header_decode(&command, &header, &err), ST_OK);
	CU_ASSERT_TRUE(header.batch);
	CU_ASSERT_EQUAL(header.default_topic_queue_nums, 4);
	command = of_json(320, "{\"a\":\"g\",\"b\":\"T\",\"e\":\"0\",\"f\":\"0\",\"g\":\"1\"}");
	CU_ASSERT_EQUAL(send_header_decode(&command, &header, &err), ST_OK);
	CU_ASSERT_TRUE(header.batch);
}

static void test_errors_name_the_field(void)
{
	struct send_header send;
	struct end_transaction_header end;
	struct errinfo err;
	struct command command = of_json(310, "{\"a\":\"g\",\"e\":\"0\",\"f\":\"0\",\"g\":\"1\"}");

	CU_ASSERT_EQUAL(send_header_decode(&command, &send, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "SEND_MESSAGE_V2: field b is missing");
	command = of_json(310, "{\"a\":\"g\",\"b\":\"T\",\"e\":\"x\",\"f\":\"0\",\"g\":\"1\"}");
	CU_ASSERT_EQUAL(send_header_decode(&command, &send, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "SEND_MESSAGE_V2: field e is not a number in range: \"x\"");
	command = of_json(310, "{\"a\":\"g\",\"b\":\"T\",\"e\":\"2147483648\",\"f\":\"0\",\"g\":\"1\"}");
	CU_ASSERT_EQUAL(send_header_decode(&command, &send, &err), ST_INVALID);
	command = of_json(310, "{\"a\":\"g\",\"b\":\"T\",\"e\":\"0\",\"f\":\"0\",\"g\":\"9223372036854775808\"}");
	CU_ASSERT_EQUAL(send_header_decode(&command, &send, &err), ST_INVALID);
	command = of_json(310, "{\"a\":\"\",\"b\":\"T\",\"e\":\"0\",\"f\":\"0\",\"g\":\"1\"}");
	CU_ASSERT_EQUAL(send_header_decode(&command, &send, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "SEND_MESSAGE_V2: field a is missing");
	command = of_json(37, "{\"producerGroup\":\"g\",\"commitLogOffset\":\"1\",\"commitOrRollback\":\"8\"}");
	CU_ASSERT_EQUAL(end_transaction_decode(&command, &end, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "END_TRANSACTION: field tranStateTableOffset is missing");
	command = of_json(37, "{\"producerGroup\":\"g\",\"commitLogOffset\":\"1\",\"tranStateTableOffset\":\"0\"}");
	CU_ASSERT_EQUAL(end_transaction_decode(&command, &end, &err), ST_INVALID);
	CU_ASSERT_STRING_EQUAL(err.text, "END_TRANSACTION: field commitOrRollback is missing");
}

static void test_names_that_only_look_alike_are_not_taken(void)
{
	/* Same sizes and first letters as real names. */
	struct command command =
		of_json(37, "{\"producerGroup\":\"g\",\"tranStateTableOffset\":\"1\",\"commitLogOffset\":\"2\","
			    "\"commitOrRollback\":\"8\",\"msgIx\":\"no\",\"topix\":\"no\",\"transactionIx\":\"no\"}");
	struct end_transaction_header end;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(end_transaction_decode(&command, &end, &err), ST_OK);
	CU_ASSERT_EQUAL(end.msg_id.size + end.topic.size + end.transaction_id.size, 0);
}

static void test_send_reply_round_trip(void)
{
	struct send_reply_header header = {
		.msg_id = SPAN_LITERAL("C0A8000100002A9F0000000000000400"),
		.queue_id = 3,
		.queue_offset = 1LL << 40,
		.transaction_id = SPAN_LITERAL("TX"),
		.msg_region = SPAN_LITERAL(REGION_DEFAULT),
		.trace_on = true,
	};
	struct send_reply_header back;
	struct encoder encoder;
	struct errinfo err;

	FOR_BOTH(type) {
		begin(&encoder, type, 0);
		send_reply_encode(&encoder, &header);
		struct command command = reread(&encoder);

		CU_ASSERT_EQUAL_FATAL(send_reply_decode(&command, &back, &err), ST_OK);
		CU_ASSERT_TRUE(span_equal(back.msg_id, header.msg_id));
		CU_ASSERT_TRUE(span_equal(back.transaction_id, header.transaction_id));
		CU_ASSERT_TRUE(span_is(back.msg_region, "DefaultRegion"));
		CU_ASSERT_EQUAL(back.queue_id, 3);
		CU_ASSERT_EQUAL(back.queue_offset, 1LL << 40);
		CU_ASSERT_TRUE(back.trace_on);
	}
}

static void test_end_and_check_round_trip(void)
{
	struct end_transaction_header end = {
		.producer_group = SPAN_LITERAL("g"),
		.tran_state_table_offset = 7,
		.commit_log_offset = 1LL << 50,
		.commit_or_rollback = TRANSACTION_ROLLBACK,
		.from_transaction_check = true,
		.msg_id = SPAN_LITERAL("U"),
		.transaction_id = SPAN_LITERAL("X"),
		.topic = SPAN_LITERAL("T"),
	};
	struct check_transaction_header check = {
		.tran_state_table_offset = 8,
		.commit_log_offset = 9,
		.msg_id = SPAN_LITERAL("U"),
		.offset_msg_id = SPAN_LITERAL("O"),
		.broker_name = SPAN_LITERAL("broker-a"),
	};
	struct end_transaction_header end_back;
	struct check_transaction_header check_back;
	struct encoder encoder;
	struct errinfo err;

	FOR_BOTH(type) {
		begin(&encoder, type, REQ_END_TRANSACTION);
		end_transaction_encode(&encoder, &end);
		struct command command = reread(&encoder);
		CU_ASSERT_EQUAL_FATAL(end_transaction_decode(&command, &end_back, &err), ST_OK);
		CU_ASSERT_TRUE(span_is(end_back.producer_group, "g") && span_is(end_back.msg_id, "U"));
		CU_ASSERT_TRUE(span_is(end_back.transaction_id, "X") && span_is(end_back.topic, "T"));
		CU_ASSERT_EQUAL(end_back.tran_state_table_offset, 7);
		CU_ASSERT_EQUAL(end_back.commit_log_offset, 1LL << 50);
		CU_ASSERT_EQUAL(end_back.commit_or_rollback, 12);
		CU_ASSERT_TRUE(end_back.from_transaction_check);

		begin(&encoder, type, REQ_CHECK_TRANSACTION_STATE);
		check_transaction_encode(&encoder, &check);
		command = reread(&encoder);
		CU_ASSERT_EQUAL_FATAL(check_transaction_decode(&command, &check_back, &err), ST_OK);
		CU_ASSERT_EQUAL(check_back.tran_state_table_offset, 8);
		CU_ASSERT_EQUAL(check_back.commit_log_offset, 9);
		CU_ASSERT_TRUE(span_is(check_back.msg_id, "U") && span_is(check_back.offset_msg_id, "O"));
		CU_ASSERT_TRUE(span_is(check_back.broker_name, "broker-a"));
		CU_ASSERT_PTR_NULL(check_back.transaction_id.data);
	}
}

static void test_pull_round_trip(void)
{
	struct pull_header header = {
		.consumer_group = SPAN_LITERAL("c"),
		.topic = SPAN_LITERAL("T"),
		.queue_id = 1,
		.queue_offset = 2,
		.max_msg_nums = 32,
		.sys_flag = PULL_COMMIT_OFFSET | PULL_SUSPEND,
		.commit_offset = 3,
		.suspend_timeout_ms = 15000,
		.subscription = SPAN_LITERAL("a || b"),
		.sub_version = 4,
		.expression_type = SPAN_LITERAL("TAG"),
		.max_msg_bytes = 1024,
	};
	struct pull_reply_header reply = { 1, 2, 3, 4, -1 }, reply_back;
	struct pull_header back;
	struct encoder encoder;
	struct errinfo err;

	FOR_BOTH(type) {
		begin(&encoder, type, REQ_PULL_MESSAGE);
		pull_header_encode(&encoder, &header);
		struct command command = reread(&encoder);
		CU_ASSERT_EQUAL_FATAL(pull_header_decode(&command, &back, &err), ST_OK);
		CU_ASSERT_TRUE(span_is(back.consumer_group, "c") && span_is(back.topic, "T"));
		CU_ASSERT_TRUE(span_is(back.subscription, "a || b") && span_is(back.expression_type, "TAG"));
		CU_ASSERT_TRUE(back.queue_id == 1 && back.queue_offset == 2 && back.max_msg_nums == 32);
		CU_ASSERT_TRUE(back.sys_flag == 3 && back.commit_offset == 3 && back.suspend_timeout_ms == 15000);
		CU_ASSERT_TRUE(back.sub_version == 4 && back.max_msg_bytes == 1024);

		begin(&encoder, type, 0);
		pull_reply_encode(&encoder, &reply);
		command = reread(&encoder);
		CU_ASSERT_EQUAL_FATAL(pull_reply_decode(&command, &reply_back, &err), ST_OK);
		CU_ASSERT_EQUAL(command.field_count, 4);
		CU_ASSERT_TRUE(reply_back.suggest_which_broker_id == 1 && reply_back.next_begin_offset == 2);
		CU_ASSERT_TRUE(reply_back.min_offset == 3 && reply_back.max_offset == 4);
		CU_ASSERT_EQUAL(reply_back.forbidden_type, -1);
	}
}

static void test_pull_defaults(void)
{
	struct command command = of_json(11, "{\"consumerGroup\":\"c\",\"topic\":\"T\",\"queueId\":0,\"queueOffset\":0,"
					     "\"maxMsgNums\":32,\"sysFlag\":2}");
	struct pull_header header;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(pull_header_decode(&command, &header, &err), ST_OK);
	CU_ASSERT_EQUAL(header.max_msg_bytes, -1);
	CU_ASSERT_EQUAL(header.suspend_timeout_ms, 0);
	CU_ASSERT_PTR_NULL(header.subscription.data);
}

static void test_offsets_round_trip(void)
{
	struct consumer_offset_header consumer = { SPAN_LITERAL("c"), SPAN_LITERAL("T"), 2, 77, false }, consumer_back;
	struct queue_header queue = { .topic = SPAN_LITERAL("T"), .queue_id = 1, .timestamp = 5, .boundary_upper = true };
	struct queue_header queue_back;
	struct encoder encoder;
	struct errinfo err;
	int64_t number;

	begin(&encoder, SERIALIZE_JSON, REQ_QUERY_CONSUMER_OFFSET);
	query_consumer_offset_encode(&encoder, &consumer);
	struct command command = reread(&encoder);
	CU_ASSERT_EQUAL(query_consumer_offset_decode(&command, &consumer_back, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(consumer_back.consumer_group, "c") && consumer_back.queue_id == 2);
	CU_ASSERT_FALSE(consumer_back.set_zero_if_not_found);
	CU_ASSERT_EQUAL(update_consumer_offset_decode(&command, &consumer_back, &err), ST_INVALID);

	begin(&encoder, SERIALIZE_JSON, REQ_UPDATE_CONSUMER_OFFSET);
	update_consumer_offset_encode(&encoder, &consumer);
	command = reread(&encoder);
	CU_ASSERT_EQUAL(update_consumer_offset_decode(&command, &consumer_back, &err), ST_OK);
	CU_ASSERT_EQUAL(consumer_back.commit_offset, 77);

	begin(&encoder, SERIALIZE_JSON, REQ_SEARCH_OFFSET_BY_TIMESTAMP);
	search_offset_encode(&encoder, &queue);
	command = reread(&encoder);
	CU_ASSERT_EQUAL(search_offset_decode(&command, &queue_back, &err), ST_OK);
	CU_ASSERT_TRUE(queue_back.timestamp == 5 && queue_back.boundary_upper);

	begin(&encoder, SERIALIZE_JSON, REQ_GET_MAX_OFFSET);
	queue_header_encode(&encoder, &queue);
	command = reread(&encoder);
	CU_ASSERT_EQUAL(queue_header_decode(&command, &queue_back, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(queue_back.topic, "T") && queue_back.queue_id == 1 && !queue_back.committed);
	command = of_json(30, "{\"topic\":\"T\",\"queueId\":1}");
	CU_ASSERT_EQUAL(queue_header_decode(&command, &queue_back, &err), ST_OK);
	CU_ASSERT_TRUE(queue_back.committed);

	begin(&encoder, SERIALIZE_JSON, 0);
	offset_reply_encode(&encoder, 99);
	timestamp_reply_encode(&encoder, -1);
	command = reread(&encoder);
	CU_ASSERT_TRUE(offset_reply_decode(&command, &number, &err) == ST_OK && number == 99);
	CU_ASSERT_TRUE(timestamp_reply_decode(&command, &number, &err) == ST_OK && number == -1);
}

static void test_clients_round_trip(void)
{
	struct send_back_header back = { 5, SPAN_LITERAL("g"), -1, SPAN_LITERAL("O"), SPAN_LITERAL("T"), false, 16 };
	struct send_back_header back_read;
	struct unregister_client_header leave = { SPAN_LITERAL("id"), SPAN_LITERAL("p"), SPAN_NONE }, leave_read;
	struct view_message_header view = { SPAN_NONE, 1024 }, view_read;
	struct encoder encoder;
	struct errinfo err;
	struct span group;

	begin(&encoder, SERIALIZE_JSON, REQ_CONSUMER_SEND_MSG_BACK);
	send_back_encode(&encoder, &back);
	struct command command = reread(&encoder);
	CU_ASSERT_EQUAL_FATAL(send_back_decode(&command, &back_read, &err), ST_OK);
	CU_ASSERT_TRUE(back_read.offset == 5 && back_read.delay_level == -1 && back_read.max_reconsume_times == 16);
	CU_ASSERT_TRUE(span_is(back_read.group, "g") && span_is(back_read.origin_msg_id, "O"));

	begin(&encoder, SERIALIZE_ROCKETMQ, REQ_UNREGISTER_CLIENT);
	unregister_client_encode(&encoder, &leave);
	command = reread(&encoder);
	CU_ASSERT_EQUAL_FATAL(unregister_client_decode(&command, &leave_read, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(leave_read.client_id, "id") && span_is(leave_read.producer_group, "p"));
	CU_ASSERT_EQUAL(leave_read.consumer_group.size, 0);

	begin(&encoder, SERIALIZE_JSON, REQ_VIEW_MESSAGE_BY_ID);
	view_message_encode(&encoder, &view);
	command = reread(&encoder);
	CU_ASSERT_TRUE(view_message_decode(&command, &view_read, &err) == ST_OK && view_read.offset == 1024);

	begin(&encoder, SERIALIZE_JSON, REQ_NOTIFY_CONSUMER_IDS_CHANGED);
	consumer_group_encode(&encoder, SPAN_LITERAL("c"));
	command = reread(&encoder);
	CU_ASSERT_TRUE(consumer_group_decode(&command, &group, &err) == ST_OK && span_is(group, "c"));
}

static void test_register_broker_tells_an_absent_acting_master_from_a_false_one(void)
{
	struct broker_header header = {
		.broker_name = SPAN_LITERAL("broker-a"),
		.broker_addr = SPAN_LITERAL("1.2.3.4:10911"),
		.cluster_name = SPAN_LITERAL("C"),
		.broker_id = 0,
		.ha_server_addr = SPAN_LITERAL("1.2.3.4:10912"),
		.heartbeat_timeout_ms = 30000,
		.has_enable_acting_master = true,
		.compressed = true,
		.body_crc32 = 123,
	};
	struct broker_header back;
	struct encoder encoder;
	struct errinfo err;

	begin(&encoder, SERIALIZE_JSON, REQ_REGISTER_BROKER);
	register_broker_encode(&encoder, &header);
	struct command command = reread(&encoder);
	CU_ASSERT_EQUAL_FATAL(register_broker_decode(&command, &back, &err), ST_OK);
	CU_ASSERT_TRUE(back.has_enable_acting_master && !back.enable_acting_master);
	CU_ASSERT_TRUE(back.compressed && back.body_crc32 == 123 && back.heartbeat_timeout_ms == 30000);
	CU_ASSERT_TRUE(span_is(back.broker_name, "broker-a") && span_is(back.ha_server_addr, "1.2.3.4:10912"));

	header.has_enable_acting_master = false;
	begin(&encoder, SERIALIZE_JSON, REQ_REGISTER_BROKER);
	register_broker_encode(&encoder, &header);
	command = reread(&encoder);
	CU_ASSERT_EQUAL_FATAL(register_broker_decode(&command, &back, &err), ST_OK);
	CU_ASSERT_FALSE(back.has_enable_acting_master);
}

static void test_namesrv_round_trip(void)
{
	struct broker_header header = { SPAN_LITERAL("b"), SPAN_LITERAL("a"), SPAN_LITERAL("C"), 3, .body_crc32 = 0 };
	struct broker_header back;
	struct route_header route = { SPAN_LITERAL("T"), true }, route_back;
	struct kv_header kv = { SPAN_LITERAL("N"), SPAN_LITERAL("k"), SPAN_LITERAL("v") }, kv_back;
	struct register_reply_header reply = { SPAN_LITERAL("ha"), SPAN_LITERAL("m") }, reply_back;
	struct encoder encoder;
	struct errinfo err;
	bool changed = false;

	begin(&encoder, SERIALIZE_JSON, REQ_UNREGISTER_BROKER);
	broker_header_encode(&encoder, &header);
	struct command command = reread(&encoder);
	CU_ASSERT_TRUE(broker_header_decode(&command, &back, &err) == ST_OK && back.broker_id == 3);
	command = of_json(904, "{\"brokerName\":\"b\",\"brokerAddr\":\"a\",\"clusterName\":\"C\","
			       "\"heartbeatTimeoutMills\":\"5000\"}");
	CU_ASSERT_EQUAL(broker_heartbeat_decode(&command, &back, &err), ST_OK);
	CU_ASSERT_TRUE(back.broker_id == -1 && back.heartbeat_timeout_ms == 5000);

	begin(&encoder, SERIALIZE_JSON, REQ_GET_ROUTEINFO_BY_TOPIC);
	route_header_encode(&encoder, &route);
	command = reread(&encoder);
	CU_ASSERT_TRUE(route_header_decode(&command, &route_back, &err) == ST_OK && route_back.accept_standard_json_only);

	begin(&encoder, SERIALIZE_JSON, REQ_PUT_KV_CONFIG);
	kv_header_encode(&encoder, &kv);
	command = reread(&encoder);
	CU_ASSERT_TRUE(kv_header_decode(&command, &kv_back, &err) == ST_OK && span_is(kv_back.value, "v"));

	begin(&encoder, SERIALIZE_JSON, 0);
	register_reply_encode(&encoder, &reply);
	data_version_reply_encode(&encoder, true);
	command = reread(&encoder);
	CU_ASSERT_TRUE(register_reply_decode(&command, &reply_back, &err) == ST_OK && span_is(reply_back.master_addr, "m"));
	CU_ASSERT_TRUE(data_version_reply_decode(&command, &changed, &err) == ST_OK && changed);
}

static void test_admin_round_trip(void)
{
	struct create_topic_header topic = { SPAN_LITERAL("T"), 8, 9, 6, SPAN_NONE, 1, true, SPAN_LITERAL("+a=b") };
	struct create_topic_header topic_back;
	struct delete_group_header group = { SPAN_LITERAL("g"), true }, group_back;
	struct encoder encoder;
	struct errinfo err;
	struct span name;

	begin(&encoder, SERIALIZE_JSON, REQ_UPDATE_AND_CREATE_TOPIC);
	create_topic_encode(&encoder, &topic);
	struct command command = reread(&encoder);
	CU_ASSERT_EQUAL_FATAL(create_topic_decode(&command, &topic_back, &err), ST_OK);
	CU_ASSERT_TRUE(topic_back.read_queue_nums == 8 && topic_back.write_queue_nums == 9 && topic_back.perm == 6);
	CU_ASSERT_TRUE(span_is(topic_back.topic_filter_type, "SINGLE_TAG") && topic_back.order);
	CU_ASSERT_TRUE(span_is(command_field(&command, "defaultTopic"), TOPIC_AUTO_CREATE));
	CU_ASSERT_TRUE(topic_header_decode(&command, &name, &err) == ST_OK && span_is(name, "T"));

	begin(&encoder, SERIALIZE_JSON, REQ_DELETE_SUBSCRIPTIONGROUP);
	delete_group_encode(&encoder, &group);
	group_header_encode(&encoder, SPAN_LITERAL("g2"));
	topic_header_encode(&encoder, SPAN_LITERAL("t2"));
	command = reread(&encoder);
	CU_ASSERT_TRUE(delete_group_decode(&command, &group_back, &err) == ST_OK && group_back.clean_offset);
	CU_ASSERT_TRUE(group_header_decode(&command, &name, &err) == ST_OK && span_is(name, "g2"));
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_send_round_trip_with_long_and_short_names),
		CHECK_TEST(test_send_as_node_sends_it),
		CHECK_TEST(test_batch_by_flag_or_by_code),
		CHECK_TEST(test_errors_name_the_field),
		CHECK_TEST(test_names_that_only_look_alike_are_not_taken),
		CHECK_TEST(test_send_reply_round_trip),
		CHECK_TEST(test_end_and_check_round_trip),
		CHECK_TEST(test_pull_round_trip),
		CHECK_TEST(test_pull_defaults),
		CHECK_TEST(test_offsets_round_trip),
		CHECK_TEST(test_clients_round_trip),
		CHECK_TEST(test_register_broker_tells_an_absent_acting_master_from_a_false_one),
		CHECK_TEST(test_namesrv_round_trip),
		CHECK_TEST(test_admin_round_trip),
	};

	buffer_init(&frame, 0);
	int failed = check_main("headers", tests, sizeof(tests) / sizeof(tests[0]));
	buffer_deinit(&frame);
	return failed;
}
