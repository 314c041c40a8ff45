/* Snapshots: a start from one gives the same state as a replay of everything, wherever the slices fell; what is damaged is
 * passed over or refused. Retention on top: what goes, what stays, what is carried. */
#include "broker/core/state.h"
#include "lib/base/logging.h"
#include "tests/unit/core/core_fixture.h"

enum { ITEMS = 400, TOPICS = 3 };

static const char *const topic_names[TOPICS] = { "orders", "payments", "parcels" };

/* --- traffic ---------------------------------------------------------------------------------------------------------- */

struct traffic {
	struct fixture *f;
	uint64_t random;
	uint32_t next_key;
	struct send_result open[ITEMS];
	size_t open_count;
	int64_t offsets[TOPICS];
};

static uint64_t chance(struct traffic *t, uint64_t n)
{
	return check_random(&t->random) % n;
}

static void send_something(struct traffic *t, bool half)
{
	char key[32];

	snprintf(key, sizeof(key), "key-%06u", t->next_key++);
	struct sent sent = { .topic = topic_names[chance(t, TOPICS)], .key = key, .queue_id = (int32_t)chance(t, 4), .half = half,
			     .delay_level = chance(t, 6) == 0 ? (int64_t)(1 + chance(t, 3)) : 0 };
	struct send_result result;
	struct outcome outcome;
	if (fixture_send(t->f, sent, &result, &outcome) != ST_OK) {
		fixture_disk(t->f, true);
		return;
	}
	if (half && t->open_count < ITEMS)
		t->open[t->open_count++] = result;
}

static void end_something(struct traffic *t)
{
	struct outcome outcome;

	if (t->open_count == 0)
		return;
	size_t i = chance(t, t->open_count);
	enum status status = fixture_end(t->f, &t->open[i], chance(t, 3) == 0 ? OUTCOME_ROLLBACK : OUTCOME_COMMIT, false, &outcome);
	CU_ASSERT(status == ST_OK || status == ST_AGAIN);
	if (status == ST_OK)
		t->open[i] = t->open[--t->open_count];
}

static void park_or_resume(struct traffic *t)
{
	struct outcome outcome = { 0 };

	if (t->open_count == 0)
		return;
	enum status status = core_operator_decide(t->f->core, t->open[chance(t, t->open_count)].log_offset,
						  chance(t, 2) == 0 ? OUTCOME_PARK : OUTCOME_RESUME, SPAN_LITERAL("op"), &outcome);
	(void)status; /* Parking what is parked is a no-op; resuming what is open is refused. */
}

static void update_offset(struct traffic *t)
{
	struct outcome outcome = { 0 };
	size_t topic = chance(t, TOPICS);

	if (core_update_offset(t->f->core, SPAN_LITERAL("readers"), span_of(topic_names[topic]), 0, ++t->offsets[topic], chance(t, 2) == 0,
			       &outcome) != ST_OK)
		t->offsets[topic]--;
}

static void do_something(struct traffic *t)
{
	switch (chance(t, 10)) {
	case 0: case 1: case 2: send_something(t, true); break;
	case 3: case 4: send_something(t, false); break;
	case 5: case 6: case 7: end_something(t); break;
	case 8: update_offset(t); break;
	default: park_or_resume(t); break;
	}
	if (chance(t, 12) == 0)
		fixture_advance(t->f, (int64_t)(10 * (1 + chance(t, 60))));
}

static struct traffic *traffic_create(struct fixture *f, uint64_t seed)
{
	struct traffic *t = calloc(1, sizeof(*t));

	CU_ASSERT_PTR_NOT_NULL_FATAL(t);
	t->f = f;
	t->random = seed;
	fixture_heartbeat(f, false);
	fixture_heartbeat(f, true);
	return t;
}

/* --- the state, as text, in an order of its own --------------------------------------------------------------------- */

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

struct lines {
	char **items;
	size_t count, capacity;
};

