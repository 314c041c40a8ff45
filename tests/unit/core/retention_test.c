/* What may leave the log, and when: nothing that is open, referred to, needed by a snapshot or by whoever reads the log
 * behind us, or that a power cut may open again. */
#include "broker/core/inspect.h"
#include "broker/core/pop.h"
#include "tests/unit/core/retention_fixture.h"

#include "lib/base/logging.h"
#include "lib/index/snapshot_file.h"
#include "lib/wire/headers.h"

/* The key of a half that was decided so long ago that the log holds nothing of it is not taken for its resend. */
static void test_a_key_is_free_again_when_its_half_is_gone(void)
{
	struct fixture *f = create();
	struct sent sent = { .topic = "t", .key = "order-1", .half = true };
	struct send_result first = must_send(f, sent), second, again;

	commit_late(f, &first);
	CU_ASSERT_EQUAL(must_send(f, sent).queue_offset, first.queue_offset);
	grow(f, 8);
	CU_ASSERT_TRUE(commitlog_start(f->log) > first.log_offset);
	second = must_send(f, sent);
	CU_ASSERT_NOT_EQUAL(second.queue_offset, first.queue_offset);
	again = must_send(f, sent);
	CU_ASSERT_EQUAL(again.queue_offset, second.queue_offset);
	fixture_disk(f, true);
	fixture_restart(f);
	again = must_send(f, sent);
	CU_ASSERT_EQUAL(again.queue_offset, second.queue_offset);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	commit_late(f, &second);
	fixture_destroy(f);
}

static size_t half_pages(const struct fixture *f)
{
	const struct entry_array *array = &f->core->halves.array;
	size_t count = 0;

	for (uint32_t i = 0; i < array->page_count; i++)
		count += array->pages[i] != ENTRY_NO_PAGE;
	return count;
}

/* The index forgets what was decided after an open half and is of the past; that half's own decision it remembers for as
 * long as any other's, however old the half. */
static void test_an_old_open_half_keeps_only_itself(void)
{
	enum { HALVES = 3000 };
	struct fixture *f = create();
	struct send_result old = must_send(f, (struct sent){ .topic = "t", .key = "old", .half = true }), gone = { 0 }, half;
	struct outcome outcome = { 0 };
	char key[16];

	for (int i = 0; i < HALVES; i++) {
		snprintf(key, sizeof(key), "half-%d", i);
		half = must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		commit_late(f, &half);
		fixture_disk(f, true);
		gone = i == HALVES / 2 ? half : gone;
	}
	CU_ASSERT_TRUE(half_pages(f) >= HALVES * HALF_ENTRY_SIZE / PAGEFILE_PAGE_SIZE);
	grow(f, 10);
	CU_ASSERT_TRUE(commitlog_start(f->log) > half.log_offset);
	CU_ASSERT_TRUE(half_pages(f) <= 2); /* Its own, and the last one. */
	fixture_restart(f);
	CU_ASSERT_TRUE(half_pages(f) <= 2);
	CU_ASSERT_EQUAL(fixture_end(f, &gone, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	commit_late(f, &old);
	fixture_disk(f, true);
	grow(f, 1);
	commit_late(f, &old);
	CU_ASSERT_EQUAL(half_index_min(&f->core->halves), old.queue_offset);
	grow(f, 10);
	CU_ASSERT_EQUAL(half_index_min(&f->core->halves), HALVES + 1);
	fixture_destroy(f);
}

/* Whoever projects the log elsewhere says how far he has come; what is behind that stays. */
static void test_the_log_waits_for_whoever_reads_it(void)
{
	struct fixture *f = create();
	uint64_t pin = commitlog_appended(f->log) + SEGMENT;

	core_set_log_pin(f->core, pin);
	grow(f, 10);
	CU_ASSERT_TRUE(commitlog_start(f->log) <= pin);
	CU_ASSERT_TRUE(commitlog_start(f->log) + SEGMENT >= pin - SEGMENT); /* And no more than that. */
	core_set_log_pin(f->core, UINT64_MAX);
	grow(f, 1);
	CU_ASSERT_TRUE(commitlog_start(f->log) > pin + 3 * SEGMENT);
	fixture_destroy(f);
}

/* A decision lets its half go, but a power cut may take the decision back. */
static void test_a_decision_frees_nothing_before_it_is_durable(void)
{
	struct fixture *f = create_with(0, SEGMENT / 2);
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_disk(f, true);
	grow(f, 8);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	f->core->config.retention_bytes = SEGMENT; /* Nothing was carried until now, and all the rest may go. */
	for (int i = 0; i < 10; i++)
		core_tick(f->core); /* The disk stands still. */
	CU_ASSERT_TRUE(commitlog_start(f->log) <= half.log_offset);
	memdisk_crash(f->disk, 1);
	fixture_close(f);
	fixture_open(f);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	fixture_destroy(f);
}

/* A snapshot speaks of records that must not be lost after it. */
static void test_a_snapshot_waits_for_the_disk(void)
{
	struct fixture *f = create();
	struct outcome outcome;
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	fixture_disk(f, true);
	uint64_t taken = snapshotter_stats(f->snapshotter).taken;
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 100; i++)
		fixture_snapshot_step(f);
	CU_ASSERT_TRUE(snapshotter_busy(f->snapshotter));
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, taken);
	memdisk_crash(f->disk, 1);
	fixture_close(f);
	fixture_open(f);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 100; i++) {
		fixture_disk(f, true);
		fixture_snapshot_step(f);
	}
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, 1);
	fixture_destroy(f);
}

