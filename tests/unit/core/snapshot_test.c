/* Snapshots: a start from one gives the same state as a replay of everything, wherever the slices fell; what is damaged is
 * passed over or refused. Retention on top: what goes, what stays, what is carried. */
#include "broker/core/snapshot.h"
#include "lib/base/crc32c.h"
#include "tests/unit/core/core_traffic.h"

/* Opens what the disk holds, with or without its snapshots, and describes it. */
static void describe_disk(const struct fixture *from, bool with_snapshots, struct lines *lines)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t offsets[4];
	size_t count = 0;

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*f = (struct fixture){ .disk = memdisk_clone(from->disk), .config = from->config, .clock = from->clock,
			       .segment_size = from->segment_size };
	f->clock.clock.context = &f->clock;
	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", offsets, 4, &count, NULL), ST_OK);
	for (size_t i = 0; i < count && !with_snapshots; i++) {
		char path[64];
		snprintf(path, sizeof(path), "/store/snapshots/%020llu", (unsigned long long)offsets[i]);
		CU_ASSERT_TRUE(memdisk_remove(f->disk, path));
	}
	fixture_open(f);
	CU_ASSERT_EQUAL(f->store.snapshot_from != 0, with_snapshots && count > 0);
	describe(f->core, lines);
	fixture_destroy(f);
}

/* --- tests -------------------------------------------------------------------------------------------------------------- */

static void test_start_from_a_snapshot_is_the_replay_of_everything(void)
{
	uint64_t random = check_seed(400);

	for (int round = 0; round < 25; round++) {
		struct fixture *f = fixture_create(NULL);
		struct traffic *t = traffic_create(f, check_random(&random));
		struct lines with = { 0 }, without = { 0 };

		for (uint64_t i = 0; i < 600; i++) {
			do_something(t);
			if (i % 200 == 20)
				snapshotter_want(f->snapshotter);
			if (chance(t, 6) == 0)
				fixture_snapshot_step(f); /* Slices far apart: much happens between them. */
			if (chance(t, 4) == 0)
				fixture_disk(f, true);
			if (i % 250 == 249) {
				memdisk_crash(f->disk, check_random(&random));
				fixture_close(f);
				t->open_count = 0;
				fixture_open(f);
				fixture_heartbeat(f, false);
			}
		}
		memdisk_crash(f->disk, check_random(&random));
		describe_disk(f, true, &with);
		describe_disk(f, false, &without);
		CU_ASSERT_TRUE(same_lines(&with, &without));
		free_lines(&with);
		free_lines(&without);
		free(t);
		fixture_destroy(f);
	}
}

/* Killed when the snapshot has its name and nothing behind its position is on the disk, not even its mark: the next epoch is
 * a new one all the same. */
static void test_start_with_nothing_behind_the_snapshot_opens_a_new_epoch(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 9);
	struct lines with = { 0 }, without = { 0 };

	for (int i = 0; i < 50; i++)
		do_something(t);
	fixture_disk(f, true);
	uint32_t epoch = commitlog_epoch(f->store.log);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 10000 && snapshotter_stats(f->snapshotter).taken == 0; i++)
		fixture_snapshot_step(f);
	CU_ASSERT_EQUAL(snapshotter_stats(f->snapshotter).last_from, commitlog_appended(f->store.log));
	fixture_restart(f);
	CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
	CU_ASSERT_EQUAL(commitlog_epoch(f->store.log), epoch + 1);
	describe_disk(f, true, &with);
	describe_disk(f, false, &without);
	CU_ASSERT_TRUE(same_lines(&with, &without));
	free_lines(&with);
	free_lines(&without);
	free(t);
	fixture_destroy(f);
}

static char *newest_snapshot(struct fixture *f, char path[64])
{
	uint64_t offset = 0;
	size_t count = 0;

	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", &offset, 1, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	snprintf(path, 64, "/store/snapshots/%020llu", (unsigned long long)offset);
	return path;
}

