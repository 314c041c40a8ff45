#include "tests/sim/engine.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/report.h"
#include "tests/sim/virtual.h"

enum { PROCESSES_MAX = 64, TURN_SHARE_US = 200 };
static const int64_t WALL_START_MS = 1700000000000;

struct event {
	int64_t at_us;
	uint64_t number;     /* Ties are broken by age. */
	struct process *process;
	uint32_t life;
	size_t place;        /* In the heap. */
	event_call call;
	void *context;
	struct event *next;  /* Among the free ones. */
};

static struct {
	uint64_t seed;
	int64_t now_us;
	uint64_t next_number;
	struct event **heap;
	size_t count, capacity;
	struct event *unused;
	struct process *processes[PROCESSES_MAX];
	int process_count;
	struct process *running;
	void (*check)(struct process *process);
} world;

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- the heap --------------------------------------------------------------------------------------------------- */

static bool earlier(const struct event *a, const struct event *b)
{
	return a->at_us != b->at_us ? a->at_us < b->at_us : a->number < b->number;
}

static void put(size_t place, struct event *event)
{
	world.heap[place] = event;
	event->place = place;
}

static void sift_up(size_t place)
{
	struct event *event = world.heap[place];

	while (place > 0 && earlier(event, world.heap[(place - 1) / 2])) {
		put(place, world.heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	put(place, event);
}

static void sift_down(size_t place)
{
	struct event *event = world.heap[place];

	for (size_t child; (child = 2 * place + 1) < world.count; place = child) {
		if (child + 1 < world.count && earlier(world.heap[child + 1], world.heap[child]))
			child++;
		if (!earlier(world.heap[child], event))
			break;
		put(place, world.heap[child]);
	}
	put(place, event);
}

static void push(struct event *event)
{
	if (world.count == world.capacity) {
		world.capacity = world.capacity == 0 ? 1024 : 2 * world.capacity;
		world.heap = must(realloc(world.heap, world.capacity * sizeof(*world.heap)));
	}
	event->number = world.next_number++;
	world.heap[world.count] = event;
	sift_up(world.count++);
}

static void take_out(struct event *event)
{
	size_t place = event->place;
	struct event *last = world.heap[--world.count];

	if (last == event)
		return;
	world.heap[place] = last;
	last->place = place;
	sift_up(place);
	sift_down(last->place);
}

static void release(struct event *event)
{
	event->next = world.unused;
	world.unused = event;
}

struct event *engine_at(struct process *process, int64_t at_us, event_call call, void *context)
{
	struct event *event = world.unused;

	if (event != NULL)
		world.unused = event->next;
	else
		event = must(malloc(sizeof(*event)));
	*event = (struct event){ .at_us = at_us > world.now_us ? at_us : world.now_us, .process = process,
				 .life = process == NULL ? 0 : process->life, .call = call, .context = context };
	push(event);
	return event;
}

void engine_cancel(struct event *event)
{
	if (event == NULL)
		return;
	assert(event->place < world.count && world.heap[event->place] == event);
	take_out(event);
	release(event);
}

/* --- processes -------------------------------------------------------------------------------------------------- */

struct process *engine_add_process(const char *name)
{
	struct process *process = must(calloc(1, sizeof(*process)));

	assert(world.process_count < PROCESSES_MAX);
	process->name = name;
	process->number = world.process_count;
	process->ip = 0x0A000001u + (uint32_t)world.process_count;
	process->turns = chance_of(world.seed, CHANCE_TURN, (uint64_t)process->number, 0);
	world.processes[world.process_count++] = process;
	return process;
}

struct process *engine_process(int number)
{
	return number < world.process_count ? world.processes[number] : NULL;
}

void process_begin(struct process *process)
{
	assert(!process->alive);
	process->alive = true;
	process->off = false;
	process->life++;
	process->paused_until_us = 0;
}

void process_end(struct process *process)
{
	process->alive = false;
	process->life++;
	process->loop = NULL;
}

struct process *process_switch(struct process *process)
{
	struct process *before = world.running;

	world.running = process;
	return before;
}

struct process *process_current(void)
{
	return world.running;
}

/* --- running ---------------------------------------------------------------------------------------------------- */

void engine_begin(uint64_t seed)
{
	memset(&world, 0, sizeof(world));
	world.seed = seed;
}

void engine_end(void)
{
	for (size_t i = 0; i < world.count; i++)
		free(world.heap[i]);
	while (world.unused != NULL) {
		struct event *next = world.unused->next;

		free(world.unused);
		world.unused = next;
	}
	for (int i = 0; i < world.process_count; i++)
		free(world.processes[i]);
	free(world.heap);
	memset(&world, 0, sizeof(world));
}

uint64_t engine_seed(void)
{
	return world.seed;
}

int64_t engine_now_us(void)
{
	return world.now_us;
}

int64_t engine_true_wall_ms(void)
{
	return WALL_START_MS + world.now_us / 1000;
}

void engine_on_step(void (*check)(struct process *process))
{
	world.check = check;
}

/* The next thing may be ready so soon that the loop finds both in one turn. */
static bool turn_goes_on(struct process *process)
{
	const struct event *next = world.count > 0 ? world.heap[0] : NULL;

	return next != NULL && next->process == process && next->life == process->life &&
	       next->at_us - world.now_us <= TURN_SHARE_US && chance_one_in(&process->turns, 3);
}

static void run_in_process(struct process *process, event_call call, void *context)
{
	uint32_t life = process->life;

	world.running = process;
	call(context);
	if (process->life == life && process->loop != NULL && !turn_goes_on(process))
		virtual_loop_end_turn(process->loop);
	world.running = NULL;
	if (process->life == life && process->loop != NULL && virtual_loop_is_stopped(process->loop))
		process->loop_stopped(process->owner);
}

static void run(struct event *event)
{
	struct process *process = event->process;
	event_call call = event->call;
	void *context = event->context;

	if (process != NULL && (!process->alive || event->life != process->life)) {
		release(event);
		return;
	}
	if (process != NULL && process->paused_until_us > world.now_us) {
		event->at_us = process->paused_until_us;
		push(event);
		return;
	}
	release(event);
	report_current()->step_count++;
	trace_add((uint64_t)world.now_us * 64 + (process == NULL ? 63 : (uint64_t)process->number));
	if (process == NULL)
		call(context);
	else
		run_in_process(process, call, context);
	if (world.check != NULL)
		world.check(process);
}

bool engine_step(int64_t until_us)
{
	if (violated())
		return false;
	if (world.count == 0 || world.heap[0]->at_us > until_us) {
		if (until_us > world.now_us)
			world.now_us = until_us;
		return false;
	}
	struct event *event = world.heap[0];

	take_out(event);
	world.now_us = event->at_us;
	run(event);
	return true;
}
