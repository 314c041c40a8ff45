/* Backups: a copy opens and is the store that was copied, whenever it is made; what changes under the copy makes it begin
 * again; what is not empty is not written to. */
#include "lib/index/backup.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "tests/unit/core/core_traffic.h"

/* Opens the store that was copied to /copy, in a fixture of its own, and describes it. */
static void describe_copy(const struct fixture *from, struct lines *lines)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct backup_result result;
	struct errinfo err = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*f = (struct fixture){ .disk = memdisk_clone(from->disk), .config = from->config, .clock = from->clock,
			       .segment_size = from->segment_size, .root = "/restored" };
	f->clock.clock.context = &f->clock;
	/* Restoring is copying back. */
	enum status status = backup_store(memdisk_vfs(f->disk), "/copy", "/restored", &result, &err);
	if (status != ST_OK)
		printf("%s\n", err.text);
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	fixture_open(f);
	describe(f->core, lines);
	fixture_destroy(f);
}

static void remove_copy(struct fixture *f)
{
	memdisk_remove_all(f->disk, "/copy/");
}

static void check_backup(struct fixture *f)
{
	struct lines live = { 0 }, copy = { 0 };
	struct backup_result result;
	struct errinfo err = { 0 };

	fixture_disk(f, true);
	enum status status = backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, &err);
	if (status != ST_OK)
		printf("%s\n", err.text);
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
	CU_ASSERT_EQUAL(result.attempts, 1);
	CU_ASSERT(result.log_end >= commitlog_durable(f->log));
	/* Both from a start: what only lives in memory is in neither. */
	memdisk_kill(f->disk);
	fixture_close(f);
	fixture_open(f);
	describe(f->core, &live);
	describe_copy(f, &copy);
	CU_ASSERT_TRUE(same_lines(&live, &copy));
	free_lines(&live);
	free_lines(&copy);
	remove_copy(f);
}

struct file_sizes {
	struct memdisk *disk;
	const char *dir;
	uint64_t sum;
};

static enum status add_size(void *context, const char *name)
{
	struct file_sizes *sizes = context;
	char path[200];
	size_t size = 0;

	snprintf(path, sizeof(path), "%s/%s", sizes->dir, name);
	if (strcmp(name, "lock") != 0 && memdisk_data(sizes->disk, path, &size) != NULL)
		sizes->sum += size;
	return ST_OK;
}

/* Of the files in /copy, but for the lock. */
static uint64_t copied_bytes(struct fixture *f)
{
	static const char *const dirs[] = { "/copy", "/copy/commitlog", "/copy/snapshots" };
	struct file_sizes sizes = { .disk = f->disk };

	for (size_t i = 0; i < sizeof(dirs) / sizeof(dirs[0]); i++) {
		sizes.dir = dirs[i];
		CU_ASSERT_EQUAL(vfs_list(memdisk_vfs(f->disk), sizes.dir, add_size, &sizes, NULL), ST_OK);
	}
	return sizes.sum;
}

static void test_copy_is_the_store(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 31);

	for (int round = 0; round < 10; round++) {
		run(t, round == 0 ? 20 : 900);
		check_backup(f);
		t->open_count = 0;
		fixture_heartbeat(f, false);
	}
	CU_ASSERT(commitlog_start(f->log) > LOG_SEGMENT_HEADER_SIZE);
	free(t);
	fixture_destroy(f);
}

static void test_without_a_snapshot_all_of_the_log_is_copied(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 5);
	struct backup_result result;

	run(t, 300);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, NULL), ST_OK);
	CU_ASSERT_EQUAL(result.snapshot_from, 0);
	CU_ASSERT_EQUAL(result.log_start, LOG_SEGMENT_HEADER_SIZE);
	remove_copy(f);
	check_backup(f);
	free(t);
	fixture_destroy(f);
}

/* What the source has built anew since its snapshot is not what that one names. */
static void test_an_index_that_was_built_anew_is_not_copied_to_an_older_snapshot(void)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 37);

	run(t, 3000);
	fixture_disk(f, true);
	uint32_t pages = pagefile_page_count(f->files);
	memdisk_kill(f->disk);
	fixture_close(f);
	CU_ASSERT_TRUE(memdisk_remove(f->disk, "/store/index.pages"));
	fixture_open(f);
	for (int i = 0; pagefile_page_count(f->files) < pages; i++) {
		do_something(t);
		f->asked_count = 0;
		if (i % 3 == 0)
			fixture_disk(f, true);
	}
	struct pagefile_flush_job job;
	pagefile_sweep(f->files);
	while (pagefile_take_flush(f->files, &job)) {
		pagefile_flush_run(&job);
		CU_ASSERT_EQUAL(pagefile_flush_done(f->files, &job, NULL), ST_OK);
	}
	check_backup(f);
	free(t);
	fixture_destroy(f);
}