/* Nor is it finished before the index pages that it names are in their file. */
static void test_a_snapshot_waits_for_the_index(void)
{
	struct fixture *f = create();
	struct errinfo err;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 100; i++) { /* Without a job of the index. */
		snapshotter_step(f->snapshotter);
		struct snapshot_job *job = snapshotter_take(f->snapshotter);
		if (job != NULL) {
			snapshot_job_run(job);
			CU_ASSERT_EQUAL_FATAL(snapshotter_done(f->snapshotter, &err), ST_OK);
		}
	}
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, 0);
	for (int i = 0; i < 100; i++)
		fixture_snapshot_step(f);
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).taken, 1);
	fixture_destroy(f);
}

/* The newest snapshot is damaged: the log still holds what the older one needs, however little of it is to be kept. */
static void test_the_older_snapshot_keeps_its_log(void)
{
	struct fixture *f = create_with(SEGMENT, 3 * SEGMENT);
	struct outcome outcome;
	struct send_result half;
	uint64_t newest = 0;
	size_t count = 0, size;
	char path[64];

	grow(f, 12);
	half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", &newest, 1, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	CU_ASSERT_TRUE(commitlog_start(f->log) > LOG_SEGMENT_HEADER_SIZE);
	snprintf(path, sizeof(path), "/store/snapshots/%020llu", (unsigned long long)newest);
	uint8_t *bytes = memdisk_data(f->disk, path, &size), damaged[8 * 1024];
	CU_ASSERT_FATAL(size <= sizeof(damaged));
	memcpy(damaged, bytes, size);
	damaged[100] ^= 1;
	memdisk_put(f->disk, path, damaged, size);
	fixture_restart(f);
	CU_ASSERT_TRUE(f->store.snapshot_from < newest);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_destroy(f);
}

