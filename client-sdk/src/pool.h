/* Which threads run the application's callbacks? A fixed number of them on one bounded queue.
 *
 * A job is embedded in what it works on. Threads: pool_submit any; create and stop one thread. */
#ifndef ESCROW_SDK_POOL_H
#define ESCROW_SDK_POOL_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/base/status.h"

struct pool;

struct pool_job {
	struct pool_job *next;
	void (*run)(struct pool_job *job, void *thread_context);     /* On a thread of the pool. */
	void (*discard)(struct pool_job *job); /* Instead of run, when the pool stops first. */
};

struct pool_config {
	const char *name;   /* Of the threads, up to 15 characters. */
	int threads;
	size_t queue_max;   /* Jobs waiting. */
	/* Per thread, on that thread; either may be NULL. What begin returns is run's thread_context. */
	void *(*thread_begin)(void *context);
	void (*thread_end)(void *context, void *thread_context);
	void *context;
};

enum status pool_create(const struct pool_config *config, struct pool **out, struct errinfo *err) MUST_USE;
/* False: the queue is full or the pool is stopping; the job stays the caller's. */
bool pool_submit(struct pool *pool, struct pool_job *job) MUST_USE;
/* Finishes the running jobs, joins the threads, discards the waiting jobs; pool_submit refuses from now on. */
void pool_stop(struct pool *pool);
/* Stops and frees; nobody submits any more. NULL is allowed. */
void pool_destroy(struct pool *pool);

#endif