static void test_target_must_be_empty(void)
{
	struct fixture *f = fixture_create(NULL);
	struct backup_result result;
	struct errinfo err = { 0 };

	memdisk_put(f->disk, "/copy/mine", "x", 1);
	CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(f->disk), "/copy", NULL), ST_OK);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is not empty"));
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/nothing", "/other", &result, &err), ST_NOTFOUND);
	fixture_destroy(f);
}

static void test_damage_in_the_source_is_found(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 6);
	struct backup_result result;
	struct errinfo err = { 0 };
	size_t size;

	run(t, 400);
	fixture_snapshot(f);
	run(t, 50);
	fixture_disk(f, true);
	uint8_t *log = memdisk_data(f->disk, "/store/commitlog/00000000000000000000", &size);
	log[LOG_SEGMENT_HEADER_SIZE + 3000] ^= 4; /* Below the snapshot: the broker itself would not look there at a start. */
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "00000000000000000000"));
	free(t);
	fixture_destroy(f);
}

/* --- damage in what no snapshot speaks of ------------------------------------------------------------------------------- */

#define ONLY_SEGMENT "/store/commitlog/00000000000000000000"

struct behind { /* The records from some place on. */
	struct log_record records[512];
	size_t count;
	uint64_t proved; /* What lies below had been durable: the last BATCH record says so. */
};

static void read_behind(struct fixture *f, uint64_t from, struct behind *out)
{
	struct logreader *reader = NULL;
	struct log_record record;
	struct log_mark mark;

	*out = (struct behind){ .count = 0 };
	CU_ASSERT_EQUAL_FATAL(logreader_open(memdisk_vfs(f->disk), "/store", from, &reader, NULL), ST_OK);
	while (logreader_next(reader, LOG_NO_LIMIT, &record, NULL) == ST_OK) {
		CU_ASSERT_FATAL(out->count < 512 && record.offset + record.size < 1024 * 1024);
		out->records[out->count++] = record;
		if (log_mark_of(&record, &mark))
			out->proved = mark.durable;
	}
	logreader_close(reader);
	CU_ASSERT(out->count > 20 && out->proved > out->records[out->count / 2].offset);
}

/* One flipped bit in the record, or zeros instead of it. */
static void damage_record(struct memdisk *disk, const struct log_record *record, bool zeroed)
{
	size_t size;
	uint8_t *at = memdisk_data(disk, ONLY_SEGMENT, &size) + record->offset;

	if (zeroed)
		memset(at, 0, record->size);
	else
		at[LOG_ENVELOPE_SIZE] ^= 4;
}

/* Had it been durable, the copy must not just end there; else it is a torn tail, and ends there. */
static void check_backup_of_damage(struct fixture *f, const struct behind *behind, const struct log_record *record, bool zeroed)
{
	struct memdisk *disk = memdisk_clone(f->disk);
	struct backup_result result;
	struct errinfo err = { 0 };

	damage_record(disk, record, zeroed);
	enum status status = backup_store(memdisk_vfs(disk), "/store", "/copy", &result, &err);
	if (record->offset < behind->proved) {
		CU_ASSERT_EQUAL(status, ST_CORRUPT);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ONLY_SEGMENT));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "this is damage, not a torn tail"));
		CU_ASSERT_EQUAL(backup_verify(memdisk_vfs(disk), "/copy", &result, &err), ST_CORRUPT);
	} else {
		CU_ASSERT_EQUAL(status, ST_OK);
		CU_ASSERT_EQUAL(result.log_end, record->offset);
	}
	memdisk_destroy(disk);
}

static void check_backups_of_damage(struct fixture *f, uint64_t from)
{
	struct behind behind;

	read_behind(f, from, &behind);
	for (size_t i = 0; i < behind.count; i++) {
		check_backup_of_damage(f, &behind, &behind.records[i], false);
		check_backup_of_damage(f, &behind, &behind.records[i], true);
	}
}

