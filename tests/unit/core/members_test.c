/* broker/core/members: who is there, who left, and when a group has to rebalance. */
#include "tests/support/check.h"

#include <string.h>

#include "broker/core/members.h"

enum { GROUP_A = 1, GROUP_B = 2, TOPIC_X = 11, TOPIC_Y = 12 };

static struct member_client client(uint64_t conn_id, const char *id, int64_t now)
{
	return (struct member_client){ .conn_id = conn_id, .client_id = span_of(id), .now_mono_ms = now };
}

static const struct consumer_profile clustering = { .consume_type = 1 };

static struct subscription subscribe(uint32_t topic, int64_t version, const char *tags)
{
	struct subscription s = { .topic_id = topic, .sub_version = version };

	CU_ASSERT_EQUAL(tag_filter_parse(span_of(tags), &s.filter, NULL), ST_OK);
	return s;
}

struct gone {
	uint64_t conns[8];
	uint32_t groups[8];
	enum member_role roles[8];
	size_t count;
};

static void on_gone(void *context, uint64_t conn_id, uint32_t group_id, enum member_role role)
{
	struct gone *gone = context;

	CU_ASSERT_TRUE_FATAL(gone->count < 8);
	gone->conns[gone->count] = conn_id;
	gone->groups[gone->count] = group_id;
	gone->roles[gone->count++] = role;
}

static void see_producer(struct members *members, uint64_t conn, uint32_t group, int64_t now, bool expect_joined)
{
	struct member_client c = client(conn, "c", now);
	bool joined;

	CU_ASSERT_EQUAL(members_see_producer(members, &c, group, &joined), ST_OK);
	CU_ASSERT_EQUAL(joined, expect_joined);
}

static bool see_consumer(struct members *members, uint64_t conn, const char *id, const struct subscription *set, size_t count)
{
	struct member_client c = client(conn, id, 0);
	bool changed = false;

	CU_ASSERT_EQUAL(members_see_consumer(members, &c, GROUP_A, &clustering, set, count, &changed), ST_OK);
	return changed;
}

static void test_a_connection_takes_all_its_memberships_along(void)
{
	struct members *members = members_create(100);
	struct subscription s = subscribe(TOPIC_X, 1, "*");
	struct gone gone = { .count = 0 };

	see_producer(members, 7, GROUP_A, 0, true);
	see_producer(members, 7, GROUP_A, 0, false);
	see_producer(members, 7, GROUP_B, 0, true);
	see_producer(members, 8, GROUP_A, 0, true);
	CU_ASSERT_TRUE(see_consumer(members, 7, "seven", &s, 1));
	CU_ASSERT_TRUE(span_is(members_client_id(members, 7), "seven"));
	members_connection_gone(members, 7, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 3);
	CU_ASSERT_EQUAL(members_client_id(members, 7).size, 0);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 1);
	CU_ASSERT_EQUAL(members_each(members, GROUP_B, MEMBER_PRODUCER, NULL, NULL), 0);
	CU_ASSERT_PTR_NULL(members_profile(members, GROUP_A));
	members_connection_gone(members, 7, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 3);
	members_destroy(members);
}

static void test_unregistering_ends_one_role_in_one_group(void)
{
	struct members *members = members_create(100);
	struct subscription s = subscribe(TOPIC_X, 1, "*");
	struct gone gone = { .count = 0 };

	see_producer(members, 7, GROUP_A, 0, true);
	(void)see_consumer(members, 7, "seven", &s, 1);
	members_unregister(members, 7, GROUP_B, MEMBER_PRODUCER, on_gone, &gone);
	members_unregister(members, 9, GROUP_A, MEMBER_PRODUCER, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 0);
	members_unregister(members, 7, GROUP_A, MEMBER_PRODUCER, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 1);
	CU_ASSERT_EQUAL(gone.roles[0], MEMBER_PRODUCER);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_CONSUMER, NULL, NULL), 1);
	CU_ASSERT_TRUE(span_is(members_client_id(members, 7), "seven"));
	members_destroy(members);
}

