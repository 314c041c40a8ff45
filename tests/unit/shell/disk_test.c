/* broker/shell/disk: who hears of it when disk work is done or fails, when what is written is synced, when the disk is full.
 * The workers' work is done here, when the test says so. */
#include <sys/statvfs.h>

#include "broker/core/state.h"
#include "broker/shell/disk.h"
#include "lib/net/worker.h"
#include "tests/unit/core/retention_fixture.h"

enum { MIB = 1 << 20, QUEUED_MAX = 16, ROOT_RESERVE = 32 * MIB };

/* --- in place of threads and of the system's disk ---------------------------------------------------------------------- */

struct worker {
	struct work *queued[QUEUED_MAX];
	size_t count;
};

static struct worker workers[3]; /* Flusher, housekeeper, reader. */
static size_t worker_count;

enum status worker_create(const char *name, struct mailbox *mailbox, struct worker **out, struct errinfo *err)
{
	(void)name;
	(void)mailbox;
	(void)err;
	CU_ASSERT_FATAL(worker_count < 3);
	*out = &workers[worker_count++];
	return ST_OK;
}

void worker_submit(struct worker *worker, struct work *work)
{
	CU_ASSERT_FATAL(worker->count < QUEUED_MAX);
	worker->queued[worker->count++] = work;
}

void worker_stop(struct worker *worker)
{
	CU_ASSERT_EQUAL(worker->count, 0);
	worker_count--;
}

static uint64_t system_free = 512 * (uint64_t)MIB;

int statvfs(const char *restrict path, struct statvfs *restrict out)
{
	(void)path;
	*out = (struct statvfs){ .f_frsize = 4096, .f_blocks = (1024 * (uint64_t)MIB + ROOT_RESERVE) / 4096,
				 .f_bfree = (system_free + ROOT_RESERVE) / 4096, .f_bavail = system_free / 4096 };
	return 0;
}

/* --- a broker's disk ----------------------------------------------------------------------------------------------------- */

struct shell {
	struct fixture *f;
	struct disk *disk;
	int64_t now_ms;
	uint64_t free_min; /* diskSpaceFreeMin; 0: 16 MiB. */
	unsigned index_read, failed, warm;
};

static void on_flushed(void *context)
{
	core_committed(((struct shell *)context)->f->core);
}

static void on_index_read(void *context)
{
	((struct shell *)context)->index_read++;
}

static void on_failed(void *context, const struct errinfo *err)
{
	(void)err;
	((struct shell *)context)->failed++;
}

static void on_warm(void *context)
{
	((struct shell *)context)->warm++;
}

/* A turn of the loop, and all that it gave the workers to do. */
static void turn(struct shell *s, int64_t advance_ms)
{
	disk_turn_end(s->disk, s->now_ms += advance_ms);
	for (size_t i = 0; i < worker_count; i++) {
		while (workers[i].count > 0) {
			struct work *work = workers[i].queued[0];

			memmove(workers[i].queued, workers[i].queued + 1, --workers[i].count * sizeof(workers[i].queued[0]));
			work->run(work);
			work->done(work);
		}
	}
}

static void turns(struct shell *s, int count)
{
	for (int i = 0; i < count; i++)
		turn(s, 10);
}

static void start_disk(struct shell *s, bool sync)
{
	struct disk_limits limits = { .free_min = s->free_min > 0 ? s->free_min : 16 * MIB, .warn_percent = 90 };
	struct disk_callbacks callbacks = { s, on_flushed, on_index_read, on_failed };
	struct errinfo err;

	CU_ASSERT_EQUAL_FATAL(disk_create(NULL, &s->f->store, s->f->snapshotter, &limits, sync, &callbacks, &s->disk, &err), ST_OK);
	turns(s, 100);
}

static void shell_open(struct shell *s, bool sync)
{
	*s = (struct shell){ .f = fixture_create(NULL), .now_ms = FIXTURE_START_MS };
	start_disk(s, sync);
}

static void stop_disk(struct shell *s)
{
	CU_ASSERT_TRUE(disk_idle(s->disk));
	disk_stop(s->disk);
	disk_destroy(s->disk);
}

static void shell_close(struct shell *s)
{
	stop_disk(s);
	fixture_destroy(s->f);
}

/* What the system's disk has free from now on, and the broker's look at it. */
static void set_free(struct shell *s, uint64_t bytes)
{
	system_free = bytes;
	turn(s, 1000);
}

/* --- tests ----------------------------------------------------------------------------------------------------------------- */

