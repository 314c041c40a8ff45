/* Retention on top of snapshots: what goes, what stays, what is carried, also when the power goes, sizes change and the disk is
 * full. */
#include "tests/unit/core/pop_fixture.h"
#include "tests/unit/core/snapshot_fixture.h"

static void test_retention_drops_and_carries(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 11);
	struct send_result old = must_send(f, (struct sent){ .topic = "orders", .key = "old-half", .half = true });
	struct send_result cold = must_send(f, (struct sent){ .topic = "orders", .key = "old-too", .half = true });
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	t->keeps = true;
	run(t, 12000);
	CU_ASSERT(commitlog_start(f->log) > 4 * LOG_SEGMENT_SIZE_MIN);
	CU_ASSERT(f->core->carrying.carried_count > 0);
	/* Its segment is long gone, its names are what they were. */
	CU_ASSERT(old.log_offset < commitlog_start(f->log));
	/* The disk holds about what it may: twice the limit at most, and what is prepared. */
	CU_ASSERT(commitlog_disk_bytes(f->log) <= 10 * LOG_SEGMENT_SIZE_MIN);
	fixture_disk(f, true);
	fixture_restart(f);
	t->open_count = 0;
	enum status status = fixture_end(f, &old, OUTCOME_COMMIT, false, &outcome);
	CU_ASSERT_EQUAL(status, ST_OK);
	fixture_disk(f, true);
	const struct queue *queue = topic_queue(topics_find(core_topics(f->core), SPAN_LITERAL("orders")), 0);
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, queue->visible_offset - 1, "*", &p), 1);
	CU_ASSERT_TRUE(span_is(p.messages[0].body, "old-half"));
	CU_ASSERT_EQUAL((uint64_t)p.messages[0].prepared_transaction_offset, old.log_offset);
	/* And an operator finds the other one by its first offset. */
	CU_ASSERT_EQUAL(core_operator_decide(f->core, cold.log_offset, OUTCOME_ROLLBACK, SPAN_LITERAL("op"), &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_end(f, &cold, OUTCOME_COMMIT, false, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_ILLEGAL_OPERATION);
	/* What is gone cannot be read, and the queue says where it begins. */
	struct queue_range range;
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("orders"), 1, &range, &outcome), ST_OK);
	CU_ASSERT(range.min_offset > 0 && range.min_offset < range.max_offset);
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 1, 0, "*", &p), 0);
	CU_ASSERT_EQUAL(p.result.code, RESP_PULL_OFFSET_MOVED);
	CU_ASSERT_EQUAL(p.result.next_offset, range.min_offset);
	CU_ASSERT(fixture_pull(f, "orders", 1, range.min_offset, "*", &p) > 0);
	pulled_free(&p);
	free(t);
	fixture_destroy(f);
}

/* Given out in order and lapsed, and its body is gone while its record is there: it is done with, and what lies behind it is
 * given out once, or not at all if it was acknowledged. */
static void check_gone_body(bool acknowledged)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 12);
	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "gone", .half = true });
	struct popped popped = { 0 };
	struct outcome outcome = { 0 };

	t->keeps = true;
	while (commitlog_appended(f->log) < LOG_SEGMENT_SIZE_MIN + 16 * 1024)
		run(t, 10);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	uint64_t decided = commitlog_appended(f->log) - 1;
	send(f, "k", 0);
	CU_ASSERT_EQUAL_FATAL(pop(f, &in_order, &popped), 2);
	struct pop_handle behind = handle_of(&popped, 1, true);
	if (acknowledged)
		CU_ASSERT_EQUAL(ack(f, &behind), RESP_SUCCESS);
	while (commitlog_start(f->log) < half.log_offset)
		run(t, 10);
	CU_ASSERT(commitlog_start(f->log) < decided);
	lapse(f);
	CU_ASSERT_EQUAL(pop(f, &in_order, &popped), acknowledged ? 0 : 1);
	CU_ASSERT(acknowledged || popped.messages[0].queue_offset == 1);
	CU_ASSERT_EQUAL(f->core->pops.live, acknowledged ? 0 : 1);
	CU_ASSERT_EQUAL(position(f, "t", 0), acknowledged ? 2 : 1);
	buffer_deinit(&popped.bytes);
	free(t);
	fixture_destroy(f);
}

