/* Young transactions: order, removal in any order, due ones, the bound. */
#include "broker/projections/oplog_young.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/check.h"

static struct oplog_txn half_at(uint64_t offset, int64_t created_ms, const char *id)
{
	return (struct oplog_txn){
		.half_offset = offset, .created_ms = created_ms, .transaction_id = span_of(id),
		.group = SPAN_LITERAL("g"), .topic = SPAN_LITERAL("t"), .state = OPLOG_PREPARED,
	};
}

static void test_oldest_comes_when_due(void)
{
	struct oplog_young *young = oplog_young_new(8);
	struct oplog_txn out, first = half_at(100, 1000, "a"), second = half_at(200, 1500, "b");

	CU_ASSERT_EQUAL(oplog_young_add(young, &first), ST_OK);
	CU_ASSERT_EQUAL(oplog_young_add(young, &second), ST_OK);
	CU_ASSERT_FALSE(oplog_young_oldest(young, 999, false, &out));
	CU_ASSERT_TRUE(oplog_young_oldest(young, 1000, false, &out));
	CU_ASSERT_EQUAL(out.half_offset, 100);
	CU_ASSERT(span_is(out.transaction_id, "a"));
	CU_ASSERT_TRUE(oplog_young_remove(young, 100));
	CU_ASSERT_FALSE(oplog_young_oldest(young, 1499, false, &out));
	CU_ASSERT_TRUE(oplog_young_oldest(young, 0, true, &out));
	CU_ASSERT_EQUAL(out.half_offset, 200);
	oplog_young_free(young);
}

static void test_a_copy_is_held(void)
{
	struct oplog_young *young = oplog_young_new(2);
	char text[] = "id-1";
	struct oplog_txn out, half = half_at(1, 1, text);

	CU_ASSERT_EQUAL(oplog_young_add(young, &half), ST_OK);
	memset(text, 'x', 4);
	CU_ASSERT_TRUE(oplog_young_oldest(young, 1, false, &out));
	CU_ASSERT(span_is(out.transaction_id, "id-1"));
	oplog_young_free(young);
}

static void test_removing_what_is_not_there(void)
{
	struct oplog_young *young = oplog_young_new(4);
	struct oplog_txn half = half_at(10, 1, "a");

	CU_ASSERT_FALSE(oplog_young_remove(young, 10));
	CU_ASSERT_EQUAL(oplog_young_add(young, &half), ST_OK);
	CU_ASSERT_FALSE(oplog_young_remove(young, 9));
	CU_ASSERT_FALSE(oplog_young_remove(young, 11));
	CU_ASSERT_TRUE(oplog_young_remove(young, 10));
	CU_ASSERT_FALSE(oplog_young_remove(young, 10));
	CU_ASSERT_EQUAL(oplog_young_count(young), 0);
	oplog_young_free(young);
}

static void test_the_bound(void)
{
	struct oplog_young *young = oplog_young_new(8);
	uint64_t offset = 1;

	while (!oplog_young_full(young)) {
		struct oplog_txn half = half_at(offset++, 1, "x");
		CU_ASSERT_EQUAL_FATAL(oplog_young_add(young, &half), ST_OK);
		CU_ASSERT_FATAL(offset <= 9);
	}
	struct oplog_txn over = half_at(offset, 1, "x"), out;
	CU_ASSERT_EQUAL(oplog_young_add(young, &over), ST_FULL);
	CU_ASSERT_TRUE(oplog_young_oldest(young, 0, true, &out));
	CU_ASSERT_EQUAL(out.half_offset, 1);
	CU_ASSERT_TRUE(oplog_young_remove(young, 1));
	CU_ASSERT_EQUAL(oplog_young_add(young, &over), ST_OK);
	oplog_young_clear(young);
	CU_ASSERT_EQUAL(oplog_young_count(young), 0);
	oplog_young_free(young);
}

/* Against a plain array of what should be there. */
enum { MODEL_MAX = 100000 };
static bool model_open[MODEL_MAX];

static void check_oldest(struct oplog_young *young, uint64_t *model_oldest, uint64_t next)
{
	struct oplog_txn out;

	while (*model_oldest < next && !model_open[*model_oldest])
		++*model_oldest;
	bool found = oplog_young_oldest(young, 0, true, &out);
	if (found != (*model_oldest < next) || (found && out.half_offset != *model_oldest))
		CU_FAIL_FATAL("the oldest differs");
}

static void test_random_operations_agree_with_a_model(void)
{
	uint64_t random = check_seed(7);
	struct oplog_young *young = oplog_young_new(64);
	uint64_t next = 0, model_oldest = 0;
	uint32_t model_count = 0;

	memset(model_open, 0, sizeof(model_open));
	while (next < MODEL_MAX) {
		uint64_t choice = check_random(&random) % 100;
		if (choice < 55) {
			struct oplog_txn half = half_at(next, 1, "some-transaction");
			bool full = oplog_young_full(young);
			enum status st = oplog_young_add(young, &half);
			CU_ASSERT_EQUAL_FATAL(st, full ? ST_FULL : ST_OK);
			if (full && !oplog_young_remove(young, model_oldest))
				CU_FAIL_FATAL("the oldest is not there");
			model_open[full ? model_oldest : next] = !full;
			model_count += full ? UINT32_MAX : 1;
			next += full ? 0 : 1;
		} else if (next > 0) {
			uint64_t back = check_random(&random) % (next < 100 ? next : 100);
			uint64_t victim = next - 1 - back;
			if (oplog_young_remove(young, victim) != model_open[victim])
				CU_FAIL_FATAL("a removal differs");
			model_count -= model_open[victim];
			model_open[victim] = false;
		}
		if (oplog_young_count(young) != model_count)
			CU_FAIL_FATAL("the count differs");
		check_oldest(young, &model_oldest, next);
	}
	oplog_young_free(young);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_oldest_comes_when_due),
		CHECK_TEST(test_a_copy_is_held),
		CHECK_TEST(test_removing_what_is_not_there),
		CHECK_TEST(test_the_bound),
		CHECK_TEST(test_random_operations_agree_with_a_model),
	};

	return check_main("oplog_young", tests, sizeof(tests) / sizeof(tests[0]));
}
