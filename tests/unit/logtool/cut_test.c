/* tools/log/cut: what a cut at a place would lose is counted rightly, wrong places are refused by name, and a cut log opens
 * with exactly what lies before the place, whatever stops the cutting half-way. */
#include <inttypes.h>

#include "lib/record/record_message.h"
#include "lib/record/record_transaction.h"
#include "tests/unit/log/log_fixture.h"
#include "tools/log/cut.h"
#include "tools/log/verdict.h"

static struct cut_plan plan; /* Large. */

/* Several segments, two starts, everything synced and closed. */
static struct memdisk *make_log(struct history *h)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();

	for (int start = 0; start < 2; start++) {
		struct commitlog *log = must_open(disk, &config);

		for (uint32_t i = 0; i < 90; i++) {
			append_hard(log, h, LOG_GROUP, 100 + 37 * i % 1900, i);
			if (i % 5 == 0)
				flush_all(log);
		}
		CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	}
	return disk;
}

static size_t count_before(const struct history *h, uint64_t offset)
{
	size_t count = 0;

	while (count < h->count && h->records[count].end <= offset)
		count++;
	return count;
}

/* The store opens, holds the history's records before `at` and no others, and goes on. */
static void expect_cut(const struct memdisk *disk, const struct history *h, uint64_t at)
{
	struct memdisk *copy = memdisk_clone(disk);
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(copy, &config);
	struct history before = { h->records, count_before(h, at), h->capacity };

	CU_ASSERT_EQUAL(replay_matches(log, &before), before.count);
	append_hard(log, NULL, LOG_GROUP, 500, 1);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	log = must_open(copy, &config);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	memdisk_destroy(copy);
}

static enum status make_plan(struct memdisk *disk, uint64_t at, struct errinfo *err)
{
	return cut_make_plan(memdisk_vfs(disk), "store", at, &plan, err);
}

/* The log's byte at `offset`, from its segment file. */
static uint8_t log_byte(struct memdisk *disk, uint64_t offset)
{
	char path[128];
	size_t size = 0;

	log_segment_path("store/commitlog", offset / LOG_SEGMENT_SIZE_MIN * LOG_SEGMENT_SIZE_MIN, path, sizeof(path));
	const uint8_t *data = memdisk_data(disk, path, &size);
	return data == NULL || offset % LOG_SEGMENT_SIZE_MIN >= size ? 0 : data[offset % LOG_SEGMENT_SIZE_MIN];
}

static void expect_saved(struct memdisk *before, struct memdisk *after, const char *name, uint64_t at, uint64_t end)
{
	char path[128];
	size_t size = 0;

	snprintf(path, sizeof(path), "store/%s", name);
	const uint8_t *data = memdisk_data(after, path, &size);
	CU_ASSERT_FATAL(data != NULL);
	bool same = true;
	for (uint64_t i = 0; at + i < end; i++)
		same = same && log_byte(before, at + i) == (i < size ? data[i] : 0);
	CU_ASSERT(same);
}

static void test_a_cut_at_every_record(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE];

	for (size_t i = 1; i < h.count; i++) {
		struct memdisk *copy = memdisk_clone(disk);
		uint64_t at = h.records[i].offset;

		CU_ASSERT_EQUAL_FATAL(make_plan(copy, at, &err), ST_OK);
		CU_ASSERT_EQUAL(plan.kind_count[LOG_GROUP], h.count - i);
		CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(copy), "store", &plan, saved, &err), ST_OK);
		expect_cut(copy, &h, at);
		if (i % 20 == 0)
			expect_saved(disk, copy, saved, at, h.records[h.count - 1].end);
		/* Nothing is left to cut, and nothing is refused as damaged. */
		CU_ASSERT_EQUAL(make_plan(copy, at, &err), ST_INVALID);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "nothing to cut"));
		memdisk_destroy(copy);
	}
	history_free(&h);
	memdisk_destroy(disk);
}

/* However much is behind the place: it is read and zeroed in blocks. */
static void test_a_long_rest_is_zeroed_to_its_end(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE];

	config.segment_size = 4 << 20;
	config.prepare_chunk = 4 << 20;
	struct commitlog *log = must_open(disk, &config);
	while (commitlog_appended(log) < 3 << 20)
		append_hard(log, &h, LOG_GROUP, 2000, (uint32_t)h.count);
	CU_ASSERT_EQUAL(commitlog_close(log, true, NULL), ST_OK);
	CU_ASSERT_EQUAL_FATAL(make_plan(disk, h.records[5].offset, &err), ST_OK);
	CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(disk), "store", &plan, saved, &err), ST_OK);
	size_t size = 0;
	const uint8_t *data = memdisk_data(disk, SEGMENT_0, &size);
	bool zeros = true;
	for (size_t i = h.records[5].offset; i < size; i++)
		zeros = zeros && data[i] == 0;
	CU_ASSERT_TRUE(zeros);
	CU_ASSERT_EQUAL(size, 4 << 20);
	history_free(&h);
	memdisk_destroy(disk);
}

