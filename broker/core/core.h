/* The broker's state and the one place where its parts meet.
 *
 * Pure: events come in as calls (a request, a tick, "the log is durable further", "a connection is gone"), effects go
 * out as records appended to the log and as calls of `struct core_effects`. The core reads no clock, file or socket;
 * time is what core_set_time said last. Every change of recorded state is *validate -> append record -> apply*; the
 * same core_apply serves recovery. A request's answer carries `wait_offset`: the shell sends it once the committed
 * watermark is at least that.
 *
 * Errors of a request are a RocketMQ response code and a remark (struct outcome); ST_AGAIN means "nothing was changed,
 * run the same request again later": a stored record must be read from disk first (core_take_cold_read), or the
 * log has no room at the moment.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_H
#define ESCROW_CORE_H

#include <stdbool.h>
#include <stdint.h>

#include "broker/core/core_config.h"
#include "broker/core/pull_request.h"
#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct commitlog;
struct core;
struct hold;
struct pop_wait;
struct pagefile;
struct store;
struct topic;

/* How a request went. On ST_OK `wait_offset` says when the answer may leave (0 = now). On any other status but
 * ST_AGAIN, `code` and err.text are the refusal, which may rest on a record too: `wait_offset` holds there as well. */
struct outcome {
	int32_t code; /* RocketMQ response code. */
	uint64_t wait_offset;
	struct errinfo err;
};

/* Refusals: fill *outcome and return a status that is neither ST_OK nor ST_AGAIN. */
enum status core_refuse(struct outcome *outcome, int32_t code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The same when outcome->err has its text already. */
enum status core_refuse_as(struct outcome *outcome, int32_t code);
/* Success; the answer leaves when `wait_offset` is committed. */
enum status core_accept(struct outcome *outcome, uint64_t wait_offset);
/* The same for what is so already: by a record that is at the log's end at the latest, and may not be durable yet. */
enum status core_accept_as_known(const struct core *core, struct outcome *outcome);

/* What the core asks of the shell. They may read from the core (core_pull, core_stored_half), not change it. */
struct core_effects {
	void *context;
	/* Ask this producer connection about the half message (CHECK_TRANSACTION_STATE). False: it cannot be asked now
	 * (gone, its output is full, the half must be read from disk first); the core asks again later. */
	bool (*ask)(void *context, uint64_t conn_id, uint64_t half_queue_offset, uint64_t half_offset);
	/* Tell a consumer that its group changed (NOTIFY_CONSUMER_IDS_CHANGED). */
	void (*notify_consumer)(void *context, uint64_t conn_id, struct span group);
	/* Answer a pull that waited; `expired` when its time is up. The hold is already unlinked; it is freed after. */
	void (*hold_ready)(void *context, const struct hold *hold, bool expired);
	/* Topics changed: register with the name servers soon. */
	void (*topics_changed)(void *context);
	/* Run a waiting POP again: there may be something for it, or its time is up. False: nothing was found, it waits on. */
	bool (*pop_ready)(void *context, const struct pop_wait *wait, bool expired);
	/* Has this connection so much to read that nothing should be asked of it? Others are, then. NULL: never. */
	bool (*full)(void *context, uint64_t conn_id);
};

/* A core over an opened store (store.h), with everything replayed, from its snapshot on if there is one: on return it
 * serves. The store's parts outlive it. */
enum status core_open(const struct core_config *config, const struct store *store, int64_t wall_ms, int64_t mono_ms,
		      const struct core_effects *effects, struct core **core_out, struct errinfo *err) MUST_USE;
void core_close(struct core *core);

/* How it is set up now. */
const struct core_config *core_configuration(const struct core *core);
/* Set up anew while it serves: core_config_take_changes says in what. */
void core_reconfigure(struct core *core, const struct core_config *config);

/* Both clocks, before the calls of a turn. Stored times never go back, even if the wall clock does. */
void core_set_time(struct core *core, int64_t wall_ms, int64_t mono_ms);
/* The monotonic time that core_set_time said last, and the wall clock's. */
int64_t core_now_ms(const struct core *core);
int64_t core_wall_ms(const struct core *core);
/* Timed work: due delays, check-backs, waiting pulls, silent members, dirty offsets. About each 10 ms. */
void core_tick(struct core *core);
/* End of a turn: sends off check-backs that became possible. Cheap when there is nothing. */
void core_turn_end(struct core *core);
/* The committed watermark may have moved: shows new entries to consumers and wakes waiting pulls. */
void core_committed(struct core *core);
/* What the shell knows of the disk: FULL refuses new messages and halves, while decisions, pulls and offsets go on. */
enum disk_level { DISK_OK, DISK_LOW, DISK_FULL };
void core_set_disk_level(struct core *core, enum disk_level level);
/* Can no more of the log be prepared at present? What is new and does not fit into what there is need not wait then. */
void core_set_log_stands(struct core *core, bool stands);
/* Bytes of prepared log that new messages leave to decisions, deliveries, checks, offsets and carrying (room.h). The shell keeps
 * that much prepared, and says FULL when no more than that can be. */
uint64_t core_reserved_bytes(const struct core *core);
/* From here on a projection still reads the log; UINT64_MAX: none does. */
void core_set_log_pin(struct core *core, uint64_t offset);

/* Up to here answers may be sent: durable, or written with ASYNC_FLUSH. */
uint64_t core_committed_offset(const struct core *core);
/* Answers every waiting pull as if its time were up (before stopping). */
void core_answer_holds(struct core *core);
/* Writes every dirty consumer offset to the log (before stopping). ST_AGAIN if the log has no room. */
enum status core_flush_offsets(struct core *core) MUST_USE;

/* Before a request is served: whatever an earlier one wanted read is forgotten. */
void core_begin_request(struct core *core);
/* After ST_AGAIN: the bytes of the log to read from disk before the request is run again; false if it waits for
 * room in the log instead. Clears the wish. */
bool core_take_cold_read(struct core *core, uint64_t *offset_out, uint32_t *size_out);
/* The same for an effect that failed with ST_AGAIN (ask): what it needs is read for its next try. */
void core_keep_cold_read(struct core *core);
/* After a tick: what the core wants to have read of its own accord, one after the other; false when there is no more. The
 * next ticks try again, whether it was read or not. */
bool core_take_own_read(struct core *core, uint64_t *offset_out, uint32_t *size_out);
/* After a request: a consumer that is behind will read the READ_AHEAD_SIZE bytes of the log at *offset_out soon. */
enum { READ_AHEAD_SIZE = 2 * 1024 * 1024 };
bool core_take_read_ahead(struct core *core, uint64_t *offset_out);

/* Counts for logs and metrics. */
struct core_stats {
	uint64_t half_count;
	uint64_t commit_count;
	uint64_t rollback_count;
	uint64_t refused_count;
	uint64_t resend_count;
	uint64_t message_count;
	uint64_t pulled_count;
	uint64_t check_count;
	uint64_t pending_now;  /* Undecided. */
	uint64_t in_doubt_now; /* Of those: past their first deadline. */
};
struct core_stats core_stats(const struct core *core);

#endif
