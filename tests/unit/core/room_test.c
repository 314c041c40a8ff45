/* A full disk: what is set aside of the log lasts for whom it is set aside, whatever else goes on meanwhile. */
#include "broker/core/pop.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "tests/unit/core/core_fixture.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, HALVES = 20, BODY = 1000, RETENTION_MS = 1000 * 1000, STEP_MS = 10 };

struct full {
	struct fixture *f;
	struct send_result halves[HALVES];
};

static struct send_result send_body(struct fixture *f, const char *topic, size_t size, bool half)
{
	static const uint8_t body[4 * BODY];
	struct send_request request = { .producer_group = SPAN_LITERAL("producers"), .topic = span_of(topic),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { body, size }, .max_reconsume_times = -1, .conn_id = PRODUCER };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	if (half)
		request.properties = SPAN_LITERAL("TRAN_MSG\001true\002");
	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	return result;
}

/* The disk writes what there is; nothing is prepared, because it is full. */
static void flush_only(struct fixture *f)
{
	struct log_flush_job job;
	struct errinfo err;

	while (commitlog_take_flush(f->log, true, &job)) {
		log_flush_run(&job);
		CU_ASSERT_EQUAL_FATAL(commitlog_flush_done(f->log, &job, &err), ST_OK);
	}
	core_committed(f->core);
}

static void send_until_refused(struct fixture *f)
{
	struct send_result result;
	struct outcome outcome;

	for (int i = 0; i < 1000 && fixture_send(f, (struct sent){ .topic = "bulk", .key = "k" }, &result, &outcome) == ST_OK; i++)
		flush_only(f);
}

static struct fixture *create(uint64_t segment_size)
{
	struct core_config config = fixture_config();
	struct fixture *f = calloc(1, sizeof(*f));

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	config.segment_bytes = segment_size;
	config.snapshot_bytes = segment_size / 2;
	config.retention_ms = RETENTION_MS;
	*f = (struct fixture){ .segment_size = segment_size, .disk = memdisk_create(), .config = config };
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

/* HALVES open halves in old segments; then messages until only what is set aside is left. */
static struct full create_full(void)
{
	struct full t = { .f = create(SEGMENT) };

