/* core_send_back: what a consumer could not do comes again later, and dies in the end. */
#include "tests/unit/core/core_fixture.h"

static enum status send_back(struct fixture *f, uint64_t log_offset, int32_t level, int32_t max_times, struct outcome *outcome)
{
	struct send_back_request request = { .group = SPAN_LITERAL("readers"), .log_offset = log_offset, .delay_level = level,
					     .max_reconsume_times = max_times };

	*outcome = (struct outcome){ 0 };
	enum status status = core_send_back(f->core, &request, outcome);
	fixture_disk(f, true);
	return status;
}

static void test_sent_back_messages_are_retried_and_die_in_the_end(void)
{
	struct core_config config = fixture_config();
	struct group_config settings = group_config_default();
	struct pulled p = { .count = 0 };
	struct outcome outcome;

	config.auto_create_group = false;
	struct fixture *f = fixture_create(&config);
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k", .tag = "A" });
	struct host host = host_ipv4(0x7F000001, 10911);
	char id[MSGID_TEXT_SIZE];

	fixture_disk(f, true);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUBSCRIPTION_GROUP_NOT_EXIST);
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset + 8, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 0);
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].topic, "%RETRY%readers"));
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "k"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_DELAY), "1"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_REAL_TOPIC), "%RETRY%readers"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_WAIT), "false"));
	offset_msg_id_encode(&host, (int64_t)sent.log_offset, id);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	/* Sent back again from the retry topic: it keeps its origin, and level 0 means 3 + times. */
	CU_ASSERT_EQUAL(send_back(f, (uint64_t)p.messages[0].physical_offset, 0, -1, &outcome), ST_OK);
	fixture_advance(f, 19000);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[1].reconsume_times, 2);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[1].properties, PROPERTY_RETRY_TOPIC), "t"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[1].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	/* Too many times, or at once: the dead letters, without a delay. */
	CU_ASSERT_EQUAL(send_back(f, (uint64_t)p.messages[1].physical_offset, 1, 2, &outcome), ST_OK);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, -1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 3);
	CU_ASSERT_EQUAL(p.messages[1].reconsume_times, 1);
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_DELAY), "0"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_ORIGIN_MESSAGE_ID), id));
	pulled_free(&p);
	fixture_destroy(f);
}

/* A consumer sends to its retry topic itself: as often as its group may try, then to the dead letters. */
static void test_a_retry_that_is_one_too_many_is_dead(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("%RETRY%readers"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = SPAN_LITERAL("b"), .max_reconsume_times = 2 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	for (request.reconsume_times = 2; request.reconsume_times <= 3; request.reconsume_times++)
		CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 2);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].reconsume_times, 3);
	/* At once, whatever delay it was sent with. */
	request.reconsume_times = 3;
	request.properties = SPAN_LITERAL("DELAY\0014\002");
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "%DLQ%readers", 0, 1, "*", &p), 1);
	CU_ASSERT_PTR_NULL(memmem(p.messages[0].properties.data, p.messages[0].properties.size, "DELAY\0014", 7));
	/* There is one queue of dead letters, and the answer says so. */
	struct group_config two_queues = group_config_default();
	two_queues.retry_queue_nums = 2;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &two_queues, &outcome), ST_OK);
	request.queue_id = 1;
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.queue_id, 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A consumer whose broker does not take a message back sends it itself, and with it the properties that once made it a half:
 * nobody would decide it. */
static void test_a_retry_of_a_transaction_is_no_half(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("%RETRY%readers"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.properties = SPAN_LITERAL("TRAN_MSG\001true\002PGROUP\001producers\002DELAY\0012\002"),
					.body = SPAN_LITERAL("b"), .reconsume_times = 1, .max_reconsume_times = 16 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	fixture_advance(f, 5000);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Nor does what is sent back, where the record of its retry topic goes over it first. */
static void test_what_is_sent_back_may_be_overwritten(void)
{
	enum { MESSAGES = 200, GROUPS = 40 };
	static uint8_t body[4000];
	struct fixture *f = fixture_create(NULL);
	struct send_request filler = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
				       .default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
				       .body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result sent[MESSAGES], result = { 0 };
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };
	size_t next = 0;
	char text[32];

	for (size_t i = 0; i < MESSAGES; i++) {
		snprintf(text, sizeof(text), "message-%zu", i);
		sent[i] = must_send(f, (struct sent){ .topic = "a-topic", .key = text });
	}
	while (commitlog_in_memory(f->log, sent[0].log_offset)) {
		CU_ASSERT_EQUAL_FATAL(core_send(f->core, &filler, &result, &outcome), ST_OK);
		fixture_disk(f, true);
	}
	for (size_t i = 0; i < GROUPS; i++) {
		while (!commitlog_in_memory(f->log, sent[next].log_offset))
			next++;
		snprintf(text, sizeof(text), "group-%zu", i);
		struct send_back_request back = { .group = span_of(text), .log_offset = sent[next].log_offset, .delay_level = -1,
						  .max_reconsume_times = -1 };
		CU_ASSERT_EQUAL_FATAL(core_send_back(f->core, &back, &outcome), ST_OK);
		fixture_disk(f, true);
		snprintf(text, sizeof(text), "%%DLQ%%group-%zu", i);
		CU_ASSERT_EQUAL_FATAL(fixture_pull(f, text, 0, 0, "*", &p), 1);
		snprintf(text, sizeof(text), "message-%zu", next);
		CU_ASSERT_TRUE(span_is(p.messages[0].body, text));
		CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_UNIQ_KEY), text));
	}
	pulled_free(&p);
	fixture_destroy(f);
}

/* A group may want no retries, and its retry topic may be closed: neither gets what is sent back. */
static void test_what_is_sent_back_where_no_retries_are_wanted(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config settings = group_config_default();
	struct topic_settings closed = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ };
	struct outcome outcome = { 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k" });

	settings.retry_queue_nums = 0;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	fixture_disk(f, true);
	uint64_t appended = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_OK);
	CU_ASSERT_EQUAL(commitlog_appended(f->log), appended);
	settings.retry_queue_nums = 1;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("%RETRY%readers"), &closed, &outcome), ST_OK);
	CU_ASSERT_EQUAL(send_back(f, sent.log_offset, 1, -1, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_NO_PERMISSION);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_sent_back_messages_are_retried_and_die_in_the_end),
		CHECK_TEST(test_a_retry_that_is_one_too_many_is_dead),
		CHECK_TEST(test_a_retry_of_a_transaction_is_no_half),
		CHECK_TEST(test_what_is_sent_back_may_be_overwritten),
		CHECK_TEST(test_what_is_sent_back_where_no_retries_are_wanted),
	};
	return check_main("send back", tests, sizeof(tests) / sizeof(tests[0]));
}