static void run_in_batches(struct traffic *t, int count)
{
	for (int i = 0; i < count; i++) {
		run(t, 2);
		fixture_disk(t->f, true);
	}
}

static void test_damage_behind_the_snapshot_does_not_end_the_copy(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 46);

	run(t, 100);
	fixture_snapshot(f);
	uint64_t durable = commitlog_durable(f->log);
	run_in_batches(t, 15);
	check_backups_of_damage(f, durable);
	free(t);
	fixture_destroy(f);
}

static void test_damage_without_a_snapshot_does_not_end_the_copy(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 47);

	run_in_batches(t, 15);
	check_backups_of_damage(f, 0);
	free(t);
	fixture_destroy(f);
}

/* A header that no broker is about to write: the copy says which file it is. */
static void test_a_bad_header_is_damage(void)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 48);
	struct backup_result result;
	struct errinfo err = { 0 };
	size_t size;

	t->keeps = true;
	run(t, 3000);
	fixture_disk(f, true);
	memdisk_data(f->disk, ONLY_SEGMENT, &size)[20] ^= 1;
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, ONLY_SEGMENT));
	CU_ASSERT_EQUAL(result.attempts, 1);
	free(t);
	fixture_destroy(f);
}

/* --- while the store changes -------------------------------------------------------------------------------------------- */

static struct {
	struct fixture *f;
	struct traffic *t;
	char opened[64]; /* When this file is opened to be read: once. */
	int openings;    /* Of it, so far. */
	int operations;
} meanwhile;

/* Two snapshots replace those that were kept; and so many operations let segments go round. */
static enum status open_and_change(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	enum status status = memdisk_vfs(meanwhile.f->disk)->open(context, path, flags, out, err);

	if (flags != VFS_READ || meanwhile.opened[0] == '\0' || strcmp(path, meanwhile.opened) != 0)
		return status;
	meanwhile.opened[0] = '\0';
	if (meanwhile.operations > 0)
		run(meanwhile.t, meanwhile.operations);
	for (int i = 0; i < 2; i++)
		fixture_snapshot(meanwhile.f);
	fixture_disk(meanwhile.f, true);
	return status;
}

/* The copy begins anew, and nothing of the first attempt is in it. */
static void check_second_attempt(struct fixture *f, struct traffic *t)
{
	struct vfs changing = *memdisk_vfs(f->disk);
	struct backup_result result;
	struct errinfo err = { 0 };
	uint64_t offsets[4];
	size_t count = 0;

	changing.open = open_and_change;
	meanwhile.f = f;
	meanwhile.t = t;
	enum status status = backup_store(&changing, "/store", "/copy", &result, &err);
	if (status != ST_OK)
		printf("%s\n", err.text);
	CU_ASSERT_EQUAL(status, ST_OK);
	CU_ASSERT_EQUAL(meanwhile.opened[0], '\0');
	CU_ASSERT_EQUAL(result.attempts, 2);
	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/copy", offsets, 4, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL(count, 1);
	remove_copy(f);
	check_backup(f);
}

/* A broker that writes on, and makes it durable, whenever a file of its log is opened. */
static enum status open_and_write(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	enum status status = memdisk_vfs(meanwhile.f->disk)->open(context, path, flags, out, err);

	if (status == ST_OK && flags == VFS_READ && strncmp(path, "/store/commitlog/", 17) == 0 && meanwhile.operations > 0) {
		int operations = meanwhile.operations;

		meanwhile.operations = 0; /* The broker opens files, too. */
		run_in_batches(meanwhile.t, operations);
		meanwhile.operations = operations;
		meanwhile.openings++;
	}
	return status;
}

/* Where the log ended a moment ago lies what proves that it had been durable there: written since, and no damage. */
static void check_backup_of_a_busy_broker(bool snapshot)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 49);
	struct vfs changing = *memdisk_vfs(f->disk);
	struct backup_result result;
	struct errinfo err = { 0 };

	t->keeps = true;
	run(t, 100);
	fixture_disk(f, true);
	if (snapshot)
		fixture_snapshot(f);
	changing.open = open_and_write;
	meanwhile.f = f;
	meanwhile.t = t;
	meanwhile.openings = 0;
	meanwhile.operations = 3;
	uint64_t durable = commitlog_durable(f->log);
	enum status status = backup_store(&changing, "/store", "/copy", &result, &err);
	if (status != ST_OK)
		printf("%s\n", err.text);
	CU_ASSERT_EQUAL(status, ST_OK);
	CU_ASSERT_EQUAL(result.attempts, 1);
	CU_ASSERT_EQUAL(result.snapshot_from > 0, snapshot);
	CU_ASSERT(meanwhile.openings > 2 && result.log_end >= durable);
	remove_copy(f);
	check_backup(f);
	free(t);
	fixture_destroy(f);
}

