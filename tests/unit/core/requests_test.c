/* broker/core: what is refused, with which of RocketMQ's codes and in which order; batches; an operator's word. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"
#include "lib/log/logreader.h"

/* --- checks in front of a pull ------------------------------------------------------------------------------- */

static struct pull_header good_pull(void)
{
	return (struct pull_header){ .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .max_msg_nums = 32,
				     .sys_flag = PULL_SUBSCRIPTION, .subscription = SPAN_LITERAL("*"), .max_msg_bytes = -1 };
}

static int32_t prepare(struct fixture *f, const struct pull_header *header, struct pull_request *out)
{
	struct outcome outcome = { 0 };

	return core_prepare_pull(f->core, header, out, &outcome) == ST_OK ? RESP_SUCCESS : outcome.code;
}

static void test_pull_checks_and_their_order(void)
{
	struct core_config config = fixture_config();

	config.auto_create_group = false;
	struct fixture *f = fixture_create(&config);
	struct pull_header header = good_pull();
	struct group_config settings = group_config_default();
	struct topic_settings write_only = { .read_queue_nums = 4, .write_queue_nums = 4, .perm = PERM_WRITE };
	struct pull_request request;
	struct outcome outcome = { 0 };

	/* Everything is wrong; one thing after the other is put right. */
	header.topic = SPAN_LITERAL("hidden");
	header.queue_id = 9;
	header.subscription = SPAN_LITERAL("||");
	header.queue_offset = -1;
	CU_ASSERT_EQUAL(core_put_topic(f->core, header.topic, &write_only, &outcome), ST_OK);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_GROUP_NOT_EXIST);
	settings.consume_enable = false;
	CU_ASSERT_EQUAL(core_put_group(f->core, header.consumer_group, &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_NO_PERMISSION);
	settings.consume_enable = true;
	CU_ASSERT_EQUAL(core_put_group(f->core, header.consumer_group, &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_NO_PERMISSION); /* The topic's now. */
	header.topic = SPAN_LITERAL("t");
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_TOPIC_NOT_EXIST);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_INVALID_PARAMETER);
	header.queue_id = 0;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_PARSE_FAILED);
	header.subscription = SPAN_LITERAL("A || B");
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_TRUE(request.negative && request.offset == 0);
	header.queue_offset = 3;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_TRUE(request.offset == 3 && request.message_max == 32 && request.bytes_max == PULL_BYTES_MAX);
	header.max_msg_nums = INT32_MAX;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(request.message_max, PULL_MESSAGES_MAX);
	CU_ASSERT_EQUAL(request.filter.count, 2);
	CU_ASSERT_EQUAL(request.queue_id, 0);
	header.queue_id = 3;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(request.queue_id, 3);
	header.queue_id = 4; /* Of four: one too many. */
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_INVALID_PARAMETER);
	struct topic_settings fewer = { .read_queue_nums = 2, .write_queue_nums = 4, .perm = PERM_READ | PERM_WRITE };
	CU_ASSERT_EQUAL(core_put_topic(f->core, header.topic, &fewer, &outcome), ST_OK);
	header.queue_id = 2; /* It is written to, not read. */
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_INVALID_PARAMETER);
	header.queue_id = 1;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	header.queue_id = 0;
	header.expression_type = SPAN_LITERAL("SQL92");
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_PARSE_FAILED);
	fixture_destroy(f);
}

static void heartbeat_subscribes(struct fixture *f, const char *tags, int64_t version, int32_t model)
{
	struct subscription_data subscription = { .topic = SPAN_LITERAL("t"), .sub_string = span_of(tags), .sub_version = version };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = model, .subscriptions = &subscription, .subscription_count = 1 };
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("c"), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, CONSUMER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
}

