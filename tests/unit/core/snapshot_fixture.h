/* Snapshots, as their tests handle them. Whether a start from one is right, what becomes of one that fails, what retention may drop
 * with them and what a lost index costs are questions with a file each; they all kill or cut off a core under traffic, start it
 * again and compare what it knows, and that is here. */
#ifndef ESCROW_TESTS_SNAPSHOT_FIXTURE_H
#define ESCROW_TESTS_SNAPSHOT_FIXTURE_H

#include "broker/core/snapshot.h"
#include "tests/unit/core/core_traffic.h"

/* So that the snapshot differs from the last one. */
static inline void send_and_snapshot(struct fixture *f)
{
	(void)must_send(f, (struct sent){ .topic = "t", .key = "k" });
	fixture_snapshot(f);
}

static inline char *newest_snapshot(struct fixture *f, char path[64])
{
	uint64_t offset = 0;
	size_t count = 0;

	CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(f->disk), "/store", &offset, 1, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(count, 1);
	snprintf(path, 64, "/store/snapshots/%020llu", (unsigned long long)offset);
	return path;
}

/* Writes the index pages that are waiting for it. */
static inline void flush_pages(struct fixture *f, enum status expected)
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

/* The process ends, the machine does not: all that was written is there. */
static inline void kill_and_open(struct fixture *f)
{
	memdisk_kill(f->disk);
	fixture_close(f);
	fixture_open(f);
}

/* The power goes in the middle of the traffic. */
static inline void cut_power(struct traffic *t, uint64_t random)
{
	memdisk_crash(t->f->disk, random);
	fixture_close(t->f);
	fixture_open(t->f);
	t->open_count = 0;
	fixture_heartbeat(t->f, false);
}

/* Started twice it is the same. */
static inline void check_same_after_kill(struct fixture *f)
{
	struct lines before = { 0 }, after = { 0 };

	describe(f->core, &before);
	kill_and_open(f);
	describe(f->core, &after);
	CU_ASSERT_TRUE(same_lines(&before, &after));
	free_lines(&before);
	free_lines(&after);
}

#endif
