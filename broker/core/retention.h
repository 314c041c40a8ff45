/* Which of the oldest segments may go, and what must be carried first?
 *
 * Knows of each segment when its youngest record was stored (by its own clock, retention_clock.h), what is open in it
 * (undecided halves, undelivered delayed messages) and the last record that refers to a body in it. The oldest segment goes
 * when it is past its time or the log is past its size, nothing open lies in it, the last record that refers into it is past
 * that too, and no snapshot, projection needs it. Open bodies in segments that have expired are carried to the log's end, some
 * each tick; for the log's size no more than others append. What cannot be carried is told, and keeps its segment.
 *
 * Beyond that: queues whose topic keeps its messages for a shorter time hide older ones, and index entries of what is
 * gone are trimmed, a few queues each tick.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_RETENTION_H
#define ESCROW_CORE_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/retention_clock.h"
#include "lib/base/status.h"

struct core;
struct queue;
struct topic;

struct retained_segment {
	uint64_t base, end;
	int64_t oldest_ms;    /* Store time of the first record that was seen since the start; 0: none yet. */
	int64_t newest_ms;    /* Of its youngest record, by the clock of retention; 0: none yet. */
	uint64_t last_ref;    /* Log offset of the last record that refers to a body in here from a later segment; 0: none. */
	uint64_t open_count;  /* Undecided halves and undelivered delayed messages whose body is here. */
	int64_t carry_after_ms; /* Monotonic: until then a body in here that cannot be carried is let be, and those beside it. */
	uint64_t closed_at;   /* Log offset behind the record that closed the last one: until it is durable, it may be lost. */
};

/* Since when (monotonic) carrying waits for the disk to give a body. */
struct carry_wait {
	uint64_t body_offset;
	int64_t since_ms;
};

struct retention {
	struct retained_segment *segments; /* As the log's, oldest first. */
	size_t count, capacity;
	struct retention_clock clock;
	uint64_t set_end;        /* What the log holds before here was stored by a clock that was set by set_ms since. */
	int64_t set_ms;          /* Negative: back. */
	uint64_t snapshot_pin;   /* From here on the older snapshot needs the log; 0: there are not two of them yet. */
	uint64_t outer_pin;      /* From here on a projection does; UINT64_MAX: none. */
	uint64_t carried_count;  /* CARRY records written since the start. */
	uint64_t left_count;     /* Times that a body could not be carried. */
	uint64_t seen_end;       /* Of the log, after the last tick: what comes behind, others have appended. */
	int64_t credit;          /* Bytes that may be carried because the log is past its size. */
	int64_t warn_after_ms;   /* Monotonic: when to say again that this is not enough; 0: not said yet. */
	uint32_t carry_cursor;   /* Where the walk over open halves stands, ... */
	size_t carry_delay_cursor; /* ... and over delayed messages. */
	struct carry_wait half_wait, delayed_wait;
	struct topic *trim_topic; /* Next to be looked at. */
	uint32_t trim_queue;
	uint64_t oldest_open;    /* Every half before this one is decided and of the past. */
	uint64_t halves_looked;  /* Pages of the half index before this one were looked at for halves of the past. */
};

void retention_deinit(struct retention *retention);
/* Takes over the log's segments; before anything is applied. ST_NOMEM. */
enum status retention_open(struct core *core) MUST_USE;
/* All is applied that the log holds: the broker begins to serve. */
void retention_start(struct core *core);

/* --- for apply: what the records say ------------------------------------------------------------------------------- */
void retention_note_record(struct core *core, uint64_t offset, int64_t when_ms);
void retention_note_reference(struct core *core, uint64_t body_offset, uint64_t by_offset);
void retention_note_open(struct core *core, uint64_t body_offset);
void retention_note_closed(struct core *core, uint64_t body_offset);

/* --- while serving -------------------------------------------------------------------------------------------------- */
/* Lets go what may go, carries, trims; a little each time. */
void retention_tick(struct core *core);
/* The lowest queue offset that consumers may still read; entries of dropped segments are trimmed on the way. ST_AGAIN: an
 * index page must be read first; *min_out is then what is known so far. ST_CORRUPT: an entry on the way is damaged. `err` may
 * be NULL. */
enum status retention_queue_min(struct core *core, struct queue *queue, uint64_t *min_out, struct errinfo *err) MUST_USE;

#endif
