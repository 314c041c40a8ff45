/* Messages, error objects, routes and lists of servers: what the SDK makes of its input. */
#include <lz4frame.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "client-sdk/src/fail.h"
#include "client-sdk/src/message_internal.h"
#include "client-sdk/src/route_view.h"
#include "client-sdk/src/routes.h"
#include "escrow/escrow.h"
#include "lib/wire/codes.h"
#include "lib/wire/properties.h"
#include "tests/support/check.h"

static escrow_message *make(void)
{
	escrow_message *message = NULL;

	CU_ASSERT_EQUAL_FATAL(escrow_message_create("orders", "ab\0cd", 5, &message, NULL), ESCROW_OK);
	return message;
}

/* --- messages ------------------------------------------------------------------------------------------------------ */

static void test_what_is_set_is_read_back_and_goes_on_the_wire(void)
{
	escrow_message *message = make();
	struct buffer wire;
	size_t size;

	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	CU_ASSERT_STRING_EQUAL(escrow_message_tag(message), "");
	CU_ASSERT_PTR_NULL(escrow_message_property(message, "colour"));
	CU_ASSERT_EQUAL(memcmp(escrow_message_body(message, &size), "ab\0cd", 5), 0);
	CU_ASSERT_EQUAL(size, 5);
	CU_ASSERT_EQUAL(escrow_message_set_tag(message, "paid", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_keys(message, "o-1 c-2", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "colour", "red", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "colour", "blue", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "empty", "", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_delay_level(message, 3, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_delay_level(message, 0, NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_set_check_immunity(message, 60, NULL), ESCROW_OK);
	CU_ASSERT_STRING_EQUAL(escrow_message_tag(message), "paid");
	CU_ASSERT_STRING_EQUAL(escrow_message_property(message, "colour"), "blue");
	buffer_init(&wire, 0);
	message_append_properties(message, &wire);
	static const char expected[] = "TAGS\1paid\2KEYS\1o-1 c-2\2colour\1blue\2CHECK_IMMUNITY_TIME_IN_SECONDS\1" "60\2";
	CU_ASSERT_TRUE(span_is(buffer_span(&wire), expected));
	buffer_deinit(&wire);
	escrow_message_destroy(message);
}

static void test_what_would_change_the_message_s_fate_is_refused(void)
{
	static const char *const reserved[] = {
		"TAGS", "KEYS", "UNIQ_KEY", "TRAN_MSG", "PGROUP", "WAIT", "__SHARDINGKEY", "REAL_TOPIC", "REAL_QID", "RETRY_TOPIC",
		"POP_CK", "DELAY", "TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC", "TIMER_DEL_UNIQKEY", "INNER_NUM",
		"REPLY_TO_CLIENT", "CORRELATION_ID", "CLUSTER", "MSG_TYPE",
	};
	escrow_message *message = make(), *none = NULL;
	struct escrow_error err;
	char *large = malloc(40000);

	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
		CU_ASSERT_EQUAL(escrow_message_set_property(message, reserved[i], "x", &err), ESCROW_INVALID);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, reserved[i]));
	}
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "a\1b", "x", NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "ab", "x\2", NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "", "x", NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_tag(message, "a||b", NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_tag(message, "*", NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_delay_level(message, 19, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_set_delay_level(message, -1, NULL), ESCROW_INVALID);
	memset(large, 'x', 39999);
	large[39999] = '\0';
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "ok", "1", NULL), ESCROW_OK);
	CU_ASSERT_NOT_EQUAL(escrow_message_set_property(message, "large", large, NULL), ESCROW_OK);
	CU_ASSERT_STRING_EQUAL(escrow_message_property(message, "ok"), "1");
	CU_ASSERT_EQUAL(escrow_message_set_property(message, "ok2", "2", NULL), ESCROW_OK);
	CU_ASSERT_EQUAL(escrow_message_create("a b", "", 0, &none, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_create("RMQ_SYS_TRANS_HALF_TOPIC", "", 0, &none, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_create("t", "", (size_t)64 << 20, &none, NULL), ESCROW_INVALID);
	CU_ASSERT_EQUAL(escrow_message_create(NULL, "", 0, &none, NULL), ESCROW_INVALID);
	CU_ASSERT_PTR_NULL(none);
	free(large);
	escrow_message_destroy(message);
	escrow_message_destroy(NULL);
}

static void test_an_arrived_message_has_its_real_topic_and_clean_properties(void)
{
	struct message record = { .topic = SPAN_LITERAL("%RETRY%g"), .body = SPAN_LITERAL("x"), .reconsume_times = 2,
				  .queue_offset = 7, .queue_id = 3, .physical_offset = 1024, .born_timestamp = 11,
				  .store_timestamp = 12, .store_host = host_ipv4(0xC0A80001, 10911),
				  .properties = SPAN_LITERAL("RETRY_TOPIC\1orders\2UNIQ_KEY\1id\2odd\1a\0b\2\1nameless\2valueless\1\2TAGS\1t") };
	escrow_message *message = NULL;

	CU_ASSERT_EQUAL_FATAL(message_from_record(&record, &message, NULL), ST_OK);
	CU_ASSERT_STRING_EQUAL(escrow_message_topic(message), "orders");
	CU_ASSERT_STRING_EQUAL(escrow_message_id(message), "id");
	CU_ASSERT_STRING_EQUAL(escrow_message_tag(message), "t");
	CU_ASSERT_STRING_EQUAL(escrow_message_property(message, "odd"), "a?b");
	CU_ASSERT_STRING_EQUAL(escrow_message_offset_id(message), "C0A8000100002A9F0000000000000400");
	CU_ASSERT_EQUAL(escrow_message_reconsume_times(message), 2);
	CU_ASSERT_EQUAL(escrow_message_queue_id(message), 3);
	CU_ASSERT_EQUAL(escrow_message_queue_offset(message), 7);
	CU_ASSERT_EQUAL(escrow_message_born_ms(message), 11);
	CU_ASSERT_EQUAL(escrow_message_stored_ms(message), 12);
	escrow_message_destroy(message);
}

/* --- compressed bodies --------------------------------------------------------------------------------------------- */

enum { TEXT_SIZE = 300000 };

static uint8_t *compressible(void)
{
	uint8_t *text = malloc(TEXT_SIZE);

	for (size_t i = 0; i < TEXT_SIZE; i++)
		text[i] = (uint8_t)('a' + i % 23 + i / 1000 % 3);
	return text;
}

static void expect_inflates(const uint8_t *packed, size_t size, int32_t flag, const uint8_t *text)
{
	uint8_t *out = NULL;
	size_t out_size = 0;

	CU_ASSERT_EQUAL_FATAL(body_inflate((struct span){ packed, size }, flag, TEXT_SIZE, &out, &out_size, NULL), ST_OK);
	CU_ASSERT_EQUAL(out_size, TEXT_SIZE);
	CU_ASSERT_EQUAL(memcmp(out, text, TEXT_SIZE), 0);
	free(out);
	/* Over the limit by one byte, cut off, and damaged. */
	CU_ASSERT_EQUAL(body_inflate((struct span){ packed, size }, flag, TEXT_SIZE - 1, &out, &out_size, NULL), ST_TOOBIG);
	for (size_t cut = 0; cut < size; cut += 1 + size / 50)
		CU_ASSERT_NOT_EQUAL(body_inflate((struct span){ packed, cut }, flag, TEXT_SIZE, &out, &out_size, NULL), ST_OK);
	uint8_t *damaged = malloc(size);
	memset(damaged, 0xA5, size);
	CU_ASSERT_NOT_EQUAL(body_inflate((struct span){ damaged, size }, flag, TEXT_SIZE, &out, &out_size, NULL), ST_OK);
	free(damaged);
}

static void test_every_compression_of_the_java_client_is_read_within_a_limit(void)
{
	uint8_t *text = compressible(), *packed = malloc(2 * TEXT_SIZE);
	uLongf zlib_size = 2 * TEXT_SIZE;

	CU_ASSERT_EQUAL_FATAL(compress2(packed, &zlib_size, text, TEXT_SIZE, 5), Z_OK);
	expect_inflates(packed, zlib_size, SYSFLAG_COMPRESSED, text);
	expect_inflates(packed, zlib_size, SYSFLAG_COMPRESSED | SYSFLAG_COMPRESSION_ZLIB, text);
	size_t size = LZ4F_compressFrame(packed, 2 * TEXT_SIZE, text, TEXT_SIZE, NULL);
	expect_inflates(packed, size, SYSFLAG_COMPRESSED | SYSFLAG_COMPRESSION_LZ4, text);
	size = ZSTD_compress(packed, 2 * TEXT_SIZE, text, TEXT_SIZE, 3);
	expect_inflates(packed, size, SYSFLAG_COMPRESSED | SYSFLAG_COMPRESSION_ZSTD, text);
	uint8_t *out;
	size_t out_size;
	CU_ASSERT_EQUAL(body_inflate((struct span){ packed, size }, 0x701, TEXT_SIZE, &out, &out_size, NULL), ST_VERSION);
	free(text);
	free(packed);
}

/* --- errors ------------------------------------------------------------------------------------------------------------ */

static void test_answers_become_codes_a_caller_can_act_on(void)
{
	static const struct {
		int response;
		enum escrow_code code;
		bool retriable;
	} cases[] = {
		{ RESP_SYSTEM_BUSY, ESCROW_BUSY, true },        { RESP_TOPIC_NOT_EXIST, ESCROW_NO_ROUTE, true },
		{ RESP_MESSAGE_ILLEGAL, ESCROW_REFUSED, false }, { RESP_SERVICE_NOT_AVAILABLE, ESCROW_REFUSED, true },
		{ RESP_ILLEGAL_OPERATION, ESCROW_CONFLICT, false }, { RESP_SYSTEM_ERROR, ESCROW_REFUSED, true },
		{ 12345, ESCROW_REFUSED, false },
	};
	struct escrow_error err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CU_ASSERT_EQUAL(sdk_fail_response(&err, "send", "b1", cases[i].response, SPAN_LITERAL("why not")), cases[i].code);
		CU_ASSERT_EQUAL(err.code, cases[i].code);
		CU_ASSERT_EQUAL(err.retriable, cases[i].retriable);
		CU_ASSERT_EQUAL(err.broker_code, cases[i].response);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "why not"));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "b1"));
	}
	CU_ASSERT_EQUAL(sdk_fail_response(NULL, "send", "b1", RESP_SYSTEM_BUSY, SPAN_NONE), ESCROW_BUSY);
}

