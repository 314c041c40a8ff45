/* What is open leaves expired segments: all of it, not too much at once, and what cannot be moved holds up no other. */
#include "broker/core/key_query.h"
#include "broker/core/recall.h"
#include "tests/unit/core/retention_fixture.h"

#include "lib/base/logging.h"
#include "lib/wire/headers.h"

static void test_a_delayed_message_outlives_its_segment(void)
{
	struct fixture *f = create();
	struct pulled p = { .count = 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "later", .delay_level = 4 });

	grow(f, 6);
	CU_ASSERT_TRUE(commitlog_start(f->log) > sent.log_offset);
	/* Carried once for each time round, not at each tick. */
	CU_ASSERT_TRUE(f->core->carrying.carried_count >= 1 && f->core->carrying.carried_count <= 3);
	fixture_restart(f);
	grow(f, 4);
	fixture_advance(f, 20000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "later"));
	CU_ASSERT_TRUE(span_is(property_get(p.messages[0].properties, PROPERTY_UNIQ_KEY), "later"));
	pulled_free(&p);
	fixture_destroy(f);
}

/* A timer whose body was carried is recalled by its name as before, also after a start; nothing waits for its body then. */
static void test_a_carried_timer_is_recalled(void)
{
	struct fixture *f = create();
	struct pulled p = { .count = 0 };
	struct outcome outcome = { 0 };
	uint32_t count;
	struct send_result kept = must_send(f, (struct sent){ .topic = "t", .key = "kept", .more = "TIMER_DELAY_SEC\00130\002" });
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "gone", .more = "TIMER_DELAY_SEC\00130\002" });

	grow(f, 6);
	CU_ASSERT_TRUE(commitlog_start(f->log) > sent.log_offset);
	fixture_restart(f);
	grow(f, 1);
	CU_ASSERT_EQUAL(recall_named(f->core, SPAN_LITERAL("t"), SPAN_LITERAL("gone"), sent.recall_at_ms - 1, SPAN_NONE, &count, &outcome),
			ST_OK);
	CU_ASSERT_EQUAL(count, 1);
	grow(f, 6);
	fixture_restart(f);
	grow(f, 1);
	fixture_advance(f, 30000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "kept"));
	CU_ASSERT_TRUE(kept.log_offset < sent.log_offset);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Each half is committed when its segment is next to go: what is long past its time is not held for its sake over and over. */
static void test_late_decisions_do_not_hold_the_log_one_after_the_other(void)
{
	enum { HALVES = 30 };
	struct fixture *f = create();
	struct send_result halves[HALVES];
	size_t decided = 0;
	char key[16];

	for (size_t i = 0; i < HALVES; i++) {
		snprintf(key, sizeof(key), "half-%zu", i);
		halves[i] = must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		grow(f, 1);
		while (decided < i && halves[decided].log_offset < f->core->retention.segments[1].end)
			commit_late(f, &halves[decided++]);
	}
	CU_ASSERT_TRUE(f->core->carrying.carried_count > 0);
	CU_ASSERT_TRUE(f->core->retention.count <= 2 * KEPT_SEGMENTS + 2);
	fixture_destroy(f);
}

/* Whoever looks for an open half by its id finds it also when its record has gone and its body was carried. */
static void test_a_carried_half_is_still_to_be_seen(void)
{
	struct fixture *f = create();
	struct stored_message stored;
	struct errinfo err;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	grow(f, 8);
	CU_ASSERT_TRUE(commitlog_start(f->log) > half.log_offset);
	CU_ASSERT_EQUAL_FATAL(core_half_view(f->core, half.log_offset, &stored, &err), ST_OK);
	CU_ASSERT_EQUAL(stored.message.physical_offset, (int64_t)half.log_offset);
	CU_ASSERT_TRUE(span_is(stored.message.body, "k"));
	fixture_destroy(f);
}

/* "k" in "t", committed with a delay, whose decision's record is past. Before the commit the clock is set back. */
static void outlive_decision(struct fixture *f, unsigned segments, int64_t set_back_ms)
{
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true, .delay_level = 4 });

	f->clock.wall_now_ms -= set_back_ms;
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	commit_late(f, &half);
	uint64_t decided = commitlog_appended(f->log);
	grow(f, segments);
	CU_ASSERT_TRUE_FATAL(commitlog_start(f->log) > decided);
}

static uint64_t waiting_body(const struct fixture *f)
{
	struct delayed waits = { 0 };

	CU_ASSERT_TRUE_FATAL(delays_first(&f->core->delays, &waits));
	return waits.body_offset;
}