static void test_a_pull_without_a_subscription_uses_the_heartbeats(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_header header = good_pull();
	struct pull_request request;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	header.sys_flag = 0;
	header.sub_version = 5;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_NOT_EXIST); /* No member. */
	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_NOT_EXIST); /* Not of this topic. */
	heartbeat_subscribes(f, "A", 4, MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_NOT_LATEST);
	heartbeat_subscribes(f, "B", 5, MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_TRUE(tag_filter_match(&request.filter, tag_hash(SPAN_LITERAL("B"))));
	CU_ASSERT_FALSE(tag_filter_match(&request.filter, tag_hash(SPAN_LITERAL("A"))));
	/* Broadcasting is the group's to allow. */
	struct group_config settings = group_config_default();
	struct outcome outcome = { 0 };
	heartbeat_subscribes(f, "B", 5, MODEL_BROADCASTING);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	settings.consume_broadcast_enable = false;
	CU_ASSERT_EQUAL(core_put_group(f->core, header.consumer_group, &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_NO_PERMISSION);
	heartbeat_subscribes(f, "B", 5, MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	heartbeat_subscribes(f, "*", 6, MODEL_CLUSTERING);
	header.sub_version = 7; /* Everything passes anyway, so there is nothing to wait for. */
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	core_connection_gone(f->core, CONSUMER);
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUBSCRIPTION_NOT_EXIST);
	fixture_destroy(f);
}

static void test_an_offset_rides_on_a_pull_when_its_bit_says_so(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_header header = good_pull();
	struct pull_request request;
	struct outcome outcome = { 0 };
	int64_t offset;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	header.commit_offset = 17;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_query_offset(f->core, header.consumer_group, header.topic, 0, false, &offset, &outcome), ST_DENIED);
	header.sys_flag |= PULL_COMMIT_OFFSET;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_query_offset(f->core, header.consumer_group, header.topic, 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 17);
	header.commit_offset = 0; /* A word like any other. */
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_query_offset(f->core, header.consumer_group, header.topic, 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 0);
	header.commit_offset = -1;
	CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(core_query_offset(f->core, header.consumer_group, header.topic, 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 0);
	CU_ASSERT_EQUAL(core_update_offset(f->core, header.consumer_group, header.topic, 3, 1, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(f->core, header.consumer_group, header.topic, 4, 1, false, &outcome), ST_DENIED);
	fixture_destroy(f);
}

static void test_an_answer_has_its_limits_and_at_least_one_message(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pull_result result;
	struct outcome outcome;

	for (int i = 0; i < 10; i++)
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	struct pull_request request = pull_of(f, "t", 0, 0, "*");
	request.message_max = 3;
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(result.item_count == 3 && result.next_offset == 3);
	size_t one = result.body_size / 3;
	request.message_max = 32;
	request.bytes_max = (uint32_t)one * 2 + 10;
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(result.item_count == 2 && result.next_offset == 2);
	request.bytes_max = 1;
	CU_ASSERT_EQUAL(core_pull(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(result.item_count == 1 && result.next_offset == 1);
	fixture_destroy(f);
}

/* A client may want fewer bytes than it could have, not more. */
static void test_how_many_bytes_a_client_wants(void)
{
	static const struct { int32_t wanted; uint32_t bytes; } clients[] = {
		{ 1000, 1000 }, { -1, PULL_BYTES_MAX }, { 0, PULL_BYTES_MAX }, { INT32_MAX, PULL_BYTES_MAX },
	};
	struct fixture *f = fixture_create(NULL);
	struct pull_header header = good_pull();
	struct pull_request request;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	for (size_t i = 0; i < sizeof(clients) / sizeof(clients[0]); i++) {
		header.max_msg_bytes = clients[i].wanted;
		CU_ASSERT_EQUAL(prepare(f, &header, &request), RESP_SUCCESS);
		CU_ASSERT_EQUAL(request.bytes_max, clients[i].bytes);
	}
	fixture_destroy(f);
}

/* --- sends ----------------------------------------------------------------------------------------------------- */

static int32_t send_code(struct fixture *f, const struct send_request *request)
{
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	return core_send(f->core, request, &result, &outcome) == ST_OK ? RESP_SUCCESS : outcome.code;
}

static void test_sends_that_are_refused(void)
{
	static uint8_t large[16 * 1024 + 1];
	struct fixture *f = fixture_create(NULL);
	struct send_request good = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
				     .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				     .body = SPAN_LITERAL("b"), .max_reconsume_times = -1 };
	struct send_request request = good;

	request.topic = SPAN_LITERAL("of_a_unit");
	request.unit_mode = true;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_SUCCESS);
	CU_ASSERT_EQUAL(topics_find(core_topics(f->core), request.topic)->settings.sys_flag, TOPIC_FLAG_UNIT);
	request = good;
	request.default_topic = SPAN_LITERAL("none");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_TOPIC_NOT_EXIST);
	request = good;
	request.topic = SPAN_LITERAL("a/b");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_INVALID_PARAMETER);
	request.topic = SPAN_NONE;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_INVALID_PARAMETER);
	request.topic = SPAN_LITERAL("RMQ_SYS_TRANS_HALF_TOPIC");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_NO_PERMISSION);
	request = good;
	request.queue_id = 4;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_INVALID_PARAMETER);
	request = good;
	request.body = (struct span){ large, sizeof(large) };
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	request.body.size--;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_SUCCESS);
	request = good;
	request.properties = SPAN_LITERAL("TIMER_DELAY_SEC\001259201\002");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	request.properties = SPAN_LITERAL("TIMER_DELAY_SEC\0019223372036854775807\002");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	request.properties = SPAN_LITERAL("TIMER_DELAY_SEC\001259200\002");
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_SUCCESS);
	fixture_destroy(f);
}

