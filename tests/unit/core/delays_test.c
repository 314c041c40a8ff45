/* broker/core/delays: the order is total, the limit exact. */
#include "tests/support/check.h"

#include <string.h>

#include "broker/core/delays.h"
#include "broker/core/topics.h"
#include "lib/base/hash.h"

static struct topic topic = { .id = 7 };

static void add(struct delays *delays, int64_t at, uint64_t name)
{
	struct delayed entry = { .deliver_at_ms = at, .naming_offset = name, .body_offset = name * 2, .topic = &topic };

	CU_ASSERT_EQUAL_FATAL(delays_reserve(delays, &topic, false), ST_OK);
	delays_add(delays, &entry);
}

static struct delayed first_of(const struct delays *delays)
{
	struct delayed first = { 0 };

	CU_ASSERT_TRUE_FATAL(delays_first(delays, &first));
	return first;
}

static void remove_first(struct delays *delays)
{
	delays_remove(delays, first_of(delays).slot);
}

static void test_first_due_first_and_equal_times_in_log_order(void)
{
	static const uint64_t expected[] = { 40, 10, 30, 20, 50 };
	struct delays delays;
	struct delayed none;

	delays_init(&delays, 10);
	CU_ASSERT_FALSE(delays_first(&delays, &none));
	add(&delays, 300, 20);
	add(&delays, 200, 30);
	add(&delays, 200, 10);
	add(&delays, 400, 50);
	add(&delays, 100, 40);
	for (int i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(first_of(&delays).naming_offset, expected[i]);
		CU_ASSERT_EQUAL(first_of(&delays).body_offset, expected[i] * 2);
		remove_first(&delays);
	}
	CU_ASSERT_FALSE(delays_first(&delays, &none));
	delays_deinit(&delays);
}

static void test_limit_is_exact(void)
{
	struct delays delays;

	delays_init(&delays, 3);
	for (uint64_t i = 0; i < 3; i++)
		add(&delays, 5, i);
	CU_ASSERT_EQUAL(delays_reserve(&delays, &topic, false), ST_FULL);
	remove_first(&delays);
	CU_ASSERT_EQUAL(delays_reserve(&delays, &topic, false), ST_OK);
	delays_deinit(&delays);
}

enum { MODEL_MAX = 500 };

static size_t model_first(const struct delayed *model, size_t count)
{
	size_t best = 0;

	for (size_t i = 1; i < count; i++) {
		if (model[i].deliver_at_ms < model[best].deliver_at_ms ||
		    (model[i].deliver_at_ms == model[best].deliver_at_ms && model[i].naming_offset < model[best].naming_offset))
			best = i;
	}
	return best;
}

/* Where it is: what is recalled is not the first. */
static void remove_named(struct delays *delays, uint64_t naming_offset)
{
	struct delayed out = { .naming_offset = UINT64_MAX };
	size_t cursor = 0;

	while (out.naming_offset != naming_offset && delays_next(delays, &cursor, &out))
		;
	CU_ASSERT_EQUAL_FATAL(out.naming_offset, naming_offset);
	delays_remove(delays, out.slot);
}

static void test_random_use_against_a_search(void)
{
	static struct delayed model[MODEL_MAX];
	uint64_t random = check_seed(51), name = 0;
	struct delays delays;
	size_t count = 0;

	delays_init(&delays, MODEL_MAX);
	for (int step = 0; step < 20000; step++) {
		bool filling = (step / 2000) % 2 == 0;

		if (count < MODEL_MAX && check_random(&random) % 4 < (filling ? 3u : 1u)) {
			model[count] = (struct delayed){ .deliver_at_ms = (int64_t)(check_random(&random) % 50), .naming_offset = name };
			add(&delays, model[count].deliver_at_ms, name++);
			count++;
		} else if (count > 0) {
			size_t first = model_first(model, count);

			if (first_of(&delays).naming_offset != model[first].naming_offset)
				CU_FAIL("another entry is first");
			if (check_random(&random) % 2 == 0)
				first = check_random(&random) % count;
			remove_named(&delays, model[first].naming_offset);
			model[first] = model[--count];
		}
	}
	CU_ASSERT_EQUAL(delays.count, count);
	delays_deinit(&delays);
}

/* All that an entry says comes out of its packed form again. */
static void test_every_field_is_kept(void)
{
	struct delayed most = {
		.deliver_at_ms = DELAYS_TIME_MAX_MS - 1, .naming_offset = DELAYS_OFFSET_MAX - 1, .origin_offset = DELAYS_OFFSET_MAX - 3,
		.body_offset = DELAYS_OFFSET_MAX - 2, .topic = &topic, .message_size = UINT32_MAX, .tag_hash = INT32_MIN,
		.message_delta = 0xABCD, .queue_id = 1023, .transactional = true, .recall = UINT32_MAX };
	struct delayed out;
	struct delays delays;
	size_t cursor = 0;

	delays_init(&delays, 10);
	CU_ASSERT_EQUAL_FATAL(delays_reserve(&delays, &topic, true), ST_OK);
	delays_add(&delays, &most);
	CU_ASSERT_TRUE_FATAL(delays_next(&delays, &cursor, &out));
	CU_ASSERT_FALSE(delays_next(&delays, &cursor, &out));
	out = first_of(&delays);
	CU_ASSERT_EQUAL(out.deliver_at_ms, most.deliver_at_ms);
	CU_ASSERT_EQUAL(out.naming_offset, most.naming_offset);
	CU_ASSERT_EQUAL(out.origin_offset, most.origin_offset);
	CU_ASSERT_EQUAL(out.body_offset, most.body_offset);
	CU_ASSERT_PTR_EQUAL(out.topic, &topic);
	CU_ASSERT_EQUAL(out.message_size, most.message_size);
	CU_ASSERT_EQUAL(out.tag_hash, most.tag_hash);
	CU_ASSERT_EQUAL(out.message_delta, most.message_delta);
	CU_ASSERT_EQUAL(out.queue_id, most.queue_id);
	CU_ASSERT_TRUE(out.transactional);
	CU_ASSERT_EQUAL(out.recall, most.recall);
	delays_move(&delays, out.slot, 77, 5);
	out = first_of(&delays);
	CU_ASSERT_EQUAL(out.body_offset, 77);
	CU_ASSERT_EQUAL(out.message_delta, 5);
	CU_ASSERT_EQUAL(out.origin_offset, most.origin_offset);
	CU_ASSERT_EQUAL(out.naming_offset, most.naming_offset);
	delays_deinit(&delays);
}

