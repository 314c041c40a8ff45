/* What a broker said over an earlier connection may arrive after what it says over its present one: a proxy, or a name server
 * that stood still, keeps the order within a connection only. The broker does not know, and would not say it again before its
 * next regular registration. */
#include "tests/unit/namesrv/namesrv_fixture.h"

#include "lib/wire/header_namesrv.h"

static int32_t unregister_over(struct bench *b, uint64_t conn_id)
{
	struct broker_header header = { .broker_name = SPAN_LITERAL("broker-a"), .broker_addr = SPAN_LITERAL("127.0.0.1:10911"),
					.cluster_name = SPAN_LITERAL("DefaultCluster") };

	begin(b, REQ_UNREGISTER_BROKER, 0);
	broker_header_encode(&b->encoder, &header);
	return serve(b, conn_id);
}

static void test_a_late_unregistration_does_not_take_the_restarted_broker(void)
{
	struct bench *b = bench_open();
	struct registration r = plain();

	r.conn_id = 7;
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister_over(b, 6), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister_over(b, 7), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	/* Whoever comes anew to say it, says it now. */
	CU_ASSERT_EQUAL(put(b, &r), RESP_SUCCESS);
	CU_ASSERT_EQUAL(unregister_over(b, 8), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

static void test_a_late_registration_does_not_tie_the_broker_to_its_old_connection(void)
{
	struct bench *b = bench_open();
	struct registration old = plain(), present = plain();

	old.queues = 2;
	old.version.counter = 4;
	old.conn_id = 6;
	present.conn_id = 7;
	CU_ASSERT_EQUAL(put(b, &present), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &old), RESP_SUCCESS);
	route_table_connection_gone(b->namesrv.routes, 6, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 0);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_is(b, ROUTE_A(4, 6)));
	route_table_connection_gone(b->namesrv.routes, 7, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 1);
	bench_close(b);
}

/* The same of a broker that came back under another address. */
static void test_a_late_registration_does_not_bring_back_an_address(void)
{
	struct bench *b = bench_open();
	struct registration old = plain(), present = plain();

	old.addr = "127.0.0.1:20911";
	old.conn_id = 6;
	present.conn_id = 7;
	CU_ASSERT_EQUAL(put(b, &present), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_TRUE(body_is(b, ROUTE_A(4, 6)));
	/* Once the later one is gone, the earlier one counts. */
	route_table_connection_gone(b->namesrv.routes, 7, on_gone, b);
	CU_ASSERT_EQUAL(put(b, &old), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_SUCCESS);
	CU_ASSERT_PTR_NOT_NULL(memmem(b->answer.body.data, b->answer.body.size, ":20911", 6));
	bench_close(b);
}

/* A connection that was delayed itself, and that nobody closes, may bear the highest id: the broker's own is heard again soon. */
static void test_who_goes_on_speaking_is_heard(void)
{
	struct bench *b = bench_open();
	struct registration present = plain(), stranded = plain();

	present.conn_id = 7;
	stranded.conn_id = 8;
	CU_ASSERT_EQUAL(put(b, &present), RESP_SUCCESS);
	CU_ASSERT_EQUAL(put(b, &stranded), RESP_SUCCESS);
	for (int i = 0; i < 10; i++) {
		b->now_ms += 30000;
		CU_ASSERT_EQUAL(put(b, &present), RESP_SUCCESS);
		route_table_expire(b->namesrv.routes, b->now_ms, on_gone, b);
	}
	route_table_connection_gone(b->namesrv.routes, 8, on_gone, b);
	CU_ASSERT_EQUAL(b->gone, 0);
	CU_ASSERT_EQUAL(unregister_over(b, 7), RESP_SUCCESS);
	CU_ASSERT_EQUAL(ask_route(b, "T1"), RESP_TOPIC_NOT_EXIST);
	bench_close(b);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_late_unregistration_does_not_take_the_restarted_broker),
		CHECK_TEST(test_a_late_registration_does_not_tie_the_broker_to_its_old_connection),
		CHECK_TEST(test_a_late_registration_does_not_bring_back_an_address),
		CHECK_TEST(test_who_goes_on_speaking_is_heard),
	};
	return check_main("namesrv_late_words", tests, sizeof(tests) / sizeof(tests[0]));
}
