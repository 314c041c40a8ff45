/* A broker's store without threads or sockets: log, index, snapshots and core over any file layer, on a clock moved by
 * hand. The driver says when each piece of disk work is taken, run and reported, so it can stop in between.
 *
 * Requests are those of the core in short form. An accepted answer may leave once rig_committed() is at least its
 * wait_offset.
 * Threads: one. */
#ifndef ESCROW_TESTS_STORE_RIG_H
#define ESCROW_TESTS_STORE_RIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "broker/core/core.h"
#include "broker/core/snapshotter.h"
#include "broker/core/store.h"
#include "broker/core/transactions.h"
#include "lib/base/bytes.h"
#include "lib/base/clock.h"
#include "lib/log/commitlog.h"

enum { RIG_ASKS_MAX = 256, RIG_TEXT_SIZE = 256 };
#define RIG_START_WALL_MS 1700000000000 /* 2023-11-14T22:13:20Z */

struct rig_options {
	uint64_t segment_size; /* 0: the smallest. */
	uint64_t ring_size;    /* 0: the smallest. */
	uint64_t prepare_chunk; /* 0: 16 KiB. */
	bool async_flush;      /* Answers rest on what is written only. */
	uint64_t snapshot_bytes, retention_bytes; /* As in core_config; 0: never. */
};

enum rig_step { RIG_FLUSH_TAKE, RIG_FLUSH_RUN, RIG_FLUSH_DONE, RIG_PREPARE_TAKE, RIG_PREPARE_RUN, RIG_PREPARE_DONE, RIG_INDEX,
		RIG_SNAPSHOT_TAKE, RIG_SNAPSHOT_RUN, RIG_SNAPSHOT_DONE };

struct rig_ask { /* A check-back question. */
	uint64_t conn_id, half_queue_offset, half_offset;
};

struct rig {
	struct rig_options options;
	const struct vfs *vfs;
	struct clock_manual clock;
	struct store store;
	struct commitlog *log; /* The store's; NULL while stopped. */
	struct core *core;
	struct snapshotter *snapshotter;
	struct snapshot_job *snapshot; /* Taken. */
	bool flush_taken, flush_ran, prepare_taken, prepare_ran, snapshot_ran;
	struct log_flush_job flush;
	struct log_prepare_job prepare;
	struct rig_ask asks[RIG_ASKS_MAX];
	size_t ask_count;
	bool dead;             /* A failure that stops a broker; `failure` says which, `died_of` in which step. */
	struct errinfo failure;
	enum rig_step died_of;
	/* Called with the bounds of each run of sealed records that a flush job takes; may be NULL. */
	void (*sealed)(void *context, uint64_t from, uint64_t to);
	void *sealed_context;
	uint64_t sealed_end;
	struct buffer properties, pulled; /* Scratch. */
};

void rig_init(struct rig *rig, const struct rig_options *options, const struct vfs *vfs);
/* Ends the process, if it runs. */
void rig_deinit(struct rig *rig);
/* Opens everything, as a broker's start does. On failure nothing is held. */
enum status rig_start(struct rig *rig, struct errinfo *err) MUST_USE;
/* Ends the process: with `clean` as a broker stops, else at once, with jobs as they are. */
enum status rig_stop(struct rig *rig, bool clean, struct errinfo *err) MUST_USE;

/* --- disk work: each step does one thing, and false when there is nothing of the kind to do --- */
/* sync: of RIG_FLUSH_TAKE. */
bool rig_disk_step(struct rig *rig, enum rig_step step, bool sync);
/* A snapshot is begun at the next RIG_SNAPSHOT_TAKE, which moves it on a step each time. */
void rig_want_snapshot(struct rig *rig);
/* All of it, until what was appended is durable and no snapshot is under way. False when the rig has died of it. */
bool rig_settle(struct rig *rig);
/* Below this log offset the retention allows segments to go by now. */
uint64_t rig_expired(const struct rig *rig);
/* Answers that wait for less may leave. */
uint64_t rig_committed(const struct rig *rig);
/* Time passes: one tick of the core. */
void rig_advance(struct rig *rig, int64_t by_ms);

/* --- requests --- */
struct rig_answer {
	enum status status;   /* ST_AGAIN: nothing was changed, try again after disk work. */
	int32_t code;
	uint64_t wait_offset;
	uint64_t log_offset, queue_offset; /* Of a send. */
	int64_t recall_at_ms; /* Of a send with a timer. */
	uint32_t recalled;    /* Of a recall: how many were waiting. */
	char text[RIG_TEXT_SIZE];
};

struct rig_message {
	const char *topic, *key, *group;
	int32_t queue_id;
	int delay_level; /* 0: none; 1: 1 s, 2: 5 s, 3: 10 s */
	int64_t timer_ms; /* 0: none. */
	bool half;
	size_t body_size; /* The body is made of the key. */
	uint64_t conn_id;
};
struct rig_answer rig_send(struct rig *rig, const struct rig_message *message);

/* Takes back a message with a timer. */
struct rig_answer rig_recall(struct rig *rig, const char *topic, const char *key, int64_t recall_at_ms);

struct rig_end {
	const char *group;
	uint64_t half_queue_offset, half_offset;
	enum record_outcome outcome; /* 0: unknown. */
	bool from_check;
	uint64_t conn_id;
};
struct rig_answer rig_end(struct rig *rig, const struct rig_end *end);
struct rig_answer rig_operator(struct rig *rig, uint64_t half_offset, enum record_outcome asked);
struct rig_answer rig_offset(struct rig *rig, const char *group, const char *topic, int32_t queue_id, int64_t offset,
			     bool lasting);
struct rig_answer rig_put_topic(struct rig *rig, const char *name, uint32_t queues);
struct rig_answer rig_put_group(struct rig *rig, const char *name, int32_t retries);
/* A pull of up to 32 messages; queue_offset is where it ended. */
struct rig_answer rig_pull(struct rig *rig, const char *topic, uint32_t queue_id, uint64_t offset);

/* POP, by a group, of all queues of a topic. */
struct rig_pop {
	const char *group, *topic;
	uint32_t max;
	int64_t invisible_ms;
	bool order;
};
struct rig_handle { /* Of a message that was given out. */
	const char *group;
	char topic[40]; /* Perhaps a retry topic. */
	int32_t queue_id;
	int64_t offset, pop_ms;
	bool order;
	uint64_t wait_offset; /* Of the answer that gave it. */
};
/* *count_out: messages, at most RIG_POPPED_MAX. */
enum { RIG_POPPED_MAX = 8 };
struct rig_answer rig_pop(struct rig *rig, const struct rig_pop *pop, struct rig_handle out[RIG_POPPED_MAX], size_t *count_out);
struct rig_answer rig_ack(struct rig *rig, const struct rig_handle *handle);
/* It is its client's for so much longer; the handle becomes the new one. */
struct rig_answer rig_change_invisible(struct rig *rig, struct rig_handle *handle, int64_t invisible_ms);
struct rig_answer rig_pop_mode(struct rig *rig, const char *group, const char *topic, uint32_t shared_queues);
/* A heartbeat of a producer of this group. */
struct rig_answer rig_producer(struct rig *rig, const char *group, uint64_t conn_id);

#endif
