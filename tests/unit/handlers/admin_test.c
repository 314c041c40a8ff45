/* Requests that change topics and groups, as commands: what is refused, with which code, and what tools are told. */
#include "broker/core/settings.h"
#include "lib/wire/body_route.h"
#include "tests/unit/handlers/handlers_fixture.h"

static int32_t ask(struct bench *b, int32_t code, const char *const *fields, const char *body)
{
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, code, fields, body), ST_OK);
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].conn_id, OPERATOR);
	CU_ASSERT_TRUE(b->out[0].command.code == RESP_SUCCESS || b->out[0].command.remark.size > 0);
	fixture_disk(b->f, true);
	return b->out[0].command.code;
}

static int32_t create(struct bench *b, const char *topic, const char *read, const char *write, const char *perm, const char *attributes)
{
	const char *fields[] = { "topic", topic, "defaultTopic", "TBW102", "readQueueNums", read, "writeQueueNums", write, "perm", perm,
				 "topicFilterType", "SINGLE_TAG", "order", "false", "attributes", attributes, NULL };

	return ask(b, REQ_UPDATE_AND_CREATE_TOPIC, fields, "");
}

static const struct topic *find(const struct bench *b, const char *topic)
{
	return topics_find(core_topics(b->f->core), span_of(topic));
}

static void test_a_topic_is_made_changed_and_deleted(void)
{
	static const char *const gone[] = { "topic", "t", NULL }, *const nothing[] = { NULL };
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(create(b, "t", "2", "2", "6", "+message.type=FIFO"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(create(b, "t", "4", "3", "4", "+reserve.time=9"), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL_FATAL(find(b, "t"));
	CU_ASSERT_EQUAL(find(b, "t")->settings.read_queue_nums, 4);
	CU_ASSERT_EQUAL(find(b, "t")->settings.write_queue_nums, 3);
	CU_ASSERT_EQUAL(find(b, "t")->settings.perm, PERM_READ);
	CU_ASSERT_TRUE(span_is(find(b, "t")->settings.attributes, "{\"message.type\":\"FIFO\",\"reserve.time\":\"9\"}"));
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_BROKER, gone, ""), RESP_SUCCESS);
	CU_ASSERT_PTR_NULL(find(b, "t"));
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_BROKER, gone, ""), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_TOPIC_IN_BROKER, nothing, ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_TOPIC_CONFIG, gone, ""), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

static void test_what_else_is_said_of_a_topic(void)
{
	static const char *const fields[] = { "topic", "t", "defaultTopic", "TBW102", "readQueueNums", "1", "writeQueueNums", "1", "perm",
					      "6", "topicFilterType", "MULTI_TAG", "order", "true",
					      "topicSysFlag", "3", NULL };
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_TOPIC, fields, ""), RESP_SUCCESS);
	bench_restart(b);
	CU_ASSERT_EQUAL(find(b, "t")->settings.filter_type, FILTER_MULTI_TAG);
	CU_ASSERT_TRUE(find(b, "t")->settings.order);
	CU_ASSERT_EQUAL(find(b, "t")->settings.sys_flag, 3);
	bench_close(b);
}

static void test_what_a_topic_cannot_be(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(create(b, "bad name", "1", "1", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, "TBW102", "1", "1", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, core_configuration(b->f->core)->cluster_name, "1", "1", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, b->handlers.broker_name, "1", "1", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, "t", "0", "1", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, "t", "1", "1025", "6", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, "t", "1", "1", "8", ""), RESP_INVALID_PARAMETER);
	CU_ASSERT_EQUAL(create(b, "t", "1", "1", "6", "+a=b"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(create(b, "t", "many", "1", "6", ""), RESP_SYSTEM_ERROR);
	CU_ASSERT_PTR_NULL(find(b, "t"));
	bench_close(b);
}

/* All are made, or none. */
static void test_lists(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_TOPIC_LIST, NULL, "{\"topicConfigList\":[{\"topicName\":\"one\",\"readQueueNums\":3},"
			    "{\"topicName\":\"two\",\"attributes\":{\"+message.type\":\"DELAY\"}}]}"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(find(b, "one")->settings.read_queue_nums, 3);
	CU_ASSERT_TRUE(span_is(find(b, "two")->settings.attributes, "{\"message.type\":\"DELAY\"}"));
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_TOPIC_LIST, NULL, "{\"topicConfigList\":[{\"topicName\":\"three\"},"
			    "{\"topicName\":\"four\",\"perm\":9}]}"), RESP_INVALID_PARAMETER);
	CU_ASSERT_PTR_NULL(find(b, "three"));
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_TOPIC_LIST, NULL, "nonsense"), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, NULL, "{\"groupConfigList\":[{\"groupName\":\"g1\"},"
			    "{\"groupName\":\"g2\",\"retryMaxTimes\":2}]}"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(groups_find(core_groups(b->f->core), SPAN_LITERAL("g2"))->settings.retry_max_times, 2);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST, NULL, "{\"groupConfigList\":[{\"groupName\":\"g3\"},"
			    "{\"groupName\":\"a b\"}]}"), RESP_INVALID_PARAMETER);
	CU_ASSERT_PTR_NULL(groups_find(core_groups(b->f->core), SPAN_LITERAL("g3")));
	bench_close(b);
}

