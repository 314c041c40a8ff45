/* Where may be sent and received: a route's queues, by permission, master and template. */
#include "client-sdk/src/route_view.h"
#include "lib/wire/codes.h"
#include "tests/support/check.h"

static const struct broker_addr master[] = { { 0, SPAN_LITERAL("10.0.0.1:10911") } };
static const struct broker_addr slave[] = { { 1, SPAN_LITERAL("10.0.0.2:10911") } };

static struct route_view *view_of(const struct queue_data *queues, size_t count, int32_t template_queues_max)
{
	const struct broker_data brokers[] = {
		{ .broker_name = SPAN_LITERAL("a"), .addrs = master, .addr_count = 1 },
		{ .broker_name = SPAN_LITERAL("b"), .addrs = slave, .addr_count = 1 },
	};
	struct route route = { .brokers = brokers, .broker_count = 2, .queues = queues, .queue_count = count };
	struct route_view *view = NULL;

	CU_ASSERT_EQUAL_FATAL(route_view_make(&route, template_queues_max, &view), ST_OK);
	return view;
}

static void test_what_is_read_only_is_not_sent_to_and_what_is_write_only_not_pulled(void)
{
	struct queue_data queue = { SPAN_LITERAL("a"), 2, 3, PERM_READ, 0 };
	struct route_view *view = view_of(&queue, 1, 0);

	CU_ASSERT_EQUAL(view->publish_count, 0);
	CU_ASSERT_EQUAL(view->subscribe_count, 2);
	route_view_free(view);
	queue.perm = PERM_WRITE;
	view = view_of(&queue, 1, 0);
	CU_ASSERT_EQUAL(view->publish_count, 3);
	CU_ASSERT_EQUAL(view->subscribe_count, 0);
	route_view_free(view);
}

static void test_without_a_master_there_is_nothing_to_send_to(void)
{
	struct queue_data queue = { SPAN_LITERAL("b"), 4, 4, PERM_READ | PERM_WRITE, 0 };
	struct route_view *view = view_of(&queue, 1, 0);

	CU_ASSERT_EQUAL(view->publish_count, 0);
	CU_ASSERT_EQUAL(view->subscribe_count, 4);
	route_view_free(view);
}

static void test_a_template_stands_for_no_more_queues_than_a_new_topic_gets(void)
{
	struct queue_data queue = { SPAN_LITERAL("a"), 8, 8, PERM_READ | PERM_WRITE, 0 };
	struct route_view *view = view_of(&queue, 1, 4);

	CU_ASSERT_EQUAL(view->publish_count, 4);
	CU_ASSERT_EQUAL(view->subscribe_count, 4);
	CU_ASSERT_EQUAL(view->publish[3].queue_id, 3);
	route_view_free(view);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_read_only_is_not_sent_to_and_what_is_write_only_not_pulled),
		CHECK_TEST(test_without_a_master_there_is_nothing_to_send_to),
		CHECK_TEST(test_a_template_stands_for_no_more_queues_than_a_new_topic_gets),
	};
	return check_main("sdk/route_view", tests, sizeof(tests) / sizeof(tests[0]));
}
