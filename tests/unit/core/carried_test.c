/* A transaction whose half message was carried to the log's end is the transaction that it was: it is named by where the half
 * was first, and belongs to the topic of that time. */
#include "tests/unit/core/core_fixture.h"

#include "broker/core/removal.h"
#include "broker/core/state.h"
#include "lib/base/logging.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, KEPT_SEGMENTS = 3 };

static struct fixture *create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	f->segment_size = SEGMENT;
	f->disk = memdisk_create();
	f->config = fixture_config();
	f->config.segment_bytes = SEGMENT;
	f->config.retention_bytes = KEPT_SEGMENTS * SEGMENT;
	f->config.snapshot_bytes = SEGMENT / 2;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

/* Messages and snapshots until the half's first segment is gone. */
static void outlive(struct fixture *f, const struct send_result *half)
{
	for (int i = 0; commitlog_start(f->log) <= half->log_offset; i++) {
		CU_ASSERT_TRUE_FATAL(i < 100000);
		(void)must_send(f, (struct sent){ .topic = "bulk", .key = "k" });
		fixture_disk(f, true);
		fixture_snapshot_step(f);
		fixture_advance(f, 10);
	}
	CU_ASSERT_TRUE(pending_find(f->core->pending, half->queue_offset)->body_offset > half->log_offset);
}

/* What becomes of a commit, once the half can be read. */
static enum status commit(struct fixture *f, const struct send_result *half, struct outcome *outcome)
{
	enum status status;

	while ((status = fixture_end(f, half, OUTCOME_COMMIT, false, outcome)) == ST_AGAIN)
		fixture_disk(f, true);
	fixture_disk(f, true);
	return status;
}

static void test_it_does_not_come_to_a_topic_that_was_made_again(void)
{
	struct fixture *f = create();
	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "k", .half = true });
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("orders"), &outcome), ST_OK);
	outlive(f, &half);
	(void)must_send(f, (struct sent){ .topic = "orders", .key = "new" });
	CU_ASSERT_EQUAL(commit(f, &half, &outcome), ST_DENIED);
	CU_ASSERT_EQUAL(outcome.code, RESP_TOPIC_NOT_EXIST);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 0);
	CU_ASSERT_EQUAL(fixture_pull(f, "orders", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Its decision is still in the log, and says by whom and for which group. */
static void test_its_decision_is_told_in_full(void)
{
	struct fixture *f = create();
	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "k", .half = true });
	struct end_request of_others = { .group = SPAN_LITERAL("others"), .half_queue_offset = half.queue_offset,
					 .half_offset = half.log_offset, .outcome = OUTCOME_COMMIT, .conn_id = PRODUCER };
	struct outcome outcome = { 0 };
	struct pulled p = { .count = 0 };

	outlive(f, &half);
	CU_ASSERT_EQUAL(commit(f, &half, &outcome), ST_OK);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "orders", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].prepared_transaction_offset, (int64_t)half.log_offset);
	CU_ASSERT_EQUAL(core_end_transaction(f->core, &of_others, &outcome), ST_DENIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "producer group wrong"));
	uint64_t appended = commitlog_appended(f->log);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_DENIED);
	CU_ASSERT_PTR_NOT_NULL(strstr(outcome.err.text, "by producer 10.0.0.1@1"));
	CU_ASSERT_TRUE(commitlog_appended(f->log) > appended);
	pulled_free(&p);
	fixture_destroy(f);
}

/* Delivered later, and looked at by its own id. */
static void test_a_delayed_one_names_its_half(void)
{
	struct fixture *f = create();
	struct send_result half = must_send(f, (struct sent){ .topic = "orders", .key = "k", .half = true, .delay_level = 2 });
	struct stored_message stored;
	struct outcome outcome = { 0 };
	struct errinfo err;
	struct pulled p = { .count = 0 };

	outlive(f, &half);
	CU_ASSERT_EQUAL(commit(f, &half, &outcome), ST_OK);
	fixture_advance(f, 5000);
	CU_ASSERT_EQUAL_FATAL(fixture_pull(f, "orders", 0, 0, "*", &p), 1);
	CU_ASSERT_EQUAL(p.messages[0].prepared_transaction_offset, (int64_t)half.log_offset);
	CU_ASSERT_EQUAL_FATAL(core_stored_message(f->core, (uint64_t)p.messages[0].physical_offset, &stored, &err), ST_OK);
	CU_ASSERT_TRUE(span_is(stored.message.body, "k"));
	CU_ASSERT_EQUAL(stored.message.prepared_transaction_offset, (int64_t)half.log_offset);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_it_does_not_come_to_a_topic_that_was_made_again),
		CHECK_TEST(test_its_decision_is_told_in_full),
		CHECK_TEST(test_a_delayed_one_names_its_half),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("carried", tests, sizeof(tests) / sizeof(tests[0]));
}