/* A segment is lost, and with it the body of something open: told at the start, not when it is committed. */
static void check_lost_body(struct sent sent, const char *words)
{
	struct fixture *f = create_with(0, 0);
	struct errinfo err = { ST_OK, "" };

	struct send_result result = must_send(f, sent);
	struct outcome outcome;
	grow(f, 2);
	if (sent.half && sent.delay_level > 0)
		CU_ASSERT_EQUAL(fixture_end(f, &result, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_snapshot(f);
	fixture_close(f);
	memdisk_kill(f->disk);
	CU_ASSERT_TRUE_FATAL(memdisk_remove(f->disk, "/store/commitlog/00000000000000000000"));
	CU_ASSERT_EQUAL(fixture_try_open(f, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, words));
	memdisk_destroy(f->disk);
	free(f);
}

static void test_a_lost_body_is_told_at_the_start(void)
{
	check_lost_body((struct sent){ .topic = "t", .key = "k", .half = true }, "the body of open half message 0");
	check_lost_body((struct sent){ .topic = "t", .key = "k", .delay_level = 4 }, "the body of a delayed message");
	/* Committed in a segment that is there, to be delivered later. */
	check_lost_body((struct sent){ .topic = "t", .key = "k", .half = true, .delay_level = 18 }, "the body of a delayed message");
}

/* Finding the first entry that the log still holds reads entries; a damaged one is named, with what to do. */
static void test_a_damaged_entry_is_named_to_a_search(void)
{
	struct fixture *f = create();
	struct outcome outcome = { 0 };
	uint64_t offset = 0;
	size_t size = 0;

	grow(f, 6);
	fixture_close(f);
	uint8_t *pages = memdisk_data(f->disk, "/store/index.pages", &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(pages);
	memset(pages, 0x5a, size);
	fixture_open(f);
	enum status status = ST_AGAIN;
	for (int i = 0; i < 10 && status == ST_AGAIN; i++) {
		core_begin_request(f->core);
		status = core_search_offset(f->core, SPAN_LITERAL("bulk"), 0, f->clock.wall_now_ms, false, &offset, &outcome);
		fixture_disk(f, true);
	}
	CU_ASSERT_NOT_EQUAL(status, ST_OK);
	CU_ASSERT_EQUAL(outcome.code, RESP_SYSTEM_ERROR);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "index.pages"));
	fixture_destroy(f);
}

/* Where a queue begins may have to be looked up on the disk; where it ends is known, and told meanwhile. */
static void test_the_end_is_known_before_the_beginning(void)
{
	struct fixture *f = create_with(5 * SEGMENT, SEGMENT / 2);
	struct pull_result result;
	struct outcome outcome = { 0 };

	/* Entries on several pages of the index. */
	for (int i = 0; i < 2500; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		if (i % 20 == 0)
			fixture_store_bulk(f, 1);
	}
	fixture_restart(f);
	struct pull_request request = pull_of(f, "t", 0, 0, "*");
	pagefile_set_read_inline(f->files, false);
	memdisk_set_cold(f->disk, true);
	CU_ASSERT_EQUAL_FATAL(commitlog_drop_oldest(f->log), ST_OK);
	CU_ASSERT_EQUAL_FATAL(core_pull(f->core, &request, &result, &outcome), ST_AGAIN);
	CU_ASSERT_TRUE(result.max_offset > 0);
	fixture_destroy(f);
}

/* A start from a snapshot knows that later records refer into the oldest segment: it stays as long as they are to be read. */
static void test_a_snapshot_knows_who_refers_to_a_segment(void)
{
	struct fixture *f = create_with(KEPT_SEGMENTS * SEGMENT, 0);
	struct pulled p = { .count = 0 };
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });

	grow(f, 2);
	commit_late(f, &half);
	fixture_disk(f, true);
	for (int i = 0; i < 2; i++)
		fixture_snapshot(f); /* Also the older one needs nothing of the oldest segment. */
	CU_ASSERT_EQUAL(f->core->carrying.carried_count, 0);
	fixture_restart(f);
	grow(f, 2);
	CU_ASSERT_TRUE(commitlog_appended(f->log) >= (KEPT_SEGMENTS + 1) * SEGMENT);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Delivered late, a message is read as long as those that came to their queues when it did; its body lies where it was sent. */
