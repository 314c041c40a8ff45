/* A core whose log lets its oldest segments go: by size or by age, with what makes it grow and time pass. */
#ifndef ESCROW_TESTS_RETENTION_FIXTURE_H
#define ESCROW_TESTS_RETENTION_FIXTURE_H

#include "tests/unit/core/core_fixture.h"

#include "broker/core/state.h"

enum { SEGMENT = LOG_SEGMENT_SIZE_MIN, KEPT_SEGMENTS = 3 };
#define HOUR_MS (3600 * 1000ll)

static inline struct fixture *create_from(struct core_config config)
{
	struct fixture *f = calloc(1, sizeof(*f));

	if (f == NULL)
		abort();
	f->segment_size = config.segment_bytes;
	f->disk = memdisk_create();
	f->config = config;
	clock_manual_init(&f->clock, FIXTURE_WALL_MS, FIXTURE_START_MS);
	fixture_open(f);
	return f;
}

static inline struct fixture *create_with(uint64_t retention_bytes, uint64_t snapshot_bytes)
{
	struct core_config config = fixture_config();

	config.retention_bytes = retention_bytes;
	config.snapshot_bytes = snapshot_bytes;
	config.segment_bytes = SEGMENT;
	return create_from(config);
}

static inline struct fixture *create(void)
{
	return create_with(KEPT_SEGMENTS * SEGMENT, SEGMENT / 2);
}

/* Messages, snapshots and ticks until the log has grown by so many segments. */
static inline void grow_slowly(struct fixture *f, unsigned segments, int64_t advance_ms)
{
	uint64_t until = commitlog_appended(f->log) + (uint64_t)segments * SEGMENT;

	while (commitlog_appended(f->log) < until)
		fixture_store_bulk(f, advance_ms);
}

static inline void grow(struct fixture *f, unsigned segments)
{
	grow_slowly(f, segments, 1);
}

static inline struct send_result send_half(struct fixture *f, size_t size)
{
	static uint8_t body[64 * 1024];
	struct send_result result = { 0 };
	struct outcome outcome = { 0 };
	struct send_request request = { .producer_group = SPAN_LITERAL("producers"), .topic = SPAN_LITERAL("t"),
					.default_topic = SPAN_LITERAL("TBW102"), .default_topic_queue_nums = 4,
					.body = { body, size }, .max_reconsume_times = -1, .conn_id = PRODUCER,
					.properties = SPAN_LITERAL("TRAN_MSG\001true\002") };

	CU_ASSERT_EQUAL_FATAL(core_send(f->core, &request, &result, &outcome), ST_OK);
	fixture_disk(f, true);
	return result;
}

/* Three days, as by default; 16 messages fill a segment. */
static inline struct fixture *create_aging(void)
{
	struct core_config config = fixture_config();

	config.retention_ms = 72 * HOUR_MS;
	config.snapshot_bytes = SEGMENT / 2;
	config.segment_bytes = SEGMENT;
	return create_from(config);
}

/* Ticks each minute. */
static inline void idle(struct fixture *f, int64_t ms)
{
	for (; ms > 0; ms -= 60 * 1000) {
		clock_manual_advance(&f->clock, 60 * 1000);
		core_set_time(f->core, f->clock.wall_now_ms, f->clock.mono_now_ms);
		core_tick(f->core);
		fixture_disk(f, true);
	}
}

/* Decided, once its record can be read. */
static inline void commit_late(struct fixture *f, const struct send_result *half)
{
	struct outcome outcome = { 0 };
	enum status status;

	while ((status = fixture_end(f, half, OUTCOME_COMMIT, false, &outcome)) == ST_AGAIN)
		fixture_disk(f, true);
	CU_ASSERT_EQUAL_FATAL(status, ST_OK);
}

#endif
