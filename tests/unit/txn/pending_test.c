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
	if (entry->half_offset != 0 || entry->body_offset != 0 || entry->conn_id != 0 || entry->attempts != 0 || entry->answered != 0 ||
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

/* --- the walk ------------------------------------------------------------------------------------------ */

enum { WALKED = 40000 };

struct walked {
	bool there_all_along, was_there;
	uint32_t seen;
};

static void put(struct pending_table *table, uint64_t key)
{
	CU_ASSERT_EQUAL_FATAL(pending_reserve(table, 0), ST_OK);
	(void)pending_insert(table, key, 0);
}

/* A walk with comings and goings between its steps: `churn` in a thousand steps removes one and lets one in. */
static void walk(struct pending_table *table, struct walked *keys, uint64_t *random, uint32_t churn)
{
	struct pending *entry;
	uint32_t cursor = 0, last = 0;

	for (uint64_t key = 0; key < WALKED; key++)
		keys[key] = (struct walked){ .there_all_along = keys[key].was_there, .was_there = keys[key].was_there };
	while ((entry = pending_next(table, &cursor)) != NULL) {
		uint32_t slot = pending_slot(table, entry);

		if (cursor != slot + 1 || (cursor <= last))
			CU_FAIL("the walk is not in the order of slots");
		last = cursor;
		keys[entry->half_queue_offset].seen++;
		if (check_random(random) % 1000 >= churn)
			continue;
		uint64_t gone = check_random(random) % WALKED, come = check_random(random) % WALKED;
		if (keys[gone].was_there) {
			pending_remove(table, pending_find(table, gone));
			keys[gone].was_there = keys[gone].there_all_along = false;
		}
		if (!keys[come].was_there) {
			put(table, come);
			keys[come].was_there = true;
		}
	}
	CU_ASSERT_PTR_NULL(pending_next(table, &cursor));
	for (uint64_t key = 0; key < WALKED; key++) {
		if (keys[key].there_all_along && keys[key].seen != 1)
			CU_FAIL("one that was there all along was not seen exactly once");
		if (keys[key].seen > 1 && churn == 0)
			CU_FAIL("one was seen twice");
	}
}

static void test_walk_sees_what_stays_exactly_once(void)
{
	uint64_t random = check_seed(22);
	struct pending_table *table = pending_create(WALKED);
	struct walked *keys = calloc(WALKED, sizeof(*keys));
	uint32_t cursor = 0;

	CU_ASSERT_PTR_NULL(pending_next(table, &cursor));
	for (uint64_t key = 0; key < WALKED; key++) {
		put(table, key);
		keys[key].was_there = true;
	}
	walk(table, keys, &random, 0);
	walk(table, keys, &random, 700);
	/* Few are left, far from each other. */
	for (uint64_t key = 0; key < WALKED; key++) {
		if (keys[key].was_there && key % 1777 != 5) {
			pending_remove(table, pending_find(table, key));
			keys[key].was_there = false;
		}
	}
	walk(table, keys, &random, 0);
	walk(table, keys, &random, 900);
	free(keys);
	pending_destroy(table);
}

static void test_sized_once_and_filled(void)
{
	struct pending_table *table = pending_create(50000);

	CU_ASSERT_EQUAL(pending_reserve_total(table, 50001), ST_FULL);
	CU_ASSERT_EQUAL(pending_reserve_total(table, 50000), ST_OK);
	for (uint64_t key = 0; key < 50000; key++)
		put(table, key * 3);
	CU_ASSERT_EQUAL(pending_reserve(table, 0), ST_FULL);
	for (uint64_t key = 0; key < 50000; key++) {
		if (pending_find(table, key * 3) == NULL || pending_find(table, key * 3 + 1) != NULL)
			CU_FAIL("an entry was lost or came from nowhere");
	}
	CU_ASSERT_EQUAL(pending_count(table), 50000);
	pending_destroy(table);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_random_use_against_an_array),
		CHECK_TEST(test_limit_is_exact_and_frees_again),
		CHECK_TEST(test_groups_are_counted_however_high_their_id),
		CHECK_TEST(test_keys_from_one_end_to_the_other),
		CHECK_TEST(test_walk_sees_what_stays_exactly_once),
		CHECK_TEST(test_sized_once_and_filled),
	};
	return check_main("pending", tests, sizeof(tests) / sizeof(tests[0]));
}
