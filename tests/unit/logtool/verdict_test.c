/* tools/log/verdict: of every store, sound or damaged in any way, it says what a start of the broker does with it. */
#include <inttypes.h>

#include "broker/core/recall.h"
#include "lib/record/record_message.h"
#include "lib/wire/recall_handle.h"
#include "tests/unit/core/core_traffic.h"
#include "tools/log/bodies.h"
#include "tools/log/cut.h"
#include "tools/log/verdict.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, WHAT_SIZE = 400 };

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
	*f = (struct fixture){ .disk = disk, .config = from->config, .clock = from->clock, .segment_size = from->segment_size,
			       .ring_size = from->ring_size };
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

/* Retention carries it on and on: at each moment a start finds it. */
static void expect_carried(struct sent sent)
{
	struct fixture *f = create_small(3 * SEGMENT);
	struct verdict verdict;
	unsigned wrong = 0;

	(void)must_send(f, sent);
	while (commitlog_appended(f->log) < 12 * SEGMENT) {
		fixture_store_bulk(f, 1);
		wrong += !agree(f, f->disk, "carried", &verdict) || verdict.outcome == START_REFUSES;
	}
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(f->core->carrying.carried_count >= 2);
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
		fixture_store_bulk(f, 1);
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

/* Decided, delivered: behind the snapshot, which knows it as open. */
static void test_what_is_settled_since_is_not_lost(void)
{
	struct fixture *f = create_small(0);
	struct verdict verdict;
	struct outcome outcome;

	struct send_result half = must_send(f, (struct sent){ .topic = "t", .key = "h", .half = true });
	(void)must_send(f, (struct sent){ .topic = "t", .key = "d", .delay_level = 4 });
	while (commitlog_appended(f->log) < 3 * SEGMENT)
		fixture_store_bulk(f, 1);
	CU_ASSERT_EQUAL_FATAL(fixture_end(f, &half, OUTCOME_COMMIT, false, &outcome), ST_OK);
	fixture_advance(f, 21000);
	CU_ASSERT_EQUAL(f->core->delays.count, 0);
	CU_ASSERT_TRUE_FATAL(memdisk_remove(f->disk, "/store/commitlog/00000000000000000000"));
	CU_ASSERT_TRUE(agree(f, f->disk, "settled", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_CLEAN);
	fixture_destroy(f);
}

static void see_deliver(struct bodies *bodies, uint64_t source, uint64_t body, uint64_t at)
{
	struct record_deliver deliver = { .source_offset = source, .body_offset = body, .topic = SPAN_LITERAL("t") };
	uint8_t payload[128];

	CU_ASSERT_FATAL(record_deliver_size(&deliver) <= sizeof(payload));
	record_deliver_encode(&deliver, payload);
	struct log_record record = { .kind = LOG_DELIVER, .offset = at, .payload = { payload, record_deliver_size(&deliver) } };
	CU_ASSERT_EQUAL(bodies_see(bodies, &record, NULL), ST_OK);
}

/* Behind a hole there may be sound records; a start does not come to them, so they settle nothing for it. */
static void test_what_a_start_does_not_read_settles_nothing(void)
{
	enum { FROM = 4 * SEGMENT, DECIDED = FROM + 800, DELIVERED = FROM + 4000, START = 2 * SEGMENT, BODY = 8000 };
	struct bodies bodies = { .from = FROM, .start = START };
	struct record_decision decision = { .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER, .half_offset = BODY, .body_offset = BODY,
					    .deliver_at_ms = 1, .topic = SPAN_LITERAL("t") };
	uint8_t payload[256];
	uint64_t body = 0;

	CU_ASSERT_FATAL(record_decision_size(&decision) <= sizeof(payload));
	record_decision_encode(&decision, payload);
	struct log_record record = { .kind = LOG_DECISION, .offset = DECIDED, .payload = { payload, record_decision_size(&decision) } };
	CU_ASSERT_EQUAL(bodies_see(&bodies, &record, NULL), ST_OK);
	see_deliver(&bodies, DECIDED, BODY, DELIVERED);
	CU_ASSERT_FALSE(bodies_lost(&bodies, DECIDED, &body)); /* Not decided yet: not of this one's concern. */
	CU_ASSERT_TRUE(bodies_lost(&bodies, DELIVERED, &body));
	CU_ASSERT_EQUAL(body, BODY);
	CU_ASSERT_FALSE(bodies_lost(&bodies, DELIVERED + 8, &body));
	bodies_free(&bodies);
}

/* --- the last segment ---------------------------------------------------------------------------------------------------- */

/* What is left ends well, but the snapshot has seen more: refused, and where it ends the log may be cut. */
static void test_the_last_segment_is_gone(void)
{
	static struct cut_plan plan;
	struct fixture *f = create_small(0);
	struct verdict verdict;
	char path[64], saved[CUT_NAME_SIZE];
	struct errinfo err;

	while (commitlog_appended(f->log) < 3 * SEGMENT - 6000)
		fixture_store_bulk(f, 1);
	for (uint64_t base = 2 * SEGMENT; base <= 3 * SEGMENT; base += SEGMENT) { /* With what is prepared behind it. */
		snprintf(path, sizeof(path), "/store/commitlog/%020" PRIu64, base);
		CU_ASSERT_TRUE(memdisk_remove(f->disk, path));
	}
	CU_ASSERT_TRUE(agree(f, f->disk, "last segment gone", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_REFUSES);
	memdisk_kill(f->disk);
	CU_ASSERT_EQUAL_FATAL(cut_make_plan(memdisk_vfs(f->disk), "/store", 2 * SEGMENT, &plan, &err), ST_OK);
	CU_ASSERT_TRUE(plan.snapshot_count > 0);
	CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(f->disk), "/store", &plan, saved, &err), ST_OK);
	CU_ASSERT_TRUE(agree(f, f->disk, "last segment cut off", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_CLEAN);
	fixture_destroy(f);
}

/* --- what nobody can read ------------------------------------------------------------------------------------------------- */

static const char *const INDEX = "/store/index.pages";

/* The index file is as long as it was, and says that it was built anew since. */
static void mark_built_anew(struct fixture *f)
{
	struct pagefile_config built = { .path = "/other.pages", .built_at = commitlog_appended(f->log) };
	struct pagefile *anew = NULL;
	size_t size = 0;
	uint8_t *pages = memdisk_data(f->disk, INDEX, &size);

	CU_ASSERT_TRUE_FATAL(pages != NULL && size >= PAGEFILE_PAGE_SIZE);
	CU_ASSERT_EQUAL_FATAL(pagefile_open(&built, memdisk_vfs(f->disk), &anew, NULL), ST_OK);
	pagefile_close(anew);
	memcpy(pages, memdisk_data(f->disk, "/other.pages", &size), PAGEFILE_PAGE_SIZE);
}

/* Its checksum is right: it stops a start that replays it, and none that has a snapshot behind it. */
static void test_an_unreadable_record_counts_where_it_is_replayed(void)
{
	struct fixture *f = create_small(0);
	struct verdict verdict;
	uint64_t at = 0;

	fixture_store_bulk(f, 1);
	uint8_t *payload = commitlog_begin(f->log, LOG_MESSAGE, 8, &at);
	CU_ASSERT_PTR_NOT_NULL_FATAL(payload);
	memset(payload, 0xff, 8);
	commitlog_commit(f->log);
	fixture_disk(f, true);
	CU_ASSERT_TRUE(agree(f, f->disk, "unreadable", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_REFUSES);
	while (commitlog_appended(f->log) < 3 * SEGMENT)
		fixture_store_bulk(f, 1);
	CU_ASSERT_TRUE(agree(f, f->disk, "unreadable, below a snapshot", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_CLEAN);
	mark_built_anew(f);
	CU_ASSERT_TRUE(agree(f, f->disk, "unreadable, below a snapshot with a younger index", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_REFUSES);
	CU_ASSERT_TRUE_FATAL(memdisk_remove(f->disk, INDEX));
	CU_ASSERT_TRUE(agree(f, f->disk, "unreadable, below a snapshot without its index", &verdict));
	CU_ASSERT_EQUAL(verdict.outcome, START_REFUSES);
	fixture_destroy(f);
}

/* --- a broker's life, and damage ---------------------------------------------------------------------------------------- */

enum { LIVES = 10, MOMENTS = 60, TIMERS = 8 };

struct life {
	struct fixture *f;
	struct traffic *traffic;
	struct send_result timers[TIMERS]; /* May be recalled: the last ones, round and round. */
	unsigned timer_count;
};

static void timer_key(unsigned n, char key[24])
{
	snprintf(key, 24, "timer-%u", n);
}

static void send_timer(struct life *life)
{
	char key[24], more[64];
	struct send_result result;
	struct outcome outcome;

	timer_key(life->timer_count, key);
	snprintf(more, sizeof(more), "TIMER_DELAY_SEC\001%u\002", (unsigned)(1 + chance(life->traffic, 30)));
	struct sent sent = { .topic = "timers", .key = key, .more = more, .half = chance(life->traffic, 4) == 0 };
	if (fixture_send(life->f, sent, &result, &outcome) == ST_OK && !sent.half)
		life->timers[life->timer_count++ % TIMERS] = result;
}

static void recall_timer(struct life *life)
{
	unsigned n = life->timer_count - (life->timer_count < TIMERS ? life->timer_count : TIMERS) + (unsigned)chance(life->traffic, TIMERS);
	char key[24], found[RECALL_KEY_MAX];
	struct outcome outcome = { 0 };
	struct buffer text;

	if (n >= life->timer_count)
		return;
	timer_key(n, key);
	buffer_init(&text, 0);
	struct recall_handle handle = { SPAN_LITERAL("timers"), SPAN_LITERAL("a"), life->timers[n % TIMERS].recall_at_ms, span_of(key) };
	CU_ASSERT_EQUAL_FATAL(recall_handle_append(&text, &handle), ST_OK);
	struct recall_request request = { SPAN_LITERAL("timers"), buffer_span(&text), SPAN_LITERAL("10.0.0.1@1") };
	enum status status = core_recall(life->f->core, &request, found, &outcome);
	(void)status; /* Too late, perhaps. */
	buffer_deinit(&text);
}

static void live_on(struct life *life)
{
	struct traffic *t = life->traffic;

	for (uint64_t i = chance(t, 12); i > 0; i--) {
		if (chance(t, 3) == 0)
			fixture_store_bulk(life->f, 1);
		if (chance(t, 6) == 0)
			send_timer(life);
		if (chance(t, 12) == 0)
			recall_timer(life);
		run(t, 1 + (int)chance(t, 3));
	}
	if (chance(t, 4) != 0)
		fixture_disk(life->f, true);
	if (chance(t, 30) != 0)
		return;
	memdisk_crash(life->f->disk, chance(t, 1000));
	fixture_close(life->f);
	t->open_count = 0;
	fixture_open(life->f);
	fixture_heartbeat(life->f, false);
	fixture_heartbeat(life->f, true);
}

/* --- one thing that happens to a disk --- */

struct harm {
	struct memdisk *disk;
	uint64_t *random;
	char what[WHAT_SIZE];
};

static uint64_t pick(struct harm *harm, uint64_t n)
{
	return check_random(harm->random) % n;
}

PRINTF_LIKE(2, 3)
static void say(struct harm *harm, const char *fmt, ...)
{
	size_t used = strlen(harm->what);
	va_list args;

	va_start(args, fmt);
	vsnprintf(harm->what + used, WHAT_SIZE - used, fmt, args);
	va_end(args);
}

/* The bases of the segments, or the offsets of the snapshots; at most `max`. */
static size_t list(struct harm *harm, bool snapshots, uint64_t *out, size_t max)
{
	uint64_t *bases = NULL;
	size_t count = 0;

	if (snapshots) {
		CU_ASSERT_EQUAL(snapshot_list(memdisk_vfs(harm->disk), "/store", out, max, &count, NULL), ST_OK);
		return count;
	}
	CU_ASSERT_EQUAL(log_list_segments(memdisk_vfs(harm->disk), "/store/commitlog", &bases, &count, NULL), ST_OK);
	count = count < max ? count : max;
	for (size_t i = 0; i < count; i++)
		out[i] = bases[i];
	free(bases);
	return count;
}

/* The first one, or any. False without one, or if it is the only segment: without a log there is nothing to look at. */
static bool some_file(struct harm *harm, bool snapshots, bool first, char path[64])
{
	uint64_t names[64];
	size_t count = list(harm, snapshots, names, 64);

	if (count < (snapshots ? 1 : 2))
		return false;
	snprintf(path, 64, "/store/%s/%020" PRIu64, snapshots ? "snapshots" : "commitlog", names[first ? 0 : pick(harm, count)]);
	return true;
}

/* Rewrites a file: kind 0 one bit, 1 zeros, 2 other bytes, 3 cut. */
static void change(struct harm *harm, const char *path, unsigned kind, size_t at, size_t run)
{
	size_t size = 0;
	uint8_t *data = memdisk_data(harm->disk, path, &size), *changed = malloc(size + 1);

	CU_ASSERT_PTR_NOT_NULL_FATAL(changed);
	if (size > 0)
		memcpy(changed, data, size);
	if (run > size - at)
		run = size - at;
	switch (kind) {
	case 0: changed[at] ^= (uint8_t)(1 << pick(harm, 8)); break;
	case 1: memset(changed + at, 0, run); break;
	case 2: memset(changed + at, 0xa5, run); break;
	default: size = at; break;
	}
	say(harm, " %s kind %u at %zu+%zu;", path + strlen("/store/"), kind, at, run);
	memdisk_put(harm->disk, path, changed, size);
	free(changed);
}

static void change_somewhere(struct harm *harm, const char *path, unsigned kind)
{
	size_t size = 0;

	if (memdisk_data(harm->disk, path, &size) != NULL && size > 0)
		change(harm, path, kind, pick(harm, size), 1 + pick(harm, 6000));
}

/* The log's last bytes, which nothing has proved yet. */
static void change_tail(struct harm *harm)
{
	uint64_t end = look_at(harm->disk).end, back = 1 + pick(harm, 6000);
	char path[64];
	size_t size = 0;

	if (end % SEGMENT < LOG_SEGMENT_HEADER_SIZE + back)
		return;
	snprintf(path, sizeof(path), "/store/commitlog/%020" PRIu64, end - end % SEGMENT);
	if (memdisk_data(harm->disk, path, &size) != NULL && size > end % SEGMENT - back)
		change(harm, path, (unsigned)pick(harm, 4), end % SEGMENT - back, 1 + pick(harm, 6000));
}

static void remove_file(struct harm *harm, const char *path)
{
	say(harm, " %s removed;", path + strlen("/store/"));
	CU_ASSERT_TRUE(memdisk_remove(harm->disk, path));
}

/* Zeros over several files, wider than a start searches. */
static void wide_hole(struct harm *harm)
{
	uint64_t names[64];
	size_t count = list(harm, false, names, 64), from = pick(harm, count), segments = 2 + pick(harm, 3);
	size_t at = LOG_SEGMENT_HEADER_SIZE + pick(harm, SEGMENT - LOG_SEGMENT_HEADER_SIZE) / 8 * 8, size = 0;

	for (size_t i = from; i < from + segments && i < count; i++, at = LOG_SEGMENT_HEADER_SIZE) {
		char path[64];

		snprintf(path, sizeof(path), "/store/commitlog/%020" PRIu64, names[i]);
		if (memdisk_data(harm->disk, path, &size) != NULL && at < size)
			change(harm, path, 1, at, i + 1 == from + segments ? pick(harm, 40000) : SEGMENT);
	}
}

static void do_harm(struct harm *harm)
{
	char path[64];

	switch (pick(harm, 13)) {
	case 0: say(harm, " power cut;"); memdisk_crash(harm->disk, pick(harm, 1000)); break;
	case 1: if (some_file(harm, false, true, path)) remove_file(harm, path); break;
	case 2: if (some_file(harm, false, false, path)) remove_file(harm, path); break;
	case 3: case 8: if (some_file(harm, true, false, path)) remove_file(harm, path); break;
	case 4: if (some_file(harm, true, true, path)) change_somewhere(harm, path, (unsigned)pick(harm, 4)); break;
	case 5: case 6: if (some_file(harm, false, false, path)) change_somewhere(harm, path, (unsigned)pick(harm, 4)); break;
	case 7: change_somewhere(harm, "/store/index.pages", 3); break;
	case 9: case 10: wide_hole(harm); break;
	default: change_tail(harm); break;
	}
}

static void test_the_verdict_is_what_a_start_does(void)
{
	uint64_t random = check_seed(31);
	unsigned counts[4] = { 0 }, wrong = 0;

	for (int i = 0; i < LIVES; i++) {
		struct fixture *f = create_small(check_random(&random) % 3 * 2 * SEGMENT);
		f->ring_size = LOG_RING_SIZE_MIN;
		fixture_restart(f);
		struct life life = { .f = f, .traffic = traffic_create(f, check_random(&random)) };

		for (int j = 0; j < MOMENTS; j++) {
			struct harm harm = { .disk = memdisk_clone((live_on(&life), f->disk)), .random = &random };
			struct verdict verdict;

			for (uint64_t n = pick(&harm, 4); n > 0; n--)
				do_harm(&harm);
			wrong += !agree(f, harm.disk, harm.what, &verdict);
			counts[verdict.outcome]++;
			memdisk_destroy(harm.disk);
		}
		free(life.traffic);
		fixture_destroy(f);
	}
	printf(" [%u clean, %u cut, %u refuse, %u in doubt; %u wrong]", counts[START_CLEAN], counts[START_CUTS], counts[START_REFUSES],
	       counts[START_CUTS_DAMAGE], wrong);
	CU_ASSERT_EQUAL(wrong, 0);
	CU_ASSERT_TRUE(counts[START_CLEAN] > 0 && counts[START_CUTS] > 0 && counts[START_REFUSES] > 0);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_what_is_carried_is_not_lost),
		CHECK_TEST(test_what_is_open_and_gone_is_lost),
		CHECK_TEST(test_what_is_settled_since_is_not_lost),
		CHECK_TEST(test_what_a_start_does_not_read_settles_nothing),
		CHECK_TEST(test_the_last_segment_is_gone),
		CHECK_TEST(test_an_unreadable_record_counts_where_it_is_replayed),
		CHECK_TEST(test_the_verdict_is_what_a_start_does),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("log verdict", tests, sizeof(tests) / sizeof(tests[0]));
}