static void test_a_delivered_message_stays_as_long_as_its_delivery(void)
{
	struct fixture *f = create_with(KEPT_SEGMENTS * SEGMENT, SEGMENT / 2);
	struct pulled p = { .count = 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .delay_level = 4 });
	grow(f, 2);
	fixture_advance(f, 20 * 1000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	grow(f, 2);
	CU_ASSERT_EQUAL(f->core->carrying.carried_count, 0);
	CU_ASSERT_TRUE(commitlog_appended(f->log) >= (KEPT_SEGMENTS + 1) * SEGMENT);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	grow(f, 3); /* But no longer. */
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* A segment that has expired and is kept, as later records refer into it, may name messages whose bodies went before: a queue
 * does not begin with one of those, and it begins where it says. */
static void test_a_queue_begins_with_what_can_be_read(void)
{
	struct fixture *f = create();
	struct send_result gone = must_send(f, (struct sent){ .topic = "t", .key = "gone", .half = true }), kept;
	struct queue_range range;
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	grow(f, 1);
	kept = must_send(f, (struct sent){ .topic = "t", .key = "kept", .half = true });
	commit_late(f, &gone);
	uint64_t decided = commitlog_appended(f->log);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "plain" });
	grow(f, 2);
	commit_late(f, &kept);
	fixture_disk(f, true);
	while (commitlog_start(f->log) <= gone.log_offset)
		grow(f, 1);
	CU_ASSERT_TRUE_FATAL(commitlog_start(f->log) < decided);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("t"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.min_offset, 1);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, range.min_offset, "*", &p), 2);
	CU_ASSERT_EQUAL(p.messages[0].queue_offset, 1);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Nor does it take a segment for expired whose newest message is young. */
static void test_a_snapshot_knows_how_old_a_segment_is(void)
{
	struct fixture *f = create_with(0, 0);

	f->config.retention_ms = 3600 * 1000;
	fixture_restart(f);
	grow(f, 3);
	for (int i = 0; i < 2; i++)
		fixture_snapshot(f);
	fixture_restart(f);
	fixture_advance(f, 1000);
	CU_ASSERT_EQUAL(commitlog_start(f->log), LOG_SEGMENT_HEADER_SIZE);
	fixture_advance(f, 3600 * 1000);
	CU_ASSERT_TRUE(commitlog_start(f->log) > LOG_SEGMENT_HEADER_SIZE);
	fixture_destroy(f);
}

/* Operators see by it how long messages are kept; after a start from a snapshot, too, which replays only what is behind it. */
static void test_how_far_back_the_log_reaches_is_known(void)
{
	struct fixture *f = create_with(0, 0);

	CU_ASSERT_EQUAL(inspect_store(f->core).earliest_ms, -1);
	for (int i = 0; i < 3; i++)
		fixture_store_bulk(f, HOUR_MS);
	CU_ASSERT_EQUAL(inspect_store(f->core).earliest_ms, FIXTURE_WALL_MS);
	for (int i = 0; i < 2; i++) {
		fixture_snapshot(f);
		fixture_restart(f);
		CU_ASSERT_EQUAL(inspect_store(f->core).earliest_ms, FIXTURE_WALL_MS);
		fixture_store_bulk(f, HOUR_MS);
	}
	CU_ASSERT_EQUAL(inspect_store(f->core).earliest_ms, FIXTURE_WALL_MS);
	fixture_destroy(f);
}

/* It moves on with each segment that goes, those from before the start too. */
static void test_how_far_back_the_log_reaches_moves_on(void)
{
	struct fixture *f = create();
	struct outcome outcome = { 0 };
	int64_t first_ms = 0;

	grow_slowly(f, 6, 1000); /* And its snapshots. */
	fixture_restart(f);
	for (int i = 0; i < 4; i++) {
		CU_ASSERT_EQUAL(core_earliest_time(f->core, SPAN_LITERAL("bulk"), 0, &first_ms, &outcome), ST_OK);
		CU_ASSERT_TRUE(first_ms > FIXTURE_WALL_MS + i * 1000);
		CU_ASSERT_TRUE(inspect_store(f->core).earliest_ms <= first_ms);
		CU_ASSERT_TRUE(inspect_store(f->core).earliest_ms >= first_ms - 1000);
		grow_slowly(f, 1, 1000);
	}
	fixture_destroy(f);
}

