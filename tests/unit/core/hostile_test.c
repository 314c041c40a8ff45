/* What peers may ask for without end, and what must not come of it. */
#include <stdio.h>
#include <string.h>

#include "broker/core/clients.h"
#include "broker/core/pop.h"
#include "broker/core/progress.h"
#include "broker/core/settings.h"
#include "broker/core/state.h"
#include "lib/wire/body_heartbeat.h"
#include "lib/wire/headers.h"
#include "tests/unit/core/core_fixture.h"

/* A consumer's heartbeat with `count` subscriptions to topics that nobody else knows. */
static enum status flood(struct fixture *f, int first, size_t count, struct outcome *outcome)
{
	struct subscription_data subscriptions[200];
	char names[200][24];
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("flood"), .message_model = MODEL_CLUSTERING,
					  .subscriptions = subscriptions, .subscription_count = count };
	struct heartbeat beat = { .client_id = SPAN_LITERAL("c"), .consumers = &consumer, .consumer_count = 1 };

	for (size_t i = 0; i < count; i++) {
		snprintf(names[i], sizeof(names[i]), "made-up-%d", first + (int)i);
		subscriptions[i] = (struct subscription_data){ .topic = span_of(names[i]), .sub_string = SPAN_LITERAL("*") };
	}
	*outcome = (struct outcome){ 0 };
	return core_heartbeat(f->core, 99, &(struct host){ 0 }, LANGUAGE_JAVA, VERSION_OURS, &beat, outcome);
}

