#include "client-sdk/src/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct pool_job *head;
	struct pool_job **tail;
	size_t waiting;
	bool stopping;
	struct pool_config config;
	int started;
	pthread_t threads[];
};

static struct pool_job *take(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->head == NULL && !pool->stopping)
		pthread_cond_wait(&pool->work, &pool->lock);
	struct pool_job *job = pool->stopping ? NULL : pool->head;
	if (job != NULL) {
		pool->head = job->next;
		if (pool->head == NULL)
			pool->tail = &pool->head;
		pool->waiting--;
	}
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *thread_main(void *argument)
{
	struct pool *pool = argument;
	const struct pool_config *config = &pool->config;
	void *thread_context = config->thread_begin == NULL ? NULL : config->thread_begin(config->context);
	struct pool_job *job;

	while ((job = take(pool)) != NULL)
		job->run(job, thread_context);
	if (config->thread_end != NULL)
		config->thread_end(config->context, thread_context);
	return NULL;
}

enum status pool_create(const struct pool_config *config, struct pool **out, struct errinfo *err)
{
	struct pool *pool = calloc(1, sizeof(*pool) + (size_t)config->threads * sizeof(pthread_t));
	sigset_t all, old;

	if (pool == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for a thread pool");
	pool->config = *config;
	pool->tail = &pool->head;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	/* Signals are the application's: its own threads take them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int error = 0;
	for (int i = 0; i < config->threads && error == 0; i++) {
		error = pthread_create(&pool->threads[i], NULL, thread_main, pool);
		if (error == 0) {
			pool->started++;
			pthread_setname_np(pool->threads[i], config->name);
		}
	}
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (error != 0) {
		pool_destroy(pool);
		return errinfo_set(err, ST_NOMEM, "start thread %s: %s", config->name, strerror(error));
	}
	*out = pool;
	return ST_OK;
}

bool pool_submit(struct pool *pool, struct pool_job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool taken = !pool->stopping && pool->waiting < pool->config.queue_max;
	if (taken) {
		job->next = NULL;
		*pool->tail = job;
		pool->tail = &job->next;
		pool->waiting++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return taken;
}

void pool_stop(struct pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	struct pool_job *left = pool->head;
	pool->head = NULL;
	pool->tail = &pool->head;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (; pool->started > 0; pool->started--)
		pthread_join(pool->threads[pool->started - 1], NULL);
	for (struct pool_job *next; left != NULL; left = next) {
		next = left->next;
		left->discard(left);
	}
}

void pool_destroy(struct pool *pool)
{
	if (pool == NULL)
		return;
	pool_stop(pool);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool);
}
