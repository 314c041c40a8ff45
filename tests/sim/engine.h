/* Virtual time: what happens next, and in whose process?
 *
 * The whole cluster is one program that does one thing after the other. An *event* is a call at a time; those of the same
 * time come in the order in which they were made, so a seed always gives the same run. An event belongs to a *process*
 * (a broker, a client, ...), or to none: then it is the world that acts. A process has clocks, a disk and a loop of its
 * own; those of the process whose event runs are what clock_system(), vfs_posix() and loop_create() mean just then. A
 * process that is paused gets its events later, one that has ended not at all.
 *
 * Several events may share one turn of a process's loop, as they do when a real loop finds several things ready.
 *
 * One world per program: code under test asks for clocks and files without saying whose.
 * Threads: one. */
#ifndef ESCROW_SIM_ENGINE_H
#define ESCROW_SIM_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/sim/chance.h"

struct event;
struct loop;
struct vfs;

typedef void (*event_call)(void *context);

struct process {
	const char *name;       /* "broker-a" */
	int number;             /* From 0; names its streams of chance. */
	uint32_t ip;            /* Host byte order. */
	bool alive;
	bool off;               /* Its machine is: nothing answers. */
	uint32_t life;          /* Raised by each start and each end. */
	int64_t paused_until_us;
	int64_t wall_ahead_ms;  /* Of the true time. */
	int64_t mono_ahead_ms;  /* Changes with each boot. */
	struct loop *loop;      /* NULL: none yet. */
	const struct vfs *vfs;  /* NULL: it has no disk. */
	void *owner;            /* The node's. */
	void (*loop_stopped)(void *owner); /* Its loop was stopped from inside; the world ends the process then. */
	struct chance turns;
};

void engine_begin(uint64_t seed);
/* Frees processes and events. */
void engine_end(void);
uint64_t engine_seed(void);

int64_t engine_now_us(void);
static inline int64_t engine_now_ms(void)
{
	return engine_now_us() / 1000;
}
/* The time that a correct wall clock shows. */
int64_t engine_true_wall_ms(void);

struct process *engine_add_process(const char *name);
/* By number; NULL behind the last. */
struct process *engine_process(int number);
void process_begin(struct process *process);
/* Its events are dropped from now on. Whoever holds some cancels them before. */
void process_end(struct process *process);
/* Runs code of `process` outside of its events; returns the one to switch back to. */
struct process *process_switch(struct process *process);
struct process *process_current(void);

/* Calls at `at_us` (now, if that is over), in `process` or, if NULL, in the world. */
struct event *engine_at(struct process *process, int64_t at_us, event_call call, void *context);
static inline struct event *engine_after(struct process *process, int64_t after_us, event_call call, void *context)
{
	return engine_at(process, engine_now_us() + after_us, call, context);
}
/* NULL is allowed. */
void engine_cancel(struct event *event);

/* Runs the next event if it is due by `until_us`. False: there is none, or an invariant was violated. Time then stands at
 * `until_us` if it ran out of events before. */
bool engine_step(int64_t until_us);
/* Called after every event with the process that it ran in, or NULL. */
void engine_on_step(void (*check)(struct process *process));

#endif
