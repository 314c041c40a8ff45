/* checkback/schedule: lines, the young line's order, the wheel over more than one turn, and both against an array. */
#include "tests/support/check.h"

#include <stdlib.h>

#include "checkback/schedule.h"

enum { ENTRIES_MAX = 2000, TURN_MS = WHEEL_SLOTS * WHEEL_TICK_MS };

struct stand {
	struct schedule *schedule;
	struct pending_table *table;
	uint64_t due[ENTRIES_MAX]; /* Keys, in the order in which they came due. */
	size_t due_count;
	int64_t now;
	int64_t again_ms;          /* Not 0: what is due is scheduled again after so long. */
};

static struct stand *stand_create(int64_t now)
{
	struct stand *s = calloc(1, sizeof(*s));

	if (s == NULL)
		abort();
	s->schedule = calloc(1, sizeof(*s->schedule));
	s->table = pending_create(ENTRIES_MAX);
	if (s->schedule == NULL || s->table == NULL)
		abort();
	s->now = now;
	schedule_init(s->schedule, s->table, now);
	return s;
}

static void stand_destroy(struct stand *s)
{
	pending_destroy(s->table);
	free(s->schedule);
	free(s);
}

static struct pending *entry_of(struct stand *s, uint64_t key, int64_t due_mono_ms)
{
	CU_ASSERT_EQUAL_FATAL(pending_reserve(s->table, 0), ST_OK);
	struct pending *entry = pending_insert(s->table, key, 0);

	entry->due_mono_ms = due_mono_ms;
	return entry;
}

static void on_due(void *context, struct pending *entry)
{
	struct stand *s = context;

	CU_ASSERT_TRUE_FATAL(s->due_count < ENTRIES_MAX);
	if (entry->due_mono_ms > s->now)
		CU_FAIL("due before its time");
	s->due[s->due_count++] = entry->half_queue_offset;
	if (s->again_ms != 0) {
		entry->due_mono_ms = s->now + s->again_ms;
		schedule_later(s->schedule, entry);
	}
}

static void advance(struct stand *s, int64_t now)
{
	s->now = now;
	schedule_advance(s->schedule, now, on_due, s);
}

static void test_lines_keep_order_through_removals(void)
{
	struct stand *s = stand_create(0);
	struct line line;
	struct pending *entries[5];

	line_init(&line);
	CU_ASSERT_PTR_NULL(line_first(&line, s->table));
	for (uint64_t i = 0; i < 5; i++) {
		entries[i] = entry_of(s, i, 0);
		line_append(&line, s->table, entries[i]);
	}
	CU_ASSERT_EQUAL(line.count, 5);
	line_remove(&line, s->table, entries[0]); /* First, middle, last. */
	line_remove(&line, s->table, entries[2]);
	line_remove(&line, s->table, entries[4]);
	CU_ASSERT_PTR_EQUAL(line_first(&line, s->table), entries[1]);
	line_remove(&line, s->table, entries[1]);
	CU_ASSERT_PTR_EQUAL(line_first(&line, s->table), entries[3]);
	line_append(&line, s->table, entries[0]);
	line_remove(&line, s->table, entries[3]);
	CU_ASSERT_PTR_EQUAL(line_first(&line, s->table), entries[0]);
	line_remove(&line, s->table, entries[0]);
	CU_ASSERT_PTR_NULL(line_first(&line, s->table));
	CU_ASSERT_EQUAL(line.count, 0);
	stand_destroy(s);
}

static void test_young_line_takes_what_keeps_its_order(void)
{
	struct stand *s = stand_create(1000);

	CU_ASSERT_TRUE(schedule_first(s->schedule, entry_of(s, 1, 7000)));
	CU_ASSERT_TRUE(schedule_first(s->schedule, entry_of(s, 2, 7000)));
	CU_ASSERT_TRUE(schedule_first(s->schedule, entry_of(s, 3, 7100)));
	CU_ASSERT_FALSE(schedule_first(s->schedule, entry_of(s, 4, 6500))); /* Earlier: the wheel. */
	advance(s, 6499);
	CU_ASSERT_EQUAL(s->due_count, 0);
	advance(s, 6500 + 2 * WHEEL_TICK_MS);
	CU_ASSERT_EQUAL(s->due_count, 1);
	CU_ASSERT_EQUAL(s->due[0], 4);
	advance(s, 6999);
	CU_ASSERT_EQUAL(s->due_count, 1);
	advance(s, 7000); /* To the millisecond. */
	CU_ASSERT_EQUAL(s->due_count, 3);
	advance(s, 7100);
	CU_ASSERT_EQUAL(s->due_count, 4);
	CU_ASSERT_TRUE(s->due[1] == 1 && s->due[2] == 2 && s->due[3] == 3);
	stand_destroy(s);
}

static void test_removed_ones_never_come(void)
{
	struct stand *s = stand_create(0);
	struct pending *young = entry_of(s, 1, 100), *in_wheel = entry_of(s, 2, 50);

	CU_ASSERT_TRUE(schedule_first(s->schedule, young));
	CU_ASSERT_FALSE(schedule_first(s->schedule, in_wheel));
	schedule_remove(s->schedule, young, true);
	schedule_remove(s->schedule, in_wheel, false);
	advance(s, 10000);
	CU_ASSERT_EQUAL(s->due_count, 0);
	stand_destroy(s);
}

