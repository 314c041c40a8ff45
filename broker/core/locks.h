/* Which consumer owns a queue, when its group wants each queue's messages in order?
 *
 * A client locks the queues that it was given and renews that; a lock that was not renewed for LOCK_LIFE_MS is anybody's.
 * As in RocketMQ a closed connection does not free its locks: the client may still be at work on what it pulled.
 * Soft state, not recorded: after a start the first to ask gets the lock. Bounded by `lock_max`.
 * Threads: the loop thread. */
#ifndef ESCROW_CORE_LOCKS_H
#define ESCROW_CORE_LOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/bytes.h"
#include "lib/base/status.h"

struct core;
struct locks;

enum { LOCK_LIFE_MS = 60 * 1000, LOCK_CLIENT_ID_MAX = 255 };

struct lock_key {
	uint32_t group_id, topic_id, queue_id;
};

struct locks *locks_create(size_t lock_max);
void locks_destroy(struct locks *locks);
/* Takes or renews. ST_BUSY: another client's. ST_FULL, ST_NOMEM; ST_INVALID: a client id that is empty or too long. */
enum status locks_take(struct locks *locks, const struct lock_key *key, struct span client_id, int64_t now_mono_ms) MUST_USE;
/* Only the owner's. */
void locks_release(struct locks *locks, const struct lock_key *key, struct span client_id);
/* Does some client of the group own a queue now? Such a group consumes in order. */
bool locks_has_any(const struct locks *locks, uint32_t group_id, int64_t now_mono_ms);
/* Forgets what nobody renewed. */
void locks_expire(struct locks *locks, int64_t now_mono_ms);

/* --- requests --------------------------------------------------------------------------------------------------------- */
/* LOCK_BATCH_MQ: true when the queue is `client_id`'s now. A topic that this broker does not have cannot be locked. */
bool core_lock_queue(struct core *core, struct span group, struct span client_id, struct span topic, int32_t queue_id);
/* UNLOCK_BATCH_MQ. */
void core_unlock_queue(struct core *core, struct span group, struct span client_id, struct span topic, int32_t queue_id);

#endif