static void note_conn(void *context, uint64_t conn_id, struct span client_id)
{
	(void)client_id;
	*(uint64_t *)context = *(uint64_t *)context * 10 + conn_id;
}

/* The connections under which the clients of GROUP_A are found, as digits. */
static uint64_t clients_of(const struct members *members)
{
	uint64_t conns = 0;

	(void)members_each_client(members, GROUP_A, MEMBER_CONSUMER, note_conn, &conns);
	return conns;
}

/* Connections of one client: the one that came last stands for it, as long as it is there. */
static void test_a_client_is_found_once(void)
{
	struct members *members = members_create(100);
	struct subscription s = subscribe(TOPIC_X, 1, "*");

	see_producer(members, 9, GROUP_A, 0, true);
	(void)see_consumer(members, 1, "one", &s, 1);
	(void)see_consumer(members, 2, "two", &s, 1);
	(void)see_consumer(members, 3, "one", &s, 1);
	(void)see_consumer(members, 4, "one", &s, 1);
	(void)see_consumer(members, 1, "one", &s, 1); /* Says so again; the others may be newer all the same. */
	CU_ASSERT_EQUAL(clients_of(members), 24);
	CU_ASSERT_EQUAL(members_each_client(members, GROUP_A, MEMBER_CONSUMER, NULL, NULL), 2);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_CONSUMER, NULL, NULL), 4);
	members_connection_gone(members, 4, NULL, NULL);
	CU_ASSERT_EQUAL(clients_of(members), 23);
	members_connection_gone(members, 1, NULL, NULL);
	CU_ASSERT_EQUAL(clients_of(members), 23);
	/* Another name, and back. */
	(void)see_consumer(members, 5, "one", &s, 1);
	(void)see_consumer(members, 5, "two", &s, 1);
	CU_ASSERT_EQUAL(clients_of(members), 35);
	(void)see_consumer(members, 5, "one", &s, 1);
	CU_ASSERT_EQUAL(clients_of(members), 25);
	members_connection_gone(members, 5, NULL, NULL);
	CU_ASSERT_EQUAL(clients_of(members), 23);
	members_destroy(members);
}

/* It speaks of the client: a connection of it that died without a word before must not keep it in the group, with queues that
 * nobody reads. One that came later is the client's next life. */
static void test_a_consumer_that_leaves_takes_its_older_connections_along(void)
{
	struct members *members = members_create(100);
	struct subscription s = subscribe(TOPIC_X, 1, "*");
	struct gone gone = { .count = 0 };

	see_producer(members, 1, GROUP_A, 0, true);
	(void)see_consumer(members, 1, "one", &s, 1);
	(void)see_consumer(members, 2, "two", &s, 1);
	(void)see_consumer(members, 3, "one", &s, 1);
	(void)see_consumer(members, 4, "one", &s, 1);
	members_unregister(members, 3, GROUP_A, MEMBER_CONSUMER, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 2);
	CU_ASSERT_EQUAL(gone.conns[0], 1);
	CU_ASSERT_EQUAL(gone.roles[0], MEMBER_CONSUMER);
	CU_ASSERT_EQUAL(gone.conns[1], 3);
	CU_ASSERT_EQUAL(clients_of(members), 24);
	members_unregister(members, 4, GROUP_A, MEMBER_CONSUMER, NULL, NULL);
	CU_ASSERT_EQUAL(clients_of(members), 2);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 1);
	members_destroy(members);
}

/* Proxies share one id among all their connections as producers: each speaks for itself. */
static void test_a_producer_leaves_with_one_connection(void)
{
	struct members *members = members_create(100);

	see_producer(members, 1, GROUP_A, 0, true);
	see_producer(members, 2, GROUP_A, 0, true);
	members_unregister(members, 2, GROUP_A, MEMBER_PRODUCER, NULL, NULL);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 1);
	members_destroy(members);
}