static void test_long_texts_are_cut_and_every_code_has_one(void)
{
	struct escrow_error err;
	char *long_text = malloc(2000);

	memset(long_text, 'x', 1999);
	long_text[1999] = '\0';
	CU_ASSERT_EQUAL(sdk_fail(&err, ESCROW_TIMEOUT, "%s", long_text), ESCROW_TIMEOUT);
	CU_ASSERT_EQUAL(strlen(err.text), ESCROW_ERROR_TEXT_SIZE - 1);
	CU_ASSERT_STRING_EQUAL(err.text + ESCROW_ERROR_TEXT_SIZE - 4, "...");
	CU_ASSERT_TRUE(err.retriable);
	struct span remark = { (const uint8_t *)long_text, 1999 };
	CU_ASSERT_EQUAL(sdk_fail_response(&err, "send", "b", RESP_SYSTEM_BUSY, remark), ESCROW_BUSY);
	for (int code = ESCROW_OK; code <= ESCROW_PROTOCOL; code++)
		CU_ASSERT_STRING_NOT_EQUAL(escrow_code_text((enum escrow_code)code), "unknown code");
	CU_ASSERT_STRING_EQUAL(escrow_version(), ESCROW_VERSION);
	free(long_text);
}

/* --- routes ------------------------------------------------------------------------------------------------------------ */

