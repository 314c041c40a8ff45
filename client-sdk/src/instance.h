/* What producers and consumers have in common: an I/O thread with its loop, client, routes and brokers, a client id,
 * and the way from the application's threads into the loop.
 *
 * Life: create (nothing runs), start (the thread runs), post letters, stop (the thread is joined), destroy.
 * Threads: instance_post, call_* any; everything else in the loop, but create, start, stop and destroy. */
#ifndef ESCROW_SDK_INSTANCE_H
#define ESCROW_SDK_INSTANCE_H

#include <pthread.h>
#include <stdatomic.h>

#include "client-sdk/src/brokers.h"
#include "client-sdk/src/fail.h"
#include "client-sdk/src/routes.h"
#include "lib/net/mailbox.h"

enum { CLIENT_ID_SIZE = 192 };

struct instance_callbacks {
	void *context;
	void (*fill_heartbeat)(void *context, struct heartbeat *out); /* client_id is filled already. */
	void (*on_route)(void *context, struct topic_route *route);
	void (*on_acknowledged)(void *context, struct broker *broker);
	/* Requests of a broker that the instance does not answer itself. True: taken care of. */
	bool (*on_request)(void *context, struct client_conn *conn, const struct command *request);
};

struct instance {
	struct loop *loop;
	struct mailbox *mailbox;
	struct client *client;
	struct routes *routes;
	struct brokers *brokers;
	struct instance_callbacks callbacks;
	char client_id[CLIENT_ID_SIZE];
	uint32_t ipv4;
	pthread_t thread;
	bool running;
	/* Leaving. */
	struct letter leave_letter;
	struct loop_timer leave_timer;
	void (*say_goodbye)(void *context); /* Sends what must be sent before the end. */
	int64_t leave_deadline_ms;
	int64_t leave_ms;
	uint32_t goodbyes; /* Requests that the end waits for. */
	bool leaving;
	bool closed;
};

/* `slaves`: heartbeats also go to slaves. */
enum escrow_code instance_init(struct instance *instance, const char *name_servers, const char *instance_name,
			       bool slaves, const struct instance_callbacks *callbacks, struct escrow_error *err);
enum escrow_code instance_start(struct instance *instance, const char *thread_name, struct escrow_error *err);
void instance_post(struct instance *instance, struct letter *letter);
/* Runs `say_goodbye` in the loop, waits until the requests counted in `goodbyes` are answered, but not over deadline_ms,
 * ends the thread. */
void instance_stop(struct instance *instance, void (*say_goodbye)(void *context), int64_t deadline_ms);
/* After instance_stop, or instead of instance_start: every request ends with ST_CLOSED, nothing new begins. */
void instance_close(struct instance *instance);
/* Closes if need be, frees. Timers of the user must have been stopped. */
void instance_deinit(struct instance *instance);
/* UNREGISTER_CLIENT to every broker that knows us. */
void instance_unregister(struct instance *instance, struct span producer_group, struct span consumer_group);
static inline int64_t instance_now_ms(const struct instance *instance)
{
	return loop_now_ms(instance->loop);
}

/* A thread of the application waiting for something that the loop does. On the caller's stack. */
struct call {
	struct letter letter;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool done;
};
void call_init(struct call *call, void (*begin)(struct letter *letter));
/* Posts and waits until the loop says call_done. */
void call_wait(struct instance *instance, struct call *call);
/* The call is the caller's again: do not touch it afterwards. */
void call_done(struct call *call);

#endif