static void test_damaged_snapshot_gives_way_to_the_older_one(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 7);
	struct lines before = { 0 }, after = { 0 };
	char path[64];
	size_t size;

	for (int i = 0; i < 300; i++) {
		do_something(t);
		if (i == 100 || i == 200)
			fixture_snapshot(f);
	}
	fixture_disk(f, true);
	describe_disk(f, true, &before);
	uint8_t *data = memdisk_data(f->disk, newest_snapshot(f, path), &size);
	uint64_t newest = f->store.snapshot_from;
	data[size / 2] ^= 0x10;
	describe_disk(f, true, &after);
	(void)newest;
	CU_ASSERT_TRUE(same_lines(&before, &after));
	/* Every byte counts. */
	for (size_t at = 0; at < size; at += 97) {
		struct snapshot_reader *reader;
		struct errinfo err;
		data = memdisk_data(f->disk, path, &size);
		if (at == size / 2)
			continue;
		data[size / 2] ^= 0x10; /* Whole again, but for one byte. */
		data[at] ^= 1;
		uint64_t offset = strtoull(path + strlen("/store/snapshots/"), NULL, 10);
		enum status status = snapshot_open(memdisk_vfs(f->disk), "/store", offset, &reader, &err);
		CU_ASSERT(status == ST_CORRUPT || status == ST_VERSION);
		if (status == ST_OK)
			snapshot_close(reader);
		data[at] ^= 1;
		data[size / 2] ^= 0x10;
	}
	free_lines(&before);
	free_lines(&after);
	free(t);
	fixture_destroy(f);
}

/* Of the two that are kept, none is one that cannot serve. */
static void test_damaged_snapshot_does_not_count_as_kept(void)
{
	struct fixture *f = fixture_create(NULL);
	uint64_t offsets[4];
	char path[64];
	size_t size, count = 0;

	for (int i = 0; i < 2; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_snapshot(f);
	}
	uint64_t older = f->core->retention.snapshot_pin;
	memdisk_data(f->disk, newest_snapshot(f, path), &size)[size / 2] ^= 1;
	memdisk_kill(f->disk);
	fixture_close(f);
	fixture_open(f);
	CU_ASSERT_EQUAL(f->store.snapshot_from, older);
	fixture_snapshot(f);
	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", offsets, 4, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(count, 2);
	CU_ASSERT_EQUAL(offsets[1], older);
	for (size_t i = 0; i < count; i++) {
		struct snapshot_reader *reader;
		CU_ASSERT_EQUAL_FATAL(snapshot_open(memdisk_vfs(f->disk), "/store", offsets[i], &reader, NULL), ST_OK);
		snapshot_close(reader);
	}
	/* The damaged one is gone, too. */
	CU_ASSERT_PTR_NULL(memdisk_data(f->disk, strcat(path, ".damaged"), &size));
	fixture_destroy(f);
}

/* What a newer version wrote is no damage: it is not passed over for an older snapshot, nor put aside. */
static void test_a_newer_versions_snapshot_is_refused(void)
{
	enum { HEADER_SIZE = 64, AT_VERSION = 8, AT_CRC = 12 };
	struct fixture *f = fixture_create(NULL);
	struct errinfo err = { ST_OK, "" };
	char path[64];
	size_t size;

	for (int i = 0; i < 2; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_snapshot(f);
	}
	uint8_t *header = memdisk_data(f->disk, newest_snapshot(f, path), &size);
	put_u32(header + AT_VERSION, SNAPSHOT_FORMAT_VERSION + 1);
	put_u32(header + AT_CRC, 0);
	put_u32(header + AT_CRC, crc32c(0, header, HEADER_SIZE));
	memdisk_kill(f->disk);
	fixture_close(f);
	CU_ASSERT_EQUAL(fixture_try_open(f, &err), ST_VERSION);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(f->disk, path, &size));
	memdisk_destroy(f->disk);
	free(f);
}