struct found {
	uint64_t conns[3]; /* By the number in the client's id. */
	size_t count;
};

static void note_found(void *context, uint64_t conn_id, struct span client_id)
{
	struct found *found = context;

	found->conns[client_id.data[0] - '0'] = conn_id;
	found->count++;
}

/* Of the connections 1 to 9, in any order of coming, going and other names: each client is found by the one that came last. */
static void test_random_connections_of_few_clients(void)
{
	struct members *members = members_create(100);
	struct subscription s = subscribe(TOPIC_X, 1, "*");
	uint64_t random = check_seed(5), came[10] = { 0 }, step;
	int client_of[10] = { 0 };

	for (step = 1; step <= 20000; step++) {
		uint64_t conn = 1 + check_random(&random) % 9;
		int id = (int)(check_random(&random) % 3);
		struct found found = { .count = 0 };
		uint64_t expected[3] = { 0 };

		unsigned what = (unsigned)(check_random(&random) % 9);
		if (what == 0) {
			members_unregister(members, conn, GROUP_A, MEMBER_CONSUMER, NULL, NULL);
			for (uint64_t other = 1; other < 10; other++) {
				if (other != conn && client_of[other] == client_of[conn] && came[other] < came[conn])
					came[other] = 0;
			}
			came[conn] = 0;
		} else if (what < 3) {
			members_connection_gone(members, conn, NULL, NULL);
			came[conn] = 0;
		} else {
			(void)see_consumer(members, conn, (const char *[]){ "0", "1", "2" }[id], &s, 1);
			came[conn] = came[conn] == 0 || client_of[conn] != id ? step : came[conn];
			client_of[conn] = id;
		}
		for (conn = 1; conn < 10; conn++) {
			if (came[conn] != 0 && (expected[client_of[conn]] == 0 || came[conn] > came[expected[client_of[conn]]]))
				expected[client_of[conn]] = conn;
		}
		CU_ASSERT_EQUAL_FATAL(members_each_client(members, GROUP_A, MEMBER_CONSUMER, note_found, &found), found.count);
		CU_ASSERT_FATAL(memcmp(found.conns, expected, sizeof(expected)) == 0);
	}
	members_destroy(members);
}

static void test_silence_ends_a_membership(void)
{
	struct members *members = members_create(100);
	struct gone gone = { .count = 0 };

	see_producer(members, 1, GROUP_A, 0, true);
	see_producer(members, 2, GROUP_A, 0, true);
	see_producer(members, 1, GROUP_B, 0, true);
	see_producer(members, 1, GROUP_A, 1000, false);
	members_expire(members, MEMBER_SILENCE_MS, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 0);
	members_expire(members, MEMBER_SILENCE_MS + 1, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 2);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 1);
	members_expire(members, MEMBER_SILENCE_MS + 1001, on_gone, &gone);
	CU_ASSERT_EQUAL(gone.count, 3);
	CU_ASSERT_EQUAL(gone.conns[2], 1);
	CU_ASSERT_EQUAL(gone.groups[2], GROUP_A);
	members_destroy(members);
}

