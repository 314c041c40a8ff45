#include "lib/net/worker.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/base/owner.h"

struct worker {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	struct letter *head;
	struct letter **tail;
	bool stopping;
	struct mailbox *mailbox;
};

static void deliver(struct letter *letter)
{
	struct work *work = OWNER(struct work, letter, letter);

	work->done(work);
}

/* The next job, or NULL when it is time to end. */
static struct work *next_job(struct worker *worker)
{
	pthread_mutex_lock(&worker->lock);
	while (worker->head == NULL && !worker->stopping)
		pthread_cond_wait(&worker->wake, &worker->lock);
	struct letter *letter = worker->head;
	if (letter != NULL) {
		worker->head = letter->next;
		if (worker->head == NULL)
			worker->tail = &worker->head;
	}
	pthread_mutex_unlock(&worker->lock);
	return letter == NULL ? NULL : OWNER(struct work, letter, letter);
}

static void *worker_main(void *context)
{
	struct worker *worker = context;
	struct work *work;

	while ((work = next_job(worker)) != NULL) {
		work->run(work);
		work->letter.deliver = deliver;
		mailbox_post(worker->mailbox, &work->letter);
	}
	return NULL;
}

enum status worker_create(const char *name, struct mailbox *mailbox, struct worker **out, struct errinfo *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	sigset_t all, before;

	if (worker == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for thread %s", name);
	worker->tail = &worker->head;
	worker->mailbox = mailbox;
	pthread_mutex_init(&worker->lock, NULL);
	pthread_cond_init(&worker->wake, NULL);
	/* Signals are the loop's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&worker->thread, NULL, worker_main, worker);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0) {
		free(worker);
		return errinfo_set(err, ST_NOMEM, "start thread %s: %s", name, strerror(error));
	}
	pthread_setname_np(worker->thread, name);
	*out = worker;
	return ST_OK;
}

void worker_submit(struct worker *worker, struct work *work)
{
	work->letter.next = NULL;
	pthread_mutex_lock(&worker->lock);
	*worker->tail = &work->letter;
	worker->tail = &work->letter.next;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
}

void worker_stop(struct worker *worker)
{
	if (worker == NULL)
		return;
	pthread_mutex_lock(&worker->lock);
	worker->stopping = true;
	pthread_cond_signal(&worker->wake);
	pthread_mutex_unlock(&worker->lock);
	pthread_join(worker->thread, NULL);
	pthread_cond_destroy(&worker->wake);
	pthread_mutex_destroy(&worker->lock);
	free(worker);
}
