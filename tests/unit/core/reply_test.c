/* Request and reply: to whom does a reply go, and what becomes of it when nobody waits? */
#include "core_fixture.h"

#include "broker/core/request_reply.h"
#include "broker/core/state.h"

#define REPLY_TO "REPLY_TO_CLIENT\001"
#define END "\002"

enum { OTHER = 77 };

static void produces(struct fixture *f, uint64_t conn_id, const char *client_id, const char *group)
{
	struct span name = span_of(group);
	struct heartbeat heartbeat = { .client_id = span_of(client_id), .producer_groups = &name, .producer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, conn_id, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
}

static enum status reply(struct fixture *f, const char *topic, const char *properties, struct reply_route *route,
			 struct send_result *result, struct outcome *outcome)
{
	struct send_request request = { .producer_group = SPAN_LITERAL("g"), .topic = span_of(topic),
					.default_topic_queue_nums = 1, .properties = span_of(properties), .body = SPAN_LITERAL("yes"),
					.max_reconsume_times = -1, .reply = true, .born_host = host_ipv4(0x0A000001, 1) };

	*result = (struct send_result){ 0 };
	*outcome = (struct outcome){ 0 };
	return core_reply(f->core, &request, route, result, outcome);
}

static uint64_t route_of(struct fixture *f, const char *properties)
{
	struct reply_route route = { 0 };
	struct send_result result;
	struct outcome outcome;

	CU_ASSERT_EQUAL(reply(f, "c_REPLY_TOPIC", properties, &route, &result, &outcome), ST_OK);
	return route.conn_id;
}

static void test_a_reply_goes_to_who_asked(void)
{
	struct fixture *f = fixture_create(NULL);
	struct span none = SPAN_NONE;

	produces(f, PRODUCER, "asker@1", "g1");
	produces(f, OTHER, "asker@2", "g1");
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@1" END), PRODUCER);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@2" END), OTHER);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@3" END), 0);
	CU_ASSERT_EQUAL(route_of(f, "KEYS\001k" END), 0);
	/* The client came back on another connection, which then goes. */
	produces(f, 99, "asker@1", "g1");
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@1" END), 99);
	core_connection_gone(f->core, PRODUCER);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@1" END), 99);
	core_connection_gone(f->core, 99);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@1" END), 0);
	/* A consumer alone is nobody's asker. */
	fixture_heartbeat(f, false);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "10.0.0.1@1" END), 0);
	core_unregister(f->core, OTHER, SPAN_LITERAL("g1"), none);
	CU_ASSERT_EQUAL(route_of(f, REPLY_TO "asker@2" END), 0);
	fixture_destroy(f);
}

static void test_what_is_handed_on(void)
{
	struct fixture *f = fixture_create(NULL);
	struct reply_route route = { 0 };
	struct send_result result;
	struct outcome outcome;

	CU_ASSERT_EQUAL(reply(f, "c_REPLY_TOPIC", "MSG_TYPE\001reply" END REPLY_TO "a" END "TRAN_MSG\001true" END, &route, &result, &outcome), ST_OK);
	CU_ASSERT_TRUE(span_is(property_get(route.properties, "MSG_TYPE"), "reply"));
	CU_ASSERT_EQUAL(property_get_i64(route.properties, "PUSH_REPLY_TIME", 0), FIXTURE_WALL_MS);
	CU_ASSERT_EQUAL(result.count, 0); /* Not stored: the fixture's broker does not. */
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	CU_ASSERT_EQUAL(reply(f, "bad name", REPLY_TO "a" END, &route, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_INVALID_PARAMETER);
	fixture_destroy(f);
}

static void test_stored_ones_are_ordinary_messages(void)
{
	struct core_config config = fixture_config();
	struct reply_route route = { 0 };
	struct send_result result;
	struct outcome outcome;
	struct pulled p = { .count = 0 };

	config.store_replies = true;
	struct fixture *f = fixture_create(&config);
	produces(f, PRODUCER, "asker@1", "g1");
	CU_ASSERT_EQUAL(reply(f, "c_REPLY_TOPIC", REPLY_TO "asker@1" END "TRAN_MSG\001true" END, &route, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.count, 1);
	CU_ASSERT_EQUAL(outcome.wait_offset, commitlog_appended(f->log));
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "c_REPLY_TOPIC", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "yes"));
	/* A full disk keeps it from being stored, not from being handed on. */
	core_set_disk_level(f->core, DISK_FULL);
	CU_ASSERT_EQUAL(reply(f, "c_REPLY_TOPIC", REPLY_TO "asker@1" END, &route, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(result.count, 0);
	CU_ASSERT_EQUAL(route.conn_id, PRODUCER);
	/* Nor does any other limit of the store. */
	core_set_disk_level(f->core, DISK_OK);
	f->core->config.delayed_max = 0;
	route.conn_id = 0;
	CU_ASSERT_EQUAL(reply(f, "c_REPLY_TOPIC", REPLY_TO "asker@1" END "DELAY\0011" END, &route, &result, &outcome), ST_OK);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUCCESS);
	CU_ASSERT_EQUAL(result.count, 0);
	CU_ASSERT_EQUAL(route.conn_id, PRODUCER);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_reply_goes_to_who_asked),
		CHECK_TEST(test_what_is_handed_on),
		CHECK_TEST(test_stored_ones_are_ordinary_messages),
	};
	return check_main("reply", tests, sizeof(tests) / sizeof(tests[0]));
}
