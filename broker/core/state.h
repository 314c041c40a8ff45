/* The core's insides, shared by the files of broker/core and by nothing else: the parts of the state, and small steps
 * that several operations need. Threads: the loop thread. */
#ifndef ESCROW_CORE_STATE_H
#define ESCROW_CORE_STATE_H

#include "broker/core/carrying.h"
#include "broker/core/core.h"
#include "broker/core/delays.h"
#include "broker/core/expression.h"
#include "broker/core/groups.h"
#include "broker/core/holds.h"
#include "broker/core/locks.h"
#include "broker/core/members.h"
#include "broker/core/names.h"
#include "broker/core/offsets.h"
#include "broker/core/pop_waits.h"
#include "broker/core/pops.h"
#include "broker/core/pull.h"
#include "broker/core/replay.h"
#include "broker/core/retention.h"
#include "broker/core/room.h"
#include "broker/core/statistics.h"
#include "broker/core/topics.h"
#include "broker/core/trimming.h"
#include "broker/core/visibility.h"
#include "broker/core/windows.h"
#include "broker/core/wishes.h"
#include "lib/base/hash.h"
#include "lib/base/logging.h"
#include "lib/index/half_index.h"
#include "lib/log/commitlog.h"
#include "lib/record/record_transaction.h"
#include "lib/txn/resends.h"
#include "lib/wire/codes.h"

/* BATCH_MESSAGES_MAX: the answer's header holds an id of each, at most 57 bytes with its comma, within FRAME_HEADER_MAX. */
enum { CHECK_BATCH_MAX = 256, CONFLICTS_PER_SECOND = 100, BATCH_MESSAGES_MAX = 4096,
       POP_EVENTS_MAX = 128, PULL_EXPRESSIONS = 64 /* A power of two. */ };

/* Of one POP request: what it finds. */
struct pop_scratch {
	struct buffer start_info, offset_info, order_info, body;
	struct record_pop events[POP_EVENTS_MAX];
	size_t event_count;
	uint32_t turn;         /* Which queue is first. */
	int64_t next_sweep_ms; /* Monotonic: for lapsed ones. */
};

struct core {
	struct core_config config;
	struct core_effects effects;
	struct commitlog *log;
	struct pagefile *files;

	/* Recorded: changed by core_apply only. */
	struct names *names;
	struct topics *topics;
	struct groups *groups;
	struct offsets *offsets;
	struct delays delays;
	struct pops pops;
	struct half_index halves;
	struct pending_table *pending;
	struct resends *resends;
	struct checkback *checkback;

	/* Soft. */
	struct members *members;
	struct holds holds;
	struct expression *pull_expressions[PULL_EXPRESSIONS]; /* That pulls carried lately; by their hash. */
	struct locks *locks;
	struct pop_waits pop_waits;
	struct statistics *statistics;
	uint32_t half_topic_id, schedule_topic_id; /* Under which it counts what is put aside. */
	struct visibility visibility;
	struct hash_key hash_key;
	enum disk_level disk_level;
	bool log_stands; /* No more of it can be prepared at present. */
	struct replay replay;
	struct retention retention;
	struct carrying carrying;
	struct trimming trimming;
	struct {
		uint32_t cursor;   /* Of a walk over the pending transactions, some each tick. */
		int64_t round_ms;  /* The oldest one's store time in this round, 0: none yet; in the last. */
		int64_t oldest_ms;
	} ages;

	int64_t wall_ms, mono_ms;
	int64_t store_time_ms;        /* The last stored time: never decreasing along the log. */
	int64_t next_offset_flush_ms; /* Monotonic, like the next two. */
	int64_t next_expire_ms;
	int64_t next_wait_sweep_ms;
	struct log_gate damage_gate;
	int64_t conflict_window_ms;
	uint32_t conflict_count;
	uint32_t conflict_suppressed;
	bool trace_topic_made;        /* Or refused. */
	uint32_t queue_turn;          /* Round robin for sends that leave the queue to us. */

	uint64_t wish_offset;         /* After ST_AGAIN: what to read from disk; size 0 = room in the log. */
	uint32_t wish_size;
	struct wishes wishes;         /* Of what the core does of its own accord. */
	uint64_t read_ahead;          /* Log offset of what consumers that are behind come to next; 0: nothing. */
	uint64_t wish_window;         /* Of the pull under way: a window that the page cache lacks; or NO_WINDOW. */

	struct record_check checks[CHECK_BATCH_MAX]; /* Events of this turn. */
	char check_clients[CHECK_BATCH_MAX][CLIENT_ID_MAX]; /* Their texts. */
	size_t check_count;

	struct buffer properties;     /* Scratch of one operation: the properties of the message being stored. */
	struct buffer record;         /* Scratch: a record read from the page cache. */
	struct buffer kept;           /* Scratch: a stored message that must outlive the next record. */
	struct buffer cold;           /* Scratch: bodies of a pull that came from the page cache one by one. */
	struct windows *windows;      /* Those that came many at once. */
	struct pull_item pull_items[PULL_MESSAGES_MAX];
	struct pop_scratch pop;
	uint64_t sent_offsets[BATCH_MESSAGES_MAX];
	struct core_stats stats;
};

/* The time to store now. */
int64_t core_store_time(struct core *core);

/* The record at `offset`; ST_AGAIN sets the wish. Valid until the next record is begun or read. */
enum status core_read_record(struct core *core, uint64_t offset, struct log_record *out, struct errinfo *err) MUST_USE;

/* After ST_AGAIN, for what the core does of its own accord: keeps the wish for the shell. False: there was none (room in the
 * log or an index page is waited for), or this kind of work has wished enough for now. */
bool core_keep_wish(struct core *core, enum wisher wisher);

/* What was stored as a MESSAGE or HALF, wherever it lies now. */
struct stored_body {
	unsigned kind;            /* LOG_MESSAGE or LOG_HALF. */
	uint64_t origin_offset;   /* Of the record that held it first. */
	struct span payload;      /* Of that record; valid until the next record is begun or read. */
	uint16_t payload_at;      /* From the start of the record that holds it now. */
};
/* The body in the MESSAGE, HALF or CARRY record at `body_offset`. Errors as core_read_record; ST_NOTFOUND: another record. */
enum status core_read_body(struct core *core, uint64_t body_offset, struct stored_body *out,
			   struct errinfo *err) MUST_USE;

/* A half message as stored. */
struct stored_half {
	struct record_half half;  /* Valid until the next record is begun or read. */
	uint16_t message_delta;   /* Of the message, from the start of the record that holds it. */
};
/* The half in the HALF or CARRY record at `body_offset`. Errors as core_read_record; ST_NOTFOUND: another record. */
enum status core_read_half(struct core *core, uint64_t body_offset, struct stored_half *out,
			   struct errinfo *err) MUST_USE;

/* What the half index says, put right for those that are open: its pages may be ahead of what a power cut has left of the
 * log. */
void core_correct_half(const struct core *core, uint64_t half_queue_offset, struct half_entry *half);

/* What a client was just told of a damaged store goes to the operator as well, some lines a second; other failures are passed over. */
void core_note_damage(struct core *core, enum status status, const struct errinfo *err);

/* A record just appended does not fit the state: a bug; aborts with the text. */
void core_state_broken(struct core *core, const struct errinfo *err);

/* The name under which a resend of a half is found. */
struct hash128 core_resend_name(const struct core *core, struct span group, struct span unique_key);

/* Checks the topic of a request that reads a queue. */
enum status core_find_queue(struct core *core, struct span topic_name, int32_t queue_id, struct topic **topic_out,
			    struct outcome *outcome) MUST_USE;

#endif