static void flip(struct memdisk *disk, uint64_t offset)
{
	char path[128];
	size_t size = 0;

	log_segment_path("store/commitlog", offset / LOG_SEGMENT_SIZE_MIN * LOG_SEGMENT_SIZE_MIN, path, sizeof(path));
	uint8_t *data = memdisk_data(disk, path, &size), *changed = malloc(size);
	memcpy(changed, data, size);
	changed[offset % LOG_SEGMENT_SIZE_MIN] ^= 1;
	memdisk_put(disk, path, changed, size);
	free(changed);
}

static void test_a_damaged_log_is_cut_where_it_is_bad(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE];

	for (size_t i = 3; i < h.count - 10; i += 7) {
		struct memdisk *copy = memdisk_clone(disk);
		uint64_t at = h.records[i].offset;

		flip(copy, at + 50);
		/* Not behind the damage: the log would still be bad. */
		CU_ASSERT_EQUAL(make_plan(copy, h.records[i + 1].offset, &err), ST_INVALID);
		CU_ASSERT_PTR_NOT_NULL(strstr(err.text, "is bad at"));
		CU_ASSERT_EQUAL_FATAL(make_plan(copy, at, &err), ST_OK);
		CU_ASSERT_EQUAL(plan.kind_count[LOG_GROUP], h.count - i - 1);
		CU_ASSERT_EQUAL(plan.bad_bytes, h.records[i].end - at);
		CU_ASSERT(plan.durable_count > 0);
		CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(copy), "store", &plan, saved, &err), ST_OK);
		expect_cut(copy, &h, at);
		memdisk_destroy(copy);
	}
	history_free(&h);
	memdisk_destroy(disk);
}

static void expect_refusal(struct memdisk *disk, uint64_t at, const char *what)
{
	struct errinfo err = { 0 };

	CU_ASSERT_EQUAL(make_plan(disk, at, &err), ST_INVALID);
	CU_ASSERT_PTR_NOT_NULL(strstr(err.text, what));
	if (strstr(err.text, what) == NULL)
		fprintf(stderr, "expected \"%s\" in: %s\n", what, err.text);
}

static void test_wrong_places_are_refused(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	char nearest[96];

	snprintf(nearest, sizeof(nearest), "the nearest are %" PRIu64 " (group) and %" PRIu64 " (group)", h.records[1].offset,
		 h.records[2].offset);
	expect_refusal(disk, h.records[1].offset + 8, nearest);
	expect_refusal(disk, LOG_SEGMENT_HEADER_SIZE, "nothing would be left");
	expect_refusal(disk, 0, "before the log's first record");
	expect_refusal(disk, h.records[h.count - 1].end + 100000, "behind the log's end");
	CU_ASSERT_EQUAL(make_plan(disk, h.records[h.count - 1].end + 4, NULL), ST_INVALID);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A store that is half cut does not start, or starts with just what lies before the place. */
static void expect_cut_or_refused(const struct memdisk *disk, const struct history *h, uint64_t at)
{
	struct memdisk *copy = memdisk_clone(disk);
	struct commitlog_config config = small_config();
	struct history before = { h->records, count_before(h, at), h->capacity };
	struct replay_check check = { .history = &before };
	struct commitlog *log = NULL;

	if (commitlog_open(&config, memdisk_vfs(copy), &log, NULL) == ST_OK) {
		enum status status = commitlog_replay(log, 0, check_replayed, &check, NULL);

		CU_ASSERT(status == ST_CORRUPT || (status == ST_OK && !check.wrong && check.next == before.count));
		CU_ASSERT_EQUAL(commitlog_close(log, false, NULL), ST_OK);
	}
	memdisk_destroy(copy);
}

/* The k-th change of the disk fails and so do all after it; then the power goes; then the same cut is made again. */
static void test_a_cut_that_was_stopped_is_made_again(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	uint64_t at = h.records[20].offset;
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE];
	uint64_t k = 1;
	bool struck = true;

	flip(disk, at + 50);
	for (; struck && k < 1000; k++) {
		struct memdisk *copy = memdisk_clone(disk);

		CU_ASSERT_EQUAL_FATAL(make_plan(copy, at, &err), ST_OK);
		memdisk_fail(copy, k, k % 2 == 0 ? MEMDISK_EIO : MEMDISK_SHORT_WRITE, true);
		enum status status = cut_execute(memdisk_vfs(copy), "store", &plan, saved, &err);
		struck = memdisk_fault_struck(copy);
		CU_ASSERT_EQUAL(status == ST_OK, !struck);
		memdisk_crash(copy, k);
		expect_cut_or_refused(copy, &h, at);
		status = make_plan(copy, at, &err);
		CU_ASSERT(status == ST_OK || strstr(err.text, "nothing to cut") != NULL);
		if (status == ST_OK)
			CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(copy), "store", &plan, saved, &err), ST_OK);
		expect_cut(copy, &h, at);
		memdisk_destroy(copy);
	}
	printf(" [%" PRIu64 " operations]", k);
	CU_ASSERT(k > 5 && k < 1000);
	history_free(&h);
	memdisk_destroy(disk);
}