static void test_a_group_changes_with_members_topics_and_filters(void)
{
	struct members *members = members_create(100);
	struct subscription both[2] = { subscribe(TOPIC_X, 1, "*"), subscribe(TOPIC_Y, 1, "a") };

	CU_ASSERT_TRUE(see_consumer(members, 1, "one", both, 1));
	CU_ASSERT_FALSE(see_consumer(members, 1, "one", both, 1));
	CU_ASSERT_TRUE(see_consumer(members, 2, "two", both, 1));
	CU_ASSERT_TRUE(see_consumer(members, 1, "one", both, 2));
	CU_ASSERT_FALSE(see_consumer(members, 1, "one", both, 2));
	both[1] = subscribe(TOPIC_Y, 2, "a || b");
	CU_ASSERT_TRUE(see_consumer(members, 1, "one", both, 2));
	CU_ASSERT_TRUE(tag_filter_match(&members_subscription(members, GROUP_A, TOPIC_Y)->filter, tag_hash(span_of("b"))));
	/* A newer version of the same filter is no reason to rebalance. */
	both[0].sub_version = 5;
	CU_ASSERT_FALSE(see_consumer(members, 1, "one", both, 2));
	CU_ASSERT_EQUAL(members_subscription(members, GROUP_A, TOPIC_X)->sub_version, 5);
	/* A late heartbeat of a member with the older set does not bring it back. */
	both[1] = subscribe(TOPIC_Y, 1, "a");
	CU_ASSERT_FALSE(see_consumer(members, 2, "two", both, 2));
	CU_ASSERT_EQUAL(members_subscription(members, GROUP_A, TOPIC_Y)->sub_version, 2);
	CU_ASSERT_TRUE(see_consumer(members, 1, "one", both, 1));
	CU_ASSERT_PTR_NULL(members_subscription(members, GROUP_A, TOPIC_Y));
	/* A producer of the same name keeps the group, not what its consumers wanted. */
	see_producer(members, 3, GROUP_A, 0, true);
	members_connection_gone(members, 1, NULL, NULL);
	members_connection_gone(members, 2, NULL, NULL);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 1);
	CU_ASSERT_PTR_NULL(members_subscription(members, GROUP_A, TOPIC_X));
	members_destroy(members);
}

static void test_limit_refuses_new_members_only(void)
{
	struct members *members = members_create(2);
	struct member_client third = client(3, "c", 0);
	bool joined;

	see_producer(members, 1, GROUP_A, 0, true);
	see_producer(members, 2, GROUP_A, 0, true);
	CU_ASSERT_EQUAL(members_see_producer(members, &third, GROUP_A, &joined), ST_FULL);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, NULL, NULL), 2);
	see_producer(members, 1, GROUP_A, 5, false);
	members_connection_gone(members, 1, NULL, NULL);
	see_producer(members, 3, GROUP_A, 0, true);
	members_destroy(members);
	members_destroy(NULL);
}

struct order {
	uint64_t conns[4];
	size_t count;
};

static void on_member(void *context, uint64_t conn_id, struct span client_id)
{
	struct order *order = context;

	CU_ASSERT_EQUAL(client_id.size, 1);
	order->conns[order->count++] = conn_id;
}

static void test_members_come_in_the_order_of_joining(void)
{
	struct members *members = members_create(10);
	struct order order = { .count = 0 };

	see_producer(members, 30, GROUP_A, 0, true);
	see_producer(members, 10, GROUP_A, 0, true);
	see_producer(members, 20, GROUP_A, 0, true);
	see_producer(members, 30, GROUP_A, 9, false);
	CU_ASSERT_EQUAL(members_each(members, GROUP_A, MEMBER_PRODUCER, on_member, &order), 3);
	CU_ASSERT_TRUE(order.conns[0] == 30 && order.conns[1] == 10 && order.conns[2] == 20);
	members_destroy(members);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_connection_takes_all_its_memberships_along),
		CHECK_TEST(test_unregistering_ends_one_role_in_one_group),
		CHECK_TEST(test_a_client_is_found_once),
		CHECK_TEST(test_a_consumer_that_leaves_takes_its_older_connections_along),
		CHECK_TEST(test_a_producer_leaves_with_one_connection),
		CHECK_TEST(test_random_connections_of_few_clients),
		CHECK_TEST(test_silence_ends_a_membership),
		CHECK_TEST(test_a_group_changes_with_members_topics_and_filters),
		CHECK_TEST(test_limit_refuses_new_members_only),
		CHECK_TEST(test_members_come_in_the_order_of_joining),
	};
	return check_main("members", tests, sizeof(tests) / sizeof(tests[0]));
}
