/* The projector's thread: runs its turns, sleeps between them, is woken, is stopped. See oplog_projector.h. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "broker/projections/oplog_projector_internal.h"
#include "broker/projections/oplog_schema.h"
#include "lib/base/clock.h"
#include "lib/base/logging.h"

enum { LINGER_MS = 20 }; /* After a wake-up, so that a batch is worth its commit. */

static int64_t now_mono(void)
{
	return clock_mono_ms(clock_system());
}

/* --- sleeping ------------------------------------------------------------------------------------------------- */

static void wait_for_wake(struct oplog_projector *p, int64_t timeout_ms)
{
	struct pollfd ready = { p->wake_fd, POLLIN, 0 };
	uint64_t count;

	if (poll(&ready, 1, timeout_ms > INT32_MAX ? INT32_MAX : (int)timeout_ms) > 0 &&
	    read(p->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_warn("oplog", "eventfd cannot be read", "error=\"%s\"", strerror(errno));
}

/* Until the time is over or a stop is asked for. */
static void pause_for(struct oplog_projector *p, int64_t ms)
{
	int64_t until = now_mono() + ms, left;

	while (!atomic_load(&p->stopping) && (left = until - now_mono()) > 0)
		wait_for_wake(p, left);
}

/* Until the log grows, or the time is over, or a stop is asked for. */
static void sleep_until_advance(struct oplog_projector *p, int64_t timeout_ms)
{
	uint64_t position = logreader_position(p->reader);

	atomic_store(&p->sleeping, true);
	/* Looked at after `sleeping` is visible, so no advance can be missed. */
	if (atomic_load(&p->durable) <= position && !atomic_load(&p->stopping))
		wait_for_wake(p, timeout_ms);
	bool advanced = !atomic_exchange(&p->sleeping, false) || atomic_load(&p->durable) > position;
	if (advanced)
		pause_for(p, LINGER_MS);
}

/* --- the thread ----------------------------------------------------------------------------------------------- */

static void destroy(struct oplog_projector *p)
{
	if (p->wake_fd >= 0)
		close(p->wake_fd);
	oplog_projector_destroy(p);
}

static void *run(void *context)
{
	struct oplog_projector *p = context;
	struct errinfo err;
	enum status st = db_thread_begin(&err);

	if (st != ST_OK) {
		oplog_projector_stop_for_good(p, &err);
	} else {
		do {
			int64_t ms;

			st = oplog_projector_turn(p, &ms, &err);
			if (st == ST_OK && ms > 0)
				sleep_until_advance(p, ms);
			if (st != ST_OK && !oplog_projector_after_failure(p, st, &err, &ms))
				break;
			if (st != ST_OK)
				pause_for(p, ms);
		} while (!oplog_projector_may_end(p));
		oplog_writer_disconnect(p->writer);
		db_thread_end();
	}
	pthread_mutex_lock(&p->lock);
	p->finished = true;
	bool left_behind = p->left_behind;
	pthread_cond_signal(&p->finished_cond);
	pthread_mutex_unlock(&p->lock);
	if (left_behind)
		destroy(p);
	return NULL;
}

/* --- the loop thread's side ----------------------------------------------------------------------------------- */

enum status oplog_projector_start(const struct oplog_config *config, const char *store_root, const char *broker_name,
				  uint64_t durable, struct oplog_projector **out, struct errinfo *err)
{
	char password[CONFIG_TEXT_SIZE];
	sigset_t all, old;

	if (!oplog_database_name_valid(config->database))
		return errinfo_set(err, ST_INVALID,
				   "opLogMysqlDatabase=%s: must be 1 to 64 letters, digits and underscores", config->database);
	enum status st = oplog_password(config, password, err);
	explicit_bzero(password, sizeof(password));
	if (st != ST_OK)
		return st;
	struct oplog_projector *p = oplog_projector_create(config, store_root, broker_name, durable);
	if (p != NULL)
		p->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (p == NULL || p->wake_fd < 0) {
		if (p != NULL)
			destroy(p);
		return errinfo_set(err, ST_NOMEM, "op log projector: out of memory or file descriptors");
	}
	/* Signals are the loop thread's. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int failure = pthread_create(&p->thread, NULL, run, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (failure != 0) {
		destroy(p);
		return errinfo_set(err, ST_NOMEM, "op log projector: thread: %s", strerror(failure));
	}
	*out = p;
	return ST_OK;
}

static void wake(struct oplog_projector *p)
{
	uint64_t one = 1;

	/* EAGAIN: it is full of wake-ups already. */
	if (write(p->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		log_warn("oplog", "eventfd cannot be written", "error=\"%s\"", strerror(errno));
}

void oplog_projector_advance(struct oplog_projector *projector, uint64_t durable)
{
	if (projector == NULL)
		return;
	atomic_store(&projector->durable, durable);
	if (atomic_load(&projector->sleeping) && atomic_exchange(&projector->sleeping, false))
		wake(projector);
}

/* True when the thread has ended within the time; otherwise it is left behind, and *p is its own. */
static bool wait_or_leave(struct oplog_projector *p, int64_t timeout_ms)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&p->lock);
	while (!p->finished && pthread_cond_timedwait(&p->finished_cond, &p->lock, &until) == 0)
		;
	bool finished = p->finished;
	p->left_behind = !finished;
	if (!finished)
		pthread_detach(p->thread);
	pthread_mutex_unlock(&p->lock);
	return finished;
}

void oplog_projector_stop(struct oplog_projector *projector, int64_t grace_ms)
{
	if (projector == NULL)
		return;
	atomic_store(&projector->stop_until_ms, now_mono() + grace_ms);
	atomic_store(&projector->stopping, true);
	wake(projector);
	/* A little more than the grace, so that a healthy thread that uses it up is still joined. */
	if (!wait_or_leave(projector, grace_ms + 500)) {
		log_warn("oplog", "MySQL does not answer, leaving the op log as it is; the next start goes on from its cursor",
			 NULL);
		return;
	}
	pthread_join(projector->thread, NULL);
	destroy(projector);
}

void oplog_projector_status(struct oplog_projector *projector, struct oplog_status *out)
{
	*out = (struct oplog_status){ 0 };
	if (projector == NULL)
		return;
	pthread_mutex_lock(&projector->lock);
	*out = projector->status;
	pthread_mutex_unlock(&projector->lock);
	out->durable = atomic_load(&projector->durable);
}