/* A power cut right after it was told as done does not bring anything back, nor take what was saved. */
static void test_a_cut_that_is_done_is_durable(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	uint64_t at = h.records[20].offset;
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE];

	for (uint64_t seed = 1; seed <= 10; seed++) {
		struct memdisk *copy = memdisk_clone(disk);

		CU_ASSERT_EQUAL_FATAL(make_plan(copy, at, &err), ST_OK);
		CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(copy), "store", &plan, saved, &err), ST_OK);
		memdisk_crash(copy, seed);
		expect_cut(copy, &h, at);
		expect_saved(disk, copy, saved, at, h.records[h.count - 1].end);
		memdisk_destroy(copy);
	}
	history_free(&h);
	memdisk_destroy(disk);
}

/* What an earlier cut at the same place saved, whole or not, is left alone. */
static void test_what_was_saved_is_not_saved_over(void)
{
	struct history h = { 0 };
	struct memdisk *disk = make_log(&h);
	struct errinfo err = { 0 };
	char saved[CUT_NAME_SIZE], first[64];
	size_t size = 0;

	CU_ASSERT_EQUAL_FATAL(make_plan(disk, h.records[20].offset, &err), ST_OK);
	snprintf(first, sizeof(first), "store/cut-at-%" PRIu64 ".saved", h.records[20].offset);
	memdisk_put(disk, first, "precious", 8);
	CU_ASSERT_EQUAL(cut_execute(memdisk_vfs(disk), "store", &plan, saved, &err), ST_OK);
	const uint8_t *kept = memdisk_data(disk, first, &size);
	CU_ASSERT(size == 8 && memcmp(kept, "precious", 8) == 0);
	CU_ASSERT_STRING_NOT_EQUAL(saved, first + strlen("store/"));
	history_free(&h);
	memdisk_destroy(disk);
}

/* --- what is counted ------------------------------------------------------------------------------------------------- */

static uint64_t put(struct commitlog *log, enum log_kind kind, const uint8_t *payload, size_t size)
{
	uint64_t offset = 0;
	uint8_t *p = commitlog_begin(log, kind, size, &offset);

	assert(p != NULL);
	memcpy(p, payload, size);
	commitlog_commit(log);
	return offset;
}

static uint64_t put_half(struct commitlog *log, uint64_t n, const char *id)
{
	static const uint8_t message[10] = { 0 };
	struct record_half half = { .half_queue_offset = n, .store_time_ms = 1000 + (int64_t)n, .topic = SPAN_LITERAL("t"),
				    .group = SPAN_LITERAL("g"), .transaction_id = span_of(id), .global = { .part_count = 1 },
				    .message = { message, sizeof(message) } };
	uint8_t payload[256];

	record_half_encode(&half, payload);
	return put(log, LOG_HALF, payload, record_half_size(&half));
}

static uint64_t put_decision(struct commitlog *log, uint64_t half, uint64_t n, enum record_outcome outcome, const char *id)
{
	struct record_decision r = { .half_offset = half, .half_queue_offset = n, .outcome = outcome, .who = WHO_PRODUCER,
				     .when_ms = 2000 + (int64_t)n, .topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("g"),
				     .transaction_id = span_of(id), .global = { .part_count = 1 } };
	uint8_t payload[256];

	record_decision_encode(&r, payload);
	return put(log, LOG_DECISION, payload, record_decision_size(&r));
}

static uint64_t put_delivery(struct commitlog *log, uint64_t source, uint64_t half)
{
	struct record_deliver r = { .source_offset = source, .body_offset = half, .message_size = 10, .transactional = true,
				    .deliver_time_ms = 4000, .topic = SPAN_LITERAL("t") };
	uint8_t payload[256];

	record_deliver_encode(&r, payload);
	return put(log, LOG_DELIVER, payload, record_deliver_size(&r));
}