/* The other decision is refused also when the log does not hold the first one any more: the index knows how it ended. */
static void test_the_opposite_is_refused_long_after_the_decision(void)
{
	struct fixture *f = create();
	struct outcome outcome = { 0 };
	struct send_result halves[3];
	static const enum record_outcome decided[] = { OUTCOME_COMMIT, OUTCOME_ROLLBACK };
	static const char *const keys[] = { "open", "committed", "rolled back" };

	/* As long as an older one is open, the index keeps them all. */
	for (size_t i = 0; i < 3; i++)
		halves[i] = must_send(f, (struct sent){ .topic = "t", .key = keys[i], .half = true });
	for (size_t i = 0; i < 2; i++)
		CU_ASSERT_EQUAL(fixture_end(f, &halves[i + 1], decided[i], false, &outcome), ST_OK);
	grow(f, 8);
	CU_ASSERT_TRUE(commitlog_start(f->log) > halves[2].log_offset);
	for (size_t i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(fixture_end(f, &halves[i + 1], decided[i], false, &outcome), ST_OK);
		CU_ASSERT_EQUAL(fixture_end(f, &halves[i + 1], decided[1 - i], false, &outcome), ST_DENIED);
		CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	}
	CU_ASSERT_EQUAL(core_stats(f->core).refused_count, 2);
	fixture_destroy(f);
}

/* Given out in order, never acknowledged, and past its retention: nobody waits for it. */
static void test_what_is_gone_is_not_checked_out_any_more(void)
{
	struct fixture *f = create();
	struct pop_header header = { .consumer_group = SPAN_LITERAL("readers"), .topic = SPAN_LITERAL("t"), .queue_id = 0,
				     .max_msg_nums = 32, .invisible_ms = 10 * 1000, .order = true };
	struct pop_request request;
	struct pop_result result;
	struct outcome outcome = { 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "gone" });
	fixture_disk(f, true);
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL_FATAL(core_prepare_pop(f->core, &header, &request, &outcome), ST_OK);
		CU_ASSERT_EQUAL_FATAL(core_pop(f->core, &request, &result, &outcome), ST_OK);
		CU_ASSERT_EQUAL(result.count, 1);
		CU_ASSERT_EQUAL(f->core->pops.live, 1);
		grow(f, 8);
		fixture_advance(f, 11 * 1000);
		(void)must_send(f, (struct sent){ .topic = "t", .key = "there" });
		fixture_disk(f, true);
	}
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_key_is_free_again_when_its_half_is_gone),
		CHECK_TEST(test_an_old_open_half_keeps_only_itself),
		CHECK_TEST(test_the_log_waits_for_whoever_reads_it),
		CHECK_TEST(test_a_decision_frees_nothing_before_it_is_durable),
		CHECK_TEST(test_a_snapshot_waits_for_the_disk),
		CHECK_TEST(test_a_snapshot_waits_for_the_index),
		CHECK_TEST(test_the_older_snapshot_keeps_its_log),
		CHECK_TEST(test_a_lost_body_is_told_at_the_start),
		CHECK_TEST(test_a_damaged_entry_is_named_to_a_search),
		CHECK_TEST(test_the_end_is_known_before_the_beginning),
		CHECK_TEST(test_a_snapshot_knows_who_refers_to_a_segment),
		CHECK_TEST(test_a_delivered_message_stays_as_long_as_its_delivery),
		CHECK_TEST(test_a_queue_begins_with_what_can_be_read),
		CHECK_TEST(test_a_snapshot_knows_how_old_a_segment_is),
		CHECK_TEST(test_how_far_back_the_log_reaches_is_known),
		CHECK_TEST(test_how_far_back_the_log_reaches_moves_on),
		CHECK_TEST(test_the_opposite_is_refused_long_after_the_decision),
		CHECK_TEST(test_what_is_gone_is_not_checked_out_any_more),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("retention", tests, sizeof(tests) / sizeof(tests[0]));
}
