/* The event loop: one thread that owns state, sockets and timers. A thin layer over libevent's core (raw events, no
 * locking), which owns the hard part: epoll, timers, signals.
 *
 * Work is done in turns: everything that is ready is handled, then the turn-end hooks run in the order in which they
 * were added (start what the turn made possible, write out what it produced).
 * Threads: a loop belongs to the thread that runs it; other threads reach it through a mailbox. */
#ifndef ESCROW_NET_LOOP_H
#define ESCROW_NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/base/status.h"

struct event;
struct event_base;
struct loop;

typedef void (*loop_callback)(void *context);

/* NULL when out of memory or descriptors. */
struct loop *loop_create(void);
/* Nothing may be registered any more. */
void loop_destroy(struct loop *loop);
/* Turns until loop_stop. */
void loop_run(struct loop *loop);
/* One turn, waiting for at most `wait_ms` for something to do; for tests and for orderly endings. */
void loop_turn(struct loop *loop, int64_t wait_ms);
void loop_stop(struct loop *loop);
struct event_base *loop_base(struct loop *loop);
/* Monotonic milliseconds, read once for the events of a turn (anew after loop_time_passes) and once for its hooks. */
int64_t loop_now_ms(struct loop *loop);
/* What is looked at from now on may have come after the time that loop_now_ms gave. */
void loop_time_passes(struct loop *loop);

enum { LOOP_HOOKS_MAX = 8 };
void loop_add_turn_end(struct loop *loop, loop_callback hook, void *context);

struct loop_timer {
	struct event *event; /* NULL: not running. */
	loop_callback callback;
	void *context;
	bool periodic;
};
/* Zero-initialise the timer before its first start. Starting again replaces. ST_NOMEM. */
enum status loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t after_ms, bool periodic,
			     loop_callback callback, void *context) MUST_USE;
void loop_timer_stop(struct loop_timer *timer);

/* Calls back in the loop when the process gets the signal; for the loop's life. */
enum status loop_on_signal(struct loop *loop, int signal_number, loop_callback callback, void *context) MUST_USE;

#endif
