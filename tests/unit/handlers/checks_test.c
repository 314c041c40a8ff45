/* CHECK_TRANSACTION_STATE: what a producer is shown of the half that it is asked about. */
#include "tests/unit/handlers/handlers_fixture.h"

#include "lib/base/logging.h"
#include "lib/wire/message.h"

/* Has the producer asked about this half, whose place is to be as expected; the message in `out`. */
static void ask(struct bench *b, const struct send_result *half, struct message *out)
{
	b->count = 0;
	CU_ASSERT_TRUE_FATAL(handlers_ask(&b->handlers, PRODUCER, half->queue_offset, half->log_offset));
	CU_ASSERT_EQUAL_FATAL(b->count, 1);
	CU_ASSERT_EQUAL(b->out[0].command.code, REQ_CHECK_TRANSACTION_STATE);
	CU_ASSERT_EQUAL_FATAL(message_decode(b->out[0].command.body, out, NULL), ST_OK);
	CU_ASSERT_EQUAL(out->size, b->out[0].command.body.size);
	CU_ASSERT_EQUAL(out->queue_offset, (int64_t)half->queue_offset);
	CU_ASSERT_EQUAL(out->physical_offset, (int64_t)half->log_offset);
	CU_ASSERT_EQUAL(out->prepared_transaction_offset, 0);
	CU_ASSERT_EQUAL(out->sys_flag & SYSFLAG_TRANSACTION_MASK, 0);
	CU_ASSERT_TRUE(message_crc_matches(out));
}

/* Applications give up after so many times; they read it, as with RocketMQ, from the message. */
static void test_times_and_place(void)
{
	struct bench *b = bench_open();
	struct message message;

	fixture_heartbeat(b->f, true);
	struct send_result half = must_send(b->f, (struct sent){ .topic = "t", .key = "u", .tag = "red", .half = true, .queue_id = 2,
								 .more = "colour\001green\002" });
	fixture_disk(b->f, true);
	ask(b, &half, &message);
	CU_ASSERT_EQUAL(property_get_i64(message.properties, PROPERTY_TRANSACTION_CHECK_TIMES, 0), 1);
	CU_ASSERT_TRUE(span_is(property_get(message.properties, PROPERTY_REAL_TOPIC), "t"));
	CU_ASSERT_EQUAL(property_get_i64(message.properties, PROPERTY_REAL_QID, -1), 2);
	CU_ASSERT_TRUE(span_is(property_get(message.properties, "colour"), "green"));
	CU_ASSERT_TRUE(span_is(property_get(message.properties, PROPERTY_UNIQ_KEY), "u"));
	CU_ASSERT_TRUE(span_is(message.topic, "t"));
	CU_ASSERT_TRUE(span_is(message.body, "u"));
	for (int s = 0; s < 120 && b->f->asked_count < 2; s++) {
		fixture_heartbeat(b->f, true);
		fixture_advance(b->f, 1000);
	}
	CU_ASSERT_EQUAL(b->f->asked_count, 2);
	ask(b, &half, &message);
	CU_ASSERT_EQUAL(property_get_i64(message.properties, PROPERTY_TRANSACTION_CHECK_TIMES, 0), 3);
	bench_close(b);
}

/* Nothing of the application's is left out to make room for what is ours. */
static void test_full_properties(void)
{
	struct bench *b = bench_open();
	struct message message;
	enum { FILLING = 32600 };
	char *more = malloc(FILLING + 16);

	CU_ASSERT_PTR_NOT_NULL_FATAL(more);
	memcpy(more, "x\001", 2);
	memset(more + 2, 'y', FILLING);
	memcpy(more + 2 + FILLING, "\002", 2);
	struct send_result half = must_send(b->f, (struct sent){ .topic = "a_topic_with_a_name_of_some_length_so_that_one_more_is_too_much",
								 .key = "u", .half = true, .more = more });
	fixture_disk(b->f, true);
	ask(b, &half, &message);
	CU_ASSERT_EQUAL(property_get(message.properties, "x").size, FILLING);
	free(more);
	bench_close(b);
}

/* Questions are no reason to end a connection that has much to read. */
static void test_who_has_much_to_read_is_asked_later(void)
{
	struct bench *b = bench_open();
	struct message message;

	struct send_result half = must_send(b->f, (struct sent){ .topic = "t", .key = "u", .half = true });
	fixture_disk(b->f, true);
	b->full = PRODUCER;
	CU_ASSERT_FALSE(handlers_ask(&b->handlers, PRODUCER, half.queue_offset, half.log_offset));
	CU_ASSERT_EQUAL(b->count, 0);
	b->full = 0;
	ask(b, &half, &message);
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_times_and_place),
		CHECK_TEST(test_full_properties),
		CHECK_TEST(test_who_has_much_to_read_is_asked_later),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("checks", tests, sizeof(tests) / sizeof(tests[0]));
}