	fixture_heartbeat(t.f, false);
	for (int i = 0; i < HALVES; i++)
		t.halves[i] = send_body(t.f, "orders", BODY, true);
	for (uint64_t until = commitlog_appended(t.f->log) + 4 * SEGMENT; commitlog_appended(t.f->log) < until;) {
		(void)send_body(t.f, "bulk", 4 * BODY, false);
		fixture_snapshot_step(t.f);
	}
	send_until_refused(t.f);
	core_set_disk_level(t.f->core, DISK_FULL);
	return t;
}

static void stand(struct fixture *f, int ticks)
{
	for (int i = 0; i < ticks; i++) {
		clock_manual_advance(&f->clock, STEP_MS);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		core_tick(f->core);
		flush_only(f);
		fixture_snapshot_step(f);
		flush_only(f);
	}
}

static void end_all(struct full *t)
{
	struct outcome outcome;
	int ended = 0;

	for (int i = 0; i < HALVES; i++) {
		enum record_outcome asked = i % 2 == 0 ? OUTCOME_COMMIT : OUTCOME_ROLLBACK;
		ended += fixture_end(t->f, &t->halves[i], asked, false, &outcome) == ST_OK;
		flush_only(t->f);
	}
	CU_ASSERT_EQUAL(ended, HALVES);
	fixture_destroy(t->f);
}

static void test_open_transactions_end_on_a_full_disk(void)
{
	struct full t = create_full();

	stand(t.f, 100);
	end_all(&t);
}

/* What is large finds no room before the disk counts as full. It waits as long as more may be prepared. */
static void test_what_does_not_fit_any_more_need_not_wait(void)
{
	struct full t = create_full();
	struct send_result result;
	struct outcome outcome;

	core_set_disk_level(t.f->core, DISK_LOW);
	CU_ASSERT_EQUAL(fixture_send(t.f, (struct sent){ .topic = "bulk", .key = "k" }, &result, &outcome), ST_AGAIN);
	core_set_log_stands(t.f->core, true);
	CU_ASSERT_EQUAL(fixture_send(t.f, (struct sent){ .topic = "bulk", .key = "k" }, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SERVICE_NOT_AVAILABLE);
	core_set_log_stands(t.f->core, false);
	CU_ASSERT_EQUAL(fixture_send(t.f, (struct sent){ .topic = "bulk", .key = "k" }, &result, &outcome), ST_AGAIN);
	end_all(&t);
}

/* What is sent back is stored anew: refused, and the consumer keeps it. */
static void test_nothing_is_sent_back_to_a_full_disk(void)
{
	struct full t = create_full();
	struct pulled p = { .count = 0 };
	struct outcome outcome = { 0 };

	CU_ASSERT_TRUE_FATAL(fixture_pull(t.f, "bulk", 0, 0, "*", &p) > 0);
	struct send_back_request back = { .group = SPAN_LITERAL("readers"), .delay_level = 1, .max_reconsume_times = -1,
					  .log_offset = (uint64_t)p.messages[0].physical_offset };
	uint64_t appended = commitlog_appended(t.f->log);
	CU_ASSERT_EQUAL(core_send_back(t.f->core, &back, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SERVICE_NOT_AVAILABLE);
	CU_ASSERT_EQUAL(commitlog_appended(t.f->log), appended);
	pulled_free(&p);
	end_all(&t);
}

static void test_carrying_leaves_decisions_their_room(void)
{
	struct full t = create_full();

	clock_manual_advance(&t.f->clock, 2 * RETENTION_MS); /* What is open has expired. */
	stand(t.f, 100);
	CU_ASSERT_TRUE(commitlog_prepared_ahead(t.f->log) >= room_kept(t.f->core, ROOM_PROGRESS));
	end_all(&t);
}

/* A consumer that goes on reading 4 queues, and tells each second how far it is. */
static void read_for(struct fixture *f, int64_t seconds, bool lasting)
{
	struct outcome outcome = { 0 };

	for (int64_t s = 1; s <= seconds; s++) {
		for (int32_t q = 0; q < 4; q++)
			(void)!core_update_offset(f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), q, s, lasting, &outcome);
		stand(f, 1000 / STEP_MS);
	}
}

static void test_offsets_leave_decisions_their_room(void)
{
	for (int lasting = 0; lasting < 2; lasting++) {
		struct full t = create_full();

		read_for(t.f, 300, lasting);
		end_all(&t);
	}
}

/* What is set aside for them lasts: the last word of each queue, once a minute. */
static void test_offsets_are_written_seldom_on_a_full_disk(void)
{
	static const enum disk_level better[] = { DISK_OK, DISK_LOW };
	struct offsets_entry dirty[8];

	for (size_t i = 0; i < 2; i++) {
		struct full t = create_full();
		uint64_t before = commitlog_appended(t.f->log);

		read_for(t.f, 120, false);
		CU_ASSERT_TRUE(commitlog_appended(t.f->log) > before);
		CU_ASSERT_TRUE(commitlog_appended(t.f->log) - before < 1000);
		/* With space they are written as they were before. */
		read_for(t.f, 30, false);
		CU_ASSERT_EQUAL(offsets_dirty(t.f->core->offsets, dirty, 8), 4);
		core_set_disk_level(t.f->core, better[i]);
		fixture_disk(t.f, true);
		stand(t.f, 1);
		CU_ASSERT_EQUAL(offsets_dirty(t.f->core->offsets, dirty, 8), 0);
		end_all(&t);
	}
}

static void test_an_offset_that_finds_no_room_is_refused_in_words(void)
{
	struct full t = create_full();
	struct outcome outcome = { 0 };
	enum status status = ST_OK;

	for (int64_t i = 1; i < 1000 && status == ST_OK; i++) {
		status = core_update_offset(t.f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), 0, i, true, &outcome);
		flush_only(t.f);
	}
	CU_ASSERT_EQUAL(status, ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_SERVICE_NOT_AVAILABLE);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "disk is full"));
	/* It is known all the same, until the broker stops. */
	int64_t offset = 0;
	CU_ASSERT_EQUAL(core_update_offset(t.f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), 0, 5000, true, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(core_query_offset(t.f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), 0, false, &offset, &outcome), ST_OK);
	CU_ASSERT_EQUAL(offset, 5000);
	end_all(&t);
}