/* Without a sync for each write: written at once, and durable in half a second although nothing more comes. */
static void test_what_is_written_is_synced_soon(void)
{
	struct shell s;

	shell_open(&s, false);
	(void)must_send(s.f, (struct sent){ .topic = "t", .key = "k" });
	turns(&s, 1);
	CU_ASSERT_EQUAL(commitlog_written(s.f->log), commitlog_appended(s.f->log));
	turns(&s, 60);
	CU_ASSERT_EQUAL(commitlog_durable(s.f->log), commitlog_appended(s.f->log));
	shell_close(&s);
}

/* Whoever waits for a read is told when there is no more to wait for. */
static void test_a_read_that_fails_is_an_end_too(void)
{
	struct shell s;

	shell_open(&s, true);
	struct send_result sent = must_send(s.f, (struct sent){ .topic = "t", .key = "k" });
	turns(&s, 10);
	for (unsigned i = 1; i <= 2; i++) {
		memdisk_fail_reads(s.f->disk, i == 1 ? 1 : 0);
		CU_ASSERT_EQUAL_FATAL(disk_warm(s.disk, sent.log_offset, 64, on_warm, &s), ST_OK);
		turns(&s, 1);
		CU_ASSERT_EQUAL(s.warm, i);
	}
	CU_ASSERT_EQUAL(s.failed, 0);
	shell_close(&s);
}

/* Of an index page as well. */
static void test_an_index_page_that_cannot_be_read_is_an_end_too(void)
{
	struct shell s;
	struct cq_entry entry;
	struct errinfo err;

	shell_open(&s, true);
	(void)must_send(s.f, (struct sent){ .topic = "t", .key = "k" });
	turns(&s, 10);
	stop_disk(&s);
	fixture_snapshot(s.f);
	fixture_restart(s.f);
	start_disk(&s, true);
	pagefile_set_read_inline(s.f->files, false);
	memdisk_set_cold(s.f->disk, true);
	const struct queue *queue = topic_queue(topics_find_any(s.f->core->topics, SPAN_LITERAL("t")), 0);
	CU_ASSERT_PTR_NOT_NULL_FATAL(queue);
	for (unsigned i = 1; i <= 2; i++) {
		memdisk_fail_reads(s.f->disk, i == 1 ? 1 : 0);
		CU_ASSERT_EQUAL(consume_queue_get(&queue->entries, 0, &entry, &err), ST_AGAIN);
		turns(&s, 1);
		CU_ASSERT_EQUAL(s.index_read, i);
	}
	CU_ASSERT_EQUAL(consume_queue_get(&queue->entries, 0, &entry, &err), ST_OK);
	shell_close(&s);
}

/* A snapshot may fail, the disk must not: after a failed sync nobody knows what it holds. */
static void test_a_failed_sync_of_a_snapshot_is_final(void)
{
	unsigned failures = 0, stops = 0;
	bool struck = true;

	for (uint64_t k = 1; struck && k < 100; k++) {
		struct shell s;

		shell_open(&s, true);
		(void)must_send(s.f, (struct sent){ .topic = "t", .key = "k" });
		turns(&s, 100);
		snapshotter_want(s.f->snapshotter);
		memdisk_fail(s.f->disk, k, MEMDISK_EIO, false);
		while (snapshotter_stats(s.f->snapshotter).taken == 0 && snapshotter_stats(s.f->snapshotter).failed == 0)
			turn(&s, 10);
		struck = memdisk_fault_struck(s.f->disk);
		memdisk_fail(s.f->disk, 0, MEMDISK_EIO, false);
		turns(&s, 100);
		failures += snapshotter_stats(s.f->snapshotter).failed;
		stops += s.failed;
		shell_close(&s);
	}
	CU_ASSERT_FALSE(struck);
	CU_ASSERT_TRUE(stops > 0);
	CU_ASSERT_TRUE(failures > stops); /* Those of writes. */
}

/* Full before the last byte is gone: index and snapshots need some. */
static void test_little_space_is_none(void)
{
	struct shell s;

	shell_open(&s, true);
	disk_set_reserved(s.disk, 100 * MIB);
	turn(&s, 1000);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_OK);
	set_free(&s, 8 * MIB);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_FULL);
	disk_set_reserved(s.disk, 0);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_LOW); /* What is prepared serves. */
	CU_ASSERT_TRUE(disk_log_stands(s.disk));
	set_free(&s, 512 * (uint64_t)MIB);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_OK);
	CU_ASSERT_FALSE(disk_log_stands(s.disk));
	shell_close(&s);
}