static void test_a_topic_made_on_the_way_has_no_more_queues_than_its_template(void)
{
	static const struct { const char *topic; int32_t wanted; uint32_t queues; } sends[] = {
		{ "none", 0, 1 }, { "few", 3, 3 }, { "as-many", 4, 4 }, { "more", 5, 4 }, { "all", INT32_MAX, 4 },
	};
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .default_topic = SPAN_LITERAL("TBW102"),
					.body = SPAN_LITERAL("b"), .max_reconsume_times = -1 };

	for (size_t i = 0; i < sizeof(sends) / sizeof(sends[0]); i++) {
		request.topic = span_of(sends[i].topic);
		request.default_topic_queue_nums = sends[i].wanted;
		CU_ASSERT_EQUAL(send_code(f, &request), RESP_SUCCESS);
		const struct topic_settings *settings = &topics_find(core_topics(f->core), request.topic)->settings;
		CU_ASSERT_EQUAL(settings->write_queue_nums, sends[i].queues);
		CU_ASSERT_EQUAL(settings->read_queue_nums, sends[i].queues);
	}
	fixture_destroy(f);
}

static void test_a_batch_is_stored_whole_or_not_at_all(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4, .queue_id = 3,
					.max_reconsume_times = -1, .batch = true };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };
	struct buffer body;

	buffer_init(&body, 0);
	for (int i = 0; i < 3; i++)
		batch_append(&body, &(struct batch_message){ i, SPAN_LITERAL("one of three"), SPAN_LITERAL("TAGS\001A\002") });
	request.body = buffer_span(&body);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(result.count, 3);
	CU_ASSERT_EQUAL(result.queue_offset, 0);
	uint64_t offsets[3] = { result.log_offsets[0], result.log_offsets[1], result.log_offsets[2] };
	fixture_disk(f, true);
	CU_ASSERT_TRUE(outcome.wait_offset <= core_committed_offset(f->core) && outcome.wait_offset > offsets[2]);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 3, 0, "A", &p), 3);
	for (size_t i = 0; i < 3; i++) {
		CU_ASSERT_EQUAL(p.messages[i].physical_offset, (int64_t)offsets[i]);
		CU_ASSERT_EQUAL(p.messages[i].flag, (int32_t)i);
	}
	/* The last one is cut off, transactional, or there is none. */
	request.body.size--;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	request.body.size = 0;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("x"), SPAN_LITERAL("TRAN_MSG\001true\002") });
	request.body = buffer_span(&body);
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	/* A good one, but retries are counted one by one. */
	buffer_reset(&body);
	batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("x"), SPAN_NONE });
	request.body = buffer_span(&body);
	request.topic = SPAN_LITERAL("%RETRY%readers");
	request.queue_id = 0;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	/* Too many of them. */
	for (int i = 0; i < BATCH_MESSAGES_MAX; i++)
		batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("x"), SPAN_NONE });
	request.body = buffer_span(&body);
	request.topic = SPAN_LITERAL("t");
	f->core->config.max_message_size = 4 * 1024 * 1024;
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 3, 0, "*", &p), 3);
	buffer_deinit(&body);
	pulled_free(&p);
	fixture_destroy(f);
}

