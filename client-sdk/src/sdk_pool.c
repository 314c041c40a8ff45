/* See sdk_pool.h. */
#include "client-sdk/src/sdk_pool.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct sdk_pool {
	struct sdk_pool_config config;
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct sdk_job *head;
	struct sdk_job **tail;
	size_t queued;
	bool ending;
	int thread_count;
	pthread_t *threads;
};

static struct sdk_job *next_job(struct sdk_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	while (pool->head == NULL && !pool->ending)
		pthread_cond_wait(&pool->work, &pool->lock);
	struct sdk_job *job = pool->head;
	if (job != NULL) {
		pool->head = job->next;
		if (pool->head == NULL)
			pool->tail = &pool->head;
		pool->queued--;
	}
	pthread_mutex_unlock(&pool->lock);
	return job;
}

static void *thread_main(void *context)
{
	struct sdk_pool *pool = context;
	void *state = pool->config.thread_begin == NULL ? NULL : pool->config.thread_begin(pool->config.context);
	struct sdk_job *job;

	while ((job = next_job(pool)) != NULL)
		job->run(job, state);
	if (pool->config.thread_end != NULL)
		pool->config.thread_end(pool->config.context, state);
	return NULL;
}

enum status sdk_pool_create(const struct sdk_pool_config *config, struct sdk_pool **out, struct errinfo *err)
{
	struct sdk_pool *pool = calloc(1, sizeof(*pool));

	if (pool != NULL)
		pool->threads = calloc((size_t)config->threads, sizeof(*pool->threads));
	if (pool == NULL || pool->threads == NULL) {
		free(pool);
		return errinfo_set(err, ST_NOMEM, "no memory for a pool of threads");
	}
	pool->config = *config;
	pool->tail = &pool->head;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->work, NULL);
	for (; pool->thread_count < config->threads; pool->thread_count++) {
		int error = pthread_create(&pool->threads[pool->thread_count], NULL, thread_main, pool);

		if (error != 0) {
			sdk_pool_destroy(pool);
			return errinfo_set(err, ST_NOMEM, "start a thread of the pool: %s", strerror(error));
		}
	}
	*out = pool;
	return ST_OK;
}

bool sdk_pool_submit(struct sdk_pool *pool, struct sdk_job *job)
{
	pthread_mutex_lock(&pool->lock);
	bool accepted = !pool->ending && pool->queued < pool->config.queue_max;
	if (accepted) {
		job->next = NULL;
		*pool->tail = job;
		pool->tail = &job->next;
		pool->queued++;
		pthread_cond_signal(&pool->work);
	}
	pthread_mutex_unlock(&pool->lock);
	return accepted;
}

void sdk_pool_destroy(struct sdk_pool *pool)
{
	if (pool == NULL)
		return;
	pthread_mutex_lock(&pool->lock);
	pool->ending = true;
	pthread_cond_broadcast(&pool->work);
	pthread_mutex_unlock(&pool->lock);
	for (int i = 0; i < pool->thread_count; i++)
		pthread_join(pool->threads[i], NULL);
	pthread_cond_destroy(&pool->work);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}
