/* lib/txn/hash_index: against a naive array while it grows, with hashes that collide and that stand at both ends of the
 * table; and that a growth is spread over many additions. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "lib/txn/hash_index.h"

enum { ENTRIES_MAX = 20000 };

struct entry {
	uint32_t hash, value;
};

struct model {
	struct entry entries[ENTRIES_MAX];
	uint32_t count;
	uint32_t next_value;
};

static void add(struct model *m, struct hash_index *index, uint32_t hash)
{
	CU_ASSERT_EQUAL_FATAL(hash_index_reserve(index), ST_OK);
	m->entries[m->count++] = (struct entry){ hash, m->next_value };
	hash_index_put(index, hash, m->next_value++);
}

/* How often the index has this entry. */
static int occurrences(const struct hash_index *index, struct entry entry)
{
	struct hash_cursor cursor = hash_index_look(index, entry.hash);
	uint32_t value;
	int count = 0;

	while (hash_index_next(&cursor, &value))
		count += value == entry.value;
	return count;
}

static void find(struct hash_index *index, struct entry entry, struct hash_cursor *cursor)
{
	uint32_t value = 0;

	*cursor = hash_index_look(index, entry.hash);
	while (hash_index_next(cursor, &value)) {
		if (value == entry.value)
			return;
	}
	CU_FAIL_FATAL("an entry was lost");
}

static void compare(const struct model *m, const struct hash_index *index)
{
	CU_ASSERT_EQUAL(index->count, m->count);
	for (uint32_t i = 0; i < m->count; i++) {
		if (occurrences(index, m->entries[i]) != 1)
			CU_FAIL("an entry is there never or twice");
	}
}

static void use_at_random(uint64_t *random, uint32_t (*hash_of)(uint64_t random), int steps)
{
	struct model *m = calloc(1, sizeof(*m));
	struct hash_index index;

	CU_ASSERT_PTR_NOT_NULL_FATAL(m);
	hash_index_init(&index);
	for (int step = 0; step < steps; step++) {
		bool filling = (step / 5000) % 3 != 2;
		struct hash_cursor cursor;

		if (m->count < ENTRIES_MAX && check_random(random) % 8 < (filling ? 7u : 2u)) {
			add(m, &index, hash_of(check_random(random)));
		} else if (m->count > 0) {
			uint32_t at = (uint32_t)(check_random(random) % m->count);

			find(&index, m->entries[at], &cursor);
			hash_index_remove(&index, &cursor);
			if (occurrences(&index, m->entries[at]) != 0)
				CU_FAIL("a removed entry is found");
			m->entries[at] = m->entries[--m->count];
		}
		if (step % 1000 == 0)
			compare(m, &index);
	}
	compare(m, &index);
	hash_index_deinit(&index);
	free(m);
}

static uint32_t spread(uint64_t random)
{
	return (uint32_t)random;
}

/* 500 hashes for all, so that runs are long and full of equals. */
static uint32_t crowded(uint64_t random)
{
	return (uint32_t)(random % 500) * 8589934u;
}

/* Homes in the last few and the first few buckets: what probes goes around the end. */
static uint32_t at_the_ends(uint64_t random)
{
	return (uint32_t)(random % 300) * 1000u - 150000u;
}

static void test_random_use_against_an_array(void)
{
	uint64_t random = check_seed(41);

	use_at_random(&random, spread, 60000);
	use_at_random(&random, crowded, 20000);
	use_at_random(&random, at_the_ends, 10000);
}

/* Each growth is spread over additions, and done before the next one is due. */
static void test_growth_is_spread_and_over_in_time(void)
{
	struct hash_index index;
	uint64_t random = check_seed(42);
	uint32_t size = 0, growths = 0;

	hash_index_init(&index);
	for (uint32_t i = 0; i < 500000; i++) {
		uint32_t before = index.old.size == 0 ? 0 : index.old.size - index.moved;

		CU_ASSERT_EQUAL_FATAL(hash_index_reserve(&index), ST_OK);
		if (index.current.size != size) {
			growths++;
			if (before != 0)
				CU_FAIL("a growth was not over when the next one came");
			if (size > 0 && index.moved > size / 4)
				CU_FAIL("a growth began with a long move");
			size = index.current.size;
		}
		uint32_t left = index.old.size - index.moved;
		hash_index_put(&index, (uint32_t)check_random(&random), i);
		if (index.old.size > 0 && left - (index.old.size - index.moved) > 1000)
			CU_FAIL("an addition moved many buckets");
		if ((uint64_t)index.count * 5 > (uint64_t)index.current.size * 4)
			CU_FAIL("it is too full");
	}
	CU_ASSERT_TRUE(growths > 20);
	CU_ASSERT_TRUE(index.count > index.current.size / 2);
	hash_index_deinit(&index);
}

static void test_sized_once_it_does_not_grow(void)
{
	struct model *m = calloc(1, sizeof(*m));
	struct hash_index index;
	uint64_t random = check_seed(43);

	hash_index_init(&index);
	CU_ASSERT_EQUAL_FATAL(hash_index_reserve_total(&index, 15000), ST_OK);
	uint32_t size = index.current.size;
	for (int i = 0; i < 15000; i++)
		add(m, &index, (uint32_t)check_random(&random));
	CU_ASSERT_EQUAL(index.current.size, size);
	CU_ASSERT_EQUAL(hash_index_reserve_total(&index, 10000), ST_OK);
	CU_ASSERT_EQUAL(index.current.size, size);
	/* Again while it is used, and again in the middle of a growth. */
	CU_ASSERT_EQUAL(hash_index_reserve_total(&index, 20000), ST_OK);
	CU_ASSERT_TRUE(index.current.size > size);
	CU_ASSERT_TRUE(index.old.size > 0);
	add(m, &index, UINT32_MAX);
	CU_ASSERT_EQUAL(hash_index_reserve_total(&index, 50000), ST_OK);
	compare(m, &index);
	hash_index_deinit(&index);
	free(m);
}

static void test_empty_index_has_nothing(void)
{
	struct hash_index index;
	struct hash_cursor cursor;
	uint32_t value;

	hash_index_init(&index);
	cursor = hash_index_look(&index, 7);
	CU_ASSERT_FALSE(hash_index_next(&cursor, &value));
	CU_ASSERT_EQUAL(hash_index_reserve(&index), ST_OK);
	cursor = hash_index_look(&index, UINT32_MAX);
	CU_ASSERT_FALSE(hash_index_next(&cursor, &value));
	hash_index_deinit(&index);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_random_use_against_an_array),
		CHECK_TEST(test_growth_is_spread_and_over_in_time),
		CHECK_TEST(test_sized_once_it_does_not_grow),
		CHECK_TEST(test_empty_index_has_nothing),
	};
	return check_main("hash_index", tests, sizeof(tests) / sizeof(tests[0]));
}