/* The broker adds its own to the properties of each: one that has no room left for them is found before the first is stored. */
static void test_a_batch_with_one_of_full_properties_is_not_begun(void)
{
	static char properties[MESSAGE_PROPERTIES_MAX];
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.max_reconsume_times = -1, .batch = true };
	struct buffer body;

	f->core->config.max_message_size = 64 * 1024;
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" }); /* Makes the topic. */
	memset(properties, 'v', sizeof(properties));
	memcpy(properties, "p\001", 2);
	buffer_init(&body, 0);
	batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("good"), SPAN_NONE });
	batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("full"), { (uint8_t *)properties, sizeof(properties) } });
	request.body = buffer_span(&body);
	uint64_t appended = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(send_code(f, &request), RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	buffer_deinit(&body);
	fixture_destroy(f);
}

static void test_a_batch_of_the_most_that_is_allowed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.max_reconsume_times = -1, .batch = true };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct buffer body;

	fixture_close(f);
	f->ring_size = 4 * 1024 * 1024;
	f->segment_size = 8 * 1024 * 1024;
	f->config.max_message_size = 1024 * 1024;
	memdisk_destroy(f->disk);
	f->disk = memdisk_create();
	fixture_open(f);
	buffer_init(&body, 0);
	for (int i = 0; i < BATCH_MESSAGES_MAX; i++)
		batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("x"), SPAN_NONE });
	request.body = buffer_span(&body);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.count, BATCH_MESSAGES_MAX);
	/* One more is too many. */
	uint64_t appended = commitlog_appended(f->log);
	batch_append(&body, &(struct batch_message){ 0, SPAN_LITERAL("x"), SPAN_NONE });
	request.body = buffer_span(&body);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	buffer_deinit(&body);
	fixture_destroy(f);
}

/* The log has room for one of three at the moment. */
static void test_a_batch_that_finds_no_room_is_not_begun(void)
{
	static uint8_t bytes[16 * 1024];
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { bytes, sizeof(bytes) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct buffer body;

	while (commitlog_room(f->log) > 2 * sizeof(bytes))
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	buffer_init(&body, 0);
	for (int i = 0; i < 3; i++)
		batch_append(&body, &(struct batch_message){ i, { bytes, sizeof(bytes) * 3 / 4 }, SPAN_NONE });
	request.batch = true;
	request.body = buffer_span(&body);
	f->core->config.max_message_size = 64 * 1024;
	uint64_t appended = commitlog_appended(f->log);
	CU_ASSERT_TRUE(commitlog_room(f->log) > sizeof(bytes) * 7 / 8 && commitlog_room(f->log) <= 2 * sizeof(bytes));
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_AGAIN);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	buffer_deinit(&body);
	fixture_destroy(f);
}

/* A log that cannot take more now says so, changes nothing, and goes on once the disk has worked. */
static void test_a_full_log_asks_to_come_again(void)
{
	static uint8_t body[16 * 1024];
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	uint64_t cold_offset;
	uint32_t cold_size;
	int stored = 0;
	enum status status;

	while ((status = core_send(f->core, &request, &result, &outcome)) == ST_OK && stored < 1000)
		stored++;
	CU_ASSERT_EQUAL_FATAL(status, ST_AGAIN);
	CU_ASSERT_TRUE(stored > 20);
	CU_ASSERT_FALSE(core_take_cold_read(f->core, &cold_offset, &cold_size));
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.queue_offset, (uint64_t)stored);
	fixture_destroy(f);
}

/* --- an operator's word -------------------------------------------------------------------------------------------- */

static enum status operator_says(struct fixture *f, uint64_t half_offset, enum record_outcome asked, struct outcome *outcome)
{
	*outcome = (struct outcome){ 0 };
	enum status status = core_operator_decide(f->core, half_offset, asked, SPAN_LITERAL("dba"), outcome);
	fixture_disk(f, true);
	return status;
}

