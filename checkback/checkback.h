/* The check-back worker: which undecided transaction is to be asked about, when, and which producer?
 *
 * Pure: events and times in, calls of `struct checkback_effects` out; it knows neither sockets nor files. The entries
 * are those of the core's pending table; each is in exactly one list here (checkback.c says which).
 *
 * - A transaction's first check is due `transaction_timeout_ms` (or its own immunity) after it was stored. Default
 *   deadlines ascend with the half queue, so they wait in one line and a normal transaction costs no timer.
 * - Past its deadline it is *in doubt* and waits in its group's lines until a producer of the group has room; the oldest
 *   half goes first. A group whose first producer returns is asked at once about all in doubt, about those that were
 *   backing off as soon as one check interval has passed since their last answer, never about younger ones. While no
 *   producer is there, they cost nothing.
 * - Asked is the connection that sent the half first, then others. No answer by `answer_timeout_ms`: another one, not
 *   counted; who let a question time out comes last until it answers one. The connection is gone, or reads nothing: another
 *   one at once.
 * - UNKNOWN is counted and backs off: check_interval_ms for the first three answers, then doubling up to eight times.
 *   `check_max` UNKNOWNs: the effect `exhausted` (the policy's turn). No two of them are counted within one check
 *   interval, however connections come and go: that is no sooner than (check_max - 1) intervals after the first.
 * - Each connection has a window of questions under way: `window_start`, one more per answer up to `window_max`, halved
 *   per time-out down to `window_min`, because the Java client drops what exceeds its queue of 2,000.
 * - Groups take turns by bytes (deficit round robin), within `bytes_per_second` over all.
 *
 * Threads: the loop thread. */
#ifndef ESCROW_CHECKBACK_H
#define ESCROW_CHECKBACK_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/txn/pending.h"

enum checkback_policy { POLICY_PARK, POLICY_ROLLBACK, POLICY_COMMIT };

struct checkback_config {
	int64_t transaction_timeout_ms;
	int64_t check_interval_ms;
	int64_t answer_timeout_ms;
	uint32_t check_max;
	enum checkback_policy policy;   /* For the core's use in `exhausted`. */
	uint32_t window_min, window_start, window_max; /* Questions per connection. */
	uint64_t bytes_per_second;      /* Of half messages sent along; 0 = no limit. */
};
/* RocketMQ's times (6 s, 30 s, 15 checks), window 128 (16..1024), 64 MiB/s, park. */
struct checkback_config checkback_config_default(void);

struct checkback_effects {
	void *context;
	/* Ask this connection. False: not possible now (its output is full, the body is being read from disk): tried again
	 * 100 ms later, not counted. entry->attempts is raised after it returns true. May call checkback_producer_gone,
	 * nothing else of this module. */
	bool (*ask)(void *context, struct pending *entry, uint64_t conn_id);
	/* check_max answers said UNKNOWN: decide by policy (and call checkback_closed). If that fails, it is called
	 * again later. */
	void (*exhausted)(void *context, struct pending *entry);
	/* Does this connection leave so much unread that it is to be asked nothing? Others are, then. */
	bool (*full)(void *context, uint64_t conn_id);
};

struct checkback;

/* `table` outlives it. NULL when out of memory. */
struct checkback *checkback_create(const struct checkback_config *config, struct pending_table *table,
				   const struct checkback_effects *effects, int64_t now_mono_ms);
/* Other times, limit and policy from now on. What waits already keeps its deadline. */
void checkback_reconfigure(struct checkback *checkback, const struct checkback_config *config);
void checkback_destroy(struct checkback *checkback);

/* Room for this group, so that the events below cannot fail. ST_NOMEM. */
enum status checkback_reserve(struct checkback *checkback, uint32_t group_id) MUST_USE;

/* --- events ------------------------------------------------------------------------------------------ */

/* A half was stored or resumed (or is found open at start): next check in `delay_ms`. One that was asked about before the
 * start (entry->attempts) is in doubt from now on. */
void checkback_opened(struct checkback *checkback, struct pending *entry, int64_t delay_ms, int64_t now_mono_ms);
/* It was decided or parked: forget it. Call before it leaves the pending table. */
void checkback_closed(struct checkback *checkback, struct pending *entry);
/* Would an UNKNOWN be news? Not for one that rests after another: several questions about it may be under way, over
 * connections that are gone, and their answers are one. */
bool checkback_awaits_answer(const struct pending *entry);
/* An UNKNOWN arrived as the answer to a check, in time or late. If it was awaited, entry->answered has been raised by the
 * caller; else the deadline that the entry has stands. May call `exhausted`. */
void checkback_answered_unknown(struct checkback *checkback, struct pending *entry, int64_t now_mono_ms);
/* A heartbeat shows a producer of the group; known ones are fine. ST_NOMEM: not known yet, the next one tries again. */
enum status checkback_producer_seen(struct checkback *checkback, uint32_t group_id, uint64_t conn_id) MUST_USE;
void checkback_producer_gone(struct checkback *checkback, uint32_t group_id, uint64_t conn_id);
/* Time passes: moves what is due. Then call checkback_dispatch. */
void checkback_tick(struct checkback *checkback, int64_t now_mono_ms);
/* Asks as many as windows and budget allow. Cheap when nobody waits. */
void checkback_dispatch(struct checkback *checkback, int64_t now_mono_ms);

/* How long until this entry is to be looked at if nothing happens; 0 for what is due or being asked about. */
int64_t checkback_wait_ms(const struct pending *entry, int64_t now_mono_ms);

/* Past their deadline and undecided, asked or not. */
uint64_t checkback_in_doubt(const struct checkback *checkback);
/* The wait after `answered` UNKNOWNs. */
int64_t checkback_backoff_ms(const struct checkback_config *config, uint32_t answered);

#endif
