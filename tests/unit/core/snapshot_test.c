/* Snapshots: a start from one gives the same state as a replay of everything, wherever the slices fell; what is damaged is
 * passed over or refused; limits and names over a start from one. */
#include "tests/unit/core/snapshot_fixture.h"

#include "lib/base/crc32c.h"

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

/* What the disk holds is the same by its snapshots and by a replay of all. */
static void check_replay_is_the_same(const struct fixture *f)
{
	struct lines with = { 0 }, without = { 0 };

	describe_disk(f, true, &with);
	describe_disk(f, false, &without);
	CU_ASSERT_TRUE(same_lines(&with, &without));
	free_lines(&with);
	free_lines(&without);
}

static void test_start_from_a_snapshot_is_the_replay_of_everything(void)
{
	uint64_t random = check_seed(400);

	for (int round = 0; round < 25; round++) {
		struct fixture *f = fixture_create(NULL);
		struct traffic *t = traffic_create(f, check_random(&random));

		for (uint64_t i = 0; i < 600; i++) {
			do_something(t);
			if (i % 200 == 20)
				snapshotter_want(f->snapshotter);
			if (chance(t, 6) == 0)
				fixture_snapshot_step(f); /* Slices far apart: much happens between them. */
			if (chance(t, 4) == 0)
				fixture_disk(f, true);
			if (i % 250 == 249)
				cut_power(t, check_random(&random));
		}
		memdisk_crash(f->disk, check_random(&random));
		check_replay_is_the_same(f);
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
	check_replay_is_the_same(f);
	free(t);
	fixture_destroy(f);
}

static void test_two_snapshots_are_kept(void)
{
	struct fixture *f = fixture_create(NULL);
	uint64_t offsets[8];
	size_t count = 0;

	for (int i = 0; i < 5; i++)
		send_and_snapshot(f);
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

/* Name servers pass over a version that they have seen. */
static void test_the_version_of_the_topics_does_not_go_back(void)
{
	struct fixture *f = fixture_create(NULL);
	struct topic_settings settings = { .read_queue_nums = 1, .write_queue_nums = 1, .perm = PERM_READ, .attributes = SPAN_LITERAL("{}") };
	struct outcome outcome = { 0 };

	for (int i = 0; i < 50; i++) { /* More changes than there are topics. */
		settings.perm = i % 2 == 0 ? PERM_READ : PERM_READ | PERM_WRITE;
		CU_ASSERT_EQUAL(core_put_topic(f->core, SPAN_LITERAL("t"), &settings, &outcome), ST_OK);
	}
	fixture_disk(f, true);
	fixture_snapshot(f);
	int64_t before = topics_version(f->core->topics).counter;
	fixture_restart(f);
	CU_ASSERT_NOT_EQUAL(f->store.snapshot_from, 0);
	CU_ASSERT(topics_version(f->core->topics).counter >= before);
	fixture_destroy(f);
}

/* --- damaged, newer, another log's -------------------------------------------------------------------------------------- */

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
	data[size / 2] ^= 0x10;
	describe_disk(f, true, &after);
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

	for (int i = 0; i < 2; i++)
		send_and_snapshot(f);
	uint64_t older = f->core->retention.snapshot_pin;
	memdisk_data(f->disk, newest_snapshot(f, path), &size)[size / 2] ^= 1;
	kill_and_open(f);
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

/* What another version wrote is no damage: it is not passed over for an older snapshot, nor put aside. */
static void expect_version_refused(uint32_t version, const char *text)
{
	enum { HEADER_SIZE = 64, AT_VERSION = 8, AT_CRC = 12 };
	struct fixture *f = fixture_create(NULL);
	struct errinfo err = { ST_OK, "" };
	char path[64];
	size_t size;

	for (int i = 0; i < 2; i++)
		send_and_snapshot(f);
	uint8_t *header = memdisk_data(f->disk, newest_snapshot(f, path), &size);
	put_u32(header + AT_VERSION, version);
	put_u32(header + AT_CRC, 0);
	put_u32(header + AT_CRC, crc32c(0, header, HEADER_SIZE));
	memdisk_kill(f->disk);
	fixture_close(f);
	CU_ASSERT_EQUAL(fixture_try_open(f, &err), ST_VERSION);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, path));
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, text));
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(f->disk, path, &size));
	memdisk_destroy(f->disk);
	free(f);
}

static void test_another_versions_snapshot_is_refused(void)
{
	expect_version_refused(SNAPSHOT_FORMAT_VERSION + 1, "format version 2, this program reads 1: use a newer program");
	expect_version_refused(0, "unknown format version 0, this program reads 1");
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_start_from_a_snapshot_is_the_replay_of_everything),
		CHECK_TEST(test_start_with_nothing_behind_the_snapshot_opens_a_new_epoch),
		CHECK_TEST(test_two_snapshots_are_kept),
		CHECK_TEST(test_a_start_finds_the_pages_that_nobody_uses),
		CHECK_TEST(test_the_version_of_the_topics_does_not_go_back),
		CHECK_TEST(test_damaged_snapshot_gives_way_to_the_older_one),
		CHECK_TEST(test_damaged_snapshot_does_not_count_as_kept),
		CHECK_TEST(test_another_versions_snapshot_is_refused),
		CHECK_TEST(test_a_snapshot_that_was_finished_meanwhile_is_seen),
		CHECK_TEST(test_snapshot_of_another_log_is_refused),
		CHECK_TEST(test_limits_do_not_bind_what_is_there),
		CHECK_TEST(test_mentioned_names_do_not_pile_up),
		CHECK_TEST(test_a_broker_may_change_its_name),
		CHECK_TEST(test_empty_room_makes_no_slice_long),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core snapshots", tests, sizeof(tests) / sizeof(tests[0]));
}