static void test_lapsed_bodies_that_are_gone_bring_no_others(void)
{
	check_gone_body(false);
	check_gone_body(true);
}

static void test_without_snapshots_nothing_goes(void)
{
	struct fixture *f = create_small(2 * LOG_SEGMENT_SIZE_MIN);

	f->config.snapshot_bytes = 0;
	fixture_restart(f);
	struct traffic *t = traffic_create(f, 3);
	run(t, 3000);
	CU_ASSERT_EQUAL(commitlog_start(f->log), LOG_SEGMENT_HEADER_SIZE);
	CU_ASSERT(commitlog_segment_count(f->log) > 4);
	free(t);
	fixture_destroy(f);
}

static void test_topic_keeps_its_messages_for_a_shorter_time(void)
{
	struct fixture *f = fixture_create(NULL);
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = 6,
					   .attributes = SPAN_LITERAL("{\"reserve.time\":\"60000\"}") };
	struct outcome outcome = { 0 };
	struct queue_range range;

	CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("short"), &settings, &outcome), ST_OK);
	for (int i = 0; i < 10; i++) {
		(void)must_send(f, (struct sent){ .topic = "short", .key = "k" });
		fixture_advance(f, 10 * 1000);
	}
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("short"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.min_offset, 4);
	CU_ASSERT_EQUAL(range.max_offset, 10);
	fixture_advance(f, 100 * 1000);
	CU_ASSERT_EQUAL(core_queue_range(f->core, SPAN_LITERAL("short"), 0, &range, &outcome), ST_OK);
	CU_ASSERT_EQUAL(range.min_offset, 10);
	fixture_destroy(f);
}

static void test_power_cuts_while_the_log_goes_round(void)
{
	uint64_t random = check_seed(500);

	for (int round = 0; round < 6; round++) {
		struct fixture *f = create_small(2 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));

		for (int cut = 0; cut < 12; cut++) {
			run(t, (int)(200 + check_random(&random) % 500));
			cut_power(t, check_random(&random));
			fixture_disk(f, true);
			check_same_after_kill(f);
			fixture_heartbeat(f, false);
		}
		free(t);
		fixture_destroy(f);
	}
}

/* Each start with other sizes: whatever the last ones have left serves. */
static void test_sizes_change_between_starts(void)
{
	static const uint64_t segments[] = { 1, 2, 4, 16 }, rings[] = { 1, 2, 8 };
	uint64_t random = check_seed(540);

	for (int round = 0; round < 10; round++) {
		struct fixture *f = create_small(2 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));

		t->keeps = check_random(&random) % 2 == 0;
		for (int cut = 0; cut < 12; cut++) {
			struct send_result sent;
			struct outcome outcome;

			run(t, (int)(100 + check_random(&random) % 500));
			memdisk_crash(f->disk, check_random(&random));
			fixture_close(f);
			f->segment_size = f->config.segment_bytes = segments[check_random(&random) % 4] * LOG_SEGMENT_SIZE_MIN;
			f->ring_size = rings[check_random(&random) % 3] * LOG_RING_SIZE_MIN;
			f->config.retention_bytes = check_random(&random) % 6 * LOG_SEGMENT_SIZE_MIN;
			f->config.snapshot_bytes = (1 + check_random(&random) % 4) * 40 * 1024;
			if (check_random(&random) % 4 == 0)
				(void)memdisk_remove(f->disk, "/store/index.pages");
			fixture_open(f);
			t->open_count = 0;
			fixture_heartbeat(f, false);
			fixture_disk(f, true);
			CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "orders", .key = "now" }, &sent, &outcome), ST_OK);
			fixture_disk(f, true);
			check_same_after_kill(f);
			fixture_heartbeat(f, false);
		}
		free(t);
		fixture_destroy(f);
	}
}

/* --- a full disk --------------------------------------------------------------------------------------------------------- */

static void set_full(struct fixture *f, bool full)
{
	f->full = full;
	memdisk_set_full(f->disk, full);
	commitlog_keep_spares(f->log, !full);
	core_set_disk_level(f->core, full ? DISK_FULL : DISK_OK);
}