static void add_line(struct lines *lines, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void add_line(struct lines *lines, const char *fmt, ...)
{
	char text[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (lines->count == lines->capacity) {
		lines->capacity = lines->capacity == 0 ? 256 : 2 * lines->capacity;
		lines->items = realloc(lines->items, lines->capacity * sizeof(*lines->items));
	}
	lines->items[lines->count++] = strdup(text);
}

static void describe_queues(struct core *core, struct lines *lines)
{
	for (const struct topic *topic = topics_first_any(core->topics); topic != NULL; topic = topics_next_any(topic)) {
		add_line(lines, "topic %.*s %u %u", SPAN_ARGS(topic->name), topic->settings.perm, topic->deleted);
		for (uint32_t q = 0; q < topic->queue_count; q++) {
			struct queue *queue = topic->queues[q];
			struct cq_entry e;
			uint64_t min = 0;
			if (queue == NULL)
				continue;
			CU_ASSERT_EQUAL(retention_queue_min(core, queue, &min), ST_OK);
			if (queue->next_offset > 0) /* Waiting pulls make empty ones. */
				add_line(lines, "queue %.*s/%u [%llu,%llu)", SPAN_ARGS(topic->name), q, (unsigned long long)min,
					 (unsigned long long)queue->next_offset);
			for (uint64_t i = min; i < queue->next_offset; i++) {
				CU_ASSERT_EQUAL_FATAL(consume_queue_get(&queue->entries, i, &e, NULL), ST_OK);
				add_line(lines, "entry %.*s/%u/%llu at %llu body %llu size %u time %lld flags %x", SPAN_ARGS(topic->name), q,
					 (unsigned long long)i, (unsigned long long)e.log_offset, (unsigned long long)e.body_offset, e.size,
					 (long long)e.store_time_ms, e.flags);
			}
		}
	}
}

static void describe_transactions(struct core *core, struct lines *lines)
{
	const struct pending *p;
	struct half_entry half;
	struct resend resend;
	uint32_t cursor = 0;
	uint64_t resends = 0, found;

	for (uint64_t n = half_index_min(&core->halves); n < half_index_max(&core->halves); n++) {
		enum status status = half_index_get(&core->halves, n, &half, NULL);
		CU_ASSERT_FATAL(status == ST_OK || (status == ST_NOTFOUND && core->retention.count > 0 &&
						    commitlog_start(core->log) > LOG_SEGMENT_HEADER_SIZE));
		if (status != ST_OK)
			continue; /* Its records are gone, and the index was built anew. */
		if (half.half_offset >= commitlog_start(core->log) || pending_find(core->pending, n) != NULL)
			add_line(lines, "half %llu at %llu %u decided %llu", (unsigned long long)n, (unsigned long long)half.half_offset,
				 half.state, (unsigned long long)half.decision_offset);
	}
	while ((p = pending_next(core->pending, &cursor)) != NULL) {
		add_line(lines, "open %llu at %llu body %llu state %u checks %u/%u group %.*s size %u",
			 (unsigned long long)p->half_queue_offset, (unsigned long long)p->half_offset, (unsigned long long)p->body_offset,
			 p->state, p->attempts, p->answered, SPAN_ARGS(names_text(core->names, p->group_id)), p->record_size);
		CU_ASSERT_TRUE(resends_find(core->resends, p->name, &found) && found == p->half_queue_offset);
	}
	while (resends_next(core->resends, &resends, &resend)) {
		CU_ASSERT_TRUE(resends_find(core->resends, resend.name, &found) && found == resend.half_queue_offset);
		add_line(lines, "decided %llu", (unsigned long long)resend.half_queue_offset);
	}
}

static void describe(struct core *core, struct lines *lines)
{
	struct offsets_cursor cursor = { 0 };
	struct offsets_entry offset;
	const struct delayed *d;
	size_t delays = 0;

	describe_queues(core, lines);
	describe_transactions(core, lines);
	while (offsets_next(core->offsets, &cursor, &offset))
		add_line(lines, "offset %.*s %.*s/%u %lld", SPAN_ARGS(names_text(core->names, offset.group_id)),
			 SPAN_ARGS(names_text(core->names, offset.topic_id)), offset.queue_id, (long long)offset.value);
	while ((d = delays_next(&core->delays, &delays)) != NULL)
		add_line(lines, "delayed %llu until %lld origin %llu body %llu delta %u", (unsigned long long)d->naming_offset,
			 (long long)d->deliver_at_ms, (unsigned long long)d->origin_offset, (unsigned long long)d->body_offset,
			 d->message_delta);
	for (size_t i = 0; i < core->retention.count; i++)
		add_line(lines, "segment %llu open %llu", (unsigned long long)core->retention.segments[i].base,
			 (unsigned long long)core->retention.segments[i].open_count);
	add_line(lines, "time %lld", (long long)core->store_time_ms);
	qsort(lines->items, lines->count, sizeof(*lines->items), by_text);
}

static void free_lines(struct lines *lines)
{
	for (size_t i = 0; i < lines->count; i++)
		free(lines->items[i]);
	free(lines->items);
	*lines = (struct lines){ 0 };
}

static bool same_lines(const struct lines *a, const struct lines *b)
{
	for (size_t i = 0; i < a->count || i < b->count; i++) {
		const char *x = i < a->count ? a->items[i] : "(end)", *y = i < b->count ? b->items[i] : "(end)";
		if (strcmp(x, y) != 0) {
			printf("\n  one:   %s\n  other: %s\n", x, y);
			return false;
		}
	}
	return true;
}

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

/* Small segments, kept by size. */
static struct fixture *create_small(uint64_t retention_bytes)
{
	struct core_config config = fixture_config();
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	config.retention_bytes = retention_bytes;
	config.snapshot_bytes = 40 * 1024;
	config.segment_bytes = LOG_SEGMENT_SIZE_MIN;
	f->disk = memdisk_create();
	f->config = config;
	f->segment_size = LOG_SEGMENT_SIZE_MIN;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

static void run(struct traffic *t, int operations)
{
	for (int i = 0; i < operations; i++) {
		do_something(t);
		t->f->asked_count = 0; /* Nobody looks at them here. */
		fixture_snapshot_step(t->f);
		if (i % 3 == 0)
			fixture_disk(t->f, true);
	}
}

static void test_retention_drops_and_carries(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 11);
	struct send_result old = must_send(f, (struct sent){ .topic = "orders", .key = "old-half", .half = true });
	struct send_result cold = must_send(f, (struct sent){ .topic = "orders", .key = "old-too", .half = true });
	struct outcome outcome = { 0 };
	struct pulled p = { 0 };

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

/* The index file is lost: built anew from what the log still holds. */
static void test_lost_index_is_built_anew(void)
{
	struct fixture *f = create_small(3 * LOG_SEGMENT_SIZE_MIN);
	struct traffic *t = traffic_create(f, 23);
	struct lines before = { 0 }, after = { 0 };
	struct send_result old = must_send(f, (struct sent){ .topic = "orders", .key = "old-half", .half = true });
	struct outcome outcome = { 0 };

	run(t, 9000);
	fixture_disk(f, true);
	CU_ASSERT(old.log_offset < commitlog_start(f->log));
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
	free_lines(&before);
	free_lines(&after);
	free(t);
	fixture_destroy(f);
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

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_start_from_a_snapshot_is_the_replay_of_everything),
		CHECK_TEST(test_damaged_snapshot_gives_way_to_the_older_one),
		CHECK_TEST(test_retention_drops_and_carries),
		CHECK_TEST(test_power_cuts_while_the_log_goes_round),
		CHECK_TEST(test_lost_index_is_built_anew),
		CHECK_TEST(test_without_snapshots_nothing_goes),
		CHECK_TEST(test_topic_keeps_its_messages_for_a_shorter_time),
		CHECK_TEST(test_full_disk_refuses_what_is_new_only),
	};

	log_set_level(LOGLEVEL_ERROR);
	return check_main("core snapshots", tests, sizeof(tests) / sizeof(tests[0]));
}
