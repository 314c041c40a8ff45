/* A broker with a known past, for whoever compares all that it says of itself with what was done.
 *
 * Each thing happens another number of times, so that a figure that is given for another one is noticed: messages on each of
 * three days, pulls that found something and pulls that did not, transactions of each outcome, what was sent back, what was
 * refused, and what is not durable yet. */
#ifndef ESCROW_TESTS_BUSY_BENCH_H
#define ESCROW_TESTS_BUSY_BENCH_H

#include "broker/core/inspect.h"
#include "broker/core/progress.h"
#include "broker/core/state.h"
#include "tests/unit/handlers/handlers_fixture.h"

static inline struct machine_facts busy_machine(void *context)
{
	(void)context;
	return (struct machine_facts){ .disk_bytes = 4ull << 30, .disk_free_bytes = 1ull << 30, .connections = 5, .disk_level = 1,
				       .oplog = true, .oplog_lag_bytes = 77, .oplog_rows = 88, .oplog_failures = 9 };
}

/* Ticks each second, or each minute. */
static inline void busy_pass(struct bench *b, int64_t seconds, int64_t step)
{
	for (; seconds > 0; seconds -= step) {
		clock_manual_advance(&b->f->clock, step * 1000);
		core_set_time(b->f->core, b->f->clock.wall_now_ms, b->f->clock.mono_now_ms);
		core_tick(b->f->core);
		fixture_disk(b->f, true);
	}
}

static inline void busy_send(struct bench *b, const char *topic, int count)
{
	while (count-- > 0)
		must_send(b->f, (struct sent){ .topic = topic, .key = "k", .queue_id = 1 });
}

/* "readers" pull from a queue of "orders". */
static inline void busy_pull(struct bench *b, uint32_t queue_id, uint64_t from, uint32_t most)
{
	struct pull_request request = pull_of(b->f, "orders", queue_id, from, "*");
	struct pull_result result;
	struct outcome outcome;

	request.group_id = core_name_id(b->f->core, SPAN_LITERAL("readers"));
	request.message_max = most;
	CU_ASSERT_NOT_EQUAL(request.group_id, 0);
	CU_ASSERT_EQUAL(core_pull(b->f->core, &request, &result, &outcome), ST_OK);
}

/* "readers" say that they have read so much of "orders". */
static inline void busy_confirm(struct bench *b, int64_t offset)
{
	struct outcome outcome;

	CU_ASSERT_EQUAL(core_update_offset(b->f->core, SPAN_LITERAL("readers"), SPAN_LITERAL("orders"), 1, offset, true, &outcome),
			ST_OK);
}

/* One message comes back to be tried again, two are given up. */
static inline void busy_send_back(struct bench *b)
{
	struct send_back_request back = { .group = SPAN_LITERAL("readers"), .max_reconsume_times = -1, .delay_level = 1 };
	struct pulled p = { .count = 0 };
	struct outcome outcome;

	CU_ASSERT_TRUE_FATAL(fixture_pull(b->f, "orders", 1, 0, "*", &p) >= 3);
	for (int i = 0; i < 3; i++, back.delay_level = -1) {
		back.log_offset = (uint64_t)p.messages[i].physical_offset;
		CU_ASSERT_EQUAL(core_send_back(b->f->core, &back, &outcome), ST_OK);
	}
	pulled_free(&p);
}

/* Of "pay": nine half messages, one of them sent again; three are committed, two rolled back, one decision is refused. Of the
 * four that stay open one is not asked about yet. */