/* A broker that is stopping finishes its last snapshot between our look at them and our lock. */
static struct {
	struct memdisk *disk;
	char path[64];
} stopping;

static enum status lock_when_it_has_stopped(void *context, const char *path, struct vfs_file **out, struct errinfo *err)
{
	const struct vfs *vfs = memdisk_vfs(stopping.disk);

	if (stopping.path[0] != '\0')
		CU_ASSERT_EQUAL(vfs_rename(vfs, "/store/snapshots/unfinished", stopping.path, NULL), ST_OK);
	stopping.path[0] = '\0';
	return vfs->lock(context, path, out, err);
}

static void test_a_snapshot_that_was_finished_meanwhile_is_seen(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 3);
	struct vfs vfs = *memdisk_vfs(f->disk);
	struct store_config config = { .log = { .root = "/store", .ring_size = 512 * 1024, .clock = &f->clock.clock } };
	struct store store;

	run(t, 50);
	fixture_snapshot(f);
	run(t, 50);
	fixture_snapshot(f);
	uint64_t newest = snapshotter_stats(f->snapshotter).last_from;
	memdisk_kill(f->disk);
	fixture_close(f);
	stopping.disk = f->disk;
	CU_ASSERT_EQUAL(vfs_rename(memdisk_vfs(f->disk), newest_snapshot(f, stopping.path), "/store/snapshots/unfinished", NULL), ST_OK);
	vfs.lock = lock_when_it_has_stopped;
	CU_ASSERT_EQUAL_FATAL(store_open(&config, &vfs, &store, NULL), ST_OK);
	CU_ASSERT_EQUAL(store.snapshot_from, newest);
	CU_ASSERT_EQUAL(store_close(&store, false, NULL), ST_OK);
	memdisk_kill(f->disk);
	fixture_open(f);
	free(t);
	fixture_destroy(f);
}

/* Two stores with the same history have snapshots of the same name; each is for its own log. */
static void test_snapshot_of_another_log_is_refused(void)
{
	struct fixture *f = fixture_create(NULL), *other = fixture_create(NULL);
	struct errinfo err = { ST_OK, "" };
	char path[64], other_path[64];
	size_t size;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k", .half = true });
	(void)must_send(other, (struct sent){ .topic = "t", .key = "k", .half = true });
	fixture_snapshot(f);
	fixture_snapshot(other);
	CU_ASSERT_STRING_EQUAL_FATAL(newest_snapshot(f, path), newest_snapshot(other, other_path));
	const uint8_t *bytes = memdisk_data(other->disk, path, &size);
	memdisk_put(f->disk, path, bytes, size);
	fixture_close(f);
	memdisk_kill(f->disk);
	CU_ASSERT_EQUAL(fixture_try_open(f, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "belongs to another log"));
	memdisk_destroy(f->disk);
	free(f);
	fixture_destroy(other);
}

/* --- snapshots that fail ------------------------------------------------------------------------------------------------ */

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

