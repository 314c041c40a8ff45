/* Threads for the application's callbacks, which may block: a bounded queue of jobs, a fixed number of threads.
 *
 * A job is embedded in what it works on. `run` is called on a thread of the pool; what it does with the job afterwards is
 * its business (free it, post it back to the loop).
 * Threads: submit any; create and destroy one. */
#ifndef ESCROW_SDK_POOL_H
#define ESCROW_SDK_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/status.h"

struct sdk_pool;

struct sdk_job {
	struct sdk_job *next;
	/* `thread_state` is what thread_begin returned on this thread. */
	void (*run)(struct sdk_job *job, void *thread_state);
};

struct sdk_pool_config {
	int threads;
	size_t queue_max;
	void *context;
	/* On each thread, first and last. May be NULL. */
	void *(*thread_begin)(void *context);
	void (*thread_end)(void *context, void *thread_state);
};

enum status sdk_pool_create(const struct sdk_pool_config *config, struct sdk_pool **out, struct errinfo *err) MUST_USE;
/* False: the queue is full, or the pool is ending; the job stays the caller's. */
bool sdk_pool_submit(struct sdk_pool *pool, struct sdk_job *job) MUST_USE;
/* No more jobs are accepted; those queued still run. Joins the threads. NULL is allowed. */
void sdk_pool_destroy(struct sdk_pool *pool);

#endif
