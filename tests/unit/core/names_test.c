/* broker/core/names: dense ids, stable texts, and the limit. */
#include "tests/support/check.h"

#include <stdio.h>

#include "broker/core/names.h"

static uint32_t intern(struct names *names, const char *text)
{
	uint32_t id = 99;

	CU_ASSERT_EQUAL(names_intern(names, span_of(text), &id), ST_OK);
	return id;
}

static struct names *create(uint32_t name_max, uint32_t soft_max)
{
	struct names *names = names_create();

	CU_ASSERT_PTR_NOT_NULL_FATAL(names);
	names_set_limits(names, name_max, soft_max);
	return names;
}

static void test_ids_are_dense_and_stay(void)
{
	struct names *names = create(1000, 1000);
	char text[32];

	CU_ASSERT_EQUAL(names_find(names, span_of("a")), 0);
	CU_ASSERT_EQUAL(intern(names, "a"), 1);
	CU_ASSERT_EQUAL(intern(names, "b"), 2);
	CU_ASSERT_EQUAL(intern(names, "a"), 1);
	struct span first = names_text(names, 1);
	for (int i = 0; i < 500; i++) {
		snprintf(text, sizeof(text), "name-%d", i);
		CU_ASSERT_EQUAL(intern(names, text), (uint32_t)i + 3);
	}
	CU_ASSERT_EQUAL(names_find(names, span_of("name-499")), 502);
	CU_ASSERT_TRUE(span_is(names_text(names, 502), "name-499"));
	CU_ASSERT_PTR_EQUAL(names_text(names, 1).data, first.data);
	CU_ASSERT_TRUE(span_is(first, "a"));
	names_destroy(names);
	names_destroy(NULL);
}

/* Names are bytes: neither a zero byte nor a common beginning makes two of them one. */
static void test_names_are_told_apart_by_all_their_bytes(void)
{
	struct names *names = create(10, 10);
	uint32_t one, two, three;

	CU_ASSERT_EQUAL(names_intern(names, (struct span){ (const uint8_t *)"a\0b", 3 }, &one), ST_OK);
	CU_ASSERT_EQUAL(names_intern(names, (struct span){ (const uint8_t *)"a\0c", 3 }, &two), ST_OK);
	CU_ASSERT_EQUAL(names_intern(names, (struct span){ (const uint8_t *)"a", 1 }, &three), ST_OK);
	CU_ASSERT_TRUE(one != two && two != three && one != three);
	CU_ASSERT_EQUAL(names_find(names, (struct span){ (const uint8_t *)"a\0", 2 }), 0);
	CU_ASSERT_EQUAL(names_find(names, SPAN_NONE), 0);
	names_destroy(names);
}

static void test_limit_refuses_new_names_only(void)
{
	struct names *names = create(2, 2);
	uint32_t id = 99;

	CU_ASSERT_EQUAL(intern(names, "a"), 1);
	CU_ASSERT_EQUAL(intern(names, "b"), 2);
	CU_ASSERT_EQUAL(names_intern(names, span_of("c"), &id), ST_FULL);
	CU_ASSERT_EQUAL(id, 0);
	CU_ASSERT_EQUAL(intern(names, "b"), 2);
	CU_ASSERT_EQUAL(names_find(names, span_of("c")), 0);
	names_destroy(names);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_ids_are_dense_and_stay),
		CHECK_TEST(test_names_are_told_apart_by_all_their_bytes),
		CHECK_TEST(test_limit_refuses_new_names_only),
	};
	return check_main("names", tests, sizeof(tests) / sizeof(tests[0]));
}