static void test_a_busy_broker_is_not_damaged(void)
{
	check_backup_of_a_busy_broker(true);
	check_backup_of_a_busy_broker(false);
}

/* A start of a broker on what is half copied yet. */
static enum status open_and_start(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct commitlog_config config = { .root = "/copy", .segment_size = LOG_SEGMENT_SIZE_MIN, .ring_size = LOG_RING_SIZE_MIN };
	const struct vfs *vfs = memdisk_vfs(meanwhile.f->disk);
	struct commitlog *log = NULL;
	struct errinfo why = { 0 };

	if (flags == VFS_READ && strcmp(path, meanwhile.opened) == 0) {
		meanwhile.opened[0] = '\0';
		CU_ASSERT_EQUAL(commitlog_open(&config, vfs, &log, &why), ST_LOCKED);
	}
	return vfs->open(context, path, flags, out, err);
}

static void test_what_is_half_copied_cannot_be_used(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 43);
	struct vfs watched = *memdisk_vfs(f->disk);
	struct backup_result result;

	run(t, 100);
	fixture_snapshot(f);
	meanwhile.f = f;
	snprintf(meanwhile.opened, sizeof(meanwhile.opened), "/store/index.pages");
	watched.open = open_and_start;
	CU_ASSERT_EQUAL(backup_store(&watched, "/store", "/copy", &result, NULL), ST_OK);
	CU_ASSERT_EQUAL(meanwhile.opened[0], '\0');
	remove_copy(f);
	check_backup(f);
	free(t);
	fixture_destroy(f);
}

static void test_a_snapshot_is_replaced_under_the_copy(void)
{
	struct fixture *f = fixture_create(NULL);
	struct traffic *t = traffic_create(f, 41);

	run(t, 100);
	fixture_snapshot(f);
	run(t, 100);
	fixture_disk(f, true);
	meanwhile.operations = 0;
	snprintf(meanwhile.opened, sizeof(meanwhile.opened), "/store/index.pages");
	check_second_attempt(f, t);
	free(t);
	fixture_destroy(f);
}

/* The oldest segment's file becomes the next one while it is read. */
static void test_a_segment_is_used_again_under_the_copy(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 42);

	t->keeps = true;
	run(t, 3000);
	fixture_disk(f, true);
	CU_ASSERT(commitlog_start(f->log) > LOG_SEGMENT_HEADER_SIZE);
	meanwhile.operations = 3000;
	snprintf(meanwhile.opened, sizeof(meanwhile.opened), "/store/commitlog/%020llu",
		 (unsigned long long)(commitlog_start(f->log) - LOG_SEGMENT_HEADER_SIZE));
	check_second_attempt(f, t);
	free(t);
	fixture_destroy(f);
}

/* The oldest files of the log are used again right after they were opened: so many, each by another look. */
static enum status open_and_recycle_oldest(void *context, const char *path, unsigned flags, struct vfs_file **out,
					   struct errinfo *err)
{
	struct memdisk *disk = meanwhile.f->disk;
	enum status status = memdisk_vfs(disk)->open(context, path, flags, out, err);
	char temporary[64];
	size_t size;

	if (flags != VFS_READ || strncmp(path, "/store/commitlog/", 17) != 0 || meanwhile.operations == 0)
		return status;
	meanwhile.operations--;
	memset(memdisk_data(disk, path, &size), 0, LOG_SEGMENT_HEADER_SIZE);
	snprintf(temporary, sizeof(temporary), "/store/commitlog/%d.tmp", meanwhile.operations);
	CU_ASSERT_EQUAL(memdisk_vfs(disk)->rename(context, path, temporary, err), ST_OK);
	return status;
}

