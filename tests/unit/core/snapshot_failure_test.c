/* Snapshots that fail, are given up or do not fit: what they leave behind, what the broker is told, and when it tries again. */
#include "tests/unit/core/snapshot_fixture.h"

static enum status count_leftover(void *context, const char *name)
{
	size_t size = strlen(name);

	*(unsigned *)context += size > 4 && strcmp(name + size - 4, ".tmp") == 0;
	return ST_OK;
}

static unsigned leftovers(const struct fixture *f)
{
	unsigned count = 0;

	CU_ASSERT_EQUAL(vfs_list(memdisk_vfs(f->disk), "/store/snapshots", count_leftover, &count, NULL), ST_OK);
	return count;
}

static void send_durably(struct fixture *f)
{
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
}

/* Steps until there is a job to run; NULL: none comes. */
static struct snapshot_job *next_job(struct fixture *f)
{
	struct snapshot_job *job = NULL;

	for (int i = 0; i < 100 && job == NULL; i++) {
		snapshotter_step(f->snapshotter);
		job = snapshotter_take(f->snapshotter);
	}
	return job;
}

/* A snapshot that failed is not tried again before. */
static void let_a_minute_pass(struct fixture *f)
{
	clock_manual_advance(&f->clock, 60 * 1000);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
}

static struct snapshot_job *first_job(struct fixture *f)
{
	let_a_minute_pass(f);
	snapshotter_want(f->snapshotter);
	snapshotter_step(f->snapshotter);
	flush_pages(f, ST_OK);
	return next_job(f);
}

/* The first job's n-th change of the disk fails. */
static void fail_snapshot(struct fixture *f, uint64_t n, enum memdisk_fault fault)
{
	struct snapshot_job *job = first_job(f);
	struct errinfo err;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	memdisk_fail(f->disk, n, fault, false);
	snapshot_job_run(job);
	memdisk_fail(f->disk, 0, fault, false);
	CU_ASSERT_NOT_EQUAL(snapshotter_done(f->snapshotter, &err), ST_OK);
}

/* A disk that is full gets its space back at once. */
static void test_failed_snapshots_leave_no_files(void)
{
	struct fixture *f = fixture_create(NULL);

	send_durably(f);
	fail_snapshot(f, 4, MEMDISK_ENOSPC); /* Directory, its sync, the file; then its first bytes. */
	CU_ASSERT_EQUAL(leftovers(f), 0);
	fail_snapshot(f, 3, MEMDISK_ENOSPC);
	CU_ASSERT_EQUAL(leftovers(f), 0);
	fixture_destroy(f);
}

/* After a sync that failed nobody knows what the disk holds, of names as well as of bytes: the broker must stop. */
static void test_a_sync_that_fails_is_told_apart(void)
{
	bool named = false, over = false;

	for (uint64_t n = 1; !over; n++) {
		struct fixture *f = fixture_create(NULL);
		uint64_t offset;
		size_t count = 0;

		send_durably(f);
		struct snapshot_job *job = first_job(f);
		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		memdisk_fail(f->disk, n, MEMDISK_EIO, false);
		snapshot_job_run(job);
		memdisk_fail(f->disk, 0, MEMDISK_EIO, false);
		CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", &offset, 1, &count, NULL), ST_OK);
		over = job->result == ST_OK;
		named = named || (!over && count > 0);
		/* Its directory; that in the store; the file; bytes; pages; the file; its name; that in the directory. */
		CU_ASSERT_EQUAL(job->sync_failed, n == 2 || n == 5 || n == 6 || n == 8);
		fixture_destroy(f);
	}
	CU_ASSERT_TRUE(named);
}

