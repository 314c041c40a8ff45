/* lib/net/loop.h, mailbox.h and service.h on virtual time. A loop belongs to the process in which it is made; the engine
 * calls its hooks after each of the process's events. */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/net/loop.h"
#include "lib/net/mailbox.h"
#include "lib/net/service.h"
#include "tests/sim/engine.h"
#include "tests/sim/virtual.h"

struct hook {
	loop_callback callback;
	void *context;
};

struct loop {
	struct process *process;
	struct hook hooks[LOOP_HOOKS_MAX];
	int hook_count;
	struct hook stop_signal;
	struct mailbox *mailbox;
	bool stopped;
};

/* What a running timer's `event` points at. */
struct running_timer {
	struct event *event;
	struct loop *loop;
	int64_t every_us;
};

struct mailbox {
	struct loop *loop;
	struct letter *head;
	struct letter **tail;
	struct event *delivery;
};

static void *must(void *p)
{
	if (p == NULL) {
		fputs("sim: out of memory\n", stderr);
		abort();
	}
	return p;
}

/* --- loops ---------------------------------------------------------------------------------------------------------- */

struct loop *loop_create(void)
{
	struct loop *loop = must(calloc(1, sizeof(*loop)));

	loop->process = process_current();
	assert(loop->process != NULL && loop->process->loop == NULL);
	loop->process->loop = loop;
	return loop;
}

void loop_destroy(struct loop *loop)
{
	if (loop == NULL)
		return;
	loop->process->loop = NULL;
	free(loop);
}

void virtual_loop_end_turn(struct loop *loop)
{
	for (int i = 0; i < loop->hook_count; i++)
		loop->hooks[i].callback(loop->hooks[i].context);
}

bool virtual_loop_is_stopped(const struct loop *loop)
{
	return loop->stopped;
}

/* The engine runs it. */
void loop_run(struct loop *loop)
{
	(void)loop;
	assert(false);
}

void loop_stop(struct loop *loop)
{
	loop->stopped = true;
}

int64_t loop_now_ms(struct loop *loop)
{
	return engine_now_ms() + loop->process->mono_ahead_ms;
}

void loop_add_turn_end(struct loop *loop, loop_callback hook, void *context)
{
	assert(loop->hook_count < LOOP_HOOKS_MAX);
	loop->hooks[loop->hook_count++] = (struct hook){ hook, context };
}

/* --- timers --------------------------------------------------------------------------------------------------------- */

static void on_timer(void *context)
{
	struct loop_timer *timer = context;
	struct running_timer *running = (struct running_timer *)timer->event;

	if (timer->periodic) {
		running->event = engine_after(running->loop->process, running->every_us, on_timer, timer);
	} else {
		free(running);
		timer->event = NULL;
	}
	timer->callback(timer->context);
}

enum status loop_timer_start(struct loop *loop, struct loop_timer *timer, int64_t after_ms, bool periodic,
			     loop_callback callback, void *context)
{
	struct running_timer *running = must(malloc(sizeof(*running)));

	loop_timer_stop(timer);
	*timer = (struct loop_timer){ (struct event *)running, callback, context, periodic };
	*running = (struct running_timer){ engine_after(loop->process, after_ms * 1000, on_timer, timer), loop, after_ms * 1000 };
	return ST_OK;
}

void loop_timer_stop(struct loop_timer *timer)
{
	struct running_timer *running = (struct running_timer *)timer->event;

	if (running == NULL)
		return;
	engine_cancel(running->event);
	free(running);
	timer->event = NULL;
}

/* --- mailboxes ------------------------------------------------------------------------------------------------------ */

struct mailbox *mailbox_create(struct loop *loop)
{
	struct mailbox *mailbox = must(calloc(1, sizeof(*mailbox)));

	mailbox->loop = loop;
	mailbox->tail = &mailbox->head;
	loop->mailbox = mailbox;
	return mailbox;
}

void mailbox_destroy(struct mailbox *mailbox)
{
	if (mailbox == NULL)
		return;
	engine_cancel(mailbox->delivery);
	mailbox->loop->mailbox = NULL;
	free(mailbox);
}

static void deliver(void *context)
{
	struct mailbox *mailbox = context;
	struct letter *letter = mailbox->head;

	mailbox->delivery = NULL;
	mailbox->head = NULL;
	mailbox->tail = &mailbox->head;
	while (letter != NULL) {
		struct letter *next = letter->next;

		letter->deliver(letter);
		letter = next;
	}
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
	letter->next = NULL;
	*mailbox->tail = letter;
	mailbox->tail = &letter->next;
	if (mailbox->delivery == NULL)
		mailbox->delivery = engine_at(mailbox->loop->process, engine_now_us(), deliver, mailbox);
}

/* At an orderly end: what the workers reported last. */
void loop_turn(struct loop *loop, int64_t wait_ms)
{
	(void)wait_ms;
	if (loop->mailbox != NULL) {
		engine_cancel(loop->mailbox->delivery);
		deliver(loop->mailbox);
	}
	virtual_loop_end_turn(loop);
}

/* --- services ------------------------------------------------------------------------------------------------------- */

/* Brokers here answer no scrapes (metricsExporterType): there is no libevent. */
struct event_base *loop_base(struct loop *loop)
{
	(void)loop;
	return NULL;
}

enum status service_signals(struct loop *loop, loop_callback stop, void *context, struct errinfo *err)
{
	(void)err;
	loop->stop_signal = (struct hook){ stop, context };
	return ST_OK;
}

/* The simulator says what is logged. */
enum status service_log_level(const char *text, struct errinfo *err)
{
	(void)text;
	(void)err;
	return ST_OK;
}

void virtual_loop_signal(struct loop *loop)
{
	loop->stop_signal.callback(loop->stop_signal.context);
}

void service_ready(const char *name, const char *host, unsigned port)
{
	(void)name;
	(void)host;
	(void)port;
}
