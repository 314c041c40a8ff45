/* Appending and flush jobs; see commitlog.h.
 *
 * The ring is indexed by log offset. Its invariant is appended - durable <= ring_size, so bytes that are not durable
 * are always in memory, and recovery knows how far beyond the durable mark it must look. */
#include "lib/log/commitlog.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log/commitlog_internal.h"

void commitlog_poison(struct commitlog *log, const struct errinfo *why)
{
	if (log->failed)
		return;
	log->failed = true;
	log->failure = *why;
}

/* --- appending --------------------------------------------------------------------------------------- */

static bool ring_takes(const struct commitlog *log, uint64_t end)
{
	return end - log->durable <= log->ring_size;
}

static uint64_t tail_left(const struct commitlog *log)
{
	const struct segment *tail = &log->segments[log->tail];

	return tail->base + tail->size - log->appended;
}

/* True if `size` bytes more fit into what is prepared of the current segment. */
static bool tail_takes(const struct commitlog *log, uint64_t size)
{
	const struct segment *tail = &log->segments[log->tail];

	return log->appended - tail->base + size <= tail->prepared;
}

/* Claims [appended, appended + size) of the ring, which drops what was there. */
static uint8_t *claim(struct commitlog *log, uint64_t size)
{
	uint64_t end = log->appended + size;

	if (end > log->ring_size && log->ring_floor < end - log->ring_size)
		log->ring_floor = end - log->ring_size;
	return ring_at(log, log->appended);
}

bool commitlog_roll(struct commitlog *log)
{
	struct segment *tail = &log->segments[log->tail];
	uint64_t left = tail_left(log);

	if (log->tail + 1 >= log->segment_count)
		return false;
	if (left >= LOG_ENVELOPE_SIZE) {
		if (!tail_takes(log, LOG_ENVELOPE_SIZE) || !ring_takes(log, log->appended + LOG_ENVELOPE_SIZE))
			return false;
		log_seal(log->log_id, claim(log, LOG_ENVELOPE_SIZE), LOG_PAD, log->epoch, log->appended, left - LOG_ENVELOPE_SIZE);
		log->appended += LOG_ENVELOPE_SIZE;
	}
	tail->data_end = log->appended - tail->base;
	log->tail++;
	log->appended = log->segments[log->tail].base + LOG_SEGMENT_HEADER_SIZE;
	return true;
}

size_t commitlog_segment_for(const struct commitlog *log, uint64_t size)
{
	size_t i = log->tail;

	if (size <= tail_left(log))
		return i;
	for (i++; i < log->segment_count && LOG_SEGMENT_HEADER_SIZE + size > log->segments[i].size; i++)
		;
	return i;
}

/* Moves on to the next segment if `size` bytes do not fit into this one. False when there is no room at all. */
static bool make_room(struct commitlog *log, uint64_t size)
{
	size_t taking = commitlog_segment_for(log, size);
	uint64_t end;

	if (taking == log->tail)
		return tail_takes(log, size) && ring_takes(log, log->appended + size);
	if (taking == log->segment_count)
		return false;
	const struct segment *next = &log->segments[taking];
	end = next->base + LOG_SEGMENT_HEADER_SIZE + size;
	if (end - next->base > next->prepared || !ring_takes(log, end))
		return false;
	while (log->tail < taking) {
		if (!commitlog_roll(log))
			return false;
	}
	return true;
}

static void open_batch(struct commitlog *log)
{
	claim(log, LOG_BATCH_SIZE);
	log->batch_open = true;
	log->batch_offset = log->appended;
	log->appended += LOG_BATCH_SIZE;
}