static inline void busy_transact(struct bench *b)
{
	static const char *const keys[] = { "h0", "h1", "h2", "h3", "h4", "h5", "h6", "h7", "h8" };
	struct send_result halves[9];
	struct outcome outcome;

	for (int i = 0; i < 9; i++)
		halves[i] = must_send(b->f, (struct sent){ .topic = "pay", .key = keys[i], .half = true, .queue_id = 1,
							   .immunity_s = i == 8 ? 600 : 0 });
	must_send(b->f, (struct sent){ .topic = "pay", .key = keys[8], .half = true, .queue_id = 1 });
	fixture_disk(b->f, true);
	for (int i = 0; i < 5; i++)
		CU_ASSERT_EQUAL(fixture_end(b->f, &halves[i], i < 3 ? OUTCOME_COMMIT : OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	CU_ASSERT_NOT_EQUAL(fixture_end(b->f, &halves[0], OUTCOME_ROLLBACK, false, &outcome), ST_OK);
	fixture_disk(b->f, true);
}

static inline void busy_refuse_for_the_disk(struct bench *b, int count)
{
	struct send_result result;
	struct outcome outcome;

	core_set_disk_level(b->f->core, DISK_FULL);
	while (count-- > 0)
		CU_ASSERT_EQUAL(fixture_send(b->f, (struct sent){ .topic = "orders", .key = "k" }, &result, &outcome), ST_DENIED);
	core_set_disk_level(b->f->core, DISK_OK);
}

/* The two days before the last one, whose midnights are 6400 s and 24 h more after the start. */
static inline void busy_days(struct bench *b)
{
	busy_send(b, "orders", 2);
	fixture_disk(b->f, true);
	busy_pass(b, 2 * 3600, 60);
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, 453);
	busy_send(b, "orders", 3);
	fixture_disk(b->f, true);
	busy_pull(b, 1, 0, 32); /* Gives five. */
	busy_confirm(b, 5);
	busy_pass(b, 24 * 3600, 60);
}

/* Of the last ten minutes. */
static inline struct bench *busy_bench(void)
{
	struct bench *b = bench_open();

	b->handlers.machine = (struct machine_port){ b, busy_machine };
	busy_days(b);
	busy_send(b, "orders", 12);
	busy_pass(b, 562, 1);
	busy_send(b, "orders", 6);
	busy_pass(b, 30, 1);
	bench_consumer(b, 100, "one", LANGUAGE_JAVA, 453);
	bench_consumer(b, 101, "two", LANGUAGE_GO, 453);
	bench_consumer(b, 102, "three", LANGUAGE_GO, 453);
	fixture_heartbeat(b->f, true);
	busy_pull(b, 1, 5, 15);
	for (int i = 0; i < 4; i++)
		busy_pull(b, 0, 0, 32); /* Gives nothing. */
	busy_confirm(b, 16);
	busy_send_back(b);
	must_send(b->f, (struct sent){ .topic = "later", .key = "k", .delay_level = 4 });
	busy_transact(b);
	busy_refuse_for_the_disk(b, 7);
	busy_pass(b, 8, 1);
	b->f->core->config.forbidden = PERM_WRITE;
	busy_send(b, "late", 20); /* Not durable yet. */
	return b;
}

/* The bytes of what is in a queue, as stored. Asked for by nobody in particular, and after all other figures. */
static inline uint64_t busy_bytes(struct bench *b, const char *topic, uint32_t queue_id)
{
	struct pulled p = { .count = 0 };

	fixture_disk(b->f, true);
	CU_ASSERT_TRUE(fixture_pull(b->f, topic, queue_id, 0, "*", &p) > 0);
	pulled_free(&p);
	return p.result.body_size;
}

static inline void busy_print_rest(const char *whose, struct span text, size_t from)
{
	struct span rest = { text.data + from, text.size - from < 120 ? text.size - from : 120 };

	printf("%s:\n%.*s\n", whose, SPAN_ARGS(rest));
}

/* The same text? Else says from which figure on it is not. */
static inline void busy_check_text(struct span got, struct span expected)
{
	size_t same = 0;

	while (same < got.size && same < expected.size && got.data[same] == expected.data[same])
		same++;
	if (same == got.size && same == expected.size)
		return;
	while (same > 0 && expected.data[same - 1] != '\n' && expected.data[same - 1] != ',')
		same--;
	busy_print_rest("got", got, same);
	busy_print_rest("expected", expected, same);
	CU_FAIL("another text");
}

#endif