static enum status find_by_key(struct fixture *f, uint64_t body_offset, struct stored_message *out)
{
	struct key_query query = { .topic = SPAN_LITERAL("t"), .key = SPAN_LITERAL("k"), .end_ms = INT64_MAX };
	struct errinfo err;

	return core_key_message(f->core, body_offset, &query, out, &err);
}

/* A committed half that waits for its time outlives its decision's record: once delivered it is found by its key all the
 * same. */
static void check_found_by_its_key(int64_t set_back_ms)
{
	struct fixture *f = create();
	struct stored_message stored;

	outlive_decision(f, 8, set_back_ms);
	uint64_t body = waiting_body(f);
	CU_ASSERT_EQUAL(find_by_key(f, body, &stored), ST_NOTFOUND);
	fixture_advance(f, 20000);
	CU_ASSERT_EQUAL_FATAL(find_by_key(f, body, &stored), ST_OK);
	CU_ASSERT_TRUE(span_is(stored.message.body, "k"));
	CU_ASSERT_TRUE((uint64_t)stored.message.physical_offset > body);
	fixture_destroy(f);
}

static void test_a_carried_delayed_half_is_found_by_its_key(void)
{
	check_found_by_its_key(0);
}

/* It comes before it was due by the time of the half. */
static void test_a_carried_delayed_half_is_found_though_the_clock_was_set_back(void)
{
	check_found_by_its_key(HOUR_MS);
}

/* The same in a busy queue: what came before it could be due is not looked at. */
static void test_a_carried_delayed_half_is_found_among_many(void)
{
	enum { SEGMENTS = 8, MANY = 1100 };
	struct fixture *f = create_with(SEGMENTS * SEGMENT, SEGMENT / 2);
	struct stored_message stored;

	outlive_decision(f, 2 * SEGMENTS, 0);
	for (int i = 0; i < MANY; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "other" });
		fixture_disk(f, true);
	}
	fixture_advance(f, 9000);
	uint64_t body = waiting_body(f);
	fixture_advance(f, 20000);
	fixture_advance(f, 20000);
	CU_ASSERT_FALSE(delays_first(&f->core->delays, &(struct delayed){ 0 }));
	CU_ASSERT_EQUAL_FATAL(find_by_key(f, body, &stored), ST_OK);
	CU_ASSERT_TRUE(span_is(stored.message.body, "k"));
	fixture_destroy(f);
}

/* Open ones that come after it are carried, halves and delayed messages; it and its segment stay, and a line says so. */
static void check_others_are_carried(struct fixture *f, const struct send_result *stuck)
{
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "half", .half = true });
	struct send_result delayed = must_send(f, (struct sent){ .topic = "t", .key = "later", .delay_level = 4 });
	struct delayed waits;

	grow(f, 40);
	CU_ASSERT_NOT_EQUAL(pending_find(f->core->pending, half.queue_offset)->body_offset, half.log_offset);
	CU_ASSERT_TRUE_FATAL(delays_first(&f->core->delays, &waits));
	CU_ASSERT_EQUAL(waits.naming_offset, delayed.log_offset);
	CU_ASSERT_NOT_EQUAL(waits.body_offset, delayed.log_offset);
	CU_ASSERT_EQUAL(pending_find(f->core->pending, stuck->queue_offset)->body_offset, stuck->log_offset);
	CU_ASSERT_TRUE(commitlog_start(f->log) < stuck->log_offset);
	CU_ASSERT_EQUAL(f->core->carrying.left_count, 1); /* Not at each tick. */
}

/* Segments of the first run take a half that those of the second do not. */
static void test_a_body_that_became_too_large_holds_up_no_other(void)
{
	struct core_config config = fixture_config();
	struct outcome outcome = { 0 };

	config.retention_bytes = KEPT_SEGMENTS * SEGMENT;
	config.snapshot_bytes = SEGMENT / 2;
	config.segment_bytes = 4 * SEGMENT;
	config.max_message_size = 100 * 1024;
	struct fixture *f = create_from(config);
	struct send_result large = send_half(f, 60 * 1024);
	f->segment_size = f->config.segment_bytes = SEGMENT;
	fixture_restart(f);
	grow(f, 12);
	check_others_are_carried(f, &large);
	/* It can still be decided; then the log goes. */
	CU_ASSERT_EQUAL(fixture_end(f, &large, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	grow(f, 8);
	CU_ASSERT_TRUE(commitlog_start(f->log) > large.log_offset);
	fixture_destroy(f);
}

static void test_a_damaged_body_holds_up_no_other(void)
{
	struct fixture *f = create_with(12 * SEGMENT, SEGMENT / 2); /* More than the ring holds. */
	struct send_result damaged = send_half(f, 1000);
	size_t size;

	grow(f, 10);
	uint8_t *bytes = memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size);
	bytes[damaged.log_offset + 500] ^= 1;
	check_others_are_carried(f, &damaged);
	clock_manual_advance(&f->clock, 3600 * 1000); /* It is tried again, now and then. */
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	CU_ASSERT_EQUAL(f->core->carrying.left_count, 2);
	memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size)[damaged.log_offset + 500] ^= 1;
	clock_manual_advance(&f->clock, 3600 * 1000);
	grow(f, 4);
	CU_ASSERT_TRUE(commitlog_start(f->log) > damaged.log_offset);
	fixture_destroy(f);
}