static void test_an_operator_parks_resumes_and_decides(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	struct send_result plain = must_send(f, (struct sent){ .topic = "t", .key = "p" });

	fixture_disk(f, true);
	fixture_heartbeat(f, true);
	CU_ASSERT_EQUAL(operator_says(f, plain.log_offset, OUTCOME_COMMIT, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(operator_says(f, half.log_offset + 8, OUTCOME_COMMIT, &outcome), ST_DENIED);
	/* Twice in one turn: the second word rests on the first one's record. */
	outcome = (struct outcome){ 0 };
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("dba"), &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("dba"), &outcome), ST_OK);
	CU_ASSERT_TRUE(outcome.wait_offset > core_committed_offset(f->core));
	fixture_disk(f, true);
	fixture_advance(f, 50000);
	CU_ASSERT_EQUAL(f->asked_count, 0);
	CU_ASSERT_EQUAL(operator_says(f, half.log_offset, OUTCOME_RESUME, &outcome), ST_OK);
	fixture_advance(f, 100);
	CU_ASSERT_EQUAL(f->asked_count, 1);
	CU_ASSERT_EQUAL(operator_says(f, half.log_offset, OUTCOME_ROLLBACK, &outcome), ST_OK);
	CU_ASSERT_EQUAL(operator_says(f, half.log_offset, OUTCOME_COMMIT, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "rolled back"));
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "by operator dba"));
	/* "I do not know" contradicts nothing. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, (enum record_outcome)0, true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	fixture_destroy(f);
}

/* One CONFLICT record speaks of `suppressed` others, the rest of the `records` of none. */
static void check_suppressed(struct fixture *f, uint32_t suppressed, int records)
{
	struct record_conflict conflict;
	struct logreader *reader;
	struct log_record record;
	int found = 0, loud = 0;

	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "/store", 0, &reader, NULL), ST_OK);
	while (logreader_next(reader, commitlog_durable(f->log), &record, NULL) == ST_OK) {
		if (record.kind != LOG_CONFLICT)
			continue;
		CU_ASSERT_EQUAL(record_conflict_decode(record.payload, &conflict, NULL), ST_OK);
		found++;
		loud += conflict.suppressed == suppressed;
		CU_ASSERT_TRUE(conflict.suppressed == 0 || conflict.suppressed == suppressed);
	}
	logreader_close(reader);
	CU_ASSERT_EQUAL(found, records);
	CU_ASSERT_EQUAL(loud, 1);
}

/* Refusals are recorded up to a rate; each one is answered. */
static void test_conflict_records_are_limited_not_refusals(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	uint64_t before = commitlog_appended(f->log), after_hundred = 0;
	for (int i = 0; i < CONFLICTS_PER_SECOND * 3; i++) {
		if (i == CONFLICTS_PER_SECOND)
			after_hundred = commitlog_appended(f->log);
		CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
		CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	}
	CU_ASSERT_TRUE(after_hundred > before);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), after_hundred);
	CU_ASSERT_EQUAL(core_stats(f->core).refused_count, CONFLICTS_PER_SECOND * 3);
	fixture_advance(f, 1000);
	before = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	CU_ASSERT_TRUE(commitlog_appended(f->log) > before);
	/* The record tells how many went before it unrecorded, the next one begins anew. */
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	fixture_disk(f, true);
	check_suppressed(f, CONFLICTS_PER_SECOND * 2, CONFLICTS_PER_SECOND + 2);
	fixture_destroy(f);
}