static void test_names_in_passing_leave_room_for_what_is_recorded(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome;
	enum status status = ST_OK;

	for (int i = 0; i < 2000 && status == ST_OK; i += 200)
		status = flood(f, i, 200, &outcome);
	CU_ASSERT_EQUAL(status, ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	(void)must_send(f, (struct sent){ .topic = "a-new-topic", .key = "k" });
	(void)must_send(f, (struct sent){ .topic = "a-new-topic", .key = "h", .half = true, .group = "a-new-group" });
	fixture_destroy(f);
}

static void test_when_names_run_out_a_topic_is_refused_not_recorded(void)
{
	struct core_config config = fixture_config();
	struct send_result result;
	struct outcome outcome;
	enum status status = ST_OK;

	config.name_max = 20;
	struct fixture *f = fixture_create(&config);
	for (int i = 0; i < 30 && status == ST_OK; i++) {
		char topic[16];

		snprintf(topic, sizeof(topic), "t%d", i);
		status = fixture_send(f, (struct sent){ .topic = topic, .key = "k" }, &result, &outcome);
	}
	CU_ASSERT_EQUAL(status, ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_BUSY);
	(void)must_send(f, (struct sent){ .topic = "t0", .key = "again" });
	fixture_advance(f, 50);
	fixture_restart(f);
	(void)must_send(f, (struct sent){ .topic = "t0", .key = "later" });
	fixture_destroy(f);
}

static void test_offsets_are_kept_for_queues_that_are(void)
{
	struct fixture *f = fixture_create(NULL);
	struct consumer_group *group;
	struct outcome outcome = { 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_EQUAL(settings_group_for_consumer(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(f->core, group->name, SPAN_LITERAL("t"), 3, 1, false, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_update_offset(f->core, group->name, SPAN_LITERAL("t"), 1023, 1, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	fixture_destroy(f);
}

static void test_sent_back_messages_go_where_consumers_look(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config settings = group_config_default();
	struct consumer_group *group;
	struct topic *retry;
	struct outcome outcome = { 0 };

	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_EQUAL(settings_group_for_consumer(f->core, SPAN_LITERAL("readers"), &group, &outcome), ST_OK);
	CU_ASSERT_EQUAL(settings_retry_topic(f->core, SPAN_LITERAL("readers"), &retry, &outcome), ST_OK);
	CU_ASSERT_EQUAL(retry->settings.read_queue_nums, 1);
	settings.retry_queue_nums = 8;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &settings, &outcome), ST_OK);
	CU_ASSERT_EQUAL(retry->settings.read_queue_nums, 8); /* The topic has followed. */
	fixture_advance(f, 50);
	for (int i = 0; i < 16; i++) {
		struct send_back_request back = { .group = SPAN_LITERAL("readers"), .log_offset = sent.log_offset,
						  .delay_level = 1, .max_reconsume_times = -1 };

		CU_ASSERT_EQUAL(core_send_back(f->core, &back, &outcome), ST_OK);
	}
	fixture_advance(f, 2000);
	for (uint32_t i = 0; i < 8; i++) {
		struct queue_range range;

		CU_ASSERT_EQUAL(core_queue_range(f->core, retry->name, (int32_t)i, &range, &outcome), ST_OK);
		CU_ASSERT_EQUAL(range.max_offset, 2);
	}
	fixture_destroy(f);
}

static void test_a_batch_is_stored_whole_or_not_at_all(void)
{
	struct fixture *f = fixture_create(NULL);
	struct buffer body;
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct queue_range range;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_advance(f, 50);
	buffer_init(&body, 4096);
	batch_append(&body, &(struct batch_message){ .body = SPAN_LITERAL("good") });
	batch_append(&body, &(struct batch_message){ .body = SPAN_LITERAL("bad"),
						     .properties = SPAN_LITERAL("TIMER_DELAY_SEC\x01" "9999999\x02") });
	struct send_request request = { .topic = SPAN_LITERAL("t"), .default_topic = SPAN_LITERAL("TBW102"),
					.default_topic_queue_nums = 4, .body = buffer_span(&body), .batch = true,
					.max_reconsume_times = -1, .born_host = host_ipv4(0x0A000001, 1) };
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	fixture_advance(f, 50);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.max_offset, 1);
	buffer_deinit(&body);
	fixture_destroy(f);
}

/* What a client calls itself is kept, recorded and sent around. */
static void test_client_ids_have_their_limit(void)
{
	static uint8_t id[70 * 1024];
	struct fixture *f = fixture_create(NULL);
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .message_model = MODEL_CLUSTERING };
	struct heartbeat beat = { .client_id = { id, sizeof(id) }, .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	memset(id, 'c', sizeof(id));
	CU_ASSERT_EQUAL(core_heartbeat(f->core, CONSUMER, &(struct host){ 0 }, LANGUAGE_JAVA, VERSION_OURS, &beat, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	CU_ASSERT_STRING_EQUAL(outcome.err.text, "clientID of 71680 bytes: at most 255 are allowed");
	CU_ASSERT_EQUAL(core_consumers(f->core, consumer.group_name, NULL, NULL), 0);
	beat.client_id.size = CLIENT_ID_MAX;
	CU_ASSERT_EQUAL(core_heartbeat(f->core, CONSUMER, &(struct host){ 0 }, LANGUAGE_JAVA, VERSION_OURS, &beat, &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_client_id(f->core, CONSUMER).size, CLIENT_ID_MAX);
	fixture_destroy(f);
}

/* The record of a refusal holds as much as it has room for of what was said in the request. */
static void test_long_texts_are_cut_in_a_conflict(void)
{
	static uint8_t text[70 * 1024];
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	memset(text, 'c', sizeof(text));
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	uint64_t appended = commitlog_appended(f->log);
	struct end_request request = {
		.group = SPAN_LITERAL("producers"), .half_queue_offset = half.queue_offset, .half_offset = half.log_offset,
		.outcome = OUTCOME_ROLLBACK, .conn_id = PRODUCER, .client_id = { text, sizeof(text) },
	};
	CU_ASSERT_EQUAL(core_end_transaction(f->core, &request, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	CU_ASSERT_TRUE(commitlog_appended(f->log) > appended);
	fixture_restart(f);
	fixture_destroy(f);
}

/* Its UNIQ_KEY is the name of a transaction, by which a resend is known: one that cannot be kept is not replaced by another. */
static void test_a_half_with_a_name_too_long_is_refused(void)
{
	struct fixture *f = fixture_create(NULL);
	char key[SEND_UNIQUE_KEY_MAX + 1];
	struct send_result result;
	struct outcome outcome = { 0 };

	memset(key, 'k', sizeof(key));
	key[SEND_UNIQUE_KEY_MAX] = '\0';
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "t", .key = key, .half = true }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "UNIQ_KEY"));
	(void)must_send(f, (struct sent){ .topic = "t", .key = key }); /* Of another message it names nothing. */
	key[SEND_UNIQUE_KEY_MAX - 1] = '\0';
	result = must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
	CU_ASSERT_STRING_EQUAL(result.unique_key, key);
	fixture_destroy(f);
}

/* One of the greatest size that there is finds no room for a retry topic with a long name: it is refused. */
enum { MIB = 1024 * 1024 };

/* With room for the largest message that the format takes, and that one in it. */
static struct fixture *with_the_largest_message(struct send_result *result)
{
	struct fixture *f = calloc(1, sizeof(*f));
	char *body = malloc(MESSAGE_SIZE_MAX);
	struct send_request request = {
		.producer_group = SPAN_LITERAL("producers"), .topic = SPAN_LITERAL("t"), .default_topic = SPAN_LITERAL("TBW102"),
		.default_topic_queue_nums = 4, .born_host = host_ipv4(0x0A000001, 4711), .max_reconsume_times = -1,
		.properties = SPAN_LITERAL("UNIQ_KEY\x01k\x02"), .body = { (uint8_t *)body, MESSAGE_SIZE_MAX },
	};
	struct outcome outcome = { 0 };

	CU_ASSERT_FATAL(f != NULL && body != NULL);
	memset(body, 'b', MESSAGE_SIZE_MAX);
	f->disk = memdisk_create();
	f->config = fixture_config();
	f->config.max_message_size = MESSAGE_SIZE_MAX;
	f->segment_size = f->ring_size = 64 * MIB;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	/* What the message has besides its body: a few hundred bytes. */
	for (; core_send(f->core, &request, result, &outcome) == ST_DENIED && request.body.size > MESSAGE_SIZE_MAX - 400;)
		request.body.size--;
	CU_ASSERT_EQUAL_FATAL(outcome.code, RESP_SUCCESS);
	free(body);
	fixture_disk(f, true);
	return f;
}

static void test_the_largest_message_cannot_be_sent_back(void)
{
	static uint8_t group[200];
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct fixture *f = with_the_largest_message(&result);

	memset(group, 'g', sizeof(group));
	struct send_back_request back = { .group = { group, sizeof(group) }, .log_offset = result.log_offset, .delay_level = 1,
					  .max_reconsume_times = -1 };
	CU_ASSERT_EQUAL(core_send_back(f->core, &back, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	fixture_destroy(f);
}

/* Nor does it come again by POP: the name of the retry topic is longer. What lapsed behind it does. */
static void test_the_largest_message_holds_up_no_other(void)
{
	struct pop_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .queue_id = 0,
				     .max_msg_nums = 1, .invisible_ms = 1000 };
	struct send_result result = { 0 };
	struct pop_request request;
	struct pop_result popped;
	struct outcome outcome = { 0 };
	struct fixture *f = with_the_largest_message(&result);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_OK);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(core_pop(f->core, &request, &popped, &outcome), ST_OK);
		CU_ASSERT_EQUAL(popped.count, 1);
	}
	fixture_advance(f, 1300);
	CU_ASSERT_EQUAL(f->core->pops.live, 1);
	CU_ASSERT_EQUAL(core_pop(f->core, &request, &popped, &outcome), ST_OK);
	CU_ASSERT_EQUAL(popped.count, 1);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_names_in_passing_leave_room_for_what_is_recorded),
		CHECK_TEST(test_when_names_run_out_a_topic_is_refused_not_recorded),
		CHECK_TEST(test_offsets_are_kept_for_queues_that_are),
		CHECK_TEST(test_sent_back_messages_go_where_consumers_look),
		CHECK_TEST(test_a_batch_is_stored_whole_or_not_at_all),
		CHECK_TEST(test_client_ids_have_their_limit),
		CHECK_TEST(test_long_texts_are_cut_in_a_conflict),
		CHECK_TEST(test_a_half_with_a_name_too_long_is_refused),
		CHECK_TEST(test_the_largest_message_cannot_be_sent_back),
		CHECK_TEST(test_the_largest_message_holds_up_no_other),
	};

	return check_main("hostile peers of the core", tests, sizeof(tests) / sizeof(tests[0]));
}
