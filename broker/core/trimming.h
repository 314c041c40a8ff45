/* Which index entries are of the past?
 *
 * Queues hide what lies before the log's start, what is older than their topic keeps it, and at their beginning what was given up;
 * the half index forgets halves that nobody may ask for. A few queues and halves each tick; a queue that is asked for, at once.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_TRIMMING_H
#define ESCROW_CORE_TRIMMING_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct core;
struct cq_entry;
struct queue;
struct topic;

struct trimming {
	struct topic *topic;     /* Next to be looked at; NULL: a new round begins. */
	uint32_t queue;
	uint64_t oldest_open;    /* Every half before this one is decided and of the past. */
	uint64_t halves_looked;  /* Pages of the half index before this one were looked at for halves of the past. */
};

void trimming_tick(struct core *core);
/* Past its time: its body went with an older segment, before the record that names it. Nobody can read it. */
bool trimming_is_given_up(const struct core *core, const struct cq_entry *entry);
/* The lowest queue offset that consumers may still read; entries of dropped segments are trimmed on the way. ST_AGAIN: an
 * index page must be read first; *min_out is then what is known so far. ST_CORRUPT: an entry on the way is damaged. `err` may
 * be NULL. */
enum status trimming_queue_min(struct core *core, struct queue *queue, uint64_t *min_out, struct errinfo *err) MUST_USE;

#endif