/* Stored by name: a message of the queue, not a half, not the future. */
static void test_a_stored_message_by_its_name(void)
{
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct outcome outcome;
	struct errinfo err;
	struct pulled p = { .count = 0 };
	struct send_result plain = must_send(f, (struct sent){ .topic = "t", .key = "p" });
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .half = true });

	CU_ASSERT_EQUAL(core_stored_message(f->core, plain.log_offset, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_stored_message(f->core, plain.log_offset, &stored, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(stored.message.body, "p"));
	CU_ASSERT_EQUAL(core_stored_message(f->core, half.log_offset, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(core_stored_message(f->core, plain.log_offset + 8, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL(core_stored_message(f->core, UINT64_MAX, &stored, &err), ST_NOTFOUND);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 1, "*", &p), 1);
	CU_ASSERT_EQUAL(core_stored_message(f->core, (uint64_t)p.messages[0].physical_offset, &stored, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(stored.message.body, "h"));
	CU_ASSERT_EQUAL(stored.message.queue_offset, 1);
	CU_ASSERT_EQUAL(stored.message.prepared_transaction_offset, (int64_t)half.log_offset);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A decision's offset is a message's name only if it commits: by any other one nobody gets to see the half. */
static void test_what_is_not_committed_has_no_name(void)
{
	static const enum record_outcome outcomes[] = { OUTCOME_ROLLBACK, OUTCOME_PARK, OUTCOME_RESUME };
	static const char *const keys[] = { "rolled back", "parked", "resumed" };
	struct fixture *f = fixture_create(NULL);
	struct stored_message stored;
	struct outcome outcome = { 0 };
	struct half_entry entry;
	struct errinfo err;

	for (size_t i = 0; i < sizeof(outcomes) / sizeof(outcomes[0]); i++) {
		struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = keys[i], .half = true });

		if (outcomes[i] == OUTCOME_RESUME)
			CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_PARK, SPAN_LITERAL("op"), &outcome), ST_OK);
		CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, outcomes[i], SPAN_LITERAL("op"), &outcome), ST_OK);
		fixture_disk(f, true);
		CU_ASSERT_EQUAL_FATAL(half_index_get(&f->core->halves, half.queue_offset, &entry, &err), ST_OK);
		CU_ASSERT_TRUE(entry.decision_offset > half.log_offset);
		CU_ASSERT_EQUAL(core_stored_message(f->core, entry.decision_offset, &stored, &err), ST_NOTFOUND);
	}
	fixture_destroy(f);
}

/* Once, under the name that is set; one that is there stays as it is. */
static void test_the_trace_topic_is_made_when_wanted(void)
{
	struct core_config config = fixture_config();
	struct topic_settings mine = { .read_queue_nums = 3, .write_queue_nums = 3, .perm = PERM_READ | PERM_WRITE };
	struct outcome outcome = { 0 };

	struct fixture *f = fixture_create(&config);
	fixture_advance(f, 20);
	CU_ASSERT_PTR_NULL(topics_find(core_topics(f->core), SPAN_LITERAL("traces")));
	fixture_destroy(f);
	config.trace_topic = "traces";
	f = fixture_create(&config);
	fixture_advance(f, 20);
	const struct topic *topic = topics_find(core_topics(f->core), SPAN_LITERAL("traces"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(topic);
	CU_ASSERT_EQUAL(topic->settings.write_queue_nums, 1);
	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("traces"), &mine, &outcome), ST_OK);
	fixture_advance(f, 20);
	fixture_restart(f);
	fixture_advance(f, 20);
	topic = topics_find(core_topics(f->core), SPAN_LITERAL("traces"));
	CU_ASSERT_PTR_NOT_NULL_FATAL(topic);
	CU_ASSERT_EQUAL(topic->settings.write_queue_nums, 3);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_pull_checks_and_their_order),
		CHECK_TEST(test_a_pull_without_a_subscription_uses_the_heartbeats),
		CHECK_TEST(test_an_offset_rides_on_a_pull_when_its_bit_says_so),
		CHECK_TEST(test_an_answer_has_its_limits_and_at_least_one_message),
		CHECK_TEST(test_how_many_bytes_a_client_wants),
		CHECK_TEST(test_sends_that_are_refused),
		CHECK_TEST(test_a_topic_made_on_the_way_has_no_more_queues_than_its_template),
		CHECK_TEST(test_a_batch_is_stored_whole_or_not_at_all),
		CHECK_TEST(test_a_full_log_asks_to_come_again),
		CHECK_TEST(test_an_operator_parks_resumes_and_decides),
		CHECK_TEST(test_conflict_records_are_limited_not_refusals),
		CHECK_TEST(test_a_stored_message_by_its_name),
		CHECK_TEST(test_what_is_not_committed_has_no_name),
		CHECK_TEST(test_the_trace_topic_is_made_when_wanted),
		CHECK_TEST(test_a_batch_with_one_of_full_properties_is_not_begun),
		CHECK_TEST(test_a_batch_of_the_most_that_is_allowed),
		CHECK_TEST(test_a_batch_that_finds_no_room_is_not_begun),
	};
	return check_main("requests", tests, sizeof(tests) / sizeof(tests[0]));
}
