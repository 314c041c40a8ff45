/* Projections on disk: what is put is got, whatever the cache, the jobs and the disk do in between. */
#include "tests/support/check.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/index/consume_queue.h"
#include "lib/index/half_index.h"
#include "lib/index/key_run.h"
#include "lib/index/lost_log.h"
#include "lib/index/pagefile.h"
#include "lib/index/snapshot_file.h"
#include "lib/index/unfinished.h"
#include "lib/log/vfs_replace.h"
#include "tests/support/memdisk.h"

static struct pagefile *open_small(struct memdisk *disk, bool read_inline)
{
	struct pagefile_config config = { .path = "pages", .cache_bytes = PAGEFILE_CACHE_MIN, .read_inline = read_inline };
	struct pagefile *pf = NULL;
	struct errinfo err = { 0 };

	if (pagefile_open(&config, memdisk_vfs(disk), &pf, &err) != ST_OK) {
		fprintf(stderr, "%s\n", err.text);
		abort();
	}
	return pf;
}

static struct cq_entry entry_of(uint64_t n)
{
	return (struct cq_entry){ 1000 + n * 8, 5000 + n * 16, (uint32_t)(n % 4000), (int32_t)(n * 2654435761u),
				  (int64_t)(100 + n / 3 * 10), (uint32_t)(n & 7) };
}

static bool same_entry(const struct cq_entry *a, const struct cq_entry *b)
{
	return a->log_offset == b->log_offset && a->body_offset == b->body_offset && a->size == b->size &&
	       a->tag_hash == b->tag_hash && a->store_time_ms == b->store_time_ms && a->flags == b->flags;
}

/* Runs the read job of the last ST_AGAIN. */
static void serve_miss(struct pagefile *pf)
{
	struct pagefile_read_job job;

	CU_ASSERT_TRUE_FATAL(pagefile_take_read(pf, &job));
	pagefile_read_run(&job);
	CU_ASSERT_EQUAL(pagefile_read_done(pf, &job, NULL), ST_OK);
}

