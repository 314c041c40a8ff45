/* The only code that changes recorded state: what does a record of the log do?
 *
 * Called with each record right after it was appended, and with every record of the log at start. Everything that a
 * record needs is inside it, so the same records give the same state. Before a record is appended, apply_reserve_*
 * makes room, so that applying it cannot fail half-way; in replay, where nothing is reserved, apply does it itself.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_APPLY_H
#define ESCROW_CORE_APPLY_H

#include "broker/core/state.h"
#include "lib/record/record_message.h"
#include "lib/record/record_settings.h"

/* A replayed record. ST_CORRUPT names what contradicts the state. */
enum status core_apply(struct core *core, const struct log_record *record, struct errinfo *err) MUST_USE;

/* Of a record from before the snapshot, whose effects are known but for the index entries: puts those. */
enum status apply_index_only(struct core *core, const struct log_record *record, struct errinfo *err) MUST_USE;

/* Room for what the record will need. ST_NOMEM, ST_FULL, ST_INVALID with a remark. */
enum status apply_reserve_message(struct core *core, struct topic *topic, const struct record_message *r,
				  struct queue **queue_out, struct errinfo *err) MUST_USE;
enum status apply_reserve_half(struct core *core, uint32_t group_id, struct errinfo *err) MUST_USE;
enum status apply_reserve_decision(struct core *core, struct topic *topic, const struct record_decision *r,
				   struct queue **queue_out, struct errinfo *err) MUST_USE;

enum status apply_reserve_deliver(struct core *core, const struct delayed *entry, struct queue **queue_out,
				  struct errinfo *err) MUST_USE;

/* Where a record is: its own offset, its size in the log. */
struct placed {
	uint64_t offset;
	uint32_t size;
};

enum status apply_message(struct core *core, const struct placed *at, const struct record_message *r,
			  struct errinfo *err) MUST_USE;
enum status apply_half(struct core *core, const struct placed *at, const struct record_half *r,
		       struct errinfo *err) MUST_USE;
enum status apply_decision(struct core *core, const struct placed *at, const struct record_decision *r,
			   struct errinfo *err) MUST_USE;
enum status apply_deliver(struct core *core, const struct placed *at, const struct record_deliver *r,
			  struct errinfo *err) MUST_USE;
enum status apply_timer_cancel(struct core *core, const struct placed *at, const struct record_timer_cancel *r,
			       struct errinfo *err) MUST_USE;
enum status apply_topic(struct core *core, const struct placed *at, const struct record_topic *r,
			struct errinfo *err) MUST_USE;
enum status apply_group(struct core *core, const struct record_group *r, struct errinfo *err) MUST_USE;
enum status apply_offset(struct core *core, const struct record_offset *r, struct errinfo *err) MUST_USE;
/* The state of an entry that a carried body belongs to is moved along, except of delayed messages while serving: their
 * entry is at hand there (apply_move_delayed). */
enum status apply_carry(struct core *core, const struct placed *at, const struct record_carry *r,
			struct errinfo *err) MUST_USE;
void apply_move_delayed(struct core *core, const struct delayed *entry, uint64_t carry_offset);
/* Out of those that wait: it was delivered or recalled. */
void apply_forget_delayed(struct core *core, const struct delayed *entry);
enum status apply_pop(struct core *core, const struct record_pop *r, struct errinfo *err) MUST_USE;
enum status apply_check(struct core *core, const struct record_check *r, struct errinfo *err) MUST_USE;

/* Where a message lies in its record: it is the last part of the payload. */
uint16_t apply_message_delta(size_t payload_size, size_t message_size);

/* The index entries that a record at `at` makes, while serving, in replay and when a lost index is made again. */
struct cq_entry entry_of_message(const struct placed *at, const struct record_message *r);
struct cq_entry entry_of_decision(const struct placed *at, const struct record_decision *r);
struct cq_entry entry_of_deliver(const struct placed *at, const struct record_deliver *r);
struct half_entry half_entry_of_half(const struct placed *at);
struct half_entry half_entry_of_decision(const struct placed *at, const struct record_decision *r);

/* What a consume-queue entry's `flags` hold: where the message starts in its body record, and whether that is a half. */
enum { ENTRY_DELTA_MASK = 0xFFFF, ENTRY_TRANSACTIONAL = 0x10000 };
/* How much further back a message lies in a CARRY record than in its first one; and where that names the first one, from
 * the start of its payload. */
enum { CARRY_HEAD_SIZE = 15, CARRY_ORIGIN_AT = 2 };

#endif
