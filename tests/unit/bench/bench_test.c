/* The load generator's parts that could lie: quantiles, and what it takes from an answer. */
#include <stdlib.h>
#include <string.h>

#include "bench/lib/frames.h"
#include "bench/lib/histogram.h"
#include "tests/support/check.h"

static int compare_i64(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return x < y ? -1 : x > y;
}

static void test_quantiles_agree_with_sorted_values_within_one_percent(void)
{
	enum { COUNT = 20000 };
	static const double quantiles[] = { 0.001, 0.5, 0.9, 0.99, 0.999, 1 };
	static struct histogram histogram, half[2];
	static int64_t values[COUNT];
	uint64_t state = check_seed(1);

	for (int i = 0; i < COUNT; i++) {
		values[i] = (int64_t)(check_random(&state) >> (24 + check_random(&state) % 40));
		histogram_add(&half[i % 2], values[i]);
	}
	histogram_merge(&histogram, &half[0]);
	histogram_merge(&histogram, &half[1]);
	qsort(values, COUNT, sizeof(values[0]), compare_i64);
	CU_ASSERT_EQUAL(histogram.count, COUNT);
	CU_ASSERT_EQUAL(histogram.max, values[COUNT - 1]);
	for (size_t i = 0; i < sizeof(quantiles) / sizeof(quantiles[0]); i++) {
		int64_t exact = values[(size_t)(quantiles[i] * COUNT + 0.999999) - 1];
		int64_t found = histogram_quantile(&histogram, quantiles[i]);
		CU_ASSERT(found >= exact && (double)found <= (double)exact * 1.01 + 1);
	}
}

static void test_histogram_keeps_values_beyond_its_range_as_maximum(void)
{
	static struct histogram histogram;

	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 0.5), 0);
	histogram_add(&histogram, -5);
	histogram_add(&histogram, INT64_MAX);
	CU_ASSERT_EQUAL(histogram_quantile(&histogram, 0.5), 0);
	CU_ASSERT_EQUAL(histogram.max, INT64_MAX);
	CU_ASSERT_EQUAL(histogram.count, 2);
}

/* A frame with this header; the caller frees its buffer. */
static struct buffer frame_of(const char *header)
{
	struct buffer b;

	buffer_init(&b, 0);
	buffer_put_u32(&b, (uint32_t)(4 + strlen(header)));
	buffer_put_u32(&b, (uint32_t)strlen(header));
	buffer_append_text(&b, header);
	return b;
}

static void test_answer_of_a_stock_broker_is_understood(void)
{
	struct buffer b = frame_of("{\"code\":0,\"extFields\":{\"queueId\":\"1\",\"TRACE_ON\":\"true\",\"MSG_REGION\":\"DefaultRegion\","
				   "\"msgId\":\"C0A8000100002A9F0000000000000400\",\"transactionId\":\"AB\",\"queueOffset\":\"77\"},"
				   "\"flag\":1,\"language\":\"JAVA\",\"opaque\":1000065540,\"remark\":\"a \\\"b\\\" {c},\","
				   "\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}");
	struct header header;
	const char *reason = NULL;

	CU_ASSERT_EQUAL(frames_next(buffer_span(&b)), buffer_size(&b));
	CU_ASSERT_FATAL(frames_scan(buffer_span(&b), &header, &reason));
	CU_ASSERT_EQUAL(header.code, 0);
	CU_ASSERT_EQUAL(header.flag, FLAG_RESPONSE);
	CU_ASSERT_EQUAL(header.opaque, 1000065540);
	CU_ASSERT(header.has_queue_offset);
	CU_ASSERT_EQUAL(header.queue_offset, 77);
	CU_ASSERT_EQUAL(frames_log_offset(header.message_id), 1024);
	CU_ASSERT(span_is(header.transaction_id, "AB"));
	CU_ASSERT(span_is(header.remark, "a \\\"b\\\" {c},"));
	buffer_deinit(&b);
}