static void test_segments_are_used_again_while_the_end_is_looked_for(void)
{
	for (int count = 1; count <= 4; count++) {
		struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
		struct traffic *t = traffic_create(f, 50);
		struct vfs changing = *memdisk_vfs(f->disk);
		struct backup_result result;

		t->keeps = true;
		run(t, 3000);
		fixture_disk(f, true);
		changing.open = open_and_recycle_oldest;
		meanwhile.f = f;
		meanwhile.operations = count;
		CU_ASSERT_EQUAL(backup_store(&changing, "/store", "/copy", &result, NULL), ST_OK);
		CU_ASSERT_EQUAL(meanwhile.operations, 0);
		CU_ASSERT_EQUAL(result.attempts, 1 + (unsigned)count / 2);
		CU_ASSERT_EQUAL(result.log_end, commitlog_durable(f->log));
		free(t);
		fixture_destroy(f);
	}
}

/* Under the name that the copy has just opened for its last look lies another segment by now, or half a header of one. */
static enum status open_and_recycle(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	struct memdisk *disk = meanwhile.f->disk;
	enum status status = memdisk_vfs(disk)->open(context, path, flags, out, err);
	size_t size;

	if (flags != VFS_READ || strcmp(path, meanwhile.opened) != 0 || ++meanwhile.openings < 3) /* Its header, its bytes. */
		return status;
	memset(memdisk_data(disk, path, &size), 0, LOG_SEGMENT_HEADER_SIZE);
	CU_ASSERT_EQUAL(memdisk_vfs(disk)->rename(context, path, "/store/commitlog/next.tmp", err), ST_OK);
	return status;
}

static void test_a_segment_is_used_again_under_the_last_look(void)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 43);
	struct vfs changing = *memdisk_vfs(f->disk);
	struct backup_result result;

	t->keeps = true;
	run(t, 3000);
	fixture_disk(f, true);
	changing.open = open_and_recycle;
	meanwhile.f = f;
	meanwhile.openings = 0;
	snprintf(meanwhile.opened, sizeof(meanwhile.opened), "/store/commitlog/%020llu",
		 (unsigned long long)(commitlog_start(f->log) - LOG_SEGMENT_HEADER_SIZE));
	CU_ASSERT_EQUAL(backup_store(&changing, "/store", "/copy", &result, NULL), ST_OK);
	CU_ASSERT_EQUAL(meanwhile.openings, 3);
	CU_ASSERT_EQUAL(result.attempts, 2);
	CU_ASSERT_EQUAL(result.bytes, copied_bytes(f)); /* Of the last attempt. */
	CU_ASSERT_TRUE(result.log_start > commitlog_start(f->log));
	free(t);
	fixture_destroy(f);
}

/* Where neither a snapshot nor the log's beginning is left, no broker starts: such a copy is not called good. */
static void test_a_copy_without_a_beginning_is_not_good(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 44);
	struct backup_result result;

	run(t, 3000);
	fixture_disk(f, true);
	CU_ASSERT(commitlog_start(f->log) > LOG_SEGMENT_HEADER_SIZE);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, NULL), ST_OK);
	memdisk_remove_all(f->disk, "/copy/snapshots/");
	CU_ASSERT_EQUAL(backup_verify(memdisk_vfs(f->disk), "/copy", &result, NULL), ST_CORRUPT);
	free(t);
	fixture_destroy(f);
}

