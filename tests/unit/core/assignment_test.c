/* broker/core/assignment: the queues of all brokers in RocketMQ's order, each with exactly one client, or as POP shares them. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/assignment.h"
#include "broker/core/pop.h"
#include "broker/core/pops.h"
#include "lib/wire/body_route.h"

#define QUEUES(name, perm_, reads) { .broker_name = SPAN_LITERAL(name), .perm = perm_, .read_queue_nums = reads }

static struct topic_queues *queues_of(const struct queue_data *data, size_t count)
{
	struct route route = { .queues = data, .queue_count = count };
	struct topic_queues *queues = NULL;
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(topic_queues_make(&route, &queues, &err), ST_OK);
	return queues;
}

/* a: 0-2, b: 0, c: 0-1. */
static struct topic_queues *six_queues(void)
{
	static const struct queue_data data[] = { QUEUES("c", 6, 2), QUEUES("a", 4, 3), QUEUES("b", 6, 1) };

	return queues_of(data, 3);
}

static void test_queues_of_a_route(void)
{
	static const struct queue_data data[] = {
		QUEUES("b10", 6, 4), QUEUES("b", 6, 1), QUEUES("unread", 2, 8), QUEUES("b1", 4, 2), QUEUES("empty", 6, 0),
		QUEUES("b1", 6, 3),  QUEUES("a", 6, 5), QUEUES("b1", 6, 1),     QUEUES("wrong", 6, -1),
	};
	static const struct {
		const char *name;
		uint32_t count;
	} expected[] = { { "a", 5 }, { "b", 1 }, { "b1", 3 }, { "b10", 4 } };
	struct topic_queues *queues = queues_of(data, sizeof(data) / sizeof(data[0]));

	CU_ASSERT_EQUAL_FATAL(queues->broker_count, 4);
	CU_ASSERT_EQUAL(queues->queue_count, 13);
	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(span_is(queues->brokers[i].broker_name, expected[i].name));
		CU_ASSERT_EQUAL(queues->brokers[i].count, expected[i].count);
	}
	free(queues);
	queues = queues_of(&data[2], 1);
	CU_ASSERT_EQUAL(queues->broker_count, 0);
	CU_ASSERT_EQUAL(queues->queue_count, 0);
	free(queues);
}

static void test_too_many_queues(void)
{
	static const struct queue_data data[] = { QUEUES("a", 6, INT32_MAX), QUEUES("b", 6, INT32_MAX), QUEUES("c", 6, 2) };
	struct route route = { .queues = data, .queue_count = 3 };
	struct topic_queues *queues;
	struct errinfo err;

	CU_ASSERT_EQUAL(topic_queues_make(&route, &queues, &err), ST_TOOBIG);
}

/* "a0 a1 b-1", in the order of the answer; "-": nothing is known. */
static const char *assigned(struct fixture *f, const struct topic_queues *queues, const char *topic, const char *client,
			    const char *strategy, bool broadcasting)
{
	static char text[256];
	struct assignment_request request = { span_of(topic),	 SPAN_LITERAL("readers"), span_of(client), span_of(strategy), broadcasting,
					      queues,		 SPAN_LITERAL("me") };
	struct assignment assignment;
	int at = 0;

	bool known = core_assign(f->core, &request, &assignment);
	text[0] = '\0';
	for (size_t i = 0; i < assignment.count; i++)
		at += snprintf(text + at, sizeof(text) - (size_t)at, "%s%.*s%d", i == 0 ? "" : " ",
			       SPAN_ARGS(assignment.queues[i].broker_name), assignment.queues[i].queue_id);
	assignment_free(&assignment);
	return known ? text : "-";
}

static void join(struct fixture *f, uint64_t conn_id, const char *client_id)
{
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = MODEL_CLUSTERING };
	struct heartbeat heartbeat = { .client_id = span_of(client_id), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, conn_id, &(struct host){ 0 }, 0, 0, &heartbeat, &outcome), ST_OK);
	fixture_disk(f, true);
}

static void pop(struct fixture *f, uint32_t shared)
{
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_set_request_mode(f->core, SPAN_LITERAL("t"), SPAN_LITERAL("readers"), REQUEST_MODE_POP, shared, &outcome),
			ST_OK);
	CU_ASSERT_EQUAL(outcome.code, RESP_SUCCESS);
	fixture_disk(f, true);
}

static struct fixture *fixture_of_topic(void)
{
	struct fixture *f = fixture_create(NULL);

	must_send(f, (struct sent){ .topic = "t", .key = "k", .queue_id = 3 });
	fixture_disk(f, true);
	return f;
}

