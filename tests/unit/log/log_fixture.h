/* What the tests of lib/log share: a log on a memory disk, records whose content tells where they belong, and a list
 * of what was appended. Header only, because every test file is a program of its own. */
#ifndef ESCROW_TESTS_LOG_FIXTURE_H
#define ESCROW_TESTS_LOG_FIXTURE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/clock.h"
#include "lib/base/crc32c.h"
#include "lib/base/logging.h"
#include "lib/log/commitlog.h"
#include "lib/log/format.h"
#include "lib/log/logreader.h"
#include "lib/log/recovery.h"
#include "tests/support/check.h"
#include "tests/support/memdisk.h"

struct noted { /* A record that was appended. */
	uint64_t offset;
	uint64_t end;
	uint32_t payload_size;
	uint32_t seed;
	unsigned kind;
};

struct history {
	struct noted *records;
	size_t count, capacity;
};

static inline void history_add(struct history *h, struct noted record)
{
	if (h->count == h->capacity) {
		h->capacity = h->capacity == 0 ? 64 : 2 * h->capacity;
		h->records = realloc(h->records, h->capacity * sizeof(*h->records));
		assert(h->records != NULL);
	}
	h->records[h->count++] = record;
}

static inline void history_free(struct history *h)
{
	free(h->records);
	*h = (struct history){ 0 };
}

static inline uint8_t pattern_byte(uint32_t seed, size_t i)
{
	return (uint8_t)(seed * 31 + i * 7 + (i >> 8));
}

static inline void fill_pattern(uint8_t *p, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++)
		p[i] = pattern_byte(seed, i);
}

static inline bool has_pattern(const uint8_t *p, size_t size, uint32_t seed)
{
	for (size_t i = 0; i < size; i++) {
		if (p[i] != pattern_byte(seed, i))
			return false;
	}
	return true;
}

static inline struct commitlog_config small_config(void)
{
	static struct clock_manual clock;

	clock_manual_init(&clock, 1700000000000, 0);
	return (struct commitlog_config){
		.root = "store",
		.cluster = "test",
		.segment_size = LOG_SEGMENT_SIZE_MIN,
		.ring_size = LOG_RING_SIZE_MIN,
		.prepare_chunk = 16 * 1024,
		.clock = &clock.clock,
		.log_id = { 1, 2, 3 },
	};
}

static inline struct commitlog *must_open(struct memdisk *disk, const struct commitlog_config *config)
{
	struct commitlog *log = NULL;
	struct errinfo err = { 0 };

	if (commitlog_open(config, memdisk_vfs(disk), &log, &err) != ST_OK) {
		fprintf(stderr, "open: %s\n", err.text);
		abort();
	}
	return log;
}

/* Appends one record; false when the log has no room. */
static inline bool append(struct commitlog *log, struct history *h, unsigned kind, size_t size, uint32_t seed)
{
	uint64_t offset = 0;
	uint8_t *p = commitlog_begin(log, kind, size, &offset);

	if (p == NULL)
		return false;
	fill_pattern(p, size, seed);
	uint64_t end = commitlog_commit(log);
	if (h != NULL)
		history_add(h, (struct noted){ offset, end, (uint32_t)size, seed, kind });
	return true;
}

/* Runs one flush job to its end. ST_NOTFOUND: there was none. */
static inline enum status flush(struct commitlog *log, bool sync)
{
	struct log_flush_job job;

	if (!commitlog_take_flush(log, sync, &job))
		return ST_NOTFOUND;
	log_flush_run(&job);
	return commitlog_flush_done(log, &job, NULL);
}

static inline void flush_all(struct commitlog *log)
{
	while (flush(log, true) == ST_OK)
		;
}

static inline enum status prepare(struct commitlog *log)
{
	struct log_prepare_job job;

	if (!commitlog_take_prepare(log, &job))
		return ST_NOTFOUND;
	log_prepare_run(&job);
	return commitlog_prepare_done(log, &job, NULL);
}

static inline void prepare_all(struct commitlog *log)
{
	while (prepare(log) == ST_OK)
		;
}

/* Appends whatever it takes: flushes and prepares when there is no room. */
static inline void append_hard(struct commitlog *log, struct history *h, unsigned kind, size_t size, uint32_t seed)
{
	for (int tries = 0; tries < 100; tries++) {
		if (append(log, h, kind, size, seed))
			return;
		flush_all(log);
		prepare_all(log);
	}
	abort();
}

struct replay_check {
	const struct history *history;
	size_t next;
	bool wrong;
};

static inline enum status check_replayed(void *context, const struct log_record *record, struct errinfo *err)
{
	struct replay_check *check = context;

	(void)err;
	if (check->next >= check->history->count) {
		check->wrong = true; /* A record that nobody appended. */
		return ST_OK;
	}
	const struct noted *noted = &check->history->records[check->next++];
	if (record->offset != noted->offset || record->kind != noted->kind ||
	    record->payload.size != noted->payload_size ||
	    !has_pattern(record->payload.data, record->payload.size, noted->seed))
		check->wrong = true;
	return ST_OK;
}

/* Replays and compares with a prefix of the history. Returns how many records there were; SIZE_MAX when any differs. */
static inline size_t replay_matches(struct commitlog *log, const struct history *h)
{
	struct replay_check check = { .history = h };
	struct errinfo err = { 0 };

	if (commitlog_replay(log, 0, check_replayed, &check, &err) != ST_OK) {
		fprintf(stderr, "replay: %s\n", err.text);
		return SIZE_MAX;
	}
	return check.wrong ? SIZE_MAX : check.next;
}

/* The process ends without warning; the disk keeps what it has. */
static inline void abandon(struct commitlog *log)
{
	CU_ASSERT_EQUAL(commitlog_close(log, false, NULL), ST_OK);
}

#define SEGMENT_0 "store/commitlog/00000000000000000000"

#endif