/* Producers that never know would be asked again and again: that leaves offsets their room. */
static void test_check_backs_leave_offsets_their_room(void)
{
	static const struct span group = SPAN_LITERAL("producers");
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("10.0.0.1@1"), .producer_groups = &group, .producer_count = 1 };
	struct full t = create_full();
	struct outcome outcome;

	CU_ASSERT_EQUAL(core_heartbeat(t.f->core, PRODUCER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	for (int i = 0; i < 200; i++) {
		struct end_request unknown = { .group = group, .from_check = true, .client_id = SPAN_LITERAL("10.0.0.1@1"), .conn_id = PRODUCER };
		for (int h = 0; h < HALVES; h++) {
			unknown.half_queue_offset = t.halves[h].queue_offset;
			unknown.half_offset = t.halves[h].log_offset;
			CU_ASSERT_EQUAL(core_end_transaction(t.f->core, &unknown, &outcome), ST_OK);
		}
		stand(t.f, 1);
	}
	CU_ASSERT_TRUE(t.f->core->check_count > 0);
	CU_ASSERT_TRUE(commitlog_prepared_ahead(t.f->log) >= room_kept(t.f->core, ROOM_CHECK));
	CU_ASSERT_EQUAL(core_update_offset(t.f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), 0, 7, true, &outcome), ST_OK);
	end_all(&t);
}

/* Parking ends nothing: it may not take the room of the decisions. */
static void test_parking_leaves_decisions_their_room(void)
{
	struct full t = create_full();
	struct outcome outcome = { 0 };

	for (int i = 0; i < 10 * HALVES; i++) {
		enum record_outcome asked = i / HALVES % 2 == 0 ? OUTCOME_PARK : OUTCOME_RESUME;
		(void)!core_operator_decide(t.f->core, t.halves[i % HALVES].log_offset, asked, SPAN_LITERAL("op"), &outcome);
		flush_only(t.f);
	}
	end_all(&t);
}

/* What is open lies in the way of space: carrying it has a share of its own, which new messages leave to it. */
static void test_carrying_has_room_when_messages_have_none(void)
{
	struct full t = create_full();

	clock_manual_advance(&t.f->clock, 2 * RETENTION_MS);
	stand(t.f, 100);
	CU_ASSERT_TRUE(t.f->core->carrying.carried_count > 0);
	end_all(&t);
}

/* Check-backs that find no room: their counts may come into a snapshot before the log tells of them on a full disk only, where
 * the log may not get there. */
static void test_a_snapshot_waits_for_checks_that_wait_for_room(void)
{
	static const struct span group = SPAN_LITERAL("producers");
	struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("10.0.0.1@1"), .producer_groups = &group, .producer_count = 1 };
	struct full t = create_full();
	struct outcome outcome;

	for (int64_t i = 1; core_update_offset(t.f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("bulk"), 0, i, true, &outcome) == ST_OK; i++)
		flush_only(t.f);
	core_set_disk_level(t.f->core, DISK_OK);
	CU_ASSERT_EQUAL(core_heartbeat(t.f->core, PRODUCER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome), ST_OK);
	for (int i = 0; i < 100 && t.f->asked_count == 0; i++)
		stand(t.f, 1000 / STEP_MS);
	CU_ASSERT_TRUE(t.f->core->check_count > 0);
	/* Something that is new. */
	CU_ASSERT_EQUAL(fixture_end(t.f, &t.halves[1], OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	uint64_t taken = snapshotter_stats(t.f->snapshotter).taken;
	snapshotter_want(t.f->snapshotter);
	stand(t.f, 100);
	CU_ASSERT_EQUAL(snapshotter_stats(t.f->snapshotter).taken, taken);
	core_set_disk_level(t.f->core, DISK_FULL);
	stand(t.f, 100);
	CU_ASSERT_EQUAL(snapshotter_stats(t.f->snapshotter).taken, taken + 1);
	end_all(&t);
}

static void test_room_grows_with_what_is_open(void)
{
	struct fixture *f = create(16 * 1024 * 1024);
	uint64_t before = core_reserved_bytes(f->core);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "h", .half = true });
	uint64_t half = core_reserved_bytes(f->core) - before;
	CU_ASSERT_TRUE(half >= 300);
	CU_ASSERT_EQUAL(room_kept(f->core, ROOM_DECISION), 0);
	CU_ASSERT_EQUAL(room_kept(f->core, ROOM_DELIVERY), half);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "d", .delay_level = 4 });
	CU_ASSERT_EQUAL(room_kept(f->core, ROOM_DELIVERY), half);
	CU_ASSERT_TRUE(room_kept(f->core, ROOM_PROGRESS) >= half + 150);
	uint64_t progress = room_kept(f->core, ROOM_PROGRESS);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "e", .delay_level = 4 });
	CU_ASSERT_EQUAL(room_kept(f->core, ROOM_PROGRESS), 2 * progress - half);
	CU_ASSERT_TRUE(room_kept(f->core, ROOM_CHECK) >= room_kept(f->core, ROOM_PROGRESS) + 512 * 1024);
	CU_ASSERT_TRUE(room_kept(f->core, ROOM_CARRY) >= room_kept(f->core, ROOM_PROGRESS) + 1024 * 1024);
	CU_ASSERT_TRUE(room_kept(f->core, ROOM_NEW) > room_kept(f->core, ROOM_CARRY));
	fixture_destroy(f);
}