static void test_lists_of_name_servers(void)
{
	static const char *const bad[] = { "", ";;", "localhost", ":9876", "h:0", "h:65536", "h:9x", "a:1;b" };
	struct name_servers servers;
	struct errinfo err;
	char many[400] = "";

	CU_ASSERT_EQUAL(name_servers_parse("a:1;b.example:9876, 10.0.0.1:65535;", &servers, &err), ST_OK);
	CU_ASSERT_EQUAL(servers.count, 3);
	CU_ASSERT_STRING_EQUAL(servers.addresses[1], "b.example:9876");
	CU_ASSERT_STRING_EQUAL(servers.addresses[2], "10.0.0.1:65535");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CU_ASSERT_EQUAL(name_servers_parse(bad[i], &servers, &err), ST_INVALID);
	CU_ASSERT_EQUAL(name_servers_parse(NULL, &servers, &err), ST_INVALID);
	for (int i = 0; i <= NAME_SERVERS_MAX; i++)
		strcat(many, "host:1;");
	CU_ASSERT_EQUAL(name_servers_parse(many, &servers, &err), ST_INVALID);
	char *long_name = malloc(600);
	memset(long_name, 'h', 599);
	memcpy(long_name + 597, ":1", 3);
	CU_ASSERT_EQUAL(name_servers_parse(long_name, &servers, &err), ST_INVALID);
	free(long_name);
}