/* A power cut may take the newest name away again: until that is durable no other goes. */
static void test_older_ones_stay_until_the_newest_name_is_durable(void)
{
	bool named = false, over = false;

	for (uint64_t n = 1; !over; n++) {
		struct fixture *f = fixture_create(NULL);
		uint64_t older[SNAPSHOT_KEPT], now[SNAPSHOT_KEPT + 1];
		size_t older_count = 0, count = 0;

		for (int i = 0; i < SNAPSHOT_KEPT; i++)
			send_and_snapshot(f);
		CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", older, SNAPSHOT_KEPT, &older_count, NULL), ST_OK);
		send_durably(f);
		struct snapshot_job *job = first_job(f);
		CU_ASSERT_PTR_NOT_NULL_FATAL(job);
		memdisk_fail(f->disk, n, MEMDISK_EIO, false);
		snapshot_job_run(job);
		memdisk_fail(f->disk, 0, MEMDISK_EIO, false);
		over = job->result == ST_OK;
		CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", now, SNAPSHOT_KEPT + 1, &count, NULL), ST_OK);
		named = named || (!over && count > SNAPSHOT_KEPT);
		CU_ASSERT(over || (older_count == SNAPSHOT_KEPT && count >= SNAPSHOT_KEPT));
		for (size_t i = 0; i < SNAPSHOT_KEPT && !over && count >= SNAPSHOT_KEPT; i++)
			CU_ASSERT_EQUAL(now[count - SNAPSHOT_KEPT + i], older[i]);
		fixture_destroy(f);
	}
	CU_ASSERT_TRUE(named);
}

/* The n-th operation of the kind fails while the newest one is looked for. False: there are not so many. */
static bool open_with_failure(struct fixture *f, uint64_t n, void (*arm)(struct memdisk *, uint64_t))
{
	struct snapshot_choice choice = { 0 };

	arm(f->disk, n);
	enum status status = snapshot_open_newest(memdisk_vfs(f->disk), "/store", NULL, &choice, NULL);
	bool struck = memdisk_fault_struck(f->disk);
	arm(f->disk, 0);
	CU_ASSERT_EQUAL(status, struck ? ST_IO : ST_OK);
	CU_ASSERT_EQUAL(choice.damaged_count, 0);
	snapshot_close(choice.reader);
	return struck;
}

/* The next start may well read it: it is not put aside, and the log behind the older one is not what to begin with. */
static void test_a_disk_that_does_not_read_is_no_damage(void)
{
	struct fixture *f = fixture_create(NULL);
	uint64_t reads = 0, looks = 0;

	send_and_snapshot(f);
	send_and_snapshot(f);
	while (open_with_failure(f, reads + 1, memdisk_fail_reads))
		reads++;
	while (open_with_failure(f, looks + 1, memdisk_fail_looks))
		looks++;
	CU_ASSERT(reads > 3);
	CU_ASSERT_EQUAL(looks, 3); /* The directory, the file, its size. */
	fixture_destroy(f);
}

/* The disk was full for a moment: the snapshot is tried again, not given up for good. */
static void test_a_snapshot_that_failed_is_tried_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct errinfo err;

	send_durably(f);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 1000 && snapshotter_stats(f->snapshotter).failed == 0; i++) {
		flush_pages(f, ST_OK);
		snapshotter_step(f->snapshotter);
		struct snapshot_job *job = snapshotter_take(f->snapshotter);
		if (job == NULL)
			continue;
		memdisk_fail(f->disk, 1, MEMDISK_ENOSPC, true);
		snapshot_job_run(job);
		memdisk_fail(f->disk, 0, MEMDISK_ENOSPC, false);
		CU_ASSERT_EQUAL(snapshotter_done(f->snapshotter, &err), ST_FULL);
	}
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).failed, 1);
	snapshotter_want(f->snapshotter);
	snapshotter_step(f->snapshotter);
	CU_ASSERT_FALSE(snapshotter_busy(f->snapshotter)); /* Not in the next turn already. */
	fixture_advance(f, 10 * 1000);
	fixture_snapshot(f);
	fixture_destroy(f);
}

static void test_what_an_interrupted_snapshot_left_goes_at_start(void)
{
	struct fixture *f = fixture_create(NULL);

	send_and_snapshot(f);
	memdisk_put(f->disk, "/store/snapshots/00000000000000009000.tmp", "ESCROW", 6);
	memdisk_put(f->disk, "/store/snapshots/mine.tmp", "ESCROW", 6);
	fixture_restart(f);
	CU_ASSERT_EQUAL(leftovers(f), 1); /* Not ours. */
	fixture_destroy(f);
}

