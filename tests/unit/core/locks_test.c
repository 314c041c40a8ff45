/* Queues that a group's clients lock, so that each is consumed by one of them. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/locks.h"
#include "broker/core/state.h"

static const struct lock_key key = { 1, 2, 3 };

static enum status take(struct locks *locks, const struct lock_key *which, const char *client, int64_t now_ms)
{
	return locks_take(locks, which, span_of(client), now_ms);
}

static void test_one_client_has_the_queue(void)
{
	struct locks *locks = locks_create(10);
	struct lock_key other_group = { 9, 2, 3 };

	CU_ASSERT_EQUAL(take(locks, &key, "a", 0), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &key, "b", 1), ST_BUSY);
	CU_ASSERT_EQUAL(take(locks, &other_group, "b", 1), ST_OK);
	locks_release(locks, &key, span_of("b"));
	CU_ASSERT_EQUAL(take(locks, &key, "b", 2), ST_BUSY);
	locks_release(locks, &key, span_of("a"));
	CU_ASSERT_EQUAL(take(locks, &key, "b", 3), ST_OK);
	locks_destroy(locks);
}

static void test_a_lock_lives_while_it_is_renewed(void)
{
	struct locks *locks = locks_create(10);

	CU_ASSERT_EQUAL(take(locks, &key, "a", 0), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &key, "a", 50 * 1000), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &key, "b", 110 * 1000), ST_BUSY);
	CU_ASSERT_TRUE(locks_has_any(locks, 1, 110 * 1000));
	CU_ASSERT_FALSE(locks_has_any(locks, 2, 110 * 1000));
	CU_ASSERT_FALSE(locks_has_any(locks, 1, 110 * 1000 + 1));
	CU_ASSERT_EQUAL(take(locks, &key, "b", 110 * 1000 + 1), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &key, "a", 110 * 1000 + 2), ST_BUSY);
	locks_destroy(locks);
}

static void test_limits_of_locks(void)
{
	struct locks *locks = locks_create(3);
	char long_id[LOCK_CLIENT_ID_MAX + 2];

	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	CU_ASSERT_EQUAL(take(locks, &key, long_id, 0), ST_INVALID);
	long_id[LOCK_CLIENT_ID_MAX] = '\0';
	CU_ASSERT_EQUAL(take(locks, &key, long_id, 0), ST_OK);
	locks_release(locks, &key, span_of(long_id));
	CU_ASSERT_EQUAL(take(locks, &key, "", 0), ST_INVALID);
	for (uint32_t i = 0; i < 3; i++)
		CU_ASSERT_EQUAL(take(locks, &(struct lock_key){ i, 1, 1 }, "a", i), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &(struct lock_key){ 7, 1, 1 }, "a", 3), ST_FULL);
	CU_ASSERT_FALSE(locks_has_any(locks, 7, 3));
	locks_expire(locks, LOCK_LIFE_MS + 1); /* The first only. */
	CU_ASSERT_EQUAL(take(locks, &(struct lock_key){ 7, 1, 1 }, "a", LOCK_LIFE_MS + 1), ST_OK);
	CU_ASSERT_EQUAL(take(locks, &(struct lock_key){ 0, 1, 1 }, "a", LOCK_LIFE_MS + 1), ST_FULL);
	CU_ASSERT_EQUAL(take(locks, &(struct lock_key){ 1, 1, 1 }, "b", LOCK_LIFE_MS + 1), ST_BUSY);
	locks_destroy(locks);
}

/* What nobody renewed makes room, though nobody asks for it. */
static void test_old_locks_make_room(void)
{
	struct core_config config = fixture_config();

	config.lock_max = 1;
	struct fixture *f = fixture_create(&config);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	CU_ASSERT_TRUE(core_lock_queue(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("one"), SPAN_LITERAL("t"), 0));
	CU_ASSERT_FALSE(core_lock_queue(f->core, SPAN_LITERAL("others"), SPAN_LITERAL("two"), SPAN_LITERAL("t"), 0));
	fixture_advance(f, LOCK_LIFE_MS + 11 * 1000);
	CU_ASSERT_TRUE(core_lock_queue(f->core, SPAN_LITERAL("others"), SPAN_LITERAL("two"), SPAN_LITERAL("t"), 0));
	fixture_destroy(f);
}

/* What a consumer in order gives up is dead: it has tried again by itself. */
static void test_retries_of_an_ordered_group_are_dead(void)
{
	struct core_config config = fixture_config();
	struct fixture *f = fixture_create(&config);
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };
	struct send_result result;
	struct sent retry = { .topic = "%RETRY%readers", .key = "k" };

	fixture_heartbeat(f, false);
	must_send(f, (struct sent){ .topic = "t", .key = "first" });
	CU_ASSERT_FALSE(core_lock_queue(f->core, span_of("readers"), span_of("c1"), span_of("nowhere"), 0));
	CU_ASSERT_TRUE(core_lock_queue(f->core, span_of("readers"), span_of("c1"), span_of("t"), 0));
	CU_ASSERT_FALSE(core_lock_queue(f->core, span_of("readers"), span_of("c2"), span_of("t"), 0));
	CU_ASSERT_FALSE(core_lock_queue(f->core, span_of("readers"), span_of("c1"), span_of("t"), -1));
	CU_ASSERT_EQUAL(fixture_send(f, retry, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "%DLQ%readers", 0, 0, "*", &p), 1);
	pulled_free(&p);
	core_unlock_queue(f->core, span_of("readers"), span_of("c1"), span_of("t"), 0);
	CU_ASSERT_EQUAL(fixture_send(f, retry, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "%DLQ%readers", 0, 1, "*", &p), 0);
	CU_ASSERT_EQUAL(fixture_pull(f, "%RETRY%readers", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_one_client_has_the_queue),
		CHECK_TEST(test_a_lock_lives_while_it_is_renewed),
		CHECK_TEST(test_limits_of_locks),
		CHECK_TEST(test_old_locks_make_room),
		CHECK_TEST(test_retries_of_an_ordered_group_are_dead),
	};
	return check_main("locks", tests, sizeof(tests) / sizeof(tests[0]));
}
