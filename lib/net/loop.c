#include "lib/net/loop.h"

#include <assert.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

#include "lib/base/clock.h"

enum { SIGNALS_MAX = 4 };

struct hook {
	loop_callback callback;
	void *context;
};

struct loop {
	struct event_base *base;
	struct hook hooks[LOOP_HOOKS_MAX];
	int hook_count;
	struct hook signals[SIGNALS_MAX];
	struct event *signal_events[SIGNALS_MAX];
	int signal_count;
	bool stopping;
	int64_t now_ms; /* 0: not read in this turn yet. */
};

struct loop *loop_create(void)
{
	struct loop *loop = calloc(1, sizeof(*loop));
	struct event_config *config = event_config_new();

	/* One thread, so no locks. No change list: a descriptor must have left epoll before it is closed, because another
	 * thread may be given its number at once. */
	if (loop != NULL && config != NULL &&
	    event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK) == 0)
		loop->base = event_base_new_with_config(config);
	if (config != NULL)
		event_config_free(config);
	if (loop == NULL || loop->base == NULL) {
		free(loop);
		return NULL;
	}
	return loop;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	for (int i = 0; i < loop->signal_count; i++)
		event_free(loop->signal_events[i]);
	event_base_free(loop->base);
	free(loop);
}

struct event_base *loop_base(struct loop *loop)
{
	return loop->base;
}

int64_t loop_now_ms(struct loop *loop)
{
	if (loop->now_ms == 0)
		loop->now_ms = clock_mono_ms(clock_system());
	return loop->now_ms;
}

void loop_time_passes(struct loop *loop)
{
	loop->now_ms = 0;
}

static void run_hooks(struct loop *loop)
{
	loop->now_ms = 0;
	for (int i = 0; i < loop->hook_count; i++)
		loop->hooks[i].callback(loop->hooks[i].context);
	/* The wait that follows takes time. */
	loop->now_ms = 0;
}

void loop_run(struct loop *loop)
{
	while (!loop->stopping) {
		/* Fails only without any event; there is always the mailbox or a listener. */
		if (event_base_loop(loop->base, EVLOOP_ONCE) != 0)
			break;
		run_hooks(loop);
	}
	loop->stopping = false;
}

void loop_stop(struct loop *loop)
{
	loop->stopping = true;
}

void loop_add_turn_end(struct loop *loop, loop_callback hook, void *context)
{
	assert(loop->hook_count < LOOP_HOOKS_MAX);
	loop->hooks[loop->hook_count++] = (struct hook){ hook, context };
}

/* --- timers and signals ---------------------------------------------------------------------------------- */

static void on_timer(evutil_socket_t fd, short what, void *context)
{
	struct loop_timer *timer = context;

	(void)fd;
	(void)what;
	if (!timer->periodic)
		loop_timer_stop(timer);
	timer->callback(timer->context);
}

enum status loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t after_ms, bool periodic,
			     loop_callback callback, void *context)
{
	struct timeval after = { after_ms / 1000, after_ms % 1000 * 1000 };

	loop_timer_stop(timer);
	*timer = (struct loop_timer){ NULL, callback, context, periodic };
	timer->event = event_new(loop->base, -1, (short)(periodic ? EV_PERSIST : 0), on_timer, timer);
	if (timer->event == NULL)
		return ST_NOMEM;
	if (event_add(timer->event, &after) == 0)
		return ST_OK;
	loop_timer_stop(timer);
	return ST_NOMEM;
}

void loop_timer_stop(struct loop_timer *timer)
{
	if (timer->event != NULL)
		event_free(timer->event);
	timer->event = NULL;
}

static void do_nothing(void *context)
{
	(void)context;
}

void loop_turn(struct loop *loop, int64_t wait_ms)
{
	struct loop_timer limit = { 0 }; /* Ours to take back: event_base_loopexit would leave its own in the base. */

	if (loop_timer_start(loop, &limit, wait_ms, false, do_nothing, NULL) == ST_OK)
		(void)event_base_loop(loop->base, EVLOOP_ONCE);
	loop_timer_stop(&limit);
	run_hooks(loop);
}

static void on_signal(evutil_socket_t fd, short what, void *context)
{
	const struct hook *hook = context;

	(void)fd;
	(void)what;
	hook->callback(hook->context);
}

enum status loop_on_signal(struct loop *loop, int signal_number, loop_callback callback, void *context)
{
	assert(loop->signal_count < SIGNALS_MAX);
	struct hook *hook = &loop->signals[loop->signal_count];
	*hook = (struct hook){ callback, context };
	struct event *event = evsignal_new(loop->base, signal_number, on_signal, hook);
	if (event == NULL)
		return ST_NOMEM;
	if (event_add(event, NULL) != 0) {
		event_free(event);
		return ST_NOMEM;
	}
	loop->signal_events[loop->signal_count++] = event;
	return ST_OK;
}
