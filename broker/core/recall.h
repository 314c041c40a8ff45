/* Taking back a message that waits for its time.
 *
 * The sender of a timer message gets a handle (lib/wire/recall_handle.h). Whoever shows it before the message is due gets it
 * taken out by a TIMER_CANCEL record; the answer waits for that record. What is not there any more was recalled before (or
 * never sent), and says so with the same success: a recall can be repeated. A handle whose time has come is refused, for the
 * message may have been delivered.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_RECALL_H
#define ESCROW_CORE_RECALL_H

#include "broker/core/core.h"

struct recall_request {
	struct span topic;
	struct span handle;
	struct span client_id;
};

enum { RECALL_KEY_MAX = 256 };

/* RECALL_MESSAGE. *key_out is the message's UNIQ_KEY, with a NUL, on ST_OK. */
enum status core_recall(struct core *core, const struct recall_request *request, char key_out[RECALL_KEY_MAX],
			struct outcome *outcome) MUST_USE;
/* Takes out all that wait under this name and whose TIMER_OUT_MS is `out_ms`; *count_out: how many. */
enum status recall_named(struct core *core, struct span topic, struct span unique_key, int64_t out_ms, struct span client_id,
			 uint32_t *count_out, struct outcome *outcome) MUST_USE;

/* How clients before 5.4 recall: by a message for the same topic and time with the property TIMER_DEL_UNIQKEY, which is
 * never stored. `wanted` is that message's time. */
struct wanted_time;
enum status recall_by_message(struct core *core, struct span topic, struct span del_key, const struct wanted_time *wanted,
			      struct span client_id, struct outcome *outcome) MUST_USE;

/* --- for apply ------------------------------------------------------------------------------------------- */

/* Under which struct delayed is found; never 0. */
uint32_t recall_hash(const struct core *core, struct span topic, struct span unique_key);
/* The same of a stored message; 0 if it is not a timer's. */
uint32_t recall_hash_of_message(const struct core *core, struct span topic, struct span message);

#endif