/* Numbers that mean nothing become the next best that do; all others are kept as they were said. */
static void test_numbers_of_a_group(void)
{
	struct bench *b = bench_open();
	const struct group_config *kept;

	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, "{\"groupName\":\"g1\",\"retryQueueNums\":-1,"
			    "\"retryMaxTimes\":-1,\"consumeTimeoutMinute\":0}"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, "{\"groupName\":\"g2\",\"retryQueueNums\":2,"
			    "\"retryMaxTimes\":3,\"consumeTimeoutMinute\":4,\"brokerId\":5,\"whichBrokerWhenConsumeSlowly\":6}"),
			RESP_SUCCESS);
	bench_restart(b);
	CU_ASSERT_PTR_NOT_NULL_FATAL(groups_find(core_groups(b->f->core), SPAN_LITERAL("g1")));
	kept = &groups_find(core_groups(b->f->core), SPAN_LITERAL("g1"))->settings;
	CU_ASSERT_TRUE(kept->retry_queue_nums == 0 && kept->retry_max_times == 0 && kept->consume_timeout_minute == 15);
	kept = &groups_find(core_groups(b->f->core), SPAN_LITERAL("g2"))->settings;
	CU_ASSERT_TRUE(kept->retry_queue_nums == 2 && kept->retry_max_times == 3 && kept->consume_timeout_minute == 4);
	CU_ASSERT_TRUE(kept->broker_id == 5 && kept->which_broker_when_consume_slowly == 6);
	bench_close(b);
}

static void test_groups(void)
{
	static const char *const gone[] = { "groupName", "readers", "cleanOffset", "true", NULL };
	static const char *const asked[] = { "group", "readers", "topic", "orders", NULL };
	static const char *const kept_away[] = { "group", "readers", "topic", "orders", "readable", "false", NULL };
	struct bench *b = bench_open();

	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, asked, ""), RESP_SUCCESS);
	CU_ASSERT_TRUE(span_is(b->out[0].command.body, "{\"group\":\"readers\",\"readable\":true,\"topic\":\"orders\"}"));
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, kept_away, ""), RESP_SUCCESS);
	CU_ASSERT_TRUE(span_is(b->out[0].command.body, "{\"group\":\"readers\",\"readable\":false,\"topic\":\"orders\"}"));
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, asked + 2, ""), RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_SUBSCRIPTIONGROUP, gone, ""), RESP_SUCCESS);
	CU_ASSERT_PTR_NULL(groups_find(core_groups(b->f->core), SPAN_LITERAL("readers")));
	CU_ASSERT_EQUAL(ask(b, REQ_DELETE_SUBSCRIPTIONGROUP, NULL, ""), RESP_SYSTEM_ERROR);
	bench_close(b);
}

/* mqproxy asks for a group's retry policy and goes by it: it is kept as it was set, whatever else changes, over a restart too. */
static void test_the_retry_policy_of_a_group(void)
{
	static const char policy[] = "\"groupRetryPolicy\":{\"type\":\"EXPONENTIAL\","
				     "\"exponentialRetryPolicy\":{\"initial\":700,\"max\":9000,\"multiplier\":2}}";
	static const char *const named[] = { "group", "readers", NULL };
	static const char *const kept_away[] = { "group", "readers", "topic", "orders", "readable", "false", NULL };
	struct bench *b = bench_open();
	char body[300];

	snprintf(body, sizeof(body), "{\"groupName\":\"readers\",%s}", policy);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, body), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_GET_GROUP_FORBIDDEN, kept_away, ""), RESP_SUCCESS);
	for (int restarts = 0; restarts < 2; restarts++) {
		CU_ASSERT_EQUAL(ask(b, REQ_GET_SUBSCRIPTIONGROUP_CONFIG, named, ""), RESP_SUCCESS);
		CU_ASSERT_PTR_NOT_NULL(memmem(b->out[0].command.body.data, b->out[0].command.body.size, policy, sizeof(policy) - 1));
		CU_ASSERT_TRUE(group_is_forbidden(groups_find(core_groups(b->f->core), SPAN_LITERAL("readers")), SPAN_LITERAL("orders")));
		bench_restart(b);
	}
	/* It goes when the next settings have none. */
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL, "{\"groupName\":\"readers\"}"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(groups_find(core_groups(b->f->core), SPAN_LITERAL("readers"))->settings.retry_policy.size, 0);
	CU_ASSERT_TRUE(group_is_forbidden(groups_find(core_groups(b->f->core), SPAN_LITERAL("readers")), SPAN_LITERAL("orders")));
	CU_ASSERT_EQUAL(ask(b, REQ_UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, NULL,
			    "{\"groupName\":\"readers\",\"attributes\":{\"+priority.factor\":\"1\"}}"), RESP_SYSTEM_ERROR);
	bench_close(b);
}