/* A commit with a delay has no place in a queue until it is delivered; what is undone with it is the decision all the same. */
static void test_what_waits_for_its_time_is_counted(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct record_message message = { .store_time_ms = 5000, .deliver_at_ms = 9000, .topic = SPAN_LITERAL("t") };
	struct errinfo err;
	uint8_t payload[256];

	uint64_t half = put_half(log, 0, "A");
	struct record_decision r = { .half_offset = half, .outcome = OUTCOME_COMMIT, .who = WHO_PRODUCER, .when_ms = 3000,
				     .deliver_at_ms = 4000, .topic = SPAN_LITERAL("t"), .group = SPAN_LITERAL("g"),
				     .transaction_id = SPAN_LITERAL("A"), .global = { .part_count = 1 } };
	record_decision_encode(&r, payload);
	uint64_t at = put(log, LOG_DECISION, payload, record_decision_size(&r));
	record_message_encode(&message, payload);
	put(log, LOG_MESSAGE, payload, record_message_size(&message));
	uint64_t delivered = put_delivery(log, at, half);
	flush_all(log);
	abandon(log);
	CU_ASSERT_EQUAL_FATAL(make_plan(disk, at, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(plan.undecided_count, 1);
	CU_ASSERT_EQUAL(plan.undecided[0].half_offset, half);
	CU_ASSERT_EQUAL(plan.undecided[0].outcome, OUTCOME_COMMIT);
	CU_ASSERT_EQUAL(plan.message_count, 1); /* Delivered. */
	CU_ASSERT_EQUAL_FATAL(make_plan(disk, delivered, &err), ST_OK);
	CU_ASSERT_EQUAL(plan.undecided_count, 0);
	CU_ASSERT_EQUAL(plan.message_count, 1);
	memdisk_destroy(disk);
}

static void test_what_goes_is_counted(void)
{
	struct memdisk *disk = memdisk_create();
	struct commitlog_config config = small_config();
	struct commitlog *log = must_open(disk, &config);
	struct record_message message = { .store_time_ms = 5000, .topic = SPAN_LITERAL("t") };
	struct errinfo err;
	uint8_t payload[256];

	uint64_t a = put_half(log, 0, "A"), b = put_half(log, 1, "B"), c = put_half(log, 2, "C");
	put_decision(log, c, 2, OUTCOME_COMMIT, "C");
	flush_all(log);
	uint64_t at = put_decision(log, a, 0, OUTCOME_COMMIT, "A\x1b");
	put_decision(log, b, 1, OUTCOME_PARK, "B");
	flush_all(log); /* So far durable, as the next batch says. */
	put_decision(log, b, 1, OUTCOME_ROLLBACK, "B");
	uint64_t d = put_half(log, 3, "D");
	put_decision(log, d, 3, OUTCOME_COMMIT, "D");
	record_message_encode(&message, payload);
	put(log, LOG_MESSAGE, payload, record_message_size(&message));
	flush(log, false);
	abandon(log);
	CU_ASSERT_EQUAL_FATAL(make_plan(disk, at, &err), ST_OK);
	CU_ASSERT_EQUAL(plan.kind_count[LOG_DECISION], 4);
	CU_ASSERT_EQUAL(plan.kind_count[LOG_HALF], 1);
	CU_ASSERT_EQUAL(plan.half_count, 1);
	CU_ASSERT_EQUAL(plan.message_count, 3);
	CU_ASSERT_EQUAL_FATAL(plan.undecided_count, 2); /* A and B; C keeps its own, D goes whole. */
	CU_ASSERT_EQUAL(plan.undecided[0].half_offset, a);
	CU_ASSERT_EQUAL(plan.undecided[0].outcome, OUTCOME_COMMIT);
	CU_ASSERT_EQUAL(plan.undecided[1].half_offset, b);
	CU_ASSERT_STRING_EQUAL(plan.undecided[1].transaction_id, "B");
	CU_ASSERT_EQUAL(plan.durable_count, 2);
	CU_ASSERT_EQUAL(plan.record_count, 2 + 1 + 4); /* And the second batch's mark. */
	CU_ASSERT_EQUAL(plan.first_ms, 2000);
	CU_ASSERT_EQUAL(plan.last_ms, 5000);
	/* The half at the place itself goes, and its decision with it. */
	CU_ASSERT_EQUAL_FATAL(make_plan(disk, d, &err), ST_OK);
	CU_ASSERT_EQUAL(plan.half_count, 1);
	CU_ASSERT_EQUAL(plan.undecided_count, 0);
	memdisk_destroy(disk);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_a_cut_at_every_record),
		CHECK_TEST(test_a_long_rest_is_zeroed_to_its_end),
		CHECK_TEST(test_a_damaged_log_is_cut_where_it_is_bad),
		CHECK_TEST(test_wrong_places_are_refused),
		CHECK_TEST(test_a_cut_that_was_stopped_is_made_again),
		CHECK_TEST(test_a_cut_that_is_done_is_durable),
		CHECK_TEST(test_what_was_saved_is_not_saved_over),
		CHECK_TEST(test_what_goes_is_counted),
		CHECK_TEST(test_what_waits_for_its_time_is_counted),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("cut", tests, sizeof(tests) / sizeof(tests[0]));
}