static void test_malformed_headers_are_refused(void)
{
	static const char *const bad[] = { "", "{", "{\"code\":0", "[]", "{\"a\":{\"b\":{\"code\":1}}}", "{\"code\"0}", "{\"code\":0}x",
					   "{\"flag\":1}", "{\"code\":0,\"remark\":\"\\", "{code:0}" };
	struct header header;
	const char *reason;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct buffer b = frame_of(bad[i]);
		reason = NULL;
		CU_ASSERT_FALSE(frames_scan(buffer_span(&b), &header, &reason));
		CU_ASSERT_PTR_NOT_NULL(reason);
		buffer_deinit(&b);
	}
	struct buffer b = frame_of("{\"code\":0}");
	b.data[4] = 1; /* Binary header. */
	CU_ASSERT_FALSE(frames_scan(buffer_span(&b), &header, &reason));
	b.data[4] = 0;
	b.data[7]++; /* Longer than the frame. */
	CU_ASSERT_FALSE(frames_scan(buffer_span(&b), &header, &reason));
	memset(b.data, 0xff, 4);
	CU_ASSERT_EQUAL(frames_next(buffer_span(&b)), SIZE_MAX);
	CU_ASSERT_EQUAL(frames_next((struct span){ b.data, 3 }), 0);
	buffer_deinit(&b);
	CU_ASSERT_EQUAL(frames_log_offset(span_of("C0A8000100002A9F000000000000040G")), -1);
	CU_ASSERT_EQUAL(frames_log_offset(span_of("0400")), -1);
}

static void test_requests_carry_what_was_patched_in(void)
{
	const struct frames_options options = { .group = "g", .topic = "t", .queue_count = 4, .body_size = 1000,
						.run_id = 0xABCDEF, .transactional = true };
	struct frames frames;
	struct errinfo err;
	struct header header;
	const char *reason;
	struct buffer out;

	CU_ASSERT_EQUAL_FATAL(frames_init(&frames, &options, &err), ST_OK);
	buffer_init(&out, 0);
	CU_ASSERT_FATAL(frames_put_send(&frames, &out, 1234567890, 3, 1700000000123, 0x42));
	CU_ASSERT_EQUAL(frames_next(buffer_span(&out)), buffer_size(&out));
	CU_ASSERT_FATAL(frames_scan(buffer_span(&out), &header, &reason));
	CU_ASSERT_EQUAL(header.code, CODE_SEND_V2);
	CU_ASSERT_EQUAL(header.opaque, 1234567890);
	CU_ASSERT_EQUAL(header.body.size, 1000);
	CU_ASSERT(span_is(header.properties, "TRAN_MSG\\u0001true\\u0002UNIQ_KEY\\u00010000000000ABCDEF0000000000000042\\u0002"
					     "WAIT\\u0001true\\u0002PGROUP\\u0001g\\u0002TAGS\\u0001TagA\\u0002"));
	buffer_reset(&out);
	CU_ASSERT_FATAL(frames_put_end(&frames, &out, 1000000001, false, 123456789012, 5, 0xABCDEF, 0x42));
	buffer_put_u8(&out, 0); /* So that it can be searched as text. */
	CU_ASSERT_EQUAL(frames_next(buffer_span(&out)), buffer_size(&out) - 1);
	CU_ASSERT_STRING_EQUAL((const char *)out.data + 8,
			       "{\"code\":37,\"extFields\":{\"commitLogOffset\":\"123456789012\",\"commitOrRollback\":\"12\","
			       "\"fromTransactionCheck\":\"false\",\"msgId\":\"0000000000ABCDEF0000000000000042\",\"producerGroup\":\"g\","
			       "\"tranStateTableOffset\":\"5\",\"transactionId\":\"0000000000ABCDEF0000000000000042\"},\"flag\":0,"
			       "\"language\":\"JAVA\",\"opaque\":1000000001,\"serializeTypeCurrentRPC\":\"JSON\",\"version\":479}");
	buffer_deinit(&out);
	frames_deinit(&frames);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_quantiles_agree_with_sorted_values_within_one_percent),
		CHECK_TEST(test_histogram_keeps_values_beyond_its_range_as_maximum),
		CHECK_TEST(test_answer_of_a_stock_broker_is_understood),
		CHECK_TEST(test_malformed_headers_are_refused),
		CHECK_TEST(test_requests_carry_what_was_patched_in),
	};
	return check_main("bench", tests, sizeof(tests) / sizeof(tests[0]));
}
