/* broker/core/clients: what heartbeats make of a client, and whom they make share queues anew. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"

static void consume(struct fixture *f, uint64_t conn_id, const char *client_id, int32_t model)
{
	struct subscription_data subscription = { .topic = SPAN_LITERAL("t"), .sub_string = SPAN_LITERAL("*") };
	struct consumer_data consumer = { .group_name = SPAN_LITERAL("readers"), .consume_type = CONSUME_PASSIVELY,
					  .message_model = model, .subscriptions = &subscription, .subscription_count = 1 };
	struct heartbeat heartbeat = { .client_id = span_of(client_id), .consumers = &consumer, .consumer_count = 1 };
	struct outcome outcome = { 0 };

	f->notified_count = 0;
	CU_ASSERT_EQUAL(core_heartbeat(f->core, conn_id, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
}

static void test_who_is_told_to_share_queues_anew(void)
{
	struct fixture *f = fixture_create(NULL);
	struct group_config quiet = group_config_default();
	struct outcome outcome = { 0 };

	consume(f, 1, "one", MODEL_CLUSTERING);
	consume(f, 2, "two", MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(f->notified_count, 2);
	consume(f, 2, "two", MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(f->notified_count, 0);
	core_connection_gone(f->core, 2);
	CU_ASSERT_EQUAL(f->notified_count, 1);
	consume(f, 2, "two", MODEL_BROADCASTING);
	CU_ASSERT_EQUAL(f->notified_count, 0);
	/* Nobody of a group that does not want it. */
	quiet.notify_consumer_ids_changed_enable = false;
	CU_ASSERT_EQUAL(core_put_group(f->core, SPAN_LITERAL("readers"), &quiet, &outcome), ST_OK);
	consume(f, 1, "one", MODEL_CLUSTERING);
	consume(f, 3, "three", MODEL_CLUSTERING);
	CU_ASSERT_EQUAL(f->notified_count, 0);
	fixture_destroy(f);
}

/* A client that is gone without a word, as when its machine is: after two minutes the others have its queues. */
static void test_a_silent_client_leaves_its_groups(void)
{
	struct fixture *f = fixture_create(NULL);
	struct member_client client;

	consume(f, 2, "silent", MODEL_CLUSTERING);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(core_client(f->core, 2, &client));
		consume(f, 1, "one", MODEL_CLUSTERING);
		fixture_advance(f, 30 * 1000);
	}
	CU_ASSERT_EQUAL(f->notified_count, 0);
	fixture_advance(f, 30 * 1000);
	CU_ASSERT_FALSE(core_client(f->core, 2, &client));
	CU_ASSERT_TRUE(core_client(f->core, 1, &client));
	CU_ASSERT_EQUAL(f->notified_count, 1);
	fixture_destroy(f);
}

/* Each Java client lists this group, whatever it is for: it makes nobody a producer. */
static void test_the_group_that_every_client_lists_is_none(void)
{
	static const struct span group = SPAN_LITERAL("CLIENT_INNER_PRODUCER");
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("one"), .producer_groups = &group, .producer_count = 1 };
	struct fixture *f = fixture_create(NULL);
	struct member_client client;
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL(core_heartbeat(f->core, 1, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	CU_ASSERT_FALSE(core_client(f->core, 1, &client));
	CU_ASSERT_EQUAL(members_find_producer(f->core->members, SPAN_LITERAL("one")), 0);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_who_is_told_to_share_queues_anew),
		CHECK_TEST(test_a_silent_client_leaves_its_groups),
		CHECK_TEST(test_the_group_that_every_client_lists_is_none),
	};

	return check_main("clients", tests, sizeof(tests) / sizeof(tests[0]));
}
