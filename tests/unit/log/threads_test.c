/* Jobs on other threads, as in the broker: one flusher, one preparer, two readers, on real files. Most useful under the
 * thread sanitizer. */
#include "tests/unit/log/log_fixture.h"

#include <pthread.h>

enum { RECORDS = 4000, READERS = 2 };

/* Runs one job at a time that the loop hands over. */
struct worker {
	pthread_t thread;
	pthread_mutex_t mutex;
	pthread_cond_t changed;
	void (*run)(void *job);
	void *job;
	enum { IDLE, GIVEN, DONE, STOPPED } state;
};

static void *worker_main(void *argument)
{
	struct worker *worker = argument;

	pthread_mutex_lock(&worker->mutex);
	while (worker->state != STOPPED) {
		if (worker->state != GIVEN) {
			pthread_cond_wait(&worker->changed, &worker->mutex);
			continue;
		}
		pthread_mutex_unlock(&worker->mutex);
		worker->run(worker->job);
		pthread_mutex_lock(&worker->mutex);
		worker->state = DONE;
		pthread_cond_signal(&worker->changed);
	}
	pthread_mutex_unlock(&worker->mutex);
	return NULL;
}

static void worker_start(struct worker *worker, void (*run)(void *), void *job)
{
	*worker = (struct worker){ .run = run, .job = job };
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->changed, NULL);
	CU_ASSERT_EQUAL_FATAL(pthread_create(&worker->thread, NULL, worker_main, worker), 0);
}

static void worker_give(struct worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	worker->state = GIVEN;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->mutex);
}

/* True when the job given is done (waits for it if `wait`); the worker is idle then. */
static bool worker_done(struct worker *worker, bool wait)
{
	bool done;

	pthread_mutex_lock(&worker->mutex);
	while (wait && worker->state == GIVEN)
		pthread_cond_wait(&worker->changed, &worker->mutex);
	done = worker->state == DONE;
	if (done)
		worker->state = IDLE;
	pthread_mutex_unlock(&worker->mutex);
	return done;
}

static void worker_stop(struct worker *worker)
{
	pthread_mutex_lock(&worker->mutex);
	worker->state = STOPPED;
	pthread_cond_signal(&worker->changed);
	pthread_mutex_unlock(&worker->mutex);
	pthread_join(worker->thread, NULL);
	pthread_mutex_destroy(&worker->mutex);
	pthread_cond_destroy(&worker->changed);
}

static void run_flush(void *job)
{
	log_flush_run(job);
}

static void run_prepare(void *job)
{
	log_prepare_run(job);
}

static void run_read(void *job)
{
	log_read_run(job);
}

struct reading {
	struct worker worker;
	struct log_read_job job;
	uint8_t data[8192];
	const struct noted *noted;
	bool out;
};

/* Takes back a finished read and gives the next one. */
static void read_one(struct commitlog *log, const struct history *h, struct reading *reading, uint64_t *random)
{
	if (reading->out) {
		if (!worker_done(&reading->worker, false))
			return;
		reading->out = false;
		commitlog_read_done(log, &reading->job);
		CU_ASSERT_EQUAL(reading->job.result, ST_OK);
	}
	if (h->count == 0)
		return;
	const struct noted *noted = &h->records[check_random(random) % h->count];
	if (noted->end > commitlog_written(log))
		return;
	CU_ASSERT_EQUAL(commitlog_prepare_read(log, noted->offset, noted->end - noted->offset, true, reading->data,
					       &reading->job, NULL), ST_OK);
	reading->out = true;
	worker_give(&reading->worker);
}

static void test_jobs_on_other_threads(void)
{
	char *dir = check_make_dir();
	struct commitlog_config config = small_config();
	struct history h = { 0 };
	struct worker flusher, preparer;
	static struct reading readings[READERS];
	struct log_flush_job flush_job;
	struct log_prepare_job prepare_job;
	struct commitlog *log = NULL;
	struct errinfo err = { 0 };
	bool flushing = false, preparing = false;
	uint64_t random = check_seed(21);

	config.root = dir;
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	worker_start(&flusher, run_flush, &flush_job);
	worker_start(&preparer, run_prepare, &prepare_job);
	for (int i = 0; i < READERS; i++)
		worker_start(&readings[i].worker, run_read, &readings[i].job);
	while (h.count < RECORDS) {
		bool full = !append(log, &h, LOG_MESSAGE, check_random(&random) % 900, (uint32_t)h.count);
		if (flushing && worker_done(&flusher, full && !preparing)) {
			CU_ASSERT_EQUAL(commitlog_flush_done(log, &flush_job, &err), ST_OK);
			flushing = false;
		}
		if (preparing && worker_done(&preparer, full && !flushing)) {
			CU_ASSERT_EQUAL(commitlog_prepare_done(log, &prepare_job, &err), ST_OK);
			preparing = false;
		}
		if (!flushing && commitlog_take_flush(log, true, &flush_job)) {
			flushing = true;
			worker_give(&flusher);
		}
		if (!preparing && commitlog_take_prepare(log, &prepare_job)) {
			preparing = true;
			worker_give(&preparer);
		}
		for (int i = 0; i < READERS; i++)
			read_one(log, &h, &readings[i], &random);
	}
	if (flushing && worker_done(&flusher, true))
		CU_ASSERT_EQUAL(commitlog_flush_done(log, &flush_job, &err), ST_OK);
	if (preparing && worker_done(&preparer, true))
		CU_ASSERT_EQUAL(commitlog_prepare_done(log, &prepare_job, &err), ST_OK);
	for (int i = 0; i < READERS; i++) {
		if (readings[i].out && worker_done(&readings[i].worker, true))
			CU_ASSERT_EQUAL(readings[i].job.result, ST_OK);
		worker_stop(&readings[i].worker);
	}
	worker_stop(&flusher);
	worker_stop(&preparer);
	CU_ASSERT_EQUAL(commitlog_close(log, true, &err), ST_OK);
	CU_ASSERT_EQUAL_FATAL(commitlog_open(&config, vfs_posix(), &log, &err), ST_OK);
	CU_ASSERT_EQUAL(replay_matches(log, &h), h.count);
	CU_ASSERT_EQUAL(commitlog_close(log, true, &err), ST_OK);
	history_free(&h);
	check_remove_dir(dir);
}

int main(void)
{
	static const struct check_test tests[] = { CHECK_TEST(test_jobs_on_other_threads) };

	return check_main("log threads", tests, 1);
}
