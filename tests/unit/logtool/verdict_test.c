/* tools/log/verdict: of every store, sound or damaged in any way, it says what a start of the broker does with it. */
#include <inttypes.h>

#include "tests/unit/core/core_traffic.h"
#include "tools/log/verdict.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN };

static struct verdict look_at(struct memdisk *disk)
{
	struct start_look look;
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL_FATAL(start_look(memdisk_vfs(disk), "/store", NULL, NULL, &look, &err), ST_OK);
	start_look_free(&look);
	return look.verdict;
}

/* A real start, which changes the disk. */
static bool starts(const struct fixture *from, struct memdisk *disk, struct errinfo *err)
{
	struct fixture *f = calloc(1, sizeof(*f));

	CU_ASSERT_PTR_NOT_NULL_FATAL(f);
	*f = (struct fixture){ .disk = disk, .config = from->config, .clock = from->clock, .segment_size = from->segment_size };
	f->clock.clock.context = &f->clock;
	bool started = fixture_try_open(f, err) == ST_OK;
	if (started)
		fixture_close(f);
	free(f);
	return started;
}

/* --- where a started log goes on ---------------------------------------------------------------------------------------- */

struct seen {
	uint64_t epoch_at, end_before; /* The last EPOCH record; the end of the last one before it that is no padding. */
	uint64_t end;
};

static enum status see(void *context, const struct log_record *record, bool beyond, struct errinfo *err)
{
	struct seen *seen = context;

	(void)beyond;
	(void)err;
	if (record->kind == LOG_EPOCH) {
		seen->epoch_at = record->offset;
		seen->end_before = seen->end;
	}
	if (record->kind != LOG_PAD && record->kind != LOG_BATCH)
		seen->end = record->offset + record->size;
	return ST_OK;
}

/* Its EPOCH record lies at `end`, or begins the next segment. */
static bool goes_on_at(struct memdisk *disk, uint64_t end)
{
	struct log_scan scan;
	struct seen seen = { 0 };

	CU_ASSERT_EQUAL_FATAL(log_scan(memdisk_vfs(disk), "/store", (struct log_known){ 0 }, see, &seen, &scan, NULL), ST_OK);
	log_scan_free(&scan);
	return seen.epoch_at == end || (seen.epoch_at % SEGMENT == LOG_SEGMENT_HEADER_SIZE && seen.end_before <= end && end < seen.epoch_at);
}

/* False, and a line that says so, if the verdict is not what the start of a copy does. CUTS_DAMAGE leaves both open. */
static bool agree(const struct fixture *f, struct memdisk *disk, const char *what, struct verdict *out)
{
	struct memdisk *copy = memdisk_clone(disk);
	struct errinfo err = { 0 };
	bool same = true;

	*out = look_at(disk);
	bool started = starts(f, copy, &err);
	if (out->outcome != START_CUTS_DAMAGE)
		same = started == (out->outcome != START_REFUSES) && (!started || goes_on_at(copy, out->end));
	if (!same)
		printf("\n  %s: the verdict: %s, end %" PRIu64 " %s; the start: %s\n", what, start_outcome_text(out->outcome), out->end, out->why,
		       started ? "starts" : err.text);
	memdisk_destroy(copy);
	return same;
}

/* --- what is open, and its segment goes --------------------------------------------------------------------------------- */

static void one_bulk(struct fixture *f)
{
	static char body[4000];
	struct send_request request = { .producer_group = SPAN_LITERAL("p"), .topic = SPAN_LITERAL("bulk"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { (const uint8_t *)body, sizeof(body) }, .max_reconsume_times = -1 };
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };

	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	fixture_snapshot_step(f);
	clock_manual_advance(&f->clock, 1);
	core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
	core_tick(f->core);
	fixture_disk(f, true);
}

/* Retention carries it on and on: at each moment a start finds it. */
static void expect_carried(struct sent sent)
{
	struct fixture *f = create_small(3 * SEGMENT);
	struct verdict verdict;
	unsigned wrong = 0;

	(void)must_send(f, sent);
	while (commitlog_appended(f->log) < 12 * SEGMENT) {
		one_bulk(f);
		wrong += !agree(f, f->disk, "carried", &verdict) || verdict.outcome == START_REFUSES;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(f->core->retention.carried_count >= 2);
	fixture_destroy(f);
}

static void test_what_is_carried_is_not_lost(void)
{
	expect_carried((struct sent){ .topic = "t", .key = "k", .half = true });
	expect_carried((struct sent){ .topic = "t", .key = "k", .delay_level = 4 });
	expect_carried((struct sent){ .topic = "t", .key = "k", .more = "TIMER_DELAY_SEC\0013000\002" });
}

/* Somebody removes the segment, which nothing has left. */
static void expect_lost(struct sent sent)
{
	struct fixture *f = create_small(0);
	struct verdict verdict;

	(void)must_send(f, sent);
	while (commitlog_appended(f->log) < 3 * SEGMENT)
		one_bulk(f);
	CU_ASSERT_TRUE_FATAL(memdisk_remove(f->disk, "/store/commitlog/00000000000000000000"));
	CU_ASSERT_TRUE(agree(f, f->disk, "lost", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_REFUSES);
	fixture_destroy(f);
}

static void test_what_is_open_and_gone_is_lost(void)
{
	expect_lost((struct sent){ .topic = "t", .key = "k", .half = true });
	expect_lost((struct sent){ .topic = "t", .key = "k", .delay_level = 4 });
	expect_lost((struct sent){ .topic = "t", .key = "k", .more = "TIMER_DELAY_SEC\0013000\002" }); /* May be recalled. */
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_carried_is_not_lost),
		CHECK_TEST(test_what_is_open_and_gone_is_lost),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("log verdict", tests, sizeof(tests) / sizeof(tests[0]));
}
