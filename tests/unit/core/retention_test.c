/* What may leave the log, and when: nothing that is open, referred to, needed by a snapshot or by whoever reads the log
 * behind us, or that a power cut may open again. */
#include "broker/core/pop.h"
#include "broker/core/recall.h"
#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "lib/index/snapshot_file.h"
#include "lib/wire/headers.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, KEPT_SEGMENTS = 3 };

static struct fixture *create_from(struct core_config config)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->segment_size = config.segment_bytes;
	f->disk = memdisk_create();
	f->config = config;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

static struct fixture *create_with(uint64_t retention_bytes, uint64_t snapshot_bytes)
{
	struct core_config config = fixture_config();

	config.retention_bytes = retention_bytes;
	config.snapshot_bytes = snapshot_bytes;
	config.segment_bytes = SEGMENT;
	return create_from(config);
}

static struct fixture *create(void)
{
	return create_with(KEPT_SEGMENTS * SEGMENT, SEGMENT / 2);
}

/* One message, and what follows from it. */
static void store_one(struct fixture *f, int64_t advance_ms)
{
	static char body[4000];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { (const uint8_t *)body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_snapshot_step(f);
	clock_manual_advance(&f->clock, advance_ms);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	fixture_disk(f, true);
}

/* Messages, snapshots and ticks until the log has grown by so many segments. */
static void grow_slowly(struct fixture *f, unsigned segments, int64_t advance_ms)
{
	uint64_t until = commitlog_appended(f->log) + (uint64_t)segments * SEGMENT;

	while (commitlog_appended(f->log) < until)
		store_one(f, advance_ms);
}

static void grow(struct fixture *f, unsigned segments)
{
	grow_slowly(f, segments, 1);
}

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

/* Decided, once its record can be read. */
static void commit_late(struct fixture *f, const struct send_result *half)
{
	struct outcome outcome = { 0 };
	enum status status;

	while ((status = fixture_end(f, half, OUTCOME_COMMIT, false, &outcome)) == ST_AGAIN)
		fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
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

static struct send_result send_half(struct fixture *f, size_t size)
{
	static uint8_t body[64 * 1024];
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct send_request request = { .producer_group = SPAN_LITERAL("producers"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { body, size }, .max_reconsume_times = -1, .conn_id = PRODUCER,
					.properties = SPAN_LITERAL("TRAN_MSG\001true\002") };

	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	return result;
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

/* --- by age ------------------------------------------------------------------------------------------------------------- */

#define HOUR_MS (3600 * 1000ll)
enum { PINNED = 4 }; /* Segments that the older snapshot needs, or that were written after it. */
#define TEN_YEARS_MS (10 * 365 * 24 * HOUR_MS)

/* Three days, as by default; 16 messages fill a segment. */
static struct fixture *create_aging(void)
{
	struct core_config config = fixture_config();

	config.retention_ms = 72 * HOUR_MS;
	config.snapshot_bytes = SEGMENT / 2;
	config.segment_bytes = SEGMENT;
	return create_from(config);
}

/* Ticks each minute. */
static void idle(struct fixture *f, int64_t ms)
{
	for (; ms > 0; ms -= 60 * 1000) {
		clock_manual_advance(&f->clock, 60 * 1000);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		core_tick(f->core);
		fixture_disk(f, true);
	}
}

static void jump(struct fixture *f, int64_t by_ms)
{
	f->clock.wall_now_ms += by_ms;
}

static size_t kept(const struct fixture *f)
{
	return f->core->retention.count;
}

static void test_what_is_old_goes(void)
{
	struct fixture *f = create_aging();

	grow_slowly(f, 10, 1000);
	idle(f, 71 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) > 10);
	idle(f, 2 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) <= PINNED);
	fixture_destroy(f);
}

/* Much less is to be kept from one moment to the next: it goes in steps, between which the broker serves. */
static void test_much_goes_in_steps(void)
{
	struct fixture *f = create_aging();

	grow_slowly(f, 100, 1000);
	size_t before = kept(f);
	CU_ASSERT_TRUE_FATAL(before > 90);
	f->core->config.retention_bytes = SEGMENT;
	core_tick(f->core);
	CU_ASSERT_EQUAL(kept(f), before - 32);
	for (int i = 0; i < 5; i++)
		core_tick(f->core);
	CU_ASSERT_TRUE(kept(f) <= PINNED);
	fixture_destroy(f);
}

/* The clock was ten years ahead for one message, which is in every stored time since. */
static void check_ten_days_after(bool with_restarts)
{
	struct fixture *f = create_aging();

	jump(f, TEN_YEARS_MS);
	store_one(f, 10);
	jump(f, -TEN_YEARS_MS);
	for (int day = 0; day < 10; day++) {
		grow_slowly(f, 4, HOUR_MS / 4);
		idle(f, 8 * HOUR_MS);
		if (with_restarts)
			fixture_restart(f);
	}
	CU_ASSERT_TRUE(kept(f) >= 4 * 3);
	CU_ASSERT_TRUE(kept(f) <= 4 * 4 + PINNED);
	fixture_destroy(f);
}

static void test_one_wrong_time_does_not_end_retention(void)
{
	check_ten_days_after(false);
	check_ten_days_after(true);
}

static void test_a_tick_of_a_wrong_clock_drops_nothing(void)
{
	struct fixture *f = create_aging();
	size_t before;

	grow_slowly(f, 10, 1000);
	before = kept(f);
	jump(f, TEN_YEARS_MS);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	jump(f, -TEN_YEARS_MS);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(kept(f), before);
	fixture_destroy(f);
}

/* A wall clock that stays where it jumped to is believed, but nothing is older for that; nor does anything stay for good when
 * it jumps back. */
static void test_a_clock_that_was_set_makes_nothing_older(void)
{
	struct fixture *f = create_aging();
	size_t before;

	for (int back = 0; back < 2; back++) {
		grow_slowly(f, 10, 1000);
		before = kept(f);
		jump(f, back != 0 ? -TEN_YEARS_MS : TEN_YEARS_MS);
		idle(f, 70 * HOUR_MS);
		CU_ASSERT_EQUAL(kept(f), before);
		grow_slowly(f, 2, 1000);
		idle(f, 4 * HOUR_MS);
		CU_ASSERT_TRUE(kept(f) <= PINNED);
	}
	fixture_destroy(f);
}

/* Started with a clock that is far ahead; it is set right soon. */
static void test_a_start_with_a_wrong_clock_drops_nothing(void)
{
	struct fixture *f = create_aging();
	size_t before;

	grow_slowly(f, 10, 1000);
	fixture_close(f);
	jump(f, TEN_YEARS_MS);
	fixture_open(f);
	before = kept(f);
	idle(f, HOUR_MS / 2);
	jump(f, -TEN_YEARS_MS);
	idle(f, 70 * HOUR_MS);
	CU_ASSERT_EQUAL(kept(f), before);
	idle(f, 4 * HOUR_MS);
	CU_ASSERT_TRUE(kept(f) < before);
	fixture_destroy(f);
}

/* Down over a long weekend: consumers have an hour before what is too old goes. So it is when the machine stood still. */
static void test_there_is_a_grace_after_a_long_absence(void)
{
	for (int stood_still = 0; stood_still < 2; stood_still++) {
		struct fixture *f = create_aging();
		size_t before;

		grow_slowly(f, 10, 1000);
		clock_manual_advance(&f->clock, 100 * HOUR_MS);
		if (!stood_still)
			fixture_restart(f);
		before = kept(f);
		idle(f, HOUR_MS - 2 * 60 * 1000);
		CU_ASSERT_EQUAL(kept(f), before);
		idle(f, 4 * 60 * 1000);
		CU_ASSERT_TRUE(kept(f) <= PINNED);
		fixture_destroy(f);
	}
}

/* A topic with a shorter time of its own. */
static void test_a_topic_hides_nothing_for_a_wrong_clock(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	topics_find_any(f->core->topics, SPAN_LITERAL("t"))->reserve_ms = HOUR_MS;
	jump(f, TEN_YEARS_MS);
	idle(f, 5 * 60 * 1000);
	jump(f, -TEN_YEARS_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Set forward for good: what was stored by the old time is no older for that. */
static void test_a_topic_hides_nothing_for_a_clock_that_was_set(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6 };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	topics_find_any(f->core->topics, SPAN_LITERAL("t"))->reserve_ms = HOUR_MS;
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	for (int set = 0; set < 2; set++) {
		idle(f, HOUR_MS / 10);
		jump(f, TEN_YEARS_MS);
		idle(f, HOUR_MS / 4);
	}
	(void)must_send(f, (struct sent){ .topic = "t", .key = "later" });
	fixture_disk(f, true);
	idle(f, HOUR_MS / 5);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 2);
	idle(f, HOUR_MS / 5);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 1, "*", &p), 1);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	idle(f, HOUR_MS);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 1, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Nor right after an absence: consumers have their hour there, too. */
static void test_a_topic_has_the_grace_of_the_log(void)
{
	struct fixture *f = create_aging();
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6,
					   .attributes = SPAN_LITERAL("{\"reserve.time\":\"3600000\"}") };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	clock_manual_advance(&f->clock, 10 * HOUR_MS);
	fixture_restart(f);
	idle(f, HOUR_MS - 2 * 60 * 1000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	idle(f, 4 * 60 * 1000);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 0);
	pulled_free(&p);
	fixture_destroy(f);
}

