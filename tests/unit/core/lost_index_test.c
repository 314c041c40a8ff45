/* The index file is lost, cut short, built anew, or ahead of the log: the state is what the log says. */
#include "tests/unit/core/snapshot_fixture.h"

/* The index file is lost: the state is the same with what was built anew. */
static void lose_index(struct fixture *f)
{
	struct lines before = { 0 }, after = { 0 };

	kill_and_open(f);
	describe(f->core, &before);
	memdisk_kill(f->disk);
	fixture_close(f);
	CU_ASSERT_TRUE(memdisk_remove(f->disk, "/store/index.pages"));
	fixture_open(f);
	CU_ASSERT_TRUE(f->store.rebuild_index);
	describe(f->core, &after);
	CU_ASSERT_TRUE(same_lines(&before, &after));
	free_lines(&before);
	free_lines(&after);
}

/* The index file is lost: built anew from what the log still holds. */
static void test_lost_index_is_built_anew(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 23);
	struct send_result old = must_send(f, (struct sent){ .topic = "orders", .key = "old-half", .half = true });
	struct outcome outcome = { 0 };

	t->keeps = true;
	run(t, 9000);
	fixture_disk(f, true);
	CU_ASSERT(old.log_offset < commitlog_start(f->log));
	lose_index(f);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, old.log_offset, OUTCOME_COMMIT, SPAN_LITERAL("op"), &outcome), ST_OK);
	/* Cut short instead. */
	fixture_snapshot(f);
	fixture_snapshot(f);
	memdisk_kill(f->disk);
	fixture_close(f);
	size_t size;
	uint8_t *pages = memdisk_data(f->disk, "/store/index.pages", &size);
	CU_ASSERT_FATAL(size > 8192);
	memdisk_put(f->disk, "/store/index.pages", pages, size / 2);
	fixture_open(f);
	CU_ASSERT_TRUE(f->store.rebuild_index);
	free(t);
	fixture_destroy(f);
}

static void test_lost_index_where_topics_were_deleted(void)
{
	uint64_t random = check_seed(520);

	for (int round = 0; round < 8; round++) {
		struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));

		run(t, (int)(500 + check_random(&random) % 1000));
		fixture_disk(f, true);
		lose_index(f);
		free(t);
		fixture_destroy(f);
	}
}

/* Writes the index pages that are in memory only, as write-behind does when there are many of them. */
static void write_pages(struct fixture *f)
{
	pagefile_sweep(f->files);
	flush_pages(f, ST_OK);
}

/* The same state after a kill; was the index built anew? */
static bool rebuilds_at_start(struct fixture *f)
{
	check_same_after_kill(f);
	return f->store.rebuild_index;
}

/* Built anew, and killed before there is a snapshot that knows the new pages: what is there is not what the older ones name. The
 * one that is kept beside the first new one is such an older one still. */
static void test_an_index_built_anew_is_not_that_of_older_snapshots(void)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 29);
	char path[64];
	size_t size = 0;

	run(t, 3000);
	fixture_disk(f, true);
	uint32_t pages = pagefile_page_count(f->files);
	lose_index(f);
	for (int i = 0; pagefile_page_count(f->files) < pages; i++) { /* As long as it was. */
		do_something(t);
		f->asked_count = 0;
		if (i % 3 == 0)
			fixture_disk(f, true);
	}
	fixture_disk(f, true);
	write_pages(f);
	CU_ASSERT_TRUE(rebuilds_at_start(f));
	/* A snapshot that knows them is taken at once, however little was appended. */
	f->core->config.snapshot_bytes = 0;
	fixture_snapshot_step(f);
	CU_ASSERT_TRUE(snapshotter_busy(f->snapshotter));
	for (int i = 0; i < 10000 && snapshotter_busy(f->snapshotter); i++) {
		fixture_snapshot_step(f);
		fixture_disk(f, true);
	}
	write_pages(f);
	CU_ASSERT_FALSE(rebuilds_at_start(f));
	CU_ASSERT_FALSE(snapshotter_busy(f->snapshotter));
	uint8_t *bytes = memdisk_data(f->disk, newest_snapshot(f, path), &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
	bytes[size / 2] ^= 1;
	CU_ASSERT_TRUE(rebuilds_at_start(f));
	free(t);
	fixture_destroy(f);
}

/* An index page may be on the disk while the decision that it tells of is lost with the log's tail. What the log says counts:
 * for a resend, and for an operator. */
static void test_an_index_ahead_of_the_log_is_not_believed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result half = must_send(f, sent), again;
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	fixture_snapshot(f);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	write_pages(f);
	CU_ASSERT_EQUAL(pagefile_sync(f->files, NULL), ST_OK);
	fixture_restart(f);
	CU_ASSERT_EQUAL(core_stats(f->core).pending_now, 1);
	again = must_send(f, sent);
	CU_ASSERT_EQUAL(again.queue_offset, half.queue_offset);
	CU_ASSERT_EQUAL(core_operator_decide(f->core, half.log_offset, OUTCOME_COMMIT, SPAN_LITERAL("op"), &outcome), ST_OK);
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(fixture_pull(f, "t", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_lost_index_is_built_anew),
		CHECK_TEST(test_lost_index_where_topics_were_deleted),
		CHECK_TEST(test_an_index_built_anew_is_not_that_of_older_snapshots),
		CHECK_TEST(test_an_index_ahead_of_the_log_is_not_believed),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("lost index", tests, sizeof(tests) / sizeof(tests[0]));
}
