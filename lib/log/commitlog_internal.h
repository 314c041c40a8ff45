/* What commitlog.c (appending), commitlog_open.c (start and stop), commitlog_prepare.c (segments before and after their
 * use) and commitlog_read.c share. Internal to lib/log. */
#ifndef ESCROW_LOG_COMMITLOG_INTERNAL_H
#define ESCROW_LOG_COMMITLOG_INTERNAL_H

#include "lib/log/commitlog.h"
#include "lib/log/format.h"

struct segment {
	struct vfs_file *file;
	uint64_t base;
	uint64_t size;
	uint64_t prepared; /* Bytes of the file that may be written: what is zero-filled so far. */
	uint64_t data_end; /* Of a full segment: bytes of the file that hold records. */
	uint32_t readers;  /* Read jobs under way in it. */
};

struct commitlog {
	const struct vfs *vfs;
	const struct clock *clock;
	char dir[LOG_PATH_SIZE];
	struct vfs_file *lock;
	uint8_t log_id[LOG_ID_SIZE];
	char cluster[LOG_CLUSTER_SIZE];
	uint64_t segment_size; /* Of segments made from now on. */
	uint64_t prepare_chunk;

	uint8_t *ring;         /* ring_size bytes, mapped twice in a row, so that a record never wraps. */
	uint64_t ring_size;
	uint64_t ring_populated; /* Bytes of it that were given memory, from ring_populate_from on, round its end. */
	uint64_t ring_populate_from;
	uint64_t ring_floor;   /* Lowest log offset that the ring still holds. */

	struct segment *segments; /* Oldest first; those after `tail` are prepared and empty. */
	size_t segment_count, segment_capacity, tail;
	struct segment *dropped;  /* Given up, oldest first; their files still have their names. */
	size_t dropped_count;
	bool spares_wanted;

	uint32_t epoch;
	uint64_t appended, written, durable;

	bool begun;            /* Between begin and commit: */
	unsigned begun_kind;
	size_t begun_payload;

	bool batch_open;       /* A BATCH record waits to be patched at */
	uint64_t batch_offset;

	bool flush_out, prepare_out;
	bool failed;
	struct errinfo failure;
};

static inline uint64_t log_less(uint64_t a, uint64_t b)
{
	return a > b ? a - b : 0;
}

static inline uint8_t *ring_at(const struct commitlog *log, uint64_t offset)
{
	return log->ring + (offset & (log->ring_size - 1));
}

/* Nothing more is appended or acknowledged; the first reason stays. */
void commitlog_poison(struct commitlog *log, const struct errinfo *why);
/* Appends that need no callers' promises: the EPOCH record of this start, and the closing mark. False: no room. */
bool commitlog_append_epoch(struct commitlog *log, uint32_t epoch);
bool commitlog_append_mark(struct commitlog *log);
/* Index of the segment that takes `size` bytes more: the tail, or one behind it. One that was made when segments were smaller, and
 * does not take them at all, is passed over. segment_count: none does. */
size_t commitlog_segment_for(const struct commitlog *log, uint64_t size);
/* Ends the current segment, if the next one is there. */
bool commitlog_roll(struct commitlog *log);
/* Runs jobs of either kind on this thread until none is left, or until `ahead` bytes are prepared. */
enum status commitlog_flush_inline(struct commitlog *log, struct errinfo *err) MUST_USE;
enum status commitlog_prepare_inline(struct commitlog *log, uint64_t ahead, struct errinfo *err) MUST_USE;
/* Adds an open segment at the end of the table. */
enum status commitlog_add_segment(struct commitlog *log, const struct segment *segment, struct errinfo *err) MUST_USE;

#endif