static void flush_pages(struct fixture *f, enum status expected)
{
	struct pagefile_flush_job pages;
	struct errinfo err;

	while (pagefile_take_flush(f->files, &pages)) {
		pagefile_flush_run(&pages);
		CU_ASSERT_EQUAL(pagefile_flush_done(f->files, &pages, &err), expected);
		if (expected != ST_OK)
			return;
	}
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

static struct snapshot_job *first_job(struct fixture *f)
{
	clock_manual_advance(&f->clock, 60 * 1000);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
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

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
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

		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_disk(f, true);
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

static void test_what_an_interrupted_snapshot_left_goes_at_start(void)
{
	struct fixture *f = fixture_create(NULL);

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_snapshot(f);
	memdisk_put(f->disk, "/store/snapshots/00000000000000009000.tmp", "ESCROW", 6);
	memdisk_put(f->disk, "/store/snapshots/mine.tmp", "ESCROW", 6);
	fixture_restart(f);
	CU_ASSERT_EQUAL(leftovers(f), 1); /* Not ours. */
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
	clock_manual_advance(&f->clock, 60 * 1000);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
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
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_disk(f, true);
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
	CU_ASSERT(f->core->retention.carried_count > 0);
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

static void test_power_cuts_while_the_log_goes_round(void)
{
	uint64_t random = check_seed(500);

	for (int round = 0; round < 6; round++) {
		struct fixture *f = create_small(2 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, check_random(&random));

		for (int cut = 0; cut < 12; cut++) {
			struct lines one = { 0 }, two = { 0 };
			run(t, (int)(200 + check_random(&random) % 500));
			memdisk_crash(f->disk, check_random(&random));
			fixture_close(f);
			fixture_open(f);
			t->open_count = 0;
			fixture_heartbeat(f, false);
			fixture_disk(f, true);
			/* Started twice it is the same. */
			describe(f->core, &one);
			memdisk_kill(f->disk);
			fixture_close(f);
			fixture_open(f);
			describe(f->core, &two);
			CU_ASSERT_TRUE(same_lines(&one, &two));
			free_lines(&one);
			free_lines(&two);
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
			struct lines one = { 0 }, two = { 0 };
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
			describe(f->core, &one);
			memdisk_kill(f->disk);
			fixture_close(f);
			fixture_open(f);
			describe(f->core, &two);
			CU_ASSERT_TRUE(same_lines(&one, &two));
			free_lines(&one);
			free_lines(&two);
			fixture_heartbeat(f, false);
		}
		free(t);
		fixture_destroy(f);
	}
}

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
			struct lines one = { 0 }, two = { 0 };
			struct send_result sent;
			struct outcome outcome;

			set_full(f, check_random(&random) % 2 == 0);
			run(t, (int)(50 + check_random(&random) % 300));
			if (check_random(&random) % 3 != 0)
				continue;
			memdisk_crash(f->disk, check_random(&random));
			fixture_close(f);
			fixture_open(f);
			describe(f->core, &one);
			memdisk_kill(f->disk);
			fixture_close(f);
			fixture_open(f);
			describe(f->core, &two);
			CU_ASSERT_TRUE(same_lines(&one, &two));
			free_lines(&one);
			free_lines(&two);
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

/* The index file is lost: the state is the same with what was built anew. */
static void lose_index(struct fixture *f)
{
	struct lines before = { 0 }, after = { 0 };

	memdisk_kill(f->disk);
	fixture_close(f);
	fixture_open(f);
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

/* Writes the index pages that are in memory only, as write-behind does when there are many of them. */
static void write_pages(struct fixture *f)
{
	struct pagefile_flush_job pages;

	pagefile_sweep(f->files);
	while (pagefile_take_flush(f->files, &pages)) {
		pagefile_flush_run(&pages);
		CU_ASSERT_EQUAL(pagefile_flush_done(f->files, &pages, NULL), ST_OK);
	}
}

/* The same state after a kill; was the index built anew? */
static bool rebuilds_at_start(struct fixture *f)
{
	struct lines before = { 0 }, after = { 0 };

	describe(f->core, &before);
	memdisk_kill(f->disk);
	fixture_close(f);
	fixture_open(f);
	describe(f->core, &after);
	CU_ASSERT_TRUE(same_lines(&before, &after));
	free_lines(&before);
	free_lines(&after);
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
	/* A snapshot that knows them is taken at once. */
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
		struct lines before = { 0 }, after = { 0 };
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
		describe(f->core, &before);
		memdisk_kill(f->disk);
		fixture_close(f);
		fixture_open(f);
		describe(f->core, &after);
		CU_ASSERT_TRUE(same_lines(&before, &after));
		free_lines(&before);
		free_lines(&after);
		free(t);
		fixture_destroy(f);
	}
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

/* The disk was full for a moment: the snapshot is tried again, not given up for good. */
static void test_a_snapshot_that_failed_is_tried_again(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pagefile_flush_job pages;
	struct errinfo err;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	snapshotter_want(f->snapshotter);
	for (int i = 0; i < 1000 && snapshotter_stats(f->snapshotter).failed == 0; i++) {
		while (pagefile_take_flush(f->files, &pages)) {
			pagefile_flush_run(&pages);
			CU_ASSERT_EQUAL(pagefile_flush_done(f->files, &pages, &err), ST_OK);
		}
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

/* An index page may be on the disk while the decision that it tells of is lost with the log's tail. What the log says counts:
 * for a resend, and for an operator. */
static void test_an_index_ahead_of_the_log_is_not_believed(void)
{
	struct fixture *f = fixture_create(NULL);
	struct sent sent = { .topic = "t", .key = "k", .half = true };
	struct send_result half = must_send(f, sent), again;
	struct pagefile_flush_job pages;
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

	fixture_snapshot(f);
	CU_ASSERT_EQUAL(fixture_end(f, &half, OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	pagefile_sweep(f->files); /* As the cache does when it is full. */
	while (pagefile_take_flush(f->files, &pages)) {
		pagefile_flush_run(&pages);
		CU_ASSERT_EQUAL(pagefile_flush_done(f->files, &pages, NULL), ST_OK);
	}
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

static void test_two_snapshots_are_kept(void)
{
	struct fixture *f = fixture_create(NULL);
	uint64_t offsets[8];
	size_t count = 0;

	for (int i = 0; i < 5; i++) {
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_snapshot(f);
	}
	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", offsets, 8, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL(count, SNAPSHOT_KEPT);
	CU_ASSERT_EQUAL(offsets[0], snapshotter_stats(f->snapshotter).last_from);
	/* A start goes on where the last one stopped: with the older one's part of the log kept, and with the numbers. */
	fixture_restart(f);
	CU_ASSERT_EQUAL(f->core->retention.snapshot_pin, offsets[1]);
	uint64_t generation = f->store.snapshot_generation;
	fixture_snapshot(f);
	fixture_restart(f);
	CU_ASSERT_EQUAL(f->core->retention.snapshot_pin, offsets[0]);
	CU_ASSERT_EQUAL(f->store.snapshot_generation, generation + 1);
	fixture_destroy(f);
}

/* Pages of the index that nobody had when the snapshot was taken are there for others after a start from it. */
static void test_a_start_finds_the_pages_that_nobody_uses(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_disk(f, true);
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("t"), &outcome), ST_OK);
	fixture_snapshot(f);
	fixture_restart(f);
	struct pagefile_stats stats = pagefile_stats(f->files);
	CU_ASSERT_EQUAL(stats.page_count, 1);
	CU_ASSERT_EQUAL(stats.free_pages, 1);
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

/* --- limits and names over a start --------------------------------------------------------------------------------------- */

static void must_start(struct fixture *f)
{
	struct errinfo err = { ST_OK, "" };

	fixture_close(f);
	CU_ASSERT_EQUAL_FATAL(fixture_try_open(f, &err), ST_OK);
}

static enum status put_topic(struct fixture *f, const char *name)
{
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ | PERM_WRITE };
	struct outcome outcome = { 0 };
	enum status status = core_put_topic(f->core, span_of(name), &settings, &outcome);

	fixture_disk(f, true);
	return status;
}

static enum status put_group(struct fixture *f, const char *name)
{
	struct group_config config = group_config_default();
	struct outcome outcome = { 0 };
	enum status status = core_put_group(f->core, span_of(name), &config, &outcome);

	fixture_disk(f, true);
	return status;
}

/* As many as the limit allows, and deleted ones besides: a snapshot's list is longer than the limit. */
static unsigned count_slices(struct fixture *f)
{
	struct snapshot_cursor cursor = { 0 };
	struct buffer out;
	unsigned count = 0;

	buffer_init(&out, 0);
	for (; snapshot_slice(f->core, &cursor, &out); count++)
		buffer_reset(&out);
	buffer_deinit(&out);
	return count;
}

/* Room that very many delayed messages have left is looked through in steps. */
static void test_empty_room_makes_no_slice_long(void)
{
	enum { MANY = 6 * SNAPSHOT_SLOTS_AT_ONCE };
	struct fixture *f = fixture_create(NULL);
	struct delays *delays = &f->core->delays;
	struct delayed first;

	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	unsigned before = count_slices(f);
	for (unsigned i = 0; i < MANY; i++) {
		struct delayed one = { .deliver_at_ms = 1 + i, .naming_offset = i, .topic = topics_find_any(f->core->topics, SPAN_LITERAL("t")) };
		CU_ASSERT_EQUAL_FATAL(delays_reserve(delays, one.topic, false), ST_OK);
		delays_add(delays, &one);
	}
	while (delays_first(delays, &first))
		delays_remove(delays, first.slot);
	CU_ASSERT_TRUE(count_slices(f) >= before + 5);
	fixture_destroy(f);
}

static void test_limits_do_not_bind_what_is_there(void)
{
	struct fixture *f = fixture_create(NULL);
	struct outcome outcome = { 0 };
	char name[32];
	int topics = 0, groups = 0;

	do
		snprintf(name, sizeof(name), "t-%d", topics);
	while (put_topic(f, name) == ST_OK && ++topics < 1000);
	do
		snprintf(name, sizeof(name), "g-%d", groups);
	while (put_group(f, name) == ST_OK && ++groups < 1000);
	CU_ASSERT_TRUE_FATAL(topics > 2 && topics < 1000 && groups > 2 && groups < 1000);
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("t-0"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("g-0"), true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(put_topic(f, "t-new"), ST_OK);
	CU_ASSERT_EQUAL(put_group(f, "g-new"), ST_OK);
	CU_ASSERT_EQUAL(core_delete_topic(f->core, SPAN_LITERAL("t-new"), &outcome), ST_OK);
	CU_ASSERT_EQUAL(core_delete_group(f->core, SPAN_LITERAL("g-new"), true, &outcome), ST_OK);
	CU_ASSERT_EQUAL(put_topic(f, "t-0"), ST_OK);
	CU_ASSERT_EQUAL(put_group(f, "g-0"), ST_OK);
	must_start(f); /* From the log ... */
	fixture_snapshot(f);
	must_start(f); /* ... and from a snapshot; */
	CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
	CU_ASSERT_NOT_EQUAL(put_topic(f, "t-more"), ST_OK);
	f->config.topic_max = f->config.group_max = 2; /* also when there may be fewer now. */
	f->config.name_max = 10;
	must_start(f);
	CU_ASSERT_PTR_NOT_NULL(topics_find(f->core->topics, SPAN_LITERAL("t-0")));
	CU_ASSERT_PTR_NOT_NULL(groups_find(f->core->groups, SPAN_LITERAL("g-0")));
	CU_ASSERT_NOT_EQUAL(put_topic(f, "t-more"), ST_OK);
	fixture_destroy(f);
}

/* Names that clients only mention do not become more with each snapshot and start. */
static void test_mentioned_names_do_not_pile_up(void)
{
	struct core_config config = fixture_config();
	struct outcome outcome = { 0 };
	char name[32];

	config.member_max = 100000;
	struct fixture *f = fixture_create(&config);
	for (int start = 0; start < 6; start++) {
		for (int i = 0; i < 400; i++) {
			snprintf(name, sizeof(name), "producer-%d-%d", start, i);
			struct span group = span_of(name);
			struct heartbeat heartbeat = { .client_id = SPAN_LITERAL("c"), .producer_groups = &group, .producer_count = 1 };
			(void)!core_heartbeat(f->core, PRODUCER, &(struct host){ 0 }, 0, 453, &heartbeat, &outcome);
		}
		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_disk(f, true);
		fixture_snapshot(f);
		fixture_restart(f);
		CU_ASSERT_TRUE(names_end(f->core->names) < 100);
	}
	CU_ASSERT_EQUAL(put_topic(f, "brand-new"), ST_OK);
	fixture_destroy(f);
}

/* A broker has a topic of its own name, which no record makes. What was sent to it outlasts the name. */
static void test_a_broker_may_change_its_name(void)
{
	struct fixture *f = fixture_create(NULL);
	struct pulled p = { 0 };

	(void)must_send(f, (struct sent){ .topic = "a", .key = "k" });
	fixture_disk(f, true);
	CU_ASSERT_STRING_EQUAL(f->config.broker_name, "a");
	f->config.broker_name = "b";
	must_start(f);
	CU_ASSERT_EQUAL(fixture_pull(f, "a", 0, 0, "*", &p), 1);
	fixture_snapshot(f);
	must_start(f);
	CU_ASSERT_EQUAL(fixture_pull(f, "a", 0, 0, "*", &p), 1);
	pulled_free(&p);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_start_from_a_snapshot_is_the_replay_of_everything),
		CHECK_TEST(test_start_with_nothing_behind_the_snapshot_opens_a_new_epoch),
		CHECK_TEST(test_damaged_snapshot_gives_way_to_the_older_one),
		CHECK_TEST(test_damaged_snapshot_does_not_count_as_kept),
		CHECK_TEST(test_a_snapshot_that_was_finished_meanwhile_is_seen),
		CHECK_TEST(test_a_newer_versions_snapshot_is_refused),
		CHECK_TEST(test_snapshot_of_another_log_is_refused),
		CHECK_TEST(test_failed_snapshots_leave_no_files),
		CHECK_TEST(test_a_sync_that_fails_is_told_apart),
		CHECK_TEST(test_what_an_interrupted_snapshot_left_goes_at_start),
		CHECK_TEST(test_a_snapshot_that_is_given_up_is_removed),
		CHECK_TEST(test_a_snapshot_that_does_not_fit_is_not_begun),
		CHECK_TEST(test_retention_drops_and_carries),
		CHECK_TEST(test_power_cuts_while_the_log_goes_round),
		CHECK_TEST(test_sizes_change_between_starts),
		CHECK_TEST(test_space_comes_and_goes),
		CHECK_TEST(test_lost_index_is_built_anew),
		CHECK_TEST(test_an_index_built_anew_is_not_that_of_older_snapshots),
		CHECK_TEST(test_a_full_disk_does_not_prevent_a_start),
		CHECK_TEST(test_lost_index_where_topics_were_deleted),
		CHECK_TEST(test_without_snapshots_nothing_goes),
		CHECK_TEST(test_topic_keeps_its_messages_for_a_shorter_time),
		CHECK_TEST(test_full_disk_refuses_what_is_new_only),
		CHECK_TEST(test_empty_room_makes_no_slice_long),
		CHECK_TEST(test_limits_do_not_bind_what_is_there),
		CHECK_TEST(test_mentioned_names_do_not_pile_up),
		CHECK_TEST(test_a_broker_may_change_its_name),
		CHECK_TEST(test_a_snapshot_that_failed_is_tried_again),
		CHECK_TEST(test_an_index_ahead_of_the_log_is_not_believed),
		CHECK_TEST(test_two_snapshots_are_kept),
		CHECK_TEST(test_a_start_finds_the_pages_that_nobody_uses),
		CHECK_TEST(test_an_unfinished_snapshot_does_not_stay),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core snapshots", tests, sizeof(tests) / sizeof(tests[0]));
}