static void test_lists_of_offsets_and_system_topics(void)
{
	struct bench *b = bench_open();
	struct outcome outcome = { 0 };
	struct name_list list;
	bool template_listed = false;

	CU_ASSERT_EQUAL(create(b, "orders", "2", "2", "6", ""), RESP_SUCCESS);
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, VERSION_OURS);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ALL_DELAY_OFFSET, NULL, ""), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 0, 3, true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 1, 4, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(ask(b, REQ_GET_ALL_CONSUMER_OFFSET, NULL, ""), RESP_SUCCESS);
	static const char table[] = "\"offsetTable\":{\"orders@readers\":{\"0\":3,\"1\":4}}";
	CU_ASSERT_PTR_NOT_NULL(memmem(b->out[0].command.body.data, b->out[0].command.body.size, table, sizeof(table) - 1));
	CU_ASSERT_EQUAL(ask(b, REQ_GET_SYSTEM_TOPIC_LIST_FROM_BROKER, NULL, ""), RESP_SUCCESS);
	CU_ASSERT_EQUAL_FATAL(topic_list_decode(b->out[0].command.body, &list, NULL), ST_OK);
	for (size_t i = 0; i < list.count; i++) {
		template_listed |= span_is(list.names[i], "TBW102");
		CU_ASSERT_FALSE(span_is(list.names[i], "orders"));
	}
	CU_ASSERT_TRUE(template_listed);
	name_list_free(&list);
	bench_close(b);
}

/* A broker without options, as in this test, says so. */
static void test_options_that_are_not_there(void)
{
	struct bench *b = bench_open();

	CU_ASSERT_EQUAL(ask(b, REQ_GET_BROKER_CONFIG, NULL, ""), RESP_REQUEST_CODE_NOT_SUPPORTED);
	CU_ASSERT_EQUAL(bench_ask(b, OPERATOR, REQ_UPDATE_BROKER_CONFIG, NULL, "a=b"), ST_OK);
	CU_ASSERT_EQUAL(b->out[0].command.code, RESP_REQUEST_CODE_NOT_SUPPORTED);
	bench_close(b);
}

/* Each verb of mqadmin that there is nothing for here: RocketMQ's code, and what to do instead. */
static void test_what_is_not_supported_says_what_to_do(void)
{
	static const struct {
		int32_t code;
		const char *advice;
	} cases[] = {
		{ REQ_GET_TIMER_CHECK_POINT, "no replicas" },           { REQ_GET_TIMER_METRICS, "no replicas" },
		{ REQ_EXCHANGE_BROKER_HA_INFO, "no replicas" },         { REQ_RESET_MASTER_FLUSH_OFFSET, "no replicas" },
		{ REQ_CHECK_ROCKSDB_CQ_WRITE_PROGRESS, "no RocksDB" },  { REQ_EXPORT_ROCKSDB_CONFIG_TO_JSON, "exportMetadata" },
		{ REQ_UPDATE_AND_CREATE_STATIC_TOPIC, "updateTopic" },  { REQ_ADD_BROKER, "no broker container" },
		{ REQ_REMOVE_BROKER, "no broker container" },           { REQ_GET_BROKER_EPOCH_CACHE, "no controller" },
		{ REQ_CONTROLLER_GET_METADATA_INFO, "no controller" },  { REQ_GET_COLD_DATA_FLOW_CTR_INFO, "cold" },
		{ REQ_SET_COMMITLOG_READ_MODE, "read ahead" },          { REQ_AUTH_CREATE_USER, "who can reach" },
		{ REQ_AUTH_LIST_ACL, "who can reach" },                 { REQ_SWITCH_TIMER_ENGINE, "one timer engine" },
		{ REQ_POP_ROLLBACK, "nothing to export" },              { REQ_GET_ROUTEINFO_BY_TOPIC, "ask a name server" },
		{ REQ_GET_NAMESRV_CONFIG, "ask a name server" },        { REQ_GET_BROKER_CLUSTER_ACL_CONFIG, "who can reach" },
		{ REQ_UPDATE_AND_CREATE_ACL_CONFIG, "who can reach" },  { 31337, " request type 31337 not supported" },
	};
	struct bench *b = bench_open();

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(ask(b, cases[i].code, NULL, ""), RESP_REQUEST_CODE_NOT_SUPPORTED);
		CU_ASSERT_PTR_NOT_NULL(memmem(b->out[0].command.remark.data, b->out[0].command.remark.size, cases[i].advice,
					      strlen(cases[i].advice)));
	}
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_topic_is_made_changed_and_deleted),
		CHECK_TEST(test_what_else_is_said_of_a_topic),
		CHECK_TEST(test_what_a_topic_cannot_be),
		CHECK_TEST(test_lists),
		CHECK_TEST(test_numbers_of_a_group),
		CHECK_TEST(test_groups),
		CHECK_TEST(test_the_retry_policy_of_a_group),
		CHECK_TEST(test_lists_of_offsets_and_system_topics),
		CHECK_TEST(test_options_that_are_not_there),
		CHECK_TEST(test_what_is_not_supported_says_what_to_do),
	};
	return check_main("admin requests", tests, sizeof(tests) / sizeof(tests[0]));
}
