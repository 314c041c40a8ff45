/* lib/txn/pending: against a naive array, at its limits, and with keys that collide. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "lib/txn/pending.h"

enum { MODEL_MAX = 6000, GROUPS = 200 };

struct model_entry {
	uint64_t key;
	uint32_t group_id;
	uint64_t mark;          /* Written into the entry, expected back. */
	struct pending *where;  /* Entries do not move. */
};

struct model {
	struct model_entry entries[MODEL_MAX];
	uint32_t count;
	uint32_t groups[GROUPS];
};

static void model_add(struct model *m, struct pending_table *table, uint64_t key, uint32_t group_id, uint64_t mark)
{
	CU_ASSERT_EQUAL_FATAL(pending_reserve(table, group_id), ST_OK);
	struct pending *entry = pending_insert(table, key, group_id);

	CU_ASSERT_PTR_NOT_NULL_FATAL(entry);
	CU_ASSERT_EQUAL(entry->half_queue_offset, key);
	CU_ASSERT_EQUAL(entry->group_id, group_id);
	if (entry->half_offset != 0 || entry->conn_id != 0 || entry->attempts != 0 || entry->answered != 0 ||
	    entry->state != 0 || entry->place != 0 || entry->due_mono_ms != 0)
		CU_FAIL("a new entry is not zeroed");
	entry->half_offset = mark;
	entry->place = 7;
	entry->attempts = 3;
	m->entries[m->count++] = (struct model_entry){ key, group_id, mark, entry };
	m->groups[group_id]++;
}

static void model_remove(struct model *m, struct pending_table *table, uint32_t at)
{
	struct model_entry gone = m->entries[at];

	pending_remove(table, pending_find(table, gone.key));
	m->groups[gone.group_id]--;
	m->entries[at] = m->entries[--m->count];
	if (pending_find(table, gone.key) != NULL)
		CU_FAIL("a removed entry is found");
}

static void compare(const struct model *m, const struct pending_table *table)
{
	CU_ASSERT_EQUAL(pending_count(table), m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		const struct model_entry *e = &m->entries[i];
		struct pending *found = pending_find(table, e->key);

		if (found != e->where || found->half_offset != e->mark || found->group_id != e->group_id ||
		    pending_at(table, pending_slot(table, found)) != found)
			CU_FAIL("an entry is not what was put there");
	}
	for (uint32_t g = 0; g < GROUPS; g++) {
		if (pending_group_count(table, g) != m->groups[g])
			CU_FAIL("a group is miscounted");
	}
}

static bool model_has(const struct model *m, uint64_t key)
{
	for (uint32_t i = 0; i < m->count; i++) {
		if (m->entries[i].key == key)
			return true;
	}
	return false;
}

static void test_random_use_against_an_array(void)
{
	uint64_t random = check_seed(21);
	struct pending_table *table = pending_create(MODEL_MAX);
	struct model *m = calloc(1, sizeof(*m));

	CU_ASSERT_PTR_NOT_NULL_FATAL(table);
	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	for (int step = 0; step < 30000; step++) {
		/* It fills for a while, then empties for a while; keys are few, so that they come back. */
		bool filling = (step / 7500) % 2 == 0;
		uint64_t key = check_random(&random) % 20000;

		if (check_random(&random) % 8 < (filling ? 6u : 2u)) {
			if (m->count < MODEL_MAX && !model_has(m, key))
				model_add(m, table, key, (uint32_t)(check_random(&random) % GROUPS), check_random(&random));
		} else if (m->count > 0) {
			model_remove(m, table, (uint32_t)(check_random(&random) % m->count));
		}
		if (!model_has(m, key) != (pending_find(table, key) == NULL))
			CU_FAIL("find disagrees with the array");
		if (step % 1000 == 0)
			compare(m, table);
	}
	compare(m, table);
	while (m->count > 0)
		model_remove(m, table, m->count - 1);
	compare(m, table);
	free(m);
	pending_destroy(table);
}

static void test_limit_is_exact_and_frees_again(void)
{
	struct pending_table *table = pending_create(3);

	for (uint64_t key = 0; key < 3; key++) {
		CU_ASSERT_EQUAL(pending_reserve(table, 0), ST_OK);
		(void)pending_insert(table, key, 0);
	}
	CU_ASSERT_EQUAL(pending_reserve(table, 0), ST_FULL);
	CU_ASSERT_EQUAL(pending_reserve(table, 1), ST_FULL);
	pending_remove(table, pending_find(table, 1));
	CU_ASSERT_EQUAL(pending_reserve(table, 1), ST_OK);
	(void)pending_insert(table, 9, 1);
	CU_ASSERT_EQUAL(pending_reserve(table, 0), ST_FULL);
	CU_ASSERT_EQUAL(pending_group_count(table, 0), 2);
	CU_ASSERT_EQUAL(pending_group_count(table, 1), 1);
	pending_destroy(table);
}

static void test_groups_are_counted_however_high_their_id(void)
{
	struct pending_table *table = pending_create(100);
	static const uint32_t groups[] = { 0, 63, 64, 100000, 5 };

	CU_ASSERT_EQUAL(pending_group_count(table, 0), 0);
	CU_ASSERT_EQUAL(pending_group_count(table, UINT32_MAX), 0);
	for (uint64_t i = 0; i < 5; i++) {
		CU_ASSERT_EQUAL(pending_reserve(table, groups[i]), ST_OK);
		(void)pending_insert(table, i, groups[i]);
	}
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(pending_group_count(table, groups[i]), 1);
	CU_ASSERT_EQUAL(pending_group_count(table, 99999), 0);
	pending_destroy(table);
}

/* The ends of the key space, and a run of neighbours as half offsets are. */
static void test_keys_from_one_end_to_the_other(void)
{
	struct pending_table *table = pending_create(10000);
	static const uint64_t ends[] = { 0, 1, UINT32_MAX, (uint64_t)UINT32_MAX + 1, UINT64_MAX, UINT64_MAX - 1 };

	for (size_t i = 0; i < 6; i++) {
		CU_ASSERT_EQUAL(pending_reserve(table, 0), ST_OK);
		pending_insert(table, ends[i], 0)->half_offset = i;
	}
	for (uint64_t key = 1000; key < 9000; key++) {
		CU_ASSERT_EQUAL_FATAL(pending_reserve(table, 0), ST_OK);
		pending_insert(table, key, 0)->half_offset = key;
	}
	for (size_t i = 0; i < 6; i++)
		CU_ASSERT_EQUAL(pending_find(table, ends[i])->half_offset, i);
	for (uint64_t key = 1000; key < 9000; key += 2)
		pending_remove(table, pending_find(table, key));
	for (uint64_t key = 1000; key < 9000; key++) {
		const struct pending *found = pending_find(table, key);

		if (key % 2 == 0 ? found != NULL : found == NULL || found->half_offset != key)
			CU_FAIL("a neighbour was lost or stayed");
	}
	pending_destroy(table);
	pending_destroy(NULL);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_random_use_against_an_array),
		CHECK_TEST(test_limit_is_exact_and_frees_again),
		CHECK_TEST(test_groups_are_counted_however_high_their_id),
		CHECK_TEST(test_keys_from_one_end_to_the_other),
	};
	return check_main("pending", tests, sizeof(tests) / sizeof(tests[0]));
}
