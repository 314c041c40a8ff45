/* The pending table, held against a naive array. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "lib/txn/pending.h"

enum { KEYS = 20000, GROUPS = 300 };

struct known {
	struct pending *entry; /* NULL: not there. */
	uint32_t slot;
	uint32_t group_id;
};

static void test_entry_is_one_cache_line(void)
{
	CU_ASSERT_EQUAL(sizeof(struct pending), 64);
}

static struct pending *insert(struct pending_table *table, uint64_t key, uint32_t group_id)
{
	CU_ASSERT_EQUAL_FATAL(pending_reserve(table, group_id), ST_OK);
	struct pending *entry = pending_insert(table, key, group_id);
	CU_ASSERT_EQUAL(entry->half_queue_offset, key);
	CU_ASSERT_EQUAL(entry->group_id, group_id);
	CU_ASSERT_EQUAL(entry->half_offset, 0);
	CU_ASSERT_EQUAL(entry->place, 0);
	return entry;
}

static void test_limit_and_group_counts(void)
{
	struct pending_table *table = pending_create(3);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_EQUAL(pending_group_count(table, 1000000), 0);
	insert(table, 10, 5);
	insert(table, 11, 5);
	struct pending *third = insert(table, 1ULL << 63, 700);
	CU_ASSERT_EQUAL(pending_reserve(table, 5), ST_FULL);
	CU_ASSERT_EQUAL(pending_group_count(table, 5), 2);
	CU_ASSERT_EQUAL(pending_group_count(table, 700), 1);
	pending_remove(table, third);
	CU_ASSERT_EQUAL(pending_group_count(table, 700), 0);
	CU_ASSERT_EQUAL(pending_reserve(table, 5), ST_OK);
	CU_ASSERT_PTR_NULL(pending_find(table, 1ULL << 63));
	CU_ASSERT_PTR_NOT_NULL(pending_find(table, 10));
	pending_destroy(table);
	pending_destroy(NULL);
}

static void check_all(const struct pending_table *table, const struct known *known)
{
	uint32_t count = 0, group_counts[GROUPS] = { 0 };

	for (uint64_t key = 0; key < KEYS; key++) {
		struct pending *entry = pending_find(table, key);

		CU_ASSERT_PTR_EQUAL_FATAL(entry, known[key].entry);
		if (entry == NULL)
			continue;
		CU_ASSERT_EQUAL_FATAL(entry->half_offset, key * 8);
		CU_ASSERT_EQUAL_FATAL(pending_slot(table, entry), known[key].slot);
		CU_ASSERT_PTR_EQUAL_FATAL(pending_at(table, known[key].slot), entry);
		count++;
		group_counts[known[key].group_id]++;
	}
	CU_ASSERT_EQUAL(pending_count(table), count);
	for (uint32_t i = 0; i < GROUPS; i++)
		CU_ASSERT_EQUAL_FATAL(pending_group_count(table, i), group_counts[i]);
}

/* Grows to many, shrinks to few, and again: entries never move, no key is lost or found twice. */
static void test_random_operations_agree_with_a_naive_map(void)
{
	struct pending_table *table = pending_create(KEYS);
	struct known *known = calloc(KEYS, sizeof(*known));
	uint64_t random = check_seed(5);

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_PTR_NOT_NULL_FATAL(known);
	for (int step = 0; step < 200000; step++) {
		uint64_t key = check_random(&random) % KEYS;
		bool growing = step / 40000 % 2 == 0;

		if (known[key].entry == NULL && (growing || check_random(&random) % 4 == 0)) {
			uint32_t group_id = (uint32_t)(check_random(&random) % GROUPS);
			struct pending *entry = insert(table, key, group_id);

			entry->half_offset = key * 8;
			known[key] = (struct known){ entry, pending_slot(table, entry), group_id };
		} else if (known[key].entry != NULL && (!growing || check_random(&random) % 4 == 0)) {
			pending_remove(table, known[key].entry);
			known[key].entry = NULL;
		}
		if (step % 10000 == 0)
			check_all(table, known);
	}
	check_all(table, known);
	free(known);
	pending_destroy(table);
}

/* What a broker does: keys ascend, most live shortly, one is ancient. */
static void test_ascending_keys_with_an_ancient_one(void)
{
	struct pending_table *table = pending_create(1000);
	struct pending *ancient = insert(table, 0, 0);

	for (uint64_t key = 1; key < 300000; key++) {
		insert(table, key, (uint32_t)(key % 3));
		if (key > 500)
			pending_remove(table, pending_find(table, key - 500));
	}
	CU_ASSERT_PTR_EQUAL(pending_find(table, 0), ancient);
	CU_ASSERT_EQUAL(pending_count(table), 501);
	pending_destroy(table);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_entry_is_one_cache_line),
		CHECK_TEST(test_limit_and_group_counts),
		CHECK_TEST(test_random_operations_agree_with_a_naive_map),
		CHECK_TEST(test_ascending_keys_with_an_ancient_one),
	};
	return check_main("pending", tests, sizeof(tests) / sizeof(tests[0]));
}