static void test_put_get_and_bounds(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct consume_queue q;
	struct cq_entry got, runs[300];
	size_t count = 0;

	consume_queue_init(&q, pf);
	CU_ASSERT_EQUAL(consume_queue_max(&q), 0);
	CU_ASSERT_EQUAL(consume_queue_get(&q, 0, &got, NULL), ST_NOTFOUND);
	for (uint64_t n = 0; n < 250; n++) {
		struct cq_entry entry = entry_of(n);
		CU_ASSERT_EQUAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
		CU_ASSERT_EQUAL(consume_queue_put(&q, n, &entry, NULL), ST_OK); /* Replay. */
	}
	CU_ASSERT_EQUAL(consume_queue_min(&q), 0);
	CU_ASSERT_EQUAL(consume_queue_max(&q), 250);
	CU_ASSERT_EQUAL(consume_queue_get_run(&q, 30, 300, runs, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL(count, 220); /* Across pages, to the end. */
	for (size_t i = 0; i < count; i++) {
		struct cq_entry expected = entry_of(30 + i);
		CU_ASSERT_TRUE(same_entry(&runs[i], &expected));
	}
	CU_ASSERT_EQUAL(consume_queue_get(&q, 250, &got, NULL), ST_NOTFOUND);
	CU_ASSERT_EQUAL(consume_queue_get_run(&q, UINT64_MAX, 3, runs, &count, NULL), ST_NOTFOUND);
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_queue_may_begin_late_and_have_gaps(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct consume_queue q;
	struct cq_entry entry = entry_of(5), got, runs[10];
	size_t count = 0;

	consume_queue_init(&q, pf);
	CU_ASSERT_EQUAL(consume_queue_put(&q, 1000000, &entry, NULL), ST_OK);
	CU_ASSERT_EQUAL(consume_queue_min(&q), 1000000);
	CU_ASSERT_EQUAL(consume_queue_put(&q, 1000500, &entry, NULL), ST_OK);
	CU_ASSERT_EQUAL(consume_queue_get(&q, 1000300, &got, NULL), ST_NOTFOUND);
	CU_ASSERT_EQUAL(consume_queue_get_run(&q, 1000000, 10, runs, &count, NULL), ST_OK);
	CU_ASSERT_EQUAL(count, 1);
	CU_ASSERT_EQUAL(consume_queue_get(&q, 1000500, &got, NULL), ST_OK);
	CU_ASSERT_EQUAL(consume_queue_put(&q, 0, &entry, NULL), ST_INVALID);
	CU_ASSERT_EQUAL(consume_queue_put(&q, 1000500 + 2 * ENTRY_GAP_MAX, &entry, NULL), ST_INVALID);
	CU_ASSERT_EQUAL(consume_queue_max(&q), 1000501);
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* Many queues, far more pages than the cache holds, jobs and misses at random. */
static void test_many_queues_share_a_small_cache(void)
{
	enum { QUEUES = 150, PUTS = 60000 };
	static struct consume_queue queues[QUEUES];
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, false);
	struct pagefile_flush_job *job = malloc(sizeof(*job));
	uint64_t random = check_seed(5);
	bool taken = false;

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	for (int i = 0; i < QUEUES; i++)
		consume_queue_init(&queues[i], pf);
	for (int i = 0; i < PUTS; i++) {
		struct consume_queue *q = &queues[check_random(&random) % QUEUES];
		uint64_t n = consume_queue_max(q);
		struct cq_entry entry = entry_of(n), got;
		memdisk_set_cold(disk, check_random(&random) % 4 == 0);
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(q, n, &entry, NULL), ST_OK);
		if (!taken && check_random(&random) % 4 == 0)
			taken = pagefile_take_flush(pf, job);
		else if (taken && check_random(&random) % 40 == 0) {
			pagefile_flush_run(job);
			CU_ASSERT_EQUAL(pagefile_flush_done(pf, job, NULL), ST_OK);
			taken = false;
		}
		n = check_random(&random) % (n + 1);
		for (int tries = 0; tries < 3; tries++) {
			enum status status = consume_queue_get(q, n, &got, NULL);
			if (status == ST_OK)
				break;
			CU_ASSERT_EQUAL_FATAL(status, ST_AGAIN);
			serve_miss(pf);
		}
		entry = entry_of(n);
		CU_ASSERT_TRUE_FATAL(same_entry(&got, &entry));
	}
	struct pagefile_stats stats = pagefile_stats(pf);
	CU_ASSERT(stats.page_count > 4 * stats.cached_pages);
	CU_ASSERT(stats.cached_pages <= PAGEFILE_CACHE_MIN / PAGEFILE_PAGE_SIZE);
	CU_ASSERT(stats.write_count > 0 && stats.miss_count > 0);
	for (int i = 0; i < QUEUES; i++)
		consume_queue_deinit(&queues[i]);
	free(job);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_all_dirty_is_written_out_inline(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct consume_queue q;
	struct cq_entry got;

	consume_queue_init(&q, pf);
	for (uint64_t n = 0; n < 50000; n++) {
		struct cq_entry entry = entry_of(n);
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
	}
	CU_ASSERT(pagefile_stats(pf).inline_write_count > 0);
	for (uint64_t n = 0; n < 50000; n += 17) {
		struct cq_entry entry = entry_of(n);
		CU_ASSERT_EQUAL(consume_queue_get(&q, n, &got, NULL), ST_OK);
		CU_ASSERT_TRUE(same_entry(&got, &entry));
	}
	/* When even that fails, the put fails and says so; the next one tries again. */
	struct errinfo err = { 0 };
	enum status status = ST_OK;
	memdisk_fail(disk, 1, MEMDISK_ENOSPC, true);
	uint64_t n = 50000;
	for (; status == ST_OK && n < 70000; n++) {
		struct cq_entry entry = entry_of(n);
		status = consume_queue_put(&q, n, &entry, &err);
	}
	CU_ASSERT_EQUAL(status, ST_FULL);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "pages"));
	memdisk_fail(disk, 0, MEMDISK_ENOSPC, false);
	struct cq_entry entry = entry_of(n - 1);
	CU_ASSERT_EQUAL(consume_queue_put(&q, n - 1, &entry, &err), ST_OK);
	CU_ASSERT_EQUAL(consume_queue_get(&q, n - 2, &got, NULL), ST_OK);
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_read_job_does_not_bring_back_an_old_page(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, false);
	struct pagefile_read_job job, second;
	struct consume_queue q, filler;
	struct cq_entry old = entry_of(1), new = entry_of(2), got;
	uint64_t n = 0;

	consume_queue_init(&q, pf);
	consume_queue_init(&filler, pf);
	CU_ASSERT_EQUAL(consume_queue_put(&q, 0, &old, NULL), ST_OK);
	for (; n < 30000; n++)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&filler, n, &old, NULL), ST_OK);
	memdisk_set_cold(disk, true);
	CU_ASSERT_EQUAL(consume_queue_get(&q, 0, &got, NULL), ST_AGAIN);
	CU_ASSERT_TRUE_FATAL(pagefile_take_read(pf, &job));
	CU_ASSERT_FALSE(pagefile_take_read(pf, &second));
	pagefile_read_run(&job); /* Has the old content; meanwhile: */
	CU_ASSERT_EQUAL(consume_queue_put(&q, 0, &new, NULL), ST_OK);
	for (; n < 60000; n++)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&filler, n, &old, NULL), ST_OK);
	CU_ASSERT_EQUAL(pagefile_read_done(pf, &job, NULL), ST_OK);
	enum status status = consume_queue_get(&q, 0, &got, NULL);
	if (status == ST_AGAIN) {
		serve_miss(pf);
		status = consume_queue_get(&q, 0, &got, NULL);
	}
	CU_ASSERT_EQUAL(status, ST_OK);
	CU_ASSERT_TRUE(same_entry(&got, &new));
	consume_queue_deinit(&q);
	consume_queue_deinit(&filler);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_failed_jobs_are_told_and_lose_nothing(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, false);
	struct pagefile_flush_job *job = malloc(sizeof(*job));
	struct consume_queue q;
	struct cq_entry entry = entry_of(1);
	struct errinfo err = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(job);
	consume_queue_init(&q, pf);
	for (uint64_t n = 0; !pagefile_take_flush(pf, job); n++)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
	uint64_t dirty = pagefile_stats(pf).dirty_pages;
	memdisk_fail(disk, 1, MEMDISK_EIO, false);
	pagefile_flush_run(job);
	CU_ASSERT_EQUAL(pagefile_flush_done(pf, job, &err), ST_IO);
	CU_ASSERT_EQUAL(pagefile_stats(pf).dirty_pages, dirty);
	CU_ASSERT_TRUE_FATAL(pagefile_take_flush(pf, job));
	pagefile_flush_run(job);
	CU_ASSERT_EQUAL(pagefile_flush_done(pf, job, &err), ST_OK);
	CU_ASSERT_EQUAL(pagefile_stats(pf).dirty_pages, dirty - job->page_count);
	free(job);
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_damaged_entry_is_refused(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, false);
	struct consume_queue q;
	struct cq_entry entry = entry_of(1), got;
	size_t size = 0;

	consume_queue_init(&q, pf);
	for (uint64_t n = 0; n < 30000; n++)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
	uint8_t *data = memdisk_data(disk, "pages", &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	data[33] ^= 1; /* Entry 0, which is long out of the cache. */
	CU_ASSERT_EQUAL(consume_queue_get(&q, 0, &got, NULL), ST_CORRUPT);
	CU_ASSERT_EQUAL(consume_queue_get(&q, 1, &got, NULL), ST_OK);
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* Straight from the definition, entry by entry. */
static uint64_t find_slowly(const struct consume_queue *q, uint64_t end, int64_t time_ms, enum cq_boundary boundary)
{
	uint64_t answer = boundary == CQ_LOWER ? end : consume_queue_min(q);

	for (uint64_t n = consume_queue_min(q); n < end; n++) {
		struct cq_entry entry;
		CU_ASSERT_EQUAL(consume_queue_get(q, n, &entry, NULL), ST_OK);
		if (boundary == CQ_LOWER && entry.store_time_ms >= time_ms)
			return n;
		if (boundary == CQ_UPPER && entry.store_time_ms <= time_ms)
			answer = n;
	}
	return answer;
}

static void test_search_by_time(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct consume_queue q;
	uint64_t found = 99;

	consume_queue_init(&q, pf);
	CU_ASSERT_EQUAL(consume_queue_find_time(&q, 0, 5, CQ_LOWER, &found, NULL), ST_OK);
	CU_ASSERT_EQUAL(found, 0);
	for (uint64_t n = 7; n < 220; n++) {
		struct cq_entry entry = entry_of(n);
		CU_ASSERT_EQUAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
	}
	for (uint64_t end = 7; end <= 220; end += 71) {
		for (int64_t time_ms = 90; time_ms < 860; time_ms += 5) {
			CU_ASSERT_EQUAL(consume_queue_find_time(&q, end, time_ms, CQ_LOWER, &found, NULL), ST_OK);
			CU_ASSERT_EQUAL(found, find_slowly(&q, end, time_ms, CQ_LOWER));
			CU_ASSERT_EQUAL(consume_queue_find_time(&q, end, time_ms, CQ_UPPER, &found, NULL), ST_OK);
			CU_ASSERT_EQUAL(found, find_slowly(&q, end, time_ms, CQ_UPPER));
		}
	}
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_half_index_remembers_states(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct half_index index;
	struct half_entry got, none = { 0 };
	uint64_t random = check_seed(9);

	half_index_init(&index, pf);
	CU_ASSERT_EQUAL(half_index_get(&index, 0, &got, NULL), ST_NOTFOUND);
	CU_ASSERT_EQUAL(half_index_put(&index, 0, &none, NULL), ST_INVALID);
	for (uint64_t n = 0; n < 20000; n++) {
		struct half_entry entry = { 4096 + n * 200, 0, 0, 1 };
		CU_ASSERT_EQUAL_FATAL(half_index_put(&index, n, &entry, NULL), ST_OK);
		uint64_t decided = check_random(&random) % (n + 1);
		entry = (struct half_entry){ 4096 + decided * 200, 9000000 + decided, decided / 2, 2 };
		CU_ASSERT_EQUAL_FATAL(half_index_put(&index, decided, &entry, NULL), ST_OK);
	}
	CU_ASSERT_EQUAL(half_index_max(&index), 20000);
	for (uint64_t n = 0; n < 20000; n++) {
		CU_ASSERT_EQUAL_FATAL(half_index_get(&index, n, &got, NULL), ST_OK);
		CU_ASSERT_EQUAL(got.half_offset, 4096 + n * 200);
		if (got.state == 2)
			CU_ASSERT(got.decision_offset == 9000000 + n && got.queue_offset == n / 2);
	}
	struct half_entry late = { 1, 2, 3, 4 };
	CU_ASSERT_EQUAL(half_index_put(&index, 20500, &late, NULL), ST_OK);
	CU_ASSERT_EQUAL(half_index_get(&index, 20400, &got, NULL), ST_NOTFOUND);
	half_index_deinit(&index);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* Pages in the middle go; what is behind them is found as before, and their places can be filled again. */
static void test_half_index_without_its_middle(void)
{
	enum { HALVES = 20000, KEPT = 700 };
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct half_index index;
	struct half_entry got;
	uint64_t n, found, end;

	half_index_init(&index, pf);
	for (n = 0; n < HALVES; n++) {
		struct half_entry entry = { .half_offset = 1000 + n, .state = 1 };
		CU_ASSERT_EQUAL_FATAL(half_index_put(&index, n, &entry, NULL), ST_OK);
	}
	CU_ASSERT_EQUAL(half_index_skip_gap(&index, 5), 5);
	CU_ASSERT_EQUAL(half_index_skip_gap(&index, HALVES), HALVES);
	uint64_t free_pages = pagefile_stats(pf).free_pages, dropped = 0;
	uint64_t first = half_index_page_end(&index, KEPT);
	for (n = first; half_index_page_end(&index, n) < HALVES; n = end, dropped++) {
		end = half_index_page_end(&index, n);
		half_index_drop_page(&index, n + 3);
		half_index_drop_page(&index, n);
	}
	CU_ASSERT_EQUAL(pagefile_stats(pf).free_pages, free_pages + dropped);
	CU_ASSERT_EQUAL(half_index_skip_gap(&index, first), n);
	CU_ASSERT_EQUAL(half_index_skip_gap(&index, first - 1), first - 1);
	CU_ASSERT_EQUAL(half_index_skip_gap(&index, n - 1), n);
	for (uint64_t i = 0; i < HALVES; i++) {
		bool kept = i < first || i >= n;
		CU_ASSERT_EQUAL_FATAL(half_index_get(&index, i, &got, NULL), kept ? ST_OK : ST_NOTFOUND);
		CU_ASSERT_EQUAL_FATAL(half_index_find(&index, 1000 + i, &found, &got, NULL), kept ? ST_OK : ST_NOTFOUND);
		CU_ASSERT_TRUE_FATAL(!kept || found == i);
	}
	CU_ASSERT_EQUAL(half_index_put(&index, first + 1, &(struct half_entry){ .half_offset = 1001 + first, .state = 2 }, NULL), ST_OK);
	CU_ASSERT_EQUAL(half_index_get(&index, first + 1, &got, NULL), ST_OK);
	CU_ASSERT_EQUAL(got.state, 2);
	CU_ASSERT_EQUAL(half_index_get(&index, first, &got, NULL), ST_NOTFOUND);
	half_index_deinit(&index);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_start_empties_the_file(void)
{
	struct memdisk *disk = memdisk_create();
	struct errinfo err = { 0 };
	size_t size = 1;

	memdisk_put(disk, "pages", "left over", 9);
	struct pagefile *pf = open_small(disk, true);
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(disk, "pages", &size));
	CU_ASSERT_EQUAL(size, 0);
	pagefile_close(pf);
	struct pagefile_config config = { .path = "pages", .cache_bytes = 4096, .read_inline = true };
	CU_ASSERT_EQUAL(pagefile_open(&config, memdisk_vfs(disk), &pf, &err), ST_INVALID);
	memdisk_destroy(disk);
}

/* The pages of a snapshot are written, and the snapshot is done. */
static void take_snapshot(struct pagefile *pf)
{
	struct pagefile_flush_job job;

	pagefile_sweep(pf);
	while (pagefile_take_flush(pf, &job)) {
		pagefile_flush_run(&job);
		CU_ASSERT_EQUAL(pagefile_flush_done(pf, &job, NULL), ST_OK);
	}
	CU_ASSERT_EQUAL(pagefile_sweep_state(pf), PAGEFILE_SWEPT);
	pagefile_snapshot_done(pf);
}

/* Two snapshots are kept: what the older one names is nobody else's, and no longer than that. */
static void test_a_page_is_used_again_when_no_snapshot_names_it(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	uint32_t page = 0, other = 0;
	uint8_t *data;

	CU_ASSERT_EQUAL(pagefile_allocate(pf, &page, &data, NULL), ST_OK);
	take_snapshot(pf);
	pagefile_release(pf, page);
	take_snapshot(pf); /* The one before names it. */
	CU_ASSERT_EQUAL(pagefile_allocate(pf, &other, &data, NULL), ST_OK);
	CU_ASSERT_NOT_EQUAL(other, page);
	take_snapshot(pf);
	CU_ASSERT_EQUAL(pagefile_allocate(pf, &other, &data, NULL), ST_OK);
	CU_ASSERT_EQUAL(other, page);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* Pages in use, oldest first. */
struct tenants {
	bool in_use[200];
	uint32_t pages[300];
	size_t first, end;
};

static void move_in(struct pagefile *pf, struct tenants *t, int count)
{
	for (int i = 0; i < count; i++) {
		uint32_t page = 0;
		uint8_t *data;

		CU_ASSERT_EQUAL_FATAL(pagefile_allocate(pf, &page, &data, NULL), ST_OK);
		CU_ASSERT_FATAL(page < sizeof(t->in_use));
		CU_ASSERT_FALSE(t->in_use[page]);
		t->in_use[page] = true;
		t->pages[t->end++] = page;
	}
}

static void move_out(struct pagefile *pf, struct tenants *t, int count)
{
	for (int i = 0; i < count; i++) {
		uint32_t page = t->pages[t->first++];

		t->in_use[page] = false;
		pagefile_release(pf, page);
	}
}

/* However many wait for their snapshots at a time: nobody gets a page that another one uses, and none is lost. */
static void test_pages_change_hands_for_ever(void)
{
	enum { ROUNDS = 20, EACH = 10 };
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct tenants t = { .first = 0 };

	move_in(pf, &t, 25);
	for (int i = 0; i < ROUNDS; i++) {
		move_in(pf, &t, EACH);
		move_out(pf, &t, EACH);
		take_snapshot(pf);
	}
	CU_ASSERT_EQUAL(pagefile_page_count(pf), 25 + 2 * EACH); /* One lot comes, the one before waits for its snapshot. */
	CU_ASSERT_EQUAL(pagefile_stats(pf).free_pages, pagefile_page_count(pf) - 25);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* A snapshot names what the last job is still writing. */
static void test_a_sweep_is_not_over_while_a_job_writes(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct pagefile_flush_job job, none;
	uint32_t page = 0;
	uint8_t *data;

	CU_ASSERT_EQUAL(pagefile_allocate(pf, &page, &data, NULL), ST_OK);
	pagefile_sweep(pf);
	CU_ASSERT_TRUE_FATAL(pagefile_take_flush(pf, &job));
	CU_ASSERT_FALSE(pagefile_take_flush(pf, &none));
	CU_ASSERT_EQUAL(pagefile_sweep_state(pf), PAGEFILE_SWEEPING);
	pagefile_flush_run(&job);
	CU_ASSERT_EQUAL(pagefile_flush_done(pf, &job, NULL), ST_OK);
	CU_ASSERT_EQUAL(pagefile_sweep_state(pf), PAGEFILE_SWEPT);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* Built anew at 5000: for no snapshot from before that, nor for any when the page that says so is damaged. */
static void test_a_file_built_anew_says_for_which_snapshots(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile_config config = { .path = "dir/pages", .cache_bytes = PAGEFILE_CACHE_MIN, .read_inline = true, .built_at = 5000 };
	struct pagefile *pf = NULL;
	size_t size = 0;

	CU_ASSERT_EQUAL(vfs_mkdir(memdisk_vfs(disk), "dir", NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(pagefile_open(&config, memdisk_vfs(disk), &pf, NULL), ST_OK);
	pagefile_close(pf);
	config.built_at = 0;
	config.page_count = config.page_min = 1;
	for (config.known_at = 4999; config.known_at <= 5000; config.known_at++) {
		enum status status = pagefile_open(&config, memdisk_vfs(disk), &pf, NULL);

		CU_ASSERT_EQUAL(status, config.known_at < 5000 ? ST_NOTFOUND : ST_OK);
		if (status == ST_OK)
			pagefile_close(pf);
	}
	memdisk_data(disk, "dir/pages", &size)[9] ^= 0x40;
	CU_ASSERT_EQUAL(pagefile_open(&config, memdisk_vfs(disk), &pf, NULL), ST_NOTFOUND);
	memdisk_destroy(disk);
}

/* The file is as long as a snapshot under way will say, although nobody wants what is in its last page. */
static void test_a_page_given_back_dirty_is_written(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	uint32_t page = 0;
	uint8_t *data;
	size_t size = 0;

	CU_ASSERT_EQUAL(pagefile_allocate(pf, &page, &data, NULL), ST_OK);
	pagefile_release(pf, page);
	take_snapshot(pf);
	CU_ASSERT_EQUAL(pagefile_stats(pf).dirty_pages, 0);
	CU_ASSERT_PTR_NOT_NULL(memdisk_data(disk, "pages", &size));
	CU_ASSERT_EQUAL(size, PAGEFILE_PAGE_SIZE);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_pages_of_what_is_trimmed_are_given_back(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct consume_queue q;
	struct cq_entry entry = entry_of(1);

	consume_queue_init(&q, pf);
	for (uint64_t n = 0; n < 1000; n++)
		CU_ASSERT_EQUAL_FATAL(consume_queue_put(&q, n, &entry, NULL), ST_OK);
	consume_queue_trim(&q, 950);
	CU_ASSERT_EQUAL(pagefile_stats(pf).free_pages, 950 / (PAGEFILE_PAGE_SIZE / CQ_ENTRY_SIZE));
	consume_queue_deinit(&q);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

static void test_damaged_half_is_refused(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, false);
	struct half_index index;
	struct half_entry entry = { 4096, 0, 0, 1 }, got;
	size_t size = 0;

	half_index_init(&index, pf);
	for (uint64_t n = 0; n < 30000; n++)
		CU_ASSERT_EQUAL_FATAL(half_index_put(&index, n, &entry, NULL), ST_OK);
	uint8_t *data = memdisk_data(disk, "pages", &size);
	CU_ASSERT_PTR_NOT_NULL_FATAL(data);
	data[24] ^= 2; /* The state of entry 0, which is long out of the cache. */
	CU_ASSERT_EQUAL(half_index_get(&index, 0, &got, NULL), ST_CORRUPT);
	CU_ASSERT_EQUAL(half_index_get(&index, 1, &got, NULL), ST_OK);
	half_index_deinit(&index);
	pagefile_close(pf);
	memdisk_destroy(disk);
}

/* As after the index was built anew: of the halves in between no record is left. */
static void test_a_half_is_found_behind_a_gap(void)
{
	struct memdisk *disk = memdisk_create();
	struct pagefile *pf = open_small(disk, true);
	struct half_index index;
	struct half_entry first = { 4096, 0, 0, 1 }, last = { 9096, 0, 0, 1 }, got;
	uint64_t n = 99;

	half_index_init(&index, pf);
	CU_ASSERT_EQUAL(half_index_put(&index, 0, &first, NULL), ST_OK);
	CU_ASSERT_EQUAL(half_index_put(&index, 5, &last, NULL), ST_OK);
	CU_ASSERT_EQUAL(half_index_find(&index, last.half_offset, &n, &got, NULL), ST_OK);
	CU_ASSERT_EQUAL(n, 5);
	CU_ASSERT_EQUAL(half_index_find(&index, first.half_offset, &n, &got, NULL), ST_OK);
	CU_ASSERT_EQUAL(n, 0);
	CU_ASSERT_EQUAL(half_index_find(&index, 5000, &n, &got, NULL), ST_NOTFOUND);
	half_index_deinit(&index);
	pagefile_close(pf);
	memdisk_destroy(disk);
}
/* --- runs of keys -------------------------------------------------------------------------------------------------- */

/* A directory has no order; this one gives names as they stand here. */
static enum status list_as_they_stand(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
				       struct errinfo *err)
{
	static const unsigned offsets[] = { 700, 100, 900, 300, 800, 200 };
	enum status status = callback(callback_context, "unfinished");

	(void)context;
	(void)dir;
	(void)err;
	for (size_t i = 0; status == ST_OK && i < sizeof(offsets) / sizeof(offsets[0]); i++) {
		char name[32];

		snprintf(name, sizeof(name), "%020u", offsets[i]);
		status = callback(callback_context, name);
	}
	return status;
}

static void test_the_highest_runs_are_listed_in_order(void)
{
	static const uint64_t ascending[] = { 100, 200, 300, 700, 800, 900 };
	struct vfs vfs = { .list = list_as_they_stand };
	uint64_t names[6];
	size_t count = 0;

	for (size_t max = 0; max <= 6; max++) {
		CU_ASSERT_EQUAL(key_run_list(&vfs, "keys", names, max, &count, NULL), ST_OK);
		CU_ASSERT_EQUAL_FATAL(count, max);
		CU_ASSERT_EQUAL(memcmp(names, ascending + 6 - max, max * sizeof(names[0])), 0);
	}
}

/* The newest first. */
static void test_the_newest_snapshots_are_listed_in_order(void)
{
	static const uint64_t descending[] = { 900, 800, 700, 300, 200, 100 };
	struct vfs vfs = { .list = list_as_they_stand };
	uint64_t names[6];
	size_t count = 0;

	for (size_t max = 0; max <= 6; max++) {
		CU_ASSERT_EQUAL(snapshot_list(&vfs, "store", names, max, &count, NULL), ST_OK);
		CU_ASSERT_EQUAL_FATAL(count, max);
		CU_ASSERT_EQUAL(memcmp(names, descending, max * sizeof(names[0])), 0);
	}
}

/* --- marks and traces ------------------------------------------------------------------------------------------------ */

static void test_a_mark_comes_and_goes_for_good(void)
{
	struct errinfo err;

	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct memdisk *disk = memdisk_create();
		const struct vfs *vfs = memdisk_vfs(disk);

		CU_ASSERT_EQUAL(vfs_mkdir(vfs, "copy", NULL), ST_OK);
		CU_ASSERT_EQUAL(vfs_sync_parent(vfs, "copy", NULL), ST_OK);
		CU_ASSERT_EQUAL(unfinished_check(vfs, "copy", &err), ST_OK);
		CU_ASSERT_EQUAL(unfinished_mark(vfs, "copy", NULL), ST_OK);
		memdisk_crash(disk, seed);
		CU_ASSERT_EQUAL(unfinished_check(vfs, "copy", &err), ST_CORRUPT);
		CU_ASSERT_EQUAL(unfinished_clear(vfs, "copy", NULL), ST_OK);
		memdisk_crash(disk, seed);
		CU_ASSERT_EQUAL(unfinished_check(vfs, "copy", &err), ST_OK);
		memdisk_destroy(disk);
	}
}

/* A disk that cannot say whether `failing` is there; of all else only `present` is there, with a name in it if need be. */
struct partial_disk {
	const char *failing, *present;
};

static enum status answer_for(const struct partial_disk *disk, const char *path, struct errinfo *err)
{
	if (strcmp(path, disk->failing) == 0)
		return errinfo_set(err, ST_IO, "%s cannot be read", path);
	return strcmp(path, disk->present) == 0 ? ST_OK : ST_NOTFOUND;
}

static enum status open_partial(void *context, const char *path, unsigned flags, struct vfs_file **out, struct errinfo *err)
{
	(void)flags;
	*out = NULL;
	return answer_for(context, path, err);
}

static enum status list_partial(void *context, const char *dir, vfs_list_callback callback, void *callback_context,
				struct errinfo *err)
{
	enum status status = answer_for(context, dir, err);

	return status == ST_OK ? callback(callback_context, "00000000000000004096") : status;
}

/* What nobody can see is neither there nor absent. */
static void test_a_disk_that_fails_is_told(void)
{
	static const struct {
		struct partial_disk disk;
		enum status lost;
	} cases[] = {
		{ { "", "" }, ST_OK },
		{ { "", "store/snapshots" }, ST_CORRUPT },
		{ { "", "store/keys" }, ST_CORRUPT },
		{ { "", "store/index.pages" }, ST_CORRUPT },
		{ { "", "store/broker" }, ST_CORRUPT },
		{ { "store/snapshots", "" }, ST_IO },
		{ { "store/keys", "" }, ST_IO },
		{ { "store/index.pages", "" }, ST_IO },
		{ { "store/broker", "" }, ST_IO },
		{ { "store/commitlog", "store/broker" }, ST_IO },
	};
	struct errinfo err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct partial_disk disk = cases[i].disk;
		struct vfs vfs = { .context = &disk, .open = open_partial, .list = list_partial };

		CU_ASSERT_EQUAL(lost_log_check(&vfs, "store", &err), cases[i].lost);
	}
	struct partial_disk disk = { "store/unfinished", "" };
	struct vfs vfs = { .context = &disk, .open = open_partial };
	CU_ASSERT_EQUAL(unfinished_check(&vfs, "store", &err), ST_IO);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_put_get_and_bounds),
		CHECK_TEST(test_queue_may_begin_late_and_have_gaps),
		CHECK_TEST(test_many_queues_share_a_small_cache),
		CHECK_TEST(test_all_dirty_is_written_out_inline),
		CHECK_TEST(test_read_job_does_not_bring_back_an_old_page),
		CHECK_TEST(test_failed_jobs_are_told_and_lose_nothing),
		CHECK_TEST(test_damaged_entry_is_refused),
		CHECK_TEST(test_search_by_time),
		CHECK_TEST(test_half_index_remembers_states),
		CHECK_TEST(test_half_index_without_its_middle),
		CHECK_TEST(test_start_empties_the_file),
		CHECK_TEST(test_a_page_is_used_again_when_no_snapshot_names_it),
		CHECK_TEST(test_pages_change_hands_for_ever),
		CHECK_TEST(test_a_sweep_is_not_over_while_a_job_writes),
		CHECK_TEST(test_a_file_built_anew_says_for_which_snapshots),
		CHECK_TEST(test_a_page_given_back_dirty_is_written),
		CHECK_TEST(test_pages_of_what_is_trimmed_are_given_back),
		CHECK_TEST(test_damaged_half_is_refused),
		CHECK_TEST(test_a_half_is_found_behind_a_gap),
		CHECK_TEST(test_the_highest_runs_are_listed_in_order),
		CHECK_TEST(test_the_newest_snapshots_are_listed_in_order),
		CHECK_TEST(test_a_mark_comes_and_goes_for_good),
		CHECK_TEST(test_a_disk_that_fails_is_told),
	};

	return check_main("index", tests, sizeof(tests) / sizeof(tests[0]));
}
