/* The thread of broker/projections/key_index.h on virtual time: a chain of events around the index's real turns. Its runs are
 * small, so that a seed writes, reads and loses some. */
#include <stdlib.h>
#include <utlist.h>

#include "broker/projections/key_index_internal.h"
#include "tests/sim/engine.h"
#include "tests/sim/virtual.h"

enum { RUN_ENTRIES = 300, WAKE_MIN_US = 20, WAKE_MAX_US = 20000 };

/* An index's thread. */
struct thread {
	struct thread *prev, *next;
	struct key_index *index;
	struct process *process;
	struct event *turn; /* NULL: it sleeps until there is more to read, or to look up. */
	struct chance chance;
};

static struct thread *threads;

static struct thread *thread_of(const struct key_index *index)
{
	struct thread *thread;

	DL_FOREACH(threads, thread) {
		if (thread->index == index)
			return thread;
	}
	abort();
}

static void on_turn(void *context);

static void turn_after(struct thread *thread, int64_t after_us)
{
	engine_cancel(thread->turn);
	thread->turn = engine_after(thread->process, after_us, on_turn, thread);
}

static void on_turn(void *context)
{
	struct thread *thread = context;
	struct key_index *index = thread->index;

	thread->turn = NULL;
	int64_t pause_ms = key_index_turn(index);
	if (index->failing || index->searches != NULL || index->complete_to < atomic_load(&index->durable))
		turn_after(thread, pause_ms * 1000 + chance_skewed(&thread->chance, WAKE_MIN_US, WAKE_MAX_US));
}

enum status key_index_start(const struct vfs *vfs, const char *root, uint64_t durable, struct key_index **out,
			    struct errinfo *err)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	struct process *process = process_current();

	if (thread == NULL)
		abort();
	enum status status = key_index_open(vfs, root, RUN_ENTRIES, &thread->index, err);
	if (status != ST_OK) {
		free(thread);
		return status;
	}
	atomic_store(&thread->index->durable, durable);
	thread->process = process;
	thread->chance = chance_of(engine_seed(), CHANCE_KEYS, (uint64_t)process->number, process->life);
	DL_APPEND(threads, thread);
	turn_after(thread, 0);
	*out = thread->index;
	return ST_OK;
}

void key_index_advance(struct key_index *index, uint64_t durable, uint64_t log_start)
{
	struct thread *thread;

	if (index == NULL)
		return;
	thread = thread_of(index);
	atomic_store(&index->log_start, log_start);
	if (atomic_exchange(&index->durable, durable) != durable && thread->turn == NULL)
		turn_after(thread, chance_skewed(&thread->chance, WAKE_MIN_US, 5 * WAKE_MAX_US));
}

void key_index_search(struct key_index *index, struct key_search *search)
{
	struct thread *thread = thread_of(index);

	key_index_queue(index, search);
	turn_after(thread, chance_skewed(&thread->chance, WAKE_MIN_US, WAKE_MAX_US));
}

void key_index_stop(struct key_index *index)
{
	struct thread *thread;

	if (index == NULL)
		return;
	thread = thread_of(index);
	engine_cancel(thread->turn);
	DL_DELETE(threads, thread);
	free(thread);
	key_index_close(index);
}