/* What is set aside is measured by the new size, and the log's last segment is of the old one. */
static void test_larger_segments_after_a_start_stop_nobody(void)
{
	struct fixture *f = create(SEGMENT);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "before" });
	fixture_disk(f, true);
	f->segment_size = f->config.segment_bytes = 16 * 1024 * 1024;
	fixture_restart(f);
	CU_ASSERT_TRUE(core_reserved_bytes(f->core) > SEGMENT);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "after" });
	fixture_destroy(f);
}

/* Nor if the next one is prepared already, and is of the old size as well. */
static void test_small_segments_that_are_prepared_stop_nobody(void)
{
	struct fixture *f = create(SEGMENT);

	while (commitlog_appended(f->log) < SEGMENT / 2) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "before" });
		fixture_disk(f, true);
	}
	f->segment_size = f->config.segment_bytes = 16 * 1024 * 1024;
	fixture_restart(f);
	CU_ASSERT_TRUE(core_reserved_bytes(f->core) > 2 * SEGMENT);
	(void)must_send(f, (struct sent){ .topic = "t", .key = "after" });
	fixture_destroy(f);
}

/* What no segment takes is the sender's to make smaller: no code that a client tries again elsewhere. */
static void test_a_message_over_what_the_log_takes_is_illegal(void)
{
	struct core_config config = fixture_config();
	static const uint8_t body[SEGMENT];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	config.segment_bytes = SEGMENT;
	config.max_message_size = 4 * 1024 * 1024;
	struct fixture *f = calloc(1, sizeof(*f));
	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*f = (struct fixture){ .segment_size = SEGMENT, .disk = memdisk_create(), .config = config };
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	CU_ASSERT_EQUAL(core_send(f->core, &request, &result, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_MESSAGE_ILLEGAL);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_open_transactions_end_on_a_full_disk),
		CHECK_TEST(test_what_does_not_fit_any_more_need_not_wait),
		CHECK_TEST(test_nothing_is_sent_back_to_a_full_disk),
		CHECK_TEST(test_carrying_leaves_decisions_their_room),
		CHECK_TEST(test_offsets_leave_decisions_their_room),
		CHECK_TEST(test_offsets_are_written_seldom_on_a_full_disk),
		CHECK_TEST(test_an_offset_that_finds_no_room_is_refused_in_words),
		CHECK_TEST(test_check_backs_leave_offsets_their_room),
		CHECK_TEST(test_parking_leaves_decisions_their_room),
		CHECK_TEST(test_carrying_has_room_when_messages_have_none),
		CHECK_TEST(test_a_snapshot_waits_for_checks_that_wait_for_room),
		CHECK_TEST(test_larger_segments_after_a_start_stop_nobody),
		CHECK_TEST(test_small_segments_that_are_prepared_stop_nobody),
		CHECK_TEST(test_a_message_over_what_the_log_takes_is_illegal),
		CHECK_TEST(test_room_grows_with_what_is_open),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core room", tests, sizeof(tests) / sizeof(tests[0]));
}
