/* What the core wants to have read: each kind of work gets its turn. */
#include "broker/core/wishes.h"
#include "tests/support/check.h"

static bool add(struct wishes *wishes, enum wisher wisher, uint64_t offset, uint32_t size)
{
	return wishes_add(wishes, wisher, &(struct wish){ offset, size });
}

static void test_each_gets_his_turn(void)
{
	struct wishes wishes = { 0 };
	struct wish wish;

	for (uint64_t i = 0; i < WISHES_EACH; i++)
		CU_ASSERT_TRUE(add(&wishes, WISH_REVIVE, 100 + i, 32));
	CU_ASSERT_FALSE(add(&wishes, WISH_REVIVE, 200, 32));
	CU_ASSERT_TRUE(add(&wishes, WISH_CARRY_DELAYED, 300, 32));
	CU_ASSERT_TRUE(add(&wishes, WISH_EFFECT, 400, 32));
	CU_ASSERT_TRUE_FATAL(wishes_take(&wishes, &wish));
	CU_ASSERT_EQUAL(wish.offset, 100);
	CU_ASSERT_TRUE_FATAL(wishes_take(&wishes, &wish));
	CU_ASSERT_EQUAL(wish.offset, 400);
	CU_ASSERT_TRUE_FATAL(wishes_take(&wishes, &wish));
	CU_ASSERT_EQUAL(wish.offset, 300);
	for (uint64_t i = 1; i < WISHES_EACH; i++) {
		CU_ASSERT_TRUE_FATAL(wishes_take(&wishes, &wish));
		CU_ASSERT_EQUAL(wish.offset, 100 + i);
	}
	CU_ASSERT_FALSE(wishes_take(&wishes, &wish));
}

/* The second try knows how large the record is. */
static void test_a_wish_is_made_once(void)
{
	struct wishes wishes = { 0 };
	struct wish wish;

	for (int i = 0; i < 2 * WISHES_EACH; i++)
		CU_ASSERT_TRUE(add(&wishes, WISH_CARRY_HALF, 100, i == 0 ? 32 : 5000));
	CU_ASSERT_TRUE_FATAL(wishes_take(&wishes, &wish));
	CU_ASSERT_EQUAL(wish.size, 5000);
	CU_ASSERT_FALSE(wishes_take(&wishes, &wish));
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_each_gets_his_turn),
		CHECK_TEST(test_a_wish_is_made_once),
	};
	return check_main("wishes", tests, sizeof(tests) / sizeof(tests[0]));
}