static void test_a_route_s_queues(void)
{
	struct broker_addr master_a = { 0, SPAN_LITERAL("10.0.0.1:10911") }, slave_b = { 1, SPAN_LITERAL("10.0.0.2:10911") };
	struct broker_data brokers[] = {
		{ .broker_name = SPAN_LITERAL("b"), .addrs = &slave_b, .addr_count = 1 },
		{ .broker_name = SPAN_LITERAL("a"), .addrs = &master_a, .addr_count = 1 },
	};
	struct queue_data queues[] = {
		{ SPAN_LITERAL("b"), 2, 3, PERM_READ | PERM_WRITE, 0 },
		{ SPAN_LITERAL("a"), 8, 8, PERM_WRITE | PERM_READ, 0 },
		{ SPAN_LITERAL("gone"), 4, 4, PERM_WRITE | PERM_READ, 0 },
	};
	struct route route = { .brokers = brokers, .broker_count = 2, .queues = queues, .queue_count = 3 };
	struct route_view *view = NULL, *again = NULL;

	CU_ASSERT_EQUAL_FATAL(route_view_make(&route, 0, &view), ST_OK);
	CU_ASSERT_STRING_EQUAL(view->brokers[0].name, "a");
	CU_ASSERT_EQUAL(view->publish_count, 8); /* b has no master. */
	CU_ASSERT_EQUAL(view->subscribe_count, 10);
	CU_ASSERT_EQUAL(view->subscribe[8].broker, 1);
	CU_ASSERT_EQUAL(view->subscribe[9].queue_id, 1);
	CU_ASSERT_STRING_EQUAL(view_broker_address(&view->brokers[0], 0), "10.0.0.1:10911");
	CU_ASSERT_PTR_NULL(view_broker_address(&view->brokers[1], 0));
	CU_ASSERT_EQUAL_FATAL(route_view_make(&route, 4, &again), ST_OK);
	CU_ASSERT_EQUAL(again->publish_count, 4);
	route_view_free(again);
	route_view_free(view);
}

static void test_a_route_without_bounds_is_bounded(void)
{
	struct broker_addr master = { 0, SPAN_LITERAL("10.0.0.1:10911") };
	struct broker_data broker = { .broker_name = SPAN_LITERAL("a"), .addrs = &master, .addr_count = 1 };
	struct queue_data queues = { SPAN_LITERAL("a"), INT32_MAX, -5, PERM_READ | PERM_WRITE, 0 };
	struct route route = { .brokers = &broker, .broker_count = 1, .queues = &queues, .queue_count = 1 };
	struct route_view *view = NULL;

	CU_ASSERT_EQUAL_FATAL(route_view_make(&route, 0, &view), ST_OK);
	CU_ASSERT_EQUAL(view->subscribe_count, VIEW_QUEUES_MAX);
	CU_ASSERT_EQUAL(view->publish_count, 0);
	route_view_free(view);
	route.broker_count = route.queue_count = 0;
	CU_ASSERT_EQUAL_FATAL(route_view_make(&route, 0, &view), ST_OK);
	CU_ASSERT_EQUAL(view->publish_count + view->subscribe_count, 0);
	route_view_free(view);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_set_is_read_back_and_goes_on_the_wire),
		CHECK_TEST(test_what_would_change_the_message_s_fate_is_refused),
		CHECK_TEST(test_an_arrived_message_has_its_real_topic_and_clean_properties),
		CHECK_TEST(test_every_compression_of_the_java_client_is_read_within_a_limit),
		CHECK_TEST(test_answers_become_codes_a_caller_can_act_on),
		CHECK_TEST(test_long_texts_are_cut_and_every_code_has_one),
		CHECK_TEST(test_lists_of_name_servers),
		CHECK_TEST(test_a_route_s_queues),
		CHECK_TEST(test_a_route_without_bounds_is_bounded),
	};
	return check_main("sdk/message", tests, sizeof(tests) / sizeof(tests[0]));
}
