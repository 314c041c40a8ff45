/* The key index's thread: turns (key_index_internal.h), and pauses until there is more to read or somebody searches. */
#include "broker/projections/key_index_internal.h"

#include <signal.h>
#include <string.h>
#include <time.h>

/* True: stop. */
static bool wait_for_work(struct key_index *index, int64_t ms)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += ms % 1000 * 1000000;
	until.tv_sec += ms / 1000 + until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	pthread_mutex_lock(&index->lock);
	if (ms > 0 && !index->stopping && index->searches == NULL)
		(void)pthread_cond_timedwait(&index->wake, &index->lock, &until);
	bool stop = index->stopping;
	pthread_mutex_unlock(&index->lock);
	return stop;
}

static void *run_thread(void *context)
{
	struct key_index *index = context;
	int64_t pause_ms = 0;

	while (!wait_for_work(index, pause_ms))
		pause_ms = key_index_turn(index);
	return NULL;
}

enum status key_index_start(const struct vfs *vfs, const char *root, uint64_t durable, struct key_index **out,
			    struct errinfo *err)
{
	struct key_index *index;
	sigset_t all, old;
	enum status status = key_index_open(vfs, root, KEY_INDEX_RUN, &index, err);

	if (status != ST_OK)
		return status;
	atomic_store(&index->durable, durable);
	/* Signals are the loop thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = pthread_create(&index->thread, NULL, run_thread, index);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failure != 0) {
		key_index_close(index);
		return errinfo_set(err, ST_NOMEM, "key index: thread: %s", strerror(failure));
	}
	index->has_thread = true;
	*out = index;
	return ST_OK;
}

void key_index_advance(struct key_index *index, uint64_t durable, uint64_t log_start)
{
	if (index == NULL)
		return;
	atomic_store_explicit(&index->durable, durable, memory_order_release);
	atomic_store_explicit(&index->log_start, log_start, memory_order_relaxed);
}

void key_index_search(struct key_index *index, struct key_search *search)
{
	pthread_mutex_lock(&index->lock);
	key_index_queue(index, search);
	pthread_cond_signal(&index->wake);
	pthread_mutex_unlock(&index->lock);
}

void key_index_stop(struct key_index *index)
{
	if (index == NULL)
		return;
	pthread_mutex_lock(&index->lock);
	index->stopping = true;
	pthread_cond_signal(&index->wake);
	pthread_mutex_unlock(&index->lock);
	if (index->has_thread)
		pthread_join(index->thread, NULL);
	key_index_close(index);
}