/* A warning before anything is refused. */
static void test_a_filling_disk_is_told(void)
{
	struct shell s;

	shell_open(&s, true);
	set_free(&s, 110 * (uint64_t)MIB);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_OK);
	set_free(&s, 90 * (uint64_t)MIB);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_LOW);
	CU_ASSERT_FALSE(disk_log_stands(s.disk));
	set_free(&s, 512 * (uint64_t)MIB);
	shell_close(&s);
}

/* diskSpaceFreeMin, or a sixteenth of a disk for which that is much. */
static void test_little_of_a_small_disk_is_left_free(void)
{
	static const struct {
		uint64_t option, enough, too_little;
	} cases[] = { { 16 * MIB, 40 * MIB, 8 * MIB }, { 256 * MIB, 100 * MIB, 50 * MIB } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct shell s = { .f = fixture_create(NULL), .now_ms = FIXTURE_START_MS, .free_min = cases[i].option };

		start_disk(&s, true);
		set_free(&s, cases[i].enough);
		CU_ASSERT_FALSE(disk_log_stands(s.disk));
		set_free(&s, cases[i].too_little);
		CU_ASSERT_TRUE(disk_log_stands(s.disk));
		set_free(&s, 512 * (uint64_t)MIB);
		shell_close(&s);
	}
}

/* Snapshots that are there when one more is wanted, and so much of the disk is not set aside for decisions. */
static uint64_t snapshots_with_room(struct shell *s, uint64_t room)
{
	(void)must_send(s->f, (struct sent){ .topic = "t", .key = "k" });
	turns(s, 100);
	disk_set_reserved(s->disk, commitlog_prepared_ahead(s->f->log) + system_free - room);
	snapshotter_want(s->f->snapshotter);
	turns(s, 300);
	return snapshotter_stats(s->f->snapshotter).taken;
}

static void test_a_snapshot_leaves_what_is_set_aside(void)
{
	struct shell s;

	shell_open(&s, true);
	CU_ASSERT_EQUAL(snapshots_with_room(&s, MIB), 1); /* It tells how large the next one will be. */
	CU_ASSERT_EQUAL(snapshots_with_room(&s, 1000), 1);
	CU_ASSERT_EQUAL(snapshots_with_room(&s, MIB), 2);
	shell_close(&s);
}

/* Or retention could not help where it is needed most. */
static void test_what_retention_gave_up_goes_from_a_short_disk(void)
{
	static const char first[] = "/store/commitlog/00000000000000000000";
	struct shell s = { .f = create_with(0, 0), .now_ms = FIXTURE_START_MS };
	size_t size;

	grow(s.f, 2);
	start_disk(&s, true);
	set_free(&s, 8 * MIB);
	CU_ASSERT_TRUE(disk_log_stands(s.disk));
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(s.f->disk, first, &size));
	CU_ASSERT_EQUAL_FATAL(commitlog_drop_oldest(s.f->log), ST_OK);
	turns(&s, 10);
	CU_ASSERT_PTR_NULL(memdisk_data(s.f->disk, first, &size));
	set_free(&s, 512 * (uint64_t)MIB);
	shell_close(&s);
}

/* A try to prepare the log that finds no space says so; the next one that finds some takes it back. */
static void test_space_that_is_found_again_is_noticed(void)
{
	struct shell s;

	shell_open(&s, true);
	memdisk_set_full(s.f->disk, true);
	for (int i = 0; i < 5000 && disk_level(s.disk) == DISK_OK; i++) {
		(void)must_send(s.f, (struct sent){ .topic = "t", .key = "k" });
		turn(&s, 10);
	}
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_LOW);
	turns(&s, 300);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_LOW);
	memdisk_set_full(s.f->disk, false);
	turns(&s, 300);
	CU_ASSERT_EQUAL(disk_level(s.disk), DISK_OK);
	CU_ASSERT_EQUAL(s.failed, 0);
	shell_close(&s);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_written_is_synced_soon),
		CHECK_TEST(test_a_read_that_fails_is_an_end_too),
		CHECK_TEST(test_an_index_page_that_cannot_be_read_is_an_end_too),
		CHECK_TEST(test_a_failed_sync_of_a_snapshot_is_final),
		CHECK_TEST(test_little_space_is_none),
		CHECK_TEST(test_a_filling_disk_is_told),
		CHECK_TEST(test_little_of_a_small_disk_is_left_free),
		CHECK_TEST(test_a_snapshot_leaves_what_is_set_aside),
		CHECK_TEST(test_what_retention_gave_up_goes_from_a_short_disk),
		CHECK_TEST(test_space_that_is_found_again_is_noticed),
	};

	return check_main("disk", tests, sizeof(tests) / sizeof(tests[0]));
}