uint8_t *commitlog_begin(struct commitlog *log, enum log_kind kind, size_t payload_size, uint64_t *offset_out)
{
	uint64_t size;

	assert(!log->begun && !log_kind_is_internal(kind) && kind > 0 && kind < 256);
	if (log->failed || payload_size > commitlog_payload_max(log))
		return NULL;
	size = commitlog_record_size(payload_size);
	if (!make_room(log, size + (log->batch_open ? 0 : LOG_BATCH_SIZE)))
		return NULL;
	if (!log->batch_open)
		open_batch(log);
	log->begun = true;
	log->begun_kind = kind;
	log->begun_payload = payload_size;
	*offset_out = log->appended;
	return claim(log, size) + LOG_ENVELOPE_SIZE;
}

uint64_t commitlog_commit(struct commitlog *log)
{
	assert(log->begun);
	log->begun = false;
	log->appended += log_seal(log->log_id, ring_at(log, log->appended), log->begun_kind, log->epoch, log->appended,
				  log->begun_payload);
	return log->appended;
}

void commitlog_abort(struct commitlog *log)
{
	assert(log->begun);
	log->begun = false;
}

bool commitlog_append_epoch(struct commitlog *log, uint32_t epoch)
{
	uint64_t end = log->appended;
	uint8_t *p;

	assert(!log->batch_open && log->durable == log->appended);
	if (!make_room(log, LOG_EPOCH_SIZE))
		return false;
	assert(log->appended == end); /* Whoever opens an epoch has rolled before. */
	p = claim(log, LOG_EPOCH_SIZE);
	put_u32(p + LOG_ENVELOPE_SIZE, log->epoch);
	put_u32(p + LOG_ENVELOPE_SIZE + 4, 0);
	put_u64(p + LOG_ENVELOPE_SIZE + 8, end);
	put_u64(p + LOG_ENVELOPE_SIZE + 16, log->ring_size);
	put_u64(p + LOG_ENVELOPE_SIZE + 24, (uint64_t)clock_wall_ms(log->clock));
	log->epoch = epoch;
	log->appended += log_seal(log->log_id, p, LOG_EPOCH, epoch, log->appended, LOG_EPOCH_PAYLOAD);
	return true;
}

bool commitlog_append_mark(struct commitlog *log)
{
	if (log->failed || log->batch_open || LOG_BATCH_SIZE > tail_left(log) || !make_room(log, LOG_BATCH_SIZE))
		return false;
	open_batch(log);
	return true;
}

size_t commitlog_payload_max(const struct commitlog *log)
{
	/* Half a segment: the next one is made when a quarter of this one is used, so there is always one to roll to. */
	uint64_t limit = (log->segment_size - LOG_SEGMENT_HEADER_SIZE) / 2;

	if (limit > log->ring_size / 2)
		limit = log->ring_size / 2;
	limit -= LOG_ENVELOPE_SIZE + LOG_BATCH_SIZE + 8;
	return limit > LOG_PAYLOAD_LIMIT ? LOG_PAYLOAD_LIMIT : limit;
}

uint64_t commitlog_room(const struct commitlog *log)
{
	const struct segment *tail = &log->segments[log->tail];
	uint64_t ring = log_less(log->ring_size, log->appended - log->durable);
	uint64_t room = log_less(tail->base + tail->prepared, log->appended);

	if (log->failed)
		return 0;
	if (room > ring)
		room = ring;
	for (size_t i = log->tail + 1; i < log->segment_count; i++) {
		/* Whatever does not fit before goes there, and what is left there is lost to the ring too. */
		const struct segment *next = &log->segments[i];
		uint64_t there = log_less(next->prepared, LOG_SEGMENT_HEADER_SIZE);
		uint64_t ring_there = log_less(ring, next->base + LOG_SEGMENT_HEADER_SIZE - log->appended);
		if (there > ring_there)
			there = ring_there;
		if (there > room)
			room = there;
	}
	return log_less(room, 2 * LOG_BATCH_SIZE);
}

/* --- state ------------------------------------------------------------------------------------------- */

uint64_t commitlog_start(const struct commitlog *log)
{
	return log->segments[0].base + LOG_SEGMENT_HEADER_SIZE;
}