static size_t count_named(const struct delays *delays, uint32_t recall)
{
	struct hash_cursor cursor = delays_look(delays, recall);
	struct delayed out;
	size_t count = 0;

	while (delays_find(delays, &cursor, &out)) {
		CU_ASSERT_EQUAL(out.recall, recall);
		count++;
	}
	return count;
}

/* A walk may be bounded: what once was in use is passed slot by slot, too. */
static void test_a_walk_is_bounded(void)
{
	enum { SLOTS = 10000, BOUND = 1000 };
	struct delayed out;
	struct delays delays;
	size_t cursor = 0, left = BOUND, met = 0;

	delays_init(&delays, SLOTS);
	for (uint64_t i = 0; i < SLOTS; i++)
		add(&delays, 100, i);
	while (delays_next_within(&delays, &cursor, &left, &out))
		met++;
	CU_ASSERT_EQUAL(met, BOUND);
	cursor = met = 0;
	left = BOUND;
	for (uint64_t i = 0; i < SLOTS - 1; i++) /* All but the last one, which is in the last slot. */
		remove_first(&delays);
	CU_ASSERT_FALSE(delays_next_within(&delays, &cursor, &left, &out));
	CU_ASSERT_EQUAL(left, 0);
	CU_ASSERT_EQUAL(cursor, BOUND);
	for (int i = 0; i < 2 * SLOTS / BOUND; i++, left = BOUND)
		met += delays_next_within(&delays, &cursor, &left, &out);
	CU_ASSERT_EQUAL(met, 1);
	CU_ASSERT_EQUAL(out.naming_offset, SLOTS - 1);
	left = BOUND;
	CU_ASSERT_FALSE(delays_next_within(&delays, &cursor, &left, &out));
	CU_ASSERT_EQUAL(left, BOUND); /* At the end. */
	delays_deinit(&delays);
}

/* A client that sends one name for ever gets no long searches out of it. */
static void test_few_of_one_name_are_found(void)
{
	struct delays delays;

	delays_init(&delays, 100000);
	for (uint64_t i = 0; i < 20000; i++) {
		struct delayed entry = { .deliver_at_ms = (int64_t)i, .naming_offset = i, .body_offset = i, .topic = &topic,
					 .recall = i % 2 == 0 ? 9 : (uint32_t)i + 100 };
		CU_ASSERT_EQUAL_FATAL(delays_reserve(&delays, &topic, false), ST_OK);
		delays_add(&delays, &entry);
	}
	CU_ASSERT_EQUAL(count_named(&delays, 9), 16);
	CU_ASSERT_EQUAL(count_named(&delays, 101), 1);
	for (uint64_t i = 0; i < 20000; i++) {
		CU_ASSERT_EQUAL(first_of(&delays).naming_offset, i);
		remove_first(&delays);
	}
	CU_ASSERT_EQUAL(count_named(&delays, 9), 0);
	CU_ASSERT_EQUAL(delays.recalls.count, 0);
	delays_deinit(&delays);
}

/* What many cost, with the index of recalls. */
static void test_memory_of_many(void)
{
	enum { MANY = 1000000 };
	struct delays delays;

	delays_init(&delays, MANY);
	for (uint64_t i = 0; i < MANY; i++) {
		struct delayed entry = { .deliver_at_ms = (int64_t)(i * 7919 % 1000003), .naming_offset = i, .body_offset = i,
					 .topic = &topic, .recall = (uint32_t)hash_u64(i) | 1 };
		CU_ASSERT_EQUAL_FATAL(delays_reserve(&delays, &topic, false), ST_OK);
		delays_add(&delays, &entry);
	}
	CU_ASSERT_TRUE(delays_bytes(&delays) / MANY <= 62);
	printf("a delayed message takes %zu bytes\n", delays_bytes(&delays) / MANY);
	delays_deinit(&delays);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_first_due_first_and_equal_times_in_log_order),
		CHECK_TEST(test_limit_is_exact),
		CHECK_TEST(test_random_use_against_a_search),
		CHECK_TEST(test_every_field_is_kept),
		CHECK_TEST(test_a_walk_is_bounded),
		CHECK_TEST(test_few_of_one_name_are_found),
		CHECK_TEST(test_memory_of_many),
	};
	return check_main("delays", tests, sizeof(tests) / sizeof(tests[0]));
}
