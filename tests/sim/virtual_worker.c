/* lib/net/worker.h on virtual time: a job's `run` happens at once or when the time it takes is over, as chance will have it,
 * its `done` after that. What a thread would do meanwhile, the loop does. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <utlist.h>

#include "lib/net/worker.h"
#include "tests/sim/engine.h"
#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { QUICK_MIN_US = 60, QUICK_MAX_US = 4000, SLOW_MAX_US = 40000, STALL_FACTOR = 200 };

struct queued {
	struct queued *next;
	struct work *work;
	bool has_run;
};

struct worker {
	struct worker *prev, *next;
	struct process *process;
	struct mailbox *mailbox;
	struct queued *queue; /* The first one is under way. */
	struct event *finish;
	struct chance chance;
	int64_t stalled_until_us, held_until_us;
	bool slow;            /* The one who syncs. */
	void (*trap)(void *context);
	void *trap_context;
};

static struct worker *workers; /* Of all processes. */

static struct work *work_of(struct letter *letter)
{
	return (struct work *)((char *)letter - offsetof(struct work, letter));
}

static void deliver(struct letter *letter)
{
	struct work *work = work_of(letter);

	work->done(work);
}

static void run_once(struct queued *queued)
{
	if (!queued->has_run)
		queued->work->run(queued->work);
	queued->has_run = true;
}

/* The first job is done: reported in the loop's next turn. */
static void report_first(struct worker *worker)
{
	struct queued *first = worker->queue;

	run_once(first);
	LL_DELETE(worker->queue, first);
	first->work->letter.deliver = deliver;
	mailbox_post(worker->mailbox, &first->work->letter);
	free(first);
}

static void start_first(struct worker *worker);

static void on_finish(void *context)
{
	struct worker *worker = context;

	worker->finish = NULL;
	report_first(worker);
	start_first(worker);
}

static void start_first(struct worker *worker)
{
	int64_t duration = chance_skewed(&worker->chance, QUICK_MIN_US, worker->slow ? SLOW_MAX_US : QUICK_MAX_US);

	if (worker->queue == NULL || worker->finish != NULL)
		return;
	if (engine_now_us() < worker->stalled_until_us)
		duration *= STALL_FACTOR;
	if (engine_now_us() + duration < worker->held_until_us)
		duration = worker->held_until_us - engine_now_us();
	if (chance_one_in(&worker->chance, 3))
		run_once(worker->queue);
	worker->finish = engine_after(worker->process, duration, on_finish, worker);
	if (worker->trap != NULL)
		engine_after(NULL, chance_between(&worker->chance, 0, duration), worker->trap, worker->trap_context);
	worker->trap = NULL;
}

enum status worker_create(const char *name, struct mailbox *mailbox, struct worker **out, struct errinfo *err)
{
	struct worker *worker = calloc(1, sizeof(*worker));
	struct process *process = process_current();

	if (worker == NULL)
		return errinfo_set(err, ST_NOMEM, "no memory for thread %s", name);
	worker->process = process;
	worker->mailbox = mailbox;
	worker->slow = strcmp(name, "flusher") == 0;
	worker->chance = chance_of(engine_seed(), CHANCE_DISK, (uint64_t)process->number << 32 | process->life, (uint64_t)name[0]);
	DL_APPEND(workers, worker);
	*out = worker;
	return ST_OK;
}

void worker_submit(struct worker *worker, struct work *work)
{
	struct queued *queued = calloc(1, sizeof(*queued));

	if (queued == NULL)
		abort();
	queued->work = work;
	LL_APPEND(worker->queue, queued);
	start_first(worker);
}

void worker_stop(struct worker *worker)
{
	if (worker == NULL)
		return;
	engine_cancel(worker->finish);
	while (worker->queue != NULL)
		report_first(worker);
	DL_DELETE(workers, worker);
	free(worker);
}

void virtual_workers_die(struct process *process)
{
	struct worker *worker;

	DL_FOREACH(workers, worker) {
		if (worker->process == process && worker->queue != NULL && chance_percent(&worker->chance, 80))
			run_once(worker->queue);
	}
}

void virtual_workers_stall(struct process *process, int64_t until_us)
{
	struct worker *worker;

	DL_FOREACH(workers, worker) {
		if (worker->process == process)
			worker->stalled_until_us = until_us;
	}
}

void virtual_workers_hold(struct process *process, int64_t until_us)
{
	struct worker *worker;

	DL_FOREACH(workers, worker) {
		if (worker->process == process)
			worker->held_until_us = until_us;
	}
}

void virtual_workers_trap(struct process *process, void (*sprung)(void *context), void *context)
{
	struct worker *worker;

	DL_FOREACH(workers, worker) {
		if (worker->process == process && worker->slow) {
			worker->trap = sprung;
			worker->trap_context = context;
		}
	}
}