static uint64_t bytes_since(const struct fixture *f, uint64_t before)
{
	return commitlog_appended(f->log) - before;
}

/* What is open takes twice the room that the log should: a broker that nobody uses rests, and one that is used lets the log
 * grow to some times of what is open, not for ever, and writes as much again as its clients do at most. */
static void test_what_is_open_does_not_chase_itself(void)
{
	enum { HALVES = 300, OPEN_BYTES = HALVES * 1300, OPEN_SEGMENTS = OPEN_BYTES / SEGMENT + 1 };
	struct fixture *f = create();
	uint64_t before;

	for (int i = 0; i < HALVES; i++)
		(void)send_half(f, 1000);
	before = commitlog_appended(f->log);
	for (int i = 0; i < 2000; i++) {
		core_tick(f->core);
		fixture_disk(f, true);
		fixture_snapshot_step(f);
	}
	CU_ASSERT_TRUE(bytes_since(f, before) < 2 * SEGMENT);
	CU_ASSERT_TRUE(f->core->carrying.warn_after_ms > 0); /* Said, once. */
	before = f->core->carrying.carried_count;
	grow(f, 100);
	CU_ASSERT_TRUE(f->core->carrying.carried_count - before > HALVES);
	CU_ASSERT_TRUE((f->core->carrying.carried_count - before) * (OPEN_BYTES / HALVES) < 55 * SEGMENT);
	CU_ASSERT_TRUE(f->core->retention.count < 3 * OPEN_SEGMENTS);
	fixture_destroy(f);
}

/* Halves and delayed messages that are only on the disk, and past their time with the next tick. */
static struct fixture *create_cold(unsigned count, struct send_result *halves)
{
	struct fixture *f = create_aging();

	for (unsigned i = 0; i < count; i++) {
		halves[i] = send_half(f, 1000);
		(void)must_send(f, (struct sent){ .topic = "t", .key = "later", .more = "TIMER_DELAY_SEC\001259200\002" });
	}
	grow_slowly(f, 12, 1000);
	idle(f, 2 * HOUR_MS);
	memdisk_set_cold(f->disk, true);
	f->core->config.retention_ms = HOUR_MS;
	return f;
}

static size_t take_own_reads(struct fixture *f, uint64_t *offsets, size_t max)
{
	size_t count = 0;
	uint32_t size;

	while (count < max && core_take_own_read(f->core, &offsets[count], &size)) {
		CU_ASSERT_TRUE(size > 0);
		count++;
	}
	return count;
}

/* Several are asked for at once, of both kinds in turn; what was read is carried. */
static void test_nobody_waits_for_the_others_disk(void)
{
	struct send_result halves[4];
	struct fixture *f = create_cold(4, halves);
	uint64_t offsets[32];
	size_t count;

	fixture_advance(f, 100);
	count = take_own_reads(f, offsets, 32);
	CU_ASSERT_EQUAL_FATAL(count, 8);
	for (size_t i = 0; i < 4; i++) {
		CU_ASSERT_TRUE(offsets[2 * i] == halves[i].log_offset || offsets[2 * i + 1] == halves[i].log_offset);
		CU_ASSERT_TRUE(offsets[2 * i] > halves[i].log_offset || offsets[2 * i + 1] > halves[i].log_offset);
	}
	CU_ASSERT_EQUAL(f->core->carrying.carried_count, 0);
	memdisk_set_cold(f->disk, false);
	fixture_advance(f, 100);
	CU_ASSERT_EQUAL(f->core->carrying.carried_count, 8);
	CU_ASSERT_EQUAL(take_own_reads(f, offsets, 32), 0);
	fixture_destroy(f);
}