static void test_wheel_holds_more_than_one_turn(void)
{
	struct stand *s = stand_create(500);

	/* All in one slot: now, one turn later, five turns later. */
	schedule_later(s->schedule, entry_of(s, 1, 600));
	schedule_later(s->schedule, entry_of(s, 2, 600 + TURN_MS));
	schedule_later(s->schedule, entry_of(s, 3, 600 + 5 * TURN_MS));
	CU_ASSERT_EQUAL(pending_find(s->table, 1)->wheel_slot, pending_find(s->table, 3)->wheel_slot);
	for (int64_t now = 500; now < 600 + 6 * TURN_MS; now += 100) {
		advance(s, now);
		size_t expected = (now >= 600 + 2 * WHEEL_TICK_MS) + (now >= 600 + TURN_MS + 2 * WHEEL_TICK_MS) +
				  (now >= 600 + 5 * TURN_MS + 2 * WHEEL_TICK_MS);
		if (s->due_count < expected)
			CU_FAIL("late by more than two ticks");
	}
	CU_ASSERT_EQUAL(s->due_count, 3);
	stand_destroy(s);
}

/* A process that was stopped for long, or a clock that jumped: everything due comes, in one call. */
static void test_a_long_pause_leaves_nothing_behind(void)
{
	struct stand *s = stand_create(0);

	for (uint64_t i = 0; i < 1000; i++)
		schedule_later(s->schedule, entry_of(s, i, (int64_t)i * 177));
	advance(s, 10LL * TURN_MS);
	CU_ASSERT_EQUAL(s->due_count, 1000);
	stand_destroy(s);
}

/* What is scheduled again while its slot is looked at is not looked at twice, even into the same slot. */
static void test_due_ones_may_be_scheduled_again(void)
{
	struct stand *s = stand_create(0);

	s->again_ms = TURN_MS;
	schedule_later(s->schedule, entry_of(s, 1, 10));
	schedule_later(s->schedule, entry_of(s, 2, 10));
	advance(s, 64);
	CU_ASSERT_EQUAL(s->due_count, 2);
	advance(s, 64 + TURN_MS - 1);
	CU_ASSERT_EQUAL(s->due_count, 2);
	s->again_ms = 0;
	advance(s, 64 + TURN_MS + 2 * WHEEL_TICK_MS);
	CU_ASSERT_EQUAL(s->due_count, 4);
	stand_destroy(s);
}

/* A time that has passed is due at the next tick, not a turn later. */
static void test_times_in_the_past_come_at_once(void)
{
	struct stand *s = stand_create(100000);

	schedule_later(s->schedule, entry_of(s, 1, 5));
	schedule_later(s->schedule, entry_of(s, 2, 100000));
	schedule_later(s->schedule, entry_of(s, 3, 100000 - WHEEL_TICK_MS)); /* The slot looked at last. */
	advance(s, 100000 + 2 * WHEEL_TICK_MS);
	CU_ASSERT_EQUAL(s->due_count, 3);
	stand_destroy(s);
}

struct model {
	int64_t due;
	bool waits, young;
};

/* What the schedule has handed over since `from` leaves the model, if it was there; then what is overdue must be gone. */
static void compare(struct stand *s, struct model *model, size_t *from)
{
	for (; *from < s->due_count; (*from)++) {
		struct model *m = &model[s->due[*from]];

		if (!m->waits)
			CU_FAIL("came twice, or after it was removed");
		m->waits = false;
		pending_remove(s->table, pending_find(s->table, s->due[*from]));
	}
	for (size_t i = 0; i < ENTRIES_MAX; i++) {
		if (model[i].waits && model[i].due + (model[i].young ? 0 : 2 * WHEEL_TICK_MS) <= s->now)
			CU_FAIL("overdue");
	}
}

static void test_random_use_against_an_array(void)
{
	uint64_t random = check_seed(81);
	struct stand *s = stand_create(12345);
	struct model *model = calloc(ENTRIES_MAX, sizeof(*model));
	size_t from = 0;

	if (model == NULL)
		abort();
	for (size_t next = 0; next < ENTRIES_MAX;) {
		uint64_t dice = check_random(&random) % 10;

		if (dice < 6) {
			int64_t delay = dice < 4 ? 6000 : (int64_t)(check_random(&random) % (3 * TURN_MS));
			struct pending *entry = entry_of(s, next, s->now + delay);

			model[next] = (struct model){ s->now + delay, true, false };
			if (dice < 5)
				model[next].young = schedule_first(s->schedule, entry);
			else
				schedule_later(s->schedule, entry);
			next++;
		} else if (dice < 8 && next > 0) {
			size_t victim = check_random(&random) % next;

			if (model[victim].waits) {
				struct pending *entry = pending_find(s->table, victim);

				schedule_remove(s->schedule, entry, model[victim].young);
				pending_remove(s->table, entry);
				model[victim].waits = false;
			}
		} else {
			advance(s, s->now + (int64_t)(check_random(&random) % 50 == 0 ? check_random(&random) % (2 * TURN_MS)
										      : check_random(&random) % 200));
			compare(s, model, &from);
		}
	}
	advance(s, s->now + 4LL * TURN_MS);
	compare(s, model, &from);
	CU_ASSERT_EQUAL(pending_count(s->table), 0);
	free(model);
	stand_destroy(s);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_lines_keep_order_through_removals),
		CHECK_TEST(test_young_line_takes_what_keeps_its_order),
		CHECK_TEST(test_removed_ones_never_come),
		CHECK_TEST(test_wheel_holds_more_than_one_turn),
		CHECK_TEST(test_a_long_pause_leaves_nothing_behind),
		CHECK_TEST(test_due_ones_may_be_scheduled_again),
		CHECK_TEST(test_times_in_the_past_come_at_once),
		CHECK_TEST(test_random_use_against_an_array),
	};
	return check_main("schedule", tests, sizeof(tests) / sizeof(tests[0]));
}