/* --- from the disk, and not too much at once --------------------------------------------------------------------------- */

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
		store_one(f, 1);
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
		CHECK_TEST(test_a_body_that_became_too_large_holds_up_no_other),
		CHECK_TEST(test_a_damaged_body_holds_up_no_other),
		CHECK_TEST(test_late_decisions_do_not_hold_the_log_one_after_the_other),
		CHECK_TEST(test_a_key_is_free_again_when_its_half_is_gone),
		CHECK_TEST(test_an_old_open_half_keeps_only_itself),
		CHECK_TEST(test_the_log_waits_for_whoever_reads_it),
		CHECK_TEST(test_a_decision_frees_nothing_before_it_is_durable),
		CHECK_TEST(test_a_carried_half_is_still_to_be_seen),
		CHECK_TEST(test_a_snapshot_waits_for_the_disk),
		CHECK_TEST(test_a_snapshot_waits_for_the_index),
		CHECK_TEST(test_the_older_snapshot_keeps_its_log),
		CHECK_TEST(test_a_lost_body_is_told_at_the_start),
		CHECK_TEST(test_a_damaged_entry_is_named_to_a_search),
		CHECK_TEST(test_what_is_open_does_not_chase_itself),
		CHECK_TEST(test_what_is_old_goes),
		CHECK_TEST(test_much_goes_in_steps),
		CHECK_TEST(test_one_wrong_time_does_not_end_retention),
		CHECK_TEST(test_a_tick_of_a_wrong_clock_drops_nothing),
		CHECK_TEST(test_a_clock_that_was_set_makes_nothing_older),
		CHECK_TEST(test_a_start_with_a_wrong_clock_drops_nothing),
		CHECK_TEST(test_there_is_a_grace_after_a_long_absence),
		CHECK_TEST(test_a_topic_hides_nothing_for_a_wrong_clock),
		CHECK_TEST(test_a_topic_hides_nothing_for_a_clock_that_was_set),
		CHECK_TEST(test_a_topic_has_the_grace_of_the_log),
		CHECK_TEST(test_nobody_waits_for_the_others_disk),
		CHECK_TEST(test_a_body_that_the_disk_never_gives_holds_up_no_other),
		CHECK_TEST(test_a_tick_carries_a_megabyte),
		CHECK_TEST(test_a_snapshot_knows_who_refers_to_a_segment),
		CHECK_TEST(test_a_snapshot_knows_how_old_a_segment_is),
		CHECK_TEST(test_the_opposite_is_refused_long_after_the_decision),
		CHECK_TEST(test_what_is_gone_is_not_checked_out_any_more),
		CHECK_TEST(test_a_start_knows_where_a_delayed_message_was_carried),
	};
	log_set_level(LOGLEVEL_ERROR);
	return check_main("retention", tests, sizeof(tests) / sizeof(tests[0]));
}
