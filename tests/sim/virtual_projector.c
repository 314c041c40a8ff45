/* broker/projections/oplog_projector.h on virtual time: a thread that is only a chain of events, around the projector's real
 * turns. */
#include <stdio.h>
#include <stdlib.h>
#include <utlist.h>

#include "broker/projections/oplog_projector_internal.h"
#include "lib/base/clock.h"
#include "tests/sim/engine.h"

enum { LINGER_US = 20000, TURN_MIN_US = 500, TURN_MAX_US = 60000, LAST_TURNS_MAX = 50 };

/* A projector's thread. */
struct thread {
	struct thread *prev, *next;
	struct oplog_projector *projector;
	struct process *process;
	struct event *turn;
	struct chance chance;
	bool sleeping, ended;
};

static struct thread *threads;

static struct thread *thread_of(const struct oplog_projector *projector)
{
	struct thread *thread;

	DL_FOREACH(threads, thread) {
		if (thread->projector == projector)
			return thread;
	}
	return NULL;
}

static void on_turn(void *context);

static void next_turn(struct thread *thread, int64_t after_us, bool sleeping)
{
	engine_cancel(thread->turn);
	thread->sleeping = sleeping;
	thread->turn = engine_after(thread->process, after_us, on_turn, thread);
}

/* Runs one turn; returns what time passes before the next. */
static int64_t take_turn(struct thread *thread, bool *sleeping)
{
	struct errinfo err;
	int64_t ms = 0;
	enum status status = oplog_projector_turn(thread->projector, &ms, &err);

	*sleeping = status == ST_OK && ms > 0;
	if (status != ST_OK && !oplog_projector_after_failure(thread->projector, status, &err, &ms))
		thread->ended = true;
	return ms > 0 ? ms * 1000 : chance_skewed(&thread->chance, TURN_MIN_US, TURN_MAX_US);
}

static void on_turn(void *context)
{
	struct thread *thread = context;
	bool sleeping;

	thread->turn = NULL;
	int64_t after_us = take_turn(thread, &sleeping);
	if (!thread->ended)
		next_turn(thread, after_us, sleeping);
}

enum status oplog_projector_start(const struct oplog_config *config, const char *store_root, const char *broker_name,
				  uint64_t durable, struct oplog_projector **out, struct errinfo *err)
{
	struct thread *thread = calloc(1, sizeof(*thread));

	if (thread == NULL)
		abort();
	thread->process = process_current();
	thread->projector = oplog_projector_create(config, store_root, broker_name, durable);
	if (thread->projector == NULL) {
		free(thread);
		return errinfo_set(err, ST_NOMEM, "op log projector: out of memory");
	}
	thread->chance = chance_of(engine_seed(), CHANCE_MYSQL, (uint64_t)thread->process->number, thread->process->life);
	DL_APPEND(threads, thread);
	next_turn(thread, 0, false);
	*out = thread->projector;
	return ST_OK;
}

void oplog_projector_advance(struct oplog_projector *projector, uint64_t durable)
{
	struct thread *thread;

	if (projector == NULL)
		return;
	atomic_store(&projector->durable, durable);
	thread = thread_of(projector);
	if (thread->sleeping && !thread->ended)
		next_turn(thread, LINGER_US, false);
}

void oplog_projector_stop(struct oplog_projector *projector, int64_t grace_ms)
{
	struct thread *thread;
	bool sleeping;

	if (projector == NULL)
		return;
	thread = thread_of(projector);
	engine_cancel(thread->turn);
	atomic_store(&projector->stop_until_ms, clock_mono_ms(clock_system()) + grace_ms);
	atomic_store(&projector->stopping, true);
	/* A process that was killed has no last turns. */
	for (int i = 0; i < LAST_TURNS_MAX && thread->process->alive && !thread->ended && !oplog_projector_may_end(projector); i++)
		(void)take_turn(thread, &sleeping);
	oplog_writer_disconnect(projector->writer);
	oplog_projector_destroy(projector);
	DL_DELETE(threads, thread);
	free(thread);
}

void oplog_projector_status(struct oplog_projector *projector, struct oplog_status *out)
{
	*out = (struct oplog_status){ 0 };
	if (projector == NULL)
		return;
	*out = projector->status;
	out->durable = atomic_load(&projector->durable);
}