/* The disk is full and has space again, at any moment, starts among them. */
static void test_space_comes_and_goes(void)
{
	uint64_t random = check_seed(550);

	for (int round = 0; round < 10; round++) {
		struct fixture *f = create_small((2 + check_random(&random) % 4) * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));

		run(t, 50);
		fixture_snapshot(f); /* The names of all files are durable. */
		for (int change = 0; change < 20; change++) {
			struct send_result sent;
			struct outcome outcome;

			set_full(f, check_random(&random) % 2 == 0);
			run(t, (int)(50 + check_random(&random) % 300));
			if (check_random(&random) % 3 != 0)
				continue;
			memdisk_crash(f->disk, check_random(&random));
			fixture_close(f);
			fixture_open(f);
			check_same_after_kill(f);
			t->open_count = 0;
			fixture_heartbeat(f, false);
			set_full(f, false);
			fixture_disk(f, true);
			CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "orders", .key = "now" }, &sent, &outcome), ST_OK);
		}
		free(t);
		fixture_destroy(f);
	}
}

static enum status start_on_full_disk(struct fixture *f, struct errinfo *err)
{
	struct store_config config = {
		.log = { .root = "/store", .segment_size = f->segment_size, .ring_size = 512 * 1024, .clock = &f->clock.clock },
		.index_cache_bytes = 512 * 1024,
	};
	struct core_effects effects = { .context = f };
	struct store store;
	struct core *core = NULL;

	memdisk_set_full(f->disk, true);
	enum status status = store_open(&config, memdisk_vfs(f->disk), &store, err);
	if (status == ST_OK) {
		status = core_open(&f->config, &store, f->clock.wall_now_ms, f->clock.mono_now_ms, &effects, &core, err);
		core_close(core);
		CU_ASSERT_EQUAL(store_close(&store, false, NULL), ST_OK);
	}
	memdisk_set_full(f->disk, false);
	memdisk_kill(f->disk);
	return status;
}

/* Pages that were handed out while the snapshot was made need not be in the file, and cannot be put there. */
static void test_a_full_disk_does_not_prevent_a_start(void)
{
	uint64_t random = check_seed(530);

	for (int round = 0; round < 30; round++) {
		struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));
		struct errinfo err = { 0 };

		run(t, (int)(500 + check_random(&random) % 1000));
		fixture_disk(f, true);
		memdisk_kill(f->disk);
		fixture_close(f);
		enum status status = start_on_full_disk(f, &err);
		if (status != ST_OK)
			printf("%s\n", err.text);
		CU_ASSERT_EQUAL(status, ST_OK);
		fixture_open(f);
		check_same_after_kill(f);
		free(t);
		fixture_destroy(f);
	}
}

static void test_full_disk_refuses_what_is_new_only(void)
{
	struct fixture *f = fixture_create(NULL);
	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "h", .half = true }), result;
	struct outcome outcome = { 0 };

	fixture_disk(f, true);
	core_set_disk_level(f->core, DISK_FULL);
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "orders", .key = "x" }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SERVICE_NOT_AVAILABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "disk is full"));
	CU_ASSERT_EQUAL(fixture_send(f, (struct sent){ .topic = "orders", .key = "y", .half = true }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_disk(f, true);
	struct pulled p = { 0 };
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &p), 1);
	pulled_free(&p);
	core_set_disk_level(f->core, DISK_OK);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "x" });
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_retention_drops_and_carries),
		CHECK_TEST(test_lapsed_bodies_that_are_gone_bring_no_others),
		CHECK_TEST(test_without_snapshots_nothing_goes),
		CHECK_TEST(test_topic_keeps_its_messages_for_a_shorter_time),
		CHECK_TEST(test_power_cuts_while_the_log_goes_round),
		CHECK_TEST(test_sizes_change_between_starts),
		CHECK_TEST(test_space_comes_and_goes),
		CHECK_TEST(test_a_full_disk_does_not_prevent_a_start),
		CHECK_TEST(test_full_disk_refuses_what_is_new_only),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("retention over snapshots", tests, sizeof(tests) / sizeof(tests[0]));
}
