/* lib/net's loop, mailbox and worker. */
#include "tests/unit/net/net_fixture.h"

#include <pthread.h>
#include <signal.h>

#include "lib/net/worker.h"

struct trace {
	struct loop *loop;
	char text[64];
	size_t size;
	int ticks;
};

static void trace_add(struct trace *t, char c)
{
	if (t->size < sizeof(t->text) - 1)
		t->text[t->size++] = c;
}

static void hook_a(void *context)
{
	trace_add(context, 'a');
}

static void hook_b(void *context)
{
	trace_add(context, 'b');
}

static void stop_loop(void *context)
{
	struct trace *t = context;

	trace_add(t, 's');
	loop_stop(t->loop);
}

static void test_hooks_run_in_order_after_the_events_of_a_turn(void)
{
	struct trace t = { .loop = loop_create() };
	struct loop_timer timer = { 0 };

	CU_ASSERT_PTR_NOT_NULL_FATAL(t.loop);
	loop_add_turn_end(t.loop, hook_a, &t);
	loop_add_turn_end(t.loop, hook_b, &t);
	CU_ASSERT_EQUAL(loop_timer_start(t.loop, &timer, 0, false, stop_loop, &t), ST_OK);
	loop_run(t.loop);
	CU_ASSERT_STRING_EQUAL(t.text, "sab");
	CU_ASSERT_PTR_NULL(timer.event);
	loop_destroy(t.loop);
}

static void tick(void *context)
{
	struct trace *t = context;

	t->ticks++;
}

static void test_timers_once_again_and_stopped(void)
{
	struct trace once = { 0 }, periodic = { 0 }, stopped = { 0 }, replaced = { 0 };
	struct loop_timer a = { 0 }, b = { 0 }, c = { 0 }, d = { 0 };
	struct loop *loop = loop_create();

	CU_ASSERT_EQUAL(loop_timer_start(loop, &a, 1, false, tick, &once), ST_OK);
	CU_ASSERT_EQUAL(loop_timer_start(loop, &b, 1, true, tick, &periodic), ST_OK);
	CU_ASSERT_EQUAL(loop_timer_start(loop, &c, 1, false, tick, &stopped), ST_OK);
	loop_timer_stop(&c);
	loop_timer_stop(&c);
	CU_ASSERT_EQUAL(loop_timer_start(loop, &d, 3600 * 1000, false, tick, &stopped), ST_OK);
	CU_ASSERT_EQUAL(loop_timer_start(loop, &d, 1, false, tick, &replaced), ST_OK);
	CU_ASSERT(TURN_UNTIL(loop, periodic.ticks >= 5 && replaced.ticks == 1));
	CU_ASSERT_EQUAL(once.ticks, 1);
	CU_ASSERT_EQUAL(stopped.ticks, 0);
	loop_timer_stop(&b);
	loop_destroy(loop);
}

struct self_stop {
	struct loop_timer timer;
	int ticks;
};

static void stop_itself(void *context)
{
	struct self_stop *s = context;

	s->ticks++;
	loop_timer_stop(&s->timer);
}

static void test_periodic_timer_may_stop_itself(void)
{
	struct self_stop s = { 0 };
	struct loop *loop = loop_create();

	CU_ASSERT_EQUAL(loop_timer_start(loop, &s.timer, 1, true, stop_itself, &s), ST_OK);
	CU_ASSERT(TURN_UNTIL(loop, s.ticks == 1));
	loop_turn(loop, 20);
	CU_ASSERT_EQUAL(s.ticks, 1);
	loop_destroy(loop);
}

static void test_signal_comes_in_the_loop(void)
{
	struct trace t = { 0 };
	struct loop *loop = loop_create();

	CU_ASSERT_EQUAL(loop_on_signal(loop, SIGUSR1, tick, &t), ST_OK);
	raise(SIGUSR1);
	CU_ASSERT_EQUAL(t.ticks, 0);
	CU_ASSERT(TURN_UNTIL(loop, t.ticks == 1));
	loop_destroy(loop);
}

static void test_clock_of_a_turn_does_not_lag_behind_the_wait(void)
{
	struct loop *loop = loop_create();
	int64_t before = loop_now_ms(loop);

	loop_turn(loop, 30);
	CU_ASSERT(loop_now_ms(loop) >= before + 29);
	loop_destroy(loop);
}

/* --- mailbox -------------------------------------------------------------------------------------------- */

enum { THREADS = 4, LETTERS = 5000 };

struct numbered {
	struct letter letter;
	int thread, number;
};

static int last_of[THREADS];
static int delivered, disorder;
static pthread_t loop_thread;

static void deliver_numbered(struct letter *letter)
{
	struct numbered *n = (struct numbered *)letter;

	if (!pthread_equal(pthread_self(), loop_thread) || n->number != last_of[n->thread] + 1)
		disorder++;
	last_of[n->thread] = n->number;
	delivered++;
}

struct poster {
	struct mailbox *mailbox;
	struct numbered letters[LETTERS];
	int thread;
};