/* A disk that never gives it: others are carried meanwhile, and after half a minute a line says so. */
static void test_a_body_that_the_disk_never_gives_holds_up_no_other(void)
{
	struct send_result cold;
	struct fixture *f = create_cold(1, &cold);
	struct send_result later = send_half(f, 100);

	grow_slowly(f, 2, 1000);
	idle(f, 2 * HOUR_MS);
	CU_ASSERT_NOT_EQUAL(pending_find(f->core->pending, later.queue_offset)->body_offset, later.log_offset);
	CU_ASSERT_EQUAL(pending_find(f->core->pending, cold.queue_offset)->body_offset, cold.log_offset);
	CU_ASSERT_TRUE(f->core->carrying.left_count > 0);
	memdisk_set_cold(f->disk, false);
	idle(f, HOUR_MS / 2);
	CU_ASSERT_NOT_EQUAL(pending_find(f->core->pending, cold.queue_offset)->body_offset, cold.log_offset);
	fixture_destroy(f);
}

/* Large bodies do not hold up a tick, however many are past their time. */
static void test_a_tick_carries_a_megabyte(void)
{
	enum { HALVES = 200, LARGE = 15 * 1000 };
	struct core_config config = fixture_config();

	config.retention_ms = HOUR_MS;
	config.snapshot_bytes = config.segment_bytes = 8 * 1024 * 1024;
	struct fixture *f = create_from(config);
	fixture_close(f);
	f->ring_size = 8 * 1024 * 1024;
	fixture_open(f);
	for (int i = 0; i < HALVES; i++)
		(void)send_half(f, LARGE);
	uint64_t end = f->core->retention.segments[0].end;
	while (commitlog_appended(f->log) < end)
		fixture_store_bulk(f, 1);
	clock_manual_advance(&f->clock, 2 * HOUR_MS);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	for (int i = 1; i <= 2; i++) {
		core_tick(f->core);
		CU_ASSERT_TRUE(f->core->carrying.carried_count * LARGE > (uint64_t)i * 1000 * 1000);
		CU_ASSERT_TRUE(f->core->carrying.carried_count * LARGE < (uint64_t)i * 1100 * 1000);
		fixture_disk(f, true);
	}
	fixture_destroy(f);
}

/* Carried behind the newest snapshot, and its first segment given up: the CARRY alone says where it is. */
static void test_a_start_knows_where_a_delayed_message_was_carried(void)
{
	struct delayed before, after;
	struct fixture *f = create_with(KEPT_SEGMENTS * SEGMENT, 0);
	struct pulled p = { .count = 0 };
	struct send_result sent = must_send(f, (struct sent){ .topic = "t", .key = "later", .delay_level = 4 });

	grow(f, 2);
	for (int i = 0; i < 2; i++)
		fixture_snapshot(f);
	grow(f, 8); /* Carried more than once: the last place counts. */
	CU_ASSERT_TRUE(commitlog_start(f->log) > sent.log_offset);
	CU_ASSERT_TRUE(f->core->carrying.carried_count > 1);
	CU_ASSERT_TRUE_FATAL(delays_first(&f->core->delays, &before));
	fixture_restart(f);
	CU_ASSERT_TRUE_FATAL(delays_first(&f->core->delays, &after));
	CU_ASSERT_EQUAL(after.body_offset, before.body_offset);
	fixture_advance(f, 20000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_delayed_message_outlives_its_segment),
		CHECK_TEST(test_a_carried_timer_is_recalled),
		CHECK_TEST(test_late_decisions_do_not_hold_the_log_one_after_the_other),
		CHECK_TEST(test_a_carried_half_is_still_to_be_seen),
		CHECK_TEST(test_a_carried_delayed_half_is_found_by_its_key),
		CHECK_TEST(test_a_carried_delayed_half_is_found_though_the_clock_was_set_back),
		CHECK_TEST(test_a_carried_delayed_half_is_found_among_many),
		CHECK_TEST(test_a_body_that_became_too_large_holds_up_no_other),
		CHECK_TEST(test_a_damaged_body_holds_up_no_other),
		CHECK_TEST(test_what_is_open_does_not_chase_itself),
		CHECK_TEST(test_nobody_waits_for_the_others_disk),
		CHECK_TEST(test_a_body_that_the_disk_never_gives_holds_up_no_other),
		CHECK_TEST(test_a_tick_carries_a_megabyte),
		CHECK_TEST(test_a_start_knows_where_a_delayed_message_was_carried),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("carrying", tests, sizeof(tests) / sizeof(tests[0]));
}