/* A file that a stop in the middle left is removed with the next snapshot. */
static void test_an_unfinished_snapshot_does_not_stay(void)
{
	static const char path[] = "/store/snapshots/00000000000000004711.tmp";
	struct fixture *f = fixture_create(NULL);
	size_t size;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	memdisk_put(f->disk, path, "half of it", 10);
	fixture_snapshot(f);
	CU_ASSERT_PTR_NULL(memdisk_data(f->disk, path, &size));
	fixture_destroy(f);
}

static struct fixture *create_with_many_halves(int count)
{
	struct core_config config = fixture_config();
	char key[16];

	config.pending_max = config.pending_group_max = (uint64_t)count;
	struct fixture *f = fixture_create(&config);
	for (int i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "k-%d", i);
		(void)must_send(f, (struct sent){ .topic = "t", .key = key, .half = true });
		fixture_disk(f, true);
	}
	return f;
}

/* Its file is there already when the index fails to follow. */
static void test_a_snapshot_that_is_given_up_is_removed(void)
{
	struct fixture *f = create_with_many_halves(4000);
	struct snapshot_job *job = NULL;
	struct errinfo err;

	snapshotter_want(f->snapshotter);
	job = next_job(f);
	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	snapshot_job_run(job);
	CU_ASSERT_EQUAL(snapshotter_done(f->snapshotter, &err), ST_OK);
	CU_ASSERT_EQUAL(leftovers(f), 1);
	memdisk_fail(f->disk, 1, MEMDISK_ENOSPC, false);
	flush_pages(f, ST_FULL);
	for (int i = 0; i < 100 && snapshotter_stats(f->snapshotter).failed == 0; i++) {
		job = next_job(f);
		if (job == NULL)
			continue;
		snapshot_job_run(job);
		CU_ASSERT_EQUAL(snapshotter_done(f->snapshotter, &err), ST_OK);
	}
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).failed, 1);
	CU_ASSERT_FALSE(snapshotter_busy(f->snapshotter));
	CU_ASSERT_EQUAL(leftovers(f), 0);
	flush_pages(f, ST_OK);
	let_a_minute_pass(f);
	fixture_snapshot(f);
	fixture_destroy(f);
}

/* It would take the space that the log may need, and end in the middle. */
static void test_a_snapshot_that_does_not_fit_is_not_begun(void)
{
	struct fixture *f = create_with_many_halves(1000);
	struct outcome outcome;

	fixture_snapshot(f);
	uint64_t size = snapshotter_stats(f->snapshotter).last_bytes;
	for (int restart = 0; restart < 2; restart++) {
		send_durably(f);
		snapshotter_set_room(f->snapshotter, size + size / 10);
		snapshotter_want(f->snapshotter);
		CU_ASSERT_PTR_NULL(next_job(f));
		CU_ASSERT_FALSE(snapshotter_busy(f->snapshotter));
		fixture_restart(f);
	}
	/* With less that is open it is smaller. */
	for (uint64_t n = 0; n < 900; n++) {
		const struct pending *entry = pending_find(f->core->pending, n);
		struct send_result half = { .queue_offset = n, .log_offset = entry->half_offset };
		CU_ASSERT_EQUAL_FATAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
		fixture_disk(f, true);
	}
	snapshotter_set_room(f->snapshotter, size);
	fixture_snapshot(f);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_failed_snapshots_leave_no_files),
		CHECK_TEST(test_a_sync_that_fails_is_told_apart),
		CHECK_TEST(test_older_ones_stay_until_the_newest_name_is_durable),
		CHECK_TEST(test_a_disk_that_does_not_read_is_no_damage),
		CHECK_TEST(test_a_snapshot_that_failed_is_tried_again),
		CHECK_TEST(test_what_an_interrupted_snapshot_left_goes_at_start),
		CHECK_TEST(test_an_unfinished_snapshot_does_not_stay),
		CHECK_TEST(test_a_snapshot_that_is_given_up_is_removed),
		CHECK_TEST(test_a_snapshot_that_does_not_fit_is_not_begun),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("snapshots that fail", tests, sizeof(tests) / sizeof(tests[0]));
}