static void *post_all(void *context)
{
	struct poster *p = context;

	for (int i = 0; i < LETTERS; i++) {
		p->letters[i] = (struct numbered){ { NULL, deliver_numbered }, p->thread, i + 1 };
		mailbox_post(p->mailbox, &p->letters[i].letter);
	}
	return NULL;
}

static void test_letters_of_many_threads_come_once_and_in_order(void)
{
	struct loop *loop = loop_create();
	struct mailbox *mailbox = mailbox_create(loop);
	struct poster *posters = calloc(THREADS, sizeof(*posters));
	pthread_t threads[THREADS];

	CU_ASSERT_FATAL(mailbox != NULL && posters != NULL);
	loop_thread = pthread_self();
	for (int i = 0; i < THREADS; i++) {
		posters[i].mailbox = mailbox;
		posters[i].thread = i;
		CU_ASSERT_EQUAL_FATAL(pthread_create(&threads[i], NULL, post_all, &posters[i]), 0);
	}
	CU_ASSERT(TURN_UNTIL(loop, delivered == THREADS * LETTERS));
	CU_ASSERT_EQUAL(disorder, 0);
	for (int i = 0; i < THREADS; i++)
		pthread_join(threads[i], NULL);
	mailbox_destroy(mailbox);
	loop_destroy(loop);
	free(posters);
}

/* --- worker ---------------------------------------------------------------------------------------------- */

struct job {
	struct work work;
	pthread_t ran_on;
	int run_count, done_count;
	struct worker *again; /* Submit once more from done. */
};

static int last_run;

static void run_job(struct work *work)
{
	struct job *job = (struct job *)work;

	job->ran_on = pthread_self();
	job->run_count++;
	last_run++;
}

static void job_done(struct work *work)
{
	struct job *job = (struct job *)work;

	if (!pthread_equal(pthread_self(), loop_thread))
		disorder++;
	job->done_count++;
	if (job->again != NULL && job->run_count < 10)
		worker_submit(job->again, work);
}

static void test_jobs_run_elsewhere_and_end_here(void)
{
	enum { JOBS = 200 };
	struct loop *loop = loop_create();
	struct mailbox *mailbox = mailbox_create(loop);
	struct worker *worker = NULL;
	struct job *jobs = calloc(JOBS, sizeof(*jobs));
	struct errinfo err;
	int done = 0;

	loop_thread = pthread_self();
	disorder = 0;
	CU_ASSERT_EQUAL_FATAL(worker_create("test", mailbox, &worker, &err), ST_OK);
	for (int i = 0; i < JOBS; i++) {
		jobs[i].work = (struct work){ .run = run_job, .done = job_done };
		jobs[i].again = i == 0 ? worker : NULL;
		worker_submit(worker, &jobs[i].work);
	}
	CU_ASSERT(TURN_UNTIL(loop, ({
		done = 0;
		for (int i = 0; i < JOBS; i++)
			done += jobs[i].done_count;
		done == JOBS - 1 + 10;
	})));
	worker_stop(worker);
	for (int i = 0; i < JOBS; i++) {
		CU_ASSERT_EQUAL(jobs[i].run_count, i == 0 ? 10 : 1);
		CU_ASSERT_FALSE(pthread_equal(jobs[i].ran_on, loop_thread));
	}
	CU_ASSERT_EQUAL(disorder, 0);
	mailbox_destroy(mailbox);
	loop_destroy(loop);
	free(jobs);
}

static void test_stop_runs_what_is_queued(void)
{
	enum { JOBS = 50 };
	struct loop *loop = loop_create();
	struct mailbox *mailbox = mailbox_create(loop);
	struct worker *worker = NULL;
	struct job *jobs = calloc(JOBS, sizeof(*jobs));
	struct errinfo err;

	loop_thread = pthread_self();
	last_run = 0;
	CU_ASSERT_EQUAL_FATAL(worker_create("test", mailbox, &worker, &err), ST_OK);
	for (int i = 0; i < JOBS; i++) {
		jobs[i].work = (struct work){ .run = run_job, .done = job_done };
		worker_submit(worker, &jobs[i].work);
	}
	worker_stop(worker);
	CU_ASSERT_EQUAL(last_run, JOBS);
	CU_ASSERT(TURN_UNTIL(loop, jobs[JOBS - 1].done_count == 1));
	for (int i = 0; i < JOBS; i++)
		CU_ASSERT_EQUAL(jobs[i].done_count, 1);
	mailbox_destroy(mailbox);
	loop_destroy(loop);
	free(jobs);
}

int main(void)
{
	static const struct check_test tests[] = {
		CHECK_TEST(test_hooks_run_in_order_after_the_events_of_a_turn),
		CHECK_TEST(test_timers_once_again_and_stopped),
		CHECK_TEST(test_periodic_timer_may_stop_itself),
		CHECK_TEST(test_signal_comes_in_the_loop),
		CHECK_TEST(test_clock_of_a_turn_does_not_lag_behind_the_wait),
		CHECK_TEST(test_letters_of_many_threads_come_once_and_in_order),
		CHECK_TEST(test_jobs_run_elsewhere_and_end_here),
		CHECK_TEST(test_stop_runs_what_is_queued),
	};
	return check_main("loop", tests, sizeof(tests) / sizeof(tests[0]));
}