/* A power cut right after it was told as done takes nothing of it. */
static void test_a_copy_that_is_done_is_durable(void)
{
	for (uint64_t seed = 1; seed <= 5; seed++) {
		struct fixture *f = fixture_create(NULL);
		struct backup_result result, again;

		(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
		fixture_snapshot(f);
		CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy", &result, NULL), ST_OK);
		memdisk_crash(f->disk, seed);
		CU_ASSERT_EQUAL(backup_verify(memdisk_vfs(f->disk), "/copy", &again, NULL), ST_OK);
		CU_ASSERT_EQUAL(again.log_end, result.log_end);
		CU_ASSERT_EQUAL(again.snapshot_from, result.snapshot_from);
		fixture_destroy(f);
	}
}

static bool parent_synced;

static enum status watch_parent(void *context, const char *dir, struct errinfo *err)
{
	parent_synced = parent_synced || strcmp(dir, "/backups") == 0;
	return memdisk_vfs(meanwhile.f->disk)->sync_dir(context, dir, err);
}

/* Nor does it take the directory, whose name is in another one (the disk in memory keeps directories whatever happens). */
static void test_the_name_of_a_copy_is_durable(void)
{
	struct fixture *f = fixture_create(NULL);
	struct vfs watched = *memdisk_vfs(f->disk);
	struct backup_result result;

	meanwhile.f = f;
	watched.sync_dir = watch_parent;
	parent_synced = false;
	CU_ASSERT_EQUAL(vfs_mkdir(&watched, "/backups", NULL), ST_OK);
	CU_ASSERT_EQUAL(backup_store(&watched, "/store", "/backups/today/", &result, NULL), ST_OK);
	CU_ASSERT_TRUE(parent_synced);
	fixture_destroy(f);
}

/* --- a copy that is cut short ------------------------------------------------------------------------------------------- */

static enum status start_on_copy(struct memdisk *disk, struct errinfo *err)
{
	struct store_config config = {
		.log = { .root = "/copy", .segment_size = LOG_SEGMENT_SIZE_MIN, .ring_size = LOG_RING_SIZE_MIN }, .index_cache_bytes = 512 * 1024,
	};
	struct store store;
	enum status status = store_open(&config, memdisk_vfs(disk), &store, err);

	if (status == ST_OK)
		CU_ASSERT_EQUAL(store_close(&store, false, NULL), ST_OK);
	return status;
}

static enum status count_content(void *context, const char *name)
{
	unsigned *count = context;

	*count += strcmp(name, "lock") != 0;
	return ST_OK;
}

/* All or nothing: what is not all of the source is no backup, no source of one, and no broker's store. True: it is all.
 * `was_there`: the copy was to go to an empty directory, which then may be empty still. */
static bool check_what_is_left(struct memdisk *disk, const struct backup_result *whole, bool was_there)
{
	struct backup_result result, again;
	struct errinfo err = { 0 };
	unsigned count = 0;

	enum status listed = vfs_list(memdisk_vfs(disk), "/copy", count_content, &count, NULL);
	if (listed == ST_NOTFOUND) /* Nothing was begun. What is left beside it is in nobody's way. */
		CU_ASSERT_EQUAL(backup_store(memdisk_vfs(disk), "/store", "/copy", &again, &err), ST_OK);
	if (listed == ST_NOTFOUND || (was_there && count == 0))
		return false;
	enum status status = backup_verify(memdisk_vfs(disk), "/copy", &result, &err);
	if (status == ST_OK) {
		CU_ASSERT_EQUAL(result.log_end, whole->log_end);
		CU_ASSERT_EQUAL(result.snapshot_from, whole->snapshot_from);
		CU_ASSERT_EQUAL(start_on_copy(disk, &err), ST_OK);
		return true;
	}
	CU_ASSERT_EQUAL(status, ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is an unfinished copy"));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "remove the directory"));
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(disk), "/copy", "/again", &again, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is an unfinished copy"));
	CU_ASSERT_EQUAL(vfs_list(memdisk_vfs(disk), "/again", count_content, &count, NULL), ST_NOTFOUND);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(disk), "/store", "/copy", &again, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is an unfinished copy"));
	CU_ASSERT_EQUAL(start_on_copy(disk, &err), ST_CORRUPT);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is an unfinished copy"));
	return false;
}

/* A kill, or a power cut, at the n-th operation. ST_OK: it took fewer. */
static enum status cut_short(const struct fixture *f, const struct backup_result *whole, uint64_t n, bool was_there)
{
	struct memdisk *disk = memdisk_clone(f->disk);
	struct backup_result result;

	if (was_there)
		CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), "/copy", NULL), ST_OK);
	memdisk_fail(disk, n, n % 2 == 0 ? MEMDISK_EIO : MEMDISK_ENOSPC, n % 4 < 2);
	enum status status = backup_store(memdisk_vfs(disk), "/store", "/copy", &result, NULL);
	memdisk_fail(disk, 0, MEMDISK_EIO, false);
	struct memdisk *killed = memdisk_clone(disk);
	memdisk_crash(disk, n);
	bool all = check_what_is_left(killed, whole, was_there);
	CU_ASSERT_TRUE(all || status != ST_OK);
	all = check_what_is_left(disk, whole, was_there);
	CU_ASSERT_TRUE(all || status != ST_OK);
	memdisk_destroy(killed);
	memdisk_destroy(disk);
	return status;
}