static void test_strategies(void)
{
	struct fixture *f = fixture_of_topic();
	struct topic_queues *queues = six_queues();

	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "y", "AVG", false), "-");
	join(f, 101, "y");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "y", "AVG", false), "a0 a1 a2 b0 c0 c1");
	join(f, 102, "z");
	join(f, 103, "x");
	join(f, 104, "yy");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "AVG", false), "a0 a1");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "y", "AVG", false), "a2 b0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "yy", "AVG", false), "c0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "z", "AVG", false), "c1");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "AVG_BY_CIRCLE", false), "a0 c0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "z", "AVG_BY_CIRCLE", false), "b0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "w", "AVG", false), "");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "MACHINE_ROOM_NEARBY", false), "-");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "", true), "a0 a1 a2 b0 c0 c1");
	/* A topic of other brokers only. */
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "elsewhere", "z", "AVG", false), "c1");
	free(queues);
	fixture_destroy(f);
}

static void test_pops_are_shared(void)
{
	struct fixture *f = fixture_of_topic();
	struct topic_queues *queues = six_queues();
	static const char *const clients[] = { "a", "b", "c", "d", "e", "f", "g" };

	join(f, 100, clients[0]);
	pop(f, 0);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "a", "AVG", false), "a-1 b-1 c-1");
	pop(f, 1);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "a", "AVG", false), "a-1 b-1 c-1");
	for (size_t i = 1; i < 3; i++)
		join(f, 100 + i, clients[i]);
	/* Its own and the next one's, around the end. */
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "a", "AVG", false), "a0 a1 a2 b0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "c", "AVG", false), "c0 c1 a0 a1");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "stranger", "AVG", false), "");
	for (size_t i = 3; i < 7; i++)
		join(f, 100 + i, clients[i]);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "f", "AVG", false), "c1");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "g", "AVG", false), "a0");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "stranger", "AVG", false), "");
	free(queues);
	fixture_destroy(f);
}

static void test_without_a_route(void)
{
	struct fixture *f = fixture_of_topic();
	struct topic_queues *nothing = queues_of(NULL, 0);

	join(f, 101, "y");
	CU_ASSERT_STRING_EQUAL(assigned(f, NULL, "t", "y", "AVG", false), "me0 me1 me2 me3");
	CU_ASSERT_STRING_EQUAL(assigned(f, NULL, "elsewhere", "y", "AVG", false), "-");
	CU_ASSERT_STRING_EQUAL(assigned(f, nothing, "t", "y", "AVG", false), "-");
	pop(f, 0);
	CU_ASSERT_STRING_EQUAL(assigned(f, NULL, "t", "y", "AVG", false), "me-1");
	free(nothing);
	fixture_destroy(f);
}

/* Whatever the numbers, each queue of each broker has exactly one of the clients. */
static void test_each_queue_once(void)
{
	static const char *const strategies[] = { "AVG", "AVG_BY_CIRCLE" };
	struct fixture *f = fixture_of_topic();
	char client[8], all[512];

	for (uint64_t clients = 1; clients <= 9; clients++) {
		snprintf(client, sizeof(client), "c%d", (int)clients);
		join(f, 100 + clients, client);
		for (int32_t queues = 1; queues <= 10; queues++) {
			const struct queue_data data[] = { QUEUES("b", 6, queues), QUEUES("a", 6, 11 - queues) };
			struct topic_queues *topic = queues_of(data, 2);

			for (size_t s = 0; s < 2; s++) {
				size_t at = 0;

				for (uint64_t c = 1; c <= clients; c++) {
					snprintf(client, sizeof(client), "c%d", (int)c);
					at += (size_t)snprintf(all + at, sizeof(all) - at, " %s",
							       assigned(f, topic, "t", client, strategies[s], false));
				}
				strcat(all, " ");
				for (int32_t q = 0; q < 11; q++) {
					char one[16];

					snprintf(one, sizeof(one), " %c%d ", q < queues ? 'b' : 'a', q < queues ? q : q - queues);
					const char *found = strstr(all, one);
					CU_ASSERT_TRUE(found != NULL && strstr(found + 1, one) == NULL);
				}
			}
			free(topic);
		}
	}
	fixture_destroy(f);
}

/* A client whose old connection has died without a word, and that has a new one, is one client. */
static void test_a_client_with_two_connections_is_one(void)
{
	struct fixture *f = fixture_of_topic();
	struct topic_queues *queues = six_queues();

	join(f, 101, "x");
	join(f, 102, "y");
	join(f, 103, "x");
	CU_ASSERT_EQUAL(core_consumers(f->core, SPAN_LITERAL("readers"), NULL, NULL), 2);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "AVG", false), "a0 a1 a2");
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "y", "AVG", false), "b0 c0 c1");
	core_connection_gone(f->core, 101);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "x", "AVG", false), "a0 a1 a2");
	core_connection_gone(f->core, 103);
	CU_ASSERT_STRING_EQUAL(assigned(f, queues, "t", "y", "AVG", false), "a0 a1 a2 b0 c0 c1");
	free(queues);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_queues_of_a_route), CHECK_TEST(test_too_many_queues), CHECK_TEST(test_strategies),
		CHECK_TEST(test_pops_are_shared),   CHECK_TEST(test_without_a_route), CHECK_TEST(test_each_queue_once),
		CHECK_TEST(test_a_client_with_two_connections_is_one),
	};
	return check_main("core/assignment", tests, sizeof(tests) / sizeof(tests[0]));
}