uint64_t commitlog_appended(const struct commitlog *log)
{
	return log->appended;
}

uint64_t commitlog_written(const struct commitlog *log)
{
	return log->written;
}

uint64_t commitlog_durable(const struct commitlog *log)
{
	return log->durable;
}

uint32_t commitlog_epoch(const struct commitlog *log)
{
	return log->epoch;
}

const uint8_t *commitlog_id(const struct commitlog *log)
{
	return log->log_id;
}

uint64_t commitlog_disk_bytes(const struct commitlog *log)
{
	uint64_t total = 0;

	for (size_t i = 0; i < log->segment_count; i++)
		total += log->segments[i].prepared;
	for (size_t i = 0; i < log->dropped_count; i++)
		total += log->dropped[i].prepared;
	return total;
}

bool commitlog_failed(const struct commitlog *log, struct errinfo *err)
{
	if (log->failed && err != NULL)
		*err = log->failure;
	return log->failed;
}

/* --- flush jobs -------------------------------------------------------------------------------------- */

/* The batch that is about to be written says what is durable at this moment. */
static void close_batch(struct commitlog *log)
{
	uint8_t *p = ring_at(log, log->batch_offset);

	if (!log->batch_open)
		return;
	put_u64(p + LOG_ENVELOPE_SIZE, log->durable);
	put_u64(p + LOG_ENVELOPE_SIZE + 8, log->ring_size);
	log_seal(log->log_id, p, LOG_BATCH, log->epoch, log->batch_offset, LOG_BATCH_PAYLOAD);
	log->batch_open = false;
}

/* Index of the segment that holds `offset`, or into which the record at `offset` would go. */
static size_t segment_before(const struct commitlog *log, uint64_t offset)
{
	size_t i = log->tail;

	while (i > 0 && log->segments[i].base > offset)
		i--;
	return i;
}

bool commitlog_take_flush(struct commitlog *log, bool sync, struct log_flush_job *out)
{
	uint64_t from;

	if (log->appended - log->durable > log->ring_size / 2)
		sync = true;
	from = sync ? log->durable : log->written;
	if (log->failed || log->flush_out || log->begun || log->appended == from)
		return false;
	close_batch(log);
	out->part_count = 0;
	out->sync = sync;
	out->result = ST_OK;
	for (size_t i = segment_before(log, from); i <= log->tail && out->part_count < LOG_JOB_PARTS; i++) {
		const struct segment *segment = &log->segments[i];
		uint64_t first = segment->base + LOG_SEGMENT_HEADER_SIZE;
		uint64_t end = i < log->tail ? segment->base + segment->data_end : log->appended;
		uint64_t start = from > first ? from : first;
		uint64_t unwritten = log->written > start ? log->written : start;
		size_t size = end > unwritten ? end - unwritten : 0;

		out->end = i < log->tail ? log->segments[i + 1].base + LOG_SEGMENT_HEADER_SIZE : end;
		if (end <= start)
			continue;
		out->parts[out->part_count++] = (struct log_flush_part){
			segment->file, unwritten - segment->base, ring_at(log, unwritten), size,
		};
	}
	log->flush_out = true;
	return true;
}

enum status commitlog_flush_done(struct commitlog *log, const struct log_flush_job *job, struct errinfo *err)
{
	assert(log->flush_out);
	log->flush_out = false;
	if (job->result != ST_OK) {
		commitlog_poison(log, &job->err);
		if (err != NULL)
			*err = job->err;
		return job->result;
	}
	if (job->end > log->written)
		log->written = job->end;
	if (job->sync)
		log->durable = job->end;
	return ST_OK;
}

enum status commitlog_flush_inline(struct commitlog *log, struct errinfo *err)
{
	struct log_flush_job job;

	while (commitlog_take_flush(log, true, &job)) {
		log_flush_run(&job);
		enum status status = commitlog_flush_done(log, &job, err);
		if (status != ST_OK)
			return status;
	}
	return ST_OK;
}