static void test_a_copy_that_is_cut_short_is_never_taken_for_whole(void)
{
	struct fixture *f = create_small(20 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 45);
	struct backup_result whole;

	t->keeps = true;
	run(t, 3000);
	fixture_disk(f, true);
	struct memdisk *disk = memdisk_clone(f->disk);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(disk), "/store", "/copy", &whole, NULL), ST_OK);
	CU_ASSERT(whole.snapshot_from > 0 && whole.log_end - whole.log_start > 3 * LOG_SEGMENT_SIZE_MIN);
	memdisk_destroy(disk);
	for (int was_there = 0; was_there < 2; was_there++) {
		enum status status = ST_IO;

		for (uint64_t n = 1; status != ST_OK && n < 400; n++)
			status = cut_short(f, &whole, n, was_there != 0);
		CU_ASSERT_EQUAL(status, ST_OK);
	}
	free(t);
	fixture_destroy(f);
}

static enum status open_link(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	if (strcmp(path, "/copy") == 0)
		return errinfo_set(err, ST_IO, "/copy is a symbolic link, not a regular file");
	return memdisk_vfs(meanwhile.f->disk)->open(context, path, flags, out, err);
}

/* To what is not there: no directory can be renamed to it, so none is made. */
static void test_a_target_that_is_a_link_to_nothing_is_refused(void)
{
	static const char *const names[] = { "/copy", "/copy/" };
	struct fixture *f = fixture_create(NULL);
	struct vfs linked = *memdisk_vfs(f->disk);
	struct backup_result result;
	struct errinfo err = { 0 };

	linked.open = open_link;
	meanwhile.f = f;
	for (int i = 0; i < 2; i++) {
		CU_ASSERT_EQUAL(backup_store(&linked, "/store", names[i], &result, &err), ST_INVALID);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy is a symbolic link"));
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "name a directory that is empty or not there"));
		CU_ASSERT_EQUAL(vfs_list(&linked, "/copy.unfinished", vfs_stop_at_any, NULL, NULL), ST_NOTFOUND);
	}
	fixture_destroy(f);
}

/* What lies where a copy would be made first is not made part of it. */
static void test_what_is_beside_the_target_stays_there(void)
{
	struct fixture *f = fixture_create(NULL);
	struct backup_result result;
	struct errinfo err = { 0 };
	size_t size = 0;

	CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(f->disk), "/copy.unfinished", NULL), ST_OK);
	memdisk_put(f->disk, "/copy.unfinished/mine", "x", 1);
	CU_ASSERT_EQUAL(backup_store(memdisk_vfs(f->disk), "/store", "/copy/", &result, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "/copy.unfinished is not empty"));
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(f->disk, "/copy.unfinished/mine", &size));
	CU_ASSERT_EQUAL(vfs_list(memdisk_vfs(f->disk), "/copy", vfs_stop_at_any, NULL, NULL), ST_NOTFOUND);
	fixture_destroy(f);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_copy_is_the_store),
		CHECK_TEST(test_without_a_snapshot_all_of_the_log_is_copied),
		CHECK_TEST(test_an_index_that_was_built_anew_is_not_copied_to_an_older_snapshot),
		CHECK_TEST(test_target_must_be_empty),
		CHECK_TEST(test_damage_in_the_source_is_found),
		CHECK_TEST(test_damage_behind_the_snapshot_does_not_end_the_copy),
		CHECK_TEST(test_damage_without_a_snapshot_does_not_end_the_copy),
		CHECK_TEST(test_a_bad_header_is_damage),
		CHECK_TEST(test_a_busy_broker_is_not_damaged),
		CHECK_TEST(test_what_is_half_copied_cannot_be_used),
		CHECK_TEST(test_a_snapshot_is_replaced_under_the_copy),
		CHECK_TEST(test_a_segment_is_used_again_under_the_copy),
		CHECK_TEST(test_segments_are_used_again_while_the_end_is_looked_for),
		CHECK_TEST(test_a_segment_is_used_again_under_the_last_look),
		CHECK_TEST(test_a_copy_without_a_beginning_is_not_good),
		CHECK_TEST(test_a_copy_that_is_done_is_durable),
		CHECK_TEST(test_the_name_of_a_copy_is_durable),
		CHECK_TEST(test_a_copy_that_is_cut_short_is_never_taken_for_whole),
		CHECK_TEST(test_a_target_that_is_a_link_to_nothing_is_refused),
		CHECK_TEST(test_what_is_beside_the_target_stays_there),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("backup", tests, sizeof(tests) / sizeof(tests[0]));
}
